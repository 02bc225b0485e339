//! The nouns of decant.
//!
//! A fleet (what is), a request (what is wanted), a plan (what to do, why, and what is proven), a migration (a move
//! being carried out) and the casts that drive it. The planner and the executor never see each other: they meet here,
//! and this crate knows neither.
//!
//! Documents are checked at the door ([`fleet::read`], [`plan::read`], [`machine::read`]): past it there are only values that cannot be
//! wrong, so nothing behind re-examines them.

pub mod cast;
pub mod document;
pub mod finding;
pub mod fleet;
pub mod id;
pub mod machine;
pub mod migration;
pub mod nearest;
pub mod plan;
pub mod report;
pub mod request;
#[cfg(feature = "store")]
pub mod store;
pub mod units;
