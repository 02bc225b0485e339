//! Who must stay because a group has no more places: counting, where prices say nothing.
//!
//! Of an anti-affinity group a host holds so many members in the end; those that never leave hold their places, whoever asked
//! for them. Members that move, third parties among them, need one of the places left on a host that may hold them beside what
//! never leaves it. What does not find one in a largest assignment (augmenting paths; Kuhn 1955) is refused by every plan:
//! third parties always have a place, their own.

use std::collections::{BTreeMap, BTreeSet};

use decant_schema::fleet::GroupPolicy;
use decant_schema::request::RequestKind;

use super::company::room_at_best;
use super::pool::{Party, Pools, Role};
use super::scene::{Amounts, Scene};

/// By pool: evacuees that every plan refuses for want of places of their groups, beyond those nothing can be done for.
pub(super) fn crowded_out(scene: &Scene<'_>, pools: &Pools) -> BTreeMap<usize, u64> {
    if !matches!(scene.request.kind, RequestKind::Evacuate { .. }) {
        return BTreeMap::new();
    }
    let parties: BTreeMap<usize, &Party> =
        pools.parties.iter().flatten().map(|party| (party.instance, party)).collect();
    let movable: Vec<bool> =
        (0..scene.home.len()).map(|at| parties.get(&at).is_some_and(|party| !party.role.is_hopeless())).collect();
    let room = room_at_best(scene, &movable);
    let mut found: Vec<(u64, usize, BTreeSet<usize>)> = Vec::new();
    for group in scene.fleet.server_groups().iter().filter(|group| group.policy == GroupPolicy::AntiAffinity) {
        let members: BTreeSet<usize> =
            group.members.iter().filter_map(|id| scene.fleet.instance_index(id.as_str())).collect();
        let places = places(scene, &members, &movable, group.max_per_host as usize);
        let of_pools: BTreeSet<usize> = members.iter().map(|at| pools.pool[scene.home[*at]]).collect();
        for pool in of_pools {
            let moving: Vec<&Party> =
                members.iter().filter(|at| movable[**at]).filter_map(|at| parties.get(at).copied()).collect();
            let moving: Vec<&Party> =
                moving.into_iter().filter(|party| pools.pool[scene.home[party.instance]] == pool).collect();
            let doors: Vec<Vec<usize>> = moving.iter().map(|party| doors(scene, pools, &room, party)).collect();
            let left = moving.len() - assigned(&doors, &places);
            let evacuees = moving.iter().filter(|party| party.role != Role::ThirdParty).map(|party| party.instance);
            found.push((left as u64, pool, evacuees.collect()));
        }
    }
    disjoint(found)
}

/// Of a rolling maintenance: instances on its hosts that no plan ever moves. Nothing can be done for them, or their
/// anti-affinity group has all the places there are on hosts that may ever hold one of it, so that none is free to go to.
pub(super) fn unmoved(scene: &Scene<'_>, pools: &Pools) -> BTreeSet<usize> {
    let parties = || pools.parties.iter().flatten();
    let asked = |at: &usize| scene.asked(*at).is_some();
    let hopeless = parties().filter(|party| party.role.is_hopeless()).map(|party| party.instance);
    let mut unmoved: BTreeSet<usize> = hopeless.filter(asked).collect();
    let versions: BTreeSet<_> = scene.fleet.hosts().iter().map(|host| host.hypervisor_version).collect();
    // Rounds change hypervisors, and with them where instances may be.
    if versions.len() > 1 {
        return unmoved;
    }
    let admitted: BTreeMap<usize, &Vec<usize>> =
        parties().map(|party| (party.instance, &pools.admitted[pools.kinds[party.kind].admitted])).collect();
    for group in scene.fleet.server_groups().iter().filter(|group| group.policy == GroupPolicy::AntiAffinity) {
        let members: BTreeSet<usize> =
            group.members.iter().filter_map(|id| scene.fleet.instance_index(id.as_str())).collect();
        let elsewhere = members.iter().filter_map(|at| admitted.get(at)).flat_map(|hosts| hosts.iter().copied());
        let hosts: BTreeSet<usize> = members.iter().map(|at| scene.home[*at]).chain(elsewhere).collect();
        let there = |host: usize| members.iter().filter(|at| scene.home[**at] == host).count();
        let places: usize = hosts.iter().map(|host| there(*host).max(group.max_per_host as usize)).sum();
        if members.len() >= places {
            unmoved.extend(members.into_iter().filter(asked));
        }
    }
    unmoved
}

