//! Who may do what, and in which pool: the parties of a certificate, found from the fleet and the request alone.
//!
//! Whoever may leave joins its host with every host it may go to; the connected parts are the pools. Nobody ever
//! leaves one, so their bounds add up.

use std::collections::HashMap;

use decant_schema::fleet::{Mobility, Resources};
use decant_schema::id::{PoolName, ZoneName};
use petgraph::unionfind::UnionFind;

use super::company;
use super::rule::{Wish, immobile, objections, staying};
use super::scene::{Amounts, Asked, Scene};

/// Instances alike in what they need, what they claim and where they may go.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Kind {
    pub(super) need: Amounts,
    pub(super) claim: Amounts,
    /// Position in [`Pools::admitted`].
    pub(super) admitted: usize,
}

/// What an instance has to decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Departs, unless nothing lets it, or is refused.
    Evacuee { stuck: bool },
    /// Departs or is resized in place, as far as it may, or is refused.
    Resized { departs: bool, in_place: bool },
    /// Departs or stays.
    ThirdParty,
}

impl Role {
    /// The same, knowing where it may be: nowhere is as good as stuck.
    fn admitted_to(self, hosts: &[usize]) -> Self {
        match self {
            Self::Evacuee { stuck } => Self::Evacuee { stuck: stuck || hosts.is_empty() },
            Self::Resized { departs, in_place } => Self::Resized { departs: departs && !hosts.is_empty(), in_place },
            Self::ThirdParty => Self::ThirdParty,
        }
    }

    /// The same for one that nothing lets leave.
    fn staying(self) -> Self {
        match self {
            Self::Evacuee { .. } => Self::Evacuee { stuck: true },
            Self::Resized { in_place, .. } => Self::Resized { departs: false, in_place },
            Self::ThirdParty => Self::ThirdParty,
        }
    }

    /// Whether it may leave its host.
    fn may_depart(self) -> bool {
        !matches!(self, Self::Evacuee { stuck: true } | Self::Resized { departs: false, .. })
    }

    /// Whether nothing can be done for it: every plan refuses it.
    pub(super) fn is_hopeless(self) -> bool {
        matches!(self, Self::Evacuee { stuck: true } | Self::Resized { departs: false, in_place: false })
    }
}

/// An instance that has something to decide.
pub(super) struct Party {
    pub(super) instance: usize,
    pub(super) kind: usize,
    pub(super) role: Role,
}

/// Everybody who has something to decide, and the pools they are in.
pub(super) struct Pools {
    pub(super) kinds: Vec<Kind>,
    /// Distinct sets of hosts, each in order.
    pub(super) admitted: Vec<Vec<usize>>,
    /// By host: who is there and has something to decide.
    pub(super) parties: Vec<Vec<Party>>,
    /// By host: its pool, as the host that stands for it.
    pub(super) pool: Vec<usize>,
}

impl Pools {
    pub(super) fn new(scene: &Scene<'_>) -> Self {
        let hosts = scene.fleet.hosts().len();
        let mut kinds = Interned::default();
        let mut admission = Admission::default();
        let mut parties: Vec<Vec<Party>> = (0..hosts).map(|_| Vec::new()).collect();
        let roles = roles(scene);
        for (instance, role) in roles.into_iter().enumerate() {
            let Some(role) = role else { continue };
            let wish = Wish::of(scene, instance);
            let own_host = matches!(role, Role::Resized { in_place: true, .. }).then_some(scene.home[instance]);
            let admitted = admission.of(scene, wish, role.may_depart(), own_host);
            let role = role.admitted_to(&admission.sets.items[admitted]);
            let kind = Kind { need: scene.dense(wish.resources), claim: scene.claim(instance), admitted };
            parties[scene.home[instance]].push(Party { instance, kind: kinds.position(kind), role });
        }
        let mut joined = UnionFind::new(hosts);
        for admitted in &admission.sets.items {
            admitted.windows(2).for_each(|pair| {
                joined.union(pair[0], pair[1]);
            });
        }
        for (host, parties) in parties.iter().enumerate() {
            for party in parties.iter().filter(|party| party.role.may_depart()) {
                if let Some(other) = admission.sets.items[kinds.items[party.kind].admitted].first() {
                    joined.union(host, *other);
                }
            }
        }
        let pool = (0..hosts).map(|host| joined.find(host)).collect();
        Self { kinds: kinds.items, admitted: admission.sets.items, parties, pool }
    }

