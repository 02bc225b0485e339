//! The QEMU driver and rsync with real guests, every call made twice, watched by the oracle.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use decant_executor::hypervisor::qemu::{Qemu, Tools};
use decant_executor::hypervisor::{
    Copy, Discard, Disk, DiskSize, GuestSize, GuestSpec, Health, Hypervisor, HypervisorError,
};
use decant_executor::lab::ledger::{Entry, Ledger};
use decant_executor::lab::oracle::Finding;
use decant_executor::lab::world::{Lab, LabError};
use decant_executor::layout::HostFolder;
use decant_executor::transfer::{CopyOrder, Transfer};
use decant_schema::id::{HostName, InstanceId};
use decant_schema::migration::{DiskFile, Generation};
use decant_schema::units::mib;
use tokio::time::sleep;

const SMALL: GuestSize = GuestSize { memory: mib(8), vcpus: 1 };
const LARGE: GuestSize = GuestSize { memory: mib(16), vcpus: 2 };

/// Two hosts and one guest that writes; all its processes end with it.
struct World {
    lab: Lab,
    ledger: Ledger,
    a: HostName,
    b: HostName,
    vm: InstanceId,
    _folder: tempfile::TempDir,
}

impl Drop for World {
    fn drop(&mut self) {
        self.lab.kill_all();
    }
}

impl World {
    /// `None`, and a word about it, where the programs for real guests are not installed.
    async fn make() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let lab = match Lab::open(folder.path(), &["a", "b"]) {
            Ok(lab) => lab,
            Err(error @ LabError::Tool { .. }) => {
                println!("skipped: {error}");
                return None;
            }
            Err(error) => panic!("{error}"),
        };
        let ledger = lab.ledger().unwrap();
        let world = Self { ledger, a: "a".into(), b: "b".into(), vm: "vm-1".into(), lab, _folder: folder };
        world.lab.install(&world.a, &world.vm, SMALL, 1 << 20).await.unwrap();
        Some(world)
    }

    fn on(&self, host: &HostName) -> Qemu {
        self.lab.driver(host)
    }

    /// Waits until the guest has acknowledged this many more records, and says how many there are on `host`.
    async fn writes(&mut self, host: &HostName, more: usize) -> usize {
        let on_host =
            |ledger: &Ledger| ledger.acknowledgements(&"vm-1".into()).iter().filter(|ack| ack.host == *host).count();
        self.ledger.poll().unwrap();
        let wanted = on_host(&self.ledger) + more;
        for _ in 0..3000 {
            self.ledger.poll().unwrap();
            if on_host(&self.ledger) >= wanted {
                return on_host(&self.ledger);
            }
            sleep(Duration::from_millis(10)).await;
        }
        panic!("the guest on {host} does not write: {:?}", self.ledger.entries().last());
    }

    /// Waits until a guest has said a line that begins so.
    async fn hears(&mut self, beginning: &str) {
        for _ in 0..3000 {
            self.ledger.poll().unwrap();
            if self.ledger.entries().iter().any(|entry| entry.line.starts_with(beginning)) {
                return;
            }
            sleep(Duration::from_millis(10)).await;
        }
        panic!("no guest says `{beginning}`: {:?}", self.ledger.entries().last());
    }

    async fn send(&self, file: DiskFile) {
        let order = CopyOrder {
            instance: self.vm.clone(),
            file,
            peer: self.b.clone(),
            generation: Generation(u64::MAX),
            limit: None,
        };
        for _ in 0..2 {
            let copied = self.lab.transfer(&self.a).copy(&order, &|_| ()).await.unwrap();
            assert_eq!(self.lab.transfer(&self.b).digest(&self.vm, file).await.unwrap(), copied.digest);
        }
    }

    async fn arrive(&self, size: GuestSize) {
        let guest = GuestSpec { instance: self.vm.clone(), size, disk: Disk::Local, built_by: None };
        self.on(&self.b).create(&guest).await.unwrap();
        self.on(&self.b).create(&guest).await.unwrap();
    }

    fn judge(&mut self, host: &HostName) -> Vec<Finding> {
        self.ledger.poll().unwrap();
        let verdict = self.lab.judge(&self.ledger, host, &self.vm).unwrap();
        println!("{verdict:?}");
        verdict.findings
    }

    /// The value of a field in the last boot message on `host`.
    fn booted_with(&self, host: &HostName, field: &str) -> String {
        let boot = |entry: &&Entry| entry.host == *host && entry.line.starts_with("boot ");
        self.ledger.entries().iter().rfind(boot).unwrap().field(field).unwrap().to_owned()
    }
}

