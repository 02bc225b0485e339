//! The states of a migration, and whose turn each of them makes it.

use std::fmt;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Generation, Manifest, Subject};
use crate::id::HostName;
use crate::plan::MoveMode;

/// How far a migration is. The names are those operators of OpenStack know from its first resize.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
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
        /// Whether the source had begun: until then nobody has seen that the instance is as it is on record.
        #[serde(default = "yes")]
        seen: bool,
        /// What it will have come to.
        outcome: MigrationOutcome,
    },
    /// A host has obeyed what this store knows nothing of: the store is older than its hosts, or a copy. Nobody does
    /// anything more.
    Overtaken {
        /// Where, and by what.
        by: Overtaken,
        /// Where the instance was, as far as this store knows.
        stood: Party,
    },
    /// Nothing is left to do.
    Finished {
        /// What it came to.
        outcome: MigrationOutcome,
    },
}

/// An order that came from the past.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub struct Overtaken {
    /// Where it was not obeyed.
    pub host: HostName,
    /// Its generation.
    pub asked: Generation,
    /// The generation that host has obeyed.
    pub held: Generation,
}

impl fmt::Display for Overtaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, asked, held } = self;
        write!(f, "{host} has obeyed generation {held}, and the store is at {asked}")
    }
}

/// Whether a migration that has arrived is to stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "is", rename_all = "kebab-case")]
pub enum Confirm {
    /// Not decided yet.
    Awaited {
        /// When it decides itself; none: never.
        #[schemars(with = "Option<String>")]
        automatic_at: Option<Timestamp>,
    },
    /// Somebody, or time, wants it to: the target is looked at first.
    Due {
        /// What must be seen there.
        #[serde(default)]
        assurance: Assurance,
    },
    /// Decided: the source destroys its copy, and nothing leads back.
    Given,
    /// The source's copy is gone: the target merges the overlay that arrived into its base.
    Merging {
        /// How often it failed to.
        failed: u32,
    },
}

/// What must be seen at the target before the source's copy is destroyed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Assurance {
    /// Where nobody looked: the disk is whole, the guest executes and gives the sign of life its instance names.
    #[default]
    Lives,
    /// Where a person confirms: the disk is whole, and the guest executes if it is to.
    Runs,
    /// Where a person knows what is wrong with the guest: the disk is whole.
    Whole,
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
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
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
    /// Target, before a confirmation: see whether the instance is there as it must be.
    LookAgain {
        /// What must be seen.
        #[serde(default)]
        assurance: Assurance,
    },
    /// Source, after the confirmation: destroy the old copy.
    DestroySource,
    /// Target, once the old copy is destroyed: merge the overlay that arrived.
    Merge,
    /// Source, on the way back, before the target removes its copy: see whether the old copy is there.
    LookBack,
    /// Target, on the way back: leave nothing of the instance here that this migration built.
    CleanTarget {
        /// Whether the instance may have written here what nobody else has: that is put aside.
        keep_writes: bool,
        /// Whether nothing is to be removed if the instance has executed here: nobody has agreed to do without what it
        /// wrote.
        #[serde(default)]
        unless_executed: bool,
    },
    /// Source, on the way back: run as before, overlay merged back.
    RestoreSource {
        /// Whether a memory saved here still fits the disk.
        memory_fits: bool,
        /// Whether the instance was seen to be as it is on record: else it may be down for reasons of its own.
        #[serde(default = "yes")]
        seen: bool,
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
            Self::LookAgain { .. } => "look-again",
            Self::DestroySource => "destroy-source",
            Self::Merge => "merge",
            Self::LookBack => "look-back",
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
            Self::LookAgain { .. } => "find the instance as it must be",
            Self::DestroySource => "destroy the old copy",
            Self::Merge => "merge the overlay into the base",
            Self::LookBack => "find the old copy whole",
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
    /// Somebody who looks why a host knows more than the store.
    Repair,
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
            Self::Overtaken { .. } => "overtaken",
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

    /// Where the instance is by it.
    pub fn stands_at(&self) -> Party {
        match self {
            Self::VerifyMigration { .. } | Self::Finished { outcome: MigrationOutcome::Confirmed } => Party::Target,
            Self::Overtaken { stood, .. } => *stood,
            Self::PreMigrating
            | Self::Migrating
            | Self::MigratingStep2 { .. }
            | Self::PostMigrating { .. }
            | Self::Reverted { .. }
            | Self::Finished { .. } => Party::Source,
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
            Self::VerifyMigration { confirm: Confirm::Due { assurance } } => {
                agent(Party::Target, Work::LookAgain { assurance: *assurance })
            }
            Self::VerifyMigration { confirm: Confirm::Given } => agent(Party::Source, Work::DestroySource),
            Self::VerifyMigration { confirm: Confirm::Merging { .. } } => agent(Party::Target, Work::Merge),
            Self::Reverted { turn: Party::Target, started, outcome, .. } => {
                // Whoever reverts what has arrived was told what it costs; a failure, or a call to stop on the way, was not.
                let unless_executed = *started && subject.copies_disk() && *outcome != MigrationOutcome::Reverted;
                agent(Party::Target, Work::CleanTarget { keep_writes: *started, unless_executed })
            }
            Self::Reverted { turn: Party::Source, then: Some(Party::Target), started: true, .. } => {
                agent(Party::Source, Work::LookBack)
            }
            Self::Reverted { turn: Party::Source, started, seen, .. } => {
                let memory_fits = subject.copies_disk() || !started;
                agent(Party::Source, Work::RestoreSource { memory_fits, seen: *seen })
            }
            Self::Overtaken { .. } => Awaits::Repair,
            Self::Finished { .. } => Awaits::Nobody,
        }
    }
}

/// What records from before this was recorded mean: only what had begun was undone.
fn yes() -> bool {
    true
}
