//! What an order must be, on fleets small enough to verify by hand, and on random ones.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod bounds;
mod execution;
mod exhaustive;
mod fleets;
mod random;

use decant_schema::fleet::{FleetDocument, GroupPolicy, Mobility};
use decant_schema::plan::{MoveMode, MoveReason};
use decant_schema::request::{Options, Request, RequestKind, Resize};
use decant_schema::units::{mbps, mib};

use super::detour::detour;
use super::room::{Room, Step};
use super::{Lack, Schedule, order, peak};
use crate::Limits;
use crate::problem::{HostIdx, InstanceIdx, Placement, Problem};
use crate::small_fleet::{document, evacuate, fleet, group, instance};

/// A problem that empties no host anybody is on, and the placement that sends the named instances to the named hosts.
fn problem(document: FleetDocument, request: Request) -> Problem {
    Problem::new(fleet(document), request)
}

fn placement(problem: &Problem, goes: &[(&str, &str)]) -> Placement {
    let mut placement = problem.standing();
    for (instance, host) in goes {
        let at = problem.fleet.instance_index(instance).unwrap();
        placement.host[at] = HostIdx::new(problem.fleet.host_index(host).unwrap());
    }
    placement
}

fn ordered(problem: &Problem, goes: &[(&str, &str)]) -> Schedule {
    let schedule = order(problem, &placement(problem, goes), &Limits::UNTIMED).unwrap();
    execution::holds_in_every_execution(problem, &schedule, 1);
    schedule
}

/// Instance, source, target and positions waited for, in words.
fn lines(problem: &Problem, schedule: &Schedule) -> Vec<String> {
    let host = |at: HostIdx| problem.fleet.hosts()[at.at()].name.as_str();
    let line = |scheduled: &super::ScheduledMove| {
        let instance = problem.fleet.instances()[scheduled.instance.at()].id.as_str();
        format!("{instance} {}→{} {:?}", host(scheduled.source), host(scheduled.target), scheduled.after)
    };
    schedule.moves.iter().map(line).collect()
}

fn reasons(schedule: &Schedule) -> Vec<MoveReason> {
    schedule.moves.iter().map(|scheduled| scheduled.why).collect()
}

#[test]
fn a_chain_of_displacement_waits_link_by_link() {
    let fleet = document(
        &[("e", 8), ("h1", 8), ("h2", 8), ("h3", 8)],
        &[("a", "e", 8), ("b", "h1", 6), ("c", "h2", 4), ("d", "h2", 2)],
    );
    let problem = problem(fleet, evacuate(&["e"]));
    let schedule = ordered(&problem, &[("a", "h1"), ("b", "h2"), ("c", "h3")]);
    assert_eq!(lines(&problem, &schedule), ["c h2→h3 []", "b h1→h2 [0]", "a e→h1 [1]"]);
    assert_eq!(reasons(&schedule), [MoveReason::Displace, MoveReason::Displace, MoveReason::Evacuate]);
    assert_eq!(schedule.waves(), [[0], [1], [2]]);
}

#[test]
fn several_step_aside_at_once_and_who_only_fills_room_comes_last() {
    // Neither of the small ones leaving alone makes room for the large one; the evacuee fits where they must stop.
    let document = document(
        &[("e", 4), ("t", 8), ("u", 8), ("s1", 4), ("s2", 4)],
        &[("large", "u", 8), ("one", "t", 4), ("two", "t", 4), ("evacuee", "e", 4)],
    );
    let problem = problem(document, evacuate(&["e"]));
    let at = |id: &str| InstanceIdx::new(problem.fleet.instance_index(id).unwrap());
    let host = |name: &str| HostIdx::new(problem.fleet.host_index(name).unwrap());
    let goes = [("evacuee", "s1"), ("large", "t"), ("one", "u"), ("two", "u")];
    let steps = goes.map(|(id, name)| Step { instance: at(id), target: host(name) });
    let (order, stuck) = detour(&Room::at_start(&problem), &steps);
    assert_eq!(stuck, []);
    assert_eq!(order.len(), 6, "two stops on the way: {order:?}");
    assert_eq!(order.last(), Some(&steps[0]));
    let mut room = Room::at_start(&problem);
    for step in &order {
        assert!(room.fits(*step), "{step:?} of {order:?}");
        room.go(*step);
    }
    assert!(steps.iter().all(|step| room.host(step.instance) == step.target));
}

