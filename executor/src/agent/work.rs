//! Carries out what [`decide`] says, one effect after the other. Any may be the last before a kill, and all be asked
//! again.

use std::pin::pin;
use std::time::Duration;

use decant_schema::cast::{Notification, WorkCast};
use decant_schema::id::HostName;
use decant_schema::migration::{Assurance, Cause, DiskFile, Figures, Generation, Manifest, Report, Work};
use tokio::sync::mpsc;

use super::Agent;
use super::decide::{Effect, Found, Verdict, decide, disk_gib, failure, may, relies};
use super::lease::Lease;
use crate::causes::in_one_line;
use crate::hypervisor::{Copy, Disk, DiskSize, Ending, GIB, GuestSize, GuestSpec, Health, Hypervisor, HypervisorError};
use crate::transfer::{Copied, CopyOrder, Transfer, TransferError};

/// The pause before the first repetition of a copy; it doubles each time.
const COPY_PAUSE: Duration = Duration::from_millis(500);

/// The longest pause: a link that is back is used soon.
const COPY_PAUSE_MAX: Duration = Duration::from_secs(8);

/// So little of what a guest has written (bytes) is left for when it stands still: over a link of 1 Gbit/s it takes an eighth
/// of a second.
const LEFT_TO_THE_END: u64 = 16 << 20;

/// How long a guest is waited for that is to show that it lives: as long as a system commonly takes to boot.
const HEARTBEAT_PATIENCE: Duration = Duration::from_secs(60);

/// How often it is looked at meanwhile.
const HEARTBEAT_PAUSE: Duration = Duration::from_secs(1);

/// How often a work that takes long says that it is being done: well within the shortest lease.
const SIGN_OF_LIFE: Duration = Duration::from_millis(400);

/// Why a work has no end to report, or a bad one.
#[derive(Debug)]
pub(super) enum WorkError {
    /// It is not known what is done: it is asked again when its lease ends.
    Outdated(&'static str),
    /// The cast is older than what was obeyed already.
    Overtaken {
        /// Where; none: here.
        host: Option<HostName>,
        /// The generation obeyed there.
        held: Generation,
    },
    /// It is not gone on with: the guest's user has shut it down meanwhile.
    PoweredOff,
    /// It cannot be done.
    Failed(String),
    /// It is not begun, and nothing was changed.
    Refused(String),
    /// Nothing was done: a person has to decide.
    Left(String),
}

impl WorkError {
    /// The same of a work of which nothing was done yet.
    fn before_anything(self) -> Self {
        match self {
            Self::Failed(detail) => Self::Refused(detail),
            other => other,
        }
    }
}

impl From<HypervisorError> for WorkError {
    fn from(error: HypervisorError) -> Self {
        match error {
            HypervisorError::Fenced { held, .. } => Self::Overtaken { host: None, held },
            // Nothing is known of what the other one does: the order comes again.
            HypervisorError::Busy { .. } => Self::Outdated("another agent is at work on the instance"),
            error => Self::Failed(in_one_line(&error)),
        }
    }
}

impl From<TransferError> for WorkError {
    fn from(error: TransferError) -> Self {
        match error {
            TransferError::Fenced { peer, held, .. } => Self::Overtaken { host: Some(peer), held },
            error => Self::Failed(in_one_line(&error)),
        }
    }
}

/// A snapshot that finds its guest unfit, or its disk or machine of a kind that is not carried, has changed nothing.
fn unless_unfit(error: HypervisorError) -> WorkError {
    use HypervisorError::{Machine, Uncarried, Unfit};
    let is_unfit = matches!(error, Unfit { .. } | Uncarried { .. } | Machine { .. });
    let error = WorkError::from(error);
    if is_unfit { error.before_anything() } else { error }
}

fn failed<T>(detail: impl Into<String>) -> Result<T, WorkError> {
    Err(WorkError::Failed(detail.into()))
}

impl Agent {
    fn hypervisor(&self) -> &dyn Hypervisor {
        &*self.driver.hypervisor
    }

    fn transfer(&self) -> &dyn Transfer {
        &*self.driver.transfer
    }

    /// Does the work; the figures are what it cost even where it failed.
    pub(super) async fn perform(&self, cast: &WorkCast, lease: &Lease) -> (Result<Report, WorkError>, Figures) {
        let mut figures = Figures::default();
        let done = self.dispatch(cast, lease, &mut figures).await;
        (done, figures)
    }

