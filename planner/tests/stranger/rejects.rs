//! The stranger rejects: one good plan written by hand, and for every kind of mistake the one violation it must yield.
//!
//! The fleet: `a` is emptied. `big` needs the room `small` makes on `b` by going to `c`; `twin-1` and `twin-2` may not
//! share a host, so `twin-1` goes to `c`; `stuck` may not move at all.

use std::sync::Arc;

use decant_planner::check::{Unproven, Violation, check};
use decant_schema::fleet::{Fleet, FleetDocument, Resources};
use decant_schema::id::MoveId;
use decant_schema::plan::{
    Certificate, Conflict, Fix, HostUsage, MoveMode, MoveReason, Outcome, Plan, PoolCertificate, ProofStatus, Reason,
    RuleName, TierName,
};
use serde_json::json;

use crate::planned::planned;

fn document() -> FleetDocument {
    let host = |name: &str, memory: u64| {
        json!({ "name": name, "zone": "az1", "storage": ["ceph"], "hypervisor_version": 8,
                "inventory": { "MEMORY_MB": { "total": memory }, "VCPU": { "total": 8, "allocation_ratio": 2.0 } } })
    };
    let flavor = |name: &str, memory: u64| json!({ "name": name, "resources": { "MEMORY_MB": memory, "VCPU": 1 } });
    let instance = |id: &str, host: &str, flavor: &str| json!({ "id": id, "host": host, "flavor": flavor, "storage": "ceph", "zone": "az1" });
    let mut stuck = instance("stuck", "a", "m10");
    stuck["mobility"] = json!("none");
    serde_json::from_value(json!({
        "format": "decant.fleet/1", "captured_at": "2026-01-01T00:00:00Z",
        "hosts": [host("a", 200), host("b", 100), host("c", 100), host("d", 60)],
        "flavors": [flavor("m10", 10), flavor("m30", 30), flavor("m60", 60), flavor("m80", 80)],
        "instances": [instance("big", "a", "m80"), instance("small", "b", "m30"), instance("twin-1", "a", "m10"),
                      instance("twin-2", "b", "m10"), stuck, instance("rest", "c", "m10"), instance("idle", "d", "m10")],
        "server_groups": [{ "name": "twins", "policy": "anti-affinity", "members": ["twin-1", "twin-2"] },
                          { "name": "pair", "policy": "affinity", "members": ["small", "rest"] }],
    }))
    .unwrap()
}

fn fleet() -> Fleet {
    Fleet::from_document(document()).unwrap()
}

fn good(fleet: &Fleet) -> Plan {
    let step = |id: u32, instance: &str, source: &str, target: &str, why: &str, after: &[u32], mb: u64, start: f64| {
        json!({ "id": id, "instance": instance, "source": source, "target": target, "mode": "live", "why": why,
                "after": after, "transfer_mb": mb, "start_s": start, "end_s": start + 5.0 })
    };
    let usage = |name: &str, before: [u64; 2], peak: [u64; 2], after: [u64; 2]| {
        let amounts = |of: [u64; 2]| json!({ "MEMORY_MB": of[0], "VCPU": of[1] });
        json!({ "name": name, "before": amounts(before), "peak": amounts(peak), "after": amounts(after) })
    };
    let tier = |name: &str, value: f64, bound: Option<f64>| json!({ "name": name, "value": value, "bound": bound });
    serde_json::from_value(json!({
        "format": "decant.plan/1", "id": "00000000-0000-0000-0000-000000000000", "created_at": "2026-01-01T00:00:00Z",
        "fleet_digest": fleet.digest(),
        "request": { "kind": "evacuate", "hosts": ["a"], "options": {} },
        "outcome": "partial",
        "proof": { "status": "infeasible", "stopped_by": null, "seconds": 0.0, "tiers": [
            tier("refused", 1.0, Some(1.0)), tier("displaced_memory_mb", 30.0, Some(0.0)), tier("duration_s", 10.0, None)] },
        "moves": [step(1, "small", "b", "c", "displace", &[], 30, 0.0), step(2, "big", "a", "b", "evacuate", &[1], 80, 5.0),
                  step(3, "twin-1", "a", "c", "evacuate", &[], 10, 0.0)],
        "refusals": [{ "instance": "stuck", "reasons": [{ "rule": "mobility", "hosts": 0 }] }],
        "hosts": [usage("a", [100, 3], [100, 3], [10, 1]), usage("b", [40, 2], [90, 2], [90, 2]),
                  usage("c", [10, 1], [50, 3], [50, 3])],
    }))
    .unwrap()
}

