//! Whether the conflicts and the fixes of refusals can be so: about what is asked, rules that hold and changes that
//! change something.
//!
//! That a conflict is one follows from its certificate, evaluated on the fleet and the request of its instances alone;
//! without one it can still be refuted, by a place for everybody in it. That it is irreducible is shown by places for the
//! others without each of its members, that a fix suffices by one more move after all others; where there is none, both
//! are the planner's word.

use std::collections::BTreeSet;

use decant_schema::fleet::{Fleet, FleetDocument, GroupPolicy};
use decant_schema::id::{FlavorName, HostName, InstanceId};
use decant_schema::plan::{Conflict, Fix, Reason, Refusal, RuleName};
use decant_schema::request::{Request, RequestKind};

use super::certificate::refused_min;
use super::fitting::{Fitting, Seeker};
use super::itinerary::Itinerary;
use super::room::usage_at_end;
use super::rule::{Wish, immobile};
use super::scene::{Amounts, Asked, Scene, subtract};
use super::violation::{Claim, Standing, Unproven, Violation};
use crate::Limits;

/// What is said of refusals in conflicts and fixes, and how it stands.
#[derive(Default)]
pub(super) struct Judgement {
    pub(super) violations: Vec<Violation>,
    pub(super) unproven: Vec<Unproven>,
    pub(super) claims: Vec<Claim>,
}

impl Judgement {
    pub(super) fn join(&mut self, other: Self) {
        self.violations.extend(other.violations);
        self.unproven.extend(other.unproven);
        self.claims.extend(other.claims);
    }

    fn note(&mut self, what: String, found: Result<bool, Violation>, word: impl FnOnce() -> Unproven) {
        let standing = match found {
            Ok(true) => Standing::Proven,
            Ok(false) => {
                self.unproven.push(word());
                Standing::Word
            }
            Err(violation) => {
                self.violations.push(violation);
                Standing::False
            }
        };
        self.claims.push(Claim { what, standing });
    }
}

/// Conflicts and fixes that cannot be so, and those that nothing shows.
pub(super) fn judge(scene: &Scene<'_>, refusals: &[&Refusal], itinerary: &Itinerary<'_>) -> Judgement {
    let mut judgement = Judgement::default();
    let end = End { usage: usage_at_end(scene, itinerary), place: itinerary.ends(scene) };
    for refusal in refusals {
        let instance = &refusal.instance;
        if let Some(conflict) = &refusal.conflict {
            let found = is_proven(scene, refusal, conflict);
            let found = found.map_err(|detail| Violation::FalseConflict { instance: instance.clone(), detail });
            let is_one = found.is_ok();
            let what = format!("{instance} and those it is in conflict with cannot all go");
            judgement.note(what, found, || Unproven::Conflict { instance: instance.clone() });
            if is_one && conflict.irreducible {
                let what = format!("without any one of those {instance} is in conflict with the others fit");
                let word = || Unproven::Irreducible { instance: instance.clone() };
                judgement.note(what, Ok(is_irreducible(scene, conflict)), word);
            }
        }
        for (number, fix) in (1..).zip(&refusal.fixes) {
            let useless =
                useless(scene, refusal, fix).map(|detail| Violation::FalseFix { instance: instance.clone(), detail });
            let found = useless.map_or_else(|| Ok(end.suffices(scene, refusal, fix)), Err);
            let word = || Unproven::Fix { instance: instance.clone(), number };
            judgement.note(format!("fix {number} for {instance} suffices"), found, word);
        }
    }
    judgement
}

/// Members a conflict has at most for the others to be placed without each in turn; the search for places is exhaustive.
const MEMBERS_MAX: usize = 16;

/// Whether without any one member the others find places as things stand, nobody else moving.
pub(super) fn is_irreducible(scene: &Scene<'_>, conflict: &Conflict) -> bool {
    let members: BTreeSet<usize> =
        conflict.instances.iter().filter_map(|id| scene.fleet.instance_index(id.as_str())).collect();
    let fit = |without: &usize| {
        let others: BTreeSet<usize> = members.iter().copied().filter(|at| at != without).collect();
        others.is_empty() || others.iter().all(|at| immobile(scene, *at).is_none()) && fit_at_once(scene, &others)
    };
    members.len() <= MEMBERS_MAX && members.iter().all(fit)
}

