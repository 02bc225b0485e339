//! The lab: real virtual machines on this machine, and a witness that does not take the product's word for anything.
//!
//! The guest ([`payload`]) acknowledges a record on its serial console only when it is durable on its disk. The
//! [`ledger`] keeps every acknowledgement outside the hosts' directories; the [`log`] reads a disk image without
//! running it; the [`oracle`] compares the two. `decant demo` and the tests of real guests share them.

mod fleet;
pub mod ledger;
pub mod log;
pub mod oracle;
pub mod payload;
pub mod storage;
pub mod watch;
pub mod world;

pub use fleet::fleet;
