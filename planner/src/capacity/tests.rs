//! Small fleets whose report can be worked out by hand.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use decant_schema::fleet::{FleetDocument, GroupPolicy};
use decant_schema::plan::RuleName;
use decant_schema::report::Change;

use super::*;
use crate::placement;
use crate::small_fleet::{document, evacuate, fleet, group, inventory};

fn report_of(document: FleetDocument) -> CapacityReport {
    report(fleet(document), Options::default(), &Limits::UNTIMED)
}

fn verdict<'a>(report: &'a CapacityReport, host: &str) -> &'a Emptying {
    &report.hosts.iter().find(|known| known.name.as_str() == host).unwrap().emptying
}

#[test]
fn usage_and_headroom_add_up() {
    let mut document = document(&[("a", 100), ("b", 50)], &[("i", "a", 60), ("j", "b", 20)]);
    document.hosts[0].other_usage.insert("MEMORY_MB".into(), 10);
    let report = report_of(document);
    assert_eq!(report.hosts[0].usage["MEMORY_MB"], 70);
    assert_eq!(report.hosts[0].headroom["MEMORY_MB"], 30);
    let total = &report.classes[0];
    assert_eq!((total.capacity, total.usage, total.headroom), (150, 90, 60));
}

#[test]
fn a_host_is_empty_or_emptied_directly_or_by_displacing_or_not() {
    let report = report_of(document(
        &[("a", 100), ("b", 100), ("c", 100), ("d", 100)],
        &[("big", "a", 60), ("x", "b", 30), ("y", "b", 30), ("z", "c", 30), ("w", "c", 30)],
    ));
    assert_eq!(*verdict(&report, "d"), Emptying::Empty);
    assert_eq!(*verdict(&report, "a"), Emptying::WithoutDisplacing);

    let report = report_of(document(
        &[("a", 100), ("b", 100), ("c", 100)],
        &[("big", "a", 60), ("x", "b", 25), ("y", "b", 25), ("z", "c", 25), ("w", "c", 25)],
    ));
    assert!(
        matches!(verdict(&report, "a"), Emptying::WithDisplacement { displaced_mb, .. } if displaced_mb.count() == 25)
    );

    let report = report_of(document(&[("a", 100), ("b", 100)], &[("big", "a", 60), ("x", "b", 70)]));
    let Emptying::Not { refused, binding, shortfall, .. } = verdict(&report, "a") else { panic!("{report:?}") };
    assert_eq!((*refused, binding.rule, *shortfall), (1, RuleName::Capacity, Some(30)));
}

#[test]
fn a_host_with_a_pinned_instance_cannot_be_emptied_but_may_fail() {
    let mut document = document(&[("a", 100), ("b", 100)], &[("i", "a", 10)]);
    document.instances[0].pinned = true;
    let report = report_of(document);
    assert!(matches!(verdict(&report, "a"), Emptying::Not { binding, .. } if binding.rule == RuleName::Pinned));
    assert_eq!((report.failures.hosts, report.failures.survivable), (1, 1));
}

#[test]
fn as_many_hosts_may_fail_as_the_rest_can_take() {
    let hosts = [("a", 100), ("b", 100), ("c", 100), ("d", 100)];
    let half = report_of(document(&hosts, &[("i", "a", 50), ("j", "b", 50), ("k", "c", 50), ("l", "d", 50)]));
    assert_eq!((half.failures.spare_hosts, half.failures.spare_hosts_tried), (2, 3));
    assert_eq!(half.failures.fatal.len(), 3);
    let tight = report_of(document(&hosts, &[("i", "a", 60), ("j", "b", 60), ("k", "c", 60), ("l", "d", 10)]));
    assert_eq!((tight.failures.survivable, tight.failures.spare_hosts), (4, 1));
    let full = report_of(document(&hosts, &[("i", "a", 60), ("j", "b", 60), ("k", "c", 60), ("l", "d", 60)]));
    assert_eq!((full.failures.survivable, full.failures.spare_hosts), (0, 0));
    assert_eq!(full.failures.blocking.len(), 4);
}

