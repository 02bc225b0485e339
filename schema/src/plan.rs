//! The plan document: what to do, why, and what is proven.
//!
//! Times in it are estimates; `after` is the promise. Every execution that starts a move only when all moves of its
//! `after` have ended (and their room at the source is free) keeps every host within capacity and every group rule,
//! whatever the durations turn out to be.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::document::{Document, List, ReadError};
use crate::fleet::Resources;
use crate::id::{FlavorName, GroupName, HostName, InstanceId, MoveId, PoolName, ResourceClass};
use crate::request::Request;
use crate::units::{Mbps, Mib};

/// The format this version reads and writes.
pub const FORMAT: &str = "decant.plan/1";

/// An immutable, reviewable answer to a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Always `decant.plan/1`.
    #[schemars(extend("const" = FORMAT))]
    pub format: String,
    /// Tells this plan from every other.
    pub id: Uuid,
    /// When it was made.
    #[schemars(with = "String", extend("format" = "date-time"))]
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
    /// What the plan does to server groups that no rule forbids and people should know of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub groups: Vec<GroupNote>,
    /// The rounds of a rolling plan.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rounds: Vec<Round>,
    /// Hosts that a rolling plan was asked to maintain and that have no turn: whoever is on them is refused, and if
    /// nobody is, there is no time or no spare host for them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<HostName>,
    /// Whoever a rolling plan with a way back leaves elsewhere.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub away: Vec<Away>,
}

/// An instance that was to return to the host it came from, and stays where it is because that host would not take it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Away {
    /// Who stays away.
    pub instance: InstanceId,
    /// From where.
    pub host: HostName,
    /// Every rule about the instance and that host alone by which it is not taken, as both are in the end.
    pub rules: Vec<RuleName>,
}

impl Document for Plan {
    const FORMAT: &'static str = FORMAT;
    const NAME: &'static str = "a plan";
    const LISTS: &'static [List] = &[
        List::of::<Move>("moves"),
        List::of::<Refusal>("refusals"),
        List::of::<HostUsage>("hosts"),
        List::of::<GroupNote>("groups"),
        List::of::<Round>("rounds"),
        List::of::<Away>("away"),
    ];

    fn format(&self) -> &str {
        &self.format
    }
}

/// Reads a plan document, plain or packed: every error of its structure at once, each with its place. Whether the
/// plan holds is for the checker to say.
pub fn read(bytes: &[u8]) -> Result<Plan, ReadError> {
    crate::document::parse(&crate::document::decode(bytes)?)
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
#[serde(deny_unknown_fields)]
pub struct Proof {
    /// The sum of it.
    pub status: ProofStatus,
    /// What cut the search short, if anything did.
    pub stopped_by: Option<StoppedBy>,
    /// Wall-clock seconds the planner took.
    pub seconds: f64,
    /// The goals, the first the most important.
    pub tiers: Vec<Tier>,
    /// The refused by priority, the highest first, where instances are refused and those asked have several. In this order
    /// they are compared before their number, or after it if the request says so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub priorities: Vec<PriorityTier>,
    /// How few rounds and moves there can be, in a rolling plan.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rounds: Option<RoundsBound>,
    /// Numbers by which a stranger verifies the bounds without our solver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<Certificate>,
    /// Whether every bound is what the checker itself finds from the fleet and the certificate, and no conflict is called
    /// irreducible that the checker cannot show to be so. Without it, as in plans of older versions, both are the
    /// planner's word.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub certified: bool,
}

/// How many of a priority a plan refuses, and what is proven of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PriorityTier {
    /// The priority.
    pub priority: i32,
    /// How many of it stay.
    pub refused: u64,
    /// Proven: no plan that is as good in what counts before refuses fewer of it. Null: nothing is proven.
    pub bound: Option<u64>,
}

/// What no rolling plan that gives the same hosts their turn can do with less of.
///
/// Moves: one for each instance that was on those hosts before the first round. Rounds: as many as `max_out` asks for,
/// and as many as room asks for. While hosts are out, all that instances claim is on the others; so of every class the
/// room of the hosts that are out (capacity, or what is used where that is more, less what the fleet does not list) is
/// at most the room of all hosts less all that is claimed. Hosts that never receive have no more room than is used. Where
/// all hypervisors are alike, this holds in every part of the fleet that nobody may leave, and the part that takes longest
/// counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RoundsBound {
    /// No such plan has fewer rounds.
    pub rounds: u64,
    /// No such plan has fewer moves.
    pub moves: u64,
}

