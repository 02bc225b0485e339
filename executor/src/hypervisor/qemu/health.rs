//! Whether a copy can be relied on: its files by their names and by reading them, its guest by QEMU's word and by the sign
//! of life it is known by.
//!
//! A file that was removed while QEMU had it open is gone with QEMU, so files are looked for by name.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::time::Duration;

use decant_schema::fleet::Heartbeat;
use decant_schema::migration::{DiskFile, DiskNumber};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::definition::Definition;
use super::guest::Activity;
use super::process::{Presence, look};
use super::{Fault, Tools, agent, executed, image, stack};
use crate::hypervisor::Health;
use crate::layout::CopyFolder;

/// How long a port may take to accept: a machine on the same network takes milliseconds.
const CONNECT_MAX: Duration = Duration::from_secs(2);

/// How much of a console is looked through, bytes from its end: enough for the boot of any system, and no more than memory
/// holds easily.
const CONSOLE_MAX: u64 = 16 << 20;

/// Looks at all of it.
pub(super) async fn examine(tools: &Tools, copy: &CopyFolder, heartbeat: Option<&Heartbeat>) -> Result<Health, Fault> {
    let presence = look(copy).await?;
    let mut lacking = None;
    for disk in Definition::disks_of(copy)? {
        lacking = lacking.or(disk_lacks(tools, copy, disk).await?);
    }
    let guest = match presence {
        Presence::Down(_lock) => Some("it is down".to_owned()),
        Presence::Up(mut qmp) => match qmp.activity().await? {
            Activity::Running => None,
            _ => Some(format!("it is in the state `{}`", qmp.run_state().await?)),
        },
    };
    let heartbeat = match heartbeat {
        Some(Heartbeat::Console { contains }) => unless_said(copy, contains)?,
        Some(Heartbeat::Tcp { address }) => match timeout(CONNECT_MAX, TcpStream::connect(address)).await {
            Ok(Ok(_)) => None,
            Ok(Err(error)) => Some(format!("{address} does not accept: {error}")),
            Err(_) => Some(format!("{address} does not answer")),
        },
        Some(Heartbeat::Agent) => agent::silence(copy).await,
        None => None,
    };
    Ok(Health { disk: lacking, guest, heartbeat })
}

/// What a disk lacks.
async fn disk_lacks(tools: &Tools, copy: &CopyFolder, disk: DiskNumber) -> Result<Option<String>, Fault> {
    let base = DiskFile::Base(disk);
    if !copy.file(base).exists() {
        return Ok(Some(format!("its {base} is not there")));
    }
    match image::opens(tools, copy, stack::top(copy, disk)).await {
        Ok(()) => Ok(None),
        Err(Fault::Guest(words)) => Ok(Some(words)),
        Err(fault) => Err(fault),
    }
}

/// Why the sign was not seen on the console since the instance was last started here for a migration.
fn unless_said(copy: &CopyFolder, wanted: &str) -> Result<Option<String>, Fault> {
    let unseen = || Some(format!("its console has not said `{wanted}` since it started"));
    let mut console = match File::open(copy.console()) {
        Ok(console) => console,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(unseen()),
        Err(error) => return Err(error.into()),
    };
    let end = console.metadata()?.len();
    let begin = executed::read(copy)?.said.max(end.saturating_sub(CONSOLE_MAX));
    console.seek(SeekFrom::Start(begin))?;
    let mut said = Vec::new();
    console.take(CONSOLE_MAX).read_to_end(&mut said)?;
    Ok(if String::from_utf8_lossy(&said).contains(wanted) { None } else { unseen() })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::layout::{HostFolder, write_durably};
    use decant_schema::migration::Generation;

    #[test]
    fn what_the_console_said_before_the_start_is_no_sign_of_life() {
        let folder = tempfile::tempdir().unwrap();
        let copy = HostFolder::new(folder.path()).copy(&"vm".into()).unwrap();
        assert!(unless_said(&copy, "login:").unwrap().is_some(), "there is no console yet");
        write_durably(&copy.console(), b"old login:\n").unwrap();
        executed::mark(&copy, Generation(7)).unwrap();
        let unseen = unless_said(&copy, "login:").unwrap().unwrap();
        assert_eq!(unseen, "its console has not said `login:` since it started");
        write_durably(&copy.console(), b"old login:\nnew login:\n").unwrap();
        assert_eq!(unless_said(&copy, "login:").unwrap(), None);
    }
}
