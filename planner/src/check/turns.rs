//! What no rolling plan does with less of that gives the same hosts their turn: rounds, moves and seconds.
//!
//! While hosts are out, all that instances claim is on the others: the room of hosts that are out is at most what all
//! hosts have free together. So the rounds have a bound ([`RoundsBound`]); and so has the time. A host is out for as long as
//! the outage; before, its instances leave by its own network, one after the other or side by side, each of them counted on
//! its target from its start on. What no longer waits on the host to leave is free there, or taken elsewhere beside it. Over
//! the whole time this adds up, host by host, to no more than what is free, times the time.

use std::collections::BTreeSet;

use decant_schema::plan::{Plan, RoundsBound};
use decant_schema::request::{RequestKind, RollingOptions};

use super::pool::Pools;
use super::scene::Scene;
use super::violation::Violation;
use super::window::{Departure, rate, slots};

/// The hosts that have their turn, and the room there is for it.
pub(super) struct Turns<'a> {
    scene: &'a Scene<'a>,
    options: &'a RollingOptions,
    served: BTreeSet<usize>,
    /// By host: its pool. All hosts are one where hypervisors differ, since rounds change them.
    pool: Vec<usize>,
    /// By host: its instances, and what it takes each to leave.
    leaving: Vec<Vec<(usize, Departure)>>,
}

impl<'a> Turns<'a> {
    /// Of a rolling plan; `None` for any other.
    pub(super) fn new(scene: &'a Scene<'a>, plan: &Plan) -> Option<Self> {
        let RequestKind::Rolling { rounds: options, .. } = &scene.request.kind else { return None };
        let hosts = plan.rounds.iter().flat_map(|round| &round.hosts);
        let served = hosts.filter_map(|host| scene.fleet.host_index(host.as_str())).collect();
        let versions: BTreeSet<_> = scene.fleet.hosts().iter().map(|host| host.hypervisor_version).collect();
        let pool = if versions.len() > 1 { vec![0; scene.fleet.hosts().len()] } else { Pools::new(scene).pool };
        let mut leaving: Vec<Vec<(usize, Departure)>> = pool.iter().map(|_| Vec::new()).collect();
        for (at, home) in scene.home.iter().enumerate() {
            leaving[*home].push((at, Departure::of(scene, at)));
        }
        Some(Self { scene, options, served, pool, leaving })
    }

    /// A bound on rounds or moves that is not one.
    pub(super) fn boast(&self, plan: &Plan) -> Option<Violation> {
        let claimed: RoundsBound = plan.proof.rounds?;
        let leaving = self.scene.home.iter().filter(|home| self.served.contains(home)).count();
        let beyond = i128::from(claimed.rounds) > self.rounds() || claimed.moves > leaving as u64;
        beyond.then_some(Violation::RoundsBound { rounds: claimed.rounds, moves: claimed.moves })
    }

    /// The fewest rounds.
    fn rounds(&self) -> i128 {
        if self.served.is_empty() {
            return 0;
        }
        let by_leave = self.options.max_out.map_or(1, |most| self.served.len().div_ceil(most.max(1) as usize));
        let by_room = self.of_room().map(|room| self.rounds_for(&room)).max().unwrap_or(0);
        by_room.max(by_leave as i128)
    }

    /// Seconds until the last host is back.
    #[expect(clippy::cast_precision_loss, reason = "a few rounds")]
    pub(super) fn duration_s(&self) -> f64 {
        let emptying = self.served.iter().map(|host| self.emptying_s(*host));
        let (quickest, longest) = emptying.fold((f64::INFINITY, 0.0_f64), |(q, l), s| (q.min(s), l.max(s)));
        if self.served.is_empty() {
            return 0.0;
        }
        let outage_s = self.options.outage_s;
        let of_room = self.of_room().map(|room| self.seconds_for(&room)).fold(0.0, f64::max);
        of_room.max(longest + outage_s).max(quickest + self.rounds() as f64 * outage_s)
    }

