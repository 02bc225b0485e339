//! The demonstration's hosts, guests and store, and what can be done with them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use decant_executor::hypervisor::Hypervisor;
use decant_executor::lab::oracle::Verdict;
use decant_executor::lab::watch::Watch;
use decant_executor::lab::world::{Lab, LabError};
use decant_executor::{ApplyJob, ApplyOptions, ConfirmPolicy, ProgressSink, apply};
use decant_planner::{Limits, Stamp};
use decant_schema::fleet::Fleet;
use decant_schema::id::InstanceId;
use decant_schema::migration::{Migration, MigrationId, Wish};
use decant_schema::plan::{Outcome, Plan};
use decant_schema::request::Request;
use decant_schema::units::mbps;
use jiff::Timestamp;
use uuid::Uuid;

use super::story;
use crate::commands::check;
use crate::error::Failure;
use crate::output;

/// What a machine that is busy with other things may need for a second of its guests' lives.
const PATIENCE: Duration = Duration::from_secs(120);

/// Hosts, guests and store.
pub(super) struct World {
    lab: Lab,
    fleet: Arc<Fleet>,
    watch: Watch,
    store: PathBuf,
}

impl World {
    /// Makes the guests and starts them.
    pub(super) async fn make(lab: &Lab, folder: &Path) -> Result<Self, Failure> {
        let watch = Watch::over(lab.ledger().map_err(lab_failed)?);
        let fleet = Arc::new(decant_executor::lab::fleet());
        let world = Self { lab: lab.clone(), fleet, watch, store: folder.join("store.db") };
        world.lab.populate(&world.fleet).await.map_err(lab_failed)?;
        let store = decant_executor::import(&world.store, &world.fleet).await;
        store.map_err(|error| Failure::environment("make the store", error))?;
        Ok(world)
    }

    /// The fleet as the store has it.
    pub(super) fn fleet(&self) -> Arc<Fleet> {
        Arc::clone(&self.fleet)
    }

    fn instances(&self) -> Vec<InstanceId> {
        self.fleet.instances().iter().map(|instance| instance.id.clone()).collect()
    }

    /// Lets every guest write so many records more.
    pub(super) async fn breathe(&self, records: usize) -> Result<(), Failure> {
        if self.watch.writes(&self.instances(), records, PATIENCE).await {
            return Ok(());
        }
        let silent = format!("within {} s not every guest wrote {records} records", PATIENCE.as_secs());
        Err(Failure::environment("see all guests at work", silent))
    }

    /// Plans, and has the plan checked by the program that shares no code with the planner.
    pub(super) fn plan(&self, request: Request) -> Result<Plan, Failure> {
        let began = Instant::now();
        let elapsed = || began.elapsed();
        let limits = Limits::new(&elapsed, None);
        let stamp = Stamp { id: Uuid::now_v7(), created_at: Timestamp::now() };
        let plan = decant_planner::plan(self.fleet(), request, stamp, &limits);
        let plan = plan.map_err(|findings| Failure::findings("the request", &findings))?;
        if plan.outcome != Outcome::Complete {
            return Err(Failure::environment("plan the demonstration", format!("the plan is {:?}", plan.outcome)));
        }
        for violation in check::violations(&self.fleet, &plan) {
            output::note(&format!("the checker objects: {violation}"));
        }
        Ok(plan)
    }

    /// Carries a plan out and returns its migrations.
    pub(super) async fn carry_out(&mut self, plan: &Plan, confirm: ConfirmPolicy) -> Result<Vec<Migration>, Failure> {
        let (drivers, progress) = (self.lab.drivers(), progress());
        let options = options(confirm);
        let judge = &check::violations;
        let job = ApplyJob { plan, moves: None, fleet: None, judge, store: &self.store, drivers, options, progress };
        let report = apply(job).await.map_err(|error| Failure::environment("carry the plan out", error))?;
        self.look_again().await?;
        Ok(report.moves.into_iter().filter_map(|line| line.migration).collect())
    }

    /// Confirms, reverts or aborts a migration.
    pub(super) async fn decide(&mut self, id: MigrationId, wish: Wish) -> Result<Migration, Failure> {
        let options = options(ConfirmPolicy::Manual);
        let decided = decant_executor::decide(&self.store, self.lab.drivers(), id, wish, options, progress()).await;
        let decided = decided.map_err(|error| Failure::environment(format!("{wish} a migration"), error))?;
        self.look_again().await?;
        Ok(decided)
    }

    async fn look_again(&mut self) -> Result<(), Failure> {
        let document = decant_executor::fleet(&self.store).await;
        let document = document.map_err(|error| Failure::environment("read the store's fleet", error))?;
        let fleet = Fleet::from_document(document);
        self.fleet = Arc::new(fleet.map_err(|findings| Failure::findings("the store's fleet", &findings))?);
        Ok(())
    }

    /// What a guest said of itself when it last booted.
    pub(super) fn seen_from_inside(&self, instance: &str) -> String {
        let ledger = self.watch.ledger();
        let boots = |entry: &&_| story::is_boot_of(entry, instance);
        ledger.entries().iter().rfind(boots).map_or_else(|| format!("{instance} never booted"), story::boot)
    }

    /// Shuts every guest down and holds its disk against what it was told is safe.
    pub(super) async fn judge_all(&self) -> Result<Vec<(InstanceId, Verdict)>, Failure> {
        for instance in self.fleet.instances() {
            let down = self.lab.driver(&instance.host).shutdown(&instance.id).await;
            down.map_err(|error| Failure::environment("end the guests", error))?;
        }
        let mut ledger = self.watch.ledger();
        ledger.poll().map_err(|error| Failure::environment("keep the ledger", error))?;
        let judge = |instance: &decant_schema::fleet::Instance| {
            let verdict = self.lab.judge(&ledger, &instance.host, &instance.id);
            Ok((instance.id.clone(), verdict.map_err(|error| Failure::environment("read a guest's disk", error))?))
        };
        self.fleet.instances().iter().map(judge).collect()
    }
}

/// The lab's messages read after "failed to", with their causes behind them.
pub(super) fn lab_failed(error: LabError) -> Failure {
    let failed = Failure::of(&error);
    match error {
        LabError::Io { .. } => {
            failed.with_hint("make room there, or name another folder for temporary files by TMPDIR")
        }
        LabError::Tool(_) | LabError::Hypervisor(_) => failed,
    }
}

/// A transfer over a tenth of a common link can be seen happening.
fn options(confirm: ConfirmPolicy) -> ApplyOptions {
    ApplyOptions { confirm, bandwidth: Some(mbps(400)), ..ApplyOptions::default() }
}

fn progress() -> ProgressSink {
    Arc::new(|happened| {
        if let Some(line) = story::progress(&happened) {
            output::note(&line);
        }
    })
}
