//! What a change of the fleet would change: a host more, a host less, a flavor's growth.
//!
//! Each change is made to a copy of the numbers, and only what it can alter is tried again: the hosts with an instance
//! that may go where the change was made. A host more can only help those that could not be emptied directly,
//! everything else only harm those that could. In a small fleet a host counts as its verdict would: where fitting its
//! instances into the headroom fails, a placement decides.

use std::collections::BTreeMap;
use std::sync::Arc;

use decant_schema::fleet::{Fleet, Host, Instance, InstanceState, Mobility};
use decant_schema::id::FlavorName;
use decant_schema::plan::MoveMode;
use decant_schema::report::{Change, Emptying, Unknown, WhatIf};
use decant_schema::units::mib;
use rayon::prelude::*;

use crate::Limits;
use crate::fit::Room;
use crate::placement;
use crate::problem::{HostIdx, HostSet, InstanceFacts, InstanceIdx, Kind, KindIdx, Problem, Task};

use super::emptying::SEARCHED_HOSTS_MAX;
use super::growth::{self, Ask, asks};
use super::{attempt, is_direct, nothing_asked, places_all};

/// The most flavors whose growth is tried, those with the most instances first: each takes a pass over all hosts.
const FLAVORS_MAX: usize = 16;

/// How large a part of the present instances a flavor grows by.
const GROWTH_DIVISOR: u64 = 10;

/// Tries every change.
pub(super) fn what_if(problem: &Problem, emptying: &[Emptying], limits: &Limits<'_>) -> Vec<WhatIf> {
    let now = Now { problem, direct: emptying.iter().map(is_direct).collect(), asks: asks(problem), limits };
    let shapes = shapes(problem);
    let flavors = largest_flavors(problem);
    let more = shapes.par_iter().map(|shape| now.tried(more(problem, shape), || now.one_more(shape)));
    let less = shapes.par_iter().map(|shape| now.tried(less(problem, shape), || now.one_less(shape)));
    let growth = flavors
        .par_iter()
        .map(|(flavor, present)| now.tried(growth_of(problem, *flavor, *present), || now.growth(*flavor, *present)));
    more.chain(less).chain(growth).collect()
}

/// The fleet as it is.
struct Now<'a> {
    problem: &'a Problem,
    /// Which hosts can be emptied without displacing anyone.
    direct: Vec<bool>,
    asks: Vec<Ask>,
    limits: &'a Limits<'a>,
}

/// What comes of a change, as far as there is time to tell.
type Tried = Result<WhatIf, Unknown>;

fn more(problem: &Problem, shape: &[HostIdx]) -> Change {
    Change::OneMore { like: problem.fleet.hosts()[shape[0].at()].name.clone(), present: shape.len() as u64 }
}

fn less(problem: &Problem, shape: &[HostIdx]) -> Change {
    Change::OneLess { host: problem.fleet.hosts()[least_used(problem, shape).at()].name.clone() }
}

fn least_used(problem: &Problem, shape: &[HostIdx]) -> HostIdx {
    let claimed = |host: &&HostIdx| -> i64 {
        problem.hosts[host.at()].instances.iter().map(|instance| problem.kind(*instance).memory).sum()
    };
    *shape.iter().min_by_key(claimed).expect("a shape has hosts")
}

/// A growth of which nothing is placed yet.
fn growth_of(problem: &Problem, flavor: usize, present: u64) -> Change {
    let flavor = problem.fleet.flavors()[flavor].name.clone();
    Change::Growth { flavor, added: (present / GROWTH_DIVISOR).max(1), placed: 0 }
}

