//! Hops by rule, where hosts that wait for each other are too many to be searched.
//!
//! Whatever has its room goes. When nothing does, one steps out of the way so that another finds its room: the least
//! to carry of the movers that wait themselves, or else of the third parties. Every such step lets at least one move end,
//! so this ends, too: with an order, or with nobody left whose stepping aside would help at once.

use std::collections::HashSet;

use crate::problem::{HostIdx, InstanceIdx, Task};

use super::room::{Room, Step};
use super::sequence::by_list;

/// An order of these moves with the hops it takes, as far as the rule finds one, and the moves it leaves stuck.
pub(super) fn detour(start: &Room<'_>, steps: &[Step]) -> (Vec<Step>, Vec<Step>) {
    let mut finally = start.clone();
    steps.iter().for_each(|step| finally.go(*step));
    let mut detour = Detour {
        room: start.clone(),
        finally,
        moving: steps.iter().map(|step| step.instance).collect(),
        waiting: steps.to_vec(),
    };
    let mut order = Vec::new();
    loop {
        let (gone, stuck) = by_list(&mut detour.room, &detour.waiting);
        order.extend(gone);
        detour.waiting = stuck;
        match detour.step_aside() {
            Some(step) => order.push(step),
            None => return (order, detour.waiting),
        }
    }
}

/// How long one stays where it steps aside to.
#[derive(Clone, Copy)]
enum Stay {
    OnTheWay,
    ForGood,
}

struct Detour<'p> {
    room: Room<'p>,
    /// The room when all is done.
    finally: Room<'p>,
    /// Who moves anyway.
    moving: HashSet<InstanceIdx>,
    /// Moves not made yet; none of them has its room.
    waiting: Vec<Step>,
}

impl Detour<'_> {
    /// Moves the one of least transfer that lets another have its room.
    fn step_aside(&mut self) -> Option<Step> {
        if let Some(step) = self.least(self.movers(), Stay::OnTheWay) {
            self.room.go(step);
            return Some(step);
        }
        let step = self.least(self.third_parties(), Stay::ForGood)?;
        self.room.go(step);
        self.finally.go(step);
        Some(step)
    }

    /// Movers on hosts that others wait for.
    fn movers(&self) -> Vec<InstanceIdx> {
        let wanted: HashSet<HostIdx> = self.waiting.iter().map(|step| step.target).collect();
        let movers = self.waiting.iter().map(|step| step.instance);
        movers.filter(|at| wanted.contains(&self.room.host(*at)) && self.room.may_hop(*at)).collect()
    }

    /// Third parties on hosts that others wait for: they stay for good where they go.
    fn third_parties(&self) -> Vec<InstanceIdx> {
        let problem = self.room.problem;
        let wanted: HashSet<HostIdx> = self.waiting.iter().map(|step| step.target).collect();
        let there = wanted.iter().flat_map(|host| problem.hosts[host.at()].instances.iter().copied());
        there
            .filter(|at| problem.instances[at.at()].task == Task::MayMove && !self.moving.contains(at))
            .filter(|at| !problem.is_bound(*at) && self.room.may_hop(*at))
            .filter(|at| self.room.host(*at) == problem.instances[at.at()].host)
            .collect()
    }

    /// The step of least transfer that helps.
    fn least(&self, mut candidates: Vec<InstanceIdx>, stay: Stay) -> Option<Step> {
        let transfer = |at: &InstanceIdx| self.room.problem.instances[at.at()].transfer;
        candidates.sort_by_key(|at| (transfer(at), *at));
        let mut room = self.room.clone();
        candidates.into_iter().find_map(|at| self.step_of(&mut room, at, stay))
    }

    /// Where this one could step aside, if somebody who waits has its room then. `room` is left as it was.
    fn step_of(&self, room: &mut Room<'_>, instance: InstanceIdx, stay: Stay) -> Option<Step> {
        let here = room.host(instance);
        let eligible = self.room.problem.kind(instance).eligible.iter().filter(|host| *host != here);
        let steps = eligible.map(|target| Step { instance, target });
        let mut open = steps.filter(|step| self.room.climbs(*step) && self.room.fits(*step));
        let stop = open.find(|step| match stay {
            Stay::OnTheWay => self.goes_on(room, *step),
            Stay::ForGood => self.finally.fits_for_good(*step),
        })?;
        room.put(instance, stop.target, false);
        let helped = |step: &Step| step.target == here && step.instance != instance && room.fits(*step);
        let helps = self.waiting.iter().any(helped);
        room.put(instance, here, false);
        helps.then_some(stop)
    }

    /// Whether a mover may go on to its goal from a stop.
    fn goes_on(&self, room: &mut Room<'_>, stop: Step) -> bool {
        let here = room.host(stop.instance);
        room.put(stop.instance, stop.target, false);
        let goes_on = self.waiting.iter().all(|step| step.instance != stop.instance || room.climbs(*step));
        room.put(stop.instance, here, false);
        goes_on
    }
}
