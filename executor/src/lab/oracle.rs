//! The oracle: holds a guest's disk against what the guest was told is safe.
//!
//! An acknowledged record must be on the disk that runs now, or on one that an undo kept aside; a log must not
//! contradict itself; no record may have been acknowledged twice. A forgotten overlay, a memory newer than its disk,
//! and two copies that ran at once each leave one of these traces, whatever the product believes happened.

use std::collections::BTreeMap;

use decant_schema::id::HostName;
use thiserror::Error;

use super::ledger::Acknowledgement;
use super::log::{Damage, Log};

/// Something that must never happen, and did.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Finding {
    /// The disk does not hold an acknowledged record.
    #[error("record {sequence}, acknowledged on {host}, is not on the disk")]
    Lost {
        /// Its number.
        sequence: u32,
        /// Where it was acknowledged.
        host: HostName,
    },
    /// The disk holds another record in an acknowledged one's place.
    #[error("record {sequence}, acknowledged on {host}, was overwritten by another")]
    Overwritten {
        /// Its number.
        sequence: u32,
        /// Where it was acknowledged.
        host: HostName,
    },
    /// Two copies acknowledged records of the same number.
    #[error("record {sequence} was acknowledged on {first} and, another one, on {second}")]
    TwoCopies {
        /// Its number.
        sequence: u32,
        /// Where it was acknowledged first.
        first: HostName,
        /// Where it was acknowledged again.
        second: HostName,
    },
    /// The disk contradicts itself.
    #[error("{0}")]
    Damaged(Damage),
    /// There is no disk where the instance is to run.
    #[error("there is no disk on {host}")]
    NoDisk {
        /// Where.
        host: HostName,
    },
}

/// What was found out about one instance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// Acknowledged records that the running disk holds.
    pub kept: u64,
    /// Acknowledged records that only a disk kept aside by an undo holds.
    pub set_aside: u64,
    /// The longest time without an acknowledgement between two of them, in milliseconds.
    pub silence_ms_max: u64,
    /// What must not be.
    pub findings: Vec<Finding>,
}

/// Compares acknowledgements with the disk that runs now and the disks kept aside by undoing a move.
pub fn judge(acknowledged: &[Acknowledgement], disk: &Log, aside: &[Log]) -> Verdict {
    let mut verdict = Verdict { silence_ms_max: longest_silence(acknowledged), ..Verdict::default() };
    verdict.findings.extend(disk.damage.iter().cloned().map(Finding::Damaged));
    let mut first: BTreeMap<u32, &Acknowledgement> = BTreeMap::new();
    for ack in acknowledged {
        let (sequence, host) = (ack.sequence, ack.host.clone());
        let on_disk = disk.checksum(sequence);
        if on_disk != Some(ack.checksum) && aside.iter().any(|log| log.checksum(sequence) == Some(ack.checksum)) {
            verdict.set_aside += 1;
            continue;
        }
        match first.insert(sequence, ack) {
            // Halted between writing and saying so, a guest says the same again wherever its memory is loaded.
            Some(other) if other.checksum == ack.checksum => continue,
            Some(other) => {
                verdict.findings.push(Finding::TwoCopies { sequence, first: other.host.clone(), second: host.clone() });
            }
            None => {}
        }
        match on_disk {
            Some(checksum) if checksum == ack.checksum => verdict.kept += 1,
            Some(_) => verdict.findings.push(Finding::Overwritten { sequence, host }),
            None => verdict.findings.push(Finding::Lost { sequence, host }),
        }
    }
    verdict
}

fn longest_silence(acknowledged: &[Acknowledgement]) -> u64 {
    acknowledged.windows(2).map(|pair| pair[1].seen_ms.saturating_sub(pair[0].seen_ms)).max().unwrap_or(0)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::super::log;
    use super::*;

    fn a_log(boots: &[(u32, u32)]) -> Log {
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("disk");
        log::tests::write_log(&image, boots, 64);
        log::read(&image).unwrap()
    }

    fn acknowledged(log: &Log, host: &str) -> Vec<Acknowledgement> {
        let ack = |record: &log::Record| Acknowledgement {
            seen_ms: u64::from(record.sequence) * 40,
            host: host.into(),
            sequence: record.sequence,
            epoch: record.epoch,
            checksum: record.checksum,
            uptime_ms: record.uptime_ms,
        };
        log.records.iter().map(ack).collect()
    }

    #[test]
    fn a_disk_with_every_record_and_an_unacknowledged_one_is_fine() {
        let disk = a_log(&[(1, 10)]);
        let acks = acknowledged(&disk, "a");
        let verdict = judge(&acks[..9], &disk, &[]);
        assert_eq!(verdict, Verdict { kept: 9, silence_ms_max: 40, ..Verdict::default() });
    }

    #[test]
    fn a_forgotten_overlay_is_caught() {
        let (base, whole) = (a_log(&[(1, 6)]), a_log(&[(1, 10)]));
        let findings = judge(&acknowledged(&whole, "a"), &base, &[]).findings;
        assert_eq!(findings[0], Finding::Lost { sequence: 7, host: "a".into() });
        assert_eq!(findings.len(), 4);
    }

    #[test]
    fn a_forgotten_overlay_is_caught_when_the_guest_went_on_without_it() {
        let (before, after) = (a_log(&[(1, 10)]), a_log(&[(1, 6), (2, 8)]));
        let mut acks = acknowledged(&before, "a");
        acks.extend(acknowledged(&after, "b").split_off(6));
        let findings = judge(&acks, &after, &[]).findings;
        assert!(findings.contains(&Finding::Overwritten { sequence: 7, host: "a".into() }), "{findings:?}");
    }

    #[test]
    fn two_copies_at_once_are_caught_even_when_both_disks_are_whole() {
        let (one, other) = (a_log(&[(1, 10)]), a_log(&[(1, 8), (2, 2)]));
        let mut acks = acknowledged(&one, "a");
        acks.extend(acknowledged(&other, "b").split_off(8));
        let findings = judge(&acks, &one, &[]).findings;
        let twice = Finding::TwoCopies { sequence: 9, first: "a".into(), second: "b".into() };
        assert!(findings.contains(&twice), "{findings:?}");
    }

    #[test]
    fn what_a_revert_kept_aside_is_counted_and_not_lost() {
        let (source, target) = (a_log(&[(1, 8), (2, 4)]), a_log(&[(1, 8), (3, 2)]));
        let mut acks = acknowledged(&source, "a");
        acks.splice(8..8, acknowledged(&target, "b").split_off(8));
        let verdict = judge(&acks, &source, &[target]);
        assert_eq!((verdict.kept, verdict.set_aside, verdict.findings), (12, 2, vec![]));
    }
}