/// The sum of what groups of different evacuees count, the most first.
fn disjoint(mut found: Vec<(u64, usize, BTreeSet<usize>)>) -> BTreeMap<usize, u64> {
    found.sort_by(|a, b| b.cmp(a));
    let (mut counted, mut of_pools) = (BTreeSet::new(), BTreeMap::new());
    for (left, pool, evacuees) in found.into_iter().filter(|(left, ..)| *left > 0) {
        if counted.is_disjoint(&evacuees) {
            counted.extend(evacuees);
            *of_pools.entry(pool).or_default() += left;
        }
    }
    of_pools
}

/// By host: members it may hold beside those that never leave it. Where more are at the start than the group allows, as
/// many may be in the end.
fn places(scene: &Scene<'_>, members: &BTreeSet<usize>, movable: &[bool], max_per_host: usize) -> Vec<usize> {
    let (mut there, mut fixed) = (vec![0_usize; scene.capacity.len()], vec![0_usize; scene.capacity.len()]);
    for at in members {
        there[scene.home[*at]] += 1;
        fixed[scene.home[*at]] += usize::from(!movable[*at]);
    }
    there.into_iter().zip(fixed).map(|(there, fixed)| there.max(max_per_host) - fixed).collect()
}

/// Where a member may be in the end: its own host if nobody asked it to go, and hosts that admit it beside what never
/// leaves them.
fn doors(scene: &Scene<'_>, pools: &Pools, room: &[Amounts], party: &Party) -> Vec<usize> {
    let kind = &pools.kinds[party.kind];
    let fits = |host: &usize| kind.need.iter().zip(&room[*host]).all(|(need, room)| *need == 0 || need <= room);
    let home = scene.home[party.instance];
    let stays = (party.role == Role::ThirdParty).then_some(home);
    let elsewhere = pools.admitted[kind.admitted].iter().copied().filter(|host| *host != home).filter(fits);
    stays.into_iter().chain(elsewhere).collect()
}

/// How many find a place at most.
fn assigned(doors: &[Vec<usize>], places: &[usize]) -> usize {
    let mut held: Vec<Vec<usize>> = vec![Vec::new(); places.len()];
    (0..doors.len()).filter(|member| augment(doors, places, &mut held, *member)).count()
}

/// Finds one more member a place, moving others on where that takes it; found breadth first.
fn augment(doors: &[Vec<usize>], places: &[usize], held: &mut [Vec<usize>], member: usize) -> bool {
    let mut came: BTreeMap<usize, (usize, Option<usize>)> = BTreeMap::new();
    let mut open = std::collections::VecDeque::from([(member, None)]);
    while let Some((seeker, from)) = open.pop_front() {
        for host in &doors[seeker] {
            if came.contains_key(host) {
                continue;
            }
            came.insert(*host, (seeker, from));
            if held[*host].len() < places[*host] {
                shift(held, &came, *host);
                return true;
            }
            open.extend(held[*host].iter().map(|holder| (*holder, Some(*host))));
        }
    }
    false
}

/// Moves everybody along the way that was found to a place.
fn shift(held: &mut [Vec<usize>], came: &BTreeMap<usize, (usize, Option<usize>)>, last: usize) {
    let mut host = Some(last);
    while let Some(at) = host {
        let (seeker, from) = came[&at];
        if let Some(from) = from {
            held[from].retain(|holder| *holder != seeker);
        }
        held[at].push(seeker);
        host = from;
    }
}
