//! A maintenance window for one evacuation: moves start within it or not at all.
//!
//! Times are estimates, so a window is a goal of the plan, not a promise of its execution. Who is given up is decided by
//! priority, then by who would start last; what remains is placed and ordered anew, which may bring others forward.

use std::collections::BTreeSet;

use decant_schema::plan::{Fix, Refusal, RuleName};

use crate::ordering::Schedule;
use crate::problem::{InstanceIdx, Problem, Task};

/// Who is to stay so that no move starts after the window: as many as start too late, the least important first.
/// Nobody, if all start within it or there is none.
pub(crate) fn late(problem: &Problem, schedule: &Schedule) -> Vec<InstanceIdx> {
    let Some(window_s) = problem.request.options.window_s else { return Vec::new() };
    let too_late: BTreeSet<InstanceIdx> =
        schedule.moves.iter().filter(|line| line.start_s > window_s).map(|line| line.instance).collect();
    if too_late.is_empty() {
        return Vec::new();
    }
    let asked = |at: &InstanceIdx| matches!(problem.instances[at.at()].task, Task::Leave | Task::Resize);
    let count = too_late.iter().filter(|at| asked(at)).count().max(1);
    let mut order: Vec<(i32, f64, InstanceIdx)> = schedule
        .moves
        .iter()
        .filter(|line| asked(&line.instance))
        .map(|line| (problem.instances[line.instance.at()].priority, line.start_s, line.instance))
        .collect();
    order.sort_by(|a, b| a.0.cmp(&b.0).then(b.1.total_cmp(&a.1)).then(a.2.cmp(&b.2)));
    let mut chosen = BTreeSet::new();
    for (_, _, instance) in order {
        if chosen.len() < count {
            chosen.insert(instance);
        }
    }
    // Without anyone who was asked there is nobody to make room for: whoever is late has no errand.
    if chosen.is_empty() { too_late.into_iter().collect() } else { chosen.into_iter().collect() }
}

/// The window in which all moves of a schedule start, in whole seconds.
pub(crate) fn needed_s(schedule: &Schedule) -> f64 {
    schedule.moves.iter().map(|line| line.start_s).fold(0.0, f64::max).ceil()
}

/// Says of those given up that it was the window, where nothing but a way there was missing, and which window would do:
/// planned for it, they go as in the plan without one.
pub(crate) fn explain(problem: &Problem, late: &[InstanceIdx], needed_s: f64, refusals: &mut [Refusal]) {
    for refusal in refusals {
        let given_up = |at: &&InstanceIdx| problem.fleet.instances()[at.at()].id == refusal.instance;
        if late.iter().any(|at| given_up(&at)) {
            for reason in refusal.reasons.iter_mut().filter(|reason| reason.rule == RuleName::Order) {
                reason.rule = RuleName::Window;
            }
            refusal.fixes.insert(0, Fix::LongerWindow { window_s: needed_s });
            refusal.would_fit = Some(format!("a window of {needed_s:.0} seconds"));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use decant_schema::fleet::{Fleet, FleetDocument};
    use decant_schema::request::{Options, Request, RequestKind};

    use super::*;
    use crate::{Limits, Stamp, check, plan};

    /// Two instances of 10 GiB leave one host over a link of 1 Gbit/s: about 86 seconds each, one after the other.
    fn fleet() -> Arc<Fleet> {
        let text = r#"{"format":"decant.fleet/1","captured_at":"2026-01-01T00:00:00Z",
            "defaults":{"network_mbps":1000,"max_migrations_per_host":1},
            "hosts":[{"name":"old","inventory":{"MEMORY_MB":{"total":65536}}},
                     {"name":"new","inventory":{"MEMORY_MB":{"total":65536}}}],
            "flavors":[{"name":"f","resources":{"MEMORY_MB":10240}}],
            "instances":[{"id":"low","host":"old","flavor":"f","storage":null,"priority":1},
                         {"id":"high","host":"old","flavor":"f","storage":null,"priority":5}]}"#;
        let document: FleetDocument = serde_json::from_str(text).expect("a fleet document");
        Arc::new(Fleet::from_document(document).expect("a fleet"))
    }

    fn evacuated(window_s: Option<f64>) -> decant_schema::plan::Plan {
        let options = Options { window_s, ..Options::default() };
        let request = Request { kind: RequestKind::Evacuate { hosts: ["old".into()].into() }, options };
        let stamp = Stamp { id: uuid::Uuid::nil(), created_at: jiff::Timestamp::UNIX_EPOCH };
        let plan = plan(fleet(), request, stamp, &Limits::UNTIMED).expect("a plan");
        assert_eq!(check::check(&fleet(), &plan).violations, []);
        plan
    }

    #[test]
    fn what_would_start_after_the_window_stays_the_least_important_first() {
        let plan = evacuated(Some(60.0));
        assert_eq!(plan.moves.len(), 1);
        assert_eq!(plan.moves[0].instance.as_str(), "high");
        assert_eq!(plan.refusals[0].instance.as_str(), "low");
        assert_eq!(plan.refusals[0].reasons[0].rule, RuleName::Window);
        let [Fix::LongerWindow { window_s }] = plan.refusals[0].fixes[..] else { panic!("{:?}", plan.refusals) };
        assert_eq!(evacuated(Some(window_s)).refusals, []);
        assert_eq!(evacuated(Some(window_s - 2.0)).refusals.len(), 1);
    }

    #[test]
    fn a_window_long_enough_refuses_nobody() {
        assert_eq!(evacuated(Some(600.0)).refusals, []);
        assert_eq!(evacuated(None).refusals, []);
    }
}
