//! Whether a refusal's reasons are so: the hosts each rule rules out, and the numbers of the near misses.
//!
//! They are counted again here, host by host, and compared. What a rolling maintenance says of an instance whose host
//! has no turn is about the host and not about where the instance could go: it is compared with the request.

use std::collections::BTreeMap;

use decant_schema::fleet::GroupPolicy;
use decant_schema::id::ResourceClass;
use decant_schema::plan::{Plan, Reason, Refusal, RuleName, StoppedBy};
use decant_schema::request::RequestKind;
use rayon::prelude::*;

use super::itinerary::Itinerary;
use super::left::is_about_turn;
use super::nearness::{Obstacle, Views};
use super::rule::{Wish, immobile, objections, objections_at_end, odd, staying};
use super::scene::{Asked, Scene};
use super::violation::Violation;

/// Reasons that are not so. `alone` is the rule by which an instance stays that has a place in the end.
pub(super) fn false_reasons(
    scene: &Scene<'_>,
    plan: &Plan,
    refusals: &[&Refusal],
    itinerary: &Itinerary<'_>,
    alone: RuleName,
) -> Vec<Violation> {
    let views = Views::new(scene, itinerary, alone);
    let found: Vec<Vec<Violation>> = refusals
        .par_iter()
        .filter_map(|refusal| {
            let at = scene.fleet.instance_index(refusal.instance.as_str())?;
            // One that moves all the same is not refused, whatever its reasons.
            let stays = scene.asked(at).is_some() && !itinerary.ways.contains_key(&at);
            stays.then(|| Judge::new(scene, &views, at).judge(plan, refusal))
        })
        .collect();
    found.into_iter().flatten().collect()
}

/// What a reason should say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Count {
    hosts: u64,
    hosts_in_all: u64,
    need: Option<i128>,
    best: Option<i128>,
    best_host: Option<usize>,
}

impl Count {
    /// Counts a host that this is the first to rule out.
    fn note(&mut self, obstacle: &Obstacle, host: usize) {
        self.hosts += 1;
        let (Some(need), Some(has)) = (obstacle.need, obstacle.has) else { return };
        let (need, has) = (need.max(0), has.max(0));
        let so_far = self.need.zip(self.best).map(|(need, best)| (need - best).abs());
        if so_far.is_none_or(|so_far| (need - has).abs() < so_far) {
            (self.need, self.best, self.best_host) = (Some(need), Some(has), Some(host));
        }
    }
}

/// Judges the refusal of one instance.
struct Judge<'a> {
    scene: &'a Scene<'a>,
    views: &'a Views<'a>,
    at: usize,
    wish: Wish<'a>,
    /// Why it may not leave its host at all.
    immobile: Option<RuleName>,
}

impl<'a> Judge<'a> {
    fn new(scene: &'a Scene<'a>, views: &'a Views<'a>, at: usize) -> Self {
        Self { scene, views, at, wish: Wish::of(scene, at), immobile: immobile(scene, at) }
    }

    fn judge(&self, plan: &Plan, refusal: &Refusal) -> Vec<Violation> {
        let instance = || refusal.instance.clone();
        if refusal.reasons.is_empty() {
            return vec![Violation::NoReason { instance: instance() }];
        }
        let false_reason =
            |rule: RuleName, detail: String| Violation::FalseReason { instance: instance(), rule, detail };
        if let (Some(rule), true) = (self.immobile, self.leaves()) {
            let others = refusal.reasons.iter().filter(|reason| reason.rule != rule || reason.hosts > 0);
            return others.map(|reason| false_reason(reason.rule, "it may not leave its host".into())).collect();
        }
        if let ([reason], RequestKind::Rolling { .. }) = (&refusal.reasons[..], &self.scene.request.kind)
            && let Some(holds) = self.without_turn(plan, reason)
        {
            return holds.err().into_iter().map(|detail| false_reason(reason.rule, detail)).collect();
        }
        let counts = self.counts();
        let (found, expected) =
            (refusal.reasons.iter().map(|reason| reason.hosts).sum(), counts.values().map(|count| count.hosts).sum());
        let mut violations = Vec::new();
        if found != expected {
            violations.push(Violation::ReasonHosts { instance: instance(), found, expected });
        }
        for reason in &refusal.reasons {
            if let Err(detail) = self.holds(reason, &counts) {
                violations.push(false_reason(reason.rule, detail));
            }
        }
        violations
    }

    fn leaves(&self) -> bool {
        self.scene.asked(self.at) == Some(Asked::Leave)
    }

