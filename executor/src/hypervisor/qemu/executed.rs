//! The record that an instance has executed here: made durable before the guest's first instruction.
//!
//! From then on what the guest writes may be nowhere else, so whoever finds it does not undo by itself. It lies beside the
//! fence and outlives the copy, so that a copy removed by hand does not take it along.

use std::io;

use decant_schema::migration::Generation;

use crate::layout::CopyFolder;

/// What is on record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Executed {
    /// The beginning of the migration for which it executed; zero: it never did.
    pub(super) begun: Generation,
    /// How much its console had said before, bytes.
    pub(super) said: u64,
}

/// Records it; a later migration's record is kept.
pub(super) fn mark(copy: &CopyFolder, begun: Generation) -> io::Result<()> {
    if read(copy)?.begun >= begun {
        return Ok(());
    }
    let said = std::fs::metadata(copy.console()).map_or(0, |console| console.len());
    // On the way back a full disk must not keep the guest from its start.
    copy.spares().write(&copy.executed(), format!("{begun} {said}\n").as_bytes())
}

/// What is on record.
pub(super) fn read(copy: &CopyFolder) -> io::Result<Executed> {
    match std::fs::read_to_string(copy.executed()) {
        Ok(text) => parse(&text).ok_or_else(|| {
            let reason = format!("{} is not two numbers", copy.executed().display());
            io::Error::new(io::ErrorKind::InvalidData, reason)
        }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Executed::default()),
        Err(error) => Err(error),
    }
}

fn parse(text: &str) -> Option<Executed> {
    let (begun, said) = text.trim_end().split_once(' ')?;
    Some(Executed { begun: Generation(begun.parse().ok()?), said: said.parse().ok()? })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::layout::{HostFolder, write_durably};

    #[test]
    fn the_record_is_never_lowered_and_says_where_the_console_stood() {
        let folder = tempfile::tempdir().unwrap();
        let copy = HostFolder::new(folder.path()).copy(&"vm".into()).unwrap();
        assert_eq!(read(&copy).unwrap(), Executed::default());
        mark(&copy, Generation(0)).unwrap();
        assert!(!copy.executed().exists(), "a start that is no migration's leaves no record");
        write_durably(&copy.console(), b"boot\n").unwrap();
        for begun in [7, 3] {
            mark(&copy, Generation(begun)).unwrap();
            assert_eq!(read(&copy).unwrap(), Executed { begun: Generation(7), said: 5 });
        }
        write_durably(&copy.executed(), b"seven").unwrap();
        assert!(read(&copy).is_err());
    }
}
