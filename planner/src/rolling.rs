//! A maintenance of many hosts in rounds: each host is empty when its turn comes, and back before it is used again.
//!
//! Round by round on the fleet as the rounds before leave it. A round takes as many hosts as find room for their
//! instances, the most important first and the least used first among equals ([`round`]). Hosts already done are
//! preferred as targets, then hosts that have no turn; a host whose turn is still to come is used only where there is
//! no other way to begin, because whoever goes there moves twice, or where that makes the rounds fewer. What the rounds
//! do is then one plan, whose `after` lines join the rounds ([`stitch`]).
//!
//! A host that is done has the newest hypervisor of the fleet, so that live moves to it are always allowed and live
//! moves away from it only to others that are done.

mod bound;
mod calendar;
mod gather;
mod refusals;
mod round;
mod state;
mod stitch;

use std::cmp::Reverse;
use std::collections::BTreeSet;

use decant_schema::id::{HostName, MoveId};
use decant_schema::plan::{Away, Round, RoundsBound, StoppedBy};
use decant_schema::request::{RequestKind, RollingOptions};
use rayon::prelude::*;

use crate::ordering::Schedule;
use crate::problem::{HostIdx, InstanceIdx, Placement, Problem, Task};
use crate::search::Answer;
use crate::{Limits, balance, part, refusal};
use calendar::Calendar;
use gather::{Set, Tight};
use round::{Chosen, Known, Reach, RoundPlanner};
use state::State;
use stitch::Stitched;

/// A rolling maintenance: an answer like any other, and its rounds.
pub(crate) struct Rolled {
    /// The request in numbers, the instances of all its hosts being asked to leave.
    pub(crate) problem: Problem,
    pub(crate) answer: Answer,
    pub(crate) rounds: Vec<Round>,
    /// Hosts that have no turn, in the order of the fleet.
    pub(crate) left: Vec<HostName>,
    /// Who was to return and does not, by instance.
    pub(crate) away: Vec<Away>,
    /// For plans that give the same hosts their turn.
    pub(crate) least: RoundsBound,
}

/// Time for the rounds, percent of all there is: reasons and remedies come after.
const ROUNDS_PERCENT: u32 = 80;

/// Of more hosts than these one course is tried before room is gathered: it takes seconds, and gathering gets further.
const LARGE_HOSTS: usize = 300;

/// Plans the rounds. The problem's request must be one for a rolling maintenance; any other has no hosts to maintain.
pub(crate) fn roll(mut problem: Problem, limits: &Limits<'_>) -> Rolled {
    let (listed, options) = asked(&problem);
    for host in &listed {
        for instance in &problem.hosts[host.at()].instances {
            problem.instances[instance.at()].task = Task::Leave;
        }
    }
    let limits = &limits.for_a_trial();
    let in_time = limits.percent(ROUNDS_PERCENT);
    let course = Course::best(&problem, &listed, &options, &in_time);
    let served: Vec<HostIdx> = course.rounds.iter().flat_map(|turn| turn.hosts.iter().copied()).collect();
    let least = bound::least(&problem, &served, &options);
    let refusals = course.refusals(&problem, limits);
    let refused = course.refused(&problem);
    let placement = Placement { host: course.state.host.clone(), refused };
    let rounds = course.rounds.iter().map(Turn::named(&problem)).collect();
    let left = course.left(&problem);
    let away = if options.way_back { course.away(&problem) } else { Vec::new() };
    let stopped_by = course.cut_short.then_some(StoppedBy::Time);
    let ends = course.stitched.moves.iter().map(|line| line.end_s);
    let duration_s = ends.chain(course.rounds.iter().map(|turn| turn.returned_at_s)).fold(0.0, f64::max);
    let schedule = Schedule {
        duration_s,
        duration_bound_s: 0.0,
        // The checker says how short it can be.
        leaving_bound_s: 0.0,
        stepped_aside: Vec::new(),
        stopped_by: None,
        placement,
        moves: stitch::with_reasons(&problem, course.stitched.moves),
    };
    let answer = Answer {
        schedule,
        refusals,
        refused_bound: 0,
        displaced_bound: Some(0),
        certificate: None,
        stopped_by,
        lacking_time: Vec::new(),
    };
    Rolled { problem, answer, rounds, left, away, least }
}

fn asked(problem: &Problem) -> (Vec<HostIdx>, RollingOptions) {
    let RequestKind::Rolling { hosts, rounds } = &problem.request.kind else {
        return (Vec::new(), RollingOptions::default());
    };
    let at = |name: &decant_schema::id::HostName| problem.fleet.host_index(name.as_str()).map(HostIdx::new);
    (hosts.iter().filter_map(at).collect(), rounds.clone())
}

/// Why the rounds ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum End {
    /// Every host had its turn.
    Done,
    /// No further host can be emptied, or not with the spare hosts kept.
    Stuck,
    /// No further host can be emptied within the window.
    Window,
    /// The time to plan was up.
    Time,
}

