//! A smallest set of instances and rules that cannot hold together.
//!
//! A deletion filter (Chinneck and Dravnieks, 1991): what can be left out of a conflict, so that it remains one, is left
//! out, until nothing can be; what is left is irreducible. Whether a set is a conflict is decided by planning it: a proven
//! bound says yes, an order of moves that refuses nobody says no. So that a small conflict among many is found in few
//! steps, as many as can be go at once, those first that the prices of the first bound count least; without prices halves
//! and smaller pieces go. Of instances that are alike any so many will do, so that the least number of them is found by
//! halving. What is left is large, which is also what is easiest to see: where one that is larger is left out, whoever
//! lacked a place takes its.
//!
//! What fits has mostly been seen before, or nearly: the plan, or another placement that was found, is tried first, then
//! with room gathered for whoever that leaves, then it is placed anew. The prices of the last bound go with what is left,
//! for others to verify.
//!
//! An instance that is left out of a host to be emptied is as good as gone, so that its groups hold nobody there; one that
//! is not to be resized after all is a third party. Of the rules those are members that would do alone: each relaxed, all
//! else being as it is, lets all instances go.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use decant_schema::id::InstanceId;
use decant_schema::plan::{Certificate, Conflict, TierName};
use decant_schema::request::RequestKind;

use crate::ordering::Schedule;
use crate::placement::{Placed, Way};
use crate::problem::{GroupIdx, HostIdx, InstanceIdx, KindIdx, Problem, Task};
use crate::search::is_asked;
use crate::{Limits, ordering, part, placement};

use super::change::{Change, relaxations};

/// Hosts placed in one search for a conflict, a part of a fleet counting as often as it is placed again: what is not
/// irreducible by then is given as it is.
const HOSTS_PLACED: usize = 100_000;

/// Hosts of a part of the fleet that is placed thoroughly in a moment.
const SMALL_HOSTS: usize = 100;

/// Conflicts searched for the refusals of one plan.
const SEARCHED_MAX: usize = 4;

/// The conflicts of these refusals of a plan, one after the other, as far as they are known when the time is over.
pub(super) fn of_all(
    problem: &Problem,
    schedule: &Schedule,
    refused: &[InstanceIdx],
    limits: &Limits<'_>,
) -> Vec<Option<Conflict>> {
    let mut conflicts = Conflicts { problem, schedule, limits, found: Vec::new() };
    refused.iter().map(|refused| conflicts.of(*refused)).collect()
}

/// The conflicts of a plan's refusals. What was found for one holds for those like it.
struct Conflicts<'a> {
    problem: &'a Problem,
    schedule: &'a Schedule,
    limits: &'a Limits<'a>,
    /// For whom one was sought, and what was found.
    found: Vec<(InstanceIdx, Option<Conflict>)>,
}

impl<'a> Conflicts<'a> {
    /// The conflict of a refused instance, as far as one is known or may still be searched.
    fn of(&mut self, refused: InstanceIdx) -> Option<Conflict> {
        if self.limits.out_of_time() {
            return None;
        }
        if let Some(found) = self.found.iter().find_map(|found| self.for_another(found, refused)) {
            return found;
        }
        if self.found.len() >= SEARCHED_MAX {
            return None;
        }
        let conflict = self.search(refused);
        self.found.push((refused, conflict.clone()));
        conflict
    }

    /// What was found for one, if it holds for another as well: one it is part of, or could be part of in the place of
    /// one that is.
    fn for_another(
        &self,
        (one, found): &(InstanceIdx, Option<Conflict>),
        another: InstanceIdx,
    ) -> Option<Option<Conflict>> {
        let fleet = &self.problem.fleet;
        let id = |at: InstanceIdx| &fleet.instances()[at.at()].id;
        let Some(conflict) = found else { return self.serves(*one, another).then_some(None) };
        if conflict.instances.contains(id(another)) {
            return Some(Some(conflict.clone()));
        }
        let members = conflict.instances.iter().filter_map(|id| fleet.instance_index(id.as_str()));
        let like = members.map(InstanceIdx::new).find(|member| self.serves(*member, another))?;
        Some(Some(with_another(conflict.clone(), id(like), id(another))))
    }

