//! Whether a refusal's reasons are so: the hosts each rule rules out, and the numbers of the near misses.

use std::collections::BTreeMap;

use decant_schema::fleet::GroupPolicy;
use decant_schema::plan::{Plan, Reason, Refusal, RuleName};
use rayon::prelude::*;

use super::itinerary::Itinerary;
use super::room::{kept, usage_at_end};
use super::rule::{Wish, immobile, objections, staying};
use super::scene::{Amounts, Asked, Scene};
use super::violation::Violation;

/// Reasons that are not so.
pub(super) fn false_reasons(scene: &Scene<'_>, plan: &Plan, itinerary: &Itinerary<'_>) -> Vec<Violation> {
    let ends = usage_at_end(scene, itinerary);
    let found: Vec<Vec<Violation>> = plan
        .refusals
        .par_iter()
        .filter_map(|refusal| {
            let at = scene.fleet.instance_index(refusal.instance.as_str())?;
            scene.asked(at).map(|_| Judge::new(scene, &ends, at).judge(refusal))
        })
        .collect();
    found.into_iter().flatten().collect()
}

/// Judges the refusal of one instance.
struct Judge<'a> {
    scene: &'a Scene<'a>,
    ends: &'a [Amounts],
    at: usize,
    wish: Wish<'a>,
    /// Hosts it might have gone to, by the first rule about it and the host alone that rules them out.
    first: BTreeMap<Option<RuleName>, u64>,
}

impl<'a> Judge<'a> {
    fn new(scene: &'a Scene<'a>, ends: &'a [Amounts], at: usize) -> Self {
        let wish = Wish::of(scene, at);
        let mut first = BTreeMap::new();
        for host in 0..scene.fleet.hosts().len() {
            let rules = if host != scene.home[at] {
                objections(scene, &wish, scene.host(host))
            } else if matches!(scene.asked(at), Some(Asked::Resize(_))) {
                staying(scene.host(host), wish.flavor)
            } else {
                continue;
            };
            *first.entry(rules.first().copied()).or_default() += 1;
        }
        Self { scene, ends, at, wish, first }
    }

    fn judge(&self, refusal: &Refusal) -> Vec<Violation> {
        let instance = || refusal.instance.clone();
        if refusal.reasons.is_empty() {
            return vec![Violation::NoReason { instance: instance() }];
        }
        let (found, expected) = (refusal.reasons.iter().map(|reason| reason.hosts).sum(), self.first.values().sum());
        let mut violations = Vec::new();
        if found != expected && immobile(self.scene, self.at).is_none() {
            violations.push(Violation::ReasonHosts { instance: instance(), found, expected });
        }
        for reason in &refusal.reasons {
            if let Err(detail) = self.true_reason(reason) {
                violations.push(Violation::FalseReason { instance: instance(), rule: reason.rule, detail });
            }
        }
        violations
    }

    fn true_reason(&self, reason: &Reason) -> Result<(), String> {
        let fixed = immobile(self.scene, self.at);
        match reason.rule {
            RuleName::Mobility | RuleName::Pinned | RuleName::SourceDown => {
                holds(fixed == Some(reason.rule), || "it does not apply to the instance".into())
            }
            RuleName::Evacuated
            | RuleName::Excluded
            | RuleName::HostDown
            | RuleName::HostDisabled
            | RuleName::Zone
            | RuleName::Aggregate
            | RuleName::RequiredTrait
            | RuleName::ForbiddenTrait
            | RuleName::Storage
            | RuleName::HypervisorVersion
            | RuleName::Unit => {
                let hosts = self.first.get(&Some(reason.rule)).copied().unwrap_or(0);
                holds(fixed.is_some() || reason.hosts <= hosts, || format!("it is the first to rule out {hosts} hosts"))
            }
            RuleName::Size | RuleName::Capacity | RuleName::Headroom => self.true_amounts(reason),
            RuleName::Affinity => self.true_group(reason, GroupPolicy::Affinity),
            RuleName::AntiAffinity => self.true_group(reason, GroupPolicy::AntiAffinity),
            RuleName::Order | RuleName::Together | RuleName::Window => Ok(()),
        }
    }

    /// The need is the instance's, and the best near miss is what that host has, which is less.
    fn true_amounts(&self, reason: &Reason) -> Result<(), String> {
        let scene = self.scene;
        let class = scene.classes.iter().position(|class| reason.class.as_ref() == Some(class));
        let class = class.ok_or("it names no class of the fleet")?;
        let (need, claim) = (scene.dense(self.wish.resources)[class], scene.claim(self.at)[class]);
        let said = reason.need.map(i128::from).ok_or("it names no need")?;
        let growth = matches!(scene.asked(self.at), Some(Asked::Resize(_))).then_some(need - claim);
        holds(said == need || Some(said) == growth, || format!("it needs {need}"))?;
        let (Some(best), Some(host)) = (reason.best.map(i128::from), &reason.best_host) else { return Ok(()) };
        let host = scene.fleet.host_index(host.as_str()).ok_or("its best host is unknown")?;
        let capacity = scene.capacity[host][class];
        let other = scene.host(host).other_usage.get(scene.classes[class]).copied().unwrap_or(0);
        let kept = if reason.rule == RuleName::Headroom { kept(capacity, scene.options().headroom_percent) } else { 0 };
        let has = match reason.rule {
            RuleName::Size => [capacity - i128::from(other); 2],
            _ => [scene.usage[host][class], self.ends[host][class]].map(|used| capacity - used - kept),
        };
        holds(has.iter().any(|has| best == (*has).max(0)), || format!("the host has {} of it", has[0].max(0)))?;
        holds(best < said || best == 0, || format!("{best} is enough"))
    }

    fn true_group(&self, reason: &Reason, policy: GroupPolicy) -> Result<(), String> {
        let subject = reason.subject.as_deref();
        let id = &self.wish.instance.id;
        let mut groups = self.scene.fleet.server_groups().iter().filter(|group| group.policy == policy);
        let known = groups.any(|group| Some(group.name.as_str()) == subject && group.members.contains(id));
        holds(known, || "it is in no such group".into())
    }
}

fn holds(truth: bool, otherwise: impl FnOnce() -> String) -> Result<(), String> {
    if truth { Ok(()) } else { Err(otherwise()) }
}
