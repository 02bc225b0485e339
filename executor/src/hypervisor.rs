//! What an agent asks of its host: one trait, one file a driver.
//!
//! A driver serves one host and knows nothing of plans, states or other hosts. On a host there is at most one *copy* of
//! an instance: a frozen base and at most one overlay (and the saved memory of a suspended guest). All names of files
//! and processes are derived from the instance's id, never taken from a message.
//!
//! **Every call is idempotent and finishes what a killed call began.** An agent may be killed at any instruction and
//! is then asked the same again, by a fresh process that remembers nothing: each call looks at what is really there,
//! does what is missing, and succeeds when the end it promises is reached, however that came about. What a call did
//! must survive the death of the agent (guests run in processes of their own).
//!
//! Calls about one instance never overlap; calls about different instances do. A call may be dropped at any `await`
//! (its agent was told to do something newer); whatever it left half done the next call takes up.

pub mod qemu;
pub mod simulated;

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use decant_schema::finding::Finding;
use decant_schema::fleet::{Heartbeat, InstanceState, Resources};
use decant_schema::id::{InstanceId, PoolName, ResourceClass};
use decant_schema::migration::{DiskFile, Generation, Patience};
use decant_schema::plan::MoveMode;
use decant_schema::units::{Mib, mib};
use thiserror::Error;

use crate::mark::{Claimant, Foreign, Owner};
use crate::tool::MissingTool;

/// Bytes in what flavors count disks in.
pub(crate) const GIB: u64 = 1 << 30;

/// What a host can do with the copies of instances it holds.
#[async_trait]
pub trait Hypervisor: Send + Sync {
    /// Whether this driver moves instances in this mode and with such a disk, and if not, why. Asked before anything is
    /// begun.
    fn supports(&self, mode: MoveMode, disk: &Disk) -> Result<(), Unsupported>;

    /// Whether the host's storage is there: it was added once, and nothing makes it anew. Asked before anything is begun.
    fn is_here(&self) -> Result<(), AdoptError> {
        Ok(())
    }

    /// Whether [`Hypervisor::adopt`] would accept this store; changes nothing.
    fn accepts(&self, claimant: &Claimant) -> Result<(), AdoptError>;

    /// Marks the host durably as one this store's conductor has, in the store's present life. Called before any order of
    /// that store; fails with [`AdoptError::Another`] where it is marked as another's, which may be starting guests here
    /// at this moment, and with [`AdoptError::Ahead`] where it was used by a life the store knows nothing of.
    async fn adopt(&self, claimant: &Claimant) -> Result<(), AdoptError>;

    /// What this host really holds of the instance, found out by looking, not by remembering.
    async fn observe(&self, instance: &InstanceId) -> Result<Held, HypervisorError>;

    /// Records durably that only orders of this generation or a later one are obeyed for the instance. Until what it
    /// returns is dropped, nobody else's order has an effect on it.
    ///
    /// Called before each single effect of an order. Fails with [`HypervisorError::Fenced`] when a later generation is on
    /// record, so that an order that was long under way can never start or destroy anything again. The record
    /// outlives the copy: [`Hypervisor::destroy`] does not remove it.
    async fn fence(&self, instance: &InstanceId, generation: Generation) -> Result<Fenced, HypervisorError>;

    /// Freezes the instance's disk as its base; from here on writes go to an overlay. The guest runs on, if it runs.
    ///
    /// An overlay that an earlier migration left is first merged into the base (the copy that arrived somewhere and
    /// stayed there). An overlay that *this* call made, before it was killed, is kept: the two are told apart by
    /// `generation`, that of the migration's creation, which the driver records with the overlay.
    ///
    /// Fails with [`HypervisorError::Unfit`], before anything is changed, where the guest is in a state in which it
    /// cannot be moved: asleep, crashed; with [`HypervisorError::Uncarried`] where its disk's one file is not all of it.
    async fn snapshot(&self, instance: &InstanceId, generation: Generation) -> Result<(), HypervisorError>;

    /// Freezes what a running guest has written to each disk since [`Hypervisor::snapshot`], or since the last call, where that
    /// is as much as `at_least` (bytes) and there may be one more layer: then it can be copied while the guest writes on. What is
    /// frozen is part of the overlay to whoever merges or discards that. Does nothing with a guest that is down.
    async fn freeze_more(&self, _instance: &InstanceId, _at_least: u64) -> Result<(), HypervisorError> {
        Ok(())
    }

