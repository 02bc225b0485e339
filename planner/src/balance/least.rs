//! How even a placement can be at best, at what the goals before it have reached.
//!
//! What is asked to move is sand: it weighs on nobody. Third parties weigh on their hosts until they leave, and no more
//! of their memory leaves than the plan displaces. So a level that every host is to sink to has a price, in memory: on
//! each host, for the class that needs most of it, the cheapest third parties per unit, the last in part, and at least one
//! whole where any must go. The lowest level that is not too dear is the bound (a relaxed knapsack cover per host).

use super::{add, averages, counted, excess, free_after, share};
use crate::problem::{Amounts, HostIdx, Placement, Problem, Task};

/// Halvings of the interval in which the level lies: each level tried is one bit of a share.
const HALVINGS: u32 = 40;

/// No placement that refuses nobody and displaces no more memory than this, MiB, is more even.
pub(crate) fn imbalance_bound(problem: &Problem, placement: &Placement, displaced: u64) -> f64 {
    let standing = standing(problem);
    let total = free_after(problem, placement);
    let highest = excess(problem, &standing, &total);
    if displaced == 0 {
        return highest;
    }
    let covers = Covers::new(problem, &standing, averages(problem, &total));
    let (mut too_dear, mut level) = (0.0, highest);
    let is_too_dear = |level| covers.price(level, displaced) > exact(displaced) + ROUNDING;
    if !is_too_dear(0.0) {
        return 0.0;
    }
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(too_dear, level);
        if is_too_dear(middle) {
            too_dear = middle;
        } else {
            level = middle;
        }
    }
    too_dear
}

/// Room of every host when what is asked to move is gone and has not arrived.
fn standing(problem: &Problem) -> Vec<Amounts> {
    let mut free: Vec<Amounts> = problem.hosts.iter().map(|host| host.free.clone()).collect();
    for instance in problem.instances.iter().filter(|instance| matches!(instance.task, Task::Leave | Task::Resize)) {
        add(&mut free[instance.host.at()], &problem.kinds[instance.kind.at()].claim);
    }
    free
}

/// What it takes to bring hosts down to a level.
struct Covers {
    hosts: Vec<Vec<Cover>>,
}

/// One class of one host.
struct Cover {
    /// The share used above the average, and the capacity.
    above: f64,
    capacity: f64,
    /// Third parties by memory per unit of the class: amount, memory.
    cheapest: Vec<(f64, f64)>,
    /// The least memory of any that has some of the class.
    least: f64,
}

impl Covers {
    fn new(problem: &Problem, standing: &[Amounts], averages: Vec<f64>) -> Self {
        let mut hosts: Vec<Vec<Cover>> = (0..problem.hosts.len()).map(|_| Vec::new()).collect();
        for (at, class) in counted(problem) {
            let host = &problem.hosts[at];
            let above = share(host, &standing[at], class) - averages[class];
            if above > 0.0 {
                hosts[at].push(Cover::new(problem, HostIdx::new(at), class, above));
            }
        }
        hosts.retain(|covers| !covers.is_empty());
        Self { hosts }
    }

    /// The least memory that must move so that no host is further above the average than the level; no more is counted
    /// than it takes to be beyond `enough`.
    fn price(&self, level: f64, enough: u64) -> f64 {
        let mut price = 0.0;
        for covers in &self.hosts {
            price += covers.iter().map(|cover| cover.price((cover.above - level) * cover.capacity)).fold(0.0, f64::max);
            if price > exact(enough) + ROUNDING {
                return price;
            }
        }
        price
    }
}

impl Cover {
    fn new(problem: &Problem, host: HostIdx, class: usize, above: f64) -> Self {
        let facts = &problem.hosts[host.at()];
        let third_parties = facts.instances.iter().filter(|at| problem.instances[at.at()].task == Task::MayMove);
        let kinds = third_parties.map(|at| problem.kind(*at)).filter(|kind| kind.claim[class] > 0);
        let mut cheapest: Vec<(f64, f64)> =
            kinds.map(|kind| (signed(kind.claim[class]), signed(kind.memory))).collect();
        let least = cheapest.iter().map(|(_, memory)| *memory).fold(f64::INFINITY, f64::min);
        cheapest.sort_by(|a, b| (a.1 * b.0).total_cmp(&(b.1 * a.0)));
        Self { above, capacity: signed(facts.capacity[class]), cheapest, least }
    }

