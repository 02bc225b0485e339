//! The hosts of this machine as text.

use comfy_table::Cell;
use serde::Serialize;

use super::right;
use crate::render::{drawn, table};

/// A host of this machine.
#[derive(Serialize)]
pub(crate) struct HostRow {
    /// Its name.
    pub(crate) host: String,
    /// How many instances it has something of.
    pub(crate) instances: usize,
    /// The store that conducts it, if one does.
    pub(crate) store: Option<String>,
    /// What is free on its storage, MiB.
    pub(crate) free_mb: u64,
    /// How much of that no copy takes, MiB.
    pub(crate) kept_free_mb: u64,
}

/// A table of hosts.
pub(crate) fn hosts(rows: &[HostRow]) -> String {
    if rows.is_empty() {
        return "No host was added here: decant host add NAME --hosts-in FOLDER\n".to_owned();
    }
    let mut table = table(["host", "instances", "free", "kept free", "conducted by"]);
    for row in rows {
        table.add_row([
            Cell::new(&row.host),
            right(row.instances),
            right(format!("{} MiB", row.free_mb)),
            right(format!("{} MiB", row.kept_free_mb)),
            Cell::new(row.store.as_deref().unwrap_or("no store yet")),
        ]);
    }
    drawn(table, &[1, 2, 3]) + "\n"
}
