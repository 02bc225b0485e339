//! The stranger against every execution: plans with an edge of `after` dropped or a target swapped, where it must find
//! exactly what trying all executions finds.

use std::collections::HashSet;

use decant_planner::check::{Violation, check};
use decant_schema::fleet::GroupPolicy;
use decant_schema::plan::Plan;
use decant_schema::request::RequestKind;

use crate::facts::Facts;
use crate::fleets::{Shape, case};
use crate::planned::planned;

/// A move as the simulation sees it: who, from where, to where, and the moves that must have ended.
struct Step {
    instance: usize,
    source: usize,
    target: usize,
    after: Vec<usize>,
}

fn steps(facts: &Facts<'_>, plan: &Plan) -> Vec<Step> {
    let host = |name: &str| facts.fleet.host_index(name).unwrap();
    plan.moves
        .iter()
        .map(|line| Step {
            instance: facts.fleet.instance_index(line.instance.as_str()).unwrap(),
            source: host(line.source.as_str()),
            target: host(line.target.as_str()),
            after: line.after.iter().map(|after| after.0 as usize - 1).collect(),
        })
        .collect()
}

/// How far each move is.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Progress {
    Waiting,
    Running,
    Ended,
}

/// Whether some execution that respects `after` overfills a host, brings too many of a group together, or takes an
/// instance on before it is there.
fn some_execution_fails(facts: &Facts<'_>, plan: &Plan) -> bool {
    let steps = steps(facts, plan);
    let start = vec![Progress::Waiting; steps.len()];
    let mut seen = HashSet::from([start.clone()]);
    let mut open = vec![start];
    while let Some(now) = open.pop() {
        if overfull(facts, &steps, &now) || crowded(facts, &steps, &now) {
            return true;
        }
        for (at, step) in steps.iter().enumerate() {
            let mut next = now.clone();
            next[at] = match now[at] {
                Progress::Waiting if step.after.iter().all(|after| now[*after] == Progress::Ended) => {
                    let brought = |before: &Step| before.instance == step.instance && before.target == step.source;
                    if (0..at).any(|before| brought(&steps[before]) && now[before] != Progress::Ended) {
                        return true;
                    }
                    Progress::Running
                }
                Progress::Running => Progress::Ended,
                Progress::Waiting | Progress::Ended => continue,
            };
            if seen.insert(next.clone()) {
                open.push(next);
            }
        }
    }
    false
}

/// How many more of something are on a host than at the start, each step counting `amount`.
fn beyond(steps: &[Step], now: &[Progress], host: usize, amount: impl Fn(&Step) -> i64) -> i64 {
    let arrived =
        steps.iter().zip(now).filter(|(step, progress)| step.target == host && **progress != Progress::Waiting);
    let left = steps.iter().zip(now).filter(|(step, progress)| step.source == host && **progress == Progress::Ended);
    arrived.map(|(step, _)| amount(step)).sum::<i64>() - left.map(|(step, _)| amount(step)).sum::<i64>()
}

fn overfull(facts: &Facts<'_>, steps: &[Step], now: &[Progress]) -> bool {
    facts.hosts().any(|host| {
        let (capacity, used) = (facts.capacity(host), facts.used(host));
        (0..facts.classes.len()).any(|class| {
            used[class] + beyond(steps, now, host, |step| facts.claim(step.instance)[class])
                > capacity[class].max(used[class])
        })
    })
}

fn crowded(facts: &Facts<'_>, steps: &[Step], now: &[Progress]) -> bool {
    facts.groups(GroupPolicy::AntiAffinity).iter().any(|(members, max_per_host)| {
        facts.hosts().any(|host| {
            let there = members.iter().filter(|member| facts.home(**member) == host).count();
            let more = beyond(steps, now, host, |step| i64::from(members.contains(&step.instance)));
            i64::try_from(there).unwrap() + more > i64::try_from((*max_per_host).max(there)).unwrap()
        })
    })
}

/// Whether the stranger finds that some execution fails.
fn found_to_fail(facts: &Facts<'_>, plan: &Plan) -> bool {
    let fails = |violation: &Violation| {
        matches!(
            violation,
            Violation::Overfull { .. } | Violation::AntiAffinity { .. } | Violation::HopNotLinked { .. }
        )
    };
    check(facts.fleet, plan).violations.iter().any(fails)
}

/// Every plan that differs from this one by an edge less, or by another target of an instance's last move.
fn spoilt(plan: &Plan) -> Vec<Plan> {
    let mut spoilt = Vec::new();
    for at in 0..plan.moves.len() {
        for edge in 0..plan.moves[at].after.len() {
            let mut without = plan.clone();
            without.moves[at].after.remove(edge);
            spoilt.push(without);
        }
        let last = plan.moves[at + 1..].iter().all(|later| later.instance != plan.moves[at].instance);
        for usage in plan.hosts.iter().filter(|usage| last && usage.name != plan.moves[at].source) {
            let mut elsewhere = plan.clone();
            elsewhere.moves[at].target = usage.name.clone();
            spoilt.push(elsewhere);
        }
    }
    spoilt
}

#[test]
fn the_stranger_finds_exactly_what_all_executions_show() {
    let (mut holding, mut failing) = (0, 0);
    for seed in 3000..3500 {
        let (fleet, request) = case(seed, Shape { hosts: 4, instances_per_host: 4, fill_percent: 100, flavors: 3 });
        let plan = planned(&fleet, &request);
        if !matches!(request.kind, RequestKind::Evacuate { .. }) || plan.moves.len() > 7 {
            continue;
        }
        let facts = Facts::new(&fleet, &request);
        for (nth, spoilt) in [vec![plan.clone()], spoilt(&plan)].concat().iter().enumerate() {
            let fails = some_execution_fails(&facts, spoilt);
            assert_eq!(found_to_fail(&facts, spoilt), fails, "seed {seed}, variant {nth}: {:#?}", spoilt.moves);
            *if fails { &mut failing } else { &mut holding } += 1;
        }
    }
    assert!(holding > 100 && failing > 50, "{holding} hold and {failing} fail: too few to tell");
}
