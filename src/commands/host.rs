//! `decant host`: looks after hosts, one file a verb.

mod add;
mod declare_dead;
mod discarded;
mod doctor;
mod list;
mod take_over;

use crate::cli::HostCommand;
use crate::error::{Exit, Failure};

pub(super) fn run(command: &HostCommand) -> Result<Exit, Failure> {
    match command {
        HostCommand::Add(args) => add::run(args),
        HostCommand::List(args) => list::run(args),
        HostCommand::Doctor(args) => doctor::run(args),
        HostCommand::Discarded(command) => discarded::run(command),
        HostCommand::DeclareDead(args) => declare_dead::run(args),
        HostCommand::TakeOver(args) => take_over::run(args),
    }
}
