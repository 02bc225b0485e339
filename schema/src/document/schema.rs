//! The documents' JSON Schemas, made from the types that read them.

use schemars::{JsonSchema, Schema};

use crate::fleet::FleetDocument;
use crate::plan::Plan;

/// The JSON Schema of the fleet document.
pub fn fleet_schema() -> serde_json::Value {
    published::<FleetDocument>("urn:decant:fleet:1", "A fleet, format decant.fleet/1")
}

/// The JSON Schema of the plan document.
pub fn plan_schema() -> serde_json::Value {
    published::<Plan>("urn:decant:plan:1", "A plan, format decant.plan/1")
}

fn published<T: JsonSchema>(id: &str, title: &str) -> serde_json::Value {
    let mut schema = schema_of::<T>();
    schema.insert("$id".to_owned(), id.into());
    schema.insert("title".to_owned(), title.into());
    schema.to_value()
}

/// The JSON Schema of what is read as a type, self-contained.
pub(super) fn schema_of<T: JsonSchema>() -> Schema {
    schemars::generate::SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>()
}
