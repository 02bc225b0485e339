//! Conductor and agents in one process: queues in memory.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use decant_schema::cast::{Cast, Notification};
use decant_schema::id::HostName;
use tokio::sync::Notify;

use super::Bus;

/// Queues in memory, one for each host and one for the conductor.
#[derive(Debug, Default)]
pub struct InProcessBus {
    queues: Mutex<Queues>,
    /// Wakes all who wait; each looks for its own.
    arrived: Notify,
}

#[derive(Debug, Default)]
struct Queues {
    casts: BTreeMap<HostName, VecDeque<Cast>>,
    notifications: VecDeque<Notification>,
}

impl InProcessBus {
    /// Takes a cast for this host, if there is one.
    pub fn try_next_cast(&self, host: &HostName) -> Option<Cast> {
        self.queues().casts.get_mut(host)?.pop_front()
    }

    /// Takes a notification, if there is one.
    pub fn try_next_notification(&self) -> Option<Notification> {
        self.queues().notifications.pop_front()
    }

    fn queues(&self) -> MutexGuard<'_, Queues> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn wait_for<T>(&self, mut take: impl FnMut() -> Option<T>) -> T {
        loop {
            // Listening begins before looking, so what arrives in between is not missed.
            let mut arrived = std::pin::pin!(self.arrived.notified());
            arrived.as_mut().enable();
            if let Some(message) = take() {
                return message;
            }
            arrived.await;
        }
    }
}

#[async_trait]
impl Bus for InProcessBus {
    async fn cast(&self, cast: Cast) {
        self.queues().casts.entry(cast.to().clone()).or_default().push_back(cast);
        self.arrived.notify_waiters();
    }

    async fn notify(&self, notification: Notification) {
        self.queues().notifications.push_back(notification);
        self.arrived.notify_waiters();
    }

    async fn next_cast(&self, host: &HostName) -> Cast {
        self.wait_for(|| self.try_next_cast(host)).await
    }

    async fn next_notification(&self) -> Notification {
        self.wait_for(|| self.try_next_notification()).await
    }
}
