//! The rows and columns of the exact model.
//!
//! ```text
//! per type             Σ arrivals − Σ departures + refused = waiting       nobody is lost
//! per host and class   Σ need × arrivals − Σ claim × departures + growth ≤ room
//!                      (a host over its capacity at the start: only if something of that class arrives)
//! per anti-affinity group and host    members who stay + arrivals ≤ limit
//! per affinity group   who moves ends with another member; no more hosts than at the start
//! ```

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use decant_schema::fleet::GroupPolicy;

use crate::mip::{Model as Mip, Position};
use crate::problem::{GroupIdx, HostIdx, InstanceIdx, KindIdx, Task};

use super::super::direct::weighted;
use super::super::tally::Tally;
use super::{Goal, Scope};

/// Instances alike in every rule, groups included.
pub(super) struct Type {
    /// Those off their hosts, or on evacuated ones, by importance.
    pub(super) waiting: Vec<InstanceIdx>,
    /// Whether those that wait may be refused.
    refusable: bool,
    /// Where others of the type are that may depart, and the column that counts how many do.
    residents: Vec<(HostIdx, Vec<InstanceIdx>, Position)>,
    /// Columns that count arrivals.
    arrivals: Vec<(HostIdx, Position)>,
    /// Columns that count the refused: those alike in every rule may differ in their priority.
    refused: Vec<Refusals>,
    /// Column that says it is resized in place.
    in_place: Option<(HostIdx, Position)>,
}

/// A column that counts the refused of one type and priority.
#[derive(Clone, Copy)]
struct Refusals {
    column: Position,
    /// What each costs where their number is the objective, or the room they need.
    cost: f64,
    priority: i32,
}

/// The model and what its columns mean.
pub(super) struct Built {
    pub(super) mip: Mip,
    pub(super) types: Vec<Type>,
    /// What displacing costs, by column, in steps.
    memory: Vec<(Position, f64)>,
}

/// How many of a column, as whole as the solver's tolerance lets it be.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "numbers of instances")]
fn count(values: &[f64], column: Position) -> usize {
    values[column].round().max(0.0) as usize
}

impl Type {
    /// Those of the residents that depart.
    pub(super) fn departing(&self, values: &[f64]) -> Vec<InstanceIdx> {
        let of = |(_, there, column): &(HostIdx, Vec<InstanceIdx>, Position)| there[..count(values, *column)].to_vec();
        self.residents.iter().flat_map(of).collect()
    }

    /// The hosts that receive, one entry an arrival.
    pub(super) fn targets(&self, values: &[f64]) -> Vec<HostIdx> {
        let of = |(host, column): &(HostIdx, Position)| std::iter::repeat_n(*host, count(values, *column));
        self.arrivals.iter().flat_map(of).collect()
    }

    /// The columns in a placement.
    fn values_in(&self, tally: &Tally<'_>) -> BTreeMap<Position, usize> {
        let mut values: BTreeMap<Position, usize> = BTreeMap::new();
        let mut counts = |column: Position, counts: bool| *values.entry(column).or_default() += usize::from(counts);
        let gone_to = |instance: &InstanceIdx, host: HostIdx| tally.goes_to(*instance) == Some(host);
        let residents = || self.residents.iter().flat_map(|(_, there, _)| there);
        for (home, there, column) in &self.residents {
            there.iter().for_each(|at| counts(*column, tally.is_moved(*at) && !gone_to(at, *home)));
        }
        for (host, column) in &self.arrivals {
            self.waiting.iter().chain(residents()).for_each(|at| counts(*column, gone_to(at, *host)));
        }
        if let Some((home, column)) = self.in_place {
            self.waiting.iter().chain(residents()).for_each(|at| counts(column, gone_to(at, home)));
        }
        let facts = |at: &InstanceIdx| &tally.ground.problem.instances[at.at()];
        for refused in &self.refused {
            let all = self.waiting.iter().chain(residents());
            let asked = all.filter(|at| facts(at).task != Task::MayMove && facts(at).priority == refused.priority);
            asked.for_each(|at| counts(refused.column, !tally.is_moved(*at)));
        }
        values
    }

    /// Who is resized where it is.
    pub(super) fn resized_in_place(&self, values: &[f64]) -> Option<(InstanceIdx, HostIdx)> {
        let (host, _) = self.in_place.filter(|(_, column)| count(values, *column) > 0)?;
        self.residents
            .first()
            .and_then(|(_, there, _)| there.first())
            .map(|instance| (*instance, host))
            .or_else(|| self.waiting.first().map(|instance| (*instance, host)))
    }
}

