//! The calls a command makes: carrying a plan out, being killed, deciding, and every refusal.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::rig::{LINES, Line, fleet, plan, the_down_is_dead};
use decant_executor::admit::Wait;
use decant_executor::apply::{ApplyError, ApplyJob, ApplyOptions, ApplyReport, ConfirmPolicy, Difference};
use decant_executor::clock::SystemClock;
use decant_executor::hypervisor::AdoptError;
use decant_executor::hypervisor::simulated::{SimulatedOptions, Simulation};
use decant_executor::{Progress, ProgressSink, apply, decide, import, list, show};
use decant_schema::fleet::{Fleet, InstanceState};
use decant_schema::id::MoveId;
use decant_schema::migration::{Awaits, MigrationId, MigrationOutcome, Wish};
use decant_schema::plan::{MoveMode, Plan};
use decant_schema::store::{Store, StoreError};
use tokio::sync::Notify;

const AT_ONCE: ConfirmPolicy = ConfirmPolicy::Auto { after: Duration::ZERO };
const NEVER: ConfirmPolicy = ConfirmPolicy::Auto { after: Duration::from_secs(3600) };

struct Site {
    folder: tempfile::TempDir,
    simulation: Simulation,
}

impl Site {
    fn new() -> Self {
        let simulation = Simulation::new(&fleet(), Arc::new(SystemClock), SimulatedOptions::default());
        Self { folder: tempfile::tempdir().unwrap(), simulation }
    }

    fn store(&self) -> PathBuf {
        self.folder.path().join("store.db")
    }

    async fn apply(
        &self,
        plan: &Plan,
        fleet: Option<&Fleet>,
        confirm: ConfirmPolicy,
        progress: ProgressSink,
    ) -> Result<ApplyReport, ApplyError> {
        let options = ApplyOptions { confirm, ..ApplyOptions::default() };
        let (store, drivers) = (self.store(), self.simulation.drivers());
        if plan.moves.iter().any(|line| line.mode == MoveMode::Rebuild) {
            Store::open(&store).await.unwrap().declare_dead(&the_down_is_dead()).await.unwrap();
        }
        apply(ApplyJob { plan, moves: None, fleet, judge: &nothing_wrong, store: &store, drivers, options, progress })
            .await
    }

    async fn decide(&self, id: MigrationId, wish: Wish) -> Result<Option<MigrationOutcome>, ApplyError> {
        let drivers = self.simulation.drivers();
        let decided = decide(&self.store(), drivers, id, wish, ApplyOptions::default(), nobody()).await;
        decided.map(|migration| migration.state.outcome())
    }

    async fn digest(&self) -> String {
        let document = decant_executor::fleet(&self.store()).await.unwrap();
        Fleet::from_document(document).unwrap().digest()
    }
}

fn nobody() -> ProgressSink {
    Arc::new(|_| {})
}

fn nothing_wrong(_: &Fleet, _: &Plan) -> Vec<String> {
    Vec::new()
}

#[tokio::test]
async fn a_plan_is_carried_out_and_again_it_is_done_already() {
    let site = Site::new();
    let plan = plan(LINES);
    let report = site.apply(&plan, Some(&fleet()), AT_ONCE, nobody()).await.unwrap();
    assert!(report.is_complete(), "{report:#?}");
    let migrations = list(&site.store()).await.unwrap();
    assert_eq!(migrations.len(), LINES.len());
    let again = site.apply(&plan, None, AT_ONCE, nobody()).await.unwrap();
    assert!(again.is_complete());
    assert_eq!(list(&site.store()).await.unwrap(), migrations, "nothing was done twice");
    assert!(site.simulation.world().violations().is_empty());
}

/// Dropping the call takes with it what a kill does: the conductor, the agents and every message.
#[tokio::test]
async fn cut_off_at_any_moment_the_same_call_goes_on() {
    let (plan, known) = (plan(LINES), fleet());
    for moments in (1..).step_by(11) {
        let site = Site::new();
        let (seen, cut) = (AtomicUsize::new(0), Arc::new(Notify::new()));
        let cutter = cut.clone();
        let progress: ProgressSink = Arc::new(move |_| {
            if seen.fetch_add(1, Ordering::Relaxed) + 1 == moments {
                cutter.notify_one();
            }
        });
        let done = tokio::select! {
            biased;
            () = cut.notified() => None,
            report = site.apply(&plan, Some(&known), AT_ONCE, progress) => Some(report.unwrap()),
        };
        let report = site.apply(&plan, None, AT_ONCE, nobody()).await.unwrap();
        assert!(report.is_complete(), "cut off after {moments}: {report:#?}");
        let world = site.simulation.world();
        assert!(world.violations().is_empty(), "cut off after {moments}: {:#?}", world.violations());
        if done.is_some() {
            break;
        }
    }
}

