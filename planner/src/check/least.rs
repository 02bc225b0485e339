//! How short and how even any complete plan can be, by this module's own arithmetic: bounds without a certificate.
//!
//! Each is plain and weak where the planner's own is not, and needs nobody's word.

use decant_schema::plan::{Plan, TierName};
use decant_schema::request::RequestKind;

use super::rule::{Wish, immobile};
use super::scene::{Asked, Scene, subtract};
use super::window::{Departure, slots};

/// Seconds that no plan beats that empties all the hosts: what leaves a host shares its network and its slots, and the
/// fleet's. What is rebuilt from a host that is down takes neither.
pub(super) fn duration_s(scene: &Scene<'_>) -> f64 {
    if !matches!(scene.request.kind, RequestKind::Evacuate { .. }) {
        return 0.0;
    }
    let mut of_hosts = vec![(0.0_f64, 0.0_f64); scene.capacity.len()];
    let (mut longest, mut all) = (0.0_f64, 0.0_f64);
    for at in (0..scene.home.len()).filter(|at| scene.asked(*at) == Some(Asked::Leave)) {
        let home = scene.home[at];
        if scene.host(home).up {
            let departure = Departure::of(scene, at);
            of_hosts[home].0 += departure.network_s;
            of_hosts[home].1 += departure.all_s();
            longest = longest.max(departure.all_s());
            all += departure.all_s();
        }
    }
    let of_slots = |(host, (network, all)): (usize, &(f64, f64))| network.max(all / f64::from(slots(scene, host)));
    let busiest = of_hosts.iter().enumerate().map(of_slots).fold(longest, f64::max);
    let of_fleet = scene.fleet.document().defaults.max_migrations.map_or(0.0, |slots| all / f64::from(slots.max(1)));
    busiest.max(of_fleet)
}

/// How uneven the hosts are at least once all is done: what never leaves a host keeps it above the share of all. Where
/// nobody's memory is displaced, no third party with any leaves.
#[expect(clippy::cast_precision_loss, reason = "amounts of a document are within 2^53")]
pub(super) fn imbalance(scene: &Scene<'_>, plan: &Plan) -> f64 {
    let RequestKind::Evacuate { hosts } = &scene.request.kind else { return 0.0 };
    let displaced = plan.proof.tiers.iter().find(|tier| tier.name == TierName::DisplacedMemoryMb);
    let rank = |name| plan.proof.tiers.iter().position(|tier| tier.name == name);
    let still = displaced.is_some_and(|tier| tier.value <= 0.0)
        && rank(TierName::DisplacedMemoryMb) < rank(TierName::Imbalance);
    let mut stays = scene.usage.clone();
    let mut comes = vec![0; scene.classes.len()];
    for at in 0..scene.home.len() {
        let claim = scene.claim(at);
        if scene.asked(at) == Some(Asked::Leave) {
            let need = scene.dense(Wish::of(scene, at).resources);
            comes.iter_mut().zip(need).for_each(|(comes, need): (&mut i128, i128)| *comes += need);
            subtract(&mut stays[scene.home[at]], &claim);
        } else if may_move(scene, at) && !(still && scene.memory(at) > 0) {
            subtract(&mut stays[scene.home[at]], &claim);
        }
    }
    let counted: Vec<usize> =
        (0..stays.len()).filter(|at| scene.host(*at).up && !hosts.contains(&scene.host(*at).name)).collect();
    let of_class = |class: usize| {
        let with: Vec<usize> = counted.iter().copied().filter(|at| scene.capacity[*at][class] > 0).collect();
        let capacity: i128 = with.iter().map(|at| scene.capacity[*at][class]).sum();
        let used: i128 = with.iter().map(|at| scene.usage[*at][class]).sum::<i128>() + comes[class];
        let share = used as f64 / capacity as f64;
        with.iter().map(|at| stays[*at][class] as f64 / scene.capacity[*at][class] as f64 - share).fold(0.0, f64::max)
    };
    (0..scene.classes.len()).map(of_class).fold(0.0, f64::max)
}

fn may_move(scene: &Scene<'_>, at: usize) -> bool {
    immobile(scene, at).is_none() && !scene.displaces_nobody()
}
