//! What people add to a store's fleet one by one, instead of having a document taken over: hosts, flavors, guests; and what
//! they have a guest do.

use std::collections::BTreeSet;

use jiff::Timestamp;
use sqlx::Row;

use super::{Store, StoreError, Write, fleet, from_json, hosts, instances, sql, to_json};
use crate::fleet::{Defaults, FORMAT, Flavor, FleetDocument, Host, Instance, InstanceState, Resources};
use crate::id::InstanceId;

impl Store {
    /// The fleet as it is now; where none was ever taken over, one of nothing.
    pub async fn fleet_or_nothing(&self) -> Result<FleetDocument, StoreError> {
        match self.fleet().await {
            Err(StoreError::NoFleet) => Ok(nothing()),
            known => known,
        }
    }

    /// Adds a host, with nothing on it; one that is there stays as it is.
    pub async fn add_host(&self, host: &Host) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        begin(&mut write).await?;
        let known: i64 = sqlx::query_scalar("SELECT count(*) FROM hosts WHERE name = $1")
            .bind(host.name.as_str())
            .fetch_one(&mut *write)
            .await
            .map_err(sql("read a host"))?;
        if known == 0 {
            hosts::insert(&mut write, host, &fleet::ceiling(host, &host.other_usage)).await?;
        }
        self.commit(write).await
    }

    /// Adds a flavor, or gives the one of this name other amounts; what an instance of it claims now stays its own.
    pub async fn add_flavor(&self, flavor: &Flavor) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        begin(&mut write).await?;
        let row = sqlx::query("SELECT document FROM fleet").fetch_one(&mut *write).await;
        let mut rest: FleetDocument = from_json("fleet", row.map_err(sql("read the fleet"))?.get("document"))?;
        rest.flavors.retain(|known| known.name != flavor.name);
        rest.flavors.push(flavor.clone());
        sqlx::query("UPDATE fleet SET document = $1")
            .bind(to_json(&rest))
            .execute(&mut *write)
            .await
            .map_err(sql("write the fleet"))?;
        self.commit(write).await
    }

    /// Adds an instance where it is, with its claim there. Fails with [`StoreError::NoRoom`] where the host has not the room.
    pub async fn add_instance(&self, instance: &Instance, claim: &Resources, now: Timestamp) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        instances::insert_alone(&mut write, instance, claim).await?;
        hosts::claim(&mut write, &instance.host, &instance.id, claim).await?;
        fleet::touch(&mut write, now).await?;
        self.commit(write).await
    }

    /// Records what an instance does from now on. Fails with [`StoreError::InMigration`] while it is in one: what it did
    /// when that began is part of that.
    pub async fn set_state(&self, id: &InstanceId, state: InstanceState, now: Timestamp) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        let moving: i64 =
            sqlx::query_scalar("SELECT count(*) FROM migrations WHERE instance = $1 AND state <> 'finished'")
                .bind(id.as_str())
                .fetch_one(&mut *write)
                .await
                .map_err(sql("count the migrations"))?;
        if moving > 0 {
            return Err(StoreError::InMigration { instance: id.clone() });
        }
        instances::set_state(&mut write, id, state).await?;
        fleet::touch(&mut write, now).await?;
        self.commit(write).await
    }

    /// The instances that are in a migration.
    pub async fn moving(&self) -> Result<BTreeSet<InstanceId>, StoreError> {
        let rows = sqlx::query_scalar("SELECT instance FROM migrations WHERE state <> 'finished'");
        let rows: Vec<String> = rows.fetch_all(&self.pool).await.map_err(sql("read the migrations"))?;
        Ok(rows.iter().map(|id| InstanceId::from(id.as_str())).collect())
    }
}

/// A fleet that something is added to, if there is none yet.
async fn begin(write: &mut Write) -> Result<(), StoreError> {
    let known: i64 = sqlx::query_scalar("SELECT count(*) FROM fleet")
        .fetch_one(&mut **write)
        .await
        .map_err(sql("read the fleet"))?;
    if known == 0 { fleet::insert_rest(write, &nothing()).await } else { Ok(()) }
}

/// As old as can be: any document that tells of a fleet is newer, until a guest is added.
fn nothing() -> FleetDocument {
    FleetDocument {
        format: FORMAT.to_owned(),
        captured_at: Timestamp::UNIX_EPOCH,
        source: "store".to_owned(),
        defaults: Defaults::default(),
        hosts: Vec::new(),
        flavors: Vec::new(),
        instances: Vec::new(),
        server_groups: Vec::new(),
        racks: Vec::new(),
    }
}
