//! Changes that would let a refused instance move, each tried by planning again, the cheapest first.

use decant_schema::fleet::Resources;
use decant_schema::plan::{Fix, Refusal, RuleName};

use crate::problem::{HostIdx, InstanceIdx, Placement, Problem};
use crate::rules::HOST_RULES;
use crate::{Limits, assemble, search};

use super::change::{Change, relaxations};
use super::obstacle::{Obstacle, nearest_by_room};
use super::view::want;

/// Plans made to try fixes, over all refusals of a plan: each takes as long as the plan itself.
const PLANS_MAX: usize = 24;

/// The same where the fleet is so large that a plan takes seconds.
const PLANS_MAX_LARGE: usize = 4;

/// Fleets from this size on are large.
const LARGE_HOSTS: usize = 500;

/// Fixes named for one instance: beyond a few, they are a list nobody reads.
const FIXES_MAX: usize = 4;

/// Adds to each refusal the fixes that were found to work. `ruled_out` says for each what stands between it and every
/// host.
pub(super) fn add(
    problem: &Problem,
    placement: &Placement,
    ruled_out: &[Vec<(HostIdx, Vec<Obstacle>)>],
    refusals: &mut [Refusal],
    limits: &Limits<'_>,
) {
    let budget = if problem.hosts.len() < LARGE_HOSTS { PLANS_MAX } else { PLANS_MAX_LARGE };
    let mut trials = Trials { problem, refused: placement.refused.len(), limits, budget, tried: Vec::new() };
    for ((instance, ruled_out), refusal) in placement.refused.iter().zip(ruled_out).zip(refusals) {
        for change in candidates(problem, *instance, ruled_out) {
            let redundant = matches!(change, Change::KeepHeadroom(_))
                && refusal.fixes.iter().any(|fix| matches!(fix, Fix::LowerHeadroom { .. }));
            if refusal.fixes.len() < FIXES_MAX
                && !redundant
                && let Some(fix) = trials.fix(&change, *instance)
            {
                refusal.fixes.push(fix);
            }
        }
    }
}

/// What might help an instance, the cheapest first.
fn candidates(problem: &Problem, instance: InstanceIdx, ruled_out: &[(HostIdx, Vec<Obstacle>)]) -> Vec<Change> {
    let mut changes = relaxations(problem, instance);
    changes.extend(nearest_room(problem, ruled_out));
    changes.extend(host_like(problem, instance).map(Change::AddHost));
    changes
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
                let outcome = outcome(&change.applied(self.problem), self.refused, self.limits);
                self.tried.push((change.clone(), outcome));
                self.tried.len() - 1
            }
        };
        let outcome = self.tried[at].1.as_ref()?;
        (!outcome.refused.contains(&instance)).then(|| change.fix(self.problem, outcome.displaced_mb))
    }
}

/// The outcome of a problem, if that refuses fewer than so many.
fn outcome(problem: &Problem, refused: usize, limits: &Limits<'_>) -> Option<Outcome> {
    let planned = search::outcome(problem, refused, limits)?;
    Some(Outcome { displaced_mb: assemble::displaced_memory(problem, &planned.schedule), refused: planned.refused })
}
