//! Diving: fractions are driven out one by one, and patterns that fit what is fixed are priced in on the way.
//!
//! Of the patterns that the master uses in part, the one nearest to whole is fixed, and all others may still change;
//! prices follow (diving with column generation, Sadykov et al. 2019). What is left in parts in the end is rounded.

use crate::limits::Limits;

use super::generate::{Generated, price};
use super::integers::{Chosen, most_used};
use super::master::{Column, Master, Solved, Unplaced, WHOLE};
use super::model::Model;
use super::pricing::Prices;
use super::table;

/// Times that patterns are fixed at most before the rest is rounded: a few times the fractional hosts that were seen.
const FIXINGS: u32 = 60;

/// From this part on a fractional use is as good as whole, and all such are fixed at once.
const NEARLY_WHOLE: f64 = 0.8;

/// How much dearer than in the master it is not to place someone, and a third party than an evacuee: the last few would
/// otherwise rather stay, and in whose place a third party comes, several would have none.
const DEAR: i64 = 4;

/// Rounds of pricing after each fixing.
const ROUNDS: u32 = 2;

/// Dives to whole patterns; adds the patterns found on the way to the columns. Some may find no place in them.
pub(super) fn dive(model: &Model, generated: &mut Generated, limits: &Limits<'_>) -> Option<Chosen> {
    let dear: Vec<i64> = generated.caps.iter().map(|cap| (cap * DEAR).min(generated.prices.refusal)).collect();
    let mut master = Master::new(model, &dear, generated.step, Unplaced::All(DEAR), generated.free_refusals);
    for column in &generated.columns {
        master.add(column.clone());
    }
    let mut solved = master.solve()?;
    for _ in 0..FIXINGS {
        let next = nearest_to_whole(&solved);
        if next.is_empty() || limits.out_of_time() {
            break;
        }
        next.into_iter().for_each(|at| master.use_at_least(at, solved.used[at].ceil()));
        solved = master.solve()?;
        for _ in 0..ROUNDS {
            if !price_in(model, generated, &mut master, &solved) {
                break;
            }
            solved = master.solve()?;
        }
    }
    generated.columns = master.columns;
    Some(most_used(model, &generated.columns, &solved.used))
}

/// The fractional columns whose use is nearly the next whole number, or the one that is nearest to it.
fn nearest_to_whole(solved: &Solved) -> Vec<usize> {
    let fraction = |used: f64| used - (used + WHOLE).floor();
    let mut fractional: Vec<(f64, usize)> =
        solved.used.iter().enumerate().map(|(at, used)| (fraction(*used), at)).collect();
    fractional.retain(|(fraction, _)| *fraction > WHOLE);
    fractional.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
    let nearly = fractional.iter().take_while(|(fraction, _)| *fraction >= NEARLY_WHOLE).count();
    fractional.into_iter().take(nearly.max(1)).map(|(_, at)| at).collect()
}

/// Adds the patterns that the prices of now ask for; says whether there were any.
#[expect(clippy::cast_possible_truncation, reason = "prices are far below 2^53")]
fn price_in(model: &Model, generated: &Generated, master: &mut Master<'_>, solved: &Solved) -> bool {
    let rows = solved.prices.iter().map(|price| price.round() as i64).collect();
    let prices = Prices { rows, ..generated.prices };
    let mut added = false;
    for (host, best) in price(model, &prices, table::corner(model, &prices)).into_iter().enumerate() {
        let column = Column::new(model, &prices, host, best.pattern);
        let gains = column.reduced_cost(model, solved) < -WHOLE * generated.step as f64;
        added |= gains && master.add(column);
    }
    added
}
