//! Column generation: prices from the master, patterns from the hosts, until the bound says there is nothing to gain.
//!
//! At every prices the sum of what the hosts pay at least is a proven bound (see
//! [`decant_schema::plan::Certificate`]); the best is kept. Prices are smoothed towards those that gave it, which keeps
//! them from jumping about (Wentges 1997).

use std::cmp::Reverse;

use rayon::prelude::*;

use crate::limits::Limits;

use super::master::{Column, Master, Solved, Unplaced, WHOLE, resized};
use super::model::{Charge, Model, Point};
use super::pricing::{self, Best, Prices};
use super::table::{self, Table};

/// Rounds of pricing at most; on fleets that were measured 15 to 45 are enough.
const ROUNDS: u32 = 120;

/// Times that refusals become dearer before one asks how many there must be: where everybody has a place they mostly
/// become dear enough before, and where not, they never do.
const DOUBTS: u32 = 12;

/// How far prices are drawn to the best ones so far.
const SMOOTHING: f64 = 0.6;

/// Price units in a MiB, and in a refusal: fine enough that rounding prices costs no bound.
const PER_MIB: i64 = 1 << 10;
const PER_REFUSAL: i64 = 1 << 24;

/// What column generation found.
pub(super) struct Generated {
    /// The best prices: they yield the bound.
    pub(super) prices: Prices,
    /// Price units in a MiB or a refusal.
    pub(super) denominator: i64,
    /// The bound in price units.
    pub(super) bound: i64,
    /// Price units in a step of the tier.
    pub(super) step: i64,
    /// What the master paid for not placing one of a kind.
    pub(super) caps: Vec<i64>,
    /// Every pattern that was worth a column.
    pub(super) columns: Vec<Column>,
    /// The last answer of the master.
    pub(super) solved: Option<Solved>,
    /// How many are refused for nothing: the bound is one of what is paid besides.
    pub(super) free_refusals: u64,
    /// Whether some may have to be refused: it stopped early, or could not place all.
    pub(super) in_doubt: bool,
}

impl Generated {
    /// The bound in steps, rounded up.
    pub(super) fn bound_steps(&self) -> i64 {
        steps(self.bound, self.step)
    }

    /// The price of a refusal and the bound if none were for nothing: the price is the one at which as many would rather be
    /// refused, so that for that many the bound says the same.
    pub(super) fn with_priced_refusals(&self, model: &Model) -> (i64, i64) {
        if self.free_refusals == 0 {
            return (self.prices.refusal, self.bound);
        }
        let mut free = self.free_refusals;
        let dearest = dearest_first(model, &self.prices).into_iter().find(|(_, count)| {
            let reached = free <= *count;
            free = free.saturating_sub(*count);
            reached
        });
        let price = dearest.map_or(0, |(price, _)| price);
        let of_refused = fixed_cost(model, price) + price * self.free_refusals as i64;
        (price, self.bound - fixed_cost(model, self.prices.refusal) + of_refused)
    }
}

/// Price units rounded up to steps.
pub(super) fn steps(amount: i64, step: i64) -> i64 {
    -(-amount).div_euclid(step)
}

/// What a refusal costs where memory is counted: more than placing one could ever displace in practice.
fn refusal_price(model: &Model) -> i64 {
    let largest = model.kinds.iter().map(|kind| kind.memory).max().unwrap_or(0);
    16 * largest.max(1) * PER_MIB
}

/// Runs column generation for a tier. In doubt whether everybody has a place it mostly stops early.
pub(super) fn generate(model: &Model, charge: Charge, limits: &Limits<'_>) -> Generated {
    let unplaced = match charge {
        Charge::Displaced => Unplaced::Alike,
        Charge::Refused => Unplaced::Evacuees,
    };
    Generation::new(model, charge, unplaced, 0).run(Some(DOUBTS), limits)
}

/// Goes on with displaced memory where so many are refused for nothing, with the patterns that were found already.
pub(super) fn go_on(model: &Model, before: &Generated, free_refusals: u64, limits: &Limits<'_>) -> Generated {
    let mut generation = Generation::new(model, Charge::Displaced, Unplaced::Evacuees, free_refusals);
    generation.center = before.prices.clone();
    for column in &before.columns {
        generation.master.add(column.clone());
    }
    generation.solved = generation.master.solve();
    generation.run(None, limits)
}

