//! Reading what a command is given: a file or standard input, checked at the schema's door.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use decant_schema::document::{self, LoadError};
use decant_schema::finding::Finding;
use decant_schema::fleet::{self, Fleet};
use decant_schema::plan::{self, Plan};

use crate::error::{Complaint, Failure};
use crate::output;

/// The fleet in a file; what is worth a warning in it goes to stderr.
pub(crate) fn fleet(path: &Path) -> Result<Arc<Fleet>, Failure> {
    let checked = fleet::read(&bytes(path)?).map_err(|error| Failure::findings(name(path), &error.errors))?;
    warn(path, &checked.warnings);
    Ok(Arc::new(checked.fleet))
}

/// The plan in a file.
pub(crate) fn plan(path: &Path) -> Result<Plan, Failure> {
    plan::read(&bytes(path)?).map_err(|error| Failure::findings(name(path), &error.errors))
}

/// The text of a file.
pub(crate) fn text(path: &Path) -> Result<String, Failure> {
    let bytes = bytes(path)?;
    let text = document::decode(&bytes).map_err(|finding| Failure::findings(name(path), &[finding]))?;
    Ok(text.into_owned())
}

/// The bytes of a file, as they are.
pub(crate) fn bytes(path: &Path) -> Result<Vec<u8>, Failure> {
    document::load(path).map_err(|error| match error {
        LoadError::Io { source, .. } => Failure::environment(format!("read {}", name(path)), source)
            .with_hint("check that you may read the file and that its disk works"),
        wrong => Failure::input(name(path), wrong.to_string(), "name a file, or - for standard input"),
    })
}

/// Two documents cannot both come from standard input.
pub(crate) fn one_from_standard_input(first: &Path, second: &Path) -> Result<(), Failure> {
    if first.as_os_str() == "-" && second.as_os_str() == "-" {
        let remedy = "name a file for one of them";
        return Err(Failure::input("the request", "two documents are to come from standard input", remedy));
    }
    Ok(())
}

/// Refuses to write where something is read or written besides, each given with what it is. Devices and pipes keep nothing,
/// so that they can be given twice.
pub(crate) fn apart(read: &[(&str, Option<&Path>)], written: &[(&str, Option<&Path>)]) -> Result<(), Failure> {
    let files = |given: &[(&str, Option<&Path>)]| -> Vec<(String, PathBuf)> {
        given.iter().filter_map(|(what, path)| Some(((*what).to_owned(), place((*path)?)?))).collect()
    };
    let (mut taken, mut errors) = (files(read), Vec::new());
    for (what, file) in files(written) {
        match taken.iter().find(|(_, other)| *other == file) {
            Some((other, _)) => errors.push(Complaint::new(
                format!("{what}: {} is {other} too, and would be written over", file.display()),
                "name another file",
            )),
            None => taken.push((what, file)),
        }
    }
    if errors.is_empty() { Ok(()) } else { Err(Failure::Input { of: "the request".to_owned(), errors }) }
}

/// Where a file is, or will be, by whatever name it is called; none for what is no file.
fn place(path: &Path) -> Option<PathBuf> {
    if path.as_os_str() == "-" {
        return None;
    }
    match fs::metadata(path) {
        Ok(there) if !there.is_file() => None,
        Ok(_) => path.canonicalize().ok(),
        Err(_) => {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            Some(folder.canonicalize().ok()?.join(path.file_name()?))
        }
    }
}

/// How messages call a file.
pub(crate) fn name(path: &Path) -> String {
    if path.as_os_str() == "-" { "standard input".to_owned() } else { path.display().to_string() }
}

/// Prints warnings of a document that was accepted.
pub(crate) fn warn(path: &Path, warnings: &[Finding]) {
    for warning in warnings {
        output::note(&format!("warning: {}: {warning}", name(path)));
    }
}
