//! Carries plans out.
//!
//! ```text
//! plan ──► admit ──► conductor ──cast──► agent ──► hypervisor (what a host does)
//!          (what     read, step,          │   └──► transfer   (files from host to host)
//!          may       store, then          │
//!          start)    cast  ◄──notification┘
//! ```
//!
//! The state of every migration is in a store (one SQLite file) and names whose turn it is; messages are only hints.
//! So there is one way to go on after anything: run the same call again. [`step`] is the whole protocol, pure;
//! [`admit`] says which moves may start, pure; the conductor is the only writer; an agent knows its host and nothing
//! else.
//!
//! # The interface
//!
//! A caller has a store (a path), and for every host it can reach a [`HostDriver`]; together they are the
//! [`Drivers`]. Nothing else of this crate needs to be touched:
//!
//! ```text
//! apply(ApplyJob { plan, moves, fleet, judge, store, drivers, .. })  -> Result<ApplyReport, ApplyError>
//! migrate(MigrateJob { request, way_in, scheduler, store, .. })     -> Result<Migrated, ApplyError>
//! decide(store, drivers, id, Wish, options, progress)               -> Result<Migration, ApplyError>
//! list(store)                                                       -> Result<Vec<Migration>, ApplyError>
//! show(store, id)                                                   -> Result<History, ApplyError>
//! fleet(store)                                                      -> Result<FleetDocument, ApplyError>
//! import(store, &Fleet)                                             -> Result<(), ApplyError>
//! declare_dead(store, host, proof, driver)                          -> Result<Death, ApplyError>
//! take_over(store, drivers, take)                                   -> Result<Vec<Discrepancy>, ApplyError>
//! add_hosts, places, add_flavor(store, …)                           hosts of this machine and sizes, one by one
//! define_guest, adopt_guest, start_guest, stop_guest, kill_guest, guests(…)     guests, one by one
//! ```
//!
//! - `apply` carries a plan out and returns when every move is over, waits for a person, or can never start because one
//!   before it was undone. Killed at any moment, the same call goes on where it was: the plan's id is what it
//!   remembers. `fleet` is the world as somebody else tells it; without one the store's own fleet counts. A plan
//!   that was never begun is compared with that fleet and refused as [`ApplyError::Stale`], with every difference that
//!   matters, if it was made for another. With a fleet given, the store takes it over first (unless a
//!   migration is unfinished). Then `judge` has its say, and what it finds is [`ApplyError::DoesNotHold`].
//! - `migrate` moves or resizes one instance without a plan; `scheduler` chooses where it goes, and judges what somebody
//!   else chose. A refusal is a result, with its reasons.
//! - `decide` confirms, reverts or aborts one migration and returns when that is carried out. While an `apply` runs on
//!   the same store, that one carries it out.
//! - `progress` hears what happens, in order, on the caller's runtime; it must not block.
//! - One process at a time conducts a store ([`ApplyError::Busy`]); `list`, `show` and `fleet` always work.

pub mod admit;
pub mod agent;
pub mod apply;
pub mod bus;
mod causes;
pub mod clock;
pub mod conductor;
pub mod discarded;
pub mod driver;
pub mod hypervisor;
pub mod lab;
pub mod layout;
pub mod mark;
mod processes;
pub mod progress;
mod room;
pub mod scheduler;
mod spare;
pub mod step;
pub mod tool;
pub mod transfer;

pub use apply::{
    ApplyError, ApplyJob, ApplyOptions, ApplyReport, ConfirmPolicy, Difference, Discrepancy, History, Judge,
    MigrateJob, Migrated, MoveReport, UnreadyMove, UnsupportedMove, WayIn, apply, deaths, decide, declare_dead, fleet,
    import, list, migrate, places, show, take_over,
};
pub use driver::{Drivers, HostDriver};
pub use progress::{Progress, ProgressSink};
