//! Hosts that die and come back, and hosts that know more than the store.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::rig::{LINES, Line, fleet, plan};
use decant_executor::apply::{ApplyError, ApplyJob, ApplyOptions, ApplyReport, ConfirmPolicy, Discrepancy};
use decant_executor::clock::SystemClock;
use decant_executor::hypervisor::AdoptError;
use decant_executor::hypervisor::simulated::{SimulatedOptions, Simulation};
use decant_executor::{Drivers, apply, deaths, decide, declare_dead, import, list, take_over};
use decant_schema::fleet::Fleet;
use decant_schema::id::HostName;
use decant_schema::migration::{DeathProof, MigrationOutcome, MigrationState, Wish};
use decant_schema::plan::Plan;
use uuid::Uuid;

const AT_ONCE: ConfirmPolicy = ConfirmPolicy::Auto { after: Duration::ZERO };

struct Site {
    folder: tempfile::TempDir,
    simulation: Simulation,
}

impl Site {
    async fn new() -> Self {
        let simulation = Simulation::new(&fleet(), Arc::new(SystemClock), SimulatedOptions::default());
        let site = Self { folder: tempfile::tempdir().unwrap(), simulation };
        import(&site.store(), &fleet()).await.unwrap();
        site
    }

    fn store(&self) -> PathBuf {
        self.folder.path().join("store.db")
    }

    /// A copy of the store as it is now.
    fn copy_of_store(&self) -> PathBuf {
        for ending in ["", "-wal"] {
            let from = self.folder.path().join(format!("store.db{ending}"));
            if from.exists() {
                std::fs::copy(from, self.folder.path().join(format!("copy.db{ending}"))).unwrap();
            }
        }
        self.folder.path().join("copy.db")
    }

    fn without(&self, dead: &str) -> Drivers {
        let mut drivers = self.simulation.drivers();
        drivers.retain(|host, _| host.as_str() != dead);
        drivers
    }

    async fn declare(&self, host: &str) {
        declare_dead(&self.store(), &host.into(), word(), None).await.unwrap();
    }

