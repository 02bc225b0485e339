//! A conductor and the agents of all reachable hosts, in this process.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use decant_schema::cast::Cast;
use decant_schema::migration::{Awaits, Migration};
use decant_schema::store::{Incarnation, Store};
use decant_schema::units::Mbps;
use tokio::task::JoinSet;
use tokio::time::{Interval, MissedTickBehavior};

use super::{ApplyError, are_here, death};
use crate::agent::Agent;
use crate::bus::{Bus, InProcessBus};
use crate::clock::{Clock, SystemClock};
use crate::conductor::{Conductor, Gate, Scope};
use crate::driver::Drivers;
use crate::hypervisor::AdoptError;
use crate::layout::make_parent;
use crate::mark::{Claimant, Owner};
use crate::progress::{Progress, ProgressSink};

/// How often leases, windows and other processes' wishes are looked after: soon enough for a person at a terminal.
const POLL: Duration = Duration::from_millis(200);

/// A store that this process alone conducts.
pub(super) struct Held {
    pub(super) store: Store,
    /// Its file.
    path: PathBuf,
    /// Released by the kernel when the process ends, however it ends.
    _lock: File,
}

impl Held {
    /// Begins a life of the store and marks the hosts with it; fails where one is another's, or knows more than the store.
    /// On a host that was dead, stale copies are put aside before anything else.
    pub(super) async fn adopt(&self, drivers: &Drivers) -> Result<(), ApplyError> {
        are_here(drivers)?;
        let (claimant, dead) = (self.begin_life().await?, self.store.deaths().await?);
        for (host, driver) in drivers {
            let adopted = driver.hypervisor.adopt(&claimant).await;
            adopted.map_err(|source| ApplyError::Host { host: host.clone(), source })?;
            if dead.contains_key(host) {
                death::welcome_back(&self.store, host, driver).await?;
            }
        }
        Ok(())
    }

    /// Fails where [`Self::adopt`] would, without beginning a life or marking anything.
    pub(super) async fn is_accepted(&self, drivers: &Drivers) -> Result<(), ApplyError> {
        let claimant = self.claimant(None).await?;
        for (host, driver) in drivers {
            driver.hypervisor.accepts(&claimant).map_err(|source| ApplyError::Host { host: host.clone(), source })?;
        }
        Ok(())
    }

    /// The same, whoever's the hosts were: for a person who says that nobody else uses them.
    pub(super) async fn adopt_from_anybody(&self, drivers: &Drivers) -> Result<(), ApplyError> {
        let claimant = self.begin_life().await?;
        for (host, driver) in drivers {
            let adopted = match driver.hypervisor.adopt(&claimant).await {
                Err(AdoptError::Another { owner } | AdoptError::Ahead { owner }) => {
                    driver.hypervisor.adopt(&Claimant { instead_of: Some(owner), ..claimant.clone() }).await
                }
                adopted => adopted,
            };
            adopted.map_err(|source| ApplyError::Host { host: host.clone(), source })?;
        }
        Ok(())
    }

    async fn begin_life(&self) -> Result<Claimant, ApplyError> {
        let incarnation = self.store.begin_incarnation(SystemClock.now()).await?;
        self.claimant(Some(incarnation)).await
    }

    async fn claimant(&self, incarnation: Option<Incarnation>) -> Result<Claimant, ApplyError> {
        let owner = Owner { identity: self.store.identity().await?, path: self.path.clone(), incarnation };
        Ok(Claimant { owner, history: self.store.incarnations().await?, instead_of: None })
    }
}

