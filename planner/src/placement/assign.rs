//! From patterns to instances: which of those alike departs, and which goes where.
//!
//! Who of a kind moves is free, so groups are served by choice: bipartite matching of movers to slots with augmenting
//! paths (Kuhn 1955), the tally saying at every step what room and groups allow. What cannot be matched is left to
//! repair.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use crate::problem::{HostIdx, InstanceIdx, KindIdx, Task};

use super::tally::Tally;

/// How many of each kind depart from, arrive at, or get their new size on each host.
#[derive(Debug, Default)]
pub(super) struct Slots {
    pub(super) depart: BTreeMap<(HostIdx, KindIdx), u32>,
    pub(super) arrive: BTreeMap<(KindIdx, HostIdx), u32>,
    pub(super) in_place: BTreeMap<(HostIdx, KindIdx), u32>,
}

impl Slots {
    /// Gives so many places of one kind to another, as far as there are any.
    pub(super) fn exchange(&mut self, place: KindIdx, taker: KindIdx, times: u32) {
        let mut left = times;
        let all = (place, HostIdx::new(0))..=(place, HostIdx::new(u32::MAX as usize));
        let mut given: Vec<(HostIdx, u32)> = Vec::new();
        for ((_, host), count) in self.arrive.range_mut(all) {
            let taken = left.min(*count);
            *count -= taken;
            left -= taken;
            given.push((*host, taken));
        }
        for (host, count) in given {
            *self.arrive.entry((taker, host)).or_default() += count;
        }
    }
}

/// Carries the slots out in the tally; returns those who found none: evacuees where they were, third parties lifted.
pub(super) fn assign(tally: &mut Tally<'_>, slots: &Slots, asked: &[InstanceIdx]) -> Vec<InstanceIdx> {
    let mut movers: BTreeMap<KindIdx, Vec<InstanceIdx>> = BTreeMap::new();
    let problem = tally.ground.problem;
    for ((host, kind), count) in &slots.in_place {
        for instance in pick(tally, *host, *kind, *count, Task::Resize) {
            tally.put(instance, *host);
        }
    }
    for ((host, kind), count) in &slots.depart {
        let resized = pick(tally, *host, *kind, *count, Task::Resize);
        let rest = count - u32::try_from(resized.len()).unwrap_or(*count);
        let departing: Vec<InstanceIdx> =
            resized.into_iter().chain(pick(tally, *host, *kind, rest, Task::MayMove)).collect();
        for instance in departing {
            tally.lift(instance);
            movers.entry(*kind).or_default().push(instance);
        }
    }
    let evacuees = asked.iter().filter(|at| problem.instances[at.at()].task == Task::Leave && !tally.is_moved(**at));
    for instance in evacuees.filter(|at| tally.ground.departs(**at)) {
        movers.entry(problem.instances[instance.at()].kind).or_default().push(*instance);
    }
    let mut unmatched = Vec::new();
    for (kind, mut movers) in movers {
        let mut matching = Matching::new(slots, kind);
        movers.sort_by_key(|at| order(tally, *at));
        for mover in movers {
            if !matching.place(tally, mover, &mut BTreeSet::new()) {
                unmatched.push(mover);
            }
        }
    }
    unmatched
}

/// Third parties first, since they are off their hosts already; then the more important, then the harder to please.
fn order(tally: &Tally<'_>, mover: InstanceIdx) -> (bool, Reverse<i32>, Reverse<usize>, InstanceIdx) {
    let facts = &tally.ground.problem.instances[mover.at()];
    (facts.task == Task::Leave, Reverse(facts.priority), Reverse(facts.groups.len()), mover)
}

/// Those of a kind on a host that are the least trouble to move: in no group, of least transfer.
fn pick(tally: &Tally<'_>, host: HostIdx, kind: KindIdx, count: u32, task: Task) -> Vec<InstanceIdx> {
    let problem = tally.ground.problem;
    let mut there: Vec<InstanceIdx> = problem.hosts[host.at()]
        .instances
        .iter()
        .copied()
        .filter(|at| problem.instances[at.at()].kind == kind && problem.instances[at.at()].task == task)
        .filter(|at| !tally.is_moved(*at) && (task != Task::MayMove || !tally.ground.problem.is_bound(*at)))
        .collect();
    there.sort_by_key(|at| {
        let facts = &problem.instances[at.at()];
        (facts.groups.len(), facts.transfer, *at)
    });
    there.truncate(count as usize);
    there
}

/// Hosts whose movers are asked to make way for one mover at most: in large pools, beyond a few hundred it is repair that
/// finds a place sooner.
const TRIED_MAX: usize = 256;

/// The slots of one kind and who is in them.
struct Matching {
    /// Slots nobody is in, by host; none that has none.
    free: BTreeMap<HostIdx, u32>,
    placed: BTreeMap<HostIdx, Vec<InstanceIdx>>,
}

impl Matching {
    fn new(slots: &Slots, kind: KindIdx) -> Self {
        let all = (kind, HostIdx::new(0))..=(kind, HostIdx::new(u32::MAX as usize));
        let open = slots.arrive.range(all).filter(|(_, count)| **count > 0);
        let free = open.map(|((_, host), count)| (*host, *count)).collect();
        Self { free, placed: BTreeMap::new() }
    }

    /// Finds the mover a slot, moving others of its kind to other slots if need be.
    fn place(&mut self, tally: &mut Tally<'_>, mover: InstanceIdx, tried: &mut BTreeSet<HostIdx>) -> bool {
        if self.free.is_empty() {
            // Whoever makes way finds no slot either.
            return false;
        }
        if let Some(host) = self.free.keys().copied().find(|host| tally.accepts(mover, *host)) {
            self.take(host);
            self.settle(tally, mover, host);
            return true;
        }
        let hosts: Vec<HostIdx> = self.placed.keys().copied().filter(|host| !tried.contains(host)).collect();
        for host in hosts {
            if tried.len() >= TRIED_MAX {
                return false;
            }
            tried.insert(host);
            for other in self.placed[&host].clone() {
                if self.swap(tally, mover, other, host, tried) {
                    return true;
                }
            }
        }
        false
    }

    /// Gives the mover the slot of another, if that one finds a third.
    fn swap(
        &mut self,
        tally: &mut Tally<'_>,
        mover: InstanceIdx,
        other: InstanceIdx,
        host: HostIdx,
        tried: &mut BTreeSet<HostIdx>,
    ) -> bool {
        self.placed.entry(host).or_default().retain(|at| *at != other);
        tally.lift(other);
        if tally.accepts(mover, host) {
            self.settle(tally, mover, host);
            if self.place(tally, other, tried) {
                return true;
            }
            self.placed.entry(host).or_default().retain(|at| *at != mover);
            unsettle(tally, mover);
        }
        self.settle(tally, other, host);
        false
    }

    /// Takes one of a host's free slots.
    fn take(&mut self, host: HostIdx) {
        if let Some(left) = self.free.get_mut(&host) {
            *left -= 1;
            if *left == 0 {
                self.free.remove(&host);
            }
        }
    }

    fn settle(&mut self, tally: &mut Tally<'_>, mover: InstanceIdx, host: HostIdx) {
        tally.put(mover, host);
        self.placed.entry(host).or_default().push(mover);
    }
}

/// Undoes a trial: an evacuee is where it was, a third party off its host.
fn unsettle(tally: &mut Tally<'_>, mover: InstanceIdx) {
    if tally.ground.problem.instances[mover.at()].task == Task::Leave {
        tally.take_back(mover);
    } else {
        tally.lift(mover);
    }
}
