//! Tables and prices against trying everything.

use std::collections::HashSet;

use decant_schema::fleet::FleetDocument;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::super::pools;
use super::super::tally::{Ground, Tally};
use super::exchange::{Exchange, exchanges};
use super::model::{Content, HostRow, KindRow, Model, Point, Role};
use super::pricing::{self, Pattern, Prices};
use super::table::{self, Table};
use crate::problem::{HostIdx, InstanceIdx, KindIdx, Problem};
use crate::small_fleet::{document, evacuate, fleet, inventory};

/// Kinds of these sizes in the first so many classes, and one host that holds some of them.
fn model(classes: usize, needs: &[Point], room: Point, counts: &[u32]) -> Model {
    let kind = |(at, need): (usize, &Point)| KindRow {
        kind: KindIdx::new(at),
        like: InstanceIdx::new(at),
        need: *need,
        claim: *need,
        memory: need[0],
        evacuees: 1,
    };
    let content = counts.iter().enumerate().map(|(row, count)| Content { row, count: *count, role: Role::ThirdParty });
    let host = HostRow { hosts: vec![HostIdx::new(0)], room, content: content.collect(), admits: 0 };
    Model {
        classes: (0..classes).collect(),
        kinds: needs.iter().enumerate().map(kind).collect(),
        hosts: vec![host],
        admitted: vec![(0..needs.len()).collect()],
        hopeless: 0,
        step: 1,
    }
}

/// Three kinds that need some of the first class and perhaps of the others.
fn needs(random: &mut ChaCha8Rng, classes: usize) -> Vec<Point> {
    let need = |random: &mut ChaCha8Rng| {
        std::array::from_fn(|class| if class < classes { random.random_range(i64::from(class == 0)..5) } else { 0 })
    };
    (0..3).map(|_| need(random)).collect()
}

/// The most arrivals can earn in a room, by trying everything.
fn worth(model: &Model, prices: &[i64], room: Point) -> i64 {
    let fits = |need: &Point| need.iter().zip(&room).all(|(need, room)| need <= room);
    let with = |(kind, price): (&KindRow, &i64)| {
        let rest = std::array::from_fn(|class| room[class] - kind.need[class]);
        fits(&kind.need).then(|| price + worth(model, prices, rest))
    };
    model.kinds.iter().zip(prices).filter_map(with).max().unwrap_or(0).max(0)
}

/// The most a host can earn, by trying every departure.
fn earns(model: &Model, prices: &Prices, at: usize, room: Point) -> i64 {
    let Some(content) = model.hosts[0].content.get(at) else {
        return worth(model, &prices.rows, room.map(|class| class.max(0)));
    };
    let kind = &model.kinds[content.row];
    let leave = |count: u32| {
        let room = std::array::from_fn(|class| room[class] + kind.claim[class] * i64::from(count));
        earns(model, prices, at + 1, room) - (prices.rows[content.row] + prices.mib * kind.memory) * i64::from(count)
    };
    (0..=content.count).map(leave).max().unwrap_or(0)
}

/// What a pattern earns on the host; `None` if it does not fit.
fn earned(model: &Model, prices: &Prices, pattern: &Pattern) -> Option<i64> {
    let host = &model.hosts[0];
    let (mut left, mut earned) = (host.room, 0);
    for (at, count) in &pattern.depart {
        assert!(*count <= host.content[*at].count);
        let kind = &model.kinds[host.content[*at].row];
        left.iter_mut().zip(&kind.claim).for_each(|(left, claim)| *left += claim * i64::from(*count));
        earned -= (prices.rows[host.content[*at].row] + prices.mib * kind.memory) * i64::from(*count);
    }
    let mut left = left.map(|class| class.max(0));
    for (row, count) in &pattern.arrive {
        left.iter_mut().zip(&model.kinds[*row].need).for_each(|(left, need)| *left -= need * i64::from(*count));
        earned += prices.rows[*row] * i64::from(*count);
    }
    left.iter().all(|class| *class >= 0).then_some(earned)
}

#[test]
fn a_table_agrees_with_trying_everything_and_its_majorants_lie_above() {
    let mut random = ChaCha8Rng::seed_from_u64(3);
    for round in 0..50 {
        let needs = needs(&mut random, 2);
        let prices: Vec<i64> = (0..3).map(|_| random.random_range(0..9)).collect();
        let model = model(2, &needs, [7, 7, 0, 0], &[]);
        let table = Table::new(&model, &model.admitted[0], &prices, [7, 7, 0, 0]);
        for room in (0..8).flat_map(|memory| (0..8).map(move |vcpu| [memory, vcpu, 0, 0])) {
            let expected = worth(&model, &prices, room);
            assert_eq!(table.worth(&room), Some(expected), "round {round}, room {room:?}");
            assert!(table.majorant(&room) >= expected, "round {round}, room {room:?}");
            let (_, arrivals) = table.fill(room);
            let earned: i64 = arrivals.iter().map(|(row, count)| prices[*row] * i64::from(*count)).sum();
            assert_eq!(earned, expected, "round {round}, room {room:?}");
        }
    }
}

