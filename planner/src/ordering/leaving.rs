//! What no placement can beat: a lower bound on the duration of every plan that empties the same hosts, or gives the same
//! instances their new sizes.
//!
//! An instance leaves by a *door*: hosts alike in network and rack that may take it. Whatever is chosen, it takes at least
//! the time of its quickest door, after the room behind it has been made where it is not there at the start; so the
//! host it leaves, its rack's uplink where every door is elsewhere, and the fleet's slots are busy for at least the sum.
//! Those that can only go to the same hosts share their networks and slots (a cut), and a host takes no more than its
//! room lets it. No more room is made than the memory displaced by the plan: that goal comes first.

use std::collections::{BTreeMap, HashMap};

use decant_schema::units::{Mbps, mbps};

use crate::problem::{HostIdx, HostSet, InstanceIdx, KindIdx, Problem, Task};

use super::carry::{Haul, Micros, megabits, micros, seconds};

/// Sets of hosts looked at as cuts: fleets have a handful of zones and aggregates, and more sets tell little more.
const CUTS_MAX: usize = 64;

/// Seconds that no plan can beat that moves all these instances away and displaces no more memory than this, MiB.
pub(super) fn bound_s(problem: &Problem, leaving: &[InstanceIdx], displaced: i64) -> f64 {
    let mut doors = Doors { problem, displaced, outflows: HashMap::new(), of_kind: HashMap::new(), of: HashMap::new() };
    let exits: Vec<Exit> = leaving.iter().map(|instance| doors.exit(*instance)).collect();
    let longest = exits.iter().map(|exit| exit.end).max().unwrap_or(0);
    let bounds =
        [longest, busiest_source(problem, &exits), fleet_slots(problem, &exits), narrowest_cut(problem, &exits)];
    seconds(bounds.into_iter().max().unwrap_or(0))
}

/// How many of those that must leave start after the request's window in every plan. When it closes, as many may be under
/// way from a host as it has slots, and in all as the fleet has; what started before them has ended, and kept the
/// host's network and the slots busy until then.
pub(crate) fn late_min(problem: &Problem) -> u64 {
    let Some(window_s) = problem.request.options.window_s else { return 0 };
    let (window, fleet) = (micros(window_s), problem.fleet.document().defaults.max_migrations);
    let (mut late, mut all) = (0, Vec::new());
    for facts in problem.hosts.iter().filter(|facts| facts.up) {
        let leaving = facts.instances.iter().filter(|at| problem.instances[at.at()].task == Task::Leave);
        let hauls: Vec<Haul> = leaving.map(|at| Haul::away(problem, *at)).collect();
        let slots = u64::from(facts.max_migrations.max(1));
        let network = hauls.iter().map(shared).collect();
        let times: Vec<Micros> = hauls.iter().map(|haul| shared(haul) + haul.settle).collect();
        let ended = ended_by(network, window).min(ended_by(times.clone(), window.saturating_mul(slots)));
        late += (hauls.len() as u64).saturating_sub(slots + ended);
        all.extend(times);
    }
    let count = all.len() as u64;
    let in_fleet = fleet.map_or(0, |slots| {
        let slots = u64::from(slots.max(1));
        count.saturating_sub(slots + ended_by(all, window.saturating_mul(slots)))
    });
    late.max(in_fleet)
}

/// What a departure takes of its host's network at least, whatever else is on it: at a lower rate, the microsecond to which
/// its time at full rate was rounded up need not be there.
fn shared(haul: &Haul) -> Micros {
    haul.floor().saturating_sub(1)
}

/// The most of these that can have ended one after the other.
fn ended_by(mut times: Vec<Micros>, moment: Micros) -> u64 {
    times.sort_unstable();
    let ends = times.into_iter().scan(0, |end: &mut Micros, time| {
        *end = end.saturating_add(time);
        Some(*end)
    });
    ends.take_while(|end| *end <= moment).count() as u64
}

/// The least that one instance's leaving takes, each by the door that is best for it.
struct Exit {
    instance: InstanceIdx,
    /// Until it has left, its room made before where that must be.
    end: Micros,
    /// From its start to its end.
    time: Micros,
    /// Of its source's network.
    network: Micros,
    /// Of its rack's uplink; 0 where it may stay in the rack.
    uplink: Micros,
    /// What crosses the network in any mode.
    megabits: f64,
}

/// A way out: at which rate, after which time, whether out of the rack.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Door {
    rate: Mbps,
    opens: Micros,
    leaves_rack: bool,
}

struct Doors<'p> {
    problem: &'p Problem,
    displaced: i64,
    outflows: HashMap<HostIdx, Outflow>,
    /// By kind: the networks and racks of the hosts that may take it, with the time from which the first has room.
    of_kind: HashMap<KindIdx, BTreeMap<(Mbps, Option<usize>), Micros>>,
    of: HashMap<(KindIdx, HostIdx), Vec<Door>>,
}

