//! Everything a request needs, put together once.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ipnet::IpNet;
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

use crate::cache::{Cache, Refresher};
use crate::config::{
    DatabaseSettings, Limits, MASTER_KEY_VARIABLE, MasterKeySource, RateLimitSettings, Settings,
};
use crate::crypto::key::Rules;
use crate::crypto::{KeyPool, SystemEntropy};
use crate::domain::clock::SystemClock;
use crate::domain::ids::EntityId;
use crate::domain::window::Rate;
use crate::domain::{Clock, Entropy};
use crate::error::{Error, Result};
use crate::lifecycle::{Background, Recurring};
use crate::metrics::Requests;
use crate::outbound::policy::Policy;
use crate::outbound::resolve::{Lookup, SystemLookup};
use crate::outbound::{Outbound, Roots};
use crate::seal::MasterKey;
use crate::service::sealing::MasterSource;
use crate::service::tokens::Uses;
use crate::service::{
    Audit, Execute, HookKeys, InlineHooks, KeySets, Keyrings, Keys, Operator, Orgs, Places, RateLimits,
    Tasks, Tokens,
};
use crate::store::{Db, Place, Postgres, TlsFiles, migrate};
use crate::tls::{Certificate, Tls};

pub use crate::store::QUIET;

/// What the outside world supplies. Tests put their own clock and a shared key pool here.
#[derive(Clone)]
pub struct Parts {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// The key pool; `None` starts one of the size in the settings.
    pub pool: Option<Arc<KeyPool>>,
    /// Where the addresses of external services come from.
    pub lookup: Arc<dyn Lookup>,
}

impl Default for Parts {
    fn default() -> Self {
        Self {
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy::new()),
            pool: None,
            lookup: Arc::new(SystemLookup::default()),
        }
    }
}

/// What works without the master key: the database and the use cases of operators.
pub struct Base {
    /// The database.
    pub db: Db,
    /// Orgs.
    pub orgs: Orgs,
    /// API tokens.
    pub tokens: Tokens,
    /// The keyring's life.
    pub keyring: Keyrings,
    /// The audit trail.
    pub audit: Audit,
    cache: Arc<Cache>,
    parts: Parts,
    background: Arc<Background>,
}

/// Everything a request needs.
pub struct App {
    /// API tokens.
    pub tokens: Tokens,
    /// Hook keys.
    pub hook_keys: HookKeys,
    /// Inline hooks.
    pub inline_hooks: InlineHooks,
    /// Calls of inline hooks.
    pub execute: Execute,
    /// Keys that were brought from elsewhere.
    pub keys: Keys,
    /// Key sets.
    pub key_sets: KeySets,
    /// The audit trail.
    pub audit: Audit,
    /// Tells this process from others to who asks for node information: a UUID.
    pub node_id: String,
    /// Where clients reach the service; `None` takes it from each request.
    pub public_url: Option<String>,
    /// TLS of the listener, if there is any.
    pub tls: Option<Arc<Tls>>,
    /// What one connection and one request may cost.
    pub limits: Limits,
    /// Proxies whose word about where a request comes from is taken.
    pub trusted_proxies: Vec<IpNet>,
    /// How long a request's body may take to arrive.
    pub body_timeout: Duration,
    /// How long requests under way may take when the server stops.
    pub drain: Duration,
    /// Whether inline hooks may name plain HTTP URLs at all.
    pub allow_http: bool,
    /// Randomness for request and error ids.
    pub entropy: Arc<dyn Entropy>,
    /// What is remembered of the database.
    pub cache: Arc<Cache>,
    /// Where work runs that no worker may be kept with.
    pub tasks: Tasks,
    stopping: AtomicBool,
    /// When everything was put together.
    pub started: Instant,
    /// What was asked for, where metrics are told.
    pub requests: Option<Arc<Requests>>,
    recurring: Recurring,
    _background: Arc<Background>,
}

/// What is wrong with a process, by what was looked at.
#[derive(Debug, Clone)]
pub struct Readiness {
    /// Whether the database answers.
    pub database: Option<String>,
    /// Whether what is written is followed.
    pub refresher: Option<String>,
    /// Whether the newest term opens. Without it, what is new cannot be sealed or opened, and all else can.
    pub keyring: Option<String>,
    /// Whether key pairs can be generated. Without them, no hook key can be made once the stock is used up.
    pub pool: Option<String>,
}

impl Readiness {
    /// Whether requests are worth sending to it. What only some requests need does not count: other nodes may lack it
    /// too.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.database.is_none() && self.refresher.is_none()
    }
}

/// What a database is opened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// For requests, which do not wait for ever.
    Serve {
        /// Whether to make a missing file and to apply missing migrations. Otherwise both are refused.
        migrate: bool,
    },
    /// For a command, which may take its time. A missing file or migration is refused.
    Command,
}

