//! Pools: hosts and instances that never meet those of another pool, so that each is solved by itself.
//!
//! Connected components (union–find) of "may leave this host" and "may go to that host" over every instance that may
//! move. What is proven of pools adds up.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::problem::{HostIdx, InstanceIdx, Task};

use super::tally::Ground;

/// Hosts and instances that only meet each other.
#[derive(Clone, Debug, Default)]
pub(super) struct Pool {
    /// Its hosts, by index.
    pub(super) hosts: Vec<HostIdx>,
    /// Those asked to go or to change, by index.
    pub(super) asked: Vec<InstanceIdx>,
    /// Third parties that may make room, by index.
    pub(super) third_parties: Vec<InstanceIdx>,
}

/// Fine enough to tell pools apart by how many are asked per host.
const PER_HOST: usize = 1 << 20;

/// The pools in which something is asked: those with most asked per host first, since what takes longest should begin
/// first; of equal ones by first host.
pub(super) fn pools(ground: &Ground<'_>) -> Vec<Pool> {
    let problem = ground.problem;
    let mut union = Union::new(problem.hosts.len());
    let mut joined = vec![None; problem.kinds.len()];
    for (at, facts) in problem.instances.iter().enumerate() {
        if !ground.departs(InstanceIdx::new(at)) {
            continue;
        }
        let first = *joined[facts.kind.at()].get_or_insert_with(|| join_all(&mut union, ground, InstanceIdx::new(at)));
        if let Some(first) = first {
            union.join(facts.host.at(), first);
        }
    }
    let mut pools: BTreeMap<usize, Pool> = BTreeMap::new();
    for host in 0..problem.hosts.len() {
        pools.entry(union.root(host)).or_default().hosts.push(HostIdx::new(host));
    }
    for (at, facts) in problem.instances.iter().enumerate() {
        let at = InstanceIdx::new(at);
        let pool = pools.entry(union.root(facts.host.at())).or_default();
        match facts.task {
            Task::Leave | Task::Resize => pool.asked.push(at),
            Task::MayMove if ground.departs(at) => pool.third_parties.push(at),
            Task::MayMove | Task::Stay => {}
        }
    }
    let mut pools: Vec<Pool> = pools.into_values().filter(|pool| !pool.asked.is_empty()).collect();
    pools.sort_by_key(|pool| Reverse(pool.asked.len() * PER_HOST / pool.hosts.len()));
    pools
}

/// Joins all hosts that admit the kind of this instance; the first of them, if there is any.
fn join_all(union: &mut Union, ground: &Ground<'_>, instance: InstanceIdx) -> Option<usize> {
    let mut hosts = ground.problem.kind(instance).eligible.iter();
    let first = hosts.next()?.at();
    for host in hosts {
        union.join(first, host.at());
    }
    Some(first)
}

/// Disjoint sets with path halving; the root is the smallest member.
struct Union {
    parent: Vec<usize>,
}

impl Union {
    fn new(count: usize) -> Self {
        Self { parent: (0..count).collect() }
    }

    fn root(&mut self, mut of: usize) -> usize {
        while self.parent[of] != of {
            self.parent[of] = self.parent[self.parent[of]];
            of = self.parent[of];
        }
        of
    }

    fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.root(a), self.root(b));
        self.parent[a.max(b)] = a.min(b);
    }
}
