//! Placement and ordering, until they agree.
//!
//! Ordering may find that a placement has no order: some moves wait for each other and nothing makes room. Then those
//! assignments become a no-good and placement tries without them. Where that leads nowhere, or there is no time for it,
//! the placement is kept as far as it can be carried out and mended from there; whoever finds no place even so is refused
//! by the rule `order`, never half-moved. What then starts too late for the maintenance window is [`window`]'s business.

use decant_schema::plan::{Certificate, Refusal, StoppedBy};

use crate::assemble::displaced_memory;
use crate::ordering::{self, Better, Schedule};
use crate::placement::{self, NoGood, Placed};
use crate::problem::{InstanceIdx, Problem, Task};
use crate::{Limits, refusal, window};

/// Placements tried without anyone being refused for want of an order. Each one bans an assignment that was stuck; a
/// problem that defeats this many is tight everywhere, and every further try costs a placement.
const ATTEMPTS_MAX: usize = 12;

/// Time for the first placement, percent: an order, other placements if there is none, and reasons come after.
const PLACING_PERCENT: u32 = 80;

/// What the planner found: in which order who goes where, why the rest stays, and what is proven.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) schedule: Schedule,
    pub(crate) refusals: Vec<Refusal>,
    /// No plan refuses fewer.
    pub(crate) refused_bound: u64,
    /// No plan that refuses as few displaces less, MiB; `None` if nothing is known.
    pub(crate) displaced_bound: Option<u64>,
    pub(crate) certificate: Option<Certificate>,
    pub(crate) stopped_by: Option<StoppedBy>,
    /// Of whom it is known that a longer window is what would help.
    pub(crate) lacking_time: Vec<InstanceIdx>,
}

/// Moves in an order that exists, whenever they start.
#[derive(Clone, Debug)]
pub(crate) struct Ordered {
    pub(crate) schedule: Schedule,
    /// Who stays though asked to go, for want of a place or of an order; by index.
    pub(crate) refused: Vec<InstanceIdx>,
    stopped_by: Option<StoppedBy>,
}

/// Answers a problem; of what would help those that stay, only a longer window is known so far. The bounds are those of the
/// problem as asked, whatever had to be given up for an order.
pub(crate) fn search(problem: &Problem, limits: &Limits<'_>) -> Answer {
    let first = placement::place(problem, &limits.percent(PLACING_PERCENT), &[]);
    let (whole, best) = Ordered::from(problem, first.clone(), limits).or_better(problem, &first, limits);
    let fitted = window::fit(problem, whole, limits);
    let lacking_time = fitted.lacking_time();
    let window::Fitted { ordered, late, needed_s } = fitted;
    let Ordered { mut schedule, refused, stopped_by } = ordered;
    let count = refused.len() as u64;
    // Those who are late are given up beyond that, and nothing says that no fewer could be.
    let best = best.filter(|_| late.is_empty());
    let fewest = best.is_some() && (problem.request.options.count_first || problem.priorities().len() < 2);
    schedule.placement.refused = refused;
    let mut refusals = refusal::explain_all(problem, &schedule.placement);
    window::explain(problem, &late, needed_s.as_ref(), &mut refusals);
    Answer {
        refusals,
        refused_bound: if fewest { count } else { first.refused.bound.max(ordering::late_min(problem)) },
        displaced_bound: Some(best.unwrap_or_else(|| first.displaced_bound(problem, &schedule.placement.refused))),
        certificate: first.certificate(count),
        stopped_by,
        lacking_time,
        schedule,
    }
}

/// What would be planned if that refuses fewer than so many, without a word on why the rest stays; prices mostly say
/// sooner where no plan does.
pub(crate) fn outcome(problem: &Problem, refused: usize, limits: &Limits<'_>) -> Option<Ordered> {
    if placement::bounded(problem, refused as u64, limits).refused.bound >= refused as u64 {
        return None;
    }
    let fewer = |found: usize| found < refused;
    let in_time = |_: &_| !limits.out_of_time();
    let placed = Some(placement::place(problem, limits, &[])).filter(|it| fewer(it.placement.refused.len()))?;
    let placed = Some(placed).filter(in_time)?;
    let whole = Some(Ordered::from(problem, placed, limits)).filter(|it| fewer(it.refused.len()))?;
    Some(window::fit(problem, whole, limits).ordered).filter(|it| fewer(it.refused.len()))
}

impl Ordered {
    /// Plans a problem, whatever its window.
    pub(crate) fn of(problem: &Problem, limits: &Limits<'_>) -> Self {
        Self::from(problem, placement::place(problem, limits, &[]), limits)
    }

    /// The same, beginning with a placement. Each round leaves fewer that may move, so that it ends; what refuses the
    /// fewest is taken.
    fn from(problem: &Problem, start: Placed, limits: &Limits<'_>) -> Self {
        let mut eased = problem.clone();
        let mut unordered: Vec<InstanceIdx> = Vec::new();
        let mut start = start;
        let mut in_part: Option<Self> = None;
        loop {
            match with_order(&eased, start, limits) {
                Attempt::AsPlaced(found) => return Self::new(found, &unordered).or_less_refused(problem, in_part),
                Attempt::InPart { salvaged, stuck } => {
                    if let Some(salvaged) = salvaged.map(|found| Self::new(found, &unordered)) {
                        let best = salvaged.or_less_refused(problem, in_part);
                        if limits.out_of_time() {
                            return best;
                        }
                        in_part = Some(best);
                    }
                    unordered.extend(stuck.iter().filter(|at| is_asked(&eased, **at)));
                    keep(&mut eased, &stuck);
                }
            }
            start = placement::place(&eased, limits, &[]);
        }
    }

