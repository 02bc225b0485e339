//! What an answer is worth, in the eyes of the checker.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use decant_planner::check::{Violation, check};
use decant_schema::fleet::{self, Fleet};
use decant_schema::id::{HostName, InstanceId, MoveId};
use decant_schema::plan::{self, Move, MoveMode, MoveReason, Outcome, Plan, Proof, ProofStatus, TierName};
use decant_schema::request::{Options, Request, RequestKind};
use decant_schema::units::mib;

/// An answer as judged.
#[derive(Clone, Debug, Default)]
pub(crate) struct Judged {
    pub(crate) refused: u64,
    pub(crate) displaced_mb: u64,
    /// Proven by the answer itself and verified by the checker; only decant proves anything.
    pub(crate) displaced_bound_mb: Option<u64>,
    pub(crate) optimal: bool,
    pub(crate) duration_s: Option<f64>,
    pub(crate) duration_bound_s: Option<f64>,
    /// What is wrong with where everything ends; for a plan, with anything in it.
    pub(crate) violations: usize,
    /// Hosts or groups that would be violated on the way, with the moves in the order given.
    pub(crate) order_violations: usize,
}

impl Judged {
    /// What is compared, in this order; less is better.
    pub(crate) fn value(&self) -> (u64, u64) {
        (self.refused, self.displaced_mb)
    }

    /// What is reached, for a table.
    pub(crate) fn in_words(&self) -> String {
        let proof = match self.displaced_bound_mb {
            _ if self.optimal => "optimal".to_owned(),
            Some(bound) => format!("at least {} proven", bound / 1024),
            None => "nothing proven".to_owned(),
        };
        let holds = if self.violations == 0 { "" } else { ", DOES NOT HOLD" };
        format!("{} refused, {} GiB displaced, {proven}{holds}", self.refused, self.displaced_mb / 1024, proven = proof)
    }
}

/// Judges a plan of decant.
pub(crate) fn judge_plan(fleet_path: &str, plan_path: &Path) -> Judged {
    let fleet = read(fleet_path);
    let Ok(bytes) = fs::read(plan_path) else { return Judged { violations: 1, ..Judged::default() } };
    let plan: Plan = serde_json::from_slice(&bytes).unwrap();
    let tier = |name: TierName| plan.proof.tiers.iter().find(|tier| tier.name == name).unwrap();
    let whole = |number: f64| format!("{number:.0}").parse::<u64>().unwrap();
    let displaced = tier(TierName::DisplacedMemoryMb);
    Judged {
        refused: whole(tier(TierName::Refused).value),
        displaced_mb: whole(displaced.value),
        displaced_bound_mb: displaced.bound.map(whole),
        optimal: plan.proof.status == ProofStatus::Optimal,
        duration_s: Some(tier(TierName::DurationS).value),
        duration_bound_s: tier(TierName::DurationS).bound,
        violations: check(&fleet, &plan).violations.len(),
        order_violations: 0,
    }
}

/// Judges a peer's moves: where they end, and whether the order they are given in could be carried out.
pub(crate) fn judge_moves(fleet_path: &str, drain_path: &str, answer_path: &Path) -> Judged {
    let fleet = read(fleet_path);
    let hosts: BTreeSet<HostName> =
        fs::read_to_string(drain_path).unwrap().split_whitespace().map(HostName::from).collect();
    let Ok(bytes) = fs::read(answer_path) else { return Judged { violations: 1, ..Judged::default() } };
    let answer: BTreeMap<InstanceId, HostName> = serde_json::from_slice(&bytes).unwrap();
    let plan = plan_of(&fleet, &hosts, &answer);
    let leaving = fleet.instances().iter().filter(|instance| hosts.contains(&instance.host));
    let stays = leaving.filter(|instance| !answer.contains_key(&instance.id)).count();
    let third_parties = plan.moves.iter().filter(|line| !hosts.contains(&line.source));
    let memory = |line: &Move| {
        let instance = &fleet.instances()[fleet.instance_index(line.instance.as_str()).unwrap()];
        fleet.claim(instance).get("MEMORY_MB").copied().unwrap_or(0)
    };
    let violations = check(&fleet, &plan).violations;
    let at_end = |violation: &&Violation| matches!(violation, Violation::FullAtEnd { .. } | Violation::Target { .. });
    let under_way =
        |violation: &&Violation| matches!(violation, Violation::Overfull { .. } | Violation::AntiAffinity { .. });
    Judged {
        refused: stays as u64,
        displaced_mb: third_parties.map(memory).sum(),
        violations: violations.iter().filter(at_end).count(),
        order_violations: violations.iter().filter(under_way).count(),
        ..Judged::default()
    }
}

