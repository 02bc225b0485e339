//! Which hosts have their turn next, and where their instances go.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use decant_schema::request::RollingOptions;

use crate::capacity::{emptied, spares};
use crate::fit::Room;
use crate::ordering::{self, Schedule};
use crate::problem::{HostIdx, InstanceIdx, Placement, Problem};
use crate::{Limits, part};

use super::End;
use super::calendar::Calendar;
use super::gather::{Set, Tight, placed};
use super::state::State;

/// Hosts of a part of the fleet for which displacement is tried when none can be emptied directly: each takes a placement.
const DISPLACEMENTS_MAX: usize = 8;

/// Hosts that may be passed over in one round because they have no turn now.
const PASSED_OVER_MAX: usize = 32;

/// A target that had its turn, or may have no other.
const DONE: u8 = 0;
/// A target that has no turn.
const OUTSIDE: u8 = 1;
/// A target whose turn is still to come: who goes there moves again.
pub(super) const LATER: u8 = 2;

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
enum First {
    /// Those with the least memory claimed: the first rounds are wide.
    LeastUsed,
    /// Those with the most: what is small fills the gaps that what is large leaves.
    MostUsed,
    /// Those with the largest instances, which find a place while there is most choice.
    LargestInstance,
}

/// Where those go for whom there is no room on hosts that are done or have no turn.
#[derive(Clone, Copy)]
pub(super) enum Reach<'a> {
    /// Nowhere, but in the first rounds, where there is no other way to begin.
    Frugal,
    /// The same, everybody going to the emptiest host instead of the fullest: less fits, but hosts are filled evenly.
    Even,
    /// To hosts whose turn is still to come, wherever that widens a round: more moves, and fewer rounds.
    Generous,
    /// Nowhere, after a first round that gathered room.
    Gathered(&'a Set),
}

