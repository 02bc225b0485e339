//! What a conductor makes of what it hears, and what people and time ask of it.

use std::sync::Arc;

use decant_executor::step::is_awaited;
use decant_schema::id::HostName;
use decant_schema::migration::{Assurance, Confirm, MigrationEvent, MigrationState, Party, Wish};

use super::{Event, NAMES, Never, Record, Setting, Stored, World, act, outside};
use crate::guard::{Guard, step_without};

impl World {
    pub(super) fn conduct(
        &self,
        setting: &Setting,
        guard: Option<Guard>,
        after: &mut Vec<(Event, Self, Option<Never>)>,
    ) {
        for said in &self.reports {
            let reads = [(false, Some(&self.store)), (true, self.read.as_ref())];
            for (second, record) in reads.into_iter().filter_map(|(second, record)| Some((second, record?))) {
                let migration = &record.migration;
                let host = HostName::new(NAMES[said.host]);
                let fits = is_awaited(migration, &host, said.order.generation) && said.order.number == record.number;
                let blind = guard == Some(Guard::ReportsOfThePast) && said.order.number == record.number;
                if !fits && !blind {
                    continue;
                }
                let event = act(said.host, "is heard:", said.report.name());
                let happened = MigrationEvent::Reported(said.report.clone());
                self.advance(setting, guard, record, second, happened, event, after);
            }
        }
        if self.wishes > 0 {
            let asked = [Wish::Confirm, Wish::ConfirmAnyway, Wish::Revert, Wish::Abort].map(MigrationEvent::Asked);
            for happened in asked.into_iter().chain([MigrationEvent::WindowEnded]) {
                let event = outside(None, "a person, or time:", happened.name());
                let mut asking = self.clone();
                asking.wishes -= 1;
                asking.advance(setting, guard, &self.store, false, happened.clone(), event, after);
                if let Some(read) = &self.read {
                    asking.advance(setting, guard, read, true, happened, event, after);
                }
            }
        }
        let over = matches!(self.store.state, MigrationState::Finished { .. });
        if over && self.store.number < setting.migrations {
            let mut world = self.clone();
            let from = match self.store.state.stands_at() {
                Party::Source => self.store.from,
                Party::Target => 1 - self.store.from,
            };
            let begun = self.store.generation.next();
            let (number, state) = (self.store.number + 1, MigrationState::first(setting.mode));
            world.write(Record { number, from, begun, generation: begun, state, stranger: false }, setting);
            after.push((outside(None, "another migration begins", ""), world, None));
        }
    }

    #[expect(clippy::too_many_arguments, reason = "what a conductor does in one go")]
    fn advance(
        &self,
        setting: &Setting,
        guard: Option<Guard>,
        record: &Arc<Stored>,
        second: bool,
        happened: MigrationEvent,
        event: Event,
        after: &mut Vec<(Event, Self, Option<Never>)>,
    ) {
        let Ok((state, _)) = step_without(guard, &record.migration, happened) else { return };
        let mut world = self.clone();
        if second {
            world.read = None;
        }
        let unchanged = record.generation == self.store.generation && record.state == self.store.state;
        if unchanged || guard == Some(Guard::CompareAndSet) {
            // A person who confirms anyway knows that the guest may be down.
            let anyway = Confirm::Due { assurance: Assurance::Whole };
            world.disturbed |= state == MigrationState::VerifyMigration { confirm: anyway };
            world.write(record.after(state), setting);
        }
        after.push((event, world, None));
    }

    /// What is stored may be cast at any time from now on.
    pub(super) fn write(&mut self, record: Record, setting: &Setting) {
        self.store = Stored::new(record, setting);
        self.orders.insert(self.store.clone());
    }
}
