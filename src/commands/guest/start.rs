//! `decant guest start`: one guest, or all that ran before their machine went down.

use std::fmt::Write as _;

use decant_executor::apply::{Restart, start_after_reboot, start_guest};

use super::{drivers_around, known};
use crate::cli::{Site, StartGuest};
use crate::commands::site;
use crate::error::{Exit, Failure};
use crate::output;

pub(super) fn run(args: &StartGuest) -> Result<Exit, Failure> {
    match &args.instance {
        Some(name) => one(&args.site, name),
        None => all(&args.site),
    }
}

fn one(site: &Site, name: &str) -> Result<Exit, Failure> {
    let store = site::store(&site.store)?;
    let (instance, host) = known(site, name)?;
    let drivers = drivers_around(site, &host)?;
    let was_down = site::run("start the guest", site::GOES_ON, start_guest(&store, &drivers, &instance))?;
    site::note_translation(site, &site::hosts(site, &[host.clone()].into())?, &host)?;
    let already = if was_down { "" } else { " already" };
    output::print(&format!("{instance} runs on {host}{already}\n"))?;
    Ok(Exit::Done)
}

fn all(site: &Site) -> Result<Exit, Failure> {
    let store = site::store(&site.store)?;
    let drivers = site::hosts_here(site)?.drivers()?;
    let became = site::run("start the guests", site::GOES_ON, start_after_reboot(&store, &drivers))?;
    let mut text = String::new();
    for (instance, became) in &became {
        let words = match became {
            Restart::Started => "runs again".to_owned(),
            Restart::EndedBefore => format!(
                "stays down: it had ended before its machine did, or was never started there; decant guest start {instance}"
            ),
            Restart::Moving => format!("is left to its migration; decant migration show {instance}"),
            Restart::NotHere => "is not started: its host is not here; decant host doctor".to_owned(),
            Restart::Failed(why) => format!("is not started: failed to {why}"),
        };
        _ = writeln!(text, "{instance} {words}");
    }
    if became.is_empty() {
        text.push_str("Everything that is on record as running runs.\n");
    }
    output::print(&text)?;
    let is_well = |became: &Restart| matches!(became, Restart::Started | Restart::Moving | Restart::EndedBefore);
    Ok(if became.values().all(is_well) { Exit::Done } else { Exit::Environment })
}
