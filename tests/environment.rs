//! What is missing or full outside of decant is said before anything begins, with what to do about it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::File;
use std::path::Path;
use std::process::{Command, Output};

fn decant(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_decant"));
    command.current_dir(folder).args(arguments);
    command
}

/// A folder with a fleet and a plan for it.
fn planned() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let fleet = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts/fleets/four.json");
    std::fs::copy(fleet, folder.path().join("four.json")).unwrap();
    let plan = ["plan", "evacuate", "--fleet", "four.json", "--host", "cmp-01", "-o", "plan.json"];
    assert!(decant(folder.path(), &plan).output().unwrap().status.success());
    folder
}

fn assert_says(output: &Output, words: &[&str]) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for words in words {
        assert!(said.contains(words), "no {words:?} in: {said}");
    }
}

#[test]
fn a_program_that_is_missing_is_named_before_anything_begins() {
    let folder = planned();
    std::fs::create_dir(folder.path().join("hosts")).unwrap();
    let apply = ["apply", "plan.json", "--fleet-source", "four.json", "--hosts-in", "hosts", "--store", "store.db"];
    let output = decant(folder.path(), &apply).env("PATH", folder.path()).output().unwrap();
    assert_says(&output, &["failed to run qemu-system-x86_64", "install the package qemu-system-x86"]);
    assert!(!folder.path().join("store.db").exists());
    let demo = decant(folder.path(), &["demo"]).env("PATH", folder.path()).output().unwrap();
    assert_says(&demo, &["install the package"]);
}

#[test]
fn a_result_that_finds_no_room_is_a_failure_of_the_environment() {
    let folder = planned();
    let full = || File::options().write(true).open("/dev/full").unwrap();
    for arguments in [&["show", "plan.json"][..], &["report", "--fleet", "four.json", "--format", "json"]] {
        let output = decant(folder.path(), arguments).stdout(full()).output().unwrap();
        assert_says(&output, &["failed to write the result", "No space left on device"]);
    }
}

#[test]
fn a_host_that_would_lead_out_of_its_folder_is_refused() {
    let folder = planned();
    std::fs::create_dir(folder.path().join("hosts")).unwrap();
    for name in ["four.json", "plan.json"] {
        let path = folder.path().join(name);
        let text = std::fs::read_to_string(&path).unwrap().replace("cmp-02", "../cmp-02");
        std::fs::write(path, text).unwrap();
    }
    let apply = ["apply", "plan.json", "--fleet-source", "four.json", "--hosts-in", "hosts", "--store", "store.db"];
    let output = decant(folder.path(), &apply).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("host ../cmp-02 has no folder"), "{said}");
}

#[test]
fn where_the_hosts_are_does_not_count_in_a_rehearsal() {
    let folder = planned();
    let apply = ["apply", "plan.json", "--fleet-source", "four.json", "--rehearse"];
    let site = [("DECANT_HOSTS_IN", "nowhere"), ("DECANT_STORE", "store.db")];
    let output = decant(folder.path(), &apply).envs(site).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(!folder.path().join("store.db").exists());
}

#[test]
fn a_store_without_a_fleet_says_that_there_is_none_yet() {
    let folder = planned();
    std::fs::create_dir(folder.path().join("hosts")).unwrap();
    // Nothing is begun, because the store knows no fleet; but now there is a store.
    let apply = ["apply", "plan.json", "--hosts-in", "hosts", "--store", "store.db"];
    for arguments in [&apply[..], &["fleet", "pull", "--from", "store", "--store", "store.db"]] {
        let output = decant(folder.path(), arguments).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("no fleet is in it yet") && said.contains("--fleet-source"), "{said}");
    }
}

/// A storage of its own at a folder, gone again when dropped; `None`, and a word about it, where none can be mounted.
struct Mounted<'a>(&'a Path);

impl<'a> Mounted<'a> {
    fn at(folder: &'a Path) -> Option<Self> {
        std::fs::create_dir_all(folder).unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=8m", "tmpfs"]).arg(folder).output();
        if mounted.is_ok_and(|mounted| mounted.status.success()) {
            return Some(Self(folder));
        }
        println!("skipped: no storage can be mounted here");
        None
    }
}

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        assert!(Command::new("umount").arg(self.0).status().unwrap().success());
    }
}

#[test]
fn a_host_whose_storage_is_not_mounted_is_refused_and_nothing_is_made_in_its_place() {
    let folder = planned();
    let hosts = folder.path().join("hosts");
    let lost = hosts.join("cmp-02");
    std::fs::create_dir_all(&lost).unwrap();
    let run = |arguments: &[&str]| {
        let output = decant(folder.path(), arguments).output().unwrap();
        (output.status.code(), String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned())
    };
    let add = ["host", "add", "cmp-02", "--mount", "--hosts-in", "hosts"];
    let (code, said) = run(&add);
    assert!(code == Some(2) && said.contains("no storage is mounted on"), "{said}");
    let Some(storage) = Mounted::at(&lost) else { return };
    let (code, said) = run(&add);
    assert!(code == Some(0) && said.contains("cmp-02 is added"), "{said}");
    let (code, said) = run(&add);
    assert!(code == Some(2) && said.contains("a host's folder already"), "{said}");
    assert_eq!(run(&["host", "add", "cmp-01", "cmp-03", "cmp-04", "--hosts-in", "hosts"]).0, Some(0));
    let (code, said) = run(&["host", "list", "--hosts-in", "hosts"]);
    assert!(code == Some(0) && said.contains("cmp-02") && said.contains("no store yet"), "{said}");
    let apply = ["apply", "plan.json", "--fleet-source", "four.json", "--hosts-in", "hosts", "--store", "store.db"];
    let badges = [hosts.join("cmp-02/host"), hosts.join("cmp-03/host")];
    let swap = || std::fs::rename(&badges[1], hosts.join("aside")).and_then(|()| std::fs::copy(&badges[0], &badges[1]));
    swap().unwrap();
    let (code, said) = run(&apply);
    assert!(code == Some(2) && said.contains("it was added as that of cmp-02"), "{said}");
    std::fs::rename(hosts.join("aside"), &badges[1]).unwrap();
    drop(storage);
    let (code, said) = run(&apply);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("the storage of cmp-02 may not be mounted"), "{said}");
    assert!(said.contains("decant host add cmp-02"), "{said}");
    assert_eq!(std::fs::read_dir(&lost).unwrap().count(), 0, "something was made on the disk below");
}
