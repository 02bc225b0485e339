//! How a command ends: the exit codes, and what is said on stderr before them, in one place.
//!
//! An incomplete plan is a result, not a failure: it has an exit code of its own and nothing is printed here.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::io;
use std::process::ExitCode;

use crate::render::words;
use decant_schema::finding::Finding;
use miette::{Diagnostic, MietteHandler, MietteHandlerOpts, ReportHandler};

/// What scripts read from a command that ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done; for a plan: complete.
    Done = 0,
    /// The environment failed: disk, database, network, another program, or a bug of ours.
    Environment = 1,
    /// The input is wrong; nothing was done.
    Input = 2,
    /// The plan is incomplete: it was written, and each instance that stays has its refusal.
    Incomplete = 3,
    /// The plan does not hold.
    DoesNotHold = 4,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The input is wrong: every error found in it.
    Input {
        /// What was being read or asked.
        of: String,
        /// Each error; never empty.
        errors: Vec<Complaint>,
    },
    /// Something outside the input failed.
    Environment {
        /// What was being done, to be read after "failed to".
        doing: String,
        /// Why it failed, where that is not said already.
        cause: Option<Box<dyn Error + Send + Sync>>,
        /// What the person can do about it.
        hint: Option<String>,
    },
    /// The plan does not hold for the fleet it is to be carried out on: every difference found.
    DoesNotHold {
        /// What is wrong, as a whole.
        what: String,
        /// Each difference.
        differences: Vec<Complaint>,
    },
    /// Several of them, from different sources: a person corrects all at once.
    Several(Vec<Failure>),
    /// Whoever read our output has gone away; there is nobody left to tell.
    ClosedPipe,
}

/// One thing that is wrong, where it is and what would be right.
#[derive(Debug)]
pub(crate) struct Complaint {
    /// What is wrong, with its place in front.
    pub(crate) problem: String,
    /// What would be right.
    pub(crate) remedy: Option<String>,
    /// In how many places.
    pub(crate) places: usize,
}

impl Complaint {
    /// What is wrong in one place, and what would be right.
    pub(crate) fn new(problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { problem: problem.into(), remedy: Some(remedy.into()), places: 1 }
    }

    /// What is wrong in one place, where what to do is said elsewhere.
    pub(crate) fn bare(problem: impl Into<String>) -> Self {
        Self { problem: problem.into(), remedy: None, places: 1 }
    }
}

impl Failure {
    /// One error in the input.
    pub(crate) fn input(of: impl Into<String>, problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::Input { of: of.into(), errors: vec![Complaint::new(problem, remedy)] }
    }

    /// All of these, which were found beside each other; at least one.
    pub(crate) fn all(failures: impl IntoIterator<Item = Self>) -> Self {
        let mut failures: Vec<Self> = failures.into_iter().collect();
        if failures.len() == 1 { failures.remove(0) } else { Self::Several(failures) }
    }

    /// Every finding of a document; what is wrong in the same way in many places is said once, with all of them.
    pub(crate) fn findings(of: impl Into<String>, findings: &[Finding]) -> Self {
        let mut order: Vec<&Finding> = Vec::new();
        let mut places: BTreeMap<(&str, &str), Vec<String>> = BTreeMap::new();
        for finding in findings {
            let alike = places.entry((&finding.problem, &finding.remedy)).or_default();
            if alike.is_empty() {
                order.push(finding);
            }
            alike.push(finding.place.to_string());
        }
        let complaint = |first: &&Finding| {
            let alike = &places[&(first.problem.as_str(), first.remedy.as_str())];
            let problem = format!("{}: {}", alike.join(", "), first.problem);
            Complaint { places: alike.len(), ..Complaint::new(problem, first.remedy.clone()) }
        };
        Self::Input { of: of.into(), errors: order.iter().map(complaint).collect() }
    }

    /// Something outside the input failed, with no more to advise than its cause says.
    pub(crate) fn environment(doing: impl Into<String>, cause: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Environment { doing: doing.into(), cause: Some(cause.into()), hint: None }
    }

    /// Something outside the input failed, as an error says whose message reads after "failed to".
    pub(crate) fn of(error: &dyn Error) -> Self {
        let mut causes: Vec<String> = Vec::new();
        let mut next = error.source();
        while let Some(cause) = next {
            let words = cause.to_string();
            // Some libraries say their cause's words and name the cause as well.
            if causes.last().is_none_or(|before| !before.contains(&words)) {
                causes.push(words);
            }
            next = cause.source();
        }
        let cause = (!causes.is_empty()).then(|| causes.join(": ").into());
        Self::Environment { doing: error.to_string(), cause, hint: None }
    }