impl Now<'_> {
    /// A change with what comes of it, or why that is not known.
    fn tried(&self, change: Change, part: impl FnOnce() -> Tried) -> WhatIf {
        let tried = attempt(self.limits, part).and_then(|tried| tried);
        tried.unwrap_or_else(|why| WhatIf { unknown: Some(why), ..self.outcome(change, None) })
    }

    fn one_more(&self, shape: &[HostIdx]) -> Tried {
        let mut changed = self.problem.clone();
        let (like, new) = (shape[0], HostIdx::new(changed.hosts.len()));
        let mut facts = changed.hosts[like.at()].clone();
        facts.free = facts.capacity.clone();
        facts.instances.clear();
        changed.hosts.push(facts);
        for kind in &mut changed.kinds {
            if kind.eligible.contains(like) {
                Arc::make_mut(&mut kind.eligible).insert(new);
            }
        }
        let asks: Vec<Ask> = self.asks.iter().map(|ask| with_twin(ask, like, new)).collect();
        let emptied = self.count_direct(&changed, &[new].into_iter().collect(), Again::Others)?;
        Ok(self.outcome(more(self.problem, shape), Some((emptied, &changed, &asks))))
    }

    fn one_less(&self, shape: &[HostIdx]) -> Tried {
        let (least, change) = (least_used(self.problem, shape), less(self.problem, shape));
        let Some(placed) = self.elsewhere(least)? else { return Ok(self.outcome(change, None)) };
        let mut changed = super::emptied(self.problem, &[least]);
        for (instance, host) in &placed {
            relocate(&mut changed, *instance, *host);
        }
        let touched = placed.iter().map(|(_, host)| *host).chain([least]).collect();
        let emptied = self.count_direct(&changed, &touched, Again::Direct)? - u64::from(self.direct[least.at()]);
        let asks: Vec<Ask> = self.asks.iter().map(|ask| without(ask, least)).collect();
        Ok(self.outcome(change, Some((emptied, &changed, &asks))))
    }

    /// Where the instances of a host find places while nobody else moves.
    fn elsewhere(&self, host: HostIdx) -> Result<Option<Places>, Unknown> {
        let mut room = Room::new(self.problem);
        if room.fit(&self.problem.hosts[host.at()].instances) {
            return Ok(Some(room.placed().to_vec()));
        }
        placed_directly(self.problem, host, self.limits)
    }

    fn growth(&self, flavor: usize, present: u64) -> Tried {
        let (name, ask) = (self.problem.fleet.flavors()[flavor].name.clone(), &self.asks[flavor]);
        let added = (present / GROWTH_DIVISOR).max(1);
        let mut changed = self.problem.clone();
        let kind = KindIdx::new(changed.kinds.len());
        changed.kinds.push(Kind {
            need: ask.need.clone(),
            claim: ask.need.clone(),
            memory: changed.memory_class.map_or(0, |class| ask.need[class]),
            eligible: Arc::new(ask.eligible.clone()),
        });
        let mut grown: Vec<HostIdx> = Vec::new();
        while (grown.len() as u64) < added
            && let Some(host) = add_instance(&mut changed, kind, ask)
        {
            if self.limits.out_of_time() {
                return Err(Unknown::Time);
            }
            grown.push(host);
        }
        let placed = grown.len() as u64;
        let change = Change::Growth { flavor: name, added, placed };
        if placed < added {
            return Ok(self.outcome(change, None));
        }
        if is_small(&changed) {
            // A placement looks at the fleet, too.
            changed = grown_fleet(self.problem, &change_like(self.problem, flavor), &grown);
        }
        let emptied = self.count_direct(&changed, &grown.into_iter().collect(), Again::Direct)?;
        Ok(self.outcome(change, Some((emptied, &changed, &self.asks))))
    }

    fn direct_now(&self) -> u64 {
        self.direct.iter().filter(|direct| **direct).count() as u64
    }

    /// How many hosts can be emptied directly after a change on the `touched` ones.
    fn count_direct(&self, changed: &Problem, touched: &HostSet, again: Again) -> Result<u64, Unknown> {
        let mut room = Room::new(changed);
        let mut emptied = |(at, direct): (usize, &bool)| {
            let host = HostIdx::new(at);
            if *direct != (again == Again::Direct) || !concerns(changed, touched, host) {
                return Ok(*direct);
            }
            if self.limits.out_of_time() {
                return Err(Unknown::Time);
            }
            Ok(room.empties(host) || placed_directly(changed, host, self.limits)?.is_some())
        };
        self.direct.iter().enumerate().try_fold(0, |count, host| Ok(count + u64::from(emptied(host)?)))
    }

    fn outcome(&self, change: Change, after: Option<(u64, &Problem, &[Ask])>) -> WhatIf {
        WhatIf {
            change,
            fits: after.is_some(),
            emptied_directly: after.map(|(emptied, _, _)| emptied),
            emptied_directly_now: self.direct_now(),
            more: after.map_or_else(BTreeMap::new, |(_, problem, asks)| self.more(problem, asks)),
            unknown: None,
        }
    }

    fn more(&self, changed: &Problem, asks: &[Ask]) -> BTreeMap<FlavorName, u64> {
        let count = |ask: &Ask| ask.eligible.iter().map(|host| growth::fit(&ask.need, &changed.hosts[host.at()])).sum();
        self.problem.fleet.flavors().iter().map(|flavor| flavor.name.clone()).zip(asks.iter().map(count)).collect()
    }
}

