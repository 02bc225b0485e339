//! Hard affinity: who must end where others of the group are, and therefore moves as a unit.
//!
//! A unit is what has to go together. It goes to a host where other members stay; where none stays, to any one host.
//! Third parties bound by affinity are never displaced: that would move a whole group to make room for one.

use std::collections::BTreeMap;

use crate::problem::{GroupIdx, HostIdx, InstanceIdx, Task};

use super::tally::{Ground, Tally};

/// Instances that go to one host together; most are alone.
#[derive(Clone, Debug)]
pub(super) struct Unit {
    /// Its members, by index.
    pub(super) members: Vec<InstanceIdx>,
    /// Affinity groups some of whose members stay: the unit ends where they are.
    follows: Vec<GroupIdx>,
}

/// What is asked, in units, by first member.
pub(super) fn units(ground: &Ground<'_>, asked: &[InstanceIdx]) -> Vec<Unit> {
    let mut units: Vec<Unit> = Vec::new();
    let mut unit_of: BTreeMap<GroupIdx, usize> = BTreeMap::new();
    for instance in asked {
        let groups: Vec<_> = ground.problem.binding_groups(*instance).collect();
        let known = groups.iter().find_map(|group| unit_of.get(group).copied());
        let at = known.unwrap_or(units.len());
        if known.is_none() {
            units.push(Unit { members: Vec::new(), follows: Vec::new() });
        }
        units[at].members.push(*instance);
        for group in groups {
            unit_of.entry(group).or_insert(at);
        }
    }
    for unit in &mut units {
        unit.follows = followed(ground, &unit.members);
    }
    units
}

fn followed(ground: &Ground<'_>, members: &[InstanceIdx]) -> Vec<GroupIdx> {
    let mut groups: Vec<_> = members.iter().flat_map(|member| ground.problem.binding_groups(*member)).collect();
    groups.sort_unstable();
    groups.dedup();
    groups.retain(|group| ground.problem.groups[group.at()].members.iter().any(|member| !members.contains(member)));
    groups
}

impl Unit {
    /// An instance that no affinity binds.
    pub(super) fn alone(instance: InstanceIdx) -> Self {
        Self { members: vec![instance], follows: Vec::new() }
    }

    /// Whether affinity lets the unit be on the host.
    pub(super) fn may_be_on(&self, tally: &Tally<'_>, host: HostIdx) -> bool {
        self.follows.iter().all(|group| tally.members(*group, host) > 0 || self.is_home(tally, host))
    }

    /// Whether it is where it started: only a resize stays there.
    fn is_home(&self, tally: &Tally<'_>, host: HostIdx) -> bool {
        let facts = |member: &InstanceIdx| &tally.ground.problem.instances[member.at()];
        self.members.iter().all(|member| facts(member).host == host && facts(member).task == Task::Resize)
    }

    /// Moves the whole unit to the host, or nobody.
    pub(super) fn put(&self, tally: &mut Tally<'_>, host: HostIdx) -> bool {
        if !self.may_be_on(tally, host) {
            return false;
        }
        for (at, member) in self.members.iter().enumerate() {
            if !tally.accepts(*member, host) {
                self.members[..at].iter().for_each(|member| tally.take_back(*member));
                return false;
            }
            tally.put(*member, host);
        }
        true
    }
}
