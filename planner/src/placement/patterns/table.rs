//! What a room is worth at given prices: one unbounded knapsack for all hosts that admit the same kinds.
//!
//! `worth[r]` is the most that arrivals can earn in room r (Gilmore and Gomory 1961, 1965). It is tabulated over a box
//! that holds the rooms that matter; beyond the box linear majorants bound it: any a ≥ 0 with a·need ≥ price for every
//! kind has worth(r) ≤ a·r (linear programming duality).

use super::model::{CLASSES_MAX, Model, Point, Row};

/// Cells of the box at most: with more the table leaves the cache and dominates the running time.
const CELLS_MAX: i64 = 1 << 18;

/// Directions in which linear majorants are sought, per pair of classes.
const DIRECTIONS: i64 = 12;

/// The worth of every room in a box.
pub(super) struct Table {
    /// The greatest room tabulated.
    corner: Point,
    /// Steps of one unit, by class.
    stride: [usize; CLASSES_MAX],
    /// Whole numbers; in floating point because that is compared four at a time.
    worth: Vec<f64>,
    /// The kinds worth something: row, need, price.
    offers: Vec<(Row, Point, i64)>,
    /// Linear majorants.
    pub(super) majorants: Vec<Point>,
}

/// The box within which rooms are tabulated: the largest room now, and what two of the largest would leave.
pub(super) fn corner(model: &Model) -> Point {
    let mut corner = Point::default();
    let mut cells = 1;
    for (class, side) in corner.iter_mut().enumerate().take(model.classes.len()) {
        let room = model.hosts.iter().map(|host| host.room[class].max(0)).max().unwrap_or(0);
        let claim = model.kinds.iter().map(|kind| kind.claim[class].max(kind.need[class])).max().unwrap_or(0);
        *side = (room + 2 * claim).min(CELLS_MAX / cells - 1).max(0);
        cells *= *side + 1;
    }
    corner
}

impl Table {
    /// Tabulates the worth of rooms up to `corner` for hosts that admit these kinds.
    pub(super) fn new(model: &Model, admitted: &[Row], prices: &[i64], corner: Point) -> Self {
        let offers = offers(model, admitted, prices);
        let mut stride = [0; CLASSES_MAX];
        let mut cells = 1;
        for class in (0..CLASSES_MAX).rev() {
            stride[class] = cells;
            cells *= index(corner[class]) + 1;
        }
        let mut table = Self { corner, stride, worth: vec![0.0; cells], majorants: majorants(&offers), offers };
        for at in 0..table.offers.len() {
            table.offer(at);
        }
        table
    }

    /// Lets one kind more be chosen, any number of times.
    fn offer(&mut self, at: usize) {
        let (_, need, price) = self.offers[at];
        if (0..CLASSES_MAX).any(|class| need[class] > self.corner[class]) {
            return;
        }
        let back: usize = (0..CLASSES_MAX).map(|class| index(need[class]) * self.stride[class]).sum();
        let price = price as f64;
        let last = CLASSES_MAX - 1;
        let width = index(self.corner[last] - need[last]) + 1;
        for first in need[0]..=self.corner[0] {
            for second in need[1]..=self.corner[1] {
                let start = index(first) * self.stride[0] + index(second) * self.stride[1] + index(need[last]);
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
    }

    /// The worth of a room; `None` beyond the box.
    pub(super) fn worth(&self, room: &Point) -> Option<i64> {
        if room.iter().zip(&self.corner).any(|(room, side)| room > side) {
            return None;
        }
        let cell: usize = room.iter().zip(&self.stride).map(|(room, stride)| index((*room).max(0)) * stride).sum();
        #[expect(clippy::cast_possible_truncation, reason = "the table holds whole numbers below 2^53")]
        Some(self.worth[cell] as i64)
    }

    /// At least the worth of any room.
    pub(super) fn majorant(&self, room: &Point) -> i64 {
        let of = |a: &Point| (0..CLASSES_MAX).map(|class| a[class] * room[class].max(0)).sum::<i64>();
        self.majorants.iter().map(of).min().unwrap_or(0)
    }

    /// Arrivals that earn the worth of a room in the box.
    pub(super) fn arrivals(&self, mut room: Point) -> Vec<(Row, u32)> {
        let mut arrivals: Vec<(Row, u32)> = Vec::new();
        for class in &mut room {
            *class = (*class).max(0);
        }
        while let Some(worth) = self.worth(&room).filter(|worth| *worth > 0) {
            let smaller = |need: &Point| {
                let mut rest = room;
                (0..CLASSES_MAX).for_each(|class| rest[class] -= need[class]);
                rest.iter().all(|class| *class >= 0).then_some(rest)
            };
            let Some((row, rest)) = self.offers.iter().find_map(|(row, need, price)| {
                let rest = smaller(need)?;
                (self.worth(&rest)? + price == worth).then_some((*row, rest))
            }) else {
                break;
            };
            match arrivals.last_mut() {
                Some((last, count)) if *last == row => *count += 1,
                _ => arrivals.push((row, 1)),
            }
            room = rest;
        }
        arrivals.sort_unstable();
        arrivals
    }
}

/// The admitted kinds that are worth something and that no other replaces: one that needs no more and earns no less.
fn offers(model: &Model, admitted: &[Row], prices: &[i64]) -> Vec<(Row, Point, i64)> {
    let all: Vec<(Row, Point, i64)> = admitted
        .iter()
        .map(|row| (*row, model.kinds[*row].need, prices[*row]))
        .filter(|(_, need, price)| *price > 0 && need.iter().any(|class| *class > 0))
        .collect();
    let replaces = |a: &(Row, Point, i64), b: &(Row, Point, i64)| {
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
fn majorants(offers: &[(Row, Point, i64)]) -> Vec<Point> {
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
