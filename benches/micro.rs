//! What single steps of a request take, without HTTP: `cargo bench --bench micro`.
//!
//! These figures tell which step a change has made slower; what the service does as a whole is for the benchmark over
//! HTTP to say.
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot go on should stop")]

use std::convert::Infallible;
use std::hint::black_box;
use std::path::Path;
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use criterion::{BatchSize, Criterion, Throughput};
use futures_util::FutureExt as _;
use hook_keys::app::{App, Base, Files, Parts, Purpose};
use hook_keys::cache::{Body, Question, Topic};
use hook_keys::config::Layers;
use hook_keys::crypto::SystemEntropy;
use hook_keys::crypto::digest::sha256;
use hook_keys::crypto::rsa::RsaKeyPair;
use hook_keys::domain::Clock;
use hook_keys::domain::clock::SystemClock;
use hook_keys::domain::hook_key::HookKey;
use hook_keys::domain::ids::{HookKeyId, KeyId, OrgId, jwt_id};
use hook_keys::domain::org::OrgName;
use hook_keys::domain::permission::Grant;
use hook_keys::domain::text::DisplayName;
use hook_keys::domain::token::ApiToken;
use hook_keys::http::extract::JSON;
use hook_keys::http::okta::wire::hook_keys::{HookKeyBody, PublicJwk};
use hook_keys::http::representation::text;
use hook_keys::jose::{client_assertion, jwk};
use hook_keys::seal::{Keyring, MasterKey, Place};
use hook_keys::store::sealed::Column;
use tokio::runtime::Runtime;
use zeroize::Zeroizing;

const MASTER_KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

/// Few, so that the memory is full before the first sample is taken.
const MEMORY_ROWS: &str = "1000";

/// The hook keys that an org may have when no operator has raised the limit.
const LONG_LIST: u32 = 50;

fn main() {
    let mut criterion = Criterion::default().without_plots().configure_from_args();
    let key_pair = RsaKeyPair::generate().unwrap();
    let service = Service::start();
    let key = hook_key(1, &key_pair);

    token(&mut criterion, &service);
    answer(&mut criterion, &service, &key);
    render(&mut criterion, &key);
    seal(&mut criterion, &service.org, &key, &key_pair);
    sign(&mut criterion, &key, &key_pair);
    gzip(&mut criterion, &key_pair);

    criterion.final_summary();
    service.stop();
}

/// What every request with a token begins with.
fn token(criterion: &mut Criterion, service: &Service) {
    let (tokens, secret) = (&service.app.tokens, &service.token);
    service.runtime.block_on(tokens.authenticate(secret)).unwrap();
    let mut group = criterion.benchmark_group("token");
    // Whose token it is, whether it is live, and whether its use must be noted: all that comes before the answer.
    group.bench_function("recall", |bencher| bencher.iter(|| tokens.recall(black_box(secret)).unwrap()));
    // The part of it that no look-up can do without, because only digests are kept.
    group.bench_function("sha256", |bencher| {
        bencher.iter(|| sha256(black_box(secret).reveal().as_bytes()));
    });
    group.finish();
}

/// The answer to GET of one hook key, once it is known who asks. It waits for nothing here, so no runtime is measured.
fn answer(criterion: &mut Criterion, service: &Service, key: &HookKey) {
    let (cache, org) = (&service.app.cache, &service.org);
    let make = async || {
        let body = Body::new(JSON, &text(&HookKeyBody::new(key, true)).unwrap());
        Ok::<_, Infallible>((Topic::HookKey(key.id.clone()), body))
    };
    let path = format!("/api/v1/hook-keys/{}?expand=publickey", key.id);
    let question = Question { org, base: "", path: &path };
    let mut group = criterion.benchmark_group("answer");
    // Nearly every read: the body is there as it is sent.
    group.bench_function("remembered", |bencher| {
        let answer = cache.answer(question, make).now_or_never();
        answer.unwrap().unwrap();
        bencher.iter(|| {
            let unexpected = async || Err("it was forgotten");
            let answer = cache.answer(black_box(question), unexpected);
            answer.now_or_never().unwrap().unwrap()
        });
    });
    // The first read of a key, less what the database takes: it is rendered and remembered, and as the memory is full,
    // another answer is forgotten.
    let mut number = 0_u64;
    group.bench_function("missed", |bencher| {
        let fresh = || {
            number += 1;
            format!("/api/v1/hook-keys/HKY{number:017}?expand=publickey")
        };
        let ask = |path: &mut String| {
            let answer = cache.answer(Question { org, base: "", path }, make);
            answer.now_or_never().unwrap().unwrap()
        };
        bencher.iter_batched_ref(fresh, ask, BatchSize::SmallInput);
    });
    group.finish();
}