    async fn dispatch(&self, cast: &WorkCast, lease: &Lease, figures: &mut Figures) -> Result<Report, WorkError> {
        let found = self.look(cast).await.map_err(|error| before_anything(cast, error))?;
        match decide(cast, &found) {
            Verdict::Refuse(detail) => Err(WorkError::Refused(detail)),
            Verdict::Leave(detail) => Err(WorkError::Left(detail)),
            Verdict::Fail(detail) => Err(WorkError::Failed(detail)),
            Verdict::Do(effects, report) => {
                self.prepare_for(cast).await?;
                let ran = matches!(found.held.copy, Copy::Running(_));
                let done = self.carry_out(cast, effects, report, ran, lease, figures).await;
                if begins(cast) && matches!(done, Err(WorkError::Refused(_))) {
                    self.release(cast).await;
                }
                done
            }
        }
    }

    /// Has one effect after the other; `ran`: the guest ran before.
    async fn carry_out(
        &self,
        cast: &WorkCast,
        effects: Vec<Effect>,
        report: Report,
        ran: bool,
        lease: &Lease,
        figures: &mut Figures,
    ) -> Result<Report, WorkError> {
        let mut copied = Manifest::new();
        for effect in effects {
            if ran && matches!(effect, Effect::Shutdown | Effect::Suspend) {
                figures.stopped_at = Some(self.clock.now());
            }
            self.obey(cast, effect, lease, &mut copied, figures).await?;
            if matches!(effect, Effect::Start(_)) {
                figures.started_at = Some(self.clock.now());
            }
        }
        if cast.work == Work::CopyBase && cast.subject.copies_disk() {
            self.pass_on_writes(cast, &mut copied, figures).await?;
        }
        Ok(with_copied(report, copied))
    }

    /// What must hold before the first effect: there is room before anything is begun, and the target can be reached
    /// before a guest is taken down.
    async fn prepare_for(&self, cast: &WorkCast) -> Result<(), WorkError> {
        if begins(cast) {
            return self.reserve(cast).await.map_err(|error| WorkError::from(error).before_anything());
        }
        if cast.work == Work::StopAndCopy && cast.subject.copies_disk() {
            self.reach_target(cast).await
        } else {
            Ok(())
        }
    }

    /// Has room promised on both hosts for all the migration takes.
    async fn reserve(&self, cast: &WorkCast) -> Result<(), TransferError> {
        let order = self.order(cast, DiskFile::BASE);
        let memory = GuestSize::from(&cast.subject.old.claim).memory.bytes();
        let memory = if cast.subject.carries_memory() { memory } else { 0 };
        self.patiently(cast, || self.transfer().reserve(&order, memory)).await
    }

    /// Gives back what was promised to a migration that was not begun: nobody is asked to clean up after it.
    async fn release(&self, cast: &WorkCast) {
        if let Err(error) = self.transfer().release(&self.order(cast, DiskFile::BASE)).await {
            tracing::warn!(instance = %cast.subject.instance, %error, "room stays promised to a migration that was not begun");
        }
    }

    /// What is on the host, once the order is known not to be of the past.
    async fn look(&self, cast: &WorkCast) -> Result<Found, WorkError> {
        let instance = &cast.subject.instance;
        drop(self.hypervisor().fence(instance, cast.generation).await?);
        let held = self.hypervisor().observe(instance).await?;
        let health = if relies(cast) { Some(self.examine(cast).await?) } else { None };
        Ok(Found { held, health })
    }

    /// Looks at the copy; where only the guest itself can tell that it lives, until it does or patience ends.
    async fn examine(&self, cast: &WorkCast) -> Result<Health, WorkError> {
        let lives = matches!(cast.work, Work::LookAgain { assurance: Assurance::Lives });
        let heartbeat = cast.subject.heartbeat.as_ref().filter(|_| lives);
        let mut waited = Duration::ZERO;
        // It may be this guest that waits for the room there is by now.
        self.hypervisor().wake_halted().await;
        loop {
            let health = self.hypervisor().examine(&cast.subject.instance, heartbeat).await?;
            if health.heartbeat.is_none() || waited >= HEARTBEAT_PATIENCE {
                return Ok(health);
            }
            self.with_signs_of_life(cast, self.clock.sleep(HEARTBEAT_PAUSE)).await;
            waited += HEARTBEAT_PAUSE;
        }
    }