    /// We made a mistake; the panic's own words are on stderr already.
    pub(crate) fn bug() -> Self {
        let hint = "this is a mistake in decant, not yours: report it with the command and the documents it read";
        Self::Environment { doing: "do what was asked".to_owned(), cause: None, hint: Some(hint.to_owned()) }
    }

    /// The same failure with advice on what to do.
    pub(crate) fn with_hint(self, advice: impl Into<String>) -> Self {
        match self {
            Self::Environment { doing, cause, .. } => Self::Environment { doing, cause, hint: Some(advice.into()) },
            other => other,
        }
    }

    /// A failure to write the result; a reader that closed its end is no failure.
    pub(crate) fn writing(to: &str, error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Self::ClosedPipe;
        }
        Self::environment(format!("write {to}"), error)
    }

    /// Each thing that is wrong, where there may be several.
    fn complaints(&self) -> &[Complaint] {
        match self {
            Self::Input { errors: all, .. } | Self::DoesNotHold { differences: all, .. } => all,
            Self::Environment { .. } | Self::Several(_) | Self::ClosedPipe => &[],
        }
    }

    /// The exit code it ends in.
    fn exit(&self) -> Exit {
        match self {
            Self::Input { .. } => Exit::Input,
            Self::Environment { .. } => Exit::Environment,
            Self::DoesNotHold { .. } => Exit::DoesNotHold,
            // What a person can correct comes first: the rest may have come of it.
            Self::Several(all) => {
                let exits: Vec<Exit> = all.iter().map(Self::exit).collect();
                let first = exits.first().copied().unwrap_or(Exit::Environment);
                if exits.contains(&Exit::Input) { Exit::Input } else { first }
            }
            Self::ClosedPipe => Exit::Done,
        }
    }
}

/// Prints why a command failed, if there is anybody to tell, and says how to exit.
pub(crate) fn report(failure: Failure) -> Exit {
    let handler = MietteHandlerOpts::new().width(usize::from(crate::render::width()).min(120)).build();
    let text = text(&failure, &handler);
    if !text.is_empty() {
        crate::output::note(text.trim_end());
    }
    failure.exit()
}

/// What is said of a failure; nothing where there is nobody to tell.
fn text(failure: &Failure, handler: &MietteHandler) -> String {
    match failure {
        Failure::ClosedPipe => String::new(),
        Failure::Several(all) => all.iter().map(|one| text(one, handler)).collect(),
        Failure::Input { .. } | Failure::Environment { .. } | Failure::DoesNotHold { .. } => {
            let mut said = Rendered(failure, handler).to_string();
            said.extend(failure.complaints().iter().map(|complaint| Rendered(complaint, handler).to_string()));
            said
        }
    }
}

/// Both, or all that is wrong with either.
pub(crate) fn both<A, B>(first: Result<A, Failure>, second: Result<B, Failure>) -> Result<(A, B), Failure> {
    match (first, second) {
        (Ok(first), Ok(second)) => Ok((first, second)),
        (first, second) => Err(Failure::all(first.err().into_iter().chain(second.err()))),
    }
}

/// A diagnostic as its handler prints it.
struct Rendered<'a>(&'a dyn Diagnostic, &'a MietteHandler);

impl fmt::Display for Rendered<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.1.debug(self.0, f)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input { of, errors } => {
                let count = words::count(errors.iter().map(|error| error.places).sum(), "error");
                write!(f, "{of}: {count}, nothing was done")
            }
            Self::Environment { doing, .. } => write!(f, "failed to {doing}"),
            Self::DoesNotHold { what, .. } => f.write_str(what),
            Self::Several(all) => write!(f, "{}", words::count(all.len(), "failure")),
            Self::ClosedPipe => f.write_str("the reader of the output went away"),
        }
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Environment { cause, .. } => cause.as_ref().map(|cause| cause.as_ref() as &(dyn Error + 'static)),
            Self::Input { .. } | Self::DoesNotHold { .. } | Self::Several(_) | Self::ClosedPipe => None,
        }
    }
}

impl Diagnostic for Failure {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        match self {
            Self::Environment { hint: Some(hint), .. } => Some(Box::new(hint)),
            _ => None,
        }
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem)
    }
}

impl Error for Complaint {}

impl Diagnostic for Complaint {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.remedy.as_ref().map(|remedy| Box::new(remedy) as Box<dyn fmt::Display>)
    }
}
