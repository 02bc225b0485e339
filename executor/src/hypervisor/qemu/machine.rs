//! A guest's machine on this host: read beside its disks, held against what the host lets guests have, and put into the
//! words of QEMU's command line.
//!
//! The document came with the disks and is trusted no further. A name in it means an entry of the host's own lists and
//! nothing else; what reaches the command line is either such an entry's path or a name that [`machine::read`] let through.

use std::io;
use std::path::{Path, PathBuf};

use decant_schema::finding::{Finding, Place};
use decant_schema::machine::{self, Boot, DiskBus, Firmware, Link, Machine, MachineDisk, Nic, NicModel};
use decant_schema::migration::{DiskFile, DiskNumber};
use serde_json::{Value, json};

use super::definition::Definition;
use super::{Fault, agent};
use crate::layout::{CopyFolder, HostFolder, write_durably};

/// The largest document that is read (bytes): a machine with all devices that fit takes a twentieth of it.
const DOCUMENT_BYTES_MAX: u64 = 64 << 10;

/// The controller of a machine's SCSI disks.
const SCSI: &str = "scsi";

/// A machine, and where this host has what it names.
pub(super) struct Housed {
    pub(super) machine: Machine,
    boot: Files,
}

/// What is started from outside of the disks.
#[derive(Default)]
struct Files {
    firmware: Option<PathBuf>,
    kernel: Option<PathBuf>,
    initrd: Option<PathBuf>,
}

/// Reads the machine of a copy, or of files that are to become one; without one, what every guest was before.
///
/// Fails with [`Fault::Machine`] where it is not one, or names what this host does not let guests have.
pub(super) fn read(copy: &CopyFolder, definition: Option<&Definition>) -> Result<Housed, Fault> {
    let machine = match read_file(&copy.file(DiskFile::Machine)) {
        // One that is defined with a machine is not made another for want of its file.
        Err(Fault::Io(error)) if error.kind() == io::ErrorKind::NotFound => match definition {
            Some(definition) if !definition.knows_no_machine() => return Err(Fault::Incomplete(DiskFile::Machine)),
            _ => Machine::plain(),
        },
        read => read?,
    };
    match definition.map(|definition| definition.disks().count()) {
        Some(disks) if disks != machine.disks.len() => {
            let problem = format!("there are {}, and it was defined with {disks}", machine.disks.len());
            Err(finding("disks".to_owned(), problem, "bring back the file that was written").into())
        }
        _ => house(machine, &copy.host()),
    }
}

/// Reads a file that came from elsewhere.
pub(super) fn read_file(path: &Path) -> Result<Machine, Fault> {
    let found = path.symlink_metadata()?;
    if !found.is_file() || found.len() > DOCUMENT_BYTES_MAX {
        return Err(whole("it is no file of a machine's size", "bring back the file that was written").into());
    }
    machine::read(&std::fs::read(path)?).map_err(|wrong| Fault::Machine(wrong.errors))
}

/// Writes the machine of a copy that has none, so that it can travel.
pub(super) fn write_unless_there(copy: &CopyFolder, machine: &Machine) -> io::Result<()> {
    if copy.file(DiskFile::Machine).exists() { Ok(()) } else { write(copy, machine) }
}

pub(super) fn write(copy: &CopyFolder, machine: &Machine) -> io::Result<()> {
    let mut text = serde_json::to_vec_pretty(machine)?;
    text.push(b'\n');
    write_durably(&copy.file(DiskFile::Machine), &text)
}

/// Holds a machine against what the host lets guests have; says everything that speaks against it.
pub(super) fn house(machine: Machine, host: &HostFolder) -> Result<Housed, Fault> {
    let mut wrong = Vec::new();
    let boot = files(&machine, host, &mut wrong)?;
    interfaces(&machine.nics, host, &mut wrong)?;
    if wrong.is_empty() { Ok(Housed { machine, boot }) } else { Err(Fault::Machine(wrong)) }
}

