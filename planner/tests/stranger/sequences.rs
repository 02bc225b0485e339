//! Small random fleets against every sequence of moves there is: what is refused of every priority, what is displaced and how
//! even the hosts can be, against what plans reach and say is proven.

use std::collections::{BTreeSet, HashSet};

use decant_schema::fleet::GroupPolicy;
use decant_schema::plan::{Plan, ProofStatus, TierName};
use decant_schema::request::{Request, RequestKind};

use crate::facts::{Facts, Task};
use crate::fleets::{Shape, case};
use crate::planned::{planned, reached, whole, wrong};

/// Fleets compared.
const FLEETS: usize = 400;

const SMALL: [Shape; 3] = [
    Shape { hosts: 3, instances_per_host: 3, fill_percent: 100, flavors: 3 },
    Shape { hosts: 4, instances_per_host: 2, fill_percent: 100, flavors: 3 },
    Shape { hosts: 4, instances_per_host: 3, fill_percent: 100, flavors: 4 },
];

/// Instances beyond which sequences are too many.
const INSTANCES_MAX: usize = 9;

/// Four bits for every instance: its host, and whether it has moved.
type State = u64;

/// A fleet and a request as tables.
struct World<'a> {
    facts: Facts<'a>,
    claim: Vec<Vec<i64>>,
    need: Vec<Vec<i64>>,
    home: Vec<usize>,
    task: Vec<Task>,
    /// By instance, then the host it is on: where it may go.
    admitted: Vec<Vec<Vec<usize>>>,
    used: Vec<Vec<i64>>,
    limit: Vec<Vec<i64>>,
    allowed: Vec<Vec<i64>>,
    apart: Vec<(Vec<usize>, usize)>,
    together: Vec<Vec<usize>>,
}

impl<'a> World<'a> {
    fn new(facts: Facts<'a>) -> Self {
        let hosts = facts.hosts();
        let movable = |at: usize| facts.task(at) != Task::Stay && !facts.fixed(at);
        let targets = |at: usize, from: usize| -> Vec<usize> {
            let own = facts.task(at) == Task::Resize && from == facts.home(at) && facts.may_stay(at);
            let hosts = hosts.clone();
            let away = hosts.filter(|to| movable(at) && facts.admits(at, from, *to));
            away.chain(own.then_some(from)).collect()
        };
        let admitted = facts.instances().map(|at| hosts.clone().map(|from| targets(at, from)).collect()).collect();
        let limit = |host: usize| {
            facts.capacity(host).into_iter().zip(facts.used(host)).map(|(capacity, used)| capacity.max(used)).collect()
        };
        Self {
            claim: facts.instances().map(|at| facts.claim(at)).collect(),
            need: facts.instances().map(|at| facts.need(at)).collect(),
            home: facts.instances().map(|at| facts.home(at)).collect(),
            task: facts.instances().map(|at| facts.task(at)).collect(),
            admitted,
            used: hosts.clone().map(|host| facts.used(host)).collect(),
            limit: hosts.clone().map(limit).collect(),
            allowed: hosts.clone().map(|host| facts.allowed(host)).collect(),
            apart: facts.groups(GroupPolicy::AntiAffinity),
            together: facts.groups(GroupPolicy::Affinity).into_iter().map(|(members, _)| members).collect(),
            facts,
        }
    }

    fn start(&self) -> State {
        (0..self.home.len()).fold(0, |state, at| put(state, at, self.home[at], false))
    }

    /// What an instance holds of a class where it is.
    fn holds(&self, state: State, at: usize, class: usize) -> i64 {
        let grown = self.task[at] == Task::Resize && moved(state, at);
        if grown { self.need[at][class] } else { self.claim[at][class] }
    }

    fn used(&self, state: State, host: usize, class: usize) -> i64 {
        let change = |at: usize| {
            let now = if host_of(state, at) == host { self.holds(state, at, class) } else { 0 };
            let before = if self.home[at] == host { self.claim[at][class] } else { 0 };
            now - before
        };
        self.used[host][class] + (0..self.home.len()).map(change).sum::<i64>()
    }

