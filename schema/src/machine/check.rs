//! What a machine must mean, beyond its structure: names that stay names, addresses that are addresses.
//!
//! Names end up on a command line and as names of files. None that passes here means anything else there.

use std::collections::BTreeSet;

use super::{Boot, Firmware, Link, Machine, MachineDisk, Nic};
use crate::finding::{Findings, Path, path_to, shown};
use crate::migration::DiskNumber;

/// The longest name: leaves room for what is added to it within the usual 255 bytes of a file's name.
const NAME_BYTES_MAX: usize = 100;

/// The longest name of an interface: the kernel's IFNAMSIZ, less the byte that ends it.
const INTERFACE_BYTES_MAX: usize = 15;

/// Linux takes so many bytes of a command line on x86 (COMMAND_LINE_SIZE, less the byte that ends it).
const CMDLINE_BYTES_MAX: usize = 2047;

/// A `pc` has 32 slots on its bus; disks, cards and what it has itself share them.
const DEVICES_MAX: usize = DiskNumber::MAX as usize;

const NAME: &str = "write letters, digits, `-`, `_` and `.`, first a letter or a digit";

pub(super) fn check(machine: &Machine) -> Findings {
    let mut errors = Findings::default();
    machine_type(&machine.machine_type, &mut errors);
    if let Firmware::Uefi { code } = &machine.firmware {
        name(code, NAME_BYTES_MAX, path_to!["firmware", "code"], &mut errors);
    }
    if let Some(cpu) = &machine.cpu {
        name(cpu, NAME_BYTES_MAX, path_to!["cpu"], &mut errors);
    }
    disks(&machine.disks, &mut errors);
    nics(&machine.nics, &mut errors);
    boot(&machine.boot, &mut errors);
    errors
}

fn machine_type(text: &str, errors: &mut Findings) {
    let version = text.strip_prefix("pc-i440fx-").or_else(|| text.strip_prefix("pc-q35-"));
    let is_version = |version: &str| {
        let plain = |byte: u8| byte.is_ascii_digit() || byte == b'.';
        !version.is_empty() && version.len() <= NAME_BYTES_MAX && version.bytes().all(plain)
    };
    if !version.is_some_and(is_version) {
        let remedy = "write pc-i440fx- or pc-q35- and a version, as pc-q35-7.2";
        errors.add(path_to!["machine_type"], format!("{} is no machine type with a version", shown(text)), remedy);
    }
}

/// Whether a text stays a name, wherever it is put.
fn is_name(text: &str, bytes_max: usize) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let begins_well = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    begins_well && text.len() <= bytes_max && text.bytes().all(plain)
}

fn name(text: &str, bytes_max: usize, path: Path, errors: &mut Findings) {
    if !is_name(text, bytes_max) {
        errors.add(path, format!("{} is no name", shown(text)), format!("{NAME}, at most {bytes_max}"));
    }
}

fn disks(disks: &[MachineDisk], errors: &mut Findings) {
    if disks.is_empty() {
        errors.add(path_to!["disks"], "there is none", "list the disk it starts from");
    }
    if disks.len() > DEVICES_MAX {
        errors.add(path_to!["disks"], format!("there are {}", disks.len()), format!("at most {DEVICES_MAX} fit"));
    }
    let mut seen = BTreeSet::new();
    for (at, disk) in disks.iter().enumerate() {
        let place = |field: &str| path_to!["disks", at, field];
        name(&disk.name, NAME_BYTES_MAX, place("name"), errors);
        if !seen.insert(&disk.name) {
            let problem = format!("{} is another disk's name", shown(&disk.name));
            errors.add(place("name"), problem, "give each its own");
        }
        if disk.size_bytes == Some(0) {
            errors.add(place("size_bytes"), "a disk of no bytes is none", "leave it out where it is not known");
        }
    }
}

fn nics(nics: &[Nic], errors: &mut Findings) {
    if nics.len() > DEVICES_MAX {
        errors.add(path_to!["nics"], format!("there are {}", nics.len()), format!("at most {DEVICES_MAX} fit"));
    }
    let mut seen = BTreeSet::new();
    for (at, nic) in nics.iter().enumerate() {
        mac(&nic.mac, path_to!["nics", at, "mac"], errors);
        if !seen.insert(nic.mac.to_ascii_lowercase()) {
            let problem = format!("{} is another card's address", shown(&nic.mac));
            errors.add(path_to!["nics", at, "mac"], problem, "give each its own");
        }
        let mut interface = |text: &str, field: &str| {
            name(text, INTERFACE_BYTES_MAX, path_to!["nics", at, "link", field], errors);
        };
        match &nic.link {
            Link::User => {}
            Link::Bridge { bridge } => interface(bridge, "bridge"),
            Link::Tap { tap } => interface(tap, "tap"),
        }
    }
}

fn mac(text: &str, path: Path, errors: &mut Findings) {
    let is_octet = |part: &str| part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let octet = |part: &str| is_octet(part).then(|| u8::from_str_radix(part, 16).ok()).flatten();
    let octets: Option<Vec<u8>> = text.split(':').map(octet).collect();
    // The lowest bit of the first is that of a group's address, which is no card's.
    let is_cards = |octets: &[u8]| octets.len() == 6 && octets[0] & 1 == 0 && octets.iter().any(|octet| *octet != 0);
    if !octets.is_some_and(|octets| is_cards(&octets)) {
        let remedy = "write six pairs of hexadecimal digits, as 52:54:00:12:34:56, the first of them even";
        errors.add(path, format!("{} is no card's address", shown(text)), remedy);
    }
}

fn boot(boot: &Boot, errors: &mut Findings) {
    let Boot::Kernel { kernel, initrd, cmdline } = boot else { return };
    name(kernel, NAME_BYTES_MAX, path_to!["boot", "kernel"], errors);
    if let Some(initrd) = initrd {
        name(initrd, NAME_BYTES_MAX, path_to!["boot", "initrd"], errors);
    }
    if cmdline.len() > CMDLINE_BYTES_MAX || cmdline.chars().any(char::is_control) {
        let remedy = format!("write one line of at most {CMDLINE_BYTES_MAX} bytes");
        errors.add(path_to!["boot", "cmdline"], "a kernel does not take it", remedy);
    }
}
