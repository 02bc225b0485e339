//! A capacity report in words.

use decant_schema::report::{Change, Emptying, Failures, Unknown, WhatIf};

use super::{count, grouped, mebibytes, reason, some_of};

/// Whether a host can be emptied, in a word.
pub(crate) fn verdict(of: &Emptying) -> &'static str {
    match of {
        Emptying::Empty => "is empty",
        Emptying::WithoutDisplacing => "yes",
        Emptying::WithDisplacement { .. } => "if others move",
        Emptying::Not { refused_bound: 0, .. } => "no way found",
        Emptying::Not { .. } => "no",
        Emptying::Unknown { .. } => "not known",
    }
}

/// What stands in the way of emptying a host; empty where nothing does.
pub(crate) fn emptying(of: &Emptying) -> String {
    match of {
        Emptying::Empty | Emptying::WithoutDisplacing => String::new(),
        Emptying::WithDisplacement { displaced_mb, displaced_mb_bound } => {
            let least = if displaced_mb == displaced_mb_bound { ", proven least" } else { "" };
            format!("{} of others make room{least}", mebibytes(displaced_mb.count()))
        }
        Emptying::Not { refused, refused_bound, binding, .. } => {
            let proven = if *refused_bound > 0 { "" } else { " as far as was searched" };
            let stay = if *refused == 1 { "stays" } else { "stay" };
            format!("{} {stay}{proven}: {}", grouped(*refused), reason(binding))
        }
        Emptying::Unknown { why } => unknown(*why).to_owned(),
    }
}

/// Why something of a report is not known.
fn unknown(why: Unknown) -> &'static str {
    match why {
        Unknown::Time => "the time limit came first (--time-limit allows more)",
        Unknown::Failed => "the planner failed on it: a fault worth reporting",
    }
}

/// Which hosts may fail, a sentence each.
pub(crate) fn failures(of: &Failures) -> Vec<String> {
    let mut said = vec![format!(
        "{} of {} hosts with instances can fail one at a time with everything placed elsewhere and nobody disturbed",
        grouped(of.survivable),
        grouped(of.hosts)
    )];
    if of.survivable_by_displacing > 0 {
        said.push(format!("{} more can if others make room", grouped(of.survivable_by_displacing)));
    }
    if !of.blocking.is_empty() {
        let names = some_of(of.blocking.iter(), of.blocking.len());
        said.push(format!("the failure of one of these leaves instances without a place: {names}"));
    }
    said.push(match of.spare_hosts {
        0 if of.spare_hosts_tried == 0 && !of.unknown.is_empty() => {
            "whether a host is to spare is not known".to_owned()
        }
        0 => "no spare host: N+1 does not hold".to_owned(),
        spare if spare == of.spare_hosts_tried => format!("N+{spare} holds in every case tried; more was not tried"),
        spare => format!("N+{spare} holds in every case tried, N+{} does not", spare + 1),
    });
    if !of.fatal.is_empty() {
        said.push(format!("too much at once: {}", some_of(of.fatal.iter(), of.fatal.len())));
    }
    if !of.unknown.is_empty() {
        let names = some_of(of.unknown.iter(), of.unknown.len());
        said.push(format!("not known is what the failure of one of these leaves: {names}"));
    }
    if of.instances_on_local_disk > 0 {
        let on_local_disk = usize::try_from(of.instances_on_local_disk).unwrap_or(usize::MAX);
        said.push(format!("{} on local disk, lost with the host unless restored", count(on_local_disk, "instance")));
    }
    said
}

/// A change of the fleet.
pub(crate) fn change(of: &Change) -> String {
    match of {
        Change::OneMore { like, present } => format!("one more host like {like} (there are {})", grouped(*present)),
        Change::OneLess { host } => format!("without {host}"),
        Change::Growth { flavor, added, .. } => format!("{} more of {flavor}", grouped(*added)),
    }
}

/// What a change would change.
pub(crate) fn effect(of: &WhatIf) -> String {
    if let Some(why) = of.unknown {
        return format!("not known: {}", unknown(why));
    }
    let fits = match &of.change {
        Change::Growth { placed: 0, .. } => "none of them finds a place".to_owned(),
        Change::Growth { added, placed, .. } if placed < added => format!("only {} find a place", grouped(*placed)),
        _ if of.fits => "everything fits".to_owned(),
        _ => "not everything finds a place".to_owned(),
    };
    let Some(then) = of.emptied_directly else { return fits };
    let now = grouped(of.emptied_directly_now);
    format!("{fits}; {} hosts can be emptied without displacing anyone (now {now})", grouped(then))
}
