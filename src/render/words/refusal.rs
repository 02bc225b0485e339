//! Why an instance stays, and what can be done about it, in words. The operator's guide to refusals says more of each.

use std::collections::HashMap;

use decant_schema::id::{HostName, ResourceClass};
use decant_schema::plan::{Fix, Reason, Refusal, RuleName};

use super::{amount, amounts, class, count, mebibytes, seconds};

/// Instances that stay for the same reasons, in the same conflict, and would go by the same means, in the order of the plan.
pub(crate) struct Alike<'a> {
    /// The refusals; never none.
    pub(crate) all: Vec<&'a Refusal>,
}

impl<'a> Alike<'a> {
    /// Refusals as few entries as say all of them.
    pub(crate) fn of(refusals: &'a [Refusal]) -> Vec<Self> {
        let mut entries: Vec<Self> = Vec::new();
        let mut known: HashMap<String, usize> = HashMap::new();
        for refusal in refusals {
            let said = (&refusal.reasons, &refusal.conflict, &refusal.would_fit);
            let said = serde_json::to_string(&said).expect("what a plan says of a refusal is text and numbers");
            let at = *known.entry(said).or_insert(entries.len());
            match entries.get_mut(at) {
                Some(entry) => entry.all.push(refusal),
                None => entries.push(Self { all: vec![refusal] }),
            }
        }
        entries
    }

    /// What is said of each of them.
    pub(crate) fn said(&self) -> &'a Refusal {
        self.all[0]
    }

    /// The changes that were tried for some of them, and for how many each, the first tried first.
    pub(crate) fn fixes(&self) -> Vec<(&'a Fix, usize)> {
        let mut tried: Vec<(&Fix, usize)> = Vec::new();
        for fix in self.all.iter().flat_map(|refusal| &refusal.fixes) {
            match tried.iter_mut().find(|(known, _)| *known == fix) {
                Some((_, times)) => *times += 1,
                None => tried.push((fix, 1)),
            }
        }
        tried
    }

    /// How a change that was tried came out: for one of them alone, each time.
    pub(crate) fn outcome(&self, tried: usize) -> String {
        match (tried, self.all.len()) {
            (_, 1) => "planned again: by the planner's word it fits".to_owned(),
            (tried, all) if tried == all => {
                "planned again for each of them: by the planner's word that one fits".to_owned()
            }
            (tried, _) => format!("planned again for {tried} of them: by the planner's word that one fits"),
        }
    }
}

/// A reason as a sentence with its numbers.
pub(crate) fn reason(of: &Reason) -> String {
    let hosts = count(usize::try_from(of.hosts).unwrap_or(usize::MAX), "host");
    let is = if of.hosts == 1 { "is" } else { "are" };
    let has = if of.hosts == 1 { "has" } else { "have" };
    let subject = of.subject.as_deref();
    let named = |what: &str| subject.map_or_else(|| what.to_owned(), |name| format!("{what} {name}"));
    match of.rule {
        RuleName::Mobility => with_subject("it cannot be moved", subject),
        RuleName::Pinned => with_subject("it is pinned to its host", subject),
        RuleName::SourceDown => with_subject("its host is down and no other host reaches its disk", subject),
        RuleName::Evacuated if of.hosts == 0 => "there is no other host".to_owned(),
        RuleName::Evacuated => format!("{hosts} {is} to be emptied too"),
        RuleName::Excluded => format!("{hosts} {is} excluded by the request"),
        RuleName::HostDown => format!("{hosts} {is} down"),
        RuleName::HostDisabled => format!("{hosts} {is} disabled"),
        RuleName::Zone => format!("{hosts} {is} outside {}", named("zone")),
        RuleName::Aggregate => format!("{hosts} {is} not in {}", named("aggregate")),
        RuleName::RequiredTrait => format!("{hosts} {is} without {}", named("trait")),
        RuleName::ForbiddenTrait => format!("{hosts} {has} {}, which its flavor forbids", named("trait")),
        RuleName::Storage => format!("{hosts} {is} without access to {}", named("storage pool")),
        RuleName::HypervisorVersion => format!("{hosts} {has} an older hypervisor{}", in_brackets(subject)),
        RuleName::Unit => {
            let does = if of.hosts == 1 { "does" } else { "do" };
            format!("{hosts} {does} not take such an amount in one instance{}", unit(of).unwrap_or_default())
        }
        RuleName::Size => format!("{hosts} would be too small even when empty{}", numbers(of).unwrap_or_default()),
        RuleName::Capacity => format!("{hosts} {has} too little headroom{}", numbers(of).unwrap_or_default()),
        RuleName::Headroom => {
            format!("{hosts} {has} the room, but not beyond the headroom to keep{}", numbers(of).unwrap_or_default())
        }
        RuleName::Affinity => match group_numbers(of) {
            Some(numbers) => {
                format!("{hosts} {has} too little room for {} as a whole: {numbers}", named("its affinity group"))
            }
            None => format!("{hosts} {is} not where {} is", named("its affinity group")),
        },
        RuleName::AntiAffinity => {
            format!("{hosts} already {has} as many of {} as may be", named("its anti-affinity group"))
        }
        RuleName::Order => with_subject("there is room for it, but no order of moves reaches it", subject),
        RuleName::Together if of.hosts > 0 => {
            format!(
                "{hosts} {has} room for it alone, but not with the others that must move{}",
                numbers(of).unwrap_or_default()
            )
        }
        RuleName::Turn => {
            format!("{}{}", with_subject("its host has no turn", subject), shortage(of).unwrap_or_default())
        }
        RuleName::Together => with_subject("it fits alone, but not together with the others", subject),
        RuleName::Window => with_subject("there is no time left for it in the window", subject),
    }
}

