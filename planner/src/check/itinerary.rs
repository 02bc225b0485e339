//! The moves with their names resolved, and every instance's way through them.

use std::collections::{BTreeMap, HashSet};

use decant_schema::fleet::{Flavor, Fleet};
use decant_schema::id::{HostName, InstanceId, MoveId};
use decant_schema::plan::{Certificate, Fix, GroupNote, Move, Plan, Refusal};
use decant_schema::request::RequestKind;

use super::gathering::name;
use super::scene::{Amounts, Scene};
use super::violation::{Place, Violation};

/// A move whose names are known.
pub(super) struct Step<'a> {
    /// Its line in the plan.
    pub(super) line: &'a Move,
    pub(super) instance: usize,
    pub(super) source: usize,
    pub(super) target: usize,
    /// The flavor it has once it has arrived.
    pub(super) flavor: &'a Flavor,
    /// What it claims before.
    pub(super) claim: Amounts,
    /// What it claims after.
    pub(super) need: Amounts,
    /// Positions of the moves it waits for; all smaller than its own.
    pub(super) after: Vec<usize>,
}

impl Step<'_> {
    pub(super) fn in_place(&self) -> bool {
        self.source == self.target
    }

    /// What its target holds more of while it runs. In place, the greater of the two sizes is held.
    pub(super) fn arriving(&self) -> Amounts {
        if !self.in_place() {
            return self.need.clone();
        }
        self.need.iter().zip(&self.claim).map(|(need, claim)| (need - claim).max(0)).collect()
    }

    /// What its source holds less of once it has ended.
    pub(super) fn leaving(&self) -> Amounts {
        if !self.in_place() {
            return self.claim.clone();
        }
        self.need.iter().zip(&self.claim).map(|(need, claim)| (claim - need).max(0)).collect()
    }
}

/// The moves in the printed order, and by instance.
pub(super) struct Itinerary<'a> {
    pub(super) steps: Vec<Step<'a>>,
    /// By instance that moves: positions of its moves, in order.
    pub(super) ways: BTreeMap<usize, Vec<usize>>,
}

impl<'a> Itinerary<'a> {
    /// Follows the moves of a plan whose names are known and whose printed order respects `after`.
    pub(super) fn new(scene: &Scene<'a>, plan: &'a Plan) -> Self {
        let mut steps: Vec<Step<'a>> = Vec::with_capacity(plan.moves.len());
        let mut ways: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for line in &plan.moves {
            let instance = position(scene.fleet.instance_index(line.instance.as_str()));
            let way = ways.entry(instance).or_default();
            let (held, claim) = match way.last() {
                Some(previous) => (steps[*previous].flavor, steps[*previous].need.clone()),
                None => (known_flavor(scene, &scene.instance(instance).flavor), scene.claim(instance)),
            };
            let flavor = line.flavor.as_ref().map_or(held, |name| known_flavor(scene, name));
            let need = if line.flavor.is_some() { scene.dense(&flavor.resources) } else { claim.clone() };
            way.push(steps.len());
            steps.push(Step {
                line,
                instance,
                source: position(scene.fleet.host_index(line.source.as_str())),
                target: position(scene.fleet.host_index(line.target.as_str())),
                flavor,
                claim,
                need,
                after: line.after.iter().map(|id| id.0 as usize - 1).collect(),
            });
        }
        Self { steps, ways }
    }

    /// Where every instance is once all moves have ended.
    pub(super) fn ends(&self, scene: &Scene<'_>) -> Vec<usize> {
        let mut ends = scene.home.clone();
        for (instance, way) in &self.ways {
            if let Some(last) = way.last() {
                ends[*instance] = self.steps[*last].target;
            }
        }
        ends
    }

    pub(super) fn ids(&self, steps: &[usize]) -> Vec<MoveId> {
        steps.iter().map(|step| self.steps[*step].line.id).collect()
    }
}

fn position(found: Option<usize>) -> usize {
    found.expect("a plan is followed only once all its names are known")
}

fn known_flavor<'a>(scene: &Scene<'a>, name: &decant_schema::id::FlavorName) -> &'a Flavor {
    scene.flavor(name).expect("a plan is followed only once all its names are known")
}

/// Names the fleet does not have. A plan with any cannot be followed.
pub(super) fn unknown_names(fleet: &Fleet, plan: &Plan) -> Vec<Violation> {
    let mut names = Names { fleet, violations: Vec::new() };
    match &plan.request.kind {
        RequestKind::Evacuate { hosts } | RequestKind::Rolling { hosts, .. } => names.hosts(Place::Request, hosts),
        RequestKind::Resize { resizes } => {
            for resize in resizes {
                names.instance(Place::Request, &resize.instance);
                names.flavor(Place::Request, resize.flavor.as_str());
            }
        }
    }
    names.hosts(Place::Request, &plan.request.options.exclude_hosts);
    plan.request.options.pins.iter().for_each(|instance| names.instance(Place::Request, instance));
    for line in &plan.moves {
        let place = Place::Move(line.id);
        names.instance(place, &line.instance);
        names.hosts(place, [&line.source, &line.target]);
        line.flavor.iter().for_each(|flavor| names.flavor(place, flavor.as_str()));
    }
    plan.refusals.iter().for_each(|refusal| names.of_refusal(refusal));
    plan.groups.iter().for_each(|note| names.of_note(note));
    names.hosts(Place::Hosts, plan.hosts.iter().map(|usage| &usage.name));
    for (at, round) in plan.rounds.iter().enumerate() {
        names.hosts(Place::Round(at + 1), &round.hosts);
    }
    names.hosts(Place::LeftOver, &plan.left);
    for away in &plan.away {
        names.instance(Place::Away, &away.instance);
        names.hosts(Place::Away, [&away.host]);
    }
    plan.proof.certificate.iter().for_each(|certificate| names.of_certificate(certificate));
    names.violations
}

