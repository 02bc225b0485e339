//! Changes that a refusal asks about: what if this rule were relaxed, that room were there?
//!
//! Each is made to the fleet and the request themselves, so that what is planned next is an ordinary problem.

use std::sync::Arc;

use decant_schema::fleet::{Flavor, Fleet, FleetDocument, GroupPolicy, Host, Mobility, Resources};
use decant_schema::id::{FlavorName, HostName};
use decant_schema::plan::{Fix, Reason, RuleName};
use decant_schema::request::{Request, RequestKind};
use decant_schema::units::mib;

use crate::problem::{GroupIdx, HostIdx, InstanceIdx, Problem};
use crate::refusal;
use crate::rules::HOST_RULES;

use super::view::want;

/// A change of the fleet or of the request.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Change {
    AllowDisplacement,
    Unpin(InstanceIdx),
    KeepHeadroom(f64),
    Admit(HostIdx),
    RelaxGroup(GroupIdx),
    LiftBinding(RuleName, Vec<InstanceIdx>),
    EmptyLater(Vec<HostIdx>),
    FreeRoom(HostIdx, Resources),
    AddHost(HostIdx),
}

impl Change {
    /// The problem with this changed. Positions stay what they were; a new host comes last.
    pub(super) fn applied(&self, problem: &Problem) -> Problem {
        match self {
            Self::FreeRoom(host, amounts) => with_room(problem, *host, amounts),
            _ => Self::all_applied(std::slice::from_ref(self), problem),
        }
    }

    /// The problem with all of these changes to the fleet and the request.
    pub(super) fn all_applied(changes: &[Self], problem: &Problem) -> Problem {
        let mut document = problem.fleet.document().clone();
        let mut request = problem.request.clone();
        changes.iter().for_each(|change| change.make(&mut document, &mut request));
        match Fleet::from_document(document) {
            Ok(fleet) => Problem::new(Arc::new(fleet), request),
            Err(_) => problem.clone(),
        }
    }

    fn make(&self, document: &mut FleetDocument, request: &mut Request) {
        match self {
            Self::AllowDisplacement => request.options.no_displace = false,
            Self::KeepHeadroom(percent) => request.options.headroom_percent = *percent,
            Self::Unpin(instance) => {
                let instance = &mut document.instances[instance.at()];
                instance.pinned = false;
                request.options.pins.remove(instance.id.as_str());
            }
            Self::Admit(host) => {
                let host = &mut document.hosts[host.at()];
                host.enabled = true;
                request.options.exclude_hosts.remove(host.name.as_str());
            }
            Self::RelaxGroup(group) => {
                let policy = &mut document.server_groups[group.at()].policy;
                *policy = match *policy {
                    GroupPolicy::Affinity | GroupPolicy::SoftAffinity => GroupPolicy::SoftAffinity,
                    GroupPolicy::AntiAffinity | GroupPolicy::SoftAntiAffinity => GroupPolicy::SoftAntiAffinity,
                };
            }
            Self::LiftBinding(rule, instances) => instances.iter().for_each(|at| unbind(document, *rule, *at)),
            Self::EmptyLater(later) => {
                if let RequestKind::Evacuate { hosts } = &mut request.kind {
                    later.iter().for_each(|host| _ = hosts.remove(document.hosts[host.at()].name.as_str()));
                }
            }
            // Nothing of the document says that something else leaves.
            Self::FreeRoom(..) => {}
            Self::AddHost(like) => {
                let last = document.hosts.last().map_or("", |host| host.name.as_str());
                let name = HostName::new(format!("{last}~"));
                let twin = document.hosts[like.at()].clone();
                document.hosts.push(Host { name, other_usage: Resources::new(), enabled: true, up: true, ..twin });
            }
        }
    }

    /// As a fix, with what it costs where that is known only now.
    pub(super) fn fix(&self, problem: &Problem, displaced_mb: u64) -> Fix {
        let host = |at: &HostIdx| problem.fleet.hosts()[at.at()].name.clone();
        let instance = |at: &InstanceIdx| problem.fleet.instances()[at.at()].id.clone();
        match self {
            Self::AllowDisplacement => Fix::AllowDisplacement { displaced_mb: mib(displaced_mb) },
            Self::Unpin(at) => Fix::Unpin { instance: instance(at) },
            Self::LiftBinding(rule, instances) => Fix::LiftBinding {
                rule: *rule,
                subject: instances.first().and_then(|at| binding(problem, *rule, *at)).unwrap_or_default(),
                instances: instances.iter().map(instance).collect(),
            },
            Self::EmptyLater(hosts) => Fix::EmptyLater { hosts: hosts.iter().map(host).collect() },
            Self::KeepHeadroom(percent) => Fix::LowerHeadroom { percent: *percent },
            Self::Admit(at) => Fix::AdmitHost { host: host(at) },
            Self::RelaxGroup(at) => Fix::RelaxGroup { group: problem.fleet.server_groups()[at.at()].name.to_string() },
            Self::FreeRoom(at, amounts) => Fix::FreeRoom { host: host(at), amounts: amounts.clone() },
            Self::AddHost(like) => Fix::AddHost { like: host(like) },
        }
    }

