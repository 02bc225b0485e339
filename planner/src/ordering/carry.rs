//! How long one move takes, and in which mode: the model of a single transfer.
//!
//! - A transfer takes size ÷ rate. Its full rate is the least of the rates on its way: the source's and the target's
//!   migration network, and both racks' uplinks where it leaves a rack.
//! - A live move copies memory in rounds, each round what was dirtied during the one before: a geometric series with
//!   ratio dirty rate ÷ rate, until what is left fits the last pause (Liu, Jin, Xu, Liao: "Performance and energy
//!   modeling for live migration of virtual machines", HPDC 2011). At a ratio of 1 or more it never ends: such an
//!   instance is suspended instead, and the move says why.
//! - A cold move of a running instance shuts it down and boots it; a rebuilt one boots. Both assumed, per instance or
//!   per fleet. Starting and stopping takes no network.

use decant_schema::fleet::InstanceState;
use decant_schema::plan::MoveMode;
use decant_schema::units::{Mbps, Mib, mbps, mib};

use crate::problem::{HostIdx, InstanceIdx, Problem};

/// The last pause of a live move, seconds: QEMU's default `downtime-limit`.
const PAUSE_S: f64 = 0.3;

/// Microseconds: the timeline counts whole ones, so that sums do not depend on their order.
pub(super) type Micros = u64;

/// What is to be carried from where to where.
#[derive(Clone, Copy, Debug)]
pub(super) struct Haul {
    pub(super) instance: InstanceIdx,
    pub(super) source: HostIdx,
    pub(super) target: HostIdx,
    pub(super) mode: MoveMode,
    /// Disk and memory that cross the network.
    pub(super) size: Mib,
    /// The least of the rates on its way.
    pub(super) full_rate: Mbps,
    /// Stopping and starting, after the transfer.
    pub(super) settle: Micros,
}

impl Haul {
    /// The move of an instance between two hosts, which are the same for a resize in place.
    pub(super) fn new(problem: &Problem, instance: InstanceIdx, source: HostIdx, target: HostIdx) -> Self {
        let facts = &problem.instances[instance.at()];
        let (mode, size) =
            if source == target { (MoveMode::Cold, Mib::default()) } else { (facts.mode, facts.transfer) };
        let haul =
            Self { instance, source, target, mode, size, full_rate: full_rate(problem, source, target), settle: 0 };
        haul.settled(problem)
    }

    /// An instance's move away from its host, wherever it goes, as if the host's own network were all that limits it.
    pub(super) fn away(problem: &Problem, instance: InstanceIdx) -> Self {
        let host = problem.instances[instance.at()].host;
        Self::away_at(problem, instance, problem.hosts[host.at()].network)
    }

    /// An instance's move away from its host over a way of this rate.
    pub(super) fn away_at(problem: &Problem, instance: InstanceIdx, full_rate: Mbps) -> Self {
        let facts = &problem.instances[instance.at()];
        let (source, target) = (facts.host, facts.host);
        let full_rate = full_rate.max(mbps(1));
        let haul = Self { instance, source, target, mode: facts.mode, size: facts.transfer, full_rate, settle: 0 };
        haul.settled(problem)
    }

    /// With the mode it ends in, and what that takes to stop and start.
    fn settled(mut self, problem: &Problem) -> Self {
        if self.mode == MoveMode::Rebuild {
            self.size = Mib::default();
        }
        if self.transfer(problem, self.full_rate).is_none() {
            self.mode = MoveMode::Suspend;
        }
        self.settle = settle(problem, self.instance, self.mode);
        self
    }

    /// Time on the network at a rate; `None` for a live move whose memory is dirtied at least as fast.
    pub(super) fn transfer(&self, problem: &Problem, rate: Mbps) -> Option<Micros> {
        let rate = rate.count().max(1) as f64;
        if self.mode != MoveMode::Live {
            return Some(micros(megabits(self.size) / rate));
        }
        let memory = mib(problem.kind(self.instance).memory.unsigned_abs()).min(self.size);
        let disk = self.size.minus(memory).unwrap_or_default();
        let dirty = problem.fleet.instances()[self.instance.at()].dirty_mbps.count() as f64;
        Some(micros(megabits(disk) / rate + precopy_seconds(megabits(memory), dirty, rate)?))
    }

    /// Time on the network at full rate for what crosses it in any mode: what is dirtied meanwhile is left out, as the
    /// instance may be suspended where the way is slower.
    #[expect(clippy::cast_precision_loss, reason = "sizes are within 2^53")]
    pub(super) fn floor(&self) -> Micros {
        micros(megabits(self.size) / self.full_rate.count().max(1) as f64)
    }

    /// Time at full rate, and starting and stopping. The full rate is one at which a live move ends.
    pub(super) fn shortest(&self, problem: &Problem) -> Micros {
        self.transfer(problem, self.full_rate).unwrap_or(0) + self.settle
    }
}

/// What crosses the network.
pub(super) fn megabits(size: Mib) -> f64 {
    size.bytes() as f64 * 8.0 / 1e6
}

/// The pre-copy series: memory, then what was dirtied meanwhile, and so on until the rest fits the last pause.
fn precopy_seconds(megabits: f64, dirty: f64, rate: f64) -> Option<f64> {
    let (ratio, rest) = (dirty / rate, rate * PAUSE_S);
    if ratio == 0.0 || megabits <= rest {
        return Some(megabits / rate);
    }
    let rounds = ((rest / megabits).ln() / ratio.ln()).ceil();
    (ratio < 1.0).then(|| megabits / rate * (1.0 - ratio.powf(rounds + 1.0)) / (1.0 - ratio))
}

/// The least of the rates on the way.
fn full_rate(problem: &Problem, source: HostIdx, target: HostIdx) -> Mbps {
    let (from, to) = (&problem.hosts[source.at()], &problem.hosts[target.at()]);
    let uplink = |rack: Option<usize>| rack.map(|rack| problem.fleet.document().racks[rack].uplink_mbps);
    let uplinks = if from.rack == to.rack { [None, None] } else { [uplink(from.rack), uplink(to.rack)] };
    let least = uplinks.into_iter().flatten().fold(from.network.min(to.network), Mbps::min);
    least.max(mbps(1))
}

/// Shutting down and booting, where the mode does it and the instance runs.
fn settle(problem: &Problem, instance: InstanceIdx, mode: MoveMode) -> Micros {
    let facts = &problem.fleet.instances()[instance.at()];
    let defaults = &problem.fleet.document().defaults;
    let running = matches!(facts.state, InstanceState::Active | InstanceState::Paused);
    let boot = micros(facts.boot_s.unwrap_or(defaults.boot_s));
    let shutdown = micros(facts.shutdown_s.unwrap_or(defaults.shutdown_s));
    match mode {
        _ if !running => 0,
        MoveMode::Live | MoveMode::Suspend => 0,
        MoveMode::Cold => shutdown + boot,
        MoveMode::Rebuild => boot,
    }
}

/// Whole microseconds, rounded up: a move never seems shorter than it is. Saturates where a document is absurd.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to what fits")]
pub(super) fn micros(seconds: f64) -> Micros {
    (seconds * 1e6).ceil().clamp(0.0, MICROS_MAX) as Micros
}

/// Thirty thousand years; sums of millions of these still fit.
const MICROS_MAX: f64 = 1e12 * 1e6;

/// Seconds, for the plan.
pub(super) fn seconds(micros: Micros) -> f64 {
    micros as f64 / 1e6
}
