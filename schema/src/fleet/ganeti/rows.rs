//! The lines of the text format as typed rows; everything malformed is an error at its field.

use std::collections::HashMap;

use crate::finding::{Findings, path_to, shown};
use crate::fleet::InstanceState;
use crate::nearest::Suggestions;
use crate::units::AMOUNT_MAX;

/// A whole file.
pub(super) struct Cluster<'a> {
    pub(super) nodes: Vec<Node<'a>>,
    pub(super) instances: Vec<Instance<'a>>,
    pub(super) tags: Vec<&'a str>,
    /// Virtual processors to promise per processor, by group name; under "" for groups without a policy.
    pub(super) vcpu_ratios: HashMap<&'a str, f64>,
}

pub(super) struct Node<'a> {
    pub(super) name: &'a str,
    pub(super) group: &'a str,
    pub(super) offline: bool,
    pub(super) memory_total: u64,
    pub(super) memory_node: u64,
    pub(super) memory_free: u64,
    pub(super) disk_total: u64,
    pub(super) disk_free: u64,
    pub(super) cpus: u64,
    /// Processors the node itself uses.
    pub(super) cpus_node: u64,
    pub(super) exclusive_storage: bool,
}

pub(super) struct Instance<'a> {
    pub(super) name: &'a str,
    pub(super) memory: u64,
    pub(super) disk: u64,
    pub(super) vcpus: u64,
    pub(super) state: InstanceState,
    /// Position of its primary node.
    pub(super) primary: usize,
    /// Where its disk is.
    pub(super) disk_at: DiskAt<'a>,
    pub(super) tags: Vec<&'a str>,
}

pub(super) enum DiskAt<'a> {
    /// On its node alone.
    Local,
    /// On its node and on the one at this position.
    Mirror(usize),
    /// On what all nodes reach, by this template.
    Shared(&'a str),
}

/// What Ganeti promises of a processor where no policy says otherwise.
pub(super) const VCPU_RATIO_DEFAULT: f64 = 4.0;

const TEMPLATES: [&str; 9] = ["diskless", "file", "sharedfile", "plain", "blockdev", "drbd", "rbd", "ext", "gluster"];
const ALLOC_POLICIES: [&str; 3] = ["preferred", "last_resort", "unallocable"];
const STATUSES: [(&str, InstanceState); 9] = [
    ("running", InstanceState::Active),
    ("ERROR_up", InstanceState::Active),
    ("ADMIN_down", InstanceState::Stopped),
    ("ADMIN_offline", InstanceState::Stopped),
    ("USER_down", InstanceState::Stopped),
    ("ERROR_down", InstanceState::Error),
    ("ERROR_nodedown", InstanceState::Error),
    ("ERROR_nodeoffline", InstanceState::Error),
    ("ERROR_wrongnode", InstanceState::Error),
];

/// Reads all sections; `None` where the file has not got them.
pub(super) fn read<'a>(text: &'a str, errors: &mut Findings) -> Option<Cluster<'a>> {
    let mut reader = Reader { text, errors, suggestions: Suggestions::default() };
    let [group_lines, node_lines, instance_lines, tags, policy_lines] = reader.sections()?;
    let groups = reader.groups(&group_lines);
    let nodes = reader.nodes(&node_lines, &groups);
    let positions: HashMap<&str, usize> =
        node_lines.iter().enumerate().map(|(at, line)| (line.split('|').next().unwrap_or_default(), at)).collect();
    let instances = reader.instances(&instance_lines, &positions);
    let vcpu_ratios = reader.policies(&policy_lines, &groups);
    Some(Cluster { nodes, instances, tags, vcpu_ratios })
}

struct Reader<'a, 'e> {
    text: &'a str,
    errors: &'e mut Findings,
    suggestions: Suggestions,
}

