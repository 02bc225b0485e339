#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::*;
use crate::hypervisor::qemu::scripted::{copy, qemu};

#[tokio::test]
async fn a_guest_that_sleeps_or_crashed_is_not_suspended_and_is_left_as_it_is() {
    for state in ["suspended", "guest-panicked", "internal-error", "shutdown", "a state of a later qemu"] {
        let folder = tempfile::tempdir().unwrap();
        let copy = copy(folder.path());
        let answer = move |command: &str| match command {
            "query-status" => json!({ "status": state }),
            _ => json!({}),
        };
        let (mut qmp, heard) = qemu(&copy, answer).await;
        go_on(&mut qmp, &copy).await.unwrap();
        let refused = save_memory(qmp, &copy).await.unwrap_err();
        assert!(matches!(refused, Fault::Unfit(ref found) if found == state), "{refused}");
        let asks = |command: &String| matches!(command.as_str(), "qmp_capabilities" | "query-status");
        assert!(heard.lock().unwrap().iter().all(asks), "{state}: {heard:?}");
    }
}

#[tokio::test]
async fn a_memory_that_could_not_be_saved_is_not_taken_for_saved_and_is_saved_again() {
    let folder = tempfile::tempdir().unwrap();
    let copy = copy(folder.path());
    let mut saving = "failed";
    let answer = move |command: &str| {
        if command == "migrate" {
            saving = "completed";
        }
        match command {
            "query-status" => json!({ "status": "postmigrate" }),
            "query-migrate" => json!({ "status": saving, "error-desc": "No space left on device" }),
            _ => json!({}),
        }
    };
    let (mut qmp, heard) = qemu(&copy, answer).await;
    assert_eq!(qmp.activity().await.unwrap(), Activity::Halted);
    assert!(!copy.file(DiskFile::Memory).exists());
    save_memory(qmp, &copy).await.unwrap();
    assert!(copy.file(DiskFile::Memory).exists());
    assert!(heard.lock().unwrap().contains(&"migrate".to_owned()));
}

#[tokio::test]
async fn a_guest_that_a_merge_left_halted_goes_on_and_one_its_owner_paused_does_not() {
    for halted_by_merge in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let copy = copy(folder.path());
        if halted_by_merge {
            std::fs::write(merged(&copy, DiskNumber::FIRST), b"").unwrap();
        }
        let answer = |command: &str| match command {
            "query-status" => json!({ "status": "paused" }),
            "query-block" => json!([{ "inserted": { "node-name": "overlay" } }]),
            _ => json!([]),
        };
        let (mut qmp, heard) = qemu(&copy, answer).await;
        switch_to_overlays(&mut qmp, &copy).await.unwrap();
        assert_eq!(heard.lock().unwrap().contains(&"cont".to_owned()), halted_by_merge);
        assert!(!merged(&copy, DiskNumber::FIRST).exists());
    }
}

#[tokio::test]
async fn a_merge_is_told_once_to_complete() {
    let folder = tempfile::tempdir().unwrap();
    let copy = copy(folder.path());
    let mut looks = 0;
    let answer = move |command: &str| {
        looks += usize::from(command == "query-jobs");
        match command {
            "query-jobs" => {
                json!([{ "id": merge_job(DiskNumber::FIRST), "status": if looks < 5 { "ready" } else { "concluded" } }])
            }
            _ => json!({}),
        }
    };
    let (mut qmp, heard) = qemu(&copy, answer).await;
    commit(&mut qmp, DiskNumber::FIRST, DiskFile::OVERLAY).await.unwrap();
    assert_eq!(heard.lock().unwrap().iter().filter(|command| *command == "job-complete").count(), 1);
}
