//! Each work an agent can be asked for. All of them may be asked again after any part of them was done.

use std::time::Duration;

use decant_schema::cast::{Notification, WorkCast};
use decant_schema::migration::{Attributes, DiskFile, Figures, Manifest, Report, Subject, Work};
use tokio::sync::mpsc;

use super::Agent;
use super::lease::Lease;
use crate::causes::in_one_line;
use crate::hypervisor::{Copy, CopyFacts, Discard, Disk, GuestSize, GuestSpec, Hypervisor, HypervisorError};
use crate::transfer::{Copied, CopyOrder, Transfer, TransferError};

/// How often a file is tried before the migration is given up: enough for a link that flaps, not for one that is gone.
const COPY_TRIES: u32 = 4;

/// The pause before the first repetition of a copy; it doubles each time.
const COPY_PAUSE: Duration = Duration::from_millis(500);

/// Why a work has no end to report, or a bad one.
#[derive(Debug)]
pub(super) enum WorkError {
    /// The cast is too old to be obeyed.
    Outdated(&'static str),
    /// It cannot be done.
    Failed(String),
    /// It is not begun, and nothing was changed.
    Refused(String),
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
            HypervisorError::Fenced { .. } => Self::Outdated("a later generation was obeyed"),
            error => Self::Failed(in_one_line(&error)),
        }
    }
}

impl From<TransferError> for WorkError {
    fn from(error: TransferError) -> Self {
        match error {
            TransferError::Fenced { .. } => Self::Outdated("the peer has obeyed a later generation"),
            error => Self::Failed(in_one_line(&error)),
        }
    }
}

