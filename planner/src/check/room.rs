//! Room and groups in every execution that respects `after`, and at the end.
//!
//! A host and a resource class, or a host and a group, is a [`Place`] with a limit. What is there at the start plus
//! all arrivals is seldom over it; where it is, the worst execution decides ([`super::closure`]). A place that is
//! over its limit at the start may stay so but not get worse.

use std::collections::{BTreeMap, BTreeSet};

use decant_schema::fleet::GroupPolicy;
use rayon::prelude::*;

use super::closure::{Change, Worst, worst};
use super::itinerary::Itinerary;
use super::precedence::{BLOCK, Followers};
use super::scene::{Amounts, Scene, add, subtract};
use super::violation::Violation;

/// What a place counts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Counted {
    /// Amounts of a class, by its position.
    Class(usize),
    /// Members of an anti-affinity group, by its position in the fleet.
    Members(usize),
}

/// A host and what is counted there.
pub(super) struct Place {
    host: usize,
    counted: Counted,
    start: i128,
    limit: i128,
    arrivals: Vec<Change>,
    departures: Vec<Change>,
}

/// The worst moment of every place that moves touch, over all executions.
pub(super) fn worst_moments(scene: &Scene<'_>, itinerary: &Itinerary<'_>) -> Vec<(Place, Worst)> {
    let mut places = class_places(scene, itinerary);
    places.extend(group_places(scene, itinerary));
    // Where nothing leaves, all that arrives is there in the end, and where nothing arrives, the start is the worst.
    let is_plain = |place: &Place| place.arrivals.is_empty() || place.departures.is_empty();
    let (plain, mixed): (Vec<Place>, Vec<Place>) = places.into_iter().partition(is_plain);
    let of_block = |block: Vec<Place>| {
        let worst = worst_of(itinerary, &block);
        block.into_iter().zip(worst).collect::<Vec<_>>()
    };
    let mixed: Vec<Vec<(Place, Worst)>> = blocks(mixed).into_par_iter().map(of_block).collect();
    let plain = plain.into_iter().map(|place| {
        let amount = place.arrivals.iter().map(|arrival| arrival.amount).sum();
        let arrivals = place.arrivals.iter().map(|arrival| arrival.step).collect();
        (place, Worst { amount, arrivals })
    });
    let mut moments: Vec<(Place, Worst)> = plain.chain(mixed.into_iter().flatten()).collect();
    moments.sort_by_key(|(place, _)| (place.host, place.counted));
    moments
}

/// Places that are over their limit at some moment of some execution.
pub(super) fn overfull(scene: &Scene<'_>, itinerary: &Itinerary<'_>, moments: &[(Place, Worst)]) -> Vec<Violation> {
    let over_limit = |(place, found): &&(Place, Worst)| place.start + signed(found.amount) > place.limit;
    moments.iter().filter(over_limit).map(|(place, found)| over(scene, itinerary, place, found)).collect()
}

fn signed(amount: u128) -> i128 {
    i128::try_from(amount).expect("amounts of a document are within 2^53")
}

/// A change of a positive amount; a move that changes nothing here has none.
fn change(step: usize, amount: i128) -> Option<Change> {
    u128::try_from(amount).ok().filter(|amount| *amount > 0).map(|amount| Change { step, amount })
}

impl Place {
    fn new(host: usize, counted: Counted, start: i128, most: i128) -> Self {
        Self { host, counted, start, limit: most.max(start), arrivals: Vec::new(), departures: Vec::new() }
    }
}

fn class_places(scene: &Scene<'_>, itinerary: &Itinerary<'_>) -> Vec<Place> {
    let new = |host: usize, class: usize| {
        Place::new(host, Counted::Class(class), scene.usage[host][class], scene.capacity[host][class])
    };
    let mut places: BTreeMap<(usize, usize), Place> = BTreeMap::new();
    for (at, step) in itinerary.steps.iter().enumerate() {
        for (class, (arriving, leaving)) in step.arriving().into_iter().zip(step.leaving()).enumerate() {
            let target = places.entry((step.target, class)).or_insert_with(|| new(step.target, class));
            target.arrivals.extend(change(at, arriving));
            let source = places.entry((step.source, class)).or_insert_with(|| new(step.source, class));
            source.departures.extend(change(at, leaving));
        }
    }
    places.into_values().collect()
}

fn group_places(scene: &Scene<'_>, itinerary: &Itinerary<'_>) -> Vec<Place> {
    let mut places: BTreeMap<(usize, usize), Place> = BTreeMap::new();
    for (at, group) in scene.fleet.server_groups().iter().enumerate() {
        if group.policy != GroupPolicy::AntiAffinity {
            continue;
        }
        let members = members(scene, at);
        let new = |host: usize| {
            let there = members.iter().filter(|member| scene.home[**member] == host).count();
            Place::new(host, Counted::Members(at), there as i128, group.max_per_host.into())
        };
        for at_step in members.iter().filter_map(|member| itinerary.ways.get(member)).flatten() {
            let step = &itinerary.steps[*at_step];
            if !step.in_place() {
                let target = places.entry((at, step.target)).or_insert_with(|| new(step.target));
                target.arrivals.extend(change(*at_step, 1));
                let source = places.entry((at, step.source)).or_insert_with(|| new(step.source));
                source.departures.extend(change(*at_step, 1));
            }
        }
    }
    places.into_values().collect()
}

/// The members of a group, each once.
fn members(scene: &Scene<'_>, group: usize) -> BTreeSet<usize> {
    let ids = scene.fleet.server_groups()[group].members.iter();
    ids.filter_map(|id| scene.fleet.instance_index(id.as_str())).collect()
}

