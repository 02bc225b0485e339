//! The exact model: how many of each type go where, with every rule, groups included, over some hosts of a pool.
//!
//! A type is a kind, or a single instance where a group or a resize tells it from its kind: integer flows between types
//! and hosts, not one binary an instance and host. Over a whole small pool it decides; over a neighbourhood of a large
//! one it improves (large neighbourhood search, Shaw 1998). The tally, not the solver, says whether an answer holds.

mod build;

use std::collections::BTreeSet;

use crate::mip::{Effort, Ended, Position};
use crate::problem::{HostIdx, InstanceIdx, Task};

use super::tally::Tally;
use build::{Built, build};

/// Which part of a pool is decided anew.
pub(super) struct Scope<'p> {
    /// The hosts.
    pub(super) hosts: &'p [HostIdx],
    /// Of those asked: whoever is among them and not placed, or on one of the hosts, takes part.
    pub(super) asked: &'p [InstanceIdx],
}

/// What is to be least among the refused.
#[derive(Clone, Copy)]
pub(super) enum Goal<'w> {
    /// The fewest of the highest priority, then of the next; their number before, where the request says so.
    Refusals,
    /// The room they need, a unit of each class weighing so much.
    Need(&'w [f64]),
}

/// What the exact model found.
pub(super) struct Found<'a> {
    /// The placement, which the tally accepted; `None` if none was found.
    pub(super) tally: Option<Tally<'a>>,
    /// Whether it was searched to the end, so that nothing is better among who takes part.
    pub(super) optimal: bool,
}

/// Decides the scope anew: the least refused by the goal, then the least memory displaced. Finds nothing where that would
/// take more columns than `columns_max`.
pub(super) fn decide<'a>(
    tally: &Tally<'a>,
    scope: &Scope<'_>,
    goal: Goal<'_>,
    columns_max: usize,
    effort: Effort,
) -> Found<'a> {
    let start = cleared(tally, scope);
    let none = Found { tally: None, optimal: false };
    let Some(mut built) = build(&start, scope, goal, columns_max) else { return none };
    let now = built.values_in(tally);
    built.count_refused();
    built.mip.offer(&now);
    let first = built.mip.solve_integer(effort);
    let Some(refusing) = first.values else {
        return Found { optimal: first.ended == Ended::Infeasible, ..none };
    };
    let priorities = built.priorities();
    // Where nobody need be refused, priorities do not matter; where there is one alone, it is settled by the number.
    let by_priority = matches!(goal, Goal::Refusals) && first.objective > 0.5 && priorities.len() > 1;
    let count_first = tally.ground.problem.request.options.count_first;
    if !by_priority || count_first {
        built.keep_refused(first.objective);
    }
    let mut optimal = first.ended == Ended::Optimal;
    let mut refusing = refusing;
    if by_priority {
        for priority in priorities {
            built.count_refused_of(priority);
            built.mip.offer(&as_offer(&refusing));
            let of_priority = built.mip.solve_integer(effort);
            optimal &= of_priority.ended == Ended::Optimal;
            let Some(values) = of_priority.values else { break };
            built.keep_refused_of(priority, of_priority.objective);
            refusing = values;
        }
    }
    built.count_memory();
    // The placement as it is displaces little, if it refuses as few as unimportant; any other that does is not chosen for that.
    let rank = |values: &[(Position, f64)]| built.refusal_rank(values, !by_priority || count_first);
    let as_refused = rank(&now) <= rank(&as_offer(&refusing));
    built.mip.offer(&if as_refused { now } else { as_offer(&refusing) });
    let second = built.mip.solve_integer(effort);
    let optimal = optimal && second.ended == Ended::Optimal;
    let values = second.values.unwrap_or(refusing);
    Found { tally: carry_out(&start, &built, &values), optimal }
}

fn as_offer(values: &[f64]) -> Vec<(Position, f64)> {
    values.iter().copied().enumerate().collect()
}

/// The tally with everybody who takes part where they started, or off their hosts if that is outside the scope.
fn cleared<'a>(tally: &Tally<'a>, scope: &Scope<'_>) -> Tally<'a> {
    let inside: BTreeSet<HostIdx> = scope.hosts.iter().copied().collect();
    let mut start = tally.clone();
    for (instance, host) in tally.moved() {
        let facts = &tally.ground.problem.instances[instance.at()];
        match (inside.contains(&host), facts.task) {
            (false, _) => {}
            (true, Task::MayMove) if !inside.contains(&facts.host) => start.lift(instance),
            (true, Task::Resize) if !inside.contains(&facts.host) => start.lift(instance),
            (true, _) => start.take_back(instance),
        }
    }
    start
}

/// Carries the solver's numbers out; `None` unless every step is accepted.
fn carry_out<'a>(start: &Tally<'a>, built: &Built, values: &[f64]) -> Option<Tally<'a>> {
    let mut tally = start.clone();
    let mut arrivals = Vec::new();
    for of in &built.types {
        let departing = of.departing(values);
        departing.iter().for_each(|instance| tally.lift(*instance));
        arrivals.push((departing, of.targets(values)));
    }
    for (instance, host) in built.types.iter().filter_map(|of| of.resized_in_place(values)) {
        // What grows in place needs the room that others leave, so it comes after the departures.
        let accepted = tally.accepts(instance, host);
        accepted.then(|| tally.put(instance, host))?;
    }
    for (of, (departing, targets)) in built.types.iter().zip(arrivals) {
        // Whoever is left over is one that waits, the least important: third parties are not refused.
        let movers = departing.into_iter().chain(of.waiting.iter().copied());
        for (instance, host) in movers.zip(targets) {
            if tally.ground.problem.instances[instance.at()].host == host {
                tally.take_back(instance);
            } else {
                tally.accepts(instance, host).then(|| tally.put(instance, host))?;
            }
        }
    }
    (tally.lifted().is_empty() && tally.affinity_holds()).then_some(tally)
}
