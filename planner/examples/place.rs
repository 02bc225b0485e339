//! Times placement alone: `zcat NAME.json.gz | cargo run --release --example place -- HOST…`.
//!
//! Prints what is refused and displaced with the bounds, and how long reading and placing took.

use std::io::Read;
use std::sync::Arc;
use std::time::Instant;

use decant_planner::placement::place;
use decant_planner::problem::Problem;
use decant_planner::{Limits, placement::Placed};
use decant_schema::fleet::{Fleet, FleetDocument};
use decant_schema::id::HostName;
use decant_schema::request::{Options, Request, RequestKind};

#[expect(clippy::disallowed_methods, reason = "the planner reads no clock; its caller, as here, does")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let began = Instant::now();
    let mut text = String::new();
    std::io::stdin().read_to_string(&mut text)?;
    let document: FleetDocument = serde_json::from_str(&text)?;
    let fleet = Fleet::from_document(document).map_err(|findings| format!("{} findings", findings.len()))?;
    let hosts = std::env::args().skip(1).map(|name| HostName::from(name.as_str())).collect();
    let request = Request { kind: RequestKind::Evacuate { hosts }, options: Options::default() };
    let problem = Problem::new(Arc::new(fleet), request);
    let read = began.elapsed();
    let elapsed = || began.elapsed();
    let Placed { refused, displaced, stopped_by, .. } =
        place(&problem, &Limits { elapsed: &elapsed, time: None, effort: 1 }, &[]);
    println!(
        "refused {} (bound {}), displaced {} MiB (bound {}), stopped by {stopped_by:?}; read {:.3} s, placed {:.3} s",
        refused.value,
        refused.bound,
        displaced.value,
        displaced.bound,
        read.as_secs_f64(),
        (began.elapsed() - read).as_secs_f64()
    );
    Ok(())
}
