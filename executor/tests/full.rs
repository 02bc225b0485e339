//! Hosts whose storage is full: a real file system of its own, real guests on it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use decant_executor::apply::{ApplyJob, ApplyOptions, ConfirmPolicy, MoveReport};
use decant_executor::hypervisor::{Copy, Discard, Disk, GuestSize, Hypervisor};
use decant_executor::lab::ledger::Ledger;
use decant_executor::lab::storage::Storage;
use decant_executor::lab::world::{Lab, LabError};
use decant_executor::transfer::{CopyOrder, Transfer, TransferError};
use decant_schema::fleet::Fleet;
use decant_schema::id::{HostName, InstanceId};
use decant_schema::migration::{DiskFile, Generation, MigrationOutcome};
use decant_schema::plan::Plan;
use decant_schema::units::{Mbps, mbps, mib};
use serde_json::json;
use tokio::time::sleep;

const SMALL: GuestSize = GuestSize { memory: mib(8), vcpus: 1 };

/// Host `a`, host `b` on a storage of its own, and what its guests say.
struct World {
    lab: Lab,
    ledger: Ledger,
    storage: Storage,
    _folder: tempfile::TempDir,
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

impl World {
    async fn make(mebibytes: u64) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("lab");
        let storage = match Storage::ext4(&root.join("hosts/b"), &folder.path().join("image"), mebibytes) {
            Ok(storage) => storage,
            Err(error) => {
                println!("skipped: no file system can be mounted here: {error}");
                return None;
            }
        };
        let lab = match Lab::open(&root, &["a", "b"]) {
            Ok(lab) => lab,
            Err(error @ LabError::Tool { .. }) => {
                println!("skipped: {error}");
                return None;
            }
            Err(error) => panic!("{error}"),
        };
        let ledger = lab.ledger().unwrap();
        Some(Self { lab, ledger, storage, _folder: folder })
    }

    async fn copy_base(&self, limit: Option<Mbps>) -> Result<(), TransferError> {
        let order =
            CopyOrder { instance: "vm-1".into(), file: DiskFile::BASE, peer: b(), generation: Generation(1), limit };
        self.lab.transfer(&a()).copy(&order, &|_| ()).await.map(drop)
    }

    fn arrived(&self) -> bool {
        let copy = self.lab.folder(&b()).copy(&"vm-1".into()).unwrap();
        std::fs::read_dir(copy.path()).is_ok_and(|mut files| files.next().is_some())
    }

    /// Waits until the guest has acknowledged more records than this, and says how many.
    async fn writes_beyond(&mut self, instance: &InstanceId, before: usize) -> usize {
        for _ in 0..3000 {
            self.ledger.poll().unwrap();
            let now = self.ledger.acknowledgements(instance).len();
            if now > before {
                return now;
            }
            sleep(Duration::from_millis(10)).await;
        }
        panic!("{instance} does not write: {:?}", self.ledger.entries().last());
    }
}

#[tokio::test]
async fn a_copy_that_has_not_the_room_is_not_begun_and_one_that_loses_it_gives_back_what_it_took() {
    let Some(world) = World::make(256).await else { return };
    world.lab.install(&a(), &"vm-1".into(), SMALL, 60 << 20).await.unwrap();
    world.storage.fill(40).unwrap();
    let Err(TransferError::NoSpace { detail, .. }) = world.copy_base(None).await else { panic!("there is no room") };
    assert!(detail.contains("are kept for the guests there"), "{detail}");
    assert!(!world.arrived());
    // There is room at the beginning, and somebody else takes it meanwhile.
    world.storage.give_back().unwrap();
    let part = world.lab.folder(&b()).copy(&"vm-1".into()).unwrap().join("base.qcow2.part");
    let taking = async {
        while !part.exists() {
            sleep(Duration::from_millis(5)).await;
        }
        world.storage.fill(8).unwrap();
    };
    let (copied, ()) = tokio::join!(world.copy_base(Some(mbps(80))), taking);
    assert!(matches!(copied, Err(TransferError::NoSpace { .. })), "{copied:?}");
    assert!(!world.arrived());
    world.storage.give_back().unwrap();
    world.copy_base(None).await.unwrap();
}

#[tokio::test]
async fn on_a_full_disk_an_order_is_recorded_and_a_bystander_goes_on_once_there_is_room() {
    let Some(mut world) = World::make(256).await else { return };
    let bystander: InstanceId = "vm-2".into();
    world.lab.install(&a(), &"vm-1".into(), SMALL, 60 << 20).await.unwrap();
    world.lab.install(&b(), &bystander, SMALL, 1 << 20).await.unwrap();
    world.copy_base(None).await.unwrap();
    let driver = world.lab.driver(&b());
    driver.start(&bystander).await.unwrap();
    world.writes_beyond(&bystander, 10).await;
    world.storage.fill(0).unwrap();
    // Its log grows over fresh blocks until there are none.
    let halted = halts(&mut world, &bystander).await;
    for generation in [2, 3, 4] {
        drop(driver.fence(&"vm-1".into(), Generation(generation)).await.unwrap());
        assert_eq!(driver.observe(&"vm-1".into()).await.unwrap().fence, Generation(generation));
    }
    driver.destroy(&"vm-1".into(), &Disk::Local, Discard::Everything).await.unwrap();
    assert_eq!(driver.observe(&"vm-1".into()).await.unwrap().copy, Copy::Nothing);
    world.writes_beyond(&bystander, halted).await;
    driver.shutdown(&bystander).await.unwrap();
    assert_eq!(world.lab.judge(&world.ledger, &b(), &bystander).unwrap().findings, []);
}

