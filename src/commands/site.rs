//! Where a command finds the store and the hosts, and how what the executor says becomes a failure of ours.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::future::Future;
use std::os::linux::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use decant_executor::apply::{ApplyError, GuestRefusal};
use decant_executor::conductor::CreateError;
use decant_executor::hypervisor::qemu::{self, Accelerator, Qemu, Tools};
use decant_executor::hypervisor::{AdoptError, HypervisorError, Unsupported};
use decant_executor::layout::{CopyFolder, HostFolder};
use decant_executor::transfer::rsync::Rsync;
use decant_executor::{Drivers, HostDriver, tool};
use decant_schema::fleet::Fleet;
use decant_schema::id::{HostName, InstanceId};
use decant_schema::store::{Place, StoreError};

use crate::cli::{Processors, Site, StoreFile};
use crate::error::{Complaint, Failure};
use crate::interrupt::{Interruption, interrupted};
use crate::output;
use crate::render::words;

/// After an interruption of what the store remembers.
pub(super) const GOES_ON: &str = "run the same command again: it goes on where it was";

/// After an interruption of what leaves no trace.
pub(super) const BEGINS_AGAIN: &str = "run the same command again: it begins anew, nothing real was touched";

/// How long what agents had begun may take to be put down; reading a large disk goes on beyond it.
const FAREWELL: Duration = Duration::from_secs(1);

/// The store's file.
pub(super) fn store(args: &StoreFile) -> Result<PathBuf, Failure> {
    args.store.clone().or_else(usual_store).ok_or_else(|| {
        Failure::input("the request", "there is no home folder to keep the store in", "name a file by --store")
    })
}

/// `$XDG_STATE_HOME/decant/store.db`, by default under `~/.local/state`.
fn usual_store() -> Option<PathBuf> {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let folder = set("XDG_STATE_HOME").or_else(|| Some(set("HOME")?.join(".local/state")))?;
    Some(folder.join("decant").join("store.db"))
}

/// The folder of this machine's hosts, as it was given; `remedy` says what to do where it is not.
pub(super) fn hosts_folder(hosts_in: Option<&Path>, remedy: &str) -> Result<PathBuf, Failure> {
    let Some(root) = hosts_in else {
        return Err(Failure::input("the request", "nothing says where the hosts are", remedy));
    };
    // Programs are started in the folders of the guests, so paths must not depend on where we are.
    root.canonicalize().ok().filter(|root| root.is_dir()).ok_or_else(|| {
        let problem = format!("{} is no folder", root.display());
        Failure::input("--hosts-in", problem, "name the folder that holds one folder a host")
    })
}

/// Hosts of this machine, and where their folders are.
pub(super) struct Hosts {
    folders: BTreeMap<HostName, HostFolder>,
    tools: Tools,
}

impl Hosts {
    /// What the agents of these hosts work with: QEMU in the host's folder, rsync between the folders.
    pub(super) fn drivers(&self) -> Result<Drivers, Failure> {
        if !self.folders.is_empty() {
            tool::are_here().map_err(|missing| Failure::of(&missing))?;
        }
        let driver = |here: &HostFolder| HostDriver {
            hypervisor: std::sync::Arc::new(Qemu::new(here.clone(), self.tools.clone())),
            transfer: std::sync::Arc::new(Rsync::new(here.clone(), self.folders.clone())),
        };
        Ok(self.folders.iter().map(|(host, here)| (host.clone(), driver(here))).collect())
    }

    /// The driver of one of them.
    pub(super) fn qemu(&self, host: &HostName) -> Result<Qemu, Failure> {
        Ok(Qemu::new(self.folder(host)?.clone(), self.tools.clone()))
    }

    /// Where an instance is on one of them.
    pub(super) fn copy(&self, host: &HostName, instance: &InstanceId) -> Result<CopyFolder, Failure> {
        let copy = self.folder(host)?.copy(instance);
        copy.map_err(|error| Failure::input("INSTANCE", error.to_string(), "rename it"))
    }