impl Built {
    /// Makes the refused the objective.
    pub(super) fn count_refused(&mut self) {
        self.count(|refused| refused.cost, 0.0);
    }

    /// Makes the refused of a priority the objective.
    pub(super) fn count_refused_of(&mut self, priority: i32) {
        self.count(|refused| f64::from(u8::from(refused.priority == priority)), 0.0);
    }

    /// Makes displaced memory the objective.
    pub(super) fn count_memory(&mut self) {
        self.count(|_| 0.0, 1.0);
    }

    /// Makes the objective what each refusal costs by this, and displaced memory so many times.
    fn count(&mut self, cost: impl Fn(&Refusals) -> f64, memory: f64) {
        for refused in self.types.iter().flat_map(|of| &of.refused) {
            self.mip.cost(refused.column, cost(refused));
        }
        for (column, steps) in &self.memory {
            self.mip.cost(*column, memory * steps);
        }
    }

    /// From now on no solution refuses more.
    pub(super) fn keep_refused(&mut self, value: f64) {
        let entries: Vec<(Position, f64)> = self.refused().map(|refused| (refused.column, refused.cost)).collect();
        self.mip.row(f64::NEG_INFINITY, value + 1e-6, &entries);
    }

    /// From now on no solution refuses more of a priority.
    pub(super) fn keep_refused_of(&mut self, priority: i32, value: f64) {
        let of_it = self.refused().filter(|refused| refused.priority == priority);
        let entries: Vec<(Position, f64)> = of_it.map(|refused| (refused.column, 1.0)).collect();
        self.mip.row(f64::NEG_INFINITY, value + 1e-6, &entries);
    }

    fn refused(&self) -> impl Iterator<Item = &Refusals> {
        self.types.iter().flat_map(|of| &of.refused)
    }

    /// The priorities of those that may be refused, the highest first.
    pub(super) fn priorities(&self) -> Vec<i32> {
        let all: BTreeSet<i32> = self.refused().map(|refused| refused.priority).collect();
        all.into_iter().rev().collect()
    }

    /// What the columns are in a placement.
    pub(super) fn values_in(&self, tally: &Tally<'_>) -> Vec<(Position, f64)> {
        self.types.iter().flat_map(|of| of.values_in(tally)).map(|(column, count)| (column, count as f64)).collect()
    }

    /// What these values refuse: how many of each priority, the highest first, and before them, if asked for, what it costs; in
    /// thousandths, so that what a solver calls whole compares as that.
    #[expect(clippy::cast_possible_truncation, reason = "numbers of instances")]
    pub(super) fn refusal_rank(&self, values: &[(Position, f64)], cost_first: bool) -> Vec<i64> {
        let values: BTreeMap<Position, f64> = values.iter().copied().collect();
        let count = |refused: &Refusals| values.get(&refused.column).copied().unwrap_or(0.0);
        let cost = self.refused().map(|refused| refused.cost * count(refused)).sum::<f64>();
        let of = |priority: i32| self.refused().filter(|refused| refused.priority == priority).map(count).sum::<f64>();
        let counts = self.priorities().into_iter().map(of);
        cost_first.then_some(cost).into_iter().chain(counts).map(|sum| (sum * 1000.0).round() as i64).collect()
    }
}

/// Builds the model of a scope, or says that it would have too many columns.
pub(super) fn build(start: &Tally<'_>, scope: &Scope<'_>, goal: Goal<'_>, columns_max: usize) -> Option<Built> {
    let drafts = drafts(start, scope);
    let mut builder = Builder::new(start, scope, goal);
    let mut columns = 0;
    for draft in &drafts {
        columns += draft.targets(start, scope).len() + draft.residents.len() + 1;
        if columns > columns_max {
            return None;
        }
    }
    for draft in drafts {
        builder.add(draft);
    }
    builder.room_rows();
    builder.group_rows();
    let Builder { mip, types, memory, .. } = builder;
    Some(Built { mip, types, memory })
}

/// A type before it has columns.
struct Draft {
    kind: KindIdx,
    waiting: Vec<InstanceIdx>,
    residents: BTreeMap<HostIdx, Vec<InstanceIdx>>,
    refusable: bool,
    /// One instance alone, in a group or to be resized.
    single: Option<InstanceIdx>,
}

impl Draft {
    fn any(&self) -> InstanceIdx {
        *self.waiting.first().or_else(|| self.residents.values().flatten().next()).expect("a type has an instance")
    }

