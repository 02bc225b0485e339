//! Where things go: the result to stdout or a file, all else to stderr.

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::mem;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use tracing_subscriber::EnvFilter;

use crate::error::Failure;

/// Writes a result to stdout. A reader that closed its end is no error.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|error| Failure::writing("the result", error))
}

/// Writes a document to a file, or to stdout where there is none or it is `-`. A file appears whole or not at all.
pub(crate) fn write_document(to: Option<&Path>, text: &str) -> Result<(), Failure> {
    match to.filter(|path| *path != Path::new("-")) {
        None => print(text),
        Some(path) => write_whole(path, text.as_bytes()).map_err(|error| {
            Failure::writing(&path.display().to_string(), error)
                .with_hint("check that the folder exists, can be written to and has room; nothing was left behind")
        }),
    }
}

/// Writes a document as JSON for people and programs, to a file or to stdout.
pub(crate) fn write_json(to: Option<&Path>, document: &impl Serialize) -> Result<(), Failure> {
    let mut text = serde_json::to_string_pretty(document)
        .map_err(|error| Failure::environment("write a document as JSON", error))?;
    text.push('\n');
    write_document(to, &text)
}

/// Held while a file is being written, and for ever by [`write_no_more`].
static WRITING: Mutex<()> = Mutex::new(());

/// Waits until a file that is being written is whole, and lets none begin: an interruption leaves no part of one behind.
pub(crate) fn write_no_more() {
    mem::forget(WRITING.lock());
}

/// Writes beside the file first, then renames: a full disk or a crash leaves the old content, never half of the new.
fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // A device or a pipe cannot be renamed over.
    if fs::metadata(path).is_ok_and(|there| !there.is_file()) {
        return fs::write(path, bytes);
    }
    let _writing = WRITING.lock();
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}.part", std::process::id()));
    let written = fs::File::create(&beside)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        // Already failing; what is left of the attempt is only in the way.
        let _ = fs::remove_file(&beside);
    }
    written
}

/// Says something to the person on stderr, not part of the result.
pub(crate) fn note(text: &str) {
    // Nobody is left to tell if stderr is closed.
    let _ = writeln!(io::stderr(), "{text}");
}

/// Whether a person watches stderr.
pub(crate) fn is_terminal() -> bool {
    io::stderr().is_terminal()
}

/// A sign of life on a terminal while something takes long; invisible elsewhere. It goes when this is dropped.
pub(crate) struct Spinner;

/// What turns on the terminal, so that whoever interrupts it can take it away.
static TURNING: Mutex<Option<ProgressBar>> = Mutex::new(None);

impl Spinner {
    pub(crate) fn show(doing: &str) -> Self {
        let target = if is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let style =
            ProgressStyle::with_template("{spinner} {msg}, {elapsed}").expect("the template is a constant that holds");
        let bar = ProgressBar::with_draw_target(None, target).with_style(style).with_message(doing.to_owned());
        bar.enable_steady_tick(Duration::from_millis(120));
        *TURNING.lock().unwrap_or_else(PoisonError::into_inner) = Some(bar);
        Self
    }

    /// Takes away whatever turns.
    pub(crate) fn clear() {
        if let Some(bar) = TURNING.lock().unwrap_or_else(PoisonError::into_inner).take() {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        Self::clear();
    }
}

/// Sends the log to stderr: warnings, or more with each `--verbose`; `RUST_LOG` overrides.
pub(crate) fn log_to_stderr(verbose: u8) {
    let level = ["warn", "info", "debug", "trace"][usize::from(verbose.min(3))];
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| {
        EnvFilter::new(format!("warn,decant={level},decant_planner={level},decant_executor={level}"))
    });
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()))
        .init();
}
