//! A QEMU that exists and says nothing: stopped by a signal, waiting for a disk that hangs, or listening to somebody else.

use std::fmt;

use thiserror::Error;

/// What is known of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(super) struct Mute {
    process: Option<i32>,
    /// As the kernel calls it, one letter (proc_pid_stat(5)).
    state: Option<char>,
}

impl Mute {
    pub(super) fn of(process: Option<i32>) -> Self {
        let stat = process.and_then(|id| std::fs::read_to_string(format!("/proc/{id}/stat")).ok());
        Self { process, state: stat.as_deref().and_then(state) }
    }
}

/// The third field; the second is a name in parentheses, which may contain any.
fn state(stat: &str) -> Option<char> {
    stat.rsplit_once(')')?.1.trim_start().chars().next()
}

impl fmt::Display for Mute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(process) = self.process else { return write!(f, "its qemu does not answer") };
        let end = format_args!("or end it: kill -KILL {process}");
        match self.state {
            Some('T' | 't') => {
                write!(f, "its qemu (process {process}) is stopped; let it go on: kill -CONT {process}, {end}")
            }
            Some('D') => write!(f, "its qemu (process {process}) waits for a disk; see to the host's storage, {end}"),
            _ => write!(f, "its qemu (process {process}) does not answer; look who else speaks to it, {end}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_was_stopped_is_named_as_that() {
        assert_eq!(state("12 (qemu) system) T 1 12"), Some('T'));
        let stopped = Mute { process: Some(12), state: Some('T') };
        assert_eq!(
            stopped.to_string(),
            "its qemu (process 12) is stopped; let it go on: kill -CONT 12, or end it: kill -KILL 12"
        );
    }
}
