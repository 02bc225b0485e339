//! Which move next, where a list rule gets stuck: best-first over who is where.
//!
//! A state is the place of every actor; states already expanded are recognised by their hash and left alone. An actor
//! goes to its goal, or, where it may, to a stop on the way. Moves that bring the end nearer are tried first, so that
//! the search dives like the list rule and turns back only from dead ends.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::rc::Rc;

use decant_schema::fleet::GroupPolicy;
use decant_schema::plan::StoppedBy;
use rustc_hash::FxHashSet;

use crate::Limits;
use crate::problem::{HostIdx, InstanceIdx, Problem, Task};

use super::room::{Room, Step};

/// An instance a search may move.
#[derive(Clone, Debug)]
pub(super) struct Actor {
    pub(super) instance: InstanceIdx,
    /// Where it is to end; for a third party, its present host.
    pub(super) goal: HostIdx,
    /// Where it may stop on the way; for a third party, also for good.
    pub(super) stops: Vec<HostIdx>,
    /// Whether it is a third party that the placement leaves where it is.
    pub(super) steps_aside: bool,
}

/// What a search prefers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Prefer {
    /// The least memory of third parties, then an early end. Proves its answer, but may take long to find one.
    LeastMemory,
    /// An early end.
    AnyOrder,
}

/// What a search found.
#[derive(Debug)]
pub(super) enum Answer {
    /// An order after which every actor is where it may stay.
    Order(Vec<Step>),
    /// There is none.
    None,
    /// The budget or the time ran out.
    Cut(StoppedBy),
}

/// Where an actor is, and whether it has its new size or, a third party, has moved at all.
type Place = (HostIdx, bool);

struct Node {
    parent: Option<usize>,
    step: Option<(usize, HostIdx)>,
    pending: usize,
    detours: usize,
    memory: i64,
}

/// Searches an order for the actors from where they are in `room`; `finally` is the room when every placement's move
/// is done, which says where a third party may stay for good. Looks at about `legs` single moves at most. `room` is left
/// as it was.
pub(super) fn search(
    room: &mut Room<'_>,
    finally: &Room<'_>,
    actors: &[Actor],
    prefer: Prefer,
    legs: usize,
    limits: &Limits<'_>,
) -> Answer {
    let first: Rc<[Place]> = actors.iter().map(|actor| (room.host(actor.instance), false)).collect();
    let mut search = Search {
        problem: room.problem,
        finally,
        actors,
        prefer,
        states: vec![Some(first.clone())],
        nodes: vec![Node { parent: None, step: None, pending: 0, detours: 0, memory: 0 }],
        open: BinaryHeap::new(),
    };
    search.nodes[0].pending = (0..actors.len()).filter(|at| search.is_pending(*at, first[*at])).count();
    search.open.push((search.key(0), 0));
    let answer = search.run(room, legs, limits);
    arrange(room, actors, &first);
    answer
}

struct Search<'a, 'p> {
    problem: &'p Problem,
    finally: &'a Room<'p>,
    actors: &'a [Actor],
    prefer: Prefer,
    /// By node: the places of the actors, once it has been expanded.
    states: Vec<Option<Rc<[Place]>>>,
    nodes: Vec<Node>,
    open: BinaryHeap<(Reverse<[i64; 3]>, usize)>,
}

impl Search<'_, '_> {
    fn run(&mut self, room: &mut Room<'_>, budget: usize, limits: &Limits<'_>) -> Answer {
        let mut seen: FxHashSet<Rc<[Place]>> = FxHashSet::default();
        let mut legs = 0;
        while let Some((_, node)) = self.open.pop() {
            let state = self.state(node);
            if !seen.insert(state.clone()) {
                continue;
            }
            if self.nodes[node].pending == 0 && self.all_may_stay(&state) {
                return Answer::Order(self.path(node));
            }
            if legs > budget {
                return Answer::Cut(StoppedBy::Nodes);
            }
            if limits.out_of_time() {
                return Answer::Cut(StoppedBy::Time);
            }
            arrange(room, self.actors, &state);
            self.states[node] = Some(state.clone());
            legs += self.expand(room, node, &state);
        }
        Answer::None
    }

