//! In which order, and when.
//!
//! ```text
//! Placement ──► sequence ──► chain ──► timeline ──► Schedule
//!               (one by one, (who       (when, by
//!                room at      waits      estimate;
//!                each moment) for whom)  bounds)
//! ```
//!
//! `after` is the promise and times are estimates: whatever the durations turn out to be, every execution that starts
//! a move only when those of its `after` have ended keeps each host within its capacity (or what it held at the
//! start, if that is more) and every hard anti-affinity group within its limit, with a moving instance counted on
//! both its hosts. One that is resized in place counts once, with the greater of its two sizes.
//!
//! The list rule ([`sequence`]) orders nearly everything. Where it gets stuck, only hosts that wait for each other
//! ([`knot`]) are searched ([`untie`], [`search`]): other orders first, then hops of instances that move anyway, then
//! third parties that step aside; where they are too many for a search, hops follow a rule ([`detour`]). [`banker`] then
//! lets as much as is safe run at once. A placement with no order is handed back as [`Unorderable`]: a no-good.
//!
//! The times' model is that of [`carry`] (one move), [`ports`] (what moves share), [`timeline`] and [`deadline`].

pub(crate) mod ancestors;
mod anywhere;
mod banker;
mod bound;
mod carry;
mod chain;
mod deadline;
mod detour;
mod knot;
mod leaving;
pub(crate) mod peak;
mod ports;
mod room;
mod search;
mod sequence;
mod stops;
#[cfg(test)]
mod tests;
mod timeline;
mod untie;

use std::collections::{BTreeSet, HashSet};

use decant_schema::plan::{MoveMode, MoveReason, StoppedBy};
use decant_schema::units::{Mbps, Mib};

use crate::Limits;
use crate::problem::{HostIdx, InstanceIdx, Placement, Problem, Task};

pub(crate) use anywhere::{Better, better};
use carry::{Haul, seconds};
pub(crate) use leaving::late_min;
use room::{Room, Step};
use sequence::Sequence;
use timeline::Event;

/// The moves of a placement, in an order that cannot deadlock or overfill a host.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// The moves by estimated start, so that each comes after those of its `after`.
    pub moves: Vec<ScheduledMove>,
    /// Estimated duration of all moves, seconds.
    pub duration_s: f64,
    /// What no order of this placement can beat, seconds.
    pub duration_bound_s: f64,
    /// What no placement can beat that empties the hosts of the same instances and displaces no more memory, seconds.
    pub leaving_bound_s: f64,
    /// Who is where in the end: the placement that was asked for, but for third parties that stepped aside for good.
    pub placement: Placement,
    /// Third parties that move only so that the others can: the placement did not ask for it. By index.
    pub stepped_aside: Vec<InstanceIdx>,
    /// What cut short a search whose answer may therefore not be the cheapest.
    pub stopped_by: Option<StoppedBy>,
}

/// One move of a schedule.
#[derive(Clone, Debug, PartialEq)]
pub struct ScheduledMove {
    /// Who moves.
    pub instance: InstanceIdx,
    /// From where.
    pub source: HostIdx,
    /// To where; the source itself for a resize in place.
    pub target: HostIdx,
    /// How.
    pub mode: MoveMode,
    /// What for.
    pub why: MoveReason,
    /// Positions of the moves that must have ended first; none that follows from the others.
    pub after: Vec<usize>,
    /// Disk and memory that cross the network, without pages dirtied meanwhile.
    pub transfer: Mib,
    /// Estimated start, seconds from the beginning.
    pub start_s: f64,
    /// Estimated end, seconds from the beginning.
    pub end_s: f64,
    /// It could move live, but rewrites its memory as fast as the network carries it away: it is suspended instead.
    pub not_converging: bool,
    /// The least of the rates on its way.
    pub full_rate: Mbps,
}

impl Schedule {
    /// When the last move starts, seconds from the beginning.
    pub(crate) fn last_start_s(&self) -> f64 {
        self.moves.iter().map(|line| line.start_s).fold(0.0, f64::max)
    }

    /// Who goes where, one after the other.
    pub(crate) fn way(&self) -> Vec<(InstanceIdx, HostIdx)> {
        self.moves.iter().map(|line| (line.instance, line.target)).collect()
    }

