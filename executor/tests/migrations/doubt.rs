//! What one side does not take another's word for: each of these looks leaves a trace here when it is left out.

use crate::rig::{Line, MANUAL, Process, Rig, intercept, said};
use decant_schema::cast::{Cast, Notification, WorkCast};
use decant_schema::id::{HostName, InstanceId};
use decant_schema::migration::{
    Awaits, Digest, DiskFile, Figures, Generation, Manifest, Migration, Report, Wish, Work,
};

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
    for file in [DiskFile::Base, DiskFile::Overlay, DiskFile::Memory] {
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
