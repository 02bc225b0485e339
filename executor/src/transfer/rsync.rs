//! Files from host to host by `rsync`, trusted no further than the digests at both ends.
//!
//! rsync writes to `<name>.part` beside the final name and never to the name itself; what arrived is read back,
//! compared with what was read here, made durable and renamed. The running rsync holds a lock of this host, so one that
//! outlived its killed agent is found, ended, and its work taken up.
//!
//! The peers of this transfer are folders of this machine. What would change for a peer elsewhere is in [`Peer`] alone:
//! the destination rsync is given, and who reads, publishes and removes there.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use async_trait::async_trait;
use decant_schema::id::{HostName, InstanceId};
use decant_schema::migration::{Digest, DiskFile};
use decant_schema::units::Mbps;
use tokio::process::Command;
use tokio::time::{Instant, interval, sleep};

use super::leftover;
use super::verified::{Verified, digest_of};
use super::{Copied, CopyOrder, ProgressSink, Transfer, TransferError};
use crate::hypervisor::qemu::lock::{CopyLock, RETRY};
use crate::hypervisor::qemu::{can_be_machine, is_defined, read_fence};
use crate::layout::{CopyFolder, HostFolder, make_parent, remove_durably, rename_durably, with_ending};
use crate::room::{BLOCK, Room, Storages, end_promise, taken};
use crate::tool::MissingTool;

/// A peer that takes nothing for this long is gone (rsync's own watch, whole seconds).
const SILENCE_MAX_S: u64 = 30;

/// The longest a copy waits for another process that sends the same file and that somebody waits for. It is tried again
/// as long as a broken link is.
const OTHER_MAX: Duration = Duration::from_secs(10);

/// What a guest is expected to write while its base is copied, one part in so many of the base. Beyond that a copy still
/// ends before it takes the reserve.
const GROWTH_SHARE: u64 = 8;

/// How often progress is looked at, and whether there is room left: a fast link brings some hundred megabytes meanwhile.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);

/// The transfer of one host.
#[derive(Clone, Debug)]
pub struct Rsync {
    here: HostFolder,
    peers: BTreeMap<HostName, HostFolder>,
    program: PathBuf,
}

impl Rsync {
    /// Sends from one host's folder to its peers'.
    pub fn new(here: HostFolder, peers: BTreeMap<HostName, HostFolder>) -> Self {
        Self { here, peers, program: "rsync".into() }
    }

    /// Uses another rsync than the one on `PATH`.
    pub fn with_program(self, program: impl Into<PathBuf>) -> Self {
        Self { program: program.into(), ..self }
    }

    fn peer(&self, order: &CopyOrder) -> Result<Peer, TransferError> {
        let unknown = || failed(order).unreachable("it is not among this host's peers");
        let folder = self.peers.get(&order.peer).ok_or_else(unknown)?;
        Ok(Peer { copy: folder.copy(&order.instance).map_err(|error| failed(order).io(error))?, file: order.file })
    }

    /// Keeps others from sending the file, once what an outdated order left behind has ended.
    async fn lock(&self, order: &CopyOrder) -> Result<CopyLock, TransferError> {
        let io = |error| failed(order).io(error);
        let path = self.here.copy(&order.instance).map_err(io)?.sending_lock(order.file);
        let end = Instant::now() + OTHER_MAX;
        loop {
            if let Some(lock) = CopyLock::try_take(&path).map_err(io)? {
                lock.sign(order.generation).map_err(io)?;
                return Ok(lock);
            }
            leftover::end_outdated(&path, order.generation).map_err(io)?;
            if Instant::now() >= end {
                return Err(failed(order).unreachable("another process is sending it"));
            }
            sleep(RETRY).await;
        }
    }

    /// Sends, once there is room for all that is to arrive and for what other copies under way were promised.
    async fn send(
        &self,
        order: &CopyOrder,
        from: &Path,
        peer: &Peer,
        lock: &CopyLock,
        progress: ProgressSink<'_>,
    ) -> Result<Output, TransferError> {
        make_parent(&peer.part()).map_err(|error| failed(order).there(error))?;
        let sent = match self.promise(order, from, peer) {
            Ok(()) => self.run(order, &arguments(order, peer.part().exists()), from, peer, lock, progress).await,
            Err(refused) => Err(refused),
        };
        let sent = sent.and_then(|output| failed(order).unless_full(output));
        if let Err(TransferError::NoSpace { .. }) = sent {
            // First of all, and without needing any itself: the guests there want the room.
            peer.give_back().map_err(|error| failed(order).there(error))?;
        }
        sent
    }

