//! Carries a whole plan out, or goes on with one: the one call a command needs.
//!
//! All that has to be remembered is in the store, so there is no difference between beginning, going on after a kill,
//! and finding that everything is done already.

mod death;
mod decide;
mod error;
mod guests;
mod migrate;
mod session;
mod stale;
mod take_over;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use decant_schema::fleet::{Fleet, FleetDocument, InstanceState, ServerGroup};
use decant_schema::id::{HostName, InstanceId, MoveId};
use decant_schema::migration::{Awaits, Migration, MigrationId, MigrationOutcome, Patience, Terms};
use decant_schema::plan::{Move, MoveMode, Plan};
use decant_schema::store::{JournalEntry, Store, StoreError};
use decant_schema::units::Mbps;
use jiff::Timestamp;

pub use death::{deaths, declare_dead};
pub use decide::decide;
pub use error::{ApplyError, Unready, UnreadyMove, UnsupportedMove};
pub use guests::{
    GuestRefusal, GuestSeen, NewGuest, Restart, Stopped, add_flavor, add_hosts, adopt_guest, define_guest, guests,
    kill_guest, places, start_after_reboot, start_guest, stop_guest,
};
pub use migrate::{MigrateJob, Migrated, WayIn, migrate};
pub use stale::Difference;
pub use take_over::{Discrepancy, take_over};

use crate::admit::{self, AdmitLimits, Objection, Wait, admit};
use crate::clock::{Clock, SystemClock};
use crate::conductor::{CreateError, Scope};
use crate::driver::{Drivers, HostDriver};
use crate::hypervisor::{AdoptError, Disk, GuestSize, Unsupported};
use crate::progress::{Progress, ProgressSink};
use session::{Held, Session};

/// The shortest lease. Leases are looked after a few times a second, and nothing is started under one that is over: work
/// under a lease not much longer than that would begin again and again and never end.
pub const LEASE_MIN: Duration = Duration::from_secs(1);

/// What a stranger finds wrong with a plan for a fleet, in sentences; nothing if it holds. The executor knows no planner:
/// whoever calls brings the checker.
pub type Judge<'a> = &'a (dyn Fn(&Fleet, &Plan) -> Vec<String> + Sync);

/// A plan to be carried out.
pub struct ApplyJob<'a> {
    /// The plan.
    pub plan: &'a Plan,
    /// Only these moves of it, a part whose time has come; none: all.
    pub moves: Option<&'a BTreeSet<MoveId>>,
    /// The fleet as somebody outside tells it now; without one the store's own counts.
    pub fleet: Option<&'a Fleet>,
    /// Asked before a plan is begun.
    pub judge: Judge<'a>,
    /// The store's file; made where there is none.
    pub store: &'a Path,
    /// The hosts that can be reached.
    pub drivers: Drivers,
    /// How.
    pub options: ApplyOptions,
    /// Who watches.
    pub progress: ProgressSink,
}

impl<'a> ApplyJob<'a> {
    /// The plan as far as it is to be carried out now.
    fn part(&self) -> Cow<'a, Plan> {
        let Some(chosen) = self.moves else { return Cow::Borrowed(self.plan) };
        let mut part = self.plan.clone();
        part.moves.retain(|line| chosen.contains(&line.id));
        Cow::Owned(part)
    }
}

/// How a plan is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ApplyOptions {
    /// Who decides that a moved instance stays.
    pub confirm: ConfirmPolicy,
    /// Migrations at once in the fleet; none: as the fleet says.
    pub max_migrations: Option<u32>,
    /// Migrations at once on a host; none: as the fleet says.
    pub max_migrations_per_host: Option<u32>,
    /// Limit of each transfer; none: as fast as it goes.
    pub bandwidth: Option<Mbps>,
    /// How long an agent may be silent before it is told again; at least [`LEASE_MIN`]. Much shorter than the longest boot or check of a
    /// digest it makes noise, but no harm.
    pub lease: Duration,
    /// How long a guest and a link are waited for.
    pub patience: Patience,
}

