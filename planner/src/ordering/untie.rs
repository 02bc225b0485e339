//! What to do where the list rule is stuck: ever wider searches, on hosts that wait for each other only.
//!
//! First other orders of the same moves; then hops of instances that move anyway, which displace nobody; then third
//! parties that step aside, for a while or for good, the least memory first. Each knot is untied on its own where
//! that displaces nobody; else all moves of a small placement are searched together, as what moves elsewhere might
//! make the room, and those of a large one get their hops by a rule.

use decant_schema::plan::StoppedBy;

use crate::Limits;
use crate::problem::{HostIdx, InstanceIdx};

use super::detour::detour;
use super::knot::{Knot, knots};
use super::room::{Room, Step};
use super::search::{Actor, Answer, Prefer, search};
use super::sequence::{Sequence, by_list};
use super::stops::Stops;
use super::{Lack, Stuck, Unorderable};

/// Single moves a search may look at, per unit of effort: enough to exhaust a knot of a dozen moves, and a few tenths of
/// a second at most.
const LEGS: usize = 2_000_000;

/// The same where a quick look is all that is wanted.
const LEGS_QUICK: usize = LEGS / 40;

/// The most moves searched all together; beyond, a search without the knots' structure finds nothing in its budget.
const TOGETHER_MAX: usize = 40;

/// An order of moves at which the list rule fails.
pub(super) fn untie(start: &Room<'_>, steps: &[Step], limits: &Limits<'_>) -> Result<Sequence, Unorderable> {
    let mut untying = Untying { start, all: steps, finally: start.clone(), limits, cut: None };
    let stuck = match untying.knot_by_knot(Scope::Hops) {
        // Nobody steps aside, so there is nothing cheaper.
        Ok(steps) => return Ok(Sequence { steps, stopped_by: None }),
        Err(stuck) => stuck,
    };
    let together = if steps.len() <= TOGETHER_MAX { untying.together() } else { Answer::Cut(StoppedBy::Nodes) };
    let steps = match together {
        Answer::Order(steps) => steps,
        Answer::None => return Err(Unorderable { stopped_by: None, ..stuck }),
        Answer::Cut(by) => {
            untying.cut.get_or_insert(by);
            let (order, stuck) = detour(start, steps);
            if stuck.is_empty() { order } else { untying.knot_by_knot(Scope::ThirdParties)? }
        }
    };
    Ok(Sequence { steps, stopped_by: untying.cut })
}

/// How wide a search is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// Instances that move anyway may stop on their way.
    Hops,
    /// Third parties may step aside, too.
    ThirdParties,
}

struct Untying<'a, 'p> {
    start: &'a Room<'p>,
    /// The moves of the whole placement.
    all: &'a [Step],
    /// The room when all of them are done.
    finally: Room<'p>,
    limits: &'a Limits<'a>,
    /// What cut a search short so far.
    cut: Option<StoppedBy>,
}