struct Names<'a> {
    fleet: &'a Fleet,
    violations: Vec<Violation>,
}

impl Names<'_> {
    fn of_refusal(&mut self, refusal: &Refusal) {
        self.instance(Place::Refusals, &refusal.instance);
        self.hosts(Place::Refusals, refusal.reasons.iter().filter_map(|reason| reason.best_host.as_ref()));
        if let Some(conflict) = &refusal.conflict {
            conflict.instances.iter().for_each(|it| self.instance(Place::Refusals, it));
            conflict.certificate.iter().for_each(|certificate| self.of_certificate(certificate));
        }
        for fix in &refusal.fixes {
            match fix {
                Fix::Unpin { instance } => self.instance(Place::Refusals, instance),
                Fix::AddHost { like: host } | Fix::FreeRoom { host, .. } | Fix::AdmitHost { host } => {
                    self.hosts(Place::Refusals, [host]);
                }
                Fix::EmptyLater { hosts } => self.hosts(Place::Refusals, hosts),
                Fix::LiftBinding { instances, .. } => {
                    instances.iter().for_each(|instance| self.instance(Place::Refusals, instance));
                }
                Fix::AllowDisplacement { .. }
                | Fix::RelaxGroup { .. }
                | Fix::LowerHeadroom { .. }
                | Fix::LongerWindow { .. }
                | Fix::FewerSpareHosts { .. } => {}
            }
        }
    }

    fn of_note(&mut self, note: &GroupNote) {
        let group = name(note).as_str();
        let known = self.fleet.server_groups().iter().any(|known| known.name.as_str() == group);
        self.note(known, Place::Groups, "server group", group);
        match note {
            GroupNote::Crowded { host, instances, .. } => {
                self.hosts(Place::Groups, [host]);
                instances.iter().for_each(|instance| self.instance(Place::Groups, instance));
            }
            GroupNote::Spread { hosts, .. } => self.hosts(Place::Groups, hosts),
            GroupNote::Split { .. } => {}
        }
    }

    fn of_certificate(&mut self, certificate: &Certificate) {
        for pool in &certificate.pools {
            self.hosts(Place::Certificate, [&pool.host]);
            pool.prices.iter().for_each(|price| self.instance(Place::Certificate, &price.like));
        }
    }

    fn hosts<'n>(&mut self, place: Place, hosts: impl IntoIterator<Item = &'n HostName>) {
        for host in hosts {
            let known = self.fleet.host_index(host.as_str()).is_some();
            self.note(known, place, "host", host.as_str());
        }
    }

    fn instance(&mut self, place: Place, instance: &InstanceId) {
        let known = self.fleet.instance_index(instance.as_str()).is_some();
        self.note(known, place, "instance", instance.as_str());
    }

    fn flavor(&mut self, place: Place, flavor: &str) {
        let known = self.fleet.flavor_index(flavor).is_some();
        self.note(known, place, "flavor", flavor);
    }

    fn note(&mut self, known: bool, place: Place, what: &'static str, name: &str) {
        if !known {
            self.violations.push(Violation::UnknownName { place, what, name: name.to_owned() });
        }
    }
}

/// What keeps the moves from being read as a partial order in which the printed order is one way through.
pub(super) fn disorder(plan: &Plan) -> Vec<Violation> {
    let numbered = (1..).zip(&plan.moves);
    let misnumbered: Vec<Violation> = numbered
        .filter(|(position, line)| usize::try_from(line.id.0) != Ok(*position))
        .map(|(position, line)| Violation::MoveId { found: line.id, position })
        .collect();
    if !misnumbered.is_empty() {
        return misnumbered;
    }
    let mut violations = Vec::new();
    for line in &plan.moves {
        for after in &line.after {
            if after.0 == 0 || after.0 as usize > plan.moves.len() {
                violations.push(Violation::UnknownAfter { id: line.id, after: *after });
            }
        }
    }
    if violations.is_empty() {
        violations = circle(plan).into_iter().collect();
    }
    if violations.is_empty() {
        for line in &plan.moves {
            let late = line.after.iter().filter(|after| **after >= line.id);
            violations.extend(late.map(|after| Violation::PrintedOrder { id: line.id, after: *after }));
        }
    }
    violations
}

/// The moves that wait for each other, if any: those left when all that can start have been taken away.
fn circle(plan: &Plan) -> Option<Violation> {
    let mut waits: Vec<HashSet<MoveId>> = plan.moves.iter().map(|line| line.after.iter().copied().collect()).collect();
    let mut waited_by: Vec<Vec<usize>> = vec![Vec::new(); plan.moves.len()];
    for (at, line) in plan.moves.iter().enumerate() {
        line.after.iter().for_each(|after| waited_by[after.0 as usize - 1].push(at));
    }
    let mut ready: Vec<usize> = (0..waits.len()).filter(|at| waits[*at].is_empty()).collect();
    while let Some(done) = ready.pop() {
        for waiting in &waited_by[done] {
            if waits[*waiting].remove(&plan.moves[done].id) && waits[*waiting].is_empty() {
                ready.push(*waiting);
            }
        }
    }
    let moves: Vec<MoveId> =
        plan.moves.iter().zip(&waits).filter(|(_, waits)| !waits.is_empty()).map(|(line, _)| line.id).collect();
    (!moves.is_empty()).then_some(Violation::Cycle { moves })
}
