//! Who goes where, and what is proven of it.
//!
//! Layers that stop as soon as enough is proven. Per pool, in parallel: the bound first (what cannot go is refused, nobody
//! else need move), then direct fit, then displacement. Every layer keeps a value AND a bound; where they meet, the
//! pool is done.
//!
//! The tiers: how many are refused comes first, whatever their priorities; among placements that refuse equally many,
//! those of higher priority are refused last. Then the memory of the third parties that move.

mod affinity;
mod assign;
mod direct;
mod eject;
mod patterns;
mod pools;
mod tally;

use std::collections::HashSet;

use decant_schema::plan::{Certificate, PoolCertificate, StoppedBy};
use rayon::prelude::*;

use crate::limits::Limits;
use crate::problem::{HostIdx, InstanceIdx, Placement, Problem, Task};

use affinity::Unit;
use patterns::{Charge, Patterns};
use pools::Pool;
use tally::{Ground, Tally};

/// What a tier reaches and what is proven of it: no placement at the values of the tiers before reaches less.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TierBound {
    /// Reached.
    pub value: u64,
    /// Proven.
    pub bound: u64,
}

/// A placement and what is proven of it.
#[derive(Clone, Debug)]
pub struct Placed {
    /// Who goes where.
    pub placement: Placement,
    /// How many are refused.
    pub refused: TierBound,
    /// Memory of the third parties that move, MiB.
    pub displaced: TierBound,
    /// Prices from which the bounds follow, where they need any.
    pub certificate: Option<Certificate>,
    /// What cut the search short, if anything did.
    pub stopped_by: Option<StoppedBy>,
}

/// Assignments that proved impossible to order together: a placement never holds all of them again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoGood {
    /// Who goes where.
    pub assignments: Vec<(InstanceIdx, HostIdx)>,
}

/// Decides who goes where. `no_goods` are what earlier placements of the same problem came to grief on.
pub fn place(problem: &Problem, limits: &Limits<'_>, no_goods: &[NoGood]) -> Placed {
    let mut banned = HashSet::new();
    loop {
        let ground = Ground::new(problem, banned);
        let placed = place_all(&ground, limits);
        banned = ground.banned;
        let Some(ban) = no_goods.iter().find_map(|no_good| broken(no_good, &placed.placement, &banned)) else {
            return placed;
        };
        banned.insert(ban);
    }
}

/// If the placement holds all of a no-good: the first of it that is not yet banned.
fn broken(
    no_good: &NoGood,
    placement: &Placement,
    banned: &HashSet<(InstanceIdx, HostIdx)>,
) -> Option<(InstanceIdx, HostIdx)> {
    let holds = no_good.assignments.iter().all(|(instance, host)| placement.host[instance.at()] == *host);
    no_good.assignments.iter().copied().find(|assignment| holds && !banned.contains(assignment))
}

fn place_all(ground: &Ground<'_>, limits: &Limits<'_>) -> Placed {
    let solved: Vec<PoolPlaced> =
        pools::pools(ground).into_par_iter().map(|pool| place_pool(ground, &pool, limits)).collect();
    let mut placement = ground.problem.standing();
    let (mut refused, mut displaced) = (TierBound::default(), TierBound::default());
    let mut stopped_by = None;
    let mut certificates = Vec::new();
    for pool in solved {
        for (instance, host) in pool.moved {
            placement.host[instance.at()] = host;
        }
        placement.refused.extend(pool.left);
        add(&mut refused, pool.refused);
        add(&mut displaced, pool.displaced);
        stopped_by = stopped_by.or(pool.stopped_by);
        certificates.extend(pool.certificate);
    }
    placement.refused.sort_unstable();
    let certificate = (!certificates.is_empty()).then_some(Certificate { pools: certificates });
    Placed { placement, refused, displaced, certificate, stopped_by }
}

fn add(total: &mut TierBound, pool: TierBound) {
    total.value += pool.value;
    total.bound += pool.bound;
}

/// A pool's part of a placement.
struct PoolPlaced {
    moved: Vec<(InstanceIdx, HostIdx)>,
    left: Vec<InstanceIdx>,
    refused: TierBound,
    displaced: TierBound,
    certificate: Option<PoolCertificate>,
    stopped_by: Option<StoppedBy>,
}

