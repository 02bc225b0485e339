//! Placement and ordering, until they agree.
//!
//! Ordering may find that a placement has no order: some moves wait for each other and nothing makes room. Then those
//! assignments become a no-good and placement tries without them. Where that leads nowhere, or there is no time for it,
//! the placement is kept as far as it can be carried out and mended from there; whoever finds no place even so is refused
//! by the rule `order`, never half-moved. Whoever would start after the maintenance window is
//! refused likewise, the least important first, and the rest is planned again.

use decant_schema::plan::{Certificate, Refusal, StoppedBy};

use crate::ordering::{self, Schedule};
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
}

/// Answers a problem. The bounds are those of the problem as asked, whatever had to be given up for an order.
pub(crate) fn search(problem: &Problem, limits: &Limits<'_>) -> Answer {
    let first = placement::place(problem, &limits.percent(PLACING_PERCENT), &[]);
    let mut eased = problem.clone();
    let mut unordered: Vec<InstanceIdx> = Vec::new();
    let mut late: Vec<InstanceIdx> = Vec::new();
    let mut window_needed_s = None;
    let mut start = first.clone();
    let (placed, mut schedule) = loop {
        let (placed, schedule) = match with_order(&eased, start, limits) {
            Ordered::AsPlaced(found) => found,
            Ordered::InPart { salvaged, stuck } if limits.out_of_time() || stuck.is_empty() => salvaged,
            Ordered::InPart { stuck, .. } => {
                give_up(&mut eased, &stuck, &mut unordered);
                start = placement::place(&eased, limits, &[]);
                continue;
            }
        };
        let too_late = window::late(&eased, &schedule);
        if too_late.is_empty() {
            break (placed, schedule);
        }
        window_needed_s.get_or_insert(window::needed_s(&schedule));
        give_up(&mut eased, &too_late, &mut late);
        start = placement::place(&eased, limits, &[]);
    };
    schedule.placement.refused.extend(unordered.iter().chain(&late));
    schedule.placement.refused.sort_unstable();
    let refused = schedule.placement.refused.len() as u64;
    let mut refusals = refusal::explain_with_remedies(problem, &schedule.placement, limits);
    if let Some(needed_s) = window_needed_s {
        window::explain(problem, &late, needed_s, &mut refusals);
    }
    Answer {
        refusals,
        refused_bound: first.refused.bound,
        displaced_bound: Some(first.displaced_bound(refused)),
        certificate: first.certificate(refused),
        stopped_by: placed.stopped_by.or(schedule.stopped_by).or((!unordered.is_empty()).then_some(StoppedBy::Nodes)),
        schedule,
    }
}

/// A placement with an order.
type Found = (Placed, Schedule);

/// What came of ordering a placement.
enum Ordered {
    /// It, or another that refuses as few, has an order.
    AsPlaced(Found),
    /// None of those tried has; this is what of the first can be carried out.
    InPart {
        salvaged: Found,
        /// Who waits for whom in the end.
        stuck: Vec<InstanceIdx>,
    },
}

/// The first of a few placements that has an order, beginning with `placed`.
fn with_order(problem: &Problem, placed: Placed, limits: &Limits<'_>) -> Ordered {
    let first = placed.clone();
    let mut placed = placed;
    let mut no_goods: Vec<NoGood> = Vec::new();
    let unorderable = loop {
        match ordering::order(problem, &placed.placement, limits) {
            Ok(schedule) => return Ordered::AsPlaced((placed, schedule)),
            Err(unorderable) if no_goods.len() >= ATTEMPTS_MAX || limits.out_of_time() => break unorderable,
            Err(unorderable) => no_goods.push(NoGood { assignments: unorderable.moves }),
        }
        placed = placement::place_again(problem, limits, &no_goods, &placed);
    };
    let refused = first.refused.value;
    let salvaged = salvaged(problem, &first);
    if salvaged.0.refused.value <= refused {
        return Ordered::AsPlaced(salvaged);
    }
    Ordered::InPart { salvaged, stuck: unorderable.stuck.iter().map(|stuck| stuck.instance).collect() }
}

/// What of a placement can be carried out, with whoever that leaves placed after it.
fn salvaged(problem: &Problem, placed: &Placed) -> Found {
    let (salvaged, way) = placement::salvage(problem, placed, &ordering::as_far_as_it_goes(problem, &placed.placement));
    let schedule = ordering::along(problem, &salvaged.placement, &way).expect("every move was made in this order");
    (salvaged, schedule)
}

/// Lets these stay: those that were asked to go are refused, third parties are no longer disturbed. Each call leaves
/// fewer that may move, so that the search ends.
fn give_up(problem: &mut Problem, these: &[InstanceIdx], refused: &mut Vec<InstanceIdx>) {
    for at in these {
        let instance = &mut problem.instances[at.at()];
        if matches!(instance.task, Task::Leave | Task::Resize) {
            refused.push(*at);
        }
        instance.task = Task::Stay;
    }
}
