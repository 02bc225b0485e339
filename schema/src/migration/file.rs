//! The files a copy consists of, and how two of them are compared.

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A file an instance's copy consists of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DiskFile {
    /// The frozen part of its disk.
    Base,
    /// What it wrote since the base was frozen.
    Overlay,
    /// Its memory, where it was suspended.
    Memory,
    /// What machine it is.
    Machine,
}

impl fmt::Display for DiskFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Base => "base",
            Self::Overlay => "overlay",
            Self::Memory => "memory",
            Self::Machine => "machine",
        })
    }
}

/// A file's content in short: its BLAKE3 hash, written `blake3:` and 64 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Digest(String);

impl Digest {
    /// The digest of a finished hash.
    pub fn of(hash: &blake3::Hash) -> Self {
        Self(format!("blake3:{}", hash.to_hex()))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The files of a copy and what each must contain.
pub type Manifest = BTreeMap<DiskFile, Digest>;
