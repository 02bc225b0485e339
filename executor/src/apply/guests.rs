//! Hosts, flavors and guests that people add one by one, and what they have a guest do.
//!
//! A guest's record and its copy are changed by the process that conducts the store and by no other, on hosts that were
//! asked whether they know more than the store. So a guest is started only where the record says that it is, while no
//! migration of it is under way, and while none of it runs elsewhere.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use decant_schema::fleet::{Flavor, Fleet, FleetDocument, Heartbeat, Host, Instance, InstanceState, Mobility};
use decant_schema::id::{FlavorName, HostName, InstanceId, ResourceClass};
use decant_schema::machine::Machine;
use decant_schema::migration::Patience;
use decant_schema::store::{Place, Store};
use decant_schema::units::mib;
use thiserror::Error;

use super::ApplyError;
use super::session::{self, Held};
use crate::clock::{Clock, SystemClock};
use crate::driver::{Drivers, HostDriver};
use crate::hypervisor::qemu::{Image, Qemu};
use crate::hypervisor::{Copy, Disk, Ending, GIB, GuestSize, GuestSpec, HypervisorError, Mismatch};
use crate::layout::make_parent;

/// Why a guest is not defined, adopted, started or stopped; nothing was changed.
#[derive(Debug, Error)]
pub enum GuestRefusal {
    /// There is an instance of this id.
    #[error("{instance} is an instance already, on {host}")]
    Known {
        /// The instance.
        instance: InstanceId,
        /// Where it is.
        host: HostName,
    },
    /// There is no instance of this id or name.
    #[error("there is no instance {instance}")]
    Unknown {
        /// What was asked for.
        instance: InstanceId,
    },
    /// There is no flavor of this name.
    #[error("there is no flavor {flavor}")]
    NoFlavor {
        /// What was asked for.
        flavor: FlavorName,
    },
    /// It is in a migration, which alone says what becomes of it.
    #[error("{instance} is in a migration")]
    Moving {
        /// The instance.
        instance: InstanceId,
    },
    /// Its files are on a host, and no record says so.
    #[error("{host} has an instance {instance} that is on no record")]
    There {
        /// The instance.
        instance: InstanceId,
        /// The host.
        host: HostName,
    },
    /// There is nothing of it on the host.
    #[error("{host} has nothing of {instance}")]
    Nothing {
        /// The instance.
        instance: InstanceId,
        /// The host.
        host: HostName,
    },
    /// It runs where its record does not say.
    #[error("{instance} runs on {host}")]
    RunsElsewhere {
        /// The instance.
        instance: InstanceId,
        /// The host.
        host: HostName,
    },
    /// It is not as large as its flavor.
    #[error("{instance}: {found}, and {flavor} has {wanted}")]
    OtherSize {
        /// The instance.
        instance: InstanceId,
        /// Its size.
        found: GuestSize,
        /// The flavor.
        flavor: FlavorName,
        /// The flavor's size.
        wanted: GuestSize,
    },
}

/// A guest to be made.
#[derive(Clone, Debug)]
pub struct NewGuest {
    /// Its id.
    pub instance: InstanceId,
    /// Where.
    pub host: HostName,
    /// Its size.
    pub flavor: FlavorName,
    /// How it may move.
    pub mobility: Mobility,
    /// How it shows that it lives, if it does.
    pub heartbeat: Option<Heartbeat>,
}

/// What a guest that was asked to stop did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stopped {
    /// It was down.
    Already,
    /// It obeyed its power button, after so long.
    After(Duration),
    /// It did not, and was cut off.
    CutOff,
    /// Its process was killed without a word to it.
    Killed,
}

/// A guest, as it is on record and as it is.
#[derive(Debug)]
pub struct GuestSeen {
    /// Its record.
    pub instance: Instance,
    /// What is on its host; none where that cannot be reached.
    pub copy: Option<Result<Copy, HypervisorError>>,
    /// Whether a migration of it is under way.
    pub moving: bool,
}

/// What became of a guest of a machine that was started anew.
#[derive(Debug)]
pub enum Restart {
    /// It runs again.
    Started,
    /// It had ended before the machine did: that was its own doing, or somebody's.
    EndedBefore,
    /// A migration of it is under way, which alone says where it runs.
    Moving,
    /// Its host is not here.
    NotHere,
    /// It could not be started.
    Failed(String),
}

