#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Mutex;

use decant_schema::cast::{Prep, PrepRefusal};
use decant_schema::fleet::{Fleet, InstanceState};
use decant_schema::id::MoveId;
use decant_schema::migration::{Cause, Death, DeathProof, DiskFile, Manifest, MigrationOutcome, Patience, Terms, Work};
use decant_schema::plan::{MoveMode, MoveReason};
use serde_json::json;
use uuid::Uuid;

use super::create::Wanted;
use super::*;
use crate::admit::AdmitLimits;
use crate::bus::InProcessBus;
use crate::clock::ManualClock;
use crate::scheduler::{Choice, MoveRequest, Scheduler};

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

const LEASE: Duration = Duration::from_secs(1);

const TERMS: Terms = Terms { lease_ms: 1000, confirm_after_ms: Some(3000), patience: Patience::USUAL };

fn after(time: Duration) -> Timestamp {
    NOW.checked_add(time).unwrap()
}

/// Three hosts, and two instances on the first.
fn fleet() -> Fleet {
    let host = |name: &str| json!({ "name": name, "inventory": { "MEMORY_MB": { "total": 64 } } });
    let instance = |id: &str| json!({ "id": id, "host": "a", "flavor": "small", "local_disk_mb": 8 });
    let document = json!({
        "format": "decant.fleet/1", "captured_at": NOW, "hosts": [host("a"), host("b"), host("c")],
        "flavors": [{ "name": "small", "resources": { "MEMORY_MB": 8 } },
                    { "name": "large", "resources": { "MEMORY_MB": 16 } }],
        "instances": [instance("vm"), instance("other")]
    });
    Fleet::from_document(serde_json::from_value(document).unwrap()).unwrap()
}

fn prep(instance: &str, target: Option<&str>) -> Prep {
    let target = target.map(HostName::from);
    Prep { instance: instance.into(), source: "a".into(), target, mode: MoveMode::Cold, flavor: None }
}

/// A conductor, what it casts and what it tells.
struct Rig {
    conductor: Conductor,
    store: Store,
    bus: Arc<InProcessBus>,
    clock: Arc<ManualClock>,
    told: Arc<Mutex<Vec<Progress>>>,
}

impl Rig {
    async fn new() -> Self {
        let store = Store::in_memory().await.unwrap();
        store.import_fleet(&fleet()).await.unwrap();
        let (bus, clock) = (Arc::new(InProcessBus::default()), Arc::new(ManualClock::new(NOW)));
        let told = Arc::new(Mutex::new(Vec::new()));
        let heard = told.clone();
        let progress = Arc::new(move |progress| heard.lock().unwrap().push(progress));
        let conductor = Conductor::new(store.clone(), bus.clone(), clock.clone(), progress);
        Self { conductor, store, bus, clock, told }
    }

    /// The same with a migration that has begun, whose first cast was taken and nothing told of.
    async fn begun() -> (Self, MigrationId) {
        let rig = Self::new().await;
        let id = rig.begin("vm").await.id;
        assert!(rig.cast_to("a"));
        rig.told();
        (rig, id)
    }

    /// The same with a migration that has arrived and waits for its window.
    async fn arrived() -> (Self, MigrationId) {
        let (rig, id) = Self::begun().await;
        for report in [Report::Snapshotted, BASE_COPIED, REST_COPIED, Report::Started { but: None }] {
            rig.hear(id, report).await;
        }
        while rig.cast_to("a") || rig.cast_to("b") {}
        rig.told();
        (rig, id)
    }

    async fn begin(&self, instance: &str) -> Migration {
        let prep = prep(instance, Some("b"));
        self.conductor.create(&Wanted::of(&prep).unwrap(), None, TERMS).await.unwrap()
    }

    async fn migration(&self, id: MigrationId) -> Migration {
        self.store.migration(id).await.unwrap()
    }

    /// Has the host whose turn it is report, and the figures be these.
    async fn hear_with(&self, id: MigrationId, report: Report, figures: Figures) {
        let before = self.migration(id).await;
        let Awaits::Agent { host, .. } = before.turn() else { panic!("{before:?} is no agent's turn") };
        let (migration, generation) = (id, before.generation);
        self.conductor.hear(Notification::Report { host, migration, generation, report, figures }).await.unwrap();
    }

