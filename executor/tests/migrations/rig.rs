//! A fleet of simulated hosts, a conductor and agents that are driven one message at a time, by a seed.
//!
//! Nothing runs by itself here: the rig picks the next message, lets its receiver act to the end, looks whether anything
//! has happened that must not, and moves the clock only when there is nothing left to deliver. A *process* is what a
//! kill takes with it: conductor, agents and all messages under way.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use decant_executor::HostDriver;
use decant_executor::admit::{AdmitLimits, admit};
use decant_executor::agent::Agent;
use decant_executor::bus::{Bus, FaultRates, FaultyBus, InProcessBus};
use decant_executor::clock::{Clock, ManualClock};
use decant_executor::conductor::{Conductor, CreateError};
use decant_executor::hypervisor::GuestSize;
use decant_executor::hypervisor::simulated::{SimulatedOptions, Simulation};
use decant_schema::cast::{Cast, Notification};
use decant_schema::fleet::{Fleet, Instance, InstanceState, Resources};
use decant_schema::id::{HostName, InstanceId, MoveId};
use decant_schema::migration::{Awaits, Confirm, Death, DeathProof, Migration, MigrationState, Patience, Terms};
use decant_schema::plan::Plan;
use decant_schema::store::{Store, StoreError};
use jiff::Timestamp;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};

/// More rounds than any run needs: one that is not over by then never ends.
const ROUNDS_MAX: usize = 20_000;

pub(crate) const LEASE: Duration = Duration::from_secs(1);

/// Everything confirms itself after a while.
pub(crate) const AUTOMATIC: Terms = Terms { lease_ms: 1000, confirm_after_ms: Some(3000), patience: Patience::USUAL };

/// Nothing confirms itself.
pub(crate) const MANUAL: Terms = Terms { lease_ms: 1000, confirm_after_ms: None, patience: Patience::USUAL };

/// Each kind of instance there is, all on `a`, but one on `b` and one on a host that is down.
pub(crate) fn fleet() -> Fleet {
    let host = |name: &str| {
        json!({ "name": name, "up": name != "down", "storage": ["pool"],
                "inventory": { "MEMORY_MB": { "total": 200 }, "VCPU": { "total": 100 }, "DISK_GB": { "total": 100 } } })
    };
    let instance = |id: &str, host: &str| json!({ "id": id, "host": host, "flavor": "small", "local_disk_mb": 8 });
    let with = |mut instance: Value, field: &str, value: Value| {
        instance[field] = value;
        instance
    };
    let document = json!({
        "format": "decant.fleet/1", "captured_at": "2026-11-22T20:00:00Z",
        "hosts": [host("a"), host("b"), host("c"), host("down")],
        "flavors": [ { "name": "small", "resources": { "MEMORY_MB": 10, "VCPU": 1, "DISK_GB": 2 } },
                     { "name": "flat", "resources": { "MEMORY_MB": 20, "VCPU": 2, "DISK_GB": 1 } },
                     { "name": "tall", "resources": { "MEMORY_MB": 10, "VCPU": 1, "DISK_GB": 4 } },
                     { "name": "large", "resources": { "MEMORY_MB": 20, "VCPU": 2, "DISK_GB": 4 } } ],
        "instances": [
            instance("cold", "a"),
            instance("suspend", "a"),
            instance("live", "a"),
            with(instance("stopped", "a"), "state", json!("stopped")),
            with(instance("shared", "a"), "storage", json!("pool")),
            with(instance("shared-suspend", "a"), "storage", json!("pool")),
            instance("in-place", "b"),
            with(instance("orphan", "down"), "storage", json!("pool"))
        ]
    });
    Fleet::from_document(serde_json::from_value(document).unwrap()).unwrap()
}

/// One line of a plan: instance, from, to, mode, new flavor, after.
pub(crate) type Line<'a> = (&'a str, &'a str, &'a str, &'a str, Option<&'a str>, &'a [u32]);

/// Every mode, a resize with and without a move, an instance that moves twice, a rebuild, and some order.
pub(crate) const LINES: &[Line<'static>] = &[
    ("cold", "a", "b", "cold", None, &[]),
    ("suspend", "a", "b", "suspend", None, &[1]),
    ("stopped", "a", "c", "cold", None, &[]),
    ("shared", "a", "c", "cold", Some("large"), &[]),
    ("live", "a", "b", "live", None, &[]),
    ("in-place", "b", "b", "cold", Some("large"), &[]),
    ("cold", "b", "c", "cold", None, &[1]),
    ("shared-suspend", "a", "c", "suspend", None, &[3]),
    ("orphan", "down", "b", "rebuild", None, &[]),
];

