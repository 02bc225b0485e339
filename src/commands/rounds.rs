//! A rolling plan is carried out in stages, each when a person says so: whose turn it is, and what comes next.
//!
//! Hosts are worked on between the stages, for as long as that takes. So decant neither waits for a window nor guesses
//! when a host is back: whoever asks for the next stage says that it is.

use std::collections::BTreeSet;
use std::path::Path;

use decant_executor::apply::list;
use decant_schema::fleet::FleetDocument;
use decant_schema::id::{HostName, MoveId};
use decant_schema::migration::MigrationOutcome;
use decant_schema::plan::{Plan, Stage};
use decant_schema::request::RequestKind;
use jiff::Timestamp;

use super::{documents, site};
use crate::cli::Apply;
use crate::error::{Complaint, Failure};
use crate::render::words;

/// The moves of a plan that are over.
#[derive(Default)]
struct Over {
    done: BTreeSet<MoveId>,
    undone: BTreeSet<MoveId>,
}

/// The stage that was asked for, if its turn has come; none for a plan without rounds.
pub(super) fn asked<'a>(
    args: &Apply,
    plan: &Plan,
    stages: &'a [Stage],
    store: &Path,
) -> Result<Option<&'a Stage>, Failure> {
    let wrong = |problem: String, remedy: String| Failure::input("the request", problem, remedy);
    let command = |stage: &Stage| command(&args.plan, stage);
    match args.round {
        None if stages.is_empty() => Ok(None),
        None => match next(stages, &over(plan, store)?) {
            Some(stage) => Err(wrong(
                format!("the plan is carried out round by round, and {} comes next", name(stage)),
                format!("say so: {}", command(stage)),
            )),
            None => Ok(None),
        },
        Some(_) if stages.is_empty() => {
            Err(wrong("--round: the plan has no rounds".to_owned(), "leave --round out".to_owned()))
        }
        Some(round) if !(1..=plan.rounds.len()).contains(&round) => Err(wrong(
            format!("--round: the plan has no round {round}"),
            format!("it has {}, counted from 1", words::count(plan.rounds.len(), "round")),
        )),
        Some(round) => {
            let at = stages.iter().position(|stage| stage.round == round && stage.home == args.home);
            let at = at.ok_or_else(|| {
                let problem = format!("--home: round {round} brings nobody home");
                wrong(problem, "leave --home out; a plan made with --way-back brings instances home".to_owned())
            })?;
            let over = over(plan, store)?;
            let errors: Vec<_> = stages[..at].iter().filter_map(|before| not_done(before, &over, command)).collect();
            match errors.is_empty() {
                true => Ok(Some(&stages[at])),
                false => Err(Failure::Input { of: "the request".to_owned(), errors }),
            }
        }
    }
}

/// What the store remembers of the plan's moves.
fn over(plan: &Plan, store: &Path) -> Result<Over, Failure> {
    if !store.exists() {
        return Ok(Over::default());
    }
    let mut over = Over::default();
    for migration in site::run("read the store", site::BEGINS_AGAIN, list(store))? {
        if let Some(line) = migration.line.filter(|line| line.plan == plan.id) {
            match migration.state.outcome() {
                Some(MigrationOutcome::Confirmed) => _ = over.done.insert(line.id),
                Some(_) => _ = over.undone.insert(line.id),
                None => {}
            }
        }
    }
    Ok(over)
}

/// The stage after the last that is done, as far as moves tell: of a stage without any nobody knows whether it was.
fn next<'a>(stages: &'a [Stage], over: &Over) -> Option<&'a Stage> {
    let is_done = |stage: &Stage| !stage.moves.is_empty() && stage.moves.is_subset(&over.done);
    stages.get(stages.iter().rposition(is_done).map_or(0, |last| last + 1))
}

fn not_done(stage: &Stage, over: &Over, command: impl Fn(&Stage) -> String) -> Option<Complaint> {
    let open: Vec<&MoveId> = stage.moves.difference(&over.done).collect();
    if open.is_empty() {
        return None;
    }
    let problem = format!("{} is not done: move {} of it", name(stage), words::some_of(open.iter(), open.len()));
    let remedy = match open.iter().any(|id| over.undone.contains(id)) {
        true => "what was undone stays so: decant fleet pull --from store, then plan again".to_owned(),
        false => format!("carry it out first: {}", command(stage)),
    };
    Some(Complaint::new(problem, remedy))
}

/// A stage as messages call it.
fn name(stage: &Stage) -> String {
    if stage.home { format!("the way home of round {}", stage.round) } else { format!("round {}", stage.round) }
}

/// What is typed for a stage, beside what was typed for the plan before.
fn command(plan: &Path, stage: &Stage) -> String {
    let home = if stage.home { " --home" } else { "" };
    format!("decant apply {} --round {}{home}", documents::name(plan), stage.round)
}

/// What a stage does, for the one line before it.
pub(super) fn purpose(plan: &Plan, stage: &Stage) -> String {
    let (round, of) = (stage.round, plan.rounds.len());
    let hosts = &plan.rounds[round - 1].hosts;
    let hosts = words::some_of(hosts.iter(), hosts.len());
    let does = if stage.home { "bring home the instances of" } else { "empty" };
    format!("Round {round} of {of}: {does} {hosts}.")
}

/// Whether the calendar of a plan lets no move start now.
pub(super) fn is_closed(plan: &Plan, now: Timestamp) -> bool {
    let RequestKind::Rolling { rounds, .. } = &plan.request.kind else { return false };
    let Some(begins_at) = rounds.begins_at else { return false };
    let now_s = now.duration_since(begins_at).as_secs_f64();
    !rounds.open().iter().any(|interval| (interval.from_s..interval.until_s).contains(&now_s))
}

