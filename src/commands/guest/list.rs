//! `decant guest list`: the guests as they are on record and as they are.

use decant_executor::apply::{GuestSeen, guests};
use decant_executor::hypervisor::Copy;
use decant_schema::fleet::InstanceState;

use crate::cli::{Format, ListGuests};
use crate::commands::site;
use crate::error::{Exit, Failure};
use crate::output;
use crate::render::text::{GuestRow, guests as table};

pub(super) fn run(args: &ListGuests) -> Result<Exit, Failure> {
    let store = site::store(&args.site.store)?;
    let drivers = site::hosts_here(&args.site)?.drivers()?;
    let seen = site::run("look at the guests", site::BEGINS_AGAIN, guests(&store, &drivers))?;
    let rows: Vec<GuestRow> = seen.iter().map(row).collect();
    match args.format {
        Format::Json => output::write_json(None, &rows)?,
        Format::Human => output::print(&table(&rows))?,
    }
    Ok(Exit::Done)
}

fn row(seen: &GuestSeen) -> GuestRow {
    let (found, size) = match &seen.copy {
        None => ("its host is not here".to_owned(), None),
        Some(Err(error)) => (error.to_string(), None),
        Some(Ok(Copy::Nothing | Copy::Incoming)) => ("nothing is there".to_owned(), None),
        Some(Ok(Copy::Stopped(facts))) => ("is down".to_owned(), Some(facts.size)),
        Some(Ok(Copy::Running(facts))) => ("runs".to_owned(), Some(facts.size)),
    };
    GuestRow {
        instance: seen.instance.id.to_string(),
        host: seen.instance.host.to_string(),
        flavor: seen.instance.flavor.to_string(),
        recorded: recorded(seen.instance.state),
        found,
        moving: seen.moving,
        memory_mb: size.map(|size| size.memory.count()),
        vcpus: size.map(|size| size.vcpus),
    }
}

fn recorded(state: InstanceState) -> &'static str {
    match state {
        InstanceState::Active => "active",
        InstanceState::Stopped => "stopped",
        InstanceState::Paused => "paused",
        InstanceState::Suspended => "suspended",
        InstanceState::Error => "error",
    }
}
