//! A migration: a move being carried out, with a state that outlives every process.
//!
//! The state names whose turn it is ([`Migration::turn`]); everything needed to take that turn is in the record, so a
//! lost message is only a delay. How one state follows from another is the executor's `step`.

mod death;
mod event;
mod file;
mod state;

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use death::{Death, DeathProof};
pub use event::{MigrationEvent, Report, Wish};
pub use file::{Digest, DiskFile, DiskNumber, LayerNumber, Manifest, NoDiskFile};
pub use state::{Assurance, Awaits, Confirm, MigrationOutcome, MigrationState, Overtaken, Party, Work};

use crate::fleet::{Heartbeat, Resources};
use crate::id::{FlavorName, HostName, InstanceId, MoveId, PoolName};
use crate::plan::MoveMode;

/// Tells a migration from every other; sorts by creation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct MigrationId(pub Uuid);

impl fmt::Display for MigrationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Grows with every change of an instance's migrations, across all of them; the older one loses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Generation(pub u64);

impl Generation {
    /// The one after it.
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A move being carried out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Migration {
    /// Tells it from every other.
    pub id: MigrationId,
    /// The line of a plan it carries out; none for one that was asked for by itself.
    pub line: Option<PlanLine>,
    /// Who moves, from where and what to where and what. Fixed at creation, but for whether it runs.
    pub subject: Subject,
    /// How long it waits for whom. Fixed at creation.
    pub terms: Terms,
    /// How far it is.
    pub state: MigrationState,
    /// Counts its state changes, going on from the instance's last migration.
    pub generation: Generation,
    /// What last went wrong, or who asked it to end.
    pub cause: Option<Cause>,
    /// The dead host whose part was counted as done, and how its death is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub death: Option<Death>,
    /// Until when the actor whose turn it is may be silent before it is told again.
    #[schemars(with = "Option<String>")]
    pub lease_until: Option<Timestamp>,
    /// What it cost so far.
    pub figures: Figures,
    /// When it was created.
    #[schemars(with = "String")]
    pub created_at: Timestamp,
    /// When its state last changed.
    #[schemars(with = "String")]
    pub updated_at: Timestamp,
}

impl Migration {
    /// Whose turn it is and what to do.
    pub fn turn(&self) -> Awaits {
        self.state.awaits(&self.subject)
    }

    /// Whether hosts that have obeyed this generation know more of the instance than this record: then it does not go on.
    pub fn is_overtaken(&self, obeyed: Generation) -> bool {
        matches!(self.state, MigrationState::Overtaken { .. }) || self.generation < obeyed
    }

    /// What the instance's record says of it in this state: the target's once it runs there, until it is on its way
    /// back. In every state the host named can run the instance, unless the store has forgotten what its hosts did since.
    pub fn standing(&self) -> &Attributes {
        self.subject.attributes(self.state.stands_at())
    }
}

/// A line of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct PlanLine {
    /// The plan.
    pub plan: Uuid,
    /// Its move.
    pub id: MoveId,
}

/// Who moves, from where and what to where and what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Subject {
    /// The instance.
    pub instance: InstanceId,
    /// How it moves.
    pub mode: MoveMode,
    /// Whether it runs afterwards: it ran before, and its user has not shut it down on the way.
    pub runs: bool,
    /// The shared pool its disk is on; none: local disk, which is copied.
    pub storage: Option<PoolName>,
    /// What it was.
    pub old: Attributes,
    /// What it becomes.
    pub new: Attributes,
    /// The migration's first generation: it marks the overlay that is this migration's own, and on the target that the
    /// instance has executed there.
    pub begun: Generation,
    /// How the instance shows that it lives; none: nothing but a person can tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heartbeat: Option<Heartbeat>,
}

impl Subject {
    /// The host it leaves.
    pub fn source(&self) -> &HostName {
        &self.old.host
    }

    /// The host it goes to.
    pub fn target(&self) -> &HostName {
        &self.new.host
    }

    /// The host of one of the two parties.
    pub fn host(&self, party: Party) -> &HostName {
        &self.attributes(party).host
    }

