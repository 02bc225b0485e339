//! Hops by rule, where hosts that wait for each other are too many to be searched.
//!
//! Whatever has its room goes. When nothing does, a few step out of the way so that another finds its room: the least
//! to carry of the movers that wait themselves, or else of the third parties. Every time that lets at least one move end,
//! so this ends, too: with an order, or with nobody left whose stepping aside would help at once.

use std::collections::HashSet;

use decant_schema::units::Mib;

use crate::problem::{HostIdx, InstanceIdx, Task};

use super::room::{Room, Step};
use super::sequence::by_list;

/// An order of these moves with the hops it takes, as far as the rule finds one, and the moves it leaves stuck.
///
/// Who leaves a host to be emptied makes room for nobody, since nobody comes there: those wait for the others, which so
/// have all the room there is to pass each other. Where there is any order, there is one like that.
pub(super) fn detour(start: &Room<'_>, steps: &[Step]) -> (Vec<Step>, Vec<Step>) {
    let mut finally = start.clone();
    steps.iter().for_each(|step| finally.go(*step));
    let makes_no_room = |step: &Step| start.problem.hosts[start.host(step.instance).at()].evacuated;
    let (last, first): (Vec<Step>, Vec<Step>) = steps.iter().partition(|step| makes_no_room(step));
    let moving = steps.iter().map(|step| step.instance).collect();
    let mut detour = Detour { room: start.clone(), finally, moving, waiting: first, wanted: Vec::new() };
    let mut order = detour.run();
    detour.waiting.extend(last);
    order.extend(detour.run());
    (order, detour.waiting)
}

/// How long one stays where it steps aside to.
#[derive(Clone, Copy)]
enum Stay {
    OnTheWay,
    ForGood,
}

/// Who would be where, now and when all is done, if some stepped aside.
struct Trial<'p> {
    room: Room<'p>,
    finally: Room<'p>,
}

impl Trial<'_> {
    fn put(&mut self, instance: InstanceIdx, host: HostIdx, stay: Stay) {
        self.room.put(instance, host, false);
        if let Stay::ForGood = stay {
            self.finally.put(instance, host, false);
        }
    }
}

struct Detour<'p> {
    room: Room<'p>,
    /// The room when all is done.
    finally: Room<'p>,
    /// Who moves anyway.
    moving: HashSet<InstanceIdx>,
    /// Moves not made yet; none of them has its room.
    waiting: Vec<Step>,
    /// By host: whether any of those goes there.
    wanted: Vec<bool>,
}

