//! The fleet as the store knows it: taken over from a document once, kept true by what agents report.

use std::collections::BTreeMap;

use jiff::Timestamp;
use sqlx::Row;

use super::{Store, StoreError, Write, from_json, sql, to_json};
use crate::fleet::{Flavor, Fleet, FleetDocument, Host, Resources, ServerGroup};

impl Store {
    /// Takes over a fleet in place of the one before, as of the time it was captured. Refused while a migration is unfinished: its claims and its
    /// instance's place are not the document's to say.
    pub async fn import_fleet(&self, fleet: &Fleet) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        let unfinished: i64 = sqlx::query_scalar("SELECT count(*) FROM migrations WHERE state <> 'finished'")
            .fetch_one(&mut *write)
            .await
            .map_err(sql("count the migrations"))?;
        if unfinished > 0 {
            return Err(StoreError::Unfinished { count: usize::try_from(unfinished).unwrap_or(usize::MAX) });
        }
        for statement in ["DELETE FROM claims", "DELETE FROM instances", "DELETE FROM hosts", "DELETE FROM fleet"] {
            sqlx::query(statement).execute(&mut *write).await.map_err(sql("forget the fleet before"))?;
        }
        insert_rest(&mut write, fleet.document()).await?;
        let usage = usage_by_host(fleet);
        for (host, used) in fleet.hosts().iter().zip(&usage) {
            super::hosts::insert(&mut write, host, &ceiling(host, used)).await?;
        }
        for instance in fleet.instances() {
            super::instances::insert(&mut write, instance, fleet.claim(instance)).await?;
        }
        super::deaths::keep_down(&mut write).await?;
        self.commit(write).await
    }

    /// Takes over what a fleet says of hosts the store knows: whether they are up and take instances, and what they can
    /// hold. Where the instances are is the store's to say, so this works while migrations are unfinished.
    pub async fn update_hosts(&self, fleet: &Fleet) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        for host in fleet.hosts() {
            let mut used = host.other_usage.clone();
            for claim in super::hosts::claims_on(&mut write, &host.name).await? {
                super::hosts::add(&mut used, &claim);
            }
            super::hosts::update(&mut write, host, &ceiling(host, &used)).await?;
        }
        super::deaths::keep_down(&mut write).await?;
        self.commit(write).await
    }

    /// The fleet as it is now, as a document.
    pub async fn fleet(&self) -> Result<FleetDocument, StoreError> {
        let row = sqlx::query("SELECT document, changed_at FROM fleet")
            .fetch_optional(&self.pool)
            .await
            .map_err(sql("read the fleet"))?
            .ok_or(StoreError::NoFleet)?;
        let mut document: FleetDocument = from_json("fleet", row.get("document"))?;
        document.captured_at = from_json("time", row.get("changed_at"))?;
        document.hosts = super::hosts::all(&self.pool).await?;
        document.instances = super::instances::all(&self.pool).await?;
        Ok(document)
    }

    /// The flavors of the fleet.
    pub async fn flavors(&self) -> Result<Vec<Flavor>, StoreError> {
        Ok(self.rest().await?.flavors)
    }

    /// The server groups of the fleet.
    pub async fn server_groups(&self) -> Result<Vec<ServerGroup>, StoreError> {
        Ok(self.rest().await?.server_groups)
    }

    /// What the fleet's document said that no migration changes.
    async fn rest(&self) -> Result<FleetDocument, StoreError> {
        let row = sqlx::query("SELECT document FROM fleet").fetch_optional(&self.pool).await;
        let row = row.map_err(sql("read the fleet"))?.ok_or(StoreError::NoFleet)?;
        from_json("fleet", row.get("document"))
    }

    /// Whether a fleet was ever taken over.
    pub async fn has_fleet(&self) -> Result<bool, StoreError> {
        let count: i64 = sqlx::query_scalar("SELECT count(*) FROM fleet")
            .fetch_one(&self.pool)
            .await
            .map_err(sql("read the fleet"))?;
        Ok(count > 0)
    }
}

pub(super) async fn insert_rest(write: &mut Write, document: &FleetDocument) -> Result<(), StoreError> {
    let rest =
        FleetDocument { hosts: Vec::new(), instances: Vec::new(), source: "store".to_owned(), ..document.clone() };
    sqlx::query("INSERT INTO fleet (id, document, changed_at) VALUES (1, $1, $2)")
        .bind(to_json(&rest))
        .bind(to_json(&document.captured_at))
        .execute(&mut **write)
        .await
        .map_err(sql("write the fleet"))?;
    Ok(())
}

/// Records when an instance last changed its place or size.
pub(super) async fn touch(write: &mut Write, now: Timestamp) -> Result<(), StoreError> {
    sqlx::query("UPDATE fleet SET changed_at = $1")
        .bind(to_json(&now))
        .execute(&mut **write)
        .await
        .map_err(sql("date the fleet"))?;
    Ok(())
}

/// What is claimed and otherwise used on each host, in the order of the fleet's hosts.
fn usage_by_host(fleet: &Fleet) -> Vec<Resources> {
    let mut usage: Vec<Resources> = fleet.hosts().iter().map(|host| host.other_usage.clone()).collect();
    for instance in fleet.instances() {
        if let Some(at) = fleet.host_index(instance.host.as_str()) {
            super::hosts::add(&mut usage[at], fleet.claim(instance));
        }
    }
    usage
}

/// A host is never filled beyond its capacity, except as far as it already is.
pub(super) fn ceiling(host: &Host, used: &Resources) -> Resources {
    let capacity = host.inventory.iter().map(|(class, inventory)| (class.clone(), inventory.capacity()));
    let mut ceiling: BTreeMap<_, _> = capacity.collect();
    for (class, amount) in used {
        let most = ceiling.entry(class.clone()).or_insert(0);
        *most = (*most).max(*amount);
    }
    ceiling
}
