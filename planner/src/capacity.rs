//! The capacity report: a dry run of every host's evacuation and failure, without planning each from scratch.
//!
//! One [`Problem`] in which nothing is asked serves all hosts. For each, its instances are fitted into the headroom as
//! it is ([`direct`]): a few comparisons each, undone afterwards. Only a host that fails this gets a placement of its
//! own ([`emptying`]), from a copy of the same numbers. Hosts are tried in parallel and reported in their order.

mod emptying;
mod failures;
mod growth;
mod what_if;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use decant_schema::fleet::{Fleet, Resources};
use decant_schema::plan::StoppedBy;
use decant_schema::report::{self, CapacityReport, ClassTotal, Emptying, HostCapacity, Unknown};
use decant_schema::request::{Options, Request, RequestKind};

use crate::Limits;
use crate::placement::Placed;
use crate::problem::{HostIdx, Problem};

use std::panic::{AssertUnwindSafe, catch_unwind};

pub(crate) use emptying::emptied;
pub(crate) use failures::spares;

/// Time until which it is found out which hosts can be emptied, and then which may fail, percent; the rest is for changes of
/// the fleet.
const EMPTYING_PERCENT: u32 = 60;
const FAILURES_PERCENT: u32 = 80;

/// Reports what a fleet can still take, and which of its hosts can be emptied or lost.
///
/// `options` count as in a plan: what is excluded receives nothing, what is pinned stays, headroom is kept.
pub fn report(fleet: Arc<Fleet>, options: Options, limits: &Limits<'_>) -> CapacityReport {
    let problem = nothing_asked(fleet, options);
    let limits = &limits.for_a_trial();
    let emptying = emptying::of_every_host(&problem, &limits.percent(EMPTYING_PERCENT));
    CapacityReport {
        format: report::FORMAT.to_owned(),
        fleet_digest: problem.fleet.digest(),
        captured_at: problem.fleet.document().captured_at,
        options: problem.request.options.clone(),
        classes: class_totals(&problem),
        failures: failures::failures(&problem, &emptying, &limits.percent(FAILURES_PERCENT)),
        stranded: growth::stranded(&problem),
        flavors: growth::flavor_rooms(&problem),
        what_if: what_if::what_if(&problem, &emptying, limits),
        hosts: (0..problem.hosts.len())
            .map(HostIdx::new)
            .zip(emptying)
            .map(|(at, emptying)| host_capacity(&problem, at, emptying))
            .collect(),
    }
}

/// A part of a report that takes placements: one that fails or has no time leaves the others as they are.
fn attempt<T>(limits: &Limits<'_>, part: impl FnOnce() -> T) -> Result<T, Unknown> {
    if limits.out_of_time() {
        return Err(Unknown::Time);
    }
    // What a part works on is its own: nothing half done is left to the others.
    catch_unwind(AssertUnwindSafe(part)).map_err(|_| Unknown::Failed)
}

/// Whether a placement places all, as far as there was time to find out.
fn places_all(placed: &Placed) -> Result<bool, Unknown> {
    match (placed.refused.value, placed.refused.bound, placed.stopped_by) {
        (1.., 0, Some(StoppedBy::Time)) => Err(Unknown::Time),
        (refused, ..) => Ok(refused == 0),
    }
}

/// The fleet under these options, with every host free to receive and nobody asked to go.
pub(crate) fn nothing_asked(fleet: Arc<Fleet>, options: Options) -> Problem {
    Problem::new(fleet, Request { kind: RequestKind::Evacuate { hosts: BTreeSet::new() }, options })
}

fn is_direct(verdict: &Emptying) -> bool {
    matches!(verdict, Emptying::Empty | Emptying::WithoutDisplacing)
}

fn host_capacity(problem: &Problem, at: HostIdx, emptying: Emptying) -> HostCapacity {
    let (host, facts) = (&problem.fleet.hosts()[at.at()], &problem.hosts[at.at()]);
    let used = facts.capacity.iter().zip(&facts.free).map(|(capacity, free)| capacity - free);
    HostCapacity {
        name: host.name.clone(),
        zone: host.zone.clone(),
        up: host.up,
        enabled: host.enabled,
        instances: facts.instances.len() as u64,
        capacity: resources(problem, facts.capacity.iter().copied()),
        usage: resources(problem, used),
        headroom: problem.classes.iter().cloned().zip(facts.free.iter().copied()).collect::<BTreeMap<_, _>>(),
        emptying,
    }
}

fn class_totals(problem: &Problem) -> Vec<ClassTotal> {
    let up = || problem.hosts.iter().filter(|host| host.up);
    let total = |class: usize| ClassTotal {
        class: problem.classes[class].clone(),
        capacity: amount(up().map(|host| host.capacity[class]).sum()),
        usage: amount(up().map(|host| host.capacity[class] - host.free[class]).sum()),
        headroom: amount(up().filter(|host| host.receives).map(|host| host.free[class].max(0)).sum()),
    };
    (0..problem.classes.len()).map(total).collect()
}

fn resources(problem: &Problem, amounts: impl Iterator<Item = i64>) -> Resources {
    problem.classes.iter().cloned().zip(amounts.map(amount)).collect()
}

fn amount(signed: i64) -> u64 {
    u64::try_from(signed).unwrap_or(0)
}

#[cfg(test)]
mod tests;
