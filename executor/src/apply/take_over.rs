//! The way on for a store that knows less than its hosts: restored from a backup, or in place of one that is gone.
//!
//! Every instance is looked for on every host. Where it is, and the latest order obeyed for it, is what the store is to
//! know; what cannot be told from that is left to a person, and then nothing is changed.

use std::fmt;
use std::path::Path;

use decant_schema::fleet::{Instance, InstanceState};
use decant_schema::id::{HostName, InstanceId};
use decant_schema::migration::Generation;
use decant_schema::store::{Found, Store};

use super::{ApplyError, session};
use crate::clock::{Clock, SystemClock};
use crate::driver::Drivers;
use crate::hypervisor::{Copy, Ending};

/// In what the hosts differ from the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Discrepancy {
    /// An instance is not where the store has it.
    Elsewhere {
        /// The instance.
        instance: InstanceId,
        /// Where the store has it.
        recorded: HostName,
        /// Where it is.
        found: HostName,
    },
    /// Orders were obeyed that the store knows nothing of.
    Obeyed {
        /// The instance.
        instance: InstanceId,
        /// The latest the store knows.
        known: Generation,
        /// The latest a host has obeyed.
        obeyed: Generation,
    },
    /// There is nothing of an instance on the host the store has it on.
    Nowhere {
        /// The instance.
        instance: InstanceId,
        /// Where the store has it.
        recorded: HostName,
    },
    /// A move that the store knows nothing of left the instance halted.
    Halted {
        /// The instance.
        instance: InstanceId,
        /// Where.
        host: HostName,
        /// What its guest does instead of running.
        guest: String,
    },
    /// Several hosts have a copy, and nothing tells which is the instance.
    Undecided {
        /// The instance.
        instance: InstanceId,
        /// Where.
        hosts: Vec<HostName>,
    },
}

impl fmt::Display for Discrepancy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Elsewhere { instance, recorded, found } => {
                write!(f, "{instance} is on {found}; the store has it on {recorded}")
            }
            Self::Obeyed { instance, known, obeyed } => {
                write!(f, "{instance} was ordered about since: generation {obeyed} was obeyed, the store knows {known}")
            }
            Self::Nowhere { instance, recorded } => {
                write!(f, "{instance} is on none of these hosts; the store has it on {recorded}")
            }
            Self::Halted { instance, host, guest } => {
                write!(f, "{instance} was left halted on {host} by a move the store knows nothing of: {guest}")
            }
            Self::Undecided { instance, hosts } => {
                let hosts: Vec<&str> = hosts.iter().map(HostName::as_str).collect();
                write!(f, "{instance} has a copy on each of {}, and nothing tells which counts", hosts.join(", "))
            }
        }
    }
}

/// Looks through the hosts and says in what they differ from the store; with `take`, has the store take that up and the
/// hosts be its own from then on, whoever's they were, and has those go on that a forgotten move left halted.
///
/// # Errors
/// Where a copy leaves it open which one counts, as [`ApplyError::Undecided`]; nothing is changed then. What a host says where
/// an instance does not go on: the rest is taken up by then.
pub async fn take_over(store: &Path, drivers: &Drivers, take: bool) -> Result<Vec<Discrepancy>, ApplyError> {
    let held = session::hold(store).await?;
    let (mut all, mut discrepancies, mut halted) = (Vec::new(), Vec::new(), Vec::new());
    for instance in held.store.fleet().await?.instances {
        let seen = Seen::of(&instance, drivers).await?;
        let known = held.store.generation(&instance.id).await?;
        discrepancies.extend(seen.discrepancies(&instance, known));
        halted.extend(seen.halted(&instance, known, drivers).await?);
        all.extend(seen.found(&instance, known));
    }
    let undecided: Vec<_> = discrepancies.iter().filter(|one| matches!(one, Discrepancy::Undecided { .. })).collect();
    if !undecided.is_empty() {
        return Err(ApplyError::Undecided { all: undecided.into_iter().cloned().collect() });
    }
    if take {
        held.store.take_up(&without_moving(&held.store, all).await?, SystemClock.now()).await?;
        held.adopt_from_anybody(drivers).await?;
        for one in &halted {
            one.go_on(drivers).await?;
        }
    }
    discrepancies.extend(halted.into_iter().map(|one| one.told));
    Ok(discrepancies)
}

