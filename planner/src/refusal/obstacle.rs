//! What stands between one instance and one host.

use std::collections::BTreeMap;

use decant_schema::fleet::Inventory;
use decant_schema::id::{HostName, ResourceClass};
use decant_schema::plan::{Reason, RuleName};

use crate::problem::{HostIdx, InstanceIdx, Problem, Task};
use crate::rules::{HOST_RULES, Want, about_arrivals};

/// A rule that rules a host out, with its numbers.
#[derive(Clone, Debug)]
pub(super) struct Obstacle {
    pub(super) rule: RuleName,
    /// The resource class, by its position in [`Problem::classes`].
    pub(super) class: Option<usize>,
    /// What the instance needs there.
    pub(super) need: Option<i64>,
    /// What the host has of it.
    pub(super) has: Option<i64>,
    /// What the rule names, where that depends on the host or the group.
    pub(super) subject: Option<String>,
}

impl Obstacle {
    /// A rule without numbers.
    pub(super) fn of(rule: RuleName) -> Self {
        Self { rule, class: None, need: None, has: None, subject: None }
    }

    /// A rule about the amount of a class.
    pub(super) fn of_amount(rule: RuleName, class: usize, need: i64, has: i64) -> Self {
        Self { rule, class: Some(class), need: Some(need), has: Some(has), subject: None }
    }

    /// What was there before others took it. What a group lacks as a whole stays its own matter.
    pub(super) fn taken_by_others(self) -> Self {
        let of_group = self.rule == RuleName::Affinity && self.class.is_some();
        if of_group { self } else { Self { rule: RuleName::Together, ..self } }
    }

    /// Whether a host stopped by this is nearer than one stopped by the other: a later rule, or less missing.
    pub(super) fn kinder_than(&self, other: &Self) -> bool {
        (self.rule, self.class, self.has) > (other.rule, other.class, other.has)
    }

    /// A reason that has counted no host yet.
    pub(super) fn reason(&self, problem: &Problem, want: &Want<'_>) -> Reason {
        let of_rule = || HOST_RULES.iter().find(|rule| rule.name() == self.rule).and_then(|rule| rule.subject(want));
        Reason {
            rule: self.rule,
            class: self.class.map(|class| problem.classes[class].clone()),
            hosts: 0,
            hosts_in_all: 0,
            need: self.need.map(unsigned),
            best: None,
            best_host: None,
            subject: self.subject.clone().or_else(of_rule),
        }
    }

    /// Keeps the host in a reason if less is missing there than on any host before.
    pub(super) fn note_near_miss(&self, reason: &mut Reason, host: &HostName) {
        let (Some(need), Some(has)) = (self.need.map(unsigned), self.has.map(unsigned)) else { return };
        let apart_so_far = reason.need.zip(reason.best).map(|(need, best)| need.abs_diff(best));
        if apart_so_far.is_none_or(|so_far| need.abs_diff(has) < so_far) {
            reason.need = Some(need);
            reason.best = Some(has);
            reason.best_host = Some(host.clone());
            reason.subject = self.subject.clone().or(reason.subject.take());
        }
    }
}

/// The host where only room is missing, and the least share of it, with how much of each class that is.
pub(super) fn nearest_by_room(ruled_out: &[(HostIdx, Vec<Obstacle>)]) -> Option<(HostIdx, Vec<(usize, i64)>)> {
    let (host, obstacles) = ruled_out
        .iter()
        .filter(|(_, obstacles)| obstacles.iter().all(lacks_room))
        .min_by(|(_, a), (_, b)| greatest_share_missing(a).total_cmp(&greatest_share_missing(b)))?;
    Some((*host, room_missing(obstacles)?))
}

