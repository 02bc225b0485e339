//! `decant host add`: a folder becomes a host's, once, and the store knows where it is from then on.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::thread;

use decant_executor::apply::add_hosts;
use decant_executor::layout::HostFolder;
use decant_schema::fleet::{Host, Inventory};
use decant_schema::id::{HostName, ResourceClass};
use decant_schema::store::Place;

use crate::cli::AddHost;
use crate::commands::site;
use crate::error::{Complaint, Exit, Failure};
use crate::output;

/// What may lie in a folder before it is a host's: what file systems begin with, and a host's own lists.
const EXPECTED: [&str; 6] = ["lost+found", "kernel", "kernels", "firmware", "interfaces", "user"];

/// How many names of foreign files are said.
const NAMES_SHOWN: usize = 3;

pub(super) fn run(args: &AddHost) -> Result<Exit, Failure> {
    let remedy = "name the folder that is to hold one folder a host by --hosts-in";
    let root = site::hosts_folder(args.site.hosts_in.as_deref(), remedy)?;
    let store = site::store(&args.site.store)?;
    let hosts = args.host.iter().map(|name| HostName::new(name.as_str())).collect();
    let folders = site::folders(&root, &hosts)?;
    let known = site::run("read the store", site::BEGINS_AGAIN, decant_executor::places(&store))?;
    let wrong = folders.iter().filter_map(|(host, folder)| cannot_be_added(host, folder, args.mount, known.get(host)));
    let errors: Vec<Complaint> = wrong.collect();
    if !errors.is_empty() {
        return Err(Failure::Input { of: "the request".to_owned(), errors });
    }
    let added = add_folders(args, &folders)?;
    site::run("add the hosts", site::GOES_ON, add_hosts(&store, &added))?;
    for (host, folder) in &folders {
        output::print(&format!("{host} is added: {}\n", folder.path().display()))?;
    }
    Ok(Exit::Done)
}

fn add_folders(args: &AddHost, folders: &BTreeMap<HostName, HostFolder>) -> Result<Vec<(Host, Place)>, Failure> {
    let mut added = Vec::new();
    for (host, folder) in folders {
        let failed = |error| Failure::environment(format!("add the host {host}"), error);
        if !folder.is_added() {
            folder.add(host).map_err(failed)?;
        }
        let place = Place { folder: folder.path().to_owned(), mounted: args.mount };
        added.push((host_of(host, args, folder).map_err(failed)?, place));
    }
    Ok(added)
}

fn cannot_be_added(host: &HostName, folder: &HostFolder, mount: bool, known: Option<&Place>) -> Option<Complaint> {
    let path = folder.path().display();
    if mount && !site::is_mounted(folder.path()) {
        let problem = format!("no storage is mounted on {path}, the folder of host {host}");
        return Some(Complaint::new(problem, "mount it, then add the host"));
    }
    if folder.is_added() {
        return is_there_already(host, folder, mount, known);
    }
    let foreign = match foreign_content(folder.path()) {
        Ok(foreign) => foreign,
        Err(error) => return Some(Complaint::new(format!("{path} cannot be looked at: {error}"), "check its rights")),
    };
    if foreign.is_empty() {
        return None;
    }
    let shown = foreign.iter().take(NAMES_SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    let problem =
        format!("{path} is not empty: {} in it, as {shown}", crate::render::words::count(foreign.len(), "file"));
    Some(Complaint::new(problem, "choose an empty folder for the host, or move what is in it elsewhere"))
}

/// A folder that was added before is only made known to the store, if it was not.
fn is_there_already(host: &HostName, folder: &HostFolder, mount: bool, known: Option<&Place>) -> Option<Complaint> {
    let path = folder.path().display();
    match folder.added_as() {
        Ok(Some(other)) if other != *host => {
            let problem = format!("{path} was added as the folder of {other}");
            Some(Complaint::new(problem, "mount each storage where its host is"))
        }
        Err(error) => Some(Complaint::new(format!("{path} cannot be looked at: {error}"), "check its rights")),
        Ok(_) if known == Some(&Place { folder: folder.path().to_owned(), mounted: mount }) => {
            let problem = format!("{path} is a host's folder already");
            Some(Complaint::new(problem, "leave it as it is: a host is added once"))
        }
        Ok(_) => None,
    }
}

/// The names of what no host has; nothing where there is no folder yet.
fn foreign_content(folder: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let names: io::Result<Vec<String>> =
        entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect();
    let mut names = names?;
    names.retain(|name| !EXPECTED.contains(&name.as_str()));
    names.sort();
    Ok(names)
}

/// The host as the fleet has it: with what was given, else with what this machine has.
fn host_of(name: &HostName, args: &AddHost, folder: &HostFolder) -> io::Result<Host> {
    let vcpus = match args.vcpus {
        Some(given) => given,
        None => thread::available_parallelism()?.get().try_into().unwrap_or(u64::MAX),
    };
    let memory = args.memory.map_or_else(memory_mib, Ok)?;
    let disk = args.disk.map_or_else(|| Ok::<_, io::Error>(folder.storage_size()?.count() >> 10), Ok)?;
    let amounts = [(ResourceClass::VCPU, vcpus), (ResourceClass::MEMORY_MB, memory), (ResourceClass::DISK_GB, disk)];
    let inventory = |total| Inventory {
        total,
        reserved: 0,
        allocation_ratio: 1.0,
        min_unit: None,
        max_unit: None,
        step_size: None,
    };
    Ok(Host {
        name: name.clone(),
        zone: None,
        aggregates: Default::default(),
        traits: Default::default(),
        enabled: true,
        up: true,
        hypervisor_version: None,
        storage: Default::default(),
        inventory: amounts.into_iter().map(|(class, total)| (class.into(), inventory(total))).collect(),
        other_usage: Default::default(),
        network_mbps: None,
        max_migrations: None,
        rack: None,
    })
}

/// What the kernel says that this machine has, MiB.
fn memory_mib() -> io::Result<u64> {
    let text = fs::read_to_string("/proc/meminfo")?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.map(|kib| kib >> 10).ok_or_else(|| io::Error::other("/proc/meminfo names no memory; give it by --memory"))
}
