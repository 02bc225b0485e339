#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use jiff::Timestamp;
use uuid::Uuid;

use super::*;
use crate::fleet::{Fleet, FleetDocument};
use crate::migration::{
    Attributes, Confirm, Death, DeathProof, Generation, Migration, MigrationId, MigrationOutcome, MigrationState,
    Patience, Subject, Terms, Wish,
};
use crate::plan::MoveMode;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn fleet() -> Fleet {
    let document: FleetDocument = serde_json::from_value(serde_json::json!({
        "format": "decant.fleet/1", "captured_at": "2026-11-22T20:00:00Z",
        "hosts": [
            { "name": "a", "inventory": { "MEMORY_MB": { "total": 100 } } },
            { "name": "b", "inventory": { "MEMORY_MB": { "total": 100 } }, "other_usage": { "MEMORY_MB": 30 } }
        ],
        "flavors": [ { "name": "small", "resources": { "MEMORY_MB": 40 } },
                     { "name": "large", "resources": { "MEMORY_MB": 60 } } ],
        "instances": [ { "id": "x", "host": "a", "flavor": "small" }, { "id": "y", "host": "a", "flavor": "small" } ]
    }))
    .unwrap();
    Fleet::from_document(document).unwrap()
}

async fn store() -> Store {
    let store = Store::in_memory().await.unwrap();
    store.import_fleet(&fleet()).await.unwrap();
    store
}

fn attributes(host: &str, flavor: &str, memory: u64) -> Attributes {
    let claim = [("MEMORY_MB".into(), memory)].into();
    Attributes { host: host.into(), flavor: flavor.into(), claim, own_claim: false }
}

fn new(number: u128, instance: &str, new: Attributes) -> NewMigration {
    NewMigration {
        id: MigrationId(Uuid::from_u128(number)),
        line: None,
        subject: Subject {
            instance: instance.into(),
            mode: MoveMode::Cold,
            runs: true,
            storage: None,
            old: attributes("a", "small", 40),
            new,
            begun: Generation(0),
            heartbeat: None,
        },
        terms: Terms { lease_ms: 1000, confirm_after_ms: None, patience: Patience::USUAL },
    }
}

async fn claimed(store: &Store) -> Vec<(String, String, u64)> {
    let claims = store.claims().await.unwrap();
    let flat = |(host, instance, amounts): (HostName, InstanceId, crate::fleet::Resources)| {
        (host.to_string(), instance.to_string(), amounts["MEMORY_MB"])
    };
    claims.into_iter().map(flat).collect()
}

fn row(host: &str, instance: &str, memory: u64) -> (String, String, u64) {
    (host.to_owned(), instance.to_owned(), memory)
}

async fn change(store: &Store, before: &Migration, state: MigrationState) -> Result<Migration, StoreError> {
    let after = Migration { state, generation: before.generation.next(), ..before.clone() };
    store.change_migration(before, &after, "test", NOW).await.map(|()| after)
}

#[tokio::test]
async fn a_fleet_comes_back_as_it_went_in() {
    let store = store().await;
    let back = Fleet::from_document(store.fleet().await.unwrap()).unwrap();
    assert_eq!(back.digest(), fleet().digest());
}

#[tokio::test]
async fn room_is_claimed_on_both_ends_and_released_once_it_is_over() {
    let store = store().await;
    let created = store.create_migration(new(1, "x", attributes("b", "small", 40)), NOW).await.unwrap();
    assert_eq!(claimed(&store).await, [row("a", "x", 40), row("a", "y", 40), row("b", "x", 40)]);
    let verify = MigrationState::VerifyMigration { confirm: Confirm::Given };
    let arrived = change(&store, &created, verify).await.unwrap();
    assert_eq!(store.instance(&"x".into()).await.unwrap().unwrap().1, created.subject.new, "the record follows");
    assert_eq!(claimed(&store).await.len(), 3, "until it is finished both ends are held");
    let finished = MigrationState::Finished { outcome: MigrationOutcome::Confirmed };
    change(&store, &arrived, finished).await.unwrap();
    assert_eq!(claimed(&store).await, [row("a", "y", 40), row("b", "x", 40)]);
}

#[tokio::test]
async fn what_is_over_releases_nothing_twice() {
    let store = store().await;
    let created = store.create_migration(new(1, "x", attributes("b", "small", 40)), NOW).await.unwrap();
    let finished = MigrationState::Finished { outcome: MigrationOutcome::Failed };
    let over = change(&store, &created, finished).await.unwrap();
    store.create_migration(new(2, "x", attributes("b", "small", 40)), NOW).await.unwrap();
    store.change_migration(&over, &over, "test", NOW).await.unwrap();
    assert_eq!(claimed(&store).await, [row("a", "x", 40), row("a", "y", 40), row("b", "x", 40)]);
}

