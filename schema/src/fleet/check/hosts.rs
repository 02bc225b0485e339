//! Hosts, their racks, and what holds for those that do not say otherwise.

use super::super::document::{Defaults, FleetDocument, Host, Inventory};
use super::names::{self, Names};
use super::numbers;
use crate::finding::{Findings, Path, path_to};
use crate::units::AMOUNT_MAX;

/// The furthest a resource may be promised: Placement's operators use 16 for processors; a million is a slip.
const RATIO_MAX: f64 = 1e6;

pub(super) fn defaults(defaults: &Defaults, errors: &mut Findings) {
    numbers::network(defaults.network_mbps, || path_to!["defaults", "network_mbps"], errors);
    let per_host = defaults.max_migrations_per_host;
    numbers::migrations(per_host, || path_to!["defaults", "max_migrations_per_host"], errors);
    if let Some(count) = defaults.max_migrations {
        numbers::migrations(count, || path_to!["defaults", "max_migrations"], errors);
    }
    numbers::seconds(defaults.boot_s, || path_to!["defaults", "boot_s"], errors);
    numbers::seconds(defaults.shutdown_s, || path_to!["defaults", "shutdown_s"], errors);
}

pub(super) fn hosts(document: &FleetDocument, names: &Names<'_>, errors: &mut Findings) {
    for (at, host) in document.hosts.iter().enumerate() {
        host_names(host, at, errors);
        for (class, inventory) in &host.inventory {
            names::name(class.as_str(), || path_to!["hosts", at, "inventory", class.as_str()], errors);
            self::inventory(inventory, || path_to!["hosts", at, "inventory", class.as_str()], errors);
        }
        numbers::resources(&host.other_usage, || path_to!["hosts", at, "other_usage"], errors);
        if let Some(rate) = host.network_mbps {
            numbers::network(rate, || path_to!["hosts", at, "network_mbps"], errors);
        }
        if let Some(count) = host.max_migrations {
            numbers::migrations(count, || path_to!["hosts", at, "max_migrations"], errors);
        }
        if let Some(version) = host.hypervisor_version {
            numbers::amount(version, || path_to!["hosts", at, "hypervisor_version"], errors);
        }
        if let Some(rack) = &host.rack {
            names.rack(rack.as_str(), || path_to!["hosts", at, "rack"], errors);
        }
    }
}

fn host_names(host: &Host, at: usize, errors: &mut Findings) {
    if let Some(zone) = &host.zone {
        names::name(zone.as_str(), || path_to!["hosts", at, "zone"], errors);
    }
    for aggregate in &host.aggregates {
        names::name(aggregate.as_str(), || path_to!["hosts", at, "aggregates"], errors);
    }
    for name in &host.traits {
        names::name(name.as_str(), || path_to!["hosts", at, "traits"], errors);
    }
    for pool in &host.storage {
        names::name(pool.as_str(), || path_to!["hosts", at, "storage"], errors);
    }
}

fn inventory(inventory: &Inventory, at: impl Fn() -> Path, errors: &mut Findings) {
    let Inventory { total, reserved, allocation_ratio: ratio, min_unit, max_unit, step_size } = inventory;
    let field = |name: &str| at().then(path_to![name]);
    numbers::amount(*total, || field("total"), errors);
    if reserved > total {
        let problem = format!("{reserved} reserved of a total of {total}");
        errors.add(field("reserved"), problem, "reserve no more than there is");
    }
    if !(*ratio > 0.0 && *ratio <= RATIO_MAX) {
        let problem = format!("an allocation ratio of {ratio}");
        errors.add(field("allocation_ratio"), problem, format!("give more than 0, at most {RATIO_MAX}; 1 is usual"));
    } else if *total <= AMOUNT_MAX && inventory.capacity() > AMOUNT_MAX {
        errors.add(field("total"), "its capacity is more than 2^53", "check the unit: no machine holds that much");
    }
    if let (Some(min), Some(max)) = (min_unit, max_unit)
        && min > max
    {
        let problem = format!("at least {min} and at most {max} leaves no amount");
        errors.add(field("min_unit"), problem, "give a min_unit no greater than max_unit");
    }
    if *step_size == Some(0) {
        errors.add(field("step_size"), "a step of 0 leaves no amount", "give 1 or more, or leave it out");
    }
}

pub(super) fn racks(document: &FleetDocument, errors: &mut Findings) {
    for (at, rack) in document.racks.iter().enumerate() {
        numbers::network(rack.uplink_mbps, || path_to!["racks", at, "uplink_mbps"], errors);
    }
}
