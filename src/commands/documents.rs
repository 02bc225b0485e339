//! Reading what a command is given: a file or standard input.

use std::fs;
use std::io;
use std::path::Path;

use crate::error::Failure;

/// The text of a small file; `-` is standard input.
pub(crate) fn text(path: &Path) -> Result<String, Failure> {
    let read = if path == Path::new("-") { io::read_to_string(io::stdin()) } else { fs::read_to_string(path) };
    read.map_err(|error| unreadable(path, &error))
}

/// A file that cannot be read is wrong input: the person named it.
fn unreadable(path: &Path, error: &io::Error) -> Failure {
    Failure::input(
        path.display().to_string(),
        format!("cannot be read: {error}"),
        "name a file that can be read, or - for standard input",
    )
}