    /// As a rule of a conflict, where it relaxes one.
    pub(super) fn rule(&self, problem: &Problem) -> Option<Reason> {
        let (rule, subject) = match self {
            Self::AllowDisplacement => (RuleName::Together, "no third party may move".to_owned()),
            Self::Unpin(at) => (RuleName::Pinned, problem.fleet.instances()[at.at()].id.to_string()),
            Self::KeepHeadroom(_) => {
                (RuleName::Headroom, format!("{} % of each host", problem.request.options.headroom_percent))
            }
            Self::Admit(at) => {
                let host = &problem.fleet.hosts()[at.at()];
                let rule = if host.enabled { RuleName::Excluded } else { RuleName::HostDisabled };
                (rule, host.name.to_string())
            }
            Self::RelaxGroup(at) => {
                let group = &problem.fleet.server_groups()[at.at()];
                let affinity = group.policy == GroupPolicy::Affinity;
                (if affinity { RuleName::Affinity } else { RuleName::AntiAffinity }, group.name.to_string())
            }
            Self::LiftBinding(..) | Self::EmptyLater(_) | Self::FreeRoom(..) | Self::AddHost(_) => return None,
        };
        Some(Reason { rule, subject: Some(subject), ..refusal::without_order() })
    }
}

/// What a rule names that binds an instance to some hosts; `None` where it binds it to none.
pub(super) fn binding(problem: &Problem, rule: RuleName, instance: InstanceIdx) -> Option<String> {
    let binds =
        matches!(rule, RuleName::Zone | RuleName::Aggregate | RuleName::RequiredTrait | RuleName::ForbiddenTrait);
    let rule = HOST_RULES.iter().find(|known| binds && known.name() == rule)?;
    rule.subject(&want(problem, instance))
}

/// Lifts what binds an instance: its zone, or what its flavor requires or forbids.
fn unbind(document: &mut FleetDocument, rule: RuleName, instance: InstanceIdx) {
    let instance = &mut document.instances[instance.at()];
    if rule == RuleName::Zone {
        instance.zone = None;
        return;
    }
    let Some(flavor) = document.flavors.iter().find(|flavor| flavor.name == instance.flavor) else { return };
    let mut flavor = Flavor { name: FlavorName::new(format!("{}~{rule:?}", flavor.name)), ..flavor.clone() };
    match rule {
        RuleName::Aggregate => flavor.required_aggregates.clear(),
        RuleName::RequiredTrait => flavor.required_traits.clear(),
        _ => flavor.forbidden_traits.clear(),
    }
    instance.flavor = flavor.name.clone();
    if document.flavors.iter().all(|known| known.name != flavor.name) {
        document.flavors.push(flavor);
    }
}

/// The same with this much more room on a host, as if something the fleet does not list had left it.
fn with_room(problem: &Problem, host: HostIdx, amounts: &Resources) -> Problem {
    let mut problem = problem.clone();
    for (class, amount) in amounts {
        if let Some(at) = problem.classes.iter().position(|known| known == class) {
            problem.hosts[host.at()].free[at] += i64::try_from(*amount).unwrap_or(0);
        }
    }
    problem
}

/// The rules that could be relaxed for one instance, the cheapest first. Only a few hosts of each sort are named: those
/// with the most memory free.
pub(super) fn relaxations(problem: &Problem, instance: InstanceIdx) -> Vec<Change> {
    let options = &problem.request.options;
    let mut changes = Vec::new();
    if options.no_displace {
        changes.push(Change::AllowDisplacement);
    }
    if is_pinned(problem, instance) {
        changes.push(Change::Unpin(instance));
    }
    changes.extend(
        [0.75, 0.5, 0.25, 0.0]
            .into_iter()
            .filter(|_| options.headroom_percent > 0.0)
            .map(|share| Change::KeepHeadroom((options.headroom_percent * share).floor())),
    );
    changes.extend(closed_hosts(problem, instance).into_iter().map(Change::Admit));
    let hard = |group: &&GroupIdx| {
        matches!(problem.groups[group.at()].policy, GroupPolicy::Affinity | GroupPolicy::AntiAffinity)
    };
    changes.extend(problem.instances[instance.at()].groups.iter().filter(hard).map(|group| Change::RelaxGroup(*group)));
    changes
}

/// Whether it could move if it were unpinned.
pub(super) fn is_pinned(problem: &Problem, instance: InstanceIdx) -> bool {
    let vm = &problem.fleet.instances()[instance.at()];
    vm.mobility != Mobility::None && (vm.pinned || problem.request.options.pins.contains(&vm.id))
}

/// Hosts that are up and could take the instance, but are disabled or excluded.
fn closed_hosts(problem: &Problem, instance: InstanceIdx) -> Vec<HostIdx> {
    const HOSTS_MAX: usize = 3;
    let evacuated = |at: &HostIdx| problem.hosts[at.at()].evacuated;
    let need = &problem.kind(instance).need;
    let mut hosts: Vec<HostIdx> = (0..problem.hosts.len())
        .map(HostIdx::new)
        .filter(|at| problem.hosts[at.at()].up && !problem.hosts[at.at()].receives && !evacuated(at))
        .filter(|at| need.iter().zip(&problem.hosts[at.at()].free).all(|(need, free)| *need == 0 || need <= free))
        .collect();
    let memory = |at: &HostIdx| problem.memory_class.map_or(0, |class| problem.hosts[at.at()].free[class]);
    hosts.sort_by_key(|at| (std::cmp::Reverse(memory(at)), *at));
    hosts.truncate(HOSTS_MAX);
    hosts
}
