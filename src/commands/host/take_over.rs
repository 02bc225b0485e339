//! `decant host take-over`: what the hosts did without the store, said first and taken up when told to.

use std::fmt::Write as _;

use decant_executor::Discrepancy;
use decant_executor::apply::take_over;

use crate::cli::TakeOver;
use crate::commands::{select::Names, site};
use crate::error::{Exit, Failure};
use crate::output;

pub(super) fn run(args: &TakeOver) -> Result<Exit, Failure> {
    let store = site::store(&args.site.store)?;
    let fleet = site::stored_fleet(&store)?;
    let mut names = Names::of(&fleet);
    let named = names.matching("HOST", &args.host);
    names.finish()?;
    let all = || fleet.hosts().iter().map(|host| host.name.clone()).collect();
    let hosts = if named.is_empty() { all() } else { named };
    let drivers = site::drivers(&args.site, &hosts)?;
    let looking = take_over(&store, &drivers, args.yes);
    let found = site::run("look through the hosts", site::BEGINS_AGAIN, looking)?;
    output::print(&told(&found, args.yes))?;
    Ok(Exit::Done)
}

fn told(found: &[Discrepancy], taken: bool) -> String {
    let mut text = String::new();
    found.iter().for_each(|one| _ = writeln!(text, "{one}"));
    if found.is_empty() {
        text.push_str("The hosts are as the store has them.\n");
    }
    text.push_str(if taken {
        "The store has taken this up, and the hosts are its own.\n"
    } else {
        "Nothing was changed. Where no other decant uses these hosts any more, say so by --yes.\n"
    });
    text
}
