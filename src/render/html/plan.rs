//! A plan as a page.

use std::collections::BTreeSet;

use decant_schema::fleet::Resources;
use decant_schema::id::InstanceId;
use decant_schema::plan::{HostUsage, Move, Outcome, Plan};
use maud::{Markup, html};

use super::list::{Row, list};
use super::{Section, charts, figures, page};
use crate::render::notes::{notes, standstill};
use crate::render::{PlanView, words};

/// A plan as a page.
pub(crate) fn plan(view: PlanView<'_>) -> String {
    let plan = view.plan;
    let mut sections = Vec::new();
    let mut add = |anchor, heading, content| sections.push(Section { anchor, heading, content });
    if !plan.refusals.is_empty() {
        add("staying", "Staying", refusals(view));
    }
    add("goals", "Goals", goals(plan));
    if !plan.moves.is_empty() {
        add("moves", "Moves", moves(view));
    }
    if !plan.rounds.is_empty() || !plan.left.is_empty() {
        add("rounds", "Rounds", rounds(view));
    }
    if !plan.hosts.is_empty() {
        add("hosts", "Hosts", hosts(view));
    }
    page(&words::request(&plan.request.kind), &lead(view), &sections)
}

fn lead(view: PlanView<'_>) -> Markup {
    let plan = view.plan;
    let (mark, class) = match plan.outcome {
        Outcome::Complete | Outcome::NothingToDo => ("✓", "good"),
        Outcome::Partial => ("!", "partial"),
    };
    html! {
        p class={ "outcome " (class) } { span aria-hidden="true" { (mark) } " " (words::outcome(plan)) }
        p { (words::proof(plan)) "." }
        @let notes = notes(view);
        @if !notes.is_empty() { ul { @for note in &notes { li { (note) "." } } } }
        @let conditions = words::conditions(&plan.request.options);
        @if !conditions.is_empty() { p.muted { "On condition that " (conditions.join("; ")) "." } }
        (figures(&[
            ("Moves", words::grouped(plan.moves.len() as u64), String::new()),
            ("Staying", words::grouped(plan.refusals.len() as u64), String::new()),
            ("Hosts touched", words::grouped(plan.hosts.len() as u64), String::new()),
            ("Over the network", words::mebibytes(view.transfer_mb()), String::new()),
            ("Duration", words::seconds(view.duration_s()), "estimated".to_owned()),
        ]))
        p.muted { "Plan " code { (plan.id) } ", made " (plan.created_at.strftime("%Y-%m-%d %H:%M:%S UTC")) " in " (format!("{:.2}", plan.proof.seconds)) " s." }
    }
}

fn goals(plan: &Plan) -> Markup {
    html! {
        p.muted { "The first is the most important. A proven least is a bound that no plan at the values above it can beat." }
        div.scroll {
            table.narrow {
                thead { tr { th { "Goal" } th.number { "Reached" } th.number { "Proven least" } th { "" } } }
                tbody {
                    @for goal in words::goals(plan) {
                        tr {
                            td { (goal.name) }
                            td.number { (goal.reached) }
                            td.number { (goal.least) }
                            td { (goal.gap) }
                        }
                    }
                }
            }
        }
    }
}

/// Those that stay for the same reasons are one row.
fn refusals(view: PlanView<'_>) -> Markup {
    let entries = words::Alike::of(&view.plan.refusals);
    let rows: Vec<_> = entries.iter().map(|entry| refusal_row(view, entry)).collect();
    let headings = html! { tr { th { "Instance" } th { "On" } th { "Because" } th { "What would help" } } };
    list("reason", &headings, &rows)
}

fn refusal_row(view: PlanView<'_>, entry: &words::Alike<'_>) -> Row {
    let refusal = entry.said();
    let names: Vec<_> = entry.all.iter().map(|one| (view.instance(&one.instance), &one.instance)).collect();
    let hosts: BTreeSet<_> = entry.all.iter().filter_map(|one| view.host_of(&one.instance)).collect();
    let hosts: Vec<_> = hosts.into_iter().map(ToString::to_string).collect();
    let rules: Vec<_> = words::rules(refusal).into_iter().map(words::rule).collect();
    let one = |name: &str, id: &InstanceId| html! { (name) @if name != id.as_str() { br; small.muted { (id) } } };
    let markup = html! {
        tr {
            th scope="row" {
                @if let [(name, id)] = &names[..] { (one(name, id)) } @else {
                    details { summary { (words::count(names.len(), "instance")) } ul { @for (name, id) in &names { li { (one(name, id)) } } } }
                }
            }
            td.name { (hosts.join(", ")) }
            td { ul { @for reason in &refusal.reasons { li { (words::reason(reason)) " " code { (words::rule(reason.rule)) } } }
                @if let Some(conflict) = refusal.conflict.as_ref().filter(|conflict| conflict.instances.len() > 1) {
                    li { "together with " (words::some_of(conflict.instances.iter().map(|id| view.instance(id)), conflict.instances.len()))
                        (words::conflict_rules(&conflict.rules))
                        @if conflict.irreducible && view.plan.proof.certified { "; without any one of them it would fit" } }
                } } }
            td { (help(entry)) }
        }
    };
    let found: Vec<_> = names.iter().map(|(name, id)| format!("{name} {id}")).collect();
    Row { words: format!("{} {} {}", found.join(" "), hosts.join(" "), rules.join(" ")), markup }
}

