//! Real QEMU: one process a guest, spoken to over its machine protocol, its files in the host's folder.
//!
//! Nothing is remembered. Every call looks at the lock, the process and the files ([`process::look`]) and goes on from
//! there, so a call cut short is finished by the same call made again, by whichever agent makes it. While a guest is
//! down the caller holds its lock, so neither a second QEMU nor a second tool can come between.

mod accelerator;
mod agent;
mod anatomy;
mod confine;
mod definition;
mod ending;
mod executed;
mod guest;
mod health;
mod image;
mod import;
pub(crate) mod lock;
mod machine;
mod mute;
pub(crate) mod occupant;
pub mod probe;
mod process;
mod qmp;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod scripted;
mod size;
mod stack;

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use async_trait::async_trait;
use decant_schema::finding::Finding;
use decant_schema::fleet::Heartbeat;
use decant_schema::id::InstanceId;
use decant_schema::migration::{DiskFile, DiskNumber, Generation, Patience};
use decant_schema::plan::MoveMode;
use serde_json::json;
use thiserror::Error;
use tokio::time::timeout;

pub use self::accelerator::{Accelerator, runs_by_kvm};
pub use self::agent::CHANNEL as AGENT_CHANNEL;
pub use self::import::{Image, ImageFormat};

use self::anatomy::Uncarried;
use self::confine::User;
use self::definition::Definition;
use self::guest::Activity;
use self::lock::CopyLock;
use self::mute::Mute;
use self::occupant::Occupied;
use self::process::{Presence, look};
use self::qmp::{Qmp, QmpError};
use super::{
    AdoptError, Copy, CopyFacts, Discard, Disk, DiskSize, Ending, Fenced, GuestSpec, Health, Held, Hypervisor,
    HypervisorError, Unsupported,
};
use crate::discarded::{Why, put_aside};
use crate::layout::{CopyFolder, HostFolder, remove_durably, remove_folder_durably, write_durably};
use crate::mark::Claimant;
use crate::room::{BLOCK, end_promise};
use crate::tool::MissingTool;

const DRIVER: &str = "qemu";

/// How long an order waits for another's effect to end: a work that was replaced lets go at once, so what takes longer
/// is another agent's, and the order is given again when its lease ends.
const ORDER_PATIENCE: Duration = Duration::from_secs(2);

/// How long a guest may take to say whether it is halted, when the host has room again. One that hangs is not waited for: others
/// are next.
const WAKE_MAX: Duration = Duration::from_secs(1);

/// How much QEMU is asked to write in one go (bytes): it answers nobody meanwhile.
const WRITTEN_AT_ONCE: u64 = 16 << 20;

/// The programs of a host and how its guests are run.
#[derive(Clone, Debug)]
pub struct Tools {
    /// The emulator, a name on `PATH` or a path.
    pub qemu: PathBuf,
    /// The image tool.
    pub qemu_img: PathBuf,
    /// How processors are provided.
    pub accelerator: Accelerator,
}

impl Default for Tools {
    fn default() -> Self {
        Self { qemu: "qemu-system-x86_64".into(), qemu_img: "qemu-img".into(), accelerator: Accelerator::default() }
    }
}

/// The driver of one host.
#[derive(Clone, Debug)]
pub struct Qemu {
    host: HostFolder,
    tools: Tools,
}

impl Qemu {
    /// A driver for the copies in this folder.
    pub fn new(host: HostFolder, tools: Tools) -> Self {
        Self { host, tools }
    }

    fn copy(&self, instance: &InstanceId) -> Result<CopyFolder, Fault> {
        Ok(self.host.copy(instance)?)
    }

