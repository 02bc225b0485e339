//! Whole migrations with everything that can go wrong, and the six lines of what must never happen.

use std::time::Duration;

use crate::rig::{AUTOMATIC, LEASE, LINES, MANUAL, Rig, hear_all, intercept, said};
use decant_executor::bus::FaultRates;
use decant_executor::clock::Clock;
use decant_executor::conductor::ConductError;
use decant_executor::hypervisor::{Disk, DiskSize, GuestSize, GuestSpec};
use decant_executor::transfer::CopyOrder;
use decant_schema::cast::{Cast, Notification, Prep};
use decant_schema::fleet::InstanceState;
use decant_schema::id::InstanceId;
use decant_schema::migration::{
    Cause, Confirm, DiskFile, Figures, Generation, Migration, MigrationId, MigrationOutcome, MigrationState, Patience,
    Report, Terms, Wish,
};
use decant_schema::plan::MoveMode;
use decant_schema::units::mib;
use uuid::Uuid;

const BAD_BUS: FaultRates = FaultRates { lose: 0.2, repeat: 0.2, delay: 0.3 };

async fn outcomes(rig: &Rig) -> Vec<Option<MigrationOutcome>> {
    rig.migrations().await.values().map(|migration| migration.state.outcome()).collect()
}

async fn all_confirmed(rig: &Rig, why: &str) {
    assert_eq!(outcomes(rig).await, vec![Some(MigrationOutcome::Confirmed); rig.plan.moves.len()], "{why}");
}

#[tokio::test]
async fn a_plan_of_every_kind_of_move_is_carried_out() {
    let mut rig = Rig::new(LINES, AUTOMATIC, 0).await;
    let process = rig.sound();
    rig.run(&process).await.unwrap();
    all_confirmed(&rig, "nothing went wrong").await;
    rig.everything_is_settled().await;
}

#[tokio::test]
async fn a_link_that_breaks_for_minutes_is_waited_out_before_the_guest_is_taken_down() {
    let mut rig = Rig::new(&LINES[..1], MANUAL, 1).await;
    let process = rig.sound();
    let at_step_two = |migration: &Migration| matches!(migration.state, MigrationState::MigratingStep2 { .. });
    rig.run_until(&process, at_step_two).await.unwrap();
    drop(process);
    let back = rig.clock.now() + Duration::from_secs(200);
    let process = rig.cut_off_for(Duration::from_secs(200));
    rig.run(&process).await.unwrap();
    let migration = rig.migrations().await.into_values().next().unwrap();
    assert!(matches!(migration.state, MigrationState::VerifyMigration { .. }), "{migration:?}");
    assert!(migration.figures.stopped_at.unwrap() >= back, "it was down while the link was: {migration:?}");
}

#[tokio::test]
async fn a_link_is_waited_for_as_long_as_was_asked() {
    let patience = |seconds: u32| Patience { link_ms: seconds * 1000, ..Patience::USUAL };
    for (waited, ends) in [(100, "finished"), (1000, "verify-migration")] {
        let mut rig = Rig::new(&LINES[..1], Terms { patience: patience(waited), ..MANUAL }, 1).await;
        // It flaps for longer than is usually waited.
        let process = rig.cut_off_for(Duration::from_secs(600));
        rig.run(&process).await.unwrap();
        let migration = rig.migrations().await.into_values().next().unwrap();
        assert_eq!(migration.state.name(), ends, "{migration:?}");
        assert!(waited > 600 || migration.figures.stopped_at.is_none(), "it was taken down: {migration:?}");
    }
}

#[tokio::test]
async fn a_link_that_stays_broken_leads_back() {
    let mut rig = Rig::new(&LINES[..1], MANUAL, 1).await;
    let process = rig.cut_off_for(Duration::from_secs(3600));
    rig.run(&process).await.unwrap();
    assert_eq!(outcomes(&rig).await, [Some(MigrationOutcome::Failed)]);
}

