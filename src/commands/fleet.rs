//! `decant fleet`: checks, converts and reads fleet documents.

use std::path::Path;

use decant_schema::fleet::Fleet;

use super::documents;
use crate::cli::FleetCommand;
use crate::error::{Exit, Failure};
use crate::output;
use crate::render::words;

pub(super) fn run(command: &FleetCommand) -> Result<Exit, Failure> {
    match command {
        FleetCommand::Check { fleet } => check(fleet)?,
    }
    Ok(Exit::Done)
}

fn check(path: &Path) -> Result<(), Failure> {
    let fleet = documents::fleet(path)?;
    output::print(&format!("{}: a fleet of {}\n", documents::name(path), contents(&fleet)))
}

/// What a fleet holds, in a line.
fn contents(fleet: &Fleet) -> String {
    let parts = [
        words::count(fleet.hosts().len(), "host"),
        words::count(fleet.instances().len(), "instance"),
        words::count(fleet.flavors().len(), "flavor"),
        words::count(fleet.server_groups().len(), "server group"),
    ];
    parts.join(", ")
}