/// Whether placements are tried where a quick fit fails.
fn is_small(problem: &Problem) -> bool {
    problem.hosts.len() <= SEARCHED_HOSTS_MAX
}

/// Who goes where.
type Places = Vec<(InstanceIdx, HostIdx)>;

/// Where a placement that moves nobody else puts the instances of a host, in a small fleet.
fn placed_directly(problem: &Problem, host: HostIdx, limits: &Limits<'_>) -> Result<Option<Places>, Unknown> {
    if !is_small(problem) {
        return Ok(None);
    }
    if limits.out_of_time() {
        return Err(Unknown::Time);
    }
    let mut alone = super::emptied(problem, &[host]);
    let third_parties = alone.instances.iter_mut().filter(|instance| instance.task == Task::MayMove);
    third_parties.for_each(|instance| instance.task = Task::Stay);
    // There are many changes and hosts, and a placement without a search finds nearly all there is to find.
    let placed = placement::place(&alone, &limits.with_effort(0), &[]);
    let places = |at: &InstanceIdx| (*at, placed.placement.host[at.at()]);
    Ok(places_all(&placed)?.then(|| problem.hosts[host.at()].instances.iter().map(places).collect()))
}

/// A new instance of a flavor that is present: like one of those, but free to go wherever the flavor may.
fn change_like(problem: &Problem, flavor: usize) -> Instance {
    let name = &problem.fleet.flavors()[flavor].name;
    let like = problem.fleet.instances().iter().find(|instance| instance.flavor == *name);
    let mut like = like.expect("only flavors that are present grow").clone();
    like.resources = None;
    like.state = InstanceState::Active;
    like.mobility = Mobility::Live;
    like.pinned = false;
    like.pinned_reason = None;
    like.zone = None;
    like.storage = None;
    like
}

/// The fleet with one more such instance on each of these hosts.
fn grown_fleet(problem: &Problem, like: &Instance, hosts: &[HostIdx]) -> Problem {
    let mut document = problem.fleet.document().clone();
    let free = |id: &String| problem.fleet.instance_index(id).is_none();
    let ids = (1..).map(|nth| format!("new-{nth}")).filter(free);
    for (host, id) in hosts.iter().zip(ids) {
        let host = problem.fleet.hosts()[host.at()].name.clone();
        document.instances.push(Instance { id: id.as_str().into(), host, ..like.clone() });
    }
    let fleet = Fleet::from_document(document).expect("a checked fleet with instances that fit");
    nothing_asked(Arc::new(fleet), problem.request.options.clone())
}

/// Which hosts a change may make a difference to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Again {
    /// Those that can be emptied directly as the fleet is.
    Direct,
    /// Those that cannot.
    Others,
}

