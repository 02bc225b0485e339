//! Places that a smaller one may take: what fits into the place of one kind leaves it to another that needs no more.
//!
//! A pattern says how many of each kind come; with exchanges it says how many places of at least that size there are, and
//! a few patterns have many more ways to be whole. In prices they say that who needs no more costs no more, which holds
//! of the best prices anyway (dual inequalities; Valério de Carvalho 2005).

use super::model::{CLASSES_MAX, Model, Row};

/// A place for one kind that another kind may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Exchange {
    /// Whose place it is.
    pub(super) place: Row,
    /// Who may take it.
    pub(super) taker: Row,
}

/// The exchanges of a pool from which all others follow, the largest places first: a chain of exchanges meets every place
/// after those that may pass into it.
pub(super) fn exchanges(model: &Model) -> Vec<Exchange> {
    let rows = 0..model.kinds.len();
    let takers: Vec<Vec<Row>> =
        rows.clone().map(|place| rows.clone().filter(|taker| takes(model, *taker, place)).collect()).collect();
    let direct =
        |exchange: &Exchange| !takers[exchange.place].iter().any(|between| takers[*between].contains(&exchange.taker));
    let mut exchanges: Vec<Exchange> = takers
        .iter()
        .enumerate()
        .flat_map(|(place, takers)| takers.iter().map(move |taker| Exchange { place, taker: *taker }))
        .filter(direct)
        .collect();
    exchanges.sort_by(|a, b| {
        let need = |exchange: &Exchange| model.kinds[exchange.place].need;
        need(b).cmp(&need(a)).then(a.cmp(b))
    });
    exchanges
}

/// Whether one kind fits wherever another does; of two that need the same, the later one does.
fn takes(model: &Model, taker: Row, place: Row) -> bool {
    let need = |row: Row| model.kinds[row].need;
    let no_more = (0..CLASSES_MAX).all(|class| need(taker)[class] <= need(place)[class]);
    let admitted = |set: &Vec<Row>| !set.contains(&place) || set.contains(&taker);
    no_more && (need(taker) != need(place) || taker > place) && model.admitted.iter().all(admitted)
}
