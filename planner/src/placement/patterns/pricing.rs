//! The best a host can earn at given prices: what departs, what arrives, what is resized in place.
//!
//! v = max over departures of worth(room + departures) − what they cost, by depth-first search over the host's content
//! with the linear majorants of the table as bounds. Exact where two classes count, or at least an upper bound where more
//! do or a room lies beyond the table: the Lagrangian bound stays valid either way. A pattern that keeps to all classes
//! is then sought by a search of its own.

use super::model::{CLASSES_MAX, Content, HostRow, Model, Point, Role, Row};
use super::table::{Arrivals, Table};

/// What everything costs, in one unit: 1 / denominator of a MiB, or of a refusal.
#[derive(Clone, Debug)]
pub(super) struct Prices {
    /// π by row, not negative.
    pub(super) rows: Vec<i64>,
    /// U.
    pub(super) refusal: i64,
    /// What a MiB of displaced memory costs.
    pub(super) mib: i64,
}

impl Prices {
    /// Whether only refusals are counted.
    pub(super) fn displacing_is_free(&self) -> bool {
        self.mib == 0
    }
}

/// What a host does.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Pattern {
    /// How many of each kind arrive.
    pub(super) arrive: Arrivals,
    /// How many of each content depart.
    pub(super) depart: Vec<(usize, u32)>,
    /// How many of each content get their new size where they are.
    pub(super) in_place: Vec<(usize, u32)>,
}

/// Nodes of the search for one host. Beyond it the rest is bounded, not searched: only prices far from the best, whose
/// bound is of no use, ask for more.
const NODES: u32 = 4000;

/// The same where it is known what the host earns when it is packed anew, and only a pattern that displaces less is sought.
const NODES_REPACKED: u32 = 1000;

/// The same where every room must be filled to know what it is worth.
const NODES_FILLED: u32 = 64;

/// The best a host can earn, beyond refusing all its resizes.
pub(super) struct Best {
    /// No pattern earns more.
    pub(super) earns: i64,
    /// One that earns that much, or the best found where a room lay beyond the table, more than two classes count, or a
    /// repacked one earns more.
    pub(super) pattern: Pattern,
    /// One that earns that much but displaces many, where the other does not.
    pub(super) repacked: Option<Pattern>,
}

/// A number of instances of one content and what becomes of them.
#[derive(Clone, Copy, Debug, Default)]
struct Fate {
    departs: u32,
    in_place: u32,
}

struct Search<'a> {
    model: &'a Model,
    table: &'a Table,
    prices: &'a Prices,
    content: &'a [Content],
    /// What the contents from each position on can still gain, by majorant.
    gains: Vec<Vec<i64>>,
    fates: Vec<Fate>,
    best: i64,
    best_fates: Vec<Fate>,
    best_room: Point,
    /// What no pattern earns more than, where that is known: one that earns it ends the search.
    enough: i64,
    /// What arrives in that room, where rooms are filled.
    best_arrivals: Arrivals,
    /// Whether a room is worth what arrivals that were found for it earn, not what the table says at most.
    fills: bool,
    /// The most that could be earned where the table did not reach.
    beyond: i64,
    /// Nodes still allowed.
    nodes: u32,
    /// Where all that earn more than `best` are wanted, not one: those so far.
    near: Option<Vec<(Vec<Fate>, Point)>>,
}

/// What a host holds and has earned at a node of the search.
#[derive(Clone, Copy)]
struct Node {
    /// Room with departures and shrinkage.
    room: Point,
    /// Taken of it by growth in place.
    grown: Point,
    earned: i64,
}

/// Finds the best a host can earn.
pub(super) fn best(model: &Model, table: &Table, prices: &Prices, host: &HostRow) -> Best {
    let mut search = Search::new(model, table, prices, host);
    let most = most_repacked(model, table, prices, host);
    if let Some(most) = most {
        search.enough = most;
        search.nodes = if table.is_exact() { NODES_REPACKED } else { NODES };
    }
    let search = search.run(host);
    let found = search.best.max(search.beyond);
    let earns = most.map_or(found, |most| most.min(found));
    if table.is_exact() {
        let repacked = (most.is_some() && search.best < earns).then(|| repack(model, table, host));
        return Best { earns, pattern: pattern(table.fill(search.best_room).1, &search.best_fates), repacked };
    }
    let filling = Search { fills: true, nodes: NODES_FILLED, ..Search::new(model, table, prices, host) }.run(host);
    Best { earns, pattern: pattern(filling.best_arrivals, &filling.best_fates), repacked: None }
}