/// One round.
#[derive(Clone, Debug)]
pub(super) struct Turn {
    hosts: Vec<HostIdx>,
    moves: std::ops::Range<usize>,
    empty_at_s: f64,
    returned_at_s: f64,
}

impl Turn {
    fn named(problem: &Problem) -> impl Fn(&Self) -> Round {
        |turn| Round {
            hosts: turn.hosts.iter().map(|host| problem.fleet.hosts()[host.at()].name.clone()).collect(),
            moves: turn.moves.clone().map(|at| MoveId(u32::try_from(at + 1).expect("a plan has few moves"))).collect(),
            least_moves: turn.hosts.iter().map(|host| problem.hosts[host.at()].instances.len() as u64).sum(),
            empty_at_s: turn.empty_at_s,
            returned_at_s: turn.returned_at_s,
        }
    }
}

/// The rounds so far.
struct Course {
    state: State,
    stitched: Stitched,
    rounds: Vec<Turn>,
    remaining: Vec<HostIdx>,
    /// When the next round may begin, seconds.
    clock_s: f64,
    end: End,
    known: Known,
    /// Whether it, or another it was compared with, ended because the time to plan was up.
    cut_short: bool,
}

impl Course {
    /// The best of the courses that take hosts in different orders.
    fn best(problem: &Problem, listed: &[HostIdx], options: &RollingOptions, limits: &Limits<'_>) -> Self {
        let usual_orders = round::usual_orders(problem, listed, options);
        let quick = |orders: &[Vec<HostIdx>]| {
            let ways = orders.iter().flat_map(|order| round::REACHES.map(|reach| (order.clone(), reach)));
            let most = if listed.len() > LARGE_HOSTS { 1 } else { usize::MAX };
            Self::best_of(problem, ways.take(most).collect(), options, limits)
        };
        let usual = quick(&usual_orders).expect("there are orders to try");
        if usual.cut_short || usual.is_least(problem, options) {
            return usual;
        }
        let usual = usual.or_better(quick(&round::every_order(listed)), problem, options);
        if options.way_back || usual.cut_short || usual.is_least(problem, options) {
            return usual;
        }
        let opening = Self::opening(problem, listed, options, limits);
        let ways = usual_orders.into_iter().map(|order| (order, Reach::Gathered(&opening))).collect();
        let best = usual.or_better(Self::best_of(problem, ways, options, limits), problem, options);
        Self { cut_short: best.cut_short || opening.cut_short, ..best }
    }

