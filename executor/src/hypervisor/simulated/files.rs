//! What a simulated disk contains: the number of the last write in it.

use std::collections::BTreeMap;

use decant_schema::migration::{Digest, DiskFile, Generation};

/// A disk, as far as it is complete.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Files {
    /// The last write in the base.
    pub(super) base: Option<u64>,
    /// The overlay, if the base is frozen.
    pub(super) overlay: Option<Overlay>,
    /// The last write the saved memory knows of.
    pub(super) memory: Option<u64>,
}

/// An overlay: useless without the base it was made on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Overlay {
    /// The migration that made it.
    pub(super) owner: Generation,
    /// The last write in its base.
    pub(super) backing: u64,
    /// The last write in it.
    pub(super) last: u64,
}

impl Files {
    /// The last write on the disk; none if it is not a disk.
    pub(super) fn content(&self) -> Option<u64> {
        match (self.base, self.overlay) {
            (base, None) => base,
            (Some(base), Some(overlay)) if overlay.backing == base => Some(overlay.last),
            (_, Some(_)) => None,
        }
    }

    /// Takes a write.
    pub(super) fn write(&mut self, number: u64) {
        match &mut self.overlay {
            Some(overlay) => overlay.last = number,
            None => self.base = Some(number),
        }
    }

    /// Freezes the base; an older migration's overlay is merged first.
    pub(super) fn freeze(&mut self, owner: Generation) {
        if self.overlay.is_some_and(|overlay| overlay.owner == owner) {
            return;
        }
        self.merge();
        self.overlay = self.base.map(|base| Overlay { owner, backing: base, last: base });
    }

    pub(super) fn merge(&mut self) {
        if let Some(overlay) = self.overlay.take() {
            self.base = Some(overlay.last);
        }
    }

    /// A file's content in short.
    pub(super) fn digest(&self, file: DiskFile) -> Option<Digest> {
        let text = match file {
            DiskFile::Base(_) => format!("base {}", self.base?),
            // Its overlay is one file.
            DiskFile::Layer(..) => return None,
            DiskFile::Overlay(_) => format!("overlay {:?}", self.overlay?),
            DiskFile::Memory => format!("memory {}", self.memory?),
            // Every simulated guest is the same machine.
            DiskFile::Machine => "machine".to_owned(),
        };
        Some(Digest::of(&blake3::hash(text.as_bytes())))
    }

    /// Takes over one file of another disk.
    pub(super) fn receive(&mut self, file: DiskFile, from: &Self) {
        match file {
            DiskFile::Base(_) => self.base = from.base,
            DiskFile::Overlay(_) => self.overlay = from.overlay,
            DiskFile::Memory => self.memory = from.memory,
            DiskFile::Layer(..) | DiskFile::Machine => {}
        }
    }
}

/// The last write each guest saw acknowledged.
pub(super) type Ledger<K> = BTreeMap<K, u64>;
