//! From fractions of patterns to whole ones.
//!
//! Column generation leaves few hosts fractional, often none. What is left is an integer model over few columns: one
//! that costs more than the bound leaves room for cannot be part of a solution at the bound (reduced-cost fixing), and
//! the first solution at the bound ends the search: mostly branching comes upon it, else the solver seeks it. Where there
//! is none, a dive finds other columns, and then all that earn nearly the best are let in.

use std::collections::HashSet;

use crate::limits::Limits;
use crate::mip::{Model as Mip, Position};

use super::branch;
use super::dive;
use super::exchange::{Exchange, exchanges};
use super::generate::{Generated, fixed_cost, price};
use super::master::{Column, WHOLE, refuse_for_nothing};
use super::model::Model;
use super::pricing::{self, Pattern};
use super::table::{self, Table};

/// A way to whole patterns.
#[derive(Clone, Copy, Debug)]
enum Attempt {
    /// An integer model over the columns that a solution within this many steps above the bound may use.
    Search { slack: i64 },
    /// The same over the columns of a solution at the bound, where smaller ones may take the places of larger ones.
    Exchange,
    /// A dive, which also finds columns for the next search.
    Dive,
    /// Columns for the next search: those that a solution within this many steps above the bound may use, as far as
    /// they differ in who departs, so many for a host at most.
    Widen { slack: i64, width: usize },
}

/// How far one goes to find whole patterns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Most solutions are at the bound: there the fewer the columns the faster, but a few more than were generated give
    /// many more ways to be whole.
    Quick,
    /// The same columns with exchanges: more ways again to be whole, but the solver takes longer for each.
    Exchanging,
    /// Other columns, and more of them.
    Thorough,
}

impl Way {
    /// What is tried in turn, until the bound is met.
    fn attempts(self) -> &'static [Attempt] {
        match self {
            Self::Quick => &[Attempt::Widen { slack: 0, width: 4 }, Attempt::Search { slack: 0 }],
            Self::Exchanging => &[Attempt::Exchange],
            Self::Thorough => &[Attempt::Dive, Attempt::Widen { slack: 16, width: 30 }, Attempt::Search { slack: 16 }],
        }
    }
}

/// Columns of one integer model at most, those that promise most: with more of them the solver finds worse.
const COLUMNS: usize = 3000;

/// Nodes of one integer model.
const NODES: i32 = 200;

/// Whole patterns for every host.
pub(super) struct Chosen {
    /// How often a column is used, by its position; only those that are.
    pub(super) uses: Vec<(usize, u32)>,
    /// How many places are taken by others than those they are for, the largest places first.
    pub(super) exchanged: Vec<(Exchange, u32)>,
}

/// Whole patterns for every host, at or near the bound, the best first: which of them is best once everybody is placed
/// is for repair to say. None if there are none among the columns.
pub(super) fn choose(
    model: &Model,
    generated: &mut Generated,
    way: Way,
    seed: u64,
    limits: &Limits<'_>,
) -> Vec<Chosen> {
    if let Some(chosen) = whole(generated) {
        return vec![chosen];
    }
    let bound = generated.bound_steps() * generated.step;
    let refusal = generated.prices.refusal;
    let places_all = |cost: i64| cost < bound + refusal;
    let mut all: Vec<(i64, Chosen)> = Vec::new();
    for attempt in way.attempts() {
        let found = match *attempt {
            // Where a dive does not even place everybody, more columns only make the integer model slower.
            Attempt::Search { .. } if way == Way::Thorough && !all.iter().any(|(cost, _)| places_all(*cost)) => None,
            Attempt::Search { slack } => search(model, generated, slack, &[], seed, limits),
            Attempt::Exchange => search(model, generated, 0, &exchanges(model), seed, limits),
            Attempt::Dive => dive::dive(model, generated, limits),
            Attempt::Widen { slack, width } => {
                widen(model, generated, slack, width);
                None
            }
        };
        all.extend(found.map(|chosen| (cost(model, generated, &chosen), chosen)));
        if limits.out_of_time() || all.iter().any(|(cost, _)| *cost <= bound) {
            break;
        }
    }
    all.sort_by_key(|(cost, _)| *cost);
    all.into_iter().map(|(_, chosen)| chosen).collect()
}

/// What chosen patterns cost, in price units, those that nobody placed included but for as many as are refused for nothing.
fn cost(model: &Model, generated: &Generated, chosen: &Chosen) -> i64 {
    let mut waiting: Vec<i64> = model.kinds.iter().map(|kind| kind.evacuees as i64).collect();
    let mut cost = fixed_cost(model, generated.prices.refusal);
    for (exchange, count) in &chosen.exchanged {
        waiting[exchange.place] += i64::from(*count);
        waiting[exchange.taker] -= i64::from(*count);
    }
    for (at, count) in &chosen.uses {
        let column = &generated.columns[*at];
        cost += column.cost * i64::from(*count);
        for (row, flow) in column.flow(model) {
            waiting[row] -= flow * i64::from(*count);
        }
    }
    let unplaced: i64 = waiting.into_iter().map(|waiting| waiting.max(0)).sum();
    cost + generated.prices.refusal * (unplaced - generated.free_refusals as i64).max(0)
}

/// The master's answer, if it is whole and refuses nobody but for nothing.
fn whole(generated: &Generated) -> Option<Chosen> {
    let solved = generated.solved.as_ref()?;
    let is_whole = |used: &f64| (used - used.round()).abs() < WHOLE;
    let placed = solved.unplaced.iter().all(|unplaced| *unplaced < WHOLE);
    (placed && solved.used.iter().all(is_whole)).then(|| Chosen { uses: rounded(&solved.used), exchanged: Vec::new() })
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "numbers of hosts and of instances")]
fn rounded(used: &[f64]) -> Vec<(usize, u32)> {
    let counts = used.iter().map(|used| used.round() as u32);
    counts.enumerate().filter(|(_, count)| *count > 0).collect()
}

