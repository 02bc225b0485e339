//! One pool, layer by layer: the best placement so far and what is proven, until they meet.

use std::cmp::Reverse;
use std::time::Duration;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use decant_schema::plan::{StoppedBy, TierName};

use crate::limits::Limits;
use crate::problem::{HostIdx, InstanceIdx, Task};

use super::affinity::{self, Unit};
use super::assign::Slots;
use super::flow::Goal;
use super::patterns::{Charge, Patterns, Way};
use super::pools::Pool;
use super::proof::Proof;
use super::tally::{Ground, Tally};
use super::{PoolPlaced, TierBound, assign, crowded, direct, eject, flow, improve, neighbourhood};

/// One in this many left over by one order is too much for another order to place.
const FAR_FROM_FITTING: usize = 20;

/// Nodes of an exact model of a whole pool.
const NODES: i32 = 2000;

/// Columns of an exact model of a whole pool: one with more finds some placement, but a poor one.
const COLUMNS: usize = 2500;

/// Columns of the exact model of a neighbourhood, at most.
const NEIGHBOURHOOD_COLUMNS: usize = 6000;

/// Nodes of the exact model of a neighbourhood: one that takes more is given up for another.
const NEIGHBOURHOOD_NODES: i32 = 100;

/// Sizes of the neighbourhoods tried in the end, hosts: the smaller are decided in tenths of a second, the larger find
/// what is beyond the smaller.
const NEIGHBOURS: [usize; 3] = [10, 15, 20];

/// Neighbourhoods of a size that come to nothing in a row before larger ones are tried, at the usual effort.
const VAIN: u32 = 20;

/// Neighbourhoods tried before the thorough ways to whole patterns, which take longer.
const NEIGHBOURHOODS_FEW: u32 = 8;

/// So few without a place find room that is gathered; where more are refused, it is their number that counts.
const FEW_LEFT: usize = 16;

/// Steps above the bound from which patterns at the bound are out of reach, and neighbourhoods get further.
const FAR_FROM_BOUND: u64 = 64;

/// Part of the time by which an answer may be late in which room is made for those left over, percent; and the part until
/// which the later goals are served: without them, a search that was cut short ends in a plan that takes much longer to
/// carry out.
pub(super) const MAKING_DO: u32 = 40;
/// And the least time for it by instance of the pool, however late it is when a large fleet comes to it: about what they took
/// to be read.
const MAKING_DO_MIN: Duration = Duration::from_micros(20);
const IMPROVING: u32 = 60;

/// What random numbers are for: each has a stream of its own, so that one does not disturb the other.
#[derive(Clone, Copy)]
enum Purpose {
    Neighbourhoods,
    Improvement,
}

/// What placements are compared by, in this order.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Value {
    /// How many are refused of each priority, the highest first; before them how many in all, where the request says so.
    rank: Vec<u32>,
    /// How many are refused.
    refused: u64,
    /// The memory displaced, MiB.
    displaced: u64,
}

/// The best placement of a pool so far, and what is proven.
pub(super) struct Search<'a> {
    ground: &'a Ground<'a>,
    pool: &'a Pool,
    limits: &'a Limits<'a>,
    units: Vec<Unit>,
    best: Tally<'a>,
    /// No placement refuses fewer, and none that refuses as little as the best does displaces less memory, MiB.
    bound: (u64, u64),
    /// The priorities of those asked, each once, the highest first.
    priorities: Vec<i32>,
    /// The least rank of refusals, where a search to the end has found it.
    least_rank: Option<Vec<u32>>,
    proofs: Vec<Proof>,
    /// Whether column generation has had its say about the bounds.
    is_bounded: bool,
    /// Patterns to be made whole, and the placement around which they are.
    patterns: Option<(Tally<'a>, Patterns)>,
    /// Patterns that refuse the fewest, displacing whatever that takes; once somebody may have to be refused.
    refusals: Option<Patterns>,
    /// Chooses neighbourhoods.
    random: ChaCha8Rng,
    stopped_by: Option<StoppedBy>,
}