/// What a stage that is done has left, and what comes next.
pub(super) fn conclusion(path: &Path, plan: &Plan, stage: &Stage, now: &FleetDocument) -> String {
    let head = format!("Round {} of {}: ", stage.round, plan.rounds.len());
    let state = if stage.home { "its instances are home.\n".to_owned() } else { emptiness(plan, stage, now) };
    let stages = plan.stages();
    let next = stages.iter().skip_while(|other| *other != stage).nth(1);
    let then = next.map_or("This was the last round.\n".to_owned(), |next| {
        let when = if stage.home { "Next" } else { "Once its hosts are back" };
        format!("{when}: {}{}\n", command(path, next), planned(plan, next))
    });
    [head, state, then].concat()
}

/// Which hosts of a round are empty, and which are not.
fn emptiness(plan: &Plan, stage: &Stage, now: &FleetDocument) -> String {
    let here = |host: &HostName| now.instances.iter().filter(|instance| instance.host == *host).count();
    let (empty, used): (Vec<&HostName>, Vec<_>) =
        plan.rounds[stage.round - 1].hosts.iter().partition(|host| here(host) == 0);
    let names: Vec<&str> = empty.iter().map(|host| host.as_str()).collect();
    let mut text = match names.len() {
        0 => "no host is empty.\n".to_owned(),
        1 => format!("{} is empty now.\n", names[0]),
        _ => format!("{} are empty now.\n", names.join(", ")),
    };
    text.extend(used.iter().map(|host| format!("{host} still has {}.\n", words::count(here(host), "instance"))));
    text
}

/// When the plan has a stage begin, where it goes by the calendar.
fn planned(plan: &Plan, stage: &Stage) -> String {
    let begins_at = match &plan.request.kind {
        RequestKind::Rolling { rounds, .. } => rounds.begins_at,
        RequestKind::Evacuate { .. } | RequestKind::Resize { .. } => None,
    };
    let starts = plan.moves.iter().filter(|line| stage.moves.contains(&line.id)).map(|line| line.start_s);
    let first_s = starts.reduce(f64::min);
    let said = |(begins_at, first_s)| format!(" (planned for {})", words::calendar(begins_at, first_s));
    begins_at.zip(first_s).map_or(String::new(), said)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::sync::Arc;

    use decant_planner::{Limits, Stamp};
    use decant_schema::fleet;
    use decant_schema::request::{Options, Request, RollingOptions};

    use super::*;

    /// A plan for four hosts, in rounds, with the way back.
    fn there_and_back() -> (Plan, FleetDocument) {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/transcripts/fleets/four.json");
        let fleet = Arc::new(fleet::read(&std::fs::read(path).unwrap()).unwrap().fleet);
        let document = fleet.document().clone();
        let rounds = RollingOptions { window_s: 1e6, way_back: true, ..RollingOptions::default() };
        let hosts = ["cmp-02", "cmp-03", "cmp-04"].map(HostName::new).into();
        let request = Request { kind: RequestKind::Rolling { hosts, rounds }, options: Options::default() };
        let stamp = Stamp { id: uuid::Uuid::nil(), created_at: Timestamp::UNIX_EPOCH };
        (decant_planner::plan(fleet, request, stamp, &Limits::UNTIMED).unwrap(), document)
    }

    #[test]
    fn moves_home_are_those_to_hosts_that_were_out() {
        let (plan, _) = there_and_back();
        let stages = plan.stages();
        assert_eq!(stages.iter().map(|stage| stage.moves.len()).sum::<usize>(), plan.moves.len());
        assert!(stages.iter().any(|stage| stage.home));
        for stage in &stages {
            let hosts = &plan.rounds[stage.round - 1].hosts;
            for line in plan.moves.iter().filter(|line| stage.moves.contains(&line.id)) {
                assert_eq!(hosts.contains(&line.target), stage.home, "{line:?}");
                assert_eq!(hosts.contains(&line.source), !stage.home, "{line:?}");
            }
        }
    }

    #[test]
    fn each_stage_names_the_next_and_waits_for_those_before() {
        let (plan, fleet) = there_and_back();
        let (stages, path) = (plan.stages(), Path::new("plan.json"));
        let said = conclusion(path, &plan, &stages[0], &fleet);
        assert!(said.contains("still has 4 instances"), "{said}");
        assert!(said.ends_with("Once its hosts are back: decant apply plan.json --round 1 --home\n"), "{said}");
        let last = stages.last().unwrap();
        assert!(conclusion(path, &plan, last, &fleet).ends_with("home.\nThis was the last round.\n"));
        assert_eq!(next(&stages, &Over::default()), stages.first());
        let mut over = Over { done: stages[0].moves.clone(), undone: BTreeSet::new() };
        assert_eq!(next(&stages, &over), stages.get(1));
        let complaint = not_done(&stages[1], &over, |stage| command(path, stage)).unwrap();
        assert!(complaint.problem.starts_with("the way home of round 1 is not done"), "{complaint:?}");
        assert_eq!(complaint.remedy.unwrap(), "carry it out first: decant apply plan.json --round 1 --home");
        over.undone.extend(&stages[1].moves);
        assert!(
            not_done(&stages[1], &over, |stage| command(path, stage)).unwrap().remedy.unwrap().contains("plan again")
        );
    }
}