/// Every host follows the pattern that the master uses most there: nearly all find a place, and repair does the rest.
pub(super) fn most_used(model: &Model, columns: &[Column], used: &[f64]) -> Chosen {
    let mut free: Vec<f64> = model.hosts.iter().map(|host| host.hosts.len() as f64).collect();
    let mut by_use: Vec<usize> = (0..used.len()).filter(|at| used[*at] > WHOLE).collect();
    by_use.sort_by(|a, b| used[*b].total_cmp(&used[*a]).then(a.cmp(b)));
    let mut whole = vec![0.0; used.len()];
    for at in by_use {
        let free = &mut free[columns[at].host];
        whole[at] = used[at].round().max(1.0).min(*free);
        *free -= whole[at];
    }
    Chosen { uses: rounded(&whole), exchanged: Vec::new() }
}

/// An integer model over the columns that leave no more than `slack` steps above the bound, and these exchanges.
fn search(
    model: &Model,
    generated: &Generated,
    slack: i64,
    exchanges: &[Exchange],
    seed: u64,
    limits: &Limits<'_>,
) -> Option<Chosen> {
    let allowed = (generated.bound_steps() + slack) * generated.step - generated.bound;
    let columns: Vec<usize> = affordable(model, generated, allowed);
    let restricted = || restricted(model, generated, &columns, exchanges);
    let fixed = fixed_cost(model, generated.prices.refusal) as f64 / generated.step as f64;
    let target = generated.bound_steps() as f64 - fixed + 0.5;
    let values = branch::whole(restricted, target, seed, limits).or_else(|| {
        let mut mip = restricted();
        (0..mip.columns().len()).for_each(|column| mip.integer(column));
        mip.solve_integer(limits.search(NODES, target)).values
    })?;
    let (used, taken) = (&values[..columns.len()], &values[values.len() - exchanges.len()..]);
    Some(Chosen {
        uses: rounded(used).into_iter().map(|(at, count)| (columns[at], count)).collect(),
        exchanged: rounded(taken).into_iter().map(|(at, count)| (exchanges[at], count)).collect(),
    })
}

/// The linear model over these columns, which come first, and these exchanges, which come last.
fn restricted(model: &Model, generated: &Generated, columns: &[usize], exchanges: &[Exchange]) -> Mip {
    let step = generated.step as f64;
    let mut mip = Mip::new();
    let flows: Vec<Position> =
        model.kinds.iter().map(|kind| mip.row(kind.evacuees as f64, f64::INFINITY, &[])).collect();
    let hosts: Vec<Position> = model.hosts.iter().map(|host| mip.row(0.0, host.hosts.len() as f64, &[])).collect();
    for column in columns.iter().map(|at| &generated.columns[*at]) {
        let mut entries: Vec<(Position, f64)> =
            column.flow(model).into_iter().map(|(row, count)| (flows[row], count as f64)).collect();
        entries.push((hosts[column.host], 1.0));
        mip.column(column.cost as f64 / step, model.hosts[column.host].hosts.len() as f64, &entries);
    }
    for (kind, row) in model.kinds.iter().zip(&flows) {
        if kind.evacuees > 0 {
            mip.column(generated.prices.refusal as f64 / step, kind.evacuees as f64, &[(*row, 1.0)]);
        }
    }
    refuse_for_nothing(model, &mut mip, &flows, generated.free_refusals);
    for exchange in exchanges {
        mip.column(0.0, f64::INFINITY, &[(flows[exchange.place], -1.0), (flows[exchange.taker], 1.0)]);
    }
    mip
}

/// Adds the patterns of every host that earn nearly the best.
fn widen(model: &Model, generated: &mut Generated, slack: i64, width: usize) {
    let allowed = (generated.bound_steps() + slack) * generated.step - generated.bound;
    let prices = &generated.prices;
    let corner = table::corner(model, prices);
    let tables: Vec<Table> =
        model.admitted.iter().map(|admitted| Table::new(model, admitted, &prices.rows, corner)).collect();
    let mut known: HashSet<(usize, Pattern)> =
        generated.columns.iter().map(|column| (column.host, column.pattern.clone())).collect();
    for (at, host) in model.hosts.iter().enumerate() {
        let table = &tables[host.admits];
        let floor = pricing::best(model, table, prices, host).earns - allowed - 1;
        for pattern in pricing::near(model, table, prices, host, floor, width) {
            let idle = pattern.arrive.is_empty() && pattern.in_place.is_empty();
            if !idle && known.insert((at, pattern.clone())) {
                generated.columns.push(Column::new(model, prices, at, pattern));
            }
        }
    }
}

/// The columns whose reduced cost at the best prices is within what is allowed, those of the least where they are many.
fn affordable(model: &Model, generated: &Generated, allowed: i64) -> Vec<usize> {
    let earns = price(model, &generated.prices, table::corner(model, &generated.prices));
    let reduced = |column: &Column| {
        let flow: i64 = column.flow(model).into_iter().map(|(row, count)| generated.prices.rows[row] * count).sum();
        column.cost - flow + earns[column.host].earns
    };
    let mut affordable: Vec<(i64, usize)> =
        generated.columns.iter().enumerate().map(|(at, column)| (reduced(column), at)).collect();
    affordable.retain(|(reduced, _)| *reduced <= allowed);
    affordable.sort_unstable();
    affordable.truncate(COLUMNS);
    let mut columns: Vec<usize> = affordable.into_iter().map(|(_, at)| at).collect();
    columns.sort_unstable();
    columns
}
