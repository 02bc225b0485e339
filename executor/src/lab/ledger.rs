//! The ledger: every line the guests said on their serial consoles, kept durably outside the hosts' directories.
//!
//! A host keeps one console file per instance and only ever appends to it, whatever becomes of the disk or of decant.
//! The ledger follows these files by polling and writes what is new to one file of its own, with the time it was seen.
//! Opened again after a crash, it counts what it already has and goes on there, so nothing is missed or doubled.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use decant_schema::id::{HostName, InstanceId};

/// A line some guest said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When the ledger saw it, in milliseconds since 1970.
    pub seen_ms: u64,
    /// The host whose console it was.
    pub host: HostName,
    /// The guest's instance.
    pub instance: InstanceId,
    /// The line, without its end.
    pub line: String,
}

/// A durable acknowledgement: the guest was told its record is on the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acknowledgement {
    /// When it was seen, in milliseconds since 1970.
    pub seen_ms: u64,
    /// The host the guest ran on.
    pub host: HostName,
    /// Number of the record.
    pub sequence: u32,
    /// Boot count.
    pub epoch: u32,
    /// Checksum of the record.
    pub checksum: u32,
    /// Time since the guest booted, in milliseconds.
    pub uptime_ms: u32,
}

impl Entry {
    /// The value of `name=value` in the line.
    pub fn field(&self, name: &str) -> Option<&str> {
        self.line.split(' ').find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
    }

    /// The acknowledgement this line is, if it is one, and whole: a console that lies on a full disk loses what is said
    /// meanwhile, and the beginning of one line may go on as the end of another.
    pub fn acknowledgement(&self) -> Option<Acknowledgement> {
        self.line.strip_prefix("ack ")?;
        let number = |name| self.field(name)?.parse().ok();
        if self.field("seq")? != self.field("end")? {
            return None;
        }
        Some(Acknowledgement {
            seen_ms: self.seen_ms,
            host: self.host.clone(),
            sequence: number("seq")?,
            epoch: number("epoch")?,
            checksum: u32::from_str_radix(self.field("crc")?, 16).ok()?,
            uptime_ms: number("uptime_ms")?,
        })
    }
}

/// The open ledger.
#[derive(Debug)]
pub struct Ledger {
    file: File,
    consoles: BTreeMap<HostName, PathBuf>,
    read: BTreeMap<(HostName, InstanceId), u64>,
    entries: Vec<Entry>,
}

impl Ledger {
    /// Opens or makes the ledger at `path`, following the console folder of each host (`<instance>.log` files).
    ///
    /// # Errors
    /// What the file system says.
    pub fn open(path: &Path, consoles: BTreeMap<HostName, PathBuf>) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).append(true).create(true).open(path)?;
        let mut ledger = Self { file, consoles, read: BTreeMap::new(), entries: Vec::new() };
        let mut whole = 0;
        for entry in new_lines(path, &mut whole)?.iter().filter_map(|line| parse(line)) {
            *ledger.read.entry((entry.host.clone(), entry.instance.clone())).or_default() +=
                entry.line.len() as u64 + 1;
            ledger.entries.push(entry);
        }
        // A line that a crash cut short is read again from its console.
        ledger.file.set_len(whole)?;
        Ok(ledger)
    }

    /// Takes in what the guests said since the last time, durably. Returns the number of new lines.
    ///
    /// # Errors
    /// What the file system says; nothing is taken in then.
    pub fn poll(&mut self) -> io::Result<usize> {
        let seen_ms = now_ms();
        let (mut fresh, mut text) = (Vec::new(), String::new());
        for (host, folder) in &self.consoles {
            for instance in instances_in(folder)? {
                let read = self.read.entry((host.clone(), instance.clone())).or_default();
                for line in new_lines(&folder.join(format!("{instance}.log")), read)? {
                    text.push_str(&format!("{seen_ms} {host} {instance} {line}\n"));
                    fresh.push(Entry { seen_ms, host: host.clone(), instance: instance.clone(), line });
                }
            }
        }
        if !fresh.is_empty() {
            self.file.write_all(text.as_bytes())?;
            self.file.sync_data()?;
        }
        let count = fresh.len();
        self.entries.append(&mut fresh);
        Ok(count)
    }

    /// Everything said so far, in the order it was seen.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// What one instance had acknowledged, in the order it was seen.
    pub fn acknowledgements(&self, instance: &InstanceId) -> Vec<Acknowledgement> {
        self.entries.iter().filter(|entry| entry.instance == *instance).filter_map(Entry::acknowledgement).collect()
    }
}

fn parse(line: &str) -> Option<Entry> {
    let mut parts = line.splitn(4, ' ');
    let (seen, host, instance, line) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    Some(Entry { seen_ms: seen.parse().ok()?, host: host.into(), instance: instance.into(), line: line.to_owned() })
}

fn instances_in(folder: &Path) -> io::Result<Vec<InstanceId>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut instances = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        if let Some(instance) = name.to_str().and_then(|name| name.strip_suffix(".log")) {
            instances.push(InstanceId::new(instance));
        }
    }
    instances.sort();
    Ok(instances)
}

/// The whole lines beyond `read` bytes; `read` moves past them.
fn new_lines(console: &Path, read: &mut u64) -> io::Result<Vec<String>> {
    let mut file = File::open(console)?;
    if file.metadata()?.len() <= *read {
        return Ok(Vec::new());
    }
    file.seek(SeekFrom::Start(*read))?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    *read += whole as u64;
    // The guest speaks ASCII; a stray byte must not change the length the ledger counts by.
    let text: String =
        bytes[..whole].iter().map(|byte| if byte.is_ascii() { char::from(*byte) } else { '?' }).collect();
    Ok(text.split_terminator('\n').map(str::to_owned).collect())
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn two_acknowledgements_that_a_full_disk_made_one_count_for_none() {
        let (host, instance) = (HostName::new("a"), "vm-1".into());
        let line = "ack seq=7 epoch=1 crc=ff0 memory=1 uptime_ms=400 end=9".to_owned();
        let spliced = Entry { seen_ms: 0, host, instance, line };
        assert_eq!(spliced.acknowledgement(), None);
        let whole = Entry { line: spliced.line.replace("end=9", "end=7"), ..spliced };
        assert_eq!(whole.acknowledgement().unwrap().sequence, 7);
    }

    #[test]
    fn a_ledger_opened_again_misses_nothing_and_doubles_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let console = folder.path().join("vm-1.log");
        let path = folder.path().join("ledger");
        let consoles = || BTreeMap::from([(HostName::new("a"), folder.path().to_owned())]);
        std::fs::write(&console, "boot epoch=1\nack seq=1 epoch=1 crc=ff memory=0 uptime_ms=4 end=1\nack se").unwrap();
        assert_eq!(Ledger::open(&path, consoles()).unwrap().poll().unwrap(), 2);
        // The writer was cut in the middle of a line, ours and the guest's.
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"17 a vm-1 ack se").unwrap();
        let rest = b"q=2 epoch=1 crc=fe memory=0 uptime_ms=9 end=2\n";
        OpenOptions::new().append(true).open(&console).unwrap().write_all(rest).unwrap();
        let mut again = Ledger::open(&path, consoles()).unwrap();
        assert_eq!(again.poll().unwrap(), 1);
        let numbers: Vec<u32> = again.acknowledgements(&"vm-1".into()).iter().map(|ack| ack.sequence).collect();
        assert_eq!(numbers, [1, 2]);
        assert_eq!(again.entries().len(), 3);
    }
}
