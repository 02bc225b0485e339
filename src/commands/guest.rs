//! `decant guest`: looks after guests, one file a verb.

mod adopt;
mod console;
mod define;
mod facts;
mod list;
mod machine;
mod start;
mod stop;

use decant_executor::Drivers;
use decant_schema::id::{HostName, InstanceId};

use super::select::Names;
use super::site;
use crate::cli::{GuestCommand, Site};
use crate::error::{Exit, Failure};

pub(super) fn run(command: &GuestCommand) -> Result<Exit, Failure> {
    match command {
        GuestCommand::Define(args) => define::run(args),
        GuestCommand::Adopt(args) => adopt::run(args),
        GuestCommand::Start(args) => start::run(args),
        GuestCommand::Stop(args) => stop::run(args),
        GuestCommand::List(args) => list::run(args),
        GuestCommand::Console(args) => console::run(args),
    }
}

/// An instance of the store's fleet, by id or name, and its host.
fn known(site: &Site, name: &str) -> Result<(InstanceId, HostName), Failure> {
    let fleet = site::stored_fleet(&site::store(&site.store)?)?;
    let mut names = Names::of(&fleet);
    let found = names.instances("INSTANCE", &[name.to_owned()]).pop();
    names.finish()?;
    // Without one there was an error.
    let id = found.unwrap_or_else(|| name.into());
    let host = fleet.instance_index(id.as_str()).map(|at| fleet.instances()[at].host.clone());
    Ok((id, host.unwrap_or_else(|| "".into())))
}

/// What the agents of this host work with, and those of all others that are here: none of the guest may run there.
fn drivers_around(site: &Site, host: &HostName) -> Result<Drivers, Failure> {
    let own = site::hosts(site, &[host.clone()].into())?;
    let mut drivers = site::hosts_here(site)?.drivers()?;
    drivers.extend(own.drivers()?);
    Ok(drivers)
}
