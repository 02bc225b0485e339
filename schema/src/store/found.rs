//! Takes up what hosts did without this store: it was restored from a backup, or took the hosts over from another.

use jiff::Timestamp;
use sqlx::Row;

use super::migrations::{number, update};
use super::{Store, StoreError, Write, from_json, hosts, instances, journal, sql};
use crate::id::{HostName, InstanceId};
use crate::migration::{Attributes, Generation, Migration, MigrationOutcome, MigrationState};

/// What was found of an instance by looking at the hosts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The instance.
    pub instance: InstanceId,
    /// The latest order that any host has obeyed for it.
    pub obeyed: Generation,
    /// Where it is.
    pub host: HostName,
}

impl Store {
    /// The latest generation this store knows of an instance.
    pub async fn generation(&self, instance: &InstanceId) -> Result<Generation, StoreError> {
        let last: Option<i64> = sqlx::query_scalar("SELECT max(generation) FROM migrations WHERE instance = $1")
            .bind(instance.as_str())
            .fetch_one(&self.pool)
            .await
            .map_err(sql("read the last generation"))?;
        Ok(Generation(u64::try_from(last.unwrap_or(0)).unwrap_or(0)))
    }

    /// Takes up everything that was found, or nothing: each instance is on record where it is, its next order comes after
    /// all that were obeyed, and a migration that its hosts have overtaken is over.
    pub async fn take_up(&self, all: &[Found], now: Timestamp) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        for found in all {
            raise(&mut write, found).await?;
            let begun = unfinished(&mut write, &found.instance).await?;
            match begun {
                Some(begun) if !begun.is_overtaken(found.obeyed) => {}
                Some(begun) => {
                    end(&mut write, &begun, found, now).await?;
                    place(&mut write, found).await?;
                }
                None => place(&mut write, found).await?,
            }
        }
        super::fleet::touch(&mut write, now).await?;
        self.commit(write).await
    }
}

async fn raise(write: &mut Write, found: &Found) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO generations (instance, obeyed) VALUES ($1, $2)
         ON CONFLICT (instance) DO UPDATE SET obeyed = max(obeyed, excluded.obeyed)",
    )
    .bind(found.instance.as_str())
    .bind(number(found.obeyed))
    .execute(&mut **write)
    .await
    .map_err(sql("take up a generation"))?;
    Ok(())
}

async fn unfinished(write: &mut Write, instance: &InstanceId) -> Result<Option<Migration>, StoreError> {
    let row = sqlx::query("SELECT document FROM migrations WHERE instance = $1 AND state <> 'finished'")
        .bind(instance.as_str())
        .fetch_optional(&mut **write)
        .await
        .map_err(sql("read a migration"))?;
    row.map(|row| from_json("migration", row.get("document"))).transpose()
}

/// Ends a record that its hosts have overtaken; it came to where the instance is.
async fn end(write: &mut Write, begun: &Migration, found: &Found, now: Timestamp) -> Result<(), StoreError> {
    let outcome = if found.host == *begun.subject.target() && !begun.subject.in_place() {
        MigrationOutcome::Confirmed
    } else {
        MigrationOutcome::Aborted
    };
    let state = MigrationState::Finished { outcome };
    let generation = found.obeyed.max(begun.generation).next();
    let over = Migration { state, generation, lease_until: None, updated_at: now, ..begun.clone() };
    update(write, begun, &over).await?;
    journal::append(write, &over, "taken-over", now).await?;
    instances::place(write, &found.instance, over.standing()).await
}

/// Records where an instance is, with room there and nowhere else: what is there needs no permission.
async fn place(write: &mut Write, found: &Found) -> Result<(), StoreError> {
    let Some(known) = instances::attributes_of(write, &found.instance).await? else { return Ok(()) };
    let at = Attributes { host: found.host.clone(), ..known };
    instances::place(write, &found.instance, &at).await?;
    hosts::settle(write, &found.host, &found.instance, &at.claim).await
}
