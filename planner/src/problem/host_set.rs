//! A set of hosts, one bit each.

use super::HostIdx;

/// A set of hosts, one bit each.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostSet {
    words: Vec<u64>,
}

impl FromIterator<HostIdx> for HostSet {
    fn from_iter<I: IntoIterator<Item = HostIdx>>(hosts: I) -> Self {
        let mut set = Self::default();
        hosts.into_iter().for_each(|host| set.insert(host));
        set
    }
}

impl HostSet {
    /// No host of `hosts`.
    pub fn empty(hosts: usize) -> Self {
        Self { words: vec![0; hosts.div_ceil(64)] }
    }

    /// Adds a host.
    pub fn insert(&mut self, host: HostIdx) {
        if self.words.len() <= host.at() / 64 {
            self.words.resize(host.at() / 64 + 1, 0);
        }
        self.words[host.at() / 64] |= 1 << (host.at() % 64);
    }

    /// Takes a host away.
    pub fn remove(&mut self, host: HostIdx) {
        if let Some(word) = self.words.get_mut(host.at() / 64) {
            *word &= !(1 << (host.at() % 64));
        }
    }

    /// Whether a host is in it.
    pub fn contains(&self, host: HostIdx) -> bool {
        self.words.get(host.at() / 64).is_some_and(|word| word >> (host.at() % 64) & 1 == 1)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether some host is in both.
    pub fn meets(&self, other: &Self) -> bool {
        self.words.iter().zip(&other.words).any(|(one, other)| one & other != 0)
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// The hosts, by index.
    pub fn iter(&self) -> impl Iterator<Item = HostIdx> + '_ {
        self.words.iter().enumerate().flat_map(|(at, word)| {
            let mut left = *word;
            std::iter::from_fn(move || {
                let lowest = left.trailing_zeros() as usize;
                left &= left.checked_sub(1)?;
                Some(HostIdx::new(at * 64 + lowest))
            })
        })
    }
}
