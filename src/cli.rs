//! The arguments as typed. The doc comments are the help, written for someone who has never seen the program.

mod discarded;
mod documents;
mod executing;
mod guest;
mod host;
mod migrating;
mod planning;
mod values;

use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

pub(crate) use discarded::{DiscardedCommand, RemoveDiscarded};
pub(crate) use documents::{Check, FleetCommand, FleetFormat, FleetSource, SchemaOf, Show};
pub(crate) use executing::{Apply, Decide, MigrationCommand, Processors, Site, StoreFile, Terms};
pub(crate) use guest::{
    AdoptGuest, Bus, Console, DefineGuest, GuestCommand, ImageFormat, ListGuests, MachineArguments, Moves, SerialTo,
    StartGuest, StopGuest,
};
pub(crate) use host::{AddHost, DeclareDead, Doctor, HostCommand, ListHosts, Proof, TakeOver};
pub(crate) use migrating::{About, How, Migrate, ResizeOne};
pub(crate) use planning::{Evacuate, Format, HostSelection, PlanCommand, PlanningOptions, Report, Resize, Rolling};
pub(crate) use values::{HostPriority, Lease, NicArgument, Percent, Seconds, When, Window};

const EXAMPLES: &str = "\
Examples:
  decant demo                        see it work on this machine, in about a minute
  decant fleet check fleet.json      is this a fleet?
  decant plan evacuate --fleet fleet.json --host cmp-01 -o plan.json
  decant show plan.json --html plan.html
  decant check --fleet fleet.json plan.json
  decant apply plan.json             carry it out; after any interruption, again

Exit codes:
  0  done; for a plan: complete, nothing refused
  1  the environment failed (disk, database, another program, a bug)
  2  the input is wrong: every error is listed, nothing was done
  3  the plan is incomplete: it was written, with a reason for each that stays
  4  the plan does not hold: violations were found, or the fleet has changed

Settings:
  An option that shows [env: DECANT_…] can also be set in a file of lines such as
  time-limit = \"30s\". It is ~/.config/decant/config.toml or what DECANT_CONFIG
  names. The variable overrides the file, the flag overrides both.";

/// Empty hosts of their virtual machines, safely and provably well.
///
/// decant reads a fleet (hosts, instances, rules), plans which instance goes where and in which order, proves how good
/// the plan is, and carries it out. An instance that cannot be moved is refused with the reason in numbers.
#[derive(Debug, Parser)]
#[command(name = "decant", version, after_help = EXAMPLES, propagate_version = true, max_term_width = 110)]
pub(crate) struct Cli {
    /// Log more to stderr; twice for much more.
    #[arg(short, long, global = true, display_order = 1000, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Cli {
    /// Every command and option, as data.
    pub(crate) fn command_tree() -> clap::Command {
        Self::command()
    }

    /// Options that were typed beside `--rehearse`, which has a site of its own. What a variable or the settings say of the
    /// site simply does not count in a rehearsal: it is there for the day of the real thing.
    pub(crate) fn useless_in_rehearsal(matches: &ArgMatches) -> Vec<&'static str> {
        let Some(("apply", apply)) = matches.subcommand() else { return Vec::new() };
        let typed = |id: &str| apply.get_flag("rehearse") && apply.value_source(id) == Some(ValueSource::CommandLine);
        let options = [("hosts_in", "--hosts-in"), ("store", "--store")].into_iter();
        options.filter(|(id, _)| typed(id)).map(|(_, option)| option).collect()
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Decide which instance goes where, and in which order.
    #[command(subcommand)]
    Plan(PlanCommand),
    /// Show a plan to a person: moves in order, refusals with reasons, hosts before and after, timeline.
    Show(Show),
    /// Verify a plan against a fleet, moment by moment, sharing no code with the planner.
    Check(Check),
    /// Say what a fleet can still take, and which of its hosts can be emptied or may fail.
    Report(Report),
    /// Carry a plan out; after any interruption the same command goes on.
    Apply(Apply),
    /// Move one instance, to a host of yours or of the planner's choice.
    Migrate(Migrate),
    /// Give one instance another flavor, where it is or where it fits.
    Resize(ResizeOne),
    /// Look after migrations: list, show, confirm, revert, abort.
    #[command(subcommand)]
    Migration(MigrationCommand),
    /// Look after guests: define, adopt, start, stop, list, console.
    #[command(subcommand)]
    Guest(GuestCommand),
    /// Look after hosts: add, list, examine them, and what died or knows more than the store.
    #[command(subcommand)]
    Host(HostCommand),
    /// Check, read or convert a fleet document.
    #[command(subcommand)]
    Fleet(FleetCommand),
    /// Print the JSON Schema of a document.
    Schema {
        /// Which document.
        of: SchemaOf,
    },
    /// See it work on this machine, in about a minute: real virtual machines moved, resized, reverted and checked.
    Demo,
    /// Print a completion script for a shell.
    #[command(after_help = "Example:\n  decant completion bash > /etc/bash_completion.d/decant")]
    Completion {
        /// Which shell.
        shell: Shell,
    },
    /// Print the manual page, or write one page a command into a folder.
    #[command(after_help = "Examples:\n  decant man | man -l -\n  decant man /usr/local/share/man/man1")]
    Man {
        /// Where to write decant.1, decant-plan.1 and so on; by default the first is printed.
        folder: Option<std::path::PathBuf>,
    },
}
