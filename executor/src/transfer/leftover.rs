//! A copying process that outlived the order it was started for.
//!
//! It is known by what it holds: its standard input is the lock of the file it sends ([`super::rsync`] gives it that and
//! nothing else does), so no process is taken for one by a number that was given away since.

use std::io;
use std::path::Path;

use decant_schema::migration::Generation;
use rustix::process::{Pid, Signal, getpgid, kill_process, kill_process_group};

use crate::processes;

/// Ends what holds the lock if nobody waits for it any more: its parent has ended, or was told to do this by an
/// older generation than `generation`, which is on record here by now. One that somebody still waits for is left.
///
/// # Errors
/// As the file system says. A process that ends by itself meanwhile is as good as one that was ended.
pub(super) fn end_outdated(lock: &Path, generation: Generation) -> io::Result<()> {
    let file = lock.metadata()?;
    let started_by: Option<u64> = std::fs::read_to_string(lock)?.trim().parse().ok();
    let is_older = started_by.is_some_and(|by| Generation(by) < generation);
    for id in processes::ids().filter(|id| processes::reads_from(*id, &file)) {
        if is_older || !parent(id).is_some_and(|parent| processes::has_open(parent, &file)) {
            end(id);
        }
    }
    Ok(())
}

/// Ends a process, with its own group where it has one: what it started to write at the other end goes with it.
fn end(id: i32) {
    let Some(id) = Pid::from_raw(id) else { return };
    let leads = getpgid(Some(id)).is_ok_and(|group| group == id);
    let _gone = if leads { kill_process_group(id, Signal::KILL) } else { kill_process(id, Signal::KILL) };
}

fn parent(id: i32) -> Option<i32> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::hypervisor::qemu::lock::CopyLock;
    use std::process::{Child, Command};

    /// A process that holds the lock, begun by this generation, and the lock itself.
    fn sending(lock: &Path, generation: u64) -> (CopyLock, Child) {
        let taken = CopyLock::try_take(lock).unwrap().unwrap();
        taken.sign(Generation(generation)).unwrap();
        let child = Command::new("sleep").arg("600").stdin(taken.share().unwrap()).spawn().unwrap();
        (taken, child)
    }

    fn is_over(child: &mut Child) -> bool {
        child.try_wait().unwrap().is_some()
    }

    #[test]
    fn what_nobody_waits_for_is_ended() {
        let folder = tempfile::tempdir().unwrap();
        let lock = folder.path().join("lock");
        let (taken, mut child) = sending(&lock, 5);
        drop(taken);
        end_outdated(&lock, Generation(5)).unwrap();
        assert!(!child.wait().unwrap().success());
        assert!(CopyLock::try_take(&lock).unwrap().is_some());
    }

    #[test]
    fn what_an_older_generation_waits_for_is_ended_and_nothing_else_is() {
        let folder = tempfile::tempdir().unwrap();
        let (ours, other) = (folder.path().join("ours"), folder.path().join("other"));
        let (_waits, mut child) = sending(&ours, 5);
        let (_also, mut bystander) = sending(&other, 1);
        end_outdated(&ours, Generation(5)).unwrap();
        assert!(!is_over(&mut child), "somebody of this generation waits for it");
        end_outdated(&ours, Generation(6)).unwrap();
        assert!(!child.wait().unwrap().success());
        assert!(!is_over(&mut bystander), "it sends another file");
        bystander.kill().unwrap();
        bystander.wait().unwrap();
    }
}
