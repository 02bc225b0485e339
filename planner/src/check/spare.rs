//! Whether, while the hosts of a round are out, as many more may fail as the request wants spare.
//!
//! What a failed host leaves is started elsewhere, not moved: nothing holds it in place, and its memory is gone. Where
//! the search for places ends without an answer, nothing is claimed.

use std::collections::BTreeSet;

use decant_schema::plan::{Plan, Round};
use decant_schema::request::RollingOptions;
use rayon::prelude::*;

use super::fitting::{Fitting, Seeker};
use super::itinerary::Itinerary;
use super::rule::Wish;
use super::scene::{Scene, add, subtract};
use super::violation::Violation;

/// Rounds in which a host must not fail.
pub(super) fn missing(
    scene: &Scene<'_>,
    plan: &Plan,
    itinerary: &Itinerary<'_>,
    options: &RollingOptions,
) -> Vec<Violation> {
    if options.spare_hosts == 0 {
        return Vec::new();
    }
    let rounds: Vec<(usize, &Round)> = (1..).zip(&plan.rounds).collect();
    rounds.par_iter().filter_map(|(number, round)| of_round(scene, itinerary, *number, round)).collect()
}

/// One host that must not fail while those of the round are out. That several may fail together is not looked at:
/// there it is a matter of which.
fn of_round(scene: &Scene<'_>, itinerary: &Itinerary<'_>, number: usize, round: &Round) -> Option<Violation> {
    let place = places(scene, itinerary, round.empty_at_s);
    let mut usage = scene.usage.clone();
    for (instance, host) in place.iter().enumerate().filter(|(instance, host)| scene.home[*instance] != **host) {
        let claim = scene.claim(instance);
        subtract(&mut usage[scene.home[instance]], &claim);
        add(&mut usage[*host], &claim);
    }
    let out: BTreeSet<usize> = round.hosts.iter().filter_map(|host| scene.fleet.host_index(host.as_str())).collect();
    let fails = |failed: usize| {
        let closed = (0..place.len().max(usage.len())).map(|host| out.contains(&host) || host == failed).collect();
        let lost = (0..place.len()).filter(|instance| place[*instance] == failed);
        let started = |at: usize| Seeker::new(scene, at, Wish { version_min: None, ..Wish::of(scene, at) });
        let seekers: Vec<Seeker<'_>> = lost.map(started).collect();
        Fitting::new(scene, &usage, &place, closed).fits(&seekers) == Some(false)
    };
    let up = (0..usage.len()).filter(|host| scene.host(*host).up && !out.contains(host));
    let fatal = up.into_iter().find(|host| fails(*host))?;
    Some(Violation::NoSpare { round: number, host: scene.host(fatal).name.clone() })
}

/// By instance: its host once all moves that end by then have ended.
fn places(scene: &Scene<'_>, itinerary: &Itinerary<'_>, at_s: f64) -> Vec<usize> {
    let mut place = scene.home.clone();
    for (instance, way) in &itinerary.ways {
        let ended = way.iter().map(|step| &itinerary.steps[*step]).take_while(|step| step.line.end_s <= at_s);
        if let Some(last) = ended.last() {
            place[*instance] = last.target;
        }
    }
    place
}
