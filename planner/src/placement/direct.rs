//! Direct fit: best fit by decreasing size, with every rule, displacing nobody.
//!
//! Where there is room this already places all, and the trivial bound proves it; several orders are tried because none
//! is always best (Johnson 1973; for several resources, Panigrahy et al. 2011).

use std::cmp::Reverse;

use rustc_hash::FxHashMap;

use crate::limits::Limits;
use crate::problem::{HostIdx, InstanceIdx, KindIdx};

use super::affinity::Unit;
use super::tally::Tally;

/// What "big" means when the biggest go first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// The sum over classes of the share of the pool's room.
    Sum,
    /// The greatest share over classes.
    Greatest,
    /// The fewest hosts with room for it.
    Choosiest,
}

/// Every order, the one that usually does best first.
pub(super) const ORDERS: [Order; 3] = [Order::Sum, Order::Greatest, Order::Choosiest];

/// Places what fits, the biggest first, each where it leaves the least room, while there is time; returns what is left.
pub(super) fn fit(
    tally: &mut Tally<'_>,
    units: &[Unit],
    hosts: &[HostIdx],
    order: Order,
    limits: &Limits<'_>,
) -> Vec<Unit> {
    let weights = weights(tally, hosts);
    let mut sorted: Vec<&Unit> = units.iter().collect();
    sorted.sort_by_cached_key(|unit| (Reverse(size(tally, unit, hosts, &weights, order)), unit.members[0]));
    // Where nobody leaves a host that receives, room only shrinks: a host that is too full for one stays so for its kind.
    let receives = |at: &InstanceIdx| {
        let problem = tally.ground.problem;
        problem.hosts[problem.instances[at.at()].host.at()].receives
    };
    let shrinks = !units.iter().flat_map(|unit| &unit.members).any(receives);
    let mut open: FxHashMap<KindIdx, Vec<HostIdx>> = FxHashMap::default();
    let mut fits = |unit: &Unit| {
        let [one] = unit.members[..] else { return place(tally, unit, hosts, &weights) };
        if !shrinks {
            return place(tally, unit, hosts, &weights);
        }
        let open = open.entry(tally.ground.problem.instances[one.at()].kind).or_insert_with(|| hosts.to_vec());
        open.retain(|host| tally.has_room(one, *host));
        place(tally, unit, open, &weights)
    };
    sorted.into_iter().filter(|unit| limits.out_of_time() || !fits(unit)).cloned().collect()
}

/// Places a unit where it leaves the least room, a resize in place if it can be.
pub(super) fn place(tally: &mut Tally<'_>, unit: &Unit, hosts: &[HostIdx], weights: &[f64]) -> bool {
    let home = tally.ground.problem.instances[unit.members[0].at()].host;
    unit.put(tally, home) || candidates(tally, unit, hosts, weights).into_iter().any(|host| unit.put(tally, host))
}

/// The hosts that have room for the unit's first member, the fullest first.
fn candidates(tally: &Tally<'_>, unit: &Unit, hosts: &[HostIdx], weights: &[f64]) -> Vec<HostIdx> {
    let slack = |host: &HostIdx| weighted(tally.room(*host), weights);
    let accepts = |host: &HostIdx| tally.accepts(unit.members[0], *host);
    if let [_] = unit.members[..] {
        // The fullest that accepts it is the answer: no need to sort the rest.
        let fullest = hosts
            .iter()
            .filter(|host| accepts(host) && unit.may_be_on(tally, **host))
            .min_by(|a, b| slack(a).total_cmp(&slack(b)).then(a.cmp(b)));
        return fullest.copied().into_iter().collect();
    }
    let mut open: Vec<HostIdx> = hosts.iter().copied().filter(accepts).collect();
    open.sort_by(|a, b| slack(a).total_cmp(&slack(b)).then(a.cmp(b)));
    open
}

/// How scarce each class is: one over the room that all hosts have of it.
pub(super) fn weights(tally: &Tally<'_>, hosts: &[HostIdx]) -> Vec<f64> {
    let mut total = vec![1_i64; tally.ground.problem.classes.len()];
    for host in hosts.iter().filter(|host| tally.ground.problem.hosts[host.at()].receives) {
        for (total, room) in total.iter_mut().zip(tally.room(*host)) {
            *total += (*room).max(0);
        }
    }
    total.into_iter().map(|room| 1.0 / room as f64).collect()
}

/// Amounts by class as one number.
pub(super) fn weighted(amounts: &[i64], weights: &[f64]) -> f64 {
    amounts.iter().zip(weights).map(|(amount, weight)| *amount as f64 * weight).sum()
}

/// The size by which units are ordered, as an integer so that it sorts.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "shares of room, scaled into u64's range")]
fn size(tally: &Tally<'_>, unit: &Unit, hosts: &[HostIdx], weights: &[f64], order: Order) -> (u64, u64) {
    let shares = |member: &InstanceIdx| {
        let need = &tally.ground.problem.kind(*member).need;
        need.iter().zip(weights).map(|(need, weight)| *need as f64 * weight).collect::<Vec<f64>>()
    };
    let sum: f64 = unit.members.iter().flat_map(shares).sum();
    let scaled = |share: f64| (share * 1e12).min(1e18) as u64;
    match order {
        Order::Sum => (scaled(sum), 0),
        Order::Greatest => (scaled(unit.members.iter().flat_map(shares).fold(0.0, f64::max)), scaled(sum)),
        Order::Choosiest => {
            let open = hosts.iter().filter(|host| tally.accepts(unit.members[0], **host)).count();
            (u64::MAX - open as u64, scaled(sum))
        }
    }
}