    /// Every host it might have gone to, by what is the first to rule it out; and how many each rules out in all.
    fn counts(&self) -> BTreeMap<(RuleName, Option<usize>), Count> {
        let mut counts: BTreeMap<(RuleName, Option<usize>), Count> = BTreeMap::new();
        let home = self.scene.home[self.at];
        let hosts = (0..self.scene.fleet.hosts().len()).filter(|host| *host != home || !self.leaves());
        for host in hosts {
            for (nth, obstacle) in self.obstacles(host).iter().enumerate() {
                let count = counts.entry((obstacle.rule, obstacle.class)).or_default();
                count.need = count.need.or(obstacle.need);
                count.hosts_in_all += 1;
                if nth == 0 {
                    count.note(obstacle, host);
                }
            }
        }
        counts.retain(|_, count| count.hosts > 0);
        counts
    }

    /// What keeps it from a host, the first rule first.
    fn obstacles(&self, at: usize) -> Vec<Obstacle> {
        let (scene, stays) = (self.scene, at == self.scene.home[self.at]);
        let host = scene.host(at);
        let rules = match self.immobile {
            _ if stays => staying(host, self.wish.flavor),
            Some(rule) => return vec![Obstacle::of(rule)],
            None => objections(scene, &self.wish, host),
        };
        if rules.is_empty() {
            return self.views.obstacles(&self.wish, self.at, at);
        }
        let with_numbers = |rule: RuleName| match rule {
            RuleName::HypervisorVersion => Obstacle {
                need: self.wish.version_min.map(i128::from),
                has: host.hypervisor_version.map(i128::from),
                ..Obstacle::of(rule)
            },
            RuleName::Unit => self.odd_amount(at),
            _ => Obstacle::of(rule),
        };
        rules.into_iter().map(with_numbers).chain(self.views.standing(&self.wish, self.at, at)).collect()
    }

    /// The first class of which the host does not take such an amount, and what it takes instead: the most that is not
    /// more, else the least there is.
    fn odd_amount(&self, host: usize) -> Obstacle {
        let host = self.scene.host(host);
        let takes = |class: &ResourceClass, amount: u64| !odd(host, &[(class.clone(), amount)].into());
        let odd_one =
            |class: &&ResourceClass| self.wish.resources.get(*class).is_some_and(|amount| !takes(class, *amount));
        let Some(class) = self.scene.classes.iter().position(odd_one) else { return Obstacle::of(RuleName::Unit) };
        let named = self.scene.classes[class];
        let need = self.wish.resources[named];
        let instead = host.inventory.get(named).and_then(|inventory| {
            let step = inventory.step_size.filter(|step| *step > 0).unwrap_or(1);
            let most = need.min(inventory.max_unit.unwrap_or(u64::MAX));
            let least = need.max(inventory.min_unit.unwrap_or(0));
            let amounts = [most - most % step, least + (step - least % step) % step];
            amounts.into_iter().find(|amount| *amount > 0 && takes(named, *amount))
        });
        Obstacle {
            class: Some(class),
            need: Some(need.into()),
            has: Some(instead.unwrap_or(0).into()),
            ..Obstacle::of(RuleName::Unit)
        }
    }

    fn holds(&self, reason: &Reason, counts: &BTreeMap<(RuleName, Option<usize>), Count>) -> Result<(), String> {
        // What lacks only a way lacks only time, where a window is asked for.
        let rule = match reason.rule {
            RuleName::Window if self.scene.options().window_s.is_some() => RuleName::Order,
            rule => rule,
        };
        if rule == RuleName::Evacuated && reason.hosts == 0 {
            return truth(counts.is_empty(), || "there are other hosts".into());
        }
        let class = reason.class.as_ref().map(|named| self.scene.classes.iter().position(|class| *class == named));
        let class = class.map_or(Ok(None), |found| found.map(Some).ok_or("it names no class of the fleet"))?;
        let count = counts.get(&(rule, class)).copied().unwrap_or_default();
        truth(reason.hosts == count.hosts, || format!("it is the first to rule out {} hosts", count.hosts))?;
        truth(reason.hosts_in_all == count.hosts_in_all, || {
            format!("it rules out {} hosts in all", count.hosts_in_all)
        })?;
        let [need, best] = [reason.need, reason.best].map(|number| number.map(i128::from));
        truth(need == count.need, || format!("the need is {}", shown(count.need)))?;
        truth(best == count.best, || format!("the most there is of it is {}", shown(count.best)))?;
        let best_host = count.best_host.map(|host| &self.scene.host(host).name);
        truth(reason.best_host.as_ref() == best_host, || "another host is nearest".into())?;
        match rule {
            RuleName::Affinity => self.true_group(reason, GroupPolicy::Affinity),
            RuleName::AntiAffinity => self.true_group(reason, GroupPolicy::AntiAffinity),
            _ => Ok(()),
        }
    }

