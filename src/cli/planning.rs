//! Arguments of the planning commands.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use decant_schema::plan::TierName;

use super::{HostPriority, Percent, Seconds, Window};

/// Far more than there are processors, threads wait for each other longer than they plan: with 5000 of them not even the
/// time limit is noticed in time.
const THREADS_MAX: i64 = 256;

/// Decide which instance goes where, and in which order.
#[derive(Debug, Subcommand)]
pub(crate) enum PlanCommand {
    /// Plan the emptying of hosts.
    ///
    /// Every instance on them gets a move, or a refusal with its reason. Other instances are moved to make room only
    /// where that is needed, and as little of their memory as can be proven necessary.
    #[command(after_help = "\
Examples:
  decant plan evacuate --fleet fleet.json --host cmp-01 -o plan.json
  decant plan evacuate --fleet fleet.json.zst --host 'cmp-0[1-4]' --exclude-host cmp-09 --headroom 10%
  decant plan evacuate --fleet fleet.json --aggregate rack-7 --no-displace --format json > plan.json")]
    Evacuate(Evacuate),
    /// Plan giving instances another flavor.
    ///
    /// An instance stays on its host where the new flavor fits there; else the best other host is chosen, others
    /// making room where that is needed.
    #[command(after_help = "\
Examples:
  decant plan resize --fleet fleet.json --instance web-1 --flavor m1.large -o plan.json
  decant plan resize --fleet fleet.json --instance web-1 --flavor m1.large --instance web-2 --flavor m1.small
  decant plan resize --fleet fleet.json --from resizes.csv -o plan.json")]
    Resize(Resize),
    /// Plan a maintenance of many hosts in rounds.
    ///
    /// Each host is emptied once, is out for as long as --outage says, and then receives again. Targets are hosts
    /// already done where possible, so that each instance moves as rarely as can be.
    #[command(after_help = "\
Examples:
  decant plan rolling --fleet fleet.json --host 'cmp-*' --window 8h --outage 20m -o plan.json
  decant plan rolling --fleet fleet.json --zone az1 --window 2h --max-out 4 --spare-hosts 1
  decant plan rolling --fleet fleet.json --window 2026-11-25T22:00Z/6h --window 2026-11-26T22:00Z/6h")]
    Rolling(Rolling),
}

/// Plan a maintenance of many hosts in rounds.
#[derive(Debug, Args)]
pub(crate) struct Rolling {
    #[command(flatten)]
    pub(crate) hosts: HostSelection,
    /// When moves may start: so long from the beginning, as 8h; or in these intervals of the calendar, each written
    /// FROM/UNTIL or FROM/LENGTH, as 2026-11-25T22:00Z/6h, several times for several.
    #[arg(long, value_name = "TIME", required = true)]
    pub(crate) window: Vec<Window>,
    /// How long a host is out once it is empty, as 20m.
    #[arg(long, value_name = "TIME", default_value = "0s")]
    pub(crate) outage: Seconds,
    /// How many hosts may be out at once; by default as many as there is room for.
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_out: Option<u32>,
    /// How many more hosts may fail at any moment without leaving instances without a place.
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub(crate) spare_hosts: u32,
    /// A host, or a pattern, that matters more where the window is too short for all, as 'cmp-1*=10'; 0 is usual. Can be
    /// given several times, the last wins.
    #[arg(long, value_name = "HOST=NUMBER")]
    pub(crate) priority: Vec<HostPriority>,
    /// Bring each instance back to its first host at the end.
    #[arg(long)]
    pub(crate) way_back: bool,
    #[command(flatten)]
    pub(crate) options: PlanningOptions,
}

/// Plan the emptying of hosts.
#[derive(Debug, Args)]
pub(crate) struct Evacuate {
    #[command(flatten)]
    pub(crate) hosts: HostSelection,
    /// Moves may start only within this time from the beginning, as 2h; by default there is no end.
    #[arg(long, value_name = "TIME")]
    pub(crate) window: Option<Seconds>,
    #[command(flatten)]
    pub(crate) options: PlanningOptions,
}

/// Plan giving instances another flavor.
#[derive(Debug, Args)]
pub(crate) struct Resize {
    /// The instance, by id or name; can be given several times.
    #[arg(long, value_name = "INSTANCE", required_unless_present = "from")]
    pub(crate) instance: Vec<String>,
    /// The flavor it is to have: one for all instances, or one for each in the same order.
    #[arg(long, value_name = "FLAVOR", required_unless_present = "from")]
    pub(crate) flavor: Vec<String>,
    /// A file with one instance and its flavor a line, with a comma or a space between them; `-` is standard input, `#` begins
    /// a remark.
    #[arg(long, value_name = "FILE")]
    pub(crate) from: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) options: PlanningOptions,
}

