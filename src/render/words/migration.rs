//! Migrations in words.

use decant_schema::migration::{Awaits, Confirm, Migration, MigrationOutcome, MigrationState};

/// What is done where a host knows more than the store.
const REPAIR: &str = "go on with the store that gave the later orders; if it is lost, look where the instance is, then decant migration abort ends this record and touches no host";

/// How far a migration is.
pub(crate) fn state(of: &MigrationState) -> String {
    match of {
        MigrationState::PreMigrating => "freezing its disk".to_owned(),
        MigrationState::Migrating => "copying its disk while it runs".to_owned(),
        MigrationState::MigratingStep2 { .. } => "stopped, copying the rest".to_owned(),
        MigrationState::PostMigrating { .. } => "verifying and starting at the target".to_owned(),
        MigrationState::VerifyMigration { confirm: Confirm::Awaited { automatic_at: None } } => {
            "at the target, to be confirmed or reverted".to_owned()
        }
        MigrationState::VerifyMigration { confirm: Confirm::Awaited { automatic_at: Some(at) } } => {
            format!("runs at the target, confirmed by itself at {}", at.strftime("%H:%M:%S UTC"))
        }
        MigrationState::VerifyMigration { confirm: Confirm::Due { .. } } => {
            "looked at once more, to be confirmed".to_owned()
        }
        MigrationState::VerifyMigration { confirm: Confirm::Given } => "confirmed, removing the old copy".to_owned(),
        MigrationState::VerifyMigration { confirm: Confirm::Merging { .. } } => {
            "confirmed, merging its overlay".to_owned()
        }
        MigrationState::Reverted { .. } => "on the way back".to_owned(),
        MigrationState::Overtaken { by, .. } => format!("stopped: {by}"),
        MigrationState::Finished { outcome } => match outcome {
            MigrationOutcome::Confirmed => "done".to_owned(),
            MigrationOutcome::Reverted => "reverted, as before".to_owned(),
            MigrationOutcome::Failed => "failed, as before".to_owned(),
            MigrationOutcome::Aborted => "called off, as before".to_owned(),
        },
    }
}

/// What a person can do so that it does not stay as it is; nothing where it is over.
pub(crate) fn way_on(of: &Migration) -> Option<String> {
    match of.turn() {
        Awaits::Agent { host, .. } if of.state.outcome().is_none() => Some(format!(
            "decant apply the plan again, with {host} back and reachable: what is unfinished goes on; if {host} is \
                 dead, decant host declare-dead {host}"
        )),
        Awaits::Decision { .. } => Some("decant migration confirm, or decant migration revert".to_owned()),
        Awaits::Repair => Some(REPAIR.to_owned()),
        Awaits::Agent { .. } | Awaits::Nobody => None,
    }
}

/// Whose turn it is, and what a person can do.
pub(crate) fn turn(of: &Migration) -> String {
    match of.turn() {
        Awaits::Agent { host, work } => format!("{host} is to {work}"),
        Awaits::Decision { .. } => "a person: decant migration confirm, or revert".to_owned(),
        Awaits::Repair => format!("a person: {REPAIR}"),
        Awaits::Nobody => "nobody".to_owned(),
    }
}
