//! From what a person typed to hosts and instances of a fleet: patterns, names, files of names. Every name that means
//! nothing is reported, not the first, each with the name that was probably meant.

use std::cell::OnceCell;
use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use decant_schema::fleet::Fleet;
use decant_schema::id::{HostName, InstanceId};
use decant_schema::nearest::nearest;
use globset::Glob;

use crate::cli::HostSelection;
use crate::error::{Complaint, Failure};

/// What a file of names says, or why it could not be read; none where there is no such file.
pub(crate) type Listed = Option<Result<String, Failure>>;

/// Looks names up in a fleet and keeps what was wrong with them.
pub(crate) struct Names<'a> {
    fleet: &'a Fleet,
    errors: Vec<Complaint>,
    /// What was wrong beside names.
    failures: Vec<Failure>,
    /// The ids of the instances of each name, once somebody asks.
    called: OnceCell<HashMap<&'a str, Vec<&'a InstanceId>>>,
    /// Names that meant nothing so far.
    compared: usize,
}

/// Names that mean nothing for which the nearest is sought: each is compared with all names of the fleet.
const COMPARED_MAX: usize = 20;

impl<'a> Names<'a> {
    pub(crate) fn of(fleet: &'a Fleet) -> Self {
        Self { fleet, errors: Vec::new(), failures: Vec::new(), called: OnceCell::new(), compared: 0 }
    }

    /// What a file of names says, if there is one that could be read.
    pub(crate) fn text(&mut self, list: Listed) -> Option<String> {
        list?.map_err(|failure| self.failures.push(failure)).ok()
    }

    /// The hosts a selection means; empty if it names none. `list` is what its file of names says.
    pub(crate) fn hosts(&mut self, selection: &HostSelection, list: Listed) -> BTreeSet<HostName> {
        let mut hosts = self.matching("--host", &selection.host);
        if let (Some(path), Some(text)) = (&selection.hosts_from, self.text(list)) {
            hosts.append(&mut self.listed(path, &text));
        }
        let fleet = self.fleet;
        for name in &selection.aggregate {
            let known =
                fleet.hosts().iter().flat_map(|host| host.aggregates.iter().map(|aggregate| aggregate.as_str()));
            hosts.append(&mut self.sharing("--aggregate", "aggregate", name, known, |at| {
                fleet.hosts()[at].aggregates.contains(name.as_str())
            }));
        }
        for name in &selection.zone {
            let known = fleet.hosts().iter().filter_map(|host| host.zone.as_ref().map(|zone| zone.as_str()));
            hosts.append(&mut self.sharing("--zone", "zone", name, known, |at| {
                fleet.hosts()[at].zone.as_ref().is_some_and(|zone| zone.as_str() == name)
            }));
        }
        hosts
    }

    /// The hosts that some names or patterns mean; `place` says where these were written.
    pub(crate) fn matching(&mut self, place: &str, patterns: &[String]) -> BTreeSet<HostName> {
        patterns.iter().flat_map(|pattern| self.matching_one(place, pattern)).collect()
    }

    fn matching_one(&mut self, place: &str, pattern: &str) -> Vec<HostName> {
        if let Some(at) = self.fleet.host_index(pattern) {
            return vec![self.fleet.hosts()[at].name.clone()];
        }
        if !pattern.contains(['*', '?', '[', '{']) {
            let known = self.fleet.hosts().iter().map(|host| host.name.as_str());
            self.unknown(place, "host", pattern, known);
            return Vec::new();
        }
        let matcher = match Glob::new(pattern) {
            Ok(glob) => glob.compile_matcher(),
            Err(error) => {
                self.errors
                    .push(Complaint::new(format!("{place}: {error}"), "write a pattern as 'cmp-0[1-4]' or 'cmp-*'"));
                return Vec::new();
            }
        };
        let names = self.fleet.hosts().iter().map(|host| &host.name);
        let found: Vec<_> = names.filter(|name| matcher.is_match(name.as_str())).cloned().collect();
        if found.is_empty() {
            // It came here as a pattern, so that it was quoted well enough.
            let remedy = match self.fleet.hosts() {
                [] => "the fleet has no hosts: give another fleet document".to_owned(),
                [first, ..] => format!("hosts of the fleet are called such as {}", first.name),
            };
            self.errors.push(Complaint::new(format!("{place}: no host matches {pattern}"), remedy));
        }
        found
    }

