#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use decant_schema::fleet::Resources;
use decant_schema::migration::{
    Attributes, Cause, Digest, DiskFile, Figures, Generation, MigrationId, Patience, Terms, Work,
};
use uuid::Uuid;

use super::*;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn attributes(host: &str) -> Attributes {
    Attributes { host: host.into(), flavor: "small".into(), claim: Resources::new(), own_claim: false }
}

fn migration(mode: MoveMode, target: &str, state: MigrationState) -> Migration {
    Migration {
        id: MigrationId(Uuid::nil()),
        line: None,
        subject: Subject {
            instance: "vm".into(),
            mode,
            runs: true,
            storage: None,
            old: attributes("a"),
            new: attributes(target),
            begun: Generation(7),
            heartbeat: None,
        },
        terms: Terms { lease_ms: 1000, confirm_after_ms: Some(5000), patience: Patience::USUAL },
        state,
        generation: Generation(7),
        cause: None,
        death: None,
        lease_until: None,
        figures: Figures::default(),
        created_at: NOW,
        updated_at: NOW,
    }
}

fn manifest(file: DiskFile) -> Manifest {
    Manifest::from([(file, Digest::of(&blake3::hash(file.to_string().as_bytes())))])
}

fn reverted(turn: Party, then: Option<Party>) -> MigrationState {
    MigrationState::Reverted { turn, then, started: true, seen: true, outcome: MigrationOutcome::Aborted }
}

/// The way back from where the target was not told to build.
fn not_started() -> MigrationState {
    let (turn, then, outcome) = (Party::Source, Some(Party::Target), MigrationOutcome::Aborted);
    MigrationState::Reverted { turn, then, started: false, seen: true, outcome }
}

fn due(assurance: Assurance) -> MigrationState {
    MigrationState::VerifyMigration { confirm: Confirm::Due { assurance } }
}

fn merging(failed: u32) -> MigrationState {
    MigrationState::VerifyMigration { confirm: Confirm::Merging { failed } }
}

fn later_order() -> Overtaken {
    Overtaken { host: "a".into(), asked: Generation(7), held: Generation(9) }
}

fn overtaken_by(stood: Party) -> MigrationState {
    MigrationState::Overtaken { by: later_order(), stood }
}

fn states() -> Vec<(&'static str, MigrationState)> {
    let automatic_at = Some(after(NOW, 5000));
    vec![
        ("pre", MigrationState::PreMigrating),
        ("migrating", MigrationState::Migrating),
        ("step2", MigrationState::MigratingStep2 { copied: manifest(DiskFile::BASE) }),
        ("post", MigrationState::PostMigrating { manifest: manifest(DiskFile::BASE) }),
        ("awaited", MigrationState::VerifyMigration { confirm: Confirm::Awaited { automatic_at } }),
        ("given", MigrationState::VerifyMigration { confirm: Confirm::Given }),
        ("target,source", reverted(Party::Target, Some(Party::Source))),
        ("target", reverted(Party::Target, None)),
        ("source,target", not_started()),
        ("look-back", reverted(Party::Source, Some(Party::Target))),
        ("source", reverted(Party::Source, None)),
        ("confirmed", MigrationState::Finished { outcome: MigrationOutcome::Confirmed }),
        ("aborted", MigrationState::Finished { outcome: MigrationOutcome::Aborted }),
        ("due", due(Assurance::Runs)),
        ("due-anyway", due(Assurance::Whole)),
        ("due-lives", due(Assurance::Lives)),
        ("merging", merging(0)),
        ("merging-last", merging(MERGES_MAX - 1)),
        ("overtaken", overtaken_by(Party::Source)),
        ("overtaken-there", overtaken_by(Party::Target)),
    ]
}

