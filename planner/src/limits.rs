//! How much the planner may spend.

use std::time::Duration;

use crate::mip::Effort;

/// By how much an answer may be late: a fifth of the limit, and half a second for what cannot be left out.
const LATE_DIVISOR: u32 = 5;
const LATE: Duration = Duration::from_millis(500);

/// Once a plan is found, a fifth of the limit is for saying why somebody stays and what would help.
const EXPLAINING_DIVISOR: u32 = 5;

/// How much the planner may spend. Search budgets count nodes and iterations, so that the same input gives the same
/// plan; the wall clock is a safety net, and a plan it cut short says so.
#[derive(Clone, Copy)]
pub struct Limits<'a> {
    /// Time since the planning command began. The planner reads no clock of its own.
    pub elapsed: &'a (dyn Fn() -> Duration + Sync),
    /// When to stop and answer with what there is; `None`: never.
    pub time: Option<Duration>,
    /// Scales every search budget; 1 is the usual effort, 0 a quick look for any placement at all.
    pub effort: u32,
    /// Whether an answer must be had, though it be late. One of many trials need not: what it lacks is not known, then.
    must_answer: bool,
}

impl<'a> Limits<'a> {
    /// No wall clock and the usual effort: what tests use.
    pub const UNTIMED: Limits<'static> = Limits::new(&|| Duration::ZERO, None);

    /// The usual effort within so much time.
    pub const fn new(elapsed: &'a (dyn Fn() -> Duration + Sync), time: Option<Duration>) -> Self {
        Self { elapsed, time, effort: 1, must_answer: true }
    }

    /// The same for one of many trials: it ends in time, with or without an answer.
    pub(crate) fn for_a_trial(self) -> Self {
        Self { must_answer: false, ..self }
    }

    /// The same with another effort.
    pub(crate) fn with_effort(self, effort: u32) -> Self {
        Self { effort, ..self }
    }

    /// The same with less time, so that something is left for what comes after: so many percent of all there is.
    pub(crate) fn percent(self, percent: u32) -> Self {
        Self { time: self.time.map(|time| time * percent / 100), ..self }
    }

    /// The same with half of the time that is left, so that something is left for what comes after.
    pub(crate) fn half_of_what_is_left(self) -> Self {
        self.percent_of_what_is_left(50)
    }

    /// The same with so many percent of the time that is left.
    pub(crate) fn percent_of_what_is_left(self, percent: u32) -> Self {
        let share = |time: Duration| time - time.saturating_sub((self.elapsed)()) * (100 - percent) / 100;
        Self { time: self.time.map(share), ..self }
    }

    /// The same with no time left.
    pub(crate) fn over(self) -> Self {
        Self { time: Some(Duration::ZERO), ..self }
    }

    /// The same with so many percent of the time by which an answer may be late: what is begun is brought to an end in it.
    pub(crate) fn late_by(self, percent: u32) -> Self {
        let late = |time: Duration| time + (time / LATE_DIVISOR + LATE) * percent / 100;
        Self { time: self.time.map(|time| if self.must_answer { late(time) } else { time }), ..self }
    }

    /// The same without an end, where there must be an answer: for what every answer begins with.
    pub(crate) fn to_the_end(self) -> Self {
        Self { time: self.time.filter(|_| !self.must_answer), ..self }
    }

    /// The same with so much time from now on at least, where there must be an answer: a large fleet leaves none before it
    /// begins.
    pub(crate) fn at_least(self, least: Duration) -> Self {
        let at_least = |time: Duration| if self.must_answer { time.max((self.elapsed)() + least) } else { time };
        Self { time: self.time.map(at_least), ..self }
    }

    /// The same for reasons, fixes and conflicts, which have a share of their own from now on.
    pub(crate) fn for_explanations(self) -> Self {
        Self { time: self.time.map(|time| (self.elapsed)() + time / EXPLAINING_DIVISOR), ..self.for_a_trial() }
    }

    /// The same with so much less time: for what takes this long before it looks at the clock.
    pub(crate) fn less(self, look: Duration) -> Self {
        Self { time: self.time.map(|time| time.saturating_sub(look)), ..self }
    }

    /// What an integer model may spend: so many nodes at the usual effort, and no more time than there is.
    pub(crate) fn search(&self, nodes: i32, target: f64) -> Effort {
        let nodes = nodes.saturating_mul(i32::try_from(self.effort).unwrap_or(i32::MAX));
        let seconds = self.time.map_or(f64::INFINITY, |limit| limit.saturating_sub((self.elapsed)()).as_secs_f64());
        Effort { nodes, target, seconds }
    }

    /// Whether the wall clock says stop.
    pub fn out_of_time(&self) -> bool {
        self.time.is_some_and(|limit| (self.elapsed)() >= limit)
    }
}
