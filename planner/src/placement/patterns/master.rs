//! The master: which patterns the hosts follow, as a linear model that grows by columns (Dantzig and Wolfe 1960).
//!
//! ```text
//! min  Σ U·u + Σ cost·λ     u + Σ (arrivals − departures)·λ ≥ evacuees   per kind   (its price is π)
//!                           u ≤ evacuees                                 per kind, see [`Unplaced`]
//!                           Σ λ ≤ number of alike hosts                  per host   (its price is −v)
//! ```
//! Where all evacuees of a kind are refused, its price may exceed U. Where so many must be refused anyway, that many are for
//! nothing: one row more counts them.
//!
//! Costs are in steps of the tier, so that the numbers the solver sees are small.

use std::collections::HashSet;

use crate::mip::{Answer, Model as Linear, Position};

use super::model::{Model, Role};
use super::pricing::{Pattern, Prices, departure};

/// Nearer to whole than the solver's tolerance.
pub(super) const WHOLE: f64 = 1e-6;

/// A host and a pattern for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Column {
    /// Position in [`Model::hosts`].
    pub(super) host: usize,
    pub(super) pattern: Pattern,
    /// What it costs beyond refusing all the host's resizes, in price units.
    pub(super) cost: i64,
}

impl Column {
    pub(super) fn new(model: &Model, prices: &Prices, host: usize, pattern: Pattern) -> Self {
        let content = &model.hosts[host].content;
        // What a departure costs but for its price, which the flow rows charge.
        let departures = pattern.depart.iter().map(|(at, count)| {
            let content = &content[*at];
            (departure(model, prices, content) + prices.rows[content.row]) * i64::from(*count)
        });
        let in_place = pattern.in_place.iter().map(|(_, count)| prices.refusal * i64::from(*count));
        let cost = -(departures.sum::<i64>() + in_place.sum::<i64>());
        Self { host, pattern, cost }
    }

    /// What using it once would change by the master's prices, in price units.
    pub(super) fn reduced_cost(&self, model: &Model, solved: &Solved) -> f64 {
        let flow: f64 = self.flow(model).into_iter().map(|(row, count)| solved.prices[row] * count as f64).sum();
        self.cost as f64 - flow + solved.hosts[self.host]
    }

    /// Arrivals less departures by kind: what the column adds to the flow rows.
    pub(super) fn flow(&self, model: &Model) -> Vec<(usize, i64)> {
        let content = &model.hosts[self.host].content;
        let mut flow: Vec<(usize, i64)> = self.pattern.arrive.iter().map(|(row, n)| (*row, i64::from(*n))).collect();
        flow.extend(self.pattern.depart.iter().map(|(at, n)| (content[*at].row, -i64::from(*n))));
        flow.sort_unstable();
        flow.dedup_by(|next, kept| {
            let same = next.0 == kept.0;
            kept.1 += if same { next.1 } else { 0 };
            same
        });
        flow.retain(|(_, count)| *count != 0);
        flow
    }
}

/// Whom the master may leave without a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unplaced {
    /// Evacuees, and third parties that are alike to one: the same as the next where all have a place, and solved sooner.
    Alike,
    /// Evacuees.
    Evacuees,
    /// All; third parties at so many times the price.
    All(i64),
}

/// The linear master and its columns.
pub(super) struct Master<'a> {
    model: &'a Model,
    linear: Linear,
    /// Price units in a step of the tier.
    step: f64,
    pub(super) columns: Vec<Column>,
    known: HashSet<(usize, Pattern)>,
    /// Rows of the hosts.
    hosts: Vec<Position>,
    /// Where the columns of patterns begin, after those for who is not placed.
    first: Position,
}

/// What the master found.
pub(super) struct Solved {
    /// π by kind, in price units, not negative.
    pub(super) prices: Vec<f64>,
    /// What one host more of a row would earn, in price units, not negative.
    pub(super) hosts: Vec<f64>,
    /// How often each column is used.
    pub(super) used: Vec<f64>,
    /// How many of each kind are not placed, but for those refused for nothing.
    pub(super) unplaced: Vec<f64>,
    /// The objective, in steps.
    pub(super) objective: f64,
}

