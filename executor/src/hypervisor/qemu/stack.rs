//! What a disk consists of on its host: a base, the frozen layers above it, and the overlay its guest writes to.
//!
//! The files alone tell which. Without an overlay the base is the disk, and a layer left beside it holds only what the base holds
//! too. The overlay is known by that name and has a layer's number as a second one, by which QEMU opens it: QEMU opens a file
//! again by the name it knows when that is frozen, so no name may change under it. The layers with lower numbers lie beneath.
//! An overlay that arrived from elsewhere has no number, and every layer there is lies beneath it.

use std::io;
use std::io::ErrorKind::{NotFound, PermissionDenied, Unsupported};
use std::os::unix::fs::MetadataExt;

use decant_schema::migration::{DiskFile, DiskNumber, LayerNumber};

use super::{Fault, Tools};
use crate::layout::{CopyFolder, file_name, remove_durably, rename_durably, verified_note, with_ending};

/// The layers of a disk as they lie in its copy's folder, the base first.
pub(super) fn of(copy: &CopyFolder, disk: DiskNumber) -> io::Result<Vec<DiskFile>> {
    let (base, overlay) = (DiskFile::Base(disk), DiskFile::Overlay(disk));
    if inode(copy, overlay)?.is_none() {
        return Ok(vec![base]);
    }
    let mut layers = vec![base];
    let top = opened_as(copy, overlay)?;
    for layer in all(disk) {
        if layer == top {
            break;
        }
        if inode(copy, layer)?.is_some() {
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

/// The name by which QEMU opens a layer: of an overlay that which has its number, if it has one.
pub(super) fn opened_as(copy: &CopyFolder, layer: DiskFile) -> io::Result<DiskFile> {
    let DiskFile::Overlay(disk) = layer else { return Ok(layer) };
    let overlay = inode(copy, layer)?;
    for layer in all(disk) {
        if overlay.is_some() && inode(copy, layer)? == overlay {
            return Ok(layer);
        }
    }
    Ok(layer)
}

/// What the next overlay of a disk is to be called by QEMU, and over which layer it is to be made: none where there may be no
/// more, or the present one has no number.
pub(super) fn next(copy: &CopyFolder, disk: DiskNumber) -> io::Result<Option<(DiskFile, DiskFile)>> {
    let below = opened_as(copy, top(copy, disk))?;
    let next = match below {
        DiskFile::Base(_) => all(disk).next(),
        DiskFile::Layer(..) => all(disk).find(|layer| *layer > below),
        _ => None,
    };
    Ok(next.map(|next| (next, below)))
}

/// Makes a layer the overlay of its disk, in one step. Whether it has both names then: a storage may know only one for a file,
/// and then there is no second overlay.
pub(super) fn put_on_top(copy: &CopyFolder, disk: DiskNumber, layer: DiskFile) -> io::Result<bool> {
    let (layer, overlay) = (copy.file(layer), copy.file(DiskFile::Overlay(disk)));
    let second = with_ending(&overlay, "second");
    remove_durably(&second)?;
    match std::fs::hard_link(&layer, &second) {
        Err(error) if matches!(error.kind(), Unsupported | PermissionDenied) => {
            if overlay.exists() {
                remove_durably(&layer)?
            } else {
                rename_durably(&layer, &overlay)?
            };
            Ok(false)
        }
        linked => {
            linked?;
            rename_durably(&second, &overlay)?;
            Ok(true)
        }
    }
}

/// What a layer is called in its QEMU: by its place above the base.
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

/// Removes what is left of the layers of a disk that consists of its base alone: the next overlay is above none of them.
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

fn inode(copy: &CopyFolder, layer: DiskFile) -> io::Result<Option<u64>> {
    match copy.file(layer).metadata() {
        Ok(there) => Ok(Some(there.ino())),
        Err(error) if error.kind() == NotFound => Ok(None),
        Err(error) => Err(error),
    }
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
    fn the_files_tell_what_lies_beneath_an_overlay_wherever_its_making_is_cut() {
        let folder = tempfile::tempdir().unwrap();
        let copy = copy(folder.path());
        let mut layers = vec![DiskFile::BASE];
        for (number, text) in [(1, "first"), (2, "second"), (3, "third")] {
            let below = if number == 1 { DiskFile::BASE } else { layer(number - 1) };
            assert_eq!(next(&copy, DISK).unwrap(), Some((layer(number), below)));
            write(&copy, layer(number), text);
            assert_eq!(of(&copy, DISK).unwrap(), layers, "it is above nothing yet");
            assert!(put_on_top(&copy, DISK, layer(number)).unwrap());
            layers.retain(|layer| *layer != DiskFile::OVERLAY);
            layers.extend((number > 1).then(|| layer(number - 1)));
            layers.push(DiskFile::OVERLAY);
            assert_eq!(of(&copy, DISK).unwrap(), layers);
            assert_eq!(opened_as(&copy, DiskFile::OVERLAY).unwrap(), layer(number));
        }
        let text = |layer: &DiskFile| std::fs::read_to_string(copy.file(*layer)).unwrap();
        assert_eq!(layers[1..].iter().map(text).collect::<Vec<_>>(), ["first", "second", "third"]);
        forget_frozen(&copy, DISK).unwrap();
        assert_eq!(of(&copy, DISK).unwrap(), layers, "they lie beneath an overlay");
        std::fs::remove_file(copy.file(DiskFile::OVERLAY)).unwrap();
        assert_eq!(of(&copy, DISK).unwrap(), [DiskFile::BASE]);
        forget_frozen(&copy, DISK).unwrap();
        assert!((1..=3).all(|number| !copy.file(layer(number)).exists()));
    }

    #[test]
    fn an_overlay_that_arrived_lies_above_every_layer_that_did() {
        let folder = tempfile::tempdir().unwrap();
        let copy = copy(folder.path());
        write(&copy, DiskFile::OVERLAY, "");
        for number in 1..=LayerNumber::MAX {
            write(&copy, layer(number), "");
        }
        let layers = of(&copy, DISK).unwrap();
        assert_eq!(layers.len(), usize::from(LayerNumber::MAX) + 2);
        assert_eq!(opened_as(&copy, DiskFile::OVERLAY).unwrap(), DiskFile::OVERLAY);
        assert_eq!(next(&copy, DISK).unwrap(), None, "it would change its name while it is open");
        for place in 0..layers.len() {
            assert_eq!(place_of(node_at(DISK, place).unwrap()), place);
        }
        assert_eq!(node_at(DISK, layers.len()), None);
    }

    #[test]
    fn there_are_no_more_overlays_than_have_numbers() {
        let folder = tempfile::tempdir().unwrap();
        let copy = copy(folder.path());
        write(&copy, layer(LayerNumber::MAX), "");
        assert!(put_on_top(&copy, DISK, layer(LayerNumber::MAX)).unwrap());
        assert_eq!(next(&copy, DISK).unwrap(), None);
    }
}