/// Column generation between two rounds.
struct Generation<'a> {
    model: &'a Model,
    master: Master<'a>,
    /// The prices that gave the best bound.
    center: Prices,
    bound: i64,
    step: i64,
    denominator: i64,
    corner: Point,
    /// What the master pays for not placing one of a kind; raised where it pays it to the end.
    caps: Vec<i64>,
    /// How far the next prices stay at the center.
    smoothing: f64,
    solved: Option<Solved>,
    free_refusals: u64,
    /// How often not placing someone became dearer.
    raised: u32,
}

impl<'a> Generation<'a> {
    fn new(model: &'a Model, charge: Charge, unplaced: Unplaced, free_refusals: u64) -> Self {
        let (refusal, mib, denominator, step) = match charge {
            Charge::Refused => (PER_REFUSAL, 0, PER_REFUSAL, PER_REFUSAL),
            Charge::Displaced => (refusal_price(model), PER_MIB, PER_MIB, PER_MIB * model.step),
        };
        let cap = |memory: i64| match charge {
            Charge::Refused => refusal,
            Charge::Displaced => (memory * PER_MIB * 5 / 4).clamp(1, refusal),
        };
        let caps: Vec<i64> = model.kinds.iter().map(|kind| cap(kind.memory)).collect();
        let center = Prices { rows: first_prices(model, charge), refusal, mib };
        Self {
            model,
            master: Master::new(model, &caps, step, unplaced, free_refusals),
            bound: 0,
            step,
            denominator,
            corner: table::corner(model, &center),
            center,
            caps,
            smoothing: 1.0,
            solved: None,
            free_refusals,
            raised: 0,
        }
    }

    /// Rounds until there is nothing to gain, or no time, or more doubts than this; none where it is known how many must
    /// stay.
    fn run(mut self, doubts: Option<u32>, limits: &Limits<'_>) -> Generated {
        let too_many = |raised: u32| doubts.is_some_and(|doubts| raised > doubts);
        for _ in 0..ROUNDS {
            let added = self.round();
            if limits.out_of_time() || too_many(self.raised) || !self.solve(added) {
                break;
            }
        }
        let is_done = doubts.is_some() && !limits.out_of_time();
        let in_doubt = too_many(self.raised) || (is_done && self.leaves_anybody());
        let Self { master, center, bound, step, denominator, caps, solved, free_refusals, .. } = self;
        let columns = master.columns;
        Generated { prices: center, denominator, bound, step, caps, columns, solved, free_refusals, in_doubt }
    }

    /// Prices every host, keeps the bound if it is better, adds the patterns that promise something; says if any did.
    fn round(&mut self) -> bool {
        let target = self.solved.as_ref().map(|solved| &solved.prices[..]);
        let rows = target
            .map_or_else(|| self.center.rows.clone(), |target| between(&self.center.rows, target, self.smoothing));
        let prices = Prices { rows: without_weightless(self.model, rows), ..self.center };
        let best = price(self.model, &prices, self.corner);
        let bound = lagrange(self.model, &prices, &best, self.free_refusals);
        let mut added = false;
        for (host, best) in best.into_iter().enumerate() {
            let patterns = std::iter::once(best.pattern).chain(best.repacked);
            let mut columns = patterns.map(|pattern| Column::new(self.model, &prices, host, pattern));
            added |= columns.any(|column| self.promises(&column) && self.master.add(column));
        }
        if bound > self.bound {
            self.bound = bound;
            self.center = prices;
        }
        added
    }

    /// Whether the column would improve the master's last answer.
    fn promises(&self, column: &Column) -> bool {
        let idle = column.flow(self.model).is_empty() && column.pattern.in_place.is_empty();
        let gain = |solved: &Solved| -column.reduced_cost(self.model, solved) / self.step as f64;
        !idle && self.solved.as_ref().is_none_or(|solved| gain(solved) > 1e-6)
    }

    /// Solves the master again if there is anything new; says whether another round could improve anything.
    fn solve(&mut self, added: bool) -> bool {
        let to_master = std::mem::replace(&mut self.smoothing, if added { SMOOTHING } else { 0.0 }) == 0.0;
        if added {
            self.solved = self.master.solve();
        }
        let Some(solved) = &self.solved else { return false };
        let fixed = fixed_cost(self.model, self.center.refusal) as f64 / self.step as f64;
        let proven = steps(self.bound, self.step) as f64 >= solved.objective + fixed - 1e-6;
        if !proven && (added || !to_master) {
            return true;
        }
        let raised = self.raise_caps();
        if raised {
            self.raised += 1;
            self.solved = self.master.solve();
        }
        raised
    }