#[tokio::test]
async fn a_flavor_with_a_larger_disk_enlarges_it_and_a_revert_gives_the_old_size_back() {
    for flavor in ["large", "tall"] {
        let mut rig = Rig::new(&[("in-place", "b", "b", "cold", Some(flavor), &[])], MANUAL, 1).await;
        let process = rig.sound();
        rig.run(&process).await.unwrap();
        let asked = |rig: &Rig| rig.simulation.world().disk_size(&"b".into(), &"in-place".into());
        assert_eq!(asked(&rig), Some(DiskSize::AtLeast(4 << 30)), "{flavor}");
        let id = rig.migrations().await.values().next().unwrap().id;
        process.conductor.wish(id, Wish::Revert).await.unwrap();
        rig.run(&process).await.unwrap();
        assert_eq!(asked(&rig), Some(DiskSize::AsBefore), "{flavor}");
        rig.everything_is_as_before().await;
    }
}

#[tokio::test]
async fn a_flavor_with_a_smaller_disk_is_refused_before_anything_is_changed() {
    let mut rig = Rig::new(&[("cold", "a", "b", "cold", Some("flat"), &[])], MANUAL, 1).await;
    let process = rig.sound();
    rig.run(&process).await.unwrap();
    let migration = rig.migrations().await.into_values().next().unwrap();
    let cause = format!("{:?}", migration.cause);
    assert!(cause.contains("no disk is made smaller"), "{cause}");
    rig.everything_is_as_before().await;
}

#[tokio::test]
async fn messages_lost_repeated_late_and_out_of_order_change_nothing_but_time() {
    for seed in 0..40 {
        let mut rig = Rig::new(LINES, AUTOMATIC, seed).await;
        let process = rig.process(BAD_BUS, 0.0, None);
        rig.run(&process).await.unwrap();
        all_confirmed(&rig, &format!("seed {seed}")).await;
        rig.everything_is_settled().await;
    }
}

#[tokio::test]
async fn a_kill_after_any_write_changes_nothing_but_time() {
    for writes in 1.. {
        let mut rig = Rig::new(LINES, AUTOMATIC, writes).await;
        let killed = rig.process(FaultRates::default(), 0.0, Some(writes));
        if rig.run(&killed).await.is_ok() {
            assert!(writes > 50, "killed at every write, and there were {writes}");
            return;
        }
        drop(killed);
        let process = rig.sound();
        rig.run(&process).await.unwrap();
        all_confirmed(&rig, &format!("killed after write {writes}")).await;
        rig.everything_is_settled().await;
    }
}

#[tokio::test]
async fn a_kill_in_the_middle_of_any_work_changes_nothing_but_time() {
    for call in 1.. {
        let mut rig = Rig::new(LINES, AUTOMATIC, call).await;
        let killed = rig.killed_at_call(call);
        if rig.run(&killed).await.is_ok() {
            assert!(call > 40, "killed at every call, and there were {call}");
            return;
        }
        drop(killed);
        let process = rig.sound();
        rig.run(&process).await.unwrap();
        all_confirmed(&rig, &format!("killed at call {call}")).await;
        rig.everything_is_settled().await;
    }
}

#[tokio::test]
async fn hosts_that_fail_and_a_bad_bus_and_kills_leave_every_instance_whole() {
    for seed in 0..60 {
        let mut rig = Rig::new(LINES, AUTOMATIC, seed).await;
        for writes in [7, 19, 31] {
            let process = rig.process(BAD_BUS, 0.05, Some(writes));
            // Killed or over, the next goes on.
            _ = rig.run(&process).await;
        }
        let process = rig.process(BAD_BUS, 0.05, None);
        rig.run(&process).await.unwrap();
        rig.everything_is_settled().await;
    }
}

fn is_awaited(migration: &Migration) -> bool {
    matches!(migration.state, MigrationState::VerifyMigration { confirm: Confirm::Awaited { .. } })
}

