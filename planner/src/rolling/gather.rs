//! Gathering what is free on many hosts, so that more of them are out in one round.
//!
//! What hosts have free together is what can be out at a time; spread over all of them it empties few. So the first round
//! takes out as many as find room once third parties make way for their instances, and whoever moves for that moves again
//! in its own turn. The room that is gathered so is at hand in every later round. There, too, others may make way for one
//! host more, but only on hosts that are done or have no turn. How much may be moved twice is limited.

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::sync::Arc;

use rayon::prelude::*;

use crate::ordering;
use crate::problem::{HostIdx, HostSet, InstanceIdx, Problem, Task};
use crate::{Limits, part, placement};

use super::round::{Assignments, LATER, RoundPlanner, priority};

/// Moves of the first round, percent of the instances of a part of the fleet: nearly all of them move again.
const GATHERING_PERCENT: usize = 14;

/// Moves beyond one for each instance until the end, percent.
const AGAIN_PERCENT: usize = 18;

/// So few moves are never too many: in a small fleet they are a large share, and take no time.
const FEW_MOVES: usize = 20;

/// How many moves there may be beyond one for each of so many instances.
pub(super) fn again_max(instances: usize) -> usize {
    (instances * AGAIN_PERCENT / 100).max(FEW_MOVES)
}

/// Hosts tried in a later round after those that find room directly: each takes a placement.
const TRIED_MAX: usize = 2;

/// Of the time that is left, what the cheapest way to gather room in a part of the fleet may take at most.
const CHEAPEST_PERCENT: u32 = 15;

/// Hosts that are out in a round, and where everybody goes.
#[derive(Clone, Default)]
pub(super) struct Set {
    pub(super) hosts: Vec<HostIdx>,
    pub(super) moves: Assignments,
    /// Whether more time might have found a better one.
    pub(super) cut_short: bool,
}

impl Set {
    fn of_hosts(&self, now: &Problem, is_here: impl Fn(HostIdx) -> bool) -> Self {
        let home = |at: InstanceIdx| now.instances[at.at()].host;
        Self {
            hosts: self.hosts.iter().copied().filter(|host| is_here(*host)).collect(),
            moves: self.moves.iter().copied().filter(|(at, _)| is_here(home(*at))).collect(),
            cut_short: self.cut_short,
        }
    }

    fn join(&mut self, other: Self) {
        self.hosts.extend(other.hosts);
        self.moves.extend(other.moves);
        self.cut_short |= other.cut_short;
    }
}

impl RoundPlanner<'_> {
    /// The first round with what is free gathered, part of the fleet by part, where that takes more out than fits directly.
    pub(super) fn opening(&self, listed: &[HostIdx]) -> Set {
        let now = self.state.now();
        let direct = self.direct(listed, usize::MAX);
        let parts = part::roots(now);
        let all: BTreeSet<usize> = listed.iter().map(|host| parts[host.at()]).collect();
        let of_part = |part: usize| {
            let direct = direct.of_hosts(now, |host| parts[host.at()] == part);
            let hosts = (0..parts.len()).filter(|at| parts[*at] == part).map(HostIdx::new).collect();
            let candidates = listed.iter().copied().filter(|host| parts[host.at()] == part).collect();
            Gathering::new(self, hosts, usize::MAX).opening(direct, candidates)
        };
        let all: Vec<usize> = all.into_iter().collect();
        let of_parts: Vec<Set> = all.into_par_iter().with_max_len(1).map(of_part).collect();
        of_parts.into_iter().fold(Set::default(), |mut set, of_part| {
            set.join(of_part);
            set
        })
    }

    /// The same set with hosts more for which others on hosts that are done make way. `tight` is what is
    /// known of that.
    pub(super) fn added_to(&self, direct: &Set, remaining: &[HostIdx], most: usize, tight: &mut Tight) -> Set {
        let now = self.state.now();
        let parts = part::roots(now);
        let all: BTreeSet<usize> = remaining.iter().map(|host| parts[host.at()]).collect();
        let mut set = Set::default();
        for part in all {
            let here = |host: HostIdx| parts[host.at()] == part;
            let receives = |at: &usize| parts[*at] == part && self.rank(*at) < LATER;
            let receivers = (0..parts.len()).filter(receives).map(HostIdx::new).collect();
            let direct = direct.of_hosts(now, here);
            let others = |host: &HostIdx| here(*host) && !direct.hosts.contains(host);
            let candidates = remaining.iter().copied().filter(others).collect();
            let gathering = Gathering::new(self, receivers, most - set.hosts.len());
            set.join(gathering.added_to(direct, candidates, tight));
        }
        set
    }
}