impl<'a> Search<'a> {
    /// Nothing moved yet; only those without any host, or any place of their group, are proven to be refused.
    pub(super) fn new(ground: &'a Ground<'a>, pool: &'a Pool, limits: &'a Limits<'a>) -> Self {
        let hopeless = pool.asked.iter().filter(|instance| !has_anywhere(ground, **instance)).count() as u64;
        let mut priorities: Vec<i32> = pool.asked.iter().map(|at| ground.problem.instances[at.at()].priority).collect();
        priorities.sort_unstable_by_key(|priority| Reverse(*priority));
        priorities.dedup();
        Self {
            ground,
            pool,
            limits,
            units: affinity::units(ground, &pool.asked),
            best: Tally::new(ground),
            bound: (hopeless + crowded::crowded_out(ground, pool), 0),
            priorities,
            least_rank: None,
            proofs: Vec::new(),
            is_bounded: false,
            patterns: None,
            refusals: None,
            random: random(ground, pool, Purpose::Neighbourhoods),
            stopped_by: None,
        }
    }

    /// The same with other limits from here on.
    pub(super) fn within(self, limits: &'a Limits<'a>) -> Self {
        Self { limits, ..self }
    }

    /// What is already proven of the pool: bans on assignments do not change it.
    pub(super) fn with_proof_of(mut self, before: &PoolPlaced) -> Self {
        self.bound = (before.refused.bound, before.displaced.bound);
        self.proofs.clone_from(&before.proofs);
        self.is_bounded = true;
        self
    }

    /// Begins with what was placed before, those that may not go there any more being placed anew; says whether that
    /// refuses as few.
    pub(super) fn mend(&mut self, before: &PoolPlaced) -> bool {
        let mut tally = Tally::new(self.ground);
        let mut unmatched = Vec::new();
        for (instance, host) in &before.moved {
            if self.ground.admits(*instance, *host) {
                tally.put(*instance, *host);
            } else {
                unmatched.push(*instance);
            }
        }
        let third_party = |at: &&InstanceIdx| self.ground.problem.instances[at.at()].task == Task::MayMove;
        unmatched.iter().filter(third_party).for_each(|at| tally.lift(*at));
        self.repair(&mut tally, unmatched);
        self.offer(tally);
        self.stopped_by = before.stopped_by;
        self.rank(&self.left(&self.best)) <= self.rank(&before.left)
    }

    /// Whether nobody need be refused who is not, nor any of those displaced who move.
    pub(super) fn is_proven(&self) -> bool {
        self.refuses_the_least() && self.best.displaced() == self.bound.1
    }

    fn refuses_the_least(&self) -> bool {
        let Value { rank, refused, .. } = self.value(&self.best);
        self.least_rank.as_ref() == Some(&rank)
            || (refused == self.bound.0 && rank == self.rank(&self.least_important(refused)))
    }

    /// How many are proven to be refused so far.
    pub(super) fn refused_at_least(&self) -> u64 {
        self.bound.0
    }

    fn meets_bounds(&self) -> bool {
        let Value { refused, displaced, .. } = self.value(&self.best);
        (refused, displaced) == self.bound
    }

    /// So many of those asked who could be refused instead of others for all that is known without looking: those without any
    /// host, then the least important.
    fn least_important(&self, count: u64) -> Vec<InstanceIdx> {
        let hopeless = |at: &&InstanceIdx| !has_anywhere(self.ground, **at);
        let (stuck, mut others): (Vec<InstanceIdx>, Vec<InstanceIdx>) = self.pool.asked.iter().partition(hopeless);
        others.sort_by_key(|at| self.ground.problem.instances[at.at()].priority);
        stuck.into_iter().chain(others).take(usize::try_from(count).unwrap_or(usize::MAX)).collect()
    }

    /// Whether nothing better is sought: there is none, or no time; at no effort, any that refuses nobody will do, or a
    /// proof that there is none.
    pub(super) fn is_enough(&self) -> bool {
        let answers = || self.left(&self.best).is_empty() || (self.bound.0 > 0 && self.refusals.is_some());
        (self.limits.effort == 0 && answers()) || self.is_proven() || self.limits.out_of_time()
    }

    fn value(&self, tally: &Tally<'_>) -> Value {
        let left = self.left(tally);
        Value { rank: self.rank(&left), refused: left.len() as u64, displaced: tally.displaced() }
    }

    fn refuses(&self, tally: &Tally<'_>) -> u64 {
        self.left(tally).len() as u64
    }

