//! Why an instance stays: per rule how many hosts it rules out, and how near the nearest came.
//!
//! A refusal is data, not a log line. Every host an instance might have gone to is counted once, under the first rule
//! (in the order of [`RuleName`]) that rules it out, so that the counts add up to the hosts there are. A host is
//! judged twice, as the fleet stands and as the plan leaves it, and the kinder verdict counts: what rules a host out
//! in both is a matter of the instance and the host; a host that would do as things stand but not in the end is lost
//! to the others ([`RuleName::Together`]); one that would do in the end lacks only a way there ([`RuleName::Order`]).

mod change;
mod conflict;
mod fixes;
mod obstacle;
mod view;
mod words;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use decant_schema::fleet::GroupPolicy;
use decant_schema::plan::{Reason, Refusal, RuleName};
use rayon::prelude::*;

use crate::Limits;
use crate::ordering::Schedule;
use crate::problem::{self, GroupIdx, HostIdx, InstanceIdx, KindIdx, Placement, Problem, Task};
use crate::rules::Want;
use obstacle::{Obstacle, host_rule_obstacles};
use view::View;

/// Explains why an instance stays in a placement.
pub fn explain(problem: &Problem, placement: &Placement, refused: InstanceIdx) -> Refusal {
    Explainer::new(problem, placement).explain(refused)
}

/// Explains why these instances of a host that is to be emptied stay where nobody goes anywhere.
pub(crate) fn explain_each_without_turn(problem: &Problem, refused: &[InstanceIdx]) -> Vec<Refusal> {
    Explainer::without_turn(problem).explain_all(refused)
}

/// Explains every refusal of a placement, in the order of its list.
pub(crate) fn explain_all(problem: &Problem, placement: &Placement) -> Vec<Refusal> {
    Explainer::new(problem, placement).explain_all(&placement.refused)
}

/// The same for the refused of a schedule that is not carried out, with their conflicts and what would help.
pub(crate) fn explain_without_turn(problem: &Problem, schedule: &Schedule, limits: &Limits<'_>) -> Vec<Refusal> {
    let explainer = Explainer::without_turn(problem);
    let mut refusals = explainer.explain_all(&schedule.placement.refused);
    explainer.add_remedies(schedule, &[], &mut refusals, limits);
    refusals
}

/// Says for the first few refusals of a schedule with whom and what they conflict and what would help: both found by planning
/// again, side by side, so that a refusal costs time and a complete plan none. `refusals` are those of [`explain_all`]. Of
/// `lacking_time` it is known that more time is what would help.
pub(crate) fn add_remedies(
    problem: &Problem,
    schedule: &Schedule,
    lacking_time: &[InstanceIdx],
    refusals: &mut [Refusal],
    limits: &Limits<'_>,
) {
    Explainer::new(problem, &schedule.placement).add_remedies(schedule, lacking_time, refusals, limits);
}

/// A refused instance for which remedies are sought.
struct Case<'a> {
    instance: InstanceIdx,
    refusal: &'a mut Refusal,
}

/// The rules about this instance and this host alone by which it is not taken there.
pub(crate) fn rules_against(problem: &Problem, instance: InstanceIdx, host: HostIdx) -> Vec<RuleName> {
    let want = view::want(problem, instance);
    host_rule_obstacles(problem, instance, &want, host).into_iter().map(|obstacle| obstacle.rule).collect()
}

/// The reason of an instance whose place is there in the end but cannot be reached.
pub(crate) fn without_order() -> Reason {
    Reason {
        rule: RuleName::Order,
        class: None,
        hosts: 0,
        hosts_in_all: 0,
        need: None,
        best: None,
        best_host: None,
        subject: None,
    }
}

/// A problem with the fleet before and after, as each refused instance finds it.
struct Explainer<'a> {
    problem: &'a Problem,
    standing: View<'a>,
    end: View<'a>,
    /// The rule by which an instance stays that has a place in the end.
    alone: RuleName,
}

impl<'a> Explainer<'a> {
    fn new(problem: &'a Problem, placement: &Placement) -> Self {
        let (standing, end) = (View::standing(problem), View::end_of(problem, placement));
        Self { problem, standing, end, alone: RuleName::Order }
    }

    /// Of a host that has no turn, so that nobody leaves it: what could go alone stays for the others on it.
    fn without_turn(problem: &'a Problem) -> Self {
        Self { alone: RuleName::Together, ..Self::new(problem, &problem.standing()) }
    }

