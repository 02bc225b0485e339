//! A fleet and a request as the reference models read them: a third understanding of the rules, plain and slow.

use std::collections::BTreeSet;

use decant_schema::fleet::{Flavor, Fleet, GroupPolicy, Host, Instance, InstanceState, Mobility, Resources};
use decant_schema::request::{Request, RequestKind};

/// A fleet and a request.
pub(crate) struct Facts<'a> {
    pub(crate) fleet: &'a Fleet,
    pub(crate) request: &'a Request,
    /// Every class the fleet names.
    pub(crate) classes: Vec<String>,
}

/// What is asked of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Task {
    Leave,
    Resize,
    MayMove,
    Stay,
}

impl<'a> Facts<'a> {
    pub(crate) fn new(fleet: &'a Fleet, request: &'a Request) -> Self {
        let mut classes = BTreeSet::new();
        fleet.hosts().iter().for_each(|host| classes.extend(host.inventory.keys().map(ToString::to_string)));
        fleet.flavors().iter().for_each(|flavor| classes.extend(flavor.resources.keys().map(ToString::to_string)));
        Self { fleet, request, classes: classes.into_iter().collect() }
    }

    pub(crate) fn hosts(&self) -> std::ops::Range<usize> {
        0..self.fleet.hosts().len()
    }

    pub(crate) fn instances(&self) -> std::ops::Range<usize> {
        0..self.fleet.instances().len()
    }

