//! `decant plan`: from a fleet and a wish to a plan document.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use decant_planner::{Limits, Stamp};
use decant_schema::fleet::Fleet;
use decant_schema::id::FlavorName;
use decant_schema::nearest::nearest;
use decant_schema::plan::{Outcome, Plan, TierName};
use decant_schema::request::{Interval, Options, Request, RequestKind, Resize, RollingOptions};
use jiff::Timestamp;
use uuid::Uuid;

use super::select::{Listed, Names};
use super::{documents, resizes};
use crate::cli::{self, Format, HostPriority, PlanCommand, PlanningOptions, Window};
use crate::error::{Complaint, Exit, Failure};
use crate::output;
use crate::render::{self, PlanView, text::Extent};

pub(super) fn run(command: &PlanCommand) -> Result<Exit, Failure> {
    let began = Instant::now();
    match command {
        PlanCommand::Evacuate(args) => evacuate(args, began),
        PlanCommand::Resize(args) => resize(args, began),
        PlanCommand::Rolling(args) => rolling(args, began),
    }
}

fn evacuate(args: &cli::Evacuate, began: Instant) -> Result<Exit, Failure> {
    let (fleet, list) = sources(&args.options, ("--hosts-from", args.hosts.hosts_from.as_deref()))?;
    let mut names = Names::of(&fleet);
    let hosts = names.hosts(&args.hosts, list);
    let mut options = conditions(&mut names, &args.options);
    options.window_s = args.window.map(|window| window.0.as_secs_f64());
    if args.hosts.is_empty() {
        let remedy = "name them by --host, --hosts-from, --aggregate or --zone";
        names.complain(Complaint::new("no host is named to be emptied", remedy));
    }
    names.finish()?;
    answer(fleet, Request { kind: RequestKind::Evacuate { hosts }, options }, &args.options, began)
}

fn resize(args: &cli::Resize, began: Instant) -> Result<Exit, Failure> {
    let (fleet, list) = sources(&args.options, ("--from", args.from.as_deref()))?;
    let mut names = Names::of(&fleet);
    let instances = names.instances("--instance", &args.instance);
    let flavors = flavors(&mut names, &fleet, args);
    let each = instances.into_iter().zip(flavors);
    let mut resizes: Vec<Resize> = each.map(|(instance, flavor)| Resize { instance, flavor }).collect();
    if let (Some(path), Some(text)) = (&args.from, names.text(list)) {
        resizes.extend(resizes::listed(&mut names, &fleet, path, &text));
    }
    let options = conditions(&mut names, &args.options);
    names.finish()?;
    answer(fleet, Request { kind: RequestKind::Resize { resizes }, options }, &args.options, began)
}

/// A maintenance of the hosts named, or of all.
fn rolling(args: &cli::Rolling, began: Instant) -> Result<Exit, Failure> {
    let (fleet, list) = sources(&args.options, ("--hosts-from", args.hosts.hosts_from.as_deref()))?;
    let mut names = Names::of(&fleet);
    let mut hosts = names.hosts(&args.hosts, list);
    let options = conditions(&mut names, &args.options);
    let mut priorities = BTreeMap::new();
    for HostPriority { host, priority } in &args.priority {
        let named = names.matching("--priority", std::slice::from_ref(host));
        priorities.extend(named.into_iter().map(|host| (host, *priority)));
    }
    let mut rounds = window(&mut names, &fleet, &args.window);
    names.finish()?;
    if args.hosts.is_empty() {
        hosts = fleet.hosts().iter().map(|host| host.name.clone()).collect();
    }
    rounds.outage_s = args.outage.0.as_secs_f64();
    rounds.max_out = args.max_out;
    rounds.spare_hosts = args.spare_hosts;
    rounds.way_back = args.way_back;
    rounds.priorities = priorities;
    answer(fleet, Request { kind: RequestKind::Rolling { hosts, rounds }, options }, &args.options, began)
}

/// When moves may start: one length, or intervals of the calendar, counted from the first one's beginning.
fn window(names: &mut Names<'_>, fleet: &Fleet, windows: &[Window]) -> RollingOptions {
    let mut nights: Vec<(Timestamp, Timestamp)> = Vec::new();
    let mut lengths = Vec::new();
    for window in windows {
        match window {
            Window::Length(length) => lengths.push(length.as_secs_f64()),
            Window::Calendar { from, until } => nights.push((*from, *until)),
        }
    }
    if lengths.len() + usize::from(!nights.is_empty()) > 1 {
        let remedy = "give one length, or one or more intervals of the calendar";
        names.complain(Complaint::new("--window: several windows that do not go together", remedy));
    }
    nights.sort_unstable();
    let captured_at = fleet.document().captured_at;
    for (from, until) in nights.iter().filter(|(_, until)| *until <= captured_at) {
        let problem = format!("--window: {from}/{until} is over: the fleet was read at {captured_at}");
        names.complain(Complaint::new(problem, "give an interval that ends later"));
    }
    if let Some(pair) = nights.windows(2).find(|pair| pair[1].0 < pair[0].1) {
        let problem =
            format!("--window: the interval from {} begins before the one from {} ends", pair[1].0, pair[0].0);
        names.complain(Complaint::new(problem, "give intervals that are apart from each other"));
    }
    let begins_at = nights.first().map(|(from, _)| *from);
    let since = |moment: Timestamp| begins_at.map_or(0.0, |begins_at| moment.duration_since(begins_at).as_secs_f64());
    let intervals: Vec<Interval> =
        nights.iter().map(|(from, until)| Interval { from_s: since(*from), until_s: since(*until) }).collect();
    let window_s = intervals.last().map(|last| last.until_s).or(lengths.first().copied()).unwrap_or_default();
    RollingOptions { window_s, intervals, begins_at, ..RollingOptions::default() }
}