fn events() -> Vec<MigrationEvent> {
    let cause = Cause::Failed { host: "a".into(), work: Work::Snapshot, detail: "disk full".to_owned() };
    let reports = [
        Report::Snapshotted,
        Report::BaseCopied { copied: manifest(DiskFile::BASE) },
        Report::RestCopied { copied: manifest(DiskFile::OVERLAY) },
        Report::Started { but: None },
        Report::Started { but: Some(cause.clone()) },
        Report::Seen,
        Report::Merged,
        Report::Executed,
        Report::Overtaken { by: later_order() },
        Report::SourceDestroyed,
        Report::TargetCleaned,
        Report::SourceRestored,
        Report::Refused { cause: cause.clone() },
        Report::Undecided { cause: cause.clone() },
        Report::Failed { cause },
    ];
    let wishes = [Wish::Confirm, Wish::ConfirmAnyway, Wish::Revert, Wish::Abort];
    let mut events: Vec<_> = reports.map(MigrationEvent::Reported).into();
    events.extend(wishes.map(MigrationEvent::Asked));
    events.extend([MigrationEvent::WindowEnded, MigrationEvent::LeaseEnded]);
    events
}

/// A state in a word or two, as in the table below.
fn brief(state: &MigrationState) -> String {
    match state {
        MigrationState::PreMigrating => "pre".to_owned(),
        MigrationState::Migrating => "migrating".to_owned(),
        MigrationState::MigratingStep2 { .. } => "step2".to_owned(),
        MigrationState::PostMigrating { .. } => "post".to_owned(),
        MigrationState::VerifyMigration { confirm: Confirm::Awaited { .. } } => "awaited".to_owned(),
        MigrationState::VerifyMigration { confirm: Confirm::Due { assurance } } => match assurance {
            Assurance::Lives => "due-lives".to_owned(),
            Assurance::Runs => "due".to_owned(),
            Assurance::Whole => "due-anyway".to_owned(),
        },
        MigrationState::VerifyMigration { confirm: Confirm::Merging { failed } } => format!("merging:{failed}"),
        MigrationState::Overtaken { .. } => "overtaken".to_owned(),
        MigrationState::VerifyMigration { confirm: Confirm::Given } => "given".to_owned(),
        MigrationState::Reverted { turn: Party::Source, then: Some(_), started: true, outcome, .. } => {
            format!("{outcome}:look-back")
        }
        MigrationState::Reverted { turn, then, outcome, .. } => {
            let then = then.map_or(String::new(), |party| format!(",{party:?}"));
            format!("{outcome}:{turn:?}{then}").to_lowercase()
        }
        MigrationState::Finished { outcome } => outcome.to_string(),
    }
}

