//! The stranger: whether a plan holds, judged from the fleet and the plan alone.
//!
//! It shares no code with placement and ordering and has its own understanding of every rule, so that a mistake would
//! have to be made twice to pass. Names and order come first ([`itinerary`]); a plan in which they hold is followed
//! move by move ([`chain`], [`rule`], [`answer`], [`left`]), then judged in the worst of all executions that respect `after`
//! ([`room`], [`closure`]), then compared with its own figures ([`account`], [`certificate`]).
//!
//! The printed times need no replay of their own: where every move starts after those it waits for have ended, they
//! are one of the executions that are judged together.

mod account;
mod answer;
mod certificate;
mod chain;
mod closure;
mod company;
mod conflict;
mod counting;
mod earning;
mod fitting;
mod gathering;
mod itinerary;
mod knapsack;
mod least;
mod left;
mod levels;
mod nearness;
mod pool;
mod precedence;
mod reach;
mod reason;
mod room;
mod round;
mod rule;
mod scene;
mod spare;
mod timing;
mod turns;
mod violation;
mod window;

use decant_schema::fleet::Fleet;
use decant_schema::plan::{Conflict, FORMAT, Plan, Refusal};

use crate::Limits;
use certificate::Certified;
use itinerary::Itinerary;
use left::Left;
use scene::Scene;
pub use violation::{Claim, Moment, Place, Standing, Unproven, Violation};

/// What the checker found.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Verdict {
    /// Everything that is wrong.
    pub violations: Vec<Violation>,
    /// What goes beyond what the certificates prove.
    pub unproven: Vec<Unproven>,
    /// What the plan says beyond what it does, each with how it stands.
    pub claims: Vec<Claim>,
    /// How many requested instances no plan could move, as far as the plan's certificate proves.
    pub refused_min: u64,
    /// Memory that every plan with as few refusals displaces, as far as the plan's certificate proves, MiB.
    pub displaced_mb_min: u64,
}

impl Verdict {
    /// Whether nothing is wrong.
    pub fn holds(&self) -> bool {
        self.violations.is_empty()
    }
}

/// Judges a plan for a fleet. A plan with unknown names, with moves in no order, or that takes instances
/// from where they are not, is not followed further.
pub fn check(fleet: &Fleet, plan: &Plan) -> Verdict {
    let mut violations = identity(fleet, plan);
    let unreadable = [itinerary::unknown_names(fleet, plan), itinerary::disorder(plan)].concat();
    if !unreadable.is_empty() {
        violations.extend(unreadable);
        return Verdict { violations, ..Verdict::default() };
    }
    let scene = Scene::new(fleet, &plan.request);
    let itinerary = Itinerary::new(&scene, plan);
    let elsewhere = chain::elsewhere(&scene, &itinerary);
    if !elsewhere.is_empty() {
        violations.extend(elsewhere);
        return Verdict { violations, ..Verdict::default() };
    }
    violations.extend(chain::broken(&scene, &itinerary));
    violations.extend(timing::broken(&scene, &itinerary));
    violations.extend(rule::broken(&scene, plan, &itinerary));
    violations.extend(answer::broken(&scene, plan, &itinerary));
    violations.extend(gathering::false_notes(&scene, plan, &itinerary));
    let remedies = left::judge(&scene, plan, &itinerary);
    violations.extend(remedies.violations);
    let moments = room::worst_moments(&scene, &itinerary);
    violations.extend(room::overfull(&scene, &itinerary, &moments));
    violations.extend(room::full_at_end(&scene, &itinerary));
    violations.extend(room::affinity(&scene, &itinerary));
    violations.extend(round::broken(&scene, plan, &itinerary));
    violations.extend(account::hosts(&scene, plan, &itinerary, &room::fullest(&scene, &moments)));
    let (certified, weaker) = certificate::evaluate(&scene, plan, &Limits::UNTIMED);
    violations.extend(weaker);
    violations.extend(account::boasts(plan, &certified));
    violations.extend(account::goals(&scene, plan, &itinerary));
    violations.extend(account::by_priority(&scene, plan, &certified));
    Verdict {
        unproven: [account::unproven(plan, &certified), remedies.unproven].concat(),
        claims: [account::claims(plan, &certified), remedies.claims].concat(),
        violations,
        refused_min: certified.refused,
        displaced_mb_min: certified.displaced_mb,
    }
}

/// Says of a plan's bounds what the checker can show of them, so that nothing is called proven that is the planner's word;
/// that stays beside it, by its name. What there is no time to show is not proven.
pub(crate) fn certified(fleet: &Fleet, mut plan: Plan, limits: &Limits<'_>) -> Plan {
    let (certified, weaker) = match limits.out_of_time() {
        true => (Certified { cut_short: true, ..Certified::default() }, Vec::new()),
        false => certificate::evaluate(&Scene::new(fleet, &plan.request), &plan, limits),
    };
    account::settle(&mut plan, &certified);
    account::lower_claims(&mut plan, &weaker);
    plan
}

/// Calls no conflict of a plan irreducible that is so by the planner's word.
pub(crate) fn with_certified_conflicts(fleet: &Fleet, mut plan: Plan, limits: &Limits<'_>) -> Plan {
    if plan.refusals.iter().all(|refusal| refusal.conflict.is_none()) {
        return plan;
    }
    let request = plan.request.clone();
    let scene = Scene::new(fleet, &request);
    let left = Left::of(&scene, &plan, &Itinerary::new(&scene, &plan));
    let shown = |refusal: &Refusal, conflict: &Conflict| match &left {
        Some(left) => left.is_irreducible(refusal, conflict),
        None => conflict::is_irreducible(&scene, conflict),
    };
    let is_shown = |refusal: &Refusal| {
        let claimed = refusal.conflict.as_ref().filter(|it| it.irreducible);
        claimed.is_some_and(|it| !limits.out_of_time() && shown(refusal, it))
    };
    let irreducible: Vec<bool> = plan.refusals.iter().map(is_shown).collect();
    for (refusal, irreducible) in plan.refusals.iter_mut().zip(irreducible) {
        if let Some(conflict) = &mut refusal.conflict {
            conflict.irreducible = irreducible;
        }
    }
    plan
}

/// Whether the plan is one, and for this fleet.
fn identity(fleet: &Fleet, plan: &Plan) -> Vec<Violation> {
    let mut violations = Vec::new();
    if plan.format != FORMAT {
        violations.push(Violation::Format { found: plan.format.clone(), expected: FORMAT });
    }
    let given = fleet.digest();
    if plan.fleet_digest != given {
        violations.push(Violation::Digest { planned: plan.fleet_digest.clone(), given });
    }
    violations
}
