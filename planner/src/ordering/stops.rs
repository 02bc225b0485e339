//! Where an instance may stop on its way, and which third parties may step aside.
//!
//! On a small fleet: everywhere, and all of them, so that "no order" is proven. On a large one: the hosts that wait
//! for each other, those with most room to spare, and the third parties whose leaving would open such a stop.

use std::collections::HashSet;

use crate::problem::{HostIdx, InstanceIdx, Problem, Task};

use super::room::{Room, Step};
use super::search::Actor;

/// Fleets up to this many hosts are searched in full.
const HOSTS_ALL: usize = 12;

/// The stops tried per instance on larger fleets: one that has room is as good as another, so few are enough.
const STOPS_MAX: usize = 8;

/// The third parties tried per host, and in all, on larger fleets: a search over more finds nothing in its budget.
const HELPERS_PER_HOST: usize = 4;
const HELPERS_MAX: usize = 48;

/// Where instances may stop, at one moment.
pub(super) struct Stops<'a> {
    /// The hosts that wait for each other.
    knot: &'a [HostIdx],
    /// By host, then class: what is free beyond all that is still to arrive.
    spare: Vec<Box<[i64]>>,
    /// Whether nothing was left out.
    pub(super) complete: bool,
}

impl<'a> Stops<'a> {
    /// `all` are the moves of the whole placement, done or not.
    pub(super) fn new(room: &Room<'_>, knot: &'a [HostIdx], all: &[Step]) -> Self {
        let hosts = room.problem.hosts.len();
        let mut spare: Vec<Box<[i64]>> = (0..hosts).map(|host| room.free(HostIdx::new(host)).into()).collect();
        for step in all.iter().filter(|step| room.host(step.instance) != step.target) {
            for (class, spare) in spare[step.target.at()].iter_mut().enumerate() {
                *spare -= room.takes(*step, class);
            }
        }
        Self { knot, spare, complete: hosts <= HOSTS_ALL }
    }

    /// Where a moving instance may stop. Its goal counts too: it may have to leave it again.
    pub(super) fn of_mover(&self, room: &Room<'_>, step: Step) -> Vec<HostIdx> {
        let mut stops = self.of(room, step.instance);
        if !stops.is_empty() && !stops.contains(&step.target) {
            stops.push(step.target);
        }
        stops
    }

    /// The hosts the rules admit, those with room first.
    fn of(&self, room: &Room<'_>, instance: InstanceIdx) -> Vec<HostIdx> {
        if !room.may_hop(instance) {
            return Vec::new();
        }
        let here = room.host(instance);
        let eligible = room.problem.kind(instance).eligible.iter().filter(|host| *host != here);
        let mut hosts: Vec<HostIdx> = eligible.filter(|host| room.climbs(Step { instance, target: *host })).collect();
        hosts.sort_by(|a, b| {
            let shortfall = |host: HostIdx| self.shortfall(room.problem, instance, host);
            shortfall(*a).total_cmp(&shortfall(*b)).then(a.cmp(b))
        });
        if !self.complete {
            let best: HashSet<HostIdx> =
                hosts.iter().take(STOPS_MAX).copied().chain(self.knot.iter().copied()).collect();
            hosts.retain(|host| best.contains(host));
        }
        hosts
    }

    /// The greatest share of an instance's need that a host cannot spare; negative where it has room.
    fn shortfall(&self, problem: &Problem, instance: InstanceIdx, host: HostIdx) -> f64 {
        let needs = problem.kind(instance).need.iter().zip(&self.spare[host.at()]);
        let share = |(need, spare): (&i64, &i64)| (need - spare) as f64 / *need as f64;
        needs.filter(|(need, _)| **need > 0).map(share).fold(f64::NEG_INFINITY, f64::max)
    }

    /// Third parties that may step aside so that the movers find their room.
    pub(super) fn helpers(&self, room: &Room<'_>, movers: &[Actor], all: &[Step]) -> Vec<Actor> {
        let problem = room.problem;
        let moving: HashSet<InstanceIdx> = all.iter().map(|step| step.instance).collect();
        let mut helpers = Vec::new();
        for host in self.wanted_hosts(problem, movers) {
            let there = problem.hosts[host.at()].instances.iter().copied();
            let mut candidates: Vec<InstanceIdx> = there
                .filter(|at| problem.instances[at.at()].task == Task::MayMove && !moving.contains(at))
                .filter(|at| room.host(*at) == host)
                .collect();
            if !self.complete {
                self.keep_telling(problem, host, movers, &mut candidates);
            }
            helpers.extend(candidates);
        }
        if !self.complete {
            helpers.truncate(HELPERS_MAX);
        }
        let actor = |instance: InstanceIdx| Actor {
            instance,
            goal: room.host(instance),
            stops: self.of(room, instance),
            steps_aside: true,
        };
        helpers.into_iter().map(actor).filter(|actor| !actor.stops.is_empty()).collect()
    }

    /// The hosts on which a mover wants room: goals first, then stops.
    fn wanted_hosts(&self, problem: &Problem, movers: &[Actor]) -> Vec<HostIdx> {
        if self.complete {
            return (0..problem.hosts.len()).map(HostIdx::new).collect();
        }
        let mut seen = HashSet::new();
        let goals = movers.iter().map(|actor| actor.goal);
        let stops = movers.iter().flat_map(|actor| actor.stops.iter().copied());
        goals.chain(stops).filter(|host| seen.insert(*host)).collect()
    }

    /// Keeps the few whose leaving tells most: the least that alone make the room, then the largest.
    fn keep_telling(&self, problem: &Problem, host: HostIdx, movers: &[Actor], candidates: &mut Vec<InstanceIdx>) {
        let memory = |instance: InstanceIdx| problem.kind(instance).memory;
        let least = movers.iter().map(|actor| memory(actor.instance)).min().unwrap_or(0);
        let spare = problem.memory_class.map_or(0, |class| self.spare[host.at()][class]);
        let lacking = least - spare;
        candidates.sort_by_key(|at| {
            let enough = memory(*at) >= lacking;
            (!enough, if enough { memory(*at) } else { -memory(*at) }, *at)
        });
        candidates.truncate(HELPERS_PER_HOST);
    }
}