/// The fleet once all moves have ended: a fix suffices if one more move can follow then.
struct End {
    usage: Vec<Amounts>,
    place: Vec<usize>,
}

impl End {
    /// Whether the refused instance finds a place in the end once the fix is made. Where that takes other moves, more
    /// would have to be shown.
    fn suffices(&self, scene: &Scene<'_>, refusal: &Refusal, fix: &Fix) -> bool {
        let Some(at) = scene.fleet.instance_index(refusal.instance.as_str()) else { return false };
        let evacuation = matches!(scene.request.kind, RequestKind::Evacuate { .. });
        if !evacuation || scene.options().headroom_percent > 0.0 || is_bound(scene, at) || immobile(scene, at).is_some()
        {
            return false;
        }
        // What keeps one that finds a place as it is, no room alone would mend.
        if self.takes(scene, &self.usage, at) {
            return false;
        }
        match fix {
            Fix::FreeRoom { host, amounts } => {
                let Some(host) = scene.fleet.host_index(host.as_str()) else { return false };
                let mut usage = self.usage.clone();
                subtract(&mut usage[host], &scene.dense(amounts));
                self.takes(scene, &usage, at)
            }
            Fix::LiftBinding { rule, instances, .. } => {
                let mut document = scene.fleet.document().clone();
                let unbound: BTreeSet<usize> =
                    instances.iter().filter_map(|id| scene.fleet.instance_index(id.as_str())).collect();
                unbound.iter().for_each(|at| unbind(&mut document, *rule, *at));
                Fleet::from_document(document).is_ok_and(|fleet| {
                    let scene = Scene::new(&fleet, scene.request);
                    let free = unbound.iter().all(|at| immobile(&scene, *at).is_none() && !is_bound(&scene, *at));
                    free && self.take(&scene, &self.usage, &unbound)
                })
            }
            Fix::EmptyLater { hosts: later } => {
                let mut request = scene.request.clone();
                if let RequestKind::Evacuate { hosts } = &mut request.kind {
                    hosts.retain(|host| !later.contains(host));
                }
                // Whoever left those hosts was not asked to, then.
                !scene.displaces_nobody() && self.takes(&Scene::new(scene.fleet, &request), &self.usage, at)
            }
            Fix::AdmitHost { host } => {
                let (mut document, mut request) = (scene.fleet.document().clone(), scene.request.clone());
                request.options.exclude_hosts.remove(host.as_str());
                document.hosts.iter_mut().filter(|known| known.name == *host).for_each(|known| known.enabled = true);
                Fleet::from_document(document)
                    .is_ok_and(|fleet| self.takes(&Scene::new(&fleet, &request), &self.usage, at))
            }
            _ => false,
        }
    }

    fn takes(&self, scene: &Scene<'_>, usage: &[Amounts], at: usize) -> bool {
        self.take(scene, usage, &BTreeSet::from([at]))
    }

    /// Whether all of these find a place.
    fn take(&self, scene: &Scene<'_>, usage: &[Amounts], these: &BTreeSet<usize>) -> bool {
        let seekers: Vec<Seeker<'_>> = these.iter().map(|at| Seeker::new(scene, *at, Wish::of(scene, *at))).collect();
        Fitting::new(scene, usage, &self.place, vec![false; usage.len()]).fits(&seekers) == Some(true)
    }
}

/// Lifts what binds an instance to hosts: its zone, or what its flavor wants and another of the same size does not.
fn unbind(document: &mut FleetDocument, rule: RuleName, at: usize) {
    let instance = &mut document.instances[at];
    let mut flavors = document.flavors.iter();
    let Some(mut flavor) = flavors.find(|known| known.name == instance.flavor).cloned() else { return };
    match rule {
        RuleName::Zone => instance.zone = None,
        RuleName::Aggregate => flavor.required_aggregates.clear(),
        RuleName::RequiredTrait => flavor.required_traits.clear(),
        RuleName::ForbiddenTrait => flavor.forbidden_traits.clear(),
        _ => {}
    }
    flavor.name = FlavorName::new(format!("{} without what binds instance {at}", flavor.name));
    instance.flavor = flavor.name.clone();
    document.flavors.push(flavor);
}

/// Whether affinity binds an instance.
fn is_bound(scene: &Scene<'_>, at: usize) -> bool {
    let mut groups = scene.fleet.server_groups().iter();
    groups.any(|group| group.policy == GroupPolicy::Affinity && group.members.contains(&scene.instance(at).id))
}

