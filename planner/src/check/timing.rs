//! What crosses the network, how, and how fast: modes, bytes, rates and slots along the printed times.
//!
//! Times are estimates, but not free ones: no move is quicker than its bytes allow on an idle network, and what moves
//! share (a host's network out and in, a rack's uplink, migration slots) is enough for all that are printed as running
//! together. A transfer is counted with the rate that carries its bytes in the time it is given, the least it can hold.

use std::collections::BTreeMap;

use decant_schema::fleet::{InstanceState, Mobility};
use decant_schema::plan::{MoveMode, StandstillReason};
use decant_schema::units::Mbps;

use super::itinerary::{Itinerary, Step};
use super::scene::{Asked, Scene};
use super::violation::Violation;

/// Megabits of a MiB.
const MEGABITS: f64 = 8.388_608;

/// What rounding may make of a time, seconds: the planner counts whole microseconds.
const ROUNDING_S: f64 = 2e-6;

/// What rounding may make of a sum of rates, as a share.
const ROUNDING: f64 = 1e-6;

/// The last pause of a live move, seconds, as `downtime-limit` is by default: what is copied within it ends at any dirty rate.
const PAUSE_S: f64 = 0.3;

/// Moves whose mode, bytes or time cannot be so, and moments at which more is used than there is.
pub(super) fn broken(scene: &Scene<'_>, itinerary: &Itinerary<'_>) -> Vec<Violation> {
    let loads: Vec<Load> = itinerary.steps.iter().map(|step| Load::of(scene, step)).collect();
    let mut violations = Vec::new();
    for (step, load) in itinerary.steps.iter().zip(&loads) {
        violations.extend(mode(scene, step));
        violations.extend(transfer(scene, step, load));
        violations.extend(too_quick(scene, step, load));
        violations.extend(standstill(scene, step, load));
    }
    violations.extend(rates(scene, itinerary, &loads));
    violations.extend(slots(scene, itinerary));
    violations
}

/// What a move is to the network.
struct Load {
    size_mb: u64,
    megabits: f64,
    /// The least of the rates on its way, megabit/s.
    rate: f64,
    /// Stopping and starting, seconds.
    settle_s: f64,
}

impl Load {
    #[expect(clippy::cast_precision_loss, reason = "sizes and rates are within 2^53")]
    fn of(scene: &Scene<'_>, step: &Step<'_>) -> Self {
        let size_mb = size_mb(scene, step);
        let rate = ports(scene, step).into_iter().map(|(_, rate)| rate).min().unwrap_or(1);
        Self { size_mb, megabits: size_mb as f64 * MEGABITS, rate: rate as f64, settle_s: settle_s(scene, step) }
    }

    /// The least rate at which its bytes cross in the time printed.
    fn held(&self, step: &Step<'_>) -> f64 {
        let time = step.line.end_s - step.line.start_s - self.settle_s;
        if self.megabits > 0.0 { self.megabits / time.max(ROUNDING_S) } else { 0.0 }
    }
}

fn size_mb(scene: &Scene<'_>, step: &Step<'_>) -> u64 {
    let instance = scene.instance(step.instance);
    if step.in_place() || step.line.mode == MoveMode::Rebuild {
        return 0;
    }
    let disk = if instance.storage.is_some() { 0 } else { (instance.local_disk_mb + instance.overlay_mb).count() };
    let memory = match step.line.mode {
        MoveMode::Live | MoveMode::Suspend => scene.memory(step.instance),
        MoveMode::Cold | MoveMode::Rebuild => 0,
    };
    disk.saturating_add(memory)
}

fn settle_s(scene: &Scene<'_>, step: &Step<'_>) -> f64 {
    let (instance, defaults) = (scene.instance(step.instance), &scene.fleet.document().defaults);
    let boot_s = instance.boot_s.unwrap_or(defaults.boot_s);
    let shutdown_s = instance.shutdown_s.unwrap_or(defaults.shutdown_s);
    match step.line.mode {
        _ if !runs(scene, step) => 0.0,
        MoveMode::Live | MoveMode::Suspend => 0.0,
        MoveMode::Cold => shutdown_s + boot_s,
        MoveMode::Rebuild => boot_s,
    }
}