    /// What refusing these is compared by; see [`Value::rank`].
    fn rank(&self, these: &[InstanceIdx]) -> Vec<u32> {
        let mut counts = vec![0; self.priorities.len() + 1];
        for at in these {
            let priority = self.ground.problem.instances[at.at()].priority;
            counts[0] += 1;
            if let Ok(level) = self.priorities.binary_search_by(|known| priority.cmp(known)) {
                counts[level + 1] += 1;
            }
        }
        if self.ground.problem.request.options.count_first { counts } else { counts.split_off(1) }
    }

    /// Those that are asked and stay.
    fn left(&self, tally: &Tally<'_>) -> Vec<InstanceIdx> {
        self.pool.asked.iter().copied().filter(|instance| !tally.is_moved(*instance)).collect()
    }

    /// Takes the placement if it is whole and better.
    fn offer(&mut self, tally: Tally<'a>) -> bool {
        let better = tally.lifted().is_empty() && tally.affinity_holds() && self.value(&tally) < self.value(&self.best);
        if better {
            self.best = tally;
        }
        better
    }

    /// Places by direct fit, in several orders; in one, whatever the time.
    pub(super) fn fit_directly(&mut self) {
        let mut limits = self.limits.to_the_end();
        for order in direct::ORDERS {
            let mut tally = Tally::new(self.ground);
            let left = direct::fit(&mut tally, &self.units, &self.pool.hosts, order, &limits);
            self.offer(tally);
            limits = *self.limits;
            if self.is_proven() || left.len() > self.units.len() / FAR_FROM_FITTING || limits.out_of_time() {
                return;
            }
        }
    }

    /// If the clock cut the search short, makes room for those left over by ejection: seldom the best, but complete.
    pub(super) fn make_do(&mut self) {
        if self.is_proven() || !self.limits.out_of_time() {
            return;
        }
        let mut tally = self.best.clone();
        let left = self.units.iter().filter(|unit| !tally.is_moved(unit.members[0]));
        let left: Vec<Unit> = left.cloned().collect();
        let standing = self.pool.hosts.iter().map(|host| self.ground.problem.hosts[host.at()].instances.len());
        let least = MAKING_DO_MIN * u32::try_from(standing.sum::<usize>()).unwrap_or(u32::MAX);
        eject::eject(&mut tally, left, &self.pool.hosts, &self.limits.late_by(MAKING_DO).at_least(least));
        self.offer(tally);
    }

    /// Runs column generation, and follows on every host the pattern it uses most: near the best, and in no time.
    pub(super) fn follow_fractions(&mut self) {
        let start = if self.is_plain() { Tally::new(self.ground) } else { self.units_placed() };
        let mut patterns = Patterns::new(&start, self.pool, Charge::Displaced, self.is_plain(), self.limits);
        let counted = patterns.is_in_doubt().then(|| self.counted(&start, &patterns, self.is_plain()));
        let serves = self.follow_most_used(&start, counted.as_ref().unwrap_or(&patterns));
        match counted {
            None => {}
            Some(counted) if serves => patterns = counted,
            // Where so many are beyond what there is room for that the fewest refusals are a matter of moving everybody, what
            // is paid for each refusal is the better guide.
            Some(_) => {
                patterns = patterns.go_on(&start, self.pool, 0, self.limits);
                self.follow_most_used(&start, &patterns);
            }
        }
        if self.is_plain() && self.refuses(&self.best) == self.bound.0 {
            self.prove(&patterns);
        }
        self.patterns = Some((start, patterns));
    }

    /// Makes the patterns whole, follows them, and proves bounds.
    pub(super) fn follow_patterns(&mut self) {
        if let Some((start, mut patterns)) = self.patterns.take() {
            self.follow(&start, &mut patterns);
            if self.is_plain() {
                self.prove(&patterns);
            }
        }
        if !self.is_bounded {
            let start = Tally::new(self.ground);
            let mut relaxed = Patterns::new(&start, self.pool, Charge::Displaced, true, self.limits);
            if relaxed.is_in_doubt() {
                relaxed = self.counted(&start, &relaxed, true);
            }
            self.prove(&relaxed);
        }
    }

