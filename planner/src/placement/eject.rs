//! Ejection: one that found no room gets a host on which a few third parties make it, each of which fits elsewhere.
//!
//! The simplest ejection chain (Glover 1996), of length one and at most two ejected: enough to repair a placement
//! that is almost right.

use crate::problem::{HostIdx, InstanceIdx, Task};

use super::affinity::Unit;
use super::direct;
use super::tally::Tally;

/// Makes room for each of these, the least memory displaced first; returns those for which it found none.
pub(super) fn eject(tally: &mut Tally<'_>, left: Vec<Unit>, hosts: &[HostIdx]) -> Vec<Unit> {
    left.into_iter().filter(|unit| !make_room(tally, unit, hosts)).collect()
}

/// Places a unit on the host where that displaces the least memory.
fn make_room(tally: &mut Tally<'_>, unit: &Unit, hosts: &[HostIdx]) -> bool {
    let weights = direct::weights(tally, hosts);
    if direct::place(tally, unit, hosts, &weights) {
        return true;
    }
    let mut options: Vec<(i64, HostIdx, Vec<InstanceIdx>)> =
        hosts.iter().flat_map(|host| ejections(tally, unit, *host)).collect();
    options.sort();
    options.into_iter().any(|(_, host, ejected)| carry_out(tally, unit, host, &ejected, hosts, &weights))
}

/// Sets of one or two third parties of the host whose leaving would make room, with their memory.
fn ejections(tally: &Tally<'_>, unit: &Unit, host: HostIdx) -> Vec<(i64, HostIdx, Vec<InstanceIdx>)> {
    let problem = tally.ground.problem;
    if !unit.members.iter().all(|member| tally.ground.admits(*member, host)) {
        return Vec::new();
    }
    let mut shortage: Vec<i64> = tally.room(host).iter().map(|room| -room).collect();
    for member in &unit.members {
        for (short, need) in shortage.iter_mut().zip(&problem.kind(*member).need) {
            *short += need;
        }
    }
    let movable: Vec<InstanceIdx> = problem.hosts[host.at()]
        .instances
        .iter()
        .copied()
        .filter(|at| {
            problem.instances[at.at()].task == Task::MayMove
                && tally.ground.departs(*at)
                && !tally.is_moved(*at)
                && !tally.ground.is_bound(*at)
        })
        .collect();
    let enough = |set: &[InstanceIdx]| {
        (0..shortage.len())
            .all(|class| set.iter().map(|at| problem.kind(*at).claim[class]).sum::<i64>() >= shortage[class])
    };
    let memory = |set: &[InstanceIdx]| set.iter().map(|at| problem.kind(*at).memory).sum();
    let mut sets = Vec::new();
    for (at, one) in movable.iter().enumerate() {
        if enough(&[*one]) {
            sets.push(vec![*one]);
            continue;
        }
        sets.extend(movable[at + 1..].iter().map(|other| vec![*one, *other]).filter(|pair| enough(pair)));
    }
    sets.into_iter().map(|set| (memory(&set), host, set)).collect()
}

/// Ejects these, puts the unit in their place and finds each of them another, or leaves all as it was.
fn carry_out(
    tally: &mut Tally<'_>,
    unit: &Unit,
    host: HostIdx,
    ejected: &[InstanceIdx],
    hosts: &[HostIdx],
    weights: &[f64],
) -> bool {
    let mut trial = tally.clone();
    let elsewhere: Vec<HostIdx> = hosts.iter().copied().filter(|other| *other != host).collect();
    let placed = ejected.iter().all(|at| direct::place(&mut trial, &Unit::alone(*at), &elsewhere, weights));
    if placed && unit.put(&mut trial, host) {
        *tally = trial;
        return true;
    }
    false
}
