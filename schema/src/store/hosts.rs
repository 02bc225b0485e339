//! Hosts, and the room that is claimed on them.
//!
//! Claims add up to what is promised of a host: one for each instance that is there, or is on its way there. Adding to
//! them compares the host's generation first, so two who saw the same room cannot both take it.

use std::collections::BTreeSet;

use sqlx::{Row, SqlitePool};

use super::{Store, StoreError, Write, from_json, sql, to_json};
use crate::fleet::{Host, Resources};
use crate::id::{HostName, InstanceId};

impl Store {
    /// One host.
    pub async fn host(&self, name: &HostName) -> Result<Option<Host>, StoreError> {
        let row = sqlx::query("SELECT document FROM hosts WHERE name = $1")
            .bind(name.as_str())
            .fetch_optional(&self.pool)
            .await
            .map_err(sql("read a host"))?;
        row.map(|row| from_json("host", row.get("document"))).transpose()
    }

    /// The hosts on which an instance holds room: one, or two while it moves.
    pub async fn rooms_of(&self, instance: &InstanceId) -> Result<BTreeSet<HostName>, StoreError> {
        let rows = sqlx::query("SELECT host FROM claims WHERE instance = $1")
            .bind(instance.as_str())
            .fetch_all(&self.pool)
            .await
            .map_err(sql("read the claims"))?;
        Ok(rows.iter().map(|row| HostName::new(row.get::<&str, _>("host"))).collect())
    }

    /// Everything that is claimed on every host, by host and instance.
    pub async fn claims(&self) -> Result<Vec<(HostName, InstanceId, Resources)>, StoreError> {
        sqlx::query("SELECT host, instance, amounts FROM claims ORDER BY host, instance")
            .fetch_all(&self.pool)
            .await
            .map_err(sql("read the claims"))?
            .iter()
            .map(|row| {
                let (host, instance): (&str, &str) = (row.get("host"), row.get("instance"));
                Ok((host.into(), instance.into(), from_json("claim", row.get("amounts"))?))
            })
            .collect()
    }
}

pub(super) async fn insert(write: &mut Write, host: &Host, ceiling: &Resources) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO hosts (name, document, ceiling) VALUES ($1, $2, $3)")
        .bind(host.name.as_str())
        .bind(to_json(host))
        .bind(to_json(ceiling))
        .execute(&mut **write)
        .await
        .map_err(sql("write a host"))?;
    Ok(())
}

/// Replaces what is known of a host; one that is not part of the fleet stays so.
pub(super) async fn update(write: &mut Write, host: &Host, ceiling: &Resources) -> Result<(), StoreError> {
    sqlx::query("UPDATE hosts SET document = $1, ceiling = $2 WHERE name = $3")
        .bind(to_json(host))
        .bind(to_json(ceiling))
        .bind(host.name.as_str())
        .execute(&mut **write)
        .await
        .map_err(sql("write a host"))?;
    Ok(())
}

/// Everything that is claimed on a host.
pub(super) async fn claims_on(write: &mut Write, host: &HostName) -> Result<Vec<Resources>, StoreError> {
    let rows = sqlx::query("SELECT amounts FROM claims WHERE host = $1").bind(host.as_str()).fetch_all(&mut **write);
    let rows = rows.await.map_err(sql("read the claims"))?;
    rows.iter().map(|row| from_json("claim", row.get("amounts"))).collect()
}

/// Records whether a host is up; one that is not part of the fleet stays so.
pub(super) async fn set_up(write: &mut Write, name: &HostName, up: bool) -> Result<(), StoreError> {
    let row = sqlx::query("SELECT document FROM hosts WHERE name = $1")
        .bind(name.as_str())
        .fetch_optional(&mut **write)
        .await
        .map_err(sql("read a host"))?;
    let Some(row) = row else { return Ok(()) };
    let document: Host = from_json("host", row.get("document"))?;
    sqlx::query("UPDATE hosts SET document = $1 WHERE name = $2")
        .bind(to_json(&Host { up, ..document }))
        .bind(name.as_str())
        .execute(&mut **write)
        .await
        .map_err(sql("write a host"))?;
    Ok(())
}