    /// Whether what was found for one holds for another: the same would have to be relaxed for it.
    fn serves(&self, one: InstanceIdx, another: InstanceIdx) -> bool {
        Likeness::of(self.problem, one) == Likeness::of(self.problem, another)
            && relaxations(self.problem, one) == relaxations(self.problem, another)
    }

    /// The conflict a refused instance is part of; `None` where there is no time to search it, and where the instance is
    /// refused on its own and no rule could be relaxed for it: its reasons say all.
    ///
    /// It is sought among those that were placed and those refused ones that could take its place: as those that were
    /// placed fit, every conflict among these has one of them, for which it may as well stand.
    fn search(&self, refused: InstanceIdx) -> Option<Conflict> {
        let problem = self.problem;
        let part = part::hosts_with(problem, problem.instances[refused.at()].host);
        let mut steps = Steps::new(self, part.len());
        let members = match steps.judge(problem, &[refused])? {
            Verdict::Fits => {
                let asked = |at: &InstanceIdx| is_asked(problem, *at) && *at != refused;
                let left = &self.schedule.placement.refused;
                let serves = |at: &InstanceIdx| !left.contains(at) || is_no_harder(problem, *at, refused);
                let here = |at: &InstanceIdx| part.contains(&problem.instances[at.at()].host);
                let all = (0..problem.instances.len()).map(InstanceIdx::new);
                steps.reduced(refused, all.filter(asked).filter(serves).filter(here).collect())?
            }
            Verdict::Conflict(certificate) => {
                steps.certificate = certificate;
                vec![refused]
            }
            Verdict::Unknown => {
                steps.irreducible = false;
                vec![refused]
            }
        };
        let rules = steps.needed_rules(&members);
        if members == [refused] && rules.is_empty() {
            return None;
        }
        Some(Conflict {
            irreducible: steps.irreducible,
            instances: members.iter().map(|at| problem.fleet.instances()[at.at()].id.clone()).collect(),
            rules: rules.iter().filter_map(|rule| rule.rule(problem)).collect(),
            certificate: steps.certificate,
        })
    }
}

/// The conflict with another in one's place.
fn with_another(mut conflict: Conflict, one: &InstanceId, another: &InstanceId) -> Conflict {
    let prices = conflict.certificate.iter_mut().flat_map(|certificate| &mut certificate.pools);
    let named = prices.flat_map(|pool| &mut pool.prices).map(|price| &mut price.like);
    named.chain(&mut conflict.instances).filter(|id| *id == one).for_each(|id| *id = another.clone());
    conflict
}

/// Instances any of which can stand for any other: of a conflict it matters only how many are in it.
type Alike = Vec<InstanceIdx>;

/// A search for a conflict, step by step.
struct Steps<'a> {
    problem: &'a Problem,
    limits: &'a Limits<'a>,
    /// Ways that were found for some: the plan, and others since.
    ways: Vec<Way>,
    /// Steps it may still take: each places a part of the fleet again.
    left: usize,
    /// Whether the part is so small that pieces are decided thoroughly as well.
    is_small: bool,
    /// What proves the conflict found so far, where it takes prices.
    certificate: Option<Certificate>,
    /// Whether all the rest fits whichever member of the conflict is left out, as far as was seen.
    irreducible: bool,
}

impl<'a> Steps<'a> {
    /// In a part of so many hosts.
    fn new(conflicts: &'a Conflicts<'a>, hosts: usize) -> Self {
        let Conflicts { problem, schedule, limits, .. } = conflicts;
        Self {
            problem,
            limits,
            ways: vec![schedule.way()],
            left: HOSTS_PLACED / hosts.max(1),
            is_small: hosts <= SMALL_HOSTS,
            certificate: None,
            irreducible: true,
        }
    }

    /// Whether these find a place and a way there; `None` where no step or no time is left.
    fn judge(&mut self, problem: &Problem, members: &[InstanceIdx]) -> Option<Verdict> {
        self.look(problem, members, self.closest())
    }

