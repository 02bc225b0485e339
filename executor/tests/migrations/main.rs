//! Migrations as a whole: the protocol with everything that can go wrong, and the calls a command makes.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod apply;
mod doubt;
mod hosts;
mod migrate;
mod protocol;
mod rig;