impl Default for ApplyOptions {
    /// Leaves the decision to people, and gives an agent half a minute.
    fn default() -> Self {
        Self {
            confirm: ConfirmPolicy::Manual,
            max_migrations: None,
            max_migrations_per_host: None,
            bandwidth: None,
            lease: Duration::from_secs(30),
            patience: Patience::USUAL,
        }
    }
}

impl ApplyOptions {
    fn terms(&self) -> Terms {
        let milliseconds = |duration: Duration| u32::try_from(duration.as_millis()).unwrap_or(u32::MAX);
        let confirm_after_ms = match self.confirm {
            ConfirmPolicy::Manual => None,
            ConfirmPolicy::Auto { after } => Some(milliseconds(after)),
        };
        Terms { lease_ms: milliseconds(self.lease.max(LEASE_MIN)), confirm_after_ms, patience: self.patience }
    }

    fn limits(&self, fleet: &FleetDocument) -> AdmitLimits {
        let own = |host: &decant_schema::fleet::Host| Some((host.name.clone(), host.max_migrations?));
        AdmitLimits {
            per_host: self.max_migrations_per_host.unwrap_or(fleet.defaults.max_migrations_per_host),
            by_host: match self.max_migrations_per_host {
                Some(_) => BTreeMap::new(),
                None => fleet.hosts.iter().filter_map(own).collect(),
            },
            in_fleet: self.max_migrations.or(fleet.defaults.max_migrations),
        }
    }
}

/// Who decides that a moved instance stays where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfirmPolicy {
    /// A person. What waits for its room waits for that person.
    Manual,
    /// Time.
    Auto {
        /// How long it can be looked at, and reverted, before.
        after: Duration,
    },
}

/// What became of a plan.
#[derive(Clone, Debug)]
pub struct ApplyReport {
    /// Every move of the plan that was to be made now, in its order.
    pub moves: Vec<MoveReport>,
}

impl ApplyReport {
    /// Whether every move was made and confirmed.
    pub fn is_complete(&self) -> bool {
        self.moves.iter().all(|line| line.outcome() == Some(MigrationOutcome::Confirmed))
    }

    /// Moves that are neither done nor in a person's hands, be it that they wait for moves that are.
    pub fn short(&self) -> BTreeSet<MoveId> {
        let mut short: BTreeSet<MoveId> = self.moves.iter().map(|line| line.id).collect();
        let mut well: BTreeSet<MoveId> = BTreeSet::new();
        loop {
            let more = self.moves.iter().filter(|line| short.contains(&line.id) && line.is_well(&well));
            let more: Vec<MoveId> = more.map(|line| line.id).collect();
            if more.is_empty() {
                return short;
            }
            more.iter().for_each(|id| _ = short.remove(id));
            well.extend(more);
        }
    }
}

/// What became of a move.
#[derive(Clone, Debug)]
pub struct MoveReport {
    /// The move.
    pub id: MoveId,
    /// Who.
    pub instance: InstanceId,
    /// From where.
    pub source: HostName,
    /// To where.
    pub target: HostName,
    /// Its migration; none if it has not begun.
    pub migration: Option<Migration>,
    /// Why it has not.
    pub wait: Option<Wait>,
}

impl MoveReport {
    /// What it came to; none while it is not over.
    pub fn outcome(&self) -> Option<MigrationOutcome> {
        self.migration.as_ref()?.state.outcome()
    }

    /// Whether it is done, awaits a person, or waits for moves that are among those that are `well`.
    fn is_well(&self, well: &BTreeSet<MoveId>) -> bool {
        match (&self.migration, &self.wait) {
            (Some(migration), _) => match migration.state.outcome() {
                Some(outcome) => outcome == MigrationOutcome::Confirmed,
                None => matches!(migration.turn(), Awaits::Decision { .. }),
            },
            (None, Some(Wait::Before { moves } | Wait::Confirmation { moves })) => {
                moves.iter().all(|before| well.contains(before))
            }
            (None, _) => false,
        }
    }
}

