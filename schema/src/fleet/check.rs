//! What a fleet document must mean, beyond its structure: every name known and unique, every amount in range.
//!
//! Errors first, all of them; warnings only for a document without errors, since they build on its names.

mod advice;
mod groups;
mod hosts;
mod instances;
mod names;
mod numbers;
mod usage;

use super::document::FleetDocument;
use crate::finding::Findings;
use names::Names;

/// Errors and warnings of a document.
pub(super) struct Verdict {
    pub(super) errors: Findings,
    pub(super) warnings: Findings,
}

/// Checks a document in the order in which it is written.
pub(super) fn check(document: &FleetDocument) -> Verdict {
    let mut errors = Findings::default();
    let names = Names::new(document, &mut errors);
    names::text(&document.source, || crate::finding::path_to!["source"], &mut errors);
    hosts::defaults(&document.defaults, &mut errors);
    hosts::hosts(document, &names, &mut errors);
    hosts::racks(document, &mut errors);
    instances::flavors(document, &mut errors);
    instances::instances(document, &names, &mut errors);
    groups::groups(document, &names, &mut errors);
    let mut warnings = Findings::default();
    if errors.is_empty() {
        usage::usage(document, &names, &mut errors, &mut warnings);
    }
    if errors.is_empty() {
        advice::hosts(document, &mut warnings);
        advice::limits(document, &names, &mut warnings);
        advice::instances(document, &names, &mut warnings);
        advice::groups(document, &names, &mut warnings);
    }
    Verdict { errors, warnings }
}
