//! When moves may start.

use decant_schema::request::{Interval, RollingOptions};

/// The intervals in which moves may start, in order and apart from each other.
pub(super) struct Calendar {
    open: Vec<Interval>,
}

impl Calendar {
    pub(super) fn new(options: &RollingOptions) -> Self {
        Self { open: options.open() }
    }

    /// The first interval that is open at this time or later, as far as it is not over: from when until when.
    pub(super) fn open_at(&self, clock_s: f64) -> Option<(f64, f64)> {
        let next = self.open.iter().find(|interval| interval.until_s > clock_s)?;
        Some((next.from_s.max(clock_s), next.until_s))
    }

    /// The earliest beginning from this time on of moves of which the last starts so much later than the first, so
    /// that all start in one interval.
    pub(super) fn beginning(&self, not_before_s: f64, last_start_s: f64) -> Option<f64> {
        let begin = |interval: &Interval| interval.from_s.max(not_before_s);
        let holds = |interval: &&Interval| begin(interval) + last_start_s < interval.until_s;
        self.open.iter().find(holds).map(begin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nights() -> Calendar {
        let night = |from_s: f64| Interval { from_s, until_s: from_s + 100.0 };
        let intervals = vec![night(0.0), night(1000.0)];
        Calendar::new(&RollingOptions { window_s: 1100.0, intervals, ..RollingOptions::default() })
    }

    #[test]
    fn between_intervals_the_next_one_is_waited_for() {
        let nights = nights();
        assert_eq!(nights.open_at(50.0), Some((50.0, 100.0)));
        assert_eq!(nights.open_at(100.0), Some((1000.0, 1100.0)));
        assert_eq!(nights.open_at(1100.0), None);
    }

    #[test]
    fn moves_that_belong_together_start_in_one_interval() {
        let nights = nights();
        assert_eq!(nights.beginning(20.0, 70.0), Some(20.0));
        assert_eq!(nights.beginning(40.0, 70.0), Some(1000.0));
        assert_eq!(nights.beginning(0.0, 100.0), None);
    }

    #[test]
    fn a_window_without_intervals_is_one() {
        let calendar = Calendar::new(&RollingOptions { window_s: 10.0, ..RollingOptions::default() });
        assert_eq!((calendar.open_at(3.0), calendar.open_at(10.0)), (Some((3.0, 10.0)), None));
    }
}
