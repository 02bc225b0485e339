//! `decant apply`: carries a plan out, or goes on with one.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use decant_executor::Drivers;
use decant_executor::apply::{ApplyError, ApplyJob, ApplyOptions, ApplyReport, ConfirmPolicy, MoveReport, apply, list};
use decant_executor::clock::SystemClock;
use decant_executor::hypervisor::simulated::{SimulatedOptions, Simulation};
use decant_schema::fleet::Fleet;
use decant_schema::id::HostName;
use decant_schema::migration::{DeathProof, Patience};
use decant_schema::plan::{Move, MoveMode, Plan, Stage};
use decant_schema::units::mbps;
use jiff::Timestamp;

use super::{check, documents, rounds, site, watch::Watch};
use crate::cli::{Apply, Format, Seconds, Terms, When};
use crate::error::{Exit, Failure, both};
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
    both(documents::plan(plan), fleet.map(documents::fleet).transpose())
}

/// On real hosts, remembered in the store.
fn carry_out(args: &Apply, plan: &Plan, fleet: Option<&Fleet>) -> Result<Exit, Failure> {
    let store = site::store(&args.site.store)?;
    let planned = plan.moves.iter().flat_map(|step| [step.source.clone(), step.target.clone()]);
    let hosts = planned.chain(hosts_under_way(&store)?).collect();
    let stages = plan.stages();
    let stage = rounds::asked(args, plan, &stages, &store)?;
    let drivers = site::drivers(&args.site, &hosts)?;
    if rounds::is_closed(plan, Timestamp::now()) {
        output::note("note: no window of the plan is open now; it begins all the same");
    }
    let report = conduct(args, plan, stage, fleet, drivers, &store)?;
    deliver(args, &report)?;
    if let Some(stage) = stage.filter(|_| report.is_complete()) {
        let now = site::run("read the store", site::BEGINS_AGAIN, decant_executor::fleet(&store))?;
        let conclusion = rounds::conclusion(&args.plan, plan, stage, &now);
        match args.format {
            Format::Json => output::note(conclusion.trim_end()),
            Format::Human => output::print(&conclusion)?,
        }
    }
    Ok(exit(&report))
}

/// The hosts of what other plans left unfinished: it counts against the limits, so it is carried on, too.
fn hosts_under_way(store: &Path) -> Result<Vec<HostName>, Failure> {
    if !store.exists() {
        return Ok(Vec::new());
    }
    let known = site::run("read the store", site::GOES_ON, list(store))?;
    let under_way = known.iter().filter(|migration| migration.state.outcome().is_none());
    let hosts = under_way.flat_map(|migration| [migration.subject.source(), migration.subject.target()]);
    Ok(hosts.cloned().collect())
}

/// On simulated hosts, in a store of its own that goes away with them.
fn rehearse(args: &Apply, plan: &Plan, fleet: &Fleet) -> Result<Exit, Failure> {
    let folder = tempfile::tempdir().map_err(|error| Failure::environment("make a temporary folder", error))?;
    let simulation = Simulation::new(fleet, Arc::new(SystemClock), SimulatedOptions::default());
    let store = folder.path().join("store.db");
    site::run("prepare the rehearsal", site::BEGINS_AGAIN, hold_the_down_for_dead(plan, fleet, &store))?;
    let run = |stage: Option<&Stage>| conduct(args, plan, stage, Some(fleet), simulation.drivers(), &store);
    let stages = plan.stages();
    let report = if stages.is_empty() { run(None)? } else { in_turn(plan, &stages, |stage| run(Some(stage)))? };
    deliver(args, &report)?;
    Ok(exit(&report))
}

/// In a rehearsal, hosts that are to be rebuilt from are dead as planned; nothing real is.
async fn hold_the_down_for_dead(plan: &Plan, fleet: &Fleet, store: &Path) -> Result<(), ApplyError> {
    let rebuilt = plan.moves.iter().filter(|line| line.mode == MoveMode::Rebuild).map(|line| &line.source);
    let hosts: BTreeSet<&HostName> = rebuilt.filter(|host| fleet.host_index(host.as_str()).is_some()).collect();
    if hosts.is_empty() {
        return Ok(());
    }
    decant_executor::import(store, fleet).await?;
    for host in hosts {
        let proof = DeathProof::Word { by: "the rehearsal".to_owned() };
        decant_executor::declare_dead(store, host, proof, None).await?;
    }
    Ok(())
}

/// One stage after the other, as long as each is done; what was not begun then is reported as that.
fn in_turn(
    plan: &Plan,
    stages: &[Stage],
    run: impl Fn(&Stage) -> Result<ApplyReport, Failure>,
) -> Result<ApplyReport, Failure> {
    output::note("A rehearsal waits for no window and no outage: the rounds follow each other at once.");
    let mut moves = BTreeMap::new();
    for stage in stages {
        output::note(&rounds::purpose(plan, stage));
        let report = run(stage)?;
        let is_complete = report.is_complete();
        moves.extend(report.moves.into_iter().map(|line| (line.id, line)));
        if !is_complete {
            break;
        }
    }
    let told = |line: &Move| moves.remove(&line.id).unwrap_or_else(|| not_begun(line));
    Ok(ApplyReport { moves: plan.moves.iter().map(told).collect() })
}

fn not_begun(line: &Move) -> MoveReport {
    MoveReport {
        id: line.id,
        instance: line.instance.clone(),
        source: line.source.clone(),
        target: line.target.clone(),
        migration: None,
        wait: None,
    }
}

fn conduct(
    args: &Apply,
    plan: &Plan,
    stage: Option<&Stage>,
    fleet: Option<&Fleet>,
    drivers: Drivers,
    store: &Path,
) -> Result<ApplyReport, Failure> {
    let moves = stage.map(|stage| &stage.moves);
    let watch = Watch::new(moves.map_or(plan.moves.len(), BTreeSet::len));
    let (judge, options) = (&check::violations, options(&args.terms));
    let job = ApplyJob { plan, moves, fleet, judge, store, drivers, options, progress: watch.sink() };
    let then = if args.rehearse { site::BEGINS_AGAIN } else { site::GOES_ON };
    site::run("carry out the plan", then, apply(job))
}

fn deliver(args: &Apply, report: &ApplyReport) -> Result<(), Failure> {
    match args.format {
        Format::Json => output::write_json(None, &render::text::applied_rows(report)),
        Format::Human => output::print(&render::text::applied(report)),
    }
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
        patience: patience(terms),
    }
}

/// How long it waits for guests and links; the longest that can be recorded where more was asked for.
fn patience(terms: &Terms) -> Patience {
    let milliseconds = |Seconds(length): Seconds| u32::try_from(length.as_millis()).unwrap_or(u32::MAX);
    Patience {
        guest_ms: milliseconds(terms.patience),
        cut_off: !terms.never_force_off,
        link_ms: milliseconds(terms.link_patience),
    }
}

/// Waiting for a person is what was asked for; whatever else is not done leaves the plan incomplete.
fn exit(report: &ApplyReport) -> Exit {
    if report.short().is_empty() { Exit::Done } else { Exit::Incomplete }
}
