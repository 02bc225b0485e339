//! How few rounds and moves there can be; see [`RoundsBound`].

use decant_schema::plan::RoundsBound;
use decant_schema::request::RollingOptions;

use crate::problem::{HostIdx, Problem};

/// The bound for plans that give these hosts their turn; nothing is asked in the problem.
pub(super) fn least(problem: &Problem, hosts: &[HostIdx], options: &RollingOptions) -> RoundsBound {
    let by_leave = options.max_out.map_or(1, |most| hosts.len().div_ceil(most as usize) as u64);
    let by_room = (0..problem.classes.len()).map(|class| by_room(problem, hosts, class)).max().unwrap_or(0);
    let instances = hosts.iter().map(|host| problem.hosts[host.at()].instances.len() as u64);
    RoundsBound { rounds: if hosts.is_empty() { 0 } else { by_leave.max(by_room) }, moves: instances.sum() }
}

/// What is out in all rounds, over what may be out in one.
fn by_room(problem: &Problem, hosts: &[HostIdx], class: usize) -> u64 {
    let spare = |host: usize| {
        let facts = &problem.hosts[host];
        if facts.receives { facts.free[class].max(0) } else { 0 }
    };
    let used = |host: usize| -> i64 {
        problem.hosts[host].instances.iter().map(|instance| problem.kind(*instance).claim[class]).sum()
    };
    let spare_in_all: i64 = (0..problem.hosts.len()).map(spare).sum();
    let room: i64 = hosts.iter().map(|host| used(host.at()) + spare(host.at())).sum();
    match u64::try_from(spare_in_all) {
        Ok(in_one @ 1..) => u64::try_from(room).unwrap_or(0).div_ceil(in_one),
        _ => 0,
    }
}
