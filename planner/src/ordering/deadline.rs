//! When each move starts where a window closes: nothing may start later.
//!
//! What is shortest goes first, since whatever takes long may end after the window if only it starts within it (of jobs with
//! one due date, this gets the most done: Moore 1968); or what matters most goes first, and what it waits for. The timeline in
//! which what is late matters least is taken.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use crate::problem::{InstanceIdx, Problem, Task};

use super::carry::{Haul, Micros, micros, seconds};
use super::timeline::{Timeline, by_rank, timeline};

/// Puts moves into time as [`timeline`] does; where some would start after the request's window, so that what is late
/// matters least.
pub(super) fn in_window(problem: &Problem, hauls: &[Haul], after: &[Vec<usize>], bound: Micros) -> Timeline {
    let urgent = timeline(problem, hauls, after, bound);
    let Some(window_s) = problem.request.options.window_s else { return urgent };
    let is_late = |start: &Micros| seconds(*start) > window_s;
    if !urgent.starts.iter().any(is_late) {
        return urgent;
    }
    let late = |timeline: &Timeline| {
        let late = timeline.starts.iter().zip(hauls).filter(|(start, _)| is_late(start));
        let late: BTreeSet<InstanceIdx> = late.map(|(_, haul)| haul.instance).collect();
        let mut late: Vec<Option<i32>> = late.into_iter().map(|at| importance(problem, at)).collect();
        late.sort_unstable_by_key(|importance| Reverse(*importance));
        (late, timeline.starts.iter().copied().max())
    };
    let close = micros(window_s);
    let ranked = |ranks: Vec<Micros>| by_rank(problem, hauls, after, &ranks, close);
    let shortest = ranked(ranks(problem, hauls, &vec![None; hauls.len()]));
    let important = ranked(ranks(problem, hauls, &importances(problem, hauls, after)));
    let best = [urgent, shortest, important].into_iter().min_by_key(late);
    best.expect("there are three")
}

/// How much an instance's start matters; nothing for one that nobody asked to move.
fn importance(problem: &Problem, instance: InstanceIdx) -> Option<i32> {
    let facts = &problem.instances[instance.at()];
    matches!(facts.task, Task::Leave | Task::Resize).then_some(facts.priority)
}

/// How much each move matters: as much as its instance, or what waits for it.
fn importances(problem: &Problem, hauls: &[Haul], after: &[Vec<usize>]) -> Vec<Option<i32>> {
    let mut importances: Vec<Option<i32>> = hauls.iter().map(|haul| importance(problem, haul.instance)).collect();
    for at in (0..hauls.len()).rev() {
        for earlier in &after[at] {
            importances[*earlier] = importances[*earlier].max(importances[at]);
        }
    }
    importances
}

/// A rank for each move: those that matter more above, of equal ones the shorter above.
fn ranks(problem: &Problem, hauls: &[Haul], importances: &[Option<i32>]) -> Vec<Micros> {
    let key = |at: &usize| (importances[*at], Reverse(hauls[*at].shortest(problem)));
    let mut order: Vec<usize> = (0..hauls.len()).collect();
    order.sort_by_key(key);
    let mut ranks = vec![0; hauls.len()];
    for (rank, alike) in (0..).zip(order.chunk_by(|a, b| key(a) == key(b))) {
        alike.iter().for_each(|at| ranks[*at] = rank);
    }
    ranks
}
