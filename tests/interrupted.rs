//! Whoever interrupts a command is told what that leaves; nothing half done is left, and the exit code says that it did not end.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use rustix::process::{Pid, Signal, kill_process};

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
