//! How evenly a placement fills the hosts, and how evenly any placement could.
//!
//! The measure is the tier `imbalance` of the plan: the most by which, on any host and in any class, the used share
//! of the capacity exceeds the same share over all hosts together. Its bound is the continuous relaxation: what may
//! move is sand, so only what must stay on a host can hold it above the average.

use crate::problem::{Amounts, HostFacts, InstanceIdx, Placement, Problem, Task};

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

/// No placement that refuses nobody is more even than this. `displaced` says whether third parties may move.
pub(crate) fn imbalance_bound(problem: &Problem, placement: &Placement, displaced: bool) -> f64 {
    let mut fixed: Vec<Amounts> = problem.hosts.iter().map(|host| host.free.clone()).collect();
    for instance in &problem.instances {
        let leaves = match instance.task {
            Task::Leave | Task::Resize => true,
            Task::MayMove => displaced,
            Task::Stay => false,
        };
        if leaves {
            add(&mut fixed[instance.host.at()], &problem.kinds[instance.kind.at()].claim);
        }
    }
    excess(problem, &fixed, &free_after(problem, placement))
}

/// The most by which a host with this room left exceeds the average that `total` gives.
#[expect(clippy::cast_precision_loss, reason = "amounts are within 2^53")]
fn excess(problem: &Problem, free: &[Amounts], total: &[Amounts]) -> f64 {
    let counts = |host: &HostFacts| host.up && !host.evacuated;
    (0..problem.classes.len())
        .map(|class| {
            let used = |host: &HostFacts, free: &Amounts| (host.capacity[class] - free[class]) as f64;
            let counted =
                || problem.hosts.iter().enumerate().filter(|(_, host)| counts(host) && host.capacity[class] > 0);
            let capacity: f64 = counted().map(|(_, host)| host.capacity[class] as f64).sum();
            let average = counted().map(|(at, host)| used(host, &total[at])).sum::<f64>() / capacity.max(1.0);
            counted()
                .map(|(at, host)| used(host, &free[at]) / host.capacity[class] as f64 - average)
                .fold(0.0, f64::max)
        })
        .fold(0.0, f64::max)
}

fn add(amounts: &mut Amounts, more: &Amounts) {
    amounts.iter_mut().zip(more).for_each(|(amount, more)| *amount += more);
}

fn subtract(amounts: &mut Amounts, less: &Amounts) {
    amounts.iter_mut().zip(less).for_each(|(amount, less)| *amount -= less);
}