    /// The hosts of the scope that admit it.
    fn targets(&self, start: &Tally<'_>, scope: &Scope<'_>) -> Vec<HostIdx> {
        let problem = start.ground.problem;
        let any = self.any();
        let home = problem.instances[any.at()].host;
        let admits = |host: &&HostIdx| match self.single {
            // In place is a column of its own.
            Some(_) => **host != home && start.ground.admits(any, **host),
            None => start.ground.departs(any) && start.ground.may_hold(self.kind, **host),
        };
        scope.hosts.iter().filter(admits).copied().collect()
    }
}

/// Everybody who takes part, by type.
fn drafts(start: &Tally<'_>, scope: &Scope<'_>) -> Vec<Draft> {
    let problem = start.ground.problem;
    let inside: BTreeSet<HostIdx> = scope.hosts.iter().copied().collect();
    let lifted = start.lifted();
    let asked = scope.asked.iter().copied().filter(|at| !start.is_moved(*at));
    let residents = scope.hosts.iter().flat_map(|host| &problem.hosts[host.at()].instances).copied();
    let residents = residents.filter(|at| problem.instances[at.at()].task == Task::MayMove && !start.is_moved(*at));
    let mut who: Vec<InstanceIdx> = lifted.iter().copied().chain(asked).chain(residents).collect();
    who.sort_unstable();
    who.dedup();
    let mut drafts: BTreeMap<(KindIdx, Option<InstanceIdx>, bool), Draft> = BTreeMap::new();
    for at in who {
        let facts = &problem.instances[at.at()];
        let off = lifted.contains(&at);
        if !start.ground.departs(at) && !start.ground.resizes_in_place(at) {
            continue;
        }
        let single = (!facts.groups.is_empty() || facts.task == Task::Resize).then_some(at);
        let refusable = facts.task != Task::MayMove && !off;
        // Lifted ones must be placed again, so they are not of one type with those that may be refused.
        let draft = drafts.entry((facts.kind, single, off && single.is_none())).or_insert_with(|| Draft {
            kind: facts.kind,
            waiting: Vec::new(),
            residents: BTreeMap::new(),
            refusable: false,
            single,
        });
        draft.refusable |= refusable;
        let resident = !off && facts.task != Task::Leave;
        if resident && inside.contains(&facts.host) {
            draft.residents.entry(facts.host).or_default().push(at);
        } else if !resident {
            draft.waiting.push(at);
        }
    }
    let mut drafts: Vec<Draft> =
        drafts.into_values().filter(|draft| !draft.waiting.is_empty() || !draft.residents.is_empty()).collect();
    for draft in &mut drafts {
        // The more important are placed first, so that whoever is left over is the least important.
        draft.waiting.sort_by_key(|at| (Reverse(problem.instances[at.at()].priority), *at));
        for there in draft.residents.values_mut() {
            there.sort_by_key(|at| (problem.instances[at.at()].transfer, *at));
        }
    }
    drafts
}

struct Builder<'t, 'a> {
    start: &'t Tally<'a>,
    scope: &'t Scope<'t>,
    goal: Goal<'t>,
    mip: Mip,
    types: Vec<Type>,
    memory: Vec<(Position, f64)>,
    /// What each column takes (or, negative, gives) on a host, by class.
    loads: BTreeMap<(HostIdx, usize), Vec<(Position, i64)>>,
    /// MiB in a step of memory.
    step: f64,
}

impl<'t, 'a> Builder<'t, 'a> {
    fn new(start: &'t Tally<'a>, scope: &'t Scope<'t>, goal: Goal<'t>) -> Self {
        let problem = start.ground.problem;
        let largest = problem.kinds.iter().map(|kind| kind.memory).max().unwrap_or(1).max(1);
        Self {
            start,
            scope,
            goal,
            mip: Mip::new(),
            types: Vec::new(),
            memory: Vec::new(),
            loads: BTreeMap::new(),
            // Costs between 0 and 1000 keep the solver's tolerances meaningful.
            step: (largest as f64 / 1000.0).max(1.0),
        }
    }

    fn integer(&mut self, upper: f64, entries: &[(Position, f64)]) -> Position {
        let column = self.mip.column(0.0, upper, entries);
        self.mip.integer(column);
        column
    }

    fn load(&mut self, host: HostIdx, column: Position, amounts: &[i64], times: i64) {
        for (class, amount) in amounts.iter().enumerate().filter(|(_, amount)| **amount != 0) {
            self.loads.entry((host, class)).or_default().push((column, amount * times));
        }
    }