fn runs(scene: &Scene<'_>, step: &Step<'_>) -> bool {
    matches!(scene.instance(step.instance).state, InstanceState::Active | InstanceState::Paused)
}

/// What a transfer crosses, each with its rate: both networks, and both uplinks where it leaves a rack.
fn ports(scene: &Scene<'_>, step: &Step<'_>) -> Vec<(String, u64)> {
    let document = scene.fleet.document();
    let (source, target) = (scene.host(step.source), scene.host(step.target));
    let network = |rate: Option<Mbps>| rate.unwrap_or(document.defaults.network_mbps).count().max(1);
    let mut ports = vec![
        (format!("the network out of {}", source.name), network(source.network_mbps)),
        (format!("the network into {}", target.name), network(target.network_mbps)),
    ];
    if source.rack != target.rack {
        for (way, rack) in [("up", &source.rack), ("down", &target.rack)] {
            let known = document.racks.iter().find(|known| Some(&known.name) == rack.as_ref());
            ports.extend(
                known.map(|known| (format!("the uplink of {} ({way})", known.name), known.uplink_mbps.count().max(1))),
            );
        }
    }
    ports
}

/// A mode harder on the instance than it has to be: nobody asked for that. Whether it may move as gently as it does is
/// [`super::rule`]'s business.
#[expect(clippy::cast_precision_loss, reason = "sizes and rates are within 2^53")]
fn mode(scene: &Scene<'_>, step: &Step<'_>) -> Option<Violation> {
    let instance = scene.instance(step.instance);
    let gentle = runs(scene, step) && scene.host(step.source).up && !step.in_place() && !is_resized(scene, step);
    let because = match (step.line.mode, instance.mobility) {
        (MoveMode::Cold, Mobility::Live | Mobility::Suspend) if gentle => "it need not be stopped",
        (MoveMode::Suspend | MoveMode::Live, Mobility::Live) if gentle => {
            let rate = ports(scene, step).into_iter().map(|(_, rate)| rate).min().unwrap_or(1) as f64;
            let dirty = instance.dirty_mbps.count() as f64;
            let memory = scene.memory(step.instance) as f64 * MEGABITS;
            let ends = dirty < rate || memory <= rate * PAUSE_S;
            match (step.line.mode, ends) {
                (MoveMode::Suspend, true) => "it need not stand still",
                (MoveMode::Live, false) => "its memory is rewritten faster than it could be copied",
                _ => return None,
            }
        }
        _ => return None,
    };
    Some(Violation::Mode { id: step.line.id, instance: instance.id.clone(), mode: step.line.mode, because })
}

/// A new size needs a new start, also on the way to where it gets it.
fn is_resized(scene: &Scene<'_>, step: &Step<'_>) -> bool {
    matches!(scene.asked(step.instance), Some(Asked::Resize(_)))
}

fn transfer(scene: &Scene<'_>, step: &Step<'_>, load: &Load) -> Option<Violation> {
    let (found, actual) = (step.line.transfer_mb.count(), load.size_mb);
    let instance = scene.instance(step.instance).id.clone();
    (found != actual).then_some(Violation::Transfer { id: step.line.id, instance, found, actual })
}

fn too_quick(scene: &Scene<'_>, step: &Step<'_>, load: &Load) -> Option<Violation> {
    let (found_s, least_s) = (step.line.end_s - step.line.start_s, load.megabits / load.rate + load.settle_s);
    let instance = scene.instance(step.instance).id.clone();
    let quick = found_s + ROUNDING_S < least_s * (1.0 - ROUNDING);
    quick.then_some(Violation::TooQuick { id: step.line.id, instance, found_s, least_s })
}

