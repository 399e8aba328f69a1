//! Where values are sealed to.

use crate::domain::ids::OrgId;
use crate::seal::Place;
use crate::store::sealed::Column;

/// The place of a value: it opens in no other column, row or org.
pub(super) fn place<'a>(column: Column, org: &'a OrgId, row: &'a str) -> Place<'a> {
    let (table, column) = column.place();
    Place { table, column, row, org: org.as_str() }
}
