//! Confirm, revert or abort one migration.

use std::path::Path;
use std::time::Duration;

use decant_schema::migration::{Migration, MigrationId, MigrationState, Subject, Wish};
use decant_schema::store::Store;

use super::session::{self, Session, is_at_rest};
use super::{ApplyError, ApplyOptions};
use crate::conductor::Scope;
use crate::driver::Drivers;
use crate::progress::ProgressSink;

/// How often a wish left for another process is looked after.
const POLL: Duration = Duration::from_millis(100);

/// Confirms, reverts or aborts a migration; returns it when that is carried out, or the refusal when it cannot be.
///
/// The wish is left in the store first. Then this process conducts that migration and no other, with agents on its two
/// hosts alone; or, where another process conducts already, waits for that one to do it; should it end before, this one
/// takes over.
pub async fn decide(
    store: &Path,
    drivers: Drivers,
    id: MigrationId,
    wish: Wish,
    options: ApplyOptions,
    progress: ProgressSink,
) -> Result<Migration, ApplyError> {
    let wishes = session::look(store).await?;
    let drivers = only_its_hosts(drivers, &wishes.migration(id).await?);
    let number = wishes.add_wish(id, wish).await?;
    loop {
        match session::hold(store).await {
            Ok(held) => {
                held.adopt(&drivers).await?;
                let mut session = Session::open(held, Scope::Migration(id), drivers, options.bandwidth, progress);
                session.conductor.grant_wishes().await?;
                loop {
                    if let Some(migration) = carried_out(session.store(), number, id, wish).await? {
                        return Ok(migration);
                    }
                    session.go_on().await?;
                    session.news();
                }
            }
            Err(ApplyError::Busy { .. }) => {
                if let Some(migration) = carried_out(&wishes, number, id, wish).await? {
                    return Ok(migration);
                }
                tokio::time::sleep(POLL).await;
            }
            Err(error) => return Err(error),
        }
    }
}

fn only_its_hosts(mut drivers: Drivers, migration: &Migration) -> Drivers {
    let Subject { old, new, .. } = &migration.subject;
    drivers.retain(|host, _| *host == old.host || *host == new.host);
    drivers
}

/// The migration, once the wish was granted and nothing more happens by itself.
async fn carried_out(store: &Store, number: i64, id: MigrationId, wish: Wish) -> Result<Option<Migration>, ApplyError> {
    match store.wish_answer(number).await? {
        None => Ok(None),
        Some(refusal) if !refusal.is_empty() => Err(ApplyError::NotGranted { wish, id, refusal }),
        Some(_) => {
            let migration = store.migration(id).await?;
            if is_at_rest(&migration) { what_came_of_it(migration, wish).map(Some) } else { Ok(None) }
        }
    }
}

/// The migration, if it came to what was wanted; else what stood in the way.
fn what_came_of_it(migration: Migration, wish: Wish) -> Result<Migration, ApplyError> {
    if migration.state.outcome().is_some() {
        return Ok(migration);
    }
    let found = match (&migration.state, &migration.cause) {
        (MigrationState::Overtaken { by, .. }, _) => format!("go on: {by}"),
        (_, Some(cause)) => format!("{wish} it: {cause}"),
        (state, None) => format!("{wish} it: it is in state {}", state.name()),
    };
    Err(ApplyError::NotGranted { wish, id: migration.id, refusal: found })
}