    /// The best of the courses that take hosts in these orders, with these reaches.
    fn best_of(
        problem: &Problem,
        ways: Vec<(Vec<HostIdx>, Reach<'_>)>,
        options: &RollingOptions,
        limits: &Limits<'_>,
    ) -> Option<Self> {
        let course = |(order, reach)| Self::run(problem, order, reach, options, limits);
        let courses: Vec<Self> = ways.into_par_iter().with_max_len(1).map(course).collect();
        let cut_short = courses.iter().any(|course| course.cut_short);
        let best = courses.into_iter().min_by(|a, b| a.worth(problem, options).cmp(&b.worth(problem, options)));
        best.map(|best| Self { cut_short, ..best })
    }

    /// The other, if it is better.
    fn or_better(self, other: Option<Self>, problem: &Problem, options: &RollingOptions) -> Self {
        let Some(other) = other else { return self };
        let cut_short = self.cut_short || other.cut_short;
        let better = if other.worth(problem, options) < self.worth(problem, options) { other } else { self };
        Self { cut_short, ..better }
    }

    /// A first round that gathers what is free.
    fn opening(problem: &Problem, listed: &[HostIdx], options: &RollingOptions, limits: &Limits<'_>) -> Set {
        let state = State::new(problem, listed);
        let Some((from_s, until_s)) = Calendar::new(options).open_at(0.0) else { return Set::default() };
        RoundPlanner::new(&state, options, Reach::Generous, from_s..until_s, limits).opening(listed)
    }

    /// Whether no other order could do better but for time: whoever had no turn cannot, and the bounds are met.
    fn is_least(&self, problem: &Problem, options: &RollingOptions) -> bool {
        let holds = |host: &HostIdx| problem.hosts[host.at()].instances.iter().any(|at| self.cannot_leave(*at));
        let served: Vec<HostIdx> = self.rounds.iter().flat_map(|turn| turn.hosts.iter().copied()).collect();
        let least = bound::least(problem, &served, options);
        self.remaining.iter().all(holds)
            && self.rounds.len() as u64 == least.rounds
            && self.stitched.moves.len() as u64 == least.moves
    }

    /// What courses are compared by, the least being the best: the hosts left over, the most important counting most; then
    /// rounds, moves, time, and how unevenly hosts are filled in the end.
    fn worth(&self, problem: &Problem, options: &RollingOptions) -> impl Ord + use<> {
        let mut left: Vec<i32> = self.remaining.iter().map(|host| round::priority(problem, *host, options)).collect();
        left.sort_unstable_by_key(|priority| Reverse(*priority));
        // Neither times nor imbalances are negative, so that they are in the order of their bits.
        let end_s = self.rounds.last().map_or(0.0, |turn| turn.returned_at_s);
        let end = Placement { host: self.state.host.clone(), refused: Vec::new() };
        let imbalance = balance::imbalance(problem, &end);
        (left, self.rounds.len(), self.stitched.moves.len(), end_s.to_bits(), imbalance.to_bits())
    }

    /// No round yet; these hosts are to have their turn.
    fn new(problem: &Problem, order: Vec<HostIdx>) -> Self {
        Self {
            state: State::new(problem, &order),
            stitched: Stitched::default(),
            rounds: Vec::new(),
            remaining: order,
            clock_s: 0.0,
            end: End::Done,
            known: Known { stuck: BTreeSet::new(), tight: Tight::new(0) },
            cut_short: false,
        }
    }

    /// The rounds, hosts being taken in this order.
    fn run(
        problem: &Problem,
        order: Vec<HostIdx>,
        reach: Reach<'_>,
        options: &RollingOptions,
        limits: &Limits<'_>,
    ) -> Self {
        let mut course = Self::new(problem, order);
        let calendar = Calendar::new(options);
        let instances: usize = course.remaining.iter().map(|host| problem.hosts[host.at()].instances.len()).sum();
        let again_max = gather::again_max(instances);
        while !course.remaining.is_empty() {
            let Some((from_s, until_s)) = calendar.open_at(course.clock_s) else {
                course.end = End::Window;
                break;
            };
            course.clock_s = from_s;
            course.known.tight.again = again_max.saturating_sub(course.moves_again(problem));
            let round = RoundPlanner::new(&course.state, options, reach, from_s..until_s, limits);
            match round.choose(&course.remaining, &mut course.known) {
                Ok(chosen) => course.take(chosen, options),
                // What is left of this interval is of no use; another night there may be time.
                Err(End::Window) => course.clock_s = until_s,
                Err(end) => {
                    course.end = end;
                    break;
                }
            }
        }
        course.cut_short = course.end == End::Time;
        course
    }

    /// Carries a round out on the state, and adds it to the plan.
    fn take(&mut self, chosen: Chosen, options: &RollingOptions) {
        let from = self.stitched.moves.len();
        let empty_at_s = self.stitched.add(&chosen.out, self.clock_s).max(self.clock_s);
        let returned_at_s = empty_at_s + options.outage_s;
        self.state.carry_out(&chosen);
        self.clock_s = match &chosen.back {
            Some(back) => self.stitched.add(&back.schedule, back.begins_s).max(returned_at_s),
            None => returned_at_s,
        };
        self.remaining.retain(|host| !chosen.hosts.contains(host));
        let parts = part::roots(self.state.now());
        let changed: BTreeSet<usize> = chosen.hosts.iter().map(|host| parts[host.at()]).collect();
        self.known.stuck.retain(|host| !changed.contains(&parts[host.at()]));
        let moves = from..self.stitched.moves.len();
        self.rounds.push(Turn { hosts: chosen.hosts, moves, empty_at_s, returned_at_s });
    }

    /// How many moves there will be beyond one for each instance, if every one that is still to leave moves once.
    fn moves_again(&self, problem: &Problem) -> usize {
        let on = |of: &Problem, host: &HostIdx| of.hosts[host.at()].instances.len();
        let served = self.rounds.iter().flat_map(|turn| &turn.hosts);
        let once: usize = served.chain(&self.remaining).map(|host| on(problem, host)).sum();
        let to_come: usize = self.remaining.iter().map(|host| on(self.state.now(), host)).sum();
        (self.stitched.moves.len() + to_come).saturating_sub(once)
    }

    /// Hosts that had no turn.
    fn left(&self, problem: &Problem) -> Vec<HostName> {
        let mut left = self.remaining.clone();
        left.sort_unstable();
        left.into_iter().map(|host| problem.fleet.hosts()[host.at()].name.clone()).collect()
    }

    /// Instances that are not where they were, and why their hosts do not take them back.
    fn away(&self, problem: &Problem) -> Vec<Away> {
        let all = (0..problem.instances.len()).map(InstanceIdx::new);
        let home = |at: InstanceIdx| problem.instances[at.at()].host;
        all.filter(|at| self.state.host[at.at()] != home(*at))
            .map(|at| Away {
                instance: problem.fleet.instances()[at.at()].id.clone(),
                host: problem.fleet.hosts()[home(at).at()].name.clone(),
                rules: refusal::rules_against(self.state.now(), at, home(at)),
            })
            .collect()
    }

    /// Instances of hosts that had no turn; one that moved for another's sake has left after all.
    fn refused(&self, problem: &Problem) -> Vec<InstanceIdx> {
        let moved: BTreeSet<InstanceIdx> = self.stitched.moves.iter().map(|line| line.instance).collect();
        let mut refused: Vec<InstanceIdx> = self
            .remaining
            .iter()
            .flat_map(|host| problem.hosts[host.at()].instances.iter().copied())
            .filter(|instance| !moved.contains(instance))
            .collect();
        refused.sort_unstable();
        refused
    }
}

#[cfg(test)]
mod tests;
