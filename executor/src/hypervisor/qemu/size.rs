//! How large the disk is that a guest starts from: enlarged before a start, and given its old size back by an undo. Its
//! flavor says nothing of others.
//!
//! The layer the guest writes to is enlarged; a merge enlarges the base with it. What the size was is noted beside it with
//! the migration that changed it, so that no other migration's undo takes it for its own.

use std::io;

use decant_schema::migration::{DiskNumber, Generation};
use serde::{Deserialize, Serialize};

use super::lock::CopyLock;
use super::{Fault, Tools, stack};
use crate::layout::{CopyFolder, remove_durably, write_durably};

const NOTE: &str = "size-before.json";

/// What a disk was before a migration enlarged it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Before {
    owner: Generation,
    bytes: u64,
}

/// A stretch of a disk, as `qemu-img map` names it.
#[derive(Deserialize)]
struct Stretch {
    start: u64,
    length: u64,
    data: bool,
    zero: bool,
}

/// Enlarges the disk to this many bytes, unless it is as large.
pub(super) async fn enlarge(
    tools: &Tools,
    lock: &CopyLock,
    copy: &CopyFolder,
    owner: Generation,
    bytes: u64,
) -> Result<(), Fault> {
    let now = virtual_size(tools, copy).await?;
    if now >= bytes {
        return Ok(());
    }
    // First: an undo that finds no note leaves the size alone.
    write_durably(&copy.join(NOTE), &serde_json::to_vec(&Before { owner, bytes: now }).map_err(io::Error::from)?)?;
    tools.image_resize(lock.share()?, copy, stack::top(copy, DiskNumber::FIRST), bytes).await
}

/// Gives the disk the size back that it had before this migration enlarged it, where nothing was written beyond that.
pub(super) async fn restore(tools: &Tools, lock: &CopyLock, copy: &CopyFolder, owner: Generation) -> Result<(), Fault> {
    let Some(before) = before(copy)?.filter(|before| before.owner == owner) else { return Ok(()) };
    if virtual_size(tools, copy).await? > before.bytes {
        if is_written_beyond(tools, copy, before.bytes).await? {
            return Ok(());
        }
        tools.image_resize(lock.share()?, copy, stack::top(copy, DiskNumber::FIRST), before.bytes).await?;
    }
    Ok(remove_durably(&copy.join(NOTE))?)
}

fn before(copy: &CopyFolder) -> io::Result<Option<Before>> {
    match std::fs::read(copy.join(NOTE)) {
        Ok(text) => Ok(Some(serde_json::from_slice(&text)?)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

async fn virtual_size(tools: &Tools, copy: &CopyFolder) -> Result<u64, Fault> {
    Ok(tools.describe_layer(copy, stack::top(copy, DiskNumber::FIRST)).await?.virtual_size)
}

async fn is_written_beyond(tools: &Tools, copy: &CopyFolder, bytes: u64) -> Result<bool, Fault> {
    let said = tools.image_map(copy, stack::top(copy, DiskNumber::FIRST)).await?;
    let stretches: Vec<Stretch> = serde_json::from_slice(&said).map_err(io::Error::from)?;
    let ends_beyond = |stretch: &Stretch| stretch.start.saturating_add(stretch.length) > bytes;
    Ok(stretches.iter().any(|stretch| stretch.data && !stretch.zero && ends_beyond(stretch)))
}
