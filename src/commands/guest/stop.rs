//! `decant guest stop`: the power button, patience, and what came of it; or the end of its process.

use decant_executor::apply::{Stopped, kill_guest, stop_guest};

use super::{drivers_around, known};
use crate::cli::StopGuest;
use crate::commands::site;
use crate::error::{Exit, Failure};
use crate::output;

pub(super) fn run(args: &StopGuest) -> Result<Exit, Failure> {
    let store = site::store(&args.site.store)?;
    let (instance, host) = known(&args.site, &args.instance)?;
    let patience = args.patience.0;
    let drivers = drivers_around(&args.site, &host)?;
    let stopped = if args.kill {
        let qemu = site::hosts(&args.site, &[host.clone()].into())?.qemu(&host)?;
        site::run("kill the guest", site::GOES_ON, kill_guest(&store, &drivers, &qemu, &instance))?
    } else {
        site::run("stop the guest", site::GOES_ON, stop_guest(&store, &drivers, &instance, patience))?
    };
    let text = match stopped {
        Stopped::Already => format!("{instance} is down already\n"),
        Stopped::After(took) => format!("{instance} shut down within {:.1} s\n", took.as_secs_f64()),
        Stopped::CutOff => format!(
            "{instance} did not obey its power button within {} s and was cut off; what it had flushed is on its disk\n",
            patience.as_secs()
        ),
        Stopped::Killed => format!("{instance} was killed; what it had flushed is on its disk\n"),
    };
    output::print(&text)?;
    Ok(Exit::Done)
}
