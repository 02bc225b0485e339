//! What can be wrong with a plan: where, what, and the numbers.

use std::fmt;

use decant_schema::id::{FlavorName, GroupName, HostName, InstanceId, MoveId, ResourceClass};
use decant_schema::plan::{MoveMode, MoveReason, Outcome, ProofStatus, RuleName, TierName};

/// One thing that is wrong with a plan. Amounts are in the class's own unit, times in seconds.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[expect(missing_docs, reason = "the message beside each variant says what its fields are")]
pub enum Violation {
    #[error("the format is {found:?}, not {expected:?}")]
    Format { found: String, expected: &'static str },
    #[error("the plan was made for the fleet {planned}, not for this one ({given})")]
    Digest { planned: String, given: String },
    #[error("{place}: the fleet has no {what} named {name:?}")]
    UnknownName { place: Place, what: &'static str, name: String },

    #[error("move {found} is number {position} of the plan: ids count from 1 in the order of the document")]
    MoveId { found: MoveId, position: usize },
    #[error("move {id} starts after move {after}, which the plan does not have")]
    UnknownAfter { id: MoveId, after: MoveId },
    #[error("moves wait for each other in a circle: {}", list(.moves))]
    Cycle { moves: Vec<MoveId> },
    #[error("move {id} is printed before move {after}, which it waits for")]
    PrintedOrder { id: MoveId, after: MoveId },

    #[error("move {id} takes {instance} from {source_host}, but it is on {actual} then")]
    SourceElsewhere { id: MoveId, instance: InstanceId, source_host: HostName, actual: HostName },
    #[error("move {id} takes {instance} on from {host}, but does not wait for move {previous}, which brings it there")]
    HopNotLinked { id: MoveId, previous: MoveId, instance: InstanceId, host: HostName },
    #[error("move {id} leaves {instance} on {host} as it was")]
    NoMove { id: MoveId, instance: InstanceId, host: HostName },
    #[error("move {id}: {instance} may not leave {source_host} ({rule})", rule = rule_label(*.rule))]
    Immobile { id: MoveId, instance: InstanceId, source_host: HostName, rule: RuleName },
    #[error("move {id}: {target} cannot take {instance} ({rule})", rule = rule_label(*.rule))]
    Target { id: MoveId, instance: InstanceId, target: HostName, rule: RuleName },
    #[error("move {id}: the request displaces nobody, and {instance} is a third party")]
    Displaced { id: MoveId, instance: InstanceId },
    #[error("move {id}: {instance} cannot move {mode:?}: {because}")]
    Mode { id: MoveId, instance: InstanceId, mode: MoveMode, because: &'static str },
    #[error("move {id} of {instance} says {found:?}, but is {expected:?}")]
    Why { id: MoveId, instance: InstanceId, found: MoveReason, expected: MoveReason },
    #[error("move {id} gives {instance} the flavor {found}, which nobody asked for")]
    FlavorUnasked { id: MoveId, instance: InstanceId, found: FlavorName },
    #[error("move {id} of {instance} carries {found} MiB, but what crosses the network is {actual} MiB")]
    Transfer { id: MoveId, instance: InstanceId, found: u64, actual: u64 },
    #[error("what move {id} says of why and how long {instance} stands still is not so: {detail}")]
    FalseStandstill { id: MoveId, instance: InstanceId, detail: &'static str },
    #[error("what the plan says it does to {group} is not so")]
    FalseGroupNote { group: GroupName },
    #[error("move {id} ends at {end_s} s, before it starts at {start_s} s")]
    EndsBeforeStart { id: MoveId, start_s: f64, end_s: f64 },
    #[error("move {id} of {instance} takes {found_s} s; on an idle network it takes at least {least_s} s")]
    TooQuick { id: MoveId, instance: InstanceId, found_s: f64, least_s: f64 },
    #[error("{at} is crossed by more than its {limit} Mbit/s at {moment_s} s")]
    RateExceeded { at: String, limit: u64, moment_s: f64 },
    #[error("{at} takes part in {found} moves at {moment_s} s: at most {limit} may run")]
    SlotsExceeded { at: String, found: u32, limit: u32, moment_s: f64 },
    #[error("move {id} starts at {start_s} s, before move {after} ends at {end_s} s")]
    StartsEarly { id: MoveId, after: MoveId, start_s: f64, end_s: f64 },
    #[error("move {id} starts at {start_s} s, after the window of {window_s} s")]
    OutsideWindow { id: MoveId, start_s: f64, window_s: f64 },
    #[error("move {id} starts at {start_s} s, when the maintenance lets none start")]
    OutsideIntervals { id: MoveId, start_s: f64 },

    #[error("{instance} on {host} is neither moved nor refused")]
    Unanswered { instance: InstanceId, host: HostName },
    #[error("{instance} is refused and moved by move {id}")]
    MovedAndRefused { instance: InstanceId, id: MoveId },
    #[error("{instance} is refused twice")]
    RefusedTwice { instance: InstanceId },
    #[error("{instance} is refused, but nobody asked it to move")]
    RefusedUnasked { instance: InstanceId },
    #[error("{instance} is to have the flavor {wanted}, but ends with {found}")]
    ResizeUnmet { instance: InstanceId, wanted: FlavorName, found: FlavorName },

    #[error("the refusal of {instance} gives no reason")]
    NoReason { instance: InstanceId },
    #[error("the refusal of {instance} says {rule}, which is not so: {detail}", rule = rule_label(*.rule))]
    FalseReason { instance: InstanceId, rule: RuleName, detail: String },
    #[error("the conflict {instance} is said to be in is none: {detail}")]
    FalseConflict { instance: InstanceId, detail: String },
    #[error("a fix for the refusal of {instance} is none: {detail}")]
    FalseFix { instance: InstanceId, detail: String },
    #[error("the refusal of {instance} accounts for {found} hosts; there are {expected} it could have gone to")]
    ReasonHosts { instance: InstanceId, found: u64, expected: u64 },

    #[error(
        "{host} holds {worst} {class} when moves {} run before moves they need not wait for have left: at most {limit} fit",
        list(.moves)
    )]
    Overfull { host: HostName, class: ResourceClass, worst: i128, limit: i128, moves: Vec<MoveId> },
    #[error("{host} ends with {used} {class} in use: at most {limit} leave the headroom the request keeps")]
    FullAtEnd { host: HostName, class: ResourceClass, used: i128, limit: i128 },
    #[error("{host} holds {worst} members of {group} while moves {} run: at most {limit} may be there", list(.moves))]
    AntiAffinity { group: GroupName, host: HostName, worst: i128, limit: i128, moves: Vec<MoveId> },
    #[error("{group} ends on {after} hosts, having been on {before}: affinity is not to be loosened")]
    AffinitySpread { group: GroupName, before: usize, after: usize },
    #[error("{instance} ends alone on {host}, away from the rest of {group}")]
    AffinityAlone { group: GroupName, instance: InstanceId, host: HostName },

    #[error("{host} takes part in the plan, but its usage is not given")]
    HostMissing { host: HostName },
    #[error("{host} is listed twice")]
    HostTwice { host: HostName },
    #[error("{host}: {class} {moment} is {found} in the plan, but {actual}")]
    HostAmount { host: HostName, class: ResourceClass, moment: Moment, found: i128, actual: i128 },

    #[error("the goal {} is missing", tier_label(*.tier))]
    TierMissing { tier: TierName },
    #[error("the goal {} is given twice", tier_label(*.tier))]
    TierTwice { tier: TierName },
    #[error("the goal {} is {found} in the plan, but {actual}", tier_label(*.tier))]
    TierValue { tier: TierName, found: f64, actual: f64 },
    #[error("the bound of {} is {bound}, above its value {value}", tier_label(*.tier))]
    BoundAboveValue { tier: TierName, bound: f64, value: f64 },
    #[error("the bound of {} is {bound} and is said to be proven; proven is {proven}", tier_label(*.tier))]
    BoundUnproven { tier: TierName, bound: f64, proven: f64 },
    #[error("the refused by priority are not those of the priorities asked of, the highest first")]
    Priorities,
    #[error("{found} of priority {priority} are said to be refused, but {actual} are")]
    PriorityCount { priority: i32, found: u64, actual: u64 },
    #[error(
        "at least {bound} of priority {priority} are said to be refused by every plan; proven is {}",
        .proven.map_or_else(|| "nothing".to_owned(), |proven| proven.to_string())
    )]
    PriorityBound { priority: i32, bound: u64, proven: Option<u64> },
    #[error("the certificate of the pool of {host} claims {claimed} for {}, but yields {proven}", tier_label(*.tier))]
    CertificateWeaker { host: HostName, tier: TierName, claimed: u64, proven: u64 },
    #[error("the outcome is {found:?}, but the plan is {expected:?}")]
    Outcome { found: Outcome, expected: Outcome },
    #[error("the proof claims {found:?}, but the goals show {expected:?}")]
    Status { found: ProofStatus, expected: ProofStatus },

