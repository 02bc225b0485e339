//! Tiny fleets against brute force: every way to move one instance after another, hops among them.
//!
//! Any execution of a plan that does one move at a time is such a way, so what is reached here is what can be reached.

use std::collections::{BTreeSet, HashSet, VecDeque};

use decant_schema::fleet::GroupPolicy;
use decant_schema::plan::TierName;
use decant_schema::request::RequestKind;

use crate::facts::{Facts, Task};
use crate::fleets::{Shape, case};
use crate::planned::{planned, reached, whole};

/// Where everybody is, and who has moved.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Scene {
    at: Vec<usize>,
    moved: Vec<bool>,
}

/// What can be reached, the least first: refusals, then memory displaced.
pub(crate) fn best(facts: &Facts<'_>) -> (i64, i64) {
    let start =
        Scene { at: facts.instances().map(|at| facts.home(at)).collect(), moved: vec![false; facts.instances().len()] };
    let mut seen = HashSet::from([start.clone()]);
    let mut open = VecDeque::from([start]);
    let mut best = (i64::MAX, i64::MAX);
    while let Some(scene) = open.pop_front() {
        best = best.min(score(facts, &scene).unwrap_or(best));
        for instance in facts.instances().filter(|at| may_move(facts, *at)) {
            for host in facts.hosts().filter(|host| can_arrive(facts, &scene, instance, *host)) {
                let mut next = scene.clone();
                next.at[instance] = host;
                next.moved[instance] = true;
                if seen.insert(next.clone()) {
                    open.push_back(next);
                }
            }
        }
    }
    best
}

fn may_move(facts: &Facts<'_>, at: usize) -> bool {
    match facts.task(at) {
        Task::Leave => !facts.fixed(at),
        Task::MayMove => true,
        Task::Resize | Task::Stay => false,
    }
}

/// Whether an instance may go to a host now, where its group and its room are held at both ends.
fn can_arrive(facts: &Facts<'_>, scene: &Scene, instance: usize, host: usize) -> bool {
    if !facts.admits(instance, scene.at[instance], host) {
        return false;
    }
    let limits = facts.capacity(host).into_iter().zip(facts.used(host)).map(|(capacity, used)| capacity.max(used));
    let room = used(facts, scene, host).into_iter().zip(facts.need(instance)).zip(limits);
    let groups = facts.groups(GroupPolicy::AntiAffinity);
    let apart = groups.iter().filter(|(members, _)| members.contains(&instance)).all(|(members, max_per_host)| {
        let count = |of: &dyn Fn(usize) -> usize| members.iter().filter(|member| of(**member) == host).count();
        count(&|member| scene.at[member]) < (*max_per_host).max(count(&|member| facts.home(member)))
    });
    apart && room.into_iter().all(|((used, need), limit)| need == 0 || used + need <= limit)
}

fn used(facts: &Facts<'_>, scene: &Scene, host: usize) -> Vec<i64> {
    let mut used = facts.used(host);
    for at in facts.instances() {
        let sign = i64::from(scene.at[at] == host) - i64::from(facts.home(at) == host);
        used.iter_mut().zip(facts.claim(at)).for_each(|(used, claim)| *used += sign * claim);
    }
    used
}

/// Refusals and memory displaced, if everything may end so.
fn score(facts: &Facts<'_>, scene: &Scene) -> Option<(i64, i64)> {
    for host in facts.hosts() {
        let came = facts.instances().filter(|at| scene.at[*at] == host && facts.home(*at) != host);
        let mut received = vec![0; facts.classes.len()];
        came.for_each(|at| received.iter_mut().zip(facts.need(at)).for_each(|(sum, need)| *sum += need));
        let end = used(facts, scene, host).into_iter().zip(facts.allowed(host)).zip(received);
        if end.into_iter().any(|((used, allowed), received)| received > 0 && used > allowed) {
            return None;
        }
    }
    for (members, _) in facts.groups(GroupPolicy::Affinity).iter().filter(|(members, _)| members.len() > 1) {
        let hosts =
            |of: &dyn Fn(usize) -> usize| members.iter().map(|member| of(*member)).collect::<BTreeSet<_>>().len();
        let alone = |member: usize| members.iter().filter(|other| scene.at[**other] == scene.at[member]).count() == 1;
        let spread = hosts(&|member| scene.at[member]) > hosts(&|member| facts.home(member));
        if spread || members.iter().any(|member| scene.at[*member] != facts.home(*member) && alone(*member)) {
            return None;
        }
    }
    let of = |task: Task| facts.instances().filter(move |at| facts.task(*at) == task);
    let refused = of(Task::Leave).filter(|at| scene.at[*at] == facts.home(*at)).count();
    let displaced = of(Task::MayMove).filter(|at| scene.moved[*at]).map(|at| facts.memory(at)).sum();
    Some((i64::try_from(refused).unwrap(), displaced))
}

#[test]
fn no_plan_of_a_tiny_fleet_refuses_or_displaces_more_than_brute_force() {
    let mut bad = Vec::new();
    let mut compared = 0;
    for seed in 2000..2400 {
        let shape = Shape { hosts: 3, instances_per_host: 3, fill_percent: 100, flavors: 3 };
        let (fleet, mut request) = case(seed, shape);
        request.options.count_first = true;
        let evacuation = matches!(request.kind, RequestKind::Evacuate { .. });
        if !evacuation || fleet.instances().len() > 7 {
            continue;
        }
        compared += 1;
        let plan = planned(&fleet, &request);
        let found = (whole(reached(&plan, TierName::Refused)), whole(reached(&plan, TierName::DisplacedMemoryMb)));
        let best = best(&Facts::new(&fleet, &request));
        if found != best {
            bad.push(format!("seed {seed}: the plan reaches {found:?}, brute force {best:?}"));
        }
    }
    assert!(compared > 50, "only {compared} fleets were small enough");
    assert!(bad.is_empty(), "{}", bad.join("\n"));
}
