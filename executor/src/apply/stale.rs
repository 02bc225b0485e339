//! Whether a plan was made for the fleet as it is.
//!
//! The digest decides: a plan is carried out for exactly the fleet it was made for. What differs is then looked for in
//! what the plan says of that fleet, so that a person sees why, not only that.

use std::collections::BTreeSet;

use decant_schema::fleet::{Fleet, Host, Resources};
use decant_schema::id::{HostName, InstanceId, ResourceClass};
use decant_schema::plan::{MoveMode, MoveReason, Plan};
use thiserror::Error;

/// Something that is not as the plan took it to be.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Difference {
    /// An instance is not there.
    #[error("instance {0} is not there")]
    NoInstance(InstanceId),
    /// An instance is elsewhere.
    #[error("instance {instance} is on {now}, not on {planned}")]
    Moved {
        /// The instance.
        instance: InstanceId,
        /// Where it was.
        planned: HostName,
        /// Where it is.
        now: HostName,
    },
    /// A host is not there.
    #[error("host {0} is not there")]
    NoHost(HostName),
    /// A host is down.
    #[error("host {0} is down")]
    Down(HostName),
    /// A host that was down is up.
    #[error("host {0} is up again, and its instances were to be rebuilt")]
    Up(HostName),
    /// A host takes no new instances.
    #[error("host {0} takes no new instances any more")]
    Disabled(HostName),
    /// The instances of a host claim another amount.
    #[error("instances claim {now} {class} on {host}, not {planned}")]
    Usage {
        /// The host.
        host: HostName,
        /// Of what.
        class: ResourceClass,
        /// How much was.
        planned: u64,
        /// How much is.
        now: u64,
    },
    /// Something the plan does not record.
    #[error("something the plan does not mention has changed: it was made for fleet {planned}, this is {now}")]
    Elsewhere {
        /// The digest of the fleet it was made for.
        planned: String,
        /// The digest of the fleet as it is.
        now: String,
    },
}

/// Everything that differs; nothing if the plan was made for this fleet.
pub(super) fn differences(plan: &Plan, fleet: &Fleet) -> Vec<Difference> {
    let now = fleet.digest();
    if now == plan.fleet_digest {
        return Vec::new();
    }
    let mut differences = Vec::new();
    places(plan, fleet, &mut differences);
    hosts(plan, fleet, &mut differences);
    usage(plan, fleet, &mut differences);
    if differences.is_empty() {
        differences.push(Difference::Elsewhere { planned: plan.fleet_digest.clone(), now });
    }
    differences
}

/// Each instance is where its first move begins.
fn places(plan: &Plan, fleet: &Fleet, differences: &mut Vec<Difference>) {
    let mut seen = BTreeSet::new();
    for line in plan.moves.iter().filter(|line| seen.insert(&line.instance)) {
        match fleet.instance_index(line.instance.as_str()).map(|at| &fleet.instances()[at].host) {
            None => differences.push(Difference::NoInstance(line.instance.clone())),
            Some(now) if *now != line.source => differences.push(Difference::Moved {
                instance: line.instance.clone(),
                planned: line.source.clone(),
                now: now.clone(),
            }),
            Some(_) => {}
        }
    }
}

/// Sources are up, or down where they are rebuilt from; targets are up and take instances.
fn hosts(plan: &Plan, fleet: &Fleet, differences: &mut Vec<Difference>) {
    let mut found = BTreeSet::new();
    for line in &plan.moves {
        for (name, is_source) in [(&line.source, true), (&line.target, false)] {
            let rebuilt_from = is_source && line.mode == MoveMode::Rebuild;
            let receives = !is_source && line.why != MoveReason::Resize;
            let difference = match fleet.host_index(name.as_str()).map(|at| &fleet.hosts()[at]) {
                None => Some(("gone", Difference::NoHost(name.clone()))),
                Some(Host { up: true, .. }) if rebuilt_from => Some(("up", Difference::Up(name.clone()))),
                Some(Host { up: false, .. }) if !rebuilt_from => Some(("down", Difference::Down(name.clone()))),
                Some(Host { enabled: false, .. }) if receives => Some(("disabled", Difference::Disabled(name.clone()))),
                Some(_) => None,
            };
            if let Some((kind, difference)) = difference
                && found.insert((name, kind))
            {
                differences.push(difference);
            }
        }
    }
}

/// The instances on the hosts the plan touches claim as much as before its first move.
fn usage(plan: &Plan, fleet: &Fleet, differences: &mut Vec<Difference>) {
    for planned in &plan.hosts {
        let Some(at) = fleet.host_index(planned.name.as_str()) else { continue };
        let used = used(fleet, &fleet.hosts()[at]);
        for (class, &before) in &planned.before {
            let now = used.get(class).copied().unwrap_or(0);
            if now != before {
                let (host, class) = (planned.name.clone(), class.clone());
                differences.push(Difference::Usage { host, class, planned: before, now });
            }
        }
    }
}

/// What the instances of a host claim.
fn used(fleet: &Fleet, host: &Host) -> Resources {
    let mut used = Resources::new();
    for instance in fleet.instances().iter().filter(|instance| instance.host == host.name) {
        for (class, amount) in fleet.claim(instance) {
            let sum = used.entry(class.clone()).or_insert(0);
            *sum = sum.saturating_add(*amount);
        }
    }
    used
}
