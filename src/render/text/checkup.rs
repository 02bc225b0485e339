//! What was found of hosts as text.

use std::fmt::Write as _;

use serde::Serialize;

/// One thing that was looked at.
#[derive(Serialize)]
pub(crate) struct CheckRow {
    /// The host; null: the machine.
    pub(crate) host: Option<String>,
    /// What was looked at.
    pub(crate) subject: &'static str,
    /// What was found.
    pub(crate) found: String,
    /// What to do about it; null where it is as it should be.
    pub(crate) remedy: Option<String>,
}

/// What was found, host by host, and how many remedies there are.
pub(crate) fn checkup(rows: &[CheckRow]) -> String {
    let mut text = String::new();
    let mut last: Option<&Option<String>> = None;
    for row in rows {
        if last != Some(&row.host) {
            _ = writeln!(text, "{}", row.host.as_deref().unwrap_or("this machine"));
        }
        last = Some(&row.host);
        let mark = if row.remedy.is_some() { "✗" } else { "✓" };
        _ = writeln!(text, "  {mark} {}: {}", row.subject, row.found);
        if let Some(remedy) = &row.remedy {
            _ = writeln!(text, "      → {remedy}");
        }
    }
    let wrong = rows.iter().filter(|row| row.remedy.is_some()).count();
    match wrong {
        0 => text.push_str("All is well.\n"),
        1 => text.push_str("1 finding.\n"),
        _ => _ = writeln!(text, "{wrong} findings."),
    }
    text
}
