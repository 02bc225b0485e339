//! A host's inventory takes amounts of this size: between `min_unit` and `max_unit`, a multiple of `step_size`, and
//! of a class it has at all. An amount of zero asks nothing.

use decant_schema::fleet::Host;
use decant_schema::plan::RuleName;
use decant_schema::request::Request;

use super::{HostRule, Want};

pub(super) struct Unit;

impl HostRule for Unit {
    fn name(&self) -> RuleName {
        RuleName::Unit
    }

    fn admits(&self, _: &Request, host: &Host, want: &Want<'_>) -> bool {
        want.resources
            .iter()
            .filter(|(_, amount)| **amount > 0)
            .all(|(class, amount)| host.inventory.get(class).is_some_and(|inventory| inventory.takes(*amount)))
    }
}
