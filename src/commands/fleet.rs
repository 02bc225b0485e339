//! `decant fleet`: checks, converts and reads fleet documents.

use std::path::Path;

use decant_executor::apply::add_flavor;
use decant_schema::fleet::{Flavor, Fleet};
use decant_schema::id::ResourceClass;
use jiff::Timestamp;

use super::{documents, site};
use crate::cli::{FleetCommand, FleetFormat, FleetSource, StoreFile};
use crate::error::{Exit, Failure};
use crate::output;
use crate::render::words;

pub(super) fn run(command: &FleetCommand) -> Result<Exit, Failure> {
    match command {
        FleetCommand::Check { fleet } => check(fleet)?,
        FleetCommand::Pull { from: FleetSource::Store, store, output } => pull(store, output.as_deref())?,
        FleetCommand::Flavor { name, vcpus, memory, disk, store } => flavor(name, *vcpus, *memory, *disk, store)?,
        FleetCommand::Import { from, input, output } => import(*from, input, output.as_deref())?,
    }
    Ok(Exit::Done)
}

fn check(path: &Path) -> Result<(), Failure> {
    let fleet = documents::fleet(path)?;
    output::print(&format!("{}: a fleet of {}\n", documents::name(path), contents(&fleet)))?;
    if let Some(warning) = age(fleet.document().captured_at, Timestamp::now()) {
        output::note(&format!("warning: {}: {warning}", documents::name(path)));
    }
    Ok(())
}

/// What is to be said of when a fleet was read, if that is long ago.
fn age(read: Timestamp, now: Timestamp) -> Option<String> {
    if read == Timestamp::UNIX_EPOCH {
        return Some("nothing says when it was read: it may be long ago".to_owned());
    }
    let hours = now.duration_since(read).as_hours();
    let ago = if hours < 48 {
        words::count(hours.try_into().ok()?, "hour")
    } else {
        words::count((hours / 24).try_into().ok()?, "day")
    };
    (hours >= 24).then(|| format!("it was read {ago} ago ({read}): read it again before it is planned with"))
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

/// A size instances can have, made or changed.
fn flavor(name: &str, vcpus: u64, memory: u64, disk: Option<u64>, store: &StoreFile) -> Result<(), Failure> {
    let amounts =
        [(ResourceClass::VCPU, Some(vcpus)), (ResourceClass::MEMORY_MB, Some(memory)), (ResourceClass::DISK_GB, disk)];
    let flavor = Flavor {
        name: name.into(),
        resources: amounts.into_iter().filter_map(|(class, amount)| Some((class.into(), amount?))).collect(),
        required_traits: Default::default(),
        forbidden_traits: Default::default(),
        required_aggregates: Default::default(),
    };
    site::run("add the flavor", site::GOES_ON, add_flavor(&site::store(store)?, &flavor))?;
    output::print(&format!("{name} is a flavor of the store's fleet\n"))
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

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_fleet_that_was_read_long_ago_is_told_by_its_age() {
        let now: Timestamp = "2026-11-25T12:00:00Z".parse().unwrap();
        let told = |read: &str| age(read.parse().unwrap(), now);
        assert_eq!(told("2026-11-24T12:00:01Z"), None);
        assert_eq!(told("2026-11-26T12:00:00Z"), None, "a clock that is ahead is no age");
        assert!(told("2026-11-24T11:00:00Z").unwrap().contains("25 hours ago"));
        assert!(told("2026-11-20T11:00:00Z").unwrap().contains("5 days ago"));
        assert!(told("1970-01-01T00:00:00Z").unwrap().contains("nothing says"));
    }
}
