//! How near a host comes to taking an instance that is refused: by its room and its groups, before and after the plan.
//!
//! A host is looked at twice, as the fleet stands and as the plan leaves it, and the kinder view counts: the one whose
//! first obstacle is a later rule, or the same with more there. Where the plan's end has no obstacle, only a way is
//! missing; where the start has none, others took the place.

use decant_schema::fleet::GroupPolicy;
use decant_schema::plan::RuleName;

use super::itinerary::Itinerary;
use super::room::{kept, usage_at_end};
use super::rule::Wish;
use super::scene::{Amounts, Asked, Scene, add};

/// A rule that keeps an instance from a host, with its class and its numbers where it has any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Obstacle {
    pub(super) rule: RuleName,
    /// Position in [`Scene::classes`].
    pub(super) class: Option<usize>,
    pub(super) need: Option<i128>,
    pub(super) has: Option<i128>,
}

impl Obstacle {
    /// A rule without class and numbers.
    pub(super) fn of(rule: RuleName) -> Self {
        Self { rule, class: None, need: None, has: None }
    }

    /// What was there at the start; what a group lacks as a whole is said of the group.
    fn taken(self) -> Self {
        match (self.rule, self.class) {
            (RuleName::Affinity, Some(_)) => self,
            _ => Self { rule: RuleName::Together, ..self },
        }
    }

    fn kindness(&self) -> (RuleName, Option<usize>, Option<i128>) {
        (self.rule, self.class, self.has)
    }
}

/// Who is where with what room left, before the plan and after it.
pub(super) struct Views<'a> {
    scene: &'a Scene<'a>,
    before: View,
    after: View,
    /// By group: the positions of its members.
    members: Vec<Vec<usize>>,
    /// By instance: the positions of its groups.
    groups: Vec<Vec<usize>>,
    /// The rule by which an instance stays that has a place in the end.
    alone: RuleName,
}

struct View {
    /// By host: what is taken.
    usage: Vec<Amounts>,
    /// By instance: its host; nowhere for one that is about to leave.
    place: Vec<Option<usize>>,
}

impl<'a> Views<'a> {
    pub(super) fn new(scene: &'a Scene<'a>, itinerary: &Itinerary<'_>, alone: RuleName) -> Self {
        let stands = |(at, home): (usize, &usize)| (scene.asked(at) != Some(Asked::Leave)).then_some(*home);
        let before = View { usage: scene.usage.clone(), place: scene.home.iter().enumerate().map(stands).collect() };
        let place = itinerary.ends(scene).into_iter().map(Some).collect();
        let after = View { usage: usage_at_end(scene, itinerary), place };
        let mut groups = vec![Vec::new(); scene.home.len()];
        let mut members = Vec::new();
        for (group, facts) in scene.fleet.server_groups().iter().enumerate() {
            let of_group = facts.members.iter().filter_map(|id| scene.fleet.instance_index(id.as_str()));
            members.push(of_group.collect::<Vec<usize>>());
            members[group].iter().for_each(|member| groups[*member].push(group));
        }
        Self { scene, before, after, members, groups, alone }
    }

    /// What room and groups put between an instance and a host that no other rule keeps it from.
    pub(super) fn obstacles(&self, wish: &Wish<'_>, at: usize, host: usize) -> Vec<Obstacle> {
        let [before, after] = [&self.before, &self.after].map(|view| self.of(view, wish, at, host));
        match (before.first(), after.first()) {
            (_, None) => vec![Obstacle::of(self.alone)],
            (None, _) => after.into_iter().map(Obstacle::taken).collect(),
            (Some(now), Some(then)) if then.kindness() > now.kindness() => after,
            _ => before,
        }
    }

    /// The same as things stand, for a host that another rule keeps the instance from.
    pub(super) fn standing(&self, wish: &Wish<'_>, at: usize, host: usize) -> Vec<Obstacle> {
        self.of(&self.before, wish, at, host)
    }