/// Makes a call twice: as a crash after it, and its repetition, would.
macro_rules! twice {
    ($call:expr) => {{
        $call.await.unwrap();
        $call.await.unwrap();
    }};
}

#[tokio::test]
async fn a_cold_move_keeps_every_write_and_the_guest_sees_its_new_size() {
    let Some(mut world) = World::make().await else { return };
    let (a, b, vm) = (world.a.clone(), world.b.clone(), world.vm.clone());
    twice!(world.on(&a).start(&vm));
    world.writes(&a, 10).await;
    twice!(world.on(&a).snapshot(&vm, Generation(1)));
    world.writes(&a, 10).await;
    world.send(DiskFile::BASE).await;
    twice!(world.on(&a).shutdown(&vm));
    world.send(DiskFile::OVERLAY).await;
    world.arrive(LARGE).await;
    twice!(world.on(&b).start(&vm));
    world.writes(&b, 10).await;
    assert_eq!((world.booted_with(&b, "memory_mb"), world.booted_with(&b, "vcpus")), ("16".into(), "2".into()));
    twice!(world.on(&a).destroy(&vm, &Disk::Local, Discard::Everything));
    assert_eq!(world.on(&a).observe(&vm).await.unwrap().copy, Copy::Nothing);
    // The next migration's snapshot merges the overlay that arrived, under the running guest.
    twice!(world.on(&b).snapshot(&vm, Generation(5)));
    world.writes(&b, 10).await;
    twice!(world.on(&b).merge_back(&vm));
    world.writes(&b, 10).await;
    world.on(&b).shutdown(&vm).await.unwrap();
    assert_eq!(world.judge(&b), []);
    assert_eq!(world.lab.processes(), []);
}

#[tokio::test]
async fn a_suspended_guest_goes_on_elsewhere_with_its_memory_and_its_uptime() {
    let Some(mut world) = World::make().await else { return };
    let (a, b, vm) = (world.a.clone(), world.b.clone(), world.vm.clone());
    world.on(&a).start(&vm).await.unwrap();
    world.on(&a).snapshot(&vm, Generation(1)).await.unwrap();
    world.writes(&a, 20).await;
    world.send(DiskFile::BASE).await;
    twice!(world.on(&a).suspend(&vm));
    world.send(DiskFile::OVERLAY).await;
    world.send(DiskFile::Memory).await;
    world.arrive(SMALL).await;
    twice!(world.on(&b).start(&vm));
    world.writes(&b, 20).await;
    let acks = world.ledger.acknowledgements(&vm);
    let (first, last) =
        (acks.iter().find(|ack| ack.host == b).unwrap(), acks.iter().rfind(|ack| ack.host == a).unwrap());
    assert_eq!((first.epoch, first.sequence), (1, last.sequence + 1), "the guest booted again");
    assert!(first.uptime_ms > last.uptime_ms, "its uptime went back");
    let held = world.on(&b).observe(&vm).await.unwrap().copy;
    assert!(matches!(held, Copy::Running(facts) if !facts.memory), "{held:?}: a memory must be used once");
    world.on(&b).shutdown(&vm).await.unwrap();
    assert_eq!(world.judge(&b), []);
}

