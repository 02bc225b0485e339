//! Documents on their way in: from a file or a stream to a typed value, or to every error with its place.
//!
//! The typed reader judges, the JSON Schema made from the same types explains. A good document of 50 MB is read in one
//! pass; only a bad one is taken apart ([`explain`]), element by element, so that no document needs more memory than a
//! few times its text.

mod explain;
mod load;
pub(crate) mod locate;
mod schema;
mod unpack;

use serde::de::DeserializeOwned;

pub use load::{LoadError, load};
pub use schema::{fleet_schema, plan_schema};
pub use unpack::decode;

pub(crate) use explain::List;

use crate::finding::Finding;

/// A document that was not accepted, with every error found in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadError {
    /// What is wrong, in the order in which it was found; never empty.
    pub errors: Vec<Finding>,
}

impl std::fmt::Display for ReadError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (at, error) in self.errors.iter().enumerate() {
            let line = if at == 0 { "" } else { "\n" };
            write!(f, "{line}{error}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ReadError {}

impl From<Finding> for ReadError {
    fn from(finding: Finding) -> Self {
        Self { errors: vec![finding] }
    }
}

/// A kind of document this crate reads.
pub(crate) trait Document: DeserializeOwned + schemars::JsonSchema {
    /// The format it must name.
    const FORMAT: &'static str;
    /// What it is, with its article.
    const NAME: &'static str;
    /// Its long lists, which are explained element by element.
    const LISTS: &'static [List];

    /// The format it names.
    fn format(&self) -> &str;
}

/// From text to a typed value; or every error of its structure. What the values mean is checked elsewhere.
pub(crate) fn parse<T: Document>(text: &str) -> Result<T, ReadError> {
    match serde_json::from_str::<T>(text) {
        Ok(document) if document.format() == T::FORMAT => Ok(document),
        Ok(_) => Err(explain::explain::<T>(text, None)),
        Err(error) => Err(explain::explain::<T>(text, Some(&error))),
    }
}
