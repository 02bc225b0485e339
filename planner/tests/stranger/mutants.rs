//! Plans spoilt in one place, each kind in every plan it applies to: to the strict none that is wrong may pass.
//!
//! Plans come from random small fleets, evacuations, resizes and rolling maintenances, by seed, without whatever rests on the
//! planner's word. What is wrong follows from how a plan was spoilt, or from trying every way on fleets small enough
//! ([`crate::brute`]); what passes must be true.

use std::sync::{Arc, LazyLock};

use decant_planner::check::check;
use decant_schema::fleet::Fleet;
use decant_schema::id::{FlavorName, InstanceId, MoveId};
use decant_schema::plan::{Fix, MoveMode, MoveReason, Outcome, Plan, ProofStatus, TierName};
use decant_schema::request::{Request, RequestKind, RollingOptions};
use decant_schema::units::mib;

use crate::brute::best;
use crate::facts::Facts;
use crate::fleets::{Shape, case};
use crate::planned::planned;

const SEEDS: std::ops::Range<u64> = 5000..5040;

const SMALL: Shape = Shape { hosts: 4, instances_per_host: 3, fill_percent: 95, flavors: 3 };

/// Whether nothing is wrong with a plan and nothing in it rests on the planner's word.
fn passes(fleet: &Fleet, plan: &Plan) -> bool {
    let verdict = check(fleet, plan);
    verdict.violations.is_empty() && verdict.unproven.is_empty()
}

/// A plan without what rests on the planner's word.
fn proven_part(mut plan: Plan) -> Plan {
    plan.proof.tiers.iter_mut().for_each(|tier| tier.planner_bound = None);
    for refusal in &mut plan.refusals {
        (refusal.conflict, refusal.fixes) = (None, Vec::new());
    }
    plan
}

/// The same fleet as a maintenance of all its hosts.
fn rolling(request: &Request, fleet: &Fleet) -> Request {
    let hosts = fleet.hosts().iter().map(|host| host.name.clone()).collect();
    let rounds = RollingOptions { window_s: 1e6, ..RollingOptions::default() };
    Request { kind: RequestKind::Rolling { hosts, rounds }, options: request.options.clone() }
}

/// Plans that pass, by seed; made once for all tests.
fn plans() -> impl Iterator<Item = (u64, Arc<Fleet>, Plan)> {
    static PLANS: LazyLock<Vec<(u64, Arc<Fleet>, Plan)>> = LazyLock::new(|| SEEDS.flat_map(of_seed).collect());
    PLANS.iter().cloned()
}

fn of_seed(seed: u64) -> [(u64, Arc<Fleet>, Plan); 2] {
    let (fleet, request) = case(seed, SMALL);
    let round = rolling(&request, &fleet);
    [request, round].map(|request| {
        let plan = proven_part(planned(&fleet, &request));
        assert!(passes(&fleet, &plan), "seed {seed}: {:#?}", check(&fleet, &plan));
        (seed, Arc::clone(&fleet), plan)
    })
}

