//! The figures: what the hosts hold before, at their fullest and after; the goals, the outcome and the status.

use std::collections::{BTreeMap, BTreeSet};

use decant_schema::fleet::Resources;
use decant_schema::plan::{Outcome, Plan, ProofStatus, Refusal, TierName};
use decant_schema::request::RequestKind;

use super::certificate::Certified;
use super::itinerary::Itinerary;
use super::room::usage_at_end;
use super::scene::{Amounts, Scene};
use super::violation::{Claim, Moment, Standing, Unproven, Violation, tier_label};

/// Figures are printed rounded; this much apart they are the same.
const TOLERANCE: f64 = 1e-6;

/// Figures of hosts that are not so; `peaks` are those of the hosts that moves touch.
pub(super) fn hosts(
    scene: &Scene<'_>,
    plan: &Plan,
    itinerary: &Itinerary<'_>,
    peaks: &BTreeMap<usize, Amounts>,
) -> Vec<Violation> {
    let ends = usage_at_end(scene, itinerary);
    let mut violations = Vec::new();
    let mut listed = BTreeSet::new();
    for usage in &plan.hosts {
        let host = scene.fleet.host_index(usage.name.as_str()).expect("all names of the plan are known");
        if !listed.insert(host) {
            violations.push(Violation::HostTwice { host: usage.name.clone() });
            continue;
        }
        let start = &scene.usage[host];
        let figures = [
            (Moment::Before, &usage.before, start),
            (Moment::Peak, &usage.peak, peaks.get(&host).unwrap_or(start)),
            (Moment::After, &usage.after, &ends[host]),
        ];
        for (moment, printed, actual) in figures {
            violations.extend(amounts(scene, host, moment, printed, actual));
        }
    }
    let touched: BTreeSet<usize> = itinerary.steps.iter().flat_map(|step| [step.source, step.target]).collect();
    let missing = touched.difference(&listed).map(|host| scene.host(*host).name.clone());
    violations.extend(missing.map(|host| Violation::HostMissing { host }));
    violations
}

/// Printed amounts that are not so. They are what instances claim, without what the fleet does not list; a class that is
/// not printed is taken for 0.
fn amounts(scene: &Scene<'_>, host: usize, moment: Moment, printed: &Resources, actual: &Amounts) -> Vec<Violation> {
    let unlisted = scene.dense(&scene.host(host).other_usage);
    let mut violations = Vec::new();
    for (at, class) in scene.classes.iter().enumerate() {
        let found = i128::from(printed.get(*class).copied().unwrap_or(0));
        let actual = actual[at] - unlisted[at];
        if found != actual {
            let (host, class) = (scene.host(host).name.clone(), (*class).clone());
            violations.push(Violation::HostAmount { host, class, moment, found, actual });
        }
    }
    violations
}

/// Goals, outcome and status that are not so.
pub(super) fn goals(scene: &Scene<'_>, plan: &Plan, itinerary: &Itinerary<'_>) -> Vec<Violation> {
    let mut violations = Vec::new();
    for tier in [TierName::Refused, TierName::DisplacedMemoryMb, TierName::DurationS, TierName::Imbalance] {
        let printed: Vec<_> = plan.proof.tiers.iter().filter(|printed| printed.name == tier).collect();
        let proven_tier = matches!(tier, TierName::Refused | TierName::DisplacedMemoryMb);
        match printed.as_slice() {
            [] if proven_tier => violations.push(Violation::TierMissing { tier }),
            [] => {}
            [printed] => {
                let (found, actual) = (printed.value, value(scene, plan, itinerary, tier));
                if !close(found, actual) {
                    violations.push(Violation::TierValue { tier, found, actual });
                }
                let bounds = [printed.bound, printed.planner_bound].into_iter().flatten();
                violations.extend(bounds.filter_map(|bound| above(tier, bound, found)));
            }
            _ => violations.push(Violation::TierTwice { tier }),
        }
    }
    violations.extend(outcome(plan));
    violations.extend(status(plan));
    violations
}

fn close(found: f64, actual: f64) -> bool {
    (found - actual).abs() <= TOLERANCE * actual.abs().max(1.0)
}

/// What the plan reaches of a goal.
#[expect(clippy::cast_precision_loss, reason = "amounts of a document are within 2^53")]
fn value(scene: &Scene<'_>, plan: &Plan, itinerary: &Itinerary<'_>, tier: TierName) -> f64 {
    match tier {
        TierName::Refused => plan.refusals.len() as f64,
        TierName::DisplacedMemoryMb => displaced(scene, itinerary) as f64,
        TierName::DurationS => {
            let ends = plan.moves.iter().map(|line| line.end_s);
            ends.chain(plan.rounds.iter().map(|round| round.returned_at_s)).fold(0.0, f64::max)
        }
        TierName::Imbalance => imbalance(scene, itinerary),
    }
}

