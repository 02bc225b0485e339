//! The descriptor of an OVF package (`.ovf`); DMTF DSP0243, its hardware in the words of CIM's resource allocation settings.

use decant_schema::machine::{DiskBus, Link, NicModel};
use roxmltree::{Document, Node};

use super::{DescribedDisk, Facts, attribute, text};
use crate::cli::NicArgument;

/// CIM's numbers of resource types (CIM_ResourceAllocationSettingData.ResourceType).
const PROCESSOR: &str = "3";
const MEMORY: &str = "4";
const IDE: &str = "5";
const SCSI: &str = "6";
const ETHERNET: &str = "10";
const DISK: &str = "17";
const SATA: &str = "20";

/// What the descriptor says.
///
/// # Errors
/// What is wrong with it, in words.
pub(in super::super) fn ovf(xml: &str) -> Result<Facts, String> {
    let document = Document::parse(xml).map_err(|error| error.to_string())?;
    let envelope = document.root_element();
    if !envelope.has_tag_name("Envelope") {
        return Err(format!("it is a {}, and no OVF package's descriptor", envelope.tag_name().name()));
    }
    let systems = envelope.descendants().filter(|node| node.has_tag_name("VirtualSystem"));
    let systems: Vec<Node<'_, '_>> = systems.collect();
    let [system] = systems[..] else {
        return Err(format!("it describes {} virtual systems, and one is taken: split it", systems.len()));
    };
    let items: Vec<Node<'_, '_>> = system
        .descendants()
        .filter(|node| {
            node.has_tag_name("Item") || node.has_tag_name("StorageItem") || node.has_tag_name("EthernetPortItem")
        })
        .collect();
    let mut facts = Facts::default();
    size(&items, &mut facts);
    disks(&items, &mut facts);
    let cards = items.iter().filter(|item| is(**item, ETHERNET));
    for card in cards {
        let nic = nic(*card, &mut facts.notes);
        facts.nics.push(nic);
    }
    let files = envelope.descendants().filter(|node| node.has_tag_name("File"));
    let names: Vec<&str> = files.filter_map(|file| attribute(file, "href")).collect();
    facts.notes.push(format!(
        "its disks are in {}: give the first by --image, with --image-format vmdk where it is one, and others by --disk",
        names.join(", ")
    ));
    Ok(facts)
}

fn is(item: Node<'_, '_>, kind: &str) -> bool {
    text(item, "ResourceType") == Some(kind)
}

/// Its size is its flavor's; what it was is said.
fn size(items: &[Node<'_, '_>], facts: &mut Facts) {
    let quantity =
        |kind: &str| items.iter().find(|item| is(**item, kind)).and_then(|item| text(*item, "VirtualQuantity"));
    if let (Some(memory), Some(vcpus)) = (quantity(MEMORY), quantity(PROCESSOR)) {
        facts.notes.push(format!("it has {memory} MiB and {vcpus} vCPU there; here it has what its flavor says"));
    }
}

fn disks(items: &[Node<'_, '_>], facts: &mut Facts) {
    let described = |disk: &Node<'_, '_>| {
        let parent = text(*disk, "Parent");
        let controller = parent.and_then(|id| items.iter().find(|item| text(**item, "InstanceID") == Some(id)));
        let bus = controller.and_then(|controller| match text(*controller, "ResourceType") {
            Some(SCSI) => Some(DiskBus::Scsi),
            Some(IDE | SATA) => Some(DiskBus::Ide),
            _ => None,
        });
        // What packages call them is for people, and no name here.
        DescribedDisk { name: None, bus }
    };
    facts.disks = items.iter().filter(|item| is(**item, DISK)).map(described).collect();
}

fn nic(item: Node<'_, '_>, notes: &mut Vec<String>) -> NicArgument {
    let network = text(item, "Connection").unwrap_or("no network");
    notes.push(format!("its card on {network} gets a network of its own: give it another by --nic"));
    let model = match text(item, "ResourceSubType") {
        Some("virtio" | "VmxNet3") => NicModel::Virtio,
        // What packages name most, and any system knows.
        _ => NicModel::E1000,
    };
    // An address in a package is a wish at most: two guests made from it would share it.
    NicArgument { link: Link::User, mac: None, model }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_package_says_what_its_machine_is() {
        let xml = r#"<Envelope xmlns="http://schemas.dmtf.org/ovf/envelope/1" xmlns:ovf="http://schemas.dmtf.org/ovf/envelope/1"
              xmlns:rasd="http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2/CIM_ResourceAllocationSettingData">
            <References><File ovf:href="web-disk1.vmdk" ovf:id="file1"/></References>
            <VirtualSystem ovf:id="web"><VirtualHardwareSection>
              <Item><rasd:InstanceID>1</rasd:InstanceID><rasd:ResourceType>3</rasd:ResourceType><rasd:VirtualQuantity>2</rasd:VirtualQuantity></Item>
              <Item><rasd:InstanceID>2</rasd:InstanceID><rasd:ResourceType>4</rasd:ResourceType><rasd:VirtualQuantity>1024</rasd:VirtualQuantity></Item>
              <Item><rasd:InstanceID>3</rasd:InstanceID><rasd:ResourceType>6</rasd:ResourceType></Item>
              <Item><rasd:InstanceID>4</rasd:InstanceID><rasd:ResourceType>17</rasd:ResourceType><rasd:Parent>3</rasd:Parent></Item>
              <Item><rasd:Connection>VM Network</rasd:Connection><rasd:InstanceID>5</rasd:InstanceID>
                <rasd:ResourceSubType>VmxNet3</rasd:ResourceSubType><rasd:ResourceType>10</rasd:ResourceType></Item>
            </VirtualHardwareSection></VirtualSystem></Envelope>"#;
        let facts = ovf(xml).unwrap();
        assert_eq!(facts.disks, [DescribedDisk { name: None, bus: Some(DiskBus::Scsi) }]);
        assert_eq!((facts.nics.len(), facts.nics[0].model), (1, NicModel::Virtio));
        for word in ["1024 MiB and 2 vCPU", "VM Network", "web-disk1.vmdk"] {
            assert!(facts.notes.iter().any(|note| note.contains(word)), "{word}: {:?}", facts.notes);
        }
        assert!(ovf("<domain/>").unwrap_err().contains("domain"));
    }
}
