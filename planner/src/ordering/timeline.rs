//! When each move starts and ends, by estimate: list scheduling in continuous time.
//!
//! Whenever something ends, the most urgent moves whose `after` is done and whose slots and rates ([`super::ports`])
//! are there start. Urgent is what would delay the end most: the longest chain of moves behind it, or the work left
//! on its source's or target's port, whichever is longer (longest remaining chain and busiest machine first, the
//! rules of Graham's list scheduling and of open shops: Gonzalez, Sahni 1976). While that ends after the bound, it is
//! done again with more urgency for what ended late (squeaky wheel optimisation: Joslin, Clements 1999), a few times,
//! and the best is kept.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::ops::RangeInclusive;

use crate::problem::Problem;

use super::carry::{Haul, Micros};
use super::ports::{Ports, Shared};

/// When each move starts and ends.
#[derive(Debug)]
pub(super) struct Timeline {
    pub(super) starts: Vec<Micros>,
    pub(super) ends: Vec<Micros>,
    /// Starts and ends as they happen, also where they happen at the same moment.
    pub(super) log: Vec<Event>,
}

/// Something that happens to a move, by its position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Event {
    /// It starts: both its hosts hold it.
    Started(usize),
    /// It has ended: its source is free of it.
    Ended(usize),
}

/// What happens to a running move next.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    Carried,
    Ended,
}

/// Which of several moves that could start does.
#[derive(Clone, Copy)]
enum First<'a> {
    /// What would delay the end most, the more so the later it was so far.
    Urgent(&'a Late),
    /// What has the greatest rank, by move; a window closes.
    Ranked { ranks: &'a [Micros], close: Micros },
}

/// Times that moves are put into time at most: the first few repair most of what can be.
const PASSES: usize = 12;

/// Puts moves into time; `after` holds earlier positions only. Nothing ends before `bound`, so that is good enough.
pub(super) fn timeline(problem: &Problem, hauls: &[Haul], after: &[Vec<usize>], bound: Micros) -> Timeline {
    let mut late = Late { moves: vec![0; hauls.len()], ports: vec![0; Ports::new(problem).count()] };
    let mut best = Scheduler::new(problem, hauls, after, First::Urgent(&late)).run();
    let mut last = best.end();
    for _ in 1..PASSES {
        if last <= bound {
            break;
        }
        late.blame(&best, hauls, &Ports::new(problem), bound);
        let next = Scheduler::new(problem, hauls, after, First::Urgent(&late)).run();
        last = next.end();
        if last < best.end() {
            best = next;
        }
    }
    best
}

/// Puts moves into time by rank, the greatest first; what is under way when the window closes shares its way.
pub(super) fn by_rank(
    problem: &Problem,
    hauls: &[Haul],
    after: &[Vec<usize>],
    ranks: &[Micros],
    close: Micros,
) -> Timeline {
    Scheduler::new(problem, hauls, after, First::Ranked { ranks, close }).run()
}

impl Timeline {
    /// When all has ended.
    pub(super) fn end(&self) -> Micros {
        self.ends.iter().copied().max().unwrap_or(0)
    }
}

/// What ended after the bound so far, and by how much in all: it is more urgent by that.
struct Late {
    moves: Vec<Micros>,
    ports: Vec<Micros>,
}

impl Late {
    fn blame(&mut self, timeline: &Timeline, hauls: &[Haul], ports: &Ports<'_>, bound: Micros) {
        let mut of_ports = vec![0; self.ports.len()];
        for (at, end) in timeline.ends.iter().enumerate().filter(|(_, end)| **end > bound) {
            self.moves[at] += end - bound;
            for port in ports.ports_of(&hauls[at]) {
                of_ports[port] = end.saturating_sub(bound).max(of_ports[port]);
            }
        }
        self.ports.iter_mut().zip(of_ports).for_each(|(sum, late)| *sum += late);
    }
}

/// What a move lacks, and the rate it could use: of those that lack the same, all do where it is exhausted.
type Lack = (Shared, u64);

/// A move that could start, by its urgency when it was last looked at.
type Candidate = (Micros, Reverse<usize>);

struct Scheduler<'p> {
    hauls: &'p [Haul],
    first: First<'p>,
    ports: Ports<'p>,
    /// Who waits for a move, and for how many it still waits itself.
    before: Vec<Vec<usize>>,
    waits: Vec<usize>,
    /// The longest chain from a move's start to the end of all.
    tails: Vec<Micros>,
    /// How long each port is still busy with what has not started.
    load: Vec<Micros>,
    /// What may be able to start; of those that waited for the same, the most urgent at first.
    ready: BinaryHeap<(Candidate, Option<Lack>)>,
    blocked: BTreeMap<Lack, BinaryHeap<Candidate>>,
    running: BinaryHeap<Reverse<(Micros, usize, Phase)>>,
    rates: Vec<u64>,
    /// Time on the network at full rate.
    transfers: Vec<Micros>,
    timeline: Timeline,
}