/// A migration and all it went through.
#[derive(Clone, Debug)]
pub struct History {
    /// The migration.
    pub migration: Migration,
    /// Its states, in order.
    pub journal: Vec<JournalEntry>,
}

/// Carries a plan out. Returns when every move of it is over, waits for a person, or never starts.
pub async fn apply(mut job: ApplyJob<'_>) -> Result<ApplyReport, ApplyError> {
    let clock = SystemClock;
    // Whoever serves it: what instances are rebuilt from is dead, and has no part in it.
    job.drivers.retain(|host, _| !job.plan.moves.iter().any(|line| is_rebuilt_from(line, host)));
    let held = session::hold(job.store).await?;
    begin(&held, &job, clock.now()).await?;
    let part = job.part();
    let known =
        held.store.migrations_of(job.plan.id).await?.into_iter().chain(held.store.unfinished_migrations().await?);
    let known = known.map(|migration| (migration.id, migration)).collect();
    let served = job.drivers.keys().cloned().collect();
    let session = Session::open(held, Scope::Everything, job.drivers, job.options.bandwidth, job.progress.clone());
    let groups = session.store().server_groups().await?;
    let (refused, told) = (BTreeMap::new(), BTreeMap::new());
    let whole = job.plan;
    let mut run = Run { whole, plan: &part, session, served, options: job.options, groups, known, refused, told };
    run.finish(&job.progress).await
}

/// All migrations a store knows, by creation.
pub async fn list(store: &Path) -> Result<Vec<Migration>, ApplyError> {
    Ok(session::look(store).await?.migrations().await?)
}

/// One migration and all it went through.
pub async fn show(store: &Path, id: MigrationId) -> Result<History, ApplyError> {
    let store = session::look(store).await?;
    Ok(History { migration: store.migration(id).await?, journal: store.journal(id).await? })
}

/// The fleet as a store knows it now.
pub async fn fleet(store: &Path) -> Result<FleetDocument, ApplyError> {
    Ok(session::look(store).await?.fleet().await?)
}

/// Has a store take over a fleet, in place of the one it knew; makes the store where there is none.
pub async fn import(store: &Path, fleet: &Fleet) -> Result<(), ApplyError> {
    let held = session::hold(store).await?;
    Ok(held.store.import_fleet(fleet).await?)
}

/// Checks a plan that was never begun against the world, and records that it is begun now.
async fn begin(held: &Held, job: &ApplyJob<'_>, now: Timestamp) -> Result<(), ApplyError> {
    let store = &held.store;
    let known = known_fleet(store).await?;
    let (fleet, is_news) = newer(job.fleet, known.as_ref()).ok_or(StoreError::NoFleet)?;
    if store.has_begun(job.plan).await? {
        can_be_reached(&job.plan.moves, &job.drivers)?;
        held.adopt(&job.drivers).await?;
        // Where the instances are is the plan's own doing; hosts may have gone down since, or been closed.
        if is_news {
            store.update_hosts(fleet).await?;
        }
        return Ok(());
    }
    let differences = stale::differences(job.plan, fleet);
    if !differences.is_empty() {
        return Err(ApplyError::Stale { differences });
    }
    let violations = (job.judge)(fleet, job.plan);
    if !violations.is_empty() {
        return Err(ApplyError::DoesNotHold { violations });
    }
    can_be_reached(&job.plan.moves, &job.drivers)?;
    can_be_done(&job.plan.moves, fleet, &job.drivers)?;
    // Of a store that its hosts have left behind, the record says nothing.
    held.is_accepted(&job.drivers).await?;
    are_as_recorded(&job.plan.moves, fleet, &job.drivers).await?;
    are_proven_dead(store, &job.plan.moves).await?;
    held.adopt(&job.drivers).await?;
    if is_news {
        store.import_fleet(fleet).await?;
    }
    Ok(store.begin_plan(job.plan, now).await?)
}

