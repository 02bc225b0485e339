//! The whole protocol of a migration, as one pure function: no clock, no store, no messages.
//!
//! The state names whose turn it is; [`step`] says what follows when something happens.
//!
//! | state | whose turn | done → | failed, abort → | others |
//! |---|---|---|---|---|
//! | pre-migrating | source: freeze the disk | migrating | reverted: source, then target | refused → finished (failed) |
//! | migrating | source: copy the base, the guest runs | migrating-step2 | reverted: source, then target | |
//! | migrating-step2 | source: stop, copy the rest | post-migrating | reverted: source, then target | |
//! | post-migrating | target: verify, build, start | verify-migration | reverted: looking back | |
//! | verify-migration, awaited | somebody decides | | | confirm, window ended → due; revert → reverted: looking back |
//! | verify-migration, due | target: look again | given | failed → awaited, by a person | confirm → due; revert → reverted: looking back |
//! | verify-migration, given | source: destroy the old copy | merging, or finished (confirmed) | stays, tried again | |
//! | verify-migration, merging | target: merge the overlay | finished (confirmed) | stays, tried again; after three times finished (confirmed) | |
//! | reverted, looking back | source: find the old copy | target's turn | stays, tried again | undecided → verify-migration, awaited |
//! | reverted, target's turn | target: remove the new copy | source's turn, or finished | stays, tried again | executed, undecided → verify-migration, awaited |
//! | reverted, source's turn | source: run as before | target's turn, or finished | stays, tried again | undecided → verify-migration, awaited |
//! | overtaken | somebody finds out why | | abort → finished | |
//! | finished | nobody | | | |
//!
//! In every state in which it is an agent's turn, a host that has obeyed a later generation leads to overtaken: the store has
//! forgotten what its hosts did since, so it says so and has nothing more done. Calling the migration off ends the record, and
//! changes nothing on any host.
//!
//! An instance that is found shut down by its user stays down from then on: that is recorded, and the same work is cast anew
//! for an instance that does not run.
//!
//! A call to stop that comes before the source has begun starts nothing that is down there: nobody has seen it run.
//!
//! A wish for what a migration comes to anyway casts the same work again, and changes nothing where it has come to it:
//! whoever was interrupted may ask again.
//!
//! Wherever an agent's turn is, the end of its lease casts the same work again and changes nothing else.
//!
//! A source that refuses has found something else than the migration was made for, and has changed nothing: there is no
//! way back to go, and nothing that either host holds is this migration's to remove.
//!
//! **Nobody's word destroys what was not looked at.** A confirmation, a person's too, first has the target show its copy;
//! what is found instead is told to whoever asked. On the way back, the source first shows its own before the target removes
//! anything: where it is lost, what the target has may be all there is, and a person decides. And what has executed at the target is not undone by a failure or by a call
//! to stop: what the guest wrote there is nowhere else, so a person decides, and no window runs.
//!
//! **Undo before, forward after.** A confirmation is the point of no return: the states behind it know no failure.
//! Before the target was told to build, only the source can run the instance, so on the way back the source goes first
//! and the guest does not wait for a target that may be dead. From then on the target may run it, so the target goes
//! first, and the source, which has only looked, starts nothing until the target said that its copy is gone.
//!
//! Exceptions to the table: a resize in place has one host, so its way back is the source's alone and its confirmation
//! destroys nothing, so it is given without a look; a rebuild has no source to do anything, so it begins in post-migrating, its way back is the
//! target's alone, and its confirmation destroys nothing either; a live move is confirmed by arriving, since its source keeps
//! nothing that could run again.

use decant_schema::cast::{Cast, Prep, PrepRefusal, WorkCast};
use decant_schema::id::HostName;
use decant_schema::migration::{
    Assurance, Awaits, Cause, Confirm, Generation, Manifest, Migration, MigrationEvent, MigrationOutcome,
    MigrationState, Overtaken, Party, Report, Subject, Wish,
};
use decant_schema::plan::MoveMode;
use jiff::{SignedDuration, Timestamp};
use thiserror::Error;

/// How often a target tries to merge what arrived. An overlay does no harm: it is merged by the next snapshot.
const MERGES_MAX: u32 = 3;

/// Something happened that cannot happen in this state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("accept {event} in state {state}")]
pub struct IllegalEvent {
    /// The state.
    pub state: &'static str,
    /// The event.
    pub event: &'static str,
}

