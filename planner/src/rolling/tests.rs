//! Rounds on fleets that can be followed by hand, and the promises of every rolling plan on fleets by chance.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use decant_schema::fleet::{FleetDocument, GroupPolicy};
use decant_schema::plan::{Away, Fix, Outcome, Plan, RoundsBound, RuleName, TierName};
use decant_schema::request::{Interval, Options, Request};
use jiff::Timestamp;
use uuid::Uuid;

use super::*;
use crate::check::Violation;
use crate::small_fleet::{document, fleet, random};
use crate::{Stamp, check};

fn rounds(window_s: f64) -> RollingOptions {
    RollingOptions { window_s, outage_s: 600.0, ..RollingOptions::default() }
}

/// A rolling plan of all hosts, or of those named.
fn plan_of(document: FleetDocument, hosts: &[&str], rounds: RollingOptions) -> Plan {
    let fleet = fleet(document);
    let hosts = match hosts {
        [] => fleet.hosts().iter().map(|host| host.name.clone()).collect(),
        named => named.iter().map(|host| (*host).into()).collect(),
    };
    let request = Request { kind: RequestKind::Rolling { hosts, rounds }, options: Options::default() };
    let stamp = Stamp { id: Uuid::nil(), created_at: Timestamp::UNIX_EPOCH };
    let plan = crate::plan(Arc::clone(&fleet), request, stamp, &Limits::UNTIMED).unwrap();
    let violations = check::check(&fleet, &plan).violations;
    assert!(violations.is_empty(), "{violations:#?}");
    plan
}

fn hosts_of(plan: &Plan) -> Vec<Vec<&str>> {
    plan.rounds.iter().map(|round| round.hosts.iter().map(|host| host.as_str()).collect()).collect()
}

#[test]
fn whoever_goes_to_a_host_that_is_done_moves_once() {
    let document = document(&[("a", 100), ("b", 100), ("c", 100)], &[("i", "a", 60), ("j", "b", 60)]);
    let plan = plan_of(document, &[], rounds(1e6));
    assert_eq!(hosts_of(&plan), [vec!["c"], vec!["a"], vec!["b"]]);
    assert_eq!((plan.outcome, plan.moves.len()), (Outcome::Complete, 2));
    assert_eq!(plan.rounds.iter().map(|round| round.least_moves).sum::<u64>(), 2);
}

#[test]
fn hosts_without_a_turn_are_preferred_to_those_whose_turn_is_to_come() {
    let document = document(&[("a", 100), ("b", 100), ("c", 100)], &[("i", "a", 10), ("j", "b", 60)]);
    let plan = plan_of(document, &["a", "b"], rounds(1e6));
    assert_eq!(hosts_of(&plan), [vec!["a", "b"]]);
    assert!(plan.moves.iter().all(|line| line.target.as_str() == "c"));
}

#[test]
fn no_more_hosts_are_out_than_may_be_and_the_spare_ones_are_kept() {
    let wide = || document(&[("a", 100), ("b", 100), ("c", 100), ("d", 100)], &[("i", "a", 40), ("j", "b", 40)]);
    let plan = plan_of(wide(), &[], RollingOptions { max_out: Some(1), ..rounds(1e6) });
    assert_eq!(plan.rounds.len(), 4);
    let plan = plan_of(wide(), &[], RollingOptions { spare_hosts: 1, ..rounds(1e6) });
    assert!(plan.rounds.iter().all(|round| round.hosts.len() <= 2), "{:?}", plan.rounds);
}

#[test]
fn the_way_back_brings_everyone_home() {
    let document = document(&[("a", 100), ("b", 100)], &[("i", "a", 40), ("j", "b", 40)]);
    let plan = plan_of(document, &[], RollingOptions { way_back: true, ..rounds(1e6) });
    assert_eq!(plan.moves.len(), 4);
    for usage in &plan.hosts {
        assert_eq!(usage.before, usage.after);
    }
}

