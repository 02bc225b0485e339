//! From an order of single moves to a partial-order schedule: which move must wait for which.
//!
//! Every unit of room is promised once. A host keeps *tokens*: amounts of a class, or slots of a group, with the move
//! that frees them (or none: free from the start). An arrival takes what it needs from tokens and waits for the moves
//! that free them, so whatever the durations turn out to be, the room is there when it starts. Tokens of moves it
//! follows anyway are taken first, then those free from the start; only where these do not do, it waits for one more
//! move. (Policella, Smith, Cesta, Oddi: "Generating robust schedules through temporal flexibility", ICAPS 2004.)

use std::collections::HashMap;

use crate::problem::{GroupIdx, HostIdx, InstanceIdx};

use super::ancestors::Ancestors;
use super::room::{Room, Step};

/// What is promised unit by unit: a class of a host, or a group's places on a host.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Pile {
    Class(HostIdx, usize),
    Slots(HostIdx, GroupIdx),
}

/// An amount and the move that frees it; `None`: free from the start.
#[derive(Clone, Copy)]
struct Token {
    amount: i64,
    freed_by: Option<usize>,
}

/// The tokens of all piles touched so far.
struct Tokens<'a, 'p> {
    start: &'a Room<'p>,
    piles: HashMap<Pile, Vec<Token>>,
}

impl Tokens<'_, '_> {
    fn pile(&mut self, pile: Pile) -> &mut Vec<Token> {
        self.piles.entry(pile).or_insert_with(|| {
            let amount = match pile {
                Pile::Class(host, class) => self.start.free(host)[class],
                Pile::Slots(host, group) => self.start.slots(group, host),
            };
            vec![Token { amount, freed_by: None }]
        })
    }

    /// What of a pile is at hand for one that follows these moves.
    fn at_hand(&mut self, pile: Pile, follows: &[u64]) -> i64 {
        let usable = |token: &&Token| token.freed_by.is_none_or(|freed_by| Ancestors::has(follows, freed_by));
        self.pile(pile).iter().filter(usable).map(|token| token.amount).sum()
    }

    /// Takes an amount that is at hand, from moves it follows before what is free from the start.
    fn take(&mut self, pile: Pile, mut amount: i64, follows: &[u64]) {
        let tokens = self.pile(pile);
        for from_start in [false, true] {
            for token in tokens.iter_mut() {
                let usable = match token.freed_by {
                    None => from_start,
                    Some(freed_by) => !from_start && Ancestors::has(follows, freed_by),
                };
                if usable {
                    let taken = amount.min(token.amount);
                    token.amount -= taken;
                    amount -= taken;
                }
            }
        }
        tokens.retain(|token| token.amount > 0);
        debug_assert_eq!(amount, 0, "an order of single moves never lacks room");
    }
}

/// For every move of an order that can be carried out one by one, the moves it must wait for: earlier ones only, by
/// position, none that follows from the others. `seconds` estimates each move's duration; where there is a choice of
/// whom to wait for, it is the one that ends first.
pub(super) fn chain(start: &Room<'_>, steps: &[Step], seconds: &[f64]) -> Vec<Vec<usize>> {
    let mut room = start.clone();
    let mut tokens = Tokens { start, piles: HashMap::new() };
    let mut ancestors = Ancestors::default();
    let mut latest: HashMap<InstanceIdx, usize> = HashMap::new();
    let mut ends: Vec<f64> = Vec::with_capacity(steps.len());
    let mut after = Vec::with_capacity(steps.len());
    for (at, step) in steps.iter().enumerate() {
        let mut follows = Ancestors::row(at);
        let mut waits: Vec<usize> = latest.insert(step.instance, at).into_iter().collect();
        for earlier in &waits {
            ancestors.join(&mut follows, *earlier);
        }
        let draws = draws(&room, *step);
        let suppliers = suppliers(&mut tokens, &ancestors, &draws, &follows, &ends);
        for supplier in &suppliers {
            ancestors.join(&mut follows, *supplier);
        }
        waits.extend(suppliers);
        for (pile, amount) in draws {
            tokens.take(pile, amount, &follows);
        }
        for (pile, amount) in yields(&room, *step) {
            tokens.pile(pile).push(Token { amount, freed_by: Some(at) });
        }
        ends.push(waits.iter().map(|wait| ends[*wait]).fold(0.0, f64::max) + seconds[at]);
        after.push(ancestors.without_transitive(waits));
        ancestors.push(follows);
        room.go(*step);
    }
    after
}

/// The moves to wait for, beyond those followed anyway: the first to end that together free what is lacking, without
/// those that the later ones make needless.
fn suppliers(
    tokens: &mut Tokens<'_, '_>,
    ancestors: &Ancestors,
    draws: &[(Pile, i64)],
    follows: &[u64],
    ends: &[f64],
) -> Vec<usize> {
    let mut chosen: Vec<usize> = Vec::new();
    let mut with_chosen: Box<[u64]> = follows.into();
    while let Some(supplier) = first_supplier(tokens, draws, &with_chosen, ends) {
        ancestors.join(&mut with_chosen, supplier);
        chosen.push(supplier);
    }
    let mut kept = 0;
    while chosen.len() > 1 && kept < chosen.len() {
        let mut without: Box<[u64]> = follows.into();
        chosen
            .iter()
            .enumerate()
            .filter(|(at, _)| *at != kept)
            .for_each(|(_, other)| ancestors.join(&mut without, *other));
        if draws.iter().all(|(pile, amount)| tokens.at_hand(*pile, &without) >= *amount) {
            chosen.remove(kept);
        } else {
            kept += 1;
        }
    }
    chosen
}

/// The move to wait for next: of those that free something still lacking, the one that ends first.
fn first_supplier(tokens: &mut Tokens<'_, '_>, draws: &[(Pile, i64)], follows: &[u64], ends: &[f64]) -> Option<usize> {
    let (lacking, _) = draws.iter().find(|(pile, amount)| tokens.at_hand(*pile, follows) < *amount)?;
    let suppliers = tokens.pile(*lacking).iter().filter_map(|token| token.freed_by);
    suppliers
        .filter(|supplier| !Ancestors::has(follows, *supplier))
        .min_by(|a, b| ends[*a].total_cmp(&ends[*b]).then(a.cmp(b)))
}

/// What a move takes when it starts.
fn draws(room: &Room<'_>, step: Step) -> Vec<(Pile, i64)> {
    let host = step.target;
    let classes = (0..room.problem.classes.len()).map(|class| (Pile::Class(host, class), room.takes(step, class)));
    let groups = room.exclusive_groups(step.instance).filter(|_| room.host(step.instance) != host);
    classes.chain(groups.map(|group| (Pile::Slots(host, group), 1))).filter(|(_, amount)| *amount > 0).collect()
}

/// What a move gives back when it has ended.
fn yields(room: &Room<'_>, step: Step) -> Vec<(Pile, i64)> {
    let host = room.host(step.instance);
    let classes = (0..room.problem.classes.len()).map(|class| (Pile::Class(host, class), room.gives(step, class)));
    let groups = room.exclusive_groups(step.instance).filter(|_| host != step.target);
    classes.chain(groups.map(|group| (Pile::Slots(host, group), 1))).filter(|(_, amount)| *amount > 0).collect()
}