/// The fleet to believe, and whether the store does not know it yet: what somebody tells, unless the store saw an
/// instance move after that was captured.
fn newer<'a>(told: Option<&'a Fleet>, known: Option<&'a Fleet>) -> Option<(&'a Fleet, bool)> {
    match (told, known) {
        (Some(told), Some(known)) if told.digest() == known.digest() => Some((known, false)),
        (Some(told), Some(known)) if known.document().captured_at > told.document().captured_at => Some((known, false)),
        (Some(told), _) => Some((told, true)),
        (None, known) => Some((known?, false)),
    }
}

/// The fleet to believe, which the store knows from now on.
async fn take_over_news(store: &Store, told: Option<&Fleet>) -> Result<Fleet, ApplyError> {
    let known = known_fleet(store).await?;
    let (fleet, is_news) = newer(told, known.as_ref()).ok_or(StoreError::NoFleet)?;
    if is_news {
        store.import_fleet(fleet).await?;
    }
    Ok(fleet.clone())
}

async fn known_fleet(store: &Store) -> Result<Option<Fleet>, ApplyError> {
    if !store.has_fleet().await? {
        return Ok(None);
    }
    let document = store.fleet().await?;
    Fleet::from_document(document).map(Some).map_err(|findings| ApplyError::BadFleet { findings })
}

/// Names every host whose instances are to be rebuilt, though nothing proves that it is off. A fleet that calls it down is
/// no proof: the instances may run there.
async fn are_proven_dead(store: &Store, lines: &[Move]) -> Result<(), ApplyError> {
    let dead = store.deaths().await?;
    let rebuilt = lines.iter().filter(|line| line.mode == MoveMode::Rebuild).map(|line| &line.source);
    let unproven: BTreeSet<_> = rebuilt.filter(|host| !dead.contains_key(*host)).cloned().collect();
    if unproven.is_empty() { Ok(()) } else { Err(ApplyError::Unproven { hosts: unproven.into_iter().collect() }) }
}

fn is_rebuilt_from(line: &Move, host: &HostName) -> bool {
    line.mode == MoveMode::Rebuild && line.source == *host
}

/// Names every host of the plan that cannot be reached.
fn can_be_reached(lines: &[Move], drivers: &Drivers) -> Result<(), ApplyError> {
    // A rebuild's source is down, whoever serves it.
    let sources = lines.iter().filter(|line| line.mode != MoveMode::Rebuild).map(|line| &line.source);
    let hosts: BTreeSet<_> = sources.chain(lines.iter().map(|line| &line.target)).collect();
    let missing: Vec<_> = hosts.into_iter().filter(|host| !drivers.contains_key(*host)).cloned().collect();
    if missing.is_empty() { are_here(drivers) } else { Err(ApplyError::NoDriver { hosts: missing }) }
}

/// Names every host whose storage is not there: nothing is made in its place.
fn are_here(drivers: &Drivers) -> Result<(), ApplyError> {
    let not_here = |(host, driver): (&HostName, &HostDriver)| match driver.hypervisor.is_here() {
        Err(AdoptError::NotHere { folder }) => Some((host.clone(), folder)),
        _ => None,
    };
    let hosts: Vec<_> = drivers.iter().filter_map(not_here).collect();
    if hosts.is_empty() { Ok(()) } else { Err(ApplyError::NotHere { hosts }) }
}

