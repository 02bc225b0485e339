//! Placement against brute force on fleets small enough to try everything.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use decant_schema::fleet::{FleetDocument, GroupPolicy};
use decant_schema::plan::TierName;
use decant_schema::request::{Options, Request, RequestKind, Resize};
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::patterns::{Charge, Patterns};
use super::*;
use crate::problem::{self, Task};
use crate::small_fleet::{document, evacuate, fleet, group, inventory};

/// Refused and displaced, what placements are compared by.
type Value = (u64, u64);

#[test]
fn agrees_with_brute_force_on_random_evacuations() {
    for seed in 0..400 {
        agrees(seed, evacuation);
    }
}

#[test]
fn agrees_with_brute_force_on_random_resizes() {
    for seed in 0..300 {
        agrees(seed, resizes);
    }
}

#[test]
fn holds_on_fuller_fleets_that_are_too_large_to_try_everything() {
    for seed in 0..40 {
        let problem = crowded_problem(seed);
        let placed = place(&problem, &Limits::UNTIMED, &[]);
        let value = judge(&problem, &placed.placement.host, &placed.placement.refused);
        assert_eq!(value, Some((placed.refused.value, placed.displaced.value)), "seed {seed}");
        assert!(placed.refused.bound <= placed.refused.value, "seed {seed}");
        assert!(placed.displaced.bound <= placed.displaced.value, "seed {seed}");
        assert_eq!(place(&problem, &Limits::UNTIMED, &[]).placement, placed.placement, "seed {seed}: another answer");
    }
}

/// How many of three on the first host, bound by affinity, are refused after a change of the fleet.
fn refused_together(change: impl Fn(&mut FleetDocument)) -> TierBound {
    let hosts = [("a", 16), ("b", 16), ("c", 4)];
    let mut document = document(&hosts, &[("i", "a", 4), ("j", "a", 4), ("k", "a", 4), ("x", "b", 2)]);
    document.server_groups = vec![group("together", GroupPolicy::Affinity, &["i", "j", "k"])];
    change(&mut document);
    let problem = Problem::new(fleet(document), crate::small_fleet::evacuate(&["a"]));
    place(&problem, &Limits::UNTIMED, &[]).refused
}

#[test]
fn a_group_on_one_host_that_no_host_can_hold_is_proven_to_stay() {
    let all = |refused| TierBound { value: refused, bound: refused };
    assert_eq!(refused_together(|_| {}), all(0));
    assert_eq!(refused_together(|document| document.instances[0].pinned = true), all(3), "one of them cannot leave");
    assert_eq!(refused_together(|document| document.instances[3].pinned = true), all(0), "beside one that stays");
    let narrow = |document: &mut FleetDocument| document.hosts[1].other_usage = [("MEMORY_MB".into(), 5)].into();
    assert_eq!(refused_together(narrow), all(3), "not even if the third party left");
}

#[test]
fn a_group_on_several_hosts_needs_the_company_of_one() {
    let all = |refused| TierBound { value: refused, bound: refused };
    let joined = |document: &mut FleetDocument| document.server_groups[0].members.push("x".into());
    assert_eq!(refused_together(joined), all(0));
    let pinned = |document: &mut FleetDocument| {
        joined(document);
        document.instances[0].pinned = true;
    };
    assert_eq!(refused_together(pinned), all(1), "the others go where the fourth is");
}

#[test]
fn who_would_rather_refuse_displaces_nobody() {
    let document = document(&[("a", 8), ("b", 8), ("c", 8)], &[("i", "a", 8), ("j", "b", 2), ("k", "c", 2)]);
    let mut request = crate::small_fleet::evacuate(&["a"]);
    let displacing = place(&Problem::new(fleet(document.clone()), request.clone()), &Limits::UNTIMED, &[]);
    assert_eq!((displacing.refused.value, displacing.displaced.value), (0, 2));
    request.options.tier_order = vec![TierName::DisplacedMemoryMb];
    let refusing = place(&Problem::new(fleet(document), request), &Limits::UNTIMED, &[]);
    assert_eq!((refusing.refused, refusing.displaced.value), (TierBound { value: 1, bound: 1 }, 0));
}

