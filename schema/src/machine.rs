//! What machine an instance is: all of a guest but its size, which its flavor says, and what is on its disks.
//!
//! The document travels with the disks, so where it arrives it is as foreign as they are: [`read`] is the door. It names no
//! path. Kernels, firmware and interfaces are named as each host's own list knows them; whether a host has them is the
//! host's to say.

mod check;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::document::{Document, List, ReadError};

/// The format this version reads and writes.
pub const FORMAT: &str = "decant.machine/1";

/// A machine type both QEMU 7.2 and 10 know, so that a memory saved by one is read by the other.
pub const MACHINE_TYPE: &str = "pc-i440fx-7.2";

impl Document for Machine {
    const FORMAT: &'static str = FORMAT;
    const NAME: &'static str = "a machine";
    const LISTS: &'static [List] = &[];

    fn format(&self) -> &str {
        &self.format
    }
}

/// A guest's machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Machine {
    /// Always `decant.machine/1`.
    #[schemars(extend("const" = FORMAT))]
    pub format: String,
    /// QEMU's machine type with its version, as `pc-i440fx-7.2` or `pc-q35-7.2`: without one, another QEMU makes another
    /// machine of it.
    pub machine_type: String,
    /// What starts it.
    #[serde(default)]
    pub firmware: Firmware,
    /// QEMU's processor model, as `Haswell-v4`; null: the machine type's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu: Option<String>,
    /// What its firmware tells its system that it is; null: nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uuid: Option<Uuid>,
    /// Its disks, in the order in which it finds them; it starts from the first.
    pub disks: Vec<MachineDisk>,
    /// Its network cards, in the order in which it finds them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nics: Vec<Nic>,
    /// Where its serial line leads.
    #[serde(default)]
    pub serial: Serial,
    /// Whether it has a channel for an agent that runs in it (QEMU's guest agent).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub agent: bool,
    /// What is started.
    #[serde(default)]
    pub boot: Boot,
}

/// What starts a machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Firmware {
    /// SeaBIOS, which comes with QEMU.
    #[default]
    Bios,
    /// A UEFI firmware of the host's list.
    Uefi {
        /// Its name in the list.
        code: String,
    },
}

/// A disk of a machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MachineDisk {
    /// What it is called, once in a machine.
    pub name: String,
    /// The format of its image.
    #[serde(default)]
    pub format: DiskFormat,
    /// How the guest reaches it.
    #[serde(default)]
    pub bus: DiskBus,
    /// How large it was made, bytes; it is never smaller, and a resize may have made it larger. Null: not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
}

/// The format of a disk's image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DiskFormat {
    /// QEMU's own, which can be frozen under a running guest.
    #[default]
    Qcow2,
}

/// How a guest reaches a disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DiskBus {
    /// virtio-blk.
    #[default]
    Virtio,
    /// A disk at a virtio-scsi controller.
    Scsi,
    /// The machine type's own controller: IDE, or SATA of a q35.
    Ide,
}

/// A network card.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Nic {
    /// Its address, as `52:54:00:12:34:56`; it keeps it wherever it goes.
    pub mac: String,
    /// Its model.
    #[serde(default)]
    pub model: NicModel,
    /// What it is plugged into.
    pub link: Link,
}

/// The model of a network card.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum NicModel {
    /// virtio-net.
    #[default]
    Virtio,
    /// An Intel 82540EM, which any system knows.
    E1000,
}

/// What a network card is plugged into.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Link {
    /// A network of its own behind its QEMU, which lets it out and nobody in.
    User,
    /// A bridge of the host's list.
    Bridge {
        /// Its name.
        bridge: String,
    },
    /// A tap interface of the host's list, made by its administrator.
    Tap {
        /// Its name.
        tap: String,
    },
}

/// Where a serial line leads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Serial {
    /// Into a log.
    #[default]
    File,
    /// Into a log, and to whoever attaches to it.
    Socket,
}

/// What is started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Boot {
    /// What is on the first disk.
    #[default]
    Disk,
    /// A kernel of the host's list.
    Kernel {
        /// Its name in the list.
        kernel: String,
        /// The name of its first file system in the list; null: none.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        initrd: Option<String>,
        /// Its command line.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        cmdline: String,
    },
    /// The host's one kernel for guests that name none, where it has one, else what is on the first disk.
    HostKernel,
}