/// Adds hosts of this machine to a store, each with its folder; makes the store where there is none. A host the store's fleet
/// has already keeps what that says of it.
///
/// # Errors
/// Where the fleet would not be accepted at the door with them; nothing is added then.
pub async fn add_hosts(path: &Path, hosts: &[(Host, Place)]) -> Result<(), ApplyError> {
    let store = open(path).await?;
    let mut fleet = store.fleet_or_nothing().await?;
    let known: BTreeSet<HostName> = fleet.hosts.iter().map(|host| host.name.clone()).collect();
    let new: Vec<&Host> = hosts.iter().map(|(host, _)| host).filter(|host| !known.contains(&host.name)).collect();
    fleet.hosts.extend(new.iter().map(|host| (*host).clone()));
    is_a_fleet(fleet)?;
    for host in new {
        store.add_host(host).await?;
    }
    for (host, place) in hosts {
        store.add_place(&host.name, place).await?;
    }
    Ok(())
}

/// Where a store knows hosts of this machine to be; nowhere, where there is no store.
pub async fn places(path: &Path) -> Result<BTreeMap<HostName, Place>, ApplyError> {
    if path.exists() { Ok(session::look(path).await?.places().await?) } else { Ok(BTreeMap::new()) }
}

/// Gives a store's fleet a flavor, or the flavor of this name other amounts.
///
/// # Errors
/// Where the fleet would not be accepted at the door with it; nothing is changed then.
pub async fn add_flavor(path: &Path, flavor: &Flavor) -> Result<(), ApplyError> {
    let store = open(path).await?;
    let mut fleet = store.fleet_or_nothing().await?;
    fleet.flavors.retain(|known| known.name != flavor.name);
    fleet.flavors.push(flavor.clone());
    is_a_fleet(fleet)?;
    Ok(store.add_flavor(flavor).await?)
}

/// Makes a guest from images, one for each disk of its machine, down, and puts it on record. Its flavor says how large the
/// first one is to be. `qemu` is the driver of its host.
pub async fn define_guest(
    store: &Path,
    drivers: &Drivers,
    qemu: &Qemu,
    guest: &NewGuest,
    mut images: Vec<Image>,
    machine: &Machine,
) -> Result<(), ApplyError> {
    let held = hold_for(store, drivers, &guest.host).await?;
    let (record, size, disk) = record(&held.store, guest).await?;
    for (host, driver) in drivers {
        if matches!(observe(host, driver, &guest.instance).await?, Copy::Stopped(_) | Copy::Running(_)) {
            return Err(GuestRefusal::There { instance: guest.instance.clone(), host: host.clone() }.into());
        }
    }
    let driver = reach(drivers, &guest.host)?;
    let _alone = fence(&guest.host, driver, &guest.instance).await?;
    let failed = |source| ApplyError::Driver { host: guest.host.clone(), source };
    if let Some(first) = images.first_mut() {
        first.size = first.size.or(disk);
    }
    let bytes = qemu.import(&guest.instance, &images, machine).await.map_err(failed)?;
    let spec = GuestSpec { instance: guest.instance.clone(), size, disk: Disk::Local, built_by: None };
    driver.hypervisor.create(&spec).await.map_err(failed)?;
    let record = Instance { local_disk_mb: mib(bytes.div_ceil(1 << 20)), ..record };
    put_on_record(&held.store, record).await
}

