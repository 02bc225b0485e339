//! The fleet between rounds.

use std::collections::BTreeSet;
use std::sync::Arc;

use decant_schema::fleet::Fleet;

use crate::capacity::nothing_asked;
use crate::problem::{HostIdx, InstanceIdx, Placement, Problem};

use super::round::Chosen;

/// Who is where, and which hosts are done.
pub(super) struct State {
    /// The fleet as it is now, in numbers; nothing is asked in it.
    now: Problem,
    /// By instance: where it is.
    pub(super) host: Vec<HostIdx>,
    /// By instance: where it was before the first round.
    home: Vec<HostIdx>,
    /// By host: whether it had its turn.
    pub(super) done: Vec<bool>,
    /// By host: whether it is to have a turn.
    pub(super) listed: Vec<bool>,
    newest: Option<u64>,
}

impl State {
    pub(super) fn new(problem: &Problem, listed: &[HostIdx]) -> Self {
        let listed: BTreeSet<HostIdx> = listed.iter().copied().collect();
        Self {
            now: nothing_asked(Arc::clone(&problem.fleet), problem.request.options.clone()),
            host: problem.standing().host,
            home: problem.standing().host,
            done: vec![false; problem.hosts.len()],
            listed: (0..problem.hosts.len()).map(|at| listed.contains(&HostIdx::new(at))).collect(),
            newest: problem.fleet.hosts().iter().filter_map(|host| host.hypervisor_version).max(),
        }
    }

    /// The fleet as it is now, in numbers.
    pub(super) fn now(&self) -> &Problem {
        &self.now
    }

    /// Everybody where they were before the first round, whose host takes them back as the fleet is after a round.
    pub(super) fn home_from(&self, after: &Problem) -> Placement {
        let mut placement = after.standing();
        for (at, host) in placement.host.iter_mut().enumerate() {
            if after.admits(InstanceIdx::new(at), self.home[at]) {
                *host = self.home[at];
            }
        }
        placement
    }

    /// The fleet as it will be once these instances are there and these hosts have had their turn. Positions stay
    /// what they were: neither names nor ids change.
    pub(super) fn after(&self, hosts: &[HostIdx], moved: &[(InstanceIdx, HostIdx)]) -> Problem {
        let mut document = self.now.fleet.document().clone();
        for (instance, host) in moved {
            document.instances[instance.at()].host = self.now.fleet.hosts()[host.at()].name.clone();
        }
        for host in hosts {
            let version = &mut document.hosts[host.at()].hypervisor_version;
            *version = version.and(self.newest);
        }
        let fleet = Fleet::from_document(document).expect("a checked fleet with its instances on other hosts of it");
        nothing_asked(Arc::new(fleet), self.now.request.options.clone())
    }

    /// Carries a round out.
    pub(super) fn carry_out(&mut self, chosen: &Chosen) {
        let back = chosen.back.iter().flat_map(|back| &back.schedule.moves);
        let moved: Vec<(InstanceIdx, HostIdx)> =
            chosen.out.moves.iter().chain(back).map(|line| (line.instance, line.target)).collect();
        self.now = self.after(&chosen.hosts, &moved);
        moved.into_iter().for_each(|(instance, host)| self.host[instance.at()] = host);
        chosen.hosts.iter().for_each(|host| self.done[host.at()] = true);
    }
}
