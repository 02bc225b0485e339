//! Casts from the conductor to agents, notifications back: one trait, one file a way.
//!
//! A bus promises nothing: what it carries may be lost, repeated, late or out of order. All that is built on it is
//! right regardless, and faster where the bus is good.

mod faulty;
mod in_process;

use async_trait::async_trait;
use decant_schema::cast::{Cast, Notification};
use decant_schema::id::HostName;

pub use faulty::{FaultRates, FaultyBus};
pub use in_process::InProcessBus;

/// Carries messages between the conductor and the agents.
///
/// Sending never fails: a bus that cannot carry a message loses it, which is what its users expect of it anyway.
#[async_trait]
pub trait Bus: Send + Sync {
    /// Sends a cast to the agent it names.
    async fn cast(&self, cast: Cast);

    /// Tells the conductor something.
    async fn notify(&self, notification: Notification);

    /// The next cast for this host's agent; waits for one. Each host has one listener.
    async fn next_cast(&self, host: &HostName) -> Cast;

    /// The next notification for the conductor; waits for one. There is one listener.
    async fn next_notification(&self) -> Notification;
}
