//! `decant report`: what a fleet can still take, and what of it can be emptied or lost.

use std::sync::Arc;
use std::time::Instant;

use decant_planner::Limits;

use super::documents;
use super::plan::{conditions, threads};
use super::select::Names;
use crate::cli::{Format, Report};
use crate::error::{Exit, Failure};
use crate::output;
use crate::render::{self, text::Extent};

pub(super) fn run(args: &Report) -> Result<Exit, Failure> {
    let began = Instant::now();
    let options = &args.options;
    let written = [("--html", args.html.as_deref()), ("--output", options.output.as_deref())];
    documents::apart(&[("--fleet", Some(&options.fleet))], &written)?;
    let fleet = documents::fleet(&options.fleet)?;
    let mut names = Names::of(&fleet);
    let conditions = conditions(&mut names, options);
    names.finish()?;
    let spinner = output::Spinner::show("trying every host");
    let report = threads(options)?.install(|| {
        let elapsed = || began.elapsed();
        let limits = Limits::new(&elapsed, Some(options.time_limit.0));
        decant_planner::capacity::report(Arc::clone(&fleet), conditions, &limits)
    });
    drop(spinner);
    if let Some(page) = &args.html {
        output::write_document(Some(page), &render::html::report(&report))?;
    }
    if let Some(path) = &options.output {
        output::write_json(Some(path), &report)?;
    }
    match options.format {
        _ if options.output.as_deref().is_some_and(|path| path.as_os_str() == "-") => {}
        Format::Json => output::write_json(None, &report)?,
        Format::Human => output::print(&render::text::report(&report, args.extent()))?,
    }
    Ok(Exit::Done)
}

impl Report {
    fn extent(&self) -> Extent {
        if self.all { Extent::Full } else { Extent::Brief }
    }
}
