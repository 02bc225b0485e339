//! The rules about one instance and one host, as the checker understands them, at every stop of every instance.

use std::borrow::Cow;

use decant_schema::fleet::{Flavor, Host, Instance, InstanceState, Inventory, Mobility, Resources};
use decant_schema::plan::{MoveMode, Plan, Round, RuleName};
use decant_schema::request::RequestKind;

use super::itinerary::{Itinerary, Step};
use super::scene::{Asked, Scene};
use super::violation::Violation;

/// Every rule about one move that some move breaks.
pub(super) fn broken(scene: &Scene<'_>, plan: &Plan, itinerary: &Itinerary<'_>) -> Vec<Violation> {
    itinerary.steps.iter().flat_map(|step| of_step(scene, plan, step)).collect()
}

fn of_step(scene: &Scene<'_>, plan: &Plan, step: &Step<'_>) -> Vec<Violation> {
    let (id, instance, host) = (step.line.id, scene.instance(step.instance), scene.host(step.target));
    let mut violations: Vec<Violation> = mode(scene, step).into_iter().collect();
    let objections = if step.in_place() {
        staying(host, step.flavor)
    } else {
        violations.extend(leaving(scene, step));
        arriving(scene, plan, step)
    };
    let broken = |rule| Violation::Target { id, instance: instance.id.clone(), target: host.name.clone(), rule };
    violations.extend(objections.into_iter().map(broken));
    violations
}

/// Whether the instance may leave its host at all.
fn leaving(scene: &Scene<'_>, step: &Step<'_>) -> Option<Violation> {
    let (id, instance) = (step.line.id, scene.instance(step.instance));
    if let Some(rule) = immobile(scene, step.instance) {
        let source_host = scene.host(step.source).name.clone();
        return Some(Violation::Immobile { id, instance: instance.id.clone(), source_host, rule });
    }
    let third_party = scene.asked(step.instance).is_none();
    (third_party && scene.options().no_displace).then(|| Violation::Displaced { id, instance: instance.id.clone() })
}

/// What forbids an instance to leave its first host, wherever it would go.
pub(super) fn immobile(scene: &Scene<'_>, at: usize) -> Option<RuleName> {
    let instance = scene.instance(at);
    if instance.mobility == Mobility::None {
        Some(RuleName::Mobility)
    } else if instance.pinned || scene.options().pins.contains(&instance.id) {
        Some(RuleName::Pinned)
    } else if !scene.host(scene.home[at]).up && instance.storage.is_none() {
        Some(RuleName::SourceDown)
    } else {
        None
    }
}

/// Whether the move can be made the way it says. An instance that can do the harder may always do the easier: one
/// that could move while it runs may be suspended or stopped instead.
fn mode(scene: &Scene<'_>, step: &Step<'_>) -> Option<Violation> {
    let instance = scene.instance(step.instance);
    let running = matches!(instance.state, InstanceState::Active | InstanceState::Paused);
    let source_up = scene.host(step.source).up;
    let because = match step.line.mode {
        MoveMode::Rebuild if source_up => "its host is up",
        MoveMode::Rebuild => return None,
        _ if !source_up => "its host is down",
        MoveMode::Cold => return None,
        _ if step.line.flavor.is_some() => "it is resized, which stops it",
        _ if !running => "it does not run",
        MoveMode::Live if instance.mobility != Mobility::Live => "its mobility does not allow it",
        MoveMode::Suspend if !matches!(instance.mobility, Mobility::Live | Mobility::Suspend) => {
            "its mobility does not allow it"
        }
        MoveMode::Live | MoveMode::Suspend => return None,
    };
    Some(Violation::Mode { id: step.line.id, instance: instance.id.clone(), mode: step.line.mode, because })
}

/// Every objection to this arrival.
fn arriving(scene: &Scene<'_>, plan: &Plan, step: &Step<'_>) -> Vec<RuleName> {
    let version_min = match step.line.mode {
        MoveMode::Live => maintained(scene, plan, step.source, step.line.start_s).hypervisor_version,
        MoveMode::Cold | MoveMode::Suspend | MoveMode::Rebuild => None,
    };
    let resources = match &step.line.flavor {
        Some(_) => &step.flavor.resources,
        None => scene.fleet.claim(scene.instance(step.instance)),
    };
    let wish = Wish { instance: scene.instance(step.instance), flavor: step.flavor, resources, version_min };
    objections(scene, &wish, &maintained(scene, plan, step.target, step.line.start_s))
}

/// Every objection to an instance's moving from a host to another once all rounds are over, the gentlest way.
pub(super) fn objections_at_end(
    scene: &Scene<'_>,
    plan: &Plan,
    at: usize,
    source: usize,
    target: usize,
) -> Vec<RuleName> {
    let wish = Wish::of(scene, at);
    let instance = scene.instance(at);
    let running = matches!(instance.state, InstanceState::Active | InstanceState::Paused);
    let live = running && instance.mobility == Mobility::Live;
    let version = maintained(scene, plan, source, f64::INFINITY).hypervisor_version;
    let wish = Wish { version_min: version.filter(|_| live), ..wish };
    objections(scene, &wish, &maintained(scene, plan, target, f64::INFINITY))
}

