//! Refusals by priority: what is compared, and how few of each there can be.
//!
//! Pools are independent, so that the least of all is the least of each, as long as every level before is at its least: a pool
//! that is better there would make the whole better.

use std::collections::{BTreeMap, BTreeSet};

use decant_schema::plan::Plan;

use super::pool::{Party, Pools};
use super::scene::Scene;

/// What refusals are compared by, the first the most important: how many of each priority, the highest first; before them
/// how many in all, where the request puts that first.
pub(super) type Rank = Vec<u64>;

/// The priorities of those who are asked, each once, the highest first.
pub(super) struct Levels {
    pub(super) priorities: Vec<i32>,
    count_first: bool,
}

impl Levels {
    pub(super) fn new(scene: &Scene<'_>) -> Self {
        let asked = (0..scene.home.len()).filter(|at| scene.asked(*at).is_some());
        let priorities: BTreeSet<i32> = asked.map(|at| scene.instance(at).priority).collect();
        Self { priorities: priorities.into_iter().rev().collect(), count_first: scene.options().count_first }
    }

    /// How these refusals compare with others.
    pub(super) fn rank(&self, scene: &Scene<'_>, refused: impl Iterator<Item = usize>) -> Rank {
        let mut rank = vec![0; self.priorities.len() + 1];
        for at in refused {
            let priority = scene.instance(at).priority;
            let level =
                self.priorities.binary_search_by(|known| priority.cmp(known)).expect("those asked have a level");
            rank[0] += 1;
            rank[level + 1] += 1;
        }
        if self.count_first { rank } else { rank.split_off(1) }
    }

    /// How few of each priority any plan refuses that refuses as few of those before, where that is known. `least` is what is
    /// known to be the least of a pool, `stuck` whom every plan refuses.
    pub(super) fn bounds(
        &self,
        scene: &Scene<'_>,
        refused: &BTreeMap<usize, Vec<usize>>,
        least: &BTreeMap<usize, Rank>,
        stuck: &BTreeMap<usize, Vec<usize>>,
    ) -> Vec<Option<u64>> {
        let of = |these: Option<&Vec<usize>>| self.rank(scene, these.into_iter().flatten().copied());
        let pools: BTreeSet<usize> = refused.keys().chain(least.keys()).chain(stuck.keys()).copied().collect();
        let of_pools: Vec<(Rank, Rank)> = pools
            .iter()
            .map(|pool| (of(refused.get(pool)), least.get(pool).cloned().unwrap_or_else(|| of(stuck.get(pool)))))
            .collect();
        let skipped = usize::from(self.count_first);
        let sum = |rank: &dyn Fn(&(Rank, Rank)) -> u64| of_pools.iter().map(rank).sum::<u64>();
        let level = |level: usize| (sum(&|(reached, _)| reached[level]), sum(&|(_, least)| least[level]));
        let mut met = (0..skipped).all(|at| level(at).0 == level(at).1);
        let bound = |at: usize| {
            let (reached, least) = level(at);
            let bound = met.then_some(least);
            met &= reached == least;
            bound
        };
        (skipped..skipped + self.priorities.len()).map(bound).collect()
    }

    /// How many of each priority a rank counts, the highest first.
    pub(super) fn of_each<'r>(&self, rank: &'r Rank) -> &'r [u64] {
        &rank[usize::from(self.count_first)..]
    }

    /// The least that can be refused of these where so many are in any case: those nothing can be done for, and the least
    /// important of the others.
    pub(super) fn at_best<'p>(&self, scene: &Scene<'_>, of: impl Iterator<Item = &'p Party>, count: u64) -> Rank {
        let asked = of.filter(|party| scene.asked(party.instance).is_some());
        let mut asked: Vec<(bool, i32, usize)> = asked
            .map(|party| (!party.role.is_hopeless(), scene.instance(party.instance).priority, party.instance))
            .collect();
        asked.sort_unstable();
        let least = asked.into_iter().take(usize::try_from(count).unwrap_or(usize::MAX));
        self.rank(scene, least.map(|(.., at)| at))
    }
}

/// By pool: whom a plan refuses.
pub(super) fn refused(scene: &Scene<'_>, pools: &Pools, plan: &Plan) -> BTreeMap<usize, Vec<usize>> {
    let mut refused: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    let named = plan.refusals.iter().filter_map(|refusal| scene.fleet.instance_index(refusal.instance.as_str()));
    for at in named.filter(|at| scene.asked(*at).is_some()) {
        refused.entry(pools.pool[scene.home[at]]).or_default().push(at);
    }
    refused
}

/// By pool: the memory that a plan displaces, MiB.
pub(super) fn displaced(scene: &Scene<'_>, pools: &Pools, plan: &Plan) -> BTreeMap<usize, u64> {
    let movers: BTreeSet<usize> =
        plan.moves.iter().filter_map(|line| scene.fleet.instance_index(line.instance.as_str())).collect();
    let mut displaced = BTreeMap::new();
    for at in movers.into_iter().filter(|at| scene.asked(*at).is_none()) {
        *displaced.entry(pools.pool[scene.home[at]]).or_default() += scene.memory(at);
    }
    displaced
}
