//! "Did you mean": the known name closest to one that is not.

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
