//! `decant host doctor`: all that a host needs, looked at; each finding with what to do.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use decant_executor::apply::{GuestSeen, guests};
use decant_executor::discarded::discarded;
use decant_executor::hypervisor::qemu::{Tools, probe};
use decant_executor::hypervisor::{Copy, HypervisorError};
use decant_executor::layout::HostFolder;
use decant_executor::tool;
use decant_schema::fleet::InstanceState;
use decant_schema::id::HostName;
use decant_schema::store::Place;
use decant_schema::units::mib;

use super::list::state;
use crate::cli::{Doctor, Format};
use crate::commands::site;
use crate::error::{Complaint, Exit, Failure};
use crate::output;
use crate::render::text::{CheckRow, checkup};
use crate::render::words;

/// The oldest QEMU that all of this was tried on.
const QEMU_MIN: (u64, u64) = (7, 2);

pub(super) fn run(args: &Doctor) -> Result<Exit, Failure> {
    let places = site::known_places(&args.site)?;
    let wanted = wanted(args, places.keys())?;
    let mut rows = programs();
    let have_programs = rows.iter().all(|row| row.remedy.is_none());
    rows.extend(have_programs.then(kvm));
    let seen = if have_programs { guests_seen(args)? } else { Vec::new() };
    for (host, place) in places.iter().filter(|(host, _)| wanted.contains(*host)) {
        rows.extend(host_rows(host, place, &seen));
    }
    match args.format {
        Format::Json => output::write_json(None, &rows)?,
        Format::Human => output::print(&checkup(&rows))?,
    }
    Ok(if rows.iter().all(|row| row.remedy.is_none()) { Exit::Done } else { Exit::Environment })
}

fn wanted<'a>(args: &Doctor, known: impl Iterator<Item = &'a HostName>) -> Result<BTreeSet<HostName>, Failure> {
    let known: BTreeSet<HostName> = known.cloned().collect();
    if args.host.is_empty() {
        return Ok(known);
    }
    let named: BTreeSet<HostName> = args.host.iter().map(|name| HostName::new(name.as_str())).collect();
    let unknown = named
        .difference(&known)
        .map(|host| Complaint::new(format!("no host {host} was added"), "decant host list shows those that were"));
    let errors: Vec<Complaint> = unknown.collect();
    if errors.is_empty() { Ok(named) } else { Err(Failure::Input { of: "HOST".to_owned(), errors }) }
}

fn guests_seen(args: &Doctor) -> Result<Vec<GuestSeen>, Failure> {
    let store = site::store(&args.site.store)?;
    if !store.exists() {
        return Ok(Vec::new());
    }
    let drivers = site::hosts_here(&args.site)?.drivers()?;
    site::run("look at the guests", site::BEGINS_AGAIN, guests(&store, &drivers))
}

/// The programs, and whether their versions were tried.
fn programs() -> Vec<CheckRow> {
    let row = |(program, version): (&'static str, Result<String, tool::MissingTool>)| match version {
        Err(missing) => on_machine(
            program,
            format!("it cannot be run: {}", missing.source),
            Some(format!("install the package {}", missing.package)),
        ),
        Ok(version) if is_too_old(program, &version) => {
            let (major, minor) = QEMU_MIN;
            on_machine(
                program,
                version,
                Some(format!("nothing older than {major}.{minor} was tried: install a newer one")),
            )
        }
        Ok(version) => on_machine(program, version, None),
    };
    tool::versions().into_iter().map(row).collect()
}

fn is_too_old(program: &str, version: &str) -> bool {
    let numbers = version.split_whitespace().find_map(|word| {
        let mut parts = word.split('.').map(|part| part.parse::<u64>().ok());
        Some((parts.next()??, parts.next()??))
    });
    program.starts_with("qemu") && numbers.is_some_and(|numbers| numbers < QEMU_MIN)
}

/// Whether guests run by the processor. Without it they run all the same, so it is nothing to mend where there is none.
fn kvm() -> CheckRow {
    if !Path::new("/dev/kvm").exists() {
        return on_machine("kvm", "not there; guests are translated (TCG), which is slow".to_owned(), None);
    }
    match probe::kvm(&Tools::default()) {
        Ok(()) => on_machine("kvm", "a guest was started with it and ran".to_owned(), None),
        Err(why) => {
            on_machine("kvm", format!("it does not work, guests are translated (TCG), which is slow: {why}"), None)
        }
    }
}

fn on_machine(subject: &'static str, found: String, remedy: Option<String>) -> CheckRow {
    CheckRow { host: None, subject, found, remedy }
}

