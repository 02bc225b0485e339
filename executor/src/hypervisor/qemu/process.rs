//! The QEMU process of a guest: how it is started, found again, and ended.
//!
//! It is nobody's child for long: it has a session of its own, its lock and its socket lie in the host's folder,
//! and a later agent finds it by them. Where the copy is locked but no socket answers, something is on its way up or
//! down, or an image tool is at work; then we wait.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::io::ErrorKind::{NotFound, WouldBlock};
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use decant_schema::machine::Serial;
use decant_schema::migration::{DiskFile, DiskNumber};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal};
use serde_json::json;
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use super::accelerator::Accelerator;
use super::confine::{self, User};
use super::definition::Definition;
use super::ending;
use super::lock::{CopyLock, RETRY};
use super::machine::Housed;
use super::mute::Mute;
use super::occupant::{self, Occupied};
use super::qmp::{ANSWER_MAX, Qmp, QmpError};
use super::{Fault, Tools, stack};
use crate::layout::{CONSOLE_SOCKET, CopyFolder, file_name, make_parent};
use crate::processes;
use crate::tool::MissingTool;

const SOCKET: &str = "qmp.sock";
const PROCESS_ID: &str = "qemu.pid";

/// Makes what it runs the leader of a session of its own, in the same process (util-linux). In our session, the kernel would
/// hang up on a QEMU that is stopped in the moment in which we end: its group has lost its last parent then.
const SESSION: &str = "setsid";

/// How it ends where there is no such program.
const NOT_FOUND: i32 = 127;

/// The longest that an image tool or a starting QEMU may hold a copy before we give up waiting for it.
const BUSY_MAX: Duration = Duration::from_secs(120);

/// The longest an image may stay locked by a program of ours that has let go of the copy already: both happen as it ends.
const PARTING_MAX: Duration = Duration::from_secs(2);

/// The longest QEMU may take to end after it was told to.
const QUIT_MAX: Duration = Duration::from_secs(10);

/// What a look at a copy finds. Holding one keeps everybody else out.
pub(super) enum Presence {
    /// No process works on it, and none can until the lock is dropped.
    Down(CopyLock),
    /// Its QEMU exists and listens to us alone.
    Up(Qmp),
}

/// Finds out whether the guest's process exists.
///
/// Fails with [`Fault::Mute`] where it exists and does not answer; with [`Fault::Stray`] where a process works on a copy
/// whose folder was taken away, whatever lies there now; with [`Fault::Occupied`] where a program that was not started here uses the copy's disk:
/// neither is the guest down then, nor is it ours.
pub(super) async fn look(copy: &CopyFolder) -> Result<Presence, Fault> {
    let (begun, end) = (Instant::now(), Instant::now() + BUSY_MAX);
    loop {
        if let Some(lock) = CopyLock::try_take(&copy.lock())? {
            are_ours(copy).await?;
            return Ok(Presence::Down(lock));
        }
        let refused = match Qmp::connect(&copy.path(), SOCKET).await {
            Ok(qmp) => return Ok(Presence::Up(qmp)),
            // It has taken the connection, so it exists.
            Err(QmpError::Silent { .. }) => return Err(Mute::of(process_id(copy)).into()),
            // Those who came before us wait for an answer still: its queue is full.
            Err(QmpError::Lost(full)) if full.kind() == WouldBlock && begun.elapsed() >= ANSWER_MAX => {
                return Err(Mute::of(process_id(copy)).into());
            }
            Err(refused) => refused,
        };
        // Whoever makes one takes the lock first, and is quick about it.
        if begun.elapsed() >= PARTING_MAX {
            if !copy.path().exists() {
                return Err(Fault::Stray(holders(copy).next()));
            }
            // Another copy may have come where the folder was.
            if let Some(stray) = holders(copy).find(|id| works_elsewhere(*id, copy)) {
                return Err(Fault::Stray(Some(stray)));
            }
        }
        if Instant::now() >= end {
            return Err(refused.into());
        }
        sleep(RETRY).await;
    }
}

/// Like [`look`], but one whose QEMU cannot be spoken to at this moment is not waited for.
pub(super) async fn glance(copy: &CopyFolder) -> Result<Presence, Fault> {
    match CopyLock::try_take(&copy.lock())? {
        Some(lock) => Ok(Presence::Down(lock)),
        None => Ok(Presence::Up(Qmp::connect(&copy.path(), SOCKET).await?)),
    }
}

/// Fails where somebody else uses the disk of a copy that nobody here works on.
async fn are_ours(copy: &CopyFolder) -> Result<(), Fault> {
    let mut images: Vec<PathBuf> = Vec::new();
    for disk in DiskNumber::all(DiskNumber::MAX.into()) {
        let layers = stack::of(copy, disk)?.into_iter().map(|layer| copy.file(layer));
        images.extend(layers.filter(|image| image.exists()));
    }
    let end = Instant::now() + PARTING_MAX;
    loop {
        let found: Result<(), Occupied> = occupant::are_free(images.iter().map(AsRef::as_ref))?;
        match found {
            Err(_) if Instant::now() < end => sleep(RETRY).await,
            found => return Ok(found?),
        }
    }
}

