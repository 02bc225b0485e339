//! The hosts, as far as the protocol can tell them apart: what lies there, what runs, what was obeyed.

use std::collections::BTreeSet;
use std::sync::Arc;

use decant_executor::agent::decide::Effect;
use decant_executor::hypervisor::{Copy, CopyFacts, Discard, Ending, GuestSize, Health, Held};
use decant_schema::migration::{Digest, DiskFile, Generation, Manifest, Report};

use crate::world::Stored;

/// What a file contains that was damaged on its way.
const DAMAGED: u8 = 99;

/// What lies on one host of the instance. The content of a disk is the number of the last write in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Host {
    /// The last order obeyed.
    pub(crate) fence: Generation,
    /// The last migration for which the instance has executed here.
    pub(crate) executed: Generation,
    pub(crate) base: Option<u8>,
    pub(crate) overlay: Option<Overlay>,
    /// What the disk contained when this memory was saved.
    pub(crate) memory: Option<u8>,
    pub(crate) guest: Option<Guest>,
    /// Nothing more can be written here.
    pub(crate) full: bool,
    pub(crate) agents: Vec<Option<Task>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Overlay {
    pub(crate) owner: Generation,
    pub(crate) backing: u8,
    pub(crate) last: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Guest {
    pub(crate) size: GuestSize,
    pub(crate) running: bool,
    /// The migration that froze or built it.
    pub(crate) mark: Generation,
    /// Nobody here made it.
    pub(crate) foreign: bool,
}

/// What an agent is doing: what is left of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Task {
    pub(crate) order: Arc<Stored>,
    pub(crate) effects: Vec<Effect>,
    pub(crate) report: Report,
    pub(crate) copied: Manifest,
}

/// What an effect ran into.
pub(crate) struct Undone;

impl Host {
    /// The last write on the disk; none if it is no disk.
    pub(crate) fn content(&self) -> Option<u8> {
        match (self.base, self.overlay) {
            (base, None) => base,
            (Some(base), Some(overlay)) if overlay.backing == base => Some(overlay.last),
            (_, Some(_)) => None,
        }
    }

    /// Whether there is a copy that could run.
    pub(crate) fn is_complete(&self) -> bool {
        self.content().is_some_and(|content| content != DAMAGED) && self.guest.is_none_or(|guest| !guest.foreign)
    }

    pub(crate) fn runs(&self) -> bool {
        self.guest.is_some_and(|guest| guest.running && !guest.foreign)
    }

    pub(crate) fn held(&self) -> Held {
        let copy = match self.guest {
            None if self.base.is_none() && self.overlay.is_none() && self.memory.is_none() => Copy::Nothing,
            None => Copy::Incoming,
            Some(Guest { size, running, mark, .. }) => {
                let (frozen, memory) = (self.overlay.is_some(), self.memory.is_some());
                let (ended, mute) = (Ending::Unknown, false);
                let facts = CopyFacts { size, disks: 1, frozen, memory, mark, ended, mute };
                if running { Copy::Running(facts) } else { Copy::Stopped(facts) }
            }
        };
        Held { fence: self.fence, executed: self.executed, copy }
    }

    pub(crate) fn health(&self) -> Health {
        let runs = self.guest.is_some_and(|guest| guest.running);
        Health {
            disk: self.content().is_none().then(|| "it is not complete".to_owned()),
            guest: (!runs).then(|| "it is down".to_owned()),
            heartbeat: None,
        }
    }

    pub(crate) fn write(&mut self, number: u8) {
        match &mut self.overlay {
            Some(overlay) => overlay.last = number,
            None => self.base = Some(number),
        }
    }

    pub(crate) fn lose_power(&mut self) {
        if let Some(guest) = &mut self.guest {
            guest.running = false;
        }
        self.agents.iter_mut().for_each(|agent| *agent = None);
    }

    pub(crate) fn digest(&self, file: DiskFile) -> Option<Digest> {
        let text = match file {
            DiskFile::Base(_) => format!("base {}", self.base?),
            // All that is frozen above a base is one with its overlay.
            DiskFile::Layer(..) => return None,
            DiskFile::Overlay(_) => {
                self.overlay.map(|overlay| format!("overlay {} {}", overlay.backing, overlay.last))?
            }
            DiskFile::Memory => format!("memory {}", self.memory?),
            // Every guest is the same machine.
            DiskFile::Machine => "machine".to_owned(),
        };
        Some(Digest::of(&blake3::hash(text.as_bytes())))
    }

