//! What can be reached at all, by moving one instance after another: where there would be room in the end, but no order leads
//! there.
//!
//! A plan's moves, in any order that `after` allows, are such a sequence, so that an end no sequence reaches is the end of no
//! plan. Every state of a pool is looked at, hops and third parties that step aside among them, until there is no other
//! or there are too many. Instances that are alike are not told apart. What other pools hold of an affinity group is left
//! out, which can only let more be reached.

use std::cmp::{Ordering, Reverse};
use std::collections::{BTreeMap, BinaryHeap};

use decant_schema::fleet::GroupPolicy;
use rustc_hash::FxHashSet;

use super::levels::{Levels, Rank};
use super::pool::{Kind, Party, Pools, Role};
use super::room::kept;
use super::scene::{Amounts, Scene};
use crate::Limits;

/// Single moves looked at before a pool is given up as too large: a tenth of a second.
const LEGS_MAX: usize = 300_000;

/// Instances that may move; with more of them, nothing is exhausted.
const ACTORS_MAX: usize = 40;

/// What is told apart.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Detail {
    /// Who is where, whichever of those alike it is: enough to know who is refused.
    Ends,
    /// Whoever has moved, too: what it costs.
    Ways,
}

/// The least that any sequence of moves within a pool refuses.
pub(super) struct Least {
    /// Compared as the request compares refusals.
    pub(super) rank: Rank,
    /// By number alone.
    pub(super) count: u64,
}

/// The least refused of a pool in whatever can be reached; `None` if there is too much of it, or no time.
pub(super) fn least_refused(
    scene: &Scene<'_>,
    pools: &Pools,
    levels: &Levels,
    pool: usize,
    limits: &Limits<'_>,
) -> Option<Least> {
    let world = World::new(scene, pools, levels, pool, Detail::Ends)?;
    let mut seen: FxHashSet<State> = FxHashSet::from_iter([world.start()]);
    let mut open = vec![world.start()];
    let mut legs = 0;
    let mut least: Option<Least> = None;
    while let Some(state) = open.pop() {
        if world.may_end(&state) {
            let (rank, count) = (world.rank(&state), world.refused(&state).count() as u64);
            least = Some(match least {
                Some(known) => Least { rank: known.rank.min(rank), count: known.count.min(count) },
                None => Least { rank, count },
            });
        }
        legs += world.expand(&state, |next, _| {
            if seen.insert(next.clone()) {
                open.push(next);
            }
        });
        if legs > LEGS_MAX || limits.out_of_time() {
            return None;
        }
    }
    least
}

/// The least memory displaced within a pool by any sequence of moves that refuses no more than this rank, MiB; or as much of it
/// as is proven, at most `enough`.
pub(super) fn least_displaced(
    scene: &Scene<'_>,
    pools: &Pools,
    levels: &Levels,
    pool: usize,
    rank: &Rank,
    enough: u64,
) -> u64 {
    let Some(world) = World::new(scene, pools, levels, pool, Detail::Ways) else { return 0 };
    let mut seen: FxHashSet<State> = FxHashSet::default();
    let mut open = BinaryHeap::from([Node { displaced: 0, state: world.start() }]);
    let mut legs = 0;
    while let Some(Node { displaced, state }) = open.pop() {
        // All that costs less was looked at.
        if legs > LEGS_MAX || (world.rank(&state) <= *rank && world.may_end(&state)) {
            return displaced;
        }
        if !seen.insert(state.clone()) {
            continue;
        }
        legs += world.expand(&state, |next, more| {
            let displaced = displaced + more;
            if displaced < enough && !seen.contains(&next) {
                open.push(Node { displaced, state: next });
            }
        });
    }
    enough
}

/// The place of every actor: 0 is where it started, else the host's position within the pool and one more. Those of a run are in
/// order.
type State = Box<[u8]>;

/// A state, and the memory displaced on the way there; of two, the dearer is the less.
#[derive(PartialEq, Eq)]
struct Node {
    displaced: u64,
    state: State,
}

impl Ord for Node {
    fn cmp(&self, other: &Self) -> Ordering {
        (Reverse(self.displaced), &self.state).cmp(&(Reverse(other.displaced), &other.state))
    }
}

impl PartialOrd for Node {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// An instance that may move.
struct Actor<'a> {
    party: &'a Party,
    kind: &'a Kind,
    /// Position of its host within the pool.
    home: usize,
    memory: u64,
    /// Positions of the hosts that admit it, its own where it is resized in place.
    targets: Vec<usize>,
}

