//! A plan as text for the terminal: how it ends, what is proven, moves in order, refusals, hosts, timeline.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use comfy_table::{Cell, Color};
use decant_schema::plan::{Move, MoveReason, Outcome, Plan, Refusal};

use super::{Extent, more, right};
use crate::render::notes::{notes, standstill};
use crate::render::{PlanView, bars, coloured, drawn, is_narrow, table, width, words};

/// The whole of a plan.
pub(crate) fn plan(view: PlanView<'_>, extent: Extent) -> String {
    let mut text = header(view.plan, view);
    if !view.plan.refusals.is_empty() {
        text.push_str(&refusals(view, extent));
    }
    if !view.plan.moves.is_empty() {
        text.push_str(&moves(view, extent));
        text.push_str(&timeline(view, extent));
    }
    if !view.plan.rounds.is_empty() || !view.plan.left.is_empty() {
        text.push_str(&rounds(view));
    }
    if !view.plan.hosts.is_empty() {
        text.push_str(&hosts(view, extent));
    }
    text
}

/// Sentences beside the figures that a person reads at once.
const NOTES_MAX: usize = 8;

/// What was asked, how it ends, what is proven, what people should know beside it.
fn header(plan: &Plan, view: PlanView<'_>) -> String {
    let mut text = format!("{}\n", words::request(&plan.request.kind));
    for condition in words::conditions(&plan.request.options) {
        let _ = writeln!(text, "  on condition that {condition}");
    }
    let _ = writeln!(text, "\n{}.", outcome(plan));
    let _ = writeln!(text, "{}.", words::proof(plan));
    if !plan.moves.is_empty() {
        let (transfer, duration) = (words::mebibytes(view.transfer_mb()), words::seconds(view.duration_s()));
        let _ = writeln!(text, "{transfer} cross the network in about {duration}.");
    }
    let notes = notes(view);
    for note in notes.iter().take(NOTES_MAX) {
        let _ = writeln!(text, "Note: {note}.");
    }
    more(&mut text, notes.len().saturating_sub(NOTES_MAX), "note");
    let mut goals = table(["goal", "reached", "proven least", ""]);
    for goal in words::goals(plan) {
        goals.add_row([Cell::new(goal.name), right(goal.reached), right(goal.least), Cell::new(goal.gap)]);
    }
    let goals = drawn(goals, &[1, 2]);
    let _ = writeln!(text, "{goals}\nPlanned in {:.2} s.", plan.proof.seconds);
    text
}

fn outcome(plan: &Plan) -> String {
    let said = words::outcome(plan);
    let code = match plan.outcome {
        Outcome::Complete | Outcome::NothingToDo => "32",
        Outcome::Partial => "33",
    };
    if coloured() { format!("\u{1b}[1;{code}m{said}\u{1b}[0m") } else { said }
}

/// Who stays and why, each rule with its numbers and what to do about it; those that are alike in one entry.
fn refusals(view: PlanView<'_>, extent: Extent) -> String {
    let mut text = format!("\nStaying: {}\n", words::count(view.plan.refusals.len(), "instance"));
    let entries = words::Alike::of(&view.plan.refusals);
    let shown = extent.of(entries.len());
    for entry in &entries[..shown] {
        text.push_str(&one_refusal(view, entry, extent));
    }
    let rest: usize = entries[shown..].iter().map(|entry| entry.all.len()).sum();
    more(&mut text, rest, "instance");
    text
}

