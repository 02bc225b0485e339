//! Which hosts have their turn next, and where their instances go.

use std::cmp::Reverse;
use std::ops::Range;

use decant_schema::request::RollingOptions;

use crate::capacity::emptied;
use crate::fit::Room;
use crate::ordering::{self, Schedule};
use crate::problem::{HostIdx, InstanceIdx, Placement, Problem};
use crate::{Limits, placement};

use super::End;
use super::calendar::Calendar;
use super::state::State;

/// Hosts for which displacement is tried when none can be emptied directly: each takes a placement.
const DISPLACEMENTS_MAX: usize = 8;

/// A target that had its turn, or may have no other.
const DONE: u8 = 0;
/// A target that has no turn.
const OUTSIDE: u8 = 1;
/// A target whose turn is still to come: who goes there moves again.
const LATER: u8 = 2;

/// A round that was chosen.
pub(super) struct Chosen {
    pub(super) hosts: Vec<HostIdx>,
    /// The moves that empty them.
    pub(super) out: Schedule,
    /// The moves home, once they are back.
    pub(super) back: Option<Back>,
}

/// The moves home.
pub(super) struct Back {
    pub(super) schedule: Schedule,
    /// When they begin, seconds.
    pub(super) begins_s: f64,
}

/// Which of equally important hosts are taken first.
#[derive(Clone, Copy, Debug)]
pub(super) enum First {
    /// Those with the least memory claimed: the first rounds are wide.
    LeastUsed,
    /// Those with the most: what is small fills the gaps that what is large leaves.
    MostUsed,
    /// Those with the largest instances, which find a place while there is most choice.
    LargestInstance,
}

/// Every order that is tried: none is best for all fleets, and each takes little time.
pub(super) const ORDERS: [First; 3] = [First::LeastUsed, First::MostUsed, First::LargestInstance];

/// The listed hosts, the most important first.
pub(super) fn by_value(problem: &Problem, listed: &[HostIdx], options: &RollingOptions, first: First) -> Vec<HostIdx> {
    let memory = |host: &HostIdx| problem.hosts[host.at()].instances.iter().map(|at| problem.kind(*at).memory);
    let rank = |host: &HostIdx| match first {
        First::LeastUsed => memory(host).sum(),
        First::MostUsed => -memory(host).sum::<i64>(),
        First::LargestInstance => -memory(host).max().unwrap_or(0),
    };
    let mut hosts = listed.to_vec();
    hosts.sort_by_key(|host| (Reverse(priority(problem, *host, options)), rank(host), *host));
    hosts
}

/// How much a host matters; greater matters more.
pub(super) fn priority(problem: &Problem, host: HostIdx, options: &RollingOptions) -> i32 {
    options.priorities.get(&problem.fleet.hosts()[host.at()].name).copied().unwrap_or(0)
}

/// The next round: as many of the remaining hosts as there is room, time and leave for, emptied by moves that start
/// within `open`, seconds from the beginning.
pub(super) fn choose(
    state: &State,
    remaining: &[HostIdx],
    options: &RollingOptions,
    open: Range<f64>,
    limits: &Limits<'_>,
) -> Result<Chosen, End> {
    let round = RoundPlanner { state, options, open, calendar: Calendar::new(options), limits };
    let most = options.max_out.map_or(usize::MAX, |most| most as usize);
    let frugal = round.direct(remaining, most, OUTSIDE);
    let begun = state.done.contains(&true);
    let trials = if frugal.0.len() < most.min(remaining.len()) && (!begun || frugal.0.is_empty()) {
        let generous = round.direct(remaining, most, LATER);
        if generous.0.len() > frugal.0.len() { vec![generous, frugal] } else { vec![frugal] }
    } else {
        vec![frugal]
    };
    let mut end = End::Stuck;
    for (hosts, placed) in trials {
        match round.as_many_as_hold(hosts, &placed) {
            Ok(chosen) => return Ok(chosen),
            Err(why) => end = why,
        }
    }
    if end == End::Window {
        return Err(end);
    }
    round.displacing(remaining)
}

struct RoundPlanner<'a> {
    state: &'a State,
    options: &'a RollingOptions,
    open: Range<f64>,
    calendar: Calendar,
    limits: &'a Limits<'a>,
}

type Assignments = Vec<(InstanceIdx, HostIdx)>;

