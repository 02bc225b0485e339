//! The states of a migration, and whose turn each of them makes it.

use std::fmt;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Manifest, Subject};
use crate::id::HostName;
use crate::plan::MoveMode;

/// How far a migration is. The names are those operators of OpenStack know from its first resize.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "name", rename_all = "kebab-case")]
pub enum MigrationState {
    /// The source freezes the instance's disk as a base; writes go to an overlay.
    PreMigrating,
    /// The source copies the base while the instance runs.
    Migrating,
    /// The source stops the instance and copies the overlay, and the memory where that goes along.
    MigratingStep2 {
        /// What was copied so far.
        copied: Manifest,
    },
    /// The target verifies what arrived, builds the instance and starts it.
    PostMigrating {
        /// What must have arrived.
        manifest: Manifest,
    },
    /// The instance is at the target; its copy at the source is still there.
    VerifyMigration {
        /// Whether somebody has decided.
        confirm: Confirm,
    },
    /// The way back.
    Reverted {
        /// Who is undoing its part.
        turn: Party,
        /// Who does so next.
        then: Option<Party>,
        /// Whether the target may have written to the instance's disk.
        started: bool,
        /// What it will have come to.
        outcome: MigrationOutcome,
    },
    /// Nothing is left to do.
    Finished {
        /// What it came to.
        outcome: MigrationOutcome,
    },
}

/// Whether a migration that has arrived is to stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Confirm {
    /// Not decided yet.
    Awaited {
        /// When it decides itself; none: never.
        #[schemars(with = "Option<String>")]
        automatic_at: Option<Timestamp>,
    },
    /// Time is to decide: the target is asked first whether the instance still is as it arrived.
    Due,
    /// Decided: the source destroys its copy, and nothing leads back.
    Given,
}

/// What a migration came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MigrationOutcome {
    /// The instance stays at the target.
    Confirmed,
    /// It was there, and went back on request.
    Reverted,
    /// Something went wrong on the way; all is as before.
    Failed,
    /// It was called off on the way; all is as before.
    Aborted,
}

impl fmt::Display for MigrationOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Confirmed => "confirmed",
            Self::Reverted => "reverted",
            Self::Failed => "failed",
            Self::Aborted => "aborted",
        })
    }
}

/// One of the two hosts of a migration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Party {
    /// The one the instance leaves.
    Source,
    /// The one it goes to.
    Target,
}

/// What an agent is asked to do. Each is done when its end is reached, whoever reached it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Work {
    /// Source: freeze the disk.
    Snapshot,
    /// Source: copy the base.
    CopyBase,
    /// Source: stop the instance, copy what is left.
    StopAndCopy,
    /// Target: verify, build, start.
    Build {
        /// What must have arrived.
        manifest: Manifest,
    },
    /// Target, before a confirmation nobody gave: see whether the instance still is as it arrived.
    LookAgain,
    /// Source, after the confirmation: destroy the old copy.
    DestroySource,
    /// Target, on the way back: leave nothing of the instance here.
    CleanTarget {
        /// Whether the instance may have written here what nobody else has: that is put aside.
        keep_writes: bool,
    },
    /// Source, on the way back: run as before, overlay merged back.
    RestoreSource {
        /// Whether a memory saved here still fits the disk.
        memory_fits: bool,
    },
}

impl Work {
    /// Its name, without what it carries.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Snapshot => "snapshot",
            Self::CopyBase => "copy-base",
            Self::StopAndCopy => "stop-and-copy",
            Self::Build { .. } => "build",
            Self::LookAgain => "look-again",
            Self::DestroySource => "destroy-source",
            Self::CleanTarget { .. } => "clean-target",
            Self::RestoreSource { .. } => "restore-source",
        }
    }
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Snapshot => "freeze the disk",
            Self::CopyBase => "copy the base",
            Self::StopAndCopy => "stop the instance and copy the rest",
            Self::Build { .. } => "build and start the instance",
            Self::LookAgain => "see whether the instance still runs",
            Self::DestroySource => "destroy the old copy",
            Self::CleanTarget { .. } => "remove the new copy",
            Self::RestoreSource { .. } => "restore the instance",
        })
    }
}

/// Whom a migration waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Awaits {
    /// An agent.
    Agent {
        /// Its host.
        host: HostName,
        /// What it is to do.
        work: Work,
    },
    /// Somebody who confirms or reverts.
    Decision {
        /// When it decides itself; none: never.
        automatic_at: Option<Timestamp>,
    },
    /// Nobody: it is over.
    Nobody,
}

impl MigrationState {
    /// The state in which a migration begins. A rebuild has nothing to fetch from its dead source: it begins where
    /// the target builds.
    pub fn first(mode: MoveMode) -> Self {
        match mode {
            MoveMode::Rebuild => Self::PostMigrating { manifest: Manifest::new() },
            MoveMode::Live | MoveMode::Cold | MoveMode::Suspend => Self::PreMigrating,
        }
    }

    /// The name in documents and messages.
    pub fn name(&self) -> &'static str {
        match self {
            Self::PreMigrating => "pre-migrating",
            Self::Migrating => "migrating",
            Self::MigratingStep2 { .. } => "migrating-step2",
            Self::PostMigrating { .. } => "post-migrating",
            Self::VerifyMigration { .. } => "verify-migration",
            Self::Reverted { .. } => "reverted",
            Self::Finished { .. } => "finished",
        }
    }

    /// What it came to, if it is over.
    pub fn outcome(&self) -> Option<MigrationOutcome> {
        match self {
            Self::Finished { outcome } => Some(*outcome),
            _ => None,
        }
    }

    /// Whose turn it is.
    pub fn awaits(&self, subject: &Subject) -> Awaits {
        let agent = |party, work| Awaits::Agent { host: subject.host(party).clone(), work };
        match self {
            Self::PreMigrating => agent(Party::Source, Work::Snapshot),
            Self::Migrating => agent(Party::Source, Work::CopyBase),
            Self::MigratingStep2 { .. } => agent(Party::Source, Work::StopAndCopy),
            Self::PostMigrating { manifest } => agent(Party::Target, Work::Build { manifest: manifest.clone() }),
            Self::VerifyMigration { confirm: Confirm::Awaited { automatic_at } } => {
                Awaits::Decision { automatic_at: *automatic_at }
            }
            Self::VerifyMigration { confirm: Confirm::Due } => agent(Party::Target, Work::LookAgain),
            Self::VerifyMigration { confirm: Confirm::Given } => agent(Party::Source, Work::DestroySource),
            Self::Reverted { turn: Party::Target, started, .. } => {
                agent(Party::Target, Work::CleanTarget { keep_writes: *started })
            }
            Self::Reverted { turn: Party::Source, started, .. } => {
                agent(Party::Source, Work::RestoreSource { memory_fits: subject.copies_disk() || !started })
            }
            Self::Finished { .. } => Awaits::Nobody,
        }
    }
}
