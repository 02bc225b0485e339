//! From a fleet and a request to a proven plan, without reading anything else.
//!
//! ```text
//! Fleet + Request ──► problem ──► placement ──► ordering ──► Plan
//!                     (indices)   (who goes     (in which    │
//!                                  where, how    order and   └──► check (a stranger to all of it)
//!                                  well proven)  when)
//! ```
//!
//! No clock, no database, no network, no unseeded randomness: the clock comes in with [`Limits`], the seed with the
//! request. A placement that cannot be ordered is placed again without that mistake, never emitted.

mod admit;
pub mod check;
pub mod limits;
pub mod ordering;
pub mod placement;
pub mod problem;
pub mod refusal;
mod rules;
#[cfg(test)]
mod small_fleet;

pub use admit::admit;
pub use limits::Limits;