    async fn apply(
        &self,
        store: &Path,
        lines: &[Line<'_>],
        number: u128,
        confirm: ConfirmPolicy,
        drivers: Drivers,
    ) -> Result<ApplyReport, ApplyError> {
        let known = Fleet::from_document(decant_executor::fleet(store).await.unwrap()).unwrap();
        let plan = Plan { id: Uuid::from_u128(number), fleet_digest: known.digest(), ..plan(lines) };
        let options = ApplyOptions { confirm, ..ApplyOptions::default() };
        let (moves, fleet, judge, progress) = (None, None, &|_: &Fleet, _: &_| Vec::new(), Arc::new(|_| {}));
        apply(ApplyJob { plan: &plan, moves, fleet, judge, store, drivers, options, progress }).await
    }
}

fn word() -> DeathProof {
    DeathProof::Word { by: "Ada".to_owned() }
}

#[tokio::test]
async fn what_was_on_a_host_is_rebuilt_only_with_a_proof_of_its_death() {
    let site = Site::new().await;
    let store = site.store();
    let rebuild = || site.apply(&store, &LINES[8..], 1, AT_ONCE, site.without("down"));
    let refused = rebuild().await.unwrap_err();
    assert!(matches!(&refused, ApplyError::Unproven { hosts } if *hosts == [HostName::new("down")]), "{refused}");
    assert!(list(&site.store()).await.unwrap().is_empty());
    site.declare("down").await;
    assert!(rebuild().await.unwrap().is_complete());
    let death = list(&site.store()).await.unwrap().pop().unwrap().death.unwrap();
    assert_eq!((death.host.as_str(), death.proof), ("down", word()));
}

#[tokio::test]
async fn a_host_where_a_guest_is_seen_to_run_is_not_dead() {
    let site = Site::new().await;
    let (host, drivers) = (HostName::new("a"), site.simulation.drivers());
    let refused = declare_dead(&site.store(), &host, word(), drivers.get(&host)).await.unwrap_err();
    assert!(matches!(&refused, ApplyError::Alive { instances, .. } if instances.len() == 5), "{refused}");
    assert!(deaths(&site.store()).await.unwrap().is_empty());
}

#[tokio::test]
async fn the_clean_ups_of_a_dead_host_count_as_done_and_its_stale_copies_are_put_aside_when_it_is_back() {
    let site = Site::new().await;
    let store = site.store();
    let report = site.apply(&store, &LINES[..1], 1, ConfirmPolicy::Manual, site.simulation.drivers()).await.unwrap();
    let id = report.moves[0].migration.as_ref().unwrap().id;
    site.declare("a").await;
    let (options, progress) = (ApplyOptions::default(), Arc::new(|_| {}));
    let decided = decide(&store, site.without("a"), id, Wish::Confirm, options, progress).await.unwrap();
    assert_eq!(decided.state.outcome(), Some(MigrationOutcome::Confirmed));
    assert_eq!(decided.death.map(|death| death.host), Some("a".into()));
    assert_eq!(site.simulation.world().traces(&"cold".into()), ["a".into(), "b".into()], "nobody was there to do it");
    // It is back: what has a life elsewhere is put aside before anything starts, what has not stays.
    let stays: &[Line<'_>] = &[("stopped", "a", "c", "cold", None, &[])];
    assert!(site.apply(&store, stays, 2, AT_ONCE, site.simulation.drivers()).await.unwrap().is_complete());
    assert_eq!(site.simulation.world().traces(&"cold".into()), ["b".into()]);
    assert_eq!(site.simulation.world().traces(&"suspend".into()), ["a".into()]);
    assert!(deaths(&store).await.unwrap().is_empty());
    assert!(decant_executor::fleet(&store).await.unwrap().hosts[0].up);
    assert!(site.simulation.world().violations().is_empty());
}

#[tokio::test]
async fn a_move_from_a_host_that_died_ends_and_the_instance_waits_for_its_host() {
    let site = Site::new().await;
    let cut = Arc::new(tokio::sync::Notify::new());
    let teller = cut.clone();
    let known = fleet();
    let plan = plan(&LINES[..1]);
    let (store, drivers, options) = (site.store(), site.simulation.drivers(), ApplyOptions::default());
    let (moves, fleet, judge) = (None, Some(&known), &|_: &Fleet, _: &_| Vec::new());
    let progress = Arc::new(move |_| teller.notify_one());
    let job = ApplyJob { plan: &plan, moves, fleet, judge, store: &store, drivers, options, progress };
    tokio::select! {
        biased;
        () = cut.notified() => {}
        _ = apply(job) => panic!("it was to be cut off"),
    }
    site.declare("a").await;
    let id = list(&store).await.unwrap()[0].id;
    let abort = decide(&store, site.without("a"), id, Wish::Abort, options, Arc::new(|_| {})).await;
    // Whether the death or the person ended it first, it is over, and says which host died.
    let over = list(&store).await.unwrap().pop().unwrap();
    assert!(over.state.outcome().is_some(), "{abort:?}: {over:?}");
    assert_eq!(over.death.as_ref().map(|death| &death.host), Some(&"a".into()));
    assert_eq!(over.standing().host.as_str(), "a");
}

/// The store of a backup: it knows nothing of the move that was made since.
#[tokio::test]
async fn a_store_takes_up_what_its_hosts_did_without_it_and_goes_on_from_there() {
    let site = Site::new().await;
    let first: &[Line<'_>] = &[("stopped", "a", "c", "cold", None, &[])];
    site.apply(&site.store(), first, 1, AT_ONCE, site.simulation.drivers()).await.unwrap();
    let copy = site.copy_of_store();
    site.apply(&site.store(), &LINES[..1], 2, AT_ONCE, site.simulation.drivers()).await.unwrap();
    // Of the instance that is elsewhere by now the record says nothing: the store is behind, and that is what is said.
    for (number, lines) in [(3, &LINES[1..2]), (6, &LINES[..1])] {
        let refused = site.apply(&copy, lines, number, AT_ONCE, site.simulation.drivers()).await;
        let refused = refused.map(|report| report.moves.len()).unwrap_err();
        assert!(matches!(&refused, ApplyError::Host { source: AdoptError::Ahead { .. }, .. }), "{refused}");
    }
    let drivers = site.simulation.drivers();
    let found = take_over(&copy, &drivers, false).await.unwrap();
    let elsewhere = Discrepancy::Elsewhere { instance: "cold".into(), recorded: "a".into(), found: "b".into() };
    assert_eq!(found[0], elsewhere);
    assert!(matches!(&found[1], Discrepancy::Obeyed { instance, .. } if instance.as_str() == "cold"), "{found:?}");
    assert_eq!(found.len(), 2, "{found:?}");
    assert_eq!(take_over(&copy, &drivers, false).await.unwrap(), found, "looking changes nothing");
    take_over(&copy, &drivers, true).await.unwrap();
    let further: &[Line<'_>] = &[("cold", "b", "c", "cold", None, &[])];
    assert!(site.apply(&copy, further, 4, AT_ONCE, site.simulation.drivers()).await.unwrap().is_complete());
    let now = site.apply(&site.store(), &LINES[2..3], 5, AT_ONCE, site.simulation.drivers()).await;
    assert!(now.is_err(), "the hosts are the other's now");
    assert!(site.simulation.world().violations().is_empty());
}

/// The store of a backup made while an instance was on its way: the hosts have overtaken that.
#[tokio::test]
async fn a_migration_that_its_hosts_have_overtaken_is_over_once_that_is_taken_up() {
    let site = Site::new().await;
    let store = site.store();
    let report = site.apply(&store, &LINES[..1], 1, ConfirmPolicy::Manual, site.simulation.drivers()).await.unwrap();
    let id = report.moves[0].migration.as_ref().unwrap().id;
    let copy = site.copy_of_store();
    let (options, drivers) = (ApplyOptions::default(), site.simulation.drivers());
    decide(&store, drivers.clone(), id, Wish::Revert, options, Arc::new(|_| {})).await.unwrap();
    take_over(&copy, &drivers, true).await.unwrap();
    let over = list(&copy).await.unwrap().pop().unwrap();
    assert_eq!(over.state.outcome(), Some(MigrationOutcome::Aborted), "{over:?}");
    assert_eq!(over.standing().host.as_str(), "a");
    let again = site.apply(&copy, &LINES[..1], 2, AT_ONCE, site.simulation.drivers()).await.unwrap();
    assert!(again.is_complete(), "{again:?}");
    assert!(site.simulation.world().violations().is_empty());
}

/// It has stopped already, one generation after what its host had obeyed: neither number is greater.
#[tokio::test]
async fn a_migration_that_found_itself_overtaken_is_over_once_that_is_taken_up() {
    let site = Site::new().await;
    let store = site.store();
    let report = site.apply(&store, &LINES[..1], 1, ConfirmPolicy::Manual, site.simulation.drivers()).await.unwrap();
    let awaited = report.moves[0].migration.as_ref().unwrap();
    let (options, drivers) = (ApplyOptions::default(), site.simulation.drivers());
    let obeyed = awaited.generation.next().next();
    drop(drivers["b"].hypervisor.fence(&"cold".into(), obeyed).await.unwrap());
    let refused = decide(&store, drivers.clone(), awaited.id, Wish::Confirm, options, Arc::new(|_| {})).await;
    assert!(matches!(refused, Err(ApplyError::NotGranted { .. })), "{refused:?}");
    let stopped = list(&store).await.unwrap().pop().unwrap();
    assert!(matches!(stopped.state, MigrationState::Overtaken { .. }), "{stopped:?}");
    assert_eq!(stopped.generation, obeyed);
    take_over(&store, &drivers, true).await.unwrap();
    let over = list(&store).await.unwrap().pop().unwrap();
    assert_eq!(over.state.outcome(), Some(MigrationOutcome::Confirmed), "it runs at its target: {over:?}");
    assert_eq!(over.standing().host.as_str(), "b");
}
