//! A fleet's digest: BLAKE3 over its ordered document, without when and from where it was read.

use std::io::{BufWriter, Write};

use serde::Serialize;

use super::document::{Defaults, FORMAT, Flavor, FleetDocument, Host, Instance, Rack, ServerGroup};

#[derive(Serialize)]
struct Canonical<'a> {
    format: &'static str,
    defaults: &'a Defaults,
    hosts: &'a [Host],
    flavors: &'a [Flavor],
    instances: &'a [Instance],
    server_groups: &'a [ServerGroup],
    racks: &'a [Rack],
}

/// The digest of a document that is in order, as `blake3:` and 64 hexadecimal digits.
pub(super) fn digest(document: &FleetDocument) -> String {
    let FleetDocument {
        format: _,
        captured_at: _,
        source: _,
        defaults,
        hosts,
        flavors,
        instances,
        server_groups,
        racks,
    } = document;
    let canonical = Canonical { format: FORMAT, defaults, hosts, flavors, instances, server_groups, racks };
    let mut hasher = BufWriter::with_capacity(1 << 16, blake3::Hasher::new());
    serde_json::to_writer(&mut hasher, &canonical)
        .expect("names and finite numbers become JSON, and a hasher takes all");
    hasher.flush().expect("a hasher takes all");
    format!("blake3:{}", hasher.get_ref().finalize().to_hex())
}
