//! `decant host`: looks after hosts, one file a verb.

mod declare_dead;
mod take_over;

use crate::cli::HostCommand;
use crate::error::{Exit, Failure};

pub(super) fn run(command: &HostCommand) -> Result<Exit, Failure> {
    match command {
        HostCommand::DeclareDead(args) => declare_dead::run(args),
        HostCommand::TakeOver(args) => take_over::run(args),
    }
}