/// The sum of a proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ProofStatus {
    /// The first two tiers (refused, displaced memory) meet their bounds and nothing is refused.
    Optimal,
    /// A plan and bounds that do not meet in the first two tiers.
    Gap,
    /// Some instances are refused, and that is proven necessary: no plan refuses less, priority by priority; or none fewer,
    /// where the number counts first or all are of one priority.
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
    /// Estimated duration, seconds: until the last move has ended and the last round's hosts are back.
    DurationS,
    /// How unevenly the hosts are filled at the end, 0 to 1: the most by which, on any host and in any class, the
    /// used share of the capacity exceeds the same share over all hosts together. Hosts that are up and not emptied
    /// count; usage includes what the fleet does not list; 0 if nothing exceeds.
    Imbalance,
}

impl TierName {
    /// Every goal, in the usual order.
    pub const USUAL: [Self; 4] = [Self::Refused, Self::DisplacedMemoryMb, Self::DurationS, Self::Imbalance];
}

/// A goal, what the plan reaches and what is proven of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tier {
    /// Which goal.
    pub name: TierName,
    /// What the plan reaches; less is better.
    pub value: f64,
    /// Proven: no plan at the values of the tiers before reaches less. Null: nothing is proven.
    pub bound: Option<f64>,
    /// The planner's own best bound where it is above the proven one: found by its search, shown by no certificate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planner_bound: Option<f64>,
}

/// Prices from which the bounds of the first two tiers follow by integer arithmetic alone.
///
/// A certificate is to be believed by recomputing it from the fleet and the request: no solver is needed, and a wrong
/// price can only weaken the bound it yields (weak Lagrangian duality; Dantzig and Wolfe 1960).
///
/// # Who may do what
///
/// *Admitted hosts* of an instance: those that receive (up, enabled, neither evacuated nor excluded) and that every
/// rule about one instance and one host admits (zone, aggregates, traits, storage, hypervisor version, unit), with the
/// flavor it is to have. Its *need* is what it takes there, its *claim* what it takes now.
/// * *Evacuees*: instances on an evacuated host. One departs or is refused. It is always refused where a rule about the
///   instance alone forbids a move (mobility, pin, source down).
/// * *Resized*: instances the request resizes, on hosts that are not evacuated. One departs, or is resized in place if
///   its host is up, or is refused. It does not depart where a rule about the instance alone forbids a move.
/// * *Third parties*: all others that may move: on a host that is up and not evacuated, not pinned by the fleet or the
///   request, mobility other than `none`, and displacement neither forbidden by the request nor put before refusals by
///   its tier order. One departs or stays.
///
/// Hard affinity keeps an evacuee or resized instance that no host can take: it counts as one that a rule about the
/// instance alone forbids to move. A host can take it if it is admitted and can be joined in each of its hard affinity
/// groups of two or more members. A group whose members all start on one host joins as a whole: every other member can
/// be there, and all have room. A group on several hosts joins if another member can be there, both have room, and that
/// host with those of the members that never depart is on no more hosts than the group starts on. A member can be where
/// it started, or where it is admitted if it may depart; this is repeated until nobody more is kept. There is room
/// where, in every class the instance needs, the capacity less what is kept and used otherwise holds the needs of
/// those and the smaller of need and claim of everybody who never departs from there. None of this applies to a
/// rolling request.
///
/// Instances with equal need, claim and admitted hosts are of one *kind*, whatever their groups and priorities.
///
/// # Pools
///
/// Join every evacuee, resized instance and third party that may depart with its own host and with its admitted hosts:
/// the connected components are the pools. Nobody ever leaves a pool, so bounds of pools add up. A pool without a
/// certificate has the bound 0, or for the refused tier the number of its evacuees that are always refused.
///
/// # The bound of one pool
///
/// All arithmetic is in units of 1 / `denominator`. Let π be the price of a kind (0 where none is given) and U the
/// refusal price. Server groups, and classes not in `classes`, are left out of account. Every host of the pool decides
/// by itself so as to pay the least:
/// * a departure pays the π of its kind; that of a third party pays its memory (the `MEMORY_MB` of its claim, in MiB)
///   besides, in the tier of displaced memory only;
/// * a refused evacuee or resized instance pays U; one that is resized in place pays nothing; a third party that stays
///   pays nothing;
/// * an arrival earns the π of its kind. Any number of any kind may arrive whose admitted hosts include this one;
/// * for every class in `classes`: what arrives (needs) and what grows in place (need − claim where positive) is at
///   most max(0, headroom − kept + what departs (claims) + what shrinks in place (claim − need where positive)), where
///   kept is the share of the capacity that the request's headroom keeps, rounded up.
///
/// Where more than two classes are counted, the most that arrivals earn in a room may be taken for the least that any two
/// of the classes allow, which weakens the bound but little.
///
/// The sum over the pool's hosts of what each pays at least, minus U × [`PoolCertificate::refused`], divided by the
/// denominator and rounded up, is a lower bound of the tier in this pool: for the tier `refused`, with U = 1 and nothing
/// subtracted, on how many are refused; for `displaced_memory_mb` on the memory displaced by every plan that refuses at
/// most that many of this pool. As displaced memory is a sum of what third parties claim, its bound is rounded up
/// further to a multiple of [`PoolCertificate::step`], which must divide the memory of every third party of the pool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// One for each pool and tier whose bound needs one; instances and hosts of different pools never meet.
    pub pools: Vec<PoolCertificate>,
}

