//! A maintenance window for one evacuation: moves start within it or not at all.
//!
//! Times are estimates, so a window is a goal of the plan, not a promise of its execution. What a window is too short
//! for is given up by priority: of two sets to give up, the one whose most important instance matters less is better,
//! and fewer are better than more. Moves are put into time so that what is late matters least, and that is given up.
//! Where few are asked, every set that is better than what was found is then tried by planning again; where many are,
//! whoever was given up is tried again alone, unless it is proven that as many must stay, and in exchange for somebody
//! less important, until nothing helps.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use decant_schema::plan::{Fix, Reason, Refusal, RuleName};

use crate::ordering::Schedule;
use crate::problem::{InstanceIdx, Problem};
use crate::search::{Ordered, is_asked, keep};
use crate::{Limits, ordering, refusal};

/// Instances of which every set to give up is tried: of one more there are twice as many.
const EVERY_SET_MAX: usize = 6;

/// Plans made to find whom to give up, beyond those that find anybody at all: each takes a placement and an order.
const PLANS_MAX: usize = 64;

/// The same where the fleet is so large that a plan takes seconds.
const PLANS_MAX_LARGE: usize = 4;

/// Fleets from this size on are large.
const LARGE_HOSTS: usize = 300;

/// A plan whose moves all start within the window.
pub(crate) struct Fitted {
    pub(crate) ordered: Ordered,
    /// Those given up for the window, by index; they are among the refused.
    pub(crate) late: Vec<InstanceIdx>,
    /// The window in which nobody need be given up, if somebody is.
    pub(crate) needed_s: Option<Needed>,
}

impl Fitted {
    /// Those given up who would go if only the window were long enough, by index: nothing else need be sought for them.
    pub(crate) fn lacking_time(&self) -> Vec<InstanceIdx> {
        let goes = |at: &InstanceIdx| self.needed_s.as_ref().is_some_and(|needed| needed.moves.contains(at));
        self.late.iter().copied().filter(goes).collect()
    }
}

/// A window that is long enough for everybody for whom there is a place.
pub(crate) struct Needed {
    window_s: f64,
    /// Who moves in it.
    moves: BTreeSet<InstanceIdx>,
}

/// What is left of a plan in the window of its problem; all of it, if that is long enough or there is none.
pub(crate) fn fit(problem: &Problem, whole: Ordered, limits: &Limits<'_>) -> Fitted {
    if late(problem, &whole.schedule).is_empty() {
        return Fitted { ordered: whole, late: Vec::new(), needed_s: None };
    }
    let needed_s = Needed {
        window_s: whole.schedule.last_start_s().ceil(),
        moves: whole.schedule.moves.iter().map(|line| line.instance).collect(),
    };
    let mut search = Search { problem, limits, plans: plans_max(problem), best: thinned(problem, whole, limits) };
    let asked: Vec<InstanceIdx> =
        (0..problem.instances.len()).map(InstanceIdx::new).filter(|at| is_asked(problem, *at)).collect();
    if asked.len() <= EVERY_SET_MAX {
        search.try_every_set(&asked);
    } else {
        search.improve();
    }
    let GivenUp { ordered, late, .. } = search.best;
    Fitted { ordered, late, needed_s: Some(needed_s) }
}

fn plans_max(problem: &Problem) -> usize {
    if problem.hosts.len() < LARGE_HOSTS { PLANS_MAX } else { PLANS_MAX_LARGE }
}

/// A plan without some that were given up.
struct GivenUp {
    ordered: Ordered,
    late: Vec<InstanceIdx>,
    worth: Worth,
}

/// Priorities of the refused, the greatest first: the less, the better.
type Worth = Vec<i32>;

fn worth(problem: &Problem, refused: &[InstanceIdx]) -> Worth {
    let mut worth: Worth = refused.iter().map(|at| problem.instances[at.at()].priority).collect();
    worth.sort_unstable_by_key(|priority| Reverse(*priority));
    worth
}