/// Whether it is proven that a conflict is one.
///
/// # Errors
///
/// Why it cannot be one, or is not proven by what it says proves it.
fn is_proven(scene: &Scene<'_>, refusal: &Refusal, conflict: &Conflict) -> Result<bool, String> {
    let members: BTreeSet<_> = conflict.instances.iter().collect();
    if members.len() < conflict.instances.len() {
        return Err("an instance is in it twice".to_owned());
    }
    if !members.contains(&refusal.instance) {
        return Err("the instance is not in it".to_owned());
    }
    let positions: BTreeSet<usize> = members.iter().filter_map(|id| scene.fleet.instance_index(id.as_str())).collect();
    if let Some(third) = positions.iter().find(|at| scene.asked(**at).is_none()) {
        return Err(format!("nobody asked {} to move", scene.instance(*third).id));
    }
    if let Some(rule) = conflict.rules.iter().find(|rule| !is_in_force(scene, rule, &positions)) {
        return Err(format!("no rule {:?} keeps it from fitting", rule.subject.as_deref().unwrap_or_default()));
    }
    if positions.iter().all(|at| immobile(scene, *at).is_none()) && fit_at_once(scene, &positions) {
        return Err("there is a place for all of them as things stand".to_owned());
    }
    let Some((fleet, request)) = alone(scene, &positions) else { return Ok(false) };
    let (refused, weaker) = refused_min(&Scene::new(&fleet, &request), conflict.certificate.as_ref(), &Limits::UNTIMED);
    weaker.first().map_or(Ok(refused > 0), |weaker| Err(weaker.to_string()))
}

/// The fleet and the request of these alone: whoever else is to leave its host is gone, whoever else is to be resized
/// is not. `None` where that is no fleet.
fn alone(scene: &Scene<'_>, members: &BTreeSet<usize>) -> Option<(Fleet, Request)> {
    let gone: BTreeSet<&str> = (0..scene.fleet.instances().len())
        .filter(|at| !members.contains(at) && scene.asked(*at) == Some(Asked::Leave))
        .map(|at| scene.instance(at).id.as_str())
        .collect();
    let mut document = scene.fleet.document().clone();
    document.instances.retain(|instance| !gone.contains(instance.id.as_str()));
    document.server_groups.iter_mut().for_each(|group| group.members.retain(|id| !gone.contains(id.as_str())));
    document.server_groups.retain(|group| !group.members.is_empty());
    let mut request = scene.request.clone();
    if let RequestKind::Resize { resizes } = &mut request.kind {
        resizes.retain(|resize| members.iter().any(|at| scene.instance(*at).id == resize.instance));
    }
    Some((Fleet::from_document(document).ok()?, request))
}

/// Whether a rule that could be relaxed is there to be relaxed.
fn is_in_force(scene: &Scene<'_>, rule: &Reason, members: &BTreeSet<usize>) -> bool {
    let options = scene.options();
    let subject = rule.subject.as_deref().unwrap_or_default();
    let host = || scene.fleet.host_index(subject).map(|at| scene.host(at));
    let hard = |policy| {
        let mut groups = scene.fleet.server_groups().iter().filter(|group| group.policy == policy);
        groups.any(|group| {
            group.name.as_str() == subject && members.iter().any(|at| group.members.contains(&scene.instance(*at).id))
        })
    };
    match rule.rule {
        RuleName::Together => options.no_displace,
        RuleName::Pinned => is_pinned(scene, subject),
        RuleName::Headroom => options.headroom_percent > 0.0,
        RuleName::Excluded => host().is_some_and(|host| options.exclude_hosts.contains(&host.name)),
        RuleName::HostDisabled => host().is_some_and(|host| !host.enabled),
        RuleName::Affinity => hard(GroupPolicy::Affinity),
        RuleName::AntiAffinity => hard(GroupPolicy::AntiAffinity),
        _ => false,
    }
}

fn is_pinned(scene: &Scene<'_>, id: &str) -> bool {
    let pinned = |at| scene.instance(at).pinned || scene.options().pins.contains(&scene.instance(at).id);
    scene.fleet.instance_index(id).is_some_and(pinned)
}

