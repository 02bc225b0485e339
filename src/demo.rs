//! The demonstration: real virtual machines on this machine, planned, moved, resized, reverted, and checked.
//!
//! It uses what every command uses, and one witness of its own: the ledger of everything the guests were told is safely
//! on their disks. Whatever happens, no process and no file of it is left.

mod story;
mod world;

use std::time::Duration;

use decant_executor::ConfirmPolicy;
use decant_schema::id::{FlavorName, HostName};
use decant_schema::migration::{Migration, Wish};
use decant_schema::plan::Plan;
use decant_schema::request::{Options, Request, RequestKind, Resize};

use crate::error::Failure;
use crate::output;
use crate::render::{self, PlanView, text::Extent};
use story::Account;
use world::World;

/// The host that is emptied.
const EVACUATED: &str = "oak";
/// Who is resized, and stays so.
const RESIZED: (&str, &str) = ("cache-1", "medium");
/// Who is resized, and then wishes it had not been.
const REVERTED: (&str, &str) = ("cache-2", "medium");
/// Records each guest writes before the next thing happens: a second of its life.
const BREATH: usize = 25;
/// How long a moved instance could be reverted before it is confirmed by itself.
const WINDOW: ConfirmPolicy = ConfirmPolicy::Auto { after: Duration::from_millis(500) };

/// Runs the demonstration; a Ctrl-C ends it early, and as tidily.
pub(crate) async fn demo() -> Result<Account, Failure> {
    tokio::select! {
        account = tell() => account,
        _ = tokio::signal::ctrl_c() => Err(Failure::environment("finish the demonstration", "it was interrupted")
            .with_hint("nothing of it is left: no process, no file")),
    }
}

async fn tell() -> Result<Account, Failure> {
    output::note(
        "Six virtual machines on three hosts: each host a folder, each machine a QEMU that writes to its disk.",
    );
    let mut world = World::make().await?;
    world.breathe(BREATH).await?;
    output::print(&story::capacity(&world.fleet()))?;

    let plan = world.plan(evacuation())?;
    output::print(&format!("\nEmptying {EVACUATED}:\n{}", show(&world, &plan)))?;
    let mut migrations = world.carry_out(&plan, WINDOW).await?;
    world.breathe(BREATH).await?;

    let plan = world.plan(resize(RESIZED))?;
    output::print(&format!(
        "\nA larger flavor for {}, now that {EVACUATED} is back:\n{}",
        RESIZED.0,
        show(&world, &plan)
    ))?;
    migrations.extend(world.carry_out(&plan, WINDOW).await?);
    world.breathe(BREATH).await?;
    let resized = world.seen_from_inside(RESIZED.0);

    let plan = world.plan(resize(REVERTED))?;
    output::print(&format!(
        "\nThe same for {}, but reverted once it runs there:\n{}",
        REVERTED.0,
        show(&world, &plan)
    ))?;
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
