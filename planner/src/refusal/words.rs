//! What would let a refused instance move, in a sentence with its numbers.
//!
//! The sentence describes the least host that would do, and, where some host lacks only room, how much it lacks. It is
//! arithmetic about this instance alone; the fixes of a refusal are the ones that were tried by planning again.

use decant_schema::plan::RuleName;

use crate::problem::{self, HostIdx, InstanceIdx, Problem, Task};
use crate::rules::Want;

use super::obstacle::Obstacle;
use super::view::want;

/// Describes what would let the instance move.
pub(super) fn would_fit(problem: &Problem, refused: InstanceIdx, ruled_out: &[(HostIdx, Vec<Obstacle>)]) -> String {
    let task = problem.instances[refused.at()].task;
    match problem::forbidden(problem, refused) {
        Some((RuleName::SourceDown, _)) => return "its host being up again, or its disk on shared storage".to_owned(),
        Some((RuleName::Pinned, _)) if task == Task::Leave => return "the pin being lifted".to_owned(),
        Some(_) if task == Task::Leave => return "another mobility than none".to_owned(),
        _ => {}
    }
    if ruled_out.iter().any(|(_, obstacles)| obstacles.iter().all(|obstacle| obstacle.rule == RuleName::Order)) {
        return "a passing place: its target has the room in the end but cannot be reached before".to_owned();
    }
    let host = format!("one more host {}", host_asked_for(problem, refused, &want(problem, refused)));
    match nearest_by_room(problem, ruled_out) {
        Some(room) => format!("{host}; or {room}"),
        None => host,
    }
}

/// The least host that would do: `with 8192 MEMORY_MB and 4 VCPU headroom in az1`.
fn host_asked_for(problem: &Problem, refused: InstanceIdx, want: &Want<'_>) -> String {
    let need = &problem.kind(refused).need;
    let amounts: Vec<String> = problem
        .classes
        .iter()
        .zip(need)
        .filter(|(_, amount)| **amount > 0)
        .map(|(class, amount)| format!("{amount} {class}"))
        .collect();
    let mut words = format!("with {} headroom", listed(&amounts));
    let flavor = want.flavor;
    let kept = problem.request.options.headroom_percent;
    let mut add = |text: String| words.push_str(&text);
    if kept > 0.0 {
        add(format!(" beyond the {kept} % kept"));
    }
    if let Some(zone) = want.zone {
        add(format!(" in {zone}"));
    }
    if !flavor.required_aggregates.is_empty() {
        add(format!(" of aggregate {}", listed(flavor.required_aggregates.iter())));
    }
    if !flavor.required_traits.is_empty() {
        add(format!(" with trait {}", listed(flavor.required_traits.iter())));
    }
    if !flavor.forbidden_traits.is_empty() {
        add(format!(" without trait {}", listed(flavor.forbidden_traits.iter())));
    }
    if let Some(pool) = want.storage {
        add(format!(" mounting {pool}"));
    }
    if let Some(version) = want.version_min {
        add(format!(" of hypervisor version {version} or newer"));
    }
    words
}

/// `4096 MEMORY_MB more on cmp-07`: the host where only room is missing, and the least share of it.
fn nearest_by_room(problem: &Problem, ruled_out: &[(HostIdx, Vec<Obstacle>)]) -> Option<String> {
    let (host, obstacles) = ruled_out
        .iter()
        .filter(|(_, obstacles)| obstacles.iter().all(lacks_room))
        .min_by(|(_, a), (_, b)| greatest_share_missing(a).total_cmp(&greatest_share_missing(b)))?;
    let missing: Vec<String> = obstacles
        .iter()
        .filter_map(|obstacle| {
            let class = &problem.classes[obstacle.class?];
            Some(format!("{} {class}", obstacle.need? - obstacle.has?))
        })
        .collect();
    Some(format!("{} more on {}", listed(&missing), problem.fleet.hosts()[host.at()].name))
}

fn lacks_room(obstacle: &Obstacle) -> bool {
    matches!(obstacle.rule, RuleName::Capacity | RuleName::Headroom | RuleName::Together) && obstacle.class.is_some()
}

#[expect(clippy::cast_precision_loss, reason = "a measure of nearness; amounts are within 2^53")]
fn greatest_share_missing(obstacles: &[Obstacle]) -> f64 {
    let share = |obstacle: &Obstacle| match (obstacle.need, obstacle.has) {
        (Some(need), Some(has)) => (need - has) as f64 / need.max(1) as f64,
        _ => 1.0,
    };
    obstacles.iter().map(share).fold(0.0, f64::max)
}

/// `a`, `a and b`, `a, b and c`.
fn listed<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    let mut items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    let Some(last) = items.pop() else { return String::new() };
    if items.is_empty() { last } else { format!("{} and {last}", items.join(", ")) }
}