/// Say what a fleet can still take.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  decant report --fleet fleet.json
  decant report --fleet fleet.json --headroom 10% --html capacity.html")]
pub(crate) struct Report {
    /// Write a page for the browser to this file; it needs no network.
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// Show every host, flavor and case, not the first forty.
    #[arg(long)]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) options: PlanningOptions,
}

/// Which hosts are meant; a host named several ways counts once.
#[derive(Debug, Args)]
#[command(next_help_heading = "Hosts")]
pub(crate) struct HostSelection {
    /// A host, or a pattern of hosts as 'cmp-0[1-4]' or 'cmp-*'; can be given several times.
    #[arg(long, value_name = "HOST")]
    pub(crate) host: Vec<String>,
    /// A file with one host or pattern a line; `-` is standard input, `#` begins a remark.
    #[arg(long, value_name = "FILE")]
    pub(crate) hosts_from: Option<PathBuf>,
    /// All hosts of this aggregate; can be given several times.
    #[arg(long, value_name = "AGGREGATE")]
    pub(crate) aggregate: Vec<String>,
    /// All hosts of this availability zone; can be given several times.
    #[arg(long, value_name = "ZONE")]
    pub(crate) zone: Vec<String>,
}

impl HostSelection {
    /// Whether nothing was asked for.
    pub(crate) fn is_empty(&self) -> bool {
        self.host.is_empty() && self.hosts_from.is_none() && self.aggregate.is_empty() && self.zone.is_empty()
    }
}

/// Options of every planning command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Planning")]
pub(crate) struct PlanningOptions {
    /// The fleet document; `-` is standard input, and .gz or .zst is unpacked.
    #[arg(long, value_name = "FILE", env = "DECANT_FLEET")]
    pub(crate) fleet: PathBuf,
    /// Write the document to this file; a summary for people still goes to standard output.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// What standard output carries: a summary for people, or the document.
    #[arg(long, value_enum, default_value_t = Format::Human, env = "DECANT_FORMAT")]
    pub(crate) format: Format,
    /// Stop improving after this long and answer with what there is, saying so; what would help those that stay is looked
    /// for after that, for a fifth as long at most.
    #[arg(long, value_name = "TIME", default_value = "60s", env = "DECANT_TIME_LIMIT")]
    pub(crate) time_limit: Seconds,
    /// Move nobody but the instances that were asked for.
    #[arg(long, env = "DECANT_NO_DISPLACE")]
    pub(crate) no_displace: bool,
    /// A host, or a pattern of hosts, that must receive nothing; can be given several times.
    #[arg(long, value_name = "HOST")]
    pub(crate) exclude_host: Vec<String>,
    /// An instance, by id or name, that must stay where it is; can be given several times.
    #[arg(long, value_name = "INSTANCE")]
    pub(crate) pin: Vec<String>,
    /// Share of each class of its capacity that a host which receives something keeps unused at the end, as 10%.
    #[arg(long, value_name = "PERCENT", default_value = "0%", env = "DECANT_HEADROOM")]
    pub(crate) headroom: Percent,
    /// Which goals come first, as displaced,refused; those not named follow in the usual order: refused, displaced,
    /// duration, imbalance.
    #[arg(long, value_enum, value_name = "GOALS", value_delimiter = ',', env = "DECANT_GOALS")]
    pub(crate) goals: Vec<Goal>,
    /// Refuse as few as possible, whatever their priorities; else nobody is refused for any number of less important ones.
    #[arg(long, env = "DECANT_COUNT_FIRST")]
    pub(crate) count_first: bool,
    /// Feeds every random choice: the same fleet, request, seed and limits give the same plan.
    #[arg(long, value_name = "NUMBER", default_value_t = 1, env = "DECANT_SEED")]
    pub(crate) seed: u64,
    /// Threads to plan with, 1 to 256; by default one for each processor. The plan does not depend on it.
    #[arg(long, value_name = "NUMBER", env = "DECANT_THREADS", value_parser = clap::value_parser!(u16).range(1..=THREADS_MAX))]
    pub(crate) threads: Option<u16>,
}

/// What a plan is to have little of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Goal {
    /// Instances that stay though they were asked to go.
    Refused,
    /// Memory of other instances that move; before `refused`: nobody makes room.
    Displaced,
    /// Time until the last move has ended.
    Duration,
    /// How unevenly the hosts are filled at the end.
    Imbalance,
}

impl From<Goal> for TierName {
    fn from(goal: Goal) -> Self {
        match goal {
            Goal::Refused => Self::Refused,
            Goal::Displaced => Self::DisplacedMemoryMb,
            Goal::Duration => Self::DurationS,
            Goal::Imbalance => Self::Imbalance,
        }
    }
}

/// What standard output carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Text for people.
    Human,
    /// The document, for programs.
    Json,
}
