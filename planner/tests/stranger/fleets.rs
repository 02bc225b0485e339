//! Random fleets with all rules mixed, and random requests about them. Everything follows from the seed.

use std::sync::Arc;

use decant_schema::fleet::{
    Flavor, Fleet, FleetDocument, GroupPolicy, Host, Instance, InstanceState, Inventory, Mobility, ServerGroup,
};
use decant_schema::id::InstanceId;
use decant_schema::request::{Options, Request, RequestKind, Resize};
use decant_schema::units::mib;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// How large and how tight a random fleet is.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    /// Hosts.
    pub(crate) hosts: usize,
    /// Most instances a host starts with.
    pub(crate) instances_per_host: usize,
    /// How much of the memory is taken, percent, at most.
    pub(crate) fill_percent: u64,
    /// Flavors.
    pub(crate) flavors: usize,
}

/// A fleet and a request about it.
pub(crate) fn case(seed: u64, shape: Shape) -> (Arc<Fleet>, Request) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut document = empty();
    document.flavors = (0..shape.flavors).map(|at| flavor(&mut random, at)).collect();
    document.hosts = (0..shape.hosts).map(|at| host(&mut random, at)).collect();
    for at in 0..shape.hosts {
        fill(&mut random, &mut document, at, shape);
    }
    groups(&mut random, &mut document);
    let request = request(&mut random, &document);
    (made(seed, document), request)
}

/// The fleet that a seed has made a document of.
pub(crate) fn made(seed: u64, document: FleetDocument) -> Arc<Fleet> {
    let fleet = Fleet::from_document(document).unwrap_or_else(|errors| {
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        panic!("seed {seed} makes no fleet: {errors:#?}")
    });
    Arc::new(fleet)
}