    /// Where the best placements have no order, or a dear one: the best end that any order leads to, if there is a better one
    /// within reach. With it what it displaces, MiB, if nothing is better.
    fn or_better(self, problem: &Problem, placed: &Placed, limits: &Limits<'_>) -> (Self, Option<u64>) {
        let rank = |refused: &[InstanceIdx]| problem.refusal_rank(refused);
        let displaced = displaced_memory(problem, &self.schedule);
        let known = (rank(&self.refused), displaced);
        let least = if placed.refuses_the_least() { rank(&placed.placement.refused) } else { rank(&[]) };
        let is_best = placed.refuses_the_least() && known == (least.clone(), placed.displaced.bound);
        let nothing_else_counts = problem.request.options.window_s.is_none() && limits.effort > 0;
        if is_best || !nothing_else_counts {
            return (self, is_best.then_some(displaced));
        }
        let Some(Better { found, exhausted }) = ordering::better(problem, known, &least, limits) else {
            return (self, None);
        };
        let better =
            found.and_then(|it| Some((ordering::along(problem, &it.placement, &it.way)?, it.placement.refused)));
        let stopped_by = self.stopped_by.filter(|_| !exhausted);
        let best = match better {
            Some((schedule, refused)) => Self { schedule, refused, stopped_by },
            None => Self { stopped_by, ..self },
        };
        let displaced = displaced_memory(problem, &best.schedule);
        (best, exhausted.then_some(displaced))
    }

    /// A placement with its order, where these were given up before.
    fn new((placed, schedule): Found, unordered: &[InstanceIdx]) -> Self {
        let nodes = (!unordered.is_empty()).then_some(StoppedBy::Nodes);
        let stopped_by = placed.stopped_by.or(schedule.stopped_by).or(nodes);
        let mut refused = schedule.placement.refused.clone();
        refused.extend(unordered);
        refused.sort_unstable();
        Self { schedule, refused, stopped_by }
    }

    fn or_less_refused(self, problem: &Problem, other: Option<Self>) -> Self {
        match other {
            Some(other) if problem.refusal_rank(&other.refused) < problem.refusal_rank(&self.refused) => other,
            _ => self,
        }
    }
}

/// A placement with an order.
type Found = (Placed, Schedule);

/// What came of ordering a placement.
enum Attempt {
    /// It, or another that refuses as few, has an order.
    AsPlaced(Found),
    /// None of those tried has; this is what of the first can be carried out.
    InPart {
        salvaged: Option<Found>,
        /// Who waits for whom in the end.
        stuck: Vec<InstanceIdx>,
    },
}

/// The first of a few placements that has an order, beginning with `placed`; or what of `placed` can be carried out, if
/// that refuses fewer.
fn with_order(problem: &Problem, placed: Placed, limits: &Limits<'_>) -> Attempt {
    let first = placed.clone();
    let mut placed = placed;
    let mut no_goods: Vec<NoGood> = Vec::new();
    let ordered = loop {
        match ordering::order(problem, &placed.placement, limits) {
            Ok(schedule) => break Ok((placed, schedule)),
            Err(unorderable) if no_goods.len() >= ATTEMPTS_MAX || limits.out_of_time() => break Err(unorderable),
            Err(unorderable) => no_goods.push(NoGood { assignments: unorderable.moves }),
        }
        placed = placement::place_again(problem, limits, &no_goods, &placed);
    };
    let rank = |placed: &Placed| problem.refusal_rank(&placed.placement.refused);
    let refused = |found: &Found| rank(&found.0);
    let least = rank(&first);
    let ordered = match ordered {
        Ok(found) if refused(&found) <= least => return Attempt::AsPlaced(found),
        other => other,
    };
    match (ordered, salvaged(problem, &first, limits)) {
        (Ok(found), Some(salvaged)) if refused(&salvaged) < refused(&found) => Attempt::AsPlaced(salvaged),
        (Ok(found), _) => Attempt::AsPlaced(found),
        (Err(_), Some(salvaged)) if refused(&salvaged) <= least => Attempt::AsPlaced(salvaged),
        (Err(unorderable), salvaged) => {
            let stuck = unorderable.stuck.iter().map(|stuck| stuck.instance).collect();
            Attempt::InPart { salvaged, stuck }
        }
    }
}

/// What of a placement can be carried out, with whoever that leaves placed after it.
fn salvaged(problem: &Problem, placed: &Placed, limits: &Limits<'_>) -> Option<Found> {
    let (salvaged, way) =
        placement::salvage(problem, placed, &ordering::as_far_as_it_goes(problem, &placed.placement), limits);
    let schedule = ordering::along(problem, &salvaged.placement, &way)?;
    Some((salvaged, schedule))
}

/// Whether something is asked of an instance.
pub(crate) fn is_asked(problem: &Problem, instance: InstanceIdx) -> bool {
    matches!(problem.instances[instance.at()].task, Task::Leave | Task::Resize)
}

/// Lets these stay: nothing is asked of them any more, and third parties are no longer disturbed.
pub(crate) fn keep(problem: &mut Problem, these: &[InstanceIdx]) {
    these.iter().for_each(|at| problem.instances[at.at()].task = Task::Stay);
}