#[tokio::test]
async fn with_a_person_to_confirm_the_rest_waits_and_says_for_whom() {
    let site = Site::new();
    let plan = plan(&LINES[..2]);
    let report = site.apply(&plan, Some(&fleet()), ConfirmPolicy::Manual, nobody()).await.unwrap();
    assert_eq!(report.moves[1].wait, Some(Wait::Confirmation { moves: vec![MoveId(1)] }));
    let first = report.moves[0].migration.as_ref().unwrap().id;
    let aborted = site.decide(first, Wish::Abort).await.unwrap_err();
    assert!(matches!(aborted, ApplyError::NotGranted { wish: Wish::Abort, .. }), "{aborted}");
    assert_eq!(site.decide(first, Wish::Confirm).await.unwrap(), Some(MigrationOutcome::Confirmed));
    let report = site.apply(&plan, None, ConfirmPolicy::Manual, nobody()).await.unwrap();
    let second = report.moves[1].migration.as_ref().unwrap().id;
    assert_eq!(site.decide(first, Wish::Confirm).await.unwrap(), Some(MigrationOutcome::Confirmed), "asked again");
    for _ in 0..2 {
        assert_eq!(site.decide(second, Wish::Revert).await.unwrap(), Some(MigrationOutcome::Reverted));
    }
    let now = site.digest().await;
    site.decide(second, Wish::Confirm).await.unwrap_err();
    assert_eq!(site.digest().await, now);
    let states: Vec<_> = show(&site.store(), second).await.unwrap().journal.into_iter().map(|e| e.state).collect();
    assert_eq!(states.last().map(String::as_str), Some("finished"));
    assert!(site.simulation.world().violations().is_empty());
}

#[tokio::test]
async fn a_revert_brings_the_fleet_back() {
    let site = Site::new();
    let plan = plan(&LINES[..1]);
    let report = site.apply(&plan, Some(&fleet()), ConfirmPolicy::Manual, nobody()).await.unwrap();
    assert_ne!(site.digest().await, fleet().digest());
    site.decide(report.moves[0].migration.as_ref().unwrap().id, Wish::Revert).await.unwrap();
    assert_eq!(site.digest().await, fleet().digest());
}

/// The process that was asked dies with its agents: whoever asks again has to bring it to its end.
#[tokio::test]
async fn a_revert_that_was_interrupted_goes_on_when_it_is_asked_again() {
    for moments in 1..6 {
        let site = Site::new();
        let plan = plan(&LINES[..1]);
        let report = site.apply(&plan, Some(&fleet()), ConfirmPolicy::Manual, nobody()).await.unwrap();
        let id = report.moves[0].migration.as_ref().unwrap().id;
        let (seen, cut) = (AtomicUsize::new(0), Arc::new(Notify::new()));
        let cutter = cut.clone();
        let progress: ProgressSink = Arc::new(move |_| {
            if seen.fetch_add(1, Ordering::Relaxed) + 1 == moments {
                cutter.notify_one();
            }
        });
        let drivers = site.simulation.drivers();
        let store = site.store();
        let over = tokio::select! {
            biased;
            () = cut.notified() => false,
            done = decide(&store, drivers, id, Wish::Revert, ApplyOptions::default(), progress) => done.is_ok(),
        };
        assert_eq!(site.decide(id, Wish::Revert).await.unwrap(), Some(MigrationOutcome::Reverted), "cut at {moments}");
        assert_eq!(site.digest().await, fleet().digest());
        assert_eq!(site.simulation.world().running(&"cold".into()), ["a".into()]);
        if over {
            return;
        }
    }
}

