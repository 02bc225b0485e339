//! Fleets as large and as tight as wanted, from a seed.
//!
//! Flavors and how often each occurs are facts of a production cloud (Huawei Cloud's published placement requests,
//! CC0: 18 sizes in 24,990 requests); host shapes, disks, pools and the filling are synthetic. Memory is the binding
//! class: 4 vCPUs promised for one, memory never.

use std::collections::{BTreeMap, BTreeSet};

use decant_schema::fleet::{
    Defaults, FORMAT, Flavor, FleetDocument, GroupPolicy, Host, Instance, InstanceState, Inventory, Mobility,
    ServerGroup,
};
use decant_schema::id::{AggregateName, FlavorName, HostName, PoolName, ZoneName};
use decant_schema::units::{mbps, mib};
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// vCPUs, GiB of memory, occurrences.
type Size = (u64, u64, u32);

const SIZES: [Size; 18] = [
    (2, 4, 3468),
    (2, 8, 1860),
    (4, 8, 3847),
    (4, 16, 1764),
    (8, 16, 1153),
    (8, 32, 3058),
    (12, 24, 193),
    (12, 48, 85),
    (16, 32, 1759),
    (16, 64, 1219),
    (24, 48, 25),
    (24, 96, 2),
    (32, 64, 4816),
    (32, 128, 1221),
    (48, 96, 52),
    (48, 192, 46),
    (64, 128, 420),
    (64, 256, 2),
];

/// How many odd sizes there are.
const ODD_SIZES: u32 = 50;

/// Physical cores, MiB of memory, GiB of disk, how many in a hundred hosts.
const SHAPES: [(u64, u64, u64, u32); 4] =
    [(64, 507_904, 6_000, 36), (96, 770_048, 8_000, 34), (128, 1_032_192, 10_000, 20), (128, 1_556_480, 16_000, 10)];

/// Share of the instances that are in a hard anti-affinity group.
const GROUPED_PERCENT: usize = 15;

/// What fleet is wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub(crate) name: &'static str,
    pub(crate) hosts: usize,
    /// Pools of hosts that never exchange instances, each a zone of its own.
    pub(crate) pools: usize,
    pub(crate) drained: usize,
    /// Memory used on the surviving hosts once the drained ones are empty, percent.
    pub(crate) fill_percent: u64,
    /// Whether sizes are of every kind, in steps of one GiB, instead of a cloud's eighteen.
    pub(crate) odd: bool,
    pub(crate) seed: u64,
}

/// A fleet and the hosts of it to empty.
pub(crate) fn generate(wanted: &Wanted) -> (FleetDocument, BTreeSet<HostName>) {
    let mut rng = ChaCha8Rng::seed_from_u64(wanted.seed);
    let sizes = if wanted.odd { odd_sizes(&mut rng) } else { SIZES.to_vec() };
    let hosts: Vec<Host> = (0..wanted.hosts).map(|at| host(&mut rng, at, wanted.pools)).collect();
    let mut order: Vec<usize> = (0..wanted.hosts).collect();
    order.shuffle(&mut rng);
    let drained: BTreeSet<HostName> = order[..wanted.drained].iter().map(|at| hosts[*at].name.clone()).collect();
    let mut instances = Vec::new();
    let mut server_groups = Vec::new();
    for pool in 0..wanted.pools {
        let members: Vec<&Host> = hosts.iter().skip(pool).step_by(wanted.pools).collect();
        let first = instances.len();
        fill(&mut rng, &sizes, (&members, &drained), wanted.fill_percent, &mut instances);
        group(&mut rng, pool, &instances[first..], &mut server_groups);
    }
    let document = FleetDocument {
        format: FORMAT.to_owned(),
        captured_at: jiff::Timestamp::UNIX_EPOCH,
        source: format!("generated:{}:{}", wanted.name, wanted.seed),
        defaults: Defaults::default(),
        hosts,
        flavors: sizes.iter().map(|size| flavor(*size)).collect(),
        instances,
        server_groups,
        racks: Vec::new(),
    };
    (document, drained)
}

/// Sizes no two of which divide each other well: small ones are frequent, and memory is one to four GiB a vCPU.
fn odd_sizes(rng: &mut ChaCha8Rng) -> Vec<Size> {
    let mut sizes: BTreeMap<(u64, u64), u32> = BTreeMap::new();
    while sizes.len() < ODD_SIZES as usize {
        let cores = 2 * rng.random_range(1..=24);
        let occurrences = 4000 / u32::try_from(cores).unwrap_or(1);
        sizes.entry((cores, rng.random_range(cores..=4 * cores))).or_insert(occurrences);
    }
    sizes.into_iter().map(|((cores, memory), occurrences)| (cores, memory, occurrences)).collect()
}

