//! What moves share while they run: migration slots and rates.
//!
//! A host has a slot per migration it may take part in, the fleet may have some in all; a move holds one at each end
//! for as long as it runs. Ports have rates: a host's network out and in, a rack's uplink up and down. A transfer
//! holds the same rate on every port of its way until it has ended: its full rate, or what is left if the transfer
//! then takes at most twice as long. So a port is kept busy, and nobody crawls: a live move whose memory is rewritten
//! quickly would take far more than twice as long at half the rate, so it waits for a better one.

use decant_schema::units::mbps;

use crate::problem::Problem;

use super::carry::{Haul, Micros};

/// Slots and rates that are not in use.
pub(super) struct Ports<'p> {
    problem: &'p Problem,
    /// By host, then the fleet.
    slots: Vec<u32>,
    /// Out by host, in by host, up by rack, down by rack.
    rates: Vec<u64>,
    /// The same when nobody uses them.
    idle_rates: Vec<u64>,
}

/// A slot or a rate that moves share: what a move that cannot start waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Shared {
    Slot(usize),
    Rate(usize),
}

impl<'p> Ports<'p> {
    pub(super) fn new(problem: &'p Problem) -> Self {
        let fleet_wide = problem.fleet.document().defaults.max_migrations.unwrap_or(u32::MAX);
        let slots = problem.hosts.iter().map(|host| host.max_migrations).chain([fleet_wide]);
        let network = || problem.hosts.iter().map(|host| host.network);
        let uplinks = || problem.fleet.document().racks.iter().map(|rack| rack.uplink_mbps);
        let rates = network().chain(network()).chain(uplinks()).chain(uplinks());
        let idle_rates: Vec<u64> = rates.map(|rate| rate.count().max(1)).collect();
        Self { problem, slots: slots.map(|slots| slots.max(1)).collect(), rates: idle_rates.clone(), idle_rates }
    }

    /// How many ports there are.
    pub(super) fn count(&self) -> usize {
        self.rates.len()
    }

    /// Whether no move that could use this rate can start for want of this, whatever else it finds.
    pub(super) fn is_exhausted(&self, shared: Shared, full_rate: u64) -> bool {
        match shared {
            Shared::Slot(slot) => self.slots[slot] == 0,
            Shared::Rate(port) => self.rates[port] * 2 < full_rate,
        }
    }

    /// How many slots of a kind are not in use.
    pub(super) fn free_slots(&self, slot: usize) -> u32 {
        self.slots[slot]
    }

    /// How long a port is busy with a transfer that has it for itself, given its time at full rate.
    pub(super) fn work(&self, port: usize, haul: &Haul, transfer: Micros) -> Micros {
        let share = u128::from(transfer) * u128::from(haul.full_rate.count()) / u128::from(self.idle_rates[port]);
        Micros::try_from(share).unwrap_or(transfer)
    }

    /// The slots a move holds while it runs. A host that is down takes no part in a rebuild.
    pub(super) fn slots_of(&self, haul: &Haul) -> impl Iterator<Item = usize> + use<> {
        let source = self.problem.hosts[haul.source.at()].up && haul.source != haul.target;
        let fleet = self.problem.hosts.len();
        [source.then_some(haul.source.at()), Some(haul.target.at()), Some(fleet)].into_iter().flatten()
    }

    /// The ports a transfer crosses.
    pub(super) fn ports_of(&self, haul: &Haul) -> impl Iterator<Item = usize> + use<> {
        let hosts = self.problem.hosts.len();
        let racks = self.problem.fleet.document().racks.len();
        let rack = |host: usize| self.problem.hosts[host].rack;
        let (source, target) = (haul.source.at(), haul.target.at());
        let leaves = rack(source) != rack(target);
        let up = rack(source).filter(|_| leaves).map(|rack| 2 * hosts + rack);
        let down = rack(target).filter(|_| leaves).map(|rack| 2 * hosts + racks + rack);
        let crosses = haul.size.count() > 0;
        [Some(source), Some(hosts + target), up, down].into_iter().flatten().filter(move |_| crosses)
    }

    /// The rate at which a move could start now and the time its transfer would take, or what it has to wait for. Shared, it
    /// leaves half of its rate to another, where it takes no more than twice as long for it.
    pub(super) fn offer(&self, haul: &Haul, shared: bool) -> Result<(u64, Micros), Shared> {
        if let Some(full) = self.slots_of(haul).find(|slot| self.slots[*slot] == 0) {
            return Err(Shared::Slot(full));
        }
        let full = haul.full_rate.count();
        let tightest = self.ports_of(haul).min_by_key(|port| self.rates[*port]);
        let Some(tightest) = tightest else { return Ok((0, 0)) };
        let time = |rate: u64| haul.transfer(self.problem, mbps(rate));
        let at_most = time(full).unwrap_or(0).saturating_mul(2);
        let take = |rate: u64| {
            let enough = rate * 2 >= full && rate <= self.rates[tightest];
            time(rate).filter(|time| enough && (*time <= at_most || rate == full)).map(|time| (rate, time))
        };
        let half = shared.then(|| take(full.div_ceil(2))).flatten();
        half.or_else(|| take(full.min(self.rates[tightest]))).ok_or(Shared::Rate(tightest))
    }

    /// Holds a move's slots and the rate it was offered.
    pub(super) fn hold(&mut self, haul: &Haul, rate: u64) {
        for slot in self.slots_of(haul) {
            self.slots[slot] -= 1;
        }
        for port in self.ports_of(haul) {
            self.rates[port] -= rate;
        }
    }

    /// Gives a transfer's rate back.
    pub(super) fn release_rate(&mut self, haul: &Haul, rate: u64) {
        for port in self.ports_of(haul) {
            self.rates[port] += rate;
        }
    }

    /// Gives a move's slots back.
    pub(super) fn release_slots(&mut self, haul: &Haul) {
        for slot in self.slots_of(haul) {
            self.slots[slot] += 1;
        }
    }
}
