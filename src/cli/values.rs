//! Values of options that are more than a text or a number.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::ValueEnum;
use decant_executor::apply::LEASE_MIN;
use decant_schema::fleet::Heartbeat;
use decant_schema::machine::{Link, NicModel};
use jiff::fmt::temporal::Pieces;
use jiff::{SignedDuration, Timestamp};

use super::guest::{Bus, ImageFormat};

/// A length of time with its unit, as `10s`, `2h` or `1h30m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seconds(pub(crate) Duration);

impl FromStr for Seconds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.trim().parse::<f64>().is_ok_and(f64::is_finite) {
            return Err(format!("a length of time needs its unit, as {0}s, {0}m or {0}h", text.trim()));
        }
        let length: SignedDuration =
            text.parse().map_err(|_| "write a length of time as 10s, 500ms, 15m, 2h or 1h30m".to_owned())?;
        Duration::try_from(length).map(Self).map_err(|_| "a length of time cannot be negative".to_owned())
    }
}

/// How long a host may be silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lease(pub(crate) Duration);

impl FromStr for Lease {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Seconds(length) = text.parse()?;
        if length < LEASE_MIN {
            return Err(format!("a host needs time to answer: {}s at least", LEASE_MIN.as_secs()));
        }
        Ok(Self(length))
    }
}

/// When moves of a maintenance may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Window {
    /// So long from the beginning, as `8h`.
    Length(Duration),
    /// From a moment of the calendar to another, as `2026-11-25T22:00Z/2026-11-26T04:00Z`, or for so long, as
    /// `2026-11-25T22:00Z/6h`.
    Calendar {
        /// When it opens.
        from: Timestamp,
        /// When it closes, later than it opens.
        until: Timestamp,
    },
}

impl FromStr for Window {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some((from, until)) = text.split_once('/') else {
            return text.parse().map(|Seconds(length)| Self::Length(length));
        };
        let from = moment(from)?;
        let until = match until.parse::<Seconds>() {
            Ok(Seconds(length)) => {
                from.checked_add(length).map_err(|_| format!("an interval ends at {} at the latest", Timestamp::MAX))?
            }
            Err(_) => moment(until)?,
        };
        (from < until).then_some(Self::Calendar { from, until }).ok_or("an interval ends after it begins".to_owned())
    }
}

fn moment(text: &str) -> Result<Timestamp, String> {
    text.trim().parse().map_err(|_| match Pieces::parse(text.trim()) {
        Ok(pieces) if pieces.time().is_some() && pieces.offset().is_some() => {
            format!("{text} is beyond the calendar, which goes from {} to {}", Timestamp::MIN, Timestamp::MAX)
        }
        _ => {
            format!("{text:?} is no moment: write date, time and zone, as 2026-11-25T22:00Z or 2026-11-25T23:00+01:00")
        }
    })
}

/// A network card: what it is plugged into, and its address and model where they are given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NicArgument {
    /// What it is plugged into.
    pub(crate) link: Link,
    /// Its address; none: one is drawn.
    pub(crate) mac: Option<String>,
    /// Its model.
    pub(crate) model: NicModel,
}

impl FromStr for NicArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut parts = text.split(',');
        let link = match parts.next().map(|part| part.split_once('=').unwrap_or((part, ""))) {
            Some(("user", "")) => Link::User,
            Some(("bridge", name)) if !name.is_empty() => Link::Bridge { bridge: name.to_owned() },
            Some(("tap", name)) if !name.is_empty() => Link::Tap { tap: name.to_owned() },
            _ => return Err("begin with user, bridge=NAME or tap=NAME".to_owned()),
        };
        let mut nic = Self { link, mac: None, model: NicModel::default() };
        for part in parts {
            match part.split_once('=') {
                Some(("mac", mac)) => nic.mac = Some(mac.to_ascii_lowercase()),
                Some(("model", "virtio")) => nic.model = NicModel::Virtio,
                Some(("model", "e1000")) => nic.model = NicModel::E1000,
                _ => return Err(format!("{part:?} is neither mac=ADDRESS nor model=virtio nor model=e1000")),
            }
        }
        Ok(nic)
    }
}