    /// Follows on every host the pattern it uses most; says whether that serves.
    fn follow_most_used(&mut self, start: &Tally<'a>, patterns: &Patterns) -> bool {
        patterns.most_used().is_some_and(|slots| self.carry_out(start, &slots))
    }

    /// Column generation goes on once it is proven how many must be refused: displacement is the least for that many.
    fn counted(&mut self, start: &Tally<'a>, patterns: &Patterns, relaxed: bool) -> Patterns {
        self.bound_refusals();
        let is_left_out = |at: &&InstanceIdx| self.ground.problem.is_bound(**at) && !start.is_moved(**at);
        let left_out = if relaxed { 0 } else { self.pool.asked.iter().filter(is_left_out).count() as u64 };
        patterns.go_on(start, self.pool, self.bound.0.saturating_sub(left_out), self.limits)
    }

    /// Proves how many must be refused, by prices of refusals.
    pub(super) fn bound_refusals(&mut self) {
        if self.refusals.is_none() {
            let start = Tally::new(self.ground);
            let refusals = Patterns::new(&start, self.pool, Charge::Refused, true, self.limits);
            self.bound.0 = self.bound.0.max(refusals.proof().bound(0));
            if !self.proofs.iter().any(|proof| proof.tier() == TierName::Refused) {
                self.proofs.push(refusals.proof().clone());
            }
            self.refusals = Some(refusals);
        }
    }

    /// Proves bounds by the relaxation in which rules about one instance and one host alone count.
    fn prove(&mut self, relaxed: &Patterns) {
        if self.is_bounded {
            return;
        }
        if self.refuses(&self.best) > self.bound.0 {
            self.gather_room();
        }
        if self.refuses(&self.best) > self.bound.0 {
            self.follow_refusals();
        }
        let refused = self.refuses(&self.best);
        self.bound.1 = relaxed.proof().bound(refused);
        self.proofs.push(relaxed.proof().clone());
        self.is_bounded = true;
    }

    /// Whether patterns say all there is: nobody is bound by affinity and nothing is avoided.
    fn is_plain(&self) -> bool {
        let mut all = self.pool.asked.iter().chain(&self.pool.third_parties);
        !self.ground.has_bans() && !all.any(|instance| self.ground.problem.is_bound(*instance))
    }

