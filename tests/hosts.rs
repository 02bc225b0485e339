//! Hosts and guests by the program itself: what is added, started, taken for somebody else's, and started again.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use decant_executor::lab::payload;
use decant_executor::tool;
use rustix::process::{Pid, Signal, kill_process, kill_process_group, test_kill_process};
use tempfile::TempDir;

/// How long a program on a busy machine may take to end or to begin.
const PATIENCE: Duration = Duration::from_secs(60);

/// A folder with a store and two hosts. Dropped, it ends every QEMU below it.
struct Site(TempDir);

impl Drop for Site {
    fn drop(&mut self) {
        for (id, _) in self.processes() {
            let _gone = kill_process(id, Signal::KILL);
        }
    }
}

impl Site {
    /// None, and a word about it, where real guests cannot be had.
    fn make() -> Option<Self> {
        if let Err(missing) = tool::are_here() {
            println!("skipped: failed to {missing}");
            return None;
        }
        if !payload::is_built() {
            println!("skipped: the lab's guest was not built");
            return None;
        }
        let site = Self(tempfile::tempdir().unwrap());
        site.ask(&["host", "add", "oak", "elm", "--vcpus", "8", "--memory", "512", "--disk", "16", "--hosts-in", "."]);
        for host in ["oak", "elm"] {
            std::fs::create_dir_all(site.path(host).join("kernels")).unwrap();
            payload::write_to(&site.path(host).join("kernels/lab")).unwrap();
        }
        site.ask(&["fleet", "flavor", "small", "--vcpus", "1", "--memory", "16"]);
        let create = ["create", "-q", "-f", "qcow2", "disk.qcow2", "64M"];
        assert!(run_in(Command::new("qemu-img").args(create), site.0.path()).0);
        Some(site)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn decant(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_decant"));
        command.args(words).current_dir(self.0.path()).stdin(Stdio::null());
        command.env("DECANT_STORE", self.path("store.db")).env("XDG_CONFIG_HOME", self.0.path());
        command.env("DECANT_ACCELERATOR", "tcg").env("COLUMNS", "200");
        command
    }

    /// Runs a command that is to succeed; all it said.
    fn ask(&self, words: &[&str]) -> String {
        let (code, said) = self.try_to(words);
        assert_eq!(code, Some(0), "{words:?}: {said}");
        said
    }

    /// Runs a command; its exit code and all it said.
    fn try_to(&self, words: &[&str]) -> (Option<i32>, String) {
        let output = self.decant(words).output().unwrap();
        let said = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
        (output.status.code(), said.concat())
    }

    fn define(&self, guest: &str, more: &[&str]) {
        let words = [
            "guest",
            "define",
            guest,
            "--host",
            "oak",
            "--flavor",
            "small",
            "--image",
            "disk.qcow2",
            "--kernel",
            "lab",
        ];
        self.ask(&[&words[..], more].concat());
    }

    fn copy(&self, host: &str, guest: &str) -> PathBuf {
        self.path(host).join("instances").join(guest)
    }

    /// The process of a guest.
    fn qemu(&self, host: &str, guest: &str) -> Pid {
        let text = std::fs::read_to_string(self.copy(host, guest).join("qemu.pid")).unwrap();
        Pid::from_raw(text.trim().parse().unwrap()).unwrap()
    }

    /// Ends a guest as a machine that goes down does.
    fn cut_off(&self, host: &str, guest: &str) {
        let id = self.qemu(host, guest);
        kill_process(id, Signal::KILL).unwrap();
        within_patience("it ends", || test_kill_process(id).is_err() || is_buried(id));
    }

    /// Has a guest's host remember that it was started in an earlier life of the machine.
    fn was_started_before_a_reboot(&self, host: &str, guest: &str) {
        std::fs::write(self.copy(host, guest).join("boot"), "an earlier life\n").unwrap();
    }

    /// What runs below the folder, by where it runs.
    fn processes(&self) -> Vec<(Pid, PathBuf)> {
        let root = self.0.path().canonicalize().unwrap();
        let entries = std::fs::read_dir("/proc").unwrap().flatten();
        let process = |entry: std::fs::DirEntry| {
            let id = Pid::from_raw(entry.file_name().to_str()?.parse().ok()?)?;
            let cwd = std::fs::read_link(entry.path().join("cwd")).ok()?;
            cwd.starts_with(&root).then_some((id, cwd))
        };
        entries.filter_map(process).collect()
    }
}

fn run_in(command: &mut Command, folder: &Path) -> (bool, String) {
    let output = command.current_dir(folder).output().unwrap();
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

/// Whether a process has only not been waited for.
fn is_buried(id: Pid) -> bool {
    status_line(id, "State:").is_none_or(|state| state.contains('Z'))
}

fn status_line(id: Pid, name: &str) -> Option<String> {
    let text = std::fs::read_to_string(format!("/proc/{}/status", id.as_raw_nonzero())).ok()?;
    Some(text.lines().find_map(|line| line.strip_prefix(name))?.trim().to_owned())
}

fn within_patience(what: &str, mut is_so: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < end, "it never is so that {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_folder_with_other_things_in_it_does_not_become_a_host_s() {
    let Some(site) = Site::make() else { return };
    std::fs::create_dir(site.path("ash")).unwrap();
    std::fs::write(site.path("ash").join("thesis.odt"), "").unwrap();
    let (code, said) = site.try_to(&["host", "add", "ash", "--hosts-in", "."]);
    assert!(code == Some(2) && said.contains("thesis.odt") && said.contains("empty folder"), "{said}");
    let (code, said) = site.try_to(&["host", "add", "ash"]);
    assert!(code == Some(2) && said.contains("--hosts-in") && !said.contains("--rehearse"), "{said}");
    let (code, said) = site.try_to(&["host", "add", "oak", "--hosts-in", "."]);
    assert!(code == Some(2) && said.contains("a host is added once"), "{said}");
}

#[test]
fn a_storage_that_must_be_mounted_is_looked_for_by_every_command() {
    let Some(site) = Site::make() else { return };
    let ash = site.path("ash");
    std::fs::create_dir(&ash).unwrap();
    let add = ["host", "add", "ash", "--mount", "--hosts-in", "."];
    let (code, said) = site.try_to(&add);
    assert!(code == Some(2) && said.contains("no storage is mounted"), "{said}");
    let (mounted, why) = run_in(Command::new("mount").args(["-t", "tmpfs", "none"]).arg(&ash), site.0.path());
    if !mounted {
        return println!("skipped: nothing can be mounted here: {why}");
    }
    site.ask(&add);
    assert!(run_in(Command::new("umount").arg(&ash), site.0.path()).0);
    assert!(site.ask(&["host", "list"]).contains("not mounted"));
    let (code, said) = site.try_to(&["host", "doctor", "ash"]);
    assert!(code == Some(1) && said.contains("not mounted"), "{said}");
    // What looks like the host's folder on the disk below is not it.
    std::fs::write(ash.join("host"), "ash\n").unwrap();
    let words = ["guest", "define", "vm", "--host", "ash", "--flavor", "small", "--image", "disk.qcow2"];
    let (code, said) = site.try_to(&words);
    assert!(code == Some(2) && said.contains("no storage is mounted"), "{said}");
    assert!(!ash.join("instances").exists(), "it was made on the disk below");
}

#[test]
fn what_ran_when_the_machine_went_down_is_started_again_and_nothing_else() {
    let Some(site) = Site::make() else { return };
    for guest in ["ran", "ended", "moving"] {
        site.define(guest, &["--start"]);
    }
    site.define("stopped", &[]);
    site.ask(&["migrate", "moving", "--to", "elm", "--cold"]);
    for (host, guest) in [("oak", "ran"), ("oak", "ended"), ("elm", "moving")] {
        site.cut_off(host, guest);
    }
    for (host, guest) in [("oak", "ran"), ("elm", "moving"), ("oak", "moving")] {
        site.was_started_before_a_reboot(host, guest);
    }
    let said = site.ask(&["guest", "start", "--all"]);
    assert!(said.contains("ran runs again"), "{said}");
    assert!(said.contains("ended stays down") && said.contains("moving is left to its migration"), "{said}");
    assert!(!said.contains("stopped"), "{said}");
    let mut running: Vec<PathBuf> = site.processes().into_iter().map(|(_, folder)| folder).collect();
    running.sort();
    assert_eq!(running, [site.copy("oak", "ran").canonicalize().unwrap()]);
    let (code, said) = site.try_to(&["guest", "start", "moving"]);
    assert!(code == Some(2) && said.contains("is in a migration"), "{said}");
    assert!(site.ask(&["guest", "start", "--all"]).contains("ended stays down"));
}

#[test]
fn a_guest_outlives_whatever_group_of_processes_started_it() {
    let Some(site) = Site::make() else { return };
    site.define("vm", &[]);
    let mut start = site.decant(&["guest", "start", "vm"]);
    let mut start = start.process_group(0).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let group = Pid::from_child(&start);
    let socket = site.copy("oak", "vm").join("qmp.sock");
    within_patience("its QEMU is there", || socket.exists());
    // In the middle of starting it, perhaps; whatever was begun is gone on with.
    let _gone = kill_process_group(group, Signal::KILL);
    start.wait().unwrap();
    assert!(site.ask(&["guest", "list"]).contains("runs"));
    site.ask(&["guest", "start", "vm"]);
    assert!(status_line(site.qemu("oak", "vm"), "Seccomp:").unwrap().starts_with('2'), "it is not confined");
}

/// A QEMU that nobody here started, with the base in this folder open.
fn stranger_using(copy: &Path) -> Child {
    let mut stranger = Command::new("qemu-system-x86_64");
    stranger.args(["-S", "-accel", "tcg", "-display", "none", "-nodefaults", "-drive", "file=base.qcow2,if=virtio"]);
    let stranger = stranger.current_dir(copy).stdin(Stdio::null()).spawn().unwrap();
    let in_use = || {
        let asked = Command::new("qemu-img").args(["info", "base.qcow2"]).current_dir(copy).output().unwrap();
        !asked.status.success()
    };
    within_patience("it has its disk open", in_use);
    stranger
}

#[test]
fn a_guest_somebody_else_runs_is_refused_by_name_and_adopted_once_it_is_down() {
    let Some(site) = Site::make() else { return };
    let copy = site.copy("oak", "vm");
    std::fs::create_dir_all(&copy).unwrap();
    std::fs::copy(site.path("disk.qcow2"), copy.join("base.qcow2")).unwrap();
    let mut stranger = stranger_using(&copy);
    let adopt = ["guest", "adopt", "vm", "--host", "oak", "--flavor", "small"];
    let (code, said) = site.try_to(&adopt);
    assert!(code != Some(0) && said.contains(&format!("process {}", stranger.id())), "{said}");
    assert!(!copy.join("definition.json").exists(), "it was taken over all the same");
    stranger.kill().unwrap();
    stranger.wait().unwrap();
    assert!(site.ask(&adopt).contains("is down"));
    let (code, said) = site.try_to(&adopt);
    assert!(code == Some(2) && said.contains("is an instance already"), "{said}");
}

#[test]
fn qemu_runs_as_the_host_s_own_user_and_its_guest_moves_all_the_same() {
    let Some(site) = Site::make() else { return };
    if !rustix::process::geteuid().is_root() {
        return println!("skipped: only root may start programs as somebody else");
    }
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(site.0.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    for host in ["oak", "elm"] {
        std::fs::write(site.path(host).join("user"), "nobody\n").unwrap();
    }
    site.define("vm", &["--nic", "user", "--start"]);
    let runs_as = |host: &str| status_line(site.qemu(host, "vm"), "Uid:").unwrap();
    assert!(runs_as("oak").starts_with("65534"), "{}", runs_as("oak"));
    site.ask(&["migrate", "vm", "--to", "elm", "--suspend", "--confirm", "now"]);
    assert!(runs_as("elm").starts_with("65534"), "{}", runs_as("elm"));
    assert!(site.ask(&["guest", "stop", "vm"]).contains("shut down within"));
}

#[test]
fn a_guest_that_answers_nobody_is_ended_by_a_command_and_starts_again() {
    let Some(site) = Site::make() else { return };
    site.define("vm", &["--start"]);
    let hung = site.qemu("oak", "vm");
    kill_process(hung, Signal::STOP).unwrap();
    assert!(site.ask(&["guest", "stop", "vm", "--kill"]).contains("was killed"));
    assert!(is_buried(hung), "its process is there");
    assert!(site.ask(&["guest", "list"]).contains("is down"));
    assert!(site.ask(&["guest", "stop", "vm", "--kill"]).contains("is down already"));
    site.ask(&["guest", "start", "vm"]);
    assert!(site.ask(&["guest", "list"]).contains("runs"));
    site.ask(&["migrate", "vm", "--to", "elm", "--suspend"]);
    let (code, said) = site.try_to(&["guest", "stop", "vm", "--kill"]);
    assert!(code == Some(2) && said.contains("is in a migration"), "{said}");
}

#[test]
fn what_was_put_aside_is_removed_unless_somebody_may_need_it() {
    let Some(site) = Site::make() else { return };
    site.define("vm", &[]);
    let aside = |copy: &str| site.path("elm").join("discarded").join(copy);
    for copy in ["vm.1", "vm.2", "gone.1"] {
        std::fs::create_dir_all(aside(copy)).unwrap();
        std::fs::copy(site.path("disk.qcow2"), aside(copy).join("base.qcow2")).unwrap();
    }
    let mut stranger = stranger_using(&aside("vm.2"));
    let listed = site.ask(&["host", "discarded", "list"]);
    assert!(listed.matches("vm ").count() >= 2 && listed.contains("gone"), "{listed}");
    let (code, said) = site.try_to(&["host", "doctor", "elm"]);
    assert!(code == Some(1) && said.contains("3 folders"), "{said}");
    assert!(site.ask(&["host", "discarded", "remove"]).contains("Nothing was removed"));
    assert!(!site.ask(&["host", "discarded", "remove", "--older-than", "1h"]).contains("gone"));
    let (code, said) = site.try_to(&["host", "discarded", "remove", "--yes"]);
    assert!(code == Some(2) && said.contains("2 errors"), "{said}");
    assert!(said.contains(&format!("process {}", stranger.id())) && said.contains("it may be the last"), "{said}");
    assert_eq!(["vm.1", "vm.2", "gone.1"].map(|copy| aside(copy).exists()), [false, true, true]);
    stranger.kill().unwrap();
    stranger.wait().unwrap();
    assert!(site.ask(&["host", "discarded", "remove", "vm", "--yes"]).contains("removed"));
    assert!(!aside("vm.2").exists());
}

/// Has a guest's QEMU write to its second disk as the guest would: 64 KiB of a byte at this offset (KiB).
fn write_to_second_disk(copy: &Path, byte: u8, at: u32) {
    let order = format!("qemu-io -d disk-2 \"write -P {byte} {at}k 64k\"");
    let said = qmp(copy, "human-monitor-command", &serde_json::json!({ "command-line": order }));
    assert!(!said.to_string().contains("rror"), "{said}");
}

/// What a guest's QEMU answers.
fn qmp(copy: &Path, command: &str, arguments: &serde_json::Value) -> serde_json::Value {
    // A socket's path is short; the folder's may not be.
    let near = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(copy, near.path().join("copy")).unwrap();
    let mut socket = UnixStream::connect(near.path().join("copy/qmp.sock")).unwrap();
    let order = serde_json::json!({ "execute": command, "arguments": arguments, "id": "asked" });
    socket.write_all(format!("{{\"execute\":\"qmp_capabilities\"}}{order}").as_bytes()).unwrap();
    let answers = BufReader::new(socket).lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap());
    let mut own = answers.filter(|answer: &serde_json::Value| answer["id"] == "asked");
    own.next().expect("QEMU hung up")
}

/// Whether 64 KiB of a disk at this offset (KiB) are all this byte.
fn has_written(image: &Path, byte: u8, at: u32) -> bool {
    let read = format!("read -P {byte} {at}k 64k");
    let asked = Command::new("qemu-io").args(["-r", "-f", "qcow2", "-c", &read]).arg(image).output().unwrap();
    let said = String::from_utf8_lossy(&asked.stdout);
    assert!(said.contains("65536/65536"), "{said}{}", String::from_utf8_lossy(&asked.stderr));
    asked.status.success() && !said.contains("verification failed")
}

#[test]
fn a_guest_with_several_disks_is_moved_with_what_it_writes_to_all_of_them() {
    let Some(site) = Site::make() else { return };
    std::fs::write(site.path("data.raw"), vec![7; 8 << 20]).unwrap();
    let more = ["--disk", "data.raw,format=raw,bus=scsi,name=data", "--disk", "disk.qcow2", "--start"];
    site.define("vm", &more);
    let (oak, elm) = (site.copy("oak", "vm"), site.copy("elm", "vm"));
    write_to_second_disk(&oak, 1, 1024);
    let migrate = ["migrate", "vm", "--to", "elm", "--suspend", "--bandwidth", "50"];
    let mut moving = site.decant(&migrate).stdout(Stdio::null()).spawn().unwrap();
    // Eight megabytes at this rate take longer than a second, in which the disks are frozen.
    within_patience("its disks are frozen", || oak.join("overlay-3.qcow2").exists());
    within_patience("its base is on its way", || elm.join("base-2.qcow2.part").exists());
    write_to_second_disk(&oak, 2, 2048);
    assert!(moving.wait().unwrap().success());
    write_to_second_disk(&elm, 3, 3072);
    site.ask(&["migration", "confirm", "vm"]);
    assert!(!oak.exists() && !elm.join("overlay-2.qcow2").exists(), "it was not merged");
    site.ask(&["migrate", "vm", "--to", "oak", "--suspend"]);
    write_to_second_disk(&oak, 4, 4096);
    site.ask(&["migration", "revert", "vm"]);
    assert!(has_written(&site.path("oak/discarded/vm.1/overlay-2.qcow2"), 4, 4096), "it was not put aside");
    assert!(site.ask(&["guest", "stop", "vm"]).contains("shut down within"));
    let data = elm.join("base-2.qcow2");
    for (byte, at) in [(1, 1024), (2, 2048), (3, 3072), (7, 0), (7, 4096)] {
        assert!(has_written(&data, byte, at), "{byte} is not at {at} KiB");
    }
    assert!(!has_written(&data, 4, 4096), "the reader cannot tell");
    std::fs::remove_file(elm.join("base-3.qcow2")).unwrap();
    let (code, said) = site.try_to(&["guest", "start", "vm"]);
    assert!(code != Some(0) && said.contains("base-3"), "{said}");
}

/// A disk whose boot sector says a word on the serial line.
fn disk_that_speaks(path: &Path) {
    // xor ax, ax; mov ds, ax; mov si, 0x7c16; cld; next: lodsb; test al, al; jz end; mov dx, 0x3f8; out dx, al; jmp next;
    // end: hlt; jmp end
    const PROGRAM: [u8; 22] = [
        0x31, 0xC0, 0x8E, 0xD8, 0xBE, 0x16, 0x7C, 0xFC, 0xAC, 0x84, 0xC0, 0x74, 0x06, 0xBA, 0xF8, 0x03, 0xEE, 0xEB,
        0xF5, 0xF4, 0xEB, 0xFD,
    ];
    let mut disk = vec![0; 1 << 20];
    disk[..PROGRAM.len()].copy_from_slice(&PROGRAM);
    disk[PROGRAM.len()..][..SPOKEN.len()].copy_from_slice(SPOKEN.as_bytes());
    disk[510..512].copy_from_slice(&[0x55, 0xAA]);
    std::fs::write(path, disk).unwrap();
}

const SPOKEN: &str = "started from its disk";

#[test]
fn a_guest_starts_from_its_own_disk_whatever_machine_and_bus_it_has() {
    let Some(site) = Site::make() else { return };
    disk_that_speaks(&site.path("disk.raw"));
    for machine in ["pc-i440fx-7.2", "pc-q35-7.2"] {
        for bus in ["virtio", "scsi", "ide"] {
            let guest = format!("{machine}-{bus}");
            let image =
                ["--image", "disk.raw", "--image-format", "raw", "--host", "oak", "--flavor", "small", "--start"];
            let made =
                ["guest", "define", &guest, "--machine-type", machine, "--bus", bus, "--nic", "user,model=e1000"];
            site.ask(&[&made[..], &image].concat());
            let has_said = || site.ask(&["guest", "console", &guest, "--print"]).contains(SPOKEN);
            within_patience("it starts from its disk", has_said);
            site.ask(&["migrate", &guest, "--to", "elm", "--suspend", "--confirm", "now"]);
            // It hears no power button.
            let said = site.ask(&["guest", "stop", &guest, "--patience", "1s"]);
            assert!(said.contains("was cut off"), "{said}");
        }
    }
}

#[test]
fn an_image_or_a_machine_that_is_not_what_it_is_said_to_be_is_refused_and_leaves_no_record() {
    let Some(site) = Site::make() else { return };
    let backed = ["create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", "disk.qcow2", "thin.qcow2"];
    assert!(run_in(Command::new("qemu-img").args(backed), site.0.path()).0);
    let define = ["guest", "define", "vm", "--host", "oak", "--flavor", "small", "--image"];
    let (code, said) = site.try_to(&[&define[..], &["thin.qcow2"]].concat());
    assert!(code != Some(0) && said.contains("disk.qcow2"), "{said}");
    let words = ["disk.qcow2", "--nic", "tap=tap9", "--kernel", "none", "--firmware", "none"];
    let (code, said) = site.try_to(&[&define[..], &words].concat());
    assert!(code == Some(2) && said.contains("3 errors"), "{said}");
    for place in ["firmware.code", "boot.kernel", "nics[0].link.tap"] {
        assert!(said.contains(place), "{place}: {said}");
    }
    let (code, said) =
        site.try_to(&[&define[..], &["disk.qcow2", "--machine-type", "pc,accel=kvm", "--cpu", "a b"]].concat());
    assert!(code == Some(2) && said.contains("2 errors"), "{said}");
    assert!(site.ask(&["guest", "list"]).contains("No guest is on record"));
}

#[test]
fn what_a_libvirt_domain_says_of_a_machine_is_taken_and_what_is_left_out_is_told() {
    let Some(site) = Site::make() else { return };
    let domain =
        "<domain><uuid>5b8a1a3e-0000-4000-8000-000000000001</uuid><os><type machine='pc-q35-7.2'>hvm</type></os>
        <devices><interface type='user'><mac address='52:54:00:AA:BB:CC'/></interface><tpm/></devices></domain>";
    std::fs::write(site.path("vm.xml"), domain).unwrap();
    site.define("vm", &["--libvirt", "vm.xml"]);
    let machine = std::fs::read(site.copy("oak", "vm").join("machine.json")).unwrap();
    let machine = decant_schema::machine::read(&machine).unwrap();
    assert_eq!((machine.machine_type.as_str(), machine.nics[0].mac.as_str()), ("pc-q35-7.2", "52:54:00:aa:bb:cc"));
    assert_eq!(machine.uuid.unwrap().to_string(), "5b8a1a3e-0000-4000-8000-000000000001");
}

#[test]
fn a_machine_that_a_target_does_not_take_is_told_before_its_guest_is_taken_down() {
    let Some(site) = Site::make() else { return };
    site.define("vm", &["--start"]);
    std::fs::remove_file(site.path("elm").join("kernels/lab")).unwrap();
    let before = site.qemu("oak", "vm");
    let (code, said) = site.try_to(&["migrate", "vm", "--to", "elm", "--suspend"]);
    assert!(code == Some(3) && said.contains("boot.kernel") && said.contains("put it there"), "{said}");
    assert_eq!(site.qemu("oak", "vm"), before, "it was taken down");
    assert!(site.ask(&["guest", "list"]).contains("runs"));
}