impl Doors<'_> {
    fn exit(&mut self, instance: InstanceIdx) -> Exit {
        let problem = self.problem;
        let facts = &problem.instances[instance.at()];
        let own = problem.hosts[facts.host.at()].network.count().max(1);
        let uplink = problem.hosts[facts.host.at()].rack.map(|rack| problem.fleet.document().racks[rack].uplink_mbps);
        let doors = self.doors(facts.kind, facts.host);
        let stays = doors.iter().any(|door| !door.leaves_rack);
        let most = Micros::MAX;
        let mut exit = Exit { instance, end: most, time: most, network: most, uplink: most, megabits: 0.0 };
        for door in doors {
            let haul = Haul::away_at(problem, instance, door.rate);
            let (time, rate) = (haul.shortest(problem), u128::from(haul.full_rate.count()));
            let busy = |port: u64| Micros::try_from(u128::from(time - haul.settle) * rate / u128::from(port.max(1)));
            exit.megabits = megabits(haul.size);
            exit.end = exit.end.min(door.opens.saturating_add(time));
            exit.time = exit.time.min(time);
            exit.network = exit.network.min(busy(own).unwrap_or(0));
            exit.uplink =
                exit.uplink.min(uplink.filter(|_| !stays).map_or(0, |uplink| busy(uplink.count()).unwrap_or(0)));
        }
        if facts.task == Task::Resize && problem.admits(instance, facts.host) {
            // It may also have its new size where it is, which takes no network.
            let settle = Haul::new(problem, instance, facts.host, facts.host).settle;
            let (end, time) = (exit.end.min(settle), exit.time.min(settle));
            return Exit { instance, end, time, network: 0, uplink: 0, megabits: 0.0 };
        }
        if exit.end == most {
            return Exit { instance, end: 0, time: 0, network: 0, uplink: 0, megabits: 0.0 };
        }
        exit
    }

    /// The doors of a kind from a host, one for each rate.
    fn doors(&mut self, kind: KindIdx, source: HostIdx) -> Vec<Door> {
        if let Some(known) = self.of.get(&(kind, source)) {
            return known.clone();
        }
        let (problem, from) = (self.problem, &self.problem.hosts[source.at()]);
        let uplink = |rack: Option<usize>| rack.map(|rack| problem.fleet.document().racks[rack].uplink_mbps);
        let mut doors: BTreeMap<(Mbps, bool), Micros> = BTreeMap::new();
        for ((network, rack), opens) in self.of_kind(kind) {
            let leaves_rack = *rack != from.rack;
            let uplinks = if leaves_rack { [uplink(from.rack), uplink(*rack)] } else { [None, None] };
            let rate = uplinks.into_iter().flatten().fold(from.network.min(*network), Mbps::min).max(mbps(1));
            doors.entry((rate, leaves_rack)).and_modify(|known| *known = (*known).min(*opens)).or_insert(*opens);
        }
        let doors = doors.into_iter().map(|((rate, leaves_rack), opens)| Door { rate, opens, leaves_rack });
        self.of.entry((kind, source)).or_insert(doors.collect()).clone()
    }

    fn of_kind(&mut self, kind: KindIdx) -> &BTreeMap<(Mbps, Option<usize>), Micros> {
        if !self.of_kind.contains_key(&kind) {
            let mut doors = BTreeMap::new();
            let eligible = self.problem.kinds[kind.at()].eligible.clone();
            for host in eligible.iter() {
                if let Some(opens) = self.opens(kind, host) {
                    let facts = &self.problem.hosts[host.at()];
                    let known = doors.entry((facts.network, facts.rack)).or_insert(opens);
                    *known = (*known).min(opens);
                }
            }
            self.of_kind.insert(kind, doors);
        }
        &self.of_kind[&kind]
    }

    /// When a host can have room for one of a kind at the earliest; `None`: never.
    fn opens(&mut self, kind: KindIdx, host: HostIdx) -> Option<Micros> {
        let (problem, displaced) = (self.problem, self.displaced);
        let (need, free) = (&problem.kinds[kind.at()].need, &problem.hosts[host.at()].free);
        let lacking = |class: usize| need[class] - free[class].max(0);
        if (0..need.len()).all(|class| lacking(class) <= 0 || need[class] == 0) {
            return Some(0);
        }
        let outflow = self.outflows.entry(host).or_insert_with(|| Outflow::new(problem, host));
        let dear = problem.memory_class.is_some_and(|class| lacking(class) > displaced) && !outflow.resizes;
        if dear || (displaced == 0 && !outflow.resizes) {
            return None;
        }
        let lacking = (0..need.len()).filter(|class| need[*class] > 0).map(|class| (class, lacking(class)));
        let times = lacking.filter(|(_, lacking)| *lacking > 0).map(|(class, lacking)| outflow.time(class, lacking));
        times.collect::<Option<Vec<Micros>>>()?.into_iter().max()
    }
}

