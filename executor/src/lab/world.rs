//! A small fleet of folders on this machine: hosts without iron, instances with real processes and real disks.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use decant_schema::fleet::Fleet;
use decant_schema::id::{HostName, InstanceId};
use decant_schema::migration::DiskFile;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use thiserror::Error;

use super::ledger::Ledger;
use super::log::{self, Log};
use super::oracle::{self, Verdict};
use super::payload;
use crate::driver::{Drivers, HostDriver};
use crate::hypervisor::qemu::{Qemu, Tools};
use crate::hypervisor::{Disk, GuestSize, GuestSpec, Hypervisor, HypervisorError};
use crate::layout::{CopyFolder, HostFolder, file_name, make_parent};
use crate::processes;
use crate::tool::{self, MissingTool};
use crate::transfer::rsync::Rsync;

/// Room for sixteen thousand records, ten minutes of a guest's life.
const DISK_BYTES: u64 = 128 << 20;

/// How much noise is written at once, bytes: no more memory than that is needed for a disk of any size.
const NOISE_AT_ONCE: usize = 1 << 20;

/// How long a killed process may take to give its memory back; one whose disk hangs does not end before that does.
const KILLED_MAX: Duration = Duration::from_secs(5);

/// Why the lab could not do its part.
#[derive(Debug, Error)]
pub enum LabError {
    /// The file system.
    #[error("use {}", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A program the lab needs cannot be run.
    #[error(transparent)]
    Tool(#[from] MissingTool),
    /// The driver.
    #[error(transparent)]
    Hypervisor(#[from] HypervisorError),
}

/// A guest's process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub id: i32,
    /// Where it runs.
    pub host: HostName,
    /// What it runs.
    pub instance: InstanceId,
}

/// The fleet's folder.
#[derive(Clone, Debug)]
pub struct Lab {
    root: PathBuf,
    hosts: Vec<HostName>,
}

impl Lab {
    /// Opens a lab at `root` with these hosts, making what is missing.
    ///
    /// # Errors
    /// When a program it needs is not installed, or the file system refuses.
    pub fn open(root: &Path, hosts: &[&str]) -> Result<Self, LabError> {
        tool::are_here()?;
        let io = |source| LabError::Io { path: root.to_owned(), source };
        std::fs::create_dir_all(root).map_err(io)?;
        // A guest's processes are known by the paths on their command lines.
        let root = root.canonicalize().map_err(io)?;
        let lab = Self { root: root.clone(), hosts: hosts.iter().map(|host| HostName::new(*host)).collect() };
        for host in &lab.hosts {
            let folder = lab.folder(host);
            folder.add(host).and_then(|()| payload::write_to(&folder.kernel())).map_err(io)?;
        }
        Ok(lab)
    }

    /// The lab's own folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The folder of the hosts' folders.
    pub fn hosts_folder(&self) -> PathBuf {
        self.root.join("hosts")
    }

    /// Its hosts.
    pub fn hosts(&self) -> &[HostName] {
        &self.hosts
    }

    /// The folder of a host.
    pub fn folder(&self, host: &HostName) -> HostFolder {
        HostFolder::new(self.hosts_folder().join(host.as_str()))
    }

    /// The driver of a host.
    pub fn driver(&self, host: &HostName) -> Qemu {
        Qemu::new(self.folder(host), Tools::default())
    }

    /// The transfer of a host.
    pub fn transfer(&self, host: &HostName) -> Rsync {
        let peers = self.hosts.iter().map(|peer| (peer.clone(), self.folder(peer))).collect();
        Rsync::new(self.folder(host), peers)
    }

    /// What the agents of the hosts work with.
    pub fn drivers(&self) -> Drivers {
        let driver = |host: &HostName| HostDriver {
            hypervisor: Arc::new(self.driver(host)),
            transfer: Arc::new(self.transfer(host)),
        };
        self.hosts.iter().map(|host| (host.clone(), driver(host))).collect()
    }

