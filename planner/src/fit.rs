//! Fitting instances into the headroom as it is, and undoing it.
//!
//! Best fit by decreasing size: the largest first, each to the host it fills best. A failure proves nothing (another
//! order might succeed), a success is a plan: nobody else moves, so any order of the moves will do.

mod exchange;

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use decant_schema::fleet::GroupPolicy;
use rustc_hash::FxHashMap;

use crate::problem::{GroupIdx, HostIdx, HostSet, InstanceIdx, Problem, Task};

/// The headroom and the groups of every host, changed by trials and put back after each.
pub(crate) struct Room<'a> {
    problem: &'a Problem,
    /// Headroom − kept, by host, then class.
    free: Vec<i64>,
    /// Members of hard anti-affinity groups, by group and host.
    members: FxHashMap<(GroupIdx, HostIdx), u32>,
    /// What was put where, so that it can be put back.
    placed: Vec<(InstanceIdx, HostIdx)>,
    /// Those of `placed` that only made room: what they left behind is free.
    displaced: BTreeSet<InstanceIdx>,
    /// Hosts that receive nothing in this trial.
    pub(crate) out: HostSet,
    /// By host: those of a smaller rank are preferred, those beyond `rank_max` not used.
    pub(crate) rank: Vec<u8>,
    /// See `rank`.
    pub(crate) rank_max: u8,
    /// Whether each goes where most is left, instead of where least is.
    pub(crate) is_even: bool,
    /// The mean capacity of a host, by class: the yardstick for size.
    mean: Vec<f64>,
}

impl<'a> Room<'a> {
    #[expect(clippy::cast_precision_loss, reason = "a yardstick; amounts are within 2^53")]
    pub(crate) fn new(problem: &'a Problem) -> Self {
        let hosts = &problem.hosts;
        let free =
            hosts.iter().flat_map(|host| host.free.iter().zip(&host.keep).map(|(free, keep)| free - keep)).collect();
        let mut members = FxHashMap::default();
        for (at, group) in problem.groups.iter().enumerate() {
            for member in &group.members {
                *members.entry((GroupIdx::new(at), problem.instances[member.at()].host)).or_default() += 1;
            }
        }
        let mean = (0..problem.classes.len())
            .map(|class| hosts.iter().map(|host| host.capacity[class] as f64).sum::<f64>() / hosts.len() as f64)
            .map(|mean| mean.max(1.0))
            .collect();
        Self {
            problem,
            free,
            members,
            placed: Vec::new(),
            displaced: BTreeSet::new(),
            out: HostSet::default(),
            rank: vec![0; hosts.len()],
            rank_max: 0,
            is_even: false,
            mean,
        }
    }

    /// Whether a host can be emptied directly. Puts everything back. What may not move has no eligible host.
    pub(crate) fn empties(&mut self, host: HostIdx) -> bool {
        let problem = self.problem;
        self.fits(&problem.hosts[host.at()].instances)
    }

    /// Whether all of these find a place. Puts everything back; see [`Room::fit`] to keep it.
    pub(crate) fn fits(&mut self, instances: &[InstanceIdx]) -> bool {
        let before = self.placed.len();
        let fits = self.fit(instances);
        self.put_back(before);
        fits
    }

    /// What was placed and not put back, in the order of placing.
    pub(crate) fn placed(&self) -> &[(InstanceIdx, HostIdx)] {
        &self.placed
    }

    /// Places all of these, or none. Those of one host that share a hard affinity group go together; one that is in
    /// several such groups is more than a direct fit decides.
    pub(crate) fn fit(&mut self, instances: &[InstanceIdx]) -> bool {
        let before = self.placed.len();
        let (bound, free): (Vec<_>, Vec<_>) = instances.iter().copied().partition(|at| self.problem.is_bound(*at));
        let fits = self.fit_companies(&bound) && self.by_size(&free).into_iter().all(|instance| self.place(instance));
        if !fits {
            self.put_back(before);
        }
        fits
    }

    /// Places those bound by affinity, group by group; all of them, or not for good.
    fn fit_companies(&mut self, bound: &[InstanceIdx]) -> bool {
        let mut companies: BTreeMap<GroupIdx, Vec<InstanceIdx>> = BTreeMap::new();
        for instance in bound {
            let mut groups = self.problem.binding_groups(*instance);
            let (Some(group), None) = (groups.next(), groups.next()) else { return false };
            companies.entry(group).or_default().push(*instance);
        }
        companies.iter().all(|(group, company)| self.place_together(*group, company))
    }

    /// Places members of a group that leave one host: where others of it are or, if they are company enough, anywhere.
    fn place_together(&mut self, group: GroupIdx, company: &[InstanceIdx]) -> bool {
        let first = company[0];
        let joined = |host: HostIdx| self.members.get(&(group, host)).is_some_and(|members| *members > 0);
        let complete = company.len() == self.problem.groups[group.at()].members.len();
        let open = self.open_hosts(first).filter(|host| company.len() > 1 || complete || joined(*host));
        let mut hosts: Vec<HostIdx> = open.collect();
        hosts.sort_by(|a, b| self.prefer(*a, *b));
        hosts.into_iter().any(|host| self.put_all(company, host))
    }

