//! What a person sees on stderr while migrations are carried out: a line for each that begins, ends or goes wrong, and
//! on a terminal a bar with what is being copied.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use decant_executor::admit::Wait;
use decant_executor::progress::{Progress, ProgressSink};
use decant_schema::migration::{Migration, MigrationId};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::output;
use crate::render::words;

/// Watches migrations.
pub(super) struct Watch {
    bar: ProgressBar,
    /// How far each was when it was last spoken of.
    seen: Arc<Mutex<BTreeMap<MigrationId, Migration>>>,
}

impl Watch {
    /// Watches as many moves.
    pub(super) fn new(moves: usize) -> Self {
        let target = if output::is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {elapsed} {wide_msg}")
            .expect("the template is a constant that holds");
        let bar = ProgressBar::with_draw_target(Some(moves as u64), target).with_style(style);
        Self { bar, seen: Arc::default() }
    }

    /// Where the executor says what happens.
    pub(super) fn sink(&self) -> ProgressSink {
        let (bar, seen) = (self.bar.clone(), Arc::clone(&self.seen));
        Arc::new(move |progress| {
            let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
            hear(&bar, &mut seen, progress);
        })
    }
}

impl Drop for Watch {
    /// However it ended, the terminal is left as it was.
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

fn hear(bar: &ProgressBar, seen: &mut BTreeMap<MigrationId, Migration>, progress: Progress) {
    match progress {
        Progress::Changed { migration } => {
            let news = changed(&migration);
            // What goes wrong again in the same way is not said again.
            if seen.get(&migration.id).is_none_or(|before| changed(before) != news) {
                say(bar, &news);
            }
            if migration.state.outcome().is_some() {
                bar.inc(1);
            }
            seen.insert(migration.id, *migration);
        }
        Progress::Copying { migration, bytes, .. } => {
            // One that an earlier run began has not been spoken of yet.
            let who = seen.get(&migration).map_or_else(String::new, |known| format!("{}: ", known.subject.instance));
            bar.set_message(format!("{who}{} MiB copied", bytes >> 20));
        }
        Progress::Waiting { line, wait } => match wait {
            Wait::Undone { .. } | Wait::Refused { .. } => say(bar, &format!("move {line}: {wait}")),
            _ => tracing::debug!(%line, %wait, "a move waits"),
        },
        Progress::Silent { host, migration } => tracing::info!(%host, %migration, "a silent host is told again"),
        // The command's answer says so.
        Progress::NotCreated { prep, why } => tracing::debug!(instance = %prep.instance, why, "not begun"),
        Progress::Refused { host, reason, .. } => say(bar, &format!("{host} refused: {reason}")),
    }
}

/// `move 3 web-1 cmp-01 → cmp-02: copying its disk while it runs`.
fn changed(migration: &Migration) -> String {
    let subject = &migration.subject;
    let line = migration.line.map_or_else(String::new, |line| format!("move {} ", line.id));
    let cause = migration.cause.as_ref().map_or_else(String::new, |cause| format!(" ({cause})"));
    let state = words::state(&migration.state);
    format!("{line}{} {} → {}: {state}{cause}", subject.instance, subject.source(), subject.target())
}

/// A line that stays, above the bar where there is one.
fn say(bar: &ProgressBar, line: &str) {
    bar.suspend(|| output::note(line));
}