fn host(rng: &mut ChaCha8Rng, at: usize, pools: usize) -> Host {
    let (cores, memory, disk, _) = *weighted(rng, &SHAPES, |shape| shape.3);
    let inventory = |total: u64, allocation_ratio: f64| Inventory {
        total,
        reserved: 0,
        allocation_ratio,
        min_unit: None,
        max_unit: None,
        step_size: None,
    };
    Host {
        name: HostName::new(format!("cmp-{at:05}")),
        zone: Some(zone(at % pools)),
        aggregates: BTreeSet::from([AggregateName::from("general")]),
        traits: BTreeSet::new(),
        enabled: true,
        up: true,
        hypervisor_version: None,
        storage: BTreeSet::from([PoolName::from("ceph-1")]),
        inventory: BTreeMap::from([
            ("VCPU".into(), inventory(cores, 4.0)),
            ("MEMORY_MB".into(), inventory(memory, 1.0)),
            ("DISK_GB".into(), inventory(disk, 1.0)),
        ]),
        other_usage: BTreeMap::new(),
        network_mbps: None,
        max_migrations: None,
        rack: None,
    }
}

fn zone(pool: usize) -> ZoneName {
    ZoneName::new(format!("az{pool}"))
}

fn flavor((cores, memory_gib, _): Size) -> Flavor {
    Flavor {
        name: flavor_name(cores, memory_gib),
        resources: BTreeMap::from([
            ("VCPU".into(), cores),
            ("MEMORY_MB".into(), memory_gib * 1024),
            ("DISK_GB".into(), disk_gib(cores)),
        ]),
        required_traits: BTreeSet::new(),
        forbidden_traits: BTreeSet::new(),
        required_aggregates: BTreeSet::new(),
    }
}

fn flavor_name(cores: u64, memory_gib: u64) -> FlavorName {
    FlavorName::new(format!("c{cores}m{memory_gib}"))
}

fn disk_gib(cores: u64) -> u64 {
    20 + cores * 10
}

/// Draws instances by frequency, each on a random host with room, until the pool is as full as wanted.
fn fill(
    rng: &mut ChaCha8Rng,
    sizes: &[Size],
    (hosts, drained): (&[&Host], &BTreeSet<HostName>),
    percent: u64,
    instances: &mut Vec<Instance>,
) {
    let capacity = |host: &Host, class: &str| host.inventory[class].capacity();
    let mut free: Vec<[u64; 3]> =
        hosts.iter().map(|host| ["VCPU", "MEMORY_MB", "DISK_GB"].map(|class| capacity(host, class))).collect();
    let surviving: u64 =
        hosts.iter().filter(|host| !drained.contains(&host.name)).map(|host| capacity(host, "MEMORY_MB")).sum();
    let mut left = surviving * percent / 100;
    loop {
        let (cores, memory_gib, _) = *weighted(rng, sizes, |size| size.2);
        let need = [cores, memory_gib * 1024, disk_gib(cores)];
        if need[1] > left {
            return;
        }
        let start = rng.random_range(0..hosts.len());
        let fits = |at: &usize| free[*at].iter().zip(&need).all(|(free, need)| free >= need);
        let Some(at) = (start..hosts.len()).chain(0..start).find(fits) else { return };
        for (free, need) in free[at].iter_mut().zip(&need) {
            *free -= need;
        }
        left -= need[1];
        let flavor = flavor_name(cores, memory_gib);
        instances.push(instance(instances.len(), hosts[at], flavor));
    }
}

fn instance(at: usize, host: &Host, flavor: FlavorName) -> Instance {
    let id = format!("i-{at:06}");
    Instance {
        id: id.as_str().into(),
        name: id,
        host: host.name.clone(),
        flavor,
        resources: None,
        state: InstanceState::Active,
        mobility: Mobility::Live,
        pinned_reason: None,
        zone: host.zone.clone(),
        local_disk_mb: mib(0),
        overlay_mb: mib(0),
        heartbeat: None,
        storage: Some(PoolName::from("ceph-1")),
        dirty_mbps: mbps(0),
        priority: 0,
        pinned: false,
        boot_s: None,
        shutdown_s: None,
    }
}

/// Puts a share of the pool's instances in anti-affinity groups of 3 to 8, members on different hosts.
fn group(rng: &mut ChaCha8Rng, pool: usize, instances: &[Instance], groups: &mut Vec<ServerGroup>) {
    let mut chosen: Vec<&Instance> = instances.iter().collect();
    chosen.shuffle(rng);
    chosen.truncate(instances.len() * GROUPED_PERCENT / 100);
    while !chosen.is_empty() {
        let size = rng.random_range(3..=8);
        let mut hosts = BTreeSet::new();
        let mut members = Vec::new();
        chosen.retain(|instance| {
            let joins = members.len() < size && hosts.insert(&instance.host);
            if joins {
                members.push(instance.id.clone());
            }
            !joins
        });
        groups.push(ServerGroup {
            name: format!("group-{pool}-{}", groups.len()).as_str().into(),
            policy: GroupPolicy::AntiAffinity,
            max_per_host: 1,
            members,
        });
    }
}

fn weighted<'a, T>(rng: &mut ChaCha8Rng, choices: &'a [T], weight: impl Fn(&T) -> u32) -> &'a T {
    let mut draw = rng.random_range(0..choices.iter().map(&weight).sum());
    choices
        .iter()
        .find(|choice| {
            let here = draw < weight(choice);
            draw = draw.saturating_sub(weight(choice));
            here
        })
        .expect("the draw is below the sum of the weights")
}
