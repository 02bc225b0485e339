//! The capacity report: what the fleet can still take, and what of it can be emptied or lost.
//!
//! A dry run: nothing in it is a plan. Amounts are in each class's own unit; a headroom below zero is an
//! oversubscribed host's.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fleet::Resources;
use crate::id::{FlavorName, HostName, ResourceClass, ZoneName};
use crate::plan::Reason;
use crate::request::Options;
use crate::units::Mib;

/// The format this version writes.
pub const FORMAT: &str = "decant.report/1";

/// What the fleet can still take, and what of it can be emptied or lost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CapacityReport {
    /// Always `decant.report/1`.
    pub format: String,
    /// Digest of the fleet it is about.
    pub fleet_digest: String,
    /// When the fleet was read.
    #[schemars(with = "String")]
    pub captured_at: Timestamp,
    /// The conditions under which it holds.
    pub options: Options,
    /// Every class over all hosts that are up.
    pub classes: Vec<ClassTotal>,
    /// Every host, by name.
    pub hosts: Vec<HostCapacity>,
    /// Which hosts may fail.
    pub failures: Failures,
    /// Headroom nothing can use, by the class that is full.
    pub stranded: Vec<Stranded>,
    /// How many more of each flavor fit.
    pub flavors: Vec<FlavorRoom>,
    /// What a change of the fleet would change.
    pub what_if: Vec<WhatIf>,
}

/// A resource class over all hosts that are up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClassTotal {
    /// The class.
    pub class: ResourceClass,
    /// (total − reserved) × allocation ratio.
    pub capacity: u64,
    /// Taken by instances and by what the fleet does not list.
    pub usage: u64,
    /// Capacity − usage of the hosts that take new instances and have any left.
    pub headroom: u64,
}

/// One host: what it holds, and whether it can be emptied.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HostCapacity {
    /// The host.
    pub name: HostName,
    /// Its zone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<ZoneName>,
    /// Whether it runs.
    pub up: bool,
    /// Whether it takes new instances.
    pub enabled: bool,
    /// How many instances are on it.
    pub instances: u64,
    /// (total − reserved) × allocation ratio.
    pub capacity: Resources,
    /// Taken by instances and by what the fleet does not list.
    pub usage: Resources,
    /// Capacity − usage; negative where oversubscribed.
    pub headroom: BTreeMap<ResourceClass, i64>,
    /// Whether it can be emptied now.
    pub emptying: Emptying,
}

/// Whether a host can be emptied now, everything else being as it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
pub enum Emptying {
    /// Nothing is on it.
    Empty,
    /// Without displacing anyone.
    WithoutDisplacing,
    /// Only if third parties make room.
    WithDisplacement {
        /// Memory of the third parties that would move.
        displaced_mb: Mib,
        /// Proven: less would not do. Zero where only that much is known.
        displaced_mb_bound: Mib,
    },
    /// Not at all.
    Not {
        /// How many of its instances would stay.
        refused: u64,
        /// How many must stay, proven; zero where the search found no way but did not exclude one.
        refused_bound: u64,
        /// The rule that stops the hosts that come nearest, for the largest of those that stay.
        binding: Box<Reason>,
        /// How much of the rule's class is missing on the nearest host, where the rule is about one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        shortfall: Option<u64>,
    },
    /// Not known.
    Unknown {
        /// Why.
        why: Unknown,
    },
}

/// Why something of a report is not known, though all else is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Unknown {
    /// The time limit came first.
    Time,
    /// The planner failed on it, which is a fault of its own.
    Failed,
}

/// Which hosts may fail. An instance of a failed host is started elsewhere under every rule about where it may be; what
/// keeps a running instance from moving (a pin, its mobility, the hypervisor's version) does not count, and a local
/// disk is taken to be restored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Failures {
    /// Hosts with instances on them.
    pub hosts: u64,
    /// Of these, how many can fail one at a time and all be re-placed with nobody else disturbed.
    pub survivable: u64,
    /// How many more if third parties make room.
    pub survivable_by_displacing: u64,
    /// The hosts whose failure leaves instances without a place, by name.
    pub blocking: Vec<HostName>,
    /// Instances whose disk is lost with their host, over the whole fleet.
    pub instances_on_local_disk: u64,
    /// The greatest k tried such that every k-host failure tried, and every lesser one, leaves nobody without a place.
    /// Tried: for each k the hosts with the most memory claimed, over all and in each zone.
    pub spare_hosts: u64,
    /// The greatest k tried.
    pub spare_hosts_tried: u64,
    /// The failure of one more than `spare_hosts` that cannot be survived, if one was found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fatal: Vec<HostName>,
    /// Hosts of whose failure it is not known whether it leaves instances without a place, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<HostName>,
}

/// Headroom on hosts that can take no instance of any flavor, because one class is full.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Stranded {
    /// The class that is full.
    pub full: ResourceClass,
    /// The hosts, by name.
    pub hosts: Vec<HostName>,
    /// What is free on them of the other classes.
    pub headroom: Resources,
}

/// How many more of a flavor fit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FlavorRoom {
    /// The flavor.
    pub flavor: FlavorName,
    /// Instances of it now.
    pub present: u64,
    /// How many more fit beside what is there, if nothing else is added.
    pub more: u64,
    /// On how many hosts at least one fits.
    pub hosts: u64,
}

/// A change of the fleet and what it would change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WhatIf {
    /// The change.
    pub change: Change,
    /// Whether everything finds a place after it without displacing anyone; a host more always fits.
    pub fits: bool,
    /// Hosts that could be emptied without displacing anyone, after the change; null where it does not fit.
    pub emptied_directly: Option<u64>,
    /// The same as the fleet is.
    pub emptied_directly_now: u64,
    /// How many more of each flavor fit after the change; empty where it does not fit.
    pub more: BTreeMap<FlavorName, u64>,
    /// Why nothing is known of the change, if that is so; whether it fits is open then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unknown: Option<Unknown>,
}

/// A change of the fleet.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Change {
    /// One more host like this one, empty. Hosts alike in everything but name and load are one shape.
    OneMore {
        /// The first host of the shape.
        like: HostName,
        /// How many of the shape there are.
        present: u64,
    },
    /// One host of the shape less: this one, the least used, its instances re-placed.
    OneLess {
        /// The host.
        host: HostName,
    },
    /// More instances of a flavor: a tenth of those present, at least one.
    Growth {
        /// The flavor.
        flavor: FlavorName,
        /// How many are added.
        added: u64,
        /// How many of them find a place.
        placed: u64,
    },
}
