//! How full each host gets while the moves run.

use crate::problem::{Amounts, Problem};

use super::room::{Room, Step};
use super::timeline::Event;

/// For every host and class the most its instances claim at any moment of the printed timeline, both ends counted
/// while a move runs. What the fleet does not list (`other_usage`) is not counted.
pub(super) fn peaks(problem: &Problem, steps: &[Step], log: &[Event]) -> Vec<Amounts> {
    let classes = problem.classes.len();
    let mut used: Vec<Amounts> = vec![vec![0; classes].into(); problem.hosts.len()];
    for instance in &problem.instances {
        for (used, claim) in used[instance.host.at()].iter_mut().zip(&problem.kinds[instance.kind.at()].claim) {
            *used += claim;
        }
    }
    let mut peaks = used.clone();
    let mut room = Room::at_start(problem);
    for event in log {
        match *event {
            Event::Started(at) => {
                let target = steps[at].target.at();
                for (class, (used, peak)) in used[target].iter_mut().zip(&mut peaks[target]).enumerate() {
                    *used += room.takes(steps[at], class);
                    *peak = (*peak).max(*used);
                }
            }
            Event::Ended(at) => {
                let source = room.host(steps[at].instance).at();
                for (class, used) in used[source].iter_mut().enumerate() {
                    *used -= room.gives(steps[at], class);
                }
                room.go(steps[at]);
            }
        }
    }
    peaks
}