#[tokio::test]
async fn a_revert_keeps_the_discarded_writes_aside_and_the_source_goes_on_with_its_memory() {
    let Some(mut world) = World::make().await else { return };
    let (a, b, vm) = (world.a.clone(), world.b.clone(), world.vm.clone());
    world.on(&a).start(&vm).await.unwrap();
    world.on(&a).snapshot(&vm, Generation(1)).await.unwrap();
    world.writes(&a, 10).await;
    world.send(DiskFile::BASE).await;
    world.on(&a).suspend(&vm).await.unwrap();
    world.send(DiskFile::OVERLAY).await;
    world.send(DiskFile::Memory).await;
    world.arrive(SMALL).await;
    world.on(&b).start(&vm).await.unwrap();
    world.writes(&b, 10).await;
    twice!(world.on(&b).destroy(&vm, &Disk::Local, Discard::KeepOverlay));
    twice!(world.on(&a).merge_back(&vm));
    twice!(world.on(&a).start(&vm));
    world.writes(&a, 10).await;
    world.on(&a).shutdown(&vm).await.unwrap();
    assert_eq!(world.judge(&a), []);
    // One of the ten may have reached the disk before the guest was suspended, and been acknowledged on the target.
    assert!(world.lab.judge(&world.ledger, &a, &vm).unwrap().set_aside >= 9);
}

#[tokio::test]
async fn a_killed_guest_starts_on_the_disk_it_knew() {
    let Some(mut world) = World::make().await else { return };
    let (a, vm) = (world.a.clone(), world.vm.clone());
    for generation in 1..4 {
        world.on(&a).start(&vm).await.unwrap();
        world.writes(&a, 5).await;
        world.on(&a).snapshot(&vm, Generation(generation)).await.unwrap();
        world.writes(&a, 5).await;
        world.lab.kill_all();
        world.on(&a).start(&vm).await.unwrap();
        world.writes(&a, 5).await;
        world.on(&a).merge_back(&vm).await.unwrap();
        world.writes(&a, 5).await;
        world.lab.kill_all();
    }
    // A killed QEMU has no command line any more a little before it lets go of the disk: this look waits for that.
    let held = world.on(&a).observe(&vm).await.unwrap().copy;
    assert!(matches!(held, Copy::Stopped(_)), "{held:?}");
    assert_eq!(world.judge(&a), []);
}

#[tokio::test]
async fn what_a_guest_writes_is_frozen_layer_by_layer_and_sent_while_it_runs() {
    let Some(mut world) = World::make().await else { return };
    let (a, b, vm) = (world.a.clone(), world.b.clone(), world.vm.clone());
    world.on(&a).start(&vm).await.unwrap();
    world.writes(&a, 5).await;
    twice!(world.on(&a).snapshot(&vm, Generation(1)));
    assert_eq!(world.on(&a).frozen(&vm).await.unwrap(), []);
    world.send(DiskFile::BASE).await;
    for layers in 1..=3 {
        world.writes(&a, 5).await;
        world.on(&a).freeze_more(&vm, 1).await.unwrap();
        let frozen = world.on(&a).frozen(&vm).await.unwrap();
        assert_eq!(frozen.len(), layers, "{frozen:?}");
        world.send(frozen[layers - 1]).await;
    }
    world.on(&a).freeze_more(&vm, 1 << 40).await.unwrap();
    let frozen = world.on(&a).frozen(&vm).await.unwrap();
    assert_eq!(frozen.len(), 3, "so little is left to the end");
    world.writes(&a, 5).await;
    twice!(world.on(&a).suspend(&vm));
    world.send(DiskFile::OVERLAY).await;
    world.send(DiskFile::Memory).await;
    assert_eq!(world.on(&b).frozen(&vm).await.unwrap(), frozen);
    world.arrive(SMALL).await;
    twice!(world.on(&b).start(&vm));
    world.writes(&b, 5).await;
    world.on(&b).shutdown(&vm).await.unwrap();
    assert_eq!(world.judge(&b), []);
    world.on(&b).start(&vm).await.unwrap();
    world.writes(&b, 5).await;
    twice!(world.on(&b).merge_back(&vm));
    world.writes(&b, 5).await;
    assert_eq!(world.on(&b).frozen(&vm).await.unwrap(), []);
    let there = world.lab.folder(&b).copy(&vm).unwrap();
    assert!(frozen.iter().chain(&[DiskFile::OVERLAY]).all(|layer| !there.file(*layer).exists()));
    world.on(&b).shutdown(&vm).await.unwrap();
    assert_eq!(world.judge(&b), []);
}

