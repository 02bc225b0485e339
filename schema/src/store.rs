//! What outlives every process: the fleet as it is known, the plans begun, the migrations and how far they are.
//!
//! One SQLite file. Anybody may read it and add a wish; one conductor writes everything else. What is written in one
//! call is one transaction, so a killed process leaves a whole state: the one before or the one after.
//!
//! Transactions that read and then write begin as writers (`BEGIN IMMEDIATE`): one that became a writer halfway would
//! be refused as soon as two processes meet.

mod additions;
mod deaths;
mod fleet;
mod found;
mod hosts;
mod incarnations;
mod instances;
mod journal;
mod making;
mod migrations;
mod places;
mod plans;
mod probe;
mod wishes;

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::migrate::MigrateError;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Sqlite, SqlitePool, Transaction};
use thiserror::Error;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

pub use found::Found;
pub use incarnations::Incarnation;
pub use journal::JournalEntry;
pub use migrations::NewMigration;
pub use places::Place;
pub use wishes::WishEntry;

use crate::id::{HostName, InstanceId, ResourceClass};
use crate::migration::MigrationId;

/// How long a writer waits for another process's transaction; those last milliseconds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

/// How often a process that opens the store is looked after by another that waits for it: opening takes milliseconds.
const RETRY: Duration = Duration::from_millis(5);

type Write = Transaction<'static, Sqlite>;

/// Called after every committed write; an error makes the caller stop there, as if it had been killed. For tests that
/// try every such moment.
pub type WriteHook = Arc<dyn Fn() -> Result<(), StoreError> + Send + Sync>;

/// The store.
#[derive(Clone)]
pub struct Store {
    pool: SqlitePool,
    after_write: Option<WriteHook>,
}

impl Store {
    /// Opens the store of this file; makes one where there is none, which appears whole or not at all.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .foreign_keys(true)
            .journal_mode(SqliteJournalMode::Wal)
            // What was committed must survive the machine: a cast may already have acted on it.
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_TIMEOUT);
        let open = |source| StoreError::Open { path: path.to_owned(), source };
        let _alone = alone(path).await.map_err(|source| open(source.into()))?;
        making::make_unless_there(path).await?;
        let pool = SqlitePoolOptions::new().max_connections(4).connect_with(options).await.map_err(open)?;
        Self::migrated(pool, path).await
    }

    /// A store in memory, that ends with its last clone.
    pub async fn in_memory() -> Result<Self, StoreError> {
        let path = Path::new(":memory:");
        let options = SqliteConnectOptions::new().in_memory(true).foreign_keys(true);
        let pool = SqlitePoolOptions::new()
            .max_connections(1)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_with(options)
            .await
            .map_err(|source| StoreError::Open { path: path.to_owned(), source })?;
        Self::migrated(pool, path).await
    }

    async fn migrated(pool: SqlitePool, path: &Path) -> Result<Self, StoreError> {
        bring_up_to_date(&pool, path).await?;
        Ok(Self { pool, after_write: None })
    }

    /// The same store, with a hook after every write.
    pub fn with_write_hook(mut self, after_write: WriteHook) -> Self {
        self.after_write = Some(after_write);
        self
    }

    /// What tells this store from every other, for as long as there is its file.
    pub async fn identity(&self) -> Result<String, StoreError> {
        let found = sqlx::query_scalar("SELECT id FROM identity").fetch_one(&self.pool).await;
        found.map_err(sql("read the identity"))
    }

    async fn write(&self) -> Result<Write, StoreError> {
        self.pool.begin_with("BEGIN IMMEDIATE").await.map_err(sql("begin to write"))
    }

    async fn commit(&self, write: Write) -> Result<(), StoreError> {
        write.commit().await.map_err(sql("commit"))?;
        self.after_write.as_ref().map_or(Ok(()), |hook| hook())
    }
}

/// Makes the tables that are missing, each change in one transaction.
async fn bring_up_to_date(pool: &SqlitePool, path: &Path) -> Result<(), StoreError> {
    let ours = sqlx::migrate!("migrations/sqlite");
    ours.run(pool).await.map_err(|source| match source {
        MigrateError::VersionMissing(written) => {
            let known = ours.iter().map(|change| change.version).max().unwrap_or(0);
            StoreError::Newer { path: path.to_owned(), written, known }
        }
        source => StoreError::Migrate { path: path.to_owned(), source },
    })
}

