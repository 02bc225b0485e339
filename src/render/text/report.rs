//! A capacity report as text: totals, what can be emptied, what may fail, what more fits, host by host.

use std::fmt::Write as _;

use comfy_table::Cell;
use decant_schema::id::ResourceClass;
use decant_schema::report::{CapacityReport, HostCapacity};

use super::{Extent, more, right};
use crate::render::view::{Level, emptying_counts, obstacles_first};
use crate::render::{bars, drawn, table, words};

/// The whole of a report.
pub(crate) fn report(of: &CapacityReport, extent: Extent) -> String {
    let mut text = totals(of);
    let [empty, directly, displacing, not, unknown] = emptying_counts(of);
    let _ = writeln!(
        text,
        "\nEmptying: {directly} hosts can be emptied as things are, {displacing} if others make room, {not} cannot; {empty} hold nothing."
    );
    if unknown > 0 {
        let _ = writeln!(text, "Of {} it is not known whether they can be emptied.", words::count(unknown, "host"));
    }
    text.push_str("\nFailures:\n");
    for sentence in words::failures(&of.failures) {
        let _ = writeln!(text, "  {sentence}");
    }
    text.push_str(&stranded(of));
    text.push_str(&flavors(of, extent));
    text.push_str(&what_if(of, extent));
    text.push_str(&hosts(of, extent));
    text
}

fn totals(of: &CapacityReport) -> String {
    const BAR: usize = 30;
    let mut rows = table(["class", "capacity", "used", "headroom", ""]);
    for total in &of.classes {
        let class = &total.class;
        rows.add_row([
            Cell::new(words::class(class)),
            right(words::amount(class, total.capacity)),
            right(words::amount(class, total.usage)),
            right(words::amount(class, total.headroom)),
            Cell::new(bars::level(&steady(total.usage, total.capacity), BAR)),
        ]);
    }
    let rows = drawn(rows, &[1, 2, 3]);
    format!("Capacity of {}\n{rows}\n", words::count(of.hosts.len(), "host"))
}

fn steady(used: u64, capacity: u64) -> Level {
    Level { before: used, peak: used, after: used, capacity: Some(capacity) }
}

fn stranded(of: &CapacityReport) -> String {
    let mut text = String::new();
    for stranded in &of.stranded {
        let hosts = words::some_of(stranded.hosts.iter(), stranded.hosts.len());
        let (full, free) = (words::class(&stranded.full), words::amounts(&stranded.headroom));
        let _ = writeln!(text, "\nStranded: {free} on hosts whose {full} is full: {hosts}");
    }
    text
}

fn flavors(of: &CapacityReport, extent: Extent) -> String {
    let shown = extent.of(of.flavors.len());
    let mut rows = table(["flavor", "present", "more fit", "on hosts"]);
    for room in &of.flavors[..shown] {
        let figures = [room.present, room.more, room.hosts].map(|count| right(words::grouped(count)));
        rows.add_row(std::iter::once(Cell::new(&room.flavor)).chain(figures).collect::<Vec<_>>());
    }
    let rows = drawn(rows, &[1, 2, 3]);
    let mut text = format!("\nFlavors: how many more of each fit, if nothing else is added\n{rows}\n");
    more(&mut text, of.flavors.len() - shown, "flavor");
    text
}

fn what_if(of: &CapacityReport, extent: Extent) -> String {
    let shown = extent.of(of.what_if.len());
    let mut rows = table(["what if", "then"]);
    for case in &of.what_if[..shown] {
        rows.add_row([words::change(&case.change), words::effect(case)]);
    }
    let rows = drawn(rows, &[]);
    let mut text = format!("\nWhat if\n{rows}\n");
    more(&mut text, of.what_if.len() - shown, "case");
    text
}

fn hosts(of: &CapacityReport, extent: Extent) -> String {
    let shown = extent.of(of.hosts.len());
    let classes: Vec<_> = of.classes.iter().map(|total| &total.class).collect();
    let mut rows = table(["host", "instances", "used", "can be emptied", "what stands in the way"]);
    // Where not all are shown, those that something stands in the way of come first.
    let all: Vec<&HostCapacity> = if shown < of.hosts.len() { obstacles_first(of) } else { of.hosts.iter().collect() };
    for host in &all[..shown] {
        rows.add_row([
            Cell::new(&host.name),
            right(words::grouped(host.instances)),
            Cell::new(usage(host, &classes)),
            Cell::new(words::verdict(&host.emptying)),
            Cell::new(words::emptying(&host.emptying)),
        ]);
    }
    let rows = drawn(rows, &[1]);
    let mut text = format!("\nHosts\n{rows}\n");
    more(&mut text, of.hosts.len() - shown, "host");
    text
}

/// `memory 82 %, vCPU 40 %`.
fn usage(host: &HostCapacity, classes: &[&ResourceClass]) -> String {
    let of = |class: &ResourceClass| {
        let (used, capacity) = (host.usage.get(class)?, *host.capacity.get(class)?);
        let percent = u128::from(*used) * 100 / u128::from(capacity.max(1));
        Some(format!("{} {percent} %", words::class(class)))
    };
    classes.iter().filter_map(|class| of(class)).collect::<Vec<_>>().join(", ")
}
