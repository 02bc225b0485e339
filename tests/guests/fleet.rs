//! The lab's fleet with real guests, and the program run on it.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use decant_executor::apply::ApplyError;
use decant_executor::hypervisor::Hypervisor;
use decant_executor::lab::storage::Storage;
use decant_executor::lab::watch::Watch;
use decant_executor::lab::world::{Lab, LabError, Process};
use decant_schema::fleet::Fleet;
use decant_schema::id::{HostName, InstanceId, ResourceClass};
use decant_schema::migration::{Awaits, DiskFile, Migration, MigrationId, MigrationOutcome, MigrationState};
use decant_schema::store::StoreError;
use rustix::process::Pid;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::witness::Witness;

/// What a guest on a busy machine may need for a few records, or the program for a step.
const PATIENCE: Duration = Duration::from_secs(120);

/// A storage's size: room for every base there is and what the guests write, and full within moments.
const STORAGE_MIB: u64 = 512;

/// Three hosts, six guests that write, a store, and witnesses. Dropped, it ends every process.
pub(crate) struct RealFleet {
    lab: Lab,
    fleet: Fleet,
    watch: Watch,
    witness: Witness,
    runtime: Runtime,
    storages: BTreeMap<HostName, Storage>,
    folder: TempDir,
}

/// A QEMU that decant did not start; killed when dropped.
pub(crate) struct ByHand(std::process::Child);

impl Drop for ByHand {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for RealFleet {
    fn drop(&mut self) {
        self.lab.kill_all();
    }
}

/// The program under test.
pub(crate) fn decant() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_decant"));
    // What a machine's KVM is worth is not the matter here.
    command.env("DECANT_ACCELERATOR", "tcg");
    command
}

/// The command lines of running processes that name a folder.
pub(crate) fn processes_naming(folder: &Path) -> Vec<String> {
    let folder = folder.to_string_lossy();
    let all = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    // One that ended meanwhile has no command line any more, nor has one that has only not been buried yet.
    let lines = all.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " ")).filter(|line| line.contains(&*folder)).collect()
}

/// The processes of a program that name a folder on their command lines.
pub(crate) fn pids_naming(folder: &Path, program: &str) -> Vec<Pid> {
    let folder = folder.to_string_lossy();
    let all = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    let is_it = |line: &[u8]| {
        let line = String::from_utf8_lossy(line);
        let named = Path::new(line.split('\0').next().unwrap_or_default()).file_name();
        named.is_some_and(|name| name == program) && line.contains(&*folder)
    };
    let ids = all.filter_map(|entry| Some((entry.file_name().to_str()?.parse().ok()?, entry.path())));
    let its = ids.filter(|(_, path)| std::fs::read(path.join("cmdline")).is_ok_and(|line| is_it(&line)));
    its.filter_map(|(id, _)| Pid::from_raw(id)).collect()
}

impl RealFleet {
    /// Whether this machine has no programs for real guests; says so.
    pub(crate) fn cannot_be_made() -> bool {
        match Lab::open(tempfile::tempdir().unwrap().path(), &["a"]) {
            Ok(_) => false,
            Err(error @ LabError::Tool(_)) => {
                println!("skipped: failed to {error}");
                true
            }
            Err(error) => panic!("{error}"),
        }
    }

    pub(crate) fn make() -> Self {
        Self::within(tempfile::tempdir().unwrap(), BTreeMap::new())
    }

