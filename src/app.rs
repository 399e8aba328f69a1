//! Everything a request needs, put together once.

use std::sync::Arc;

use zeroize::Zeroizing;

use crate::config::{MASTER_KEY_VARIABLE, MasterKeySource, Settings};
use crate::crypto::{KeyPool, SystemEntropy};
use crate::domain::clock::SystemClock;
use crate::domain::{Clock, Entropy};
use crate::error::{Error, Result};
use crate::lifecycle::{self, Background};
use crate::seal::MasterKey;
use crate::service::tokens::Uses;
use crate::service::{HookKeys, Keys, Orgs, Tasks, Tokens};
use crate::store::{Db, migrate};

/// What the outside world supplies. Tests put their own clock and a shared key pool here.
#[derive(Clone)]
pub struct Parts {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness.
    pub entropy: Arc<dyn Entropy>,
    /// The key pool; `None` starts one of the size in the settings.
    pub pool: Option<Arc<KeyPool>>,
}

impl Default for Parts {
    fn default() -> Self {
        Self { clock: Arc::new(SystemClock), entropy: Arc::new(SystemEntropy::new()), pool: None }
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
    pub keys: Keys,
    parts: Parts,
    background: Arc<Background>,
}

/// Everything a request needs.
pub struct App {
    /// API tokens.
    pub tokens: Tokens,
    /// Hook keys.
    pub hook_keys: HookKeys,
    /// Randomness for request and error ids.
    pub entropy: Arc<dyn Entropy>,
    _background: Arc<Background>,
}

impl Base {
    /// Opens the database at exactly this version's schema. With `migrate`, a missing file is made and a
    /// missing migration applied; without, both are refused.
    pub async fn open(settings: &Settings, parts: Parts, migrate: bool) -> Result<Self> {
        let base = Self::open_as_is(settings, parts, migrate).await?;
        if migrate {
            migrate::run(&base.db).await?;
        } else {
            migrate::require_current(&base.db).await?;
        }
        Ok(base)
    }

    /// Opens the database whatever its schema, for the command that migrates it.
    pub async fn open_as_is(settings: &Settings, parts: Parts, create: bool) -> Result<Self> {
        let background = Background::start()?;
        let db = Db::open(&settings.database, create, background.handle().clone()).await?;
        let (clock, entropy) = (Arc::clone(&parts.clock), Arc::clone(&parts.entropy));
        Ok(Self {
            orgs: Orgs { db: db.clone(), clock: Arc::clone(&clock), entropy: Arc::clone(&entropy) },
            tokens: Tokens {
                db: db.clone(),
                clock: Arc::clone(&clock),
                entropy: Arc::clone(&entropy),
                uses: Arc::new(Uses::default()),
                default_idle: settings.token_idle_expiry,
            },
            keys: Keys { db: db.clone(), clock, entropy },
            db,
            parts,
            background,
        })
    }
}

impl App {
    /// Opens the keyring, starts the key pool and the recurring tasks.
    pub async fn build(settings: &Settings, master: &MasterKey, base: Base) -> Result<Self> {
        let keyring = Arc::new(base.keys.open_or_create(master).await?);
        let pool = match base.parts.pool {
            Some(pool) => pool,
            None => Arc::new(KeyPool::start(settings.pool_size)?),
        };
        lifecycle::start_recurring(&base.background, base.tokens.clone());
        Ok(Self {
            tokens: base.tokens,
            hook_keys: HookKeys {
                db: base.db,
                pool,
                keyring,
                clock: base.parts.clock,
                entropy: Arc::clone(&base.parts.entropy),
                tasks: Tasks::new(base.background.handle().clone()),
                default_limit: settings.hook_keys_per_org,
            },
            entropy: base.parts.entropy,
            _background: base.background,
        })
    }

    /// Ends the work under way and closes the database. Call it after the server has stopped.
    pub async fn finish(&self) {
        lifecycle::finish(&self.hook_keys.tasks, &self.tokens).await;
        self.hook_keys.db.close();
    }
}

/// A new master key in its text form, for a file.
pub fn new_master_key(parts: &Parts) -> Result<Zeroizing<String>> {
    Ok(MasterKey::generate(&*parts.entropy)?.to_text())
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
