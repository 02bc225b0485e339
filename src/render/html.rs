//! Pages for the browser: one file, no network, light and dark, by keyboard, readable without colour.
//!
//! Long lists are rows made here, kept as text in the page; a small script shows fifty at a time and filters them, so
//! that a fleet of thousands is as light as one of three. Without the script, their first rows are there.

mod charts;
mod list;
mod plan;
mod report;

use maud::{DOCTYPE, Markup, PreEscaped, html};

pub(crate) use plan::plan;
pub(crate) use report::report;

const STYLE: &str = include_str!("html/style.css");
const SCRIPT: &str = include_str!("html/script.js");

/// A section of a page: its anchor, its heading, what is in it.
struct Section {
    anchor: &'static str,
    heading: &'static str,
    content: Markup,
}

/// A whole page.
fn page(title: &str, lead: &Markup, sections: &[Section]) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:";
                link rel="icon" href="data:,";
                title { (title) " · decant" }
                style { (PreEscaped(STYLE)) }
                noscript { style { ".tools { display: none; }" } }
            }
            body {
                a.skip href="#content" { "Skip to the content" }
                (charts::patterns())
                header {
                    p.brand { "decant" }
                    h1 { (title) }
                    nav aria-label="Sections" {
                        @for section in sections { a href={ "#" (section.anchor) } { (section.heading) } }
                    }
                }
                main #content {
                    (lead)
                    noscript { p.notice { "Without JavaScript, each list shows its first " (list::PLAIN_MAX) " rows; in the terminal, " code { "--all" } " prints all." } }
                    @for section in sections {
                        section id=(section.anchor) aria-labelledby={ (section.anchor) "-heading" } {
                            h2 id={ (section.anchor) "-heading" } { (section.heading) }
                            (section.content)
                        }
                    }
                }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    };
    page.into_string()
}

/// A few figures at the top of a page, each with its name.
fn figures(of: &[(&str, String, String)]) -> Markup {
    html! {
        dl.figures {
            @for (name, value, remark) in of {
                div {
                    dt { (name) }
                    dd { (value) @if !remark.is_empty() { small { (remark) } } }
                }
            }
        }
    }
}