    /// Why all of these stay, in the order of their list.
    fn explain_all(&self, refused: &[InstanceIdx]) -> Vec<Refusal> {
        let mut alike: HashMap<Lookalike<'_>, Vec<InstanceIdx>> = HashMap::new();
        for at in refused {
            alike.entry(Lookalike::of(self.problem, *at)).or_default().push(*at);
        }
        let alike: Vec<Vec<InstanceIdx>> = alike.into_values().collect();
        let explained: HashMap<InstanceIdx, Refusal> = alike
            .into_par_iter()
            .flat_map_iter(|alike| alike.clone().into_iter().zip(self.explain_alike(&alike)))
            .collect();
        refused.iter().map(|at| explained[at].clone()).collect()
    }

    /// Why all of these stay that are alike: hosts other than their own are looked at once for all.
    fn explain_alike(&self, alike: &[InstanceIdx]) -> Vec<Refusal> {
        let home = |at: &InstanceIdx| self.problem.instances[at.at()].host;
        let homes: BTreeSet<HostIdx> = alike.iter().map(home).collect();
        let each = || alike.iter().map(|at| self.explain(*at)).collect();
        let [first, _, ..] = alike else { return each() };
        let want = view::want(self.problem, *first);
        let elsewhere = |host: &HostIdx| !homes.contains(host);
        let hosts = (0..self.problem.hosts.len()).map(HostIdx::new).filter(elsewhere);
        let common: Vec<_> = hosts.map(|host| (host, self.obstacles(*first, &want, host))).collect();
        let seen_from_elsewhere = |host: &HostIdx| {
            let other = alike.iter().find(|at| home(at) != *host)?;
            Some((*host, self.obstacles(*other, &want, *host)))
        };
        let homes: Vec<(HostIdx, Vec<Obstacle>)> = homes.iter().filter_map(seen_from_elsewhere).collect();
        let is_emptied = |(_, obstacles): &(HostIdx, Vec<Obstacle>)| obstacles[0].rule == RuleName::Evacuated;
        if common.is_empty() || !homes.iter().all(is_emptied) {
            return each();
        }
        let mut counted = BTreeMap::new();
        self.count(&want, &common, &mut counted);
        let would_fit = words::would_fit(self.problem, *first, &common);
        let explained = |at: &InstanceIdx| {
            let mut counted = counted.clone();
            self.count(&want, homes.iter().filter(|(host, _)| *host != home(at)), &mut counted);
            self.refused(*at, within(counted), would_fit.clone())
        };
        alike.iter().map(explained).collect()
    }

    /// As [`add_remedies`] says.
    fn add_remedies(
        &self,
        schedule: &Schedule,
        lacking_time: &[InstanceIdx],
        refusals: &mut [Refusal],
        limits: &Limits<'_>,
    ) {
        if limits.out_of_time() {
            return;
        }
        let (problem, placement) = (self.problem, &schedule.placement);
        let all = placement.refused.iter().zip(refusals);
        let all = all.map(|(instance, refusal)| Case { instance: *instance, refusal });
        let mut sought: Vec<Case<'_>> = all.filter(|case| !lacking_time.contains(&case.instance)).collect();
        let of: Vec<InstanceIdx> = sought.iter().map(|case| case.instance).collect();
        // On one thread conflicts come after fixes, which leave them time.
        let of_fixes = if rayon::current_num_threads() > 1 { *limits } else { limits.half_of_what_is_left() };
        let ((), conflicts) = rayon::join(
            || fixes::add(self, placement.refused.len(), &mut sought, &of_fixes),
            || conflict::of_all(problem, schedule, &of, limits),
        );
        for (case, conflict) in sought.into_iter().zip(conflicts) {
            case.refusal.conflict = conflict;
        }
    }

    fn explain(&self, refused: InstanceIdx) -> Refusal {
        self.refusal(refused, &self.ruled_out(refused))
    }

    fn refusal(&self, refused: InstanceIdx, ruled_out: &[(HostIdx, Vec<Obstacle>)]) -> Refusal {
        let would_fit = words::would_fit(self.problem, refused, ruled_out);
        self.refused(refused, self.reasons(refused, ruled_out), would_fit)
    }

    fn refused(&self, refused: InstanceIdx, reasons: Vec<Reason>, would_fit: String) -> Refusal {
        let instance = self.problem.fleet.instances()[refused.at()].id.clone();
        Refusal { instance, reasons, would_fit: Some(would_fit), conflict: None, fixes: Vec::new() }
    }

