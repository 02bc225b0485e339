//! `decant man`: the manual, made from the same text as the help.

use std::fs;
use std::path::Path;

use clap_mangen::Man;

use crate::cli::Cli;
use crate::error::{Exit, Failure};
use crate::output;

pub(super) fn run(folder: Option<&Path>) -> Result<Exit, Failure> {
    match folder {
        None => print_first_page()?,
        Some(folder) => write_all_pages(folder)?,
    }
    Ok(Exit::Done)
}

fn print_first_page() -> Result<(), Failure> {
    let mut page = Vec::new();
    let rendered = Man::new(Cli::command_tree()).render(&mut page);
    rendered.map_err(|error| Failure::environment("render the manual page", error))?;
    output::print(&String::from_utf8_lossy(&page))
}

fn write_all_pages(folder: &Path) -> Result<(), Failure> {
    let written = fs::create_dir_all(folder).and_then(|()| clap_mangen::generate_to(Cli::command_tree(), folder));
    written.map_err(|error| Failure::environment(format!("write the manual pages to {}", folder.display()), error))
}
