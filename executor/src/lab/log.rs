//! Reads the log a lab guest left on its disk, from the raw image, without running the guest.
//!
//! The layout is the guest's (`guest/payload.c`): slot `i` at `i · 8 KiB`, a 4 KiB bulk block and then a 512-byte
//! record whose last word is the checksum of the rest. Records count from 1 and name their predecessor's checksum.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use thiserror::Error;

const SLOT: u64 = 8192;
const BULK: usize = 4096;
const RECORD: usize = 512;
const MAGIC: u32 = 0x544E_4344;
/// Words of the guest's memory arena; each record changes one, and the next record carries the hash of all.
const ARENA: usize = 4096;

/// One durable record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// Position in the log, from 1.
    pub sequence: u32,
    /// How often the guest had booted on this disk when it wrote this.
    pub epoch: u32,
    /// Drawn at that boot.
    pub nonce: u32,
    /// Memory the guest saw, in MiB.
    pub memory_mb: u32,
    /// Processors the guest saw.
    pub vcpus: u32,
    /// Time since that boot, in milliseconds.
    pub uptime_ms: u32,
    /// Checksum of the record before, 0 for the first.
    previous: u32,
    bulk: u32,
    memory: u32,
    /// Checksum of this record.
    pub checksum: u32,
}

/// A way in which a log contradicts itself.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Damage {
    /// The record does not name its predecessor.
    #[error("record {sequence} does not follow the record before it")]
    Chain {
        /// Where.
        sequence: u32,
    },
    /// The bulk block is not what the record says.
    #[error("the data of record {sequence} is not what was written")]
    Bulk {
        /// Where.
        sequence: u32,
    },
    /// The guest's memory was not the memory that wrote the records before.
    #[error("record {sequence} was written by a memory that had lost or changed something")]
    Memory {
        /// Where.
        sequence: u32,
    },
    /// The boot count repeats, skips or goes back.
    #[error("record {sequence} belongs to boot {epoch}, which cannot follow boot {before}")]
    Epoch {
        /// Where.
        sequence: u32,
        /// The boot it names.
        epoch: u32,
        /// The boot before.
        before: u32,
    },
    /// A record lies after the end: what was between is gone.
    #[error("record {sequence} lies beyond the end of the log")]
    Beyond {
        /// Where.
        sequence: u32,
    },
}

/// A log and what is wrong with it.
#[derive(Clone, Debug, Default)]
pub struct Log {
    /// The records, in order, up to the first slot that holds none.
    pub records: Vec<Record>,
    /// Every contradiction found.
    pub damage: Vec<Damage>,
}

impl Log {
    /// The checksum of the record with this number.
    pub fn checksum(&self, sequence: u32) -> Option<u32> {
        let index = usize::try_from(sequence.checked_sub(1)?).ok()?;
        self.records.get(index).map(|record| record.checksum)
    }
}

/// Reads a raw image.
///
/// # Errors
/// What the file system says; a damaged log is a result, not an error.
pub fn read(image: &Path) -> io::Result<Log> {
    let file = File::open(image)?;
    let slots = u32::try_from(file.metadata()?.len() / SLOT).unwrap_or(u32::MAX);
    let mut log = Log::default();
    let mut sequence = 1;
    while sequence < slots {
        let Some((record, bulk)) = slot(&file, sequence)? else { break };
        if record.bulk != crc32fast::hash(&bulk) {
            log.damage.push(Damage::Bulk { sequence });
        }
        log.records.push(record);
        sequence += 1;
    }
    for beyond in sequence + 1..slots {
        if slot(&file, beyond)?.is_some() {
            log.damage.push(Damage::Beyond { sequence: beyond });
        }
    }
    check_order(&mut log);
    Ok(log)
}

/// The record of a slot, if it holds a whole one, and its bulk block.
fn slot(file: &File, sequence: u32) -> io::Result<Option<(Record, [u8; BULK])>> {
    let mut bytes = [0_u8; BULK + RECORD];
    file.read_exact_at(&mut bytes, u64::from(sequence) * SLOT)?;
    let (bulk, record) = bytes.split_at(BULK);
    let word = |index: usize| record.chunks_exact(4).nth(index).map_or(0, le);
    let checksum = word(RECORD / 4 - 1);
    if word(0) != MAGIC || word(1) != sequence || checksum != crc32fast::hash(&record[..RECORD - 4]) {
        return Ok(None);
    }
    let record = Record {
        sequence,
        epoch: word(2),
        nonce: word(3),
        previous: word(4),
        bulk: word(5),
        memory: word(6),
        memory_mb: word(7),
        vcpus: word(8),
        uptime_ms: word(9),
        checksum,
    };
    let mut data = [0; BULK];
    data.copy_from_slice(bulk);
    Ok(Some((record, data)))
}

