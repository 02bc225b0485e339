//! The door of the fleet document: what is wrong is refused, every error at once, each with its place.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use decant_schema::finding::Finding;
use decant_schema::fleet;

/// A small fleet with everything in it.
const GOOD: &str = r#"{ "format": "decant.fleet/1", "captured_at": "2026-11-22T20:00:00Z", "source": "a test",
  "defaults": { "network_mbps": 10000 },
  "racks": [ { "name": "r1", "uplink_mbps": 40000 } ],
  "hosts": [
    { "name": "cmp-01", "zone": "az1", "aggregates": ["ssd"], "traits": ["AVX2"], "storage": ["ceph"], "rack": "r1",
      "inventory": { "VCPU": { "total": 64, "allocation_ratio": 4.0 },
                     "MEMORY_MB": { "total": 4096, "reserved": 96, "min_unit": 1, "max_unit": 4096, "step_size": 1 } },
      "other_usage": { "MEMORY_MB": 10 } },
    { "name": "cmp-02", "inventory": { "VCPU": { "total": 64 }, "MEMORY_MB": { "total": 4096 } } } ],
  "flavors": [ { "name": "small", "resources": { "VCPU": 1, "MEMORY_MB": 1024 } } ],
  "instances": [
    { "id": "a", "host": "cmp-01", "flavor": "small", "storage": "ceph", "zone": "az1" },
    { "id": "b", "host": "cmp-02", "flavor": "small", "resources": { "MEMORY_MB": 2048 }, "mobility": "cold" } ],
  "server_groups": [ { "name": "web", "policy": "anti-affinity", "members": ["a", "b"] } ] }"#;

fn errors(text: &str) -> Vec<Finding> {
    fleet::read(text.as_bytes()).map(|_| ()).unwrap_err().errors
}

fn lines(findings: &[Finding]) -> String {
    findings.iter().map(|finding| format!("{finding}\n")).collect()
}

/// The good fleet with one text replaced; the text must be there.
fn with(old: &str, new: &str) -> String {
    assert!(GOOD.contains(old), "{old} is not in the fleet");
    GOOD.replacen(old, new, 1)
}

#[test]
fn a_good_fleet_is_let_in_without_a_word() {
    let checked = fleet::read(GOOD.as_bytes()).unwrap();
    assert_eq!(lines(&checked.warnings), "");
    assert_eq!(checked.fleet.hosts().len(), 2);
}

#[test]
fn a_slip_in_a_name_is_refused_at_its_place() {
    insta::assert_snapshot!(lines(&errors(&with("\"host\": \"cmp-02\"", "\"host\": \"cmp-03\""))), @"instances[1].host (line 13, column 26): the host cmp-03 is not in the fleet; did you mean cmp-01?");
}
