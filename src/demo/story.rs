//! The demonstration in words.

use std::fmt::Write;

use decant_executor::Progress;
use decant_executor::lab::ledger::Entry;
use decant_executor::lab::oracle::Verdict;
use decant_schema::fleet::Fleet;
use decant_schema::id::{InstanceId, ResourceClass};
use decant_schema::migration::Migration;

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
    /// Whether nothing happened that must not.
    pub(crate) fn is_clean(&self) -> bool {
        self.judged.iter().all(|(_, verdict)| verdict.findings.is_empty())
    }

    /// The figures for a person.
    pub(crate) fn to_text(&self) -> String {
        let mut text = format!(
            "\nMigrations:\n  {:<9} {:<12} {:<10} {:>10} {:>9}\n",
            "instance", "from → to", "outcome", "downtime", "copied"
        );
        for migration in &self.migrations {
            let way = format!("{} → {}", migration.subject.source(), migration.subject.target());
            let outcome =
                migration.state.outcome().map_or_else(|| migration.state.name().to_owned(), |o| o.to_string());
            let downtime = migration.figures.downtime_ms().map_or_else(|| "none".to_owned(), |ms| format!("{ms} ms"));
            let mib = format!("{} MiB", migration.figures.bytes >> 20);
            let _ =
                writeln!(text, "  {:<9} {way:<12} {outcome:<10} {downtime:>10} {mib:>9}", migration.subject.instance);
        }
        let _ = writeln!(text, "\nFrom inside: {}; {} after its revert.", self.resized, self.reverted);
        text.push_str("\nDisks against the ledger of acknowledged writes:\n");
        let _ = writeln!(
            text,
            "  {:<9} {:>8} {:>6} {:>10} {:>16}",
            "instance", "on disk", "lost", "set aside", "longest silence"
        );
        for (instance, verdict) in &self.judged {
            let silence = format!("{} ms", verdict.silence_ms_max);
            let lost = verdict.findings.len();
            let _ =
                writeln!(text, "  {instance:<9} {:>8} {lost:>6} {:>10} {silence:>16}", verdict.kept, verdict.set_aside);
        }
        for (instance, finding) in
            self.judged.iter().flat_map(|(id, verdict)| verdict.findings.iter().map(move |f| (id, f)))
        {
            let _ = writeln!(text, "  {instance}: {finding}");
        }
        let lost: usize = self.judged.iter().map(|(_, verdict)| verdict.findings.len()).sum();
        let bytes: u64 = self.migrations.iter().map(|migration| migration.figures.bytes).sum();
        let aside: u64 = self.judged.iter().map(|(_, verdict)| verdict.set_aside).sum();
        let _ =
            writeln!(text, "\n{} migrations, {} MiB copied, lost writes: {lost}.", self.migrations.len(), bytes >> 20);
        if aside > 0 {
            let _ = writeln!(text, "{aside} writes were made where the revert undid them, and were kept aside.");
        }
        text
    }
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

/// A line for something that happened, if it is worth one.
pub(super) fn progress(happened: &Progress) -> Option<String> {
    match happened {
        Progress::Changed { migration } => {
            let (who, from, to) = (&migration.subject.instance, migration.subject.source(), migration.subject.target());
            let end = migration.state.outcome().map_or_else(String::new, |outcome| format!(": {outcome}"));
            let why = migration.cause.as_ref().map_or_else(String::new, |cause| format!(" ({cause})"));
            Some(format!("  {who:<9} {from} → {to}  {}{end}{why}", migration.state.name()))
        }
        Progress::Silent { host, .. } => Some(format!("  {host} is silent and is told again")),
        Progress::Refused { host, reason, .. } => Some(format!("  {host} refuses: {reason}")),
        Progress::Copying { .. } | Progress::Waiting { .. } => None,
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
