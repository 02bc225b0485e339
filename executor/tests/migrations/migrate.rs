//! One instance moved without a plan: both ways in, the scheduler's choice, and every refusal.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::rig::{LINES, fleet, plan};
use decant_executor::apply::{ApplyError, ApplyJob, ApplyOptions, ConfirmPolicy, apply};
use decant_executor::clock::SystemClock;
use decant_executor::hypervisor::simulated::{SimulatedOptions, Simulation};
use decant_executor::scheduler::{Choice, MoveRequest, Scheduler};
use decant_executor::{MigrateJob, Migrated, Progress, ProgressSink, WayIn, import, list, migrate, show};
use decant_schema::cast::PrepRefusal;
use decant_schema::fleet::Fleet;
use decant_schema::migration::{Awaits, Migration, MigrationOutcome, Subject};
use decant_schema::plan::MoveMode;
use tokio::sync::Notify;

struct Site {
    folder: tempfile::TempDir,
    simulation: Simulation,
    options: ApplyOptions,
}

impl Site {
    async fn of(fleet: &Fleet) -> Self {
        let simulation = Simulation::new(fleet, Arc::new(SystemClock), SimulatedOptions::default());
        let confirm = ConfirmPolicy::Manual;
        let options = ApplyOptions { confirm, max_migrations_per_host: Some(1), ..ApplyOptions::default() };
        let site = Self { folder: tempfile::tempdir().unwrap(), simulation, options };
        import(&site.store(), fleet).await.unwrap();
        site
    }

    fn store(&self) -> PathBuf {
        self.folder.path().join("store.db")
    }

    async fn ask(&self, request: MoveRequest, way_in: WayIn) -> Result<Migrated, ApplyError> {
        self.watched(request, way_in, Arc::new(|_| {})).await
    }

    async fn watched(
        &self,
        request: MoveRequest,
        way_in: WayIn,
        progress: ProgressSink,
    ) -> Result<Migrated, ApplyError> {
        let (store, drivers, options) = (self.store(), self.simulation.drivers(), self.options);
        let (fleet, scheduler) = (None, to_c());
        migrate(MigrateJob { request, way_in, fleet, scheduler, store: &store, drivers, options, progress }).await
    }

    /// The states a migration went through.
    async fn states(&self, of: &Migration) -> Vec<String> {
        show(&self.store(), of.id).await.unwrap().journal.into_iter().map(|entry| entry.state).collect()
    }
}

/// Chooses `c` where nobody chose, and lets nobody go to `a`.
fn to_c() -> Scheduler {
    Arc::new(|_, request| match request.target.clone().unwrap_or_else(|| "c".into()) {
        target if target.as_str() == "a" => Err(vec!["a is to be emptied".to_owned()]),
        target => Ok(Choice { target, mode: request.mode.unwrap_or(MoveMode::Cold) }),
    })
}

fn moved(instance: &str, target: Option<&str>) -> MoveRequest {
    let (instance, target) = (instance.into(), target.map(Into::into));
    MoveRequest { instance, target, may_stay: false, mode: Some(MoveMode::Cold), flavor: None }
}

fn begun(migrated: Result<Migrated, ApplyError>) -> Migration {
    match migrated.unwrap() {
        Migrated::Begun(migration) => *migration,
        other => panic!("{other:?}"),
    }
}

