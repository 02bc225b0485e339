//! What is asked of a guest whose QEMU exists: its disk layers, its memory, its processors.
//!
//! A layer is switched in an order that lets the files alone tell the truth: the overlay exists before the guest
//! writes to it, and is gone before the guest, halted meanwhile, writes to the base again. So whenever QEMU dies,
//! "the overlay if there is one, else the base" is the disk the guest knew.

use std::fs::File;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::Duration;

use decant_schema::migration::{DiskFile, DiskNumber, Patience};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::Fault;
use super::lock::{CopyLock, RETRY};
use super::process::{self, await_end, node};
use super::qmp::Qmp;
use super::stack;
use crate::layout::{CopyFolder, remove_durably, rename_durably, with_ending};

/// A halted guest has no rate to keep up with: its memory is written as fast as the disk takes it (bytes per second).
const MEMORY_RATE: u64 = 1 << 40;

/// How long a guest is left to obey its power button before it is pressed again: one that is still booting hears nothing.
const PRESSED_AGAIN: Duration = Duration::from_secs(5);

/// What QEMU says the guest is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Activity {
    /// Its processors run.
    Running,
    /// They are halted and can go on.
    Halted,
    /// Its disk is full or failing; it goes on when told to and the disk allows.
    DiskError,
    /// A memory was asked for and has not arrived.
    AwaitsMemory,
    /// Its memory was saved completely.
    Saved,
    /// It sleeps, crashed, or shut itself down: its own doing, which nothing here undoes.
    Unfit,
}

/// How far a memory is saved, by the last try to save it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Saving {
    /// Nobody tried, or it was called off.
    Nothing,
    /// It is being written.
    Underway,
    /// All of it is written.
    Completed,
    /// It could not be written.
    Failed(String),
}

impl Qmp {
    /// What the guest is doing.
    pub(super) async fn activity(&mut self) -> Result<Activity, Fault> {
        Ok(match self.run_state().await?.as_str() {
            "running" => Activity::Running,
            "paused" | "prelaunch" | "finish-migrate" | "save-vm" | "restore-vm" => Activity::Halted,
            "io-error" => Activity::DiskError,
            "inmigrate" => Activity::AwaitsMemory,
            // Also where saving failed, and the processors are only halted.
            "postmigrate" if self.saving().await? == Saving::Completed => Activity::Saved,
            "postmigrate" => Activity::Halted,
            // suspended, guest-panicked, internal-error, shutdown, watchdog, and whatever a later QEMU adds.
            _ => Activity::Unfit,
        })
    }

    /// How far its memory is saved.
    async fn saving(&mut self) -> Result<Saving, Fault> {
        let migration = self.execute("query-migrate", json!({})).await?;
        Ok(match migration["status"].as_str().unwrap_or_default() {
            "setup" | "active" | "device" | "pre-switchover" | "cancelling" => Saving::Underway,
            "completed" => Saving::Completed,
            "failed" => {
                let detail = migration["error-desc"].as_str().unwrap_or("saving the memory failed");
                Saving::Failed(detail.to_owned())
            }
            _ => Saving::Nothing,
        })
    }

    /// What the guest is doing, in QEMU's words.
    pub(super) async fn run_state(&mut self) -> Result<String, Fault> {
        let status = self.execute("query-status", json!({})).await?;
        Ok(status["status"].as_str().unwrap_or_default().to_owned())
    }

    /// The layers the guest writes to, one of each disk, in their order.
    async fn top_layers(&mut self) -> Result<Vec<DiskFile>, Fault> {
        let disks = self.execute("query-block", json!({})).await?;
        let name = |disk: &Value| disk["inserted"]["node-name"].as_str().map(str::to_owned);
        let layer = |name: String| {
            DiskFile::try_from(name)
                .map_err(|stranger| Fault::Guest(format!("it has a disk of another kind: {stranger}")))
        };
        let mut tops: Vec<DiskFile> =
            disks.as_array().into_iter().flatten().filter_map(name).map(layer).collect::<Result<_, _>>()?;
        tops.sort_by_key(|top| disk_of(*top));
        if tops.is_empty() { Err(Fault::Guest("the guest has no disk".to_owned())) } else { Ok(tops) }
    }

    /// Whether the guest writes to a layer above the base of a disk.
    async fn stands_on_overlay(&mut self, disk: DiskNumber) -> Result<bool, Fault> {
        Ok(self.top_layers().await?.into_iter().any(|top| disk_of(top) == Some(disk) && stack::place_of(top) > 0))
    }

