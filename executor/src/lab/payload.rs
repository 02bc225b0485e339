//! The lab's guest: a multiboot image of some nine kilobytes, built from `guest/` into this library.

use std::io;
use std::path::Path;

static PAYLOAD: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/payload.elf"));

/// Whether this build has the guest: it needs a C compiler for 32-bit x86.
pub fn is_built() -> bool {
    !PAYLOAD.is_empty()
}

/// Writes the guest's kernel to a file for QEMU to load.
///
/// # Errors
/// `Unsupported` when the guest was not built, or what the file system says.
pub fn write_to(path: &Path) -> io::Result<()> {
    if !is_built() {
        let reason = "this decant was built without its lab guest: install gcc (x86, 32-bit capable) and build again";
        return Err(io::Error::new(io::ErrorKind::Unsupported, reason));
    }
    std::fs::write(path, PAYLOAD)
}