    /// The same, each host on a storage of its own; `None`, and a word about it, where this machine lets us mount none.
    pub(crate) fn on_storages() -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mount = |host: &HostName| {
            let (at, image) =
                (folder.path().join("hosts").join(host.as_str()), folder.path().join(format!("{host}.ext4")));
            Storage::ext4(&at, &image, STORAGE_MIB).map(|storage| (host.clone(), storage))
        };
        match decant_executor::lab::fleet().hosts().iter().map(|host| mount(&host.name)).collect() {
            Ok(storages) => Some(Self::within(folder, storages)),
            Err(error) => {
                println!("skipped: no file system can be mounted here: {error}");
                None
            }
        }
    }

    fn within(folder: TempDir, storages: BTreeMap<HostName, Storage>) -> Self {
        let runtime = Runtime::new().unwrap();
        let fleet = decant_executor::lab::fleet();
        let hosts: Vec<&str> = fleet.hosts().iter().map(|host| host.name.as_str()).collect();
        let lab = Lab::open(folder.path(), &hosts).unwrap();
        let (watch, witness) = (Watch::over(lab.ledger().unwrap()), Witness::of(lab.clone()));
        let made = Self { lab, fleet, watch, witness, runtime, storages, folder };
        made.runtime.block_on(made.lab.populate(&made.fleet)).unwrap();
        std::fs::write(made.path("fleet.json"), serde_json::to_vec(made.fleet.document()).unwrap()).unwrap();
        made.writes(10);
        made
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The storages of the hosts that have one of their own.
    pub(crate) fn storages(&self) -> &BTreeMap<HostName, Storage> {
        &self.storages
    }

    /// Every guest's process there is at this moment.
    pub(crate) fn processes(&self) -> Vec<Process> {
        self.lab.processes()
    }

    /// The host of each instance, as its record says.
    pub(crate) fn recorded(&self) -> Vec<(InstanceId, HostName)> {
        self.stored_fleet().instances().iter().map(|one| (one.id.clone(), one.host.clone())).collect()
    }

    /// The hosts that have instances by their records.
    pub(crate) fn occupied_hosts(&self) -> Vec<HostName> {
        let hosts: BTreeSet<HostName> = self.recorded().into_iter().map(|(_, host)| host).collect();
        hosts.into_iter().collect()
    }

    /// Plans to empty a host by what the store knows, as far as that can be done.
    pub(crate) fn plan_from_store(&self, host: &HostName) -> PathBuf {
        std::fs::write(self.path("fleet.json"), serde_json::to_vec(self.stored_fleet().document()).unwrap()).unwrap();
        let plan = self.path("plan.json");
        let mut command = decant();
        command.args(["plan", "evacuate", "--host", host.as_str(), "--fleet"]).arg(self.path("fleet.json"));
        let output = command.arg("-o").arg(&plan).output().unwrap();
        assert!(matches!(output.status.code(), Some(0 | 3)), "{}", String::from_utf8_lossy(&output.stderr));
        plan
    }

    /// The migrations that have not ended.
    pub(crate) fn unfinished(&self) -> Vec<Migration> {
        self.unfinished_now().unwrap()
    }

    /// The same, where the store may be held by a process that is stopped.
    pub(crate) fn unfinished_now(&self) -> Result<Vec<Migration>, ApplyError> {
        if !self.path("store.db").exists() {
            return Ok(Vec::new());
        }
        let mut known = self.runtime.block_on(decant_executor::list(&self.path("store.db")))?;
        known.retain(|migration| migration.state.outcome().is_none());
        Ok(known)
    }

    /// What keeps a guest from executing that has a process; none: nothing.
    pub(crate) fn halted(&self, host: &HostName, instance: &InstanceId) -> Option<String> {
        let health = self.runtime.block_on(self.lab.driver(host).examine(instance, None)).unwrap();
        health.guest
    }

    /// Starts an instance that is down where its record says it is.
    pub(crate) fn start(&self, host: &HostName, instance: &InstanceId) {
        self.runtime.block_on(self.lab.driver(host).start(instance)).unwrap();
    }

    /// Lets the guests of a host go on that its full disk halted, as a person does.
    pub(crate) fn let_go_on(&self, host: &HostName) {
        self.runtime.block_on(self.lab.driver(host).wake_halted());
    }

    /// Fails if any instance ever had two processes.
    pub(crate) fn assert_no_doubles(&self) {
        self.witness.assert_nothing_seen();
    }

    /// Waits until every guest has written so many records more.
    pub(crate) fn writes(&self, more: usize) {
        let instances: Vec<InstanceId> = self.fleet.instances().iter().map(|one| one.id.clone()).collect();
        assert!(self.runtime.block_on(self.watch.writes(&instances, more, PATIENCE)), "a guest does not write");
    }

    pub(crate) fn plan_evacuation(&self, host: &str) -> PathBuf {
        self.plan(&["evacuate", "--host", host])
    }

    /// Plans, and returns where the plan is.
    pub(crate) fn plan(&self, words: &[&str]) -> PathBuf {
        let plan = self.path("plan.json");
        let mut command = decant();
        command.arg("plan").args(words).arg("--fleet").arg(self.path("fleet.json"));
        let output = command.arg("-o").arg(&plan).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        plan
    }

    /// The command that carries a plan out, or goes on with it.
    pub(crate) fn apply(&self, plan: &Path) -> Command {
        let mut command = decant();
        command.arg("apply").arg(plan).arg("--fleet-source").arg(self.path("fleet.json"));
        // What a test says in its arguments goes before.
        command.env("DECANT_CONFIRM", "now");
        self.on_this_site(&mut command);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    /// Carries the plan out until its first instance has arrived, to be decided about, and its second is on its way, so
    /// slowly that it stays so.
    pub(crate) fn apply_halfway(&self, plan: &Path) -> (Child, Migration, Migration) {
        let mut apply = self.apply(plan);
        apply.args(["--confirm", "manual", "--max-migrations", "1", "--bandwidth", "40"]);
        let apply = apply.spawn().unwrap();
        let copying = self.migration_that(|migration| migration.state == MigrationState::Migrating, 1);
        let arrived = self.migration_that(|migration| matches!(migration.turn(), Awaits::Decision { .. }), 0);
        (apply, arrived, copying)
    }

    /// A command on this site that says nothing.
    pub(crate) fn site_command(&self, words: &[&str]) -> Command {
        let mut command = decant();
        command.args(words).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        self.on_this_site(&mut command);
        command
    }

    fn on_this_site(&self, command: &mut Command) {
        command.arg("--store").arg(self.path("store.db")).arg("--hosts-in").arg(self.lab.hosts_folder());
    }

    /// Carries the plan out for this long and then kills it, or to the end. Returns whether it ended by itself.
    pub(crate) fn apply_for(&self, plan: &Path, until: Option<Duration>) -> bool {
        let mut apply = self.apply(plan).args(["--bandwidth", "400"]).spawn().unwrap();
        let end = Instant::now() + until.unwrap_or(PATIENCE);
        let ended = loop {
            if let Some(status) = apply.try_wait().unwrap() {
                assert!(status.success(), "decant apply ended with {status}");
                break true;
            }
            if Instant::now() >= end {
                break false;
            }
            std::thread::sleep(Duration::from_millis(2));
        };
        assert!(ended || until.is_some(), "decant apply does not end");
        // SIGKILL: no handler runs, nothing is tidied up.
        apply.kill().unwrap();
        apply.wait().unwrap();
        self.witness.assert_nothing_seen();
        ended
    }

    /// Waits for a first migration to exist.
    pub(crate) fn first_migration(&self) -> MigrationId {
        self.migration_that(|_| true, 0).id
    }

    /// Waits until the migration at this place of the list is as asked.
    pub(crate) fn migration_that(&self, is_as_asked: impl Fn(&Migration) -> bool, at: usize) -> Migration {
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if let Ok(mut migrations) = self.runtime.block_on(decant_executor::list(&self.path("store.db")))
                && migrations.get(at).is_some_and(&is_as_asked)
            {
                return migrations.swap_remove(at);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("migration {at} never is as asked");
    }

    /// Copies the store as it is now, with the log beside it, to `copy.db`.
    pub(crate) fn copy_store(&self) {
        for ending in ["", "-wal"] {
            let from = self.path(&format!("store.db{ending}"));
            if from.exists() {
                std::fs::copy(from, self.path(&format!("copy.db{ending}"))).unwrap();
            }
        }
    }

    /// Puts back the store as it was when it was copied.
    pub(crate) fn restore_store(&self) {
        for ending in ["-wal", "-shm"] {
            let _not_there = std::fs::remove_file(self.path(&format!("store.db{ending}")));
        }
        for ending in ["", "-wal"] {
            let (from, to) = (self.path(&format!("copy.db{ending}")), self.path(&format!("store.db{ending}")));
            if from.exists() {
                std::fs::rename(from, to).unwrap();
            }
        }
    }

    /// The folder of a host.
    pub(crate) fn host(&self, host: &str) -> PathBuf {
        self.lab.hosts_folder().join(host)
    }

    /// Shuts a guest down and starts a QEMU of nobody's on its disk; waits until that has locked it. It ends with the fleet.
    pub(crate) fn started_by_hand(&self, host: &str, instance: &str) -> ByHand {
        self.runtime.block_on(self.lab.driver(&host.into()).shutdown(&instance.into())).unwrap();
        let disk = self.lab.folder(&host.into()).copy(&instance.into()).unwrap().file(DiskFile::BASE);
        let drive = format!("driver=qcow2,node-name=disk,file.driver=file,file.filename={}", disk.display());
        let mut qemu = Command::new("qemu-system-x86_64");
        qemu.args(["-nodefaults", "-display", "none", "-S", "-machine", "pc,accel=tcg", "-blockdev", &drive]);
        let started = ByHand(qemu.args(["-device", "virtio-blk-pci,drive=disk"]).spawn().unwrap());
        let mut look = Command::new("qemu-img");
        look.args(["info", "-f", "qcow2"]).arg(&disk).stdout(Stdio::null()).stderr(Stdio::null());
        let end = Instant::now() + PATIENCE;
        while look.status().unwrap().success() {
            assert!(Instant::now() < end, "the QEMU started by hand does not lock {}", disk.display());
            std::thread::sleep(Duration::from_millis(20));
        }
        started
    }

    /// How many migrations the store remembers.
    pub(crate) fn migrations(&self) -> usize {
        self.runtime.block_on(decant_executor::list(&self.path("store.db"))).unwrap().len()
    }

    /// Ends what runs on a host, and the host.
    pub(crate) fn take_away(&self, host: &str, guests: &[&str]) {
        for guest in guests {
            self.runtime.block_on(self.lab.driver(&host.into()).shutdown(&(*guest).into())).unwrap();
        }
        std::fs::rename(self.host(host), self.path("away")).unwrap();
    }

    /// The host is there again, with what was on its disks.
    pub(crate) fn bring_back(&self, host: &str) {
        std::fs::rename(self.path("away"), self.host(host)).unwrap();
    }

    /// What runs of an instance on a host, and the names of its files there.
    pub(crate) fn traces_on(&self, host: &str, instance: &str) -> (Vec<Process>, BTreeSet<OsString>) {
        let is_it = |one: &Process| one.instance.as_str() == instance;
        let processes = self.lab.processes().into_iter().filter(is_it).collect();
        let folder = self.lab.folder(&host.into()).copy(&instance.into()).unwrap().path();
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        (processes, files)
    }

    /// What runs of a migration's instance, and the names of its files at the source.
    pub(crate) fn traces(&self, of: &Migration) -> (Vec<Process>, BTreeSet<OsString>) {
        self.traces_on(of.subject.source().as_str(), of.subject.instance.as_str())
    }

    /// Removes by hand the overlay a migrated instance writes to.
    pub(crate) fn lose_overlay(&self, of: &Migration) {
        let copy = self.lab.folder(of.subject.target()).copy(&of.subject.instance).unwrap();
        std::fs::remove_file(copy.file(DiskFile::OVERLAY)).unwrap();
    }

    /// Confirms, reverts or aborts a migration, and returns what became of it.
    pub(crate) fn decide(&self, wish: &str, id: &MigrationId) -> Migration {
        let mut command = decant();
        command.args(["migration", wish, &id.to_string()]);
        self.on_this_site(&mut command);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        self.runtime.block_on(decant_executor::show(&self.path("store.db"), *id)).unwrap().migration
    }

    /// Runs a command on this site; its exit code and all it said.
    pub(crate) fn ask(&self, words: &[&str]) -> (Option<i32>, String) {
        self.ask_with("store.db", words)
    }

    /// The same with another store.
    pub(crate) fn ask_with(&self, store: &str, words: &[&str]) -> (Option<i32>, String) {
        let mut command = decant();
        command.args(words).current_dir(self.folder.path()).stdin(Stdio::null());
        // Reading needs no hosts.
        if !words.contains(&"show") {
            command.arg("--hosts-in").arg(self.lab.hosts_folder());
        }
        command.arg("--store").arg(self.path(store));
        let output = command.output().unwrap();
        let said = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
        (output.status.code(), said.concat())
    }

    /// The host an instance is on, as its record says.
    pub(crate) fn place_of(&self, instance: &str) -> String {
        let fleet = self.stored_fleet();
        fleet.instances()[fleet.instance_index(instance).unwrap()].host.to_string()
    }

    /// Every migration ended where its plan wanted it, and the hosts hold what they can.
    pub(crate) fn check_all_confirmed(&self, plan: &Path) {
        let plan = decant_schema::plan::read(&std::fs::read(plan).unwrap()).unwrap();
        let migrations = self.runtime.block_on(decant_executor::list(&self.path("store.db"))).unwrap();
        assert_eq!(migrations.len(), plan.moves.len());
        for migration in &migrations {
            assert_eq!(migration.state.outcome(), Some(MigrationOutcome::Confirmed), "{migration:?}");
        }
        let fleet = self.stored_fleet();
        for host in fleet.hosts() {
            let here = fleet.instances().iter().filter(|instance| instance.host == host.name);
            let used: u64 = here.map(|instance| fleet.claim(instance)[ResourceClass::MEMORY_MB]).sum();
            assert!(used <= host.inventory[ResourceClass::MEMORY_MB].capacity(), "{} holds {used} MiB", host.name);
        }
        for line in &plan.moves {
            let at = fleet.instance_index(line.instance.as_str()).unwrap();
            assert_eq!(fleet.instances()[at].host, line.target);
        }
    }

    /// Tells what became of an instance: what it said, and all its migrations.
    fn tell(&self, instance: &InstanceId) {
        for entry in self.watch.ledger().entries().iter().filter(|entry| entry.instance == *instance) {
            println!("{} {} {}", entry.seen_ms, entry.host, entry.line);
        }
        let store = self.path("store.db");
        for migration in self.runtime.block_on(decant_executor::list(&store)).unwrap() {
            if migration.subject.instance == *instance {
                println!("{:#?}", self.runtime.block_on(decant_executor::show(&store, migration.id)));
            }
        }
    }

    /// Whether the store has the fleet in it; a backup of one that has not is one of nothing.
    pub(crate) fn is_taken_over(&self) -> bool {
        let store = self.path("store.db");
        store.exists() && self.runtime.block_on(decant_executor::fleet(&store)).is_ok()
    }

    fn stored_fleet(&self) -> Fleet {
        if !self.path("store.db").exists() {
            return self.fleet.clone();
        }
        match self.runtime.block_on(decant_executor::fleet(&self.path("store.db"))) {
            Ok(document) => Fleet::from_document(document).unwrap(),
            // The command that made the store was killed before it had written the fleet into it.
            Err(ApplyError::Store(StoreError::NoFleet)) => self.fleet.clone(),
            Err(error) => panic!("{error}"),
        }
    }

    /// Every guest runs where its record says and nowhere else, writes, and holds every write it saw acknowledged.
    pub(crate) fn check_disks(&self) {
        self.check_disks_and(&[]);
    }

    /// The same, where copies were taken away by hand: what they alone hold counts as set aside.
    pub(crate) fn check_disks_and(&self, taken: &[(InstanceId, PathBuf)]) {
        let fleet = self.stored_fleet();
        let mut run: Vec<_> = self.lab.processes().into_iter().map(|one| (one.instance, one.host)).collect();
        run.sort();
        let recorded: Vec<_> = fleet.instances().iter().map(|one| (one.id.clone(), one.host.clone())).collect();
        assert_eq!(run, recorded);
        self.writes(5);
        for instance in fleet.instances() {
            self.runtime.block_on(self.lab.driver(&instance.host).shutdown(&instance.id)).unwrap();
        }
        self.watch.ledger().poll().unwrap();
        for instance in fleet.instances() {
            let its = taken.iter().filter(|(whose, _)| *whose == instance.id);
            let aside: Vec<&Path> = its.map(|(_, folder)| folder.as_path()).collect();
            let verdict = self.lab.judge_with(&self.watch.ledger(), &instance.host, &instance.id, &aside).unwrap();
            if !verdict.findings.is_empty() {
                self.tell(&instance.id);
            }
            assert_eq!(verdict.findings, [], "{}", instance.id);
            println!(
                "{}: {} kept, {} set aside, silent for {} ms",
                instance.id, verdict.kept, verdict.set_aside, verdict.silence_ms_max
            );
        }
        self.witness.assert_nothing_seen();
    }
}