pub(crate) fn plan(lines: &[Line<'_>]) -> Plan {
    let moves: Vec<Value> = (1..)
        .zip(lines)
        .map(|(id, (instance, source, target, mode, flavor, after))| {
            json!({ "id": id, "instance": instance, "source": source, "target": target, "mode": mode, "flavor": flavor,
                    "why": "evacuate", "after": after, "transfer_mb": 8, "start_s": 0.0, "end_s": 1.0 })
        })
        .collect();
    let plan = json!({
        "format": "decant.plan/1", "id": "01900000-0000-7000-8000-000000000001", "created_at": "2026-11-22T20:00:00Z",
        "fleet_digest": fleet().digest(), "request": { "kind": "evacuate", "hosts": ["a"] }, "outcome": "complete",
        "proof": { "status": "optimal", "stopped_by": null, "seconds": 0.0, "tiers": [] },
        "moves": moves, "refusals": [], "hosts": []
    });
    serde_json::from_value(plan).unwrap()
}

/// What lets the orphan be rebuilt.
pub(crate) fn the_down_is_dead() -> Death {
    let declared_at = "2026-11-22T20:00:00Z".parse().unwrap();
    Death { host: "down".into(), proof: DeathProof::Word { by: "Ada".to_owned() }, declared_at }
}

/// What outlives a process: the store, the hosts, the clock.
pub(crate) struct Rig {
    pub(crate) store: Store,
    pub(crate) simulation: Simulation,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) plan: Plan,
    pub(crate) terms: Terms,
    /// Whether the test itself removed a copy: then the record may name a host that cannot run it.
    pub(crate) lost: bool,
    random: ChaCha8Rng,
    seed: u64,
}

/// What a kill takes with it.
pub(crate) struct Process {
    pub(crate) conductor: Conductor,
    pub(crate) agents: BTreeMap<HostName, Agent>,
    pub(crate) inner: Arc<InProcessBus>,
    pub(crate) bus: Arc<dyn Bus>,
}