#[tokio::test]
async fn a_revert_leaves_everything_as_before_even_when_killed_at_any_write() {
    for line in LINES.iter().filter(|line| line.5.is_empty() && line.3 != "live") {
        for writes in 1.. {
            let mut rig = Rig::new(&[*line], MANUAL, writes).await;
            let process = rig.sound();
            rig.run_until(&process, is_awaited).await.unwrap();
            let id = rig.migrations().await.values().next().unwrap().id;
            let killed = rig.process(FaultRates::default(), 0.0, Some(writes));
            let over = killed.conductor.wish(id, Wish::Revert).await.is_ok() && rig.run(&killed).await.is_ok();
            let process = rig.sound();
            rig.run(&process).await.unwrap();
            assert_eq!(outcomes(&rig).await, [Some(MigrationOutcome::Reverted)], "{} killed at {writes}", line.0);
            rig.everything_is_as_before().await;
            if over {
                break;
            }
        }
    }
}

#[tokio::test]
async fn of_a_confirmation_and_a_revert_that_race_exactly_one_wins() {
    for seed in 0..20 {
        for wishes in [[Wish::Confirm, Wish::Revert], [Wish::Revert, Wish::Confirm]] {
            let mut rig = Rig::new(&LINES[..1], MANUAL, seed).await;
            let process = rig.process(BAD_BUS, 0.0, None);
            rig.run_until(&process, is_awaited).await.unwrap();
            let id = rig.migrations().await.values().next().unwrap().id;
            process.conductor.wish(id, wishes[0]).await.unwrap();
            // Until the target was looked at, a confirmation can be taken back; a revert cannot.
            let second = process.conductor.wish(id, wishes[1]).await;
            let taken_back = wishes[0] == Wish::Confirm;
            assert!(second.is_ok() == taken_back, "{second:?}");
            assert!(taken_back || matches!(second, Err(ConductError::Illegal(_))), "{second:?}");
            rig.run(&process).await.unwrap();
            assert_eq!(outcomes(&rig).await, [Some(MigrationOutcome::Reverted)], "seed {seed}");
            rig.everything_is_as_before().await;
        }
    }
}

#[tokio::test]
async fn once_the_target_was_looked_at_a_revert_comes_too_late() {
    for seed in 0..20 {
        let mut rig = Rig::new(&LINES[..1], MANUAL, seed).await;
        let process = rig.process(BAD_BUS, 0.0, None);
        rig.run_until(&process, is_awaited).await.unwrap();
        let id = rig.migrations().await.values().next().unwrap().id;
        process.conductor.wish(id, Wish::Confirm).await.unwrap();
        let given = MigrationState::VerifyMigration { confirm: Confirm::Given };
        rig.run_until(&process, |migration| migration.state == given).await.unwrap();
        let refused = process.conductor.wish(id, Wish::Revert).await.unwrap_err();
        assert!(matches!(refused, ConductError::Illegal(_)), "{refused}");
        rig.run(&process).await.unwrap();
        assert_eq!(outcomes(&rig).await, [Some(MigrationOutcome::Confirmed)], "seed {seed}");
        rig.everything_is_settled().await;
    }
}

#[tokio::test]
async fn an_abort_in_any_state_before_arrival_leaves_everything_as_before() {
    for line in LINES.iter().filter(|line| line.5.is_empty()) {
        for state in ["pre-migrating", "migrating", "migrating-step2", "post-migrating"] {
            for seed in 0..5 {
                let mut rig = Rig::new(&[*line], MANUAL, seed).await;
                let process = rig.process(BAD_BUS, 0.0, None);
                rig.run_until(&process, |migration| migration.state.name() == state).await.unwrap();
                let migration = rig.migrations().await.into_values().next().unwrap();
                if migration.state.name() != state {
                    continue; // A rebuild begins where the others have copied.
                }
                process.conductor.wish(migration.id, Wish::Abort).await.unwrap();
                rig.run(&process).await.unwrap();
                let stopped = rig.store.migration(migration.id).await.unwrap();
                let mut wanted = MigrationOutcome::Aborted;
                if is_awaited(&stopped) {
                    // It had executed at the target before it was called off, so a person decides.
                    assert!(matches!(stopped.cause, Some(Cause::Executed { .. })), "{stopped:?}");
                    assert_eq!(state, "post-migrating");
                    process.conductor.wish(migration.id, Wish::Revert).await.unwrap();
                    rig.run(&process).await.unwrap();
                    wanted = MigrationOutcome::Reverted;
                }
                assert_eq!(outcomes(&rig).await, [Some(wanted)], "{} in {state}", line.0);
                rig.everything_is_as_before().await;
            }
        }
    }
}