#[test]
fn goes_to_the_quicker_host_or_the_emptier_one_as_the_goals_say() {
    let hosts = [("a", 16 << 10), ("quick", 16 << 10), ("empty", 16 << 10)];
    let mut document = document(&hosts, &[("i", "a", 4 << 10), ("j", "quick", 10 << 10)]);
    document.hosts[1].network_mbps = Some(decant_schema::units::mbps(100_000));
    document.hosts[2].network_mbps = Some(decant_schema::units::mbps(100));
    document.instances[0].local_disk_mb = decant_schema::units::mib(4 << 10);
    let target = |order: &[TierName]| {
        let mut request = crate::small_fleet::evacuate(&["a"]);
        request.options.tier_order = order.to_vec();
        let problem = Problem::new(fleet(document.clone()), request);
        let to = place(&problem, &Limits::UNTIMED, &[]).placement.host[0];
        problem.fleet.hosts()[to.at()].name.to_string()
    };
    assert_eq!(target(&[]), "quick");
    assert_eq!(target(&[TierName::Refused, TierName::DisplacedMemoryMb, TierName::Imbalance]), "empty");
}

#[test]
fn the_full_host_that_would_end_last_swaps_an_arrival_for_one_that_is_sooner_carried() {
    // Both targets have room for two of four alike; the two with large disks would do best apart.
    let moving = [("a", "e1", 8), ("b", "e2", 8), ("c", "e1", 8), ("d", "e2", 8)];
    let mut document = document(&[("e1", 16), ("e2", 16), ("x", 16), ("y", 16)], &moving);
    for (instance, disk) in document.instances.iter_mut().zip([100_000, 100_000, 1_000, 1_000]) {
        instance.local_disk_mb = decant_schema::units::mib(disk);
    }
    let problem = Problem::new(fleet(document), crate::small_fleet::evacuate(&["e1", "e2"]));
    let placed = place(&problem, &Limits::UNTIMED, &[]);
    let target = |id: &str| placed.placement.host[problem.fleet.instance_index(id).unwrap()];
    assert_ne!(target("a"), target("b"));
    assert_ne!(target("c"), target("d"));
}

#[test]
fn whoever_is_out_of_time_makes_room_all_the_same() {
    let document = document(&[("a", 8), ("b", 8), ("c", 8)], &[("i", "a", 8), ("j", "b", 2), ("k", "c", 2)]);
    let problem = Problem::new(fleet(document), crate::small_fleet::evacuate(&["a"]));
    let late = Limits::new(&|| Duration::ZERO, Some(Duration::ZERO));
    let placed = place(&problem, &late, &[]);
    assert_eq!((placed.refused.value, placed.displaced.value), (0, 2));
}

#[test]
fn who_refuses_more_need_not_displace_as_much() {
    let document = document(&[("a", 8), ("b", 8), ("c", 8)], &[("i", "a", 8), ("j", "b", 2), ("k", "c", 2)]);
    let problem = Problem::new(fleet(document), crate::small_fleet::evacuate(&["a"]));
    let placed = place(&problem, &Limits::UNTIMED, &[]);
    let refusing = [crate::problem::InstanceIdx::new(0)];
    assert_eq!((placed.displaced_bound(&problem, &[]), placed.displaced_bound(&problem, &refusing)), (2, 0));
}

#[test]
fn no_more_is_said_to_be_displaced_than_must_be_where_some_are_refused() {
    let (mut seen, mut met) = (0, 0);
    for seed in 0..3000 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut document = tiny(&mut random);
        let request = evacuation(&mut random, &mut document);
        let problem = Problem::new(fleet(document), request);
        let (refused, displaced) = least(&problem);
        let ground = Ground::new(&problem, HashSet::new());
        let [pool] = &pools::pools(&ground)[..] else { continue };
        if refused == 0 {
            continue;
        }
        let start = tally::Tally::new(&ground);
        let limits = Limits::UNTIMED;
        let patterns = Patterns::new(&start, pool, Charge::Displaced, true, &limits);
        let patterns = patterns.go_on(&start, pool, refused, &limits);
        let bound = patterns.proof().bound(refused);
        assert!(bound <= displaced, "seed {seed}: {bound} MiB is more than {displaced}");
        assert!(patterns.proof().bound(refused + 1) <= bound, "seed {seed}: who refuses more displaces more");
        seen += u32::from(displaced > 0);
        met += u32::from(displaced > 0 && bound == displaced);
    }
    println!("{met} of {seen} bounds are met");
    assert!(met > 0, "no bound is met");
}

