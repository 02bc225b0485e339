#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::VecDeque;
use std::future::pending;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use decant_schema::fleet::{Heartbeat, Resources};
use decant_schema::id::{InstanceId, ResourceClass};
use decant_schema::migration::{Attributes, Digest, DiskNumber, LayerNumber, MigrationId, Patience, Subject};
use decant_schema::plan::MoveMode;
use jiff::Timestamp;
use uuid::Uuid;

use super::*;
use crate::HostDriver;
use crate::bus::{Bus, InProcessBus};
use crate::clock::{Clock, ManualClock};
use crate::hypervisor::{AdoptError, CopyFacts, Discard, Fenced, Held, Unsupported};
use crate::mark::Claimant;
use crate::transfer::ProgressSink;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

const SECOND: Duration = Duration::from_secs(1);

fn after(time: Duration) -> Timestamp {
    NOW.checked_add(time).unwrap()
}

/// A host that answers what a test says, and keeps what was asked of it. Each effect takes it a second.
struct Host {
    clock: Arc<ManualClock>,
    asked: Mutex<Vec<String>>,
    /// The latest order it has obeyed.
    obeyed: Generation,
    /// What there is, look by look; the last stays.
    copies: Mutex<VecDeque<Copy>>,
    /// How its guest ends.
    ending: Ending,
    /// Whether its guest is in a state in which it is not moved.
    unfit: bool,
    /// Whether its guest lives, as far as its sign of life tells.
    lives: bool,
    /// Whether there is room.
    room: bool,
    /// What its guest writes (bytes) until it is asked to freeze that, time by time; then nothing.
    writes: Mutex<VecDeque<u64>>,
    /// How large each layer is that it has frozen.
    layers: Mutex<Vec<u64>>,
    /// Until then it reaches no other host.
    link_back_at: Timestamp,
    /// Whether an effect never ends.
    hangs: bool,
}

impl Host {
    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    fn hears(&self, what: impl Into<String>) {
        self.asked.lock().unwrap().push(what.into());
    }

    async fn acts(&self, what: impl Into<String>) {
        self.hears(what);
        self.clock.advance(SECOND);
        if self.hangs {
            pending::<()>().await;
        }
    }

    /// Like every transfer.
    fn reaches(&self, order: &CopyOrder) -> Result<(), TransferError> {
        if self.clock.now() >= self.link_back_at {
            return Ok(());
        }
        let CopyOrder { instance, file, peer, .. } = order.clone();
        Err(TransferError::Unreachable { instance, file, peer, detail: "no link".to_owned() })
    }
}

#[async_trait]
impl Hypervisor for Host {
    fn supports(&self, _: MoveMode, _: &Disk) -> Result<(), Unsupported> {
        Ok(())
    }

    fn accepts(&self, _: &Claimant) -> Result<(), AdoptError> {
        Ok(())
    }

    async fn adopt(&self, _: &Claimant) -> Result<(), AdoptError> {
        Ok(())
    }

    async fn observe(&self, _: &InstanceId) -> Result<Held, HypervisorError> {
        let mut copies = self.copies.lock().unwrap();
        let copy = if copies.len() > 1 { copies.pop_front() } else { copies.front().cloned() };
        Ok(Held { fence: Generation(9), executed: Generation(0), copy: copy.unwrap() })
    }

    async fn fence(&self, instance: &InstanceId, asked: Generation) -> Result<Fenced, HypervisorError> {
        let (instance, held) = (instance.clone(), self.obeyed);
        if asked < held { Err(HypervisorError::Fenced { instance, asked, held }) } else { Ok(Fenced::default()) }
    }

    async fn snapshot(&self, instance: &InstanceId, _: Generation) -> Result<(), HypervisorError> {
        self.acts("freeze").await;
        let (instance, state) = (instance.clone(), "suspended".to_owned());
        if self.unfit { Err(HypervisorError::Unfit { instance, state }) } else { Ok(()) }
    }

