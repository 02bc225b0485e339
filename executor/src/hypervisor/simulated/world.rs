//! The simulated world: what every host holds, and what must never happen to it.

use std::collections::BTreeMap;

use decant_schema::fleet::{Fleet, InstanceState};
use decant_schema::id::{HostName, InstanceId, PoolName};
use decant_schema::migration::{Digest, DiskFile, Generation};

use super::super::{
    Copy, CopyFacts, Discard, Disk, DiskSize, Ending, GuestSize, GuestSpec, Health, Held, HypervisorError,
};
use super::files::{Files, Ledger};
use crate::mark::{Claimant, Foreign, Owner};
use crate::transfer::{Copied, CopyOrder, TransferError};

/// Bytes a simulated file counts for.
const FILE_BYTES: u64 = 1 << 20;

/// Everything that is, on all hosts.
#[derive(Debug, Default)]
pub struct World {
    hosts: Vec<HostName>,
    owners: BTreeMap<HostName, Owner>,
    places: BTreeMap<InstanceId, BTreeMap<HostName, Place>>,
    pools: BTreeMap<(PoolName, InstanceId), Files>,
    acknowledged: Ledger<InstanceId>,
    violations: Vec<String>,
}

/// What one host holds of one instance.
#[derive(Clone, Debug, Default)]
struct Place {
    fence: Generation,
    executed: Generation,
    /// Files that lie here; none of a disk on a pool but the memory.
    files: Files,
    defined: Option<Guest>,
    /// What was last asked of the size of its disk.
    disk_size: Option<DiskSize>,
}

#[derive(Clone, Debug)]
struct Guest {
    size: GuestSize,
    pool: Option<PoolName>,
    running: bool,
    /// How it came to be down.
    ended: Ending,
    /// Whether it ever ran here: then what it wrote may be nowhere else.
    ran: bool,
    mark: Generation,
}

impl World {
    /// Everything is as the fleet says.
    pub(super) fn of(fleet: &Fleet) -> Self {
        let hosts = fleet.hosts().iter().map(|host| host.name.clone()).collect();
        let mut world = Self { hosts, ..Self::default() };
        for instance in fleet.instances() {
            // A guest on a host that is down runs no more.
            let up = fleet.host_index(instance.host.as_str()).is_some_and(|at| fleet.hosts()[at].up);
            let running = instance.state == InstanceState::Active && up;
            let size = GuestSize::from(fleet.claim(instance));
            let pool = instance.storage.clone();
            let place = world.place(&instance.host, &instance.id);
            let (ended, mark) = (Ending::Unknown, Generation::default());
            place.defined = Some(Guest { size, pool: pool.clone(), running, ended, ran: running, mark });
            let disk = Files { base: Some(0), ..Files::default() };
            match pool {
                Some(pool) => _ = world.pools.insert((pool, instance.id.clone()), disk),
                None => place.files = disk,
            }
            world.acknowledged.insert(instance.id.clone(), 0);
        }
        world
    }

    /// The hosts there are.
    pub fn hosts(&self) -> Vec<HostName> {
        self.hosts.clone()
    }

    /// What should never have happened and did.
    pub fn violations(&self) -> &[String] {
        &self.violations
    }

    /// Where a copy of the instance runs.
    pub fn running(&self, instance: &InstanceId) -> Vec<HostName> {
        let runs = |place: &Place| place.defined.as_ref().is_some_and(|guest| guest.running);
        self.holders(instance).filter(|(_, place)| runs(place)).map(|(host, _)| host.clone()).collect()
    }

    /// Where anything of the instance lies.
    pub fn traces(&self, instance: &InstanceId) -> Vec<HostName> {
        let something = |place: &Place| place.defined.is_some() || place.files != Files::default();
        self.holders(instance).filter(|(_, place)| something(place)).map(|(host, _)| host.clone()).collect()
    }

    /// How many writes the instance saw acknowledged that nobody took back, and how many are on its disk at `host`.
    pub fn writes(&self, host: &HostName, instance: &InstanceId) -> (u64, Option<u64>) {
        let acknowledged = self.acknowledged.get(instance).copied().unwrap_or(0);
        (acknowledged, self.content(host, instance))
    }

