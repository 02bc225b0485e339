//! A storage of its own for a host: a file system in a file, so that it can be full while the machine is not.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::{FallocateFlags, fallocate, statvfs};

/// The file that takes the room.
const FILLER: &str = "filler";

/// Bytes of one write of the last ones: a file system's smallest unit is no smaller.
const LAST: usize = 512;

/// An ext4 mounted on a folder; unmounted when dropped.
#[derive(Debug)]
pub struct Storage(PathBuf);

impl Drop for Storage {
    fn drop(&mut self) {
        // Lazily: whatever still has a file open there ends with its processes. Nobody is left to be told of a failure.
        let _unmounted = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

impl Storage {
    /// Mounts an ext4 of so many MiB, kept in the new file `image`, on `folder`. Needs root and a loop device.
    ///
    /// # Errors
    /// What the file system, `mkfs.ext4` or `mount` say.
    pub fn ext4(folder: &Path, image: &Path, mebibytes: u64) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        File::create(image)?.set_len(mebibytes << 20)?;
        run(Command::new("mkfs.ext4").args(["-q", "-F", "-m", "0"]).arg(image))?;
        run(Command::new("mount").args(["-o", "loop"]).args([image, folder]))?;
        Ok(Self(folder.to_owned()))
    }

    /// Takes all the room but for so many MiB; with 0, to the last byte.
    ///
    /// # Errors
    /// What the file system says, but for that there is no room.
    pub fn fill(&self, but_mebibytes: u64) -> io::Result<()> {
        let mut file = File::options().create(true).append(true).open(self.0.join(FILLER))?;
        let storage = statvfs(&self.0)?;
        let free = storage.f_bavail * storage.f_frsize;
        let taken = fallocate(&file, FallocateFlags::empty(), 0, free.saturating_sub(but_mebibytes << 20));
        if but_mebibytes > 0 {
            return Ok(taken?);
        }
        // The last blocks one by one: how many a file system still gives cannot be known beforehand.
        while file.write_all(&[1; LAST]).and_then(|()| file.sync_data()).is_ok() {}
        Ok(())
    }

    /// Gives back what [`Storage::fill`] took.
    ///
    /// # Errors
    /// What the file system says.
    pub fn give_back(&self) -> io::Result<()> {
        std::fs::remove_file(self.0.join(FILLER))
    }
}

fn run(command: &mut Command) -> io::Result<()> {
    let output = command.output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(io::Error::other(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
}
