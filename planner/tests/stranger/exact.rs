//! Small random fleets against a whole integer model of where everybody may end, solved by HiGHS.
//!
//! One binary for every instance and host. It knows nothing of orders, so no plan can be better, and a plan is worse
//! only where there is no order to the better end.

use std::collections::{BTreeMap, BTreeSet};

use decant_schema::fleet::GroupPolicy;
use decant_schema::plan::TierName;
use good_lp::{Expression, Solution, SolverModel, Variable, constraint, highs, variable, variables};

use crate::facts::{Facts, Task};
use crate::fleets::{Shape, case};
use crate::planned::{planned, reached, whole};

/// The least that is refused, and the least memory displaced with as few refusals, MiB.
fn optimum(facts: &Facts<'_>) -> (i64, i64) {
    let refused = whole(solve(facts, None));
    (refused, whole(solve(facts, Some(refused)) * 1024.0))
}

/// Where an instance may end, each with its variable.
type Ends = BTreeMap<usize, BTreeMap<usize, Variable>>;

/// The least refusals; or, with these allowed, the least memory displaced in GiB.
#[expect(clippy::cast_precision_loss, reason = "amounts of a test are small")]
fn solve(facts: &Facts<'_>, refusals_max: Option<i64>) -> f64 {
    let mut vars = variables!();
    let mut ends: Ends = BTreeMap::new();
    let mut grows: BTreeMap<usize, Variable> = BTreeMap::new();
    let mut refused = Expression::default();
    let mut displaced = Expression::default();
    let mut constraints = Vec::new();
    for at in facts.instances() {
        let (home, task) = (facts.home(at), facts.task(at));
        let movable = !facts.fixed(at) && task != Task::Stay;
        let ends = ends.entry(at).or_default();
        let mut all = Expression::default();
        for host in facts.hosts().filter(|host| movable && facts.admits(at, home, *host)) {
            ends.insert(host, vars.add(variable().binary()));
            all += ends[&host];
            if task == Task::MayMove {
                displaced += ends[&host] * (facts.memory(at) as f64 / 1024.0);
            }
        }
        let stays = vars.add(variable().binary());
        ends.insert(home, stays);
        all += stays;
        constraints.push(constraint!(all == 1.0));
        if task == Task::Resize {
            let grown = vars.add(variable().binary().max(if facts.may_stay(at) { 1.0 } else { 0.0 }));
            constraints.push(constraint!(grown <= stays));
            refused += stays - grown;
            grows.insert(at, grown);
        } else if task == Task::Leave {
            refused += stays;
        }
    }
    for host in facts.hosts() {
        for class in 0..facts.classes.len() {
            let (mut comes, mut goes) = (Expression::default(), Expression::default());
            for (at, ends) in &ends {
                let (claim, need) = (facts.claim(*at)[class] as f64, facts.need(*at)[class] as f64);
                if facts.home(*at) == host {
                    goes += claim * (1.0 - ends[&host]);
                } else if let Some(arrives) = ends.get(&host) {
                    comes += need * *arrives;
                }
                if let Some(grown) = grows.get(at).filter(|_| facts.home(*at) == host) {
                    comes += (need - claim).max(0.0) * *grown;
                    goes += (claim - need).max(0.0) * *grown;
                }
            }
            let room = (facts.allowed(host)[class] - facts.used(host)[class]) as f64;
            // A host that is too full even so receives nothing of the class.
            let closed = vars.add(variable().binary().max(if room < 0.0 { 1.0 } else { 0.0 }));
            constraints.push(constraint!(comes.clone() - goes <= room + 1e7 * closed));
            constraints.push(constraint!(comes <= 1e7 * (1.0 - closed)));
        }
    }
    let there = |at: usize, host: usize| ends[&at].get(&host).map_or(Expression::default(), |end| (*end).into());
    for (members, max_per_host) in facts.groups(GroupPolicy::AntiAffinity) {
        for host in facts.hosts() {
            let at_start = members.iter().filter(|member| facts.home(**member) == host).count();
            let together: Expression = members.iter().map(|member| there(*member, host)).sum();
            constraints.push(constraint!(together <= max_per_host.max(at_start) as f64));
        }
    }
    for (members, _) in facts.groups(GroupPolicy::Affinity).iter().filter(|(members, _)| members.len() > 1) {
        let homes: BTreeSet<usize> = members.iter().map(|member| facts.home(*member)).collect();
        let mut spread = Expression::default();
        for host in facts.hosts() {
            let used = vars.add(variable().binary());
            spread += used;
            for member in members {
                constraints.push(constraint!(there(*member, host) <= used));
                if facts.home(*member) != host {
                    let others = members.iter().filter(|other| *other != member).map(|other| there(*other, host));
                    let others: Expression = others.sum();
                    constraints.push(constraint!(there(*member, host) <= others));
                }
            }
        }
        constraints.push(constraint!(spread <= homes.len() as f64));
    }
    let goal = if refusals_max.is_some() { displaced } else { refused.clone() };
    let mut model = vars.minimise(goal.clone()).using(highs).set_threads(1).set_mip_rel_gap(0.0).unwrap();
    for constraint in constraints {
        model.add_constraint(constraint);
    }
    if let Some(most) = refusals_max {
        model.add_constraint(constraint!(refused <= most as f64));
    }
    model.solve().unwrap().eval(goal)
}

#[test]
fn no_plan_refuses_or_displaces_more_than_the_exact_model() {
    let mut bad = Vec::new();
    for seed in 1000..1060 {
        let hosts = 5 + (seed % 4) as usize;
        let fill_percent = [80, 92, 98][(seed % 3) as usize];
        let shape = Shape { hosts, instances_per_host: 8, fill_percent, flavors: 4 };
        let (fleet, mut request) = case(seed, shape);
        request.options.count_first = true;
        let plan = planned(&fleet, &request);
        let found = (whole(reached(&plan, TierName::Refused)), whole(reached(&plan, TierName::DisplacedMemoryMb)));
        let best = optimum(&Facts::new(&fleet, &request));
        if found != best {
            bad.push(format!("seed {seed}: the plan reaches {found:?}, the model {best:?}"));
        }
    }
    assert!(bad.is_empty(), "{}", bad.join("\n"));
}