    /// The least memory that takes this much of the class along.
    fn price(&self, amount: f64) -> f64 {
        if amount <= ROUNDING {
            return 0.0;
        }
        let (mut left, mut price) = (amount - ROUNDING, 0.0);
        for (has, memory) in &self.cheapest {
            if left <= *has {
                return (price + memory * left / has).max(self.least);
            }
            price += memory;
            left -= has;
        }
        f64::INFINITY
    }
}

/// Amounts are whole; what is less than this is due to shares being rounded.
const ROUNDING: f64 = 1e-6;

#[expect(clippy::cast_precision_loss, reason = "amounts are within 2^53")]
fn signed(amount: i64) -> f64 {
    amount as f64
}

#[expect(clippy::cast_precision_loss, reason = "amounts are within 2^53")]
fn exact(amount: u64) -> f64 {
    amount as f64
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::balance::imbalance;
    use crate::problem::InstanceIdx;
    use crate::small_fleet::{document, evacuate, fleet, random};

    fn problem(hosts: &[(&str, u64)], instances: &[(&str, &str, u64)]) -> Problem {
        Problem::new(fleet(document(hosts, instances)), evacuate(&["e"]))
    }

    #[test]
    fn a_host_sinks_no_further_than_the_displaced_memory_lets_it() {
        let hosts = [("e", 100), ("h1", 100), ("h2", 100)];
        let problem = problem(&hosts, &[("a", "e", 10), ("b", "h1", 40), ("c", "h1", 20), ("d", "h1", 20)]);
        let placement = Placement { host: [2, 1, 1, 1].map(HostIdx::new).to_vec(), refused: Vec::new() };
        // 80 on h1, 45 on average: nobody, one of 20, two of 20 may leave.
        let bound = |displaced| imbalance_bound(&problem, &placement, displaced);
        assert!((bound(0) - 0.35).abs() < 1e-9);
        assert!((bound(19) - 0.35).abs() < 1e-6, "nobody has so little: {}", bound(19));
        assert!((bound(20) - 0.15).abs() < 1e-6, "{}", bound(20));
        assert!(bound(40).abs() < 1e-6, "{}", bound(40));
    }

    #[test]
    fn a_third_party_that_leaves_in_part_is_enough_whatever_the_shares_round_to() {
        let cover = |has: f64| Cover { above: 1.0, capacity: 1.0, cheapest: vec![(has, 10.0)], least: 10.0 };
        for has in (1..2000_u32).map(f64::from) {
            for amount in (1..50_u32).map(|part| has * f64::from(part) / 50.0) {
                assert!((cover(has).price(amount) - 10.0).abs() < 1e-9, "{amount} of {has}");
            }
        }
    }

    #[test]
    fn no_placement_of_a_small_fleet_is_more_even_than_its_bound() {
        for seed in 0..200 {
            let problem = Problem::new(fleet(random(seed)), evacuate(&["h0"]));
            let mut placement = problem.standing();
            for at in 0..placement.host.len() {
                let there = problem.kind(InstanceIdx::new(at)).eligible.iter();
                let there: Vec<HostIdx> = there.collect();
                let moves = problem.instances[at].task == Task::Leave
                    || (problem.instances[at].task == Task::MayMove && at % 3 == 0);
                if moves && !there.is_empty() {
                    placement.host[at] = there[(at + usize::try_from(seed).unwrap()) % there.len()];
                }
            }
            let moved = |at: &InstanceIdx| placement.host[at.at()] != problem.instances[at.at()].host;
            let displaced: i64 = problem.with_task(Task::MayMove).filter(moved).map(|at| problem.kind(at).memory).sum();
            let left = problem.with_task(Task::Leave).any(|at| !moved(&at));
            let (bound, reached) =
                (imbalance_bound(&problem, &placement, displaced.unsigned_abs()), imbalance(&problem, &placement));
            assert!(left || bound <= reached + 1e-9, "seed {seed}: {bound} is above {reached}");
        }
    }
}
