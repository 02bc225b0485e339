//! Every fleet of `fixtures/`, planned as its README says: what moves, what that costs, what stays and by which rule.
//!
//! Each plan is also checked by the checker, and must be the same when it is made again.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use decant_planner::{Limits, Stamp, check};
use decant_schema::fleet::{self, Fleet};
use decant_schema::plan::{Outcome, Plan, RuleName, Tier, TierName};
use decant_schema::request::Request;
use serde::Deserialize;

/// One line of `fixtures/expected.json`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    fixture: String,
    request: Request,
    outcome: Outcome,
    moves: usize,
    /// All of it proven to be needed.
    displaced_mb: u64,
    /// Where these end.
    #[serde(default)]
    targets: BTreeMap<String, String>,
    /// Who stays, and the rules that are counted.
    #[serde(default)]
    refused: BTreeMap<String, Vec<RuleName>>,
}

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures"))
}

fn fleet(name: &str) -> Arc<Fleet> {
    let bytes = std::fs::read(folder().join(name)).unwrap();
    let checked = if name.ends_with(".data") {
        fleet::ganeti::import(std::str::from_utf8(&bytes).unwrap())
    } else {
        fleet::read(&bytes)
    };
    Arc::new(checked.unwrap_or_else(|error| panic!("{name}: {error}")).fleet)
}

fn plan(fleet: &Arc<Fleet>, request: &Request) -> Plan {
    let stamp = Stamp { id: uuid::Uuid::nil(), created_at: jiff::Timestamp::UNIX_EPOCH };
    decant_planner::plan(fleet.clone(), request.clone(), stamp, &Limits::UNTIMED).unwrap()
}

/// All that is not as expected.
fn differences(expected: &Expected) -> Vec<String> {
    let fleet = fleet(&expected.fixture);
    let plan = plan(&fleet, &expected.request);
    let mut wrong: Vec<String> = check::check(&fleet, &plan).violations.iter().map(ToString::to_string).collect();
    let mut compare = |what: &str, found: String, expected: String| {
        if found != expected {
            wrong.push(format!("{what}: {found}, expected {expected}"));
        }
    };
    compare("outcome", format!("{:?}", plan.outcome), format!("{:?}", expected.outcome));
    compare("moves", plan.moves.len().to_string(), expected.moves.to_string());
    let displaced_mb = expected.displaced_mb;
    compare("displaced", displaced(&plan), format!("{displaced_mb}, {displaced_mb} proven"));
    for (instance, host) in &expected.targets {
        compare(instance, end_of(&plan, instance), host.clone());
    }
    compare("refused", format!("{:?}", refused(&plan, expected)), format!("{:?}", expected.refused));
    wrong
}

/// The memory displaced, and how much of it is proven to be needed.
fn displaced(plan: &Plan) -> String {
    let is_displaced = |tier: &&Tier| tier.name == TierName::DisplacedMemoryMb;
    let tier = plan.proof.tiers.iter().find(is_displaced).expect("every plan has the tier");
    // Where more are refused than must be, nothing is proven of the rest.
    format!("{}, {} proven", tier.value, tier.bound.unwrap_or(0.0))
}

/// The target of an instance's last move.
fn end_of(plan: &Plan, instance: &str) -> String {
    let last = plan.moves.iter().rfind(|step| step.instance.as_str() == instance);
    last.map_or("unmoved".to_owned(), |step| step.target.to_string())
}

/// Who stays by which rules; the rules only where the fixture is about them.
fn refused(plan: &Plan, expected: &Expected) -> BTreeMap<String, Vec<RuleName>> {
    let rules = |instance: &str, reasons: Vec<RuleName>| match expected.refused.get(instance) {
        Some(rules) if rules.is_empty() => Vec::new(),
        _ => reasons,
    };
    plan.refusals
        .iter()
        .map(|refusal| {
            let reasons = refusal.reasons.iter().map(|reason| reason.rule).collect();
            (refusal.instance.to_string(), rules(refusal.instance.as_str(), reasons))
        })
        .collect()
}

#[test]
fn every_fixture_is_planned_as_its_readme_says() {
    let text = std::fs::read_to_string(folder().join("expected.json")).unwrap();
    let all: Vec<Expected> = serde_json::from_str(&text).unwrap();
    let mut failures = Vec::new();
    for expected in &all {
        let wrong = differences(expected);
        if !wrong.is_empty() {
            failures.push(format!("{}:\n  {}", expected.fixture, wrong.join("\n  ")));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn the_same_request_gives_the_same_plan() {
    let text = std::fs::read_to_string(folder().join("expected.json")).unwrap();
    let all: Vec<Expected> = serde_json::from_str(&text).unwrap();
    for expected in &all {
        let fleet = fleet(&expected.fixture);
        let (once, again) = (plan(&fleet, &expected.request), plan(&fleet, &expected.request));
        assert_eq!(once, again, "{}", expected.fixture);
    }
}

#[test]
fn every_fleet_is_in_the_table() {
    let readme = std::fs::read_to_string(folder().join("README.md")).unwrap();
    let expected = std::fs::read_to_string(folder().join("expected.json")).unwrap();
    for file in std::fs::read_dir(folder()).unwrap() {
        let name = file.unwrap().file_name().into_string().unwrap();
        if !["README.md", "expected.json"].contains(&name.as_str()) {
            assert!(readme.contains(&format!("| {name} |")), "{name} is not in the README");
            assert!(expected.contains(&format!("\"{name}\"")), "{name} is not in expected.json");
        }
    }
}
