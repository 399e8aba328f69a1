//! Databases with many keys, filled by the service's own code: real key pairs, each private half sealed for its row.

use std::sync::Arc;
use std::time::Duration;

use hook_keys::Error;
use hook_keys::app::{Base, Parts, Purpose};
use hook_keys::config::{Layers, Settings};
use hook_keys::crypto::SystemEntropy;
use hook_keys::crypto::digest::sha256;
use hook_keys::crypto::rsa::RsaKeyPair;
use hook_keys::domain::clock::{Clock as _, SystemClock};
use hook_keys::domain::hook_key::HookKey;
use hook_keys::domain::ids::{HookKeyId, KeyId, OrgId, TokenId};
use hook_keys::domain::org::Org;
use hook_keys::domain::permission::Grant;
use hook_keys::domain::token::{ApiToken, Expiry, Token};
use hook_keys::jose::jwk;
use hook_keys::seal::{Keyring, MasterKey, Place, WrappedTerm};
use hook_keys::store::keyring::Term;
use hook_keys::store::sealed::Column;
use hook_keys::store::{self, Db};

use crate::Result;
use crate::plan::KEYS_PER_ORG;

/// More than any measurement creates.
const RAISED_LIMIT: u32 = 1_000_000;

/// As the service gives it to tokens that have no expiry of their own.
const IDLE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// Orgs that one transaction writes.
const ORGS_AT_ONCE: usize = 100;

/// An org with a token for everything, and its keys.
#[derive(Debug, Clone)]
pub(crate) struct SeededOrg {
    pub(crate) token: String,
    pub(crate) keys: Vec<SeededKey>,
}

#[derive(Debug, Clone)]
pub(crate) struct SeededKey {
    pub(crate) id: String,
    pub(crate) key_id: String,
}

/// The rows of one org.
struct Rows {
    org: Org,
    token: Token,
    digest: [u8; 32],
    keys: Vec<(HookKey, Vec<u8>)>,
}

/// Generates key pairs on all cores.
pub(crate) fn pairs(count: usize) -> Result<Vec<RsaKeyPair>> {
    let cores = std::thread::available_parallelism()?.get();
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..cores)
            .map(|core| {
                let share = (core..count).step_by(cores);
                scope.spawn(move || share.map(|_| RsaKeyPair::generate()).collect::<Result<Vec<_>, _>>())
            })
            .collect();
        let mut pairs = Vec::new();
        for worker in workers {
            pairs.extend(worker.join().map_err(|_| "generating key pairs")??);
        }
        Ok(pairs)
    })
}

/// Fills a new database with `orgs` orgs of 50 keys each.
pub(crate) fn fill(
    url: &str,
    master: &MasterKey,
    pairs: &[RsaKeyPair],
    orgs: usize,
) -> Result<Vec<SeededOrg>> {
    let settings = Layers::defaults()?.with_flag("database_url", url)?.check()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let base = open(&settings).await?;
        let keyring = first_term(&base.db, master).await?;
        let mut seeded = Vec::with_capacity(orgs);
        let mut written = 0;
        while written < orgs {
            let batch = written..orgs.min(written + ORGS_AT_ONCE);
            written = batch.end;
            let mut rows = Vec::new();
            for number in batch {
                let (row, org) = draw(number, &keyring, pairs)?;
                rows.push(row);
                seeded.push(org);
            }
            write(&base.db, rows).await?;
        }
        forget(&base.db).await?;
        base.db.close();
        Ok(seeded)
    })
}

/// Makes the tables, and opens the database for work that may take its time.
async fn open(settings: &Settings) -> Result<Base, Error> {
    let base = Base::open(settings, Parts::default(), Purpose::Serve { migrate: true }).await?;
    base.db.close();
    Base::open(settings, Parts::default(), Purpose::Command).await
}

/// Makes the keyring, as the first start of a server does.
async fn first_term(db: &Db, master: &MasterKey) -> Result<Keyring, Error> {
    let first = Keyring::new_term(master, 1, &SystemEntropy::new())?;
    let keyring = Keyring::unwrap(master, std::slice::from_ref(&first))?;
    let WrappedTerm { term, wrapped } = first;
    let row = Term { term, wrapped, created: SystemClock.now() };
    db.write("seed_keyring", move |conn| store::keyring::insert(conn, &row)).await?;
    Ok(keyring)
}

fn draw(number: usize, keyring: &Keyring, pairs: &[RsaKeyPair]) -> Result<(Rows, SeededOrg)> {
    let (entropy, now) = (SystemEntropy::new(), SystemClock.now());
    let org = Org {
        id: OrgId::generate(&entropy)?,
        name: format!("org-{number}"),
        hook_key_limit: Some(RAISED_LIMIT),
        created: now,
    };
    let secret = ApiToken::generate(&entropy)?;
    let token = Token {
        id: TokenId::generate(&entropy)?,
        org: org.id.clone(),
        name: "bench".to_owned(),
        grant: Grant::All,
        expiry: Expiry::Idle(IDLE),
        created: now,
        last_used: None,
        revoked: None,
    };
    let mut keys = Vec::new();
    for (index, pair) in
        pairs.iter().cycle().skip(number * KEYS_PER_ORG % pairs.len()).take(KEYS_PER_ORG).enumerate()
    {
        let key = HookKey {
            id: HookKeyId::generate(&entropy)?,
            key_id: KeyId::generate(&entropy)?,
            name: format!("key {index}"),
            modulus: jwk::rsa_n(pair.modulus()),
            created: now,
            last_updated: now,
            is_used: false,
        };
        let (table, column) = Column::HookKeyPrivateKey.place();
        let place = Place { table, column, row: key.id.as_str(), org: org.id.as_str() };
        let sealed = keyring.seal(&place, pair.pkcs8(), &entropy)?;
        keys.push((key, sealed));
    }
    let seeded = SeededOrg {
        token: secret.reveal().to_owned(),
        keys: keys
            .iter()
            .map(|(key, _)| SeededKey { id: key.id.to_string(), key_id: key.key_id.to_string() })
            .collect(),
    };
    Ok((Rows { org, token, digest: sha256(secret.reveal().as_bytes()), keys }, seeded))
}

async fn write(db: &Db, rows: Vec<Rows>) -> Result<(), Error> {
    let rows = Arc::new(rows);
    db.write("seed", move |conn| {
        for Rows { org, token, digest, keys } in rows.iter() {
            store::orgs::insert(conn, org)?;
            store::tokens::insert(conn, token, digest)?;
            for (key, sealed) in keys {
                store::hook_keys::insert(conn, &org.id, key, sealed)?;
            }
        }
        Ok(())
    })
    .await
}

/// Drops the notes of what was written, as a server does after ten minutes. Otherwise one would do it in the middle of
/// a round.
async fn forget(db: &Db) -> Result<(), Error> {
    db.write("forget", |conn| match store::changes::newest(conn)? {
        Some(newest) => store::changes::forget(conn, newest.rev - 1),
        None => Ok(()),
    })
    .await
}
