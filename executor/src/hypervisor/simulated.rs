//! Hosts that exist in memory only: seeded faults, time by the clock, and a world that can be looked at from outside.
//!
//! All hosts share one [`World`], as real ones share reality. It knows of every copy what its disk contains, and keeps a
//! ledger of what each guest saw acknowledged, so it notices by itself what must never happen: two running copies, a
//! lost write, memory that does not fit the disk, the last complete copy destroyed. Drivers never look at the
//! ledger.

mod files;
mod world;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use decant_schema::fleet::{Fleet, Heartbeat};
use decant_schema::id::{HostName, InstanceId};
use decant_schema::migration::{Digest, DiskFile, Generation, Patience};
use decant_schema::plan::MoveMode;
use jiff::Timestamp;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{
    AdoptError, Discard, Disk, DiskSize, Ending, Fenced, GuestSpec, Health, Held, Hypervisor, HypervisorError,
    Unsupported,
};
use crate::HostDriver;
use crate::clock::Clock;
use crate::driver::Drivers;
use crate::mark::Claimant;
use crate::transfer::{Copied, CopyOrder, ProgressSink, Transfer, TransferError};
pub use world::World;

/// How the simulated hosts behave.
#[derive(Clone, Copy, Debug)]
pub struct SimulatedOptions {
    /// Feeds every fault.
    pub seed: u64,
    /// How often a call fails, from 0 to 1; half of those that do had their effect nevertheless.
    pub fail: f64,
    /// The call with this number, counted over all hosts from 1, has its effect but never returns: what a host is left
    /// with by an agent that is killed in the middle.
    pub hang_at: Option<u64>,
    /// How long a call takes; a copy takes this for each file.
    pub pause: Duration,
    /// Until then no host reaches another.
    pub link_back_at: Option<Timestamp>,
}

impl Default for SimulatedOptions {
    fn default() -> Self {
        Self { seed: 1, fail: 0.0, hang_at: None, pause: Duration::ZERO, link_back_at: None }
    }
}

/// All simulated hosts.
#[derive(Clone)]
pub struct Simulation {
    world: Arc<Mutex<World>>,
    random: Arc<Mutex<ChaCha8Rng>>,
    calls: Arc<AtomicU64>,
    clock: Arc<dyn Clock>,
    options: SimulatedOptions,
}

impl Simulation {
    /// A world in which everything is as the fleet says.
    pub fn new(fleet: &Fleet, clock: Arc<dyn Clock>, options: SimulatedOptions) -> Self {
        let random = ChaCha8Rng::seed_from_u64(options.seed);
        let world = Arc::new(Mutex::new(World::of(fleet)));
        Self { world, random: Arc::new(Mutex::new(random)), calls: Arc::default(), clock, options }
    }

    /// The same world with other behaviour: what a host is after its agent was replaced.
    pub fn with_options(&self, options: SimulatedOptions) -> Self {
        let random = Arc::new(Mutex::new(ChaCha8Rng::seed_from_u64(options.seed)));
        Self { random, calls: Arc::default(), options, ..self.clone() }
    }

    /// The drivers of all hosts.
    pub fn drivers(&self) -> Drivers {
        let hosts = self.world().hosts();
        hosts.into_iter().map(|host| (host.clone(), self.driver(host))).collect()
    }

    fn driver(&self, host: HostName) -> HostDriver {
        let host = Arc::new(SimulatedHost { host, simulation: self.clone() });
        HostDriver { hypervisor: host.clone(), transfer: host }
    }

    /// The world, to be looked at.
    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something to an instance after the guest has written once more, or fails before or after it.
    async fn act<T, E>(
        &self,
        instance: &InstanceId,
        fault: impl Fn() -> E,
        act: impl FnOnce(&mut World) -> Result<T, E>,
    ) -> Result<T, E> {
        if !self.options.pause.is_zero() {
            self.clock.sleep(self.options.pause).await;
        }
        let (fails, with_effect) = {
            let mut random = self.random.lock().unwrap_or_else(PoisonError::into_inner);
            (random.random_bool(self.options.fail), random.random_bool(0.5))
        };
        if fails && !with_effect {
            return Err(fault());
        }
        let done = {
            let mut world = self.world();
            world.guest_writes(instance);
            act(&mut world)
        };
        if self.options.hang_at == Some(self.calls.fetch_add(1, Ordering::Relaxed) + 1) {
            std::future::pending::<()>().await;
        }
        if fails { done.and(Err(fault())) } else { done }
    }
}

/// One simulated host.
struct SimulatedHost {
    host: HostName,
    simulation: Simulation,
}

