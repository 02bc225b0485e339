//! What arrivals can earn in some room: an unbounded knapsack over several classes, and a ceiling on it.

use crate::Limits;

/// An instance that may arrive, any number of times: what it earns, and what it needs by class.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Arrival {
    pub(super) need: Vec<i128>,
    pub(super) earns: i128,
}

/// Cells a table may have. Four million are 64 MB; a finer grid is made coarser, which can only raise what arrivals
/// seem to earn and so weaken a bound.
const CELLS_MAX: usize = 1 << 22;

/// At least the most that arrivals can earn, for every room up to a greatest one: exactly that where no more than two
/// classes count, else the least that any two of them allow.
pub(super) struct Tables {
    /// Each with the positions of the classes it is about.
    tables: Vec<(Vec<usize>, Table)>,
}

impl Tables {
    /// Fills the tables; `None` if something earns without needing anything of any two classes, so that there is no most, or
    /// if there is no time.
    pub(super) fn new(arrivals: &[Arrival], room_max: &[i128], limits: &Limits<'_>) -> Option<Self> {
        let all: Vec<usize> = (0..room_max.len()).collect();
        let sets: Vec<Vec<usize>> = match all.len() {
            0..=2 => vec![all],
            classes => (0..classes).flat_map(|one| (0..one).map(move |other| vec![other, one])).collect(),
        };
        let table = |set: Vec<usize>| {
            let of_set = |arrival: &Arrival| Arrival { need: chosen(&arrival.need, &set), earns: arrival.earns };
            let arrivals: Vec<Arrival> = arrivals.iter().map(of_set).collect();
            Some((set.clone(), Table::new(&arrivals, &chosen(room_max, &set), limits)?))
        };
        let tables: Vec<(Vec<usize>, Table)> = sets.into_iter().filter_map(table).collect();
        (!tables.is_empty()).then_some(Self { tables })
    }

    /// At least the most that can be earned in this room; less than nothing counts as nothing.
    pub(super) fn earned(&self, room: &[i128]) -> i128 {
        self.tables.iter().map(|(set, table)| table.earned(&chosen(room, set))).min().unwrap_or(0)
    }
}

fn chosen(amounts: &[i128], set: &[usize]) -> Vec<i128> {
    set.iter().map(|class| amounts[*class]).collect()
}

/// The most that arrivals can earn, for every room up to a greatest one, in no more than two classes.
struct Table {
    /// By class: amounts that make one step of the grid.
    unit: Vec<i128>,
    /// By class: steps of the grid.
    size: Vec<usize>,
    earned: Vec<i128>,
}

impl Table {
    /// Fills the table; `None` if something earns without needing anything, so that there is no most, or if there is no time.
    fn new(arrivals: &[Arrival], room_max: &[i128], limits: &Limits<'_>) -> Option<Self> {
        let unit = units(arrivals, room_max);
        let steps = |arrival: &Arrival| -> Vec<usize> {
            arrival.need.iter().zip(&unit).map(|(need, unit)| steps(*need, *unit)).collect()
        };
        let arrivals: Vec<(Vec<usize>, i128)> =
            arrivals.iter().map(|arrival| (steps(arrival), arrival.earns)).collect();
        if arrivals.iter().any(|(need, _)| need.iter().all(|steps| *steps == 0)) {
            return None;
        }
        let size: Vec<usize> = room_max.iter().zip(&unit).map(|(room, unit)| steps_of(*room, *unit) + 1).collect();
        let mut table = Self { unit, earned: vec![0; size.iter().product()], size };
        for (need, earns) in worthwhile(arrivals) {
            if limits.out_of_time() {
                return None;
            }
            table.admit(&need, earns);
        }
        Some(table)
    }

    /// Lets one more sort of arrival come, any number of times. Cells are raised in their order, so that those it reads have
    /// it already.
    fn admit(&mut self, need: &[usize], earns: i128) {
        if need.iter().zip(&self.size).any(|(need, size)| need >= size) {
            return;
        }
        let back = self.cell(need);
        let columns = self.size.last().copied().unwrap_or(1);
        let (first_row, first_column) = match need {
            [row, column] => (*row, *column),
            [column] => (0, *column),
            _ => (0, 0),
        };
        for row in first_row..self.earned.len() / columns {
            for cell in row * columns + first_column..(row + 1) * columns {
                self.earned[cell] = self.earned[cell].max(earns + self.earned[cell - back]);
            }
        }
    }

    fn cell(&self, steps: &[usize]) -> usize {
        steps.iter().zip(&self.size).fold(0, |cell, (steps, size)| cell * size + steps)
    }

    /// The most that can be earned in this room; less than nothing counts as nothing.
    fn earned(&self, room: &[i128]) -> i128 {
        let steps = room.iter().zip(&self.unit).zip(&self.size).map(|((room, unit), size)| {
            // The table reaches as far as any room asked for, but for classes nobody needs.
            steps_of(*room, *unit).min(size - 1)
        });
        let steps: Vec<usize> = steps.collect();
        self.earned[self.cell(&steps)]
    }
}

