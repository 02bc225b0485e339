//! The doors of the documents: what is wrong is refused, every error at once, each with its place.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod fleet;
mod ganeti;
mod plan;

use decant_schema::finding::Finding;

/// Findings as a person reads them, one a line.
fn lines(findings: &[Finding]) -> String {
    findings.iter().map(|finding| format!("{finding}\n")).collect()
}
