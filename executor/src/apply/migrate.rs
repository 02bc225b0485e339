//! Moves or resizes one instance, without a plan.
//!
//! Both ways in lead through the same door: a host is chosen, the conductor has the move judged, claims its room and
//! creates the migration, and the source begins. Either the scheduler chooses and the source is told; or a host is
//! told without a target, offers itself, and passes the cast on to the source.

use std::path::Path;

use decant_schema::cast::{Cast, Prep};
use decant_schema::fleet::{Fleet, Instance};
use decant_schema::id::{HostName, InstanceId};
use decant_schema::migration::Migration;
use decant_schema::store::{Store, StoreError};

use super::session::{self, Held, Session, is_at_rest};
use super::{ApplyError, ApplyOptions, are_as_recorded, can_be_done, can_be_reached, take_over_news};
use crate::conductor::{CreateError, Gate, Refusal, Scope, move_of};
use crate::driver::Drivers;
use crate::progress::ProgressSink;
use crate::scheduler::{Choice, MoveRequest, Scheduler};

/// One instance to be moved or resized.
pub struct MigrateJob<'a> {
    /// What is wanted.
    pub request: MoveRequest,
    /// Who is told first.
    pub way_in: WayIn,
    /// The fleet as somebody outside tells it now; without one the store's own counts.
    pub fleet: Option<&'a Fleet>,
    /// Who chooses, and judges what somebody else chose.
    pub scheduler: Scheduler,
    /// The store's file.
    pub store: &'a Path,
    /// The hosts that can be reached.
    pub drivers: Drivers,
    /// How.
    pub options: ApplyOptions,
    /// Who watches.
    pub progress: ProgressSink,
}

/// Who is told first of a migration that nobody planned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WayIn {
    /// The source, once a target is chosen: by the request, or by the scheduler.
    Source,
    /// This host, and nobody has chosen a target: it offers itself.
    Host(HostName),
}

/// What became of a request.
#[derive(Clone, Debug)]
pub enum Migrated {
    /// It was begun; the migration, which is over or waits for a person.
    Begun(Box<Migration>),
    /// There is nothing to do: the instance is there already, and as large.
    Already,
    /// The instance stays, for these reasons.
    Stays(Vec<String>),
}

/// Moves or resizes one instance; returns when its migration is over or waits for a person. Asked again after an
/// interruption, it goes on with the migration it began.
pub async fn migrate(job: MigrateJob<'_>) -> Result<Migrated, ApplyError> {
    let held = session::hold(job.store).await?;
    if let Some(begun) = begun_before(&held.store, &job.request).await? {
        return go_on(held, job, &begun).await;
    }
    let fleet = take_over_news(&held.store, job.fleet).await?;
    let instance = find(&fleet, &job.request.instance)?;
    if is_there(instance, &job) {
        return Ok(Migrated::Already);
    }
    match chosen(&fleet, instance, &job) {
        Err(reasons) => Ok(Migrated::Stays(reasons)),
        Ok(choice) => begin(held, job, &fleet, instance, choice).await,
    }
}

/// The unfinished migration that an earlier call of the same request began.
async fn begun_before(store: &Store, request: &MoveRequest) -> Result<Option<Migration>, ApplyError> {
    let Some(begun) = store.unfinished_migration_of(&request.instance).await? else { return Ok(None) };
    let new = &begun.subject.new;
    let same_target = request.target.as_ref().is_none_or(|target| *target == new.host);
    let same_flavor = request.flavor.as_ref().is_none_or(|flavor| *flavor == new.flavor);
    if same_target && same_flavor && begun.line.is_none() {
        return Ok(Some(begun));
    }
    Err(StoreError::InMigration { instance: request.instance.clone() }.into())
}

async fn go_on(held: Held, job: MigrateJob<'_>, begun: &Migration) -> Result<Migrated, ApplyError> {
    let drivers = of_both(&job.drivers, begun.subject.source(), begun.subject.target());
    held.adopt(&drivers).await?;
    let mut session = Session::open(held, Scope::Migration(begun.id), drivers, job.options.bandwidth, job.progress);
    loop {
        let now = session.store().migration(begun.id).await?;
        if is_at_rest(&now) {
            return Ok(Migrated::Begun(Box::new(now)));
        }
        session.go_on().await?;
        session.news();
    }
}

