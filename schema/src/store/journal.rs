//! Every state a migration was ever in, for whoever wants to know what happened.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sqlx::Row;

use super::{Store, StoreError, Write, from_json, sql, to_json};
use crate::migration::{Migration, MigrationId};

/// A state a migration entered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalEntry {
    /// When.
    pub at: Timestamp,
    /// What made it.
    pub event: String,
    /// The state.
    pub state: String,
}

impl Store {
    /// The states of a migration, in order.
    pub async fn journal(&self, id: MigrationId) -> Result<Vec<JournalEntry>, StoreError> {
        sqlx::query("SELECT at, event, state FROM journal WHERE migration = $1 ORDER BY number")
            .bind(id.to_string())
            .fetch_all(&self.pool)
            .await
            .map_err(sql("read the journal"))?
            .iter()
            .map(|row| {
                let at = from_json("time", row.get("at"))?;
                Ok(JournalEntry { at, event: row.get("event"), state: row.get("state") })
            })
            .collect()
    }
}

pub(super) async fn append(
    write: &mut Write,
    migration: &Migration,
    event: &str,
    now: Timestamp,
) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO journal (migration, at, event, state, generation) VALUES ($1, $2, $3, $4, $5)")
        .bind(migration.id.to_string())
        .bind(to_json(&now))
        .bind(event)
        .bind(migration.state.name())
        .bind(i64::try_from(migration.generation.0).unwrap_or(i64::MAX))
        .execute(&mut **write)
        .await
        .map_err(sql("write the journal"))?;
    Ok(())
}