#[test]
fn room_that_is_there_from_the_start_is_waited_for_by_nobody() {
    let fleet = document(&[("e", 8), ("h1", 8)], &[("a", "e", 4), ("b", "e", 4)]);
    let problem = problem(fleet, evacuate(&["e"]));
    let schedule = ordered(&problem, &[("a", "h1"), ("b", "h1")]);
    assert!(schedule.moves.iter().all(|scheduled| scheduled.after.is_empty()));
    assert_eq!(schedule.waves().len(), 1);
}

#[test]
fn two_full_hosts_swap_by_way_of_a_spare_one() {
    let fleet = document(&[("h1", 8), ("h2", 8), ("s", 8)], &[("a", "h1", 8), ("b", "h2", 8)]);
    let problem = problem(fleet, evacuate(&[]));
    let schedule = ordered(&problem, &[("a", "h2"), ("b", "h1")]);
    assert_eq!(schedule.moves.len(), 3);
    assert_eq!(reasons(&schedule), [MoveReason::Hop, MoveReason::Displace, MoveReason::Displace]);
    assert_eq!(schedule.moves[0].target, HostIdx::new(2));
    assert_eq!(schedule.moves[1].after, [0]);
    assert_eq!(schedule.moves[2].after, [1]);
    assert!(schedule.stepped_aside.is_empty());
}

#[test]
fn a_ring_too_large_to_search_turns_by_way_of_a_spare_host() {
    let names: Vec<String> = (0..240).map(|at| format!("h{at:03}")).collect();
    let hosts: Vec<(&str, u64)> = names.iter().map(|name| (name.as_str(), 8)).chain([("spare", 8)]).collect();
    let ids: Vec<String> = (0..240).map(|at| format!("i{at:03}")).collect();
    let instances: Vec<(&str, &str, u64)> =
        ids.iter().zip(&names).map(|(id, name)| (id.as_str(), name.as_str(), 8)).collect();
    let problem = problem(document(&hosts, &instances), evacuate(&[]));
    let next = |at: usize| names[(at + 1) % names.len()].as_str();
    let goes: Vec<(&str, &str)> = ids.iter().enumerate().map(|(at, id)| (id.as_str(), next(at))).collect();
    let schedule = ordered(&problem, &goes);
    assert_eq!(schedule.moves.len(), 241, "one hops to the spare host, and all the others follow round the ring");
    assert_eq!(schedule.placement, placement(&problem, &goes));
}

#[test]
fn two_full_hosts_without_a_spare_one_have_no_order_and_that_is_proven() {
    let fleet = document(&[("h1", 8), ("h2", 8)], &[("a", "h1", 8), ("b", "h2", 8)]);
    let problem = problem(fleet, evacuate(&[]));
    let stuck = order(&problem, &placement(&problem, &[("a", "h2"), ("b", "h1")]), &Limits::UNTIMED).unwrap_err();
    assert_eq!(stuck.hosts, [HostIdx::new(0), HostIdx::new(1)]);
    assert_eq!(stuck.moves, [(InstanceIdx::new(0), HostIdx::new(1)), (InstanceIdx::new(1), HostIdx::new(0))]);
    assert_eq!(stuck.stuck[0].lacks, Some(Lack { class: 0, need: 8, free: 0 }));
    assert_eq!(stuck.stopped_by, None);
}

#[test]
fn a_hop_whose_room_is_taken_has_it_made_first() {
    let fleet = document(&[("h1", 8), ("h2", 8), ("s", 8), ("t", 2)], &[("a", "h1", 8), ("b", "h2", 8), ("c", "s", 2)]);
    let problem = problem(fleet, evacuate(&[]));
    let schedule = ordered(&problem, &[("a", "h2"), ("b", "h1")]);
    assert_eq!(schedule.stepped_aside, [InstanceIdx::new(2)]);
    assert_eq!(schedule.moves.len(), 4, "c stays where it went, as there is room for good");
    assert_eq!(schedule.placement.host[2], HostIdx::new(3));
}

