//! A fleet and a request as dense numbers, and back to names.
//!
//! The algorithms see indices and vectors only. Everything that is a matter of one instance and one host is settled
//! here: [`Kind::eligible`] says which hosts the rules admit for an instance, so that placement is left with room
//! and groups.

mod host_set;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use decant_schema::fleet::{Fleet, GroupPolicy, Host, Instance, InstanceState, Mobility};
use decant_schema::id::ResourceClass;
use decant_schema::plan::{MoveMode, RuleName};
use decant_schema::request::{Request, RequestKind};
use decant_schema::units::{Mbps, Mib, mib};

pub use host_set::HostSet;

use crate::rules::{self, Want};

macro_rules! indices {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(u32);

        impl $name {
            /// Wraps a position; fleets are far smaller than 2^32.
            pub fn new(position: usize) -> Self {
                Self(u32::try_from(position).expect("a fleet has fewer than 2^32 of anything"))
            }

            /// The position in its vector.
            pub fn at(self) -> usize {
                self.0 as usize
            }
        }
    )*};
}

indices! {
    /// A host's position in [`Problem::hosts`], which is also its position in the fleet.
    HostIdx;
    /// An instance's position in [`Problem::instances`], which is also its position in the fleet.
    InstanceIdx;
    /// A kind's position in [`Problem::kinds`].
    KindIdx;
    /// A group's position in [`Problem::groups`], which is also its position in the fleet.
    GroupIdx;
}

/// Amounts per resource class, in the order of [`Problem::classes`]. Signed: headroom may be negative.
pub type Amounts = Box<[i64]>;

/// A fleet and a request as dense numbers.
#[derive(Clone, Debug)]
pub struct Problem {
    /// The fleet it is about.
    pub fleet: Arc<Fleet>,
    /// What is asked.
    pub request: Request,
    /// The resource classes any host or instance names, by name.
    pub classes: Vec<ResourceClass>,
    /// The position of `MEMORY_MB` in `classes`, if any.
    pub memory_class: Option<usize>,
    /// The hosts.
    pub hosts: Vec<HostFacts>,
    /// The instances.
    pub instances: Vec<InstanceFacts>,
    /// Instances that are alike in every number and every rule but groups.
    pub kinds: Vec<Kind>,
    /// The server groups.
    pub groups: Vec<GroupFacts>,
}

/// What placement and ordering know of a host.
#[derive(Clone, Debug)]
pub struct HostFacts {
    /// (total − reserved) × allocation ratio; 0 for a class it has no inventory of.
    pub capacity: Amounts,
    /// Capacity − other usage − claims of its instances; negative where oversubscribed.
    pub free: Amounts,
    /// What the request's headroom keeps unused by arrivals; a promise about the end, not about every moment.
    pub keep: Amounts,
    /// Whether the request empties it.
    pub evacuated: bool,
    /// Whether it can receive at all: up, enabled, neither evacuated nor excluded.
    pub receives: bool,
    /// Whether it runs; an instance on one that does not is rebuilt, not moved.
    pub up: bool,
    /// Migration network, each way.
    pub network: Mbps,
    /// Migrations it takes part in at once, as source or target.
    pub max_migrations: u32,
    /// Position of its rack in the fleet's racks.
    pub rack: Option<usize>,
    /// Its instances at the start, by index.
    pub instances: Vec<InstanceIdx>,
}

/// What placement and ordering know of an instance.
#[derive(Clone, Debug)]
pub struct InstanceFacts {
    /// Where it is.
    pub host: HostIdx,
    /// Which instances it is like.
    pub kind: KindIdx,
    /// What is asked of it.
    pub task: Task,
    /// How it would move.
    pub mode: MoveMode,
    /// Greater is refused last.
    pub priority: i32,
    /// Disk and memory that would cross the network, without the pages dirtied meanwhile.
    pub transfer: Mib,
    /// Its server groups.
    pub groups: Vec<GroupIdx>,
}

/// What is asked of an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Task {
    /// It is on a host that is to be emptied: it leaves, or is refused.
    Leave,
    /// It gets another flavor: on its host, on another, or it is refused.
    Resize,
    /// It is a third party that may make room, at the cost of its memory.
    MayMove,
    /// It stays where it is.
    Stay,
}

