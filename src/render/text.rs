//! Documents as text for the terminal.

mod checkup;
mod discarded;
mod guests;
mod hosts;
mod migrations;
mod plan;
mod report;

use std::fmt::Write as _;

use comfy_table::{Cell, CellAlignment};

pub(crate) use checkup::{CheckRow, checkup};
pub(crate) use discarded::discarded;
pub(crate) use guests::{GuestRow, guests};
pub(crate) use hosts::{HostRow, hosts};
pub(crate) use migrations::{applied, applied_rows, history, migrations};
pub(crate) use plan::plan;
pub(crate) use report::report;

use super::words;

/// How much of a long list is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// What a person reads at once.
    Brief,
    /// Everything.
    Full,
}

impl Extent {
    /// Lines of a list: two screens of a usual terminal.
    const BRIEF: usize = 40;

    fn of(self, all: usize) -> usize {
        if self == Self::Full { all } else { all.min(Self::BRIEF) }
    }
}

/// Says that a list goes on.
fn more(text: &mut String, rest: usize, noun: &str) {
    if rest > 0 {
        let _ = writeln!(text, "… {} more: --all shows them, --html makes a page of them", words::count(rest, noun));
    }
}

fn right(value: impl ToString) -> Cell {
    Cell::new(value).set_alignment(CellAlignment::Right)
}
