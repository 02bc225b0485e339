//! The plan document: what to do, why, and what is proven.
//!
//! Times in it are estimates; `after` is the promise. Every execution that starts a move only when all moves of its
//! `after` have ended (and their room at the source is free) keeps every host within capacity and every group rule,
//! whatever the durations turn out to be.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::fleet::Resources;
use crate::id::{FlavorName, HostName, InstanceId, MoveId, PoolName, ResourceClass};
use crate::request::Request;
use crate::units::Mib;

/// The format this version reads and writes.
pub const FORMAT: &str = "decant.plan/1";

/// An immutable, reviewable answer to a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Plan {
    /// Always `decant.plan/1`.
    pub format: String,
    /// Tells this plan from every other.
    pub id: Uuid,
    /// When it was made.
    #[schemars(with = "String")]
    pub created_at: Timestamp,
    /// Digest of the fleet it was made for, as `blake3:…`; see [`crate::fleet::Fleet::digest`].
    pub fleet_digest: String,
    /// What it answers.
    pub request: Request,
    /// Whether everything asked for is done.
    pub outcome: Outcome,
    /// What is proven of it.
    pub proof: Proof,
    /// What to do, in an order in which it can be done.
    pub moves: Vec<Move>,
    /// Who stays though asked to go, and why.
    pub refusals: Vec<Refusal>,
    /// Every host the plan touches, before, at its fullest, and after.
    pub hosts: Vec<HostUsage>,
    /// The rounds of a rolling plan.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rounds: Vec<Round>,
}

/// Whether everything asked for is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Nothing is refused.
    Complete,
    /// Some instances are refused.
    Partial,
    /// There was nothing to move.
    NothingToDo,
}

/// What is proven of a plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Proof {
    /// The sum of it.
    pub status: ProofStatus,
    /// What cut the search short, if anything did.
    pub stopped_by: Option<StoppedBy>,
    /// Wall-clock seconds the planner took.
    pub seconds: f64,
    /// The goals, the first the most important.
    pub tiers: Vec<Tier>,
    /// Numbers by which a stranger verifies the bounds without our solver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<Certificate>,
}

/// The sum of a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ProofStatus {
    /// The first two tiers (refused, displaced memory) meet their bounds and nothing is refused.
    Optimal,
    /// A plan and bounds that do not meet in the first two tiers.
    Gap,
    /// Some instances are refused, and refusing this many is proven necessary.
    Infeasible,
}

/// What cut a search short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum StoppedBy {
    /// The wall clock: another run may give another plan.
    Time,
    /// The search budget: another run gives the same plan.
    Nodes,
}

/// A goal of the planner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TierName {
    /// Requested instances that stay, by priority.
    Refused,
    /// Memory of the third parties that move at all, each once, MiB.
    DisplacedMemoryMb,
    /// Estimated duration, seconds.
    DurationS,
    /// How unevenly the hosts are filled at the end, 0 to 1: the most by which, on any host and in any class, the
    /// used share of the capacity exceeds the same share over all hosts together. Hosts that are up and not emptied
    /// count; usage includes what the fleet does not list; 0 if nothing exceeds.
    Imbalance,
}

/// A goal, what the plan reaches and what is proven of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Tier {
    /// Which goal.
    pub name: TierName,
    /// What the plan reaches; less is better.
    pub value: f64,
    /// Proven: no plan at the values of the tiers before reaches less. Null: nothing is proven.
    pub bound: Option<f64>,
}

/// Dual prices from which the bounds of the first tiers follow by arithmetic alone.
///
/// For any non-negative prices π the value
/// Σ π·evacuees − Σ max(0, π − U)·evacuees − Σ over hosts of the best a host can earn
/// is a lower bound (Dantzig–Wolfe, Lagrange); a wrong price can only weaken it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Certificate {
    /// Each pool's prices; instances and hosts of different pools never meet.
    pub pools: Vec<PoolCertificate>,
}

/// The prices of one pool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PoolCertificate {
    /// Any host of the pool; the checker finds the others by itself.
    pub host: HostName,
    /// Which tier it bounds: refused instances or displaced memory.
    pub tier: TierName,
    /// The bound it yields, in the tier's unit.
    pub bound: u64,
    /// What all prices are divided by.
    pub denominator: u64,
    /// A price for every kind of instance that has one; the others' is zero.
    pub prices: Vec<KindPrice>,
}

/// The price of instances that are alike in what they need and where they may go.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct KindPrice {
    /// One of them.
    pub like: InstanceId,
    /// The price, to be divided by the denominator.
    pub price: u64,
}

/// One line of a plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Move {
    /// Its number in the plan, from 1.
    pub id: MoveId,
    /// Who moves.
    pub instance: InstanceId,
    /// From where.
    pub source: HostName,
    /// To where; the source itself for a resize in place.
    pub target: HostName,
    /// How.
    pub mode: MoveMode,
    /// What for.
    pub why: MoveReason,
    /// Its new flavor, where it is resized.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flavor: Option<FlavorName>,
    /// Moves that must have ended, and their room at the source be free, before this one starts.
    pub after: Vec<MoveId>,
    /// Disk and memory that cross the network.
    pub transfer_mb: Mib,
    /// Estimated start, seconds from the beginning.
    pub start_s: f64,
    /// Estimated end, seconds from the beginning.
    pub end_s: f64,
}