/// Instances that are alike in every number and every rule but groups.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Kind {
    /// What one needs on its target.
    pub need: Amounts,
    /// What one frees at its source; differs from `need` only where it is resized.
    pub claim: Amounts,
    /// What displacing one costs: the memory it claims now, in MiB.
    pub memory: i64,
    /// Hosts that every rule about one instance and one host admits, whatever room they have. For one that is
    /// resized its own host is among them, though it be disabled: staying put needs only room. For one that may not
    /// move there is no other.
    pub eligible: Arc<HostSet>,
}

/// What binds some instances.
#[derive(Clone, Debug)]
pub struct GroupFacts {
    /// The policy.
    pub policy: GroupPolicy,
    /// Members one host may hold, for the anti-affinity policies.
    pub max_per_host: u32,
    /// Its members.
    pub members: Vec<InstanceIdx>,
}

/// Who goes where: for every instance its final host, the present one if it stays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// By instance.
    pub host: Vec<HostIdx>,
    /// Instances that were asked to go, or to change, and do not.
    pub refused: Vec<InstanceIdx>,
}

impl Problem {
    /// Puts a request about a fleet into numbers. `request` names only what the fleet has (see [`crate::admit`]).
    pub fn new(fleet: Arc<Fleet>, request: Request) -> Self {
        let classes = classes(&fleet);
        let amounts = |resources: &BTreeMap<ResourceClass, u64>| dense(&classes, resources);
        let groups = group_facts(&fleet);
        let mut groups_of = vec![Vec::new(); fleet.instances().len()];
        for (at, group) in groups.iter().enumerate() {
            for member in &group.members {
                groups_of[member.at()].push(GroupIdx::new(at));
            }
        }
        let mut hosts: Vec<HostFacts> =
            fleet.hosts().iter().map(|host| host_facts(&fleet, &request, &classes, host)).collect();
        let resizes: HashMap<&str, &str> = match &request.kind {
            RequestKind::Resize { resizes } => {
                resizes.iter().map(|resize| (resize.instance.as_str(), resize.flavor.as_str())).collect()
            }
            RequestKind::Evacuate { .. } | RequestKind::Rolling { .. } => HashMap::new(),
        };
        let memory_class = classes.iter().position(|class| class.as_str() == ResourceClass::MEMORY_MB);
        let mut kinds = Vec::new();
        let mut kind_of: HashMap<Kind, KindIdx> = HashMap::new();
        let mut eligible_for: HashMap<Want<'_>, Arc<HostSet>> = HashMap::new();
        let mut instances = Vec::with_capacity(fleet.instances().len());
        for (at, instance) in fleet.instances().iter().enumerate() {
            let host = HostIdx::new(fleet.host_index(instance.host.as_str()).expect("the door knows every host"));
            let claim = amounts(fleet.claim(instance));
            for (free, taken) in hosts[host.at()].free.iter_mut().zip(&claim) {
                *free -= taken;
            }
            hosts[host.at()].instances.push(InstanceIdx::new(at));
            let resize_to = resizes.get(instance.id.as_str()).copied();
            let want = Want::new(&fleet, instance, resize_to);
            let need = amounts(want.resources);
            let task = task(&request, &hosts[host.at()], instance, resize_to.is_some());
            let anywhere = eligible_for
                .entry(want)
                .or_insert_with_key(|want| Arc::new(rules::eligible(&fleet, &request, &hosts, want)));
            let eligible = narrowed(anywhere, task, rules::forbids(&fleet, &request, instance).is_some(), || {
                rules::may_stay(&request, &fleet.hosts()[host.at()], &want).then_some(host)
            });
            let kind = Kind { need, memory: memory_class.map_or(0, |class| claim[class]), claim, eligible };
            let kind = *kind_of.entry(kind).or_insert_with_key(|kind| {
                kinds.push(kind.clone());
                KindIdx::new(kinds.len() - 1)
            });
            let mode = mode(hosts[host.at()].up, instance, task);
            instances.push(InstanceFacts {
                host,
                kind,
                task,
                mode,
                priority: instance.priority,
                transfer: transfer(
                    instance,
                    mode,
                    mib(fleet.claim(instance).get(ResourceClass::MEMORY_MB).copied().unwrap_or(0)),
                ),
                groups: std::mem::take(&mut groups_of[at]),
            });
        }
        Self { fleet, request, classes, memory_class, hosts, instances, kinds, groups }
    }

