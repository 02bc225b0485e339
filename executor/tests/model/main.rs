//! The protocol, explored breadth first: every order of events up to a number of faults, over the same `step` and the same
//! `decide` that the product runs.
//!
//! What is modelled are the hosts (as a few numbers), the store, the messages (each may be lost, late, out of order or come
//! again: what was once said can arrive at any time) and what the world does to all of them. Nothing depends on a clock. Each
//! guard can be taken away; each is then missed, by name.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod explore;
mod guard;
mod hosts;
mod table;
mod world;

use explore::{Exploration, explore};
use guard::Guard;
use table::{GUARDS, SETTINGS};

/// More states than any setting has: one that has more has lost a bound.
const STATES_MAX: usize = 3_000_000;

/// Whether the large settings are explored, too.
fn is_whole() -> bool {
    std::env::var_os("DECANT_MODEL").is_some()
}

#[test]
fn no_order_of_events_does_what_must_never_happen_and_from_every_state_an_end_can_be_reached() {
    let mut rows = Vec::new();
    for setting in SETTINGS.iter().filter(|setting| !setting.is_large || is_whole()) {
        match explore(setting, None, STATES_MAX) {
            Exploration::Sound { states, transitions } => rows.push(table::setting(setting, states, transitions)),
            Exploration::Violated(found) => panic!("{}: {found}", setting.name),
        }
    }
    table::is_documented("| setting | states |", &rows);
}

#[test]
fn whichever_guard_is_taken_away_is_missed() {
    let (mut rows, mut unlike) = (Vec::new(), Vec::new());
    for (guard, setting, never) in GUARDS {
        match explore(setting, Some(*guard), STATES_MAX) {
            Exploration::Violated(found) if found.never == *never => rows.push(table::guard(*guard, setting, &found)),
            Exploration::Violated(found) => unlike.push(format!("without {guard:?} in {}: {found}", setting.name)),
            Exploration::Sound { .. } => {
                unlike.push(format!("without {guard:?} nothing is violated: {}", setting.name));
            }
        }
    }
    assert!(unlike.is_empty(), "{unlike:#?}");
    table::is_documented("| without | in the setting |", &rows);
    let all: Vec<Guard> = GUARDS.iter().map(|row| row.0).collect();
    for guard in Guard::ALL {
        assert!(all.contains(&guard), "{guard:?} is never taken away");
    }
}
