//! The fleet document, field by field as it is written. Its meaning is in [`super::Fleet`].

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::unique::{by_class, by_class_or_null};
use crate::document::{Document, List};
use crate::id::{
    AggregateName, FlavorName, GroupName, HostName, InstanceId, PoolName, RackName, ResourceClass, TraitName, ZoneName,
};
use crate::units::{Mbps, Mib, mbps};

/// The format this version reads and writes.
pub const FORMAT: &str = "decant.fleet/1";

impl Document for FleetDocument {
    const FORMAT: &'static str = FORMAT;
    const NAME: &'static str = "a fleet";
    const LISTS: &'static [List] = &[
        List::of::<Host>("hosts"),
        List::of::<Flavor>("flavors"),
        List::of::<Instance>("instances"),
        List::of::<ServerGroup>("server_groups"),
        List::of::<Rack>("racks"),
    ];

    fn format(&self) -> &str {
        &self.format
    }
}

/// Amounts of resources by class, in the class's own unit.
pub type Resources = BTreeMap<ResourceClass, u64>;

/// What is, at one moment: hosts, what they can hold, and what runs on them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FleetDocument {
    /// Always `decant.fleet/1`.
    #[schemars(extend("const" = FORMAT))]
    pub format: String,
    /// When the fleet was read.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub captured_at: Timestamp,
    /// Where it was read from.
    #[serde(default)]
    pub source: String,
    /// What holds for a host that does not say otherwise.
    #[serde(default)]
    pub defaults: Defaults,
    /// The machines.
    pub hosts: Vec<Host>,
    /// The sizes instances have.
    #[serde(default)]
    pub flavors: Vec<Flavor>,
    /// The virtual machines.
    #[serde(default)]
    pub instances: Vec<Instance>,
    /// Instances with an affinity or anti-affinity policy.
    #[serde(default)]
    pub server_groups: Vec<ServerGroup>,
    /// Racks whose uplinks limit moves between them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub racks: Vec<Rack>,
}

/// What holds for a host or an instance that does not say otherwise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Defaults {
    /// Migration network of a host, megabit/s, each way.
    pub network_mbps: Mbps,
    /// How many migrations a host takes part in at once, as source or target.
    pub max_migrations_per_host: u32,
    /// How many migrations run at once in the whole fleet; null: no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_migrations: Option<u32>,
    /// Assumed seconds from starting an instance to its being in service.
    pub boot_s: f64,
    /// Assumed seconds to shut an instance down.
    pub shutdown_s: f64,
}

impl Default for Defaults {
    /// 10 Gbit/s and two at a time: what a plain compute host has and what Nova's operators commonly set.
    fn default() -> Self {
        Self {
            network_mbps: mbps(10_000),
            max_migrations_per_host: 2,
            max_migrations: None,
            boot_s: 10.0,
            shutdown_s: 5.0,
        }
    }
}

fn yes() -> bool {
    true
}

/// A machine that runs instances.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Host {
    /// Unique in the fleet.
    pub name: HostName,
    /// Availability zone.
    #[serde(default)]
    pub zone: Option<ZoneName>,
    /// Aggregates it belongs to.
    #[serde(default)]
    pub aggregates: BTreeSet<AggregateName>,
    /// Traits it has.
    #[serde(default)]
    pub traits: BTreeSet<TraitName>,
    /// Whether it takes new instances.
    #[serde(default = "yes")]
    pub enabled: bool,
    /// Whether it runs at all; a host that is down can give only what shared storage holds.
    #[serde(default = "yes")]
    pub up: bool,
    /// A number that grows with the hypervisor's version; live moves never go to a smaller one.
    #[serde(default)]
    pub hypervisor_version: Option<u64>,
    /// Shared storage pools it mounts.
    #[serde(default)]
    pub storage: BTreeSet<PoolName>,
    /// What it can hold, by class.
    #[serde(deserialize_with = "by_class")]
    pub inventory: BTreeMap<ResourceClass, Inventory>,
    /// Taken by what the fleet does not list.
    #[serde(default, deserialize_with = "by_class")]
    pub other_usage: Resources,
    /// Migration network, megabit/s, each way; null: the fleet's default.
    #[serde(default)]
    pub network_mbps: Option<Mbps>,
    /// Migrations at once; null: the fleet's default.
    #[serde(default)]
    pub max_migrations: Option<u32>,
    /// The rack it stands in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rack: Option<RackName>,
}

/// What a host has of one resource class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Inventory {
    /// What is physically there.
    pub total: u64,
    /// Kept for the host itself.
    #[serde(default)]
    pub reserved: u64,
    /// How far the rest may be promised; 1.0 is no further than it is.
    #[serde(default = "one")]
    pub allocation_ratio: f64,
    /// Least amount an instance may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_unit: Option<u64>,
    /// Greatest amount an instance may take.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_unit: Option<u64>,
    /// An instance's amount must be a multiple of this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step_size: Option<u64>,
}

fn one() -> f64 {
    1.0
}

