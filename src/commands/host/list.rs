//! `decant host list`: the hosts of this machine, and how they are.

use std::io;
use std::path::Path;

use decant_executor::layout::HostFolder;
use decant_schema::id::HostName;
use decant_schema::store::Place;

use crate::cli::{Format, ListHosts};
use crate::commands::site;
use crate::error::{Exit, Failure};
use crate::output;
use crate::render::text::{HostRow, hosts};

pub(super) fn run(args: &ListHosts) -> Result<Exit, Failure> {
    let places = site::known_places(&args.site)?;
    let rows: Vec<HostRow> = places.iter().map(|(host, place)| row(host, place)).collect();
    match args.format {
        Format::Json => output::write_json(None, &rows)?,
        Format::Human => output::print(&hosts(&rows))?,
    }
    Ok(Exit::Done)
}

fn row(host: &HostName, place: &Place) -> HostRow {
    let absent = |state: String| HostRow {
        host: host.to_string(),
        folder: place.folder.display().to_string(),
        state,
        instances: None,
        store: None,
        free_mb: None,
        kept_free_mb: None,
    };
    match state(host, place) {
        Err(why) => absent(why),
        Ok(folder) => figures(&folder, absent("here".to_owned()))
            .unwrap_or_else(|error| absent(format!("cannot be looked at: {error}"))),
    }
}

/// Its folder where it is here, else why not.
pub(super) fn state(host: &HostName, place: &Place) -> Result<HostFolder, String> {
    if place.mounted && !site::is_mounted(&place.folder) {
        return Err("not mounted".to_owned());
    }
    is_own(host, &place.folder)
}

fn is_own(host: &HostName, path: &Path) -> Result<HostFolder, String> {
    let folder = HostFolder::new(path);
    if !folder.is_added() {
        return Err("not there".to_owned());
    }
    match folder.added_as() {
        Ok(Some(other)) if other != *host => Err(format!("the folder of {other}")),
        Ok(_) => Ok(folder),
        Err(error) => Err(format!("cannot be looked at: {error}")),
    }
}

fn figures(folder: &HostFolder, row: HostRow) -> io::Result<HostRow> {
    let (free, kept_free) = folder.room()?;
    Ok(HostRow {
        instances: Some(folder.instances()?.len()),
        store: folder.owner()?.map(|owner| owner.path.display().to_string()),
        free_mb: Some(free.count()),
        kept_free_mb: Some(kept_free.count()),
        ..row
    })
}
