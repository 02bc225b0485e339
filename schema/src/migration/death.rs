//! That a host is dead, and how that is known: what lets an instance of it be built elsewhere.

use std::fmt;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::id::HostName;

/// A host that was declared dead.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Death {
    /// The host.
    pub host: HostName,
    /// How it is known that nothing runs there.
    pub proof: DeathProof,
    /// When it was declared.
    #[schemars(with = "String")]
    pub declared_at: Timestamp,
}

impl fmt::Display for Death {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} was declared dead at {}: {}", self.host, self.declared_at, self.proof)
    }
}

/// How it is known that nothing runs on a host any more. That a host does not answer proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum DeathProof {
    /// Its power supply says that it is off.
    PowerOff {
        /// The command that asked.
        command: String,
        /// What it answered.
        answer: String,
    },
    /// Its storage was taken from it: its lock is broken and the host itself is blocked.
    StorageFence {
        /// The command that asked.
        command: String,
        /// What it answered.
        answer: String,
    },
    /// It resets itself when its lease is not renewed, and that long has passed by the conductor's own monotonic clock.
    WatchdogLease {
        /// The lease, milliseconds.
        lease_ms: u64,
    },
    /// Somebody says so.
    Word {
        /// Who.
        by: String,
    },
}

impl fmt::Display for DeathProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PowerOff { command, answer } => write!(f, "its power reads back `{answer}` (`{command}`)"),
            Self::StorageFence { command, answer } => {
                write!(f, "its storage is fenced and reads back `{answer}` (`{command}`)")
            }
            Self::WatchdogLease { lease_ms } => write!(f, "its watchdog's lease of {lease_ms} ms has run out"),
            Self::Word { by } => write!(f, "by the word of {by}"),
        }
    }
}
