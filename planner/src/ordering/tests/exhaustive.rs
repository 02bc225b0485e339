//! Every way to move instances about, one at a time: what is possible at all, and at which cost.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashSet};

use decant_schema::fleet::GroupPolicy;

use crate::problem::{HostIdx, InstanceIdx, Placement, Problem, Task};

/// The least memory of third parties that must move so that a placement is reached, or `None` if it never is.
/// Third parties the placement leaves where they are may end anywhere.
pub(super) fn least_stepping_aside(problem: &Problem, placement: &Placement) -> Option<i64> {
    let start: Vec<(usize, bool)> = problem.instances.iter().map(|facts| (facts.host.at(), false)).collect();
    let mut seen = HashSet::new();
    let mut open = BinaryHeap::from([(Reverse(0_i64), start)]);
    while let Some((Reverse(cost), state)) = open.pop() {
        if !seen.insert(state.clone()) {
            continue;
        }
        if (0..state.len()).all(|at| !is_asked(problem, placement, at) || state[at].0 == placement.host[at].at()) {
            return Some(cost);
        }
        for at in (0..state.len()).filter(|at| problem.instances[*at].task != Task::Stay) {
            for target in (0..problem.hosts.len()).filter(|target| may_go(problem, placement, &state, at, *target)) {
                let mut next = state.clone();
                next[at] = (target, true);
                let first_time = !state[at].1 && !is_asked(problem, placement, at);
                let memory = if first_time { problem.kind(InstanceIdx::new(at)).memory } else { 0 };
                open.push((Reverse(cost + memory), next));
            }
        }
    }
    None
}

fn is_asked(problem: &Problem, placement: &Placement, at: usize) -> bool {
    placement.host[at] != problem.instances[at].host
}

fn may_go(problem: &Problem, placement: &Placement, state: &[(usize, bool)], at: usize, target: usize) -> bool {
    let instance = InstanceIdx::new(at);
    let goal = is_asked(problem, placement, at) && placement.host[at].at() == target;
    if state[at].0 == target || !(goal || problem.admits(instance, HostIdx::new(target))) {
        return false;
    }
    let there =
        |state: &[(usize, bool)]| -> Vec<usize> { (0..state.len()).filter(|at| state[*at].0 == target).collect() };
    let start: Vec<(usize, bool)> = problem.instances.iter().map(|facts| (facts.host.at(), false)).collect();
    let need = |at: usize, class: usize| problem.kind(InstanceIdx::new(at)).need[class];
    let fits = (0..problem.classes.len()).all(|class| {
        let used = |state: &[(usize, bool)]| there(state).iter().map(|at| need(*at, class)).sum::<i64>();
        used(state) + need(at, class) <= used(&start) + problem.hosts[target].free[class].max(0)
    });
    let apart = problem.instances[at].groups.iter().all(|group| {
        let group = &problem.groups[group.at()];
        let members = |state: &[(usize, bool)]| {
            let there = there(state);
            u32::try_from(group.members.iter().filter(|member| there.contains(&member.at())).count()).unwrap()
        };
        group.policy != GroupPolicy::AntiAffinity || members(state) < group.max_per_host.max(members(&start))
    });
    fits && apart
}
