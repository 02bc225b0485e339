//! Guests as text.

use comfy_table::Cell;
use serde::Serialize;

use super::right;
use crate::render::{drawn, table};

/// A guest.
#[derive(Serialize)]
pub(crate) struct GuestRow {
    /// Its id.
    pub(crate) instance: String,
    /// Where it is on record.
    pub(crate) host: String,
    /// Its flavor.
    pub(crate) flavor: String,
    /// What it does, on record.
    pub(crate) recorded: &'static str,
    /// What was found.
    pub(crate) found: String,
    /// Whether a migration of it is under way.
    pub(crate) moving: bool,
    /// The memory it has, MiB; null: not known.
    pub(crate) memory_mb: Option<u64>,
    /// The virtual processors it has; null: not known.
    pub(crate) vcpus: Option<u64>,
}

/// A table of guests.
pub(crate) fn guests(rows: &[GuestRow]) -> String {
    if rows.is_empty() {
        return "No guest is on record: decant guest define\n".to_owned();
    }
    let mut table = table(["guest", "host", "flavor", "on record", "found", "memory", "vCPU"]);
    for row in rows {
        let found = if row.moving { format!("{}, in a migration", row.found) } else { row.found.clone() };
        table.add_row([
            Cell::new(&row.instance),
            Cell::new(&row.host),
            Cell::new(&row.flavor),
            Cell::new(row.recorded),
            Cell::new(found),
            right(row.memory_mb.map_or_else(String::new, |mib| format!("{mib} MiB"))),
            right(row.vcpus.map_or_else(String::new, |count| count.to_string())),
        ]);
    }
    drawn(table, &[5, 6]) + "\n"
}
