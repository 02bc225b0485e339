//! What people should know of a plan beside its figures: who stands still and why, and what becomes of groups.

use std::collections::BTreeMap;

use decant_schema::id::InstanceId;
use decant_schema::plan::{GroupNote, Move, Standstill, StandstillReason};

use super::{PlanView, words};

/// All of it, a sentence each.
pub(crate) fn notes(view: PlanView<'_>) -> Vec<String> {
    let mut notes = Vec::new();
    notes.extend(rewriting(view));
    notes.extend(lost(view));
    notes.extend(view.plan.groups.iter().map(|note| group(view, note)));
    notes
}

/// Why an instance stands still during a move, and for how long.
pub(crate) fn standstill(of: &Standstill) -> String {
    match of.because {
        StandstillReason::DirtyRate { dirty_mbps, link_mbps } => format!(
            "stands still for {}: it rewrites its memory at {} Mbit/s, and the way carries {} Mbit/s",
            words::seconds(of.seconds),
            words::grouped(dirty_mbps.count()),
            words::grouped(link_mbps.count())
        ),
        StandstillReason::HostDown => format!(
            "is started again within {}: its host is down, and what was in its memory is lost",
            words::seconds(of.seconds)
        ),
    }
}

/// Instances whose memory cannot be followed while they run, each with the seconds that it stands still in all.
fn rewriting(view: PlanView<'_>) -> Option<String> {
    let is_rewriting = |of: &Standstill| matches!(of.because, StandstillReason::DirtyRate { .. });
    let still = by_instance(view, is_rewriting);
    let moves = || view.plan.moves.iter().filter_map(|step| Some((step, step.standstill.as_ref()?)));
    let mut of_one = moves().filter(|(_, of)| is_rewriting(of));
    if let (Some((step, of)), None) = (of_one.next(), of_one.next()) {
        return Some(format!("{} {}", view.instance(&step.instance), standstill(of)));
    }
    let longest = still.values().copied().fold(0.0, f64::max);
    let count = words::count(still.len(), "instance");
    let stand = if still.len() == 1 { "stands" } else { "stand" };
    (!still.is_empty()).then(|| {
        format!(
            "{count} {stand} still for up to {}: memory is rewritten as fast as the network carries it away",
            words::seconds(longest)
        )
    })
}

/// Instances that are started again, their hosts being down.
fn lost(view: PlanView<'_>) -> Option<String> {
    let lost = by_instance(view, |of| of.because == StandstillReason::HostDown);
    let are = if lost.len() == 1 { "is" } else { "are" };
    (!lost.is_empty()).then(|| {
        format!(
            "{} {are} started again elsewhere: the host is down, and what was in memory is lost",
            words::count(lost.len(), "instance")
        )
    })
}

fn by_instance(view: PlanView<'_>, which: impl Fn(&Standstill) -> bool) -> BTreeMap<&InstanceId, f64> {
    let mut seconds: BTreeMap<&InstanceId, f64> = BTreeMap::new();
    let still = |step: &Move| step.standstill.as_ref().filter(|of| which(of)).map(|of| of.seconds);
    for step in &view.plan.moves {
        if let Some(of) = still(step) {
            *seconds.entry(&step.instance).or_default() += of;
        }
    }
    seconds
}

fn group(view: PlanView<'_>, note: &GroupNote) -> String {
    match note {
        GroupNote::Crowded { group, host, instances } => {
            let names = words::some_of(instances.iter().map(|id| view.instance(id)), instances.len());
            format!("the soft anti-affinity of {group} does not hold afterwards: {names} share {host}")
        }
        GroupNote::Spread { group, hosts } => {
            let names = words::some_of(hosts.iter(), hosts.len());
            format!("the soft affinity of {group} does not hold afterwards: it is on {names}")
        }
        GroupNote::Split { group, from_s, until_s } => format!(
            "{group} moves one by one: its affinity does not hold from {} to {}",
            view.moment(*from_s),
            view.moment(*until_s)
        ),
    }
}
