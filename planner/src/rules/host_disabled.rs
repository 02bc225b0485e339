//! A host that is disabled receives nothing.

use decant_schema::fleet::Host;
use decant_schema::plan::RuleName;
use decant_schema::request::Request;

use super::{HostRule, Want};

pub(super) struct HostDisabled;

impl HostRule for HostDisabled {
    fn name(&self) -> RuleName {
        RuleName::HostDisabled
    }

    fn admits(&self, _: &Request, host: &Host, _: &Want<'_>) -> bool {
        host.enabled
    }
}
