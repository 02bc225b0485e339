//! A pool in the numbers of column generation: kinds that alike instances share, and hosts that are alike.
//!
//! Every counted class is measured in the greatest unit that divides all that moves, so that sizes are small integers
//! and a table over them is small; a host's room is rounded down to it, which loses nothing. Classes that do not bind,
//! and groups, are left out: what follows is a relaxation, and the bound it yields is one of the whole problem.

use std::collections::BTreeMap;

use crate::problem::{HostIdx, InstanceIdx, KindIdx, Task};

use super::super::pools::Pool;
use super::super::tally::Tally;

/// How many classes are counted at most. Each pair of them has a table of its own.
pub(super) const CLASSES_MAX: usize = 4;

/// A class beyond the first two counts if on at least one host in so many it is what gives out first.
const BINDING_HOSTS: usize = 50;

/// Amounts of the counted classes, in units.
pub(super) type Point = [i64; CLASSES_MAX];

/// A kind's position in [`Model::kinds`].
pub(super) type Row = usize;

/// What a tier charges: a plan of the first tier counts refusals, one of the second memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Charge {
    /// One for each refused, nothing for a third party.
    Refused,
    /// Its memory for each third party, more than any number of them for each refused.
    Displaced,
}

/// A pool in numbers.
#[derive(Clone)]
pub(super) struct Model {
    /// The counted classes, by position in the problem, the scarcest first.
    pub(super) classes: Vec<usize>,
    /// The kinds that may move.
    pub(super) kinds: Vec<KindRow>,
    /// Hosts, alike ones together.
    pub(super) hosts: Vec<HostRow>,
    /// Which kinds a host admits; hosts share them.
    pub(super) admitted: Vec<Vec<Row>>,
    /// Evacuees that no rule lets go: always refused.
    pub(super) hopeless: u64,
    /// The greatest number that divides the memory of every third party, MiB.
    pub(super) step: i64,
}

/// Instances that are alike in need, claim and admitted hosts.
#[derive(Clone)]
pub(super) struct KindRow {
    pub(super) kind: KindIdx,
    /// One of them.
    pub(super) like: InstanceIdx,
    pub(super) need: Point,
    pub(super) claim: Point,
    /// MiB.
    pub(super) memory: i64,
    /// Evacuees of this kind that may depart: they want a place.
    pub(super) evacuees: u64,
}

impl KindRow {
    /// Whether it needs nothing of the counted classes.
    pub(super) fn is_weightless(&self) -> bool {
        self.need == Point::default()
    }
}

/// Hosts with equal room and equal content.
#[derive(Clone)]
pub(super) struct HostRow {
    pub(super) hosts: Vec<HostIdx>,
    /// Headroom − kept, in units, rounded down.
    pub(super) room: Point,
    /// What may depart.
    pub(super) content: Vec<Content>,
    /// Position in [`Model::admitted`].
    pub(super) admits: usize,
}

/// Instances of one kind on a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Content {
    pub(super) row: Row,
    pub(super) count: u32,
    pub(super) role: Role,
}

/// What may become of an instance that is not on an evacuated host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Role {
    /// It stays, or departs at the cost of its memory.
    ThirdParty,
    /// It departs, or gets its new size where it is, or is refused.
    Resized {
        /// Whether the rules let it depart.
        departs: bool,
        /// Whether it may get its new size where it is.
        in_place: bool,
    },
}

