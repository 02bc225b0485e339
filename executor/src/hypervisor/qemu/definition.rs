//! What makes the files of a copy an instance: its size, kept beside them, and what machine it is.
//!
//! The size is the record's and is written here; the machine is a document of its own, which travels with the disks
//! ([`super::machine`]). A definition of format 1 had none: its guest is the machine every guest was then.

use std::io;

use decant_schema::migration::{DiskFile, DiskNumber, Generation};
use decant_schema::units::mib;
use serde::{Deserialize, Serialize};

use crate::hypervisor::{CopyFacts, Ending, GuestSize};
use crate::layout::CopyFolder;

const NAME: &str = "definition.json";

/// The format that is written. It says that a machine lies beside it, which a reader of format 1 would not look for.
const FORMAT: u32 = 2;

/// The formats that are read.
const KNOWN: std::ops::RangeInclusive<u32> = 1..=FORMAT;

/// The stored definition; `format` guards against a reader of another age.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Definition {
    format: u32,
    pub(super) memory_mb: u64,
    pub(super) vcpus: u64,
    /// How many disks it has.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    disks: usize,
    /// The beginning of the migration whose snapshot the overlay is, or that built the copy here.
    pub(super) snapshot: Option<Generation>,
}

/// What every guest had before it could have more.
fn one() -> usize {
    1
}

fn is_one(disks: &usize) -> bool {
    *disks == one()
}

impl Definition {
    /// An instance of this size and so many disks, with the mark of the last migration here.
    pub(super) fn of(size: GuestSize, disks: usize, snapshot: Option<Generation>) -> Self {
        Self { format: FORMAT, memory_mb: size.memory.count(), vcpus: size.vcpus, disks, snapshot }
    }

    /// Its disks.
    pub(super) fn disks(&self) -> impl DoubleEndedIterator<Item = DiskNumber> + Clone + use<> {
        DiskNumber::all(self.disks)
    }

    /// Reads the definition of a copy; `None` when its files are not an instance yet.
    pub(super) fn read(copy: &CopyFolder) -> io::Result<Option<Self>> {
        let text = match std::fs::read(copy.join(NAME)) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let definition: Self = serde_json::from_slice(&text)?;
        if !KNOWN.contains(&definition.format) {
            let reason = format!("{NAME} has format {}, this decant reads {FORMAT} and older", definition.format);
            return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
        }
        Ok(Some(definition))
    }

    /// The disks of a copy; what is not defined is to have one at least.
    pub(super) fn disks_of(copy: &CopyFolder) -> io::Result<impl Iterator<Item = DiskNumber>> {
        Ok(DiskNumber::all(Self::read(copy)?.map_or_else(one, |definition| definition.disks)))
    }

    /// Whether it was written before guests had machines of their own.
    pub(super) fn knows_no_machine(&self) -> bool {
        self.format < 2
    }

    /// Whether there is one, readable or not.
    pub(super) fn is_in(copy: &CopyFolder) -> bool {
        copy.join(NAME).exists()
    }

    /// Writes it, for the machine that lies beside it, so that a crash leaves the old or the new one.
    pub(super) fn write(&self, copy: &CopyFolder) -> io::Result<()> {
        // An undo writes it on a disk that may be full.
        copy.spares().write(&copy.join(NAME), &serde_json::to_vec(&Self { format: FORMAT, ..*self })?)
    }

    /// Takes the definition away: what is left are files.
    pub(super) fn remove(copy: &CopyFolder) -> io::Result<()> {
        crate::layout::remove_durably(&copy.join(NAME))
    }

    /// The copy as its files show it.
    pub(super) fn facts(&self, copy: &CopyFolder) -> CopyFacts {
        CopyFacts {
            size: GuestSize { memory: mib(self.memory_mb), vcpus: self.vcpus },
            disks: self.disks().count(),
            frozen: self.disks().all(|disk| copy.file(DiskFile::Overlay(disk)).exists()),
            memory: copy.file(DiskFile::Memory).exists(),
            mark: self.snapshot.unwrap_or_default(),
            ended: Ending::default(),
            mute: false,
        }
    }
}
