//! From fractions of patterns to whole ones.
//!
//! Column generation leaves few hosts fractional, often none. What is left is an integer model over few columns: one
//! that costs more than the bound leaves room for cannot be part of a solution at the bound (reduced-cost fixing), and
//! the first solution at the bound ends the search.

use crate::mip::{Effort, Model as Mip, Position};

use super::generate::{Generated, price};
use super::master::Column;
use super::model::Model;
use super::table;

/// How many steps above the bound an integer solution may be, tried in turn: most are at the bound, and the fewer the
/// columns the faster.
const SLACKS: [i64; 3] = [0, 4, 64];

/// Nodes of one integer model.
const NODES: i32 = 200;

/// How often a column is used, by its position; only those that are.
pub(super) type Chosen = Vec<(usize, u32)>;

/// Whole patterns for every host, at or near the bound; `None` if there are none among the columns.
pub(super) fn choose(model: &Model, generated: &Generated, effort: u32) -> Option<Chosen> {
    whole(generated).or_else(|| SLACKS.iter().find_map(|slack| search(model, generated, *slack, effort)))
}

/// The master's answer, if it is whole and refuses nobody.
fn whole(generated: &Generated) -> Option<Chosen> {
    let solved = generated.solved.as_ref()?;
    let is_whole = |used: &f64| (used - used.round()).abs() < 1e-6;
    let placed = solved.unplaced.iter().all(|unplaced| *unplaced < 1e-6);
    (placed && solved.used.iter().all(is_whole)).then(|| rounded(&solved.used))
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "numbers of hosts")]
fn rounded(used: &[f64]) -> Chosen {
    let counts = used.iter().map(|used| used.round() as u32);
    counts.enumerate().filter(|(_, count)| *count > 0).collect()
}

/// An integer model over the columns that leave no more than `slack` steps above the bound.
fn search(model: &Model, generated: &Generated, slack: i64, effort: u32) -> Option<Chosen> {
    let allowed = (generated.bound_steps() + slack) * generated.step - generated.bound;
    let columns: Vec<usize> = affordable(model, generated, allowed);
    let step = generated.step as f64;
    let mut mip = Mip::new();
    let flows: Vec<Position> =
        model.kinds.iter().map(|kind| mip.row(kind.evacuees as f64, f64::INFINITY, &[])).collect();
    let hosts: Vec<Position> = model.hosts.iter().map(|host| mip.row(0.0, host.hosts.len() as f64, &[])).collect();
    for at in &columns {
        let column = &generated.columns[*at];
        let mut entries: Vec<(Position, f64)> =
            column.flow(model).into_iter().map(|(row, count)| (flows[row], count as f64)).collect();
        entries.push((hosts[column.host], 1.0));
        let added = mip.column(column.cost as f64 / step, model.hosts[column.host].hosts.len() as f64, &entries);
        mip.integer(added);
    }
    for (kind, row) in model.kinds.iter().zip(&flows) {
        if kind.evacuees > 0 {
            let added = mip.column(generated.prices.refusal as f64 / step, kind.evacuees as f64, &[(*row, 1.0)]);
            mip.integer(added);
        }
    }
    let fixed = super::generate::fixed_cost(model, generated.prices.refusal) as f64 / step;
    let target = generated.bound_steps() as f64 - fixed + 0.5;
    let nodes = NODES.saturating_mul(i32::try_from(effort).unwrap_or(i32::MAX));
    let answer = mip.solve_integer(Effort { nodes, target, seconds: 60.0 });
    let values = answer.values.get(..columns.len())?;
    Some(rounded(values).into_iter().map(|(at, count)| (columns[at], count)).collect())
}

/// The columns whose reduced cost at the best prices is within what is allowed.
fn affordable(model: &Model, generated: &Generated, allowed: i64) -> Vec<usize> {
    let earns = price(model, &generated.prices, table::corner(model));
    let reduced = |column: &Column| {
        let flow: i64 = column.flow(model).into_iter().map(|(row, count)| generated.prices.rows[row] * count).sum();
        column.cost - flow + earns[column.host].earns
    };
    (0..generated.columns.len()).filter(|at| reduced(&generated.columns[*at]) <= allowed).collect()
}