    /// Seconds in which nothing empties a host: its own network and slots are busy with its instances for as long. Nothing
    /// where it is down.
    fn emptying_s(&self, host: usize) -> f64 {
        let all: f64 = self.leaving_while_up(host).map(Departure::all_s).sum();
        self.network_s(host).max(all / f64::from(slots(self.scene, host)))
    }

    fn network_s(&self, host: usize) -> f64 {
        self.leaving_while_up(host).map(|departure| departure.network_s).sum()
    }

    fn leaving_while_up(&self, host: usize) -> impl Iterator<Item = &Departure> {
        self.leaving[host].iter().filter(move |_| self.scene.host(host).up).map(|(_, departure)| departure)
    }

    /// Every class in every pool.
    fn of_room(&self) -> impl Iterator<Item = Room> + '_ {
        let pools: BTreeSet<usize> = self.pool.iter().copied().collect();
        pools.into_iter().flat_map(move |pool| {
            let hosts: Vec<usize> = (0..self.pool.len()).filter(|at| self.pool[*at] == pool).collect();
            (0..self.scene.classes.len()).map(move |class| Room { class, hosts: hosts.clone() })
        })
    }

    /// Rounds that the room for a class asks for: all that must be out once, by what can be out at a time.
    fn rounds_for(&self, room: &Room) -> i128 {
        let at_a_time = self.free(room);
        let in_all: i128 = self.served(room).map(|at| self.room(at, room.class)).sum();
        if at_a_time > 0 { (in_all + at_a_time - 1) / at_a_time } else { 0 }
    }

    /// Seconds that the room for a class asks for: what each host takes of it, times how long, by what is free.
    #[expect(clippy::cast_precision_loss, reason = "amounts of a document are within 2^53")]
    fn seconds_for(&self, room: &Room) -> f64 {
        let scene = self.scene;
        let free = self.free(room) as f64;
        // What takes nothing of a network may be on a host until the last moment, whatever else has left.
        let (mut light, mut most_per_megabit) = (0.0, 0.0_f64);
        for host in &room.hosts {
            for (at, departure) in &self.leaving[*host] {
                let claim = scene.claim(*at)[room.class] as f64;
                let megabits = departure.network_s * rate(scene, *host);
                if megabits > 0.0 { most_per_megabit = most_per_megabit.max(claim / megabits) } else { light += claim }
            }
        }
        let taken = |host: usize| {
            let all = self.room(host, room.class) as f64;
            let (heavy, per_s) = ((all - light).max(0.0), most_per_megabit * rate(scene, host));
            let leaving_s = if per_s > 0.0 { self.network_s(host).min(heavy / per_s) } else { 0.0 };
            all * self.options.outage_s + heavy * leaving_s - per_s * leaving_s * leaving_s / 2.0
        };
        let taken: f64 = self.served(room).map(taken).sum();
        if free > 0.0 { taken / free } else { 0.0 }
    }

    fn served<'r>(&'r self, room: &'r Room) -> impl Iterator<Item = usize> + 'r {
        room.hosts.iter().copied().filter(|at| self.served.contains(at))
    }

    /// What all hosts have free together, whoever is where.
    fn free(&self, room: &Room) -> i128 {
        room.hosts.iter().map(|at| self.room(*at, room.class) - self.claimed(*at, room.class)).sum()
    }

    fn unlisted(&self, at: usize, class: usize) -> i128 {
        self.scene.dense(&self.scene.host(at).other_usage)[class]
    }

    fn claimed(&self, at: usize, class: usize) -> i128 {
        self.scene.usage[at][class] - self.unlisted(at, class)
    }

    /// The most that instances ever claim on a host; on one that never receives, what is there.
    fn room(&self, at: usize, class: usize) -> i128 {
        let host = self.scene.host(at);
        let receives = host.up && host.enabled && !self.scene.options().exclude_hosts.contains(&host.name);
        let most = if receives { self.scene.capacity[at][class] - self.unlisted(at, class) } else { 0 };
        most.max(self.claimed(at, class))
    }
}

/// A class in a pool.
struct Room {
    class: usize,
    hosts: Vec<usize>,
}