#[tokio::test]
async fn a_migration_that_finds_something_else_ends_and_touches_nothing() {
    for found in ["gone", "larger", "running"] {
        let mut rig = Rig::new(&[LINES[2]], MANUAL, 1).await;
        rig.simulation = rig.simulated(|instance| {
            match found {
                "larger" => instance.flavor = "large".into(),
                "running" => instance.state = InstanceState::Active,
                _ => {}
            }
            found != "gone"
        });
        let process = rig.sound();
        let migration = process.conductor.begin(rig.plan.id, &rig.plan.moves[0], MANUAL).await.unwrap();
        process.agents["a"].handle(intercept(&process, "a").unwrap()).await;
        hear_all(&process).await;
        let over = rig.store.migration(migration.id).await.unwrap();
        assert_eq!(over.state.outcome(), Some(MigrationOutcome::Failed), "{found}: {over:?}");
        assert!(over.cause.is_some(), "{found}");
        assert!(intercept(&process, "a").is_none() && intercept(&process, "c").is_none(), "{found}: nobody undoes");
        assert_eq!(
            rig.store.claims().await.unwrap().iter().filter(|claim| claim.1 == over.subject.instance).count(),
            1
        );
        assert!(!rig.simulation.world().is_frozen(&"a".into(), &over.subject.instance), "{found}");
    }
}

#[tokio::test]
async fn a_memory_that_an_earlier_move_left_at_the_target_is_not_loaded() {
    let mut rig = Rig::new(&LINES[..1], MANUAL, 1).await;
    let process = rig.sound();
    let (instance, source) = (InstanceId::new("cold"), rig.simulation.drivers().remove("a").unwrap());
    source.hypervisor.suspend(&instance).await.unwrap();
    let left = CopyOrder {
        instance: instance.clone(),
        file: DiskFile::Memory,
        peer: "b".into(),
        generation: Generation(1),
        limit: None,
    };
    source.transfer.copy(&left, &|_| ()).await.unwrap();
    source.hypervisor.start(&instance).await.unwrap();
    rig.run(&process).await.unwrap();
    assert_eq!(rig.simulation.world().running(&instance), ["b".into()]);
    rig.everything_is_settled().await;
}

#[tokio::test]
async fn an_instance_the_target_has_already_is_left_alone_and_the_move_is_undone() {
    let mut rig = Rig::new(&LINES[..1], MANUAL, 1).await;
    let (instance, target) = (InstanceId::new("cold"), rig.simulation.drivers()["b"].hypervisor.clone());
    let source = rig.simulation.drivers().remove("a").unwrap();
    let order = CopyOrder {
        instance: instance.clone(),
        file: DiskFile::BASE,
        peer: "b".into(),
        generation: Generation(1),
        limit: None,
    };
    source.transfer.copy(&order, &|_| ()).await.unwrap();
    let small = GuestSize { memory: mib(10), vcpus: 1 };
    target
        .create(&GuestSpec { instance: instance.clone(), size: small, disk: Disk::Local, built_by: None })
        .await
        .unwrap();
    let process = rig.sound();
    rig.run(&process).await.unwrap();
    assert_eq!(outcomes(&rig).await, [Some(MigrationOutcome::Failed)]);
    let world = rig.simulation.world();
    assert_eq!(world.traces(&instance), ["a".into(), "b".into()], "what was there is there");
    assert_eq!(world.running(&instance), ["a".into()]);
    assert!(!world.is_frozen(&"a".into(), &instance));
}