    async fn take_snapshot(&self, instance: &InstanceId, generation: Generation) -> Result<(), Fault> {
        let copy = self.copy(instance)?;
        let mut definition = Definition::read(&copy)?.ok_or(Fault::Absent)?;
        let housed = machine::read(&copy, Some(&definition))?;
        if definition.snapshot != Some(generation) {
            can_be_moved(&copy).await?;
            self.are_whole(&copy, housed.disks()).await?;
            if housed.disks().any(|disk| copy.file(DiskFile::Overlay(disk)).exists()) {
                self.merge(&copy, housed.disks()).await?;
            }
        }
        definition.snapshot = Some(generation);
        machine::write_unless_there(&copy, &housed.machine)?;
        definition.write(&copy)?;
        match look(&copy).await? {
            Presence::Down(lock) => {
                for disk in housed.disks().filter(|disk| !copy.file(DiskFile::Overlay(*disk)).exists()) {
                    stack::forget_frozen(&copy, disk)?;
                    self.add_overlay(&copy, disk, lock.share()?).await?;
                }
                Ok(())
            }
            Presence::Up(mut qmp) => {
                if qmp.activity().await? == Activity::DiskError {
                    guest::go_on(&mut qmp, &copy).await?;
                }
                for disk in housed.disks().filter(|disk| !copy.file(DiskFile::Overlay(*disk)).exists()) {
                    stack::forget_frozen(&copy, disk)?;
                    // The running guest holds the copy's lock; making a new file beside its disk needs none.
                    self.add_overlay(&copy, disk, Stdio::null()).await?;
                }
                guest::switch_to_overlays(&mut qmp, &copy).await
            }
        }
    }

    /// Fails where one of its disks is not all in its file.
    async fn are_whole(&self, copy: &CopyFolder, disks: impl Iterator<Item = DiskNumber>) -> Result<(), Fault> {
        for disk in disks {
            anatomy::is_whole(&self.tools, copy, disk).await?;
        }
        Ok(())
    }

    /// Puts an empty overlay on top of a disk, if there may be one more.
    async fn add_overlay(&self, copy: &CopyFolder, disk: DiskNumber, lock: Stdio) -> Result<(), Fault> {
        let Some((layer, below)) = stack::next(copy, disk)? else { return Ok(()) };
        image::create_layer(&self.tools, lock, copy, layer, below).await?;
        // The QEMU that is to write to it is not ours where it runs as its own user.
        if let Some(user) = User::of(copy)? {
            user.own(&copy.file(layer))?;
        }
        stack::put_on_top(copy, disk, layer)?;
        Ok(())
    }

    /// Freezes what a running guest has written to each disk on which that is as much as this (bytes).
    async fn push_layers(&self, instance: &InstanceId, at_least: u64) -> Result<(), Fault> {
        let copy = self.copy(instance)?;
        let Presence::Up(mut qmp) = look(&copy).await? else { return Ok(()) };
        if !matches!(qmp.activity().await?, Activity::Running | Activity::Halted) {
            return Ok(());
        }
        // Where an earlier try was cut, it still writes to what was to be frozen.
        guest::switch_to_overlays(&mut qmp, &copy).await?;
        for disk in Definition::disks_of(&copy)? {
            if allocated(&copy.file(DiskFile::Overlay(disk)))? >= at_least {
                self.add_overlay(&copy, disk, Stdio::null()).await?;
            }
        }
        guest::switch_to_overlays(&mut qmp, &copy).await
    }

    fn frozen_layers(&self, instance: &InstanceId) -> Result<Vec<DiskFile>, Fault> {
        let (copy, mut layers) = (self.copy(instance)?, Vec::new());
        for disk in DiskNumber::all(DiskNumber::MAX.into()) {
            layers.extend(stack::frozen(&copy, disk)?);
        }
        Ok(layers)
    }

    async fn merge(&self, copy: &CopyFolder, disks: impl Iterator<Item = DiskNumber>) -> Result<(), Fault> {
        let lock = match look(copy).await? {
            Presence::Down(lock) => lock,
            Presence::Up(mut qmp) => match qmp.activity().await? {
                // No guest executes in these, and QEMU has let go of the disk: the process is only in the way.
                Activity::AwaitsMemory | Activity::Saved => process::end(qmp, copy).await?,
                _ => return guest::merge(&mut qmp, copy).await,
            },
        };
        for disk in disks.filter(|disk| copy.file(DiskFile::Overlay(*disk)).exists()) {
            image::commit(&self.tools, &lock, copy, disk).await?;
        }
        Ok(())
    }