    async fn has_layer(&mut self, layer: DiskFile) -> Result<bool, Fault> {
        Ok(self.layers_above_base(disk_of(layer)).await?.contains(&layer))
    }

    /// The layers above the base of a disk that it knows, in use or not, the highest first.
    async fn layers_above_base(&mut self, disk: Option<DiskNumber>) -> Result<Vec<DiskFile>, Fault> {
        let known = self.execute("query-named-block-nodes", json!({ "flat": true })).await?;
        let name = |node: &Value| DiskFile::try_from(node["node-name"].as_str()?.to_owned()).ok();
        let layers = known.as_array().into_iter().flatten().filter_map(name);
        let mut layers: Vec<DiskFile> =
            layers.filter(|layer| disk_of(*layer) == disk && stack::place_of(*layer) > 0).collect();
        layers.sort_by_key(|layer| std::cmp::Reverse(stack::place_of(*layer)));
        Ok(layers)
    }

    async fn merge_job(&mut self, disk: DiskNumber) -> Result<Option<Value>, Fault> {
        let jobs = self.execute("query-jobs", json!({})).await?;
        Ok(jobs.as_array().into_iter().flatten().find(|job| job["id"] == merge_job(disk)).cloned())
    }
}

/// The name of the job that merges a disk's overlay.
fn merge_job(disk: DiskNumber) -> String {
    disk.naming("merge")
}

/// The disk that a layer is of.
fn disk_of(layer: DiskFile) -> Option<DiskNumber> {
    match layer {
        DiskFile::Base(disk) | DiskFile::Layer(disk, _) | DiskFile::Overlay(disk) => Some(disk),
        DiskFile::Memory | DiskFile::Machine => None,
    }
}

/// Lets a halted guest go on from its disk and its live memory. A memory saved meanwhile is older from then on and
/// is removed first. One that sleeps or crashed is left as it is.
pub(super) async fn go_on(qmp: &mut Qmp, copy: &CopyFolder) -> Result<(), Fault> {
    if matches!(qmp.activity().await?, Activity::Running | Activity::Unfit) {
        return forget_merged(copy);
    }
    finish_merges(qmp, copy).await?;
    qmp.execute("migrate_cancel", json!({})).await?;
    let memory = copy.file(DiskFile::Memory);
    remove_durably(&with_ending(&memory, "part"))?;
    remove_durably(&memory)?;
    qmp.execute("cont", json!({})).await?;
    forget_merged(copy)?;
    match qmp.activity().await? {
        Activity::DiskError => Err(disk_full()),
        _ => Ok(()),
    }
}

/// Lets a guest go on that its full disk halted, and no other.
pub(super) async fn wake(qmp: &mut Qmp) -> Result<(), Fault> {
    if qmp.activity().await? == Activity::DiskError {
        qmp.execute("cont", json!({})).await?;
    }
    Ok(())
}

/// The name the overlay of a disk has from when all of it is in the base until the guest, halted for that, goes on.
fn merged(copy: &CopyFolder, disk: DiskNumber) -> PathBuf {
    with_ending(&copy.file(DiskFile::Overlay(disk)), "merged")
}

/// The overlays that were merged and whose guest has not gone on since.
fn all_merged(copy: &CopyFolder) -> impl Iterator<Item = PathBuf> {
    DiskNumber::all(DiskNumber::MAX.into()).map(|disk| merged(copy, disk)).filter(|merged| merged.exists())
}

fn forget_merged(copy: &CopyFolder) -> Result<(), Fault> {
    Ok(all_merged(copy).try_for_each(|merged| remove_durably(&merged))?)
}

/// Has the guest write to the overlays that lie ready. One that a merge halted and that never went on since, because
/// we were killed, does so now; one that its owner paused stays so.
pub(super) async fn switch_to_overlays(qmp: &mut Qmp, copy: &CopyFolder) -> Result<(), Fault> {
    for top in qmp.top_layers().await? {
        stack_overlay(qmp, copy, top).await?;
    }
    if all_merged(copy).next().is_some() { go_on(qmp, copy).await } else { Ok(()) }
}

