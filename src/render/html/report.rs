//! A capacity report as a page.

use decant_schema::id::ResourceClass;
use decant_schema::report::{CapacityReport, HostCapacity};
use maud::{Markup, html};

use super::list::{Row, list};
use super::{Section, charts, figures, page};
use crate::render::view::{emptying_counts, obstacles_first};
use crate::render::words;

/// A capacity report as a page.
pub(crate) fn report(of: &CapacityReport) -> String {
    let mut sections = vec![
        Section { anchor: "classes", heading: "Resources", content: classes(of) },
        Section { anchor: "failures", heading: "Failures", content: failures(of) },
    ];
    if !of.stranded.is_empty() {
        sections.push(Section { anchor: "stranded", heading: "Stranded headroom", content: stranded(of) });
    }
    sections.push(Section { anchor: "flavors", heading: "Flavors", content: flavors(of) });
    sections.push(Section { anchor: "what-if", heading: "What if", content: what_if(of) });
    sections.push(Section { anchor: "hosts", heading: "Hosts", content: hosts(of) });
    page(&format!("Capacity of {}", words::count(of.hosts.len(), "host")), &lead(of), &sections)
}

fn lead(of: &CapacityReport) -> Markup {
    let [empty, directly, displacing, not, unknown] = emptying_counts(of);
    let spare = format!("N+{}", of.failures.spare_hosts);
    html! {
        p { "A dry run over the fleet as read on " (of.captured_at.strftime("%Y-%m-%d %H:%M:%S UTC")) "; nothing was moved." }
        @let conditions = words::conditions(&of.options);
        @if !conditions.is_empty() { p.muted { "On condition that " (conditions.join("; ")) "." } }
        @if unknown > 0 { p { "Of " (words::count(unknown, "host")) " it is not known whether they can be emptied." } }
        (figures(&[
            ("Can be emptied", words::grouped(directly as u64), "as things are".to_owned()),
            ("Can be emptied", words::grouped(displacing as u64), "if others move".to_owned()),
            ("Cannot be emptied", words::grouped(not as u64), String::new()),
            ("Hold nothing", words::grouped(empty as u64), String::new()),
            ("Spare hosts", spare, "in every case tried".to_owned()),
        ]))
    }
}

fn classes(of: &CapacityReport) -> Markup {
    html! {
        div.scroll {
            table.narrow {
                thead { tr { th { "Class" } th.number { "Capacity" } th.number { "Used" } th.number { "Headroom" } th { "" } } }
                tbody {
                    @for total in &of.classes {
                        @let amount = |count| words::amount(&total.class, count);
                        @let title = format!("{}: {} of {} used", words::class(&total.class), amount(total.usage), amount(total.capacity));
                        tr {
                            th scope="row" { (words::class(&total.class)) }
                            td.number { (amount(total.capacity)) }
                            td.number { (amount(total.usage)) }
                            td.number { (amount(total.headroom)) }
                            td { (charts::fill(total.usage, total.capacity, &title)) }
                        }
                    }
                }
            }
        }
    }
}

fn failures(of: &CapacityReport) -> Markup {
    html! { ul { @for sentence in words::failures(&of.failures) { li { (sentence) } } } }
}

fn stranded(of: &CapacityReport) -> Markup {
    html! {
        ul {
            @for stranded in &of.stranded {
                li {
                    (words::amounts(&stranded.headroom)) " on " (words::count(stranded.hosts.len(), "host")) " whose "
                    (words::class(&stranded.full)) " is full: " (words::some_of(stranded.hosts.iter(), stranded.hosts.len()))
                }
            }
        }
    }
}

fn flavors(of: &CapacityReport) -> Markup {
    let row = |room: &decant_schema::report::FlavorRoom| Row {
        words: room.flavor.to_string(),
        markup: html! {
            tr {
                th scope="row" { (room.flavor) }
                @for count in [room.present, room.more, room.hosts] { td.number { (words::grouped(count)) } }
            }
        },
    };
    let headings =
        html! { tr { th { "Flavor" } th.number { "Present" } th.number { "More fit" } th.number { "On hosts" } } };
    list("flavor", &headings, &of.flavors.iter().map(row).collect::<Vec<_>>())
}

fn what_if(of: &CapacityReport) -> Markup {
    let row = |case: &decant_schema::report::WhatIf| {
        let (change, effect) = (words::change(&case.change), words::effect(case));
        Row { words: change.clone(), markup: html! { tr { th scope="row" { (change) } td { (effect) } } } }
    };
    let headings = html! { tr { th { "What if" } th { "Then" } } };
    list("case", &headings, &of.what_if.iter().map(row).collect::<Vec<_>>())
}

fn hosts(of: &CapacityReport) -> Markup {
    let classes: Vec<_> = of.classes.iter().map(|total| &total.class).collect();
    let headings = html! {
        tr { th { "Host" } th { "Can be emptied" } @for class in &classes { th { (words::class(class)) } } }
    };
    list("host", &headings, &obstacles_first(of).into_iter().map(|host| host_row(host, &classes)).collect::<Vec<_>>())
}

fn host_row(host: &HostCapacity, classes: &[&ResourceClass]) -> Row {
    let verdict = words::verdict(&host.emptying);
    let zone = host.zone.as_ref().map(ToString::to_string).unwrap_or_default();
    let state = match (host.up, host.enabled) {
        (false, _) => "down",
        (true, false) => "disabled",
        (true, true) => "",
    };
    let instances = words::count(usize::try_from(host.instances).unwrap_or(usize::MAX), "instance");
    let about = [zone.as_str(), instances.as_str(), state];
    let about: Vec<&str> = about.into_iter().filter(|word| !word.is_empty()).collect();
    let markup = html! {
        tr {
            th scope="row" { (host.name) br; small { (about.join(" · ")) } }
            td { (verdict) @let why = words::emptying(&host.emptying); @if !why.is_empty() { br; small { (why) } } }
            @for class in classes {
                @let (used, capacity) = (host.usage.get(*class).copied().unwrap_or(0), host.capacity.get(*class).copied().unwrap_or(0));
                @let said = format!("{} of {}", words::amount(class, used), words::amount(class, capacity));
                td { (charts::fill(used, capacity, &format!("{} {}: {said}", host.name, words::class(class)))) div.caption { (said) } }
            }
        }
    };
    Row { words: format!("{} {zone} {verdict} {state}", host.name), markup }
}
