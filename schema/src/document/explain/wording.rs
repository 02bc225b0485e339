//! A schema's objections in the words of a person.

use std::collections::BTreeSet;

use jsonschema::ValidationError;
use jsonschema::error::{TypeKind, ValidationErrorKind};
use jsonschema::paths::{Location, LocationSegment};
use serde_json::Value;

use crate::finding::{Path, Step, path_to, shown};
use crate::nearest::nearest;

/// One thing a schema objects to.
pub(super) struct Objection {
    pub(super) path: Path,
    pub(super) problem: String,
    pub(super) remedy: String,
}

impl Objection {
    fn new(path: Path, problem: String, remedy: String) -> Self {
        Self { path, problem, remedy }
    }
}

/// What one error of the validator means; `schema` is the one it validates against.
pub(super) fn objections(error: &ValidationError<'_>, schema: &Value) -> Vec<Objection> {
    let at = path_of(error.instance_path());
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected }
        | ValidationErrorKind::UnevaluatedProperties { unexpected } => {
            unexpected.iter().map(|field| unknown_field(&at, field, &known_fields(error, schema))).collect()
        }
        ValidationErrorKind::Required { property } => {
            let field = property.as_str().unwrap_or_default();
            vec![Objection::new(at, format!("the field {field} is missing"), format!("give {field}"))]
        }
        ValidationErrorKind::Minimum { limit } => {
            let problem = format!("{} is less than {limit}", summary(error.instance()));
            vec![Objection::new(at, problem, format!("give {limit} or more"))]
        }
        ValidationErrorKind::Maximum { limit } => {
            let problem = format!("{} is more than {limit}", summary(error.instance()));
            vec![Objection::new(at, problem, format!("give {limit} or less"))]
        }
        ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => {
            match nearest_branch(error, context) {
                Some(branch) => branch.iter().flat_map(|error| objections(error, schema)).collect(),
                None => vec![mismatch(error, at)],
            }
        }
        _ => vec![mismatch(error, at)],
    }
}

fn unknown_field(at: &Path, field: &str, known: &[&str]) -> Objection {
    let remedy = match nearest(field, known.iter().copied()) {
        Some(meant) => format!("did you mean {meant}?"),
        None => format!("known are {}", known.join(", ")),
    };
    Objection::new(at.clone().then(path_to![field]), "unknown field".to_owned(), remedy)
}

/// The fields of the part of the schema that objects to a further one.
fn known_fields<'a>(error: &ValidationError<'_>, schema: &'a Value) -> Vec<&'a str> {
    let keyword = error.schema_path().as_str();
    let part = keyword.rsplit_once('/').and_then(|(part, _)| schema.pointer(part));
    let fields = part.and_then(|part| part["properties"].as_object());
    fields.map(|fields| fields.keys().map(String::as_str).collect()).unwrap_or_default()
}

/// Of several shapes a value may have, the one it comes nearest to: whose errors are inside it, not about it.
fn nearest_branch<'a>(
    error: &ValidationError<'_>,
    context: &'a [Vec<ValidationError<'static>>],
) -> Option<&'a [ValidationError<'static>]> {
    let whole = error.instance_path().as_str().len();
    let about_it_all = |error: &ValidationError<'_>| {
        error.instance_path().as_str().len() == whole
            && !matches!(
                error.kind(),
                ValidationErrorKind::AdditionalProperties { .. } | ValidationErrorKind::Required { .. }
            )
    };
    let inside = context.iter().filter(|branch| !branch.iter().any(about_it_all));
    inside.min_by_key(|branch| branch.len()).map(Vec::as_slice)
}

/// A value that is not of the shape it should have.
fn mismatch(error: &ValidationError<'_>, at: Path) -> Objection {
    let mut expected = Expected::default();
    expected.collect(error);
    let Expected { words, shapes } = &expected;
    let text = error.instance().as_str().unwrap_or_default();
    let remedy = match nearest(text, words.iter().map(String::as_str)) {
        Some(meant) => format!("did you mean {meant}?"),
        None if !words.is_empty() => format!("give {}", Vec::from_iter(words.iter().map(String::as_str)).join(", ")),
        None if !shapes.is_empty() => {
            format!("give {}", Vec::from_iter(shapes.iter().map(String::as_str)).join(" or "))
        }
        None => super::SEE_SCHEMA.to_owned(),
    };
    Objection::new(at, format!("{} is not accepted here", summary(error.instance())), remedy)
}

/// All that would have been accepted in the place of an error.
#[derive(Default)]
struct Expected {
    /// Certain words.
    words: BTreeSet<String>,
    /// Any value of these shapes.
    shapes: BTreeSet<String>,
}

impl Expected {
    fn collect(&mut self, error: &ValidationError<'_>) {
        match error.kind() {
            ValidationErrorKind::Type { kind: TypeKind::Single(json_type) } => {
                self.shapes.insert(type_name(json_type.as_str()));
            }
            ValidationErrorKind::Type { kind: TypeKind::Multiple(types) } => {
                self.shapes.extend(types.iter().map(|json_type| type_name(json_type.as_str())));
            }
            ValidationErrorKind::Constant { expected_value } => {
                self.words.insert(plain(expected_value));
            }
            ValidationErrorKind::Enum { options } => {
                self.words.extend(options.as_array().into_iter().flatten().map(plain));
            }
            ValidationErrorKind::Format { format } => {
                self.shapes.insert(form_name(format));
            }
            ValidationErrorKind::AnyOf { context } | ValidationErrorKind::OneOfNotValid { context } => {
                context.iter().flatten().for_each(|error| self.collect(error));
            }
            _ => {}
        }
    }
}

fn form_name(format: &str) -> String {
    match format {
        "date-time" => "a time as 2026-01-31T12:00:00Z".to_owned(),
        other => format!("a text of the form {other}"),
    }
}

fn type_name(json_type: &str) -> String {
    match json_type {
        "integer" => "a whole number".to_owned(),
        "array" => "a list".to_owned(),
        "object" => "an object".to_owned(),
        "string" => "a text".to_owned(),
        "boolean" => "true or false".to_owned(),
        "null" => "null".to_owned(),
        other => format!("a {other}"),
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// A value in a few words.
fn summary(value: &Value) -> String {
    match value {
        Value::Object(_) => "an object".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::String(text) => format!("the text {}", shown(text)),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

fn path_of(location: &Location) -> Path {
    let steps = location.segments().map(|segment| match segment {
        LocationSegment::Property(field) => Step::Field(field.into_owned()),
        LocationSegment::Index(index) => Step::Index(index),
    });
    Path(steps.collect())
}
