//! What no order can beat: lower bounds on the duration.
//!
//! Each follows from one thing that is shared. A port (a host's network out or in, a rack's uplink: a cut) is busy for
//! at least what must cross it at its own rate; a host's or the fleet's slots for at least the moves that must hold
//! them; and one move takes at least its own time, after the quickest departure where its room is not there at the
//! start. A live move dirties least at its full rate, so its least size is the one counted. These are of one placement;
//! those of any are [`super::leaving`]'s.

use std::collections::BTreeMap;

use crate::problem::{HostIdx, InstanceIdx, Problem, Task};

use super::carry::{Haul, Micros};
use super::ports::Ports;
use super::room::{Room, Step};

/// What no order of the given moves can beat, hops or not: each instance leaves its first host and comes to
/// its last.
pub(super) fn of_placement(problem: &Problem, steps: &[Step]) -> Micros {
    let hauls: Vec<Haul> = steps
        .iter()
        .map(|step| Haul::new(problem, step.instance, problem.instances[step.instance.at()].host, step.target))
        .collect();
    busiest_port(problem, &hauls).max(busiest_slots(problem, &hauls)).max(longest_wait(problem, steps, &hauls))
}

fn busiest_port(problem: &Problem, hauls: &[Haul]) -> Micros {
    let ports = Ports::new(problem);
    let mut work: BTreeMap<usize, Micros> = BTreeMap::new();
    for haul in hauls {
        let transfer = haul.shortest(problem) - haul.settle;
        for port in ports.ports_of(haul) {
            *work.entry(port).or_default() += ports.work(port, haul, transfer);
        }
    }
    work.into_values().max().unwrap_or(0)
}

fn busiest_slots(problem: &Problem, hauls: &[Haul]) -> Micros {
    let ports = Ports::new(problem);
    let mut work: BTreeMap<usize, Micros> = BTreeMap::new();
    for haul in hauls {
        for slot in ports.slots_of(haul) {
            *work.entry(slot).or_default() += haul.shortest(problem);
        }
    }
    work.into_iter().map(|(slot, work)| work.div_ceil(u64::from(ports.free_slots(slot)))).max().unwrap_or(0)
}

/// The longest move, with the quickest departure before it where its room must first be made.
fn longest_wait(problem: &Problem, steps: &[Step], hauls: &[Haul]) -> Micros {
    let room = Room::at_start(problem);
    let quickest = quickest_departures(problem);
    let end = |(step, haul): (&Step, &Haul)| {
        let head = if room.fits(*step) { 0 } else { quickest.get(&step.target).copied().unwrap_or(0) };
        head + haul.shortest(problem)
    };
    steps.iter().zip(hauls).map(end).max().unwrap_or(0)
}

/// By host, the least time in which anything that may leave it can have left, or changed its size there.
fn quickest_departures(problem: &Problem) -> BTreeMap<HostIdx, Micros> {
    let mut quickest = BTreeMap::new();
    for (at, facts) in problem.instances.iter().enumerate().filter(|(_, facts)| facts.task != Task::Stay) {
        let in_place = Haul::new(problem, InstanceIdx::new(at), facts.host, facts.host).shortest(problem);
        let away = Haul::away(problem, InstanceIdx::new(at));
        let away = away.floor() + away.settle;
        let least = if facts.task == Task::Resize { away.min(in_place) } else { away };
        quickest.entry(facts.host).and_modify(|known: &mut Micros| *known = least.min(*known)).or_insert(least);
    }
    quickest
}
