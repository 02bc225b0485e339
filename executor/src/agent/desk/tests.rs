#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::future::pending;

use decant_schema::fleet::{Fleet, Resources};
use decant_schema::migration::{Attributes, MigrationId, Patience, Subject, Work};
use decant_schema::plan::MoveMode;
use jiff::Timestamp;
use serde_json::json;
use uuid::Uuid;

use super::*;
use crate::bus::InProcessBus;
use crate::clock::ManualClock;
use crate::hypervisor::simulated::{SimulatedOptions, Simulation};

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn order(generation: u64) -> WorkCast {
    let at = |host: &str| Attributes {
        host: host.into(),
        flavor: "small".into(),
        claim: Resources::new(),
        own_claim: false,
    };
    let subject = Subject {
        instance: "vm".into(),
        mode: MoveMode::Cold,
        runs: true,
        storage: None,
        old: at("a"),
        new: at("b"),
        begun: Generation(1),
        heartbeat: None,
    };
    WorkCast {
        to: "a".into(),
        migration: MigrationId(Uuid::nil()),
        generation: Generation(generation),
        lease_until: Timestamp::MAX,
        subject,
        patience: Patience::USUAL,
        work: Work::Merge,
    }
}

/// The agent of a host on which there is nothing.
fn agent() -> Arc<Agent> {
    let document = json!({
        "format": "decant.fleet/1", "captured_at": NOW, "hosts": [{ "name": "a", "inventory": {} }],
        "flavors": [], "instances": []
    });
    let fleet = Fleet::from_document(serde_json::from_value(document).unwrap()).unwrap();
    let clock = Arc::new(ManualClock::new(NOW));
    let mut drivers = Simulation::new(&fleet, clock.clone(), SimulatedOptions::default()).drivers();
    let (host, driver) = drivers.pop_first().unwrap();
    Arc::new(Agent::new(host, driver, Arc::new(InProcessBus::default()), clock, None))
}

/// A desk with one work, of generation 9, whose lease is over; what is returned with it is held by that work alone.
fn desk(agent: &Agent, ends: bool) -> (Desk, Arc<Lease>, Arc<()>) {
    let (lease, held) = (Arc::new(Lease::new(agent.clock.clone(), NOW)), Arc::new(()));
    let kept = held.clone();
    let task = tokio::spawn(async move {
        if !ends {
            pending::<()>().await;
        }
        drop(kept);
    });
    let underway = Underway { generation: Generation(9), lease: lease.clone(), task };
    (Desk { works: [("vm".into(), underway)].into() }, lease, held)
}

fn at_work(desk: &Desk) -> &Underway {
    &desk.works[&InstanceId::from("vm")]
}

#[tokio::test]
async fn the_same_order_again_renews_the_lease_of_the_work_under_way() {
    let agent = agent();
    let (mut desk, lease, held) = desk(&agent, false);
    assert!(lease.check().is_err());
    desk.take(&agent, order(9)).await;
    assert!(lease.check().is_ok());
    assert!(Arc::ptr_eq(&at_work(&desk).lease, &lease), "it was begun anew");
    assert_eq!(Arc::strong_count(&held), 2);
    let sooner = WorkCast { lease_until: NOW, ..order(9) };
    desk.take(&agent, sooner).await;
    assert!(lease.check().is_ok(), "an order that comes late shortens nothing");
}

#[tokio::test]
async fn an_order_of_the_past_changes_nothing_of_the_work_under_way() {
    let agent = agent();
    let (mut desk, lease, held) = desk(&agent, false);
    desk.take(&agent, order(8)).await;
    assert_eq!(at_work(&desk).generation, Generation(9));
    assert!(lease.check().is_err());
    assert_eq!(Arc::strong_count(&held), 2, "it was ended");
}

#[tokio::test]
async fn a_newer_order_begins_once_the_older_work_has_ended() {
    let agent = agent();
    let (mut desk, _, held) = desk(&agent, false);
    desk.take(&agent, order(10)).await;
    assert_eq!(at_work(&desk).generation, Generation(10));
    assert_eq!(Arc::strong_count(&held), 1, "two works of one instance");
}

#[tokio::test]
async fn what_has_ended_is_begun_anew_when_it_is_asked_again() {
    let agent = agent();
    let (mut desk, lease, held) = desk(&agent, true);
    while Arc::strong_count(&held) > 1 {
        tokio::task::yield_now().await;
    }
    desk.take(&agent, order(9)).await;
    assert!(!Arc::ptr_eq(&at_work(&desk).lease, &lease));
}

#[tokio::test]
async fn works_end_with_their_desk() {
    let agent = agent();
    let (desk, _, held) = desk(&agent, false);
    drop(desk);
    tokio::task::yield_now().await;
    assert_eq!(Arc::strong_count(&held), 1);
}