    fn next(&self, state: State) -> impl Iterator<Item = State> + '_ {
        (0..self.home.len()).flat_map(move |at| {
            let again = self.task[at] == Task::Resize && moved(state, at);
            let targets = if again { &[][..] } else { &self.admitted[at][host_of(state, at)] };
            targets.iter().filter(move |to| self.fits(state, at, **to)).map(move |to| put(state, at, *to, true))
        })
    }

    fn fits(&self, state: State, at: usize, to: usize) -> bool {
        let in_place = host_of(state, at) == to;
        let takes = |class: usize| self.need[at][class] - if in_place { self.holds(state, at, class) } else { 0 };
        let roomy = (0..self.limit[to].len())
            .all(|class| takes(class) <= 0 || self.used(state, to, class) + takes(class) <= self.limit[to][class]);
        let apart = self.apart.iter().filter(|(members, _)| members.contains(&at)).all(|(members, max_per_host)| {
            let there = members.iter().filter(|member| host_of(state, **member) == to).count();
            let before = members.iter().filter(|member| self.home[**member] == to).count();
            there < before.max(*max_per_host)
        });
        roomy && (in_place || apart)
    }

    fn may_end(&self, state: State) -> bool {
        let kept = (0..self.allowed.len()).all(|host| {
            (0..self.allowed[host].len()).all(|class| {
                let came = |at: usize| match (host_of(state, at) == host, self.home[at] == host) {
                    (true, false) => self.holds(state, at, class),
                    (true, true) => (self.holds(state, at, class) - self.claim[at][class]).max(0),
                    (false, _) => 0,
                };
                let came: i64 = (0..self.home.len()).map(came).sum();
                came == 0 || self.used(state, host, class) <= self.allowed[host][class]
            })
        });
        kept && self.together.iter().filter(|members| members.len() > 1).all(|members| {
            let hosts =
                |of: &dyn Fn(usize) -> usize| members.iter().map(|at| of(*at)).collect::<BTreeSet<usize>>().len();
            let with = |at: usize| members.iter().filter(|other| host_of(state, **other) == host_of(state, at)).count();
            let mut away = members.iter().filter(|at| host_of(state, **at) != self.home[**at]).peekable();
            away.peek().is_none()
                || hosts(&|at| host_of(state, at)) <= hosts(&|at| self.home[at]) && away.all(|at| with(*at) > 1)
        })
    }

    /// How many of each priority are refused, the highest first.
    fn refused(&self, state: State) -> Vec<u64> {
        let asked = |at: &usize| matches!(self.task[*at], Task::Leave | Task::Resize);
        let priority = |at: usize| self.facts.instance(at).priority;
        let levels: BTreeSet<i32> = (0..self.home.len()).filter(asked).map(priority).collect();
        let waits = |at: &usize| asked(at) && !moved(state, *at);
        let of = |level: i32| (0..self.home.len()).filter(|at| waits(at) && priority(*at) == level).count() as u64;
        levels.into_iter().rev().map(of).collect()
    }

    fn displaced(&self, state: State) -> i64 {
        let third = |at: &usize| self.task[*at] == Task::MayMove && moved(state, *at);
        (0..self.home.len()).filter(third).map(|at| self.facts.memory(at)).sum()
    }
}

fn host_of(state: State, at: usize) -> usize {
    (state >> (4 * at) & 7) as usize
}

fn moved(state: State, at: usize) -> bool {
    state >> (4 * at) & 8 != 0
}

fn put(state: State, at: usize, host: usize, moved: bool) -> State {
    let place = host as u64 | if moved { 8 } else { 0 };
    state & !(15 << (4 * at)) | place << (4 * at)
}

/// The least that can be reached.
struct Least {
    /// The least refused, as the request compares refusals, then the least displaced.
    best: (Vec<u64>, Vec<u64>, i64),
    count: u64,
}

