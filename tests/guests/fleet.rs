//! The lab's fleet with real guests, and the program run on it.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use decant_executor::hypervisor::Hypervisor;
use decant_executor::lab::watch::Watch;
use decant_executor::lab::world::{Lab, LabError, Process};
use decant_schema::fleet::Fleet;
use decant_schema::id::{InstanceId, ResourceClass};
use decant_schema::migration::{DiskFile, Migration, MigrationId, MigrationOutcome};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::witness::Witness;

/// What a guest on a busy machine may need for a few records, or the program for a step.
const PATIENCE: Duration = Duration::from_secs(120);

/// Three hosts, six guests that write, a store, and witnesses. Dropped, it ends every process.
pub(crate) struct RealFleet {
    lab: Lab,
    fleet: Fleet,
    watch: Watch,
    witness: Witness,
    runtime: Runtime,
    folder: TempDir,
}

impl Drop for RealFleet {
    fn drop(&mut self) {
        self.lab.kill_all();
    }
}

/// The program under test.
pub(crate) fn decant() -> Command {
    Command::new(env!("CARGO_BIN_EXE_decant"))
}

/// The command lines of running processes that name a folder.
pub(crate) fn processes_naming(folder: &Path) -> Vec<String> {
    let folder = folder.to_string_lossy();
    let all = std::fs::read_dir("/proc").unwrap().filter_map(Result::ok);
    // One that ended meanwhile has no command line any more, nor has one that has only not been buried yet.
    let lines = all.filter_map(|entry| std::fs::read(entry.path().join("cmdline")).ok());
    lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " ")).filter(|line| line.contains(&*folder)).collect()
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
        let (folder, runtime) = (tempfile::tempdir().unwrap(), Runtime::new().unwrap());
        let fleet = decant_executor::lab::fleet();
        let hosts: Vec<&str> = fleet.hosts().iter().map(|host| host.name.as_str()).collect();
        let lab = Lab::open(folder.path(), &hosts).unwrap();
        let (watch, witness) = (Watch::over(lab.ledger().unwrap()), Witness::of(lab.clone()));
        let made = Self { lab, fleet, watch, witness, runtime, folder };
        made.runtime.block_on(made.lab.populate(&made.fleet)).unwrap();
        std::fs::write(made.path("fleet.json"), serde_json::to_vec(made.fleet.document()).unwrap()).unwrap();
        made.writes(10);
        made
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
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

    /// The folder of a host.
    pub(crate) fn host(&self, host: &str) -> PathBuf {
        self.lab.hosts_folder().join(host)
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
        std::fs::remove_file(copy.file(DiskFile::Overlay)).unwrap();
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

    fn stored_fleet(&self) -> Fleet {
        let document = self.runtime.block_on(decant_executor::fleet(&self.path("store.db"))).unwrap();
        Fleet::from_document(document).unwrap()
    }

    /// Every guest runs where its record says and nowhere else, writes, and holds every write it saw acknowledged.
    pub(crate) fn check_disks(&self) {
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
            let verdict = self.lab.judge(&self.watch.ledger(), &instance.host, &instance.id).unwrap();
            assert_eq!(verdict.findings, [], "{}", instance.id);
            println!(
                "{}: {} kept, {} set aside, silent for {} ms",
                instance.id, verdict.kept, verdict.set_aside, verdict.silence_ms_max
            );
        }
        self.witness.assert_nothing_seen();
    }
}