#[test]
fn whoever_a_rule_keeps_from_home_is_named_with_it() {
    let mut document = document(&[("a", 100), ("b", 100)], &[("i", "a", 40)]);
    document.hosts[0].enabled = false;
    let home = RollingOptions { way_back: true, ..rounds(1e6) };
    let plan = plan_of(document.clone(), &["a"], home);
    let away = |host: &str| Away { instance: "i".into(), host: host.into(), rules: vec![RuleName::HostDisabled] };
    assert_eq!(plan.away, [away("a")]);
    let spoils: [fn(&mut Plan); 4] = [
        |plan| plan.away.clear(),
        |plan| plan.away[0].rules[0] = RuleName::Zone,
        |plan| plan.away[0].host = "b".into(),
        |plan| plan.away.push(plan.away[0].clone()),
    ];
    let fleet = fleet(document);
    for spoil in spoils {
        let mut spoiled = plan.clone();
        spoil(&mut spoiled);
        let found = check::check(&fleet, &spoiled).violations;
        assert!(matches!(found[..], [Violation::FalseAway { .. }]), "{found:?}");
    }
}

#[test]
fn a_short_window_takes_the_most_valuable_hosts_and_says_which_would_do() {
    let make = || document(&[("a", 100), ("b", 100), ("c", 100)], &[("i", "a", 60), ("j", "b", 60), ("k", "c", 60)]);
    let mut short = rounds(500.0);
    short.priorities.insert("b".into(), 5);
    let mut with_room = make();
    with_room.hosts.push(crate::small_fleet::host("d", 60));
    let plan = plan_of(with_room.clone(), &["a", "b", "c"], short);
    assert_eq!(hosts_of(&plan), [vec!["b"]]);
    assert_eq!(plan.refusals.len(), 2);
    let [Fix::LongerWindow { window_s }] = plan.refusals[0].fixes.as_slice() else { panic!("{plan:?}") };
    assert_eq!(plan_of(with_room.clone(), &["a", "b", "c"], rounds(*window_s)).outcome, Outcome::Complete);
    assert_eq!(plan_of(with_room, &["a", "b", "c"], rounds(*window_s - 2.0)).outcome, Outcome::Partial);
    assert_eq!(plan_of(make(), &[], rounds(1e6)).rounds.len(), 0);
}

#[test]
fn an_empty_host_without_a_spare_one_is_left_over() {
    let document = document(&[("a", 100), ("b", 100), ("c", 100)], &[("i", "a", 60), ("j", "b", 60)]);
    let plan = plan_of(document, &[], RollingOptions { spare_hosts: 1, ..rounds(1e6) });
    assert_eq!(plan.left, ["a".into(), "b".into(), "c".into()], "with any of them out, no other may fail");
    assert_eq!(plan.outcome, Outcome::Partial);
}

/// Eight hosts of which every two could be out at a time, where no instance finds room as things stand.
fn spread_out() -> FleetDocument {
    let names: Vec<String> = (0..8).map(|at| format!("h{at}")).collect();
    let hosts: Vec<(&str, u64)> = names.iter().map(|name| (name.as_str(), 100)).collect();
    let ids: Vec<(String, &str, u64)> =
        names.iter().flat_map(|host| [50, 25].map(|size| (format!("{host}-{size}"), host.as_str(), size))).collect();
    let instances: Vec<(&str, &str, u64)> = ids.iter().map(|(id, host, size)| (id.as_str(), *host, *size)).collect();
    document(&hosts, &instances)
}

#[test]
fn what_is_free_on_many_hosts_is_gathered_once_for_all_rounds() {
    let plan = plan_of(spread_out(), &[], rounds(1e6));
    assert_eq!(plan.proof.rounds.map(|least| least.rounds), Some(4));
    assert_eq!(hosts_of(&plan).iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 2, 2]);
}

