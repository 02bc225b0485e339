//! Fleets small enough to verify by hand, for tests.

use std::sync::Arc;

use decant_schema::fleet::{Flavor, Fleet, FleetDocument, GroupPolicy, Host, Instance, Inventory, ServerGroup};
use decant_schema::id::ResourceClass;
use decant_schema::request::{Options, Request, RequestKind};

/// Hosts by name and MiB of memory; instances by id, host and MiB of memory.
pub(crate) fn document(hosts: &[(&str, u64)], instances: &[(&str, &str, u64)]) -> FleetDocument {
    let text = r#"{"format":"decant.fleet/1","captured_at":"2026-01-01T00:00:00Z","hosts":[]}"#;
    let mut document: FleetDocument = serde_json::from_str(text).expect("an empty fleet");
    document.hosts = hosts.iter().map(|(name, memory)| host(name, *memory)).collect();
    for (id, host, memory) in instances {
        let flavor = format!("m{memory}");
        if document.flavors.iter().all(|known| known.name.as_str() != flavor) {
            let resources = [(memory_class(), *memory)].into();
            let none = Default::default;
            document.flavors.push(Flavor {
                name: flavor.as_str().into(),
                resources,
                required_traits: none(),
                forbidden_traits: Default::default(),
                required_aggregates: Default::default(),
            });
        }
        document.instances.push(instance(id, host, &flavor));
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
