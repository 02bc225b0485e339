//! The agent of a host: takes casts, does the work, tells the conductor what happened.
//!
//! An agent has no store and remembers nothing it could not find out again: what is to be done is in the cast, what is
//! there it sees by looking, and what follows from both is pure ([`decide::decide`]). Before each single effect it records
//! the cast's generation on its host, and obeys no older one ever after; before it starts or destroys anything the cast's
//! lease must not be over.

pub mod decide;
mod desk;
mod lease;
mod work;

use std::sync::Arc;

use decant_schema::cast::{Cast, Notification, Prep, WorkCast};
use decant_schema::id::HostName;
use decant_schema::migration::{Cause, Overtaken, Report};
use decant_schema::units::Mbps;
use tracing::debug;

use crate::HostDriver;
use crate::bus::Bus;
use crate::clock::Clock;
use crate::step::{Entry, enter};
use desk::Desk;
use lease::Lease;
use work::WorkError;

/// The agent of one host.
pub struct Agent {
    host: HostName,
    driver: HostDriver,
    bus: Arc<dyn Bus>,
    clock: Arc<dyn Clock>,
    bandwidth: Option<Mbps>,
}

impl Agent {
    /// An agent for `host`; `bandwidth` limits each of its transfers.
    pub fn new(
        host: HostName,
        driver: HostDriver,
        bus: Arc<dyn Bus>,
        clock: Arc<dyn Clock>,
        bandwidth: Option<Mbps>,
    ) -> Self {
        Self { host, driver, bus, clock, bandwidth }
    }

    /// Asks for unfinished work, then does what is cast, until it is dropped. Work under way is dropped with it.
    pub async fn run(self: Arc<Self>) {
        self.bus.notify(Notification::Ready { host: self.host.clone() }).await;
        let mut desk = Desk::default();
        loop {
            match self.bus.next_cast(&self.host).await {
                Cast::Prep { prep, .. } => self.prepare(prep).await,
                Cast::Work(cast) => desk.take(&self, *cast).await,
            }
        }
    }

    /// Does what one cast asks, to its end.
    pub async fn handle(&self, cast: Cast) {
        match cast {
            Cast::Prep { prep, .. } => self.prepare(prep).await,
            Cast::Work(cast) => {
                let lease = Lease::new(self.clock.clone(), cast.lease_until);
                self.work(&cast, &lease).await;
            }
        }
    }

    /// Does a work and reports; says nothing where it cannot be told what is done, since it is asked again.
    async fn work(&self, cast: &WorkCast, lease: &Lease) {
        let (done, figures) = self.perform(cast, lease).await;
        let report = match done {
            Ok(report) => report,
            Err(WorkError::Outdated(why)) => return debug!(host = %self.host, work = cast.work.name(), why, "left"),
            Err(WorkError::Overtaken { host, held }) => {
                let host = host.unwrap_or_else(|| self.host.clone());
                Report::Overtaken { by: Overtaken { host, asked: cast.generation, held } }
            }
            Err(WorkError::Failed(detail)) => match self.report_failure(cast, self.cause(cast, detail)).await {
                Some(report) => report,
                None => return debug!(host = %self.host, work = cast.work.name(), "cannot see what is done"),
            },
            Err(WorkError::Left(detail)) => Report::Undecided { cause: self.cause(cast, detail) },
            Err(WorkError::PoweredOff) => Report::PoweredOff,
            Err(WorkError::Refused(detail)) => Report::Refused { cause: self.cause(cast, detail) },
        };
        let (migration, generation) = (cast.migration, cast.generation);
        self.bus.notify(Notification::Report { host: self.host.clone(), migration, generation, report, figures }).await;
    }

    fn cause(&self, cast: &WorkCast, detail: String) -> Cause {
        Cause::Failed { host: self.host.clone(), work: cast.work.clone(), detail }
    }

    /// Both ways into a migration.
    async fn prepare(&self, prep: Prep) {
        match enter(&self.host, &prep) {
            // The conductor knows what the source's turn is.
            Ok(Entry::Begin) => self.bus.notify(Notification::Ready { host: self.host.clone() }).await,
            Ok(Entry::Proxy(chosen)) => {
                let host = self.host.clone();
                self.bus.notify(Notification::Wanted { host, prep: chosen.clone() }).await;
                self.bus.cast(Cast::Prep { to: chosen.source.clone(), prep: chosen }).await;
            }
            Err(reason) => {
                let host = self.host.clone();
                self.bus.notify(Notification::Refused { host, prep, reason }).await;
            }
        }
    }
}
