//! What an agent does, as a pure decision: (order, what was found on the host) → effects and what to report.
//!
//! No clock, no host, no messages. [`decide`] looks at what is there and says in which order what is to be done to it; it
//! is asked anew with every order, so an order repeated after any part of it was done leads to the same end. Who carries
//! it out looks at the fence again before each single effect.

use decant_schema::cast::WorkCast;
use decant_schema::id::ResourceClass;
use decant_schema::migration::{
    Assurance, Attributes, Cause, DiskFile, DiskNumber, Generation, Manifest, Report, Subject, Work,
};

use crate::hypervisor::{Copy, CopyFacts, Discard, Ending, GuestSize, Health, Held};

/// One thing that is done to a copy. Each may be done again, and each may be the last before a kill.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Effect {
    /// Freeze the disk as a base; the overlay is this generation's.
    Freeze(Generation),
    /// Copy a file to the target.
    Copy(DiskFile),
    /// Shut the guest down.
    Shutdown,
    /// Stop the guest and keep its memory.
    Suspend,
    /// Compare all that arrived with what was sent.
    Verify,
    /// Drop a saved memory that does not belong to the disk.
    ForgetMemory,
    /// Make the files an instance of this size.
    Create(GuestSize),
    /// Power it on; before its first instruction it is recorded that it has executed for this migration.
    Start(Generation),
    /// Merge the overlay into the base.
    Merge,
    /// Remove the copy.
    Destroy(Discard),
}

impl Effect {
    /// Whether it is begun only under a lease that is not over: it makes something run, or takes something away.
    pub fn needs_lease(self) -> bool {
        match self {
            Self::ForgetMemory | Self::Create(_) | Self::Start(_) | Self::Destroy(_) => true,
            Self::Freeze(_) | Self::Copy(_) | Self::Shutdown | Self::Suspend | Self::Verify | Self::Merge => false,
        }
    }
}

/// What an order comes to, as things are on the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// These effects, in this order; once all are done, this is reported. A manifest in it is what was copied.
    Do(Vec<Effect>, Report),
    /// Nothing: what was found is not what the migration was made for. In what it differs.
    Refuse(String),
    /// Nothing: a person has to decide. What was found.
    Leave(String),
    /// Nothing: it cannot be done as things are. Why not.
    Fail(String),
}

/// What was found on the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What it holds.
    pub held: Held,
    /// How that is; none where nobody is about to rely on it ([`relies`]).
    pub health: Option<Health>,
}

/// Whether the order asks for a copy to be relied on, which is to be examined first.
pub fn relies(order: &WorkCast) -> bool {
    matches!(order.work, Work::LookAgain { .. } | Work::LookBack | Work::RestoreSource { .. })
}

/// What this order comes to where `found` is on the host.
pub fn decide(order: &WorkCast, found: &Found) -> Verdict {
    let (subject, copy) = (&order.subject, &found.held.copy);
    if was_powered_off(order, &found.held) {
        return Verdict::Do(Vec::new(), Report::PoweredOff);
    }
    match &order.work {
        Work::Snapshot => snapshot(subject, copy),
        Work::CopyBase => copy_base(subject, copy),
        Work::StopAndCopy => stop_and_copy(subject, copy),
        Work::Build { manifest } => build(subject, manifest, copy),
        Work::LookAgain { assurance } => look_again(subject, *assurance, found),
        Work::DestroySource => destroy_source(order, copy),
        Work::Merge => merge(copy),
        Work::LookBack => look_back(subject, found),
        Work::CleanTarget { unless_executed: true, .. } if has_executed(subject, &found.held) => {
            Verdict::Do(Vec::new(), Report::Executed)
        }
        Work::CleanTarget { keep_writes, .. } => clean_target(order, *keep_writes, copy),
        Work::RestoreSource { memory_fits, seen } => restore_source(subject, *memory_fits, *seen, found),
    }
}