/// An instance that a forgotten move left halted, and the latest order obeyed for it.
struct LeftHalted {
    instance: InstanceId,
    host: HostName,
    obeyed: Generation,
    told: Discrepancy,
}

impl LeftHalted {
    /// Powers it on, from its memory if that was saved.
    async fn go_on(&self, drivers: &Drivers) -> Result<(), ApplyError> {
        let Some(driver) = drivers.get(&self.host) else { return Ok(()) };
        let unseen = |source| ApplyError::Unseen { host: self.host.clone(), source };
        let _alone = driver.hypervisor.fence(&self.instance, self.obeyed).await.map_err(unseen)?;
        driver.hypervisor.start(&self.instance).await.map_err(unseen)
    }
}

/// An instance whose migration the hosts have not overtaken is where that migration says.
async fn without_moving(store: &Store, all: Vec<Found>) -> Result<Vec<Found>, ApplyError> {
    let moving = store.unfinished_migrations().await?;
    let goes_on = |found: &Found| {
        moving.iter().any(|one| one.subject.instance == found.instance && !one.is_overtaken(found.obeyed))
    };
    Ok(all.into_iter().filter(|found| !goes_on(found)).collect())
}

/// A copy that is down.
#[derive(Clone, Debug)]
struct Down {
    host: HostName,
    /// The beginning of the last migration that froze or built it.
    mark: Generation,
    /// The beginning of the migration for which the instance executed on that host.
    executed: Generation,
}

/// What the hosts have of one instance.
struct Seen {
    running: Vec<HostName>,
    stopped: Vec<Down>,
    /// Those of both that stand on an overlay: a move was under way, or its overlay is not merged yet.
    frozen: Vec<HostName>,
    obeyed: Generation,
    looked_at_home: bool,
}

impl Seen {
    async fn of(instance: &Instance, drivers: &Drivers) -> Result<Self, ApplyError> {
        let looked_at_home = drivers.contains_key(&instance.host);
        let (running, stopped, frozen) = (Vec::new(), Vec::new(), Vec::new());
        let mut seen = Self { running, stopped, frozen, obeyed: Generation(0), looked_at_home };
        for (host, driver) in drivers {
            let held = driver.hypervisor.observe(&instance.id).await;
            let held = held.map_err(|source| ApplyError::Unseen { host: host.clone(), source })?;
            seen.obeyed = seen.obeyed.max(held.fence);
            if let Copy::Running(facts) | Copy::Stopped(facts) = &held.copy
                && facts.frozen
                // One that its user shut down is to stay down.
                && facts.ended != Ending::ByUser
            {
                seen.frozen.push(host.clone());
            }
            match held.copy {
                Copy::Running(_) => seen.running.push(host.clone()),
                Copy::Stopped(facts) => {
                    seen.stopped.push(Down { host: host.clone(), mark: facts.mark, executed: held.executed });
                }
                Copy::Nothing | Copy::Incoming => {}
            }
        }
        Ok(seen)
    }

    /// Where the instance is: where it runs, else where the only copy of it is, or the one that counts of a forgotten move's
    /// two. A copy that is down counts only where its own host was looked at, too: it may be one that was left behind.
    fn place(&self, known: Generation) -> Option<&HostName> {
        match (&self.running[..], &self.stopped[..]) {
            ([one], _) => Some(one),
            ([], [one]) if self.looked_at_home => Some(&one.host),
            ([], several) if self.looked_at_home && self.obeyed > known => latest(several),
            _ => None,
        }
    }

    /// Whether a move that the store knows nothing of keeps an instance from running that is to.
    async fn halted(
        &self,
        instance: &Instance,
        known: Generation,
        drivers: &Drivers,
    ) -> Result<Option<LeftHalted>, ApplyError> {
        let Some(host) = self.place(known).filter(|host| self.frozen.contains(host)) else { return Ok(None) };
        let Some(driver) = drivers.get(host) else { return Ok(None) };
        if self.obeyed <= known || instance.state != InstanceState::Active {
            return Ok(None);
        }
        let health = driver.hypervisor.examine(&instance.id, None).await;
        let health = health.map_err(|source| ApplyError::Unseen { host: host.clone(), source })?;
        Ok(health.guest.map(|guest| {
            let (instance, host, obeyed) = (instance.id.clone(), host.clone(), self.obeyed);
            let told = Discrepancy::Halted { instance: instance.clone(), host: host.clone(), guest };
            LeftHalted { instance, host, obeyed, told }
        }))
    }

