//! The plan document.

use decant_schema::finding::Finding;
use decant_schema::plan;

use super::lines;

/// A small plan with everything in it.
const GOOD: &str = r#"{ "format": "decant.plan/1", "id": "0193a5b2-0000-7000-8000-000000000000",
  "created_at": "2026-11-22T20:00:00Z", "fleet_digest": "blake3:00",
  "request": { "kind": "evacuate", "hosts": ["cmp-01"], "options": { "seed": 7 } },
  "outcome": "partial",
  "proof": { "status": "infeasible", "stopped_by": null, "seconds": 0.1,
             "tiers": [ { "name": "refused", "value": 1, "bound": 1 } ] },
  "moves": [
    { "id": 1, "instance": "a", "source": "cmp-01", "target": "cmp-02", "mode": "live", "why": "evacuate",
      "after": [], "transfer_mb": 1024, "start_s": 0, "end_s": 1.5 } ],
  "refusals": [ { "instance": "b", "reasons": [ { "rule": "capacity", "class": "VCPU", "hosts": 1, "need": 2, "best": 1 } ],
                  "fixes": [ { "kind": "unpin", "instance": "c" } ] } ],
  "hosts": [ { "name": "cmp-01", "before": { "VCPU": 1 }, "after": {} } ] }"#;

fn errors(text: &str) -> Vec<Finding> {
    plan::read(text.as_bytes()).map(|_| ()).unwrap_err().errors
}

/// The good plan with one text replaced; the text must be there.
fn with(old: &str, new: &str) -> String {
    assert!(GOOD.contains(old), "{old} is not in the plan");
    GOOD.replacen(old, new, 1)
}

#[test]
fn a_good_plan_is_read_and_written_back_the_same() {
    let plan = plan::read(GOOD.as_bytes()).unwrap();
    let again = plan::read(&serde_json::to_vec(&plan).unwrap()).unwrap();
    assert_eq!(plan, again);
}

#[test]
fn every_error_of_structure_has_its_place_and_remedy() {
    let cases: &[(&str, &str, &[&str])] = &[
        (
            r#""live""#,
            r#""life""#,
            &["moves[0].mode (line 8, column 81): the text life is not accepted here; did you mean live?"],
        ),
        (
            r#""rule": "capacity""#,
            r#""rule": "capacty""#,
            &[
                "refusals[0].reasons[0].rule (line 10, column 59): the text capacty is not accepted here; did you mean capacity?",
            ],
        ),
        (
            r#""kind": "evacuate""#,
            r#""kind": "empty""#,
            &["request.kind (line 3, column 24): the text empty is not accepted here; give evacuate, resize, rolling"],
        ),
        (
            r#""hosts": ["cmp-01"]"#,
            r#""host": ["cmp-01"]"#,
            &[
                "request (line 3, column 14): the field hosts is missing; give hosts",
                "request.host (line 3, column 44): unknown field; did you mean hosts?",
            ],
        ),
        (
            r#""hosts": ["cmp-01"]"#,
            r#""hosts": "cmp-01""#,
            &["request.hosts (line 3, column 45): the text cmp-01 is not accepted here; give a list"],
        ),
        (
            r#""seed": 7"#,
            r#""sed": 7"#,
            &["request.options.sed (line 3, column 77): unknown field; did you mean seed?"],
        ),
        (
            r#""kind": "unpin""#,
            r#""kind": "upin""#,
            &[
                "refusals[0].fixes[0].kind (line 11, column 40): the text upin is not accepted here; did you mean unpin?",
            ],
        ),
        (
            r#""kind": "unpin", "instance": "c""#,
            r#""kind": "unpin", "instance": 3, "x": 3"#,
            &[
                "refusals[0].fixes[0].instance (line 11, column 61): 3 is not accepted here; give a text",
                "refusals[0].fixes[0].x (line 11, column 69): unknown field; known are instance, kind",
            ],
        ),
        (
            r#""start_s""#,
            r#""start""#,
            &[
                "moves[0] (line 8, column 5): the field start_s is missing; give start_s",
                "moves[0].start (line 9, column 50): unknown field; did you mean start_s?",
            ],
        ),
        (
            "0193a5b2-0000-7000-8000-000000000000",
            "0193",
            &["id (line 1, column 36): the text 0193 is not accepted here; give a text of the form uuid"],
        ),
        (
            "plan/1",
            "fleet/1",
            &[
                "format (line 1, column 13): the format is decant.fleet/1, this program reads decant.plan/1; give a plan document of the format decant.plan/1",
            ],
        ),
        (
            r#""bound": 1"#,
            r#""bund": 1"#,
            &["proof.tiers[0].bund (line 6, column 66): unknown field; did you mean bound?"],
        ),
    ];
    for (old, new, expected) in cases {
        assert_eq!(lines(&errors(&with(old, new))).lines().collect::<Vec<_>>(), *expected, "{old} became {new}");
    }
}

#[test]
fn a_plan_cut_off_anywhere_is_refused_with_a_place() {
    for end in 0..GOOD.len() {
        assert_eq!(errors(&GOOD[..end]).len(), 1, "cut at {end}");
    }
}

#[test]
fn the_published_schemas_accept_what_is_read() {
    let schema = decant_schema::document::plan_schema();
    let validator = jsonschema::validator_for(&schema).unwrap();
    assert!(validator.is_valid(&serde_json::from_str(GOOD).unwrap()));
    jsonschema::validator_for(&decant_schema::document::fleet_schema()).unwrap();
}

proptest::proptest! {
    /// Whatever bytes are changed, the plan is read or refused with something to say; nothing panics.
    #[test]
    fn a_mutated_plan_is_read_or_refused(changes in proptest::collection::vec((0..GOOD.len(), 0..255_u8), 1..6)) {
        let mut bytes = GOOD.as_bytes().to_vec();
        for (at, byte) in changes {
            bytes[at] = byte;
        }
        if let Err(error) = plan::read(&bytes) {
            proptest::prop_assert!(!error.errors.is_empty());
        }
    }
}
