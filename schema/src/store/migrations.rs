//! Migrations: created with their room claimed, changed by comparing first.

use jiff::Timestamp;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use super::{Store, StoreError, Write, deaths, from_json, hosts, instances, journal, sql, to_json};
use crate::fleet::{InstanceState, Resources};
use crate::id::InstanceId;
use crate::migration::{Death, Figures, Generation, Migration, MigrationId, MigrationState, PlanLine, Subject, Terms};
use crate::plan::MoveMode;

/// A migration to be created.
#[derive(Clone, Debug, PartialEq)]
pub struct NewMigration {
    /// Its id; made by the caller, so that asking twice creates one.
    pub id: MigrationId,
    /// The line of a plan it carries out.
    pub line: Option<PlanLine>,
    /// Who moves. `begun` is set by the store.
    pub subject: Subject,
    /// How long it waits for whom.
    pub terms: Terms,
}

impl Store {
    /// Creates a migration and claims its room, or does neither: the instance must still be as the subject says, in no
    /// other migration, and the target must have the room.
    pub async fn create_migration(&self, new: NewMigration, now: Timestamp) -> Result<Migration, StoreError> {
        let instance = new.subject.instance.clone();
        let mut write = self.write().await?;
        if instances::attributes_of(&mut write, &instance).await?.as_ref() != Some(&new.subject.old) {
            return Err(StoreError::Moved { instance, expected: new.subject.old.host });
        }
        let death = proof_of_death(&mut write, &new.subject).await?;
        let begun = first_generation(&mut write, &instance).await?;
        let migration = Migration {
            id: new.id,
            line: new.line,
            state: MigrationState::first(new.subject.mode),
            subject: Subject { begun, ..new.subject },
            terms: new.terms,
            generation: begun,
            cause: None,
            death,
            lease_until: None,
            figures: Figures::default(),
            created_at: now,
            updated_at: now,
        };
        insert(&mut write, &migration).await?;
        hosts::claim(&mut write, migration.subject.target(), &instance, &room(&migration.subject)).await?;
        journal::append(&mut write, &migration, "created", now).await?;
        self.commit(write).await?;
        Ok(migration)
    }

    /// Stores a migration's next state if it is still as it was in `before`, together with all that follows from it:
    /// where its instance is, whether that runs, and, once it is finished, the release of the room it does not need.
    pub async fn change_migration(
        &self,
        before: &Migration,
        after: &Migration,
        event: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        update(&mut write, before, after).await?;
        let (instance, standing) = (&after.subject.instance, after.standing());
        if standing != before.standing() {
            instances::place(&mut write, instance, standing).await?;
            super::fleet::touch(&mut write, now).await?;
        }
        if before.subject.runs && !after.subject.runs {
            instances::set_state(&mut write, instance, InstanceState::Stopped).await?;
            super::fleet::touch(&mut write, now).await?;
        }
        if after.state.outcome().is_some() && before.state.outcome().is_none() {
            hosts::settle(&mut write, &standing.host, instance, &standing.claim).await?;
        }
        if before.figures.cut_off_at.is_none() && after.figures.cut_off_at.is_some() {
            journal::append(&mut write, before, "guest-cut-off", now).await?;
        }
        if after.state != before.state || after.subject != before.subject {
            journal::append(&mut write, after, event, now).await?;
        }
        self.commit(write).await
    }

    /// One migration.
    pub async fn migration(&self, id: MigrationId) -> Result<Migration, StoreError> {
        let row = sqlx::query("SELECT document FROM migrations WHERE id = $1")
            .bind(id.to_string())
            .fetch_optional(&self.pool)
            .await
            .map_err(sql("read a migration"))?;
        row.as_ref().map(migration).ok_or(StoreError::NoMigration(id))?
    }

    /// All migrations, by creation.
    pub async fn migrations(&self) -> Result<Vec<Migration>, StoreError> {
        let rows = sqlx::query("SELECT document FROM migrations ORDER BY id").fetch_all(&self.pool).await;
        rows.map_err(sql("read the migrations"))?.iter().map(migration).collect()
    }

    /// The migrations that are not finished, by creation.
    pub async fn unfinished_migrations(&self) -> Result<Vec<Migration>, StoreError> {
        let rows = sqlx::query("SELECT document FROM migrations WHERE state <> 'finished' ORDER BY id")
            .fetch_all(&self.pool)
            .await;
        rows.map_err(sql("read the migrations"))?.iter().map(migration).collect()
    }

