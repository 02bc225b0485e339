//! What a room is worth at given prices: one unbounded knapsack for all hosts that admit the same kinds.
//!
//! `worth[r]` is the most that arrivals can earn in room r (Gilmore and Gomory 1961, 1965). It is tabulated for two
//! classes at a time, as if only those counted, over a box that holds the rooms that matter; where more classes count,
//! the least of the tables is at least the worth. Beyond the boxes linear majorants bound it: any a ≥ 0 with
//! a·need ≥ price for every kind has worth(r) ≤ a·r (linear programming duality).

use super::model::{CLASSES_MAX, Model, Point, Row};
use super::pricing::Prices;

/// Cells of a box at most: with more the table leaves the cache and dominates the running time.
const CELLS_MAX: i64 = 1 << 18;

/// Directions in which linear majorants are sought, per pair of classes.
const DIRECTIONS: i64 = 12;

/// Fillings of a room that are looked at where more than two classes count: the first are nearly always the best.
const FILLINGS: u32 = 64;

/// A kind worth something: its row, need and price.
type Offer = (Row, Point, i64);

/// How many of each kind arrive.
pub(super) type Arrivals = Vec<(Row, u32)>;

/// The worth of every room, as far as it is tabulated.
pub(super) struct Table {
    /// One for each pair of classes.
    grids: Vec<Grid>,
    /// Whether `worth` is the worth, not more than it: where no more than two classes count.
    is_exact: bool,
    /// The kinds worth something.
    offers: Vec<Offer>,
    /// Linear majorants.
    pub(super) majorants: Vec<Point>,
}

/// The greatest rooms worth tabulating: the largest room now, and what two of the largest would leave; where displacing
/// costs nothing, what a host has when all that may depart has, if a box of that size is small enough.
pub(super) fn corner(model: &Model, prices: &Prices) -> Point {
    let corner = |of: &dyn Fn(usize) -> i64| {
        let mut corner = Point::default();
        corner.iter_mut().enumerate().take(model.classes.len()).for_each(|(class, side)| *side = of(class));
        corner
    };
    let room = |class: usize| model.hosts.iter().map(|host| host.room[class].max(0)).max().unwrap_or(0);
    let emptied = |class: usize| model.hosts.iter().map(|host| model.emptied(host)[class].max(0)).max().unwrap_or(0);
    let claim =
        |class: usize| model.kinds.iter().map(|kind| kind.claim[class].max(kind.need[class])).max().unwrap_or(0);
    if prices.displacing_is_free() {
        let corner = corner(&emptied);
        let mut sides = corner;
        sides.sort_unstable();
        if (sides[CLASSES_MAX - 1] + 1).saturating_mul(sides[CLASSES_MAX - 2] + 1) <= CELLS_MAX {
            return corner;
        }
    }
    corner(&|class| room(class) + 2 * claim(class))
}

impl Table {
    /// Tabulates the worth of rooms up to `corner` for hosts that admit these kinds.
    pub(super) fn new(model: &Model, admitted: &[Row], prices: &[i64], corner: Point) -> Self {
        let offers = offers(model, admitted, prices);
        let classes = model.classes.len().max(2);
        let pairs = (0..classes).flat_map(|one| (one + 1..classes).map(move |other| [one, other]));
        let grids = pairs.filter_map(|pair| Grid::new(&offers, pair, corner)).collect();
        Self { grids, is_exact: classes == 2, majorants: majorants(&offers), offers }
    }

    /// Whether [`Table::worth`] is the worth, not more than it.
    pub(super) fn is_exact(&self) -> bool {
        self.is_exact
    }

    /// At least the worth of a room; `None` beyond all boxes.
    pub(super) fn worth(&self, room: &Point) -> Option<i64> {
        self.grids.iter().filter_map(|grid| grid.worth(room)).min()
    }

    /// At least the worth of any room.
    pub(super) fn majorant(&self, room: &Point) -> i64 {
        let of = |a: &Point| (0..CLASSES_MAX).map(|class| a[class] * room[class].max(0)).sum::<i64>();
        self.majorants.iter().map(of).min().unwrap_or(0)
    }

