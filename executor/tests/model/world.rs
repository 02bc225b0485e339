//! Everything there is at one moment, and what can happen next.

mod agents;
mod conductor;
mod never;
mod outside;

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

use decant_executor::hypervisor::GuestSize;
use decant_executor::mark::{Claimant, Owner};
use decant_executor::step::work_cast;
use decant_schema::cast::{Cast, WorkCast};
use decant_schema::fleet::Resources;
use decant_schema::id::{HostName, ResourceClass};
use decant_schema::migration::{
    Attributes, Awaits, Figures, Generation, Migration, MigrationId, MigrationState, Patience, Subject, Terms,
};
use decant_schema::plan::MoveMode;
use decant_schema::store::Incarnation;
use jiff::Timestamp;
use uuid::Uuid;

use crate::guard::Guard;
use crate::hosts::{Guest, Host, Reports};

/// What can go wrong around a migration; each costs one of a setting's faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// An effect is not had, and says so.
    Fails,
    /// An effect is had, and says that it failed.
    FailsWithEffect,
    /// A file is damaged on its way.
    Damage,
    /// A host's disk is full, until somebody makes room.
    FullDisk,
    /// A host loses its power.
    PowerLoss,
    /// The guest is shut down by its user.
    UserShutdown,
    /// The files of one of two complete copies are removed by hand, before it was looked at.
    LostCopy,
    /// A copy that is down is started by hand.
    StartedByHand,
    /// An instance that is on record as stopped is started by its user before anything begins.
    StartedByUser,
    /// A host that has nothing of it gets an instance of this name that is none of ours.
    Foreign,
    /// A memory of an earlier move lies at the target.
    OldMemory,
    /// A second agent comes up beside one that hangs.
    SecondAgent,
    /// A second conductor reads the store, and acts on it later.
    SecondConductor,
    /// The store is copied, and the copy is conducted too.
    SecondStore,
    /// The store is put back to what it was when it was backed up.
    StoreGoneBack,
}

/// How large the world is that is explored.
#[derive(Debug)]
pub(crate) struct Setting {
    pub(crate) name: &'static str,
    pub(crate) mode: MoveMode,
    pub(crate) in_place: bool,
    pub(crate) runs: bool,
    /// How many one after the other.
    pub(crate) migrations: u8,
    pub(crate) wishes: u8,
    pub(crate) writes: u8,
    pub(crate) faults: u8,
    pub(crate) of: &'static [Fault],
    /// Whether it takes long: explored by `make model` alone.
    pub(crate) is_large: bool,
}

/// What a store knows of the instance's migration.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Record {
    pub(crate) number: u8,
    /// The host it leaves.
    pub(crate) from: usize,
    pub(crate) begun: Generation,
    pub(crate) generation: Generation,
    pub(crate) state: MigrationState,
    /// Whether it is of a life of the store that others know nothing of.
    pub(crate) stranger: bool,
}

/// A record as it was once stored, with what follows from it.
#[derive(Debug)]
pub(crate) struct Stored {
    record: Record,
    pub(crate) migration: Migration,
    order: Option<WorkCast>,
}

impl Stored {
    fn new(record: Record, setting: &Setting) -> Arc<Self> {
        let migration = record.migration(setting);
        let order = match work_cast(&migration, Timestamp::UNIX_EPOCH) {
            Some(Cast::Work(order)) => Some(*order),
            Some(Cast::Prep { .. }) | None => None,
        };
        Arc::new(Self { record, migration, order })
    }
}

impl Deref for Stored {
    type Target = Record;

    fn deref(&self) -> &Record {
        &self.record
    }
}

impl PartialEq for Stored {
    fn eq(&self, other: &Self) -> bool {
        self.record == other.record
    }
}

impl Eq for Stored {}

impl PartialOrd for Stored {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Stored {
    fn cmp(&self, other: &Self) -> Ordering {
        self.record.cmp(&other.record)
    }
}

impl Hash for Stored {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.record.hash(hasher);
    }
}

/// Everything there is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct World {
    pub(crate) store: Arc<Stored>,
    /// A copy of the store that conducts as well, or a backup of it.
    copied: Option<Arc<Stored>>,
    /// What a second conductor has read.
    read: Option<Arc<Stored>>,
    orders: BTreeSet<Arc<Stored>>,
    reports: Reports,
    pub(crate) hosts: [Host; 2],
    /// The last write the guest saw acknowledged and nobody gave up.
    acknowledged: u8,
    faults: u8,
    wishes: u8,
    /// Somebody outside decided what runs: power is theirs.
    disturbed: bool,
    /// Somebody outside made two of it.
    doubled: bool,
    /// Its user started it.
    started: bool,
    lost: bool,
}

/// Something that happens; its words are for a person who reads how it came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Event {
    what: &'static str,
    detail: &'static str,
    host: Option<usize>,
    /// Whether it needs no fault and no wish: what is waited for.
    pub(crate) is_progress: bool,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.host.map_or("", |host| NAMES[host]);
        write!(
            f,
            "{}",
            [host, self.what, self.detail]
                .iter()
                .filter(|part| !part.is_empty())
                .copied()
                .collect::<Vec<_>>()
                .join(" ")
        )
    }
}