impl Rig {
    pub(crate) async fn new(lines: &[Line<'_>], terms: Terms, seed: u64) -> Self {
        let start: Timestamp = "2026-11-22T20:00:00Z".parse().unwrap();
        let clock = Arc::new(ManualClock::new(start));
        let store = Store::in_memory().await.unwrap();
        store.import_fleet(&fleet()).await.unwrap();
        store.declare_dead(&the_down_is_dead()).await.unwrap();
        let plan = plan(lines);
        store.begin_plan(&plan, start).await.unwrap();
        let simulation = Simulation::new(&fleet(), clock.clone(), SimulatedOptions::default());
        Self { store, simulation, clock, plan, terms, lost: false, random: ChaCha8Rng::seed_from_u64(seed), seed }
    }

    /// A process with these faults, that is killed after so many writes to the store.
    pub(crate) fn process(&self, rates: FaultRates, fail: f64, writes_max: Option<u64>) -> Process {
        let hosts = SimulatedOptions { seed: self.seed, fail, ..SimulatedOptions::default() };
        self.process_on(hosts, rates, writes_max)
    }

    /// A process that is killed when a host's call with this number has had its effect.
    pub(crate) fn killed_at_call(&self, hang_at: u64) -> Process {
        let hosts = SimulatedOptions { hang_at: Some(hang_at), ..SimulatedOptions::default() };
        self.process_on(hosts, FaultRates::default(), None)
    }

    /// A process whose hosts do not reach each other for so long.
    pub(crate) fn cut_off_for(&self, time: Duration) -> Process {
        let back = self.clock.now().checked_add(time).unwrap();
        let hosts = SimulatedOptions { link_back_at: Some(back), ..SimulatedOptions::default() };
        self.process_on(hosts, FaultRates::default(), None)
    }

    fn process_on(&self, hosts: SimulatedOptions, rates: FaultRates, writes_max: Option<u64>) -> Process {
        let inner = Arc::new(InProcessBus::default());
        let bus: Arc<dyn Bus> = Arc::new(FaultyBus::new(inner.clone(), rates, self.seed));
        let written = AtomicU64::new(0);
        let store = self.store.clone().with_write_hook(Arc::new(move || {
            let count = written.fetch_add(1, Ordering::Relaxed) + 1;
            if writes_max.is_some_and(|most| count >= most) { Err(StoreError::Stopped) } else { Ok(()) }
        }));
        let conductor = Conductor::new(store, bus.clone(), self.clock.clone(), Arc::new(|_| {}));
        let agent = |(host, driver): (HostName, HostDriver)| {
            (host.clone(), Agent::new(host, driver, bus.clone(), self.clock.clone(), None))
        };
        let agents = self.simulation.with_options(hosts).drivers().into_iter().map(agent).collect();
        Process { conductor, agents, inner, bus }
    }

    /// Hosts on which the rig's instance is not as the fleet says: changed, or left out.
    pub(crate) fn simulated(&self, keep: impl Fn(&mut Instance) -> bool) -> Simulation {
        let mut document = fleet().document().clone();
        let moved = &self.plan.moves[0].instance;
        document.instances.retain_mut(|instance| instance.id != *moved || keep(instance));
        let really = Fleet::from_document(document).unwrap();
        Simulation::new(&really, self.clock.clone(), SimulatedOptions::default())
    }

    pub(crate) fn sound(&self) -> Process {
        self.process(FaultRates::default(), 0.0, None)
    }

    /// Carries the plan out until nothing more happens by itself; an error is where the process was killed.
    pub(crate) async fn run(&mut self, process: &Process) -> Result<(), StoreError> {
        self.run_until(process, |_| false).await
    }

    /// The same, but returns as soon as a migration is as `stop` says.
    pub(crate) async fn run_until(
        &mut self,
        process: &Process,
        stop: impl Fn(&Migration) -> bool,
    ) -> Result<(), StoreError> {
        for _ in 0..ROUNDS_MAX {
            self.begin_what_may(process).await?;
            if self.store.migrations().await?.iter().any(&stop) {
                return Ok(());
            }
            if !self.deliver_one(process).await? {
                if self.is_over().await? {
                    return Ok(());
                }
                self.clock.advance(LEASE);
                process.conductor.tick().await?;
            }
            self.nothing_bad_has_happened().await;
        }
        panic!("seed {}: a migration never ends: {:#?}", self.seed, self.store.unfinished_migrations().await?);
    }

    pub(crate) async fn migrations(&self) -> BTreeMap<MoveId, Migration> {
        let migrations = self.store.migrations_of(self.plan.id).await.unwrap();
        migrations.into_iter().map(|migration| (migration.line.unwrap().id, migration)).collect()
    }

    async fn begin_what_may(&self, process: &Process) -> Result<(), StoreError> {
        let limits = AdmitLimits { per_host: 2, by_host: BTreeMap::new(), in_fleet: None };
        let migrations = self.migrations().await;
        let migrations = migrations.iter().map(|(id, migration)| (*id, migration)).collect();
        let admission = admit(&self.plan, &migrations, &[], &BTreeMap::new(), &limits);
        for line in self.plan.moves.iter().filter(|line| admission.start.contains(&line.id)) {
            match process.conductor.begin(self.plan.id, line, self.terms).await {
                Ok(_) => {}
                Err(CreateError::Store(error @ StoreError::Stopped)) => return Err(error),
                Err(refused) => panic!("seed {}: move {} was refused: {refused}", self.seed, line.id),
            }
        }
        Ok(())
    }

    /// Lets somebody act on a message; whoever it is, by the seed.
    async fn deliver_one(&mut self, process: &Process) -> Result<bool, StoreError> {
        let mut receivers: Vec<Option<&HostName>> = process.agents.keys().map(Some).chain([None]).collect();
        while !receivers.is_empty() {
            match receivers.swap_remove(self.random.random_range(0..receivers.len())) {
                Some(host) => {
                    if let Some(cast) = process.inner.try_next_cast(host) {
                        // Simulated hosts take no time, so what is not done at once hangs, and is killed there.
                        tokio::select! {
                            biased;
                            () = process.agents[host].handle(cast) => return Ok(true),
                            () = std::future::ready(()) => return Err(StoreError::Stopped),
                        }
                    }
                }
                None => {
                    if let Some(notification) = process.inner.try_next_notification() {
                        process.conductor.hear(notification).await?;
                        return Ok(true);
                    }
                }
            }
        }
        Ok(false)
    }

    async fn is_over(&self) -> Result<bool, StoreError> {
        let unfinished = self.store.unfinished_migrations().await?;
        Ok(unfinished
            .iter()
            .all(|migration| matches!(migration.turn(), Awaits::Repair | Awaits::Decision { automatic_at: None })))
    }

    /// What must hold at every moment.
    pub(crate) async fn nothing_bad_has_happened(&self) {
        let seed = self.seed;
        let document = self.store.fleet().await.unwrap();
        let mut used: BTreeMap<HostName, Resources> = BTreeMap::new();
        for (host, _, amounts) in self.store.claims().await.unwrap() {
            for (class, amount) in amounts {
                *used.entry(host.clone()).or_default().entry(class).or_insert(0) += amount;
            }
        }
        for host in &document.hosts {
            for (class, amount) in used.get(&host.name).into_iter().flatten() {
                assert!(*amount <= host.inventory[class].capacity(), "seed {seed}: {} is over capacity", host.name);
            }
        }
        let world = self.simulation.world();
        assert!(world.violations().is_empty(), "seed {seed}: {:#?}", world.violations());
        for instance in &document.instances {
            let running = world.running(&instance.id);
            assert!(running.len() <= 1, "seed {seed}: {} runs on {running:?}", instance.id);
            let (_, content) = world.writes(&instance.host, &instance.id);
            assert!(content.is_some() || self.lost, "seed {seed}: {} is on record where it cannot run", instance.id);
        }
    }

    /// What must hold once everything is over or waits for a person.
    pub(crate) async fn everything_is_settled(&self) {
        self.nothing_bad_has_happened().await;
        let seed = self.seed;
        let fleet = Fleet::from_document(self.store.fleet().await.unwrap()).unwrap();
        for migration in self.store.unfinished_migrations().await.unwrap() {
            let awaited = MigrationState::VerifyMigration { confirm: Confirm::Awaited { automatic_at: None } };
            assert_eq!(migration.state, awaited, "seed {seed}");
        }
        let moving = self.store.unfinished_migrations().await.unwrap();
        let is_moving = |id: &InstanceId| moving.iter().any(|migration| migration.subject.instance == *id);
        let claims = self.store.claims().await.unwrap();
        for instance in fleet.instances().iter().filter(|instance| !is_moving(&instance.id)) {
            let id = &instance.id;
            let own: Vec<_> = claims.iter().filter(|claim| claim.1 == *id).collect();
            assert_eq!(own.len(), 1, "seed {seed}: {id} holds {own:?}");
            assert_eq!((&own[0].0, &own[0].2), (&instance.host, fleet.claim(instance)), "seed {seed}: {id}");
            let world = self.simulation.world();
            let down = |host: &HostName| !fleet.hosts()[fleet.host_index(host.as_str()).unwrap()].up;
            let mut traces = world.traces(id);
            traces.retain(|host| !down(host) || *host == instance.host);
            assert_eq!(traces, std::slice::from_ref(&instance.host), "seed {seed}: {id} left something behind");
            let runs = instance.state == InstanceState::Active && !down(&instance.host);
            assert_eq!(world.running(id).len(), usize::from(runs), "seed {seed}: power of {id}");
            assert_eq!(
                world.size(&instance.host, id),
                Some(GuestSize::from(fleet.claim(instance))),
                "seed {seed}: {id}"
            );
            let (acknowledged, content) = world.writes(&instance.host, id);
            assert_eq!(content, Some(acknowledged), "seed {seed}: {id} lost writes");
        }
    }

    /// Nothing is different from before the first move: places, sizes, power, claims, disks.
    pub(crate) async fn everything_is_as_before(&self) {
        self.everything_is_settled().await;
        let now = Fleet::from_document(self.store.fleet().await.unwrap()).unwrap();
        assert_eq!(now.digest(), fleet().digest(), "seed {}", self.seed);
        let world = self.simulation.world();
        for instance in now.instances() {
            assert!(!world.is_frozen(&instance.host, &instance.id), "seed {}: {} is frozen", self.seed, instance.id);
        }
    }
}

/// Keeps a cast an agent would have got.
pub(crate) fn intercept(process: &Process, host: &str) -> Option<Cast> {
    process.inner.try_next_cast(&host.into())
}

/// Delivers what an agent said.
pub(crate) async fn hear_all(process: &Process) {
    while let Some(notification) = process.inner.try_next_notification() {
        process.conductor.hear(notification).await.unwrap();
    }
}

/// Whether an agent said something.
pub(crate) fn said(process: &Process) -> Option<Notification> {
    process.inner.try_next_notification()
}