/// What is known of adding hosts to rounds.
pub(super) struct Tight {
    /// How many may still move again.
    pub(super) again: usize,
    /// The least share of what is free, in millionths, that could not be taken.
    failed: i64,
}

impl Tight {
    /// Nothing is known yet.
    pub(super) fn new(again: usize) -> Self {
        Self { again, failed: i64::MAX }
    }
}

/// One part of the fleet in one round.
struct Gathering<'a> {
    planner: &'a RoundPlanner<'a>,
    now: &'a Problem,
    /// Hosts that may take somebody in, unless they are out.
    receivers: Vec<HostIdx>,
    /// Hosts that may be out.
    most: usize,
}

impl<'a> Gathering<'a> {
    fn new(planner: &'a RoundPlanner<'a>, receivers: Vec<HostIdx>, most: usize) -> Self {
        Self { planner, now: planner.state.now(), receivers, most }
    }

    /// As many hosts as find room, the least full first: the number is bisected, and from there on the moves are counted.
    fn opening(&self, direct: Set, mut candidates: Vec<HostIdx>) -> Set {
        let options = self.planner.options;
        candidates.retain(|host| self.leaves(*host));
        candidates.sort_by_key(|host| (Reverse(priority(self.now, *host, options)), self.fullness(*host), *host));
        let candidates = self.that_sums_allow(&[], &candidates);
        let (mut holding, mut beyond) = (0, candidates.len() + 1);
        while beyond - holding > 1 && !self.planner.limits.out_of_time() {
            let next = usize::midpoint(holding, beyond);
            if self.placed(&candidates[..next], &self.quick()).is_some() { holding = next } else { beyond = next }
        }
        let instances: usize = self.receivers.iter().map(|host| self.now.hosts[host.at()].instances.len()).sum();
        let moves_max = (instances * GATHERING_PERCENT / 100).max(FEW_MOVES);
        let mut cut_short = false;
        while holding > 0 && self.taken(&candidates[..holding]) > self.taken(&direct.hosts) {
            let hosts = candidates[..holding].to_vec();
            holding -= 1;
            if self.leaving(&hosts) > moves_max {
                continue;
            }
            let Some(mut moves) = self.placed(&hosts, &self.quick()) else { continue };
            if moves.len() > moves_max {
                let limits = self.planner.limits.percent_of_what_is_left(CHEAPEST_PERCENT);
                moves = self.placed(&hosts, &limits).unwrap_or(moves);
                cut_short |= limits.out_of_time();
            }
            if moves.len() <= moves_max {
                return Set { hosts, moves, cut_short };
            }
        }
        Set { cut_short, ..direct }
    }

    /// The set with hosts more.
    fn added_to(&self, mut set: Set, mut candidates: Vec<HostIdx>, tight: &mut Tight) -> Set {
        for _ in 0..TRIED_MAX {
            let with = |more: HostIdx| [&set.hosts[..], &[more]].concat();
            candidates.retain(|more| self.taken(&with(*more)) < tight.failed);
            let Some(more) = self.that_sums_allow(&set.hosts, &candidates).first().copied() else { break };
            if self.planner.limits.out_of_time() {
                break;
            }
            let hosts = with(more);
            candidates.retain(|host| *host != more);
            match self.placed(&hosts, &self.quick()) {
                Some(moves) if moves.len() - self.leaving(&hosts) <= tight.again => set = Set { hosts, moves, ..set },
                Some(_) => break,
                None => tight.failed = self.taken(&hosts),
            }
        }
        set
    }

    fn leaving(&self, hosts: &[HostIdx]) -> usize {
        hosts.iter().map(|host| self.now.hosts[host.at()].instances.len()).sum()
    }

    /// Whether every instance of a host may go anywhere at all.
    fn leaves(&self, host: HostIdx) -> bool {
        let instances = &self.now.hosts[host.at()].instances;
        instances.iter().all(|at| self.now.kind(*at).eligible.iter().any(|other| other != host))
    }

