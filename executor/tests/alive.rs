//! Real guests that do not do as they are told: shut down by their users, deaf to their power buttons, mute.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use decant_executor::discarded::{Kept, Why, discarded, remove};
use decant_executor::hypervisor::{Copy, Discard, Disk, Ending, GuestSize, Hypervisor, HypervisorError};
use decant_executor::lab::ledger::Ledger;
use decant_executor::lab::world::{Lab, LabError};
use decant_executor::scheduler::{Choice, MoveRequest, Scheduler};
use decant_executor::{ApplyError, ApplyOptions, MigrateJob, Migrated, WayIn, decide, import, list, migrate, show};
use decant_schema::fleet::{Fleet, InstanceState};
use decant_schema::id::{HostName, InstanceId};
use decant_schema::migration::{Migration, MigrationOutcome, Patience, Wish};
use decant_schema::plan::MoveMode;
use decant_schema::units::{mbps, mib};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

const SMALL: GuestSize = GuestSize { memory: mib(8), vcpus: 1 };

/// So slow that a base is being copied for seconds.
const SLOW: ApplyOptions = ApplyOptions { bandwidth: Some(mbps(4)), ..USUAL };

const USUAL: ApplyOptions = ApplyOptions {
    confirm: decant_executor::ConfirmPolicy::Manual,
    max_migrations: None,
    max_migrations_per_host: None,
    bandwidth: None,
    lease: Duration::from_secs(30),
    patience: Patience::USUAL,
};

/// Two hosts, one guest that writes, and a store.
struct World {
    lab: Lab,
    ledger: Ledger,
    folder: tempfile::TempDir,
}

impl Drop for World {
    fn drop(&mut self) {
        self.lab.kill_all();
    }
}

fn a() -> HostName {
    "a".into()
}

fn b() -> HostName {
    "b".into()
}

fn vm() -> InstanceId {
    "vm-1".into()
}

/// Takes whatever was asked for.
fn obliging() -> Scheduler {
    Arc::new(|_, request| {
        let target = request.target.clone().ok_or_else(|| vec!["nobody chose".to_owned()])?;
        Ok(Choice { target, mode: request.mode.unwrap_or(MoveMode::Cold) })
    })
}

