//! The commands, one file a verb.

mod apply;
pub(crate) mod check;
mod completion;
mod demo;
mod documents;
mod fleet;
mod guest;
mod host;
mod man;
mod migrate;
mod migration;
mod plan;
mod report;
mod resizes;
mod rounds;
mod scheduler;
mod schema;
mod select;
mod show;
mod site;
mod watch;

use decant_schema::fleet::Fleet;
use decant_schema::plan::Plan;

use crate::cli::Command;
use crate::error::{Complaint, Exit, Failure};
use crate::interrupt::or_interrupted;

/// Does what the command line asks.
pub(crate) fn run(command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Plan(command) => or_interrupted(move || plan::run(&command)),
        Command::Show(args) => or_interrupted(move || show::run(&args)),
        Command::Check(args) => or_interrupted(move || check::run(&args)),
        Command::Report(args) => or_interrupted(move || report::run(&args)),
        Command::Apply(args) => apply::run(&args),
        Command::Migrate(args) => migrate::run(&args),
        Command::Resize(args) => migrate::resize(&args),
        Command::Migration(command) => migration::run(&command),
        Command::Guest(command) => guest::run(&command),
        Command::Host(command) => host::run(&command),
        Command::Fleet(command) => or_interrupted(move || fleet::run(&command)),
        Command::Schema { of } => schema::run(of),
        Command::Demo => demo::run(),
        Command::Completion { shell } => completion::run(shell),
        Command::Man { folder } => man::run(folder.as_deref()),
    }
}

/// A plan says little about a fleet it was not made for.
fn same_fleet(fleet: &Fleet, plan: &Plan) -> Result<(), Failure> {
    if fleet.digest() == plan.fleet_digest {
        return Ok(());
    }
    let problem = format!("the plan is for {}, the fleet is {}", plan.fleet_digest, fleet.digest());
    Err(Failure::DoesNotHold {
        what: "the plan was made for another fleet, or the fleet has changed since".to_owned(),
        differences: vec![Complaint::new(problem, "give the fleet document it was made from, or plan again")],
    })
}