fn one_refusal(view: PlanView<'_>, entry: &words::Alike<'_>, extent: Extent) -> String {
    let (refusal, all) = (entry.said(), &entry.all);
    let mut text = format!("  {}{}\n", instances(view, all, extent), on_hosts(view, all));
    for reason in &refusal.reasons {
        let rule = words::rule(reason.rule);
        let _ = writeln!(text, "    because {} [{rule}]", words::reason(reason));
    }
    if let Some(conflict) = refusal.conflict.as_ref().filter(|conflict| conflict.instances.len() > 1) {
        let names = conflict.instances.iter().map(|id| view.instance(id));
        let least = if conflict.irreducible && view.plan.proof.certified {
            "; without any one of them it would fit"
        } else {
            ""
        };
        let names = words::some_of(names, conflict.instances.len());
        let _ = writeln!(text, "    together  {names}{}{least}", words::conflict_rules(&conflict.rules));
    }
    if let Some(would_fit) = &refusal.would_fit {
        let _ = writeln!(text, "    may fit   {would_fit}");
    }
    let fixes = entry.fixes();
    for (fix, times) in &fixes {
        let _ = writeln!(text, "    tried     {} ({})", words::fix(fix), entry.outcome(*times));
    }
    if fixes.is_empty() && refusal.would_fit.is_none() {
        for rule in words::rules(refusal) {
            let _ = writeln!(text, "    to do     {}", words::advice(rule));
        }
    }
    text
}

fn instances(view: PlanView<'_>, all: &[&Refusal], extent: Extent) -> String {
    let mut names = all.iter().map(|refusal| view.instance(&refusal.instance));
    match (all.len(), extent) {
        (1, _) => names.next().unwrap_or_default().to_owned(),
        (many, Extent::Brief) => format!("{}: {}", words::count(many, "instance"), words::some_of(names, many)),
        (many, Extent::Full) => {
            format!("{}: {}", words::count(many, "instance"), names.collect::<Vec<_>>().join(", "))
        }
    }
}

fn on_hosts(view: PlanView<'_>, all: &[&Refusal]) -> String {
    let hosts: BTreeSet<_> = all.iter().filter_map(|refusal| view.host_of(&refusal.instance)).collect();
    if hosts.is_empty() { String::new() } else { format!(" on {}", words::some_of(hosts.iter(), hosts.len())) }
}

/// The moves in the order of the plan.
fn moves(view: PlanView<'_>, extent: Extent) -> String {
    let all = view.waves();
    let shown = extent.of(all.len());
    let rows = if is_narrow() {
        let mut rows = table(["move", "instance", "from → to", "why", "after", "size", "start"]);
        for (_, step) in &all[..shown] {
            rows.add_row(short_move_row(view, step));
        }
        drawn(rows, &[0, 2, 5, 6])
    } else {
        let mut rows = table(["move", "wave", "instance", "from", "to", "how", "why", "after", "size", "start", "end"]);
        for (wave, step) in &all[..shown] {
            rows.add_row(move_row(view, *wave, step));
        }
        drawn(rows, &[0, 1, 8, 9, 10])
    };
    let which =
        if is_narrow() { "each when those of “after” have ended" } else { "those of a wave may run together" };
    let mut text = format!("\nMoves, in order; {which}\n{rows}\n");
    more(&mut text, all.len() - shown, "move");
    text.push_str(&standstills(view, extent));
    text
}

/// Who stands still, why and for how long, where the header says it of several in sum.
fn standstills(view: PlanView<'_>, extent: Extent) -> String {
    let still: Vec<_> = view.plan.moves.iter().filter_map(|step| Some((step, step.standstill.as_ref()?))).collect();
    let mut text = String::new();
    if still.len() > 1 {
        let shown = extent.of(still.len());
        for (step, of) in &still[..shown] {
            let _ = writeln!(text, "{:>5} {} {}", step.id, view.instance(&step.instance), standstill(of));
        }
        more(&mut text, still.len() - shown, "move");
    }
    text
}

fn move_row(view: PlanView<'_>, wave: usize, step: &Move) -> Vec<Cell> {
    vec![
        right(step.id),
        right(wave),
        Cell::new(name_of(view, step)),
        Cell::new(&step.source),
        Cell::new(target_of(step)),
        Cell::new(words::mode(step.mode)),
        why_of(step),
        Cell::new(words::some_of(step.after.iter(), step.after.len())),
        right(words::mebibytes(step.transfer_mb.count())),
        right(words::seconds(step.start_s)),
        right(words::seconds(step.end_s)),
    ]
}

/// What a narrow terminal has room for: the timeline below shows the rest.
fn short_move_row(view: PlanView<'_>, step: &Move) -> Vec<Cell> {
    vec![
        right(step.id),
        Cell::new(name_of(view, step)),
        Cell::new(format!("{} → {}", step.source, target_of(step))),
        why_of(step),
        Cell::new(words::some_of(step.after.iter(), step.after.len())),
        right(words::mebibytes(step.transfer_mb.count())),
        right(words::seconds(step.start_s)),
    ]
}

