//! A host is in the zone the instance asks for.

use decant_schema::fleet::Host;
use decant_schema::plan::RuleName;
use decant_schema::request::Request;

use super::{HostRule, Want};

pub(super) struct Zone;

impl HostRule for Zone {
    fn name(&self) -> RuleName {
        RuleName::Zone
    }

    fn admits(&self, _: &Request, host: &Host, want: &Want<'_>) -> bool {
        want.zone.is_none_or(|zone| host.zone.as_ref() == Some(zone))
    }

    fn subject(&self, want: &Want<'_>) -> Option<String> {
        want.zone.map(ToString::to_string)
    }
}
