//! The placement rules, one file each.
//!
//! A rule about one instance and one host is a [`HostRule`]: it holds throughout a migration, because it is true of
//! the target at every moment or never. Rules about room ([`capacity`]) and groups ([`groups`]) depend on who else is
//! there; they are encoded in placement and ordering, and their files say when they must hold. A rule about the
//! instance alone is in [`mobility`].
//!
//! Adding a rule: one file, one line in [`HOST_RULES`], one fixture.

mod aggregate;
mod evacuated;
mod excluded;
mod host_disabled;
mod host_down;
mod hypervisor_version;
mod mobility;
mod storage;
mod r#trait;
mod unit;
mod zone;

use decant_schema::fleet::{Flavor, Fleet, Host, Instance, InstanceState, Mobility, Resources};
use decant_schema::id::{PoolName, ZoneName};
use decant_schema::plan::RuleName;
use decant_schema::request::Request;

use crate::problem::{HostFacts, HostIdx, HostSet};

pub(crate) use mobility::forbids;

/// All that the rules about one instance and one host ask of the instance; instances with equal wants are alike.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Want<'a> {
    /// What it needs on its target.
    pub(crate) resources: &'a Resources,
    /// The flavor whose requirements hold on the target.
    pub(crate) flavor: &'a Flavor,
    /// The zone it must be in.
    pub(crate) zone: Option<&'a ZoneName>,
    /// The pool its disk is on.
    pub(crate) storage: Option<&'a PoolName>,
    /// The hypervisor version a live move must not go below.
    pub(crate) version_min: Option<u64>,
}

impl<'a> Want<'a> {
    /// What an instance asks of its next host, with the flavor it is to have there.
    pub(crate) fn new(fleet: &'a Fleet, instance: &'a Instance, resize_to: Option<&str>) -> Self {
        let flavor = |name: &str| &fleet.flavors()[fleet.flavor_index(name).expect("the door knows every flavor")];
        let source = &fleet.hosts()[fleet.host_index(instance.host.as_str()).expect("the door knows every host")];
        let running = matches!(instance.state, InstanceState::Active | InstanceState::Paused);
        let live = source.up && running && instance.mobility == Mobility::Live && resize_to.is_none();
        Self {
            resources: resize_to.map_or_else(|| fleet.claim(instance), |name| &flavor(name).resources),
            flavor: flavor(resize_to.unwrap_or(instance.flavor.as_str())),
            zone: instance.zone.as_ref(),
            storage: instance.storage.as_ref(),
            version_min: if live { source.hypervisor_version } else { None },
        }
    }

    /// What makes two wants alike. Within a fleet a flavor's name stands for its requirements.
    fn key(&self) -> (&'a Resources, &'a str, Option<&'a ZoneName>, Option<&'a PoolName>, Option<u64>) {
        (self.resources, self.flavor.name.as_str(), self.zone, self.storage, self.version_min)
    }
}

impl PartialEq for Want<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Want<'_> {}

impl std::hash::Hash for Want<'_> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

/// A rule about one instance and one host.
pub(crate) trait HostRule: Sync {
    /// Its name in a refusal.
    fn name(&self) -> RuleName;

    /// Whether it lets the instance be on the host.
    fn admits(&self, request: &Request, host: &Host, want: &Want<'_>) -> bool;

    /// What the rule names for this instance, as the trait or the zone.
    fn subject(&self, _want: &Want<'_>) -> Option<String> {
        None
    }
}

/// Every rule about one instance and one host, in the order in which a refusal counts them.
pub(crate) const HOST_RULES: [&dyn HostRule; 11] = [
    &evacuated::Evacuated,
    &excluded::Excluded,
    &host_down::HostDown,
    &host_disabled::HostDisabled,
    &zone::Zone,
    &aggregate::Aggregate,
    &r#trait::Required,
    &r#trait::Forbidden,
    &storage::Storage,
    &hypervisor_version::HypervisorVersion,
    &unit::Unit,
];

/// The hosts every rule admits for a want.
pub(crate) fn eligible(fleet: &Fleet, request: &Request, facts: &[HostFacts], want: &Want<'_>) -> HostSet {
    let mut eligible = HostSet::empty(fleet.hosts().len());
    let of_want: Vec<_> = HOST_RULES.into_iter().filter(|rule| !is_about_host_alone(rule.name())).collect();
    for (at, host) in fleet.hosts().iter().enumerate() {
        if facts[at].receives && of_want.iter().all(|rule| rule.admits(request, host, want)) {
            eligible.insert(HostIdx::new(at));
        }
    }
    eligible
}

/// Whether a rule asks only whether a host receives at all, as [`HostFacts::receives`] says.
fn is_about_host_alone(rule: RuleName) -> bool {
    matches!(rule, RuleName::Evacuated | RuleName::Excluded | RuleName::HostDown | RuleName::HostDisabled)
}

/// Whether a rule is about coming to a host. One that stays where it is with another flavor asks only that the host
/// runs and is what the new flavor wants; its zone and its disk stay what they are.
pub(crate) fn about_arrivals(rule: RuleName) -> bool {
    !matches!(
        rule,
        RuleName::HostDown | RuleName::Aggregate | RuleName::RequiredTrait | RuleName::ForbiddenTrait | RuleName::Unit
    )
}

/// Whether an instance may go on where it is with what it wants now.
pub(crate) fn may_stay(request: &Request, host: &Host, want: &Want<'_>) -> bool {
    HOST_RULES.iter().all(|rule| about_arrivals(rule.name()) || rule.admits(request, host, want))
}
