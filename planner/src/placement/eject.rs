//! Ejection: one that found no room gets a host on which a few third parties make it.
//!
//! The simplest ejection chain (Glover 1996), of length one and at most two ejected: enough to repair a placement
//! that is almost right.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use crate::limits::Limits;
use crate::problem::{HostIdx, InstanceIdx, KindIdx, Task};

use super::affinity::Unit;
use super::direct;
use super::tally::Tally;

/// Makes room for each of these while there is time, the least memory displaced first; returns those for which it found
/// none.
pub(super) fn eject(tally: &mut Tally<'_>, left: Vec<Unit>, hosts: &[HostIdx], limits: &Limits<'_>) -> Vec<Unit> {
    left.into_iter().filter(|unit| limits.out_of_time() || !make_room(tally, unit, hosts)).collect()
}

/// Places a unit on the host where that displaces the least memory.
fn make_room(tally: &mut Tally<'_>, unit: &Unit, hosts: &[HostIdx]) -> bool {
    let weights = direct::weights(tally, hosts);
    if direct::place(tally, unit, hosts, &weights) {
        return true;
    }
    // Pairs are many, and wanted only where no single third party makes enough room.
    let fits = vec![OnceCell::new(); tally.ground.problem.kinds.len()];
    [ALONE, IN_PAIRS].into_iter().any(|making_way| {
        let options = options(tally, unit, hosts, &fits, &making_way);
        options.into_iter().any(|((_, ejected), host)| carry_out(tally, unit, host, &ejected, hosts, &weights))
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

/// In which numbers third parties make way.
struct MakingWay {
    /// Whether one of this claim may be among them, given what is lacking.
    helps: fn(claim: &[i64], shortage: &[i64]) -> bool,
    /// Those of least memory.
    least: fn(&Tally<'_>, &Opening) -> Option<Ejection>,
}

const ALONE: MakingWay = MakingWay { helps: is_enough, least: least_one };
const IN_PAIRS: MakingWay = MakingWay { helps: is_some, least: least_two };

fn is_enough(claim: &[i64], shortage: &[i64]) -> bool {
    shortage.iter().zip(claim).all(|(shortage, claim)| claim >= shortage)
}

fn is_some(claim: &[i64], shortage: &[i64]) -> bool {
    shortage.iter().zip(claim).any(|(shortage, claim)| *shortage > 0 && *claim > 0)
}

/// Where third parties that fit elsewhere would make way for the unit, the least memory first.
fn options(
    tally: &Tally<'_>,
    unit: &Unit,
    hosts: &[HostIdx],
    fits: &[OnceCell<bool>],
    making_way: &MakingWay,
) -> Vec<(Ejection, HostIdx)> {
    let fits = |kind: KindIdx| *fits[kind.at()].get_or_init(|| fits_anywhere(tally, kind, hosts));
    let option = |host: &HostIdx| {
        let opening = opening(tally, unit, *host, &fits, making_way.helps)?;
        (making_way.least)(tally, &opening).map(|ejection| (ejection, *host))
    };
    let mut options: Vec<(Ejection, HostIdx)> = hosts.iter().filter_map(option).collect();
    options.sort();
    options
}

/// Whether any host has room for one more of a kind.
fn fits_anywhere(tally: &Tally<'_>, kind: KindIdx, hosts: &[HostIdx]) -> bool {
    let need = &tally.ground.problem.kinds[kind.at()].need;
    let has_room = |host: &HostIdx| need.iter().zip(tally.room(*host)).all(|(need, room)| *need <= 0 || need <= room);
    hosts.iter().any(|host| tally.ground.may_hold(kind, *host) && has_room(host))
}

/// What a host lacks for a unit, and who may make way.
struct Opening {
    /// By class; nothing is lacking where it is not positive.
    shortage: Vec<i64>,
    /// Third parties that fit elsewhere one by one.
    movable: Vec<InstanceIdx>,
}

/// Third parties that make way, with their memory.
type Ejection = (i64, Vec<InstanceIdx>);

/// What would have to give way on the host; `None` if the rules keep the unit off it.
fn opening(
    tally: &Tally<'_>,
    unit: &Unit,
    host: HostIdx,
    fits: &dyn Fn(KindIdx) -> bool,
    helps: fn(&[i64], &[i64]) -> bool,
) -> Option<Opening> {
    let problem = tally.ground.problem;
    if !unit.members.iter().all(|member| tally.ground.admits(*member, host)) {
        return None;
    }
    let mut shortage: Vec<i64> = tally.room(host).iter().map(|room| -room).collect();
    for member in &unit.members {
        for (short, need) in shortage.iter_mut().zip(&problem.kind(*member).need) {
            *short += need;
        }
    }
    let may_make_way = |at: &InstanceIdx| {
        problem.instances[at.at()].task == Task::MayMove
            && helps(&problem.kind(*at).claim, &shortage)
            && fits(problem.instances[at.at()].kind)
            && tally.ground.departs(*at)
            && tally.stands(*at)
            && !tally.ground.problem.is_bound(*at)
    };
    let movable = problem.hosts[host.at()].instances.iter().copied().filter(may_make_way).collect();
    Some(Opening { shortage, movable })
}

/// The third party of least memory that makes enough room by leaving.
fn least_one(tally: &Tally<'_>, opening: &Opening) -> Option<Ejection> {
    let kind = |at: &InstanceIdx| tally.ground.problem.kind(*at);
    let enough = |one: &&InstanceIdx| is_enough(&kind(one).claim, &opening.shortage);
    let least = opening.movable.iter().filter(enough).map(|one| (kind(one).memory, *one)).min();
    least.map(|(memory, one)| (memory, vec![one]))
}

/// The two of least memory that make enough room together.
fn least_two(tally: &Tally<'_>, opening: &Opening) -> Option<Ejection> {
    let kind = |at: &InstanceIdx| tally.ground.problem.kind(*at);
    let enough = |one: &InstanceIdx, other: &InstanceIdx| {
        let claims = kind(one).claim.iter().zip(&kind(other).claim);
        opening.shortage.iter().zip(claims).all(|(shortage, (one, other))| one + other >= *shortage)
    };
    let mut least: Option<(i64, InstanceIdx, InstanceIdx)> = None;
    for (at, one) in opening.movable.iter().enumerate() {
        for other in &opening.movable[at + 1..] {
            let pair = (kind(one).memory + kind(other).memory, *one, *other);
            if least.is_none_or(|least| pair < least) && enough(one, other) {
                least = Some(pair);
            }
        }
    }
    least.map(|(memory, one, other)| (memory, vec![one, other]))
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
