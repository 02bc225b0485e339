//! Which moves of a plan may start now. Pure: the plan, how far its moves are, and the limits go in.
//!
//! `after` is the plan's promise: the room a move needs may be another's until that one has ended for good, which is
//! when it is confirmed. A move that was undone never gave its room, so what waits for it never starts: the rest is
//! to be planned again.

mod objection;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use decant_schema::id::{HostName, MoveId};
use decant_schema::migration::{Confirm, Migration, MigrationOutcome, MigrationState};
use decant_schema::plan::{Move, Plan};

pub use objection::{Objection, Surroundings, objections};

/// How much may go on at once.
#[derive(Clone, Debug)]
pub struct AdmitLimits {
    /// Migrations a host takes part in, as source or target, for hosts not listed.
    pub per_host: u32,
    /// The same for hosts that say so themselves.
    pub by_host: BTreeMap<HostName, u32>,
    /// Migrations in the whole fleet; none: no limit.
    pub in_fleet: Option<u32>,
}

impl AdmitLimits {
    fn of(&self, host: &HostName) -> u32 {
        // A limit of none at all would leave the plan hanging without a word.
        self.by_host.get(host).copied().unwrap_or(self.per_host).max(1)
    }
}

/// Why a move has not started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wait {
    /// Moves before it are under way or have not started either.
    Before {
        /// Which.
        moves: Vec<MoveId>,
    },
    /// Moves before it have arrived, and somebody must confirm them.
    Confirmation {
        /// Which.
        moves: Vec<MoveId>,
    },
    /// Moves before it were undone or refused: it never starts.
    Undone {
        /// Which.
        moves: Vec<MoveId>,
    },
    /// The world is not as planned: it never starts.
    Refused {
        /// In what it differs.
        why: String,
    },
    /// A host takes part in as many migrations as it may.
    HostBusy {
        /// Which.
        host: HostName,
    },
    /// The fleet has as many migrations as it may.
    FleetBusy,
}

impl fmt::Display for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |moves: &[MoveId]| moves.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        match self {
            Self::Before { moves } => write!(f, "waits for the end of move {}", list(moves)),
            Self::Confirmation { moves } => write!(f, "waits until move {} is confirmed", list(moves)),
            Self::Undone { moves } => write!(f, "does not start: move {} before it was undone or refused", list(moves)),
            Self::Refused { why } => write!(f, "does not start: failed to {why}"),
            Self::HostBusy { host } => write!(f, "waits: {host} takes part in as many migrations as it may"),
            Self::FleetBusy => write!(f, "waits: the fleet has as many migrations as it may"),
        }
    }
}

/// What may start, and what the others wait for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Admission {
    /// Moves that may start now, in the plan's order.
    pub start: Vec<MoveId>,
    /// Moves that have not started and may not yet, or never.
    pub waits: BTreeMap<MoveId, Wait>,
}

/// Decides for every move of `plan` that has no migration yet. `migrations` are the plan's own, by move; `elsewhere`
/// those of others that are unfinished, which count against the limits too; `refused` are moves that were tried, and
/// why they could not begin.
pub fn admit(
    plan: &Plan,
    migrations: &BTreeMap<MoveId, &Migration>,
    elsewhere: &[&Migration],
    refused: &BTreeMap<MoveId, String>,
    limits: &AdmitLimits,
) -> Admission {
    let mut load = Load::of(migrations.values().chain(elsewhere).copied());
    let mut admission = Admission::default();
    let before = predecessors(plan);
    let undone = never_starting(plan, &before, migrations, refused);
    for line in plan.moves.iter().filter(|line| !migrations.contains_key(&line.id)) {
        let refused = refused.get(&line.id).map(|why| Wait::Refused { why: why.clone() });
        let before = || wait_before(&before[&line.id], migrations, &undone);
        match refused.or_else(before).or_else(|| load.wait(line, limits)) {
            Some(wait) => _ = admission.waits.insert(line.id, wait),
            None => {
                load.add(&line.source, &line.target);
                admission.start.push(line.id);
            }
        }
    }
    admission
}

/// The moves that will not be made: undone, refused, or after one that was, however indirectly.
pub fn never_made(
    plan: &Plan,
    migrations: &BTreeMap<MoveId, &Migration>,
    refused: &BTreeMap<MoveId, String>,
) -> BTreeSet<MoveId> {
    never_starting(plan, &predecessors(plan), migrations, refused)
}

