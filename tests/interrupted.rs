//! Whoever interrupts a command is told what that leaves; nothing half done is left, and the exit code says that it did not end.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::{Pid, Signal, kill_process};

/// Kills spread over the making of a store.
const KILLS: u32 = 40;

fn decant(arguments: &[&str], folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_decant"));
    command.args(arguments).current_dir(folder).env("TMPDIR", folder).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

/// Sends the signal and returns the exit code, none for a death by the signal itself, and what was said from then on.
fn interrupt(mut child: Child, mut said: impl Read, signal: Signal) -> (Option<i32>, String) {
    kill_process(Pid::from_child(&child), signal).unwrap();
    let mut text = String::new();
    said.read_to_string(&mut text).unwrap();
    (child.wait().unwrap().code(), text)
}

fn names_in(folder: &Path) -> Vec<String> {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn a_plan_that_is_interrupted_says_so_and_writes_nothing() {
    for signal in [Signal::INT, Signal::TERM] {
        let folder = tempfile::tempdir().unwrap();
        let fleet = folder.path().join("fleet.json");
        mknodat(CWD, &fleet, FileType::Fifo, Mode::RWXU, 0).unwrap();
        let arguments = ["plan", "evacuate", "--fleet", "fleet.json", "--host", "cmp-01", "-o", "plan.json"];
        let mut child = decant(&arguments, folder.path()).spawn().unwrap();
        let said = child.stderr.take().unwrap();
        // Opened only once the program opens it too; it then waits for a fleet that never comes.
        let _fleet = File::options().write(true).open(fleet).unwrap();
        let (code, text) = interrupt(child, said, signal);
        assert_eq!(code, Some(1), "{signal:?}: {text}");
        assert!(text.contains("it was interrupted") && text.contains("run the same command again"), "{text}");
        assert_eq!(names_in(folder.path()), ["fleet.json"]);
    }
}

#[test]
fn a_rehearsal_that_is_interrupted_says_so_and_leaves_nothing() {
    for signal in [Signal::INT, Signal::TERM] {
        let folder = tempfile::tempdir().unwrap();
        let four = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts/fleets/four.json");
        std::fs::copy(four, folder.path().join("four.json")).unwrap();
        let plan = ["plan", "evacuate", "--fleet", "four.json", "--host", "cmp-01", "-o", "plan.json"];
        assert!(decant(&plan, folder.path()).status().unwrap().success());
        let apply = ["apply", "plan.json", "--fleet-source", "four.json", "--rehearse", "--confirm", "1h"];
        let mut child = decant(&apply, folder.path()).spawn().unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap());
        let mut first = String::new();
        said.read_line(&mut first).unwrap();
        assert!(first.starts_with("move "), "{first}");
        let (code, text) = interrupt(child, said, signal);
        assert_eq!(code, Some(1), "{signal:?}: {text}");
        assert!(text.contains("it was interrupted") && text.contains("nothing real was touched"), "{text}");
        let mut left = names_in(folder.path());
        left.sort();
        assert_eq!(left, ["four.json", "plan.json"]);
    }
}

/// The command that first makes a store: the hosts are only asked afterwards, and refuse.
fn makes_a_store(folder: &Path) -> Vec<String> {
    let transcripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts/fleets/four.json");
    std::fs::copy(transcripts, folder.join("fleet.json")).unwrap();
    let arguments = ["plan", "evacuate", "--fleet", "fleet.json", "--host", "cmp-01", "-o", "plan.json"];
    assert!(decant(&arguments, folder).status().unwrap().success());
    let words = "apply plan.json --fleet-source fleet.json --hosts-in . --store store.db";
    words.split(' ').map(str::to_owned).collect()
}

/// Whether there is a store; panics where there is a part of one.
fn is_whole_or_absent(folder: &Path, when: &str) -> bool {
    if !folder.join("store.db").exists() {
        return false;
    }
    let listed = decant(&["migration", "list", "--store", "store.db"], folder).output().unwrap();
    assert!(listed.status.success(), "{when}: {}", String::from_utf8_lossy(&listed.stderr));
    true
}

fn remove_store(folder: &Path) {
    for name in names_in(folder).iter().filter(|name| name.starts_with("store.db")) {
        std::fs::remove_file(folder.join(name)).unwrap();
    }
}

/// The kernel kills a process that writes beyond the size its files may have: at each page of the new store in turn.
#[test]
fn a_kill_at_any_write_of_its_creation_leaves_a_store_whole_or_none() {
    let folder = tempfile::tempdir().unwrap();
    let words = makes_a_store(folder.path());
    // Of 512 bytes; a page of the database has eight.
    for blocks in (0..).step_by(8) {
        let mut limited = Command::new("sh");
        limited.args(["-c", "ulimit -c 0; ulimit -f \"$1\"; shift; exec \"$@\"", "sh", &blocks.to_string()]);
        limited.arg(env!("CARGO_BIN_EXE_decant")).args(&words).current_dir(folder.path());
        let code = limited.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap().code();
        let there = is_whole_or_absent(folder.path(), &format!("killed beyond {blocks} blocks"));
        if code == Some(2) {
            assert!(there && blocks > 80, "{blocks} blocks were enough");
            break;
        }
        assert_eq!(code, None, "it was to be killed at {blocks} blocks");
        if blocks % 16 == 0 {
            // Every other time the next one begins anew, beside what this one left.
            remove_store(folder.path());
        }
    }
    let left = names_in(folder.path());
    assert!(left.iter().all(|name| !name.contains("making")), "{left:?}");
}

#[test]
fn a_kill_at_any_moment_of_its_creation_leaves_a_store_whole_or_none() {
    let folder = tempfile::tempdir().unwrap();
    let words = makes_a_store(folder.path());
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let begun = Instant::now();
    assert_eq!(decant(&words, folder.path()).status().unwrap().code(), Some(2));
    let whole = begun.elapsed();
    for moment in 0..KILLS {
        remove_store(folder.path());
        let mut child = decant(&words, folder.path()).spawn().unwrap();
        std::thread::sleep(whole * moment / KILLS);
        child.kill().unwrap();
        child.wait().unwrap();
        is_whole_or_absent(folder.path(), &format!("killed after {moment} of {KILLS} parts of {whole:?}"));
    }
}
