use decant_schema::fleet::Resources;
use decant_schema::id::ResourceClass;
use decant_schema::migration::{Attributes, Digest, MigrationId, Patience};
use decant_schema::plan::MoveMode;
use jiff::Timestamp;
use uuid::Uuid;

use super::*;

const BEGUN: Generation = Generation(7);

fn attributes(host: &str, memory: u64) -> Attributes {
    let claim = Resources::from([(ResourceClass::new(ResourceClass::MEMORY_MB), memory)]);
    Attributes { host: host.into(), flavor: "small".into(), claim, own_claim: false }
}

fn order(work: Work) -> WorkCast {
    let subject = Subject {
        instance: "vm".into(),
        mode: MoveMode::Cold,
        runs: true,
        storage: None,
        old: attributes("a", 8),
        new: attributes("b", 8),
        begun: BEGUN,
        heartbeat: None,
    };
    let (migration, generation, lease_until) = (MigrationId(Uuid::nil()), Generation(9), Timestamp::MAX);
    let patience = Patience::USUAL;
    WorkCast { to: "b".into(), migration, generation, lease_until, subject, patience, work }
}

fn facts() -> CopyFacts {
    let size = GuestSize::from(&attributes("a", 8).claim);
    CopyFacts { size, disks: 1, frozen: true, memory: false, mark: BEGUN, ended: Ending::Unknown, mute: false }
}

fn found(copy: Copy, executed: u64) -> Found {
    let held = Held { fence: Generation(9), executed: Generation(executed), copy };
    Found { held, health: Some(Health::default()) }
}

fn manifest() -> Manifest {
    let digest = |file: DiskFile| (file, Digest::of(&blake3::hash(file.to_string().as_bytes())));
    [DiskFile::BASE, DiskFile::OVERLAY].map(digest).into()
}

fn cause() -> Cause {
    Cause::Failed { host: "b".into(), work: Work::Snapshot, detail: "no room".to_owned() }
}