#[tokio::test]
async fn what_does_not_run_any_more_is_not_confirmed_by_itself() {
    let mut rig = Rig::new(&LINES[..1], AUTOMATIC, 1).await;
    let process = rig.sound();
    rig.run_until(&process, is_awaited).await.unwrap();
    let instance = InstanceId::new("cold");
    rig.simulation.drivers()["b"].hypervisor.shutdown(&instance).await.unwrap();
    rig.run(&process).await.unwrap();
    let migration = rig.migrations().await.into_values().next().unwrap();
    assert!(is_awaited(&migration) && migration.cause.is_some(), "{migration:?}");
    assert_eq!(rig.simulation.world().traces(&instance), ["a".into(), "b".into()], "there is a way back");
    process.conductor.wish(migration.id, Wish::Revert).await.unwrap();
    rig.run(&process).await.unwrap();
    rig.everything_is_as_before().await;
}

/// A size is found out of step with its record only by a change from outside in the middle of a move.
#[tokio::test]
async fn a_copy_that_goes_back_to_its_source_keeps_the_size_it_has() {
    let mut rig = Rig::new(&[("suspend", "a", "b", "suspend", None, &[])], MANUAL, 1).await;
    let process = rig.sound();
    rig.run_until(&process, |migration| migration.state.name() == "migrating").await.unwrap();
    let (instance, driver) = (InstanceId::new("suspend"), rig.simulation.drivers()["a"].hypervisor.clone());
    driver.suspend(&instance).await.unwrap();
    let size = GuestSize { memory: mib(20), vcpus: 2 };
    driver.create(&GuestSpec { instance: instance.clone(), size, disk: Disk::Local, built_by: None }).await.unwrap();
    driver.start(&instance).await.unwrap();
    let id = rig.migrations().await.values().next().unwrap().id;
    process.conductor.wish(id, Wish::Abort).await.unwrap();
    rig.run(&process).await.unwrap();
    assert_eq!(outcomes(&rig).await, [Some(MigrationOutcome::Aborted)]);
    assert_eq!(rig.simulation.world().size(&"a".into(), &instance), Some(size));
    rig.nothing_bad_has_happened().await;
}

#[tokio::test]
async fn what_has_arrived_is_not_aborted() {
    let mut rig = Rig::new(&LINES[..1], MANUAL, 1).await;
    let process = rig.sound();
    rig.run(&process).await.unwrap();
    let id = rig.migrations().await.values().next().unwrap().id;
    let refused = process.conductor.wish(id, Wish::Abort).await.unwrap_err();
    assert_eq!(refused.to_string(), "accept abort in state verify-migration");
}

#[tokio::test]
async fn what_waits_for_room_waits_until_it_is_confirmed() {
    let mut rig = Rig::new(&LINES[..2], MANUAL, 1).await;
    let process = rig.sound();
    rig.run(&process).await.unwrap();
    assert_eq!(outcomes(&rig).await, [None], "the second has not begun");
    let id = rig.migrations().await.values().next().unwrap().id;
    process.conductor.wish(id, Wish::Confirm).await.unwrap();
    rig.run(&process).await.unwrap();
    assert_eq!(outcomes(&rig).await, [Some(MigrationOutcome::Confirmed), None]);
}

#[tokio::test]
async fn an_order_that_was_long_under_way_starts_nothing() {
    let mut rig = Rig::new(&LINES[..1], MANUAL, 1).await;
    let process = rig.sound();
    rig.run_until(&process, |migration| migration.state.name() == "post-migrating").await.unwrap();
    let late = intercept(&process, "b").unwrap();
    let id = rig.migrations().await.values().next().unwrap().id;
    process.conductor.wish(id, Wish::Abort).await.unwrap();
    rig.run(&process).await.unwrap();
    process.agents["b"].handle(late).await;
    let Some(Notification::Report { report: Report::Overtaken { by }, .. }) = said(&process) else {
        panic!("both generations are told")
    };
    assert!(by.asked < by.held, "{by}");
    hear_all(&process).await;
    rig.everything_is_as_before().await;
}

