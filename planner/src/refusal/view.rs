//! The fleet as a refused instance finds it: the room and the groups of every host, before or after the plan.

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
        obstacles.extend(
            self.problem.instances[instance.at()].groups.iter().filter_map(|group| self.group(*group, instance, host)),
        );
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
