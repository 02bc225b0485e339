//! Disk images at rest, by `qemu-img`. The tool holds the copy's lock as long as it runs, even beyond our death.

use std::fs::File;
use std::path::Path;
use std::process::Stdio;

use decant_schema::migration::{DiskFile, DiskNumber};
use serde::Deserialize;
use tokio::process::Command;

use super::lock::CopyLock;
use super::{Fault, Tools, stack};
use crate::layout::{CopyFolder, file_name, remove_durably, rename_durably, with_ending};
use crate::tool::MissingTool;

/// Makes an empty layer over the one `below`, which is named relative to it, so that the pair can be moved.
///
/// Until something writes to it the layer shows what is below as it is, so it may be made before a running guest is told
/// of it: whatever happens in between, the pair reads as the guest left it.
pub(super) async fn create_layer(
    tools: &Tools,
    lock: Stdio,
    copy: &CopyFolder,
    layer: DiskFile,
    below: DiskFile,
) -> Result<(), Fault> {
    let (layer, below) = (copy.file(layer), file_name(below));
    let fresh = with_ending(&layer, "new");
    let arguments = ["create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", &below];
    tools.image(lock, copy, &arguments, &[&fresh]).await?;
    File::open(&fresh)?.sync_all()?;
    Ok(rename_durably(&fresh, &layer)?)
}

/// Points the layers of a disk that arrived each at the one that lies below it, whatever that was called where they came from.
pub(super) async fn point_down(
    tools: &Tools,
    lock: &CopyLock,
    copy: &CopyFolder,
    disk: DiskNumber,
) -> Result<(), Fault> {
    for pair in stack::of(copy, disk)?.windows(2) {
        let [below, above] = pair else { continue };
        let arguments = ["rebase", "-q", "-u", "-f", "qcow2", "-F", "qcow2", "-b", &file_name(*below)];
        tools.image(lock.share()?, copy, &arguments, &[&copy.file(*above)]).await?;
    }
    Ok(())
}

/// Fails with the tool's words where a layer, or one below it, cannot be opened. Changes nothing, and needs no lock: a
/// running guest may have it open.
pub(super) async fn opens(tools: &Tools, copy: &CopyFolder, top: DiskFile) -> Result<(), Fault> {
    tools.image(Stdio::null(), copy, &["info", "-U", "--backing-chain", "-f", "qcow2"], &[&copy.file(top)]).await
}

/// Writes the content of a disk's layers into its base and removes them. A commit cut short is simply done again: they
/// cover whatever of the base is half written.
pub(super) async fn commit(tools: &Tools, lock: &CopyLock, copy: &CopyFolder, disk: DiskNumber) -> Result<(), Fault> {
    let (overlay, base) = (copy.file(DiskFile::Overlay(disk)), DiskFile::Base(disk));
    // -d: the overlay is not emptied first, so that it stays whole until the base is durable.
    let arguments = ["commit", "-q", "-d", "-f", "qcow2", "-b", &file_name(base)];
    tools.image(lock.share()?, copy, &arguments, &[&overlay]).await?;
    File::open(copy.file(base))?.sync_all()?;
    // First: without it the base is the disk.
    remove_durably(&overlay)?;
    Ok(stack::forget_frozen(copy, disk)?)
}

/// What `qemu-img info` says of an image, as far as it matters here. No file that the image names is opened for it: where it
/// says that one lies is not to be trusted.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct Described {
    pub(super) format: String,
    /// How large its disk is, bytes.
    pub(super) virtual_size: u64,
    pub(super) backing_filename: Option<String>,
    #[serde(default)]
    pub(super) encrypted: bool,
    #[serde(default)]
    pub(super) snapshots: Vec<InternalSnapshot>,
    format_specific: Option<FormatSpecific>,
}

#[derive(Debug, Deserialize)]
pub(super) struct InternalSnapshot {
    pub(super) name: String,
}

#[derive(Debug, Deserialize)]
struct FormatSpecific {
    #[serde(default)]
    data: Details,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Details {
    data_file: Option<String>,
}

impl Described {
    /// The other file that it keeps its content in, if it does.
    pub(super) fn data_file(&self) -> Option<&String> {
        self.format_specific.as_ref().and_then(|specific| specific.data.data_file.as_ref())
    }
}

impl Tools {
    /// What `qemu-img` says of a layer of a copy's disk, whoever uses it.
    pub(super) async fn describe_layer(&self, copy: &CopyFolder, layer: DiskFile) -> Result<Described, Fault> {
        let mut command = Command::new(&self.qemu_img);
        command.current_dir(copy.path()).args(["info", "-U", "--output=json", "-f", "qcow2", &file_name(layer)]);
        self.described(command).await
    }

    /// What `qemu-img` says of an image that is to be of this format and no other.
    pub(super) async fn describe(&self, image: &Path, format: &str) -> Result<Described, Fault> {
        let mut command = Command::new(&self.qemu_img);
        command.args(["info", "--output=json", "-f", format]).arg(image);
        self.described(command).await
    }

    async fn described(&self, mut command: Command) -> Result<Described, Fault> {
        command.stdin(Stdio::null());
        let said = self.said(command).await?;
        serde_json::from_slice(&said).map_err(|error| Fault::Guest(format!("qemu-img says what is not known: {error}")))
    }

    /// Where a layer of a disk, with those below it, holds data, in JSON.
    pub(super) async fn image_map(&self, copy: &CopyFolder, layer: DiskFile) -> Result<Vec<u8>, Fault> {
        let mut command = Command::new(&self.qemu_img);
        command.current_dir(copy.path()).args(["map", "--output=json", "-f", "qcow2", &file_name(layer)]);
        command.stdin(Stdio::null());
        self.said(command).await
    }

    /// Makes a layer of the disk so large or so small (bytes), durably.
    pub(super) async fn image_resize(
        &self,
        lock: Stdio,
        copy: &CopyFolder,
        layer: DiskFile,
        bytes: u64,
    ) -> Result<(), Fault> {
        let (size, name) = (bytes.to_string(), file_name(layer));
        self.image(lock, copy, &["resize", "-q", "-f", "qcow2", "--shrink", &name, &size], &[]).await?;
        Ok(File::open(copy.file(layer))?.sync_all()?)
    }

    async fn image(&self, lock: Stdio, copy: &CopyFolder, arguments: &[&str], files: &[&Path]) -> Result<(), Fault> {
        let mut command = Command::new(&self.qemu_img);
        command.current_dir(copy.path()).args(arguments).args(files).process_group(0).stdin(lock);
        self.said(command).await.map(drop)
    }

    pub(super) async fn said(&self, mut command: Command) -> Result<Vec<u8>, Fault> {
        let missing = |error| MissingTool::new(&self.qemu_img, "qemu-utils", error);
        let output = command.output().await.map_err(missing)?;
        if output.status.success() {
            return Ok(output.stdout);
        }
        Err(super::complaint(&String::from_utf8_lossy(&output.stderr)))
    }
}
