//! The planner as the executor's scheduler: where one instance goes, and whether it may go where somebody else chose.
//!
//! One question of the planner answers both: the instance is to leave its host, or to be resized, nobody else moves, and
//! where a target is chosen every other host is excluded. So a refusal has the same reasons and numbers as in a plan.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use decant_executor::scheduler::{Choice, MoveRequest, Scheduler};
use decant_planner::{Limits, Stamp};
use decant_schema::fleet::{Fleet, Instance, Mobility};
use decant_schema::plan::{MoveMode, Plan};
use decant_schema::request::{Options, Request, RequestKind, Resize};
use jiff::Timestamp;
use uuid::Uuid;

use crate::render::words;

/// One instance is placed in a moment; a fleet that takes longer is answered with what was found by then.
const TIME: Duration = Duration::from_secs(30);

/// The planner, asked about one instance.
pub(super) fn scheduler() -> Scheduler {
    Arc::new(choose)
}

fn choose(fleet: &Fleet, request: &MoveRequest) -> Result<Choice, Vec<String>> {
    let unknown = || vec![format!("the fleet has no instance {}", request.instance)];
    let at = fleet.instance_index(request.instance.as_str()).ok_or_else(unknown)?;
    let instance = &fleet.instances()[at];
    allows(instance, request.mode)?;
    let asked = question(fleet, instance, request);
    let fleet = as_requested(fleet, at, request)?;
    let begun = Instant::now();
    let elapsed = || begun.elapsed();
    let limits = Limits::new(&elapsed, Some(TIME));
    let stamp = Stamp { id: Uuid::now_v7(), created_at: Timestamp::now() };
    let plan = decant_planner::plan(Arc::new(fleet), asked, stamp, &limits);
    let plan = plan.map_err(|findings| findings.iter().map(ToString::to_string).collect::<Vec<_>>())?;
    answer(&plan, request)
}

/// Nobody is moved in a way that the fleet says it does not survive.
fn allows(instance: &Instance, mode: Option<MoveMode>) -> Result<(), Vec<String>> {
    let most = match instance.mobility {
        Mobility::Live => 3,
        Mobility::Suspend => 2,
        Mobility::Cold => 1,
        // The planner says why.
        Mobility::None => return Ok(()),
    };
    let (asked, name) = match mode {
        Some(MoveMode::Live) => (3, "live"),
        Some(MoveMode::Suspend) => (2, "suspend"),
        Some(MoveMode::Cold | MoveMode::Rebuild) | None => return Ok(()),
    };
    if asked <= most {
        return Ok(());
    }
    let mobility = if most == 2 { "suspend" } else { "cold" };
    Err(vec![format!("its mobility in the fleet is {mobility}, which a {name} move goes beyond")])
}

/// The instance leaves its host; or, where it may stay there, it is resized.
fn question(fleet: &Fleet, instance: &Instance, request: &MoveRequest) -> Request {
    let others = fleet.instances().iter().filter(|other| other.host == instance.host && other.id != instance.id);
    let pins: BTreeSet<_> = others.map(|other| other.id.clone()).collect();
    let elsewhere = |target| fleet.hosts().iter().map(|host| host.name.clone()).filter(move |host| host != target);
    let exclude_hosts = request.target.as_ref().map_or_else(BTreeSet::new, |target| elsewhere(target).collect());
    let options = Options { no_displace: true, exclude_hosts, pins, ..Options::default() };
    let kind = match &request.flavor {
        Some(flavor) if request.may_stay => {
            RequestKind::Resize { resizes: vec![Resize { instance: instance.id.clone(), flavor: flavor.clone() }] }
        }
        _ => RequestKind::Evacuate { hosts: [instance.host.clone()].into() },
    };
    Request { kind, options }
}

/// The fleet with the instance as it is to move: in this mode, and where it must leave its host, with its new flavor.
fn as_requested(fleet: &Fleet, at: usize, request: &MoveRequest) -> Result<Fleet, Vec<String>> {
    let mut document = fleet.document().clone();
    let instance = &mut document.instances[at];
    let mobility = match request.mode {
        Some(MoveMode::Live) => Mobility::Live,
        Some(MoveMode::Suspend) => Mobility::Suspend,
        Some(MoveMode::Cold | MoveMode::Rebuild) => Mobility::Cold,
        None if request.flavor.is_some() => Mobility::Cold,
        None => instance.mobility,
    };
    if instance.mobility != Mobility::None {
        instance.mobility = mobility;
    }
    if let Some(flavor) = request.flavor.as_ref().filter(|_| !request.may_stay) {
        (instance.flavor, instance.resources) = (flavor.clone(), None);
    }
    Fleet::from_document(document).map_err(|findings| findings.iter().map(ToString::to_string).collect())
}

