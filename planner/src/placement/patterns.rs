//! Placement as host patterns, by column generation (Dantzig and Wolfe 1960; Gilmore and Gomory 1961).
//!
//! A pattern says, for one host, how many of each kind come and go. The master chooses patterns so that everyone has a
//! place, at least cost; its prices say which pattern is missing; and any prices at all yield a proven bound. The bound
//! is tight in practice: rounded up to what memory comes in, it is mostly reached.
//!
//! ```text
//! model ──► generate (table, pricing, master) ──► integers ──► slots, for `assign`
//! ```

mod branch;
mod dive;
mod exchange;
mod generate;
mod integers;
mod master;
mod model;
mod pricing;
mod table;
#[cfg(test)]
mod tests;

use decant_schema::plan::{KindPrice, PoolCertificate, TierName};

use crate::limits::Limits;
use crate::problem::HostIdx;

use super::assign::Slots;
use super::pools::Pool;
use super::proof::Proof;
use super::tally::Tally;

use generate::Generated;
use integers::Chosen;
pub(super) use integers::Way;
pub(super) use model::Charge;
use model::Model;

/// What column generation made of a pool.
pub(super) struct Patterns {
    model: Model,
    generated: Generated,
    proof: Proof,
}

impl Patterns {
    /// Runs column generation on the pool as it stands in the tally. As a relaxation, third parties bound by affinity
    /// may move; as a plan, they stay.
    pub(super) fn new(tally: &Tally<'_>, pool: &Pool, charge: Charge, relaxed: bool, limits: &Limits<'_>) -> Self {
        let model = Model::new(tally, pool, relaxed);
        let generated = generate::generate(&model, charge, limits);
        let proof = prove(tally, pool, charge, &model, &generated);
        Self { model, generated, proof }
    }

    /// Whether it stopped early since some may have to be refused: how many there must be is to be found out first, see
    /// [`Self::go_on`].
    pub(super) fn is_in_doubt(&self) -> bool {
        self.generated.in_doubt
    }

    /// Goes on where so many of the pool are refused in any case. One that is resized is refused by its host's pattern, so
    /// that where there are any, no refusals are for nothing.
    pub(super) fn go_on(&self, tally: &Tally<'_>, pool: &Pool, refused: u64, limits: &Limits<'_>) -> Self {
        let model = self.model.clone();
        let free = if model.has_resizes() { 0 } else { refused.saturating_sub(model.hopeless) };
        let generated = generate::go_on(&model, &self.generated, free, limits);
        let proof = prove(tally, pool, Charge::Displaced, &model, &generated);
        Self { model, generated, proof }
    }

    /// What its prices prove.
    pub(super) fn proof(&self) -> &Proof {
        &self.proof
    }

    /// What displaced memory comes in, MiB.
    pub(super) fn step_mib(&self) -> u64 {
        self.model.step.unsigned_abs()
    }

    /// Whole patterns for every host in several ways, as slots; the most promising first.
    pub(super) fn slots(&mut self, way: Way, seed: u64, limits: &Limits<'_>) -> Vec<Slots> {
        let chosen = integers::choose(&self.model, &mut self.generated, way, seed, limits);
        chosen.iter().filter_map(|chosen| self.fill_in(chosen)).collect()
    }

    /// For every host the pattern it follows most, as slots; `None` if the master failed.
    pub(super) fn most_used(&self) -> Option<Slots> {
        let Generated { columns, solved, .. } = &self.generated;
        self.fill_in(&integers::most_used(&self.model, columns, &solved.as_ref()?.used))
    }

    fn fill_in(&self, chosen: &Chosen) -> Option<Slots> {
        let mut slots = Slots::default();
        let mut taken = vec![0; self.model.hosts.len()];
        for (at, times) in &chosen.uses {
            let column = &self.generated.columns[*at];
            for _ in 0..*times {
                // Alike hosts are taken in turn; a solver that used more of them than there are is not believed.
                let host = *self.model.hosts[column.host].hosts.get(taken[column.host])?;
                taken[column.host] += 1;
                self.fill(&mut slots, column, host);
            }
        }
        for (exchange, times) in &chosen.exchanged {
            let kind = |row: usize| self.model.kinds[row].kind;
            slots.exchange(kind(exchange.place), kind(exchange.taker), *times);
        }
        Some(slots)
    }

    fn fill(&self, slots: &mut Slots, column: &master::Column, host: HostIdx) {
        let kind = |row: usize| self.model.kinds[row].kind;
        let content = |at: usize| kind(self.model.hosts[column.host].content[at].row);
        for (row, count) in &column.pattern.arrive {
            *slots.arrive.entry((kind(*row), host)).or_default() += count;
        }
        for (at, count) in &column.pattern.depart {
            *slots.depart.entry((host, content(*at))).or_default() += count;
        }
        for (at, count) in &column.pattern.in_place {
            *slots.in_place.entry((host, content(*at))).or_default() += count;
        }
    }
}

/// The best prices, in the fleet's own names.
fn prove(tally: &Tally<'_>, pool: &Pool, charge: Charge, model: &Model, generated: &Generated) -> Proof {
    let problem = tally.ground.problem;
    let unsigned = |amount: i64| u64::try_from(amount).expect("prices are not negative");
    // What may not depart is alike to nobody who goes anywhere: a price for it would be read as another kind's.
    let departs = |kind: &model::KindRow| tally.ground.departs(kind.like);
    let priced = model.kinds.iter().zip(&generated.prices.rows).filter(|(kind, price)| **price > 0 && departs(kind));
    let prices = priced.map(|(kind, price)| KindPrice {
        like: problem.fleet.instances()[kind.like.at()].id.clone(),
        price: unsigned(*price),
    });
    let (refusal, pays) = generated.with_priced_refusals(model);
    let certificate = PoolCertificate {
        host: problem.fleet.hosts()[pool.hosts[0].at()].name.clone(),
        tier: match charge {
            Charge::Refused => TierName::Refused,
            Charge::Displaced => TierName::DisplacedMemoryMb,
        },
        bound: 0,
        classes: model.classes.iter().map(|class| problem.classes[*class].clone()).collect(),
        denominator: unsigned(generated.denominator),
        refusal_price: unsigned(refusal),
        refused: 0,
        step: unsigned(generated.step / generated.denominator),
        prices: prices.collect(),
    };
    Proof::new(pays, certificate)
}