    /// The hosts whose copies may go to the same storage.
    fn storages(&self) -> Storages {
        Storages::of(self.peers.values().chain([&self.here]))
    }

    /// What is still to arrive was promised before the migration began, unless it has become more.
    fn promise(&self, order: &CopyOrder, from: &Path, peer: &Peer) -> Result<(), TransferError> {
        let whole = from.metadata().map_err(|error| failed(order).io(error))?.blocks() * BLOCK;
        let more = whole.saturating_sub(peer.arrived());
        let promised = self.storages().promise(&peer.copy, more).map_err(|error| failed(order).there(error))?;
        promised.map_err(|detail| failed(order).no_space(&detail))
    }

    async fn run(
        &self,
        order: &CopyOrder,
        arguments: &[String],
        from: &Path,
        peer: &Peer,
        lock: &CopyLock,
        progress: ProgressSink<'_>,
    ) -> Result<Output, TransferError> {
        let mut command = Command::new(&self.program);
        command.args(arguments).arg("--").arg(from).arg(peer.part());
        // A group of its own: a Ctrl-C meant for us does not tear a file that is nearly there.
        command.process_group(0).stdin(lock.share().map_err(|error| failed(order).io(error))?);
        // A copy nobody waits for any more, because its migration was called off, must not go on into the void.
        command.kill_on_drop(true);
        let output = command.output();
        tokio::pin!(output);
        let mut tick = interval(PROGRESS_EVERY);
        loop {
            tokio::select! {
                output = &mut output => return output.map_err(|error| self.not_run(order, error)),
                _ = tick.tick() => {
                    peer.leaves_the_reserve().map_err(|detail| failed(order).no_space(&detail))?;
                    progress(peer.arrived());
                }
            }
        }
    }

    fn not_run(&self, order: &CopyOrder, source: io::Error) -> TransferError {
        if !matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) {
            return failed(order).io(source);
        }
        MissingTool::new(&self.program, "rsync", source).into()
    }
}

#[async_trait]
impl Transfer for Rsync {
    async fn copy(&self, order: &CopyOrder, progress: ProgressSink<'_>) -> Result<Copied, TransferError> {
        let context = || failed(order);
        let here = self.here.copy(&order.instance).map_err(|error| context().io(error))?;
        let from = here.file(order.file);
        let peer = self.peer(order)?;
        let lock = self.lock(order).await?;
        let sent = read_here(&from, order.file).await.map_err(|error| context().io(error))?;
        peer.is_free_for(order)?;
        if peer.has(&sent).await.map_err(|error| context().io(error))? {
            return Ok(Copied { digest: sent, bytes: 0 });
        }
        peer.obeys(order)?;
        let output = self.send(order, &from, &peer, &lock, progress).await?;
        if !output.status.success() {
            return Err(context().rsync(&output));
        }
        let bytes = bytes_sent(&output);
        let read_back = Verified::read(&peer.part()).await.map_err(|error| context().there(error))?;
        if read_back.digest != sent {
            // Nothing of it can be trusted: the next attempt begins from nothing.
            remove_durably(&peer.part()).map_err(|error| context().there(error))?;
            let CopyOrder { instance, file, .. } = order.clone();
            return Err(TransferError::Harmed { instance, file, sent, arrived: read_back.digest });
        }
        peer.lets_in(order)?;
        peer.obeys(order)?;
        peer.is_free_for(order)?;
        peer.publish(read_back).map_err(|error| context().there(error))?;
        progress(bytes);
        Ok(Copied { digest: sent, bytes })
    }

    async fn digest(&self, instance: &InstanceId, file: DiskFile) -> Result<Digest, TransferError> {
        let context = |source| Failed { instance, file, peer: None }.io(source);
        let path = self.here.copy(instance).map_err(context)?.file(file);
        match Verified::noted(&path) {
            Some(noted) => Ok(noted.digest),
            None => digest_of(&path).await.map_err(context),
        }
    }

