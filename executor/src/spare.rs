//! Small files that can be replaced on a full disk: what must be recorded on the way back needs no room then.
//!
//! Each host keeps a few spare files whose blocks are allocated. A new content is written into a spare and the two change
//! places; what was replaced is the next spare.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::layout::{DIVIDER, make_folder, make_parent, rename_durably, sync_folder_of};

/// How many are kept: as many instances may come to a host between two moments at which it has room.
const SPARES: usize = 16;

/// What one takes: a block of the usual file systems. A longer content needs room again.
const BLOCK: usize = 4096;

/// The spare files of one host.
#[derive(Clone, Debug)]
pub(crate) struct Spares {
    folder: PathBuf,
}

impl Spares {
    pub(crate) fn within(root: &Path) -> Self {
        Self { folder: root.join("spare") }
    }

    fn names(&self) -> impl Iterator<Item = PathBuf> + '_ {
        (0..SPARES).map(|number| self.folder.join(number.to_string()))
    }

    /// Makes the ones that are missing.
    ///
    /// # Errors
    /// As the file system says: a full disk, too, where some are missing.
    pub(crate) fn stock(&self) -> io::Result<()> {
        make_folder(&self.folder)?;
        for name in self.names().filter(|name| !has_a_block(name)) {
            let mut file = File::create(&name)?;
            file.write_all(&[0; BLOCK])?;
            file.sync_all()?;
        }
        sync_folder_of(&self.folder.join("0"))
    }

    /// Replaces a small file so that after a crash either the old or the new content is there. Needs no room where there
    /// is a spare.
    ///
    /// # Errors
    /// As the file system says.
    pub(crate) fn write(&self, path: &Path, content: &[u8]) -> io::Result<()> {
        make_parent(path)?;
        let mut fresh = path.as_os_str().to_owned();
        fresh.push(format!("{DIVIDER}new"));
        let fresh = PathBuf::from(fresh);
        if !fresh.exists() {
            self.names().find(|spare| has_a_block(spare) && std::fs::rename(spare, &fresh).is_ok());
        }
        // Not emptied first: that would give the block away.
        let mut file = File::options().write(true).create(true).truncate(false).open(&fresh)?;
        file.write_all(content)?;
        file.set_len(content.len() as u64)?;
        file.sync_all()?;
        if !path.exists() {
            return rename_durably(&fresh, path);
        }
        match renameat_with(CWD, &fresh, CWD, path, RenameFlags::EXCHANGE) {
            Ok(()) => {
                sync_folder_of(path)?;
                self.keep(&fresh)
            }
            // A file system that does not know how: the old one's block goes with it.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => rename_durably(&fresh, path),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes a file that is not needed any more among the spares, if there is a place.
    fn keep(&self, file: &Path) -> io::Result<()> {
        match self.names().find(|spare| !spare.exists()) {
            Some(place) if self.folder.exists() => std::fs::rename(file, place),
            _ => std::fs::remove_file(file),
        }
    }
}

/// Whether a spare is one: it may have been made when the disk was full, or by a process that was killed meanwhile.
fn has_a_block(spare: &Path) -> bool {
    spare.metadata().is_ok_and(|file| file.blocks() > 0)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_replaced_file_is_the_next_spare() {
        let folder = tempfile::tempdir().unwrap();
        let (spares, path) = (Spares::within(folder.path()), folder.path().join("fences/vm-1"));
        let count = || std::fs::read_dir(folder.path().join("spare")).unwrap().count();
        spares.stock().unwrap();
        spares.write(&path, b"1\n").unwrap();
        assert_eq!((std::fs::read(&path).unwrap(), count()), (b"1\n".to_vec(), SPARES - 1));
        for text in ["22\n", "3\n"] {
            spares.write(&path, text.as_bytes()).unwrap();
            assert_eq!((std::fs::read_to_string(&path).unwrap(), count()), (text.to_owned(), SPARES - 1));
        }
        assert_eq!(std::fs::read_dir(folder.path().join("fences")).unwrap().count(), 1);
        spares.stock().unwrap();
        assert_eq!(count(), SPARES);
    }

    #[test]
    fn a_spare_without_a_block_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let (spares, path) = (Spares::within(folder.path()), folder.path().join("vm-1"));
        std::fs::create_dir(folder.path().join("spare")).unwrap();
        let cut_short = folder.path().join("spare/0");
        File::create(&cut_short).unwrap();
        spares.write(&path, b"1").unwrap();
        assert!(cut_short.exists(), "it was taken for a spare");
        spares.stock().unwrap();
        assert!(spares.names().all(|spare| has_a_block(&spare)));
    }

    #[test]
    fn a_write_cut_short_is_written_anew() {
        let folder = tempfile::tempdir().unwrap();
        let (spares, path) = (Spares::within(folder.path()), folder.path().join("vm-1"));
        spares.write(&path, b"old").unwrap();
        std::fs::write(folder.path().join(format!("vm-1{DIVIDER}new")), b"what a killed one had begun").unwrap();
        spares.write(&path, b"new").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
