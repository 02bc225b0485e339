//! A file of resizes: one instance and its flavor a line, as spreadsheets and scripts write them. Everything that is wrong in
//! it is reported with its line.

use std::collections::HashMap;
use std::path::Path;

use decant_schema::fleet::Fleet;
use decant_schema::id::{FlavorName, InstanceId};
use decant_schema::request::Resize;

use super::documents;
use super::plan::is_flavor;
use super::select::Names;
use crate::error::Complaint;

/// The resizes that a file lists.
pub(super) fn listed(names: &mut Names<'_>, fleet: &Fleet, path: &Path, text: &str) -> Vec<Resize> {
    let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line.split('#').next().unwrap_or_default().trim()));
    let mut written = lines.filter(|(_, line)| !line.is_empty()).peekable();
    written.next_if(|(_, line)| is_header(line) && fleet.flavor_index("flavor").is_none());
    if written.peek().is_none() {
        let problem = format!("--from: {} names no instance", documents::name(path));
        names.complain(Complaint::new(problem, "write one instance and its flavor a line"));
    }
    let mut resizes = Vec::new();
    let mut resized: HashMap<InstanceId, usize> = HashMap::new();
    for (number, line) in written {
        let place = format!("{} line {number}", documents::name(path));
        let Some((instance, flavor)) = fields(line) else {
            let problem = format!("{place}: not an instance and a flavor");
            names.complain(Complaint::new(problem, "write both, with a comma or a space between them"));
            continue;
        };
        is_flavor(names, fleet, &place, flavor);
        let Some(instance) = names.instance(&place, instance) else { continue };
        if let Some(before) = resized.insert(instance.clone(), number) {
            let problem = format!("{place}: {instance} is in line {before} already");
            names.complain(Complaint::new(problem, "give it one flavor"));
        }
        resizes.push(Resize { instance, flavor: FlavorName::from(flavor) });
    }
    resizes
}

/// Whether a line names the columns, as spreadsheets write it.
fn is_header(line: &str) -> bool {
    fields(line).is_some_and(|(instance, flavor)| {
        instance.eq_ignore_ascii_case("instance") && flavor.eq_ignore_ascii_case("flavor")
    })
}

/// An instance and a flavor; a name with a space in it stands before or after a comma.
fn fields(line: &str) -> Option<(&str, &str)> {
    let (instance, flavor) = line.split_once(',').or_else(|| line.split_once(char::is_whitespace))?;
    let (instance, flavor) = (bare(instance), bare(flavor));
    let by_space = !line.contains(',');
    let more = flavor.contains(',') || by_space && flavor.contains(char::is_whitespace);
    (!instance.is_empty() && !flavor.is_empty() && !more).then_some((instance, flavor))
}

/// A field without the quotes around it.
fn bare(field: &str) -> &str {
    let field = field.trim();
    field.strip_prefix('"').and_then(|field| field.strip_suffix('"')).unwrap_or(field)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_an_instance_and_a_flavor() {
        for line in ["web-1,m1.large", "web-1 , m1.large", "web-1  m1.large", "\"web-1\",\"m1.large\""] {
            assert_eq!(fields(line), Some(("web-1", "m1.large")), "{line}");
        }
        assert_eq!(fields("old web,m1.large"), Some(("old web", "m1.large")));
        for line in ["web-1", "web-1,", ",m1.large", "a,b,c", "a b c"] {
            assert_eq!(fields(line), None, "{line}");
        }
        assert!(is_header("Instance,Flavor") && !is_header("web-1,m1.large"));
    }
}