#[tokio::test]
async fn what_an_agent_says_of_an_unknown_migration_changes_nothing() {
    let rig = Rig::new(&[], MANUAL, 1).await;
    let process = rig.sound();
    let stranger = Notification::Report {
        host: "b".into(),
        migration: MigrationId(Uuid::from_u128(9)),
        generation: Generation(1),
        report: Report::Started { but: None },
        figures: Figures::default(),
    };
    process.conductor.hear(stranger).await.unwrap();
    rig.everything_is_as_before().await;
}

#[tokio::test]
async fn nothing_is_started_once_the_lease_is_over() {
    let mut rig = Rig::new(&LINES[..1], MANUAL, 1).await;
    let process = rig.sound();
    rig.run_until(&process, |migration| migration.state.name() == "post-migrating").await.unwrap();
    let late = intercept(&process, "b").unwrap();
    rig.clock.advance(LEASE);
    process.agents["b"].handle(late).await;
    assert!(said(&process).is_none());
    assert!(rig.simulation.world().running(&"cold".into()).is_empty());
    rig.run(&process).await.unwrap();
    assert_eq!(rig.simulation.world().running(&"cold".into()), ["b".into()], "a new lease brings it there");
}

/// The states a migration of the instance "cold" went through.
async fn path(rig: &Rig) -> Vec<String> {
    let id = rig.store.migrations().await.unwrap()[0].id;
    rig.store.journal(id).await.unwrap().into_iter().map(|entry| entry.state).collect()
}

#[tokio::test]
async fn both_ways_in_go_through_the_same_states() {
    let mut chosen = Rig::new(&LINES[..1], MANUAL, 1).await;
    let process = chosen.sound();
    chosen.run(&process).await.unwrap();

    let mut unaware = Rig::new(&[], MANUAL, 1).await;
    let process = unaware.sound();
    let prep = Prep { instance: "cold".into(), source: "a".into(), target: None, mode: MoveMode::Cold, flavor: None };
    process.bus.cast(Cast::Prep { to: "b".into(), prep: prep.clone() }).await;
    process.bus.cast(Cast::Prep { to: "b".into(), prep }).await;
    unaware.run(&process).await.unwrap();

    assert_eq!(path(&unaware).await, path(&chosen).await);
    assert_eq!(path(&chosen).await.last().map(String::as_str), Some("verify-migration"));
    assert_eq!(unaware.store.migrations().await.unwrap().len(), 1, "asked twice, it moves once");
    unaware.everything_is_settled().await;
}

#[tokio::test]
async fn a_source_asked_without_a_target_refuses_and_says_why() {
    let rig = Rig::new(&[], MANUAL, 1).await;
    let process = rig.sound();
    let prep = Prep { instance: "cold".into(), source: "a".into(), target: None, mode: MoveMode::Cold, flavor: None };
    process.agents["a"].handle(Cast::Prep { to: "a".into(), prep }).await;
    assert!(matches!(said(&process), Some(Notification::Refused { .. })));
    hear_all(&process).await;
    assert!(rig.store.migrations().await.unwrap().is_empty());
}

/// A cold move of one instance, arrived and awaiting a person; its migration.
async fn arrived(seed: u64) -> (Rig, MigrationId) {
    let mut rig = Rig::new(&LINES[..1], MANUAL, seed).await;
    let process = rig.sound();
    rig.run(&process).await.unwrap();
    let id = rig.migrations().await.values().next().unwrap().id;
    (rig, id)
}

async fn is_refused(rig: &mut Rig, id: MigrationId, wish: Wish, why: &str) {
    let process = rig.sound();
    process.conductor.wish(id, wish).await.unwrap();
    rig.run(&process).await.unwrap();
    let migration = rig.store.migration(id).await.unwrap();
    assert!(is_awaited(&migration), "{wish}: {migration:?}");
    let cause = migration.cause.unwrap().to_string();
    assert!(cause.contains(why), "{wish}: {cause}");
}