    /// The moves in waves, by position: those of a wave may start together once the waves before have ended.
    pub fn waves(&self) -> Vec<Vec<usize>> {
        let mut wave_of = vec![0; self.moves.len()];
        let mut waves: Vec<Vec<usize>> = Vec::new();
        for (at, scheduled) in self.moves.iter().enumerate() {
            wave_of[at] = scheduled.after.iter().map(|earlier| wave_of[*earlier] + 1).max().unwrap_or(0);
            waves.resize_with(waves.len().max(wave_of[at] + 1), Vec::new);
            waves[wave_of[at]].push(at);
        }
        waves
    }
}

/// A placement without an order: these moves wait for each other, and nothing within reach makes room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unorderable {
    /// The moves that are stuck in the end, by instance.
    pub stuck: Vec<Stuck>,
    /// All moves that start on hosts that wait for each other, by instance, with their targets: as long as a placement
    /// has all of these, it has no order.
    pub moves: Vec<(InstanceIdx, HostIdx)>,
    /// The hosts that wait for each other, by index.
    pub hosts: Vec<HostIdx>,
    /// What cut the search short; `None`: there is no order, whatever hops.
    pub stopped_by: Option<StoppedBy>,
}

/// A move that never finds its room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stuck {
    /// Who cannot move.
    pub instance: InstanceIdx,
    /// Where it was to go.
    pub target: HostIdx,
    /// The class its target is shortest of, by position, with what it needs and what there is; `None` where room is
    /// there but a place of its group is not.
    pub lacks: Option<Lack>,
}

/// What a target is short of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lack {
    /// The class, by its position in [`Problem::classes`].
    pub class: usize,
    /// What the instance needs.
    pub need: i64,
    /// What the target has when nothing can move any more.
    pub free: i64,
}

/// Orders the moves of a placement. The placement's end must be within capacity and groups; whether there is a way
/// there is what this finds out.
///
/// # Errors
/// [`Unorderable`] names the moves that wait for each other.
pub fn order(problem: &Problem, placement: &Placement, limits: &Limits<'_>) -> Result<Schedule, Unorderable> {
    let start = Room::at_start(problem);
    let wanted = sequence::wanted(problem, placement);
    let sequence = sequence::sequence(&start, &wanted, limits)?;
    Ok(schedule(&start, placement, &wanted, &sequence))
}

/// The moves of a placement in an order that the list rule and hops by rule find, as far as they do.
pub(crate) fn as_far_as_it_goes(problem: &Problem, placement: &Placement) -> Vec<(InstanceIdx, HostIdx)> {
    let steps = sequence::by_rule(&Room::at_start(problem), &sequence::wanted(problem, placement));
    steps.into_iter().map(|step| (step.instance, step.target)).collect()
}

/// Schedules the moves of a placement for which an order is known: each finds its room after those before it. `None` if
/// it is no such order.
pub(crate) fn along(problem: &Problem, placement: &Placement, order: &[(InstanceIdx, HostIdx)]) -> Option<Schedule> {
    let start = Room::at_start(problem);
    let wanted = sequence::wanted(problem, placement);
    let sequence = sequence::along(&start, &wanted, &steps(order))?;
    Some(schedule(&start, placement, &wanted, &sequence))
}

/// Whether the moves of a placement can be made in an order, each finding its room after those before it.
pub(crate) fn leads_to(problem: &Problem, placement: &Placement, order: &[(InstanceIdx, HostIdx)]) -> bool {
    sequence::leads_to(&Room::at_start(problem), &sequence::wanted(problem, placement), &steps(order))
}

fn steps(order: &[(InstanceIdx, HostIdx)]) -> Vec<Step> {
    order.iter().map(|(instance, target)| Step { instance: *instance, target: *target }).collect()
}

/// How long a move keeps its source and its target busy at least, seconds: their networks or, where those could carry
/// more at once than there are slots, their slots.
#[expect(clippy::cast_precision_loss, reason = "rates are within 2^53")]
pub(crate) fn busy_s(problem: &Problem, instance: InstanceIdx, target: HostIdx) -> (f64, f64) {
    let source = problem.instances[instance.at()].host;
    let haul = Haul::new(problem, instance, source, target);
    let (time, rate) = (seconds(haul.shortest(problem)), haul.full_rate.count().max(1) as f64);
    let share = |host: HostIdx| {
        let facts = &problem.hosts[host.at()];
        let at_once = (facts.network.count() as f64 / rate).clamp(1.0, f64::from(facts.max_migrations.max(1)));
        time / at_once
    };
    (share(source), share(target))
}