#[tokio::test]
async fn frozen_layers_are_merged_with_the_overlay_be_the_guest_up_or_down_and_lost_ones_are_missed() {
    let Some(mut world) = World::make().await else { return };
    let (a, vm) = (world.a.clone(), world.vm.clone());
    world.on(&a).start(&vm).await.unwrap();
    for (generation, down) in [(1, false), (2, true), (3, false)] {
        world.on(&a).snapshot(&vm, Generation(generation)).await.unwrap();
        for _ in 0..2 {
            world.writes(&a, 5).await;
            world.on(&a).freeze_more(&vm, 1).await.unwrap();
        }
        world.writes(&a, 5).await;
        if down {
            world.on(&a).shutdown(&vm).await.unwrap();
            let copy = world.lab.folder(&a).copy(&vm).unwrap();
            let lost = copy.file(world.on(&a).frozen(&vm).await.unwrap()[1]);
            std::fs::rename(&lost, copy.join("lost")).unwrap();
            let missed = world.on(&a).start(&vm).await.unwrap_err().to_string();
            assert!(missed.contains("its overlay was written over overlay.2.qcow2"), "{missed}");
            let health = world.on(&a).examine(&vm, None).await.unwrap();
            assert!(health.disk.is_some_and(|lacks| lacks.contains("overlay.2.qcow2")), "it passes for whole");
            std::fs::rename(copy.join("lost"), &lost).unwrap();
        }
        twice!(world.on(&a).merge_back(&vm));
        assert_eq!(world.on(&a).frozen(&vm).await.unwrap(), []);
        world.on(&a).start(&vm).await.unwrap();
        world.writes(&a, 5).await;
    }
    world.on(&a).shutdown(&vm).await.unwrap();
    assert_eq!(world.judge(&a), []);
}

#[tokio::test]
async fn a_layer_whose_freezing_was_cut_loses_no_write_whoever_is_killed_then() {
    let Some(mut world) = World::make().await else { return };
    let (a, vm) = (world.a.clone(), world.vm.clone());
    for (generation, guest_is_killed) in [(1, true), (2, false)] {
        world.on(&a).start(&vm).await.unwrap();
        world.on(&a).snapshot(&vm, Generation(generation)).await.unwrap();
        world.writes(&a, 5).await;
        // All that is done before QEMU is told.
        let copy = world.lab.folder(&a).copy(&vm).unwrap();
        let mut create = std::process::Command::new("qemu-img");
        create.args(["create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", "overlay.1.qcow2", "overlay.2.qcow2"]);
        assert!(create.current_dir(copy.path()).status().unwrap().success());
        assert_eq!(world.on(&a).frozen(&vm).await.unwrap(), []);
        std::fs::hard_link(copy.join("overlay.2.qcow2"), copy.join("second")).unwrap();
        std::fs::rename(copy.join("second"), copy.file(DiskFile::OVERLAY)).unwrap();
        world.writes(&a, 5).await;
        if guest_is_killed {
            world.lab.kill_all();
            world.on(&a).start(&vm).await.unwrap();
        } else {
            world.on(&a).freeze_more(&vm, 1 << 40).await.unwrap();
        }
        assert_eq!(world.on(&a).frozen(&vm).await.unwrap().len(), 1);
        world.writes(&a, 5).await;
        world.lab.kill_all();
        world.on(&a).start(&vm).await.unwrap();
        world.writes(&a, 5).await;
        world.on(&a).merge_back(&vm).await.unwrap();
        world.writes(&a, 5).await;
        world.on(&a).shutdown(&vm).await.unwrap();
        assert_eq!(world.judge(&a), []);
    }
}

#[tokio::test]
async fn an_older_order_is_refused_and_the_fence_outlives_the_copy() {
    let Some(world) = World::make().await else { return };
    let (driver, vm) = (world.on(&world.a), world.vm.clone());
    twice!(async { driver.fence(&vm, Generation(7)).await.map(drop) });
    driver.destroy(&vm, &Disk::Local, Discard::Everything).await.unwrap();
    assert!(matches!(driver.fence(&vm, Generation(6)).await, Err(HypervisorError::Fenced { .. })));
    assert_eq!(driver.observe(&vm).await.unwrap().fence, Generation(7));
}

