//! `decant host add`: a folder becomes a host's, once.

use std::os::linux::fs::MetadataExt;
use std::path::Path;

use decant_executor::layout::HostFolder;
use decant_schema::id::HostName;

use crate::cli::AddHost;
use crate::commands::site;
use crate::error::{Complaint, Exit, Failure};
use crate::output;

pub(super) fn run(args: &AddHost) -> Result<Exit, Failure> {
    let root = site::hosts_folder(args.hosts_in.as_deref())?;
    let hosts = args.host.iter().map(|name| HostName::new(name.as_str())).collect();
    let folders = site::folders(&root, &hosts)?;
    let wrong = folders.iter().filter_map(|(host, folder)| cannot_be_added(host, folder, args.mount));
    let errors: Vec<Complaint> = wrong.collect();
    if !errors.is_empty() {
        return Err(Failure::Input { of: "the request".to_owned(), errors });
    }
    for (host, folder) in &folders {
        folder.add(host).map_err(|error| Failure::environment(format!("add the host {host}"), error))?;
        output::print(&format!("{host} is added: {}\n", folder.path().display()))?;
    }
    Ok(Exit::Done)
}

fn cannot_be_added(host: &HostName, folder: &HostFolder, must_be_mounted: bool) -> Option<Complaint> {
    let path = folder.path().display();
    if folder.is_added() {
        let problem = format!("{path} is a host's folder already");
        return Some(Complaint::new(problem, "leave it as it is: a host is added once"));
    }
    if must_be_mounted && !is_mounted(folder.path()) {
        let problem = format!("no storage is mounted on {path}, the folder of host {host}");
        return Some(Complaint::new(problem, "mount it, then add the host"));
    }
    None
}

/// Whether another storage begins at this folder.
fn is_mounted(folder: &Path) -> bool {
    let storage = |path: &Path| path.metadata().map(|there| there.st_dev());
    match (storage(folder), folder.parent().map(storage)) {
        (Ok(here), Some(Ok(above))) => here != above,
        _ => false,
    }
}