#[test]
fn the_best_a_host_can_earn_agrees_with_trying_everything() {
    let mut random = ChaCha8Rng::seed_from_u64(5);
    for round in 0..200 {
        let needs = needs(&mut random, 2);
        let prices: Vec<i64> = (0..3).map(|_| random.random_range(0..12)).collect();
        let counts: Vec<u32> = (0..3).map(|_| random.random_range(0..3)).collect();
        let model = model(2, &needs, [random.random_range(-2..5), random.random_range(-2..5), 0, 0], &counts);
        let all = Prices { rows: prices.clone(), refusal: 100, mib: i64::from(round % 2 == 0) };
        let table = Table::new(&model, &model.admitted[0], &prices, table::corner(&model, &all));
        let best = pricing::best(&model, &table, &all, &model.hosts[0]);
        let expected = earns(&model, &all, 0, model.hosts[0].room);
        assert!(best.earns >= expected, "round {round}: {} is no upper bound of {expected}", best.earns);
        let largest =
            needs.iter().map(|need| need[0].max(need[1])).max().unwrap_or(0) * i64::from(counts.iter().sum::<u32>());
        let in_table = table::corner(&model, &all)[..2].iter().all(|side| *side >= 4 + largest);
        assert!(!in_table || best.earns == expected, "round {round}: {} is not {expected}", best.earns);
        assert!(
            !in_table || earned(&model, &all, &best.pattern) == Some(expected),
            "round {round}: {:?}",
            best.pattern
        );
    }
}

#[test]
fn where_more_classes_count_nothing_earns_more_than_is_said_and_what_is_found_keeps_to_all() {
    let mut random = ChaCha8Rng::seed_from_u64(7);
    let mut met = 0;
    for round in 0..200 {
        let classes = 3 + round / 2 % 2;
        let needs = needs(&mut random, classes);
        let prices: Vec<i64> = (0..3).map(|_| random.random_range(0..12)).collect();
        let counts: Vec<u32> = (0..3).map(|_| random.random_range(0..3)).collect();
        let room = std::array::from_fn(|class| if class < classes { random.random_range(-2..6) } else { 0 });
        let model = model(classes, &needs, room, &counts);
        let all = Prices { rows: prices.clone(), refusal: 100, mib: i64::from(round % 2 == 0) };
        let table = Table::new(&model, &model.admitted[0], &prices, table::corner(&model, &all));
        let best = pricing::best(&model, &table, &all, &model.hosts[0]);
        let expected = earns(&model, &all, 0, room);
        assert!(best.earns >= expected, "round {round}: {} is no upper bound of {expected}", best.earns);
        let earned = earned(&model, &all, &best.pattern);
        let earned = earned.unwrap_or_else(|| panic!("round {round}: {:?} does not fit", best.pattern));
        assert!(earned <= expected, "round {round}: {earned} is more than there is");
        met += u32::from(earned == expected);
    }
    assert!(met > 190, "the best pattern was found {met} times out of 200");
}

#[test]
fn a_third_class_counts_where_it_gives_out_first() {
    let mut document = document(&[("a", 64), ("b", 64), ("c", 64)], &[("i", "a", 16), ("j", "b", 8), ("k", "c", 8)]);
    let counted = |document: &FleetDocument| {
        let problem = Problem::new(fleet(document.clone()), evacuate(&["a"]));
        let ground = Ground::new(&problem, HashSet::new());
        Model::new(&Tally::new(&ground), &pools::pools(&ground)[0], true).classes.len()
    };
    for (host, disk) in document.hosts.iter_mut().zip([900, 900, 900]) {
        host.inventory.insert("VCPU".into(), inventory(32));
        host.inventory.insert("DISK_GB".into(), inventory(disk));
    }
    for flavor in &mut document.flavors {
        flavor.resources.extend([("VCPU".into(), 4), ("DISK_GB".into(), 40)]);
    }
    assert_eq!(counted(&document), 2);
    document.hosts[2].inventory.insert("DISK_GB".into(), inventory(80));
    assert_eq!(counted(&document), 3);
}

#[test]
fn who_needs_no_more_takes_a_place_and_chains_need_no_shortcut() {
    let needs = [[4, 4, 0, 0], [2, 2, 0, 0], [3, 3, 0, 0], [1, 9, 0, 0], [2, 2, 0, 0]];
    let mut all = model(2, &needs, [0; 4], &[]);
    let exchange = |place, taker| Exchange { place, taker };
    assert_eq!(exchanges(&all), [exchange(0, 2), exchange(2, 1), exchange(1, 4)]);
    // Where a host admits one and not the other, its places are not the other's.
    all.admitted.push(vec![2]);
    assert_eq!(exchanges(&all), [exchange(0, 1), exchange(0, 2), exchange(1, 4)]);
}