/// An apply that is cut leaves others on their way: a decision about one of them is nobody else's.
#[tokio::test]
async fn a_decision_conducts_its_own_migration_and_leaves_all_others_as_they_are() {
    let site = Site::new();
    let (plan, known, store) = (plan(&[LINES[0], LINES[2]]), fleet(), site.store());
    let cut = Arc::new(Notify::new());
    let cutter = cut.clone();
    // One at a time: the second begins when the first has arrived.
    let progress: ProgressSink = Arc::new(move |progress| {
        if let Progress::Changed { migration } = progress
            && migration.subject.instance.as_str() == "stopped"
        {
            cutter.notify_one();
        }
    });
    let options = ApplyOptions { max_migrations: Some(1), ..ApplyOptions::default() };
    let (drivers, moves, fleet, judge) = (site.simulation.drivers(), None, Some(&known), &nothing_wrong);
    let job = ApplyJob { plan: &plan, moves, fleet, judge, store: &store, drivers, options, progress };
    tokio::select! {
        biased;
        () = cut.notified() => {}
        _ = apply(job) => panic!("it was to be cut off"),
    }
    let before = list(&store).await.unwrap();
    assert!(before[1].state.outcome().is_none(), "{:?}", before[1]);
    let frozen = || site.simulation.world().is_frozen(&"a".into(), &"stopped".into());
    let was_frozen = frozen();
    assert_eq!(site.decide(before[0].id, Wish::Revert).await.unwrap(), Some(MigrationOutcome::Reverted));
    assert_eq!(list(&store).await.unwrap()[1], before[1]);
    assert_eq!(frozen(), was_frozen, "its host has worked on it");
}

/// Another plan moved a member of the same group while the first one waited for a person.
#[tokio::test]
async fn a_resumed_plan_is_judged_again_before_each_start() {
    let site = Site::new();
    let mut document = fleet().document().clone();
    let group = serde_json::json!({ "name": "g", "policy": "anti-affinity", "members": ["suspend", "in-place"] });
    document.server_groups = vec![serde_json::from_value(group).unwrap()];
    let known = Fleet::from_document(document).unwrap();
    let lines: &[Line<'_>] = &[
        ("cold", "a", "b", "cold", None, &[]),
        ("suspend", "a", "c", "suspend", None, &[1]),
        ("stopped", "a", "c", "cold", None, &[2]),
    ];
    let first = Plan { fleet_digest: known.digest(), ..plan(lines) };
    let report = site.apply(&first, Some(&known), ConfirmPolicy::Manual, nobody()).await.unwrap();
    let other = plan(&[("in-place", "b", "c", "cold", None, &[])]);
    let other = Plan { id: uuid::Uuid::from_u128(2), fleet_digest: site.digest().await, ..other };
    assert!(site.apply(&other, None, AT_ONCE, nobody()).await.unwrap().is_complete());
    let arrived = report.moves[0].migration.as_ref().unwrap().id;
    site.decide(arrived, Wish::Confirm).await.unwrap();
    let report = site.apply(&first, None, AT_ONCE, nobody()).await.unwrap();
    let why = "keep the group g apart: c may hold 1 of it and has in-place".to_owned();
    assert_eq!(report.moves[1].wait, Some(Wait::Refused { why }));
    assert_eq!(report.moves[2].wait, Some(Wait::Undone { moves: vec![MoveId(2)] }));
    assert_eq!(report.short(), [MoveId(2), MoveId(3)].into());
    assert_eq!(site.simulation.world().running(&"suspend".into()), ["a".into()]);
}

