//! `decant guest adopt`: files that are on a host become a guest that decant knows.

use decant_executor::apply::{NewGuest, adopt_guest};
use decant_schema::fleet::InstanceState;
use decant_schema::id::{FlavorName, HostName, InstanceId};

use super::{define::mobility, drivers_around};
use crate::cli::AdoptGuest;
use crate::commands::site;
use crate::error::{Exit, Failure};
use crate::output;

pub(super) fn run(args: &AdoptGuest) -> Result<Exit, Failure> {
    let store = site::store(&args.site.store)?;
    let host = HostName::new(args.host.as_str());
    let drivers = drivers_around(&args.site, &host)?;
    let guest = NewGuest {
        instance: InstanceId::new(args.instance.as_str()),
        host: host.clone(),
        flavor: FlavorName::from(args.flavor.as_str()),
        mobility: mobility(args.mobility),
        heartbeat: args.heartbeat.as_ref().map(|heartbeat| heartbeat.0.clone()),
    };
    let state = site::run("adopt the guest", site::GOES_ON, adopt_guest(&store, &drivers, &guest))?;
    let how = if state == InstanceState::Active { "runs" } else { "is down" };
    output::print(&format!("{} on {host} is on record now; it {how}\n", guest.instance))?;
    Ok(Exit::Done)
}