    async fn reserve(&self, order: &CopyOrder, memory: u64) -> Result<(), TransferError> {
        let here = self.here.copy(&order.instance).map_err(|error| failed(order).io(error))?;
        let peer = self.peer(order)?;
        peer.is_free_for(order)?;
        peer.obeys(order)?;
        if here.promise().exists() && peer.copy.promise().exists() {
            // The order comes again; the migration may be begun by now.
            return Ok(());
        }
        let disk = taken(&here.path());
        let grows = (disk / GROWTH_SHARE).saturating_add(memory);
        let storages = self.storages();
        let at_source = storages.promise(&here, grows).map_err(|error| failed(order).io(error))?;
        at_source.map_err(|detail| failed(order).no_space(&format!("at its source {detail}")))?;
        let at_target =
            storages.promise(&peer.copy, disk.saturating_add(grows).saturating_sub(taken(&peer.copy.path())));
        let refused = match at_target {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(detail)) => failed(order).no_space(&detail),
            Err(error) => failed(order).there(error),
        };
        self.release(order).await?;
        Err(refused)
    }

    async fn release(&self, order: &CopyOrder) -> Result<(), TransferError> {
        let here = self.here.copy(&order.instance).map_err(|error| failed(order).io(error))?;
        end_promise(&here).map_err(|error| failed(order).io(error))?;
        end_promise(&self.peer(order)?.copy).map_err(|error| failed(order).there(error))
    }

    async fn probe(&self, order: &CopyOrder) -> Result<(), TransferError> {
        let from = self.here.copy(&order.instance).map_err(|error| failed(order).io(error))?.file(order.file);
        let peer = self.peer(order)?;
        if !peer.copy.path().try_exists().map_err(|error| failed(order).there(error))? {
            let CopyOrder { instance, peer, .. } = order.clone();
            return Err(TransferError::Gone { instance, peer });
        }
        let lock = self.lock(order).await?;
        let arguments = [vec!["--dry-run".to_owned()], arguments(order, true)].concat();
        let output = self.run(order, &arguments, &from, &peer, &lock, &|_| ()).await?;
        if output.status.success() { Ok(()) } else { Err(failed(order).rsync(&output)) }
    }
}

/// The other end of a copy.
struct Peer {
    copy: CopyFolder,
    file: DiskFile,
}

impl Peer {
    /// The name a file has until it is whole.
    fn part(&self) -> PathBuf {
        with_ending(&self.copy.file(self.file), "part")
    }

    fn leaves_the_reserve(&self) -> Result<(), String> {
        Room::at(&self.copy.path()).map_or(Ok(()), |room| if room.to_take() > 0 { Ok(()) } else { room.holds(1) })
    }

    /// Removes what arrived, and the promise.
    fn give_back(&self) -> io::Result<()> {
        remove_durably(&self.part())?;
        end_promise(&self.copy)
    }

    /// Bytes that lie there so far; holes are not counted.
    fn arrived(&self) -> u64 {
        self.part().metadata().map_or(0, |there| there.blocks() * BLOCK)
    }

