//! The fleet: hosts, what they can hold, and what runs on them.
//!
//! [`FleetDocument`] is the text as written; [`Fleet`] is one that was checked at the door and cannot be wrong: every
//! name known and unique, every amount in range, hosts and instances in the order of their names.

mod check;
mod digest;
mod document;
pub mod ganeti;
mod unique;

use std::collections::HashMap;
use std::sync::OnceLock;

pub use document::{
    Defaults, FORMAT, Flavor, FleetDocument, GroupPolicy, Heartbeat, Host, Instance, InstanceState, Inventory,
    Mobility, Rack, Resources, ServerGroup,
};

use crate::document::ReadError;
use crate::finding::Finding;
use crate::id::{FlavorName, HostName, InstanceId};

/// A checked fleet.
#[derive(Clone, Debug)]
pub struct Fleet {
    document: FleetDocument,
    hosts: HashMap<HostName, usize>,
    flavors: HashMap<FlavorName, usize>,
    instances: HashMap<InstanceId, usize>,
    digest: OnceLock<String>,
}

impl Fleet {
    /// The hosts, by name.
    pub fn hosts(&self) -> &[Host] {
        &self.document.hosts
    }

    /// The instances, by id.
    pub fn instances(&self) -> &[Instance] {
        &self.document.instances
    }

    /// The flavors, by name.
    pub fn flavors(&self) -> &[Flavor] {
        &self.document.flavors
    }

    /// The server groups, by name.
    pub fn server_groups(&self) -> &[ServerGroup] {
        &self.document.server_groups
    }

    /// The document it was made from, put in order.
    pub fn document(&self) -> &FleetDocument {
        &self.document
    }

    /// A host's position in [`Fleet::hosts`].
    pub fn host_index(&self, name: &str) -> Option<usize> {
        self.hosts.get(name).copied()
    }

    /// An instance's position in [`Fleet::instances`].
    pub fn instance_index(&self, id: &str) -> Option<usize> {
        self.instances.get(id).copied()
    }

    /// A flavor's position in [`Fleet::flavors`].
    pub fn flavor_index(&self, name: &str) -> Option<usize> {
        self.flavors.get(name).copied()
    }

    /// What an instance claims now: its own figure where it has one, else its flavor's.
    pub fn claim<'a>(&'a self, instance: &'a Instance) -> &'a Resources {
        instance.resources.as_ref().unwrap_or_else(|| &self.document.flavors[self.flavors[&instance.flavor]].resources)
    }
}

/// A fleet that was let in, and what is worth a warning in it.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The fleet.
    pub fleet: Fleet,
    /// What can be planned with, but is probably not what was meant.
    pub warnings: Vec<Finding>,
}

/// Reads a fleet document, plain or packed: the door. Every error at once, each with its place and what would be right.
pub fn read(bytes: &[u8]) -> Result<Checked, ReadError> {
    let text = crate::document::decode(bytes)?;
    match crate::document::parse::<FleetDocument>(&text) {
        Ok(document) => admit(document, Some(&text)),
        Err(mut error) => {
            error.errors.extend(errors_beyond(&text, &error.errors));
            Err(error)
        }
    }
}

/// What is wrong with the meaning of a document whose structure is wrong too: the fields at fault are left out, and if
/// the rest is a document, it is checked as one.
fn errors_beyond(text: &str, structure: &[Finding]) -> Vec<Finding> {
    /// A tree of a text takes many times its size; a larger text is told of its structure alone, first.
    const TEXT_BYTES_MAX: usize = 32 << 20;
    // A whole list under a wrong name would make every reference to it look wrong.
    let whole_lists = structure.iter().any(|finding| !finding.place.field.contains('.'));
    if text.len() > TEXT_BYTES_MAX || whole_lists {
        return Vec::new();
    }
    let Ok(mut rest) = serde_json::from_str::<serde_json::Value>(text) else { return Vec::new() };
    for finding in structure {
        let path = finding.place.field.replace('[', ".").replace(']', "");
        if let Some((parent, field)) = path.rsplit_once('.')
            && let Some(serde_json::Value::Object(fields)) = rest.pointer_mut(&format!("/{}", parent.replace('.', "/")))
        {
            fields.remove(field);
        }
    }
    let Ok(document) = serde_json::from_value::<FleetDocument>(rest) else { return Vec::new() };
    admit(document, Some(text)).err().map_or_else(Vec::new, |error| error.errors)
}

/// Checks what a document means and puts it in order. `text` is what it was read from, where there is one.
fn admit(document: FleetDocument, text: Option<&str>) -> Result<Checked, ReadError> {
    let check::Verdict { errors, warnings } = check::check(&document);
    if !errors.is_empty() {
        return Err(ReadError { errors: errors.placed(text) });
    }
    Ok(Checked { warnings: warnings.placed(text), fleet: Fleet::ordered(document) })
}

impl Fleet {
    /// Checks a document that was not read from a text. Returns every error, not the first.
    pub fn from_document(document: FleetDocument) -> Result<Self, Vec<Finding>> {
        admit(document, None).map(|checked| checked.fleet).map_err(|error| error.errors)
    }

    /// Puts a checked document in order.
    fn ordered(mut document: FleetDocument) -> Self {
        document.hosts.sort_by(|a, b| a.name.cmp(&b.name));
        document.flavors.sort_by(|a, b| a.name.cmp(&b.name));
        document.instances.sort_by(|a, b| a.id.cmp(&b.id));
        document.server_groups.sort_by(|a, b| a.name.cmp(&b.name));
        document.server_groups.iter_mut().for_each(|group| group.members.sort());
        document.racks.sort_by(|a, b| a.name.cmp(&b.name));
        let hosts = document.hosts.iter().enumerate().map(|(at, host)| (host.name.clone(), at)).collect();
        let flavors = document.flavors.iter().enumerate().map(|(at, flavor)| (flavor.name.clone(), at)).collect();
        let instances = document.instances.iter().enumerate().map(|(at, vm)| (vm.id.clone(), at)).collect();
        Self { document, hosts, flavors, instances, digest: OnceLock::new() }
    }

    /// What tells this state of the fleet from any other, as `blake3:…`. When and from where it was read does not
    /// matter, nor the order in which it was written.
    pub fn digest(&self) -> String {
        self.digest.get_or_init(|| digest::digest(&self.document)).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn errors_of_structure_do_not_hide_errors_of_meaning() {
        let text = r#"{"format":"decant.fleet/1","captured_at":"2026-01-01T00:00:00Z",
            "hosts":[{"name":"a","zonee":"x","inventory":{"VCPU":{"total":4,"allocation_ratio":-4.0}}}],
            "flavors":[{"name":"f","resources":{"VCPU":1}}],
            "instances":[{"id":"i","host":"b","flavor":"f","priority":"high"}]}"#;
        let errors = read(text.as_bytes()).expect_err("four errors").errors;
        let mut fields: Vec<&str> = errors.iter().map(|error| error.place.field.as_str()).collect();
        fields.sort_unstable();
        assert_eq!(
            fields,
            [
                "hosts[0].inventory.VCPU.allocation_ratio",
                "hosts[0].zonee",
                "instances[0].host",
                "instances[0].priority"
            ]
        );
    }
}