impl World {
    /// `None`, and a word about it, where the programs for real guests are not installed. The guest runs on `a`.
    async fn make() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let lab = match Lab::open(&folder.path().join("lab"), &["a", "b"]) {
            Ok(lab) => lab,
            Err(error @ LabError::Tool { .. }) => {
                println!("skipped: {error}");
                return None;
            }
            Err(error) => panic!("{error}"),
        };
        let ledger = lab.ledger().unwrap();
        let mut world = Self { lab, ledger, folder };
        let host =
            |name: &str| json!({ "name": name, "inventory": { "MEMORY_MB": { "total": 64 }, "VCPU": { "total": 8 } } });
        let fleet = json!({
            "format": "decant.fleet/1", "captured_at": "2026-11-22T20:00:00Z", "hosts": [host("a"), host("b")],
            "flavors": [{ "name": "small", "resources": { "MEMORY_MB": 8, "VCPU": 1 } }],
            "instances": [{ "id": "vm-1", "host": "a", "flavor": "small", "local_disk_mb": 2 }]
        });
        let fleet = Fleet::from_document(serde_json::from_value(fleet).unwrap()).unwrap();
        import(&world.store(), &fleet).await.unwrap();
        world.lab.install(&a(), &vm(), SMALL, 2 << 20).await.unwrap();
        world.lab.driver(&a()).start(&vm()).await.unwrap();
        world.writes(&a()).await;
        Some(world)
    }

    fn store(&self) -> PathBuf {
        self.folder.path().join("store.db")
    }

    /// Waits until the guest on this host has acknowledged some records more.
    async fn writes(&mut self, host: &HostName) {
        let on_host = |ledger: &Ledger| ledger.acknowledgements(&vm()).iter().filter(|ack| ack.host == *host).count();
        self.ledger.poll().unwrap();
        let wanted = on_host(&self.ledger) + 5;
        for _ in 0..6000 {
            self.ledger.poll().unwrap();
            if on_host(&self.ledger) >= wanted {
                return;
            }
            sleep(Duration::from_millis(10)).await;
        }
        panic!("the guest on {host} does not write: {:?}", self.ledger.entries().last());
    }

    /// Moves the guest to a host, beside whatever else is done meanwhile.
    fn moves(&self, to: &HostName, mode: MoveMode, options: ApplyOptions) -> JoinHandle<Result<Migrated, ApplyError>> {
        let (target, mode, drivers, store) = (Some(to.clone()), Some(mode), self.lab.drivers(), self.store());
        let request = MoveRequest { instance: vm(), target, may_stay: false, mode, flavor: None };
        tokio::spawn(async move {
            let (fleet, scheduler, progress) = (None, obliging(), Arc::new(|_| {}));
            let way_in = WayIn::Source;
            migrate(MigrateJob { request, way_in, fleet, scheduler, store: &store, drivers, options, progress }).await
        })
    }

    /// The same, to its rest.
    async fn moved(&self, to: &HostName, mode: MoveMode, options: ApplyOptions) -> Migration {
        begun(self.moves(to, mode, options).await.unwrap())
    }

    /// Waits until the last migration is in this state.
    async fn reaches(&self, state: &str) {
        // A QEMU that hangs has its time for each answer.
        for _ in 0..30_000 {
            let migrations = list(&self.store()).await.unwrap();
            if migrations.last().is_some_and(|migration| migration.state.name() == state) {
                return;
            }
            sleep(Duration::from_millis(10)).await;
        }
        panic!("the migration is never {state}");
    }

    async fn decides(&self, of: &Migration, wish: Wish) -> Migration {
        decide(&self.store(), self.lab.drivers(), of.id, wish, USUAL, Arc::new(|_| {})).await.unwrap()
    }

    /// The host and the state the instance has on record.
    async fn recorded(&self) -> (HostName, InstanceState) {
        let fleet = decant_executor::fleet(&self.store()).await.unwrap();
        (fleet.instances[0].host.clone(), fleet.instances[0].state)
    }

    /// The guest is down on this host and nowhere else, with every write it saw acknowledged.
    async fn is_down_on(&mut self, host: &HostName) {
        assert_eq!(self.lab.processes(), [], "it was started again");
        let held = self.lab.driver(host).observe(&vm()).await.unwrap().copy;
        assert!(matches!(held, Copy::Stopped(_)), "{held:?}");
        self.ledger.poll().unwrap();
        assert_eq!(self.lab.judge(&self.ledger, host, &vm()).unwrap().findings, []);
    }

    fn signal(&self, signal: Signal) {
        let process = self.lab.processes().into_iter().find(|process| process.instance == vm()).unwrap();
        kill_process(Pid::from_raw(process.id).unwrap(), signal).unwrap();
    }
}

