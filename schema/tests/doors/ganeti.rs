//! Clusters in htools' text format.

use std::path::Path;

use decant_schema::fleet::{Fleet, GroupPolicy, InstanceState, Mobility, ganeti};
use decant_schema::id::ResourceClass;

use super::lines;

/// Two groups; an offline node; one instance of every kind of disk; an exclusion tag.
const GOOD: &str = "\
east|id-east|preferred||
west|id-west|last_resort||

e1|4096|96|2000|8000|5000|8|M|id-east|1
e2|4096|0|3596|8000|6000|8|N|id-east|1||N|0|2|1.0
e3|?|?|?|?|?|?|Y|id-east
w1|1024|0|1024|100|100|2|N|id-west|1

a|1000|1000|2|running|Y|e1|e2|drbd|service:web,blue|1
b|500|2000|1|ADMIN_down|N|e1||plain|service:web
c|500|0|1|running|Y|e2||ext||1|-|N
d|100|10|1|ERROR_nodeoffline|Y|e3|e1|drbd|

htools:iextags:service

|128,1,1024,1,1,1|128,1,1024,1,1,1;32768,8,1048576,16,8,12|drbd,plain,ext|4.0|32.0
west|128,1,1024,1,1,1|128,1,1024,1,1,1;32768,8,1048576,16,8,12|drbd,plain,ext|1.5|32.0
";

fn import(text: &str) -> Fleet {
    ganeti::import(text).unwrap().fleet
}

fn with(old: &str, new: &str) -> String {
    assert!(GOOD.contains(old), "{old} is not in the cluster");
    GOOD.replacen(old, new, 1)
}

#[test]
fn nodes_become_hosts() {
    let fleet = import(GOOD);
    let [e1, e2, e3, w1] = fleet.hosts() else { panic!("four hosts") };
    assert_eq!([e1.up, e2.up, e3.up, w1.up], [true, true, false, true]);
    assert_eq!(w1.zone.as_ref().unwrap().as_str(), "west");
    assert_eq!(e1.inventory[ResourceClass::VCPU].capacity(), 32);
    assert_eq!(w1.inventory[ResourceClass::VCPU].capacity(), 3);
    // 4096 in all, 2000 free, 1000 of a running instance: 1096 are used by something else.
    assert_eq!(e1.other_usage[ResourceClass::MEMORY_MB], 1096);
    // 3000 of its disk are used, 2000 of them by the plain instance: the rest mirrors others.
    assert_eq!(e1.other_usage["CUSTOM_DISK_MB"], 1000);
    assert_eq!(e2.other_usage[ResourceClass::VCPU], 2);
}

#[test]
fn disks_become_pools_or_are_local() {
    let fleet = import(GOOD);
    let [a, b, c, d] = fleet.instances() else { panic!("four instances") };
    let mounts = |pool: &str| -> Vec<&str> {
        fleet.hosts().iter().filter(|host| host.storage.contains(pool)).map(|host| host.name.as_str()).collect()
    };
    assert_eq!(mounts(a.storage.as_ref().unwrap().as_str()), ["e1", "e2"]);
    assert_eq!(mounts(c.storage.as_ref().unwrap().as_str()), ["e1", "e2", "e3", "w1"]);
    assert_eq!(mounts(d.storage.as_ref().unwrap().as_str()), ["e1", "e3"]);
    assert_eq!((b.storage.as_ref(), b.local_disk_mb.count(), b.mobility), (None, 2000, Mobility::Cold));
    assert_eq!(fleet.claim(b)["CUSTOM_DISK_MB"], 2000);
    assert_eq!(fleet.claim(a).get("CUSTOM_DISK_MB"), None);
}

#[test]
fn states_groups_and_zones_are_kept() {
    let fleet = import(GOOD);
    let states: Vec<InstanceState> = fleet.instances().iter().map(|instance| instance.state).collect();
    assert_eq!(states, [InstanceState::Active, InstanceState::Stopped, InstanceState::Active, InstanceState::Error]);
    let [group] = fleet.server_groups() else { panic!("one group") };
    assert_eq!((group.name.as_str(), group.policy), ("service:web", GroupPolicy::AntiAffinity));
    assert_eq!(group.members.len(), 2);
    assert_eq!(fleet.instances()[0].zone.as_ref().unwrap().as_str(), "east");
}