impl<'p> Scheduler<'p> {
    fn new(problem: &'p Problem, hauls: &'p [Haul], after: &[Vec<usize>], first: First<'p>) -> Self {
        let ports = Ports::new(problem);
        let transfers: Vec<Micros> = hauls.iter().map(|haul| haul.shortest(problem) - haul.settle).collect();
        let mut before = vec![Vec::new(); hauls.len()];
        let mut load = vec![0; ports.count()];
        for (at, haul) in hauls.iter().enumerate() {
            for earlier in &after[at] {
                before[*earlier].push(at);
            }
            for port in ports.ports_of(haul) {
                load[port] += ports.work(port, haul, transfers[at]);
            }
        }
        let mut tails: Vec<Micros> = hauls.iter().map(|haul| haul.shortest(problem)).collect();
        if let First::Urgent(late) = first {
            tails.iter_mut().zip(&late.moves).for_each(|(tail, late)| *tail += late);
        }
        for at in (0..hauls.len()).rev() {
            tails[at] += before[at].iter().map(|later| tails[*later]).max().unwrap_or(0);
        }
        let count = hauls.len();
        let timeline = Timeline { starts: vec![0; count], ends: vec![0; count], log: Vec::with_capacity(2 * count) };
        let mut scheduler = Self {
            hauls,
            first,
            ports,
            before,
            waits: after.iter().map(Vec::len).collect(),
            tails,
            load,
            ready: BinaryHeap::new(),
            blocked: BTreeMap::new(),
            running: BinaryHeap::new(),
            rates: vec![0; count],
            transfers,
            timeline,
        };
        let free: Vec<usize> = (0..count).filter(|at| scheduler.waits[*at] == 0).collect();
        free.into_iter().for_each(|at| scheduler.make_ready(at));
        scheduler
    }

    /// Whenever something ends, what can start does.
    fn run(mut self) -> Timeline {
        let mut now = 0;
        loop {
            self.start_all(now);
            let Some(Reverse((time, at, phase))) = self.running.pop() else { return self.timeline };
            now = time;
            self.happen(at, phase, now);
            while self.running.peek().is_some_and(|Reverse((time, _, _))| *time == now) {
                let Reverse((_, at, phase)) = self.running.pop().expect("just peeked");
                self.happen(at, phase, now);
            }
        }
    }

    fn urgency(&self, at: usize) -> Micros {
        let late = match self.first {
            First::Urgent(late) => late,
            First::Ranked { ranks, .. } => return ranks[at],
        };
        let loads = self.ports.ports_of(&self.hauls[at]).map(|port| self.load[port] + late.ports[port]);
        loads.chain([self.tails[at]]).max().unwrap_or(0)
    }

    fn make_ready(&mut self, at: usize) {
        self.ready.push(((self.urgency(at), Reverse(at)), None));
    }

