//! Properties of every plan, on a hundred and twenty random fleets from 5 to 300 hosts.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use decant_planner::Limits;
use decant_schema::fleet::{Fleet, Host};
use decant_schema::plan::TierName;

use crate::fleets::{Shape, case, inventory};
use crate::planned::{planned, planned_within, reached, wrong};

/// Most fleets are small, where rules collide most; every tenth is large.
fn shape(seed: u64) -> Shape {
    let hosts = if seed.is_multiple_of(10) { 60 + seed * 240 / 120 } else { 5 + seed % 40 };
    let fill_percent = [60, 80, 90, 96][(seed % 4) as usize];
    Shape {
        hosts: usize::try_from(hosts).unwrap(),
        instances_per_host: 12,
        fill_percent,
        flavors: 4 + (seed % 5) as usize,
    }
}

#[test]
fn every_plan_of_a_random_fleet_holds_and_refuses_no_more_than_is_proven() {
    let mut bad = Vec::new();
    let mut open = Vec::new();
    for seed in 0..120 {
        let (fleet, mut request) = case(seed, shape(seed));
        request.options.count_first = true;
        let plan = planned(&fleet, &request);
        // What the planner's search knows counts here, whether or not the checker can show it.
        let refused = &plan.proof.tiers[0];
        if refused.planner_bound.or(refused.bound) != Some(refused.value) {
            open.push(format!("{seed} ({} hosts): {:?}", fleet.hosts().len(), plan.proof.tiers[0]));
        }
        let wrong = wrong(&fleet, &plan);
        if !wrong.is_empty() {
            bad.push(format!("seed {seed}, {} hosts: {wrong:#?}", fleet.hosts().len()));
        }
    }
    assert!(open.is_empty(), "refusals not proven for {} of 200: {open:#?}", open.len());
    assert!(bad.is_empty(), "{} plans do not hold\n{}", bad.len(), bad.join("\n"));
}

#[test]
fn the_same_input_gives_the_same_plan_on_one_thread_and_on_two() {
    for seed in 0..40 {
        let (fleet, request) = case(seed, shape(seed));
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| planned(&fleet, &request))
        };
        assert_eq!(on(1), on(2), "seed {seed}");
    }
}

#[test]
fn a_plan_holds_whenever_the_clock_stops_its_search() {
    let on_one_thread = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    for seed in 0..60 {
        let (fleet, request) = case(seed, shape(seed));
        // A clock that goes on by a millisecond whenever somebody looks.
        let looks = AtomicU64::new(0);
        let elapsed = || Duration::from_millis(looks.fetch_add(1, Ordering::Relaxed));
        let time = Some(Duration::from_millis(1 << (seed % 12)));
        let limits = Limits::new(&elapsed, time);
        let plan = on_one_thread.install(|| planned_within(&fleet, &request, &limits));
        assert_eq!(wrong(&fleet, &plan), Vec::<String>::new(), "seed {seed}");
    }
}

#[test]
fn an_extra_empty_host_never_makes_a_feasible_request_infeasible() {
    for seed in 0..40 {
        let (fleet, request) = case(seed, shape(seed));
        if reached(&planned(&fleet, &request), TierName::Refused) > 0.0 {
            continue;
        }
        let mut document = fleet.document().clone();
        let mut extra: Host = serde_json::from_str(r#"{"name":"extra","zone":"az1","inventory":{}}"#).unwrap();
        extra.inventory = [("MEMORY_MB".into(), inventory(65536)), ("VCPU".into(), inventory(64))].into();
        document.hosts.push(extra);
        let larger = Arc::new(Fleet::from_document(document).unwrap());
        let plan = planned(&larger, &request);
        assert!(reached(&plan, TierName::Refused) == 0.0, "seed {seed}: {:#?}", plan.refusals);
        assert_eq!(wrong(&larger, &plan), Vec::<String>::new(), "seed {seed}");
    }
}