fn effects(verdict: Verdict) -> Vec<Effect> {
    match verdict {
        Verdict::Do(effects, _) => effects,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_arrived_is_verified_before_it_is_built_and_built_before_it_starts() {
    let size = facts().size;
    for copy in [Copy::Incoming, Copy::Nothing] {
        let built = effects(decide(&order(Work::Build { manifest: manifest() }), &found(copy, 0)));
        assert_eq!(built, [Effect::Verify, Effect::ForgetMemory, Effect::Create(size), Effect::Start(BEGUN)]);
    }
    let again = effects(decide(&order(Work::Build { manifest: manifest() }), &found(Copy::Running(facts()), 7)));
    assert_eq!(again, [Effect::Start(BEGUN)], "what runs may have written since: it is not compared");
}

#[test]
fn a_memory_that_was_sent_along_is_kept() {
    let mut sent = manifest();
    sent.insert(DiskFile::Memory, Digest::of(&blake3::hash(b"memory")));
    let built = effects(decide(&order(Work::Build { manifest: sent }), &found(Copy::Incoming, 0)));
    assert!(!built.contains(&Effect::ForgetMemory), "{built:?}");
}

#[test]
fn what_runs_is_not_destroyed_at_its_source_nor_what_is_started_meanwhile() {
    let destroy = Effect::Destroy(Discard::Everything);
    let runs = found(Copy::Running(facts()), 0);
    assert!(matches!(decide(&order(Work::DestroySource), &runs), Verdict::Fail(_)));
    assert!(may(&order(Work::DestroySource), destroy, &runs.held).is_err());
    for copy in [Copy::Stopped(facts()), Copy::Incoming, Copy::Nothing] {
        assert_eq!(effects(decide(&order(Work::DestroySource), &found(copy.clone(), 0))), [destroy]);
        assert_eq!(may(&order(Work::DestroySource), destroy, &found(copy, 0).held), Ok(()));
    }
    let clean = order(Work::CleanTarget { keep_writes: true, unless_executed: false });
    assert_eq!(may(&clean, Effect::Destroy(Discard::KeepOverlay), &runs.held), Ok(()), "a revert ends the new one");
}

/// An instance of that name that was defined here since, or that an earlier migration left.
fn another() -> [Copy; 4] {
    let facts = |mark| CopyFacts { mark: Generation(mark), ..facts() };
    [Copy::Stopped(facts(0)), Copy::Running(facts(0)), Copy::Stopped(facts(6)), Copy::Running(facts(6))]
}

#[test]
fn no_order_that_comes_again_touches_an_instance_that_this_migration_did_not_make() {
    let clean = |keep_writes| order(Work::CleanTarget { keep_writes, unless_executed: false });
    for copy in another() {
        let found = found(copy, 7);
        for (order, report) in [
            (clean(true), Report::TargetCleaned),
            (clean(false), Report::TargetCleaned),
            (order(Work::DestroySource), Report::SourceDestroyed),
        ] {
            assert_eq!(decide(&order, &found), Verdict::Do(Vec::new(), report), "{:?}: {found:?}", order.work);
            // Nor where it was defined after the look.
            assert!(may(&order, Effect::Destroy(Discard::KeepOverlay), &found.held).is_err());
        }
        let built = decide(&order(Work::Build { manifest: manifest() }), &found);
        assert!(matches!(built, Verdict::Fail(_)), "{built:?}: {found:?}");
    }
    // On a shared disk nothing was frozen, and what was there first bears no mark.
    let mut shared = order(Work::DestroySource);
    shared.subject.storage = Some("pool".into());
    let unmarked = found(Copy::Stopped(CopyFacts { mark: Generation(0), ..facts() }), 0);
    assert_eq!(effects(decide(&shared, &unmarked)), [Effect::Destroy(Discard::Everything)]);
}

#[test]
fn where_the_old_copy_is_lost_a_person_decides() {
    let back = [order(Work::LookBack), order(Work::RestoreSource { memory_fits: true, seen: true })];
    let torn = Health { disk: Some("its base is not there".to_owned()), ..Health::default() };
    let torn = Found { health: Some(torn), ..found(Copy::Stopped(facts()), 0) };
    let unseen = Found { health: None, ..found(Copy::Stopped(facts()), 0) };
    for order in &back {
        for found in [found(Copy::Nothing, 0), found(Copy::Incoming, 0), torn.clone(), unseen.clone()] {
            let verdict = decide(order, &found);
            assert!(matches!(verdict, Verdict::Leave(_)), "{:?}: {found:?}: {verdict:?}", order.work);
        }
        for copy in [Copy::Stopped(facts()), Copy::Running(facts())] {
            assert!(matches!(decide(order, &found(copy, 0)), Verdict::Do(..)));
        }
    }
    let without_overlay = found(Copy::Stopped(CopyFacts { frozen: false, ..facts() }), 0);
    assert!(matches!(decide(&back[0], &without_overlay), Verdict::Leave(_)));
    assert!(matches!(decide(&back[1], &without_overlay), Verdict::Do(..)), "it was merged by an earlier try");
}

#[test]
fn the_target_removes_nothing_where_the_instance_has_executed_and_nobody_agreed() {
    let clean = |unless_executed| order(Work::CleanTarget { keep_writes: true, unless_executed });
    let put_aside = [Effect::Destroy(Discard::KeepOverlay)];
    let executed = found(Copy::Stopped(facts()), 7);
    assert_eq!(decide(&clean(true), &executed), Verdict::Do(Vec::new(), Report::Executed));
    assert_eq!(effects(decide(&clean(false), &executed)), put_aside);
    for another in [0, 6] {
        assert_eq!(effects(decide(&clean(true), &found(Copy::Stopped(facts()), another))), put_aside);
    }
}

#[test]
fn what_had_only_begun_to_arrive_is_removed() {
    let clean = order(Work::CleanTarget { keep_writes: false, unless_executed: false });
    assert_eq!(effects(decide(&clean, &found(Copy::Incoming, 0))), [Effect::Destroy(Discard::Everything)]);
}

#[test]
fn failed_is_said_only_of_what_has_not_started() {
    let build = order(Work::Build { manifest: manifest() });
    let after = |executed| found(Copy::Nothing, executed).held;
    assert_eq!(failure(&build, &after(0), cause()), Report::Failed { cause: cause() });
    assert_eq!(failure(&build, &after(7), cause()), Report::Started { but: Some(cause()) });
    assert_eq!(failure(&order(Work::CopyBase), &after(7), cause()), Report::Failed { cause: cause() });
}

/// What each assurance needs, one fault at a time.
#[test]
fn a_confirmation_needs_what_its_asker_cannot_see() {
    use Assurance::{Lives, Runs, Whole};
    let seen = |assurance, found: &Found| {
        matches!(decide(&order(Work::LookAgain { assurance }), found), Verdict::Do(_, Report::Seen))
    };
    let sick = |disk: bool, guest: bool, heartbeat: bool| {
        let fault = |is: bool| is.then(|| "wrong".to_owned());
        let health = Some(Health { disk: fault(disk), guest: fault(guest), heartbeat: fault(heartbeat) });
        Found { health, ..found(Copy::Running(facts()), 7) }
    };
    for assurance in [Lives, Runs, Whole] {
        assert!(seen(assurance, &sick(false, false, false)));
        assert!(!seen(assurance, &sick(true, false, false)), "{assurance:?}");
        assert_eq!(seen(assurance, &sick(false, true, false)), assurance == Whole);
        assert_eq!(seen(assurance, &sick(false, false, true)), assurance != Lives);
        for copy in [Copy::Nothing, Copy::Incoming, Copy::Running(CopyFacts { frozen: false, ..facts() })] {
            assert!(!seen(assurance, &found(copy, 7)), "{assurance:?}: its files are not there");
        }
        let unseen = Found { health: None, ..found(Copy::Running(facts()), 7) };
        assert!(!seen(assurance, &unseen), "what was not examined is not relied on");
    }
}

/// The order for a resize where the instance is.
fn in_place(work: Work) -> WorkCast {
    let mut order = order(work);
    order.subject.new = attributes("a", 16);
    order
}

#[test]
fn the_machine_goes_ahead_of_a_disk_and_nothing_of_one_that_is_shared() {
    let running = found(Copy::Running(facts()), 0);
    let mut copies = order(Work::CopyBase);
    assert_eq!(effects(decide(&copies, &running)), [DiskFile::Machine, DiskFile::BASE].map(Effect::Copy));
    copies.subject.storage = Some("pool".into());
    assert_eq!(effects(decide(&copies, &running)), []);
}

#[test]
fn the_rest_is_copied_once_the_guest_is_stopped() {
    let overlay = Effect::Copy(DiskFile::OVERLAY);
    let cold = order(Work::StopAndCopy);
    let mut suspended = cold.clone();
    suspended.subject.mode = MoveMode::Suspend;
    let running = found(Copy::Running(facts()), 0);
    assert_eq!(effects(decide(&cold, &running)), [Effect::Shutdown, overlay]);
    let with_memory = [Effect::Suspend, overlay, Effect::Copy(DiskFile::Memory)];
    assert_eq!(effects(decide(&suspended, &running)), with_memory);
    assert_eq!(effects(decide(&in_place(Work::StopAndCopy), &running)), [Effect::Shutdown]);
}

#[test]
fn a_resize_in_place_shuts_down_what_has_the_old_size_and_verifies_nothing() {
    let build = in_place(Work::Build { manifest: Manifest::new() });
    let large = GuestSize::from(&build.subject.new.claim);
    let unmarked = CopyFacts { mark: Generation(0), ..facts() };
    let made = [Effect::ForgetMemory, Effect::Create(large), Effect::Start(BEGUN)];
    assert_eq!(effects(decide(&build, &found(Copy::Stopped(unmarked), 0))), made);
    let again = effects(decide(&build, &found(Copy::Running(unmarked), 0)));
    assert_eq!(again, [&[Effect::Shutdown], &made[..]].concat());
    let resized = found(Copy::Running(CopyFacts { size: large, ..facts() }), 0);
    assert_eq!(effects(decide(&build, &resized)), [Effect::Start(BEGUN)]);
    // What was built and not started yet is not verified a second time.
    let moved = effects(decide(&order(Work::Build { manifest: manifest() }), &found(Copy::Stopped(facts()), 0)));
    assert_eq!(moved, [Effect::ForgetMemory, Effect::Create(facts().size), Effect::Start(BEGUN)]);
}

#[test]
fn what_goes_back_runs_as_before_with_its_old_size_and_its_disk_in_one() {
    let restore = |memory_fits| order(Work::RestoreSource { memory_fits, seen: true });
    let (stopped, start) = (found(Copy::Stopped(facts()), 0), Effect::Start(Generation::default()));
    assert_eq!(effects(decide(&restore(true), &stopped)), [start, Effect::Merge]);
    assert_eq!(effects(decide(&restore(false), &stopped)), [Effect::ForgetMemory, start, Effect::Merge]);
    assert_eq!(effects(decide(&restore(false), &found(Copy::Running(facts()), 0))), [start, Effect::Merge]);
    let back = in_place(Work::RestoreSource { memory_fits: true, seen: true });
    let resized = CopyFacts { size: GuestSize::from(&back.subject.new.claim), ..facts() };
    let old_size = [Effect::Shutdown, Effect::Create(facts().size), start];
    for copy in [Copy::Stopped(resized), Copy::Running(resized)] {
        assert_eq!(effects(decide(&back, &found(copy, 0))), old_size);
    }
    assert_eq!(effects(decide(&back, &stopped)), [start], "it has its old size");
    // One that was to move never had another size here, whatever is on record.
    assert_eq!(effects(decide(&restore(true), &found(Copy::Stopped(resized), 0))), [start, Effect::Merge]);
}

fn powered_off(work: Work, executed: u64, ended: Ending) -> Verdict {
    decide(&order(work), &found(Copy::Stopped(CopyFacts { ended, ..facts() }), executed))
}

#[test]
fn what_its_user_has_shut_down_is_said_before_anything_is_done() {
    let said = Verdict::Do(Vec::new(), Report::PoweredOff);
    let back = Work::RestoreSource { memory_fits: true, seen: true };
    for work in [Work::CopyBase, Work::StopAndCopy, back.clone()] {
        assert_eq!(powered_off(work.clone(), 0, Ending::ByUser), said);
        for ours in [Ending::Unknown, Ending::Obeyed, Ending::CutOff] {
            assert_ne!(powered_off(work.clone(), 0, ours), said, "{ours:?}");
        }
    }
    let there = [
        Work::Build { manifest: manifest() },
        Work::LookAgain { assurance: Assurance::Runs },
        Work::Merge,
        Work::CleanTarget { keep_writes: true, unless_executed: false },
    ];
    for work in there {
        assert_eq!(powered_off(work.clone(), BEGUN.0, Ending::ByUser), said);
        assert_ne!(powered_off(work, 1, Ending::ByUser), said, "it lay there before");
    }
    let mut known = order(back);
    known.subject.runs = false;
    let down = found(Copy::Stopped(CopyFacts { ended: Ending::ByUser, ..facts() }), 0);
    assert!(!effects(decide(&known, &down)).iter().any(|effect| matches!(effect, Effect::Start(_))));
}

#[test]
fn a_window_that_ends_confirms_no_guest_that_its_user_has_shut_down() {
    let down = CopyFacts { ended: Ending::ByUser, ..facts() };
    let mut seen = found(Copy::Stopped(down), BEGUN.0);
    seen.health = Some(Health { guest: Some("it is down".to_owned()), ..Health::default() });
    let verdict = decide(&order(Work::LookAgain { assurance: Assurance::Lives }), &seen);
    assert!(matches!(verdict, Verdict::Fail(_)), "{verdict:?}");
}

#[test]
fn a_guest_shut_down_by_its_user_in_the_middle_of_a_work_is_no_failure() {
    let after = found(Copy::Stopped(CopyFacts { ended: Ending::ByUser, ..facts() }), 0).held;
    assert_eq!(failure(&order(Work::StopAndCopy), &after, cause()), Report::PoweredOff);
}

#[test]
fn an_undo_starts_nothing_that_nobody_has_seen_run() {
    let starts = |seen: bool, mark: Generation, copy: fn(CopyFacts) -> Copy| {
        let facts = CopyFacts { mark, ..facts() };
        let verdict = decide(&order(Work::RestoreSource { memory_fits: true, seen }), &found(copy(facts), 0));
        effects(verdict).iter().any(|effect| matches!(effect, Effect::Start(_)))
    };
    let never = Generation::default();
    assert!(!starts(false, never, Copy::Stopped) && !starts(false, Generation(3), Copy::Stopped));
    assert!(starts(true, never, Copy::Stopped), "it was seen to run");
    assert!(starts(false, BEGUN, Copy::Stopped), "it was frozen, so it was seen to run");
    assert!(starts(false, never, Copy::Running), "it may only be halted");
}

#[test]
fn a_guest_that_has_its_size_already_is_not_stopped_for_it() {
    let mut order = order(Work::Build { manifest: Manifest::new() });
    order.subject.new = attributes("a", 8);
    let effects = effects(decide(&order, &found(Copy::Running(facts()), 0)));
    assert_eq!(effects, [Effect::Start(BEGUN)]);
}

#[test]
fn only_what_starts_or_removes_something_waits_for_a_new_lease() {
    let goes_on = [
        Effect::Freeze(BEGUN),
        Effect::Copy(DiskFile::BASE),
        Effect::Shutdown,
        Effect::Suspend,
        Effect::Verify,
        Effect::Merge,
    ];
    assert!(goes_on.iter().all(|effect| !effect.needs_lease()));
}

#[test]
fn only_a_copy_that_is_about_to_be_relied_on_is_examined() {
    let works = [Work::Snapshot, Work::CopyBase, Work::StopAndCopy, Work::DestroySource, Work::Merge];
    assert!(works.into_iter().all(|work| !relies(&order(work))));
}
