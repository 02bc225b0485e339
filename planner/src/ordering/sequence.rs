//! The list rule: displaced first, busiest source first, whatever has room.
//!
//! It orders nearly everything, in near-linear time: a move that lacks room waits at its target until something
//! leaves there. What it leaves stuck is [`super::untie`]'s.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use decant_schema::plan::StoppedBy;
use decant_schema::units::Mib;

use crate::Limits;
use crate::problem::{HostIdx, InstanceIdx, Placement, Problem, Task};

use super::Unorderable;
use super::banker::in_waves;
use super::detour::detour;
use super::room::{Room, Step};
use super::untie::untie;

/// The moves a placement asks for, by instance: everyone whose host changes, and who is resized in place.
pub(super) fn wanted(problem: &Problem, placement: &Placement) -> Vec<Step> {
    let refused: std::collections::HashSet<InstanceIdx> = placement.refused.iter().copied().collect();
    (0..problem.instances.len())
        .map(InstanceIdx::new)
        .filter(|instance| {
            let facts = &problem.instances[instance.at()];
            let resized = facts.task == Task::Resize && !refused.contains(instance);
            resized || placement.host[instance.at()] != facts.host
        })
        .map(|instance| Step { instance, target: placement.host[instance.at()] })
        .collect()
}

/// Who is urgent: third parties first, for they make the room; then the source with most to send.
type Urgency = (bool, Reverse<Mib>, Reverse<Mib>, InstanceIdx);

/// The list rule, for these moves: the least goes first.
fn rule<'a>(room: &'a Room<'_>, steps: &[Step]) -> impl Fn(Step) -> Urgency + use<'a> {
    let problem = room.problem;
    let transfer = move |step: Step| problem.instances[step.instance.at()].transfer;
    let mut load: HashMap<HostIdx, Mib> = HashMap::new();
    for step in steps.iter() {
        let sent = load.entry(room.host(step.instance)).or_default();
        *sent = *sent + transfer(*step);
    }
    move |step| {
        let asked = problem.instances[step.instance.at()].task != Task::MayMove;
        let sent = load.get(&room.host(step.instance)).copied().unwrap_or_default();
        (asked, Reverse(sent), Reverse(transfer(step)), step.instance)
    }
}

/// Carries out in the given order whatever has room; returns what went, in order, and what is stuck.
pub(super) fn by_list(room: &mut Room<'_>, steps: &[Step]) -> (Vec<Step>, Vec<Step>) {
    let mut gone = Vec::with_capacity(steps.len());
    let mut waiting: HashMap<HostIdx, Vec<usize>> = HashMap::new();
    let mut next: BinaryHeap<Reverse<usize>> = (0..steps.len()).map(Reverse).collect();
    while let Some(Reverse(rank)) = next.pop() {
        let step = steps[rank];
        if room.fits(step) {
            let source = room.host(step.instance);
            room.go(step);
            gone.push(step);
            next.extend(waiting.remove(&source).unwrap_or_default().into_iter().map(Reverse));
        } else {
            waiting.entry(step.target).or_default().push(rank);
        }
    }
    let mut stuck: Vec<usize> = waiting.into_values().flatten().collect();
    stuck.sort_unstable();
    (gone, stuck.into_iter().map(|rank| steps[rank]).collect())
}

/// An order in which moves can be carried out one by one.
#[derive(Debug)]
pub(super) struct Sequence {
    pub(super) steps: Vec<Step>,
    /// What cut short a search whose answer may therefore not be the cheapest.
    pub(super) stopped_by: Option<StoppedBy>,
}

/// An order of the moves by rules alone, as far as it goes.
pub(super) fn by_rule(start: &Room<'_>, wanted: &[Step]) -> Vec<Step> {
    detour(start, &in_rank(wanted, rule(start, wanted))).0
}

/// Finds an order for the wanted moves, by the rule where that does.
pub(super) fn sequence(start: &Room<'_>, wanted: &[Step], limits: &Limits<'_>) -> Result<Sequence, Unorderable> {
    let rule = rule(start, wanted);
    let steps = in_rank(wanted, &rule);
    let (gone, stuck) = by_list(&mut start.clone(), &steps);
    if stuck.is_empty() {
        return Ok(Sequence { steps: gone, stopped_by: None });
    }
    let found = untie(start, &steps, limits)?;
    Ok(Sequence { steps: in_waves(start, &found.steps, rule), ..found })
}

/// Makes the best of an order that is known; `None` if somebody does not find his room in it, or it is another's.
pub(super) fn along(start: &Room<'_>, wanted: &[Step], order: &[Step]) -> Option<Sequence> {
    leads_to(start, wanted, order)
        .then(|| Sequence { steps: in_waves(start, order, rule(start, wanted)), stopped_by: None })
}

/// Whether everybody finds his room in an order, and all of these arrive.
pub(super) fn leads_to(start: &Room<'_>, wanted: &[Step], order: &[Step]) -> bool {
    let mut room = start.clone();
    let fits = order.iter().all(|step| {
        let fits = room.fits(*step);
        room.go(*step);
        fits
    });
    fits && wanted.iter().all(|step| room.host(step.instance) == step.target)
}

fn in_rank(steps: &[Step], rule: impl Fn(Step) -> Urgency) -> Vec<Step> {
    let mut steps = steps.to_vec();
    steps.sort_by_key(|step| rule(*step));
    steps
}
