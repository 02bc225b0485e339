//! The demonstration: real virtual machines on this machine, planned, moved, resized, reverted, and checked.
//!
//! It uses what every command uses, and one witness of its own: the ledger of everything the guests were told is safely
//! on their disks. Whatever happens, no process and no file of it is left: what one that is killed outright cannot tidy up,
//! the next one sweeps ([`leftovers`]).

mod leftovers;
mod story;
mod world;

use std::fs::File;
use std::time::Duration;

use decant_executor::ConfirmPolicy;
use decant_executor::lab::world::Lab;
use decant_schema::id::{FlavorName, HostName};
use decant_schema::migration::{Migration, Wish};
use decant_schema::plan::Plan;
use decant_schema::request::{Options, Request, RequestKind, Resize};

use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::error::Failure;
use crate::interrupt::{Interruption, interrupted};
use crate::output;
use crate::render::{self, PlanView, text::Extent};
use story::Account;
use world::World;

/// The host that is emptied.
const EVACUATED: &str = "oak";
/// Who is resized, and stays so.
const RESIZED: (&str, &str) = ("cache-1", "medium");
/// Who is resized, and then wishes it had not been.
const REVERTED: (&str, &str) = ("db-2", "huge");
/// Records each guest writes before the next thing happens: a second of its life.
const BREATH: usize = 25;
/// How long a moved instance could be reverted before it is confirmed by itself.
const WINDOW: ConfirmPolicy = ConfirmPolicy::Auto { after: Duration::from_millis(500) };

/// Runs the demonstration; a Ctrl-C ends it early, and as tidily.
pub(crate) fn demo() -> Result<Account, Failure> {
    let runtime = Runtime::new().map_err(|error| Failure::environment("start the demonstration", error))?;
    let mut interruption = runtime.block_on(async { Interruption::listen_closely() });
    let stage = Stage::set(runtime)?;
    let runtime = stage.runtime.as_ref().expect("it is taken only when the stage is struck");
    runtime.block_on(async {
        tokio::select! {
            account = tell(&stage) => account,
            () = interruption.uttered() => {
                Err(interrupted("finish the demonstration", "nothing of it is left: no process, no file"))
            }
        }
    })
}

/// What must be gone at the end, in the order in which it goes: whoever starts guests, the guests, their files.
struct Stage {
    runtime: Option<Runtime>,
    lab: Lab,
    folder: TempDir,
    /// Tells other demonstrations that the folder is somebody's.
    _owner: File,
}

impl Stage {
    fn set(runtime: Runtime) -> Result<Self, Failure> {
        let failed = |error: std::io::Error| {
            Failure::environment("set the demonstration up", error)
                .with_hint("name a folder for temporary files that can be written to by TMPDIR")
        };
        let folder = tempfile::Builder::new().prefix(leftovers::PREFIX).tempdir().map_err(failed)?;
        let owner = leftovers::own(folder.path()).map_err(failed)?;
        leftovers::sweep(&std::env::temp_dir());
        let fleet = decant_executor::lab::fleet();
        let hosts: Vec<&str> = fleet.hosts().iter().map(|host| host.name.as_str()).collect();
        let lab = Lab::open(folder.path(), &hosts).map_err(world::lab_failed)?;
        Ok(Self { runtime: Some(runtime), lab, folder, _owner: owner })
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(5));
        }
        self.lab.kill_all();
    }
}

async fn tell(stage: &Stage) -> Result<Account, Failure> {
    output::note(
        "Six virtual machines on three hosts: each host a folder, each machine a QEMU that writes to its disk.",
    );
    let mut world = World::make(&stage.lab, stage.folder.path()).await?;
    world.breathe(BREATH).await?;
    output::print(&story::capacity(&world.fleet()))?;

    let plan = world.plan(evacuation())?;
    output::print(&format!("\nEmptying {EVACUATED}:\n{}", show(&world, &plan)))?;
    let mut migrations = world.carry_out(&plan, WINDOW).await?;
    world.breathe(BREATH).await?;

    let plan = world.plan(resize(RESIZED))?;
    output::print(&format!("\nA larger flavor, now that {EVACUATED} is back: {}\n", story::moves(&plan)))?;
    migrations.extend(world.carry_out(&plan, WINDOW).await?);
    world.breathe(BREATH).await?;
    let resized = world.seen_from_inside(RESIZED.0);

    let plan = world.plan(resize(REVERTED))?;
    output::print(&format!("\nAnother, but reverted once it runs there: {}\n", story::moves(&plan)))?;
    let tried = world.carry_out(&plan, ConfirmPolicy::Manual).await?;
    world.breathe(BREATH).await?;
    migrations.extend(revert(&mut world, &tried).await?);
    world.breathe(BREATH).await?;
    let reverted = world.seen_from_inside(REVERTED.0);

    output::note("Shutting the guests down, reading their disks.");
    let judged = world.judge_all().await?;
    Ok(Account { judged, migrations, resized, reverted })
}

async fn revert(world: &mut World, tried: &[Migration]) -> Result<Vec<Migration>, Failure> {
    let mut reverted = Vec::new();
    for migration in tried {
        reverted.push(world.decide(migration.id, Wish::Revert).await?);
    }
    Ok(reverted)
}

fn evacuation() -> Request {
    let hosts = [HostName::new(EVACUATED)].into();
    Request { kind: RequestKind::Evacuate { hosts }, options: Options::default() }
}

fn resize((instance, flavor): (&str, &str)) -> Request {
    let resizes = vec![Resize { instance: instance.into(), flavor: FlavorName::from(flavor) }];
    Request { kind: RequestKind::Resize { resizes }, options: Options::default() }
}

fn show(world: &World, plan: &Plan) -> String {
    render::text::plan(PlanView { plan, fleet: Some(&world.fleet()) }, Extent::Brief)
}
