//! The door of a request: every name it uses is known to the fleet, every number is in range.

use std::collections::BTreeSet;

use decant_schema::finding::{Finding, Place};
use decant_schema::fleet::Fleet;
use decant_schema::nearest::nearest;
use decant_schema::plan::TierName;
use decant_schema::request::{Options, Request, RequestKind, Resize, RollingOptions};

/// Every error of a request about a fleet; none if it can be planned.
pub fn admit(fleet: &Fleet, request: &Request) -> Vec<Finding> {
    let mut findings = Vec::new();
    match &request.kind {
        RequestKind::Evacuate { hosts } => evacuated(fleet, hosts, &mut findings),
        RequestKind::Resize { resizes } => resized(fleet, resizes, &mut findings),
        RequestKind::Rolling { hosts, rounds } => {
            evacuated(fleet, hosts, &mut findings);
            rolling(rounds, &mut findings);
        }
    }
    options(fleet, &request.options, &mut findings);
    findings
}

fn evacuated(fleet: &Fleet, hosts: &BTreeSet<decant_schema::id::HostName>, findings: &mut Vec<Finding>) {
    if hosts.is_empty() {
        findings.push(finding("hosts", "no host is named", "name at least one host to empty"));
    }
    for host in hosts {
        known_host(fleet, "hosts", host.as_str(), findings);
    }
}

fn resized(fleet: &Fleet, resizes: &[Resize], findings: &mut Vec<Finding>) {
    if resizes.is_empty() {
        findings.push(finding("resizes", "no instance is named", "name an instance and its new flavor"));
    }
    let mut seen = BTreeSet::new();
    for (at, Resize { instance, flavor }) in resizes.iter().enumerate() {
        known_instance(fleet, &format!("resizes[{at}].instance"), instance.as_str(), findings);
        if fleet.flavor_index(flavor.as_str()).is_none() {
            let known = fleet.flavors().iter().map(|flavor| flavor.name.as_str());
            findings.push(unknown(&format!("resizes[{at}].flavor"), "flavor", flavor.as_str(), known));
        }
        if !seen.insert(instance) {
            let problem = format!("instance {instance} is resized twice");
            findings.push(finding(&format!("resizes[{at}].instance"), &problem, "give it one flavor"));
        }
    }
}

fn rolling(rounds: &RollingOptions, findings: &mut Vec<Finding>) {
    for (field, seconds) in [("rounds.window_s", rounds.window_s), ("rounds.outage_s", rounds.outage_s)] {
        not_negative(field, seconds, findings);
    }
    let mut open_from_s = 0.0;
    for (at, interval) in rounds.intervals.iter().enumerate() {
        let lies_well = open_from_s <= interval.from_s && interval.from_s < interval.until_s;
        if !lies_well || interval.until_s > rounds.window_s {
            let problem = format!("an interval from {} to {} seconds", interval.from_s, interval.until_s);
            let remedy = "give intervals in order, apart from each other, within the window";
            findings.push(finding(&format!("rounds.intervals[{at}]"), &problem, remedy));
        }
        open_from_s = interval.until_s;
    }
    if rounds.max_out == Some(0) {
        findings.push(finding("rounds.max_out", "no host may ever be out", "allow at least 1"));
    }
}

fn options(fleet: &Fleet, options: &Options, findings: &mut Vec<Finding>) {
    for host in &options.exclude_hosts {
        known_host(fleet, "options.exclude_hosts", host.as_str(), findings);
    }
    for instance in &options.pins {
        known_instance(fleet, "options.pins", instance.as_str(), findings);
    }
    if !(0.0..=100.0).contains(&options.headroom_percent) {
        let problem = format!("a headroom of {} percent", options.headroom_percent);
        findings.push(finding("options.headroom_percent", &problem, "give a share from 0 to 100 percent"));
    }
    if let Some(seconds) = options.window_s {
        not_negative("options.window_s", seconds, findings);
    }
    goals(options, findings);
}

