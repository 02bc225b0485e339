//! Names and numbers that identify things, each a type of its own so that they cannot be mixed up.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

macro_rules! names {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Wraps a text; the fleet's door decides whether it is acceptable.
            pub fn new(text: impl Into<Arc<str>>) -> Self {
                Self(text.into())
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.into())
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }
    )*};
}

names! {
    /// A machine that runs instances.
    HostName;
    /// A virtual machine, by the id its cloud gave it.
    InstanceId;
    /// A size an instance can have.
    FlavorName;
    /// A server group.
    GroupName;
    /// A resource class in Placement's words: `VCPU`, `MEMORY_MB` (MiB), `DISK_GB` (GiB), `CUSTOM_…`.
    ResourceClass;
    /// An availability zone.
    ZoneName;
    /// A host aggregate.
    AggregateName;
    /// A host trait, as `HW_CPU_X86_AVX2`.
    TraitName;
    /// A storage pool that hosts share.
    PoolName;
    /// A rack, whose uplink its hosts share.
    RackName;
}

impl ResourceClass {
    /// The class that displacement is measured in, in MiB.
    pub const MEMORY_MB: &'static str = "MEMORY_MB";
    /// Virtual processors.
    pub const VCPU: &'static str = "VCPU";
    /// Local disk, in GiB.
    pub const DISK_GB: &'static str = "DISK_GB";
}

/// A line of a plan, numbered from 1 in the order of the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct MoveId(pub u32);

impl fmt::Display for MoveId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
