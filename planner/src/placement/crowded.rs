//! Who must stay because a group has no more places: hard anti-affinity, counted.
//!
//! In the end a host holds so many members of a group. Those that never leave it hold their places; whoever moves needs one of
//! the others on a host that may hold him. How many find one at most is a maximum flow from members to places (Ford and
//! Fulkerson 1956); third parties always have a place, their own, so that whoever finds none is refused by every plan,
//! whatever room there is. What prices of room would take long to say, or never do.

use std::collections::BTreeSet;

use decant_schema::fleet::GroupPolicy;
use decant_schema::request::RequestKind;
use petgraph::algo::dinics;
use petgraph::graph::DiGraph;

use crate::problem::{GroupIdx, HostIdx, HostSet, InstanceIdx, Task};

use super::pools::Pool;
use super::tally::Ground;

/// How many of a pool's evacuees no placement takes, for want of places of their groups. Over the rounds of a maintenance
/// hosts change, so nothing is said there.
pub(super) fn crowded_out(ground: &Ground<'_>, pool: &Pool) -> u64 {
    let problem = ground.problem;
    if matches!(problem.request.kind, RequestKind::Rolling { .. }) {
        return 0;
    }
    let evacuees = pool.asked.iter().filter(|at| problem.instances[at.at()].task == Task::Leave);
    let groups: BTreeSet<GroupIdx> = evacuees.flat_map(|at| ground.groups_of(*at, GroupPolicy::AntiAffinity)).collect();
    let hosts: HostSet = pool.hosts.iter().copied().collect();
    let mut found: Vec<(usize, BTreeSet<InstanceIdx>)> =
        groups.into_iter().map(|group| Crowd::of(ground, &hosts, group).left_over()).collect();
    found.sort_by(|a, b| b.cmp(a));
    // Who is in two groups is counted in one of them.
    let mut counted = BTreeSet::new();
    let mut sum = 0;
    for (left, evacuees) in found.into_iter().filter(|(left, _)| *left > 0) {
        if counted.is_disjoint(&evacuees) {
            counted.extend(evacuees);
            sum += left as u64;
        }
    }
    sum
}

/// A group's members of a pool that may move, and the hosts each may end on.
struct Crowd<'a> {
    evacuees: BTreeSet<InstanceIdx>,
    doors: Vec<Doors<'a>>,
    /// By host: members it may hold beside those that never leave it.
    places: Vec<u32>,
}

/// The hosts one may go to, and its own where it may stay.
struct Doors<'a> {
    eligible: &'a HostSet,
    home: Option<HostIdx>,
}

impl Doors<'_> {
    fn iter(&self) -> impl Iterator<Item = HostIdx> + '_ {
        self.eligible.iter().chain(self.home)
    }

    fn len(&self) -> usize {
        self.eligible.len() + usize::from(self.home.is_some())
    }
}

impl<'a> Crowd<'a> {
    fn of(ground: &'a Ground<'_>, hosts: &HostSet, group: GroupIdx) -> Self {
        let problem = ground.problem;
        let mut places = vec![problem.groups[group.at()].max_per_host; problem.hosts.len()];
        for host in ground.hosts_of(group) {
            places[host.at()] = ground.member_limit(group, host);
        }
        let (mut evacuees, mut doors) = (BTreeSet::new(), Vec::new());
        for member in &problem.groups[group.at()].members {
            let facts = &problem.instances[member.at()];
            let eligible = &problem.kind(*member).eligible;
            let moves = ground.departs(*member) && !eligible.is_empty() && hosts.contains(facts.host);
            if !moves {
                places[facts.host.at()] = places[facts.host.at()].saturating_sub(1);
                continue;
            }
            let leaves = facts.task == Task::Leave;
            if leaves {
                evacuees.insert(*member);
            }
            doors.push(Doors { eligible, home: (!leaves).then_some(facts.host) });
        }
        Self { evacuees, doors, places }
    }

    /// How many find no place, and who all is to go.
    fn left_over(self) -> (usize, BTreeSet<InstanceIdx>) {
        let left = if self.all_find_one() { 0 } else { self.doors.len() - self.placed_at_most() };
        (left, self.evacuees)
    }

    /// Whether all find a place one after the other, as nearly always.
    fn all_find_one(&self) -> bool {
        let mut places = self.places.clone();
        let takes = |hosts: &Doors<'_>| {
            let host = hosts.iter().find(|host| places[host.at()] > 0);
            host.inspect(|host| places[host.at()] -= 1).is_some()
        };
        // The choosiest first.
        let mut doors: Vec<&Doors<'_>> = self.doors.iter().collect();
        doors.sort_by_cached_key(|hosts| hosts.len());
        doors.into_iter().all(takes)
    }

    fn placed_at_most(&self) -> usize {
        let mut graph: DiGraph<(), u32> = DiGraph::new();
        let (from, to) = (graph.add_node(()), graph.add_node(()));
        let hosts: Vec<_> = self.places.iter().map(|_| graph.add_node(())).collect();
        for (host, places) in hosts.iter().zip(&self.places).filter(|(_, places)| **places > 0) {
            graph.add_edge(*host, to, *places);
        }
        for doors in &self.doors {
            let member = graph.add_node(());
            graph.add_edge(from, member, 1);
            doors.iter().for_each(|host| _ = graph.add_edge(member, hosts[host.at()], 1));
        }
        dinics(&graph, from, to).0 as usize
    }
}
