//! Whether the kernel really runs guests here (KVM). The device may be there, be opened and say that all is well, and no guest
//! gets beyond its firmware; so a guest is started that does nothing but end, as the first program on a disk.

use std::io::{self, Read, Write};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::Tools;
use super::lock::RETRY;

/// The longest that this guest may take: translated, which is far slower, it takes less than half a second.
const PROBE_MAX: Duration = Duration::from_secs(5);

/// How often it must end well in a row: inside of another machine KVM was seen to run one guest in ten.
const ROUNDS: u32 = 3;

/// It waits for four ticks of the BIOS's clock, so that interrupts are part of what is tried, and tells QEMU to end.
///
/// ```text
///       sti; mov ah, 0; int 0x1a; mov bx, dx
/// wait: hlt; mov ah, 0; int 0x1a; sub dx, bx; cmp dx, 4; jb wait
///       mov al, 0x10; out 0xf4, al
/// end:  hlt; jmp end
/// ```
const PROGRAM: [u8; 26] = [
    0xFB, 0xB4, 0x00, 0xCD, 0x1A, 0x89, 0xD3, 0xF4, 0xB4, 0x00, 0xCD, 0x1A, 0x29, 0xDA, 0x83, 0xFA, 0x04, 0x72, 0xF4,
    0xB0, 0x10, 0xE6, 0xF4, 0xF4, 0xEB, 0xFD,
];

/// What QEMU's `isa-debug-exit` makes of 0x10: twice that and one.
const ENDED_AS_TOLD: i32 = 33;

const SECTOR: usize = 512;

/// Starts the guest, several times; fails with why it did not run.
///
/// # Errors
/// Why the kernel does not run guests here, in words.
pub fn kvm(tools: &Tools) -> Result<(), String> {
    (0..ROUNDS).try_for_each(|_| once(tools))
}

fn once(tools: &Tools) -> Result<(), String> {
    let disk = boot_disk().map_err(|error| format!("a disk for a guest to try it cannot be made: {error}"))?;
    let mut command = Command::new(&tools.qemu);
    command.args(["-accel", "kvm", "-machine", "pc", "-m", "8", "-nodefaults", "-no-user-config", "-display", "none"]);
    command.args([
        "-device",
        "isa-debug-exit,iobase=0xf4,iosize=4",
        "-device",
        "virtio-blk-pci,drive=disk",
        "-blockdev",
    ]);
    let file = serde_json::json!({ "driver": "file", "filename": disk.path() });
    command.arg(serde_json::json!({ "driver": "raw", "node-name": "disk", "file": file }).to_string());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut guest = command.spawn().map_err(|error| format!("{} cannot be run: {error}", tools.qemu.display()))?;
    match ended(&mut guest) {
        Ok(Some(status)) if status.code() == Some(ENDED_AS_TOLD) => Ok(()),
        Ok(Some(_)) => Err(last_words(&mut guest)),
        Ok(None) => Err(format!("a guest was started with it, and executed nothing for {} s", PROBE_MAX.as_secs())),
        Err(error) => Err(error.to_string()),
    }
}

/// A disk with the program where a BIOS looks for it.
fn boot_disk() -> io::Result<tempfile::NamedTempFile> {
    let mut sector = [0; SECTOR];
    sector[..PROGRAM.len()].copy_from_slice(&PROGRAM);
    sector[SECTOR - 2..].copy_from_slice(&[0x55, 0xAA]);
    let mut disk = tempfile::NamedTempFile::new()?;
    disk.write_all(&sector)?;
    // A BIOS takes no disk of one sector.
    disk.as_file().set_len(1 << 20)?;
    Ok(disk)
}

/// How it ended; none: it did not by itself, and does not run any more.
fn ended(guest: &mut Child) -> io::Result<Option<ExitStatus>> {
    let end = Instant::now() + PROBE_MAX;
    loop {
        match guest.try_wait()? {
            None if Instant::now() < end => sleep(RETRY),
            None => {
                guest.kill()?;
                guest.wait()?;
                return Ok(None);
            }
            ended => return Ok(ended),
        }
    }
}

fn last_words(guest: &mut Child) -> String {
    let mut said = String::new();
    // Without words there is only the fact.
    let _unsaid = guest.stderr.take().map(|mut words| words.read_to_string(&mut said));
    if said.trim().is_empty() { "QEMU ended without a word".to_owned() } else { said.trim().replace('\n', "; ") }
}
