//! Whole numbers at the bound, by branching.
//!
//! Mostly there is a solution at the bound of the linear model, so that neither cuts nor a complete search tree are needed:
//! it is enough to come upon one. The search goes depth first: a column whose value is nearest to a half is used once more
//! than in part, or, where that exceeds the bound, less; each node is solved from where the last one left off. Who comes
//! upon a solution does so without turning back often, so that a tree is soon given up for one in which other columns
//! among equally cheap ones are preferred (randomised restarts: Gomes, Selman and Kautz, 1998).

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::limits::Limits;
use crate::mip::{Ended, Model as Mip, Position};

use super::master::WHOLE;

/// Trees searched, at the usual effort.
const TREES: u32 = 32;

/// Trees searched at a time: whichever of them end first, the first with a solution gives it.
const AT_A_TIME: u32 = 4;

/// Nodes beyond the bound after which a tree is given up.
const TURNS: u32 = 4;

/// By how much the cost of a column is raised in all trees but the first, steps at most: equally cheap columns are told
/// apart by it.
const PREFERENCE: f64 = 0.001;

/// Whole values for all columns of a linear model that cost no more than `target`; `None` if none were come upon. `relaxed`
/// builds the model, once for each tree. Only the first tree can tell that there are none: preferences blur what the others
/// say of costs.
pub(super) fn whole(relaxed: impl Fn() -> Mip + Sync, target: f64, seed: u64, limits: &Limits<'_>) -> Option<Vec<f64>> {
    let search = |at: &u32| {
        let found = Tree::new(relaxed(), target).preferring(seed, *at).search(limits);
        found.filter(|values| *at == 0 || values.is_some())
    };
    let trees: Vec<u32> = (0..(TREES * limits.effort).max(AT_A_TIME)).collect();
    trees.chunks(AT_A_TIME as usize).find_map(|trees| trees.par_iter().find_map_first(search)).flatten()
}

/// A decision about a column.
struct Branch {
    column: Position,
    /// Its bounds before.
    before: (f64, f64),
    /// From where on it was used first; `None` once it may only be used less.
    least: Option<f64>,
}

struct Tree {
    model: Mip,
    target: f64,
    /// The least and the most that every column may be here.
    bounds: Vec<(f64, f64)>,
    /// Decisions from the root to here.
    branches: Vec<Branch>,
}

impl Tree {
    fn new(model: Mip, target: f64) -> Self {
        let bounds = model.columns().iter().map(|column| (0.0, column.upper)).collect();
        Self { model, target, bounds, branches: Vec::new() }
    }

    /// The same where some columns are preferred among equally cheap ones; in the first tree none are.
    fn preferring(mut self, seed: u64, stream: u32) -> Self {
        if stream == 0 {
            return self;
        }
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(u64::from(stream));
        for at in 0..self.bounds.len() {
            let cost = self.model.columns()[at].cost + random.random_range(0.0..PREFERENCE);
            self.model.cost(at, cost);
        }
        self
    }

    /// Whole values, or that there are none; `None` if the tree is given up.
    fn search(mut self, limits: &Limits<'_>) -> Option<Option<Vec<f64>>> {
        let mut turns = 0;
        while turns < TURNS && !limits.out_of_time() {
            match self.solve() {
                Some(values) => match most_fractional(&values) {
                    Some(column) => self.branch(column, values[column].ceil()),
                    None => return Some(Some(values)),
                },
                None if self.turn_back() => turns += 1,
                None => return Some(None),
            }
        }
        None
    }

    /// Values at the bound; `None` if there are none here.
    fn solve(&mut self) -> Option<Vec<f64>> {
        let answer = self.model.solve_linear();
        let values = answer.values.filter(|_| answer.ended == Ended::Optimal)?;
        let cost: f64 = self.model.columns().iter().zip(&values).map(|(column, value)| column.cost * value).sum();
        (cost <= self.target).then_some(values)
    }

    /// From here on the column is used at least so often.
    fn branch(&mut self, column: Position, least: f64) {
        let before = self.bounds[column];
        self.bound(column, (least, before.1));
        self.branches.push(Branch { column, before, least: Some(least) });
    }

    /// Uses less of the last column of which more was used; `false` if there is none left.
    fn turn_back(&mut self) -> bool {
        while let Some(Branch { column, before, least }) = self.branches.pop() {
            if let Some(least) = least {
                self.bound(column, (before.0, least - 1.0));
                self.branches.push(Branch { column, before, least: None });
                return true;
            }
            self.bound(column, before);
        }
        false
    }