    /// Puts all of these on the host, or none.
    fn put_all(&mut self, company: &[InstanceIdx], host: HostIdx) -> bool {
        let before = self.placed.len();
        let fits = company.iter().all(|instance| {
            let fits = self.problem.kind(*instance).eligible.contains(host) && self.takes(*instance, host);
            if fits {
                self.put(*instance, host, false);
            }
            fits
        });
        if !fits {
            self.put_back(before);
        }
        fits
    }

    /// The memory that would have to be displaced so that a host can be emptied, as far as a few third parties of one
    /// host at a time make room; MiB. Puts everything back. `None` proves nothing; a number is what an order of moves
    /// achieves: each step only uses room that the steps before it left.
    pub(crate) fn empties_displacing(&mut self, host: HostIdx) -> Option<u64> {
        let problem = self.problem;
        let before = self.placed.len();
        self.out.insert(host);
        let instances = self.by_size(&problem.hosts[host.at()].instances);
        let fits = instances
            .into_iter()
            .all(|instance| !self.problem.is_bound(instance) && (self.place(instance) || self.make_room(instance)));
        let memory: i64 = self.displaced.iter().map(|instance| problem.kind(*instance).memory).sum();
        self.put_back(before);
        self.out.remove(host);
        fits.then(|| u64::try_from(memory).unwrap_or(0))
    }

    /// Places an instance where the third parties that make room for it are smallest and find other places.
    fn make_room(&mut self, instance: InstanceIdx) -> bool {
        let mut ways: Vec<(i64, HostIdx, Vec<InstanceIdx>)> = Vec::new();
        for host in self.problem.kind(instance).eligible.iter().filter(|host| !self.out.contains(*host)) {
            for leaving in self.leaving(instance, host) {
                ways.push((leaving.iter().map(|other| self.problem.kind(*other).memory).sum(), host, leaving));
            }
        }
        ways.sort_unstable();
        ways.into_iter().any(|(_, host, leaving)| {
            let before = self.placed.len();
            let gone = leaving.into_iter().all(|other| match self.best_host(other) {
                Some(elsewhere) if elsewhere != host => {
                    self.put(other, elsewhere, true);
                    true
                }
                _ => false,
            });
            if gone && self.takes(instance, host) {
                self.put(instance, host, false);
                return true;
            }
            self.put_back(before);
            false
        })
    }

    /// Third parties of a host whose leaving makes room for an instance: the smallest that does alone, and a few small
    /// ones that do together.
    fn leaving(&self, instance: InstanceIdx, host: HostIdx) -> Vec<Vec<InstanceIdx>> {
        let problem = self.problem;
        let movable = |other: &InstanceIdx| {
            problem.instances[other.at()].task == Task::MayMove
                && !self.problem.is_bound(*other)
                && !self.is_moved(*other)
        };
        let mut movable: Vec<InstanceIdx> =
            problem.hosts[host.at()].instances.iter().copied().filter(movable).collect();
        movable.sort_by_key(|other| (problem.kind(*other).memory, *other));
        let need = &problem.kind(instance).need;
        let free = &self.free[host.at() * need.len()..][..need.len()];
        let short: Vec<i64> =
            need.iter().zip(free).map(|(need, free)| if *need > 0 { need - free } else { 0 }).collect();
        let alone = movable.iter().find(|other| covers(&short, &problem.kind(**other).claim)).map(|other| vec![*other]);
        alone.into_iter().chain(few_that_cover(problem, short, &movable)).collect()
    }

    fn is_moved(&self, instance: InstanceIdx) -> bool {
        self.displaced.contains(&instance)
    }

    fn place(&mut self, instance: InstanceIdx) -> bool {
        let Some(host) = self.best_host(instance) else { return false };
        self.put(instance, host, false);
        true
    }

    fn put(&mut self, instance: InstanceIdx, host: HostIdx, displaced: bool) {
        if displaced {
            self.displaced.insert(instance);
            self.release(instance, 1);
        }
        self.change(instance, host, 1);
        self.placed.push((instance, host));
    }

    /// Takes away all that was placed beyond the first so many.
    pub(crate) fn put_back(&mut self, down_to: usize) {
        while self.placed.len() > down_to
            && let Some((instance, host)) = self.placed.pop()
        {
            self.change(instance, host, -1);
            if self.displaced.remove(&instance) {
                self.release(instance, -1);
            }
        }
    }

