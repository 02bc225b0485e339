//! What a plan does to server groups that no rule forbids: soft groups that it breaks, and hard affinity groups that are
//! apart while their members move one by one.

use std::collections::BTreeMap;

use decant_schema::fleet::{Fleet, GroupPolicy, ServerGroup};
use decant_schema::id::{HostName, InstanceId};
use decant_schema::plan::{GroupNote, Plan};

/// What people should know of, by group.
pub(crate) fn notes(fleet: &Fleet, plan: &Plan) -> Vec<GroupNote> {
    let mut moves: BTreeMap<&InstanceId, Vec<(f64, &HostName)>> = BTreeMap::new();
    plan.moves.iter().for_each(|line| moves.entry(&line.instance).or_default().push((line.end_s, &line.target)));
    let of_group = |group: &ServerGroup| {
        let members = group.members.iter().filter_map(|id| {
            let home = &fleet.instances()[fleet.instance_index(id.as_str())?].host;
            Some(Member { id: id.clone(), home, moves: moves.get(id).map_or(&[][..], Vec::as_slice) })
        });
        let members: Vec<Member<'_>> = members.collect();
        if members.iter().all(|member| member.moves.is_empty()) {
            return Vec::new();
        }
        match group.policy {
            GroupPolicy::SoftAntiAffinity => crowded(group, &members),
            GroupPolicy::SoftAffinity => spread(group, &members),
            GroupPolicy::Affinity => split(group, &members),
            GroupPolicy::AntiAffinity => Vec::new(),
        }
    };
    fleet.server_groups().iter().flat_map(of_group).collect()
}

/// A member of a group, and where each of its moves takes it when it ends.
struct Member<'a> {
    id: InstanceId,
    home: &'a HostName,
    moves: &'a [(f64, &'a HostName)],
}

impl<'a> Member<'a> {
    /// Where it is at a moment; it has arrived once its move has ended.
    fn at(&self, moment_s: f64) -> &'a HostName {
        self.moves.iter().rfind(|(end_s, _)| *end_s <= moment_s).map_or(self.home, |(_, target)| target)
    }
}

/// The hosts of members at a moment, each with those who are there.
fn hosts<'a>(members: &[Member<'a>], moment_s: f64) -> BTreeMap<&'a HostName, Vec<InstanceId>> {
    let mut hosts: BTreeMap<&HostName, Vec<InstanceId>> = BTreeMap::new();
    members.iter().for_each(|member| hosts.entry(member.at(moment_s)).or_default().push(member.id.clone()));
    hosts
}

const BEFORE: f64 = f64::NEG_INFINITY;
const AFTER: f64 = f64::INFINITY;

fn crowded(group: &ServerGroup, members: &[Member<'_>]) -> Vec<GroupNote> {
    let before = hosts(members, BEFORE);
    let most = |host: &HostName| before.get(host).map_or(0, Vec::len).max(group.max_per_host as usize);
    let after = hosts(members, AFTER).into_iter().filter(|(host, there)| there.len() > most(host));
    let note = |(host, instances): (&HostName, _)| GroupNote::Crowded {
        group: group.name.clone(),
        host: host.clone(),
        instances,
    };
    after.map(note).collect()
}

fn spread(group: &ServerGroup, members: &[Member<'_>]) -> Vec<GroupNote> {
    let after = hosts(members, AFTER);
    let is_broken = after.len() > hosts(members, BEFORE).len();
    let note =
        || GroupNote::Spread { group: group.name.clone(), hosts: after.keys().map(|host| (*host).clone()).collect() };
    is_broken.then(note).into_iter().collect()
}

fn split(group: &ServerGroup, members: &[Member<'_>]) -> Vec<GroupNote> {
    let most = hosts(members, BEFORE).len().max(hosts(members, AFTER).len());
    let mut ends: Vec<f64> = members.iter().flat_map(|member| member.moves).map(|(end_s, _)| *end_s).collect();
    ends.sort_by(f64::total_cmp);
    let mut notes = Vec::new();
    let mut apart: Option<f64> = None;
    for end_s in ends {
        match (apart, hosts(members, end_s).len() > most) {
            (None, true) => apart = Some(end_s),
            (Some(from_s), false) => {
                notes.push(GroupNote::Split { group: group.name.clone(), from_s, until_s: end_s });
                apart = None;
            }
            (None, false) | (Some(_), true) => {}
        }
    }
    notes
}
