//! Programs that are run here and come from elsewhere.

use std::io;
use std::path::Path;
use std::process::Command;

use thiserror::Error;

/// What a host with QEMU guests needs, each with the Debian package it comes with.
const NEEDED: [(&str, &str); 3] =
    [("qemu-system-x86_64", "qemu-system-x86"), ("qemu-img", "qemu-utils"), ("rsync", "rsync")];

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

/// Fails unless every program can be run: better known before a guest is shut down than after.
pub fn are_here() -> Result<(), MissingTool> {
    for (program, package) in NEEDED {
        let ran = Command::new(program).arg("--version").output();
        ran.map_err(|source| MissingTool::new(program, package, source))?;
    }
    Ok(())
}

/// What each program that is needed says that it is; or that it cannot be run.
pub fn versions() -> Vec<(&'static str, Result<String, MissingTool>)> {
    let version = |program: &'static str, package| {
        let ran = Command::new(program).arg("--version").output();
        let said =
            ran.map(|output| String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_owned());
        (program, said.map_err(|source| MissingTool::new(program, package, source)))
    };
    NEEDED.map(|(program, package)| version(program, package)).into()
}

impl MissingTool {
    /// What is said of a program that could not be started.
    pub fn new(program: impl AsRef<Path>, package: &'static str, source: io::Error) -> Self {
        Self { program: program.as_ref().display().to_string(), package, source }
    }
}
