//! `decant migration`: lists, shows and decides about migrations.

use std::path::Path;

use decant_executor::apply::{ApplyOptions, decide, list, show};
use decant_schema::migration::{Migration, MigrationId, Wish};
use uuid::Uuid;

use super::{site, watch::Watch};
use crate::cli::{Decide, Format, MigrationCommand};
use crate::error::{Exit, Failure};
use crate::output;
use crate::render::{self, words};

pub(super) fn run(command: &MigrationCommand) -> Result<Exit, Failure> {
    match command {
        MigrationCommand::List { store, unfinished, format } => {
            let mut all = known(&site::store(store)?)?;
            all.retain(|migration| !unfinished || migration.state.outcome().is_none());
            match format {
                Format::Json => output::write_json(None, &all)?,
                Format::Human => output::print(&render::text::migrations(&all))?,
            }
        }
        MigrationCommand::Show { id, store, format } => {
            let store = site::store(store)?;
            let id = find(&store, id)?.id;
            let history = site::run("read the migration", site::BEGINS_AGAIN, show(&store, id))?;
            match format {
                Format::Json => output::write_json(None, &history.migration)?,
                Format::Human => output::print(&render::text::history(&history))?,
            }
        }
        MigrationCommand::Confirm { decide, anyway: false } => settle(decide, Wish::Confirm)?,
        MigrationCommand::Confirm { decide, anyway: true } => settle(decide, Wish::ConfirmAnyway)?,
        MigrationCommand::Revert(args) => settle(args, Wish::Revert)?,
        MigrationCommand::Abort(args) => settle(args, Wish::Abort)?,
    }
    Ok(Exit::Done)
}

fn known(store: &Path) -> Result<Vec<Migration>, Failure> {
    site::run("read the store", site::BEGINS_AGAIN, list(store))
}

/// The migration of this id, or the latest of this instance.
fn find(store: &Path, id: &str) -> Result<Migration, Failure> {
    let wanted = id.parse::<Uuid>().ok().map(MigrationId);
    let mut all = known(store)?;
    let at = all.iter().rposition(|known| Some(known.id) == wanted || known.subject.instance.as_str() == id);
    at.map(|at| all.swap_remove(at)).ok_or_else(|| {
        let problem = format!("the store knows no migration {id}, nor one of an instance {id}");
        Failure::input("the request", problem, "decant migration list names them")
    })
}

/// Has a decision carried out and says what came of it.
fn settle(args: &Decide, wish: Wish) -> Result<(), Failure> {
    let store = site::store(&args.site.store)?;
    let migration = find(&store, &args.id)?;
    let hosts = [migration.subject.source().clone(), migration.subject.target().clone()].into();
    let drivers = site::drivers(&args.site, &hosts)?;
    let watch = Watch::new(1);
    let deciding = decide(&store, drivers, migration.id, wish, ApplyOptions::default(), watch.sink());
    let settled = site::run(&format!("{wish} the migration"), site::GOES_ON, deciding)?;
    drop(watch);
    let place = settled.standing().host.clone();
    output::print(&format!("{} is on {place}: {}\n", settled.subject.instance, words::state(&settled.state)))
}
