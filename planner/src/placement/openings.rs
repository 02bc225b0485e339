//! Where third parties would make way for one that found no room.
//!
//! A fleet has many hosts and few kinds: what was found for one holds for others of its kind until something changes on the
//! host, so that each host is looked at again only when something has.

use std::collections::{BTreeMap, BTreeSet};

use rustc_hash::FxHashMap;

use crate::problem::{HostIdx, InstanceIdx, KindIdx, Task};

use super::affinity::Unit;
use super::tally::Tally;

/// How many third parties make way on a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Number {
    One,
    /// Pairs are many, and wanted only where no single third party makes enough room.
    Two,
}

/// Third parties that make way, with their memory.
pub(super) type Ejection = (i64, Vec<InstanceIdx>);

/// What a host lacks for a unit, and who may make way.
pub(super) struct Opening {
    /// By class; nothing is lacking where it is not positive.
    pub(super) shortage: Vec<i64>,
    /// Third parties that fit elsewhere one by one.
    pub(super) movable: Vec<InstanceIdx>,
}

/// Where third parties that fit elsewhere would make way, the least memory on every host.
pub(super) struct Openings<'h> {
    pub(super) hosts: &'h [HostIdx],
    /// By kind: a host that has room for one more of it, if there is any.
    fits: FxHashMap<KindIdx, Option<HostIdx>>,
    /// By what units are alike in, if there are others like it.
    known: BTreeMap<(Option<KindIdx>, Number), Options>,
}

/// The hosts where a unit's room could be made.
struct Options {
    unit: Unit,
    by_host: FxHashMap<HostIdx, Ejection>,
    /// The least memory first.
    sorted: BTreeSet<(Ejection, HostIdx)>,
}

impl Options {
    fn set(&mut self, host: HostIdx, ejection: Option<Ejection>) {
        let before = match ejection.clone() {
            Some(ejection) => self.by_host.insert(host, ejection),
            None => self.by_host.remove(&host),
        };
        before.map(|before| self.sorted.remove(&(before, host)));
        ejection.map(|ejection| self.sorted.insert((ejection, host)));
    }
}

impl<'h> Openings<'h> {
    /// Nothing known yet.
    pub(super) fn new(hosts: &'h [HostIdx]) -> Self {
        Self { hosts, fits: FxHashMap::default(), known: BTreeMap::new() }
    }

    /// Where so many would make way for the unit, the least memory first.
    pub(super) fn of(&mut self, tally: &Tally<'_>, unit: &Unit, number: Number) -> &BTreeSet<(Ejection, HostIdx)> {
        let key = (alike(tally, unit), number);
        if key.0.is_none() || !self.known.contains_key(&key) {
            let (by_host, sorted) = (FxHashMap::default(), BTreeSet::new());
            let mut options = Options { unit: unit.clone(), by_host, sorted };
            for host in self.hosts {
                options.set(*host, least(tally, unit, *host, number, self.hosts, &mut self.fits));
            }
            self.known.insert(key, options);
        }
        &self.known[&key].sorted
    }

    /// Looks again where these came from and went to.
    pub(super) fn changed(&mut self, tally: &Tally<'_>, movers: &[InstanceIdx]) {
        let home = |at: &InstanceIdx| tally.ground.problem.instances[at.at()].host;
        let changed: BTreeSet<HostIdx> =
            movers.iter().flat_map(|at| tally.goes_to(*at).into_iter().chain([home(at)])).collect();
        let changed: Vec<HostIdx> = changed.into_iter().filter(|host| self.hosts.contains(host)).collect();
        let mut same = true;
        for (kind, fits) in &mut self.fits {
            let now = match *fits {
                Some(host) if !changed.contains(&host) || has_room(tally, *kind, host) => Some(host),
                Some(_) => self.hosts.iter().copied().find(|host| has_room(tally, *kind, *host)),
                None => changed.iter().copied().find(|host| has_room(tally, *kind, *host)),
            };
            same &= now.is_some() == fits.is_some();
            *fits = now;
        }
        if !same {
            // Who could make way has changed anywhere.
            self.known.clear();
        }
        for ((_, number), options) in &mut self.known {
            for host in &changed {
                let ejection = least(tally, &options.unit, *host, *number, self.hosts, &mut self.fits);
                options.set(*host, ejection);
            }
        }
    }
}

