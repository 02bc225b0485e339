//! `decant host discarded`: copies that were put aside, listed and removed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use decant_executor::ApplyError;
use decant_executor::discarded::{Discarded, discarded, remove};
use decant_executor::layout::HostFolder;
use decant_schema::id::{HostName, InstanceId};
use jiff::{SignedDuration, Timestamp};

use crate::cli::{DiscardedCommand, Format, RemoveDiscarded, Site};
use crate::commands::site;
use crate::error::{Complaint, Exit, Failure};
use crate::output;
use crate::render::text;

pub(super) fn run(command: &DiscardedCommand) -> Result<Exit, Failure> {
    match command {
        DiscardedCommand::List { site, format } => list(site, *format),
        DiscardedCommand::Remove(args) => remove_all(args),
    }
}

fn list(site: &Site, format: Format) -> Result<Exit, Failure> {
    let all = found(&folders(site)?)?;
    match format {
        Format::Json => output::write_json(None, &all)?,
        Format::Human => output::print(&text::discarded(&all))?,
    }
    Ok(Exit::Done)
}

/// The folder of every host that is known here, by the host's name.
fn folders(site: &Site) -> Result<BTreeMap<HostName, HostFolder>, Failure> {
    let places = site::known_places(site)?;
    Ok(places.iter().map(|(host, place)| (host.clone(), HostFolder::new(&place.folder))).collect())
}

fn found(folders: &BTreeMap<HostName, HostFolder>) -> Result<Vec<Discarded>, Failure> {
    discarded(folders).map_err(|error| Failure::environment("look at what was put aside".to_owned(), error))
}

fn remove_all(args: &RemoveDiscarded) -> Result<Exit, Failure> {
    let folders = folders(&args.site)?;
    let mut chosen = found(&folders)?;
    let now = Timestamp::now();
    chosen.retain(|one| is_meant(args, one, now));
    if !args.yes {
        output::print(&text::discarded(&chosen))?;
        output::print("Nothing was removed; to remove them, add --yes.\n")?;
        return Ok(Exit::Done);
    }
    let drivers = site::drivers(&args.site, &folders.into_keys().collect())?;
    let store = site::store(&args.site.store)?;
    let mut kept = Vec::new();
    for one in chosen {
        let removed = async {
            let moving = moving(&store).await?;
            Ok::<_, ApplyError>(remove(&one, &moving, &drivers).await)
        };
        let name = format!("{} on {}, put aside at {}", one.instance, one.host, one.at);
        match site::run("remove what was put aside", site::GOES_ON, removed)? {
            Ok(()) => output::print(&format!("{name}: removed, {} MiB\n", one.mib))?,
            Err(why) => kept.push(Complaint::new(
                format!("{name} is kept: {why}"),
                format!("see to that first; it is in {}", one.path.display()),
            )),
        }
    }
    if kept.is_empty() { Ok(Exit::Done) } else { Err(Failure::Input { of: "the request".to_owned(), errors: kept }) }
}

fn is_meant(args: &RemoveDiscarded, one: &Discarded, now: Timestamp) -> bool {
    let age = now.duration_since(one.at);
    let old = args.older_than.is_none_or(|than| SignedDuration::try_from(than.0).is_ok_and(|than| age > than));
    let named = args.instance.is_empty() || args.instance.iter().any(|name| name == one.instance.as_str());
    old && named && args.host.as_ref().is_none_or(|host| host == one.host.as_str())
}

/// The instances that are on their way.
async fn moving(store: &Path) -> Result<BTreeSet<InstanceId>, ApplyError> {
    if !store.exists() {
        return Ok(BTreeSet::new());
    }
    let migrations = decant_executor::list(store).await?;
    let unfinished = migrations.into_iter().filter(|migration| migration.state.outcome().is_none());
    Ok(unfinished.map(|migration| migration.subject.instance).collect())
}