    /// The frozen layers between the base and the overlay of each of the instance's disks, be they of a guest or of files that
    /// only arrive: the lowest first.
    async fn frozen(&self, _instance: &InstanceId) -> Result<Vec<DiskFile>, HypervisorError> {
        Ok(Vec::new())
    }

    /// Shuts the guest down: politely, then by force once the usual patience ends. Afterwards no process of the
    /// guest exists and all it saw acknowledged is in the files. Succeeds when it is down already.
    async fn shutdown(&self, instance: &InstanceId) -> Result<(), HypervisorError> {
        self.shutdown_within(instance, Patience::USUAL).await.map(drop)
    }

    /// The same with this patience; says how the guest ended, be it that it was down already. Fails with
    /// [`HypervisorError::Deaf`] where it has not obeyed its power button by then and is not to be powered off: it runs on.
    async fn shutdown_within(&self, instance: &InstanceId, patience: Patience) -> Result<Ending, HypervisorError>;

    /// Stops the guest and keeps its memory in [`DiskFile::Memory`]; afterwards no process of it exists, disk and
    /// memory are of the same moment. Succeeds when that has happened already.
    ///
    /// A guest found down with no complete memory file was lost on the way: that is an error, and no memory file
    /// may be made up.
    async fn suspend(&self, instance: &InstanceId) -> Result<(), HypervisorError>;

    /// Makes the files that are here (arrived, or here all along) an instance of this size, not running.
    ///
    /// Where one of another size is defined already, its size is changed; it must not be running. Fails with
    /// [`HypervisorError::Incomplete`] when a file is missing.
    async fn create(&self, guest: &GuestSpec) -> Result<(), HypervisorError>;

    /// Gives the disk of an instance that is down another size; what the guest makes of it is left to the guest. `owner` is the
    /// migration's first generation. Succeeds when the disk has that size already.
    async fn size_disk(&self, instance: &InstanceId, owner: Generation, size: DiskSize) -> Result<(), HypervisorError>;

    /// Powers the instance on: with its saved memory where there is one, else from its disk. Returns when the guest
    /// executes. Succeeds when it runs already.
    ///
    /// A memory file is used once: it must be out of the way before the guest's first instruction, since memory older
    /// than the disk destroys the disk.
    async fn start(&self, instance: &InstanceId) -> Result<(), HypervisorError> {
        self.start_marked(instance, Generation::default()).await
    }

    /// The same for a migration that began with this generation: before the guest's first instruction it is recorded
    /// durably that the instance has executed here for it ([`Held::executed`]). The record outlives the copy, and is never
    /// lowered; zero records nothing.
    async fn start_marked(&self, instance: &InstanceId, begun: Generation) -> Result<(), HypervisorError>;

    /// Whether a copy that is down was last started in an earlier life of its host's machine: then nobody ended it, the machine
    /// did.
    async fn ended_with_its_machine(&self, _instance: &InstanceId) -> Result<bool, HypervisorError> {
        Ok(false)
    }

    /// Looks at a copy that is about to be relied on: at all its files, at what its guest does, and at the sign of life it
    /// is known by, if it has one.
    async fn examine(&self, instance: &InstanceId, heartbeat: Option<&Heartbeat>) -> Result<Health, HypervisorError>;

    /// Lets the host's guests go on that a full disk halted: there may be room now. Does what it can.
    async fn wake_halted(&self) {}

    /// Drops a saved memory that no longer fits the disk, durably: none comes back after a crash. Succeeds when there is
    /// none. Only ever asked of a guest that is down, or of files that are no instance yet.
    async fn forget_memory(&self, instance: &InstanceId) -> Result<(), HypervisorError>;

    /// Merges the overlay into the base, of a running guest as well as of one that is down; afterwards the copy is a
    /// base alone, as before [`Hypervisor::snapshot`]. Succeeds when there is no overlay.
    async fn merge_back(&self, instance: &InstanceId) -> Result<(), HypervisorError>;

    /// Removes the copy: its process, powered off without asking, then its definition and its files, also those that
    /// had only begun to arrive. Files on shared storage are not touched. Succeeds when nothing is here.
    async fn destroy(&self, instance: &InstanceId, disk: &Disk, discard: Discard) -> Result<(), HypervisorError>;
}