/// Changes that were tried where there are any, else what usually helps.
fn help(entry: &words::Alike<'_>) -> Markup {
    let (refusal, fixes) = (entry.said(), entry.fixes());
    html! {
        ul {
            @if let Some(would_fit) = &refusal.would_fit { li { "may fit: " (would_fit) } }
            @for (fix, times) in &fixes { li { (words::fix(fix)) " " small { "(" (entry.outcome(*times)) ")" } } }
            @if fixes.is_empty() && refusal.would_fit.is_none() { @for rule in words::rules(refusal) { li { (words::advice(rule)) } } }
        }
    }
}

fn moves(view: PlanView<'_>) -> Markup {
    let whole = view.duration_s();
    let spans: Vec<_> = view.plan.moves.iter().map(|step| (step.start_s, step.end_s)).collect();
    let rows: Vec<_> = view.waves().into_iter().map(|(wave, step)| move_row(view, wave, step, whole)).collect();
    let headings = html! {
        tr {
            th.number { "Move" } th.number { "Wave" } th { "Instance" } th { "From" } th { "To" } th { "How" } th { "Why" }
            th { "After" } th.number { "Size" } th.number { "Start" } th.number { "End" } th.timeline { (charts::axis(whole, 2)) }
        }
    };
    html! {
        p.muted { "In an order in which they can be done. Moves of a wave may run together; a move starts when all it comes “after” have ended. Times are estimates." }
        @if spans.len() > 8 { (charts::concurrency(&spans, whole)) }
        (list("move", &headings, &rows))
    }
}

fn move_row(view: PlanView<'_>, wave: usize, step: &Move, whole: f64) -> Row {
    let name = view.instance(&step.instance);
    let (mode, why) = (words::mode(step.mode), words::why(step.why));
    let title = format!("{name}: {} to {}", words::seconds(step.start_s), words::seconds(step.end_s));
    let markup = html! {
        tr {
            th.number scope="row" { (step.id) }
            td.number { (wave) }
            td.name { (name) @if let Some(flavor) = &step.flavor { " as " (flavor) } }
            td.name { (step.source) }
            td.name { @if step.source == step.target { "stays" } @else { (step.target) } }
            td { (mode) @if let Some(of) = &step.standstill { br; small { (standstill(of)) } } }
            td { (why) }
            td { (words::some_of(step.after.iter(), step.after.len())) }
            td.number { (words::mebibytes(step.transfer_mb.count())) }
            td.number { (words::seconds(step.start_s)) }
            td.number { (words::seconds(step.end_s)) }
            td.timeline { (charts::span(mode, step.start_s, step.end_s, whole, &title)) }
        }
    };
    let words = format!("{name} {} {} {} {mode} {why} wave{wave}", step.instance, step.source, step.target);
    Row { words, markup }
}

fn rounds(view: PlanView<'_>) -> Markup {
    let plan = view.plan;
    let whole = view.duration_s();
    let rows: Vec<_> = plan
        .rounds
        .iter()
        .enumerate()
        .map(|(at, round)| {
            let names: Vec<_> = round.hosts.iter().map(|host| host.as_str()).collect();
            let title = format!(
                "round {}: out from {} to {}",
                at + 1,
                view.moment(round.empty_at_s),
                view.moment(round.returned_at_s)
            );
            let markup = html! {
                tr {
                    th.number scope="row" { (at + 1) }
                    td { (names.join(", ")) }
                    td.number { (round.moves.len()) }
                    td.number { (round.least_moves) }
                    td.number { (view.moment(round.empty_at_s)) }
                    td.number { (view.moment(round.returned_at_s)) }
                    td.timeline { (charts::span("out", round.empty_at_s, round.returned_at_s, whole, &title)) }
                }
            };
            Row { words: names.join(" "), markup }
        })
        .collect();
    let headings = html! {
        tr { th.number { "Round" } th { "Hosts out" } th.number { "Moves" } th.number { "At least" } th.number { "Empty at" } th.number { "Back at" } th.timeline { (charts::axis(whole, 2)) } }
    };
    html! {
        @if let Some(least) = words::rounds(plan) { p { (least) "." } }
        @if let Some(left) = words::left(plan) { p { (left) "." } }
        @if let Some(away) = words::away(plan) { p { (away) "." } }
        (list("round", &headings, &rows))
    }
}

fn hosts(view: PlanView<'_>) -> Markup {
    let classes = view.classes();
    let rows: Vec<_> = view.plan.hosts.iter().map(|host| host_row(view, host)).collect();
    let headings = html! { tr { th { "Host" } @for class in &classes { th { (words::class(class)) } } } };
    html! {
        (charts::legend())
        @if view.fleet.is_none() { p.muted { "Without the fleet, each bar is as long as its own peak; " code { "--fleet" } " adds capacities." } }
        (list("host", &headings, &rows))
    }
}

fn host_row(view: PlanView<'_>, host: &HostUsage) -> Row {
    let emptied = host.after.values().all(|used| *used == 0) && used(&host.before) > 0;
    let markup = html! {
        tr {
            th scope="row" { (host.name) @if emptied { br; small { "emptied" } } }
            @for class in view.classes() {
                @let level = view.level(host, class);
                @let amount = |count| words::amount(class, count);
                @let of = level.capacity.map_or_else(String::new, |all| format!(" of {}", amount(all)));
                @let title = format!("{} {}: {} before, {} at the peak, {} after{of}", host.name, words::class(class), amount(level.before), amount(level.peak), amount(level.after));
                td {
                    (charts::level(&level, &title))
                    div.caption { (amount(level.before)) " → " (amount(level.after)) (of) @if level.peak > level.before.max(level.after) { ", peak " (amount(level.peak)) } }
                }
            }
        }
    };
    Row { words: format!("{}{}", host.name, if emptied { " emptied" } else { "" }), markup }
}

fn used(usage: &Resources) -> u64 {
    usage.values().fold(0, |all, used| all.saturating_add(*used))
}
