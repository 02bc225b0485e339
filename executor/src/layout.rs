//! Where a host keeps its copies of instances: the one place that turns an id into paths.
//!
//! ```text
//! <root>/instances/<id>/   base.qcow2, overlay.qcow2, memory, machine.json, definition.json; promised while it moves; qmp.sock and qemu.log while it runs
//!                          of a second disk base-2.qcow2, overlay-2.qcow2, and so on
//! <root>/consoles/<id>.log what the guest said on its serial line; only ever appended to, outlives the copy
//! <root>/fences/<id>       the generation last obeyed; outlives the copy
//! <root>/executed/<id>     the migration for which it last executed here; outlives the copy
//! <root>/locks/<id>        locked by whatever process works on the copy: QEMU itself, an image tool, or the agent
//! <root>/discarded/<id>.N/ copies that an undo put aside
//! <root>/host              says that the folder is a host's: its storage is there
//! <root>/store             the store whose conductor has this host, and which of its lives used it last
//! <root>/spare/            files whose blocks are allocated: what replaces a fence or the mark where the disk is full
//! <root>/kernel            where there is one, guests that name no kernel are started with it instead of what their disk holds
//! <root>/kernels/          kernels and their first file systems, which a guest's machine may name
//! <root>/firmware/         UEFI firmware, which a guest's machine may name
//! <root>/user              whom guests run as, where decant runs as root
//! <root>/kvm               whether a guest ran by the processor (KVM) in this life of the machine
//! <root>/interfaces        the bridges and tap interfaces a guest's machine may name, one a line
//! ```
//!
//! An id comes from a document, so it is checked before it becomes part of a path. What must survive a crash is
//! written under another name, made durable, and renamed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use decant_schema::id::{HostName, InstanceId};
use decant_schema::migration::DiskFile;
use decant_schema::units::{Mib, mib};

use crate::mark::{Claimant, Foreign, Owner};
use crate::room::Room;
use crate::spare::Spares;

/// The longest id that becomes a file name: leaves room for the endings within the usual 255 bytes.
const ID_BYTES_MAX: usize = 200;

/// Where a guest's serial line can be attached to, in its copy's folder, if its machine says so.
pub(crate) const CONSOLE_SOCKET: &str = "console.sock";

/// Divides a name made from an id from what is added to it, where ids stand side by side: none contains it, so no
/// addition makes one instance's name another's.
pub(crate) const DIVIDER: char = '~';

/// The folder of one host.
#[derive(Clone, Debug)]
pub struct HostFolder {
    root: PathBuf,
}

impl HostFolder {
    /// The folder at `root`; a host's once it was added.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The folder a host has in `root`, by its name.
    ///
    /// # Errors
    /// `InvalidInput` when the host's name cannot be a folder's name.
    pub fn within(root: &Path, host: &HostName) -> io::Result<Self> {
        Ok(Self::new(root.join(plain_name(host.as_str())?)))
    }

    /// Where the host's guests say what they have to say, one `<id>.log` each.
    pub fn consoles(&self) -> PathBuf {
        self.root.join("consoles")
    }

    /// The kernel the host's guests are started with, if it has one.
    pub fn kernel(&self) -> PathBuf {
        self.root.join("kernel")
    }

    /// A kernel, or a first file system, of the host's list.
    ///
    /// # Errors
    /// `InvalidInput` when the name cannot be a file's, else as the file system says.
    pub fn listed_kernel(&self, name: &str) -> io::Result<PathBuf> {
        listed(&self.root.join("kernels"), name)
    }

    /// A UEFI firmware of the host's list.
    ///
    /// # Errors
    /// `InvalidInput` when the name cannot be a file's, else as the file system says.
    pub fn listed_firmware(&self, name: &str) -> io::Result<PathBuf> {
        listed(&self.root.join("firmware"), name)
    }

