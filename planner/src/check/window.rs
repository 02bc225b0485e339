//! How many cannot start within the window of an evacuation, as the checker counts: whatever starts in it but what is
//! under way when it closes has ended by then, and kept its host's network and the slots busy.

use decant_schema::fleet::{InstanceState, Mobility};
use decant_schema::request::RequestKind;

use super::scene::{Asked, Scene};

/// What rounding may make of a second.
const SLACK: f64 = 1e-9;

/// Requested instances that no plan starts in time, each leaving the gentlest way its mobility allows.
pub(super) fn too_late(scene: &Scene<'_>) -> u64 {
    let evacuation = matches!(scene.request.kind, RequestKind::Evacuate { .. });
    let Some(window_s) = scene.options().window_s.filter(|_| evacuation) else { return 0 };
    let mut leaving: Vec<Vec<Departure>> = scene.fleet.hosts().iter().map(|_| Vec::new()).collect();
    for at in (0..scene.home.len()).filter(|at| scene.asked(*at) == Some(Asked::Leave)) {
        if scene.host(scene.home[at]).up {
            leaving[scene.home[at]].push(Departure::of(scene, at));
        }
    }
    let of_hosts = leaving.iter().enumerate().map(|(host, leaving)| {
        let slots = slots(scene, host);
        let network = ended(leaving.iter().map(|it| it.network_s).collect(), window_s);
        let together = ended(leaving.iter().map(Departure::all_s).collect(), window_s * f64::from(slots));
        late(leaving.len(), slots, network.min(together))
    });
    let of_hosts: u64 = of_hosts.sum();
    let all: Vec<f64> = leaving.iter().flatten().map(Departure::all_s).collect();
    let of_fleet = scene
        .fleet
        .document()
        .defaults
        .max_migrations
        .map_or(0, |slots| late(all.len(), slots.max(1), ended(all, window_s * f64::from(slots.max(1)))));
    of_hosts.max(of_fleet)
}

/// What an instance's leaving takes at least.
pub(super) struct Departure {
    /// Of its host's network, alone on it.
    pub(super) network_s: f64,
    /// Stopping and starting.
    settle_s: f64,
}

impl Departure {
    #[expect(clippy::cast_precision_loss, reason = "sizes and rates are within 2^53")]
    pub(super) fn of(scene: &Scene<'_>, at: usize) -> Self {
        let (instance, defaults) = (scene.instance(at), &scene.fleet.document().defaults);
        let running = matches!(instance.state, InstanceState::Active | InstanceState::Paused);
        let carried = running && matches!(instance.mobility, Mobility::Live | Mobility::Suspend);
        let disk = if instance.storage.is_some() { 0 } else { (instance.local_disk_mb + instance.overlay_mb).count() };
        let size = disk + if carried { scene.memory(at) } else { 0 };
        let restart_s = instance.shutdown_s.unwrap_or(defaults.shutdown_s) + instance.boot_s.unwrap_or(defaults.boot_s);
        Self {
            network_s: size as f64 * 8.388_608 / rate(scene, scene.home[at]),
            settle_s: if running && !carried { restart_s } else { 0.0 },
        }
    }

    /// On a slot.
    pub(super) fn all_s(&self) -> f64 {
        self.network_s + self.settle_s
    }
}

/// The network of a host, megabit/s.
#[expect(clippy::cast_precision_loss, reason = "rates are within 2^53")]
pub(super) fn rate(scene: &Scene<'_>, host: usize) -> f64 {
    let of_fleet = scene.fleet.document().defaults.network_mbps;
    scene.host(host).network_mbps.unwrap_or(of_fleet).count().max(1) as f64
}

pub(super) fn slots(scene: &Scene<'_>, host: usize) -> u32 {
    let defaults = &scene.fleet.document().defaults;
    scene.host(host).max_migrations.unwrap_or(defaults.max_migrations_per_host).max(1)
}

/// The most of these that can have ended one after the other.
fn ended(mut times: Vec<f64>, moment_s: f64) -> usize {
    times.sort_by(f64::total_cmp);
    let mut ends = times.iter().scan(0.0, |end, time| {
        *end += time;
        Some(*end)
    });
    ends.position(|end| end * (1.0 - SLACK) > moment_s).unwrap_or(times.len())
}

fn late(leaving: usize, slots: u32, ended: usize) -> u64 {
    leaving.saturating_sub(ended + slots as usize) as u64
}
