//! The best end that any order leads to, wherever it is: where the best placements have no order, or a dear one.
//!
//! Best-first over who is where, the least memory displaced first, with every instance that may move and every host that
//! admits it; states in which those alike have changed places are one (uniform-cost search; Dijkstra 1959). Feasible for
//! small fleets, and for tight ones, where little can move; exhausted or cut, it never does worse than what is known.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use rustc_hash::FxHashMap;

use crate::Limits;
use crate::problem::{GroupIdx, HostIdx, InstanceIdx, Placement, Problem, Task};

use super::room::{Room, Step};

/// Single moves looked at, per unit of effort: a second at most.
const LEGS: usize = 2_000_000;

/// Instances that may move; with more of them, the search finds nothing in its budget.
const MOVERS_MAX: usize = 40;

/// What the search came to.
pub(crate) struct Better {
    /// The best that is better than what was known, if anything is.
    pub(crate) found: Option<Reached>,
    /// Whether nothing is left that could be better.
    pub(crate) exhausted: bool,
}

/// An end and the way there.
pub(crate) struct Reached {
    /// Who is where in the end.
    pub(crate) placement: Placement,
    /// Who goes where, one after the other.
    pub(crate) way: Vec<(InstanceIdx, HostIdx)>,
}

/// Looks for an end that is better than a known one, of which is given what it refuses, as that is compared, and what it
/// displaces, MiB. Less than `least` is never refused. `None` if there are too many that may move.
pub(crate) fn better(problem: &Problem, known: (Vec<u64>, u64), least: &[u64], limits: &Limits<'_>) -> Option<Better> {
    Some(Search::new(problem)?.run(known, least, limits))
}

/// Where a mover is, and whether it has moved.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Place(u32);

impl Place {
    fn new(host: HostIdx, moved: bool) -> Self {
        Self(u32::try_from(host.at() * 2 + usize::from(moved)).expect("fleets are far smaller than 2^31"))
    }

    fn host(self) -> HostIdx {
        HostIdx::new(self.0 as usize / 2)
    }

    fn is_moved(self) -> bool {
        self.0 % 2 == 1
    }
}

/// The place of every mover.
type State = Box<[Place]>;

struct Node {
    parent: Option<usize>,
    step: Option<Step>,
    state: State,
}

struct Search<'p> {
    problem: &'p Problem,
    movers: Vec<InstanceIdx>,
    /// Hosts of each mover.
    targets: Vec<Vec<HostIdx>>,
    /// Positions of movers that are alike.
    alike: Vec<Vec<usize>>,
    /// Affinity groups that bind movers.
    binding: Vec<GroupIdx>,
}

impl<'p> Search<'p> {
    /// `None` if there are too many to move.
    fn new(problem: &'p Problem) -> Option<Self> {
        let moves = |at: &InstanceIdx| {
            let (facts, kind) = (&problem.instances[at.at()], problem.kind(*at));
            let elsewhere = kind.eligible.iter().any(|host| host != facts.host || facts.task == Task::Resize);
            facts.task != Task::Stay && elsewhere
        };
        let movers: Vec<InstanceIdx> = (0..problem.instances.len()).map(InstanceIdx::new).filter(moves).collect();
        if movers.len() > MOVERS_MAX {
            return None;
        }
        let mut alike = BTreeMap::<_, Vec<usize>>::new();
        for (at, instance) in movers.iter().enumerate() {
            let facts = &problem.instances[instance.at()];
            let single = (facts.task == Task::Resize).then_some(*instance);
            let key = (facts.kind, facts.host, facts.task, facts.priority, facts.groups.clone(), single);
            alike.entry(key).or_default().push(at);
        }
        let mut binding: Vec<GroupIdx> = movers.iter().flat_map(|at| problem.binding_groups(*at)).collect();
        binding.sort_unstable();
        binding.dedup();
        let targets = movers.iter().map(|at| problem.kind(*at).eligible.iter().collect()).collect();
        Some(Self { problem, movers, targets, alike: alike.into_values().collect(), binding })
    }

    fn run(&self, known: (Vec<u64>, u64), least: &[u64], limits: &Limits<'_>) -> Better {
        let mut room = Room::at_start(self.problem);
        let first: State = self.movers.iter().map(|at| Place::new(room.host(*at), false)).collect();
        let mut costs: FxHashMap<State, u64> = FxHashMap::from_iter([(self.canonical(&first), 0)]);
        let mut nodes = vec![Node { parent: None, step: None, state: first }];
        // Of equal cost the newest first, so that the search dives.
        let mut open = BinaryHeap::from([(Reverse(0_u64), 0_usize)]);
        let (mut best, mut found, mut legs, mut exhausted) = (known, None, 0, true);
        while let Some((Reverse(displaced), at)) = open.pop() {
            let state = nodes[at].state.clone();
            if best.0 == least && displaced >= best.1 {
                break;
            }
            if legs > LEGS * limits.effort as usize || limits.out_of_time() {
                exhausted = false;
                break;
            }
            if costs.get(&self.canonical(&state)).is_some_and(|cost| *cost < displaced) {
                continue;
            }
            self.arrange(&mut room, &state);
            let value = (self.problem.refusal_rank(&self.refused(&state)), displaced);
            if value < best && self.may_end(&room, &state) {
                (best, found) = (value, Some(at));
            }
            for (mover, instance) in self.movers.iter().enumerate() {
                for target in &self.targets[mover] {
                    legs += 1;
                    let step = Step { instance: *instance, target: *target };
                    if !self.goes(&room, state[mover], step) {
                        continue;
                    }
                    let displaced = displaced + self.displaces(state[mover], *instance);
                    let mut next = state.clone();
                    next[mover] = Place::new(*target, true);
                    let known = costs.entry(self.canonical(&next)).or_insert(u64::MAX);
                    if displaced < *known && !(best.0 == least && displaced >= best.1) {
                        *known = displaced;
                        nodes.push(Node { parent: Some(at), step: Some(step), state: next });
                        open.push((Reverse(displaced), nodes.len() - 1));
                    }
                }
            }
        }
        let reached = |at: usize| Reached { placement: self.placement(&nodes[at].state), way: way(&nodes, at) };
        Better { found: found.map(reached), exhausted }
    }