/// What a miss does with what the database holds.
fn render(criterion: &mut Criterion, key: &HookKey) {
    let mut group = criterion.benchmark_group("render");
    // GET of the public half alone, which is what services that verify assertions ask for.
    group.bench_function("public_jwk", |bencher| {
        bencher.iter(|| text(&PublicJwk::new(black_box(key))).unwrap());
    });
    // GET of a hook key.
    group.bench_function("hook_key", |bencher| {
        bencher.iter(|| text(&HookKeyBody::new(black_box(key), false)).unwrap());
    });
    // GET of a hook key with its public half.
    group.bench_function("hook_key_expanded", |bencher| {
        bencher.iter(|| text(&HookKeyBody::new(black_box(key), true)).unwrap());
    });
    // The digest of the JSON of the public half, and the entity tag made of it.
    group.bench_function("body", |bencher| {
        let rendered = || text(&PublicJwk::new(key)).unwrap();
        bencher.iter_batched(rendered, |text| Body::new(JSON, &text), BatchSize::SmallInput);
    });
    group.finish();
}

/// The private half of a hook key on its way into the database and out of it.
fn seal(criterion: &mut Criterion, org: &OrgId, key: &HookKey, key_pair: &RsaKeyPair) {
    let entropy = SystemEntropy::new();
    let master = MasterKey::generate(&entropy).unwrap();
    let keyring = Keyring::unwrap(&master, &[Keyring::new_term(&master, 1, &entropy).unwrap()]).unwrap();
    let (table, column) = Column::HookKeyPrivateKey.place();
    let place = Place { table, column, row: key.id.as_str(), org: org.as_str() };
    let sealed = keyring.seal(&place, key_pair.pkcs8(), &entropy).unwrap();
    let mut group = criterion.benchmark_group("seal");
    group.throughput(Throughput::Bytes(key_pair.pkcs8().len() as u64));
    // Once for each hook key that is made: salt, key derivation and cipher.
    group.bench_function("seal", |bencher| {
        bencher.iter(|| keyring.seal(&place, black_box(key_pair.pkcs8()), &entropy).unwrap());
    });
    // Before each assertion that is signed.
    group.bench_function("open", |bencher| {
        bencher.iter(|| keyring.open(&place, black_box(&sealed)).unwrap());
    });
    group.finish();
}

/// What an inline hook does to prove itself to a token endpoint, when it has no access token.
fn sign(criterion: &mut Criterion, key: &HookKey, key_pair: &RsaKeyPair) {
    let (kid, now) = (key.key_id.to_string(), SystemClock.now());
    let jti = jwt_id(&SystemEntropy::new()).unwrap();
    let sign = |key_pair: &RsaKeyPair| {
        let endpoint = "https://login.example.com/oauth2/v1/token";
        client_assertion::sign(key_pair, &kid, "0oa1p7jWLndGQV9M60g4", endpoint, &jti, now).unwrap()
    };
    let open = |pkcs8| RsaKeyPair::from_pkcs8(pkcs8).unwrap();
    let copy = || Zeroizing::new(key_pair.pkcs8().to_vec());
    let opened = open(copy());
    let mut group = criterion.benchmark_group("assertion");
    // Reading the document that was sealed, which checks the key.
    group.bench_function("read_pkcs8", |bencher| bencher.iter_batched(copy, open, BatchSize::SmallInput));
    // Claims, header and signature, with a key that was read before.
    group.bench_function("sign", |bencher| bencher.iter(|| sign(black_box(&opened))));
    // The same message signed by the library alone, with a key that it holds: no assertion can take less.
    let assertion = sign(&opened);
    let (message, _) = assertion.reveal().rsplit_once('.').unwrap();
    let (fresh, random) = (|| KeyPair::from_pkcs8(key_pair.pkcs8()).unwrap(), SystemRandom::new());
    let raw = |held: &KeyPair| {
        let mut signature = vec![0; held.public_modulus_len()];
        let message = black_box(message).as_bytes();
        held.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).unwrap();
        signature
    };
    group.bench_function("raw_rs256", |bencher| {
        let held = fresh();
        bencher.iter(|| raw(&held));
    });
    // The same with a key that has not signed anything yet, as it is for an assertion.
    group.bench_function("raw_rs256_first", |bencher| {
        bencher.iter_batched_ref(fresh, |held| raw(held), BatchSize::SmallInput);
    });
    group.finish();
}