/// The right of one order to have one effect on a copy, until dropped. The kernel takes it back from an agent that ends.
#[must_use = "the right ends when it is dropped"]
#[derive(Debug, Default)]
pub struct Fenced {
    _lock: Option<std::fs::File>,
}

impl Fenced {
    /// Held as long as this file's lock is.
    pub fn by(lock: std::fs::File) -> Self {
        Self { _lock: Some(lock) }
    }
}

/// What a host holds of one instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The generation it was last fenced with; zero if never.
    pub fence: Generation,
    /// The beginning of the last migration for which it has executed here; zero if for none.
    pub executed: Generation,
    /// The copy itself.
    pub copy: Copy,
}

/// How a copy is that is about to be relied on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// What its disk lacks; none: all of it is there and can be read.
    pub disk: Option<String>,
    /// What keeps its guest from executing; none: it executes.
    pub guest: Option<String>,
    /// Why its sign of life was not seen; none: it was, or it has none.
    pub heartbeat: Option<String>,
}

/// A copy of an instance, as found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Copy {
    /// There is nothing.
    Nothing,
    /// Some files are here, but no instance is defined from them.
    Incoming,
    /// An instance without a process.
    Stopped(CopyFacts),
    /// A process of it exists, even one that executes nothing at the moment.
    Running(CopyFacts),
}

impl Copy {
    /// Whether an instance can leave from here: it is here, as large as it is on record, and runs where it is on record as
    /// active and only there.
    pub fn is_as_recorded(&self, size: GuestSize, runs: bool) -> Result<(), Mismatch> {
        match self {
            Self::Nothing | Self::Incoming => Err(Mismatch::Absent),
            // Nothing can be asked of it, nor is it known what it does.
            Self::Running(facts) if facts.mute => Err(Mismatch::Mute),
            // Its disk would be copied while it changes.
            Self::Running(_) if !runs => Err(Mismatch::Runs),
            // An undo would start what did not run before.
            Self::Stopped(_) if runs => Err(Mismatch::Down),
            // On the way back it would be given a size it never had, and a saved memory would not load.
            Self::Running(facts) | Self::Stopped(facts) if facts.size != size => {
                Err(Mismatch::Size { recorded: size, found: facts.size })
            }
            Self::Running(_) | Self::Stopped(_) => Ok(()),
        }
    }
}

/// In what a copy is not what is on record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Mismatch {
    /// It is not there.
    #[error("the instance is not here")]
    Absent,
    /// It runs.
    #[error("the instance runs, though it is on record as stopped")]
    Runs,
    /// It does not run.
    #[error("the instance does not run, though it is on record as active; start it, or put it on record as stopped")]
    Down,
    /// Its process does not answer.
    #[error("the instance has a process that does not answer; let it go on, or end it")]
    Mute,
    /// It has another size.
    #[error("the instance has {found}, though it is on record with {recorded}")]
    Size {
        /// The size on record.
        recorded: GuestSize,
        /// The size it has.
        found: GuestSize,
    },
}

/// What is known of a defined copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CopyFacts {
    /// The size it has.
    pub size: GuestSize,
    /// How many disks it has; at least one.
    pub disks: usize,
    /// Whether the base of each of its disks is frozen and an overlay takes the writes.
    pub frozen: bool,
    /// Whether a complete saved memory lies beside it.
    pub memory: bool,
    /// The beginning of the last migration that froze its disk here or built it here; zero if none did. It goes with the
    /// copy: an instance that is defined here afterwards has none.
    pub mark: Generation,
    /// How it came to be down; unknown where it is not.
    pub ended: Ending,
    /// Whether its process exists and does not answer.
    pub mute: bool,
}

/// How a guest came to be down, as far as its program wrote that down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ending {
    /// Nothing tells: it never ran here, its memory was saved, its process was killed, its host died.
    #[default]
    Unknown,
    /// Its user shut it down: nobody had pressed its power button.
    ByUser,
    /// It obeyed its power button.
    Obeyed,
    /// Its power button was pressed, and it did not end by itself.
    CutOff,
}