#[tokio::test]
async fn a_missing_program_is_named_with_its_package() {
    let Some(world) = World::make().await else { return };
    let folder: HostFolder = world.lab.folder(&world.a);
    let driver = Qemu::new(folder, Tools { qemu: "/nowhere/qemu".into(), ..Tools::default() });
    let error = driver.start(&world.vm).await.unwrap_err();
    assert!(error.to_string().contains("install the package qemu-system-x86"), "{error}");
    let held = world.on(&world.a).observe(&world.vm).await.unwrap().copy;
    assert!(matches!(held, Copy::Stopped(_)), "{held:?}");
}

#[tokio::test]
async fn the_oracle_catches_a_forgotten_overlay() {
    let Some(mut world) = World::make().await else { return };
    let (a, b, vm) = (world.a.clone(), world.b.clone(), world.vm.clone());
    world.on(&a).start(&vm).await.unwrap();
    world.on(&a).snapshot(&vm, Generation(1)).await.unwrap();
    world.writes(&a, 10).await;
    world.send(DiskFile::BASE).await;
    world.on(&a).shutdown(&vm).await.unwrap();
    world.arrive(SMALL).await;
    world.on(&b).start(&vm).await.unwrap();
    world.writes(&b, 5).await;
    world.on(&b).shutdown(&vm).await.unwrap();
    assert!(!world.judge(&b).is_empty());
}

#[tokio::test]
async fn the_oracle_catches_a_memory_newer_than_its_disk() {
    let Some(mut world) = World::make().await else { return };
    let (a, vm) = (world.a.clone(), world.vm.clone());
    let base = world.lab.folder(&a).copy(&vm).unwrap().file(DiskFile::BASE);
    let older = base.with_file_name("older");
    world.on(&a).start(&vm).await.unwrap();
    world.writes(&a, 5).await;
    world.on(&a).suspend(&vm).await.unwrap();
    std::fs::copy(&base, &older).unwrap();
    world.on(&a).start(&vm).await.unwrap();
    world.writes(&a, 10).await;
    world.on(&a).suspend(&vm).await.unwrap();
    std::fs::rename(&older, &base).unwrap();
    world.on(&a).start(&vm).await.unwrap();
    world.hears("broken ").await;
    world.on(&a).shutdown(&vm).await.unwrap();
    assert!(world.judge(&a).iter().any(|finding| matches!(finding, Finding::Lost { .. })));
}

#[tokio::test]
async fn the_oracle_catches_a_last_copy_that_is_gone() {
    let Some(mut world) = World::make().await else { return };
    let (a, vm) = (world.a.clone(), world.vm.clone());
    world.on(&a).start(&vm).await.unwrap();
    world.writes(&a, 5).await;
    world.on(&a).shutdown(&vm).await.unwrap();
    assert_eq!(world.judge(&a), []);
    world.on(&a).destroy(&vm, &Disk::Local, Discard::Everything).await.unwrap();
    assert_eq!(world.judge(&a), [Finding::NoDisk { host: a }]);
}

#[tokio::test]
async fn the_oracle_catches_two_copies_at_once() {
    let Some(mut world) = World::make().await else { return };
    let (a, b, vm) = (world.a.clone(), world.b.clone(), world.vm.clone());
    world.on(&a).start(&vm).await.unwrap();
    world.on(&a).snapshot(&vm, Generation(1)).await.unwrap();
    world.writes(&a, 5).await;
    world.on(&a).shutdown(&vm).await.unwrap();
    world.send(DiskFile::BASE).await;
    world.send(DiskFile::OVERLAY).await;
    world.arrive(SMALL).await;
    world.on(&b).start(&vm).await.unwrap();
    world.on(&a).start(&vm).await.unwrap();
    world.writes(&a, 5).await;
    world.writes(&b, 5).await;
    assert_eq!(world.lab.processes().len(), 2);
    world.on(&a).shutdown(&vm).await.unwrap();
    world.on(&b).shutdown(&vm).await.unwrap();
    assert!(world.judge(&b).iter().any(|finding| matches!(finding, Finding::TwoCopies { .. })));
}

