//! What happens while migrations are carried out, for whoever watches.

use std::sync::Arc;

use decant_schema::cast::{Prep, PrepRefusal};
use decant_schema::id::{HostName, MoveId};
use decant_schema::migration::{DiskFile, Migration, MigrationId};

use crate::admit::Wait;

/// Hears what happens, in order. It must not block.
pub type ProgressSink = Arc<dyn Fn(Progress) + Send + Sync>;

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Progress {
    /// A migration was created or entered a state, or something went wrong in it (see its `cause`).
    Changed {
        /// As it is now.
        migration: Box<Migration>,
    },
    /// A file is being copied.
    Copying {
        /// The migration.
        migration: MigrationId,
        /// The file.
        file: DiskFile,
        /// Bytes sent so far.
        bytes: u64,
    },
    /// A move of the plan does not start yet, or never; told again when the reason changes.
    Waiting {
        /// The move.
        line: MoveId,
        /// Why.
        wait: Wait,
    },
    /// An actor has been silent for its lease and is told again. Harmless once; again and again it means that its host
    /// needs a person.
    Silent {
        /// The host.
        host: HostName,
        /// The migration that waits for it.
        migration: MigrationId,
    },
    /// Somebody asked for a move that cannot be made.
    Refused {
        /// What was wanted.
        prep: Prep,
        /// The host that was asked.
        host: HostName,
        /// Why not.
        reason: PrepRefusal,
    },
    /// A host offered itself as target, and the move was not begun.
    NotCreated {
        /// What was wanted, and of which host.
        prep: Prep,
        /// Why not, to be read after "failed to".
        why: String,
    },
}