/// A peer's moves as a plan, one after the other.
fn plan_of(fleet: &Fleet, hosts: &BTreeSet<HostName>, answer: &BTreeMap<InstanceId, HostName>) -> Plan {
    let moves = answer.iter().enumerate().map(|(at, (id, target))| {
        let source = &fleet.instances()[fleet.instance_index(id.as_str()).unwrap()].host;
        let number = u32::try_from(at).unwrap();
        Move {
            id: MoveId(number + 1),
            instance: id.clone(),
            source: source.clone(),
            target: target.clone(),
            mode: MoveMode::Live,
            why: if hosts.contains(source) { MoveReason::Evacuate } else { MoveReason::Displace },
            flavor: None,
            after: (number > 0).then_some(MoveId(number)).into_iter().collect(),
            transfer_mb: mib(0),
            start_s: 0.0,
            end_s: 0.0,
            standstill: None,
        }
    });
    Plan {
        format: plan::FORMAT.to_owned(),
        id: uuid::Uuid::nil(),
        created_at: jiff::Timestamp::UNIX_EPOCH,
        fleet_digest: String::new(),
        request: Request { kind: RequestKind::Evacuate { hosts: hosts.clone() }, options: Options::default() },
        outcome: Outcome::Partial,
        proof: Proof {
            status: ProofStatus::Gap,
            stopped_by: None,
            seconds: 0.0,
            tiers: Vec::new(),
            priorities: Vec::new(),
            rounds: None,
            certificate: None,
            certified: false,
        },
        moves: moves.collect(),
        refusals: Vec::new(),
        hosts: Vec::new(),
        groups: Vec::new(),
        rounds: Vec::new(),
        left: Vec::new(),
        away: Vec::new(),
    }
}

/// What a rolling plan reaches and what is proven of it, for a table; and whether it holds.
pub(crate) fn judge_rounds(fleet_path: &str, plan_path: &Path) -> (String, bool) {
    let Ok(bytes) = fs::read(plan_path) else { return ("no plan".to_owned(), false) };
    let plan: Plan = serde_json::from_slice(&bytes).unwrap();
    let least = plan.proof.rounds.unwrap();
    let holds = check(&read(fleet_path), &plan).holds();
    let in_words = format!(
        "{} refused, {} rounds (at least {}), {} moves (at least {}){}",
        plan.refusals.len(),
        plan.rounds.len(),
        least.rounds,
        plan.moves.len(),
        least.moves,
        if holds { "" } else { ", DOES NOT HOLD" }
    );
    (in_words, holds)
}

/// How many hosts, instances and pools a fleet has; a pool is a zone with the same aggregates.
pub(crate) fn extent(fleet_path: &str) -> (usize, usize, usize) {
    let fleet = read(fleet_path);
    let pools: BTreeSet<_> = fleet.hosts().iter().map(|host| (&host.zone, &host.aggregates)).collect();
    (fleet.hosts().len(), fleet.instances().len(), pools.len())
}

fn read(path: &str) -> Fleet {
    fleet::read(&fs::read(path).unwrap()).unwrap().fleet
}
