//! Who cannot leave for want of company: hard affinity that no host can satisfy.
//!
//! Whoever moves ends with another of its group, and the group on no more hosts than before. So one that was on a single
//! host stays there or goes as a whole; and whoever has to be company must be able to come, and find room beside what
//! never leaves. Each of these is necessary whatever else is placed, so that those without any host are refused by
//! every plan.

use decant_schema::request::RequestKind;

use crate::problem::{GroupIdx, HostFacts, HostIdx, InstanceIdx, Problem, Task};

use super::tally::Ground;

/// Those asked to go whom affinity leaves nowhere else to be, though nothing else keeps them. Over the rounds of a
/// maintenance hosts change, so nothing is said there.
pub(super) fn stranded(ground: &Ground<'_>) -> Vec<InstanceIdx> {
    let problem = ground.problem;
    let rolling = matches!(problem.request.kind, RequestKind::Rolling { .. });
    let asked = |at: &InstanceIdx| matches!(problem.instances[at.at()].task, Task::Leave | Task::Resize);
    let all = || (0..problem.instances.len()).map(InstanceIdx::new);
    let bound = |at: &InstanceIdx| !rolling && asked(at) && ground.departs(*at) && ground.problem.is_bound(*at);
    let mut bound: Vec<InstanceIdx> = all().filter(bound).collect();
    if bound.is_empty() {
        return bound;
    }
    let mut left = Left { ground, free: emptiest(ground), stranded: Vec::new() };
    // One that stays takes the company of others.
    loop {
        let (alone, others): (Vec<_>, Vec<_>) = bound.into_iter().partition(|at| !left.has_company(*at));
        if alone.is_empty() {
            return left.stranded;
        }
        left.stranded.extend(alone);
        bound = others;
    }
}

/// By host: the room beyond what is kept once all that may leave or shrink has done so.
fn emptiest(ground: &Ground<'_>) -> Vec<Vec<i64>> {
    let problem = ground.problem;
    let room = |host: &HostFacts| host.free.iter().zip(&host.keep).map(|(free, keep)| free - keep).collect();
    let mut free: Vec<Vec<i64>> = problem.hosts.iter().map(room).collect();
    for (at, facts) in problem.instances.iter().enumerate() {
        let at = InstanceIdx::new(at);
        let kind = problem.kind(at);
        for ((free, claim), need) in free[facts.host.at()].iter_mut().zip(&kind.claim).zip(&kind.need) {
            *free += if ground.departs(at) { *claim } else { (claim - need).max(0) };
        }
    }
    free
}

/// What can still leave its host.
struct Left<'g, 'a> {
    ground: &'g Ground<'a>,
    free: Vec<Vec<i64>>,
    stranded: Vec<InstanceIdx>,
}

impl Left<'_, '_> {
    fn problem(&self) -> &Problem {
        self.ground.problem
    }

    fn departs(&self, instance: InstanceIdx) -> bool {
        self.ground.departs(instance) && !self.stranded.contains(&instance)
    }

    /// Whether any host could take it, with all its groups.
    fn has_company(&self, instance: InstanceIdx) -> bool {
        let mut hosts = self.problem().kind(instance).eligible.iter();
        hosts.any(|host| self.ground.problem.binding_groups(instance).all(|group| self.joins(instance, group, host)))
    }

    fn joins(&self, instance: InstanceIdx, group: GroupIdx, host: HostIdx) -> bool {
        let members = &self.problem().groups[group.at()].members;
        let others: Vec<InstanceIdx> = members.iter().copied().filter(|member| *member != instance).collect();
        let home = |at: InstanceIdx| self.problem().instances[at.at()].host;
        let before = self.ground.hosts_of(group);
        if before.len() == 1 {
            return others.iter().all(|other| self.may_be(*other, host)) && self.fit(instance, &others, host);
        }
        let mut kept: Vec<HostIdx> = others.iter().filter(|other| !self.departs(**other)).map(|at| home(*at)).collect();
        kept.push(host);
        kept.sort_unstable();
        kept.dedup();
        kept.len() <= before.len()
            && others.iter().any(|other| self.may_be(*other, host) && self.fit(instance, &[*other], host))
    }

    fn may_be(&self, instance: InstanceIdx, host: HostIdx) -> bool {
        self.problem().instances[instance.at()].host == host
            || self.departs(instance) && self.problem().admits(instance, host)
    }

    /// Whether an arrival and these find room together, in the classes the arrival takes.
    fn fit(&self, arrival: InstanceIdx, others: &[InstanceIdx], host: HostIdx) -> bool {
        let need = &self.problem().kind(arrival).need;
        (0..need.len()).filter(|class| need[*class] > 0).all(|class| {
            let taken: i64 = others.iter().map(|other| self.takes(*other, class, host)).sum();
            need[class] + taken <= self.free[host.at()][class]
        })
    }

    /// The least that one takes of a host on which it is counted as gone, if it can be.
    fn takes(&self, instance: InstanceIdx, class: usize, host: HostIdx) -> i64 {
        let kind = self.problem().kind(instance);
        match (self.problem().instances[instance.at()].host == host, self.ground.departs(instance)) {
            (true, false) => 0,
            (true, true) => kind.need[class].min(kind.claim[class]),
            (false, _) => kind.need[class],
        }
    }
}
