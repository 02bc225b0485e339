//! What is proven of the goals, by this module's own arithmetic.
//!
//! A certificate is prices; what follows from them is recomputed here, in whole numbers, as its definition
//! ([`decant_schema::plan::Certificate`]) says: the least every host of a pool pays when it decides for itself.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use decant_schema::plan::{Certificate, Plan, PoolCertificate, TierName};
use decant_schema::request::RequestKind;
use decant_schema::units::AMOUNT_MAX;
use rayon::prelude::*;

use super::counting;
use super::earning::{Case, Choice, pays_least};
use super::knapsack::{Arrival, Tables, Worth, gcd};
use super::least;
use super::levels::{self, Levels, Rank};
use super::pool::{Kind, Party, Pools, Role};
use super::reach;
use super::room::kept;
use super::scene::Scene;
use super::turns::Turns;
use super::violation::Violation;
use super::window;
use crate::Limits;

/// Lower bounds of the goals.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Certified {
    /// Requested instances that no plan moves.
    pub(super) refused: u64,
    /// By priority, the highest first: requested instances of it that every plan refuses which refuses as few of those
    /// before; null where nothing is known.
    pub(super) by_priority: Vec<(i32, Option<u64>)>,
    /// Memory that every plan with as few refusals displaces, MiB.
    pub(super) displaced_mb: u64,
    /// Seconds no complete plan beats.
    pub(super) duration_s: f64,
    /// The imbalance no complete plan beats.
    pub(super) imbalance: f64,
    /// Whether time was over before all was evaluated: then more may be true.
    pub(super) cut_short: bool,
}

impl Certified {
    /// What is proven of a goal.
    #[expect(clippy::cast_precision_loss, reason = "proven bounds are sums of amounts within 2^53")]
    pub(super) fn of(&self, tier: TierName) -> f64 {
        match tier {
            TierName::Refused => self.refused as f64,
            TierName::DisplacedMemoryMb => self.displaced_mb as f64,
            TierName::DurationS => self.duration_s,
            TierName::Imbalance => self.imbalance,
        }
    }
}

/// What the fleet and the plan's certificate prove, and the bounds of pools that claim more; as far as there is time.
pub(super) fn evaluate(scene: &Scene<'_>, plan: &Plan, limits: &Limits<'_>) -> (Certified, Vec<Violation>) {
    let pools = Pools::new(scene);
    if matches!(scene.request.kind, RequestKind::Rolling { .. }) {
        let refused = counting::unmoved(scene, &pools).len() as u64;
        let turns = Turns::new(scene, plan).filter(|_| plan.refusals.is_empty());
        let duration_s = turns.map_or(0.0, |turns| turns.duration_s());
        return (Certified { refused, duration_s, ..Certified::default() }, Vec::new());
    }
    let certificate = plan.proof.certificate.as_ref();
    let (mut refused, mut weaker) = least_refused(scene, &pools, certificate, limits);
    let levels = Levels::new(scene);
    let planned = levels::refused(scene, &pools, plan);
    let least = least_by_priority(scene, &pools, &levels, &planned, &mut refused, limits);
    let mut displaced: BTreeMap<usize, u64> = BTreeMap::new();
    for of_pool in of_tier(certificate, TierName::DisplacedMemoryMb) {
        let pool = pools.pool[position(scene, of_pool)];
        let refusals = refusals_max(&pools, plan, &refused, pool);
        let (pool, proven) = prove(scene, &pools, of_pool, refusals, limits);
        let known = displaced.entry(pool).or_default();
        *known = proven.max(*known);
        weaker.extend(claims_more(of_pool, *known));
    }
    let refusing = (&planned, &least);
    exhaust_displaced(scene, &pools, &levels, plan, refusing, &mut displaced, limits);
    let stuck = whom(&pools, Role::is_hopeless);
    let refused: u64 = refused.values().sum();
    let refused = refused.max(window::too_late(scene));
    let reached = levels.rank(scene, planned.values().flatten().copied());
    let at_best = levels.at_best(scene, pools.parties.iter().flatten(), refused);
    let bounds = match reached == at_best {
        true => levels.of_each(&at_best).iter().copied().map(Some).collect(),
        false => levels.bounds(scene, &planned, &least, &stuck),
    };
    let by_priority = levels.priorities.iter().copied().zip(bounds).collect();
    let displaced_mb = displaced.values().sum();
    let mut certified = Certified { refused, by_priority, displaced_mb, ..Certified::default() };
    // What is refused takes no time and fills no other host.
    if plan.refusals.is_empty() {
        (certified.duration_s, certified.imbalance) = (least::duration_s(scene), least::imbalance(scene, plan));
    }
    certified.cut_short = limits.out_of_time();
    (certified, weaker)
}