    /// Those bound by affinity in place, as far as they find one; patterns place the others around them.
    fn units_placed(&self) -> Tally<'a> {
        let mut tally = Tally::new(self.ground);
        let bound: Vec<Unit> =
            self.units.iter().filter(|unit| self.ground.problem.is_bound(unit.members[0])).cloned().collect();
        let left = direct::fit(&mut tally, &bound, &self.pool.hosts, direct::Order::Sum, self.limits);
        eject::eject(&mut tally, left, &self.pool.hosts, self.limits);
        tally
    }

    /// Turns patterns into a placement by making them whole, unless the best is as good as they can be; at no effort in the
    /// quick way alone.
    fn follow(&mut self, start: &Tally<'a>, patterns: &mut Patterns) {
        if self.meets(patterns) {
            return;
        }
        self.follow_whole(start, patterns, Way::Quick);
        if self.meets(patterns) {
            return;
        }
        self.search_some_neighbourhoods();
        for way in [Way::Exchanging, Way::Thorough] {
            if self.meets(patterns) || self.is_far_from(patterns) || self.limits.effort == 0 {
                return;
            }
            self.follow_whole(start, patterns, way);
        }
    }

    /// Makes the patterns whole in one way, and carries out what comes of it.
    fn follow_whole(&mut self, start: &Tally<'a>, patterns: &mut Patterns, way: Way) {
        for slots in patterns.slots(way, self.ground.problem.request.options.seed, self.limits) {
            self.carry_out(start, &slots);
        }
    }

    /// Whether so much more is displaced than the patterns' bound that they will not meet it.
    fn is_far_from(&self, patterns: &Patterns) -> bool {
        let Value { refused, displaced, .. } = self.value(&self.best);
        let far = FAR_FROM_BOUND * patterns.step_mib();
        let of_memory = patterns.proof().tier() == TierName::DisplacedMemoryMb && refused <= self.bound.0;
        of_memory && displaced > patterns.proof().bound(refused) + far
    }

    /// Whether the best so far is as good as the patterns' bound.
    fn meets(&self, patterns: &Patterns) -> bool {
        let Value { refused, displaced, .. } = self.value(&self.best);
        let bound = patterns.proof().bound(refused);
        match patterns.proof().tier() {
            TierName::Refused => refused <= bound,
            _ => refused <= self.bound.0 && displaced <= bound,
        }
    }

    fn carry_out(&mut self, start: &Tally<'a>, slots: &Slots) -> bool {
        let mut tally = start.clone();
        let unmatched = assign::assign(&mut tally, slots, &self.pool.asked);
        self.repair(&mut tally, unmatched);
        self.offer(tally)
    }

    /// Finds a place for those the matching left over. Third parties that find none return, or their room is made, or they
    /// get that of those asked.
    fn repair(&self, tally: &mut Tally<'a>, unmatched: Vec<InstanceIdx>) {
        let weights = direct::weights(tally, &self.pool.hosts);
        let is_third_party = |at: &InstanceIdx| self.ground.problem.instances[at.at()].task == Task::MayMove;
        let (lifted, asked): (Vec<_>, Vec<_>) = unmatched.into_iter().partition(is_third_party);
        let mut homeless = Vec::new();
        for unit in lifted.into_iter().map(Unit::alone) {
            if tally.may_return(unit.members[0]) {
                tally.take_back(unit.members[0]);
            } else if !direct::place(tally, &unit, &self.pool.hosts, &weights) {
                homeless.push(unit);
            }
        }
        homeless.extend(asked.into_iter().map(Unit::alone));
        eject::eject(tally, homeless, &self.pool.hosts, self.limits);
        let gave_up = eject::reclaim(tally, &self.pool.hosts);
        eject::eject(tally, gave_up.into_iter().map(Unit::alone).collect(), &self.pool.hosts, self.limits);
    }

    /// Refuses the fewest, whatever that displaces.
    fn follow_refusals(&mut self) {
        self.bound_refusals();
        if self.refuses(&self.best) > self.bound.0
            && self.is_plain()
            && let Some(mut refusals) = self.refusals.take()
        {
            let start = Tally::new(self.ground);
            self.follow_most_used(&start, &refusals);
            self.follow(&start, &mut refusals);
            self.refusals = Some(refusals);
        }
    }

    /// Decides a small pool by the exact model, a large one by neighbourhoods.
    pub(super) fn decide_exactly(&mut self) {
        let scope = flow::Scope { hosts: &self.pool.hosts, asked: &self.pool.asked };
        let effort = self.limits.search(NODES, f64::NEG_INFINITY);
        let found = flow::decide(&Tally::new(self.ground), &scope, Goal::Refusals, COLUMNS, effort);
        let whole = found.optimal;
        if let Some(tally) = found.tally {
            self.offer(tally);
            if whole && !self.ground.has_bans() {
                let Value { rank, refused, displaced } = self.value(&self.best);
                // With several priorities the least rank may take more refusals than there need be.
                let fewest = self.priorities.len() < 2 || self.ground.problem.request.options.count_first;
                self.bound = (if fewest { refused } else { self.bound.0 }, displaced);
                self.least_rank = Some(rank);
            }
        }
        if !whole && self.meets_bounds() {
            // Only who is refused is open, which is worth a look, not a long one.
            self.search_some_neighbourhoods();
            self.stopped_by = Some(StoppedBy::Nodes).filter(|_| !self.is_proven());
        } else if !whole {
            let refused = self.refuses(&self.best);
            // Where it is proven how many must stay, why they must is to be found out as well.
            let is_known = refused > 0 && refused == self.bound.0;
            let limits = if is_known { self.limits.half_of_what_is_left() } else { *self.limits };
            self.search_neighbourhoods(&limits);
            let cut = if limits.out_of_time() { StoppedBy::Time } else { StoppedBy::Nodes };
            self.stopped_by = Some(cut).filter(|_| !self.is_proven());
        }
    }

    /// Decides neighbourhoods anew as long as that serves, the larger the less it does (large neighbourhood search, Shaw
    /// 1998; variable neighbourhoods, Mladenović and Hansen 1997).
    fn search_neighbourhoods(&mut self, limits: &Limits<'_>) {
        for size in NEIGHBOURS {
            let mut vain = 0;
            while vain < VAIN * limits.effort && !self.is_proven() && !limits.out_of_time() {
                vain = if self.search_neighbourhood(size) { 0 } else { vain + 1 };
            }
        }
    }

    /// Decides a few small neighbourhoods anew.
    pub(super) fn search_some_neighbourhoods(&mut self) {
        for _ in 0..NEIGHBOURHOODS_FEW * self.limits.effort {
            self.search_neighbourhood(NEIGHBOURS[0]);
        }
    }

    /// Decides neighbourhoods of the few without a place anew, so that those who have none need ever less, until all have
    /// one: what room there is here and there is gathered.
    pub(super) fn gather_room(&mut self) {
        let weights = direct::weights(&Tally::new(self.ground), &self.pool.hosts);
        let need = |left: &[InstanceIdx]| -> f64 {
            left.iter().map(|at| direct::weighted(&self.ground.problem.kind(*at).need, &weights)).sum()
        };
        let mut tally = self.best.clone();
        let mut left = self.left(&tally);
        let mut vain = 0;
        while vain < NEIGHBOURHOODS_FEW && (1..=FEW_LEFT).contains(&left.len()) && !self.limits.out_of_time() {
            let hosts = neighbourhood::hosts(&tally, self.pool, &left, NEIGHBOURS[0], &mut self.random);
            vain += 1;
            if let Some(found) = self.decide(&tally, &hosts, Goal::Need(&weights)) {
                let still = self.left(&found);
                if need(&still) < need(&left) {
                    (left, vain) = (still, 0);
                    self.offer(found.clone());
                    tally = found;
                }
            }
        }
    }

    /// Decides some hosts of a placement anew.
    fn decide(&self, tally: &Tally<'a>, hosts: &[HostIdx], goal: Goal<'_>) -> Option<Tally<'a>> {
        let scope = flow::Scope { hosts, asked: &self.pool.asked };
        let effort = self.limits.search(NEIGHBOURHOOD_NODES, f64::NEG_INFINITY);
        flow::decide(tally, &scope, goal, NEIGHBOURHOOD_COLUMNS, effort).tally
    }

    /// Frees so many hosts and decides them anew; says whether that serves.
    fn search_neighbourhood(&mut self, size: usize) -> bool {
        if self.is_proven() || self.limits.out_of_time() {
            return false;
        }
        let hosts = neighbourhood::hosts(&self.best, self.pool, &self.left(&self.best), size, &mut self.random);
        self.decide(&self.best, &hosts, Goal::Refusals).is_some_and(|found| self.offer(found))
    }

    /// Serves the goals that come after: priorities among the refused, soft groups, ports, balance.
    pub(super) fn improve(&mut self) {
        let mut random = random(self.ground, self.pool, Purpose::Improvement);
        let limits = self.limits.late_by(IMPROVING);
        improve::prefer_important(&mut self.best, self.pool, &limits);
        improve::improve(&mut self.best, self.pool, &mut random, &limits);
    }

    /// What came of it.
    pub(super) fn finish(self) -> PoolPlaced {
        let Value { refused, displaced, .. } = self.value(&self.best);
        let time = self.limits.out_of_time().then_some(StoppedBy::Time);
        let proven = self.is_proven();
        let refuses_the_least = self.refuses_the_least();
        PoolPlaced {
            refuses_the_least,
            moved: self.best.moved().collect(),
            left: self.left(&self.best),
            refused: TierBound { value: refused, bound: self.bound.0 },
            displaced: TierBound { value: displaced, bound: self.bound.1 },
            proofs: self.proofs,
            stopped_by: self.stopped_by.or(time).filter(|_| !proven),
        }
    }
}

/// A stream of random numbers of a pool for one purpose.
fn random(ground: &Ground<'_>, pool: &Pool, purpose: Purpose) -> ChaCha8Rng {
    let mut random = ChaCha8Rng::seed_from_u64(ground.problem.request.options.seed);
    random.set_stream(pool.hosts[0].at() as u64 * 2 + purpose as u64);
    random
}

/// Whether the rules leave the instance any host at all.
fn has_anywhere(ground: &Ground<'_>, instance: InstanceIdx) -> bool {
    ground.resizes_in_place(instance)
        || (ground.departs(instance) && !ground.problem.kind(instance).eligible.is_empty())
}
