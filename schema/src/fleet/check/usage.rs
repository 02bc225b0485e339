//! What the hosts hold together: sums that must stay in range, and hosts that hold more than they can.

use std::collections::BTreeMap;

use super::super::document::FleetDocument;
use super::names::Names;
use crate::finding::{Findings, path_to, shown};
use crate::id::ResourceClass;
use crate::units::{AMOUNT_MAX, Mib};

type Sums<'a> = BTreeMap<&'a ResourceClass, u64>;

/// Sums of the whole fleet within 2^53 are an error otherwise; an oversubscribed host is a warning.
pub(super) fn usage(document: &FleetDocument, names: &Names<'_>, errors: &mut Findings, warnings: &mut Findings) {
    let used = used_by_host(document, names);
    let mut whole_used = Sums::new();
    let mut whole_capacity = Sums::new();
    for (at, (host, used)) in document.hosts.iter().zip(&used).enumerate() {
        for (class, inventory) in &host.inventory {
            add(&mut whole_capacity, class, inventory.capacity());
        }
        for (class, used) in used {
            add(&mut whole_used, class, *used);
            let capacity = host.inventory.get(*class).map_or(0, super::super::document::Inventory::capacity);
            if *used > capacity {
                let name = shown(host.name.as_str());
                let problem = format!("{name} is oversubscribed: {used} {class} used of a capacity of {capacity}");
                warnings.add(path_to!["hosts", at], problem, "it receives nothing until enough has left");
            }
        }
    }
    sums_in_range("hosts", "capacity", &whole_capacity, errors);
    sums_in_range("instances", "use", &whole_used, errors);
    let disks: Mib = document.instances.iter().map(|instance| instance.local_disk_mb + instance.overlay_mb).sum();
    if disks.count() > AMOUNT_MAX {
        let problem = format!("their disks together are {disks}, more than 2^53");
        errors.add(path_to!["instances"], problem, "check the unit of local_disk_mb and overlay_mb");
    }
}

fn used_by_host<'a>(document: &'a FleetDocument, names: &Names<'_>) -> Vec<Sums<'a>> {
    let mut used: Vec<Sums<'a>> = document
        .hosts
        .iter()
        .map(|host| host.other_usage.iter().map(|(class, amount)| (class, *amount)).collect())
        .collect();
    for instance in &document.instances {
        let flavor = &document.flavors[names.flavor_at(instance.flavor.as_str())];
        let host = &mut used[names.host_at(instance.host.as_str())];
        for (class, amount) in instance.resources.as_ref().unwrap_or(&flavor.resources) {
            add(host, class, *amount);
        }
    }
    used
}

fn add<'a>(sums: &mut Sums<'a>, class: &'a ResourceClass, amount: u64) {
    let sum = sums.entry(class).or_insert(0);
    *sum = sum.saturating_add(amount);
}

fn sums_in_range(field: &str, what: &str, sums: &Sums<'_>, errors: &mut Findings) {
    for (class, sum) in sums {
        if *sum > AMOUNT_MAX {
            let problem = format!("their {what} of {class} together is {sum}, more than 2^53");
            errors.add(path_to![field], problem, format!("check the unit of {class}"));
        }
    }
}