/// Memory of the third parties that move at all, each once, MiB.
fn displaced(scene: &Scene<'_>, itinerary: &Itinerary<'_>) -> u128 {
    let third_parties = itinerary.ways.keys().filter(|instance| scene.asked(**instance).is_none());
    third_parties.map(|instance| u128::from(scene.memory(*instance))).sum()
}

/// The most by which, on any host and in any class, the used share of the capacity exceeds the share of all hosts
/// together; hosts that are down or emptied are left out.
#[expect(clippy::cast_precision_loss, reason = "amounts of a document are within 2^53")]
fn imbalance(scene: &Scene<'_>, itinerary: &Itinerary<'_>) -> f64 {
    let ends = usage_at_end(scene, itinerary);
    let emptied = |at: usize| matches!(&scene.request.kind, RequestKind::Evacuate { hosts } if hosts.contains(&scene.host(at).name));
    let counted: Vec<usize> = (0..ends.len()).filter(|at| scene.host(*at).up && !emptied(*at)).collect();
    let of_class = |class: usize| {
        let with: Vec<(f64, f64)> = counted
            .iter()
            .map(|at| (ends[*at][class] as f64, scene.capacity[*at][class] as f64))
            .filter(|(_, capacity)| *capacity > 0.0)
            .collect();
        let share =
            with.iter().map(|(used, _)| used).sum::<f64>() / with.iter().map(|(_, capacity)| capacity).sum::<f64>();
        with.iter().map(|(used, capacity)| used / capacity - share).fold(0.0, f64::max)
    };
    (0..scene.classes.len()).map(of_class).fold(0.0, f64::max)
}

/// A bound that is above what is reached.
fn above(tier: TierName, bound: f64, value: f64) -> Option<Violation> {
    let below = bound <= value + TOLERANCE * value.abs().max(1.0);
    (!below).then_some(Violation::BoundAboveValue { tier, bound, value })
}

/// What rounding may make of a bound, as a share: the checker's seconds are not the planner's whole microseconds.
const ROUNDING: f64 = 1e-5;

/// Whether a bound follows from what is proven.
pub(super) fn follows(bound: f64, proven: f64) -> bool {
    bound <= proven * (1.0 + ROUNDING) + TOLERANCE
}

/// Bounds beyond what is proven: they rest on the planner's word.
pub(super) fn unproven(plan: &Plan, certified: &Certified) -> Vec<Unproven> {
    let said = plan.proof.tiers.iter().flat_map(|tier| {
        let said = [tier.bound, tier.planner_bound].into_iter().flatten();
        said.map(|bound| (tier.name, bound, certified.of(tier.name)))
    });
    let beyond = said.filter(|(_, bound, proven)| !follows(*bound, *proven));
    beyond.map(|(tier, bound, proven)| Unproven::Bound { tier, bound, proven }).collect()
}

/// What the plan says of the least of every goal, and how it stands.
pub(super) fn claims(plan: &Plan, certified: &Certified) -> Vec<Claim> {
    let said = plan.proof.tiers.iter().flat_map(|tier| {
        let said = [tier.bound, tier.planner_bound].into_iter().flatten();
        said.map(|bound| (tier.name, tier.value, bound))
    });
    let claim = |(tier, value, bound): (TierName, f64, f64)| {
        let standing = match above(tier, bound, value) {
            Some(_) => Standing::False,
            None if follows(bound, certified.of(tier)) => Standing::Proven,
            None => Standing::Word,
        };
        Claim { what: format!("the least of {} is {bound}", tier_label(tier)), standing }
    };
    said.map(claim).collect()
}

/// Bounds of a plan that says they are proven, and are not.
pub(super) fn boasts(plan: &Plan, certified: &Certified) -> Vec<Violation> {
    let tiers = plan.proof.tiers.iter().filter(|_| plan.proof.certified);
    let beyond = tiers.filter_map(|tier| {
        let (bound, proven) = (tier.bound?, certified.of(tier.name));
        (!follows(bound, proven)).then_some(Violation::BoundUnproven { tier: tier.name, bound, proven })
    });
    beyond.collect()
}