/// A disk beside the one a guest starts from: its image, and how it is to be where that is given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DiskArgument {
    /// The image it is made from.
    pub(crate) image: PathBuf,
    /// The format of that image.
    pub(crate) format: ImageFormat,
    /// How the guest reaches it; none: as a description says, or by virtio.
    pub(crate) bus: Option<Bus>,
    /// What it is called; none: as a description says, or by its number.
    pub(crate) name: Option<String>,
}

impl FromStr for DiskArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (mut rest, mut format, mut bus, mut name) = (text, None, None, None);
        // From the end: a file's name may have commas, too.
        while let Some((before, (key, value))) =
            rest.rsplit_once(',').and_then(|(before, option)| Some((before, option.split_once('=')?)))
        {
            match key {
                "format" => format = Some(one_of("format", value)?),
                "bus" => bus = Some(one_of("bus", value)?),
                "name" => name = Some(value.to_owned()),
                _ => return Err(format!("{key:?} is neither format=, bus= nor name=")),
            }
            rest = before;
        }
        if rest.is_empty() {
            return Err("begin with the image it is made from".to_owned());
        }
        Ok(Self { image: rest.into(), format: format.unwrap_or_default(), bus, name })
    }
}

/// The value of this name, or which names there are.
fn one_of<T: ValueEnum>(key: &str, value: &str) -> Result<T, String> {
    let names =
        || T::value_variants().iter().filter_map(|known| Some(known.to_possible_value()?.get_name().to_owned()));
    T::from_str(value, false)
        .map_err(|_| format!("{key}={value} is not known: write {}", names().collect::<Vec<_>>().join(" or ")))
}

/// How a guest shows that it lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HeartbeatArgument(pub(crate) Heartbeat);

impl FromStr for HeartbeatArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=').unwrap_or((text, "")) {
            ("agent", "") => Ok(Self(Heartbeat::Agent)),
            ("console", contains) if !contains.is_empty() => {
                Ok(Self(Heartbeat::Console { contains: contains.to_owned() }))
            }
            ("tcp", address) => {
                let address =
                    address.parse().map_err(|_| "write an address and a port, as tcp=10.0.0.7:22".to_owned())?;
                Ok(Self(Heartbeat::Tcp { address }))
            }
            _ => Err("write agent, tcp=ADDRESS:PORT or console=TEXT".to_owned()),
        }
    }
}

/// A share of a whole, as `10%`; 0 to 100.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Percent(pub(crate) f64);

impl FromStr for Percent {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.trim().strip_suffix('%').ok_or("write a share with its sign, as 10%")?;
        match number.trim().parse::<f64>() {
            Ok(percent) if (0.0..=100.0).contains(&percent) => Ok(Self(percent)),
            Ok(_) => Err("a share is between 0% and 100%".to_owned()),
            Err(_) => Err("write a share as 10% or 12.5%".to_owned()),
        }
    }
}

/// How much a host matters, as `cmp-01=10`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostPriority {
    /// The host, or a pattern.
    pub(crate) host: String,
    /// Greater matters more.
    pub(crate) priority: i32,
}

impl FromStr for HostPriority {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (host, number) = text.rsplit_once('=').ok_or("write a host and its number, as cmp-01=10")?;
        let priority = number.trim().parse().map_err(|_| format!("{number} is not a whole number; write cmp-01=10"))?;
        Ok(Self { host: host.trim().to_owned(), priority })
    }
}

/// When an instance that arrived is confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// By a person.
    Manual,
    /// By itself, this long after it arrived.
    After(Duration),
}

