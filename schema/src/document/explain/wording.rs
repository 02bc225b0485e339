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
            match (unknown_tag(error, context), nearest_branch(error, context)) {
                (Some(objection), _) => vec![objection],
                (None, Some(branch)) => branch.iter().flat_map(|error| objections(error, schema)).collect(),
                (None, None) => vec![mismatch(error)],
            }
        }
        _ => vec![mismatch(error)],
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

/// Whether an error is about a word inside the value that says which of several shapes it has.
fn is_about_tag(whole: &ValidationError<'_>, error: &ValidationError<'_>) -> bool {
    matches!(error.kind(), ValidationErrorKind::Constant { .. }) && is_inside(whole, error)
}

fn is_inside(whole: &ValidationError<'_>, error: &ValidationError<'_>) -> bool {
    error.instance_path().as_str().len() > whole.instance_path().as_str().len()
}

/// The objection to a word that should say which of several shapes a value has, and says none of them.
fn unknown_tag(error: &ValidationError<'_>, context: &[Vec<ValidationError<'static>>]) -> Option<Objection> {
    let tags: Option<Vec<_>> =
        context.iter().map(|branch| branch.iter().find(|inside| is_about_tag(error, inside))).collect();
    let tags = tags?;
    let first = *tags.first()?;
    let mut expected = Expected::default();
    tags.iter().for_each(|tag| expected.collect(tag));
    Some(expected.objection(first))
}

/// Of several shapes a value may have, the one it comes nearest to: whose errors are inside it, not about it.
fn nearest_branch<'a>(
    error: &ValidationError<'_>,
    context: &'a [Vec<ValidationError<'static>>],
) -> Option<&'a [ValidationError<'static>]> {
    let about_it_all = |inside: &ValidationError<'_>| {
        !is_inside(error, inside)
            && !matches!(
                inside.kind(),
                ValidationErrorKind::AdditionalProperties { .. } | ValidationErrorKind::Required { .. }
            )
    };
    let shapes = context.iter().filter(|branch| !branch.iter().any(about_it_all));
    let distance = |branch: &&Vec<ValidationError<'static>>| {
        (branch.iter().any(|inside| is_about_tag(error, inside)), branch.len())
    };
    shapes.min_by_key(distance).map(Vec::as_slice)
}

/// A value that is not of the shape it should have.
fn mismatch(error: &ValidationError<'_>) -> Objection {
    let mut expected = Expected::default();
    expected.collect(error);
    expected.objection(error)
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
    fn objection(&self, error: &ValidationError<'_>) -> Objection {
        let text = error.instance().as_str().unwrap_or_default();
        let listed = |expected: &BTreeSet<String>, comma: &str| {
            format!("give {}", expected.iter().map(String::as_str).collect::<Vec<_>>().join(comma))
        };
        let remedy = match nearest(text, self.words.iter().map(String::as_str)) {
            Some(meant) => format!("did you mean {meant}?"),
            None if !self.words.is_empty() => listed(&self.words, ", "),
            None if !self.shapes.is_empty() => listed(&self.shapes, " or "),
            None => super::SEE_SCHEMA.to_owned(),
        };
        let problem = format!("{} is not accepted here", summary(error.instance()));
        Objection::new(path_of(error.instance_path()), problem, remedy)
    }

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
