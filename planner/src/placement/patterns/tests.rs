//! Tables and prices against trying everything.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::model::{Content, HostRow, KindRow, Model, Point, Role};
use super::pricing::{self, Prices};
use super::table::{self, Table};
use crate::problem::{HostIdx, InstanceIdx, KindIdx};

/// Kinds of these sizes, two classes each, and one host that holds some of them.
fn model(needs: &[(i64, i64)], room: (i64, i64), counts: &[u32]) -> Model {
    let kind = |(at, (memory, vcpu)): (usize, &(i64, i64))| KindRow {
        kind: KindIdx::new(at),
        like: InstanceIdx::new(at),
        need: [*memory, *vcpu, 0],
        claim: [*memory, *vcpu, 0],
        memory: *memory,
        evacuees: 1,
    };
    let content = counts.iter().enumerate().map(|(row, count)| Content { row, count: *count, role: Role::ThirdParty });
    let host =
        HostRow { hosts: vec![HostIdx::new(0)], room: [room.0, room.1, 0], content: content.collect(), admits: 0 };
    Model {
        classes: vec![0, 1],
        kinds: needs.iter().enumerate().map(kind).collect(),
        hosts: vec![host],
        admitted: vec![(0..needs.len()).collect()],
        hopeless: 0,
        step: 1,
    }
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
fn earns(model: &Model, prices: &[i64], at: usize, room: Point) -> i64 {
    let Some(content) = model.hosts[0].content.get(at) else {
        return worth(model, prices, room.map(|class| class.max(0)));
    };
    let kind = &model.kinds[content.row];
    let leave = |count: u32| {
        let room = std::array::from_fn(|class| room[class] + kind.claim[class] * i64::from(count));
        earns(model, prices, at + 1, room) - (prices[content.row] + kind.memory) * i64::from(count)
    };
    (0..=content.count).map(leave).max().unwrap_or(0)
}

#[test]
fn a_table_agrees_with_trying_everything_and_its_majorants_lie_above() {
    let mut random = ChaCha8Rng::seed_from_u64(3);
    for round in 0..50 {
        let needs: Vec<(i64, i64)> = (0..3).map(|_| (random.random_range(1..5), random.random_range(0..4))).collect();
        let prices: Vec<i64> = (0..3).map(|_| random.random_range(0..9)).collect();
        let model = model(&needs, (7, 7), &[]);
        let table = Table::new(&model, &model.admitted[0], &prices, [7, 7, 0]);
        for room in (0..8).flat_map(|memory| (0..8).map(move |vcpu| [memory, vcpu, 0])) {
            let expected = worth(&model, &prices, room);
            assert_eq!(table.worth(&room), Some(expected), "round {round}, room {room:?}");
            assert!(table.majorant(&room) >= expected, "round {round}, room {room:?}");
            let earned: i64 = table.arrivals(room).iter().map(|(row, count)| prices[*row] * i64::from(*count)).sum();
            assert_eq!(earned, expected, "round {round}, room {room:?}");
        }
    }
}

#[test]
fn the_best_a_host_can_earn_agrees_with_trying_everything() {
    let mut random = ChaCha8Rng::seed_from_u64(5);
    for round in 0..100 {
        let needs: Vec<(i64, i64)> = (0..3).map(|_| (random.random_range(1..5), random.random_range(0..4))).collect();
        let prices: Vec<i64> = (0..3).map(|_| random.random_range(0..12)).collect();
        let counts: Vec<u32> = (0..3).map(|_| random.random_range(0..3)).collect();
        let model = model(&needs, (random.random_range(-2..5), random.random_range(-2..5)), &counts);
        let table = Table::new(&model, &model.admitted[0], &prices, table::corner(&model));
        let all = Prices { rows: prices.clone(), refusal: 100, mib: 1 };
        let best = pricing::best(&model, &table, &all, &model.hosts[0]);
        let expected = earns(&model, &prices, 0, model.hosts[0].room);
        assert!(best.earns >= expected, "round {round}: {} is no upper bound of {expected}", best.earns);
        let largest =
            needs.iter().map(|need| need.0.max(need.1)).max().unwrap_or(0) * i64::from(counts.iter().sum::<u32>());
        let in_table = table::corner(&model)[..2].iter().all(|side| *side >= 4 + largest);
        assert!(!in_table || best.earns == expected, "round {round}: {} is not {expected}", best.earns);
    }
}