    /// Every host it might have gone to, with what stands between; never nothing.
    fn ruled_out(&self, refused: InstanceIdx) -> Vec<(HostIdx, Vec<Obstacle>)> {
        let facts = &self.problem.instances[refused.at()];
        let fixed = problem::forbidden(self.problem, refused);
        let stays_possible = facts.task == Task::Resize;
        let want = view::want(self.problem, refused);
        (0..self.problem.hosts.len())
            .map(HostIdx::new)
            .filter(|host| *host != facts.host || stays_possible)
            .map(|host| match &fixed {
                Some((rule, subject)) if host != facts.host => {
                    (host, vec![Obstacle { subject: subject.clone(), ..Obstacle::of(*rule) }])
                }
                _ => (host, self.obstacles(refused, &want, host)),
            })
            .collect()
    }

    /// What rules a host out, by the kinder of the two views.
    fn obstacles(&self, refused: InstanceIdx, want: &Want<'_>, host: HostIdx) -> Vec<Obstacle> {
        let mut rules = host_rule_obstacles(self.problem, refused, want, host);
        if !rules.is_empty() {
            rules.extend(self.standing.obstacles(refused, host));
            return rules;
        }
        let standing = self.standing.obstacles(refused, host);
        let end = self.end.obstacles(refused, host);
        match (standing.first(), end.first()) {
            (_, None) => vec![Obstacle::of(self.alone)],
            (None, Some(_)) => end.into_iter().map(Obstacle::taken_by_others).collect(),
            (Some(now), Some(then)) if then.kinder_than(now) => end,
            (Some(_), Some(_)) => standing,
        }
    }

    fn reasons(&self, refused: InstanceIdx, ruled_out: &[(HostIdx, Vec<Obstacle>)]) -> Vec<Reason> {
        let want = view::want(self.problem, refused);
        if let Some((rule, subject)) = problem::forbidden(self.problem, refused)
            && self.problem.instances[refused.at()].task != Task::Resize
        {
            return vec![Obstacle { subject, ..Obstacle::of(rule) }.reason(self.problem, &want)];
        }
        if ruled_out.is_empty() {
            return vec![Reason { rule: RuleName::Evacuated, ..without_order() }];
        }
        let mut counted = BTreeMap::new();
        self.count(&want, ruled_out, &mut counted);
        within(counted)
    }

    /// Counts these hosts under the rules that rule them out.
    fn count<'o>(
        &self,
        want: &Want<'_>,
        ruled_out: impl IntoIterator<Item = &'o (HostIdx, Vec<Obstacle>)>,
        counted: &mut Counted,
    ) {
        for (host, obstacles) in ruled_out {
            for (nth, obstacle) in obstacles.iter().enumerate() {
                let reason = counted
                    .entry((obstacle.rule, obstacle.class))
                    .or_insert_with(|| obstacle.reason(self.problem, want));
                reason.hosts_in_all += 1;
                if nth == 0 {
                    reason.hosts += 1;
                    obstacle.note_near_miss(reason, &self.problem.fleet.hosts()[host.at()].name);
                }
            }
        }
    }
}

/// Reasons by rule and class, each with the hosts it rules out so far.
type Counted = BTreeMap<(RuleName, Option<usize>), Reason>;

/// Those that rule a host out before any other does.
fn within(counted: Counted) -> Vec<Reason> {
    counted.into_values().filter(|reason| reason.hosts > 0).collect()
}

/// What instances are alike in that are asked to leave, so far as it matters why they stay.
#[derive(PartialEq, Eq, Hash)]
struct Lookalike<'a> {
    kind: KindIdx,
    want: Want<'a>,
    groups: &'a [GroupIdx],
    /// One that is like no other.
    alone: Option<InstanceIdx>,
}

impl<'a> Lookalike<'a> {
    fn of(problem: &'a Problem, at: InstanceIdx) -> Self {
        let facts = &problem.instances[at.at()];
        let follows = |group: &GroupIdx| problem.groups[group.at()].policy == GroupPolicy::Affinity;
        let alike =
            facts.task == Task::Leave && problem::forbidden(problem, at).is_none() && !facts.groups.iter().any(follows);
        let (want, alone) = (view::want(problem, at), (!alike).then_some(at));
        Self { kind: facts.kind, want, groups: &facts.groups, alone }
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod remedies_tests;