/// Every state with every event, for a cold move between two hosts. What is not listed is refused.
const TABLE: &[(&str, &str, &str)] = &[
    ("pre", "snapshotted", "migrating"),
    ("pre", "refused", "failed"),
    ("pre", "failed", "failed:source,target"),
    ("pre", "abort", "aborted:source,target"),
    ("pre", "lease-ended", "pre"),
    ("migrating", "base-copied", "step2"),
    ("migrating", "failed", "failed:source,target"),
    ("migrating", "abort", "aborted:source,target"),
    ("migrating", "lease-ended", "migrating"),
    ("step2", "rest-copied", "post"),
    ("step2", "failed", "failed:source,target"),
    ("step2", "abort", "aborted:source,target"),
    ("step2", "lease-ended", "step2"),
    ("post", "started", "awaited"),
    ("post", "started-but", "awaited"),
    ("post", "failed", "failed:look-back"),
    ("post", "abort", "aborted:look-back"),
    ("post", "lease-ended", "post"),
    ("awaited", "confirm", "due"),
    ("awaited", "confirm-anyway", "due-anyway"),
    ("awaited", "window-ended", "due-lives"),
    ("awaited", "revert", "reverted:look-back"),
    ("due", "seen", "given"),
    ("due", "failed", "awaited"),
    ("due", "confirm", "due"),
    ("due", "confirm-anyway", "due-anyway"),
    ("due", "revert", "reverted:look-back"),
    ("due", "lease-ended", "due"),
    ("due-anyway", "seen", "given"),
    ("due-anyway", "failed", "awaited"),
    ("due-anyway", "confirm", "due"),
    ("due-anyway", "confirm-anyway", "due-anyway"),
    ("due-anyway", "revert", "reverted:look-back"),
    ("due-anyway", "lease-ended", "due-anyway"),
    ("due-lives", "seen", "given"),
    ("due-lives", "failed", "awaited"),
    ("due-lives", "confirm", "due"),
    ("due-lives", "confirm-anyway", "due-anyway"),
    ("due-lives", "revert", "reverted:look-back"),
    ("due-lives", "lease-ended", "due-lives"),
    ("given", "source-destroyed", "merging:0"),
    ("given", "failed", "given"),
    ("given", "confirm", "given"),
    ("given", "confirm-anyway", "given"),
    ("given", "lease-ended", "given"),
    ("merging", "merged", "confirmed"),
    ("merging", "failed", "merging:1"),
    ("merging", "confirm", "merging:0"),
    ("merging", "confirm-anyway", "merging:0"),
    ("merging", "lease-ended", "merging:0"),
    ("merging-last", "merged", "confirmed"),
    ("merging-last", "failed", "confirmed"),
    ("merging-last", "confirm", "merging:2"),
    ("merging-last", "confirm-anyway", "merging:2"),
    ("merging-last", "lease-ended", "merging:2"),
    ("overtaken", "abort", "aborted"),
    ("overtaken-there", "abort", "confirmed"),
    ("target,source", "target-cleaned", "aborted:source"),
    ("target,source", "executed", "awaited"),
    ("target,source", "undecided", "awaited"),
    ("target,source", "failed", "aborted:target,source"),
    ("target,source", "lease-ended", "aborted:target,source"),
    ("target,source", "abort", "aborted:target,source"),
    ("target", "target-cleaned", "aborted"),
    ("target", "executed", "awaited"),
    ("target", "undecided", "awaited"),
    ("target", "failed", "aborted:target"),
    ("target", "lease-ended", "aborted:target"),
    ("target", "abort", "aborted:target"),
    ("source,target", "source-restored", "aborted:target"),
    ("source,target", "undecided", "awaited"),
    ("source,target", "failed", "aborted:source,target"),
    ("source,target", "lease-ended", "aborted:source,target"),
    ("source,target", "abort", "aborted:source,target"),
    ("source", "source-restored", "aborted"),
    ("look-back", "seen", "aborted:target,source"),
    ("look-back", "undecided", "awaited"),
    ("look-back", "failed", "aborted:look-back"),
    ("look-back", "lease-ended", "aborted:look-back"),
    ("look-back", "abort", "aborted:look-back"),
    ("source", "undecided", "awaited"),
    ("source", "failed", "aborted:source"),
    ("source", "lease-ended", "aborted:source"),
    ("source", "abort", "aborted:source"),
    ("confirmed", "confirm", "confirmed"),
    ("confirmed", "confirm-anyway", "confirmed"),
    ("aborted", "abort", "aborted"),
    ("pre", "overtaken", "overtaken"),
    ("migrating", "overtaken", "overtaken"),
    ("step2", "overtaken", "overtaken"),
    ("post", "overtaken", "overtaken"),
    ("due", "overtaken", "overtaken"),
    ("due-anyway", "overtaken", "overtaken"),
    ("due-lives", "overtaken", "overtaken"),
    ("given", "overtaken", "overtaken"),
    ("merging", "overtaken", "overtaken"),
    ("merging-last", "overtaken", "overtaken"),
    ("target,source", "overtaken", "overtaken"),
    ("target", "overtaken", "overtaken"),
    ("source,target", "overtaken", "overtaken"),
    ("source", "overtaken", "overtaken"),
    ("look-back", "overtaken", "overtaken"),
];

#[test]
fn every_state_answers_every_event_as_the_table_says() {
    for (name, state) in states() {
        for event in events() {
            let migration = migration(MoveMode::Cold, "b", state.clone());
            let expected = TABLE.iter().find(|row| row.0 == name && row.1 == event.name()).map(|row| row.2);
            let answer = step(&migration, event.clone(), NOW);
            let reached = answer.as_ref().ok().map(|(state, _)| brief(state));
            assert_eq!(reached.as_deref(), expected, "{name} × {}", event.name());
            if let Err(illegal) = answer {
                assert_eq!((illegal.state, illegal.event), (state.name(), event.name()), "the refusal names both");
            }
        }
    }
}

