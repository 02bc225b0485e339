//! Who works on a copy: a lock that the kernel takes back when the worker ends, however it ends.
//!
//! The lock is an open file, locked with `flock`, and every process that works on a copy has it as its standard input:
//! QEMU for as long as the guest exists, an image tool for as long as it writes. So whether a guest runs is read
//! from the kernel and not from a process id that may have been given away, no second QEMU can be started on the same
//! copy, and a tool that outlived a killed agent is waited for.

use std::fs::{File, TryLockError};
use std::io::{self, Write};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use decant_schema::migration::Generation;
use tokio::time::{Instant, sleep};

use crate::hypervisor::Fenced;
use crate::layout::make_parent;

/// How often a lock that is held is tried again: well below what a person notices, well above what it costs.
pub(crate) const RETRY: Duration = Duration::from_millis(10);

/// The right to work on a copy, until dropped and until every process it was given to has ended.
#[derive(Debug)]
pub(crate) struct CopyLock(File);

impl CopyLock {
    /// Takes the lock if nobody has it.
    pub(crate) fn try_take(path: &Path) -> io::Result<Option<Self>> {
        make_parent(path)?;
        let file = File::options().read(true).append(true).create(true).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Takes the lock as soon as it is free; `None` when it is not within `patience`.
    pub(crate) async fn take_within(path: &Path, patience: Duration) -> io::Result<Option<Self>> {
        let end = Instant::now() + patience;
        loop {
            let lock = Self::try_take(path)?;
            if lock.is_some() || Instant::now() >= end {
                return Ok(lock);
            }
            sleep(RETRY).await;
        }
    }

    /// Records for whose order the lock is held.
    pub(crate) fn sign(&self, generation: Generation) -> io::Result<()> {
        self.0.set_len(0)?;
        (&self.0).write_all(generation.to_string().as_bytes())
    }

    /// The standard input of a process that is to hold the lock as well.
    pub(crate) fn share(&self) -> io::Result<Stdio> {
        Ok(Stdio::from(self.0.try_clone()?))
    }
}

impl From<CopyLock> for Fenced {
    fn from(lock: CopyLock) -> Self {
        Self::by(lock.0)
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_process_given_the_lock_keeps_it_after_we_let_go() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("locks/vm-1");
        let lock = CopyLock::try_take(&path).unwrap().unwrap();
        let mut worker = Command::new("sleep").arg("60").stdin(lock.share().unwrap()).spawn().unwrap();
        drop(lock);
        assert!(CopyLock::try_take(&path).unwrap().is_none());
        worker.kill().unwrap();
        worker.wait().unwrap();
        assert!(CopyLock::try_take(&path).unwrap().is_some());
    }
}
