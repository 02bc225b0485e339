//! A plan with what a fleet adds to it: names of instances, capacities of hosts, waves.

use std::collections::HashMap;

use decant_schema::fleet::Fleet;
use decant_schema::id::{HostName, InstanceId, MoveId, ResourceClass};
use decant_schema::plan::{HostUsage, Move, Plan};
use decant_schema::report::{CapacityReport, Emptying, HostCapacity};
use decant_schema::request::RequestKind;

use super::words;

/// A plan, and the fleet it was made for where that is at hand.
#[derive(Clone, Copy)]
pub(crate) struct PlanView<'a> {
    /// The plan.
    pub(crate) plan: &'a Plan,
    /// Its fleet.
    pub(crate) fleet: Option<&'a Fleet>,
}

/// One class of one host: its usage over the plan, and what it can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Level {
    /// Before the first move.
    pub(crate) before: u64,
    /// At its fullest.
    pub(crate) peak: u64,
    /// After the last move.
    pub(crate) after: u64,
    /// Capacity, where the fleet is at hand.
    pub(crate) capacity: Option<u64>,
}

impl Level {
    /// What a bar of it is drawn against: the capacity, or the greatest usage; never 0.
    pub(crate) fn scale(&self) -> u64 {
        self.capacity.unwrap_or(0).max(self.peak).max(self.before).max(self.after).max(1)
    }
}

impl<'a> PlanView<'a> {
    /// An instance as a person calls it: its name where it has one, else its id.
    pub(crate) fn instance(&self, id: &'a InstanceId) -> &'a str {
        self.fleet
            .and_then(|fleet| fleet.instance_index(id.as_str()).map(|at| fleet.instances()[at].name.as_str()))
            .filter(|name| !name.is_empty())
            .unwrap_or(id.as_str())
    }

    /// Where an instance is before the plan.
    pub(crate) fn host_of(&self, id: &InstanceId) -> Option<&'a HostName> {
        let fleet = self.fleet?;
        fleet.instance_index(id.as_str()).map(|at| &fleet.instances()[at].host)
    }

    /// The classes the plan's hosts use, by name.
    pub(crate) fn classes(&self) -> Vec<&'a ResourceClass> {
        let usages = self.plan.hosts.iter().flat_map(|host| [&host.before, &host.peak, &host.after]);
        let mut classes: Vec<_> = usages.flat_map(|usage| usage.keys()).collect();
        classes.sort();
        classes.dedup();
        classes
    }

    /// One class of one host.
    pub(crate) fn level(&self, host: &HostUsage, class: &ResourceClass) -> Level {
        let of = |usage: &decant_schema::fleet::Resources| usage.get(class).copied().unwrap_or(0);
        let (before, after) = (of(&host.before), of(&host.after));
        Level { before, after, peak: of(&host.peak).max(before).max(after), capacity: self.capacity(host, class) }
    }

    fn capacity(&self, host: &HostUsage, class: &ResourceClass) -> Option<u64> {
        let fleet = self.fleet?;
        let at = fleet.host_index(host.name.as_str())?;
        fleet.hosts()[at].inventory.get(class).map(decant_schema::fleet::Inventory::capacity)
    }

    /// Each move with its wave, from 1: one more than the latest wave it comes after. Moves of a wave may run together.
    pub(crate) fn waves(&self) -> Vec<(usize, &'a Move)> {
        let mut wave_of: HashMap<MoveId, usize> = HashMap::new();
        let mut moves: Vec<_> = self.plan.moves.iter().collect();
        // The document lists moves in an order in which they can be done, so every `after` is already known.
        let waves: Vec<usize> = moves
            .iter()
            .map(|step| {
                let wave = 1 + step.after.iter().filter_map(|before| wave_of.get(before)).max().copied().unwrap_or(0);
                wave_of.insert(step.id, wave);
                wave
            })
            .collect();
        waves.into_iter().zip(moves.drain(..)).collect()
    }

    /// Seconds until the last move has ended and the last round's hosts are back.
    pub(crate) fn duration_s(&self) -> f64 {
        let ends = self.plan.moves.iter().map(|step| step.end_s);
        ends.chain(self.plan.rounds.iter().map(|round| round.returned_at_s)).fold(0.0, f64::max)
    }

    /// A moment of the plan: by the calendar, where the maintenance is planned by it.
    pub(crate) fn moment(&self, at_s: f64) -> String {
        let begins_at = match &self.plan.request.kind {
            RequestKind::Rolling { rounds, .. } => rounds.begins_at,
            RequestKind::Evacuate { .. } | RequestKind::Resize { .. } => None,
        };
        begins_at.map_or_else(|| words::seconds(at_s), |begins_at| words::calendar(begins_at, at_s))
    }

    /// MiB that cross the network.
    pub(crate) fn transfer_mb(&self) -> u64 {
        self.plan.moves.iter().map(|step| step.transfer_mb.count()).sum()
    }
}

/// How many hosts of a report are empty, can be emptied as things are, can be if others move, cannot be, and are not known.
pub(crate) fn emptying_counts(of: &CapacityReport) -> [usize; 5] {
    let mut counts = [0; 5];
    of.hosts.iter().for_each(|host| counts[obstacle(&host.emptying)] += 1);
    counts
}

/// The hosts, those first that something stands in the way of emptying.
pub(crate) fn obstacles_first(of: &CapacityReport) -> Vec<&HostCapacity> {
    let mut hosts: Vec<&HostCapacity> = of.hosts.iter().collect();
    hosts.sort_by_key(|host| std::cmp::Reverse(obstacle(&host.emptying).max(1)));
    hosts
}

/// How much stands in the way: nobody is there, nothing, others, everything, who knows what.
fn obstacle(of: &Emptying) -> usize {
    match of {
        Emptying::Empty => 0,
        Emptying::WithoutDisplacing => 1,
        Emptying::WithDisplacement { .. } => 2,
        Emptying::Not { .. } => 3,
        Emptying::Unknown { .. } => 4,
    }
}