    /// The same as far as such a look tells.
    fn look(&mut self, problem: &Problem, members: &[InstanceIdx], look: Look) -> Option<Verdict> {
        if self.limits.out_of_time() {
            return None;
        }
        let only = only(problem, members);
        let Nearest::Left(near) = self.nearest(problem, &only) else { return Some(Verdict::Fits) };
        self.left = self.left.checked_sub(1).filter(|_| !self.limits.out_of_time())?;
        let bounded = placement::bounded(&only, 1, self.limits);
        if bounded.refused.bound > 0 {
            return Some(conflict(&bounded));
        }
        if look == Look::Glance {
            return Some(Verdict::Unknown);
        }
        // An attempt that takes long leaves time for others.
        let limits = self.limits.half_of_what_is_left();
        let gathered = std::iter::once_with(|| placement::complete(&only, &limits.half_of_what_is_left(), &near));
        let efforts = [0, limits.effort].into_iter();
        let anew = efforts.map(|effort| placement::place(&only, &limits.with_effort(effort), &[]));
        for placed in gathered.chain(anew) {
            if self.limits.out_of_time() {
                break;
            }
            if placed.refused.bound > 0 {
                return Some(conflict(&placed));
            }
            if let Some(way) = way(&only, &placed, &limits) {
                self.ways.push(way);
                return Some(Verdict::Fits);
            }
        }
        Some(Verdict::Unknown)
    }

    /// These as far as one of the ways leads, the way that leads furthest; the newest first, since sets differ less and
    /// less.
    fn nearest(&self, problem: &Problem, only: &Problem) -> Nearest {
        let unmoved = placement::unmoved(only);
        let as_before = |at: &InstanceIdx| only.instances[at.at()].task == problem.instances[at.at()].task;
        let mut nearest: Option<Placed> = None;
        for way in self.ways.iter().rev() {
            let way: Way = way.iter().copied().filter(|(at, _)| as_before(at)).collect();
            let (placed, way) = placement::salvage(only, &unmoved, &way, self.limits);
            if placed.refused.value == 0 && ordering::leads_to(only, &placed.placement, &way) {
                return Nearest::Whole;
            }
            if nearest.as_ref().is_none_or(|nearest| placed.refused.value < nearest.refused.value) {
                nearest = Some(placed);
            }
        }
        Nearest::Left(nearest.unwrap_or(unmoved))
    }

    /// Whether it is proven that these remain a conflict, as far as such a look tells; what a glance misses says nothing
    /// about whether the conflict is irreducible.
    fn is_conflict(&mut self, sets: &[Alike], look: Look) -> Option<bool> {
        match self.look(self.problem, &sets.concat(), look)? {
            Verdict::Conflict(certificate) => {
                self.certificate = certificate;
                return Some(true);
            }
            Verdict::Unknown if look == Look::Thorough => self.irreducible = false,
            Verdict::Fits | Verdict::Unknown => {}
        }
        Some(false)
    }

    /// How closely it is looked where nothing should be missed. Once something was, the conflict may be reducible whatever
    /// is seen of the others, which is not worth the time.
    fn closest(&self) -> Look {
        if self.irreducible { Look::Thorough } else { Look::Glance }
    }

    /// A refused instance with those of the others that it takes for a conflict. `None` if none is proven.
    fn reduced(&mut self, refused: InstanceIdx, others: Vec<InstanceIdx>) -> Option<Vec<InstanceIdx>> {
        let mut sets = alike(self.problem, &[vec![refused], others].concat());
        if !self.is_conflict(&sets, self.closest())? {
            return None;
        }
        if self.reduce(&mut sets).is_none() {
            self.irreducible = false;
        }
        let mut members = sets.concat();
        members.sort_unstable();
        Some(members)
    }

    /// Leaves out whatever these are a conflict without, but for the first of the first set. `None` where the steps were
    /// used up first.
    fn reduce(&mut self, sets: &mut Vec<Alike>) -> Option<()> {
        match self.certificate.clone() {
            Some(certificate) => self.leave_out_cheapest(sets, &certificate)?,
            None => self.leave_out_pieces(sets)?,
        }
        self.irreducible = true;
        // One that was kept for another's sake, as a shrinking instance is, may be left out once the other is.
        while self.thin_out(sets)? && matches!(self.problem.request.kind, RequestKind::Resize { .. }) {}
        // They fit without the first as well, since that could have taken the place of whoever else was refused.
        if self.look(self.problem, &sets.concat()[1..], self.closest())? != Verdict::Fits {
            self.irreducible = false;
        }
        Some(())
    }