/// Whether a change on the `touched` hosts can matter to the emptying of this one.
fn concerns(changed: &Problem, touched: &HostSet, host: HostIdx) -> bool {
    let mut instances = changed.hosts[host.at()].instances.iter();
    touched.contains(host) || instances.any(|instance| changed.kind(*instance).eligible.meets(touched))
}

fn with_twin(ask: &Ask, like: HostIdx, new: HostIdx) -> Ask {
    let mut eligible = ask.eligible.clone();
    if eligible.contains(like) {
        eligible.insert(new);
    }
    Ask { need: ask.need.clone(), eligible }
}

fn without(ask: &Ask, host: HostIdx) -> Ask {
    let mut eligible = ask.eligible.clone();
    eligible.remove(host);
    Ask { need: ask.need.clone(), eligible }
}

/// Puts an instance on another host for good.
fn relocate(problem: &mut Problem, instance: InstanceIdx, to: HostIdx) {
    let kind = problem.kind(instance).clone();
    let from = problem.instances[instance.at()].host;
    problem.hosts[from.at()].instances.retain(|other| *other != instance);
    problem.hosts[from.at()].free.iter_mut().zip(&kind.claim).for_each(|(free, claim)| *free += claim);
    problem.hosts[to.at()].instances.push(instance);
    problem.hosts[to.at()].free.iter_mut().zip(&kind.claim).for_each(|(free, claim)| *free -= claim);
    let facts = &mut problem.instances[instance.at()];
    facts.host = to;
    facts.task = Task::MayMove;
}

/// Adds an instance to the host it leaves the least room on, if there is one.
fn add_instance(problem: &mut Problem, kind: KindIdx, ask: &Ask) -> Option<HostIdx> {
    let fitting = ask.eligible.iter().filter(|host| growth::fit(&ask.need, &problem.hosts[host.at()]) > 0);
    let host = fitting.min_by_key(|host| (growth::fit(&ask.need, &problem.hosts[host.at()]), *host))?;
    let facts = &mut problem.hosts[host.at()];
    facts.free.iter_mut().zip(&ask.need).for_each(|(free, need)| *free -= need);
    facts.instances.push(InstanceIdx::new(problem.instances.len()));
    problem.instances.push(InstanceFacts {
        host,
        kind,
        task: Task::MayMove,
        mode: MoveMode::Live,
        priority: 0,
        transfer: mib(0),
        groups: Vec::new(),
    });
    Some(host)
}

/// The hosts that receive, alike in everything but name, rack and load; shapes by their first host.
fn shapes(problem: &Problem) -> Vec<Vec<HostIdx>> {
    let mut shapes: Vec<Vec<HostIdx>> = Vec::new();
    let host = |at: HostIdx| &problem.fleet.hosts()[at.at()];
    for at in (0..problem.hosts.len()).map(HostIdx::new).filter(|at| problem.hosts[at.at()].receives) {
        match shapes.iter_mut().find(|shape| alike(host(shape[0]), host(at))) {
            Some(shape) => shape.push(at),
            None => shapes.push(vec![at]),
        }
    }
    shapes
}

fn alike(a: &Host, b: &Host) -> bool {
    a.inventory == b.inventory
        && a.zone == b.zone
        && a.aggregates == b.aggregates
        && a.traits == b.traits
        && a.storage == b.storage
        && a.hypervisor_version == b.hypervisor_version
}

/// The flavors with the most instances, with their position and count; in the order of the fleet.
fn largest_flavors(problem: &Problem) -> Vec<(usize, u64)> {
    let mut present = vec![0; problem.fleet.flavors().len()];
    for instance in problem.fleet.instances() {
        if let Some(at) = problem.fleet.flavor_index(instance.flavor.as_str()) {
            present[at] += 1;
        }
    }
    let mut flavors: Vec<(usize, u64)> = present.into_iter().enumerate().filter(|(_, count)| *count > 0).collect();
    flavors.sort_by_key(|(at, count)| (std::cmp::Reverse(*count), *at));
    flavors.truncate(FLAVORS_MAX);
    flavors.sort_unstable();
    flavors
}
