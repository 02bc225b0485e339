//! Arguments of the commands that move or resize one instance without a plan.

use std::path::PathBuf;

use clap::Args;

use super::{Site, Terms};

/// Move one instance.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  decant migrate web-1 --hosts-in /srv/decant                   the planner chooses the host
  decant migrate web-1 --to oak --suspend --hosts-in /srv/decant
  decant migrate web-1 --to oak --flavor large --hosts-in /srv/decant
  decant migrate web-1 --cast-to oak --hosts-in /srv/decant     oak is told, and asks for web-1

Room, server groups and limits hold as in a plan, but nobody makes room. Where the instance stays, the reasons are
said and the exit code is 3. Interrupted, the same command goes on where it was.")]
pub(crate) struct Migrate {
    /// The instance, by id or name.
    #[arg(value_name = "INSTANCE")]
    pub(crate) instance: String,
    /// The host it goes to; by default the planner chooses one.
    #[arg(long, value_name = "HOST", conflicts_with = "cast_to")]
    pub(crate) to: Option<String>,
    /// Tell this host first and not the source: it offers itself as target, and passes the order on to the source.
    #[arg(long, value_name = "HOST")]
    pub(crate) cast_to: Option<String>,
    #[command(flatten)]
    pub(crate) how: How,
    /// Give it this flavor on the way; that stops it for a moment.
    #[arg(long, value_name = "NAME")]
    pub(crate) flavor: Option<String>,
    #[command(flatten)]
    pub(crate) about: About,
}

/// How an instance moves; by default as its mobility lets it.
#[derive(Clone, Copy, Debug, Args)]
#[group(multiple = false)]
pub(crate) struct How {
    /// Shut it down, move it, start it again.
    #[arg(long)]
    pub(crate) cold: bool,
    /// Stop it for a moment and move its memory too: its processes do not notice.
    #[arg(long)]
    pub(crate) suspend: bool,
    /// Move it while it runs.
    #[arg(long)]
    pub(crate) live: bool,
}

/// Give one instance another flavor.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  decant resize web-1 --flavor large --hosts-in /srv/decant

It stays on its host where it fits, else it moves; either way it is stopped for a moment. Nobody makes room for it.
Where it cannot be resized, the reasons are said and the exit code is 3.")]
pub(crate) struct ResizeOne {
    /// The instance, by id or name.
    #[arg(value_name = "INSTANCE")]
    pub(crate) instance: String,
    /// Its new flavor.
    #[arg(long, value_name = "NAME")]
    pub(crate) flavor: String,
    #[command(flatten)]
    pub(crate) about: About,
}

/// Where it happens and how it is carried out.
#[derive(Debug, Args)]
pub(crate) struct About {
    /// The fleet as it is now, as a document; by default what the store knows of it.
    #[arg(long, value_name = "FILE")]
    pub(crate) fleet_source: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) site: Site,
    #[command(flatten)]
    pub(crate) terms: Terms,
}