fn stays(migrated: Result<Migrated, ApplyError>) -> Vec<String> {
    match migrated.unwrap() {
        Migrated::Stays(reasons) => reasons,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn both_ways_in_end_in_the_same_state_by_the_same_steps() {
    let host = WayIn::Host("b".into());
    let ways = [(moved("cold", Some("b")), WayIn::Source), (moved("cold", None), host)];
    let mut seen = Vec::new();
    for (request, way_in) in ways {
        let site = Site::of(&fleet()).await;
        let migration = begun(site.ask(request, way_in).await);
        assert!(matches!(migration.turn(), Awaits::Decision { automatic_at: None }), "{migration:?}");
        assert_eq!(site.simulation.world().running(&"cold".into()), ["b".into()]);
        seen.push((site.states(&migration).await, migration.subject, migration.terms, migration.state));
    }
    assert_eq!(seen[0], seen[1]);
}

#[tokio::test]
async fn without_a_target_the_scheduler_chooses() {
    let mut site = Site::of(&fleet()).await;
    site.options.confirm = ConfirmPolicy::Auto { after: Duration::ZERO };
    let migration = begun(site.ask(moved("cold", None), WayIn::Source).await);
    assert_eq!(migration.state.outcome(), Some(MigrationOutcome::Confirmed));
    let Subject { old, new, .. } = migration.subject;
    assert_eq!((old.host.as_str(), new.host.as_str()), ("a", "c"));
    let again = site.ask(moved("cold", Some("c")), WayIn::Source).await.unwrap();
    assert!(matches!(again, Migrated::Already), "{again:?}");
}

#[tokio::test]
async fn a_resize_is_the_same_request_with_a_flavor() {
    let site = Site::of(&fleet()).await;
    let request = MoveRequest { flavor: Some("large".into()), ..moved("in-place", Some("b")) };
    let migration = begun(site.ask(request, WayIn::Source).await);
    assert!(migration.subject.in_place());
    assert_eq!(migration.subject.new.flavor.as_str(), "large");
}

#[tokio::test]
async fn a_source_that_is_told_without_a_target_says_so() {
    let site = Site::of(&fleet()).await;
    let refused = site.ask(moved("cold", None), WayIn::Host("a".into())).await.unwrap_err();
    let source_host = "a".into();
    assert!(
        matches!(&refused, ApplyError::NotPrepared(reason) if *reason == PrepRefusal::NoTarget { source_host }),
        "{refused}"
    );
    assert!(list(&site.store()).await.unwrap().is_empty());
}

/// The scheduler, the groups and the limits: each is asked whoever was told first.
#[tokio::test]
async fn what_speaks_against_a_move_reaches_the_caller_by_either_way() {
    let mut document = fleet().document().clone();
    let group = serde_json::json!({ "name": "g", "policy": "anti-affinity", "members": ["suspend", "in-place"] });
    document.server_groups = vec![serde_json::from_value(group).unwrap()];
    let site = Site::of(&Fleet::from_document(document).unwrap()).await;
    let b = || WayIn::Host("b".into());
    let apart = ["failed to keep the group g apart: b may hold 1 of it and has in-place"];
    assert_eq!(stays(site.ask(moved("suspend", Some("b")), WayIn::Source).await), apart);
    assert_eq!(stays(site.ask(moved("suspend", None), b()).await), apart);
    let emptied = ["a is to be emptied"];
    assert_eq!(stays(site.ask(moved("in-place", Some("a")), WayIn::Source).await), emptied);
    assert_eq!(stays(site.ask(moved("in-place", None), WayIn::Host("a".into())).await), emptied);
    let crowded = ["waits: a takes part in as many migrations as it may"];
    cut_on_its_way(&site).await;
    assert_eq!(stays(site.ask(moved("cold", Some("b")), WayIn::Source).await), crowded);
    assert_eq!(stays(site.ask(moved("cold", None), b()).await), crowded);
    assert_eq!(list(&site.store()).await.unwrap().len(), 1, "only what was cut");
}

/// A plan whose first migration, from `a`, was cut.
async fn cut_on_its_way(site: &Site) {
    let known = Fleet::from_document(decant_executor::fleet(&site.store()).await.unwrap()).unwrap();
    let plan = decant_schema::plan::Plan { fleet_digest: known.digest(), ..plan(&LINES[2..3]) };
    let (cut, progress) = cutter();
    let (store, drivers, options) = (site.store(), site.simulation.drivers(), site.options);
    let (moves, fleet, judge) = (None, None, &|_: &Fleet, _: &_| Vec::new());
    let job = ApplyJob { plan: &plan, moves, fleet, judge, store: &store, drivers, options, progress };
    tokio::select! {
        biased;
        () = cut.notified() => {}
        _ = apply(job) => panic!("it was to be cut off"),
    }
}

/// Says so at the first thing that happens to a migration.
fn cutter() -> (Arc<Notify>, ProgressSink) {
    let cut = Arc::new(Notify::new());
    let teller = cut.clone();
    let progress: ProgressSink = Arc::new(move |progress| {
        if matches!(progress, Progress::Changed { .. }) {
            teller.notify_one();
        }
    });
    (cut, progress)
}

#[tokio::test]
async fn asked_again_after_a_cut_it_goes_on_with_what_it_began() {
    let site = Site::of(&fleet()).await;
    for way_in in [WayIn::Source, WayIn::Host("b".into())] {
        let (cut, progress) = cutter();
        let instance = if way_in == WayIn::Source { "cold" } else { "stopped" };
        let request = moved(instance, (way_in == WayIn::Source).then_some("b"));
        tokio::select! {
            biased;
            () = cut.notified() => {}
            _ = site.watched(request.clone(), way_in.clone(), progress) => panic!("it was to be cut off"),
        }
        let before = list(&site.store()).await.unwrap();
        let migration = begun(site.ask(request, way_in).await);
        assert_eq!(list(&site.store()).await.unwrap().len(), before.len());
        assert_eq!(before.last().map(|one| one.id), Some(migration.id));
        assert!(matches!(migration.turn(), Awaits::Decision { .. }), "{migration:?}");
    }
    let elsewhere = site.ask(moved("cold", Some("c")), WayIn::Source).await.unwrap_err();
    assert!(elsewhere.to_string().contains("it is in another migration"), "{elsewhere}");
}