    /// What the instance is at one of the two parties.
    pub fn attributes(&self, party: Party) -> &Attributes {
        match party {
            Party::Source => &self.old,
            Party::Target => &self.new,
        }
    }

    /// Whether it stays on its host and only its size changes.
    pub fn in_place(&self) -> bool {
        self.old.host == self.new.host
    }

    /// Whether its disk is copied; else it is one and the same before and after.
    pub fn copies_disk(&self) -> bool {
        !self.in_place() && self.storage.is_none()
    }

    /// Whether its memory goes along.
    pub fn carries_memory(&self) -> bool {
        self.runs && matches!(self.mode, MoveMode::Live | MoveMode::Suspend)
    }
}

/// Where an instance is and how large.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Attributes {
    /// Its host.
    pub host: HostName,
    /// Its flavor.
    pub flavor: FlavorName,
    /// What it claims there.
    pub claim: Resources,
    /// Whether `claim` is the instance's own figure rather than its flavor's.
    pub own_claim: bool,
}

/// How long a migration waits for whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Terms {
    /// How long an actor may be silent before it is told again, milliseconds.
    pub lease_ms: u32,
    /// How long the new instance is left to be looked at before it is confirmed by itself, milliseconds; none: until
    /// somebody confirms or reverts.
    pub confirm_after_ms: Option<u32>,
    /// How long its agents wait for a guest and for a link.
    #[serde(default)]
    pub patience: Patience,
}

/// How long a migration's agents wait for a guest and for a link, and what becomes of a guest that does not end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Patience {
    /// How long a guest may take to obey its power button, milliseconds.
    pub guest_ms: u32,
    /// Whether a guest that has not obeyed by then is powered off; else it runs on, and the migration goes back.
    pub cut_off: bool,
    /// How long a link that is broken is waited for, milliseconds.
    pub link_ms: u32,
}

impl Patience {
    /// A minute for the guest, which is what operating systems are commonly given to end their services, then it is powered
    /// off; five for a link, in which a switch starts anew.
    pub const USUAL: Self = Self { guest_ms: 60_000, cut_off: true, link_ms: 300_000 };

    /// How long a guest may take to obey its power button.
    pub fn guest(self) -> Duration {
        Duration::from_millis(self.guest_ms.into())
    }

    /// How long a link that is broken is waited for.
    pub fn link(self) -> Duration {
        Duration::from_millis(self.link_ms.into())
    }
}

impl Default for Patience {
    fn default() -> Self {
        Self::USUAL
    }
}

/// Why a migration went back, or why it does not go on.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Cause {
    /// A host could not do its part.
    Failed {
        /// The host.
        host: HostName,
        /// What it was asked for.
        work: Work,
        /// What it said.
        detail: String,
    },
    /// Somebody asked for it.
    Asked {
        /// What for.
        wish: Wish,
    },
    /// It was on its way back, and the instance had executed at the target: what it wrote there is nowhere else.
    Executed {
        /// The target.
        host: HostName,
    },
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed { host, work, detail } => write!(f, "{host} failed to {work}: {detail}"),
            Self::Asked { wish } => write!(f, "{wish} was asked for"),
            Self::Executed { host } => write!(
                f,
                "the instance has executed on {host}, and what it wrote there is on no other host: a revert puts it aside and \
                 goes on without it"
            ),
        }
    }
}

/// What a migration cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Figures {
    /// Bytes that crossed the network.
    pub bytes: u64,
    /// When the guest stopped executing at the source.
    #[schemars(with = "Option<String>")]
    pub stopped_at: Option<Timestamp>,
    /// When it executed again, at the target or, after an undo, at the source.
    #[schemars(with = "Option<String>")]
    pub started_at: Option<Timestamp>,
    /// When it was found to have been powered off, since it had not obeyed its power button; none: it was not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub cut_off_at: Option<Timestamp>,
}

impl Figures {
    /// How long the guest did not execute, milliseconds; none if it never stopped or has not started again.
    pub fn downtime_ms(&self) -> Option<i64> {
        let (stopped, started) = (self.stopped_at?, self.started_at?);
        Some(started.duration_since(stopped).as_millis().try_into().unwrap_or(i64::MAX))
    }
}
