//! A long list: a table whose rows lie in the page as text until they are shown; the first stand in it as rows, too.

use maud::{Markup, PreEscaped, html};

/// A table row and the words by which it is found.
pub(super) struct Row {
    /// What the search box looks through.
    pub(super) words: String,
    /// The row, a `tr`.
    pub(super) markup: Markup,
}

/// Rows that stand in the page as they are too, for browsers without JavaScript; more would make a page heavy.
pub(super) const PLAIN_MAX: usize = 200;

/// A table of rows with a search box and pages.
pub(super) fn list(noun: &str, headings: &Markup, rows: &[Row]) -> Markup {
    let data: Vec<(String, &str)> = rows.iter().map(|row| (row.words.to_lowercase(), row.markup.0.as_str())).collect();
    html! {
        div.list data-list=(noun) {
            div.tools {
                label { "Search " (noun) "s " input type="search" autocomplete="off"; }
                span.status role="status" {}
                button type="button" data-step="-1" { "Previous" }
                button type="button" data-step="1" { "Next" }
            }
            div.scroll tabindex="0" role="group" aria-label={ "Table of " (noun) "s" } {
                table { thead { (headings) } tbody { @for row in rows.iter().take(PLAIN_MAX) { (row.markup) } } }
            }
            script type="application/json" { (PreEscaped(script_safe(&data))) }
        }
    }
}

/// JSON that cannot end the script element it stands in.
fn script_safe(data: &impl serde::Serialize) -> String {
    let json = serde_json::to_string(data).expect("texts can always be written as JSON");
    json.replace('<', "\\u003c")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_the_script_the_first_rows_are_there() {
        let row = |at: usize| Row { words: String::new(), markup: html! { tr { td { "row " (at) } } } };
        let page = list("move", &html! {}, &(0..=PLAIN_MAX).map(row).collect::<Vec<_>>()).into_string();
        assert_eq!(page.matches("<tr>").count(), PLAIN_MAX);
        assert!(page.contains("row 0</td>"), "{page}");
    }

    #[test]
    fn no_name_of_an_instance_can_end_the_script() {
        let evil = Row { words: "</script><script>alert(1)".to_owned(), markup: html! { tr { td { "<b>" } } } };
        let page = list("move", &html! {}, &[evil]).into_string();
        assert_eq!(page.matches("</script").count(), 1, "{page}");
        assert!(!page.contains("<b>"), "{page}");
    }
}