    /// The migration an instance is in, if it is in one.
    pub async fn unfinished_migration_of(&self, instance: &InstanceId) -> Result<Option<Migration>, StoreError> {
        let row = sqlx::query("SELECT document FROM migrations WHERE instance = $1 AND state <> 'finished'")
            .bind(instance.as_str())
            .fetch_optional(&self.pool)
            .await
            .map_err(sql("read a migration"))?;
        row.as_ref().map(migration).transpose()
    }

    /// The migrations that carry out a plan, by its lines.
    pub async fn migrations_of(&self, plan: Uuid) -> Result<Vec<Migration>, StoreError> {
        let rows = sqlx::query("SELECT document FROM migrations WHERE plan = $1 ORDER BY line")
            .bind(plan.to_string())
            .fetch_all(&self.pool)
            .await;
        rows.map_err(sql("read the migrations"))?.iter().map(migration).collect()
    }
}

/// A rebuild takes an instance from a host that cannot be asked: only what proves that host's death lets it.
async fn proof_of_death(write: &mut Write, subject: &Subject) -> Result<Option<Death>, StoreError> {
    if subject.mode != MoveMode::Rebuild {
        return Ok(None);
    }
    let host = subject.source();
    let unproven = || StoreError::NoProof { instance: subject.instance.clone(), host: host.clone() };
    deaths::of(write, host).await?.map(Some).ok_or_else(unproven)
}

/// One more than the instance's last migration reached, and than any host was found to have obeyed. It follows no clock:
/// one that was once ahead would put every later order of it behind what its hosts obeyed.
async fn first_generation(write: &mut Write, instance: &InstanceId) -> Result<Generation, StoreError> {
    let last: Option<i64> = sqlx::query_scalar(
        "SELECT max(number) FROM (SELECT generation AS number FROM migrations WHERE instance = $1
                                  UNION ALL SELECT obeyed FROM generations WHERE instance = $1)",
    )
    .bind(instance.as_str())
    .fetch_one(&mut **write)
    .await
    .map_err(sql("read the last generation"))?;
    Ok(Generation(u64::try_from(last.unwrap_or(0)).unwrap_or(0)).next())
}

/// What a migration claims at its target; in place, the greater of old and new of each class, since it never runs
/// twice.
fn room(subject: &Subject) -> Resources {
    let mut room = subject.new.claim.clone();
    if subject.in_place() {
        for (class, amount) in &subject.old.claim {
            let most = room.entry(class.clone()).or_insert(0);
            *most = (*most).max(*amount);
        }
    }
    room
}

async fn insert(write: &mut Write, migration: &Migration) -> Result<(), StoreError> {
    let inserted = sqlx::query(
        "INSERT INTO migrations (id, plan, line, instance, state, generation, document)
         VALUES ($1, $2, $3, $4, $5, $6, $7)",
    )
    .bind(migration.id.to_string())
    .bind(migration.line.map(|line| line.plan.to_string()))
    .bind(migration.line.map(|line| line.id.0))
    .bind(migration.subject.instance.as_str())
    .bind(migration.state.name())
    .bind(number(migration.generation))
    .bind(to_json(migration))
    .execute(&mut **write)
    .await;
    match inserted {
        Err(sqlx::Error::Database(error)) if error.is_unique_violation() => {
            Err(StoreError::InMigration { instance: migration.subject.instance.clone() })
        }
        other => other.map(drop).map_err(sql("write a migration")),
    }
}

/// The compare-and-set on state and generation.
pub(super) async fn update(write: &mut Write, before: &Migration, after: &Migration) -> Result<(), StoreError> {
    let updated = sqlx::query(
        "UPDATE migrations SET state = $1, generation = $2, document = $3
         WHERE id = $4 AND state = $5 AND generation = $6",
    )
    .bind(after.state.name())
    .bind(number(after.generation))
    .bind(to_json(after))
    .bind(after.id.to_string())
    .bind(before.state.name())
    .bind(number(before.generation))
    .execute(&mut **write)
    .await
    .map_err(sql("change a migration"))?;
    if updated.rows_affected() == 1 { Ok(()) } else { Err(StoreError::Outdated(after.id)) }
}

pub(super) fn number(generation: Generation) -> i64 {
    i64::try_from(generation.0).unwrap_or(i64::MAX)
}

fn migration(row: &SqliteRow) -> Result<Migration, StoreError> {
    from_json("migration", row.get("document"))
}
