//! The only writer of migrations: reads one, asks [`step`] what follows, stores it, then casts.
//!
//! Nothing is kept in memory that a restart would lose: a conductor that was killed is replaced by a new one that finds
//! the same migrations in the store, and whose agents' silence is over at the latest when their leases are. Recovery
//! is the same loop.

mod around;
mod create;
mod death;
mod gate;
mod scope;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use decant_schema::cast::{Cast, Notification};
use decant_schema::id::HostName;
use decant_schema::migration::{
    Awaits, Figures, Generation, Migration, MigrationEvent, MigrationId, MigrationState, Report, Wish,
};
use decant_schema::store::{Store, StoreError};
use jiff::Timestamp;
use thiserror::Error;
use tracing::debug;

use crate::bus::Bus;
use crate::clock::Clock;
use crate::progress::{Progress, ProgressSink};
use crate::step::{IllegalEvent, cause_of, is_awaited, step, subject_of, work_cast};

pub use create::{CreateError, move_of};
pub use gate::{Gate, Refusal};
pub use scope::Scope;

use gate::Refusals;

/// The conductor.
pub struct Conductor {
    store: Store,
    scope: Scope,
    gate: Option<Gate>,
    refusals: Refusals,
    bus: Arc<dyn Bus>,
    clock: Arc<dyn Clock>,
    progress: ProgressSink,
}

/// Why the conductor did not do what it was asked.
#[derive(Debug, Error)]
pub enum ConductError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The wish does not fit the migration's state.
    #[error(transparent)]
    Illegal(#[from] IllegalEvent),
}

impl Conductor {
    /// A conductor of this store. There must be no other.
    pub fn new(store: Store, bus: Arc<dyn Bus>, clock: Arc<dyn Clock>, progress: ProgressSink) -> Self {
        Self { store, scope: Scope::Everything, gate: None, refusals: Refusals::default(), bus, clock, progress }
    }

    /// The same conductor, that conducts these migrations and leaves all others as they are.
    #[must_use]
    pub fn within(self, scope: Scope) -> Self {
        Self { scope, ..self }
    }

    /// The store it conducts.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Takes in what an agent says. What does not fit what is stored changes nothing; fails only if the store does.
    pub async fn hear(&self, notification: Notification) -> Result<(), StoreError> {
        unless_refused(self.take_in(notification).await)
    }

    /// Takes in many things in their order, but the questions for unfinished work together: each is answered from all
    /// migrations there are.
    pub async fn hear_all(&self, said: Vec<Notification>) -> Result<(), StoreError> {
        let mut ready = BTreeSet::new();
        for notification in said {
            match notification {
                Notification::Ready { host } => _ = ready.insert(host),
                other => self.hear(other).await?,
            }
        }
        if ready.is_empty() { Ok(()) } else { unless_refused(self.remind(|agent, _| ready.contains(agent)).await) }
    }

    async fn take_in(&self, notification: Notification) -> Result<(), StoreError> {
        match notification {
            Notification::Report { host, migration, generation, report, figures } => {
                self.hear_report(&host, migration, generation, report, figures).await
            }
            Notification::Progress { host, migration, generation, file, bytes } => {
                (self.progress)(Progress::Copying { migration, file, bytes });
                self.hear_sign_of_life(&host, migration, generation).await
            }
            Notification::AtWork { host, migration, generation } => {
                self.hear_sign_of_life(&host, migration, generation).await
            }
            Notification::Ready { host } => self.remind(|agent, _| *agent == host).await,
            Notification::Wanted { host: _, prep } => self.hear_wanted(prep).await,
            Notification::Refused { host, prep, reason } => {
                (self.progress)(Progress::Refused { prep, host, reason: reason.clone() });
                self.refusals.put(Refusal::NotPrepared(reason));
                Ok(())
            }
        }
    }

    /// Carries out what somebody wants of a migration, as far as that is one state change.
    pub async fn wish(&self, id: MigrationId, wish: Wish) -> Result<Migration, ConductError> {
        let migration = self.store.migration(id).await?;
        self.advance(&migration, MigrationEvent::Asked(wish), Figures::default()).await
    }

    /// Takes up the wishes other processes left in the store, and answers each.
    pub async fn grant_wishes(&self) -> Result<(), StoreError> {
        for entry in self.store.open_wishes().await? {
            if !self.scope.covers(&self.store.migration(entry.migration).await?) {
                continue;
            }
            let answer = match self.wish(entry.migration, entry.wish).await {
                Ok(_) => String::new(),
                Err(ConductError::Illegal(illegal)) => illegal.to_string(),
                Err(ConductError::Store(error)) => return Err(error),
            };
            self.store.answer_wish(entry.number, &answer).await?;
        }
        Ok(())
    }

    /// Does what time alone brings: takes the turns of hosts that were declared dead, confirms what has waited long enough,
    /// and casts again to whoever has been silent for its lease.
    pub async fn tick(&self) -> Result<(), StoreError> {
        self.act_for_the_dead().await?;
        let now = self.clock.now();
        for migration in self.unfinished().await? {
            if let Awaits::Decision { automatic_at: Some(at) } = migration.turn()
                && at <= now
            {
                self.advance_if_legal(&migration, MigrationEvent::WindowEnded, Figures::default()).await?;
            }
        }
        self.remind(|_, migration| migration.lease_until.is_none_or(|until| until <= now)).await
    }

    /// The unfinished migrations within its scope.
    async fn unfinished(&self) -> Result<Vec<Migration>, StoreError> {
        let mut unfinished = self.store.unfinished_migrations().await?;
        unfinished.retain(|migration| self.scope.covers(migration));
        Ok(unfinished)
    }