impl Model {
    /// The pool as it stands in the tally: who has moved there already has its place and is no longer in the pool.
    /// Relaxed, everybody may move as the rules about one instance and one host allow; otherwise those bound by affinity
    /// are left out, and what came to grief before is avoided.
    pub(super) fn new(tally: &Tally<'_>, pool: &Pool, relaxed: bool) -> Self {
        let problem = tally.ground.problem;
        let mobile: Vec<InstanceIdx> = pool
            .asked
            .iter()
            .chain(&pool.third_parties)
            .copied()
            .filter(|at| !tally.is_moved(*at))
            .filter(|at| relaxed || !tally.ground.problem.is_bound(*at))
            .collect();
        let rows = rows_of(tally, &mobile);
        let classes = binding_classes(tally, pool, &rows.order);
        let units: Vec<i64> = classes.iter().map(|class| unit(tally, &rows.order, *class)).collect();
        let point = |amounts: &[i64]| {
            let mut point = Point::default();
            for (at, (class, unit)) in classes.iter().zip(&units).enumerate() {
                point[at] = amounts[*class].div_euclid(*unit);
            }
            point
        };
        let kinds: Vec<KindRow> = rows
            .order
            .iter()
            .map(|(kind, like)| KindRow {
                kind: *kind,
                like: *like,
                need: point(&problem.kinds[kind.at()].need),
                claim: point(&problem.kinds[kind.at()].claim),
                memory: problem.kinds[kind.at()].memory,
                evacuees: 0,
            })
            .collect();
        let step = mobile
            .iter()
            .filter(|at| problem.instances[at.at()].task == Task::MayMove)
            .fold(0, |step, at| gcd(step, problem.kind(*at).memory))
            .max(1);
        let mut model =
            Self { classes: classes.clone(), kinds, hosts: Vec::new(), admitted: Vec::new(), hopeless: 0, step };
        let may_hold = |kind: KindIdx, host| {
            if relaxed { problem.kinds[kind.at()].eligible.contains(host) } else { tally.ground.may_hold(kind, host) }
        };
        model.fill(tally, pool, &mobile, &rows.of, point, may_hold);
        model
    }

    /// Whether anybody is to be resized.
    pub(super) fn has_resizes(&self) -> bool {
        self.hosts.iter().any(|host| host.content.iter().any(|content| content.role != Role::ThirdParty))
    }

    /// What a host has when all that may depart has.
    pub(super) fn emptied(&self, host: &HostRow) -> Point {
        let claimed = |class: usize| {
            let claims =
                host.content.iter().map(|content| self.kinds[content.row].claim[class] * i64::from(content.count));
            claims.sum::<i64>()
        };
        std::array::from_fn(|class| host.room[class] + claimed(class))
    }

    /// Fills in the evacuees and the hosts.
    fn fill(
        &mut self,
        tally: &Tally<'_>,
        pool: &Pool,
        mobile: &[InstanceIdx],
        row_of: &BTreeMap<KindIdx, Row>,
        point: impl Fn(&[i64]) -> Point,
        may_hold: impl Fn(KindIdx, HostIdx) -> bool,
    ) {
        let problem = tally.ground.problem;
        let mut contents: BTreeMap<HostIdx, BTreeMap<(Row, Role), u32>> = BTreeMap::new();
        for at in mobile {
            let facts = &problem.instances[at.at()];
            let row = row_of[&facts.kind];
            let role = match facts.task {
                Task::Leave if !tally.ground.departs(*at) => {
                    self.hopeless += 1;
                    continue;
                }
                // Any number of these seems to fit anywhere: nothing is proven by them, and they are placed last.
                Task::Leave | Task::MayMove if self.kinds[row].is_weightless() => continue,
                Task::Leave => {
                    self.kinds[row].evacuees += 1;
                    continue;
                }
                Task::Resize => {
                    Role::Resized { departs: tally.ground.departs(*at), in_place: tally.ground.resizes_in_place(*at) }
                }
                Task::MayMove | Task::Stay => Role::ThirdParty,
            };
            *contents.entry(facts.host).or_default().entry((row, role)).or_default() += 1;
        }
        let mut admitted: BTreeMap<Vec<Row>, usize> = BTreeMap::new();
        let mut alike: BTreeMap<(Point, Vec<Content>, usize), usize> = BTreeMap::new();
        for host in &pool.hosts {
            let rows = 0..self.kinds.len();
            let admits: Vec<Row> = rows.filter(|row| may_hold(self.kinds[*row].kind, *host)).collect();
            let content: Vec<Content> = contents
                .remove(host)
                .unwrap_or_default()
                .into_iter()
                .map(|((row, role), count)| Content { row, count, role })
                .collect();
            let resized = content.iter().any(|content| content.role != Role::ThirdParty);
            if problem.hosts[host.at()].evacuated || (admits.is_empty() && !resized) {
                continue;
            }
            let next = admitted.len();
            let admits = *admitted.entry(admits).or_insert(next);
            let room = point(tally.room(*host));
            let at = *alike.entry((room, content.clone(), admits)).or_insert(self.hosts.len());
            if at == self.hosts.len() {
                self.hosts.push(HostRow { hosts: Vec::new(), room, content, admits });
            }
            self.hosts[at].hosts.push(*host);
        }
        self.admitted = vec![Vec::new(); admitted.len()];
        for (rows, at) in admitted {
            self.admitted[at] = rows;
        }
    }
}