impl FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.trim() {
            "now" => Ok(Self::After(Duration::ZERO)),
            "manual" => Ok(Self::Manual),
            time => match time.parse::<Seconds>() {
                Ok(Seconds(length)) => Ok(Self::After(length)),
                Err(problem) => Err(format!("write now, manual or a time: {problem}")),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_length_of_time_needs_its_unit() {
        assert_eq!("1h30m".parse::<Seconds>().unwrap().0, Duration::from_secs(5400));
        assert_eq!("500ms".parse::<Seconds>().unwrap().0, Duration::from_millis(500));
        assert!("10".parse::<Seconds>().unwrap_err().contains("10s, 10m or 10h"));
        assert!("-3s".parse::<Seconds>().unwrap_err().contains("negative"));
        for no_number in ["inf", "NaN", "-infinity"] {
            assert!(no_number.parse::<Seconds>().unwrap_err().starts_with("write a length"), "{no_number}");
        }
        assert!("soon".parse::<Seconds>().unwrap_err().contains("15m"));
    }

    #[test]
    fn a_lease_is_long_enough_for_an_answer() {
        assert_eq!("1s".parse::<Lease>().unwrap().0, Duration::from_secs(1));
        for short in ["0s", "5ms", "999ms"] {
            assert!(short.parse::<Lease>().unwrap_err().contains("1s at least"), "{short}");
        }
    }

    #[test]
    fn a_window_is_a_length_or_two_moments_of_the_calendar() {
        assert_eq!("8h".parse::<Window>().unwrap(), Window::Length(Duration::from_secs(8 * 3600)));
        let night = "2026-11-25T22:00Z/2026-11-26T04:00Z".parse::<Window>().unwrap();
        assert_eq!("2026-11-25T23:00+01:00/6h".parse::<Window>().unwrap(), night);
        for (wrong, says) in [
            ("2026-11-25T22:00/6h", "zone"),
            ("2026-11-25T22:00Z/2026-11-25T21:00Z", "ends after it begins"),
            ("2026-11-25T22:00Z/tomorrow", "no moment"),
            ("tonight", "1h30m"),
            ("9999-12-31T23:00Z/6h", "beyond the calendar"),
            ("9999-12-30T20:00Z/6h", "at the latest"),
        ] {
            assert!(wrong.parse::<Window>().unwrap_err().contains(says), "{wrong}");
        }
    }

    #[test]
    fn a_disk_is_its_image_and_what_is_said_of_it() {
        let disk: DiskArgument = "a,b.raw,format=raw,bus=scsi,name=data".parse().unwrap();
        assert_eq!((disk.image, disk.format), ("a,b.raw".into(), ImageFormat::Raw));
        assert_eq!((disk.bus, disk.name.as_deref()), (Some(Bus::Scsi), Some("data")));
        let plain: DiskArgument = "a.qcow2".parse().unwrap();
        assert_eq!((plain.format, plain.bus), (ImageFormat::Qcow2, None));
        for wrong in ["", ",bus=ide", "a,bus=floppy", "a,format=iso", "a,size=3"] {
            assert!(wrong.parse::<DiskArgument>().is_err(), "{wrong}");
        }
        assert!("a,bus=floppy".parse::<DiskArgument>().unwrap_err().contains("virtio or scsi or ide"));
    }

    #[test]
    fn a_sign_of_life_is_one_of_three() {
        assert_eq!("agent".parse::<HeartbeatArgument>().unwrap().0, Heartbeat::Agent);
        let console = Heartbeat::Console { contains: "a=b".to_owned() };
        assert_eq!("console=a=b".parse::<HeartbeatArgument>().unwrap().0, console);
        assert!(matches!("tcp=[fd00::7]:22".parse::<HeartbeatArgument>().unwrap().0, Heartbeat::Tcp { .. }));
        for wrong in ["", "console=", "agent=7", "tcp=here", "pulse"] {
            assert!(wrong.parse::<HeartbeatArgument>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_share_is_a_percentage_between_nothing_and_all() {
        assert_eq!("12.5%".parse::<Percent>().unwrap(), Percent(12.5));
        for wrong in ["0.1", "101%", "-1%", "NaN%", "ten%", ""] {
            assert!(wrong.parse::<Percent>().is_err(), "{wrong}");
        }
    }
}
