//! Who goes where, and what is proven of it.
//!
//! Layers that stop as soon as enough is proven. Per pool, in parallel: the bound first (what cannot go is refused, nobody
//! else need move), then direct fit, then displacement. Every layer keeps a value AND a bound; where they meet, the
//! pool is done.
//!
//! The tiers: first the fewest refused of the highest priority, then of the next and so on; the fewest in all before that, if
//! the request puts their number first. Then the memory of the third parties that move.

mod affinity;
mod assign;
mod company;
mod crowded;
mod direct;
mod eject;
mod flow;
mod improve;
mod neighbourhood;
mod openings;
mod patterns;
mod pools;
mod proof;
mod salvage;
mod search;
mod tally;
#[cfg(test)]
mod tests;

use std::collections::HashSet;

use decant_schema::plan::{Certificate, PoolCertificate, StoppedBy, TierName};
use rayon::prelude::*;

use crate::limits::Limits;
use crate::problem::{HostIdx, InstanceIdx, KindIdx, Placement, Problem};

use pools::Pool;
use proof::Proof;
pub(crate) use salvage::{Way, salvage};
use search::Search;
use tally::Ground;

/// Part of the time by which an answer may be late in which drafts may end, percent: without one, a pool refuses dozens that
/// it need not.
const DRAFTS: u32 = 20;

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
    /// What cut the search short, if anything did.
    pub stopped_by: Option<StoppedBy>,
    /// What it is made of, in the order of the pools.
    pools: Vec<PoolPlaced>,
}

/// Assignments that proved impossible to order together: a placement never holds all of them again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoGood {
    /// Who goes where.
    pub assignments: Vec<(InstanceIdx, HostIdx)>,
}

/// Decides who goes where. `no_goods` are what earlier placements of the same problem came to grief on.
pub fn place(problem: &Problem, limits: &Limits<'_>, no_goods: &[NoGood]) -> Placed {
    let ground = Ground::new(problem, bans(problem, no_goods));
    let pools = pools::pools(&ground);
    // Every pool has a draft before any is refined: whenever the clock stops the search, there is a plan for all.
    let drafting = limits.late_by(DRAFTS);
    let drafts: Vec<Search<'_>> =
        pools.par_iter().with_max_len(1).map(|pool| draft(Search::new(&ground, pool, &drafting))).collect();
    gather(problem, drafts.into_par_iter().with_max_len(1).map(|draft| refine(draft.within(limits))).collect())
}

/// Decides again, after another no-good: only the pools in which something is avoided are placed anew, and what
/// `before` proved of them still holds. Where that was not the best to be had, what it placed is mended: the search that
/// found it would take as long again.
pub fn place_again(problem: &Problem, limits: &Limits<'_>, no_goods: &[NoGood], before: &Placed) -> Placed {
    let bans = bans(problem, no_goods);
    let banned: HashSet<HostIdx> = bans.iter().map(|(_, host)| *host).collect();
    let ground = Ground::new(problem, bans);
    let again = |(pool, before): (&Pool, &PoolPlaced)| {
        if pool.hosts.iter().any(|host| banned.contains(host)) {
            let mut search = Search::new(&ground, pool, limits).with_proof_of(before);
            if search.mend(before) && !before.is_proven() { polish(search) } else { refine(draft(search)) }
        } else {
            before.clone()
        }
    };
    let pools = pools::pools(&ground);
    gather(problem, pools.par_iter().zip(&before.pools).map(again).collect())
}

/// The same with those it leaves placed as well, as far as room for them can be gathered in neighbourhoods.
pub(crate) fn complete(problem: &Problem, limits: &Limits<'_>, before: &Placed) -> Placed {
    let ground = Ground::new(problem, HashSet::new());
    let complete = |(pool, before): (&Pool, &PoolPlaced)| {
        if before.left.is_empty() {
            return before.clone();
        }
        let mut search = Search::new(&ground, pool, limits).with_proof_of(before);
        search.mend(before);
        search.gather_room();
        search.finish()
    };
    let pools = pools::pools(&ground);
    gather(problem, pools.par_iter().zip(&before.pools).map(complete).collect())
}

/// Nobody moved yet; proven is how many must be refused at least: by counting where that says as many as are `enough`, else by
/// prices, which take longer.
pub(crate) fn bounded(problem: &Problem, enough: u64, limits: &Limits<'_>) -> Placed {
    let ground = Ground::new(problem, HashSet::new());
    let bounded = |pool: &Pool| {
        let mut search = Search::new(&ground, pool, limits);
        if !pool.asked.is_empty() && search.refused_at_least() < enough {
            search.bound_refusals();
        }
        search.finish()
    };
    gather(problem, pools::pools(&ground).par_iter().with_max_len(1).map(bounded).collect())
}

/// Nobody moved yet, and nothing proven: what [`salvage`] begins with where no placement is known.
pub(crate) fn unmoved(problem: &Problem) -> Placed {
    let ground = Ground::new(problem, HashSet::new());
    let unmoved = |pool: Pool| PoolPlaced {
        moved: Vec::new(),
        refused: TierBound { value: pool.asked.len() as u64, bound: 0 },
        left: pool.asked,
        refuses_the_least: false,
        displaced: TierBound::default(),
        proofs: Vec::new(),
        stopped_by: None,
    };
    gather(problem, pools::pools(&ground).into_iter().map(unmoved).collect())
}