fn begun(migrated: Result<Migrated, ApplyError>) -> Migration {
    match migrated.unwrap() {
        Migrated::Begun(migration) => *migration,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_guest_that_its_user_shuts_down_on_the_way_arrives_and_goes_back_without_being_started() {
    let Some(mut world) = World::make().await else { return };
    let moving = world.moves(&b(), MoveMode::Suspend, SLOW);
    world.reaches("migrating").await;
    world.lab.press_key(&a(), &vm(), "q").await.unwrap();
    let arrived = begun(moving.await.unwrap());
    assert_eq!(arrived.state.name(), "verify-migration", "{arrived:?}");
    assert_eq!(world.recorded().await, (b(), InstanceState::Stopped));
    world.is_down_on(&b()).await;
    let back = world.decides(&arrived, Wish::Revert).await;
    assert_eq!(back.state.outcome(), Some(MigrationOutcome::Reverted), "{back:?}");
    assert_eq!(world.recorded().await, (a(), InstanceState::Stopped));
    world.is_down_on(&a()).await;
}

#[tokio::test]
async fn a_guest_that_its_user_shuts_down_on_the_way_is_not_started_by_an_abort() {
    let Some(mut world) = World::make().await else { return };
    let moving = world.moves(&b(), MoveMode::Cold, SLOW);
    world.reaches("migrating").await;
    world.lab.press_key(&a(), &vm(), "q").await.unwrap();
    while !world.lab.processes().is_empty() {
        sleep(Duration::from_millis(10)).await;
    }
    let migration = list(&world.store()).await.unwrap().pop().unwrap();
    let aborted = world.decides(&migration, Wish::Abort).await;
    begun(moving.await.unwrap());
    assert_eq!(aborted.state.outcome(), Some(MigrationOutcome::Aborted), "{aborted:?}");
    assert_eq!(world.recorded().await, (a(), InstanceState::Stopped));
    world.is_down_on(&a()).await;
}

#[tokio::test]
async fn a_deaf_guest_goes_on_where_no_guest_may_be_cut_off_and_else_the_record_says_that_it_was() {
    let Some(mut world) = World::make().await else { return };
    world.lab.press_key(&a(), &vm(), "d").await.unwrap();
    let patience = |cut_off| Patience { guest_ms: 1000, cut_off, ..Patience::USUAL };
    let never = ApplyOptions { patience: patience(false), ..USUAL };
    let back = world.moved(&b(), MoveMode::Cold, never).await;
    assert_eq!(back.state.outcome(), Some(MigrationOutcome::Failed), "{back:?}");
    let cause = back.cause.as_ref().unwrap().to_string();
    assert!(cause.contains("has not obeyed its power button within 1 s"), "{cause}");
    assert_eq!(back.figures.cut_off_at, None);
    world.writes(&a()).await;
    let if_need_be = ApplyOptions { patience: patience(true), ..USUAL };
    let arrived = world.moved(&b(), MoveMode::Cold, if_need_be).await;
    assert!(arrived.figures.cut_off_at.is_some(), "{arrived:?}");
    let journal = show(&world.store(), arrived.id).await.unwrap().journal;
    assert!(journal.iter().any(|entry| entry.event == "guest-cut-off"), "{journal:?}");
    world.writes(&b()).await;
    world.lab.driver(&b()).shutdown(&vm()).await.unwrap();
    world.is_down_on(&b()).await;
}

#[tokio::test]
async fn how_a_guest_ended_is_told_by_whoever_looks_next() {
    let Some(mut world) = World::make().await else { return };
    let driver = world.lab.driver(&a());
    assert_eq!(driver.shutdown_within(&vm(), Patience::USUAL).await.unwrap(), Ending::Obeyed);
    assert_eq!(driver.shutdown_within(&vm(), Patience::USUAL).await.unwrap(), Ending::Obeyed);
    driver.start(&vm()).await.unwrap();
    world.writes(&a()).await;
    world.signal(Signal::KILL);
    assert_eq!(driver.shutdown_within(&vm(), Patience::USUAL).await.unwrap(), Ending::Unknown);
    driver.start(&vm()).await.unwrap();
    world.writes(&a()).await;
    driver.suspend(&vm()).await.unwrap();
    let held = driver.observe(&vm()).await.unwrap().copy;
    assert!(matches!(held, Copy::Stopped(facts) if facts.ended == Ending::Unknown), "{held:?}");
}

#[tokio::test]
async fn a_stopped_qemu_is_named_as_that_holds_nobody_up_and_can_be_ended() {
    let Some(mut world) = World::make().await else { return };
    let (driver, other) = (world.lab.driver(&a()), InstanceId::new("vm-2"));
    world.lab.install(&a(), &other, SMALL, 0).await.unwrap();
    world.signal(Signal::STOP);
    // Less than a QEMU has for an answer.
    let destroyed = driver.destroy(&other, &Disk::Local, Discard::Everything);
    timeout(Duration::from_secs(15), destroyed).await.expect("a guest that hangs holds another up").unwrap();
    let Err(ApplyError::Unready { moves }) = world.moves(&b(), MoveMode::Cold, USUAL).await.unwrap() else {
        panic!("a move is begun that cannot be made");
    };
    assert!(moves[0].to_string().contains("does not answer"), "{}", moves[0]);
    let Err(HypervisorError::Mute { detail, .. }) = driver.shutdown(&vm()).await else { panic!("it is not mute") };
    assert!(detail.contains("is stopped; let it go on: kill -CONT"), "{detail}");
    assert!(driver.kill(&vm()).await.unwrap());
    assert_eq!(world.lab.processes(), [], "it is said to be gone");
    assert!(!driver.kill(&vm()).await.unwrap(), "nothing is left to end");
    driver.start(&vm()).await.unwrap();
    world.writes(&a()).await;
    driver.shutdown(&vm()).await.unwrap();
    world.is_down_on(&a()).await;
}

#[tokio::test]
async fn a_migration_whose_guest_hangs_says_so_and_goes_on_once_it_is_ended() {
    let Some(mut world) = World::make().await else { return };
    let moving = world.moves(&b(), MoveMode::Cold, SLOW);
    world.reaches("migrating").await;
    world.signal(Signal::STOP);
    world.reaches("reverted").await;
    let migration = list(&world.store()).await.unwrap().pop().unwrap();
    let cause = migration.cause.as_ref().unwrap().to_string();
    assert!(cause.contains("is stopped"), "{cause}");
    assert!(world.lab.driver(&a()).kill(&vm()).await.unwrap());
    let back = begun(moving.await.unwrap());
    assert_eq!(back.state.outcome(), Some(MigrationOutcome::Failed), "{back:?}");
    world.writes(&a()).await;
}

#[tokio::test]
async fn a_guest_whose_folder_is_taken_away_is_named_and_ended_before_it_runs_elsewhere() {
    let Some(mut world) = World::make().await else { return };
    let arrived = world.moved(&b(), MoveMode::Cold, USUAL).await;
    world.writes(&b()).await;
    let there = world.lab.folder(&b()).copy(&vm()).unwrap().path();
    std::fs::rename(&there, world.folder.path().join("away")).unwrap();
    let [stray] = &world.lab.processes()[..] else { panic!("its QEMU is not there any more") };
    let Err(error) = world.lab.driver(&b()).shutdown(&vm()).await else { panic!("it is said to be down") };
    let named = format!("taken away from under process {}", stray.id);
    assert!(error.to_string().contains(&named), "{error}");
    std::fs::create_dir(&there).unwrap();
    let Err(error) = world.lab.driver(&b()).forget_memory(&vm()).await else { panic!("it is said to be down") };
    assert!(error.to_string().contains(&named), "another copy has come where it was: {error}");
    world.decides(&arrived, Wish::Revert).await;
    world.writes(&a()).await;
    let left: Vec<HostName> = world.lab.processes().into_iter().map(|process| process.host).collect();
    assert_eq!(left, [a()], "it runs twice");
}

#[tokio::test]
async fn what_a_revert_put_aside_is_listed_and_removed_unless_it_may_be_needed() {
    let Some(mut world) = World::make().await else { return };
    let arrived = world.moved(&b(), MoveMode::Cold, USUAL).await;
    world.writes(&b()).await;
    world.decides(&arrived, Wish::Revert).await;
    world.writes(&a()).await;
    let hosts = [a(), b()].map(|host| (host.clone(), world.lab.folder(&host))).into();
    let listed = discarded(&hosts).unwrap();
    let [one] = &listed[..] else { panic!("{listed:?}") };
    assert_eq!((&one.host, &one.instance, one.why), (&b(), &vm(), Why::Reverted));
    assert!(one.mib >= 2, "its base alone has more: {one:?}");
    let (drivers, nobody) = (world.lab.drivers(), BTreeSet::new());
    let kept = remove(one, &[vm()].into(), &drivers).await;
    assert!(matches!(kept, Err(Kept::Moving(_))), "{kept:?}");
    world.lab.driver(&a()).shutdown(&vm()).await.unwrap();
    let (there, away) = (world.lab.folder(&a()).copy(&vm()).unwrap().path(), world.folder.path().join("away"));
    std::fs::rename(&there, &away).unwrap();
    let kept = remove(one, &nobody, &drivers).await;
    assert!(matches!(kept, Err(Kept::LastCopy(_))), "{kept:?}");
    std::fs::rename(&away, &there).unwrap();
    assert_eq!(discarded(&hosts).unwrap(), listed, "something of it was removed");
    remove(one, &nobody, &drivers).await.unwrap();
    assert_eq!(discarded(&hosts).unwrap(), []);
}
