//! A host has every trait the flavor requires and none that it forbids.

use decant_schema::fleet::Host;
use decant_schema::plan::RuleName;
use decant_schema::request::Request;

use super::{HostRule, Want};

pub(super) struct Required;

impl HostRule for Required {
    fn name(&self) -> RuleName {
        RuleName::RequiredTrait
    }

    fn admits(&self, _: &Request, host: &Host, want: &Want<'_>) -> bool {
        want.flavor.required_traits.is_subset(&host.traits)
    }

    fn subject(&self, want: &Want<'_>) -> Option<String> {
        let names: Vec<&str> = want.flavor.required_traits.iter().map(|name| name.as_str()).collect();
        (!names.is_empty()).then(|| names.join(", "))
    }
}

pub(super) struct Forbidden;

impl HostRule for Forbidden {
    fn name(&self) -> RuleName {
        RuleName::ForbiddenTrait
    }

    fn admits(&self, _: &Request, host: &Host, want: &Want<'_>) -> bool {
        want.flavor.forbidden_traits.is_disjoint(&host.traits)
    }

    fn subject(&self, want: &Want<'_>) -> Option<String> {
        let names: Vec<&str> = want.flavor.forbidden_traits.iter().map(|name| name.as_str()).collect();
        (!names.is_empty()).then(|| names.join(", "))
    }
}
