//! Two or three hosts, one instance that stays, and the reason it must give.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use decant_schema::fleet::{FleetDocument, GroupPolicy, Mobility};
use decant_schema::request::{Options, Request, RequestKind, Resize};

use super::*;
use crate::small_fleet::{document, evacuate, fleet, group, inventory};

/// The refusal of an instance when everything else stays where it is.
fn refusal_of(document: FleetDocument, request: Request, instance: &str) -> Refusal {
    let problem = Problem::new(fleet(document), request);
    let refused = InstanceIdx::new(problem.fleet.instance_index(instance).unwrap());
    let placement = Placement { refused: vec![refused], ..problem.standing() };
    explain(&problem, &placement, refused)
}

/// `rule class hosts/in all need best best_host subject`, with `-` for what is not given.
fn lines(refusal: &Refusal) -> Vec<String> {
    fn or_dash<T: ToString>(value: Option<&T>) -> String {
        value.map_or("-".to_owned(), ToString::to_string)
    }
    let line = |reason: &Reason| {
        format!(
            "{:?} {} {}/{} need {} best {} on {} of {}",
            reason.rule,
            or_dash(reason.class.as_ref()),
            reason.hosts,
            reason.hosts_in_all,
            or_dash(reason.need.as_ref()),
            or_dash(reason.best.as_ref()),
            or_dash(reason.best_host.as_ref()),
            or_dash(reason.subject.as_ref()),
        )
    };
    refusal.reasons.iter().map(line).collect()
}

#[test]
fn capacity_names_the_best_near_miss() {
    let document = document(&[("a", 100), ("b", 100), ("c", 100)], &[("i", "a", 60), ("x", "b", 50), ("y", "c", 70)]);
    let refusal = refusal_of(document, evacuate(&["a"]), "i");
    assert_eq!(lines(&refusal), ["Capacity MEMORY_MB 2/2 need 60 best 50 on b of -"]);
    assert_eq!(refusal.would_fit.unwrap(), "one more host with 60 MEMORY_MB headroom; or 10 MEMORY_MB more on b");
}

#[test]
fn every_class_that_is_short_is_counted_and_the_first_one_counts_the_host() {
    let mut document = document(&[("a", 100), ("b", 100)], &[("i", "a", 60), ("x", "b", 50)]);
    for host in &mut document.hosts {
        host.inventory.insert("VCPU".into(), inventory(4));
    }
    for flavor in &mut document.flavors {
        flavor.resources.insert("VCPU".into(), 3);
    }
    let refusal = refusal_of(document, evacuate(&["a"]), "i");
    assert_eq!(lines(&refusal), ["Capacity MEMORY_MB 1/1 need 60 best 50 on b of -"]);
    let fit = "one more host with 60 MEMORY_MB and 3 VCPU headroom; or 10 MEMORY_MB and 2 VCPU more on b";
    assert_eq!(refusal.would_fit.unwrap(), fit);
}

#[test]
fn each_host_is_counted_once_under_the_first_rule() {
    let mut document = document(
        &[("a", 100), ("b", 100), ("c", 100), ("d", 40), ("e", 100), ("f", 100), ("g", 100)],
        &[("i", "a", 60), ("x", "b", 70), ("y", "g", 1)],
    );
    document.hosts[2].enabled = false;
    document.hosts[4].up = false;
    document.hosts[5].zone = Some("az2".into());
    for at in [0, 1, 2, 3, 4, 6] {
        document.hosts[at].zone = Some("az1".into());
    }
    document.instances[0].zone = Some("az1".into());
    let mut request = evacuate(&["a", "g"]);
    request.options.exclude_hosts.insert("b".into());
    let refusal = refusal_of(document, request, "i");
    assert_eq!(
        lines(&refusal),
        [
            "Evacuated - 1/1 need - best - on - of -",
            "Excluded - 1/1 need - best - on - of -",
            "HostDown - 1/1 need - best - on - of -",
            "HostDisabled - 1/1 need - best - on - of -",
            "Zone - 1/1 need - best - on - of az1",
            "Size MEMORY_MB 1/1 need 60 best 40 on d of -",
        ]
    );
    assert_eq!(refusal.would_fit.unwrap(), "one more host with 60 MEMORY_MB headroom in az1");
}

#[test]
fn what_the_flavor_asks_is_named() {
    let mut document = document(&[("a", 9), ("b", 9), ("c", 9), ("d", 9), ("e", 9), ("f", 9)], &[("i", "a", 4)]);
    document.flavors[0].required_aggregates = ["ssd".into()].into();
    document.flavors[0].required_traits = ["AVX2".into()].into();
    document.flavors[0].forbidden_traits = ["SLOW".into()].into();
    document.instances[0].storage = Some("ceph".into());
    for host in &mut document.hosts {
        host.aggregates = ["ssd".into()].into();
        host.traits = ["AVX2".into()].into();
        host.storage = ["ceph".into()].into();
        host.hypervisor_version = Some(8);
    }
    document.hosts[1].aggregates.clear();
    document.hosts[2].traits.clear();
    document.hosts[3].traits.insert("SLOW".into());
    document.hosts[4].storage.clear();
    document.hosts[5].hypervisor_version = Some(7);
    let refusal = refusal_of(document, evacuate(&["a"]), "i");
    assert_eq!(
        lines(&refusal),
        [
            "Aggregate - 1/1 need - best - on - of ssd",
            "RequiredTrait - 1/1 need - best - on - of AVX2",
            "ForbiddenTrait - 1/1 need - best - on - of SLOW",
            "Storage - 1/1 need - best - on - of ceph",
            "HypervisorVersion - 1/1 need 8 best 7 on f of 8",
        ]
    );
    let fit = "one more host with 4 MEMORY_MB headroom of aggregate ssd with trait AVX2 without trait SLOW \
               mounting ceph of hypervisor version 8 or newer";
    assert_eq!(refusal.would_fit.unwrap(), fit);
}

