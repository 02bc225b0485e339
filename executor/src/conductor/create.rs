//! How a migration comes into being: its room is claimed and its record written in one transaction, then it is cast.

use decant_schema::cast::Prep;
use decant_schema::finding::Finding;
use decant_schema::fleet::{Flavor, Instance};
use decant_schema::id::{FlavorName, HostName, InstanceId, MoveId};
use decant_schema::migration::{Attributes, Generation, Migration, MigrationId, Patience, PlanLine, Subject, Terms};
use decant_schema::plan::{Move, MoveMode, MoveReason};
use decant_schema::store::{NewMigration, StoreError};
use decant_schema::units::mib;
use jiff::Timestamp;
use thiserror::Error;
use uuid::{Builder, Uuid};

use super::Conductor;
use crate::hypervisor::Unsupported;

/// How long an actor is given where nobody said otherwise.
const PREP_TERMS: Terms = Terms { lease_ms: 30_000, confirm_after_ms: None, patience: Patience::USUAL };

/// Why a migration is not created.
#[derive(Debug, Error)]
pub enum CreateError {
    /// The store failed or refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The instance is not known.
    #[error("find instance {0}")]
    NoInstance(InstanceId),
    /// The flavor is not known.
    #[error("find flavor {0}")]
    NoFlavor(FlavorName),
    /// Nobody chose a target.
    #[error("move {0}: nobody chose a target")]
    NoTarget(InstanceId),
    /// The instance stays where it is.
    #[error("move it: {}", .reasons.join("; "))]
    Stays {
        /// Everything that speaks against the move, in sentences.
        reasons: Vec<String>,
    },
    /// The store's own fleet would not be accepted at the door.
    #[error("read the store's fleet: {}", .findings.first().map_or(String::new(), ToString::to_string))]
    BadFleet {
        /// Everything that is wrong with it.
        findings: Vec<Finding>,
    },
    /// What the instance is doing cannot be taken along.
    #[error("move {instance}: {reason}; resume it or shut it down first")]
    Unmovable {
        /// The instance.
        instance: InstanceId,
        /// What would be lost.
        reason: Unsupported,
    },
    /// Memory cannot be given another size on the way.
    #[error("resize {instance} in {mode:?} mode: its memory would come along as large as it is; resize it cold")]
    ResizeWithMemory {
        /// The instance.
        instance: InstanceId,
        /// How it was to move.
        mode: MoveMode,
    },
}

/// What a migration is to do, before it is known what the instance is now.
pub(super) struct Wanted<'a> {
    pub(super) instance: &'a InstanceId,
    pub(super) source: &'a HostName,
    pub(super) target: &'a HostName,
    pub(super) mode: MoveMode,
    pub(super) flavor: Option<&'a FlavorName>,
}

impl<'a> Wanted<'a> {
    /// What was asked for, once a target is chosen.
    pub(super) fn of(prep: &'a Prep) -> Result<Self, CreateError> {
        let no_target = || CreateError::NoTarget(prep.instance.clone());
        Ok(Self {
            instance: &prep.instance,
            source: &prep.source,
            target: prep.target.as_ref().ok_or_else(no_target)?,
            mode: prep.mode,
            flavor: prep.flavor.as_ref(),
        })
    }

    /// The move as a plan of its own would have it.
    pub(super) fn as_move(&self) -> Move {
        Move {
            id: MoveId(1),
            instance: self.instance.clone(),
            source: self.source.clone(),
            target: self.target.clone(),
            mode: self.mode,
            why: if self.flavor.is_some() { MoveReason::Resize } else { MoveReason::Evacuate },
            flavor: self.flavor.cloned(),
            after: Vec::new(),
            transfer_mb: mib(0),
            start_s: 0.0,
            end_s: 0.0,
            standstill: None,
        }
    }
}

