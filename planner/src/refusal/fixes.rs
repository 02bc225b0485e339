//! Changes that would let a refused instance move, each tried by planning again, the cheapest first.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use decant_schema::fleet::Resources;
use decant_schema::id::ResourceClass;
use decant_schema::plan::{Fix, RuleName};

use crate::problem::{HostIdx, InstanceIdx, Problem, Task, forbidden};
use crate::rules::HOST_RULES;
use crate::{Limits, assemble, search};

use super::change::{Change, binding, is_pinned, relaxations};
use super::obstacle::{Obstacle, nearest_by_room, room_missing, unsigned};
use super::view::{need_of_company, want};
use super::words::asks_for_a_host;
use super::{Case, Explainer};

/// Plans made to try fixes, over all refusals of a plan: each takes as long as the plan itself.
const PLANS_MAX: usize = 24;

/// The same where the fleet is so large that a plan takes many seconds.
const PLANS_MIN: usize = 4;

/// Hosts planned in all to try fixes, the fleet's counting as often as it is planned.
const HOSTS_PLANNED: usize = 16_000;

/// Fixes named for one instance: beyond a few, they are a list nobody reads.
const FIXES_MAX: usize = 4;

/// Hosts that are each tried to be emptied another time for one instance.
const LATER_MAX: usize = 2;

/// Pinned third parties tried for one instance.
const UNPINNED_MAX: usize = 2;

/// Adds to each refusal the fixes that were found to work: those that let its instance go and refuse fewer than so many.
/// What is said of a host that might do goes where that was tried.
pub(super) fn add(explainer: &Explainer<'_>, refused: usize, cases: &mut [Case<'_>], limits: &Limits<'_>) {
    let problem = explainer.problem;
    let budget = (HOSTS_PLANNED / problem.hosts.len().max(1)).clamp(PLANS_MIN, PLANS_MAX);
    let mut trials = Trials { problem, refused, limits, plans: budget, plans_for_less: budget, tried: Vec::new() };
    let all: Vec<InstanceIdx> = cases.iter().map(|case| case.instance).collect();
    for Case { instance, refusal } in cases {
        if limits.out_of_time() {
            return;
        }
        let ruled_out = explainer.ruled_out(*instance);
        let mut in_vain = false;
        for change in candidates(problem, *instance, &all, &ruled_out) {
            if refusal.fixes.len() >= FIXES_MAX || refusal.fixes.iter().any(|fix| says_as_much(fix, &change)) {
                continue;
            }
            match trials.fix(&change, *instance) {
                Some(fix) => refusal.fixes.push(trials.with_less(&change, *instance).unwrap_or(fix)),
                None => in_vain |= matches!(change, Change::FreeRoom(..) | Change::AddHost(_)) && trials.has(&change),
            }
        }
        if !refusal.fixes.is_empty() || in_vain && asks_for_a_host(problem, *instance, &ruled_out) {
            refusal.would_fit = None;
        }
    }
}

/// Whether a fix that was found leaves no need to try a change of the same sort.
fn says_as_much(fix: &Fix, change: &Change) -> bool {
    matches!(
        (fix, change),
        (Fix::LowerHeadroom { .. }, Change::KeepHeadroom(_)) | (Fix::EmptyLater { .. }, Change::EmptyLater(_))
    )
}

/// What might help an instance that is refused with all of these, the cheapest first: see [`Fix`].
fn candidates(
    problem: &Problem,
    instance: InstanceIdx,
    all: &[InstanceIdx],
    ruled_out: &[(HostIdx, Vec<Obstacle>)],
) -> Vec<Change> {
    let mut changes = relaxations(problem, instance);
    changes.extend(bindings(problem, instance, all, ruled_out));
    changes.extend(hosts_in_the_way(problem, instance, ruled_out).into_iter().map(Change::EmptyLater));
    changes.extend(pinned_in_the_way(problem, ruled_out));
    changes.extend(nearest_room(problem, ruled_out));
    changes.extend(host_like(problem, instance).map(Change::AddHost));
    changes
}