/// Places whose departures together are few enough to sweep at once; at least one place each.
fn blocks(places: Vec<Place>) -> Vec<Vec<Place>> {
    let mut blocks: Vec<Vec<Place>> = Vec::new();
    let mut columns = BLOCK;
    for place in places {
        columns += place.departures.len();
        match blocks.last_mut() {
            Some(block) if columns <= BLOCK => block.push(place),
            _ => {
                columns = place.departures.len();
                blocks.push(vec![place]);
            }
        }
    }
    blocks
}

/// The worst moment of each place.
fn worst_of(itinerary: &Itinerary<'_>, block: &[Place]) -> Vec<Worst> {
    let departures: BTreeSet<usize> =
        block.iter().flat_map(|place| &place.departures).map(|departure| departure.step).collect();
    let departures: Vec<usize> = departures.into_iter().collect();
    let followers = Followers::of(&itinerary.steps, &departures);
    let follows = |later: usize, earlier: usize| followers.follows(later, earlier);
    block.iter().map(|place| worst(&place.arrivals, &place.departures, follows)).collect()
}

/// By host that moves touch: the most that is taken at any moment of any execution, by class.
pub(super) fn fullest(scene: &Scene<'_>, moments: &[(Place, Worst)]) -> BTreeMap<usize, Amounts> {
    let mut fullest: BTreeMap<usize, Amounts> = BTreeMap::new();
    for (place, found) in moments {
        if let Counted::Class(class) = place.counted {
            let most = fullest.entry(place.host).or_insert_with(|| scene.usage[place.host].clone());
            most[class] = place.start + signed(found.amount);
        }
    }
    fullest
}

fn over(scene: &Scene<'_>, itinerary: &Itinerary<'_>, place: &Place, found: &Worst) -> Violation {
    let (host, limit) = (scene.host(place.host).name.clone(), place.limit);
    let worst = place.start + signed(found.amount);
    let moves = itinerary.ids(&found.arrivals);
    match place.counted {
        Counted::Class(class) => Violation::Overfull { host, class: scene.classes[class].clone(), worst, limit, moves },
        Counted::Members(group) => {
            let group = scene.fleet.server_groups()[group].name.clone();
            Violation::AntiAffinity { group, host, worst, limit, moves }
        }
    }
}

/// Hosts that received something, or where something grew, and that end with less headroom than the request keeps.
pub(super) fn full_at_end(scene: &Scene<'_>, itinerary: &Itinerary<'_>) -> Vec<Violation> {
    let used = usage_at_end(scene, itinerary);
    let mut violations = Vec::new();
    for (host, received) in received(scene, itinerary) {
        for class in (0..scene.classes.len()).filter(|class| received[*class] > 0) {
            let capacity = scene.capacity[host][class];
            let limit = capacity - kept(capacity, scene.options().headroom_percent);
            let used = used[host][class];
            if used > limit {
                let (host, class) = (scene.host(host).name.clone(), scene.classes[class].clone());
                violations.push(Violation::FullAtEnd { host, class, used, limit });
            }
        }
    }
    violations
}

/// By host: what instances that were elsewhere at the start bring there, and what others grow by.
fn received(scene: &Scene<'_>, itinerary: &Itinerary<'_>) -> BTreeMap<usize, Amounts> {
    let mut received: BTreeMap<usize, Amounts> = BTreeMap::new();
    for (instance, way) in &itinerary.ways {
        let Some(last) = way.last().map(|step| &itinerary.steps[*step]) else { continue };
        let before =
            if last.target == scene.home[*instance] { scene.claim(*instance) } else { vec![0; last.need.len()] };
        let growth: Amounts = last.need.iter().zip(before).map(|(need, before)| (need - before).max(0)).collect();
        add(received.entry(last.target).or_insert_with(|| vec![0; growth.len()]), &growth);
    }
    received
}

/// By host: what is taken once all moves have ended.
pub(super) fn usage_at_end(scene: &Scene<'_>, itinerary: &Itinerary<'_>) -> Vec<Amounts> {
    let mut usage = scene.usage.clone();
    for step in &itinerary.steps {
        subtract(&mut usage[step.source], &step.claim);
        add(&mut usage[step.target], &step.need);
    }
    usage
}

/// A share of a capacity, rounded up: what is kept is never less than what was asked.
#[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "capacities are within 2^53")]
pub(super) fn kept(capacity: i128, percent: f64) -> i128 {
    (capacity as f64 * percent / 100.0).ceil() as i128
}

/// Affinity groups that a move loosens. They hold at the end, since their members move one by one.
pub(super) fn affinity(scene: &Scene<'_>, itinerary: &Itinerary<'_>) -> Vec<Violation> {
    let ends = itinerary.ends(scene);
    let mut violations = Vec::new();
    for (at, group) in scene.fleet.server_groups().iter().enumerate() {
        let members = members(scene, at);
        let moved: Vec<usize> = members.iter().copied().filter(|member| ends[*member] != scene.home[*member]).collect();
        if group.policy != GroupPolicy::Affinity || moved.is_empty() {
            continue;
        }
        let hosts = |of: &[usize]| members.iter().map(|member| of[*member]).collect::<BTreeSet<usize>>().len();
        let (before, after) = (hosts(&scene.home), hosts(&ends));
        if after > before {
            violations.push(Violation::AffinitySpread { group: group.name.clone(), before, after });
            continue;
        }
        let alone = |moved: &usize| members.iter().filter(|member| ends[**member] == ends[*moved]).count() == 1;
        for moved in moved.iter().filter(|moved| members.len() > 1 && alone(moved)) {
            violations.push(Violation::AffinityAlone {
                group: group.name.clone(),
                instance: scene.instance(*moved).id.clone(),
                host: scene.host(ends[*moved]).name.clone(),
            });
        }
    }
    violations
}