/// The right to make a store's tables and to bring them up to date, until dropped. SQLite's own locks do not give it: of
/// two processes that both find a table missing, the second to make it fails.
async fn alone(path: &Path) -> io::Result<File> {
    let mut name = path.as_os_str().to_owned();
    name.push(".opening");
    let lock = File::options().create(true).truncate(false).write(true).open(name)?;
    let end = Instant::now() + BUSY_TIMEOUT;
    loop {
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) if Instant::now() < end => sleep(RETRY).await,
            taken => return taken.map(|()| lock).map_err(io::Error::from),
        }
    }
}

/// Why the store did not do what it was asked.
#[derive(Debug, Error)]
pub enum StoreError {
    /// The file cannot be opened.
    #[error("open the store {}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: sqlx::Error,
    },
    /// A newer decant has written the store.
    #[error("open the store {}: a newer decant has written it, in format {written}; this one knows {known}", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// The store's format, the number of its newest change of tables that this program does not know.
        written: i64,
        /// The newest format this program knows.
        known: i64,
    },
    /// The file's tables cannot be brought up to date.
    #[error("bring the store {} up to date", path.display())]
    Migrate {
        /// The file.
        path: PathBuf,
        /// Why not.
        #[source]
        source: MigrateError,
    },
    /// A statement failed.
    #[error("{action} in the store")]
    Sql {
        /// What was being done.
        action: &'static str,
        /// Why not.
        #[source]
        source: sqlx::Error,
    },
    /// A row does not read as what it must be.
    #[error("read a {what} from the store")]
    Unreadable {
        /// What it should be.
        what: &'static str,
        /// Why it is not.
        #[source]
        source: serde_json::Error,
    },
    /// The row has changed since it was read.
    #[error("change migration {0}: it has changed meanwhile")]
    Outdated(MigrationId),
    /// There is no such migration.
    #[error("find migration {0}")]
    NoMigration(MigrationId),
    /// The instance is not, or no longer, what the migration was made for.
    #[error("move {instance}: it is not on {expected} any more, or not as large as it was")]
    Moved {
        /// The instance.
        instance: InstanceId,
        /// Where it was to be.
        expected: HostName,
    },
    /// The instance is in a migration already.
    #[error("move {instance}: it is in another migration")]
    InMigration {
        /// The instance.
        instance: InstanceId,
    },
    /// The fleet cannot be replaced while somebody moves.
    #[error("take over another fleet: {count} migrations are unfinished")]
    Unfinished {
        /// How many.
        count: usize,
    },
    /// Another plan was begun by this id.
    #[error("go on with plan {0}: another one was begun by this id")]
    OtherPlan(Uuid),
    /// An instance would be built elsewhere, and nothing proves that its host is off.
    #[error("rebuild {instance}: nothing proves that {host} is dead")]
    NoProof {
        /// The instance.
        instance: InstanceId,
        /// Its host.
        host: HostName,
    },
    /// The host is not known.
    #[error("find host {0}")]
    NoHost(HostName),
    /// The store holds no fleet yet.
    #[error("find a fleet in the store")]
    NoFleet,
    /// The host has no room for the instance.
    #[error("claim {need} {class} on {host}: only {headroom} of it are free")]
    NoRoom {
        /// The host.
        host: HostName,
        /// Of what.
        class: ResourceClass,
        /// How much.
        need: u64,
        /// How much there is.
        headroom: u64,
    },
    /// A test's hook asked to stop here.
    #[error("go on: stopped after a write")]
    Stopped,
}

impl StoreError {
    /// Whether the store works, and what was asked does not fit what is in it.
    pub fn is_refusal(&self) -> bool {
        matches!(
            self,
            Self::Outdated(_)
                | Self::NoMigration(_)
                | Self::Moved { .. }
                | Self::InMigration { .. }
                | Self::Unfinished { .. }
                | Self::OtherPlan(_)
                | Self::NoProof { .. }
                | Self::NoHost(_)
                | Self::NoRoom { .. }
        )
    }
}

fn sql(action: &'static str) -> impl Fn(sqlx::Error) -> StoreError {
    move |source| StoreError::Sql { action, source }
}

/// Everything stored is made of types that can be written as JSON.
fn to_json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("documents have text keys and finite numbers")
}

fn from_json<T: DeserializeOwned>(what: &'static str, text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|source| StoreError::Unreadable { what, source })
}

#[cfg(test)]
mod tests;
