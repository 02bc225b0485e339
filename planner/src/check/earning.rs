//! The least a host pays under given prices: it chooses who leaves, who grows in place and who is refused, and takes
//! whatever arrivals earn most in the room that makes.
//!
//! A dynamic programme over the instances there, from room to the least cost at which it is made. Room that could not
//! earn what it cost, whatever else were chosen, is left out; what is left is exact.

use std::collections::HashMap;

use super::knapsack::{Tables, Worth};
use crate::Limits;

/// One way an instance may decide.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Choice {
    /// What is paid for it.
    pub(super) pays: i128,
    /// Room it makes, by class.
    pub(super) frees: Vec<i128>,
    /// Room it takes, by class.
    pub(super) takes: Vec<i128>,
}

/// A host as it decides: hosts with equal cases pay the same.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Case {
    /// Which arrivals it admits, by position in a list of such sets.
    pub(super) arrivals: usize,
    /// What it has left, by class; negative where it is oversubscribed.
    pub(super) room: Vec<i128>,
    /// For everybody there the ways to decide; the first is always possible.
    pub(super) choices: Vec<Vec<Choice>>,
}

impl Case {
    /// The most room it can ever make, by class.
    pub(super) fn room_max(&self) -> Vec<i128> {
        let mut room: Vec<i128> = self.room.clone();
        for choices in &self.choices {
            for (class, room) in room.iter_mut().enumerate() {
                *room += choices.iter().map(|choice| choice.frees[class]).max().unwrap_or(0);
            }
        }
        room
    }
}

/// What is left of a host after some have decided.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Room {
    left: Vec<i128>,
    /// Whether somebody grew, by class: then what is left may not be negative.
    grown: Vec<bool>,
}

impl Room {
    fn after(&self, choice: &Choice) -> Self {
        let left = self.left.iter().zip(choice.frees.iter().zip(&choice.takes)).map(|(left, (f, t))| left + f - t);
        let grown = self.grown.iter().zip(&choice.takes).map(|(grown, takes)| *grown || *takes > 0);
        Self { left: left.collect(), grown: grown.collect() }
    }

    fn holds(&self) -> bool {
        self.left.iter().zip(&self.grown).all(|(left, grown)| !grown || *left >= 0)
    }
}

/// Rooms a host may come to before they are no longer told apart; more than any host of the fleets we know needs.
const ROOMS_MAX: usize = 1 << 18;

/// The least the host pays, negative if it earns more than it pays; or less than that where telling exactly would
/// take too long, which can only weaken a bound. `None` if the numbers are too large.
pub(super) fn pays_least(case: &Case, table: &Tables, worths: &[Worth], limits: &Limits<'_>) -> Option<i128> {
    let Some(ceiling) = worths.iter().filter_map(|worth| Ceiling::new(case, worth)).min_by(Ceiling::compare) else {
        return case
            .room
            .is_empty()
            .then(|| case.choices.iter().filter_map(|of| of.iter().map(|c| c.pays).min()).sum());
    };
    let mut rest_pays: i128 = case.choices.iter().map(|choices| choices[0].pays).sum();
    let mut best = table.earned(&case.room) - rest_pays;
    let mut rooms = HashMap::from([(Room { left: case.room.clone(), grown: vec![false; case.room.len()] }, 0_i128)]);
    for (nth, choices) in case.choices.iter().enumerate() {
        rest_pays -= choices[0].pays;
        let mut next: HashMap<Room, i128> = HashMap::new();
        for (room, paid) in &rooms {
            for choice in choices {
                let (room, paid) = (room.after(choice), paid + choice.pays);
                if !ceiling.allows(&room.left, paid, nth + 1, best)? {
                    continue;
                }
                if room.holds() {
                    best = best.max(table.earned(&room.left) - paid - rest_pays);
                }
                let known = next.entry(room).or_insert(paid);
                *known = (*known).min(paid);
            }
        }
        if next.len() > ROOMS_MAX || limits.out_of_time() {
            return Some(-ceiling.rounded()?);
        }
        rooms = next;
    }
    Some(-best)
}

/// What a host can never come to exceed, under one worth of its room.
struct Ceiling<'a> {
    worth: &'a Worth,
    /// What the instances from this one on can gain beyond what they pay, over the worth's denominator.
    gains: Vec<i128>,
    /// What the whole host can come to.
    total: i128,
}

impl<'a> Ceiling<'a> {
    fn new(case: &Case, worth: &'a Worth) -> Option<Self> {
        let mut gains = vec![0; case.choices.len() + 1];
        for (nth, choices) in case.choices.iter().enumerate().rev() {
            let mut most = None;
            for choice in choices {
                most = most.max(Some(worth.of(&choice.frees)?.checked_sub(worth.scaled(choice.pays)?)?));
            }
            gains[nth] = most?.checked_add(gains[nth + 1])?;
        }
        let total = worth.of(&case.room)?.checked_add(gains[0])?;
        Some(Self { worth, gains, total })
    }

    /// Lower ceilings first.
    #[expect(clippy::cast_precision_loss, reason = "only chooses between two ceilings that both hold")]
    fn compare(&self, other: &Self) -> std::cmp::Ordering {
        let value = |ceiling: &Self| ceiling.total as f64 / ceiling.worth.denominator as f64;
        value(self).total_cmp(&value(other))
    }

    /// Whether this room may still lead to more than `best`, the instances from `nth` on being yet to decide.
    fn allows(&self, left: &[i128], paid: i128, nth: usize, best: i128) -> Option<bool> {
        let most = self.worth.of(left)?.checked_sub(self.worth.scaled(paid)?)?.checked_add(self.gains[nth])?;
        Some(most >= self.worth.scaled(best + 1)?)
    }

    /// What the whole host can come to, rounded up.
    fn rounded(&self) -> Option<i128> {
        self.total.checked_add(self.worth.denominator - 1).map(|total| total.div_euclid(self.worth.denominator))
    }
}