    async fn hear(&self, id: MigrationId, report: Report) {
        self.hear_with(id, report, Figures::default()).await;
    }

    /// Whether something was cast to a host.
    fn cast_to(&self, host: &str) -> bool {
        self.bus.try_next_cast(&host.into()).is_some()
    }

    /// What was told since, each by its name.
    fn told(&self) -> Vec<&'static str> {
        let name = |progress| match progress {
            Progress::Changed { .. } => "changed",
            Progress::Copying { .. } => "copying",
            Progress::Waiting { .. } => "waiting",
            Progress::Silent { .. } => "silent",
            Progress::Refused { .. } => "refused",
            Progress::NotCreated { .. } => "not created",
        };
        self.told.lock().unwrap().drain(..).map(name).collect()
    }
}

const BASE_COPIED: Report = Report::BaseCopied { copied: Manifest::new() };

const REST_COPIED: Report = Report::RestCopied { copied: Manifest::new() };

fn failed() -> Report {
    Report::Failed { cause: Cause::Failed { host: "a".into(), work: Work::Snapshot, detail: "no".to_owned() } }
}

fn ready(host: &str) -> Notification {
    Notification::Ready { host: host.into() }
}

fn nothing() -> Vec<&'static str> {
    Vec::new()
}

#[tokio::test]
async fn an_agent_that_asks_for_its_work_gets_it_and_nobody_else_does() {
    let (rig, id) = Rig::begun().await;
    let before = rig.migration(id).await;
    rig.conductor.hear(ready("b")).await.unwrap();
    rig.conductor.hear_all(vec![ready("b"), ready("c")]).await.unwrap();
    rig.conductor.hear_all(Vec::new()).await.unwrap();
    assert!(!rig.cast_to("a") && !rig.cast_to("b"));
    rig.conductor.hear(ready("a")).await.unwrap();
    assert!(rig.cast_to("a") && !rig.cast_to("a"));
    rig.conductor.hear_all(vec![ready("a"), ready("b"), ready("a")]).await.unwrap();
    assert!(rig.cast_to("a") && !rig.cast_to("a"), "it is answered once");
    assert_eq!(rig.told(), nothing(), "nobody was silent, and nothing has changed");
    assert_eq!(rig.migration(id).await, before);
}

#[tokio::test]
async fn who_is_silent_until_its_lease_ends_is_told_again() {
    let (rig, id) = Rig::begun().await;
    let before = rig.migration(id).await;
    assert_eq!(before.lease_until, Some(after(LEASE)));
    rig.clock.advance(LEASE / 2);
    rig.conductor.tick().await.unwrap();
    assert!(!rig.cast_to("a"));
    rig.clock.advance(LEASE / 2);
    rig.conductor.tick().await.unwrap();
    assert!(rig.cast_to("a"));
    assert_eq!(rig.told(), ["silent"]);
    assert_eq!(rig.migration(id).await, Migration { lease_until: Some(after(2 * LEASE)), ..before });
}

#[tokio::test]
async fn a_sign_of_life_renews_a_lease_of_which_half_is_over() {
    let (rig, id) = Rig::begun().await;
    let generation = rig.migration(id).await.generation;
    let sign = |host: &str, generation| Notification::AtWork { host: host.into(), migration: id, generation };
    let until = async || rig.migration(id).await.lease_until.unwrap();
    rig.clock.advance(LEASE * 2 / 5);
    rig.conductor.hear(sign("a", generation)).await.unwrap();
    assert_eq!(until().await, after(LEASE), "it is written seldom");
    rig.clock.advance(LEASE / 10);
    for stranger in [sign("b", generation), sign("a", generation.next())] {
        rig.conductor.hear(stranger).await.unwrap();
        assert_eq!(until().await, after(LEASE), "it says nothing of this work");
    }
    rig.conductor.hear(sign("a", generation)).await.unwrap();
    assert_eq!(until().await, after(LEASE * 3 / 2));
    rig.clock.advance(LEASE);
    let (host, migration, file, bytes) = ("a".into(), id, DiskFile::BASE, 1);
    rig.conductor.hear(Notification::Progress { host, migration, generation, file, bytes }).await.unwrap();
    assert_eq!(until().await, after(LEASE * 5 / 2), "whoever copies is alive");
    assert_eq!(rig.told(), ["copying"]);
}

