#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use decant_schema::fleet::Resources;
use decant_schema::migration::{Attributes, Figures, Generation, MigrationId, Patience, Subject, Terms};
use decant_schema::plan::MoveMode;
use jiff::Timestamp;
use serde_json::json;
use uuid::Uuid;

use super::*;

const MANY: AdmitLimits = AdmitLimits { per_host: 9, by_host: BTreeMap::new(), in_fleet: None };

/// A plan of cold moves, each of its own instance: source, target, after.
fn plan(lines: &[(&str, &str, &[u32])]) -> Plan {
    let moves: Vec<_> = (1..)
        .zip(lines)
        .map(|(id, (source, target, after))| {
            json!({ "id": id, "instance": format!("vm-{id}"), "source": source, "target": target, "mode": "cold",
                    "why": "evacuate", "after": after, "transfer_mb": 1, "start_s": 0.0, "end_s": 1.0 })
        })
        .collect();
    serde_json::from_value(json!({
        "format": "decant.plan/1", "id": Uuid::nil(), "created_at": "2026-11-22T20:00:00Z", "fleet_digest": "",
        "request": { "kind": "evacuate", "hosts": [] }, "outcome": "complete",
        "proof": { "status": "optimal", "stopped_by": null, "seconds": 0.0, "tiers": [] },
        "moves": moves, "refusals": [], "hosts": []
    }))
    .unwrap()
}

fn in_state(plan: &Plan, id: u32, state: MigrationState) -> (MoveId, Migration) {
    let line = plan.moves.iter().find(|line| line.id == MoveId(id)).unwrap();
    let at = |host: &HostName| Attributes {
        host: host.clone(),
        flavor: "small".into(),
        claim: Resources::new(),
        own_claim: false,
    };
    let subject = Subject {
        instance: line.instance.clone(),
        mode: MoveMode::Cold,
        runs: true,
        storage: None,
        old: at(&line.source),
        new: at(&line.target),
        begun: Generation(1),
        heartbeat: None,
    };
    let migration = Migration {
        id: MigrationId(Uuid::from_u128(id.into())),
        line: None,
        subject,
        terms: Terms { lease_ms: 1, confirm_after_ms: None, patience: Patience::USUAL },
        state,
        generation: Generation(1),
        cause: None,
        death: None,
        lease_until: None,
        figures: Figures::default(),
        created_at: Timestamp::UNIX_EPOCH,
        updated_at: Timestamp::UNIX_EPOCH,
    };
    (line.id, migration)
}

fn finished(outcome: MigrationOutcome) -> MigrationState {
    MigrationState::Finished { outcome }
}

const ARRIVED: MigrationState = MigrationState::VerifyMigration { confirm: Confirm::Awaited { automatic_at: None } };

fn decide(plan: &Plan, states: &[(u32, MigrationState)], limits: &AdmitLimits) -> Admission {
    let migrations: Vec<_> = states.iter().map(|(id, state)| in_state(plan, *id, state.clone())).collect();
    let migrations = migrations.iter().map(|(id, migration)| (*id, migration)).collect();
    admit(plan, &migrations, &[], &BTreeMap::new(), limits)
}

fn ids(numbers: &[u32]) -> Vec<MoveId> {
    numbers.iter().copied().map(MoveId).collect()
}

#[test]
fn what_waits_for_nothing_starts() {
    let plan = plan(&[("a", "b", &[]), ("a", "c", &[]), ("c", "b", &[2])]);
    let admission = decide(&plan, &[], &MANY);
    assert_eq!(admission.start, ids(&[1, 2]));
    assert_eq!(admission.waits[&MoveId(3)], Wait::Before { moves: ids(&[2]) });
}

#[test]
fn room_is_free_only_once_its_move_is_confirmed() {
    let plan = plan(&[("a", "b", &[]), ("c", "a", &[1])]);
    let waits = |state| decide(&plan, &[(1, state)], &MANY).waits.remove(&MoveId(2));
    assert_eq!(waits(MigrationState::Migrating), Some(Wait::Before { moves: ids(&[1]) }));
    assert_eq!(waits(ARRIVED), Some(Wait::Confirmation { moves: ids(&[1]) }));
    assert_eq!(waits(finished(MigrationOutcome::Confirmed)), None);
}

