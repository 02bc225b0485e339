//! What a guest's QEMU may do on its host: nothing but run its guest. It is the one program here that reads what a stranger
//! writes, so it gets a filter on its system calls, and, where we are root, a user of its own.

use std::io;
use std::path::Path;

use tokio::process::Command;

use super::machine::Housed;
use crate::layout::CopyFolder;

/// Whom a guest's QEMU runs as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct User {
    id: u32,
    group: u32,
}

impl User {
    /// The user the host names for its guests, where we may start a program as somebody else.
    ///
    /// # Errors
    /// `InvalidInput` where there is no such user; a guest is then not started as somebody else instead.
    pub(super) fn of(copy: &CopyFolder) -> io::Result<Option<Self>> {
        match copy.host().user()? {
            Some(name) if rustix::process::geteuid().is_root() => Self::named(&name).map(Some),
            _ => Ok(None),
        }
    }

    fn named(name: &str) -> io::Result<Self> {
        let users = std::fs::read_to_string("/etc/passwd")?;
        let found = users.lines().find_map(|line| {
            let mut fields = line.split(':');
            let is_it = fields.next() == Some(name);
            let mut numbers = fields.skip(1).map(|field| field.parse().ok());
            is_it.then(|| Some(Self { id: numbers.next()??, group: numbers.next()?? })).flatten()
        });
        let unknown =
            || format!("there is no user {name} to run guests as: make it, or name another in the host's file `user`");
        found.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, unknown()))
    }

    /// Has QEMU run as this user, with what the guest writes to as its own. With KVM it is of the group that may use that.
    pub(super) fn applied_to(self, command: &mut Command, copy: &CopyFolder, kvm: bool) -> io::Result<()> {
        self.own_all(copy)?;
        let group = if kvm { kvm_group()?.unwrap_or(self.group) } else { self.group };
        command.uid(self.id).gid(group);
        Ok(())
    }

    /// Gives it the copy's folder, all that lies in it, and its console.
    fn own_all(self, copy: &CopyFolder) -> io::Result<()> {
        self.own(&copy.path())?;
        for entry in std::fs::read_dir(copy.path())? {
            self.own(&entry?.path())?;
        }
        // QEMU would not be let make it in the folder of all.
        std::fs::File::options().create(true).append(true).open(copy.console())?;
        self.own(&copy.console())
    }

    /// Gives it one file, not what a link leads to.
    pub(super) fn own(self, path: &Path) -> io::Result<()> {
        std::os::unix::fs::lchown(path, Some(self.id), Some(self.group))
    }
}

fn kvm_group() -> io::Result<Option<u32>> {
    let groups = std::fs::read_to_string("/etc/group")?;
    let found = groups.lines().find_map(|line| line.strip_prefix("kvm:")?.split(':').nth(1)?.parse().ok());
    Ok(found)
}

/// QEMU's own filter: no program of its own, no other rights, no other share of the machine. A bridge is reached by a program
/// that QEMU starts, so that alone is let be where a card needs it.
pub(super) fn sandbox(machine: &Housed) -> &'static str {
    if machine.needs_helper() {
        "on,obsolete=deny,elevateprivileges=allow,spawn=allow,resourcecontrol=deny"
    } else {
        "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"
    }
}