#[tokio::test]
async fn a_migration_that_failed_leaves_no_trace_but_its_record() {
    let store = store().await;
    let created = store.create_migration(new(1, "x", attributes("b", "large", 60)), NOW).await.unwrap();
    let finished = MigrationState::Finished { outcome: MigrationOutcome::Failed };
    change(&store, &created, finished).await.unwrap();
    assert_eq!(claimed(&store).await, [row("a", "x", 40), row("a", "y", 40)]);
    assert_eq!(Fleet::from_document(store.fleet().await.unwrap()).unwrap().digest(), fleet().digest());
}

#[tokio::test]
async fn room_that_is_not_there_is_not_claimed_and_nothing_is_created() {
    let store = store().await;
    store.create_migration(new(1, "x", attributes("b", "small", 40)), NOW).await.unwrap();
    let refused = store.create_migration(new(2, "y", attributes("b", "small", 40)), NOW).await.unwrap_err();
    assert_eq!(refused.to_string(), "claim 40 MEMORY_MB on b: only 30 of it are free");
    assert_eq!(store.migrations().await.unwrap().len(), 1);
    assert_eq!(claimed(&store).await.len(), 3);
}

#[tokio::test]
async fn a_resize_in_place_holds_the_greater_of_old_and_new() {
    let store = store().await;
    let created = store.create_migration(new(1, "x", attributes("a", "large", 60)), NOW).await.unwrap();
    assert_eq!(claimed(&store).await, [row("a", "x", 60), row("a", "y", 40)]);
    let finished = MigrationState::Finished { outcome: MigrationOutcome::Aborted };
    change(&store, &created, finished).await.unwrap();
    assert_eq!(claimed(&store).await, [row("a", "x", 40), row("a", "y", 40)]);
}

#[tokio::test]
async fn an_instance_is_in_one_migration_at_a_time_and_where_the_migration_expects_it() {
    let store = store().await;
    store.create_migration(new(1, "x", attributes("b", "small", 40)), NOW).await.unwrap();
    let twice = store.create_migration(new(2, "x", attributes("b", "small", 40)), NOW).await.unwrap_err();
    assert!(matches!(twice, StoreError::InMigration { .. }), "{twice}");
    let mut elsewhere = new(3, "y", attributes("a", "small", 40));
    elsewhere.subject.old = attributes("b", "small", 40);
    let moved = store.create_migration(elsewhere, NOW).await.unwrap_err();
    assert!(matches!(moved, StoreError::Moved { .. }), "{moved}");
}

#[tokio::test]
async fn of_two_changes_to_one_state_the_second_is_refused() {
    let store = store().await;
    let created = store.create_migration(new(1, "x", attributes("b", "small", 40)), NOW).await.unwrap();
    change(&store, &created, MigrationState::Migrating).await.unwrap();
    let late = change(&store, &created, MigrationState::Migrating).await.unwrap_err();
    assert!(matches!(late, StoreError::Outdated(_)), "{late}");
    let states: Vec<_> = store.journal(created.id).await.unwrap().into_iter().map(|entry| entry.state).collect();
    assert_eq!(states, ["pre-migrating", "migrating"]);
}

#[tokio::test]
async fn generations_of_an_instance_go_on_from_its_last_migration() {
    let store = store().await;
    let first = store.create_migration(new(1, "x", attributes("b", "small", 40)), NOW).await.unwrap();
    let over = MigrationState::Finished { outcome: MigrationOutcome::Failed };
    let over = change(&store, &first, over).await.unwrap();
    // A clock that is far ahead once would put every later order behind what hosts obeyed.
    let ahead: Timestamp = "2099-01-01T00:00:00Z".parse().unwrap();
    let second = store.create_migration(new(2, "x", attributes("b", "small", 40)), ahead).await.unwrap();
    assert_eq!(second.generation, over.generation.next());
    assert_eq!(second.subject.begun, second.generation);
}

#[tokio::test]
async fn another_fleet_is_not_taken_over_while_somebody_moves() {
    let store = store().await;
    store.create_migration(new(1, "x", attributes("b", "small", 40)), NOW).await.unwrap();
    let refused = store.import_fleet(&fleet()).await.unwrap_err();
    assert!(matches!(refused, StoreError::Unfinished { count: 1 }), "{refused}");
}

