//! No fleet makes the planner fail, plan what breaks a rule, or miss its limit.
//!
//! Every test run tries a few; `make fuzz` tries a thousand from a seed of its own, by the wall clock as well.

#![expect(
    clippy::disallowed_methods,
    reason = "which fleets are tried is asked of the environment, and one test is about the clock"
)]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use decant_planner::{Limits, Stamp, capacity, find};
use decant_schema::fleet::Fleet;
use decant_schema::report::{Emptying, Unknown};
use decant_schema::request::Request;
use jiff::Timestamp;
use uuid::Uuid;

use crate::field::case;
use crate::planned::wrong;

/// Fleets of every test run, and their first seed.
const FLEETS: u64 = 30;
const SEED: u64 = 1;

/// The wall clock's limit in a long run.
const LIMIT: Duration = Duration::from_secs(1);

/// What a limit allows until there is a plan: a fifth more, and half a second.
fn allowed(limit: Duration) -> Duration {
    limit + limit / 5 + Duration::from_millis(500)
}

/// What is for saying why somebody stays, and what would help, once there is a plan.
fn share_of_explanations(limit: Duration) -> Duration {
    limit / 5
}

/// That an answer came late, if it did.
fn late(what: &str, took: Duration, allowed: Duration) -> Option<String> {
    (took > allowed).then(|| format!("{what} after {took:?} where {allowed:?} is allowed"))
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// All that is wrong with what is planned and reported of a fleet within limits.
fn faults(fleet: &Arc<Fleet>, request: &Request, limits: &Limits<'_>) -> Vec<String> {
    let stamp = Stamp { id: Uuid::nil(), created_at: Timestamp::UNIX_EPOCH };
    let Ok(found) = find(Arc::clone(fleet), request.clone(), stamp, limits) else { return Vec::new() };
    let limit = limits.time.unwrap_or(Duration::MAX / 2);
    let mut faults = Vec::from_iter(late("a plan is found", (limits.elapsed)(), allowed(limit)));
    let plan = found.explained(limits);
    let explained = allowed(limit) + share_of_explanations(limit);
    faults.extend(late("a plan is explained", (limits.elapsed)(), explained));
    faults.extend(wrong(fleet, &plan));
    faults
}

/// The same of a report: it says something of every host, and of none that the planner failed on it.
fn faults_of_report(fleet: &Arc<Fleet>, request: &Request, limits: &Limits<'_>) -> Vec<String> {
    let report = capacity::report(Arc::clone(fleet), request.options.clone(), limits);
    let late = late("a report is made", (limits.elapsed)(), allowed(limits.time.unwrap_or(Duration::MAX / 2)));
    let failed = |emptying: &Emptying| matches!(emptying, Emptying::Unknown { why: Unknown::Failed });
    let hosts = report.hosts.iter().filter(|host| failed(&host.emptying)).map(|host| host.name.to_string());
    let changes = report.what_if.iter().filter(|case| case.unknown == Some(Unknown::Failed));
    let missing = (report.hosts.len() != fleet.hosts().len()).then(|| "hosts are missing".to_owned());
    hosts.chain(changes.map(|case| format!("{:?}", case.change))).chain(missing).chain(late).collect()
}

/// What is asked of a fleet within limits, with what is wrong with the answer.
type Ask = fn(&Arc<Fleet>, &Request, &Limits<'_>) -> Vec<String>;

const ASKS: [(&str, Ask); 2] = [("plan", faults), ("report", faults_of_report)];

/// Runs every ask on every fleet under limits made anew each time.
fn try_all(within: impl Fn(u64, &(dyn Fn(&Limits<'_>) -> Vec<String> + Sync)) -> Vec<String>) {
    let (first, fleets) = (number("DECANT_FUZZ_SEED").unwrap_or(SEED), number("DECANT_FUZZ").unwrap_or(FLEETS));
    println!("{fleets} fleets from seed {first} on");
    let mut bad = Vec::new();
    for seed in first..first + fleets {
        let (fleet, request) = case(seed);
        for (name, ask) in ASKS {
            let asked = || within(seed, &|limits| ask(&fleet, &request, limits));
            let faults = catch_unwind(AssertUnwindSafe(asked)).unwrap_or_else(|_| vec!["it panics".to_owned()]);
            if !faults.is_empty() {
                bad.push(format!("{name} of seed {seed}: {faults:#?}"));
            }
        }
    }
    assert!(bad.is_empty(), "{} answers are wrong\n{}", bad.len(), bad.join("\n"));
}

#[test]
fn no_fleet_makes_the_planner_fail_or_miss_a_limit_that_is_counted_in_looks_at_the_clock() {
    let on_one_thread = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    try_all(|seed, ask| {
        // A clock that goes on by a millisecond whenever somebody looks.
        let looks = AtomicU64::new(0);
        let elapsed = || Duration::from_millis(looks.fetch_add(1, Ordering::Relaxed));
        let limit = Duration::from_millis(1 << (seed % 12));
        on_one_thread.install(|| ask(&Limits::new(&elapsed, Some(limit))))
    });
}

#[test]
#[ignore = "by the wall clock: make fuzz"]
fn no_fleet_makes_the_planner_miss_a_limit_by_the_wall_clock() {
    try_all(|_, ask| {
        let began = Instant::now();
        ask(&Limits::new(&|| began.elapsed(), Some(LIMIT)))
    });
}
