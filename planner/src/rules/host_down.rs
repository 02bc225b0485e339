//! A host that is down receives nothing.

use decant_schema::fleet::Host;
use decant_schema::plan::RuleName;
use decant_schema::request::Request;

use super::{HostRule, Want};

pub(super) struct HostDown;

impl HostRule for HostDown {
    fn name(&self) -> RuleName {
        RuleName::HostDown
    }

    fn admits(&self, _: &Request, host: &Host, _: &Want<'_>) -> bool {
        host.up
    }
}