/// One in this many left over by one order is too much for another order to place.
const FAR_FROM_FITTING: usize = 20;

fn place_pool(ground: &Ground<'_>, pool: &Pool, limits: &Limits<'_>) -> PoolPlaced {
    let units = affinity::units(ground, &pool.asked);
    let hopeless = pool.asked.iter().filter(|instance| !has_anywhere(ground, **instance)).count() as u64;
    let mut search = Search { pool, best: Tally::new(ground), refused: hopeless, displaced: 0 };
    for order in direct::ORDERS {
        if search.is_proven() {
            break;
        }
        let mut tally = Tally::new(ground);
        let left = direct::fit(&mut tally, &units, &pool.hosts, order);
        search.offer(tally);
        if left.len() > units.len() / FAR_FROM_FITTING {
            break;
        }
    }
    let mut certificate = None;
    if !search.is_proven() {
        let start = Tally::new(ground);
        let patterns = Patterns::new(&start, pool, Charge::Displaced, true, limits);
        let slots = patterns.slots(limits.effort);
        if let Some(slots) = slots {
            let mut tally = start.clone();
            let unmatched = assign::assign(&mut tally, &slots, &pool.asked);
            repair(&mut tally, pool, unmatched);
            search.offer(tally);
        }
        let refused = value(&search.best, pool).0;
        search.displaced = search.displaced.max(patterns.bound(refused));
        certificate = Some(patterns.certificate(&start, pool, Charge::Displaced, refused));
    }
    let (refused, displaced) = value(&search.best, pool);
    PoolPlaced {
        moved: search.best.moved().collect(),
        left: left(&search.best, pool),
        refused: TierBound { value: refused, bound: search.refused },
        displaced: TierBound { value: displaced, bound: search.displaced },
        certificate,
        stopped_by: limits.out_of_time().then_some(StoppedBy::Time),
    }
}

/// Finds a place for those the matching left over; third parties that find none return, or their room is made.
fn repair(tally: &mut Tally<'_>, pool: &Pool, unmatched: Vec<InstanceIdx>) {
    let weights = direct::weights(tally, &pool.hosts);
    let (asked, lifted): (Vec<_>, Vec<_>) =
        unmatched.into_iter().partition(|at| tally.ground.problem.instances[at.at()].task == Task::Leave);
    for instance in lifted {
        if tally.may_return(instance) {
            tally.take_back(instance);
        } else {
            direct::place(tally, &Unit::alone(instance), &pool.hosts, &weights);
        }
    }
    eject::eject(tally, asked.into_iter().map(Unit::alone).collect(), &pool.hosts);
}

/// The best placement of a pool so far, and what is proven.
struct Search<'a> {
    pool: &'a Pool,
    best: Tally<'a>,
    refused: u64,
    displaced: u64,
}

impl<'a> Search<'a> {
    /// Takes the placement if it is whole and better.
    fn offer(&mut self, tally: Tally<'a>) {
        if tally.lifted().is_empty() && value(&tally, self.pool) < value(&self.best, self.pool) {
            self.best = tally;
        }
    }

    /// Whether the best meets the bounds.
    fn is_proven(&self) -> bool {
        value(&self.best, self.pool) == (self.refused, self.displaced)
    }
}

/// Whether the rules leave the instance any host at all.
fn has_anywhere(ground: &Ground<'_>, instance: InstanceIdx) -> bool {
    ground.resizes_in_place(instance)
        || (ground.departs(instance) && !ground.problem.kind(instance).eligible.is_empty())
}

fn left(tally: &Tally<'_>, pool: &Pool) -> Vec<InstanceIdx> {
    pool.asked.iter().copied().filter(|instance| !tally.is_moved(*instance)).collect()
}

/// How many are refused, and the memory displaced: what is compared, in this order.
fn value(tally: &Tally<'_>, pool: &Pool) -> (u64, u64) {
    let displaced = u64::try_from(tally.displaced()).expect("no instance claims a negative amount");
    (left(tally, pool).len() as u64, displaced)
}
