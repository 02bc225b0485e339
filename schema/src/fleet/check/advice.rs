//! Warnings: what can be planned with, but is probably not what was meant.

use std::collections::{BTreeMap, BTreeSet};

use super::super::document::{Flavor, FleetDocument, GroupPolicy, Host, Instance, Mobility, ServerGroup};
use super::names::Names;
use crate::finding::{Findings, path_to, shown};
use crate::id::ResourceClass;

pub(super) fn hosts(document: &FleetDocument, warnings: &mut Findings) {
    if document.hosts.is_empty() {
        warnings.add(path_to!["hosts"], "the fleet has no host", "there is nothing to plan");
    }
    for (at, host) in document.hosts.iter().enumerate() {
        if host.inventory.is_empty() {
            let problem = format!("{} has an empty inventory", shown(host.name.as_str()));
            warnings.add(path_to!["hosts", at, "inventory"], problem, "it can hold nothing: give what it has");
        }
    }
}

/// What no host says of itself, though the instances need it said: how many processors one guest may have, and how much
/// disk there is.
pub(super) fn limits(document: &FleetDocument, names: &Names<'_>, warnings: &mut Findings) {
    let vcpus = |instance: &Instance| {
        let flavor = &document.flavors[names.flavor_at(instance.flavor.as_str())];
        let amounts = instance.resources.as_ref().unwrap_or(&flavor.resources);
        amounts.get::<str>(ResourceClass::VCPU).copied().unwrap_or(0)
    };
    let cores = |host: &Host| {
        let inventory = host.inventory.get::<str>(ResourceClass::VCPU)?;
        inventory.max_unit.is_none().then_some(inventory.total)
    };
    if let Some(largest) = document.instances.iter().max_by_key(|instance| vcpus(instance)) {
        let small = |host: &&Host| cores(host).is_some_and(|cores| cores < vcpus(largest));
        let smaller: Vec<&Host> = document.hosts.iter().filter(small).collect();
        if let Some(first) = smaller.first() {
            let (host, id) = (shown(first.name.as_str()), shown(largest.id.as_str()));
            let others = if smaller.len() > 1 { format!(" and {} more", smaller.len() - 1) } else { String::new() };
            let problem =
                format!("{host}{others} may be given {id} with more vCPU ({}) than it has cores", vcpus(largest));
            let at = document.hosts.iter().position(|host| host.name == first.name).unwrap_or_default();
            let remedy =
                "give max_unit, as a rule total: a hypervisor starts no guest with more vCPU than it has cores";
            warnings.add(path_to!["hosts", at, "inventory", ResourceClass::VCPU], problem, remedy);
        }
    }
    let with_disks = document.instances.iter().filter(|instance| instance.local_disk_mb.count() > 0).count();
    let says_disk = |host: &Host| host.inventory.keys().any(|class| class.as_str().contains("DISK"));
    if with_disks > 0 && !document.hosts.is_empty() && !document.hosts.iter().any(says_disk) {
        let have = if with_disks == 1 { "has a disk of its own" } else { "have disks of their own" };
        let problem = format!("no host says how much disk it has, and {with_disks} of the instances {have}");
        let remedy = "give DISK_GB in inventories and flavors, else more may be sent to a host than its disk holds";
        warnings.add(path_to!["hosts"], problem, remedy);
    }
}

/// Instances that stand where their own rules would not let them go, and those that stay for no given reason.
pub(super) fn instances(document: &FleetDocument, names: &Names<'_>, warnings: &mut Findings) {
    for (at, instance) in document.instances.iter().enumerate() {
        let host = &document.hosts[names.host_at(instance.host.as_str())];
        let flavor = &document.flavors[names.flavor_at(instance.flavor.as_str())];
        for (field, lack) in lacks(instance, flavor, host) {
            let problem = format!("its host {} {lack}", shown(host.name.as_str()));
            warnings.add(path_to!["instances", at, field], problem, "it may leave that host but not come back");
        }
        let fixed = instance.mobility == Mobility::None || instance.pinned;
        if fixed && instance.pinned_reason.is_none() {
            let field = if instance.pinned { "pinned" } else { "mobility" };
            warnings.add(path_to!["instances", at, field], "it cannot move, without a reason", "give a pinned_reason");
        }
    }
}

/// Which of its rules an instance's own host breaks, by the instance's field.
fn lacks(instance: &Instance, flavor: &Flavor, host: &Host) -> Vec<(&'static str, String)> {
    let mut lacks = Vec::new();
    if let Some(pool) = instance.storage.as_ref().filter(|pool| !host.storage.contains(*pool)) {
        lacks.push(("storage", format!("does not mount the pool {}", shown(pool.as_str()))));
    }
    if let Some(zone) = instance.zone.as_ref().filter(|zone| host.zone.as_ref() != Some(*zone)) {
        lacks.push(("zone", format!("is not in the zone {}", shown(zone.as_str()))));
    }
    for name in flavor.required_traits.difference(&host.traits) {
        lacks.push(("flavor", format!("lacks the trait {}", shown(name.as_str()))));
    }
    for name in flavor.forbidden_traits.intersection(&host.traits) {
        lacks.push(("flavor", format!("has the forbidden trait {}", shown(name.as_str()))));
    }
    for name in flavor.required_aggregates.difference(&host.aggregates) {
        lacks.push(("flavor", format!("is not in the aggregate {}", shown(name.as_str()))));
    }
    lacks
}

/// Groups whose policy does not hold as things stand.
pub(super) fn groups(document: &FleetDocument, names: &Names<'_>, warnings: &mut Findings) {
    for (at, group) in document.server_groups.iter().enumerate() {
        if let Some(problem) = violation(document, names, group) {
            let remedy = "no move will make it worse, none is planned to mend it";
            warnings.add(path_to!["server_groups", at], problem, remedy);
        }
    }
}

fn violation(document: &FleetDocument, names: &Names<'_>, group: &ServerGroup) -> Option<String> {
    let hosts = group.members.iter().map(|member| &document.instances[names.instance_at(member.as_str())].host);
    let name = shown(group.name.as_str());
    match group.policy {
        GroupPolicy::Affinity => {
            let hosts: BTreeSet<_> = hosts.collect();
            (hosts.len() > 1).then(|| format!("the members of {name} are on {} hosts, not on one", hosts.len()))
        }
        GroupPolicy::AntiAffinity => {
            let mut members = BTreeMap::new();
            hosts.for_each(|host| *members.entry(host).or_insert(0) += 1);
            let (host, most) = members.into_iter().max_by_key(|(_, count)| *count)?;
            (most > group.max_per_host).then(|| {
                let host = shown(host.as_str());
                format!("{most} members of {name} are on {host}, more than {}", group.max_per_host)
            })
        }
        GroupPolicy::SoftAffinity | GroupPolicy::SoftAntiAffinity => None,
    }
}
