//! Breadth first through all that can happen, so that what is found is found by the shortest way.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

use crate::guard::Guard;
use crate::world::{Event, Setting, World};

/// What came of it.
pub(crate) enum Exploration {
    /// None of the six lines is violated, and from every state an end can be reached.
    Sound {
        /// How many states there are.
        states: usize,
        /// How many ways lead from one to another.
        transitions: usize,
    },
    /// One is.
    Violated(Violation),
}

/// How something happens that must not.
pub(crate) struct Violation {
    /// Which of the six lines.
    pub(crate) never: u8,
    /// What happened.
    pub(crate) what: &'static str,
    /// The shortest way there.
    pub(crate) path: Vec<String>,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "never {}: {}: {}", self.never, self.what, self.path.join("; "))
    }
}

/// The states seen so far, and how each was first reached.
#[derive(Default)]
struct Seen {
    numbers: HashMap<u64, u32>,
    reached: Vec<Option<(u32, Event)>>,
    at_rest: Vec<bool>,
    /// For each state those from which what is waited for leads there.
    led_from: Vec<Vec<u32>>,
}

impl Seen {
    /// The state's number, and whether it is new.
    fn number(&mut self, world: &World, at_rest: bool, from: Option<(u32, Event)>) -> (u32, bool) {
        let mut hasher = DefaultHasher::new();
        world.hash(&mut hasher);
        let next = u32::try_from(self.reached.len()).unwrap();
        match self.numbers.entry(hasher.finish()) {
            Entry::Occupied(known) => (*known.get(), false),
            Entry::Vacant(new) => {
                new.insert(next);
                self.reached.push(from);
                self.at_rest.push(at_rest);
                self.led_from.push(Vec::new());
                (next, true)
            }
        }
    }

    fn path(&self, mut at: u32, last: Option<Event>) -> Vec<String> {
        let mut path: Vec<String> = last.iter().map(ToString::to_string).collect();
        while let Some((before, event)) = &self.reached[at as usize] {
            path.push(event.to_string());
            at = *before;
        }
        path.reverse();
        path
    }

    /// A state from which no end can be reached by what is waited for.
    fn stuck(&self) -> Option<u32> {
        let mut reaches = self.at_rest.clone();
        let mut open: Vec<u32> = (0..).zip(&reaches).filter(|(_, rests)| **rests).map(|(number, _)| number).collect();
        while let Some(at) = open.pop() {
            for from in &self.led_from[at as usize] {
                if !std::mem::replace(&mut reaches[*from as usize], true) {
                    open.push(*from);
                }
            }
        }
        (0..).zip(reaches).find(|(_, reaches)| !reaches).map(|(number, _)| number)
    }
}

/// Goes through all that can happen in this setting.
pub(crate) fn explore(setting: &Setting, without: Option<Guard>, states_max: usize) -> Exploration {
    let mut seen = Seen::default();
    let first = World::first(setting);
    let (number, _) = seen.number(&first, false, None);
    let (mut wave, mut transitions) = (vec![(number, first)], 0);
    while !wave.is_empty() {
        let mut next_wave = Vec::new();
        for (at, world) in wave {
            for (event, next, never) in world.next(setting, without) {
                transitions += 1;
                if let Some((never, what)) = never {
                    return Exploration::Violated(Violation { never, what, path: seen.path(at, Some(event)) });
                }
                let at_rest = next.is_at_rest(without);
                let (number, is_new) = seen.number(&next, at_rest, Some((at, event)));
                if event.is_progress {
                    seen.led_from[number as usize].push(at);
                }
                if is_new {
                    next_wave.push((number, next));
                }
            }
        }
        assert!(seen.reached.len() <= states_max, "{}: more than {states_max} states", setting.name);
        wave = next_wave;
    }
    match seen.stuck() {
        None => Exploration::Sound { states: seen.reached.len(), transitions },
        Some(at) => {
            let what = "nobody does anything more, and nobody is told";
            Exploration::Violated(Violation { never: 5, what, path: seen.path(at, None) })
        }
    }
}
