//! Arguments of the commands that look after hosts.

use clap::{Args, Subcommand};

use super::{DiscardedCommand, Format, Lease, Site};

/// Look after hosts.
#[derive(Debug, Subcommand)]
pub(crate) enum HostCommand {
    /// Make folders hosts of this machine, once: a folder that is not there later is never made anew.
    Add(AddHost),
    /// List the hosts of this machine.
    List(ListHosts),
    /// Look at all that a host needs: folder, storage, room, programs, KVM, guests; each finding with what to do.
    Doctor(Doctor),
    /// Look after copies that were put aside: by a revert, or since their host had been dead.
    #[command(subcommand)]
    Discarded(DiscardedCommand),
    /// Say that a host is dead, and how that is known: its part of every migration then counts as done, and its instances
    /// may be rebuilt elsewhere.
    DeclareDead(DeclareDead),
    /// Have the store take up what its hosts did without it: after it was restored from a backup, or in place of a store that
    /// is gone.
    TakeOver(TakeOver),
}

/// Make folders hosts of this machine.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  decant host add oak elm --hosts-in /srv/decant            the folders oak and elm, made where they are not there
  decant host add oak --mount --hosts-in /srv/decant        only where a storage is mounted on /srv/decant/oak

The store remembers the folder: no later command needs --hosts-in. A host whose folder is not there, or on whose folder
with --mount no storage is mounted, is refused from then on: nothing is evacuated onto the disk below.")]
pub(crate) struct AddHost {
    /// The hosts, by their names in the fleet.
    #[arg(value_name = "HOST", required = true)]
    pub(crate) host: Vec<String>,
    /// Refuse a host whose folder no storage is mounted on.
    #[arg(long)]
    pub(crate) mount: bool,
    /// Virtual processors guests may have there, where the fleet does not know the host yet; by default this machine's.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) vcpus: Option<u64>,
    /// Memory guests may have there, MiB; by default this machine's.
    #[arg(long, value_name = "MIB", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) memory: Option<u64>,
    /// Disk guests may have there, GiB; by default what its storage has.
    #[arg(long, value_name = "GIB", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) disk: Option<u64>,
    #[command(flatten)]
    pub(crate) site: Site,
}

/// List the hosts of this machine.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  decant host list")]
pub(crate) struct ListHosts {
    #[command(flatten)]
    pub(crate) site: Site,
    /// What standard output carries: a table for people, or a list for programs.
    #[arg(long, value_enum, default_value_t = Format::Human, env = "DECANT_FORMAT")]
    pub(crate) format: Format,
}

/// Look at all that a host needs.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  decant host doctor
  decant host doctor oak --format json

The exit code is 0 where all is well, else 1. Nothing is changed.")]
pub(crate) struct Doctor {
    /// The hosts; by default all that were added.
    #[arg(value_name = "HOST")]
    pub(crate) host: Vec<String>,
    #[command(flatten)]
    pub(crate) site: Site,
    /// What standard output carries: text for people, or a list for programs.
    #[arg(long, value_enum, default_value_t = Format::Human, env = "DECANT_FORMAT")]
    pub(crate) format: Format,
}

/// Say that a host is dead.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  decant host declare-dead cmp-07 --power-status 'ipmitool -H cmp-07-bmc power status'
  decant host declare-dead cmp-07 --word-of 'Ada Lovelace' --yes-it-is-dead cmp-07

A host that does not answer may be running its guests all the same, and a guest that then starts elsewhere destroys its
disk. So a proof is asked for, kept, and printed with every migration that rests on it. A host that comes back has its
stale copies put aside before anything starts there.")]
pub(crate) struct DeclareDead {
    /// The host.
    #[arg(value_name = "HOST")]
    pub(crate) host: String,
    #[command(flatten)]
    pub(crate) proof: Proof,
    /// The host's name once more, for scripts; a person is asked to type it.
    #[arg(long, value_name = "HOST")]
    pub(crate) yes_it_is_dead: Option<String>,
    #[command(flatten)]
    pub(crate) site: Site,
}

/// How it is known that nothing runs on the host.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
#[command(next_help_heading = "Proof")]
pub(crate) struct Proof {
    /// A command that asks its power supply: the last word it prints must be `off`.
    #[arg(long, value_name = "COMMAND")]
    pub(crate) power_status: Option<String>,
    /// A command that asks its storage: the last word it prints must be `fenced`, that is, its locks are broken and it is
    /// blocked itself.
    #[arg(long, value_name = "COMMAND")]
    pub(crate) storage_fence: Option<String>,
    /// It resets itself when its lease of this length is not renewed; decant waits that long first.
    #[arg(long, value_name = "TIME")]
    pub(crate) watchdog_lease: Option<Lease>,
    /// Your word, with your name: you saw that it is off.
    #[arg(long, value_name = "NAME")]
    pub(crate) word_of: Option<String>,
}

/// Have the store take up what its hosts did without it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  decant host take-over --hosts-in /srv/decant            says in what the hosts differ from the store; changes nothing
  decant host take-over --hosts-in /srv/decant --yes      takes it up, and the hosts are this store's from then on

No other decant may use the hosts any more, be it with a copy of this store. Where a guest runs is where its instance is;
where two copies leave it open which one counts, nothing is changed: move the other one away first.")]
pub(crate) struct TakeOver {
    /// The hosts; by default all that the store's fleet has.
    #[arg(value_name = "HOST")]
    pub(crate) host: Vec<String>,
    /// Take it up. Nothing is changed without this.
    #[arg(long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) site: Site,
}
