//! `decant fleet`: checks, converts and reads fleet documents.

use std::path::Path;

use decant_schema::fleet::Fleet;

use super::{documents, site};
use crate::cli::{FleetCommand, FleetFormat, FleetSource, StoreFile};
use crate::error::{Exit, Failure};
use crate::output;
use crate::render::words;

pub(super) fn run(command: &FleetCommand) -> Result<Exit, Failure> {
    match command {
        FleetCommand::Check { fleet } => check(fleet)?,
        FleetCommand::Pull { from: FleetSource::Store, store, output } => pull(store, output.as_deref())?,
        FleetCommand::Import { from, input, output } => import(*from, input, output.as_deref())?,
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

/// The store's fleet, as the agents last reported it.
fn pull(store: &StoreFile, output: Option<&Path>) -> Result<(), Failure> {
    let store = site::store(store)?;
    documents::apart(&[("the store", Some(&store))], &[("--output", output)])?;
    let document = site::run("read the store", site::BEGINS_AGAIN, decant_executor::apply::fleet(&store))?;
    output::write_json(output, &document)
}

fn import(from: FleetFormat, input: &Path, output: Option<&Path>) -> Result<(), Failure> {
    documents::apart(&[("the input", Some(input))], &[("--output", output)])?;
    let text = documents::text(input)?;
    let imported = match from {
        FleetFormat::Ganeti => decant_schema::fleet::ganeti::import(&text),
    };
    let checked = imported.map_err(|error| Failure::findings(documents::name(input), &error.errors))?;
    documents::warn(input, &checked.warnings);
    output::note(&format!("{}: a fleet of {}", documents::name(input), contents(&checked.fleet)));
    output::write_json(output, checked.fleet.document())
}