/// What follows when `event` happens to `migration`: its next state, and what to cast once that is stored.
///
/// The returned casts carry the generation the migration has *after* the change; the same state returned, and the same
/// [`subject_of`], mean that nothing changed but that the actor is reminded. Fails when the event does not belong to the state.
pub fn step(
    migration: &Migration,
    event: MigrationEvent,
    now: Timestamp,
) -> Result<(MigrationState, Vec<Cast>), IllegalEvent> {
    let subject = subject_of(migration, &event);
    let next = next_state(migration, event, now)?;
    let (changed, reminded) = match next {
        Next::Enter(state) => (state, true),
        Next::EnterQuietly(state) => (state, false),
        Next::Remind => (migration.state.clone(), true),
        Next::Keep => (migration.state.clone(), false),
    };
    let same = changed == migration.state && subject == migration.subject;
    let generation = if same { migration.generation } else { migration.generation.next() };
    let after = Migration { state: changed, subject, generation, ..migration.clone() };
    let casts = if reminded { work_cast(&after, now).into_iter().collect() } else { Vec::new() };
    Ok((after.state, casts))
}

enum Next {
    /// Another state.
    Enter(MigrationState),
    /// Another state, and its actor is told when its lease ends.
    EnterQuietly(MigrationState),
    /// The same, and its actor is told again.
    Remind,
    /// The same; its actor is told again when its lease ends.
    Keep,
}

fn next_state(migration: &Migration, event: MigrationEvent, now: Timestamp) -> Result<Next, IllegalEvent> {
    use MigrationEvent::{Asked, LeaseEnded, Reported, WindowEnded};
    let subject = &migration.subject;
    if let (Reported(Report::Overtaken { by }), Awaits::Agent { .. }) = (&event, migration.turn()) {
        return Ok(overtaken(migration, by));
    }
    if let (Reported(Report::PoweredOff), Awaits::Agent { .. }) = (&event, migration.turn()) {
        return Ok(Next::Remind);
    }
    let illegal = IllegalEvent { state: migration.state.name(), event: event.name() };
    let back = |outcome| Next::Enter(way_back(subject, &migration.state, outcome));
    let next = match &migration.state {
        MigrationState::PreMigrating => match event {
            Reported(Report::Snapshotted) => Next::Enter(MigrationState::Migrating),
            Reported(Report::Refused { .. }) => finished(MigrationOutcome::Failed),
            Reported(Report::Failed { .. }) => back(MigrationOutcome::Failed),
            Asked(Wish::Abort) => back(MigrationOutcome::Aborted),
            LeaseEnded => Next::Remind,
            _ => return Err(illegal),
        },
        MigrationState::Migrating => match event {
            Reported(Report::BaseCopied { copied }) => Next::Enter(MigrationState::MigratingStep2 { copied }),
            Reported(Report::Failed { .. }) => back(MigrationOutcome::Failed),
            Asked(Wish::Abort) => back(MigrationOutcome::Aborted),
            LeaseEnded => Next::Remind,
            _ => return Err(illegal),
        },
        MigrationState::MigratingStep2 { copied: base } => match event {
            Reported(Report::RestCopied { copied }) => {
                let manifest: Manifest = base.clone().into_iter().chain(copied).collect();
                Next::Enter(MigrationState::PostMigrating { manifest })
            }
            Reported(Report::Failed { .. }) => back(MigrationOutcome::Failed),
            Asked(Wish::Abort) => back(MigrationOutcome::Aborted),
            LeaseEnded => Next::Remind,
            _ => return Err(illegal),
        },
        MigrationState::PostMigrating { .. } => match event {
            Reported(Report::Started { but: None }) => Next::Enter(arrived(migration, now)),
            Reported(Report::Started { but: Some(_) }) => Next::Enter(AWAITED),
            Reported(Report::Failed { .. }) => back(MigrationOutcome::Failed),
            Asked(Wish::Abort) => back(MigrationOutcome::Aborted),
            LeaseEnded => Next::Remind,
            _ => return Err(illegal),
        },
        MigrationState::VerifyMigration { confirm: Confirm::Awaited { .. } } => match event {
            Asked(Wish::Confirm) => Next::Enter(due(subject, Assurance::Runs)),
            Asked(Wish::ConfirmAnyway) => Next::Enter(due(subject, Assurance::Whole)),
            WindowEnded => Next::Enter(due(subject, Assurance::Lives)),
            Asked(Wish::Revert) => back(MigrationOutcome::Reverted),
            _ => return Err(illegal),
        },
        MigrationState::VerifyMigration { confirm: Confirm::Due { assurance } } => match event {
            Reported(Report::Seen) => Next::Enter(confirmed(subject)),
            Reported(Report::Failed { .. }) => Next::Enter(AWAITED),
            // Asked again, it is looked for what the last one who asks wants to see.
            Asked(Wish::Confirm) if *assurance == Assurance::Runs => Next::Remind,
            Asked(Wish::ConfirmAnyway) if *assurance == Assurance::Whole => Next::Remind,
            Asked(Wish::Confirm) => Next::Enter(due(subject, Assurance::Runs)),
            Asked(Wish::ConfirmAnyway) => Next::Enter(due(subject, Assurance::Whole)),
            Asked(Wish::Revert) => back(MigrationOutcome::Reverted),
            LeaseEnded => Next::Remind,
            _ => return Err(illegal),
        },
        MigrationState::VerifyMigration { confirm: Confirm::Given } => match event {
            Reported(Report::SourceDestroyed) => source_destroyed(subject),
            Reported(Report::Failed { .. }) => Next::Keep,
            Asked(Wish::Confirm | Wish::ConfirmAnyway) | LeaseEnded => Next::Remind,
            _ => return Err(illegal),
        },
        MigrationState::VerifyMigration { confirm: Confirm::Merging { failed } } => match event {
            Reported(Report::Merged) => finished(MigrationOutcome::Confirmed),
            Reported(Report::Failed { .. }) => merge_failed(*failed),
            Asked(Wish::Confirm | Wish::ConfirmAnyway) | LeaseEnded => Next::Remind,
            _ => return Err(illegal),
        },
        MigrationState::Reverted { turn: Party::Source, then: Some(Party::Target), started: true, seen, outcome } => {
            match event {
                Reported(Report::Seen) => Next::Enter(MigrationState::Reverted {
                    turn: Party::Target,
                    then: Some(Party::Source),
                    started: true,
                    seen: *seen,
                    outcome: *outcome,
                }),
                Reported(Report::Undecided { .. }) => Next::Enter(AWAITED),
                Reported(Report::Failed { .. }) => Next::Keep,
                LeaseEnded => Next::Remind,
                Asked(wish) if wish.outcome() == *outcome => Next::Remind,
                _ => return Err(illegal),
            }
        }
        MigrationState::Reverted { turn, then, started, seen, outcome } => match (event, turn) {
            (Reported(Report::TargetCleaned), Party::Target) | (Reported(Report::SourceRestored), Party::Source) => {
                match then {
                    None => finished(*outcome),
                    Some(turn) => Next::Enter(MigrationState::Reverted {
                        turn: *turn,
                        then: None,
                        started: *started,
                        seen: *seen,
                        outcome: *outcome,
                    }),
                }
            }
            (Reported(Report::Executed), Party::Target) | (Reported(Report::Undecided { .. }), _) => {
                Next::Enter(AWAITED)
            }
            (Reported(Report::Failed { .. }), _) => Next::Keep,
            (LeaseEnded, _) => Next::Remind,
            (Asked(wish), _) if wish.outcome() == *outcome => Next::Remind,
            _ => return Err(illegal),
        },
        MigrationState::Overtaken { stood, .. } => match event {
            Asked(Wish::Abort) => finished(left_as_it_is(*stood)),
            _ => return Err(illegal),
        },
        MigrationState::Finished { outcome } => match event {
            Asked(wish) if wish.outcome() == *outcome => Next::Keep,
            _ => return Err(illegal),
        },
    };
    Ok(next)
}

