//! Conflicts that can be seen at a glance, fixes whose figures can be worked out, and brute force on tiny fleets.

use std::sync::Arc;

use decant_schema::fleet::{Fleet, FleetDocument};
use decant_schema::plan::{Conflict, Fix};
use decant_schema::request::Request;

use super::*;
use crate::small_fleet::{document, evacuate, fleet, memory_class, random};
use crate::{ordering, placement};

fn refusals_of(document: FleetDocument, request: Request) -> (Problem, Vec<Refusal>) {
    let problem = Problem::new(fleet(document), request);
    let placement = placement::place(&problem, &Limits::UNTIMED, &[]).placement;
    let schedule = ordering::order(&problem, &placement, &Limits::UNTIMED).expect("an order");
    let mut refusals = explain_all(&problem, &schedule.placement);
    add_remedies(&problem, &schedule, &[], &mut refusals, &Limits::UNTIMED);
    (problem, refusals)
}

fn ids(conflict: &Conflict) -> Vec<&str> {
    conflict.instances.iter().map(|id| id.as_str()).collect()
}

#[test]
fn displacement_is_offered_where_it_helps() {
    let document = document(
        &[("a", 100), ("b", 100), ("c", 100)],
        &[("big", "a", 60), ("x", "b", 25), ("y", "b", 25), ("z", "c", 25), ("w", "c", 25)],
    );
    let mut request = evacuate(&["a"]);
    request.options.no_displace = true;
    let (_, refusals) = refusals_of(document, request);
    let expected = Fix::AllowDisplacement { displaced_mb: decant_schema::units::mib(25) };
    assert_eq!(refusals[0].fixes[0], expected);
    let conflict = refusals[0].conflict.as_ref().expect("a conflict of one instance");
    assert_eq!((ids(conflict), conflict.irreducible), (vec!["big"], true));
    assert_eq!(conflict.rules[0].subject.as_deref(), Some("no third party may move"));
}

#[test]
fn two_that_fit_alone_conflict_and_the_missing_room_is_the_fix() {
    let document = document(&[("a", 200), ("b", 100)], &[("i", "a", 60), ("j", "a", 60), ("k", "a", 10)]);
    let (_, refusals) = refusals_of(document, evacuate(&["a"]));
    assert_eq!(refusals.len(), 1);
    let conflict = refusals[0].conflict.as_ref().expect("a conflict of two instances");
    assert_eq!((ids(conflict), conflict.irreducible), (vec!["i", "j"], true));
    let amounts = [(memory_class(), 30)].into();
    assert!(refusals[0].fixes.contains(&Fix::FreeRoom { host: "b".into(), amounts }), "{:?}", refusals[0].fixes);
    assert!(refusals[0].fixes.contains(&Fix::AddHost { like: "b".into() }));
}

#[test]
fn pins_closed_hosts_headroom_and_groups_are_tried() {
    let mut closed = document(&[("a", 100), ("b", 100)], &[("i", "a", 60)]);
    closed.hosts[1].enabled = false;
    let (_, refusals) = refusals_of(closed, evacuate(&["a"]));
    assert_eq!(refusals[0].fixes[0], Fix::AdmitHost { host: "b".into() });

    let mut pinned = document(&[("a", 100), ("b", 100)], &[("i", "a", 60)]);
    pinned.instances[0].pinned = true;
    let (_, refusals) = refusals_of(pinned, evacuate(&["a"]));
    assert_eq!(refusals[0].fixes, [Fix::Unpin { instance: "i".into() }]);

    let mut request = evacuate(&["a"]);
    request.options.headroom_percent = 48.0;
    let (_, refusals) = refusals_of(document(&[("a", 100), ("b", 100)], &[("i", "a", 60)]), request);
    assert_eq!(refusals[0].fixes[0], Fix::LowerHeadroom { percent: 40.0 });
}

#[test]
fn a_pinned_third_party_in_the_way_is_offered_to_be_unpinned() {
    let mut document =
        document(&[("a", 100), ("b", 100), ("c", 40)], &[("i", "a", 60), ("x", "b", 35), ("y", "b", 35)]);
    document.instances[1].pinned = true;
    document.instances[2].mobility = decant_schema::fleet::Mobility::None;
    document.instances[2].pinned_reason = Some("a local device".into());
    let (_, refusals) = refusals_of(document, evacuate(&["a"]));
    assert_eq!(refusals[0].fixes[0], Fix::Unpin { instance: "x".into() });
}

#[test]
fn no_more_room_is_asked_for_than_does_where_others_make_way() {
    // On b 40 are missing for i; with x on c it is 10.
    let document = document(&[("a", 100), ("b", 100), ("c", 30)], &[("i", "a", 80), ("x", "b", 30), ("y", "b", 30)]);
    let (_, refusals) = refusals_of(document, evacuate(&["a"]));
    let amounts = |fix: &Fix| if let Fix::FreeRoom { amounts, .. } = fix { Some(amounts.clone()) } else { None };
    let freed = refusals[0].fixes.iter().find_map(amounts).expect("room to be freed");
    assert_eq!(freed, [(memory_class(), 10)].into());
}

/// Whether all members find a place at once, every other instance staying: every assignment is tried.
fn fit_by_brute_force(problem: &Problem, members: &[InstanceIdx], free: &mut [Vec<i64>]) -> bool {
    let Some((first, rest)) = members.split_first() else { return true };
    let need = problem.kind(*first).need.clone();
    (0..free.len()).any(|host| {
        let takes = problem.admits(*first, HostIdx::new(host))
            && need.iter().zip(&free[host]).all(|(need, free)| *need == 0 || need <= free);
        takes && {
            free[host].iter_mut().zip(&need).for_each(|(free, need)| *free -= need);
            let fits = fit_by_brute_force(problem, rest, free);
            free[host].iter_mut().zip(&need).for_each(|(free, need)| *free += need);
            fits
        }
    })
}

