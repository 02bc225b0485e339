//! Measures how long a guest stands still in a suspended move, by the size of its base: real QEMU, rsync and disks on this
//! machine, from the order to suspend to the moment the guest executes again on the other host.
//!
//! ```text
//! cargo run --release -p decant-executor --example downtime -- FOLDER [MIB]...
//! ```
//! The folder needs room for three times the largest base. Sizes are of the base's content, in MiB; 50 and 4096 if none
//! are given.

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use decant_executor::hypervisor::{Discard, Disk, GuestSize, GuestSpec, Hypervisor};
use decant_executor::lab::world::Lab;
use decant_executor::transfer::{CopyOrder, Transfer};
use decant_schema::id::{HostName, InstanceId};
use decant_schema::migration::{DiskFile, Generation};
use decant_schema::units::mib;

/// Moves of each size: enough for a median that one busy moment of the machine does not spoil.
const MOVES: u64 = 7;

const GUEST: GuestSize = GuestSize { memory: mib(16), vcpus: 1 };

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments.next().ok_or("name a folder to work in")?;
    let given = arguments.map(|size| size.parse()).collect::<Result<Vec<usize>, _>>()?;
    let sizes = if given.is_empty() { vec![50, 4096] } else { given };
    println!("| base MiB | downtime s, median of {MOVES} | least | most | vs the first |\n|---|---|---|---|---|");
    let mut first = None;
    for size in sizes {
        let folder = tempfile::tempdir_in(&folder)?;
        let times = downtimes(folder.path(), size).await?;
        let median = times[times.len() / 2];
        let ratio = median / *first.get_or_insert(median);
        println!("| {size} | {median:.3} | {:.3} | {:.3} | {ratio:.2}× |", times[0], times[times.len() - 1]);
    }
    Ok(())
}

/// The downtimes of moves back and forth, the shortest first (seconds).
async fn downtimes(folder: &Path, base_mib: usize) -> Result<Vec<f64>, Box<dyn Error>> {
    let lab = Lab::open(folder, &["a", "b"])?;
    let (mut source, mut target) = (HostName::new("a"), HostName::new("b"));
    let instance = InstanceId::new("vm-1");
    lab.install(&source, &instance, GUEST, base_mib << 20).await?;
    lab.driver(&source).start(&instance).await?;
    let mut times = Vec::new();
    for generation in 1..=MOVES {
        let moved = move_once(&lab, &instance, &source, &target, Generation(generation)).await;
        if moved.is_err() {
            lab.kill_all();
        }
        times.push(moved?);
        (source, target) = (target, source);
    }
    lab.kill_all();
    times.sort_by(f64::total_cmp);
    Ok(times)
}

/// What agents do in a suspended move, in their order; what stands between the two clocks is the downtime.
async fn move_once(
    lab: &Lab,
    instance: &InstanceId,
    source: &HostName,
    target: &HostName,
    generation: Generation,
) -> Result<f64, Box<dyn Error>> {
    let (from, to) = (lab.driver(source), lab.driver(target));
    let (sends, receives) = (lab.transfer(source), lab.transfer(target));
    let order = |file| CopyOrder { instance: instance.clone(), file, peer: target.clone(), generation, limit: None };
    from.snapshot(instance, generation).await?;
    let mut sent = vec![(DiskFile::Base, sends.copy(&order(DiskFile::Base), &|_| ()).await?.digest)];
    sends.send_ahead(&order(DiskFile::Overlay), &|_| ()).await?;
    sends.probe(&order(DiskFile::Base)).await?;
    let stopped = Instant::now();
    from.suspend(instance).await?;
    for file in [DiskFile::Overlay, DiskFile::Memory] {
        sent.push((file, sends.copy(&order(file), &|_| ()).await?.digest));
    }
    for (file, digest) in sent {
        if receives.digest(instance, file).await? != digest {
            return Err(format!("the {file} is not what was sent").into());
        }
    }
    to.create(&GuestSpec { instance: instance.clone(), size: GUEST, disk: Disk::Local, built_by: None }).await?;
    to.start(instance).await?;
    let downtime = stopped.elapsed().as_secs_f64();
    from.destroy(instance, &Disk::Local, Discard::Everything).await?;
    Ok(downtime)
}
