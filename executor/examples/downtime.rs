//! Measures how long a guest stands still in a suspended move, by the size of its base and by what is written to its disk
//! while that is copied: real QEMU, rsync and disks on this machine. The guest writes all the time; it stands still from its last acknowledgement at the source to its first at the
//! target.
//!
//! ```text
//! cargo run --release -p decant-executor --example downtime -- FOLDER [MIB[+WRITTEN]]...
//! ```
//! The folder needs room for three times all the bases. Sizes are of the base's content and of what is written, in MiB; 50,
//! 4096 and 4096+1024 if none are given. The sizes take turns, so that whatever else the machine does falls on all of them alike.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use decant_executor::hypervisor::{Discard, Disk, GuestSize, GuestSpec, Hypervisor};
use decant_executor::lab::world::Lab;
use decant_executor::transfer::{CopyOrder, Transfer};
use decant_schema::id::{HostName, InstanceId};
use decant_schema::migration::{DiskFile, Generation};
use decant_schema::units::mib;

/// Moves of each size: enough for a median that a few busy moments of the machine do not spoil.
const MOVES: u64 = 9;

/// How often the target's console is looked at: well below what is measured.
const EVERY: Duration = Duration::from_millis(1);

/// What is not frozen once more (bytes), as in the program.
const LEFT_TO_THE_END: u64 = 16 << 20;

/// The longest a guest may take to write again.
const SILENCE_MAX: Duration = Duration::from_secs(60);

const GUEST: GuestSize = GuestSize { memory: mib(16), vcpus: 1 };

/// What is done while the guest stands still, in this order.
const STEPS: [&str; 4] = ["suspend", "send", "verify", "start"];

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("name a folder to work in")?;
    let given: Vec<String> = arguments.collect();
    let sizes = if given.is_empty() { ["50", "4096", "4096+1024"].map(str::to_owned).to_vec() } else { given };
    let mut guests = Vec::new();
    for size in sizes {
        let (base, written) = size.split_once('+').unwrap_or((&size, "0"));
        guests.push(Moving::begin(Path::new(&folder), base.parse()?, written.parse()?).await?);
    }
    for generation in 1..=MOVES {
        for guest in &mut guests {
            guest.go_on(Generation(generation)).await?;
        }
    }
    print(&mut guests);
    Ok(())
}

fn print(guests: &mut [Moving]) {
    println!(
        "| base MiB | written MiB | standstill s, median of {MOVES} | least | most | vs the first | {} |\n|---{}|",
        STEPS.join(" | "),
        "|---".repeat(5 + STEPS.len())
    );
    let mut first = None;
    for guest in guests {
        let times = sorted(guest.moved.iter().map(|moved| moved.standstill));
        let median = times[times.len() / 2];
        let ratio = median / *first.get_or_insert(median);
        let steps: Vec<String> = (0..STEPS.len())
            .map(|step| sorted(guest.moved.iter().map(|moved| moved.steps[step])))
            .map(|times| format!("{:.3}", times[times.len() / 2]))
            .collect();
        let (least, most) = (times[0], times[times.len() - 1]);
        let (base, written, steps) = (guest.mib, guest.written, steps.join(" | "));
        println!("| {base} | {written} | {median:.3} | {least:.3} | {most:.3} | {ratio:.2}× | {steps} |");
    }
}

fn sorted(times: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut times: Vec<f64> = times.collect();
    times.sort_by(f64::total_cmp);
    times
}

/// What one move took, seconds.
struct Moved {
    standstill: f64,
    steps: [f64; STEPS.len()],
}

/// A guest that moves back and forth; all its processes end with it.
struct Moving {
    mib: usize,
    written: u64,
    lab: Lab,
    instance: InstanceId,
    source: HostName,
    target: HostName,
    moved: Vec<Moved>,
    _folder: tempfile::TempDir,
}

impl Drop for Moving {
    fn drop(&mut self) {
        self.lab.kill_all();
    }
}

