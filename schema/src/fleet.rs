//! The fleet: hosts, what they can hold, and what runs on them.
//!
//! [`FleetDocument`] is the text as written; [`Fleet`] is one that was checked at the door and cannot be wrong: every
//! name known and unique, every amount in range, hosts and instances in the order of their names.

mod document;

use std::collections::HashMap;

pub use document::{
    Defaults, FORMAT, Flavor, FleetDocument, GroupPolicy, Host, Instance, InstanceState, Inventory, Mobility, Rack,
    Resources, ServerGroup,
};

use crate::id::{FlavorName, HostName, InstanceId};

/// A checked fleet.
#[derive(Clone, Debug)]
pub struct Fleet {
    document: FleetDocument,
    hosts: HashMap<HostName, usize>,
    flavors: HashMap<FlavorName, usize>,
    instances: HashMap<InstanceId, usize>,
}

impl Fleet {
    /// The hosts, by name.
    pub fn hosts(&self) -> &[Host] {
        &self.document.hosts
    }

    /// The instances, by id.
    pub fn instances(&self) -> &[Instance] {
        &self.document.instances
    }

    /// The flavors, by name.
    pub fn flavors(&self) -> &[Flavor] {
        &self.document.flavors
    }

    /// The server groups, by name.
    pub fn server_groups(&self) -> &[ServerGroup] {
        &self.document.server_groups
    }

    /// The document it was made from, put in order.
    pub fn document(&self) -> &FleetDocument {
        &self.document
    }

    /// A host's position in [`Fleet::hosts`].
    pub fn host_index(&self, name: &str) -> Option<usize> {
        self.hosts.get(name).copied()
    }

    /// An instance's position in [`Fleet::instances`].
    pub fn instance_index(&self, id: &str) -> Option<usize> {
        self.instances.get(id).copied()
    }

    /// A flavor's position in [`Fleet::flavors`].
    pub fn flavor_index(&self, name: &str) -> Option<usize> {
        self.flavors.get(name).copied()
    }

    /// What an instance claims now: its own figure where it has one, else its flavor's.
    pub fn claim<'a>(&'a self, instance: &'a Instance) -> &'a Resources {
        instance.resources.as_ref().unwrap_or_else(|| &self.document.flavors[self.flavors[&instance.flavor]].resources)
    }
}

impl Fleet {
    /// Checks a document and puts it in order: the door. Returns every error, not the first.
    pub fn from_document(mut document: FleetDocument) -> Result<Self, Vec<crate::finding::Finding>> {
        document.hosts.sort_by(|a, b| a.name.cmp(&b.name));
        document.flavors.sort_by(|a, b| a.name.cmp(&b.name));
        document.instances.sort_by(|a, b| a.id.cmp(&b.id));
        document.server_groups.sort_by(|a, b| a.name.cmp(&b.name));
        document.racks.sort_by(|a, b| a.name.cmp(&b.name));
        let hosts = document.hosts.iter().enumerate().map(|(at, host)| (host.name.clone(), at)).collect();
        let flavors = document.flavors.iter().enumerate().map(|(at, flavor)| (flavor.name.clone(), at)).collect();
        let instances = document.instances.iter().enumerate().map(|(at, vm)| (vm.id.clone(), at)).collect();
        Ok(Self { document, hosts, flavors, instances })
    }
}