    /// Does something long; meanwhile the conductor hears that it is being done.
    async fn with_signs_of_life<T>(&self, cast: &WorkCast, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done,
                () = tokio::time::sleep(SIGN_OF_LIFE) => {}
            }
            let (host, migration, generation) = (self.host.clone(), cast.migration, cast.generation);
            self.bus.notify(Notification::AtWork { host, migration, generation }).await;
        }
    }

    /// What to report of a failure, once it was looked at what is there now; none if that cannot be seen either.
    pub(super) async fn report_failure(&self, cast: &WorkCast, cause: Cause) -> Option<Report> {
        let after = self.hypervisor().observe(&cast.subject.instance).await.ok()?;
        Some(failure(cast, &after, cause))
    }

    /// Has one effect, if the order still counts: what was looked at before the last one may be over.
    async fn obey(
        &self,
        cast: &WorkCast,
        effect: Effect,
        lease: &Lease,
        copied: &mut Manifest,
        figures: &mut Figures,
    ) -> Result<(), WorkError> {
        if let Effect::Copy(file) = effect {
            return self.copy_with_layers(cast, file, copied, figures).await;
        }
        let _alone = self.hypervisor().fence(&cast.subject.instance, cast.generation).await?;
        if effect.needs_lease() {
            lease.check()?;
        }
        if let Effect::Destroy(_) = effect {
            may(cast, effect, &self.hypervisor().observe(&cast.subject.instance).await?).map_err(WorkError::Failed)?;
        }
        let had = self.have(cast, effect, figures);
        if says_that_it_lives(&cast.work, effect) { self.with_signs_of_life(cast, had).await } else { had.await }
    }

    async fn have(&self, cast: &WorkCast, effect: Effect, figures: &mut Figures) -> Result<(), WorkError> {
        let (host, subject) = (self.hypervisor(), &cast.subject);
        let (instance, disk) = (&subject.instance, Disk::of(subject.storage.as_ref()));
        match effect {
            Effect::Freeze(generation) => host.snapshot(instance, generation).await.map_err(unless_unfit)?,
            Effect::Shutdown => self.shut_down(cast, figures).await?,
            Effect::Suspend => host.suspend(instance).await?,
            Effect::ForgetMemory => host.forget_memory(instance).await?,
            Effect::Create(size) => {
                let built_by = Some(subject.begun);
                host.create(&GuestSpec { instance: instance.clone(), size, disk, built_by }).await?;
                if let Some(disk_size) = disk_size(cast) {
                    host.size_disk(instance, subject.begun, disk_size).await?;
                }
            }
            Effect::Start(begun) => host.start_marked(instance, begun).await?,
            Effect::Merge => host.merge_back(instance).await?,
            Effect::Destroy(discard) => host.destroy(instance, &disk, discard).await?,
            Effect::Verify => self.verify(cast).await?,
            // It has its own way, which no lock is held on.
            Effect::Copy(_) => {}
        }
        Ok(())
    }

    /// Shuts the guest down, and takes down whether it had to be powered off.
    async fn shut_down(&self, cast: &WorkCast, figures: &mut Figures) -> Result<(), WorkError> {
        let subject = &cast.subject;
        match self.hypervisor().shutdown_within(&subject.instance, cast.patience).await? {
            Ending::ByUser if subject.runs => return Err(WorkError::PoweredOff),
            Ending::CutOff if subject.runs => figures.cut_off_at = Some(self.clock.now()),
            Ending::ByUser | Ending::CutOff | Ending::Obeyed | Ending::Unknown => {}
        }
        Ok(())
    }

    /// Compares what arrived with what was sent.
    async fn verify(&self, cast: &WorkCast) -> Result<(), WorkError> {
        let Work::Build { manifest } = &cast.work else { return Ok(()) };
        for (file, sent) in manifest {
            let arrived = self.transfer().digest(&cast.subject.instance, *file).await?;
            if arrived != *sent {
                return failed(format!("the {file} is not what was sent: {arrived} instead of {sent}"));
            }
        }
        let frozen = self.hypervisor().frozen(&cast.subject.instance).await?;
        let stray = frozen.into_iter().find(|layer| !manifest.contains_key(layer));
        stray.map_or(Ok(()), |layer| failed(format!("the {layer} lies here and was not sent")))
    }

    /// Copies a file to the target; an overlay after all that is frozen beneath it.
    async fn copy_with_layers(
        &self,
        cast: &WorkCast,
        file: DiskFile,
        manifest: &mut Manifest,
        figures: &mut Figures,
    ) -> Result<(), WorkError> {
        if let DiskFile::Overlay(overlaid) = file {
            for layer in self.hypervisor().frozen(&cast.subject.instance).await? {
                if matches!(layer, DiskFile::Layer(disk, _) if disk == overlaid) {
                    self.copy(cast, layer, manifest, figures).await?;
                }
            }
        }
        self.copy(cast, file, manifest, figures).await
    }

    /// Copies a file to the target and tells how far it is.
    async fn copy(
        &self,
        cast: &WorkCast,
        file: DiskFile,
        manifest: &mut Manifest,
        figures: &mut Figures,
    ) -> Result<(), WorkError> {
        let copied = self.patiently(cast, || self.copy_once(cast, file)).await?;
        manifest.insert(file, copied.digest);
        figures.bytes = figures.bytes.saturating_add(copied.bytes);
        Ok(())
    }

    /// Passes on what the guest has written since its bases were frozen, and what it writes meanwhile, until little is left or it
    /// gets no less: then it stands still for no more than that.
    async fn pass_on_writes(
        &self,
        cast: &WorkCast,
        copied: &mut Manifest,
        figures: &mut Figures,
    ) -> Result<(), WorkError> {
        let (instance, mut last) = (&cast.subject.instance, u64::MAX);
        loop {
            let alone = self.hypervisor().fence(instance, cast.generation).await?;
            self.hypervisor().freeze_more(instance, LEFT_TO_THE_END).await?;
            drop(alone);
            let (known, before) = (copied.len(), figures.bytes);
            for layer in self.hypervisor().frozen(instance).await? {
                if !copied.contains_key(&layer) {
                    self.copy(cast, layer, copied, figures).await?;
                }
            }
            let sent = figures.bytes.saturating_sub(before);
            if copied.len() == known || sent >= last {
                return Ok(());
            }
            last = sent;
        }
    }

    /// Waits until the target can be reached, while the guest still runs.
    async fn reach_target(&self, cast: &WorkCast) -> Result<(), WorkError> {
        let order = self.order(cast, DiskFile::BASE);
        Ok(self.patiently(cast, || self.transfer().probe(&order)).await?)
    }

    /// Does something again as long as only the link is in the way and patience lasts.
    async fn patiently<T, F>(&self, cast: &WorkCast, once: impl Fn() -> F) -> Result<T, TransferError>
    where
        F: Future<Output = Result<T, TransferError>>,
    {
        let mut pause = COPY_PAUSE;
        let mut left = cast.patience.link();
        loop {
            match once().await {
                Err(error) if error.is_transient() && !left.is_zero() => self.clock.sleep(pause.min(left)).await,
                ended => return ended,
            }
            left = left.saturating_sub(pause);
            pause = (pause * 2).min(COPY_PAUSE_MAX);
        }
    }

    fn order(&self, cast: &WorkCast, file: DiskFile) -> CopyOrder {
        let (instance, peer) = (cast.subject.instance.clone(), cast.subject.target().clone());
        CopyOrder { instance, file, peer, generation: cast.generation, limit: self.bandwidth }
    }

    async fn copy_once(&self, cast: &WorkCast, file: DiskFile) -> Result<Copied, TransferError> {
        let order = self.order(cast, file);
        let (tell, telling) = self.teller(cast, file);
        let copying = async move { self.transfer().copy(&order, &tell).await };
        tokio::join!(copying, telling).0
    }

    /// What a transfer tells its progress to, and what passes it on until the former is dropped.
    fn teller(&self, cast: &WorkCast, file: DiskFile) -> (impl Fn(u64) + Send + Sync, impl Future<Output = ()>) {
        let (sent, mut heard) = mpsc::unbounded_channel();
        let telling = async move {
            while let Some(bytes) = heard.recv().await {
                let (host, migration, generation) = (self.host.clone(), cast.migration, cast.generation);
                self.bus.notify(Notification::Progress { host, migration, generation, file, bytes }).await;
            }
        };
        (move |bytes| _ = sent.send(bytes), telling)
    }
}

