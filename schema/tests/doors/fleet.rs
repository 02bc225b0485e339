//! The fleet document.
use decant_schema::finding::Finding;
use decant_schema::fleet;

use super::lines;

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
fn every_error_of_structure_has_its_place_and_remedy() {
    let cases: &[(&str, &str, &[&str])] = &[
        (r#""racks""#, r#""rakcs""#, &["rakcs (line 3, column 12): unknown field; did you mean racks?"]),
        (
            r#""total": 64,"#,
            r#""totl": 64,"#,
            &[
                "hosts[0].inventory.VCPU.totl (line 6, column 40): unknown field; did you mean total?",
                "hosts[0].inventory.VCPU (line 6, column 30): the field total is missing; give total",
            ],
        ),
        (
            r#""total": 64,"#,
            r#""total": -64,"#,
            &["hosts[0].inventory.VCPU.total (line 6, column 41): -64 is less than 0; give 0 or more"],
        ),
        (
            r#""total": 64,"#,
            r#""total": 64.0,"#,
            &[
                "hosts[0] (line 6, column 44): invalid type: floating point `64.0`, expected a whole number from 0 in plain digits; `decant schema` prints what is accepted",
            ],
        ),
        (
            r#""total": 64,"#,
            r#""total": 1e30,"#,
            &[
                "hosts[0] (line 6, column 44): invalid type: floating point `1e+30`, expected a whole number from 0 in plain digits; `decant schema` prints what is accepted",
            ],
        ),
        (
            r#""total": 64,"#,
            r#""total": "64","#,
            &[
                "hosts[0].inventory.VCPU.total (line 6, column 41): the text 64 is not accepted here; give a whole number",
            ],
        ),
        (
            r#""total": 64,"#,
            r#""total": 64, "total": 64, "#,
            &["hosts[0] (line 6, column 51): duplicate field `total`; `decant schema` prints what is accepted"],
        ),
        (
            r#""VCPU": { "total": 64 }"#,
            r#""VCPU": { "total": 64 }, "VCPU": { "total": 4 }"#,
            &["hosts[1] (line 9, column 86): the class VCPU is given twice; `decant schema` prints what is accepted"],
        ),
        (
            r#""mobility": "cold""#,
            r#""mobility": "warm""#,
            &[
                "instances[1].mobility (line 13, column 103): the text warm is not accepted here; give cold, live, none, suspend",
            ],
        ),
        (
            r#""mobility": "cold""#,
            r#""mobility": 3"#,
            &["instances[1].mobility (line 13, column 103): 3 is not accepted here; give cold, live, none, suspend"],
        ),
        (
            r#""mobility": "cold""#,
            r#""resources": null"#,
            &[
                "instances[1] (line 13, column 101): duplicate field `resources`; `decant schema` prints what is accepted",
            ],
        ),
        (
            r#"{ "MEMORY_MB": 2048 }"#,
            r#"{ "MEMORY_MB": -2048, "VCPU": "x" }"#,
            &[
                "instances[1].resources.MEMORY_MB (line 13, column 83): -2048 is less than 0; give 0 or more",
                "instances[1].resources.VCPU (line 13, column 98): the text x is not accepted here; give a whole number",
            ],
        ),
        (
            r#"{ "MEMORY_MB": 2048 }"#,
            "[3]",
            &["instances[1].resources (line 13, column 68): a list is not accepted here; give an object or null"],
        ),
        (
            r#""2026-11-22T20:00:00Z""#,
            r#""yesterday""#,
            &[
                "captured_at (line 1, column 46): the text yesterday is not accepted here; give a time as 2026-01-31T12:00:00Z",
            ],
        ),
        (
            r#""2026-11-22T20:00:00Z""#,
            r#""2026-02-31T20:00:00Z""#,
            &[
                "captured_at (line 1, column 46): the text 2026-02-31T20:00:00Z is not accepted here; give a time as 2026-01-31T12:00:00Z",
            ],
        ),
        (r#""host": "cmp-02", "#, "", &["instances[1] (line 13, column 5): the field host is missing; give host"]),
        (
            r#""host": "cmp-02""#,
            r#""host": "cmp-03""#,
            &["instances[1].host (line 13, column 26): the host cmp-03 is not in the fleet; did you mean cmp-01?"],
        ),
        (
            r#"{ "network_mbps": 10000 }"#,
            r#"{ "network_mps": 10000 }"#,
            &["defaults.network_mps (line 2, column 32): unknown field; did you mean network_mbps?"],
        ),
        (
            r#"{ "network_mbps": 10000 }"#,
            "7",
            &["defaults (line 2, column 15): 7 is not accepted here; give an object"],
        ),
        (
            "decant.fleet/1",
            "decant.fleet/2",
            &[
                "format (line 1, column 13): the format is decant.fleet/2, this program reads decant.fleet/1; give a fleet document of the format decant.fleet/1",
            ],
        ),
        (
            r#""flavors": ["#,
            r#""flavors": 7, "flavors": ["#,
            &["flavors (line 10, column 28): it is given twice; give it once"],
        ),
        (
            r#""id": "b""#,
            r#""id": "a""#,
            &[
                "instances[1].id (line 13, column 13): the instance a is already in instances[0]; give each its own id",
                "server_groups[0].members[1] (line 14, column 83): the instance b is not in the fleet; name one of the fleet's instances, or add this one",
            ],
        ),
    ];
    for (old, new, expected) in cases {
        assert_eq!(lines(&errors(&with(old, new))).lines().collect::<Vec<_>>(), *expected, "{old} became {new}");
    }
}

#[test]
fn a_text_that_is_no_fleet_at_all_is_one_clear_error() {
    let cases: &[(&str, &[&str])] = &[
        ("", &["the document: it is empty; give a fleet document of the format decant.fleet/1"]),
        ("[]", &["the document: it is JSON, but not an object; give a fleet document of the format decant.fleet/1"]),
        ("{}", &[r#"the document: it names no format; begin with "format": "decant.fleet/1""#]),
        (
            r#"{"format": 3}"#,
            &[
                "format (line 1, column 12): the format is 3, this program reads decant.fleet/1; give a fleet document of the format decant.fleet/1",
            ],
        ),
        (
            r#"{"format": "decant.fleet/1"}"#,
            &[
                "line 1, column 1: the field captured_at is missing; give captured_at",
                "line 1, column 1: the field hosts is missing; give hosts",
            ],
        ),
        ("[[[[", &["line 1, column 4: the text ends in the middle; copy or write the whole document again"]),
        ("﻿{", &["line 1, column 1: the text ends in the middle; copy or write the whole document again"]),
        (
            "nonsense",
            &["line 1, column 2: not JSON: expected ident; give a fleet document of the format decant.fleet/1"],
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(lines(&errors(text)).lines().collect::<Vec<_>>(), *expected, "{text}");
    }
}

/// What the fleet must mean: one edit, and what is said of it.
#[test]
fn every_error_of_meaning_is_refused() {
    let cases: &[(&str, &str, &str)] = &[
        (r#""name": "cmp-02""#, r#""name": "cmp-01""#, "hosts[1].name"),
        (r#""name": "cmp-02""#, r#""name": """#, "hosts[1].name"),
        (r#""name": "cmp-02""#, r#""name": "cmp\u0007""#, "hosts[1].name"),
        (r#""name": "small""#, r#""name": "smal""#, "instances[0].flavor"),
        (r#""rack": "r1""#, r#""rack": "r2""#, "hosts[0].rack"),
        (r#"["a", "b"]"#, r#"["a", "c"]"#, "server_groups[0].members[1]"),
        (r#"["a", "b"]"#, r#"["a", "a"]"#, "server_groups[0].members[1]"),
        (
            r#""policy": "anti-affinity","#,
            r#""policy": "anti-affinity", "max_per_host": 0,"#,
            "server_groups[0].max_per_host",
        ),
        (r#""reserved": 96"#, r#""reserved": 4097"#, "hosts[0].inventory.MEMORY_MB.reserved"),
        (r#""min_unit": 1"#, r#""min_unit": 4097"#, "hosts[0].inventory.MEMORY_MB.min_unit"),
        (r#""step_size": 1"#, r#""step_size": 0"#, "hosts[0].inventory.MEMORY_MB.step_size"),
        (r#""allocation_ratio": 4.0"#, r#""allocation_ratio": 0.0"#, "hosts[0].inventory.VCPU.allocation_ratio"),
        (r#""allocation_ratio": 4.0"#, r#""allocation_ratio": -1"#, "hosts[0].inventory.VCPU.allocation_ratio"),
        (r#""allocation_ratio": 4.0"#, r#""allocation_ratio": 1e7"#, "hosts[0].inventory.VCPU.allocation_ratio"),
        (r#""total": 64,"#, r#""total": 9007199254740993,"#, "hosts[0].inventory.VCPU.total"),
        (r#""total": 64,"#, r#""total": 9007199254740992,"#, "hosts[0].inventory.VCPU.total"),
        (r#""network_mbps": 10000"#, r#""network_mbps": 0"#, "defaults.network_mbps"),
        (r#""network_mbps": 10000"#, r#""max_migrations_per_host": 0"#, "defaults.max_migrations_per_host"),
        (r#""network_mbps": 10000"#, r#""boot_s": -1"#, "defaults.boot_s"),
        (r#""network_mbps": 10000"#, r#""shutdown_s": 1e300"#, "defaults.shutdown_s"),
        (r#""uplink_mbps": 40000"#, r#""uplink_mbps": 0"#, "racks[0].uplink_mbps"),
        (r#"{ "MEMORY_MB": 10 }"#, r#"{ "MEMORY_MB": 9007199254740993 }"#, "hosts[0].other_usage.MEMORY_MB"),
        (r#"{ "MEMORY_MB": 10 }"#, r#"{ "MEMORY_MB": 9007199254740992 }"#, "instances"),
        (r#""mobility": "cold""#, r#""local_disk_mb": 9007199254740993"#, "instances[1].local_disk_mb"),
        (r#""mobility": "cold""#, r#""dirty_mbps": 9007199254740993"#, "instances[1].dirty_mbps"),
        (r#""mobility": "cold""#, r#""name": "a\u001bb""#, "instances[1].name"),
    ];
    for (old, new, field) in cases {
        let errors = errors(&with(old, new));
        assert!(errors.iter().any(|error| error.place.field == *field), "{old} became {new}: {}", lines(&errors));
        assert!(errors.iter().all(|error| error.place.line_column.is_some()), "{}", lines(&errors));
    }
}

#[test]
fn errors_in_every_part_are_all_told_at_once() {
    let text = with("cmp-02\", \"flavor", "cmp-03\", \"flavor")
        .replace("\"reserved\": 96", "\"reserved\": 5000")
        .replace("[\"a\", \"b\"]", "[\"a\", \"x\"]");
    let fields: Vec<String> = errors(&text).into_iter().map(|error| error.place.field).collect();
    assert_eq!(fields, ["hosts[0].inventory.MEMORY_MB.reserved", "instances[1].host", "server_groups[0].members[1]"]);
}

/// What can be planned with, but is probably not what was meant.
#[test]
fn what_is_odd_is_a_warning() {
    let cases: &[(&str, &str, &str)] = &[
        (
            r#"{ "MEMORY_MB": 10 }"#,
            r#"{ "MEMORY_MB": 4000 }"#,
            "hosts[0] (line 5, column 5): cmp-01 is oversubscribed: 5024 MEMORY_MB used of a capacity of 4000; it receives nothing until enough has left",
        ),
        (
            r#""VCPU": 1, "MEMORY_MB": 1024"#,
            r#""VCPU": 96, "MEMORY_MB": 1024"#,
            "hosts[0].inventory.VCPU (line 6, column 30): cmp-01 and 1 more may be given a with more vCPU (96) than it has cores; give max_unit, as a rule total: a hypervisor starts no guest with more vCPU than it has cores",
        ),
        (
            r#""zone": "az1" }"#,
            r#""zone": "az1", "local_disk_mb": 2048 }"#,
            "hosts (line 4, column 12): no host says how much disk it has, and 1 of the instances has a disk of its own; give DISK_GB in inventories and flavors, else more may be sent to a host than its disk holds",
        ),
        (
            r#""storage": ["ceph"],"#,
            "",
            "instances[0].storage (line 12, column 66): its host cmp-01 does not mount the pool ceph; it may leave that host but not come back",
        ),
        (
            r#""zone": "az1" },"#,
            r#""zone": "az2" },"#,
            "instances[0].zone (line 12, column 82): its host cmp-01 is not in the zone az2; it may leave that host but not come back",
        ),
        (
            r#""mobility": "cold""#,
            r#""mobility": "none""#,
            "instances[1].mobility (line 13, column 103): it cannot move, without a reason; give a pinned_reason",
        ),
        (
            r#""host": "cmp-02""#,
            r#""host": "cmp-01""#,
            "server_groups[0] (line 14, column 22): 2 members of web are on cmp-01, more than 1; no move will make it worse, none is planned to mend it",
        ),
    ];
    for (old, new, expected) in cases {
        let warnings = fleet::read(with(old, new).as_bytes()).unwrap().warnings;
        assert!(lines(&warnings).lines().any(|line| line == *expected), "{}", lines(&warnings));
    }
}

#[test]
fn a_fleet_cut_off_anywhere_is_refused_with_a_place() {
    for end in 0..GOOD.len() {
        let errors = errors(&GOOD[..end]);
        assert_eq!(errors.len(), 1, "cut at {end}: {}", lines(&errors));
    }
}

#[test]
fn packed_fleets_are_read_and_damaged_ones_refused() {
    let gzip = gzip(GOOD.as_bytes());
    assert_eq!(fleet::read(&gzip).unwrap().fleet.hosts().len(), 2);
    assert_eq!(fleet::read(&zstd::encode_all(GOOD.as_bytes(), 3).unwrap()).unwrap().fleet.hosts().len(), 2);
    for end in 0..gzip.len() {
        assert_eq!(fleet::read(&gzip[..end]).unwrap_err().errors.len(), 1, "cut at {end}");
    }
    let error = fleet::read(&gzip[..gzip.len() / 2]).unwrap_err();
    assert_eq!(error.to_string(), "the document: the gzip data ends in the middle; copy the whole file again");
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut encoder, bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn text_that_is_not_utf8_is_refused_at_its_byte() {
    let mut bytes = GOOD.as_bytes().to_vec();
    let at = GOOD.find("cmp-02").unwrap();
    bytes[at] = 0xff;
    let error = fleet::read(&bytes).unwrap_err().to_string();
    assert!(error.starts_with("line 9, column 16: byte 0xff is not UTF-8 text; "), "{error}");
}

#[test]
fn nesting_without_end_is_refused() {
    let deep = with("\"a test\"", &"[".repeat(1_000_000));
    assert_eq!(errors(&deep).len(), 1);
    let deep = with("\"a test\"", &format!("{}{}", "[".repeat(100_000), "]".repeat(100_000)));
    assert!(!errors(&deep).is_empty());
}

#[test]
fn more_errors_than_anyone_reads_are_counted() {
    let members: Vec<String> = (0..3000).map(|number| format!("\"x{number}\"")).collect();
    let errors = errors(&with("[\"a\", \"b\"]", &format!("[{}]", members.join(","))));
    assert_eq!(errors.len(), 1001);
    assert_eq!(errors[1000].problem, "2000 more of the kind are not listed");
}

#[test]
fn the_digest_knows_the_state_not_when_or_in_which_order_it_was_written() {
    let digest = |text: &str| fleet::read(text.as_bytes()).unwrap().fleet.digest();
    let later = with("2026-11-22", "2026-11-23");
    let elsewhere = with("a test", "another");
    let members = with("[\"a\", \"b\"]", "[\"b\", \"a\"]");
    for same in [later, elsewhere, members, swapped()] {
        assert_eq!(digest(GOOD), digest(&same));
    }
    assert_ne!(digest(GOOD), digest(&with("\"total\": 64,", "\"total\": 65,")));
}

/// The good fleet with its instances in the other order.
fn swapped() -> String {
    let mut document: serde_json::Value = serde_json::from_str(GOOD).unwrap();
    document["instances"].as_array_mut().unwrap().reverse();
    document.to_string()
}

proptest::proptest! {
    /// Whatever bytes are changed, the fleet is read or refused with something to say; nothing panics.
    #[test]
    fn a_mutated_fleet_is_read_or_refused(changes in proptest::collection::vec((0..GOOD.len(), 0..255_u8), 1..6)) {
        let mut bytes = GOOD.as_bytes().to_vec();
        for (at, byte) in changes {
            bytes[at] = byte;
        }
        if let Err(error) = fleet::read(&bytes) {
            proptest::prop_assert!(!error.errors.is_empty());
        }
    }
}