    /// Whether this very content has its name already.
    async fn has(&self, sent: &Digest) -> io::Result<bool> {
        let there = self.copy.file(self.file);
        if let Some(noted) = Verified::noted(&there) {
            return Ok(noted.digest == *sent);
        }
        match Verified::read(&there).await {
            Ok(read) if read.digest == *sent => self.note(read).map(|()| true),
            Ok(_) => Ok(false),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Fails where a later generation than the order's was obeyed: what lies there is no longer this order's to write.
    fn obeys(&self, order: &CopyOrder) -> Result<(), TransferError> {
        let held = read_fence(&self.copy).map_err(|error| failed(order).there(error))?;
        if held <= order.generation {
            return Ok(());
        }
        let CopyOrder { instance, file, peer, generation: asked, .. } = order.clone();
        Err(TransferError::Fenced { instance, file, peer, asked, held })
    }

    /// Fails where what arrived is a machine that is none here: before its guest is taken down.
    fn lets_in(&self, order: &CopyOrder) -> Result<(), TransferError> {
        if self.file != DiskFile::Machine {
            return Ok(());
        }
        match can_be_machine(&self.part(), &self.copy.host()) {
            Ok(()) => Ok(()),
            Err(detail) => {
                remove_durably(&self.part()).map_err(|error| failed(order).there(error))?;
                let CopyOrder { instance, peer, .. } = order.clone();
                Err(TransferError::NotLetIn { instance, peer, detail })
            }
        }
    }

    /// Fails where an instance is defined, unless a later generation did so: then the order is only late.
    fn is_free_for(&self, order: &CopyOrder) -> Result<(), TransferError> {
        if !is_defined(&self.copy) {
            return Ok(());
        }
        self.obeys(order)?;
        let CopyOrder { instance, file, peer, .. } = order.clone();
        Err(TransferError::Occupied { instance, file, peer })
    }

    fn publish(&self, read_back: Verified) -> io::Result<()> {
        File::open(self.part())?.sync_all()?;
        rename_durably(&self.part(), &self.copy.file(self.file))?;
        self.note(read_back)
    }

    /// Only what is frozen is noted: the rest is small, and arrives when the guest is down in any case.
    fn note(&self, read_back: Verified) -> io::Result<()> {
        let is_frozen = matches!(self.file, DiskFile::Base(_) | DiskFile::Layer(..));
        if is_frozen { read_back.keep_at(&self.copy.file(self.file)) } else { Ok(()) }
    }
}

/// The digest of a file that is to be sent. A layer was read while its guest ran, and is asked for again when that is down: it
/// is not read again unless it has changed since.
async fn read_here(from: &Path, file: DiskFile) -> io::Result<Digest> {
    if !matches!(file, DiskFile::Layer(..)) {
        return digest_of(from).await;
    }
    if let Some(noted) = Verified::noted(from) {
        return Ok(noted.digest);
    }
    let read = Verified::read(from).await?;
    let digest = read.digest.clone();
    if let Err(error) = read.keep_at(from) {
        tracing::debug!(file = %from.display(), %error, "not noted, so it will be read again");
    }
    Ok(digest)
}

/// `taking_up`: a part is there, so only what it lacks is sent; else the whole file, without looking for likenesses.
fn arguments(order: &CopyOrder, taking_up: bool) -> Vec<String> {
    let mut arguments =
        ["--inplace", "--sparse", "--ignore-times", "--protect-args", "--stats"].map(str::to_owned).to_vec();
    arguments.push(if taking_up { "--no-whole-file" } else { "--whole-file" }.to_owned());
    arguments.push(format!("--timeout={SILENCE_MAX_S}"));
    if let Some(limit) = order.limit {
        arguments.push(format!("--bwlimit={}", kib_per_second(limit)));
    }
    arguments
}

/// rsync counts in KiB per second, and takes 0 for "no limit".
fn kib_per_second(limit: Mbps) -> u64 {
    (limit.count().saturating_mul(1_000_000) / 8 / 1024).max(1)
}

/// The bytes that crossed, from rsync's `--stats`: `Total bytes sent: 1,234`.
fn bytes_sent(output: &Output) -> u64 {
    let stats = String::from_utf8_lossy(&output.stdout);
    let line = stats.lines().find_map(|line| line.strip_prefix("Total bytes sent:"));
    let digits: String = line.unwrap_or_default().chars().filter(char::is_ascii_digit).collect();
    digits.parse().unwrap_or(0)
}

/// What was being copied when something went wrong.
struct Failed<'a> {
    instance: &'a InstanceId,
    file: DiskFile,
    peer: Option<&'a HostName>,
}

fn failed(order: &CopyOrder) -> Failed<'_> {
    Failed { instance: &order.instance, file: order.file, peer: Some(&order.peer) }
}