/// The most a host can earn where displacing costs nothing, if its content may come back: as much as if all departed and
/// the best came in the room of all, since whatever stays in the best pattern might as well come back. `None` where
/// something may not, or the table does not reach so far.
fn most_repacked(model: &Model, table: &Table, prices: &Prices, host: &HostRow) -> Option<i64> {
    let may_return = |content: &Content| {
        let kind = &model.kinds[content.row];
        let no_more = kind.need.iter().zip(&kind.claim).all(|(need, claim)| need <= claim);
        content.role == Role::ThirdParty && no_more && model.admitted[host.admits].contains(&content.row)
    };
    let holds = host.room.iter().all(|room| *room >= 0) && host.content.iter().all(may_return);
    let left = |content: &Content| prices.rows[content.row] * i64::from(content.count);
    let worth = (prices.displacing_is_free() && holds).then(|| table.worth(&model.emptied(host)))??;
    Some(worth - host.content.iter().map(left).sum::<i64>())
}

/// The pattern of a host that is packed anew, in which as many stay as can.
fn repack(model: &Model, table: &Table, host: &HostRow) -> Pattern {
    let mut room = model.emptied(host);
    let mut arrive = table.fill(room).1;
    let take = |room: &mut Point, row: Row, count: i64| {
        room.iter_mut().zip(&model.kinds[row].need).for_each(|(room, need)| *room -= need * count);
    };
    arrive.iter().for_each(|(row, count)| take(&mut room, *row, i64::from(*count)));
    let mut depart = Vec::new();
    for (at, content) in host.content.iter().enumerate() {
        let mut leaves = content.count;
        if let Some((_, comes)) = arrive.iter_mut().find(|(row, _)| *row == content.row) {
            let stays = leaves.min(*comes);
            (leaves, *comes) = (leaves - stays, *comes - stays);
        }
        let need = &model.kinds[content.row].need;
        while leaves > 0 && room.iter().zip(need).all(|(room, need)| need <= room) {
            take(&mut room, content.row, 1);
            leaves -= 1;
        }
        depart.push((at, leaves));
    }
    arrive.retain(|(_, count)| *count > 0);
    depart.retain(|(_, count)| *count > 0);
    Pattern { arrive, depart, in_place: Vec::new() }
}

/// Patterns that earn more than `floor`, one for each way to depart, at most so many.
pub(super) fn near(
    model: &Model,
    table: &Table,
    prices: &Prices,
    host: &HostRow,
    floor: i64,
    most: usize,
) -> Vec<Pattern> {
    let search = Search { best: floor, near: Some(Vec::new()), ..Search::new(model, table, prices, host) }.run(host);
    let near = search.near.unwrap_or_default();
    near.into_iter().take(most).map(|(fates, room)| pattern(table.fill(room).1, &fates)).collect()
}

/// What arrives, and what becomes of the content.
fn pattern(arrive: Arrivals, fates: &[Fate]) -> Pattern {
    let chosen = |fate: fn(&Fate) -> u32| {
        fates.iter().enumerate().map(move |(at, of)| (at, fate(of))).filter(|(_, count)| *count > 0).collect()
    };
    Pattern { arrive, depart: chosen(|fate| fate.departs), in_place: chosen(|fate| fate.in_place) }
}

/// What one that departs earns: nothing, less its price and what it costs to displace or saves to serve.
pub(super) fn departure(model: &Model, prices: &Prices, content: &Content) -> i64 {
    match content.role {
        Role::ThirdParty => -prices.rows[content.row] - prices.mib * model.kinds[content.row].memory,
        Role::Resized { .. } => prices.refusal - prices.rows[content.row],
    }
}

/// By how much a resize in place grows, by class; negative where it shrinks.
pub(super) fn growth(model: &Model, row: Row) -> Point {
    let kind = &model.kinds[row];
    std::array::from_fn(|class| kind.need[class] - kind.claim[class])
}

/// For each majorant, what the contents from each position on could gain if room were worth no less than it says.
fn gains(model: &Model, table: &Table, prices: &Prices, content: &[Content]) -> Vec<Vec<i64>> {
    let times = |a: &Point, room: &Point| (0..CLASSES_MAX).map(|class| a[class] * room[class]).sum::<i64>();
    let gain = |a: &Point, content: &Content| {
        let departs = times(a, &model.kinds[content.row].claim) + departure(model, prices, content);
        let shrinks: Point = std::array::from_fn(|class| (-growth(model, content.row)[class]).max(0));
        let best = match content.role {
            Role::ThirdParty => departs,
            Role::Resized { .. } => departs.max(times(a, &shrinks) + prices.refusal),
        };
        best.max(0) * i64::from(content.count)
    };
    let suffixes = |a: &Point| {
        let mut suffix = vec![0; content.len() + 1];
        for at in (0..content.len()).rev() {
            suffix[at] = suffix[at + 1] + gain(a, &content[at]);
        }
        suffix
    };
    table.majorants.iter().map(suffixes).collect()
}

