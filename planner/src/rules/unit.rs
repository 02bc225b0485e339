//! A host's inventory takes amounts of this size: between `min_unit` and `max_unit`, a multiple of `step_size`, and
//! of a class it has at all. An amount of zero asks nothing.

use decant_schema::fleet::{Host, Inventory};
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
            .all(|(class, amount)| host.inventory.get(class).is_some_and(|inventory| takes(inventory, *amount)))
    }
}

fn takes(inventory: &Inventory, amount: u64) -> bool {
    inventory.min_unit.is_none_or(|least| least <= amount)
        && inventory.max_unit.is_none_or(|most| amount <= most)
        && inventory.step_size.is_none_or(|step| step == 0 || amount.is_multiple_of(step))
}