impl Actor<'_> {
    fn is_resized(&self) -> bool {
        matches!(self.party.role, Role::Resized { .. })
    }
}

/// A group as a pool sees it.
struct Circle {
    /// Actors, by position.
    actors: Vec<usize>,
    /// By host: members that never move.
    fixed: Vec<usize>,
    /// By host: members at the start.
    at_start: Vec<usize>,
    max_per_host: usize,
}

/// A pool in which instances are moved about.
struct World<'a> {
    scene: &'a Scene<'a>,
    levels: &'a Levels,
    detail: Detail,
    hosts: Vec<usize>,
    actors: Vec<Actor<'a>>,
    /// Ranges of actors that are alike.
    runs: Vec<std::ops::Range<usize>>,
    /// Those nothing can be done for.
    stuck: Vec<usize>,
    apart: Vec<Circle>,
    together: Vec<Circle>,
}

impl<'a> World<'a> {
    fn new(scene: &'a Scene<'a>, pools: &'a Pools, levels: &'a Levels, pool: usize, detail: Detail) -> Option<Self> {
        let hosts: Vec<usize> = pools.hosts(pool).collect();
        let movable = |party: &&Party| !party.role.is_hopeless();
        if pools.parties_of(pool).filter(movable).count() > ACTORS_MAX || hosts.len() >= usize::from(u8::MAX) {
            return None;
        }
        let position = |host: &usize| hosts.binary_search(host).ok();
        let mut keyed: Vec<(Alike, Actor<'a>)> = Vec::new();
        for party in pools.parties_of(pool).filter(movable) {
            let kind = &pools.kinds[party.kind];
            let in_place = matches!(party.role, Role::Resized { in_place: true, .. });
            let departs = !matches!(party.role, Role::Resized { departs: false, .. });
            let home = scene.home[party.instance];
            let may = |host: &&usize| if **host == home { in_place || !is_resized(party) } else { departs };
            let targets = pools.admitted[kind.admitted].iter().filter(may).filter_map(position).collect();
            let actor = Actor { party, kind, home: position(&home)?, memory: scene.memory(party.instance), targets };
            keyed.push((Alike::of(scene, party, detail), actor));
        }
        keyed.sort_by(|a, b| (&a.0, a.1.party.instance).cmp(&(&b.0, b.1.party.instance)));
        let mut runs: Vec<std::ops::Range<usize>> = Vec::new();
        for (at, (alike, _)) in keyed.iter().enumerate() {
            match runs.last_mut().filter(|run| keyed[run.start].0 == *alike) {
                Some(run) => run.end = at + 1,
                None => runs.push(at..at + 1),
            }
        }
        let actors: Vec<Actor<'a>> = keyed.into_iter().map(|(_, actor)| actor).collect();
        let stuck = pools.parties_of(pool).filter(|party| !movable(party)).map(|party| party.instance).collect();
        let circles = |policy| circles(scene, &hosts, &actors, policy);
        let (apart, together) = (circles(GroupPolicy::AntiAffinity), circles(GroupPolicy::Affinity));
        let of_here = |circle: &Circle| circle.at_start.iter().sum::<usize>() > 1;
        let together = together.into_iter().filter(of_here).collect();
        Some(Self { scene, levels, detail, hosts, actors, runs, stuck, apart, together })
    }

    fn start(&self) -> State {
        self.actors.iter().map(|actor| if self.tells_apart(actor) { 0 } else { code(actor.home) }).collect()
    }

    /// Whether it matters that an actor has moved, though it is back.
    fn tells_apart(&self, actor: &Actor<'_>) -> bool {
        self.detail == Detail::Ways || actor.is_resized()
    }

    /// Position of the host where an actor is.
    fn host(&self, state: &State, at: usize) -> usize {
        usize::from(state[at]).checked_sub(1).unwrap_or(self.actors[at].home)
    }

    /// Whether an actor has its new size.
    fn is_grown(&self, state: &State, at: usize) -> bool {
        self.actors[at].is_resized() && state[at] != 0
    }

    /// What is used of every host.
    fn usage(&self, state: &State) -> Vec<Amounts> {
        let mut usage: Vec<Amounts> = self.hosts.iter().map(|host| self.scene.usage[*host].clone()).collect();
        for (at, actor) in self.actors.iter().enumerate() {
            let host = self.host(state, at);
            if host == actor.home && !self.is_grown(state, at) {
                continue;
            }
            usage[actor.home].iter_mut().zip(&actor.kind.claim).for_each(|(used, claim)| *used -= claim);
            usage[host].iter_mut().zip(&actor.kind.need).for_each(|(used, need)| *used += need);
        }
        usage
    }

    /// Hands every state that one move leads to, with the memory this displaces; says how many moves were looked at.
    fn expand(&self, state: &State, mut next: impl FnMut(State, u64)) -> usize {
        let usage = self.usage(state);
        let mut legs = 0;
        for run in &self.runs {
            let mut before = None;
            for at in run.clone().filter(|at| before.replace(state[*at]) != Some(state[*at])) {
                let actor = &self.actors[at];
                if self.is_grown(state, at) {
                    continue;
                }
                for target in &actor.targets {
                    legs += 1;
                    let in_place = *target == self.host(state, at);
                    if in_place && !actor.is_resized() || !self.fits(state, &usage, at, *target) {
                        continue;
                    }
                    let mut after = state.clone();
                    after[at] = code(*target);
                    after[run.clone()].sort_unstable();
                    let displaces = actor.party.role == Role::ThirdParty && state[at] == 0;
                    next(after, if displaces { actor.memory } else { 0 });
                }
            }
        }
        legs
    }

    /// Whether an actor finds its room on a host, and its place in its groups.
    fn fits(&self, state: &State, usage: &[Amounts], at: usize, target: usize) -> bool {
        let (actor, host) = (&self.actors[at], self.hosts[target]);
        let in_place = target == self.host(state, at);
        let takes = |class: usize| {
            let held = if in_place { actor.kind.claim[class] } else { 0 };
            actor.kind.need[class] - held
        };
        let limit = |class: usize| self.scene.capacity[host][class].max(self.scene.usage[host][class]);
        let roomy = (0..usage[target].len())
            .all(|class| takes(class) <= 0 || usage[target][class] + takes(class) <= limit(class));
        let lets_in = |circle: &Circle| {
            let there = circle.actors.iter().filter(|member| self.host(state, **member) == target).count();
            !circle.actors.contains(&at)
                || circle.fixed[target] + there < circle.max_per_host.max(circle.at_start[target])
        };
        roomy && (in_place || self.apart.iter().all(lets_in))
    }

    /// Whether a plan may end so: the headroom is kept where something came, and affinity is not loosened.
    fn may_end(&self, state: &State) -> bool {
        self.keeps_headroom(state) && self.together.iter().all(|circle| self.holds(state, circle))
    }

    fn keeps_headroom(&self, state: &State) -> bool {
        let mut came: BTreeMap<usize, Amounts> = BTreeMap::new();
        let mut bring = |host: usize, times: i128, amounts: &dyn Fn(usize) -> i128| {
            let sums = came.entry(host).or_insert_with(|| vec![0; self.scene.classes.len()]);
            sums.iter_mut().enumerate().for_each(|(class, sum)| *sum += times * amounts(class));
        };
        for run in &self.runs {
            // Of those alike as many count as were there, so that the others came.
            let mut there: BTreeMap<usize, i128> = BTreeMap::new();
            for at in run.clone() {
                let (actor, host) = (&self.actors[at], self.host(state, at));
                let kind = actor.kind;
                if self.is_grown(state, at) && host == actor.home {
                    bring(host, 1, &|class| (kind.need[class] - kind.claim[class]).max(0));
                }
                *there.entry(host).or_default() += 1;
                *there.entry(actor.home).or_default() -= 1;
            }
            let need = &self.actors[run.start].kind.need;
            for (host, count) in there.into_iter().filter(|(_, count)| *count > 0) {
                bring(host, count, &|class| need[class]);
            }
        }
        let usage = self.usage(state);
        came.into_iter().all(|(host, came)| {
            let capacity = &self.scene.capacity[self.hosts[host]];
            let most = |class: usize| capacity[class] - kept(capacity[class], self.scene.options().headroom_percent);
            (0..came.len()).all(|class| came[class] <= 0 || usage[host][class] <= most(class))
        })
    }

    /// Whether whoever moved has another member beside it, and the group is on no more hosts than before.
    fn holds(&self, state: &State, circle: &Circle) -> bool {
        let mut members = circle.fixed.clone();
        circle.actors.iter().for_each(|at| members[self.host(state, *at)] += 1);
        let used = |members: &[usize]| members.iter().filter(|count| **count > 0).count();
        let moved = |at: &&usize| self.host(state, **at) != self.actors[**at].home;
        let mut movers = circle.actors.iter().filter(moved).peekable();
        movers.peek().is_none()
            || used(&members) <= used(&circle.at_start) && movers.all(|at| members[self.host(state, *at)] > 1)
    }

    /// Who is refused: of those alike on one host the least important.
    fn refused<'s>(&'s self, state: &'s State) -> impl Iterator<Item = usize> + 's {
        let of_run = move |run: &std::ops::Range<usize>| {
            let mut waiting: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
            let mut still: BTreeMap<usize, usize> = BTreeMap::new();
            for at in run.clone() {
                let actor = &self.actors[at];
                waiting.entry(actor.home).or_default().push(actor.party.instance);
                let waits = if actor.is_resized() { state[at] == 0 } else { true };
                *still.entry(self.host(state, at)).or_default() += usize::from(waits);
            }
            let least = move |(host, mut waiting): (usize, Vec<usize>)| {
                waiting.sort_by_key(|at| self.scene.instance(*at).priority);
                waiting.truncate(still.get(&host).copied().unwrap_or(0));
                waiting
            };
            waiting.into_iter().flat_map(least)
        };
        let asked = self.runs.iter().filter(|run| self.actors[run.start].party.role != Role::ThirdParty);
        self.stuck.iter().copied().chain(asked.flat_map(of_run))
    }

    fn rank(&self, state: &State) -> Rank {
        self.levels.rank(self.scene, self.refused(state))
    }
}

fn is_resized(party: &Party) -> bool {
    matches!(party.role, Role::Resized { .. })
}

fn code(position: usize) -> u8 {
    u8::try_from(position + 1).expect("a pool that is exhausted has fewer hosts than a byte counts")
}

/// What instances have in common that are not told apart.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Alike {
    kind: usize,
    third_party: bool,
    groups: Vec<usize>,
    /// Where it counts where they come from.
    home: Option<usize>,
    /// Where each is told apart from all.
    single: Option<usize>,
}

