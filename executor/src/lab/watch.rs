//! Keeps the ledger up to date in the background, so that times of acknowledgements are those at which they came.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use decant_schema::id::InstanceId;

use super::ledger::Ledger;

/// How often the consoles are read: the resolution of every measured silence.
const EVERY: Duration = Duration::from_millis(10);

/// A ledger and the thread that keeps it; the thread ends with this.
#[derive(Debug)]
pub struct Watch {
    ledger: Arc<Mutex<Ledger>>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Begins to follow the consoles.
    pub fn over(ledger: Ledger) -> Self {
        let (ledger, over) = (Arc::new(Mutex::new(ledger)), Arc::new(AtomicBool::new(false)));
        let (shared, end) = (Arc::clone(&ledger), Arc::clone(&over));
        let thread = std::thread::spawn(move || {
            while !end.load(Ordering::Relaxed) {
                if let Err(error) = lock(&shared).poll() {
                    // The consoles still hold everything: the next look takes it in.
                    tracing::warn!(%error, "cannot keep the ledger");
                }
                std::thread::sleep(EVERY);
            }
        });
        Self { ledger, over, thread: Some(thread) }
    }

    /// The ledger as it is at this moment.
    pub fn ledger(&self) -> MutexGuard<'_, Ledger> {
        lock(&self.ledger)
    }

    /// Waits until each of these instances has acknowledged `more` further records; `false` if not within `patience`.
    pub async fn writes(&self, instances: &[InstanceId], more: usize, patience: Duration) -> bool {
        let count = |instance| self.ledger().acknowledgements(instance).len();
        let wanted: Vec<usize> = instances.iter().map(|instance| count(instance) + more).collect();
        let end = Instant::now() + patience;
        while Instant::now() < end {
            if instances.iter().zip(&wanted).all(|(instance, wanted)| count(instance) >= *wanted) {
                return true;
            }
            tokio::time::sleep(EVERY).await;
        }
        false
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It only polls; if it panicked there is nothing left to end.
            let _ended = thread.join();
        }
    }
}

fn lock(ledger: &Mutex<Ledger>) -> MutexGuard<'_, Ledger> {
    // A poll that panicked left whole entries behind.
    ledger.lock().unwrap_or_else(PoisonError::into_inner)
}
