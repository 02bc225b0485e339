//! How a guest came to be down: QEMU itself writes into its log that the power button was pressed and that the guest shut
//! itself down, so that it can be told when nobody of us is left who heard it.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::PathBuf;

use crate::hypervisor::Ending;
use crate::layout::CopyFolder;

const BUTTON: &str = "qemu_system_powerdown_request";
const SHUTDOWN: &str = "qemu_system_shutdown_request";

/// What QEMU is to write down (its softmmu/trace-events). One that was built without them writes nothing, and how its guests
/// end is unknown.
pub(super) const TRACED: [&str; 2] = [BUTTON, SHUTDOWN];

/// The reason of a shutdown that the guest asked for: `guest-shutdown` in `ShutdownCause` of QEMU's qapi/run-state.json, at
/// this place since 4.0.
const BY_GUEST: &str = "reason=6";

/// How much of a log is looked through, bytes from its end: what a QEMU says otherwise is a few lines.
const LOG_MAX: u64 = 1 << 20;

/// What QEMU says, from each start anew.
pub(super) fn log(copy: &CopyFolder) -> PathBuf {
    copy.join("qemu.log")
}

/// How the guest's last run here ended.
///
/// # Errors
/// As the file system says.
pub(super) fn of(copy: &CopyFolder) -> io::Result<Ending> {
    let mut log = match File::open(log(copy)) {
        Ok(log) => log,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Ending::Unknown),
        Err(error) => return Err(error),
    };
    let begin = log.metadata()?.len().saturating_sub(LOG_MAX);
    log.seek(SeekFrom::Start(begin))?;
    let mut said = Vec::new();
    log.take(LOG_MAX).read_to_end(&mut said)?;
    Ok(told(&String::from_utf8_lossy(&said)))
}

fn told(log: &str) -> Ending {
    let pressed = log.lines().any(|line| line.contains(BUTTON));
    let by_guest = log.lines().any(|line| line.contains(SHUTDOWN) && line.trim_end().ends_with(BY_GUEST));
    match (pressed, by_guest) {
        (false, false) => Ending::Unknown,
        (false, true) => Ending::ByUser,
        (true, true) => Ending::Obeyed,
        (true, false) => Ending::CutOff,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_that_nobody_told_to_end_was_shut_down_by_its_user() {
        assert_eq!(told(""), Ending::Unknown);
        assert_eq!(told("qemu_system_shutdown_request reason=6\n"), Ending::ByUser);
        assert_eq!(told("qemu_system_powerdown_request \nqemu_system_shutdown_request reason=6\n"), Ending::Obeyed);
        assert_eq!(told("qemu_system_powerdown_request \nqemu_system_shutdown_request reason=2\n"), Ending::CutOff);
        // By command, by a signal: whoever did that is not the guest's user.
        for reason in [2, 4] {
            assert_eq!(told(&format!("qemu_system_shutdown_request reason={reason}\n")), Ending::Unknown);
        }
    }
}