/// A snapshot that finds its guest unfit has changed nothing.
fn unless_unfit(error: HypervisorError) -> WorkError {
    let is_unfit = matches!(error, HypervisorError::Unfit { .. });
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
        let subject = &cast.subject;
        self.fence(cast).await?;
        match &cast.work {
            Work::Snapshot => self.snapshot(subject).await,
            Work::CopyBase => self.copy_base(cast, figures).await,
            Work::StopAndCopy => self.stop_and_copy(cast, figures).await,
            Work::Build { manifest } => self.build(subject, manifest, lease, figures).await,
            Work::LookAgain => self.look_again(subject).await,
            Work::DestroySource => self.destroy_source(subject, lease).await,
            Work::CleanTarget { keep_writes } => self.clean_target(subject, *keep_writes, lease).await,
            Work::RestoreSource { memory_fits } => self.restore_source(subject, *memory_fits, lease, figures).await,
        }
    }

    /// A fence that cannot be put up at the very beginning ends a migration of which nothing was done.
    async fn fence(&self, cast: &WorkCast) -> Result<(), WorkError> {
        let fenced = self.hypervisor().fence(&cast.subject.instance, cast.generation).await.map_err(WorkError::from);
        if cast.work == Work::Snapshot { fenced.map_err(WorkError::before_anything) } else { fenced }
    }

    async fn look(&self, subject: &Subject) -> Result<Copy, WorkError> {
        Ok(self.hypervisor().observe(&subject.instance).await?.copy)
    }

    async fn snapshot(&self, subject: &Subject) -> Result<Report, WorkError> {
        let found = self.look(subject).await.map_err(WorkError::before_anything)?;
        // An overlay that an earlier try left here is merged by whatever snapshot comes next.
        found
            .is_as_recorded(GuestSize::from(&subject.old.claim), subject.runs)
            .map_err(|mismatch| WorkError::Refused(format!("{}: {mismatch}", subject.instance)))?;
        if subject.copies_disk() {
            self.hypervisor().snapshot(&subject.instance, subject.begun).await.map_err(unless_unfit)?;
        }
        Ok(Report::Snapshotted)
    }

    async fn copy_base(&self, cast: &WorkCast, figures: &mut Figures) -> Result<Report, WorkError> {
        let mut copied = Manifest::new();
        if cast.subject.copies_disk() {
            self.copy(cast, DiskFile::Base, &mut copied, figures).await?;
        }
        Ok(Report::BaseCopied { copied })
    }

    async fn stop_and_copy(&self, cast: &WorkCast, figures: &mut Figures) -> Result<Report, WorkError> {
        let subject = &cast.subject;
        let mut copied = Manifest::new();
        if matches!(self.look(subject).await?, Copy::Running(_)) {
            figures.stopped_at = Some(self.clock.now());
        }
        let carries_memory = subject.carries_memory() && !subject.in_place();
        if carries_memory {
            self.hypervisor().suspend(&subject.instance).await?;
        } else {
            self.hypervisor().shutdown(&subject.instance).await?;
        }
        if subject.copies_disk() {
            self.copy(cast, DiskFile::Overlay, &mut copied, figures).await?;
        }
        if carries_memory {
            self.copy(cast, DiskFile::Memory, &mut copied, figures).await?;
        }
        Ok(Report::RestCopied { copied })
    }

    async fn build(
        &self,
        subject: &Subject,
        manifest: &Manifest,
        lease: &Lease,
        figures: &mut Figures,
    ) -> Result<Report, WorkError> {
        let spec = spec(subject, &subject.new);
        match self.look(subject).await? {
            // Its process is there, but it may have been left before it executed.
            Copy::Running(facts) if !subject.in_place() || facts.size == spec.size => {
                self.power_on(subject, lease, figures).await?;
                return Ok(Report::Started);
            }
            Copy::Running(_) => self.hypervisor().shutdown(&subject.instance).await?,
            // What was verified once may have been written to since, by the guest itself.
            Copy::Stopped(_) => {}
            Copy::Nothing | Copy::Incoming => self.verify(subject, manifest).await?,
        }
        lease.check()?;
        if !manifest.contains_key(&DiskFile::Memory) {
            // One that lies here was saved with another disk, and would be loaded.
            self.hypervisor().forget_memory(&subject.instance).await?;
        }
        self.hypervisor().create(&spec).await?;
        self.power_on(subject, lease, figures).await?;
        Ok(Report::Started)
    }

    /// Compares what arrived with what was sent.
    async fn verify(&self, subject: &Subject, manifest: &Manifest) -> Result<(), WorkError> {
        for (file, sent) in manifest {
            let arrived = self.transfer().digest(&subject.instance, *file).await?;
            if arrived != *sent {
                return failed(format!("the {file} is not what was sent: {arrived} instead of {sent}"));
            }
        }
        Ok(())
    }

    async fn look_again(&self, subject: &Subject) -> Result<Report, WorkError> {
        match self.look(subject).await? {
            Copy::Running(_) => Ok(Report::StillRuns),
            Copy::Stopped(_) if !subject.runs => Ok(Report::StillRuns),
            Copy::Stopped(_) => failed("it does not run any more; find out why, then confirm or revert"),
            Copy::Nothing | Copy::Incoming => failed("the instance is not here any more; revert, or find it"),
        }
    }

    async fn destroy_source(&self, subject: &Subject, lease: &Lease) -> Result<Report, WorkError> {
        if matches!(self.look(subject).await?, Copy::Running(_)) {
            return failed("the old copy runs, and what runs is not destroyed here; find out who started it");
        }
        lease.check()?;
        let disk = Disk::of(subject.storage.as_ref());
        self.hypervisor().destroy(&subject.instance, &disk, Discard::Everything).await?;
        Ok(Report::SourceDestroyed)
    }

    async fn clean_target(&self, subject: &Subject, keep_writes: bool, lease: &Lease) -> Result<Report, WorkError> {
        // A target that was never told to build has no instance of this migration, whatever instance it has.
        if !keep_writes && matches!(self.look(subject).await?, Copy::Running(_) | Copy::Stopped(_)) {
            return Ok(Report::TargetCleaned);
        }
        lease.check()?;
        let disk = Disk::of(subject.storage.as_ref());
        let discard = if keep_writes { Discard::KeepOverlay } else { Discard::Everything };
        self.hypervisor().destroy(&subject.instance, &disk, discard).await?;
        Ok(Report::TargetCleaned)
    }

    async fn restore_source(
        &self,
        subject: &Subject,
        memory_fits: bool,
        lease: &Lease,
        figures: &mut Figures,
    ) -> Result<Report, WorkError> {
        match self.look(subject).await? {
            Copy::Nothing | Copy::Incoming => return failed("the instance is not here"),
            Copy::Running(facts) if subject.in_place() => self.resize_back(subject, &facts, lease).await?,
            Copy::Running(_) => {}
            Copy::Stopped(facts) => {
                lease.check()?;
                if !memory_fits {
                    self.hypervisor().forget_memory(&subject.instance).await?;
                }
                if subject.in_place() {
                    self.resize_back(subject, &facts, lease).await?;
                }
            }
        }
        self.power_on(subject, lease, figures).await?;
        if subject.copies_disk() {
            self.hypervisor().merge_back(&subject.instance).await?;
        }
        Ok(Report::SourceRestored)
    }

    /// Gives a copy that was resized in place its old size. One that was to move elsewhere never had another here,
    /// whatever is on record.
    async fn resize_back(&self, subject: &Subject, found: &CopyFacts, lease: &Lease) -> Result<(), WorkError> {
        let spec = spec(subject, &subject.old);
        if found.size == spec.size {
            return Ok(());
        }
        lease.check()?;
        self.hypervisor().shutdown(&subject.instance).await?;
        Ok(self.hypervisor().create(&spec).await?)
    }

    /// Starts the instance if it ran before.
    async fn power_on(&self, subject: &Subject, lease: &Lease, figures: &mut Figures) -> Result<(), WorkError> {
        if subject.runs {
            lease.check()?;
            self.hypervisor().start(&subject.instance).await?;
            figures.started_at = Some(self.clock.now());
        }
        Ok(())
    }

    /// Copies a file to the target, again if the link failed, and tells how far it is.
    async fn copy(
        &self,
        cast: &WorkCast,
        file: DiskFile,
        manifest: &mut Manifest,
        figures: &mut Figures,
    ) -> Result<(), WorkError> {
        let mut pause = COPY_PAUSE;
        let mut tries = 1;
        let copied = loop {
            match self.copy_once(cast, file).await {
                Err(error) if error.is_transient() && tries < COPY_TRIES => self.clock.sleep(pause).await,
                ended => break ended?,
            }
            (tries, pause) = (tries + 1, pause * 2);
        };
        manifest.insert(file, copied.digest);
        figures.bytes = figures.bytes.saturating_add(copied.bytes);
        Ok(())
    }

    async fn copy_once(&self, cast: &WorkCast, file: DiskFile) -> Result<Copied, TransferError> {
        let (instance, peer) = (cast.subject.instance.clone(), cast.subject.target().clone());
        let order = CopyOrder { instance, file, peer, generation: cast.generation, limit: self.bandwidth };
        let (sent, mut heard) = mpsc::unbounded_channel();
        let copying = async move {
            let tell = |bytes| _ = sent.send(bytes);
            self.transfer().copy(&order, &tell).await
        };
        let telling = async {
            while let Some(bytes) = heard.recv().await {
                let (host, migration, generation) = (self.host.clone(), cast.migration, cast.generation);
                self.bus.notify(Notification::Progress { host, migration, generation, file, bytes }).await;
            }
        };
        tokio::join!(copying, telling).0
    }
}

fn spec(subject: &Subject, attributes: &Attributes) -> GuestSpec {
    GuestSpec {
        instance: subject.instance.clone(),
        size: GuestSize::from(&attributes.claim),
        disk: Disk::of(subject.storage.as_ref()),
    }
}
