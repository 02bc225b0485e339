//! What an agent does with an order: it looks, decides, and has one effect after the other.

use std::sync::Arc;

use decant_executor::agent::decide::{Effect, Found, Verdict, failure, relies};
use decant_schema::cast::WorkCast;
use decant_schema::id::HostName;
use decant_schema::migration::{Cause, DiskFile, Generation, Manifest, Overtaken, Report, Work};

use super::{Event, Fault, NAMES, Never, Setting, Stored, World, act, index, outside, refuses_strangers};
use crate::guard::{Guard, decide_without, may_without};
use crate::hosts::{Said, Task, Undone};

impl World {
    pub(super) fn agents_act(
        &self,
        setting: &Setting,
        guard: Option<Guard>,
        after: &mut Vec<(Event, Self, Option<Never>)>,
    ) {
        for (host, slot) in (0..2).flat_map(|host| (0..self.hosts[host].agents.len()).map(move |slot| (host, slot))) {
            for record in &self.orders {
                self.take(guard, host, slot, record, after);
            }
            if let Some(task) = &self.hosts[host].agents[slot] {
                self.go_on(setting, guard, host, slot, task, after);
                let mut world = self.clone();
                world.hosts[host].agents[slot] = None;
                after.push((outside(Some(host), "is killed", "in the middle"), world, None));
            }
        }
    }

    /// An order arrives.
    fn take(
        &self,
        guard: Option<Guard>,
        host: usize,
        slot: usize,
        record: &Arc<Stored>,
        after: &mut Vec<(Event, Self, Option<Never>)>,
    ) {
        let Some(order) = record.order.as_ref().filter(|order| index(&order.to) == host) else { return };
        let busy = self.hosts[host].agents[slot].as_ref();
        if busy.is_some_and(|task| task.order.generation >= record.generation) {
            return;
        }
        if record.stranger && refuses_strangers(guard) {
            return;
        }
        let mut world = self.clone();
        let event = act(host, "takes the order to", order.work.name());
        if self.hosts[host].fence > record.generation && guard != Some(Guard::Fence) {
            world.hosts[host].agents[slot] = None;
            let (asked, held) = (record.generation, self.hosts[host].fence);
            world.overtaken(guard, host, record, Overtaken { host: order.to.clone(), asked, held });
            if world != *self {
                after.push((event, world, None));
            }
            return;
        }
        world.hosts[host].fence = world.hosts[host].fence.max(record.generation);
        let health = relies(order).then(|| self.hosts[host].health());
        let found = Found { held: self.hosts[host].held(), health };
        let task = |effects, report| Task { order: record.clone(), effects, report, copied: Manifest::new() };
        let task = match decide_without(guard, order, &found) {
            Verdict::Do(effects, report) => task(effects, report),
            Verdict::Leave(_) => task(Vec::new(), Report::Undecided { cause: cause() }),
            Verdict::Refuse(_) => task(Vec::new(), Report::Refused { cause: cause() }),
            Verdict::Fail(_) => task(Vec::new(), world.failure(guard, host, order)),
        };
        world.settle(host, slot, task);
        after.push((event, world, None));
    }

    fn overtaken(&mut self, guard: Option<Guard>, host: usize, record: &Arc<Stored>, by: Overtaken) {
        if guard != Some(Guard::SayOvertaken) {
            self.reports.insert(Said { host, order: record.clone(), report: Report::Overtaken { by } });
        }
    }

    fn failure(&self, guard: Option<Guard>, host: usize, order: &WorkCast) -> Report {
        let mut held = self.hosts[host].held();
        if guard == Some(Guard::ExecutedMark) {
            held.executed = Generation::default();
        }
        failure(order, &held, cause())
    }

    /// Goes on with what is left, or says that it is done.
    fn settle(&mut self, host: usize, slot: usize, task: Task) {
        if !task.effects.is_empty() {
            self.hosts[host].agents[slot] = Some(task);
            return;
        }
        let copied = task.copied;
        let report = match task.report {
            Report::BaseCopied { .. } => Report::BaseCopied { copied },
            Report::RestCopied { .. } => Report::RestCopied { copied },
            other => other,
        };
        self.hosts[host].agents[slot] = None;
        self.reports.insert(Said { host, order: task.order, report });
    }

    /// The next effect.
    fn go_on(
        &self,
        setting: &Setting,
        guard: Option<Guard>,
        host: usize,
        slot: usize,
        task: &Task,
        after: &mut Vec<(Event, Self, Option<Never>)>,
    ) {
        let Some(order) = &task.order.order else { return };
        let effect = task.effects[0];
        let event = act(host, "has the effect", effect_name(effect));
        let looks_again = !matches!(guard, Some(Guard::Fence | Guard::FenceBeforeEachEffect));
        if looks_again && self.hosts[host].fence > task.order.generation && !matches!(effect, Effect::Copy(_)) {
            let mut world = self.clone();
            world.hosts[host].agents[slot] = None;
            let (asked, held) = (task.order.generation, self.hosts[host].fence);
            world.overtaken(guard, host, &task.order, Overtaken { host: order.to.clone(), asked, held });
            after.push((event, world, None));
            return;
        }
        self.have(guard, (host, slot), task, order, event, false, after);
        if let (Effect::Copy(_), Some(world)) = (effect, self.with_fault(setting, Fault::Damage)) {
            world.have(guard, (host, slot), task, order, damaged(event), true, after);
        }
        if let Some(mut world) = self.with_fault(setting, Fault::Fails) {
            world.hosts[host].agents[slot] = None;
            let report = world.failure(guard, host, order);
            world.reports.insert(Said { host, order: task.order.clone(), report });
            after.push((failed(event, "but it fails"), world, None));
        }
        if let Some(world) = self.with_fault(setting, Fault::FailsWithEffect) {
            let mut had = Vec::new();
            world.have(guard, (host, slot), task, order, event, false, &mut had);
            for (event, mut world, never) in had {
                world.hosts[host].agents[slot] = None;
                let report = world.failure(guard, host, order);
                world.reports.insert(Said { host, order: task.order.clone(), report });
                after.push((failed(event, "and says that it failed"), world, never));
            }
        }
    }

