//! Where in a text the values of some paths are, as line and column.
//!
//! One pass over each level that has a wanted value; everything else is skipped without being kept, so that a finding
//! in a document of 50 MB costs no tree of it.

use std::collections::BTreeMap;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::finding::{Path, Step};

/// A place in a text, to be found.
pub(crate) enum Spot<'a> {
    /// The value at the end of this way, or the last value that is there on it.
    Path(&'a Path),
    /// This byte.
    Offset(usize),
}

/// Line and column (in characters), both from 1, of every spot.
pub(crate) fn line_columns(text: &str, spots: &[Spot<'_>]) -> Vec<Option<(usize, usize)>> {
    let mut root = Wanted::default();
    let mut offsets = vec![None; spots.len()];
    for (at, spot) in spots.iter().enumerate() {
        match spot {
            Spot::Path(path) => root.add(path, at),
            Spot::Offset(offset) => offsets[at] = Some(*offset),
        }
    }
    root.find(text, text, &mut offsets);
    sweep(text, &offsets)
}

/// Line and column of one byte of a text; the last line's end if it is beyond.
pub(crate) fn line_column(text: &str, offset: usize) -> (usize, usize) {
    sweep(text, &[Some(offset)])[0].expect("one offset gives one place")
}

/// Turns offsets into lines and columns in a single pass from the smallest to the greatest.
fn sweep(text: &str, offsets: &[Option<usize>]) -> Vec<Option<(usize, usize)>> {
    let mut order: Vec<usize> = (0..offsets.len()).filter(|at| offsets[*at].is_some()).collect();
    order.sort_by_key(|at| offsets[*at]);
    let mut places = vec![None; offsets.len()];
    let (mut line, mut line_start, mut seen) = (1, 0, 0);
    for at in order {
        let offset = text.floor_char_boundary(offsets[at].unwrap_or(0));
        line += text.as_bytes()[seen..offset].iter().filter(|byte| **byte == b'\n').count();
        line_start = text[seen..offset].rfind('\n').map_or(line_start, |newline| seen + newline + 1);
        seen = offset;
        places[at] = Some((line, text[line_start..offset].chars().count() + 1));
    }
    places
}

/// The ways that are looked for, as a tree.
#[derive(Default)]
struct Wanted {
    /// The spots that end here.
    spots: Vec<usize>,
    inside: BTreeMap<Step, Wanted>,
}

impl Wanted {
    fn add(&mut self, path: &Path, spot: usize) {
        let last = path.0.iter().fold(self, |node, step| node.inside.entry(step.clone()).or_default());
        last.spots.push(spot);
    }

    /// Notes where `value`, a slice of `text`, begins, for all spots in or below it; those below are then corrected.
    fn find(&self, text: &str, value: &str, offsets: &mut [Option<usize>]) {
        let leading = value.len() - value.trim_start().len();
        self.note(value.as_ptr().addr() - text.as_ptr().addr() + leading, offsets);
        if !self.inside.is_empty() {
            let inside = Inside { wanted: self, text, offsets };
            // An error ends the search: what was found so far is the best that can be said of the place.
            let _: Result<(), serde_json::Error> = inside.deserialize(&mut serde_json::Deserializer::from_str(value));
        }
    }

    fn note(&self, offset: usize, offsets: &mut [Option<usize>]) {
        for spot in &self.spots {
            offsets[*spot] = Some(offset);
        }
        for inside in self.inside.values() {
            inside.note(offset, offsets);
        }
    }
}

struct Inside<'a> {
    wanted: &'a Wanted,
    text: &'a str,
    offsets: &'a mut [Option<usize>],
}

impl<'de> DeserializeSeed<'de> for Inside<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Inside<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object or an array")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(field) = map.next_key()? {
            match self.wanted.inside.get(&Step::Field(field)) {
                Some(wanted) => wanted.find(self.text, map.next_value::<&RawValue>()?.get(), self.offsets),
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        for index in 0.. {
            let found = match self.wanted.inside.get(&Step::Index(index)) {
                Some(wanted) => {
                    let value = list.next_element::<&RawValue>()?;
                    value.inspect(|value| wanted.find(self.text, value.get(), self.offsets)).is_some()
                }
                None => list.next_element::<IgnoredAny>()?.is_some(),
            };
            if !found {
                break;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Spot, line_columns};
    use crate::finding::path_to;

    #[test]
    fn values_are_found_by_their_way_and_the_last_one_that_is_there_stands_for_the_rest() {
        let text = "{ \"a\": [1,\n  { \"ü\": 2, \"b\": 3 } ] }";
        let ways = [path_to![], path_to!["a"], path_to!["a", 1, "b"], path_to!["a", 1, "missing"], path_to!["x", 0]];
        let spots: Vec<Spot<'_>> = ways.iter().map(Spot::Path).collect();
        let expected = [(1, 1), (1, 8), (2, 18), (2, 3), (1, 1)].map(Some);
        assert_eq!(line_columns(text, &spots), expected);
    }

    #[test]
    fn offsets_are_counted_in_lines_and_characters() {
        let spots = [Spot::Offset(7), Spot::Offset(0), Spot::Offset(3), Spot::Offset(99)];
        assert_eq!(line_columns("äb\ncd\n", &spots), [(3, 1), (1, 1), (1, 3), (3, 1)].map(Some));
    }
}