#[test]
fn a_pool_that_cannot_take_all_refuses_the_fewest_and_displaces_the_least_for_that() {
    let mut random = ChaCha8Rng::seed_from_u64(3);
    let document = crowded(&mut random);
    let hosts = document.hosts.iter().take(5).map(|host| host.name.clone()).collect();
    let problem =
        Problem::new(fleet(document), Request { kind: RequestKind::Evacuate { hosts }, options: Options::default() });
    let placed = place(&problem, &Limits::UNTIMED, &[]);
    let value = judge(&problem, &placed.placement.host, &placed.placement.refused);
    assert_eq!(value, Some((placed.refused.value, placed.displaced.value)));
    assert!(placed.refused.value > 0);
    let proven = |tier: TierBound| tier.value == tier.bound;
    assert!(proven(placed.refused) && proven(placed.displaced), "{:?} {:?}", placed.refused, placed.displaced);
}

#[test]
fn no_third_party_is_refused_for_an_evacuee_that_is_alike() {
    // Were those on b refused with the one like them on a, three refusals would do.
    let small: Vec<String> = (0..6).map(|at| format!("s{at}")).collect();
    let mut instances = vec![("large", "a", 40), ("t0", "b", 40), ("t1", "b", 40)];
    instances.extend(small.iter().map(|id| (id.as_str(), "a", 10)));
    let document = document(&[("a", 100), ("b", 100)], &instances);
    let problem = Problem::new(fleet(document), evacuate(&["a"]));
    assert_eq!(bounded(&problem, u64::MAX, &Limits::UNTIMED).refused.bound, 5);
    assert_eq!(place(&problem, &Limits::UNTIMED, &[]).refused, TierBound { value: 5, bound: 5 });
}

/// `members` of an anti-affinity group, one on each host; the first is emptied.
fn one_on_each(hosts: usize, change: impl Fn(&mut FleetDocument)) -> TierBound {
    let hosts: Vec<String> = (0..hosts).map(|at| format!("h{at}")).collect();
    let members: Vec<String> = hosts.iter().map(|host| format!("on-{host}")).collect();
    let rooms: Vec<(&str, u64)> = hosts.iter().map(|host| (host.as_str(), 100)).collect();
    let instances: Vec<(&str, &str, u64)> =
        members.iter().zip(&hosts).map(|(member, host)| (member.as_str(), host.as_str(), 1)).collect();
    let mut document = document(&rooms, &instances);
    let names: Vec<&str> = members.iter().map(String::as_str).collect();
    document.server_groups = vec![group("apart", GroupPolicy::AntiAffinity, &names)];
    change(&mut document);
    let problem = Problem::new(fleet(document), evacuate(&["h0"]));
    let counted = bounded(&problem, 1, &Limits::UNTIMED);
    let placed = place(&problem, &Limits::UNTIMED, &[]);
    assert!(counted.refused.bound <= placed.refused.value);
    placed.refused
}

#[test]
fn a_group_with_a_member_on_every_host_is_counted_and_proven_to_stay() {
    assert_eq!(one_on_each(8, |_| {}), TierBound { value: 1, bound: 1 });
    // A host that nobody of the group is on.
    let without_one = |fleet: &mut FleetDocument| {
        fleet.instances.truncate(7);
        fleet.server_groups[0].members.truncate(7);
    };
    assert_eq!(one_on_each(8, without_one), TierBound { value: 0, bound: 0 });
    assert_eq!(one_on_each(8, |fleet| fleet.server_groups[0].max_per_host = 2), TierBound { value: 0, bound: 0 });
    // Two more on the emptied host, and one place elsewhere.
    let crowd = |fleet: &mut FleetDocument| {
        fleet.instances[1].host = "h0".into();
        fleet.instances[2].host = "h0".into();
        fleet.hosts[2].enabled = false;
    };
    assert_eq!(one_on_each(8, crowd), TierBound { value: 2, bound: 2 });
}