impl Base {
    /// Opens the database at this version's schema.
    pub async fn open(settings: &Settings, parts: Parts, purpose: Purpose) -> Result<Self> {
        let limit = settings.database.timeout().filter(|_| purpose != Purpose::Command);
        if purpose == (Purpose::Serve { migrate: true }) {
            // Without a limit: migrations may take long, and so may waiting for another process's.
            let base = Self::open_as_is(settings, parts.clone(), true).await?;
            let applied = migrate::run(&base.db).await?;
            if !applied.is_empty() {
                tracing::info!("applied {} migration(s)", applied.len());
            }
            if limit.is_none() {
                return Ok(base);
            }
            base.db.close();
        }
        let base = Self::open_within(settings, parts, false, limit).await?;
        migrate::require_current(&base.db).await?;
        Ok(base)
    }

    /// Opens the database whatever its schema, for the command that migrates it.
    pub async fn open_as_is(settings: &Settings, parts: Parts, create: bool) -> Result<Self> {
        Self::open_within(settings, parts, create, None).await
    }

    async fn open_within(
        settings: &Settings,
        parts: Parts,
        create: bool,
        limit: Option<Duration>,
    ) -> Result<Self> {
        let background = Background::start()?;
        let db = Db::open(place(&settings.database)?, create, background.handle().clone(), limit).await?;
        let cache = Arc::new(Cache::new(settings.cache.max_rows));
        let (clock, entropy) = (Arc::clone(&parts.clock), Arc::clone(&parts.entropy));
        let operator = Operator::of_this_process();
        Ok(Self {
            orgs: Orgs {
                db: db.clone(),
                clock: Arc::clone(&clock),
                entropy: Arc::clone(&entropy),
                operator: operator.clone(),
            },
            tokens: Tokens {
                db: db.clone(),
                clock: Arc::clone(&clock),
                entropy: Arc::clone(&entropy),
                uses: Arc::new(Uses::default()),
                cache: Arc::clone(&cache),
                operator: operator.clone(),
                limits: Arc::new(limits(settings.rate_limits)),
                default_idle: settings.token_idle_expiry,
            },
            audit: Audit { db: db.clone(), clock: Arc::clone(&clock), retention: settings.audit_retention },
            keyring: Keyrings { db: db.clone(), clock, entropy, operator },
            db,
            cache,
            parts,
            background,
        })
    }
}

impl App {
    /// Opens the keyring, starts the key pool and the recurring tasks.
    pub async fn build(settings: &Settings, files: &Files, base: Base) -> Result<Self> {
        let keyring =
            Arc::new(base.keyring.open_or_create(&files.master_key, master_source(settings)).await?);
        let pool = match base.parts.pool {
            Some(pool) => pool,
            None => Arc::new(KeyPool::start(settings.pool_size)?),
        };
        let policy =
            Policy { allow: settings.outbound.allow.clone(), allow_http: settings.outbound.allow_http };
        let outbound = Outbound::new(policy, files.roots.as_ref(), &base.parts.lookup)?;
        let (db, cache) = (base.db.clone(), Arc::clone(&base.cache));
        let refresher = Refresher::start(db, cache, settings.cache.poll_interval).await?;
        let recurring = Recurring::start(
            &base.background,
            base.tokens.clone(),
            base.audit.clone(),
            Arc::clone(&keyring),
            refresher,
        );
        let (clock, entropy) = (base.parts.clock, base.parts.entropy);
        let tasks = Tasks::new(base.background.handle().clone());
        let inline_hooks = InlineHooks {
            db: base.db.clone(),
            keyring: Arc::clone(&keyring),
            clock: Arc::clone(&clock),
            entropy: Arc::clone(&entropy),
            tasks: tasks.clone(),
            tokens: Arc::default(),
            limit: settings.inline_hooks_per_org,
        };
        let keys = Keys {
            db: base.db.clone(),
            keyring: Arc::clone(&keyring),
            clock: Arc::clone(&clock),
            entropy: Arc::clone(&entropy),
            tasks: tasks.clone(),
            places: Places::new(std::thread::available_parallelism().map_or(1, usize::from)),
            rules: Rules::new(settings.min_rsa_bits),
        };
        Ok(Self {
            tokens: base.tokens,
            audit: base.audit,
            key_sets: KeySets {
                db: base.db.clone(),
                clock: Arc::clone(&clock),
                entropy: Arc::clone(&entropy),
                tasks: tasks.clone(),
            },
            keys,
            node_id: EntityId::generate(&*entropy)?.to_string(),
            execute: Execute {
                hooks: inline_hooks.clone(),
                outbound,
                places: Arc::new(Semaphore::new(settings.outbound.concurrency as usize)),
                budget: settings.outbound.timeout,
                calls: Arc::default(),
            },
            inline_hooks,
            hook_keys: HookKeys {
                db: base.db,
                pool,
                keyring,
                clock,
                entropy: Arc::clone(&entropy),
                tasks: tasks.clone(),
                default_limit: settings.hook_keys_per_org,
            },
            public_url: settings.public_url.clone(),
            tls: files.tls.as_ref().map(|(tls, _)| Arc::clone(tls)),
            limits: settings.limits,
            trusted_proxies: settings.trusted_proxies.clone(),
            body_timeout: settings.body_timeout,
            // A hook that is tried twice takes as long.
            drain: settings.shutdown.timeout.max(settings.outbound.timeout * 2 + Duration::from_secs(1)),
            allow_http: settings.outbound.allow_http,
            entropy,
            cache: base.cache,
            tasks,
            stopping: AtomicBool::new(false),
            started: Instant::now(),
            requests: settings.metrics_listen.map(|_| Arc::default()),
            recurring,
            _background: base.background,
        })
    }

