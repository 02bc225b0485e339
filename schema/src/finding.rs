//! What is wrong, or worth a warning, in a document: where, what, and what would be right.

use std::fmt;

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

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.place, self.problem, self.remedy)
    }
}
