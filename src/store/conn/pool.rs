//! Pools of connections.

use std::time::Duration;

use deadpool::managed::{self, Metrics, RecycleError, RecycleResult};
use diesel::Connection;
use diesel::connection::TransactionManager;
use tokio::runtime::Handle;

use super::{Conn, Place, on_backend, sqlite};
use crate::error::{Error, Result};

/// Connections of one kind.
pub(super) type Pool = managed::Pool<Manager>;

/// A connection that goes back to its pool.
pub(super) type Object = managed::Object<Manager>;

/// A pool of up to `size` connections, which are made when they are needed.
pub(super) fn build(manager: Manager, size: usize) -> Result<Pool> {
    let pool = Pool::builder(manager).max_size(size).build();
    pool.map_err(|error| Error::internal("database pool", error))
}

/// A connection, when there is one to have.
pub(super) async fn take(pool: &Pool) -> Result<Object> {
    pool.get().await.map_err(|error| match error {
        managed::PoolError::Backend(error) => error,
        other => Error::internal("database pool", other),
    })
}

/// Makes connections, and looks at those that come back.
pub(super) struct Manager {
    pub(super) place: Place,
    pub(super) read_only: bool,
    pub(super) runtime: Handle,
    pub(super) limit: Option<Duration>,
}

impl Manager {
    async fn establish(place: Place, read_only: bool, limit: Option<Duration>) -> Result<Conn> {
        let opening = match place {
            Place::Sqlite(path) => {
                tokio::task::spawn_blocking(move || Ok(Conn::Sqlite(sqlite::establish(&path, read_only)?)))
            }
            Place::Postgres(server, _) => {
                return Ok(Conn::Postgres(Box::new(server.open(read_only, limit).await?)));
            }
        };
        opening.await.unwrap_or_else(|fault| Err(Error::internal("opening the database", fault)))
    }
}

impl managed::Manager for Manager {
    type Type = Conn;
    type Error = Error;

    async fn create(&self) -> Result<Conn> {
        // On the background runtime: a connection to PostgreSQL lives as long as the runtime it was made on.
        let opening = self.runtime.spawn(Self::establish(self.place.clone(), self.read_only, self.limit));
        opening.await.unwrap_or_else(|fault| Err(Error::internal("opening the database", fault)))
    }

    async fn recycle(&self, conn: &mut Conn, _: &Metrics) -> RecycleResult<Error> {
        // A closure that panicked inside a transaction leaves the connection in it.
        if on_backend!(conn, |c| is_broken(c)) {
            return Err(RecycleError::message("left inside a transaction"));
        }
        match conn {
            Conn::Postgres(link) if link.is_lost() => Err(RecycleError::message("the server closed it")),
            _ => Ok(()),
        }
    }
}

fn is_broken<C: Connection>(conn: &mut C) -> bool {
    C::TransactionManager::is_broken_transaction_manager(conn)
}
