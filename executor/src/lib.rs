//! Carries plans out.
//!
//! ```text
//! plan ──► admit ──► conductor ──cast──► agent ──► hypervisor (what a host does)
//!          (what     read, step,          │   └──► transfer   (files from host to host)
//!          may       store, then          │
//!          start)    cast  ◄──notification┘
//! ```

pub mod hypervisor;
pub mod lab;
pub mod transfer;