    /// Whether a frozen base waits for its overlay to be merged back.
    pub fn is_frozen(&self, host: &HostName, instance: &InstanceId) -> bool {
        self.disk(host, instance).is_some_and(|disk| disk.overlay.is_some())
    }

    /// The size the copy on a host has.
    pub fn size(&self, host: &HostName, instance: &InstanceId) -> Option<GuestSize> {
        self.held(host, instance)?.defined.as_ref().map(|guest| guest.size)
    }

    /// What was last asked of the size of the disk on a host.
    pub fn disk_size(&self, host: &HostName, instance: &InstanceId) -> Option<DiskSize> {
        self.held(host, instance)?.disk_size
    }

    pub(super) fn size_disk(&mut self, host: &HostName, instance: &InstanceId, size: DiskSize) {
        self.place(host, instance).disk_size = Some(size);
    }

    fn holders(&self, instance: &InstanceId) -> impl Iterator<Item = (&HostName, &Place)> {
        self.places.get(instance).into_iter().flatten()
    }

    fn held(&self, host: &HostName, instance: &InstanceId) -> Option<&Place> {
        self.places.get(instance)?.get(host)
    }

    fn place(&mut self, host: &HostName, instance: &InstanceId) -> &mut Place {
        self.places.entry(instance.clone()).or_default().entry(host.clone()).or_default()
    }

    fn guest(&mut self, host: &HostName, instance: &InstanceId) -> Result<&mut Guest, HypervisorError> {
        let absent = HypervisorError::Absent { instance: instance.clone() };
        self.place(host, instance).defined.as_mut().ok_or(absent)
    }

    /// The disk a host sees for an instance: its own, or the pool's.
    fn disk(&self, host: &HostName, instance: &InstanceId) -> Option<&Files> {
        let place = self.held(host, instance)?;
        match place.defined.as_ref().and_then(|guest| guest.pool.clone()) {
            Some(pool) => self.pools.get(&(pool, instance.clone())),
            None => Some(&place.files),
        }
    }

    fn disk_mut(&mut self, host: &HostName, instance: &InstanceId) -> &mut Files {
        let pool = self.place(host, instance).defined.as_ref().and_then(|guest| guest.pool.clone());
        match pool {
            Some(pool) => self.pools.entry((pool, instance.clone())).or_default(),
            None => &mut self.place(host, instance).files,
        }
    }

    fn content(&self, host: &HostName, instance: &InstanceId) -> Option<u64> {
        self.disk(host, instance).and_then(Files::content)
    }

    /// The guest writes once, wherever it runs, and sees it acknowledged.
    pub(super) fn guest_writes(&mut self, instance: &InstanceId) {
        for host in self.running(instance) {
            let number = self.acknowledged.entry(instance.clone()).or_insert(0);
            *number += 1;
            let number = *number;
            self.disk_mut(&host, instance).write(number);
        }
    }

    pub(super) fn observe(&self, host: &HostName, instance: &InstanceId) -> Held {
        let Some(place) = self.held(host, instance) else {
            return Held { fence: Generation::default(), executed: Generation::default(), copy: Copy::Nothing };
        };
        let copy = match &place.defined {
            None if place.files == Files::default() => Copy::Nothing,
            None => Copy::Incoming,
            Some(guest) => {
                let frozen = self.is_frozen(host, instance);
                let (size, memory, mark, ended) = (guest.size, place.files.memory.is_some(), guest.mark, guest.ended);
                let facts = CopyFacts { size, disks: 1, frozen, memory, mark, ended, mute: false };
                if guest.running { Copy::Running(facts) } else { Copy::Stopped(facts) }
            }
        };
        Held { fence: place.fence, executed: place.executed, copy }
    }

    pub(super) fn accepts(&self, host: &HostName, claimant: &Claimant) -> Result<(), Foreign> {
        self.owners.get(host).map_or(Ok(()), |owner| claimant.judge(owner))
    }

