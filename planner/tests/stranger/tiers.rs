//! What is proven of priorities, and of fleets in which there would be room but no order: small fleets by hand, and plans that
//! say more of them than is so.

use std::sync::Arc;

use decant_planner::check::{Violation, check};
use decant_schema::fleet::Fleet;
use decant_schema::plan::{Plan, PriorityTier, ProofStatus, TierName};
use decant_schema::request::{Options, Request, RequestKind};
use serde_json::json;

use crate::planned::{planned, reached, wrong};

/// Hosts with their memory; instances with their host, memory and priority. The host `old` is to be emptied.
fn case(hosts: &[(&str, u64)], instances: &[(&str, &str, u64, i32)], options: Options) -> (Arc<Fleet>, Request) {
    let host =
        |(name, memory): &(&str, u64)| json!({ "name": name, "inventory": { "MEMORY_MB": { "total": memory } } });
    let flavor = |memory: u64| json!({ "name": format!("m{memory}"), "resources": { "MEMORY_MB": memory } });
    let mut sizes: Vec<u64> = instances.iter().map(|(_, _, memory, _)| *memory).collect();
    sizes.sort_unstable();
    sizes.dedup();
    let instance = |(id, host, memory, priority): &(&str, &str, u64, i32)| json!({ "id": id, "host": host, "flavor": format!("m{memory}"), "priority": priority });
    let document = serde_json::from_value(json!({
        "format": "decant.fleet/1", "captured_at": "2026-01-01T00:00:00Z",
        "hosts": hosts.iter().map(host).collect::<Vec<_>>(),
        "flavors": sizes.into_iter().map(flavor).collect::<Vec<_>>(),
        "instances": instances.iter().map(instance).collect::<Vec<_>>(),
    }));
    let fleet = Arc::new(Fleet::from_document(document.unwrap()).unwrap());
    (fleet, Request { kind: RequestKind::Evacuate { hosts: ["old".into()].into() }, options })
}

/// Room for the important one, or for the two others.
fn one_or_two(options: Options) -> (Arc<Fleet>, Plan) {
    let (fleet, request) = case(
        &[("old", 16), ("new", 8)],
        &[("high", "old", 8, 2), ("low-1", "old", 4, 0), ("low-2", "old", 4, 0)],
        options,
    );
    let plan = planned(&fleet, &request);
    assert_eq!(wrong(&fleet, &plan), Vec::<String>::new());
    (fleet, plan)
}

/// The two that would have to change places on full hosts before there is room for the one that is asked to go.
fn no_order() -> (Arc<Fleet>, Plan) {
    let (fleet, request) = case(
        &[("old", 8), ("b", 10), ("c", 10)],
        &[("guest", "old", 5, 0), ("six", "b", 6, 0), ("five", "c", 5, 0), ("fixed", "c", 1, 0)],
        Options { pins: ["fixed".into()].into(), ..Options::default() },
    );
    let plan = planned(&fleet, &request);
    assert_eq!(wrong(&fleet, &plan), Vec::<String>::new());
    (fleet, plan)
}

fn of(priority: i32, refused: u64) -> PriorityTier {
    PriorityTier { priority, refused, bound: Some(refused) }
}

#[test]
fn nobody_is_refused_for_any_number_of_less_important_ones() {
    let (_, plan) = one_or_two(Options::default());
    assert_eq!(plan.proof.priorities, [of(2, 0), of(0, 2)]);
    assert_eq!(plan.proof.status, ProofStatus::Infeasible);
}

#[test]
fn the_number_comes_first_where_the_request_says_so() {
    let (_, plan) = one_or_two(Options { count_first: true, ..Options::default() });
    assert_eq!(plan.proof.priorities, [of(2, 1), of(0, 0)]);
    assert_eq!(plan.proof.status, ProofStatus::Infeasible);
}

#[test]
fn that_there_is_no_order_is_proven() {
    let (_, plan) = no_order();
    assert_eq!((reached(&plan, TierName::Refused), plan.proof.tiers[0].bound), (1.0, Some(1.0)));
    assert_eq!((plan.proof.status, plan.proof.stopped_by), (ProofStatus::Infeasible, None));
}

#[test]
fn what_is_said_of_priorities_must_be_so() {
    let (fleet, plan) = one_or_two(Options::default());
    let spoilt = |spoil: &dyn Fn(&mut Plan)| {
        let mut plan = plan.clone();
        spoil(&mut plan);
        check(&fleet, &plan).violations
    };
    let missing = spoilt(&|plan| _ = plan.proof.priorities.remove(0));
    assert!(missing.contains(&Violation::Priorities), "{missing:?}");
    let count = spoilt(&|plan| plan.proof.priorities[1].refused = 1);
    assert!(count.contains(&Violation::PriorityCount { priority: 0, found: 1, actual: 2 }), "{count:?}");
    let bound = spoilt(&|plan| plan.proof.priorities[0].bound = Some(1));
    let expected = Violation::PriorityBound { priority: 2, bound: 1, proven: Some(0) };
    assert!(bound.contains(&expected), "{bound:?}");
}

#[test]
fn more_than_is_exhausted_is_not_proven() {
    let (fleet, mut plan) = no_order();
    plan.proof.tiers[0].bound = Some(2.0);
    let violations = check(&fleet, &plan).violations;
    let expected = Violation::BoundUnproven { tier: TierName::Refused, bound: 2.0, proven: 1.0 };
    assert!(violations.contains(&expected), "{violations:?}");
}