/// Those that take no placement, the one of fewer moves first.
pub(super) const REACHES: [Reach<'_>; 3] = [Reach::Frugal, Reach::Even, Reach::Generous];

/// Every order that is tried of many hosts: none is best for all fleets, and each takes little time.
const ORDERS: [First; 3] = [First::LeastUsed, First::MostUsed, First::LargestInstance];

/// Hosts of which every order is tried: of one more there are five times as many.
const EVERY_ORDER_MAX: usize = 4;

/// The orders that mostly do best.
pub(super) fn usual_orders(problem: &Problem, listed: &[HostIdx], options: &RollingOptions) -> Vec<Vec<HostIdx>> {
    ORDERS.iter().map(|first| by_value(problem, listed, options, *first)).collect()
}

/// Every order, where the hosts are few.
pub(super) fn every_order(listed: &[HostIdx]) -> Vec<Vec<HostIdx>> {
    if listed.len() <= EVERY_ORDER_MAX { permutations(listed) } else { Vec::new() }
}

fn permutations(hosts: &[HostIdx]) -> Vec<Vec<HostIdx>> {
    if hosts.is_empty() {
        return vec![Vec::new()];
    }
    let from = |first: &HostIdx| {
        let others: Vec<HostIdx> = hosts.iter().copied().filter(|other| other != first).collect();
        let first = *first;
        permutations(&others).into_iter().map(move |rest| [&[first], &rest[..]].concat())
    };
    hosts.iter().flat_map(from).collect()
}

/// The listed hosts, the most important first.
fn by_value(problem: &Problem, listed: &[HostIdx], options: &RollingOptions, first: First) -> Vec<HostIdx> {
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

/// No round: the host that could not be out even alone, and why.
struct Failed {
    first: Option<HostIdx>,
    end: End,
}

/// What is known from the rounds before.
pub(super) struct Known {
    /// Hosts that displacement does not empty, as their part of the fleet stands.
    pub(super) stuck: BTreeSet<HostIdx>,
    pub(super) tight: Tight,
}

/// Plans one round on the fleet as it stands then.
pub(super) struct RoundPlanner<'a> {
    pub(super) state: &'a State,
    pub(super) options: &'a RollingOptions,
    reach: Reach<'a>,
    open: Range<f64>,
    calendar: Calendar,
    pub(super) limits: &'a Limits<'a>,
}

pub(super) type Assignments = Vec<(InstanceIdx, HostIdx)>;

impl<'a> RoundPlanner<'a> {
    /// A round whose moves start within `open`, seconds from the beginning.
    pub(super) fn new(
        state: &'a State,
        options: &'a RollingOptions,
        reach: Reach<'a>,
        open: Range<f64>,
        limits: &'a Limits<'a>,
    ) -> Self {
        Self { state, options, reach, open, calendar: Calendar::new(options), limits }
    }

    /// As many of the remaining hosts as there is room, time and leave for. More becomes known on the way.
    pub(super) fn choose(&self, remaining: &[HostIdx], known: &mut Known) -> Result<Chosen, End> {
        let mut end = End::Stuck;
        let mut others = remaining.to_vec();
        for _ in 0..PASSED_OVER_MAX {
            if self.limits.out_of_time() {
                return Err(End::Time);
            }
            match self.of_these(&others, known) {
                Ok(chosen) => return Ok(chosen),
                Err(Failed { first: None, .. }) => break,
                // Where one has no turn now, those that matter less may.
                Err(Failed { first: Some(first), end: why }) => {
                    end = end.max(why);
                    others.retain(|host| *host != first);
                }
            }
        }
        Err(if self.limits.out_of_time() { End::Time } else { end })
    }

    /// A round of these, the first of which matter most.
    fn of_these(&self, remaining: &[HostIdx], known: &mut Known) -> Result<Chosen, Failed> {
        let most = self.options.max_out.map_or(usize::MAX, |most| most as usize);
        let direct = self.direct(remaining, most);
        let mut wide = match self.reach {
            Reach::Gathered(opening) if !self.state.done.contains(&true) && most >= opening.hosts.len() => {
                opening.clone()
            }
            Reach::Gathered(_) => self.added_to(&direct, remaining, most, &mut known.tight),
            Reach::Frugal | Reach::Even | Reach::Generous => direct.clone(),
        };
        self.displacing(remaining, &mut wide, most, &mut known.stuck);
        let first = wide.hosts.first().copied();
        let mut chosen = Err(End::Stuck);
        if wide.hosts != direct.hosts {
            chosen = self.all_of(&wide);
        }
        if chosen.is_err() && !direct.hosts.is_empty() {
            chosen = self.as_many_as_hold(&direct);
        }
        chosen.map_err(|end| Failed { first, end })
    }

    /// The hosts, in their order, whose instances find room as things stand. Hosts whose turn is still to come take
    /// somebody in where that widens rounds; in a part of the fleet that has not begun or would go without a host, too.
    pub(super) fn direct(&self, remaining: &[HostIdx], most: usize) -> Set {
        let now = self.state.now();
        let parts = part::roots(now);
        let done = (0..parts.len()).filter(|at| self.state.done[*at]);
        let begun: BTreeSet<usize> = done.map(|at| parts[at]).collect();
        let mut room = Room::new(now);
        room.is_even = matches!(self.reach, Reach::Even);
        room.rank = (0..now.hosts.len()).map(|at| self.rank(at)).collect();
        let mut hosts: Vec<HostIdx> = Vec::new();
        for stuck in [false, true] {
            let served: BTreeSet<usize> = hosts.iter().map(|host| parts[host.at()]).collect();
            for host in remaining {
                let part = parts[host.at()];
                let receives = room.placed().iter().any(|(_, target)| target == host);
                if hosts.len() == most || receives || stuck && served.contains(&part) {
                    continue;
                }
                let later = stuck || matches!(self.reach, Reach::Generous) || !begun.contains(&part);
                room.rank_max = if later { LATER } else { OUTSIDE };
                room.out.insert(*host);
                if room.fit(&now.hosts[host.at()].instances) {
                    hosts.push(*host);
                } else {
                    room.out.remove(*host);
                }
            }
        }
        Set { hosts, moves: room.placed().to_vec(), cut_short: false }
    }

    /// With the way back, nobody stays where he goes, so that one target is as good as another.
    pub(super) fn rank(&self, host: usize) -> u8 {
        match (self.options.way_back || self.state.done[host], self.state.listed[host]) {
            (true, _) => DONE,
            (false, false) => OUTSIDE,
            (false, true) => LATER,
        }
    }

    /// The fleet as it is now with these hosts to be emptied before the interval closes.
    pub(super) fn emptied(&self, hosts: &[HostIdx]) -> Problem {
        let mut problem = emptied(self.state.now(), hosts);
        problem.request.options.window_s = Some(self.open.end - self.open.start);
        problem
    }

    /// The first so many of these hosts that can be out together: in the window, with the spare hosts kept. Why not even
    /// the first, if it cannot. Of many hosts the number is bisected: ordering a round takes longer than filling it.
    fn as_many_as_hold(&self, set: &Set) -> Result<Chosen, End> {
        let hosts = &set.hosts;
        let (mut holding, mut beyond, mut next) = (0, hosts.len() + 1, hosts.len());
        let mut best = Err(End::Stuck);
        while next > holding {
            if self.limits.out_of_time() {
                return best.map_err(|_| End::Time);
            }
            let of_these = |(at, _): &&(InstanceIdx, HostIdx)| hosts[..next].contains(&self.home(*at));
            let moves = set.moves.iter().filter(of_these).copied().collect();
            match self.all_of(&Set { hosts: hosts[..next].to_vec(), moves, cut_short: false }) {
                Ok(chosen) => (holding, best) = (next, Ok(chosen)),
                Err(why) => {
                    beyond = next;
                    best = best.map_err(|_| why);
                }
            }
            next = usize::midpoint(holding, beyond);
        }
        best
    }

    pub(super) fn home(&self, instance: InstanceIdx) -> HostIdx {
        self.state.now().instances[instance.at()].host
    }

    /// All of these hosts out together, everybody where they were placed.
    fn all_of(&self, set: &Set) -> Result<Chosen, End> {
        let problem = self.emptied(&set.hosts);
        let mut placement = problem.standing();
        for (instance, target) in &set.moves {
            placement.host[instance.at()] = *target;
        }
        self.checked(&problem, set.hosts.clone(), &placement)
    }

    fn checked(&self, problem: &Problem, hosts: Vec<HostIdx>, placement: &Placement) -> Result<Chosen, End> {
        let out = ordering::order(problem, placement, self.limits).map_err(|_| End::Stuck)?;
        self.complete(hosts, out)
    }

    /// Adds the way home, if one is asked for, and refuses what is outside the window or leaves no spare hosts.
    fn complete(&self, hosts: Vec<HostIdx>, out: Schedule) -> Result<Chosen, End> {
        if self.open.start + out.last_start_s() >= self.open.end {
            return Err(End::Window);
        }
        if self.options.spare_hosts == 0 && !self.options.way_back {
            return Ok(Chosen { hosts, out, back: None });
        }
        let moved: Assignments = out.moves.iter().map(|line| (line.instance, line.target)).collect();
        let after = self.state.after(&hosts, &moved);
        if !spares(&after, &hosts, self.options.spare_hosts as usize, self.limits) {
            return Err(End::Stuck);
        }
        let returned_s = self.open.start + out.duration_s + self.options.outage_s;
        let back = self.options.way_back.then(|| self.way_back(&after, returned_s)).transpose()?;
        Ok(Chosen { hosts, out, back })
    }

    /// Everybody home whose host takes them, as soon as there is time.
    fn way_back(&self, after: &Problem, returned_s: f64) -> Result<Back, End> {
        let schedule = ordering::order(after, &self.state.home_from(after), self.limits).map_err(|_| End::Stuck)?;
        let begins_s = self.calendar.beginning(returned_s, schedule.last_start_s()).ok_or(End::Window)?;
        Ok(Back { schedule, begins_s })
    }

    /// Adds one host for each part of the fleet that would go without, if third parties make room for its instances. A
    /// quick look does: hundreds of hosts are tried, and what one of them displaces in vain is little beside rounds that
    /// are not reached.
    fn displacing(&self, remaining: &[HostIdx], set: &mut Set, most: usize, stuck: &mut BTreeSet<HostIdx>) {
        let parts = part::roots(self.state.now());
        let mut served: BTreeSet<usize> = set.hosts.iter().map(|host| parts[host.at()]).collect();
        let mut tried: BTreeMap<usize, usize> = BTreeMap::new();
        for host in remaining {
            let part = parts[host.at()];
            let tries = tried.entry(part).or_default();
            let enough = set.hosts.len() >= most || *tries == DISPLACEMENTS_MAX;
            if enough || served.contains(&part) || stuck.contains(host) || self.limits.out_of_time() {
                continue;
            }
            *tries += 1;
            match placed(&self.emptied(&[*host]), &self.limits.with_effort(0)) {
                Some(moves) => {
                    served.insert(part);
                    set.hosts.push(*host);
                    set.moves.extend(moves);
                }
                None => _ = stuck.insert(*host),
            }
        }
    }
}
