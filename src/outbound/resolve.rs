//! Names to addresses, with the policy between the answer and the connection.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::pin::Pin;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::Semaphore;

use super::policy::Policy;

/// The addresses of a name, to come.
pub type Found = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// A source of addresses. Tests put one here whose answers change.
pub trait Lookup: Send + Sync {
    /// The addresses of `name`.
    fn lookup(&self, name: String) -> Found;
}

/// Most lookups at once. One whose name server does not answer keeps its thread for many seconds, whatever
/// became of the call, and the threads are also those of the database.
const LOOKUPS: usize = 32;

/// The operating system's resolver.
#[derive(Debug, Clone)]
pub struct SystemLookup(Arc<Semaphore>);

impl Default for SystemLookup {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(LOOKUPS)))
    }
}

impl Lookup for SystemLookup {
    fn lookup(&self, name: String) -> Found {
        let permits = Arc::clone(&self.0);
        Box::pin(async move {
            let permit = permits.acquire_owned().await.map_err(io::Error::other)?;
            let looking_up = tokio::task::spawn_blocking(move || {
                // Held until the lookup ends, not only until its caller gives up.
                let _permit = permit;
                let found = (name.as_str(), 0).to_socket_addrs()?;
                Ok(found.map(|address| address.ip()).collect())
            });
            looking_up.await.map_err(io::Error::other)?
        })
    }
}

/// Resolves for the HTTP client, which connects to what this returns and to nothing else.
pub(super) struct Guard {
    pub(super) policy: Arc<Policy>,
    pub(super) plain_http: bool,
    pub(super) lookup: Arc<dyn Lookup>,
}

/// A name whose addresses may not be called.
#[derive(Debug)]
pub(super) struct Refused(String);

/// A name without addresses.
#[derive(Debug)]
pub(super) struct Unresolved(String);

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let (policy, plain_http) = (Arc::clone(&self.policy), self.plain_http);
        let name = name.as_str().to_owned();
        let found = self.lookup.lookup(name.clone());
        Box::pin(async move {
            let addresses = found.await.unwrap_or_default();
            if addresses.is_empty() {
                return Err(Unresolved(name).into());
            }
            // One address that may not be called is enough: no honest name mixes public and private ones.
            for address in &addresses {
                policy.judge(*address, plain_http).map_err(Refused)?;
            }
            let sockets = addresses.into_iter().map(|address| SocketAddr::new(address, 0));
            Ok(Box::new(sockets) as Addrs)
        })
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Unresolved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "The host name {:?} could not be resolved", self.0)
    }
}

impl std::error::Error for Refused {}

impl std::error::Error for Unresolved {}
