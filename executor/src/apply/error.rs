//! Why a plan, or a decision, is not carried out.

use std::path::PathBuf;

use decant_schema::cast::PrepRefusal;
use decant_schema::finding::Finding;
use decant_schema::id::{HostName, InstanceId, MoveId};
use decant_schema::migration::{MigrationId, Wish};
use decant_schema::store::StoreError;
use thiserror::Error;

use super::{Difference, Discrepancy, GuestRefusal};
use crate::causes::in_one_line;
use crate::conductor::CreateError;
use crate::hypervisor::{AdoptError, HypervisorError, Mismatch, Unsupported};

/// Why a plan, or a decision, is not carried out. Nothing was begun unless the store failed on the way.
#[derive(Debug, Error)]
pub enum ApplyError {
    /// The plan was made for another fleet.
    #[error("carry out the plan: the fleet has changed since it was made")]
    Stale {
        /// Everything that matters and differs.
        differences: Vec<Difference>,
    },
    /// The plan is wrong, whoever made it.
    #[error("carry out the plan: it does not hold")]
    DoesNotHold {
        /// Everything that is wrong, in sentences.
        violations: Vec<String>,
    },
    /// Hosts the plan needs cannot be reached from here.
    #[error("reach {} from here", list(.hosts))]
    NoDriver {
        /// Which.
        hosts: Vec<HostName>,
    },
    /// Moves the drivers of their hosts do not do.
    #[error("make {} of the moves", .moves.len())]
    Unsupported {
        /// Each with its reason.
        moves: Vec<UnsupportedMove>,
    },
    /// Moves whose instances are not as the fleet says.
    #[error("begin {} of the moves", .moves.len())]
    Unready {
        /// Each with its reason.
        moves: Vec<UnreadyMove>,
    },
    /// Another process conducts the store.
    #[error("conduct the store {}: another process does", path.display())]
    Busy {
        /// The store.
        path: PathBuf,
    },
    /// A host is not this store's to use.
    #[error("conduct {host}")]
    Host {
        /// Which.
        host: HostName,
        /// Why not.
        #[source]
        source: AdoptError,
    },
    /// A host is not dead: guests are seen to run there.
    #[error("hold {host} for dead: {} run there", list(.instances))]
    Alive {
        /// The host.
        host: HostName,
        /// What runs there.
        instances: Vec<InstanceId>,
    },
    /// A copy on a host that is back cannot be put aside.
    #[error("put aside {instance} on {host}, which was dead and is back")]
    StaleCopy {
        /// The host.
        host: HostName,
        /// The instance.
        instance: InstanceId,
        /// Why not.
        #[source]
        source: HypervisorError,
    },
    /// A host could not do what a person asked.
    #[error("{source}, on {host}")]
    Driver {
        /// The host.
        host: HostName,
        /// Why not; its causes are those of this.
        source: HypervisorError,
    },
    /// A guest is not as it would have to be; nothing was changed.
    #[error(transparent)]
    Guest(#[from] GuestRefusal),
    /// A host cannot be looked through.
    #[error("look through {host}")]
    Unseen {
        /// The host.
        host: HostName,
        /// Why not.
        #[source]
        source: HypervisorError,
    },
    /// The hosts leave it open which copies count.
    #[error("take the hosts over: of {} instances it is open which copy counts", .all.len())]
    Undecided {
        /// Which.
        all: Vec<Discrepancy>,
    },
    /// Nothing proves that hosts are dead whose instances are to be rebuilt.
    #[error("rebuild what was on {}: nothing proves that it is dead", list(.hosts))]
    Unproven {
        /// The hosts.
        hosts: Vec<HostName>,
    },
    /// Hosts are not where they are looked for.
    #[error("find {}", .hosts.iter().map(|(host, _)| host.as_str()).collect::<Vec<_>>().join(", "))]
    NotHere {
        /// Which, and where they were looked for.
        hosts: Vec<(HostName, PathBuf)>,
    },
    /// There is no store.
    #[error("find a store at {}", path.display())]
    NoStore {
        /// Where.
        path: PathBuf,
    },
    /// The file is something else.
    #[error("find a store in {}: it is something else", path.display())]
    NotAStore {
        /// The file.
        path: PathBuf,
    },
    /// The store's lock cannot be taken.
    #[error("lock {}", path.display())]
    Lock {
        /// The lock's file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store's own fleet would not be accepted at the door.
    #[error("read the store's fleet: {}", .findings.first().map_or(String::new(), ToString::to_string))]
    BadFleet {
        /// Everything that is wrong with it.
        findings: Vec<Finding>,
    },
    /// A migration that was asked for cannot be created.
    #[error(transparent)]
    NotCreated(#[from] CreateError),
    /// The host that was told of a migration takes no part in it.
    #[error("prepare the migration: {0}")]
    NotPrepared(PrepRefusal),
    /// The wish does not fit the migration's state.
    #[error("{wish} migration {id}: {refusal}")]
    NotGranted {
        /// What was wanted.
        wish: Wish,
        /// Of which migration.
        id: MigrationId,
        /// Why not.
        refusal: String,
    },
}

/// A move the driver of one of its hosts does not do.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("move {line} on {host}: {reason}")]
pub struct UnsupportedMove {
    /// The move.
    pub line: MoveId,
    /// The host.
    pub host: HostName,
    /// Why not.
    pub reason: Unsupported,
}

/// A move that cannot begin as things are on its source.
#[derive(Debug, Error)]
#[error("move {line}, {instance} on {host}: {}", in_one_line(.reason))]
pub struct UnreadyMove {
    /// The move.
    pub line: MoveId,
    /// Who was to move.
    pub instance: InstanceId,
    /// Its source.
    pub host: HostName,
    /// Why not.
    pub reason: Unready,
}

/// Why a move cannot begin as things are on its source.
#[derive(Debug, Error)]
pub enum Unready {
    /// What is there is not what the fleet says.
    #[error(transparent)]
    Differs(#[from] Mismatch),
    /// It cannot be seen what is there; an id that cannot name files is one of the reasons.
    #[error(transparent)]
    Unseen(#[from] HypervisorError),
}

fn list<T: ToString>(all: &[T]) -> String {
    all.iter().map(T::to_string).collect::<Vec<_>>().join(", ")
}