impl Alike {
    fn of(scene: &Scene<'_>, party: &Party, detail: Detail) -> Self {
        let id = &scene.instance(party.instance).id;
        let all = scene.fleet.server_groups().iter().enumerate();
        let mine = all.filter(|(_, group)| is_hard(group.policy) && group.members.contains(id));
        let (groups, bound): (Vec<usize>, Vec<bool>) =
            mine.map(|(at, group)| (at, group.policy == GroupPolicy::Affinity)).unzip();
        let from = detail == Detail::Ways || bound.contains(&true);
        Self {
            kind: party.kind,
            third_party: party.role == Role::ThirdParty,
            groups,
            home: from.then_some(scene.home[party.instance]),
            single: is_resized(party).then_some(party.instance),
        }
    }
}

fn is_hard(policy: GroupPolicy) -> bool {
    matches!(policy, GroupPolicy::Affinity | GroupPolicy::AntiAffinity)
}

/// The groups of a policy that have an actor; affinity only where all its members are on these hosts.
fn circles(scene: &Scene<'_>, hosts: &[usize], actors: &[Actor<'_>], policy: GroupPolicy) -> Vec<Circle> {
    let of = |group: &decant_schema::fleet::ServerGroup| {
        let members = group.members.iter().filter_map(|id| scene.fleet.instance_index(id.as_str()));
        let (mut fixed, mut at_start) = (vec![0; hosts.len()], vec![0; hosts.len()]);
        let mut moving = Vec::new();
        for member in members {
            let Ok(home) = hosts.binary_search(&scene.home[member]) else {
                if policy == GroupPolicy::Affinity {
                    return None;
                }
                continue;
            };
            at_start[home] += 1;
            match actors.iter().position(|actor| actor.party.instance == member) {
                Some(actor) => moving.push(actor),
                None => fixed[home] += 1,
            }
        }
        let max_per_host = group.max_per_host as usize;
        (!moving.is_empty()).then_some(Circle { actors: moving, fixed, at_start, max_per_host })
    };
    scene.fleet.server_groups().iter().filter(|group| group.policy == policy).filter_map(of).collect()
}
