//! What one side does not take another's word for: each of these looks leaves a trace here when it is left out.

use crate::rig::{LINES, Line, MANUAL, Process, Rig, intercept, said, the_down_is_dead};
use decant_executor::hypervisor::{Disk, GuestSize, GuestSpec};
use decant_executor::transfer::CopyOrder;
use decant_schema::cast::{Cast, Notification, WorkCast};
use decant_schema::id::{HostName, InstanceId};
use decant_schema::migration::{
    Awaits, Death, Digest, DiskFile, Figures, Generation, Manifest, Migration, MigrationId, MigrationOutcome, Report,
    Wish, Work,
};
use decant_schema::units::mib;

const SUSPENDED: Line<'static> = ("suspend", "a", "b", "suspend", None, &[]);

fn awaits_work(migration: &Migration, name: &str) -> bool {
    matches!(migration.turn(), Awaits::Agent { work, .. } if work.name() == name)
}

/// The next order of a host, that somebody keeps from it.
fn order_of(process: &Process, host: &str) -> WorkCast {
    match intercept(process, host) {
        Some(Cast::Work(order)) => *order,
        other => panic!("{host} was to get an order, and got {other:?}"),
    }
}

/// What a host says of an order.
async fn told(process: &Process, host: &str, order: WorkCast) -> Report {
    process.agents[host].handle(Cast::Work(Box::new(order))).await;
    match said(process) {
        Some(Notification::Report { report, .. }) => report,
        other => panic!("{host} was to report, and said {other:?}"),
    }
}

#[tokio::test]
async fn a_target_starts_nothing_of_which_any_file_is_not_what_was_sent() {
    for file in [DiskFile::BASE, DiskFile::OVERLAY, DiskFile::Memory] {
        let mut rig = Rig::new(&[SUSPENDED], MANUAL, 1).await;
        let process = rig.sound();
        rig.run_until(&process, |migration| awaits_work(migration, "build")).await.unwrap();
        let mut order = order_of(&process, "b");
        order.work = Work::Build { manifest: with_another(&order.work, file) };
        let report = told(&process, "b", order).await;
        assert!(matches!(report, Report::Failed { .. }), "{file}: {report:?}");
        assert_eq!(rig.simulation.world().running(&"suspend".into()), Vec::<HostName>::new(), "{file}");
    }
}

/// What must have arrived, with one file of which something else was sent.
fn with_another(work: &Work, file: DiskFile) -> Manifest {
    let Work::Build { manifest } = work else { panic!("{work:?} builds nothing") };
    let mut manifest = manifest.clone();
    let sent = manifest.insert(file, Digest::of(&blake3::hash(b"something else")));
    assert!(sent.is_some(), "no {file} was sent");
    manifest
}

#[tokio::test]
async fn a_source_does_not_destroy_a_copy_that_runs() {
    let mut rig = Rig::new(&[SUSPENDED], MANUAL, 1).await;
    let process = rig.sound();
    rig.run(&process).await.unwrap();
    let id = rig.migrations().await.values().next().unwrap().id;
    process.conductor.wish(id, Wish::Confirm).await.unwrap();
    rig.run_until(&process, |migration| awaits_work(migration, "destroy-source")).await.unwrap();
    let order = order_of(&process, "a");
    // Somebody on the source starts what is about to go.
    let instance = InstanceId::new("suspend");
    rig.simulation.drivers()["a"].hypervisor.start(&instance).await.unwrap();
    let report = told(&process, "a", order).await;
    assert!(matches!(report, Report::Failed { .. }), "{report:?}");
    assert!(rig.simulation.world().running(&instance).contains(&"a".into()), "it was destroyed while it ran");
}

#[tokio::test]
async fn a_report_counts_only_from_whose_turn_it_is_and_about_this_very_order() {
    let mut rig = Rig::new(&[SUSPENDED], MANUAL, 1).await;
    let process = rig.sound();
    rig.run_until(&process, |migration| awaits_work(migration, "copy-base")).await.unwrap();
    let before = rig.migrations().await.into_values().next().unwrap();
    let current = before.generation;
    let report = |host: &str, generation| Notification::Report {
        host: host.into(),
        migration: before.id,
        generation,
        report: Report::BaseCopied { copied: Manifest::new() },
        figures: Figures::default(),
    };
    let doubtful = [("a", Generation(current.0 - 1)), ("a", current.next()), ("b", current)];
    for (host, generation) in doubtful {
        process.conductor.hear(report(host, generation)).await.unwrap();
        let after = rig.store.migration(before.id).await.unwrap();
        assert_eq!(after, before, "{host} was believed about generation {generation}");
    }
    process.conductor.hear(report("a", current)).await.unwrap();
    assert_ne!(rig.store.migration(before.id).await.unwrap().state, before.state, "nobody is believed");
}

/// A cold move that has arrived, and what decides about it.
async fn arrived() -> (Rig, MigrationId) {
    let mut rig = Rig::new(&LINES[..1], MANUAL, 1).await;
    let process = rig.sound();
    rig.run(&process).await.unwrap();
    let id = rig.migrations().await.values().next().unwrap().id;
    (rig, id)
}

/// Decides, and follows what comes of it to its rest.
async fn after(rig: &mut Rig, process: &Process, id: MigrationId, wish: Wish) -> Migration {
    process.conductor.wish(id, wish).await.unwrap();
    rig.run(process).await.unwrap();
    rig.store.migration(id).await.unwrap()
}