/// The flavor of each instance in turn.
fn flavors(names: &mut Names<'_>, fleet: &Fleet, args: &cli::Resize) -> Vec<FlavorName> {
    args.flavor.iter().for_each(|flavor| is_flavor(names, fleet, "--flavor", flavor));
    let (instances, flavors) = (args.instance.len(), args.flavor.len());
    if (flavors != 1 || instances == 0) && flavors != instances {
        let problem = format!("{instances} instances and {flavors} flavors are named");
        names.complain(Complaint::new(problem, "name one flavor for all instances, or one for each"));
    }
    args.flavor.iter().cycle().take(instances).map(|name| FlavorName::from(name.as_str())).collect()
}

/// Complains of a flavor the fleet does not have; `place` says where it was written.
pub(super) fn is_flavor(names: &mut Names<'_>, fleet: &Fleet, place: &str, flavor: &str) {
    if fleet.flavor_index(flavor).is_some() {
        return;
    }
    let near = nearest(flavor, fleet.flavors().iter().map(|known| known.name.as_str()));
    let remedy = near.map_or("name a flavor of the fleet document".to_owned(), |near| format!("did you mean {near}?"));
    names.complain(Complaint::new(format!("{place}: the fleet has no flavor {flavor}"), remedy));
}

/// The fleet, and what a file of names says, given with its option; where the fleet is wrong, all that is wrong with either.
fn sources(options: &PlanningOptions, list: (&str, Option<&Path>)) -> Result<(Arc<Fleet>, Listed), Failure> {
    let read = [("--fleet", Some(options.fleet.as_path())), list];
    documents::apart(&read, &[("--output", options.output.as_deref())])?;
    let (_, list) = list;
    if let Some(list) = list {
        documents::one_from_standard_input(&options.fleet, list)?;
    }
    let list = list.map(documents::text);
    match documents::fleet(&options.fleet) {
        Ok(fleet) => Ok((fleet, list)),
        Err(failure) => Err(Failure::all([failure].into_iter().chain(list.and_then(Result::err)))),
    }
}

/// The conditions as the plan records them.
pub(super) fn conditions(names: &mut Names<'_>, args: &PlanningOptions) -> Options {
    Options {
        no_displace: args.no_displace,
        exclude_hosts: names.matching("--exclude-host", &args.exclude_host),
        pins: names.instances("--pin", &args.pin).into_iter().collect(),
        headroom_percent: args.headroom.0,
        seed: args.seed,
        count_first: args.count_first,
        tier_order: args.goals.iter().copied().map(TierName::from).collect(),
        ..Options::default()
    }
}

/// Plans, delivers the plan, and says how complete it is.
fn answer(fleet: Arc<Fleet>, request: Request, args: &PlanningOptions, began: Instant) -> Result<Exit, Failure> {
    let elapsed = || began.elapsed();
    let limits = Limits::new(&elapsed, Some(args.time_limit.0));
    let stamp = Stamp { id: Uuid::now_v7(), created_at: Timestamp::now() };
    let threads = threads(args)?;
    let spinner = output::Spinner::show("planning");
    let found = threads.install(|| decant_planner::find(Arc::clone(&fleet), request, stamp, &limits));
    drop(spinner);
    let found = found.map_err(|findings| Failure::findings("the request", &findings))?;
    let spinner = if found.is_open() {
        write_file(found.plan(), args)?;
        Some(output::Spinner::show(&explaining(found.plan(), args)))
    } else {
        None
    };
    let plan = threads.install(|| found.explained(&limits));
    drop(spinner);
    deliver(&fleet, &plan, args)?;
    Ok(if plan.outcome == Outcome::Partial { Exit::Incomplete } else { Exit::Done })
}

pub(super) fn threads(args: &PlanningOptions) -> Result<rayon::ThreadPool, Failure> {
    let count = args.threads.map_or(0, usize::from);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(count).build();
    pool.map_err(|error| {
        Failure::environment("start the planner's threads", error).with_hint("ask for fewer --threads")
    })
}

/// What is being done once the plan is there, for whoever waits.
fn explaining(plan: &Plan, args: &PlanningOptions) -> String {
    let written = args.output.as_deref().filter(|path| !is_stdout(path));
    let there = written.map_or("the plan is found".to_owned(), |path| format!("the plan is in {}", path.display()));
    format!("{there}; looking for what would help the {} that stay", plan.refusals.len())
}

fn is_stdout(path: &Path) -> bool {
    path.as_os_str() == "-"
}

/// The document to its file, if it has one.
fn write_file(plan: &Plan, args: &PlanningOptions) -> Result<(), Failure> {
    match args.output.as_deref().filter(|path| !is_stdout(path)) {
        Some(path) => output::write_json(Some(path), plan),
        None => Ok(()),
    }
}

/// The document to its file, and to standard output what was asked for there.
fn deliver(fleet: &Fleet, plan: &Plan, args: &PlanningOptions) -> Result<(), Failure> {
    write_file(plan, args)?;
    match args.format {
        _ if args.output.as_deref().is_some_and(is_stdout) => output::write_json(None, plan),
        Format::Json => output::write_json(None, plan),
        Format::Human => output::print(&render::text::plan(PlanView { plan, fleet: Some(fleet) }, Extent::Brief)),
    }
}