    #[error("{host} is not in exactly one round, nor left over, as each host is that is to be maintained")]
    RoundHosts { host: HostName },
    #[error("the plan has rounds, or hosts left over, but no rolling maintenance was asked for")]
    RoundsUnasked,
    #[error("move {id} is in two rounds or in none")]
    RoundMoves { id: MoveId },
    #[error("round {round}: {host} is to be empty at {empty_at_s} s, but move {id} leaves it only at {end_s} s")]
    RoundNotEmpty { round: usize, host: HostName, empty_at_s: f64, id: MoveId, end_s: f64 },
    #[error("round {round}: move {id} goes to {host} without waiting for move {departure}, which empties it")]
    RoundUnordered { round: usize, host: HostName, id: MoveId, departure: MoveId },
    #[error("round {round}: move {id} goes to {host} while it is out")]
    RoundArrival { round: usize, host: HostName, id: MoveId },
    #[error("round {round}: {out} hosts are out at once, at most {max_out} may be")]
    RoundSize { round: usize, out: usize, max_out: u32 },
    #[error("the plan claims that there are at least {rounds} rounds and {moves} moves, which does not follow")]
    RoundsBound { rounds: u64, moves: u64 },
    #[error("round {round}: {host} must not fail while others are out, for what is on it has no other place")]
    NoSpare { round: usize, host: HostName },
    #[error("{instance} is to return to {host} and could, but does not")]
    NotHome { instance: InstanceId, host: HostName },
    #[error("what is said of {instance} staying away from its host is not so, or not said")]
    FalseAway { instance: InstanceId },
    #[error("round {round} returns its hosts at {returned_at_s} s, before {earliest_s} s")]
    RoundReturn { round: usize, returned_at_s: f64, earliest_s: f64 },
}

