//! Who does the work on which host.

use std::collections::BTreeMap;
use std::sync::Arc;

use decant_schema::id::HostName;

use crate::hypervisor::Hypervisor;
use crate::transfer::Transfer;

/// What a host's agent works with.
#[derive(Clone)]
pub struct HostDriver {
    /// Its virtual machines.
    pub hypervisor: Arc<dyn Hypervisor>,
    /// Its way to the other hosts.
    pub transfer: Arc<dyn Transfer>,
}

/// The hosts that can be reached, and what their agents work with.
pub type Drivers = BTreeMap<HostName, HostDriver>;
