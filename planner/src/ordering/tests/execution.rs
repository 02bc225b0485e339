//! Executions that respect `after` and nothing else: moves start and end in any order that allows. None is fuller
//! anywhere than the peaks say, nor over a limit.

use std::collections::BTreeMap;

use decant_schema::fleet::GroupPolicy;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::ordering::Schedule;
use crate::ordering::peak::peaks;
use crate::problem::{Amounts, InstanceFacts, Problem};

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

/// Who holds what where, counted anew here: a source until its move has ended, a target from its start.
struct Execution<'a> {
    problem: &'a Problem,
    schedule: &'a Schedule,
    started: Vec<bool>,
    ended: Vec<bool>,
    /// By instance: where it is, and what it claims there.
    place: Vec<(usize, Vec<i64>)>,
    used: Vec<Vec<i64>>,
    members: BTreeMap<(usize, usize), u32>,
    /// By host: the most it may ever hold, as the schedule's moves say.
    peaks: Vec<Amounts>,
}

impl<'a> Execution<'a> {
    fn new(problem: &'a Problem, schedule: &'a Schedule) -> Self {
        let count = schedule.moves.len();
        let claim = |facts: &InstanceFacts| problem.kinds[facts.kind.at()].claim.to_vec();
        let mut execution = Self {
            problem,
            schedule,
            started: vec![false; count],
            ended: vec![false; count],
            place: problem.instances.iter().map(|facts| (facts.host.at(), claim(facts))).collect(),
            used: problem.hosts.iter().map(|host| vec![0; host.capacity.len()]).collect(),
            members: BTreeMap::new(),
            peaks: peaks(problem, &schedule.moves),
        };
        for instance in 0..problem.instances.len() {
            let (host, claim) = execution.place[instance].clone();
            execution.hold(host, &claim, 1);
            execution.join(instance, host, true);
        }
        execution
    }

    fn run(mut self, rng: &mut ChaCha8Rng, eager: f64, seed: u64) {
        let (used_at_start, members_at_start) = (self.used.clone(), self.members.clone());
        while self.ended.contains(&false) {
            let may_start = |at: &usize| {
                !self.started[*at] && self.schedule.moves[*at].after.iter().all(|earlier| self.ended[*earlier])
            };
            let startable: Vec<usize> = (0..self.started.len()).filter(may_start).collect();
            let running: Vec<usize> =
                (0..self.started.len()).filter(|at| self.started[*at] && !self.ended[*at]).collect();
            assert!(!startable.is_empty() || !running.is_empty(), "seed {seed}: nothing can start or end");
            if running.is_empty() || (!startable.is_empty() && rng.random_bool(eager)) {
                let at = startable[rng.random_range(0..startable.len())];
                self.start(at);
                self.within_limits(self.schedule.moves[at].target.at(), &used_at_start, &members_at_start, seed);
            } else {
                self.end(running[rng.random_range(0..running.len())]);
            }
        }
        for (instance, (host, _)) in self.place.iter().enumerate() {
            assert_eq!(self.schedule.placement.host[instance].at(), *host, "seed {seed}: instance {instance}");
        }
    }

    fn start(&mut self, at: usize) {
        let scheduled = &self.schedule.moves[at];
        let (here, claim) = self.place[scheduled.instance.at()].clone();
        assert_eq!(scheduled.source.at(), here, "a move starts where the one before it ended");
        let new = self.new_claim(at);
        if scheduled.target == scheduled.source {
            let growth: Vec<i64> = new.iter().zip(&claim).map(|(new, old)| (new - old).max(0)).collect();
            self.hold(here, &growth, 1);
        } else {
            self.hold(scheduled.target.at(), &new, 1);
            self.join(scheduled.instance.at(), scheduled.target.at(), true);
        }
        self.started[at] = true;
    }

    fn end(&mut self, at: usize) {
        let scheduled = &self.schedule.moves[at];
        let (here, claim) = self.place[scheduled.instance.at()].clone();
        let new = self.new_claim(at);
        if scheduled.target == scheduled.source {
            let shrinking: Vec<i64> = new.iter().zip(&claim).map(|(new, old)| (old - new).max(0)).collect();
            self.hold(here, &shrinking, -1);
        } else {
            self.hold(here, &claim, -1);
            self.join(scheduled.instance.at(), here, false);
        }
        self.place[scheduled.instance.at()] = (scheduled.target.at(), new);
        self.ended[at] = true;
    }

    fn new_claim(&self, at: usize) -> Vec<i64> {
        let instance = self.schedule.moves[at].instance;
        self.problem.kind(instance).need.to_vec()
    }

    fn hold(&mut self, host: usize, amounts: &[i64], sign: i64) {
        self.used[host].iter_mut().zip(amounts).for_each(|(used, amount)| *used += sign * amount);
    }

    fn join(&mut self, instance: usize, host: usize, comes: bool) {
        for group in &self.problem.instances[instance].groups {
            if self.problem.groups[group.at()].policy == GroupPolicy::AntiAffinity {
                let members = self.members.entry((group.at(), host)).or_insert(0);
                *members = if comes { *members + 1 } else { *members - 1 };
            }
        }
    }

    /// Only a start adds to a host, and only to its target.
    fn within_limits(
        &self,
        host: usize,
        used_at_start: &[Vec<i64>],
        members_at_start: &BTreeMap<(usize, usize), u32>,
        seed: u64,
    ) {
        for (class, used) in self.used[host].iter().enumerate() {
            let limit = used_at_start[host][class] + self.problem.hosts[host].free[class].max(0);
            assert!(*used <= limit, "seed {seed}: host {host} holds {used} of {limit}");
            let peak = self.peaks[host][class];
            assert!(*used <= peak, "seed {seed}: host {host} holds {used}, its peak is {peak}");
        }
        for group in 0..self.problem.groups.len() {
            let members = self.members.get(&(group, host)).copied().unwrap_or(0);
            let before = members_at_start.get(&(group, host)).copied().unwrap_or(0);
            let limit = self.problem.groups[group].max_per_host.max(before);
            assert!(members <= limit, "seed {seed}: {members} members of group {group} on host {host}");
        }
    }
}
