//! Every plan judged by a stranger: on random fleets with all rules mixed, against brute force and an exact model, and
//! the stranger itself against plans that are wrong on purpose.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod brute;
mod exact;
mod facts;
mod field;
mod fleets;
mod fuzz;
mod mutants;
mod mutations;
mod notes;
mod planned;
mod random;
mod rejects;
mod remedies;
mod sequences;
mod tiers;