/// Whether an effect may be had on what is there at its moment: since the look before the first effect it may have been
/// started by hand, or another may have been defined in its place.
///
/// # Errors
/// Why not.
pub fn may(order: &WorkCast, effect: Effect, now: &Held) -> Result<(), String> {
    match (effect, &now.copy) {
        (Effect::Destroy(_), Copy::Running(facts) | Copy::Stopped(facts)) if is_anothers(order, facts) => {
            Err(OTHER.to_owned())
        }
        (Effect::Destroy(Discard::Everything), Copy::Running(_)) => Err(RUNS.to_owned()),
        _ => Ok(()),
    }
}

/// What an order that failed comes to, as things are on the host afterwards. A failure is reported only of what is known not
/// to be done: where the guest has executed, the instance has started, whatever is wrong now.
pub fn failure(order: &WorkCast, after: &Held, cause: Cause) -> Report {
    let builds = matches!(order.work, Work::Build { .. });
    if was_powered_off(order, after) {
        Report::PoweredOff
    } else if builds && has_executed(&order.subject, after) {
        Report::Started { but: Some(cause) }
    } else {
        Report::Failed { cause }
    }
}

/// Whether this migration built the copy here, or froze it: another instance of the name may have been defined since.
fn is_ours(subject: &Subject, facts: &CopyFacts) -> bool {
    facts.mark == subject.begun
}

/// Whether the copy is not this order's to remove.
fn is_anothers(order: &WorkCast, facts: &CopyFacts) -> bool {
    // On a shared disk nothing was frozen, and what was at the source first bears no mark.
    let unmarked = order.work == Work::DestroySource && !order.subject.copies_disk();
    !unmarked && !is_ours(&order.subject, facts)
}

/// Whether what the guest wrote here may be nowhere else.
fn has_executed(subject: &Subject, held: &Held) -> bool {
    subject.copies_disk() && held.executed == subject.begun
}

/// Whether the instance is down since its user shut it down, though the order takes it for one that runs.
fn was_powered_off(order: &WorkCast, held: &Held) -> bool {
    let (subject, own) = (&order.subject, held.executed == order.subject.begun);
    let counts = match &order.work {
        // The one refuses whatever is not as on record; the other removes what does not count any more.
        Work::Snapshot | Work::DestroySource => false,
        Work::CopyBase | Work::StopAndCopy | Work::LookBack | Work::RestoreSource { .. } => true,
        // Nobody looked at it there: a person is to.
        Work::LookAgain { assurance: Assurance::Lives } => false,
        // What lies at the target may have been there before.
        Work::Build { .. } | Work::LookAgain { .. } | Work::Merge | Work::CleanTarget { .. } => own,
    };
    let by_user = matches!(held.copy, Copy::Stopped(CopyFacts { ended: Ending::ByUser, .. }));
    subject.runs && counts && by_user
}

fn fail(why: &str) -> Verdict {
    Verdict::Fail(why.to_owned())
}

fn snapshot(subject: &Subject, copy: &Copy) -> Verdict {
    // An overlay that an earlier try left here is merged by whatever snapshot comes next.
    if let Err(mismatch) = copy.is_as_recorded(GuestSize::from(&subject.old.claim), subject.runs) {
        return Verdict::Refuse(format!("{}: {mismatch}", subject.instance));
    }
    if let (Some(old), Some(new)) = (disk_gib(&subject.old), disk_gib(&subject.new))
        && new < old
    {
        let (instance, flavor) = (&subject.instance, &subject.new.flavor);
        let why = "no disk is made smaller: choose a flavor with as large a disk";
        return Verdict::Refuse(format!("{instance} has a disk of {old} GiB, and {flavor} has {new} GiB; {why}"));
    }
    let frozen = subject.copies_disk().then_some(Effect::Freeze(subject.begun));
    Verdict::Do(frozen.into_iter().collect(), Report::Snapshotted)
}

/// The copies of its disks' layers, if they are copied.
fn copies(subject: &Subject, copy: &Copy, layer: impl Fn(DiskNumber) -> DiskFile) -> Vec<Effect> {
    let disks = match copy {
        Copy::Running(facts) | Copy::Stopped(facts) => facts.disks,
        // That its first is not there is then said by whoever looks for it.
        Copy::Nothing | Copy::Incoming => 1,
    };
    let layers = DiskNumber::all(disks).filter(|_| subject.copies_disk());
    layers.map(|disk| Effect::Copy(layer(disk))).collect()
}

