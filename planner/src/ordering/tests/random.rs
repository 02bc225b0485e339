//! Random placements: every order holds in every execution, and one is found whenever there is one.

use decant_schema::fleet::{FleetDocument, GroupPolicy};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{evacuate, execution, exhaustive, problem};
use crate::Limits;
use crate::ordering::order;
use crate::problem::{HostIdx, InstanceIdx, Placement, Problem, Task};
use crate::small_fleet::{document, group};

/// A fleet filled to the brim now and then, some instances in a group, some pinned.
fn crowded(rng: &mut ChaCha8Rng, hosts: usize, instances: usize) -> FleetDocument {
    let host_names: Vec<String> = (0..hosts).map(|at| format!("h{at:02}")).collect();
    let sizes: Vec<u64> = (0..hosts).map(|_| rng.random_range(6..=12)).collect();
    let shapes: Vec<(&str, u64)> = host_names.iter().map(String::as_str).zip(sizes.iter().copied()).collect();
    let mut left = sizes.clone();
    let mut placed = Vec::new();
    for at in 0..instances {
        let size = rng.random_range(1..=5);
        let host = rng.random_range(0..hosts);
        if left[host] >= size {
            left[host] -= size;
            placed.push((format!("i{at:02}"), host, size));
        }
    }
    let rows: Vec<(&str, &str, u64)> =
        placed.iter().map(|(id, host, size)| (id.as_str(), host_names[*host].as_str(), *size)).collect();
    let mut fleet = document(&shapes, &rows);
    let members: Vec<&str> = placed.iter().map(|(id, _, _)| id.as_str()).filter(|_| rng.random_bool(0.3)).collect();
    fleet.server_groups = vec![group("g", GroupPolicy::AntiAffinity, &members)];
    for instance in &mut fleet.instances {
        instance.pinned = rng.random_bool(0.1);
    }
    fleet
}

/// Sends some instances elsewhere so that the end is within capacity and groups.
fn shuffled(rng: &mut ChaCha8Rng, problem: &Problem) -> Placement {
    let mut placement = problem.standing();
    for _ in 0..problem.instances.len() * 3 {
        let mut next = placement.clone();
        // One moves, or two change places: the latter is what orders get stuck at.
        for _ in 0..rng.random_range(1..=2) {
            let at = rng.random_range(0..problem.instances.len());
            let target = HostIdx::new(rng.random_range(0..problem.hosts.len()));
            let movable = problem.instances[at].task == Task::MayMove;
            if movable && problem.admits(InstanceIdx::new(at), target) {
                next.host[at] = target;
            }
        }
        if ends_well(problem, &next) {
            placement = next;
        }
    }
    placement
}

fn ends_well(problem: &Problem, placement: &Placement) -> bool {
    let mut free: Vec<i64> = problem.hosts.iter().map(|host| host.free[0]).collect();
    for (at, facts) in problem.instances.iter().enumerate() {
        free[facts.host.at()] += problem.kind(InstanceIdx::new(at)).need[0];
        free[placement.host[at].at()] -= problem.kind(InstanceIdx::new(at)).need[0];
    }
    let apart = problem.groups.iter().all(|group| {
        let on = |hosts: &dyn Fn(InstanceIdx) -> HostIdx, host: usize| {
            group.members.iter().filter(|member| hosts(**member).at() == host).count()
        };
        (0..problem.hosts.len()).all(|host| {
            let before = on(&|at| problem.instances[at.at()].host, host);
            on(&|at| placement.host[at.at()], host) <= before.max(group.max_per_host as usize)
        })
    });
    apart && free.iter().all(|free| *free >= 0)
}

#[test]
fn every_schedule_holds_in_every_execution() {
    for seed in 0..150 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let (hosts, instances) = (rng.random_range(3..=12), rng.random_range(6..=40));
        let problem = problem(crowded(&mut rng, hosts, instances), evacuate(&[]));
        let placement = shuffled(&mut rng, &problem);
        if let Ok(schedule) = order(&problem, &placement, &Limits::UNTIMED) {
            execution::holds_in_every_execution(&problem, &schedule, seed);
        }
    }
}

#[test]
fn an_order_is_found_whenever_there_is_one_and_moves_the_least_memory() {
    let (mut found, mut aside) = (0, 0);
    for seed in 0..400 {
        let mut rng = ChaCha8Rng::seed_from_u64(1_000 + seed);
        let (hosts, instances) = (rng.random_range(2..=3), rng.random_range(3..=8));
        let problem = problem(crowded(&mut rng, hosts, instances), evacuate(&[]));
        let placement = shuffled(&mut rng, &problem);
        let least = exhaustive::least_stepping_aside(&problem, &placement);
        match order(&problem, &placement, &Limits::UNTIMED) {
            Ok(schedule) => {
                let memory: i64 = schedule.stepped_aside.iter().map(|at| problem.kind(*at).memory).sum();
                assert_eq!(Some(memory), least, "seed {seed}: {:?} in {:?}", schedule.stepped_aside, schedule.moves);
                found += 1;
                aside += usize::from(memory > 0);
            }
            Err(stuck) => {
                assert_eq!(least, None, "seed {seed}: {stuck:?}");
                assert_eq!(stuck.stopped_by, None, "seed {seed}");
            }
        }
    }
    assert!(found > 200 && aside > 5, "the cases are too easy or too hard: {found} found, {aside} with third parties");
}

#[test]
fn the_same_placement_gets_the_same_schedule() {
    for seed in 0..20 {
        let mut rng = ChaCha8Rng::seed_from_u64(2_000 + seed);
        let problem = problem(crowded(&mut rng, 8, 30), evacuate(&[]));
        let placement = shuffled(&mut rng, &problem);
        let again = || order(&problem, &placement, &Limits::UNTIMED);
        assert_eq!(again(), again(), "seed {seed}");
    }
}