/// What binds an instance to hosts that do not take it, lifted from all of these that are like it.
fn bindings(
    problem: &Problem,
    instance: InstanceIdx,
    all: &[InstanceIdx],
    ruled_out: &[(HostIdx, Vec<Obstacle>)],
) -> Vec<Change> {
    let facts = &problem.instances[instance.at()];
    if facts.task != Task::Leave {
        return Vec::new();
    }
    let is_like = |other: &InstanceIdx| {
        let other = &problem.instances[other.at()];
        (other.kind, &other.groups) == (facts.kind, &facts.groups)
    };
    let alike: Vec<InstanceIdx> = all.iter().copied().filter(is_like).collect();
    let rules: BTreeSet<RuleName> =
        ruled_out.iter().flat_map(|(_, obstacles)| obstacles).map(|obstacle| obstacle.rule).collect();
    let binding = rules.into_iter().filter(|rule| binding(problem, *rule, instance).is_some());
    binding.map(|rule| Change::LiftBinding(rule, alike.clone())).collect()
}

/// Hosts to be emptied another time, so that they take an instance: one that would, those with the most memory free first;
/// else all but its own.
fn hosts_in_the_way(
    problem: &Problem,
    instance: InstanceIdx,
    ruled_out: &[(HostIdx, Vec<Obstacle>)],
) -> Vec<Vec<HostIdx>> {
    let takes = |obstacles: &[Obstacle]| {
        obstacles.first().is_some_and(|first| first.rule == RuleName::Evacuated)
            && (obstacles.len() == 1 || room_missing(&obstacles[1..]).is_some())
    };
    let memory = |at: &HostIdx| problem.memory_class.map_or(0, |class| problem.hosts[at.at()].free[class]);
    let mut taking: Vec<HostIdx> =
        ruled_out.iter().filter(|(_, obstacles)| takes(obstacles)).map(|(host, _)| *host).collect();
    if taking.is_empty() {
        return Vec::new();
    }
    taking.sort_by_key(|host| (Reverse(memory(host)), *host));
    let own = problem.instances[instance.at()].host;
    let all = (0..problem.hosts.len()).map(HostIdx::new);
    let others: Vec<HostIdx> = all.filter(|host| problem.hosts[host.at()].evacuated && *host != own).collect();
    let mut later: Vec<Vec<HostIdx>> = taking.into_iter().take(LATER_MAX).map(|host| vec![host]).collect();
    if others.len() > 1 {
        later.push(others);
    }
    later
}

/// Pinned third parties in whose place there would be room, those of least memory first.
fn pinned_in_the_way(problem: &Problem, ruled_out: &[(HostIdx, Vec<Obstacle>)]) -> Vec<Change> {
    let mut found: Vec<(i64, InstanceIdx)> = Vec::new();
    for (host, missing) in ruled_out.iter().filter_map(|(host, obstacles)| Some((host, room_missing(obstacles)?))) {
        let there = problem.hosts[host.at()].instances.iter().copied().filter(|at| is_pinned(problem, *at));
        let claim = |at: InstanceIdx| &problem.kind(at).claim;
        let enough = there.filter(|at| missing.iter().all(|(class, amount)| claim(*at)[*class] >= *amount));
        found.extend(enough.map(|at| (problem.kind(at).memory, at)));
    }
    found.sort_unstable();
    found.into_iter().take(UNPINNED_MAX).map(|(_, at)| Change::Unpin(at)).collect()
}

/// All that is missing on the nearest host, where only room is.
fn nearest_room(problem: &Problem, ruled_out: &[(HostIdx, Vec<Obstacle>)]) -> Option<Change> {
    let (host, missing) = nearest_by_room(ruled_out)?;
    let amount = |(class, amount): (usize, i64)| Some((problem.classes[class].clone(), u64::try_from(amount).ok()?));
    Some(Change::FreeRoom(host, missing.into_iter().filter_map(amount).collect::<Resources>()))
}