/// One assignment of each no-good, so that none can come about again. It is the whole kind that keeps away from the
/// host: another instance that is alike would come to the same grief.
fn bans(problem: &Problem, no_goods: &[NoGood]) -> HashSet<(KindIdx, HostIdx)> {
    let mut bans = HashSet::new();
    for (at, no_good) in no_goods.iter().enumerate() {
        let ban = |(instance, host): &(InstanceIdx, HostIdx)| (problem.instances[instance.at()].kind, *host);
        if no_good.assignments.is_empty() || no_good.assignments.iter().any(|one| bans.contains(&ban(one))) {
            continue;
        }
        bans.insert(ban(&no_good.assignments[at % no_good.assignments.len()]));
    }
    bans
}

/// Puts the pools' parts together.
fn gather(problem: &Problem, pools: Vec<PoolPlaced>) -> Placed {
    let mut placement = problem.standing();
    let (mut refused, mut displaced) = (TierBound::default(), TierBound::default());
    for pool in &pools {
        for (instance, host) in &pool.moved {
            placement.host[instance.at()] = *host;
        }
        placement.refused.extend(&pool.left);
        refused.value += pool.refused.value;
        refused.bound += pool.refused.bound;
        displaced.value += pool.displaced.value;
    }
    placement.refused.sort_unstable();
    let stopped_by = pools.iter().find_map(|pool| pool.stopped_by);
    let mut placed = Placed { placement, refused, displaced, stopped_by, pools };
    placed.displaced.bound = placed.pools.iter().map(|pool| pool.displaced.bound).sum();
    placed
}

impl Placed {
    /// The least memory displaced by any placement that refuses no less than these are, MiB: whatever is known of this one's
    /// refusals, or what its prices say of as many others.
    pub(crate) fn displaced_bound(&self, problem: &Problem, refused: &[InstanceIdx]) -> u64 {
        let alike = problem.refusal_rank(refused) == problem.refusal_rank(&self.placement.refused);
        let of = |pool: &PoolPlaced| match alike {
            true => pool.displaced.bound,
            false => pool.displaced_at_least(self.refusals_of(pool, refused.len() as u64)),
        };
        self.pools.iter().map(of).sum()
    }

    /// Whether it is known that no placement refuses less, priority by priority.
    pub(crate) fn refuses_the_least(&self) -> bool {
        self.pools.iter().all(|pool| pool.refuses_the_least)
    }

    /// Prices from which the bounds follow, where they need any, for placements that refuse at most so many.
    pub(crate) fn certificate(&self, refused: u64) -> Option<Certificate> {
        let of_pool = |pool: &PoolPlaced| {
            let refused = self.refusals_of(pool, refused);
            pool.proofs.iter().map(|proof| proof.certificate(refused)).collect::<Vec<PoolCertificate>>()
        };
        let pools: Vec<PoolCertificate> = self.pools.iter().flat_map(of_pool).collect();
        (!pools.is_empty()).then_some(Certificate { pools })
    }

    /// The most refusals of a pool where so many are refused in all: what is not proven of the others.
    fn refusals_of(&self, pool: &PoolPlaced, refused: u64) -> u64 {
        refused.saturating_sub(self.refused.bound - pool.refused.bound)
    }
}

/// A pool's part of a placement.
#[derive(Clone, Debug)]
struct PoolPlaced {
    moved: Vec<(InstanceIdx, HostIdx)>,
    left: Vec<InstanceIdx>,
    /// Whether it is known that no placement refuses less, priority by priority.
    refuses_the_least: bool,
    refused: TierBound,
    displaced: TierBound,
    proofs: Vec<Proof>,
    stopped_by: Option<StoppedBy>,
}

impl PoolPlaced {
    fn is_proven(&self) -> bool {
        self.refuses_the_least && self.displaced.value == self.displaced.bound
    }

    /// What its prices say of the memory displaced by any placement that refuses at most so many of the pool, MiB.
    fn displaced_at_least(&self, refused: u64) -> u64 {
        let of_memory = self.proofs.iter().filter(|proof| proof.tier() == TierName::DisplacedMemoryMb);
        of_memory.map(|proof| proof.bound(refused)).max().unwrap_or(0)
    }
}

/// The quick layers, until one has proven enough.
fn draft(mut search: Search<'_>) -> Search<'_> {
    search.fit_directly();
    if !search.is_enough() {
        search.follow_fractions();
    }
    search
}

/// A little more than what was mended.
fn polish(mut search: Search<'_>) -> PoolPlaced {
    search.search_some_neighbourhoods();
    search.improve();
    search.finish()
}

/// The thorough layers, until one has proven enough.
fn refine(mut search: Search<'_>) -> PoolPlaced {
    if !search.is_enough() {
        search.follow_patterns();
    }
    if !search.is_enough() {
        search.decide_exactly();
    }
    search.make_do();
    search.improve();
    search.finish()
}