#[tokio::test]
async fn what_has_arrived_is_looked_at_when_its_window_ends_and_not_before() {
    let (rig, id) = Rig::arrived().await;
    rig.clock.advance(3 * LEASE - Duration::from_millis(1));
    rig.conductor.tick().await.unwrap();
    assert_eq!(rig.migration(id).await.turn(), Awaits::Decision { automatic_at: Some(after(3 * LEASE)) });
    rig.clock.advance(Duration::from_millis(1));
    rig.conductor.tick().await.unwrap();
    assert!(rig.cast_to("b"));
    assert_eq!(rig.told(), ["changed"]);
}

#[tokio::test]
async fn a_conductor_of_one_leaves_all_others_as_they_are() {
    for by_id in [true, false] {
        let rig = Rig::new().await;
        let (mine, other) = (rig.begin("vm").await, rig.begin("other").await);
        assert!(rig.cast_to("a") && rig.cast_to("a"));
        let scope = if by_id { Scope::Migration(mine.id) } else { Scope::Instance("vm".into()) };
        let rig = Rig { conductor: rig.conductor.within(scope), ..rig };
        let before = rig.migration(other.id).await;
        let number = rig.store.add_wish(other.id, Wish::Abort).await.unwrap();
        rig.conductor.grant_wishes().await.unwrap();
        rig.clock.advance(LEASE);
        rig.conductor.tick().await.unwrap();
        assert!(rig.cast_to("a") && !rig.cast_to("a"));
        assert_eq!(rig.migration(other.id).await, before);
        assert_eq!(rig.store.wish_answer(number).await.unwrap(), None);
        rig.store.add_wish(mine.id, Wish::Abort).await.unwrap();
        rig.conductor.grant_wishes().await.unwrap();
        assert_eq!(rig.migration(mine.id).await.state.name(), "reverted");
    }
}

#[tokio::test]
async fn each_wish_is_granted_or_answered_with_what_speaks_against_it() {
    let (rig, id) = Rig::begun().await;
    let confirm = rig.store.add_wish(id, Wish::Confirm).await.unwrap();
    let abort = rig.store.add_wish(id, Wish::Abort).await.unwrap();
    rig.conductor.grant_wishes().await.unwrap();
    let refused = rig.store.wish_answer(confirm).await.unwrap().unwrap();
    assert_eq!(refused, "accept confirm in state pre-migrating");
    assert_eq!(rig.store.wish_answer(abort).await.unwrap().as_deref(), Some(""));
    assert_eq!(rig.migration(id).await.state.name(), "reverted");
}

#[tokio::test]
async fn a_failure_that_changes_nothing_is_told_and_kept() {
    let (rig, id) = Rig::arrived().await;
    rig.conductor.wish(id, Wish::Confirm).await.unwrap();
    rig.hear(id, Report::Seen).await;
    while rig.cast_to("a") || rig.cast_to("b") {}
    rig.told();
    rig.clock.advance(LEASE / 2);
    let before = rig.migration(id).await;
    rig.hear(id, failed()).await;
    assert!(!rig.cast_to("a"), "not at once");
    assert_eq!(rig.told(), ["changed"]);
    let Report::Failed { cause } = failed() else { unreachable!() };
    assert_eq!(rig.migration(id).await, Migration { cause: Some(cause.clone()), ..before.clone() });
    rig.clock.advance(LEASE);
    rig.conductor.tick().await.unwrap();
    assert_eq!(rig.migration(id).await.cause, Some(cause), "until something else is known");
}

#[tokio::test]
async fn what_is_over_is_written_no_more() {
    let (rig, id) = Rig::begun().await;
    rig.hear(id, Report::Refused { cause: Cause::Asked { wish: Wish::Abort } }).await;
    let failed = rig.migration(id).await;
    assert_eq!(failed.state.outcome(), Some(MigrationOutcome::Failed));
    rig.told();
    let (rig, id) = Rig::begun().await;
    rig.conductor.wish(id, Wish::Abort).await.unwrap();
    for report in [Report::SourceRestored, Report::TargetCleaned] {
        rig.hear(id, report).await;
    }
    let over = rig.migration(id).await;
    assert_eq!(over.state.outcome(), Some(MigrationOutcome::Aborted));
    let journal = rig.store.journal(id).await.unwrap().len();
    rig.told();
    rig.clock.advance(LEASE);
    assert_eq!(rig.conductor.wish(id, Wish::Abort).await.unwrap(), over, "asked again, it is said to be done");
    assert_eq!(rig.store.journal(id).await.unwrap().len(), journal);
    assert_eq!(rig.told(), nothing());
    assert!(rig.conductor.wish(id, Wish::Confirm).await.is_err());
}