/// Puts an instance on record whose files are on a host already, running or not.
pub async fn adopt_guest(store: &Path, drivers: &Drivers, guest: &NewGuest) -> Result<InstanceState, ApplyError> {
    let held = hold_for(store, drivers, &guest.host).await?;
    let (record, wanted, _) = record(&held.store, guest).await?;
    runs_nowhere_else(drivers, &record).await?;
    let driver = reach(drivers, &guest.host)?;
    let _alone = fence(&guest.host, driver, &guest.instance).await?;
    let state = match observe(&guest.host, driver, &guest.instance).await? {
        Copy::Nothing => {
            return Err(GuestRefusal::Nothing { instance: guest.instance.clone(), host: guest.host.clone() }.into());
        }
        Copy::Incoming => {
            let spec = GuestSpec { instance: guest.instance.clone(), size: wanted, disk: Disk::Local, built_by: None };
            let made = driver.hypervisor.create(&spec).await;
            made.map_err(|source| ApplyError::Driver { host: guest.host.clone(), source })?;
            InstanceState::Stopped
        }
        copy @ (Copy::Stopped(_) | Copy::Running(_)) => {
            let runs = matches!(copy, Copy::Running(_));
            if let Err(Mismatch::Size { found, .. }) = copy.is_as_recorded(wanted, runs) {
                let (instance, flavor) = (guest.instance.clone(), guest.flavor.clone());
                return Err(GuestRefusal::OtherSize { instance, found, flavor, wanted }.into());
            }
            if runs { InstanceState::Active } else { InstanceState::Stopped }
        }
    };
    put_on_record(&held.store, Instance { state, ..record }).await?;
    Ok(state)
}

/// Starts a guest where its record says that it is. Returns whether it was down.
pub async fn start_guest(store: &Path, drivers: &Drivers, instance: &InstanceId) -> Result<bool, ApplyError> {
    let record = on_record(&session::look(store).await?, instance).await?;
    let held = hold_for(store, drivers, &record.host).await?;
    start(&held.store, drivers, instance).await
}

/// Presses a guest's power button, and cuts off one that does not obey within this time.
pub async fn stop_guest(
    store: &Path,
    drivers: &Drivers,
    instance: &InstanceId,
    within: Duration,
) -> Result<Stopped, ApplyError> {
    let record = on_record(&session::look(store).await?, instance).await?;
    let held = hold_for(store, drivers, &record.host).await?;
    let record = at_rest(&held.store, instance).await?;
    let driver = reach(drivers, &record.host)?;
    let _alone = fence(&record.host, driver, instance).await?;
    held.store.set_state(instance, InstanceState::Stopped, SystemClock.now()).await?;
    if !matches!(observe(&record.host, driver, instance).await?, Copy::Running(_)) {
        return Ok(Stopped::Already);
    }
    let began = Instant::now();
    let guest_ms = u32::try_from(within.as_millis()).unwrap_or(u32::MAX);
    let patience = Patience { guest_ms, ..Patience::USUAL };
    match driver.hypervisor.shutdown_within(instance, patience).await {
        Ok(Ending::CutOff) => Ok(Stopped::CutOff),
        Ok(Ending::ByUser | Ending::Obeyed | Ending::Unknown) => Ok(Stopped::After(began.elapsed())),
        Err(source) => {
            // It is no more down than before, as far as that can be seen; else the record says that it is to be.
            if matches!(observe(&record.host, driver, instance).await, Ok(Copy::Running(_))) {
                held.store.set_state(instance, record.state, SystemClock.now()).await?;
            }
            Err(ApplyError::Driver { host: record.host, source })
        }
    }
}

/// Ends the process of a guest that may hear nothing any more, as a power failure would. `qemu` is the driver of its host.
pub async fn kill_guest(
    store: &Path,
    drivers: &Drivers,
    qemu: &Qemu,
    instance: &InstanceId,
) -> Result<Stopped, ApplyError> {
    let record = on_record(&session::look(store).await?, instance).await?;
    let held = hold_for(store, drivers, &record.host).await?;
    let record = at_rest(&held.store, instance).await?;
    let killed = qemu.kill(instance).await;
    let killed = killed.map_err(|source| ApplyError::Driver { host: record.host.clone(), source })?;
    held.store.set_state(instance, InstanceState::Stopped, SystemClock.now()).await?;
    Ok(if killed { Stopped::Killed } else { Stopped::Already })
}

/// Starts what ran when the machine of its host last went down, as far as it is on record as running and no migration of it
/// is under way. What is down for another reason is left and told.
pub async fn start_after_reboot(store: &Path, drivers: &Drivers) -> Result<BTreeMap<InstanceId, Restart>, ApplyError> {
    let held = session::hold(store).await?;
    held.adopt(drivers).await?;
    let moving = held.store.moving().await?;
    let mut all = BTreeMap::new();
    for instance in held.store.fleet().await?.instances {
        if instance.state != InstanceState::Active {
            continue;
        }
        let became = if moving.contains(&instance.id) {
            Some(Restart::Moving)
        } else {
            restart(&held.store, drivers, &instance).await
        };
        all.extend(became.map(|became| (instance.id, became)));
    }
    Ok(all)
}