/// How quickly a host can get rid of what is on it.
struct Outflow {
    /// By class: the least time in which one that has some of it can have left, and the most of it that leaves in a
    /// microsecond of the host's network; infinite where it takes no network.
    of_class: Vec<Option<(Micros, f64)>>,
    /// Whether something there is to have another size, which makes room without displacing.
    resizes: bool,
}

impl Outflow {
    #[expect(clippy::cast_precision_loss, reason = "amounts and times are within 2^53")]
    fn new(problem: &Problem, host: HostIdx) -> Self {
        let mut outflow = Self { of_class: vec![None; problem.classes.len()], resizes: false };
        for at in &problem.hosts[host.at()].instances {
            let (facts, claim) = (&problem.instances[at.at()], &problem.kind(*at).claim);
            if facts.task == Task::Stay {
                continue;
            }
            let away = Haul::away(problem, *at);
            let resized = facts.task == Task::Resize;
            outflow.resizes |= resized;
            let (network, time) = if resized { (0, 0) } else { (away.floor(), away.floor() + away.settle) };
            for class in (0..claim.len()).filter(|class| claim[*class] > 0) {
                let speed = claim[class] as f64 / network as f64;
                let known = outflow.of_class[class].get_or_insert((time, speed));
                *known = (known.0.min(time), known.1.max(speed));
            }
        }
        outflow
    }

    #[expect(clippy::cast_precision_loss, reason = "amounts are within 2^53")]
    fn time(&self, class: usize, amount: i64) -> Option<Micros> {
        let (quickest, speed) = self.of_class[class]?;
        // Rounded down twice over: what microseconds were rounded up to must not count here.
        Some(quickest.max(micros(amount as f64 / speed / 1e6).saturating_sub(ROUNDED)))
    }
}

/// Microseconds that rounding may add up to when what leaves a host is counted by its speed.
const ROUNDED: Micros = 1000;

/// The host that is busiest with what leaves it, by network, slots or its rack's uplink.
fn busiest_source(problem: &Problem, exits: &[Exit]) -> Micros {
    let mut hosts: BTreeMap<HostIdx, (Micros, Micros)> = BTreeMap::new();
    let mut racks: BTreeMap<usize, Micros> = BTreeMap::new();
    for exit in exits {
        let host = problem.instances[exit.instance.at()].host;
        let (network, slots) = hosts.entry(host).or_default();
        *network += exit.network;
        *slots += exit.time;
        if let Some(rack) = problem.hosts[host.at()].rack {
            *racks.entry(rack).or_default() += exit.uplink;
        }
    }
    let of_host = |(host, (network, time)): (&HostIdx, &(Micros, Micros))| {
        let at_once = u64::from(problem.hosts[host.at()].max_migrations.max(1));
        (*network).max(time.div_ceil(at_once))
    };
    let up = hosts.iter().filter(|(host, _)| problem.hosts[host.at()].up);
    up.map(of_host).chain(racks.into_values()).max().unwrap_or(0)
}

fn fleet_slots(problem: &Problem, exits: &[Exit]) -> Micros {
    let at_once = problem.fleet.document().defaults.max_migrations;
    at_once.map_or(0, |at_once| exits.iter().map(|exit| exit.time).sum::<Micros>() / u64::from(at_once.max(1)))
}

/// The longest that any set of hosts is busy with what can go nowhere else.
fn narrowest_cut(problem: &Problem, exits: &[Exit]) -> Micros {
    let mut kinds: BTreeMap<KindIdx, (Micros, f64)> = BTreeMap::new();
    for exit in exits {
        let (time, size) = kinds.entry(problem.instances[exit.instance.at()].kind).or_default();
        *time += exit.time;
        *size += exit.megabits;
    }
    let eligible = |kind: &KindIdx| &*problem.kinds[kind.at()].eligible;
    let mut sets: Vec<&HostSet> = kinds.keys().map(eligible).filter(|set| !set.is_empty()).collect();
    sets.sort_unstable();
    sets.dedup();
    sets.truncate(CUTS_MAX);
    let of_set = |set: &HostSet| {
        let inside = kinds.iter().filter(|(kind, _)| is_within(eligible(kind), set));
        let (time, size) = inside.fold((0, 0.0), |sum, (_, of_kind)| (sum.0 + of_kind.0, sum.1 + of_kind.1));
        let slots: u64 = set.iter().map(|host| u64::from(problem.hosts[host.at()].max_migrations.max(1))).sum();
        let network: f64 = set.iter().map(|host| rate(problem, host)).sum();
        (time / slots.max(1)).max(micros(size / network.max(1.0)).saturating_sub(ROUNDED))
    };
    sets.into_iter().map(of_set).max().unwrap_or(0)
}

fn is_within(one: &HostSet, other: &HostSet) -> bool {
    one == other || one.iter().all(|host| other.contains(host))
}

#[expect(clippy::cast_precision_loss, reason = "rates are within 2^53")]
fn rate(problem: &Problem, host: HostIdx) -> f64 {
    problem.hosts[host.at()].network.count().max(1) as f64
}
