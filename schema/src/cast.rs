//! What travels between conductor and agents: casts one way, notifications the other.
//!
//! A cast is a hint to act sooner, never the only copy of an intention: it can be lost, repeated, late or out of order,
//! and nothing but time is lost with it.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::{FlavorName, HostName, InstanceId};
use crate::migration::{DiskFile, Figures, Generation, MigrationId, Patience, Report, Subject, Work};
use crate::plan::MoveMode;

/// A message to the agent of a host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Cast {
    /// Do the work a migration's state asks of this host.
    Work(Box<WorkCast>),
    /// Take part in a migration that may not exist yet.
    Prep {
        /// Who receives it.
        to: HostName,
        /// What is wanted.
        prep: Prep,
    },
}

impl Cast {
    /// Who receives it.
    pub fn to(&self) -> &HostName {
        match self {
            Self::Work(work) => &work.to,
            Self::Prep { to, .. } => to,
        }
    }
}

/// Work for an agent, with the lease under which it may be done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WorkCast {
    /// Who receives it.
    pub to: HostName,
    /// The migration.
    pub migration: MigrationId,
    /// The generation of its state; the report answers to it.
    pub generation: Generation,
    /// Nothing is started, powered on or destroyed under this cast after this moment.
    #[schemars(with = "String")]
    pub lease_until: Timestamp,
    /// Who moves, from where to where.
    pub subject: Subject,
    /// How long a guest and a link are waited for.
    #[serde(default)]
    pub patience: Patience,
    /// What to do.
    pub work: Work,
}

/// A wish to move or resize an instance, as a caller casts it who may or may not have chosen a target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Prep {
    /// Who is to move.
    pub instance: InstanceId,
    /// Where it is.
    pub source: HostName,
    /// Where to, if somebody chose.
    pub target: Option<HostName>,
    /// How.
    pub mode: MoveMode,
    /// Its new flavor; none: it keeps its own.
    pub flavor: Option<FlavorName>,
}

/// What an agent tells the conductor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Notification {
    /// The end of a work.
    Report {
        /// Who reports.
        host: HostName,
        /// The migration.
        migration: MigrationId,
        /// The generation of the cast it answers; an older one is refused.
        generation: Generation,
        /// What happened.
        report: Report,
        /// What the work cost.
        figures: Figures,
    },
    /// A sign of life while something is copied.
    Progress {
        /// Who reports.
        host: HostName,
        /// The migration.
        migration: MigrationId,
        /// The generation of the cast.
        generation: Generation,
        /// The file.
        file: DiskFile,
        /// Bytes sent so far.
        bytes: u64,
    },
    /// A sign of life while something takes long.
    AtWork {
        /// Who reports.
        host: HostName,
        /// The migration.
        migration: MigrationId,
        /// The generation of the cast.
        generation: Generation,
    },
    /// An agent that has just started asks for its unfinished work.
    Ready {
        /// Who.
        host: HostName,
    },
    /// A host that was asked without a target offers itself.
    Wanted {
        /// The host that offers itself.
        host: HostName,
        /// What is wanted.
        prep: Prep,
    },
    /// A host was asked for something it has no part in.
    Refused {
        /// The host.
        host: HostName,
        /// What was wanted.
        prep: Prep,
        /// Why not.
        reason: PrepRefusal,
    },
}

/// Why a host takes no part in a migration it is asked to prepare.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema, thiserror::Error)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum PrepRefusal {
    /// The source was asked, and nobody has chosen a target.
    #[error("{source_host} has the instance, but nobody chose a target for it; ask the host it is to go to")]
    NoTarget {
        /// The host that was asked.
        source_host: HostName,
    },
    /// A host was asked that is neither source nor target.
    #[error("{host} is neither the source {source_host} nor the target {target}; ask one of them")]
    Neither {
        /// The host that was asked.
        host: HostName,
        /// The source.
        source_host: HostName,
        /// The target.
        target: HostName,
    },
}