    fn folder(&self, host: &HostName) -> Result<&HostFolder, Failure> {
        self.folders.get(host).ok_or_else(|| unplaced(host))
    }
}

fn tools(site: &Site) -> Tools {
    let accelerator = match site.accelerator {
        Processors::Auto => Accelerator::Best,
        Processors::Kvm => Accelerator::Kvm,
        Processors::Tcg => Accelerator::Tcg,
    };
    Tools { accelerator, ..Tools::default() }
}

/// Says where guests that are started on a host are translated, and nobody wanted that.
pub(super) fn note_translation(site: &Site, hosts: &Hosts, host: &HostName) -> Result<(), Failure> {
    if site.accelerator == Processors::Auto && !qemu::runs_by_kvm(hosts.folder(host)?) {
        output::note(
            "note: KVM does not work here, so guests are translated (TCG), which is slow; decant host doctor says why",
        );
    }
    Ok(())
}

/// What the agents of these hosts work with.
pub(super) fn drivers(site: &Site, wanted: &BTreeSet<HostName>) -> Result<Drivers, Failure> {
    hosts(site, wanted)?.drivers()
}

/// These hosts: in the folder that was given, else each where it was added. Names every one that is known nowhere, whose
/// folder is another's, or whose storage is not mounted though it must be.
pub(super) fn hosts(site: &Site, wanted: &BTreeSet<HostName>) -> Result<Hosts, Failure> {
    let mut folders = match site.hosts_in.as_deref() {
        Some(given) => folders(&hosts_folder(Some(given), "")?, wanted)?,
        None => placed(site, wanted)?,
    };
    leave_out_the_dead(&site.store, &mut folders)?;
    are_their_own(&folders)?;
    Ok(Hosts { folders, tools: tools(site) })
}

/// All hosts that are known and here; those whose folder or storage is not there are left out.
pub(super) fn hosts_here(site: &Site) -> Result<Hosts, Failure> {
    let places = known_places(site)?;
    let is_here = |place: &Place| {
        let folder = HostFolder::new(&place.folder);
        (!place.mounted || is_mounted(&place.folder)) && folder.is_added()
    };
    let here = places.into_iter().filter(|(_, place)| is_here(place));
    let folders = here.map(|(host, place)| (host, HostFolder::new(place.folder))).collect();
    are_their_own(&folders)?;
    Ok(Hosts { folders, tools: tools(site) })
}

/// Where hosts are: in the folder that was given, else where they were added.
pub(super) fn known_places(site: &Site) -> Result<BTreeMap<HostName, Place>, Failure> {
    match site.hosts_in.as_deref() {
        Some(given) => {
            let root = hosts_folder(Some(given), "")?;
            let failed = |error| Failure::environment(format!("look at the hosts in {}", root.display()), error);
            let found = HostFolder::all_within(&root).map_err(failed)?;
            let place = |folder: &HostFolder| Place { folder: folder.path().to_owned(), mounted: false };
            Ok(found.iter().map(|(name, folder)| (HostName::new(name.as_str()), place(folder))).collect())
        }
        None => run("read the store", GOES_ON, decant_executor::places(&store(&site.store)?)),
    }
}

/// The folders of these hosts, each where it was added.
fn placed(site: &Site, wanted: &BTreeSet<HostName>) -> Result<BTreeMap<HostName, HostFolder>, Failure> {
    let places = run("read the store", GOES_ON, decant_executor::places(&store(&site.store)?))?;
    if places.is_empty() {
        let remedy = "add them by `decant host add`, or name the folder of this machine's hosts by --hosts-in";
        return Err(Failure::input("the request", "nothing says where the hosts are", remedy));
    }
    let (mut folders, mut errors) = (BTreeMap::new(), Vec::new());
    for host in wanted {
        match places.get(host) {
            Some(place) if place.mounted && !is_mounted(&place.folder) => errors.push(unmounted(host, &place.folder)),
            Some(place) => _ = folders.insert(host.clone(), HostFolder::new(&place.folder)),
            None => errors.push(unplaced_complaint(host)),
        }
    }
    if errors.is_empty() { Ok(folders) } else { Err(Failure::Input { of: "the request".to_owned(), errors }) }
}