#[tokio::test]
async fn a_new_state_has_its_own_generation_and_time() {
    let (rig, id) = Rig::begun().await;
    let before = rig.migration(id).await;
    rig.clock.advance(LEASE / 2);
    rig.hear(id, Report::Snapshotted).await;
    let migrating = rig.migration(id).await;
    assert_eq!((migrating.generation, migrating.updated_at), (before.generation.next(), after(LEASE / 2)));
    assert_eq!(rig.told(), ["changed"]);
    assert!(rig.cast_to("a"));
    // Its user shuts it down: the state is the same, and who moves is not.
    rig.clock.advance(LEASE / 2);
    rig.hear(id, Report::PoweredOff).await;
    let down = rig.migration(id).await;
    assert_eq!((down.generation, down.updated_at), (migrating.generation.next(), after(LEASE)));
    assert!(!down.subject.runs);
    assert_eq!(rig.told(), ["changed"]);
}

/// The figures of a migration of which these reports tell, each after as long as a lease.
async fn figures(reports: [(Report, Figures); 4]) -> Figures {
    let (rig, id) = Rig::begun().await;
    for (report, figures) in reports {
        rig.clock.advance(LEASE);
        rig.hear_with(id, report, figures).await;
    }
    rig.migration(id).await.figures
}

#[tokio::test]
async fn a_stop_and_a_start_that_nobody_told_of_are_counted_as_early_and_as_late_as_they_can_have_been() {
    let (none, bytes) = (Figures::default(), |bytes| Figures { bytes, ..Figures::default() });
    let untold = figures([
        (Report::Snapshotted, none),
        (BASE_COPIED, bytes(5)),
        (REST_COPIED, bytes(2)),
        (Report::Started { but: None }, none),
    ]);
    let expected = Figures { stopped_at: Some(after(2 * LEASE)), started_at: Some(after(4 * LEASE)), ..bytes(7) };
    assert_eq!(untold.await, expected);
    let (stopped, started) = (after(2 * LEASE + LEASE / 2), after(3 * LEASE + LEASE / 2));
    let told = figures([
        (Report::Snapshotted, none),
        (BASE_COPIED, none),
        (REST_COPIED, Figures { stopped_at: Some(stopped), cut_off_at: Some(stopped), ..none }),
        (Report::Started { but: None }, Figures { started_at: Some(started), ..none }),
    ]);
    let expected =
        Figures { bytes: 0, stopped_at: Some(stopped), started_at: Some(started), cut_off_at: Some(stopped) };
    assert_eq!(told.await, expected);
    let down =
        figures([(Report::PoweredOff, none), (Report::Snapshotted, none), (BASE_COPIED, none), (REST_COPIED, none)]);
    assert_eq!(down.await, none, "it did not run");
}

#[tokio::test]
async fn a_guest_that_has_arrived_stands_still_no_longer_than_until_then() {
    let (rig, id) = Rig::arrived().await;
    let started = rig.migration(id).await.figures.started_at;
    assert_eq!(started, Some(NOW));
    rig.clock.advance(3 * LEASE);
    rig.conductor.tick().await.unwrap();
    assert_eq!(rig.migration(id).await.state.name(), "verify-migration");
    assert_eq!(rig.migration(id).await.figures.started_at, started);
}

