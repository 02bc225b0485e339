//! The ranges of numbers.

use super::super::document::Resources;
use super::names;
use crate::finding::{Findings, Path, path_to};
use crate::units::{AMOUNT_MAX, Mbps};

/// The longest a start or a stop may take, seconds: four months, beyond which it is a mistake of the unit.
const SECONDS_MAX: f64 = 1e7;

/// The fastest network, megabit/s: a petabit per second, beyond which it is a mistake of the unit.
const MBPS_MAX: u64 = 1_000_000_000;

/// An amount must be one that JSON readers keep exactly, which leaves sums of thousands far from overflow.
pub(super) fn amount(amount: u64, at: impl FnOnce() -> Path, errors: &mut Findings) {
    if amount > AMOUNT_MAX {
        errors.add(at(), format!("{amount} is more than 2^53"), "check the unit: no machine holds that much");
    }
}

/// Every class a name, every amount in range.
pub(super) fn resources(resources: &Resources, at: impl Fn() -> Path, errors: &mut Findings) {
    for (class, number) in resources {
        let at = || at().then(path_to![class.as_str()]);
        names::name(class.as_str(), at, errors);
        amount(*number, at, errors);
    }
}

/// A network must be there.
pub(super) fn network(rate: Mbps, at: impl FnOnce() -> Path, errors: &mut Findings) {
    if rate.count() == 0 {
        errors.add(at(), "a network of 0 Mbit/s", "give its rate in megabit/s, or leave it out for the usual");
    } else {
        self::rate(rate, at, errors);
    }
}

/// A rate may be 0, not absurd.
pub(super) fn rate(rate: Mbps, at: impl FnOnce() -> Path, errors: &mut Findings) {
    if rate.count() > MBPS_MAX {
        errors.add(at(), format!("{rate} is faster than any network"), "give the rate in megabit/s");
    }
}

/// At least one migration at a time.
pub(super) fn migrations(count: u32, at: impl FnOnce() -> Path, errors: &mut Findings) {
    if count == 0 {
        errors.add(at(), "0 migrations at once would let nothing move", "give 1 or more");
    }
}

/// A length of time.
pub(super) fn seconds(seconds: f64, at: impl FnOnce() -> Path, errors: &mut Findings) {
    if !(0.0..=SECONDS_MAX).contains(&seconds) {
        errors.add(at(), format!("{seconds} seconds"), format!("give a length from 0 to {SECONDS_MAX} seconds"));
    }
}