fn unplaced(host: &HostName) -> Failure {
    Failure::Input { of: "the request".to_owned(), errors: vec![unplaced_complaint(host)] }
}

fn unplaced_complaint(host: &HostName) -> Complaint {
    let remedy = format!("add it: decant host add {host} --hosts-in FOLDER");
    Complaint::new(format!("nothing says where host {host} is"), remedy)
}

fn unmounted(host: &HostName, folder: &Path) -> Complaint {
    let problem = format!("no storage is mounted on {}, the folder of host {host}", folder.display());
    Complaint::new(problem, "mount it, then run the same command again")
}

/// Whether another storage begins at this folder.
pub(super) fn is_mounted(folder: &Path) -> bool {
    let storage = |path: &Path| path.metadata().map(|there| there.st_dev());
    match (storage(folder), folder.parent().map(storage)) {
        (Ok(here), Some(Ok(above))) => here != above,
        _ => false,
    }
}

/// A host that was declared dead and is not here is not back: it is not asked for anything.
fn leave_out_the_dead(store: &StoreFile, folders: &mut BTreeMap<HostName, HostFolder>) -> Result<(), Failure> {
    let store = self::store(store)?;
    if !store.exists() {
        return Ok(());
    }
    let dead = run("read the store", GOES_ON, decant_executor::deaths(&store))?;
    for death in dead {
        if folders.get(&death.host).is_some_and(|folder| !folder.is_added()) {
            folders.remove(&death.host);
        }
    }
    Ok(())
}