/// The kind of one that is asked to leave alone: for those of its kind the same hosts have openings.
fn alike(tally: &Tally<'_>, unit: &Unit) -> Option<KindIdx> {
    let [one] = unit.members[..] else { return None };
    let facts = &tally.ground.problem.instances[one.at()];
    let leaves = facts.task == Task::Leave && tally.ground.departs(one);
    leaves.then_some(facts.kind)
}

/// The least memory that makes way for the unit on a host.
fn least(
    tally: &Tally<'_>,
    unit: &Unit,
    host: HostIdx,
    number: Number,
    hosts: &[HostIdx],
    fits: &mut FxHashMap<KindIdx, Option<HostIdx>>,
) -> Option<Ejection> {
    let problem = tally.ground.problem;
    if !unit.members.iter().all(|member| tally.ground.admits(*member, host)) {
        return None;
    }
    let mut shortage: Vec<i64> = tally.room(host).iter().map(|room| -room).collect();
    for member in &unit.members {
        for (short, need) in shortage.iter_mut().zip(&problem.kind(*member).need) {
            *short += need;
        }
    }
    let mut fits_elsewhere = |kind: KindIdx| {
        let room = || hosts.iter().copied().find(|host| has_room(tally, kind, *host));
        fits.entry(kind).or_insert_with(room).is_some()
    };
    let may_make_way = |at: &InstanceIdx| {
        problem.instances[at.at()].task == Task::MayMove
            && number.helps(&problem.kind(*at).claim, &shortage)
            && fits_elsewhere(problem.instances[at.at()].kind)
            && tally.ground.departs(*at)
            && tally.stands(*at)
            && !problem.is_bound(*at)
    };
    let movable = problem.hosts[host.at()].instances.iter().copied().filter(may_make_way).collect();
    let opening = Opening { shortage, movable };
    match number {
        Number::One => least_one(tally, &opening),
        Number::Two => least_two(tally, &opening),
    }
}

/// Whether a host has room for one more of a kind.
fn has_room(tally: &Tally<'_>, kind: KindIdx, host: HostIdx) -> bool {
    let need = &tally.ground.problem.kinds[kind.at()].need;
    tally.ground.may_hold(kind, host)
        && need.iter().zip(tally.room(host)).all(|(need, room)| *need <= 0 || need <= room)
}

impl Number {
    /// Whether one of this claim may be among them, given what is lacking.
    fn helps(self, claim: &[i64], shortage: &[i64]) -> bool {
        match self {
            Self::One => is_enough(claim, shortage),
            Self::Two => shortage.iter().zip(claim).any(|(shortage, claim)| *shortage > 0 && *claim > 0),
        }
    }
}

fn is_enough(claim: &[i64], shortage: &[i64]) -> bool {
    shortage.iter().zip(claim).all(|(shortage, claim)| claim >= shortage)
}

/// The third party of least memory that makes enough room by leaving.
pub(super) fn least_one(tally: &Tally<'_>, opening: &Opening) -> Option<Ejection> {
    let kind = |at: &InstanceIdx| tally.ground.problem.kind(*at);
    let enough = |one: &&InstanceIdx| is_enough(&kind(one).claim, &opening.shortage);
    let least = opening.movable.iter().filter(enough).map(|one| (kind(one).memory, *one)).min();
    least.map(|(memory, one)| (memory, vec![one]))
}

/// The two of least memory that make enough room together.
fn least_two(tally: &Tally<'_>, opening: &Opening) -> Option<Ejection> {
    let kind = |at: &InstanceIdx| tally.ground.problem.kind(*at);
    let enough = |one: &InstanceIdx, other: &InstanceIdx| {
        let claims = kind(one).claim.iter().zip(&kind(other).claim);
        opening.shortage.iter().zip(claims).all(|(shortage, (one, other))| one + other >= *shortage)
    };
    let mut least: Option<(i64, InstanceIdx, InstanceIdx)> = None;
    for (at, one) in opening.movable.iter().enumerate() {
        for other in &opening.movable[at + 1..] {
            let pair = (kind(one).memory + kind(other).memory, *one, *other);
            if least.is_none_or(|least| pair < least) && enough(one, other) {
                least = Some(pair);
            }
        }
    }
    least.map(|(memory, one, other)| (memory, vec![one, other]))
}