impl SimulatedHost {
    async fn act<T>(
        &self,
        action: &'static str,
        instance: &InstanceId,
        act: impl FnOnce(&mut World) -> Result<T, HypervisorError>,
    ) -> Result<T, HypervisorError> {
        let detail = || "a simulated fault".to_owned();
        let fault = || HypervisorError::Guest { action, instance: instance.clone(), detail: detail() };
        self.simulation.act(instance, fault, act).await
    }
}

#[async_trait]
impl Hypervisor for SimulatedHost {
    fn supports(&self, _: MoveMode, _: &Disk) -> Result<(), Unsupported> {
        Ok(())
    }

    fn accepts(&self, claimant: &Claimant) -> Result<(), AdoptError> {
        Ok(self.simulation.world().accepts(&self.host, claimant)?)
    }

    async fn adopt(&self, claimant: &Claimant) -> Result<(), AdoptError> {
        Ok(self.simulation.world().adopt(&self.host, claimant)?)
    }

    async fn observe(&self, instance: &InstanceId) -> Result<Held, HypervisorError> {
        Ok(self.simulation.world().observe(&self.host, instance))
    }

    async fn fence(&self, instance: &InstanceId, generation: Generation) -> Result<Fenced, HypervisorError> {
        self.simulation.world().fence(&self.host, instance, generation).map(|()| Fenced::default())
    }

    async fn snapshot(&self, instance: &InstanceId, generation: Generation) -> Result<(), HypervisorError> {
        self.act("freeze the disk of", instance, |world| world.snapshot(&self.host, instance, generation)).await
    }

    async fn shutdown_within(&self, instance: &InstanceId, _: Patience) -> Result<Ending, HypervisorError> {
        self.act("shut down", instance, |world| {
            world.stop(&self.host, instance, false)?;
            Ok(world.ending(&self.host, instance))
        })
        .await
    }

    async fn suspend(&self, instance: &InstanceId) -> Result<(), HypervisorError> {
        self.act("suspend", instance, |world| world.stop(&self.host, instance, true)).await
    }

    async fn create(&self, guest: &GuestSpec) -> Result<(), HypervisorError> {
        self.act("create", &guest.instance, |world| world.create(&self.host, guest)).await
    }

    async fn size_disk(&self, instance: &InstanceId, _: Generation, size: DiskSize) -> Result<(), HypervisorError> {
        self.act("size the disk of", instance, |world| {
            world.size_disk(&self.host, instance, size);
            Ok(())
        })
        .await
    }

    async fn start_marked(&self, instance: &InstanceId, begun: Generation) -> Result<(), HypervisorError> {
        self.act("start", instance, |world| world.start(&self.host, instance, begun)).await
    }

    async fn examine(&self, instance: &InstanceId, _: Option<&Heartbeat>) -> Result<Health, HypervisorError> {
        Ok(self.simulation.world().examine(&self.host, instance))
    }

    async fn forget_memory(&self, instance: &InstanceId) -> Result<(), HypervisorError> {
        self.act("forget the memory of", instance, |world| world.forget_memory(&self.host, instance)).await
    }

    async fn merge_back(&self, instance: &InstanceId) -> Result<(), HypervisorError> {
        self.act("merge the overlay of", instance, |world| world.merge_back(&self.host, instance)).await
    }

    async fn destroy(&self, instance: &InstanceId, disk: &Disk, discard: Discard) -> Result<(), HypervisorError> {
        self.act("destroy", instance, |world| {
            world.destroy(&self.host, instance, disk, discard);
            Ok(())
        })
        .await
    }
}

#[async_trait]
impl Transfer for SimulatedHost {
    async fn copy(&self, order: &CopyOrder, progress: ProgressSink<'_>) -> Result<Copied, TransferError> {
        self.probe(order).await?;
        let detail = || "a simulated fault".to_owned();
        let (instance, file, peer) = (&order.instance, order.file, &order.peer);
        let fault =
            || TransferError::Unreachable { instance: instance.clone(), file, peer: peer.clone(), detail: detail() };
        let copied = self.simulation.act(instance, fault, |world| world.copy_file(&self.host, order)).await?;
        progress(copied.bytes);
        Ok(copied)
    }

    async fn digest(&self, instance: &InstanceId, file: DiskFile) -> Result<Digest, TransferError> {
        self.simulation.world().digest(&self.host, instance, file)
    }

    async fn probe(&self, order: &CopyOrder) -> Result<(), TransferError> {
        if self.simulation.options.link_back_at.is_none_or(|back| self.simulation.clock.now() >= back) {
            return Ok(());
        }
        let CopyOrder { instance, file, peer, .. } = order.clone();
        Err(TransferError::Unreachable { instance, file, peer, detail: "a simulated link that is down".to_owned() })
    }
}