fn copy_base(subject: &Subject, copy: &Copy) -> Verdict {
    let mut effects = copies(subject, copy, DiskFile::Base);
    if !effects.is_empty() {
        // The small one first: a target that does not take the machine says so before much was carried.
        effects.insert(0, Effect::Copy(DiskFile::Machine));
    }
    Verdict::Do(effects, Report::BaseCopied { copied: Manifest::new() })
}

fn stop_and_copy(subject: &Subject, copy: &Copy) -> Verdict {
    let carries_memory = subject.carries_memory() && !subject.in_place();
    let mut effects = vec![if carries_memory { Effect::Suspend } else { Effect::Shutdown }];
    effects.extend(copies(subject, copy, DiskFile::Overlay));
    if carries_memory {
        effects.push(Effect::Copy(DiskFile::Memory));
    }
    Verdict::Do(effects, Report::RestCopied { copied: Manifest::new() })
}

fn build(subject: &Subject, manifest: &Manifest, copy: &Copy) -> Verdict {
    let size = GuestSize::from(&subject.new.claim);
    let mut effects = Vec::new();
    match copy {
        Copy::Running(facts) if !subject.in_place() && !is_ours(subject, facts) => return fail(OTHER),
        // Its process is there, but it may have been left before it executed.
        Copy::Running(facts) if !subject.in_place() || facts.size == size && !only_disk_grows(subject) => {
            effects.extend(power_on(subject, subject.begun));
            return Verdict::Do(effects, Report::Started { but: None });
        }
        Copy::Running(_) => effects.push(Effect::Shutdown),
        // What was verified once may have been written to since, by the guest itself.
        Copy::Stopped(facts) if subject.in_place() || is_ours(subject, facts) => {}
        Copy::Stopped(_) => return fail(OTHER),
        Copy::Nothing | Copy::Incoming => effects.push(Effect::Verify),
    }
    if !manifest.contains_key(&DiskFile::Memory) {
        // One that lies here was saved with another disk, and would be loaded.
        effects.push(Effect::ForgetMemory);
    }
    effects.push(Effect::Create(size));
    effects.extend(power_on(subject, subject.begun));
    Verdict::Do(effects, Report::Started { but: None })
}

fn look_again(subject: &Subject, assurance: Assurance, found: &Found) -> Verdict {
    let lacking = lacking(subject, assurance, found);
    lacking.map_or(Verdict::Do(Vec::new(), Report::Seen), Verdict::Fail)
}

/// What keeps the source's copy from being destroyed for the one that is here.
fn lacking(subject: &Subject, assurance: Assurance, found: &Found) -> Option<String> {
    let (Copy::Running(facts) | Copy::Stopped(facts)) = &found.held.copy else {
        return Some("the instance is not here any more: revert, or bring its files back".to_owned());
    };
    if subject.copies_disk() && !facts.frozen {
        return Some("its overlay is not there: revert, or bring it back".to_owned());
    }
    let Some(health) = &found.health else { return Some("it was not examined".to_owned()) };
    if let Some(disk) = &health.disk {
        return Some(format!("its disk is not whole: {disk}: revert, or mend it"));
    }
    let guest = health.guest.as_ref().filter(|_| subject.runs && assurance <= Assurance::Runs);
    if let Some(guest) = guest {
        return Some(format!("its guest does not run: {guest}: find out why, then revert, or confirm with --anyway"));
    }
    let heartbeat = health.heartbeat.as_ref().filter(|_| subject.runs && assurance == Assurance::Lives);
    heartbeat.map(|why| format!("there is no sign of life: {why}: look at it, then confirm or revert"))
}

/// The overlay that arrived; a copy that is not there has none.
fn merge(copy: &Copy) -> Verdict {
    match copy {
        Copy::Running(_) | Copy::Stopped(_) => Verdict::Do(vec![Effect::Merge], Report::Merged),
        Copy::Nothing | Copy::Incoming => fail("the instance is not here any more"),
    }
}

const OTHER: &str = "an instance of this name is here that this migration did not build";

const RUNS: &str = "the old copy runs, and what runs is not destroyed here; find out who started it";

