//! The two databases that everything is measured on.

use std::path::Path;

use tokio_postgres::{NoTls, SimpleQueryMessage};

use crate::Result;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    Sqlite,
    Postgres,
}

impl Engine {
    pub(crate) const BOTH: [Self; 2] = [Self::Sqlite, Self::Postgres];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
        }
    }

    /// Makes room for a database and returns what the setting `database_url` calls it.
    pub(crate) fn create(self, work: &Path, server: &str, name: &str) -> Result<String> {
        match self {
            Self::Sqlite => Ok(format!("sqlite:{}", work.join(format!("{name}.db")).display())),
            Self::Postgres => {
                sql(server, &format!("CREATE DATABASE {name}"))?;
                let (start, _) = server.rsplit_once('/').ok_or("a server's URL without a database")?;
                Ok(format!("{start}/{name}"))
            }
        }
    }

    /// Brings a database that was just filled into the state of one that has been there for a while. Otherwise
    /// PostgreSQL would begin to tidy up in the middle of a round. SQLite has done so when the last connection closed.
    pub(crate) fn tidy(self, url: &str) -> Result<()> {
        match self {
            Self::Sqlite => Ok(()),
            Self::Postgres => sql(url, "VACUUM ANALYZE").and_then(|_| sql(url, "CHECKPOINT")).map(drop),
        }
    }
}

/// Runs SQL on a PostgreSQL server and returns the first value that it answers with.
pub(crate) fn sql(url: &str, statement: &str) -> Result<Option<String>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
        let connection = tokio::spawn(connection);
        let answer = client.simple_query(statement).await?;
        drop(client);
        connection.await??;
        let first = |message: &SimpleQueryMessage| match message {
            SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
            _ => None,
        };
        Ok(answer.iter().find_map(first))
    })
}
