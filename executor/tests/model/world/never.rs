//! The six lines of what must never happen.

use decant_executor::agent::decide::Effect;
use decant_executor::hypervisor::Discard;
use decant_schema::cast::WorkCast;
use decant_schema::migration::{MigrationOutcome, MigrationState, Work};

use super::{Never, Setting, World, index, size};

impl World {
    pub(super) fn never(&self, setting: &Setting, before: &Self) -> Option<Never> {
        let running = self.hosts.iter().filter(|host| host.runs()).count();
        if running > 1 && !self.doubled {
            return Some((1, "two copies run"));
        }
        let standing = index(&self.store.migration.standing().host);
        let there = &self.hosts[standing];
        let undisturbed = !self.lost && !self.store.stranger && self.copied.is_none();
        if undisturbed && there.guest.is_none() {
            return Some((4, "the record names a host that has no instance"));
        }
        if undisturbed && !there.is_complete() {
            return Some((4, "the record names a host that cannot run it"));
        }
        let ended = self.store.state.outcome().filter(|_| self.store != before.store);
        // A record that was overtaken is ended by a person, and touches no host.
        let ended = ended.filter(|_| !matches!(before.store.state, MigrationState::Overtaken { .. }));
        let fits = ended.is_none_or(|outcome| self.is_as_it_should(setting, outcome));
        (!fits).then_some((6, "something is different from what it should be at the end"))
    }

    /// How things are where a migration has ended.
    fn is_as_it_should(&self, setting: &Setting, outcome: MigrationOutcome) -> bool {
        let migration = &self.store.migration;
        let attributes = migration.standing();
        let (there, elsewhere) = (&self.hosts[index(&attributes.host)], &self.hosts[1 - index(&attributes.host)]);
        // A source that refuses after its own first try was cut leaves an overlay that holds nothing; the next move merges it.
        let merged = outcome == MigrationOutcome::Confirmed || there.overlay.is_none() || self.disturbed;
        let power = self.disturbed || there.runs() == (setting.runs || self.started);
        let size = there.guest.is_some_and(|guest| guest.size == size(attributes));
        let gone = elsewhere.guest.is_none_or(|guest| guest.foreign) || setting.in_place;
        let whole = there.content() == Some(self.acknowledged) || self.doubled;
        self.store.stranger || self.lost || (merged && power && size && gone && whole)
    }

    /// What an effect does that must not be.
    pub(super) fn would_harm(&mut self, host: usize, effect: Effect, order: &WorkCast) -> Option<Never> {
        let there = &self.hosts[host];
        if there.guest.is_some_and(|guest| guest.foreign) {
            return Some((6, "an instance is touched that is none of the migration's"));
        }
        let Effect::Destroy(discard) = effect else { return None };
        if there.runs() && discard == Discard::Everything {
            return Some((2, "a copy is removed that runs"));
        }
        let other = &self.hosts[1 - host];
        if order.subject.copies_disk() && there.is_complete() && !other.is_complete() {
            return Some((2, "the last complete copy is removed"));
        }
        if let (Discard::KeepOverlay, Some(left)) = (discard, other.content()) {
            let agreed = matches!(order.work, Work::CleanTarget { unless_executed: false, .. });
            if agreed && order.subject.copies_disk() && self.reverts_by_wish() {
                self.acknowledged = left;
            }
        }
        None
    }

    fn reverts_by_wish(&self) -> bool {
        matches!(self.store.state, MigrationState::Reverted { outcome: MigrationOutcome::Reverted, .. })
    }
}
