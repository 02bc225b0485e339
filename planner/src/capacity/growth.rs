//! What more fits, and what headroom nothing can use.

use std::collections::BTreeMap;

use decant_schema::fleet::Flavor;
use decant_schema::report::{FlavorRoom, Stranded};

use crate::problem::{Amounts, HostFacts, HostIdx, HostSet, Problem};
use crate::rules::{self, Want};

/// A flavor as a new instance would ask for it: in any zone, on any disk.
pub(super) struct Ask {
    /// By class.
    pub(super) need: Amounts,
    /// Hosts that take it, whatever room they have.
    pub(super) eligible: HostSet,
}

/// Every flavor of the fleet as a new instance asks for it.
pub(super) fn asks(problem: &Problem) -> Vec<Ask> {
    problem.fleet.flavors().iter().map(|flavor| ask(problem, flavor)).collect()
}

fn ask(problem: &Problem, flavor: &Flavor) -> Ask {
    let want = Want { resources: &flavor.resources, flavor, zone: None, storage: None, version_min: None };
    Ask {
        need: problem
            .classes
            .iter()
            .map(|class| i64::try_from(flavor.resources.get(class).copied().unwrap_or(0)).unwrap_or(i64::MAX))
            .collect(),
        eligible: rules::eligible(&problem.fleet, &problem.request, &problem.hosts, &want),
    }
}

/// How many fit on a host: the class that gives out first decides. A flavor that asks for nothing counts as one.
pub(super) fn fit(need: &Amounts, host: &HostFacts) -> u64 {
    let room = host.free.iter().zip(&host.keep).map(|(free, keep)| (free - keep).max(0));
    let counts = need.iter().zip(room).filter(|(need, _)| **need > 0).map(|(need, room)| room / need);
    u64::try_from(counts.min().unwrap_or(1)).unwrap_or(0)
}

/// How many more of each flavor fit, if nothing else is added: hosts are filled one by one, which is exact.
pub(super) fn flavor_rooms(problem: &Problem) -> Vec<FlavorRoom> {
    let mut present: BTreeMap<&str, u64> = BTreeMap::new();
    for instance in problem.fleet.instances() {
        *present.entry(instance.flavor.as_str()).or_default() += 1;
    }
    let room = |flavor: &Flavor| {
        let ask = ask(problem, flavor);
        let counts: Vec<u64> = ask.eligible.iter().map(|host| fit(&ask.need, &problem.hosts[host.at()])).collect();
        FlavorRoom {
            flavor: flavor.name.clone(),
            present: present.get(flavor.name.as_str()).copied().unwrap_or(0),
            more: counts.iter().sum(),
            hosts: counts.iter().filter(|count| **count > 0).count() as u64,
        }
    };
    problem.fleet.flavors().iter().map(room).collect()
}

/// Headroom on hosts that can take no flavor any more, by the class that is full.
pub(super) fn stranded(problem: &Problem) -> Vec<Stranded> {
    let asks = asks(problem);
    let mut by_class: BTreeMap<usize, (Vec<HostIdx>, Vec<i64>)> = BTreeMap::new();
    for at in (0..problem.hosts.len()).map(HostIdx::new).filter(|at| problem.hosts[at.at()].receives) {
        let Some(full) = full_class(problem, &asks, at) else { continue };
        let (hosts, headroom) = by_class.entry(full).or_insert_with(|| (Vec::new(), vec![0; problem.classes.len()]));
        hosts.push(at);
        headroom.iter_mut().zip(&problem.hosts[at.at()].free).for_each(|(sum, free)| *sum += free.max(&0));
    }
    by_class
        .into_iter()
        .map(|(full, (hosts, mut headroom))| {
            headroom[full] = 0;
            let resources = super::resources(problem, headroom.into_iter());
            Stranded {
                full: problem.classes[full].clone(),
                hosts: hosts.iter().map(|at| problem.fleet.hosts()[at.at()].name.clone()).collect(),
                headroom: resources.into_iter().filter(|(_, amount)| *amount > 0).collect(),
            }
        })
        .collect()
}

/// The class that most flavors lack on a host where none fits; `None` where one does, or none may be there at all.
fn full_class(problem: &Problem, asks: &[Ask], at: HostIdx) -> Option<usize> {
    let host = &problem.hosts[at.at()];
    let here: Vec<&Ask> = asks.iter().filter(|ask| ask.eligible.contains(at)).collect();
    if here.iter().any(|ask| fit(&ask.need, host) > 0) {
        return None;
    }
    let lacking = |class: &usize| {
        here.iter().filter(|ask| ask.need[*class] > (host.free[*class] - host.keep[*class]).max(0)).count()
    };
    (0..problem.classes.len()).rev().max_by_key(lacking).filter(|class| lacking(class) > 0)
}
