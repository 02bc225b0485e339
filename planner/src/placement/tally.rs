//! The room and the groups of every host while a placement takes shape.
//!
//! The one idea: only what moved is recorded, everything else stands where it stood. All checks are in integers, so what
//! the tally accepts holds exactly, whatever suggested it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use decant_schema::fleet::GroupPolicy;
use decant_schema::plan::TierName;

use super::company;
use crate::problem::{self, GroupIdx, HostIdx, InstanceIdx, KindIdx, Problem, Task};

/// What every tally of a problem starts from.
pub(super) struct Ground<'a> {
    pub(super) problem: &'a Problem,
    /// Members at the start, by group and host.
    members: HashMap<(GroupIdx, HostIdx), u32>,
    /// Instances that may not leave their host, whatever is asked.
    fixed: Vec<bool>,
    /// Hosts that a kind keeps away from, because earlier placements came to grief there.
    banned: HashSet<(KindIdx, HostIdx)>,
}

impl<'a> Ground<'a> {
    pub(super) fn new(problem: &'a Problem, banned: HashSet<(KindIdx, HostIdx)>) -> Self {
        let mut members = HashMap::new();
        for (at, group) in problem.groups.iter().enumerate() {
            for member in &group.members {
                *members.entry((GroupIdx::new(at), problem.instances[member.at()].host)).or_default() += 1;
            }
        }
        let options = &problem.request.options;
        let may_displace = options.rank(TierName::Refused) < options.rank(TierName::DisplacedMemoryMb);
        let fixed =
            (0..problem.instances.len()).map(|at| is_fixed(problem, InstanceIdx::new(at), may_displace)).collect();
        let mut ground = Self { problem, members, fixed, banned };
        for instance in company::stranded(&ground) {
            ground.fixed[instance.at()] = true;
        }
        ground
    }

    /// Whether the instance can depart from its host at all.
    pub(super) fn departs(&self, instance: InstanceIdx) -> bool {
        !self.fixed[instance.at()]
    }

    /// Whether the instance may stay where it is with its new size, which the host's rules allow, room permitting.
    pub(super) fn resizes_in_place(&self, instance: InstanceIdx) -> bool {
        let facts = &self.problem.instances[instance.at()];
        facts.task == Task::Resize && self.problem.admits(instance, facts.host)
    }

    /// Whether the instance may be at the host, but for room and groups.
    pub(super) fn admits(&self, instance: InstanceIdx, host: HostIdx) -> bool {
        if host == self.problem.instances[instance.at()].host {
            self.resizes_in_place(instance)
        } else {
            self.departs(instance) && self.may_hold(self.problem.instances[instance.at()].kind, host)
        }
    }

    /// Whether one of the kind may go to the host, but for room and groups.
    pub(super) fn may_hold(&self, kind: KindIdx, host: HostIdx) -> bool {
        self.problem.kinds[kind.at()].eligible.contains(host) && !self.banned.contains(&(kind, host))
    }

    /// Whether anything is kept away from anywhere because of earlier placements.
    pub(super) fn has_bans(&self) -> bool {
        !self.banned.is_empty()
    }

    /// Members of a hard anti-affinity group that a host may hold: never more than the rule says, or than are there.
    pub(super) fn member_limit(&self, group: GroupIdx, host: HostIdx) -> u32 {
        let standing = self.members.get(&(group, host)).copied().unwrap_or(0);
        self.problem.groups[group.at()].max_per_host.max(standing)
    }

    /// The hosts on which a group has members at the start.
    pub(super) fn hosts_of(&self, group: GroupIdx) -> BTreeSet<HostIdx> {
        let members = &self.problem.groups[group.at()].members;
        members.iter().map(|member| self.problem.instances[member.at()].host).collect()
    }

    /// The instance's groups of a policy.
    pub(super) fn groups_of(&self, instance: InstanceIdx, policy: GroupPolicy) -> impl Iterator<Item = GroupIdx> + '_ {
        let groups = &self.problem.instances[instance.at()].groups;
        groups.iter().copied().filter(move |group| self.problem.groups[group.at()].policy == policy)
    }
}

/// Whether the request would rather refuse anyone than displace anyone: then nobody is displaced.
fn is_fixed(problem: &Problem, instance: InstanceIdx, may_displace: bool) -> bool {
    match problem.instances[instance.at()].task {
        Task::Leave | Task::Resize => problem::forbidden(problem, instance).is_some(),
        Task::MayMove => !may_displace,
        Task::Stay => true,
    }
}