#[test]
fn a_fleet_of_one_host_is_a_reason_too() {
    let document = document(&[("a", 100)], &[("i", "a", 60)]);
    assert_eq!(lines(&refusal_of(document, evacuate(&["a"]), "i")), ["Evacuated - 0/0 need - best - on - of -"]);
}

#[test]
fn headroom_is_told_from_capacity() {
    let document = document(&[("a", 100), ("b", 100)], &[("i", "a", 60), ("x", "b", 35)]);
    let mut request = evacuate(&["a"]);
    request.options.headroom_percent = 10.0;
    let refusal = refusal_of(document, request, "i");
    assert_eq!(lines(&refusal), ["Headroom MEMORY_MB 1/1 need 60 best 55 on b of -"]);
}

#[test]
fn an_amount_the_inventory_does_not_take_is_a_unit() {
    let mut document = document(&[("a", 100), ("b", 100)], &[("i", "a", 60)]);
    document.hosts[1].inventory.get_mut("MEMORY_MB").unwrap().max_unit = Some(50);
    assert_eq!(lines(&refusal_of(document, evacuate(&["a"]), "i")), ["Unit MEMORY_MB 1/1 need 60 best 50 on b of -"]);
}

#[test]
fn groups_are_named() {
    let mut both = document(
        &[("a", 100), ("b", 100), ("c", 100)],
        &[("i", "a", 10), ("x", "b", 10), ("y", "c", 10), ("z", "b", 10)],
    );
    both.server_groups = vec![
        group("pair", GroupPolicy::Affinity, &["i", "z"]),
        group("spread", GroupPolicy::AntiAffinity, &["i", "x"]),
    ];
    let refusal = refusal_of(both, evacuate(&["a"]), "i");
    assert_eq!(
        lines(&refusal),
        ["Affinity - 1/1 need - best - on - of pair", "AntiAffinity - 1/1 need - best - on - of spread"]
    );
}

#[test]
fn what_forbids_the_instance_to_move_rules_out_no_host() {
    let mut document = document(&[("a", 100), ("b", 100)], &[("i", "a", 10), ("j", "a", 10), ("k", "a", 10)]);
    document.instances[0].mobility = Mobility::None;
    document.instances[0].pinned_reason = Some("a GPU".to_owned());
    document.instances[1].pinned = true;
    let mut request = evacuate(&["a"]);
    request.options.pins.insert("k".into());
    let reasons = |id| lines(&refusal_of(document.clone(), request.clone(), id));
    assert_eq!(reasons("i"), ["Mobility - 0/0 need - best - on - of a GPU"]);
    assert_eq!(reasons("j"), ["Pinned - 0/0 need - best - on - of -"]);
    assert_eq!(reasons("k"), ["Pinned - 0/0 need - best - on - of the request"]);
}

#[test]
fn a_source_that_is_down_gives_only_what_shared_storage_holds() {
    let mut document = document(&[("a", 100), ("b", 100)], &[("i", "a", 10)]);
    document.hosts[0].up = false;
    let refusal = refusal_of(document, evacuate(&["a"]), "i");
    assert_eq!(lines(&refusal), ["SourceDown - 0/0 need - best - on - of local disk"]);
}

#[test]
fn a_resize_counts_its_own_host_by_the_growth() {
    let mut document = document(&[("a", 100), ("b", 100)], &[("i", "a", 60), ("x", "a", 30), ("y", "b", 25)]);
    document.flavors.push(document.flavors[0].clone());
    document.flavors[3].name = "m80".into();
    document.flavors[3].resources.insert("MEMORY_MB".into(), 80);
    let kind = RequestKind::Resize { resizes: vec![Resize { instance: "i".into(), flavor: "m80".into() }] };
    let resize = |document| refusal_of(document, Request { kind: kind.clone(), options: Options::default() }, "i");
    let refusal = resize(document.clone());
    assert_eq!(lines(&refusal), ["Capacity MEMORY_MB 2/2 need 80 best 75 on b of -"]);
    document.instances[0].pinned = true;
    assert_eq!(
        lines(&resize(document)),
        ["Pinned - 1/1 need - best - on - of -", "Capacity MEMORY_MB 1/1 need 20 best 10 on a of -"]
    );
}

#[test]
fn what_others_took_is_together_and_what_is_there_in_the_end_is_order() {
    let document = document(&[("a", 100), ("b", 100)], &[("i", "a", 60), ("j", "a", 50), ("x", "b", 20)]);
    let problem = Problem::new(fleet(document), evacuate(&["a"]));
    let (i, j, b) = (InstanceIdx::new(0), InstanceIdx::new(1), HostIdx::new(1));
    let mut placement = Placement { refused: vec![i], ..problem.standing() };
    placement.host[j.at()] = b;
    assert_eq!(lines(&explain(&problem, &placement, i)), ["Together MEMORY_MB 1/1 need 60 best 30 on b of -"]);
    let nobody = Placement { refused: vec![i, j], ..problem.standing() };
    assert_eq!(lines(&explain(&problem, &nobody, j)), ["Order - 1/1 need - best - on - of -"]);
}

#[test]
fn every_host_but_its_own_is_counted_once() {
    let hosts = [("a", 100), ("b", 100), ("c", 30), ("d", 100)];
    let document = document(&hosts, &[("i", "a", 60), ("x", "b", 50), ("y", "d", 70)]);
    let refusal = refusal_of(document, evacuate(&["a", "d"]), "i");
    assert_eq!(refusal.reasons.iter().map(|reason| reason.hosts).sum::<u64>(), 3);
}