    /// What is on two hosts after the plan, and what all others have left then.
    pub(super) fn lacking(&self, out: usize, failed: usize, class: usize) -> (i128, i128) {
        let scene = self.scene;
        let unlisted = |host: usize| scene.dense(&scene.host(host).other_usage)[class];
        let claimed = |host: usize| self.after.usage[host][class] - unlisted(host);
        let receives = |host: &usize| {
            let facts = scene.host(*host);
            facts.up && facts.enabled && !scene.options().exclude_hosts.contains(&facts.name)
        };
        let others = (0..scene.capacity.len()).filter(|host| *host != out && *host != failed).filter(receives);
        let left = others.map(|host| (scene.capacity[host][class] - self.after.usage[host][class]).max(0)).sum();
        (claimed(out) + claimed(failed), left)
    }

    fn of(&self, view: &View, wish: &Wish<'_>, at: usize, host: usize) -> Vec<Obstacle> {
        let classes = 0..self.scene.classes.len();
        let mut obstacles: Vec<Obstacle> =
            classes.filter_map(|class| self.of_class(view, wish, at, host, class)).collect();
        obstacles.extend(self.groups(view, at, host));
        obstacles.sort_by_key(|obstacle| obstacle.rule);
        obstacles
    }

    fn of_class(&self, view: &View, wish: &Wish<'_>, at: usize, host: usize, class: usize) -> Option<Obstacle> {
        let scene = self.scene;
        let whole = scene.dense(wish.resources)[class];
        let more = if scene.home[at] == host { whole - scene.claim(at)[class] } else { whole };
        if more <= 0 {
            return None;
        }
        let capacity = scene.capacity[host][class];
        let unlisted = scene.dense(&scene.host(host).other_usage)[class];
        let left = capacity - view.usage[host][class];
        let beyond = left - kept(capacity, scene.options().headroom_percent);
        let short = |rule, need, has| {
            (has < need).then_some(Obstacle { rule, class: Some(class), need: Some(need), has: Some(has) })
        };
        short(RuleName::Size, whole, capacity - unlisted)
            .or_else(|| short(RuleName::Capacity, more, left))
            .or_else(|| short(RuleName::Headroom, more, beyond))
    }

    /// What all members need that can only go as one, for each is to leave the same host, where there is less of it.
    fn in_one_piece(&self, view: &View, members: &[usize], at: usize, host: usize) -> Vec<Obstacle> {
        let scene = self.scene;
        let goes = |member: &usize| scene.home[*member] == scene.home[at] && scene.asked(*member) == Some(Asked::Leave);
        if members.len() < 2 || !members.iter().all(goes) {
            return Vec::new();
        }
        let mut whole = vec![0; scene.classes.len()];
        members.iter().for_each(|member| add(&mut whole, &scene.claim(*member)));
        let short = |(class, need): (usize, i128)| {
            let capacity = scene.capacity[host][class];
            let has = capacity - view.usage[host][class] - kept(capacity, scene.options().headroom_percent);
            let short =
                Obstacle { class: Some(class), need: Some(need), has: Some(has), ..Obstacle::of(RuleName::Affinity) };
            (need > 0 && has < need).then_some(short)
        };
        whole.into_iter().enumerate().filter_map(short).collect()
    }

    fn groups(&self, view: &View, at: usize, host: usize) -> Vec<Obstacle> {
        let scene = self.scene;
        let mut obstacles = Vec::new();
        for position in &self.groups[at] {
            let (group, members) = (&scene.fleet.server_groups()[*position], &self.members[*position]);
            let others = || members.iter().filter(|member| **member != at).filter_map(|member| view.place[*member]);
            let there = others().filter(|place| *place == host).count();
            let at_start = members.iter().filter(|member| scene.home[**member] == host).count();
            if group.policy == GroupPolicy::Affinity {
                obstacles.extend(self.in_one_piece(view, members, at, host));
            }
            match group.policy {
                GroupPolicy::AntiAffinity if there >= at_start.max(group.max_per_host as usize) => {
                    obstacles.push(Obstacle::of(RuleName::AntiAffinity));
                }
                GroupPolicy::Affinity if there == 0 && others().next().is_some() => {
                    obstacles.push(Obstacle::of(RuleName::Affinity));
                }
                _ => {}
            }
        }
        obstacles
    }
}
