//! Copies that were put aside, as text.

use comfy_table::Cell;
use decant_executor::discarded::{Discarded, Why};

use super::right;
use crate::render::{drawn, table};

/// A table of them, and what they take.
pub(crate) fn discarded(all: &[Discarded]) -> String {
    if all.is_empty() {
        return "Nothing is put aside.\n".to_owned();
    }
    let mut rows = table(["host", "instance", "size", "put aside at", "why"]);
    for one in all {
        rows.add_row([
            Cell::new(&one.host),
            Cell::new(&one.instance),
            right(format!("{} MiB", one.mib)),
            Cell::new(one.at.strftime("%Y-%m-%d %H:%M:%S UTC")),
            Cell::new(why(one.why)),
        ]);
    }
    let mib: u64 = all.iter().map(|one| one.mib).sum();
    let counted = match all.len() {
        1 => "1 copy".to_owned(),
        many => format!("{many} copies"),
    };
    format!("{}\n{counted}, which take {mib} MiB until they are removed.\n", drawn(rows, &[2]))
}

fn why(of: Why) -> &'static str {
    match of {
        Why::Reverted => "its migration was reverted: what it wrote at the target",
        Why::Stale => "its host had been dead and came back",
        Why::Unknown => "not noted",
    }
}
