//! The processes of this machine, known by what they have open: a number alone may be another's by now.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The ids of all there are.
pub(crate) fn ids() -> impl Iterator<Item = i32> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// Whether a process has this file as its standard input. One that has ended has none.
pub(crate) fn reads_from(id: i32, file: &Metadata) -> bool {
    is(&descriptors(id).join("0"), file)
}

/// The folder a process works in, wherever that is by now. One that has ended, or that we may not look at, has none.
pub(crate) fn works_in(id: i32) -> Option<Metadata> {
    Path::new("/proc").join(id.to_string()).join("cwd").metadata().ok()
}

/// Whether a process has this file open. One that has ended, or that we may not look at, has none.
pub(crate) fn has_open(id: i32, file: &Metadata) -> bool {
    let open = std::fs::read_dir(descriptors(id)).into_iter().flatten().flatten();
    open.into_iter().any(|entry| is(&entry.path(), file))
}

fn descriptors(id: i32) -> PathBuf {
    Path::new("/proc").join(id.to_string()).join("fd")
}

fn is(descriptor: &Path, file: &Metadata) -> bool {
    descriptor.metadata().is_ok_and(|open| (open.dev(), open.ino()) == (file.dev(), file.ino()))
}