/// One of the six lines of what must never happen, and how it did.
pub(crate) type Never = (u8, &'static str);

const NAMES: [&str; 2] = ["a", "b"];

fn act(host: usize, what: &'static str, detail: &'static str) -> Event {
    Event { what, detail, host: Some(host), is_progress: true }
}

fn outside(host: Option<usize>, what: &'static str, detail: &'static str) -> Event {
    Event { what, detail, host, is_progress: false }
}

fn attributes(host: usize, memory: u64) -> Attributes {
    let claim = Resources::from([(ResourceClass::new(ResourceClass::MEMORY_MB), memory)]);
    Attributes { host: HostName::new(NAMES[host]), flavor: "small".into(), claim, own_claim: false }
}

fn size(of: &Attributes) -> GuestSize {
    GuestSize::from(&of.claim)
}

impl Record {
    pub(crate) fn migration(&self, setting: &Setting) -> Migration {
        let to = if setting.in_place { self.from } else { 1 - self.from };
        let (small, large) = (1, if setting.in_place { 2 } else { 1 });
        Migration {
            id: MigrationId(Uuid::from_u128(self.number.into())),
            line: None,
            subject: Subject {
                instance: "vm".into(),
                mode: setting.mode,
                runs: setting.runs,
                storage: None,
                old: attributes(self.from, small),
                new: attributes(to, large),
                begun: self.begun,
                heartbeat: None,
            },
            terms: Terms { lease_ms: 1000, confirm_after_ms: None, patience: Patience::USUAL },
            state: self.state.clone(),
            generation: self.generation,
            cause: None,
            death: None,
            lease_until: None,
            figures: Figures::default(),
            created_at: Timestamp::UNIX_EPOCH,
            updated_at: Timestamp::UNIX_EPOCH,
        }
    }

    fn after(&self, state: MigrationState) -> Self {
        let generation = if state == self.state { self.generation } else { self.generation.next() };
        Self { state, generation, ..self.clone() }
    }
}

fn index(host: &HostName) -> usize {
    usize::from(host.as_str() == NAMES[1])
}

impl World {
    pub(crate) fn first(setting: &Setting) -> Self {
        let begun = Generation(1);
        let state = MigrationState::first(setting.mode);
        let record = Record { number: 1, from: 0, begun, generation: begun, state, stranger: false };
        let store = Stored::new(record, setting);
        let mut source = Host { base: Some(0), agents: vec![None], ..Host::default() };
        let small = size(&store.migration.subject.old);
        source.guest = Some(Guest { size: small, running: setting.runs, mark: Generation::default(), foreign: false });
        let target = Host { agents: vec![None], ..Host::default() };
        Self {
            orders: BTreeSet::from([store.clone()]),
            store,
            copied: None,
            read: None,
            reports: Reports::new(),
            hosts: [source, target],
            acknowledged: 0,
            faults: setting.faults,
            wishes: setting.wishes,
            disturbed: false,
            doubled: false,
            started: false,
            lost: false,
        }
    }

    /// Whether nobody has to do anything more for it: it is over, or a person is told to decide.
    pub(crate) fn is_at_rest(&self, guard: Option<Guard>) -> bool {
        self.is_refused(guard)
            || matches!(self.store.migration.turn(), Awaits::Nobody | Awaits::Decision { .. } | Awaits::Repair)
    }

    /// Whether every host refuses the store, and says so to whoever conducts it.
    fn is_refused(&self, guard: Option<Guard>) -> bool {
        self.store.stranger && refuses_strangers(guard)
    }

    /// All that can happen next.
    pub(crate) fn next(&self, setting: &Setting, guard: Option<Guard>) -> Vec<(Event, Self, Option<Never>)> {
        let mut after = Vec::new();
        self.conduct(setting, guard, &mut after);
        self.agents_act(setting, guard, &mut after);
        self.outside_acts(setting, &mut after);
        for (_, world, never) in &mut after {
            *never = never.or_else(|| world.never(setting, self));
            if forgets(setting, guard) {
                world.forget();
            }
        }
        after
    }

    /// Forgets messages that no longer have any effect: generations only grow, so what was said of a past one is never heard
    /// again, and an order older than what its host has obeyed leads to nothing but that being said.
    fn forget(&mut self) {
        let now = self.store.generation;
        let read = self.read.as_ref().map_or(now, |read| read.generation);
        self.reports.retain(|said| said.order.generation >= now.min(read));
        let hosts = &self.hosts;
        self.orders.retain(|order| {
            let fence = order.order.as_ref().map_or(Generation(u64::MAX), |cast| hosts[index(&cast.to)].fence);
            order.generation >= now || order.generation >= fence
        });
    }
}

/// Whether messages of the past may be forgotten: not where a guard against them is taken away, or the store goes back.
fn forgets(setting: &Setting, guard: Option<Guard>) -> bool {
    let past = [Guard::Fence, Guard::ReportsOfThePast, Guard::CompareAndSet, Guard::Incarnation, Guard::SayOvertaken];
    let goes_back = setting.of.contains(&Fault::StoreGoneBack);
    !goes_back && !guard.is_some_and(|guard| past.contains(&guard))
}

/// Whether a host refuses the store of another life: by the product's own rule.
fn refuses_strangers(guard: Option<Guard>) -> bool {
    if matches!(guard, Some(Guard::Incarnation | Guard::SayOvertaken)) {
        return false;
    }
    let life = |number, nonce: &str| Incarnation { number, nonce: nonce.to_owned() };
    let owner = |life| Owner { identity: "store".to_owned(), path: "store.db".into(), incarnation: Some(life) };
    let stranger = Claimant {
        owner: owner(life(2, "copy")),
        history: [life(1, "first"), life(2, "copy")].into(),
        instead_of: None,
    };
    stranger.judge(&owner(life(2, "original"))).is_err()
}
