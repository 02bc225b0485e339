//! The bytes of a document, from a file or from standard input.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::unpack::UNPACKED_BYTES_MAX;

/// Why the bytes of a document could not be had.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// There is no such file: a slip of the caller.
    #[error("{} does not exist", path.display())]
    Missing {
        /// The path given.
        path: PathBuf,
    },
    /// It is a folder: a slip of the caller.
    #[error("{} is a folder, not a file", path.display())]
    Folder {
        /// The path given.
        path: PathBuf,
    },
    /// It is larger than any document.
    #[error("{} is larger than {} MiB, more than any document", path.display(), UNPACKED_BYTES_MAX >> 20)]
    TooLarge {
        /// The path given.
        path: PathBuf,
    },
    /// The environment failed.
    #[error("{} cannot be read", path.display())]
    Io {
        /// The path given.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

impl LoadError {
    /// Whether the caller's input is wrong, as opposed to the environment.
    pub fn is_input(&self) -> bool {
        !matches!(self, Self::Io { .. })
    }
}

/// Reads a file, or standard input where the path is `-`.
pub fn load(path: &Path) -> Result<Vec<u8>, LoadError> {
    if path.as_os_str() == "-" {
        return read(Path::new("standard input"), io::stdin().lock());
    }
    let file = File::open(path).map_err(|source| failure(path, source))?;
    if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
        return Err(LoadError::Folder { path: path.to_owned() });
    }
    read(path, file)
}

fn read(path: &Path, input: impl Read) -> Result<Vec<u8>, LoadError> {
    let mut bytes = Vec::new();
    input.take(UNPACKED_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|source| failure(path, source))?;
    if bytes.len() as u64 > UNPACKED_BYTES_MAX {
        return Err(LoadError::TooLarge { path: path.to_owned() });
    }
    Ok(bytes)
}

fn failure(path: &Path, source: io::Error) -> LoadError {
    let path = path.to_owned();
    match source.kind() {
        io::ErrorKind::NotFound => LoadError::Missing { path },
        _ => LoadError::Io { path, source },
    }
}
