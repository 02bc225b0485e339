//! The rounds of a rolling plan: every host once, empty when its turn comes, and left alone while it is out.

use std::collections::{BTreeMap, BTreeSet};

use decant_schema::id::HostName;
use decant_schema::plan::{Away, Plan, Round, RuleName};
use decant_schema::request::{RequestKind, RollingOptions};

use super::itinerary::{Itinerary, Step};
use super::precedence::{BLOCK, Followers};
use super::scene::Scene;
use super::turns::Turns;
use super::violation::Violation;
use super::{rule, spare};

/// Rounds that do not hold along the printed times.
pub(super) fn broken(scene: &Scene<'_>, plan: &Plan, itinerary: &Itinerary<'_>) -> Vec<Violation> {
    let RequestKind::Rolling { rounds: options, .. } = &scene.request.kind else {
        let unasked = !(plan.rounds.is_empty() && plan.left.is_empty() && plan.away.is_empty());
        return unasked.then_some(Violation::RoundsUnasked).into_iter().collect();
    };
    let mut violations = coverage(scene, plan);
    violations.extend(timing(plan, options));
    violations.extend(closed(plan, options));
    violations.extend(Turns::new(scene, plan).and_then(|turns| turns.boast(plan)));
    violations.extend(spare::missing(scene, plan, itinerary, options));
    violations.extend(not_home(scene, plan, itinerary, options));
    violations.extend(unordered(scene, plan, itinerary));
    let stays = stays(scene, plan, itinerary);
    for (number, round) in (1..).zip(&plan.rounds) {
        for host in &round.hosts {
            let at = scene.fleet.host_index(host.as_str()).expect("all names of the plan are known");
            let stays = stays.get(&at).into_iter().flatten();
            violations.extend(stays.filter_map(|stay| stay.disturbs(itinerary, number, round, host)));
        }
    }
    violations
}

/// Hosts that are not in exactly one round or left over, and moves that are not in exactly one round.
fn coverage(scene: &Scene<'_>, plan: &Plan) -> Vec<Violation> {
    let mut hosts = BTreeMap::new();
    let turns = plan.rounds.iter().flat_map(|round| &round.hosts);
    turns.chain(&plan.left).for_each(|host| *hosts.entry(host).or_insert(0) += 1);
    let mut moves = BTreeMap::new();
    plan.rounds.iter().flat_map(|round| &round.moves).for_each(|id| *moves.entry(*id).or_insert(0) += 1);
    let listed: BTreeSet<&HostName> = scene.emptied().into_iter().flatten().collect();
    let missing = listed.iter().copied().filter(|host| !hosts.contains_key(host));
    let wrong = hosts.iter().filter(|(host, times)| **times != 1 || !listed.contains(*host)).map(|(host, _)| *host);
    let hosts: Vec<&HostName> = missing.chain(wrong).collect();
    let moves = plan.moves.iter().filter(|line| moves.get(&line.id) != Some(&1));
    let hosts = hosts.into_iter().map(|host| Violation::RoundHosts { host: host.clone() });
    hosts.chain(moves.map(|line| Violation::RoundMoves { id: line.id })).collect()
}

/// Arrivals on a host after its turn that do not wait for all that emptied it: whatever the times turn out to be, they must
/// not find it half empty.
fn unordered(scene: &Scene<'_>, plan: &Plan, itinerary: &Itinerary<'_>) -> Vec<Violation> {
    let turns = (0..plan.rounds.len()).flat_map(|at| plan.rounds[at].hosts.iter().map(move |host| (host, at)));
    let turns = turns.filter_map(|(host, turn)| Some((scene.fleet.host_index(host.as_str())?, turn)));
    let rounds: BTreeMap<_, _> =
        (0..plan.rounds.len()).flat_map(|at| plan.rounds[at].moves.iter().map(move |id| (*id, at))).collect();
    let round_of = |at: usize| rounds.get(&itinerary.steps[at].line.id).copied();
    let mut violations = Vec::new();
    for (host, turn) in turns {
        let returned_at_s = plan.rounds[turn].returned_at_s;
        let of_moves = |end: fn(&Step<'_>) -> usize| {
            (0..itinerary.steps.len()).filter(move |at| end(&itinerary.steps[*at]) == host).collect::<Vec<usize>>()
        };
        let departures: Vec<usize> =
            of_moves(|step| step.source).into_iter().filter(|at| round_of(*at).is_some_and(|of| of <= turn)).collect();
        let comes_later = |at: &usize| {
            let home = itinerary.steps[*at].line.start_s >= returned_at_s;
            round_of(*at).is_some_and(|of| of > turn || of == turn && home)
        };
        let arrivals: Vec<usize> = of_moves(|step| step.target).into_iter().filter(comes_later).collect();
        for block in departures.chunks(BLOCK).filter(|_| !arrivals.is_empty()) {
            let followers = Followers::of(&itinerary.steps, block);
            for arrival in &arrivals {
                let missed = block.iter().find(|departure| !followers.follows(*arrival, **departure));
                violations.extend(missed.map(|departure| Violation::RoundUnordered {
                    round: turn + 1,
                    host: scene.host(host).name.clone(),
                    id: itinerary.steps[*arrival].line.id,
                    departure: itinerary.steps[*departure].line.id,
                }));
            }
        }
    }
    violations
}

