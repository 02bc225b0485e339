//! Why instances stay whose hosts have no turn.
//!
//! Where nothing lets a host be emptied, its instances are explained as an evacuation of it alone would explain them, from
//! the fleet as the rounds leave it: reasons, conflicts and fixes. Where it could be emptied, but not within the window, not
//! with the spare hosts kept, or not before the time to plan was up, that is what is said, and which other condition would
//! give it its turn: planned again.

use std::collections::{BTreeMap, BTreeSet};

use decant_schema::plan::{Fix, Reason, Refusal, RuleName};
use decant_schema::request::RollingOptions;

use super::{Course, End, asked};
use crate::capacity::emptied;
use crate::problem::{HostIdx, InstanceIdx, Problem, forbidden};
use crate::search::Ordered;
use crate::{Limits, placement, refusal};

/// Hosts that are placed to explain what stays on them; of the others only what keeps each instance from each host is said.
const EXPLAINED_MAX: usize = 8;

impl Course {
    /// One refusal for each instance that stays, by index.
    pub(super) fn refusals(&self, problem: &Problem, limits: &Limits<'_>) -> Vec<Refusal> {
        let mut by_host: BTreeMap<HostIdx, Vec<InstanceIdx>> = BTreeMap::new();
        for at in self.refused(problem) {
            by_host.entry(problem.instances[at.at()].host).or_default().push(at);
        }
        if by_host.is_empty() {
            return Vec::new();
        }
        let remedies = self.remedies(problem, limits);
        let of_host = |(nth, (host, instances)): (usize, (&HostIdx, &Vec<InstanceIdx>))| {
            self.of_host(
                problem,
                *host,
                instances,
                &remedies,
                &if nth < EXPLAINED_MAX { *limits } else { limits.over() },
            )
        };
        let mut refusals: Vec<(InstanceIdx, Refusal)> = by_host.iter().enumerate().flat_map(of_host).collect();
        refusals.sort_by_key(|(at, _)| *at);
        refusals.into_iter().map(|(_, refusal)| refusal).collect()
    }

    /// Why the instances of a host stay.
    fn of_host(
        &self,
        problem: &Problem,
        host: HostIdx,
        instances: &[InstanceIdx],
        remedies: &[Remedy],
        limits: &Limits<'_>,
    ) -> Vec<(InstanceIdx, Refusal)> {
        let for_all =
            |refusal: &dyn Fn(InstanceIdx) -> Refusal| instances.iter().map(|at| (*at, refusal(*at))).collect();
        if !instances.iter().any(|at| self.cannot_leave(*at)) {
            if self.end == End::Time && (limits.out_of_time() || !self.is_held(host, limits)) {
                return for_all(&|at| out_of_time(problem, at));
            }
            if let Some(remedy) = remedies.iter().find(|remedy| remedy.hosts.contains(&host)) {
                let shortage = matches!(remedy.fix, Fix::FewerSpareHosts { .. }).then(|| self.shortage(host)).flatten();
                return for_all(&|at| remedy.refusal(problem, at, shortage.as_ref()));
            }
        }
        let mut explained = self.explained(host, instances, limits);
        if let Some((first, _)) = explained.first().cloned() {
            let others = instances.iter().filter(|at| !explained.iter().any(|(known, _)| known == *at));
            let kept: Vec<_> = others.map(|at| (*at, kept_by(problem, *at, first))).collect();
            explained.extend(kept);
        }
        explained
    }

    /// Those that stay in an evacuation of the host alone, and why; all of them, if that is not known.
    fn explained(&self, host: HostIdx, instances: &[InstanceIdx], limits: &Limits<'_>) -> Vec<(InstanceIdx, Refusal)> {
        let evacuation = emptied(self.state.now(), &[host]);
        let with_refusals =
            |refused: Vec<InstanceIdx>, refusals: Vec<Refusal>| refused.into_iter().zip(refusals).collect();
        if !limits.out_of_time() {
            let Ordered { mut schedule, mut refused, .. } = Ordered::of(&evacuation, limits);
            refused.retain(|at| instances.contains(at));
            if !refused.is_empty() {
                schedule.placement.refused.clone_from(&refused);
                return with_refusals(refused, refusal::explain_without_turn(&evacuation, &schedule, limits));
            }
        }
        let fixed: Vec<InstanceIdx> = instances.iter().copied().filter(|at| self.cannot_leave(*at)).collect();
        let refused = if fixed.is_empty() { instances.to_vec() } else { fixed };
        let refusals = refusal::explain_each_without_turn(&evacuation, &refused);
        with_refusals(refused, refusals)
    }

    /// Whether a count of places says that a host cannot be emptied, however much time there is.
    fn is_held(&self, host: HostIdx, limits: &Limits<'_>) -> bool {
        placement::bounded(&emptied(self.state.now(), &[host]), 1, &limits.over()).refused.bound > 0
    }

    /// Whether nothing lets an instance leave its host, or no host takes it, whatever the room.
    pub(super) fn cannot_leave(&self, instance: InstanceIdx) -> bool {
        let now = self.state.now();
        let home = now.instances[instance.at()].host;
        forbidden(now, instance).is_some() || now.kind(instance).eligible.iter().all(|host| host == home)
    }