/// By pool in which a plan refuses somebody, as far as it is known: the least that can be refused. Where the plan refuses more
/// than is proven so far, the pool is exhausted, and what that proves of the number joins `refused`.
fn least_by_priority(
    scene: &Scene<'_>,
    pools: &Pools,
    levels: &Levels,
    planned: &BTreeMap<usize, Vec<usize>>,
    refused: &mut BTreeMap<usize, u64>,
    limits: &Limits<'_>,
) -> BTreeMap<usize, Rank> {
    let mut least = BTreeMap::new();
    for (pool, these) in planned {
        let known = refused.entry(*pool).or_default();
        let at_best = levels.at_best(scene, pools.parties_of(*pool), *known);
        if levels.rank(scene, these.iter().copied()) == at_best {
            least.insert(*pool, at_best);
        } else if let Some(found) = reach::least_refused(scene, pools, levels, *pool, limits) {
            *known = found.count.max(*known);
            least.insert(*pool, found.rank);
        }
    }
    least
}

/// Exhausts pools in which a plan refuses the least and displaces more than is proven so far.
fn exhaust_displaced(
    scene: &Scene<'_>,
    pools: &Pools,
    levels: &Levels,
    plan: &Plan,
    (planned, least): (&BTreeMap<usize, Vec<usize>>, &BTreeMap<usize, Rank>),
    displaced: &mut BTreeMap<usize, u64>,
    limits: &Limits<'_>,
) {
    for (pool, reached) in levels::displaced(scene, pools, plan) {
        let refused = levels.rank(scene, planned.get(&pool).into_iter().flatten().copied());
        let refuses_least = !planned.contains_key(&pool) || least.get(&pool) == Some(&refused);
        let known = displaced.entry(pool).or_default();
        if *known < reached && refuses_least && !limits.out_of_time() {
            *known = reach::least_displaced(scene, pools, levels, pool, &refused, reached).max(*known);
        }
    }
}

/// How many requested instances no plan moves, as far as this certificate proves, and what of it claims more.
pub(super) fn refused_min(
    scene: &Scene<'_>,
    certificate: Option<&Certificate>,
    limits: &Limits<'_>,
) -> (u64, Vec<Violation>) {
    let (refused, weaker) = least_refused(scene, &Pools::new(scene), certificate, limits);
    (refused.values().sum(), weaker)
}

/// The same by pool.
fn least_refused(
    scene: &Scene<'_>,
    pools: &Pools,
    certificate: Option<&Certificate>,
    limits: &Limits<'_>,
) -> (BTreeMap<usize, u64>, Vec<Violation>) {
    let mut refused = stuck(pools);
    for (pool, crowded_out) in counting::crowded_out(scene, pools) {
        *refused.entry(pool).or_default() += crowded_out;
    }
    let mut weaker = Vec::new();
    for of_pool in of_tier(certificate, TierName::Refused) {
        let (pool, proven) = prove(scene, pools, of_pool, 0, limits);
        let known = refused.entry(pool).or_default();
        *known = proven.max(*known);
        weaker.extend(claims_more(of_pool, *known));
    }
    (refused, weaker)
}

fn of_tier(certificate: Option<&Certificate>, tier: TierName) -> impl Iterator<Item = &PoolCertificate> {
    let pools = certificate.into_iter().flat_map(|certificate| &certificate.pools);
    pools.filter(move |of_pool| of_pool.tier == tier)
}

fn claims_more(of_pool: &PoolCertificate, proven: u64) -> Option<Violation> {
    let (host, tier, claimed) = (of_pool.host.clone(), of_pool.tier, of_pool.bound);
    (claimed > proven).then_some(Violation::CertificateWeaker { host, tier, claimed, proven })
}

fn position(scene: &Scene<'_>, of_pool: &PoolCertificate) -> usize {
    scene.fleet.host_index(of_pool.host.as_str()).expect("all names of the plan are known")
}

/// By pool: instances for which nothing can be done. Every plan refuses them.
fn stuck(pools: &Pools) -> BTreeMap<usize, u64> {
    whom(pools, Role::is_hopeless).into_iter().map(|(pool, these)| (pool, these.len() as u64)).collect()
}

/// By pool: the instances in such a role.
fn whom(pools: &Pools, role: impl Fn(Role) -> bool) -> BTreeMap<usize, Vec<usize>> {
    let mut whom: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (host, parties) in pools.parties.iter().enumerate() {
        let these = parties.iter().filter(|party| role(party.role)).map(|party| party.instance);
        whom.entry(pools.pool[host]).or_default().extend(these);
    }
    whom
}

