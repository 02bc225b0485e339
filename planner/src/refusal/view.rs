//! The fleet as a refused instance finds it: the room and the groups of every host, before or after the plan.

use std::collections::BTreeSet;

use decant_schema::fleet::GroupPolicy;
use decant_schema::plan::RuleName;
use decant_schema::request::RequestKind;

use crate::problem::{Amounts, GroupIdx, HostIdx, InstanceIdx, Placement, Problem, Task};
use crate::rules::Want;

use super::obstacle::Obstacle;

/// Room and group members of every host at one moment.
pub(super) struct View<'a> {
    problem: &'a Problem,
    free: Vec<Amounts>,
    /// Where every instance is; `None` for one that is about to leave, so that it holds no group to its old host.
    place: Vec<Option<HostIdx>>,
}

impl<'a> View<'a> {
    /// The fleet as it stands, those on emptied hosts being about to leave.
    pub(super) fn standing(problem: &'a Problem) -> Self {
        let place = problem.instances.iter().map(|facts| (facts.task != Task::Leave).then_some(facts.host)).collect();
        Self { problem, free: problem.hosts.iter().map(|host| host.free.clone()).collect(), place }
    }

    /// The fleet as the placement leaves it.
    pub(super) fn end_of(problem: &'a Problem, placement: &Placement) -> Self {
        let mut free: Vec<Amounts> = problem.hosts.iter().map(|host| host.free.clone()).collect();
        let mut refused = vec![false; problem.instances.len()];
        for instance in &placement.refused {
            refused[instance.at()] = true;
        }
        for (at, facts) in problem.instances.iter().enumerate() {
            let end = placement.host[at];
            let kind = &problem.kinds[facts.kind.at()];
            if end != facts.host || (facts.task == Task::Resize && !refused[at]) {
                add(&mut free[facts.host.at()], &kind.claim);
                take(&mut free[end.at()], &kind.need);
            }
        }
        Self { problem, free, place: placement.host.iter().map(|host| Some(*host)).collect() }
    }

    /// What rules the host out by its room and its groups, in the order of the rules.
    pub(super) fn obstacles(&self, instance: InstanceIdx, host: HostIdx) -> Vec<Obstacle> {
        let mut obstacles = self.room_obstacles(instance, host);
        for group in &self.problem.instances[instance.at()].groups {
            obstacles.extend(self.whole_group(*group, instance, host));
            obstacles.extend(self.group(*group, instance, host));
        }
        obstacles.sort_by_key(|obstacle| obstacle.rule);
        obstacles
    }

