//! The later goals at fixed earlier ones: groups that would rather be together or apart, ports that share the bytes,
//! hosts that are evenly full.
//!
//! Local search: whoever moves may move elsewhere instead, if all rules hold there and the cost falls. Nobody more is
//! refused or displaced by it. The cost is a sum of squares, so that it falls whenever the greater of two shares does.

use std::cmp::Ordering;

use decant_schema::fleet::GroupPolicy;
use decant_schema::plan::TierName;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use crate::limits::Limits;
use crate::ordering::busy_s;
use crate::problem::{HostIdx, InstanceIdx, Problem, Task};

use super::pools::Pool;
use super::tally::Tally;

/// Passes over all that move; later ones find little.
const PASSES: u32 = 3;

/// Hosts looked at for one instance and pass.
const TRIALS: usize = 48;

/// Swaps of one host's arrivals at most.
const SWAPS: usize = 64;

/// What evenness weighs where it counts before time: a host fuller by a thousandth, as much as a thousand seconds.
const EVEN_FIRST: f64 = 1e12;

/// Broken wishes of soft groups, then ports and evenness in one.
type Cost = (f64, f64);

/// Moves what moves anyway to better hosts; for as long as there is time.
pub(super) fn improve(tally: &mut Tally<'_>, pool: &Pool, random: &mut ChaCha8Rng, limits: &Limits<'_>) {
    let problem = tally.ground.problem;
    let receiving: Vec<HostIdx> = pool.hosts.iter().copied().filter(|host| problem.hosts[host.at()].receives).collect();
    let mut loads = Loads::new(tally);
    for _ in 0..PASSES {
        let moved: Vec<(InstanceIdx, HostIdx)> = tally.moved().collect();
        let mut improved = false;
        for (instance, host) in moved {
            if limits.out_of_time() {
                break;
            }
            let home = problem.instances[instance.at()].host;
            if host == home || tally.ground.problem.is_bound(instance) {
                continue;
            }
            improved |= move_on(tally, &mut loads, instance, host, &sample(&receiving, random));
        }
        if !improved {
            break;
        }
    }
    relieve(tally, pool, &mut loads, limits);
}

/// Swaps arrivals of hosts to which more comes than leaves any host: where there is no room to move one on, another may
/// come in its place that is sooner carried.
fn relieve(tally: &mut Tally<'_>, pool: &Pool, loads: &mut Loads, limits: &Limits<'_>) {
    let busiest = pool.hosts.iter().map(|host| loads.leaving[host.at()]).fold(0.0, f64::max);
    let mut crowded: Vec<HostIdx> =
        pool.hosts.iter().copied().filter(|host| loads.coming[host.at()] > busiest).collect();
    crowded.sort_by(|a, b| loads.coming[b.at()].total_cmp(&loads.coming[a.at()]).then(a.cmp(b)));
    for host in crowded {
        for _ in 0..SWAPS {
            if loads.coming[host.at()] <= busiest || limits.out_of_time() || !swap_best(tally, loads, host) {
                break;
            }
        }
    }
}

/// Swaps two arrivals, one of them on this host, where that serves the goals most; says whether any swap does.
fn swap_best(tally: &mut Tally<'_>, loads: &mut Loads, host: HostIdx) -> bool {
    let problem = tally.ground.problem;
    let home = |at: InstanceIdx| problem.instances[at.at()].host;
    let all: Vec<(InstanceIdx, HostIdx)> =
        tally.moved().filter(|(at, to)| home(*at) != *to && !tally.ground.problem.is_bound(*at)).collect();
    let mut best: Option<(Cost, InstanceIdx, (InstanceIdx, HostIdx))> = None;
    for (one, _) in all.iter().filter(|(_, to)| *to == host) {
        for (other, there) in all.iter().filter(|(other, there)| *there != host && home(*other) != host) {
            if home(*one) != *there
                && let Some(gain) = gain_of_swap(tally, loads, (*one, host), (*other, *there))
                && best.as_ref().is_none_or(|(most, ..)| compare(*most, gain).is_lt())
            {
                best = Some((gain, *one, (*other, *there)));
            }
        }
    }
    let Some((_, one, (other, there))) = best else { return false };
    for (instance, from, to) in [(one, host, there), (other, there, host)] {
        loads.add(problem, instance, from, -1.0);
        loads.add(problem, instance, to, 1.0);
        tally.lift(instance);
    }
    tally.put(one, there);
    tally.put(other, host);
    true
}

/// By how much the cost falls if two that moved change places; `None` if they cannot, or it does not.
fn gain_of_swap(
    tally: &mut Tally<'_>,
    loads: &mut Loads,
    (one, here): (InstanceIdx, HostIdx),
    (other, there): (InstanceIdx, HostIdx),
) -> Option<Cost> {
    let problem = tally.ground.problem;
    for (instance, host) in [(one, here), (other, there)] {
        tally.lift(instance);
        loads.add(problem, instance, host, -1.0);
    }
    let fits = tally.accepts(one, there) && tally.accepts(other, here);
    let sum = |a: Cost, b: Cost| (a.0 + b.0, a.1 + b.1);
    let gain = fits.then(|| {
        let now = sum(cost(tally, loads, one, here), cost(tally, loads, other, there));
        let then = sum(cost(tally, loads, one, there), cost(tally, loads, other, here));
        (now.0 - then.0, now.1 - then.1 - now.1 * 1e-9)
    });
    for (instance, host) in [(one, here), (other, there)] {
        tally.put(instance, host);
        loads.add(problem, instance, host, 1.0);
    }
    gain.filter(|gain| compare(*gain, (0.0, 0.0)).is_gt())
}