impl Moving {
    async fn begin(folder: &Path, base_mib: usize, written: u64) -> Result<Self, Box<dyn Error>> {
        let folder = tempfile::tempdir_in(folder)?;
        let lab = Lab::open(folder.path(), &["a", "b"])?;
        let (source, target, instance) = (HostName::new("a"), HostName::new("b"), InstanceId::new("vm-1"));
        lab.install(&source, &instance, GUEST, base_mib << 20).await?;
        lab.driver(&source).start(&instance).await?;
        let moving = Self { mib: base_mib, written, lab, instance, source, target, moved: Vec::new(), _folder: folder };
        said_more(moving.console(&moving.source)?, 0).await?;
        Ok(moving)
    }

    fn console(&self, host: &HostName) -> Result<PathBuf, Box<dyn Error>> {
        Ok(self.lab.folder(host).copy(&self.instance)?.console())
    }

    async fn go_on(&mut self, generation: Generation) -> Result<(), Box<dyn Error>> {
        let moved = self.move_once(generation).await?;
        println!("{}+{} MiB: {:.3} {:.3?}", self.mib, self.written, moved.standstill, moved.steps);
        self.moved.push(moved);
        std::mem::swap(&mut self.source, &mut self.target);
        Ok(())
    }

    /// What agents do in a suspended move, in their order.
    async fn move_once(&self, generation: Generation) -> Result<Moved, Box<dyn Error>> {
        let Self { lab, instance, source, target, .. } = self;
        let (from, to) = (lab.driver(source), lab.driver(target));
        let (sends, receives) = (lab.transfer(source), lab.transfer(target));
        let order =
            |file| CopyOrder { instance: instance.clone(), file, peer: target.clone(), generation, limit: None };
        from.snapshot(instance, generation).await?;
        let mut sent = vec![(DiskFile::BASE, sends.copy(&order(DiskFile::BASE), &|_| ()).await?.digest)];
        // Where the noise is that the base begins with: out of the guest's way.
        from.write(instance, 64 << 20..(64 + self.written) << 20).await?;
        from.freeze_more(instance, LEFT_TO_THE_END).await?;
        for layer in from.frozen(instance).await? {
            sent.push((layer, sends.copy(&order(layer), &|_| ()).await?.digest));
        }
        sends.probe(&order(DiskFile::BASE)).await?;
        let console = self.console(target)?;
        let said = std::fs::metadata(&console).map_or(0, |console| console.len());
        let speaks = tokio::spawn(async move { said_more(console, said).await.map_err(|error| error.to_string()) });
        let mut clock = Steps::new();
        from.suspend(instance).await?;
        clock.step();
        let layers = from.frozen(instance).await?;
        for file in layers.into_iter().chain([DiskFile::OVERLAY, DiskFile::Memory]) {
            sent.push((file, sends.copy(&order(file), &|_| ()).await?.digest));
        }
        clock.step();
        for (file, digest) in sent {
            if receives.digest(instance, file).await? != digest {
                return Err(format!("the {file} is not what was sent").into());
            }
        }
        clock.step();
        to.create(&GuestSpec { instance: instance.clone(), size: GUEST, disk: Disk::Local, built_by: None }).await?;
        to.start_marked(instance, generation).await?;
        clock.step();
        let first = speaks.await??;
        let last = std::fs::metadata(self.console(source)?)?.modified()?;
        from.destroy(instance, &Disk::Local, Discard::Everything).await?;
        Ok(Moved { standstill: first.duration_since(last)?.as_secs_f64(), steps: clock.taken })
    }
}

/// Times one step after the other.
struct Steps {
    since: Instant,
    done: usize,
    taken: [f64; STEPS.len()],
}

impl Steps {
    fn new() -> Self {
        Self { since: Instant::now(), done: 0, taken: [0.0; STEPS.len()] }
    }

    fn step(&mut self) {
        self.taken[self.done] = self.since.elapsed().as_secs_f64();
        self.done += 1;
        self.since = Instant::now();
    }
}

/// Waits until the guest has said more than this on its console (bytes), and returns when.
async fn said_more(console: PathBuf, said: u64) -> Result<SystemTime, Box<dyn Error>> {
    let end = Instant::now() + SILENCE_MAX;
    while Instant::now() < end {
        if std::fs::metadata(&console).is_ok_and(|console| console.len() > said) {
            return Ok(SystemTime::now());
        }
        tokio::time::sleep(EVERY).await;
    }
    Err(format!("nothing is said in {}", console.display()).into())
}
