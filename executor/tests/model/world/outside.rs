//! What the world does to the hosts, the guests and the store.

use decant_schema::migration::{Confirm, Generation, MigrationEvent, MigrationState, Party, Report, Wish};

use super::{Event, Fault, Never, Record, Setting, Stored, World, act, outside, size};
use crate::guard::step_without;
use crate::hosts::{Guest, Host, Said};

impl World {
    pub(super) fn with_fault(&self, setting: &Setting, fault: Fault) -> Option<Self> {
        (self.faults > 0 && setting.of.contains(&fault)).then(|| Self { faults: self.faults - 1, ..self.clone() })
    }

    pub(super) fn outside_acts(&self, setting: &Setting, after: &mut Vec<(Event, Self, Option<Never>)>) {
        if self.acknowledged < setting.writes
            && let Some(host) = (0..2).find(|host| self.hosts[*host].runs())
        {
            let mut world = self.clone();
            world.acknowledged += 1;
            world.hosts[host].write(world.acknowledged);
            after.push((outside(Some(host), "acknowledges a write", ""), world, None));
        }
        for host in 0..2 {
            let there = &self.hosts[host];
            let mut happens = |fault, possible: bool, what, change: &dyn Fn(&mut Self)| {
                if possible && let Some(mut world) = self.with_fault(setting, fault) {
                    change(&mut world);
                    after.push((outside(Some(host), what, ""), world, None));
                }
            };
            happens(Fault::PowerLoss, true, "loses its power", &|world| {
                world.disturbed |= world.hosts[host].runs();
                world.hosts[host].lose_power();
            });
            happens(Fault::UserShutdown, there.runs(), "has its guest shut down by its user", &|world| {
                world.disturbed = true;
                if let Some(guest) = &mut world.hosts[host].guest {
                    guest.running = false;
                }
            });
            happens(Fault::FullDisk, !there.full, "has a full disk", &|world| world.hosts[host].full = true);
            let there_are_two = self.hosts.iter().all(Host::is_complete) && there.guest.is_some();
            let idle = there.agents.iter().all(Option::is_none) && !there.runs();
            let unseen = if host == self.store.from { idle && !self.is_shown() } else { !self.is_given() };
            happens(Fault::LostCopy, there_are_two && unseen, "loses the copy's files", &|world| {
                world.hosts[host].lose_files();
                world.lost = true;
                world.disturbed = true;
            });
            let down = there.is_complete() && there.guest.is_some() && !there.runs();
            happens(Fault::StartedByHand, down && self.is_given(), "has its copy started by hand", &|world| {
                world.doubled = true;
                world.disturbed = true;
                if let Some(guest) = &mut world.hosts[host].guest {
                    guest.running = true;
                }
            });
            let source = host == self.store.from && there.fence < self.store.begun;
            happens(Fault::StartedByUser, down && source, "has its stopped instance started by its user", &|world| {
                world.started = true;
                if let Some(guest) = &mut world.hosts[host].guest {
                    guest.running = true;
                }
            });
            let empty = there.guest.is_none() && there.base.is_none() && !setting.in_place;
            let size = size(&self.store.migration.subject.old);
            happens(Fault::Foreign, empty, "has another instance of this name defined", &|world| {
                let mark = Generation::default();
                world.hosts[host].base = Some(0);
                world.hosts[host].guest = Some(Guest { size, running: false, mark, foreign: true });
            });
            let could = empty && there.memory.is_none() && there.fence < self.store.begun;
            happens(Fault::OldMemory, could, "has a memory of an earlier move", &|world| {
                world.hosts[host].memory = Some(98);
            });
            happens(Fault::SecondAgent, there.agents.len() == 1, "has a second agent", &|world| {
                world.hosts[host].agents.push(None);
            });
            if self.doubled && there.runs() && host == self.store.from {
                // The person's next step, which the refusal to destroy what runs names.
                let mut world = self.clone();
                if let Some(guest) = &mut world.hosts[host].guest {
                    guest.running = false;
                }
                after.push((act(host, "has what was started by hand shut down", ""), world, None));
            }
            if there.full {
                let mut world = self.clone();
                world.hosts[host].full = false;
                after.push((act(host, "has room again", ""), world, None));
            }
        }
        if self.read.is_none()
            && let Some(mut world) = self.with_fault(setting, Fault::SecondConductor)
        {
            world.read = Some(self.store.clone());
            after.push((outside(None, "a second conductor reads the store", ""), world, None));
        }
        self.stores(setting, after);
    }

    /// A copy of the store conducts too, or the store goes back to what the copy says.
    fn stores(&self, setting: &Setting, after: &mut Vec<(Event, Self, Option<Never>)>) {
        for fault in [Fault::SecondStore, Fault::StoreGoneBack] {
            if self.copied.is_none()
                && let Some(mut world) = self.with_fault(setting, fault)
            {
                world.copied = Some(Stored::new(Record { stranger: true, ..(**self.store).clone() }, setting));
                after.push((outside(None, "the store is copied", ""), world, None));
            }
        }
        let Some(copied) = &self.copied else { return };
        if setting.of.contains(&Fault::StoreGoneBack) && !self.store.stranger {
            let mut world = self.clone();
            (world.store, world.copied) = (copied.clone(), None);
            world.orders.insert(copied.clone());
            // Whoever conducted it has ended, and what was said to it is lost.
            world.reports.clear();
            after.push((outside(None, "the store is put back to the copy", ""), world, None));
        }
        if setting.of.contains(&Fault::SecondStore) && self.wishes > 0 {
            for wish in [Wish::Abort, Wish::Revert] {
                let asked = MigrationEvent::Asked(wish);
                let Ok((state, _)) = step_without(None, &copied.migration, asked) else { continue };
                let mut world = self.clone();
                world.wishes -= 1;
                let decided = Stored::new(copied.after(state), setting);
                world.orders.insert(decided.clone());
                world.copied = Some(decided);
                after.push((outside(None, "the copy of the store is told:", wish.name()), world, None));
            }
        }
    }

    /// Whether the confirmation was given, or all it takes was seen: what is lost from then on, nobody can give back.
    fn is_given(&self) -> bool {
        let seen = |said: &Said| said.report == Report::Seen && said.order.generation == self.store.generation;
        let confirm = match self.store.state {
            MigrationState::VerifyMigration { confirm } => confirm,
            _ => return false,
        };
        matches!(confirm, Confirm::Given | Confirm::Merging { .. }) || self.reports.iter().any(seen)
    }

    /// Whether the source has shown its copy on the way back: what is lost from then on, nobody can give back.
    fn is_shown(&self) -> bool {
        let shown = |said: &Said| {
            let is_current = said.order.generation == self.store.generation;
            is_current && matches!(said.report, Report::Seen | Report::SourceRestored)
        };
        match self.store.state {
            MigrationState::Reverted { then: Some(Party::Target), .. } => self.reports.iter().any(shown),
            MigrationState::Reverted { .. } => true,
            _ => false,
        }
    }
}