#[tokio::test]
async fn what_does_not_fit_is_the_agent_s_and_what_fails_is_the_store_s() {
    let (rig, id) = Rig::begun().await;
    let of = |migration, generation, report| {
        let (host, figures) = ("a".into(), Figures::default());
        Notification::Report { host, migration, generation, report, figures }
    };
    let before = rig.migration(id).await;
    rig.conductor.hear(of(MigrationId(Uuid::max()), Generation(1), Report::Merged)).await.unwrap();
    rig.conductor.hear(of(id, before.generation, Report::Merged)).await.unwrap();
    rig.conductor.hear(of(id, before.generation.next(), Report::Snapshotted)).await.unwrap();
    assert_eq!(rig.migration(id).await, before);
    let broken = rig.store.clone().with_write_hook(Arc::new(|| Err(StoreError::Stopped)));
    let broken = Conductor::new(broken, rig.bus.clone(), rig.clock.clone(), Arc::new(|_| {}));
    let report = of(id, before.generation, Report::Snapshotted);
    let wanted = Notification::Wanted { host: "c".into(), prep: prep("other", Some("c")) };
    for said in [report, wanted] {
        let failed = broken.hear(said).await;
        assert!(matches!(failed, Err(StoreError::Stopped)), "{failed:?}");
    }
    rig.store.add_wish(id, Wish::Abort).await.unwrap();
    assert!(broken.grant_wishes().await.is_err());
}

fn refused(rig: &Rig) -> Option<String> {
    rig.conductor.refusal().map(|refusal| match refusal {
        Refusal::NotPrepared(reason) => reason.to_string(),
        Refusal::NotCreated(error) => error.to_string(),
    })
}

async fn wanted(rig: &Rig, prep: Prep) {
    let host = prep.target.clone().unwrap_or_else(|| "b".into());
    rig.conductor.hear(Notification::Wanted { host, prep }).await.unwrap();
}

#[tokio::test]
async fn a_host_that_offers_itself_twice_is_heard_once_and_another_is_refused() {
    let rig = Rig::new().await;
    for _ in 0..2 {
        wanted(&rig, prep("vm", Some("b"))).await;
        assert_eq!(refused(&rig), None);
    }
    assert_eq!(rig.told(), ["changed"]);
    assert!(rig.cast_to("a") && !rig.cast_to("a"));
    for (another, from) in [("c", "a"), ("b", "c")] {
        wanted(&rig, Prep { source: from.into(), ..prep("vm", Some(another)) }).await;
        assert!(refused(&rig).is_some(), "{another} from {from}");
        assert_eq!(rig.told(), ["not created"]);
    }
    wanted(&rig, prep("vm", None)).await;
    assert_eq!(refused(&rig).as_deref(), Some("move vm: nobody chose a target"));
    assert_eq!(rig.store.migrations().await.unwrap().len(), 1);
}

#[tokio::test]
async fn who_is_asked_and_takes_no_part_is_told_of() {
    let rig = Rig::new().await;
    let reason = PrepRefusal::NoTarget { source_host: "a".into() };
    let said = Notification::Refused { host: "a".into(), prep: prep("vm", None), reason: reason.clone() };
    rig.conductor.hear(said).await.unwrap();
    assert_eq!((rig.told(), refused(&rig)), (vec!["refused"], Some(reason.to_string())));
    assert_eq!(refused(&rig), None, "once");
}

#[tokio::test]
async fn what_is_asked_for_is_created_as_it_was_asked_for() {
    let rig = Rig::new().await;
    let large = Prep { flavor: Some("large".into()), ..prep("vm", Some("a")) };
    let resized = rig.conductor.prepare(&large).await.unwrap();
    assert_eq!(resized.subject.new.flavor.as_str(), "large");
    assert_eq!(move_of(&large).unwrap().why, MoveReason::Resize);
    assert_eq!(resized.terms.lease_ms, 30_000, "nobody said otherwise");
    let other = prep("other", Some("c"));
    assert_eq!(move_of(&other).unwrap().why, MoveReason::Evacuate);
    let kept = rig.conductor.prepare(&other).await.unwrap();
    assert_eq!((kept.subject.new.host.as_str(), kept.subject.new.flavor.as_str()), ("c", "small"));
    assert_ne!(kept.id, resized.id);
    assert_eq!(rig.told(), ["changed", "changed"]);
}