fn destroy_source(order: &WorkCast, copy: &Copy) -> Verdict {
    match copy {
        Copy::Running(facts) | Copy::Stopped(facts) if is_anothers(order, facts) => {
            Verdict::Do(Vec::new(), Report::SourceDestroyed)
        }
        Copy::Running(_) => fail(RUNS),
        Copy::Stopped(_) | Copy::Incoming | Copy::Nothing => {
            Verdict::Do(vec![Effect::Destroy(Discard::Everything)], Report::SourceDestroyed)
        }
    }
}

fn look_back(subject: &Subject, found: &Found) -> Verdict {
    // What the guest wrote while its base was copied. Later, merged, it is missed by nobody.
    let without_overlay = matches!(&found.held.copy, Copy::Stopped(facts) if subject.copies_disk() && is_ours(subject, facts) && !facts.frozen);
    match lost(found) {
        None if without_overlay => leave("its overlay is not there"),
        None => Verdict::Do(Vec::new(), Report::Seen),
        Some(what) => leave(&what),
    }
}

/// What the copy to go back to lacks.
fn lost(found: &Found) -> Option<String> {
    match &found.held.copy {
        Copy::Running(_) => None,
        Copy::Nothing | Copy::Incoming => Some("the instance is not here any more".to_owned()),
        Copy::Stopped(_) => match &found.health {
            Some(health) => health.disk.clone(),
            None => Some("it was not examined".to_owned()),
        },
    }
}

fn leave(lost: &str) -> Verdict {
    Verdict::Leave(format!("{lost}: bring its files back, then revert, or confirm what the target has"))
}

fn clean_target(order: &WorkCast, keep_writes: bool, copy: &Copy) -> Verdict {
    if let Copy::Running(facts) | Copy::Stopped(facts) = copy
        && is_anothers(order, facts)
    {
        return Verdict::Do(Vec::new(), Report::TargetCleaned);
    }
    let discard = if keep_writes { Discard::KeepOverlay } else { Discard::Everything };
    Verdict::Do(vec![Effect::Destroy(discard)], Report::TargetCleaned)
}

fn restore_source(subject: &Subject, memory_fits: bool, seen: bool, found: &Found) -> Verdict {
    if let Some(lost) = lost(found) {
        return leave(&lost);
    }
    let (mut effects, mut starts) = (Vec::new(), true);
    match &found.held.copy {
        Copy::Nothing | Copy::Incoming => {}
        Copy::Running(facts) => effects.extend(resize_back(subject, facts)),
        Copy::Stopped(facts) => {
            if !memory_fits {
                effects.push(Effect::ForgetMemory);
            }
            effects.extend(resize_back(subject, facts));
            // Whoever froze its disk has seen that it ran; else it may have been down before.
            starts = seen || is_ours(subject, facts);
        }
    }
    // Nobody will ask whether it has executed at its source.
    effects.extend(power_on(subject, Generation::default()).filter(|_| starts));
    if subject.copies_disk() {
        effects.push(Effect::Merge);
    }
    Verdict::Do(effects, Report::SourceRestored)
}

/// Gives a copy that was resized in place its old size. One that was to move elsewhere never had another here, whatever
/// is on record.
fn resize_back(subject: &Subject, found: &CopyFacts) -> Vec<Effect> {
    let size = GuestSize::from(&subject.old.claim);
    let is_as_before = found.size == size && !only_disk_grows(subject);
    if !subject.in_place() || is_as_before { Vec::new() } else { vec![Effect::Shutdown, Effect::Create(size)] }
}

/// Whether nothing but the disk changes, which the size of a running guest does not show.
fn only_disk_grows(subject: &Subject) -> bool {
    let size = |attributes: &Attributes| GuestSize::from(&attributes.claim);
    size(&subject.old) == size(&subject.new) && disk_gib(&subject.new) > disk_gib(&subject.old)
}

/// The disk its flavor or its own claim names, if they do (GiB).
pub(super) fn disk_gib(attributes: &Attributes) -> Option<u64> {
    attributes.claim.get::<str>(ResourceClass::DISK_GB).copied()
}

/// Starts the instance if it ran before.
fn power_on(subject: &Subject, mark: Generation) -> Option<Effect> {
    subject.runs.then_some(Effect::Start(mark))
}

#[cfg(test)]
mod tests;