    /// Whether requests are worth sending here.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.readiness().is_ready()
    }

    /// What is wrong with the process, if anything.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        let when = |failing: bool, reason: &str| failing.then(|| reason.to_owned());
        let term = self.hook_keys.keyring.unopened();
        let pool = self.hook_keys.pool.levels();
        Readiness {
            database: when(!self.cache.is_followed(), "the database has not answered for 5 seconds"),
            refresher: when(!self.recurring.follows(), "nobody follows the database: restart the process"),
            keyring: term
                .map(|term| format!("term {term} does not open with the master key of this process")),
            pool: when(pool.failing, "no key pair could be generated"),
        }
    }

    /// Lets the node be not ready, and connections end with their next answer.
    pub fn begin_stop(&self) {
        self.stopping.store(true, Ordering::Relaxed);
    }

    /// Whether the process was told to stop.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }

    /// Which database the data is in: `sqlite` or `postgres`.
    #[must_use]
    pub fn database(&self) -> &'static str {
        self.hook_keys.db.kind()
    }

    /// Ends the work under way and closes the database. Call it after the server has stopped.
    pub async fn finish(&self) {
        self.recurring.finish(&self.tasks, &self.tokens).await;
        self.hook_keys.db.close();
    }
}

fn limits(settings: RateLimitSettings) -> RateLimits {
    let rate = |most| (most > 0).then_some(Rate { most, window: settings.window });
    RateLimits::new(rate(settings.requests), rate(settings.failed_logins))
}

fn place(settings: &DatabaseSettings) -> Result<Place> {
    let settings = match settings {
        DatabaseSettings::Sqlite(path) => return Ok(Place::Sqlite(path.clone())),
        DatabaseSettings::Postgres(settings) => settings,
    };
    let password = settings.password_file.as_ref().map(|path| {
        let text = std::fs::read_to_string(path).map(Zeroizing::new);
        text.map_err(|error| {
            Error::setup(format!("postgres.password_file: {} cannot be read: {error}", path.display()))
        })
    });
    let password = password.transpose()?;
    let password = password.as_ref().map(|text| text.trim_end_matches(['\r', '\n']));
    let files = TlsFiles { ca: settings.ca_file.clone(), client: settings.client.clone() };
    let server = Postgres::parse(&settings.url, password, &files, settings.timeout)?;
    Ok(Place::Postgres(Arc::new(server), settings.connections as usize))
}

/// What the settings name files for, read. A start reads them before it touches the database.
pub struct Files {
    /// The master key.
    pub master_key: Arc<MasterKey>,
    /// Certificates that calls trust beside the system's.
    pub roots: Option<Roots>,
    /// TLS of the listener, with the certificate that it shows.
    pub tls: Option<(Arc<Tls>, Certificate)>,
}

impl Files {
    /// Reads them all.
    pub fn read(settings: &Settings) -> Result<Self> {
        let roots = settings.outbound.ca_file.as_deref().map(Roots::read).transpose()?;
        // Those of the database are read again when it is opened, which not only a server does.
        place(&settings.database)?;
        let tls = settings.tls.as_ref().map(Tls::read).transpose()?;
        let tls = tls.map(|(tls, certificate)| (Arc::new(tls), certificate));
        Ok(Self { master_key: Arc::new(master_key(settings)?), roots, tls })
    }
}

/// A new master key in its text form, for a file.
pub fn new_master_key(parts: &Parts) -> Result<Zeroizing<String>> {
    Ok(MasterKey::generate(&*parts.entropy)?.to_text())
}

/// Reads a master key from a file that nobody but its owner may read.
pub fn master_key_in(path: &Path) -> Result<MasterKey> {
    MasterKey::read_file(path)
}

/// Reads the master key again, later: its file may hold another one then.
fn master_source(settings: &Settings) -> MasterSource {
    let settings = settings.clone();
    Box::new(move || master_key(&settings))
}

/// Reads the master key from where the settings say it is.
pub fn master_key(settings: &Settings) -> Result<MasterKey> {
    match &settings.master_key {
        MasterKeySource::File(path) => MasterKey::read_file(path),
        MasterKeySource::Variable(text) => {
            MasterKey::parse(text, &format!("the variable {MASTER_KEY_VARIABLE}"))
        }
        MasterKeySource::Missing => Err(Error::setup(format!(
            "there is no master key: set master_key_file to a file of mode 0600 made by \
             `openssl rand -base64 32`, or give the key in the variable {MASTER_KEY_VARIABLE}"
        ))),
    }
}
