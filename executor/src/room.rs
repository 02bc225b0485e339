//! How much of a storage a copy may take: never so much that the guests there cannot write any more.

use std::io;
use std::path::Path;

use decant_schema::units::mib;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_not_taken() {
        let room = Room { free: 100 << 20, reserve: 30 << 20 };
        assert_eq!(room.holds(70 << 20), Ok(()));
        let refused = "71 MiB are needed, 100 MiB are free, of which 30 MiB are kept for the guests there";
        assert_eq!(room.holds(71 << 20), Err(refused.to_owned()));
        assert_eq!(Room { free: 1, reserve: 2 }.to_take(), 0);
    }
}
