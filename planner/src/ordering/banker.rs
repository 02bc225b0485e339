//! From any order to one in which more can run at once.
//!
//! A search finds *an* order, often one in which a single hole travels from host to host and everybody waits for it.
//! Here the moves are given out again in waves, all that has room at the same time, most urgent first; but a move is
//! granted only if the rest can still be finished after it (Dijkstra's banker, EWD 623: resources are granted only
//! where a safe order remains). The order known to be safe is the witness; every grant that passes the check leaves
//! a new one, so this never gets stuck.

use std::collections::{HashMap, HashSet};

use petgraph::unionfind::UnionFind;

use crate::problem::{GroupIdx, HostIdx};

use super::room::{Room, Step};

/// Times the rest is gone through to see whether it can be finished; safe orders rarely need more than two.
const SWEEPS: usize = 6;

/// Single moves all checks together may look at; beyond, the witness is followed as it is.
const LEGS: usize = 30_000_000;

/// A move with the host it starts from, as an instance that hops moves more than once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Leg {
    step: Step,
    source: HostIdx,
}

/// An order of the same moves in which they wait less for each other. `rank` says who is urgent: the least first.
pub(super) fn in_waves<K: Ord>(start: &Room<'_>, order: &[Step], rank: impl Fn(Step) -> K) -> Vec<Step> {
    let mut room = start.clone();
    let legs: Vec<Leg> = order
        .iter()
        .map(|step| {
            let leg = Leg { step: *step, source: room.host(step.instance) };
            room.go(*step);
            leg
        })
        .collect();
    let mut banker = Banker { granted: start.clone(), left: LEGS };
    components(start, &legs).into_iter().flat_map(|witness| banker.waves(witness, &rank)).collect()
}

/// The legs of hosts that have nothing to do with each other, apart; each in the given order.
fn components(room: &Room<'_>, legs: &[Leg]) -> Vec<Vec<Leg>> {
    let mut hosts: UnionFind<usize> = UnionFind::new(room.problem.hosts.len());
    for leg in legs {
        hosts.union(leg.source.at(), leg.step.target.at());
    }
    let mut at: HashMap<usize, usize> = HashMap::new();
    let mut components: Vec<Vec<Leg>> = Vec::new();
    for leg in legs {
        let component = *at.entry(hosts.find(leg.source.at())).or_insert(components.len());
        components.resize_with(components.len().max(component + 1), Vec::new);
        components[component].push(*leg);
    }
    components
}

struct Banker<'p> {
    /// The room when all that was granted has ended.
    granted: Room<'p>,
    /// What is left of the budget.
    left: usize,
}

impl Banker<'_> {
    fn waves<K: Ord>(&mut self, mut witness: Vec<Leg>, rank: &impl Fn(Step) -> K) -> Vec<Step> {
        let mut order = Vec::with_capacity(witness.len());
        while self.left > 0 && !witness.is_empty() {
            let mut wave = self.wave(&mut witness, rank);
            if wave.is_empty() {
                let next = witness.remove(0);
                self.granted.go(next.step);
                wave.push(next.step);
            }
            order.extend(wave);
        }
        order.extend(witness.into_iter().map(|leg| leg.step));
        order
    }

    /// Grants all that can start before anything of it has ended.
    ///
    /// Who comes from a host that nothing comes to makes no room anybody waits for; where others still leave his
    /// target, he would only take the hole they move through, so he waits until they have left.
    fn wave<K: Ord>(&mut self, witness: &mut Vec<Leg>, rank: &impl Fn(Step) -> K) -> Vec<Step> {
        let sources: HashSet<HostIdx> = witness.iter().map(|leg| leg.source).collect();
        let targets: HashSet<HostIdx> = witness.iter().map(|leg| leg.step.target).collect();
        let mut candidates = witness.clone();
        candidates.retain(|leg| targets.contains(&leg.source) || !sources.contains(&leg.step.target));
        candidates.sort_by_key(|leg| rank(leg.step));
        let mut wave = Wave::default();
        for leg in candidates {
            let here = self.granted.host(leg.step.instance) == leg.source && !wave.moves(leg.step);
            if self.left > 0
                && here
                && wave.leaves_room(&self.granted, leg.step)
                && let Some(safe) = self.finish_after(leg, witness)
            {
                wave.add(&self.granted, leg);
                self.granted.go(leg.step);
                *witness = safe;
            }
        }
        wave.steps
    }

    /// An order of the rest once a leg has gone first, if going through them finds one.
    fn finish_after(&mut self, first: Leg, witness: &[Leg]) -> Option<Vec<Leg>> {
        let mut waiting: Vec<Leg> = witness.iter().copied().filter(|leg| *leg != first).collect();
        let mut gone = vec![first];
        self.granted.go(first.step);
        for _ in 0..SWEEPS {
            self.left = self.left.saturating_sub(waiting.len());
            waiting.retain(|leg| {
                let goes = self.granted.host(leg.step.instance) == leg.source && self.granted.fits(leg.step);
                if goes {
                    self.granted.go(leg.step);
                    gone.push(*leg);
                }
                !goes
            });
            if waiting.is_empty() {
                break;
            }
        }
        for leg in gone.iter().rev() {
            // Who is resized moves once, so nobody had a new size before.
            self.granted.put(leg.step.instance, leg.source, false);
        }
        gone.remove(0);
        waiting.is_empty().then_some(gone)
    }
}

/// Moves that start together: what they leave is not free before they have ended.
#[derive(Default)]
struct Wave {
    steps: Vec<Step>,
    leaving: HashMap<HostIdx, Vec<i64>>,
    groups_leaving: HashSet<(GroupIdx, HostIdx)>,
}

impl Wave {
    fn moves(&self, step: Step) -> bool {
        self.steps.iter().any(|other| other.instance == step.instance)
    }

    fn leaves_room(&self, granted: &Room<'_>, step: Step) -> bool {
        let none = Vec::new();
        let leaving = self.leaving.get(&step.target).unwrap_or(&none);
        let free = granted.free(step.target);
        let room =
            leaving.iter().enumerate().all(|(class, held)| granted.takes(step, class) <= (free[class] - held).max(0));
        let taken = |group: GroupIdx| self.groups_leaving.contains(&(group, step.target));
        granted.fits(step) && room && !granted.exclusive_groups(step.instance).any(taken)
    }

    fn add(&mut self, granted: &Room<'_>, leg: Leg) {
        let classes = granted.problem.classes.len();
        let leaving = self.leaving.entry(leg.source).or_insert_with(|| vec![0; classes]);
        leaving.iter_mut().enumerate().for_each(|(class, held)| *held += granted.gives(leg.step, class));
        self.groups_leaving.extend(granted.exclusive_groups(leg.step.instance).map(|group| (group, leg.source)));
        self.steps.push(leg.step);
    }
}
