//! `decant` empties hosts of their virtual machines. This page parses, dispatches, prints the error and chooses the
//! exit code; what a command does is in [`commands`], what a document looks like to a person in [`render`].

mod cli;
mod commands;
mod demo;
mod error;
mod interrupt;
mod output;
mod render;
mod settings;

use std::panic;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

use crate::cli::Cli;
use crate::error::{Complaint, Exit, Failure};

fn main() -> ExitCode {
    let ended = panic::catch_unwind(run);
    ended.unwrap_or_else(|_| Err(Failure::bug())).unwrap_or_else(error::report).into()
}

fn run() -> Result<Exit, Failure> {
    let settings = settings::read()?;
    let command = settings.as_defaults_of(Cli::command());
    let matches = command.try_get_matches().unwrap_or_else(|error| settings.explain_and_exit(&error));
    let useless = Cli::useless_in_rehearsal(&matches);
    if !useless.is_empty() {
        let problem = |option| format!("{option}: a rehearsal has hosts and a store of its own");
        let errors = useless.into_iter().map(|option| Complaint::new(problem(option), "leave it out")).collect();
        return Err(Failure::Input { of: "the request".to_owned(), errors });
    }
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    output::log_to_stderr(cli.verbose);
    commands::run(cli.command)
}
