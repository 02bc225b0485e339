//! A host belongs to every aggregate the flavor requires.

use decant_schema::fleet::Host;
use decant_schema::plan::RuleName;
use decant_schema::request::Request;

use super::{HostRule, Want};

pub(super) struct Aggregate;

impl HostRule for Aggregate {
    fn name(&self) -> RuleName {
        RuleName::Aggregate
    }

    fn admits(&self, _: &Request, host: &Host, want: &Want<'_>) -> bool {
        want.flavor.required_aggregates.is_subset(&host.aggregates)
    }

    fn subject(&self, want: &Want<'_>) -> Option<String> {
        let names: Vec<&str> = want.flavor.required_aggregates.iter().map(|name| name.as_str()).collect();
        (!names.is_empty()).then(|| names.join(", "))
    }
}
