//! A smallest set of instances and rules that cannot hold together.
//!
//! A deletion filter (Chinneck and Dravnieks, 1991): what can be left out of a conflict, so that it remains one, is left
//! out, one after the other, until nothing can be; what is left is irreducible. Whether a set is a conflict is decided by
//! planning it: a proven bound says yes, an order of moves that refuses nobody says no. On the way a quick look is enough,
//! as many are taken; what is left in the end is judged thoroughly, and the prices of its bound go with it, for others to
//! verify.
//!
//! An instance that is left out of a host to be emptied is as good as gone, so that its groups hold nobody there; one that
//! is not to be resized after all is a third party. Of the rules those are members that would do alone: each relaxed, all
//! else being as it is, lets all instances go.

use std::sync::Arc;

use decant_schema::id::InstanceId;
use decant_schema::plan::{Certificate, Conflict, TierName};
use decant_schema::request::RequestKind;

use crate::problem::{InstanceIdx, Placement, Problem, Task};
use crate::search::is_asked;
use crate::{Limits, ordering, part, placement};

use super::change::{Change, relaxations};

/// Hosts of the largest part of a fleet in which a conflict is searched: each step takes a placement of it.
const HOSTS_MAX: usize = 300;

/// The conflict a refused instance is part of; `None` where its part of the fleet is too large or there is no time to
/// search it, and where the instance is refused on its own and no rule could be relaxed for it: its reasons say all.
pub(super) fn conflict(
    problem: &Problem,
    placement: &Placement,
    refused: InstanceIdx,
    limits: &Limits<'_>,
) -> Option<Conflict> {
    let part = part::hosts_with(problem, problem.instances[refused.at()].host);
    if part.len() > HOSTS_MAX {
        return None;
    }
    let members = if judge(problem, &[refused], limits) == Verdict::Fits {
        let asked = |at: &InstanceIdx| is_asked(problem, *at);
        let elsewhere = |at: &InstanceIdx| *at == refused || !placement.refused.contains(at);
        let here = |at: &InstanceIdx| part.contains(&problem.instances[at.at()].host);
        let all = (0..problem.instances.len()).map(InstanceIdx::new);
        reduced(problem, all.filter(asked).filter(elsewhere).filter(here).collect(), limits)?
    } else {
        vec![refused]
    };
    let rules = needed_rules(problem, &members, limits);
    if limits.out_of_time() || (members == [refused] && rules.is_empty()) {
        return None;
    }
    let (irreducible, certificate) = match judge(problem, &members, limits) {
        Verdict::Fits => return None,
        Verdict::Conflict(certificate) => (true, certificate),
        Verdict::Unknown => (false, None),
    };
    Some(Conflict {
        irreducible,
        instances: members.iter().map(|at| problem.fleet.instances()[at.at()].id.clone()).collect(),
        rules: rules.iter().filter_map(|rule| rule.rule(problem)).collect(),
        certificate,
    })
}

/// Leaves out of a conflict whatever it is one without: halves first, then smaller and smaller pieces, so that a small
/// conflict among many is found in few steps. `None` if it is none, or the clock came first.
fn reduced(problem: &Problem, mut members: Vec<InstanceIdx>, limits: &Limits<'_>) -> Option<Vec<InstanceIdx>> {
    let quick = Limits { effort: 0, ..*limits };
    if judge(problem, &members, &quick) == Verdict::Fits {
        return None;
    }
    let mut piece = members.len().div_ceil(2);
    loop {
        let count = members.len();
        let mut from = 0;
        while from < members.len() {
            if limits.out_of_time() {
                return None;
            }
            let until = members.len().min(from + piece);
            let fewer = [&members[..from], &members[until..]].concat();
            if !fewer.is_empty() && judge(problem, &fewer, &quick) != Verdict::Fits {
                members = fewer;
            } else {
                from = until;
            }
        }
        // One that was kept for another's sake, as a shrinking instance is, may be left out once the other is.
        if piece == 1 && members.len() == count {
            return Some(members);
        }
        piece = piece.div_ceil(2);
    }
}

/// The relaxable rules each of which, relaxed alone, would let all members go.
fn needed_rules(problem: &Problem, members: &[InstanceIdx], limits: &Limits<'_>) -> Vec<Change> {
    let mut rules: Vec<Change> = Vec::new();
    for rule in members.iter().flat_map(|member| relaxations(problem, *member)) {
        let whole = !matches!(rule, Change::KeepHeadroom(percent) if percent > 0.0);
        if whole && !rules.contains(&rule) {
            rules.push(rule);
        }
    }
    rules.retain(|rule| judge(&rule.applied(problem), members, limits) == Verdict::Fits);
    rules
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

/// Whether these, and nobody else of those asked to move, find a place and a way there.
fn judge(problem: &Problem, members: &[InstanceIdx], limits: &Limits<'_>) -> Verdict {
    let only = only(problem, members);
    let placed = placement::place(&only, limits, &[]);
    match (placed.refused.value, placed.refused.bound) {
        (0, _) if ordering::order(&only, &placed.placement, limits).is_ok() => Verdict::Fits,
        (0, _) | (_, 0) => Verdict::Unknown,
        (refused, _) => Verdict::Conflict(placed.certificate(refused).and_then(of_refusals)),
    }
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
        let named = |id: &InstanceId| members.iter().any(|at| problem.fleet.instances()[at.at()].id == *id);
        resizes.retain(|resize| named(&resize.instance));
        return Problem::new(Arc::clone(&problem.fleet), request);
    }
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
