//! What the planner found, written down as a plan: the one place that turns indices back into names.

use std::collections::BTreeSet;

use decant_schema::fleet::{InstanceState, Resources};
use decant_schema::id::MoveId;
use decant_schema::plan::{
    self, HostUsage, Move, MoveMode, MoveReason, Outcome, Plan, PriorityTier, Proof, ProofStatus, Standstill,
    StandstillReason, Tier, TierName,
};
use decant_schema::request::{RequestKind, Resize};

use crate::Stamp;
use crate::balance;
use crate::ordering::peak::peaks;
use crate::ordering::{Schedule, ScheduledMove};
use crate::problem::{Amounts, HostIdx, InstanceIdx, Problem, Task};
use crate::search::Answer;

/// Writes an answer down. `seconds` is what it took.
pub(crate) fn assemble(problem: &Problem, answer: Answer, stamp: Stamp, seconds: f64) -> Plan {
    let tiers = tiers(problem, &answer);
    let outcome = match (answer.refusals.is_empty(), answer.schedule.moves.is_empty()) {
        (false, _) => Outcome::Partial,
        (true, true) => Outcome::NothingToDo,
        (true, false) => Outcome::Complete,
    };
    Plan {
        format: plan::FORMAT.to_owned(),
        id: stamp.id,
        created_at: stamp.created_at,
        fleet_digest: problem.fleet.digest().to_string(),
        request: problem.request.clone(),
        outcome,
        proof: Proof {
            status: status(&tiers),
            stopped_by: answer.stopped_by,
            seconds,
            tiers: in_order(problem, tiers),
            priorities: by_priority(problem, &answer.schedule.placement.refused),
            rounds: None,
            certificate: answer.certificate,
            certified: false,
        },
        moves: answer.schedule.moves.iter().enumerate().map(|(at, m)| named(problem, at, m)).collect(),
        refusals: answer.refusals,
        hosts: usage(problem, &answer.schedule),
        groups: Vec::new(),
        rounds: Vec::new(),
        left: Vec::new(),
        away: Vec::new(),
    }
}

/// The refused by priority, where those asked have several; what is proven of it is for the checker to say.
fn by_priority(problem: &Problem, refused: &[InstanceIdx]) -> Vec<PriorityTier> {
    let rolling = matches!(problem.request.kind, RequestKind::Rolling { .. });
    let levels = problem.priorities();
    if refused.is_empty() || levels.len() < 2 || rolling {
        return Vec::new();
    }
    let counts = problem.refused_by_priority(refused);
    let tier = |(priority, refused)| PriorityTier { priority, refused, bound: None };
    levels.into_iter().zip(counts).map(tier).collect()
}

/// The sum of the first two tiers; the later ones are goals, not promises.
fn status(tiers: &[Tier; 4]) -> ProofStatus {
    let met = |tier: &Tier| tier.bound == Some(tier.value);
    match (met(&tiers[0]), met(&tiers[1]), tiers[0].value > 0.0) {
        (true, _, true) => ProofStatus::Infeasible,
        (true, true, false) => ProofStatus::Optimal,
        _ => ProofStatus::Gap,
    }
}

fn tiers(problem: &Problem, answer: &Answer) -> [Tier; 4] {
    let placement = &answer.schedule.placement;
    let complete = placement.refused.is_empty();
    let displaced = displaced_memory(problem, &answer.schedule);
    let balance_bound = complete.then(|| balance::imbalance_bound(problem, placement, displaced));
    let tier = |name, value, bound| Tier { name, value, bound, planner_bound: None };
    [
        tier(TierName::Refused, exact(placement.refused.len() as u64), Some(exact(answer.refused_bound))),
        tier(TierName::DisplacedMemoryMb, exact(displaced), answer.displaced_bound.map(exact)),
        tier(TierName::DurationS, answer.schedule.duration_s, complete.then_some(answer.schedule.leaving_bound_s)),
        tier(TierName::Imbalance, balance::imbalance(problem, placement), balance_bound),
    ]
}

/// Memory of the third parties that move at all, each once, whether they stay away or only make way for a while.
pub(crate) fn displaced_memory(problem: &Problem, schedule: &Schedule) -> u64 {
    let movers: BTreeSet<InstanceIdx> = schedule
        .moves
        .iter()
        .map(|line| line.instance)
        .filter(|instance| problem.instances[instance.at()].task == Task::MayMove)
        .collect();
    movers.into_iter().map(|instance| amount(problem.kind(instance).memory)).sum()
}

