//! Fleets small enough to verify by hand, for tests.

use std::collections::BTreeSet;
use std::sync::Arc;

use decant_schema::fleet::{
    Flavor, Fleet, FleetDocument, GroupPolicy, Host, Instance, Inventory, Resources, ServerGroup,
};
use decant_schema::id::ResourceClass;
use decant_schema::request::{Options, Request, RequestKind};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Hosts by name and MiB of memory; instances by id, host and MiB of memory.
pub(crate) fn document(hosts: &[(&str, u64)], instances: &[(&str, &str, u64)]) -> FleetDocument {
    let text = r#"{"format":"decant.fleet/1","captured_at":"2026-01-01T00:00:00Z","hosts":[]}"#;
    let mut document: FleetDocument = serde_json::from_str(text).expect("an empty fleet");
    document.hosts = hosts.iter().map(|(name, memory)| host(name, *memory)).collect();
    for (id, host, memory) in instances {
        let flavor = format!("m{memory}");
        if document.flavors.iter().all(|known| known.name.as_str() != flavor) {
            document.flavors.push(self::flavor(&flavor, [(memory_class(), *memory)].into()));
        }
        document.instances.push(instance(id, host, &flavor));
    }
    document
}

/// A small fleet by chance: two zones, two classes, a few groups, pins, traits and shared pools, more or less tight.
pub(crate) fn random(seed: u64) -> FleetDocument {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let hosts: Vec<String> = (0..random.random_range(3..9)).map(|at| format!("h{at}")).collect();
    let mut document = document(&[], &[]);
    for name in &hosts {
        let mut host = host(name, 64);
        host.inventory.insert("VCPU".into(), inventory(random.random_range(20..30)));
        host.zone = Some(if random.random_bool(0.5) { "az1" } else { "az2" }.into());
        host.enabled = random.random_bool(0.9);
        host.hypervisor_version = random.random_bool(0.5).then(|| random.random_range(7..9));
        document.hosts.push(host);
    }
    for memory in [4, 8, 16, 32] {
        let (name, vcpus) = (format!("m{memory}"), memory / random.random_range(2..5));
        let resources = [(memory_class(), memory), ("VCPU".into(), vcpus)].into();
        document.flavors.push(flavor(&name, resources));
    }
    let fill = random.random_range(0.4..1.0);
    for name in &hosts {
        let mut room = 64.0 * fill;
        while room >= 4.0 {
            let memory = [4, 4, 8, 8, 16, 32][random.random_range(0..6)];
            room -= f64::from(memory);
            let mut instance = instance(&format!("i{:03}", document.instances.len()), name, &format!("m{memory}"));
            instance.pinned = random.random_bool(0.05);
            let zone = document.hosts.iter().find(|host| host.name.as_str() == name).and_then(|host| host.zone.clone());
            instance.zone = zone.filter(|_| random.random_bool(0.3));
            if room >= 0.0 {
                document.instances.push(instance);
            }
        }
    }
    let policies = [GroupPolicy::AntiAffinity, GroupPolicy::Affinity, GroupPolicy::AntiAffinity];
    for (at, policy) in policies.into_iter().enumerate() {
        let mut members: Vec<&str> = Vec::new();
        for instance in &document.instances {
            let spread = members.iter().all(|id| {
                document.instances.iter().any(|other| other.id.as_str() == *id && other.host != instance.host)
            });
            if random.random_bool(0.15) && spread == (policy == GroupPolicy::AntiAffinity) | members.is_empty() {
                members.push(instance.id.as_str());
            }
        }
        document.server_groups.push(group(&format!("g{at}"), policy, &members));
    }
    document
}

/// A document past the door.
pub(crate) fn fleet(document: FleetDocument) -> Arc<Fleet> {
    Arc::new(Fleet::from_document(document).expect("a fleet for a test is right"))
}

/// A host with memory alone.
pub(crate) fn host(name: &str, memory: u64) -> Host {
    let mut host: Host = serde_json::from_str(&format!(r#"{{"name":"{name}","inventory":{{}}}}"#)).expect("a host");
    host.inventory.insert(memory_class(), inventory(memory));
    host
}

/// A flavor that asks for amounts alone.
pub(crate) fn flavor(name: &str, resources: Resources) -> Flavor {
    Flavor {
        name: name.into(),
        resources,
        required_traits: BTreeSet::new(),
        forbidden_traits: BTreeSet::new(),
        required_aggregates: BTreeSet::new(),
    }
}

/// An amount that is all there for instances.
pub(crate) fn inventory(total: u64) -> Inventory {
    Inventory { total, reserved: 0, allocation_ratio: 1.0, min_unit: None, max_unit: None, step_size: None }
}

/// An instance that says nothing special.
pub(crate) fn instance(id: &str, host: &str, flavor: &str) -> Instance {
    serde_json::from_str(&format!(r#"{{"id":"{id}","host":"{host}","flavor":"{flavor}"}}"#)).expect("an instance")
}

/// A server group.
pub(crate) fn group(name: &str, policy: GroupPolicy, members: &[&str]) -> ServerGroup {
    let members = members.iter().map(|member| (*member).into()).collect();
    ServerGroup { name: name.into(), policy, max_per_host: 1, members }
}

/// A request to empty hosts.
pub(crate) fn evacuate(hosts: &[&str]) -> Request {
    let hosts = hosts.iter().map(|host| (*host).into()).collect();
    Request { kind: RequestKind::Evacuate { hosts }, options: Options::default() }
}

/// The class of memory.
pub(crate) fn memory_class() -> ResourceClass {
    ResourceClass::MEMORY_MB.into()
}