    /// The hosts of a pool.
    pub(super) fn hosts(&self, pool: usize) -> impl Iterator<Item = usize> + '_ {
        (0..self.pool.len()).filter(move |host| self.pool[*host] == pool)
    }

    /// Everybody of a pool who has something to decide.
    pub(super) fn parties_of(&self, pool: usize) -> impl Iterator<Item = &Party> {
        self.hosts(pool).flat_map(|host| &self.parties[host])
    }
}

/// By instance: what it has to decide, if anything.
fn roles(scene: &Scene<'_>) -> Vec<Option<Role>> {
    let mut roles: Vec<Option<Role>> = (0..scene.fleet.instances().len()).map(|at| role(scene, at)).collect();
    let movable: Vec<bool> = roles.iter().map(|role| role.is_some_and(Role::may_depart)).collect();
    for at in company::without(scene, &movable) {
        roles[at] = roles[at].map(Role::staying);
    }
    roles
}

fn role(scene: &Scene<'_>, at: usize) -> Option<Role> {
    let instance = scene.instance(at);
    let stuck = immobile(scene, at).is_some();
    match scene.asked(at) {
        Some(Asked::Leave) => Some(Role::Evacuee { stuck }),
        Some(Asked::Resize(_)) => {
            let in_place = staying(scene.host(scene.home[at]), Wish::of(scene, at).flavor).is_empty();
            Some(Role::Resized { departs: !stuck, in_place })
        }
        None => {
            let fixed = stuck || instance.mobility == Mobility::None || scene.displaces_nobody();
            (!fixed && scene.host(scene.home[at]).up).then_some(Role::ThirdParty)
        }
    }
}

/// Distinct values by their position.
struct Interned<T> {
    items: Vec<T>,
    positions: HashMap<T, usize>,
}

impl<T> Default for Interned<T> {
    fn default() -> Self {
        Self { items: Vec::new(), positions: HashMap::new() }
    }
}

impl<T: Clone + Eq + std::hash::Hash> Interned<T> {
    fn position(&mut self, item: T) -> usize {
        *self.positions.entry(item).or_insert_with_key(|item| {
            self.items.push(item.clone());
            self.items.len() - 1
        })
    }
}

/// All of a wish that decides where it is admitted.
type Asking<'a> = (&'a str, &'a Resources, Option<&'a ZoneName>, Option<&'a PoolName>, Option<u64>);

/// Where instances are admitted; each wish is judged once, whoever has it.
#[derive(Default)]
struct Admission<'a> {
    sets: Interned<Vec<usize>>,
    known: HashMap<Asking<'a>, usize>,
}

impl<'a> Admission<'a> {
    /// Where a wish is admitted: on other hosts if it may depart, and on its own if it may be resized there.
    fn of(&mut self, scene: &Scene<'_>, wish: Wish<'a>, departs: bool, own_host: Option<usize>) -> usize {
        let elsewhere = if departs { self.elsewhere(scene, wish) } else { self.sets.position(Vec::new()) };
        let Some(own_host) = own_host.filter(|own| !self.sets.items[elsewhere].contains(own)) else {
            return elsewhere;
        };
        let mut hosts = self.sets.items[elsewhere].clone();
        hosts.push(own_host);
        hosts.sort_unstable();
        self.sets.position(hosts)
    }

    fn elsewhere(&mut self, scene: &Scene<'_>, wish: Wish<'a>) -> usize {
        let instance = wish.instance;
        let asking = (
            wish.flavor.name.as_str(),
            wish.resources,
            instance.zone.as_ref(),
            instance.storage.as_ref(),
            wish.version_min,
        );
        *self.known.entry(asking).or_insert_with(|| {
            let hosts = 0..scene.fleet.hosts().len();
            self.sets.position(hosts.filter(|host| objections(scene, &wish, scene.host(*host)).is_empty()).collect())
        })
    }
}