    /// Whom guests run as, where decant runs as root; none: as root.
    ///
    /// # Errors
    /// As the file system says.
    pub fn user(&self) -> io::Result<Option<String>> {
        match std::fs::read_to_string(self.root.join("user")) {
            Ok(name) => Ok(Some(name.trim().to_owned()).filter(|name| !name.is_empty())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The note whether guests run by the processor.
    pub(crate) fn kvm_note(&self) -> PathBuf {
        self.root.join("kvm")
    }

    /// The host's list of bridges and tap interfaces.
    pub fn interfaces(&self) -> PathBuf {
        self.root.join("interfaces")
    }

    /// The bridges and tap interfaces that guests may be plugged into.
    ///
    /// # Errors
    /// As the file system says.
    pub fn listed_interfaces(&self) -> io::Result<Vec<String>> {
        match std::fs::read_to_string(self.interfaces()) {
            Ok(text) => Ok(text.lines().map(|line| line.trim().to_owned()).filter(|line| !line.is_empty()).collect()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// The mark of the store whose conductor has this host.
    pub fn mark(&self) -> PathBuf {
        self.root.join("store")
    }

    /// Marks the host as this store's, in its present life, unless it is another's.
    ///
    /// # Errors
    /// As the file system says.
    pub fn mark_for(&self, claimant: &Claimant) -> io::Result<Result<(), Foreign>> {
        let mark = self.mark();
        make_parent(&mark)?;
        // Of two that come at once, one is first and the other sees whose the host is.
        let alone = File::open(&self.root)?;
        alone.lock()?;
        if let Err(foreign) = self.judge(claimant)? {
            return Ok(Err(foreign));
        }
        self.spares().write(&mark, claimant.owner.to_text().as_bytes())?;
        Ok(Ok(()))
    }

    /// Whether the host is this claimant's, or nobody's yet.
    ///
    /// # Errors
    /// Where its mark cannot be read.
    pub fn judge(&self, claimant: &Claimant) -> io::Result<Result<(), Foreign>> {
        Ok(self.owner()?.map_or(Ok(()), |owner| claimant.judge(&owner)))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// What says that the folder is a host's: it was added, and its storage is there.
    pub fn badge(&self) -> PathBuf {
        self.root.join("host")
    }

    /// Makes the folder a host's. Done once, by a person: a folder that is not there later is one whose storage is not
    /// mounted, and nothing makes it anew.
    ///
    /// # Errors
    /// As the file system says.
    pub fn add(&self, name: &HostName) -> io::Result<()> {
        write_durably(&self.badge(), format!("{name}\n").as_bytes())?;
        self.prepare()
    }

    /// Whether the folder is a host's: it was added, or a store used it before hosts were added.
    pub fn is_added(&self) -> bool {
        self.badge().exists() || self.mark().exists()
    }

    /// The name it was added by; none where it was not, or a store used it before hosts were added.
    ///
    /// # Errors
    /// As the file system says.
    pub fn added_as(&self) -> io::Result<Option<HostName>> {
        match std::fs::read_to_string(self.badge()) {
            Ok(name) => Ok(Some(HostName::new(name.trim_end()))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Every host's folder in `root`, by name.
    ///
    /// # Errors
    /// As the file system says.
    pub fn all_within(root: &Path) -> io::Result<BTreeMap<String, Self>> {
        let entries = std::fs::read_dir(root)?.filter_map(Result::ok);
        let named = entries.filter_map(|entry| Some((entry.file_name().into_string().ok()?, Self::new(entry.path()))));
        Ok(named.filter(|(_, folder)| folder.is_added()).collect())
    }

    /// The room of the storage it is on: what is free, and how much of that no copy takes.
    ///
    /// # Errors
    /// As the file system says.
    pub fn room(&self) -> io::Result<(Mib, Mib)> {
        let room = Room::at(&self.root)?;
        Ok((mib(room.free >> 20), mib(room.reserve >> 20)))
    }

    /// How large the storage it is on is.
    ///
    /// # Errors
    /// As the file system says.
    pub fn storage_size(&self) -> io::Result<Mib> {
        let storage = rustix::fs::statvfs(&self.root)?;
        Ok(mib(storage.f_blocks.saturating_mul(storage.f_frsize) >> 20))
    }

    /// The instances of which something is here, by their ids.
    ///
    /// # Errors
    /// As the file system says.
    pub fn instances(&self) -> io::Result<Vec<InstanceId>> {
        Ok(self.copies()?.into_iter().map(|copy| InstanceId::new(copy.id)).collect())
    }

    /// Makes what recording a way back needs, while there is room for it: the folders, and files to be replaced.
    ///
    /// # Errors
    /// As the file system says. A full disk is none of these: what is missing is made when there is room again.
    pub fn prepare(&self) -> io::Result<()> {
        let folders = ["instances", "consoles", "fences", "locks", "discarded"].iter();
        let made = folders.map(|name| self.root.join(name)).try_for_each(|folder| make_folder(&folder));
        match made.and_then(|()| self.spares().stock()) {
            Err(full) if full.kind() == io::ErrorKind::StorageFull => Ok(()),
            made => made,
        }
    }

    fn spares(&self) -> Spares {
        Spares::within(&self.root)
    }

    /// The instances of which something is here.
    ///
    /// # Errors
    /// As the file system says.
    pub(crate) fn copies(&self) -> io::Result<Vec<CopyFolder>> {
        let entries = match std::fs::read_dir(self.root.join("instances")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut copies: Vec<_> = names.filter_map(|name| self.copy(&InstanceId::new(name)).ok()).collect();
        copies.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(copies)
    }

    /// The copies that were put aside here: the instance, its number, and where.
    ///
    /// # Errors
    /// As the file system says.
    pub(crate) fn discarded(&self) -> io::Result<Vec<(InstanceId, u32, PathBuf)>> {
        let entries = match std::fs::read_dir(self.root.join("discarded")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let paths: Vec<PathBuf> = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
        Ok(paths.into_iter().filter_map(named_discarded).collect())
    }

    /// Whose the host is; none if no store ever used it.
    ///
    /// # Errors
    /// As the file system says.
    pub fn owner(&self) -> io::Result<Option<Owner>> {
        match std::fs::read_to_string(self.mark()) {
            Ok(text) => Owner::from_text(&text).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The places of one instance.
    ///
    /// # Errors
    /// `InvalidInput` when the id cannot be a file name.
    pub fn copy(&self, instance: &InstanceId) -> io::Result<CopyFolder> {
        let id = plain_name(instance.as_str())?.to_owned();
        Ok(CopyFolder { root: self.root.clone(), id })
    }
}

/// Whose copy a folder is that was put aside, as [`CopyFolder::next_discarded`] names it.
fn named_discarded(path: PathBuf) -> Option<(InstanceId, u32, PathBuf)> {
    let (id, number) = path.file_name()?.to_str()?.rsplit_once('.')?;
    let (id, number) = (InstanceId::new(id), number.parse().ok()?);
    path.is_dir().then_some((id, number, path))
}

/// The name, if it stays where it is put when it becomes part of a path.
fn plain_name(name: &str) -> io::Result<&str> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    if name.is_empty() || name.len() > ID_BYTES_MAX || name.starts_with(['.', '-']) || !name.bytes().all(plain) {
        let reason =
            format!("`{name}` cannot name files: letters, digits, `-`, `_` and `.` can, at most {ID_BYTES_MAX}");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
    }
    Ok(name)
}

/// A file of a list that is a folder. What its administrator put there may be a link to elsewhere.
fn listed(folder: &Path, name: &str) -> io::Result<PathBuf> {
    folder.join(plain_name(name)?).canonicalize()
}

/// The places of one instance on one host.
#[derive(Clone, Debug)]
pub struct CopyFolder {
    root: PathBuf,
    id: String,
}

impl CopyFolder {
    /// The copy's own folder.
    pub fn path(&self) -> PathBuf {
        self.root.join("instances").join(&self.id)
    }

    /// A file of the copy.
    pub fn file(&self, file: DiskFile) -> PathBuf {
        self.path().join(file_name(file))
    }

    /// Any other file in the copy's folder.
    pub fn join(&self, name: &str) -> PathBuf {
        self.path().join(name)
    }

    /// Says how much the folder's files will take in all, while a migration is under way.
    pub(crate) fn promise(&self) -> PathBuf {
        self.join("promised")
    }

    /// What the guest says on its serial line.
    pub fn console(&self) -> PathBuf {
        self.root.join("consoles").join(format!("{}.log", self.id))
    }

    /// The host the copy is on.
    pub fn host(&self) -> HostFolder {
        HostFolder::new(&self.root)
    }

    /// The host's files that are replaced without room.
    pub(crate) fn spares(&self) -> Spares {
        Spares::within(&self.root)
    }

    /// The life of the machine in which it was last started here.
    pub fn boot(&self) -> PathBuf {
        self.join("boot")
    }

    /// Connects to its serial line, where that is a socket and its QEMU listens, however long the folder's path is.
    ///
    /// # Errors
    /// As the file system says.
    pub fn connect_to_console(&self) -> io::Result<UnixStream> {
        UnixStream::connect(SocketPath::of(&self.path(), CONSOLE_SOCKET)?.path())
    }

    /// The generation on record.
    pub fn fence(&self) -> PathBuf {
        self.root.join("fences").join(&self.id)
    }

    /// The record that the instance has executed here.
    pub fn executed(&self) -> PathBuf {
        self.root.join("executed").join(&self.id)
    }

    /// The lock of everything that works on the copy.
    pub fn lock(&self) -> PathBuf {
        self.root.join("locks").join(&self.id)
    }

    /// The lock of the one order that has an effect on the copy at this moment.
    pub fn order_lock(&self) -> PathBuf {
        self.root.join("locks").join(format!("{}{DIVIDER}order", self.id))
    }

    /// The lock of a process that sends a file of the copy away.
    pub fn sending_lock(&self, file: DiskFile) -> PathBuf {
        self.root.join("locks").join(format!("{}{DIVIDER}{file}.sending", self.id))
    }

    /// The places where an undo has put copies aside, the oldest first. Any of them may have been taken away since.
    pub fn discarded(&self) -> Vec<PathBuf> {
        self.discarded_numbers().into_iter().map(|number| self.discarded_at(number)).collect()
    }

    /// The next free place to put a copy aside.
    pub fn next_discarded(&self) -> PathBuf {
        self.discarded_at(self.discarded_numbers().last().map_or(1, |last| last + 1))
    }

    fn discarded_numbers(&self) -> BTreeSet<usize> {
        let entries = std::fs::read_dir(self.root.join("discarded")).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        // Ids may contain points, so what follows the id is all that counts.
        names.filter_map(|name| name.strip_prefix(&self.id)?.strip_prefix('.')?.parse().ok()).collect()
    }

    fn discarded_at(&self, number: usize) -> PathBuf {
        self.root.join("discarded").join(format!("{}.{number}", self.id))
    }
}

/// A path by which a socket is reached however long that of its folder is, as long as this is kept: an address holds 107
/// bytes, and through our own descriptor of the folder any path fits.
pub(crate) struct SocketPath {
    path: PathBuf,
    _folder: File,
}

impl SocketPath {
    /// The path to the socket `name` in `folder`, there or not.
    ///
    /// # Errors
    /// As the file system says of the folder.
    pub(crate) fn of(folder: &Path, name: &str) -> io::Result<Self> {
        let folder = File::open(folder)?;
        Ok(Self { path: format!("/proc/self/fd/{}/{name}", folder.as_raw_fd()).into(), _folder: folder })
    }

    /// The path. Whoever connects must not be given all of this instead: it may let go of it before it has connected.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

/// The name of a copy's file within its folder.
pub fn file_name(file: DiskFile) -> String {
    match file {
        DiskFile::Base(_) | DiskFile::Layer(..) | DiskFile::Overlay(_) => format!("{file}.qcow2"),
        DiskFile::Memory => "memory".to_owned(),
        DiskFile::Machine => "machine.json".to_owned(),
    }
}

/// Makes the folder a file is to lie in ([`make_folder`]).
pub(crate) fn make_parent(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), make_folder)
}

/// Makes a folder, and those above it, each durably: a file that was synced into a folder that is gone after a crash is
/// gone with it.
pub(crate) fn make_folder(folder: &Path) -> io::Result<()> {
    if folder.as_os_str().is_empty() || folder.is_dir() {
        return Ok(());
    }
    make_parent(folder)?;
    match std::fs::create_dir(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => sync_folder_of(folder),
    }
}

/// Replaces a small file so that after a crash either the old or the new content is there. It needs room;
/// [`Spares::write`] does not.
pub(crate) fn write_durably(path: &Path, content: &[u8]) -> io::Result<()> {
    make_parent(path)?;
    let mut fresh = path.as_os_str().to_owned();
    fresh.push(format!("{DIVIDER}new"));
    let fresh = PathBuf::from(fresh);
    let mut file = File::create(&fresh)?;
    file.write_all(content)?;
    file.sync_all()?;
    rename_durably(&fresh, path)
}

/// Renames, and makes the new name durable.
pub(crate) fn rename_durably(from: &Path, to: &Path) -> io::Result<()> {
    make_parent(to)?;
    std::fs::rename(from, to)?;
    sync_folder_of(to)
}

/// Removes a file durably; one that is gone already is fine.
pub(crate) fn remove_durably(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Ok(()) => sync_folder_of(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Removes a folder and all in it durably: nothing of it comes back after a crash.
pub(crate) fn remove_folder_durably(path: &Path) -> io::Result<()> {
    std::fs::remove_dir_all(path)?;
    sync_folder_of(path)
}

/// `name.ending` beside `name`.
pub(crate) fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    PathBuf::from(name)
}

/// Where it is noted what was read of a file of a copy.
pub(crate) fn verified_note(file: &Path) -> PathBuf {
    with_ending(file, "verified")
}

pub(crate) fn sync_folder_of(path: &Path) -> io::Result<()> {
    let Some(folder) = path.parent() else { return Ok(()) };
    // The parent of a plain name is where we are.
    let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
    File::open(folder)?.sync_all()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_the_store_s_that_used_it_first() {
        let folder = tempfile::tempdir().unwrap();
        let host = HostFolder::new(folder.path().join("a"));
        let claimant = |identity: &str| Claimant {
            owner: Owner { identity: identity.to_owned(), path: "/srv/store.db".into(), incarnation: None },
            history: BTreeSet::new(),
            instead_of: None,
        };
        let (first, second) = (claimant("1"), claimant("2"));
        assert_eq!(host.mark_for(&first).unwrap(), Ok(()));
        assert_eq!(host.mark_for(&first).unwrap(), Ok(()));
        assert_eq!(host.mark_for(&second).unwrap(), Err(Foreign::Another(first.owner)));
        assert_eq!(std::fs::read_dir(folder.path().join("a")).unwrap().count(), 1, "only the mark is left");
    }

    #[test]
    fn a_folder_is_a_host_s_once_it_was_added() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("other")).unwrap();
        let host = HostFolder::new(folder.path().join("a"));
        assert!(!host.is_added() && !host.path().exists());
        host.add(&"a".into()).unwrap();
        assert!(host.is_added());
        assert_eq!(host.added_as().unwrap(), Some("a".into()));
        assert_eq!(HostFolder::all_within(folder.path()).unwrap().into_keys().collect::<Vec<_>>(), ["a"]);
    }

    #[test]
    fn no_instance_s_file_is_another_s() {
        assert!(plain_name(&DIVIDER.to_string()).is_err());
        let folder = tempfile::tempdir().unwrap();
        let host = HostFolder::new(folder.path());
        let fence = |id: &str| host.copy(&id.into()).unwrap().fence();
        write_durably(&fence("db.new"), b"7").unwrap();
        write_durably(&fence("db"), b"1").unwrap();
        assert_eq!(std::fs::read(fence("db.new")).unwrap(), b"7");
        let sending = host.copy(&"vm".into()).unwrap().sending_lock(DiskFile::BASE);
        assert_ne!(sending, host.copy(&"vm.base.sending".into()).unwrap().lock());
    }

    #[test]
    fn what_was_put_aside_is_found_though_an_older_one_was_taken_away() {
        let folder = tempfile::tempdir().unwrap();
        let host = HostFolder::new(folder.path());
        let (copy, other) = (host.copy(&"vm".into()).unwrap(), host.copy(&"vm.1".into()).unwrap());
        for copy in [&copy, &copy, &copy, &other] {
            make_folder(&copy.next_discarded()).unwrap();
        }
        std::fs::remove_dir(copy.discarded_at(1)).unwrap();
        assert_eq!(copy.discarded(), [copy.discarded_at(2), copy.discarded_at(3)]);
        assert_eq!(copy.next_discarded(), copy.discarded_at(4), "a number is not given again");
        assert_eq!(other.discarded(), [other.discarded_at(1)]);
    }

    #[test]
    fn an_id_that_would_leave_its_folder_is_refused() {
        let host = HostFolder::new("/srv/host");
        for id in ["", ".", "..", "../x", "a/b", "a b", "-rf", "a\0", "a\n", &"x".repeat(201)] {
            assert!(host.copy(&id.into()).is_err(), "{id:?}");
        }
        let copy = host.copy(&"web-1.prod_2".into()).unwrap();
        assert_eq!(copy.file(DiskFile::BASE), Path::new("/srv/host/instances/web-1.prod_2/base.qcow2"));
    }
}