    /// Gives a third party's host back what it left.
    fn release(&mut self, instance: InstanceIdx, times: i64) {
        let home = self.problem.instances[instance.at()].host;
        let claim = &self.problem.kind(instance).claim;
        self.free[home.at() * claim.len()..].iter_mut().zip(claim).for_each(|(free, claim)| *free += claim * times);
        for group in &self.problem.instances[instance.at()].groups {
            let members = self.members.entry((*group, home)).or_default();
            *members = if times > 0 { *members - 1 } else { *members + 1 };
        }
    }

    /// Room at the source is not given back: it is emptied, or gone, but for [`Room::release`].
    fn change(&mut self, instance: InstanceIdx, host: HostIdx, times: i64) {
        let need = &self.problem.kind(instance).need;
        let at = host.at() * need.len();
        self.free[at..].iter_mut().zip(need).for_each(|(free, need)| *free -= need * times);
        for group in &self.problem.instances[instance.at()].groups {
            let members = self.members.entry((*group, host)).or_default();
            *members = if times > 0 { *members + 1 } else { *members - 1 };
        }
    }

    /// The host that would have the least left, measured by its scarcest classes.
    fn best_host(&self, instance: InstanceIdx) -> Option<HostIdx> {
        self.open_hosts(instance).min_by(|a, b| self.prefer(*a, *b))
    }

    /// The hosts that take an instance now.
    fn open_hosts(&self, instance: InstanceIdx) -> impl Iterator<Item = HostIdx> + '_ {
        let home = self.problem.instances[instance.at()].host;
        let open = |host: &HostIdx| !self.out.contains(*host) && self.rank[host.at()] <= self.rank_max;
        let hosts = self.problem.kind(instance).eligible.iter();
        hosts.filter(move |host| *host != home && open(host) && self.takes(instance, *host))
    }

    fn prefer(&self, a: HostIdx, b: HostIdx) -> Ordering {
        let rank = |host: HostIdx| self.rank[host.at()];
        let left = self.left(a).total_cmp(&self.left(b));
        rank(a).cmp(&rank(b)).then(if self.is_even { left.reverse() } else { left }).then(a.cmp(&b))
    }

    fn takes(&self, instance: InstanceIdx, host: HostIdx) -> bool {
        let need = &self.problem.kind(instance).need;
        let free = &self.free[host.at() * need.len()..];
        let room = need.iter().zip(free).all(|(need, free)| *need == 0 || need <= free);
        room && self.problem.instances[instance.at()].groups.iter().all(|group| self.group_takes(*group, host))
    }

    fn group_takes(&self, group: GroupIdx, host: HostIdx) -> bool {
        let facts = &self.problem.groups[group.at()];
        facts.policy != GroupPolicy::AntiAffinity
            || self.members.get(&(group, host)).copied().unwrap_or(0) < facts.max_per_host
    }

    #[expect(clippy::cast_precision_loss, reason = "a measure of fullness; amounts are within 2^53")]
    fn left(&self, host: HostIdx) -> f64 {
        let free = &self.free[host.at() * self.mean.len()..];
        self.mean.iter().zip(free).map(|(mean, free)| *free as f64 / mean).sum()
    }

    fn by_size(&self, instances: &[InstanceIdx]) -> Vec<InstanceIdx> {
        let mut by_size = instances.to_vec();
        by_size.sort_by(|a, b| self.size(*b).total_cmp(&self.size(*a)).then(a.cmp(b)));
        by_size
    }

    #[expect(clippy::cast_precision_loss, reason = "a measure of size; amounts are within 2^53")]
    fn size(&self, instance: InstanceIdx) -> f64 {
        self.mean.iter().zip(&self.problem.kind(instance).need).map(|(mean, need)| *need as f64 / mean).sum()
    }
}

/// The most third parties that leave one host for one arrival; with more of them, another host would do better.
const LEAVING_MAX: usize = 6;

/// Of instances by size the smallest that make up for a shortage together, without those it does not need.
fn few_that_cover(problem: &Problem, mut short: Vec<i64>, by_size: &[InstanceIdx]) -> Option<Vec<InstanceIdx>> {
    let claims = |other: InstanceIdx| &problem.kind(other).claim;
    let helps = |short: &[i64], other| short.iter().zip(claims(other)).any(|(short, claim)| *short > 0 && *claim > 0);
    let mut few = Vec::new();
    for other in by_size {
        if short.iter().all(|short| *short <= 0) {
            break;
        }
        if helps(&short, *other) {
            short.iter_mut().zip(claims(*other)).for_each(|(short, claim)| *short -= claim);
            few.push(*other);
        }
    }
    few.retain(|other| {
        let spared: Vec<i64> = short.iter().zip(claims(*other)).map(|(short, claim)| short + claim).collect();
        let needed = spared.iter().any(|short| *short > 0);
        if !needed {
            short = spared;
        }
        needed
    });
    (short.iter().all(|short| *short <= 0) && (2..=LEAVING_MAX).contains(&few.len())).then_some(few)
}

fn covers(short: &[i64], claim: &[i64]) -> bool {
    short.iter().zip(claim).all(|(short, claim)| short <= claim)
}
