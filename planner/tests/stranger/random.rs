//! Properties of every plan, on two hundred random fleets from 5 to 300 hosts.

use crate::fleets::{Shape, case};
use crate::planned::{planned, wrong};

/// Most fleets are small, where rules collide most; every tenth is large.
pub(crate) fn shape(seed: u64) -> Shape {
    let hosts = if seed % 10 == 0 { 60 + seed * 240 / 200 } else { 5 + seed % 40 };
    let fill_percent = [60, 80, 90, 96][(seed % 4) as usize];
    Shape { hosts: hosts as usize, instances_per_host: 12, fill_percent, flavors: 4 + (seed % 5) as usize }
}

#[test]
fn every_plan_of_a_random_fleet_holds() {
    let mut bad = Vec::new();
    for seed in 0..200 {
        let (fleet, request) = case(seed, shape(seed));
        let plan = planned(&fleet, &request);
        let wrong = wrong(&fleet, &plan);
        if !wrong.is_empty() {
            bad.push(format!("seed {seed}, {} hosts: {wrong:#?}", fleet.hosts().len()));
        }
    }
    assert!(bad.is_empty(), "{} plans do not hold\n{}", bad.len(), bad.join("\n"));
}