impl Detour<'_> {
    /// Makes all moves that wait, with the hops it takes, as far as the rule finds any.
    fn run(&mut self) -> Vec<Step> {
        let mut order = Vec::new();
        loop {
            let (gone, stuck) = by_list(&mut self.room, &self.waiting);
            order.extend(gone);
            self.waiting = stuck;
            self.wanted = vec![false; self.room.problem.hosts.len()];
            self.waiting.iter().for_each(|step| self.wanted[step.target.at()] = true);
            let aside = self.step_aside();
            if aside.is_empty() {
                return order;
            }
            aside.iter().for_each(|step| self.room.go(*step));
            order.extend(aside);
        }
    }

    /// Those that step aside, of least transfer in all, so that one that waits finds its room; nobody where nothing helps.
    fn step_aside(&mut self) -> Vec<Step> {
        if let Some(aside) = self.least(|detour, host| detour.movers(host), Stay::OnTheWay) {
            return aside;
        }
        let aside = self.least(|detour, host| detour.third_parties(host), Stay::ForGood).unwrap_or_default();
        aside.iter().for_each(|step| self.finally.go(*step));
        aside
    }

    /// Movers on a host that wait themselves.
    fn movers(&self, host: HostIdx) -> Vec<InstanceIdx> {
        let movers = self.waiting.iter().map(|step| step.instance);
        movers.filter(|at| self.room.host(*at) == host && self.room.may_hop(*at)).collect()
    }

    /// Third parties on a host: they stay for good where they go.
    fn third_parties(&self, host: HostIdx) -> Vec<InstanceIdx> {
        let problem = self.room.problem;
        let there = problem.hosts[host.at()].instances.iter().copied();
        there
            .filter(|at| problem.instances[at.at()].task == Task::MayMove && !self.moving.contains(at))
            .filter(|at| !problem.is_bound(*at) && self.room.may_hop(*at))
            .filter(|at| self.room.host(*at) == host)
            .collect()
    }

    /// The steps of least transfer after which one that waits has its room.
    fn least(&self, candidates: impl Fn(&Self, HostIdx) -> Vec<InstanceIdx>, stay: Stay) -> Option<Vec<Step>> {
        let problem = self.room.problem;
        let transfer = |at: InstanceIdx| problem.instances[at.at()].transfer;
        let cost = |aside: &[Step]| aside.iter().fold(Mib::default(), |sum, step| sum + transfer(step.instance));
        let has_room = self.kinds_with_room();
        let mut trial = Trial { room: self.room.clone(), finally: self.finally.clone() };
        let mut least: Option<(Mib, Vec<Step>)> = None;
        for step in &self.waiting {
            let mut candidates = candidates(self, step.target);
            candidates.retain(|at| *at != step.instance && has_room[problem.instances[at.at()].kind.at()]);
            if !self.might_do(*step, &candidates) {
                continue;
            }
            candidates.sort_by_key(|at| (transfer(*at), *at));
            let aside = self.for_one(&mut trial, *step, &candidates, stay);
            if let Some(aside) = aside.filter(|aside| least.as_ref().is_none_or(|(least, _)| cost(aside) < *least)) {
                least = Some((cost(&aside), aside));
            }
        }
        least.map(|(_, aside)| aside)
    }

    /// By kind: whether any host that admits it has room for one.
    fn kinds_with_room(&self) -> Vec<bool> {
        let fits = |need: &[i64], host: HostIdx| need.iter().zip(self.room.free(host)).all(|(need, free)| need <= free);
        let kinds = self.room.problem.kinds.iter();
        kinds.map(|kind| kind.eligible.iter().any(|host| fits(&kind.need, host))).collect()
    }

    /// Whether there would be room for one if all these were gone from its target.
    fn might_do(&self, step: Step, gone: &[InstanceIdx]) -> bool {
        let free = self.room.free(step.target);
        let gives = |class: usize| -> i64 { gone.iter().map(|at| self.room.problem.kind(*at).claim[class]).sum() };
        !gone.is_empty()
            && (0..free.len()).all(|class| self.room.takes(step, class) <= free[class].max(0) + gives(class))
    }

    /// The candidates on its target that step aside so that one has its room: as few as that takes of those tried first.
    /// The trial ends as it began.
    fn for_one(&self, trial: &mut Trial<'_>, step: Step, candidates: &[InstanceIdx], stay: Stay) -> Option<Vec<Step>> {
        let mut aside: Vec<Step> = Vec::new();
        for instance in candidates {
            if trial.room.fits(step) {
                break;
            }
            if let Some(stop) = self.stop_of(trial, *instance, stay) {
                trial.put(*instance, stop.target, stay);
                aside.push(stop);
            }
        }
        let fits = trial.room.fits(step);
        let mut needed: Vec<Step> = Vec::new();
        for stop in &aside {
            trial.put(stop.instance, step.target, stay);
            if !trial.room.fits(step) {
                trial.put(stop.instance, stop.target, stay);
                needed.push(*stop);
            }
        }
        needed.iter().for_each(|stop| trial.put(stop.instance, step.target, stay));
        fits.then_some(needed)
    }

    /// Where one may step aside to: rather where nobody wants to go.
    fn stop_of(&self, trial: &mut Trial<'_>, instance: InstanceIdx, stay: Stay) -> Option<Step> {
        let here = trial.room.host(instance);
        let mut wanted: Option<Step> = None;
        for target in self.room.problem.kind(instance).eligible.iter().filter(|host| *host != here) {
            let step = Step { instance, target };
            let open = trial.room.fits(step) && trial.room.climbs(step);
            let mut stays = || match stay {
                Stay::OnTheWay => self.goes_on(&mut trial.room, step),
                Stay::ForGood => trial.finally.fits_for_good(step),
            };
            let is_wanted = self.wanted[target.at()];
            if !open || (is_wanted && wanted.is_some()) || !stays() {
                continue;
            }
            if !is_wanted {
                return Some(step);
            }
            wanted = Some(step);
        }
        wanted
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