/// Waits until the full disk has halted the guest, and says how much it had written by then.
async fn halts(world: &mut World, instance: &InstanceId) -> usize {
    for _ in 0..3000 {
        let health = world.lab.driver(&b()).examine(instance, None).await.unwrap();
        if health.guest.is_some_and(|state| state.contains("io-error")) {
            world.ledger.poll().unwrap();
            return world.ledger.acknowledgements(instance).len();
        }
        sleep(Duration::from_millis(100)).await;
    }
    panic!("{instance} goes on writing to a full disk");
}

/// The instance on `a`, and on `b` another that is not moved.
fn fleet() -> Fleet {
    let host =
        |name: &str| json!({ "name": name, "inventory": { "MEMORY_MB": { "total": 64 }, "VCPU": { "total": 4 } } });
    let instance = |id: &str, host: &str| json!({ "id": id, "host": host, "flavor": "small", "local_disk_mb": 60 });
    let document = json!({
        "format": "decant.fleet/1", "captured_at": "2026-11-22T20:00:00Z", "hosts": [host("a"), host("b")],
        "flavors": [{ "name": "small", "resources": { "MEMORY_MB": 8, "VCPU": 1 } }],
        "instances": [instance("vm-1", "a"), instance("vm-2", "b")]
    });
    Fleet::from_document(serde_json::from_value(document).unwrap()).unwrap()
}

impl World {
    /// Moves the instance to `b` by the plan of this number, as `apply` does.
    async fn apply(&self, number: u8, bandwidth: Option<Mbps>) -> MoveReport {
        let plan: Plan = serde_json::from_value(json!({
            "format": "decant.plan/1", "id": format!("01900000-0000-7000-8000-0000000000{number:02}"),
            "created_at": "2026-11-22T20:00:00Z", "fleet_digest": fleet().digest(),
            "request": { "kind": "evacuate", "hosts": ["a"] }, "outcome": "complete",
            "proof": { "status": "optimal", "stopped_by": null, "seconds": 0.0, "tiers": [] },
            "moves": [{ "id": 1, "instance": "vm-1", "source": "a", "target": "b", "mode": "suspend", "flavor": null,
                        "why": "evacuate", "after": [], "transfer_mb": 60, "start_s": 0.0, "end_s": 1.0 }],
            "refusals": [], "hosts": []
        }))
        .unwrap();
        let confirm = ConfirmPolicy::Auto { after: Duration::ZERO };
        let job = ApplyJob {
            plan: &plan,
            moves: None,
            fleet: Some(&fleet()),
            judge: &|_, _| Vec::new(),
            store: &self.lab.root().join("store.db"),
            drivers: self.lab.drivers(),
            options: ApplyOptions { confirm, bandwidth, ..ApplyOptions::default() },
            progress: std::sync::Arc::new(|_| {}),
        };
        decant_executor::apply(job).await.unwrap().moves.remove(0)
    }
}

#[tokio::test]
async fn a_move_to_a_full_host_is_not_begun_one_that_loses_its_room_is_undone_and_the_same_is_made_once_there_is_room()
{
    let Some(mut world) = World::make(256).await else { return };
    let (vm, bystander): (InstanceId, InstanceId) = ("vm-1".into(), "vm-2".into());
    for (host, instance, noise) in [(a(), &vm, 60 << 20), (b(), &bystander, 1 << 20)] {
        world.lab.install(&host, instance, SMALL, noise).await.unwrap();
        world.lab.driver(&host).start(instance).await.unwrap();
        world.writes_beyond(instance, 5).await;
    }
    let stays = async |world: &mut World, refused: &MoveReport| {
        let migration = refused.migration.as_ref().unwrap();
        assert_eq!(migration.state.outcome(), Some(MigrationOutcome::Failed));
        let cause = migration.cause.as_ref().unwrap().to_string();
        assert!(cause.contains("are needed") && cause.contains("are kept for the guests there"), "{cause}");
        assert!(!world.arrived(), "something is left on the target");
        for instance in ["vm-1", "vm-2"].map(InstanceId::from) {
            let before = world.ledger.acknowledgements(&instance).len();
            world.writes_beyond(&instance, before).await;
        }
        let Copy::Running(facts) = world.lab.driver(&a()).observe(&"vm-1".into()).await.unwrap().copy else { panic!() };
        assert!(!facts.frozen, "its disk is still frozen");
    };
    // Room for the base, but not for what the guest will write and for its memory as well.
    world.storage.fill(80).unwrap();
    let refused = world.apply(1, None).await;
    assert_eq!(refused.migration.as_ref().unwrap().figures.bytes, 0, "it was begun");
    stays(&mut world, &refused).await;
    // Room, which somebody else takes once the base is on its way.
    world.storage.give_back().unwrap();
    let part = world.lab.folder(&b()).copy(&vm).unwrap().join("base.qcow2.part");
    let (undone, ()) = tokio::join!(world.apply(2, Some(mbps(80))), async {
        while !part.exists() {
            sleep(Duration::from_millis(5)).await;
        }
        world.storage.fill(8).unwrap();
    });
    stays(&mut world, &undone).await;
    world.storage.give_back().unwrap();
    // Halted by a disk that was full for a while, the other guest goes on with the look before the confirmation.
    world.storage.fill(0).unwrap();
    let halted = halts(&mut world, &bystander).await;
    world.storage.give_back().unwrap();
    let moved = world.apply(3, None).await;
    assert_eq!(moved.outcome(), Some(MigrationOutcome::Confirmed), "{moved:#?}");
    world.writes_beyond(&bystander, halted).await;
    for instance in [&vm, &bystander] {
        let before = world.ledger.acknowledgements(instance).len();
        world.writes_beyond(instance, before).await;
        world.lab.driver(&b()).shutdown(instance).await.unwrap();
        assert_eq!(world.lab.judge(&world.ledger, &b(), instance).unwrap().findings, []);
    }
}
