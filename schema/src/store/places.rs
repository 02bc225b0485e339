//! Where hosts of this machine have their folders. Any process may add one; none is changed by a fleet that is taken over.

use std::collections::BTreeMap;
use std::path::PathBuf;

use sqlx::Row;

use super::{Store, StoreError, sql};
use crate::id::HostName;

/// A host's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Where it is; absolute.
    pub folder: PathBuf,
    /// Whether a storage must be mounted there: without it the folder is not the host's.
    pub mounted: bool,
}

impl Store {
    /// Remembers where a host is; said again, the newer word counts. What is no text is kept as well as text can.
    pub async fn add_place(&self, host: &HostName, place: &Place) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        sqlx::query(
            "INSERT INTO places (host, folder, mounted) VALUES ($1, $2, $3)
             ON CONFLICT (host) DO UPDATE SET folder = excluded.folder, mounted = excluded.mounted",
        )
        .bind(host.as_str())
        .bind(place.folder.to_string_lossy().into_owned())
        .bind(place.mounted)
        .execute(&mut *write)
        .await
        .map_err(sql("remember where a host is"))?;
        self.commit(write).await
    }

    /// Where the hosts are that were added.
    pub async fn places(&self) -> Result<BTreeMap<HostName, Place>, StoreError> {
        let rows = sqlx::query("SELECT host, folder, mounted FROM places").fetch_all(&self.pool).await;
        let rows = rows.map_err(sql("read where hosts are"))?;
        let read = |row: &sqlx::sqlite::SqliteRow| {
            let place = Place { folder: row.get::<String, _>("folder").into(), mounted: row.get("mounted") };
            (HostName::new(row.get::<&str, _>("host")), place)
        };
        Ok(rows.iter().map(read).collect())
    }
}
