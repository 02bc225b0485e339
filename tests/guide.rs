//! The guide for hosts and guests, word for word: its commands are run in the order in which they stand there, by a shell, and
//! say what the guide says. `[..]` stands for what differs from run to run, within a line.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::{Command, Stdio};

use decant_executor::lab::payload;
use decant_executor::tool;

const GUIDE: &str = include_str!("../docs/operators/hosts-and-guests.md");

/// A command and what it is to say.
struct Step {
    command: String,
    says: Vec<String>,
}

/// The commands of the guide's `console` blocks.
fn steps(guide: &str) -> Vec<Step> {
    let (mut steps, mut within) = (Vec::<Step>::new(), false);
    for line in guide.lines() {
        match (within, line.strip_prefix("$ ")) {
            _ if line.starts_with("```") => within = line == "```console",
            (true, Some(command)) => steps.push(Step { command: command.to_owned(), says: Vec::new() }),
            (true, None) => steps.last_mut().unwrap().says.push(line.to_owned()),
            (false, _) => {}
        }
    }
    steps
}

/// Whether a line is what a pattern with `[..]` in it says.
fn is(line: &str, pattern: &str) -> bool {
    let mut rest = line.trim_end();
    let parts: Vec<&str> = pattern.trim_end().split("[..]").collect();
    for (at, part) in parts.iter().enumerate() {
        let found = if at == 0 { rest.starts_with(part).then_some(0) } else { rest.find(part) };
        // The last part is at the end of the line, wherever else it may be.
        let found =
            if at + 1 == parts.len() && at > 0 && rest.ends_with(part) { Some(rest.len() - part.len()) } else { found };
        let Some(found) = found else { return false };
        rest = &rest[found + part.len()..];
    }
    rest.is_empty()
}

/// Every QEMU that was started below a folder.
struct Guests<'a>(&'a Path);

impl Drop for Guests<'_> {
    fn drop(&mut self) {
        for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
            let is_here = std::fs::read_link(entry.path().join("cwd")).is_ok_and(|cwd| cwd.starts_with(self.0));
            let id = entry.file_name().to_str().and_then(|name| name.parse().ok());
            if let (true, Some(id)) = (is_here, id.and_then(rustix::process::Pid::from_raw)) {
                let _gone = rustix::process::kill_process(id, rustix::process::Signal::KILL);
            }
        }
    }
}

#[test]
fn the_guide_s_words_lead_from_an_image_to_a_guest_that_moves_and_back() {
    if let Err(missing) = tool::are_here() {
        return println!("skipped: failed to {missing}");
    }
    if !payload::is_built() {
        return println!("skipped: the lab's guest was not built");
    }
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path().canonicalize().unwrap();
    payload::write_to(&here.join("vmlinuz")).unwrap();
    let guests = Guests(&here);
    let program = Path::new(env!("CARGO_BIN_EXE_decant")).parent().unwrap().to_owned();
    let inherited = std::env::var_os("PATH").unwrap();
    let path = std::iter::once(program).chain(std::env::split_paths(&inherited));
    let path = std::env::join_paths(path).unwrap();
    let steps = steps(GUIDE);
    assert!(steps.len() > 15, "the guide has {} commands", steps.len());
    for step in steps {
        let output = Command::new("sh")
            .args(["-c", &step.command])
            .current_dir(&here)
            .env("PATH", &path)
            .env("HOME", &here)
            .env("XDG_CONFIG_HOME", &here)
            .env_remove("XDG_STATE_HOME")
            .env("DECANT_ACCELERATOR", "tcg")
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let [said, told] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
        let lines: Vec<&str> = said.lines().collect();
        let is_said = lines.len() == step.says.len() && lines.iter().zip(&step.says).all(|(line, says)| is(line, says));
        assert!(
            is_said && output.status.success(),
            "$ {}\n{said}{told}\nended with {}; the guide says:\n{}",
            step.command,
            output.status,
            step.says.join("\n")
        );
    }
    drop(guests);
}

#[test]
fn a_pattern_is_held_against_the_whole_line() {
    assert!(is("web-1 shut down within 0.3 s", "web-1 shut down within [..] s"));
    assert!(is("a b a", "a[..]a") && is("anything", "[..]") && is("", ""));
    assert!(!is("web-1 runs on oak too", "web-1 runs on oak") && !is("ab", "a[..]c"));
}
