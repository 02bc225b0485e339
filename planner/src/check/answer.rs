//! Everybody who was asked to move is answered exactly once, and nobody else.

use std::collections::BTreeSet;

use decant_schema::plan::Plan;

use super::itinerary::Itinerary;
use super::scene::{Asked, Scene};
use super::violation::Violation;

/// Requests without their one answer, and answers without a request.
pub(super) fn broken(scene: &Scene<'_>, plan: &Plan, itinerary: &Itinerary<'_>) -> Vec<Violation> {
    let mut violations = Vec::new();
    let mut refused = BTreeSet::new();
    for refusal in &plan.refusals {
        let instance = refusal.instance.clone();
        let at = scene.fleet.instance_index(instance.as_str()).expect("all names of the plan are known");
        if scene.asked(at).is_none() {
            violations.push(Violation::RefusedUnasked { instance });
        } else if !refused.insert(at) {
            violations.push(Violation::RefusedTwice { instance });
        } else if let Some(way) = itinerary.ways.get(&at) {
            violations.push(Violation::MovedAndRefused { instance, id: itinerary.steps[way[0]].line.id });
        }
    }
    for at in (0..scene.fleet.instances().len()).filter(|at| !refused.contains(at)) {
        violations.extend(scene.asked(at).and_then(|asked| unmet(scene, itinerary, at, asked)));
    }
    violations
}

/// Whether an instance that is not refused lacks what was asked of it. That it ends on no emptied host is the rules'
/// business.
fn unmet(scene: &Scene<'_>, itinerary: &Itinerary<'_>, at: usize, asked: Asked<'_>) -> Option<Violation> {
    let instance = scene.instance(at);
    let last = itinerary.ways.get(&at).and_then(|way| way.last()).map(|step| &itinerary.steps[*step]);
    match (asked, last) {
        (Asked::Leave, Some(_)) => None,
        (Asked::Leave, None) => {
            Some(Violation::Unanswered { instance: instance.id.clone(), host: instance.host.clone() })
        }
        (Asked::Resize(wanted), Some(step)) if step.line.flavor.as_ref() == Some(wanted) => None,
        (Asked::Resize(wanted), None) if instance.flavor == *wanted && instance.resources.is_none() => None,
        (Asked::Resize(wanted), last) => Some(Violation::ResizeUnmet {
            instance: instance.id.clone(),
            wanted: wanted.clone(),
            found: last.map_or(&instance.flavor, |step| &step.flavor.name).clone(),
        }),
    }
}
