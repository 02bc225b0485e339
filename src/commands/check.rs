//! `decant check`: the planner's answer before a stranger.

use std::fmt::Write as _;

use decant_planner::check::{Claim, Standing, Verdict, check};
use decant_schema::fleet::Fleet;
use decant_schema::plan::Plan;
use serde::Serialize;

use super::documents;
use crate::cli::{Check, Format};
use crate::error::{Exit, Failure, both};
use crate::output;
use crate::render::words;

/// The verdict as a document.
#[derive(Serialize)]
struct Judgement {
    holds: bool,
    violations: Vec<String>,
    refused_min: u64,
    displaced_mb_min: u64,
    /// What rests on the planner's word.
    unproven: Vec<String>,
    /// Whatever else the plan says, each with how it stands.
    claims: Vec<ClaimJudged>,
}

/// Something the plan says: `proven`, `planners-word` or `false`.
#[derive(Serialize)]
struct ClaimJudged {
    claim: String,
    verdict: &'static str,
}

pub(super) fn run(args: &Check) -> Result<Exit, Failure> {
    documents::one_from_standard_input(&args.fleet, &args.plan)?;
    let (fleet, plan) = both(documents::fleet(&args.fleet), documents::plan(&args.plan))?;
    super::same_fleet(&fleet, &plan)?;
    let verdict = check(&fleet, &plan);
    let violations = violations_of(&verdict, args.strict);
    match args.format {
        Format::Json => output::write_json(None, &judgement(&verdict, &violations))?,
        Format::Human if violations.is_empty() => output::print(&praise(plan.moves.len(), &verdict))?,
        Format::Human => output::print(&objections(&documents::name(&args.plan), &violations))?,
    }
    Ok(if violations.is_empty() { Exit::Done } else { Exit::DoesNotHold })
}

/// All that is wrong; to the strict, what rests on the planner's word too.
fn violations_of(verdict: &Verdict, strict: bool) -> Vec<String> {
    let word =
        verdict.unproven.iter().filter(|_| strict).map(|claim| format!("not proven, but the planner's word: {claim}"));
    verdict.violations.iter().map(ToString::to_string).chain(word).collect()
}

fn judgement(verdict: &Verdict, violations: &[String]) -> Judgement {
    let judged = |claim: &Claim| ClaimJudged {
        claim: claim.what.clone(),
        verdict: match claim.standing {
            Standing::Proven => "proven",
            Standing::Word => "planners-word",
            Standing::False => "false",
        },
    };
    let whole = ClaimJudged {
        claim: "every execution keeps every host within capacity and every rule".to_owned(),
        verdict: if verdict.holds() { "proven" } else { "false" },
    };
    Judgement {
        holds: violations.is_empty(),
        violations: violations.to_vec(),
        claims: std::iter::once(whole).chain(verdict.claims.iter().map(judged)).collect(),
        refused_min: verdict.refused_min,
        displaced_mb_min: verdict.displaced_mb_min,
        unproven: verdict.unproven.iter().map(ToString::to_string).collect(),
    }
}

fn praise(moves: usize, verdict: &Verdict) -> String {
    let mut text = format!(
        "The plan holds: {} {} every host within capacity and every group rule, in whatever time each takes.\n",
        words::count(moves, "move"),
        if moves == 1 { "keeps" } else { "keep" }
    );
    if verdict.refused_min > 0 {
        let _ = writeln!(text, "Its certificate proves that at least {} must stay.", verdict.refused_min);
    }
    if verdict.displaced_mb_min > 0 {
        let least = words::mebibytes(verdict.displaced_mb_min);
        let _ = writeln!(text, "Its certificate proves that at least {least} of other instances' memory must move.");
    }
    for claim in &verdict.unproven {
        let _ = writeln!(text, "Not proven here, but the planner's word: {claim}.");
    }
    text
}

/// The list is what was asked for, so that it goes where results go.
fn objections(plan: &str, all: &[String]) -> String {
    let mut text = format!("{plan} does not hold: {}\n", words::count(all.len(), "violation"));
    all.iter().for_each(|one| _ = writeln!(text, "  {one}"));
    text
}

/// Everything that is wrong with a plan for a fleet, in sentences.
pub(crate) fn violations(fleet: &Fleet, plan: &Plan) -> Vec<String> {
    check(fleet, plan).violations.iter().map(ToString::to_string).collect()
}