    /// Whether the master leaves anybody without a place, in part at least.
    fn leaves_anybody(&self) -> bool {
        self.solved.as_ref().is_some_and(|solved| solved.unplaced.iter().any(|unplaced| *unplaced > WHOLE))
    }

    /// Doubles what the master pays for kinds that it pays for to the end; says whether there was any.
    fn raise_caps(&mut self) -> bool {
        let Some(solved) = &self.solved else { return false };
        let mut raised = false;
        for (row, cap) in self.caps.iter_mut().enumerate() {
            if solved.unplaced[row] > WHOLE && *cap < self.center.refusal {
                *cap = (*cap * 2).min(self.center.refusal);
                self.master.refuse_at(row, *cap);
                raised = true;
            }
        }
        raised
    }
}

/// What is paid whatever is decided: those without any way out, and resizes until they are served.
pub(super) fn fixed_cost(model: &Model, refusal: i64) -> i64 {
    let resizes: i64 =
        (0..model.hosts.len()).map(|host| resized(model, host) * model.hosts[host].hosts.len() as i64).sum();
    refusal * (resizes + model.hopeless as i64)
}

/// What every host earns at best.
pub(super) fn price(model: &Model, prices: &Prices, corner: Point) -> Vec<Best> {
    let tables: Vec<Table> =
        model.admitted.par_iter().map(|admitted| Table::new(model, admitted, &prices.rows, corner)).collect();
    model.hosts.par_iter().map(|host| pricing::best(model, &tables[host.admits], prices, host)).collect()
}

/// The Lagrangian bound at these prices, in price units, where so many are refused for nothing: the dearest.
pub(super) fn lagrange(model: &Model, prices: &Prices, best: &[Best], free_refusals: u64) -> i64 {
    let mut evacuees: i64 = 0;
    let mut free = free_refusals;
    for (price, count) in dearest_first(model, prices) {
        evacuees += price * (count - count.min(free)) as i64;
        free = free.saturating_sub(count);
    }
    let earned: i64 = model.hosts.iter().zip(best).map(|(host, best)| host.hosts.len() as i64 * best.earns).sum();
    fixed_cost(model, prices.refusal) + evacuees - earned
}

/// What each evacuee pays at most, with how many do, the dearest first.
fn dearest_first(model: &Model, prices: &Prices) -> Vec<(i64, u64)> {
    let evacuees = model.kinds.iter().zip(&prices.rows).filter(|(kind, _)| kind.evacuees > 0);
    let mut paid: Vec<(i64, u64)> =
        evacuees.map(|(kind, price)| ((*price).min(prices.refusal), kind.evacuees)).collect();
    paid.sort_unstable_by_key(|(price, _)| Reverse(*price));
    paid
}

/// Where prices are first sought: memory that must make way costs the more the larger the piece.
fn first_prices(model: &Model, charge: Charge) -> Vec<i64> {
    let largest = model.kinds.iter().map(|kind| kind.memory).max().unwrap_or(0).max(1);
    let price = |memory: i64| match charge {
        Charge::Refused => PER_REFUSAL / 2 * memory / largest,
        Charge::Displaced => memory * PER_MIB / 2,
    };
    without_weightless(model, model.kinds.iter().map(|kind| price(kind.memory)).collect())
}

/// A price for what needs nothing of the counted classes proves nothing: a host would take any number of it.
fn without_weightless(model: &Model, mut prices: Vec<i64>) -> Vec<i64> {
    let weightless = model.kinds.iter().zip(&mut prices).filter(|(kind, _)| kind.is_weightless());
    weightless.for_each(|(_, price)| *price = 0);
    prices
}

#[expect(clippy::cast_possible_truncation, reason = "prices are far below 2^53")]
fn between(center: &[i64], target: &[f64], smoothing: f64) -> Vec<i64> {
    let mix = |(center, target): (&i64, &f64)| (smoothing * *center as f64 + (1.0 - smoothing) * target).round() as i64;
    center.iter().zip(target).map(mix).collect()
}
