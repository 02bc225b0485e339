//! Ejection: one that found no room gets a host on which a few third parties make it.
//!
//! The simplest ejection chain (Glover 1996), of length one and at most two ejected: enough to repair a placement
//! that is almost right.

use std::collections::BTreeMap;

use crate::limits::Limits;
use crate::problem::{HostIdx, InstanceIdx, Task};

use super::affinity::Unit;
use super::direct;
use super::openings::{Ejection, Number, Opening, Openings, least_one};
use super::tally::Tally;

/// Makes room for each of these while there is time, the least memory displaced first; returns those for which it found
/// none.
pub(super) fn eject(tally: &mut Tally<'_>, left: Vec<Unit>, hosts: &[HostIdx], limits: &Limits<'_>) -> Vec<Unit> {
    let mut openings = Openings::new(hosts);
    left.into_iter().filter(|unit| limits.out_of_time() || !make_room(tally, unit, &mut openings, limits)).collect()
}

/// Places a unit on the host where that displaces the least memory.
fn make_room(tally: &mut Tally<'_>, unit: &Unit, openings: &mut Openings<'_>, limits: &Limits<'_>) -> bool {
    let hosts = openings.hosts;
    let weights = direct::weights(tally, hosts);
    if direct::place(tally, unit, hosts, &weights) {
        openings.changed(tally, &unit.members);
        return true;
    }
    [Number::One, Number::Two].into_iter().any(|number| {
        let mut in_time = openings.of(tally, unit, number).iter().take_while(|_| !limits.out_of_time());
        let made = in_time.find(|((_, ejected), host)| carry_out(tally, unit, *host, ejected, hosts, &weights));
        let Some(movers) = made.map(|((_, ejected), _)| [&unit.members[..], ejected].concat()) else { return false };
        openings.changed(tally, &movers);
        true
    })
}

/// Gives third parties that are off their hosts and found no place those of evacuees, who are refused instead: the fewest
/// for each. Returns who gave his place up.
pub(super) fn reclaim(tally: &mut Tally<'_>, hosts: &[HostIdx]) -> Vec<InstanceIdx> {
    let problem = tally.ground.problem;
    let mut lifted = tally.lifted();
    lifted.sort_by_key(|at| (std::cmp::Reverse(problem.kind(*at).memory), *at));
    let mut gave_up = Vec::new();
    for instance in lifted {
        let home = problem.instances[instance.at()].host;
        let guests = guests(tally);
        let giving = |host: &HostIdx| giving_up(tally, instance, *host, guests.get(host)?);
        let admitting = hosts.iter().filter(|host| **host == home || tally.ground.admits(instance, **host));
        let mut options: Vec<(Ejection, HostIdx)> =
            admitting.filter_map(|host| giving(host).map(|ejection| (ejection, *host))).collect();
        options.sort_by_key(|((memory, evicted), host)| (evicted.len(), *memory, *host));
        for ((_, evicted), host) in options {
            evicted.iter().for_each(|at| tally.take_back(*at));
            if host == home && tally.may_return(instance) {
                tally.take_back(instance);
            } else if host != home && tally.accepts(instance, host) {
                tally.put(instance, host);
            } else {
                evicted.iter().for_each(|at| tally.put(*at, host));
                continue;
            }
            gave_up.extend(evicted);
            break;
        }
    }
    gave_up
}

/// The evacuees that went to each host and could as well be refused.
fn guests(tally: &Tally<'_>) -> BTreeMap<HostIdx, Vec<InstanceIdx>> {
    let problem = tally.ground.problem;
    let mut guests: BTreeMap<HostIdx, Vec<InstanceIdx>> = BTreeMap::new();
    let may_stay = |at: InstanceIdx| problem.instances[at.at()].task == Task::Leave && !problem.is_bound(at);
    for (instance, host) in tally.moved().filter(|(at, _)| may_stay(*at)) {
        guests.entry(host).or_default().push(instance);
    }
    guests
}

/// Those of a host's guests who make room for an instance by giving up their places: the least one that does alone, or
/// the greatest one after the other until there is enough.
fn giving_up(tally: &Tally<'_>, instance: InstanceIdx, host: HostIdx, guests: &[InstanceIdx]) -> Option<Ejection> {
    let problem = tally.ground.problem;
    let needs = problem.kind(instance).need.iter().zip(tally.room(host));
    let mut shortage: Vec<i64> = needs.map(|(need, room)| if *need > 0 { need - room } else { 0 }).collect();
    let alone = least_one(tally, &Opening { shortage: shortage.clone(), movable: guests.to_vec() });
    if alone.is_some() {
        return alone;
    }
    let mut greatest_first = guests.to_vec();
    greatest_first.sort_by_key(|at| (std::cmp::Reverse(problem.kind(*at).memory), *at));
    let (mut memory, mut evicted) = (0, Vec::new());
    for guest in greatest_first {
        let kind = problem.kind(guest);
        shortage.iter_mut().zip(&kind.need).for_each(|(shortage, need)| *shortage -= need);
        memory += kind.memory;
        evicted.push(guest);
        if shortage.iter().all(|shortage| *shortage <= 0) {
            return Some((memory, evicted));
        }
    }
    None
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
    let placed = ejected.iter().all(|at| direct::place(tally, &Unit::alone(*at), hosts, weights));
    if placed && unit.put(tally, host) {
        return true;
    }
    for instance in ejected.iter().filter(|at| tally.is_moved(**at)).copied().collect::<Vec<_>>() {
        tally.take_back(instance);
    }
    false
}