    /// Makes and starts every instance of a fleet, each with as much noise on its disk as the fleet says.
    ///
    /// # Errors
    /// As the file system, `qemu-img` and the driver say.
    pub async fn populate(&self, fleet: &Fleet) -> Result<(), LabError> {
        for instance in fleet.instances() {
            let noise = usize::try_from(instance.local_disk_mb.bytes()).unwrap_or(0);
            let size = GuestSize::from(fleet.claim(instance));
            self.install(&instance.host, &instance.id, size, noise).await?;
            self.driver(&instance.host).start(&instance.id).await?;
        }
        Ok(())
    }

    /// Makes an instance on a host: a disk with `data_bytes` of noise on it, and its definition. It is not started.
    ///
    /// # Errors
    /// As the file system, `qemu-img` and the driver say.
    pub async fn install(
        &self,
        host: &HostName,
        instance: &InstanceId,
        size: GuestSize,
        data_bytes: usize,
    ) -> Result<(), LabError> {
        let copy = self.copy(host, instance)?;
        let (raw, base) = (copy.join("base.raw"), copy.file(DiskFile::BASE));
        write_noise(&raw, data_bytes).map_err(|source| LabError::Io { path: raw.clone(), source })?;
        convert("raw", &raw, "qcow2", &base)?;
        std::fs::remove_file(&raw).map_err(|source| LabError::Io { path: raw, source })?;
        let guest = GuestSpec { instance: instance.clone(), size, disk: Disk::Local, built_by: None };
        Ok(self.driver(host).create(&guest).await?)
    }

    /// Presses a key at a guest's keyboard: `q` shuts it down as its user would, from `d` on it is deaf to its power button.
    ///
    /// # Errors
    /// As the driver says.
    pub async fn press_key(&self, host: &HostName, instance: &InstanceId, key: &str) -> Result<(), LabError> {
        Ok(self.driver(host).press_key(instance, key).await?)
    }

    /// Opens the ledger of everything the guests say.
    ///
    /// # Errors
    /// As the file system says.
    pub fn ledger(&self) -> Result<Ledger, LabError> {
        let path = self.root.join("ledger");
        let consoles: BTreeMap<_, _> =
            self.hosts.iter().map(|host| (host.clone(), self.folder(host).consoles())).collect();
        Ledger::open(&path, consoles).map_err(|source| LabError::Io { path, source })
    }

    /// The log on the disk of a copy that does not run.
    ///
    /// # Errors
    /// As the file system and `qemu-img` say.
    pub fn read_log(&self, host: &HostName, instance: &InstanceId) -> Result<Log, LabError> {
        self.read_log_in(&self.copy(host, instance)?.path())
    }

    /// Holds an instance's disk on `host`, where it does not run, against what it was told is safe.
    ///
    /// # Errors
    /// As the file system and `qemu-img` say.
    pub fn judge(&self, ledger: &Ledger, host: &HostName, instance: &InstanceId) -> Result<Verdict, LabError> {
        self.judge_with(ledger, host, instance, &[])
    }

    /// The same, where copies of it were taken away by hand, to these folders: they count as put aside, if they are whole.
    ///
    /// # Errors
    /// As the file system and `qemu-img` say.
    pub fn judge_with(
        &self,
        ledger: &Ledger,
        host: &HostName,
        instance: &InstanceId,
        taken: &[&Path],
    ) -> Result<Verdict, LabError> {
        if !self.copy(host, instance)?.file(DiskFile::BASE).exists() {
            let findings = vec![oracle::Finding::NoDisk { host: host.clone() }];
            return Ok(Verdict { findings, ..Verdict::default() });
        }
        let is_whole = |folder: &&&Path| folder.join(file_name(DiskFile::BASE)).exists();
        let mut aside =
            taken.iter().filter(is_whole).map(|folder| self.read_log_in(folder)).collect::<Result<Vec<_>, _>>()?;
        for host in &self.hosts {
            for folder in self.copy(host, instance)?.discarded() {
                aside.push(self.read_log_in(&folder)?);
            }
        }
        Ok(oracle::judge(&ledger.acknowledgements(instance), &self.read_log(host, instance)?, &aside))
    }