fn answer(plan: &Plan, request: &MoveRequest) -> Result<Choice, Vec<String>> {
    if let Some(line) = plan.moves.iter().find(|line| line.instance == request.instance) {
        return Ok(Choice { target: line.target.clone(), mode: request.mode.unwrap_or(line.mode) });
    }
    let refusal = plan.refusals.iter().find(|refusal| refusal.instance == request.instance);
    let reasons = refusal.map(|refusal| refusal.reasons.iter().map(words::reason).collect::<Vec<_>>());
    Err(reasons.filter(|reasons| !reasons.is_empty()).unwrap_or_else(|| vec!["the planner found no host".to_owned()]))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// `x` and `y` on `a`; `b` has room, `c` has not.
    fn fleet(mobility: &str) -> Fleet {
        let host = |name: &str, total: u32| json!({ "name": name, "inventory": { "MEMORY_MB": { "total": total } } });
        let instance = |id: &str, host: &str| -> Value {
            json!({ "id": id, "host": host, "flavor": "small", "mobility": mobility, "local_disk_mb": 1 })
        };
        let document = json!({
            "format": "decant.fleet/1", "captured_at": "2026-11-22T20:00:00Z",
            "hosts": [host("a", 100), host("b", 100), host("c", 30)],
            "flavors": [ { "name": "small", "resources": { "MEMORY_MB": 20 } },
                         { "name": "large", "resources": { "MEMORY_MB": 70 } },
                         { "name": "huge", "resources": { "MEMORY_MB": 90 } } ],
            "instances": [instance("x", "a"), instance("y", "a"), instance("z", "c")]
        });
        Fleet::from_document(serde_json::from_value(document).expect("a fleet")).expect("a good fleet")
    }

    fn ask(target: Option<&str>, may_stay: bool, mode: Option<MoveMode>, flavor: Option<&str>) -> MoveRequest {
        let (target, flavor) = (target.map(Into::into), flavor.map(Into::into));
        MoveRequest { instance: "x".into(), target, may_stay, mode, flavor }
    }

    fn chosen(fleet: &Fleet, request: &MoveRequest) -> Result<(String, MoveMode), Vec<String>> {
        choose(fleet, request).map(|choice| (choice.target.to_string(), choice.mode))
    }

    #[test]
    fn the_planner_chooses_a_host_and_nobody_else_moves() {
        let fleet = fleet("suspend");
        let b = |mode| Ok(("b".to_owned(), mode));
        assert_eq!(chosen(&fleet, &ask(None, false, None, None)), b(MoveMode::Suspend));
        assert_eq!(chosen(&fleet, &ask(None, false, Some(MoveMode::Cold), None)), b(MoveMode::Cold));
        assert_eq!(chosen(&fleet, &ask(Some("b"), false, None, Some("huge"))), b(MoveMode::Cold));
        assert_eq!(chosen(&fleet, &ask(None, true, None, Some("huge"))), b(MoveMode::Cold));
        assert_eq!(chosen(&fleet, &ask(None, true, None, Some("large"))), Ok(("a".to_owned(), MoveMode::Cold)));
        assert_eq!(chosen(&fleet, &ask(Some("a"), true, None, Some("large"))), Ok(("a".to_owned(), MoveMode::Cold)));
    }

    #[test]
    fn a_host_that_cannot_take_it_is_refused_with_numbers_and_a_mode_beyond_its_mobility_by_name() {
        let fleet = fleet("cold");
        let refused = chosen(&fleet, &ask(Some("c"), false, None, None)).expect_err("c is full");
        assert!(refused.iter().any(|why| why.contains("the best has 10 MiB (c)")), "{refused:?}");
        let refused = chosen(&fleet, &ask(None, false, Some(MoveMode::Live), None)).expect_err("it is cold");
        assert_eq!(refused, ["its mobility in the fleet is cold, which a live move goes beyond"]);
    }
}