    fn found(&self, instance: &Instance, known: Generation) -> Option<Found> {
        let host = self.place(known).or(Some(&instance.host))?.clone();
        Some(Found { instance: instance.id.clone(), obeyed: self.obeyed, host })
    }

    fn discrepancies(&self, instance: &Instance, known: Generation) -> Vec<Discrepancy> {
        let (id, recorded) = (|| instance.id.clone(), || instance.host.clone());
        let overtaken = self.obeyed > known;
        let place = match self.place(known) {
            Some(found) if *found != instance.host => {
                Some(Discrepancy::Elsewhere { instance: id(), recorded: recorded(), found: found.clone() })
            }
            Some(_) => None,
            None if self.running.is_empty() && self.stopped.is_empty() => {
                self.looked_at_home.then(|| Discrepancy::Nowhere { instance: id(), recorded: recorded() })
            }
            // Its own host is left to whoever looks there.
            None if self.running.is_empty() && !self.looked_at_home => None,
            // Two copies that are down are a migration's two ends, as long as it is one the store knows.
            None if self.running.is_empty() && !overtaken => None,
            None => {
                let hosts = self.running.iter().chain(self.stopped.iter().map(|down| &down.host)).cloned().collect();
                Some(Discrepancy::Undecided { instance: id(), hosts })
            }
        };
        let obeyed = overtaken.then(|| Discrepancy::Obeyed { instance: id(), known, obeyed: self.obeyed });
        place.into_iter().chain(obeyed).collect()
    }
}

/// The copy that counts of those that a move's two ends have, both down. Where the instance has executed for that move, what it
/// wrote is nowhere else; where it has not, its target has what its source has, or is not defined. None where copies of the last
/// move are more than its two ends, or both say that they executed.
fn latest(stopped: &[Down]) -> Option<&HostName> {
    let last = stopped.iter().map(|down| down.mark).max().filter(|mark| *mark > Generation::default())?;
    let ends: Vec<&Down> = stopped.iter().filter(|down| down.mark == last).collect();
    let executed: Vec<&&Down> = ends.iter().filter(|down| down.executed == last).collect();
    match (&executed[..], &ends[..]) {
        ([one], _) => Some(&one.host),
        ([], [one] | [one, _]) => Some(&one.host),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn down(host: &str, mark: u64, executed: u64) -> Down {
        Down { host: host.into(), mark: Generation(mark), executed: Generation(executed) }
    }

    #[test]
    fn of_two_copies_that_are_down_the_one_counts_that_executed_last() {
        let host = |copies: &[Down]| latest(copies).map(HostName::to_string);
        let [source, target] = [down("a", 7, 3), down("b", 7, 7)];
        assert_eq!(host(&[source.clone(), target.clone()]).as_deref(), Some("b"));
        assert_eq!(host(&[target.clone(), source.clone()]).as_deref(), Some("b"));
        // Built and not started: both have the same.
        assert_eq!(host(&[source.clone(), down("b", 7, 5)]).as_deref(), Some("a"));
        // One that an older move left behind does not count.
        assert_eq!(host(&[down("c", 5, 5), target.clone(), source.clone()]).as_deref(), Some("b"));
        assert_eq!(host(&[down("c", 5, 5), source.clone()]).as_deref(), Some("a"));
    }

    #[test]
    fn what_no_mark_tells_is_left_to_a_person() {
        assert_eq!(latest(&[down("a", 0, 0), down("b", 0, 0)]), None);
        assert_eq!(latest(&[down("a", 7, 7), down("b", 7, 7)]), None);
        assert_eq!(latest(&[down("a", 7, 0), down("b", 7, 0), down("c", 7, 0)]), None);
    }
}
