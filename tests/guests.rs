//! The whole product on real virtual machines: the program itself is run, killed and asked, and an outside ledger of
//! acknowledged writes says what really happened to the disks.
//!
//! `DECANT_KILLS` sets how often `decant apply` is killed, `DECANT_SEED` when; both are printed.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod guests {
    pub(crate) mod chaos;
    pub(crate) mod fleet;
    pub(crate) mod witness;
}

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::Duration;

use decant_schema::migration::{Awaits, MigrationOutcome};
use guests::fleet::RealFleet;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rustix::process::{Pid, Signal, kill_process};

/// Kills in an ordinary run of the tests; `make chaos` asks for fifty.
const KILLS: u32 = 6;

/// Faults in an ordinary run of the tests; `make chaos` asks for two hundred.
const FAULTS: u32 = 8;

/// A number from the environment.
fn number(name: &str, default: u32) -> u32 {
    std::env::var(name).map_or(default, |value| value.parse().unwrap())
}

#[test]
fn the_demonstration_ends_well_and_leaves_nothing() {
    if RealFleet::cannot_be_made() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let output = guests::fleet::decant().arg("demo").env("TMPDIR", folder.path()).output().unwrap();
    let (said, told) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}\n{told}");
    assert!(said.contains("lost writes: 0"), "{said}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "files were left behind");
}

/// A newer QEMU offers its disks otherwise than an older one: a ring of 1024 entries, not of 256.
#[test]
fn the_demonstration_ends_well_on_a_newer_qemu() {
    let Some(programs) = std::env::var_os("DECANT_TEST_QEMU") else {
        return println!(
            "skipped: DECANT_TEST_QEMU names no folder with another QEMU (scripts/qemu-beside.sh makes one)"
        );
    };
    if RealFleet::cannot_be_made() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = std::env::join_paths(
        std::iter::once(programs.into()).chain(std::env::split_paths(&std::env::var_os("PATH").unwrap())),
    );
    let output =
        guests::fleet::decant().arg("demo").env("TMPDIR", folder.path()).env("PATH", path.unwrap()).output().unwrap();
    let (said, told) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}\n{told}");
    assert!(said.contains("lost writes: 0"), "{said}");
}

