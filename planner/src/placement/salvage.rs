//! A placement that has no order, kept as far as it can be carried out.
//!
//! Its moves are made one after the other, each only if it finds its room; whoever was asked and did not get through is
//! then placed from there, by ejection if need be. So the way is known together with the end: every move of the answer
//! finds its room after those before it. It may displace more than a placement from scratch, but costs next to nothing.

use std::collections::HashSet;

use decant_schema::plan::StoppedBy;

use crate::limits::Limits;
use crate::problem::{GroupIdx, HostIdx, InstanceIdx, Problem};

use super::affinity::{self, Unit};
use super::pools::{self, Pool};
use super::search::MAKING_DO;
use super::tally::{Ground, Tally};
use super::{Placed, PoolPlaced, TierBound, eject, gather};

/// Who goes where, one after the other.
pub(crate) type Way = Vec<(InstanceIdx, HostIdx)>;

/// What of a placement can be carried out in this order, with those asked who are left placed after that; and the order
/// of all that moves. `before` is the placement, and what it proves still holds.
pub(crate) fn salvage(problem: &Problem, before: &Placed, order: &Way, limits: &Limits<'_>) -> (Placed, Way) {
    let ground = Ground::new(problem, HashSet::new());
    let pools = pools::pools(&ground);
    let (salvaged, ways): (Vec<PoolPlaced>, Vec<Way>) = pools
        .iter()
        .zip(&before.pools)
        .map(|(pool, before)| salvage_pool(&ground, pool, before, order, limits))
        .unzip();
    (gather(problem, salvaged), ways.concat())
}

fn salvage_pool(
    ground: &Ground<'_>,
    pool: &Pool,
    before: &PoolPlaced,
    order: &Way,
    limits: &Limits<'_>,
) -> (PoolPlaced, Way) {
    let (mut tally, mut way) = follow(ground, pool, order);
    let mut left: Vec<Unit> = affinity::units(ground, &pool.asked);
    left.retain(|unit| unit.members.iter().all(|member| !tally.is_moved(*member)));
    let limits = limits.late_by(MAKING_DO);
    for unit in left {
        let already: Tally<'_> = tally.clone();
        if eject::eject(&mut tally, vec![unit.clone()], &pool.hosts, &limits).is_empty() {
            // Those who make way go first.
            let new = tally.moved().filter(|(instance, _)| !already.is_moved(*instance));
            let (last, first): (Way, Way) = new.partition(|(instance, _)| unit.members.contains(instance));
            way.extend(first.into_iter().chain(last));
        }
    }
    let left: Vec<InstanceIdx> = pool.asked.iter().copied().filter(|at| !tally.is_moved(*at)).collect();
    let refused = TierBound { value: left.len() as u64, ..before.refused };
    let displaced = TierBound { value: tally.displaced(), ..before.displaced };
    let rank = |left: &[InstanceIdx]| ground.problem.refusal_rank(left);
    let refuses_the_least = before.refuses_the_least && rank(&left) == rank(&before.left);
    let proven = refuses_the_least && displaced.value == displaced.bound;
    let stopped_by = before.stopped_by.or(Some(StoppedBy::Nodes)).filter(|_| !proven);
    let moved = tally.moved().collect();
    let placed =
        PoolPlaced { moved, left, refuses_the_least, refused, displaced, proofs: before.proofs.clone(), stopped_by };
    (placed, way)
}

/// Makes the moves within a pool that find their room in this order. A group bound by affinity goes as it was placed
/// or stays as it is.
fn follow<'a>(ground: &'a Ground<'a>, pool: &Pool, order: &Way) -> (Tally<'a>, Way) {
    let hosts: HashSet<HostIdx> = pool.hosts.iter().copied().collect();
    let mut moves: Way = order.iter().copied().filter(|(_, host)| hosts.contains(host)).collect();
    loop {
        let mut tally = Tally::new(ground);
        let mut way = moves.clone();
        way.retain(|(instance, host)| goes(&mut tally, *instance, *host));
        let fails = |instance: InstanceIdx| !tally.is_moved(instance) || !tally.affinity_holds_for(instance);
        let failing = moves.iter().map(|(instance, _)| *instance).filter(|instance| fails(*instance));
        let groups: HashSet<GroupIdx> = failing.flat_map(|instance| ground.problem.binding_groups(instance)).collect();
        let all = moves.len();
        moves.retain(|(instance, _)| !ground.problem.binding_groups(*instance).any(|group| groups.contains(&group)));
        if moves.len() == all {
            return (tally, way);
        }
    }
}

/// Moves an instance on, if it finds its room.
fn goes(tally: &mut Tally<'_>, instance: InstanceIdx, host: HostIdx) -> bool {
    let stop = tally.goes_to(instance);
    if stop.is_some() {
        tally.lift(instance);
    }
    let goes = tally.accepts(instance, host);
    if let Some(target) = if goes { Some(host) } else { stop } {
        tally.put(instance, target);
    }
    goes
}
