//! Arguments of the commands that look after guests.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use uuid::Uuid;

use super::values::{DiskArgument, HeartbeatArgument, NicArgument};
use super::{Format, Lease, Site};

/// Look after guests: instances that decant itself runs.
#[derive(Debug, Subcommand)]
pub(crate) enum GuestCommand {
    /// Make a guest from images: its disks, its machine, its record. The images stay as they are.
    Define(Box<DefineGuest>),
    /// Put a guest on record whose files are on a host already, running or not.
    Adopt(AdoptGuest),
    /// Start a guest where its record says that it is; or, with --all, all that ran before their machine went down.
    Start(StartGuest),
    /// Press a guest's power button, wait, and cut it off where it does not obey; or, with --kill, end its process at once.
    Stop(StopGuest),
    /// List the guests as they are on record and as they are.
    List(ListGuests),
    /// Attach to a guest's serial line, or follow what it says there.
    Console(Console),
}

/// Make a guest from images.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  decant guest define web-1 --host oak --flavor small --image debian.qcow2 --nic user --start
  decant guest define web-1 --host oak --flavor small --image disk.raw --image-format raw
  decant guest define web-1 --host oak --flavor small --image db.qcow2 --nic bridge=br0,mac=52:54:00:12:34:56
  decant guest define web-1 --host oak --flavor small --image db.qcow2 --libvirt db.xml
  decant guest define web-1 --host oak --flavor small --image root.qcow2 --disk data.raw,format=raw,bus=scsi

The disk it starts from is as large as the flavor says, or as the image where the flavor says nothing; each other one as its image. Kernels and firmware are files of the
host's folders `kernels` and `firmware`, bridges and taps are lines of its file `interfaces`.")]
pub(crate) struct DefineGuest {
    /// What it is called: letters, digits, `-`, `_` and `.`.
    #[arg(value_name = "INSTANCE")]
    pub(crate) instance: String,
    /// The host it is made on.
    #[arg(long, value_name = "HOST")]
    pub(crate) host: String,
    /// Its size, a flavor of the store's fleet (`decant fleet flavor` adds one).
    #[arg(long, value_name = "NAME")]
    pub(crate) flavor: String,
    /// The image of the disk it starts from.
    #[arg(long, value_name = "FILE")]
    pub(crate) image: PathBuf,
    /// The format of the image.
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = ImageFormat::Qcow2)]
    pub(crate) image_format: ImageFormat,
    /// How it may move.
    #[arg(long, value_enum, value_name = "HOW", default_value_t = Moves::Suspend)]
    pub(crate) mobility: Moves,
    /// How it shows that it lives, which a confirmation by itself waits for: `agent`, tcp=ADDRESS:PORT, or console=TEXT.
    #[arg(long, value_name = "SIGN")]
    pub(crate) heartbeat: Option<HeartbeatArgument>,
    /// Start it once it is made.
    #[arg(long)]
    pub(crate) start: bool,
    #[command(flatten)]
    pub(crate) machine: MachineArguments,
    #[command(flatten)]
    pub(crate) site: Site,
}

/// What machine it is.
#[derive(Debug, Args)]
#[command(next_help_heading = "Machine")]
pub(crate) struct MachineArguments {
    /// Take what its machine is from a libvirt domain; options that are given count before it.
    #[arg(long, value_name = "FILE", conflicts_with = "ovf")]
    pub(crate) libvirt: Option<PathBuf>,
    /// Take what its machine is from the descriptor of an OVF package; options that are given count before it.
    #[arg(long, value_name = "FILE")]
    pub(crate) ovf: Option<PathBuf>,
    /// QEMU's machine type with its version, as pc-q35-7.2; by default pc-i440fx-7.2.
    #[arg(long, value_name = "TYPE")]
    pub(crate) machine_type: Option<String>,
    /// A UEFI firmware of the host's folder `firmware`; by default it starts from a BIOS.
    #[arg(long, value_name = "NAME")]
    pub(crate) firmware: Option<String>,
    /// QEMU's processor model; by default that of the machine type.
    #[arg(long, value_name = "MODEL")]
    pub(crate) cpu: Option<String>,
    /// Its UUID; by default a new one.
    #[arg(long, value_name = "UUID")]
    pub(crate) uuid: Option<Uuid>,
    /// How it reaches the disk it starts from; by default virtio.
    #[arg(long, value_enum, value_name = "BUS")]
    pub(crate) bus: Option<Bus>,
    /// Another disk, made from this image: then format=qcow2, raw or vmdk, bus=virtio, scsi or ide, and name=NAME if wanted;
    /// may be repeated.
    #[arg(long, value_name = "FILE[,format=…][,bus=…][,name=…]")]
    pub(crate) disk: Vec<DiskArgument>,
    /// A network card: user, bridge=NAME or tap=NAME, then mac=ADDRESS and model=virtio or e1000 if wanted; may be repeated.
    #[arg(long, value_name = "LINK[,mac=…][,model=…]")]
    pub(crate) nic: Vec<NicArgument>,
    /// Where its serial line leads.
    #[arg(long, value_enum, value_name = "WHERE", default_value_t = SerialTo::Socket)]
    pub(crate) serial: SerialTo,
    /// Give it a channel for an agent that runs in it (QEMU's guest agent).
    #[arg(long)]
    pub(crate) agent: bool,
    /// A kernel of the host's folder `kernels`; by default it starts from its disk.
    #[arg(long, value_name = "NAME")]
    pub(crate) kernel: Option<String>,
    /// The first file system of that kernel, of the same folder.
    #[arg(long, value_name = "NAME", requires = "kernel")]
    pub(crate) initrd: Option<String>,
    /// The command line of that kernel.
    #[arg(long, value_name = "TEXT", requires = "kernel")]
    pub(crate) append: Option<String>,
}

