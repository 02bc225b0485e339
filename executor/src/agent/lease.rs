//! The time within which an agent may start or destroy something.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;

use super::work::WorkError;
use crate::clock::Clock;

/// A lease that can be renewed while the work under it goes on.
pub(super) struct Lease {
    clock: Arc<dyn Clock>,
    until: Mutex<Timestamp>,
}

impl Lease {
    pub(super) fn new(clock: Arc<dyn Clock>, until: Timestamp) -> Self {
        Self { clock, until: Mutex::new(until) }
    }

    /// Extends it; a cast that was overtaken does not shorten it.
    pub(super) fn renew(&self, until: Timestamp) {
        let mut held = self.until.lock().unwrap_or_else(PoisonError::into_inner);
        *held = (*held).max(until);
    }

    /// Fails once it is over: the conductor casts again with a new one if the work is still wanted.
    pub(super) fn check(&self) -> Result<(), WorkError> {
        let until = *self.until.lock().unwrap_or_else(PoisonError::into_inner);
        if self.clock.now() < until { Ok(()) } else { Err(WorkError::Outdated("its lease is over")) }
    }
}
