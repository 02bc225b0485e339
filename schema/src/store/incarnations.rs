//! The lives of a store: one for each process that took it to conduct.
//!
//! A number alone would not do: two copies of one store count alike. So each life has a random word, too, and a store
//! that was restored from a backup, or copied, lacks the lives the other one had since.

use std::collections::BTreeSet;
use std::fmt;

use jiff::Timestamp;
use sqlx::Row;

use super::{Store, StoreError, sql, to_json};

/// One life of a store.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Incarnation {
    /// Counts from 1.
    pub number: u64,
    /// Tells it from the life of the same number in a copy of the store.
    pub nonce: String,
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.number.fmt(f)
    }
}

impl Store {
    /// Begins a new life; it is in the store before it is anywhere else.
    pub async fn begin_incarnation(&self, now: Timestamp) -> Result<Incarnation, StoreError> {
        let mut write = self.write().await?;
        let row = sqlx::query(
            "INSERT INTO incarnations (number, nonce, begun_at)
             SELECT coalesce(max(number), 0) + 1, lower(hex(randomblob(16))), $1 FROM incarnations
             RETURNING number, nonce",
        )
        .bind(to_json(&now))
        .fetch_one(&mut *write)
        .await
        .map_err(sql("begin to conduct"))?;
        self.commit(write).await?;
        Ok(incarnation(&row))
    }

    /// Every life it ever had.
    pub async fn incarnations(&self) -> Result<BTreeSet<Incarnation>, StoreError> {
        let rows = sqlx::query("SELECT number, nonce FROM incarnations").fetch_all(&self.pool).await;
        Ok(rows.map_err(sql("read its incarnations"))?.iter().map(incarnation).collect())
    }
}

fn incarnation(row: &sqlx::sqlite::SqliteRow) -> Incarnation {
    let number: i64 = row.get("number");
    Incarnation { number: number.unsigned_abs(), nonce: row.get("nonce") }
}
