//! What a plan says beside its moves: who stands still and why, what becomes of groups. All of it is said, and the stranger sees
//! through what is not so.
//!
//! The fleet: `a` is emptied, and only `b` is there to take what is on it. `busy` rewrites its memory faster than the network
//! carries it; `soft-1` has to join `soft-2`; `near-1` and `near-2` go together unless one is kept; `pair-1` and `pair-2` go one by
//! one. `lost` runs on a host that is down, and is built anew where that is emptied as well. `c` is full.

use std::sync::Arc;

use decant_planner::check::{Violation, check};
use decant_schema::fleet::Fleet;
use decant_schema::plan::{GroupNote, Plan, StandstillReason};
use decant_schema::request::Request;
use decant_schema::units::mbps;
use serde_json::json;

use crate::planned::{planned, wrong};

fn fleet() -> Arc<Fleet> {
    let host = |name: &str, memory: u64, up: bool| json!({ "name": name, "up": up, "storage": ["ceph"], "network_mbps": 1000, "inventory": { "MEMORY_MB": { "total": memory } } });
    let instance = |id: &str, host: &str| json!({ "id": id, "host": host, "flavor": "m1024", "storage": "ceph" });
    let mut busy = instance("busy", "a");
    busy["dirty_mbps"] = json!(5000);
    let group =
        |name: &str, policy: &str, members: [&str; 2]| json!({ "name": name, "policy": policy, "members": members });
    let document = json!({
        "format": "decant.fleet/1", "captured_at": "2026-01-01T00:00:00Z",
        "hosts": [host("a", 8192, true), host("b", 16384, true), host("c", 1024, true), host("down", 8192, false)],
        "flavors": [{ "name": "m1024", "resources": { "MEMORY_MB": 1024 } }],
        "instances": [busy, instance("soft-1", "a"), instance("soft-2", "b"), instance("near-1", "a"), instance("near-2", "a"),
                      instance("full", "c"), instance("pair-1", "a"), instance("pair-2", "a"), instance("lost", "down")],
        "server_groups": [group("apart", "soft-anti-affinity", ["soft-1", "soft-2"]),
                          group("pair", "affinity", ["pair-1", "pair-2"]),
                          group("near", "soft-affinity", ["near-1", "near-2"])],
    });
    Arc::new(Fleet::from_document(serde_json::from_value(document).unwrap()).unwrap())
}

fn plan_of(fleet: &Arc<Fleet>, hosts: &[&str], pins: &[&str]) -> Plan {
    let request = json!({ "kind": "evacuate", "hosts": hosts, "options": { "pins": pins } });
    let request: Request = serde_json::from_value(request).unwrap();
    let plan = planned(fleet, &request);
    assert_eq!(wrong(fleet, &plan), Vec::<String>::new());
    plan
}

fn rejected(fleet: &Fleet, plan: &Plan) -> bool {
    let violations = check(fleet, plan).violations;
    violations.iter().any(|it| {
        matches!(
            it,
            Violation::FalseGroupNote { .. } | Violation::FalseStandstill { .. } | Violation::UnknownName { .. }
        )
    })
}

#[test]
fn who_stands_still_and_why_is_said_and_judged() {
    let fleet = fleet();
    let plan = plan_of(&fleet, &["a", "down"], &[]);
    let said = |id: &str| plan.moves.iter().position(|line| line.instance.as_str() == id && line.standstill.is_some());
    let (busy, lost) = (said("busy").unwrap(), said("lost").unwrap());
    assert_eq!(plan.moves.iter().filter(|line| line.standstill.is_some()).count(), 2);
    let rates = StandstillReason::DirtyRate { dirty_mbps: mbps(5000), link_mbps: mbps(1000) };
    assert_eq!(plan.moves[busy].standstill.as_ref().unwrap().because, rates);
    assert_eq!(plan.moves[lost].standstill.as_ref().unwrap().because, StandstillReason::HostDown);
    let other = plan.moves.iter().position(|line| line.standstill.is_none()).unwrap();
    let lies: [(usize, usize, StandstillReason, f64); 6] = [
        (busy, busy, StandstillReason::DirtyRate { dirty_mbps: mbps(4000), link_mbps: mbps(1000) }, 1.0),
        (busy, busy, StandstillReason::DirtyRate { dirty_mbps: mbps(5000), link_mbps: mbps(900) }, 1.0),
        (busy, busy, rates, 0.5),
        (busy, busy, StandstillReason::HostDown, 1.0),
        (busy, other, rates, 1.0),
        (lost, lost, rates, 1.0),
    ];
    for (from, to, because, share) in lies {
        let mut plan = plan.clone();
        let mut standstill = plan.moves[from].standstill.clone().unwrap();
        (standstill.because, standstill.seconds) = (because, standstill.seconds * share);
        plan.moves[to].standstill = Some(standstill);
        assert!(rejected(&fleet, &plan), "{because:?} of {} passes", plan.moves[to].instance);
    }
}

#[test]
fn what_becomes_of_groups_is_said_and_judged() {
    let fleet = fleet();
    let plan = plan_of(&fleet, &["a"], &[]);
    let of = |name: &str| {
        plan.groups.iter().position(|note| format!("{note:?}").contains(&format!("GroupName(\"{name}\")")))
    };
    let (apart, pair) = (of("apart").unwrap(), of("pair").unwrap());
    let crowd = GroupNote::Crowded {
        group: "apart".into(),
        host: "b".into(),
        instances: vec!["soft-1".into(), "soft-2".into()],
    };
    assert_eq!(plan.groups[apart], crowd);
    let GroupNote::Split { from_s, until_s, .. } = plan.groups[pair].clone() else { panic!("{:?}", plan.groups[pair]) };
    assert_eq!(plan.groups.len(), 2, "{:?}", plan.groups);
    let notes = [
        GroupNote::Crowded { group: "apart".into(), host: "b".into(), instances: vec!["soft-1".into()] },
        GroupNote::Crowded {
            group: "apart".into(),
            host: "c".into(),
            instances: vec!["soft-1".into(), "soft-2".into()],
        },
        GroupNote::Crowded {
            group: "pair".into(),
            host: "b".into(),
            instances: vec!["pair-1".into(), "pair-2".into()],
        },
        GroupNote::Crowded { group: "nobody".into(), host: "b".into(), instances: Vec::new() },
        GroupNote::Spread { group: "near".into(), hosts: vec!["b".into()] },
        GroupNote::Spread { group: "near".into(), hosts: vec!["b".into(), "c".into()] },
        GroupNote::Split { group: "pair".into(), from_s: from_s - 0.5, until_s },
        GroupNote::Split { group: "pair".into(), from_s, until_s: until_s + 0.5 },
        GroupNote::Split { group: "apart".into(), from_s, until_s },
    ];
    for note in notes {
        let mut plan = plan.clone();
        plan.groups = vec![note.clone()];
        assert!(rejected(&fleet, &plan), "{note:?} passes");
    }
}

#[test]
fn a_soft_affinity_that_breaks_is_said_and_judged() {
    let fleet = fleet();
    let plan = plan_of(&fleet, &["a"], &["near-1"]);
    let spread = GroupNote::Spread { group: "near".into(), hosts: vec!["a".into(), "b".into()] };
    assert!(plan.groups.contains(&spread), "{:?}", plan.groups);
    for hosts in [vec!["a".into()], vec!["a".into(), "c".into()], vec!["a".into(), "b".into(), "b".into()]] {
        let mut plan = plan.clone();
        plan.groups = vec![GroupNote::Spread { group: "near".into(), hosts }];
        assert!(rejected(&fleet, &plan));
    }
}