/// Instances that are to return and do not, though the host would take them or without a true word on why it would
/// not; and such words about others.
fn not_home(scene: &Scene<'_>, plan: &Plan, itinerary: &Itinerary<'_>, options: &RollingOptions) -> Vec<Violation> {
    let ends = itinerary.ends(scene);
    let mut said: BTreeMap<usize, &Away> = BTreeMap::new();
    let mut violations = Vec::new();
    for away in &plan.away {
        let at = scene.fleet.instance_index(away.instance.as_str()).expect("all names of the plan are known");
        if said.insert(at, away).is_some() || !options.way_back || ends[at] == scene.home[at] {
            violations.push(Violation::FalseAway { instance: away.instance.clone() });
        }
    }
    let away = (0..ends.len()).filter(|at| options.way_back && ends[*at] != scene.home[*at]);
    for at in away {
        let (instance, host) = (scene.instance(at).id.clone(), scene.instance(at).host.clone());
        let rules = rule::objections_at_end(scene, plan, at, ends[at], scene.home[at]);
        match said.get(&at) {
            _ if rules.is_empty() => violations.push(Violation::NotHome { instance, host }),
            Some(away) if away.host == host && same(&away.rules, &rules) => {}
            _ => violations.push(Violation::FalseAway { instance }),
        }
    }
    violations
}

fn same(some: &[RuleName], others: &[RuleName]) -> bool {
    some.iter().collect::<BTreeSet<_>>() == others.iter().collect::<BTreeSet<_>>()
}

/// Rounds that are too short, or out together with too many hosts.
fn timing(plan: &Plan, options: &RollingOptions) -> Vec<Violation> {
    let mut violations = Vec::new();
    for (number, round) in (1..).zip(&plan.rounds) {
        let (returned_at_s, earliest_s) = (round.returned_at_s, round.empty_at_s + options.outage_s);
        if returned_at_s < earliest_s {
            violations.push(Violation::RoundReturn { round: number, returned_at_s, earliest_s });
        }
        let beside = plan.rounds.iter().filter(|other| out(other, round.empty_at_s) || std::ptr::eq(*other, round));
        let together = beside.map(|other| other.hosts.len()).sum();
        if let Some(max_out) = options.max_out.filter(|max_out| together > *max_out as usize) {
            violations.push(Violation::RoundSize { round: number, out: together, max_out });
        }
    }
    violations
}

/// Moves that start where the window, or none of its intervals, is open.
fn closed(plan: &Plan, options: &RollingOptions) -> Vec<Violation> {
    let open = options.open();
    let is_open = |at_s: f64| open.iter().any(|interval| (interval.from_s..interval.until_s).contains(&at_s));
    let closed = plan.moves.iter().filter(|line| !is_open(line.start_s));
    closed.map(|line| Violation::OutsideIntervals { id: line.id, start_s: line.start_s }).collect()
}

fn out(round: &Round, at_s: f64) -> bool {
    round.empty_at_s <= at_s && at_s < round.returned_at_s
}

/// An instance on a host, from the move that brings it, if any, to the move that takes it away, if any.
struct Stay {
    arrival: Option<usize>,
    departure: Option<usize>,
}

impl Stay {
    /// How it keeps a host from being empty while it is out.
    fn disturbs(&self, itinerary: &Itinerary<'_>, number: usize, round: &Round, host: &HostName) -> Option<Violation> {
        let line = |step: usize| itinerary.steps[step].line;
        let from_s = self.arrival.map_or(f64::NEG_INFINITY, |step| line(step).start_s);
        let until_s = self.departure.map_or(f64::INFINITY, |step| line(step).end_s);
        if from_s >= round.returned_at_s || until_s <= round.empty_at_s {
            return None;
        }
        let (host, empty_at_s) = (host.clone(), round.empty_at_s);
        match (self.arrival, self.departure) {
            (Some(arrival), _) => Some(Violation::RoundArrival { round: number, host, id: line(arrival).id }),
            (None, Some(departure)) => {
                let (id, end_s) = (line(departure).id, line(departure).end_s);
                Some(Violation::RoundNotEmpty { round: number, host, empty_at_s, id, end_s })
            }
            (None, None) => None,
        }
    }
}

/// By host: everybody's stays there.
fn stays(scene: &Scene<'_>, plan: &Plan, itinerary: &Itinerary<'_>) -> BTreeMap<usize, Vec<Stay>> {
    let listed: BTreeSet<usize> = plan
        .rounds
        .iter()
        .flat_map(|round| &round.hosts)
        .filter_map(|host| scene.fleet.host_index(host.as_str()))
        .collect();
    let mut stays: BTreeMap<usize, Vec<Stay>> = BTreeMap::new();
    for (instance, way) in &itinerary.ways {
        let mut host = scene.home[*instance];
        let mut arrival = None;
        for step in way {
            stays.entry(host).or_default().push(Stay { arrival, departure: Some(*step) });
            (host, arrival) = (itinerary.steps[*step].target, Some(*step));
        }
        stays.entry(host).or_default().push(Stay { arrival, departure: None });
    }
    stays.retain(|host, _| listed.contains(host));
    stays
}