#[test]
fn headroom_beside_a_full_class_is_stranded() {
    let mut document = document(&[("a", 100), ("b", 100)], &[("i", "a", 100), ("j", "b", 50)]);
    for host in &mut document.hosts {
        host.inventory.insert("VCPU".into(), inventory(10));
    }
    for flavor in &mut document.flavors {
        flavor.resources.insert("VCPU".into(), 4);
    }
    let report = report_of(document);
    assert_eq!(report.stranded.len(), 1);
    assert_eq!(report.stranded[0].full.as_str(), "MEMORY_MB");
    assert_eq!(report.stranded[0].headroom, [("VCPU".into(), 6)].into());
    let rooms: Vec<_> = report.flavors.iter().map(|room| (room.flavor.as_str(), room.present, room.more)).collect();
    assert_eq!(rooms, [("m100", 1, 0), ("m50", 1, 1)]);
}

#[test]
fn a_host_more_a_host_less_and_growth_are_tried() {
    let report =
        report_of(document(&[("a", 100), ("b", 100), ("c", 100)], &[("i", "a", 60), ("j", "b", 50), ("k", "c", 10)]));
    let of = |wanted: fn(&Change) -> bool| report.what_if.iter().find(|what| wanted(&what.change)).unwrap();
    let more = of(|change| matches!(change, Change::OneMore { .. }));
    assert_eq!((more.emptied_directly_now, more.emptied_directly), (3, Some(3)));
    assert_eq!(more.more["m50"], 4);
    let less = of(|change| matches!(change, Change::OneLess { .. }));
    assert!(matches!(&less.change, Change::OneLess { host } if host.as_str() == "c"));
    assert_eq!((less.fits, less.emptied_directly), (true, Some(0)));
    let growth = of(|change| matches!(change, Change::Growth { flavor, .. } if flavor.as_str() == "m60"));
    assert_eq!((growth.fits, growth.emptied_directly), (true, Some(0)));
}

/// Counted on copies of the numbers, against reporting on a fleet that has the host.
#[test]
fn a_host_more_empties_as_many_as_in_a_fleet_that_has_it() {
    for seed in 0..8 {
        let document = crate::small_fleet::random(seed);
        for what in report_of(document.clone()).what_if {
            let Change::OneMore { like, .. } = what.change else { continue };
            let mut larger = document.clone();
            let mut twin = document.hosts.iter().find(|host| host.name == like).unwrap().clone();
            twin.name = "twin".into();
            larger.hosts.push(twin);
            let hosts = report_of(larger).hosts;
            let old = hosts.iter().filter(|host| host.name.as_str() != "twin" && is_direct(&host.emptying));
            assert_eq!(what.emptied_directly, Some(old.count() as u64), "seed {seed}, one more like {like}");
        }
    }
}

#[test]
fn a_group_is_never_put_together_by_a_direct_fit() {
    let mut document = document(&[("a", 100), ("b", 100)], &[("i", "a", 10), ("j", "b", 10)]);
    document.server_groups = vec![group("spread", GroupPolicy::AntiAffinity, &["i", "j"])];
    let report = report_of(document);
    assert!(matches!(verdict(&report, "a"), Emptying::Not { binding, .. } if binding.rule == RuleName::AntiAffinity));
    assert_eq!(report.failures.survivable, 0);
}

/// The shortcut (one shared problem, direct fit, a copy where that fails) against planning each host from scratch.
#[test]
fn every_verdict_is_that_of_planning_the_host_from_scratch() {
    for seed in 0..40 {
        let fleet = fleet(crate::small_fleet::random(seed));
        let report = report(Arc::clone(&fleet), Options::default(), &Limits::UNTIMED);
        for host in &report.hosts {
            let problem = Problem::new(Arc::clone(&fleet), evacuate(&[host.name.as_str()]));
            let placed = placement::place(&problem, &Limits::UNTIMED, &[]);
            let as_told = match &host.emptying {
                Emptying::Empty => placed.placement == problem.standing(),
                Emptying::WithoutDisplacing => placed.refused.bound == 0 && placed.displaced.bound == 0,
                Emptying::WithDisplacement { displaced_mb, .. } => {
                    placed.refused.bound == 0 && placed.displaced.bound <= displaced_mb.count()
                }
                Emptying::Not { refused_bound, .. } => placed.refused.value >= *refused_bound,
                Emptying::Unknown { .. } => false,
            };
            assert!(as_told, "seed {seed}, host {}: {:?} but {placed:?}", host.name, host.emptying);
        }
    }
}

#[test]
fn the_same_fleet_gives_the_same_report() {
    let fleet = fleet(crate::small_fleet::random(7));
    let again = || report(Arc::clone(&fleet), Options::default(), &Limits::UNTIMED);
    assert_eq!(again(), again());
}
