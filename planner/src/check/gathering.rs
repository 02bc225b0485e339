//! What a plan says that it does to server groups: members that crowd, that are spread, that are apart for a while.
//!
//! Each note is followed through the moves again. A note that is missing is no mistake: it makes no plan worse.

use std::collections::BTreeSet;

use decant_schema::fleet::{GroupPolicy, ServerGroup};
use decant_schema::plan::{GroupNote, Plan};

use super::itinerary::Itinerary;
use super::scene::Scene;
use super::violation::Violation;

/// Notes that are not so.
pub(super) fn false_notes(scene: &Scene<'_>, plan: &Plan, itinerary: &Itinerary<'_>) -> Vec<Violation> {
    let holds = |note: &&GroupNote| match note {
        GroupNote::Crowded { group, host, instances } => known(scene, group.as_str(), GroupPolicy::SoftAntiAffinity)
            .is_some_and(|group| {
                let ends = itinerary.ends(scene);
                let there = |place: &[usize]| {
                    members(scene, group)
                        .into_iter()
                        .filter(|at| scene.host(place[*at]).name == *host)
                        .collect::<Vec<_>>()
                };
                let named = instances.iter().filter_map(|id| scene.fleet.instance_index(id.as_str()));
                let (before, after) = (there(&scene.home), there(&ends));
                after.len() > before.len().max(group.max_per_host as usize)
                    && instances.len() == after.len()
                    && named.collect::<BTreeSet<usize>>() == after.into_iter().collect()
            }),
        GroupNote::Spread { group, hosts } => {
            known(scene, group.as_str(), GroupPolicy::SoftAffinity).is_some_and(|group| {
                let ends = itinerary.ends(scene);
                let on =
                    |place: &[usize]| members(scene, group).into_iter().map(|at| place[at]).collect::<BTreeSet<_>>();
                let named: BTreeSet<usize> =
                    hosts.iter().filter_map(|host| scene.fleet.host_index(host.as_str())).collect();
                named.len() == hosts.len() && named == on(&ends) && named.len() > on(&scene.home).len()
            })
        }
        GroupNote::Split { group, from_s, until_s } => known(scene, group.as_str(), GroupPolicy::Affinity)
            .is_some_and(|group| is_split(scene, itinerary, &members(scene, group), *from_s, *until_s)),
    };
    let false_ones = plan.groups.iter().filter(|note| !holds(note));
    false_ones.map(|note| Violation::FalseGroupNote { group: name(note).clone() }).collect()
}

/// The group a note is about.
pub(super) fn name(note: &GroupNote) -> &decant_schema::id::GroupName {
    match note {
        GroupNote::Crowded { group, .. } | GroupNote::Spread { group, .. } | GroupNote::Split { group, .. } => group,
    }
}

fn known<'a>(scene: &Scene<'a>, name: &str, policy: GroupPolicy) -> Option<&'a ServerGroup> {
    scene.fleet.server_groups().iter().find(|group| group.name.as_str() == name && group.policy == policy)
}

fn members(scene: &Scene<'_>, group: &ServerGroup) -> BTreeSet<usize> {
    group.members.iter().filter_map(|id| scene.fleet.instance_index(id.as_str())).collect()
}

/// Whether the members are on more hosts than before and after at every moment from one to the other, and neither just
/// before the one nor at the other; by the printed ends.
fn is_split(
    scene: &Scene<'_>,
    itinerary: &Itinerary<'_>,
    members: &BTreeSet<usize>,
    from_s: f64,
    until_s: f64,
) -> bool {
    let mut ends: Vec<(f64, usize, usize)> = members
        .iter()
        .flat_map(|at| itinerary.ways.get(at).into_iter().flatten())
        .map(|step| &itinerary.steps[*step])
        .map(|step| (step.line.end_s, step.instance, step.target))
        .collect();
    ends.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut place = scene.home.clone();
    let count = |place: &[usize]| members.iter().map(|at| place[*at]).collect::<BTreeSet<usize>>().len();
    let most = count(&place).max(count(&itinerary.ends(scene)));
    // By moment: whether they are apart from then on.
    let mut apart: Vec<(f64, bool)> = vec![(f64::NEG_INFINITY, false)];
    for moment in ends.chunk_by(|a, b| a.0.total_cmp(&b.0).is_eq()) {
        moment.iter().for_each(|(_, instance, target)| place[*instance] = *target);
        apart.push((moment[0].0, count(&place) > most));
    }
    let begins = apart.windows(2).any(|pair| pair[1].0 == from_s && !pair[0].1 && pair[1].1);
    let ends = apart.windows(2).any(|pair| pair[1].0 == until_s && pair[0].1 && !pair[1].1);
    let between = apart.iter().filter(|(moment_s, _)| (from_s..until_s).contains(moment_s));
    begins && ends && between.into_iter().all(|(_, apart)| *apart)
}