pub(super) async fn all(pool: &SqlitePool) -> Result<Vec<Host>, StoreError> {
    let rows = sqlx::query("SELECT document FROM hosts ORDER BY name").fetch_all(pool).await;
    rows.map_err(sql("read the hosts"))?.iter().map(|row| from_json("host", row.get("document"))).collect()
}

/// Claims `amounts` for an instance on a host where it has no claim, or in place of the one it has; fails when they
/// would not fit beside the others'.
pub(super) async fn claim(
    write: &mut Write,
    host: &HostName,
    instance: &InstanceId,
    amounts: &Resources,
) -> Result<(), StoreError> {
    let row = sqlx::query("SELECT document, ceiling, generation FROM hosts WHERE name = $1")
        .bind(host.as_str())
        .fetch_optional(&mut **write)
        .await
        .map_err(sql("read a host"))?
        .ok_or_else(|| StoreError::NoHost(host.clone()))?;
    let document: Host = from_json("host", row.get("document"))?;
    let ceiling: Resources = from_json("ceiling", row.get("ceiling"))?;
    let mut used = document.other_usage;
    for other in others_claims(write, host, instance).await? {
        add(&mut used, &other);
    }
    for (class, &need) in amounts {
        let amount = |of: &Resources| of.get(class).copied().unwrap_or(0);
        let headroom = amount(&ceiling).saturating_sub(amount(&used));
        if need > headroom {
            return Err(StoreError::NoRoom { host: host.clone(), class: class.clone(), need, headroom });
        }
    }
    take(write, host, row.get("generation")).await?;
    put(write, host, instance, amounts).await
}

async fn others_claims(
    write: &mut Write,
    host: &HostName,
    instance: &InstanceId,
) -> Result<Vec<Resources>, StoreError> {
    sqlx::query("SELECT amounts FROM claims WHERE host = $1 AND instance <> $2")
        .bind(host.as_str())
        .bind(instance.as_str())
        .fetch_all(&mut **write)
        .await
        .map_err(sql("read the claims"))?
        .iter()
        .map(|row| from_json("claim", row.get("amounts")))
        .collect()
}

/// The comparison: fails if anybody has claimed on the host since its generation was read.
async fn take(write: &mut Write, host: &HostName, generation: i64) -> Result<(), StoreError> {
    let taken = sqlx::query("UPDATE hosts SET generation = generation + 1 WHERE name = $1 AND generation = $2")
        .bind(host.as_str())
        .bind(generation)
        .execute(&mut **write)
        .await
        .map_err(sql("claim on a host"))?;
    if taken.rows_affected() == 1 { Ok(()) } else { Err(sql("claim on a host")(sqlx::Error::RowNotFound)) }
}

pub(super) async fn put(
    write: &mut Write,
    host: &HostName,
    instance: &InstanceId,
    amounts: &Resources,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO claims (host, instance, amounts) VALUES ($1, $2, $3)
         ON CONFLICT (host, instance) DO UPDATE SET amounts = excluded.amounts",
    )
    .bind(host.as_str())
    .bind(instance.as_str())
    .bind(to_json(amounts))
    .execute(&mut **write)
    .await
    .map_err(sql("write a claim"))?;
    Ok(())
}

/// Leaves an instance with this one claim: the others are released.
pub(super) async fn settle(
    write: &mut Write,
    host: &HostName,
    instance: &InstanceId,
    amounts: &Resources,
) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM claims WHERE instance = $1")
        .bind(instance.as_str())
        .execute(&mut **write)
        .await
        .map_err(sql("release the claims"))?;
    put(write, host, instance, amounts).await
}

/// Adds amounts class by class.
pub(super) fn add(sum: &mut Resources, amounts: &Resources) {
    for (class, amount) in amounts {
        let total = sum.entry(class.clone()).or_insert(0);
        *total = total.saturating_add(*amount);
    }
}
