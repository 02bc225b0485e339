//! The files a copy consists of, and how two of them are compared.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A file an instance's copy consists of. Written as a word: `base`, `overlay`, `memory`, `machine`; what is of a disk other
/// than the first, with that one's number: `base-2`; a layer between the two with its own: `overlay.1`, `overlay-2.1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum DiskFile {
    /// The frozen part of a disk.
    Base(DiskNumber),
    /// What it wrote to a disk after that one's base was frozen, and that was frozen in its turn; the lower, the older.
    Layer(DiskNumber, LayerNumber),
    /// What it wrote to a disk since that one's base, or the last layer above it, was frozen.
    Overlay(DiskNumber),
    /// Its memory, where it was suspended.
    Memory,
    /// What machine it is.
    Machine,
}

impl DiskFile {
    /// The frozen part of the first disk.
    pub const BASE: Self = Self::Base(DiskNumber::FIRST);
    /// What it wrote to the first disk since.
    pub const OVERLAY: Self = Self::Overlay(DiskNumber::FIRST);
}

impl fmt::Display for DiskFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Base(disk) => f.pad(&disk.naming("base")),
            Self::Layer(disk, layer) => f.pad(&format!("{}.{}", disk.naming("overlay"), layer.0)),
            Self::Overlay(disk) => f.pad(&disk.naming("overlay")),
            Self::Memory => f.pad("memory"),
            Self::Machine => f.pad("machine"),
        }
    }
}

impl From<DiskFile> for String {
    fn from(file: DiskFile) -> Self {
        file.to_string()
    }
}

/// A word that names no file of a copy.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "`{0}` is no file of a copy: write base, overlay, memory or machine, base-2 for that of the second disk, overlay.1 for \
     its first layer"
)]
pub struct NoDiskFile(String);

impl TryFrom<String> for DiskFile {
    type Error = NoDiskFile;

    fn try_from(word: String) -> Result<Self, NoDiskFile> {
        let (whole, layer) = match word.split_once('.') {
            None => (word.as_str(), None),
            Some((whole, number)) => (whole, number.parse().ok().and_then(LayerNumber::new)),
        };
        let (name, disk) = match whole.split_once('-') {
            None => (whole, Some(DiskNumber::FIRST)),
            Some((name, number)) => (name, number.parse().ok().and_then(DiskNumber::new)),
        };
        let file = match (name, disk) {
            ("base", Some(disk)) => Self::Base(disk),
            ("overlay", Some(disk)) => layer.map_or(Self::Overlay(disk), |layer| Self::Layer(disk, layer)),
            ("memory", _) => Self::Memory,
            ("machine", _) => Self::Machine,
            _ => return Err(NoDiskFile(word)),
        };
        // One way to write each.
        if file.to_string() == word { Ok(file) } else { Err(NoDiskFile(word)) }
    }
}

impl JsonSchema for DiskFile {
    fn schema_name() -> Cow<'static, str> {
        "DiskFile".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "A file an instance's copy consists of; what is of a disk other than the first, with its number.",
            "type": "string",
            "pattern": "^(base(-([2-9]|1[0-9]|2[0-4]))?|overlay(-([2-9]|1[0-9]|2[0-4]))?(\\.[1-8])?|memory|machine)$"
        })
    }
}

/// A disk of a guest, in the order in which it finds them: 1 to 24.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DiskNumber(u8);

impl DiskNumber {
    /// The one a guest starts from.
    pub const FIRST: Self = Self(1);

    /// How many there may be.
    pub const MAX: u8 = 24;

    /// The disk of this number; none where there is none of it.
    pub fn new(number: u8) -> Option<Self> {
        (1..=Self::MAX).contains(&number).then_some(Self(number))
    }

    /// The first so many disks; no more than there may be.
    pub fn all(count: usize) -> impl DoubleEndedIterator<Item = Self> + Clone {
        let last = u8::try_from(count).unwrap_or(Self::MAX).min(Self::MAX);
        (1..=last).map(Self)
    }

    /// A word for something of this disk: of the first the word itself, of others with its number.
    pub fn naming(self, word: &str) -> String {
        if self == Self::FIRST { word.to_owned() } else { format!("{word}-{}", self.0) }
    }
}

/// A frozen layer between a disk's base and its overlay, counted from the base: 1 to 8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LayerNumber(u8);

impl LayerNumber {
    /// How many there may be.
    pub const MAX: u8 = 8;

    /// The layer of this number; none where there is none of it.
    pub fn new(number: u8) -> Option<Self> {
        (1..=Self::MAX).contains(&number).then_some(Self(number))
    }

    /// All there may be, the lowest first.
    pub fn all() -> impl DoubleEndedIterator<Item = Self> + Clone {
        (1..=Self::MAX).map(Self)
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

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_file_reads_as_it_was_written_and_there_is_one_way_to_write_it() {
        let second = DiskNumber::new(2).unwrap();
        let words = [
            (DiskFile::BASE, "base"),
            (DiskFile::Overlay(second), "overlay-2"),
            (DiskFile::Layer(DiskNumber::FIRST, LayerNumber::new(1).unwrap()), "overlay.1"),
            (DiskFile::Layer(second, LayerNumber::new(8).unwrap()), "overlay-2.8"),
            (DiskFile::Memory, "memory"),
            (DiskFile::Machine, "machine"),
        ];
        let manifest: Manifest = words.iter().map(|(file, _)| (*file, Digest::of(&blake3::hash(b"")))).collect();
        let text = serde_json::to_string(&manifest).unwrap();
        for (file, word) in words {
            assert_eq!(DiskFile::try_from(word.to_owned()), Ok(file));
            assert!(text.contains(&format!("\"{word}\":")), "{text}");
        }
        assert_eq!(serde_json::from_str::<Manifest>(&text).unwrap(), manifest);
        let numbers = ["base-", "base-0", "base-1", "base-02", "base-25", "memory-2", "machine-1"];
        let layers = ["base.1", "overlay.", "overlay.0", "overlay.01", "overlay.9", "overlay.1-2", "memory.1"];
        for word in [&numbers[..], &layers, &["", "../base", "Base"]].concat() {
            assert_eq!(DiskFile::try_from(word.to_owned()), Err(NoDiskFile(word.to_owned())), "{word}");
        }
        assert_eq!(DiskNumber::all(500).count(), usize::from(DiskNumber::MAX));
    }
}
