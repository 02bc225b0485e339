//! Whether each host can be emptied now.

use std::collections::HashMap;
use std::sync::Arc;

use decant_schema::report::{Emptying, Unknown};
use decant_schema::request::RequestKind;
use decant_schema::units::{Mib, mib};
use rayon::prelude::*;

use crate::fit::Room;
use crate::ordering::{self, Schedule};
use crate::part::{self, Part};
use crate::problem::{HostIdx, HostSet, InstanceIdx, Placement, Problem, Task};
use crate::{Limits, placement, refusal};

use super::{attempt, places_all};

/// Fleets up to this size get the least displacement for every host that needs any; in a larger one, whatever
/// ejections and exchanges find will do, since a placement for each of a thousand hosts takes minutes.
pub(super) const SEARCHED_HOSTS_MAX: usize = 40;

/// The verdict on every host, in their order.
pub(super) fn of_every_host(problem: &Problem, limits: &Limits<'_>) -> Vec<Emptying> {
    let quick: Vec<Option<Emptying>> = (0..problem.hosts.len())
        .into_par_iter()
        .map_init(|| Room::new(problem), |room, at| at_a_glance(problem, room, HostIdx::new(at), limits))
        .collect();
    let parts = if quick.iter().all(Option::is_some) { Vec::new() } else { part::parts(problem) };
    let left = parts.iter().flat_map(|part| part.hosts.iter().enumerate().map(move |(at, host)| (part, at, *host)));
    let left: Vec<(&Part, usize, HostIdx)> = left.filter(|(_, _, host)| quick[host.at()].is_none()).collect();
    // The hosts that take long are often neighbours: each is a piece of work of its own, so that threads share them.
    let placed: HashMap<HostIdx, Emptying> = left
        .into_par_iter()
        .with_max_len(1)
        .map(|(part, at, host)| {
            let verdict = attempt(limits, || by_placing(problem, part, HostIdx::new(at), host, limits));
            (host, verdict.unwrap_or_else(|why| Emptying::Unknown { why }))
        })
        .collect();
    let verdict = |(at, quick): (usize, Option<Emptying>)| quick.unwrap_or_else(|| placed[&HostIdx::new(at)].clone());
    quick.into_iter().enumerate().map(verdict).collect()
}

/// What fitting its instances into the headroom says of a host; `None` where that is not enough.
fn at_a_glance(problem: &Problem, room: &mut Room<'_>, host: HostIdx, limits: &Limits<'_>) -> Option<Emptying> {
    if problem.hosts[host.at()].instances.is_empty() {
        return Some(Emptying::Empty);
    }
    if limits.out_of_time() {
        return Some(Emptying::Unknown { why: Unknown::Time });
    }
    if room.empties(host) {
        return Some(Emptying::WithoutDisplacing);
    }
    let displaced = is_large(problem).then(|| room.empties_displacing(host)).flatten()?;
    Some(Emptying::WithDisplacement { displaced_mb: mib(displaced), displaced_mb_bound: mib(0) })
}

fn is_large(problem: &Problem) -> bool {
    problem.hosts.len() > SEARCHED_HOSTS_MAX
}

/// What a placement of its part of the fleet says of a host, which is `at` in the part.
fn by_placing(whole: &Problem, part: &Part, at: HostIdx, host: HostIdx, limits: &Limits<'_>) -> Emptying {
    let problem = emptied(&part.problem, &[at]);
    let effort = if is_large(whole) { 0 } else { limits.effort };
    let limits = &limits.with_effort(effort);
    if is_large(whole)
        && let Some(verdict) = by_exchanging(part, &problem, at, limits)
    {
        return verdict;
    }
    let placed = placement::place(&problem, limits, &[]);
    let not = |placement: &Placement, refused_bound| {
        let whole = emptied(whole, &[host]);
        not(&whole, &part.in_whole(&whole, placement), refused_bound)
    };
    if let Err(why) = places_all(&placed) {
        return Emptying::Unknown { why };
    }
    if placed.refused.value > 0 {
        return not(&placed.placement, placed.refused.bound);
    }
    if placed.displaced.value == 0 {
        return Emptying::WithoutDisplacing;
    }
    match ordering::order(&problem, &placed.placement, limits) {
        Ok(schedule) => Emptying::WithDisplacement {
            displaced_mb: mib(placed.displaced.value) + stepped_aside(&problem, &schedule),
            displaced_mb_bound: mib(placed.displaced.bound),
        },
        Err(unorderable) => {
            let mut placement = placed.placement;
            let stuck = unorderable.stuck.iter().map(|stuck| stuck.instance);
            placement.refused = stuck.filter(|at| problem.instances[at.at()].task == Task::Leave).collect();
            not(&placement, 0)
        }
    }
}

/// What exchanges within its part say of a host: an order of moves, or nothing.
fn by_exchanging(part: &Part, problem: &Problem, at: HostIdx, limits: &Limits<'_>) -> Option<Emptying> {
    let mut placement = problem.standing();
    for (instance, host) in Room::new(&part.problem).empties_exchanging(at)? {
        placement.host[instance.at()] = host;
    }
    let moves = |at: &InstanceIdx| placement.host[at.at()] != problem.instances[at.at()].host;
    let displaced: i64 = problem.with_task(Task::MayMove).filter(moves).map(|at| problem.kind(at).memory).sum();
    let schedule = ordering::order(problem, &placement, limits).ok()?;
    Some(Emptying::WithDisplacement {
        displaced_mb: mib(u64::try_from(displaced).unwrap_or(0)) + stepped_aside(problem, &schedule),
        displaced_mb_bound: mib(0),
    })
}

fn stepped_aside(problem: &Problem, schedule: &Schedule) -> Mib {
    let memory = |instance: &InstanceIdx| u64::try_from(problem.kind(*instance).memory).unwrap_or(0);
    mib(schedule.stepped_aside.iter().map(memory).sum())
}

/// That a host cannot be emptied: these instances of it would stay.
fn not(problem: &Problem, placement: &Placement, refused_bound: u64) -> Emptying {
    let size = |instance: &&InstanceIdx| problem.kind(**instance).memory;
    let largest = placement.refused.iter().rev().max_by_key(size);
    let binding = largest.and_then(|largest| refusal::explain(problem, placement, *largest).reasons.pop());
    let binding = binding.unwrap_or_else(refusal::without_order);
    Emptying::Not {
        refused: (placement.refused.len() as u64).max(1),
        refused_bound,
        shortfall: binding.need.zip(binding.best).map(|(need, best)| need.saturating_sub(best)),
        binding: Box::new(binding),
    }
}

/// The same problem with these hosts to be emptied, without looking at the fleet again.
pub(crate) fn emptied(problem: &Problem, hosts: &[HostIdx]) -> Problem {
    let mut problem = problem.clone();
    if let RequestKind::Evacuate { hosts: names } = &mut problem.request.kind {
        names.extend(hosts.iter().map(|host| problem.fleet.hosts()[host.at()].name.clone()));
    }
    for host in hosts {
        let facts = &mut problem.hosts[host.at()];
        facts.evacuated = true;
        facts.receives = false;
        for instance in &facts.instances {
            problem.instances[instance.at()].task = Task::Leave;
        }
    }
    for kind in &mut problem.kinds {
        if hosts.iter().any(|host| kind.eligible.contains(*host)) {
            let mut eligible = HostSet::clone(&kind.eligible);
            hosts.iter().for_each(|host| eligible.remove(*host));
            kind.eligible = Arc::new(eligible);
        }
    }
    problem
}