fn find<'a>(fleet: &'a Fleet, id: &InstanceId) -> Result<&'a Instance, ApplyError> {
    let at = fleet.instance_index(id.as_str()).ok_or_else(|| CreateError::NoInstance(id.clone()))?;
    Ok(&fleet.instances()[at])
}

/// Whether the request's end is reached already. A host that is told without a target decides that itself.
fn is_there(instance: &Instance, job: &MigrateJob<'_>) -> bool {
    let MoveRequest { target, may_stay, flavor, .. } = &job.request;
    let is_where_wanted = target.as_ref().map_or(*may_stay, |target| *target == instance.host);
    let is_as_large = flavor.as_ref().is_none_or(|flavor| *flavor == instance.flavor && instance.resources.is_none());
    is_where_wanted && is_as_large && job.way_in == WayIn::Source
}

/// Where it goes, as the request or the scheduler says; the reasons where it stays.
fn chosen(fleet: &Fleet, instance: &Instance, job: &MigrateJob<'_>) -> Result<Choice, Vec<String>> {
    let mode = job.request.mode_of(instance);
    match (&job.way_in, &job.request.target) {
        (WayIn::Host(target), _) | (WayIn::Source, Some(target)) => Ok(Choice { target: target.clone(), mode }),
        (WayIn::Source, None) => (job.scheduler)(fleet, &job.request),
    }
}

async fn begin(
    held: Held,
    job: MigrateJob<'_>,
    fleet: &Fleet,
    instance: &Instance,
    choice: Choice,
) -> Result<Migrated, ApplyError> {
    let prep = Prep {
        instance: instance.id.clone(),
        source: instance.host.clone(),
        target: Some(choice.target.clone()),
        mode: choice.mode,
        flavor: job.request.flavor,
    };
    let line = [move_of(&prep)?];
    can_be_reached(&line, &job.drivers)?;
    can_be_done(&line, fleet, &job.drivers)?;
    let drivers = of_both(&job.drivers, &instance.host, &choice.target);
    held.is_accepted(&drivers).await?;
    are_as_recorded(&line, fleet, &drivers).await?;
    held.adopt(&drivers).await?;
    let scope = Scope::Instance(instance.id.clone());
    let limits = job.options.limits(fleet.document());
    let gate = Gate { scheduler: job.scheduler, limits, terms: job.options.terms() };
    let mut session = Session::open(held, scope, drivers, job.options.bandwidth, job.progress).behind(gate);
    match job.way_in {
        WayIn::Source => match session.conductor.prepare(&prep).await {
            Ok(_) => {}
            Err(refused) => return stays(refused),
        },
        WayIn::Host(to) => session.cast(Cast::Prep { to, prep: Prep { target: None, ..prep } }).await,
    }
    finish(&mut session).await
}

/// Follows the one migration there is to its rest, or hears why there is none.
async fn finish(session: &mut Session) -> Result<Migrated, ApplyError> {
    loop {
        if let Some(rested) = session.news().into_iter().rfind(is_at_rest) {
            return Ok(Migrated::Begun(Box::new(rested)));
        }
        match session.conductor.refusal() {
            Some(Refusal::NotCreated(refused)) => return stays(refused),
            Some(Refusal::NotPrepared(reason)) => return Err(ApplyError::NotPrepared(reason)),
            None => session.go_on().await?,
        }
    }
}

/// What speaks against a move is an answer; what is wrong with the request is an error.
fn stays(refused: CreateError) -> Result<Migrated, ApplyError> {
    match refused {
        CreateError::Stays { reasons } => Ok(Migrated::Stays(reasons)),
        CreateError::Store(error @ (StoreError::NoRoom { .. } | StoreError::InMigration { .. })) => {
            Ok(Migrated::Stays(vec![format!("failed to {error}")]))
        }
        CreateError::Store(error) => Err(error.into()),
        other => Err(other.into()),
    }
}

fn of_both(drivers: &Drivers, source: &HostName, target: &HostName) -> Drivers {
    let both = drivers.iter().filter(|(host, _)| *host == source || *host == target);
    both.map(|(host, driver)| (host.clone(), driver.clone())).collect()
}
