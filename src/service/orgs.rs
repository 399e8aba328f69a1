//! Orgs, which operators manage from the command line.

use std::sync::Arc;

use super::audit::Operator;
use crate::domain::audit::{EventType, Origin};
use crate::domain::ids::OrgId;
use crate::domain::org::{Org, OrgName};
use crate::domain::{Clock, Entropy};
use crate::error::{Error, Kind, Result};
use crate::store::{self, Conn, Db};

/// The use cases of orgs. Cheap to clone.
#[derive(Clone)]
pub struct Orgs {
    /// The database.
    pub db: Db,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness for ids.
    pub entropy: Arc<dyn Entropy>,
    /// Who manages them.
    pub operator: Operator,
}

impl Orgs {
    /// Makes an org. Refused when the name is taken.
    pub async fn create(&self, name: OrgName, hook_key_limit: Option<u32>) -> Result<Org> {
        let org = Org {
            id: OrgId::generate(&*self.entropy)?,
            name: name.as_str().to_owned(),
            hook_key_limit,
            created: self.clock.now(),
        };
        let origin = self.origin()?;
        self.db
            .write("create_org", move |conn| {
                if store::orgs::find_by_name(conn, &org.name)?.is_some() {
                    return Err(Error::invalid("org", format_args!("{:?} exists already", org.name)));
                }
                store::orgs::insert(conn, &org)?;
                record(conn, &origin, EventType::OrgCreated, &org)?;
                Ok(org.clone())
            })
            .await
    }

    /// All orgs, by name.
    pub async fn list(&self) -> Result<Vec<Org>> {
        self.db.read(store::orgs::list).await
    }

    /// The org of this name.
    pub async fn find(&self, name: OrgName) -> Result<Org> {
        self.db.read(move |conn| by_name(conn, &name)).await
    }

    /// Sets the org's own limit of hook keys; `None` makes it follow the setting again. Keys beyond a
    /// lowered limit stay.
    pub async fn set_hook_key_limit(&self, name: OrgName, limit: Option<u32>) -> Result<Org> {
        let origin = self.origin()?;
        self.db
            .write("set_hook_key_limit", move |conn| {
                let org = by_name(conn, &name)?;
                store::orgs::set_hook_key_limit(conn, &org.id, limit)?;
                record(conn, &origin, EventType::OrgUpdated, &org)?;
                Ok(Org { hook_key_limit: limit, ..org })
            })
            .await
    }

    /// Deletes an org with its tokens. One that still has keys or hooks is refused, unless `with_all`. What the audit
    /// trail tells of it stays.
    pub async fn delete(&self, name: OrgName, with_all: bool) -> Result<()> {
        let origin = self.origin()?;
        self.db
            .write("delete_org", move |conn| {
                let org = by_name(conn, &name)?;
                let hook_keys = store::hook_keys::count(conn, &org.id)?;
                let hooks = store::inline_hooks::count(conn, &org.id)?;
                let keys = store::keys::count(conn, &org.id)?;
                if hook_keys + hooks + keys > 0 && !with_all {
                    return Err(Error::invalid(
                        "org",
                        format_args!(
                            "{:?} still has {hook_keys} hook key(s), {hooks} inline hook(s) and {keys} \
                             key(s): delete them first, or say --force to lose their private halves and \
                             secrets for good",
                            org.name
                        ),
                    ));
                }
                store::orgs::delete(conn, &org.id)?;
                record(conn, &origin, EventType::OrgDeleted, &org)
            })
            .await
    }

    fn origin(&self) -> Result<Origin> {
        self.operator.origin(&*self.clock, &*self.entropy)
    }
}

fn record(conn: &mut Conn, origin: &Origin, kind: EventType, org: &Org) -> Result<()> {
    store::audit::insert(conn, &origin.done(0, Some(&org.id), kind, vec![org.into()]))
}

/// The org of a caller. One that was deleted since the caller authenticated took the caller's token with it.
pub(super) fn require(conn: &mut Conn, org: &OrgId) -> Result<Org> {
    store::orgs::find(conn, org)?.ok_or_else(|| Error::new(Kind::BadCredentials))
}

fn by_name(conn: &mut Conn, name: &OrgName) -> Result<Org> {
    store::orgs::find_by_name(conn, name.as_str())?.ok_or_else(|| {
        Error::invalid(
            "org",
            format_args!("there is no org {:?}: `hook-keys org list` shows all", name.as_str()),
        )
    })
}