#[test]
fn a_new_state_casts_to_whose_turn_it_is_with_its_own_generation() {
    for (_, state) in states() {
        for event in events() {
            let before = migration(MoveMode::Cold, "b", state.clone());
            let Ok((next, casts)) = step(&before, event, NOW) else { continue };
            let generation = if next == state { before.generation } else { before.generation.next() };
            for cast in casts {
                let Cast::Work(cast) = cast else { panic!("step casts work only") };
                let Awaits::Agent { host, work } = next.awaits(&before.subject) else {
                    panic!("{} casts though nobody's turn it is", next.name())
                };
                assert_eq!((cast.to, cast.work, cast.generation), (host, work, generation));
                assert_eq!(cast.lease_until, after(NOW, 1000));
            }
        }
    }
}

#[test]
fn the_end_of_a_lease_casts_again_wherever_an_agent_is_awaited() {
    for (name, state) in states() {
        let waiting = migration(MoveMode::Cold, "b", state.clone());
        if let Awaits::Agent { host, .. } = waiting.turn() {
            let (same, casts) = step(&waiting, MigrationEvent::LeaseEnded, NOW).unwrap();
            assert_eq!(same, state, "{name}");
            assert_eq!(casts.iter().map(Cast::to).collect::<Vec<_>>(), [&host], "{name}");
        }
    }
}

/// The states a migration goes through when everybody does what it is asked, and it is confirmed.
fn straight_through(mode: MoveMode, target: &str) -> Vec<String> {
    let mut migration = migration(mode, target, MigrationState::first(mode));
    let mut path = vec![brief(&migration.state)];
    while migration.state.outcome().is_none() {
        let event = match migration.turn() {
            Awaits::Agent { work, .. } => MigrationEvent::Reported(match work {
                Work::Snapshot => Report::Snapshotted,
                Work::CopyBase => Report::BaseCopied { copied: Manifest::new() },
                Work::StopAndCopy => Report::RestCopied { copied: Manifest::new() },
                Work::Build { .. } => Report::Started { but: None },
                Work::LookAgain { .. } | Work::LookBack => Report::Seen,
                Work::Merge => Report::Merged,
                Work::DestroySource => Report::SourceDestroyed,
                Work::CleanTarget { .. } => Report::TargetCleaned,
                Work::RestoreSource { .. } => Report::SourceRestored,
            }),
            Awaits::Decision { .. } => MigrationEvent::Asked(Wish::Confirm),
            Awaits::Repair | Awaits::Nobody => break,
        };
        (migration.state, _) = step(&migration, event, NOW).unwrap();
        path.push(brief(&migration.state));
    }
    path
}

#[test]
fn a_move_goes_through_the_states_by_name() {
    let whole = ["pre", "migrating", "step2", "post", "awaited", "due", "given", "merging:0", "confirmed"];
    assert_eq!(straight_through(MoveMode::Cold, "b"), whole);
    assert_eq!(straight_through(MoveMode::Suspend, "b"), whole);
}

#[test]
fn a_live_move_is_confirmed_by_arriving() {
    let path = ["pre", "migrating", "step2", "post", "given", "merging:0", "confirmed"];
    assert_eq!(straight_through(MoveMode::Live, "b"), path);
}

#[test]
fn a_resize_in_place_destroys_nothing() {
    let path = ["pre", "migrating", "step2", "post", "awaited", "confirmed"];
    assert_eq!(straight_through(MoveMode::Cold, "a"), path);
    let resized = migration(MoveMode::Cold, "a", states()[4].1.clone());
    let (state, _) = step(&resized, MigrationEvent::WindowEnded, NOW).unwrap();
    assert_eq!(brief(&state), "confirmed", "nothing is destroyed, so nobody is asked");
    let (state, _) = step(&resized, MigrationEvent::Asked(Wish::Revert), NOW).unwrap();
    assert_eq!(brief(&state), "reverted:source", "one host has one turn");
}

