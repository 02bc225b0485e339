//! The commands, one file a verb.

mod completion;
mod documents;
mod man;
mod select;

use crate::cli::Command;
use crate::error::{Exit, Failure};

/// Does what the command line asks.
pub(crate) fn run(command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Completion { shell } => completion::run(shell),
        Command::Man { folder } => man::run(folder.as_deref()),
        _ => Ok(Exit::Done),
    }
}
