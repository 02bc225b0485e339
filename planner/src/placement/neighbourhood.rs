//! Which hosts are decided anew together.

use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use crate::problem::{HostIdx, InstanceIdx, Task};

use super::pools::Pool;
use super::tally::Tally;

/// Of so many times more hosts those for one without a place are drawn: the ones that lack least for it.
const NEAREST: usize = 3;

/// Where somebody has no place, hosts of those he must be with and hosts that nearly have room for him; else hosts where
/// third parties moved from and to, and some at random; so many in all.
pub(super) fn hosts(
    tally: &Tally<'_>,
    pool: &Pool,
    left: &[InstanceIdx],
    size: usize,
    random: &mut ChaCha8Rng,
) -> Vec<HostIdx> {
    let problem = tally.ground.problem;
    let receives = |host: &HostIdx| problem.hosts[host.at()].receives;
    let receiving: Vec<HostIdx> = pool.hosts.iter().copied().filter(receives).collect();
    let stuck = left.choose(random).copied();
    let nearest = stuck.map(|instance| nearest(tally, &receiving, instance, NEAREST * size)).unwrap_or_default();
    let mut hosts = match stuck {
        Some(instance) if !nearest.is_empty() => company(tally, pool, instance, size / 2),
        _ => of_displaced(tally, size / 4, random),
    };
    let from = if nearest.is_empty() { receiving } else { nearest };
    hosts.extend(from.sample(random, size.saturating_sub(hosts.len())));
    hosts.sort_unstable();
    hosts.dedup();
    hosts
}

/// A few hosts of the pool on which there are others whom affinity binds to an instance.
fn company(tally: &Tally<'_>, pool: &Pool, instance: InstanceIdx, most: usize) -> Vec<HostIdx> {
    let hosts = tally.ground.problem.binding_groups(instance).flat_map(|group| tally.hosts_of(group));
    hosts.filter(|host| pool.hosts.contains(host)).take(most).collect()
}

/// The hosts that lack least for an instance.
fn nearest(tally: &Tally<'_>, receiving: &[HostIdx], instance: InstanceIdx, most: usize) -> Vec<HostIdx> {
    let need = &tally.ground.problem.kind(instance).need;
    let lacks = |host: &HostIdx| {
        let classes = need.iter().zip(tally.room(*host)).filter(|(need, _)| **need > 0);
        classes.map(|(need, room)| (need - room) as f64 / *need as f64).fold(f64::NEG_INFINITY, f64::max)
    };
    let mut hosts: Vec<(f64, HostIdx)> = receiving
        .iter()
        .filter(|host| tally.ground.admits(instance, **host))
        .map(|host| (lacks(host), *host))
        .collect();
    hosts.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    hosts.into_iter().take(most).map(|(_, host)| host).collect()
}

/// Where a few third parties moved from and to.
fn of_displaced(tally: &Tally<'_>, most: usize, random: &mut ChaCha8Rng) -> Vec<HostIdx> {
    let problem = tally.ground.problem;
    let displaced: Vec<(InstanceIdx, HostIdx)> =
        tally.moved().filter(|(at, _)| problem.instances[at.at()].task == Task::MayMove).collect();
    let few = displaced.sample(random, most);
    few.flat_map(|(instance, host)| [problem.instances[instance.at()].host, *host]).collect()
}