fn waits_for_a_person(migration: &Migration, why: &str) {
    assert!(matches!(migration.turn(), Awaits::Decision { automatic_at: None }), "{migration:?}");
    let cause = migration.cause.as_ref().unwrap().to_string();
    assert!(cause.contains(why), "{cause}");
}

#[tokio::test]
async fn a_target_removes_nothing_before_the_source_has_shown_its_copy() {
    let (mut rig, id) = arrived().await;
    rig.simulation.world().lose(&"a".into(), &"cold".into());
    rig.lost = true;
    let process = rig.sound();
    let kept = after(&mut rig, &process, id, Wish::Revert).await;
    waits_for_a_person(&kept, "bring its files back");
    assert_eq!(rig.simulation.world().running(&"cold".into()), ["b".into()], "it is all there is");
    let confirmed = after(&mut rig, &process, id, Wish::Confirm).await;
    assert_eq!(confirmed.state.outcome(), Some(MigrationOutcome::Confirmed));
    assert_eq!(rig.simulation.world().traces(&"cold".into()), ["b".into()]);
}

#[tokio::test]
async fn an_undo_that_finds_its_copy_lost_waits_for_a_person() {
    for state in ["migrating", "migrating-step2", "post-migrating"] {
        let mut rig = Rig::new(&LINES[..1], MANUAL, 1).await;
        let process = rig.sound();
        rig.run_until(&process, |migration| migration.state.name() == state).await.unwrap();
        let id = rig.migrations().await.values().next().unwrap().id;
        rig.simulation.drivers()["a"].hypervisor.shutdown(&"cold".into()).await.unwrap();
        rig.simulation.world().lose(&"a".into(), &"cold".into());
        rig.lost = true;
        let left = rig.simulation.world().traces(&"cold".into());
        let waits = after(&mut rig, &process, id, Wish::Abort).await;
        waits_for_a_person(&waits, "bring its files back");
        assert_eq!(rig.simulation.world().traces(&"cold".into()), left, "{state}: what the target has is not touched");
        // Asked again, it is looked at again, and what is told is the same.
        waits_for_a_person(&after(&mut rig, &process, id, Wish::Revert).await, "bring its files back");
    }
}

/// Somebody makes an instance of that name on a host that has none: from what another one has.
async fn define(rig: &Rig, host: &str, from: &str) {
    let (instance, drivers) = (InstanceId::new("cold"), rig.simulation.drivers());
    let (file, peer, generation) = (DiskFile::BASE, HostName::new(host), Generation(100));
    let order = CopyOrder { instance: instance.clone(), file, peer, generation, limit: None };
    drivers[from].transfer.copy(&order, &|_| ()).await.unwrap();
    let size = GuestSize { memory: mib(10), vcpus: 1 };
    let guest = GuestSpec { instance, size, disk: Disk::Local, built_by: None };
    drivers[host].hypervisor.create(&guest).await.unwrap();
}

#[tokio::test]
async fn an_order_to_remove_that_comes_again_spares_what_was_defined_since() {
    for (wish, work, host, stays) in
        [(Wish::Revert, "clean-target", "b", "a"), (Wish::Confirm, "destroy-source", "a", "b")]
    {
        let (mut rig, id) = arrived().await;
        let process = rig.sound();
        process.conductor.wish(id, wish).await.unwrap();
        rig.run_until(&process, |migration| awaits_work(migration, work)).await.unwrap();
        let order = order_of(&process, host);
        process.agents[host].handle(Cast::Work(Box::new(order.clone()))).await;
        rig.run(&process).await.unwrap();
        assert_eq!(rig.simulation.world().traces(&"cold".into()), [HostName::new(stays)], "{work}");
        define(&rig, host, stays).await;
        told(&process, host, order).await;
        assert_eq!(rig.simulation.world().traces(&"cold".into()).len(), 2, "{work}: it was another's");
    }
}

/// Nobody can ask it any more; it may have executed the instance.
#[tokio::test]
async fn the_word_of_a_dead_target_is_not_taken_for_granted() {
    let mut rig = Rig::new(&LINES[..1], MANUAL, 1).await;
    let mut process = rig.sound();
    rig.run_until(&process, |migration| awaits_work(migration, "build")).await.unwrap();
    let id = rig.migrations().await.values().next().unwrap().id;
    let build = order_of(&process, "b");
    told(&process, "b", build).await;
    rig.simulation.drivers()["b"].hypervisor.shutdown(&"cold".into()).await.unwrap();
    process.agents.remove("b");
    rig.store.declare_dead(&Death { host: "b".into(), ..the_down_is_dead() }).await.unwrap();
    let waits = after(&mut rig, &process, id, Wish::Abort).await;
    waits_for_a_person(&waits, "may have executed there");
    assert_eq!(waits.death.map(|death| death.host), Some("b".into()));
    assert_eq!(rig.simulation.world().running(&"cold".into()), Vec::<HostName>::new());
}

#[tokio::test]
async fn a_target_is_not_given_up_for_a_source_that_is_dead() {
    let (mut rig, id) = arrived().await;
    let mut process = rig.sound();
    process.agents.remove("a");
    rig.store.declare_dead(&Death { host: "a".into(), ..the_down_is_dead() }).await.unwrap();
    waits_for_a_person(&after(&mut rig, &process, id, Wish::Revert).await, "until it is back");
    assert_eq!(rig.simulation.world().running(&"cold".into()), ["b".into()]);
}
