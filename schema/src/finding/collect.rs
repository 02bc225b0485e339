//! Findings on their way to the reader: kept in the order of the document, counted beyond a limit, placed at the end.

use super::{Finding, Path, Place};
use crate::document::locate::{Spot, line_columns};

/// More findings than this are counted, not kept: nobody reads them, and a list of 10^8 wrong elements must not fill
/// the memory.
const KEPT_MAX: usize = 1000;

/// One finding, not yet placed in the text.
#[derive(Debug)]
struct Raw {
    path: Path,
    /// Byte offset in the text, where it is known better than from the path.
    offset: Option<usize>,
    problem: String,
    remedy: String,
}

/// Findings of one document.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    kept: Vec<Raw>,
    more: usize,
}

impl Findings {
    /// Adds one; its place in the text follows from the path.
    pub(crate) fn add(&mut self, path: Path, problem: impl Into<String>, remedy: impl Into<String>) {
        self.push(path, None, problem.into(), remedy.into());
    }

    /// Adds one at a byte of the text.
    pub(crate) fn add_at(&mut self, path: Path, offset: usize, problem: String, remedy: String) {
        self.push(path, Some(offset), problem, remedy);
    }

    fn push(&mut self, path: Path, offset: Option<usize>, problem: String, remedy: String) {
        if self.is_full() {
            self.count();
        } else {
            self.kept.push(Raw { path, offset, problem, remedy });
        }
    }

    /// Whether a further one would only be counted.
    pub(crate) fn is_full(&self) -> bool {
        self.kept.len() >= KEPT_MAX
    }

    /// Counts one that is not worth wording any more.
    pub(crate) fn count(&mut self) {
        self.more += 1;
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Gives every finding its line and column in the text, if there is one. A last finding says how many more there
    /// are than could be kept.
    pub(crate) fn placed(self, text: Option<&str>) -> Vec<Finding> {
        let spots: Vec<Spot<'_>> =
            self.kept.iter().map(|raw| raw.offset.map_or(Spot::Path(&raw.path), Spot::Offset)).collect();
        let places = text.map_or_else(|| vec![None; spots.len()], |text| line_columns(text, &spots));
        let mut findings: Vec<Finding> = self
            .kept
            .iter()
            .zip(places)
            .map(|(raw, line_column)| Finding {
                place: Place { field: raw.path.to_string(), line_column },
                problem: raw.problem.clone(),
                remedy: raw.remedy.clone(),
            })
            .collect();
        if self.more > 0 {
            let problem = format!("{} more of the kind are not listed", self.more);
            findings.push(Finding::whole(problem, "correct the listed ones first"));
        }
        findings
    }
}
