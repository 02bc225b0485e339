//! Who is where between two moves, and what room that leaves: the state every order is searched in.
//!
//! One move at a time is enough to decide whether an order exists: a partial-order schedule always allows its moves
//! to run one after the other, and [`super::chain`] makes such a schedule of any order of single moves.

use decant_schema::fleet::GroupPolicy;
use decant_schema::plan::MoveMode;
use rustc_hash::FxHashMap;

use crate::problem::{GroupIdx, HostIdx, InstanceIdx, Problem, Task};

/// One move of an order: its source is wherever the instance is by then. In place where that is the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Step {
    pub(super) instance: InstanceIdx,
    pub(super) target: HostIdx,
}

/// Who is where, and what room that leaves.
#[derive(Clone)]
pub(super) struct Room<'p> {
    pub(super) problem: &'p Problem,
    /// By host, then class: what may still arrive. Never negative: a host that starts beyond its capacity may stay
    /// there, but not go further.
    free: Vec<i64>,
    hosts: Vec<HostIdx>,
    resized: Vec<bool>,
    /// What hard anti-affinity groups may still put on a host; absent: nobody is there.
    slots: FxHashMap<(GroupIdx, HostIdx), i64>,
}

impl<'p> Room<'p> {
    /// Before the first move.
    pub(super) fn at_start(problem: &'p Problem) -> Self {
        let free = problem.hosts.iter().flat_map(|host| host.free.iter().map(|free| (*free).max(0))).collect();
        let hosts: Vec<HostIdx> = problem.instances.iter().map(|facts| facts.host).collect();
        let mut slots = FxHashMap::default();
        for (at, group) in problem.groups.iter().enumerate() {
            if group.policy == GroupPolicy::AntiAffinity {
                for member in &group.members {
                    *slots.entry((GroupIdx::new(at), hosts[member.at()])).or_insert(i64::from(group.max_per_host)) -= 1;
                }
            }
        }
        for slots in slots.values_mut() {
            *slots = (*slots).max(0);
        }
        Self { problem, free, resized: vec![false; hosts.len()], hosts, slots }
    }

    /// Where an instance is.
    pub(super) fn host(&self, instance: InstanceIdx) -> HostIdx {
        self.hosts[instance.at()]
    }

    /// What may still arrive at a host, by class.
    pub(super) fn free(&self, host: HostIdx) -> &[i64] {
        let classes = self.problem.classes.len();
        &self.free[host.at() * classes..(host.at() + 1) * classes]
    }

    /// What a move takes at its target when it starts: all of the instance, or what it grows by in place.
    pub(super) fn takes(&self, step: Step, class: usize) -> i64 {
        let kind = self.problem.kind(step.instance);
        if self.host(step.instance) == step.target {
            (kind.need[class] - self.holds(step.instance, class)).max(0)
        } else {
            kind.need[class]
        }
    }

    /// What a move gives back at its source when it has ended: all of the instance, or what it shrinks by in place.
    pub(super) fn gives(&self, step: Step, class: usize) -> i64 {
        let held = self.holds(step.instance, class);
        if self.host(step.instance) == step.target {
            (held - self.problem.kind(step.instance).need[class]).max(0)
        } else {
            held
        }
    }

    fn holds(&self, instance: InstanceIdx, class: usize) -> i64 {
        let kind = self.problem.kind(instance);
        if self.resized[instance.at()] { kind.need[class] } else { kind.claim[class] }
    }

    /// The hard anti-affinity groups of an instance.
    pub(super) fn exclusive_groups(&self, instance: InstanceIdx) -> impl Iterator<Item = GroupIdx> + use<'p> {
        let problem = self.problem;
        let groups = problem.instances[instance.at()].groups.iter().copied();
        groups.filter(move |group| problem.groups[group.at()].policy == GroupPolicy::AntiAffinity)
    }

    /// How many members of a hard anti-affinity group may still come to a host.
    pub(super) fn slots(&self, group: GroupIdx, host: HostIdx) -> i64 {
        let untouched = || i64::from(self.problem.groups[group.at()].max_per_host);
        self.slots.get(&(group, host)).copied().unwrap_or_else(untouched)
    }

    /// Whether a move may start now, both ends held while it runs.
    pub(super) fn fits(&self, step: Step) -> bool {
        let free = self.free(step.target);
        let in_place = self.host(step.instance) == step.target;
        (0..free.len()).all(|class| self.takes(step, class) <= free[class].max(0))
            && (in_place || self.exclusive_groups(step.instance).all(|group| self.slots(group, step.target) > 0))
    }

    /// Carries a move out, from its start to its end.
    pub(super) fn go(&mut self, step: Step) {
        self.put(step.instance, step.target, self.problem.instances[step.instance.at()].task == Task::Resize);
    }

    /// Puts an instance somewhere, whatever there is of room; a search goes back this way too.
    pub(super) fn put(&mut self, instance: InstanceIdx, target: HostIdx, resized: bool) {
        let source = self.host(instance);
        let classes = self.problem.classes.len();
        for class in 0..classes {
            self.free[source.at() * classes + class] += self.holds(instance, class);
        }
        self.resized[instance.at()] = resized;
        self.hosts[instance.at()] = target;
        for class in 0..classes {
            self.free[target.at() * classes + class] -= self.holds(instance, class);
        }
        if source != target {
            for group in self.exclusive_groups(instance) {
                let fresh = i64::from(self.problem.groups[group.at()].max_per_host);
                *self.slots.entry((group, source)).or_insert(fresh) += 1;
                *self.slots.entry((group, target)).or_insert(fresh) -= 1;
            }
        }
    }

    /// Whether a move could be the last one of an order that ends here: within capacity, not only within what the
    /// host held at the start, and without touching the headroom to keep.
    pub(super) fn fits_for_good(&self, step: Step) -> bool {
        let facts = &self.problem.hosts[step.target.at()];
        let spare = |class: usize| self.free(step.target)[class] + facts.free[class].min(0) - facts.keep[class];
        let classes = 0..self.problem.classes.len();
        self.fits(step) && classes.into_iter().all(|class| self.takes(step, class) <= spare(class).max(0))
    }

    /// Whether the host where an instance came, or where it has grown, keeps the headroom it must in what that took.
    pub(super) fn keeps_headroom_for(&self, instance: InstanceIdx, grows: bool) -> bool {
        let (host, kind) = (self.host(instance), self.problem.kind(instance));
        let facts = &self.problem.hosts[host.at()];
        let took = |class: usize| kind.need[class] - if grows { kind.claim[class] } else { 0 };
        let spare = |class: usize| self.free(host)[class] + facts.free[class].min(0) - facts.keep[class];
        (0..self.problem.classes.len()).all(|class| took(class) <= 0 || spare(class) >= 0)
    }

    /// Whether a move goes to no older hypervisor, or is not live: on a way with stops, every leg must.
    pub(super) fn climbs(&self, step: Step) -> bool {
        let version = |host: HostIdx| self.problem.fleet.hosts()[host.at()].hypervisor_version;
        self.problem.instances[step.instance.at()].mode != MoveMode::Live
            || version(self.host(step.instance)) <= version(step.target)
    }

    /// Whether an instance may stop anywhere on its way: one that is resized takes its new size along, and one that
    /// is rebuilt has no source to go on from.
    pub(super) fn may_hop(&self, instance: InstanceIdx) -> bool {
        let facts = &self.problem.instances[instance.at()];
        facts.task != Task::Resize && facts.mode != MoveMode::Rebuild
    }
}