#[test]
fn a_third_party_that_may_not_stay_returns() {
    let fleet = document(&[("h1", 8), ("h2", 8), ("s", 8), ("t", 2)], &[("a", "h1", 8), ("b", "h2", 8), ("c", "s", 2)]);
    let mut request = evacuate(&[]);
    // Nothing that arrives on t may stay: 2 − 50 % is less than c needs.
    request.options = Options { headroom_percent: 50.0, ..Options::default() };
    let problem = problem(fleet, request);
    let schedule = ordered(&problem, &[("a", "h2"), ("b", "h1")]);
    assert_eq!(schedule.moves.len(), 5);
    assert_eq!(schedule.placement, placement(&problem, &[("a", "h2"), ("b", "h1")]));
}

#[test]
fn a_pinned_third_party_does_not_step_aside() {
    let mut fleet =
        document(&[("h1", 8), ("h2", 8), ("s", 8), ("t", 2)], &[("a", "h1", 8), ("b", "h2", 8), ("c", "s", 2)]);
    fleet.instances[2].pinned = true;
    let problem = problem(fleet, evacuate(&[]));
    let stuck = order(&problem, &placement(&problem, &[("a", "h2"), ("b", "h1")]), &Limits::UNTIMED).unwrap_err();
    assert_eq!(stuck.stopped_by, None);
}

#[test]
fn the_cheaper_third_party_steps_aside() {
    let fleet = document(
        &[("h1", 8), ("h2", 8), ("s", 8), ("t", 8), ("u", 3)],
        &[("a", "h1", 8), ("b", "h2", 8), ("c", "s", 3), ("d", "t", 2)],
    );
    let problem = problem(fleet, evacuate(&[]));
    let schedule = ordered(&problem, &[("a", "h2"), ("b", "h1")]);
    assert_eq!(schedule.stepped_aside, [InstanceIdx::new(3)]);
}

#[test]
fn a_live_move_never_stops_on_a_newer_host_than_the_one_it_goes_on_to() {
    let mut fleet = document(&[("h1", 8), ("h2", 8), ("s", 8)], &[("a", "h1", 8), ("b", "h2", 8)]);
    for (host, version) in fleet.hosts.iter_mut().zip([1, 1, 2]) {
        host.hypervisor_version = Some(version);
    }
    let there = [("a", "h2"), ("b", "h1")];
    let live = problem(fleet.clone(), evacuate(&[]));
    assert!(order(&live, &placement(&live, &there), &Limits::UNTIMED).is_err());
    fleet.instances[0].mobility = Mobility::Cold;
    let cold = problem(fleet, evacuate(&[]));
    assert_eq!(ordered(&cold, &there).moves[0].instance, InstanceIdx::new(0));
}

#[test]
fn a_groups_place_is_waited_for_like_room() {
    let mut fleet = document(&[("e", 8), ("h1", 8), ("h2", 8)], &[("a", "e", 2), ("b", "h1", 2)]);
    fleet.server_groups = vec![group("g", GroupPolicy::AntiAffinity, &["a", "b"])];
    let problem = problem(fleet, evacuate(&["e"]));
    let schedule = ordered(&problem, &[("a", "h1"), ("b", "h2")]);
    assert_eq!(lines(&problem, &schedule), ["b h1→h2 []", "a e→h1 [0]"]);
}

#[test]
fn a_resize_in_place_waits_for_the_room_it_grows_into() {
    let mut fleet = document(&[("h1", 8), ("h2", 8)], &[("a", "h1", 4), ("b", "h1", 4), ("c", "h2", 8)]);
    fleet.instances.retain(|instance| instance.id.as_str() != "c");
    fleet.instances.push(instance("z", "h2", "m4"));
    let resizes = vec![Resize { instance: "a".into(), flavor: "m8".into() }];
    let request = Request { kind: RequestKind::Resize { resizes }, options: Options::default() };
    let problem = problem(fleet, request);
    let schedule = ordered(&problem, &[("b", "h2")]);
    assert_eq!(lines(&problem, &schedule), ["b h1→h2 []", "a h1→h1 [0]"]);
    assert_eq!(schedule.moves[1].mode, MoveMode::Cold);
    assert_eq!(schedule.moves[1].why, MoveReason::Resize);
    assert_eq!(peak::peaks(&problem, &schedule.moves)[0][0], 8);
}

