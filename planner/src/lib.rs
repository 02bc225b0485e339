//! From a fleet and a request to a proven plan, without reading anything else.
//!
//! ```text
//! Fleet + Request ──► problem ──► placement ──► ordering ──► Plan
//!                     (indices)   (who goes     (in which    │
//!                                  where, how    order and   └──► check (a stranger to all of it)
//!                                  well proven)  when)
//! ```
//!
//! No clock, no database, no network, no unseeded randomness: the clock comes in with [`Limits`], the seed with the
//! request. A placement that cannot be ordered is placed again without that mistake, never emitted.

mod admit;
mod assemble;
mod balance;
pub mod capacity;
pub mod check;
mod fit;
pub mod limits;
mod mip;
pub mod ordering;
mod part;
pub mod placement;
pub mod problem;
pub mod refusal;
mod rolling;
mod rules;
mod search;
#[cfg(test)]
mod small_fleet;
mod window;

use std::sync::Arc;

use decant_schema::finding::Finding;
use decant_schema::fleet::Fleet;
use decant_schema::plan::{Outcome, Plan};
use decant_schema::request::{Request, RequestKind};
use jiff::Timestamp;
use uuid::Uuid;

pub use admit::admit;
pub use limits::Limits;

use problem::Problem;

/// What tells one plan from another: given by the caller, since the planner knows neither time nor chance.
#[derive(Clone, Copy, Debug)]
pub struct Stamp {
    /// The plan's id.
    pub id: Uuid,
    /// When it is made.
    pub created_at: Timestamp,
}

/// Answers a request about a fleet: every instance it asks of gets a move or a refusal with numbers.
///
/// The same fleet, request and limits give the same plan, but for the stamp and the seconds it took, as long as no
/// wall clock cut it short (the plan says so).
///
/// # Errors
/// Every name the fleet does not know and every number out of range, at once.
pub fn plan(fleet: Arc<Fleet>, request: Request, stamp: Stamp, limits: &Limits<'_>) -> Result<Plan, Vec<Finding>> {
    let findings = admit(&fleet, &request);
    if !findings.is_empty() {
        return Err(findings);
    }
    let problem = Problem::new(Arc::clone(&fleet), request);
    if let RequestKind::Rolling { .. } = &problem.request.kind {
        let rolled = rolling::roll(problem, limits);
        let seconds = (limits.elapsed)().as_secs_f64();
        let mut plan = assemble::assemble(&rolled.problem, rolled.answer, stamp, seconds);
        plan.rounds = rolled.rounds;
        plan.left = rolled.left;
        plan.away = rolled.away;
        if !plan.left.is_empty() {
            plan.outcome = Outcome::Partial;
        }
        plan.proof.rounds = Some(rolled.least);
        return Ok(check::certified(&fleet, plan));
    }
    let answer = search::search(&problem, limits);
    let plan = assemble::assemble(&problem, answer, stamp, (limits.elapsed)().as_secs_f64());
    Ok(check::certified(&fleet, plan))
}