#[test]
fn a_third_party_that_may_make_way_keeps_a_place_for_itself() {
    // The member on h1 may go to h2, which the one to be moved may not: both have a place.
    let traits = |fleet: &mut FleetDocument| {
        fleet.hosts.truncate(3);
        fleet.instances.truncate(2);
        fleet.server_groups[0].members.truncate(2);
        fleet.instances[0].zone = Some("near".into());
        fleet.hosts[0].zone = Some("near".into());
        fleet.hosts[1].zone = Some("near".into());
    };
    assert_eq!(one_on_each(3, traits), TierBound { value: 0, bound: 0 });
}

#[test]
fn of_as_many_the_least_important_is_refused_even_where_that_displaces() {
    let hosts = [("e", 100), ("h1", 20), ("h2", 10)];
    let mut document = document(&hosts, &[("needed", "e", 20), ("other", "e", 10), ("third", "h1", 10)]);
    document.instances[0].priority = 5;
    let problem = Problem::new(fleet(document), evacuate(&["e"]));
    let placed = place(&problem, &Limits::UNTIMED, &[]);
    assert_eq!(placed.placement.refused, [InstanceIdx::new(1)]);
    assert_eq!(placed.displaced, TierBound { value: 10, bound: 10 });
}

#[test]
fn of_those_alike_but_for_their_priority_any_may_be_refused() {
    // Refusing the unimportant one of 30 is as good as refusing one of 20, and displaces less.
    let hosts = [("e", 100), ("h1", 50), ("h2", 20)];
    let instances = [("needed", "e", 30), ("spare", "e", 30), ("small", "e", 20), ("third", "h2", 20)];
    let mut document = document(&hosts, &instances);
    document.instances[0].priority = 5;
    let problem = Problem::new(fleet(document), evacuate(&["e"]));
    let placed = place(&problem, &Limits::UNTIMED, &[]);
    assert_eq!((placed.refused.value, placed.displaced), (1, TierBound { value: 0, bound: 0 }));
    let refused = placed.placement.refused[0].at();
    assert_eq!(problem.fleet.instances()[refused].id.as_str(), "spare");
}

#[test]
fn what_needs_nothing_takes_no_room_and_proves_nothing() {
    let hosts = [("e", 20), ("h1", 4)];
    let mut document = document(&hosts, &[("a", "e", 4), ("b", "e", 4), ("c", "e", 4)]);
    document.flavors.push(crate::small_fleet::flavor("nothing", [(crate::small_fleet::memory_class(), 0)].into()));
    for at in 0..20 {
        document.instances.push(crate::small_fleet::instance(&format!("n{at}"), "e", "nothing"));
    }
    let problem = Problem::new(fleet(document), evacuate(&["e"]));
    let placed = place(&problem, &Limits::UNTIMED, &[]);
    assert_eq!(placed.refused, TierBound { value: 2, bound: 2 });
}

#[test]
fn a_neighbourhood_decides_anew_where_those_go_that_have_a_place_already() {
    let document = document(&[("a", 20), ("b", 8), ("c", 4)], &[("i", "a", 8), ("j", "a", 4)]);
    let problem = Problem::new(fleet(document), crate::small_fleet::evacuate(&["a"]));
    let ground = Ground::new(&problem, HashSet::new());
    let pool = &pools::pools(&ground)[0];
    let (i, j, b, c) = (InstanceIdx::new(0), InstanceIdx::new(1), HostIdx::new(1), HostIdx::new(2));
    let mut in_the_way = tally::Tally::new(&ground);
    in_the_way.put(j, b);
    let scope = flow::Scope { hosts: &pool.hosts, asked: &pool.asked };
    let effort = Limits::UNTIMED.search(100, f64::NEG_INFINITY);
    let found = flow::decide(&in_the_way, &scope, flow::Goal::Refusals, 100, effort).tally.expect("a placement");
    assert_eq!((found.goes_to(i), found.goes_to(j)), (Some(b), Some(c)));
}

