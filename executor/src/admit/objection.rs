//! Whether the fleet as it is now still lets a move begin. Pure.
//!
//! A plan was judged for the fleet it was made for. It may be carried out over days, in parts, beside other plans: what
//! held then is asked again of each move before it starts. Room is not asked here: the store compares it in the
//! transaction that claims it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use decant_schema::fleet::{GroupPolicy, Host, ServerGroup};
use decant_schema::id::{GroupName, HostName, InstanceId, MoveId};
use decant_schema::plan::{Move, MoveMode};

/// What is around a move at this moment, as the store knows it.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// The host it leaves; none if there is no such host any more.
    pub source: Option<Host>,
    /// The host it goes to; none if there is no such host any more.
    pub target: Option<Host>,
    /// The server groups of its instance.
    pub groups: Vec<ServerGroup>,
    /// The hosts on which each member of these groups holds room: two while it moves.
    pub rooms: BTreeMap<InstanceId, BTreeSet<HostName>>,
}

/// Why a move is not begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Objection {
    /// A host is not part of the fleet any more.
    Gone(HostName),
    /// A host is down.
    Down(HostName),
    /// The source of a rebuild is up.
    Up(HostName),
    /// A host takes no new instances.
    Disabled(HostName),
    /// The target would hold more members of an anti-affinity group than it may.
    Together {
        /// The group.
        group: GroupName,
        /// The target.
        host: HostName,
        /// Members that have room there.
        others: Vec<InstanceId>,
        /// How many members one host may hold.
        most: usize,
    },
    /// The members of an affinity group would be on more hosts than before the plan.
    Apart {
        /// The group.
        group: GroupName,
        /// Where they would be.
        hosts: Vec<HostName>,
    },
}

impl fmt::Display for Objection {
    /// Reads after "failed to".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone(host) => write!(f, "find host {host}"),
            Self::Down(host) => write!(f, "use {host}: it is down"),
            Self::Up(host) => write!(f, "rebuild from {host}: it is up"),
            Self::Disabled(host) => write!(f, "use {host}: it takes no new instances"),
            Self::Together { group, host, others, most } => {
                write!(f, "keep the group {group} apart: {host} may hold {most} of it and has {}", list(others))
            }
            Self::Apart { group, hosts } => {
                write!(f, "keep the group {group} together: it would be on {}", list(hosts))
            }
        }
    }
}