    /// The one host of this name.
    pub(crate) fn host(&mut self, place: &str, name: &str) -> Option<HostName> {
        let found = self.fleet.host_index(name).map(|at| self.fleet.hosts()[at].name.clone());
        if found.is_none() {
            let fleet = self.fleet;
            self.unknown(place, "host", name, fleet.hosts().iter().map(|host| host.name.as_str()));
        }
        found
    }

    /// Hosts named in a file, one a line.
    fn listed(&mut self, path: &Path, text: &str) -> BTreeSet<HostName> {
        let mut hosts = BTreeSet::new();
        for (at, line) in text.lines().enumerate() {
            let name = line.split('#').next().unwrap_or_default().trim();
            if !name.is_empty() {
                hosts.extend(self.matching_one(&format!("{} line {}", path.display(), at + 1), name));
            }
        }
        if hosts.is_empty() && self.errors.is_empty() {
            let problem = format!("--hosts-from: {} names no host", path.display());
            self.errors.push(Complaint::new(problem, "write one host or pattern a line"));
        }
        hosts
    }

    fn sharing<'n>(
        &mut self,
        option: &str,
        noun: &str,
        name: &str,
        known: impl Iterator<Item = &'n str>,
        is_in: impl Fn(usize) -> bool,
    ) -> BTreeSet<HostName> {
        let all = self.fleet.hosts();
        let found: BTreeSet<_> = (0..all.len()).filter(|at| is_in(*at)).map(|at| all[at].name.clone()).collect();
        if found.is_empty() {
            self.unknown(option, noun, name, known);
        }
        found
    }

    /// The instances that some ids or names mean.
    pub(crate) fn instances(&mut self, option: &str, names: &[String]) -> Vec<InstanceId> {
        names.iter().filter_map(|name| self.instance(option, name)).collect()
    }

    /// The one instance of this id or name; `option` says where that was written.
    pub(crate) fn instance(&mut self, option: &str, name: &str) -> Option<InstanceId> {
        let all = self.fleet.instances();
        if let Some(at) = self.fleet.instance_index(name) {
            return Some(all[at].id.clone());
        }
        let by_name = || {
            let mut called: HashMap<&str, Vec<&InstanceId>> = HashMap::new();
            all.iter().for_each(|instance| called.entry(&instance.name).or_default().push(&instance.id));
            called
        };
        let called = self.called.get_or_init(by_name).get(name).cloned().unwrap_or_default();
        match called[..] {
            [one] => return Some(one.clone()),
            [] => {
                let known = all.iter().flat_map(|instance| [instance.id.as_str(), &instance.name]);
                self.unknown(option, "instance", name, known);
            }
            _ => {
                let ids = crate::render::words::some_of(called.iter(), called.len());
                let problem = format!("{option}: {} instances are called {name}", called.len());
                self.errors.push(Complaint::new(problem, format!("give the id of one: {ids}")));
            }
        }
        None
    }

    fn unknown<'n>(&mut self, option: &str, noun: &str, name: &str, known: impl Iterator<Item = &'n str>) {
        self.compared += 1;
        let near = (self.compared <= COMPARED_MAX).then(|| nearest(name, known)).flatten();
        let remedy = near
            .map_or_else(|| format!("name {noun}s as the fleet document does"), |near| format!("did you mean {near}?"));
        self.errors.push(Complaint::new(format!("{option}: the fleet has no {noun} {name}"), remedy));
    }

    /// Adds an error found elsewhere in the same request.
    pub(crate) fn complain(&mut self, complaint: Complaint) {
        self.errors.push(complaint);
    }

    /// Fails if any name meant nothing, or anything else was wrong.
    pub(crate) fn finish(mut self) -> Result<(), Failure> {
        if !self.errors.is_empty() {
            self.failures.push(Failure::Input { of: "the request".to_owned(), errors: self.errors });
        }
        if self.failures.is_empty() { Ok(()) } else { Err(Failure::all(self.failures)) }
    }
}
