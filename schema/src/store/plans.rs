//! Plans that were begun.

use jiff::Timestamp;
use sqlx::Row;
use uuid::Uuid;

use super::{Store, StoreError, from_json, sql, to_json};
use crate::plan::Plan;

impl Store {
    /// Records that a plan is being carried out; the same plan again changes nothing.
    pub async fn begin_plan(&self, plan: &Plan, now: Timestamp) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        sqlx::query("INSERT INTO plans (id, document, begun_at) VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING")
            .bind(plan.id.to_string())
            .bind(to_json(plan))
            .bind(to_json(&now))
            .execute(&mut *write)
            .await
            .map_err(sql("write a plan"))?;
        self.commit(write).await
    }

    /// A plan that was begun.
    pub async fn plan(&self, id: Uuid) -> Result<Option<Plan>, StoreError> {
        let row = sqlx::query("SELECT document FROM plans WHERE id = $1")
            .bind(id.to_string())
            .fetch_optional(&self.pool)
            .await
            .map_err(sql("read a plan"))?;
        row.map(|row| from_json("plan", row.get("document"))).transpose()
    }
}
