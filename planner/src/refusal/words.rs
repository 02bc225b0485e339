//! What would let a refused instance move, in a sentence with its numbers.
//!
//! The sentence describes the least host that would do, and, where some host lacks only room, how much it lacks. It is
//! arithmetic about this instance alone; the fixes of a refusal are the ones that were tried by planning again.

use decant_schema::plan::RuleName;

use crate::problem::{self, HostIdx, InstanceIdx, Problem, Task};
use crate::rules::Want;

use super::obstacle::{Obstacle, nearest_by_room};
use super::view::{need_of_company, want};

/// Describes what would let the instance move.
pub(super) fn would_fit(problem: &Problem, refused: InstanceIdx, ruled_out: &[(HostIdx, Vec<Obstacle>)]) -> String {
    if let Some((rule, _)) = problem::forbidden(problem, refused)
        && problem.instances[refused.at()].task == Task::Leave
    {
        return leave_asked_for(rule).to_owned();
    }
    if let Some(want_of_others) = want_of_others(ruled_out) {
        return want_of_others.to_owned();
    }
    let first = match problem::forbidden(problem, refused) {
        Some(rule) => leave_asked_for(rule.0).to_owned(),
        None => format!("one more host {}", host_asked_for(problem, refused, &want(problem, refused))),
    };
    match room_asked_for(problem, ruled_out) {
        Some(room) => format!("{first}; or {room}"),
        None => first,
    }
}

/// Whether that sentence is about a host or room that would do.
pub(super) fn asks_for_a_host(problem: &Problem, refused: InstanceIdx, ruled_out: &[(HostIdx, Vec<Obstacle>)]) -> bool {
    problem::forbidden(problem, refused).is_none() && want_of_others(ruled_out).is_none()
}

/// What an instance lacks that has a place of its own.
fn want_of_others(ruled_out: &[(HostIdx, Vec<Obstacle>)]) -> Option<&'static str> {
    if ruled_out.iter().any(|(_, obstacles)| obstacles.iter().all(|obstacle| obstacle.rule == RuleName::Order)) {
        return Some("a passing place: its target has the room in the end but cannot be reached before");
    }
    let alone = |obstacle: &Obstacle| {
        obstacle.rule == RuleName::Together && obstacle.class.is_none() && obstacle.subject.is_none()
    };
    let all_alone = ruled_out.iter().any(|(_, obstacles)| obstacles.iter().all(alone));
    all_alone.then_some("room for everyone on its host: alone it would fit")
}

/// What would let an instance leave its host at all.
fn leave_asked_for(rule: RuleName) -> &'static str {
    match rule {
        RuleName::SourceDown => "its host being up again, or its disk on shared storage",
        RuleName::Pinned => "the pin being lifted",
        _ => "another mobility than none",
    }
}

/// The least host that would do: `with 8192 MEMORY_MB and 4 VCPU headroom in az1`.
fn host_asked_for(problem: &Problem, refused: InstanceIdx, want: &Want<'_>) -> String {
    let need = need_of_company(problem, refused);
    let amounts: Vec<String> = problem
        .classes
        .iter()
        .zip(&need)
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

/// `4096 MEMORY_MB more on cmp-07`: all that is missing on the nearest host where only room is.
fn room_asked_for(problem: &Problem, ruled_out: &[(HostIdx, Vec<Obstacle>)]) -> Option<String> {
    let (host, missing) = nearest_by_room(ruled_out)?;
    let missing: Vec<String> =
        missing.iter().map(|(class, amount)| format!("{amount} {}", problem.classes[*class])).collect();
    Some(format!("{} more on {}", listed(&missing), problem.fleet.hosts()[host.at()].name))
}

/// `a`, `a and b`, `a, b and c`.
fn listed<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    let mut items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    let Some(last) = items.pop() else { return String::new() };
    if items.is_empty() { last } else { format!("{} and {last}", items.join(", ")) }
}