    /// What would give hosts their turn that have none, the cheapest first: each planned again.
    fn remedies(&self, problem: &Problem, limits: &Limits<'_>) -> Vec<Remedy> {
        let (listed, options) = asked(problem);
        let mut remedies = Vec::new();
        if self.cut_short || limits.out_of_time() {
            return remedies;
        }
        if self.end == End::Window {
            let open = RollingOptions { window_s: f64::INFINITY, intervals: Vec::new(), ..options.clone() };
            let open = Self::best(problem, &listed, &open, limits);
            let window_s = open.stitched.moves.iter().map(|line| line.start_s).fold(0.0, f64::max).floor() + 1.0;
            let longer = RollingOptions { window_s, intervals: Vec::new(), ..options.clone() };
            let hosts = self.gained(&Self::best(problem, &listed, &longer, limits));
            remedies.push(Remedy { fix: Fix::LongerWindow { window_s }, hosts });
        }
        for spare_hosts in (0..options.spare_hosts).rev() {
            let fewer = RollingOptions { spare_hosts, ..options.clone() };
            let hosts = self.gained(&Self::best(problem, &listed, &fewer, limits));
            remedies.push(Remedy { fix: Fix::FewerSpareHosts { spare_hosts }, hosts });
        }
        remedies
    }

    /// Hosts that have no turn here, but in the other course.
    fn gained(&self, other: &Self) -> BTreeSet<HostIdx> {
        self.remaining.iter().copied().filter(|host| !other.remaining.contains(host)).collect()
    }

    /// What lacks most while a host is out and the worst other fails; `None` where the sums suffice.
    fn shortage(&self, host: HostIdx) -> Option<Reason> {
        let now = self.state.now();
        let used = |at: usize, class: usize| -> i64 {
            now.hosts[at].instances.iter().map(|instance| now.kind(*instance).claim[class]).sum()
        };
        let free = |at: usize, class: usize| if now.hosts[at].receives { now.hosts[at].free[class].max(0) } else { 0 };
        let others = (0..now.hosts.len()).filter(|at| *at != host.at());
        let failing = others.clone().filter(|at| now.hosts[*at].up);
        let cases = failing.flat_map(|failed| (0..now.classes.len()).map(move |class| (failed, class)));
        let figures = cases.map(|(failed, class)| {
            let need = used(host.at(), class) + used(failed, class);
            let left: i64 = others.clone().filter(|at| *at != failed).map(|at| free(at, class)).sum();
            (need, left, failed, class)
        });
        let short = figures.filter(|(need, left, ..)| need > left);
        let share = |need: i64, left: i64| i128::from(need - left) * 1_000_000 / i128::from(need);
        let (need, left, failed, class) = short.max_by_key(|(need, left, ..)| share(*need, *left))?;
        Some(Reason {
            class: Some(now.classes[class].clone()),
            need: u64::try_from(need).ok(),
            best: u64::try_from(left).ok(),
            best_host: Some(now.fleet.hosts()[failed].name.clone()),
            ..refusal::without_order()
        })
    }
}

/// Another condition of the maintenance, and the hosts that then have their turn.
struct Remedy {
    fix: Fix,
    hosts: BTreeSet<HostIdx>,
}

impl Remedy {
    /// The refusal of an instance of one of its hosts; `shortage` has figures for it.
    fn refusal(&self, problem: &Problem, instance: InstanceIdx, shortage: Option<&Reason>) -> Refusal {
        let mut refused = match &self.fix {
            Fix::FewerSpareHosts { spare_hosts } => {
                let would_fit = format!("{spare_hosts} spare hosts: with more, its host cannot be out");
                without_turn(problem, instance, "a spare host is kept", would_fit)
            }
            Fix::LongerWindow { window_s } => {
                let would_fit = format!("a window of {window_s:.0} seconds, in which its host has its turn");
                everywhere(problem, instance, RuleName::Window, would_fit)
            }
            _ => everywhere(problem, instance, RuleName::Window, "a longer window".to_owned()),
        };
        if let Some(Reason { class, need, best, best_host, .. }) = shortage.cloned() {
            let figures = |reason: Reason| Reason { class, need, best, best_host, ..reason };
            refused.reasons = refused.reasons.pop().map(figures).into_iter().collect();
        }
        Refusal { fixes: vec![self.fix.clone()], ..refused }
    }
}

/// The refusal of an instance whose host has no turn because another instance does not leave it.
fn kept_by(problem: &Problem, instance: InstanceIdx, other: InstanceIdx) -> Refusal {
    let other = &problem.fleet.instances()[other.at()].id;
    let would_fit = format!("{other} being able to leave: a host that cannot be emptied has no turn");
    without_turn(problem, instance, &format!("{other} stays on its host"), would_fit)
}

/// The refusal of an instance whose host has no turn because the planner had no time left for it.
fn out_of_time(problem: &Problem, instance: InstanceIdx) -> Refusal {
    let would_fit = "more time to plan: it was up before its host had a turn".to_owned();
    without_turn(problem, instance, "the time to plan was up", would_fit)
}

/// The refusal of an instance whose host has no turn for a reason in words.
fn without_turn(problem: &Problem, instance: InstanceIdx, why: &str, would_fit: String) -> Refusal {
    let mut refusal = everywhere(problem, instance, RuleName::Turn, would_fit);
    refusal.reasons.iter_mut().for_each(|reason| reason.subject = Some(why.to_owned()));
    refusal
}

/// A refusal by a rule that is the same for every host.
fn everywhere(problem: &Problem, instance: InstanceIdx, rule: RuleName, would_fit: String) -> Refusal {
    let others = problem.hosts.len() as u64 - 1;
    Refusal {
        instance: problem.fleet.instances()[instance.at()].id.clone(),
        reasons: vec![Reason { rule, hosts: others, hosts_in_all: others, ..refusal::without_order() }],
        would_fit: Some(would_fit),
        conflict: None,
        fixes: Vec::new(),
    }
}