/// Those in whose place no other could come that needs no more and earns no less.
fn worthwhile(mut arrivals: Vec<(Vec<usize>, i128)>) -> Vec<(Vec<usize>, i128)> {
    arrivals.sort_by(|(need, earns), (other, more)| more.cmp(earns).then_with(|| need.cmp(other)));
    let mut kept: Vec<(Vec<usize>, i128)> = Vec::new();
    for (need, earns) in arrivals {
        let replaces = |(other, _): &(Vec<usize>, i128)| other.iter().zip(&need).all(|(other, need)| other <= need);
        if earns > 0 && !kept.iter().any(replaces) {
            kept.push((need, earns));
        }
    }
    kept
}

/// Whole steps in an amount.
fn steps_of(amount: i128, unit: i128) -> usize {
    usize::try_from(amount.max(0) / unit).expect("a grid has at most four million cells")
}

fn steps(need: i128, unit: i128) -> usize {
    usize::try_from(need / unit).unwrap_or(usize::MAX)
}

/// The coarsest grid on which nothing is lost, or coarser where that has too many cells. Needs are rounded down to it
/// and so is the room they share: Σ ⌊need⌋ ≤ ⌊Σ need⌋, so nothing that fits is ruled out.
fn units(arrivals: &[Arrival], room_max: &[i128]) -> Vec<i128> {
    let needs = |class: usize| arrivals.iter().map(move |arrival| arrival.need[class]);
    let mut units: Vec<i128> = (0..room_max.len())
        .map(|class| match needs(class).fold(0, gcd) {
            0 => room_max[class].max(0) + 1,
            unit => unit,
        })
        .collect();
    loop {
        let steps: Vec<i128> = room_max.iter().zip(&units).map(|(room, unit)| room.max(&0) / unit + 1).collect();
        let cells = steps.iter().try_fold(1_i128, |cells, steps| cells.checked_mul(*steps));
        if cells.is_some_and(|cells| cells <= CELLS_MAX as i128) {
            return units;
        }
        let finest = (0..steps.len()).max_by_key(|class| steps[*class]).unwrap_or(0);
        units[finest] *= 2;
    }
}

pub(super) fn gcd(a: i128, b: i128) -> i128 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Prices of room, as fractions over one denominator: no arrival earns more than the room it needs is worth, so no room
/// earns more than it is worth. `None` wherever a number would be too large to be told exactly.
#[derive(Clone, Debug)]
pub(super) struct Worth {
    by_class: Vec<i128>,
    /// What `by_class` and everything compared with it is over.
    pub(super) denominator: i128,
}

impl Worth {
    /// Worths that no other improves on everywhere: of one class alone, or such that two arrivals earn all they need.
    pub(super) fn candidates(arrivals: &[Arrival], classes: usize) -> Vec<Self> {
        if arrivals.is_empty() {
            return vec![Self { by_class: vec![0; classes], denominator: 1 }];
        }
        let mut candidates = Vec::new();
        for (at, a) in arrivals.iter().enumerate() {
            for one in 0..classes {
                candidates.extend(Self::alone(a, one, classes));
                for (other, b) in (0..one).flat_map(|other| arrivals[..at].iter().map(move |b| (other, b))) {
                    candidates.extend(Self::crossing(a, b, one, other, classes));
                }
            }
        }
        candidates.retain(|worth| arrivals.iter().all(|arrival| worth.covers(arrival).unwrap_or(false)));
        candidates
    }

    fn alone(arrival: &Arrival, class: usize, classes: usize) -> Option<Self> {
        let mut by_class = vec![0; classes];
        by_class[class] = arrival.earns;
        (arrival.need[class] > 0).then_some(Self { by_class, denominator: arrival.need[class] })
    }

    /// The worth of two classes at which both arrivals earn just what they need (Cramer's rule).
    fn crossing(a: &Arrival, b: &Arrival, one: usize, other: usize, classes: usize) -> Option<Self> {
        let minor = |a1: i128, a2: i128, b1: i128, b2: i128| a1.checked_mul(b2)?.checked_sub(a2.checked_mul(b1)?);
        let determinant = minor(a.need[one], a.need[other], b.need[one], b.need[other])?;
        let mut by_class = vec![0; classes];
        by_class[one] = minor(a.earns, a.need[other], b.earns, b.need[other])? * determinant.signum();
        by_class[other] = minor(a.need[one], a.earns, b.need[one], b.earns)? * determinant.signum();
        let sound = determinant != 0 && by_class.iter().all(|worth| *worth >= 0);
        sound.then_some(Self { by_class, denominator: determinant.abs() })
    }

    fn covers(&self, arrival: &Arrival) -> Option<bool> {
        Some(self.of(&arrival.need)? >= self.scaled(arrival.earns)?)
    }

    /// No less than what this room can earn, over the denominator.
    pub(super) fn of(&self, room: &[i128]) -> Option<i128> {
        let mut products = self.by_class.iter().zip(room).map(|(worth, room)| worth.checked_mul((*room).max(0)));
        products.try_fold(0_i128, |sum, product| sum.checked_add(product?))
    }

    /// An amount over the denominator.
    pub(super) fn scaled(&self, amount: i128) -> Option<i128> {
        amount.checked_mul(self.denominator)
    }
}