    /// Whether a mover may go there now.
    fn goes(&self, room: &Room<'_>, place: Place, step: Step) -> bool {
        let resizes = self.problem.instances[step.instance.at()].task == Task::Resize;
        let in_place = step.target == place.host();
        let may_go = !place.is_moved() || room.may_hop(step.instance);
        may_go && (if in_place { resizes } else { room.climbs(step) }) && room.fits(step)
    }

    /// The memory that a move displaces, MiB: a third party's that moves for the first time.
    fn displaces(&self, place: Place, instance: InstanceIdx) -> u64 {
        let third_party = self.problem.instances[instance.at()].task == Task::MayMove;
        if third_party && !place.is_moved() { self.problem.kind(instance).memory.unsigned_abs() } else { 0 }
    }

    /// A state in which those alike are in order.
    fn canonical(&self, state: &State) -> State {
        let mut canonical = state.clone();
        for alike in self.alike.iter().filter(|alike| alike.len() > 1) {
            let mut places: Vec<Place> = alike.iter().map(|at| state[*at]).collect();
            places.sort_unstable();
            alike.iter().zip(places).for_each(|(at, place)| canonical[*at] = place);
        }
        canonical
    }

    fn arrange(&self, room: &mut Room<'_>, state: &State) {
        for (instance, place) in self.movers.iter().zip(state) {
            let resized = place.is_moved() && self.problem.instances[instance.at()].task == Task::Resize;
            room.put(*instance, place.host(), resized);
        }
    }

    /// Those asked who have not moved.
    fn refused(&self, state: &State) -> Vec<InstanceIdx> {
        let moved = |at: InstanceIdx| self.movers.binary_search(&at).is_ok_and(|mover| state[mover].is_moved());
        let asked = self.problem.with_task(Task::Leave).chain(self.problem.with_task(Task::Resize));
        let mut refused: Vec<InstanceIdx> = asked.filter(|at| !moved(*at)).collect();
        refused.sort_unstable();
        refused
    }

    /// Whether all may stay so: within capacity less what is kept where something came, and affinity no looser.
    fn may_end(&self, room: &Room<'_>, state: &State) -> bool {
        let problem = self.problem;
        let comes = |(instance, place): (&InstanceIdx, &Place)| {
            let facts = &problem.instances[instance.at()];
            let grows = facts.host == place.host();
            let came = !grows || facts.task == Task::Resize && place.is_moved();
            !came || room.keeps_headroom_for(*instance, grows)
        };
        let hosts = |group: &GroupIdx, of: &dyn Fn(InstanceIdx) -> HostIdx| {
            let mut hosts: Vec<HostIdx> = problem.groups[group.at()].members.iter().map(|at| of(*at)).collect();
            hosts.sort_unstable();
            hosts
        };
        let holds = |group: &GroupIdx| {
            let (before, after) =
                (hosts(group, &|at| problem.instances[at.at()].host), hosts(group, &|at| room.host(at)));
            let count = |hosts: &[HostIdx]| hosts.chunk_by(|a, b| a == b).count();
            let moved = |at: &InstanceIdx| room.host(*at) != problem.instances[at.at()].host;
            let movers: Vec<InstanceIdx> =
                problem.groups[group.at()].members.iter().copied().filter(|at| moved(at)).collect();
            let company = |at: &InstanceIdx| after.iter().filter(|host| **host == room.host(*at)).count() > 1;
            movers.is_empty() || count(&after) <= count(&before) && movers.iter().all(company)
        };
        self.movers.iter().zip(state).all(comes) && self.binding.iter().all(holds)
    }

    fn placement(&self, state: &State) -> Placement {
        let mut placement = self.problem.standing();
        self.movers.iter().zip(state).for_each(|(instance, place)| placement.host[instance.at()] = place.host());
        placement.refused = self.refused(state);
        placement
    }
}

fn way(nodes: &[Node], mut at: usize) -> Vec<(InstanceIdx, HostIdx)> {
    let mut way = Vec::new();
    while let Node { parent: Some(parent), step: Some(step), .. } = &nodes[at] {
        way.push((step.instance, step.target));
        at = *parent;
    }
    way.reverse();
    way
}