/// How an instance moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MoveMode {
    /// While it runs.
    Live,
    /// Stopped, moved, started again if it ran.
    Cold,
    /// Paused, its memory moved too.
    Suspend,
    /// Built again from shared storage: its host is down.
    Rebuild,
}

/// What a move is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MoveReason {
    /// It leaves a host that is to be emptied.
    Evacuate,
    /// It makes room for another.
    Displace,
    /// It stops here on its way; the same instance moves again.
    Hop,
    /// It gets another flavor.
    Resize,
    /// It evens the load.
    Spread,
}

/// Why an instance stays though asked to go.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Refusal {
    /// Who stays.
    pub instance: InstanceId,
    /// Which rule rules out how many hosts, every host counted once by the first rule that rules it out.
    pub reasons: Vec<Reason>,
    /// What would let it move, in words; checked by planning again where it says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub would_fit: Option<String>,
    /// A smallest set of instances and rules that cannot be satisfied together, where it is not refused on its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub conflict: Option<Conflict>,
    /// What would let it move, each verified by planning again, the cheapest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fixes: Vec<Fix>,
}

/// A rule and the hosts it rules out for one instance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Reason {
    /// The rule.
    pub rule: RuleName,
    /// The resource class, where the rule is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<ResourceClass>,
    /// Hosts it rules out; 0 where the rule is about the instance alone.
    pub hosts: u64,
    /// What the instance needs of the class.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub need: Option<u64>,
    /// The most any of these hosts has of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best: Option<u64>,
    /// The host that has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best_host: Option<HostName>,
    /// What the rule names: the trait, zone, aggregate, group, pool or pin reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
}

/// The placement rules, in the order in which they are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RuleName {
    /// It may not move: its mobility is `none`.
    Mobility,
    /// It is pinned, in the fleet or by the request.
    Pinned,
    /// Its host is down and its disk is not on storage others reach.
    SourceDown,
    /// The host is being emptied too.
    Evacuated,
    /// The request excludes the host.
    Excluded,
    /// The host is down.
    HostDown,
    /// The host takes no new instances.
    HostDisabled,
    /// The host is in another zone.
    Zone,
    /// The host is not in an aggregate the flavor requires.
    Aggregate,
    /// The host lacks a trait the flavor requires.
    RequiredTrait,
    /// The host has a trait the flavor forbids.
    ForbiddenTrait,
    /// The host does not mount the pool its disk is on.
    Storage,
    /// A live move would go to an older hypervisor.
    HypervisorVersion,
    /// The host's inventory does not take such an amount (`min_unit`, `max_unit`, `step_size`, or no such class).
    Unit,
    /// The host would be too small even when empty.
    Size,
    /// The host has not the headroom.
    Capacity,
    /// It has, but not beyond the headroom the request keeps.
    Headroom,
    /// Its affinity group is elsewhere.
    Affinity,
    /// Its anti-affinity group is there already.
    AntiAffinity,
    /// There is room, but no order in which to use it.
    Order,
    /// It fits alone, but not together with the others that must move.
    Together,
    /// There is no time left in the window.
    Window,
}

/// A set of instances and rules that cannot hold together; without any one of them it could.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Conflict {
    /// The instances.
    pub instances: Vec<InstanceId>,
    /// The rules that could be relaxed but are not.
    pub rules: Vec<Reason>,
    /// Whether removing each member was tried and found to resolve it.
    pub irreducible: bool,
}

/// A change that would let a refused instance move.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Fix {
    /// Let third parties move.
    AllowDisplacement {
        /// Memory that would be displaced.
        displaced_mb: Mib,
    },
    /// Unpin this instance.
    Unpin {
        /// Which.
        instance: InstanceId,
    },
    /// Add a host alike to one that is there.
    AddHost {
        /// The host it is like.
        like: HostName,
    },
    /// Free this much on this host.
    FreeRoom {
        /// Which host.
        host: HostName,
        /// How much, by class.
        amounts: Resources,
    },
    /// Relax this group.
    RelaxGroup {
        /// Which.
        group: String,
    },
    /// Keep less headroom.
    LowerHeadroom {
        /// The headroom at which it fits, percent.
        percent: f64,
    },
    /// Let this host receive again.
    AdmitHost {
        /// Which.
        host: HostName,
    },
    /// Make the window longer.
    LongerWindow {
        /// The length at which it fits, seconds.
        window_s: f64,
    },
}

/// A host's usage before, at its fullest during the moves, and after, by class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct HostUsage {
    /// The host.
    pub name: HostName,
    /// Before the first move.
    pub before: Resources,
    /// The most at any moment of the printed timeline.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub peak: Resources,
    /// After the last move.
    pub after: Resources,
}

/// One round of a rolling maintenance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Round {
    /// The hosts that are out in it.
    pub hosts: Vec<HostName>,
    /// The moves that empty them.
    pub moves: Vec<MoveId>,
    /// When the last of them is empty, seconds from the beginning.
    pub empty_at_s: f64,
    /// When they are back, seconds from the beginning.
    pub returned_at_s: f64,
}

/// Names the pool a disk is on, for messages.
pub fn pool_label(pool: Option<&PoolName>) -> &str {
    pool.map_or("local disk", PoolName::as_str)
}
