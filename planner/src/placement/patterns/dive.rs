//! Diving: fractions are driven out one by one, and patterns that fit what is fixed are priced in on the way.
//!
//! Of the patterns that the master uses in part, the one nearest to whole is fixed, and all others may still change;
//! prices follow (diving with column generation, Sadykov et al. 2019). The first whole answer is taken.

use crate::limits::Limits;

use super::generate::{Generated, price};
use super::integers::{Chosen, rounded};
use super::master::{Column, Master, Solved};
use super::model::Model;
use super::pricing::Prices;
use super::table;

/// Patterns fixed at most before giving up: a few times the fractional hosts that were seen.
const FIXINGS: u32 = 120;

/// How much dearer than in the master it is not to place someone: the last few would otherwise rather stay.
const DEAR: i64 = 4;

/// Rounds of pricing after each fixing.
const ROUNDS: u32 = 2;

/// Nearer to whole than the solver's tolerance.
const WHOLE: f64 = 1e-6;

/// Dives to whole patterns; adds the patterns found on the way to the columns.
pub(super) fn dive(model: &Model, generated: &mut Generated, limits: &Limits<'_>) -> Option<Chosen> {
    let dear: Vec<i64> = generated.caps.iter().map(|cap| (cap * DEAR).min(generated.prices.refusal)).collect();
    let mut master = Master::new(model, &dear, generated.step);
    for column in &generated.columns {
        master.add(column.clone());
    }
    let mut solved = master.solve()?;
    for _ in 0..FIXINGS {
        if limits.out_of_time() {
            break;
        }
        let Some(next) = nearest_to_whole(&solved) else { break };
        master.use_at_least(next, solved.used[next].ceil());
        solved = master.solve()?;
        for _ in 0..ROUNDS {
            if !price_in(model, generated, &mut master, &solved) {
                break;
            }
            solved = master.solve()?;
        }
    }
    generated.columns = master.columns;
    let whole = nearest_to_whole(&solved).is_none() && solved.unplaced.iter().all(|unplaced| *unplaced < WHOLE);
    whole.then(|| rounded(&solved.used))
}

/// The fractional column whose use is nearest to the next whole number.
fn nearest_to_whole(solved: &Solved) -> Option<usize> {
    let fraction = |used: f64| used - (used + WHOLE).floor();
    let fractional = solved.used.iter().enumerate().filter(|(_, used)| fraction(**used) > WHOLE);
    fractional.max_by(|a, b| fraction(*a.1).total_cmp(&fraction(*b.1)).then(b.0.cmp(&a.0))).map(|(at, _)| at)
}

/// Adds the patterns that the prices of now ask for; says whether there were any.
#[expect(clippy::cast_possible_truncation, reason = "prices are far below 2^53")]
fn price_in(model: &Model, generated: &Generated, master: &mut Master<'_>, solved: &Solved) -> bool {
    let rows = solved.prices.iter().map(|price| price.round() as i64).collect();
    let prices = Prices { rows, ..generated.prices };
    let mut added = false;
    for (host, best) in price(model, &prices, table::corner(model)).into_iter().enumerate() {
        let column = Column::new(model, &prices, host, best.pattern);
        let gains = column.reduced_cost(model, solved) < -WHOLE * generated.step as f64;
        added |= gains && master.add(column);
    }
    added
}
