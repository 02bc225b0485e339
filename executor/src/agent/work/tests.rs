use super::*;

fn refuses(error: HypervisorError) -> bool {
    matches!(unless_unfit(error), WorkError::Refused(_))
}

#[test]
fn a_snapshot_that_finds_what_it_cannot_carry_refuses_and_any_other_failure_stays_one() {
    let (instance, detail) = ("vm".into(), "a chain".to_owned());
    assert!(refuses(HypervisorError::Uncarried { instance, detail }));
    assert!(refuses(HypervisorError::Machine { instance: "vm".into(), findings: Vec::new() }));
    assert!(!refuses(HypervisorError::Absent { instance: "vm".into() }));
}

#[test]
fn an_order_beside_another_agent_s_says_nothing() {
    let busy = WorkError::from(HypervisorError::Busy { instance: "vm".into() });
    assert!(matches!(busy, WorkError::Outdated(_)), "{busy:?}");
}

#[test]
fn an_order_that_a_peer_has_left_behind_says_who_and_by_what() {
    let (asked, held) = (Generation(7), Generation(9));
    let fenced = TransferError::Fenced { instance: "vm".into(), file: DiskFile::BASE, peer: "b".into(), asked, held };
    match WorkError::from(fenced) {
        WorkError::Overtaken { host, held } => assert_eq!((host, held), (Some("b".into()), Generation(9))),
        other => panic!("{other:?}"),
    }
}
