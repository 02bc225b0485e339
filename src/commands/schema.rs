//! `decant schema`: the JSON Schema of a document.

use crate::cli::SchemaOf;
use crate::error::{Exit, Failure};
use crate::output;

pub(super) fn run(of: SchemaOf) -> Result<Exit, Failure> {
    let schema = match of {
        SchemaOf::Fleet => decant_schema::document::fleet_schema(),
        SchemaOf::Plan => decant_schema::document::plan_schema(),
    };
    output::write_json(None, &schema)?;
    Ok(Exit::Done)
}
