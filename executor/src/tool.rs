//! Programs that are run here and come from elsewhere.

use std::io;
use std::path::Path;

use thiserror::Error;

/// A program that is needed and cannot be run.
#[derive(Debug, Error)]
#[error("run {program} (install the package {package})")]
pub struct MissingTool {
    /// The program.
    pub program: String,
    /// The Debian package it comes with.
    pub package: &'static str,
    /// Why not.
    #[source]
    pub source: io::Error,
}

impl MissingTool {
    /// What is said of a program that could not be started.
    pub fn new(program: impl AsRef<Path>, package: &'static str, source: io::Error) -> Self {
        Self { program: program.as_ref().display().to_string(), package, source }
    }
}
