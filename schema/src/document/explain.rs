//! Why a text is not the document it should be: every error of its structure, with its place.

mod wording;

use schemars::JsonSchema;
use serde::de::{DeserializeOwned, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

use super::locate::line_column;
use super::schema::schema_of;
use super::{Document, ReadError};
use crate::finding::{Finding, Findings, Path, Place, path_to, shown};

/// The remedy where nothing better can be said.
const SEE_SCHEMA: &str = "`decant schema` prints what is accepted";

/// A long list of a document, explained element by element.
pub(crate) struct List {
    /// The field that holds it.
    pub(crate) field: &'static str,
    explain: fn(&RawValue, &Element<'_>, &mut Findings),
    validator: fn() -> Explainer,
}

impl List {
    /// The list in this field, of elements of this type.
    pub(crate) const fn of<T: DeserializeOwned + JsonSchema>(field: &'static str) -> Self {
        Self { field, explain: explain_value::<T>, validator: Explainer::of::<T> }
    }
}

/// Every error of the structure of a text that is not acceptable as a `T`. `error` is what the typed reader says.
pub(crate) fn explain<T: Document>(text: &str, error: Option<&serde_json::Error>) -> ReadError {
    match fields_of::<T>(text) {
        Err(finding) => finding.into(),
        Ok(fields) => {
            let mut findings = Findings::default();
            explain_fields::<T>(text, &fields, &mut findings);
            if let (true, Some(error)) = (findings.is_empty(), error) {
                findings.add_at(path_to![], offset_of(text, error), message(error), remedy_of::<T>());
            }
            ReadError { errors: findings.placed(Some(text)) }
        }
    }
}

fn remedy_of<T: Document>() -> String {
    format!("give {} document of the format {}", T::NAME, T::FORMAT)
}

/// The fields of the text's object in their order; or the one error that says it is no such document at all.
fn fields_of<T: Document>(text: &str) -> Result<Vec<(String, &RawValue)>, Finding> {
    if text.trim().is_empty() {
        return Err(Finding::whole("it is empty", remedy_of::<T>()));
    }
    if let Err(error) = serde_json::from_str::<IgnoredAny>(text) {
        return Err(syntax::<T>(text, &error));
    }
    let Ok(Fields(fields)) = serde_json::from_str::<Fields<'_>>(text) else {
        return Err(Finding::whole("it is JSON, but not an object", remedy_of::<T>()));
    };
    let format = fields.iter().find(|(field, _)| field == "format").map(|(_, value)| value.get());
    match format {
        Some(value) if serde_json::from_str::<String>(value).is_ok_and(|format| format == T::FORMAT) => Ok(fields),
        Some(value) => {
            let problem = format!("the format is {}, this program reads {}", shown(value.trim_matches('"')), T::FORMAT);
            let offset = value.as_ptr().addr() - text.as_ptr().addr();
            let place = Place { field: "format".to_owned(), line_column: Some(line_column(text, offset)) };
            Err(Finding { place, problem, remedy: remedy_of::<T>() })
        }
        None => Err(Finding::whole("it names no format", format!("begin with \"format\": \"{}\"", T::FORMAT))),
    }
}

fn syntax<T: Document>(text: &str, error: &serde_json::Error) -> Finding {
    let place = Place { field: String::new(), line_column: Some(line_column(text, offset_of(text, error))) };
    if error.is_eof() {
        let problem = "the text ends in the middle".to_owned();
        return Finding { place, problem, remedy: "copy or write the whole document again".to_owned() };
    }
    Finding { place, problem: format!("not JSON: {}", message(error)), remedy: remedy_of::<T>() }
}

/// Explains everything but the long lists in one go, then those element by element.
fn explain_fields<T: Document>(text: &str, fields: &[(String, &RawValue)], findings: &mut Findings) {
    let explainer = Explainer::of::<T>();
    let mut skeleton = Map::new();
    for (field, value) in fields {
        let offset = value.get().as_ptr().addr() - text.as_ptr().addr();
        let long = T::LISTS.iter().any(|list| list.field == field) && value.get().starts_with('[');
        let value = if long { Value::Array(Vec::new()) } else { explainer.field(field, value, offset, findings) };
        if skeleton.insert(field.clone(), value).is_some() {
            findings.add_at(path_to![field.as_str()], offset, "it is given twice".into(), "give it once".into());
        }
    }
    explainer.explain(&Value::Object(skeleton), &path_to![], findings);
    for list in T::LISTS {
        if let Some((_, value)) =
            fields.iter().find(|(field, value)| field == list.field && value.get().starts_with('['))
        {
            explain_list(text, list, value, findings);
        }
    }
}

fn explain_list(text: &str, list: &List, value: &RawValue, findings: &mut Findings) {
    let explainer = (list.validator)();
    let elements = Elements(|index, raw: &RawValue| {
        let offset = raw.get().as_ptr().addr() - text.as_ptr().addr();
        let element = Element { explainer: &explainer, path: path_to![list.field, index], offset };
        (list.explain)(raw, &element, findings);
    });
    // The syntax was found good: this visits every element.
    let _: Result<(), serde_json::Error> =
        serde::Deserializer::deserialize_seq(&mut serde_json::Deserializer::from_str(value.get()), elements);
}

/// An element of a long list, about to be explained.
struct Element<'a> {
    explainer: &'a Explainer,
    path: Path,
    /// Where it begins in the text.
    offset: usize,
}

