//! How much of a storage a copy may take: never so much that the guests there cannot write any more, and never what another
//! migration was promised.
//!
//! What a migration will take is promised to it before it begins: a small file in the copy's folder says how much the
//! folder's files will take in all. What of that is still to come is found by looking at the files, so a promise needs no
//! upkeep while they arrive. It ends with the migration, or with the folder.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use decant_schema::units::mib;

use crate::layout::{CopyFolder, HostFolder, make_parent, remove_durably};

/// What a file's `blocks` count in, whatever the file system's own blocks are.
pub(crate) const BLOCK: u64 = 512;

/// The part of a storage that no copy takes, one in so many: what its guests write while somebody makes room.
const RESERVE_SHARE: u64 = 20;

/// The most that is kept: on a large storage a twentieth is more than that takes.
const RESERVE_MAX: u64 = 1 << 30;

/// The room of the storage a folder is on, bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Room {
    /// What is free.
    pub(crate) free: u64,
    /// What no copy takes.
    pub(crate) reserve: u64,
}

impl Room {
    /// The room where this folder, or the nearest one above it that exists, is.
    ///
    /// # Errors
    /// As the file system says.
    pub(crate) fn at(folder: &Path) -> io::Result<Self> {
        let there = folder.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
        let storage = rustix::fs::statvfs(there)?;
        let bytes = |blocks: u64| blocks.saturating_mul(storage.f_frsize);
        // Not f_bfree: what a file system keeps for root is not ours, even where we are root.
        let (free, size) = (bytes(storage.f_bavail), bytes(storage.f_blocks));
        Ok(Self { free, reserve: (size / RESERVE_SHARE).min(RESERVE_MAX) })
    }

    /// What may be taken.
    pub(crate) fn to_take(self) -> u64 {
        self.free.saturating_sub(self.reserve)
    }

    /// Fails, with the figures in words, where so many bytes cannot be taken.
    pub(crate) fn holds(self, bytes: u64) -> Result<(), String> {
        if bytes <= self.to_take() {
            return Ok(());
        }
        let [needed, free, reserve] = [bytes, self.free, self.reserve].map(|bytes| mib(bytes.div_ceil(1 << 20)));
        Err(format!("{needed} are needed, {free} are free, of which {reserve} are kept for the guests there"))
    }
}

/// The hosts between which copies go: those whose promises may be of the same storage.
#[derive(Debug)]
pub(crate) struct Storages {
    hosts: BTreeSet<PathBuf>,
}

impl Storages {
    pub(crate) fn of<'a>(hosts: impl IntoIterator<Item = &'a HostFolder>) -> Self {
        Self { hosts: hosts.into_iter().map(|host| host.path().to_owned()).collect() }
    }

    /// Promises a copy's folder this many bytes beyond what is in it, unless it was promised as much already. Looking and
    /// promising are one step: of two that come at once, the second finds the first one's promise.
    ///
    /// # Errors
    /// As the file system says; the inner error says in words how much is needed and how much there is.
    pub(crate) fn promise(&self, copy: &CopyFolder, more: u64) -> io::Result<Result<(), String>> {
        let promise = copy.promise();
        make_parent(&promise)?;
        let storage = copy.path().metadata()?.dev();
        let _alone = self.lock(storage)?;
        let there = taken(&copy.path());
        let whole = promised(&promise).max(there.saturating_add(more));
        let others: u64 = self.copies_on(storage).filter(|other| other.path() != copy.path()).map(to_come).sum();
        if let Err(detail) = Room::at(&copy.path())?.holds(whole.saturating_sub(there).saturating_add(others)) {
            return Ok(Err(detail));
        }
        std::fs::write(&promise, whole.to_string()).map(Ok)
    }

    /// Keeps other promises away from a storage. The hosts are locked in the order of their names, so that no two wait for
    /// each other.
    fn lock(&self, storage: u64) -> io::Result<Vec<File>> {
        let on_it = self.hosts.iter().filter(|host| is_on(host, storage));
        on_it.map(|host| File::open(host).and_then(|folder| folder.lock().map(|()| folder))).collect()
    }

    fn copies_on(&self, storage: u64) -> impl Iterator<Item = CopyFolder> {
        let on_it = self.hosts.iter().filter(move |host| is_on(host, storage));
        on_it.flat_map(|host| HostFolder::new(host).copies().unwrap_or_default())
    }
}

