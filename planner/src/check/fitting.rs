//! Whether instances find a place in the room there is, nobody else moving: a search that ends.
//!
//! Largest first, every host in turn, back where it leads nowhere. It answers yes with a place for everybody, no when
//! every way was tried, and nothing when that would take too long.

use std::collections::HashMap;

use decant_schema::fleet::GroupPolicy;

use super::rule::{Wish, objections};
use super::scene::{Amounts, Scene, add, subtract};

/// Places tried before the search is given up.
const TRIALS_MAX: u32 = 20_000;

/// The room and the groups of every host, as a search fills them.
pub(super) struct Fitting<'a> {
    scene: &'a Scene<'a>,
    /// By host: what is left.
    room: Vec<Amounts>,
    /// By host: whether it is left alone.
    closed: Vec<bool>,
    /// Members of anti-affinity groups, by group and host.
    members: HashMap<(usize, usize), usize>,
    trials: u32,
}

/// An instance that looks for a place.
pub(super) struct Seeker<'a> {
    instance: usize,
    wish: Wish<'a>,
    need: Amounts,
}

impl<'a> Seeker<'a> {
    pub(super) fn new(scene: &Scene<'a>, instance: usize, wish: Wish<'a>) -> Self {
        Self { instance, wish, need: scene.dense(wish.resources) }
    }
}

impl<'a> Fitting<'a> {
    /// Everybody where `place` says; the closed hosts receive nothing.
    pub(super) fn new(scene: &'a Scene<'a>, usage: &[Amounts], place: &[usize], closed: Vec<bool>) -> Self {
        let mut room = scene.capacity.clone();
        room.iter_mut().zip(usage).for_each(|(room, usage)| subtract(room, usage));
        let mut members = HashMap::new();
        for (at, group) in scene.fleet.server_groups().iter().enumerate() {
            for member in group.members.iter().filter_map(|id| scene.fleet.instance_index(id.as_str())) {
                *members.entry((at, place[member])).or_default() += 1;
            }
        }
        Self { scene, room, closed, members, trials: TRIALS_MAX }
    }

    /// Whether all of these find a place; `None` if that was not found out.
    pub(super) fn fits(&mut self, seekers: &[Seeker<'_>]) -> Option<bool> {
        let mut order: Vec<&Seeker<'_>> = seekers.iter().collect();
        order.sort_by(|a, b| b.need.cmp(&a.need));
        self.place(&order)
    }

    fn place(&mut self, seekers: &[&Seeker<'_>]) -> Option<bool> {
        let Some((seeker, others)) = seekers.split_first() else { return Some(true) };
        for host in 0..self.room.len() {
            if !self.takes(seeker, host) {
                continue;
            }
            self.trials = self.trials.checked_sub(1)?;
            self.put(seeker, host);
            let fits = self.place(others);
            self.take_back(seeker, host);
            if fits != Some(false) {
                return fits;
            }
        }
        Some(false)
    }

    fn takes(&self, seeker: &Seeker<'_>, host: usize) -> bool {
        let scene = self.scene;
        !self.closed[host]
            && seeker.need.iter().zip(&self.room[host]).all(|(need, room)| *need == 0 || need <= room)
            && objections(scene, &seeker.wish, scene.host(host)).is_empty()
            && self.groups_of(seeker).all(|group| {
                let there = self.members.get(&(group, host)).copied().unwrap_or(0);
                there < self.most(group, host)
            })
    }

    /// Members a host may hold: where more are at the start than the group allows, that many.
    fn most(&self, group: usize, host: usize) -> usize {
        let group = &self.scene.fleet.server_groups()[group];
        let members = group.members.iter().filter_map(|id| self.scene.fleet.instance_index(id.as_str()));
        members.filter(|member| self.scene.home[*member] == host).count().max(group.max_per_host as usize)
    }

    fn groups_of<'s>(&'s self, seeker: &Seeker<'_>) -> impl Iterator<Item = usize> + use<'s, 'a> {
        let id = self.scene.instance(seeker.instance).id.clone();
        let groups = self.scene.fleet.server_groups().iter().enumerate();
        let binding =
            groups.filter(move |(_, group)| group.policy == GroupPolicy::AntiAffinity && group.members.contains(&id));
        binding.map(|(at, _)| at)
    }

    fn put(&mut self, seeker: &Seeker<'_>, host: usize) {
        subtract(&mut self.room[host], &seeker.need);
        for group in self.groups_of(seeker).collect::<Vec<_>>() {
            *self.members.entry((group, host)).or_default() += 1;
        }
    }

    fn take_back(&mut self, seeker: &Seeker<'_>, host: usize) {
        add(&mut self.room[host], &seeker.need);
        for group in self.groups_of(seeker).collect::<Vec<_>>() {
            *self.members.entry((group, host)).or_default() -= 1;
        }
    }
}