    async fn freeze_more(&self, _: &InstanceId, at_least: u64) -> Result<(), HypervisorError> {
        self.hears("freeze more");
        let (written, mut layers) = (self.writes.lock().unwrap().pop_front(), self.layers.lock().unwrap());
        if layers.len() < usize::from(LayerNumber::MAX) {
            layers.extend(written.filter(|written| *written >= at_least));
        }
        Ok(())
    }

    async fn frozen(&self, _: &InstanceId) -> Result<Vec<DiskFile>, HypervisorError> {
        let layers = LayerNumber::all().take(self.layers.lock().unwrap().len());
        Ok(layers.map(|layer| DiskFile::Layer(DiskNumber::FIRST, layer)).collect())
    }

    async fn shutdown_within(&self, _: &InstanceId, _: Patience) -> Result<Ending, HypervisorError> {
        self.acts("shut down").await;
        Ok(self.ending)
    }

    async fn suspend(&self, _: &InstanceId) -> Result<(), HypervisorError> {
        self.acts("suspend").await;
        Ok(())
    }

    async fn create(&self, _: &GuestSpec) -> Result<(), HypervisorError> {
        self.acts("create").await;
        Ok(())
    }

    async fn size_disk(&self, _: &InstanceId, _: Generation, _: DiskSize) -> Result<(), HypervisorError> {
        self.acts("size the disk").await;
        Ok(())
    }

    async fn start_marked(&self, _: &InstanceId, _: Generation) -> Result<(), HypervisorError> {
        self.acts("start").await;
        Ok(())
    }

    async fn examine(&self, _: &InstanceId, heartbeat: Option<&Heartbeat>) -> Result<Health, HypervisorError> {
        self.hears("examine");
        let silent = heartbeat.is_some() && !self.lives;
        Ok(Health { heartbeat: silent.then(|| "nobody logs in".to_owned()), ..Health::default() })
    }

    async fn wake_halted(&self) {
        self.hears("wake");
    }

    async fn forget_memory(&self, _: &InstanceId) -> Result<(), HypervisorError> {
        self.acts("forget the memory").await;
        Ok(())
    }

    async fn merge_back(&self, _: &InstanceId) -> Result<(), HypervisorError> {
        self.acts("merge").await;
        Ok(())
    }

    async fn destroy(&self, _: &InstanceId, _: &Disk, _: Discard) -> Result<(), HypervisorError> {
        self.acts("destroy").await;
        Ok(())
    }
}

#[async_trait]
impl Transfer for Host {
    async fn copy(&self, order: &CopyOrder, progress: ProgressSink<'_>) -> Result<Copied, TransferError> {
        self.acts(format!("copy the {}", order.file)).await;
        self.reaches(order)?;
        progress(2);
        progress(5);
        let layer = LayerNumber::all().position(|layer| order.file == DiskFile::Layer(DiskNumber::FIRST, layer));
        let bytes = layer.map_or(5, |at| self.layers.lock().unwrap()[at]);
        Ok(Copied { digest: Digest::of(&blake3::hash(b"content")), bytes })
    }

    async fn digest(&self, _: &InstanceId, _: DiskFile) -> Result<Digest, TransferError> {
        self.acts("verify").await;
        Ok(Digest::of(&blake3::hash(b"content")))
    }

    async fn reserve(&self, order: &CopyOrder, memory: u64) -> Result<(), TransferError> {
        self.hears(format!("reserve, with {memory} of memory"));
        let CopyOrder { instance, file, peer, .. } = order.clone();
        let detail = "it is full".to_owned();
        if self.room { Ok(()) } else { Err(TransferError::NoSpace { instance, file, peer, detail }) }
    }

    async fn release(&self, _: &CopyOrder) -> Result<(), TransferError> {
        self.hears("release");
        Ok(())
    }

