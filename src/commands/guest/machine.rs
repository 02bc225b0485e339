//! From the options of a command line to a machine.

use decant_schema::machine::{self, Boot, DiskBus, Firmware, Machine, MachineDisk, Nic, Serial};
use uuid::Uuid;

use super::facts::{self, Facts};
use crate::cli::{Bus, MachineArguments, NicArgument, SerialTo};
use crate::error::Failure;
use crate::output;

/// The first half of the addresses QEMU's own cards have; the second is drawn.
const MAC_PREFIX: &str = "52:54:00";

/// The machine that the options and what they name describe; every error at once, by the field of its document.
pub(super) fn of(args: &MachineArguments) -> Result<Machine, Failure> {
    let facts = facts(args)?;
    let plain = Machine::plain();
    let given = args.machine_type.clone().or(facts.machine_type);
    let nics = if args.nic.is_empty() { &facts.nics } else { &args.nic };
    let made = Machine {
        machine_type: given.unwrap_or(plain.machine_type),
        firmware: args.firmware.clone().or(facts.firmware).map_or(plain.firmware, |code| Firmware::Uefi { code }),
        cpu: args.cpu.clone().or(facts.cpu),
        uuid: Some(args.uuid.or(facts.uuid).unwrap_or_else(Uuid::now_v7)),
        disks: vec![MachineDisk {
            bus: args.bus.map(bus).or(facts.bus).unwrap_or_default(),
            ..MachineDisk::named("root")
        }],
        nics: nics.iter().map(nic).collect(),
        serial: match args.serial {
            SerialTo::Socket => Serial::Socket,
            SerialTo::File => Serial::File,
        },
        boot: boot(args),
        ..plain
    };
    machine::admit_made(made).map_err(|wrong| Failure::findings("the machine", &wrong.errors))
}

/// What another program's description says; what of it is left out is told.
fn facts(args: &MachineArguments) -> Result<Facts, Failure> {
    let Some(path) = args.libvirt.as_ref().or(args.ovf.as_ref()) else { return Ok(Facts::default()) };
    let wrong = |problem: String| {
        Failure::input(
            path.display().to_string(),
            problem,
            "give what `virsh dumpxml` prints, or the .ovf of a package",
        )
    };
    let text = std::fs::read_to_string(path).map_err(|error| wrong(format!("it cannot be read: {error}")))?;
    let facts = if args.libvirt.is_some() { facts::libvirt(&text) } else { facts::ovf(&text) };
    let facts = facts.map_err(wrong)?;
    facts.notes.iter().for_each(|note| output::note(&format!("note: {}: {note}", path.display())));
    Ok(facts)
}

fn boot(args: &MachineArguments) -> Boot {
    match &args.kernel {
        Some(kernel) => Boot::Kernel {
            kernel: kernel.clone(),
            initrd: args.initrd.clone(),
            cmdline: args.append.clone().unwrap_or_default(),
        },
        None => Boot::Disk,
    }
}

fn bus(bus: Bus) -> DiskBus {
    match bus {
        Bus::Virtio => DiskBus::Virtio,
        Bus::Scsi => DiskBus::Scsi,
        Bus::Ide => DiskBus::Ide,
    }
}

fn nic(argument: &NicArgument) -> Nic {
    let mac = argument.mac.clone().unwrap_or_else(drawn_address);
    Nic { mac, model: argument.model, link: argument.link.clone() }
}

fn drawn_address() -> String {
    // The last bytes of a UUID are drawn at random.
    let [.., a, b, c] = Uuid::now_v7().into_bytes();
    format!("{MAC_PREFIX}:{a:02x}:{b:02x}:{c:02x}")
}