    async fn define(&self, wanted: &GuestSpec) -> Result<(), Fault> {
        let copy = self.copy(&wanted.instance)?;
        let Presence::Down(lock) = look(&copy).await? else { return Err(Fault::Runs) };
        let defined = Definition::read(&copy)?;
        // Files without a disk are no instance, whatever else is wrong with them.
        has_its_disks(&copy, DiskNumber::all(1))?;
        let housed = machine::read(&copy, defined.as_ref())?;
        has_its_disks(&copy, housed.disks())?;
        self.are_whole(&copy, housed.disks()).await?;
        for disk in housed.disks().filter(|disk| copy.file(DiskFile::Overlay(*disk)).exists()) {
            image::point_down(&self.tools, &lock, &copy, disk).await?;
        }
        let snapshot = wanted.built_by.or(defined.and_then(|old| old.snapshot));
        machine::write_unless_there(&copy, &housed.machine)?;
        Definition::of(wanted.size, housed.disks().count(), snapshot).write(&copy)?;
        // All of it has arrived.
        Ok(end_promise(&copy)?)
    }

    async fn power_on(&self, instance: &InstanceId, begun: Generation) -> Result<(), Fault> {
        let copy = self.copy(instance)?;
        let definition = Definition::read(&copy)?.ok_or(Fault::Absent)?;
        has_its_disks(&copy, definition.disks())?;
        let lock = match look(&copy).await? {
            Presence::Down(lock) => lock,
            Presence::Up(mut qmp) => match qmp.activity().await? {
                // A process whose memory never arrived knows nothing yet: it is ended and started anew.
                Activity::AwaitsMemory => process::end(qmp, &copy).await?,
                _ => {
                    executed::mark(&copy, begun)?;
                    return guest::go_on(&mut qmp, &copy).await;
                }
            },
        };
        for disk in definition.disks() {
            stack::is_whole(&self.tools, &copy, disk).await?;
        }
        let machine = machine::read(&copy, Some(&definition))?;
        remember_boot(&copy)?;
        let mut qmp = process::spawn(&self.tools, lock, &copy, definition, &machine).await?;
        if copy.file(DiskFile::Memory).exists() {
            let loaded = guest::load_memory(&mut qmp, &copy).await;
            loaded.map_err(|fault| fault.or_last_words(&copy))?;
        }
        executed::mark(&copy, begun)?;
        guest::go_on(&mut qmp, &copy).await?;
        if machine.has_nics() {
            announce(&mut qmp).await;
        }
        Ok(())
    }

    async fn drop_memory(&self, instance: &InstanceId) -> Result<(), Fault> {
        let copy = self.copy(instance)?;
        match look(&copy).await? {
            Presence::Down(_lock) => Ok(remove_durably(&copy.file(DiskFile::Memory))?),
            Presence::Up(_) => Err(Fault::Runs),
        }
    }

    async fn remove(&self, instance: &InstanceId, discard: Discard) -> Result<(), Fault> {
        let copy = self.copy(instance)?;
        let _lock = match look(&copy).await {
            Ok(Presence::Down(lock)) => lock,
            Ok(Presence::Up(qmp)) => process::end(qmp, &copy).await?,
            Err(Fault::Stray(_)) => process::end_stray(&copy).await?,
            Err(fault) => return Err(fault),
        };
        if !copy.path().exists() {
            return Ok(());
        }
        let has_overlay = |disk| copy.file(DiskFile::Overlay(disk)).exists();
        let written_to = Definition::read(&copy)?.is_some_and(|definition| definition.disks().any(has_overlay));
        match discard {
            Discard::PutAside => return Ok(put_aside(&copy, Why::Stale)?),
            Discard::KeepOverlay if written_to => return Ok(put_aside(&copy, Why::Reverted)?),
            Discard::KeepOverlay | Discard::Everything => {}
        }
        Definition::remove(&copy)?;
        Ok(remove_folder_durably(&copy.path())?)
    }

    /// Ends the guest's process without a word to it, as a power failure would: for one that does not answer. Returns once it
    /// is proven gone; whether there was one.
    ///
    /// # Errors
    /// When it cannot be ended, or something else holds the copy.
    pub async fn kill(&self, instance: &InstanceId) -> Result<bool, HypervisorError> {
        let killed = async { process::kill_unasked(&self.copy(instance)?).await };
        killed.await.map_err(|fault| fault.while_doing("end the process of", instance))
    }