impl<'a> Master<'a> {
    /// A master without patterns: nobody is placed, at these prices by kind. So many are refused for nothing.
    pub(super) fn new(model: &'a Model, refusal: &[i64], step: i64, unplaced: Unplaced, free_refusals: u64) -> Self {
        let step = step as f64;
        let mut linear = Linear::new();
        let flows: Vec<Position> =
            model.kinds.iter().map(|kind| linear.row(kind.evacuees as f64, f64::INFINITY, &[])).collect();
        let hosts = model.hosts.iter().map(|host| linear.row(0.0, host.hosts.len() as f64, &[])).collect();
        for ((kind, row), refusal) in model.kinds.iter().zip(&flows).zip(refusal) {
            let all = kind.evacuees as f64;
            let upper = if unplaced == Unplaced::Alike && kind.evacuees > 0 { f64::INFINITY } else { all };
            linear.column(*refusal as f64 / step, upper, &[(*row, 1.0)]);
        }
        if let Unplaced::All(times) = unplaced {
            for (row, refusal) in flows.iter().zip(refusal) {
                linear.column((refusal * times) as f64 / step, f64::INFINITY, &[(*row, 1.0)]);
            }
        }
        refuse_for_nothing(model, &mut linear, &flows, free_refusals);
        let first = linear.columns().len();
        Self { model, linear, step, columns: Vec::new(), known: HashSet::new(), hosts, first }
    }

    /// Adds a column unless it is there already; says whether it is new.
    pub(super) fn add(&mut self, column: Column) -> bool {
        if !self.known.insert((column.host, column.pattern.clone())) {
            return false;
        }
        let mut entries: Vec<(Position, f64)> =
            column.flow(self.model).into_iter().map(|(row, count)| (row, count as f64)).collect();
        entries.push((self.hosts[column.host], 1.0));
        self.linear.column(column.cost as f64 / self.step, f64::INFINITY, &entries);
        self.columns.push(column);
        true
    }

    /// From now on a column is used at least so often.
    pub(super) fn use_at_least(&mut self, column: usize, least: f64) {
        self.linear.bounds(self.first + column, least, f64::INFINITY);
    }

    /// Changes what not placing one of a kind costs.
    pub(super) fn refuse_at(&mut self, row: usize, refusal: i64) {
        self.linear.cost(row, refusal as f64 / self.step);
    }

    /// Solves it from where it was; `None` if the solver fails.
    pub(super) fn solve(&mut self) -> Option<Solved> {
        let Answer { values, prices, objective, .. } = self.linear.solve_linear();
        let values = values?;
        let kinds = self.model.kinds.len();
        Some(Solved {
            prices: prices[..kinds].iter().map(|price| (price * self.step).max(0.0)).collect(),
            hosts: self.hosts.iter().map(|row| (-prices[*row] * self.step).max(0.0)).collect(),
            used: values[self.first..].to_vec(),
            unplaced: values[..kinds].to_vec(),
            objective,
        })
    }
}

/// Columns for evacuees that are refused for nothing, by kind, so many in all: none where there are none.
pub(super) fn refuse_for_nothing(model: &Model, linear: &mut Linear, flows: &[Position], count: u64) -> Vec<Position> {
    if count == 0 {
        return Vec::new();
    }
    let in_all = linear.row(f64::NEG_INFINITY, count as f64, &[]);
    let evacuees = model.kinds.iter().zip(flows).filter(|(kind, _)| kind.evacuees > 0);
    evacuees.map(|(kind, row)| linear.column(0.0, kind.evacuees as f64, &[(*row, 1.0), (in_all, 1.0)])).collect()
}

/// How many instances of a host are to be resized.
pub(super) fn resized(model: &Model, host: usize) -> i64 {
    let content = model.hosts[host].content.iter();
    content.filter(|content| content.role != Role::ThirdParty).map(|content| i64::from(content.count)).sum()
}
