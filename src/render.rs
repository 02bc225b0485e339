//! Documents for a person: text for the terminal, pages for the browser.
//!
//! A document becomes words and charts here and nowhere else; nothing is computed that is not in it, except how to
//! lay it out.

mod bars;
pub(crate) mod html;
mod notes;
pub(crate) mod text;
pub(crate) mod view;
pub(crate) mod words;

pub(crate) use view::PlanView;

use std::io::{self, IsTerminal};

use comfy_table::{ColumnConstraint, ContentArrangement, LineStyle, Table, TableStyle};

/// Columns to lay text out in: the terminal's, or 110 where there is none, so that files and pipes always get the same.
pub(crate) fn width() -> u16 {
    Table::new().width().unwrap_or(110).clamp(60, 180)
}

/// Whether there is so little room that tables leave out what is said elsewhere: less than 100 columns.
fn is_narrow() -> bool {
    width() < 100
}

/// Whether text on stdout may be coloured.
fn coloured() -> bool {
    io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// A table that fits the terminal, with these headings.
fn table<const N: usize>(headings: [&str; N]) -> Table {
    let mut table = Table::new();
    table
        .load_style(TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─')))
        .set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(width()).set_header(headings);
    if !coloured() {
        table.force_no_tty();
    }
    table
}

/// A table as text. Where it is wider than the terminal, all columns give way but these, which hold figures.
fn drawn(mut table: Table, figures: &[usize]) -> String {
    for at in figures {
        if let Some(column) = table.column_mut(*at) {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    if is_narrow() {
        table.column_iter_mut().for_each(|column| {
            column.set_padding((0, 1));
        });
    }
    table.trim_fmt()
}
