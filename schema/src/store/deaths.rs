//! Hosts that were declared dead. Any process may declare one, as it may leave a wish; whoever conducts acts on it.

use std::collections::BTreeMap;

use sqlx::Row;

use super::{Store, StoreError, Write, from_json, hosts, sql, to_json};
use crate::id::HostName;
use crate::migration::Death;

impl Store {
    /// Records that a host is dead; from now on it counts as down. Said again, the newer word counts.
    pub async fn declare_dead(&self, death: &Death) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        sqlx::query(
            "INSERT INTO deaths (host, document) VALUES ($1, $2)
             ON CONFLICT (host) DO UPDATE SET document = excluded.document",
        )
        .bind(death.host.as_str())
        .bind(to_json(death))
        .execute(&mut *write)
        .await
        .map_err(sql("declare a host dead"))?;
        hosts::set_up(&mut write, &death.host, false).await?;
        self.commit(write).await
    }

    /// Records that a host is back, and up.
    pub async fn record_return(&self, host: &HostName) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        sqlx::query("DELETE FROM deaths WHERE host = $1")
            .bind(host.as_str())
            .execute(&mut *write)
            .await
            .map_err(sql("record the return of a host"))?;
        hosts::set_up(&mut write, host, true).await?;
        self.commit(write).await
    }

    /// The hosts that are dead.
    pub async fn deaths(&self) -> Result<BTreeMap<HostName, Death>, StoreError> {
        let rows = sqlx::query("SELECT host, document FROM deaths").fetch_all(&self.pool).await;
        let rows = rows.map_err(sql("read the dead hosts"))?;
        let read = |row: &sqlx::sqlite::SqliteRow| {
            Ok((HostName::new(row.get::<&str, _>("host")), from_json("death", row.get("document"))?))
        };
        rows.iter().map(read).collect()
    }
}

pub(super) async fn of(write: &mut Write, host: &HostName) -> Result<Option<Death>, StoreError> {
    let row = sqlx::query("SELECT document FROM deaths WHERE host = $1")
        .bind(host.as_str())
        .fetch_optional(&mut **write)
        .await
        .map_err(sql("read a dead host"))?;
    row.map(|row| from_json("death", row.get("document"))).transpose()
}

/// A fleet that is taken over does not bring the dead back.
pub(super) async fn keep_down(write: &mut Write) -> Result<(), StoreError> {
    let rows = sqlx::query("SELECT host FROM deaths").fetch_all(&mut **write).await;
    let dead: Vec<HostName> =
        rows.map_err(sql("read the dead hosts"))?.iter().map(|row| HostName::new(row.get::<&str, _>("host"))).collect();
    for host in dead {
        hosts::set_up(write, &host, false).await?;
    }
    Ok(())
}