fn least(world: &World<'_>, request: &Request) -> Least {
    let mut seen = HashSet::from([world.start()]);
    let mut open = vec![world.start()];
    let mut least: Option<Least> = None;
    while let Some(state) = open.pop() {
        if world.may_end(state) {
            let refused = world.refused(state);
            let count = refused.iter().sum::<u64>();
            let first = if request.options.count_first { vec![count] } else { Vec::new() };
            let value = (first, refused, world.displaced(state));
            least = Some(match least {
                Some(known) => Least { best: known.best.min(value), count: known.count.min(count) },
                None => Least { best: value, count },
            });
        }
        open.extend(world.next(state).filter(|next| seen.insert(*next)));
    }
    least.unwrap()
}

/// What a plan refuses of each priority, the highest first.
fn refused(world: &World<'_>, plan: &Plan) -> Vec<u64> {
    let refused = plan.refusals.iter().map(|it| world.facts.fleet.instance_index(it.instance.as_str()).unwrap());
    let refused: BTreeSet<usize> = refused.collect();
    let state = (0..world.home.len()).fold(0, |state, at| put(state, at, world.home[at], !refused.contains(&at)));
    world.refused(state)
}

#[test]
fn what_plans_reach_and_prove_is_what_sequences_of_moves_can_reach() {
    let (mut compared, mut refusing, mut gaps) = (0, 0, Vec::new());
    let mut bad: Vec<String> = Vec::new();
    for seed in 70_000.. {
        if compared == FLEETS {
            break;
        }
        let (fleet, mut request) = case(seed, SMALL[(seed % 3) as usize]);
        request.options.count_first = seed % 4 == 0;
        let small = fleet.instances().len() <= INSTANCES_MAX;
        if !small || matches!(request.kind, RequestKind::Rolling { .. }) {
            continue;
        }
        compared += 1;
        let world = World::new(Facts::new(&fleet, &request));
        let Least { best: (_, least, displaced), count } = least(&world, &request);
        let plan = planned(&fleet, &request);
        let tier = |name| plan.proof.tiers.iter().find(|tier| tier.name == name).unwrap();
        let mut say = |what: String| bad.push(format!("seed {seed}: {what}"));
        if refused(&world, &plan) != least {
            say(format!("refuses {:?} by priority, {least:?} can be reached", refused(&world, &plan)));
            continue;
        }
        if whole(reached(&plan, TierName::DisplacedMemoryMb)) != displaced {
            let found = reached(&plan, TierName::DisplacedMemoryMb);
            say(format!("displaces {found} MiB, {displaced} can be reached"));
        }
        if whole(tier(TierName::Refused).bound.unwrap()) > i64::try_from(count).unwrap() {
            say(format!("{:?} is refused at least, {count} can be reached", tier(TierName::Refused).bound));
        }
        if tier(TierName::DisplacedMemoryMb).bound.is_some_and(|bound| whole(bound) > displaced) {
            say(format!(
                "{:?} MiB are displaced at least, {displaced} can be reached",
                tier(TierName::DisplacedMemoryMb)
            ));
        }
        for (of, least) in plan.proof.priorities.iter().zip(&least) {
            if of.bound.is_some_and(|bound| bound > *least) {
                say(format!("{of:?} at least, {least} can be reached"));
            }
        }
        let broken = wrong(&fleet, &plan);
        if !broken.is_empty() {
            say(format!("{broken:?}"));
        }
        refusing += usize::from(count > 0);
        if plan.proof.status == ProofStatus::Gap {
            gaps.push(format!("seed {seed}: {:?} {:?}", plan.proof.tiers, plan.proof.priorities));
        }
    }
    assert!(bad.is_empty(), "{} faults\n{}", bad.len(), bad.join("\n"));
    assert!(gaps.is_empty(), "{} are a gap\n{}", gaps.len(), gaps.join("\n"));
    assert!(refusing > FLEETS / 5, "only {refusing} refuse anybody");
}
