//! Changes that would let a refused instance move, each tried by planning again, the cheapest first.

use decant_schema::fleet::Resources;
use decant_schema::plan::{Fix, Reason, Refusal, RuleName};

use crate::Limits;
use crate::placement::Placed;
use crate::problem::{HostIdx, InstanceIdx, Placement, Problem};

use super::change::{Change, planned, relaxations};

/// Plans made to try fixes, over all refusals of a plan: each takes as long as the plan itself.
const PLANS_MAX: usize = 24;

/// The same where the fleet is so large that a plan takes seconds.
const PLANS_MAX_LARGE: usize = 4;

/// Fleets from this size on are large.
const LARGE_HOSTS: usize = 500;

/// Fixes named for one instance: beyond a few, they are a list nobody reads.
const FIXES_MAX: usize = 4;

/// Adds to each refusal the fixes that were found to work.
pub(super) fn add(problem: &Problem, placement: &Placement, refusals: &mut [Refusal], limits: &Limits<'_>) {
    let budget = if problem.hosts.len() < LARGE_HOSTS { PLANS_MAX } else { PLANS_MAX_LARGE };
    let mut trials = Trials { problem, refused: placement.refused.len(), limits, budget, tried: Vec::new() };
    for (instance, refusal) in placement.refused.iter().zip(refusals) {
        for change in candidates(problem, *instance, &refusal.reasons) {
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
fn candidates(problem: &Problem, instance: InstanceIdx, reasons: &[Reason]) -> Vec<Change> {
    let mut changes = relaxations(problem, instance);
    changes.extend(nearest_room(problem, reasons));
    changes.extend(host_like(problem, instance).map(Change::AddHost));
    changes
}

/// What is missing on the nearest host, where only room is.
fn nearest_room(problem: &Problem, reasons: &[Reason]) -> Option<Change> {
    let about_room =
        |reason: &&Reason| matches!(reason.rule, RuleName::Capacity | RuleName::Headroom | RuleName::Together);
    let reason = reasons.iter().filter(about_room).find(|reason| reason.best_host.is_some())?;
    let host = problem.fleet.host_index(reason.best_host.as_ref()?.as_str())?;
    let missing = reason.need?.checked_sub(reason.best?)?;
    Some(Change::FreeRoom(HostIdx::new(host), Resources::from([(reason.class.clone()?, missing)])))
}

/// The first host that every rule admits and that would hold the instance if it were empty.
fn host_like(problem: &Problem, instance: InstanceIdx) -> Option<HostIdx> {
    let need = &problem.kind(instance).need;
    let holds = |host: &HostIdx| problem.hosts[host.at()].capacity.iter().zip(need).all(|(all, need)| need <= all);
    problem.kind(instance).eligible.iter().find(holds)
}

/// What was tried so far, so that nothing is tried twice.
struct Trials<'a> {
    problem: &'a Problem,
    refused: usize,
    limits: &'a Limits<'a>,
    budget: usize,
    /// With the placement, if it refuses fewer than before.
    tried: Vec<(Change, Option<Placed>)>,
}

impl Trials<'_> {
    /// The change as a fix for an instance, if planning again moves it and refuses fewer than before.
    fn fix(&mut self, change: &Change, instance: InstanceIdx) -> Option<Fix> {
        let at = match self.tried.iter().position(|(tried, _)| tried == change) {
            Some(at) => at,
            None if self.tried.len() >= self.budget || self.limits.out_of_time() => return None,
            None => {
                let placed = planned(&change.applied(self.problem), self.limits);
                let better = placed.filter(|placed| placed.placement.refused.len() < self.refused);
                self.tried.push((change.clone(), better));
                self.tried.len() - 1
            }
        };
        let placed = self.tried[at].1.as_ref()?;
        (!placed.placement.refused.contains(&instance)).then(|| change.fix(self.problem, placed))
    }
}