    fn bound(&mut self, column: Position, to: (f64, f64)) {
        self.bounds[column] = to;
        self.model.bounds(column, to.0, to.1);
    }
}

/// The column whose value is nearest to a half; `None` if all are whole.
fn most_fractional(values: &[f64]) -> Option<Position> {
    let from_half = |value: f64| (value - value.floor() - 0.5).abs();
    let fractional = values.iter().enumerate().filter(|(_, value)| from_half(**value) < 0.5 - WHOLE);
    fractional.min_by(|a, b| from_half(*a.1).total_cmp(&from_half(*b.1))).map(|(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Columns up to 3 that cover two rows.
    #[derive(Debug)]
    struct Covering {
        asked: [i64; 2],
        /// Cost, and what it adds to each row.
        columns: Vec<(i64, [i64; 2])>,
    }

    impl Covering {
        fn random(random: &mut ChaCha8Rng) -> Self {
            let asked = std::array::from_fn(|_| random.random_range(2..9));
            let column = |_| (random.random_range(1..6), std::array::from_fn(|_| random.random_range(0..4)));
            Self { asked, columns: (0..5).map(column).collect() }
        }

        fn relaxed(&self) -> Mip {
            let mut model = Mip::new();
            let rows = self.asked.map(|asked| model.row(asked as f64, f64::INFINITY, &[]));
            for (cost, adds) in &self.columns {
                model.column(*cost as f64, 3.0, &[(rows[0], adds[0] as f64), (rows[1], adds[1] as f64)]);
            }
            model
        }

        /// The cost of values that cover the rows.
        fn cost(&self, values: &[i64]) -> Option<i64> {
            let added =
                |row: usize| self.columns.iter().zip(values).map(|((_, adds), value)| adds[row] * value).sum::<i64>();
            let covers = (0..2).all(|row| added(row) >= self.asked[row]);
            covers.then(|| self.columns.iter().zip(values).map(|((cost, _), value)| cost * value).sum())
        }

        /// The least cost, by trying everything.
        fn least(&self) -> Option<i64> {
            let values = |of: i64| (0..5).map(move |at| of >> (2 * at) & 3).collect::<Vec<_>>();
            (0..1 << 10).filter_map(|of| self.cost(&values(of))).min()
        }
    }

    #[test]
    fn whole_values_are_mostly_found_at_the_least_cost_and_never_below() {
        let (mut met, mut branched, mut missed) = (0, 0, 0);
        for seed in 0..300 {
            let covering = Covering::random(&mut ChaCha8Rng::seed_from_u64(seed));
            let found = |target: i64| whole(|| covering.relaxed(), target as f64 + 0.5, seed, &Limits::UNTIMED);
            let Some(least) = covering.least() else {
                assert!(found(1000).is_none(), "seed {seed}: {covering:?}");
                continue;
            };
            assert!(found(least - 1).is_none(), "seed {seed}: {covering:?}");
            let Some(values) = found(least) else {
                missed += 1;
                continue;
            };
            assert!(values.iter().all(|value| (value - value.round()).abs() < WHOLE), "seed {seed}: {values:?}");
            #[expect(clippy::cast_possible_truncation, reason = "values up to 3")]
            let values: Vec<i64> = values.iter().map(|value| value.round() as i64).collect();
            assert_eq!(covering.cost(&values), Some(least), "seed {seed}: {covering:?}");
            met += 1;
            branched +=
                i32::from(most_fractional(&covering.relaxed().solve_linear().values.expect("it is solved")).is_some());
        }
        assert!(branched > 100 && missed * 20 < met, "{met} solved, {branched} by branching, {missed} not");
    }

    #[test]
    fn the_same_seed_gives_the_same_values_on_one_thread_and_on_two() {
        let on = |threads: usize, covering: &Covering, target: f64, seed: u64| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
            pool.install(|| whole(|| covering.relaxed(), target, seed, &Limits::UNTIMED))
        };
        let mut restarted = 0;
        for seed in 0..600 {
            let covering = Covering::random(&mut ChaCha8Rng::seed_from_u64(seed));
            let Some(least) = covering.least() else { continue };
            let target = least as f64 + 0.5;
            assert_eq!(on(1, &covering, target, seed), on(2, &covering, target, seed), "seed {seed}: {covering:?}");
            restarted += i32::from(Tree::new(covering.relaxed(), target).search(&Limits::UNTIMED).is_none());
        }
        assert!(restarted > 10, "{restarted} took more than one tree");
    }
}
