//! A libvirt domain (`virsh dumpxml`).

use std::path::Path;

use decant_executor::hypervisor::qemu::AGENT_CHANNEL;
use decant_schema::machine::{DiskBus, Link, MACHINE_TYPE, NicModel};
use roxmltree::{Document, Node};

use super::{DescribedDisk, Facts, attribute, child, text};
use crate::cli::NicArgument;

/// Devices that a guest may miss; consoles, controllers, input and memory balloons come with ours or are of no use.
const MISSED: [&str; 7] = ["filesystem", "graphics", "hostdev", "redirdev", "smartcard", "tpm", "video"];

/// What the domain's XML says.
///
/// # Errors
/// What is wrong with it, in words.
pub(in super::super) fn libvirt(xml: &str) -> Result<Facts, String> {
    let document = Document::parse(xml).map_err(|error| error.to_string())?;
    let domain = document.root_element();
    if !domain.has_tag_name("domain") {
        return Err(format!("it is a {}, and no domain of libvirt's", domain.tag_name().name()));
    }
    let mut facts = Facts { uuid: text(domain, "uuid").and_then(|uuid| uuid.parse().ok()), ..Facts::default() };
    machine_type(domain, &mut facts);
    processor(domain, &mut facts);
    size(domain, &mut facts);
    let devices = child(domain, "devices").map(|devices| devices.children().filter(Node::is_element));
    let devices: Vec<Node<'_, '_>> = devices.into_iter().flatten().collect();
    disks(&devices, &mut facts);
    for interface in devices.iter().filter(|device| device.has_tag_name("interface")) {
        let nic = nic(*interface, &mut facts.notes);
        facts.nics.push(nic);
    }
    facts.agent = devices.iter().any(|device| {
        device.has_tag_name("channel")
            && child(*device, "target").and_then(|target| attribute(target, "name")) == Some(AGENT_CHANNEL)
    });
    let missed = MISSED.iter().filter(|name| devices.iter().any(|device| device.has_tag_name(**name)));
    facts.notes.extend(missed.map(|name| format!("its {name} is left out")));
    Ok(facts)
}

fn machine_type(domain: Node<'_, '_>, facts: &mut Facts) {
    let Some(os) = child(domain, "os") else { return };
    if let Some(named) = child(os, "type").and_then(|kind| attribute(kind, "machine")) {
        match named {
            "pc" | "q35" => {
                facts.notes.push(format!("its machine type {named} has no version, and {MACHINE_TYPE} is taken"))
            }
            versioned => facts.machine_type = Some(versioned.to_owned()),
        }
    }
    let loader = child(os, "loader").and_then(|loader| loader.text());
    facts.firmware =
        loader.and_then(|path| Path::new(path.trim()).file_name()).map(|name| name.to_string_lossy().into_owned());
    if child(os, "nvram").is_some() {
        facts.notes.push("its UEFI variables are left out".to_owned());
    }
}

fn processor(domain: Node<'_, '_>, facts: &mut Facts) {
    let Some(cpu) = child(domain, "cpu") else { return };
    match attribute(cpu, "mode") {
        Some("host-passthrough") => facts.cpu = Some("host".to_owned()),
        Some("host-model") => {
            facts.notes.push("its processor is its host's model, which has no name: give one by --cpu".to_owned())
        }
        _ => facts.cpu = text(cpu, "model").map(str::to_owned),
    }
    if child(cpu, "feature").is_some() {
        facts.notes.push("single features of its processor are left out".to_owned());
    }
}

/// Its size is its flavor's; what it was is said.
fn size(domain: Node<'_, '_>, facts: &mut Facts) {
    if let (Some(memory), Some(vcpus)) = (child(domain, "memory"), text(domain, "vcpu")) {
        let unit = attribute(memory, "unit").unwrap_or("KiB");
        let memory = memory.text().unwrap_or_default().trim();
        facts.notes.push(format!("it has {memory} {unit} and {vcpus} vCPU there; here it has what its flavor says"));
    }
}

