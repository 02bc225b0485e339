//! Making room by exchange.
//!
//! Where every host has run out of one class or another, nobody can simply make way: what leaves a host without cores
//! finds cores only where there is no memory. Two instances that change places need room only for their difference.

use super::{HostIdx, InstanceIdx, Room, Task};

/// Hosts tried for one instance, those that lack least first.
const HOSTS_MAX: usize = 8;

/// Exchanges for one instance: with more of them, another host would do better.
const EXCHANGES_MAX: usize = 12;

/// One leaves a host for the other's place, and the other takes its own.
struct Exchange {
    here: InstanceIdx,
    there: InstanceIdx,
    /// What the host lacks less by it, in mean hosts for each MiB that moves.
    gain: f64,
}

impl Room<'_> {
    /// Where everybody would go so that a host is emptied, others making way or changing places. Puts everything back.
    /// `None` proves nothing, and whether there is an order of the moves is another question.
    pub(crate) fn empties_exchanging(&mut self, host: HostIdx) -> Option<Vec<(InstanceIdx, HostIdx)>> {
        let before = self.placed.len();
        self.out.insert(host);
        let instances = self.by_size(&self.problem.hosts[host.at()].instances);
        let fits = instances.into_iter().all(|instance| {
            !self.problem.is_bound(instance)
                && (self.place(instance) || self.make_room(instance) || self.exchange_for(instance))
        });
        let moves = self.placed[before..].to_vec();
        self.put_back(before);
        self.out.remove(host);
        fits.then_some(moves)
    }

    /// Places an instance on the first host where exchanges make room for it.
    fn exchange_for(&mut self, instance: InstanceIdx) -> bool {
        let eligible = self.problem.kind(instance).eligible.iter().filter(|host| !self.out.contains(*host));
        let mut hosts: Vec<(f64, HostIdx)> =
            eligible.map(|host| (self.lack(&self.short(instance, host)), host)).collect();
        hosts.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        hosts.into_iter().take(HOSTS_MAX).any(|(_, host)| self.exchange_on(instance, host))
    }

    /// Places an instance on a host if exchanges make room for it there; else leaves all as it was.
    fn exchange_on(&mut self, instance: InstanceIdx, host: HostIdx) -> bool {
        let before = self.placed.len();
        for _ in 0..EXCHANGES_MAX {
            let Some(exchange) = self.best_exchange(&self.short(instance, host), host) else { break };
            let home = self.problem.instances[exchange.there.at()].host;
            self.put(exchange.here, home, true);
            self.put(exchange.there, host, true);
            if self.takes(instance, host) {
                self.put(instance, host, false);
                return true;
            }
        }
        self.put_back(before);
        false
    }

    /// The exchange by which a host comes to lack less at the least memory moved.
    fn best_exchange(&self, short: &[i64], host: HostIdx) -> Option<Exchange> {
        let lack = self.lack(short);
        let mut best: Option<Exchange> = None;
        let here = self.one_of_each_kind(host);
        for there in (0..self.problem.hosts.len()).map(HostIdx::new) {
            if there == host || self.out.contains(there) || !self.has_what_is_short(short, there) {
                continue;
            }
            for other in self.one_of_each_kind(there) {
                for one in here.iter().copied() {
                    let gain = (lack - self.lack(&self.short_after(short, one, other))) / self.memory_of(one, other);
                    let better = gain > best.as_ref().map_or(0.0, |best| best.gain);
                    if better && self.may_exchange(one, other) {
                        best = Some(Exchange { here: one, there: other, gain });
                    }
                }
            }
        }
        best
    }

    /// Third parties of a host that may leave it and did not yet, one of each kind and groups.
    fn one_of_each_kind(&self, host: HostIdx) -> Vec<InstanceIdx> {
        let facts = |at: &InstanceIdx| &self.problem.instances[at.at()];
        let movable =
            |at: &InstanceIdx| facts(at).task == Task::MayMove && !self.problem.is_bound(*at) && !self.is_moved(*at);
        let mut each: Vec<InstanceIdx> =
            self.problem.hosts[host.at()].instances.iter().copied().filter(movable).collect();
        each.sort_by_key(|at| (facts(at).kind, *at));
        each.dedup_by(|a, b| facts(a).kind == facts(b).kind && facts(a).groups == facts(b).groups);
        each
    }

    /// Whether rules, groups and the room at the other's host let two change places; the room here is another matter.
    fn may_exchange(&self, here: InstanceIdx, there: InstanceIdx) -> bool {
        let home = |at: InstanceIdx| self.problem.instances[at.at()].host;
        let may_go = |at: InstanceIdx, to: HostIdx| {
            let mut groups = self.problem.instances[at.at()].groups.iter();
            self.problem.admits(at, to) && groups.all(|group| self.group_takes(*group, to))
        };
        let (need, claim) = (&self.problem.kind(here).need, &self.problem.kind(there).claim);
        let free = &self.free[home(there).at() * need.len()..];
        let room = need.iter().zip(free).zip(claim).all(|((need, free), claim)| *need <= claim + free.max(&0));
        room && may_go(here, home(there)) && may_go(there, home(here))
    }

    /// What an instance lacks on a host, by class; negative where there is room to spare.
    fn short(&self, instance: InstanceIdx, host: HostIdx) -> Vec<i64> {
        let need = &self.problem.kind(instance).need;
        need.iter().zip(&self.free[host.at() * need.len()..]).map(|(need, free)| need - free).collect()
    }

    fn short_after(&self, short: &[i64], leaves: InstanceIdx, comes: InstanceIdx) -> Vec<i64> {
        let (claim, need) = (&self.problem.kind(leaves).claim, &self.problem.kind(comes).need);
        short.iter().zip(claim.iter().zip(need)).map(|(short, (claim, need))| short - claim + need).collect()
    }

    /// What is lacking over all classes, in mean hosts.
    #[expect(clippy::cast_precision_loss, reason = "a measure of nearness; amounts are within 2^53")]
    fn lack(&self, short: &[i64]) -> f64 {
        short.iter().zip(&self.mean).map(|(short, mean)| (*short).max(0) as f64 / mean).sum()
    }

    fn has_what_is_short(&self, short: &[i64], host: HostIdx) -> bool {
        short.iter().zip(&self.free[host.at() * short.len()..]).any(|(short, free)| *short > 0 && *free > 0)
    }

    #[expect(clippy::cast_precision_loss, reason = "a weight; amounts are within 2^53")]
    fn memory_of(&self, one: InstanceIdx, other: InstanceIdx) -> f64 {
        (self.problem.kind(one).memory + self.problem.kind(other).memory).max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use decant_schema::fleet::FleetDocument;

    use super::*;
    use crate::problem::Problem;
    use crate::small_fleet::{document, evacuate, flavor, fleet, inventory, memory_class, random};
    use crate::{Limits, placement};

    /// `wide` has memory but no cores left, `narrow` cores but no memory, and neither has both.
    fn out_of_one_class_each() -> FleetDocument {
        let mut document = document(&[("old", 64), ("wide", 64), ("narrow", 64)], &[]);
        for (host, cores) in document.hosts.iter_mut().zip([8, 12, 24]) {
            host.inventory.insert("VCPU".into(), inventory(cores));
        }
        for (name, memory, cores) in [("even", 12, 4), ("busy", 20, 6), ("calm", 32, 2)] {
            document.flavors.push(flavor(name, [(memory_class(), memory), ("VCPU".into(), cores)].into()));
        }
        for (id, host, flavor) in [
            ("x", "old", "even"),
            ("y", "wide", "busy"),
            ("z", "wide", "busy"),
            ("v", "narrow", "calm"),
            ("w", "narrow", "calm"),
        ] {
            document.instances.push(crate::small_fleet::instance(id, host, flavor));
        }
        document
    }

    #[test]
    fn two_change_places_where_nobody_can_make_way() {
        let problem = Problem::new(fleet(out_of_one_class_each()), evacuate(&[]));
        let old = HostIdx::new(problem.fleet.host_index("old").expect("a host of the fleet"));
        let mut room = Room::new(&problem);
        assert_eq!((room.empties(old), room.empties_displacing(old)), (false, None));
        let moves = room.empties_exchanging(old).expect("two that change places");
        let moves: Vec<(&str, &str)> = moves
            .iter()
            .map(|(at, host)| {
                (problem.fleet.instances()[at.at()].id.as_str(), problem.fleet.hosts()[host.at()].name.as_str())
            })
            .collect();
        assert_eq!(moves, [("v", "wide"), ("y", "narrow"), ("x", "narrow")]);
    }

    /// Whatever it answers, room and hard anti-affinity hold in the end, all are gone, and nobody goes where the rules
    /// forbid; and no placement is proven to be impossible.
    #[test]
    fn where_everybody_goes_holds_on_fleets_by_chance() {
        let mut seen = 0;
        for seed in 0..300 {
            let fleet = fleet(random(seed));
            let problem = Problem::new(Arc::clone(&fleet), evacuate(&[]));
            let Some(moves) = Room::new(&problem).empties_exchanging(HostIdx::new(0)) else { continue };
            seen += 1;
            let mut end = problem.standing().host;
            for (at, host) in &moves {
                assert!(problem.admits(*at, *host), "seed {seed}");
                end[at.at()] = *host;
            }
            for (at, facts) in problem.hosts.iter().enumerate().map(|(at, facts)| (HostIdx::new(at), facts)) {
                let there: Vec<usize> = (0..end.len()).filter(|instance| end[*instance] == at).collect();
                assert!(at.at() != 0 || there.is_empty(), "seed {seed}");
                for class in 0..problem.classes.len() {
                    let claim = |instance: &usize| problem.kind(InstanceIdx::new(*instance)).claim[class];
                    let used: i64 = there.iter().map(claim).sum();
                    let before: i64 = facts.instances.iter().map(|instance| problem.kind(*instance).claim[class]).sum();
                    assert!(used <= facts.capacity[class].max(before), "seed {seed}");
                }
            }
            let asked = Problem::new(fleet, evacuate(&[problem.fleet.hosts()[0].name.as_str()]));
            assert_eq!(placement::place(&asked, &Limits::UNTIMED, &[]).refused.bound, 0, "seed {seed}");
        }
        assert!(seen > 20, "{seen} fleets by chance were answered");
    }
}
