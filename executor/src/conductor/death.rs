//! What follows for migrations from a host that was declared dead.
//!
//! Nothing of it can run any more, so what it was to undo or to clean up counts as done; what it was to do for an
//! instance that has not left it yet cannot be done. What it may have executed is for a person to decide, who is told what
//! going back would cost: so an instance that was being started there waits. And nothing is removed elsewhere for a copy
//! on a dead host.

use decant_schema::migration::{Awaits, Cause, Death, Figures, Migration, MigrationEvent, Report, Work};
use decant_schema::store::StoreError;

use super::Conductor;

impl Conductor {
    /// Takes the turns of dead hosts for them.
    pub async fn act_for_the_dead(&self) -> Result<(), StoreError> {
        let dead = self.store.deaths().await?;
        if dead.is_empty() {
            return Ok(());
        }
        for migration in self.unfinished().await? {
            let Awaits::Agent { host, work } = migration.turn() else { continue };
            if let Some(death) = dead.get(&host)
                && let Some(report) = instead(work, death)
            {
                let recorded = self.record_death(&migration, death).await?;
                self.advance_if_legal(&recorded, MigrationEvent::Reported(report), Figures::default()).await?;
            }
        }
        Ok(())
    }

    /// The proof is kept with every migration that went on because of it.
    async fn record_death(&self, before: &Migration, death: &Death) -> Result<Migration, StoreError> {
        let after = Migration { death: Some(death.clone()), ..before.clone() };
        self.store.change_migration(before, &after, "host declared dead", self.clock.now()).await?;
        Ok(after)
    }
}

/// What counts as the report of a dead host; none where only a person can go on.
fn instead(work: Work, death: &Death) -> Option<Report> {
    let cause =
        |detail: &str| Cause::Failed { host: death.host.clone(), work: work.clone(), detail: detail.to_owned() };
    match &work {
        Work::DestroySource => Some(Report::SourceDestroyed),
        Work::CleanTarget { unless_executed: true, .. } => Some(Report::Undecided { cause: cause(MAY_HAVE_EXECUTED) }),
        Work::LookBack => Some(Report::Undecided { cause: cause(OLD_COPY_OUT_OF_REACH) }),
        Work::CleanTarget { .. } => Some(Report::TargetCleaned),
        Work::RestoreSource { .. } => Some(Report::SourceRestored),
        Work::Build { .. } => None,
        Work::Snapshot | Work::CopyBase | Work::StopAndCopy | Work::LookAgain { .. } | Work::Merge => {
            Some(Report::Failed { cause: cause("it was declared dead") })
        }
    }
}

const MAY_HAVE_EXECUTED: &str =
    "it was declared dead, and the instance may have executed there: a revert goes on without what it wrote there";

const OLD_COPY_OUT_OF_REACH: &str = "it was declared dead: there is nothing to go back to until it is back";
