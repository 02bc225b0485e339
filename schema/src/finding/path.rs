//! The way from a document's root to one of its values.

use std::fmt;

/// One step from a value to a value inside it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    /// The field of an object.
    Field(String),
    /// The element of an array, from 0.
    Index(usize),
}

impl From<&str> for Step {
    fn from(field: &str) -> Self {
        Self::Field(field.to_owned())
    }
}

impl From<usize> for Step {
    fn from(index: usize) -> Self {
        Self::Index(index)
    }
}

/// The way from a document's root to one of its values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Path(pub(crate) Vec<Step>);

impl Path {
    /// This way and then that one.
    pub(crate) fn then(mut self, rest: Path) -> Self {
        self.0.extend(rest.0);
        self
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.0.iter().enumerate() {
            match step {
                Step::Field(field) if at == 0 => f.write_str(&super::shown(field))?,
                Step::Field(field) => write!(f, ".{}", super::shown(field))?,
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// `path_to!["hosts", 3, "name"]`.
macro_rules! path_to {
    ($($step:expr),*) => { $crate::finding::Path(vec![$($crate::finding::Step::from($step)),*]) };
}
pub(crate) use path_to;