/// The most refusals of a pool in any plan as good in the goals before displaced memory: what the plan refuses, less
/// what is proven of the other pools. Where refusals come later, any number.
fn refusals_max(pools: &Pools, plan: &Plan, refused: &BTreeMap<usize, u64>, pool: usize) -> u64 {
    let rank = |name| plan.proof.tiers.iter().position(|tier| tier.name == name);
    if rank(TierName::Refused) > rank(TierName::DisplacedMemoryMb) {
        return pools.parties_of(pool).filter(|party| party.role != Role::ThirdParty).count() as u64;
    }
    let others: u64 = refused.iter().filter(|(other, _)| **other != pool).map(|(_, proven)| proven).sum();
    (plan.refusals.len() as u64).saturating_sub(others)
}

/// The pool a certificate is about, and the bound its prices yield there for plans of at most so many refusals.
fn prove(
    scene: &Scene<'_>,
    pools: &Pools,
    of_pool: &PoolCertificate,
    refusals: u64,
    limits: &Limits<'_>,
) -> (usize, u64) {
    let pool = pools.pool[position(scene, of_pool)];
    (pool, Prices::new(scene, pools, of_pool).and_then(|prices| prices.bound(pool, refusals, limits)).unwrap_or(0))
}

/// A certificate's prices, over its denominator.
struct Prices<'a> {
    scene: &'a Scene<'a>,
    pools: &'a Pools,
    /// Positions of the classes that count.
    classes: Vec<usize>,
    denominator: i128,
    refusal: i128,
    /// Whether memory of third parties is paid for.
    displaced: bool,
    by_kind: HashMap<usize, i128>,
}

impl<'a> Prices<'a> {
    /// Reads the prices; `None` if any is out of range.
    fn new(scene: &'a Scene<'a>, pools: &'a Pools, of_pool: &PoolCertificate) -> Option<Self> {
        let displaced = of_pool.tier == TierName::DisplacedMemoryMb;
        let in_range = |price: u64| (price <= AMOUNT_MAX).then_some(i128::from(price));
        let denominator = in_range(of_pool.denominator).filter(|denominator| *denominator > 0)?;
        let refusal = if displaced { in_range(of_pool.refusal_price)? } else { denominator };
        let kind_of: HashMap<usize, usize> =
            pools.parties.iter().flatten().map(|party| (party.instance, party.kind)).collect();
        let mut by_kind = HashMap::new();
        for price in &of_pool.prices {
            let instance = scene.fleet.instance_index(price.like.as_str())?;
            if let Some(kind) = kind_of.get(&instance) {
                by_kind.insert(*kind, in_range(price.price)?);
            }
        }
        let classes: BTreeSet<usize> =
            of_pool.classes.iter().filter_map(|class| scene.classes.iter().position(|known| *known == class)).collect();
        let classes = classes.into_iter().collect();
        Some(Self { scene, pools, classes, denominator, refusal, displaced, by_kind })
    }

    fn price(&self, kind: usize) -> i128 {
        self.by_kind.get(&kind).copied().unwrap_or(0)
    }

    fn counted(&self, amounts: &[i128]) -> Vec<i128> {
        self.classes.iter().map(|class| amounts[*class]).collect()
    }

    /// The bound of a pool for plans that refuse at most so many of it.
    fn bound(&self, pool: usize, refusals: u64, limits: &Limits<'_>) -> Option<u64> {
        let mut arrivals: Vec<Vec<Arrival>> = Vec::new();
        let mut cases: BTreeMap<Case, i128> = BTreeMap::new();
        let mut pays = -self.refusal * i128::from(refusals);
        let mut known: HashMap<Vec<usize>, usize> = HashMap::new();
        let earning = self.earning(pool);
        for host in self.pools.hosts(pool) {
            let (evacuees, others): (Vec<&Party>, Vec<&Party>) =
                self.pools.parties[host].iter().partition(|party| matches!(party.role, Role::Evacuee { .. }));
            pays += evacuees.iter().map(|party| self.evacuee_pays(party)).sum::<i128>();
            let admitted = earning.get(&host).cloned().unwrap_or_default();
            let set = *known.entry(admitted).or_insert_with_key(|kinds| {
                arrivals.push(self.arrivals(kinds));
                arrivals.len() - 1
            });
            *cases.entry(self.case(host, set, &others)).or_default() += 1;
        }
        pays += total(&arrivals, cases, self.classes.len(), limits)?;
        let bound = pays.max(0).div_euclid(self.denominator) + i128::from(pays.max(0).rem_euclid(self.denominator) > 0);
        u64::try_from(self.rounded(pool, bound)).ok()
    }

    /// By host: kinds of the pool that earn something and may arrive there.
    fn earning(&self, pool: usize) -> HashMap<usize, Vec<usize>> {
        let kinds: BTreeSet<usize> =
            self.pools.parties_of(pool).map(|party| party.kind).filter(|kind| self.price(*kind) > 0).collect();
        let mut earning: HashMap<usize, Vec<usize>> = HashMap::new();
        for kind in kinds {
            for host in &self.pools.admitted[self.pools.kinds[kind].admitted] {
                earning.entry(*host).or_default().push(kind);
            }
        }
        earning
    }