/// Says of every goal what is proven, nothing where there was no time to tell, and keeps what the planner knows beyond that
/// apart.
pub(super) fn settle(plan: &mut Plan, certified: &Certified) {
    for tier in &mut plan.proof.tiers {
        let proven = certified.of(tier.name);
        let of_rounds = tier.name == TierName::DurationS && plan.proof.rounds.is_some();
        let exact = matches!(tier.name, TierName::Refused | TierName::DisplacedMemoryMb);
        let more = of_rounds || exact && proven <= tier.value;
        match tier.bound {
            Some(bound) if !follows(bound, proven) => {
                (tier.bound, tier.planner_bound) = ((!certified.cut_short).then_some(proven), Some(bound));
            }
            Some(bound) if more => tier.bound = Some(bound.max(proven)),
            Some(_) | None => {}
        }
    }
    for of in &mut plan.proof.priorities {
        let known = certified.by_priority.iter().find(|(priority, _)| *priority == of.priority);
        of.bound = known.and_then(|(_, proven)| *proven);
    }
    plan.proof.status = status_of(plan);
    let displaces_least = plan.proof.tiers.iter().any(|tier| {
        tier.name == TierName::DisplacedMemoryMb && tier.bound.is_some_and(|bound| close(bound, tier.value))
    });
    if plan.proof.status != ProofStatus::Gap && displaces_least {
        // Whatever stopped the search, there was nothing left to find.
        plan.proof.stopped_by = None;
    }
    plan.proof.certified = true;
}

/// Has each pool of the certificate claim no more than it was found to yield.
pub(super) fn lower_claims(plan: &mut Plan, weaker: &[Violation]) {
    for of_pool in plan.proof.certificate.iter_mut().flat_map(|certificate| &mut certificate.pools) {
        let lowered = weaker.iter().find_map(|violation| match violation {
            Violation::CertificateWeaker { host, tier, proven, .. } => {
                (*host == of_pool.host && *tier == of_pool.tier).then_some(*proven)
            }
            _ => None,
        });
        of_pool.bound = lowered.unwrap_or(of_pool.bound);
    }
}

/// The refused by priority, where the plan says of them what is not so or, being certified, what is not proven.
pub(super) fn by_priority(scene: &Scene<'_>, plan: &Plan, certified: &Certified) -> Vec<Violation> {
    let refused = |priority: i32| {
        let of = |refusal: &&Refusal| {
            let at = scene.fleet.instance_index(refusal.instance.as_str());
            at.is_some_and(|at| scene.instance(at).priority == priority)
        };
        plan.refusals.iter().filter(of).count() as u64
    };
    let levels = &certified.by_priority;
    let said = &plan.proof.priorities;
    if !said.is_empty() && !said.iter().map(|of| of.priority).eq(levels.iter().map(|(priority, _)| *priority)) {
        return vec![Violation::Priorities];
    }
    let wrong = said.iter().zip(levels).flat_map(|(said, (priority, proven))| {
        let (priority, found, actual) = (*priority, said.refused, refused(*priority));
        let count = (found != actual).then_some(Violation::PriorityCount { priority, found, actual });
        let bound = said.bound.filter(|bound| proven.is_none_or(|proven| *bound > proven));
        count.into_iter().chain(bound.map(|bound| Violation::PriorityBound { priority, bound, proven: *proven }))
    });
    wrong.collect()
}

fn outcome(plan: &Plan) -> Option<Violation> {
    let expected = match (plan.refusals.is_empty() && plan.left.is_empty(), plan.moves.is_empty()) {
        (false, _) => Outcome::Partial,
        (true, true) => Outcome::NothingToDo,
        (true, false) => Outcome::Complete,
    };
    (plan.outcome != expected).then_some(Violation::Outcome { found: plan.outcome, expected })
}

/// The status follows from the first two goals as printed; their values and bounds are checked on their own.
fn status(plan: &Plan) -> Option<Violation> {
    let (found, expected) = (plan.proof.status, status_of(plan));
    (found != expected).then_some(Violation::Status { found, expected })
}

fn status_of(plan: &Plan) -> ProofStatus {
    let met = |name: TierName| {
        plan.proof
            .tiers
            .iter()
            .any(|tier| tier.name == name && tier.bound.is_some_and(|bound| close(bound, tier.value)))
    };
    let by_priority = plan.proof.priorities.iter().all(|of| of.bound == Some(of.refused));
    let refused = match plan.proof.priorities.is_empty() || plan.request.options.count_first {
        true => met(TierName::Refused),
        false => by_priority,
    };
    match (plan.refusals.is_empty(), refused) {
        (true, true) if met(TierName::DisplacedMemoryMb) => ProofStatus::Optimal,
        (false, true) => ProofStatus::Infeasible,
        (true | false, _) => ProofStatus::Gap,
    }
}