    #[expect(clippy::too_many_arguments, reason = "what an agent does in one go")]
    fn have(
        &self,
        guard: Option<Guard>,
        (host, slot): (usize, usize),
        task: &Task,
        order: &WorkCast,
        event: Event,
        damage: bool,
        after: &mut Vec<(Event, Self, Option<Never>)>,
    ) {
        let mut world = self.clone();
        let mut task = task.clone();
        let manifest = match &order.work {
            Work::Build { manifest } => manifest.clone(),
            _ => Manifest::new(),
        };
        let effect = task.effects.remove(0);
        let mut never = None;
        let done = match effect {
            Effect::Copy(file) => {
                let peer = &self.hosts[1 - host];
                if peer.fence > task.order.generation && !matches!(guard, Some(Guard::Fence)) {
                    world.hosts[host].agents[slot] = None;
                    let by = Overtaken {
                        host: HostName::new(NAMES[1 - host]),
                        asked: task.order.generation,
                        held: peer.fence,
                    };
                    world.overtaken(guard, host, &task.order, by);
                    after.push((event, world, None));
                    return;
                }
                world.copy(host, file, damage, &mut task)
            }
            Effect::Start(begun) => {
                if world.hosts[host].executed < begun && guard != Some(Guard::ExecutedMark) {
                    // Recorded first: a kill may come between the record and the first instruction.
                    world.hosts[host].executed = begun;
                    task.effects.insert(0, effect);
                    world.hosts[host].agents[slot] = Some(task);
                    after.push((act(host, "records that it executes", ""), world, None));
                    return;
                }
                never = world.would_harm(host, effect, order).or_else(|| world.start(host));
                if world.hosts[host].guest.is_some() && world.hosts[host].runs() { Ok(()) } else { Err(Undone) }
            }
            other if may_without(guard, order, other, self.hosts[host].held()).is_err() => Err(Undone),
            other => {
                never = world.would_harm(host, other, order);
                world.hosts[host].have(other, order.subject.begun, &manifest)
            }
        };
        match done {
            Ok(()) => world.settle(host, slot, task),
            Err(Undone) => {
                world.hosts[host].agents[slot] = None;
                let report = world.failure(guard, host, order);
                world.reports.insert(Said { host, order: task.order, report });
            }
        }
        after.push((event, world, never));
    }

    fn copy(&mut self, host: usize, file: DiskFile, damage: bool, task: &mut Task) -> Result<(), Undone> {
        let digest = self.hosts[host].digest(file).ok_or(Undone)?;
        let sent = self.hosts[host].clone();
        self.hosts[1 - host].receive(file, &sent, damage)?;
        task.copied.insert(file, digest);
        Ok(())
    }

    pub(super) fn start(&mut self, host: usize) -> Option<Never> {
        let content = self.hosts[host].content();
        let there = &mut self.hosts[host];
        let memory = there.memory.take();
        let Some(guest) = &mut there.guest else { return None };
        if guest.running {
            return None;
        }
        content?;
        guest.running = true;
        if memory.is_some_and(|memory| Some(memory) != content) {
            return Some((3, "a guest starts with a memory that does not fit its disk"));
        }
        let behind = content != Some(self.acknowledged) && !self.doubled;
        behind.then_some((3, "a guest starts without what it saw acknowledged"))
    }
}

fn cause() -> Cause {
    Cause::Failed { host: HostName::new(""), work: Work::Snapshot, detail: String::new() }
}

fn damaged(event: Event) -> Event {
    Event { what: "has the effect, damaged on its way,", is_progress: false, ..event }
}

fn failed(event: Event, detail: &'static str) -> Event {
    let what = match detail {
        "but it fails" => "fails to have the effect",
        _ => "has, and says that it failed, the effect",
    };
    Event { what, is_progress: false, ..event }
}

fn effect_name(effect: Effect) -> &'static str {
    match effect {
        Effect::Freeze(_) => "freeze",
        Effect::Copy(DiskFile::Base(_)) => "copy the base",
        Effect::Copy(DiskFile::Layer(..) | DiskFile::Overlay(_)) => "copy the overlay",
        Effect::Copy(DiskFile::Memory) => "copy the memory",
        Effect::Copy(DiskFile::Machine) => "copy the machine",
        Effect::Shutdown => "shut down",
        Effect::Suspend => "suspend",
        Effect::Verify => "verify",
        Effect::ForgetMemory => "forget the memory",
        Effect::Create(_) => "create",
        Effect::Start(_) => "start",
        Effect::Merge => "merge",
        Effect::Destroy(_) => "destroy",
    }
}
