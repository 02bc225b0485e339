//! From images somebody made to the disks of an instance.
//!
//! The image may come from anywhere, so it is read as the format it is said to have and no other, and one that takes part of
//! its content from another file is refused: that file would be whatever the image names.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use decant_schema::id::InstanceId;
use decant_schema::machine::Machine;
use decant_schema::migration::DiskFile;
use tokio::process::Command;

use super::definition::Definition;
use super::image::Described;
use super::process::{Presence, look};
use super::{Fault, Qemu, Tools, machine};
use crate::hypervisor::HypervisorError;
use crate::layout::{CopyFolder, make_parent, rename_durably, with_ending};
use crate::room::{BLOCK, Room};

/// An image that a disk is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Its file; absolute, since what begins with a word and a colon is no file to QEMU's tools.
    pub path: PathBuf,
    /// Its format.
    pub format: ImageFormat,
    /// The disk is to be this large, bytes; none: as large as the image says.
    pub size: Option<u64>,
}

/// The format of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ImageFormat {
    /// QEMU's own.
    Qcow2,
    /// The bytes of the disk, one after the other.
    Raw,
    /// What OVF packages carry.
    Vmdk,
}

impl ImageFormat {
    fn name(self) -> &'static str {
        match self {
            Self::Qcow2 => "qcow2",
            Self::Raw => "raw",
            Self::Vmdk => "vmdk",
        }
    }
}

impl Qemu {
    /// Makes the disks and the machine of an instance that is not defined yet, from images that stay as they are, one a
    /// disk. What a killed call left is made anew. Returns how much the disks take on the host, bytes.
    ///
    /// # Errors
    /// [`HypervisorError::Machine`] with everything that speaks against the machine, else as QEMU's tools and the file system
    /// say; an image that is not all in its file is refused.
    pub async fn import(
        &self,
        instance: &InstanceId,
        images: &[Image],
        machine: &Machine,
    ) -> Result<u64, HypervisorError> {
        let imported = async {
            let copy = self.copy(instance)?;
            let housed = machine::house(machine.clone(), &copy.host())?;
            let Presence::Down(lock) = look(&copy).await? else { return Err(Fault::Runs) };
            if Definition::is_in(&copy) {
                return Err(Fault::Guest("it is defined here already".to_owned()));
            }
            if housed.disks().count() != images.len() {
                let (disks, images) = (housed.disks().count(), images.len());
                return Err(Fault::Guest(format!("its machine has {disks} disks, and there are {images} images")));
            }
            let mut sizes = Vec::new();
            for image in images {
                sizes.push(judge(&self.tools, image).await?);
            }
            has_room(&copy, images)?;
            make_parent(&copy.file(DiskFile::BASE))?;
            let mut taken = 0_u64;
            for ((disk, image), size) in housed.disks().zip(images).zip(sizes) {
                let base = copy.file(DiskFile::Base(disk));
                convert(&self.tools, lock.share()?, &base, image, size).await?;
                taken = taken.saturating_add(base.metadata()?.blocks().saturating_mul(BLOCK));
            }
            machine::write(&copy, machine)?;
            Ok(taken)
        };
        imported.await.map_err(|fault: Fault| fault.while_doing("import the images of", instance))
    }
}

/// What keeps an image from being read as a disk.
fn objection(image: &Described) -> Option<String> {
    if let Some(other) = image.backing_filename.as_ref().or(image.data_file()) {
        return Some(format!(
            "part of the image is in another file, {other}: make it whole by `qemu-img convert -O qcow2`, if it may be read"
        ));
    }
    image.encrypted.then(|| "the image is encrypted: decrypt it by `qemu-img convert` first".to_owned())
}

/// Fails unless the image's one file is all of it; returns how large its disk is.
async fn judge(tools: &Tools, image: &Image) -> Result<u64, Fault> {
    let described = tools.describe(&image.path, image.format.name()).await?;
    if let Some(objection) = objection(&described) {
        return Err(Fault::Guest(objection));
    }
    let size = described.virtual_size;
    match image.size {
        Some(wanted) if wanted < size => {
            let (has, wanted) = (size.div_ceil(1 << 20), wanted >> 20);
            let reason = format!("its disk has {has} MiB, more than the {wanted} MiB its flavor promises");
            Err(Fault::Guest(reason))
        }
        _ => Ok(size),
    }
}

fn has_room(copy: &CopyFolder, images: &[Image]) -> Result<(), Fault> {
    let mut takes = 0_u64;
    for image in images {
        takes = takes.saturating_add(image.path.metadata()?.blocks().saturating_mul(BLOCK));
    }
    Room::at(&copy.path())?.holds(takes).map_err(|detail| Fault::Guest(format!("there is no room for it: {detail}")))
}

/// Writes the disk under another name; it gets its own whole and durable.
async fn convert(tools: &Tools, lock: Stdio, base: &Path, image: &Image, size: u64) -> Result<(), Fault> {
    let fresh = with_ending(base, "new");
    let mut command = Command::new(&tools.qemu_img);
    command.args(["convert", "-q", "-f", image.format.name(), "-O", "qcow2"]).arg(&image.path).arg(&fresh);
    tools.said(in_a_group(command, lock)).await?;
    if let Some(wanted) = image.size.filter(|wanted| *wanted > size) {
        let mut command = Command::new(&tools.qemu_img);
        command.args(["resize", "-q", "-f", "qcow2"]).arg(&fresh).arg(wanted.to_string());
        tools.said(in_a_group(command, Stdio::null())).await?;
    }
    File::open(&fresh)?.sync_all()?;
    Ok(rename_durably(&fresh, base)?)
}

/// A Ctrl-C meant for us does not tear a file that is nearly there.
fn in_a_group(mut command: Command, lock: Stdio) -> Command {
    command.process_group(0).stdin(lock).kill_on_drop(true);
    command
}
