//! Arguments of the commands that carry plans out and look after migrations.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::{Format, Lease, Seconds, When};

/// Carry a plan out.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  decant apply plan.json --fleet-source fleet.json --hosts-in /srv/decant
  decant apply plan.json --hosts-in /srv/decant --confirm 10m
  decant apply plan.json --fleet-source fleet.json --rehearse      on simulated hosts; nothing real moves
  decant apply rolling.json --hosts-in /srv/decant --round 2       a rolling plan, round by round

Interrupted by Ctrl-C, a kill or a crash, the same command goes on where it was.
A plan is carried out only for the fleet it was made for; a changed fleet is refused (exit code 4), naming what changed.

A rolling plan is carried out round by round, each when you say so: its windows and outages are yours to keep. --round 1
empties the hosts of the first round and says what comes next; before the next command they must be back.")]
pub(crate) struct Apply {
    /// The plan document; `-` is standard input, and .gz or .zst is unpacked.
    #[arg(value_name = "PLAN")]
    pub(crate) plan: PathBuf,
    /// The fleet as it is now, as a document; by default what the store knows of it.
    #[arg(long, value_name = "FILE")]
    pub(crate) fleet_source: Option<PathBuf>,
    /// Of a rolling plan, carry out this round now: empty its hosts. The rounds before must be done.
    #[arg(long, value_name = "NUMBER", conflicts_with = "rehearse")]
    pub(crate) round: Option<usize>,
    /// With --round: its hosts are back, bring their instances home.
    #[arg(long, requires = "round")]
    pub(crate) home: bool,
    /// Carry it out on simulated hosts, in a store that is thrown away: nothing real moves. The rounds of a rolling plan
    /// follow each other at once.
    #[arg(long, requires = "fleet_source")]
    pub(crate) rehearse: bool,
    #[command(flatten)]
    pub(crate) site: Site,
    #[command(flatten)]
    pub(crate) terms: Terms,
    /// What standard output carries at the end: a summary for people, or a list for programs.
    #[arg(long, value_enum, default_value_t = Format::Human, env = "DECANT_FORMAT")]
    pub(crate) format: Format,
}

/// Where migrations are remembered and where hosts are.
#[derive(Debug, Args)]
#[command(next_help_heading = "Site")]
pub(crate) struct Site {
    #[command(flatten)]
    pub(crate) store: StoreFile,
    /// The folder of this machine's hosts, one folder a host, whose guests run in QEMU here; by default each host is where
    /// `decant host add` put it.
    #[arg(long, value_name = "FOLDER", env = "DECANT_HOSTS_IN")]
    pub(crate) hosts_in: Option<PathBuf>,
    /// How guests that are started here get their processors.
    #[arg(long, value_enum, value_name = "HOW", default_value_t = Processors::Auto, env = "DECANT_ACCELERATOR")]
    pub(crate) accelerator: Processors,
}

/// How guests get their processors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Processors {
    /// By KVM where a guest was seen to run so on this machine, else translated.
    Auto,
    /// By KVM.
    Kvm,
    /// Translated: slow, and works everywhere.
    Tcg,
}

/// Where migrations are remembered.
#[derive(Debug, Args)]
pub(crate) struct StoreFile {
    /// The database of the fleet and its migrations; by default ~/.local/state/decant/store.db.
    #[arg(long, value_name = "FILE", env = "DECANT_STORE")]
    pub(crate) store: Option<PathBuf>,
}

/// How moves are carried out.
#[derive(Debug, Args)]
#[command(next_help_heading = "How")]
pub(crate) struct Terms {
    /// When an instance that arrived is confirmed, after which its old copy is destroyed: `manual` (by `decant migration
    /// confirm`), or by itself once its guest is seen to live: `now`, or after a time to look at it first, as 10m.
    #[arg(long, value_name = "WHEN", default_value = "manual", env = "DECANT_CONFIRM")]
    pub(crate) confirm: When,
    /// Migrations at once in the whole fleet; by default what the fleet document says.
    #[arg(long, value_name = "NUMBER", env = "DECANT_MAX_MIGRATIONS", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_migrations: Option<u32>,
    /// Migrations at once on one host; by default what the fleet document says.
    #[arg(long, value_name = "NUMBER", env = "DECANT_MAX_MIGRATIONS_PER_HOST", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_migrations_per_host: Option<u32>,
    /// Limit of each transfer, megabit per second; by default as fast as it goes.
    #[arg(long, value_name = "MBPS", env = "DECANT_BANDWIDTH", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) bandwidth: Option<u64>,
    /// How long a host may be silent before it is told again what to do; at least 1s.
    #[arg(long, value_name = "TIME", default_value = "30s", env = "DECANT_LEASE")]
    pub(crate) lease: Lease,
    /// How long a guest may take to obey its power button; then it is powered off, and the migration's record says so.
    #[arg(long, value_name = "TIME", default_value = "60s", env = "DECANT_PATIENCE")]
    pub(crate) patience: Seconds,
    /// Power no guest off that has not obeyed by then: it runs on, and its migration goes back.
    #[arg(long, env = "DECANT_NEVER_FORCE_OFF")]
    pub(crate) never_force_off: bool,
    /// How long a link that is broken is waited for, the guest running meanwhile as long as it is not down yet.
    #[arg(long, value_name = "TIME", default_value = "5m", env = "DECANT_LINK_PATIENCE")]
    pub(crate) link_patience: Seconds,
}

/// Look after migrations: moves being carried out, or that were.
#[derive(Debug, Subcommand)]
pub(crate) enum MigrationCommand {
    /// List the migrations the store remembers.
    List {
        #[command(flatten)]
        store: StoreFile,
        /// Only those that are not over.
        #[arg(long)]
        unfinished: bool,
        /// What standard output carries: a table for people, or a list for programs.
        #[arg(long, value_enum, default_value_t = Format::Human, env = "DECANT_FORMAT")]
        format: Format,
    },
    /// Show a migration: its state, whose turn it is, what it went through.
    Show {
        /// Its id, or the instance, meaning its latest migration.
        #[arg(value_name = "ID")]
        id: String,
        #[command(flatten)]
        store: StoreFile,
        /// What standard output carries: text for people, or the record for programs.
        #[arg(long, value_enum, default_value_t = Format::Human, env = "DECANT_FORMAT")]
        format: Format,
    },
    /// Keep a migrated instance where it arrived; its old copy is destroyed. There is no way back from this, so the new
    /// one is looked at first.
    Confirm {
        #[command(flatten)]
        decide: Decide,
        /// Also where its guest does not run, if only its disk is whole.
        #[arg(long)]
        anyway: bool,
    },
    /// Take a migrated instance back to where it was. What it wrote since it arrived is put aside.
    Revert(Decide),
    /// Call a migration off that has not arrived; the instance stays where it was.
    Abort(Decide),
}

/// Decide about one migration.
#[derive(Debug, Args)]
pub(crate) struct Decide {
    /// Its id, or the instance, meaning its latest migration.
    #[arg(value_name = "ID")]
    pub(crate) id: String,
    #[command(flatten)]
    pub(crate) site: Site,
}