/// The list of an org that has as many hook keys as it may, for the first who asks for it in gzip after a change.
fn gzip(criterion: &mut Criterion, key_pair: &RsaKeyPair) {
    let keys: Vec<_> = (1..=LONG_LIST).map(|number| hook_key(number, key_pair)).collect();
    let list = text(&keys.iter().map(|key| HookKeyBody::new(key, false)).collect::<Vec<_>>()).unwrap();
    let mut group = criterion.benchmark_group("gzip");
    group.throughput(Throughput::Bytes(list.len() as u64));
    // On a body that has not been compressed yet: it keeps the outcome.
    group.bench_function("list_of_50", |bencher| {
        let body = || Body::new(JSON, &list);
        bencher.iter_batched_ref(body, |body| body.compress().unwrap(), BatchSize::SmallInput);
    });
    group.finish();
}

/// A service on a database of its own, without HTTP before it, and someone who may call it.
struct Service {
    runtime: Runtime,
    app: App,
    org: OrgId,
    token: ApiToken,
    _directory: tempfile::TempDir,
}

impl Service {
    fn start() -> Self {
        let runtime = Runtime::new().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let (app, org, token) = runtime.block_on(app(&directory.path().join("bench.db")));
        Self { runtime, app, org, token, _directory: directory }
    }

    fn stop(self) {
        self.runtime.block_on(self.app.finish());
    }
}

async fn app(database: &Path) -> (App, OrgId, ApiToken) {
    let url = format!("sqlite:{}", database.display());
    let variables = [
        ("HOOK_KEYS_DATABASE_URL", url.as_str()),
        ("HOOK_KEYS_MASTER_KEY", MASTER_KEY),
        ("HOOK_KEYS_CACHE_MAX_ROWS", MEMORY_ROWS),
        // No key pairs are made while something is measured.
        ("HOOK_KEYS_POOL_SIZE", "0"),
    ];
    let variables = variables.into_iter().map(|(name, value)| (name.into(), value.into()));
    let settings = Layers::defaults().unwrap().with_environment(variables).unwrap().check().unwrap();
    let purpose = Purpose::Serve { migrate: true };
    let base = Base::open(&settings, Parts::default(), purpose).await.unwrap();
    let org = base.orgs.create(OrgName::parse("bench").unwrap(), None).await.unwrap();
    let name = DisplayName::parse("bench".to_owned()).unwrap();
    let (_, token) =
        base.tokens.create(org.id.clone(), name, Grant::parse(["all"]).unwrap(), None).await.unwrap();
    let app = App::build(&settings, &Files::read(&settings).unwrap(), base).await.unwrap();
    (app, org.id, token)
}

/// A hook key as the database would give it back.
fn hook_key(number: u32, key_pair: &RsaKeyPair) -> HookKey {
    let entropy = SystemEntropy::new();
    let created = SystemClock.now() + Duration::from_secs(61) * number;
    HookKey {
        id: HookKeyId::generate(&entropy).unwrap(),
        key_id: KeyId::generate(&entropy).unwrap(),
        name: format!("Hook key {number}"),
        modulus: jwk::rsa_n(key_pair.modulus()),
        created,
        last_updated: created,
        is_used: false,
    }
}
