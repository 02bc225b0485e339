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

    /// Whether this plan was begun; fails where another one was by its id.
    pub async fn has_begun(&self, plan: &Plan) -> Result<bool, StoreError> {
        let Some(begun) = self.plan(plan.id).await? else { return Ok(false) };
        // What was stored was written and read once: its numbers may differ in a last digit from ones never written.
        let same = from_json::<Plan>("plan", &to_json(plan))? == begun;
        if same { Ok(true) } else { Err(StoreError::OtherPlan(plan.id)) }
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
