//! Which store conducts a host, and in which of its lives.
//!
//! Two stores that both start guests on a host would not know of each other. So a host carries the mark of the store
//! that uses it, and of that store's incarnation. A store that was restored from a backup has forgotten what it did
//! since, and a copy of a store never knew it: both find an incarnation on the host that they have never had, and
//! touch nothing.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;

use decant_schema::store::Incarnation;

/// The store whose conductor has a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// What tells it from every other store, but not from a copy of it.
    pub identity: String,
    /// Where it was when it last used the host; for people.
    pub path: PathBuf,
    /// Its life that last used the host; none where an older decant marked it.
    pub incarnation: Option<Incarnation>,
}

/// A store that is about to conduct a host.
#[derive(Clone, Debug)]
pub struct Claimant {
    /// What the host is to carry from now on.
    pub owner: Owner,
    /// Every life the store has had, this one included.
    pub history: BTreeSet<Incarnation>,
    /// Whose the host may be all the same: a person said that nobody else uses it any more.
    pub instead_of: Option<Owner>,
}

/// Why a host is not a store's to conduct.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Foreign {
    /// It is another store's.
    Another(Owner),
    /// It is this store's, of a life this file knows nothing of.
    Unknown(Owner),
}

impl Claimant {
    /// Whether a host with this mark is this store's, and knows nothing the store does not.
    ///
    /// # Errors
    /// Whose it is instead.
    pub fn judge(&self, found: &Owner) -> Result<(), Foreign> {
        if self.instead_of.as_ref() == Some(found) {
            return Ok(());
        }
        if found.identity != self.owner.identity {
            return Err(Foreign::Another(found.clone()));
        }
        match &found.incarnation {
            Some(life) if !self.history.contains(life) => Err(Foreign::Unknown(found.clone())),
            Some(_) | None => Ok(()),
        }
    }
}

impl Owner {
    pub(crate) fn to_text(&self) -> String {
        let life =
            self.incarnation.as_ref().map_or_else(String::new, |life| format!("{} {}\n", life.number, life.nonce));
        format!("{}\n{}\n{life}", self.identity, self.path.display())
    }

    /// Reads a mark. Its third line is missing where an older decant wrote it.
    pub(crate) fn from_text(text: &str) -> io::Result<Self> {
        let mut lines = text.lines();
        let identity = lines.next().unwrap_or_default().to_owned();
        let path = lines.next().unwrap_or_default().into();
        let incarnation = lines.next().map(incarnation).transpose()?;
        Ok(Self { identity, path, incarnation })
    }
}

fn incarnation(line: &str) -> io::Result<Incarnation> {
    let garbled = || io::Error::new(io::ErrorKind::InvalidData, format!("`{line}` is no incarnation of a store"));
    let (number, nonce) = line.split_once(' ').ok_or_else(garbled)?;
    Ok(Incarnation { number: number.parse().map_err(|_| garbled())?, nonce: nonce.to_owned() })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn life(number: u64, nonce: &str) -> Incarnation {
        Incarnation { number, nonce: nonce.to_owned() }
    }

    fn owner(identity: &str, incarnation: Option<Incarnation>) -> Owner {
        Owner { identity: identity.to_owned(), path: "/srv/store.db".into(), incarnation }
    }

    #[test]
    fn a_mark_reads_as_it_was_written_and_one_of_an_older_decant_has_no_incarnation() {
        for mark in [owner("1", None), owner("1", Some(life(7, "ab")))] {
            assert_eq!(Owner::from_text(&mark.to_text()).unwrap(), mark);
        }
        assert_eq!(Owner::from_text("1\n/srv/store.db\n").unwrap(), owner("1", None));
        assert!(Owner::from_text("1\n/srv/store.db\nseven\n").is_err());
    }

    #[test]
    fn a_host_is_a_store_s_only_in_a_life_the_store_has_had() {
        let history = [life(1, "a"), life(2, "b")].into();
        let claimant = Claimant { owner: owner("1", Some(life(2, "b"))), history, instead_of: None };
        for ours in [None, Some(life(1, "a")), Some(life(2, "b"))] {
            assert_eq!(claimant.judge(&owner("1", ours)), Ok(()));
        }
        // A copy of the store counted alike, and a backup was made before.
        for since in [life(2, "c"), life(3, "a")] {
            let found = owner("1", Some(since));
            assert_eq!(claimant.judge(&found), Err(Foreign::Unknown(found)));
        }
        let other = owner("2", Some(life(1, "a")));
        assert_eq!(claimant.judge(&other), Err(Foreign::Another(other.clone())));
        let told = Claimant { instead_of: Some(other.clone()), ..claimant };
        assert_eq!(told.judge(&other), Ok(()));
        assert!(told.judge(&owner("2", Some(life(2, "a")))).is_err(), "it was used again since");
    }
}