#[test]
fn soft_groups_are_served_where_it_costs_nothing() {
    let mut document = document(&[("a", 8), ("b", 8), ("c", 8)], &[("i", "a", 2), ("j", "a", 2)]);
    document.server_groups.push(group("g", GroupPolicy::SoftAntiAffinity, &["i", "j"]));
    let problem = Problem::new(fleet(document), crate::small_fleet::evacuate(&["a"]));
    let placed = place(&problem, &Limits::UNTIMED, &[]);
    assert_ne!(placed.placement.host[0], placed.placement.host[1]);
}

#[test]
fn a_no_good_is_never_placed_again() {
    let document = document(&[("a", 8), ("b", 8), ("c", 8)], &[("i", "a", 4)]);
    let problem = Problem::new(fleet(document), crate::small_fleet::evacuate(&["a"]));
    let first = place(&problem, &Limits::UNTIMED, &[]);
    let instance = InstanceIdx::new(0);
    let no_good = NoGood { assignments: vec![(instance, first.placement.host[0])] };
    let second = place(&problem, &Limits::UNTIMED, &[no_good]);
    assert_ne!(first.placement.host[0], second.placement.host[0]);
    assert_eq!(second.refused, TierBound { value: 0, bound: 0 });
}

#[test]
fn what_was_not_proven_is_mended_around_a_no_good() {
    let mut mended = 0;
    for seed in 0..40 {
        let problem = crowded_problem(seed);
        let mut first = place(&problem, &Limits::UNTIMED, &[]);
        let Some((instance, host)) = first.pools.iter().flat_map(|pool| &pool.moved).next().copied() else { continue };
        for pool in &mut first.pools {
            // As if it were not known that there is none better.
            pool.displaced.value += 1;
        }
        let no_good = NoGood { assignments: vec![(instance, host)] };
        let second = place_again(&problem, &Limits::UNTIMED, &[no_good], &first);
        let value = judge(&problem, &second.placement.host, &second.placement.refused);
        assert_eq!(value, Some((second.refused.value, second.displaced.value)), "seed {seed}");
        assert_ne!(second.placement.host[instance.at()], host, "seed {seed}");
        let elsewhere = |at: &usize| first.placement.host[*at] != second.placement.host[*at];
        mended += usize::from((0..problem.instances.len()).filter(elsewhere).count() < first.pools[0].moved.len());
    }
    assert!(mended > 10, "most stays as it was in {mended} of 40 fleets only");
}

#[test]
fn the_important_is_refused_last() {
    let mut document = document(&[("a", 8), ("b", 4)], &[("i", "a", 4), ("j", "a", 4)]);
    document.instances[1].priority = 7;
    let problem = Problem::new(fleet(document), crate::small_fleet::evacuate(&["a"]));
    let placed = place(&problem, &Limits::UNTIMED, &[]);
    assert_eq!(placed.placement.refused, [InstanceIdx::new(0)]);
    assert_eq!(placed.refused, TierBound { value: 1, bound: 1 });
}

fn agrees(seed: u64, request: fn(&mut ChaCha8Rng, &mut FleetDocument) -> Request) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut document = tiny(&mut random);
    let request = request(&mut random, &mut document);
    let problem = Problem::new(fleet(document), request);
    let placed = place(&problem, &Limits::UNTIMED, &[]);
    let value = judge(&problem, &placed.placement.host, &placed.placement.refused)
        .unwrap_or_else(|| panic!("seed {seed}: the placement breaks a rule: {:?}", placed.placement));
    assert_eq!(value, (placed.refused.value, placed.displaced.value), "seed {seed}: the value is not what it says");
    let least = least(&problem);
    assert_eq!(value, least, "seed {seed}: not the least {:#?}", placed);
    assert_eq!(value.0, placed.refused.bound, "seed {seed}: refusals not proven");
    assert_eq!(value.1, placed.displaced.bound, "seed {seed}: displacement not proven");
}