    async fn hear_report(
        &self,
        host: &HostName,
        id: MigrationId,
        generation: Generation,
        report: Report,
        figures: Figures,
    ) -> Result<(), StoreError> {
        let migration = self.store.migration(id).await?;
        if !is_awaited(&migration, host, generation) {
            debug!(%host, migration = %id, %generation, report = report.name(), "refused a report that came too late");
            return Ok(());
        }
        self.advance_if_legal(&migration, MigrationEvent::Reported(report), figures).await
    }

    /// Whoever copies is not silent: its lease is renewed once half of it is over.
    async fn hear_sign_of_life(
        &self,
        host: &HostName,
        id: MigrationId,
        generation: Generation,
    ) -> Result<(), StoreError> {
        let migration = self.store.migration(id).await?;
        if !is_awaited(&migration, host, generation) {
            return Ok(());
        }
        let now = self.clock.now();
        let lease = Duration::from_millis(migration.terms.lease_ms.into());
        let half_over = migration.lease_until.is_none_or(|until| until <= later(now, lease / 2));
        if half_over {
            let renewed = Migration { lease_until: Some(later(now, lease)), ..migration.clone() };
            self.store.change_migration(&migration, &renewed, "sign of life", now).await?;
        }
        Ok(())
    }

    /// Casts again to the agents of all unfinished migrations that `chosen` says.
    async fn remind(&self, chosen: impl Fn(&HostName, &Migration) -> bool) -> Result<(), StoreError> {
        for migration in self.unfinished().await? {
            let Awaits::Agent { host, .. } = migration.turn() else { continue };
            if !chosen(&host, &migration) {
                continue;
            }
            if migration.lease_until.is_some_and(|until| until <= self.clock.now()) {
                (self.progress)(Progress::Silent { host, migration: migration.id });
            }
            self.advance_if_legal(&migration, MigrationEvent::LeaseEnded, Figures::default()).await?;
        }
        Ok(())
    }

    /// Agents that say what does not fit are not obeyed, and nobody else is harmed by it.
    async fn advance_if_legal(
        &self,
        before: &Migration,
        event: MigrationEvent,
        figures: Figures,
    ) -> Result<(), StoreError> {
        match self.advance(before, event, figures).await {
            Ok(_) => Ok(()),
            Err(ConductError::Illegal(illegal)) => {
                debug!(migration = %before.id, %illegal, "refused an event");
                Ok(())
            }
            Err(ConductError::Store(error)) => Err(error),
        }
    }

    /// One step: what follows is stored, and only then cast.
    async fn advance(
        &self,
        before: &Migration,
        event: MigrationEvent,
        figures: Figures,
    ) -> Result<Migration, ConductError> {
        let now = self.clock.now();
        let (name, cause, subject) = (event.name(), cause_of(before, &event), subject_of(before, &event));
        let (state, casts) = step(before, event, now)?;
        if before.state.outcome().is_some() {
            // Its instance may be in another migration by now: not even the same is written again.
            return Ok(before.clone());
        }
        let changed = state != before.state || subject != before.subject;
        let after = Migration {
            figures: add_figures(before, &state, figures, now),
            generation: if changed { before.generation.next() } else { before.generation },
            lease_until: casts.iter().find_map(lease_of).or(before.lease_until),
            updated_at: if changed { now } else { before.updated_at },
            cause: cause.clone().or_else(|| before.cause.clone()),
            state,
            subject,
            ..before.clone()
        };
        self.store.change_migration(before, &after, name, now).await?;
        for cast in casts {
            self.bus.cast(cast).await;
        }
        if changed || cause.is_some() {
            (self.progress)(Progress::Changed { migration: Box::new(after.clone()) });
        }
        Ok(after)
    }

    /// Casts a migration's first work.
    async fn cast_first(&self, migration: &Migration) -> Result<(), StoreError> {
        let now = self.clock.now();
        let cast = work_cast(migration, now);
        let leased = Migration { lease_until: cast.as_ref().and_then(lease_of), ..migration.clone() };
        self.store.change_migration(migration, &leased, "cast", now).await?;
        if let Some(cast) = cast {
            self.bus.cast(cast).await;
        }
        (self.progress)(Progress::Changed { migration: Box::new(leased) });
        Ok(())
    }
}

/// What the store refuses since it does not fit is no failure of the store.
fn unless_refused(done: Result<(), StoreError>) -> Result<(), StoreError> {
    match done {
        Err(refused) if refused.is_refusal() => {
            debug!(%refused, "refused what an agent said");
            Ok(())
        }
        done => done,
    }
}

fn lease_of(cast: &Cast) -> Option<Timestamp> {
    match cast {
        Cast::Work(work) => Some(work.lease_until),
        Cast::Prep { .. } => None,
    }
}

/// Adds what a work cost. A guest whose stop or start nobody reported, because the report was lost and the work
/// repeated, is counted as down from the earliest and until the latest moment it can have been.
fn add_figures(before: &Migration, state: &MigrationState, reported: Figures, now: Timestamp) -> Figures {
    let so_far = before.figures;
    let stopped = matches!(state, MigrationState::PostMigrating { .. }) && before.subject.runs;
    let started = matches!(state, MigrationState::VerifyMigration { .. }) && before.subject.runs;
    let earliest = stopped.then_some(before.updated_at);
    let latest = (started && so_far.started_at.is_none()).then_some(now);
    Figures {
        bytes: so_far.bytes.saturating_add(reported.bytes),
        stopped_at: so_far.stopped_at.or(reported.stopped_at).or(earliest),
        started_at: reported.started_at.or(so_far.started_at).or(latest),
        cut_off_at: so_far.cut_off_at.or(reported.cut_off_at),
    }
}

fn later(now: Timestamp, by: Duration) -> Timestamp {
    now.checked_add(by).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
