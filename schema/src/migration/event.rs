//! What can happen to a migration.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Cause, Manifest, MigrationOutcome, Overtaken};

/// Something that happened to a migration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MigrationEvent {
    /// The agent whose turn it is reports.
    Reported(Report),
    /// Somebody wants something.
    Asked(Wish),
    /// The time set for an automatic confirmation has come.
    WindowEnded,
    /// The agent whose turn it is has been silent for its lease.
    LeaseEnded,
}

impl MigrationEvent {
    /// Its name, for messages.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Reported(report) => report.name(),
            Self::Asked(wish) => wish.name(),
            Self::WindowEnded => "window-ended",
            Self::LeaseEnded => "lease-ended",
        }
    }
}

/// What an agent says of the work it was asked for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Report {
    /// The disk is frozen.
    Snapshotted,
    /// The base is at the target.
    BaseCopied {
        /// What it contains.
        copied: Manifest,
    },
    /// The instance is stopped, and all of it is at the target.
    RestCopied {
        /// What the overlay, and the memory, contain.
        copied: Manifest,
    },
    /// The instance is built at the target, and executes if it did before.
    Started {
        /// It has executed there, and now something is wrong: what.
        but: Option<Cause>,
    },
    /// All that was to be seen was seen.
    Seen,
    /// The source's old copy is gone.
    SourceDestroyed,
    /// The target's copy is a base alone.
    Merged,
    /// Nothing was removed: the instance has executed here, and what it wrote is nowhere else.
    Executed,
    /// Nothing of the instance is at the target.
    TargetCleaned,
    /// The instance is at the source as before.
    SourceRestored,
    /// Nothing was done: the instance is down since its user shut it down, though it is on record as running. It is to stay
    /// down from here on.
    PoweredOff,
    /// It is not begun: what was found is not what the migration was made for, and nothing was changed.
    Refused {
        /// In what it differs.
        cause: Cause,
    },
    /// Nothing was done: of what was found, a person has to decide.
    Undecided {
        /// What was found.
        cause: Cause,
    },
    /// It is not done, and it is known that it is not.
    Failed {
        /// Why.
        cause: Cause,
    },
    /// Nothing was done: the order is older than what was obeyed already.
    Overtaken {
        /// Where, and by what.
        by: Overtaken,
    },
}

impl Report {
    /// Its name, for messages.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Snapshotted => "snapshotted",
            Self::BaseCopied { .. } => "base-copied",
            Self::RestCopied { .. } => "rest-copied",
            Self::Started { but: None } => "started",
            Self::Started { but: Some(_) } => "started-but",
            Self::Seen => "seen",
            Self::SourceDestroyed => "source-destroyed",
            Self::Merged => "merged",
            Self::Executed => "executed",
            Self::TargetCleaned => "target-cleaned",
            Self::SourceRestored => "source-restored",
            Self::PoweredOff => "powered-off",
            Self::Refused { .. } => "refused",
            Self::Undecided { .. } => "undecided",
            Self::Failed { .. } => "failed",
            Self::Overtaken { .. } => "overtaken",
        }
    }
}

/// What a person can want of a migration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Wish {
    /// That it stays at the target, if it is there and runs. Nothing leads back from there.
    Confirm,
    /// That it stays at the target, whatever its guest does, if only its disk is there.
    ConfirmAnyway,
    /// That it goes back though it has arrived. What the guest wrote at the target is discarded where its disk was
    /// copied.
    Revert,
    /// That it is called off before it has arrived.
    Abort,
}

impl Wish {
    /// Its name in documents and commands.
    pub fn name(self) -> &'static str {
        match self {
            Self::Confirm => "confirm",
            Self::ConfirmAnyway => "confirm-anyway",
            Self::Revert => "revert",
            Self::Abort => "abort",
        }
    }

    /// What a migration comes to by it.
    pub fn outcome(self) -> MigrationOutcome {
        match self {
            Self::Confirm | Self::ConfirmAnyway => MigrationOutcome::Confirmed,
            Self::Revert => MigrationOutcome::Reverted,
            Self::Abort => MigrationOutcome::Aborted,
        }
    }
}

impl fmt::Display for Wish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