fn files(machine: &Machine, host: &HostFolder, wrong: &mut Vec<Finding>) -> io::Result<Files> {
    let mut listed = |found: io::Result<PathBuf>, place: &str, name: &str, list: &str| match found {
        Ok(path) => Ok(Some(path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let folder = host.path().join(list);
            let problem = format!("the host has no {name} in {}", folder.display());
            wrong.push(finding(place.to_owned(), problem, "put it there, or a link to it"));
            Ok(None)
        }
        Err(error) => Err(error),
    };
    let mut files = Files::default();
    if let Firmware::Uefi { code } = &machine.firmware {
        files.firmware = listed(host.listed_firmware(code), "firmware.code", code, "firmware")?;
    }
    match &machine.boot {
        Boot::Disk => {}
        Boot::HostKernel => files.kernel = Some(host.kernel()).filter(|kernel| kernel.exists()),
        Boot::Kernel { kernel, initrd, .. } => {
            files.kernel = listed(host.listed_kernel(kernel), "boot.kernel", kernel, "kernels")?;
            if let Some(initrd) = initrd {
                files.initrd = listed(host.listed_kernel(initrd), "boot.initrd", initrd, "kernels")?;
            }
        }
    }
    Ok(files)
}

fn interfaces(nics: &[Nic], host: &HostFolder, wrong: &mut Vec<Finding>) -> io::Result<()> {
    let listed = host.listed_interfaces()?;
    for (at, nic) in nics.iter().enumerate() {
        let (field, name) = match &nic.link {
            Link::User => continue,
            Link::Bridge { bridge } => ("bridge", bridge),
            Link::Tap { tap } => ("tap", tap),
        };
        if !listed.contains(name) {
            let problem = format!("the host lets no guest have {name}");
            let remedy = format!("if it may, write it into {}, one name a line", host.interfaces().display());
            wrong.push(finding(format!("nics[{at}].link.{field}"), problem, remedy));
        }
    }
    Ok(())
}

fn finding(field: String, problem: impl Into<String>, remedy: impl Into<String>) -> Finding {
    Finding { place: Place { field, line_column: None }, problem: problem.into(), remedy: remedy.into() }
}

fn whole(problem: &str, remedy: &str) -> Finding {
    finding(String::new(), problem, remedy)
}

impl From<Finding> for Fault {
    fn from(finding: Finding) -> Self {
        Self::Machine(vec![finding])
    }
}

impl Housed {
    /// Whether others know it by its cards' addresses.
    pub(super) fn has_nics(&self) -> bool {
        !self.machine.nics.is_empty()
    }

    /// Whether its QEMU has a program of its own plug it in.
    pub(super) fn needs_helper(&self) -> bool {
        self.machine.nics.iter().any(|nic| matches!(nic.link, Link::Bridge { .. }))
    }

    /// Its disks.
    pub(super) fn disks(&self) -> impl DoubleEndedIterator<Item = DiskNumber> + Clone + use<> {
        DiskNumber::all(self.machine.disks.len())
    }

    /// What its QEMU is started with for it, `top` naming the node of a disk's uppermost layer. Values with a path in
    /// them are JSON or arguments of their own, where a comma is a comma; all others are names that were checked.
    pub(super) fn arguments(&self, accelerator: &str, top: impl Fn(DiskNumber) -> String) -> Vec<String> {
        let mut arguments = Vec::new();
        let mut option = |name: &str, value: String| arguments.extend([name.to_owned(), value]);
        option("-machine", format!("{},accel={accelerator}{}", self.machine.machine_type, self.pflash()));
        if let Some(firmware) = &self.boot.firmware {
            let file = json!({ "driver": "file", "filename": firmware, "read-only": true });
            let code = json!({ "driver": "raw", "node-name": "firmware", "read-only": true, "file": file });
            option("-blockdev", code.to_string());
        }
        if let Some(cpu) = &self.machine.cpu {
            option("-cpu", cpu.clone());
        }
        if let Some(uuid) = &self.machine.uuid {
            option("-uuid", uuid.to_string());
        }
        if self.machine.disks.iter().any(|disk| disk.bus == DiskBus::Scsi) {
            option("-device", json!({ "driver": "virtio-scsi-pci", "id": SCSI }).to_string());
        }
        for (number, disk) in self.disks().zip(&self.machine.disks) {
            let mut device = disk_device(number, disk, &top(number));
            if number == DiskNumber::FIRST && self.chooses_a_disk() {
                device["bootindex"] = json!(0);
            }
            option("-device", device.to_string());
        }
        for (at, nic) in self.machine.nics.iter().enumerate() {
            let id = format!("nic{at}");
            option("-netdev", link(&nic.link, &id).to_string());
            option("-device", nic_device(nic, &id).to_string());
        }
        if self.machine.agent {
            option("-device", json!({ "driver": "virtio-serial-pci", "id": "channels" }).to_string());
            option("-chardev", format!("socket,id=agent,path={},server=on,wait=off", agent::SOCKET));
            let port =
                json!({ "driver": "virtserialport", "bus": "channels.0", "chardev": "agent", "name": agent::CHANNEL });
            option("-device", port.to_string());
        }
        self.start(&mut option);
        arguments
    }

    /// Whether its firmware has to be told which disk it starts from. With a kernel, that is what comes first.
    fn chooses_a_disk(&self) -> bool {
        self.machine.disks.len() > 1 && self.boot.kernel.is_none()
    }

    fn pflash(&self) -> &'static str {
        if self.boot.firmware.is_some() { ",pflash0=firmware" } else { "" }
    }

    fn start(&self, option: &mut impl FnMut(&str, String)) {
        let path = |path: &PathBuf| path.to_string_lossy().into_owned();
        if let Some(kernel) = &self.boot.kernel {
            option("-kernel", path(kernel));
        }
        if let Some(initrd) = &self.boot.initrd {
            option("-initrd", path(initrd));
        }
        if let Boot::Kernel { cmdline, .. } = &self.machine.boot
            && !cmdline.is_empty()
        {
            option("-append", cmdline.clone());
        }
    }
}