#[test]
fn every_malformed_line_is_refused_at_once() {
    let cases: &[(&str, &str, &str)] = &[
        (
            "id-east|preferred",
            "id-east|prefered",
            "line 1, column 14: the allocation policy is prefered; did you mean preferred?",
        ),
        ("4096|96|", "4096|x|", "line 4, column 9: node memory is x; give a whole number from 0 to 2^53"),
        ("4096|96|", "4096|-96|", "line 4, column 9: node memory is -96; give a whole number from 0 to 2^53"),
        ("|M|", "|Q|", "line 4, column 29: the offline flag is Q; give Y, N, M"),
        ("M|id-east", "M|id-est", "line 4, column 31: the group id is id-est; did you mean id-east?"),
        ("w1|", "e1|", "line 7, column 1: the node e1 is already in line 4; give each node a name of its own"),
        ("e2||ext", "e2||exx", "line 11, column 25: the disk template is exx; did you mean ext?"),
        (
            "e1|e2|drbd",
            "e1||drbd",
            "line 9, column 28: a DRBD disk without a second node; give a secondary node other than the primary",
        ),
        (
            "e1|e2|drbd",
            "e1|e1|drbd",
            "line 9, column 28: a DRBD disk without a second node; give a secondary node other than the primary",
        ),
        ("running", "runing", "line 9, column 15: the status is runing; did you mean running?"),
        ("running|Y", "running|X", "line 9, column 23: the auto balance flag is X; give Y, N"),
        ("|4.0|", "|-4.0|", "line 16, column 75: the ratio is -4.0; give a number above 0, at most 1000000"),
        ("west|128", "wst|128", "line 17, column 1: the policy's group is wst; did you mean west?"),
    ];
    for (old, new, expected) in cases {
        let error = ganeti::import(&with(old, new)).unwrap_err();
        assert!(lines(&error.errors).lines().any(|line| line == *expected), "{old} became {new}: {error}");
    }
    let text = with("4096|96|", "4096|x|").replace("running|Y|e2", "running|Z|e9");
    assert_eq!(ganeti::import(&text).unwrap_err().errors.len(), 3);
}

#[test]
fn a_cluster_without_its_sections_is_refused() {
    let error = ganeti::import("east|id|preferred|\n\n").unwrap_err().to_string();
    assert!(error.contains("2 sections instead of 4 or 5"), "{error}");
    assert!(ganeti::import("").is_err());
}

#[test]
fn a_cluster_cut_off_anywhere_never_panics() {
    for end in 0..GOOD.len() {
        let _: Result<_, _> = ganeti::import(&GOOD[..end]);
    }
}

/// Ganeti's own cases all import; the one that names a node that is not there is refused in its line.
#[test]
fn published_clusters_import() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/ganeti-htools");
    let Ok(files) = std::fs::read_dir(&folder) else {
        println!("skipped: {} is not there", folder.display());
        return;
    };
    let mut count = 0;
    for path in files.map(|file| file.unwrap().path()).filter(|path| path.extension().is_some_and(|end| end == "data"))
    {
        let imported = ganeti::import(&std::fs::read_to_string(&path).unwrap());
        if path.ends_with("invalid-node.data") {
            let refusal = "line 6, column 28: the primary node is no-such-node; give the name of a node of this file";
            assert_eq!(imported.unwrap_err().to_string(), refusal);
        } else {
            imported.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        }
        count += 1;
    }
    assert!(count > 0, "no cluster in {}", folder.display());
}

#[test]
fn a_name_that_is_there_twice_is_numbered_with_a_warning() {
    let checked = ganeti::import(&with("b|500", "a|500")).unwrap();
    let ids: Vec<&str> = checked.fleet.instances().iter().map(|instance| instance.id.as_str()).collect();
    assert_eq!(ids, ["a", "a#2", "c", "d"]);
    let expected = "line 10, column 1: the instance a is there already; this one is called a#2";
    assert_eq!(lines(&checked.warnings).lines().next(), Some(expected));
}

#[test]
fn an_offline_node_whose_instances_run_is_told_since_they_would_be_started_anew() {
    let checked = ganeti::import(&with("ERROR_nodeoffline", "running")).unwrap();
    let expected = "line 6, column 1: e3 is offline, and 1 of its instances are said to run; offline is taken for down, so they \
                    are started anew elsewhere: if the node is only drained, write N, else a second copy of each starts";
    assert_eq!(lines(&checked.warnings).lines().next(), Some(expected));
    let warnings = ganeti::import(GOOD).unwrap().warnings;
    assert!(!lines(&warnings).contains("e3 is offline"), "what does not run starts no second copy");
}

#[test]
fn tags_without_a_meaning_here_are_told() {
    let checked = ganeti::import(&with("htools:iextags:service", "htools:migration:hv")).unwrap();
    let expected =
        "line 14, column 1: the tag htools:migration:hv is not planned with; places and versions of nodes are left out";
    assert_eq!(lines(&checked.warnings).lines().next(), Some(expected));
}

proptest::proptest! {
    /// Whatever bytes are changed, the cluster is imported or refused with something to say; nothing panics.
    #[test]
    fn a_mutated_cluster_is_imported_or_refused(
        changes in proptest::collection::vec((0..GOOD.len(), 0..128_u8), 1..6),
    ) {
        let mut bytes = GOOD.as_bytes().to_vec();
        for (at, byte) in changes {
            bytes[at] = byte;
        }
        if let Err(error) = ganeti::import(std::str::from_utf8(&bytes).unwrap()) {
            proptest::prop_assert!(!error.errors.is_empty());
        }
    }
}