/// Plans without these; they are among the refused.
fn without(problem: &Problem, late: Vec<InstanceIdx>, limits: &Limits<'_>) -> GivenUp {
    let mut fewer = problem.clone();
    keep(&mut fewer, &late);
    let mut ordered = Ordered::of(&fewer, limits);
    ordered.refused.extend(late.iter().filter(|at| is_asked(problem, **at)));
    ordered.refused.sort_unstable();
    let worth = worth(problem, &ordered.refused);
    GivenUp { ordered, late, worth }
}

/// Gives up whoever starts too late, until nobody does.
fn thinned(problem: &Problem, whole: Ordered, limits: &Limits<'_>) -> GivenUp {
    let mut thin = GivenUp { ordered: whole, late: Vec::new(), worth: Worth::new() };
    loop {
        let too_late = late(problem, &thin.ordered.schedule);
        if too_late.is_empty() {
            return thin;
        }
        thin.late.extend(too_late);
        thin = without(problem, thin.late, limits);
    }
}

/// The search for whom to give up.
struct Search<'a> {
    problem: &'a Problem,
    limits: &'a Limits<'a>,
    /// Plans that may still be made.
    plans: usize,
    best: GivenUp,
}

impl Search<'_> {
    /// Tries to give up every set that would be better, the best first.
    fn try_every_set(&mut self, asked: &[InstanceIdx]) {
        let set = |mask: usize| -> Vec<InstanceIdx> {
            asked.iter().enumerate().filter(|(at, _)| mask >> at & 1 == 1).map(|(_, instance)| *instance).collect()
        };
        let mut sets: Vec<(Worth, Vec<InstanceIdx>)> =
            (0..1 << asked.len()).map(set).map(|set| (worth(self.problem, &set), set)).collect();
        sets.sort();
        for (worth, set) in sets {
            // Who is given up is refused: no set is better than its own worth says.
            if worth >= self.best.worth {
                return;
            }
            self.takes(set);
        }
    }

    /// Takes one of the given up back, alone or in exchange for somebody less important, as long as that helps.
    fn improve(&mut self) {
        while self.plans > 0 && self.takes_back() {}
    }

    fn takes_back(&mut self) -> bool {
        let mut back = self.best.late.clone();
        let priority = |at: &InstanceIdx| self.problem.instances[at.at()].priority;
        back.sort_by_key(|at| (Reverse(priority(at)), *at));
        let mut moving: Vec<InstanceIdx> = self.best.ordered.schedule.moves.iter().map(|line| line.instance).collect();
        moving.retain(|at| is_asked(self.problem, *at));
        moving.sort_by_key(|at| (priority(at), *at));
        moving.dedup();
        let exchanges: Vec<(InstanceIdx, InstanceIdx)> = back
            .iter()
            .flat_map(|back| moving.iter().filter(|out| priority(out) < priority(back)).map(|out| (*back, *out)))
            .collect();
        let fewest = self.best.ordered.refused.len() as u64 <= ordering::late_min(self.problem);
        let alone = back.iter().filter(|_| !fewest).map(|back| (*back, None));
        let exchanges = exchanges.into_iter().map(|(back, out)| (back, Some(out)));
        let trials: Vec<(InstanceIdx, Option<InstanceIdx>)> = alone.chain(exchanges).collect();
        trials.into_iter().any(|(back, out)| {
            let others = self.best.late.iter().copied().filter(|late| *late != back);
            let set = others.chain(out).collect();
            self.takes(set)
        })
    }

    /// Plans without a set, and keeps that plan if it is on time and better.
    fn takes(&mut self, set: Vec<InstanceIdx>) -> bool {
        if self.plans == 0 || self.limits.out_of_time() {
            return false;
        }
        self.plans -= 1;
        let given_up = without(self.problem, set, self.limits);
        let better = given_up.worth < self.best.worth && late(self.problem, &given_up.ordered.schedule).is_empty();
        if better {
            self.best = given_up;
        }
        better
    }
}