/// Chains an order of single moves and puts it into time.
fn schedule(start: &Room<'_>, placement: &Placement, wanted: &[Step], sequence: &Sequence) -> Schedule {
    let (problem, steps) = (start.problem, sequence.steps.as_slice());
    let hauls = hauls(start, steps);
    let durations: Vec<f64> = hauls.iter().map(|haul| seconds(haul.shortest(problem))).collect();
    let after = chain::chain(start, steps, &durations);
    let bound = bound::of_placement(problem, wanted);
    let timeline = deadline::in_window(problem, &hauls, &after, bound);

    let started = |event: &Event| if let Event::Started(at) = event { Some(*at) } else { None };
    let by_start: Vec<usize> = timeline.log.iter().filter_map(started).collect();
    let mut position = vec![0; steps.len()];
    by_start.iter().enumerate().for_each(|(new, old)| position[*old] = new);
    let reasons = reasons(problem, steps);
    let scheduled = |at: usize| {
        let haul = &hauls[at];
        let mut after: Vec<usize> = after[at].iter().map(|earlier| position[*earlier]).collect();
        after.sort_unstable();
        ScheduledMove {
            instance: haul.instance,
            source: haul.source,
            target: haul.target,
            mode: haul.mode,
            why: reasons[at],
            after,
            transfer: haul.size,
            start_s: seconds(timeline.starts[at]),
            end_s: seconds(timeline.ends[at]),
            not_converging: haul.mode == MoveMode::Suspend
                && problem.instances[haul.instance.at()].mode == MoveMode::Live,
            full_rate: haul.full_rate,
        }
    };
    let moved: BTreeSet<InstanceIdx> = steps.iter().map(|step| step.instance).collect();
    let asked: HashSet<InstanceIdx> = wanted.iter().map(|step| step.instance).collect();
    let mut reached = placement.clone();
    steps.iter().for_each(|step| reached.host[step.instance.at()] = step.target);
    let leaving = wanted.iter().map(|step| step.instance);
    let leaving: Vec<InstanceIdx> =
        leaving.filter(|at| matches!(problem.instances[at.at()].task, Task::Leave | Task::Resize)).collect();
    let third_parties = moved.iter().filter(|instance| problem.instances[instance.at()].task == Task::MayMove);
    let displaced: i64 = third_parties.map(|instance| problem.kind(*instance).memory).sum();
    Schedule {
        moves: by_start.into_iter().map(scheduled).collect(),
        duration_s: seconds(timeline.end()),
        duration_bound_s: seconds(bound),
        leaving_bound_s: leaving::bound_s(problem, &leaving, displaced),
        placement: reached,
        stepped_aside: moved.into_iter().filter(|instance| !asked.contains(instance)).collect(),
        stopped_by: sequence.stopped_by,
    }
}

/// Each move as what is to be carried from where to where.
fn hauls(start: &Room<'_>, steps: &[Step]) -> Vec<Haul> {
    let mut room = start.clone();
    let mut haul = |step: &Step| {
        let haul = Haul::new(start.problem, step.instance, room.host(step.instance), step.target);
        room.go(*step);
        haul
    };
    steps.iter().map(&mut haul).collect()
}

/// What each move is for: a stop on the way where the same instance moves again, else what was asked of it.
fn reasons(problem: &Problem, steps: &[Step]) -> Vec<MoveReason> {
    let mut moves_again = HashSet::new();
    let mut reasons: Vec<MoveReason> = steps
        .iter()
        .rev()
        .map(|step| match problem.instances[step.instance.at()].task {
            _ if !moves_again.insert(step.instance) => MoveReason::Hop,
            Task::Leave => MoveReason::Evacuate,
            Task::Resize => MoveReason::Resize,
            Task::MayMove | Task::Stay => MoveReason::Displace,
        })
        .collect();
    reasons.reverse();
    reasons
}
