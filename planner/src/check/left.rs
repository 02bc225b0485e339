//! What a rolling plan says of instances whose hosts have no turn.
//!
//! Where it is about the turn (the window, a spare host, another instance that stays), it is compared with the request. All
//! else is said of an evacuation of that host alone from the fleet as the plan leaves it, and judged there.

use std::collections::{BTreeMap, BTreeSet};

use decant_schema::fleet::Fleet;
use decant_schema::id::HostName;
use decant_schema::plan::{Conflict, Plan, Refusal, RuleName};
use decant_schema::request::{Options, Request, RequestKind};

use super::conflict::{self, Judgement};
use super::itinerary::Itinerary;
use super::reason;
use super::rule::maintained;
use super::scene::Scene;

/// Whether a refusal is about the turn of its host alone.
pub(super) fn is_about_turn(refusal: &Refusal) -> bool {
    matches!(&refusal.reasons[..], [reason] if matches!(reason.rule, RuleName::Turn | RuleName::Window))
}

/// Reasons, conflicts and fixes of a plan's refusals that are not so.
pub(super) fn judge(scene: &Scene<'_>, plan: &Plan, itinerary: &Itinerary<'_>) -> Judgement {
    let all: Vec<&Refusal> = plan.refusals.iter().collect();
    let Some(left) = Left::of(scene, plan, itinerary) else {
        return of(scene, plan, &all, itinerary, RuleName::Order);
    };
    let (of_turns, others): (Vec<&Refusal>, Vec<&Refusal>) = all.into_iter().partition(|it| is_about_turn(it));
    let mut judgement = of(scene, plan, &of_turns, itinerary, RuleName::Together);
    let mut by_host: BTreeMap<&HostName, Vec<&Refusal>> = BTreeMap::new();
    for refusal in others {
        if let Some(host) = left.host_of(refusal) {
            by_host.entry(host).or_default().push(refusal);
        }
    }
    let unmoved = Plan { moves: Vec::new(), rounds: Vec::new(), ..plan.clone() };
    for (host, refusals) in by_host {
        let request = left.request(host);
        let scene = Scene::new(&left.fleet, &request);
        judgement.join(of(&scene, plan, &refusals, &Itinerary::new(&scene, &unmoved), RuleName::Together));
    }
    judgement
}

/// `alone` is the rule by which an instance stays that could go alone.
fn of(scene: &Scene<'_>, plan: &Plan, refusals: &[&Refusal], itinerary: &Itinerary<'_>, alone: RuleName) -> Judgement {
    let mut judgement = conflict::judge(scene, refusals, itinerary);
    judgement.violations.splice(0..0, reason::false_reasons(scene, plan, refusals, itinerary, alone));
    judgement
}

/// The fleet as a rolling plan leaves it.
pub(super) struct Left {
    fleet: Fleet,
    options: Options,
}

impl Left {
    /// `None` where the plan is no rolling one.
    pub(super) fn of(scene: &Scene<'_>, plan: &Plan, itinerary: &Itinerary<'_>) -> Option<Self> {
        let RequestKind::Rolling { .. } = scene.request.kind else { return None };
        let mut document = scene.fleet.document().clone();
        for (instance, end) in document.instances.iter_mut().zip(itinerary.ends(scene)) {
            instance.host = scene.host(end).name.clone();
        }
        for (at, host) in document.hosts.iter_mut().enumerate() {
            *host = maintained(scene, plan, at, f64::INFINITY).into_owned();
        }
        Some(Self { fleet: Fleet::from_document(document).ok()?, options: scene.request.options.clone() })
    }

    fn host_of(&self, refusal: &Refusal) -> Option<&HostName> {
        let at = self.fleet.instance_index(refusal.instance.as_str())?;
        Some(&self.fleet.instances()[at].host)
    }

    fn request(&self, host: &HostName) -> Request {
        let kind = RequestKind::Evacuate { hosts: BTreeSet::from([host.clone()]) };
        Request { kind, options: self.options.clone() }
    }

    /// Whether the conflict of a refused instance is shown to be irreducible.
    pub(super) fn is_irreducible(&self, refusal: &Refusal, conflict: &Conflict) -> bool {
        let request = self.host_of(refusal).map(|host| self.request(host));
        request.is_some_and(|request| conflict::is_irreducible(&Scene::new(&self.fleet, &request), conflict))
    }
}