    /// The places in a node: its parent's, but for the one who moved.
    fn state(&self, node: usize) -> Rc<[Place]> {
        let Node { parent: Some(parent), step: Some((at, target)), .. } = self.nodes[node] else {
            return self.states[node].clone().expect("the first node has its state from the start");
        };
        let mut state = self.states[parent].clone().expect("a node's parent was expanded");
        let resized = self.problem.instances[self.actors[at].instance.at()].task == Task::Resize;
        Rc::make_mut(&mut state)[at] = (target, resized || self.actors[at].steps_aside);
        state
    }

    /// Adds every leg that has room; returns how many were looked at.
    fn expand(&mut self, room: &Room<'_>, node: usize, state: &[Place]) -> usize {
        let mut legs = 0;
        for (at, actor) in self.actors.iter().enumerate() {
            let place = state[at];
            let returns = !actor.steps_aside || self.problem.admits(actor.instance, actor.goal);
            let goal = (returns && self.is_away(at, place)).then_some(actor.goal);
            let stops = actor.stops.iter().copied().filter(|stop| *stop != place.0 && *stop != actor.goal);
            for target in goal.into_iter().chain(stops) {
                legs += 1;
                let step = Step { instance: actor.instance, target };
                if room.climbs(step) && room.fits(step) {
                    self.add(node, at, place, target);
                }
            }
        }
        legs
    }

    fn add(&mut self, parent: usize, at: usize, from: Place, target: HostIdx) {
        let actor = &self.actors[at];
        let before = &self.nodes[parent];
        let arrives = target == actor.goal;
        let pending =
            before.pending - usize::from(self.is_pending(at, from)) + usize::from(!arrives && !actor.steps_aside);
        let detours = before.detours + usize::from(!arrives || actor.steps_aside);
        let first_time = actor.steps_aside && !from.1;
        let memory = before.memory + if first_time { self.problem.kind(actor.instance).memory } else { 0 };
        self.nodes.push(Node { parent: Some(parent), step: Some((at, target)), pending, detours, memory });
        self.states.push(None);
        let node = self.nodes.len() - 1;
        self.open.push((self.key(node), node));
    }

    /// Less is better. Among equals the newest node goes first, so the search dives.
    fn key(&self, node: usize) -> Reverse<[i64; 3]> {
        let Node { pending, detours, memory, .. } = self.nodes[node];
        let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let (reach, pending) = (count(pending + detours), count(pending));
        Reverse(match self.prefer {
            Prefer::LeastMemory => [memory, reach, pending],
            Prefer::AnyOrder => [reach, pending, memory],
        })
    }

    /// Whether an actor has yet to go to its goal, or, in place, to get its size.
    fn is_away(&self, at: usize, (host, done): Place) -> bool {
        let actor = &self.actors[at];
        let resize = self.problem.instances[actor.instance.at()].task == Task::Resize;
        host != actor.goal || (resize && !done)
    }

    fn is_pending(&self, at: usize, place: Place) -> bool {
        !self.actors[at].steps_aside && self.is_away(at, place)
    }

    /// Whether the third parties may stay where they are for good: at home, or where the room in the end, beyond the
    /// headroom to keep, has a place for all that stay. Members of hard affinity groups go home.
    fn all_may_stay(&self, state: &[Place]) -> bool {
        let mut finally: Option<Room<'_>> = None;
        self.actors.iter().zip(state).filter(|(actor, place)| place.0 != actor.goal).all(|(actor, (host, _))| {
            let groups = &self.problem.instances[actor.instance.at()].groups;
            let bound = groups.iter().any(|group| self.problem.groups[group.at()].policy == GroupPolicy::Affinity);
            let finally = finally.get_or_insert_with(|| self.finally.clone());
            let step = Step { instance: actor.instance, target: *host };
            let stays = !bound && finally.fits_for_good(step);
            finally.go(step);
            stays
        })
    }

    fn path(&self, mut node: usize) -> Vec<Step> {
        let mut steps = Vec::new();
        while let Node { parent: Some(parent), step: Some((at, target)), .. } = self.nodes[node] {
            steps.push(Step { instance: self.actors[at].instance, target });
            node = parent;
        }
        steps.reverse();
        steps
    }
}

/// Puts the actors where a state has them.
fn arrange(room: &mut Room<'_>, actors: &[Actor], state: &[Place]) {
    for (actor, (host, done)) in actors.iter().zip(state) {
        room.put(actor.instance, *host, *done && room.problem.instances[actor.instance.at()].task == Task::Resize);
    }
}