/// The format of an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ImageFormat {
    /// QEMU's own.
    #[default]
    Qcow2,
    /// The bytes of the disk, one after the other.
    Raw,
    /// What OVF packages carry.
    Vmdk,
}

/// How a guest may move.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Moves {
    /// Stopped for a moment, its memory moved too.
    Suspend,
    /// Shut down, moved, started again.
    Cold,
    /// Not at all.
    None,
}

/// How a guest reaches its disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Bus {
    /// virtio-blk; the fastest.
    Virtio,
    /// virtio-scsi.
    Scsi,
    /// The machine's own controller: IDE, or SATA of a q35.
    Ide,
}

/// Where a serial line leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SerialTo {
    /// Into a log, and to whoever attaches to it.
    Socket,
    /// Into a log.
    File,
}

/// Put a guest on record whose files are on a host already.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  decant guest adopt web-1 --host oak --flavor small

Its folder is instances/web-1 in that of the host: base.qcow2, and machine.json where it is more than one disk and a serial
line. A guest that a QEMU runs which decant did not start is refused with that one's process: shut it down first.")]
pub(crate) struct AdoptGuest {
    /// What it is called.
    #[arg(value_name = "INSTANCE")]
    pub(crate) instance: String,
    /// The host it is on.
    #[arg(long, value_name = "HOST")]
    pub(crate) host: String,
    /// Its size, a flavor of the store's fleet.
    #[arg(long, value_name = "NAME")]
    pub(crate) flavor: String,
    /// How it may move.
    #[arg(long, value_enum, value_name = "HOW", default_value_t = Moves::Suspend)]
    pub(crate) mobility: Moves,
    /// How it shows that it lives, which a confirmation by itself waits for: `agent`, tcp=ADDRESS:PORT, or console=TEXT.
    #[arg(long, value_name = "SIGN")]
    pub(crate) heartbeat: Option<HeartbeatArgument>,
    #[command(flatten)]
    pub(crate) site: Site,
}

/// Start a guest.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  decant guest start web-1
  decant guest start --all            as a machine starts: what ran when it went down, and is on record as running

A guest is started where its record says that it is and nowhere else, while no migration of it is under way.")]
pub(crate) struct StartGuest {
    /// The instance, by id or name.
    #[arg(value_name = "INSTANCE", required_unless_present = "all", conflicts_with = "all")]
    pub(crate) instance: Option<String>,
    /// All that ran when their machine last went down. One that had ended before is named and left.
    #[arg(long)]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) site: Site,
}

/// Stop a guest.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  decant guest stop web-1 --patience 5m
  decant guest stop web-1 --kill      where its QEMU hangs and answers nobody; as a power failure to the guest")]
pub(crate) struct StopGuest {
    /// The instance, by id or name.
    #[arg(value_name = "INSTANCE")]
    pub(crate) instance: String,
    /// How long it may take to obey its power button before it is cut off.
    #[arg(long, value_name = "TIME", default_value = "60s")]
    pub(crate) patience: Lease,
    /// End its process without a word to it, even where that answers nobody any more.
    #[arg(long, conflicts_with = "patience")]
    pub(crate) kill: bool,
    #[command(flatten)]
    pub(crate) site: Site,
}

/// List the guests.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  decant guest list --format json")]
pub(crate) struct ListGuests {
    #[command(flatten)]
    pub(crate) site: Site,
    /// What standard output carries: a table for people, or a list for programs.
    #[arg(long, value_enum, default_value_t = Format::Human, env = "DECANT_FORMAT")]
    pub(crate) format: Format,
}

/// Attach to a guest's serial line.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  decant guest console web-1             Ctrl-] detaches
  decant guest console web-1 --print     what it has said so far, and no more

Where its serial line leads into a log alone, what it says is followed until Ctrl-C.")]
pub(crate) struct Console {
    /// The instance, by id or name.
    #[arg(value_name = "INSTANCE")]
    pub(crate) instance: String,
    /// Print what it has said so far, and end.
    #[arg(long)]
    pub(crate) print: bool,
    #[command(flatten)]
    pub(crate) site: Site,
}
