//! Bars made of characters. Their parts differ by shape, so that they read without colour.

use super::view::Level;

/// What a bar says, for the line above the first of them.
pub(super) const LEGEND: &str = "█ stays in use   ▓ arrives   ▒ leaves   ░ used only while moves run   · never used";

/// A host's level of one class: what stays, what arrives or leaves, what is used only in between, what is never used.
pub(super) fn level(level: &Level, width: usize) -> String {
    let scale = level.scale();
    let column = |amount: u64| cells(amount, scale, width);
    let (after, before, peak) = (column(level.after), column(level.before), column(level.peak));
    (0..width)
        .map(|at| match at {
            _ if at < after.min(before) => '█',
            _ if at < after => '▓',
            _ if at < before => '▒',
            _ if at < peak => '░',
            _ => '·',
        })
        .collect()
}

/// A span of time in a row of `width` characters that stands for `whole` seconds.
pub(super) fn span(start: f64, end: f64, whole: f64, width: usize) -> String {
    let from = position(start, whole, width).min(width.saturating_sub(1));
    let to = position(end, whole, width).clamp(from + 1, width);
    let line: String = (0..width).map(|at| if (from..to).contains(&at) { '━' } else { ' ' }).collect();
    line.trim_end().to_owned()
}

/// Cells an amount fills; anything at all fills one.
fn cells(amount: u64, scale: u64, width: usize) -> usize {
    let exact = u128::from(amount) * width as u128;
    usize::try_from(exact.div_ceil(u128::from(scale))).unwrap_or(width).min(width)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a position in a row; the cast saturates"
)]
fn position(at: f64, whole: f64, width: usize) -> usize {
    if whole <= 0.0 { 0 } else { ((at / whole) * width as f64).round() as usize }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_shows_what_stays_arrives_leaves_passes_and_is_never_used() {
        let of = Level { before: 40, peak: 60, after: 20, capacity: Some(100) };
        assert_eq!(level(&of, 10), "██▒▒░░····");
        assert_eq!(level(&Level { before: 20, peak: 40, after: 40, ..of }, 10), "██▓▓······");
        assert_eq!(level(&Level { before: 0, peak: 0, after: 0, capacity: Some(0) }, 4), "····");
        assert_eq!(level(&Level { before: 1, peak: 1, after: 1, capacity: Some(1000) }, 4), "█···");
    }

    #[test]
    fn a_span_is_never_invisible_nor_outside_its_row() {
        assert_eq!(span(0.0, 5.0, 10.0, 10), "━━━━━");
        assert_eq!(span(10.0, 10.0, 10.0, 10), "         ━");
        assert_eq!(span(3.0, 3.0, 0.0, 4), "━");
    }
}