    /// Presses a key at the guest's keyboard, by QEMU's name for it.
    ///
    /// # Errors
    /// When the guest does not run, or QEMU does not know the key.
    pub async fn press_key(&self, instance: &InstanceId, key: &str) -> Result<(), HypervisorError> {
        let pressed = async {
            let Presence::Up(mut qmp) = look(&self.copy(instance)?).await? else { return Err(Fault::Absent) };
            qmp.execute("send-key", json!({ "keys": [{ "type": "qcode", "data": key }] })).await?;
            Ok(())
        };
        pressed.await.map_err(|fault| fault.while_doing("press a key of", instance))
    }

    /// Has a running guest's first disk written to (bytes from its beginning), beside what the guest itself writes.
    ///
    /// # Errors
    /// When the guest does not run, or its disk ends before.
    pub async fn write(&self, instance: &InstanceId, at: std::ops::Range<u64>) -> Result<(), HypervisorError> {
        let written = async {
            let Presence::Up(mut qmp) = look(&self.copy(instance)?).await? else { return Err(Fault::Absent) };
            let disks = qmp.execute("query-block", json!({})).await?;
            let disk = disks[0]["qdev"].as_str().unwrap_or_default().to_owned();
            let mut from = at.start;
            while from < at.end {
                let length = WRITTEN_AT_ONCE.min(at.end - from);
                let line = format!("qemu-io -d {disk} \"write -P 165 {from} {length}\"");
                let said = qmp.execute("human-monitor-command", json!({ "command-line": line })).await?;
                if let Some(words) = said.as_str().filter(|words| !words.trim().is_empty()) {
                    return Err(Fault::Guest(words.trim().to_owned()));
                }
                from += length;
            }
            Ok(())
        };
        written.await.map_err(|fault| fault.while_doing("write to the disk of", instance))
    }

    async fn find(&self, instance: &InstanceId) -> Result<Held, Fault> {
        let copy = self.copy(instance)?;
        let fence = read_fence(&copy)?;
        let found = match Definition::read(&copy)? {
            Some(definition) => match look(&copy).await {
                Ok(Presence::Up(_)) => Copy::Running(definition.facts(&copy)),
                Ok(Presence::Down(_)) => {
                    Copy::Stopped(CopyFacts { ended: ending::of(&copy)?, ..definition.facts(&copy) })
                }
                // That its process exists is known all the same.
                Err(Fault::Mute(_)) => Copy::Running(CopyFacts { mute: true, ..definition.facts(&copy) }),
                Err(fault) => return Err(fault),
            },
            None if copy.path().exists() => Copy::Incoming,
            None => Copy::Nothing,
        };
        Ok(Held { fence, executed: executed::read(&copy)?.begun, copy: found })
    }
}

#[async_trait]
impl Hypervisor for Qemu {
    fn supports(&self, mode: MoveMode, disk: &Disk) -> Result<(), Unsupported> {
        match mode {
            MoveMode::Cold | MoveMode::Suspend => local(disk),
            MoveMode::Live | MoveMode::Rebuild => Err(Unsupported::Mode { driver: DRIVER, mode }),
        }
    }

    fn is_here(&self) -> Result<(), AdoptError> {
        if self.host.is_added() { Ok(()) } else { Err(AdoptError::NotHere { folder: self.host.path().to_owned() }) }
    }

    fn accepts(&self, claimant: &Claimant) -> Result<(), AdoptError> {
        self.is_here()?;
        let unusable = |source| AdoptError::Mark { mark: self.host.mark(), source };
        Ok(self.host.judge(claimant).map_err(unusable)??)
    }

    async fn adopt(&self, claimant: &Claimant) -> Result<(), AdoptError> {
        self.is_here()?;
        let marked = self.host.mark_for(claimant);
        let unusable = |source| AdoptError::Mark { mark: self.host.mark(), source };
        marked.map_err(unusable)??;
        self.host.prepare().map_err(unusable)?;
        accelerator::look(&self.tools, &self.host).map_err(unusable)
    }

    async fn observe(&self, instance: &InstanceId) -> Result<Held, HypervisorError> {
        self.find(instance).await.map_err(|fault| fault.while_doing("look at", instance))
    }