/// The kinds that may move, in the order in which they are first met.
struct Rows {
    order: Vec<(KindIdx, InstanceIdx)>,
    of: BTreeMap<KindIdx, Row>,
}

fn rows_of(tally: &Tally<'_>, mobile: &[InstanceIdx]) -> Rows {
    let mut rows = Rows { order: Vec::new(), of: BTreeMap::new() };
    for at in mobile {
        let kind = tally.ground.problem.instances[at.at()].kind;
        let row = *rows.of.entry(kind).or_insert_with(|| {
            rows.order.push((kind, *at));
            rows.order.len() - 1
        });
        // One that may depart stands for the kind, if there is any: prices are about those.
        let like = &mut rows.order[row].1;
        if !tally.ground.departs(*like) {
            *like = *at;
        }
    }
    rows
}

/// The classes worth counting, the scarcest first: those of which the hosts' room is not far more than is asked for.
fn binding_classes(tally: &Tally<'_>, pool: &Pool, kinds: &[(KindIdx, InstanceIdx)]) -> Vec<usize> {
    let problem = tally.ground.problem;
    let receiving = || pool.hosts.iter().filter(|host| problem.hosts[host.at()].receives);
    let scarcity = |class: usize| {
        let room: i64 = receiving().map(|host| tally.room(*host)[class].max(0)).sum();
        let capacity: i64 = receiving().map(|host| problem.hosts[host.at()].capacity[class]).sum();
        let asked: i64 = pool.asked.iter().map(|at| problem.kind(*at).need[class]).sum();
        (room - asked) as f64 / capacity.max(1) as f64
    };
    let mut classes: Vec<(f64, usize)> = (0..problem.classes.len())
        .filter(|class| kinds.iter().any(|(kind, _)| problem.kinds[kind.at()].need[*class] > 0))
        .map(|class| (scarcity(class), class))
        .collect();
    classes.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let scarcest: Vec<usize> = classes.into_iter().map(|(_, class)| class).collect();
    // Of a kind that needs nothing of the counted classes any number would seem to fit anywhere: the second class is
    // the scarcest that leaves no such kind.
    let counted =
        |kind: KindIdx, chosen: [usize; 2]| chosen.iter().any(|class| problem.kinds[kind.at()].need[*class] > 0);
    let covers = |class: usize| kinds.iter().all(|(kind, _)| counted(*kind, [scarcest[0], class]));
    let second = scarcest.iter().skip(1).find(|class| covers(**class)).or(scarcest.get(1)).copied();
    let Some(first) = scarcest.first().copied() else { return Vec::new() };
    let mean = |class: usize| kinds.iter().map(|(kind, _)| problem.kinds[kind.at()].need[class]).sum::<i64>() as f64;
    let gives_out_first = |host: &&HostIdx, class: usize| {
        let lasts = |class: usize| tally.room(**host)[class].max(0) as f64 / mean(class).max(1.0);
        lasts(class) < lasts(first) && second.is_none_or(|second| lasts(class) < lasts(second))
    };
    let binds = |class: &usize| {
        receiving().filter(|host| gives_out_first(host, *class)).count() * BINDING_HOSTS > receiving().count()
    };
    let others = scarcest.iter().skip(1).filter(|class| Some(**class) != second).filter(|class| binds(class));
    [first].into_iter().chain(second).chain(others.copied()).take(CLASSES_MAX).collect()
}

/// The greatest unit that divides what every kind needs and claims.
fn unit(tally: &Tally<'_>, kinds: &[(KindIdx, InstanceIdx)], class: usize) -> i64 {
    let kind = |kind: &KindIdx| &tally.ground.problem.kinds[kind.at()];
    kinds.iter().fold(0, |unit, (at, _)| gcd(gcd(unit, kind(at).need[class]), kind(at).claim[class])).max(1)
}

pub(super) fn gcd(a: i64, b: i64) -> i64 {
    if b == 0 { a.abs() } else { gcd(b, a % b) }
}