/// What becomes of one that is on record as running; nothing where it runs.
async fn restart(store: &Store, drivers: &Drivers, instance: &Instance) -> Option<Restart> {
    let Some(driver) = drivers.get(&instance.host) else { return Some(Restart::NotHere) };
    let failed = |error: &dyn std::error::Error| Some(Restart::Failed(crate::causes::in_one_line(error)));
    match driver.hypervisor.observe(&instance.id).await {
        Ok(held) if matches!(held.copy, Copy::Running(_)) => return None,
        Ok(_) => {}
        Err(error) => return failed(&error),
    }
    match driver.hypervisor.ended_with_its_machine(&instance.id).await {
        Ok(true) => {}
        Ok(false) => return Some(Restart::EndedBefore),
        Err(error) => return failed(&error),
    }
    match start(store, drivers, &instance.id).await {
        Ok(_) => Some(Restart::Started),
        Err(error) => failed(&error),
    }
}

/// Every guest, as on record and as it is; changes nothing.
pub async fn guests(store: &Path, drivers: &Drivers) -> Result<Vec<GuestSeen>, ApplyError> {
    let store = session::look(store).await?;
    let moving = store.moving().await?;
    let mut all = Vec::new();
    for instance in store.fleet_or_nothing().await?.instances {
        let copy = match drivers.get(&instance.host) {
            Some(driver) => Some(driver.hypervisor.observe(&instance.id).await.map(|held| held.copy)),
            None => None,
        };
        let moving = moving.contains(&instance.id);
        all.push(GuestSeen { instance, copy, moving });
    }
    Ok(all)
}

async fn start(store: &Store, drivers: &Drivers, instance: &InstanceId) -> Result<bool, ApplyError> {
    let record = at_rest(store, instance).await?;
    runs_nowhere_else(drivers, &record).await?;
    let driver = reach(drivers, &record.host)?;
    let _alone = fence(&record.host, driver, instance).await?;
    let copy = observe(&record.host, driver, instance).await?;
    let wanted = GuestSize::from(&claim_of(store, instance).await?);
    let runs = matches!(copy, Copy::Running(_));
    match copy.is_as_recorded(wanted, runs) {
        Err(Mismatch::Absent) => {
            return Err(GuestRefusal::Nothing { instance: instance.clone(), host: record.host.clone() }.into());
        }
        Err(Mismatch::Size { found, .. }) => {
            let (instance, flavor) = (instance.clone(), record.flavor.clone());
            return Err(GuestRefusal::OtherSize { instance, found, flavor, wanted }.into());
        }
        Err(Mismatch::Runs | Mismatch::Down | Mismatch::Mute) | Ok(()) => {}
    }
    store.set_state(instance, InstanceState::Active, SystemClock.now()).await?;
    if let Err(source) = driver.hypervisor.start(instance).await {
        // It runs no more than before, as far as that can be seen; else the record says that it is to run.
        if matches!(observe(&record.host, driver, instance).await, Ok(Copy::Stopped(_))) {
            store.set_state(instance, record.state, SystemClock.now()).await?;
        }
        return Err(ApplyError::Driver { host: record.host, source });
    }
    Ok(!runs)
}

async fn claim_of(store: &Store, instance: &InstanceId) -> Result<decant_schema::fleet::Resources, ApplyError> {
    let known = store.instance(instance).await?;
    let unknown = || GuestRefusal::Unknown { instance: instance.clone() };
    Ok(known.ok_or_else(unknown)?.1.claim)
}

/// Conducts the store, with all hosts that are here asked; fails where this one is not.
async fn hold_for(store: &Path, drivers: &Drivers, host: &HostName) -> Result<Held, ApplyError> {
    let held = session::hold(store).await?;
    reach(drivers, host)?;
    held.adopt(drivers).await?;
    Ok(held)
}

async fn on_record(store: &Store, instance: &InstanceId) -> Result<Instance, ApplyError> {
    let known = store.instance(instance).await?;
    Ok(known.ok_or_else(|| GuestRefusal::Unknown { instance: instance.clone() })?.0)
}