/// An instance as a driver makes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GuestSpec {
    /// Which.
    pub instance: InstanceId,
    /// How large.
    pub size: GuestSize,
    /// Where its disk is.
    pub disk: Disk,
    /// The beginning of the migration that builds it ([`CopyFacts::mark`]); none: it is made for none, and keeps what mark
    /// it has.
    pub built_by: Option<Generation>,
}

/// How large a guest is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GuestSize {
    /// Its memory.
    pub memory: Mib,
    /// Its virtual processors.
    pub vcpus: u64,
}

impl fmt::Display for GuestSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} and {} VCPU", self.memory, self.vcpus)
    }
}

impl From<&Resources> for GuestSize {
    /// What a flavor promises; a class it does not name counts as one unit.
    fn from(resources: &Resources) -> Self {
        let amount = |class: &str| resources.get::<str>(class).copied().unwrap_or(1);
        Self { memory: mib(amount(ResourceClass::MEMORY_MB)), vcpus: amount(ResourceClass::VCPU) }
    }
}

/// How large a disk is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskSize {
    /// At least so many bytes: one that is larger stays so.
    AtLeast(u64),
    /// What it was before this migration enlarged it. Where the guest has written beyond that, the disk stays as it is: what
    /// was written is worth more than the size.
    AsBefore,
}

/// Where an instance's disk is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Disk {
    /// On the host itself, in files the driver names.
    Local,
    /// On a pool that other hosts see too.
    Shared(PoolName),
}

impl Disk {
    /// Where the fleet says that it is.
    pub fn of(storage: Option<&PoolName>) -> Self {
        storage.map_or(Self::Local, |pool| Self::Shared(pool.clone()))
    }
}

/// What [`Hypervisor::destroy`] does with the writes only this copy has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Discard {
    /// Nobody wants them: the copy lives on elsewhere.
    Everything,
    /// The overlay is put aside under another name, for a person to look at: a revert discards what the guest wrote
    /// since it started here. Nothing the driver does later removes it.
    KeepOverlay,
    /// All of it is put aside in the same way, whatever it is: of a host that was dead and is back.
    PutAside,
}

/// Something a driver does not do.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Unsupported {
    /// It does not move instances in this mode.
    #[error("the {driver} driver does not move instances in {} mode yet", mode_name(*.mode))]
    Mode {
        /// The driver.
        driver: &'static str,
        /// The mode.
        mode: MoveMode,
    },
    /// It knows no shared storage.
    #[error("the {driver} driver does not know shared storage pools, and the disk is on {pool}")]
    SharedStorage {
        /// The driver.
        driver: &'static str,
        /// The pool.
        pool: PoolName,
    },
    /// What the instance is doing cannot be taken along, by any driver.
    #[error(
        "an instance that is {} does not survive a {} move",
        format!("{state:?}").to_lowercase(),
        mode_name(*.mode)
    )]
    State {
        /// What it is doing.
        state: InstanceState,
        /// The mode.
        mode: MoveMode,
    },
}

impl Unsupported {
    /// Whether an instance that does this is to run once it has moved in this mode; refuses what would be lost on the
    /// way.
    pub fn unless_kept(state: InstanceState, mode: MoveMode) -> Result<bool, Self> {
        match (state, mode) {
            (InstanceState::Active, _) => Ok(true),
            (InstanceState::Stopped, _) => Ok(false),
            // Its memory died with its host; so did whatever it was doing.
            (_, MoveMode::Rebuild) => Ok(true),
            (state, mode) => Err(Self::State { state, mode }),
        }
    }
}

fn mode_name(mode: MoveMode) -> &'static str {
    match mode {
        MoveMode::Live => "live",
        MoveMode::Cold => "cold",
        MoveMode::Suspend => "suspend",
        MoveMode::Rebuild => "rebuild",
    }
}

