//! Random fleets of the shape that real ones have: strict groups with a member on every host, as many flavors as instances,
//! odd sizes in three classes, hosts that are overfull or lack a class, amounts of zero, one host or none, names in any
//! script. Everything follows from the seed.

use std::collections::BTreeSet;
use std::sync::Arc;

use decant_schema::fleet::{
    Flavor, Fleet, FleetDocument, GroupPolicy, Host, Instance, InstanceState, Mobility, Resources, ServerGroup,
};
use decant_schema::id::{HostName, ResourceClass};
use decant_schema::request::{Options, Request, RequestKind, Resize, RollingOptions};
use rand::seq::{IndexedRandom, IteratorRandom};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::fleets::{empty, inventory, made};

const CLASSES: [&str; 3] = ["MEMORY_MB", "VCPU", "CUSTOM_LICENCE"];

/// How hosts are called, in some of the scripts there are.
const SCRIPTS: [&str; 6] = ["host", "хост", "主机", "مضيف", "मेजबान", "hôte"];

/// A fleet, and a request about it.
pub(crate) fn case(seed: u64) -> (Arc<Fleet>, Request) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut document = empty();
    let hosts = *[0, 1, 2, 3, 5, 8, 8, 12, 20].choose(&mut random).unwrap();
    let script = SCRIPTS.choose(&mut random).unwrap();
    document.hosts = (0..hosts).map(|at| host(&mut random, &format!("{script}{at}"))).collect();
    let own_flavors = random.random_bool(0.5);
    let flavors = if own_flavors { 0 } else { random.random_range(1..6) };
    document.flavors = (0..flavors).map(|at| flavor(&mut random, at)).collect();
    for at in 0..hosts {
        fill(&mut random, &mut document, at, own_flavors);
    }
    groups(&mut random, &mut document);
    let request = request(&mut random, &document);
    (made(seed, document), request)
}

fn host(random: &mut ChaCha8Rng, name: &str) -> Host {
    let mut host: Host = serde_json::from_value(serde_json::json!({ "name": name, "inventory": {} })).unwrap();
    for (class, most) in CLASSES.iter().zip([4099, 67, 13]) {
        // A class that is missing, there with nothing of it, or there in an odd amount.
        match random.random_range(0..20) {
            0 => {}
            1 => _ = host.inventory.insert((*class).into(), inventory(0)),
            _ => _ = host.inventory.insert((*class).into(), inventory(random.random_range(most / 2..=most))),
        }
    }
    host.enabled = random.random_bool(0.95);
    host.up = random.random_bool(0.95);
    host.zone = random.random_bool(0.2).then(|| "west".into());
    host
}

fn resources(random: &mut ChaCha8Rng) -> Resources {
    let mut resources = Resources::new();
    for (class, most) in CLASSES.into_iter().zip([700, 13, 4]) {
        // A class that is not asked for, asked for with nothing, or in an odd amount.
        match random.random_range(0..10) {
            0 => {}
            1 => _ = resources.insert(class.into(), 0),
            _ => _ = resources.insert(class.into(), random.random_range(0..most)),
        }
    }
    resources
}

fn flavor(random: &mut ChaCha8Rng, at: usize) -> Flavor {
    Flavor {
        name: format!("size-{at}").as_str().into(),
        resources: resources(random),
        required_traits: BTreeSet::new(),
        forbidden_traits: BTreeSet::new(),
        required_aggregates: BTreeSet::new(),
    }
}

/// Puts instances on a host, now and then more than it holds.
fn fill(random: &mut ChaCha8Rng, document: &mut FleetDocument, host: usize, own_flavors: bool) {
    for _ in 0..random.random_range(0..18) {
        if own_flavors {
            let flavor = flavor(random, document.flavors.len());
            document.flavors.push(flavor);
        }
        let flavor = if own_flavors { document.flavors.last() } else { document.flavors.choose(random) };
        let (flavor, host) = (flavor.unwrap(), &document.hosts[host]);
        let id = format!("vm{:03}", document.instances.len());
        let instance = serde_json::json!({ "id": id, "host": host.name, "flavor": flavor.name });
        let mut instance: Instance = serde_json::from_value(instance).unwrap();
        let used = |class: &ResourceClass| -> u64 {
            let there = document.instances.iter().filter(|known| known.host == host.name);
            let flavors = there.filter_map(|known| document.flavors.iter().find(|flavor| flavor.name == known.flavor));
            flavors.filter_map(|flavor| flavor.resources.get(class)).sum()
        };
        let capacity = |class: &ResourceClass| host.inventory.get(class).map_or(0, |inventory| inventory.total);
        let fits = flavor.resources.iter().all(|(class, amount)| used(class) + amount <= capacity(class));
        instance.pinned = random.random_bool(0.03);
        instance.mobility = *[Mobility::Live, Mobility::Live, Mobility::Cold, Mobility::None].choose(random).unwrap();
        instance.state = if random.random_bool(0.8) { InstanceState::Active } else { InstanceState::Stopped };
        instance.priority = random.random_range(0..3);
        if fits || random.random_bool(0.03) {
            document.instances.push(instance);
        }
    }
}

/// Groups with a member on every host that has anybody, and others.
fn groups(random: &mut ChaCha8Rng, document: &mut FleetDocument) {
    for at in 0..random.random_range(0..4) {
        let mut members = BTreeSet::new();
        for host in &document.hosts {
            let there = document.instances.iter().filter(|instance| instance.host == host.name);
            members.extend(there.choose(random).map(|instance| instance.id.clone()));
        }
        let policies = [GroupPolicy::AntiAffinity, GroupPolicy::AntiAffinity, GroupPolicy::Affinity];
        let policy = *policies.choose(random).unwrap();
        if policy == GroupPolicy::Affinity {
            members = members.into_iter().take(2).collect();
        }
        if members.len() > 1 {
            let name = format!("group-{at}").as_str().into();
            document.server_groups.push(ServerGroup {
                name,
                policy,
                max_per_host: 1,
                members: members.into_iter().collect(),
            });
        }
    }
}

fn request(random: &mut ChaCha8Rng, document: &FleetDocument) -> Request {
    let options = Options {
        no_displace: random.random_bool(0.2),
        headroom_percent: *[0.0, 0.0, 0.0, 7.0].choose(random).unwrap(),
        ..Options::default()
    };
    let names: Vec<HostName> = document.hosts.iter().map(|host| host.name.clone()).collect();
    let some = random.random_range(1..=3);
    let kind = match random.random_range(0..10) {
        0 => {
            let resize = |instance: &Instance, random: &mut ChaCha8Rng| {
                Some(Resize { instance: instance.id.clone(), flavor: document.flavors.choose(random)?.name.clone() })
            };
            let chosen: Vec<&Instance> = document.instances.sample(random, some).collect();
            RequestKind::Resize { resizes: chosen.into_iter().filter_map(|it| resize(it, random)).collect() }
        }
        1 => {
            let rounds = RollingOptions { window_s: 3600.0, outage_s: 300.0, ..RollingOptions::default() };
            RequestKind::Rolling { hosts: names.into_iter().collect(), rounds }
        }
        _ => RequestKind::Evacuate { hosts: names.sample(random, some).cloned().collect() },
    };
    Request { kind, options }
}
