//! Where an order can get stuck at all: hosts that wait for each other.
//!
//! A host waits for those its departures go to. In the strongly connected components of that relation, taken from
//! the hosts nobody leaves backwards, a component's moves outwards always find their room (their targets have nothing
//! left to send), and what comes in from elsewhere can come last. So only the moves *within* a component need a
//! search, each component its own: an order without detours exists if and only if it exists for each of them.

use std::collections::BTreeMap;

use petgraph::algo::kosaraju_scc;
use petgraph::graph::{DiGraph, NodeIndex};

use crate::problem::HostIdx;

use super::room::{Room, Step};

/// Hosts that wait for each other, and the moves that start there.
#[derive(Debug)]
pub(super) struct Knot {
    pub(super) hosts: Vec<HostIdx>,
    /// Moves to hosts of earlier components.
    pub(super) outward: Vec<Step>,
    /// Moves among its own hosts.
    pub(super) inner: Vec<Step>,
}

/// The components of some moves' hosts, those first that others wait for. Keeps the moves' order.
pub(super) fn knots(room: &Room<'_>, steps: &[Step]) -> Vec<Knot> {
    let mut graph: DiGraph<HostIdx, ()> = DiGraph::new();
    let mut nodes: BTreeMap<HostIdx, NodeIndex> = BTreeMap::new();
    for step in steps {
        let mut node = |host| *nodes.entry(host).or_insert_with(|| graph.add_node(host));
        let (source, target) = (node(room.host(step.instance)), node(step.target));
        graph.add_edge(source, target, ());
    }
    let mut component = vec![0; graph.node_count()];
    let mut knots = Vec::new();
    for (at, members) in kosaraju_scc(&graph).into_iter().enumerate() {
        members.iter().for_each(|node| component[node.index()] = at);
        let mut hosts: Vec<HostIdx> = members.into_iter().map(|node| graph[node]).collect();
        hosts.sort_unstable();
        knots.push(Knot { hosts, outward: Vec::new(), inner: Vec::new() });
    }
    for step in steps {
        let of = |host: HostIdx| component[nodes[&host].index()];
        let (source, target) = (of(room.host(step.instance)), of(step.target));
        let knot = &mut knots[source];
        if source == target { knot.inner.push(*step) } else { knot.outward.push(*step) }
    }
    knots
}