    /// Candidates, in their order, whose instances there is room for in sum beside those of the set.
    fn that_sums_allow(&self, set: &[HostIdx], candidates: &[HostIdx]) -> Vec<HostIdx> {
        let classes = 0..self.now.classes.len();
        let room = |class| {
            let free: i64 = self.receivers.iter().map(|host| self.free(*host, class)).sum();
            free - set.iter().map(|host| self.takes(*host, class)).sum::<i64>()
        };
        let mut left: Vec<i64> = classes.map(room).collect();
        let mut more = Vec::new();
        for host in candidates {
            let takes: Vec<i64> = (0..left.len()).map(|class| self.takes(*host, class)).collect();
            if set.len() + more.len() < self.most && takes.iter().zip(&left).all(|(takes, left)| takes <= left) {
                left.iter_mut().zip(takes).for_each(|(left, takes)| *left -= takes);
                more.push(*host);
            }
        }
        more
    }

    /// What a host that is out takes of the room there is: what is on it, and what it has free itself.
    fn takes(&self, host: HostIdx, class: usize) -> i64 {
        self.used(host, class) + if self.receivers.contains(&host) { self.free(host, class) } else { 0 }
    }

    fn used(&self, host: HostIdx, class: usize) -> i64 {
        self.now.hosts[host.at()].instances.iter().map(|at| self.now.kind(*at).claim[class]).sum()
    }

    fn free(&self, host: HostIdx, class: usize) -> i64 {
        let facts = &self.now.hosts[host.at()];
        if facts.receives { (facts.free[class] - facts.keep[class]).max(0) } else { 0 }
    }

    /// The greatest share of what is free, of any class, that these hosts take, in millionths.
    fn taken(&self, hosts: &[HostIdx]) -> i64 {
        let share = |class: usize| {
            let free: i64 = self.receivers.iter().map(|host| self.free(*host, class)).sum();
            let takes: i64 = hosts.iter().map(|host| self.takes(*host, class)).sum();
            takes.saturating_mul(1_000_000) / free.max(1)
        };
        (0..self.now.classes.len()).map(share).max().unwrap_or(0)
    }

    /// The greatest used share of any class, in millionths.
    fn fullness(&self, host: HostIdx) -> i64 {
        let capacity = &self.now.hosts[host.at()].capacity;
        let share = |class: usize| self.used(host, class).saturating_mul(1_000_000) / capacity[class].max(1);
        (0..capacity.len()).map(share).max().unwrap_or(0)
    }

    /// Where everybody goes so that these hosts are emptied and nobody goes to others than those that receive.
    fn placed(&self, hosts: &[HostIdx], limits: &Limits<'_>) -> Option<Assignments> {
        let mut problem = self.planner.emptied(hosts);
        let open: BTreeSet<HostIdx> = self.receivers.iter().chain(hosts).copied().collect();
        close(&mut problem, |host| !open.contains(&host));
        placed(&problem, limits)
    }

    fn quick(&self) -> Limits<'_> {
        self.planner.limits.with_effort(0)
    }
}

/// Where everybody goes so that what is asked of the fleet is done, others making way; `None` if that is not found.
pub(super) fn placed(problem: &Problem, limits: &Limits<'_>) -> Option<Assignments> {
    let placed = placement::place(problem, limits, &[]);
    let all = placed.placement.host.iter().enumerate().map(|(at, host)| (InstanceIdx::new(at), *host));
    let moves = all.filter(|(at, host)| problem.instances[at.at()].host != *host).collect();
    let holds = placed.refused.value == 0 && ordering::order(problem, &placed.placement, limits).is_ok();
    holds.then_some(moves)
}

/// Lets some hosts take part in nothing: they receive nobody, and nobody of theirs moves.
fn close(problem: &mut Problem, is_closed: impl Fn(HostIdx) -> bool) {
    let closed: Vec<HostIdx> = (0..problem.hosts.len()).map(HostIdx::new).filter(|host| is_closed(*host)).collect();
    for host in &closed {
        let facts = &mut problem.hosts[host.at()];
        facts.receives = false;
        facts.instances.iter().for_each(|at| problem.instances[at.at()].task = Task::Stay);
    }
    for kind in problem.kinds.iter_mut().filter(|kind| closed.iter().any(|host| kind.eligible.contains(*host))) {
        let mut eligible = HostSet::clone(&kind.eligible);
        closed.iter().for_each(|host| eligible.remove(*host));
        kind.eligible = Arc::new(eligible);
    }
}
