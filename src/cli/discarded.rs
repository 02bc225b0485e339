//! Arguments of the commands that look after copies that were put aside.

use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::{Format, Seconds, Site};

/// Look after copies that were put aside: by a revert, or since their host had been dead.
#[derive(Debug, Subcommand)]
pub(crate) enum DiscardedCommand {
    /// List them: how large, since when, and why. They take room until they are removed.
    List {
        #[command(flatten)]
        site: Site,
        /// What standard output carries: a table for people, or a list for programs.
        #[arg(long, value_enum, default_value_t = Format::Human, env = "DECANT_FORMAT")]
        format: Format,
    },
    /// Remove them, but for those that may be the last copy of an instance, are in use, or belong to a migration that is not
    /// over.
    Remove(RemoveDiscarded),
}

/// Remove copies that were put aside.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  decant host discarded remove --older-than 7d --hosts-in /srv/decant          says which; removes nothing
  decant host discarded remove --older-than 7d --hosts-in /srv/decant --yes
  decant host discarded remove web-1 --host oak --hosts-in /srv/decant --yes

What the guest wrote at the target of a migration that was reverted is in such a copy, and nowhere else.")]
pub(crate) struct RemoveDiscarded {
    /// Of these instances; by default of all.
    #[arg(value_name = "INSTANCE")]
    pub(crate) instance: Vec<String>,
    /// On this host only.
    #[arg(long, value_name = "HOST")]
    pub(crate) host: Option<String>,
    /// Only those that were put aside longer ago than this, as 7d or 12h.
    #[arg(long, value_name = "TIME")]
    pub(crate) older_than: Option<Age>,
    /// Remove them. Nothing is removed without this.
    #[arg(long)]
    pub(crate) yes: bool,
    #[command(flatten)]
    pub(crate) site: Site,
}

/// How old something is, as `7d` or `12h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Age(pub(crate) Duration);

impl FromStr for Age {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some(days) = text.trim().strip_suffix('d') else { return text.parse().map(|Seconds(length)| Self(length)) };
        let days: u32 = days.trim().parse().map_err(|_| "write an age as 7d, 12h or 30m".to_owned())?;
        Ok(Self(Duration::from_secs(u64::from(days) * 86_400)))
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn an_age_is_counted_in_days_or_as_any_length_of_time() {
        assert_eq!("7d".parse::<Age>().unwrap().0, Duration::from_secs(7 * 86_400));
        assert_eq!("12h".parse::<Age>().unwrap().0, Duration::from_secs(12 * 3600));
        for wrong in ["-1d", "d", "7", "a week"] {
            assert!(wrong.parse::<Age>().is_err(), "{wrong}");
        }
    }
}
