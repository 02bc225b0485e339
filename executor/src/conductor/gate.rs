//! The door for a migration that is no line of a judged plan: it is judged here, whoever asked for it and whichever
//! host was told first.

use std::collections::{BTreeSet, VecDeque};
use std::slice;
use std::sync::{Mutex, PoisonError};

use decant_schema::cast::{Prep, PrepRefusal};
use decant_schema::fleet::Fleet;
use decant_schema::migration::{Migration, Terms};
use decant_schema::store::StoreError;

use super::create::Wanted;
use super::{Conductor, CreateError};
use crate::admit::{AdmitLimits, crowded};
use crate::progress::Progress;
use crate::scheduler::{MoveRequest, Scheduler};

/// What a conductor asks before it creates a migration that nobody planned, and how it is then carried out.
pub struct Gate {
    /// Says whether the instance may go where it is to go.
    pub scheduler: Scheduler,
    /// How many migrations may be under way.
    pub limits: AdmitLimits,
    /// How long the migration waits for whom.
    pub terms: Terms,
}

/// Why a migration that was asked for does not exist.
#[derive(Debug)]
pub enum Refusal {
    /// The host that was told takes no part in it.
    NotPrepared(PrepRefusal),
    /// It was not created.
    NotCreated(CreateError),
}

/// Refusals for whoever asked in this process; they are nobody else's, so that a restart loses nothing.
#[derive(Debug, Default)]
pub(super) struct Refusals(Mutex<VecDeque<Refusal>>);

impl Refusals {
    pub(super) fn put(&self, refusal: Refusal) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push_back(refusal);
    }
}

impl Conductor {
    /// The same conductor with a door for migrations that nobody planned. Without one, only the store and the fleet's groups
    /// are asked.
    #[must_use]
    pub fn behind(self, gate: Gate) -> Self {
        Self { gate: Some(gate), ..self }
    }

    /// The oldest refusal that nobody has taken up.
    pub fn refusal(&self) -> Option<Refusal> {
        self.refusals.0.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }

    /// Has a move judged, claims its room, creates its migration and casts to the source.
    ///
    /// # Errors
    /// Why there is no migration; nothing was changed.
    pub async fn prepare(&self, prep: &Prep) -> Result<Migration, CreateError> {
        let wanted = Wanted::of(prep)?;
        self.judge(&wanted).await?;
        self.create(&wanted, None, self.terms()).await
    }

    /// A host offers itself as target for an instance somebody wants moved. Said twice, the migration is there already.
    pub(super) async fn hear_wanted(&self, prep: Prep) -> Result<(), StoreError> {
        match self.prepare(&prep).await {
            Ok(_) => Ok(()),
            Err(CreateError::Store(error)) if !error.is_refusal() => Err(error),
            Err(_) if self.is_under_way(&prep).await? => Ok(()),
            Err(refused) => {
                (self.progress)(Progress::NotCreated { prep, why: refused.to_string() });
                self.refusals.put(Refusal::NotCreated(refused));
                Ok(())
            }
        }
    }

    async fn is_under_way(&self, prep: &Prep) -> Result<bool, StoreError> {
        let begun = self.store.unfinished_migration_of(&prep.instance).await?;
        let same = |begun: Migration| {
            *begun.subject.source() == prep.source && Some(begun.subject.target()) == prep.target.as_ref()
        };
        Ok(begun.is_some_and(same))
    }

    async fn judge(&self, wanted: &Wanted<'_>) -> Result<(), CreateError> {
        let mut reasons = match &self.gate {
            Some(gate) => self.ask(gate, wanted).await?,
            None => Vec::new(),
        };
        if reasons.is_empty() {
            let (line, groups) = (wanted.as_move(), self.store.server_groups().await?);
            let objections = self.objections(&line, slice::from_ref(&line), &BTreeSet::new(), &groups).await?;
            reasons.extend(objections.iter().map(|objection| format!("failed to {objection}")));
        }
        if reasons.is_empty() { Ok(()) } else { Err(CreateError::Stays { reasons }) }
    }

    /// What the scheduler has against a move, and the limits.
    async fn ask(&self, gate: &Gate, wanted: &Wanted<'_>) -> Result<Vec<String>, CreateError> {
        let document = self.store.fleet().await?;
        let fleet = Fleet::from_document(document).map_err(|findings| CreateError::BadFleet { findings })?;
        let mut reasons = (gate.scheduler)(&fleet, &request(wanted)).err().unwrap_or_default();
        let unfinished = self.store.unfinished_migrations().await?;
        let under_way: Vec<&Migration> = unfinished.iter().collect();
        reasons.extend(crowded(&wanted.as_move(), &under_way, &gate.limits).map(|wait| wait.to_string()));
        Ok(reasons)
    }
}

/// The question whether an instance may go where somebody else chose that it goes.
fn request(wanted: &Wanted<'_>) -> MoveRequest {
    MoveRequest {
        instance: wanted.instance.clone(),
        target: Some(wanted.target.clone()),
        may_stay: wanted.target == wanted.source,
        mode: Some(wanted.mode),
        flavor: wanted.flavor.cloned(),
    }
}
