//! How full each host can get while the moves run, in whatever time each takes.
//!
//! Every arrival that has started counts, and every instance that is not sure to have left: of the departures only
//! those that a started arrival follows are sure. The fullest moment is the choice of arrivals that adds most beyond the
//! departures they bring along, a heaviest closed set (Picard 1976), found as a minimum cut.

use std::collections::BTreeMap;

use petgraph::algo::dinics;
use petgraph::graph::{DiGraph, NodeIndex};

use crate::problem::{Amounts, HostIdx, Problem};

use super::ScheduledMove;
use super::ancestors::Ancestors;
use super::room::{Room, Step};

/// A move, by position, and what it brings to or takes from a host, by class.
type Change = (usize, Amounts);

/// What comes to a host, and what leaves it.
#[derive(Default)]
struct Traffic {
    arrivals: Vec<Change>,
    departures: Vec<Change>,
}

/// For every host and class the most its instances claim at any moment of any execution that respects `after`, both
/// ends counted while a move runs. What the fleet does not list (`other_usage`) is not counted. The moves are given so
/// that each comes after those it waits for.
pub(crate) fn peaks(problem: &Problem, moves: &[ScheduledMove]) -> Vec<Amounts> {
    let mut peaks: Vec<Amounts> = vec![vec![0; problem.classes.len()].into(); problem.hosts.len()];
    for instance in &problem.instances {
        let claim = &problem.kinds[instance.kind.at()].claim;
        peaks[instance.host.at()].iter_mut().zip(claim).for_each(|(peak, claim)| *peak += claim);
    }
    let traffic = traffic(problem, moves);
    let ancestors = Ancestors::of(moves.iter().map(|line| &line.after[..]));
    for (host, traffic) in &traffic {
        for (class, peak) in peaks[host.at()].iter_mut().enumerate() {
            *peak += traffic.most(class, &ancestors);
        }
    }
    peaks
}

fn traffic(problem: &Problem, moves: &[ScheduledMove]) -> BTreeMap<HostIdx, Traffic> {
    let mut room = Room::at_start(problem);
    let mut traffic: BTreeMap<HostIdx, Traffic> = BTreeMap::new();
    let classes = 0..problem.classes.len();
    for (at, line) in moves.iter().enumerate() {
        let step = Step { instance: line.instance, target: line.target };
        let brings = classes.clone().map(|class| room.takes(step, class)).collect();
        let takes = classes.clone().map(|class| room.gives(step, class)).collect();
        traffic.entry(line.target).or_default().arrivals.push((at, brings));
        traffic.entry(line.source).or_default().departures.push((at, takes));
        room.go(step);
    }
    traffic
}

impl Traffic {
    /// The most that can be there of a class beyond what was there at the start.
    fn most(&self, class: usize, ancestors: &Ancestors) -> i64 {
        let of_class = |changes: &[Change]| -> Vec<(usize, u64)> {
            let amount = |amounts: &Amounts| u64::try_from(amounts[class]).unwrap_or(0);
            changes.iter().map(|(at, amounts)| (*at, amount(amounts))).filter(|(_, amount)| *amount > 0).collect()
        };
        let (arrivals, departures) = (of_class(&self.arrivals), of_class(&self.departures));
        let all: u64 = arrivals.iter().map(|(_, amount)| amount).sum();
        let sure =
            if arrivals.is_empty() || departures.is_empty() { 0 } else { cut(&arrivals, &departures, ancestors) };
        i64::try_from(all - sure).expect("amounts are within 2^53")
    }
}

/// The least that separates arrivals from the departures they follow.
fn cut(arrivals: &[(usize, u64)], departures: &[(usize, u64)], ancestors: &Ancestors) -> u64 {
    let mut network: DiGraph<(), u64> = DiGraph::new();
    let (start, end) = (network.add_node(()), network.add_node(()));
    let leaving: Vec<(usize, NodeIndex)> = departures
        .iter()
        .map(|(at, amount)| {
            let node = network.add_node(());
            network.add_edge(node, end, *amount);
            (*at, node)
        })
        .collect();
    for (at, amount) in arrivals {
        let node = network.add_node(());
        network.add_edge(start, node, *amount);
        for (_, to) in leaving.iter().filter(|(earlier, _)| ancestors.follows(*at, *earlier)) {
            network.add_edge(node, *to, *amount);
        }
    }
    dinics(&network, start, end).0
}
