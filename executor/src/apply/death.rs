//! Hosts that die, and hosts that come back.

use std::path::Path;

use decant_schema::fleet::FleetDocument;
use decant_schema::id::{HostName, InstanceId};
use decant_schema::migration::{Death, DeathProof, Generation, Migration};
use decant_schema::store::{Store, StoreError};

use super::{ApplyError, session};
use crate::clock::{Clock, SystemClock};
use crate::driver::HostDriver;
use crate::hypervisor::{Copy, Discard, Disk};

/// Records that a host is dead, and how that is known; from then on its part of every migration counts as done, and its
/// instances may be rebuilt elsewhere. Works beside a process that conducts the store.
///
/// `driver` is how the host would be reached: one where a guest is seen to run is not dead.
pub async fn declare_dead(
    store: &Path,
    host: &HostName,
    proof: DeathProof,
    driver: Option<&HostDriver>,
) -> Result<Death, ApplyError> {
    let store = session::look(store).await?;
    let fleet = store.fleet().await?;
    if !fleet.hosts.iter().any(|known| known.name == *host) {
        return Err(StoreError::NoHost(host.clone()).into());
    }
    if let Some(driver) = driver {
        let instances = running(driver, &fleet).await;
        if !instances.is_empty() {
            return Err(ApplyError::Alive { host: host.clone(), instances });
        }
    }
    let death = Death { host: host.clone(), proof, declared_at: SystemClock.now() };
    store.declare_dead(&death).await?;
    Ok(death)
}

/// The instances that are seen to run on a host; what cannot be looked at is not seen.
async fn running(driver: &HostDriver, fleet: &FleetDocument) -> Vec<InstanceId> {
    let mut running = Vec::new();
    for instance in &fleet.instances {
        if let Ok(held) = driver.hypervisor.observe(&instance.id).await
            && matches!(held.copy, Copy::Running(_))
        {
            running.push(instance.id.clone());
        }
    }
    running
}

/// The hosts a store holds for dead.
pub async fn deaths(store: &Path) -> Result<Vec<Death>, ApplyError> {
    Ok(session::look(store).await?.deaths().await?.into_values().collect())
}

/// Puts aside, on a host that was dead and is back, every copy that has a life elsewhere: before anything is started
/// there. A copy whose record is on this host, or that a migration may still go back to, stays.
pub(super) async fn welcome_back(store: &Store, host: &HostName, driver: &HostDriver) -> Result<(), ApplyError> {
    if !store.has_fleet().await? {
        return Ok(());
    }
    let moving = store.unfinished_migrations().await?;
    for instance in store.fleet().await?.instances {
        let has_part = |migration: &Migration| {
            migration.subject.instance == instance.id
                && (migration.subject.source() == host || migration.subject.target() == host)
        };
        if instance.host == *host || moving.iter().any(has_part) {
            continue;
        }
        let disk = Disk::of(instance.storage.as_ref());
        let obeyed = store.generation(&instance.id).await?;
        let put_aside = put_aside(driver, &instance.id, &disk, obeyed).await;
        put_aside.map_err(|source| ApplyError::StaleCopy { host: host.clone(), instance: instance.id, source })?;
    }
    Ok(store.record_return(host).await?)
}

/// From here on no older order is obeyed for it, whoever may still send one.
async fn put_aside(
    driver: &HostDriver,
    instance: &InstanceId,
    disk: &Disk,
    obeyed: Generation,
) -> Result<(), crate::hypervisor::HypervisorError> {
    let held = driver.hypervisor.observe(instance).await?;
    if held.copy == Copy::Nothing {
        return Ok(());
    }
    let _alone = driver.hypervisor.fence(instance, obeyed.max(held.fence)).await?;
    driver.hypervisor.destroy(instance, disk, Discard::PutAside).await
}