/// Starts QEMU with the guest's processors halted, waiting for a memory if there is one to load. The process holds the
/// copy's lock from its first to its last moment.
pub(super) async fn spawn(
    tools: &Tools,
    lock: CopyLock,
    copy: &CopyFolder,
    what: Definition,
    machine: &Housed,
) -> Result<Qmp, Fault> {
    make_parent(&copy.console())?;
    let log = File::create(ending::log(copy))?;
    let accelerator = tools.accelerator.on(&copy.host());
    let mut command = Command::new(SESSION);
    command.arg(&tools.qemu);
    if let Some(user) = User::of(copy)? {
        user.applied_to(&mut command, copy, accelerator == Accelerator::Kvm)?;
    }
    command
        .current_dir(copy.path())
        .args(arguments(accelerator, copy, what, machine)?)
        .stdin(lock.share()?)
        .stdout(log.try_clone()?)
        .stderr(log);
    let mut child = command.spawn().map_err(|error| MissingTool::new(SESSION, "util-linux", error))?;
    drop((command, lock));
    let end = Instant::now() + BUSY_MAX;
    loop {
        if let Some(ended) = child.try_wait()? {
            if ended.code() == Some(NOT_FOUND) {
                let missing = NotFound.into();
                return Err(MissingTool::new(&tools.qemu, "qemu-system-x86", missing).into());
            }
            let said = std::fs::read_to_string(ending::log(copy)).unwrap_or_default();
            return Err(super::complaint(&said));
        }
        match Qmp::connect(&copy.path(), SOCKET).await {
            Ok(qmp) => return Ok(qmp),
            // Nobody will ever speak to it there; no guest has executed in it.
            Err(_) if !copy.path().exists() => {
                child.kill().await?;
                return Err(Fault::Stray(None));
            }
            Err(error) if Instant::now() >= end => return Err(error.into()),
            Err(_) => sleep(RETRY).await,
        }
    }
}

fn arguments(
    accelerator: Accelerator,
    copy: &CopyFolder,
    what: Definition,
    machine: &Housed,
) -> io::Result<Vec<String>> {
    let mut arguments: Vec<String> =
        ["-nodefaults", "-no-user-config", "-display", "none", "-S"].map(str::to_owned).into();
    let mut option = |name: &str, value: String| arguments.extend([name.to_owned(), value]);
    option("-sandbox", confine::sandbox(machine).to_owned());
    option("-m", format!("{}M", what.memory_mb));
    option("-smp", what.vcpus.to_string());
    option("-qmp", format!("unix:{SOCKET},server=on,wait=off"));
    option("-pidfile", PROCESS_ID.to_owned());
    for event in ending::TRACED {
        option("-trace", event.to_owned());
    }
    option("-chardev", console(copy, machine.machine.serial));
    option("-serial", "chardev:console".to_owned());
    let mut tops = BTreeMap::new();
    for disk in machine.disks() {
        let mut below = None;
        for (place, layer) in stack::of(copy, disk)?.into_iter().enumerate() {
            let name = stack::node_at(disk, place);
            option("-blockdev", node(name, stack::opened_as(copy, layer)?, below));
            below = name;
        }
        tops.insert(disk, below.unwrap_or(DiskFile::Base(disk)).to_string());
    }
    if copy.file(DiskFile::Memory).exists() {
        option("-incoming", "defer".to_owned());
    }
    arguments.extend(machine.arguments(accelerator.name(), |disk| tops.get(&disk).cloned().unwrap_or_default()));
    Ok(arguments)
}

/// What the serial line leads to: the log, which is only ever appended to, and whoever attaches.
fn console(copy: &CopyFolder, serial: Serial) -> String {
    let log = escaped(&copy.console());
    match serial {
        Serial::File => format!("file,id=console,append=on,path={log}"),
        Serial::Socket => {
            format!("socket,id=console,path={CONSOLE_SOCKET},server=on,wait=off,logfile={log},logappend=on")
        }
    }
}

/// A comma ends a value in QEMU's options unless it is doubled.
fn escaped(path: &Path) -> String {
    path.to_string_lossy().replace(',', ",,")
}

/// The description of a disk layer, called `name`, over another that is called `backing`.
pub(super) fn node(name: Option<DiskFile>, layer: DiskFile, backing: Option<DiskFile>) -> String {
    // Else QEMU, once it has loaded a memory, throws all of the file out of the page cache, in case another host has
    // written to it: that takes longer the larger the base is, the guest stands still meanwhile, and nobody else writes to
    // a copy's files.
    let file = json!({ "driver": "file", "filename": file_name(layer), "drop-cache": false });
    json!({ "driver": "qcow2", "node-name": name, "file": file, "backing": backing }).to_string()
}