/// Asks every driver before anything is begun, and names everything that cannot be done.
fn can_be_done(lines: &[Move], fleet: &Fleet, drivers: &Drivers) -> Result<(), ApplyError> {
    let mut unsupported = Vec::new();
    for line in lines {
        let instance = fleet.instance_index(line.instance.as_str()).map(|at| &fleet.instances()[at]);
        let disk = Disk::of(instance.and_then(|instance| instance.storage.as_ref()));
        if let Some(Err(reason)) = instance.map(|instance| Unsupported::unless_kept(instance.state, line.mode)) {
            unsupported.push(UnsupportedMove { line: line.id, host: line.source.clone(), reason });
        }
        for host in [&line.source, &line.target] {
            let supported = drivers.get(host).map(|driver| driver.hypervisor.supports(line.mode, &disk));
            if let Some(Err(reason)) = supported {
                unsupported.push(UnsupportedMove { line: line.id, host: host.clone(), reason });
            }
        }
    }
    if unsupported.is_empty() { Ok(()) } else { Err(ApplyError::Unsupported { moves: unsupported }) }
}

/// Looks at every instance where its first move begins, before anything is begun.
async fn are_as_recorded(lines: &[Move], fleet: &Fleet, drivers: &Drivers) -> Result<(), ApplyError> {
    let (mut seen, mut moves) = (BTreeSet::new(), Vec::new());
    for line in lines.iter().filter(|line| seen.insert(&line.instance)) {
        if let Err(reason) = is_as_recorded(line, fleet, drivers).await {
            moves.push(UnreadyMove {
                line: line.id,
                instance: line.instance.clone(),
                host: line.source.clone(),
                reason,
            });
        }
    }
    if moves.is_empty() { Ok(()) } else { Err(ApplyError::Unready { moves }) }
}

/// A rebuild asks nothing of its source, which is down.
async fn is_as_recorded(line: &Move, fleet: &Fleet, drivers: &Drivers) -> Result<(), Unready> {
    let Some(instance) = fleet.instance_index(line.instance.as_str()).map(|at| &fleet.instances()[at]) else {
        return Ok(());
    };
    let Some(driver) = drivers.get(&line.source).filter(|_| line.mode != MoveMode::Rebuild) else { return Ok(()) };
    let found = driver.hypervisor.observe(&line.instance).await?.copy;
    Ok(found.is_as_recorded(GuestSize::from(fleet.claim(instance)), instance.state == InstanceState::Active)?)
}

/// A plan being carried out.
struct Run<'a> {
    /// All of it: what a move comes after may be another part's.
    whole: &'a Plan,
    /// The part to be carried out now.
    plan: &'a Plan,
    session: Session,
    /// The hosts whose agents are in this process.
    served: BTreeSet<HostName>,
    options: ApplyOptions,
    /// The server groups of the fleet.
    groups: Vec<ServerGroup>,
    /// The plan's migrations, and those of others that were unfinished at the beginning or began since.
    known: BTreeMap<MigrationId, Migration>,
    /// Moves the world refused though the plan wants them.
    refused: BTreeMap<MoveId, String>,
    /// What was last said of moves that wait.
    told: BTreeMap<MoveId, Wait>,
}

