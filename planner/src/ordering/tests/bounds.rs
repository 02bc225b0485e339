//! Bounds on the duration: never above what a plan takes, and at it where they should be.

use decant_schema::fleet::{Mobility, Rack};
use decant_schema::units::{mbps, mib};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{evacuate, ordered, problem};
use crate::balance::free_after;
use crate::ordering::order;
use crate::problem::{InstanceIdx, Problem, Task};
use crate::small_fleet::{document, random};
use crate::{Limits, placement};

/// A small fleet with networks of three speeds, racks with slow uplinks, few slots, local disks, and memories that are
/// rewritten about as fast as the networks carry them.
fn uneven(seed: u64) -> Problem {
    let mut fleet = random(seed);
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut one_of = |choices: &[u64]| choices[rng.random_range(0..choices.len())];
    let uplinks = [("r0", one_of(&[1_000, 5_000])), ("r1", one_of(&[2_500, 20_000]))];
    fleet.racks = uplinks.map(|(name, rate)| Rack { name: name.into(), uplink_mbps: mbps(rate) }).to_vec();
    fleet.defaults.max_migrations = Some(u32::try_from(one_of(&[1, 2, 100])).unwrap());
    for host in &mut fleet.hosts {
        host.network_mbps = Some(mbps(one_of(&[1_000, 2_000, 10_000])));
        host.max_migrations = Some(u32::try_from(one_of(&[1, 2, 4])).unwrap());
        host.rack = [None, Some("r0".into()), Some("r1".into())][usize::try_from(one_of(&[0, 1, 2])).unwrap()].clone();
    }
    for instance in &mut fleet.instances {
        instance.local_disk_mb = mib(one_of(&[0, 0, 1_000, 20_000]));
        instance.dirty_mbps = mbps(one_of(&[0, 900, 999, 1_500, 9_900, 9_999]));
        instance.mobility =
            [Mobility::Live, Mobility::Suspend, Mobility::Cold][usize::try_from(one_of(&[0, 1, 2])).unwrap()];
    }
    problem(fleet, evacuate(&["h0"]))
}

#[test]
fn no_plan_is_shorter_than_its_bounds() {
    let mut met = 0;
    for seed in 0..120 {
        let problem = uneven(seed);
        let placed = placement::place(&problem, &Limits::UNTIMED, &[]);
        let Ok(schedule) = order(&problem, &placed.placement, &Limits::UNTIMED) else { continue };
        let bounds = schedule.leaving_bound_s.max(schedule.duration_bound_s);
        assert!(placed.refused.value > 0 || bounds <= schedule.duration_s + 1e-6, "seed {seed}: {schedule:?}");
        met += usize::from(schedule.leaving_bound_s > 0.0 && schedule.duration_s <= schedule.leaving_bound_s * 1.02);
    }
    assert!(met > 40, "the bound is met {met} times");
}

/// Wherever else the instances go, the bound that is claimed for every placement is not beaten.
#[test]
fn no_other_placement_is_shorter_than_the_bound_of_all() {
    for seed in 0..10 {
        let problem = uneven(1_000 + seed);
        let placed = placement::place(&problem, &Limits::UNTIMED, &[]);
        let Ok(schedule) = order(&problem, &placed.placement, &Limits::UNTIMED) else { continue };
        if placed.refused.value > 0 || placed.displaced.value > 0 {
            continue;
        }
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        for _ in 0..20 {
            let mut other = placed.placement.clone();
            for at in problem.with_task(Task::Leave).map(InstanceIdx::at) {
                let eligible: Vec<_> = problem.kind(InstanceIdx::new(at)).eligible.iter().collect();
                other.host[at] = eligible[rng.random_range(0..eligible.len())];
            }
            let fits = free_after(&problem, &other).iter().flatten().all(|free| *free >= 0);
            if fits
                && let Ok(other) = order(&problem, &other, &Limits::UNTIMED)
                && other.stepped_aside.is_empty()
            {
                let (found, bound) = (other.duration_s, schedule.leaving_bound_s);
                assert!(bound <= found + 1e-6, "seed {seed}: {found} s is less than {bound} s");
            }
        }
    }
}

#[test]
fn the_room_that_must_be_made_first_counts() {
    let hosts = [("e", 4096), ("h1", 4096), ("h2", 4096)];
    let instances = [("a", "e", 4096), ("b", "h1", 1024), ("c", "h2", 1024)];
    let schedule = ordered(&problem(document(&hosts, &instances), evacuate(&["e"])), &[("a", "h1"), ("b", "h2")]);
    assert!((schedule.leaving_bound_s - schedule.duration_s).abs() < 0.01, "{schedule:?}");
}

#[test]
fn a_slow_target_counts_where_there_is_no_other() {
    let mut fleet = document(&[("e", 4096), ("h1", 4096)], &[("a", "e", 4096)]);
    fleet.hosts[1].network_mbps = Some(mbps(1_000));
    let schedule = ordered(&problem(fleet, evacuate(&["e"])), &[("a", "h1")]);
    assert!((schedule.leaving_bound_s - schedule.duration_s).abs() < 1e-6, "{schedule:?}");
}

#[test]
fn what_converges_only_just_is_no_floor_for_a_way_that_suspends_it() {
    let mut fleet = document(&[("e", 4096), ("h1", 4096), ("h2", 1024)], &[("a", "e", 4096)]);
    fleet.instances[0].dirty_mbps = mbps(9_999);
    fleet.hosts[1].network_mbps = Some(mbps(1_000));
    let schedule = ordered(&problem(fleet, evacuate(&["e"])), &[("a", "h1")]);
    assert!(schedule.leaving_bound_s <= schedule.duration_s, "{schedule:?}");
}
