//! Tags of keys and key sets, all in one list.

use crate::domain::ids::OrgId;
use crate::domain::page::{Page, PageRequest};
use crate::domain::tags::Tagged;
use crate::error::Result;
use crate::store::{self, Db};

/// A part of all tags of the org, or of all uses of one tag.
pub async fn list(
    db: &Db,
    org: &OrgId,
    tag: Option<String>,
    page: PageRequest<Tagged>,
) -> Result<Page<Tagged, Tagged>> {
    let org = org.clone();
    db.read(move |conn| store::tags::page(conn, &org, tag.as_deref(), &page)).await
}
