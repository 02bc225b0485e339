//! Which hosts may fail: N+1 and N+k.
//!
//! A failed host's instances are started elsewhere, not moved, so that what keeps a running instance in place does not
//! count: the failure is judged on the same fleet with every instance free to be started anywhere its rules allow.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use decant_schema::fleet::{Fleet, InstanceState, Mobility};
use decant_schema::report::{Emptying, Failures, Unknown};
use rayon::prelude::*;

use crate::fit::Room;
use crate::problem::{HostIdx, InstanceIdx, Problem};
use crate::{Limits, placement};

use super::emptying::{SEARCHED_HOSTS_MAX, emptied};
use super::{attempt, nothing_asked, places_all};

/// The most hosts tried to fail together. Beyond this the sets tried say little about the sets there are.
const TOGETHER_MAX: usize = 16;

/// Which hosts may fail, one at a time and several together.
pub(super) fn failures(problem: &Problem, emptying: &[Emptying], limits: &Limits<'_>) -> Failures {
    let restarted = restarted(problem);
    let hosts: Vec<HostIdx> =
        all(problem).filter(|at| problem.hosts[at.at()].up && !problem.hosts[at.at()].instances.is_empty()).collect();
    let alone: Vec<Result<bool, Unknown>> = hosts
        .par_iter()
        .map_init(|| Room::new(&restarted), |room, at| survives(&restarted, room, &[*at], limits))
        .collect();
    let by_displacing = |at: &HostIdx| matches!(emptying[at.at()], Emptying::WithDisplacement { .. });
    let not_known = |at: &HostIdx| matches!(emptying[at.at()], Emptying::Unknown { .. });
    let these = |verdict: fn(&Result<bool, Unknown>) -> bool| -> Vec<HostIdx> {
        hosts.iter().zip(&alone).filter(|(_, alone)| verdict(alone)).map(|(at, _)| *at).collect()
    };
    let (survivable, others, open) = (these(|it| *it == Ok(true)), these(|it| *it == Ok(false)), these(Result::is_err));
    let (unknown, blocking): (Vec<HostIdx>, Vec<HostIdx>) =
        others.iter().copied().filter(|at| !by_displacing(at)).partition(not_known);
    let displacing = others.len() - blocking.len() - unknown.len();
    let (spare_hosts, tried, fatal) = match (others.first(), open.is_empty()) {
        (Some(first), _) => (0, 1, vec![*first]),
        (None, true) => together(&restarted, &hosts, limits),
        (None, false) => (0, 0, Vec::new()),
    };
    let name = |at: &HostIdx| problem.fleet.hosts()[at.at()].name.clone();
    Failures {
        hosts: hosts.len() as u64,
        survivable: survivable.len() as u64,
        survivable_by_displacing: displacing as u64,
        blocking: blocking.iter().map(name).collect(),
        instances_on_local_disk: problem.fleet.instances().iter().filter(|vm| vm.storage.is_none()).count() as u64,
        spare_hosts: spare_hosts as u64,
        spare_hosts_tried: tried as u64,
        fatal: fatal.iter().map(name).collect(),
        unknown: open.iter().chain(&unknown).map(name).collect::<BTreeSet<_>>().into_iter().collect(),
    }
}

fn all(problem: &Problem) -> impl Iterator<Item = HostIdx> {
    (0..problem.hosts.len()).map(HostIdx::new)
}

/// The same fleet, every instance free to be started anywhere its rules allow, and nobody moved for another's sake.
fn restarted(problem: &Problem) -> Problem {
    let mut document = problem.fleet.document().clone();
    for instance in &mut document.instances {
        instance.pinned = false;
        instance.mobility = Mobility::Cold;
        instance.state = InstanceState::Stopped;
    }
    let mut options = problem.request.options.clone();
    options.pins = BTreeSet::new();
    options.no_displace = true;
    let fleet = Fleet::from_document(document).expect("a checked fleet whose instances ask for less");
    nothing_asked(Arc::new(fleet), options)
}

/// Sets of hosts that fail together of which every one is tried; of more, only the worst.
const EVERY_SET_MAX: usize = 200;

