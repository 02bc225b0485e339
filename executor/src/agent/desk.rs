//! What an agent is doing: one work for each instance, the newest.

use std::collections::BTreeMap;
use std::sync::Arc;

use decant_schema::cast::WorkCast;
use decant_schema::id::InstanceId;
use decant_schema::migration::Generation;
use tokio::task::JoinHandle;

use super::Agent;
use super::lease::Lease;

/// The works under way, by instance.
#[derive(Default)]
pub(super) struct Desk {
    works: BTreeMap<InstanceId, Underway>,
}

/// A work under way; dropped with the desk.
struct Underway {
    generation: Generation,
    lease: Arc<Lease>,
    task: JoinHandle<()>,
}

impl Drop for Underway {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Desk {
    /// Begins a work. The same one under way has its lease renewed; an older one is dropped first, and its end awaited,
    /// so that calls about one instance never overlap.
    pub(super) async fn take(&mut self, agent: &Arc<Agent>, cast: WorkCast) {
        self.works.retain(|_, underway| !underway.task.is_finished());
        let instance = cast.subject.instance.clone();
        if let Some(underway) = self.works.get_mut(&instance) {
            if underway.generation == cast.generation {
                return underway.lease.renew(cast.lease_until);
            }
            if underway.generation > cast.generation {
                return;
            }
            underway.task.abort();
            // Cancelled or done: either way it has ended.
            _ = (&mut underway.task).await;
        }
        let lease = Arc::new(Lease::new(agent.clock.clone(), cast.lease_until));
        let generation = cast.generation;
        let (worker, held) = (agent.clone(), lease.clone());
        let task = tokio::spawn(async move { worker.work(&cast, &held).await });
        self.works.insert(instance, Underway { generation, lease, task });
    }
}

#[cfg(test)]
mod tests;
