//! Conductor and agents in one process: queues in memory.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use decant_schema::cast::{Cast, Notification};
use decant_schema::id::HostName;
use tokio::sync::Notify;

use super::Bus;

/// Queues in memory, one for each host and one for the conductor.
#[derive(Debug, Default)]
pub struct InProcessBus {
    casts: Mutex<BTreeMap<HostName, Arc<Queue<Cast>>>>,
    notifications: Queue<Notification>,
}

impl InProcessBus {
    /// Takes a cast for this host, if there is one.
    pub fn try_next_cast(&self, host: &HostName) -> Option<Cast> {
        self.casts_for(host).try_take()
    }

    /// Takes a notification, if there is one.
    pub fn try_next_notification(&self) -> Option<Notification> {
        self.notifications.try_take()
    }

    fn casts_for(&self, host: &HostName) -> Arc<Queue<Cast>> {
        let mut all = self.casts.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(host.clone()).or_default().clone()
    }
}

/// Messages for one listener, which alone is woken by them.
#[derive(Debug)]
struct Queue<T> {
    messages: Mutex<VecDeque<T>>,
    arrived: Notify,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { messages: Mutex::default(), arrived: Notify::new() }
    }
}

impl<T> Queue<T> {
    fn put(&self, message: T) {
        self.messages().push_back(message);
        // Kept for the listener if it is not waiting at this moment.
        self.arrived.notify_one();
    }

    fn try_take(&self) -> Option<T> {
        self.messages().pop_front()
    }

    async fn take(&self) -> T {
        loop {
            if let Some(message) = self.try_take() {
                return message;
            }
            self.arrived.notified().await;
        }
    }

    fn messages(&self) -> MutexGuard<'_, VecDeque<T>> {
        self.messages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Bus for InProcessBus {
    async fn cast(&self, cast: Cast) {
        self.casts_for(cast.to()).put(cast);
    }

    async fn notify(&self, notification: Notification) {
        self.notifications.put(notification);
    }

    async fn next_cast(&self, host: &HostName) -> Cast {
        self.casts_for(host).take().await
    }

    async fn next_notification(&self) -> Notification {
        self.notifications.take().await
    }
}