/// Who of those asked starts after the window; where only others do, these, since nobody needs them in time. Nobody, if
/// all start within it or there is none.
fn late(problem: &Problem, schedule: &Schedule) -> Vec<InstanceIdx> {
    let Some(window_s) = problem.request.options.window_s else { return Vec::new() };
    let too_late = schedule.moves.iter().filter(|line| line.start_s > window_s).map(|line| line.instance);
    let too_late: BTreeSet<InstanceIdx> = too_late.collect();
    let asked: Vec<InstanceIdx> = too_late.iter().copied().filter(|at| is_asked(problem, *at)).collect();
    if asked.is_empty() { too_late.into_iter().collect() } else { asked }
}

/// Says of those given up that it was the window: of the hosts to which nothing but a way was missing, or first of all; and
/// which window would do for them: planned for it, they go as in the plan without one.
pub(crate) fn explain(problem: &Problem, late: &[InstanceIdx], needed: Option<&Needed>, refusals: &mut [Refusal]) {
    let Some(needed) = needed else { return };
    for refusal in refusals {
        let given_up = |at: &&InstanceIdx| problem.fleet.instances()[at.at()].id == refusal.instance;
        let Some(instance) = late.iter().find(given_up) else { continue };
        for reason in refusal.reasons.iter_mut().filter(|reason| reason.rule == RuleName::Order) {
            reason.rule = RuleName::Window;
        }
        if refusal.reasons.iter().all(|reason| reason.rule != RuleName::Window) {
            refusal.reasons.insert(0, Reason { rule: RuleName::Window, ..refusal::without_order() });
        }
        if needed.moves.contains(instance) {
            refusal.fixes.insert(0, Fix::LongerWindow { window_s: needed.window_s });
            refusal.would_fit = Some(format!("a window of {:.0} seconds", needed.window_s));
        } else {
            refusal.would_fit = Some("a longer window, once there is room for all that go in it".to_owned());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use decant_schema::fleet::{Fleet, FleetDocument};
    use decant_schema::request::{Options, Request, RequestKind};

    use super::*;
    use crate::{Limits, Stamp, check, plan};

    /// Two instances of 10 GiB leave one host over a link of 1 Gbit/s: about 86 seconds each, one after the other.
    fn fleet() -> Arc<Fleet> {
        let text = r#"{"format":"decant.fleet/1","captured_at":"2026-01-01T00:00:00Z",
            "defaults":{"network_mbps":1000,"max_migrations_per_host":1},
            "hosts":[{"name":"old","inventory":{"MEMORY_MB":{"total":65536}}},
                     {"name":"new","inventory":{"MEMORY_MB":{"total":65536}}}],
            "flavors":[{"name":"f","resources":{"MEMORY_MB":10240}}],
            "instances":[{"id":"low","host":"old","flavor":"f","storage":null,"priority":1},
                         {"id":"high","host":"old","flavor":"f","storage":null,"priority":5}]}"#;
        let document: FleetDocument = serde_json::from_str(text).expect("a fleet document");
        Arc::new(Fleet::from_document(document).expect("a fleet"))
    }

    fn evacuated(window_s: Option<f64>) -> decant_schema::plan::Plan {
        let options = Options { window_s, ..Options::default() };
        let request = Request { kind: RequestKind::Evacuate { hosts: ["old".into()].into() }, options };
        let stamp = Stamp { id: uuid::Uuid::nil(), created_at: jiff::Timestamp::UNIX_EPOCH };
        let plan = plan(fleet(), request, stamp, &Limits::UNTIMED).expect("a plan");
        assert_eq!(check::check(&fleet(), &plan).violations, []);
        plan
    }

    #[test]
    fn what_would_start_after_the_window_stays_the_least_important_first() {
        let plan = evacuated(Some(60.0));
        assert_eq!(plan.moves.len(), 1);
        assert_eq!(plan.moves[0].instance.as_str(), "high");
        assert_eq!(plan.refusals[0].instance.as_str(), "low");
        assert_eq!(plan.refusals[0].reasons[0].rule, RuleName::Window);
        let [Fix::LongerWindow { window_s }] = plan.refusals[0].fixes[..] else { panic!("{:?}", plan.refusals) };
        assert_eq!(evacuated(Some(window_s)).refusals, []);
        assert_eq!(evacuated(Some(window_s - 2.0)).refusals.len(), 1);
    }

    #[test]
    fn a_window_long_enough_refuses_nobody() {
        assert_eq!(evacuated(Some(600.0)).refusals, []);
        assert_eq!(evacuated(None).refusals, []);
    }

    #[test]
    fn what_takes_longest_starts_last() {
        let mut document = fleet().document().clone();
        document.flavors.push(decant_schema::fleet::Flavor { name: "small".into(), ..document.flavors[0].clone() });
        document.flavors[1].resources.insert("MEMORY_MB".into(), 1024);
        document.instances[1].flavor = "small".into();
        let window = |window_s| Options { window_s, ..Options::default() };
        let request = |window_s| Request {
            kind: RequestKind::Evacuate { hosts: ["old".into()].into() },
            options: window(window_s),
        };
        let fleet = Arc::new(Fleet::from_document(document).expect("a fleet"));
        let stamp = Stamp { id: uuid::Uuid::nil(), created_at: jiff::Timestamp::UNIX_EPOCH };
        let plan = plan(Arc::clone(&fleet), request(Some(30.0)), stamp, &Limits::UNTIMED).expect("a plan");
        assert_eq!((plan.refusals.len(), plan.moves.len()), (0, 2), "{:?}", plan.moves);
        assert_eq!(plan.moves[0].instance.as_str(), "low");
    }

    /// What a plan of this request, some being pinned as well, refuses; when its last move starts.
    fn refused(fleet: &Arc<Fleet>, host: &str, window_s: Option<f64>, pins: &[&str]) -> (Vec<i32>, f64) {
        let options = Options { window_s, pins: pins.iter().map(|pin| (*pin).into()).collect(), ..Options::default() };
        let request = Request { kind: RequestKind::Evacuate { hosts: [host.into()].into() }, options };
        let stamp = Stamp { id: uuid::Uuid::nil(), created_at: jiff::Timestamp::UNIX_EPOCH };
        let plan = plan(Arc::clone(fleet), request, stamp, &Limits::UNTIMED).expect("a plan");
        let verdict = check::check(fleet, &plan);
        assert_eq!(verdict.violations, []);
        assert!(verdict.refused_min <= plan.refusals.len() as u64);
        let at = |id: &str| fleet.instance_index(id).expect("a known instance");
        let mut refused: Vec<i32> =
            plan.refusals.iter().map(|it| fleet.instances()[at(it.instance.as_str())].priority).collect();
        refused.sort_unstable_by_key(|priority| Reverse(*priority));
        (refused, plan.moves.iter().map(|line| line.start_s).fold(0.0, f64::max))
    }

    /// Ten instances of 1 to 10 GiB, about 9 seconds each GiB: as few stay as must. Of two slots
    /// both are under way when the window closes.
    #[test]
    fn of_equals_the_largest_stay_and_as_few_as_is_proven() {
        for (slots, window_s, stay, least) in [(1, 100.0, 5, 5), (1, 300.0, 2, 2), (2, 100.0, 4, 4), (2, 400.0, 0, 0)] {
            let mut document = fleet().document().clone();
            document.defaults.max_migrations_per_host = slots;
            document.instances.clear();
            document.flavors = (1..=10)
                .map(|gib| {
                    let mut flavor = fleet().flavors()[0].clone();
                    flavor.name = format!("f{gib}").as_str().into();
                    flavor.resources.insert("MEMORY_MB".into(), gib * 1024);
                    flavor
                })
                .collect();
            let like = fleet().instances()[0].clone();
            for flavor in document.flavors.iter().rev() {
                let (id, flavor) = (flavor.name.as_str().into(), flavor.name.clone());
                document.instances.push(decant_schema::fleet::Instance { id, flavor, ..like.clone() });
            }
            let fleet = Arc::new(Fleet::from_document(document).expect("a fleet"));
            let options = Options { window_s: Some(window_s), ..Options::default() };
            let request = Request { kind: RequestKind::Evacuate { hosts: ["old".into()].into() }, options };
            let stamp = Stamp { id: uuid::Uuid::nil(), created_at: jiff::Timestamp::UNIX_EPOCH };
            let plan = plan(Arc::clone(&fleet), request, stamp, &Limits::UNTIMED).expect("a plan");
            let verdict = check::check(&fleet, &plan);
            assert_eq!(verdict.violations, []);
            let refused: Vec<&str> = plan.refusals.iter().map(|refusal| refusal.instance.as_str()).collect();
            assert_eq!((refused.len(), verdict.refused_min), (stay, least), "{slots} {window_s}: {refused:?}");
            let largest: std::collections::BTreeSet<String> = (11 - stay..=10).map(|gib| format!("f{gib}")).collect();
            assert_eq!(refused.into_iter().map(str::to_owned).collect::<std::collections::BTreeSet<_>>(), largest);
            let bound = plan.proof.tiers[0].bound.expect("a bound");
            assert!((bound - f64::from(u32::try_from(least).expect("few"))).abs() < 0.5, "{bound}");
        }
    }

    /// That others are late is a matter of time, and what is said of time is what the checker finds too.
    #[test]
    fn of_those_who_are_late_no_more_is_said_than_is_counted() {
        let mut open = 0;
        for seed in 0..40_u64 {
            let mut document = crate::small_fleet::random(seed);
            document.defaults.network_mbps = decant_schema::units::mbps(1);
            document.instances.iter_mut().for_each(|instance| instance.priority = 0);
            let host = document.hosts[0].name.clone();
            let fleet = Arc::new(Fleet::from_document(document).expect("a fleet"));
            let (without_window, last_s) = refused(&fleet, host.as_str(), None, &[]);
            if !without_window.is_empty() {
                continue;
            }
            let options = Options { window_s: Some(last_s * 0.6), ..Options::default() };
            let request = Request { kind: RequestKind::Evacuate { hosts: [host].into() }, options };
            let stamp = Stamp { id: uuid::Uuid::nil(), created_at: jiff::Timestamp::UNIX_EPOCH };
            let plan = plan(Arc::clone(&fleet), request, stamp, &Limits::UNTIMED).expect("a plan");
            let counted = check::check(&fleet, &plan).refused_min;
            let tier = &plan.proof.tiers[0];
            let said = tier.planner_bound.or(tier.bound).unwrap_or_default();
            assert!(said <= f64::from(u32::try_from(counted).expect("few")), "seed {seed}: {said}, {counted} counted");
            open += u32::from(plan.refusals.len() as u64 > counted);
        }
        assert!(open > 0, "in no window by chance is the least open");
    }

    #[test]
    fn no_set_that_is_left_out_by_hand_leaves_more_in_the_window() {
        let mut short = 0;
        for seed in 0..20_u64 {
            let mut document = crate::small_fleet::random(seed);
            document.defaults.network_mbps = decant_schema::units::mbps(1);
            let host = document.hosts[0].name.clone();
            let asked: Vec<String> =
                document.instances.iter().filter(|it| it.host == host).map(|it| it.id.to_string()).collect();
            for (at, instance) in (0..).zip(&mut document.instances) {
                instance.priority = at % 3;
            }
            if !(2..=5).contains(&asked.len()) {
                continue;
            }
            let fleet = Arc::new(Fleet::from_document(document).expect("a fleet"));
            let (without_window, last_s) = refused(&fleet, host.as_str(), None, &[]);
            let window_s = Some(last_s * 0.6);
            let (with_window, _) = refused(&fleet, host.as_str(), window_s, &[]);
            if with_window == without_window {
                continue;
            }
            short += 1;
            for mask in 1..1_u32 << asked.len() {
                let pins: Vec<&str> =
                    (0..asked.len()).filter(|at| mask >> at & 1 == 1).map(|at| asked[at].as_str()).collect();
                let by_hand = refused(&fleet, host.as_str(), window_s, &pins).0;
                assert!(by_hand >= with_window, "seed {seed}: without {pins:?} {by_hand:?}, not {with_window:?}");
            }
        }
        assert!(short > 0, "no window by chance was too short");
        println!("{short} windows");
    }
}
