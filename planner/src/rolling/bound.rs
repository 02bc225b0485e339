//! How few rounds and moves there can be, see [`RoundsBound`].

use std::collections::BTreeMap;

use decant_schema::plan::RoundsBound;
use decant_schema::request::RollingOptions;

use crate::part;
use crate::problem::{HostIdx, Problem};

/// The bound for plans that give these hosts their turn; nothing is asked in the problem.
pub(super) fn least(problem: &Problem, hosts: &[HostIdx], options: &RollingOptions) -> RoundsBound {
    let by_leave = options.max_out.map_or(1, |most| hosts.len().div_ceil(most as usize) as u64);
    let parts = parts(problem);
    let by_room = (0..problem.classes.len()).map(|class| by_room(problem, &parts, hosts, class)).max().unwrap_or(0);
    let instances = hosts.iter().map(|host| problem.hosts[host.at()].instances.len() as u64);
    RoundsBound { rounds: if hosts.is_empty() { 0 } else { by_leave.max(by_room) }, moves: instances.sum() }
}

/// For every host one that stands for its part of the fleet, which nobody leaves in any round. Where hypervisors differ,
/// that is the whole: hosts that are done have the newest.
fn parts(problem: &Problem) -> Vec<usize> {
    let version = |at: usize| problem.fleet.hosts()[at].hypervisor_version;
    let hosts = 0..problem.hosts.len();
    if hosts.clone().all(|at| version(at) == version(0)) { part::roots(problem) } else { hosts.map(|_| 0).collect() }
}

/// What is out in all rounds, over what may be out in one: in the part where that is most.
fn by_room(problem: &Problem, parts: &[usize], hosts: &[HostIdx], class: usize) -> u64 {
    let spare = |host: usize| {
        let facts = &problem.hosts[host];
        if facts.receives { facts.free[class].max(0) } else { 0 }
    };
    let used = |host: usize| -> i64 {
        problem.hosts[host].instances.iter().map(|instance| problem.kind(*instance).claim[class]).sum()
    };
    let mut of_parts: BTreeMap<usize, (i64, i64)> = BTreeMap::new();
    for (at, part) in parts.iter().enumerate() {
        of_parts.entry(*part).or_default().0 += spare(at);
    }
    for host in hosts {
        of_parts.entry(parts[host.at()]).or_default().1 += used(host.at()) + spare(host.at());
    }
    let rounds = |(in_one, in_all): &(i64, i64)| match u64::try_from(*in_one) {
        Ok(in_one @ 1..) => u64::try_from(*in_all).unwrap_or(0).div_ceil(in_one),
        _ => 0,
    };
    of_parts.values().map(rounds).max().unwrap_or(0)
}
