//! What is wanted of the planner.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::{FlavorName, HostName, InstanceId};
use crate::plan::TierName;

/// What is wanted, and under which conditions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "Written")]
pub struct Request {
    /// The wish itself.
    #[serde(flatten)]
    pub kind: RequestKind,
    /// Its conditions.
    #[serde(default)]
    pub options: Options,
}

/// A request as it is written. Serde refuses unknown fields here, which it cannot beside a flattened field.
#[derive(Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
enum Written {
    /// Empty these hosts.
    Evacuate {
        /// The hosts to empty.
        hosts: BTreeSet<HostName>,
        /// Its conditions.
        #[serde(default)]
        options: Options,
    },
    /// Give these instances another flavor.
    Resize {
        /// Which gets which; each instance at most once.
        resizes: Vec<Resize>,
        /// Its conditions.
        #[serde(default)]
        options: Options,
    },
    /// Empty each of these hosts once, in rounds.
    Rolling {
        /// The hosts to maintain.
        hosts: BTreeSet<HostName>,
        /// The rounds' conditions.
        rounds: RollingOptions,
        /// Its conditions.
        #[serde(default)]
        options: Options,
    },
}

impl From<Written> for Request {
    fn from(written: Written) -> Self {
        match written {
            Written::Evacuate { hosts, options } => Self { kind: RequestKind::Evacuate { hosts }, options },
            Written::Resize { resizes, options } => Self { kind: RequestKind::Resize { resizes }, options },
            Written::Rolling { hosts, rounds, options } => {
                Self { kind: RequestKind::Rolling { hosts, rounds }, options }
            }
        }
    }
}

/// The wish itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum RequestKind {
    /// Empty these hosts.
    Evacuate {
        /// The hosts to empty.
        hosts: BTreeSet<HostName>,
    },
    /// Give these instances another flavor.
    Resize {
        /// Which gets which; each instance at most once.
        resizes: Vec<Resize>,
    },
    /// Empty each of these hosts once, in rounds.
    Rolling {
        /// The hosts to maintain.
        hosts: BTreeSet<HostName>,
        /// The rounds' conditions.
        rounds: RollingOptions,
    },
}

/// An instance and the flavor it is to have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Resize {
    /// The instance.
    pub instance: InstanceId,
    /// Its new flavor.
    pub flavor: FlavorName,
}

/// Conditions of a rolling maintenance.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RollingOptions {
    /// Length of the maintenance window, seconds: no move starts after it.
    pub window_s: f64,
    /// The parts of the window in which moves may start, in order and apart from each other; none: all of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub intervals: Vec<Interval>,
    /// What the calendar says at the beginning, where the intervals were given by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub begins_at: Option<Timestamp>,
    /// How long a host is out once it is empty, seconds.
    #[serde(default)]
    pub outage_s: f64,
    /// How many hosts may be out at once; null: as many as fit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_out: Option<u32>,
    /// Hosts of the largest shape whose loss must stay survivable throughout.
    #[serde(default)]
    pub spare_hosts: u32,
    /// Which hosts matter more, where a window is too short for all; 0 for those not named.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub priorities: BTreeMap<HostName, i32>,
    /// Whether each instance returns to its first host.
    #[serde(default)]
    pub way_back: bool,
}

impl RollingOptions {
    /// When moves may start, in order; there is at least one interval.
    pub fn open(&self) -> Vec<Interval> {
        match &self.intervals[..] {
            [] => vec![Interval { from_s: 0.0, until_s: self.window_s }],
            intervals => intervals.to_vec(),
        }
    }
}

/// A part of a maintenance window, seconds from the beginning.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Interval {
    /// When it opens.
    pub from_s: f64,
    /// When it closes: moves start before.
    pub until_s: f64,
}

/// Conditions every planning command takes. All of them are part of the plan, so that it can be made again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Nobody but the requested instances moves.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub no_displace: bool,
    /// Hosts that receive nothing.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub exclude_hosts: BTreeSet<HostName>,
    /// Instances that stay where they are.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub pins: BTreeSet<InstanceId>,
    /// Share of each host's capacity to leave unused by arrivals, percent, 0 to 100.
    pub headroom_percent: f64,
    /// Feeds every random choice.
    pub seed: u64,
    /// Which goal comes first; each at most once, those not listed follow in the usual order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tier_order: Vec<TierName>,
    /// How many are refused counts before how important they are; else nobody is refused for any number of less important
    /// ones.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub count_first: bool,
    /// Moves may start only within this many seconds; null: no window.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub window_s: Option<f64>,
}

impl Options {
    /// How early a goal counts: 0 first.
    pub fn rank(&self, goal: TierName) -> usize {
        let usual = TierName::USUAL.iter().filter(|goal| !self.tier_order.contains(goal));
        let order = self.tier_order.iter().chain(usual);
        order.take_while(|other| **other != goal).count()
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            no_displace: false,
            exclude_hosts: BTreeSet::new(),
            pins: BTreeSet::new(),
            headroom_percent: 0.0,
            seed: 1,
            tier_order: Vec::new(),
            count_first: false,
            window_s: None,
        }
    }
}