fn disk_device(number: DiskNumber, disk: &MachineDisk, top: &str) -> Value {
    // The first one's id is the one guests had before they had more: a suspended memory knows its devices.
    let id = number.naming("disk");
    match disk.bus {
        DiskBus::Virtio => json!({ "driver": "virtio-blk-pci", "id": id, "drive": top }),
        DiskBus::Scsi => json!({ "driver": "scsi-hd", "id": id, "bus": format!("{SCSI}.0"), "drive": top }),
        DiskBus::Ide => json!({ "driver": "ide-hd", "id": id, "drive": top }),
    }
}

fn link(link: &Link, id: &str) -> Value {
    match link {
        Link::User => json!({ "type": "user", "id": id }),
        Link::Bridge { bridge } => json!({ "type": "bridge", "id": id, "br": bridge }),
        Link::Tap { tap } => {
            json!({ "type": "tap", "id": id, "ifname": tap, "script": "no", "downscript": "no" })
        }
    }
}

fn nic_device(nic: &Nic, id: &str) -> Value {
    let driver = match nic.model {
        NicModel::Virtio => "virtio-net-pci",
        NicModel::E1000 => "e1000",
    };
    // Starting from the network is nobody's wish, and its program is one more file that must be there.
    json!({ "driver": driver, "id": format!("{id}-card"), "netdev": id, "mac": nic.mac, "romfile": "" })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn host() -> (tempfile::TempDir, HostFolder) {
        let folder = tempfile::tempdir().unwrap();
        let host = HostFolder::new(folder.path());
        (folder, host)
    }

    fn wrong(machine: Machine, host: &HostFolder) -> Vec<String> {
        match house(machine, host) {
            Err(Fault::Machine(findings)) => findings.into_iter().map(|finding| finding.place.field).collect(),
            Err(fault) => panic!("{fault}"),
            Ok(_) => Vec::new(),
        }
    }

    #[test]
    fn what_a_machine_names_must_be_on_the_host_s_lists() {
        let (_folder, host) = host();
        let nic = |link| Nic { mac: "52:54:00:12:34:56".to_owned(), model: NicModel::Virtio, link };
        let links = [Link::Bridge { bridge: "br0".to_owned() }, Link::Tap { tap: "tap0".to_owned() }, Link::User];
        let machine = Machine {
            firmware: Firmware::Uefi { code: "ovmf".to_owned() },
            boot: Boot::Kernel { kernel: "k".to_owned(), initrd: Some("i".to_owned()), cmdline: String::new() },
            nics: links.map(nic).to_vec(),
            ..Machine::plain()
        };
        let fields = ["firmware.code", "boot.kernel", "boot.initrd", "nics[0].link.bridge", "nics[1].link.tap"];
        assert_eq!(wrong(machine.clone(), &host), fields);
        for (folder, file) in [("firmware", "ovmf"), ("kernels", "k"), ("kernels", "i")] {
            write_durably(&host.path().join(folder).join(file), b"").unwrap();
        }
        std::fs::write(host.interfaces(), "br0\n tap0 \n").unwrap();
        assert_eq!(wrong(machine, &host), [""; 0]);
    }

    #[test]
    fn a_comma_in_a_path_ends_nothing() {
        let (_folder, host) = host();
        let root = host.path().join("a,driver=b");
        let kernel = root.join("kernels/k");
        write_durably(&kernel, b"").unwrap();
        write_durably(&root.join("firmware/f"), b"").unwrap();
        let machine = Machine {
            firmware: Firmware::Uefi { code: "f".to_owned() },
            boot: Boot::Kernel { kernel: "k".to_owned(), initrd: None, cmdline: "a,b=c".to_owned() },
            ..Machine::plain()
        };
        let housed = house(machine, &HostFolder::new(&root)).ok().unwrap();
        let arguments = housed.arguments("tcg", |_| "base".to_owned());
        let after = |name: &str| &arguments[arguments.iter().position(|word| word == name).unwrap() + 1];
        assert_eq!(*after("-kernel"), kernel.canonicalize().unwrap().to_string_lossy());
        assert_eq!(after("-append"), "a,b=c");
        let firmware: Value = serde_json::from_str(after("-blockdev")).unwrap();
        assert!(firmware["file"]["filename"].as_str().unwrap().ends_with("a,driver=b/firmware/f"));
    }

    #[test]
    fn one_that_was_defined_with_a_machine_is_nothing_without_it() {
        let (_folder, host) = host();
        let copy = host.copy(&"vm".into()).unwrap();
        std::fs::create_dir_all(copy.path()).unwrap();
        assert_eq!(read(&copy, None).ok().unwrap().machine, Machine::plain());
        write_durably(&copy.join("definition.json"), br#"{"format":1,"memory_mb":8,"vcpus":1,"snapshot":null}"#)
            .unwrap();
        let old = Definition::read(&copy).unwrap();
        assert_eq!(read(&copy, old.as_ref()).ok().unwrap().machine, Machine::plain());
        old.unwrap().write(&copy).unwrap();
        let new = Definition::read(&copy).unwrap();
        assert!(matches!(read(&copy, new.as_ref()), Err(Fault::Incomplete(DiskFile::Machine))));
        std::os::unix::fs::symlink("/etc/passwd", copy.file(DiskFile::Machine)).unwrap();
        assert!(matches!(read(&copy, new.as_ref()), Err(Fault::Machine(_))));
    }
}