/// Waits for the process to be gone by itself.
pub(super) async fn await_end(copy: &CopyFolder, patience: Duration) -> Result<Option<CopyLock>, Fault> {
    Ok(CopyLock::take_within(&copy.lock(), patience).await?)
}

/// Ends the process: by command, and where QEMU does not follow, by signal. What the guest had flushed is on the disk.
pub(super) async fn end(mut qmp: Qmp, copy: &CopyFolder) -> Result<CopyLock, Fault> {
    // QEMU may hang up before it answers; whether it ended is seen by the lock.
    let _answer = qmp.execute("quit", json!({})).await;
    if let Some(lock) = await_end(copy, QUIT_MAX).await? {
        return Ok(lock);
    }
    kill(copy)?;
    await_end(copy, QUIT_MAX).await?.ok_or_else(stuck)
}

/// Kills the process that wrote its id here. The copy is locked, so the process exists and the id is still its own.
fn kill(copy: &CopyFolder) -> Result<(), Fault> {
    let id = process_id(copy).and_then(Pid::from_raw);
    let id = id.ok_or_else(|| Fault::Guest(format!("`{}` holds no process id", PROCESS_ID)))?;
    Ok(kill_process(id, Signal::KILL).map_err(io::Error::from)?)
}

/// The id the copy's QEMU wrote down.
fn process_id(copy: &CopyFolder) -> Option<i32> {
    std::fs::read_to_string(copy.join(PROCESS_ID)).ok()?.trim().parse().ok()
}

/// Ends what works on a copy whose folder was taken away: it has no files here any more, and nobody can speak to it.
pub(super) async fn end_stray(copy: &CopyFolder) -> Result<CopyLock, Fault> {
    for id in holders(copy).filter_map(Pid::from_raw) {
        // One that has ended meanwhile is as good.
        let _gone = kill_process(id, Signal::KILL);
    }
    await_end(copy, QUIT_MAX).await?.ok_or_else(stuck)
}

/// The processes that have the copy's lock as their standard input, wherever their files are.
fn holders(copy: &CopyFolder) -> impl Iterator<Item = i32> {
    let lock = copy.lock();
    processes::ids().filter(move |id| holds(*id, &lock))
}

/// Whether a process is in another folder than the copy's, as far as can be told. Whatever works on a copy is begun in its folder.
fn works_elsewhere(process: i32, copy: &CopyFolder) -> bool {
    let Some(there) = processes::works_in(process) else { return false };
    copy.path().metadata().is_ok_and(|here| (here.dev(), here.ino()) != (there.dev(), there.ino()))
}

/// Ends the copy's QEMU without asking it, if there is one.
///
/// Nobody has spoken to it, so the id may be an older one's and be another process's by now: only one that holds the copy's
/// lock as its standard input is killed.
pub(super) async fn kill_unasked(copy: &CopyFolder) -> Result<bool, Fault> {
    if CopyLock::try_take(&copy.lock())?.is_some() {
        return Ok(false);
    }
    let id = process_id(copy).and_then(Pid::from_raw);
    // Opened before it is looked at: the id may be given away, the process that was opened remains the same.
    let opened = id.and_then(|id| Some((id, pidfd_open(id, PidfdFlags::empty()).ok()?)));
    let Some((_, process)) = opened.filter(|(id, _)| holds(id.as_raw_pid(), &copy.lock())) else {
        // One that has just ended by itself is as good.
        return match await_end(copy, PARTING_MAX).await? {
            Some(_) => Ok(false),
            None => Err(Fault::Guest("something else works on it: wait for that to end".to_owned())),
        };
    };
    pidfd_send_signal(&process, Signal::KILL).map_err(io::Error::from)?;
    // Not until the lock can be had: whoever waits for it as well may start the next process at once.
    let end = Instant::now() + QUIT_MAX;
    while !has_ended(&process)? {
        if Instant::now() >= end {
            return Err(stuck());
        }
        sleep(RETRY).await;
    }
    Ok(true)
}

/// Whether the last thread of a process is gone, and with it all that it held: its first one may be gone long before.
fn has_ended(process: &OwnedFd) -> io::Result<bool> {
    let mut ends = [PollFd::new(process, PollFlags::IN)];
    Ok(poll(&mut ends, Some(&Timespec::default()))? > 0)
}

/// Whether a process has this file as its standard input.
fn holds(process: i32, lock: &Path) -> bool {
    lock.metadata().is_ok_and(|lock| processes::reads_from(process, &lock))
}

fn stuck() -> Fault {
    Fault::Guest("qemu does not end, not even by SIGKILL: its disk may hang".to_owned())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn no_layer_is_thrown_out_of_the_page_cache_while_the_guest_stands_still() {
        for layer in [DiskFile::BASE, DiskFile::OVERLAY] {
            let node: serde_json::Value = serde_json::from_str(&node(Some(layer), layer, None)).unwrap();
            assert_eq!(node["file"]["drop-cache"], false, "{node}");
        }
    }
}
