//! What the store knows of the surroundings of a move, just before it starts.

use std::collections::BTreeMap;

use decant_schema::fleet::ServerGroup;
use decant_schema::plan::Move;
use decant_schema::store::{Store, StoreError};

use crate::admit::Surroundings;

/// Reads what is around a move now. `groups` are those of the whole fleet, which only another fleet changes.
pub(super) async fn around(line: &Move, groups: &[ServerGroup], store: &Store) -> Result<Surroundings, StoreError> {
    let groups: Vec<_> = groups.iter().filter(|group| group.members.contains(&line.instance)).cloned().collect();
    let mut rooms = BTreeMap::new();
    for member in groups.iter().flat_map(|group| &group.members) {
        rooms.insert(member.clone(), store.rooms_of(member).await?);
    }
    let (source, target) = (store.host(&line.source).await?, store.host(&line.target).await?);
    Ok(Surroundings { source, target, groups, rooms })
}