#[tokio::test]
async fn a_person_s_confirmation_destroys_nothing_where_the_target_has_lost_the_copy() {
    for wish in [Wish::Confirm, Wish::ConfirmAnyway] {
        let (mut rig, id) = arrived(1).await;
        rig.simulation.world().lose(&"b".into(), &"cold".into());
        rig.lost = true;
        is_refused(&mut rig, id, wish, "its overlay is not there").await;
        let world = rig.simulation.world();
        assert_eq!(world.writes(&"a".into(), &"cold".into()).1, Some(world.writes(&"a".into(), &"cold".into()).0));
    }
}

#[tokio::test]
async fn a_guest_that_is_down_is_confirmed_only_anyway() {
    let (mut rig, id) = arrived(1).await;
    rig.simulation.drivers()["b"].hypervisor.shutdown(&"cold".into()).await.unwrap();
    is_refused(&mut rig, id, Wish::Confirm, "its guest does not run").await;
    let process = rig.sound();
    process.conductor.wish(id, Wish::ConfirmAnyway).await.unwrap();
    rig.run(&process).await.unwrap();
    assert_eq!(outcomes(&rig).await, [Some(MigrationOutcome::Confirmed)]);
    assert_eq!(rig.simulation.world().traces(&"cold".into()), ["b".into()]);
}

#[tokio::test]
async fn what_arrived_in_two_layers_is_merged_once_it_is_confirmed() {
    let (mut rig, id) = arrived(1).await;
    assert!(rig.simulation.world().is_frozen(&"b".into(), &"cold".into()));
    let process = rig.sound();
    process.conductor.wish(id, Wish::Confirm).await.unwrap();
    rig.run(&process).await.unwrap();
    assert!(!rig.simulation.world().is_frozen(&"b".into(), &"cold".into()));
    rig.everything_is_settled().await;
}

/// The target has started the guest, and before anybody heard of it something goes wrong there.
#[tokio::test]
async fn what_has_executed_at_the_target_is_not_undone_by_a_failure_or_by_a_call_to_stop() {
    for abort in [false, true] {
        let mut rig = Rig::new(&LINES[..1], MANUAL, 1).await;
        let process = rig.sound();
        rig.run_until(&process, |migration| migration.state.name() == "post-migrating").await.unwrap();
        let build = intercept(&process, "b").unwrap();
        let id = rig.migrations().await.values().next().unwrap().id;
        process.agents["b"].handle(build.clone()).await;
        while said(&process).is_some() {}
        let instance = InstanceId::new("cold");
        if abort {
            process.conductor.wish(id, Wish::Abort).await.unwrap();
        } else {
            rig.simulation.drivers()["b"].hypervisor.shutdown(&instance).await.unwrap();
            rig.simulation.world().lose(&"b".into(), &instance);
            rig.lost = true;
            process.agents["b"].handle(build).await;
            hear_all(&process).await;
        }
        rig.run(&process).await.unwrap();
        let migration = rig.store.migration(id).await.unwrap();
        assert!(is_awaited(&migration), "abort {abort}: {migration:?}");
        assert!(migration.cause.is_some(), "it is said why");
        assert_eq!(rig.simulation.world().running(&instance).len(), usize::from(abort), "the source starts nothing");
        if abort {
            process.conductor.wish(id, Wish::Revert).await.unwrap();
            rig.run(&process).await.unwrap();
            assert_eq!(rig.simulation.world().running(&instance), ["a".into()], "a person may");
        }
    }
}