#[tokio::test]
async fn a_wish_waits_for_an_answer() {
    let store = store().await;
    let created = store.create_migration(new(1, "x", attributes("b", "small", 40)), NOW).await.unwrap();
    let number = store.add_wish(created.id, Wish::Abort).await.unwrap();
    assert_eq!(store.wish_answer(number).await.unwrap(), None);
    let open = store.open_wishes().await.unwrap();
    assert_eq!(open, [WishEntry { number, migration: created.id, wish: Wish::Abort }]);
    store.answer_wish(number, "").await.unwrap();
    assert_eq!(store.wish_answer(number).await.unwrap().as_deref(), Some(""));
    assert!(store.open_wishes().await.unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_many_open_before_there_is_one_is_made_once() {
    for _ in 0..10 {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("store.db");
        let opening: Vec<_> = (0..4)
            .map(|_| {
                let path = path.clone();
                tokio::spawn(async move { Store::open(&path).await.unwrap().identity().await.unwrap() })
            })
            .collect();
        let mut seen = Vec::new();
        for identity in opening {
            seen.push(identity.await.unwrap());
        }
        seen.dedup();
        assert_eq!(seen.len(), 1);
    }
}

#[tokio::test]
async fn a_store_outlives_its_process() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    Store::open(&path).await.unwrap().import_fleet(&fleet()).await.unwrap();
    let identity = Store::open(&path).await.unwrap().identity().await.unwrap();
    let again = Store::open(&path).await.unwrap();
    assert_eq!(again.fleet().await.unwrap().instances.len(), 2);
    assert_eq!(again.identity().await.unwrap(), identity);
    assert_ne!(Store::open(&folder.path().join("other.db")).await.unwrap().identity().await.unwrap(), identity);
}

#[tokio::test]
async fn what_a_killed_process_left_half_made_is_swept_and_the_store_made_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    for left in ["store.db.making", "store.db.making-journal"] {
        std::fs::write(folder.path().join(left), b"half a database").unwrap();
    }
    std::fs::write(&path, b"").unwrap();
    Store::open(&path).await.unwrap().import_fleet(&fleet()).await.unwrap();
    assert!(Store::is_at(&path).await);
    let names = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(names.into_iter().all(|name| !name.to_string_lossy().contains("making")));
}

#[tokio::test]
async fn a_store_that_a_newer_decant_wrote_is_named_as_that() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let store = Store::open(&path).await.unwrap();
    let newer = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
                 VALUES (9000, 'a later change', TRUE, x'00', 0)";
    sqlx::query(newer).execute(&store.pool).await.unwrap();
    let refused = Store::open(&path).await.map(drop).unwrap_err();
    assert!(matches!(refused, StoreError::Newer { written: 9000, known, .. } if known < 9000), "{refused}");
}

#[tokio::test]
async fn what_hosts_obeyed_without_the_store_is_taken_up_and_generations_go_on_from_there() {
    let store = store().await;
    let begun = store.create_migration(new(1, "x", attributes("b", "small", 40)), NOW).await.unwrap();
    let found = |instance: &str, obeyed, host: &str| Found {
        instance: instance.into(),
        obeyed: Generation(obeyed),
        host: host.into(),
    };
    store.take_up(&[found("x", 40, "b"), found("y", 50, "b")], NOW).await.unwrap_or_else(|error| panic!("{error}"));
    let over = store.migration(begun.id).await.unwrap();
    assert_eq!(over.state, MigrationState::Finished { outcome: MigrationOutcome::Confirmed });
    assert_eq!(claimed(&store).await, [row("b", "x", 40), row("b", "y", 40)], "what is there needs no permission");
    let mut back = new(2, "y", attributes("a", "small", 40));
    back.subject.old = attributes("b", "small", 40);
    assert_eq!(store.create_migration(back, NOW).await.unwrap().generation, Generation(51));
}

#[tokio::test]
async fn a_rebuild_needs_a_proof_that_its_host_is_dead_and_keeps_it() {
    let store = store().await;
    let rebuild = || {
        let mut rebuild = new(1, "x", attributes("b", "small", 40));
        rebuild.subject.mode = MoveMode::Rebuild;
        rebuild
    };
    let refused = store.create_migration(rebuild(), NOW).await.unwrap_err();
    assert_eq!(refused.to_string(), "rebuild x: nothing proves that a is dead");
    let death = Death { host: "a".into(), proof: DeathProof::Word { by: "Ada".to_owned() }, declared_at: NOW };
    store.declare_dead(&death).await.unwrap();
    assert!(!store.host(&"a".into()).await.unwrap().unwrap().up);
    assert_eq!(store.create_migration(rebuild(), NOW).await.unwrap().death, Some(death));
    store.record_return(&"a".into()).await.unwrap();
    assert!(store.host(&"a".into()).await.unwrap().unwrap().up);
    assert!(store.deaths().await.unwrap().is_empty());
}