fn is_on(folder: &Path, storage: u64) -> bool {
    folder.metadata().is_ok_and(|folder| folder.dev() == storage)
}

/// Ends a copy's promise, and removes its folder if nothing else is in it. Succeeds where there is none.
///
/// # Errors
/// As the file system says.
pub(crate) fn end_promise(copy: &CopyFolder) -> io::Result<()> {
    match remove_durably(&copy.promise()) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    // Fails where anything is in it, as it should.
    let _kept = std::fs::remove_dir(copy.path());
    Ok(())
}

/// What a copy will take beyond what is there.
fn to_come(copy: CopyFolder) -> u64 {
    promised(&copy.promise()).saturating_sub(taken(&copy.path()))
}

/// What was promised in all; nothing if there is no sense in it.
fn promised(promise: &Path) -> u64 {
    std::fs::read_to_string(promise).ok().and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Bytes that a folder's files take, each once whatever names it has; holes are not counted.
pub(crate) fn taken(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let files = entries.filter_map(|file| file.metadata().ok()).map(|file| (file.ino(), file.blocks()));
    let files: BTreeMap<u64, u64> = files.collect();
    files.into_values().sum::<u64>().saturating_mul(BLOCK)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn two_copies(folder: &Path) -> (Storages, CopyFolder, CopyFolder) {
        let hosts = ["a", "b"].map(|name| HostFolder::new(folder.join(name)));
        hosts.iter().for_each(|host| std::fs::create_dir_all(host.path()).unwrap());
        let copies = hosts.each_ref().map(|host| host.copy(&"vm-1".into()).unwrap());
        let [first, second] = copies;
        (Storages::of(&hosts), first, second)
    }

    #[test]
    fn one_room_is_not_promised_twice_and_what_has_arrived_is_not_counted_twice() {
        let folder = tempfile::tempdir().unwrap();
        let (storages, first, second) = two_copies(folder.path());
        // Whatever else uses this machine's disk meanwhile: more than half of the room, twice, is too much.
        let most = Room::at(folder.path()).unwrap().to_take() / 100 * 60;
        storages.promise(&first, most).unwrap().unwrap();
        storages.promise(&second, most).unwrap().unwrap_err();
        std::fs::write(first.join("base.qcow2"), vec![7; 1 << 20]).unwrap();
        assert!(to_come(first.clone()) <= most - (1 << 20));
        storages.promise(&first, 1).unwrap().unwrap();
        assert!(promised(&first.promise()) >= most, "the promise was made smaller");
        end_promise(&first).unwrap();
        end_promise(&first).unwrap();
        assert!(first.path().exists(), "there is a file in it");
        storages.promise(&second, most).unwrap().unwrap();
        end_promise(&second).unwrap();
        assert!(!second.path().exists());
    }

    #[test]
    fn a_file_of_two_names_is_counted_once() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("one"), [1; 1 << 16]).unwrap();
        let once = taken(folder.path());
        std::fs::hard_link(folder.path().join("one"), folder.path().join("two")).unwrap();
        assert_eq!(taken(folder.path()), once);
    }

    #[test]
    fn of_many_that_come_at_once_only_one_is_promised_the_room() {
        let folder = tempfile::tempdir().unwrap();
        let host = HostFolder::new(folder.path().join("a"));
        std::fs::create_dir_all(host.path()).unwrap();
        let storages = Storages::of([&host]);
        let most = Room::at(folder.path()).unwrap().to_take() / 100 * 60;
        let ask = |number: usize| storages.promise(&host.copy(&format!("vm-{number}").as_str().into()).unwrap(), most);
        let granted = std::thread::scope(|scope| {
            let asking: Vec<_> = (0..16).map(|number| scope.spawn(move || ask(number).unwrap().is_ok())).collect();
            asking.into_iter().map(|one| one.join().unwrap()).filter(|granted| *granted).count()
        });
        assert_eq!(granted, 1);
    }

    #[test]
    fn what_is_kept_is_not_taken() {
        let room = Room { free: 100 << 20, reserve: 30 << 20 };
        assert_eq!(room.holds(70 << 20), Ok(()));
        let refused = "71 MiB are needed, 100 MiB are free, of which 30 MiB are kept for the guests there";
        assert_eq!(room.holds(71 << 20), Err(refused.to_owned()));
        assert_eq!(Room { free: 1, reserve: 2 }.to_take(), 0);
    }
}