/// A way to spoil a plan: every plan it makes of one is wrong.
type Kind = (&'static str, fn(&Fleet, &Plan) -> Vec<Plan>);

const KINDS: &[Kind] = &[
    ("all times 0, duration 0 proven least", |fleet, plan| {
        let works = plan.moves.iter().any(|line| line.transfer_mb.count() > 0);
        let mut spoilt = plan.clone();
        for line in &mut spoilt.moves {
            (line.start_s, line.end_s) = (0.0, 0.0);
        }
        for round in &mut spoilt.rounds {
            (round.empty_at_s, round.returned_at_s) = (0.0, 0.0);
        }
        goal(&mut spoilt, TierName::DurationS, 0.0, Some(0.0));
        let _ = fleet;
        if works { vec![spoilt] } else { Vec::new() }
    }),
    ("bytes tripled", |_, plan| {
        each_move(plan, |line| {
            let size = line.transfer_mb.count();
            line.transfer_mb = mib(size * 3);
            size > 0
        })
    }),
    ("a live move turned cold", |_, plan| {
        each_move(plan, |line| std::mem::replace(&mut line.mode, MoveMode::Cold) == MoveMode::Live)
    }),
    ("a live move suspended", |_, plan| {
        each_move(plan, |line| std::mem::replace(&mut line.mode, MoveMode::Suspend) == MoveMode::Live)
    }),
    ("another purpose", |_, plan| {
        each_move(plan, |line| {
            line.why = if line.why == MoveReason::Hop { MoveReason::Evacuate } else { MoveReason::Hop };
            true
        })
    }),
    ("a move that stays where it is", |_, plan| {
        each_move(plan, |line| {
            let moves = line.source != line.target;
            line.target = line.source.clone();
            moves
        })
    }),
    ("a move left out", |fleet, plan| {
        // An instance that has the flavor it is to have already needs no move.
        let has = |flavor: &FlavorName, id: &InstanceId| {
            fleet.instance_index(id.as_str()).is_some_and(|at| fleet.instances()[at].flavor == *flavor)
        };
        let needed = |at: &usize| {
            let line = &plan.moves[*at];
            !line.flavor.as_ref().is_some_and(|flavor| has(flavor, &line.instance))
        };
        (0..plan.moves.len())
            .filter(|at| *at + 1 == plan.moves.len() && needed(at))
            .map(|at| {
                let mut spoilt = plan.clone();
                let gone = spoilt.moves.remove(at);
                spoilt.rounds.iter_mut().for_each(|round| round.moves.retain(|id| *id != gone.id));
                spoilt
            })
            .collect()
    }),
    ("a bound above what is reached", |_, plan| {
        let tiers = 0..plan.proof.tiers.len();
        tiers
            .map(|at| {
                let mut spoilt = plan.clone();
                spoilt.proof.tiers[at].bound = Some(spoilt.proof.tiers[at].value + 1.0);
                spoilt
            })
            .collect()
    }),
    ("a better value than is reached", |_, plan| {
        let tiers = (0..plan.proof.tiers.len()).filter(|at| plan.proof.tiers[*at].value > 0.01);
        tiers
            .map(|at| {
                let mut spoilt = plan.clone();
                let tier = &mut spoilt.proof.tiers[at];
                (tier.value, tier.bound) = (tier.value / 2.0, tier.bound.map(|bound| bound.min(tier.value / 2.0)));
                spoilt
            })
            .collect()
    }),
    ("another status", |_, plan| {
        let all = [ProofStatus::Optimal, ProofStatus::Gap, ProofStatus::Infeasible];
        let others = all.into_iter().filter(|status| *status != plan.proof.status);
        others
            .map(|status| Plan { proof: decant_schema::plan::Proof { status, ..plan.proof.clone() }, ..plan.clone() })
            .collect()
    }),
    ("another outcome", |_, plan| {
        let all = [Outcome::Complete, Outcome::Partial, Outcome::NothingToDo];
        let others = all.into_iter().filter(|outcome| *outcome != plan.outcome);
        others.map(|outcome| Plan { outcome, ..plan.clone() }).collect()
    }),
    ("a refusal left out", |_, plan| {
        let each = 0..plan.refusals.len();
        each.map(|at| {
            let mut spoilt = plan.clone();
            spoilt.refusals.remove(at);
            spoilt
        })
        .collect()
    }),
    ("a figure of a host", |_, plan| {
        let each = 0..plan.hosts.len();
        each.map(|at| {
            let mut spoilt = plan.clone();
            *spoilt.hosts[at].after.entry("MEMORY_MB".into()).or_default() += 1;
            spoilt
        })
        .collect()
    }),
    ("a host returned before it is empty", |_, plan| {
        let each = (0..plan.rounds.len()).filter(|at| plan.rounds[*at].empty_at_s > 0.0);
        each.map(|at| {
            let mut spoilt = plan.clone();
            spoilt.rounds[at].returned_at_s = spoilt.rounds[at].empty_at_s - 1.0;
            spoilt
        })
        .collect()
    }),
];

/// The plan with each of its moves changed in turn, where that changes it for the worse.
fn each_move(plan: &Plan, change: impl Fn(&mut decant_schema::plan::Move) -> bool) -> Vec<Plan> {
    let changed = (0..plan.moves.len()).filter_map(|at| {
        let mut spoilt = plan.clone();
        change(&mut spoilt.moves[at]).then_some(spoilt)
    });
    changed.collect()
}

fn goal(plan: &mut Plan, name: TierName, value: f64, bound: Option<f64>) {
    for tier in plan.proof.tiers.iter_mut().filter(|tier| tier.name == name) {
        (tier.value, tier.bound) = (value, bound);
    }
}

#[test]
fn no_spoilt_plan_passes_the_strict() {
    let mut passed = Vec::new();
    let mut spoilt_in_all = 0;
    for (seed, fleet, plan) in plans() {
        for (name, spoil) in KINDS {
            for spoilt in spoil(&fleet, &plan) {
                spoilt_in_all += 1;
                if passes(&fleet, &spoilt) {
                    passed.push(format!("seed {seed}: {name}"));
                }
            }
        }
    }
    println!("{spoilt_in_all} spoilt plans, seeds {SEEDS:?}");
    assert!(passed.is_empty(), "{} pass: {passed:#?}", passed.len());
    assert!(spoilt_in_all >= 1000, "only {spoilt_in_all}");
}

/// A raised bound passes only where trying every way on the fleet finds nothing better.
#[test]
fn a_raised_bound_passes_only_where_it_is_true() {
    let (mut raised, mut true_ones) = (0, 0);
    for (seed, fleet, plan) in plans() {
        let evacuation = matches!(plan.request.kind, RequestKind::Evacuate { .. });
        if !evacuation || fleet.instances().len() > 7 {
            continue;
        }
        let (refused, displaced) = best(&Facts::new(&fleet, &plan.request));
        let truths = [(TierName::Refused, refused), (TierName::DisplacedMemoryMb, displaced)];
        for (name, truth) in truths {
            let mut spoilt = plan.clone();
            let tier = spoilt.proof.tiers.iter_mut().find(|tier| tier.name == name).unwrap();
            tier.bound = Some(tier.bound.unwrap_or(0.0) + 1.0);
            let bound = crate::planned::whole(tier.bound.unwrap());
            raised += 1;
            if passes(&fleet, &spoilt) {
                true_ones += 1;
                assert!(bound <= truth, "seed {seed}: {name:?} at least {bound} passes, but {truth} is possible");
            }
        }
    }
    println!("{raised} raised bounds, {true_ones} of them true");
    assert!(raised > 20, "only {raised}");
}

/// Freeing a MiB is seldom a fix.
#[test]
fn a_fix_that_frees_next_to_nothing_does_not_pass() {
    let mut tried = 0;
    for (seed, fleet, plan) in plans().filter(|(_, _, plan)| !plan.rounds.is_empty() || !plan.refusals.is_empty()) {
        for at in 0..plan.refusals.len() {
            for host in fleet.hosts() {
                let mut spoilt = plan.clone();
                let amounts = [("MEMORY_MB".into(), 1)].into();
                spoilt.refusals[at].fixes = vec![Fix::FreeRoom { host: host.name.clone(), amounts }];
                tried += 1;
                // All amounts of these fleets but `other_usage` are whole GiB.
                let close = host.other_usage.get("MEMORY_MB").is_some_and(|used| used % 1024 == 1);
                assert!(close || !passes(&fleet, &spoilt), "seed {seed}: {:?} passes", spoilt.refusals[at].fixes);
            }
        }
    }
    println!("{tried} fixes");
    assert!(tried > 50, "only {tried}");
}

/// In a rolling plan, each dropped `after` either leaves another way to the same promise or is seen.
#[test]
fn a_host_in_its_turn_is_kept_empty_by_after() {
    let mut seen = 0;
    for (_, fleet, plan) in plans().filter(|(_, _, plan)| !plan.rounds.is_empty()) {
        for at in 0..plan.moves.len() {
            let mut spoilt = plan.clone();
            spoilt.moves[at].after.clear();
            let target = &plan.moves[at].target;
            let turn = plan.rounds.iter().position(|round| round.hosts.contains(target));
            let round_of = |id: &MoveId| plan.rounds.iter().position(|round| round.moves.contains(id));
            let round = round_of(&plan.moves[at].id);
            let empties = |id: &MoveId| plan.moves[id.0 as usize - 1].source == *target && round_of(id) <= turn;
            let waited = plan.moves[at].after.iter().any(empties);
            if waited && turn < round && turn.is_some() {
                seen += 1;
                assert!(!passes(&fleet, &spoilt), "{:#?}", spoilt.moves[at]);
            }
        }
    }
    println!("{seen} dropped edges seen");
    assert!(seen > 20, "only {seen}");
}
