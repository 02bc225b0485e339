//! Carries out what [`decide`] says, one effect after the other. Any may be the last before a kill, and all be asked
//! again.

use std::time::Duration;

use decant_schema::cast::{Notification, WorkCast};
use decant_schema::migration::{DiskFile, Figures, Manifest, Report, Work};
use tokio::sync::mpsc;

use super::Agent;
use super::decide::{Effect, Verdict, decide};
use super::lease::Lease;
use crate::causes::in_one_line;
use crate::hypervisor::{Copy, Disk, GuestSpec, Held, Hypervisor, HypervisorError};
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
            // Nothing is known of what the other one does: the order comes again.
            HypervisorError::Busy { .. } => Self::Outdated("another agent is at work on the instance"),
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

/// A snapshot that finds its guest unfit, or its disk of a kind that is not carried, has changed nothing.
fn unless_unfit(error: HypervisorError) -> WorkError {
    let is_unfit = matches!(error, HypervisorError::Unfit { .. } | HypervisorError::Uncarried { .. });
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
            Verdict::Fail(detail) => Err(WorkError::Failed(detail)),
            Verdict::Do(effects, report) => {
                let mut copied = Manifest::new();
                let ran = matches!(found.copy, Copy::Running(_));
                for effect in effects {
                    if ran && matches!(effect, Effect::Shutdown | Effect::Suspend) {
                        figures.stopped_at = Some(self.clock.now());
                    }
                    self.obey(cast, effect, lease, &mut copied, figures).await?;
                    if effect == Effect::Start {
                        figures.started_at = Some(self.clock.now());
                    }
                }
                Ok(with_copied(report, copied))
            }
        }
    }

    /// What is on the host, once the order is known not to be of the past.
    async fn look(&self, cast: &WorkCast) -> Result<Held, WorkError> {
        let instance = &cast.subject.instance;
        drop(self.hypervisor().fence(instance, cast.generation).await?);
        Ok(self.hypervisor().observe(instance).await?)
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
            return self.copy(cast, file, copied, figures).await;
        }
        let _alone = self.hypervisor().fence(&cast.subject.instance, cast.generation).await?;
        if effect.needs_lease() {
            lease.check()?;
        }
        self.have(cast, effect).await
    }

    async fn have(&self, cast: &WorkCast, effect: Effect) -> Result<(), WorkError> {
        let (host, subject) = (self.hypervisor(), &cast.subject);
        let (instance, disk) = (&subject.instance, Disk::of(subject.storage.as_ref()));
        match effect {
            Effect::Freeze(generation) => host.snapshot(instance, generation).await.map_err(unless_unfit)?,
            Effect::Shutdown => host.shutdown(instance).await?,
            Effect::Suspend => host.suspend(instance).await?,
            Effect::ForgetMemory => host.forget_memory(instance).await?,
            Effect::Create(size) => host.create(&GuestSpec { instance: instance.clone(), size, disk }).await?,
            Effect::Start => host.start(instance).await?,
            Effect::Merge => host.merge_back(instance).await?,
            Effect::Destroy(discard) => host.destroy(instance, &disk, discard).await?,
            Effect::Verify => self.verify(cast).await?,
            // It has its own way, which no lock is held on.
            Effect::Copy(_) => {}
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
