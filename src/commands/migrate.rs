//! `decant migrate` and `decant resize`: one instance, without a plan.

use std::fmt::Write as _;
use std::sync::Arc;

use decant_executor::apply::{MigrateJob, Migrated, WayIn, migrate};
use decant_executor::scheduler::MoveRequest;
use decant_schema::fleet::Fleet;
use decant_schema::id::{FlavorName, InstanceId};
use decant_schema::migration::{Awaits, Migration, MigrationOutcome};
use decant_schema::plan::MoveMode;

use super::scheduler::scheduler;
use super::select::Names;
use super::{apply, documents, plan, site, watch::Watch};
use crate::cli::{self, About, How};
use crate::error::{Exit, Failure};
use crate::output;
use crate::render::words;

/// What was typed, before its names are looked up.
struct Typed<'a> {
    instance: &'a str,
    to: Option<&'a str>,
    cast_to: Option<&'a str>,
    mode: Option<MoveMode>,
    flavor: Option<&'a str>,
    may_stay: bool,
}

pub(super) fn run(args: &cli::Migrate) -> Result<Exit, Failure> {
    let typed = Typed {
        instance: &args.instance,
        to: args.to.as_deref(),
        cast_to: args.cast_to.as_deref(),
        mode: mode(args.how),
        flavor: args.flavor.as_deref(),
        may_stay: false,
    };
    carry_out(&typed, &args.about)
}

pub(super) fn resize(args: &cli::ResizeOne) -> Result<Exit, Failure> {
    let flavor = Some(args.flavor.as_str());
    let typed = Typed { instance: &args.instance, to: None, cast_to: None, mode: None, flavor, may_stay: true };
    carry_out(&typed, &args.about)
}

fn mode(how: How) -> Option<MoveMode> {
    let modes = [(how.cold, MoveMode::Cold), (how.suspend, MoveMode::Suspend), (how.live, MoveMode::Live)];
    modes.into_iter().find(|(typed, _)| *typed).map(|(_, mode)| mode)
}

fn carry_out(typed: &Typed<'_>, about: &About) -> Result<Exit, Failure> {
    let store = site::store(&about.site.store)?;
    let told = about.fleet_source.as_deref().map(documents::fleet).transpose()?;
    let known = match &told {
        Some(told) => Arc::clone(told),
        None => Arc::new(site::stored_fleet(&store)?),
    };
    let (request, way_in) = look_up(typed, &known)?;
    // Where the instance is and where it goes is not known before the store is asked.
    let hosts = known.hosts().iter().map(|host| host.name.clone()).collect();
    let drivers = site::drivers(&about.site, &hosts)?;
    let (options, fleet, scheduler) = (apply::options(&about.terms), told.as_deref(), scheduler());
    let watch = Watch::new(1);
    let (progress, instance) = (watch.sink(), request.instance.clone());
    let job = MigrateJob { request, way_in, fleet, scheduler, store: &store, drivers, options, progress };
    let migrated = site::run("move the instance", site::GOES_ON, migrate(job))?;
    drop(watch);
    let (text, exit) = told_of(&instance, &migrated);
    output::print(&text)?;
    Ok(exit)
}

/// What was typed, in the fleet's own names; every name that means nothing is reported.
fn look_up(typed: &Typed<'_>, fleet: &Fleet) -> Result<(MoveRequest, WayIn), Failure> {
    let mut names = Names::of(fleet);
    let instance = names.instances("INSTANCE", &[typed.instance.to_owned()]).pop();
    let target = typed.to.and_then(|name| names.host("--to", name));
    let told = typed.cast_to.and_then(|name| names.host("--cast-to", name));
    let flavor = typed.flavor.map(FlavorName::from);
    flavor.iter().for_each(|name| plan::is_flavor(&mut names, fleet, "--flavor", name.as_str()));
    names.finish()?;
    // Without an instance there was an error.
    let instance = instance.unwrap_or_else(|| typed.instance.into());
    let way_in = told.map_or(WayIn::Source, WayIn::Host);
    Ok((MoveRequest { instance, target, may_stay: typed.may_stay, mode: typed.mode, flavor }, way_in))
}

/// What became of it, and whether that is what was asked for.
fn told_of(instance: &InstanceId, migrated: &Migrated) -> (String, Exit) {
    match migrated {
        Migrated::Begun(migration) => {
            let (place, state) = (&migration.standing().host, words::state(&migration.state));
            let cause = migration.cause.as_ref().map_or_else(String::new, |cause| format!(" ({cause})"));
            (format!("{instance} is on {place}: {state}{cause}\n"), exit(migration))
        }
        Migrated::Already => (format!("{instance} is as asked for already; nothing was done\n"), Exit::Done),
        Migrated::Stays(reasons) => {
            let mut text = format!("{instance} stays where it is\n");
            reasons.iter().for_each(|reason| _ = writeln!(text, "    because {reason}"));
            (text, Exit::Incomplete)
        }
    }
}

/// Waiting for a person is what was asked for, as in a plan.
fn exit(migration: &Migration) -> Exit {
    match migration.turn() {
        Awaits::Decision { .. } => Exit::Done,
        _ if migration.state.outcome() == Some(MigrationOutcome::Confirmed) => Exit::Done,
        _ => Exit::Incomplete,
    }
}