/// Whether all of these find a place while everybody else stays, those beside them on emptied hosts being gone. Where
/// affinity binds one of them, more would have to be known.
fn fit_at_once(scene: &Scene<'_>, members: &BTreeSet<usize>) -> bool {
    let evacuation = matches!(scene.request.kind, RequestKind::Evacuate { .. });
    if !evacuation || scene.options().headroom_percent > 0.0 || members.iter().any(|at| is_bound(scene, *at)) {
        return false;
    }
    let mut usage = scene.usage.clone();
    for at in members {
        subtract(&mut usage[scene.home[*at]], &scene.claim(*at));
    }
    let seekers: Vec<Seeker<'_>> = members.iter().map(|at| Seeker::new(scene, *at, Wish::of(scene, *at))).collect();
    let closed = vec![false; usage.len()];
    Fitting::new(scene, &usage, &scene.home, closed).fits(&seekers) == Some(true)
}

/// What of an instance, by a rule, binds it to some hosts.
fn binding(scene: &Scene<'_>, rule: RuleName, at: usize) -> Option<String> {
    let (instance, wish) = (scene.instance(at), Wish::of(scene, at));
    fn all<T: ToString>(names: &BTreeSet<T>) -> Option<String> {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        (!names.is_empty()).then(|| names.join(", "))
    }
    match rule {
        RuleName::Zone => instance.zone.as_ref().map(ToString::to_string),
        RuleName::Aggregate => all(&wish.flavor.required_aggregates),
        RuleName::RequiredTrait => all(&wish.flavor.required_traits),
        RuleName::ForbiddenTrait => all(&wish.flavor.forbidden_traits),
        _ => None,
    }
}

/// Why a fix changes nothing, if it does not.
fn useless(scene: &Scene<'_>, refusal: &Refusal, fix: &Fix) -> Option<String> {
    let options = scene.options();
    let (helps, otherwise) = match fix {
        Fix::AllowDisplacement { .. } => (scene.displaces_nobody(), "others may make room already"),
        Fix::Unpin { instance } => (is_pinned(scene, instance.as_str()), "it is not pinned"),
        Fix::AddHost { .. } => (true, ""),
        Fix::FreeRoom { amounts, .. } => (amounts.values().any(|amount| *amount > 0), "it frees nothing"),
        Fix::RelaxGroup { group } => {
            let hard = [GroupPolicy::Affinity, GroupPolicy::AntiAffinity];
            let mut groups = scene.fleet.server_groups().iter();
            (groups.any(|known| known.name.as_str() == group && hard.contains(&known.policy)), "there is no such group")
        }
        Fix::LiftBinding { rule, subject, instances } => {
            let binds = |id: &InstanceId| {
                let at = scene.fleet.instance_index(id.as_str());
                at.and_then(|at| binding(scene, *rule, at)).is_some_and(|named| named == *subject)
            };
            let all = instances.contains(&refusal.instance) && instances.iter().all(binds);
            (all, "not all of these are bound by that, or it is none of them")
        }
        Fix::EmptyLater { hosts } => {
            let emptied = |host: &HostName| match &scene.request.kind {
                RequestKind::Evacuate { hosts } => hosts.contains(host),
                _ => false,
            };
            let at = scene.fleet.instance_index(refusal.instance.as_str());
            let own = at.map(|at| &scene.host(scene.home[at]).name);
            let others = !hosts.is_empty() && hosts.iter().all(|host| emptied(host) && Some(host) != own);
            (others, "not all of these are other hosts to be emptied")
        }
        Fix::LowerHeadroom { percent } => (*percent < options.headroom_percent, "as much is kept already"),
        Fix::AdmitHost { host } => {
            let closed = |at| !scene.host(at).enabled || options.exclude_hosts.contains(host);
            (scene.fleet.host_index(host.as_str()).is_some_and(closed), "the host receives already")
        }
        Fix::LongerWindow { window_s } => {
            let window = match &scene.request.kind {
                RequestKind::Rolling { rounds, .. } if rounds.intervals.is_empty() => Some(rounds.window_s),
                RequestKind::Rolling { .. } => Some(0.0),
                _ => options.window_s,
            };
            (window.is_some_and(|window| *window_s > window), "the window is as long already")
        }
        Fix::FewerSpareHosts { spare_hosts } => {
            let wanted = match &scene.request.kind {
                RequestKind::Rolling { rounds, .. } => rounds.spare_hosts,
                _ => 0,
            };
            (*spare_hosts < wanted, "no more are kept")
        }
    };
    (!helps).then(|| otherwise.to_owned())
}
