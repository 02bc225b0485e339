//! Flavors and the instances that have them.

use super::super::document::{FleetDocument, Instance};
use super::names::{self, Names};
use super::numbers;
use crate::finding::{Findings, path_to, shown};

pub(super) fn flavors(document: &FleetDocument, errors: &mut Findings) {
    for (at, flavor) in document.flavors.iter().enumerate() {
        numbers::resources(&flavor.resources, || path_to!["flavors", at, "resources"], errors);
        for name in &flavor.required_traits {
            names::name(name.as_str(), || path_to!["flavors", at, "required_traits"], errors);
            if flavor.forbidden_traits.contains(name) {
                let problem = format!("the trait {} is required and forbidden", shown(name.as_str()));
                errors.add(path_to!["flavors", at, "forbidden_traits"], problem, "no host can have both: name it once");
            }
        }
        for name in &flavor.forbidden_traits {
            names::name(name.as_str(), || path_to!["flavors", at, "forbidden_traits"], errors);
        }
        for name in &flavor.required_aggregates {
            names::name(name.as_str(), || path_to!["flavors", at, "required_aggregates"], errors);
        }
    }
}

pub(super) fn instances(document: &FleetDocument, names: &Names<'_>, errors: &mut Findings) {
    for (at, instance) in document.instances.iter().enumerate() {
        names.host(instance.host.as_str(), || path_to!["instances", at, "host"], errors);
        names.flavor(instance.flavor.as_str(), || path_to!["instances", at, "flavor"], errors);
        texts(instance, at, errors);
        if let Some(resources) = &instance.resources {
            numbers::resources(resources, || path_to!["instances", at, "resources"], errors);
        }
        numbers::amount(instance.local_disk_mb.count(), || path_to!["instances", at, "local_disk_mb"], errors);
        numbers::amount(instance.overlay_mb.count(), || path_to!["instances", at, "overlay_mb"], errors);
        numbers::rate(instance.dirty_mbps, || path_to!["instances", at, "dirty_mbps"], errors);
        if let Some(seconds) = instance.boot_s {
            numbers::seconds(seconds, || path_to!["instances", at, "boot_s"], errors);
        }
        if let Some(seconds) = instance.shutdown_s {
            numbers::seconds(seconds, || path_to!["instances", at, "shutdown_s"], errors);
        }
    }
}

fn texts(instance: &Instance, at: usize, errors: &mut Findings) {
    names::text(&instance.name, || path_to!["instances", at, "name"], errors);
    if let Some(reason) = &instance.pinned_reason {
        names::text(reason, || path_to!["instances", at, "pinned_reason"], errors);
    }
    if let Some(zone) = &instance.zone {
        names::name(zone.as_str(), || path_to!["instances", at, "zone"], errors);
    }
    if let Some(pool) = &instance.storage {
        names::name(pool.as_str(), || path_to!["instances", at, "storage"], errors);
    }
}
