//! A host the request excludes receives nothing.

use decant_schema::fleet::Host;
use decant_schema::plan::RuleName;
use decant_schema::request::Request;

use super::{HostRule, Want};

pub(super) struct Excluded;

impl HostRule for Excluded {
    fn name(&self) -> RuleName {
        RuleName::Excluded
    }

    fn admits(&self, request: &Request, host: &Host, _: &Want<'_>) -> bool {
        !request.options.exclude_hosts.contains(&host.name)
    }
}
