//! A live move never goes to an older hypervisor: the memory image of a newer one may not load there. A source that
//! names no version constrains nothing; a target that names none is taken for older than one that does.

use decant_schema::fleet::Host;
use decant_schema::plan::RuleName;
use decant_schema::request::Request;

use super::{HostRule, Want};

pub(super) struct HypervisorVersion;

impl HostRule for HypervisorVersion {
    fn name(&self) -> RuleName {
        RuleName::HypervisorVersion
    }

    fn admits(&self, _: &Request, host: &Host, want: &Want<'_>) -> bool {
        want.version_min <= host.hypervisor_version
    }

    fn subject(&self, want: &Want<'_>) -> Option<String> {
        want.version_min.map(|version| version.to_string())
    }
}
