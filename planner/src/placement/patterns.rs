//! Placement as host patterns, by column generation (Dantzig and Wolfe 1960; Gilmore and Gomory 1961).
//!
//! A pattern says, for one host, how many of each kind come and go. The master chooses patterns so that everyone has a
//! place, at least cost; its prices say which pattern is missing; and any prices at all yield a proven bound. The bound
//! is tight in practice: rounded up to what memory comes in, it is mostly reached.
//!
//! ```text
//! model ──► generate (table, pricing, master) ──► integers ──► slots, for `assign`
//! ```

mod dive;
mod generate;
mod integers;
mod master;
mod model;
mod pricing;
mod table;
#[cfg(test)]
mod tests;

use decant_schema::id::ResourceClass;
use decant_schema::plan::{KindPrice, PoolCertificate, TierName};

use crate::limits::Limits;
use crate::problem::HostIdx;

use super::assign::Slots;
use super::pools::Pool;
use super::tally::Tally;

use generate::Generated;
pub(super) use model::Charge;
use model::Model;

/// What column generation made of a pool.
pub(super) struct Patterns {
    model: Model,
    generated: Generated,
}

impl Patterns {
    /// Runs column generation on the pool as it stands in the tally. As a relaxation, third parties bound by affinity
    /// may move; as a plan, they stay.
    pub(super) fn new(tally: &Tally<'_>, pool: &Pool, charge: Charge, relaxed: bool, limits: &Limits<'_>) -> Self {
        let model = Model::new(tally, pool, relaxed);
        let generated = generate::generate(&model, charge, limits);
        Self { model, generated }
    }

    /// The proven bound of the tier: refused instances, or MiB if none is refused beyond `refused`.
    pub(super) fn bound(&self, refused: u64) -> u64 {
        let paid = i64::try_from(refused).unwrap_or(i64::MAX).saturating_mul(self.generated.prices.refusal);
        let steps = generate::steps(self.generated.bound.saturating_sub(paid), self.generated.step).max(0);
        let per_step = self.generated.step / self.generated.denominator;
        u64::try_from(steps * per_step).unwrap_or(0)
    }

    /// The prices that prove the bound.
    pub(super) fn certificate(&self, tally: &Tally<'_>, pool: &Pool, charge: Charge, refused: u64) -> PoolCertificate {
        let fleet = &tally.ground.problem.fleet;
        let unsigned = |amount: i64| u64::try_from(amount).expect("prices are not negative");
        let priced = self.model.kinds.iter().zip(&self.generated.prices.rows).filter(|(_, price)| **price > 0);
        PoolCertificate {
            host: fleet.hosts()[pool.hosts[0].at()].name.clone(),
            tier: match charge {
                Charge::Refused => TierName::Refused,
                Charge::Displaced => TierName::DisplacedMemoryMb,
            },
            bound: self.bound(refused),
            classes: self.classes(tally),
            denominator: unsigned(self.generated.denominator),
            refusal_price: unsigned(self.generated.prices.refusal),
            refused,
            step: unsigned(self.generated.step / self.generated.denominator),
            prices: priced
                .map(|(kind, price)| KindPrice {
                    like: fleet.instances()[kind.like.at()].id.clone(),
                    price: unsigned(*price),
                })
                .collect(),
        }
    }

    fn classes(&self, tally: &Tally<'_>) -> Vec<ResourceClass> {
        self.model.classes.iter().map(|class| tally.ground.problem.classes[*class].clone()).collect()
    }

    /// Whole patterns for every host, as slots; `None` if none were found.
    pub(super) fn slots(&mut self, limits: &Limits<'_>) -> Option<Slots> {
        let chosen = integers::choose(&self.model, &mut self.generated, limits)?;
        let mut slots = Slots::default();
        let mut taken = vec![0; self.model.hosts.len()];
        for (at, times) in chosen {
            let column = &self.generated.columns[at];
            for _ in 0..times {
                // Alike hosts are taken in turn; a solver that used more of them than there are is not believed.
                let host = *self.model.hosts[column.host].hosts.get(taken[column.host])?;
                taken[column.host] += 1;
                self.fill(&mut slots, column, host);
            }
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