/// What is said of why an instance stands still, and for how long, where that is not so. To say nothing is no mistake.
fn standstill(scene: &Scene<'_>, step: &Step<'_>, load: &Load) -> Option<Violation> {
    let said = step.line.standstill.as_ref()?;
    let instance = scene.instance(step.instance);
    let detail = match said.because {
        StandstillReason::DirtyRate { .. }
            if step.line.mode != MoveMode::Suspend || instance.mobility != Mobility::Live =>
        {
            "it does not stand still for its memory"
        }
        StandstillReason::DirtyRate { dirty_mbps, .. } if dirty_mbps != instance.dirty_mbps => {
            "it rewrites its memory at another rate"
        }
        #[expect(clippy::cast_precision_loss, reason = "rates are within 2^53")]
        StandstillReason::DirtyRate { link_mbps, .. } if (link_mbps.count() as f64 - load.rate).abs() >= 1.0 => {
            "its way has another rate"
        }
        StandstillReason::HostDown if step.line.mode != MoveMode::Rebuild || !runs(scene, step) => {
            "it does not run on a host that is down"
        }
        _ if (said.seconds - (step.line.end_s - step.line.start_s)).abs() > ROUNDING_S => {
            "it stands still for as long as the move takes"
        }
        _ => return None,
    };
    Some(Violation::FalseStandstill { id: step.line.id, instance: instance.id.clone(), detail })
}

/// Something that is shared, the change at a moment, the change.
type Changes = BTreeMap<String, (u64, Vec<(f64, f64)>)>;

/// The first moment at which something carries more than it can, for everything that does.
#[expect(clippy::cast_precision_loss, reason = "rates are within 2^53")]
fn rates(scene: &Scene<'_>, itinerary: &Itinerary<'_>, loads: &[Load]) -> Vec<Violation> {
    let mut changes: Changes = BTreeMap::new();
    for (step, load) in itinerary.steps.iter().zip(loads).filter(|(_, load)| load.megabits > 0.0) {
        let held = load.held(step);
        for (port, rate) in ports(scene, step) {
            let known = changes.entry(port).or_insert((rate, Vec::new()));
            known.1.extend([(step.line.start_s, held), (step.line.end_s - load.settle_s, -held)]);
        }
    }
    let over = changes.into_iter().filter_map(|(at, (limit, changes))| {
        let (moment_s, _) = first_above(changes, limit as f64 * (1.0 + ROUNDING))?;
        Some(Violation::RateExceeded { at, limit, moment_s })
    });
    over.collect()
}

/// The first moment at which the sum of changes is above a limit, and the sum there. What ends at a moment, to the
/// microsecond, makes place for what starts then.
fn first_above(mut changes: Vec<(f64, f64)>, limit: f64) -> Option<(f64, f64)> {
    changes.sort_by(|a, b| moment(a.0).total_cmp(&moment(b.0)).then(a.1.total_cmp(&b.1)));
    let mut sum = 0.0;
    changes.into_iter().find_map(|(at, change)| {
        sum += change;
        (sum > limit).then_some((at, sum))
    })
}

fn moment(time_s: f64) -> f64 {
    (time_s * 1e6).round()
}

/// The first moment at which a host, or the fleet, takes part in more moves than it may.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a count of moves, which are fewer than 2^32"
)]
fn slots(scene: &Scene<'_>, itinerary: &Itinerary<'_>) -> Vec<Violation> {
    let defaults = &scene.fleet.document().defaults;
    let mut changes: BTreeMap<String, (u32, Vec<(f64, f64)>)> = BTreeMap::new();
    for step in &itinerary.steps {
        let mut ends = vec![step.target];
        if scene.host(step.source).up && !step.in_place() {
            ends.push(step.source);
        }
        let of_hosts = ends.into_iter().map(|at| {
            let host = scene.host(at);
            (host.name.to_string(), host.max_migrations.unwrap_or(defaults.max_migrations_per_host))
        });
        let of_fleet = defaults.max_migrations.map(|most| ("the fleet".to_owned(), most));
        for (at, most) in of_hosts.chain(of_fleet) {
            let known = changes.entry(at).or_insert((most.max(1), Vec::new()));
            known.1.extend([(step.line.start_s, 1.0), (step.line.end_s, -1.0)]);
        }
    }
    let over = changes.into_iter().filter_map(|(at, (limit, changes))| {
        let (moment_s, found) = first_above(changes, f64::from(limit) + 0.5)?;
        Some(Violation::SlotsExceeded { at, found: found as u32, limit, moment_s })
    });
    over.collect()
}