#[test]
fn the_last_targets_are_filled_evenly_where_that_costs_nothing() {
    let ids: Vec<(String, &str)> =
        ["a", "b", "c"].iter().flat_map(|host| (0..10).map(move |at| (format!("{host}{at}"), *host))).collect();
    let instances: Vec<(&str, &str, u64)> = ids.iter().map(|(id, host)| (id.as_str(), *host, 8)).collect();
    let plan = plan_of(document(&[("a", 100), ("b", 100), ("c", 100), ("d", 100)], &instances), &[], rounds(1e6));
    assert_eq!((plan.rounds.len(), plan.moves.len()), (4, 30));
    let mut after: Vec<u64> = plan.hosts.iter().map(|host| host.after[&crate::small_fleet::memory_class()]).collect();
    after.sort_unstable();
    assert_eq!(after, [0, 80, 80, 80]);
}

#[test]
fn a_host_without_a_turn_is_explained_as_its_evacuation_would_be() {
    let hosts = [("a", 100), ("b", 100), ("c", 100)];
    let mut document = document(&hosts, &[("i", "a", 10), ("j", "b", 10), ("k", "c", 10), ("x", "a", 10)]);
    document.server_groups = vec![crate::small_fleet::group("apart", GroupPolicy::AntiAffinity, &["i", "j", "k"])];
    let plan = plan_of(document.clone(), &[], rounds(1e6));
    let refused = plan.proof.tiers.iter().find(|tier| tier.name == TierName::Refused).unwrap();
    assert_eq!((refused.value, refused.bound), (4.0, Some(3.0)), "nobody of the group ever moves");
    let of = |id: &str| plan.refusals.iter().find(|refusal| refusal.instance.as_str() == id).unwrap();
    let [reason] = &of("i").reasons[..] else { panic!("{plan:?}") };
    assert_eq!((reason.rule, reason.subject.as_deref(), reason.hosts), (RuleName::AntiAffinity, Some("apart"), 2));
    assert!(of("i").fixes.contains(&Fix::RelaxGroup { group: "apart".to_owned() }), "{:?}", of("i").fixes);
    assert_eq!(of("x").reasons[0].subject.as_deref(), Some("i stays on its host"));
    let spoils: [fn(&mut Plan); 3] = [
        |plan| plan.refusals[0].reasons[0].hosts -= 1,
        |plan| plan.refusals[0].reasons[0].rule = RuleName::Capacity,
        |plan| plan.refusals[0].reasons = plan.refusals[3].reasons.clone(),
    ];
    let fleet = fleet(document);
    for spoil in spoils {
        let mut spoilt = plan.clone();
        spoil(&mut spoilt);
        assert!(!check::check(&fleet, &spoilt).holds(), "{:?}", spoilt.refusals[0].reasons);
    }
}

#[test]
fn a_spare_host_that_cannot_be_kept_is_said_in_figures() {
    let hosts = [("a", 256), ("b", 256), ("c", 256)];
    let instances = [("i", "a", 120), ("j", "a", 120), ("k", "b", 100), ("l", "c", 100)];
    let options = RollingOptions { spare_hosts: 1, ..rounds(1e6) };
    let plan = plan_of(document(&hosts, &instances), &[], options);
    let reason = &plan.refusals[0].reasons[0];
    assert_eq!((reason.need, reason.best), (Some(340), Some(156)), "{reason:?}");
    let spoils: [fn(&mut Plan); 3] = [
        |plan| plan.refusals[0].reasons[0].need = Some(341),
        |plan| plan.refusals[0].reasons[0].best = Some(155),
        |plan| plan.refusals[0].reasons[0].best_host = Some("a".into()),
    ];
    for spoil in spoils {
        let mut spoilt = plan.clone();
        spoil(&mut spoilt);
        let found = check::check(&fleet(document(&hosts, &instances)), &spoilt).violations;
        assert!(matches!(found[..], [Violation::FalseReason { rule: RuleName::Turn, .. }]), "{found:?}");
    }
}