fn list<T: fmt::Display>(all: &[T]) -> String {
    all.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// Everything that speaks against beginning `line` now. `plan` are the moves it is one of, in their order, and `never`
/// those of them that will not be made.
pub fn objections(line: &Move, plan: &[Move], never: &BTreeSet<MoveId>, around: &Surroundings) -> Vec<Objection> {
    let mut found = of_hosts(line, around);
    for group in &around.groups {
        found.extend(match group.policy {
            GroupPolicy::AntiAffinity => together(line, plan, group, around),
            GroupPolicy::Affinity => apart(plan, never, group, around),
            // These are wishes, and a plan may trade them for others.
            GroupPolicy::SoftAffinity | GroupPolicy::SoftAntiAffinity => None,
        });
    }
    found
}

fn of_hosts(line: &Move, around: &Surroundings) -> Vec<Objection> {
    let rebuilds = line.mode == MoveMode::Rebuild;
    let source = match &around.source {
        None => Some(Objection::Gone(line.source.clone())),
        Some(host) if rebuilds && host.up => Some(Objection::Up(host.name.clone())),
        Some(host) if !rebuilds && !host.up => Some(Objection::Down(host.name.clone())),
        Some(_) => None,
    };
    if line.source == line.target {
        return source.into_iter().collect();
    }
    let target = match &around.target {
        None => Some(Objection::Gone(line.target.clone())),
        Some(host) if !host.up => Some(Objection::Down(host.name.clone())),
        Some(host) if !host.enabled => Some(Objection::Disabled(host.name.clone())),
        Some(_) => None,
    };
    source.into_iter().chain(target).collect()
}

/// A host that held too many members before the plan may go on holding as many.
fn together(line: &Move, plan: &[Move], group: &ServerGroup, around: &Surroundings) -> Option<Objection> {
    let has_room = |member: &&InstanceId| around.rooms.get(*member).is_some_and(|rooms| rooms.contains(&line.target));
    let others: Vec<InstanceId> =
        group.members.iter().filter(|member| **member != line.instance).filter(has_room).cloned().collect();
    let before = |member: &&InstanceId| began(member, plan, around).is_some_and(|host| *host == line.target);
    let most = usize::try_from(group.max_per_host).unwrap_or(usize::MAX);
    let most = most.max(group.members.iter().filter(before).count());
    (others.len() >= most).then(|| Objection::Together {
        group: group.name.clone(),
        host: line.target.clone(),
        others,
        most,
    })
}

/// Affinity is a promise about the end: on the way its members may be on two hosts.
fn apart(plan: &[Move], never: &BTreeSet<MoveId>, group: &ServerGroup, around: &Surroundings) -> Option<Objection> {
    let ends = |member: &InstanceId| {
        let made = plan.iter().rfind(|line| line.instance == *member && !never.contains(&line.id));
        made.map(|line| &line.target).or_else(|| around.rooms.get(member)?.first())
    };
    let before: BTreeSet<_> = group.members.iter().filter_map(|member| began(member, plan, around)).collect();
    let after: BTreeSet<_> = group.members.iter().filter_map(ends).collect();
    (after.len() > before.len().max(1))
        .then(|| Objection::Apart { group: group.name.clone(), hosts: after.into_iter().cloned().collect() })
}

/// Where a member was before the plan: where its first move begins, else where it is.
fn began<'a>(member: &InstanceId, plan: &'a [Move], around: &'a Surroundings) -> Option<&'a HostName> {
    let first = plan.iter().find(|line| line.instance == *member).map(|line| &line.source);
    first.or_else(|| around.rooms.get(member)?.first())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use serde_json::json;

    use super::*;

    fn moved(id: u32, instance: &str, source: &str, target: &str) -> Move {
        serde_json::from_value(json!({
            "id": id, "instance": instance, "source": source, "target": target, "mode": "cold", "flavor": null,
            "why": "evacuate", "after": [], "transfer_mb": 0, "start_s": 0.0, "end_s": 1.0
        }))
        .unwrap()
    }

    fn host(name: &str) -> Host {
        serde_json::from_value(json!({ "name": name, "inventory": {} })).unwrap()
    }

    /// A move of `x` from `a` to `b`, and a group of `x` and `y`, which is where `y` says.
    fn around(policy: &str, y: &str) -> Surroundings {
        let group = json!({ "name": "g", "policy": policy, "members": ["x", "y"] });
        let rooms = [("x".into(), ["a".into()].into()), ("y".into(), [y.into()].into())].into();
        let groups = vec![serde_json::from_value(group).unwrap()];
        Surroundings { source: Some(host("a")), target: Some(host("b")), groups, rooms }
    }

    fn said(line: &Move, plan: &[Move], never: &[u32], around: &Surroundings) -> Vec<String> {
        let never = never.iter().copied().map(MoveId).collect();
        objections(line, plan, &never, around).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_target_that_is_down_disabled_or_gone_and_a_source_that_is_down_are_named() {
        let (line, free) = (moved(1, "x", "a", "b"), around("anti-affinity", "c"));
        let changed = |change: fn(&mut Surroundings)| {
            let mut around = free.clone();
            change(&mut around);
            said(&line, std::slice::from_ref(&line), &[], &around)
        };
        assert_eq!(changed(|_| ()), [""; 0]);
        assert_eq!(changed(|around| around.target = None), ["find host b"]);
        assert_eq!(changed(|around| around.target.as_mut().unwrap().up = false), ["use b: it is down"]);
        assert_eq!(
            changed(|around| around.target.as_mut().unwrap().enabled = false),
            ["use b: it takes no new instances"]
        );
        assert_eq!(changed(|around| around.source.as_mut().unwrap().up = false), ["use a: it is down"]);
        assert_eq!(changed(|around| around.source.as_mut().unwrap().enabled = false), [""; 0], "it only leaves");
    }

    #[test]
    fn what_stays_on_its_host_may_do_so_where_nothing_new_comes() {
        let line = moved(1, "x", "a", "a");
        let mut around = around("anti-affinity", "c");
        around.source.as_mut().unwrap().enabled = false;
        around.target.clone_from(&around.source);
        assert_eq!(said(&line, std::slice::from_ref(&line), &[], &around), [""; 0]);
    }

    #[test]
    fn members_that_are_to_be_apart_do_not_meet_and_a_host_that_had_too_many_may_have_as_many() {
        let line = moved(2, "x", "a", "b");
        let refused = "keep the group g apart: b may hold 1 of it and has y";
        let meets = around("anti-affinity", "b");
        assert_eq!(said(&line, std::slice::from_ref(&line), &[], &meets), [refused]);
        let mut on_its_way = around("anti-affinity", "c");
        on_its_way.rooms.get_mut("y").unwrap().insert("b".into());
        assert_eq!(said(&line, std::slice::from_ref(&line), &[], &on_its_way), [refused]);
        // Before the plan x and y were both on b: one of them may come back.
        let plan = [moved(1, "x", "b", "a"), line.clone()];
        assert_eq!(said(&line, &plan, &[], &meets), [""; 0]);
    }

    #[test]
    fn members_that_are_to_be_together_move_only_if_they_all_arrive() {
        let (line, other) = (moved(1, "x", "a", "b"), moved(2, "y", "a", "b"));
        let both = around("affinity", "a");
        let plan = [line.clone(), other];
        assert_eq!(said(&line, &plan, &[], &both), [""; 0]);
        let refused = "keep the group g together: it would be on a, b";
        assert_eq!(said(&line, &plan, &[2], &both), [refused]);
        assert_eq!(said(&line, std::slice::from_ref(&line), &[], &both), [refused]);
    }

    #[test]
    fn a_rebuild_leaves_a_host_that_is_down_and_no_other() {
        let line = Move { mode: MoveMode::Rebuild, ..moved(1, "x", "a", "b") };
        let mut around = around("anti-affinity", "c");
        assert_eq!(said(&line, std::slice::from_ref(&line), &[], &around), ["rebuild from a: it is up"]);
        around.source.as_mut().unwrap().up = false;
        assert_eq!(said(&line, std::slice::from_ref(&line), &[], &around), [""; 0]);
    }

    #[test]
    fn where_others_go_says_nothing_of_a_group() {
        let plan = [moved(1, "x", "a", "b"), moved(2, "z", "a", "c"), moved(3, "y", "a", "b")];
        assert_eq!(said(&plan[0], &plan, &[], &around("affinity", "a")), [""; 0]);
    }
}
