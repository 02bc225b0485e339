//! Migrations as text: a list, one with its history, and what became of a plan.

use std::fmt::Write as _;

use comfy_table::Cell;
use decant_executor::apply::{ApplyReport, History, MoveReport};
use decant_schema::migration::{Death, Migration, MigrationOutcome};
use serde::Serialize;

use super::right;
use crate::render::{drawn, table, words};

/// What became of a move, for programs.
#[derive(Serialize)]
pub(crate) struct AppliedRow<'a> {
    id: u32,
    instance: &'a str,
    source: &'a str,
    target: &'a str,
    outcome: Option<MigrationOutcome>,
    migration: Option<&'a Migration>,
    waits_for: Option<String>,
}

/// What became of each move of a plan, for programs.
pub(crate) fn applied_rows(of: &ApplyReport) -> Vec<AppliedRow<'_>> {
    of.moves.iter().map(applied_row).collect()
}

fn applied_row(step: &MoveReport) -> AppliedRow<'_> {
    AppliedRow {
        id: step.id.0,
        instance: step.instance.as_str(),
        source: step.source.as_str(),
        target: step.target.as_str(),
        outcome: step.outcome(),
        migration: step.migration.as_ref(),
        waits_for: step.wait.as_ref().map(ToString::to_string),
    }
}

/// What became of a plan.
pub(crate) fn applied(of: &ApplyReport) -> String {
    let done = of.moves.iter().filter(|step| step.outcome() == Some(MigrationOutcome::Confirmed)).count();
    let mut text = format!("{done} of {} done.\n", words::count(of.moves.len(), "move"));
    for death in deaths(of) {
        let _ = writeln!(text, "{death}.");
    }
    let open: Vec<_> = of.moves.iter().filter(|step| step.outcome() != Some(MigrationOutcome::Confirmed)).collect();
    if open.is_empty() {
        return text;
    }
    let mut rows = table(["move", "instance", "from", "to", "how far"]);
    for step in &open {
        rows.add_row([
            right(step.id),
            Cell::new(&step.instance),
            Cell::new(&step.source),
            Cell::new(&step.target),
            Cell::new(how_far(step)),
        ]);
    }
    let rows = drawn(rows, &[0]);
    let _ = writeln!(text, "{rows}");
    if !of.short().is_empty() {
        text.push_str("What was undone is as before. To go on: decant fleet pull --from store, then plan again.\n");
    } else {
        text.push_str("Look at them, then decant migration confirm, or revert; then run this command again.\n");
    }
    text
}

/// The proofs that moves rest on, each once.
fn deaths(of: &ApplyReport) -> Vec<&Death> {
    let mut deaths: Vec<&Death> = Vec::new();
    for death in of.moves.iter().filter_map(|step| step.migration.as_ref()?.death.as_ref()) {
        if !deaths.contains(&death) {
            deaths.push(death);
        }
    }
    deaths
}

fn how_far(step: &MoveReport) -> String {
    let migration = step.migration.as_ref();
    let state = migration.map(|migration| words::state(&migration.state));
    let cause = migration.and_then(|migration| migration.cause.as_ref()).map(|cause| format!("({cause})"));
    let wait = step.wait.as_ref().map(ToString::to_string);
    if migration.is_none() && wait.is_none() {
        return "not begun: an earlier round is not done".to_owned();
    }
    [state, cause, wait].into_iter().flatten().collect::<Vec<_>>().join(" ")
}

/// A list of migrations.
pub(crate) fn migrations(of: &[Migration]) -> String {
    if of.is_empty() {
        return "No migrations.\n".to_owned();
    }
    let mut rows = table(["migration", "instance", "from", "to", "how", "how far", "turn"]);
    for migration in of {
        let subject = &migration.subject;
        rows.add_row([
            migration.id.to_string(),
            subject.instance.to_string(),
            subject.source().to_string(),
            subject.target().to_string(),
            words::mode(subject.mode).to_owned(),
            words::state(&migration.state),
            words::turn(migration),
        ]);
    }
    let rows = drawn(rows, &[0]);
    format!("{rows}\n")
}

/// A migration and what it went through.
pub(crate) fn history(of: &History) -> String {
    let migration = &of.migration;
    let subject = &migration.subject;
    let mut text = format!(
        "{} from {} to {} ({})\n",
        subject.instance,
        subject.source(),
        subject.target(),
        words::mode(subject.mode)
    );
    let _ = writeln!(text, "migration   {}", migration.id);
    let _ = writeln!(text, "how far     {}", words::state(&migration.state));
    let _ = writeln!(text, "turn        {}", words::turn(migration));
    if let Some(cause) = &migration.cause {
        let _ = writeln!(text, "because     {cause}");
    }
    if let Some(death) = &migration.death {
        let _ = writeln!(text, "proof       {death}");
    }
    if let Some(way) = words::way_on(migration) {
        let _ = writeln!(text, "to go on    {way}");
    }
    let _ = writeln!(text, "copied      {} MiB", migration.figures.bytes >> 20);
    if let Some(downtime) = migration.figures.downtime_ms() {
        let _ = writeln!(text, "downtime    {downtime} ms");
    }
    if let Some(at) = migration.figures.cut_off_at {
        let _ = writeln!(text, "cut off     its guest had not obeyed its power button and was powered off by {at}");
    }
    let mut rows = table(["at", "what happened", "then"]);
    for entry in &of.journal {
        rows.add_row([entry.at.to_string(), entry.event.clone(), entry.state.clone()]);
    }
    let rows = drawn(rows, &[0]);
    let _ = writeln!(text, "\n{rows}");
    text
}