    pub(crate) fn host(&self, at: usize) -> &'a Host {
        &self.fleet.hosts()[at]
    }

    pub(crate) fn instance(&self, at: usize) -> &'a Instance {
        &self.fleet.instances()[at]
    }

    pub(crate) fn home(&self, instance: usize) -> usize {
        self.fleet.host_index(self.instance(instance).host.as_str()).unwrap()
    }

    fn evacuated(&self, host: &Host) -> bool {
        matches!(&self.request.kind, RequestKind::Evacuate { hosts } if hosts.contains(&host.name))
    }

    fn resized_to(&self, instance: &Instance) -> Option<&'a Flavor> {
        let RequestKind::Resize { resizes } = &self.request.kind else { return None };
        let resize = resizes.iter().find(|resize| resize.instance == instance.id)?;
        Some(&self.fleet.flavors()[self.fleet.flavor_index(resize.flavor.as_str()).unwrap()])
    }

    /// Whether something about the instance alone keeps it where it is.
    pub(crate) fn fixed(&self, at: usize) -> bool {
        let instance = self.instance(at);
        instance.mobility == Mobility::None
            || instance.pinned
            || self.request.options.pins.contains(&instance.id)
            || !self.host(self.home(at)).up && instance.storage.is_none()
    }

    pub(crate) fn task(&self, at: usize) -> Task {
        let (instance, host) = (self.instance(at), self.host(self.home(at)));
        if self.evacuated(host) {
            Task::Leave
        } else if self.resized_to(instance).is_some() {
            Task::Resize
        } else if self.fixed(at) || self.request.options.no_displace || !host.up {
            Task::Stay
        } else {
            Task::MayMove
        }
    }

    /// What it claims now.
    pub(crate) fn claim(&self, at: usize) -> Vec<i64> {
        self.amounts(self.fleet.claim(self.instance(at)))
    }

    /// What it needs where it goes.
    pub(crate) fn need(&self, at: usize) -> Vec<i64> {
        self.resized_to(self.instance(at)).map_or_else(|| self.claim(at), |flavor| self.amounts(&flavor.resources))
    }

    fn amounts(&self, resources: &Resources) -> Vec<i64> {
        let amount = |class: &String| i64::try_from(resources.get(class.as_str()).copied().unwrap_or(0)).unwrap();
        self.classes.iter().map(amount).collect()
    }

    pub(crate) fn memory(&self, at: usize) -> i64 {
        let class = self.classes.iter().position(|class| class == "MEMORY_MB").unwrap();
        self.claim(at)[class]
    }

    pub(crate) fn capacity(&self, host: usize) -> Vec<i64> {
        let inventory = &self.host(host).inventory;
        let capacity = |class: &String| inventory.get(class.as_str()).map_or(0, |inventory| inventory.capacity());
        self.classes.iter().map(|class| i64::try_from(capacity(class)).unwrap()).collect()
    }

    /// What is used before the first move.
    pub(crate) fn used(&self, host: usize) -> Vec<i64> {
        let mut used = self.amounts(&self.host(host).other_usage);
        for at in self.instances().filter(|at| self.home(*at) == host) {
            used.iter_mut().zip(self.claim(at)).for_each(|(used, claim)| *used += claim);
        }
        used
    }

    /// What may be used in the end by a host that receives.
    #[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "amounts of a test are small")]
    pub(crate) fn allowed(&self, host: usize) -> Vec<i64> {
        let kept = |capacity: i64| (capacity as f64 * self.request.options.headroom_percent / 100.0).ceil() as i64;
        self.capacity(host).into_iter().map(|capacity| capacity - kept(capacity)).collect()
    }

    /// Whether the rules let an instance that is now on `from` arrive on another host.
    pub(crate) fn admits(&self, at: usize, from: usize, to: usize) -> bool {
        let (instance, host) = (self.instance(at), self.host(to));
        let receives = host.up
            && host.enabled
            && !self.evacuated(host)
            && !self.request.options.exclude_hosts.contains(&host.name);
        let resized = self.resized_to(instance).is_some();
        let runs = matches!(instance.state, InstanceState::Active | InstanceState::Paused);
        let live = runs && instance.mobility == Mobility::Live && self.host(from).up && !resized;
        receives
            && from != to
            && instance.zone.as_ref().is_none_or(|zone| host.zone.as_ref() == Some(zone))
            && instance.storage.as_ref().is_none_or(|pool| host.storage.contains(pool))
            && (!live || self.host(from).hypervisor_version <= host.hypervisor_version)
            && self.suits(at, to)
    }

    /// Whether a host is of the kind that the flavor asks for, and takes such amounts.
    pub(crate) fn suits(&self, at: usize, host: usize) -> bool {
        let (instance, host) = (self.instance(at), self.host(host));
        let resized = self.resized_to(instance);
        let own = &self.fleet.flavors()[self.fleet.flavor_index(instance.flavor.as_str()).unwrap()];
        let flavor = resized.unwrap_or(own);
        let resources = resized.map_or_else(|| self.fleet.claim(instance), |flavor| &flavor.resources);
        let takes = resources.iter().filter(|(_, amount)| **amount > 0).all(|(class, amount)| {
            host.inventory.get(class).is_some_and(|inventory| {
                inventory.min_unit.unwrap_or(0) <= *amount
                    && *amount <= inventory.max_unit.unwrap_or(u64::MAX)
                    && amount.is_multiple_of(inventory.step_size.unwrap_or(1))
            })
        });
        takes
            && flavor.required_aggregates.is_subset(&host.aggregates)
            && flavor.required_traits.is_subset(&host.traits)
            && flavor.forbidden_traits.is_disjoint(&host.traits)
    }

    /// Whether an instance resized where it is may be there with what it wants.
    pub(crate) fn may_stay(&self, at: usize) -> bool {
        let (instance, home) = (self.instance(at), self.home(at));
        let host = self.host(home);
        host.up
            && self.suits(at, home)
            && instance.zone.as_ref().is_none_or(|zone| host.zone.as_ref() == Some(zone))
            && instance.storage.as_ref().is_none_or(|pool| host.storage.contains(pool))
    }

    /// The members of every group of a policy, with what one host may hold.
    pub(crate) fn groups(&self, policy: GroupPolicy) -> Vec<(Vec<usize>, usize)> {
        let groups = self.fleet.server_groups().iter().filter(|group| group.policy == policy);
        groups
            .map(|group| {
                let members = group.members.iter().map(|id| self.fleet.instance_index(id.as_str()).unwrap()).collect();
                (members, group.max_per_host as usize)
            })
            .collect()
    }
}
