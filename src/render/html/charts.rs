//! Charts as SVG. What a shape means is told by its pattern and its title, never by colour alone.

use maud::{Markup, html};

use crate::render::view::Level;

/// Width of a chart in its own units; the page stretches it.
const WIDTH: f64 = 1000.0;

/// The patterns every chart of a page uses, defined once.
pub(super) fn patterns() -> Markup {
    html! {
        svg.defs width="0" height="0" aria-hidden="true" {
            defs {
                pattern #leaves patternUnits="userSpaceOnUse" width="6" height="6" patternTransform="rotate(45)" {
                    rect.leaves-ground width="6" height="6" {}
                    rect.leaves-line width="2" height="6" {}
                }
                pattern #arrives patternUnits="userSpaceOnUse" width="4" height="4" {
                    rect.arrives-ground width="4" height="4" {}
                    rect.arrives-line width="4" height="1.4" {}
                }
                pattern #passing patternUnits="userSpaceOnUse" width="5" height="5" {
                    rect.passing-ground width="5" height="5" {}
                    circle.passing-dot cx="2.5" cy="2.5" r="1.2" {}
                }
            }
        }
    }
}

/// What the parts of a level's bar mean.
pub(super) fn legend() -> Markup {
    let key = |class: &str, meaning: &str| {
        html! { span.key { svg width="28" height="12" aria-hidden="true" { rect class={ "bar " (class) } width="28" height="12" {} } (meaning) } }
    };
    html! {
        p.legend {
            (key("stays", "stays in use"))
            (key("arrives", "arrives"))
            (key("leaves", "leaves"))
            (key("passing", "used only while moves run"))
            (key("unused", "never used"))
        }
    }
}

/// One class of one host, in pixels, so that the patterns keep their shape.
pub(super) fn level(level: &Level, title: &str) -> Markup {
    const BAR: f64 = 220.0;
    let scale = level.scale();
    let until = |amount: u64| share(amount, scale) * BAR;
    let (least, most) = (level.before.min(level.after), level.before.max(level.after));
    let change = if level.after > level.before { "arrives" } else { "leaves" };
    let parts = [("stays", 0, least), (change, least, most), ("passing", most, level.peak)];
    html! {
        svg.level width=(BAR) height="14" role="img" aria-label=(title) {
            title { (title) }
            rect.bar.unused width=(BAR) height="14" {}
            @for (class, from, to) in parts.into_iter().filter(|(_, from, to)| to > from) {
                rect class={ "bar " (class) } x=(round(until(from))) width=(round((until(to) - until(from)).max(1.0))) height="14" {}
            }
        }
    }
}

/// How much of a whole is used, as a plain bar.
pub(super) fn fill(used: u64, whole: u64, title: &str) -> Markup {
    level(&Level { before: used, peak: used, after: used, capacity: Some(whole) }, title)
}

/// A span of time in a row that stands for `whole` seconds.
pub(super) fn span(class: &str, start: f64, end: f64, whole: f64, title: &str) -> Markup {
    let at = |moment: f64| if whole > 0.0 { moment / whole * WIDTH } else { 0.0 };
    html! {
        svg.span viewBox={ "0 0 " (WIDTH) " 14" } preserveAspectRatio="none" role="img" aria-label=(title) {
            title { (title) }
            line.track x1="0" x2=(WIDTH) y1="7" y2="7" {}
            rect class={ "move " (class) } x=(round(at(start))) width=(round((at(end) - at(start)).max(4.0))) y="2" height="10" {}
        }
    }
}

/// How many moves run at each moment, as steps; spans are (start, end) in seconds.
pub(super) fn concurrency(spans: &[(f64, f64)], whole: f64) -> Markup {
    const HEIGHT: f64 = 60.0;
    let steps = running(spans);
    let most = steps.iter().map(|(_, count)| *count).max().unwrap_or(0).max(1);
    let mut path = format!("M0 {HEIGHT}");
    let mut height = HEIGHT;
    for (moment, count) in &steps {
        let x = if whole > 0.0 { round(moment / whole * WIDTH) } else { 0.0 };
        path.push_str(&format!("L{x} {height}"));
        height = round(HEIGHT - share(*count, most) * HEIGHT);
        path.push_str(&format!("L{x} {height}"));
    }
    path.push_str(&format!("L{WIDTH} {HEIGHT}Z"));
    let title = format!("Moves running at once over time; at most {most}");
    html! {
        figure {
            figcaption { "Moves running at once, at most " (most) }
            svg.area viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } preserveAspectRatio="none" role="img" aria-label=(title) {
                title { (title) }
                path d=(path) {}
            }
            (axis(whole, 4))
        }
    }
}

/// Moments of a time axis, from 0 to the end, in so many equal parts: few enough that they do not run into each other.
pub(super) fn axis(whole: f64, parts: u32) -> Markup {
    html! {
        div.axis aria-hidden="true" {
            @for at in 0..=parts { span { (crate::render::words::seconds(whole * f64::from(at) / f64::from(parts))) } }
        }
    }
}

/// The number of running moves after each moment at which it changes.
fn running(spans: &[(f64, f64)]) -> Vec<(f64, u64)> {
    let mut changes: Vec<(f64, bool)> = spans.iter().flat_map(|(start, end)| [(*start, true), (*end, false)]).collect();
    // Ends before starts of the same moment: a move that begins as another ends does not run beside it.
    changes.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let mut count: u64 = 0;
    changes
        .into_iter()
        .map(|(moment, starts)| {
            count = if starts { count + 1 } else { count.saturating_sub(1) };
            (moment, count)
        })
        .collect()
}

#[expect(clippy::cast_precision_loss, reason = "a length on the screen")]
fn share(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}

/// To a tenth: more digits are invisible and fill the page.
fn round(length: f64) -> f64 {
    (length * 10.0).round() / 10.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_move_that_begins_as_another_ends_does_not_run_beside_it() {
        let most = running(&[(0.0, 2.0), (2.0, 4.0), (2.0, 3.0)]).into_iter().map(|(_, count)| count).max();
        assert_eq!(most, Some(2));
    }
}
