//! What a demonstration leaves when it is killed outright, and cannot tidy up: guests that run on, and their folder.
//!
//! The owner of a folder holds a lock in it, which the kernel releases when the owner ends, however it ends. So the next
//! demonstration knows which folders nobody owns any more, and sweeps them.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use decant_executor::lab::world::Lab;

use crate::output;
use crate::render::words;

/// What the names of all demonstrations' folders begin with.
pub(super) const PREFIX: &str = "decant-demo-";

const LOCK: &str = "owner.lock";

/// Takes possession of a folder for as long as the file is open. The lock is held before it can be seen: nobody finds a
/// folder that looks abandoned because its owner is only about to lock it.
pub(super) fn own(folder: &Path) -> io::Result<File> {
    let unseen = folder.join("owner.part");
    let lock = File::create(&unseen)?;
    lock.lock()?;
    fs::rename(unseen, folder.join(LOCK))?;
    Ok(lock)
}

/// Ends the guests of all demonstrations that are no more and removes their folders; says so.
pub(super) fn sweep(beside: &Path) {
    for entry in fs::read_dir(beside).into_iter().flatten().flatten() {
        if entry.file_name().to_str().is_some_and(|name| name.starts_with(PREFIX)) {
            sweep_one(&entry.path());
        }
    }
}

/// One that belongs to somebody, that is not ours to enter, or whose guests do not end, is left alone.
fn sweep_one(folder: &Path) -> Option<()> {
    let lock = File::options().write(true).open(folder.join(LOCK)).ok()?;
    lock.try_lock().ok()?;
    let lab = Lab::open(folder, &[]).ok()?;
    let guests = lab.processes().len();
    lab.kill_all();
    if lab.processes().is_empty() {
        fs::remove_dir_all(folder).ok()?;
        let left = words::count(guests, "virtual machine");
        output::note(&format!("Removed what a killed demonstration had left: {left} and {}.", folder.display()));
    }
    Some(())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_folder_is_swept_when_its_owner_is_no_more() {
        let beside = tempfile::tempdir().unwrap();
        let make = |name: &str| {
            let folder = beside.path().join(name);
            fs::create_dir(&folder).unwrap();
            let owner = own(&folder).unwrap();
            (folder, owner)
        };
        let (abandoned, gone) = make("decant-demo-1");
        let (owned, _owner) = make("decant-demo-2");
        let (foreign, gone_too) = make("something-else");
        drop((gone, gone_too));
        sweep(beside.path());
        assert_eq!([&abandoned, &owned, &foreign].map(|folder| folder.exists()), [false, true, true]);
    }
}