/// The first host of a shape that would take the instance if it were empty and receiving: one that is there for it if
/// any is, else one that is closed or emptied itself.
fn host_like(problem: &Problem, instance: InstanceIdx) -> Option<HostIdx> {
    if forbidden(problem, instance).is_some() {
        return None;
    }
    let (kind, all) = (problem.kind(instance), need_of_company(problem, instance));
    let holds = |host: &HostIdx| {
        let facts = &problem.hosts[host.at()];
        let room = facts.capacity.iter().zip(&facts.keep).map(|(capacity, keep)| capacity - keep);
        room.zip(&all).all(|(room, need)| *need == 0 || *need <= room)
    };
    let want = want(problem, instance);
    let about_shape = |rule: RuleName| {
        !matches!(rule, RuleName::Evacuated | RuleName::Excluded | RuleName::HostDown | RuleName::HostDisabled)
    };
    let shaped = |host: &HostIdx| {
        let host = &problem.fleet.hosts()[host.at()];
        HOST_RULES.iter().all(|rule| !about_shape(rule.name()) || rule.admits(&problem.request, host, &want))
    };
    let hosts = (0..problem.hosts.len()).map(HostIdx::new);
    kind.eligible.iter().find(holds).or_else(|| hosts.filter(shaped).find(holds))
}

/// What was tried so far, so that nothing is tried twice.
struct Trials<'a> {
    problem: &'a Problem,
    refused: usize,
    limits: &'a Limits<'a>,
    /// Plans that may still be made to find fixes.
    plans: usize,
    /// The same to find out whether less would do.
    plans_for_less: usize,
    /// With its outcome, if that refuses fewer than before.
    tried: Vec<(Change, Option<Outcome>)>,
}

/// What would be planned after a change.
struct Outcome {
    refused: Vec<InstanceIdx>,
    displaced_mb: u64,
}

