//! The one wrapper of HiGHS: linear and integer models, their answers and what was proven of them.
//!
//! Nothing it says is believed further than it is checked: whoever asks recomputes feasibility and value in integers,
//! and bounds that matter come from prices that are evaluated again ([`crate::placement`]). Models grow by columns and
//! rows and start from where they were, which is what column generation needs. One thread each: pools run in parallel.

#![expect(unsafe_code, reason = "the solver's interface is C; every call is in this file, on a pointer it owns")]

use std::ffi::{CStr, c_void};

use highs_sys as c;

/// A row or column, by its position.
pub(crate) type Position = usize;

/// How a solve ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The values are optimal, as far as the solver is believed.
    Optimal,
    /// There may be values, but a limit came first.
    Limit,
    /// There are no values.
    Infeasible,
    /// The solver failed.
    Failed,
}

/// What a solve found.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// How it ended.
    pub(crate) ended: Ended,
    /// Values by column; none where the solver found no solution, which a limit may be the reason for as well.
    pub(crate) values: Option<Vec<f64>>,
    /// Prices by row, of a linear model: what one unit more of the row's bound costs.
    pub(crate) prices: Vec<f64>,
    /// The value of the objective.
    pub(crate) objective: f64,
}

/// A model that is minimised.
pub(crate) struct Model {
    raw: *mut c_void,
    columns: Vec<Column>,
    rows: usize,
}

/// A column as it was added.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    /// What one of it costs.
    pub(crate) cost: f64,
    /// The most it may be; it is at least 0.
    pub(crate) upper: f64,
}

/// How far an integer model may be searched.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    /// Nodes of the search tree.
    pub(crate) nodes: i32,
    /// Stop at the first solution at or below this value.
    pub(crate) target: f64,
    /// Time left, seconds.
    pub(crate) seconds: f64,
}

// SAFETY: a HiGHS object has no ties to the thread that made it; it is used by one thread at a time (`&mut self`).
unsafe impl Send for Model {}

impl Drop for Model {
    fn drop(&mut self) {
        // SAFETY: `raw` came from `Highs_create` and is destroyed once.
        unsafe { c::Highs_destroy(self.raw) }
    }
}

impl Model {
    /// An empty model, silent, on one thread.
    pub(crate) fn new() -> Self {
        // SAFETY: takes nothing, returns an object we own.
        let raw = unsafe { c::Highs_create() };
        let mut model = Self { raw, columns: Vec::new(), rows: 0 };
        model.flag(c"output_flag", false);
        model.whole(c"threads", 1);
        model.text(c"parallel", c"off");
        model
    }

    fn flag(&mut self, name: &CStr, value: bool) {
        // SAFETY: an object we own, a terminated name.
        unsafe { c::Highs_setBoolOptionValue(self.raw, name.as_ptr(), i32::from(value)) };
    }

    fn whole(&mut self, name: &CStr, value: i32) {
        // SAFETY: as above.
        unsafe { c::Highs_setIntOptionValue(self.raw, name.as_ptr(), value) };
    }

    fn real(&mut self, name: &CStr, value: f64) {
        // SAFETY: as above.
        unsafe { c::Highs_setDoubleOptionValue(self.raw, name.as_ptr(), value) };
    }

    fn text(&mut self, name: &CStr, value: &CStr) {
        // SAFETY: as above.
        unsafe { c::Highs_setStringOptionValue(self.raw, name.as_ptr(), value.as_ptr()) };
    }

    /// Adds `lower ≤ Σ coefficient × column ≤ upper`.
    pub(crate) fn row(&mut self, lower: f64, upper: f64, entries: &[(Position, f64)]) -> Position {
        let (index, value) = split(entries);
        // SAFETY: both arrays have the stated length and outlive the call, which copies them.
        unsafe { c::Highs_addRow(self.raw, lower, upper, int(index.len()), index.as_ptr(), value.as_ptr()) };
        self.rows += 1;
        self.rows - 1
    }

    /// Adds a column between 0 and `upper` with its entries in rows that exist.
    pub(crate) fn column(&mut self, cost: f64, upper: f64, entries: &[(Position, f64)]) -> Position {
        let (index, value) = split(entries);
        // SAFETY: as in `row`.
        unsafe { c::Highs_addCol(self.raw, cost, 0.0, upper, int(index.len()), index.as_ptr(), value.as_ptr()) };
        self.columns.push(Column { cost, upper });
        self.columns.len() - 1
    }

    /// The columns as they were added, by position.
    pub(crate) fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// Makes a column integer.
    pub(crate) fn integer(&mut self, column: Position) {
        // SAFETY: the column exists.
        unsafe { c::Highs_changeColIntegrality(self.raw, int(column), c::kHighsVarTypeInteger) };
    }

    /// Changes a column's cost.
    pub(crate) fn cost(&mut self, column: Position, cost: f64) {
        // SAFETY: the column exists.
        unsafe { c::Highs_changeColCost(self.raw, int(column), cost) };
    }

    /// Changes a column's bounds.
    pub(crate) fn bounds(&mut self, column: Position, lower: f64, upper: f64) {
        // SAFETY: the column exists.
        unsafe { c::Highs_changeColBounds(self.raw, int(column), lower, upper) };
    }

    /// Solves a linear model from where the last solve left it, by the primal simplex after columns were added.
    pub(crate) fn solve_linear(&mut self) -> Answer {
        self.text(c"solver", c"simplex");
        self.text(c"presolve", c"off");
        self.run()
    }

    /// Solves an integer model.
    pub(crate) fn solve_integer(&mut self, effort: Effort) -> Answer {
        self.whole(c"mip_max_nodes", effort.nodes);
        self.real(c"objective_target", effort.target);
        self.real(c"time_limit", effort.seconds);
        self.real(c"mip_rel_gap", 0.0);
        self.run()
    }

