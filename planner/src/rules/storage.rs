//! A host mounts the shared pool the instance's disk is on. A local disk is copied and can go anywhere.

use decant_schema::fleet::Host;
use decant_schema::plan::RuleName;
use decant_schema::request::Request;

use super::{HostRule, Want};

pub(super) struct Storage;

impl HostRule for Storage {
    fn name(&self) -> RuleName {
        RuleName::Storage
    }

    fn admits(&self, _: &Request, host: &Host, want: &Want<'_>) -> bool {
        want.storage.is_none_or(|pool| host.storage.contains(pool))
    }

    fn subject(&self, want: &Want<'_>) -> Option<String> {
        want.storage.map(ToString::to_string)
    }
}
