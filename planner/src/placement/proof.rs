//! What prices prove of a pool.

use decant_schema::plan::{PoolCertificate, TierName};

/// Prices, and what the hosts of a pool pay at least when each decides for itself
/// (see [`decant_schema::plan::Certificate`]). One that refuses more may displace less, so the bound on displaced
/// memory is one for a number of refusals.
#[derive(Clone, Debug)]
pub(super) struct Proof {
    /// What the hosts pay, in price units.
    pays: i64,
    /// As it is where nobody is refused.
    certificate: PoolCertificate,
}

impl Proof {
    pub(super) fn new(pays: i64, certificate: PoolCertificate) -> Self {
        Self { pays, certificate }
    }

    /// Which tier it bounds.
    pub(super) fn tier(&self) -> TierName {
        self.certificate.tier
    }

    /// The least of its tier in any placement that refuses at most so many of the pool: refused instances, or MiB.
    pub(super) fn bound(&self, refused: u64) -> u64 {
        let price = i128::from(self.certificate.refusal_price);
        let paid = if self.tier() == TierName::Refused { 0 } else { i128::from(refused) * price };
        let step = i128::from(self.certificate.step) * i128::from(self.certificate.denominator);
        let steps = -(paid - i128::from(self.pays)).div_euclid(step);
        u64::try_from(steps * i128::from(self.certificate.step)).unwrap_or(0)
    }

    /// For others to verify.
    pub(super) fn certificate(&self, refused: u64) -> PoolCertificate {
        let refused = if self.tier() == TierName::Refused { 0 } else { refused };
        PoolCertificate { bound: self.bound(refused), refused, ..self.certificate.clone() }
    }
}