impl Machine {
    /// What every guest was before it had a machine of its own: one disk and a serial line.
    pub fn plain() -> Self {
        Self {
            format: FORMAT.to_owned(),
            machine_type: MACHINE_TYPE.to_owned(),
            firmware: Firmware::Bios,
            cpu: None,
            uuid: None,
            disks: vec![MachineDisk::named("root")],
            nics: Vec::new(),
            serial: Serial::File,
            agent: false,
            boot: Boot::HostKernel,
        }
    }
}

impl MachineDisk {
    /// A virtio disk of this name.
    pub fn named(name: &str) -> Self {
        Self { name: name.to_owned(), format: DiskFormat::Qcow2, bus: DiskBus::Virtio, size_bytes: None }
    }
}

/// Reads a machine: every error at once, each with its place and what would be right.
pub fn read(bytes: &[u8]) -> Result<Machine, ReadError> {
    let text = crate::document::decode(bytes)?;
    let machine: Machine = crate::document::parse(&text)?;
    admit(machine, Some(&text))
}

/// Checks a machine that was not read from a text. Returns every error, not the first.
pub fn admit_made(machine: Machine) -> Result<Machine, ReadError> {
    admit(machine, None)
}

fn admit(machine: Machine, text: Option<&str>) -> Result<Machine, ReadError> {
    let errors = check::check(&machine);
    if errors.is_empty() { Ok(machine) } else { Err(ReadError { errors: errors.placed(text) }) }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_machine_reads_as_it_was_written() {
        let nic = Nic { mac: "52:54:00:12:34:56".to_owned(), model: NicModel::E1000, link: Link::User };
        let machine = Machine {
            uuid: Some(Uuid::from_u128(7)),
            cpu: Some("Haswell-v4".to_owned()),
            nics: vec![nic],
            agent: true,
            boot: Boot::Kernel { kernel: "linux".to_owned(), initrd: None, cmdline: "root=/dev/vda, ro".to_owned() },
            ..Machine::plain()
        };
        let text = serde_json::to_vec(&machine).unwrap();
        assert_eq!(read(&text).unwrap(), machine);
    }

    #[test]
    fn everything_that_is_wrong_is_said_at_once_with_its_place() {
        let text = br#"{ "format": "decant.machine/1", "machine_type": "pc,accel=kvm",
            "cpu": "host,+vmx", "firmware": { "kind": "uefi", "code": "../../etc/passwd" },
            "disks": [ { "name": "a" }, { "name": "a", "size_bytes": 0 } ],
            "nics": [ { "mac": "53:54:00:12:34:56", "link": { "kind": "tap", "tap": "a,script=/x" } },
                      { "mac": "52:54:00", "link": { "kind": "bridge", "bridge": "a-bridge-too-long" } } ],
            "boot": { "kind": "kernel", "kernel": "/boot/x", "initrd": ".x", "cmdline": "a\nb" } }"#;
        let errors = read(text).unwrap_err().errors;
        let fields: Vec<&str> = errors.iter().map(|error| error.place.field.as_str()).collect();
        assert_eq!(
            fields,
            [
                "machine_type",
                "firmware.code",
                "cpu",
                "disks[1].name",
                "disks[1].size_bytes",
                "nics[0].mac",
                "nics[0].link.tap",
                "nics[1].mac",
                "nics[1].link.bridge",
                "boot.kernel",
                "boot.initrd",
                "boot.cmdline",
            ]
        );
        assert!(errors.iter().all(|error| !error.remedy.is_empty() && error.place.line_column.is_some()));
    }

    #[test]
    fn a_machine_without_a_disk_or_with_a_field_nobody_knows_is_refused() {
        let text = br#"{ "format": "decant.machine/1", "machine_type": "pc-q35-7.2", "disks": [] }"#;
        assert_eq!(read(text).unwrap_err().errors[0].place.field, "disks");
        let text = br#"{ "format": "decant.machine/1", "machine_type": "pc-q35-7.2", "disk": [] }"#;
        assert!(read(text).is_err());
        let text = br#"{ "format": "decant.machine/9", "machine_type": "pc-q35-7.2", "disks": [] }"#;
        assert!(read(text).unwrap_err().to_string().contains("decant.machine/9"));
    }
}
