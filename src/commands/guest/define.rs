//! `decant guest define`: from images to a guest that decant knows.

use std::path::Path;

use decant_executor::apply::{NewGuest, define_guest, start_guest};
use decant_executor::hypervisor::qemu::{self, Image};
use decant_schema::fleet::Mobility;
use decant_schema::id::{FlavorName, HostName, InstanceId};

use super::{drivers_around, machine};
use crate::cli::{DefineGuest, ImageFormat, Moves};
use crate::commands::site;
use crate::error::{Exit, Failure, both};
use crate::output;

pub(super) fn run(args: &DefineGuest) -> Result<Exit, Failure> {
    let store = site::store(&args.site.store)?;
    let (machine, images) = both(machine::of(&args.machine), images(args))?;
    let host = HostName::new(args.host.as_str());
    let drivers = drivers_around(&args.site, &host)?;
    let own = site::hosts(&args.site, &[host.clone()].into())?;
    let qemu = own.qemu(&host)?;
    let guest = NewGuest {
        instance: InstanceId::new(args.instance.as_str()),
        host: host.clone(),
        flavor: FlavorName::from(args.flavor.as_str()),
        mobility: mobility(args.mobility),
        heartbeat: args.heartbeat.as_ref().map(|heartbeat| heartbeat.0.clone()),
    };
    let defining = define_guest(&store, &drivers, &qemu, &guest, images, &machine);
    site::run("define the guest", site::GOES_ON, defining)?;
    output::print(&format!("{} is defined on {host}\n", guest.instance))?;
    if args.start {
        site::run("start the guest", site::GOES_ON, start_guest(&store, &drivers, &guest.instance))?;
        site::note_translation(&args.site, &own, &host)?;
        output::print(&format!("{} runs on {host}\n", guest.instance))?;
    }
    Ok(Exit::Done)
}

/// How a guest may move, in the fleet's words.
pub(super) fn mobility(moves: Moves) -> Mobility {
    match moves {
        Moves::Suspend => Mobility::Suspend,
        Moves::Cold => Mobility::Cold,
        Moves::None => Mobility::None,
    }
}

/// The images of its disks, the one it starts from first; all that cannot be read at once.
fn images(args: &DefineGuest) -> Result<Vec<Image>, Failure> {
    let more = args.machine.disk.iter().map(|disk| image("--disk", &disk.image, disk.format));
    let first = image("--image", &args.image, args.image_format).map(|image| vec![image]);
    more.fold(first, |all, next| {
        let (mut all, next) = both(all, next)?;
        all.push(next);
        Ok(all)
    })
}

fn image(option: &str, path: &Path, format: ImageFormat) -> Result<Image, Failure> {
    let format = match format {
        ImageFormat::Qcow2 => qemu::ImageFormat::Qcow2,
        ImageFormat::Raw => qemu::ImageFormat::Raw,
        ImageFormat::Vmdk => qemu::ImageFormat::Vmdk,
    };
    // QEMU's tools take what begins with a letter and a colon for something else than a file.
    let path = path.canonicalize().map_err(|error| {
        let problem = format!("{} cannot be read: {error}", path.display());
        Failure::input(option, problem, "name the image the disk is made from")
    })?;
    Ok(Image { path, format, size: None })
}