#[test]
fn the_peak_counts_everybody_who_is_not_sure_to_have_left() {
    // h1 has room for `in` beside `out`: the one waits for nothing, and may come while the other is still there.
    let fleet = document(&[("e", 8), ("h1", 12), ("h2", 8)], &[("in", "e", 4), ("out", "h1", 8)]);
    let problem = problem(fleet, evacuate(&["e"]));
    let schedule = ordered(&problem, &[("in", "h1"), ("out", "h2")]);
    assert_eq!(lines(&problem, &schedule), ["out h1→h2 []", "in e→h1 []"]);
    let memory: Vec<i64> = peak::peaks(&problem, &schedule.moves).iter().map(|host| host[0]).collect();
    assert_eq!(memory, [4, 12, 8]);
}

#[test]
fn the_peak_counts_out_whom_every_arrival_waits_for() {
    let fleet = document(&[("e", 8), ("h1", 8), ("h2", 8)], &[("in", "e", 6), ("out", "h1", 8)]);
    let problem = problem(fleet, evacuate(&["e"]));
    let schedule = ordered(&problem, &[("in", "h1"), ("out", "h2")]);
    assert_eq!(peak::peaks(&problem, &schedule.moves)[1][0], 8);
}

#[test]
fn what_one_shrinks_by_another_grows_into() {
    let fleet = document(&[("h1", 12)], &[("a", "h1", 8), ("b", "h1", 4)]);
    let resizes = vec![
        Resize { instance: "a".into(), flavor: "m4".into() },
        Resize { instance: "b".into(), flavor: "m8".into() },
    ];
    let request = Request { kind: RequestKind::Resize { resizes }, options: Options::default() };
    let problem = problem(fleet, request);
    let schedule = ordered(&problem, &[]);
    assert_eq!(lines(&problem, &schedule), ["a h1→h1 []", "b h1→h1 [0]"]);
}

#[test]
fn a_host_beyond_its_capacity_never_holds_more_than_at_the_start() {
    let fleet = document(&[("e", 8), ("h1", 8), ("h2", 8)], &[("a", "e", 3), ("b", "h1", 6), ("c", "h1", 4)]);
    let problem = problem(fleet, evacuate(&["e"]));
    let schedule = ordered(&problem, &[("a", "h1"), ("b", "h2")]);
    assert_eq!(lines(&problem, &schedule), ["b h1→h2 []", "a e→h1 [0]"]);
}

#[test]
fn who_needs_one_large_hole_waits_for_no_small_one_besides() {
    let hosts = [("e", 64), ("h1", 12), ("h2", 64)];
    let problem = problem(document(&hosts, &[("a", "e", 6), ("b", "h1", 4), ("c", "h1", 8)]), evacuate(&["e"]));
    let schedule = ordered(&problem, &[("a", "h1"), ("b", "h2"), ("c", "h2")]);
    let a = schedule.moves.iter().find(|scheduled| scheduled.instance == InstanceIdx::new(0)).unwrap();
    let waits: Vec<InstanceIdx> = a.after.iter().map(|at| schedule.moves[*at].instance).collect();
    assert_eq!(waits, [InstanceIdx::new(2)], "c alone makes room, though b has left before");
}