    /// A reason why its host has no turn; `None` if it is about where the instance could go.
    fn without_turn(&self, plan: &Plan, reason: &Reason) -> Option<Result<(), String>> {
        let scene = self.scene;
        let RequestKind::Rolling { rounds, .. } = &scene.request.kind else { return None };
        let holds = match (reason.rule, reason.subject.as_deref()) {
            (RuleName::Window, None) => truth(rounds.window_s.is_finite(), || "there is no window".into()),
            (RuleName::Turn, Some("a spare host is kept")) => {
                truth(rounds.spare_hosts > 0, || "no spare host is asked for".into())
                    .and_then(|()| self.true_shortage(reason))
            }
            (RuleName::Turn, Some("the time to plan was up")) => {
                truth(plan.proof.stopped_by == Some(StoppedBy::Time), || "the plan was not cut short".into())
            }
            (RuleName::Turn, Some(subject)) => {
                let other = subject.strip_suffix(" stays on its host")?;
                let at = scene.fleet.instance_index(other).filter(|at| scene.home[*at] == scene.home[self.at]);
                let of_its_own = |refusal: &Refusal| refusal.instance.as_str() == other && !is_about_turn(refusal);
                let held = |at: usize| cannot_leave(scene, plan, at) || plan.refusals.iter().any(of_its_own);
                let stays = at.is_some_and(|at| at != self.at && held(at));
                truth(stays, || "nobody like that stays on its host".into())
            }
            _ => return None,
        };
        let others = scene.fleet.hosts().len() as u64 - 1;
        let whole = reason.hosts == others && reason.hosts_in_all == others;
        Some(holds.and_then(|()| truth(whole, || format!("it is the same for all {others} hosts"))))
    }

    /// Figures of what lacks while its host is out and another fails, where there are any.
    fn true_shortage(&self, reason: &Reason) -> Result<(), String> {
        let scene = self.scene;
        let Some(named) = &reason.class else {
            let none = reason.need.is_none() && reason.best.is_none() && reason.best_host.is_none();
            return truth(none, || "its figures are of no class".into());
        };
        let class = scene.classes.iter().position(|class| *class == named).ok_or("it names no class of the fleet")?;
        let failed = reason.best_host.as_ref().and_then(|host| scene.fleet.host_index(host.as_str()));
        let failed =
            failed.filter(|at| *at != scene.home[self.at] && scene.host(*at).up).ok_or("no such host fails")?;
        let (need, left) = self.views.lacking(scene.home[self.at], failed, class);
        truth(reason.need.map(i128::from) == Some(need), || format!("{need} are on the two hosts"))?;
        truth(reason.best.map(i128::from) == Some(left), || format!("the others have {left} left"))?;
        truth(need > left, || "there is enough".into())
    }

    fn true_group(&self, reason: &Reason, policy: GroupPolicy) -> Result<(), String> {
        let subject = reason.subject.as_deref();
        let id = &self.wish.instance.id;
        let mut groups = self.scene.fleet.server_groups().iter().filter(|group| group.policy == policy);
        let known = groups.find(|group| Some(group.name.as_str()) == subject && group.members.contains(id));
        let known = known.ok_or("it is in no such group")?;
        let Some(class) = &reason.class else { return Ok(()) };
        let members = known.members.iter().filter_map(|id| self.scene.fleet.instance_index(id.as_str()));
        let claimed = |at| self.scene.fleet.claim(self.scene.instance(at)).get(class).copied().unwrap_or(0);
        let whole = members.map(|at| i128::from(claimed(at))).sum::<i128>();
        truth(reason.need.map(i128::from) == Some(whole), || format!("its group needs {whole}"))
    }
}

/// Whether nothing lets an instance leave its host, or no host takes it, not even after its round.
fn cannot_leave(scene: &Scene<'_>, plan: &Plan, at: usize) -> bool {
    let home = scene.home[at];
    let mut others = (0..scene.fleet.hosts().len()).filter(|host| *host != home);
    immobile(scene, at).is_some() || !others.any(|host| objections_at_end(scene, plan, at, home, host).is_empty())
}

fn truth(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(otherwise()) }
}

fn shown(number: Option<i128>) -> String {
    number.map_or_else(|| "not a number".to_owned(), |number| number.to_string())
}