    pub(super) fn adopt(&mut self, host: &HostName, claimant: &Claimant) -> Result<(), Foreign> {
        self.accepts(host, claimant)?;
        self.owners.insert(host.clone(), claimant.owner.clone());
        Ok(())
    }

    pub(super) fn examine(&self, host: &HostName, instance: &InstanceId) -> Health {
        let guest = self.held(host, instance).and_then(|place| place.defined.as_ref());
        let disk = self.content(host, instance).is_none().then(|| "it is not complete".to_owned());
        let executes = guest.is_some_and(|guest| guest.running);
        Health { disk, guest: (!executes).then(|| "it is down".to_owned()), heartbeat: None }
    }

    /// Its user shuts the instance down, wherever it runs.
    pub fn power_off(&mut self, instance: &InstanceId) {
        for host in self.running(instance) {
            if let Some(guest) = &mut self.place(&host, instance).defined {
                (guest.running, guest.ended) = (false, Ending::ByUser);
            }
        }
    }

    /// The instance's process dies, wherever it is.
    pub fn lose_power(&mut self, instance: &InstanceId) {
        for host in self.running(instance) {
            if let Some(guest) = &mut self.place(&host, instance).defined {
                guest.running = false;
            }
        }
    }

    /// Somebody removes by hand what lies here.
    pub fn lose(&mut self, host: &HostName, instance: &InstanceId) {
        self.place(host, instance).files = Files::default();
    }

    pub(super) fn fence(
        &mut self,
        host: &HostName,
        instance: &InstanceId,
        asked: Generation,
    ) -> Result<(), HypervisorError> {
        let place = self.place(host, instance);
        if asked < place.fence {
            return Err(HypervisorError::Fenced { instance: instance.clone(), asked, held: place.fence });
        }
        place.fence = asked;
        Ok(())
    }

    pub(super) fn snapshot(
        &mut self,
        host: &HostName,
        instance: &InstanceId,
        generation: Generation,
    ) -> Result<(), HypervisorError> {
        self.guest(host, instance)?.mark = generation;
        self.disk_mut(host, instance).freeze(generation);
        Ok(())
    }

    pub(super) fn stop(
        &mut self,
        host: &HostName,
        instance: &InstanceId,
        keep_memory: bool,
    ) -> Result<(), HypervisorError> {
        let guest = self.guest(host, instance)?;
        let was_running = std::mem::take(&mut guest.running);
        if was_running {
            guest.ended = if keep_memory { Ending::Unknown } else { Ending::Obeyed };
        }
        if keep_memory && was_running {
            let moment = self.content(host, instance);
            self.place(host, instance).files.memory = moment;
        }
        if keep_memory && self.place(host, instance).files.memory.is_none() {
            return Err(HypervisorError::Incomplete { instance: instance.clone(), file: DiskFile::Memory });
        }
        Ok(())
    }

    /// How the guest on a host came to be down.
    pub(super) fn ending(&self, host: &HostName, instance: &InstanceId) -> Ending {
        let guest = self.held(host, instance).and_then(|place| place.defined.as_ref());
        guest.map_or(Ending::Unknown, |guest| guest.ended)
    }

    pub(super) fn create(&mut self, host: &HostName, spec: &GuestSpec) -> Result<(), HypervisorError> {
        let instance = &spec.instance;
        let place = self.place(host, instance);
        if place.defined.as_ref().is_some_and(|guest| guest.running) {
            return Err(HypervisorError::Runs { instance: instance.clone() });
        }
        let pool = match &spec.disk {
            Disk::Local => None,
            Disk::Shared(pool) => Some(pool.clone()),
        };
        let before = place.defined.as_ref();
        let (ran, ended) = before.map_or((false, Ending::Unknown), |guest| (guest.ran, guest.ended));
        let mark = spec.built_by.or(before.map(|guest| guest.mark)).unwrap_or_default();
        place.defined = Some(Guest { size: spec.size, pool, running: false, ended, ran, mark });
        if self.content(host, instance).is_none() {
            self.place(host, instance).defined = None;
            return Err(HypervisorError::Incomplete { instance: instance.clone(), file: DiskFile::BASE });
        }
        Ok(())
    }