    fn run(&mut self) -> Answer {
        // SAFETY: an object we own.
        let status = unsafe {
            c::Highs_run(self.raw);
            c::Highs_getModelStatus(self.raw)
        };
        let ended = match status {
            c::kHighsModelStatusOptimal | c::kHighsModelStatusModelEmpty => Ended::Optimal,
            c::kHighsModelStatusInfeasible | c::kHighsModelStatusUnboundedOrInfeasible => Ended::Infeasible,
            c::kHighsModelStatusObjectiveBound
            | c::kHighsModelStatusObjectiveTarget
            | c::kHighsModelStatusTimeLimit
            | c::kHighsModelStatusIterationLimit
            | c::kHighsModelStatusSolutionLimit
            | c::kHighsModelStatusInterrupt => Ended::Limit,
            _ => Ended::Failed,
        };
        self.answer(ended)
    }

    fn answer(&self, ended: Ended) -> Answer {
        let mut values = vec![0.0; self.columns.len()];
        let mut reduced = vec![0.0; self.columns.len()];
        let mut activity = vec![0.0; self.rows];
        let mut prices = vec![0.0; self.rows];
        // SAFETY: each array has the length the solver writes.
        unsafe {
            c::Highs_getSolution(
                self.raw,
                values.as_mut_ptr(),
                reduced.as_mut_ptr(),
                activity.as_mut_ptr(),
                prices.as_mut_ptr(),
            );
        }
        let objective = self.info(c"objective_function_value");
        let is_solution = match ended {
            Ended::Optimal => true,
            Ended::Limit => self.has_solution(),
            Ended::Infeasible | Ended::Failed => false,
        };
        Answer { ended, values: (is_solution && objective.is_finite()).then_some(values), prices, objective }
    }

    /// Whether the values that the solver holds satisfy the model.
    fn has_solution(&self) -> bool {
        let mut status = c::kHighsSolutionStatusNone;
        // SAFETY: writes one number where we point.
        unsafe { c::Highs_getIntInfoValue(self.raw, c"primal_solution_status".as_ptr(), &raw mut status) };
        status == c::kHighsSolutionStatusFeasible
    }

    fn info(&self, name: &CStr) -> f64 {
        let mut value = f64::NEG_INFINITY;
        // SAFETY: writes one number where we point.
        unsafe { c::Highs_getDoubleInfoValue(self.raw, name.as_ptr(), &raw mut value) };
        value
    }

    /// Offers values of some columns to start an integer search from; the solver completes them.
    pub(crate) fn offer(&mut self, values: &[(Position, f64)]) {
        let (index, value) = split(values);
        // SAFETY: both arrays have the stated length and outlive the call, which copies them.
        unsafe { c::Highs_setSparseSolution(self.raw, int(index.len()), index.as_ptr(), value.as_ptr()) };
    }
}

fn split(entries: &[(Position, f64)]) -> (Vec<i32>, Vec<f64>) {
    entries.iter().map(|(at, value)| (int(*at), *value)).unzip()
}

fn int(position: usize) -> i32 {
    i32::try_from(position).expect("models have fewer than 2^31 rows and columns")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: Effort = Effort { nodes: 1000, target: f64::NEG_INFINITY, seconds: 60.0 };

    #[test]
    fn a_row_that_asks_for_more_has_a_positive_price() {
        let mut model = Model::new();
        let row = model.row(3.0, f64::INFINITY, &[]);
        model.column(2.0, f64::INFINITY, &[(row, 1.0)]);
        let answer = model.solve_linear();
        assert_eq!(answer.ended, Ended::Optimal);
        assert!((answer.prices[row] - 2.0).abs() < 1e-9, "{answer:?}");
        model.column(1.0, f64::INFINITY, &[(row, 1.0)]);
        assert!((model.solve_linear().objective - 3.0).abs() < 1e-9);
    }

    #[test]
    fn an_integer_model_rounds_up_where_the_linear_one_does_not() {
        let mut model = Model::new();
        let row = model.row(3.0, f64::INFINITY, &[]);
        let column = model.column(1.0, 5.0, &[(row, 2.0)]);
        assert!((model.solve_linear().objective - 1.5).abs() < 1e-9);
        model.integer(column);
        let answer = model.solve_integer(ALL);
        assert!((answer.objective - 2.0).abs() < 1e-9, "{answer:?}");
    }

    #[test]
    fn a_model_without_solution_has_no_values() {
        let mut model = Model::new();
        let row = model.row(3.0, f64::INFINITY, &[]);
        model.column(1.0, 1.0, &[(row, 1.0)]);
        let answer = model.solve_linear();
        assert_eq!((answer.ended, answer.values), (Ended::Infeasible, None));
    }

    /// Twelve knapsacks over forty items that fill exactly: no solution is seen at a glance.
    #[test]
    fn an_integer_model_whose_time_is_over_has_no_values() {
        let mut model = Model::new();
        let rows: Vec<Position> =
            (0..12).map(|row| model.row(1000.0 + f64::from(row), 1000.0 + f64::from(row), &[])).collect();
        for column in 0..40_i32 {
            let weight = |row: usize| f64::from((column * 37 + 11 + int(row) * column * 13) % 101 + 1);
            let entries: Vec<(Position, f64)> = rows.iter().map(|row| (*row, weight(*row))).collect();
            let column = model.column(1.0, 1.0, &entries);
            model.integer(column);
        }
        let answer = model.solve_integer(Effort { seconds: 0.0, ..ALL });
        assert_eq!((answer.ended, answer.values), (Ended::Limit, None));
    }
}
