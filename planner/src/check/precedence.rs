//! Which moves follow which, over any number of `after` edges.
//!
//! One bit per pair of interest, swept along the printed order; columns are taken a block at a time, so that plans
//! of a hundred thousand moves need no square matrix.

use super::itinerary::Step;

/// Moves asked about in one sweep: 4096 columns are 512 bytes a move, which stays in the cache.
pub(super) const BLOCK: usize = 4096;

/// For some earlier moves, which moves follow them.
pub(super) struct Followers {
    column: std::collections::HashMap<usize, usize>,
    words: usize,
    bits: Vec<u64>,
}

impl Followers {
    /// Finds who follows any of `earlier`; `after` always points to smaller positions.
    pub(super) fn of(steps: &[Step<'_>], earlier: &[usize]) -> Self {
        let column: std::collections::HashMap<usize, usize> =
            earlier.iter().enumerate().map(|(column, step)| (*step, column)).collect();
        let words = earlier.len().div_ceil(64);
        let mut bits = vec![0; steps.len() * words];
        for (at, step) in steps.iter().enumerate() {
            let (before, rest) = bits.split_at_mut(at * words);
            let row = &mut rest[..words];
            for after in &step.after {
                for (word, inherited) in row.iter_mut().zip(&before[after * words..]) {
                    *word |= inherited;
                }
                if let Some(column) = column.get(after) {
                    row[column / 64] |= 1 << (column % 64);
                }
            }
        }
        Self { column, words, bits }
    }

    /// Whether `later` starts only when `earlier`, one of those asked about, has ended.
    pub(super) fn follows(&self, later: usize, earlier: usize) -> bool {
        let column = self.column[&earlier];
        self.bits[later * self.words + column / 64] >> (column % 64) & 1 == 1
    }
}
