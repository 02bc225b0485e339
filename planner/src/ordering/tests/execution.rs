//! Executions that respect `after` and nothing else: moves start and end in any order that allows.

use std::collections::BTreeMap;

use decant_schema::fleet::GroupPolicy;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::ordering::Schedule;
use crate::problem::{Problem, Task};

/// Executions tried per schedule.
const EXECUTIONS: u64 = 30;

/// Runs a schedule in random ways and fails where a host or a group is ever beyond its limit, or the end is not the
/// placement; also where an edge of `after` follows from the others.
pub(super) fn holds_in_every_execution(problem: &Problem, schedule: &Schedule, seed: u64) {
    no_edge_follows_from_others(schedule, seed);
    for execution in 0..EXECUTIONS {
        let mut rng = ChaCha8Rng::seed_from_u64(seed * EXECUTIONS + execution);
        // Some executions hold everything as long as they can: the worst that transient room can meet.
        let eager = [0.5, 0.9, 0.99][rng.random_range(0..3)];
        Execution::new(problem, schedule).run(&mut rng, eager, seed);
    }
}

fn no_edge_follows_from_others(schedule: &Schedule, seed: u64) {
    let mut follows: Vec<Vec<bool>> = Vec::new();
    for (at, scheduled) in schedule.moves.iter().enumerate() {
        let mut row = vec![false; at];
        for earlier in &scheduled.after {
            let implied = scheduled.after.iter().any(|other| other > earlier && follows[*other][*earlier]);
            assert!(!implied, "seed {seed}: move {at} waits for {earlier} twice over");
            row[*earlier] = true;
            follows[*earlier].iter().enumerate().for_each(|(before, yes)| row[before] |= yes);
        }
        assert!(scheduled.after.windows(2).all(|pair| pair[0] < pair[1]), "seed {seed}: not in order or doubled");
        follows.push(row);
    }
}

struct Execution<'a> {
    problem: &'a Problem,
    schedule: &'a Schedule,
    started: Vec<bool>,
    ended: Vec<bool>,
}

impl<'a> Execution<'a> {
    fn new(problem: &'a Problem, schedule: &'a Schedule) -> Self {
        let count = schedule.moves.len();
        Self { problem, schedule, started: vec![false; count], ended: vec![false; count] }
    }

    fn run(mut self, rng: &mut ChaCha8Rng, eager: f64, seed: u64) {
        let at_start = self.usage();
        let members_at_start = self.members();
        while self.ended.contains(&false) {
            let may_start = |at: &usize| {
                !self.started[*at] && self.schedule.moves[*at].after.iter().all(|earlier| self.ended[*earlier])
            };
            let startable: Vec<usize> = (0..self.started.len()).filter(may_start).collect();
            let running: Vec<usize> =
                (0..self.started.len()).filter(|at| self.started[*at] && !self.ended[*at]).collect();
            assert!(!startable.is_empty() || !running.is_empty(), "seed {seed}: nothing can start or end");
            if running.is_empty() || (!startable.is_empty() && rng.random_bool(eager)) {
                self.started[startable[rng.random_range(0..startable.len())]] = true;
            } else {
                self.ended[running[rng.random_range(0..running.len())]] = true;
            }
            self.within_limits(&at_start, &members_at_start, seed);
        }
        self.ends_as_placed(seed);
    }

    /// Where an instance counts, with how much: its source until a move has ended, its target from its start.
    fn holdings(&self) -> Vec<(usize, usize, Vec<i64>)> {
        let mut holdings = Vec::new();
        for (at, facts) in self.problem.instances.iter().enumerate() {
            let kind = &self.problem.kinds[facts.kind.at()];
            let mut here = facts.host;
            let mut amounts = kind.claim.to_vec();
            for (position, scheduled) in self.schedule.moves.iter().enumerate() {
                if scheduled.instance.at() != at || !self.started[position] {
                    continue;
                }
                assert_eq!(scheduled.source, here, "a move starts where the one before it ended");
                let new = if facts.task == Task::Resize { kind.need.to_vec() } else { amounts.clone() };
                if self.ended[position] {
                    here = scheduled.target;
                    amounts = new;
                } else if scheduled.target == here {
                    amounts = amounts.iter().zip(&new).map(|(old, new)| *old.max(new)).collect();
                } else {
                    holdings.push((at, scheduled.target.at(), new));
                }
            }
            holdings.push((at, here.at(), amounts));
        }
        holdings
    }

    fn usage(&self) -> Vec<Vec<i64>> {
        let mut usage: Vec<Vec<i64>> = self.problem.hosts.iter().map(|host| vec![0; host.capacity.len()]).collect();
        for (_, host, amounts) in self.holdings() {
            usage[host].iter_mut().zip(amounts).for_each(|(used, amount)| *used += amount);
        }
        usage
    }

    fn members(&self) -> BTreeMap<(usize, usize), u32> {
        let mut members = BTreeMap::new();
        for (instance, host, _) in self.holdings() {
            for group in &self.problem.instances[instance].groups {
                if self.problem.groups[group.at()].policy == GroupPolicy::AntiAffinity {
                    *members.entry((group.at(), host)).or_insert(0) += 1;
                }
            }
        }
        members
    }

    fn within_limits(&self, at_start: &[Vec<i64>], members_at_start: &BTreeMap<(usize, usize), u32>, seed: u64) {
        for (host, used) in self.usage().into_iter().enumerate() {
            for (class, used) in used.into_iter().enumerate() {
                // Free at the start is what the claims at the start leave: their sum is the rest of the limit.
                let limit = at_start[host][class] + self.problem.hosts[host].free[class].max(0);
                assert!(used <= limit, "seed {seed}: host {host} holds {used} of {limit}");
            }
        }
        for ((group, host), members) in self.members() {
            let before = members_at_start.get(&(group, host)).copied().unwrap_or(0);
            let limit = self.problem.groups[group].max_per_host.max(before);
            assert!(members <= limit, "seed {seed}: {members} members of group {group} on host {host}");
        }
    }

    fn ends_as_placed(&self, seed: u64) {
        for (instance, host, _) in self.holdings() {
            assert_eq!(self.schedule.placement.host[instance].at(), host, "seed {seed}: instance {instance}");
        }
    }
}
