//! Looks at the process table all the time: no instance may ever have two processes.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use decant_executor::lab::world::{Lab, Process};

pub(crate) struct Witness {
    seen: Arc<Mutex<BTreeSet<String>>>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Witness {
    pub(crate) fn of(lab: Lab) -> Self {
        let (seen, over) = (Arc::new(Mutex::new(BTreeSet::new())), Arc::new(AtomicBool::new(false)));
        let (shared, end) = (Arc::clone(&seen), Arc::clone(&over));
        let thread = std::thread::spawn(move || {
            while !end.load(Ordering::Relaxed) {
                shared.lock().unwrap().extend(doubles(&lab));
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        Self { seen, over, thread: Some(thread) }
    }

    pub(crate) fn assert_nothing_seen(&self) {
        let seen = self.seen.lock().unwrap();
        assert!(seen.is_empty(), "two copies at once: {seen:?}");
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

/// Instances with more than one process. A table read while a process moves on may show what never was at one
/// moment, so it is read again.
fn doubles(lab: &Lab) -> BTreeSet<String> {
    let look = || {
        let processes = lab.processes();
        let twice = |one: &&Process| processes.iter().filter(|other| other.instance == one.instance).count() > 1;
        processes.iter().filter(twice).map(|one| format!("{} on {}", one.instance, one.host)).collect::<BTreeSet<_>>()
    };
    let first = look();
    if first.is_empty() { first } else { first.intersection(&look()).cloned().collect() }
}