    async fn probe(&self, order: &CopyOrder) -> Result<(), TransferError> {
        self.hears(format!("probe after {} s", (self.clock.now() - NOW).total(jiff::Unit::Second).unwrap()));
        self.reaches(order)
    }
}

/// An agent and its host.
struct Rig {
    agent: Agent,
    host: Arc<Host>,
    bus: Arc<InProcessBus>,
    clock: Arc<ManualClock>,
}

impl Rig {
    fn new(change: impl FnOnce(&mut Host)) -> Self {
        let (clock, bus) = (Arc::new(ManualClock::new(NOW)), Arc::new(InProcessBus::default()));
        let mut host = Host {
            clock: clock.clone(),
            asked: Mutex::default(),
            obeyed: Generation(9),
            copies: Mutex::new([running()].into()),
            ending: Ending::Obeyed,
            unfit: false,
            lives: true,
            room: true,
            writes: Mutex::default(),
            layers: Mutex::default(),
            link_back_at: NOW,
            hangs: false,
        };
        change(&mut host);
        let host = Arc::new(host);
        let driver = HostDriver { hypervisor: host.clone(), transfer: host.clone() };
        Self { agent: Agent::new("a".into(), driver, bus.clone(), clock.clone(), None), host, bus, clock }
    }

    /// Has an order carried out under this lease.
    async fn under(&self, lease_until: Timestamp, order: &WorkCast) -> (Result<Report, WorkError>, Figures) {
        self.agent.perform(order, &Lease::new(self.clock.clone(), lease_until)).await
    }

    async fn does(&self, order: &WorkCast) -> (Result<Report, WorkError>, Figures) {
        self.under(Timestamp::MAX, order).await
    }

    /// What the host was asked for an order.
    async fn asked(&self, order: &WorkCast) -> Vec<String> {
        self.does(order).await.0.unwrap();
        self.host.asked()
    }
}

fn facts() -> CopyFacts {
    let (size, mark, ended) = (GuestSize::from(&attributes("a").claim), Generation(7), Ending::Unknown);
    CopyFacts { size, disks: 1, frozen: true, memory: false, mark, ended, mute: false }
}

fn running() -> Copy {
    Copy::Running(facts())
}

fn holds(host: &mut Host, copies: impl IntoIterator<Item = Copy>) {
    host.copies = Mutex::new(copies.into_iter().collect());
}

fn attributes(host: &str) -> Attributes {
    let claim = [(ResourceClass::MEMORY_MB, 8), (ResourceClass::DISK_GB, 2)];
    let claim = Resources::from(claim.map(|(class, amount)| (ResourceClass::new(class), amount)));
    Attributes { host: host.into(), flavor: "small".into(), claim, own_claim: false }
}

fn order(work: Work) -> WorkCast {
    let subject = Subject {
        instance: "vm".into(),
        mode: MoveMode::Cold,
        runs: true,
        storage: None,
        old: attributes("a"),
        new: attributes("b"),
        begun: Generation(7),
        heartbeat: None,
    };
    let (migration, generation, lease_until) = (MigrationId(Uuid::nil()), Generation(9), Timestamp::MAX);
    WorkCast { to: "a".into(), migration, generation, lease_until, subject, patience: Patience::USUAL, work }
}

/// The same order with something else about who moves.
fn with(mut order: WorkCast, change: impl FnOnce(&mut Subject)) -> WorkCast {
    change(&mut order.subject);
    order
}

fn suspended(order: WorkCast) -> WorkCast {
    with(order, |subject| subject.mode = MoveMode::Suspend)
}

fn shared(order: WorkCast) -> WorkCast {
    with(order, |subject| subject.storage = Some("pool".into()))
}

fn build() -> WorkCast {
    order(Work::Build { manifest: Manifest::new() })
}

fn refuses(error: HypervisorError) -> bool {
    matches!(unless_unfit(error), WorkError::Refused(_))
}