fn host_rows(host: &HostName, place: &Place, seen: &[GuestSeen]) -> Vec<CheckRow> {
    let row = |subject, found: String, remedy: Option<String>| CheckRow {
        host: Some(host.to_string()),
        subject,
        found,
        remedy,
    };
    let path = place.folder.display();
    let folder = match state(host, place) {
        Ok(folder) => folder,
        Err(why) => {
            let remedy = "mount its storage there, or see what became of the folder; nothing is made in its place";
            return vec![row("folder", format!("{path}: {why}"), Some(remedy.to_owned()))];
        }
    };
    let mut rows = vec![row("folder", path.to_string(), None)];
    for (subject, looked) in [
        ("room", room(&folder)),
        ("interfaces", interfaces(&folder)),
        ("user", user(&folder)),
        ("put aside", put_aside(host, &folder)),
    ] {
        match looked {
            Ok(found) => rows.extend(found.map(|(found, remedy)| row(subject, found, remedy))),
            Err(error) => {
                rows.push(row(subject, format!("cannot be looked at: {error}"), Some("check its rights".to_owned())))
            }
        }
    }
    rows.extend(seen.iter().filter(|seen| seen.instance.host == *host).map(|seen| {
        let (found, remedy) = guest(seen);
        row("guest", format!("{}: {found}", seen.instance.id), remedy)
    }));
    rows.extend(unrecorded(&folder, seen).into_iter().map(|(found, remedy)| row("guest", found, remedy)));
    rows
}

/// What was found, and what to do about it where there is something to do.
type Look = io::Result<Option<(String, Option<String>)>>;

fn room(folder: &HostFolder) -> Look {
    let (free, kept) = folder.room()?;
    let remedy = (free < kept).then(|| "make room: no copy is taken, and guests may halt".to_owned());
    Ok(Some((format!("{free} free, of which {kept} are kept for the guests"), remedy)))
}

fn interfaces(folder: &HostFolder) -> Look {
    let listed = folder.listed_interfaces()?;
    if listed.is_empty() {
        return Ok(None);
    }
    let is_missing = |name: &&String| !Path::new("/sys/class/net").join(name.as_str()).exists();
    let missing: Vec<&str> = listed.iter().filter(is_missing).map(String::as_str).collect();
    if missing.is_empty() {
        return Ok(Some((listed.join(", "), None)));
    }
    let remedy = format!("make it, or take it out of {}", folder.interfaces().display());
    Ok(Some((format!("this machine has no {}", missing.join(", ")), Some(remedy))))
}

fn user(folder: &HostFolder) -> Look {
    let Some(name) = folder.user()? else { return Ok(None) };
    let users = std::fs::read_to_string("/etc/passwd")?;
    if users.lines().any(|line| line.split(':').next() == Some(name.as_str())) {
        return Ok(Some((format!("guests run as {name} where decant runs as root"), None)));
    }
    Ok(Some((
        format!("there is no {name} to run guests as"),
        Some(format!("make it: adduser --system --group {name}")),
    )))
}

fn put_aside(host: &HostName, folder: &HostFolder) -> Look {
    let copies = discarded(&[(host.clone(), folder.clone())].into())?;
    let takes: u64 = copies.iter().map(|copy| copy.mib).sum();
    let found = format!("{}, {} in all", words::count(copies.len(), "folder"), mib(takes));
    let remedy = "decant host discarded list names them, decant host discarded remove removes what nobody misses";
    Ok((!copies.is_empty()).then(|| (found, Some(remedy.to_owned()))))
}

/// How a guest is, and what to do where that is not what is on record.
fn guest(seen: &GuestSeen) -> (String, Option<String>) {
    let id = &seen.instance.id;
    if seen.moving {
        return ("in a migration".to_owned(), None);
    }
    let active = seen.instance.state == InstanceState::Active;
    match &seen.copy {
        None => ("its host is not here".to_owned(), None),
        Some(Ok(Copy::Running(_))) if active => ("runs".to_owned(), None),
        Some(Ok(Copy::Stopped(_))) if !active => ("is down".to_owned(), None),
        Some(Ok(Copy::Running(_))) => (
            "runs, though it is on record as stopped".to_owned(),
            Some(format!("decant guest stop {id}, or decant guest start {id}")),
        ),
        Some(Ok(Copy::Stopped(_))) => (
            "is down, though it is on record as running".to_owned(),
            Some(format!("decant guest start {id}, or decant guest stop {id}")),
        ),
        Some(Ok(Copy::Nothing | Copy::Incoming)) => {
            ("nothing is there of it".to_owned(), Some("decant host take-over looks where it is".to_owned()))
        }
        Some(Err(occupied @ HypervisorError::Occupied { .. })) => {
            (format!("failed to {occupied}"), Some("shut that one down; then decant starts it".to_owned()))
        }
        Some(Err(error)) => (format!("failed to {error}"), Some("see to that, then look again".to_owned())),
    }
}

/// What lies there of instances that are on no record, or on another host's.
fn unrecorded(folder: &HostFolder, seen: &[GuestSeen]) -> Vec<(String, Option<String>)> {
    let known: BTreeSet<&str> = seen.iter().map(|seen| seen.instance.id.as_str()).collect();
    let there = folder.instances().unwrap_or_default();
    let strangers = there.iter().filter(|id| !known.contains(id.as_str()));
    let remedy = |id: &str| format!("decant guest adopt {id} --host HOST --flavor NAME, or move its folder elsewhere");
    strangers.map(|id| (format!("{id}: it is on no record"), Some(remedy(id.as_str())))).collect()
}