#[test]
fn the_time_of_all_rounds_has_a_bound_and_no_more_is_believed() {
    let make = || document(&[("a", 100), ("b", 100), ("c", 100)], &[("i", "a", 60), ("j", "b", 60)]);
    let plan = plan_of(make(), &[], rounds(1e6));
    let at = plan.proof.tiers.iter().position(|tier| tier.name == TierName::DurationS).unwrap();
    // Two outages one after the other, since all three hosts have 300 and 180 are free.
    let bound = plan.proof.tiers[at].bound.unwrap();
    assert!((1200.0..1201.0).contains(&bound), "{bound}");
    let mut spoilt = plan.clone();
    spoilt.proof.tiers[at].bound = Some(bound + 10.0);
    let found = check::check(&fleet(make()), &spoilt).violations;
    assert!(matches!(found[..], [Violation::BoundUnproven { .. }]), "{found:?}");
}

/// How a plan of rounds is spoilt, and what the checker must say of it.
type Mistake = (&'static str, fn(&mut Plan), fn(&Violation) -> bool);

#[test]
fn every_mistake_in_rounds_is_found() {
    let document = document(&[("a", 100), ("b", 100), ("c", 100)], &[("i", "a", 60), ("j", "b", 60)]);
    let options = RollingOptions { max_out: Some(1), ..rounds(1e6) };
    let good = plan_of(document.clone(), &[], options);
    assert_eq!(good.proof.rounds, Some(RoundsBound { rounds: 3, moves: 2 }));
    let with_options = |plan: &mut Plan, change: fn(&mut RollingOptions)| {
        if let RequestKind::Rolling { rounds, .. } = &mut plan.request.kind {
            change(rounds);
        }
    };
    let mistakes: [Mistake; 11] = [
        ("a host done and left over", |plan| plan.left.push("a".into()), |v| matches!(v, Violation::RoundHosts { .. })),
        (
            "a host left over by a plan that says it is complete",
            |plan| plan.left.extend(plan.rounds.pop().into_iter().flat_map(|round| round.hosts)),
            |v| matches!(v, Violation::Outcome { .. }),
        ),
        ("a host without a turn", |plan| plan.rounds[0].hosts.clear(), |v| matches!(v, Violation::RoundHosts { .. })),
        ("a move in no round", |plan| plan.rounds[1].moves.clear(), |v| matches!(v, Violation::RoundMoves { .. })),
        ("empty too early", |plan| plan.rounds[1].empty_at_s -= 1.0, |v| matches!(v, Violation::RoundNotEmpty { .. })),
        ("used while out", |plan| plan.rounds[0].returned_at_s += 1.0, |v| matches!(v, Violation::RoundArrival { .. })),
        ("back too early", |plan| plan.rounds[2].returned_at_s -= 1.0, |v| matches!(v, Violation::RoundReturn { .. })),
        (
            "two out at once",
            |plan| plan.rounds[1].empty_at_s = plan.rounds[0].empty_at_s,
            |v| matches!(v, Violation::RoundSize { out: 2, .. }),
        ),
        (
            "more rounds than are needed",
            |plan| plan.proof.rounds = Some(RoundsBound { rounds: 4, moves: 2 }),
            |v| matches!(v, Violation::RoundsBound { .. }),
        ),
        (
            "more moves than are needed",
            |plan| plan.proof.rounds = Some(RoundsBound { rounds: 3, moves: 3 }),
            |v| matches!(v, Violation::RoundsBound { .. }),
        ),
        (
            "a start when none may be",
            |plan| plan.moves[1].start_s += 1e6,
            |v| matches!(v, Violation::OutsideIntervals { .. }),
        ),
    ];
    for (name, spoil, is_found) in mistakes {
        let mut plan = good.clone();
        spoil(&mut plan);
        let found = check::check(&fleet(document.clone()), &plan).violations;
        assert!(found.iter().any(is_found), "{name}: {found:?}");
    }
    let mut shorter = good.clone();
    with_options(&mut shorter, |rounds| rounds.window_s = 1.0);
    let found = check::check(&fleet(document), &shorter).violations;
    assert!(found.iter().all(|v| matches!(v, Violation::OutsideIntervals { .. })) && !found.is_empty(), "{found:?}");
}

/// What the checker says of a plan once its request asks for something else.
fn judged(document: FleetDocument, mut plan: Plan, change: fn(&mut RollingOptions)) -> Vec<Violation> {
    if let RequestKind::Rolling { rounds, .. } = &mut plan.request.kind {
        change(rounds);
    }
    check::check(&fleet(document), &plan).violations
}

#[test]
fn a_spare_host_that_is_not_kept_and_a_return_that_is_not_made_are_found() {
    let document = document(&[("a", 100), ("b", 100), ("c", 100)], &[("i", "a", 60), ("j", "b", 60), ("k", "c", 10)]);
    let plan = plan_of(document.clone(), &[], rounds(1e6));
    let found = judged(document.clone(), plan.clone(), |rounds| rounds.spare_hosts = 1);
    assert!(found.iter().any(|v| matches!(v, Violation::NoSpare { round: 1, .. })), "{found:?}");
    let found = judged(document.clone(), plan, |rounds| rounds.way_back = true);
    assert!(found.iter().any(|v| matches!(v, Violation::NotHome { .. })), "{found:?}");
    let none = plan_of(document, &[], RollingOptions { spare_hosts: 1, ..rounds(1e6) });
    assert_eq!(none.rounds, []);
    assert_eq!(none.refusals[0].fixes, [Fix::FewerSpareHosts { spare_hosts: 0 }]);
}

#[test]
fn what_takes_too_long_does_not_keep_what_matters_less_from_its_turn() {
    let hosts = [("fast", 100), ("slow", 100), ("target", 200)];
    let mut document = document(&hosts, &[("i", "fast", 10), ("j", "slow", 10), ("k", "slow", 10)]);
    document.defaults.network_mbps = decant_schema::units::mbps(1);
    document.defaults.max_migrations_per_host = 1;
    let priorities = [("slow".into(), 5)].into();
    let plan = plan_of(document, &["fast", "slow"], RollingOptions { priorities, ..rounds(30.0) });
    assert_eq!(hosts_of(&plan), [vec!["fast"]]);
    assert_eq!(plan.refusals.len(), 2);
    assert!(plan.refusals.iter().all(|refusal| refusal.reasons[0].rule == RuleName::Window), "{:?}", plan.refusals);
}

#[test]
fn what_one_night_is_too_short_for_goes_on_in_the_next() {
    let make = || document(&[("a", 100), ("b", 100), ("c", 100)], &[("i", "a", 60), ("j", "b", 60)]);
    let night = |day: f64| Interval { from_s: day * 86_400.0, until_s: day * 86_400.0 + 500.0 };
    let nights = |count: u32, way_back: bool| RollingOptions {
        intervals: (0..count).map(f64::from).map(night).collect(),
        window_s: night(f64::from(count - 1)).until_s,
        way_back,
        ..rounds(0.0)
    };
    let plan = plan_of(make(), &[], nights(3, false));
    assert_eq!(hosts_of(&plan), [vec!["c"], vec!["a"], vec!["b"]]);
    let starts: Vec<f64> = plan.moves.iter().map(|line| (line.start_s / 86_400.0).floor()).collect();
    assert_eq!(starts, [1.0, 2.0], "{:?}", plan.moves);
    let short = plan_of(make(), &[], nights(2, false));
    assert_eq!((short.rounds.len(), short.refusals.len()), (2, 1));
    // The outage outlasts the night: home one comes the night after.
    let home = plan_of(make(), &["a"], nights(2, true));
    assert_eq!(home.moves.iter().map(|line| line.start_s).collect::<Vec<_>>(), [0.0, 86_400.0]);
}

#[test]
fn what_the_time_to_plan_was_too_short_for_is_left_over() {
    use std::sync::atomic::{AtomicU64, Ordering};
    let hosts = [("a", 100), ("b", 100), ("c", 100), ("d", 100)];
    let document = document(&hosts, &[("i", "a", 60), ("j", "b", 60), ("k", "c", 60)]);
    let mut sizes = Vec::new();
    for seconds in [1, 8, 1_000_000] {
        let fleet = fleet(document.clone());
        let hosts = fleet.hosts().iter().map(|host| host.name.clone()).collect();
        let request =
            Request { kind: RequestKind::Rolling { hosts, rounds: rounds(1e6) }, options: Options::default() };
        let stamp = Stamp { id: Uuid::nil(), created_at: Timestamp::UNIX_EPOCH };
        let looks = AtomicU64::new(0);
        let elapsed = || std::time::Duration::from_secs(looks.fetch_add(1, Ordering::Relaxed));
        let time = Some(std::time::Duration::from_secs(seconds));
        let limits = Limits::new(&elapsed, time);
        let mut plan = crate::plan(Arc::clone(&fleet), request, stamp, &limits).unwrap();
        let violations = check::check(&fleet, &plan).violations;
        assert!(violations.is_empty(), "{violations:#?}");
        let cut_short = plan.proof.stopped_by.take().is_some();
        assert_eq!(cut_short, seconds < 60, "{seconds} s");
        let denied = check::check(&fleet, &plan).violations;
        let is_false = |found: &Violation| matches!(found, Violation::FalseReason { rule: RuleName::Turn, .. });
        assert_eq!(denied.iter().filter(|found| is_false(found)).count(), plan.refusals.len());
        assert_eq!(plan.outcome == Outcome::Complete, plan.left.is_empty());
        sizes.push(plan.left.len());
    }
    assert_eq!((sizes[0], sizes[2]), (4, 0), "{sizes:?}");
}

#[test]
fn every_plan_by_chance_empties_each_host_once_or_says_why_not() {
    for (at, seed) in (0..12_u64).enumerate() {
        let options = RollingOptions {
            max_out: [None, None, Some(1), Some(2)].into_iter().cycle().nth(at).flatten(),
            spare_hosts: u32::from(seed % 5 == 0),
            way_back: seed % 4 == 0,
            ..rounds(1e9)
        };
        let document = random(seed);
        println!("seed {seed}");
        let plan = plan_of(document.clone(), &[], options.clone());
        assert_eq!(plan_of(document, &[], options).moves, plan.moves, "seed {seed}");
        let least: u64 = plan.rounds.iter().map(|round| round.least_moves).sum();
        assert!(plan.moves.len() as u64 >= least, "seed {seed}: {least} moves at least");
    }
}

/// All hosts of one pool of a large, tight fleet, where the file is there.
#[test]
#[expect(clippy::disallowed_methods, reason = "the fleet of this test is a file")]
fn a_pool_of_a_hundred_hosts_is_emptied_in_one_round_more_than_the_fewest() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/data/fleets/M92.json.gz");
    let Ok(bytes) = std::fs::read(path) else {
        println!("skipped: {path} is not there");
        return;
    };
    let fleet = decant_schema::fleet::read(&bytes).unwrap().fleet;
    let of_pool = fleet.hosts().iter().filter(|host| host.zone.as_ref().is_some_and(|zone| zone.as_str() == "az1"));
    let hosts: Vec<&str> = of_pool.map(|host| host.name.as_str()).collect();
    let plan = plan_of(fleet.document().clone(), &hosts, rounds(1e9));
    assert_eq!(plan.outcome, Outcome::Complete);
    assert_eq!(plan.rounds.iter().map(|round| round.hosts.len()).sum::<usize>(), hosts.len());
    let RoundsBound { rounds, moves } = plan.proof.rounds.unwrap();
    assert!(plan.rounds.len() as u64 <= rounds + 1, "{} rounds, {rounds} at least", plan.rounds.len());
    assert!((plan.moves.len() as u64) <= moves + moves / 5, "{} moves, {moves} at least", plan.moves.len());
}
