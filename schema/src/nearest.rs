//! "Did you mean": the known name closest to one that is not.

use std::cell::Cell;

/// The known name most like `name`, if any is like it at all. The earliest wins a tie.
///
/// Likeness is Damerau–Levenshtein distance over length; under half is chance.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    const LIKENESS_MIN: f64 = 0.5;
    let mut best: Option<(f64, &str)> = None;
    for candidate in known {
        let likeness = strsim::normalized_damerau_levenshtein(name, candidate);
        if likeness >= LIKENESS_MIN && best.is_none_or(|(most, _)| likeness > most) {
            best = Some((likeness, candidate));
        }
    }
    best.map(|(_, candidate)| candidate)
}

/// How many names may be compared for one document: about a second's worth, so that a list of unknown names does not
/// cost minutes in a large fleet.
const COMPARISONS_MAX: usize = 200_000;

/// The longest text worth comparing, in bytes: as long as any name may be.
const COMPARED_BYTES_MAX: usize = 255;

/// "Did you mean" for a whole document, within bounds.
#[derive(Debug)]
pub(crate) struct Suggestions {
    comparisons_left: Cell<usize>,
}

impl Default for Suggestions {
    fn default() -> Self {
        Self { comparisons_left: Cell::new(COMPARISONS_MAX) }
    }
}

impl Suggestions {
    /// The known name most like `name`, whatever their order, while comparisons are left.
    pub(crate) fn nearest<'a>(&self, name: &str, known: impl ExactSizeIterator<Item = &'a str>) -> Option<&'a str> {
        if name.len() > COMPARED_BYTES_MAX {
            return None;
        }
        self.comparisons_left.set(self.comparisons_left.get().checked_sub(known.len())?);
        let mut known: Vec<&str> = known.collect();
        known.sort_unstable();
        nearest(name, known)
    }
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_slip_of_the_finger_is_recognised_and_a_stranger_is_not() {
        assert_eq!(nearest("cmp-10", ["cmp-01", "web-1"]), Some("cmp-01"));
        assert_eq!(nearest("allocation_ration", ["total", "allocation_ratio"]), Some("allocation_ratio"));
        assert_eq!(nearest("zebra", ["cmp-01", "web-1"]), None);
    }
}
