//! Numbers and names of a document in words.

use decant_schema::fleet::Resources;
use decant_schema::id::ResourceClass;
use decant_schema::plan::{
    Away, MoveMode, MoveReason, Outcome, Plan, PriorityTier, ProofStatus, StoppedBy, Tier, TierName,
};
use decant_schema::request::{Options, RequestKind, RollingOptions};
use jiff::{SignedDuration, Timestamp};

mod migration;
mod refusal;
mod report;

pub(crate) use migration::{state, turn, way_on};
pub(crate) use refusal::{Alike, advice, conflict_rules, fix, reason, rule, rules};
pub(crate) use report::{change, effect, emptying, failures, verdict};

/// An amount of a class in its usual unit: memory in GiB where that is exact enough to read.
pub(crate) fn amount(class: &ResourceClass, amount: u64) -> String {
    match class.as_str() {
        ResourceClass::MEMORY_MB => mebibytes(amount),
        ResourceClass::DISK_GB => format!("{} GiB", grouped(amount)),
        _ => grouped(amount),
    }
}

/// A class as people call it.
pub(crate) fn class(class: &ResourceClass) -> &str {
    match class.as_str() {
        ResourceClass::MEMORY_MB => "memory",
        ResourceClass::DISK_GB => "disk",
        ResourceClass::VCPU => "vCPU",
        other => other,
    }
}

/// Amounts of several classes, as `16 GiB memory, 4 vCPU`.
pub(crate) fn amounts(of: &Resources) -> String {
    let each: Vec<_> = of.iter().map(|(name, count)| format!("{} {}", amount(name, *count), class(name))).collect();
    each.join(", ")
}

/// A size given in MiB.
pub(crate) fn mebibytes(count: u64) -> String {
    match count {
        0 => "0".to_owned(),
        1..=1023 => format!("{count} MiB"),
        _ if count.is_multiple_of(1024) => format!("{} GiB", grouped(count / 1024)),
        _ if count < 10 * 1024 => format!("{} MiB", grouped(count)),
        _ => format!("{}.{} GiB", grouped(count / 1024), count % 1024 * 10 / 1024),
    }
}

/// A number with its thousands apart.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count with its noun, as `1 move` or `12 moves`.
pub(crate) fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", grouped(number as u64))
}

/// A length of time in seconds as people say it.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a plan's times are finite, a cast saturates"
)]
pub(crate) fn seconds(length: f64) -> String {
    if length < 60.0 {
        return if length < 10.0 { format!("{length:.1} s") } else { format!("{length:.0} s") };
    }
    let whole = length.round() as u64;
    match whole {
        0..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", grouped(whole / 3600), whole % 3600 / 60),
    }
}