/// The prices of one pool for one tier; see [`Certificate`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PoolCertificate {
    /// Any host of the pool; the checker finds the others by itself.
    pub host: HostName,
    /// Which tier it bounds: refused instances or displaced memory.
    pub tier: TierName,
    /// The bound it yields, in the tier's unit.
    pub bound: u64,
    /// The resource classes it counts.
    pub classes: Vec<ResourceClass>,
    /// What all prices are divided by; at least 1.
    pub denominator: u64,
    /// U, to be divided by the denominator; equal to it (U = 1) for the tier of refused instances.
    pub refusal_price: u64,
    /// How many of this pool the plan refuses; 0 for the tier of refused instances, where nothing is subtracted.
    pub refused: u64,
    /// What the bound is rounded up to a multiple of; at least 1.
    pub step: u64,
    /// A price for every kind of instance that has one; the others' is zero.
    pub prices: Vec<KindPrice>,
}

/// The price of instances that are alike in what they need, what they claim and where they may go.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KindPrice {
    /// One of them.
    pub like: InstanceId,
    /// The price, to be divided by the denominator.
    pub price: u64,
}

/// One line of a plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
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
    /// Why it stands still, and for how long, where it could move while it runs, or has lost its host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standstill: Option<Standstill>,
}

/// That an instance is moved more harshly than its mobility allows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Standstill {
    /// Why.
    pub because: StandstillReason,
    /// How long it stands still during the move at most, seconds: an estimate like all times.
    pub seconds: f64,
}

/// Why an instance is moved more harshly than its mobility allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum StandstillReason {
    /// It rewrites its memory as fast as the network carries it away, so that a live move would never end.
    DirtyRate {
        /// How fast it rewrites its memory.
        dirty_mbps: Mbps,
        /// The least of the rates on its way.
        link_mbps: Mbps,
    },
    /// Its host is down: it is started again elsewhere, and what was in its memory is lost.
    HostDown,
}

/// What a plan does to a server group.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum GroupNote {
    /// A soft anti-affinity group has more members on a host after the plan than it may have there, and than it had.
    Crowded {
        /// Which group.
        group: GroupName,
        /// Where.
        host: HostName,
        /// Its members there after the plan.
        instances: Vec<InstanceId>,
    },
    /// A soft affinity group is on more hosts after the plan than before it.
    Spread {
        /// Which group.
        group: GroupName,
        /// Its hosts after the plan.
        hosts: Vec<HostName>,
    },
    /// A hard affinity group moves one by one, and is on more hosts meanwhile than before the plan and after it.
    Split {
        /// Which group.
        group: GroupName,
        /// From when, estimated, seconds from the beginning.
        from_s: f64,
        /// Until when.
        until_s: f64,
    },
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
#[serde(deny_unknown_fields)]
pub struct Refusal {
    /// Who stays.
    pub instance: InstanceId,
    /// Which rule rules out how many hosts, every host counted once by the first rule that rules it out.
    pub reasons: Vec<Reason>,
    /// What might let it move, in words, where that was not tried.
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
#[serde(deny_unknown_fields)]
pub struct Reason {
    /// The rule.
    pub rule: RuleName,
    /// The resource class, where the rule is about one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<ResourceClass>,
    /// Hosts it rules out that no rule before it does; 0 where the rule is about the instance alone.
    pub hosts: u64,
    /// Hosts it rules out, those that rules before it rule out too among them.
    #[serde(default)]
    pub hosts_in_all: u64,
    /// What the instance needs of it on `best_host`: all of it, or the growth of one resized on its own host. Of
    /// `affinity`: what its group needs there, which can only go as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub need: Option<u64>,
    /// What the host that is nearest of all `hosts` has of it. Of `unit`: the most it takes in one instance that is not
    /// more than the need; where it takes no so little, the least it takes; 0 where it takes none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best: Option<u64>,
    /// The host that is nearest.
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
    /// The host is being emptied too; of no host where the fleet has no other.
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
    /// Its affinity group is elsewhere; or has as a whole not the room there, where a class is named.
    Affinity,
    /// Its anti-affinity group is there already.
    AntiAffinity,
    /// There is room, but no order in which to use it.
    Order,
    /// It fits alone, but not together with the others that must move.
    Together,
    /// Its host has no turn in the maintenance; the subject says what keeps the host.
    Turn,
    /// There is no time left in the window.
    Window,
}

/// A set of instances and rules that cannot hold together, all else being as it is; without any one of them it could.
/// An instance on a host to be emptied is left out as if it were gone, any other as if it were not asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Conflict {
    /// The instances.
    pub instances: Vec<InstanceId>,
    /// The rules that could be relaxed but are not.
    pub rules: Vec<Reason>,
    /// Whether removing each member was tried and found to resolve it.
    pub irreducible: bool,
    /// Prices from which it follows that some of them must stay: a certificate of the tier `refused`, for the fleet and the
    /// request of its instances alone. None where it follows without prices, or where only the planner's own search
    /// has found it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<Certificate>,
}