    /// Puts those first that the prices of a bound count least, and leaves out as many of them at once as the others are
    /// a conflict without.
    fn leave_out_cheapest(&mut self, sets: &mut Vec<Alike>, certificate: &Certificate) -> Option<()> {
        let (first, others) = sets.split_first_mut()?;
        let prices = certificate.pools.iter().flat_map(|pool| &pool.prices);
        let known = prices.filter_map(|price| {
            let like = self.problem.fleet.instance_index(price.like.as_str())?;
            Some((self.problem.instances[like].kind, price.price))
        });
        let prices: BTreeMap<KindIdx, u64> = known.collect();
        let price = |set: &Alike| prices.get(&self.problem.instances[set[0].at()].kind).copied().unwrap_or(0);
        others.sort_by_key(price);
        let in_all = first.len() - 1 + others.iter().map(Vec::len).sum::<usize>();
        let (mut fewest, mut too_many) = (0, in_all);
        while too_many - fewest > 1 {
            let many = usize::midpoint(fewest, too_many);
            let fewer = without_first(sets, many);
            if self.is_conflict(&fewer, Look::Glance)? {
                fewest = many;
            } else {
                too_many = many;
            }
        }
        *sets = without_first(sets, fewest);
        Some(())
    }

    /// Leaves out halves, then smaller pieces, that the others are a conflict without.
    fn leave_out_pieces(&mut self, sets: &mut Vec<Alike>) -> Option<()> {
        let look = if self.is_small { Look::Thorough } else { Look::Glance };
        let mut piece = sets.len().div_ceil(2);
        while piece > 1 {
            let mut from = 1;
            while from < sets.len() {
                let until = sets.len().min(from + piece);
                let mut fewer = sets.clone();
                fewer.drain(from..until);
                if self.is_conflict(&fewer, look)? {
                    *sets = fewer;
                } else {
                    from = until;
                }
            }
            piece = piece.div_ceil(2);
        }
        Some(())
    }

    /// Leaves of each set as few as it takes, of the first last; whether anybody was left out.
    fn thin_out(&mut self, sets: &mut Vec<Alike>) -> Option<bool> {
        let before = sets.iter().map(Vec::len).sum::<usize>();
        for at in (1..sets.len()).chain([0]) {
            let (mut least, mut enough) = (usize::from(at == 0), sets[at].len());
            // What the prices count is mostly needed in full: all but one is tried first.
            let mut next = enough - 1;
            while least < enough {
                let mut fewer = sets.clone();
                fewer[at].truncate(next);
                if self.is_conflict(&fewer, self.closest())? {
                    (*sets, enough) = (fewer, next);
                } else {
                    least = next + 1;
                }
                next = usize::midpoint(least, enough);
            }
        }
        sets.retain(|set| !set.is_empty());
        Some(sets.iter().map(Vec::len).sum::<usize>() < before)
    }

    /// The relaxable rules each of which, relaxed alone, would let all members go; as far as there are steps.
    fn needed_rules(&mut self, members: &[InstanceIdx]) -> Vec<Change> {
        let mut rules: Vec<Change> = Vec::new();
        for rule in members.iter().flat_map(|member| relaxations(self.problem, *member)) {
            let whole = !matches!(rule, Change::KeepHeadroom(percent) if percent > 0.0);
            if whole && !rules.contains(&rule) {
                rules.push(rule);
            }
        }
        let groups: Vec<Change> = rules.iter().filter(|rule| matches!(rule, Change::RelaxGroup(_))).cloned().collect();
        let without_groups = Change::all_applied(&groups, self.problem);
        if groups.len() > 1 && matches!(self.judge(&without_groups, members), Some(Verdict::Conflict(_))) {
            rules.retain(|rule| !groups.contains(rule));
        }
        rules.retain(|rule| self.judge(&rule.applied(self.problem), members) == Some(Verdict::Fits));
        rules
    }
}

/// These without the first so many, the first set coming last, and of it never the first.
fn without_first(sets: &[Alike], mut many: usize) -> Vec<Alike> {
    let mut fewer = sets.to_vec();
    let (first, others) = fewer.split_at_mut(1);
    for set in others {
        let here = many.min(set.len());
        set.drain(..here);
        many -= here;
    }
    let kept = first[0].len().saturating_sub(many).max(1);
    first[0].truncate(kept);
    fewer.retain(|set| !set.is_empty());
    fewer
}

