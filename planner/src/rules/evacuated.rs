//! A host that is being emptied receives nothing.

use decant_schema::fleet::Host;
use decant_schema::plan::RuleName;
use decant_schema::request::{Request, RequestKind};

use super::{HostRule, Want};

pub(super) struct Evacuated;

impl HostRule for Evacuated {
    fn name(&self) -> RuleName {
        RuleName::Evacuated
    }

    fn admits(&self, request: &Request, host: &Host, _: &Want<'_>) -> bool {
        match &request.kind {
            RequestKind::Evacuate { hosts } => !hosts.contains(&host.name),
            RequestKind::Resize { .. } | RequestKind::Rolling { .. } => true,
        }
    }
}
