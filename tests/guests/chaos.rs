//! What happens to hosts while they are emptied: processes are killed, stopped and continued, disks fill up, a copy is lost,
//! the store is restored from a backup. After each evacuation a person looks: every instance must be where its record says
//! and run, unless its own process was killed, and no migration may be one that nobody will ever act on.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::thread::sleep;
use std::time::{Duration, Instant};

use decant_executor::lab::world::Process;
use decant_schema::id::{HostName, InstanceId};
use decant_schema::migration::{Awaits, Confirm, Migration, MigrationState};
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rustix::process::{Pid, Signal, kill_process};

use super::fleet::{RealFleet, pids_naming};

/// Faults of one fleet, before its disks are read and another one is made.
const FAULTS_A_FLEET: u32 = 12;

/// Faults of one evacuation: from then on it is left to end.
const FAULTS_AN_EVACUATION: u32 = 4;

/// How often a command is given again before it counts as one that leads nowhere.
const TRIES: u32 = 8;

/// How long a command may take on a busy machine: it has five minutes of patience for a link, and one for a guest.
const PATIENCE: Duration = Duration::from_secs(600);

/// What may happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    KillApply,
    KillGuest,
    KillTransfer,
    KillImageTool,
    PauseApply,
    PauseGuest,
    PauseTransfer,
    FillDisk,
    LoseCopy,
    RestoreStore,
}

const FAULTS: [Fault; 10] = [
    Fault::KillApply,
    Fault::KillGuest,
    Fault::KillTransfer,
    Fault::KillImageTool,
    Fault::PauseApply,
    Fault::PauseGuest,
    Fault::PauseTransfer,
    Fault::FillDisk,
    Fault::LoseCopy,
    Fault::RestoreStore,
];

/// Does as many faults to as many fleets as it takes, and says how often each happened.
pub(crate) fn run(faults: u32, seed: u64) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let mut happened: BTreeMap<Fault, u32> = BTreeMap::new();
    let sum = |happened: &BTreeMap<Fault, u32>| happened.values().sum::<u32>();
    while sum(&happened) < faults {
        let Some(fleet) = RealFleet::on_storages() else { return };
        let left = (faults - sum(&happened)).min(FAULTS_A_FLEET);
        let mut evening = Evening::of(fleet, random, left);
        while evening.left > 0 {
            evening.empty_a_host();
        }
        random = evening.end(&mut happened);
        println!("{} of {faults} faults: {happened:?}", sum(&happened));
    }
}

/// One fleet and what has happened to it.
struct Evening {
    fleet: RealFleet,
    random: ChaCha8Rng,
    /// Faults still to come.
    left: u32,
    happened: BTreeMap<Fault, u32>,
    /// Instances whose own process was killed: they may be found down.
    killed: BTreeSet<InstanceId>,
    /// Hosts whose disk was filled: their guests may be found halted.
    filled: BTreeSet<HostName>,
    /// Copies that were taken away, by instance.
    lost: Vec<(InstanceId, PathBuf)>,
    /// Whether there is a backup of the store.
    has_backup: bool,
}

impl Evening {
    fn of(fleet: RealFleet, random: ChaCha8Rng, left: u32) -> Self {
        let (happened, killed, filled) = (BTreeMap::new(), BTreeSet::new(), BTreeSet::new());
        Self { fleet, random, left, happened, killed, filled, lost: Vec::new(), has_backup: false }
    }

    /// Every disk is read; the random numbers are given back.
    fn end(self, happened: &mut BTreeMap<Fault, u32>) -> ChaCha8Rng {
        self.fleet.check_disks_and(&self.lost);
        for (fault, times) in self.happened {
            *happened.entry(fault).or_default() += times;
        }
        self.random
    }

    /// Plans to empty one of the hosts, and carries it out while things happen.
    fn empty_a_host(&mut self) {
        let host = self.fleet.occupied_hosts().choose(&mut self.random).unwrap().clone();
        let plan = self.fleet.plan_from_store(&host);
        println!("-- {host} is to be empty");
        let mut faults = FAULTS_AN_EVACUATION.min(self.left);
        for attempt in 1.. {
            assert!(attempt < TRIES + FAULTS_AN_EVACUATION, "apply leads nowhere");
            let before = self.left;
            let ended = self.apply(&plan, faults);
            faults -= before - self.left;
            // Refused as stale or behind its hosts, or done as far as it can be: a person goes on from there.
            if ended {
                break;
            }
        }
        self.settle();
    }