#[tokio::test]
async fn what_cannot_be_created_says_why() {
    let rig = Rig::new().await;
    let resize = |mode| Prep { flavor: Some("large".into()), mode, ..prep("vm", Some("b")) };
    let of = async |prep: Prep| rig.conductor.prepare(&prep).await.unwrap_err().to_string();
    assert_eq!(of(prep("nobody", Some("b"))).await, "find instance nobody");
    assert_eq!(of(Prep { flavor: Some("none".into()), ..resize(MoveMode::Cold) }).await, "find flavor none");
    assert_eq!(of(prep("vm", Some("nowhere"))).await, "move it: failed to find host nowhere");
    for mode in [MoveMode::Live, MoveMode::Suspend] {
        assert!(of(resize(mode)).await.starts_with("resize vm in"), "{mode:?}");
    }
    let elsewhere = of(Prep { source: "c".into(), ..prep("vm", Some("b")) }).await;
    assert!(elsewhere.contains("vm"), "{elsewhere}");
    assert!(rig.store.migrations().await.unwrap().is_empty());
    rig.store.set_state(&"vm".into(), InstanceState::Stopped, NOW).await.unwrap();
    let down = rig.conductor.prepare(&resize(MoveMode::Suspend)).await.unwrap();
    assert!(!down.subject.runs, "there is no memory to carry");
}

#[tokio::test]
async fn behind_a_door_whoever_asks_is_judged_first_and_gets_the_door_s_terms() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let heard = asked.clone();
    let scheduler: Scheduler = Arc::new(move |_: &Fleet, request: &MoveRequest| {
        heard.lock().unwrap().push((request.target.clone().unwrap(), request.may_stay));
        match request.target.clone().unwrap() {
            target if target.as_str() == "nowhere" => Err(vec!["it is not known".to_owned()]),
            target => Ok(Choice { target, mode: MoveMode::Cold }),
        }
    });
    let limits = AdmitLimits { per_host: 1, by_host: [].into(), in_fleet: None };
    let rig = Rig::new().await;
    let rig = Rig { conductor: rig.conductor.behind(Gate { scheduler, limits, terms: TERMS }), ..rig };
    wanted(&rig, prep("vm", Some("nowhere"))).await;
    assert_eq!(refused(&rig).as_deref(), Some("move it: it is not known"), "nor is it said twice");
    let large = Prep { flavor: Some("large".into()), ..prep("vm", Some("a")) };
    assert_eq!(rig.conductor.prepare(&large).await.unwrap().terms, TERMS);
    wanted(&rig, prep("other", Some("b"))).await;
    assert_eq!(refused(&rig).as_deref(), Some("move it: waits: a takes part in as many migrations as it may"));
    let asked = asked.lock().unwrap().clone();
    assert_eq!(asked, [("nowhere".into(), false), ("a".into(), true), ("b".into(), false)]);
}

/// What is reported in the stead of a dead host that was to do this.
#[tokio::test]
async fn the_turn_of_a_dead_host_is_taken_for_it_and_its_death_kept() {
    let death = Death { host: "a".into(), proof: DeathProof::Word { by: "Ada".to_owned() }, declared_at: NOW };
    let (rig, id) = Rig::begun().await;
    let other = rig.begin("other").await.id;
    rig.conductor.wish(other, Wish::Abort).await.unwrap();
    rig.hear(other, Report::SourceRestored).await;
    rig.conductor.act_for_the_dead().await.unwrap();
    assert_eq!(rig.migration(id).await.death, None, "nobody is dead");
    rig.store.declare_dead(&death).await.unwrap();
    let waits = rig.migration(other).await;
    rig.conductor.tick().await.unwrap();
    let back = rig.migration(id).await;
    assert_eq!((back.state.name(), back.death), ("reverted", Some(death)));
    assert_eq!(rig.migration(other).await, waits, "its target lives, and it is its turn");
}

#[tokio::test]
async fn what_speaks_against_a_move_is_asked_of_its_own_groups_alone() {
    let rig = Rig::new().await;
    let group = |members: &[&str]| {
        serde_json::from_value(json!({ "name": "g", "policy": "anti-affinity", "members": members })).unwrap()
    };
    let (own, others) = ([group(&["vm", "other"])], [group(&["other"])]);
    let line = move_of(&prep("vm", Some("b"))).unwrap();
    let of = async |groups| rig.conductor.objections(&line, &[], &BTreeSet::<MoveId>::new(), groups).await.unwrap();
    assert!(of(&own).await.is_empty());
    rig.conductor.prepare(&prep("other", Some("b"))).await.unwrap();
    assert_eq!(of(&own).await.len(), 1, "it is about to arrive there");
    assert!(of(&others).await.is_empty());
}
