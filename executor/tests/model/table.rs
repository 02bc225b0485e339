//! The settings that are explored, the guards that are taken away, and the page that says what came of it.

use decant_schema::plan::MoveMode;

use crate::explore::Violation;
use crate::guard::Guard;
use crate::world::{Fault, Setting};

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/model.md");

/// What a cold move of a running instance can run into. The other settings say in what they differ.
const COLD: Setting = Setting {
    name: "cold",
    mode: MoveMode::Cold,
    in_place: false,
    runs: true,
    migrations: 1,
    wishes: 2,
    writes: 2,
    faults: 2,
    of: &[Fault::Fails, Fault::FailsWithEffect, Fault::Damage, Fault::PowerLoss, Fault::UserShutdown],
    is_large: false,
};

const SUSPEND: Setting = Setting { name: "suspend", mode: MoveMode::Suspend, writes: 1, ..COLD };

const IN_PLACE: Setting = Setting { name: "resize in place", in_place: true, ..COLD };

const SURROUNDINGS: Setting = Setting {
    name: "the world around",
    of: &[Fault::FullDisk, Fault::LostCopy, Fault::StartedByHand, Fault::Foreign, Fault::OldMemory],
    writes: 1,
    ..COLD
};

const LOST: Setting = Setting { name: "a copy lost", of: &[Fault::LostCopy], writes: 1, faults: 1, ..COLD };

const STOPPED: Setting = Setting {
    name: "stopped, the world around",
    runs: false,
    of: &[Fault::FullDisk, Fault::LostCopy, Fault::Foreign, Fault::StartedByUser],
    ..COLD
};

const SECOND_AGENT: Setting =
    Setting { name: "a second agent", of: &[Fault::SecondAgent], wishes: 1, writes: 1, faults: 1, ..COLD };

const SECOND_CONDUCTOR: Setting =
    Setting { name: "a second conductor", of: &[Fault::SecondConductor], wishes: 1, writes: 1, faults: 1, ..COLD };

/// Nobody decides anything.
const GONE_BACK: Setting =
    Setting { name: "a store gone back", of: &[Fault::StoreGoneBack], wishes: 0, writes: 1, faults: 1, ..COLD };

const SECOND_STORE: Setting =
    Setting { name: "a second store", of: &[Fault::SecondStore], writes: 1, faults: 1, wishes: 1, ..COLD };

const TWO_AGENTS_AND_A_FAILURE: Setting = Setting {
    name: "a second agent, and a failure",
    of: &[Fault::SecondAgent, Fault::Fails],
    faults: 2,
    is_large: true,
    ..SECOND_AGENT
};

const TWO_AGENTS_IN_A_ROW: Setting =
    Setting { name: "a second agent, two migrations in a row", migrations: 2, is_large: true, ..SECOND_AGENT };

const TWO_CONDUCTORS_AND_A_FAILURE: Setting = Setting {
    name: "a second conductor, and a failure",
    of: &[Fault::SecondConductor, Fault::Fails],
    wishes: 2,
    faults: 2,
    is_large: true,
    ..SECOND_CONDUCTOR
};

const IN_A_ROW: Setting =
    Setting { name: "two migrations in a row", migrations: 2, faults: 1, wishes: 2, writes: 1, is_large: true, ..COLD };

pub(crate) const SETTINGS: &[&Setting] = &[
    &COLD,
    &SUSPEND,
    &IN_PLACE,
    &LOST,
    &SURROUNDINGS,
    &STOPPED,
    &SECOND_AGENT,
    &SECOND_CONDUCTOR,
    &SECOND_STORE,
    &GONE_BACK,
    &TWO_AGENTS_AND_A_FAILURE,
    &TWO_AGENTS_IN_A_ROW,
    &TWO_CONDUCTORS_AND_A_FAILURE,
    &IN_A_ROW,
];

/// Which guard is missed where, and which of the six lines is violated without it.
pub(crate) const GUARDS: &[(Guard, &Setting, u8)] = &[
    (Guard::Fence, &COLD, 6),
    (Guard::FenceBeforeEachEffect, &TWO_AGENTS_IN_A_ROW, 6),
    (Guard::ReportsOfThePast, &LOST, 2),
    (Guard::CompareAndSet, &SECOND_CONDUCTOR, 6),
    (Guard::LookBeforeConfirm, &LOST, 2),
    (Guard::LookAtTheFiles, &LOST, 2),
    (Guard::ExecutedMark, &COLD, 3),
    (Guard::TargetGoesFirst, &COLD, 1),
    (Guard::AskWhetherExecuted, &COLD, 3),
    (Guard::VerifyDigests, &COLD, 3),
    (Guard::SpareWhatRuns, &SURROUNDINGS, 2),
    (Guard::SpareWhatIsNotOurs, &SURROUNDINGS, 6),
    (Guard::LookBack, &LOST, 2),
    (Guard::LeaveWhatIsLost, &LOST, 5),
    (Guard::ForgetMemory, &SURROUNDINGS, 3),
    (Guard::BeginAsRecorded, &STOPPED, 6),
    (Guard::Incarnation, &SECOND_STORE, 1),
    (Guard::SayOvertaken, &GONE_BACK, 5),
];

/// A row of the table of what was explored.
pub(crate) fn setting(of: &Setting, states: usize, transitions: usize) -> String {
    let explored_by = if of.is_large { "`make model`" } else { "every test run" };
    format!("| {} | {states} | {transitions} | 0 | {explored_by} |", of.name)
}

/// A row of the table of what each guard keeps away.
pub(crate) fn guard(without: Guard, setting: &Setting, found: &Violation) -> String {
    let Violation { never, what, path } = found;
    format!("| {without:?} | {} | {never}: {what} | {} | {} |", setting.name, path.len(), path.join("; "))
}

/// Fails where the page's table below `heading` does not have these rows, in their order; with `DECANT_BLESS` set they are
/// written into it instead.
pub(crate) fn is_documented(heading: &str, rows: &[String]) {
    let page = std::fs::read_to_string(PAGE).unwrap();
    let begin = page.find(heading).unwrap_or_else(|| panic!("{PAGE} has no table `{heading}`"));
    let begin = begin + page[begin..].match_indices('\n').nth(1).unwrap().0 + 1;
    let end =
        begin + page[begin..].lines().take_while(|line| line.starts_with('|')).map(|row| row.len() + 1).sum::<usize>();
    if std::env::var_os("DECANT_BLESS").is_some() {
        let table: String = rows.iter().map(|row| format!("{row}\n")).collect();
        std::fs::write(PAGE, format!("{}{table}{}", &page[..begin], &page[end..])).unwrap();
    } else {
        let known: Vec<&str> = page[begin..end].lines().filter(|row| rows.iter().any(|new| new == row)).collect();
        assert_eq!(known, rows, "what was found differs from {PAGE}: DECANT_BLESS=1 make model writes it anew");
    }
}
