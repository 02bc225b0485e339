//! Planning as the tests do it: no clock, a fixed stamp.

use std::sync::Arc;

use decant_planner::check::check;
use decant_planner::{Limits, Stamp, plan};
use decant_schema::fleet::Fleet;
use decant_schema::plan::{Plan, TierName};
use decant_schema::request::Request;
use jiff::Timestamp;
use uuid::Uuid;

/// Plans; a request of these tests is always admitted.
pub(crate) fn planned(fleet: &Arc<Fleet>, request: &Request) -> Plan {
    planned_within(fleet, request, &Limits::UNTIMED)
}

/// The same with limits.
pub(crate) fn planned_within(fleet: &Arc<Fleet>, request: &Request, limits: &Limits<'_>) -> Plan {
    let stamp = Stamp { id: Uuid::nil(), created_at: Timestamp::UNIX_EPOCH };
    plan(Arc::clone(fleet), request.clone(), stamp, limits).unwrap()
}

/// What the stranger finds wrong.
pub(crate) fn wrong(fleet: &Fleet, plan: &Plan) -> Vec<String> {
    check(fleet, plan).violations.iter().map(ToString::to_string).collect()
}

/// What a plan reaches of a goal.
pub(crate) fn reached(plan: &Plan, goal: TierName) -> f64 {
    plan.proof.tiers.iter().find(|tier| tier.name == goal).unwrap().value
}

/// A figure that is a whole number, found in floating point.
#[expect(clippy::cast_possible_truncation, reason = "figures of a test are small")]
pub(crate) fn whole(figure: f64) -> i64 {
    figure.round() as i64
}