/// What somebody outside tells of the hosts counts also for a plan that was begun.
#[tokio::test]
async fn a_resumed_plan_uses_no_host_that_was_closed_since() {
    let site = Site::new();
    let lines: &[Line<'_>] = &[LINES[0], ("stopped", "a", "c", "cold", None, &[1])];
    let plan = plan(lines);
    let report = site.apply(&plan, Some(&fleet()), ConfirmPolicy::Manual, nobody()).await.unwrap();
    site.decide(report.moves[0].migration.as_ref().unwrap().id, Wish::Confirm).await.unwrap();
    let mut document = fleet().document().clone();
    document.captured_at = jiff::Timestamp::now();
    document.hosts[2].enabled = false;
    let told = Fleet::from_document(document).unwrap();
    let report = site.apply(&plan, Some(&told), AT_ONCE, nobody()).await.unwrap();
    let why = "use c: it takes no new instances".to_owned();
    assert_eq!(report.moves[1].wait, Some(Wait::Refused { why }));
    let known = decant_executor::fleet(&site.store()).await.unwrap();
    let cold = known.instances.iter().find(|instance| instance.id.as_str() == "cold").unwrap();
    assert_eq!(cold.host.as_str(), "b", "where instances are is the store's to say");
}

/// A store that was restored from a backup, or copied, does not know what its hosts have done since.
#[tokio::test]
async fn of_two_copies_of_a_store_the_second_is_refused_before_it_touches_anything() {
    let site = Site::new();
    let plan = plan(&[LINES[0], LINES[1]]);
    site.apply(&plan, Some(&fleet()), ConfirmPolicy::Manual, nobody()).await.unwrap();
    let copy = site.folder.path().join("copy.db");
    std::fs::copy(site.store(), &copy).unwrap();
    // What was written last is in the log beside it.
    std::fs::copy(site.folder.path().join("store.db-wal"), site.folder.path().join("copy.db-wal")).unwrap();
    let id = list(&site.store()).await.unwrap()[0].id;
    site.decide(id, Wish::Confirm).await.unwrap();
    let before = list(&copy).await.unwrap();
    let drivers = site.simulation.drivers();
    let refused = decide(&copy, drivers, id, Wish::Revert, ApplyOptions::default(), nobody()).await.unwrap_err();
    assert!(matches!(&refused, ApplyError::Host { source: AdoptError::Ahead { .. }, .. }), "{refused}");
    assert_eq!(list(&copy).await.unwrap(), before);
    assert_eq!(site.simulation.world().running(&"cold".into()), ["b".into()]);
    assert!(site.apply(&plan, None, AT_ONCE, nobody()).await.unwrap().is_complete(), "the first goes on");
}

#[tokio::test]
async fn a_running_apply_carries_out_what_another_process_decides() {
    let site = Site::new();
    let plan = plan(&LINES[..1]);
    let arrived = Arc::new(Notify::new());
    let teller = arrived.clone();
    let progress: ProgressSink = Arc::new(move |progress| {
        if let Progress::Changed { migration } = progress
            && matches!(migration.turn(), Awaits::Decision { .. })
        {
            teller.notify_one();
        }
    });
    let deciding = async {
        arrived.notified().await;
        let id = list(&site.store()).await.unwrap()[0].id;
        site.decide(id, Wish::Confirm).await.unwrap()
    };
    let known = fleet();
    let (report, decided) = tokio::join!(site.apply(&plan, Some(&known), NEVER, progress), deciding);
    assert!(report.unwrap().is_complete());
    assert_eq!(decided, Some(MigrationOutcome::Confirmed));
}

#[tokio::test]
async fn a_plan_for_another_fleet_is_refused_with_everything_that_differs() {
    let site = Site::new();
    let mut document = fleet().document().clone();
    document.hosts.retain(|host| host.name.as_str() != "c");
    document.instances.retain(|instance| instance.id.as_str() != "stopped");
    for instance in document.instances.iter_mut().filter(|instance| instance.id.as_str() == "cold") {
        instance.host = "b".into();
    }
    let changed = Fleet::from_document(document).unwrap();
    let refused = site.apply(&plan(LINES), Some(&changed), AT_ONCE, nobody()).await.unwrap_err();
    let ApplyError::Stale { differences } = refused else { panic!("{refused}") };
    let moved = Difference::Moved { instance: "cold".into(), planned: "a".into(), now: "b".into() };
    assert_eq!(differences, [moved, Difference::NoInstance("stopped".into()), Difference::NoHost("c".into())]);
    assert!(list(&site.store()).await.unwrap().is_empty(), "nothing was begun");
}

#[tokio::test]
async fn a_plan_that_was_changed_since_it_was_begun_is_refused() {
    let site = Site::new();
    let begun = plan(&LINES[..1]);
    site.apply(&begun, Some(&fleet()), AT_ONCE, nobody()).await.unwrap();
    let changed = plan(&LINES[..3]);
    let refused = site.apply(&changed, None, AT_ONCE, nobody()).await.unwrap_err();
    assert!(matches!(refused, ApplyError::Store(StoreError::OtherPlan(id)) if id == begun.id), "{refused}");
    assert_eq!(list(&site.store()).await.unwrap().len(), 1, "nothing more was begun");
}

#[tokio::test]
async fn a_plan_that_does_not_hold_is_refused_with_all_that_is_wrong() {
    let site = Site::new();
    let (plan, known, store) = (plan(LINES), fleet(), site.store());
    let wrong = |_: &Fleet, _: &Plan| vec!["too much".to_owned(), "too late".to_owned()];
    let (drivers, options) = (site.simulation.drivers(), ApplyOptions::default());
    let fleet = Some(&known);
    let job = ApplyJob {
        plan: &plan,
        moves: None,
        fleet,
        judge: &wrong,
        store: &store,
        drivers,
        options,
        progress: nobody(),
    };
    let ApplyError::DoesNotHold { violations } = apply(job).await.unwrap_err() else { panic!("it was begun") };
    assert_eq!(violations, ["too much", "too late"]);
    assert!(list(&store).await.unwrap().is_empty(), "nothing was begun");
}

#[tokio::test]
async fn what_waits_for_a_person_is_well_and_what_waits_for_itself_is_not() {
    let chain: &[_] = &[LINES[0], LINES[1], ("stopped", "a", "c", "cold", None, &[2])];
    let report = Site::new().apply(&plan(chain), Some(&fleet()), ConfirmPolicy::Manual, nobody()).await.unwrap();
    assert_eq!(report.short(), [].into(), "{report:#?}");
    let circle: &[_] =
        &[LINES[0], ("suspend", "a", "b", "suspend", None, &[3]), ("stopped", "a", "c", "cold", None, &[2])];
    let report = Site::new().apply(&plan(circle), Some(&fleet()), AT_ONCE, nobody()).await.unwrap();
    assert_eq!(report.short(), [MoveId(2), MoveId(3)].into(), "{report:#?}");
}

#[tokio::test]
async fn a_part_of_a_plan_is_carried_out_alone_and_the_rest_goes_on_from_there() {
    let site = Site::new();
    let (plan, known, store) = (plan(&LINES[..2]), fleet(), site.store());
    for chosen in [[MoveId(1)], [MoveId(2)]] {
        let options = ApplyOptions { confirm: AT_ONCE, ..ApplyOptions::default() };
        let (drivers, moves, progress) = (site.simulation.drivers(), chosen.into(), nobody());
        let (moves, fleet, judge) = (Some(&moves), Some(&known), &nothing_wrong);
        let job = ApplyJob { plan: &plan, moves, fleet, judge, store: &store, drivers, options, progress };
        let report = apply(job).await.unwrap();
        assert!(report.is_complete(), "{report:#?}");
        assert_eq!(report.moves.iter().map(|line| line.id).collect::<Vec<_>>(), chosen);
        assert_eq!(list(&store).await.unwrap().len(), chosen[0].0 as usize);
    }
}

#[tokio::test]
async fn a_store_is_made_with_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("state/decant/store.db");
    decant_executor::import(&store, &fleet()).await.unwrap();
    assert_eq!(decant_executor::fleet(&store).await.unwrap().instances.len(), fleet().instances().len());
}

