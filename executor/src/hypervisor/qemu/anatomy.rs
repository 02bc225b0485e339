//! What a disk image is made of: whether its one file is all there is of it.
//!
//! A copy is carried file by file, and its guest is given the base as the lowest layer. An image that takes part of its
//! content from elsewhere, or keeps more in it than the disk, would arrive with holes and nobody would be told.

use decant_schema::migration::{DiskFile, DiskNumber};
use thiserror::Error;

use super::image::Described;
use super::{Fault, Tools};
use crate::layout::{CopyFolder, file_name};

/// A base that is not carried from host to host.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{file} {why}")]
pub(super) struct Uncarried {
    file: String,
    why: Why,
}

#[derive(Clone, Debug, PartialEq, Eq, Error)]
enum Why {
    #[error("is of the format {0}: convert it by `qemu-img convert -O qcow2`")]
    Format(String),
    #[error(
        "has a backing file, {0}, which would not go along: shut the guest down and make it whole by \
         `qemu-img rebase -f qcow2 -b ''`"
    )]
    Backing(String),
    #[error(
        "keeps its content in another file, {0}, which would not go along: shut the guest down and convert it by \
         `qemu-img convert -O qcow2`"
    )]
    DataFile(String),
    #[error(
        "is a symbolic link, and what it leads to would not go along: shut the guest down and put in its place what it leads \
         to, or mount that there"
    )]
    Link,
    #[error("is encrypted, and there is no way for its secret yet: leave the instance out by --pin")]
    Encrypted,
    #[error(
        "holds internal snapshots ({}), which the guest's overlay would hide: shut the guest down and remove them by \
         `qemu-img snapshot -d NAME`",
        .0.join(", ")
    )]
    Snapshots(Vec<String>),
}

/// Fails with [`Uncarried`] unless the one file of the base of a disk is the whole disk. The image may be in use.
pub(super) async fn is_whole(tools: &Tools, copy: &CopyFolder, disk: DiskNumber) -> Result<(), Fault> {
    let base = DiskFile::Base(disk);
    for path in [copy.path(), copy.file(base)] {
        if path.symlink_metadata()?.is_symlink() {
            return Err(Uncarried { file: path.display().to_string(), why: Why::Link }.into());
        }
    }
    let image = tools.describe_layer(copy, base).await?;
    Ok(judge(image).map_err(|why| Uncarried { file: file_name(base), why })?)
}

fn judge(image: Described) -> Result<(), Why> {
    if image.format != "qcow2" {
        return Err(Why::Format(image.format));
    }
    if let Some(data) = image.data_file() {
        return Err(Why::DataFile(data.clone()));
    }
    if let Some(backing) = image.backing_filename {
        return Err(Why::Backing(backing));
    }
    if image.encrypted {
        return Err(Why::Encrypted);
    }
    if image.snapshots.is_empty() {
        return Ok(());
    }
    Err(Why::Snapshots(image.snapshots.into_iter().map(|snapshot| snapshot.name).collect()))
}