/// How much of each class is missing on a host; `None` where something else is.
pub(super) fn room_missing(obstacles: &[Obstacle]) -> Option<Vec<(usize, i64)>> {
    let missing = |obstacle: &Obstacle| Some((obstacle.class?, obstacle.need? - obstacle.has?));
    let mut most: BTreeMap<usize, i64> = BTreeMap::new();
    for (class, missing) in obstacles.iter().filter_map(missing) {
        let known = most.entry(class).or_insert(missing);
        *known = missing.max(*known);
    }
    obstacles.iter().all(lacks_room).then(|| most.into_iter().collect())
}

fn lacks_room(obstacle: &Obstacle) -> bool {
    let about_room =
        matches!(obstacle.rule, RuleName::Capacity | RuleName::Headroom | RuleName::Affinity | RuleName::Together);
    about_room && obstacle.class.is_some()
}

#[expect(clippy::cast_precision_loss, reason = "a measure of nearness; amounts are within 2^53")]
fn greatest_share_missing(obstacles: &[Obstacle]) -> f64 {
    let share = |obstacle: &Obstacle| match (obstacle.need, obstacle.has) {
        (Some(need), Some(has)) => (need - has) as f64 / need.max(1) as f64,
        _ => 1.0,
    };
    obstacles.iter().map(share).fold(0.0, f64::max)
}

/// An amount for the document, in which an oversubscribed host has nothing left rather than less than nothing.
pub(super) fn unsigned(amount: i64) -> u64 {
    u64::try_from(amount).unwrap_or(0)
}

/// The rules about this instance and this host alone that rule it out, in the order in which they count.
pub(super) fn host_rule_obstacles(
    problem: &Problem,
    instance: InstanceIdx,
    want: &Want<'_>,
    at: HostIdx,
) -> Vec<Obstacle> {
    if problem.admits(instance, at) {
        return Vec::new();
    }
    let host = &problem.fleet.hosts()[at.at()];
    let stays = problem.instances[instance.at()].host == at && problem.instances[instance.at()].task == Task::Resize;
    HOST_RULES
        .iter()
        .filter(|rule| !(stays && about_arrivals(rule.name()) || rule.admits(&problem.request, host, want)))
        .map(|rule| match rule.name() {
            RuleName::Unit => refused_unit(problem, want, at),
            RuleName::HypervisorVersion => Obstacle {
                need: want.version_min.and_then(|version| i64::try_from(version).ok()),
                has: host.hypervisor_version.and_then(|version| i64::try_from(version).ok()),
                ..Obstacle::of(RuleName::HypervisorVersion)
            },
            rule => Obstacle::of(rule),
        })
        .collect()
}

/// The first class whose amount the host's inventory does not take, and the amount it takes that comes nearest.
fn refused_unit(problem: &Problem, want: &Want<'_>, at: HostIdx) -> Obstacle {
    let inventory = |class: &ResourceClass| problem.fleet.hosts()[at.at()].inventory.get(class);
    let amount = |class: &ResourceClass| want.resources.get(class).copied().unwrap_or(0);
    let refused = |class: &ResourceClass| {
        amount(class) > 0 && !inventory(class).is_some_and(|inventory| inventory.takes(amount(class)))
    };
    let Some(class) = problem.classes.iter().position(refused) else { return Obstacle::of(RuleName::Unit) };
    let need = amount(&problem.classes[class]);
    let taken = inventory(&problem.classes[class]).map_or(0, |inventory| nearest_taken(inventory, need));
    let signed = |amount: u64| i64::try_from(amount).unwrap_or(i64::MAX);
    Obstacle::of_amount(RuleName::Unit, class, signed(need), signed(taken))
}

/// The greatest amount an inventory takes that is not more than a need, else the least it takes, else 0.
fn nearest_taken(inventory: &Inventory, need: u64) -> u64 {
    let step = inventory.step_size.unwrap_or(1).max(1);
    let below = inventory.max_unit.unwrap_or(need).min(need) / step * step;
    let above = inventory.min_unit.unwrap_or(0).max(need).div_ceil(step).saturating_mul(step);
    [below, above].into_iter().find(|amount| *amount > 0 && inventory.takes(*amount)).unwrap_or(0)
}