impl Inventory {
    /// (total − reserved) × allocation ratio, rounded down.
    ///
    /// In double precision on purpose: Placement computes it so, and a claim it would refuse must not be planned.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "the door keeps totals within 2^53 and ratios finite and positive"
    )]
    pub fn capacity(&self) -> u64 {
        (self.total.saturating_sub(self.reserved) as f64 * self.allocation_ratio).floor() as u64
    }

    /// Whether an instance may take this amount, whatever room there is.
    pub fn takes(&self, amount: u64) -> bool {
        self.min_unit.is_none_or(|least| least <= amount)
            && self.max_unit.is_none_or(|most| amount <= most)
            && self.step_size.is_none_or(|step| step == 0 || amount.is_multiple_of(step))
    }
}

/// A size an instance can have.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Flavor {
    /// Unique in the fleet.
    pub name: FlavorName,
    /// What an instance of it claims.
    #[serde(deserialize_with = "by_class")]
    pub resources: Resources,
    /// Traits its host must have.
    #[serde(default)]
    pub required_traits: BTreeSet<TraitName>,
    /// Traits its host must not have.
    #[serde(default)]
    pub forbidden_traits: BTreeSet<TraitName>,
    /// Aggregates its host must belong to, all of them.
    #[serde(default)]
    pub required_aggregates: BTreeSet<AggregateName>,
}

/// A virtual machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Instance {
    /// Unique in the fleet.
    pub id: InstanceId,
    /// A name for people.
    #[serde(default)]
    pub name: String,
    /// Where it is.
    pub host: HostName,
    /// Its size.
    pub flavor: FlavorName,
    /// What it really claims now, if not what its flavor says (an old size).
    #[serde(default, deserialize_with = "by_class_or_null")]
    pub resources: Option<Resources>,
    /// What it is doing.
    #[serde(default)]
    pub state: InstanceState,
    /// How it may move.
    #[serde(default)]
    pub mobility: Mobility,
    /// Why it cannot move, where `mobility` is `none` or it is pinned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pinned_reason: Option<String>,
    /// The zone it must be in; null: any.
    #[serde(default)]
    pub zone: Option<ZoneName>,
    /// Frozen base to copy while it runs.
    #[serde(default)]
    pub local_disk_mb: Mib,
    /// Overlay to copy while it is down.
    #[serde(default)]
    pub overlay_mb: Mib,
    /// The shared pool its disk is on; null: local disk, which must be copied.
    #[serde(default)]
    pub storage: Option<PoolName>,
    /// Rate at which it rewrites its memory while running, megabit/s.
    #[serde(default = "still")]
    pub dirty_mbps: Mbps,
    /// Greater is more important: refused last.
    #[serde(default)]
    pub priority: i32,
    /// Must stay where it is.
    #[serde(default)]
    pub pinned: bool,
    /// Seconds from its start to being in service; null: the fleet's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot_s: Option<f64>,
    /// Seconds to shut it down; null: the fleet's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shutdown_s: Option<f64>,
    /// How it shows that it lives. Without one it is never confirmed by itself after a move.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heartbeat: Option<Heartbeat>,
}

/// How a guest shows that it lives, and not only that its program exists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Heartbeat {
    /// A line on its console, said since it was last started, contains this.
    Console {
        /// What the line contains, as `login:`.
        contains: String,
    },
    /// A TCP port that accepts a connection, as seen from its host.
    Tcp {
        /// An address and a port, as `10.0.0.7:22` or `[fd00::7]:22`.
        #[schemars(with = "String")]
        address: SocketAddr,
    },
    /// The agent in the guest answers, on the channel that its machine has for it (QEMU's guest agent).
    Agent,
}

fn still() -> Mbps {
    mbps(0)
}

/// What an instance is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum InstanceState {
    /// Running.
    #[default]
    Active,
    /// Shut down.
    Stopped,
    /// Held in memory, not running.
    Paused,
    /// Its memory saved to disk.
    Suspended,
    /// Its cloud does not know.
    Error,
}

/// How an instance may move.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Mobility {
    /// While it runs.
    #[default]
    Live,
    /// Paused, its memory moved too.
    Suspend,
    /// Shut down, moved, started again.
    Cold,
    /// Not at all.
    None,
}

/// Instances with an affinity or anti-affinity policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServerGroup {
    /// Unique in the fleet.
    pub name: GroupName,
    /// What binds its members.
    pub policy: GroupPolicy,
    /// For the anti-affinity policies: members one host may hold; 1 if not given.
    #[serde(default = "one_member")]
    pub max_per_host: u32,
    /// Its members.
    pub members: Vec<InstanceId>,
}

fn one_member() -> u32 {
    1
}

/// What binds the members of a server group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum GroupPolicy {
    /// All on one host.
    Affinity,
    /// At most `max_per_host` on a host.
    AntiAffinity,
    /// On as few hosts as it costs nothing.
    SoftAffinity,
    /// On as many hosts as it costs nothing.
    SoftAntiAffinity,
}

/// A rack, whose hosts share an uplink.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rack {
    /// Unique in the fleet.
    pub name: RackName,
    /// Uplink to the other racks, megabit/s, each way.
    pub uplink_mbps: Mbps,
}
