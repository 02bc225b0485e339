//! The demonstration in words.

use std::fmt::Write;

use decant_executor::Progress;
use decant_executor::lab::ledger::Entry;
use decant_executor::lab::oracle::Verdict;
use decant_schema::fleet::Fleet;
use decant_schema::id::{InstanceId, ResourceClass};
use decant_schema::migration::{Confirm, Migration, MigrationOutcome, MigrationState};
use decant_schema::plan::{Move, Plan};

/// What happened, in figures.
pub(crate) struct Account {
    /// Each guest's disk against the ledger.
    pub(crate) judged: Vec<(InstanceId, Verdict)>,
    /// Every migration, as it ended.
    pub(crate) migrations: Vec<Migration>,
    /// What the resized guest said of itself.
    pub(crate) resized: String,
    /// What the reverted guest said of itself.
    pub(crate) reverted: String,
}

impl Account {
    /// Whether every move came to its end and nothing happened that must not.
    pub(crate) fn is_clean(&self) -> bool {
        self.judged.iter().all(|(_, verdict)| verdict.findings.is_empty())
            && self.migrations.iter().all(|migration| {
                matches!(migration.state.outcome(), Some(MigrationOutcome::Confirmed | MigrationOutcome::Reverted))
            })
    }

    /// The figures for a person.
    pub(crate) fn to_text(&self) -> String {
        let inside = format!("\nFrom inside: {}; {} after its revert.\n", self.resized, self.reverted);
        [self.moved(), inside, self.disks(), self.sums()].concat()
    }

    fn moved(&self) -> String {
        let line = |[who, way, outcome, downtime, copied]: [&str; 5]| {
            format!("  {who:<9} {way:<12} {outcome:<10} {downtime:>10} {copied:>9}\n")
        };
        let mut text = line(["instance", "from → to", "outcome", "downtime", "copied"]);
        for migration in &self.migrations {
            let subject = &migration.subject;
            let way = format!("{} → {}", subject.source(), subject.target());
            let outcome =
                migration.state.outcome().map_or_else(|| migration.state.name().to_owned(), |end| end.to_string());
            let downtime = downtime(migration).map_or_else(|| "–".to_owned(), |ms| format!("{ms} ms"));
            let copied = format!("{} MiB", migration.figures.bytes >> 20);
            text += &line([subject.instance.as_str(), &way, &outcome, &downtime, &copied]);
        }
        format!("\nMigrations:\n{text}")
    }

    fn disks(&self) -> String {
        let line = |[who, kept, lost, aside, silence]: [&str; 5]| {
            format!("  {who:<9} {kept:>8} {lost:>6} {aside:>10} {silence:>16}\n")
        };
        let mut text = line(["instance", "on disk", "lost", "set aside", "longest silence"]);
        for (instance, verdict) in &self.judged {
            let count = [verdict.kept, verdict.findings.len() as u64, verdict.set_aside].map(|count| count.to_string());
            let silence = format!("{} ms", verdict.silence_ms_max);
            text += &line([instance.as_str(), &count[0], &count[1], &count[2], &silence]);
        }
        for (instance, verdict) in &self.judged {
            text.extend(verdict.findings.iter().map(|finding| format!("  {instance}: {finding}\n")));
        }
        format!("\nDisks against the ledger of acknowledged writes:\n{text}")
    }

    fn sums(&self) -> String {
        let lost: usize = self.judged.iter().map(|(_, verdict)| verdict.findings.len()).sum();
        let aside: u64 = self.judged.iter().map(|(_, verdict)| verdict.set_aside).sum();
        let mib = self.migrations.iter().map(|migration| migration.figures.bytes).sum::<u64>() >> 20;
        let undone = match aside {
            0 => String::new(),
            _ => format!("{aside} writes were made where the revert undid them, and were kept aside.\n"),
        };
        format!("\n{} migrations, {mib} MiB copied, lost writes: {lost}.\n{undone}", self.migrations.len())
    }
}

/// How long a guest that stayed where it went did not execute. One that came back executed elsewhere in between.
fn downtime(migration: &Migration) -> Option<i64> {
    let stayed = migration.state.outcome() == Some(MigrationOutcome::Confirmed);
    migration.figures.downtime_ms().filter(|_| stayed)
}

/// How full the hosts are.
pub(super) fn capacity(fleet: &Fleet) -> String {
    let mut text = format!("\n  {:<6} {:>14} {:>10}  instances\n", "host", "memory used", "headroom");
    for host in fleet.hosts() {
        let here: Vec<_> = fleet.instances().iter().filter(|instance| instance.host == host.name).collect();
        let claim = |instance: &&_| fleet.claim(instance).get(ResourceClass::MEMORY_MB).copied().unwrap_or(0);
        let used: u64 = here.iter().map(claim).sum();
        let capacity = host.inventory.get(ResourceClass::MEMORY_MB).map_or(0, |memory| memory.capacity());
        let names: Vec<&str> = here.iter().map(|instance| instance.id.as_str()).collect();
        let (of, free) = (format!("{used} of {capacity} MiB"), format!("{} MiB", capacity.saturating_sub(used)));
        let _ = writeln!(text, "  {:<6} {of:>14} {free:>10}  {}", host.name, names.join(", "));
    }
    text
}

/// A short plan's moves.
pub(super) fn moves(plan: &Plan) -> String {
    let line = |step: &Move| {
        let size = step.flavor.as_ref().map_or_else(String::new, |flavor| format!(" as {flavor}"));
        format!("{}{size}, {} → {}", step.instance, step.source, step.target)
    };
    plan.moves.iter().map(line).collect::<Vec<_>>().join("; ")
}

/// A line for something that happened, if it is worth one.
pub(super) fn progress(happened: &Progress) -> Option<String> {
    match happened {
        Progress::Changed { migration } => {
            let (who, from, to) = (&migration.subject.instance, migration.subject.source(), migration.subject.target());
            let end = migration.state.outcome().map_or_else(String::new, |outcome| format!(": {outcome}"));
            let why = migration.cause.as_ref().map_or_else(String::new, |cause| format!(" ({cause})"));
            let state = match &migration.state {
                MigrationState::VerifyMigration { confirm: Confirm::Due { .. } } => "looked at once more",
                MigrationState::VerifyMigration { confirm: Confirm::Given } => "confirmed, the old copy goes",
                MigrationState::VerifyMigration { confirm: Confirm::Merging { .. } } => {
                    "confirmed, merging the overlay"
                }
                state => state.name(),
            };
            Some(format!("  {who:<9} {from} → {to}  {state}{end}{why}"))
        }
        Progress::Silent { host, .. } => Some(format!("  {host} is silent and is told again")),
        Progress::Refused { host, reason, .. } => Some(format!("  {host} refuses: {reason}")),
        Progress::Copying { .. } | Progress::Waiting { .. } | Progress::NotCreated { .. } => None,
    }
}

/// Whether a line is an instance's account of its boot.
pub(super) fn is_boot_of(entry: &Entry, instance: &str) -> bool {
    entry.instance.as_str() == instance && entry.line.starts_with("boot ")
}

/// A guest's account of its boot.
pub(super) fn boot(entry: &Entry) -> String {
    let field = |name| entry.field(name).unwrap_or("?");
    format!("{} on {} sees {} MiB and {} vCPU", entry.instance, entry.host, field("memory_mb"), field("vcpus"))
}
