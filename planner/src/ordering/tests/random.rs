//! Random placements: every order holds in every execution, and one is found whenever there is one.

use decant_schema::fleet::{FleetDocument, GroupPolicy, Instance};
use decant_schema::id::ResourceClass;
use decant_schema::request::{Options, Request, RequestKind, Resize};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{evacuate, execution, exhaustive, problem};
use crate::Limits;
use crate::ordering::order;
use crate::problem::{HostIdx, InstanceIdx, Placement, Problem, Task};
use crate::small_fleet::{document, group, inventory, memory_class};

/// Memory and processors of the five sizes instances have: who has much of one has not always much of the other.
const SIZES: [(u64, u64); 5] = [(1, 2), (2, 1), (3, 4), (4, 2), (5, 3)];

/// A fleet filled to the brim, some instances in a group, some pinned.
fn crowded(rng: &mut ChaCha8Rng, hosts: usize, instances: usize) -> FleetDocument {
    let names: Vec<String> = (0..hosts).map(|at| format!("h{at:02}")).collect();
    let mut left: Vec<(u64, u64)> = (0..hosts).map(|_| (rng.random_range(6..=12), rng.random_range(6..=14))).collect();
    let shapes: Vec<(&str, u64)> = names.iter().zip(&left).map(|(name, left)| (name.as_str(), left.0)).collect();
    let processors: Vec<u64> = left.iter().map(|left| left.1).collect();
    let mut placed = Vec::new();
    for at in 0..instances {
        let (memory, vcpus) = SIZES[rng.random_range(0..SIZES.len())];
        let first = rng.random_range(0..hosts);
        let fits = |host: &usize| left[*host].0 >= memory && left[*host].1 >= vcpus;
        if let Some(host) = (0..hosts).map(|at| (first + at) % hosts).find(fits) {
            left[host] = (left[host].0 - memory, left[host].1 - vcpus);
            placed.push((format!("i{at:02}"), host, memory));
        }
    }
    let rows: Vec<(&str, &str, u64)> =
        placed.iter().map(|(id, host, memory)| (id.as_str(), names[*host].as_str(), *memory)).collect();
    let mut fleet = document(&shapes, &rows);
    for (host, vcpus) in fleet.hosts.iter_mut().zip(processors) {
        host.inventory.insert(ResourceClass::VCPU.into(), inventory(vcpus));
    }
    for flavor in &mut fleet.flavors {
        let memory = flavor.resources[&memory_class()];
        let (_, vcpus) = SIZES.into_iter().find(|size| size.0 == memory).unwrap();
        flavor.resources.insert(ResourceClass::VCPU.into(), vcpus);
    }
    let members: Vec<&str> = placed.iter().map(|(id, _, _)| id.as_str()).filter(|_| rng.random_bool(0.3)).collect();
    fleet.server_groups = vec![group("g", GroupPolicy::AntiAffinity, &members)];
    for instance in &mut fleet.instances {
        instance.pinned = rng.random_bool(0.1);
    }
    fleet
}

/// Asks another flavor for about a third of the instances.
fn resizing(rng: &mut ChaCha8Rng, fleet: &FleetDocument) -> Request {
    let flavor = |rng: &mut ChaCha8Rng| fleet.flavors[rng.random_range(0..fleet.flavors.len())].name.clone();
    let chosen: Vec<&Instance> = fleet.instances.iter().filter(|_| rng.random_bool(0.3)).collect();
    let resizes = chosen.into_iter().map(|instance| Resize { instance: instance.id.clone(), flavor: flavor(rng) });
    Request { kind: RequestKind::Resize { resizes: resizes.collect() }, options: Options::default() }
}

/// Sends some instances elsewhere, and lets some have their new size, so that the end is within capacity and groups.
fn shuffled(rng: &mut ChaCha8Rng, problem: &Problem) -> Placement {
    let mut placement = problem.standing();
    placement.refused = problem.with_task(Task::Resize).collect();
    for _ in 0..problem.instances.len() * 10 {
        let mut next = placement.clone();
        let mut send = |at: usize, target: HostIdx| {
            let instance = InstanceIdx::new(at);
            let stays = target == problem.instances[at].host;
            if problem.instances[at].task != Task::Stay && (stays || problem.admits(instance, target)) {
                next.host[at] = target;
                next.refused.retain(|refused| *refused != instance);
            }
        };
        // One moves, or two change places: the latter is what orders get stuck at.
        let (one, other) = (rng.random_range(0..problem.instances.len()), rng.random_range(0..problem.instances.len()));
        if rng.random_bool(0.3) {
            send(one, HostIdx::new(rng.random_range(0..problem.hosts.len())));
        } else {
            send(one, placement.host[other]);
            send(other, placement.host[one]);
        }
        if ends_well(problem, &next) {
            placement = next;
        }
    }
    placement
}

fn ends_well(problem: &Problem, placement: &Placement) -> bool {
    let mut free: Vec<Vec<i64>> = problem.hosts.iter().map(|host| host.free.to_vec()).collect();
    for (at, facts) in problem.instances.iter().enumerate() {
        let kind = problem.kind(InstanceIdx::new(at));
        let refused = placement.refused.contains(&InstanceIdx::new(at));
        let held = if refused { &kind.claim } else { &kind.need };
        for class in 0..problem.classes.len() {
            free[facts.host.at()][class] += kind.claim[class];
            free[placement.host[at].at()][class] -= held[class];
        }
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
    apart && free.iter().flatten().all(|free| *free >= 0)
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
fn every_schedule_with_resizes_holds_in_every_execution() {
    let mut in_place = 0;
    for seed in 0..150 {
        let mut rng = ChaCha8Rng::seed_from_u64(3_000 + seed);
        let (hosts, instances) = (rng.random_range(2..=6), rng.random_range(6..=20));
        let fleet = crowded(&mut rng, hosts, instances);
        let request = resizing(&mut rng, &fleet);
        let problem = problem(fleet, request);
        let placement = shuffled(&mut rng, &problem);
        if let Ok(schedule) = order(&problem, &placement, &Limits::UNTIMED) {
            execution::holds_in_every_execution(&problem, &schedule, seed);
            in_place += schedule.moves.iter().filter(|scheduled| scheduled.source == scheduled.target).count();
        }
    }
    assert!(in_place > 50, "the cases are too tight: {in_place} resized in place");
}

#[test]
fn an_order_is_found_whenever_there_is_one_and_moves_the_least_memory() {
    let (mut found, mut aside) = (0, 0);
    for seed in 0..400 {
        let mut rng = ChaCha8Rng::seed_from_u64(1_000 + seed);
        let (hosts, instances) = (rng.random_range(2..=3), rng.random_range(4..=9));
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
    assert!(
        found > 150 && found < 390 && aside > 5,
        "the cases are too easy or too hard: {found} found, {aside} with third parties"
    );
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

#[test]
fn forty_full_hosts_that_all_wait_for_each_other_mostly_find_an_order() {
    let mut found = 0;
    for seed in 0..10 {
        let mut rng = ChaCha8Rng::seed_from_u64(4_000 + seed);
        let problem = problem(crowded(&mut rng, 40, 130), evacuate(&[]));
        let placement = shuffled(&mut rng, &problem);
        if let Ok(schedule) = order(&problem, &placement, &Limits::UNTIMED) {
            execution::holds_in_every_execution(&problem, &schedule, seed);
            found += 1;
        }
    }
    assert!(found >= 7, "only {found} of 10 have an order");
}