/// Has the guest write to the overlay of a disk, if it still writes to what lies below: `top` is what QEMU calls that.
async fn stack_overlay(qmp: &mut Qmp, copy: &CopyFolder, top: DiskFile) -> Result<(), Fault> {
    let Some(disk) = disk_of(top) else { return Ok(()) };
    let place = stack::place_of(top) + 1;
    let (layers, Some(next)) = (stack::of(copy, disk)?, stack::node_at(disk, place)) else { return Ok(()) };
    let Some(layer) = layers.get(place) else { return Ok(()) };
    if !qmp.has_layer(next).await? {
        let layer = node(Some(next), stack::opened_as(copy, *layer)?, None);
        let layer = serde_json::from_str(&layer).unwrap_or_default();
        qmp.execute("blockdev-add", layer).await?;
    }
    qmp.execute("blockdev-snapshot", json!({ "node": top, "overlay": next })).await?;
    Ok(())
}

/// Merges the layers of each disk into its base under the running guest, and lets the guest go on if it was halted: after each, so that
/// it stands still for one at a time.
pub(super) async fn merge(qmp: &mut Qmp, copy: &CopyFolder) -> Result<(), Fault> {
    if qmp.activity().await? == Activity::DiskError {
        return Err(disk_full());
    }
    for top in qmp.top_layers().await? {
        if let Some(disk) = disk_of(top).filter(|_| stack::place_of(top) > 0) {
            commit(qmp, disk, top).await?;
            finish_merge(qmp, copy, disk).await?;
            go_on(qmp, copy).await?;
        }
    }
    finish_merges(qmp, copy).await?;
    go_on(qmp, copy).await
}

async fn finish_merges(qmp: &mut Qmp, copy: &CopyFolder) -> Result<(), Fault> {
    for disk in qmp.top_layers().await?.into_iter().filter_map(disk_of) {
        finish_merge(qmp, copy, disk).await?;
    }
    Ok(())
}

/// Brings a merge that was begun to its end, and removes the layers of a disk whose base the halted guest stands on: they hold
/// nothing (not yet switched to) or only what the base holds too, and must not be taken for the disk after a crash.
async fn finish_merge(qmp: &mut Qmp, copy: &CopyFolder, disk: DiskNumber) -> Result<(), Fault> {
    if qmp.merge_job(disk).await?.is_some() {
        commit(qmp, disk, DiskFile::Overlay(disk)).await?;
        qmp.execute("job-dismiss", json!({ "id": merge_job(disk) })).await?;
    }
    if qmp.stands_on_overlay(disk).await? {
        return Ok(());
    }
    for layer in qmp.layers_above_base(Some(disk)).await? {
        qmp.execute("blockdev-del", json!({ "node-name": layer })).await?;
    }
    File::open(copy.file(DiskFile::Base(disk)))?.sync_all()?;
    let overlay = copy.file(DiskFile::Overlay(disk));
    if overlay.exists() {
        // First: without it the base is the disk.
        rename_durably(&overlay, &merged(copy, disk))?;
    }
    Ok(stack::forget_frozen(copy, disk)?)
}

/// Runs the merge, of `top` and what is below it unless it was begun, to the point where the guest, halted, stands on the base
/// of this disk.
async fn commit(qmp: &mut Qmp, disk: DiskNumber, top: DiskFile) -> Result<(), Fault> {
    if qmp.merge_job(disk).await?.is_none() {
        let order = json!({ "job-id": merge_job(disk), "device": top, "top-node": top, "base-node": DiskFile::Base(disk),
                            "auto-dismiss": false });
        qmp.execute("block-commit", order).await?;
    }
    let mut completing = false;
    loop {
        let job = qmp.merge_job(disk).await?.unwrap_or_default();
        match job["status"].as_str().unwrap_or_default() {
            // It says so for a while after it was told to complete.
            "ready" if !completing => {
                // Halted, so that no write falls between the switch and the end of the overlay's file.
                qmp.execute("stop", json!({})).await?;
                qmp.execute("job-complete", json!({ "id": merge_job(disk) })).await?;
                completing = true;
            }
            "concluded" if job["error"].is_string() => {
                qmp.execute("job-dismiss", json!({ "id": merge_job(disk) })).await?;
                return Err(super::complaint(job["error"].as_str().unwrap_or_default()));
            }
            "concluded" => return Ok(()),
            _ => {}
        }
        sleep(RETRY).await;
    }
}