fn le(bytes: &[u8]) -> u32 {
    bytes.iter().rev().fold(0, |word, byte| word << 8 | u32::from(*byte))
}

/// Follows the chain, the boots and each boot's memory, as the guest would have kept them.
fn check_order(log: &mut Log) {
    let mut arenas: BTreeMap<(u32, u32), Vec<u8>> = BTreeMap::new();
    let (mut before, mut boot) = (0, (0, 0));
    for record in &log.records {
        let sequence = record.sequence;
        if record.previous != before {
            log.damage.push(Damage::Chain { sequence });
        }
        let this = (record.epoch, record.nonce);
        if this != boot && record.epoch != boot.0 + 1 {
            log.damage.push(Damage::Epoch { sequence, epoch: record.epoch, before: boot.0 });
        }
        let arena = arenas.entry(this).or_insert_with(|| fresh_arena(record.nonce));
        if record.memory != crc32fast::hash(arena) {
            log.damage.push(Damage::Memory { sequence });
        }
        put(arena, sequence as usize % ARENA, record.checksum);
        (before, boot) = (record.checksum, this);
    }
}

fn fresh_arena(nonce: u32) -> Vec<u8> {
    let mut arena = vec![0; ARENA * 4];
    put(&mut arena, 0, nonce);
    arena
}

fn put(arena: &mut [u8], word: usize, value: u32) {
    arena[word * 4..word * 4 + 4].copy_from_slice(&value.to_le_bytes());
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
pub(crate) mod tests {
    use super::*;

    /// Writes a log as the guest would: one entry of `boots` per boot, the number of records it wrote.
    pub(crate) fn write_log(image: &Path, boots: &[(u32, u32)], slots: u64) {
        let file = File::create(image).unwrap();
        file.set_len(slots * SLOT).unwrap();
        let (mut before, mut sequence) = (0, 0);
        for (epoch, (nonce, count)) in (1..).zip(boots) {
            let mut arena = fresh_arena(*nonce);
            for _ in 0..*count {
                sequence += 1;
                let bulk = [u8::try_from(sequence % 251).unwrap(); BULK];
                let mut record = [0_u8; RECORD];
                let memory = crc32fast::hash(&arena);
                let words = [MAGIC, sequence, epoch, *nonce, before, crc32fast::hash(&bulk), memory, 8, 1, sequence];
                for (index, word) in words.into_iter().enumerate() {
                    put(&mut record, index, word);
                }
                before = crc32fast::hash(&record[..RECORD - 4]);
                put(&mut record, RECORD / 4 - 1, before);
                put(&mut arena, sequence as usize % ARENA, before);
                file.write_all_at(&bulk, u64::from(sequence) * SLOT).unwrap();
                file.write_all_at(&record, u64::from(sequence) * SLOT + BULK as u64).unwrap();
            }
        }
    }

    #[test]
    fn a_log_over_three_boots_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("disk");
        write_log(&image, &[(7, 20), (8, 5), (9, 1)], 64);
        let log = read(&image).unwrap();
        assert_eq!(log.damage, []);
        assert_eq!(log.records.len(), 26);
        assert_eq!((log.records[25].epoch, log.records[25].nonce), (3, 9));
    }

    #[test]
    fn a_flipped_bit_is_found_in_the_data_and_in_a_record() {
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("disk");
        write_log(&image, &[(7, 20)], 64);
        let file = File::options().write(true).open(&image).unwrap();
        file.write_all_at(&[0xFF], 3 * SLOT + 100).unwrap();
        assert_eq!(read(&image).unwrap().damage, [Damage::Bulk { sequence: 3 }]);
        file.write_all_at(&[0xFF], 5 * SLOT + BULK as u64 + 40).unwrap();
        let log = read(&image).unwrap();
        assert_eq!(log.records.len(), 4);
        assert_eq!(log.damage.iter().filter(|damage| matches!(damage, Damage::Beyond { .. })).count(), 15);
    }

    #[test]
    fn a_memory_that_skipped_a_record_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let (one, other) = (folder.path().join("one"), folder.path().join("other"));
        write_log(&one, &[(7, 20)], 64);
        write_log(&other, &[(6, 20)], 64);
        let slot = {
            let mut bytes = vec![0; usize::try_from(SLOT).unwrap()];
            File::open(&other).unwrap().read_exact_at(&mut bytes, 20 * SLOT).unwrap();
            bytes
        };
        File::options().write(true).open(&one).unwrap().write_all_at(&slot, 20 * SLOT).unwrap();
        let damage = read(&one).unwrap().damage;
        assert!(damage.contains(&Damage::Chain { sequence: 20 }), "{damage:?}");
        assert!(damage.contains(&Damage::Memory { sequence: 20 }), "{damage:?}");
        assert!(damage.contains(&Damage::Epoch { sequence: 20, epoch: 1, before: 1 }), "{damage:?}");
    }
}
