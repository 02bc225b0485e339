//! Errors told in one line, where only text gets through.

use std::error::Error;

/// An error and its causes in one line.
pub(crate) fn in_one_line(error: &dyn Error) -> String {
    let causes = std::iter::successors(Some(error), |error| (*error).source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
