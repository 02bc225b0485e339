//! Instances: where each is and how large, as last reported.

use sqlx::{Row, SqlitePool};

use super::{Store, StoreError, Write, from_json, sql, to_json};
use crate::fleet::{Instance, InstanceState, Resources};
use crate::id::InstanceId;
use crate::migration::Attributes;

impl Store {
    /// The instance as it is now, and what it claims.
    pub async fn instance(&self, id: &InstanceId) -> Result<Option<(Instance, Attributes)>, StoreError> {
        let row = sqlx::query("SELECT * FROM instances WHERE id = $1")
            .bind(id.as_str())
            .fetch_optional(&self.pool)
            .await
            .map_err(sql("read an instance"))?;
        row.map(|row| Ok((instance(&row)?, attributes(&row)?))).transpose()
    }
}

pub(super) async fn insert(write: &mut Write, instance: &Instance, claim: &Resources) -> Result<(), StoreError> {
    insert_alone(write, instance, claim).await?;
    super::hosts::put(write, &instance.host, &instance.id, claim).await
}

/// The record without its claim, which whoever inserts it sees to.
pub(super) async fn insert_alone(write: &mut Write, instance: &Instance, claim: &Resources) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO instances (id, host, flavor, claim, own_claim, document) VALUES ($1, $2, $3, $4, $5, $6)")
        .bind(instance.id.as_str())
        .bind(instance.host.as_str())
        .bind(instance.flavor.as_str())
        .bind(to_json(claim))
        .bind(instance.resources.is_some())
        .bind(to_json(instance))
        .execute(&mut **write)
        .await
        .map_err(sql("write an instance"))?;
    Ok(())
}

/// Records what an instance does; one that is not there stays so.
pub(super) async fn set_state(write: &mut Write, id: &InstanceId, state: InstanceState) -> Result<(), StoreError> {
    let row = sqlx::query("SELECT document FROM instances WHERE id = $1")
        .bind(id.as_str())
        .fetch_optional(&mut **write)
        .await
        .map_err(sql("read an instance"))?;
    let Some(row) = row else { return Ok(()) };
    let document: Instance = from_json("instance", row.get("document"))?;
    sqlx::query("UPDATE instances SET document = $1 WHERE id = $2")
        .bind(to_json(&Instance { state, ..document }))
        .bind(id.as_str())
        .execute(&mut **write)
        .await
        .map_err(sql("write an instance"))?;
    Ok(())
}

pub(super) async fn all(pool: &SqlitePool) -> Result<Vec<Instance>, StoreError> {
    let rows = sqlx::query("SELECT * FROM instances ORDER BY id").fetch_all(pool).await;
    rows.map_err(sql("read the instances"))?.iter().map(instance).collect()
}

pub(super) async fn attributes_of(write: &mut Write, id: &InstanceId) -> Result<Option<Attributes>, StoreError> {
    let row = sqlx::query("SELECT * FROM instances WHERE id = $1")
        .bind(id.as_str())
        .fetch_optional(&mut **write)
        .await
        .map_err(sql("read an instance"))?;
    row.as_ref().map(attributes).transpose()
}

/// Records where an instance is and how large.
pub(super) async fn place(write: &mut Write, id: &InstanceId, at: &Attributes) -> Result<(), StoreError> {
    sqlx::query("UPDATE instances SET host = $1, flavor = $2, claim = $3, own_claim = $4 WHERE id = $5")
        .bind(at.host.as_str())
        .bind(at.flavor.as_str())
        .bind(to_json(&at.claim))
        .bind(at.own_claim)
        .bind(id.as_str())
        .execute(&mut **write)
        .await
        .map_err(sql("place an instance"))?;
    Ok(())
}

fn attributes(row: &sqlx::sqlite::SqliteRow) -> Result<Attributes, StoreError> {
    let (host, flavor): (&str, &str) = (row.get("host"), row.get("flavor"));
    let claim = from_json("claim", row.get("claim"))?;
    Ok(Attributes { host: host.into(), flavor: flavor.into(), claim, own_claim: row.get("own_claim") })
}

fn instance(row: &sqlx::sqlite::SqliteRow) -> Result<Instance, StoreError> {
    let Attributes { host, flavor, claim, own_claim } = attributes(row)?;
    let document: Instance = from_json("instance", row.get("document"))?;
    Ok(Instance { host, flavor, resources: own_claim.then_some(claim), ..document })
}