/// All hosts, or some of many.
fn sample(hosts: &[HostIdx], random: &mut ChaCha8Rng) -> Vec<HostIdx> {
    if hosts.len() <= TRIALS { hosts.to_vec() } else { hosts.sample(random, TRIALS).copied().collect() }
}

/// How long each host is busy, by what leaves it and by what comes, seconds: its network or its slots, whichever is
/// busier with a move.
struct Loads {
    leaving: Vec<f64>,
    coming: Vec<f64>,
}

impl Loads {
    fn new(tally: &Tally<'_>) -> Self {
        let hosts = tally.ground.problem.hosts.len();
        let mut loads = Self { leaving: vec![0.0; hosts], coming: vec![0.0; hosts] };
        let moved: Vec<(InstanceIdx, HostIdx)> = tally.moved().collect();
        moved.into_iter().for_each(|(instance, host)| loads.add(tally.ground.problem, instance, host, 1.0));
        loads
    }

    /// Counts a move, or with −1 no longer.
    fn add(&mut self, problem: &Problem, instance: InstanceIdx, host: HostIdx, sign: f64) {
        let (leaving, coming) = busy_s(problem, instance, host);
        self.leaving[problem.instances[instance.at()].host.at()] += sign * leaving;
        self.coming[host.at()] += sign * coming;
    }

    /// By how much a move would raise the sum of squares.
    fn cost(&self, problem: &Problem, instance: InstanceIdx, host: HostIdx) -> f64 {
        let (leaving, coming) = busy_s(problem, instance, host);
        let raise = |load: f64, by: f64| (load + by).powi(2) - load.powi(2);
        let source = problem.instances[instance.at()].host;
        raise(self.leaving[source.at()], leaving) + raise(self.coming[host.at()], coming)
    }
}

/// Moves an instance to the best of these hosts, if that is better than where it goes now.
fn move_on(tally: &mut Tally<'_>, loads: &mut Loads, instance: InstanceIdx, host: HostIdx, hosts: &[HostIdx]) -> bool {
    tally.lift(instance);
    loads.add(tally.ground.problem, instance, host, -1.0);
    let cost = |tally: &Tally<'_>, at: HostIdx| cost(tally, loads, instance, at);
    let now = cost(tally, host);
    let open = hosts.iter().copied().filter(|at| tally.ground.problem.instances[instance.at()].host != *at);
    let best = open
        .filter(|at| tally.accepts(instance, *at))
        .map(|at| (cost(tally, at), at))
        .min_by(|a, b| compare(a.0, b.0).then(a.1.cmp(&b.1)))
        .filter(|(there, _)| compare(*there, (now.0, now.1 * (1.0 - 1e-9))).is_lt());
    let target = best.map_or(host, |(_, at)| at);
    tally.put(instance, target);
    loads.add(tally.ground.problem, instance, target, 1.0);
    target != host
}

fn compare(a: Cost, b: Cost) -> Ordering {
    a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1))
}

/// What it costs that an instance off its host goes to this one.
fn cost(tally: &Tally<'_>, loads: &Loads, instance: InstanceIdx, host: HostIdx) -> Cost {
    let problem = tally.ground.problem;
    let (facts, kind) = (&problem.hosts[host.at()], problem.kind(instance));
    let port = loads.cost(problem, instance, host);
    let share = |class: usize| {
        let capacity = facts.capacity[class].max(1) as f64;
        let used = capacity - tally.room(host)[class] as f64;
        ((used + kind.need[class] as f64) / capacity).powi(2) - (used / capacity).powi(2)
    };
    let full: f64 = (0..problem.classes.len()).map(share).sum();
    let options = &problem.request.options;
    let even = if options.rank(TierName::Imbalance) < options.rank(TierName::DurationS) { EVEN_FIRST } else { 1.0 };
    (wishes(tally, instance, host), port + even * full)
}

/// How many members of soft groups would rather not have it there.
fn wishes(tally: &Tally<'_>, instance: InstanceIdx, host: HostIdx) -> f64 {
    let problem = tally.ground.problem;
    let of = |group: &crate::problem::GroupIdx| {
        let (facts, there) = (&problem.groups[group.at()], tally.members(*group, host));
        match facts.policy {
            GroupPolicy::SoftAntiAffinity => f64::from((there + 1).saturating_sub(facts.max_per_host)),
            GroupPolicy::SoftAffinity => facts.members.len() as f64 - 1.0 - f64::from(there),
            GroupPolicy::Affinity | GroupPolicy::AntiAffinity => 0.0,
        }
    };
    problem.instances[instance.at()].groups.iter().map(of).sum()
}

/// Gives the places of the less important to the more important that are refused, where one fits for the other, while
/// there is time.
pub(super) fn prefer_important(tally: &mut Tally<'_>, pool: &Pool, limits: &Limits<'_>) {
    let problem = tally.ground.problem;
    let priority = |at: InstanceIdx| problem.instances[at.at()].priority;
    let mut left: Vec<InstanceIdx> = pool.asked.iter().copied().filter(|at| !tally.is_moved(*at)).collect();
    left.sort_by_key(|at| (std::cmp::Reverse(priority(*at)), *at));
    for refused in left {
        if limits.out_of_time() {
            return;
        }
        let mut placed: Vec<(InstanceIdx, HostIdx)> = tally
            .moved()
            .filter(|(at, _)| problem.instances[at.at()].task == Task::Leave && priority(*at) < priority(refused))
            .collect();
        placed.sort_by_key(|(at, _)| (priority(*at), *at));
        for (less, host) in placed {
            tally.take_back(less);
            if tally.accepts(refused, host)
                && !tally.ground.problem.is_bound(refused)
                && !tally.ground.problem.is_bound(less)
            {
                tally.put(refused, host);
                break;
            }
            tally.put(less, host);
        }
    }
}