    /// Every QEMU of the lab that exists at this moment, as the kernel's process table shows it.
    pub fn processes(&self) -> Vec<Process> {
        processes::ids().filter_map(|id| self.process(id)).collect()
    }

    /// The guest a process runs, if it is a QEMU, known by the console it was told to write to.
    fn process(&self, id: i32) -> Option<Process> {
        let command = std::fs::read(format!("/proc/{id}/cmdline")).ok()?;
        let command = String::from_utf8(command).ok()?;
        let program = Path::new(command.split('\0').next()?).file_name()?.to_str()?;
        if !program.starts_with("qemu-system-") {
            return None;
        }
        let (_, console) = command.split('\0').find_map(|word| word.strip_prefix("file,")?.split_once("path="))?;
        let within = Path::new(console).strip_prefix(self.hosts_folder()).ok()?;
        let (host, instance) = (within.iter().next()?.to_str()?, within.file_stem()?.to_str()?);
        Some(Process { id, host: host.into(), instance: instance.into() })
    }

    /// Kills every guest of the lab, at once and without asking, and waits for them to be gone. For the end of a
    /// demonstration, however it came.
    pub fn kill_all(&self) {
        let end = Instant::now() + KILLED_MAX;
        loop {
            let left = self.processes();
            for id in left.iter().filter_map(|process| rustix::process::Pid::from_raw(process.id)) {
                // One that ended by itself in the meantime is as good.
                let _gone = rustix::process::kill_process(id, rustix::process::Signal::KILL);
            }
            if left.is_empty() || Instant::now() >= end {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn copy(&self, host: &HostName, instance: &InstanceId) -> Result<CopyFolder, LabError> {
        self.folder(host).copy(instance).map_err(|source| LabError::Io { path: self.root.clone(), source })
    }

    fn read_log_in(&self, folder: &Path) -> Result<Log, LabError> {
        let top = [DiskFile::OVERLAY, DiskFile::BASE].map(|file| folder.join(file_name(file)));
        let top = top.iter().find(|file| file.exists()).unwrap_or(&top[1]);
        let raw = tempfile::NamedTempFile::new_in(&self.root);
        let raw = raw.map_err(|source| LabError::Io { path: self.root.clone(), source })?;
        convert("qcow2", top, "raw", raw.path())?;
        log::read(raw.path()).map_err(|source| LabError::Io { path: top.clone(), source })
    }
}

/// A disk whose upper half begins with noise: something for a transfer to carry, out of the guest's way.
fn write_noise(path: &Path, bytes: usize) -> io::Result<()> {
    make_parent(path)?;
    let file = File::create(path)?;
    file.set_len(DISK_BYTES)?;
    let (mut random, mut noise) = (ChaCha8Rng::seed_from_u64(0), vec![0; NOISE_AT_ONCE]);
    for start in (0..bytes).step_by(NOISE_AT_ONCE) {
        let part = &mut noise[..NOISE_AT_ONCE.min(bytes - start)];
        random.fill_bytes(part);
        file.write_all_at(part, DISK_BYTES / 2 + start as u64)?;
    }
    Ok(())
}

fn convert(from_format: &str, from: &Path, to_format: &str, to: &Path) -> Result<(), LabError> {
    let mut command = Command::new("qemu-img");
    command.args(["convert", "-f", from_format, "-O", to_format]).arg(from).arg(to);
    let output = command.output().map_err(|source| MissingTool::new("qemu-img", "qemu-utils", source))?;
    if output.status.success() {
        return Ok(());
    }
    let source = io::Error::other(String::from_utf8_lossy(&output.stderr).trim().to_owned());
    Err(LabError::Io { path: to.to_owned(), source })
}