    fn add(&mut self, draft: Draft) {
        let problem = self.start.ground.problem;
        let kind = &problem.kinds[draft.kind.at()];
        let any = draft.any();
        let task = problem.instances[any.at()].task;
        let (may_depart, resized) = (self.start.ground.departs(any), task == Task::Resize);
        // A resident that is resized waits where it is: it departs, is resized in place, or is refused.
        let asked_there = if resized { draft.residents.values().map(Vec::len).sum() } else { 0 };
        let waiting = draft.waiting.len() as f64;
        let flow = self.mip.row(waiting, waiting, &[]);
        let served = (resized && asked_there > 0).then(|| self.mip.row(1.0, 1.0, &[]));
        let mut residents = Vec::new();
        for (host, there) in &draft.residents {
            let upper = if may_depart { there.len() as f64 } else { 0.0 };
            let mut entries = vec![(flow, -1.0)];
            entries.extend(served.map(|row| (row, 1.0)));
            let column = self.integer(upper, &entries);
            self.load(*host, column, &kind.claim, -1);
            if !resized {
                self.memory.push((column, kind.memory as f64 / self.step));
            }
            residents.push((*host, there.clone(), column));
        }
        let many = draft.waiting.len() + draft.residents.values().map(Vec::len).sum::<usize>();
        let mut arrivals = Vec::new();
        if may_depart {
            for host in draft.targets(self.start, self.scope) {
                let column = self.integer(many as f64, &[(flow, 1.0)]);
                self.load(host, column, &kind.need, 1);
                arrivals.push((host, column));
            }
        }
        let mut in_place = None;
        let home = draft.residents.keys().next().copied().filter(|_| self.start.ground.resizes_in_place(any));
        if let Some((row, host)) = served.zip(home) {
            let column = self.integer(1.0, &[(row, 1.0)]);
            let growth: Vec<i64> = kind.need.iter().zip(&kind.claim).map(|(need, claim)| need - claim).collect();
            self.load(host, column, &growth, 1);
            in_place = Some((host, column));
        }
        let refused = if draft.refusable { self.refused(&draft, served.unwrap_or(flow)) } else { Vec::new() };
        let Draft { waiting, refusable, .. } = draft;
        self.types.push(Type { waiting, refusable, residents, arrivals, refused, in_place });
    }

    /// Columns for those of a type that may be refused, by priority; `row` is where each of them is served.
    fn refused(&mut self, draft: &Draft, row: Position) -> Vec<Refusals> {
        let problem = self.start.ground.problem;
        let mut asked: BTreeMap<i32, usize> = BTreeMap::new();
        for at in draft.waiting.iter().chain(draft.residents.values().flatten()) {
            let facts = &problem.instances[at.at()];
            if facts.task != Task::MayMove {
                *asked.entry(facts.priority).or_default() += 1;
            }
        }
        let cost = match self.goal {
            Goal::Refusals => 1.0,
            Goal::Need(weights) => self.share(weights, draft.kind),
        };
        let column = |(priority, many)| Refusals { column: self.integer(many as f64, &[(row, 1.0)]), cost, priority };
        asked.into_iter().map(column).collect()
    }

    /// What one of a kind needs by these weights, as a share of what the greatest kind does, in thousandths.
    fn share(&self, weights: &[f64], kind: KindIdx) -> f64 {
        let kinds = &self.start.ground.problem.kinds;
        let greatest = kinds.iter().map(|kind| weighted(&kind.need, weights)).fold(f64::MIN_POSITIVE, f64::max);
        1000.0 * weighted(&kinds[kind.at()].need, weights) / greatest
    }

    /// Per host and class: what arrives fits in what is there and what departs.
    fn room_rows(&mut self) {
        for ((host, class), load) in std::mem::take(&mut self.loads) {
            let room = self.start.room(host)[class];
            let mut entries: Vec<(Position, f64)> =
                load.iter().map(|(column, amount)| (*column, *amount as f64)).collect();
            if room >= 0 {
                self.mip.row(f64::NEG_INFINITY, room as f64, &entries);
                continue;
            }
            // Over its capacity at the start: the row binds only if something arrives that takes of the class.
            let receives = self.integer(1.0, &[]);
            entries.push((receives, -room as f64));
            self.mip.row(f64::NEG_INFINITY, 0.0, &entries);
            for (column, amount) in load.iter().filter(|(_, amount)| *amount > 0) {
                let most = (self.start.ground.problem.hosts[host.at()].capacity[class] / amount).max(1) as f64;
                self.mip.row(f64::NEG_INFINITY, 0.0, &[(*column, 1.0), (receives, -most)]);
            }
        }
    }