/// A mistake: its name, how the plan is spoilt, and whether a violation is the one it must yield.
type Mistake = (&'static str, fn(&mut Plan), fn(&Violation) -> bool);

macro_rules! mistakes {
    ($($name:literal: |$plan:ident| $spoil:expr => $violation:pat $(if $guard:expr)?,)*) => {
        &[$(($name, |$plan: &mut Plan| { $spoil; }, |violation| matches!(violation, $violation $(if $guard)?))),*]
    };
}

const MISTAKES: &[Mistake] = mistakes! {
    "another format": |plan| plan.format = "decant.plan/2".into() => Violation::Format { .. },
    "another fleet": |plan| plan.fleet_digest = "blake3:00".into() => Violation::Digest { .. },
    "an unknown instance": |plan| plan.moves[0].instance = "nobody".into() => Violation::UnknownName { .. },
    "an unknown target": |plan| plan.moves[0].target = "z".into() => Violation::UnknownName { .. },
    "an unknown flavor": |plan| plan.moves[0].flavor = Some("m1".into()) => Violation::UnknownName { .. },
    "an unknown host in the figures": |plan| plan.hosts[0].name = "z".into() => Violation::UnknownName { .. },
    "an unknown refused instance": |plan| plan.refusals[0].instance = "nobody".into() => Violation::UnknownName { .. },
    "a number given twice": |plan| plan.moves[2].id = MoveId(2) => Violation::MoveId { position: 3, .. },
    "a move after one that is not there": |plan| plan.moves[1].after = vec![MoveId(9)] => Violation::UnknownAfter { .. },
    "a move after itself": |plan| plan.moves[0].after = vec![MoveId(1)] => Violation::Cycle { .. },
    "a circle": |plan| plan.moves[0].after = vec![MoveId(2)] => Violation::Cycle { .. },
    "a move printed before one it waits for": |plan| plan.moves[0].after = vec![MoveId(3)] => Violation::PrintedOrder { .. },
    "a source where it is not": |plan| plan.moves[0].source = "a".into() => Violation::SourceElsewhere { .. },
    "a false purpose": |plan| plan.moves[0].why = MoveReason::Evacuate => Violation::Why { .. },
    "a hop after which nothing comes": |plan| plan.moves[2].why = MoveReason::Hop => Violation::Why { .. },
    "a rebuild from a host that is up": |plan| plan.moves[0].mode = MoveMode::Rebuild
        => Violation::Mode { .. } | Violation::Transfer { .. } | Violation::TooQuick { .. },
    "a flavor nobody asked for": |plan| { plan.moves[2].flavor = Some("m10".into()); plan.moves[2].mode = MoveMode::Cold }
        => Violation::FlavorUnasked { .. } | Violation::Mode { .. } | Violation::Transfer { .. } | Violation::TooQuick { .. },
    "memory that is not carried": |plan| plan.moves[1].transfer_mb = decant_schema::units::mib(79) => Violation::Transfer { .. },
    "a start before the move it waits for ends": |plan| plan.moves[1].start_s = 4.0 => Violation::StartsEarly { .. },
    "an end before the start": |plan| plan.moves[2].end_s = -1.0
        => Violation::EndsBeforeStart { .. } | Violation::TooQuick { .. } | Violation::RateExceeded { .. },
    "a time that is no number": |plan| plan.moves[2].end_s = f64::NAN
        => Violation::EndsBeforeStart { .. } | Violation::TooQuick { .. } | Violation::RateExceeded { .. },
    "a time too short for its bytes": |plan| plan.moves[2].end_s = 0.001
        => Violation::TooQuick { .. } | Violation::RateExceeded { .. },
    "bytes that nothing carries": |plan| plan.moves[2].transfer_mb = decant_schema::units::mib(30)
        => Violation::Transfer { found: 30, actual: 10, .. },
    "a live move turned cold": |plan| plan.moves[2].mode = MoveMode::Cold
        => Violation::Mode { .. } | Violation::Transfer { .. } | Violation::TooQuick { .. },
    "a bound that is said to be proven": |plan| { plan.proof.certified = true; plan.proof.tiers[1].bound = Some(10.0) }
        => Violation::BoundUnproven { proven: 0.0, .. },
    "a start outside of the window": |plan| plan.request.options.window_s = Some(4.0) => Violation::OutsideWindow { .. },
    "an arrival that does not wait for its room":
        |plan| { plan.moves[1].after.clear(); plan.hosts[1].peak = amounts(120, 3) } => Violation::Overfull { worst: 120, limit: 100, .. },
    "more than the request's headroom is used":
        |plan| plan.request.options.headroom_percent = 15.0 => Violation::FullAtEnd { used: 90, limit: 85, .. },
    "twins on one host": |plan| swap_twin_to_b(plan) => Violation::AntiAffinity { worst: 2, limit: 1, .. },
    "an affinity that is loosened": |plan| send_small_to_d(plan) => Violation::AffinityAlone { .. },
    "an excluded host": |plan| plan.request.options.exclude_hosts = ["c".into()].into()
        => Violation::Target { rule: RuleName::Excluded, .. },
    "a third party though nobody is to be displaced":
        |plan| plan.request.options.no_displace = true => Violation::Displaced { .. },
    "a pinned instance": |plan| plan.request.options.pins = ["small".into()].into()
        => Violation::Immobile { rule: RuleName::Pinned, .. },
    "nobody answered": |plan| { plan.refusals.clear(); nothing_refused(plan) } => Violation::Unanswered { .. },
    "refused twice": |plan| { let again = plan.refusals[0].clone(); plan.refusals.push(again); two_refused(plan) }
        => Violation::RefusedTwice { .. },
    "refused and moved": |plan| { plan.refusals.push(refusal("twin-1")); two_refused(plan) }
        => Violation::MovedAndRefused { .. },
    "refused unasked": |plan| { plan.refusals.push(refusal("idle")); two_refused(plan) }
        => Violation::RefusedUnasked { .. },
    "a refusal without a reason": |plan| plan.refusals[0].reasons.clear() => Violation::NoReason { .. },
    "a reason that does not apply": |plan| plan.refusals[0].reasons[0].rule = RuleName::Pinned
        => Violation::FalseReason { rule: RuleName::Pinned, .. },
    "a conflict of others": |plan| plan.refusals[0].conflict = Some(conflict_of("big")) => Violation::FalseConflict { .. },
    "a fix that changes nothing": |plan| plan.refusals[0].fixes = vec![Fix::Unpin { instance: "stuck".into() }]
        => Violation::FalseFix { .. },
    "a host left over by rounds nobody asked for": |plan| plan.left.push("a".into()) => Violation::RoundsUnasked,
    "a host left out": |plan| plan.hosts.remove(0) => Violation::HostMissing { .. },
    "a host given twice": |plan| { let again = plan.hosts[0].clone(); plan.hosts.push(again) } => Violation::HostTwice { .. },
    "a false amount before": |plan| memory(&mut plan.hosts[1].before, 41) => Violation::HostAmount { found: 41, actual: 40, .. },
    "a false peak": |plan| memory(&mut plan.hosts[1].peak, 89) => Violation::HostAmount { found: 89, actual: 90, .. },
    "a false amount after": |plan| memory(&mut plan.hosts[1].after, 80) => Violation::HostAmount { found: 80, actual: 90, .. },
    "a goal left out": |plan| plan.proof.tiers.remove(1) => Violation::TierMissing { tier: TierName::DisplacedMemoryMb },
    "a goal given twice": |plan| { let again = plan.proof.tiers[2].clone(); plan.proof.tiers.push(again) }
        => Violation::TierTwice { tier: TierName::DurationS },
    "less displaced than is": |plan| plan.proof.tiers[1].value = 20.0 => Violation::TierValue { .. },
    "a shorter duration than is": |plan| plan.proof.tiers[2].value = 9.0 => Violation::TierValue { .. },
    "a bound above its value": |plan| plan.proof.tiers[2].bound = Some(11.0) => Violation::BoundAboveValue { .. },
    "a certificate that yields less": |plan| plan.proof.certificate = Some(boast())
        => Violation::CertificateWeaker { claimed: 10, proven: 0, .. },
    "complete with a refusal": |plan| plan.outcome = Outcome::Complete => Violation::Outcome { .. },
    "optimal with a refusal": |plan| plan.proof.status = ProofStatus::Optimal => Violation::Status { .. },
};

fn memory(amounts: &mut Resources, mb: u64) {
    amounts.insert("MEMORY_MB".into(), mb);
}

fn nothing_refused(plan: &mut Plan) {
    plan.outcome = Outcome::Complete;
    plan.proof.tiers[0].value = 0.0;
    plan.proof.tiers[0].bound = None;
    plan.proof.status = ProofStatus::Gap;
}

fn two_refused(plan: &mut Plan) {
    plan.proof.tiers[0].value = 2.0;
    plan.proof.status = ProofStatus::Gap;
}

fn refusal(instance: &str) -> decant_schema::plan::Refusal {
    let reason: Reason = serde_json::from_value(json!({ "rule": "together", "hosts": 3 })).unwrap();
    serde_json::from_value(json!({ "instance": instance, "reasons": [reason] })).unwrap()
}

fn conflict_of(instance: &str) -> Conflict {
    Conflict { instances: vec![instance.into()], rules: Vec::new(), irreducible: true, certificate: None }
}

/// Everything of the plan is true but that the twins meet.
fn swap_twin_to_b(plan: &mut Plan) {
    plan.moves[2].target = "b".into();
    (plan.hosts[1].peak, plan.hosts[1].after) = (amounts(100, 3), amounts(100, 3));
    (plan.hosts[2].peak, plan.hosts[2].after) = (amounts(40, 2), amounts(40, 2));
}

/// Everything of the plan is true but that the pair, on two hosts before as after, is not brought together.
fn send_small_to_d(plan: &mut Plan) {
    plan.moves[0].target = "d".into();
    (plan.hosts[2].peak, plan.hosts[2].after) = (amounts(20, 2), amounts(20, 2));
    let (before, after) = (amounts(10, 1), amounts(40, 2));
    plan.hosts.push(HostUsage { name: "d".into(), before, peak: after.clone(), after });
}

fn amounts(memory: u64, vcpus: u64) -> Resources {
    [("MEMORY_MB".into(), memory), ("VCPU".into(), vcpus)].into()
}

/// A certificate without a single price, for a bound above nothing.
fn boast() -> Certificate {
    let pool: PoolCertificate = serde_json::from_value(json!({
        "host": "b", "tier": "displaced_memory_mb", "bound": 10, "classes": ["MEMORY_MB"], "denominator": 1,
        "refusal_price": 1000, "refused": 1, "step": 10, "prices": [],
    }))
    .unwrap();
    Certificate { pools: vec![pool] }
}

#[test]
fn the_good_plan_holds() {
    let fleet = fleet();
    assert_eq!(check(&fleet, &good(&fleet)).violations, []);
}

#[test]
fn a_bound_beyond_the_certificate_is_told_apart_from_a_proven_one() {
    let fleet = fleet();
    let mut plan = good(&fleet);
    plan.proof.tiers[1].bound = Some(10.0);
    let verdict = check(&fleet, &plan);
    let claim = Unproven::Bound { tier: TierName::DisplacedMemoryMb, bound: 10.0, proven: 0.0 };
    assert_eq!((verdict.unproven, verdict.violations), (vec![claim], vec![]));
    assert_eq!(check(&fleet, &good(&fleet)).unproven, []);
}

#[test]
fn every_kind_of_mistake_yields_its_violation_and_no_other() {
    let fleet = fleet();
    for (name, spoil, expected) in MISTAKES {
        let mut plan = good(&fleet);
        spoil(&mut plan);
        let found = check(&fleet, &plan).violations;
        let only = !found.is_empty() && found.iter().all(expected);
        assert!(only, "{name}: {:#?}", found.iter().map(ToString::to_string).collect::<Vec<_>>());
    }
}

/// What is wrong with the fleet instead: the same plan, on a fleet whose rules it breaks.
#[test]
fn every_rule_of_a_target_is_enforced() {
    type Spoil = fn(&mut FleetDocument);
    let cases: [(RuleName, Spoil); 9] = [
        (RuleName::HostDisabled, |fleet| fleet.hosts[2].enabled = false),
        (RuleName::Zone, |fleet| fleet.hosts[2].zone = Some("az2".into())),
        (RuleName::Aggregate, |fleet| fleet.flavors[1].required_aggregates = ["ssd".into()].into()),
        (RuleName::RequiredTrait, |fleet| fleet.flavors[1].required_traits = ["AVX2".into()].into()),
        (RuleName::ForbiddenTrait, |fleet| {
            fleet.hosts[2].traits = ["SLOW".into()].into();
            fleet.flavors[1].forbidden_traits = ["SLOW".into()].into();
        }),
        (RuleName::Storage, |fleet| fleet.hosts[2].storage.clear()),
        (RuleName::HypervisorVersion, |fleet| fleet.hosts[2].hypervisor_version = None),
        (RuleName::Unit, |fleet| fleet.hosts[2].inventory.get_mut("MEMORY_MB").unwrap().max_unit = Some(20)),
        (RuleName::HostDown, |fleet| fleet.hosts[2].up = false),
    ];
    for (rule, spoil) in cases {
        let mut document = document();
        spoil(&mut document);
        let fleet = Fleet::from_document(document).unwrap();
        let found = check(&fleet, &good(&fleet)).violations;
        let broken =
            |violation: &Violation| matches!(violation, Violation::Target { rule: found, .. } if *found == rule);
        assert!(found.iter().any(broken), "{rule:?}: {found:#?}");
        assert!(found.iter().all(broken), "{rule:?}: {found:#?}");
    }
}

/// Two that must stay together leave a host for one that holds both, or only either.
#[test]
fn a_certificate_claims_no_more_than_affinity_leaves_without_a_host() {
    for (room, stay) in [(60, 0), (59, 2)] {
        let mut document = document();
        document.hosts.truncate(2);
        document.hosts[1].inventory.get_mut("MEMORY_MB").unwrap().total = room;
        document.instances.retain(|instance| ["big", "twin-1"].contains(&instance.id.as_str()));
        document.instances.iter_mut().for_each(|instance| instance.flavor = "m30".into());
        document.server_groups.remove(0);
        document.server_groups[0].members = vec!["big".into(), "twin-1".into()];
        let fleet = Arc::new(Fleet::from_document(document).unwrap());
        let request = serde_json::from_value(json!({ "kind": "evacuate", "hosts": ["a"] })).unwrap();
        let mut plan = planned(&fleet, &request);
        assert_eq!((plan.refusals.len(), check(&fleet, &plan).refused_min), (stay, stay as u64));
        let claim = |bound: u64| {
            let pool = json!({ "host": "a", "tier": "refused", "bound": bound, "classes": [], "denominator": 1,
                "refusal_price": 1, "refused": 0, "step": 1, "prices": [] });
            Certificate { pools: vec![serde_json::from_value(pool).unwrap()] }
        };
        plan.proof.certificate = Some(claim(stay as u64));
        assert_eq!(check(&fleet, &plan).violations, []);
        plan.proof.certificate = Some(claim(stay as u64 + 1));
        let found = check(&fleet, &plan).violations;
        assert!(matches!(found[..], [Violation::CertificateWeaker { .. }]), "{found:?}");
    }
}
