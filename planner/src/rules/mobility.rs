//! What forbids an instance to move at all: it cannot, it is pinned, or its host is down and its disk went with it.

use decant_schema::fleet::{Fleet, Instance, Mobility};
use decant_schema::plan::RuleName;
use decant_schema::request::Request;

/// The rule that forbids an instance to leave its host, with what it names; `None` if it may.
pub(crate) fn forbids(fleet: &Fleet, request: &Request, instance: &Instance) -> Option<(RuleName, Option<String>)> {
    let source_up = fleet.host_index(instance.host.as_str()).is_some_and(|at| fleet.hosts()[at].up);
    if instance.mobility == Mobility::None {
        Some((RuleName::Mobility, instance.pinned_reason.clone()))
    } else if instance.pinned {
        Some((RuleName::Pinned, instance.pinned_reason.clone()))
    } else if request.options.pins.contains(&instance.id) {
        Some((RuleName::Pinned, Some("the request".to_owned())))
    } else if !source_up && instance.storage.is_none() {
        Some((RuleName::SourceDown, Some("local disk".to_owned())))
    } else {
        None
    }
}
