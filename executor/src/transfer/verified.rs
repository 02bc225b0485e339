//! What was read back of a file while its guest ran, so that nobody reads it again while the guest is down.
//!
//! The note lies beside the file. It holds the digest and what the file system said of the file when it was read: any
//! later write, replacement or renaming gives the file another inode, size or time, and a note that differs in one of
//! these counts for nothing. A note can be lost or useless at any moment; then the file is read.

use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use decant_schema::migration::Digest;
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use crate::layout::{verified_note, write_durably};

/// The kernel stamps files with the time of its last tick, 10 ms apart at most (`CONFIG_HZ=100`): two writes within one
/// leave the same time. A file is left alone for twice as long before it is read.
const TICK: Duration = Duration::from_millis(20);

/// A file's content, and when it was that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Verified {
    pub(super) digest: Digest,
    state: State,
}

/// What changes when a file does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    device: u64,
    inode: u64,
    size: u64,
    /// When it was last written to: seconds and nanoseconds.
    written: (i64, i64),
    /// When its inode last changed, which nobody can set back.
    changed: (i64, i64),
}

impl State {
    fn of(path: &Path) -> io::Result<Self> {
        Ok(Self::from(&path.metadata()?))
    }

    /// The same but for a new name, which is a change of the inode.
    fn is_renamed_from(&self, earlier: &Self) -> bool {
        *self == Self { changed: self.changed, ..earlier.clone() }
    }
}

impl From<&Metadata> for State {
    fn from(file: &Metadata) -> Self {
        Self {
            device: file.dev(),
            inode: file.ino(),
            size: file.size(),
            written: (file.mtime(), file.mtime_nsec()),
            changed: (file.ctime(), file.ctime_nsec()),
        }
    }
}

impl Verified {
    /// Reads a file to its end.
    ///
    /// # Errors
    /// As the file system says; `InvalidData` when the file changed meanwhile.
    pub(super) async fn read(path: &Path) -> io::Result<Self> {
        let written = path.metadata()?.modified()?;
        if let Ok(age) = SystemTime::now().duration_since(written)
            && age < TICK
        {
            sleep(TICK - age).await;
        }
        let state = State::of(path)?;
        let digest = digest_of(path).await?;
        if State::of(path)? == state {
            return Ok(Self { digest, state });
        }
        Err(io::Error::new(io::ErrorKind::InvalidData, "it changed while it was read"))
    }

    /// Takes the note beside the file, if there is one and the file is still as it was.
    pub(super) fn noted(path: &Path) -> Option<Self> {
        let text = std::fs::read(verified_note(path)).ok()?;
        let noted: Self = serde_json::from_slice(&text).ok()?;
        State::of(path).is_ok_and(|now| now == noted.state).then_some(noted)
    }

    /// Writes the note, unless the file has changed. It may have been renamed since it was read.
    ///
    /// # Errors
    /// As the file system says.
    pub(super) fn keep_at(self, path: &Path) -> io::Result<()> {
        let state = State::of(path)?;
        if !state.is_renamed_from(&self.state) {
            return Ok(());
        }
        write_durably(&verified_note(path), &serde_json::to_vec(&Self { state, ..self })?)
    }
}

/// Reads a file to its end, whatever happens to it meanwhile.
pub(super) async fn digest_of(path: &Path) -> io::Result<Digest> {
    let path = path.to_owned();
    let read = move || {
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(File::open(path)?)?;
        Ok(Digest::of(&hasher.finalize()))
    };
    tokio::task::spawn_blocking(read).await.map_err(io::Error::other)?
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::layout::rename_durably;
    use std::os::unix::fs::FileExt;
    use std::path::PathBuf;

    async fn a_noted_file(folder: &Path) -> PathBuf {
        let (part, path) = (folder.join("base.part"), folder.join("base"));
        std::fs::write(&part, b"content").unwrap();
        let read = Verified::read(&part).await.unwrap();
        rename_durably(&part, &path).unwrap();
        read.keep_at(&path).unwrap();
        path
    }

    #[tokio::test]
    async fn a_note_counts_for_the_file_that_was_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = a_noted_file(folder.path()).await;
        assert_eq!(Verified::noted(&path).unwrap().digest, digest_of(&path).await.unwrap());
    }

    #[tokio::test]
    async fn a_note_survives_no_write_even_one_that_hides_its_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = a_noted_file(folder.path()).await;
        let file = File::options().write(true).open(&path).unwrap();
        let times = file.metadata().unwrap();
        file.write_all_at(b"C", 0).unwrap();
        file.set_modified(times.modified().unwrap()).unwrap();
        assert_eq!(file.metadata().unwrap().modified().unwrap(), times.modified().unwrap());
        assert_eq!(Verified::noted(&path), None);
    }

    #[tokio::test]
    async fn a_note_survives_no_other_file_under_the_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = a_noted_file(folder.path()).await;
        let other = folder.path().join("other");
        std::fs::copy(&path, &other).unwrap();
        rename_durably(&other, &path).unwrap();
        assert_eq!(Verified::noted(&path), None);
    }

    #[tokio::test]
    async fn a_file_that_was_written_to_after_it_was_read_gets_no_note() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("base");
        std::fs::write(&path, b"content").unwrap();
        let read = Verified::read(&path).await.unwrap();
        std::fs::write(&path, b"another").unwrap();
        read.keep_at(&path).unwrap();
        assert_eq!(Verified::noted(&path), None);
    }

    #[tokio::test]
    async fn a_garbled_note_counts_for_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = a_noted_file(folder.path()).await;
        std::fs::write(verified_note(&path), b"{").unwrap();
        assert_eq!(Verified::noted(&path), None);
    }
}
