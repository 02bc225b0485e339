//! Changes that would let a refused instance move, each tried by planning again, the cheapest first.

use decant_schema::fleet::Resources;
use decant_schema::plan::{Fix, RuleName};

use crate::problem::{HostIdx, InstanceIdx, Problem};
use crate::rules::HOST_RULES;
use crate::{Limits, assemble, search};

use super::change::{Change, is_pinned, relaxations};
use super::obstacle::{Obstacle, nearest_by_room, room_missing};
use super::view::want;
use super::{Case, Explainer};

/// Plans made to try fixes, over all refusals of a plan: each takes as long as the plan itself.
const PLANS_MAX: usize = 24;

/// The same where the fleet is so large that a plan takes many seconds.
const PLANS_MIN: usize = 4;

/// Hosts planned in all to try fixes, the fleet's counting as often as it is planned.
const HOSTS_PLANNED: usize = 16_000;

/// Fixes named for one instance: beyond a few, they are a list nobody reads.
const FIXES_MAX: usize = 4;

/// Pinned third parties tried for one instance.
const UNPINNED_MAX: usize = 2;

/// Parts of the missing room, the least of which that does is sought.
const SHARES: u64 = 8;

/// Adds to each refusal the fixes that were found to work: those that let its instance go and refuse fewer than so many.
pub(super) fn add(explainer: &Explainer<'_>, refused: usize, cases: &mut [Case<'_>], limits: &Limits<'_>) {
    let problem = explainer.problem;
    let budget = (HOSTS_PLANNED / problem.hosts.len().max(1)).clamp(PLANS_MIN, PLANS_MAX);
    let mut trials = Trials { problem, refused, limits, budget, tried: Vec::new() };
    for Case { instance, refusal } in cases {
        if limits.out_of_time() {
            return;
        }
        for change in candidates(problem, *instance, &explainer.ruled_out(*instance)) {
            let redundant = matches!(change, Change::KeepHeadroom(_))
                && refusal.fixes.iter().any(|fix| matches!(fix, Fix::LowerHeadroom { .. }));
            if refusal.fixes.len() < FIXES_MAX
                && !redundant
                && let Some(fix) = trials.fix(&change, *instance)
            {
                let less = trials.with_less(&change, *instance);
                refusal.fixes.push(less.unwrap_or(fix));
            }
        }
    }
}

/// What might help an instance, the cheapest first: see [`Fix`].
fn candidates(problem: &Problem, instance: InstanceIdx, ruled_out: &[(HostIdx, Vec<Obstacle>)]) -> Vec<Change> {
    let mut changes = relaxations(problem, instance);
    changes.extend(pinned_in_the_way(problem, ruled_out));
    changes.extend(nearest_room(problem, ruled_out));
    changes.extend(host_like(problem, instance).map(Change::AddHost));
    changes
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
    let kind = problem.kind(instance);
    let holds = |host: &HostIdx| {
        let facts = &problem.hosts[host.at()];
        let room = facts.capacity.iter().zip(&facts.keep).map(|(capacity, keep)| capacity - keep);
        room.zip(&kind.need).all(|(room, need)| *need == 0 || *need <= room)
    };
    let want = want(problem, instance);
    let about_shape = |rule: RuleName| {
        !matches!(rule, RuleName::Evacuated | RuleName::Excluded | RuleName::HostDown | RuleName::HostDisabled)
    };
    let shaped = |host: &HostIdx| {
        let host = &problem.fleet.hosts()[host.at()];
        HOST_RULES.iter().all(|rule| !about_shape(rule.name()) || rule.admits(&problem.request, host, &want))
    };
    let all = || (0..problem.hosts.len()).map(HostIdx::new);
    kind.eligible.iter().find(holds).or_else(|| all().filter(shaped).find(holds))
}

/// What was tried so far, so that nothing is tried twice.
struct Trials<'a> {
    problem: &'a Problem,
    refused: usize,
    limits: &'a Limits<'a>,
    budget: usize,
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
        let at = match self.tried.iter().position(|(tried, _)| tried == change) {
            Some(at) => at,
            None if self.tried.len() >= self.budget || self.limits.out_of_time() => return None,
            None => {
                // One that takes long to answer leaves time for others.
                let limits = self.limits.half_of_what_is_left();
                let outcome = outcome(&change.applied(self.problem), self.refused, &limits);
                self.tried.push((change.clone(), outcome));
                self.tried.len() - 1
            }
        };
        let outcome = self.tried[at].1.as_ref()?;
        (!outcome.refused.contains(&instance)).then(|| change.fix(self.problem, outcome.displaced_mb))
    }

    /// The same fix with the least share of the room that does, by halving: where others make way, all that is missing
    /// need not be freed.
    fn with_less(&mut self, change: &Change, instance: InstanceIdx) -> Option<Fix> {
        let Change::FreeRoom(host, amounts) = change else { return None };
        let mut least = None;
        let (mut too_little, mut enough) = (0, SHARES);
        while enough - too_little > 1 {
            let share = u64::midpoint(too_little, enough);
            let part = amounts.iter().map(|(class, amount)| (class.clone(), (amount * share).div_ceil(SHARES)));
            match self.fix(&Change::FreeRoom(*host, part.collect()), instance) {
                Some(fix) => (enough, least) = (share, Some(fix)),
                None => too_little = share,
            }
        }
        least
    }
}

/// The outcome of a problem, if that refuses fewer than so many.
fn outcome(problem: &Problem, refused: usize, limits: &Limits<'_>) -> Option<Outcome> {
    let planned = search::outcome(problem, refused, limits)?;
    Some(Outcome { displaced_mb: assemble::displaced_memory(problem, &planned.schedule), refused: planned.refused })
}