/// A host at a moment of a plan: once back from its round it has the newest hypervisor of the fleet.
pub(super) fn maintained<'a>(scene: &Scene<'a>, plan: &Plan, at: usize, moment_s: f64) -> Cow<'a, Host> {
    let host = scene.host(at);
    let back = |round: &Round| round.returned_at_s <= moment_s && round.hosts.contains(&host.name);
    if host.hypervisor_version.is_none() || !plan.rounds.iter().any(back) {
        return Cow::Borrowed(host);
    }
    let newest = scene.fleet.hosts().iter().filter_map(|host| host.hypervisor_version).max();
    Cow::Owned(Host { hypervisor_version: newest, ..host.clone() })
}

/// What an instance asks of a host.
#[derive(Clone, Copy)]
pub(super) struct Wish<'a> {
    pub(super) instance: &'a Instance,
    /// The flavor whose rules hold there.
    pub(super) flavor: &'a Flavor,
    /// What it claims there.
    pub(super) resources: &'a Resources,
    /// The oldest hypervisor it may go to.
    pub(super) version_min: Option<u64>,
}

impl<'a> Wish<'a> {
    /// What an instance asks of any other host when it does what the request wants of it, the gentlest way.
    pub(super) fn of(scene: &Scene<'a>, at: usize) -> Self {
        let (instance, source) = (scene.instance(at), scene.host(scene.home[at]));
        let (name, resized) = match scene.asked(at) {
            Some(Asked::Resize(name)) => (name, true),
            Some(Asked::Leave) | None => (&instance.flavor, false),
        };
        let flavor = scene.flavor(name).expect("a plan is followed only once all its names are known");
        let running = matches!(instance.state, InstanceState::Active | InstanceState::Paused);
        let live = source.up && running && instance.mobility == Mobility::Live && !resized;
        Self {
            instance,
            flavor,
            resources: if resized { &flavor.resources } else { scene.fleet.claim(instance) },
            version_min: source.hypervisor_version.filter(|_| live),
        }
    }
}

/// Every rule by which a host may not receive an instance, in the order refusals count them.
pub(super) fn objections(scene: &Scene<'_>, wish: &Wish<'_>, host: &Host) -> Vec<RuleName> {
    let instance = wish.instance;
    let evacuated = matches!(&scene.request.kind, RequestKind::Evacuate { hosts } if hosts.contains(&host.name));
    let version = host.hypervisor_version;
    let broken = [
        (evacuated, RuleName::Evacuated),
        (scene.options().exclude_hosts.contains(&host.name), RuleName::Excluded),
        (!host.up, RuleName::HostDown),
        (!host.enabled, RuleName::HostDisabled),
        (instance.zone.is_some() && instance.zone != host.zone, RuleName::Zone),
        (outside(host, wish.flavor), RuleName::Aggregate),
        (lacks(host, wish.flavor), RuleName::RequiredTrait),
        (has(host, wish.flavor), RuleName::ForbiddenTrait),
        (instance.storage.as_ref().is_some_and(|pool| !host.storage.contains(pool)), RuleName::Storage),
        (wish.version_min.is_some_and(|least| version.is_none_or(|it| it < least)), RuleName::HypervisorVersion),
        (odd(host, wish.resources), RuleName::Unit),
    ];
    broken.into_iter().filter(|(broken, _)| *broken).map(|(_, rule)| rule).collect()
}

/// Every rule by which an instance may not get this flavor on the host where it is.
pub(super) fn staying(host: &Host, flavor: &Flavor) -> Vec<RuleName> {
    let broken = [
        (!host.up, RuleName::HostDown),
        (outside(host, flavor), RuleName::Aggregate),
        (lacks(host, flavor), RuleName::RequiredTrait),
        (has(host, flavor), RuleName::ForbiddenTrait),
        (odd(host, &flavor.resources), RuleName::Unit),
    ];
    broken.into_iter().filter(|(broken, _)| *broken).map(|(_, rule)| rule).collect()
}

fn outside(host: &Host, flavor: &Flavor) -> bool {
    flavor.required_aggregates.iter().any(|aggregate| !host.aggregates.contains(aggregate))
}

fn lacks(host: &Host, flavor: &Flavor) -> bool {
    flavor.required_traits.iter().any(|wanted| !host.traits.contains(wanted))
}

fn has(host: &Host, flavor: &Flavor) -> bool {
    flavor.forbidden_traits.iter().any(|forbidden| host.traits.contains(forbidden))
}

/// Whether a host's inventory takes amounts of another size only.
pub(super) fn odd(host: &Host, resources: &Resources) -> bool {
    let refuses = |inventory: &Inventory, amount: u64| {
        inventory.min_unit.is_some_and(|least| amount < least)
            || inventory.max_unit.is_some_and(|most| amount > most)
            || inventory.step_size.is_some_and(|step| step > 0 && !amount.is_multiple_of(step))
    };
    resources.iter().any(|(class, amount)| {
        *amount > 0 && host.inventory.get(class).is_none_or(|inventory| refuses(inventory, *amount))
    })
}