/// Opens a store to conduct it, making it and its folder where there is none; fails if another process conducts it.
pub(super) async fn hold(path: &Path) -> Result<Held, ApplyError> {
    let unusable = |source| ApplyError::Lock { path: path.to_owned(), source };
    let path = &make_parent(path).and_then(|()| only_path(path)).map_err(unusable)?;
    let lock_path = lock_path(path);
    let failed = |source| ApplyError::Lock { path: lock_path.clone(), source };
    let lock = File::options().create(true).truncate(false).write(true).open(&lock_path).map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => Ok(Held { store: Store::open(path).await?, path: path.to_owned(), _lock: lock }),
        Err(TryLockError::WouldBlock) => Err(ApplyError::Busy { path: path.to_owned() }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// Opens a store that must be there, to read it or leave a wish.
pub(super) async fn look(path: &Path) -> Result<Store, ApplyError> {
    if !path.exists() {
        return Err(ApplyError::NoStore { path: path.to_owned() });
    }
    if !Store::is_at(path).await {
        return Err(ApplyError::NotAStore { path: path.to_owned() });
    }
    Ok(Store::open(path).await?)
}

/// The one path that leads to a store, whatever names it has: two locks would let two processes conduct it.
fn only_path(path: &Path) -> io::Result<PathBuf> {
    match path.canonicalize() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let name = path.file_name().ok_or(error)?;
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            Ok(folder.canonicalize()?.join(name))
        }
        found => found,
    }
}

fn lock_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    name.into()
}

/// A sink that keeps what changed, too. Nobody else writes migrations while this process conducts, so nothing has to be
/// read again to know how far they are.
fn overheard(progress: ProgressSink, news: Arc<Mutex<Vec<Migration>>>) -> ProgressSink {
    Arc::new(move |happened| {
        if let Progress::Changed { migration } = &happened {
            news.lock().unwrap_or_else(PoisonError::into_inner).push(migration.as_ref().clone());
        }
        progress(happened);
    })
}

/// Whether a migration does nothing more by itself.
pub(super) fn is_at_rest(migration: &Migration) -> bool {
    matches!(migration.turn(), Awaits::Nobody | Awaits::Repair | Awaits::Decision { automatic_at: None })
}

/// A conductor and its agents; they end with it.
pub(super) struct Session {
    pub(super) conductor: Conductor,
    bus: Arc<InProcessBus>,
    news: Arc<Mutex<Vec<Migration>>>,
    /// When the clock is next looked at, however much agents have to say in between.
    looks: Interval,
    _agents: JoinSet<()>,
    _held: Held,
}

impl Session {
    /// A conductor of the migrations within `scope`, with agents for the hosts of `drivers`.
    pub(super) fn open(
        held: Held,
        scope: Scope,
        drivers: Drivers,
        bandwidth: Option<Mbps>,
        progress: ProgressSink,
    ) -> Self {
        let bus = Arc::new(InProcessBus::default());
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let mut agents = JoinSet::new();
        for (host, driver) in drivers {
            let agent = Agent::new(host, driver, bus.clone(), clock.clone(), bandwidth);
            agents.spawn(Arc::new(agent).run());
        }
        let news = Arc::new(Mutex::new(Vec::new()));
        let conductor = Conductor::new(held.store.clone(), bus.clone(), clock, overheard(progress, news.clone()));
        let conductor = conductor.within(scope);
        let mut looks = tokio::time::interval(POLL);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { conductor, bus, news, looks, _agents: agents, _held: held }
    }

    /// The same session with a door for migrations that nobody planned.
    pub(super) fn behind(self, gate: Gate) -> Self {
        Self { conductor: self.conductor.behind(gate), ..self }
    }

    /// Sends a cast to the agent it names.
    pub(super) async fn cast(&self, cast: Cast) {
        self.bus.cast(cast).await;
    }

    /// The migrations that changed since this was last asked, in the order in which they did.
    pub(super) fn news(&self) -> Vec<Migration> {
        std::mem::take(&mut self.news.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn store(&self) -> &Store {
        self.conductor.store()
    }

    /// Takes in what agents have said, or does what time and other processes' wishes bring.
    pub(super) async fn go_on(&mut self) -> Result<(), ApplyError> {
        tokio::select! {
            first = self.bus.next_notification() => {
                let others = std::iter::from_fn(|| self.bus.try_next_notification());
                self.conductor.hear_all(std::iter::once(first).chain(others).collect()).await?;
            }
            _ = self.looks.tick() => {
                self.conductor.grant_wishes().await?;
                self.conductor.tick().await?;
            }
        }
        Ok(())
    }
}