#[test]
fn a_snapshot_that_finds_what_it_cannot_carry_refuses_and_any_other_failure_stays_one() {
    let (instance, detail) = ("vm".into(), "a chain".to_owned());
    assert!(refuses(HypervisorError::Uncarried { instance, detail }));
    assert!(refuses(HypervisorError::Machine { instance: "vm".into(), findings: Vec::new() }));
    assert!(!refuses(HypervisorError::Absent { instance: "vm".into() }));
}

#[test]
fn an_order_beside_another_agent_s_says_nothing() {
    let busy = WorkError::from(HypervisorError::Busy { instance: "vm".into() });
    assert!(matches!(busy, WorkError::Outdated(_)), "{busy:?}");
}

#[test]
fn an_order_that_a_peer_has_left_behind_says_who_and_by_what() {
    let (asked, held) = (Generation(7), Generation(9));
    let fenced = TransferError::Fenced { instance: "vm".into(), file: DiskFile::BASE, peer: "b".into(), asked, held };
    match WorkError::from(fenced) {
        WorkError::Overtaken { host, held } => assert_eq!((host, held), (Some("b".into()), Generation(9))),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn room_is_promised_for_all_that_is_taken_before_anything_is_begun() {
    let cold = order(Work::Snapshot);
    assert_eq!(Rig::new(|_| ()).asked(&cold).await, ["reserve, with 0 of memory", "freeze"]);
    let with_memory = format!("reserve, with {} of memory", 8 << 20);
    assert_eq!(Rig::new(|_| ()).asked(&suspended(cold.clone())).await, [with_memory.as_str(), "freeze"]);
    assert_eq!(Rig::new(|_| ()).asked(&shared(cold)).await, [""; 0], "nothing is copied");
    let copied = ["copy the machine", "copy the base", "freeze more"];
    assert_eq!(Rig::new(|_| ()).asked(&order(Work::CopyBase)).await, copied, "it was promised before");
}

#[tokio::test]
async fn what_is_refused_at_its_beginning_gives_its_room_back() {
    let unfit = Rig::new(|host| host.unfit = true);
    let (refused, _) = unfit.does(&order(Work::Snapshot)).await;
    assert!(matches!(refused, Err(WorkError::Refused(_))), "{refused:?}");
    assert_eq!(unfit.host.asked(), ["reserve, with 0 of memory", "freeze", "release"]);
    let full = Rig::new(|host| host.room = false);
    let (refused, _) = full.does(&order(Work::Snapshot)).await;
    assert!(matches!(refused, Err(WorkError::Refused(_))), "{refused:?}");
    assert_eq!(full.host.asked(), ["reserve, with 0 of memory"], "what is not promised is not given back");
}

#[tokio::test]
async fn an_agent_that_begins_asks_for_its_unfinished_work() {
    let Rig { agent, bus, .. } = Rig::new(|_| ());
    tokio::select! {
        () = Arc::new(agent).run() => panic!("it ended"),
        heard = bus.next_notification() => assert!(matches!(heard, Notification::Ready { .. }), "{heard:?}"),
        () = tokio::time::sleep(10 * SECOND) => panic!("it said nothing"),
    }
}

#[test]
fn a_host_that_cannot_be_looked_at_refuses_what_begins_and_fails_what_goes_on() {
    let absent = || WorkError::from(HypervisorError::Absent { instance: "vm".into() });
    assert!(matches!(before_anything(&order(Work::Snapshot), absent()), WorkError::Refused(_)));
    assert!(matches!(before_anything(&order(Work::CopyBase), absent()), WorkError::Failed(_)));
}

#[tokio::test]
async fn an_order_of_the_past_is_not_even_answered_from_what_there_is() {
    let (later, _) = Rig::new(|host| host.obeyed = Generation(10)).does(&order(Work::LookBack)).await;
    assert!(matches!(later, Err(WorkError::Overtaken { host: None, held: Generation(10) })), "{later:?}");
    assert_eq!(Rig::new(|_| ()).does(&order(Work::LookBack)).await.0.unwrap(), Report::Seen);
}

#[tokio::test]
async fn a_guest_is_taken_down_once_its_target_can_be_reached() {
    let rest = order(Work::StopAndCopy);
    let reached = ["probe after 0 s", "shut down", "copy the overlay"];
    assert_eq!(Rig::new(|_| ()).asked(&rest).await, reached);
    assert_eq!(Rig::new(|_| ()).asked(&shared(rest)).await, ["shut down"], "there is nothing to carry there");
}

#[tokio::test]
async fn a_link_is_tried_again_less_and_less_often_until_patience_ends() {
    let tried = |seconds: &[f64]| seconds.iter().map(|at| format!("probe after {at} s")).collect::<Vec<_>>();
    let mut rest = order(Work::StopAndCopy);
    rest.patience.link_ms = 30_000;
    let down = Rig::new(|host| host.link_back_at = Timestamp::MAX);
    let (given_up, _) = down.does(&rest).await;
    assert!(matches!(given_up, Err(WorkError::Failed(_))), "{given_up:?}");
    assert_eq!(down.host.asked(), tried(&[0.0, 0.5, 1.5, 3.5, 7.5, 15.5, 23.5, 30.0]));
    let back = Rig::new(|host| host.link_back_at = after(2 * SECOND));
    back.does(&rest).await.0.unwrap();
    assert_eq!(back.host.asked()[..4], tried(&[0.0, 0.5, 1.5, 3.5]));
    rest.patience.link_ms = 0;
    let impatient = Rig::new(|host| host.link_back_at = Timestamp::MAX);
    assert!(impatient.does(&rest).await.0.is_err());
    assert_eq!(impatient.host.asked(), tried(&[0.0]));
}

#[tokio::test]
async fn the_time_a_guest_stands_still_begins_before_it_is_stopped_and_ends_once_it_runs() {
    for (order, host) in [(order(Work::StopAndCopy), running()), (suspended(order(Work::StopAndCopy)), running())] {
        let (_, figures) = Rig::new(|holder| holds(holder, [host])).does(&order).await;
        assert_eq!((figures.stopped_at, figures.started_at), (Some(NOW), None), "{:?}", order.subject.mode);
    }
    let down = Rig::new(|host| holds(host, [Copy::Stopped(facts())]));
    assert_eq!(down.does(&order(Work::StopAndCopy)).await.1.stopped_at, None, "it was down before");
    let arrived = Rig::new(|host| holds(host, [Copy::Incoming]));
    let (_, figures) = arrived.does(&build()).await;
    assert_eq!(arrived.host.asked(), ["forget the memory", "create", "start"]);
    assert_eq!((figures.stopped_at, figures.started_at), (None, Some(after(3 * SECOND))));
}

#[tokio::test]
async fn how_a_guest_ended_counts_where_it_was_to_run_on() {
    let asleep = |order| with(order, |subject| subject.runs = false);
    let cut_off = |figures: Figures| figures.cut_off_at.is_some();
    let rest = order(Work::StopAndCopy);
    for ending in [Ending::ByUser, Ending::CutOff, Ending::Obeyed, Ending::Unknown] {
        let (done, figures) = Rig::new(|host| host.ending = ending).does(&rest).await;
        assert_eq!(matches!(done, Err(WorkError::PoweredOff)), ending == Ending::ByUser, "{ending:?}");
        assert_eq!(cut_off(figures), ending == Ending::CutOff, "{ending:?}");
        let (done, figures) = Rig::new(|host| host.ending = ending).does(&asleep(rest.clone())).await;
        assert!(done.is_ok() && !cut_off(figures), "{ending:?}: it was down on record");
    }
}

#[tokio::test]
async fn under_a_lease_that_is_over_a_guest_is_stopped_and_none_is_made() {
    let done = Rig::new(|_| ()).under(NOW, &order(Work::StopAndCopy)).await.0;
    assert!(done.is_ok(), "{done:?}");
    let arrived = Rig::new(|host| holds(host, [Copy::Incoming]));
    let left = arrived.under(after(SECOND), &build()).await.0;
    assert!(matches!(left, Err(WorkError::Outdated(_))), "{left:?}");
    assert_eq!(arrived.host.asked(), ["forget the memory"], "it ended meanwhile");
}

#[tokio::test]
async fn what_was_started_after_the_look_is_not_destroyed() {
    let rig = Rig::new(|host| holds(host, [Copy::Stopped(facts()), running()]));
    let (spared, _) = rig.does(&order(Work::DestroySource)).await;
    assert!(matches!(spared, Err(WorkError::Failed(_))), "{spared:?}");
    assert_eq!(rig.host.asked(), [""; 0]);
}

#[tokio::test]
async fn a_guest_that_shows_no_sign_of_life_is_waited_for_as_long_as_one_boots() {
    let look =
        |assurance| with(order(Work::LookAgain { assurance }), |subject| subject.heartbeat = Some(Heartbeat::Agent));
    let silent = Rig::new(|host| host.lives = false);
    let (failed, _) = silent.does(&look(Assurance::Lives)).await;
    assert!(matches!(failed, Err(WorkError::Failed(_))), "{failed:?}");
    assert_eq!(silent.clock.now(), after(HEARTBEAT_PATIENCE));
    let asked = silent.host.asked();
    assert_eq!(asked[..2], ["wake", "examine"], "it may only have waited for room");
    assert_eq!(asked.len(), 62, "once a second");
    for (lives, assurance) in [(true, Assurance::Lives), (false, Assurance::Runs), (false, Assurance::Whole)] {
        let rig = Rig::new(|host| host.lives = lives);
        assert_eq!(rig.asked(&look(assurance)).await, ["wake", "examine"], "{assurance:?}");
    }
}

#[tokio::test]
async fn nobody_looks_for_a_while_at_what_is_not_relied_on() {
    assert_eq!(Rig::new(|_| ()).asked(&order(Work::Merge)).await, ["merge"]);
}

#[tokio::test]
async fn what_the_guest_writes_meanwhile_is_passed_on_until_it_gets_no_less() {
    let mib = |amount: u64| amount << 20;
    let rounds: [(&[u64], usize); 5] = [
        (&[mib(15), mib(14)], 0),
        (&[mib(16), mib(15), mib(14)], 1),
        (&[mib(64), mib(32), mib(32), mib(17)], 3),
        (&[mib(64), mib(65), mib(17)], 2),
        (&[mib(90), mib(89), mib(88), mib(87), mib(86), mib(85), mib(84), mib(83), mib(82)], 8),
    ];
    for (writes, count) in rounds {
        let rig = Rig::new(|host| host.writes = Mutex::new(writes.iter().copied().collect()));
        let (report, figures) = rig.does(&order(Work::CopyBase)).await;
        let Ok(Report::BaseCopied { copied }) = report else { panic!("{report:?}") };
        assert_eq!(copied.len(), 2 + count, "{writes:?}");
        assert_eq!(figures.bytes, 10 + writes[..count].iter().sum::<u64>(), "the machine, the base, and that");
        // Asked again, or by the next order: all that is frozen goes with the overlay.
        let all = rig.asked(&order(Work::StopAndCopy)).await;
        let layers = all.iter().rev().take_while(|asked| *asked != "shut down");
        assert_eq!(layers.filter(|asked| asked.starts_with("copy the overlay")).count(), count + 1, "{all:?}");
    }
}

#[tokio::test]
async fn a_layer_that_was_not_sent_is_not_started_from() {
    let rig = Rig::new(|host| {
        holds(host, [Copy::Incoming]);
        host.layers = Mutex::new(vec![7]);
    });
    let manifest: Manifest = [(DiskFile::OVERLAY, Digest::of(&blake3::hash(b"content")))].into();
    let (refused, _) = rig.does(&order(Work::Build { manifest })).await;
    let Err(WorkError::Failed(why)) = refused else { panic!("{refused:?}") };
    assert_eq!(why, "the overlay.1 lies here and was not sent");
}

#[tokio::test]
async fn whatever_is_sent_tells_how_far_it_is() {
    let rig = Rig::new(|_| ());
    rig.asked(&order(Work::CopyBase)).await;
    let mut heard = Vec::new();
    while let Some(Notification::Progress { file, bytes, .. }) = rig.bus.try_next_notification() {
        heard.push((file, bytes));
    }
    let base = DiskFile::BASE;
    assert_eq!(heard, [(DiskFile::Machine, 2), (DiskFile::Machine, 5), (base, 2), (base, 5)]);
}

#[tokio::test]
async fn what_was_copied_is_reported_with_the_work() {
    let copied = |files: &[DiskFile]| -> Manifest {
        files.iter().map(|file| (*file, Digest::of(&blake3::hash(b"content")))).collect()
    };
    let base = Rig::new(|_| ()).does(&order(Work::CopyBase)).await.0.unwrap();
    assert_eq!(base, Report::BaseCopied { copied: copied(&[DiskFile::Machine, DiskFile::BASE]) });
    let rest = Rig::new(|_| ()).does(&suspended(order(Work::StopAndCopy))).await.0.unwrap();
    assert_eq!(rest, Report::RestCopied { copied: copied(&[DiskFile::OVERLAY, DiskFile::Memory]) });
}

/// What the conductor hears within a few signs of life while the order's first effect goes on.
async fn hears_meanwhile(order: &WorkCast, copy: Copy) -> bool {
    let rig = Rig::new(|host| {
        holds(host, [copy]);
        host.hangs = true;
    });
    tokio::select! {
        done = rig.does(order) => panic!("{done:?}"),
        heard = rig.bus.next_notification() => {
            assert!(matches!(heard, Notification::AtWork { .. }), "{heard:?}");
            true
        }
        () = tokio::time::sleep(SIGN_OF_LIFE * 3) => false,
    }
}

#[tokio::test]
async fn whoever_is_long_at_work_says_so_unless_a_start_is_still_to_come() {
    assert!(hears_meanwhile(&order(Work::Merge), running()).await);
    assert!(!hears_meanwhile(&build(), Copy::Incoming).await, "the start needs a new lease");
}

#[test]
fn a_start_that_is_still_to_come_is_ordered_again_rather_than_waited_for() {
    let restore = Work::RestoreSource { memory_fits: true, seen: true };
    for work in [build().work, restore] {
        assert!(!says_that_it_lives(&work, Effect::Shutdown) && says_that_it_lives(&work, Effect::Merge), "{work:?}");
    }
    assert!(says_that_it_lives(&Work::StopAndCopy, Effect::Shutdown));
}

#[tokio::test]
async fn a_disk_is_enlarged_where_it_is_the_host_s_and_its_flavor_says_so() {
    let grown = |to: u64| {
        with(build(), |subject| {
            subject.new.claim.insert(ResourceClass::new(ResourceClass::DISK_GB), to);
        })
    };
    let made = ["forget the memory", "create", "size the disk", "start"];
    assert_eq!(Rig::new(|host| holds(host, [Copy::Incoming])).asked(&grown(3)).await, made);
    assert_eq!(disk_size(&grown(3)), Some(DiskSize::AtLeast(3 << 30)));
    for same in [grown(2), grown(1), shared(grown(3))] {
        assert_eq!(disk_size(&same), None, "{:?}", same.subject);
    }
    let back = WorkCast { work: Work::RestoreSource { memory_fits: true, seen: true }, ..grown(3) };
    assert_eq!(disk_size(&back), Some(DiskSize::AsBefore));
}