impl Trials<'_> {
    /// The change as a fix for an instance, if planning again moves it and refuses fewer than before.
    fn fix(&mut self, change: &Change, instance: InstanceIdx) -> Option<Fix> {
        self.plans -= usize::from(self.plan(change, self.plans)?);
        match change {
            Change::LiftBinding(rule, alike) => self.lifted(*rule, alike, instance),
            _ => self.helps(change, instance),
        }
    }

    /// A change that was tried as a fix for an instance that then goes.
    fn helps(&self, change: &Change, instance: InstanceIdx) -> Option<Fix> {
        let outcome = self.outcome(change)?;
        (!outcome.refused.contains(&instance)).then(|| change.fix(self.problem, outcome.displaced_mb))
    }

    /// Lifting what binds as many of those alike as go then, an instance among them.
    fn lifted(&mut self, rule: RuleName, alike: &[InstanceIdx], instance: InstanceIdx) -> Option<Fix> {
        let outcome = self.outcome(&Change::LiftBinding(rule, alike.to_vec()))?;
        let goes: Vec<InstanceIdx> = alike.iter().copied().filter(|at| !outcome.refused.contains(at)).collect();
        let lifted = Change::LiftBinding(rule, goes.clone());
        if goes.is_empty() {
            return None;
        }
        self.plans -= usize::from(self.plan(&lifted, self.plans)?);
        let outcome = self.outcome(&lifted)?;
        if goes.iter().any(|at| outcome.refused.contains(at)) {
            return None;
        }
        if goes.contains(&instance) {
            return Some(lifted.fix(self.problem, outcome.displaced_mb));
        }
        // Another one in its place is another plan.
        let mut others = goes;
        others.pop();
        others.push(instance);
        others.sort_unstable();
        let swapped = Change::LiftBinding(rule, others.clone());
        self.plans -= usize::from(self.plan(&swapped, self.plans)?);
        let outcome = self.outcome(&swapped)?;
        let all_go = others.iter().all(|at| !outcome.refused.contains(at));
        all_go.then(|| swapped.fix(self.problem, outcome.displaced_mb))
    }

    /// Whether a change was tried.
    fn has(&self, change: &Change) -> bool {
        self.tried.iter().any(|(tried, _)| tried == change)
    }

    /// What came of a change that was tried, if that refuses fewer than before.
    fn outcome(&self, change: &Change) -> Option<&Outcome> {
        self.tried.iter().find(|(tried, _)| tried == change)?.1.as_ref()
    }

    /// Tries a change that was not tried yet, if there are plans and time left; whether that took a plan.
    fn plan(&mut self, change: &Change, plans: usize) -> Option<bool> {
        if self.has(change) {
            return Some(false);
        }
        if plans == 0 || self.limits.out_of_time() {
            return None;
        }
        // One that takes long to answer leaves time for others.
        let limits = self.limits.half_of_what_is_left();
        let outcome = outcome(&change.applied(self.problem), self.refused, &limits);
        self.tried.push((change.clone(), outcome));
        Some(true)
    }

    /// The same fix with the least that does.
    fn with_less(&mut self, change: &Change, instance: InstanceIdx) -> Option<Fix> {
        match change {
            Change::FreeRoom(host, amounts) => self.with_less_room(*host, amounts.clone(), instance),
            Change::KeepHeadroom(percent) => self.with_more_headroom(*percent, instance),
            _ => None,
        }
    }

    /// The least room that does, one class after the other: where others make way, all that is missing need not be freed.
    fn with_less_room(&mut self, host: HostIdx, mut amounts: Resources, instance: InstanceIdx) -> Option<Fix> {
        let mut least = None;
        for class in amounts.keys().cloned().collect::<Vec<_>>() {
            let (mut too_little, mut until) = (0, amounts[&class]);
            while until - too_little > 1 {
                let middle = u64::midpoint(too_little, until);
                let amount = next_that_matters(self.problem, host, &class, middle);
                if amount >= amounts[&class] {
                    until = middle;
                    continue;
                }
                let fewer: Resources =
                    amounts.iter().map(|(of, all)| (of.clone(), if *of == class { amount } else { *all })).collect();
                match self.less(&Change::FreeRoom(host, fewer.clone()), instance)? {
                    Some(fix) => (until, amounts, least) = (middle, fewer, Some(fix)),
                    None => too_little = amount,
                }
            }
        }
        least
    }

    /// The most headroom that can be kept, to the percent.
    fn with_more_headroom(&mut self, percent: f64, instance: InstanceIdx) -> Option<Fix> {
        let mut most = None;
        let (mut enough, mut too_much) = (percent, self.problem.request.options.headroom_percent.ceil());
        while too_much - enough > 1.0 {
            let middle = f64::midpoint(enough, too_much).floor();
            match self.less(&Change::KeepHeadroom(middle), instance)? {
                Some(fix) => (enough, most) = (middle, Some(fix)),
                None => too_much = middle,
            }
        }
        most
    }

    /// Whether a change that asks for less does; `None` where there is nothing left to try it with.
    fn less(&mut self, change: &Change, instance: InstanceIdx) -> Option<Option<Fix>> {
        self.plans_for_less -= usize::from(self.plan(change, self.plans_for_less)?);
        Some(self.helps(change, instance))
    }
}

/// The least amount of a class from this one on that makes a difference on a host, if it is freed: what instances need and
/// claim are whole multiples of a unit, so that only whole units of what is free count, with or without what is kept.
fn next_that_matters(problem: &Problem, host: HostIdx, class: &ResourceClass, from: u64) -> u64 {
    let Some(at) = problem.classes.iter().position(|known| known == class) else { return from };
    let facts = &problem.hosts[host.at()];
    let unit = problem.kinds.iter().fold(0, |unit, kind| gcd(gcd(unit, kind.need[at]), kind.claim[at])).max(1);
    let from = i64::try_from(from).unwrap_or(i64::MAX);
    let next = |free: i64| from.saturating_add((-(free.saturating_add(from))).rem_euclid(unit));
    unsigned(next(facts.free[at]).min(next(facts.free[at] - facts.keep[at])))
}

fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// The outcome of a problem, if that refuses fewer than so many.
fn outcome(problem: &Problem, refused: usize, limits: &Limits<'_>) -> Option<Outcome> {
    let planned = search::outcome(problem, refused, limits)?;
    Some(Outcome { displaced_mb: assemble::displaced_memory(problem, &planned.schedule), refused: planned.refused })
}