    async fn fence(&self, instance: &InstanceId, generation: Generation) -> Result<Fenced, HypervisorError> {
        let context = |fault: Fault| fault.while_doing("fence", instance);
        if !self.host.is_added() {
            let (instance, folder) = (instance.clone(), self.host.path().to_owned());
            return Err(HypervisorError::NotHere { instance, folder });
        }
        let copy = self.copy(instance).map_err(context)?;
        let taken = CopyLock::take_within(&copy.order_lock(), ORDER_PATIENCE).await;
        let alone = taken.map_err(|error| context(error.into()))?;
        let alone = alone.ok_or_else(|| HypervisorError::Busy { instance: instance.clone() })?;
        let held = read_fence(&copy).map_err(|error| context(error.into()))?;
        if held > generation {
            return Err(HypervisorError::Fenced { instance: instance.clone(), asked: generation, held });
        }
        if held < generation {
            let text = format!("{generation}\n");
            copy.spares().write(&copy.fence(), text.as_bytes()).map_err(|error| context(error.into()))?;
        }
        Ok(alone.into())
    }

    async fn snapshot(&self, instance: &InstanceId, generation: Generation) -> Result<(), HypervisorError> {
        self.take_snapshot(instance, generation)
            .await
            .map_err(|fault| fault.while_doing("freeze the disk of", instance))
    }

    async fn freeze_more(&self, instance: &InstanceId, at_least: u64) -> Result<(), HypervisorError> {
        self.push_layers(instance, at_least)
            .await
            .map_err(|fault| fault.while_doing("freeze what was written by", instance))
    }

    async fn frozen(&self, instance: &InstanceId) -> Result<Vec<DiskFile>, HypervisorError> {
        self.frozen_layers(instance).map_err(|fault| fault.while_doing("look at", instance))
    }

    async fn shutdown_within(&self, instance: &InstanceId, patience: Patience) -> Result<Ending, HypervisorError> {
        let down = async {
            let copy = self.copy(instance)?;
            let _lock = match look(&copy).await? {
                Presence::Down(lock) => lock,
                Presence::Up(qmp) => guest::power_down(qmp, &copy, patience).await?,
            };
            Ok(ending::of(&copy)?)
        };
        down.await.map_err(|fault: Fault| fault.while_doing("shut down", instance))
    }

    async fn suspend(&self, instance: &InstanceId) -> Result<(), HypervisorError> {
        let suspended = async {
            let copy = self.copy(instance)?;
            match look(&copy).await? {
                Presence::Up(qmp) => guest::save_memory(qmp, &copy).await,
                Presence::Down(_) if copy.file(DiskFile::Memory).exists() => Ok(()),
                Presence::Down(_) => Err(Fault::Incomplete(DiskFile::Memory)),
            }
        };
        suspended.await.map_err(|fault| fault.while_doing("suspend", instance))
    }

    async fn create(&self, guest: &GuestSpec) -> Result<(), HypervisorError> {
        local(&guest.disk)?;
        self.define(guest).await.map_err(|fault| fault.while_doing("create", &guest.instance))
    }

    async fn size_disk(&self, instance: &InstanceId, owner: Generation, size: DiskSize) -> Result<(), HypervisorError> {
        let sized = async {
            let copy = self.copy(instance)?;
            let Presence::Down(lock) = look(&copy).await? else { return Err(Fault::Runs) };
            match size {
                DiskSize::AtLeast(bytes) => size::enlarge(&self.tools, &lock, &copy, owner, bytes).await,
                DiskSize::AsBefore => size::restore(&self.tools, &lock, &copy, owner).await,
            }
        };
        sized.await.map_err(|fault| fault.while_doing("size the disk of", instance))
    }

    async fn start_marked(&self, instance: &InstanceId, begun: Generation) -> Result<(), HypervisorError> {
        self.power_on(instance, begun).await.map_err(|fault| fault.while_doing("start", instance))
    }