fn with_subject(sentence: &str, subject: Option<&str>) -> String {
    subject.map_or_else(|| sentence.to_owned(), |subject| format!("{sentence}: {subject}"))
}

fn in_brackets(subject: Option<&str>) -> String {
    subject.map_or_else(String::new, |subject| format!(" ({subject})"))
}

/// `: needs 64 GiB of memory, the best has 60 GiB (cmp-07)`.
fn numbers(of: &Reason) -> Option<String> {
    let name = of.class.as_ref()?;
    let need = of.need.map(|need| format!("needs {} of {}", exact(name, need), class(name)));
    let holder = of.best_host.as_ref().map_or_else(String::new, |host| format!(" ({host})"));
    let best = of.best.map(|best| format!("the best has {}{holder}", exact(name, best)));
    let said: Vec<_> = need.into_iter().chain(best).collect();
    (!said.is_empty()).then(|| format!(": {}", said.join(", ")))
}

/// The figures of a reason that has all of them.
struct Figures<'a> {
    class: &'a ResourceClass,
    need: u64,
    best: u64,
    host: &'a HostName,
}

impl<'a> Figures<'a> {
    fn of(reason: &'a Reason) -> Option<Self> {
        let (class, host) = (reason.class.as_ref()?, reason.best_host.as_ref()?);
        Some(Self { class, need: reason.need?, best: reason.best?, host })
    }
}

/// `it needs 32 GiB of memory on one host, the best has 24 GiB (cmp-07)`.
fn group_numbers(of: &Reason) -> Option<String> {
    let Figures { class: name, need, best, host } = Figures::of(of)?;
    Some(format!(
        "it needs {} of {} on one host, the best has {} ({host})",
        exact(name, need),
        class(name),
        exact(name, best)
    ))
}

/// `: needs 8 vCPU, cmp-07 takes at most 4 of them`.
fn unit(of: &Reason) -> Option<String> {
    let Figures { class: name, need, best, host } = Figures::of(of)?;
    let takes = match best {
        0 => "takes none".to_owned(),
        _ if best < need => format!("takes at most {} of that", exact(name, best)),
        _ => format!("takes at least {}", exact(name, best)),
    };
    Some(format!(": needs {} {}, {host} {takes}", exact(name, need), class(name)))
}

/// `: 240 GiB of memory needed, 200 GiB left if cmp-07 fails as well`.
fn shortage(of: &Reason) -> Option<String> {
    let Figures { class: name, need, best: left, host } = Figures::of(of)?;
    Some(format!(
        ": {} of {} needed, {} left if {host} fails as well",
        exact(name, need),
        class(name),
        exact(name, left)
    ))
}

/// An amount to the last unit: a near miss must not read as a fit.
fn exact(name: &ResourceClass, count: u64) -> String {
    let rounded = name.as_str() == ResourceClass::MEMORY_MB && !count.is_multiple_of(1024);
    if rounded { format!("{} MiB", super::grouped(count)) } else { amount(name, count) }
}

/// A rule's name as the document writes it.
pub(crate) fn rule(name: RuleName) -> String {
    let written = serde_json::to_value(name).expect("a rule's name is a plain word");
    written.as_str().expect("a rule's name is a plain word").to_owned()
}

/// The rules that keep an instance, each once, in the order they are counted.
pub(crate) fn rules(of: &Refusal) -> Vec<RuleName> {
    let mut rules: Vec<_> = of.reasons.iter().map(|reason| reason.rule).collect();
    rules.dedup();
    rules
}

