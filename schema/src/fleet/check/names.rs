//! Names: well-formed, unique, and known where they are used.

use std::collections::HashMap;

use super::super::document::FleetDocument;
use crate::finding::{Findings, Path, path_to, shown};
use crate::nearest::Suggestions;

/// The longest name, in bytes: as long as Nova, Placement and the domain name system allow.
const NAME_BYTES_MAX: usize = 255;

/// Every name of a document, with its position in its list.
pub(super) struct Names<'a> {
    hosts: Known<'a>,
    flavors: Known<'a>,
    instances: Known<'a>,
    racks: Known<'a>,
    suggestions: Suggestions,
}

/// The names of one list.
struct Known<'a> {
    what: &'static str,
    positions: HashMap<&'a str, usize>,
}

impl<'a> Names<'a> {
    /// Collects the names; those malformed or taken already are errors.
    pub(super) fn new(document: &'a FleetDocument, errors: &mut Findings) -> Self {
        let hosts = document.hosts.iter().map(|host| host.name.as_str());
        let flavors = document.flavors.iter().map(|flavor| flavor.name.as_str());
        let instances = document.instances.iter().map(|instance| instance.id.as_str());
        let groups = document.server_groups.iter().map(|group| group.name.as_str());
        let racks = document.racks.iter().map(|rack| rack.name.as_str());
        Known::new("server group", "server_groups", "name", groups, errors);
        Self {
            hosts: Known::new("host", "hosts", "name", hosts, errors),
            flavors: Known::new("flavor", "flavors", "name", flavors, errors),
            instances: Known::new("instance", "instances", "id", instances, errors),
            racks: Known::new("rack", "racks", "name", racks, errors),
            suggestions: Suggestions::default(),
        }
    }

    /// A host's position, or an error where the name is used.
    pub(super) fn host(&self, name: &str, at: impl FnOnce() -> Path, errors: &mut Findings) -> Option<usize> {
        self.look_up(&self.hosts, name, at, errors)
    }

    /// A flavor's position, or an error where the name is used.
    pub(super) fn flavor(&self, name: &str, at: impl FnOnce() -> Path, errors: &mut Findings) -> Option<usize> {
        self.look_up(&self.flavors, name, at, errors)
    }

    /// An instance's position, or an error where the id is used.
    pub(super) fn instance(&self, id: &str, at: impl FnOnce() -> Path, errors: &mut Findings) -> Option<usize> {
        self.look_up(&self.instances, id, at, errors)
    }

    /// A rack's position, or an error where the name is used.
    pub(super) fn rack(&self, name: &str, at: impl FnOnce() -> Path, errors: &mut Findings) -> Option<usize> {
        self.look_up(&self.racks, name, at, errors)
    }

    /// The position of a host that is known to be there.
    pub(super) fn host_at(&self, name: &str) -> usize {
        self.hosts.positions[name]
    }

    /// The position of a flavor that is known to be there.
    pub(super) fn flavor_at(&self, name: &str) -> usize {
        self.flavors.positions[name]
    }

    /// The position of an instance that is known to be there.
    pub(super) fn instance_at(&self, id: &str) -> usize {
        self.instances.positions[id]
    }

    fn look_up(
        &self,
        known: &Known<'_>,
        name: &str,
        at: impl FnOnce() -> Path,
        errors: &mut Findings,
    ) -> Option<usize> {
        let position = known.positions.get(name).copied();
        if position.is_none() {
            let problem = format!("the {} {} is not in the fleet", known.what, shown(name));
            let remedy = match self.suggestions.nearest(name, known.positions.keys().copied()) {
                Some(meant) => format!("did you mean {}?", shown(meant)),
                None => format!("name one of the fleet's {}s, or add this one", known.what),
            };
            errors.add(at(), problem, remedy);
        }
        position
    }
}

impl<'a> Known<'a> {
    fn new(
        what: &'static str,
        list: &'static str,
        field: &'static str,
        names: impl Iterator<Item = &'a str>,
        errors: &mut Findings,
    ) -> Self {
        let mut positions = HashMap::new();
        for (at, name) in names.enumerate() {
            self::name(name, || path_to![list, at, field], errors);
            if let Some(first) = positions.insert(name, at) {
                let problem = format!("the {what} {} is already in {list}[{first}]", shown(name));
                errors.add(path_to![list, at, field], problem, format!("give each its own {field}"));
            }
        }
        Self { what, positions }
    }
}

/// A name must be there, short, and printable.
pub(super) fn name(name: &str, at: impl FnOnce() -> Path, errors: &mut Findings) {
    if name.is_empty() {
        errors.add(at(), "the name is empty", "give it a name");
    } else if name.len() > NAME_BYTES_MAX {
        let problem = format!("the name {} is longer than {NAME_BYTES_MAX} bytes", shown(name));
        errors.add(at(), problem, "give it a shorter name");
    } else {
        text(name, at, errors);
    }
}

/// A text must not hold control characters: it will be printed on terminals.
pub(super) fn text(text: &str, at: impl FnOnce() -> Path, errors: &mut Findings) {
    if text.chars().any(char::is_control) {
        errors.add(at(), format!("{} holds a control character", shown(text)), "leave it out");
    }
}
