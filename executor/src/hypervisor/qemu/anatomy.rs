//! What a disk image is made of: whether its one file is all there is of it.
//!
//! A copy is carried file by file, and its guest is given the base as the lowest layer. An image that takes part of its
//! content from elsewhere, or keeps more in it than the disk, would arrive with holes and nobody would be told.

use decant_schema::migration::DiskFile;
use thiserror::Error;

use super::image::Described;
use super::{Fault, Tools};
use crate::layout::CopyFolder;

/// Why an image is not carried from host to host.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(super) enum Uncarried {
    #[error("the base is of the format {0}: convert it by `qemu-img convert -O qcow2`")]
    Format(String),
    #[error(
        "the base has a backing file, {0}, which would not go along: shut the guest down and make the base whole by \
         `qemu-img rebase -f qcow2 -b '' base.qcow2`"
    )]
    Backing(String),
    #[error(
        "the base keeps its content in another file, {0}, which would not go along: shut the guest down and convert the \
         base by `qemu-img convert -O qcow2`"
    )]
    DataFile(String),
    #[error(
        "{0} is a symbolic link, and what it leads to would not go along: shut the guest down and put in its place what it \
         leads to, or mount that there"
    )]
    Link(String),
    #[error("the base is encrypted, and there is no way for its secret yet: leave the instance out by --pin")]
    Encrypted,
    #[error(
        "the base holds internal snapshots ({}), which the guest's overlay would hide: shut the guest down and remove \
         them by `qemu-img snapshot -d NAME base.qcow2`",
        .0.join(", ")
    )]
    Snapshots(Vec<String>),
}

/// Fails with [`Fault::Uncarried`] unless the base's one file is the whole disk. The image may be in use.
pub(super) async fn is_whole(tools: &Tools, copy: &CopyFolder) -> Result<(), Fault> {
    are_no_links(copy)?;
    Ok(judge(tools.describe_layer(copy, DiskFile::Base).await?)?)
}

fn are_no_links(copy: &CopyFolder) -> Result<(), Fault> {
    for path in [copy.path(), copy.file(DiskFile::Base)] {
        if path.symlink_metadata()?.is_symlink() {
            return Err(Uncarried::Link(path.display().to_string()).into());
        }
    }
    Ok(())
}

fn judge(image: Described) -> Result<(), Uncarried> {
    if image.format != "qcow2" {
        return Err(Uncarried::Format(image.format));
    }
    if let Some(data) = image.data_file() {
        return Err(Uncarried::DataFile(data.clone()));
    }
    if let Some(backing) = image.backing_filename {
        return Err(Uncarried::Backing(backing));
    }
    if image.encrypted {
        return Err(Uncarried::Encrypted);
    }
    if image.snapshots.is_empty() {
        return Ok(());
    }
    Err(Uncarried::Snapshots(image.snapshots.into_iter().map(|snapshot| snapshot.name).collect()))
}
