//! Settings that outlive a command: a file whose keys are the long names of options.
//!
//! The one idea: a setting becomes the default of the option of its name, so that the command line's own order of
//! precedence (flag, then `DECANT_*` variable, then default) is the order of ours, and a setting is checked by the
//! same parser as the flag.

use std::collections::BTreeMap;
use std::env;
use std::error::Error as _;
use std::fs;
use std::io;
use std::path::PathBuf;

use clap::error::{ContextKind, ErrorKind};
use clap::{Arg, ArgAction, Command};
use toml::de::{DeTable, DeValue};

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

/// The settings of a text; or everything that is wrong with it, in its syntax, its keys and its values.
fn parse(text: &str) -> Result<BTreeMap<String, String>, Vec<Complaint>> {
    let (table, broken) = DeTable::parse_recoverable(text);
    let remedy = "write lines such as: time-limit = \"30s\"";
    let mut errors: Vec<Complaint> =
        broken.iter().map(|error| Complaint::new(error.to_string().trim_end(), remedy)).collect();
    let options = known_options(&crate::cli::Cli::command_tree());
    let known: Vec<&str> = options.keys().map(String::as_str).collect();
    let mut settings = BTreeMap::new();
    for (key, value) in table.get_ref() {
        let (key, value) = (key.get_ref().as_ref(), value.get_ref());
        match (options.get(key), as_text(value)) {
            (None, _) => errors.push(unknown(key, &known)),
            // What is left of a broken text may not be what was meant.
            (Some(_), _) if !broken.is_empty() => {}
            (Some(_), None) => errors.push(Complaint::new(
                format!("{key}: a {} is not a setting", value.type_str()),
                "write a text, a number, true or false",
            )),
            (Some(option), Some(text)) => match refusal(option, key, &text) {
                Some(complaint) => errors.push(complaint),
                None => drop(settings.insert(key.to_owned(), text)),
            },
        }
    }
    if errors.is_empty() { Ok(settings) } else { Err(errors) }
}

/// Why an option does not take a value, in the words of the command line's own reader.
fn refusal(option: &Arg, key: &str, text: &str) -> Option<Complaint> {
    let mut probe = Arg::new("value").long(key.to_owned()).action(ArgAction::Append);
    probe = probe.value_parser(option.get_value_parser().clone());
    if let Some(delimiter) = option.get_value_delimiter() {
        probe = probe.value_delimiter(delimiter);
    }
    let probe = Command::new("settings").no_binary_name(true).arg(probe);
    let error = probe.try_get_matches_from([format!("--{key}={text}")]).err()?;
    let remedy = match (error.get(ContextKind::ValidValue), error.source()) {
        (Some(valid), _) => format!("write one of: {valid}"),
        (None, Some(source)) => source.to_string(),
        (None, None) => format!("decant --help says what --{key} takes"),
    };
    Some(Complaint::new(format!("{key}: {text:?} is not what it takes"), remedy))
}

fn unknown(key: &str, known: &[&str]) -> Complaint {
    let remedy = decant_schema::nearest::nearest(key, known.iter().copied())
        .map_or_else(|| format!("known settings: {}", known.join(", ")), |near| format!("did you mean {near}?"));
    Complaint::new(format!("{key}: no such setting"), remedy)
}

fn as_text(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => Some(number.to_string()),
        DeValue::Float(number) => Some(number.to_string()),
        DeValue::Boolean(truth) => Some(truth.to_string()),
        DeValue::Datetime(_) | DeValue::Array(_) | DeValue::Table(_) => None,
    }
}

/// The options that can be set outside the command line, by their long names: those with an environment variable.
fn known_options(command: &Command) -> BTreeMap<String, Arg> {
    let here = command.get_arguments().filter(|arg| arg.get_env().is_some());
    let mut options: BTreeMap<String, Arg> =
        here.filter_map(|arg| Some((arg.get_long()?.to_owned(), arg.clone()))).collect();
    options.extend(command.get_subcommands().flat_map(known_options));
    options
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_is_wrong_with_the_settings_is_said() {
        let text = "time-limit = \"10\"\nheadrom = \"10%\"\nthreads = 5000\nformat = \"xml\"\ngoals = \"refused,none\"\nseed = [1]\n";
        let errors = parse(text).expect_err("six mistakes");
        for key in ["time-limit", "headrom", "threads", "format", "goals", "seed"] {
            assert!(errors.iter().any(|error| error.problem.starts_with(&format!("{key}:"))), "{key}: {errors:?}");
        }
        assert_eq!(errors.len(), 6);
        assert!(errors.iter().any(|error| error.remedy.as_ref().is_some_and(|remedy| remedy.contains("1..=256"))));
        let errors = parse("seed = \nno-displace = maybe\n").expect_err("two mistakes");
        assert_eq!(errors.len(), 2, "{errors:?}");
        let good = parse("time-limit = \"30s\"\nno-displace = true\ngoals = \"imbalance,refused\"\nseed = 7\n");
        assert_eq!(good.expect("all is well").len(), 4);
    }
}
