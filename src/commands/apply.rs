//! `decant apply`: carries a plan out, or goes on with one.

use std::path::Path;
use std::sync::Arc;

use decant_executor::Drivers;
use decant_executor::apply::{ApplyJob, ApplyOptions, ApplyReport, ConfirmPolicy, apply};
use decant_executor::clock::SystemClock;
use decant_executor::hypervisor::simulated::{SimulatedOptions, Simulation};
use decant_schema::fleet::Fleet;
use decant_schema::plan::Plan;
use decant_schema::units::mbps;

use super::{check, documents, site, watch::Watch};
use crate::cli::{Apply, Format, Terms, When};
use crate::error::{Exit, Failure};
use crate::interrupt::or_interrupted;
use crate::output;
use crate::render;

pub(super) fn run(args: &Apply) -> Result<Exit, Failure> {
    let (plan, fleet) = (args.plan.clone(), args.fleet_source.clone());
    let (plan, fleet) = or_interrupted(move || read(&plan, fleet.as_deref()))?;
    match &fleet {
        Some(fleet) if args.rehearse => rehearse(args, &plan, fleet),
        _ => carry_out(args, &plan, fleet.as_deref()),
    }
}

fn read(plan: &Path, fleet: Option<&Path>) -> Result<(Plan, Option<Arc<Fleet>>), Failure> {
    if let Some(fleet) = fleet {
        documents::one_from_standard_input(plan, fleet)?;
    }
    Ok((documents::plan(plan)?, fleet.map(documents::fleet).transpose()?))
}

/// On real hosts, remembered in the store.
fn carry_out(args: &Apply, plan: &Plan, fleet: Option<&Fleet>) -> Result<Exit, Failure> {
    let hosts = plan.moves.iter().flat_map(|step| [step.source.clone(), step.target.clone()]).collect();
    let drivers = site::drivers(&args.site, &hosts)?;
    let store = site::store(&args.site.store)?;
    conduct(args, plan, fleet, drivers, &store)
}

/// On simulated hosts, in a store of its own that goes away with them.
fn rehearse(args: &Apply, plan: &Plan, fleet: &Fleet) -> Result<Exit, Failure> {
    let folder = tempfile::tempdir().map_err(|error| Failure::environment("make a temporary folder", error))?;
    let simulation = Simulation::new(fleet, Arc::new(SystemClock), SimulatedOptions::default());
    conduct(args, plan, Some(fleet), simulation.drivers(), &folder.path().join("store.db"))
}

fn conduct(args: &Apply, plan: &Plan, fleet: Option<&Fleet>, drivers: Drivers, store: &Path) -> Result<Exit, Failure> {
    let watch = Watch::new(plan.moves.len());
    let (judge, options) = (&check::violations, options(&args.terms));
    let job = ApplyJob { plan, fleet, judge, store, drivers, options, progress: watch.sink() };
    let then = if args.rehearse { site::BEGINS_AGAIN } else { site::GOES_ON };
    let report = site::run("carry out the plan", then, apply(job))?;
    drop(watch);
    match args.format {
        Format::Json => output::write_json(None, &render::text::applied_rows(&report))?,
        Format::Human => output::print(&render::text::applied(&report))?,
    }
    Ok(exit(&report))
}

/// How the executor is to go about it.
pub(super) fn options(terms: &Terms) -> ApplyOptions {
    ApplyOptions {
        confirm: match terms.confirm {
            When::Manual => ConfirmPolicy::Manual,
            When::After(after) => ConfirmPolicy::Auto { after },
        },
        max_migrations: terms.max_migrations,
        max_migrations_per_host: terms.max_migrations_per_host,
        bandwidth: terms.bandwidth.map(mbps),
        lease: terms.lease.0,
    }
}

/// Waiting for a person is what was asked for; whatever else is not done leaves the plan incomplete.
fn exit(report: &ApplyReport) -> Exit {
    if report.short().is_empty() { Exit::Done } else { Exit::Incomplete }
}
