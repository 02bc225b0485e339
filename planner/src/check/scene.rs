//! The start: the fleet and the request as the checker reads them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use decant_schema::fleet::{Flavor, Fleet, Host, Instance, Resources};
use decant_schema::id::{FlavorName, HostName, ResourceClass};
use decant_schema::plan::TierName;
use decant_schema::request::{Options, Request, RequestKind};

/// Amounts by class, in the order of [`Scene::classes`]. Wide enough that no sum of a document's amounts overflows.
pub(super) type Amounts = Vec<i128>;

/// The fleet and the request at the start. Hosts and instances are named by their positions in the fleet.
pub(super) struct Scene<'a> {
    pub(super) fleet: &'a Fleet,
    pub(super) request: &'a Request,
    /// Every class the fleet names.
    pub(super) classes: Vec<&'a ResourceClass>,
    /// By host: what it can hold.
    pub(super) capacity: Vec<Amounts>,
    /// By host: what is taken before the first move, by its instances and by what the fleet does not list.
    pub(super) usage: Vec<Amounts>,
    /// By instance: the host it is on.
    pub(super) home: Vec<usize>,
    resizes: HashMap<&'a str, &'a FlavorName>,
}

/// What the request asks of an instance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Asked<'a> {
    /// To leave its host.
    Leave,
    /// To have this flavor.
    Resize(&'a FlavorName),
}

impl<'a> Scene<'a> {
    pub(super) fn new(fleet: &'a Fleet, request: &'a Request) -> Self {
        let classes = classes(fleet);
        let home: Vec<usize> = fleet.instances().iter().map(|instance| home(fleet, instance)).collect();
        let resizes = match &request.kind {
            RequestKind::Resize { resizes } => {
                resizes.iter().map(|resize| (resize.instance.as_str(), &resize.flavor)).collect()
            }
            RequestKind::Evacuate { .. } | RequestKind::Rolling { .. } => HashMap::new(),
        };
        let capacity = fleet
            .hosts()
            .iter()
            .map(|host| {
                classes.iter().map(|class| host.inventory.get(*class).map_or(0, |i| i.capacity().into())).collect()
            })
            .collect();
        let usage = fleet.hosts().iter().map(|host| dense(&classes, &host.other_usage)).collect();
        let mut scene = Self { fleet, request, classes, capacity, usage, home, resizes };
        for instance in 0..fleet.instances().len() {
            let claim = scene.claim(instance);
            add(&mut scene.usage[scene.home[instance]], &claim);
        }
        scene
    }

    pub(super) fn options(&self) -> &'a Options {
        &self.request.options
    }

    pub(super) fn host(&self, at: usize) -> &'a Host {
        &self.fleet.hosts()[at]
    }

    pub(super) fn instance(&self, at: usize) -> &'a Instance {
        &self.fleet.instances()[at]
    }

    /// What an instance claims at the start.
    pub(super) fn claim(&self, instance: usize) -> Amounts {
        self.dense(self.fleet.claim(self.instance(instance)))
    }

    pub(super) fn dense(&self, resources: &Resources) -> Amounts {
        dense(&self.classes, resources)
    }

    /// A flavor by its name, where the fleet has it.
    pub(super) fn flavor(&self, name: &FlavorName) -> Option<&'a Flavor> {
        self.fleet.flavor_index(name.as_str()).map(|at| &self.fleet.flavors()[at])
    }

    /// The memory an instance claims at the start, MiB.
    pub(super) fn memory(&self, instance: usize) -> u64 {
        self.fleet.claim(self.instance(instance)).get(ResourceClass::MEMORY_MB).copied().unwrap_or(0)
    }

    /// The hosts the request empties.
    pub(super) fn emptied(&self) -> Option<&'a BTreeSet<HostName>> {
        match &self.request.kind {
            RequestKind::Evacuate { hosts } | RequestKind::Rolling { hosts, .. } => Some(hosts),
            RequestKind::Resize { .. } => None,
        }
    }

    /// Whether third parties stay: the request says so, or would rather refuse than displace.
    pub(super) fn displaces_nobody(&self) -> bool {
        let order = &self.options().tier_order;
        let rank = |goal| order.iter().position(|named| *named == goal).unwrap_or(order.len());
        self.options().no_displace || rank(TierName::DisplacedMemoryMb) < rank(TierName::Refused)
    }

    /// What the request asks of an instance; `None`: it is a third party.
    pub(super) fn asked(&self, instance: usize) -> Option<Asked<'a>> {
        if let Some(flavor) = self.resizes.get(self.instance(instance).id.as_str()) {
            return Some(Asked::Resize(flavor));
        }
        self.emptied()?.contains(&self.instance(instance).host).then_some(Asked::Leave)
    }
}

pub(super) fn add(sum: &mut Amounts, amounts: &[i128]) {
    for (sum, amount) in sum.iter_mut().zip(amounts) {
        *sum += amount;
    }
}

pub(super) fn subtract(sum: &mut Amounts, amounts: &[i128]) {
    for (sum, amount) in sum.iter_mut().zip(amounts) {
        *sum -= amount;
    }
}

fn classes(fleet: &Fleet) -> Vec<&ResourceClass> {
    let mut classes = BTreeSet::new();
    for host in fleet.hosts() {
        classes.extend(host.inventory.keys().chain(host.other_usage.keys()));
    }
    classes.extend(fleet.flavors().iter().flat_map(|flavor| flavor.resources.keys()));
    classes.extend(fleet.instances().iter().flat_map(|instance| instance.resources.iter().flat_map(BTreeMap::keys)));
    classes.into_iter().collect()
}

fn dense(classes: &[&ResourceClass], resources: &Resources) -> Amounts {
    classes.iter().map(|class| resources.get(*class).copied().unwrap_or(0).into()).collect()
}

fn home(fleet: &Fleet, instance: &Instance) -> usize {
    fleet.host_index(instance.host.as_str()).expect("the door knows every instance's host")
}
