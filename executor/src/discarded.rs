//! Copies that were put aside: by a revert, since what the guest wrote at the target is nowhere else, or since their host had
//! been dead and came back. They take room until a person removes them, and no other.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::linux::fs::MetadataExt;
use std::path::PathBuf;

use decant_schema::id::{HostName, InstanceId};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::driver::Drivers;
use crate::hypervisor::Copy;
use crate::hypervisor::qemu::occupant::{self, Occupied};
use crate::layout::{CopyFolder, HostFolder, remove_folder_durably, rename_durably};
use crate::room::taken;

/// The file of a copy's folder that says when and why it was put aside.
const NOTE: &str = "put-aside.json";

/// A copy that was put aside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Discarded {
    /// On which host.
    pub host: HostName,
    /// Of which instance.
    pub instance: InstanceId,
    /// Tells it from others of the instance on that host.
    pub number: u32,
    /// What it takes of the storage, MiB, begun ones counted.
    pub mib: u64,
    /// Since when it lies there.
    pub at: Timestamp,
    /// Why.
    pub why: Why,
    /// Where.
    pub path: PathBuf,
}

/// Why a copy was put aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// A migration was reverted: it has what the guest wrote at the target.
    Reverted,
    /// Its host had been dead and came back: it may be older than the one that lives on elsewhere.
    Stale,
    /// Nothing says why: it is from before that was kept, or there was no room to.
    Unknown,
}

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Note {
    at: Timestamp,
    why: Why,
}

/// Why a copy that was put aside is not removed.
#[derive(Debug, Error)]
pub enum Kept {
    /// It would be the last one.
    #[error("no host here has another copy of {0} that can be read: it may be the last")]
    LastCopy(InstanceId),
    /// The instance is on its way.
    #[error("a migration of {0} is not over")]
    Moving(InstanceId),
    /// A program uses it.
    #[error(transparent)]
    InUse(Occupied),
    /// The file system.
    #[error("it cannot be looked at or removed")]
    Io(#[from] io::Error),
}

/// Puts a copy aside: the whole folder, since an overlay says nothing without its base.
pub(crate) fn put_aside(copy: &CopyFolder, why: Why) -> io::Result<()> {
    let note = serde_json::to_vec(&Note { at: Timestamp::now(), why })?;
    // What is to be kept is kept without its note too: on a full disk there may be no room for one.
    if let Err(error) = copy.spares().write(&copy.join(NOTE), &note) {
        tracing::debug!(copy = %copy.path().display(), %error, "it is not noted why a copy is put aside");
    }
    rename_durably(&copy.path(), &copy.next_discarded())
}

/// Everything that was put aside on these hosts, by host and instance, the oldest first.
///
/// # Errors
/// As the file system says.
pub fn discarded(hosts: &BTreeMap<HostName, HostFolder>) -> io::Result<Vec<Discarded>> {
    let mut all = Vec::new();
    for (host, folder) in hosts {
        for (instance, number, path) in folder.discarded()? {
            let Note { at, why } = note_of(&path)?;
            all.push(Discarded {
                host: host.clone(),
                instance,
                number,
                mib: taken(&path).div_ceil(1 << 20),
                at,
                why,
                path,
            });
        }
    }
    all.sort_by(|a, b| (&a.host, &a.instance, a.at, a.number).cmp(&(&b.host, &b.instance, b.at, b.number)));
    Ok(all)
}

fn note_of(path: &std::path::Path) -> io::Result<Note> {
    if let Some(note) = std::fs::read(path.join(NOTE)).ok().and_then(|text| serde_json::from_slice(&text).ok()) {
        return Ok(note);
    }
    // A folder's status changes when it gets another name.
    let changed = Timestamp::from_second(path.metadata()?.st_ctime()).unwrap_or(Timestamp::UNIX_EPOCH);
    Ok(Note { at: changed, why: Why::Unknown })
}

/// Removes a copy that was put aside, unless somebody may still need it: `moving` are the instances whose migrations are not
/// over, `drivers` the hosts on which another copy is looked for.
///
/// # Errors
/// Why it is kept; then nothing was changed, unless the file system failed on the way.
pub async fn remove(one: &Discarded, moving: &BTreeSet<InstanceId>, drivers: &Drivers) -> Result<(), Kept> {
    if moving.contains(&one.instance) {
        return Err(Kept::Moving(one.instance.clone()));
    }
    let files: Vec<PathBuf> =
        std::fs::read_dir(&one.path)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    occupant::are_free(files.iter().filter(|file| file.is_file()).map(AsRef::as_ref))?.map_err(Kept::InUse)?;
    if !lives(&one.instance, drivers).await {
        return Err(Kept::LastCopy(one.instance.clone()));
    }
    Ok(remove_folder_durably(&one.path)?)
}

/// Whether a host has a whole copy of the instance.
async fn lives(instance: &InstanceId, drivers: &Drivers) -> bool {
    for driver in drivers.values() {
        let held = driver.hypervisor.observe(instance).await;
        if held.is_ok_and(|held| matches!(held.copy, Copy::Running(_) | Copy::Stopped(_)))
            && driver.hypervisor.examine(instance, None).await.is_ok_and(|health| health.disk.is_none())
        {
            return true;
        }
    }
    false
}
