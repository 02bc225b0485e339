//! What the fleet as the store knows it now has against a move that is about to start.

use std::collections::{BTreeMap, BTreeSet};

use decant_schema::fleet::ServerGroup;
use decant_schema::id::MoveId;
use decant_schema::plan::Move;
use decant_schema::store::StoreError;

use super::Conductor;
use crate::admit::{Objection, Surroundings, objections};

impl Conductor {
    /// Everything the store knows that speaks against beginning `line` now. `plan` are the moves it is one of, `never`
    /// those of them that will not be made; `groups` are those of the whole fleet, which only another fleet changes.
    pub async fn objections(
        &self,
        line: &Move,
        plan: &[Move],
        never: &BTreeSet<MoveId>,
        groups: &[ServerGroup],
    ) -> Result<Vec<Objection>, StoreError> {
        Ok(objections(line, plan, never, &self.around(line, groups).await?))
    }

    async fn around(&self, line: &Move, groups: &[ServerGroup]) -> Result<Surroundings, StoreError> {
        let groups: Vec<_> = groups.iter().filter(|group| group.members.contains(&line.instance)).cloned().collect();
        let mut rooms = BTreeMap::new();
        for member in groups.iter().flat_map(|group| &group.members) {
            rooms.insert(member.clone(), self.store.rooms_of(member).await?);
        }
        let (source, target) = (self.store.host(&line.source).await?, self.store.host(&line.target).await?);
        Ok(Surroundings { source, target, groups, rooms })
    }
}