/// Arrived, and a person decides.
const AWAITED: MigrationState = MigrationState::VerifyMigration { confirm: Confirm::Awaited { automatic_at: None } };

fn finished(outcome: MigrationOutcome) -> Next {
    Next::Enter(MigrationState::Finished { outcome })
}

fn overtaken(migration: &Migration, by: &Overtaken) -> Next {
    Next::Enter(MigrationState::Overtaken { by: by.clone(), stood: migration.state.stands_at() })
}

/// The outcome that leaves the instance on record where it was.
fn left_as_it_is(stood: Party) -> MigrationOutcome {
    match stood {
        Party::Source => MigrationOutcome::Aborted,
        Party::Target => MigrationOutcome::Confirmed,
    }
}

/// The source's copy is gone. Only a disk that was copied arrived in two layers.
fn source_destroyed(subject: &Subject) -> Next {
    if subject.copies_disk() {
        Next::Enter(MigrationState::VerifyMigration { confirm: Confirm::Merging { failed: 0 } })
    } else {
        finished(MigrationOutcome::Confirmed)
    }
}

fn merge_failed(so_far: u32) -> Next {
    let failed = so_far + 1;
    if failed < MERGES_MAX {
        Next::EnterQuietly(MigrationState::VerifyMigration { confirm: Confirm::Merging { failed } })
    } else {
        finished(MigrationOutcome::Confirmed)
    }
}

/// The target runs the instance.
fn arrived(migration: &Migration, now: Timestamp) -> MigrationState {
    if migration.subject.mode == MoveMode::Live {
        return confirmed(&migration.subject);
    }
    let automatic_at = migration.terms.confirm_after_ms.map(|after_ms| after(now, after_ms));
    MigrationState::VerifyMigration { confirm: Confirm::Awaited { automatic_at } }
}