/// The request's order of goals, then the usual one.
fn in_order(problem: &Problem, tiers: [Tier; 4]) -> Vec<Tier> {
    let mut tiers = Vec::from(tiers);
    tiers.sort_by_key(|tier| problem.request.options.rank(tier.name));
    tiers
}

fn named(problem: &Problem, at: usize, line: &ScheduledMove) -> Move {
    let instance = &problem.fleet.instances()[line.instance.at()];
    let host = |host: HostIdx| problem.fleet.hosts()[host.at()].name.clone();
    Move {
        id: move_id(at),
        instance: instance.id.clone(),
        source: host(line.source),
        target: host(line.target),
        mode: line.mode,
        why: line.why,
        flavor: resize_of(problem, line).map(|resize| resize.flavor.clone()),
        after: line.after.iter().map(|before| move_id(*before)).collect(),
        transfer_mb: line.transfer,
        start_s: line.start_s,
        end_s: line.end_s,
        standstill: standstill(problem, line),
    }
}

/// Why an instance stands still, where it could move while it runs or has lost its host.
fn standstill(problem: &Problem, line: &ScheduledMove) -> Option<Standstill> {
    let instance = &problem.fleet.instances()[line.instance.at()];
    let runs = matches!(instance.state, InstanceState::Active | InstanceState::Paused);
    let because = match line.mode {
        MoveMode::Suspend if line.not_converging => {
            StandstillReason::DirtyRate { dirty_mbps: instance.dirty_mbps, link_mbps: line.full_rate }
        }
        MoveMode::Rebuild if runs => StandstillReason::HostDown,
        _ => return None,
    };
    Some(Standstill { because, seconds: line.end_s - line.start_s })
}

fn move_id(at: usize) -> MoveId {
    MoveId(u32::try_from(at + 1).expect("a plan has fewer than 2^32 moves"))
}

/// The request a move fulfils, if it is the one that changes the flavor.
fn resize_of<'a>(problem: &'a Problem, line: &ScheduledMove) -> Option<&'a Resize> {
    let RequestKind::Resize { resizes } = &problem.request.kind else { return None };
    let id = &problem.fleet.instances()[line.instance.at()].id;
    resizes.iter().find(|resize| line.why == MoveReason::Resize && resize.instance == *id)
}

/// Every host the plan touches: what its instances claim before, at its fullest and after.
fn usage(problem: &Problem, schedule: &Schedule) -> Vec<HostUsage> {
    let mut touched: BTreeSet<HostIdx> = schedule.moves.iter().flat_map(|line| [line.source, line.target]).collect();
    touched.extend((0..problem.hosts.len()).map(HostIdx::new).filter(|host| problem.hosts[host.at()].evacuated));
    let free_after = balance::free_after(problem, &schedule.placement);
    let peaks = peaks(problem, &schedule.moves);
    touched
        .into_iter()
        .map(|host| {
            let facts = &problem.hosts[host.at()];
            let before = claims(problem, host);
            let freed = free_after[host.at()].iter().zip(&facts.free);
            let after = before.iter().zip(freed).map(|(used, (after, before))| used - (after - before)).collect();
            HostUsage {
                name: problem.fleet.hosts()[host.at()].name.clone(),
                peak: named_amounts(problem, &peaks[host.at()]),
                after: named_amounts(problem, &after),
                before: named_amounts(problem, &before),
            }
        })
        .collect()
}

/// What the instances of a host claim now.
fn claims(problem: &Problem, host: HostIdx) -> Amounts {
    let mut claims: Amounts = vec![0; problem.classes.len()].into();
    for instance in &problem.hosts[host.at()].instances {
        claims.iter_mut().zip(&problem.kind(*instance).claim).for_each(|(sum, claim)| *sum += claim);
    }
    claims
}

fn named_amounts(problem: &Problem, amounts: &Amounts) -> Resources {
    problem.classes.iter().cloned().zip(amounts.iter().copied().map(amount)).collect()
}

/// Usage is a sum of amounts the door admitted.
fn amount(signed: i64) -> u64 {
    u64::try_from(signed).expect("usage is a sum of amounts and never negative")
}

#[expect(clippy::cast_precision_loss, reason = "amounts are within 2^53")]
fn exact(count: u64) -> f64 {
    count as f64
}