impl RoundPlanner<'_> {
    /// The hosts, in their order, whose instances find room as things stand, on targets up to a rank.
    fn direct(&self, remaining: &[HostIdx], most: usize, rank_max: u8) -> (Vec<HostIdx>, Assignments) {
        let now = self.state.now();
        let mut room = Room::new(now);
        room.rank_max = rank_max;
        room.rank = (0..now.hosts.len()).map(|at| self.rank(at)).collect();
        let mut hosts = Vec::new();
        for host in remaining {
            let receives = room.placed().iter().any(|(_, target)| target == host);
            if hosts.len() == most || receives {
                continue;
            }
            room.out.insert(*host);
            if room.fit(&now.hosts[host.at()].instances) {
                hosts.push(*host);
            } else {
                room.out.remove(*host);
            }
        }
        (hosts, room.placed().to_vec())
    }

    /// With the way back, nobody stays where he goes, so that one target is as good as another.
    fn rank(&self, host: usize) -> u8 {
        match (self.options.way_back || self.state.done[host], self.state.listed[host]) {
            (true, _) => DONE,
            (false, false) => OUTSIDE,
            (false, true) => LATER,
        }
    }

    /// The first so many of these hosts that can be out together: in the window, with the spare hosts kept.
    fn as_many_as_hold(&self, mut hosts: Vec<HostIdx>, placed: &Assignments) -> Result<Chosen, End> {
        let mut end = End::Stuck;
        while !hosts.is_empty() {
            let problem = emptied(self.state.now(), &hosts);
            let mut placement = problem.standing();
            for (instance, target) in placed {
                if hosts.contains(&problem.instances[instance.at()].host) {
                    placement.host[instance.at()] = *target;
                }
            }
            match self.checked(&problem, hosts.clone(), &placement) {
                Ok(chosen) => return Ok(chosen),
                Err(why) => end = why,
            }
            hosts.pop();
        }
        Err(end)
    }

    fn checked(&self, problem: &Problem, hosts: Vec<HostIdx>, placement: &Placement) -> Result<Chosen, End> {
        let out = ordering::order(problem, placement, self.limits).map_err(|_| End::Stuck)?;
        self.complete(hosts, out)
    }

    /// Adds the way home, if one is asked for, and refuses what is outside the window or leaves no spare hosts.
    fn complete(&self, hosts: Vec<HostIdx>, out: Schedule) -> Result<Chosen, End> {
        let moved: Assignments = out.moves.iter().map(|line| (line.instance, line.target)).collect();
        let after = self.state.after(&hosts, &moved);
        if !spare_kept(&after, &hosts, self.options.spare_hosts as usize) {
            return Err(End::Stuck);
        }
        if self.open.start + last_start_s(&out) >= self.open.end {
            return Err(End::Window);
        }
        let returned_s = self.open.start + out.duration_s + self.options.outage_s;
        let back = self.options.way_back.then(|| self.way_back(&after, &moved, returned_s)).transpose()?;
        Ok(Chosen { hosts, out, back })
    }

    /// Everybody home, but those that would have to go live to an older hypervisor, as soon as there is time.
    fn way_back(&self, after: &Problem, moved: &Assignments, returned_s: f64) -> Result<Back, End> {
        let mut placement = after.standing();
        for (instance, _) in moved {
            let home = self.state.host[instance.at()];
            if after.admits(*instance, home) {
                placement.host[instance.at()] = home;
            }
        }
        let schedule = ordering::order(after, &placement, self.limits).map_err(|_| End::Stuck)?;
        let begins_s = self.calendar.beginning(returned_s, last_start_s(&schedule)).ok_or(End::Window)?;
        Ok(Back { schedule, begins_s })
    }

    /// The first host that can be emptied if third parties make room.
    fn displacing(&self, remaining: &[HostIdx]) -> Result<Chosen, End> {
        let mut end = End::Stuck;
        for host in remaining.iter().take(DISPLACEMENTS_MAX) {
            let problem = emptied(self.state.now(), &[*host]);
            let placed = placement::place(&problem, self.limits, &[]);
            if placed.refused.value > 0 {
                continue;
            }
            let Ok(out) = ordering::order(&problem, &placed.placement, self.limits) else { continue };
            match self.complete(vec![*host], out) {
                Ok(chosen) => return Ok(chosen),
                Err(why) => end = why,
            }
        }
        Err(end)
    }
}

/// When the last move starts, seconds after the first.
fn last_start_s(schedule: &Schedule) -> f64 {
    schedule.moves.iter().map(|line| line.start_s).fold(0.0, f64::max)
}

/// Whether, while these hosts are out, as many more could fail and all their instances find a place: the most used
/// ones, over all and in each zone.
fn spare_kept(after: &Problem, out: &[HostIdx], spare: usize) -> bool {
    let up: Vec<HostIdx> = (0..after.hosts.len())
        .map(HostIdx::new)
        .filter(|host| after.hosts[host.at()].up && !out.contains(host) && !after.hosts[host.at()].instances.is_empty())
        .collect();
    let mut room = Room::new(after);
    out.iter().for_each(|host| room.out.insert(*host));
    spare == 0
        || crate::capacity::worst_sets(after, &up, spare).iter().all(|failed| {
            failed.iter().for_each(|host| room.out.insert(*host));
            let instances: Vec<InstanceIdx> =
                failed.iter().flat_map(|host| after.hosts[host.at()].instances.iter().copied()).collect();
            let fits = room.fits(&instances);
            failed.iter().for_each(|host| room.out.remove(*host));
            fits
        })
}