#[test]
fn conflicts_are_irreducible_by_brute_force() {
    let mut seen = 0;
    for seed in 0..60 {
        let mut document = random(seed);
        document.server_groups.clear();
        document.hosts.iter_mut().for_each(|host| host.enabled = true);
        let emptied = document.hosts[0].name.clone();
        document.instances.iter_mut().for_each(|instance| instance.pinned = instance.host != emptied);
        let (problem, refusals) = refusals_of(document, evacuate(&[emptied.as_str()]));
        for conflict in refusals.iter().filter_map(|refusal| refusal.conflict.as_ref()).filter(|c| c.irreducible) {
            seen += 1;
            let members: Vec<InstanceIdx> = conflict
                .instances
                .iter()
                .map(|id| InstanceIdx::new(problem.fleet.instance_index(id.as_str()).expect("a known instance")))
                .collect();
            let mut free: Vec<Vec<i64>> = problem.hosts.iter().map(|host| host.free.to_vec()).collect();
            assert!(!fit_by_brute_force(&problem, &members, &mut free), "seed {seed}: {conflict:?} is none");
            for without in 0..members.len() {
                let mut fewer = members.clone();
                fewer.remove(without);
                assert!(fit_by_brute_force(&problem, &fewer, &mut free), "seed {seed}: {conflict:?} is reducible");
            }
        }
    }
    assert!(seen > 0, "no fleet by chance had a conflict");
    println!("{seen} conflicts");
}

#[test]
fn conflicts_are_found_among_many_hosts_and_shared_by_those_alike() {
    let full: Vec<String> = (0..400).map(|at| format!("full{at}")).collect();
    let mut hosts = vec![("a", 500), ("b", 100), ("c", 100), ("d", 100)];
    hosts.extend(full.iter().map(|name| (name.as_str(), 100)));
    let stays: Vec<String> = (0..400).map(|at| format!("stays{at}")).collect();
    let large = ["l0", "l1", "l2", "l3", "l4", "l5", "l6"];
    let mut instances: Vec<(&str, &str, u64)> = large.iter().map(|id| (*id, "a", 50)).collect();
    instances.extend([("s0", "a", 1), ("s1", "a", 1)]);
    instances.extend(stays.iter().zip(&full).map(|(id, host)| (id.as_str(), host.as_str(), 100)));
    let (_, refusals) = refusals_of(document(&hosts, &instances), evacuate(&["a"]));
    // The three open hosts take six large ones and nothing else, or five and both small ones: two large ones stay. Those
    // with six others conflict, whatever becomes of the small ones, which are left out first.
    assert_eq!(refusals.len(), 2);
    for refusal in &refusals {
        let conflict = refusal.conflict.as_ref().expect("a conflict");
        let count = |letter: char| ids(conflict).iter().filter(|id| id.starts_with(letter)).count();
        assert!(conflict.irreducible && conflict.instances.contains(&refusal.instance), "{conflict:?}");
        assert_eq!((count('l'), count('s'), conflict.instances.len()), (7, 0, 7), "{conflict:?}");
        let prices = conflict.certificate.iter().flat_map(|certificate| &certificate.pools[0].prices);
        let priced: Vec<&str> = prices.map(|price| price.like.as_str()).collect();
        let left = |id: &&str| ids(conflict).contains(id) || stays.iter().any(|stays| stays == id);
        assert!(!priced.is_empty() && priced.iter().all(left), "{priced:?}");
    }
}

#[test]
fn who_is_like_another_but_for_what_keeps_him_has_a_conflict_of_his_own() {
    let mut document = document(&[("a", 100), ("b", 100)], &[("i", "a", 10), ("j", "a", 10), ("k", "a", 10)]);
    document.instances[0].pinned = true;
    document.instances[1].pinned = true;
    document.instances[2].mobility = decant_schema::fleet::Mobility::None;
    let (_, refusals) = refusals_of(document, evacuate(&["a"]));
    let rules = |refusal: &Refusal| {
        let rules = refusal.conflict.as_ref().map(|conflict| conflict.rules.clone()).unwrap_or_default();
        rules.into_iter().filter_map(|rule| rule.subject).collect::<Vec<String>>()
    };
    assert_eq!(refusals.iter().map(rules).collect::<Vec<_>>(), [vec!["i".to_owned()], vec!["j".to_owned()], vec![]]);
}

#[test]
fn every_fix_holds_when_it_is_planned_from_the_fleet_it_describes() {
    let document = document(&[("a", 200), ("b", 100)], &[("i", "a", 60), ("j", "a", 60)]);
    let (_, refusals) = refusals_of(document.clone(), evacuate(&["a"]));
    let Some(Fix::FreeRoom { amounts, .. }) = refusals[0].fixes.iter().find(|fix| matches!(fix, Fix::FreeRoom { .. }))
    else {
        panic!("{refusals:?}")
    };
    for (given, refused) in [(amounts[&memory_class()], 0), (amounts[&memory_class()] - 1, 1)] {
        let mut larger = document.clone();
        larger.hosts[1].inventory.entry(memory_class()).and_modify(|inventory| inventory.total += given);
        let problem = Problem::new(Arc::new(Fleet::from_document(larger).expect("a fleet")), evacuate(&["a"]));
        assert_eq!(placement::place(&problem, &Limits::UNTIMED, &[]).refused.value, refused);
    }
}