#[tokio::test]
async fn a_fleet_told_from_before_the_last_move_does_not_undo_what_the_store_knows() {
    let site = Site::new();
    site.apply(&plan(&LINES[..1]), Some(&fleet()), AT_ONCE, nobody()).await.unwrap();
    let mut second = plan(&LINES[..1]);
    second.id = uuid::Uuid::from_u128(2);
    let refused = site.apply(&second, Some(&fleet()), AT_ONCE, nobody()).await.unwrap_err();
    let ApplyError::Stale { differences } = refused else { panic!("{refused}") };
    assert!(matches!(differences[0], Difference::Moved { .. }), "{differences:?}");
}

#[tokio::test]
async fn a_plan_whose_hosts_cannot_be_reached_is_refused_before_anything_is_begun() {
    let site = Site::new();
    let mut drivers = site.simulation.drivers();
    drivers.retain(|host, _| host.as_str() == "a");
    let (plan, known, store) = (plan(LINES), fleet(), site.store());
    let options = ApplyOptions::default();
    let fleet = Some(&known);
    let job = ApplyJob {
        plan: &plan,
        moves: None,
        fleet,
        judge: &nothing_wrong,
        store: &store,
        drivers,
        options,
        progress: nobody(),
    };
    let refused = apply(job).await.unwrap_err();
    assert!(matches!(&refused, ApplyError::NoDriver { hosts } if hosts.len() == 2), "{refused}");
    assert!(list(&store).await.unwrap().is_empty());
}