    async fn ended_with_its_machine(&self, instance: &InstanceId) -> Result<bool, HypervisorError> {
        let told = async {
            let remembered = match std::fs::read_to_string(self.copy(instance)?.boot()) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
                remembered => remembered?,
            };
            Ok(remembered != present_boot()?)
        };
        told.await.map_err(|fault: Fault| fault.while_doing("look at", instance))
    }

    async fn examine(&self, instance: &InstanceId, heartbeat: Option<&Heartbeat>) -> Result<Health, HypervisorError> {
        let examined = async { health::examine(&self.tools, &self.copy(instance)?, heartbeat).await };
        examined.await.map_err(|fault| fault.while_doing("look at", instance))
    }

    /// One that another order or another client is at is left to that; the next look at it lets it go on.
    async fn wake_halted(&self) {
        for copy in self.host.copies().unwrap_or_default() {
            let Ok(Some(_alone)) = CopyLock::try_take(&copy.order_lock()) else { continue };
            let woken = timeout(WAKE_MAX, async {
                match process::glance(&copy).await? {
                    Presence::Up(mut qmp) => guest::wake(&mut qmp).await,
                    Presence::Down(_) => Ok(()),
                }
            });
            if !matches!(woken.await, Ok(Ok(()))) {
                tracing::debug!(copy = %copy.path().display(), "a guest that may be halted does not answer");
            }
        }
    }

    async fn forget_memory(&self, instance: &InstanceId) -> Result<(), HypervisorError> {
        self.drop_memory(instance).await.map_err(|fault| fault.while_doing("forget the memory of", instance))
    }

    async fn merge_back(&self, instance: &InstanceId) -> Result<(), HypervisorError> {
        let merged = async {
            let copy = self.copy(instance)?;
            self.merge(&copy, Definition::disks_of(&copy)?).await?;
            Ok(end_promise(&copy)?)
        };
        merged.await.map_err(|fault: Fault| fault.while_doing("merge the overlay of", instance))
    }

    async fn destroy(&self, instance: &InstanceId, disk: &Disk, discard: Discard) -> Result<(), HypervisorError> {
        local(disk)?;
        self.remove(instance, discard).await.map_err(|fault| fault.while_doing("destroy", instance))?;
        self.wake_halted().await;
        Ok(())
    }
}

/// What a file takes of its storage (bytes).
fn allocated(file: &std::path::Path) -> io::Result<u64> {
    Ok(file.metadata()?.blocks() * BLOCK)
}

/// Remembers in which life of its machine a guest was last started, where that is another than before.
fn remember_boot(copy: &CopyFolder) -> io::Result<()> {
    let present = present_boot()?;
    if std::fs::read_to_string(copy.boot()).is_ok_and(|remembered| remembered == present) {
        return Ok(());
    }
    match write_durably(&copy.boot(), present.as_bytes()) {
        // It runs all the same; after the next start of the machine it is taken for one that ran.
        Err(full) if full.kind() == io::ErrorKind::StorageFull => Ok(()),
        written => written,
    }
}

/// What tells this life of the machine from every other: the kernel draws it as it starts.
fn present_boot() -> io::Result<String> {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
}

/// Has the switches learn where the guest's cards are now. One that does not is no reason to fail: the guest runs, and
/// what it says by itself tells them too.
async fn announce(qmp: &mut Qmp) {
    // QEMU's own figures for a guest that arrived: five times, 50 ms apart at first and 550 ms at most.
    let how = json!({ "initial": 50, "max": 550, "rounds": 5, "step": 100 });
    if let Err(fault) = qmp.execute("announce-self", how).await {
        tracing::debug!(%fault, "the guest's cards are not announced");
    }
}

/// Fails where the guest sleeps or crashed.
async fn can_be_moved(copy: &CopyFolder) -> Result<(), Fault> {
    let Presence::Up(mut qmp) = look(copy).await? else { return Ok(()) };
    if qmp.activity().await? == Activity::Unfit { Err(Fault::Unfit(qmp.run_state().await?)) } else { Ok(()) }
}

/// Fails where the base of one of its disks is not there.
fn has_its_disks(copy: &CopyFolder, mut disks: impl Iterator<Item = DiskNumber>) -> Result<(), Fault> {
    let missing = disks.find(|disk| !copy.file(DiskFile::Base(*disk)).exists());
    missing.map_or(Ok(()), |disk| Err(Fault::Incomplete(DiskFile::Base(disk))))
}

fn local(disk: &Disk) -> Result<(), Unsupported> {
    match disk {
        Disk::Local => Ok(()),
        Disk::Shared(pool) => Err(Unsupported::SharedStorage { driver: DRIVER, pool: pool.clone() }),
    }
}

/// Whether a file is a machine that a host can and may make; fails with all that speaks against it, in words.
pub(crate) fn can_be_machine(file: &std::path::Path, host: &HostFolder) -> Result<(), String> {
    match machine::read_file(file).and_then(|machine| machine::house(machine, host)) {
        Ok(_) => Ok(()),
        Err(Fault::Machine(findings)) => Err(all(&findings)),
        Err(fault) => Err(fault.to_string()),
    }
}

