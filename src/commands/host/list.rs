//! `decant host list`: the hosts of a folder, and how they are.

use std::io;

use decant_executor::layout::HostFolder;

use crate::cli::{Format, ListHosts};
use crate::commands::site;
use crate::error::{Exit, Failure};
use crate::output;
use crate::render::text::{HostRow, hosts};

pub(super) fn run(args: &ListHosts) -> Result<Exit, Failure> {
    let root = site::hosts_folder(args.hosts_in.as_deref())?;
    let failed = |error: io::Error| Failure::environment(format!("look at the hosts in {}", root.display()), error);
    let folders = HostFolder::all_within(&root).map_err(failed)?;
    let rows: Result<Vec<_>, _> = folders.into_iter().map(|(name, folder)| row(name, &folder)).collect();
    let rows = rows.map_err(failed)?;
    match args.format {
        Format::Json => output::write_json(None, &rows)?,
        Format::Human => output::print(&hosts(&rows))?,
    }
    Ok(Exit::Done)
}

fn row(host: String, folder: &HostFolder) -> io::Result<HostRow> {
    let (free, kept_free) = folder.room()?;
    Ok(HostRow {
        host,
        instances: folder.instances()?.len(),
        store: folder.owner()?.map(|owner| owner.path.display().to_string()),
        free_mb: free.count(),
        kept_free_mb: kept_free.count(),
    })
}
