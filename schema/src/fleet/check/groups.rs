//! Server groups and their members.

use std::collections::HashMap;

use super::super::document::FleetDocument;
use super::names::Names;
use crate::finding::{Findings, path_to, shown};

pub(super) fn groups(document: &FleetDocument, names: &Names<'_>, errors: &mut Findings) {
    for (at, group) in document.server_groups.iter().enumerate() {
        if group.max_per_host == 0 {
            let problem = "0 members a host leaves them nowhere to be";
            errors.add(path_to!["server_groups", at, "max_per_host"], problem, "give 1 or more");
        }
        let mut seen = HashMap::new();
        for (position, member) in group.members.iter().enumerate() {
            let place = || path_to!["server_groups", at, "members", position];
            names.instance(member.as_str(), place, errors);
            if let Some(first) = seen.insert(member, position) {
                let problem = format!("the instance {} is already members[{first}]", shown(member.as_str()));
                errors.add(place(), problem, "name each member once");
            }
        }
    }
}