fn all(findings: &[Finding]) -> String {
    findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("; also ")
}

/// Whether the files of a copy are an instance.
pub(crate) fn is_defined(copy: &CopyFolder) -> bool {
    Definition::is_in(copy)
}

/// The generation last obeyed for a copy; zero if none ever was.
pub(crate) fn read_fence(copy: &CopyFolder) -> io::Result<Generation> {
    match std::fs::read_to_string(copy.fence()) {
        Ok(text) => {
            let garbled =
                |_| io::Error::new(io::ErrorKind::InvalidData, format!("{} is no number", copy.fence().display()));
            text.trim().parse().map(Generation).map_err(garbled)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Generation::default()),
        Err(error) => Err(error),
    }
}

/// What went wrong, before it is known for whom and at what.
#[derive(Debug, Error)]
enum Fault {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Qmp(#[from] QmpError),
    #[error("{0}")]
    Guest(String),
    #[error(transparent)]
    Tool(#[from] MissingTool),
    #[error("it is not here")]
    Absent,
    #[error("it runs")]
    Runs,
    #[error("its {0} is missing")]
    Incomplete(DiskFile),
    #[error("it is in the state `{0}`")]
    Unfit(String),
    #[error("its machine is not one this host can make: {}", all(.0))]
    Machine(Vec<Finding>),
    #[error("it has not obeyed its power button within {} s", .0.as_secs())]
    Deaf(Duration),
    #[error(transparent)]
    Mute(#[from] Mute),
    #[error(
        "its folder was taken away{}: bring it back, or end what still works on it",
        .0.map(|process| format!(" from under process {process}")).unwrap_or_default()
    )]
    Stray(Option<i32>),
    #[error(transparent)]
    Occupied(#[from] Occupied),
    #[error(transparent)]
    Uncarried(#[from] Uncarried),
}

impl Fault {
    fn is_full_disk(&self) -> bool {
        matches!(self, Self::Io(error) if error.kind() == io::ErrorKind::StorageFull)
    }

    /// Where QEMU hung up, what it wrote before says more.
    fn or_last_words(self, copy: &CopyFolder) -> Self {
        let Self::Qmp(QmpError::Lost(_)) = &self else { return self };
        match std::fs::read_to_string(ending::log(copy)) {
            Ok(words) if !words.trim().is_empty() => complaint(&words),
            _ => self,
        }
    }

    fn while_doing(self, action: &'static str, instance: &InstanceId) -> HypervisorError {
        let instance = instance.clone();
        match self {
            Self::Io(source) => HypervisorError::Io { action, instance, source },
            Self::Guest(detail) => HypervisorError::Guest { action, instance, detail },
            Self::Tool(missing) => missing.into(),
            Self::Absent => HypervisorError::Absent { instance },
            Self::Runs => HypervisorError::Runs { instance },
            Self::Incomplete(file) => HypervisorError::Incomplete { instance, file },
            Self::Unfit(state) => HypervisorError::Unfit { instance, state },
            Self::Machine(findings) => HypervisorError::Machine { instance, findings },
            Self::Deaf(waited) => HypervisorError::Deaf { instance, waited },
            Self::Mute(mute) => HypervisorError::Mute { instance, detail: mute.to_string() },
            Self::Qmp(error @ QmpError::Silent { .. }) => HypervisorError::Mute { instance, detail: error.to_string() },
            Self::Qmp(error) => HypervisorError::Guest { action, instance, detail: error.to_string() },
            Self::Uncarried(reason) => HypervisorError::Uncarried { instance, detail: reason.to_string() },
            stray @ Self::Stray(_) => HypervisorError::Guest { action, instance, detail: stray.to_string() },
            Self::Occupied(occupied) => HypervisorError::Occupied { instance, detail: occupied.to_string() },
        }
    }
}

/// A program's own words; a full disk is told apart, since the way out is another one.
fn complaint(words: &str) -> Fault {
    let words = words.trim();
    if words.contains("No space left on device") {
        return Fault::Io(io::Error::new(io::ErrorKind::StorageFull, words.to_owned()));
    }
    Fault::Guest(if words.is_empty() { "it ended without a word".to_owned() } else { words.replace('\n', "; ") })
}