/// A change that would let a refused instance move, found by planning again. The cheapest come first: what takes a word (let
/// others move, unpin, keep less headroom, open a host, relax a group, lift what binds it, empty a host later), then what moves a
/// pinned third party, then room to be freed, then another host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
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
    /// Free this much on this host: less of any class would not do, if there was time to try.
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
    /// Lift what binds these instances, which are alike: all of them go then.
    LiftBinding {
        /// What binds them: `zone`, `aggregate`, `required-trait` or `forbidden-trait`.
        rule: RuleName,
        /// What the rule names.
        subject: String,
        /// Which; the one that is refused among them.
        instances: Vec<InstanceId>,
    },
    /// Empty these hosts another time.
    EmptyLater {
        /// Which.
        hosts: Vec<HostName>,
    },
    /// Keep less headroom.
    LowerHeadroom {
        /// The headroom at which it fits, percent: one more would be too many, if there was time to try.
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
    /// Keep fewer spare hosts during a rolling maintenance.
    FewerSpareHosts {
        /// How many can be kept.
        spare_hosts: u32,
    },
}

/// What the instances of a host claim before, at its fullest during the moves, and after, by class. What the fleet
/// does not list (`other_usage`) comes on top.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HostUsage {
    /// The host.
    pub name: HostName,
    /// Before the first move.
    pub before: Resources,
    /// The most at any moment of any execution that respects `after`, however long each move takes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub peak: Resources,
    /// After the last move.
    pub after: Resources,
}

/// One round of a rolling maintenance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Round {
    /// The hosts that are out in it.
    pub hosts: Vec<HostName>,
    /// The moves that empty them and, on the way back, those that bring their instances home.
    pub moves: Vec<MoveId>,
    /// Moves without which they cannot be emptied: one for each instance that was on them before the first round.
    #[serde(default)]
    pub least_moves: u64,
    /// When the last of them is empty, seconds from the beginning.
    pub empty_at_s: f64,
    /// When they are back, seconds from the beginning.
    pub returned_at_s: f64,
}

/// A part of a rolling plan that is carried out in one go, when a person says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// Its round, counted from 1.
    pub round: usize,
    /// Whether it brings instances home; else it empties the round's hosts.
    pub home: bool,
    /// Its moves; none where the hosts are empty already.
    pub moves: BTreeSet<MoveId>,
}

impl Plan {
    /// The parts of a rolling plan, in their order: each round empties its hosts, then brings home whom it brings home.
    ///
    /// A move home is printed at or after the hosts' return. That is a matter of order, not of durations: no host of a
    /// round is left later than the round is empty or arrived at before it is back, and no move is printed before one
    /// that it waits for has ended; a plan whose times say otherwise does not hold.
    pub fn stages(&self) -> Vec<Stage> {
        let starts: BTreeMap<MoveId, f64> = self.moves.iter().map(|line| (line.id, line.start_s)).collect();
        let halves = |(round, of): (usize, &Round)| {
            let is_home = |id: &MoveId| starts.get(id).is_some_and(|start_s| *start_s >= of.returned_at_s);
            let (back, out): (BTreeSet<MoveId>, _) = of.moves.iter().copied().partition(is_home);
            let back = Some(back).filter(|moves| !moves.is_empty());
            let back = back.map(|moves| Stage { round, home: true, moves });
            [Some(Stage { round, home: false, moves: out }), back]
        };
        (1..).zip(&self.rounds).flat_map(halves).flatten().collect()
    }
}

/// Names the pool a disk is on, for messages.
pub fn pool_label(pool: Option<&PoolName>) -> &str {
    pool.map_or("local disk", PoolName::as_str)
}