#[tokio::test]
async fn a_store_that_has_forgotten_says_so_and_has_nothing_more_done() {
    let mut rig = Rig::new(&LINES[..1], MANUAL, 1).await;
    let process = rig.sound();
    rig.run_until(&process, |migration| migration.state.name() == "migrating").await.unwrap();
    let instance = InstanceId::new("cold");
    let later = rig.store.migrations().await.unwrap()[0].generation.0 + 5;
    drop(rig.simulation.drivers()["a"].hypervisor.fence(&instance, Generation(later)).await.unwrap());
    rig.run(&process).await.unwrap();
    let migration = rig.store.migrations().await.unwrap().remove(0);
    let MigrationState::Overtaken { by, .. } = &migration.state else { panic!("{migration:?}") };
    assert_eq!((by.host.as_str(), by.held), ("a", Generation(later)));
    process.conductor.wish(migration.id, Wish::Abort).await.unwrap();
    rig.run(&process).await.unwrap();
    assert_eq!(outcomes(&rig).await, [Some(MigrationOutcome::Aborted)]);
    assert_eq!(rig.simulation.world().running(&instance), ["a".into()], "nothing was touched");
}

/// Shuts the instance down as its user would once its migration is as `at` says, then lets it go on.
async fn shut_down_on_the_way(mode: &str, at: impl Fn(&Migration) -> bool, wish: Option<Wish>) -> (Rig, Migration) {
    let mut rig = Rig::new(&[("suspend", "a", "b", mode, None, &[])], MANUAL, 1).await;
    let process = rig.sound();
    rig.run_until(&process, at).await.unwrap();
    rig.simulation.world().power_off(&"suspend".into());
    if let Some(wish) = wish {
        let id = rig.migrations().await.into_values().next().unwrap().id;
        process.conductor.wish(id, wish).await.unwrap();
    }
    rig.run(&process).await.unwrap();
    assert_eq!(rig.simulation.world().running(&"suspend".into()), [], "it was started again");
    rig.everything_is_settled().await;
    let migration = rig.migrations().await.into_values().next().unwrap();
    let (instance, _) = rig.store.instance(&"suspend".into()).await.unwrap().unwrap();
    assert_eq!(instance.state, InstanceState::Stopped, "its record says that it runs: {migration:?}");
    (rig, migration)
}

#[tokio::test]
async fn a_guest_that_its_user_shuts_down_on_the_way_is_carried_over_and_stays_down() {
    for mode in ["cold", "suspend"] {
        for at in ["migrating", "migrating-step2"] {
            let (_, migration) = shut_down_on_the_way(mode, |migration| migration.state.name() == at, None).await;
            assert!(is_awaited(&migration), "{mode} {at}: {migration:?}");
            assert!(!migration.subject.runs && migration.figures.started_at.is_none(), "{migration:?}");
        }
    }
}

#[tokio::test]
async fn a_guest_that_its_user_shuts_down_on_the_way_stays_down_on_every_way_back() {
    for (at, wish) in [("migrating", Wish::Abort), ("migrating-step2", Wish::Abort), ("verify-migration", Wish::Revert)]
    {
        let state = |migration: &Migration| migration.state.name() == at;
        let (_, migration) = shut_down_on_the_way("suspend", state, Some(wish)).await;
        assert_eq!(migration.state.outcome(), Some(wish.outcome()), "{at}");
    }
    let awaited = |migration: &Migration| migration.state.name() == "verify-migration";
    let (_, migration) = shut_down_on_the_way("suspend", awaited, Some(Wish::Confirm)).await;
    assert_eq!(migration.state.outcome(), Some(MigrationOutcome::Confirmed));
}

#[tokio::test]
async fn an_abort_that_comes_before_the_source_has_looked_starts_nothing_that_was_down() {
    let mut rig = Rig::new(&LINES[..1], MANUAL, 1).await;
    rig.simulation.world().lose_power(&"cold".into());
    let process = rig.sound();
    // The cast waits for its source: nobody has looked yet.
    rig.run_until(&process, |migration| migration.state == MigrationState::PreMigrating).await.unwrap();
    let id = rig.migrations().await.into_values().next().unwrap().id;
    process.conductor.wish(id, Wish::Abort).await.unwrap();
    rig.run(&process).await.unwrap();
    assert_eq!(outcomes(&rig).await, [Some(MigrationOutcome::Aborted)]);
    assert_eq!(rig.simulation.world().running(&"cold".into()), []);
}