impl<'p> Untying<'_, 'p> {
    fn begin(&mut self) -> Room<'p> {
        self.finally = self.start.clone();
        self.all.iter().for_each(|step| self.finally.go(*step));
        self.start.clone()
    }

    fn knot_by_knot(&mut self, scope: Scope) -> Result<Vec<Step>, Unorderable> {
        let mut room = self.begin();
        let mut order = Vec::with_capacity(self.all.len());
        for knot in knots(self.start, self.all) {
            let (gone, stuck) = by_list(&mut room, &knot.outward);
            if !stuck.is_empty() {
                return Err(self.unorderable(&room, &knot, &stuck));
            }
            order.extend(gone);
            let (gone, stuck) = by_list(&mut room, &knot.inner);
            if stuck.is_empty() {
                order.extend(gone);
                continue;
            }
            let stuck_at = room.clone();
            for step in &knot.inner {
                room.put(step.instance, self.start.host(step.instance), false);
            }
            match self.search(&mut room, &knot.inner, &knot.hosts, scope) {
                Answer::Order(inner) => order.extend(inner),
                Answer::None | Answer::Cut(_) => return Err(self.unorderable(&stuck_at, &knot, &stuck)),
            }
        }
        Ok(order)
    }

    /// All moves in one search. That there is no order is only said where nothing was left out.
    fn together(&mut self) -> Answer {
        let mut room = self.begin();
        let mut hosts: Vec<HostIdx> =
            self.all.iter().flat_map(|step| [room.host(step.instance), step.target]).collect();
        hosts.sort_unstable();
        hosts.dedup();
        self.cut = None;
        self.search(&mut room, self.all, &hosts, Scope::ThirdParties)
    }

    /// An order of some moves from here, carried out in `room`: ever wider, until there is one.
    fn search(&mut self, room: &mut Room<'p>, moves: &[Step], hosts: &[HostIdx], scope: Scope) -> Answer {
        let stops = Stops::new(room, hosts, self.all);
        let direct: Vec<Actor> = moves.iter().map(|step| Actor::on_its_way(*step, Vec::new())).collect();
        let hopping: Vec<Actor> =
            moves.iter().map(|step| Actor::on_its_way(*step, stops.of_mover(room, *step))).collect();
        let mut attempts = vec![(direct, Prefer::AnyOrder), (hopping.clone(), Prefer::AnyOrder)];
        if scope == Scope::ThirdParties {
            let helped: Vec<Actor> = hopping.iter().cloned().chain(stops.helpers(room, &hopping, self.all)).collect();
            attempts.push((helped.clone(), Prefer::LeastMemory));
            attempts.push((helped, Prefer::AnyOrder));
        }
        let mut last = Answer::None;
        for (actors, prefer) in attempts {
            let legs = if self.limits.effort == 0 { LEGS_QUICK } else { LEGS * self.limits.effort as usize };
            last = search(room, &self.finally, &actors, prefer, legs, self.limits);
            match &last {
                Answer::Order(order) => {
                    order.iter().for_each(|step| room.go(*step));
                    for actor in &actors {
                        self.finally.go(Step { instance: actor.instance, target: room.host(actor.instance) });
                    }
                    return last;
                }
                Answer::None => {}
                Answer::Cut(by) => self.cut = Some(*by),
            }
        }
        // What the widest search has exhausted is settled, unless something was left out of it.
        if stops.complete { last } else { Answer::Cut(self.cut.unwrap_or(StoppedBy::Nodes)) }
    }

    /// Says what is stuck, and what its targets are short of.
    fn unorderable(&self, room: &Room<'p>, knot: &Knot, stuck: &[Step]) -> Unorderable {
        let mut stuck: Vec<Stuck> = stuck
            .iter()
            .map(|step| Stuck { instance: step.instance, target: step.target, lacks: lack(room, *step) })
            .collect();
        stuck.sort_by_key(|stuck| stuck.instance);
        let moves = knot.outward.iter().chain(&knot.inner);
        let mut moves: Vec<(InstanceIdx, HostIdx)> = moves.map(|step| (step.instance, step.target)).collect();
        moves.sort_unstable();
        Unorderable { stuck, moves, hosts: knot.hosts.clone(), stopped_by: Some(self.cut.unwrap_or(StoppedBy::Nodes)) }
    }
}

/// The class a target is relatively shortest of.
fn lack(room: &Room<'_>, step: Step) -> Option<Lack> {
    let free = room.free(step.target);
    let lacking = (0..free.len()).filter(|class| room.takes(step, *class) > free[*class].max(0));
    let lacks = lacking.map(|class| Lack { class, need: room.takes(step, class), free: free[class] });
    // Fractions of the need, compared without dividing.
    lacks.max_by(|a, b| (i128::from(b.free) * i128::from(a.need)).cmp(&(i128::from(a.free) * i128::from(b.need))))
}

impl Actor {
    /// An instance the placement moves.
    fn on_its_way(step: Step, stops: Vec<HostIdx>) -> Self {
        Self { instance: step.instance, goal: step.target, stops, steps_aside: false }
    }
}
