//! From the options of a command line to a machine.

use decant_schema::machine::{self, Boot, DiskBus, Firmware, Machine, MachineDisk, Nic, Serial};
use uuid::Uuid;

use super::facts::{self, DescribedDisk, Facts};
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
        disks: disks(args, &facts.disks),
        nics: nics.iter().map(nic).collect(),
        serial: match args.serial {
            SerialTo::Socket => Serial::Socket,
            SerialTo::File => Serial::File,
        },
        agent: args.agent || facts.agent,
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
    for left_out in facts.disks.iter().skip(1 + args.disk.len()) {
        let name = left_out.name.as_deref().unwrap_or("without a name");
        output::note(&format!("note: {}: its disk {name} is left out: give its image by --disk", path.display()));
    }
    Ok(facts)
}

/// The disk it starts from, and one for each that was given; what is not said of one is as it is described.
fn disks(args: &MachineArguments, described: &[DescribedDisk]) -> Vec<MachineDisk> {
    let disk = |at: usize, name: Option<&str>, given: Option<Bus>| {
        let described = described.get(at);
        let name = name.map(str::to_owned).or_else(|| described?.name.clone());
        MachineDisk {
            bus: given.map(bus).or_else(|| described?.bus).unwrap_or_default(),
            ..MachineDisk::named(&name.unwrap_or_else(|| format!("disk-{}", at + 1)))
        }
    };
    let first = MachineDisk { name: "root".to_owned(), ..disk(0, None, args.bus) };
    let more = args.disk.iter().enumerate().map(|(at, given)| disk(at + 1, given.name.as_deref(), given.bus));
    std::iter::once(first).chain(more).collect()
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
