//! Prints one case.
use crate::planned::{planned, wrong};
#[test]
#[ignore = "for looking"]
fn probe() {
    for seed in std::env::var("SEEDS").unwrap().split(',') {
        let seed: u64 = seed.parse().unwrap();
        let (fleet, request) = crate::fleets::case(seed, crate::random::shape(seed));
        let plan = planned(&fleet, &request);
        println!("seed {seed} {}", serde_json::to_string(&request).unwrap());
        println!("{:?} {:?} {:?}", plan.outcome, plan.proof.status, plan.proof.tiers);
        for pool in plan.proof.certificate.iter().flat_map(|c| &c.pools) {
            println!(
                "cert {} {:?} bound {} refused {} U {} D {} classes {:?} prices {}",
                pool.host,
                pool.tier,
                pool.bound,
                pool.refused,
                pool.refusal_price,
                pool.denominator,
                pool.classes,
                serde_json::to_string(&pool.prices).unwrap()
            );
        }
        for m in &plan.moves {
            println!("{}", serde_json::to_string(m).unwrap());
        }
        for r in &plan.refusals {
            println!("{}", serde_json::to_string(r).unwrap());
        }
        println!("{:#?}", wrong(&fleet, &plan));
        for w in wrong(&fleet, &plan) {
            for word in w.split(|c: char| !c.is_alphanumeric() && c != '-') {
                if let Some(at) = fleet.instance_index(word) {
                    println!("{}", serde_json::to_string(&fleet.instances()[at]).unwrap());
                    println!(
                        "{}",
                        serde_json::to_string(
                            &fleet.flavors()[fleet.flavor_index(fleet.instances()[at].flavor.as_str()).unwrap()]
                        )
                        .unwrap()
                    );
                }
                if let Some(at) = fleet.host_index(word) {
                    println!("{}", serde_json::to_string(&fleet.hosts()[at]).unwrap());
                }
                if let Some(g) = fleet.server_groups().iter().find(|g| g.name.as_str() == word) {
                    println!("{}", serde_json::to_string(g).unwrap());
                }
            }
        }
    }
}