    /// An instance's kind.
    pub fn kind(&self, instance: InstanceIdx) -> &Kind {
        &self.kinds[self.instances[instance.at()].kind.at()]
    }

    /// Whether the rules about one instance and one host let this one be there, whatever the room and the groups.
    pub fn admits(&self, instance: InstanceIdx, host: HostIdx) -> bool {
        self.kind(instance).eligible.contains(host)
    }

    /// The priorities of those who are asked, each once, the highest first.
    pub fn priorities(&self) -> Vec<i32> {
        let asked = self.with_task(Task::Leave).chain(self.with_task(Task::Resize));
        let priorities: BTreeSet<i32> = asked.map(|at| self.instances[at.at()].priority).collect();
        priorities.into_iter().rev().collect()
    }

    /// How many of these are of each of the [`Self::priorities`].
    pub fn refused_by_priority(&self, refused: &[InstanceIdx]) -> Vec<u64> {
        let of =
            |priority: i32| refused.iter().filter(|at| self.instances[at.at()].priority == priority).count() as u64;
        self.priorities().into_iter().map(of).collect()
    }

    /// What refusals are compared by, the first the most important: how many of each priority, the highest first; before them
    /// how many in all, where the request puts that first.
    pub(crate) fn refusal_rank(&self, refused: &[InstanceIdx]) -> Vec<u64> {
        let count = self.request.options.count_first.then_some(refused.len() as u64);
        count.into_iter().chain(self.refused_by_priority(refused)).collect()
    }

    /// The hard affinity groups of more than itself that hold this instance.
    pub fn binding_groups(&self, instance: InstanceIdx) -> impl Iterator<Item = GroupIdx> + '_ {
        let groups = self.instances[instance.at()].groups.iter().copied();
        groups.filter(|group| {
            let facts = &self.groups[group.at()];
            facts.policy == GroupPolicy::Affinity && facts.members.len() > 1
        })
    }

    /// Whether others must be where this instance is.
    pub fn is_bound(&self, instance: InstanceIdx) -> bool {
        self.binding_groups(instance).next().is_some()
    }

    /// Everything at its present host.
    pub fn standing(&self) -> Placement {
        Placement { host: self.instances.iter().map(|instance| instance.host).collect(), refused: Vec::new() }
    }

    /// The instances with this task, by index.
    pub fn with_task(&self, task: Task) -> impl Iterator<Item = InstanceIdx> + '_ {
        (0..self.instances.len()).map(InstanceIdx::new).filter(move |at| self.instances[at.at()].task == task)
    }
}

/// All resource classes of the fleet, by name.
fn classes(fleet: &Fleet) -> Vec<ResourceClass> {
    let of_hosts = fleet.hosts().iter().flat_map(|host| host.inventory.keys().chain(host.other_usage.keys()));
    let of_flavors = fleet.flavors().iter().flat_map(|flavor| flavor.resources.keys());
    let of_instances =
        fleet.instances().iter().filter_map(|instance| instance.resources.as_ref()).flat_map(|r| r.keys());
    let mut classes: Vec<ResourceClass> = of_hosts.chain(of_flavors).chain(of_instances).cloned().collect();
    classes.sort();
    classes.dedup();
    classes
}

fn dense(classes: &[ResourceClass], resources: &BTreeMap<ResourceClass, u64>) -> Amounts {
    classes.iter().map(|class| signed(resources.get(class).copied().unwrap_or(0))).collect()
}

/// The door keeps every amount within 2^53.
fn signed(amount: u64) -> i64 {
    i64::try_from(amount).expect("the door keeps amounts within 2^53")
}