#[test]
fn the_demonstration_leaves_nothing_where_it_is_interrupted() {
    if RealFleet::cannot_be_made() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut demo = guests::fleet::decant();
    demo.arg("demo").env("TMPDIR", folder.path()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut demo = demo.spawn().unwrap();
    let mut told = BufReader::new(demo.stderr.take().unwrap()).lines();
    // Its guests run by then, and the first of them is on its way.
    assert!(told.any(|line| line.unwrap().contains("pre-migrating")), "no migration begins");
    kill_process(Pid::from_child(&demo), Signal::TERM).unwrap();
    let told: Vec<String> = told.map(Result::unwrap).collect();
    assert_eq!(demo.wait().unwrap().code(), Some(1), "{told:?}");
    assert!(told.iter().any(|line| line.contains("it was interrupted")), "{told:?}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "files were left behind");
    assert_eq!(guests::fleet::processes_naming(folder.path()), Vec::<String>::new());
}

#[test]
fn what_a_demonstration_that_was_killed_leaves_is_swept_by_the_next() {
    if RealFleet::cannot_be_made() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let demo = || {
        let mut demo = guests::fleet::decant();
        demo.arg("demo").env("TMPDIR", folder.path()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut demo = demo.spawn().unwrap();
        let told = BufReader::new(demo.stderr.take().unwrap()).lines().map(Result::unwrap);
        (demo, told)
    };
    let (mut killed, mut told) = demo();
    assert!(told.any(|line| line.contains("pre-migrating")), "no migration begins");
    killed.kill().unwrap();
    killed.wait().unwrap();
    let left = std::fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
    assert!(!guests::fleet::processes_naming(&left).is_empty(), "its guests run on");
    let (mut next, mut told) = demo();
    let swept = told.find(|line| line.contains("a killed demonstration")).expect("it says what it sweeps");
    assert!(swept.contains("6 virtual machines"), "{swept}");
    assert!(!left.exists());
    assert_eq!(guests::fleet::processes_naming(&left), Vec::<String>::new());
    kill_process(Pid::from_child(&next), Signal::TERM).unwrap();
    told.for_each(drop);
    next.wait().unwrap();
}

#[test]
fn an_evacuation_killed_at_random_moments_loses_nothing_and_ends() {
    if RealFleet::cannot_be_made() {
        return;
    }
    let (kills, seed) = (number("DECANT_KILLS", KILLS), number("DECANT_SEED", 1));
    println!("DECANT_KILLS={kills} DECANT_SEED={seed}");
    let mut random = ChaCha8Rng::seed_from_u64(seed.into());
    let mut killed = 0;
    while killed < kills {
        let fleet = RealFleet::make();
        let plan = fleet.plan_evacuation("oak");
        // Once there have been kills enough, the evacuation is left to end.
        while !fleet.apply_for(&plan, (killed < kills).then(|| Duration::from_millis(random.random_range(20..1500)))) {
            killed += 1;
            println!("kill {killed}");
        }
        fleet.check_all_confirmed(&plan);
        fleet.check_disks();
    }
}

#[test]
fn whatever_happens_to_hosts_that_are_emptied_nothing_is_lost_or_left_behind() {
    if RealFleet::cannot_be_made() {
        return;
    }
    let (faults, seed) = (number("DECANT_FAULTS", FAULTS), number("DECANT_SEED", 1));
    println!("DECANT_FAULTS={faults} DECANT_SEED={seed}");
    guests::chaos::run(faults, seed.into());
}

#[test]
fn a_rolling_plan_empties_a_host_and_brings_its_instances_home_when_told_to() {
    if RealFleet::cannot_be_made() {
        return;
    }
    let fleet = RealFleet::make();
    let plan = fleet.plan(&["rolling", "--host", "oak", "--window", "1h", "--outage", "20m", "--way-back"]);
    let apply = |words: &[&str]| {
        let output = fleet.apply(&plan).args(words).stdout(Stdio::piped()).stderr(Stdio::piped()).output().unwrap();
        let (said, told) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
        (output.status.code(), said, told)
    };
    let (code, _, told) = apply(&[]);
    assert!(code == Some(2) && told.contains("round 1 comes next"), "{told}");
    let (code, _, told) = apply(&["--round", "1", "--home"]);
    assert!(code == Some(2) && told.contains("round 1 is not done"), "{told}");
    let (code, said, told) = apply(&["--round", "1"]);
    assert!(code == Some(0) && said.contains("oak is empty now."), "{said}{told}");
    assert!(said.contains("--round 1 --home"), "{said}");
    let (code, said, told) = apply(&["--round", "1", "--home"]);
    assert!(code == Some(0) && said.contains("This was the last round."), "{said}{told}");
    fleet.check_disks();
}

#[test]
fn an_aborted_migration_leaves_the_instance_as_it_was() {
    if RealFleet::cannot_be_made() {
        return;
    }
    let fleet = RealFleet::make();
    let plan = fleet.plan_evacuation("oak");
    // So slow that its bases are still being copied when the abort comes.
    let mut apply = fleet.apply(&plan).args(["--bandwidth", "4"]).spawn().unwrap();
    let first = fleet.first_migration();
    let aborted = fleet.decide("abort", &first);
    apply.kill().unwrap();
    apply.wait().unwrap();
    assert_eq!(aborted.state.outcome(), Some(MigrationOutcome::Aborted), "{aborted:?}");
    assert_eq!(aborted.standing(), &aborted.subject.old);
    fleet.check_disks();
}

/// `apply` is killed while one instance has arrived and another is on its way; then a person decides about the first.
#[test]
fn a_decision_about_one_instance_leaves_another_exactly_as_a_cut_apply_left_it() {
    if RealFleet::cannot_be_made() {
        return;
    }
    let fleet = RealFleet::make();
    let plan = fleet.plan_evacuation("oak");
    let (mut apply, first, copying) = fleet.apply_halfway(&plan);
    apply.kill().unwrap();
    apply.wait().unwrap();
    let left = fleet.migration_that(|migration| migration.id == copying.id, 1);
    let traces = fleet.traces(&left);
    assert_eq!(fleet.decide("revert", &first.id).state.outcome(), Some(MigrationOutcome::Reverted));
    assert_eq!(fleet.migration_that(|migration| migration.id == left.id, 1), left);
    assert_eq!(fleet.traces(&left), traces);
    assert_eq!(fleet.decide("abort", &left.id).state.outcome(), Some(MigrationOutcome::Aborted));
    fleet.check_disks();
}

/// A process group that loses its last parent while it stands still is hung up on by the kernel.
#[test]
fn a_guest_that_stands_still_as_its_starter_ends_lives_on() {
    if RealFleet::cannot_be_made() {
        return;
    }
    let fleet = RealFleet::make();
    let plan = fleet.plan_evacuation("oak");
    let (mut apply, arrived, copying) = fleet.apply_halfway(&plan);
    let there = fleet.processes().into_iter().find(|one| one.instance == arrived.subject.instance).unwrap();
    let there = Pid::from_raw(there.id).unwrap();
    kill_process(there, Signal::STOP).unwrap();
    apply.kill().unwrap();
    apply.wait().unwrap();
    kill_process(there, Signal::CONT).unwrap();
    fleet.writes(2);
    assert_eq!(fleet.decide("abort", &copying.id).state.outcome(), Some(MigrationOutcome::Aborted));
    assert_eq!(fleet.decide("confirm", &arrived.id).state.outcome(), Some(MigrationOutcome::Confirmed));
    fleet.check_disks();
}

/// One instance at a time, by the planner's choice, by a person's, and by the host that is told first; what speaks against
/// a move is said.
#[test]
fn one_instance_is_moved_or_resized_without_a_plan() {
    if RealFleet::cannot_be_made() {
        return;
    }
    let fleet = RealFleet::make();
    let ask = |words: &[&str]| fleet.ask(&[words, &["--confirm", "manual", "--fleet-source", "fleet.json"]].concat());
    let (code, said) = ask(&["migrate", "cache-1", "--to", "oak", "--suspend"]);
    assert!(code == Some(0) && said.contains("cache-1 is on oak"), "{said}");
    assert_eq!(fleet.place_of("cache-1"), "oak");
    let first = fleet.migration_that(|_| true, 0);
    assert_eq!(fleet.decide("confirm", &first.id).state.outcome(), Some(MigrationOutcome::Confirmed));
    // The host that is told has no say in where the instance is; it asks the source.
    let (code, said) = ask(&["migrate", "cache-1", "--cast-to", "ash"]);
    assert!(code == Some(0) && said.contains("cache-1 is on ash"), "{said}");
    let back = fleet.migration_that(|_| true, 1);
    assert_eq!(fleet.decide("revert", &back.id).state.outcome(), Some(MigrationOutcome::Reverted));
    assert_eq!(fleet.place_of("cache-1"), "oak");
    let (code, said) = ask(&["migrate", "cache-1", "--cast-to", "oak"]);
    assert!(code == Some(2) && said.contains("nobody chose a target"), "{said}");
    let (code, said) = ask(&["migrate", "db-2"]);
    assert!(code == Some(3) && said.contains("too little headroom"), "{said}");
    let (code, said) = ask(&["migrate", "db-2", "--cast-to", "ash"]);
    assert!(code == Some(3) && said.contains("too little headroom"), "{said}");
    let (code, said) = ask(&["resize", "cache-2", "--flavor", "medium"]);
    assert!(code == Some(0) && said.contains("cache-2 is on ash"), "{said}");
    let resized = fleet.migration_that(|_| true, 2);
    assert!(resized.subject.in_place(), "{resized:?}");
    assert_eq!(fleet.decide("confirm", &resized.id).state.outcome(), Some(MigrationOutcome::Confirmed));
    fleet.check_disks();
}

/// A copy of a store, as a backup is one, does not know what its hosts did since; nothing of it is obeyed.
#[test]
fn a_store_that_knows_less_than_its_hosts_is_refused_until_it_takes_that_up() {
    if RealFleet::cannot_be_made() {
        return;
    }
    let fleet = RealFleet::make();
    let told = ["--fleet-source", "fleet.json", "--confirm", "manual"];
    let (code, said) = fleet.ask(&[&["migrate", "cache-1", "--to", "oak"], &told[..]].concat());
    assert_eq!(code, Some(0), "{said}");
    fleet.copy_store();
    let arrived = fleet.migration_that(|_| true, 0);
    assert_eq!(fleet.decide("confirm", &arrived.id).state.outcome(), Some(MigrationOutcome::Confirmed));
    let traces = fleet.traces_on("oak", "cache-1");
    for words in [&["migration", "revert", "cache-1"][..], &["migrate", "web-1", "--to", "elm", "--cold"]] {
        let (code, said) = fleet.ask_with("copy.db", words);
        assert!(code == Some(2) && said.contains("knows more than the store"), "{said}");
        assert!(said.contains("decant host take-over"), "{said}");
    }
    assert_eq!(fleet.traces_on("oak", "cache-1"), traces);
    let (code, said) = fleet.ask_with("copy.db", &["host", "take-over"]);
    assert!(code == Some(0) && said.contains("cache-1 was ordered about since"), "{said}");
    assert!(said.contains("Nothing was changed"), "{said}");
    let (code, said) = fleet.ask_with("copy.db", &["host", "take-over", "--yes"]);
    assert_eq!(code, Some(0), "{said}");
    let (code, said) = fleet.ask_with("copy.db", &["migrate", "cache-1", "--to", "elm", "--confirm", "manual"]);
    assert!(code == Some(0) && said.contains("cache-1 is on elm"), "{said}");
    let (code, said) = fleet.ask(&["migrate", "web-1", "--to", "elm", "--cold"]);
    assert!(code == Some(2) && said.contains("knows more than the store"), "{said}");
}

/// A move was under way of which a restored store knows nothing: its guest, stopped for the move, goes on.
#[test]
fn an_instance_that_a_forgotten_move_left_halted_goes_on_after_a_take_over() {
    if RealFleet::cannot_be_made() {
        return;
    }
    let fleet = RealFleet::make();
    let told = ["--fleet-source", "fleet.json", "--confirm", "now"];
    let (code, said) = fleet.ask(&[&["migrate", "cache-1", "--to", "oak"], &told[..]].concat());
    assert_eq!(code, Some(0), "{said}");
    fleet.copy_store();
    // So slow that its memory is still being copied when the kill comes.
    let mut moving = fleet.site_command(&["migrate", "cache-2", "--to", "elm", "--suspend", "--bandwidth", "16"]);
    let mut moving = moving.spawn().unwrap();
    let is_down = |fleet: &RealFleet| fleet.processes().iter().all(|one| one.instance.as_str() != "cache-2");
    fleet.migration_that(|migration| migration.state.name() == "migrating-step2" && is_down(&fleet), 1);
    moving.kill().unwrap();
    moving.wait().unwrap();
    fleet.restore_store();
    let (code, said) = fleet.ask(&["host", "take-over"]);
    assert!(code == Some(0) && said.contains("cache-2 was left halted on ash"), "{said}");
    assert!(is_down(&fleet), "a look changed something");
    let (code, said) = fleet.ask(&["host", "take-over", "--yes"]);
    assert_eq!(code, Some(0), "{said}");
    fleet.check_disks();
}

#[test]
fn a_dead_host_is_declared_dead_and_its_stale_copy_is_put_aside_when_it_is_back() {
    if RealFleet::cannot_be_made() {
        return;
    }
    let fleet = RealFleet::make();
    let told = ["--fleet-source", "fleet.json", "--confirm", "manual"];
    let (code, said) = fleet.ask(&[&["migrate", "cache-1", "--to", "oak"], &told[..]].concat());
    assert_eq!(code, Some(0), "{said}");
    let declare = ["host", "declare-dead", "elm", "--yes-it-is-dead", "elm"];
    let (code, said) = fleet.ask(&[&declare[..], &["--word-of", "Ada"]].concat());
    assert!(code == Some(2) && said.contains("db-2 run there"), "{said}");
    fleet.take_away("elm", &["db-2"]);
    let (code, said) = fleet.ask(&[&declare[..], &["--power-status", "echo Chassis Power is on"]].concat());
    assert!(code == Some(2) && said.contains("does not end in `off`"), "{said}");
    let (code, said) = fleet.ask(&["host", "declare-dead", "elm", "--word-of", "Ada"]);
    assert!(code == Some(2) && said.contains("--yes-it-is-dead elm"), "{said}");
    let (code, said) = fleet.ask(&[&declare[..], &["--power-status", "echo Chassis Power is off"]].concat());
    assert!(code == Some(0) && said.contains("its power reads back"), "{said}");
    let (code, said) = fleet.ask(&["migration", "confirm", "cache-1"]);
    assert_eq!(code, Some(0), "{said}");
    let (_, said) = fleet.ask(&["migration", "show", "cache-1"]);
    assert!(said.contains("elm was declared dead at"), "{said}");
    fleet.bring_back("elm");
    let (code, said) = fleet.ask(&["migrate", "cache-1", "--to", "elm", "--confirm", "manual"]);
    assert!(code == Some(0) && said.contains("cache-1 is on elm"), "{said}");
    assert!(fleet.host("elm").join("discarded/cache-1.1").is_dir(), "its stale copy was not put aside");
    assert!(fleet.host("elm").join("instances/db-2").is_dir(), "what lives there was put aside");
}

#[test]
fn a_guest_that_somebody_started_by_hand_is_named_before_anything_begins() {
    if RealFleet::cannot_be_made() {
        return;
    }
    let fleet = RealFleet::make();
    let by_hand = fleet.started_by_hand("oak", "web-1");
    let before = fleet.traces_on("oak", "web-1");
    let told = ["--fleet-source", "fleet.json"];
    let (code, said) = fleet.ask(&[&["migrate", "web-1", "--to", "elm", "--cold"], &told[..]].concat());
    assert!(code == Some(2) && said.contains("it was not started here; stop that one first"), "{said}");
    fleet.plan_evacuation("oak");
    let (code, said) = fleet.ask(&[&["apply", "plan.json"], &told[..]].concat());
    assert!(code == Some(2) && said.contains("it was not started here; stop that one first"), "{said}");
    assert_eq!((fleet.traces_on("oak", "web-1"), fleet.migrations()), (before, 0));
    drop(by_hand);
}

#[test]
fn a_confirmation_removes_nothing_where_the_target_has_lost_its_files() {
    if RealFleet::cannot_be_made() {
        return;
    }
    let fleet = RealFleet::make();
    let plan = fleet.plan_evacuation("oak");
    let mut apply = fleet.apply(&plan);
    apply.args(["--confirm", "manual", "--max-migrations", "1"]);
    let mut apply = apply.spawn().unwrap();
    let arrived = fleet.migration_that(|migration| matches!(migration.turn(), Awaits::Decision { .. }), 0);
    apply.kill().unwrap();
    apply.wait().unwrap();
    fleet.lose_overlay(&arrived);
    let (_, files) = fleet.traces(&arrived);
    let (code, said) = fleet.ask(&["migration", "confirm", &arrived.id.to_string()]);
    assert_eq!(code, Some(2), "{said}");
    assert!(said.contains("its overlay is not there") && said.contains("revert"), "{said}");
    assert_eq!(fleet.traces(&arrived).1, files, "what leads back is there");
    assert_eq!(fleet.decide("revert", &arrived.id).state.outcome(), Some(MigrationOutcome::Reverted));
}