    /// Carries the plan out until it ends by itself or is killed. Returns whether it ended.
    fn apply(&mut self, plan: &Path, faults: u32) -> bool {
        let log = self.fleet.path("apply.log");
        let output = std::fs::File::create(&log).unwrap();
        let mut command = self.fleet.apply(plan);
        command.args(["--bandwidth", "200", "--lease", "1s"]);
        command.stdout(output.try_clone().unwrap()).stderr(output);
        let mut apply = command.spawn().unwrap();
        let (mut left, end) = (faults, Instant::now() + PATIENCE);
        loop {
            let pause = if left > 0 { self.random.random_range(20..700) } else { 50 };
            let next = Instant::now() + Duration::from_millis(pause);
            while Instant::now() < next {
                if let Some(status) = apply.try_wait().unwrap() {
                    let said = std::fs::read_to_string(&log).unwrap();
                    println!("   apply ended with {status}: {}", said.lines().last().unwrap_or_default());
                    assert!(matches!(status.code(), Some(0..=4)), "{status}: {said}");
                    assert!(!said.contains("panicked"), "{said}");
                    return true;
                }
                sleep(Duration::from_millis(5));
            }
            assert!(Instant::now() < end, "apply does not end: {}", std::fs::read_to_string(&log).unwrap());
            if left > 0 && self.happens(&mut apply) {
                left -= 1;
                if apply.try_wait().unwrap().is_some() {
                    return false;
                }
            }
        }
    }

    /// Something happens, if what was drawn can happen at this moment.
    fn happens(&mut self, apply: &mut Child) -> bool {
        if !self.has_backup && self.fleet.is_taken_over() && self.random.random_bool(0.3) {
            let stopped = Stopped::new(Pid::from_child(apply));
            self.fleet.copy_store();
            self.has_backup = true;
            drop(stopped);
        }
        let fault = *FAULTS.choose(&mut self.random).unwrap();
        let did = match fault {
            Fault::KillApply => {
                end(apply);
                Some(String::new())
            }
            Fault::KillGuest => self.kill_a_guest(),
            Fault::KillTransfer => self.kill_one("rsync"),
            Fault::KillImageTool => self.kill_one("qemu-img"),
            Fault::PauseApply => {
                self.pause(Pid::from_child(apply));
                Some(String::new())
            }
            Fault::PauseGuest => {
                let guest = self.fleet.processes().choose(&mut self.random).cloned();
                guest.map(|guest| {
                    self.pause(pid_of(&guest));
                    format!("{} on {}", guest.instance, guest.host)
                })
            }
            Fault::PauseTransfer => self.one("rsync").map(|pid| {
                self.pause(pid);
                String::new()
            }),
            Fault::FillDisk => Some(self.fill_a_disk()),
            Fault::LoseCopy => self.lose_a_copy(apply),
            Fault::RestoreStore => self.has_backup.then(|| self.restore_store(apply)),
        };
        let Some(did) = did else { return false };
        println!("   {fault:?} {did}");
        *self.happened.entry(fault).or_default() += 1;
        self.left -= 1;
        true
    }

    fn kill_a_guest(&mut self) -> Option<String> {
        let guest = self.fleet.processes().choose(&mut self.random)?.clone();
        self.killed.insert(guest.instance.clone());
        // One that has just ended by itself is not there to be killed.
        kill_process(pid_of(&guest), Signal::KILL).ok()?;
        Some(format!("{} on {}", guest.instance, guest.host))
    }

    fn kill_one(&mut self, program: &str) -> Option<String> {
        let pid = self.one(program)?;
        kill_process(pid, Signal::KILL).ok()?;
        Some(String::new())
    }

    /// A process of the fleet's running this program, if one comes along soon.
    fn one(&mut self, program: &str) -> Option<Pid> {
        let end = Instant::now() + Duration::from_millis(500);
        while Instant::now() < end {
            if let Some(pid) = pids_naming(self.fleet.folder(), program).choose(&mut self.random) {
                return Some(*pid);
            }
            sleep(Duration::from_millis(2));
        }
        None
    }

    fn pause(&mut self, pid: Pid) {
        let stopped = Stopped::new(pid);
        sleep(Duration::from_millis(self.random.random_range(50..2500)));
        drop(stopped);
    }

    fn fill_a_disk(&mut self) -> String {
        let hosts: Vec<HostName> = self.fleet.storages().keys().cloned().collect();
        let host = hosts.choose(&mut self.random).unwrap().clone();
        let storage = &self.fleet.storages()[&host];
        storage.fill(0).unwrap();
        sleep(Duration::from_millis(self.random.random_range(50..1500)));
        storage.give_back().unwrap();
        self.filled.insert(host.clone());
        host.to_string()
    }