/// The typed reader judges; where it objects, the schema says all that is wrong, or else the reader what stopped it.
fn explain_value<T: DeserializeOwned>(raw: &RawValue, element: &Element<'_>, findings: &mut Findings) {
    let Err(error) = serde_json::from_str::<T>(raw.get()) else { return };
    if findings.is_full() {
        return findings.count();
    }
    let found = match serde_json::from_str::<Value>(raw.get()) {
        Ok(value) => element.explainer.explain(&value, &element.path, findings),
        Err(_) => 0,
    };
    if found == 0 {
        let offset = element.offset + offset_of(raw.get(), &error);
        findings.add_at(element.path.clone(), offset, message(&error), SEE_SCHEMA.into());
    }
}

/// A compiled schema with what is needed to word its objections.
struct Explainer {
    schema: Value,
    validator: jsonschema::Validator,
}

impl Explainer {
    fn of<T: JsonSchema>() -> Self {
        let schema = schema_of::<T>().to_value();
        let options = jsonschema::options().should_validate_formats(true);
        let validator = options.build(&schema).expect("the schemas of our own types are valid");
        Self { schema, validator }
    }

    /// The value of a field of the top object, as far as the schema knows it; null stands for one it does not know.
    fn field(&self, field: &str, value: &RawValue, offset: usize, findings: &mut Findings) -> Value {
        if self.schema["properties"].get(field).is_none() {
            return Value::Null;
        }
        serde_json::from_str(value.get()).unwrap_or_else(|error| {
            let at = offset + offset_of(value.get(), &error);
            findings.add_at(path_to![field], at, message(&error), SEE_SCHEMA.into());
            Value::Null
        })
    }

    /// Adds everything the schema objects to; returns how much that was.
    fn explain(&self, value: &Value, at: &Path, findings: &mut Findings) -> usize {
        let objections: Vec<_> =
            self.validator.iter_errors(value).flat_map(|error| wording::objections(&error, &self.schema)).collect();
        let count = objections.len();
        for objection in objections {
            findings.add(at.clone().then(objection.path), objection.problem, objection.remedy);
        }
        count
    }
}

/// What the typed reader says, without the place, which is told apart.
fn message(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let message = text.rsplit_once(" at line ").map_or(text.as_str(), |(message, _)| message);
    match message.rsplit_once(", expected ") {
        Some((what, "u64" | "u32")) => format!("{what}, expected a whole number from 0 in plain digits"),
        Some((what, "i32")) => format!("{what}, expected a whole number in plain digits"),
        Some((what, "f64")) => format!("{what}, expected a number"),
        _ => message.to_owned(),
    }
}

/// The byte a reader's error is at. Its columns count bytes, from 1.
fn offset_of(text: &str, error: &serde_json::Error) -> usize {
    let lines = text.split_inclusive('\n').take(error.line().saturating_sub(1));
    let offset = lines.map(str::len).sum::<usize>() + error.column().saturating_sub(1);
    offset.min(text.len())
}

/// The fields of an object in their order, their values left as text.
struct Fields<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> serde::Deserialize<'de> for Fields<'a> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
            type Value = Vec<(String, &'de RawValue)>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    fields.push(entry);
                }
                Ok(fields)
            }
        }
        deserializer.deserialize_map(Collect).map(Self)
    }
}

/// Hands every element of an array, left as text, to a function.
struct Elements<F>(F);

impl<'de, F: FnMut(usize, &'de RawValue)> Visitor<'de> for Elements<F> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        let mut index = 0;
        while let Some(element) = list.next_element()? {
            (self.0)(index, element);
            index += 1;
        }
        Ok(())
    }
}
