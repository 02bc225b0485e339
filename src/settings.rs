//! Settings that outlive a command: a file whose keys are the long names of options.
//!
//! The one idea: a setting becomes the default of the option of its name, so that the command line's own order of
//! precedence (flag, then `DECANT_*` variable, then default) is the order of ours, and a setting is checked by the
//! same parser as the flag.

use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::io;
use std::path::PathBuf;

use clap::Command;
use clap::error::ErrorKind;

use crate::error::{Complaint, Failure};

/// Names the file, where it is not the usual one.
const FILE_VARIABLE: &str = "DECANT_CONFIG";

/// What the file says, by option.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    file: PathBuf,
    values: BTreeMap<String, String>,
}

/// Reads the settings file, if there is one. A file named by `DECANT_CONFIG` must be there.
pub(crate) fn read() -> Result<Settings, Failure> {
    let named = env::var_os(FILE_VARIABLE).filter(|name| !name.is_empty()).map(PathBuf::from);
    let must_exist = named.is_some();
    let Some(path) = named.or_else(usual_file) else { return Ok(Settings::default()) };
    let of = path.display().to_string();
    match fs::read_to_string(&path) {
        Ok(text) => match parse(&text) {
            Ok(values) => Ok(Settings { file: path, values }),
            Err(errors) => Err(Failure::Input { of, errors }),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound && !must_exist => Ok(Settings::default()),
        Err(error) => Err(Failure::input(
            of,
            format!("the settings file cannot be read: {error}"),
            format!("correct or unset {FILE_VARIABLE}"),
        )),
    }
}

/// `$XDG_CONFIG_HOME/decant/config.toml`, by default under `~/.config`.
fn usual_file() -> Option<PathBuf> {
    let folder = env::var_os("XDG_CONFIG_HOME").filter(|folder| !folder.is_empty()).map(PathBuf::from);
    let folder = folder.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".config")))?;
    Some(folder.join("decant").join("config.toml"))
}

fn parse(text: &str) -> Result<BTreeMap<String, String>, Vec<Complaint>> {
    let table: toml::Table = text.parse().map_err(|error: toml::de::Error| {
        vec![Complaint::new(error.to_string().trim_end().to_owned(), "write lines such as: time-limit = \"30s\"")]
    })?;
    let known = known_options(&crate::cli::Cli::command_tree());
    let mut settings = BTreeMap::new();
    let mut errors = Vec::new();
    for (key, value) in table {
        match as_text(&value) {
            _ if !known.contains(&key) => errors.push(unknown(&key, &known)),
            Some(text) => drop(settings.insert(key, text)),
            None => errors.push(Complaint::new(
                format!("{key}: a {} is not a setting", value.type_str()),
                "write a text, a number, true or false",
            )),
        }
    }
    if errors.is_empty() { Ok(settings) } else { Err(errors) }
}

fn unknown(key: &str, known: &[String]) -> Complaint {
    let remedy = decant_schema::nearest::nearest(key, known.iter().map(String::as_str))
        .map_or_else(|| format!("known settings: {}", known.join(", ")), |near| format!("did you mean {near}?"));
    Complaint::new(format!("{key}: no such setting"), remedy)
}

fn as_text(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Float(number) => Some(number.to_string()),
        toml::Value::Boolean(truth) => Some(truth.to_string()),
        toml::Value::Datetime(_) | toml::Value::Array(_) | toml::Value::Table(_) => None,
    }
}

/// The options that can be set outside the command line: those with an environment variable.
fn known_options(command: &Command) -> Vec<String> {
    let here = command.get_arguments().filter(|arg| arg.get_env().is_some());
    let mut names: Vec<String> = here.filter_map(|arg| arg.get_long()).map(str::to_owned).collect();
    names.extend(command.get_subcommands().flat_map(known_options));
    names.sort();
    names.dedup();
    names
}

impl Settings {
    /// The command and all below it, with each setting as the default of the option it names.
    pub(crate) fn as_defaults_of(&self, command: Command) -> Command {
        command
            .mut_args(|arg| match arg.get_long().and_then(|long| self.values.get(long)) {
                Some(setting) if arg.get_env().is_some() => arg.default_value(setting.clone()).required(false),
                _ => arg,
            })
            .mut_subcommands(|below| self.as_defaults_of(below))
    }

    /// Ends as the command line's reader would, and says where a value may come from that nobody typed.
    pub(crate) fn explain_and_exit(&self, error: &clap::Error) -> ! {
        if error.kind() == ErrorKind::ValueValidation && !self.values.is_empty() {
            crate::output::note(&format!("note: settings were read from {}", self.file.display()));
        }
        error.exit()
    }
}