pub(crate) fn empty() -> FleetDocument {
    serde_json::from_str(r#"{"format":"decant.fleet/1","captured_at":"2026-01-01T00:00:00Z","hosts":[]}"#).unwrap()
}

pub(crate) fn inventory(total: u64) -> Inventory {
    Inventory { total, reserved: 0, allocation_ratio: 1.0, min_unit: None, max_unit: None, step_size: None }
}

fn one_in(random: &mut ChaCha8Rng, chances: u32) -> bool {
    random.random_ratio(1, chances)
}

fn flavor(random: &mut ChaCha8Rng, at: usize) -> Flavor {
    let memory = 1024 * *[1_u64, 2, 3, 4, 6, 8, 12, 16].choose(random).unwrap();
    let vcpus = random.random_range(1..=6_u64);
    let mut flavor: Flavor = serde_json::from_str(&format!(r#"{{"name":"f{at}","resources":{{}}}}"#)).unwrap();
    flavor.resources = [("MEMORY_MB".into(), memory), ("VCPU".into(), vcpus)].into();
    if one_in(random, 2) {
        flavor.resources.insert("DISK_GB".into(), random.random_range(0..=40));
    }
    if one_in(random, 10) {
        flavor.resources.insert("CUSTOM_GPU".into(), 1);
    }
    if one_in(random, 6) {
        flavor.required_traits.insert("AVX2".into());
    }
    if one_in(random, 8) {
        flavor.forbidden_traits.insert("SLOW".into());
    }
    if one_in(random, 8) {
        flavor.required_aggregates.insert("ssd".into());
    }
    flavor
}

fn host(random: &mut ChaCha8Rng, at: usize) -> Host {
    let name = format!("cmp-{at:03}");
    let mut host: Host = serde_json::from_str(&format!(r#"{{"name":"{name}","inventory":{{}}}}"#)).unwrap();
    host.zone = Some(if one_in(random, 3) { "az2" } else { "az1" }.into());
    host.inventory.insert("VCPU".into(), vcpus(random));
    host.inventory.insert("MEMORY_MB".into(), memory(random));
    host.inventory.insert("DISK_GB".into(), inventory(random.random_range(150..=400)));
    if one_in(random, 3) {
        host.inventory.insert("CUSTOM_GPU".into(), inventory(random.random_range(1..=3)));
    }
    if !one_in(random, 5) {
        host.traits.insert("AVX2".into());
    }
    if one_in(random, 8) {
        host.traits.insert("SLOW".into());
    }
    if one_in(random, 2) {
        host.aggregates.insert("ssd".into());
    }
    for pool in ["ceph-1", "ceph-2"] {
        if !one_in(random, 5) {
            host.storage.insert(pool.into());
        }
    }
    host.enabled = !one_in(random, 15);
    host.up = !one_in(random, 25);
    host.hypervisor_version =
        [None, Some(8_002_000), Some(8_002_000), Some(8_002_000), Some(9_000_000)].choose(random).copied().unwrap();
    if one_in(random, 4) {
        host.other_usage.insert("MEMORY_MB".into(), random.random_range(1..=2048));
    }
    host
}

fn vcpus(random: &mut ChaCha8Rng) -> Inventory {
    let ratio = *[1.0, 1.5, 2.0, 4.0].choose(random).unwrap();
    Inventory { allocation_ratio: ratio, ..inventory(random.random_range(16..=32)) }
}

fn memory(random: &mut ChaCha8Rng) -> Inventory {
    let mut memory = inventory(1024 * *[32_u64, 48, 64].choose(random).unwrap());
    memory.reserved = if one_in(random, 2) { 1024 } else { 0 };
    memory.max_unit = one_in(random, 12).then_some(12 * 1024);
    memory.min_unit = one_in(random, 20).then_some(2048);
    memory.step_size = one_in(random, 20).then_some(2048);
    memory
}

/// Puts instances on a host; most of them where the rules would let them be.
fn fill(random: &mut ChaCha8Rng, document: &mut FleetDocument, at: usize, shape: Shape) {
    let host = document.hosts[at].clone();
    let fill_percent = random.random_range(shape.fill_percent / 2..=shape.fill_percent);
    let mut left: Vec<(decant_schema::id::ResourceClass, u64)> =
        host.inventory.iter().map(|(class, inventory)| (class.clone(), inventory.capacity())).collect();
    for (class, left) in &mut left {
        *left -= host.other_usage.get(class).copied().unwrap_or(0);
        if class.as_str() == "MEMORY_MB" {
            *left = *left * fill_percent / 100;
        }
    }
    for nth in 0..shape.instances_per_host {
        let flavor = document.flavors.choose(random).unwrap();
        let need = |class: &str| flavor.resources.get(class).copied().unwrap_or(0);
        let fits = left.iter().all(|(class, left)| need(class.as_str()) <= *left);
        let known = flavor.resources.keys().all(|class| host.inventory.contains_key(class));
        let suited = flavor.required_traits.is_subset(&host.traits)
            && flavor.forbidden_traits.is_disjoint(&host.traits)
            && flavor.required_aggregates.is_subset(&host.aggregates);
        // Now and then a host is oversubscribed, or holds what its rules would not let in today.
        if known && (fits && suited || one_in(random, 60)) {
            for (class, left) in &mut left {
                *left = left.saturating_sub(need(class.as_str()));
            }
            let (id, name) = (format!("i-{at:03}-{nth:02}"), flavor.name.to_string());
            let instance = instance(random, &host, &id, &name);
            document.instances.push(instance);
        }
    }
}

fn instance(random: &mut ChaCha8Rng, host: &Host, id: &str, flavor: &str) -> Instance {
    use InstanceState::{Active, Error, Paused, Stopped, Suspended};
    let text = format!(r#"{{"id":"{id}","host":"{}","flavor":"{flavor}"}}"#, host.name);
    let mut instance: Instance = serde_json::from_str(&text).unwrap();
    instance.state =
        *[Active, Active, Active, Active, Active, Active, Stopped, Paused, Suspended, Error].choose(random).unwrap();
    instance.mobility = match random.random_range(0..30) {
        0 => Mobility::None,
        1..4 => Mobility::Cold,
        4..6 => Mobility::Suspend,
        _ => Mobility::Live,
    };
    instance.pinned = one_in(random, 40);
    instance.zone = host.zone.clone().filter(|_| one_in(random, 2));
    let pools: Vec<_> = host.storage.iter().cloned().collect();
    if let Some(pool) = pools.choose(random).filter(|_| !one_in(random, 3)) {
        instance.storage = Some(pool.clone());
    } else {
        instance.local_disk_mb = mib(random.random_range(0..=4096));
        instance.overlay_mb = mib(random.random_range(0..=512));
    }
    if one_in(random, 25) {
        instance.resources = Some([("MEMORY_MB".into(), 1024), ("VCPU".into(), 1)].into());
    }
    instance.priority = random.random_range(0..=1);
    instance
}

fn groups(random: &mut ChaCha8Rng, document: &mut FleetDocument) {
    let mut ids: Vec<InstanceId> = document.instances.iter().map(|instance| instance.id.clone()).collect();
    ids.shuffle(random);
    for at in 0..document.hosts.len() / 2 {
        let policy = *[
            GroupPolicy::AntiAffinity,
            GroupPolicy::AntiAffinity,
            GroupPolicy::Affinity,
            GroupPolicy::SoftAffinity,
            GroupPolicy::SoftAntiAffinity,
        ]
        .choose(random)
        .unwrap();
        let size = random.random_range(2..=4).min(ids.len());
        let mut members = ids.split_off(ids.len() - size);
        if policy == GroupPolicy::Affinity {
            // Most such groups are together: members of one host.
            members = together(document, &members);
        }
        let max_per_host = random.random_range(1..=2);
        if members.len() > 1 {
            document.server_groups.push(ServerGroup {
                name: format!("g{at}").as_str().into(),
                policy,
                max_per_host,
                members,
            });
        }
    }
}

/// Those of the members that are where the first is, or the first two wherever they are.
fn together(document: &FleetDocument, members: &[InstanceId]) -> Vec<InstanceId> {
    let host = |id: &InstanceId| document.instances.iter().find(|instance| instance.id == *id).map(|found| &found.host);
    let same: Vec<InstanceId> = members.iter().filter(|id| host(id) == host(&members[0])).cloned().collect();
    if same.len() > 1 { same } else { members.iter().take(2).cloned().collect() }
}

fn request(random: &mut ChaCha8Rng, document: &FleetDocument) -> Request {
    let mut options = Options {
        no_displace: one_in(random, 4),
        headroom_percent: *[0.0, 0.0, 0.0, 5.0, 12.5].choose(random).unwrap(),
        seed: random.random_range(0..1000),
        ..Options::default()
    };
    if one_in(random, 3) {
        options.exclude_hosts.extend(document.hosts.choose(random).map(|host| host.name.clone()));
    }
    if one_in(random, 3) {
        options.pins.extend(document.instances.choose(random).map(|instance| instance.id.clone()));
    }
    let kind = if one_in(random, 4) && !document.instances.is_empty() {
        RequestKind::Resize { resizes: resizes(random, document) }
    } else {
        let most = (document.hosts.len() / 8).max(1);
        let hosts = random.random_range(1..=most);
        RequestKind::Evacuate { hosts: document.hosts.sample(random, hosts).map(|host| host.name.clone()).collect() }
    };
    Request { kind, options }
}

fn resizes(random: &mut ChaCha8Rng, document: &FleetDocument) -> Vec<Resize> {
    let count = random.random_range(1..=4);
    let chosen: Vec<InstanceId> =
        document.instances.sample(random, count).map(|instance| instance.id.clone()).collect();
    chosen
        .into_iter()
        .map(|instance| Resize { instance, flavor: document.flavors.choose(random).unwrap().name.clone() })
        .collect()
}
