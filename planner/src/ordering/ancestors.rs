//! Which moves a move follows, directly or not: a triangle of bits, as an order's moves only follow earlier ones.
//!
//! Ten thousand moves take six megabytes, and whether one follows another is one look.

/// For every move so far, the moves it follows.
#[derive(Default)]
pub(crate) struct Ancestors {
    rows: Vec<Box<[u64]>>,
}

impl Ancestors {
    /// Of moves in order, by those each waits for.
    pub(crate) fn of<'m>(after: impl Iterator<Item = &'m [usize]>) -> Self {
        let mut ancestors = Self::default();
        for (at, after) in after.enumerate() {
            let mut row = Self::row(at);
            after.iter().for_each(|earlier| ancestors.join(&mut row, *earlier));
            ancestors.push(row);
        }
        ancestors
    }

    /// Whether a move starts only when another has ended, which may come after it in the order.
    pub(crate) fn follows(&self, later: usize, earlier: usize) -> bool {
        earlier < later && Self::has(&self.rows[later], earlier)
    }

    /// A row for the move at a position, which follows nobody yet.
    pub(crate) fn row(at: usize) -> Box<[u64]> {
        vec![0; at.div_ceil(64)].into()
    }

    /// Whether a row has an earlier move.
    pub(crate) fn has(row: &[u64], earlier: usize) -> bool {
        row[earlier / 64] >> (earlier % 64) & 1 == 1
    }

    /// Makes a row follow an earlier move and all that one follows.
    pub(crate) fn join(&self, row: &mut [u64], earlier: usize) {
        for (word, inherited) in row.iter_mut().zip(&self.rows[earlier]) {
            *word |= inherited;
        }
        row[earlier / 64] |= 1 << (earlier % 64);
    }

    /// Those of some moves that none of the others follows, in order.
    pub(crate) fn without_transitive(&self, mut moves: Vec<usize>) -> Vec<usize> {
        moves.sort_unstable();
        let implied = |earlier: usize, later: &[usize]| later.iter().any(|late| Self::has(&self.rows[*late], earlier));
        (0..moves.len()).filter(|at| !implied(moves[*at], &moves[at + 1..])).map(|at| moves[at]).collect()
    }

    /// Adds the next move's row.
    pub(crate) fn push(&mut self, row: Box<[u64]>) {
        self.rows.push(row);
    }
}