/// What an operator can do where this rule is what keeps an instance.
pub(crate) fn advice(rule: RuleName) -> &'static str {
    match rule {
        RuleName::Mobility => "stop it by hand or mark it cold-movable in the fleet",
        RuleName::Pinned => "unpin it in the fleet, or leave out --pin",
        RuleName::SourceDown => "bring the host back, or restore the instance from a backup",
        RuleName::Evacuated => "empty fewer hosts at a time",
        RuleName::Excluded => "exclude fewer hosts",
        RuleName::HostDown => "bring hosts up that could take it",
        RuleName::HostDisabled => "enable hosts that could take it",
        RuleName::Zone => "free room in its zone, or lift the zone from the instance",
        RuleName::Aggregate => "add a host to the aggregate, or choose a flavor that does not require it",
        RuleName::RequiredTrait => "free room on hosts with the trait, or choose a flavor that does not require it",
        RuleName::ForbiddenTrait => "free room on hosts without the trait, or choose a flavor that does not forbid it",
        RuleName::Storage => "mount the pool on another host",
        RuleName::HypervisorVersion => "upgrade a target first, or move it cold",
        RuleName::Unit => "choose a flavor whose amounts the hosts take",
        RuleName::Size => "add a larger host, or choose a smaller flavor",
        RuleName::Capacity => "free this much on one host, add a host, or allow others to move",
        RuleName::Headroom => "keep less headroom",
        RuleName::Affinity => "move the whole group, or relax it",
        RuleName::AntiAffinity => "add a host for the group, or allow more of it on each",
        RuleName::Order => "free a little more room, so that moves can pass each other",
        RuleName::Turn => "do what the reason names; the next plan gives the host its turn",
        RuleName::Together => "free room for one of them, or empty fewer hosts at a time",
        RuleName::Window => "make the window longer",
    }
}

/// `, while the affinity of db holds and h4 takes nothing new`: the rules of a conflict, if there are any.
pub(crate) fn conflict_rules(rules: &[Reason]) -> String {
    let said = |rule: &Reason| {
        let name = rule.subject.as_deref().unwrap_or_default();
        match rule.rule {
            RuleName::Pinned => format!("{name} is pinned"),
            RuleName::Headroom => format!("{name} is kept"),
            RuleName::Excluded => format!("{name} is excluded"),
            RuleName::HostDisabled => format!("{name} takes nothing new"),
            RuleName::Affinity => format!("the affinity of {name} holds"),
            RuleName::AntiAffinity => format!("the anti-affinity of {name} holds"),
            _ => name.to_owned(),
        }
    };
    let rules: Vec<String> = rules.iter().map(said).collect();
    if rules.is_empty() { String::new() } else { format!(", while {}", rules.join(" and ")) }
}

/// What binds an instance to some hosts, by its name.
pub(crate) fn binding(rule: RuleName, subject: &str) -> String {
    match rule {
        RuleName::Aggregate => format!("aggregate {subject}"),
        RuleName::RequiredTrait => format!("the required trait {subject}"),
        RuleName::ForbiddenTrait => format!("the forbidden trait {subject}"),
        _ => format!("zone {subject}"),
    }
}

/// A change that would let it move.
pub(crate) fn fix(of: &Fix) -> String {
    match of {
        Fix::AllowDisplacement { displaced_mb } => {
            format!("let others make room: {} of memory would move", mebibytes(displaced_mb.count()))
        }
        Fix::Unpin { instance } => format!("unpin {instance}"),
        Fix::AddHost { like } => format!("add one more host like {like}"),
        Fix::FreeRoom { host, amounts: room } => format!("free {} on {host}", amounts(room)),
        Fix::RelaxGroup { group } => format!("relax server group {group}"),
        Fix::LiftBinding { rule, subject, instances } => {
            let names = super::some_of(instances.iter(), instances.len());
            let go = if instances.len() == 1 { "it goes then" } else { "all of them go then" };
            format!("lift {} from {names}: {go}", binding(*rule, subject))
        }
        Fix::EmptyLater { hosts } => {
            format!("empty {} another time", super::some_of(hosts.iter(), hosts.len()))
        }
        Fix::LowerHeadroom { percent } => format!("keep {percent} % headroom instead"),
        Fix::AdmitHost { host } => format!("let {host} receive again"),
        Fix::LongerWindow { window_s } => format!("make the window {} long", seconds(*window_s)),
        Fix::FewerSpareHosts { spare_hosts } => format!("keep {spare_hosts} spare hosts"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(instance: &str, hosts: u64, fixes: Vec<Fix>) -> Refusal {
        let reason = serde_json::from_value(serde_json::json!({ "rule": "zone", "hosts": hosts, "subject": "az1" }));
        let reasons = vec![reason.expect("it is a reason")];
        Refusal { instance: instance.into(), reasons, would_fit: None, conflict: None, fixes }
    }

    #[test]
    fn what_is_said_of_many_is_said_once_with_the_changes_tried_for_any_of_them() {
        let add = || Fix::AddHost { like: "h1".into() };
        let refusals = [
            refusal("a", 3, vec![add()]),
            refusal("b", 2, vec![]),
            refusal("c", 3, vec![add()]),
            refusal("d", 3, vec![Fix::AdmitHost { host: "h2".into() }]),
        ];
        let entries = Alike::of(&refusals);
        let names: Vec<Vec<&str>> =
            entries.iter().map(|entry| entry.all.iter().map(|one| one.instance.as_str()).collect()).collect();
        assert_eq!(names, [vec!["a", "c", "d"], vec!["b"]]);
        let tried: Vec<usize> = entries[0].fixes().into_iter().map(|(_, times)| times).collect();
        assert_eq!(tried, [2, 1]);
        assert!(entries[0].outcome(2).contains("for 2 of them"));
        assert!(entries[0].outcome(3).contains("for each of them"));
        assert_eq!(entries[1].outcome(1), "planned again: by the planner's word it fits");
    }
}
