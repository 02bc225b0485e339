//! What other programs' descriptions say of a machine, as far as it can be one of ours; and what is left out.

mod libvirt;
mod ovf;

use decant_schema::machine::DiskBus;
use roxmltree::Node;
use uuid::Uuid;

use crate::cli::NicArgument;

pub(super) use libvirt::libvirt;
pub(super) use ovf::ovf;

/// What a description says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) machine_type: Option<String>,
    pub(super) firmware: Option<String>,
    pub(super) cpu: Option<String>,
    pub(super) uuid: Option<Uuid>,
    /// The disks, in the order in which it finds them.
    pub(super) disks: Vec<DescribedDisk>,
    pub(super) nics: Vec<NicArgument>,
    /// Whether it has a channel for QEMU's guest agent.
    pub(super) agent: bool,
    /// What a person is to know of what became of it: each in words.
    pub(super) notes: Vec<String>,
}

/// What a description says of a disk.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct DescribedDisk {
    pub(super) name: Option<String>,
    pub(super) bus: Option<DiskBus>,
}

/// The text in the first element of this name below a node, wherever it is.
fn text<'a>(below: Node<'a, '_>, name: &str) -> Option<&'a str> {
    let found = below.descendants().find(|node| node.has_tag_name(name))?;
    found.text().map(str::trim).filter(|text| !text.is_empty())
}

/// An element's attribute, whatever its namespace.
fn attribute<'a>(node: Node<'a, '_>, name: &str) -> Option<&'a str> {
    node.attributes().find(|attribute| attribute.name() == name).map(|attribute| attribute.value())
}

/// The first child of this name.
fn child<'a, 'input>(node: Node<'a, 'input>, name: &str) -> Option<Node<'a, 'input>> {
    node.children().find(|child| child.has_tag_name(name))
}
