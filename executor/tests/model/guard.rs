//! What keeps the six lines, each as something that can be taken away at the seam where it acts.

use decant_executor::agent::decide::{Effect, Found, Verdict, decide, may};
use decant_executor::hypervisor::{Copy, Held};
use decant_executor::step::{IllegalEvent, step};
use decant_schema::cast::{Cast, WorkCast};
use decant_schema::migration::{
    Assurance, Confirm, Generation, Migration, MigrationEvent, MigrationState, Party, Report, Wish, Work,
};
use jiff::Timestamp;

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Guard {
    /// An order older than what a host has obeyed has no effect there.
    Fence,
    /// The fence is looked at again before each single effect.
    FenceBeforeEachEffect,
    /// A report answers to the generation the migration has now.
    ReportsOfThePast,
    /// A record is changed only if it is as it was read.
    CompareAndSet,
    /// A confirmation first has the target looked at.
    LookBeforeConfirm,
    /// What is looked at are the files, not the guest alone.
    LookAtTheFiles,
    /// Before its first instruction at the target it is recorded that the instance has executed there.
    ExecutedMark,
    /// On the way back from where it may have been started, the target goes first.
    TargetGoesFirst,
    /// Before it goes first, the target is asked whether the instance has executed.
    AskWhetherExecuted,
    /// The target compares every digest before it builds.
    VerifyDigests,
    /// The source destroys nothing that runs.
    SpareWhatRuns,
    /// Nothing is removed, built upon or started that the migration neither froze nor built.
    SpareWhatIsNotOurs,
    /// Before the target removes its copy, the source shows its own.
    LookBack,
    /// A source whose copy is lost leaves it to a person instead of trying again.
    LeaveWhatIsLost,
    /// A memory that was not sent along is forgotten before the first start.
    ForgetMemory,
    /// A source begins only with what the migration was made for.
    BeginAsRecorded,
    /// A host obeys only a store that knows all of its lives.
    Incarnation,
    /// A host that has obeyed a later order says so.
    SayOvertaken,
}

impl Guard {
    pub(crate) const ALL: [Self; 18] = [
        Self::Fence,
        Self::FenceBeforeEachEffect,
        Self::ReportsOfThePast,
        Self::CompareAndSet,
        Self::LookBeforeConfirm,
        Self::LookAtTheFiles,
        Self::ExecutedMark,
        Self::TargetGoesFirst,
        Self::AskWhetherExecuted,
        Self::VerifyDigests,
        Self::SpareWhatRuns,
        Self::SpareWhatIsNotOurs,
        Self::LookBack,
        Self::LeaveWhatIsLost,
        Self::ForgetMemory,
        Self::BeginAsRecorded,
        Self::Incarnation,
        Self::SayOvertaken,
    ];
}

/// What follows in the store, without the guard.
pub(crate) fn step_without(
    guard: Option<Guard>,
    migration: &Migration,
    event: MigrationEvent,
) -> Result<(MigrationState, Vec<Cast>), IllegalEvent> {
    let confirms = matches!(event, MigrationEvent::Asked(Wish::Confirm));
    let (state, casts) = step(migration, event, Timestamp::UNIX_EPOCH)?;
    let state = match (guard, state) {
        (Some(Guard::LookBeforeConfirm), MigrationState::VerifyMigration { confirm: Confirm::Due { .. } })
            if confirms =>
        {
            MigrationState::VerifyMigration { confirm: Confirm::Given }
        }
        (
            Some(Guard::LookBack),
            MigrationState::Reverted { turn: Party::Source, then: Some(Party::Target), started: true, seen, outcome },
        ) => MigrationState::Reverted { turn: Party::Target, then: Some(Party::Source), started: true, seen, outcome },
        (
            Some(Guard::TargetGoesFirst),
            MigrationState::Reverted { turn: Party::Source, then: Some(Party::Target), started: true, seen, outcome },
        ) => MigrationState::Reverted { turn: Party::Source, then: Some(Party::Target), started: false, seen, outcome },
        (_, state) => state,
    };
    Ok((state, casts))
}

/// Whether an effect may be had on what is there, without the guard.
pub(crate) fn may_without(guard: Option<Guard>, order: &WorkCast, effect: Effect, now: Held) -> Result<(), String> {
    may(order, effect, &blinded(guard, order, now))
}

/// What is found by one who does not look at what the guard looks at.
fn blinded(guard: Option<Guard>, order: &WorkCast, mut held: Held) -> Held {
    match (guard, &mut held.copy) {
        (Some(Guard::SpareWhatRuns), Copy::Running(facts)) if order.work == Work::DestroySource => {
            held.copy = Copy::Stopped(*facts);
        }
        (Some(Guard::SpareWhatIsNotOurs), Copy::Running(facts) | Copy::Stopped(facts)) => {
            facts.mark = order.subject.begun;
        }
        _ => {}
    }
    held
}

/// What an agent decides, without the guard.
pub(crate) fn decide_without(guard: Option<Guard>, order: &WorkCast, found: &Found) -> Verdict {
    let held = blinded(guard, order, found.held.clone());
    let (mut order, mut found) = (order.clone(), Found { held, ..found.clone() });
    let facts = match &found.held.copy {
        Copy::Running(facts) | Copy::Stopped(facts) => Some(*facts),
        Copy::Nothing | Copy::Incoming => None,
    };
    match (guard, &order.work) {
        (Some(Guard::ExecutedMark), _) => found.held.executed = Generation::default(),
        (Some(Guard::LookAtTheFiles), Work::LookAgain { assurance }) if *assurance != Assurance::Lives => {
            return Verdict::Do(Vec::new(), Report::Seen);
        }
        (Some(Guard::AskWhetherExecuted), Work::CleanTarget { keep_writes, .. }) => {
            order.work = Work::CleanTarget { keep_writes: *keep_writes, unless_executed: false };
        }
        (Some(Guard::BeginAsRecorded), Work::Snapshot) => {
            if let (Some(facts), true) = (facts, order.subject.runs) {
                found.held.copy = Copy::Running(facts);
            } else if let Some(facts) = facts {
                found.held.copy = Copy::Stopped(facts);
            }
        }
        _ => {}
    }
    match (guard, decide(&order, &found)) {
        (Some(Guard::LeaveWhatIsLost), Verdict::Leave(why)) => Verdict::Fail(why),
        (Some(Guard::VerifyDigests), Verdict::Do(effects, report)) => without(effects, Effect::Verify, report),
        (Some(Guard::ForgetMemory), Verdict::Do(effects, report)) => without(effects, Effect::ForgetMemory, report),
        (_, verdict) => verdict,
    }
}

fn without(mut effects: Vec<Effect>, removed: Effect, report: Report) -> Verdict {
    effects.retain(|effect| *effect != removed);
    Verdict::Do(effects, report)
}
