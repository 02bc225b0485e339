//! The lab's fleet: three hosts so full that the largest guest of one finds room only where a third guest makes it.

use decant_schema::fleet::{self, Fleet};

/// The fleet as every lab begins: `oak` can be emptied only if a guest of `elm` or `ash` moves too.
pub fn fleet() -> Fleet {
    fleet::read(include_bytes!("fleet.json")).expect("the document is part of this program and a test reads it").fleet
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_fleet_that_is_built_in_can_be_read() {
        assert_eq!(super::fleet().instances().len(), 6);
    }
}
