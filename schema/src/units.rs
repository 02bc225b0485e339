//! Quantities as types: a size cannot be added to a rate, and subtraction says when there is not enough.

use std::fmt;
use std::iter::Sum;
use std::ops::Add;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The largest whole number a document may hold: JSON readers keep integers exactly up to 2^53.
pub const AMOUNT_MAX: u64 = 1 << 53;

/// A size in MiB. Every `_mb` field of a document is one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Mib(u64);

/// Short constructor of a size in MiB.
pub const fn mib(count: u64) -> Mib {
    Mib(count)
}

impl Mib {
    /// The number of MiB.
    pub const fn count(self) -> u64 {
        self.0
    }

    /// The size in bytes, saturating.
    pub const fn bytes(self) -> u64 {
        self.0.saturating_mul(1 << 20)
    }

    /// The rest after taking `other` away, or `None` if there is less than that.
    pub fn minus(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }
}

impl Add for Mib {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl Sum for Mib {
    fn sum<I: Iterator<Item = Self>>(sizes: I) -> Self {
        sizes.fold(Self(0), Add::add)
    }
}

impl fmt::Display for Mib {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} MiB", self.0)
    }
}

/// A rate in megabit (10^6 bit) per second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Mbps(u64);

/// Short constructor of a rate in megabit per second.
pub const fn mbps(count: u64) -> Mbps {
    Mbps(count)
}

impl Mbps {
    /// The number of megabits per second.
    pub const fn count(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Mbps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} Mbit/s", self.0)
    }
}