fn host_facts(fleet: &Fleet, request: &Request, classes: &[ResourceClass], host: &Host) -> HostFacts {
    let capacity: Amounts = classes
        .iter()
        .map(|class| host.inventory.get(class).map_or(0, |inventory| signed(inventory.capacity())))
        .collect();
    let other = dense(classes, &host.other_usage);
    let free = capacity.iter().zip(&other).map(|(capacity, other)| capacity - other).collect();
    let keep = capacity.iter().map(|capacity| share(*capacity, request.options.headroom_percent)).collect();
    let evacuated = match &request.kind {
        RequestKind::Evacuate { hosts } => hosts.contains(&host.name),
        RequestKind::Resize { .. } | RequestKind::Rolling { .. } => false,
    };
    let defaults = &fleet.document().defaults;
    HostFacts {
        capacity,
        free,
        keep,
        evacuated,
        receives: host.up && host.enabled && !evacuated && !request.options.exclude_hosts.contains(&host.name),
        up: host.up,
        network: host.network_mbps.unwrap_or(defaults.network_mbps),
        max_migrations: host.max_migrations.unwrap_or(defaults.max_migrations_per_host),
        rack: host.rack.as_ref().and_then(|name| fleet.document().racks.iter().position(|rack| &rack.name == name)),
        instances: Vec::new(),
    }
}

/// A percentage of an amount, rounded up, so that what is kept is never less than what was asked.
#[expect(clippy::cast_possible_truncation, clippy::cast_precision_loss, reason = "amounts are within 2^53")]
fn share(amount: i64, percent: f64) -> i64 {
    (amount as f64 * percent / 100.0).ceil() as i64
}

fn task(request: &Request, host: &HostFacts, instance: &Instance, resized: bool) -> Task {
    let fixed = instance.pinned || instance.mobility == Mobility::None || request.options.pins.contains(&instance.id);
    if host.evacuated {
        Task::Leave
    } else if resized {
        Task::Resize
    } else if fixed || request.options.no_displace || !host.up {
        Task::Stay
    } else {
        Task::MayMove
    }
}

/// Where an instance with this task may be: anywhere the rules say, its own host too if it is resized, and nowhere
/// else if it may not move.
fn narrowed(
    anywhere: &Arc<HostSet>,
    task: Task,
    fixed: bool,
    own_host: impl FnOnce() -> Option<HostIdx>,
) -> Arc<HostSet> {
    if !fixed && task != Task::Resize {
        return Arc::clone(anywhere);
    }
    let mut eligible = if fixed { HostSet::default() } else { HostSet::clone(anywhere) };
    if task == Task::Resize
        && let Some(host) = own_host()
    {
        eligible.insert(host);
    }
    Arc::new(eligible)
}

/// How an instance moves, by what it can and what it is doing. A new size needs a new start.
fn mode(source_up: bool, instance: &Instance, task: Task) -> MoveMode {
    let running = matches!(instance.state, InstanceState::Active | InstanceState::Paused) && task != Task::Resize;
    match (source_up, running, instance.mobility) {
        (false, _, _) => MoveMode::Rebuild,
        (true, true, Mobility::Live) => MoveMode::Live,
        (true, true, Mobility::Suspend) => MoveMode::Suspend,
        (true, _, _) => MoveMode::Cold,
    }
}

/// Disk that is not shared, and memory where the mode carries it.
fn transfer(instance: &Instance, mode: MoveMode, memory: Mib) -> Mib {
    let disk = if instance.storage.is_some() { mib(0) } else { instance.local_disk_mb + instance.overlay_mb };
    match mode {
        MoveMode::Live | MoveMode::Suspend => disk + memory,
        MoveMode::Cold | MoveMode::Rebuild => disk,
    }
}

fn group_facts(fleet: &Fleet) -> Vec<GroupFacts> {
    fleet
        .server_groups()
        .iter()
        .map(|group| GroupFacts {
            policy: group.policy,
            max_per_host: group.max_per_host,
            members: group
                .members
                .iter()
                .map(|id| InstanceIdx::new(fleet.instance_index(id.as_str()).expect("the door knows every member")))
                .collect(),
        })
        .collect()
}

/// The instance-only rules that forbid a move whatever the hosts are, with what they name.
pub fn forbidden(problem: &Problem, instance: InstanceIdx) -> Option<(RuleName, Option<String>)> {
    rules::forbids(&problem.fleet, &problem.request, &problem.fleet.instances()[instance.at()])
}
