//! How a guest's processors are provided on a host.

use std::io;
use std::sync::OnceLock;

use super::{Tools, probe};
use crate::layout::{HostFolder, write_durably};

/// How processors are provided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Accelerator {
    /// By translation: slow, and works everywhere.
    #[default]
    Tcg,
    /// By the processor, where the kernel offers it.
    Kvm,
    /// By the processor where a guest was seen to run so, else by translation.
    Best,
}

impl Accelerator {
    /// QEMU's name for it; for the best, that which works everywhere.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Tcg | Self::Best => "tcg",
            Self::Kvm => "kvm",
        }
    }

    /// What it comes to on a host. One that was not looked at in this life of its machine gets what works everywhere.
    pub(super) fn on(self, host: &HostFolder) -> Self {
        match self {
            Self::Best if noted(host) == Some(true) => Self::Kvm,
            Self::Best => Self::Tcg,
            told => told,
        }
    }
}

/// Looks whether guests run by the processor, once in a life of the machine: before anything is begun, since it takes seconds
/// where they do not.
pub(super) fn look(tools: &Tools, host: &HostFolder) -> io::Result<()> {
    /// All hosts that this process serves are of this machine.
    static WORKS: OnceLock<bool> = OnceLock::new();
    if tools.accelerator != Accelerator::Best || noted(host).is_some() {
        return Ok(());
    }
    let works = *WORKS.get_or_init(|| probe::kvm(tools).is_ok());
    let word = if works { "works" } else { "does not work" };
    match write_durably(&host.kvm_note(), format!("{}{word}\n", super::present_boot()?).as_bytes()) {
        Err(full) if full.kind() == io::ErrorKind::StorageFull => Ok(()),
        written => written,
    }
}

/// Whether guests on a host were seen to run by the processor in this life of its machine.
pub fn runs_by_kvm(host: &HostFolder) -> bool {
    noted(host) == Some(true)
}

/// What was noted in this life of the machine.
fn noted(host: &HostFolder) -> Option<bool> {
    let note = std::fs::read_to_string(host.kvm_note()).ok()?;
    let word = note.strip_prefix(&super::present_boot().ok()?)?;
    Some(word.trim() == "works")
}
