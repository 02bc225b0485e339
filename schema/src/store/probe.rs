//! Whether a file is a store, found out without changing it.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};

use super::Store;

/// What every database of this kind begins with.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

impl Store {
    /// Whether the file is a store. One that cannot be looked into is taken for one: opening it says why.
    pub async fn is_at(path: &Path) -> bool {
        let mut head = [0; MAGIC.len()];
        match File::open(path).and_then(|mut file| file.read_exact(&mut head)) {
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => return true,
            Ok(()) if head == *MAGIC => {}
            Ok(()) | Err(_) => return false,
        }
        let options = SqliteConnectOptions::new().filename(path).read_only(true);
        let Ok(mut connection) = options.connect().await else { return true };
        let is_store = has_our_tables(&mut connection).await;
        // Nothing was written: there is nothing that closing could lose.
        let _closed = connection.close().await;
        is_store
    }
}

async fn has_our_tables(connection: &mut SqliteConnection) -> bool {
    let ours = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name IN ('fleet', 'plans', 'migrations')";
    let count: Result<i64, _> = sqlx::query_scalar(ours).fetch_one(connection).await;
    count.map_or(true, |count| count == 3)
}
