//! Generated fleets at 92 to 97 % of memory: the placements of whole evacuations have an order, mostly a short one.

use std::path::PathBuf;
use std::sync::Arc;

use decant_schema::fleet;
use decant_schema::request::{Options, Request, RequestKind};

use super::execution::holds_in_every_execution;
use crate::ordering::order;
use crate::problem::Problem;
use crate::{Limits, placement};

/// The fleet's evacuation, if its files are beside the checkout.
fn evacuation(name: &str) -> Option<Problem> {
    let fleets = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/fleets");
    let (Ok(document), Ok(drain)) =
        (decant_schema::document::load(&fleets.join(format!("{name}.json.gz"))), load_text(&fleets, name))
    else {
        println!("skipped: no {name} beside the checkout");
        return None;
    };
    let fleet = Arc::new(fleet::read(&document).unwrap().fleet);
    let hosts = drain.lines().map(Into::into).collect();
    Some(Problem::new(fleet, Request { kind: RequestKind::Evacuate { hosts }, options: Options::default() }))
}

fn load_text(fleets: &std::path::Path, name: &str) -> Result<String, decant_schema::document::LoadError> {
    let bytes = decant_schema::document::load(&fleets.join(format!("{name}.drain")))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Two percent: how far from the bound an order may end where ports bind.
const TIMES_BOUND: f64 = 1.02;

fn has_a_short_order(name: &str) {
    let Some(problem) = evacuation(name) else { return };
    let placed = placement::place(&problem, &Limits::UNTIMED, &[]);
    let schedule = order(&problem, &placed.placement, &Limits::UNTIMED).unwrap();
    let edges: usize = schedule.moves.iter().map(|scheduled| scheduled.after.len()).sum();
    println!(
        "{name}: {} moves, {edges} edges, {} waves, {:.0} s of at least {:.0} s ({:.0} s wherever it all goes), {} stepped aside",
        schedule.moves.len(),
        schedule.waves().len(),
        schedule.duration_s,
        schedule.duration_bound_s,
        schedule.leaving_bound_s,
        schedule.stepped_aside.len()
    );
    assert!(schedule.duration_s <= schedule.duration_bound_s * TIMES_BOUND);
    if problem.hosts.len() <= 200 {
        holds_in_every_execution(&problem, &schedule, 1);
    }
}

#[test]
fn two_hundred_hosts_are_emptied_within_two_percent_of_the_busiest_port() {
    for name in ["S97", "M92", "M95", "M97", "MO97"] {
        has_a_short_order(name);
    }
}

#[test]
fn a_thousand_hosts_are_emptied_within_two_percent_of_the_busiest_port() {
    for name in ["L92", "L97", "LO97"] {
        has_a_short_order(name);
    }
}

#[test]
fn ten_thousand_hosts_are_emptied_within_two_percent_of_the_busiest_port() {
    for name in ["XL97", "XLone97"] {
        has_a_short_order(name);
    }
}