/// The instance stays.
fn confirmed(subject: &Subject) -> MigrationState {
    if subject.in_place() || subject.mode == MoveMode::Rebuild {
        MigrationState::Finished { outcome: MigrationOutcome::Confirmed }
    } else {
        MigrationState::VerifyMigration { confirm: Confirm::Given }
    }
}

/// The instance is wanted to stay. The last thing that leads back is not destroyed for a copy that may be gone.
fn due(subject: &Subject, assurance: Assurance) -> MigrationState {
    match confirmed(subject) {
        MigrationState::VerifyMigration { .. } => {
            MigrationState::VerifyMigration { confirm: Confirm::Due { assurance } }
        }
        destroys_nothing => destroys_nothing,
    }
}

/// The beginning of the way back from `state`. Where the target was told to build, the source first looks whether there is
/// anything to go back to.
fn way_back(subject: &Subject, state: &MigrationState, outcome: MigrationOutcome) -> MigrationState {
    let started = matches!(state, MigrationState::PostMigrating { .. } | MigrationState::VerifyMigration { .. });
    let (turn, then) = if subject.in_place() {
        (Party::Source, None)
    } else if subject.mode == MoveMode::Rebuild {
        (Party::Target, None)
    } else {
        (Party::Source, Some(Party::Target))
    };
    let seen = *state != MigrationState::PreMigrating || outcome != MigrationOutcome::Aborted;
    MigrationState::Reverted { turn, then, started, seen, outcome }
}

/// Whether what `host` reports for `generation` answers to what the migration asks of it now.
pub fn is_awaited(migration: &Migration, host: &HostName, generation: Generation) -> bool {
    let its_turn = matches!(migration.turn(), Awaits::Agent { host: agent, .. } if agent == *host);
    its_turn && generation == migration.generation
}

/// Who moves once `event` has happened: an instance that its user has shut down stays down, wherever its migration ends.
pub fn subject_of(migration: &Migration, event: &MigrationEvent) -> Subject {
    let powered_off = matches!(event, MigrationEvent::Reported(Report::PoweredOff));
    Subject { runs: migration.subject.runs && !powered_off, ..migration.subject.clone() }
}

/// What the record keeps as the reason of what `event` leads to; none: what it kept before.
pub fn cause_of(migration: &Migration, event: &MigrationEvent) -> Option<Cause> {
    match event {
        MigrationEvent::Reported(
            Report::Failed { cause }
            | Report::Refused { cause }
            | Report::Undecided { cause }
            | Report::Started { but: Some(cause) },
        ) => Some(cause.clone()),
        MigrationEvent::Reported(Report::Executed) => {
            Some(Cause::Executed { host: migration.subject.target().clone() })
        }
        MigrationEvent::Asked(wish @ (Wish::Revert | Wish::Abort)) => Some(Cause::Asked { wish: *wish }),
        MigrationEvent::Reported(_)
        | MigrationEvent::Asked(Wish::Confirm | Wish::ConfirmAnyway)
        | MigrationEvent::WindowEnded
        | MigrationEvent::LeaseEnded => None,
    }
}

/// The cast that asks the actor whose turn it is for its work; none when nobody's turn it is or a person's.
pub fn work_cast(migration: &Migration, now: Timestamp) -> Option<Cast> {
    let Awaits::Agent { host, work } = migration.turn() else { return None };
    Some(Cast::Work(Box::new(WorkCast {
        to: host,
        migration: migration.id,
        generation: migration.generation,
        lease_until: after(now, migration.terms.lease_ms),
        subject: migration.subject.clone(),
        patience: migration.terms.patience,
        work,
    })))
}

fn after(now: Timestamp, ms: u32) -> Timestamp {
    now.checked_add(SignedDuration::from_millis(i64::from(ms))).unwrap_or(Timestamp::MAX)
}

/// What a host does that is asked to prepare a migration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// It is the source and a target is chosen: it begins.
    Begin,
    /// It is the target: it has the migration created with itself as target, and passes the cast on to the source.
    Proxy(Prep),
}

/// Both ways into a migration: the caller's scheduler chose a target, or it cast to the target and leaves the rest to us.
pub fn enter(me: &HostName, prep: &Prep) -> Result<Entry, PrepRefusal> {
    match (*me == prep.source, &prep.target) {
        (true, Some(_)) => Ok(Entry::Begin),
        (true, None) => Err(PrepRefusal::NoTarget { source_host: me.clone() }),
        (false, Some(target)) if target != me => {
            let (source_host, target) = (prep.source.clone(), target.clone());
            Err(PrepRefusal::Neither { host: me.clone(), source_host, target })
        }
        (false, _) => Ok(Entry::Proxy(Prep { target: Some(me.clone()), ..prep.clone() })),
    }
}

#[cfg(test)]
mod tests;
