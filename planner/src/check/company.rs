//! Who cannot leave for want of company, as the checker understands hard affinity.
//!
//! Whoever moves has another member of each of its affinity groups beside it in the end, and no such group is spread over
//! more hosts than before. What never leaves a host takes its room for good. An instance for which no host can meet this
//! stays in every plan.

use std::collections::BTreeSet;

use decant_schema::fleet::GroupPolicy;
use decant_schema::request::RequestKind;

use super::room::kept;
use super::rule::{Wish, objections};
use super::scene::{Amounts, Scene, add, subtract};

/// Positions of the movable instances that affinity keeps where they are. `movable` says by instance whether anything
/// else does. Over the rounds of a maintenance hosts change, so nothing is said there.
pub(super) fn without(scene: &Scene<'_>, movable: &[bool]) -> BTreeSet<usize> {
    if matches!(scene.request.kind, RequestKind::Rolling { .. }) {
        return BTreeSet::new();
    }
    let circles = circles(scene);
    let bound: BTreeSet<usize> = circles.iter().flatten().copied().collect();
    let candidates = bound.into_iter().filter(|at| movable[*at] && scene.asked(*at).is_some());
    let mut open: BTreeSet<usize> = candidates.collect();
    if open.is_empty() {
        return open;
    }
    let room = room_at_best(scene, movable);
    let mut hope = Hope { scene, circles, room, movable: movable.to_vec(), counted_gone: movable };
    let mut alone = BTreeSet::new();
    loop {
        let hopeless: Vec<usize> = open.iter().copied().filter(|at| !hope.somewhere(*at)).collect();
        if hopeless.is_empty() {
            return alone;
        }
        for at in hopeless {
            hope.movable[at] = false;
            open.remove(&at);
            alone.insert(at);
        }
    }
}

/// The members of every hard affinity group of more than one.
fn circles(scene: &Scene<'_>) -> Vec<Vec<usize>> {
    let hard = scene.fleet.server_groups().iter().filter(|group| group.policy == GroupPolicy::Affinity);
    let members = hard.map(|group| group.members.iter().filter_map(|id| scene.fleet.instance_index(id.as_str())));
    members.map(Iterator::collect::<Vec<usize>>).filter(|members| members.len() > 1).collect()
}

/// By host: what may be used of it beyond what never leaves it, at its new size if that is smaller.
pub(super) fn room_at_best(scene: &Scene<'_>, movable: &[bool]) -> Vec<Amounts> {
    let percent = scene.options().headroom_percent;
    let mut room: Vec<Amounts> = scene.capacity.clone();
    for (room, used) in room.iter_mut().zip(&scene.usage) {
        room.iter_mut().zip(used).for_each(|(room, used)| *room -= kept(*room, percent) + used);
    }
    for (at, home) in scene.home.iter().enumerate() {
        add(&mut room[*home], &scene.claim(at));
        if !movable[at] {
            subtract(&mut room[*home], &least(scene, at));
        }
    }
    room
}

/// The least an instance takes where it is, resized or not.
fn least(scene: &Scene<'_>, at: usize) -> Amounts {
    let wanted = scene.dense(Wish::of(scene, at).resources);
    scene.claim(at).into_iter().zip(wanted).map(|(claim, wanted)| claim.min(wanted)).collect()
}

/// What may still move, and the room there would be.
struct Hope<'s, 'a> {
    scene: &'s Scene<'a>,
    circles: Vec<Vec<usize>>,
    room: Vec<Amounts>,
    movable: Vec<bool>,
    /// By instance: whether its room is counted as free.
    counted_gone: &'s [bool],
}

impl Hope<'_, '_> {
    fn somewhere(&self, at: usize) -> bool {
        let circles: Vec<&Vec<usize>> = self.circles.iter().filter(|circle| circle.contains(&at)).collect();
        (0..self.room.len())
            .filter(|host| *host != self.scene.home[at] && self.lets_in(at, *host))
            .any(|host| circles.iter().all(|circle| self.is_joined(at, circle, host)))
    }

    fn lets_in(&self, at: usize, host: usize) -> bool {
        objections(self.scene, &Wish::of(self.scene, at), self.scene.host(host)).is_empty()
    }

    /// Whether the members can be spread as the group asks with this one on the host.
    fn is_joined(&self, at: usize, circle: &[usize], host: usize) -> bool {
        let homes: BTreeSet<usize> = circle.iter().map(|member| self.scene.home[*member]).collect();
        let others: Vec<usize> = circle.iter().copied().filter(|member| *member != at).collect();
        let can_come =
            |other: &usize| self.scene.home[*other] == host || self.movable[*other] && self.lets_in(*other, host);
        if homes.len() == 1 {
            return others.iter().all(can_come) && self.holds(at, &others, host);
        }
        let rooted = others.iter().filter(|other| !self.movable[**other]).map(|other| self.scene.home[*other]);
        let hosts: BTreeSet<usize> = rooted.chain([host]).collect();
        hosts.len() <= homes.len() && others.iter().any(|other| can_come(other) && self.holds(at, &[*other], host))
    }

    /// Whether the room is enough for it beside the others; a class it does not need does not count.
    fn holds(&self, at: usize, others: &[usize], host: usize) -> bool {
        let need = self.scene.dense(Wish::of(self.scene, at).resources);
        let mut left = self.room[host].clone();
        subtract(&mut left, &need);
        for other in others {
            match (self.scene.home[*other] == host, self.counted_gone[*other]) {
                (true, false) => {}
                (true, true) => subtract(&mut left, &least(self.scene, *other)),
                (false, _) => subtract(&mut left, &self.scene.dense(Wish::of(self.scene, *other).resources)),
            }
        }
        need.iter().zip(left).all(|(need, left)| *need == 0 || left >= 0)
    }
}
