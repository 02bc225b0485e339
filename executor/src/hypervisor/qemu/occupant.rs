//! Who else has a disk image open. A guest that somebody else started holds no lock of ours, but QEMU and its tools lock
//! every image they use, whoever started them.

use std::fs::File;
use std::io;
use std::path::Path;

use rustix::process::{Flock, FlockType, fcntl_getlk};
use thiserror::Error;

use crate::processes;

/// Where QEMU's locks on an image lie: one byte for each permission a user has, from 100 on, and one for each it lets
/// nobody else have, from 200 on (`RAW_LOCK_PERM_BASE` and `RAW_LOCK_SHARED_BASE` in its block/file-posix.c).
const LOCKED_FROM: u64 = 100;

/// Both ranges, of 64 permissions at most each, and what lies between.
const LOCKED_BYTES: u64 = 164;

/// A program that has an image open.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("use {image}: {user} has it open, and it was not started here; stop that one first")]
pub struct Occupied {
    /// The image's name in its folder.
    image: String,
    /// Which program, as well as it can be told.
    user: String,
}

/// Fails where any of these images, as far as they exist, is locked by a QEMU or one of its tools.
///
/// # Errors
/// As the file system says; the inner error names the first image in use.
pub(crate) fn are_free<'a>(images: impl IntoIterator<Item = &'a Path>) -> io::Result<Result<(), Occupied>> {
    for image in images {
        if is_locked(image)? {
            let name = image.file_name().unwrap_or(image.as_os_str()).to_string_lossy().into_owned();
            return Ok(Err(Occupied { image: name, user: user_of(image) }));
        }
    }
    Ok(Ok(()))
}

fn is_locked(image: &Path) -> io::Result<bool> {
    let file = match File::open(image) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(error),
    };
    // Asked for the strongest lock, the kernel names any that is in its way; none is taken.
    let asked = Flock { start: LOCKED_FROM, length: LOCKED_BYTES, ..FlockType::WriteLock.into() };
    Ok(fcntl_getlk(&file, &asked)?.is_some())
}

/// The first process that has the file open, by name and id.
fn user_of(image: &Path) -> String {
    let unknown = || "a process that cannot be seen from here".to_owned();
    let Ok(wanted) = std::fs::metadata(image) else { return unknown() };
    let others = processes::ids().filter(|id| id.unsigned_abs() != std::process::id());
    others.into_iter().find(|id| processes::has_open(*id, &wanted)).map_or_else(unknown, |id| {
        let name = std::fs::read_to_string(format!("/proc/{id}/comm")).unwrap_or_default();
        format!("{} (process {id})", name.trim())
    })
}