#[tokio::test]
async fn instances_that_are_not_as_the_fleet_says_are_named_before_anything_is_begun() {
    let site = Site::new();
    let mut document = fleet().document().clone();
    document.instances.retain(|instance| instance.id.as_str() != "stopped");
    for instance in document.instances.iter_mut().filter(|instance| instance.id.as_str() == "cold") {
        instance.flavor = "large".into();
    }
    for instance in document.instances.iter_mut().filter(|instance| instance.id.as_str() == "suspend") {
        instance.state = InstanceState::Stopped;
    }
    let really = Fleet::from_document(document).unwrap();
    let simulation = Simulation::new(&really, Arc::new(SystemClock), SimulatedOptions::default());
    let (plan, known, store, drivers) = (plan(LINES), fleet(), site.store(), simulation.drivers());
    let options = ApplyOptions::default();
    let (moves, fleet, judge) = (None, Some(&known), &nothing_wrong);
    let job = ApplyJob { plan: &plan, moves, fleet, judge, store: &store, drivers, options, progress: nobody() };
    let refused = apply(job).await.unwrap_err();
    let ApplyError::Unready { moves } = refused else { panic!("{refused}") };
    let said: Vec<_> = moves.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "move 1, cold on a: the instance has 20 MiB and 2 VCPU, though it is on record with 10 MiB and 1 VCPU",
            "move 2, suspend on a: the instance does not run, though it is on record as active; start it, or put it on record as \
             stopped",
            "move 3, stopped on a: the instance is not here"
        ]
    );
    assert!(list(&store).await.unwrap().is_empty());
}

/// What another run left on a host that is not here takes that host's and the target's time for ever.
#[tokio::test]
async fn a_plan_does_not_wait_for_hosts_that_nobody_serves() {
    let site = Site::new();
    let left = plan(&LINES[2..3]);
    let (known, store) = (fleet(), site.store());
    let cut = Arc::new(Notify::new());
    let cutter = cut.clone();
    let begun: ProgressSink = Arc::new(move |_| cutter.notify_one());
    tokio::select! {
        biased;
        () = cut.notified() => {}
        _ = site.apply(&left, Some(&known), AT_ONCE, begun) => panic!("it was to be cut off"),
    }
    let mut second = plan(&[("in-place", "b", "b", "cold", Some("large"), &[])]);
    second.id = uuid::Uuid::from_u128(2);
    let mut drivers = site.simulation.drivers();
    drivers.retain(|host, _| host.as_str() == "b");
    let options = ApplyOptions { max_migrations: Some(1), ..ApplyOptions::default() };
    let (moves, fleet, judge) = (None, None, &nothing_wrong);
    let job = ApplyJob { plan: &second, moves, fleet, judge, store: &store, drivers, options, progress: nobody() };
    let report = tokio::time::timeout(Duration::from_secs(20), apply(job)).await.unwrap().unwrap();
    assert_eq!(report.moves[0].wait, Some(Wait::FleetBusy));
}

#[tokio::test]
async fn a_store_is_conducted_by_one_at_a_time() {
    let site = Site::new();
    import(&site.store(), &fleet()).await.unwrap();
    let lock = std::fs::File::options().write(true).open(site.folder.path().join("store.db.lock")).unwrap();
    lock.lock().unwrap();
    let refused = site.apply(&plan(LINES), None, AT_ONCE, nobody()).await.unwrap_err();
    assert!(matches!(refused, ApplyError::Busy { .. }), "{refused}");
    assert!(list(&site.store()).await.unwrap().is_empty(), "reading always works");
    let another_name = site.folder.path().join("another.db");
    std::os::unix::fs::symlink(site.store(), &another_name).unwrap();
    let refused = import(&another_name, &fleet()).await.unwrap_err();
    assert!(matches!(refused, ApplyError::Busy { .. }), "{refused}");
}

#[tokio::test]
async fn a_store_that_is_not_there_is_not_made_by_looking() {
    let site = Site::new();
    let refused = list(&site.store()).await.unwrap_err();
    assert!(matches!(refused, ApplyError::NoStore { .. }), "{refused}");
    assert!(!site.store().exists());
}
