//! The worst moment of any execution: a maximum-weight closure, found as a minimum cut.
//!
//! At every moment some moves have started and some have ended. A started arrival adds to a host; a departure
//! subtracts from it, but nobody is sure to have left except for the departures that a started arrival waits for. So
//! the most the host can hold is a choice of arrivals together with every departure any of them follows (Picard 1976:
//! the heaviest closed set is the source side of a minimum cut). Arrivals and departures that follow each other over
//! other moves are linked directly, since what a departure waits for its followers wait for too.

use petgraph::algo::dinics;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;

/// An arrival or a departure: the move, and how much it brings or takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Change {
    pub(super) step: usize,
    pub(super) amount: u128,
}

/// The worst moment.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Worst {
    /// The most that is held beyond what was there at the start.
    pub(super) amount: u128,
    /// The arrivals that have started then.
    pub(super) arrivals: Vec<usize>,
}

/// The worst moment of all executions; `follows(arrival, departure)` says which departures an arrival is sure of.
pub(super) fn worst(arrivals: &[Change], departures: &[Change], follows: impl Fn(usize, usize) -> bool) -> Worst {
    let mut network = Network::new(arrivals, departures);
    for (from, arrival) in network.arrivals.clone().into_iter().zip(arrivals) {
        for (to, departure) in network.departures.clone().into_iter().zip(departures) {
            if follows(arrival.step, departure.step) {
                network.graph.add_edge(from, to, arrival.amount);
            }
        }
    }
    let (flow, flows) = dinics(&network.graph, network.start, network.end);
    let all: u128 = arrivals.iter().map(|arrival| arrival.amount).sum();
    let reached = network.reached(&flows);
    let started = arrivals.iter().zip(&network.arrivals).filter(|(_, node)| reached[node.index()]);
    Worst { amount: all - flow, arrivals: started.map(|(arrival, _)| arrival.step).collect() }
}

/// From the start over arrivals and the departures they follow to the end; capacities are amounts. An edge between
/// an arrival and a departure never carries more than the arrival, which bounds it as well as infinity would.
struct Network {
    graph: DiGraph<(), u128>,
    start: NodeIndex,
    end: NodeIndex,
    arrivals: Vec<NodeIndex>,
    departures: Vec<NodeIndex>,
}

impl Network {
    fn new(arrivals: &[Change], departures: &[Change]) -> Self {
        let mut graph = DiGraph::new();
        let (start, end) = (graph.add_node(()), graph.add_node(()));
        let mut node = |amount: u128, from: Option<NodeIndex>| {
            let node = graph.add_node(());
            let (tail, head) = from.map_or((node, end), |start| (start, node));
            graph.add_edge(tail, head, amount);
            node
        };
        let arrivals = arrivals.iter().map(|arrival| node(arrival.amount, Some(start))).collect();
        let departures = departures.iter().map(|departure| node(departure.amount, None)).collect();
        Self { graph, start, end, arrivals, departures }
    }

    /// The nodes that can still be reached from the start when the flow is on: the heaviest closed set.
    fn reached(&self, flows: &[u128]) -> Vec<bool> {
        let mut reached = vec![false; self.graph.node_count()];
        let mut open = vec![self.start];
        reached[self.start.index()] = true;
        while let Some(node) = open.pop() {
            let forward = self.graph.edges(node).filter(|edge| flows[edge.id().index()] < *edge.weight());
            let back = self
                .graph
                .edges_directed(node, petgraph::Direction::Incoming)
                .filter(|edge| flows[edge.id().index()] > 0);
            for next in forward.map(|edge| edge.target()).chain(back.map(|edge| edge.source())) {
                if !std::mem::replace(&mut reached[next.index()], true) {
                    open.push(next);
                }
            }
        }
        reached
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn changes(from: usize, amounts: &[u128]) -> Vec<Change> {
        amounts.iter().enumerate().map(|(at, amount)| Change { step: from + at, amount: *amount }).collect()
    }

    #[test]
    fn an_arrival_that_follows_no_departure_is_held_beside_it() {
        let worst = worst(&changes(0, &[5]), &changes(1, &[5]), |_, _| false);
        assert_eq!(worst, Worst { amount: 5, arrivals: vec![0] });
    }

    #[test]
    fn an_arrival_that_follows_a_departure_takes_its_room() {
        let worst = worst(&changes(0, &[5]), &changes(1, &[3]), |_, _| true);
        assert_eq!(worst, Worst { amount: 2, arrivals: vec![0] });
    }

    #[test]
    fn one_departure_makes_room_for_two_arrivals_only_once() {
        let worst = worst(&changes(0, &[4, 4]), &changes(2, &[4]), |_, _| true);
        assert_eq!(worst.amount, 4);
    }

    #[test]
    fn the_cut_is_the_worst_of_all_subsets() {
        for seed in 0..300 {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            let mut amounts = |most: usize| -> Vec<u128> {
                (0..random.random_range(0..=most)).map(|_| (random.next_u32() % 9).into()).collect()
            };
            let (arrivals, departures) = (changes(0, &amounts(6)), changes(100, &amounts(6)));
            let links: Vec<bool> = (0..36).map(|_| random.random_bool(0.4)).collect();
            let follows = |arrival: usize, departure: usize| links[arrival * 6 + departure - 100];
            let by_hand = (0..1_u32 << arrivals.len())
                .map(|chosen| {
                    let taken = arrivals.iter().filter(|arrival| chosen >> arrival.step & 1 == 1);
                    let sure = departures.iter().filter(|d| taken.clone().any(|a| follows(a.step, d.step)));
                    let sum = |changes: &mut dyn Iterator<Item = &Change>| -> i128 {
                        changes.map(|change| i128::try_from(change.amount).expect("small")).sum()
                    };
                    sum(&mut taken.clone()) - sum(&mut sure.clone())
                })
                .max()
                .expect("the empty choice is one");
            let found = worst(&arrivals, &departures, follows);
            assert_eq!(i128::try_from(found.amount), Ok(by_hand), "seed {seed}");
        }
    }
}