    /// What the instance would add to the host: all it needs, or the growth where it stays.
    fn growth(&self, instance: InstanceIdx, host: HostIdx) -> impl Iterator<Item = (usize, i64)> + '_ {
        let kind = self.problem.kind(instance);
        let stays = self.problem.instances[instance.at()].host == host;
        kind.need.iter().zip(&kind.claim).map(move |(need, claim)| if stays { need - claim } else { *need }).enumerate()
    }

    fn room_obstacles(&self, instance: InstanceIdx, host: HostIdx) -> Vec<Obstacle> {
        let facts = &self.problem.hosts[host.at()];
        let free = &self.free[host.at()];
        let mut obstacles = Vec::new();
        for (class, growth) in self.growth(instance, host).filter(|(_, growth)| *growth > 0) {
            let empty = facts.capacity[class] - self.other_usage(host, class);
            let need = self.problem.kind(instance).need[class];
            let beyond = free[class] - facts.keep[class];
            if empty < need {
                obstacles.push(Obstacle::of_amount(RuleName::Size, class, need, empty));
            } else if free[class] < growth {
                obstacles.push(Obstacle::of_amount(RuleName::Capacity, class, growth, free[class]));
            } else if beyond < growth {
                obstacles.push(Obstacle::of_amount(RuleName::Headroom, class, growth, beyond));
            }
        }
        obstacles
    }

    fn other_usage(&self, host: HostIdx, class: usize) -> i64 {
        let other = &self.problem.fleet.hosts()[host.at()].other_usage;
        other.get(&self.problem.classes[class]).map_or(0, |amount| i64::try_from(*amount).unwrap_or(i64::MAX))
    }

    /// Where its affinity group, which can only go as a whole, has not the room.
    fn whole_group(&self, at: GroupIdx, instance: InstanceIdx, host: HostIdx) -> Vec<Obstacle> {
        if !goes_as_a_whole(self.problem, at, instance) {
            return Vec::new();
        }
        let group = &self.problem.groups[at.at()];
        let need =
            |class: usize| group.members.iter().map(|member| self.problem.kind(*member).need[class]).sum::<i64>();
        let left = |class: usize| self.free[host.at()][class] - self.problem.hosts[host.at()].keep[class];
        let name = self.problem.fleet.server_groups()[at.at()].name.to_string();
        (0..self.problem.classes.len())
            .map(|class| (class, need(class), left(class)))
            .filter(|(_, need, left)| *need > 0 && left < need)
            .map(|(class, need, left)| Obstacle {
                subject: Some(name.clone()),
                ..Obstacle::of_amount(RuleName::Affinity, class, need, left)
            })
            .collect()
    }

    fn group(&self, at: GroupIdx, instance: InstanceIdx, host: HostIdx) -> Option<Obstacle> {
        let group = &self.problem.groups[at.at()];
        let others = || group.members.iter().filter(|member| **member != instance);
        let there = others().filter(|member| self.place[member.at()] == Some(host)).count();
        let rule = match group.policy {
            GroupPolicy::AntiAffinity => {
                let at_start = group.members.iter().filter(|m| self.problem.instances[m.at()].host == host).count();
                (there + 1 > at_start.max(group.max_per_host as usize)).then_some(RuleName::AntiAffinity)
            }
            GroupPolicy::Affinity => {
                let elsewhere = others().any(|member| self.place[member.at()].is_some());
                (elsewhere && there == 0).then_some(RuleName::Affinity)
            }
            GroupPolicy::SoftAffinity | GroupPolicy::SoftAntiAffinity => None,
        }?;
        let name = self.problem.fleet.server_groups()[at.at()].name.to_string();
        Some(Obstacle { subject: Some(name), ..Obstacle::of(rule) })
    }
}

/// Whether a group is one of hard affinity whose members are all to leave the host of this one: either all of them end on
/// one host, or nobody leaves.
fn goes_as_a_whole(problem: &Problem, at: GroupIdx, instance: InstanceIdx) -> bool {
    let group = &problem.groups[at.at()];
    let host = problem.instances[instance.at()].host;
    let leaves = |member: &InstanceIdx| {
        let facts = &problem.instances[member.at()];
        facts.host == host && facts.task == Task::Leave
    };
    group.policy == GroupPolicy::Affinity && group.members.len() > 1 && group.members.iter().all(leaves)
}

/// Everybody who can only go together with an instance: its affinity groups, theirs, and so on; itself among them.
pub(super) fn company(problem: &Problem, instance: InstanceIdx) -> BTreeSet<InstanceIdx> {
    let mut company = BTreeSet::from([instance]);
    let mut open = vec![instance];
    while let Some(at) = open.pop() {
        let groups = problem.instances[at.at()].groups.iter().filter(|group| goes_as_a_whole(problem, **group, at));
        let others = groups.flat_map(|group| &problem.groups[group.at()].members).copied();
        open.extend(others.filter(|other| company.insert(*other)));
    }
    company
}

/// What an instance needs together with all those without whom it cannot go.
pub(super) fn need_of_company(problem: &Problem, instance: InstanceIdx) -> Amounts {
    let mut need: Amounts = vec![0; problem.classes.len()].into();
    company(problem, instance).into_iter().for_each(|member| add(&mut need, &problem.kind(member).need));
    need
}

fn add(to: &mut [i64], amounts: &[i64]) {
    to.iter_mut().zip(amounts).for_each(|(to, amount)| *to += amount);
}

fn take(from: &mut [i64], amounts: &[i64]) {
    from.iter_mut().zip(amounts).for_each(|(from, amount)| *from -= amount);
}

/// What an instance asks of its next host under the request.
pub(super) fn want(problem: &Problem, at: InstanceIdx) -> Want<'_> {
    let instance = &problem.fleet.instances()[at.at()];
    let resized = problem.instances[at.at()].task == Task::Resize;
    let resize_to = match &problem.request.kind {
        RequestKind::Resize { resizes } if resized => resizes.iter().find(|resize| resize.instance == instance.id),
        RequestKind::Resize { .. } | RequestKind::Evacuate { .. } | RequestKind::Rolling { .. } => None,
    };
    Want::new(&problem.fleet, instance, resize_to.map(|resize| resize.flavor.as_str()))
}
