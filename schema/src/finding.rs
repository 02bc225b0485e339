//! What is wrong, or worth a warning, in a document: where, what, and what would be right.

mod collect;
mod path;

use std::fmt;

pub(crate) use collect::Findings;
pub(crate) use path::{Path, Step, path_to};

/// Where in a document a finding is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The field, as `hosts[3].inventory.VCPU.allocation_ratio`; empty for the document as a whole.
    pub field: String,
    /// Line and column, both from 1, where the text has them.
    pub line_column: Option<(usize, usize)>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.field.as_str(), self.line_column) {
            ("", None) => write!(f, "the document"),
            ("", Some((line, column))) => write!(f, "line {line}, column {column}"),
            (field, None) => write!(f, "{field}"),
            (field, Some((line, column))) => write!(f, "{field} (line {line}, column {column})"),
        }
    }
}

/// One error or warning of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Where it is.
    pub place: Place,
    /// What is wrong, in words that read after the place.
    pub problem: String,
    /// What would be right.
    pub remedy: String,
}

impl Finding {
    /// A finding about the document as a whole.
    pub(crate) fn whole(problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { place: Place::default(), problem: problem.into(), remedy: remedy.into() }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.place, self.problem, self.remedy)
    }
}

/// How much of a foreign text a message repeats: enough to recognise it, too little to drown the message.
const SHOWN_CHARS_MAX: usize = 80;

/// A name or text from a document, fit to stand in a message: quoted and escaped unless it is a plain word.
pub(crate) fn shown(text: &str) -> String {
    let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '"' | '\\' | '`' | ';' | ',');
    if !text.is_empty() && text.len() <= SHOWN_CHARS_MAX && text.chars().all(plain) {
        return text.to_owned();
    }
    let head: String = text.chars().take(SHOWN_CHARS_MAX).flat_map(char::escape_debug).collect();
    let tail = if text.chars().nth(SHOWN_CHARS_MAX).is_some() { "…" } else { "" };
    format!("\"{head}{tail}\"")
}

#[cfg(test)]
mod tests {
    use super::{path_to, shown};

    #[test]
    fn foreign_text_is_shown_short_and_harmless() {
        assert_eq!(shown("cmp-01.example"), "cmp-01.example");
        assert_eq!(shown(""), "\"\"");
        assert_eq!(shown("two words"), "\"two words\"");
        assert_eq!(shown("\u{1b}[2J"), "\"\\u{1b}[2J\"");
        assert_eq!(shown(&"x".repeat(1000)).chars().count(), 83);
    }

    #[test]
    fn a_way_reads_like_a_field() {
        let way = path_to!["hosts", 3, "inventory", "VCPU", "total"];
        assert_eq!(way.to_string(), "hosts[3].inventory.VCPU.total");
    }
}