/// Refuses a folder that was added as another host's: storages that were mounted in each other's place.
fn are_their_own(folders: &BTreeMap<HostName, HostFolder>) -> Result<(), Failure> {
    let mut errors = Vec::new();
    for (host, folder) in folders {
        let place = folder.path().display();
        match folder.added_as() {
            Ok(Some(other)) if other != *host => {
                let problem = format!("{place} is not the folder of {host}, it was added as that of {other}");
                errors.push(Complaint::new(
                    problem,
                    "mount each storage where its host is, then run the same command again",
                ));
            }
            Ok(_) => {}
            Err(error) => {
                errors.push(Complaint::new(format!("{place} cannot be looked at: {error}"), "check its rights"))
            }
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(Failure::Input { of: "--hosts-in".to_owned(), errors }) }
}

/// The folder of each host, whether it is there or not.
pub(super) fn folders(root: &Path, hosts: &BTreeSet<HostName>) -> Result<BTreeMap<HostName, HostFolder>, Failure> {
    let mut errors = Vec::new();
    let mut folders = BTreeMap::new();
    for host in hosts {
        match HostFolder::within(root, host) {
            Ok(folder) => _ = folders.insert(host.clone(), folder),
            Err(error) => errors.push(Complaint::new(format!("host {host} has no folder: {error}"), "rename the host")),
        }
    }
    if errors.is_empty() { Ok(folders) } else { Err(Failure::Input { of: "--hosts-in".to_owned(), errors }) }
}

/// The fleet as the store knows it now.
pub(super) fn stored_fleet(store: &Path) -> Result<Fleet, Failure> {
    let document = run("read the store", BEGINS_AGAIN, decant_executor::fleet(store))?;
    Fleet::from_document(document).map_err(|findings| Failure::findings("the store's fleet", &findings))
}

/// Runs the executor until it is done or is interrupted; either is safe at any moment. `then` says what can be done after
/// an interruption.
pub(super) fn run<T>(what: &str, then: &str, work: impl Future<Output = Result<T, ApplyError>>) -> Result<T, Failure> {
    let runtime =
        tokio::runtime::Runtime::new().map_err(|error| Failure::environment("start the executor's threads", error))?;
    let done = runtime.block_on(async {
        let mut interruption = Interruption::listen();
        tokio::select! {
            done = work => done.map_err(failure),
            () = interruption.uttered() => {
                Err(interrupted(what, then))
            }
        }
    });
    runtime.shutdown_timeout(FAREWELL);
    done
}

/// What kind of failure the executor's is, and what to do about it.
fn failure(error: ApplyError) -> Failure {
    let of = "the request".to_owned();
    match error {
        ApplyError::Stale { differences } => Failure::DoesNotHold {
            what: "the fleet has changed since the plan was made; nothing was begun".to_owned(),
            differences: differences
                .iter()
                .map(|difference| Complaint::bare(difference.to_string()))
                .chain([Complaint::new("the plan no longer fits", "read the fleet again and plan again")])
                .collect(),
        },
        ApplyError::Store(StoreError::OtherPlan(id)) => Failure::DoesNotHold {
            what: "the plan is not the one that was begun; nothing was done".to_owned(),
            differences: vec![Complaint::new(
                format!("another plan was begun by the id {id}"),
                "apply the document as it was, or plan again",
            )],
        },
        ApplyError::DoesNotHold { violations } => Failure::DoesNotHold {
            what: format!("the plan does not hold: {}; nothing was begun", words::count(violations.len(), "violation")),
            differences: violations
                .into_iter()
                .map(Complaint::bare)
                .chain([Complaint::new("it would break what its fleet promises", "plan again")])
                .collect(),
        },
        ApplyError::NoDriver { hosts } => Failure::Input {
            of,
            errors: hosts
                .iter()
                .map(|host| Complaint::new(format!("host {host} cannot be reached from here"), "check --hosts-in"))
                .collect(),
        },
        ApplyError::Unsupported { moves } => Failure::Input {
            of,
            errors: moves.iter().map(|one| Complaint::new(one.to_string(), unsupported_remedy(&one.reason))).collect(),
        },
        ApplyError::Unready { moves } => {
            let remedy = "see to it, or read the fleet again and plan again";
            Failure::Input { of, errors: moves.iter().map(|one| Complaint::new(one.to_string(), remedy)).collect() }
        }
        ApplyError::NotHere { hosts } => {
            let complaint = |(host, folder): &(HostName, PathBuf)| {
                let problem =
                    format!("{} is no host's folder: the storage of {host} may not be mounted", folder.display());
                let place = folder.parent().unwrap_or(folder).display();
                Complaint::new(
                    problem,
                    format!("mount it, and only where {host} is a new host: decant host add {host} --hosts-in {place}"),
                )
            };
            Failure::Input { of: "--hosts-in".to_owned(), errors: hosts.iter().map(complaint).collect() }
        }
        ApplyError::Host { host, source: AdoptError::Another { owner } } => {
            let problem = format!("host {host} belongs to another store, {}", owner.path.display());
            let remedy = format!("name that one by --store; where it is gone for good: {}", take_over(&host));
            Failure::input(of, problem, remedy)
        }
        ApplyError::Host { host, source: AdoptError::Ahead { owner } } => {
            let used = owner.path.display();
            let problem = format!(
                "host {host} knows more than the store: it was used since by a copy of it, or it was restored from a \
                 backup; last by {used}"
            );
            let remedy = format!("use the store that was used last; where it is gone for good: {}", take_over(&host));
            Failure::input(of, problem, remedy)
        }
        ApplyError::BadFleet { findings } => Failure::findings("the store's fleet", &findings),
        ApplyError::NoStore { path } => no_store(&path),
        ApplyError::Store(StoreError::Newer { path, written, known }) => {
            let problem = format!("a newer decant has written the store, in format {written}; this one knows {known}");
            Failure::input(path.display().to_string(), problem, "use that decant, or name another store by --store")
        }
        ApplyError::NotAStore { path } => {
            Failure::input(path.display().to_string(), "the file is no store of decant's", "name another by --store")
        }
        ApplyError::Store(StoreError::NoFleet) => {
            let remedy =
                "add hosts by `decant host add`, or have one taken over: decant apply PLAN --fleet-source FLEET";
            Failure::input("the store", "no fleet is in it yet", remedy)
        }
        ApplyError::Alive { host, instances } => {
            let runs = words::some_of(instances.iter(), instances.len());
            Failure::input(of, format!("{host} is not dead: {runs} run there"), "see to the host first")
        }
        ApplyError::Undecided { all } => {
            let remedy =
                "move the copy that does not count out of its host's `instances`, then run the same command again";
            Failure::Input { of, errors: all.iter().map(|one| Complaint::new(one.to_string(), remedy)).collect() }
        }
        ApplyError::Unproven { hosts } => Failure::Input {
            of,
            errors: hosts
                .iter()
                .map(|host| {
                    let problem =
                        format!("what was on {host} would be rebuilt, and nothing proves that {host} is dead");
                    Complaint::new(problem, format!("decant host declare-dead {host}"))
                })
                .collect(),
        },
        ApplyError::NotPrepared(reason) => Failure::input(
            of,
            reason.to_string(),
            "name a target by --to, or tell the host it is to go to by --cast-to",
        ),
        ApplyError::NotCreated(CreateError::BadFleet { findings }) => Failure::findings("the store's fleet", &findings),
        ApplyError::NotCreated(refused) => {
            Failure::input(of, format!("failed to {refused}"), "decant fleet pull --from store shows what is known")
        }
        ApplyError::NotGranted { refusal, .. } => Failure::Input {
            of,
            errors: vec![Complaint::new(format!("failed to {refusal}"), "decant migration show says how far it is")],
        },
        ApplyError::Guest(refusal) => Failure::input(of, refusal.to_string(), guest_remedy(&refusal)),
        ApplyError::Driver { host, source: HypervisorError::Machine { instance, findings } } => {
            Failure::findings(format!("the machine of {instance} on {host}"), &findings)
        }
        ApplyError::Driver { host, source } => {
            Failure::of(&source).with_hint(format!("decant host doctor {host} shows how the host is"))
        }
        busy @ ApplyError::Busy { .. } => {
            Failure::of(&busy).with_hint("wait for the other decant to end, or stop it; one at a time conducts a store")
        }
        failed @ (ApplyError::Host { .. } | ApplyError::StaleCopy { .. } | ApplyError::Unseen { .. }) => {
            Failure::of(&failed).with_hint("check the rights of the host's folder, then run the same command again")
        }
        failed @ (ApplyError::Lock { .. } | ApplyError::Store(_)) => {
            Failure::of(&failed).with_hint("check the store's disk and rights, then run the same command again")
        }
    }
}

fn guest_remedy(refusal: &GuestRefusal) -> String {
    match refusal {
        GuestRefusal::Known { .. } => "choose another name; decant guest list shows what is there".to_owned(),
        GuestRefusal::Unknown { .. } => "decant guest list shows what there is".to_owned(),
        GuestRefusal::NoFlavor { flavor } => {
            format!("add it: decant fleet flavor {flavor} --vcpus NUMBER --memory MIB --disk GIB")
        }
        GuestRefusal::Moving { instance } => format!("decant migration show {instance} says how it goes on"),
        GuestRefusal::There { instance, host } => {
            format!("put it on record: decant guest adopt {instance} --host {host} --flavor NAME")
        }
        GuestRefusal::Nothing { .. } => "see whether its storage is mounted, and decant host take-over".to_owned(),
        GuestRefusal::RunsElsewhere { .. } => "find out which copy counts, and stop the other one".to_owned(),
        GuestRefusal::OtherSize { .. } => "name a flavor of its size, or resize it once it is on record".to_owned(),
    }
}

fn unsupported_remedy(reason: &Unsupported) -> &'static str {
    match reason {
        Unsupported::Mode { .. } => "set the instance's mobility to suspend or cold and plan again",
        Unsupported::SharedStorage { .. } => "leave it out by --pin and plan again",
        Unsupported::State { .. } => "resume it, shut it down, or leave it out by --pin, and plan again",
    }
}

/// The command by which a store takes up what a host has obeyed without it.
fn take_over(host: &HostName) -> String {
    format!("decant host take-over {host}")
}

fn no_store(path: &Path) -> Failure {
    let remedy = "name another by --store, or make one: decant host add, or decant apply PLAN --fleet-source FLEET";
    Failure::input(path.display().to_string(), "there is no such store", remedy)
}
