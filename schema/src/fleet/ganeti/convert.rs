//! A cluster's rows as a fleet document.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;

use super::rows::{Cluster, DiskAt, Instance as Row, Node, VCPU_RATIO_DEFAULT};
use crate::finding::{Findings, path_to, shown};
use crate::fleet::{
    Defaults, FORMAT, Flavor, FleetDocument, GroupPolicy, Host, Instance, InstanceState, Inventory, Mobility,
    Resources, ServerGroup,
};
use crate::id::{InstanceId, PoolName, ResourceClass};
use crate::units::{mbps, mib};

/// Disk in MiB: Ganeti's sizes are seldom whole GiB.
const DISK_MB: &str = "CUSTOM_DISK_MB";

/// Cluster tags that name the prefixes of exclusion tags.
const EXCLUSION: &str = "htools:iextags:";

/// Cluster tags for which there is nothing in a fleet.
const LEFT_OUT: [&str; 4] =
    ["htools:nlocation:", "htools:desiredlocation:", "htools:migration:", "htools:allowmigration:"];

pub(super) fn convert(cluster: &Cluster<'_>, text: &str, warnings: &mut Findings) -> FleetDocument {
    warn(cluster, text, warnings);
    let ids = ids(cluster, text, warnings);
    let flavors: BTreeMap<String, Flavor> =
        cluster.instances.iter().map(flavor).map(|flavor| (flavor.name.to_string(), flavor)).collect();
    FleetDocument {
        format: FORMAT.to_owned(),
        captured_at: Timestamp::UNIX_EPOCH,
        source: "ganeti".to_owned(),
        defaults: Defaults::default(),
        hosts: hosts(cluster),
        flavors: flavors.into_values().collect(),
        instances: cluster.instances.iter().zip(&ids).map(|(row, id)| instance(cluster, row, id)).collect(),
        server_groups: exclusion_groups(cluster, &ids),
        racks: Vec::new(),
    }
}

fn warn(cluster: &Cluster<'_>, text: &str, warnings: &mut Findings) {
    let offset = |part: &str| part.as_ptr().addr() - text.as_ptr().addr();
    for tag in &cluster.tags {
        if LEFT_OUT.iter().any(|prefix| tag.starts_with(prefix)) {
            let remedy = "places and versions of nodes are left out".to_owned();
            warnings.add_at(path_to![], offset(tag), format!("the tag {} is not planned with", shown(tag)), remedy);
        } else if tag.contains('|') {
            let remedy = "put a blank line before it if it is a policy".to_owned();
            warnings.add_at(path_to![], offset(tag), "it stands where tags are and is read as one".to_owned(), remedy);
        }
    }
    for (at, node) in cluster.nodes.iter().enumerate().filter(|(_, node)| node.offline) {
        let runs = |row: &&Row<'_>| row.primary == at && row.state == InstanceState::Active;
        let running = cluster.instances.iter().filter(runs).count();
        if running > 0 {
            let problem = format!("{} is offline, and {running} of its instances are said to run", shown(node.name));
            let remedy = "offline is taken for down, so they are started anew elsewhere: if the node is only drained, write N, \
                          else a second copy of each starts";
            warnings.add_at(path_to![], offset(node.name), problem, remedy.to_owned());
        }
    }
    for node in cluster.nodes.iter().filter(|node| node.exclusive_storage) {
        let problem = "it has exclusive storage, which is not planned with".to_owned();
        warnings.add_at(path_to![], offset(node.name), problem, "spindles are left out".to_owned());
    }
}

/// An id for every instance: its name, numbered where htools' files have the same name again.
fn ids<'a>(cluster: &Cluster<'a>, text: &str, warnings: &mut Findings) -> Vec<InstanceId> {
    let mut seen: HashMap<&'a str, u32> = HashMap::new();
    let id = |row: &Row<'a>| {
        let number = seen.entry(row.name).or_insert(0);
        *number += 1;
        if *number == 1 {
            return InstanceId::new(row.name);
        }
        let id = format!("{}#{number}", row.name);
        let offset = row.name.as_ptr().addr() - text.as_ptr().addr();
        let problem = format!("the instance {} is there already", shown(row.name));
        warnings.add_at(path_to![], offset, problem, format!("this one is called {}", shown(&id)));
        InstanceId::new(id)
    };
    cluster.instances.iter().map(id).collect()
}

fn hosts(cluster: &Cluster<'_>) -> Vec<Host> {
    let mut shared = BTreeSet::new();
    let mut pools = vec![BTreeSet::new(); cluster.nodes.len()];
    let mut memory_running = vec![0; cluster.nodes.len()];
    let mut disk_local = vec![0; cluster.nodes.len()];
    for row in &cluster.instances {
        match row.disk_at {
            DiskAt::Local => add(&mut disk_local[row.primary], row.disk),
            DiskAt::Mirror(secondary) => {
                pools[row.primary].extend(pool(cluster, row));
                pools[secondary].extend(pool(cluster, row));
            }
            DiskAt::Shared(_) => shared.extend(pool(cluster, row)),
        }
        if row.state == InstanceState::Active {
            add(&mut memory_running[row.primary], row.memory);
        }
    }
    let parts = cluster.nodes.iter().zip(pools).zip(memory_running.into_iter().zip(disk_local));
    parts
        .map(|((node, mut pools), (memory_running, disk_local))| {
            pools.extend(shared.iter().cloned());
            host(cluster, node, pools, memory_running, disk_local)
        })
        .collect()
}