/// These in sets of alike ones, the set of the first before the others.
fn alike(problem: &Problem, members: &[InstanceIdx]) -> Vec<Alike> {
    let mut sets: BTreeMap<Likeness, Alike> = BTreeMap::new();
    members.iter().for_each(|at| sets.entry(Likeness::of(problem, *at)).or_default().push(*at));
    let first = members.first().and_then(|at| sets.remove(&Likeness::of(problem, *at)));
    first.into_iter().chain(sets.into_values()).collect()
}

/// Whether one finds a place wherever another does.
fn is_no_harder(problem: &Problem, one: InstanceIdx, another: InstanceIdx) -> bool {
    let Likeness(_, groups, host) = Likeness::of(problem, one);
    let Likeness(_, others, others_host) = Likeness::of(problem, another);
    let (kind, other) = (problem.kind(one), problem.kind(another));
    host == others_host
        && groups.iter().all(|group| others.contains(group))
        && kind.need.iter().zip(&other.need).all(|(need, other)| need <= other)
        && other.eligible.iter().all(|host| problem.admits(one, host))
}

/// What alike instances have in common: all numbers and rules about them. One that is resized makes room where it is, so
/// that it matters where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Likeness(KindIdx, Vec<GroupIdx>, Option<HostIdx>);

impl Likeness {
    fn of(problem: &Problem, instance: InstanceIdx) -> Self {
        let facts = &problem.instances[instance.at()];
        Self(facts.kind, facts.groups.clone(), (facts.task == Task::Resize).then_some(facts.host))
    }
}

/// How closely it is looked whether some find a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    /// At the ways that are known, and at a bound.
    Glance,
    /// Room is gathered, and all are placed anew: in the quick layers, then in all.
    Thorough,
}

/// How far a way that is known leads.
enum Nearest {
    /// All find a place.
    Whole,
    /// Not all do.
    Left(Placed),
}

#[derive(Clone, Debug, PartialEq)]
enum Verdict {
    /// They all find a place.
    Fits,
    /// It is proven that they do not: by these prices, where it takes any.
    Conflict(Option<Certificate>),
    /// No place was found for them all, and none excluded.
    Unknown,
}

/// The way to a placement, if all find a place in it, there is one, and there is time to look for it.
fn way(problem: &Problem, placed: &Placed, limits: &Limits<'_>) -> Option<Way> {
    let is_whole = placed.refused.value == 0 && !limits.out_of_time();
    is_whole.then(|| ordering::order(problem, &placed.placement, limits).ok()).flatten().map(|schedule| schedule.way())
}

/// Where it is proven that some must be refused.
fn conflict(placed: &Placed) -> Verdict {
    Verdict::Conflict(placed.certificate(placed.refused.bound).and_then(of_refusals))
}

/// What of a certificate proves that somebody is refused.
fn of_refusals(mut certificate: Certificate) -> Option<Certificate> {
    certificate.pools.retain(|pool| pool.tier == TierName::Refused && pool.bound > 0);
    (!certificate.pools.is_empty()).then_some(certificate)
}

/// The problem with nobody asked but these.
fn only(problem: &Problem, members: &[InstanceIdx]) -> Problem {
    let mut request = problem.request.clone();
    if let RequestKind::Resize { resizes } = &mut request.kind {
        let members: BTreeSet<&InstanceId> = members.iter().map(|at| &problem.fleet.instances()[at.at()].id).collect();
        resizes.retain(|resize| members.contains(&resize.instance));
        return Problem::new(Arc::clone(&problem.fleet), request);
    }
    let members: BTreeSet<&InstanceIdx> = members.iter().collect();
    let mut only = problem.clone();
    for at in (0..problem.instances.len()).map(InstanceIdx::new) {
        if is_asked(problem, at) && !members.contains(&at) {
            leave_out(&mut only, at);
        }
    }
    only
}

/// As if it were gone: it stays on a host that nobody comes to, and its groups do not count it.
fn leave_out(problem: &mut Problem, instance: InstanceIdx) {
    let facts = &mut problem.instances[instance.at()];
    facts.task = Task::Stay;
    for group in std::mem::take(&mut facts.groups) {
        problem.groups[group.at()].members.retain(|member| *member != instance);
    }
}