    /// Arrivals that earn the worth of a room in the boxes, and what they earn; where more than two classes count, the
    /// best that were found.
    pub(super) fn fill(&self, room: Point) -> (i64, Arrivals) {
        let room = room.map(|class| class.max(0));
        let mut filling =
            Filling { table: self, counts: vec![0; self.offers.len()], best: self.greedily(room), left: FILLINGS };
        if !self.is_exact {
            filling.descend(0, room, 0);
        }
        let (earned, counts) = filling.best;
        let mut arrivals: Arrivals = counts
            .iter()
            .zip(&self.offers)
            .filter(|(count, _)| **count > 0)
            .map(|(count, (row, ..))| (*row, *count))
            .collect();
        arrivals.sort_unstable();
        (earned, arrivals)
    }

    /// Takes the arrival after which the most can still be earned, again and again: where the worths are exact, that is
    /// the best.
    fn greedily(&self, mut room: Point) -> (i64, Vec<u32>) {
        let (mut earned, mut counts) = (0, vec![0; self.offers.len()]);
        let after = |room: &Point, (at, (_, need, price)): (usize, &Offer)| {
            let rest = less(room, need)?;
            Some((price + self.worth(&rest)?, at, rest))
        };
        while let Some((promise, at, rest)) = self
            .offers
            .iter()
            .enumerate()
            .filter_map(|offer| after(&room, offer))
            .max_by(|a, b| a.0.cmp(&b.0).then(b.1.cmp(&a.1)))
            && promise > 0
        {
            earned += self.offers[at].2;
            counts[at] += 1;
            room = rest;
        }
        (earned, counts)
    }
}

/// A room without what one needs; `None` if that does not fit.
fn less(room: &Point, need: &Point) -> Option<Point> {
    let rest: Point = std::array::from_fn(|class| room[class] - need[class]);
    rest.iter().all(|class| *class >= 0).then_some(rest)
}

/// A search for the arrivals that earn the most in a room, bounded by the worths.
struct Filling<'a> {
    table: &'a Table,
    /// By offer.
    counts: Vec<u32>,
    /// What is earned, and by how many of each offer.
    best: (i64, Vec<u32>),
    /// Fillings that may still be looked at.
    left: u32,
}

impl Filling<'_> {
    /// Adds offers from this one on.
    fn descend(&mut self, from: usize, room: Point, earned: i64) {
        if earned > self.best.0 {
            self.best = (earned, self.counts.clone());
        }
        for at in from..self.table.offers.len() {
            let (_, need, price) = self.table.offers[at];
            let Some(rest) = less(&room, &need) else { continue };
            let promise = self.table.worth(&rest).unwrap_or(i64::MAX / 2);
            if self.left == 0 || earned + price + promise <= self.best.0 {
                continue;
            }
            self.left -= 1;
            self.counts[at] += 1;
            self.descend(at, rest, earned + price);
            self.counts[at] -= 1;
        }
    }
}

/// The worth of every room in a box, if only two classes counted.
struct Grid {
    classes: [usize; 2],
    /// The greatest room tabulated.
    side: [i64; 2],
    /// Whole numbers; in floating point because that is compared four at a time. The second class runs fastest.
    worth: Vec<f64>,
}

impl Grid {
    /// `None` where something is worth anything and needs nothing of the two: any number of it would seem to fit.
    fn new(offers: &[Offer], classes: [usize; 2], corner: Point) -> Option<Self> {
        if offers.iter().any(|(_, need, _)| classes.iter().all(|class| need[*class] == 0)) {
            return None;
        }
        let first = corner[classes[0]].min(CELLS_MAX - 1);
        let side = [first, corner[classes[1]].min(CELLS_MAX / (first + 1) - 1)];
        let mut grid = Self { classes, side, worth: vec![0.0; index(side[0] + 1) * index(side[1] + 1)] };
        for (_, need, price) in offers {
            grid.offer(classes.map(|class| need[class]), *price as f64);
        }
        Some(grid)
    }