fn name_of(view: PlanView<'_>, step: &Move) -> String {
    let flavor = step.flavor.as_ref().map_or_else(String::new, |flavor| format!(" as {flavor}"));
    format!("{}{flavor}", view.instance(&step.instance))
}

fn target_of(step: &Move) -> String {
    if step.source == step.target { "stays".to_owned() } else { step.target.to_string() }
}

fn why_of(step: &Move) -> Cell {
    let why = Cell::new(words::why(step.why));
    if coloured() && step.why != MoveReason::Evacuate { why.fg(Color::Yellow) } else { why }
}

/// When each move runs, by the plan's estimates.
fn timeline(view: PlanView<'_>, extent: Extent) -> String {
    let whole = view.duration_s();
    let shown = extent.of(view.plan.moves.len());
    let label = |step: &Move| format!("{:>5} {}", step.id, view.instance(&step.instance));
    let moves = &view.plan.moves[..shown];
    let labels = moves.iter().map(|step| label(step).chars().count()).max().unwrap_or(0).min(32);
    let room = usize::from(width()).saturating_sub(labels + 3).max(20);
    let mut text = format!("\nTimeline, estimated: 0 to {}\n", words::seconds(whole));
    for step in moves {
        let name: String = label(step).chars().take(labels).collect();
        let _ = writeln!(text, "{name:labels$} │{}", bars::span(step.start_s, step.end_s, whole, room));
    }
    more(&mut text, view.plan.moves.len() - shown, "move");
    text
}

/// The rounds of a rolling plan, and how few there can be.
fn rounds(view: PlanView<'_>) -> String {
    let plan = view.plan;
    let mut rows = table(["round", "hosts out", "moves", "at least", "empty at", "back at"]);
    for (at, round) in plan.rounds.iter().enumerate() {
        rows.add_row([
            right(at + 1),
            Cell::new(words::some_of(round.hosts.iter(), round.hosts.len())),
            right(round.moves.len()),
            right(round.least_moves),
            right(view.moment(round.empty_at_s)),
            right(view.moment(round.returned_at_s)),
        ]);
    }
    let rows = drawn(rows, &[0, 2, 3, 4, 5]);
    let least = words::rounds(plan).map_or_else(String::new, |least| format!("{least}.\n"));
    let left = words::left(plan).map_or_else(String::new, |left| format!("{left}.\n"));
    let away = words::away(plan).map_or_else(String::new, |away| format!("{away}.\n"));
    format!("\nRounds\n{least}{left}{away}{rows}\n")
}

/// Every touched host by class: before, at its fullest, after.
fn hosts(view: PlanView<'_>, extent: Extent) -> String {
    let bar = if is_narrow() { 12 } else { 28 };
    let all = &view.plan.hosts;
    let shown = extent.of(all.len());
    let mut rows = table(["host", "class", "before", "peak", "after", "capacity", ""]);
    for host in &all[..shown] {
        for (at, class) in view.classes().into_iter().enumerate() {
            let level = view.level(host, class);
            let capacity = level.capacity.map_or_else(|| "?".to_owned(), |all| words::amount(class, all));
            rows.add_row([
                Cell::new(if at == 0 { host.name.as_str() } else { "" }),
                Cell::new(words::class(class)),
                right(words::amount(class, level.before)),
                right(words::amount(class, level.peak)),
                right(words::amount(class, level.after)),
                right(capacity),
                Cell::new(bars::level(&level, bar)),
            ]);
        }
    }
    let against = if view.fleet.is_some() { "" } else { "; --fleet adds capacities" };
    let rows = drawn(rows, &[2, 3, 4, 5, 6]);
    let legend =
        if is_narrow() { format!("\n{}", bars::LEGEND.replace("   ", "  ")) } else { format!("   {}", bars::LEGEND) };
    let mut text = format!("\nHosts{legend}{against}\n{rows}\n");
    more(&mut text, all.len() - shown, "host");
    text
}
