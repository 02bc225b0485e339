//! Parts of a problem that have nothing to do with each other, each as a problem of its own.
//!
//! Two hosts are in one part if an instance of the one may go to the other, or if both hold members of a hard affinity
//! group. Whatever is decided within a part changes nothing outside it, so that a question about one host costs what
//! its part costs, however large the fleet.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use decant_schema::fleet::{Fleet, GroupPolicy};
use petgraph::unionfind::UnionFind;

use crate::problem::{HostIdx, InstanceIdx, Placement, Problem};

/// A part of a problem. Its hosts and instances are in the order they have in the whole.
pub(crate) struct Part {
    /// The part as a problem of its own, about a fleet of its own.
    pub(crate) problem: Problem,
    /// Its hosts, as the whole counts them.
    pub(crate) hosts: Vec<HostIdx>,
    /// Its instances, as the whole counts them.
    instances: Vec<InstanceIdx>,
}

/// All parts of a problem, by their first host.
pub(crate) fn parts(problem: &Problem) -> Vec<Part> {
    let mut parts: BTreeMap<usize, Vec<HostIdx>> = BTreeMap::new();
    let mut first: BTreeMap<usize, usize> = BTreeMap::new();
    for (at, root) in roots(problem).into_iter().enumerate() {
        parts.entry(*first.entry(root).or_insert(at)).or_default().push(HostIdx::new(at));
    }
    parts.into_values().map(|hosts| Part::new(problem, hosts)).collect()
}

/// The hosts of the part that a host is in.
pub(crate) fn hosts_with(problem: &Problem, host: HostIdx) -> HashSet<HostIdx> {
    let roots = roots(problem);
    let of_part = roots.iter().enumerate().filter(|(_, root)| **root == roots[host.at()]);
    of_part.map(|(at, _)| HostIdx::new(at)).collect()
}

/// For every host one that stands for its part.
pub(crate) fn roots(problem: &Problem) -> Vec<usize> {
    let mut union = UnionFind::new(problem.hosts.len());
    let mut joined: HashSet<*const _> = HashSet::new();
    for facts in &problem.instances {
        let eligible = &problem.kinds[facts.kind.at()].eligible;
        let Some(one) = eligible.iter().next() else { continue };
        union.union(facts.host.at(), one.at());
        if joined.insert(Arc::as_ptr(eligible)) {
            eligible.iter().for_each(|other| _ = union.union(one.at(), other.at()));
        }
    }
    for group in problem.groups.iter().filter(|group| group.policy == GroupPolicy::Affinity) {
        let hosts: Vec<usize> = group.members.iter().map(|member| problem.instances[member.at()].host.at()).collect();
        hosts.windows(2).for_each(|pair| _ = union.union(pair[0], pair[1]));
    }
    union.into_labeling()
}

impl Part {
    fn new(whole: &Problem, hosts: Vec<HostIdx>) -> Self {
        let mut instances: Vec<InstanceIdx> =
            hosts.iter().flat_map(|host| whole.hosts[host.at()].instances.iter().copied()).collect();
        instances.sort_unstable();
        let fleet = Arc::new(cut(&whole.fleet, &hosts, &instances));
        Self { problem: Problem::new(fleet, whole.request.clone()), hosts, instances }
    }

    /// A placement of the part as one of the whole, in which nothing else moves.
    pub(crate) fn in_whole(&self, whole: &Problem, part: &Placement) -> Placement {
        let mut placement = whole.standing();
        for (instance, host) in self.instances.iter().zip(&part.host) {
            placement.host[instance.at()] = self.hosts[host.at()];
        }
        placement.refused = part.refused.iter().map(|refused| self.instances[refused.at()]).collect();
        placement
    }
}

/// The fleet without all other hosts and instances.
fn cut(fleet: &Fleet, hosts: &[HostIdx], instances: &[InstanceIdx]) -> Fleet {
    let mut document = fleet.document().clone();
    document.hosts = hosts.iter().map(|host| fleet.hosts()[host.at()].clone()).collect();
    document.instances = instances.iter().map(|at| fleet.instances()[at.at()].clone()).collect();
    let kept: HashSet<&str> = document.instances.iter().map(|instance| instance.id.as_str()).collect();
    document.server_groups.iter_mut().for_each(|group| group.members.retain(|member| kept.contains(member.as_str())));
    document.server_groups.retain(|group| !group.members.is_empty());
    Fleet::from_document(document).expect("a checked fleet stays one without some hosts and what is on them")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::small_fleet::{document, evacuate, fleet, group, random};
    use crate::{Limits, placement};

    fn names(part: &Part) -> Vec<&str> {
        part.problem.fleet.hosts().iter().map(|host| host.name.as_str()).collect()
    }

    #[test]
    fn hosts_are_in_one_part_if_an_instance_may_go_from_one_to_the_other() {
        let mut document = document(&[("a", 9), ("b", 9), ("c", 9), ("d", 9)], &[("i", "a", 5), ("j", "c", 5)]);
        for (host, zone) in document.hosts.iter_mut().zip(["east", "west", "east", "west"]) {
            host.zone = Some(zone.into());
        }
        document.instances.iter_mut().for_each(|instance| instance.zone = Some("east".into()));
        let problem = Problem::new(fleet(document), evacuate(&[]));
        assert_eq!(parts(&problem).iter().map(names).collect::<Vec<_>>(), [vec!["a", "c"], vec!["b"], vec!["d"]]);
    }

    #[test]
    fn a_hard_affinity_group_is_never_cut() {
        let mut document = document(&[("a", 9), ("b", 9)], &[("i", "a", 5), ("j", "b", 5)]);
        document.instances.iter_mut().for_each(|instance| instance.pinned = true);
        assert_eq!(parts(&Problem::new(fleet(document.clone()), evacuate(&[]))).len(), 2);
        document.server_groups = vec![group("together", GroupPolicy::Affinity, &["i", "j"])];
        assert_eq!(parts(&Problem::new(fleet(document), evacuate(&[]))).len(), 1);
    }

    #[test]
    fn an_evacuation_refuses_and_displaces_as_much_in_its_part_as_in_the_whole() {
        for seed in 0..60 {
            let fleet = fleet(random(seed));
            let name = fleet.hosts()[0].name.as_str();
            let whole = Problem::new(Arc::clone(&fleet), evacuate(&[name]));
            let in_whole = placement::place(&whole, &Limits::UNTIMED, &[]);
            let nothing_asked = Problem::new(Arc::clone(&fleet), evacuate(&[]));
            let part = &parts(&nothing_asked)[0];
            let asked = Problem::new(Arc::clone(&part.problem.fleet), evacuate(&[name]));
            let in_part = placement::place(&asked, &Limits::UNTIMED, &[]);
            assert_eq!(in_part.refused, in_whole.refused, "seed {seed}");
            assert_eq!(in_part.displaced.bound, in_whole.displaced.bound, "seed {seed}");
            let mapped = part.in_whole(&whole, &in_part.placement);
            assert_eq!(mapped.refused.len(), in_whole.placement.refused.len(), "seed {seed}");
        }
    }
}
