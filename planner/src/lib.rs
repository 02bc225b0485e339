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
mod groups;
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
use std::time::Duration;

use decant_schema::finding::Finding;
use decant_schema::fleet::Fleet;
use decant_schema::plan::{Outcome, Plan};
use decant_schema::request::{Request, RequestKind};
use jiff::Timestamp;
use uuid::Uuid;

pub use admit::admit;
pub use limits::Limits;

use ordering::Schedule;
use problem::{InstanceIdx, Problem};

/// Part of the time by which an answer may be late until which the checker certifies it, percent.
const CERTIFYING: u32 = 90;

/// What tells one plan from another: given by the caller, since the planner knows neither time nor chance.
#[derive(Clone, Copy, Debug)]
pub struct Stamp {
    /// The plan's id.
    pub id: Uuid,
    /// When it is made.
    pub created_at: Timestamp,
}

/// Answers a request about a fleet: every instance it asks of gets a move or a refusal with numbers, with whom and what it
/// conflicts, and what would help. It is [`find`] and [`Found::explained`] in one.
///
/// # Errors
/// As [`find`].
pub fn plan(fleet: Arc<Fleet>, request: Request, stamp: Stamp, limits: &Limits<'_>) -> Result<Plan, Vec<Finding>> {
    Ok(find(fleet, request, stamp, limits)?.explained(limits))
}

/// A plan that is found and proven, before its refusals are explained further.
pub struct Found {
    plan: Plan,
    /// What is to be explained: nothing where nobody is refused, or where it is explained already.
    open: Option<(Problem, Schedule, Vec<InstanceIdx>)>,
    /// What the fleet took to be read: about as long takes every look at the whole of it.
    look: Duration,
}

/// Answers a request about a fleet: every instance it asks of gets a move or a refusal with numbers.
///
/// The same fleet, request and limits give the same plan, but for the stamp and the seconds it took, as long as no
/// wall clock cut it short (the plan says so).
///
/// # Errors
/// Every name the fleet does not know and every number out of range, at once.
pub fn find(fleet: Arc<Fleet>, request: Request, stamp: Stamp, limits: &Limits<'_>) -> Result<Found, Vec<Finding>> {
    let look = (limits.elapsed)();
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
        plan.groups = groups::notes(&fleet, &plan);
        let plan = check::certified(&fleet, plan, &limits.late_by(CERTIFYING).less(look));
        return Ok(Found { plan: check::with_certified_conflicts(&fleet, plan, limits), open: None, look });
    }
    let answer = search::search(&problem, limits);
    let (schedule, lacking_time) = (answer.schedule.clone(), answer.lacking_time.clone());
    let mut plan = assemble::assemble(&problem, answer, stamp, (limits.elapsed)().as_secs_f64());
    plan.groups = groups::notes(&fleet, &plan);
    let plan = check::certified(&fleet, plan, &limits.late_by(CERTIFYING).less(look));
    let open = (!plan.refusals.is_empty()).then_some((problem, schedule, lacking_time));
    Ok(Found { plan, open, look })
}

impl Found {
    /// The plan so far: it can be carried out as it is.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Whether there is something to explain.
    pub fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// The plan with what its refusals conflict with and what would help, in the share of the limit that is for it.
    pub fn explained(self, limits: &Limits<'_>) -> Plan {
        let Self { mut plan, open, look } = self;
        let Some((problem, schedule, lacking_time)) = open else { return plan };
        let limits = limits.for_explanations().less(look);
        refusal::add_remedies(&problem, &schedule, &lacking_time, &mut plan.refusals, &limits);
        check::with_certified_conflicts(&problem.fleet, plan, &limits)
    }
}