    /// Starts what can start, the most urgent first; the rest waits for what it lacks. Urgency only sinks, so an
    /// entry that is out of date is put back where it belongs.
    fn start_all(&mut self, now: Micros) {
        let mut lacking: Vec<(Lack, Candidate)> = Vec::new();
        while let Some(((urgency, Reverse(at)), from)) = self.ready.pop() {
            let is_now = self.urgency(at);
            if is_now < urgency {
                self.put_back((is_now, Reverse(at)), from);
                continue;
            }
            match self.ports.offer(&self.hauls[at], self.is_last(at, now)) {
                Ok((rate, duration)) => self.start(at, rate, duration, now),
                Err(shared) => lacking.push((self.lack(at, shared), (urgency, Reverse(at)))),
            }
            if let Some(lack) = from {
                self.recall(lack);
            }
        }
        for (lack, candidate) in lacking {
            self.blocked.entry(lack).or_default().push(candidate);
        }
    }

    fn put_back(&mut self, candidate: Candidate, from: Option<Lack>) {
        match from {
            None => self.ready.push((candidate, None)),
            Some(lack) => {
                self.blocked.entry(lack).or_default().push(candidate);
                self.recall(lack);
            }
        }
    }

    /// What a move lacks that could not start for want of this.
    fn lack(&self, at: usize, shared: Shared) -> Lack {
        match shared {
            Shared::Slot(_) => (shared, 0),
            Shared::Rate(_) => (shared, self.hauls[at].full_rate.count()),
        }
    }

    /// Has the most urgent of those that lacked the same be looked at again, unless they all lack it still.
    fn recall(&mut self, lack: Lack) {
        if self.ports.is_exhausted(lack.0, lack.1) {
            return;
        }
        if let Some(candidate) = self.blocked.get_mut(&lack).and_then(BinaryHeap::pop) {
            self.ready.push((candidate, Some(lack)));
        }
    }

    /// Whether a move that starts now is still under way when the window closes, even at its full rate.
    fn is_last(&self, at: usize, now: Micros) -> bool {
        matches!(self.first, First::Ranked { close, .. } if now + self.transfers[at] > close)
    }

    fn start(&mut self, at: usize, rate: u64, duration: Micros, now: Micros) {
        let haul = &self.hauls[at];
        self.ports.hold(haul, rate);
        for port in self.ports.ports_of(haul) {
            self.load[port] -= self.ports.work(port, haul, self.transfers[at]);
        }
        self.rates[at] = rate;
        self.timeline.starts[at] = now;
        self.timeline.ends[at] = now + duration + haul.settle;
        self.timeline.log.push(Event::Started(at));
        self.running.push(Reverse((now + duration, at, Phase::Carried)));
    }

    fn happen(&mut self, at: usize, phase: Phase, now: Micros) {
        let haul = &self.hauls[at];
        match phase {
            Phase::Carried => {
                self.ports.release_rate(haul, self.rates[at]);
                let freed: Vec<Shared> = self.ports.ports_of(haul).map(Shared::Rate).collect();
                self.wake(&freed);
                self.running.push(Reverse((now + haul.settle, at, Phase::Ended)));
            }
            Phase::Ended => {
                self.ports.release_slots(haul);
                let freed: Vec<Shared> = self.ports.slots_of(haul).map(Shared::Slot).collect();
                self.wake(&freed);
                self.timeline.log.push(Event::Ended(at));
                for later in std::mem::take(&mut self.before[at]) {
                    self.waits[later] -= 1;
                    if self.waits[later] == 0 {
                        self.make_ready(later);
                    }
                }
            }
        }
    }

    fn wake(&mut self, freed: &[Shared]) {
        for shared in freed {
            let any_rate: RangeInclusive<Lack> = (*shared, 0)..=(*shared, u64::MAX);
            let lacks: Vec<Lack> = self.blocked.range(any_rate).map(|(lack, _)| *lack).collect();
            lacks.into_iter().for_each(|lack| self.recall(lack));
        }
    }
}