/// A QEMU on the instance's disk that somebody started by hand; killed when dropped.
struct ByHand(std::process::Child);

impl ByHand {
    /// Starts it and waits until it has locked the disk.
    async fn on(image: &std::path::Path) -> Self {
        let drive = format!("driver=qcow2,node-name=disk,file.driver=file,file.filename={}", image.display());
        let mut command = std::process::Command::new("qemu-system-x86_64");
        command.args(["-nodefaults", "-display", "none", "-S", "-machine", "pc,accel=tcg", "-blockdev", &drive]);
        command.args(["-device", "virtio-blk-pci,drive=disk"]);
        let started = Self(command.spawn().unwrap());
        // As the kernel shows it: a tool that tried the image would hold it for a moment, and QEMU would give up.
        let inode = std::os::unix::fs::MetadataExt::ino(&image.metadata().unwrap());
        let is_locked = || std::fs::read_to_string("/proc/locks").unwrap().contains(&format!(":{inode} "));
        for _ in 0..3000 {
            if is_locked() {
                return started;
            }
            sleep(Duration::from_millis(10)).await;
        }
        panic!("the QEMU started by hand does not lock {}", image.display());
    }
}

impl Drop for ByHand {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[tokio::test]
async fn a_disk_that_somebody_else_s_guest_uses_is_taken_for_nobody_s() {
    let Some(world) = World::make().await else { return };
    let (a, vm) = (world.a.clone(), world.vm.clone());
    let base = world.lab.folder(&a).copy(&vm).unwrap().file(DiskFile::BASE);
    let foreign = ByHand::on(&base).await;
    let driver = world.on(&a);
    let refused = [
        driver.observe(&vm).await.map(drop),
        driver.start(&vm).await,
        driver.snapshot(&vm, Generation(1)).await,
        driver.shutdown(&vm).await,
        driver.destroy(&vm, &Disk::Local, Discard::Everything).await,
    ];
    for refused in refused {
        let Err(HypervisorError::Occupied { detail, .. }) = refused else { panic!("{refused:?}") };
        let named = format!("base.qcow2: qemu-system-x86 (process {})", foreign.0.id());
        assert!(detail.contains(&named), "{detail}");
    }
    assert!(base.exists());
    assert_eq!(world.lab.processes(), [], "a second guest was started");
    drop(foreign);
    driver.start(&vm).await.unwrap();
}

/// Runs `qemu-img` in the folder of the copy.
fn qemu_img(folder: &std::path::Path, arguments: &[&str]) {
    let output = std::process::Command::new("qemu-img").current_dir(folder).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn a_disk_that_is_not_all_in_its_file_is_refused_by_name_before_it_is_touched() {
    let Some(world) = World::make().await else { return };
    let (a, vm) = (world.a.clone(), world.vm.clone());
    let driver = world.on(&a);
    let copy = world.lab.folder(&a).copy(&vm).unwrap();
    let (folder, base) = (copy.path(), copy.file(DiskFile::BASE));
    let whole = folder.join("whole");
    std::fs::rename(&base, &whole).unwrap();
    let kinds: [(&str, &[&[&str]]); 4] = [
        ("a backing file, whole", &[&["create", "-q", "-f", "qcow2", "-b", "whole", "-F", "qcow2", "base.qcow2"]]),
        (
            "in another file, rest.raw",
            &[&["create", "-q", "-f", "qcow2", "-o", "data_file=rest.raw", "base.qcow2", "1M"]],
        ),
        (
            "encrypted",
            &[&[
                "create",
                "-q",
                "-f",
                "qcow2",
                "--object",
                "secret,id=key,data=once",
                "-o",
                "encrypt.format=luks,encrypt.key-secret=key,encrypt.iter-time=10",
                "base.qcow2",
                "1M",
            ]],
        ),
        (
            "internal snapshots (before)",
            &[&["create", "-q", "-f", "qcow2", "base.qcow2", "1M"], &["snapshot", "-c", "before", "base.qcow2"]],
        ),
    ];
    for (named, made) in kinds {
        made.iter().for_each(|arguments| qemu_img(&folder, arguments));
        let guest = GuestSpec { instance: vm.clone(), size: SMALL, disk: Disk::Local, built_by: None };
        for refused in [driver.snapshot(&vm, Generation(1)).await, driver.create(&guest).await] {
            let Err(HypervisorError::Uncarried { detail, .. }) = refused else { panic!("{named}: {refused:?}") };
            assert!(detail.contains(named), "{detail}");
        }
        assert!(!copy.file(DiskFile::OVERLAY).exists(), "{named}: it was frozen all the same");
        std::fs::remove_file(&base).unwrap();
    }
    std::os::unix::fs::symlink("whole", &base).unwrap();
    let Err(HypervisorError::Uncarried { detail, .. }) = driver.snapshot(&vm, Generation(1)).await else { panic!() };
    assert!(detail.contains("base.qcow2 is a symbolic link"), "{detail}");
    std::fs::rename(&whole, &base).unwrap();
    driver.snapshot(&vm, Generation(1)).await.unwrap();
}

/// The size of the disk that the running guest sees (bytes), as its QEMU says.
fn disk_seen(folder: &std::path::Path) -> u64 {
    use std::io::{BufRead, BufReader, Write};
    // A socket's path is short; the folder's may not be.
    let near = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(folder, near.path().join("f")).unwrap();
    let mut socket = std::os::unix::net::UnixStream::connect(near.path().join("f/qmp.sock")).unwrap();
    socket.write_all(b"{\"execute\":\"qmp_capabilities\"}{\"execute\":\"query-block\"}").unwrap();
    for line in BufReader::new(socket).lines() {
        let answer: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
        if let Some(disks) = answer["return"].as_array() {
            return disks[0]["inserted"]["image"]["virtual-size"].as_u64().unwrap();
        }
    }
    panic!("QEMU hung up");
}

#[tokio::test]
async fn a_disk_that_is_enlarged_on_the_way_is_seen_by_the_guest_and_goes_into_its_base() {
    let Some(mut world) = World::make().await else { return };
    let (a, b, vm) = (world.a.clone(), world.b.clone(), world.vm.clone());
    let (at_a, at_b) = (world.lab.folder(&a).copy(&vm).unwrap(), world.lab.folder(&b).copy(&vm).unwrap());
    world.on(&a).start(&vm).await.unwrap();
    let before = disk_seen(&at_a.path());
    let larger = before + (1 << 30);
    world.on(&a).snapshot(&vm, Generation(1)).await.unwrap();
    world.writes(&a, 5).await;
    world.send(DiskFile::BASE).await;
    world.on(&a).shutdown(&vm).await.unwrap();
    world.send(DiskFile::OVERLAY).await;
    world.arrive(LARGE).await;
    twice!(world.on(&b).size_disk(&vm, Generation(1), DiskSize::AtLeast(larger)));
    world.on(&b).start(&vm).await.unwrap();
    world.writes(&b, 5).await;
    assert_eq!(disk_seen(&at_b.path()), larger);
    // The next snapshot merges the larger overlay into the smaller base, under the running guest.
    twice!(world.on(&b).snapshot(&vm, Generation(5)));
    world.writes(&b, 5).await;
    twice!(world.on(&b).merge_back(&vm));
    assert_eq!(disk_seen(&at_b.path()), larger);
    world.on(&b).shutdown(&vm).await.unwrap();
    assert_eq!(world.judge(&b), []);
    // The source, had it been reverted, is as it was.
    world.on(&a).start(&vm).await.unwrap();
    assert_eq!(disk_seen(&at_a.path()), before);
}

#[tokio::test]
async fn a_disk_that_was_enlarged_in_place_gets_its_size_back_unless_the_guest_has_written_there() {
    let Some(mut world) = World::make().await else { return };
    let (a, vm) = (world.a.clone(), world.vm.clone());
    let copy = world.lab.folder(&a).copy(&vm).unwrap();
    world.on(&a).start(&vm).await.unwrap();
    world.writes(&a, 5).await;
    let before = disk_seen(&copy.path());
    world.on(&a).shutdown(&vm).await.unwrap();
    let driver = world.on(&a);
    let larger = before + (64 << 20);
    twice!(driver.size_disk(&vm, Generation(1), DiskSize::AtLeast(larger)));
    twice!(driver.size_disk(&vm, Generation(2), DiskSize::AsBefore));
    driver.start(&vm).await.unwrap();
    // Up, so that it hears its power button.
    world.writes(&a, 1).await;
    assert_eq!(disk_seen(&copy.path()), larger, "another migration's undo took it back");
    driver.shutdown(&vm).await.unwrap();
    twice!(driver.size_disk(&vm, Generation(1), DiskSize::AsBefore));
    driver.start(&vm).await.unwrap();
    world.writes(&a, 1).await;
    assert_eq!(disk_seen(&copy.path()), before);
    driver.shutdown(&vm).await.unwrap();
    driver.size_disk(&vm, Generation(3), DiskSize::AtLeast(larger)).await.unwrap();
    let written = format!("write -P 7 {} 65536", before + (1 << 20));
    let output = std::process::Command::new("qemu-io")
        .args(["-f", "qcow2", "-c", &written])
        .arg(copy.file(DiskFile::BASE))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    driver.size_disk(&vm, Generation(3), DiskSize::AsBefore).await.unwrap();
    driver.start(&vm).await.unwrap();
    world.writes(&a, 1).await;
    assert_eq!(disk_seen(&copy.path()), larger, "what was written there is gone");
    driver.shutdown(&vm).await.unwrap();
    assert_eq!(world.judge(&a), []);
}

#[tokio::test]
async fn a_start_for_a_migration_is_on_record_though_the_copy_is_gone_and_a_failed_one_is_not() {
    let Some(world) = World::make().await else { return };
    let (a, vm) = (world.a.clone(), world.vm.clone());
    let executed = async || world.on(&a).observe(&vm).await.unwrap().executed;
    let without_qemu = Qemu::new(world.lab.folder(&a), Tools { qemu: "/nowhere/qemu".into(), ..Tools::default() });
    without_qemu.start_marked(&vm, Generation(7)).await.unwrap_err();
    assert_eq!(executed().await, Generation(0), "no instruction was executed");
    twice!(world.on(&a).start_marked(&vm, Generation(7)));
    assert_eq!(executed().await, Generation(7));
    world.on(&a).destroy(&vm, &Disk::Local, Discard::Everything).await.unwrap();
    assert_eq!(executed().await, Generation(7));
}

#[tokio::test]
async fn what_is_wrong_with_a_copy_is_found_also_under_a_guest_that_runs() {
    let Some(mut world) = World::make().await else { return };
    let (a, vm) = (world.a.clone(), world.vm.clone());
    let copy = world.lab.folder(&a).copy(&vm).unwrap();
    let examine = async |world: &World| world.on(&a).examine(&vm, None).await.unwrap();
    assert_eq!(examine(&world).await.guest.as_deref(), Some("it is down"));
    world.on(&a).start(&vm).await.unwrap();
    world.on(&a).snapshot(&vm, Generation(1)).await.unwrap();
    world.writes(&a, 5).await;
    assert_eq!(examine(&world).await, Health::default());
    let aside = copy.path().join("aside");
    std::fs::rename(copy.file(DiskFile::BASE), &aside).unwrap();
    assert_eq!(examine(&world).await.disk.as_deref(), Some("its base is not there"));
    std::fs::write(copy.file(DiskFile::BASE), b"no image").unwrap();
    assert!(examine(&world).await.disk.is_some(), "the chain does not open");
    std::fs::rename(&aside, copy.file(DiskFile::BASE)).unwrap();
    assert_eq!(examine(&world).await, Health::default());
    // Removed by name, it lives on in QEMU only: the copy is not as it arrived.
    std::fs::remove_file(copy.file(DiskFile::OVERLAY)).unwrap();
    let Copy::Running(facts) = world.on(&a).observe(&vm).await.unwrap().copy else { panic!("it runs") };
    assert!(!facts.frozen);
}
