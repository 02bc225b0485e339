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
    /// Where its folder is.
    pub(crate) folder: String,
    /// Whether it is here: `here`, `not mounted`, `not there`, or why it cannot be looked at.
    pub(crate) state: String,
    /// How many instances it has something of; null where it is not here.
    pub(crate) instances: Option<usize>,
    /// The store that conducts it, if one does.
    pub(crate) store: Option<String>,
    /// What is free on its storage, MiB; null where it is not here.
    pub(crate) free_mb: Option<u64>,
    /// How much of that no copy takes, MiB; null where it is not here.
    pub(crate) kept_free_mb: Option<u64>,
}

/// A table of hosts.
pub(crate) fn hosts(rows: &[HostRow]) -> String {
    if rows.is_empty() {
        return "No host was added here: decant host add NAME --hosts-in FOLDER\n".to_owned();
    }
    let mut table = table(["host", "folder", "state", "instances", "free", "kept free", "conducted by"]);
    for row in rows {
        let mib = |amount: Option<u64>| right(amount.map_or_else(String::new, |mib| format!("{mib} MiB")));
        table.add_row([
            Cell::new(&row.host),
            Cell::new(&row.folder),
            Cell::new(&row.state),
            right(row.instances.map_or_else(String::new, |count| count.to_string())),
            mib(row.free_mb),
            mib(row.kept_free_mb),
            Cell::new(row.store.as_deref().unwrap_or("no store yet")),
        ]);
    }
    drawn(table, &[3, 4, 5]) + "\n"
}