/// Who is moved comes before how: a plan that refuses everybody is the quickest, and leaves all as even as it is.
fn goals(options: &Options, findings: &mut Vec<Finding>) {
    let mut seen = BTreeSet::new();
    if options.tier_order.iter().any(|goal| !seen.insert(goal)) {
        findings.push(finding("options.tier_order", "a goal is named twice", "name each goal at most once"));
    } else if [TierName::DurationS, TierName::Imbalance].iter().any(|goal| options.rank(*goal) < 2) {
        let problem = "time or balance comes before who is refused and who makes room";
        let remedy = "name refused and displaced first; duration and imbalance may follow in either order";
        findings.push(finding("options.tier_order", problem, remedy));
    }
}

fn known_host(fleet: &Fleet, field: &str, name: &str, findings: &mut Vec<Finding>) {
    if fleet.host_index(name).is_none() {
        findings.push(unknown(field, "host", name, fleet.hosts().iter().map(|host| host.name.as_str())));
    }
}

fn known_instance(fleet: &Fleet, field: &str, id: &str, findings: &mut Vec<Finding>) {
    if fleet.instance_index(id).is_none() {
        findings.push(unknown(field, "instance", id, fleet.instances().iter().map(|instance| instance.id.as_str())));
    }
}

fn unknown<'a>(field: &str, what: &str, name: &str, known: impl Iterator<Item = &'a str>) -> Finding {
    let remedy = match nearest(name, known) {
        Some(candidate) => format!("did you mean {candidate}?"),
        None => format!("use the name of a {what} of the fleet"),
    };
    finding(field, &format!("{what} {name} is not in the fleet"), &remedy)
}

fn not_negative(field: &str, seconds: f64, findings: &mut Vec<Finding>) {
    if !(seconds.is_finite() && seconds >= 0.0) {
        findings.push(finding(field, &format!("a length of {seconds} seconds"), "give 0 or more"));
    }
}

fn finding(field: &str, problem: &str, remedy: &str) -> Finding {
    let place = Place { field: field.to_owned(), line_column: None };
    Finding { place, problem: problem.to_owned(), remedy: remedy.to_owned() }
}

#[cfg(test)]
mod tests {
    use decant_schema::fleet::FleetDocument;

    use super::*;

    fn fleet() -> Fleet {
        let text = r#"{"format":"decant.fleet/1","captured_at":"2026-01-01T00:00:00Z","hosts":[
            {"name":"cmp-01","inventory":{}}]}"#;
        let document: FleetDocument = serde_json::from_str(text).expect("a fleet document");
        Fleet::from_document(document).expect("a fleet")
    }

    #[test]
    fn every_unknown_name_and_number_is_found_at_once() {
        let request = Request {
            kind: RequestKind::Evacuate { hosts: ["cmp-01".into(), "cmp-O1".into()].into() },
            options: Options {
                headroom_percent: f64::NAN,
                pins: ["nobody".into()].into(),
                window_s: Some(-1.0),
                ..Options::default()
            },
        };
        let fields: Vec<String> = admit(&fleet(), &request).into_iter().map(|finding| finding.place.field).collect();
        assert_eq!(fields, ["hosts", "options.pins", "options.headroom_percent", "options.window_s"]);
    }

    #[test]
    fn time_and_balance_do_not_come_before_who_is_moved() {
        use TierName::{DisplacedMemoryMb, DurationS, Imbalance, Refused};
        let found = |order: &[TierName]| {
            let options = Options { tier_order: order.to_vec(), ..Options::default() };
            let kind = RequestKind::Evacuate { hosts: ["cmp-01".into()].into() };
            admit(&fleet(), &Request { kind, options }).len()
        };
        for fine in [&[][..], &[DisplacedMemoryMb], &[Refused, DisplacedMemoryMb, Imbalance]] {
            assert_eq!(found(fine), 0, "{fine:?}");
        }
        for wrong in [&[DurationS][..], &[Refused, Imbalance], &[Imbalance, Refused], &[Refused, Refused]] {
            assert_eq!(found(wrong), 1, "{wrong:?}");
        }
    }

    #[test]
    fn a_slip_is_met_with_the_name_that_was_meant() {
        let request =
            Request { kind: RequestKind::Evacuate { hosts: ["cmp-O1".into()].into() }, options: Options::default() };
        assert_eq!(admit(&fleet(), &request)[0].remedy, "did you mean cmp-01?");
    }
}