/// Three or four hosts and up to six instances with everything the rules know.
fn tiny(random: &mut ChaCha8Rng) -> FleetDocument {
    let names = ["a", "b", "c", "d"];
    let hosts: Vec<(&str, u64)> =
        names[..random.random_range(3..=4)].iter().map(|name| (*name, random.random_range(4..=10))).collect();
    let ids = ["1", "2", "3", "4", "5", "6"];
    let instances: Vec<(&str, &str, u64)> = ids[..random.random_range(2..=6)]
        .iter()
        .map(|id| (*id, hosts.choose(random).unwrap().0, random.random_range(1..=5)))
        .collect();
    let mut document = document(&hosts, &instances);
    for host in &mut document.hosts {
        host.inventory.insert("VCPU".into(), inventory(random.random_range(3..=6)));
        host.enabled = random.random_bool(0.9);
        host.up = random.random_bool(0.95);
    }
    for flavor in &mut document.flavors {
        flavor.resources.insert("VCPU".into(), random.random_range(0..=2));
    }
    for instance in &mut document.instances {
        instance.pinned = random.random_bool(0.1);
    }
    let policies = [GroupPolicy::AntiAffinity, GroupPolicy::Affinity];
    for name in ["g", "h"] {
        if random.random_bool(0.5) {
            let members: Vec<&str> = instances.iter().map(|(id, ..)| *id).filter(|_| random.random_bool(0.4)).collect();
            document.server_groups.push(group(name, *policies.choose(random).unwrap(), &members));
        }
    }
    document
}

/// The first two hosts of a crowded fleet to be emptied.
fn crowded_problem(seed: u64) -> Problem {
    let document = crowded(&mut ChaCha8Rng::seed_from_u64(seed));
    let hosts = document.hosts.iter().take(2).map(|host| host.name.clone()).collect();
    let request = Request { kind: RequestKind::Evacuate { hosts }, options: Options::default() };
    Problem::new(fleet(document), request)
}

/// A dozen hosts and more, nearly full, with groups: more than the exact model would decide at a stroke.
fn crowded(random: &mut ChaCha8Rng) -> FleetDocument {
    let names: Vec<String> = (0..random.random_range(12..=24)).map(|at| format!("h{at:02}")).collect();
    let hosts: Vec<(&str, u64)> = names.iter().map(|name| (name.as_str(), *[64, 96].choose(random).unwrap())).collect();
    let mut placed: Vec<(String, &str, u64)> = Vec::new();
    for (host, memory) in &hosts {
        let mut room = memory * random.random_range(80..=97) / 100;
        while room >= 4 {
            let size = (*[2, 4, 4, 8, 8, 16, 32].choose(random).unwrap()).min(room);
            room -= size;
            placed.push((format!("i{:04}", placed.len()), host, size));
        }
    }
    let instances: Vec<(&str, &str, u64)> = placed.iter().map(|(id, host, size)| (id.as_str(), *host, *size)).collect();
    let mut document = document(&hosts, &instances);
    for at in 0..placed.len() / 12 {
        let members: Vec<&str> = (0..4).filter_map(|_| placed.choose(random)).map(|(id, ..)| id.as_str()).collect();
        let members: std::collections::BTreeSet<&str> = members.into_iter().collect();
        let members: Vec<&str> = members.into_iter().collect();
        document.server_groups.push(group(&format!("g{at}"), GroupPolicy::AntiAffinity, &members));
    }
    document
}

fn options(random: &mut ChaCha8Rng) -> Options {
    Options {
        no_displace: random.random_bool(0.1),
        headroom_percent: if random.random_bool(0.2) { 10.0 } else { 0.0 },
        ..Options::default()
    }
}

fn evacuation(random: &mut ChaCha8Rng, document: &mut FleetDocument) -> Request {
    let count = random.random_range(1..=2);
    let hosts = document.hosts.iter().take(count).map(|host| host.name.clone()).collect();
    Request { kind: RequestKind::Evacuate { hosts }, options: options(random) }
}

fn resizes(random: &mut ChaCha8Rng, document: &mut FleetDocument) -> Request {
    let count = random.random_range(1..=2);
    let resizes = document.instances[..count]
        .iter()
        .map(|instance| Resize {
            instance: instance.id.clone(),
            flavor: document.flavors.choose(random).unwrap().name.clone(),
        })
        .collect();
    Request { kind: RequestKind::Resize { resizes }, options: options(random) }
}