    pub(super) fn start(
        &mut self,
        host: &HostName,
        instance: &InstanceId,
        begun: Generation,
    ) -> Result<(), HypervisorError> {
        if self.guest(host, instance)?.running {
            return Ok(());
        }
        let others = self.running(instance);
        if !others.is_empty() {
            self.violations.push(format!("{instance} was started on {host} while it ran on {others:?}"));
        }
        let (acknowledged, content) = self.writes(host, instance);
        if content != Some(acknowledged) {
            let found = content.map_or("no disk".to_owned(), |content| format!("write {content}"));
            self.violations.push(format!("{instance} started on {host} with {found}, acknowledged was {acknowledged}"));
        }
        let memory = self.place(host, instance).files.memory.take();
        if memory.is_some() && memory != content {
            self.violations.push(format!("{instance} started on {host} with a memory that does not fit its disk"));
        }
        let place = self.place(host, instance);
        place.executed = place.executed.max(begun);
        let guest = self.guest(host, instance)?;
        (guest.running, guest.ended, guest.ran) = (true, Ending::Unknown, true);
        Ok(())
    }

    pub(super) fn forget_memory(&mut self, host: &HostName, instance: &InstanceId) -> Result<(), HypervisorError> {
        let place = self.place(host, instance);
        if place.defined.as_ref().is_some_and(|guest| guest.running) {
            return Err(HypervisorError::Runs { instance: instance.clone() });
        }
        place.files.memory = None;
        Ok(())
    }

    pub(super) fn merge_back(&mut self, host: &HostName, instance: &InstanceId) -> Result<(), HypervisorError> {
        self.guest(host, instance)?;
        self.disk_mut(host, instance).merge();
        Ok(())
    }

    pub(super) fn destroy(&mut self, host: &HostName, instance: &InstanceId, disk: &Disk, discard: Discard) {
        let place = self.place(host, instance);
        let ran_here = place.defined.as_ref().is_some_and(|guest| guest.ran);
        let had_something = place.defined.take().is_some() || place.files != Files::default();
        place.files = Files::default();
        if !had_something || *disk != Disk::Local || discard == Discard::PutAside {
            return;
        }
        let left = self.holders(instance).filter_map(|(_, place)| place.files.content()).max();
        match left {
            None => self.violations.push(format!("the last complete copy of {instance} was destroyed on {host}")),
            // What the guest wrote here is put aside, and taken back from what counts as acknowledged.
            Some(left) if ran_here && discard == Discard::KeepOverlay => {
                self.acknowledged.insert(instance.clone(), left);
            }
            Some(_) => {}
        }
    }

    pub(super) fn copy_file(&mut self, host: &HostName, order: &CopyOrder) -> Result<Copied, TransferError> {
        let (instance, file) = (&order.instance, order.file);
        let digest = self.digest(host, instance, file)?;
        let sent = self.place(host, instance).files.clone();
        let target = self.place(&order.peer, instance);
        if order.generation < target.fence {
            let (peer, asked, held) = (order.peer.clone(), order.generation, target.fence);
            return Err(TransferError::Fenced { instance: instance.clone(), file, peer, asked, held });
        }
        if target.defined.is_some() {
            return Err(TransferError::Occupied { instance: instance.clone(), file, peer: order.peer.clone() });
        }
        let bytes = if target.files.digest(file).as_ref() == Some(&digest) { 0 } else { FILE_BYTES };
        target.files.receive(file, &sent);
        Ok(Copied { digest, bytes })
    }

    pub(super) fn digest(
        &self,
        host: &HostName,
        instance: &InstanceId,
        file: DiskFile,
    ) -> Result<Digest, TransferError> {
        let place = self.held(host, instance);
        let digest = place.and_then(|place| place.files.digest(file));
        digest.ok_or_else(|| TransferError::Absent { instance: instance.clone(), file })
    }
}