/// Its record, unless a migration of it is under way.
async fn at_rest(store: &Store, instance: &InstanceId) -> Result<Instance, ApplyError> {
    if store.moving().await?.contains(instance) {
        return Err(GuestRefusal::Moving { instance: instance.clone() }.into());
    }
    on_record(store, instance).await
}

/// The record of a guest that has none, its size, and how large its disk is to be (bytes), if its flavor says.
async fn record(store: &Store, guest: &NewGuest) -> Result<(Instance, GuestSize, Option<u64>), ApplyError> {
    if let Some((known, _)) = store.instance(&guest.instance).await? {
        return Err(GuestRefusal::Known { instance: known.id, host: known.host }.into());
    }
    let flavor = store.flavors().await?.into_iter().find(|flavor| flavor.name == guest.flavor);
    let flavor = flavor.ok_or_else(|| GuestRefusal::NoFlavor { flavor: guest.flavor.clone() })?;
    let disk = flavor.resources.get::<str>(ResourceClass::DISK_GB).map(|gib| gib.saturating_mul(GIB));
    let record = Instance {
        id: guest.instance.clone(),
        name: guest.instance.to_string(),
        host: guest.host.clone(),
        flavor: guest.flavor.clone(),
        resources: None,
        state: InstanceState::Stopped,
        mobility: guest.mobility,
        pinned_reason: None,
        zone: None,
        local_disk_mb: mib(0),
        overlay_mb: mib(0),
        storage: None,
        dirty_mbps: decant_schema::units::mbps(0),
        priority: 0,
        pinned: false,
        boot_s: None,
        shutdown_s: None,
        heartbeat: guest.heartbeat.clone(),
    };
    let mut fleet = store.fleet().await?;
    fleet.instances.push(record.clone());
    is_a_fleet(fleet)?;
    Ok((record, GuestSize::from(&flavor.resources), disk))
}

async fn put_on_record(store: &Store, record: Instance) -> Result<(), ApplyError> {
    let flavors = store.flavors().await?;
    let claim = flavors.into_iter().find(|flavor| flavor.name == record.flavor).map(|flavor| flavor.resources);
    let claim = claim.ok_or_else(|| GuestRefusal::NoFlavor { flavor: record.flavor.clone() })?;
    Ok(store.add_instance(&record, &claim, SystemClock.now()).await?)
}

async fn runs_nowhere_else(drivers: &Drivers, instance: &Instance) -> Result<(), ApplyError> {
    for (host, driver) in drivers.iter().filter(|(host, _)| **host != instance.host) {
        if matches!(observe(host, driver, &instance.id).await?, Copy::Running(_)) {
            return Err(GuestRefusal::RunsElsewhere { instance: instance.id.clone(), host: host.clone() }.into());
        }
    }
    Ok(())
}

async fn observe(host: &HostName, driver: &HostDriver, instance: &InstanceId) -> Result<Copy, ApplyError> {
    let held = driver.hypervisor.observe(instance).await;
    Ok(held.map_err(|source| ApplyError::Unseen { host: host.clone(), source })?.copy)
}

/// Keeps every order away while a person's is carried out. It is no newer than what was obeyed: the store's next order counts.
async fn fence(
    host: &HostName,
    driver: &HostDriver,
    instance: &InstanceId,
) -> Result<crate::hypervisor::Fenced, ApplyError> {
    let failed = |source| ApplyError::Driver { host: host.clone(), source };
    let held = driver.hypervisor.observe(instance).await.map_err(failed)?;
    driver.hypervisor.fence(instance, held.fence).await.map_err(failed)
}

fn reach<'a>(drivers: &'a Drivers, host: &HostName) -> Result<&'a HostDriver, ApplyError> {
    drivers.get(host).ok_or_else(|| ApplyError::NoDriver { hosts: vec![host.clone()] })
}

fn is_a_fleet(document: FleetDocument) -> Result<(), ApplyError> {
    Fleet::from_document(document).map(drop).map_err(|findings| ApplyError::BadFleet { findings })
}

async fn open(path: &Path) -> Result<Store, ApplyError> {
    make_parent(path).map_err(|source| ApplyError::Lock { path: path.to_owned(), source })?;
    Ok(Store::open(path).await?)
}
