//! What a conductor conducts.

use decant_schema::id::InstanceId;
use decant_schema::migration::{Migration, MigrationId};

/// The migrations a conductor casts, reminds of and decides; it leaves all others exactly as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Every migration of the store.
    Everything,
    /// One: what a command does that decides about it.
    Migration(MigrationId),
    /// The unfinished migration of one instance, whoever creates it: what a command does that moves one instance.
    Instance(InstanceId),
}

impl Scope {
    pub(super) fn covers(&self, migration: &Migration) -> bool {
        match self {
            Self::Everything => true,
            Self::Migration(id) => migration.id == *id,
            Self::Instance(instance) => migration.subject.instance == *instance,
        }
    }
}