/// The move that is asked for, as a plan of its own would have it.
///
/// # Errors
/// Where nobody chose a target.
pub fn move_of(prep: &Prep) -> Result<Move, CreateError> {
    Ok(Wanted::of(prep)?.as_move())
}

impl Conductor {
    /// Begins to carry out a line of a plan. Begun by one that was killed before it could cast, it is cast when time
    /// next is looked after.
    pub async fn begin(&self, plan: Uuid, line: &Move, terms: Terms) -> Result<Migration, CreateError> {
        let wanted = Wanted {
            instance: &line.instance,
            source: &line.source,
            target: &line.target,
            mode: line.mode,
            flavor: line.flavor.as_ref(),
        };
        self.create(&wanted, Some(PlanLine { plan, id: line.id }), terms).await
    }

    /// The terms of a migration that is no line of a plan.
    pub(super) fn terms(&self) -> Terms {
        self.gate.as_ref().map_or(PREP_TERMS, |gate| gate.terms)
    }

    pub(super) async fn create(
        &self,
        wanted: &Wanted<'_>,
        line: Option<PlanLine>,
        terms: Terms,
    ) -> Result<Migration, CreateError> {
        let found = self.store.instance(wanted.instance).await?;
        let (instance, old) = found.ok_or_else(|| CreateError::NoInstance(wanted.instance.clone()))?;
        let moved = || StoreError::Moved { instance: instance.id.clone(), expected: wanted.source.clone() };
        if old.host != *wanted.source {
            return Err(moved().into());
        }
        let flavor = match wanted.flavor {
            Some(name) => Some(self.flavor(name).await?),
            None => None,
        };
        let subject = subject(&instance, old, flavor, wanted)?;
        let now = self.clock.now();
        let id = new_id(&subject, line, now);
        let migration = self.store.create_migration(NewMigration { id, line, subject, terms }, now).await?;
        self.cast_first(&migration).await?;
        Ok(migration)
    }

    async fn flavor(&self, name: &FlavorName) -> Result<Flavor, CreateError> {
        let all = self.store.flavors().await?;
        all.into_iter().find(|flavor| flavor.name == *name).ok_or_else(|| CreateError::NoFlavor(name.clone()))
    }
}

fn subject(
    instance: &Instance,
    old: Attributes,
    flavor: Option<Flavor>,
    wanted: &Wanted<'_>,
) -> Result<Subject, CreateError> {
    let mode = wanted.mode;
    let runs = Unsupported::unless_kept(instance.state, mode)
        .map_err(|reason| CreateError::Unmovable { instance: instance.id.clone(), reason })?;
    if flavor.is_some() && runs && matches!(mode, MoveMode::Live | MoveMode::Suspend) {
        return Err(CreateError::ResizeWithMemory { instance: instance.id.clone(), mode });
    }
    let host = wanted.target.clone();
    let new = match flavor {
        Some(Flavor { name, resources, .. }) => Attributes { host, flavor: name, claim: resources, own_claim: false },
        None => Attributes { host, ..old.clone() },
    };
    let (storage, heartbeat) = (instance.storage.clone(), instance.heartbeat.clone());
    // The store knows the instance's last generation.
    let begun = Generation::default();
    Ok(Subject { instance: instance.id.clone(), mode, runs, storage, old, new, begun, heartbeat })
}

/// An id that sorts by creation; the rest of it follows from what the migration is, so nothing here is random.
fn new_id(subject: &Subject, line: Option<PlanLine>, now: Timestamp) -> MigrationId {
    let facts = format!("{}\n{}\n{}\n{line:?}\n{now}", subject.instance, subject.source(), subject.target());
    let hash = blake3::hash(facts.as_bytes());
    let mut tail = [0; 10];
    tail.copy_from_slice(&hash.as_bytes()[..10]);
    let millisecond = u64::try_from(now.as_millisecond()).unwrap_or(0);
    MigrationId(Builder::from_unix_timestamp_millis(millisecond, &tail).into_uuid())
}