/// Whether a move that is no line of a plan must not start yet, since as many migrations are under way as may be.
pub fn crowded(line: &Move, under_way: &[&Migration], limits: &AdmitLimits) -> Option<Wait> {
    Load::of(under_way.iter().copied()).wait(line, limits)
}

/// Migrations under way, by host and in all.
#[derive(Default)]
struct Load {
    by_host: BTreeMap<HostName, u32>,
    in_fleet: u32,
}

impl Load {
    fn of<'a>(migrations: impl Iterator<Item = &'a Migration>) -> Self {
        let mut load = Self::default();
        for migration in migrations.filter(|migration| is_at_work(migration)) {
            load.add(migration.subject.source(), migration.subject.target());
        }
        load
    }

    fn add(&mut self, source: &HostName, target: &HostName) {
        self.in_fleet += 1;
        *self.by_host.entry(source.clone()).or_default() += 1;
        if target != source {
            *self.by_host.entry(target.clone()).or_default() += 1;
        }
    }

    fn wait(&self, line: &Move, limits: &AdmitLimits) -> Option<Wait> {
        if limits.in_fleet.is_some_and(|most| self.in_fleet >= most.max(1)) {
            return Some(Wait::FleetBusy);
        }
        let busy = |host: &&HostName| self.by_host.get(host.as_str()).copied().unwrap_or(0) >= limits.of(host);
        [&line.source, &line.target].into_iter().find(busy).map(|host| Wait::HostBusy { host: host.clone() })
    }
}

/// Whether a migration uses its hosts' network and disks; one that waits for a person does not.
pub(crate) fn is_at_work(migration: &Migration) -> bool {
    !matches!(
        migration.state,
        MigrationState::Finished { .. } | MigrationState::VerifyMigration { confirm: Confirm::Awaited { .. } }
    )
}

fn wait_before(
    before: &[MoveId],
    migrations: &BTreeMap<MoveId, &Migration>,
    undone: &BTreeSet<MoveId>,
) -> Option<Wait> {
    let chosen = |filter: &dyn Fn(&MoveId) -> bool| -> Vec<MoveId> { before.iter().copied().filter(filter).collect() };
    let never = chosen(&|id| undone.contains(id));
    if !never.is_empty() {
        return Some(Wait::Undone { moves: never });
    }
    let unfinished = |id: &MoveId| migrations.get(id).is_none_or(|migration| migration.state.outcome().is_none());
    let arrived = |id: &MoveId| {
        migrations.get(id).is_some_and(|migration| {
            matches!(migration.state, MigrationState::VerifyMigration { confirm: Confirm::Awaited { .. } })
        })
    };
    let working = chosen(&|id| unfinished(id) && !arrived(id));
    if !working.is_empty() {
        return Some(Wait::Before { moves: working });
    }
    let moves = chosen(&arrived);
    (!moves.is_empty()).then_some(Wait::Confirmation { moves })
}

/// The moves each move waits for: those it names, and the one of the same instance before it.
fn predecessors(plan: &Plan) -> BTreeMap<MoveId, Vec<MoveId>> {
    let mut last = BTreeMap::new();
    let before = |line: &Move| {
        let same = last.insert(line.instance.clone(), line.id);
        let mut before: Vec<MoveId> = line.after.iter().copied().chain(same).collect();
        before.sort_unstable();
        before.dedup();
        (line.id, before)
    };
    plan.moves.iter().map(before).collect()
}

/// The moves that were undone or refused, and those that wait for them, however indirectly.
fn never_starting(
    plan: &Plan,
    before: &BTreeMap<MoveId, Vec<MoveId>>,
    migrations: &BTreeMap<MoveId, &Migration>,
    refused: &BTreeMap<MoveId, String>,
) -> BTreeSet<MoveId> {
    let undone = migrations
        .iter()
        .filter(|(_, migration)| {
            migration.state.outcome().is_some_and(|came_to| came_to != MigrationOutcome::Confirmed)
        })
        .map(|(id, _)| *id);
    let mut never: BTreeSet<MoveId> = undone.chain(refused.keys().copied()).collect();
    // The plan's lines stand in an order in which they can be done: one pass reaches every follower.
    for line in plan.moves.iter().filter(|line| !migrations.contains_key(&line.id)) {
        if before[&line.id].iter().any(|id| never.contains(id)) {
            never.insert(line.id);
        }
    }
    never
}

#[cfg(test)]
mod tests;