#[test]
fn what_needs_the_room_of_an_undone_move_never_starts_nor_what_needs_its_own() {
    let plan = plan(&[("a", "b", &[]), ("c", "a", &[1]), ("d", "c", &[2]), ("e", "f", &[])]);
    for outcome in [MigrationOutcome::Failed, MigrationOutcome::Aborted, MigrationOutcome::Reverted] {
        let admission = decide(&plan, &[(1, finished(outcome))], &MANY);
        assert_eq!(admission.start, ids(&[4]));
        assert_eq!(admission.waits[&MoveId(2)], Wait::Undone { moves: ids(&[1]) });
        assert_eq!(admission.waits[&MoveId(3)], Wait::Undone { moves: ids(&[2]) });
    }
}

#[test]
fn a_refused_move_says_why_and_holds_back_what_needs_it() {
    let plan = plan(&[("a", "b", &[]), ("c", "a", &[1])]);
    let refused = BTreeMap::from([(MoveId(1), "find room".to_owned())]);
    let admission = admit(&plan, &BTreeMap::new(), &[], &refused, &MANY);
    assert_eq!(admission.waits[&MoveId(1)], Wait::Refused { why: "find room".to_owned() });
    assert_eq!(admission.waits[&MoveId(2)], Wait::Undone { moves: ids(&[1]) });
}

#[test]
fn an_instance_makes_its_second_move_after_its_first() {
    let mut plan = plan(&[("a", "b", &[]), ("b", "c", &[])]);
    plan.moves[1].instance = plan.moves[0].instance.clone();
    assert_eq!(decide(&plan, &[], &MANY).start, ids(&[1]));
}

#[test]
fn a_host_takes_part_in_no_more_than_it_may() {
    let plan = plan(&[("a", "b", &[]), ("a", "c", &[]), ("d", "c", &[])]);
    let limits = AdmitLimits { per_host: 1, ..MANY };
    let admission = decide(&plan, &[], &limits);
    assert_eq!(admission.start, ids(&[1, 3]));
    assert_eq!(admission.waits[&MoveId(2)], Wait::HostBusy { host: "a".into() });
    let own = AdmitLimits { by_host: [("a".into(), 2), ("c".into(), 2)].into(), ..limits };
    assert_eq!(decide(&plan, &[], &own).start, ids(&[1, 2, 3]), "what a host says itself counts");
}

#[test]
fn one_that_waits_for_a_person_uses_nobodys_network() {
    let plan = plan(&[("a", "b", &[]), ("a", "c", &[])]);
    let limits = AdmitLimits { per_host: 1, in_fleet: Some(1), ..MANY };
    assert_eq!(decide(&plan, &[(1, ARRIVED)], &limits).start, ids(&[2]));
    let working = decide(&plan, &[(1, MigrationState::Migrating)], &limits);
    assert_eq!(working.waits[&MoveId(2)], Wait::FleetBusy);
}

#[test]
fn a_host_is_busy_as_a_target_too_and_once_with_a_move_that_stays_on_it() {
    let limits = |per_host| AdmitLimits { per_host, ..MANY };
    let to_one = decide(&plan(&[("a", "b", &[]), ("c", "b", &[])]), &[], &limits(1));
    assert_eq!(to_one.waits[&MoveId(2)], Wait::HostBusy { host: "b".into() });
    let in_place = decide(&plan(&[("a", "a", &[]), ("a", "b", &[])]), &[], &limits(2));
    assert_eq!(in_place.start, ids(&[1, 2]));
}

#[test]
fn what_a_move_waits_for_is_named_once_and_in_order() {
    let mut plan = plan(&[("a", "b", &[]), ("c", "d", &[]), ("b", "e", &[2, 1])]);
    plan.moves[2].instance = plan.moves[0].instance.clone();
    assert_eq!(decide(&plan, &[], &MANY).waits[&MoveId(3)], Wait::Before { moves: ids(&[1, 2]) });
}