/// Presses the power button and waits; what does not end by itself in time is ended, if it may be.
pub(super) async fn power_down(mut qmp: Qmp, copy: &CopyFolder, patience: Patience) -> Result<CopyLock, Fault> {
    match qmp.activity().await? {
        Activity::Running => {}
        Activity::Halted | Activity::DiskError => go_on(&mut qmp, copy).await.or_else(unless_full)?,
        // None has a processor to hear the button; a saved memory is complete without the process.
        Activity::AwaitsMemory | Activity::Saved => return process::end(qmp, copy).await,
        Activity::Unfit if patience.cut_off => return process::end(qmp, copy).await,
        Activity::Unfit => return Err(Fault::Unfit(qmp.run_state().await?)),
    }
    let end = Instant::now() + patience.guest();
    loop {
        let pressed = qmp.execute("system_powerdown", json!({})).await;
        let left = end.saturating_duration_since(Instant::now());
        if let Some(lock) = await_end(copy, left.min(PRESSED_AGAIN)).await? {
            return Ok(lock);
        }
        pressed?;
        if left <= PRESSED_AGAIN {
            break;
        }
    }
    if patience.cut_off { process::end(qmp, copy).await } else { Err(Fault::Deaf(patience.guest())) }
}

/// A guest on a full disk cannot shut down politely, but it can be ended: nothing it saw acknowledged is outside.
fn unless_full(fault: Fault) -> Result<(), Fault> {
    if fault.is_full_disk() { Ok(()) } else { Err(fault) }
}

/// Halts the guest, saves its memory, and ends its process. From the halt on, the disk does not change.
pub(super) async fn save_memory(mut qmp: Qmp, copy: &CopyFolder) -> Result<(), Fault> {
    let memory = copy.file(DiskFile::Memory);
    let part = with_ending(&memory, "part");
    if qmp.activity().await? == Activity::Unfit {
        return Err(Fault::Unfit(qmp.run_state().await?));
    }
    if qmp.activity().await? != Activity::Saved {
        qmp.execute("stop", json!({})).await?;
        // One that failed before has ended: it is no obstacle to another try.
        if qmp.saving().await? != Saving::Underway {
            begin_saving(&mut qmp, &part).await?;
        }
        await_saved(&mut qmp).await?;
    }
    if part.exists() {
        File::open(&part)?.sync_all()?;
        rename_durably(&part, &memory)?;
    }
    process::end(qmp, copy).await.map(drop)
}

/// QEMU gets an open file instead of a name: 7.2 knows no `file:` target, and `exec:` would need a shell.
async fn begin_saving(qmp: &mut Qmp, part: &std::path::Path) -> Result<(), Fault> {
    let file = File::create(part)?;
    qmp.execute("migrate-set-parameters", json!({ "max-bandwidth": MEMORY_RATE })).await?;
    qmp.give("memory", file.as_fd()).await?;
    qmp.execute("migrate", json!({ "uri": "fd:memory" })).await?;
    Ok(())
}

async fn await_saved(qmp: &mut Qmp) -> Result<(), Fault> {
    loop {
        match qmp.saving().await? {
            Saving::Completed => break,
            Saving::Underway => sleep(RETRY).await,
            Saving::Failed(detail) => return Err(super::complaint(&detail)),
            Saving::Nothing => return Err(Fault::Guest("saving its memory was called off".to_owned())),
        }
    }
    // The state follows the last byte; only then are the disks closed for good.
    while qmp.activity().await? != Activity::Saved {
        sleep(RETRY).await;
    }
    Ok(())
}

/// The longest a memory may take to load before the guest is given up.
const LOAD_MAX: Duration = Duration::from_secs(600);

/// Loads the saved memory into a QEMU that was started to await it; the guest stays halted.
pub(super) async fn load_memory(qmp: &mut Qmp, copy: &CopyFolder) -> Result<(), Fault> {
    let file = File::open(copy.file(DiskFile::Memory))?;
    qmp.give("memory", file.as_fd()).await?;
    qmp.execute("migrate-incoming", json!({ "uri": "fd:memory" })).await?;
    let end = Instant::now() + LOAD_MAX;
    while qmp.activity().await? == Activity::AwaitsMemory {
        if Instant::now() >= end {
            return Err(Fault::Guest("its memory does not load".to_owned()));
        }
        sleep(RETRY).await;
    }
    Ok(())
}

fn disk_full() -> Fault {
    Fault::Io(std::io::Error::new(
        std::io::ErrorKind::StorageFull,
        "the host's disk is full and the guest waits: make room, then try again; nothing acknowledged is lost",
    ))
}

#[cfg(test)]
mod tests;