impl<'a> Search<'a> {
    fn new(model: &'a Model, table: &'a Table, prices: &'a Prices, host: &'a HostRow) -> Self {
        let content = &host.content[..];
        Self {
            model,
            table,
            prices,
            content,
            gains: gains(model, table, prices, content),
            fates: vec![Fate::default(); content.len()],
            best: i64::MIN,
            best_fates: vec![Fate::default(); content.len()],
            best_room: Point::default(),
            enough: i64::MAX,
            best_arrivals: Arrivals::new(),
            fills: false,
            beyond: i64::MIN,
            nodes: NODES,
            near: None,
        }
    }

    /// Searches the whole host.
    fn run(mut self, host: &HostRow) -> Self {
        self.descend(0, Node { room: host.room, grown: Point::default(), earned: 0 });
        self
    }

    /// Decides the contents from `at` on.
    fn descend(&mut self, at: usize, node: Node) {
        self.settle(node);
        for next in at..self.content.len() {
            let most = self.most(next, &node);
            if most <= self.best || self.best >= self.enough {
                return;
            }
            if self.nodes == 0 {
                self.beyond = self.beyond.max(most);
                return;
            }
            self.choose(next, node);
        }
    }

    /// The most any node below can earn.
    fn most(&self, at: usize, node: &Node) -> i64 {
        let of = |(a, suffix): (&Point, &Vec<i64>)| {
            (0..CLASSES_MAX).map(|class| a[class] * node.room[class].max(0)).sum::<i64>() + suffix[at]
        };
        let most = self.table.majorants.iter().zip(&self.gains).map(of).min();
        // Without a majorant nothing arrives: only what is served on the spot earns anything.
        node.earned + most.unwrap_or_else(|| self.served(at))
    }

    fn served(&self, at: usize) -> i64 {
        let of = |content: &Content| match content.role {
            Role::ThirdParty => 0,
            Role::Resized { .. } => self.prices.refusal * i64::from(content.count),
        };
        self.content[at..].iter().map(of).sum()
    }

    /// Tries every number of departures and resizes in place of one content, at least one of them.
    fn choose(&mut self, at: usize, node: Node) {
        let content = self.content[at];
        let (departs, in_place) = match content.role {
            Role::ThirdParty => (true, false),
            Role::Resized { departs, in_place } => (departs, in_place),
        };
        let claim = self.model.kinds[content.row].claim;
        let growth = growth(self.model, content.row);
        let each = departure(self.model, self.prices, &content);
        for departures in 0..=if departs { content.count } else { 0 } {
            for resized in 0..=if in_place { content.count - departures } else { 0 } {
                if departures + resized == 0 {
                    continue;
                }
                let (gone, kept) = (i64::from(departures), i64::from(resized));
                let mut below = node;
                for class in 0..CLASSES_MAX {
                    below.room[class] += claim[class] * gone + (-growth[class]).max(0) * kept;
                    below.grown[class] += growth[class].max(0) * kept;
                }
                below.earned += each * gone + self.prices.refusal * kept;
                self.fates[at] = Fate { departs: departures, in_place: resized };
                if self.most(at + 1, &below) > self.best {
                    self.descend(at + 1, below);
                }
            }
        }
        self.fates[at] = Fate::default();
    }

    /// Takes the node as it is: the rest of its room is for arrivals.
    fn settle(&mut self, node: Node) {
        self.nodes = self.nodes.saturating_sub(1);
        let room: Point = std::array::from_fn(|class| node.room[class].max(0) - node.grown[class]);
        if room.iter().any(|class| *class < 0) {
            return;
        }
        match self.table.worth(&room) {
            Some(worth) if node.earned + worth > self.best => {
                if let Some(near) = &mut self.near {
                    near.push((self.fates.clone(), room));
                    return;
                }
                let (earned, arrivals) = if self.fills { self.table.fill(room) } else { (worth, Arrivals::new()) };
                if node.earned + earned > self.best {
                    self.best = node.earned + earned;
                    self.best_fates.clone_from(&self.fates);
                    self.best_room = room;
                    self.best_arrivals = arrivals;
                }
            }
            Some(_) => {}
            None => self.beyond = self.beyond.max(node.earned + self.table.majorant(&room)),
        }
    }
}