/// What goes beyond what the plan's certificates prove: no mistake was found in it, but it rests on the planner's word.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Unproven {
    /// A goal's bound.
    #[error("the least of {} is {bound}; proven is {proven}", tier_label(*.tier))]
    Bound {
        /// Which goal.
        tier: TierName,
        /// What the plan says.
        bound: f64,
        /// What the fleet and its certificate prove.
        proven: f64,
    },
    /// That without any one of a conflict the others could go.
    #[error("that without any one of those {instance} is in conflict with the others fit has no witness")]
    Irreducible {
        /// Whose refusal names the conflict.
        instance: InstanceId,
    },
    /// That a fix suffices.
    #[error("that fix {number} for {instance} suffices has no witness")]
    Fix {
        /// Whose refusal names the fix.
        instance: InstanceId,
        /// Which of its fixes, from 1.
        number: usize,
    },
    /// That some of a conflict must stay.
    #[error("that {instance} and those it is in conflict with cannot all go has no certificate")]
    Conflict {
        /// Whose refusal names the conflict.
        instance: InstanceId,
    },
}

/// Something a plan says, and how it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// What is said.
    pub what: String,
    /// How it stands.
    pub standing: Standing,
}

/// How something that a plan says stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The checker finds it itself, from the fleet and what the plan says in proof.
    Proven,
    /// Nothing speaks against it, and nothing shows it: it is the planner's word.
    Word,
    /// It is not so.
    False,
}

/// Where in a plan a name stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the request.
    Request,
    /// In this move.
    Move(MoveId),
    /// Among the refusals.
    Refusals,
    /// Among what is said of groups.
    Groups,
    /// Among the hosts.
    Hosts,
    /// In the certificate.
    Certificate,
    /// In this round, counted from 1.
    Round(usize),
    /// Among the hosts left over.
    LeftOver,
    /// Among those who stay away.
    Away,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Request => write!(f, "request"),
            Self::Move(id) => write!(f, "move {id}"),
            Self::Refusals => write!(f, "refusals"),
            Self::Groups => write!(f, "groups"),
            Self::Hosts => write!(f, "hosts"),
            Self::Certificate => write!(f, "certificate"),
            Self::Round(round) => write!(f, "round {round}"),
            Self::LeftOver => write!(f, "left"),
            Self::Away => write!(f, "away"),
        }
    }
}

/// When a host's usage is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Before the first move.
    Before,
    /// At its fullest.
    Peak,
    /// After the last move.
    After,
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Before => "before",
            Self::Peak => "at its fullest",
            Self::After => "after",
        })
    }
}

fn list(moves: &[MoveId]) -> String {
    let ids: Vec<String> = moves.iter().map(ToString::to_string).collect();
    ids.join(", ")
}

pub(super) fn tier_label(tier: TierName) -> &'static str {
    match tier {
        TierName::Refused => "refused",
        TierName::DisplacedMemoryMb => "displaced_memory_mb",
        TierName::DurationS => "duration_s",
        TierName::Imbalance => "imbalance",
    }
}

/// A rule as messages name it: its words in small letters.
fn rule_label(rule: RuleName) -> String {
    let mut label = String::new();
    for (at, letter) in format!("{rule:?}").char_indices() {
        if letter.is_uppercase() && at > 0 {
            label.push('-');
        }
        label.extend(letter.to_lowercase());
    }
    label
}