/// Why a host is not used by a store's conductor.
#[derive(Debug, Error)]
pub enum AdoptError {
    /// Another store's conductor has it.
    #[error("use a host of another store, {}", .owner.path.display())]
    Another {
        /// Whose it is.
        owner: Owner,
    },
    /// The store has forgotten, or never knew, what was done here: it is older than the host, or a copy.
    #[error("use a host that knows more than the store")]
    Ahead {
        /// Who last used it.
        owner: Owner,
    },
    /// Its folder was never added, or its storage is not mounted.
    #[error("find a host in {}", folder.display())]
    NotHere {
        /// Where it was looked for.
        folder: PathBuf,
    },
    /// It cannot be marked.
    #[error("mark the host in {}", mark.display())]
    Mark {
        /// The mark's file.
        mark: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
}

impl From<Foreign> for AdoptError {
    fn from(foreign: Foreign) -> Self {
        match foreign {
            Foreign::Another(owner) => Self::Another { owner },
            Foreign::Unknown(owner) => Self::Ahead { owner },
        }
    }
}

/// Why a host could not do what it was asked.
#[derive(Debug, Error)]
pub enum HypervisorError {
    /// The driver never does this.
    #[error(transparent)]
    Unsupported(#[from] Unsupported),
    /// The order is older than one that was obeyed already.
    #[error("obey generation {asked} of {instance}: generation {held} was obeyed already")]
    Fenced {
        /// The instance.
        instance: InstanceId,
        /// The order's generation.
        asked: Generation,
        /// The generation on record.
        held: Generation,
    },
    /// Another agent is in the middle of an effect.
    #[error("change {instance}: another agent is at work on it")]
    Busy {
        /// The instance.
        instance: InstanceId,
    },
    /// The disk is not all in the files that are carried; nothing was changed.
    #[error("carry the disk of {instance}: {detail}")]
    Uncarried {
        /// The instance.
        instance: InstanceId,
        /// What it is made of, and what to do about it.
        detail: String,
    },
    /// The machine it is to be is not one this host can or may make of it; nothing was changed.
    #[error("make the machine of {instance}: {}", .findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("; also "))]
    Machine {
        /// The instance.
        instance: InstanceId,
        /// Everything that speaks against it, with its place in the document and what would be right.
        findings: Vec<Finding>,
    },
    /// A program that was not started here uses the copy's disk: it is neither down nor ours, and nothing is done to it.
    #[error("take {instance} for its own: failed to {detail}")]
    Occupied {
        /// The instance.
        instance: InstanceId,
        /// Who uses which file, as far as that can be told.
        detail: String,
    },
    /// The host's storage is not there any more; nothing is made in its place.
    #[error("look for {instance}: there is no host in {}, its storage may not be mounted", folder.display())]
    NotHere {
        /// The instance.
        instance: InstanceId,
        /// Where the host was.
        folder: PathBuf,
    },
    /// There is no such instance here.
    #[error("find {instance} on this host")]
    Absent {
        /// The instance.
        instance: InstanceId,
    },
    /// The copy lacks a file.
    #[error("find the {file} of {instance}")]
    Incomplete {
        /// The instance.
        instance: InstanceId,
        /// The missing file.
        file: DiskFile,
    },
    /// The guest runs where it must not.
    #[error("change {instance} while it runs")]
    Runs {
        /// The instance.
        instance: InstanceId,
    },
    /// The guest is in a state in which nothing is begun with it; nothing was changed.
    #[error("move {instance}: its guest is in the state `{state}`")]
    Unfit {
        /// The instance.
        instance: InstanceId,
        /// The state, as the guest's program calls it.
        state: String,
    },
    /// The guest did not obey its power button, and is not to be powered off; it runs on.
    #[error(
        "shut {instance} down: its guest has not obeyed its power button within {} s, and is not to be powered off; shut it \
         down from inside, or move it again with more patience",
        waited.as_secs()
    )]
    Deaf {
        /// The instance.
        instance: InstanceId,
        /// How long it was waited for.
        waited: Duration,
    },
    /// A process of the guest exists and does not answer; what it does is not known.
    #[error("speak to {instance}: {detail}")]
    Mute {
        /// The instance.
        instance: InstanceId,
        /// Which process, in what state, and what to do about it.
        detail: String,
    },
    /// A program the driver needs cannot be run.
    #[error(transparent)]
    Tool(#[from] MissingTool),
    /// The guest, or the program that runs it, answered with an error.
    #[error("{action} {instance}: {detail}")]
    Guest {
        /// What was being done, as `start`.
        action: &'static str,
        /// The instance.
        instance: InstanceId,
        /// The answer.
        detail: String,
    },
    /// The host's disk or network failed; a full disk is one of these.
    #[error("{action} {instance}")]
    Io {
        /// What was being done, as `write the overlay of`.
        action: &'static str,
        /// The instance.
        instance: InstanceId,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
}