    /// Takes one file in from another host.
    pub(crate) fn receive(&mut self, file: DiskFile, from: &Self, damaged: bool) -> Result<(), Undone> {
        if self.full || self.guest.is_some() {
            return Err(Undone);
        }
        match file {
            DiskFile::Base(_) => self.base = if damaged { Some(DAMAGED) } else { from.base },
            DiskFile::Overlay(_) => {
                self.overlay = from.overlay;
                if let (true, Some(overlay)) = (damaged, &mut self.overlay) {
                    overlay.last = DAMAGED;
                }
            }
            DiskFile::Memory => self.memory = if damaged { Some(DAMAGED) } else { from.memory },
            DiskFile::Layer(..) | DiskFile::Machine => {}
        }
        Ok(())
    }

    fn merge(&mut self) {
        if let Some(overlay) = self.overlay.take() {
            self.base = Some(overlay.last);
        }
    }

    fn defined(&mut self) -> Result<&mut Guest, Undone> {
        self.guest.as_mut().ok_or(Undone)
    }

    /// Everything but copying and starting, which concern more than this host.
    pub(crate) fn have(&mut self, effect: Effect, begun: Generation, manifest: &Manifest) -> Result<(), Undone> {
        match effect {
            Effect::Freeze(owner) => self.freeze(owner),
            Effect::Shutdown => self.defined().map(|guest| guest.running = false),
            Effect::Suspend => self.suspend(),
            Effect::Verify => self.verify(manifest),
            Effect::ForgetMemory => self.unless_running().map(|()| self.memory = None),
            Effect::Create(size) => self.create(size, begun),
            Effect::Merge => self.defined().map(drop).map(|()| self.merge()),
            Effect::Destroy(discard) => {
                self.destroy(discard);
                Ok(())
            }
            Effect::Copy(_) | Effect::Start(_) => Ok(()),
        }
    }

    fn unless_running(&self) -> Result<(), Undone> {
        if self.guest.is_some_and(|guest| guest.running) { Err(Undone) } else { Ok(()) }
    }

    fn freeze(&mut self, owner: Generation) -> Result<(), Undone> {
        self.defined()?.mark = owner;
        if self.overlay.is_some_and(|overlay| overlay.owner == owner) {
            return Ok(());
        }
        if self.full {
            return Err(Undone);
        }
        self.merge();
        self.overlay = self.base.map(|base| Overlay { owner, backing: base, last: base });
        Ok(())
    }

    fn suspend(&mut self) -> Result<(), Undone> {
        let content = self.content();
        if self.defined()?.running {
            if self.full {
                return Err(Undone);
            }
            self.memory = content;
            self.defined()?.running = false;
        }
        if self.memory.is_some() { Ok(()) } else { Err(Undone) }
    }

    fn verify(&self, manifest: &Manifest) -> Result<(), Undone> {
        let fits = manifest.iter().all(|(file, sent)| self.digest(*file).as_ref() == Some(sent));
        if fits { Ok(()) } else { Err(Undone) }
    }

    fn create(&mut self, size: GuestSize, mark: Generation) -> Result<(), Undone> {
        self.unless_running()?;
        if self.full || self.content().is_none() {
            return Err(Undone);
        }
        self.guest = Some(Guest { size, running: false, mark, foreign: false });
        Ok(())
    }

    fn destroy(&mut self, _: Discard) {
        (self.base, self.overlay, self.memory, self.guest) = (None, None, None, None);
    }

    /// Removed by hand.
    pub(crate) fn lose_files(&mut self) {
        (self.base, self.overlay, self.memory) = (None, None, None);
        if let Some(guest) = &mut self.guest {
            guest.running = false;
        }
    }
}

/// What was said of a migration, by whom, answering to what.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Said {
    pub(crate) host: usize,
    pub(crate) order: Arc<Stored>,
    pub(crate) report: Report,
}

pub(crate) type Reports = BTreeSet<Said>;