fn disks(devices: &[Node<'_, '_>], facts: &mut Facts) {
    let is_disk = |device: &&Node<'_, '_>| {
        device.has_tag_name("disk") && attribute(**device, "device").is_none_or(|kind| kind == "disk")
    };
    let described = |disk: &Node<'_, '_>| {
        let target = |name| attribute(child(*disk, "target")?, name);
        let bus = match target("bus") {
            Some("virtio") => Some(DiskBus::Virtio),
            Some("scsi") => Some(DiskBus::Scsi),
            Some("ide" | "sata") => Some(DiskBus::Ide),
            _ => None,
        };
        DescribedDisk { name: target("dev").map(str::to_owned), bus }
    };
    facts.disks = devices.iter().filter(is_disk).map(described).collect();
}

fn nic(interface: Node<'_, '_>, notes: &mut Vec<String>) -> NicArgument {
    let source = child(interface, "source");
    let named = |name| source.and_then(|source| attribute(source, name)).map(str::to_owned);
    let link = match attribute(interface, "type") {
        Some("bridge") => named("bridge").map(|bridge| Link::Bridge { bridge }),
        Some("ethernet") => {
            let tap = child(interface, "target").and_then(|target| attribute(target, "dev"));
            tap.map(|tap| Link::Tap { tap: tap.to_owned() })
        }
        Some("user") => Some(Link::User),
        _ => None,
    };
    let mac = child(interface, "mac").and_then(|mac| attribute(mac, "address")).map(str::to_ascii_lowercase);
    if link.is_none() {
        let which = mac.as_deref().unwrap_or("without an address");
        notes.push(format!(
            "its card {which} is in a network of libvirt's, and gets one of its own: give it another by --nic"
        ));
    }
    let model = match child(interface, "model").and_then(|model| attribute(model, "type")) {
        Some("e1000" | "e1000e") => NicModel::E1000,
        _ => NicModel::Virtio,
    };
    NicArgument { link: link.unwrap_or(Link::User), mac, model }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_domain_says_what_its_machine_is_and_what_is_left_out() {
        let xml = r#"<domain type='kvm'><name>db</name><uuid>5b8a1a3e-0000-4000-8000-000000000001</uuid>
            <memory unit='KiB'>2097152</memory><vcpu placement='static'>2</vcpu>
            <os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type><loader type='pflash'>/usr/share/OVMF/OVMF_CODE.fd</loader></os>
            <cpu mode='custom'><model fallback='forbid'>Haswell</model></cpu>
            <devices>
              <disk type='file' device='cdrom'><target dev='sda' bus='sata'/></disk>
              <disk type='file' device='disk'><source file='/x/db.qcow2'/><target dev='vda' bus='scsi'/></disk>
              <disk type='file' device='disk'><target dev='vdb' bus='virtio'/></disk>
              <interface type='bridge'><mac address='52:54:00:AA:BB:CC'/><source bridge='br0'/><model type='virtio'/></interface>
              <interface type='network'><mac address='52:54:00:00:00:01'/><source network='default'/><model type='e1000'/></interface>
              <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
              <video><model type='vga'/></video>
            </devices></domain>"#;
        let facts = libvirt(xml).unwrap();
        assert_eq!(facts.machine_type.as_deref(), Some("pc-q35-7.2"));
        assert_eq!((facts.firmware.as_deref(), facts.cpu.as_deref()), (Some("OVMF_CODE.fd"), Some("Haswell")));
        let disks = facts.disks.iter().map(|disk| (disk.name.as_deref(), disk.bus));
        let expected = [(Some("vda"), Some(DiskBus::Scsi)), (Some("vdb"), Some(DiskBus::Virtio))];
        assert!(disks.eq(expected), "{:?}", facts.disks);
        assert!(facts.agent);
        assert_eq!(facts.nics[0].link, Link::Bridge { bridge: "br0".to_owned() });
        assert_eq!(facts.nics[0].mac.as_deref(), Some("52:54:00:aa:bb:cc"));
        assert_eq!((&facts.nics[1].link, facts.nics[1].model), (&Link::User, NicModel::E1000));
        for word in ["2097152 KiB", "52:54:00:00:00:01", "video"] {
            assert!(facts.notes.iter().any(|note| note.contains(word)), "{word}: {:?}", facts.notes);
        }
    }

    #[test]
    fn what_is_no_domain_is_named() {
        assert!(libvirt("<network/>").unwrap_err().contains("network"));
        assert!(libvirt("<domain>").is_err());
        // No entity of a stranger's is read, or multiplied.
        assert!(libvirt("<!DOCTYPE d [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><domain>&a;</domain>").is_err());
    }
}