/// A moment of the calendar, so many seconds after another, to the minute: `2026-11-25 22:04 UTC`.
pub(crate) fn calendar(from: Timestamp, seconds: f64) -> String {
    let moment = SignedDuration::try_from_secs_f64(seconds).ok().and_then(|length| from.checked_add(length).ok());
    moment.unwrap_or(from).strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// When moves of a maintenance may start.
fn window(rounds: &RollingOptions) -> String {
    match (rounds.begins_at, &rounds.intervals[..]) {
        (Some(begins_at), [interval]) => {
            format!("from {} to {}", calendar(begins_at, interval.from_s), calendar(begins_at, interval.until_s))
        }
        (Some(begins_at), [first, .., last]) => format!(
            "in {} from {} to {}",
            count(rounds.intervals.len(), "interval"),
            calendar(begins_at, first.from_s),
            calendar(begins_at, last.until_s)
        ),
        _ => format!("within {}", seconds(rounds.window_s)),
    }
}

/// What was asked.
pub(crate) fn request(kind: &RequestKind) -> String {
    match kind {
        RequestKind::Evacuate { hosts } => {
            format!("Evacuate {}", some_of(hosts.iter().map(|host| host.as_str()), hosts.len()))
        }
        RequestKind::Resize { resizes } => {
            let each = resizes.iter().map(|resize| format!("{} to {}", resize.instance, resize.flavor));
            format!("Resize {}", some_of(each, resizes.len()))
        }
        RequestKind::Rolling { hosts, rounds } => {
            let names = some_of(hosts.iter().map(|host| host.as_str()), hosts.len());
            format!("Rolling maintenance of {names} {}", window(rounds))
        }
    }
}

/// The first few of many, and how many more there are.
pub(crate) fn some_of<T: ToString>(names: impl Iterator<Item = T>, all: usize) -> String {
    const SHOWN: usize = 6;
    let shown: Vec<_> = names.take(SHOWN).map(|name| name.to_string()).collect();
    let rest = all.saturating_sub(SHOWN);
    if rest == 0 { shown.join(", ") } else { format!("{} and {rest} more", shown.join(", ")) }
}

/// The conditions that differ from the usual ones.
pub(crate) fn conditions(options: &Options) -> Vec<String> {
    let mut said = Vec::new();
    if options.no_displace {
        said.push("nobody else may move".to_owned());
    }
    if !options.exclude_hosts.is_empty() {
        let names = some_of(options.exclude_hosts.iter(), options.exclude_hosts.len());
        said.push(format!("nothing goes to {names}"));
    }
    if !options.pins.is_empty() {
        let stay = if options.pins.len() == 1 { "stays" } else { "stay" };
        said.push(format!("{} {stay}", some_of(options.pins.iter(), options.pins.len())));
    }
    if options.headroom_percent > 0.0 {
        said.push(format!("receiving hosts keep {} % unused", options.headroom_percent));
    }
    if let Some(window) = options.window_s {
        said.push(format!("moves start within {}", seconds(window)));
    }
    if !options.tier_order.is_empty() {
        let goals: Vec<&str> = options.tier_order.iter().map(|tier| tier_name(*tier)).collect();
        said.push(format!("first of all {}", goals.join(", then ")));
    }
    if options.count_first {
        said.push("as few as possible stay, before who they are".to_owned());
    }
    if options.seed != Options::default().seed {
        said.push(format!("seed {}", options.seed));
    }
    said
}

/// How the plan answers the request.
pub(crate) fn outcome(plan: &Plan) -> String {
    let moves = count(plan.moves.len(), "move");
    match plan.outcome {
        Outcome::Complete => format!("Complete: {moves}, nothing refused"),
        Outcome::Partial => {
            let stay = plan.refusals.len();
            let verb = if stay == 1 { "stays" } else { "stay" };
            let left = match plan.left.len() {
                0 => String::new(),
                hosts => format!(", {} without a turn", count(hosts, "host")),
            };
            format!("Incomplete: {moves}, {} {verb}{left}", count(stay, "instance"))
        }
        Outcome::NothingToDo => "Nothing to do".to_owned(),
    }
}

/// What is proven, in a sentence.
pub(crate) fn proof(plan: &Plan) -> String {
    let sentence = match plan.proof.status {
        ProofStatus::Optimal if plan.proof.certified => {
            "Proven optimal: no plan displaces less memory of other instances".to_owned()
        }
        ProofStatus::Infeasible if plan.proof.certified => format!("Proven necessary: {}", refuses_least(plan)),
        ProofStatus::Optimal => "Not proven; by the planner's word no plan displaces less memory".to_owned(),
        ProofStatus::Infeasible => format!("Not proven; by the planner's word {}", refuses_least(plan)),
        ProofStatus::Gap => format!("Not proven optimal: {}", gap_of(plan)),
    };
    match plan.proof.stopped_by {
        None => sentence,
        Some(StoppedBy::Time) => format!("{sentence}; the time limit stopped the search (--time-limit allows more)"),
        Some(StoppedBy::Nodes) => format!("{sentence}; the search budget was used up"),
    }
}

/// That no plan refuses less, as refusals of the plan are compared.
fn refuses_least(plan: &Plan) -> &'static str {
    match plan.proof.priorities.is_empty() || plan.request.options.count_first {
        true => "no plan refuses fewer",
        false => "no plan refuses less, the higher priorities first",
    }
}

/// How many rounds and moves a rolling plan has, and how few there can be.
pub(crate) fn rounds(plan: &Plan) -> Option<String> {
    let least = plan.proof.rounds?;
    let of = |reached: usize, least: u64, noun: &str| match reached as u64 == least {
        true => format!("{}, proven least", count(reached, noun)),
        false => format!("{}, at least {} proven", count(reached, noun), grouped(least)),
    };
    Some(format!("{}; {}", of(plan.rounds.len(), least.rounds, "round"), of(plan.moves.len(), least.moves, "move")))
}

/// Which hosts of a rolling plan have no turn.
pub(crate) fn left(plan: &Plan) -> Option<String> {
    (!plan.left.is_empty()).then(|| format!("Without a turn: {}", some_of(plan.left.iter(), plan.left.len())))
}

/// Who of a rolling plan does not return to its host, and why.
pub(crate) fn away(plan: &Plan) -> Option<String> {
    let why = |away: &Away| {
        let rules: Vec<String> = away.rules.iter().map(|name| rule(*name)).collect();
        format!("{} from {} ({})", away.instance, away.host, rules.join(", "))
    };
    (!plan.away.is_empty())
        .then(|| format!("Not brought back: {}", some_of(plan.away.iter().map(why), plan.away.len())))
}

/// What is first open: a priority of which more may be refused than need be, or a tier whose value is above its bound.
fn gap_of(plan: &Plan) -> String {
    let by_priority = plan.proof.priorities.iter().find(|of| of.bound != Some(of.refused));
    if let Some(PriorityTier { priority, refused, bound }) = by_priority.filter(|_| !plan.request.options.count_first) {
        return match bound {
            None => format!("{refused} of priority {priority} are refused, and nothing is proven of the least"),
            Some(bound) => {
                format!("{refused} of priority {priority} are refused, and the least possible is at least {bound}")
            }
        };
    }
    let open = plan.proof.tiers.iter().find(|tier| tier.bound.is_none_or(|bound| tier.value > bound));
    match open {
        None => "every goal meets its bound".to_owned(),
        Some(Tier { name, value, bound: None, .. }) => {
            format!("{} is {}, and nothing is proven of the least", tier_name(*name), tier_value(*name, *value))
        }
        Some(Tier { name, value, bound: Some(bound), .. }) => {
            let (value, bound) = (tier_value(*name, *value), tier_value(*name, *bound));
            format!("{} is {value}, and the least possible is at least {bound}", tier_name(*name))
        }
    }
}