    /// Arrivals of these kinds; of those that need the same only what earns most.
    fn arrivals(&self, kinds: &[usize]) -> Vec<Arrival> {
        let mut earns: BTreeMap<Vec<i128>, i128> = BTreeMap::new();
        for kind in kinds {
            let known = earns.entry(self.counted(&self.pools.kinds[*kind].need)).or_default();
            *known = (*known).max(self.price(*kind));
        }
        earns.into_iter().map(|(need, earns)| Arrival { need, earns }).collect()
    }

    fn evacuee_pays(&self, party: &Party) -> i128 {
        match party.role {
            Role::Evacuee { stuck: false } => self.refusal.min(self.price(party.kind)),
            Role::Evacuee { stuck: true } | Role::Resized { .. } | Role::ThirdParty => self.refusal,
        }
    }

    fn case(&self, host: usize, arrivals: usize, parties: &[&Party]) -> Case {
        let scene = self.scene;
        let room = scene.capacity[host].iter().zip(&scene.usage[host]);
        let room: Vec<i128> =
            room.map(|(capacity, used)| capacity - used - kept(*capacity, scene.options().headroom_percent)).collect();
        let mut choices: Vec<Vec<Choice>> = parties.iter().map(|party| self.choices(party)).collect();
        choices.sort();
        Case { arrivals, room: self.counted(&room), choices }
    }

    /// The ways a third party or a resized instance may decide; the first takes no room.
    fn choices(&self, party: &Party) -> Vec<Choice> {
        let Kind { need, claim, .. } = &self.pools.kinds[party.kind];
        let (need, claim) = (self.counted(need), self.counted(claim));
        let none = vec![0; claim.len()];
        let choice = |pays, frees: &Vec<i128>, takes| Choice { pays, frees: frees.clone(), takes };
        let departs = |pays| choice(pays, &claim, none.clone());
        let stays = |pays| choice(pays, &none, none.clone());
        let beyond = |a: &[i128], b: &[i128]| a.iter().zip(b).map(|(a, b)| (a - b).max(0)).collect::<Vec<i128>>();
        match party.role {
            Role::ThirdParty => {
                let memory = if self.displaced { i128::from(self.scene.memory(party.instance)) } else { 0 };
                vec![stays(0), departs(self.price(party.kind) + memory * self.denominator)]
            }
            Role::Resized { departs: may_depart, in_place } => {
                let departure = may_depart.then(|| departs(self.price(party.kind)));
                let in_place = in_place.then(|| choice(0, &beyond(&claim, &need), beyond(&need, &claim)));
                [Some(stays(self.refusal)), departure, in_place].into_iter().flatten().collect()
            }
            Role::Evacuee { .. } => vec![stays(self.evacuee_pays(party))],
        }
    }

    /// Displaced memory is a sum of what third parties claim, so it is a multiple of what divides them all.
    fn rounded(&self, pool: usize, bound: i128) -> i128 {
        let third_parties = self.pools.parties_of(pool).filter(|party| party.role == Role::ThirdParty);
        let step = third_parties.map(|party| i128::from(self.scene.memory(party.instance))).fold(0, gcd);
        match (self.displaced, step) {
            (false, _) => bound,
            // Nobody can be displaced: a bound above nothing would only say that the pool refuses more.
            (true, 0) => 0,
            (true, step) => (bound + step - 1) / step * step,
        }
    }
}

/// What all hosts pay at least; each case with how many hosts it is.
fn total(arrivals: &[Vec<Arrival>], cases: BTreeMap<Case, i128>, classes: usize, limits: &Limits<'_>) -> Option<i128> {
    let mut by_arrivals: BTreeMap<usize, Vec<(Case, i128)>> = BTreeMap::new();
    for (case, hosts) in cases {
        by_arrivals.entry(case.arrivals).or_default().push((case, hosts));
    }
    let mut total = 0;
    for (set, cases) in by_arrivals {
        let mut room_max = vec![0; classes];
        for (case, _) in &cases {
            room_max.iter_mut().zip(case.room_max()).for_each(|(most, room)| *most = (*most).max(room));
        }
        let table = Tables::new(&arrivals[set], &room_max, limits)?;
        let worths = Worth::candidates(&arrivals[set], classes);
        let pays: Option<Vec<i128>> =
            cases.par_iter().map(|(case, hosts)| Some(pays_least(case, &table, &worths, limits)? * hosts)).collect();
        total += pays?.into_iter().sum::<i128>();
    }
    Some(total)
}