/// Whether, while some hosts are out, any `spare` others could fail with everything on them finding a place.
pub(crate) fn spares(problem: &Problem, out: &[HostIdx], spare: usize, limits: &Limits<'_>) -> bool {
    if spare == 0 {
        return true;
    }
    let restarted = emptied(&restarted(problem), out);
    let mut room = Room::new(&restarted);
    let holds_some = |at: &HostIdx| problem.hosts[at.at()].up && !problem.hosts[at.at()].instances.is_empty();
    let hosts: Vec<HostIdx> = all(problem).filter(|at| !out.contains(at) && holds_some(at)).collect();
    let together = spare.min(hosts.len());
    let sets = every_set(&hosts, together).unwrap_or_else(|| worst_sets(problem, &hosts, together));
    sets.iter().all(|failed| survives(&restarted, &mut room, failed, limits) == Ok(true))
}

/// All sets of so many hosts, if they are few enough.
fn every_set(hosts: &[HostIdx], k: usize) -> Option<BTreeSet<Vec<HostIdx>>> {
    let mut sets = BTreeSet::from([Vec::new()]);
    for _ in 0..k {
        let longer = |set: &Vec<HostIdx>| {
            let last = set.last().copied();
            let later = hosts.iter().copied().filter(move |host| last.is_none_or(|last| *host > last));
            let set = set.clone();
            later.map(move |host| [&set[..], &[host]].concat())
        };
        sets = sets.iter().flat_map(longer).collect();
        if k > 1 && sets.len() > EVERY_SET_MAX {
            return None;
        }
    }
    Some(sets)
}

/// Whether everything on these hosts finds a place on the others. In a large fleet a failed fit is taken for a no.
fn survives(problem: &Problem, room: &mut Room<'_>, failed: &[HostIdx], limits: &Limits<'_>) -> Result<bool, Unknown> {
    if limits.out_of_time() {
        return Err(Unknown::Time);
    }
    let instances: Vec<InstanceIdx> =
        failed.iter().flat_map(|at| problem.hosts[at.at()].instances.iter().copied()).collect();
    failed.iter().for_each(|at| room.out.insert(*at));
    let fits = room.fits(&instances);
    failed.iter().for_each(|at| room.out.remove(*at));
    let small = problem.hosts.len() <= SEARCHED_HOSTS_MAX;
    if fits || !small {
        return Ok(fits);
    }
    attempt(limits, || places_all(&placement::place(&emptied(problem, failed), limits, &[])))?
}

/// The greatest k such that all k-host failures tried are survived, the greatest tried, and one that is not.
fn together(problem: &Problem, hosts: &[HostIdx], limits: &Limits<'_>) -> (usize, usize, Vec<HostIdx>) {
    let mut room = Room::new(problem);
    let most = hosts.len().min(TOGETHER_MAX);
    for k in 2..=most {
        for set in worst_sets(problem, hosts, k) {
            match survives(problem, &mut room, &set, limits) {
                Ok(true) => {}
                Ok(false) => return (k - 1, k, set),
                Err(_) => return (k - 1, k - 1, Vec::new()),
            }
        }
    }
    (most, most, Vec::new())
}

/// The k hosts with the most memory claimed: over all, and in each zone that has so many.
fn worst_sets(problem: &Problem, hosts: &[HostIdx], k: usize) -> BTreeSet<Vec<HostIdx>> {
    let mut by_zone: BTreeMap<_, Vec<HostIdx>> = BTreeMap::new();
    for at in hosts {
        by_zone.entry(problem.fleet.hosts()[at.at()].zone.clone()).or_default().push(*at);
    }
    let zones = by_zone.into_values().filter(|hosts| hosts.len() >= k);
    zones.chain([hosts.to_vec()]).map(|hosts| fullest(problem, hosts, k)).collect()
}

fn fullest(problem: &Problem, mut hosts: Vec<HostIdx>, k: usize) -> Vec<HostIdx> {
    let claimed = |at: &HostIdx| -> i64 {
        problem.hosts[at.at()].instances.iter().map(|instance| problem.kind(*instance).memory).sum()
    };
    hosts.sort_by_key(|at| (std::cmp::Reverse(claimed(at)), *at));
    hosts.truncate(k);
    hosts.sort_unstable();
    hosts
}