impl Run<'_> {
    async fn finish(&mut self, progress: &ProgressSink) -> Result<ApplyReport, ApplyError> {
        let limits = self.options.limits(&self.session.store().fleet().await?);
        self.session.conductor.act_for_the_dead().await?;
        loop {
            let waits = self.start_what_may(&limits).await?;
            self.tell(&waits, progress);
            if self.is_over(&waits) {
                return Ok(self.report(waits));
            }
            // Only what comes to rest lets something else start.
            while !self.take_in_news() {
                self.session.go_on().await?;
            }
        }
    }

    /// Whether a migration goes on without anybody else: its agent is here, or time decides.
    fn goes_on(&self, migration: &Migration) -> bool {
        match migration.turn() {
            Awaits::Agent { host, .. } => self.served.contains(&host),
            Awaits::Decision { automatic_at } => automatic_at.is_some(),
            Awaits::Repair | Awaits::Nobody => false,
        }
    }

    /// Takes in how far the migrations are; whether one came to rest, or waits for a host that is not here.
    fn take_in_news(&mut self) -> bool {
        let mut rested = false;
        for migration in self.session.news() {
            rested |= !admit::is_at_work(&migration) || !self.goes_on(&migration);
            self.known.insert(migration.id, migration);
        }
        rested
    }

    /// The move of the plan that a migration carries out.
    fn line_of(&self, migration: &Migration) -> Option<MoveId> {
        migration.line.filter(|line| line.plan == self.plan.id).map(|line| line.id)
    }

    /// The plan's own migrations by move, and those of others.
    fn own_and_others(&self) -> (BTreeMap<MoveId, &Migration>, Vec<&Migration>) {
        let (mut own, mut others) = (BTreeMap::new(), Vec::new());
        for migration in self.known.values() {
            match self.line_of(migration) {
                Some(line) => _ = own.insert(line, migration),
                None => others.push(migration),
            }
        }
        (own, others)
    }

    async fn start_what_may(&mut self, limits: &AdmitLimits) -> Result<BTreeMap<MoveId, Wait>, ApplyError> {
        loop {
            self.take_in_news();
            let (own, others) = self.own_and_others();
            let admission = admit(self.plan, &own, &others, &self.refused, limits);
            if admission.start.is_empty() {
                return Ok(admission.waits);
            }
            for id in admission.start {
                self.start(id).await?;
            }
        }
    }

    async fn start(&mut self, id: MoveId) -> Result<(), ApplyError> {
        let Some(line) = self.plan.moves.iter().find(|line| line.id == id) else { return Ok(()) };
        let objections = self.objections(line).await?;
        if !objections.is_empty() {
            let all: Vec<String> = objections.iter().map(ToString::to_string).collect();
            self.refused.insert(id, all.join("; "));
            return Ok(());
        }
        match self.session.conductor.begin(self.plan.id, line, self.options.terms()).await {
            Ok(_) => Ok(()),
            Err(CreateError::Store(error)) if !error.is_refusal() => Err(error.into()),
            // The world is not as planned: what depends on this move is to be planned again, the rest goes on.
            Err(refused) => {
                self.refused.insert(id, refused.to_string());
                Ok(())
            }
        }
    }

    /// What the fleet as it is now has against a move that was judged when the plan was begun.
    async fn objections(&self, line: &Move) -> Result<Vec<Objection>, ApplyError> {
        let never = admit::never_made(self.plan, &self.own_and_others().0, &self.refused);
        Ok(self.session.conductor.objections(line, &self.whole.moves, &never, &self.groups).await?)
    }

    fn tell(&mut self, waits: &BTreeMap<MoveId, Wait>, progress: &ProgressSink) {
        for (line, wait) in waits {
            if self.told.get(line) != Some(wait) {
                progress(Progress::Waiting { line: *line, wait: wait.clone() });
            }
        }
        self.told.clone_from(waits);
    }

    /// Whether nothing more happens by itself.
    fn is_over(&self, waits: &BTreeMap<MoveId, Wait>) -> bool {
        let at_rest = self.own_and_others().0.values().all(|migration| session::is_at_rest(migration));
        let queueing = waits.values().any(|wait| matches!(wait, Wait::HostBusy { .. } | Wait::FleetBusy));
        at_rest && !(queueing && self.known.values().any(|migration| self.goes_on(migration)))
    }

    fn report(&self, mut waits: BTreeMap<MoveId, Wait>) -> ApplyReport {
        let (migrations, _) = self.own_and_others();
        let report = |line: &Move| MoveReport {
            id: line.id,
            instance: line.instance.clone(),
            source: line.source.clone(),
            target: line.target.clone(),
            migration: migrations.get(&line.id).map(|migration| (*migration).clone()),
            wait: waits.remove(&line.id),
        };
        ApplyReport { moves: self.plan.moves.iter().map(report).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_never_so_short_that_work_under_it_does_not_end() {
        let options = ApplyOptions { lease: Duration::ZERO, ..ApplyOptions::default() };
        assert_eq!(options.terms().lease_ms, 1000);
    }
}
