//! What a disk consists of on its host: a base, the frozen layers above it, and the overlay its guest writes to.
//!
//! The files alone tell which: without an overlay the base is the disk, and a frozen layer left beside it holds only what the
//! base holds too. With one, every frozen layer there is lies beneath it, in the order of their numbers.

use std::io;
use std::io::ErrorKind::{PermissionDenied, Unsupported};
use std::os::unix::fs::MetadataExt;

use decant_schema::migration::{DiskFile, DiskNumber, LayerNumber};

use super::{Fault, Tools};
use crate::layout::{CopyFolder, file_name, remove_durably, sync_folder_of, verified_note};

/// The layers of a disk as they lie in its copy's folder, the base first.
pub(super) fn of(copy: &CopyFolder, disk: DiskNumber) -> io::Result<Vec<DiskFile>> {
    let overlay = DiskFile::Overlay(disk);
    let inode = |file| match copy.file(file).metadata() {
        Ok(there) => Ok(Some(there.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    };
    let mut layers = vec![DiskFile::Base(disk)];
    let Some(top) = inode(overlay)? else { return Ok(layers) };
    for layer in all(disk) {
        // The overlay itself under a second name is one that was to be frozen: nothing is above it yet.
        if inode(layer)?.is_some_and(|frozen| frozen != top) {
            layers.push(layer);
        }
    }
    layers.push(overlay);
    Ok(layers)
}

/// The frozen layers above the base of a disk, the lowest first.
pub(super) fn frozen(copy: &CopyFolder, disk: DiskNumber) -> io::Result<Vec<DiskFile>> {
    let layers = of(copy, disk)?;
    Ok(layers.into_iter().filter(|layer| matches!(layer, DiskFile::Layer(..))).collect())
}

/// The layer its guest writes to.
pub(super) fn top(copy: &CopyFolder, disk: DiskNumber) -> DiskFile {
    let overlay = DiskFile::Overlay(disk);
    if copy.file(overlay).exists() { overlay } else { DiskFile::Base(disk) }
}

/// What a layer is called in its QEMU: by its place above the base, since its file is renamed while it is in use.
pub(super) fn node_at(disk: DiskNumber, place: usize) -> Option<DiskFile> {
    match u8::try_from(place).ok()? {
        0 => Some(DiskFile::Base(disk)),
        1 => Some(DiskFile::Overlay(disk)),
        place => LayerNumber::new(place - 1).map(|layer| DiskFile::Layer(disk, layer)),
    }
}

/// The place above its base of a layer that QEMU calls so.
pub(super) fn place_of(node: DiskFile) -> usize {
    let disk = match node {
        DiskFile::Base(disk) | DiskFile::Layer(disk, _) | DiskFile::Overlay(disk) => disk,
        DiskFile::Memory | DiskFile::Machine => return 0,
    };
    (0..=usize::from(LayerNumber::MAX) + 1).find(|place| node_at(disk, *place) == Some(node)).unwrap_or_default()
}

/// Gives the overlay of a disk the name of the next layer too, if there may be one more, and returns that. Once another overlay has
/// taken its first name, it is frozen: what has it open writes on to the layer meanwhile. Cut anywhere, it is whole.
pub(super) fn begin_freezing(copy: &CopyFolder, disk: DiskNumber) -> io::Result<Option<DiskFile>> {
    let last = frozen(copy, disk)?.last().copied();
    let mut free = all(disk).skip_while(|layer| last.is_some_and(|last| *layer <= last));
    let Some(next) = free.next() else { return Ok(None) };
    let overlay = copy.file(DiskFile::Overlay(disk));
    // It may have that name already, of a try that was cut.
    remove_durably(&copy.file(next))?;
    match std::fs::hard_link(&overlay, copy.file(next)) {
        // A storage where a file has one name only: what is written there is copied when the guest stands still.
        Err(error) if matches!(error.kind(), Unsupported | PermissionDenied) => return Ok(None),
        linked => linked?,
    }
    sync_folder_of(&overlay)?;
    Ok(Some(next))
}

/// Removes what was frozen of a disk that consists of its base alone: the next overlay is none above it.
pub(super) fn forget_frozen(copy: &CopyFolder, disk: DiskNumber) -> io::Result<()> {
    if copy.file(DiskFile::Overlay(disk)).exists() {
        return Ok(());
    }
    all(disk).map(|layer| copy.file(layer)).try_for_each(|file| {
        remove_durably(&file)?;
        remove_durably(&verified_note(&file))
    })
}

/// Fails where a layer is not the one that the layer above it was written over.
pub(super) async fn is_whole(tools: &Tools, copy: &CopyFolder, disk: DiskNumber) -> Result<(), Fault> {
    for pair in of(copy, disk)?.windows(2) {
        let [below, above] = pair else { continue };
        let over = tools.describe_layer(copy, *above).await?.backing_filename;
        if over.as_deref() != Some(&file_name(*below)) {
            let over = over.unwrap_or_else(|| "nothing".to_owned());
            return Err(Fault::Guest(format!("its {above} was written over {over}, and over the {below} lies there")));
        }
    }
    Ok(())
}

fn all(disk: DiskNumber) -> impl Iterator<Item = DiskFile> {
    LayerNumber::all().map(move |layer| DiskFile::Layer(disk, layer))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::hypervisor::qemu::scripted::copy;

    const DISK: DiskNumber = DiskNumber::FIRST;

    fn write(copy: &CopyFolder, file: DiskFile, text: &str) {
        std::fs::write(copy.file(file), text).unwrap();
    }

    fn layer(number: u8) -> DiskFile {
        DiskFile::Layer(DISK, LayerNumber::new(number).unwrap())
    }

    #[test]
    fn an_overlay_is_whole_wherever_freezing_it_is_cut() {
        let folder = tempfile::tempdir().unwrap();
        let copy = copy(folder.path());
        write(&copy, DiskFile::OVERLAY, "first");
        for (number, text) in [(1, "second"), (2, "third")] {
            let before = of(&copy, DISK).unwrap();
            assert_eq!(begin_freezing(&copy, DISK).unwrap(), Some(layer(number)));
            assert_eq!(of(&copy, DISK).unwrap(), before, "it lies there once");
            assert_eq!(begin_freezing(&copy, DISK).unwrap(), Some(layer(number)), "the cut try is taken up");
            std::fs::write(copy.join("fresh"), text).unwrap();
            std::fs::rename(copy.join("fresh"), copy.file(DiskFile::OVERLAY)).unwrap();
            assert_eq!(frozen(&copy, DISK).unwrap().last(), Some(&layer(number)));
        }
        let layers = of(&copy, DISK).unwrap();
        let texts: Vec<String> =
            layers[1..].iter().map(|layer| std::fs::read_to_string(copy.file(*layer)).unwrap()).collect();
        assert_eq!(texts, ["first", "second", "third"]);
        forget_frozen(&copy, DISK).unwrap();
        assert_eq!(of(&copy, DISK).unwrap(), layers, "they lie beneath an overlay");
        std::fs::remove_file(copy.file(DiskFile::OVERLAY)).unwrap();
        assert_eq!(of(&copy, DISK).unwrap(), [DiskFile::BASE]);
        forget_frozen(&copy, DISK).unwrap();
        assert!(!copy.file(layer(1)).exists() && !copy.file(layer(2)).exists());
    }

    #[test]
    fn there_are_no_more_layers_than_have_names() {
        let folder = tempfile::tempdir().unwrap();
        let copy = copy(folder.path());
        write(&copy, DiskFile::OVERLAY, "");
        for number in 1..=LayerNumber::MAX {
            write(&copy, layer(number), "");
        }
        assert_eq!(begin_freezing(&copy, DISK).unwrap(), None);
        let layers = of(&copy, DISK).unwrap();
        for place in 0..layers.len() {
            assert_eq!(place_of(node_at(DISK, place).unwrap()), place);
        }
        assert_eq!(node_at(DISK, layers.len()), None);
    }
}