impl Failed<'_> {
    /// On this host.
    fn io(self, source: io::Error) -> TransferError {
        let (instance, file) = (self.instance.clone(), self.file);
        match source.kind() {
            io::ErrorKind::NotFound => TransferError::Absent { instance, file },
            _ => TransferError::Io { instance, file, source },
        }
    }

    /// On the peer.
    fn there(self, source: io::Error) -> TransferError {
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => self.no_space(&source.to_string()),
            _ => self.unreachable(&source.to_string()),
        }
    }

    fn no_space(self, detail: &str) -> TransferError {
        let peer = self.peer.cloned().unwrap_or_else(|| HostName::new("this host"));
        TransferError::NoSpace { detail: detail.to_owned(), instance: self.instance.clone(), file: self.file, peer }
    }

    fn unreachable(self, detail: &str) -> TransferError {
        let peer = self.peer.cloned().unwrap_or_else(|| HostName::new("this host"));
        TransferError::Unreachable { instance: self.instance.clone(), file: self.file, peer, detail: detail.to_owned() }
    }

    /// Fails where rsync says that the peer's disk is full.
    fn unless_full(self, output: Output) -> Result<Output, TransferError> {
        if output.status.success() {
            return Ok(output);
        }
        match self.rsync(&output) {
            full @ TransferError::NoSpace { .. } => Err(full),
            _ => Ok(output),
        }
    }

    /// rsync's own account. Only a full disk is told apart by its words: it has no exit code of its own.
    fn rsync(self, output: &Output) -> TransferError {
        let words = String::from_utf8_lossy(&output.stderr);
        if words.contains("No space left on device") || words.contains("Disk quota exceeded") {
            return self.no_space("its disk is full");
        }
        let code = output.status.code().map_or_else(|| "by a signal".to_owned(), |code| format!("with {code}"));
        self.unreachable(&format!("rsync ended {code}: {}", words.trim().replace('\n', "; ")))
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use decant_schema::migration::Generation;

    use super::*;
    use decant_schema::migration::{DiskNumber, LayerNumber};
    use std::os::unix::fs::PermissionsExt;
    use std::sync::atomic::{AtomicU64, Ordering};

    fn two_hosts(folder: &Path) -> (Rsync, Rsync, CopyOrder) {
        let host = |name: &str| HostFolder::new(folder.join(name));
        let peers = BTreeMap::from([("a".into(), host("a")), ("b".into(), host("b"))]);
        let order = CopyOrder {
            instance: "vm-1".into(),
            file: DiskFile::BASE,
            peer: "b".into(),
            generation: Generation(5),
            limit: None,
        };
        (Rsync::new(host("a"), peers.clone()), Rsync::new(host("b"), peers), order)
    }

    fn put(folder: &Path, content: &[u8]) -> PathBuf {
        let path = folder.join("a/instances/vm-1/base.qcow2");
        make_parent(&path).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    /// A program in rsync's place, that runs `script` with rsync's arguments.
    fn instead_of_rsync(folder: &Path, script: &str) -> PathBuf {
        let path = folder.join("instead");
        std::fs::write(&path, format!("#!/bin/sh\nfor last; do :; done\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    fn rsync_is_here() -> bool {
        let here = std::process::Command::new("rsync").arg("--version").output().is_ok();
        if !here {
            println!("skipped: rsync is not installed");
        }
        here
    }

    #[tokio::test]
    async fn a_file_arrives_whole_and_is_not_sent_twice() {
        if !rsync_is_here() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let (here, there, order) = two_hosts(folder.path());
        let from = put(folder.path(), &[7; 300_000]);
        File::options().write(true).open(&from).unwrap().set_len(5_000_000).unwrap();
        let seen = AtomicU64::new(0);
        let copied = here.copy(&order, &|bytes| seen.store(bytes, Ordering::Relaxed)).await.unwrap();
        assert_eq!(there.digest(&"vm-1".into(), DiskFile::BASE).await.unwrap(), copied.digest);
        assert!(copied.bytes >= 300_000 && seen.load(Ordering::Relaxed) == copied.bytes, "{copied:?}");
        let arrived = folder.path().join("b/instances/vm-1/base.qcow2").metadata().unwrap();
        assert!(arrived.len() == 5_000_000 && arrived.blocks() * 512 < 1_000_000, "the hole was filled: {arrived:?}");
        assert_eq!(here.copy(&order, &|_| ()).await.unwrap().bytes, 0);
    }

    #[tokio::test]
    async fn a_part_from_a_killed_copy_is_taken_up_and_a_changed_file_replaces_the_old() {
        if !rsync_is_here() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let (here, there, order) = two_hosts(folder.path());
        let content: Vec<u8> = (0..4_000_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        put(folder.path(), &content);
        let part = folder.path().join("b/instances/vm-1/base.qcow2.part");
        make_parent(&part).unwrap();
        std::fs::write(&part, &content[..3_000_000]).unwrap();
        let copied = here.copy(&order, &|_| ()).await.unwrap();
        assert!(copied.bytes < 2_000_000, "sent again what was there: {} bytes", copied.bytes);
        put(folder.path(), b"another");
        let again = here.copy(&order, &|_| ()).await.unwrap();
        assert_eq!(there.digest(&"vm-1".into(), DiskFile::BASE).await.unwrap(), again.digest);
    }

    #[tokio::test]
    async fn an_rsync_that_outlived_its_agent_is_ended_by_the_next_order() {
        if !rsync_is_here() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let (here, _, order) = two_hosts(folder.path());
        put(folder.path(), b"content");
        let path = here.here.copy(&order.instance).unwrap().sending_lock(order.file);
        let killed = CopyLock::try_take(&path).unwrap().unwrap();
        let mut orphan = std::process::Command::new("sleep").arg("600").stdin(killed.share().unwrap()).spawn().unwrap();
        drop(killed);
        here.copy(&order, &|_| ()).await.unwrap();
        assert!(!orphan.wait().unwrap().success());
    }

    #[tokio::test]
    async fn a_base_that_was_verified_is_not_read_again_and_one_that_changed_is() {
        if !rsync_is_here() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let (here, there, order) = two_hosts(folder.path());
        put(folder.path(), b"content");
        let sent = here.copy(&order, &|_| ()).await.unwrap().digest;
        let arrived = folder.path().join("b/instances/vm-1/base.qcow2");
        // A note that says something else shows who is asked.
        let note = arrived.with_file_name("base.qcow2.verified");
        let lie = Digest::of(&blake3::hash(b"lie"));
        let text = std::fs::read_to_string(&note).unwrap();
        std::fs::write(&note, text.replace(&sent.to_string(), &lie.to_string())).unwrap();
        assert_eq!(there.digest(&order.instance, order.file).await.unwrap(), lie);
        std::fs::write(&arrived, b"Content").unwrap();
        let changed = there.digest(&order.instance, order.file).await.unwrap();
        assert_eq!(changed, Digest::of(&blake3::hash(b"Content")));
    }

    #[tokio::test]
    async fn a_layer_that_was_sent_is_read_again_at_neither_end_unless_it_has_changed() {
        if !rsync_is_here() {
            return;
        }
        let folder = tempfile::tempdir().unwrap();
        let (here, there, order) = two_hosts(folder.path());
        let order = CopyOrder { file: DiskFile::Layer(DiskNumber::FIRST, LayerNumber::new(1).unwrap()), ..order };
        let from = put(folder.path(), b"").with_file_name("overlay.1.qcow2");
        std::fs::write(&from, b"content").unwrap();
        let sent = here.copy(&order, &|_| ()).await.unwrap();
        // Notes that say something else show who is asked.
        let lie = Digest::of(&blake3::hash(b"lie"));
        for host in ["a", "b"] {
            let note = folder.path().join(host).join("instances/vm-1/overlay.1.qcow2.verified");
            let text = std::fs::read_to_string(&note).unwrap();
            std::fs::write(&note, text.replace(&sent.digest.to_string(), &lie.to_string())).unwrap();
        }
        assert_eq!(here.copy(&order, &|_| ()).await.unwrap(), Copied { digest: lie.clone(), bytes: 0 });
        assert_eq!(there.digest(&order.instance, order.file).await.unwrap(), lie);
        std::fs::write(&from, b"Content").unwrap();
        assert_eq!(here.copy(&order, &|_| ()).await.unwrap().digest, Digest::of(&blake3::hash(b"Content")));
    }

    #[tokio::test]
    async fn a_probe_changes_nothing_and_says_when_the_link_is_down() {
        let folder = tempfile::tempdir().unwrap();
        let (here, _, order) = two_hosts(folder.path());
        put(folder.path(), b"content");
        let down = here.clone().with_program(instead_of_rsync(folder.path(), "exit 10"));
        let lost = down.probe(&order).await.unwrap_err();
        assert!(matches!(lost, TransferError::Gone { .. }) && !lost.is_transient(), "{lost}");
        let base = HostFolder::new(folder.path().join("b")).copy(&order.instance).unwrap().file(order.file);
        make_parent(&base).unwrap();
        assert!(down.probe(&order).await.unwrap_err().is_transient());
        if rsync_is_here() {
            here.probe(&order).await.unwrap();
            assert_eq!(std::fs::read_dir(base.parent().unwrap()).unwrap().count(), 0);
        }
    }

    #[tokio::test]
    async fn a_peer_that_obeyed_a_later_generation_is_not_written_to() {
        let folder = tempfile::tempdir().unwrap();
        put(folder.path(), b"stale");
        let (a, _, order) = two_hosts(folder.path());
        let peer = HostFolder::new(folder.path().join("b")).copy(&order.instance).unwrap();
        crate::layout::write_durably(&peer.fence(), b"6\n").unwrap();
        let refused = a.copy(&order, &|_| {}).await.unwrap_err();
        assert!(matches!(refused, TransferError::Fenced { held: Generation(6), .. }), "{refused}");
        assert!(!peer.path().exists());
    }

    #[tokio::test]
    async fn an_instance_that_is_at_the_peer_already_is_not_written_over() {
        let folder = tempfile::tempdir().unwrap();
        put(folder.path(), b"the same content");
        let (a, _, order) = two_hosts(folder.path());
        let peer = HostFolder::new(folder.path().join("b")).copy(&order.instance).unwrap();
        crate::layout::write_durably(&peer.file(DiskFile::BASE), b"the same content").unwrap();
        crate::layout::write_durably(&peer.join("definition.json"), b"{}").unwrap();
        let refused = a.copy(&order, &|_| {}).await.unwrap_err();
        assert!(matches!(refused, TransferError::Occupied { .. }) && !refused.is_transient(), "{refused}");
    }

    #[tokio::test]
    async fn a_flipped_byte_never_gets_the_name() {
        let folder = tempfile::tempdir().unwrap();
        let (here, there, order) = two_hosts(folder.path());
        put(folder.path(), b"what the guest wrote");
        let flipped = instead_of_rsync(folder.path(), "printf 'what the guest wrotf' > \"$last\"");
        let error = here.clone().with_program(flipped).copy(&order, &|_| ()).await.unwrap_err();
        assert!(matches!(error, TransferError::Harmed { .. }), "{error}");
        assert!(matches!(there.digest(&"vm-1".into(), DiskFile::BASE).await, Err(TransferError::Absent { .. })));
        if rsync_is_here() {
            here.copy(&order, &|_| ()).await.unwrap();
        }
    }

    #[tokio::test]
    async fn what_is_missing_or_full_is_said() {
        let folder = tempfile::tempdir().unwrap();
        let (here, _, order) = two_hosts(folder.path());
        assert!(matches!(here.copy(&order, &|_| ()).await, Err(TransferError::Absent { .. })));
        put(folder.path(), b"content");
        let missing = here.clone().with_program("/nowhere/rsync").copy(&order, &|_| ()).await.unwrap_err();
        assert!(missing.to_string().contains("install the package rsync"), "{missing}");
        let words = "echo 'rsync: write failed: No space left on device (28)' >&2; exit 11";
        let full = here.clone().with_program(instead_of_rsync(folder.path(), words)).copy(&order, &|_| ()).await;
        assert!(matches!(full, Err(TransferError::NoSpace { .. })), "{full:?}");
        let stranger = CopyOrder { peer: "c".into(), ..order };
        assert!(here.copy(&stranger, &|_| ()).await.unwrap_err().is_transient());
    }

    #[test]
    fn a_limit_is_never_rounded_to_none() {
        use decant_schema::units::mbps;
        assert_eq!(kib_per_second(mbps(400)), 48_828);
        assert_eq!(kib_per_second(mbps(0)), 1);
    }
}
