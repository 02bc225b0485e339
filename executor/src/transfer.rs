//! How the files of a copy get from host to host: one trait, one file a way.
//!
//! A transfer serves one host: it sends that host's files and reads that host's files back. Files are named by the
//! instance and their part in it; where they lie is agreed with the host's driver, which finds what arrived.

mod leftover;
pub mod rsync;
mod verified;

use async_trait::async_trait;
use decant_schema::id::{HostName, InstanceId};
use decant_schema::migration::{Digest, DiskFile, Generation};
use decant_schema::units::Mbps;
use thiserror::Error;

use crate::tool::MissingTool;

/// Moves files between hosts.
#[async_trait]
pub trait Transfer: Send + Sync {
    /// Copies a file of an instance to a peer and returns what was read here.
    ///
    /// The file must not change meanwhile: a frozen base or layer, or the overlay and memory of a guest that is down. At the
    /// peer it is written under a temporary name, read back, compared, made durable and only then given its name, in
    /// one rename: a file that has its name is whole. Nothing else at the peer changes.
    ///
    /// Idempotent: where the peer has the same content under that name, nothing is sent; another content is replaced;
    /// what a killed call left is taken up or overwritten. `progress` is told the bytes sent so far, from time to
    /// time and at least every few seconds while anything moves.
    ///
    /// Fails with [`TransferError::Fenced`] where the peer has obeyed a later generation: a repeated order must not
    /// overwrite what a guest there writes to, nor bring back what was removed. Looked at after the contents were
    /// compared, and again before the file is given its name.
    ///
    /// Fails with [`TransferError::Occupied`] where the files at the peer are an instance already: they are somebody's,
    /// and this migration, which has not arrived, is not the one.
    ///
    /// Fails with [`TransferError::NoSpace`] where the peer's storage has not the room for it, with what other copies
    /// under way will take, above what is kept for the guests there. Looked at before anything is sent and while it
    /// is: a copy never takes the last room, and what arrived of one that ends for that is removed at once.
    ///
    /// Fails rather than hangs: a peer that takes nothing for the transfer's own timeout is
    /// [`TransferError::Unreachable`].
    async fn copy(&self, order: &CopyOrder, progress: ProgressSink<'_>) -> Result<Copied, TransferError>;

    /// The digest of a file that arrived on *this* host: the second pair of eyes before a start. What was frozen while the
    /// guest ran is not read for it again if it was read since it last changed: the guest is down meanwhile.
    async fn digest(&self, instance: &InstanceId, file: DiskFile) -> Result<Digest, TransferError>;

    /// Promises the instance the room it takes until it runs at the peer: there for its disk and what its guest writes
    /// meanwhile, here for the latter, on both for `memory` (bytes) where it is saved. Called before anything is begun; all
    /// migrations under way are counted. Idempotent. The promises end with [`crate::hypervisor::Hypervisor::create`] there,
    /// with a merge here, and with the copy.
    ///
    /// Fails with [`TransferError::NoSpace`], and promises nothing, where either host has not the room.
    async fn reserve(&self, _order: &CopyOrder, _memory: u64) -> Result<(), TransferError> {
        Ok(())
    }

    /// Takes back what was promised, of a migration that was not begun.
    async fn release(&self, _order: &CopyOrder) -> Result<(), TransferError> {
        Ok(())
    }

    /// Whether the peer can be reached, before a guest is taken down for a copy to it. Changes nothing; the file need
    /// not exist yet, another of the instance does.
    ///
    /// Fails with [`TransferError::Gone`] where nothing of the instance is there any more.
    async fn probe(&self, _order: &CopyOrder) -> Result<(), TransferError> {
        Ok(())
    }
}

/// Hears how many bytes have been sent.
pub type ProgressSink<'a> = &'a (dyn Fn(u64) + Send + Sync);

/// A file to be copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyOrder {
    /// Whose file.
    pub instance: InstanceId,
    /// Which of its files.
    pub file: DiskFile,
    /// Where to.
    pub peer: HostName,
    /// The generation of the order this belongs to.
    pub generation: Generation,
    /// Not faster than this; `None`: as fast as it goes.
    pub limit: Option<Mbps>,
}

/// A file that was copied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// Its content, the same on both ends.
    pub digest: Digest,
    /// Bytes that crossed the network for it, as well as the way of transfer can tell.
    pub bytes: u64,
}

/// Why a file could not be copied or read.
#[derive(Debug, Error)]
pub enum TransferError {
    /// The peer is not known or takes nothing; trying again may help.
    #[error("reach {peer} to copy the {file} of {instance}: {detail}")]
    Unreachable {
        /// The instance.
        instance: InstanceId,
        /// The file.
        file: DiskFile,
        /// The peer.
        peer: HostName,
        /// What was seen.
        detail: String,
    },
    /// The peer has obeyed a later generation.
    #[error("copy the {file} of {instance} by generation {asked}: {peer} has obeyed generation {held}")]
    Fenced {
        /// The instance.
        instance: InstanceId,
        /// The file.
        file: DiskFile,
        /// The peer.
        peer: HostName,
        /// The order's generation.
        asked: Generation,
        /// The generation on the peer's record.
        held: Generation,
    },
    /// The peer has such an instance already.
    #[error("copy the {file} of {instance}: {peer} has an instance of this id already, see whose it is")]
    Occupied {
        /// The instance.
        instance: InstanceId,
        /// The file.
        file: DiskFile,
        /// The peer.
        peer: HostName,
    },
    /// The two ends differ; trying again may help.
    #[error("copy the {file} of {instance} unharmed: {sent} was sent, {arrived} arrived")]
    Harmed {
        /// The instance.
        instance: InstanceId,
        /// The file.
        file: DiskFile,
        /// What was read at the source.
        sent: Digest,
        /// What was read back.
        arrived: Digest,
    },
    /// What arrived at the peer is not there any more; trying again does not help.
    #[error("find on {peer} what arrived of {instance}: it is gone")]
    Gone {
        /// The instance.
        instance: InstanceId,
        /// The peer.
        peer: HostName,
    },
    /// There is no such file.
    #[error("find the {file} of {instance}")]
    Absent {
        /// The instance.
        instance: InstanceId,
        /// The file.
        file: DiskFile,
    },
    /// The peer has not the room; trying again does not help.
    #[error("find room on {peer} for the {file} of {instance}: {detail}")]
    NoSpace {
        /// What is needed and what there is.
        detail: String,
        /// The instance.
        instance: InstanceId,
        /// The file.
        file: DiskFile,
        /// The peer.
        peer: HostName,
    },
    /// The peer does not let guests have what the machine names; trying again does not help.
    #[error("have {peer} take the machine of {instance}: {detail}")]
    NotLetIn {
        /// The instance.
        instance: InstanceId,
        /// The peer.
        peer: HostName,
        /// Everything that speaks against it.
        detail: String,
    },
    /// A program the transfer needs cannot be run.
    #[error(transparent)]
    Tool(#[from] MissingTool),
    /// Reading or writing failed on this host.
    #[error("read the {file} of {instance}")]
    Io {
        /// The instance.
        instance: InstanceId,
        /// The file.
        file: DiskFile,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
}

impl TransferError {
    /// Whether the same may succeed when tried again.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::Harmed { .. })
    }
}
