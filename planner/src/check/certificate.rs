//! What is proven of the first two goals, by this module's own arithmetic.

use decant_schema::plan::Plan;

use super::rule::immobile;
use super::scene::{Asked, Scene};
use super::violation::Violation;

/// Lower bounds of the first two goals.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Certified {
    /// Requested instances that no plan moves.
    pub(super) refused: u64,
    /// Memory that every plan with as few refusals displaces, MiB.
    pub(super) displaced_mb: u64,
}

/// What the fleet alone proves: whoever may not leave an emptied host is refused by every plan.
pub(super) fn evaluate(scene: &Scene<'_>, _: &Plan) -> (Certified, Vec<Violation>) {
    let stuck = (0..scene.fleet.instances().len())
        .filter(|at| scene.asked(*at) == Some(Asked::Leave) && immobile(scene, *at).is_some());
    (Certified { refused: stuck.count() as u64, displaced_mb: 0 }, Vec::new())
}