/// A goal of a plan, what is reached, what is proven of the least, and how far apart they are.
pub(crate) struct Goal {
    pub(crate) name: String,
    pub(crate) reached: String,
    pub(crate) least: String,
    pub(crate) gap: String,
}

/// The goals of a plan, the first the most important; the refused of each priority beside all the refused.
pub(crate) fn goals(plan: &Plan) -> Vec<Goal> {
    let of_priority = |of: &PriorityTier| Goal {
        name: format!("refused of priority {}", of.priority),
        reached: of.refused.to_string(),
        least: of
            .bound
            .filter(|_| plan.proof.certified)
            .map_or_else(|| "unknown".to_owned(), |bound| bound.to_string()),
        gap: match of.bound.filter(|_| plan.proof.certified) {
            None => "not proven".to_owned(),
            Some(bound) if bound == of.refused => "proven least".to_owned(),
            Some(bound) => format!("at most {} fewer", of.refused.saturating_sub(bound)),
        },
    };
    let of_tier = |tier: &Tier| Goal {
        name: tier_name(tier.name).to_owned(),
        reached: tier_value(tier.name, tier.value),
        least: proven_least(plan, tier),
        gap: gap(plan, tier),
    };
    let mut goals = Vec::new();
    for tier in &plan.proof.tiers {
        let priorities = plan.proof.priorities.iter().filter(|_| tier.name == TierName::Refused).map(of_priority);
        if plan.request.options.count_first {
            goals.push(of_tier(tier));
            goals.extend(priorities);
        } else {
            goals.extend(priorities);
            goals.push(of_tier(tier));
        }
    }
    goals
}

/// A goal as people call it.
pub(crate) fn tier_name(name: TierName) -> &'static str {
    match name {
        TierName::Refused => "refused",
        TierName::DisplacedMemoryMb => "displaced memory",
        TierName::DurationS => "duration",
        TierName::Imbalance => "imbalance",
    }
}

/// A goal's value in its unit.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a tier's value is finite, a cast saturates"
)]
pub(crate) fn tier_value(name: TierName, value: f64) -> String {
    match name {
        TierName::Refused => format!("{value}"),
        TierName::DisplacedMemoryMb => mebibytes(value.round() as u64),
        TierName::DurationS => seconds(value),
        TierName::Imbalance => format!("{value:.3}"),
    }
}

/// A value this share above its bound is at it: both are printed with fewer digits.
const SAME: f64 = 1e-5;

/// What is proven of the least of a goal, as a figure.
fn proven_least(plan: &Plan, tier: &Tier) -> String {
    let proven = tier.bound.filter(|_| plan.proof.certified);
    proven.map_or_else(|| "unknown".to_owned(), |bound| tier_value(tier.name, bound))
}

/// How far a value is above its proven bound, and what the planner says beyond that.
fn gap(plan: &Plan, tier: &Tier) -> String {
    let (proven, word) = match plan.proof.certified {
        true => (tier.bound, tier.planner_bound),
        false => (None, tier.planner_bound.or(tier.bound)),
    };
    let distance = match proven {
        None => "not proven".to_owned(),
        Some(bound) if tier.value - bound <= SAME * tier.value.abs() => "proven least".to_owned(),
        Some(bound) if tier.name == TierName::Refused => format!("at most {} fewer", tier.value - bound),
        Some(bound) if bound > 0.0 => format!("within {:.2} %", (tier.value - bound) / bound * 100.0),
        Some(_) => "not proven least".to_owned(),
    };
    match word {
        None => distance,
        Some(bound) => format!("{distance}; planner's word: {}", tier_value(tier.name, bound)),
    }
}

/// How an instance moves.
pub(crate) fn mode(mode: MoveMode) -> &'static str {
    match mode {
        MoveMode::Live => "live",
        MoveMode::Cold => "cold",
        MoveMode::Suspend => "suspend",
        MoveMode::Rebuild => "rebuild",
    }
}

/// What a move is for.
pub(crate) fn why(reason: MoveReason) -> &'static str {
    match reason {
        MoveReason::Evacuate => "evacuate",
        MoveReason::Displace => "makes room",
        MoveReason::Hop => "stop on the way",
        MoveReason::Resize => "resize",
        MoveReason::Spread => "evens the load",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_times_read_as_people_write_them() {
        assert_eq!(mebibytes(65536), "64 GiB");
        assert_eq!(mebibytes(6144 + 1), "6,145 MiB");
        assert_eq!(mebibytes(512), "512 MiB");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(seconds(9.14), "9.1 s");
        assert_eq!(seconds(61.2), "1 min 01 s");
        assert_eq!(seconds(7260.0), "2 h 01 min");
    }
}
