//! Every instance's way: unbroken, for a true reason, to what was asked, in times that fit.

use decant_schema::plan::MoveReason;

use super::itinerary::{Itinerary, Step};
use super::precedence::{BLOCK, Followers};
use super::scene::{Asked, Scene};
use super::violation::Violation;

/// Moves that take an instance from where it is not.
pub(super) fn elsewhere(scene: &Scene<'_>, itinerary: &Itinerary<'_>) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (instance, way) in &itinerary.ways {
        let mut host = scene.home[*instance];
        for step in way.iter().map(|step| &itinerary.steps[*step]) {
            if step.source != host {
                let (id, instance) = (step.line.id, scene.instance(*instance).id.clone());
                let (source_host, actual) = (step.line.source.clone(), scene.host(host).name.clone());
                violations.push(Violation::SourceElsewhere { id, instance, source_host, actual });
            }
            host = step.target;
        }
    }
    violations
}

/// What else is wrong with the ways of the instances and with their times.
pub(super) fn broken(scene: &Scene<'_>, itinerary: &Itinerary<'_>) -> Vec<Violation> {
    let mut violations = unlinked(scene, itinerary);
    for way in itinerary.ways.values() {
        for (at, step) in way.iter().map(|step| &itinerary.steps[*step]).enumerate() {
            violations.extend(purpose(scene, step, at + 1 == way.len()));
        }
    }
    for step in &itinerary.steps {
        violations.extend(idle(scene, step));
        violations.extend(times(scene, itinerary, step));
    }
    violations
}

fn idle(scene: &Scene<'_>, step: &Step<'_>) -> Option<Violation> {
    let (id, instance) = (step.line.id, scene.instance(step.instance).id.clone());
    let idle = step.in_place() && step.line.flavor.is_none();
    idle.then(|| Violation::NoMove { id, instance, host: step.line.target.clone() })
}

/// Hops that do not wait for the move that brings their instance.
fn unlinked(scene: &Scene<'_>, itinerary: &Itinerary<'_>) -> Vec<Violation> {
    let hops: Vec<(usize, usize)> =
        itinerary.ways.values().flat_map(|way| way.windows(2).map(|pair| (pair[0], pair[1]))).collect();
    let mut violations = Vec::new();
    for block in hops.chunks(BLOCK) {
        let earlier: Vec<usize> = block.iter().map(|(previous, _)| *previous).collect();
        let followers = Followers::of(&itinerary.steps, &earlier);
        for (previous, next) in block.iter().filter(|(previous, next)| !followers.follows(*next, *previous)) {
            let (previous, next) = (&itinerary.steps[*previous], &itinerary.steps[*next]);
            violations.push(Violation::HopNotLinked {
                id: next.line.id,
                previous: previous.line.id,
                instance: scene.instance(next.instance).id.clone(),
                host: next.line.source.clone(),
            });
        }
    }
    violations
}

/// Whether the move says truly what it is for, and gives only the flavor that was asked for.
fn purpose(scene: &Scene<'_>, step: &Step<'_>, last: bool) -> Vec<Violation> {
    let (id, instance, found) = (step.line.id, scene.instance(step.instance).id.clone(), step.line.why);
    let asked = scene.asked(step.instance);
    let expected = match asked {
        _ if !last => MoveReason::Hop,
        Some(Asked::Leave) => MoveReason::Evacuate,
        Some(Asked::Resize(_)) => MoveReason::Resize,
        None if found == MoveReason::Spread => MoveReason::Spread,
        None => MoveReason::Displace,
    };
    let wanted = match asked {
        Some(Asked::Resize(wanted)) => Some(wanted),
        Some(Asked::Leave) | None => None,
    };
    let unasked = step.line.flavor.as_ref().filter(|flavor| Some(*flavor) != wanted);
    let flavor =
        unasked.map(|flavor| Violation::FlavorUnasked { id, instance: instance.clone(), found: flavor.clone() });
    let why = (found != expected).then(|| Violation::Why { id, instance: instance.clone(), found, expected });
    flavor.into_iter().chain(why).collect()
}

fn times(scene: &Scene<'_>, itinerary: &Itinerary<'_>, step: &Step<'_>) -> Vec<Violation> {
    let (id, start_s, end_s) = (step.line.id, step.line.start_s, step.line.end_s);
    let mut violations = Vec::new();
    // Written so that a time that is not a number is found too.
    let sound = start_s >= 0.0 && end_s >= start_s && end_s.is_finite();
    if !sound {
        violations.push(Violation::EndsBeforeStart { id, start_s, end_s });
    }
    for after in step.after.iter().map(|after| itinerary.steps[*after].line) {
        if start_s < after.end_s {
            violations.push(Violation::StartsEarly { id, after: after.id, start_s, end_s: after.end_s });
        }
    }
    if let Some(window_s) = scene.options().window_s.filter(|window_s| start_s > *window_s) {
        violations.push(Violation::OutsideWindow { id, start_s, window_s });
    }
    violations
}
