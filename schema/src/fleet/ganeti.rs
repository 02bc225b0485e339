//! Fleets from Ganeti: the text format of htools, as `hscan` writes and `hbal -t` reads it.
//!
//! Sections of lines, apart by one blank line: node groups, nodes, instances, cluster tags, instance policies; the
//! fields of a line apart by `|`, the later ones optional. All sizes are MiB.
//!
//! | Ganeti | here |
//! |---|---|
//! | node, node group | host, its zone: instances stay in their group |
//! | offline node | a host that is down |
//! | memory used by the node, or missing without a known reason | other usage |
//! | free disk that no plain instance accounts for | other usage of `CUSTOM_DISK_MB` |
//! | vcpu ratio of the group's policy | allocation ratio of `VCPU` |
//! | disk of a DRBD instance | a pool its two nodes share; it claims nothing more of either |
//! | plain or file disk | local: claimed, copied, moved cold |
//! | any other template | a pool of all nodes |
//! | instances with the same exclusion tag | an anti-affinity group |

mod convert;
mod rows;

use super::Checked;
use crate::document::ReadError;
use crate::finding::Findings;

/// Reads a cluster in htools' text format. Every malformed line is refused, each with its place and the reason.
///
/// The format holds no time, so that the fleet's `captured_at` is the epoch.
pub fn import(text: &str) -> Result<Checked, ReadError> {
    let mut errors = Findings::default();
    let cluster = rows::read(text, &mut errors);
    match cluster {
        Some(cluster) if errors.is_empty() => {
            let mut warnings = Findings::default();
            let document = convert::convert(&cluster, text, &mut warnings);
            let mut checked = super::admit(document, None)?;
            checked.warnings.splice(0..0, warnings.placed(Some(text)));
            Ok(checked)
        }
        _ => Err(ReadError { errors: errors.placed(Some(text)) }),
    }
}