/// Whether the conductor hears meanwhile that the effect is under way. Where a start is still to come it does not: the
/// order it then gives again renews the lease that the start needs.
fn says_that_it_lives(work: &Work, effect: Effect) -> bool {
    effect == Effect::Merge || !matches!(work, Work::Build { .. } | Work::RestoreSource { .. })
}

/// How large the disk is to be, where the migration enlarges it. On shared storage it is not the host's to enlarge.
fn disk_size(cast: &WorkCast) -> Option<DiskSize> {
    let (old, new) = (disk_gib(&cast.subject.old)?, disk_gib(&cast.subject.new)?);
    if new <= old || cast.subject.storage.is_some() {
        return None;
    }
    let leads_back = matches!(cast.work, Work::RestoreSource { .. });
    Some(if leads_back { DiskSize::AsBefore } else { DiskSize::AtLeast(new.saturating_mul(GIB)) })
}

/// Whether the order is a migration's first, and it will take room on both hosts.
fn begins(cast: &WorkCast) -> bool {
    cast.work == Work::Snapshot && cast.subject.copies_disk()
}

/// A host that cannot be looked at when a migration begins ends one of which nothing was done.
fn before_anything(cast: &WorkCast, error: WorkError) -> WorkError {
    if cast.work == Work::Snapshot { error.before_anything() } else { error }
}

/// What to report, with what was copied in it.
fn with_copied(report: Report, copied: Manifest) -> Report {
    match report {
        Report::BaseCopied { .. } => Report::BaseCopied { copied },
        Report::RestCopied { .. } => Report::RestCopied { copied },
        other => other,
    }
}

#[cfg(test)]
mod tests;