#[test]
fn one_port_after_the_other_reaches_the_bound_of_the_busiest() {
    let hosts = [("e", 64), ("h1", 64), ("h2", 64)];
    let names: Vec<String> = (0..16).map(|at| format!("i{at:02}")).collect();
    let instances: Vec<(&str, &str, u64)> = names.iter().map(|name| (name.as_str(), "e", 4)).collect();
    let problem = problem(document(&hosts, &instances), evacuate(&["e"]));
    let goes: Vec<(&str, &str)> =
        names.iter().enumerate().map(|(at, name)| (name.as_str(), if at % 2 == 0 { "h1" } else { "h2" })).collect();
    let schedule = ordered(&problem, &goes);
    assert!(schedule.duration_bound_s > 0.0);
    assert!(schedule.duration_s <= schedule.duration_bound_s * 1.001, "{schedule:?}");
    assert!((schedule.leaving_bound_s - schedule.duration_bound_s).abs() < 1e-3);
}

#[test]
fn what_is_dirtied_as_fast_as_it_is_copied_is_suspended_instead() {
    let mut fleet = document(&[("e", 9000), ("h1", 9000)], &[("a", "e", 4096), ("b", "e", 4096)]);
    fleet.instances[0].dirty_mbps = mbps(5_000);
    fleet.instances[1].dirty_mbps = mbps(10_000);
    let problem = problem(fleet, evacuate(&["e"]));
    let schedule = ordered(&problem, &[("a", "h1"), ("b", "h1")]);
    let by_instance = |at: usize| schedule.moves.iter().find(|m| m.instance == InstanceIdx::new(at)).unwrap();
    let (a, b) = (by_instance(0), by_instance(1));
    assert_eq!((a.mode, a.not_converging, b.mode, b.not_converging), (MoveMode::Live, false, MoveMode::Suspend, true));
    // 34.4 Gbit at 10 Gbit/s; half of it again, and so on until 3 Gbit are left: 3.44 × (1 + ½ + ¼ + ⅛ + 1⁄16).
    let seconds = 4096.0 * 8.388608 / 10_000.0;
    assert!((a.end_s - a.start_s - seconds * 1.9375).abs() < 1e-3);
    assert!((b.end_s - b.start_s - seconds).abs() < 1e-3);
}

#[test]
fn a_cold_move_of_a_running_instance_stops_and_boots_it() {
    let mut fleet = document(&[("e", 8), ("h1", 8)], &[("a", "e", 4)]);
    fleet.instances[0].mobility = Mobility::Cold;
    fleet.instances[0].boot_s = Some(30.0);
    fleet.instances[0].local_disk_mb = mib(1250);
    let problem = problem(fleet, evacuate(&["e"]));
    let schedule = ordered(&problem, &[("a", "h1")]);
    assert!((schedule.duration_s - (1250.0 * 8.388608 / 10_000.0 + 5.0 + 30.0)).abs() < 1e-3);
    assert!((schedule.duration_bound_s - schedule.duration_s).abs() < 1e-6);
}

#[test]
fn a_racks_uplink_is_shared_by_all_that_cross_it() {
    let text = r#"[{"name":"r1","uplink_mbps":10000},{"name":"r2","uplink_mbps":40000}]"#;
    let mut fleet = document(&[("e1", 8), ("e2", 8), ("h1", 8), ("h2", 8)], &[("a", "e1", 8), ("b", "e2", 8)]);
    fleet.racks = serde_json::from_str(text).unwrap();
    for (host, rack) in fleet.hosts.iter_mut().zip(["r1", "r1", "r2", "r2"]) {
        host.rack = Some(rack.into());
    }
    let problem = problem(fleet, evacuate(&["e1", "e2"]));
    let schedule = ordered(&problem, &[("a", "h1"), ("b", "h2")]);
    assert!((schedule.moves[1].start_s - schedule.moves[0].end_s).abs() < 1e-6, "one uplink carries one at a time");
    assert!((schedule.duration_bound_s - schedule.duration_s).abs() < 1e-3);
}

#[test]
fn never_more_at_once_than_the_fleet_allows() {
    let mut fleet = document(&[("e1", 8), ("e2", 8), ("h1", 8), ("h2", 8)], &[("a", "e1", 8), ("b", "e2", 8)]);
    fleet.defaults.max_migrations = Some(1);
    let problem = problem(fleet, evacuate(&["e1", "e2"]));
    let schedule = ordered(&problem, &[("a", "h1"), ("b", "h2")]);
    assert!(schedule.moves[1].start_s >= schedule.moves[0].end_s);
}