    /// The groups of everybody who takes part alone.
    fn group_rows(&mut self) {
        let problem = self.start.ground.problem;
        let mut members: BTreeMap<GroupIdx, Vec<usize>> = BTreeMap::new();
        for (at, of) in self.types.iter().enumerate() {
            for group in &problem.instances[of.any().at()].groups {
                members.entry(*group).or_default().push(at);
            }
        }
        for (group, types) in members {
            match problem.groups[group.at()].policy {
                GroupPolicy::AntiAffinity => self.spread_rows(group, &types),
                GroupPolicy::Affinity if problem.groups[group.at()].members.len() > 1 => {
                    self.together_rows(group, &types)
                }
                GroupPolicy::Affinity | GroupPolicy::SoftAffinity | GroupPolicy::SoftAntiAffinity => {}
            }
        }
    }

    /// Per host: members that are there, less those that depart, with those that arrive, within the limit.
    fn spread_rows(&mut self, group: GroupIdx, types: &[usize]) {
        for host in self.scope.hosts {
            let entries = self.members_on(types, *host);
            if entries.iter().any(|(_, count)| *count > 0.0) {
                let there = f64::from(self.start.members(group, *host));
                let limit = f64::from(self.start.ground.member_limit(group, *host));
                self.mip.row(f64::NEG_INFINITY, (limit - there).max(0.0), &entries);
            }
        }
    }

    /// How the members on a host change: arrivals count one, departures minus one.
    fn members_on(&self, types: &[usize], host: HostIdx) -> Vec<(Position, f64)> {
        let mut entries = Vec::new();
        for of in types.iter().map(|at| &self.types[*at]) {
            entries.extend(of.arrivals.iter().filter(|(at, _)| *at == host).map(|(_, column)| (*column, 1.0)));
            entries.extend(of.residents.iter().filter(|(at, ..)| *at == host).map(|(.., column)| (*column, -1.0)));
        }
        entries
    }

    /// Whoever arrives somewhere finds another member there at the end, and the group is on no more hosts than before.
    fn together_rows(&mut self, group: GroupIdx, types: &[usize]) {
        let before = self.start.ground.hosts_of(group).len() as f64;
        let mut used = Vec::new();
        let mut seen: BTreeSet<HostIdx> = BTreeSet::new();
        for host in self.scope.hosts.iter().copied().chain(self.start.hosts_of(group)) {
            if !seen.insert(host) {
                continue;
            }
            let change = self.members_on(types, host);
            let there = f64::from(self.start.members(group, host));
            let leaving = types.iter().map(|at| &self.types[*at]).filter(|of| of.leaves(self.start, host));
            let leavers: Vec<Position> = leaving.flat_map(|of| &of.refused).map(|refused| refused.column).collect();
            let gone = types.iter().map(|at| &self.types[*at]).filter(|of| of.leaves(self.start, host)).count() as f64;
            // Evacuees are counted there until they leave; refused ones remain.
            let mut stays: Vec<(Position, f64)> = change.clone();
            stays.extend(leavers.iter().map(|column| (*column, 1.0)));
            let there = there - gone;
            for (column, _) in change.iter().filter(|(_, count)| *count > 0.0) {
                let mut row: Vec<(Position, f64)> = stays.iter().map(|(at, count)| (*at, -count)).collect();
                row.iter_mut().filter(|(at, _)| at == column).for_each(|(_, count)| *count += 2.0);
                self.mip.row(f64::NEG_INFINITY, there, &row);
            }
            let is_used = self.integer(1.0, &[]);
            used.push((is_used, 1.0));
            let most = self.start.ground.problem.groups[group.at()].members.len() as f64;
            stays.push((is_used, -most));
            self.mip.row(f64::NEG_INFINITY, -there, &stays);
        }
        self.mip.row(f64::NEG_INFINITY, before, &used);
    }
}

impl Type {
    fn any(&self) -> InstanceIdx {
        *self
            .waiting
            .first()
            .or_else(|| self.residents.first().and_then(|(_, there, _)| there.first()))
            .expect("a type has an instance")
    }

    /// Whether it is an evacuee that is still on this host.
    fn leaves(&self, start: &Tally<'_>, host: HostIdx) -> bool {
        let facts = &start.ground.problem.instances[self.any().at()];
        self.refusable && facts.task == Task::Leave && facts.host == host
    }
}