impl<'a> Reader<'a, '_> {
    /// An error at a part of the text.
    fn error(&mut self, part: &str, problem: String, remedy: impl Into<String>) {
        let offset = part.as_ptr().addr() - self.text.as_ptr().addr();
        self.errors.add_at(path_to![], offset, problem, remedy.into());
    }

    /// Groups, nodes, instances, cluster tags and policies, the last one optional.
    fn sections(&mut self) -> Option<[Vec<&'a str>; 5]> {
        let lines: Vec<&str> = self.text.lines().collect();
        let mut sections: Vec<Vec<&str>> = lines.split(|line| line.is_empty()).map(<[&str]>::to_vec).collect();
        while sections.len() > 5 && sections.last().is_some_and(Vec::is_empty) {
            sections.pop();
        }
        if sections.len() == 4 {
            sections.push(Vec::new());
        }
        let count = sections.len();
        let sections = sections.try_into().ok();
        if sections.is_none() {
            let problem = format!("{count} sections instead of 4 or 5");
            let remedy = "give groups, nodes, instances, cluster tags and policies, with one blank line between them";
            self.errors.add(path_to![], problem, remedy);
        }
        sections
    }

    /// The fields of a line, which must be at least so many; those left out at the end are empty.
    fn fields<const N: usize>(&mut self, line: &'a str, what: &str, least: usize) -> Option<[&'a str; N]> {
        let end = &line[line.len()..];
        let mut fields = [end; N];
        let mut count = 0;
        for (at, field) in line.split('|').enumerate() {
            count += 1;
            if at < N {
                fields[at] = field;
            }
        }
        if count < least || fields[0].is_empty() && what != "policy" {
            let problem = format!("a {what} of {count} fields, of which at least {least} and a name are needed");
            self.error(line, problem, format!("complete the {what} or remove the line"));
            return None;
        }
        Some(fields)
    }

    fn number(&mut self, field: &str, what: &str) -> Option<u64> {
        // Ganeti writes some totals as floating point numbers, always whole ones.
        let number = field.parse().ok().or_else(|| field.strip_suffix(".0").and_then(|whole| whole.parse().ok()));
        match number {
            Some(number) if number <= AMOUNT_MAX => Some(number),
            _ => {
                let problem = format!("{what} is {}", shown(field));
                self.error(field, problem, "give a whole number from 0 to 2^53");
                None
            }
        }
    }

    fn optional_number(&mut self, field: &str, what: &str, default: u64) -> Option<u64> {
        if field.is_empty() { Some(default) } else { self.number(field, what) }
    }

    /// One of certain words.
    fn word<T: Copy>(&mut self, field: &str, what: &str, known: &[(&str, T)]) -> Option<T> {
        let found = known.iter().find(|(word, _)| *word == field).map(|(_, meaning)| *meaning);
        if found.is_none() {
            let words: Vec<&str> = known.iter().map(|(word, _)| *word).collect();
            self.unknown(field, what, &words, format!("give {}", words.join(", ")));
        }
        found
    }

    fn unknown(&mut self, field: &str, what: &str, known: &[&str], otherwise: String) {
        let meant = self.suggestions.nearest(field, known.iter().copied());
        let remedy = meant.map_or(otherwise, |meant| format!("did you mean {}?", shown(meant)));
        self.error(field, format!("{what} is {}", shown(field)), remedy);
    }

    /// Notes a name; one that was there already is an error.
    fn unique(&mut self, seen: &mut HashMap<&'a str, &'a str>, name: &'a str, what: &str) {
        if let Some(first) = seen.insert(name, name) {
            let before = &self.text[..first.as_ptr().addr() - self.text.as_ptr().addr()];
            let line = before.lines().count() + usize::from(before.is_empty() || before.ends_with('\n'));
            let problem = format!("the {what} {} is already in line {line}", shown(name));
            self.error(name, problem, format!("give each {what} a name of its own"));
        }
    }

    /// The name of every group, by its id.
    fn groups(&mut self, lines: &[&'a str]) -> HashMap<&'a str, &'a str> {
        let policies = ALLOC_POLICIES.map(|policy| (policy, ()));
        let (mut groups, mut names, mut ids) = (HashMap::new(), HashMap::new(), HashMap::new());
        for line in lines {
            let Some([name, id, policy]) = self.fields(line, "group", 4) else { continue };
            self.word(policy, "the allocation policy", &policies);
            self.unique(&mut names, name, "group");
            self.unique(&mut ids, id, "group id");
            groups.insert(id, name);
        }
        groups
    }

    fn nodes(&mut self, lines: &[&'a str], groups: &HashMap<&'a str, &'a str>) -> Vec<Node<'a>> {
        let mut seen = HashMap::new();
        let mut nodes = Vec::new();
        for line in lines {
            let Some(fields) = self.fields::<14>(line, "node", 9) else { continue };
            self.unique(&mut seen, fields[0], "node");
            nodes.extend(self.node(fields, groups));
        }
        nodes
    }

    fn node(&mut self, fields: [&'a str; 14], groups: &HashMap<&'a str, &'a str>) -> Option<Node<'a>> {
        let [name, memory_total, memory_node, memory_free, disk_total, disk_free, cpus, role, group, ..] = fields;
        let [.., exclusive, _free_spindles, cpus_node] = fields;
        let figures = [memory_total, memory_node, memory_free, disk_total, disk_free, cpus];
        // A node that did not answer has question marks, and counts as offline.
        let silent = figures.contains(&"?");
        let whats = ["total memory", "node memory", "free memory", "total disk", "free disk", "processors"];
        let mut numbers = [Some(0); 6];
        if !silent {
            for ((number, field), what) in numbers.iter_mut().zip(figures).zip(whats) {
                *number = self.number(field, what);
            }
        }
        let offline = self.word(role, "the offline flag", &[("Y", true), ("N", false), ("M", false)]);
        let group_name = groups.get(group).copied();
        if group_name.is_none() {
            let known: Vec<&str> = groups.keys().copied().collect();
            self.unknown(group, "the group id", &known, "give the id of a group of this file".to_owned());
        }
        let exclusive_storage = match exclusive {
            "" => Some(false),
            flag => self.word(flag, "the exclusive storage flag", &[("Y", true), ("N", false)]),
        };
        let cpus_node = self.optional_number(cpus_node, "processors of the node itself", 1);
        let [memory_total, memory_node, memory_free, disk_total, disk_free, cpus] = numbers;
        Some(Node {
            name,
            group: group_name?,
            offline: offline? || silent,
            memory_total: memory_total?,
            memory_node: memory_node?,
            memory_free: memory_free?,
            disk_total: disk_total?,
            disk_free: disk_free?,
            cpus: cpus?,
            cpus_node: cpus_node?,
            exclusive_storage: exclusive_storage?,
        })
    }

    fn instances(&mut self, lines: &[&'a str], nodes: &HashMap<&'a str, usize>) -> Vec<Instance<'a>> {
        let mut instances = Vec::new();
        for line in lines {
            let Some(fields) = self.fields::<13>(line, "instance", 10) else { continue };
            instances.extend(self.instance(fields, nodes));
        }
        instances
    }

    fn instance(&mut self, fields: [&'a str; 13], nodes: &HashMap<&'a str, usize>) -> Option<Instance<'a>> {
        let [name, memory, disk, vcpus, status, balanced, primary, secondary, template, tags, ..] = fields;
        let [.., forthcoming] = fields;
        let yes_no = [("Y", true), ("N", false)];
        let memory = self.number(memory, "memory");
        let disk = self.number(disk, "disk");
        let vcpus = self.number(vcpus, "virtual processors");
        let state = self.word(status, "the status", &STATUSES);
        let balanced = self.word(balanced, "the auto balance flag", &yes_no);
        let primary = self.node_at(primary, "the primary node", nodes);
        let disk_at = self.disk_at(template, primary, secondary, nodes);
        let forthcoming = if forthcoming.is_empty() { "N" } else { forthcoming };
        let forthcoming = self.word(forthcoming, "the forthcoming flag", &yes_no);
        // Auto balance says whether its node's memory counts for N+1, nothing about moving.
        balanced?;
        Some(Instance {
            name,
            memory: memory?,
            disk: disk?,
            vcpus: vcpus?,
            state: if forthcoming? { InstanceState::Stopped } else { state? },
            primary: primary?,
            disk_at: disk_at?,
            tags: tags.split(',').filter(|tag| !tag.is_empty()).collect(),
        })
    }

    fn node_at(&mut self, name: &str, what: &str, nodes: &HashMap<&'a str, usize>) -> Option<usize> {
        let found = nodes.get(name).copied();
        if found.is_none() {
            let known: Vec<&str> = nodes.keys().copied().collect();
            self.unknown(name, what, &known, "give the name of a node of this file".to_owned());
        }
        found
    }

    fn disk_at(
        &mut self,
        template: &'a str,
        primary: Option<usize>,
        secondary: &str,
        nodes: &HashMap<&'a str, usize>,
    ) -> Option<DiskAt<'a>> {
        let known = TEMPLATES.map(|template| (template, ()));
        self.word(template, "the disk template", &known)?;
        let secondary_at = match secondary {
            "" => None,
            name => Some(self.node_at(name, "the secondary node", nodes)?),
        };
        match (template, secondary_at) {
            ("plain" | "file", _) => Some(DiskAt::Local),
            ("drbd", Some(at)) if Some(at) != primary => Some(DiskAt::Mirror(at)),
            ("drbd", _) => {
                let problem = "a DRBD disk without a second node".to_owned();
                self.error(secondary, problem, "give a secondary node other than the primary");
                None
            }
            (shared, _) => Some(DiskAt::Shared(shared)),
        }
    }

    /// The processor ratio of every policy, by its group's name.
    fn policies(&mut self, lines: &[&'a str], groups: &HashMap<&'a str, &'a str>) -> HashMap<&'a str, f64> {
        let mut ratios = HashMap::new();
        for line in lines {
            let Some([owner, standard, limits, templates, ratio, spindle_ratio]) = self.fields(line, "policy", 6)
            else {
                continue;
            };
            if !owner.is_empty() && !groups.values().any(|name| *name == owner) {
                let known: Vec<&str> = groups.values().copied().collect();
                self.unknown(owner, "the policy's group", &known, "give the name of a group of this file".to_owned());
            }
            for specification in [standard].into_iter().chain(limits.split(';')) {
                self.specification(specification);
            }
            if limits.split(';').count() % 2 == 1 {
                self.error(limits, "a least size without a greatest".to_owned(), "give sizes in pairs");
            }
            for template in templates.split(',').filter(|template| !template.is_empty()) {
                self.word(template, "the disk template", &TEMPLATES.map(|template| (template, ())));
            }
            self.ratio(spindle_ratio);
            ratios.extend(self.ratio(ratio).map(|ratio| (owner, ratio)));
        }
        ratios
    }

    /// Memory, processors, disk, number of disks, of networks, and spindles.
    fn specification(&mut self, specification: &str) {
        let count = specification.split(',').count();
        if count < 6 {
            let problem = format!("a size of {count} numbers");
            self.error(specification, problem, "give memory, processors, disk, disks, networks and spindles");
        }
        for number in specification.split(',').take(6) {
            self.number(number, "a part of the size");
        }
    }

    fn ratio(&mut self, field: &str) -> Option<f64> {
        let ratio = field.parse::<f64>().ok().filter(|ratio| *ratio > 0.0 && *ratio <= 1e6);
        if ratio.is_none() {
            self.error(field, format!("the ratio is {}", shown(field)), "give a number above 0, at most 1000000");
        }
        ratio
    }
}
