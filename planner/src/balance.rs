//! How evenly a placement fills the hosts, and how evenly any placement could.
//!
//! The measure is the tier `imbalance` of the plan: the most by which, on any host and in any class, the used share
//! of the capacity exceeds the same share over all hosts together. Its bound is in [`least`].

mod least;

use crate::problem::{Amounts, HostFacts, InstanceIdx, Placement, Problem, Task};

pub(crate) use least::imbalance_bound;

/// Room every host has at the end of a placement, before any headroom is kept.
pub(crate) fn free_after(problem: &Problem, placement: &Placement) -> Vec<Amounts> {
    let mut free: Vec<Amounts> = problem.hosts.iter().map(|host| host.free.clone()).collect();
    for (at, (instance, target)) in problem.instances.iter().zip(&placement.host).enumerate() {
        let kind = &problem.kinds[instance.kind.at()];
        let resized = instance.task == Task::Resize && !placement.refused.contains(&InstanceIdx::new(at));
        if *target != instance.host || resized {
            add(&mut free[instance.host.at()], &kind.claim);
            subtract(&mut free[target.at()], &kind.need);
        }
    }
    free
}

/// The imbalance of a placement, 0 to 1.
pub(crate) fn imbalance(problem: &Problem, placement: &Placement) -> f64 {
    excess(problem, &free_after(problem, placement), &free_after(problem, placement))
}

/// The most by which a host with this room left exceeds the average that `total` gives.
fn excess(problem: &Problem, free: &[Amounts], total: &[Amounts]) -> f64 {
    let averages = averages(problem, total);
    let of_host = |(at, class): (usize, usize)| share(&problem.hosts[at], &free[at], class) - averages[class];
    counted(problem).map(of_host).fold(0.0, f64::max)
}

/// By class, the used share of all counted hosts together, when they have this room left.
#[expect(clippy::cast_precision_loss, reason = "amounts are within 2^53")]
fn averages(problem: &Problem, free: &[Amounts]) -> Vec<f64> {
    let (mut used, mut capacity) = (vec![0.0; problem.classes.len()], vec![0.0; problem.classes.len()]);
    for (at, class) in counted(problem) {
        let host = &problem.hosts[at];
        used[class] += (host.capacity[class] - free[at][class]) as f64;
        capacity[class] += host.capacity[class] as f64;
    }
    used.iter().zip(capacity).map(|(used, capacity)| used / capacity.max(1.0)).collect()
}

/// The used share of a host that has this room left.
#[expect(clippy::cast_precision_loss, reason = "amounts are within 2^53")]
fn share(host: &HostFacts, free: &Amounts, class: usize) -> f64 {
    (host.capacity[class] - free[class]) as f64 / host.capacity[class] as f64
}

/// What is measured: every class a host has any of, on hosts that are up and not emptied.
fn counted(problem: &Problem) -> impl Iterator<Item = (usize, usize)> + '_ {
    let hosts = problem.hosts.iter().enumerate().filter(|(_, host)| host.up && !host.evacuated);
    hosts.flat_map(|(at, host)| {
        (0..host.capacity.len()).filter(|class| host.capacity[*class] > 0).map(move |class| (at, class))
    })
}

fn add(amounts: &mut Amounts, more: &Amounts) {
    amounts.iter_mut().zip(more).for_each(|(amount, more)| *amount += more);
}

fn subtract(amounts: &mut Amounts, less: &Amounts) {
    amounts.iter_mut().zip(less).for_each(|(amount, less)| *amount -= less);
}
