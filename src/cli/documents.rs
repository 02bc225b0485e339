//! Arguments of the commands that read documents.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::{Format, StoreFile};

/// Show a plan to a person.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  decant show plan.json
  decant show plan.json --fleet fleet.json --html plan.html      with host capacities and instance names
  decant plan evacuate --fleet fleet.json --host cmp-01 --format json | decant show -")]
pub(crate) struct Show {
    /// The plan document; `-` is standard input, and .gz or .zst is unpacked.
    #[arg(value_name = "PLAN")]
    pub(crate) plan: PathBuf,
    /// The fleet it was made for: adds the names of instances and the capacities of hosts.
    #[arg(long, value_name = "FILE")]
    pub(crate) fleet: Option<PathBuf>,
    /// Show every move, host and refusal, not the first forty.
    #[arg(long)]
    pub(crate) all: bool,
    /// Write a page for the browser to this file; it needs no network.
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
}

/// Verify a plan against a fleet.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  decant check --fleet fleet.json plan.json && decant apply plan.json
  decant check --strict --fleet fleet.json plan.json --format json")]
pub(crate) struct Check {
    /// The fleet document; `-` is standard input, and .gz or .zst is unpacked.
    #[arg(long, value_name = "FILE", env = "DECANT_FLEET")]
    pub(crate) fleet: PathBuf,
    /// The plan document; `-` is standard input, and .gz or .zst is unpacked.
    #[arg(value_name = "PLAN")]
    pub(crate) plan: PathBuf,
    /// Count as a violation whatever the plan says that rests on the planner's word alone.
    #[arg(long)]
    pub(crate) strict: bool,
    /// What standard output carries: text for people, or a list for programs.
    #[arg(long, value_enum, default_value_t = Format::Human, env = "DECANT_FORMAT")]
    pub(crate) format: Format,
}

/// Check, read or convert a fleet document.
#[derive(Debug, Subcommand)]
pub(crate) enum FleetCommand {
    /// Check a fleet document: every error at once, each with its place and what would be right.
    #[command(after_help = "Examples:\n  decant fleet check fleet.json\n  zcat fleet.json.gz | decant fleet check -")]
    Check {
        /// The fleet document; `-` is standard input, and .gz or .zst is unpacked.
        #[arg(value_name = "FILE")]
        fleet: PathBuf,
    },
    /// Read the fleet as it is now.
    #[command(after_help = "Example:\n  decant fleet pull --from store -o fleet.json")]
    Pull {
        /// Where to read it from.
        #[arg(long, value_enum, value_name = "SOURCE")]
        from: FleetSource,
        #[command(flatten)]
        store: StoreFile,
        /// Write the fleet document to this file; by default to standard output.
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Give the store's fleet a flavor, or the flavor of this name another size; instances keep what they have.
    #[command(after_help = "Example:\n  decant fleet flavor large --vcpus 4 --memory 8192 --disk 80")]
    Flavor {
        /// Its name.
        #[arg(value_name = "NAME")]
        name: String,
        /// Virtual processors.
        #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
        vcpus: u64,
        /// Memory, MiB.
        #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u64).range(1..))]
        memory: u64,
        /// Disk, GiB; by default it says nothing of disks.
        #[arg(long, value_name = "GIB", value_parser = clap::value_parser!(u64).range(1..))]
        disk: Option<u64>,
        #[command(flatten)]
        store: StoreFile,
    },
    /// Convert a file of another program into a fleet document.
    #[command(after_help = "Example:\n  decant fleet import --from ganeti cluster.data -o fleet.json")]
    Import {
        /// The format it is in.
        #[arg(long, value_enum, value_name = "FORMAT")]
        from: FleetFormat,
        /// The file; `-` is standard input, and .gz or .zst is unpacked.
        #[arg(value_name = "FILE")]
        input: PathBuf,
        /// Write the fleet document to this file; by default to standard output.
        #[arg(short, long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
}

/// Where a fleet can be read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FleetSource {
    /// What decant's own store knows, kept true by what agents report.
    Store,
}

/// A format of another program.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum FleetFormat {
    /// The text format of Ganeti's htools, which `hbal -t` reads and `gnt-cluster` exports.
    Ganeti,
}

/// Which document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SchemaOf {
    /// The fleet: what is.
    Fleet,
    /// The plan: what to do.
    Plan,
}