/// The least over every placement there is.
fn least(problem: &Problem) -> Value {
    let mut hosts: Vec<HostIdx> = problem.instances.iter().map(|instance| instance.host).collect();
    let mut best = (u64::MAX, u64::MAX);
    every(problem, 0, &mut hosts, &mut Vec::new(), &mut best);
    best
}

fn every(problem: &Problem, at: usize, hosts: &mut Vec<HostIdx>, refused: &mut Vec<InstanceIdx>, best: &mut Value) {
    let Some(facts) = problem.instances.get(at) else {
        *best = (*best).min(judge(problem, hosts, refused).unwrap_or((u64::MAX, u64::MAX)));
        return;
    };
    let instance = InstanceIdx::new(at);
    let asked = matches!(facts.task, Task::Leave | Task::Resize);
    if asked {
        refused.push(instance);
        every(problem, at + 1, hosts, refused, best);
        refused.pop();
    }
    if !asked || facts.task == Task::Resize {
        every(problem, at + 1, hosts, refused, best);
    }
    let free = facts.task == Task::MayMove || asked && problem::forbidden(problem, instance).is_none();
    for host in (0..problem.hosts.len()).map(HostIdx::new) {
        if free && host != facts.host && problem.admits(instance, host) {
            hosts[at] = host;
            every(problem, at + 1, hosts, refused, best);
            hosts[at] = facts.host;
        }
    }
}

/// The value of a placement, or nothing if it breaks a rule. Shares no code with the tally.
fn judge(problem: &Problem, hosts: &[HostIdx], refused: &[InstanceIdx]) -> Option<Value> {
    let mut displaced = 0;
    for (at, host) in (0..problem.hosts.len()).map(HostIdx::new).map(|host| (host.at(), host)) {
        let facts = &problem.hosts[at];
        for class in 0..problem.classes.len() {
            let mut used = facts.capacity[class] - facts.free[class];
            let mut received = 0;
            for (instance, now) in hosts.iter().enumerate() {
                let kind = &problem.kinds[problem.instances[instance].kind.at()];
                let was_here = problem.instances[instance].host == host;
                let asked = matches!(problem.instances[instance].task, Task::Leave | Task::Resize);
                let done = asked && !refused.contains(&InstanceIdx::new(instance));
                if was_here && *now != host {
                    used -= kind.claim[class];
                } else if !was_here && *now == host {
                    used += kind.need[class];
                    received += kind.need[class];
                } else if was_here && done {
                    if !facts.up || problem.instances[instance].task == Task::Leave {
                        return None;
                    }
                    used += kind.need[class] - kind.claim[class];
                    received += (kind.need[class] - kind.claim[class]).max(0);
                }
            }
            if received > 0 && used > facts.capacity[class] - facts.keep[class] {
                return None;
            }
        }
    }
    for group in &problem.groups {
        let before = |host: HostIdx| group.members.iter().filter(|m| problem.instances[m.at()].host == host).count();
        let after = |host: HostIdx| group.members.iter().filter(|m| hosts[m.at()] == host).count();
        let distinct = |count: &dyn Fn(HostIdx) -> usize| {
            (0..problem.hosts.len()).filter(|host| count(HostIdx::new(*host)) > 0).count()
        };
        let all = || (0..problem.hosts.len()).map(HostIdx::new);
        let moved = |m: &&InstanceIdx| hosts[m.at()] != problem.instances[m.at()].host;
        match group.policy {
            GroupPolicy::AntiAffinity
                if all().any(|host| after(host) > before(host).max(group.max_per_host as usize)) =>
            {
                return None;
            }
            GroupPolicy::Affinity
                if group.members.len() > 1
                    && group.members.iter().any(|m| moved(&m))
                    && (distinct(&after) > distinct(&before)
                        || group.members.iter().filter(moved).any(|m| after(hosts[m.at()]) < 2)) =>
            {
                return None;
            }
            _ => {}
        }
    }
    for (at, now) in hosts.iter().enumerate() {
        if problem.instances[at].task == Task::MayMove && *now != problem.instances[at].host {
            displaced += u64::try_from(problem.kinds[problem.instances[at].kind.at()].memory).unwrap();
        }
    }
    Some((refused.len() as u64, displaced))
}
