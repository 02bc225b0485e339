//! `decant show`: a plan for a person, in the terminal or in the browser.

use super::documents;
use crate::cli::Show;
use crate::error::{Exit, Failure, both};
use crate::output;
use crate::render::{self, PlanView, text::Extent};

pub(super) fn run(args: &Show) -> Result<Exit, Failure> {
    if let Some(fleet) = &args.fleet {
        documents::one_from_standard_input(&args.plan, fleet)?;
    }
    let read = [("the plan", Some(args.plan.as_path())), ("--fleet", args.fleet.as_deref())];
    documents::apart(&read, &[("--html", args.html.as_deref())])?;
    let fleet = args.fleet.as_deref().map(documents::fleet).transpose();
    let (plan, fleet) = both(documents::plan(&args.plan), fleet)?;
    if let Some(fleet) = &fleet {
        super::same_fleet(fleet, &plan)?;
    }
    let view = PlanView { plan: &plan, fleet: fleet.as_deref() };
    match &args.html {
        Some(page) => output::write_document(Some(page), &render::html::plan(view))?,
        None => output::print(&render::text::plan(view, if args.all { Extent::Full } else { Extent::Brief }))?,
    }
    Ok(Exit::Done)
}
