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
    let mut detour = Detour { room: start.clone(), finally, moving, waiting: first };
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
}

impl Detour<'_> {
    /// Makes all moves that wait, with the hops it takes, as far as the rule finds any.
    fn run(&mut self) -> Vec<Step> {
        let mut order = Vec::new();
        loop {
            let (gone, stuck) = by_list(&mut self.room, &self.waiting);
            order.extend(gone);
            self.waiting = stuck;
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
        let transfer = |at: InstanceIdx| self.room.problem.instances[at.at()].transfer;
        let wanted: HashSet<HostIdx> = self.waiting.iter().map(|step| step.target).collect();
        let mut trial = Trial { room: self.room.clone(), finally: self.finally.clone() };
        let mut least: Option<(Mib, Vec<Step>)> = None;
        for step in &self.waiting {
            let mut candidates = candidates(self, step.target);
            candidates.retain(|at| *at != step.instance);
            candidates.sort_by_key(|at| (transfer(*at), *at));
            let aside = self.for_one(&mut trial, *step, &candidates, &wanted, stay);
            let cost = |aside: &[Step]| aside.iter().fold(Mib::default(), |sum, step| sum + transfer(step.instance));
            if let Some(aside) = aside.filter(|aside| least.as_ref().is_none_or(|(least, _)| cost(aside) < *least)) {
                least = Some((cost(&aside), aside));
            }
        }
        least.map(|(_, aside)| aside)
    }

    /// The candidates on its target that step aside so that one has its room: as few as that takes of those tried first.
    /// The trial ends as it began.
    fn for_one(
        &self,
        trial: &mut Trial<'_>,
        step: Step,
        candidates: &[InstanceIdx],
        wanted: &HashSet<HostIdx>,
        stay: Stay,
    ) -> Option<Vec<Step>> {
        let mut aside: Vec<Step> = Vec::new();
        for instance in candidates {
            if trial.room.fits(step) {
                break;
            }
            if let Some(stop) = self.stop_of(trial, *instance, wanted, stay) {
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
    fn stop_of(
        &self,
        trial: &mut Trial<'_>,
        instance: InstanceIdx,
        wanted: &HashSet<HostIdx>,
        stay: Stay,
    ) -> Option<Step> {
        let here = trial.room.host(instance);
        let eligible = self.room.problem.kind(instance).eligible.iter().filter(|host| *host != here);
        let mut hosts: Vec<HostIdx> = eligible.collect();
        hosts.sort_by_key(|host| (wanted.contains(host), *host));
        let mut steps = hosts.into_iter().map(|target| Step { instance, target });
        steps.find(|step| {
            let open = trial.room.climbs(*step) && trial.room.fits(*step);
            open && match stay {
                Stay::OnTheWay => self.goes_on(&mut trial.room, *step),
                Stay::ForGood => trial.finally.fits_for_good(*step),
            }
        })
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
