//! How a store comes into being: made under another name, whole and durable, then renamed into place.
//!
//! A process that is killed on the way leaves no store or a whole one. What it left under the other name is swept by the
//! next process that opens the store. All of this is done under the lock of opening, by one process at a time.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

use super::{StoreError, bring_up_to_date};

/// What SQLite appends to a database's name for the files it keeps beside it.
const COMPANIONS: [&str; 4] = ["", "-journal", "-wal", "-shm"];

/// Makes the store of this file where there is none; sweeps what an earlier try left.
pub(super) async fn make_unless_there(path: &Path) -> Result<(), StoreError> {
    let unusable = |source: io::Error| StoreError::Open { path: path.to_owned(), source: source.into() };
    let unfinished = with_ending(path, ".making");
    sweep(&unfinished).map_err(unusable)?;
    if is_there(path).map_err(unusable)? {
        return Ok(());
    }
    fill(&unfinished).await?;
    put_in_place(&unfinished, path).map_err(unusable)
}

/// An empty file is no store: it is what another program's touch, or a copy cut short, leaves behind.
fn is_there(path: &Path) -> io::Result<bool> {
    match fs::metadata(path) {
        Ok(found) => Ok(found.len() > 0),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Every table, in one file: without a write-ahead log nothing of it is elsewhere when it is renamed.
async fn fill(path: &Path) -> Result<(), StoreError> {
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Delete)
        .synchronous(SqliteSynchronous::Full);
    let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await;
    let pool = pool.map_err(|source| StoreError::Open { path: path.to_owned(), source })?;
    let made = bring_up_to_date(&pool, path).await;
    pool.close().await;
    made
}

fn put_in_place(unfinished: &Path, path: &Path) -> io::Result<()> {
    File::open(unfinished)?.sync_all()?;
    fs::rename(unfinished, path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

fn sweep(unfinished: &Path) -> io::Result<()> {
    for companion in COMPANIONS {
        match fs::remove_file(with_ending(unfinished, companion)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}