#[test]
fn a_rebuild_asks_nothing_of_its_dead_source() {
    assert_eq!(straight_through(MoveMode::Rebuild, "b"), ["post", "awaited", "confirmed"]);
    for (_, state) in states().into_iter().skip(3).take(2) {
        let rebuild = migration(MoveMode::Rebuild, "b", state);
        for wish in [Wish::Abort, Wish::Revert] {
            if let Ok((state, _)) = step(&rebuild, MigrationEvent::Asked(wish), NOW) {
                assert!(brief(&state).ends_with(":target"), "{}", brief(&state));
            }
        }
    }
}

#[test]
fn memory_saved_before_the_target_wrote_to_a_shared_disk_is_not_used() {
    let mut shared = migration(MoveMode::Suspend, "b", states()[3].1.clone());
    shared.subject.storage = Some("pool".into());
    (shared.state, _) = step(&shared, MigrationEvent::Asked(Wish::Abort), NOW).unwrap();
    (shared.state, _) = step(&shared, MigrationEvent::Reported(Report::Seen), NOW).unwrap();
    (shared.state, _) = step(&shared, MigrationEvent::Reported(Report::TargetCleaned), NOW).unwrap();
    let Awaits::Agent { work, .. } = shared.turn() else { panic!("the source is to restore it") };
    assert_eq!(work, Work::RestoreSource { memory_fits: false, seen: true });
}

fn prep(target: Option<&str>) -> Prep {
    Prep {
        instance: "vm".into(),
        source: "a".into(),
        target: target.map(HostName::from),
        mode: MoveMode::Cold,
        flavor: None,
    }
}

#[test]
fn both_ways_in_lead_to_the_source_and_the_rest_is_refused() {
    let proxied = enter(&"b".into(), &prep(None)).unwrap();
    assert_eq!(proxied, Entry::Proxy(prep(Some("b"))));
    let Entry::Proxy(passed_on) = proxied else { unreachable!() };
    assert_eq!(enter(&"a".into(), &passed_on), Ok(Entry::Begin), "what the target passes on, the source begins");
    assert_eq!(enter(&"a".into(), &prep(Some("b"))), Ok(Entry::Begin));
    assert_eq!(enter(&"a".into(), &prep(None)), Err(PrepRefusal::NoTarget { source_host: "a".into() }));
    assert_eq!(enter(&"b".into(), &prep(Some("b"))), Ok(Entry::Proxy(prep(Some("b")))), "told twice, the same");
    let neither = enter(&"c".into(), &prep(Some("b"))).unwrap_err();
    assert_eq!(neither.to_string(), "c is neither the source a nor the target b; ask one of them");
}

#[test]
fn a_report_is_awaited_from_whose_turn_it_is_and_about_this_generation() {
    let source_s_turn = migration(MoveMode::Cold, "b", MigrationState::PreMigrating);
    assert!(is_awaited(&source_s_turn, &"a".into(), Generation(7)));
    for (host, generation) in [("b", 7), ("a", 6), ("a", 8)] {
        assert!(!is_awaited(&source_s_turn, &host.into(), Generation(generation)), "{host}, {generation}");
    }
}

#[test]
fn what_failed_is_not_asked_for_again_at_once() {
    let cause = Cause::Failed { host: "a".into(), work: Work::DestroySource, detail: "disk full".to_owned() };
    let given = MigrationState::VerifyMigration { confirm: Confirm::Given };
    let migration = migration(MoveMode::Cold, "b", given.clone());
    let followed = step(&migration, MigrationEvent::Reported(Report::Failed { cause }), NOW);
    assert_eq!(followed, Ok((given, Vec::new())), "its lease ends, and then it is");
}

#[test]
fn what_arrived_in_one_layer_is_not_merged() {
    let given = MigrationState::VerifyMigration { confirm: Confirm::Given };
    let mut shared = migration(MoveMode::Cold, "b", given);
    shared.subject.storage = Some("pool".into());
    let (state, _) = step(&shared, MigrationEvent::Reported(Report::SourceDestroyed), NOW).unwrap();
    assert_eq!(state, MigrationState::Finished { outcome: MigrationOutcome::Confirmed });
}
