//! What people asked for: written by any process, taken up by the one that conducts.

use sqlx::Row;

use super::{Store, StoreError, from_json, sql, to_json};
use crate::migration::{MigrationId, Wish};

/// A wish nobody has taken up yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WishEntry {
    /// Tells it from every other.
    pub number: i64,
    /// The migration it is about.
    pub migration: MigrationId,
    /// What is wanted.
    pub wish: Wish,
}

impl Store {
    /// Leaves a wish for the conductor; returns its number.
    pub async fn add_wish(&self, migration: MigrationId, wish: Wish) -> Result<i64, StoreError> {
        let mut write = self.write().await?;
        let added = sqlx::query("INSERT INTO wishes (migration, wish) VALUES ($1, $2)")
            .bind(migration.to_string())
            .bind(to_json(&wish))
            .execute(&mut *write)
            .await
            .map_err(sql("leave a wish"))?;
        self.commit(write).await?;
        Ok(added.last_insert_rowid())
    }

    /// The wishes nobody has taken up, the oldest first.
    pub async fn open_wishes(&self) -> Result<Vec<WishEntry>, StoreError> {
        sqlx::query("SELECT number, migration, wish FROM wishes WHERE answer IS NULL ORDER BY number")
            .fetch_all(&self.pool)
            .await
            .map_err(sql("read the wishes"))?
            .iter()
            .map(|row| {
                let migration: String = row.get("migration");
                Ok(WishEntry {
                    number: row.get("number"),
                    migration: from_json("migration id", &to_json(&migration))?,
                    wish: from_json("wish", row.get("wish"))?,
                })
            })
            .collect()
    }

    /// Records what became of a wish: granted is an empty answer, anything else says why not.
    pub async fn answer_wish(&self, number: i64, answer: &str) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        sqlx::query("UPDATE wishes SET answer = $1 WHERE number = $2")
            .bind(answer)
            .bind(number)
            .execute(&mut *write)
            .await
            .map_err(sql("answer a wish"))?;
        self.commit(write).await
    }

    /// What became of a wish; none while nobody has looked at it.
    pub async fn wish_answer(&self, number: i64) -> Result<Option<String>, StoreError> {
        sqlx::query_scalar("SELECT answer FROM wishes WHERE number = $1")
            .bind(number)
            .fetch_optional(&self.pool)
            .await
            .map(Option::flatten)
            .map_err(sql("read a wish"))
    }
}
