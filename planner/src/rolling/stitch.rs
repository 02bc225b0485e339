//! The rounds' moves as one partial order.
//!
//! Within a round the moves wait for each other as they were ordered. A later round counts on the room that earlier
//! ones freed: a move waits for every earlier departure from its target, and for its own instance's arrival. That is
//! all that capacity and groups need; that a host is back when it is used again, the rounds say.

use std::collections::BTreeMap;

use decant_schema::plan::MoveReason;

use crate::ordering::ancestors::Ancestors;
use crate::ordering::{Schedule, ScheduledMove};
use crate::problem::{HostIdx, InstanceIdx, Problem, Task};

/// The moves of all rounds so far.
#[derive(Default)]
pub(super) struct Stitched {
    pub(super) moves: Vec<ScheduledMove>,
    ancestors: Ancestors,
    departures: BTreeMap<HostIdx, Vec<usize>>,
    last_of: BTreeMap<InstanceIdx, usize>,
}

impl Stitched {
    /// Adds a schedule that begins at a time; the time of its last end.
    pub(super) fn add(&mut self, schedule: &Schedule, from_s: f64) -> f64 {
        let offset = self.moves.len();
        let departed = self.departures.clone();
        let before = self.last_of.clone();
        for (nth, line) in schedule.moves.iter().enumerate() {
            let mut after: Vec<usize> = line.after.iter().map(|earlier| earlier + offset).collect();
            after.extend(departed.get(&line.target).into_iter().flatten());
            after.extend(before.get(&line.instance));
            after.sort_unstable();
            after.dedup();
            let after = self.ancestors.without_transitive(after);
            let mut row = Ancestors::row(offset + nth);
            after.iter().for_each(|earlier| self.ancestors.join(&mut row, *earlier));
            self.ancestors.push(row);
            self.departures.entry(line.source).or_default().push(offset + nth);
            self.last_of.insert(line.instance, offset + nth);
            let (start_s, end_s) = (from_s + line.start_s, from_s + line.end_s);
            self.moves.push(ScheduledMove { after, start_s, end_s, ..line.clone() });
        }
        self.moves[offset..].iter().map(|line| line.end_s).fold(from_s, f64::max)
    }
}

/// Says of each move what it is for: whoever moves again only stops on the way.
pub(super) fn with_reasons(problem: &Problem, mut moves: Vec<ScheduledMove>) -> Vec<ScheduledMove> {
    let mut moves_again = std::collections::BTreeSet::new();
    for line in moves.iter_mut().rev() {
        line.why = match problem.instances[line.instance.at()].task {
            _ if !moves_again.insert(line.instance) => MoveReason::Hop,
            Task::Leave => MoveReason::Evacuate,
            Task::Resize | Task::MayMove | Task::Stay => MoveReason::Displace,
        };
    }
    moves
}