/// The door refuses sums that are out of range; here they only must not overflow.
fn add(sum: &mut u64, amount: u64) {
    *sum = sum.saturating_add(amount);
}

fn host(
    cluster: &Cluster<'_>,
    node: &Node<'_>,
    storage: BTreeSet<PoolName>,
    memory_running: u64,
    disk_local: u64,
) -> Host {
    let ratio = cluster.vcpu_ratios.get(node.group).or_else(|| cluster.vcpu_ratios.get(""));
    let inventory = |total, allocation_ratio| Inventory {
        total,
        reserved: 0,
        allocation_ratio,
        min_unit: None,
        max_unit: None,
        step_size: None,
    };
    let memory_missing = node.memory_total.saturating_sub(node.memory_free).saturating_sub(memory_running);
    let disk_missing = node.disk_total.saturating_sub(node.disk_free).saturating_sub(disk_local);
    Host {
        name: node.name.into(),
        zone: Some(node.group.into()),
        aggregates: BTreeSet::new(),
        traits: BTreeSet::new(),
        enabled: true,
        up: !node.offline,
        hypervisor_version: None,
        storage,
        inventory: BTreeMap::from([
            (ResourceClass::VCPU.into(), inventory(node.cpus, *ratio.unwrap_or(&VCPU_RATIO_DEFAULT))),
            (ResourceClass::MEMORY_MB.into(), inventory(node.memory_total, 1.0)),
            (DISK_MB.into(), inventory(node.disk_total, 1.0)),
        ]),
        other_usage: amounts([
            (ResourceClass::VCPU, node.cpus_node),
            (ResourceClass::MEMORY_MB, memory_missing.max(node.memory_node)),
            (DISK_MB, disk_missing),
        ]),
        network_mbps: None,
        max_migrations: None,
        rack: None,
    }
}

/// The amounts that are not zero.
fn amounts<const N: usize>(amounts: [(&str, u64); N]) -> Resources {
    amounts.into_iter().filter(|(_, amount)| *amount > 0).map(|(class, amount)| (class.into(), amount)).collect()
}

/// What an instance claims on its node alone.
fn local_disk(row: &Row<'_>) -> u64 {
    if matches!(row.disk_at, DiskAt::Local) { row.disk } else { 0 }
}

/// A flavor for every size.
fn flavor(row: &Row<'_>) -> Flavor {
    let disk = local_disk(row);
    let name = match disk {
        0 => format!("{}v-{}m", row.vcpus, row.memory),
        disk => format!("{}v-{}m-{disk}d", row.vcpus, row.memory),
    };
    Flavor {
        name: name.as_str().into(),
        resources: amounts([(ResourceClass::VCPU, row.vcpus), (ResourceClass::MEMORY_MB, row.memory), (DISK_MB, disk)]),
        required_traits: BTreeSet::new(),
        forbidden_traits: BTreeSet::new(),
        required_aggregates: BTreeSet::new(),
    }
}

/// The pool its disk is on; none for a local one.
fn pool(cluster: &Cluster<'_>, row: &Row<'_>) -> Option<PoolName> {
    match row.disk_at {
        DiskAt::Local => None,
        DiskAt::Shared(template) => Some(template.into()),
        DiskAt::Mirror(secondary) => {
            let mut nodes = [cluster.nodes[row.primary].name, cluster.nodes[secondary].name];
            nodes.sort_unstable();
            Some(PoolName::new(format!("drbd:{}+{}", nodes[0], nodes[1])))
        }
    }
}

fn instance(cluster: &Cluster<'_>, row: &Row<'_>, id: &InstanceId) -> Instance {
    let group = cluster.nodes[row.primary].group;
    // An instance split over two groups can only go where its other half is.
    let split = matches!(row.disk_at, DiskAt::Mirror(secondary) if cluster.nodes[secondary].group != group);
    let local = matches!(row.disk_at, DiskAt::Local);
    Instance {
        id: id.clone(),
        name: row.name.to_owned(),
        host: cluster.nodes[row.primary].name.into(),
        flavor: flavor(row).name,
        resources: None,
        state: row.state,
        mobility: if local { Mobility::Cold } else { Mobility::Live },
        pinned_reason: None,
        zone: (!split).then(|| group.into()),
        local_disk_mb: mib(local_disk(row)),
        overlay_mb: mib(0),
        heartbeat: None,
        storage: pool(cluster, row),
        dirty_mbps: mbps(0),
        priority: 0,
        pinned: false,
        boot_s: None,
        shutdown_s: None,
    }
}

/// An anti-affinity group for every exclusion tag that two or more instances have.
fn exclusion_groups(cluster: &Cluster<'_>, ids: &[InstanceId]) -> Vec<ServerGroup> {
    let prefixes: Vec<String> =
        cluster.tags.iter().filter_map(|tag| tag.strip_prefix(EXCLUSION)).map(|prefix| format!("{prefix}:")).collect();
    let mut members: BTreeMap<&str, BTreeSet<&InstanceId>> = BTreeMap::new();
    for (row, id) in cluster.instances.iter().zip(ids) {
        for tag in row.tags.iter().filter(|tag| prefixes.iter().any(|prefix| tag.starts_with(prefix.as_str()))) {
            members.entry(tag).or_default().insert(id);
        }
    }
    members
        .into_iter()
        .filter(|(_, members)| members.len() > 1)
        .map(|(tag, members)| ServerGroup {
            name: tag.into(),
            policy: GroupPolicy::AntiAffinity,
            max_per_host: 1,
            members: members.into_iter().cloned().collect(),
        })
        .collect()
}