    /// Lets one kind more be chosen, any number of times.
    fn offer(&mut self, need: [i64; 2], price: f64) {
        if (0..2).any(|class| need[class] > self.side[class]) {
            return;
        }
        let row = index(self.side[1] + 1);
        let back = index(need[0]) * row + index(need[1]);
        let width = index(self.side[1] - need[1]) + 1;
        for first in need[0]..=self.side[0] {
            let start = index(first) * row + index(need[1]);
            if back >= width {
                let (before, here) = self.worth.split_at_mut(start);
                let before = &before[start - back..][..width];
                for (here, before) in here[..width].iter_mut().zip(before) {
                    let with = before + price;
                    *here = if with > *here { with } else { *here };
                }
            } else {
                for cell in start..start + width {
                    let with = self.worth[cell - back] + price;
                    self.worth[cell] = self.worth[cell].max(with);
                }
            }
        }
    }

    /// The worth of a room; `None` beyond the box.
    fn worth(&self, room: &Point) -> Option<i64> {
        let [first, second] = self.classes.map(|class| room[class].max(0));
        if first > self.side[0] || second > self.side[1] {
            return None;
        }
        #[expect(clippy::cast_possible_truncation, reason = "the table holds whole numbers below 2^53")]
        Some(self.worth[index(first * (self.side[1] + 1) + second)] as i64)
    }
}

/// The admitted kinds that are worth something and that no other replaces: one that needs no more and earns no less.
fn offers(model: &Model, admitted: &[Row], prices: &[i64]) -> Vec<Offer> {
    let all: Vec<Offer> = admitted
        .iter()
        .map(|row| (*row, model.kinds[*row].need, prices[*row]))
        .filter(|(_, need, price)| *price > 0 && need.iter().any(|class| *class > 0))
        .collect();
    let replaces = |a: &Offer, b: &Offer| {
        let no_more = (0..CLASSES_MAX).all(|class| a.1[class] <= b.1[class]);
        no_more && a.2 >= b.2 && (a.1 != b.1 || a.2 > b.2 || a.0 < b.0)
    };
    let mut offers: Vec<_> =
        all.iter().filter(|b| !all.iter().any(|a| a.0 != b.0 && replaces(a, b))).copied().collect();
    // The largest first: rooms are then filled by few arrivals where several choices earn the same.
    offers.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(&b.0)));
    offers
}

/// Linear majorants in several directions between the classes.
#[expect(clippy::cast_possible_truncation, reason = "prices are whole numbers below 2^53")]
fn majorants(offers: &[Offer]) -> Vec<Point> {
    let greatest = |class: usize| offers.iter().map(|(_, need, _)| need[class]).max().unwrap_or(0);
    let counted: Vec<usize> = (0..CLASSES_MAX).filter(|class| greatest(*class) > 0).collect();
    let mut majorants: Vec<Point> = Vec::new();
    for direction in directions(&counted) {
        let weight = |class: usize| direction[class] as f64 / greatest(class).max(1) as f64;
        let size = |need: &Point| counted.iter().map(|class| need[*class] as f64 * weight(*class)).sum::<f64>();
        if offers.iter().any(|(_, need, _)| size(need) <= 0.0) {
            continue;
        }
        let length = offers.iter().map(|(_, need, price)| *price as f64 / size(need)).fold(0.0, f64::max);
        let mut majorant = Point::default();
        for class in &counted {
            majorant[*class] = (length * weight(*class)).ceil() as i64 + i64::from(direction[*class] > 0);
        }
        majorants.push(majorant);
    }
    majorants.dedup();
    majorants
}

/// Weights for the classes: each alone, and pairs in several proportions.
fn directions(counted: &[usize]) -> Vec<Point> {
    let mut directions = Vec::new();
    for (at, one) in counted.iter().enumerate() {
        let mut alone = Point::default();
        alone[*one] = 1;
        directions.push(alone);
        for other in &counted[at + 1..] {
            for part in 1..DIRECTIONS {
                let mut mixed = Point::default();
                mixed[*one] = part;
                mixed[*other] = DIRECTIONS - part;
                directions.push(mixed);
            }
        }
    }
    directions
}

/// Rooms in the box are not negative.
pub(super) fn index(amount: i64) -> usize {
    usize::try_from(amount).expect("a room in the box is not negative")
}