    /// Takes away one copy of an instance that has two, as the store and both disks say while nobody acts.
    fn lose_a_copy(&mut self, apply: &Child) -> Option<String> {
        let _stopped = Stopped::new(Pid::from_child(apply));
        let under_way = self.fleet.unfinished_now().ok()?;
        let migration = under_way.choose(&mut self.random)?;
        let subject = &migration.subject;
        let undecided = matches!(
            migration.state,
            MigrationState::Migrating
                | MigrationState::MigratingStep2 { .. }
                | MigrationState::PostMigrating { .. }
                | MigrationState::VerifyMigration { confirm: Confirm::Awaited { .. } | Confirm::Due { .. } }
        );
        let copy = |host: &HostName| self.fleet.host(host.as_str()).join("instances").join(subject.instance.as_str());
        let (here, there) = (copy(subject.source()), copy(subject.target()));
        if !undecided || !here.join("base.qcow2").exists() || !there.exists() {
            return None;
        }
        let lost = there.parent().unwrap().with_file_name(format!("lost-{}", self.lost.len()));
        std::fs::rename(&there, &lost).unwrap();
        // What runs on there is no copy any more, and ends as one does whose disk is gone.
        self.lost.push((subject.instance.clone(), lost));
        Some(format!("of {} on {} in {}", subject.instance, subject.target(), migration.state.name()))
    }

    /// The store as it was is put back, and a person has it take up what its hosts did since.
    fn restore_store(&mut self, apply: &mut Child) -> String {
        end(apply);
        self.fleet.restore_store();
        self.has_backup = false;
        self.take_over()
    }

    fn take_over(&mut self) -> String {
        let (code, said) = self.fleet.ask(&["host", "take-over", "--yes"]);
        assert_eq!(code, Some(0), "{said}");
        said
    }

    /// A person goes on from where the evacuation ended: decides what waits for that, and looks at every guest.
    fn settle(&mut self) {
        for _ in 0..TRIES {
            let unfinished = self.fleet.unfinished();
            if unfinished.is_empty() {
                break;
            }
            for migration in &unfinished {
                self.decide(migration);
            }
        }
        assert_eq!(self.fleet.unfinished(), [], "nobody acts on these");
        for (instance, host) in self.fleet.recorded() {
            self.see_to(&instance, &host);
        }
        self.fleet.assert_no_doubles();
        self.fleet.writes(3);
        self.killed.clear();
        self.filled.clear();
    }

    fn decide(&mut self, migration: &Migration) {
        let wishes: &[&str] = match migration.turn() {
            Awaits::Decision { .. } => &["confirm", "revert"],
            Awaits::Repair => &["abort"],
            Awaits::Agent { .. } => match migration.state {
                MigrationState::VerifyMigration { confirm: Confirm::Awaited { .. } | Confirm::Due { .. } } => {
                    &["confirm", "revert"]
                }
                MigrationState::VerifyMigration { .. } => &["confirm"],
                MigrationState::Reverted { .. } => &["abort", "revert"],
                _ => &["abort"],
            },
            Awaits::Nobody => return,
        };
        let wish = wishes.choose(&mut self.random).unwrap();
        let (code, said) = self.fleet.ask(&["migration", wish, &migration.id.to_string()]);
        println!(
            "   {} in {}: {wish}: {code:?} {}",
            migration.subject.instance,
            migration.state.name(),
            said.lines().next().unwrap_or_default()
        );
    }

    /// The instance runs where its record says, or its process was killed and it is started.
    fn see_to(&mut self, instance: &InstanceId, host: &HostName) {
        if self.fleet.processes().iter().any(|one| one.instance == *instance) {
            let halted = |fleet: &RealFleet| fleet.halted(host, instance);
            if let Some(state) = halted(&self.fleet) {
                assert!(self.filled.contains(host), "{instance} on {host} is {state}");
                println!("   {instance} on {host} is {state}: let go on by hand");
                self.fleet.let_go_on(host);
            }
            return;
        }
        let told = || self.fleet.ask(&["migration", "show", instance.as_str()]).1;
        assert!(self.killed.contains(instance), "{instance} on {host} is down, and nobody touched it\n{}", told());
        println!("   {instance} on {host} is started again");
        self.fleet.start(host, instance);
    }
}

fn pid_of(guest: &Process) -> Pid {
    Pid::from_raw(guest.id).unwrap()
}

/// Kills a process that is ours, at once.
fn end(child: &mut Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

/// A process that is stopped until this is dropped.
struct Stopped(Pid);

impl Stopped {
    fn new(pid: Pid) -> Self {
        // One that has ended meanwhile needs no stopping.
        let _gone = kill_process(pid, Signal::STOP);
        Self(pid)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        let _gone = kill_process(self.0, Signal::CONT);
    }
}