/// A placement in the making.
#[derive(Clone)]
pub(super) struct Tally<'a> {
    pub(super) ground: &'a Ground<'a>,
    /// Headroom − kept, with what departed and arrived so far; by host, then class.
    room: Vec<i64>,
    /// Where those went that moved; their own host where they are resized in place.
    moved: BTreeMap<InstanceIdx, HostIdx>,
    /// Those taken off their hosts and not put anywhere yet.
    lifted: BTreeSet<InstanceIdx>,
    /// Members more or fewer than at the start, by group and host.
    member_change: HashMap<(GroupIdx, HostIdx), i32>,
    /// Arrivals by host, those resized in place included.
    arrivals: Vec<u32>,
}

impl<'a> Tally<'a> {
    pub(super) fn new(ground: &'a Ground<'a>) -> Self {
        let hosts = &ground.problem.hosts;
        let room =
            hosts.iter().flat_map(|host| host.free.iter().zip(&host.keep).map(|(free, keep)| free - keep)).collect();
        Self {
            ground,
            room,
            moved: BTreeMap::new(),
            lifted: BTreeSet::new(),
            member_change: HashMap::new(),
            arrivals: vec![0; hosts.len()],
        }
    }

    fn problem(&self) -> &'a Problem {
        self.ground.problem
    }

    /// What a host has left, by class.
    pub(super) fn room(&self, host: HostIdx) -> &[i64] {
        let classes = self.problem().classes.len();
        &self.room[host.at() * classes..][..classes]
    }

    /// Whether it has moved, or has its new size.
    pub(super) fn is_moved(&self, instance: InstanceIdx) -> bool {
        self.moved.contains_key(&instance)
    }

    /// Where it has moved; its own host where it has its new size there.
    pub(super) fn goes_to(&self, instance: InstanceIdx) -> Option<HostIdx> {
        self.moved.get(&instance).copied()
    }

    /// Whether it is on its host as it was at the start.
    pub(super) fn stands(&self, instance: InstanceIdx) -> bool {
        !self.is_moved(instance) && !self.lifted.contains(&instance)
    }

    /// All that moved, with their hosts, by instance.
    pub(super) fn moved(&self) -> impl Iterator<Item = (InstanceIdx, HostIdx)> + '_ {
        self.moved.iter().map(|(instance, host)| (*instance, *host))
    }

    /// Whether an instance that has not moved, or is off its host, may go to the host now: rules, room and hard
    /// anti-affinity.
    pub(super) fn accepts(&self, instance: InstanceIdx, host: HostIdx) -> bool {
        self.has_room(instance, host) && self.ground.admits(instance, host) && self.groups_accept(instance, host)
    }

    /// Whether the host has room for the instance. Only the classes it takes matter.
    pub(super) fn has_room(&self, instance: InstanceIdx, host: HostIdx) -> bool {
        let kind = self.problem().kind(instance);
        let home = host == self.problem().instances[instance.at()].host && !self.lifted.contains(&instance);
        let taken = |class: usize| kind.need[class] - if home { kind.claim[class] } else { 0 };
        self.room(host).iter().enumerate().all(|(class, room)| taken(class) <= 0 || taken(class) <= *room)
    }

    /// Whether hard anti-affinity lets the instance go to the host.
    fn groups_accept(&self, instance: InstanceIdx, host: HostIdx) -> bool {
        host == self.problem().instances[instance.at()].host
            || self
                .ground
                .groups_of(instance, GroupPolicy::AntiAffinity)
                .all(|group| self.members(group, host) < self.ground.member_limit(group, host))
    }

    /// Members of a group on a host now.
    pub(super) fn members(&self, group: GroupIdx, host: HostIdx) -> u32 {
        let standing = self.ground.members.get(&(group, host)).copied().unwrap_or(0);
        let change = self.member_change.get(&(group, host)).copied().unwrap_or(0);
        standing.checked_add_signed(change).expect("nobody leaves a host it is not on")
    }

    /// Moves an instance from wherever it is.
    pub(super) fn put(&mut self, instance: InstanceIdx, host: HostIdx) {
        self.lift(instance);
        self.lifted.remove(&instance);
        self.arrive(instance, host, 1);
        self.moved.insert(instance, host);
    }

    /// Takes an instance off its host, to be put somewhere later or returned.
    pub(super) fn lift(&mut self, instance: InstanceIdx) {
        if !self.lifted.insert(instance) {
            return;
        }
        match self.moved.remove(&instance) {
            Some(host) => self.arrive(instance, host, -1),
            None => self.leave(instance, 1),
        }
    }

    /// Returns an instance to where it started, whether or not its old room is still free; see [`Tally::may_return`].
    pub(super) fn take_back(&mut self, instance: InstanceIdx) {
        self.lift(instance);
        self.lifted.remove(&instance);
        self.leave(instance, -1);
    }

    /// Those taken off their hosts and not put anywhere, by index.
    pub(super) fn lifted(&self) -> Vec<InstanceIdx> {
        self.lifted.iter().copied().collect()
    }

    /// Whether an instance that is off its host finds its old room still there.
    pub(super) fn may_return(&self, instance: InstanceIdx) -> bool {
        let (facts, kind) = (&self.problem().instances[instance.at()], self.problem().kind(instance));
        let room = self.room(facts.host).iter().zip(&kind.claim).all(|(room, claim)| *claim == 0 || claim <= room);
        (room || self.arrivals[facts.host.at()] == 0)
            && self
                .ground
                .groups_of(instance, GroupPolicy::AntiAffinity)
                .all(|group| self.members(group, facts.host) < self.ground.member_limit(group, facts.host))
    }

    /// Frees, or with −1 takes again, an instance's place at the start.
    fn leave(&mut self, instance: InstanceIdx, times: i32) {
        let problem = self.problem();
        let source = problem.instances[instance.at()].host;
        self.add(source, &problem.kind(instance).claim, i64::from(times));
        self.count(instance, source, -times);
    }

    /// Takes, or with −1 frees again, an instance's place on a host.
    fn arrive(&mut self, instance: InstanceIdx, host: HostIdx, times: i32) {
        let problem = self.problem();
        self.add(host, &problem.kind(instance).need, -i64::from(times));
        self.count(instance, host, times);
        let arrivals = &mut self.arrivals[host.at()];
        *arrivals = arrivals.checked_add_signed(times).expect("who leaves has arrived");
    }

    fn add(&mut self, host: HostIdx, amounts: &[i64], times: i64) {
        let room = &mut self.room[host.at() * amounts.len()..][..amounts.len()];
        room.iter_mut().zip(amounts).for_each(|(room, amount)| *room += amount * times);
    }

    fn count(&mut self, instance: InstanceIdx, host: HostIdx, times: i32) {
        for group in &self.ground.problem.instances[instance.at()].groups {
            *self.member_change.entry((*group, host)).or_default() += times;
        }
    }

    /// Where an instance is now; a lifted one is nowhere.
    fn host(&self, instance: InstanceIdx) -> Option<HostIdx> {
        let lifted = self.lifted.contains(&instance);
        let standing = self.problem().instances[instance.at()].host;
        (!lifted).then(|| self.moved.get(&instance).copied().unwrap_or(standing))
    }

    /// The hosts on which a group has members now.
    pub(super) fn hosts_of(&self, group: GroupIdx) -> BTreeSet<HostIdx> {
        self.problem().groups[group.at()].members.iter().filter_map(|member| self.host(*member)).collect()
    }

    /// Whether every hard affinity group that was touched holds: who moved has company, and there are no more hosts.
    pub(super) fn affinity_holds(&self) -> bool {
        self.moved.keys().all(|instance| self.affinity_holds_for(*instance))
    }

    /// The same, for the groups of one that moved.
    pub(super) fn affinity_holds_for(&self, instance: InstanceIdx) -> bool {
        let (home, host) = (self.problem().instances[instance.at()].host, self.host(instance));
        self.ground.problem.binding_groups(instance).all(|group| {
            host.is_none_or(|host| host == home || self.members(group, host) > 1)
                && self.hosts_of(group).len() <= self.ground.hosts_of(group).len()
        })
    }

    /// Memory of the third parties that move, MiB.
    pub(super) fn displaced(&self) -> u64 {
        let third_party = |instance: &InstanceIdx| self.problem().instances[instance.at()].task == Task::MayMove;
        let displaced = self.moved.keys().chain(&self.lifted).filter(|instance| third_party(instance));
        let memory: i64 = displaced.map(|instance| self.problem().kind(*instance).memory).sum();
        u64::try_from(memory).expect("no instance claims a negative amount")
    }
}
