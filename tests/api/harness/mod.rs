//! A server for each test, in this process: its own SQLite file, a clock the test can move, port 0.

pub mod answer;
pub mod authority;
pub mod database;
pub mod history;
pub mod keys;
pub mod postgres;
pub mod private;
pub mod process;
pub mod service;
pub mod spec;

use std::net::TcpListener;
use std::path::Path;
use std::sync::{Arc, LazyLock, Mutex, mpsc};
use std::time::{Duration, Instant};

use actix_web::dev::ServerHandle;
use hook_keys::app::{App, Base, Files, Parts, Purpose};
use hook_keys::config::{Layers, Settings};
use hook_keys::crypto::KeyPool;
use hook_keys::domain::clock::SystemClock;
use hook_keys::domain::org::OrgName;
use hook_keys::domain::permission::Grant;
use hook_keys::domain::text::DisplayName;
use hook_keys::domain::{Clock, Timestamp};
use hook_keys::http;
use hook_keys::service::{Orgs, Tokens};
use reqwest::Method;
use serde_json::{Value, json};

pub use answer::Answer;
pub use database::{Database, sql};
pub use postgres::PostgresServer;

/// Key pairs for all tests of this process: they cost more than anything else here.
static POOL: LazyLock<Arc<KeyPool>> = LazyLock::new(|| Arc::new(KeyPool::start(8).unwrap()));

/// Lets inline hooks call this machine, with more patience than any of them needs, however busy it is.
pub const LOOPBACK: [(&str, &str); 3] = [
    ("HOOK_KEYS_OUTBOUND_ALLOW", "127.0.0.0/8"),
    ("HOOK_KEYS_OUTBOUND_ALLOW_HTTP", "true"),
    ("HOOK_KEYS_OUTBOUND_TIMEOUT", "60s"),
];

/// The same with little patience, for services that do not answer.
pub const IMPATIENT: [(&str, &str); 3] = [LOOPBACK[0], LOOPBACK[1], ("HOOK_KEYS_OUTBOUND_TIMEOUT", "2s")];

/// For tests of what is remembered, whatever `HOOK_KEYS_TEST_CACHE_ROWS` says.
pub const REMEMBERING: (&str, &str) = (CACHE_ROWS, "100000");

/// The same for tests of what is read from the database every time.
pub const FORGETTING: (&str, &str) = (CACHE_ROWS, "0");

const CACHE_ROWS: &str = "HOOK_KEYS_CACHE_MAX_ROWS";

/// How long to wait for what must come true: no bound of the service, but for a test that would never end.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The master key of all servers.
pub const MASTER_KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

/// A running server, stopped when dropped.
pub struct Server {
    pub base: String,
    pub clock: Arc<TestClock>,
    pub orgs: Orgs,
    pub tokens: Tokens,
    pub database: Arc<Database>,
    handle: ServerHandle,
    directory: Arc<tempfile::TempDir>,
}

/// A clock that stands still until a test moves it.
pub struct TestClock(Mutex<Timestamp>);

impl TestClock {
    pub fn advance(&self, span: Duration) {
        *self.0.lock().unwrap() += span;
    }

    pub fn go_back(&self, span: Duration) {
        *self.0.lock().unwrap() -= span;
    }

    /// For tests in which others look at the real time.
    pub fn set_to_now(&self) {
        *self.0.lock().unwrap() = SystemClock.now();
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

/// A client of one server with one Authorization header, or with none.
#[derive(Clone)]
pub struct Client {
    pub base: String,
    authorization: Option<String>,
    admin_token: Option<String>,
    http: reqwest::Client,
}

impl Server {
    pub async fn start() -> Self {
        Self::start_with(&[], Parts::default()).await
    }

    /// One whose inline hooks may call this machine over plain HTTP.
    pub async fn start_with_hooks() -> Self {
        Self::start_with(&LOOPBACK, Parts::default()).await
    }

    /// One with more settings, as variables, and with parts of the test's own. Its clock stays the test's.
    pub async fn start_with(variables: &[(&str, &str)], parts: Parts) -> Self {
        let directory = Arc::new(tempfile::tempdir().unwrap());
        let database = Arc::new(Database::create(directory.path()));
        let born = "2026-01-31T23:59:58.765Z".parse().unwrap();
        Self::start_on(database, directory, Arc::new(TestClock(Mutex::new(born))), variables, parts).await
    }

    /// Another one on the same database, with the same clock.
    pub async fn beside(&self) -> Self {
        self.beside_with(&[]).await
    }

    /// The same with more settings, as variables.
    pub async fn beside_with(&self, variables: &[(&str, &str)]) -> Self {
        let (database, directory) = (Arc::clone(&self.database), Arc::clone(&self.directory));
        Self::start_on(database, directory, Arc::clone(&self.clock), variables, Parts::default()).await
    }

    async fn start_on(
        database: Arc<Database>,
        directory: Arc<tempfile::TempDir>,
        clock: Arc<TestClock>,
        variables: &[(&str, &str)],
        parts: Parts,
    ) -> Self {
        let parts = Parts { clock: Arc::clone(&clock) as _, ..parts };
        let settings = settings(&database, variables);
        let base = base(&settings, parts).await;
        let (orgs, tokens) = (base.orgs.clone(), base.tokens.clone());
        let app = Arc::new(App::build(&settings, &Files::read(&settings).unwrap(), base).await.unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let handle = run(app, listener);
        let base = format!("http://{address}");
        Self { base, clock, orgs, tokens, database, handle, directory }
    }

    /// Makes an org and a client that may do everything in it.
    pub async fn org(&self, name: &str) -> Client {
        self.orgs.create(OrgName::parse(name).unwrap(), None).await.unwrap();
        self.client(name, &["all"]).await
    }

    /// A client with a new token of these permissions in an org that exists.
    pub async fn client(&self, org: &str, permissions: &[&str]) -> Client {
        let (_, secret) = self.token(org, permissions, None).await;
        self.with_authorization(Some(&format!("SSWS {secret}")))
    }

    /// A new token: its id and its secret.
    pub async fn token(
        &self,
        org: &str,
        permissions: &[&str],
        expires_in: Option<Duration>,
    ) -> (hook_keys::domain::ids::TokenId, String) {
        let org = self.orgs.find(OrgName::parse(org).unwrap()).await.unwrap();
        let grant = Grant::parse(permissions.iter().copied()).unwrap();
        let name = DisplayName::parse("test".to_owned()).unwrap();
        let (token, secret) = self.tokens.create(org.id, name, grant, expires_in).await.unwrap();
        (token.id, secret.reveal().to_owned())
    }

    pub fn with_authorization(&self, header: Option<&str>) -> Client {
        Client::new(&self.base, header)
    }

    /// Runs SQL on the server's database.
    pub fn sql(&self, statement: &str) {
        self.database.sql(statement);
    }

    pub fn address(&self) -> &str {
        self.base.strip_prefix("http://").unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.handle.stop(false));
    }
}

/// How much the servers of all tests remember, where `HOOK_KEYS_TEST_CACHE_ROWS` says it: a variable for the settings
/// of each. What a test sets itself comes after it.
fn cache_rows() -> Option<(&'static str, String)> {
    std::env::var("HOOK_KEYS_TEST_CACHE_ROWS").ok().map(|rows| (CACHE_ROWS, rows))
}

/// Everything a request needs, on a database in `directory`.
pub async fn app(directory: &Path) -> App {
    let settings = settings(&Database::Sqlite(directory.join("test.db")), &[]);
    let base = base(&settings, Parts::default()).await;
    App::build(&settings, &Files::read(&settings).unwrap(), base).await.unwrap()
}

async fn base(settings: &Settings, parts: Parts) -> Base {
    Base::open(settings, Parts { pool: Some(Arc::clone(&POOL)), ..parts }, Purpose::Serve { migrate: true })
        .await
        .unwrap()
}

fn settings(database: &Database, more: &[(&str, &str)]) -> Settings {
    let url = database.url();
    let own = [("HOOK_KEYS_DATABASE_URL", url.as_str()), ("HOOK_KEYS_MASTER_KEY", MASTER_KEY)];
    let rows = cache_rows();
    let rows = rows.iter().map(|(name, value)| (*name, value.as_str()));
    let variables = own
        .into_iter()
        .chain(rows)
        .chain(more.iter().copied())
        .map(|(name, value)| (name.into(), value.into()));
    Layers::defaults().unwrap().with_environment(variables).unwrap().check().unwrap()
}

/// Serves `app` on a thread with an actix system of its own.
fn run(app: Arc<App>, listener: TcpListener) -> ServerHandle {
    let (sender, handle) = mpsc::channel();
    std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(async {
            let server = http::server(app, listener).unwrap();
            sender.send(server.handle()).unwrap();
            server.await.unwrap();
        });
    });
    handle.recv().unwrap()
}

impl Client {
    pub fn new(base: &str, authorization: Option<&str>) -> Self {
        let authorization = authorization.map(str::to_owned);
        // Reading all certificates of the system takes longer than a request, and no server here has one of them.
        let http = reqwest::Client::builder().tls_certs_only([]).build().unwrap();
        Self { base: base.to_owned(), authorization, admin_token: None, http }
    }

    /// The same client with a token in `Kong-Admin-Token` too.
    pub fn with_admin_token(self, token: &str) -> Self {
        Self { admin_token: Some(token.to_owned()), ..self }
    }

    /// A request with the client's Authorization, for tests that shape the rest by hand.
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        let headers = [("Authorization", &self.authorization), ("Kong-Admin-Token", &self.admin_token)];
        headers.into_iter().fold(request, |request, (name, value)| match value {
            Some(value) => request.header(name, value),
            None => request,
        })
    }

    /// Sends a request and checks the answer against openapi.yaml.
    pub async fn send(&self, method: Method, path: &str, body: Option<Value>) -> Answer {
        let request = self.request(method.clone(), path);
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        Answer::of(request, &method, path).await
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None).await
    }

    /// Asks again until the answer has this status.
    pub async fn until(&self, path: &str, status: u16) -> Answer {
        self.until_it(path, |answer| answer.status == status).await
    }

    /// Asks again until the JSON of the answer is as expected.
    pub async fn until_is(&self, path: &str, expected: impl Fn(Value) -> bool) -> Answer {
        self.until_it(path, |answer| answer.status == 200 && expected(answer.json())).await
    }

    async fn until_it(&self, path: &str, expected: impl Fn(&Answer) -> bool) -> Answer {
        let begun = Instant::now();
        loop {
            let answer = self.get(path).await;
            if expected(&answer) {
                return answer;
            }
            assert!(begun.elapsed() < PATIENCE, "{path} still answers {}: {}", answer.status, answer.text);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(Method::POST, path, Some(body)).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.send(Method::PUT, path, Some(body)).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.send(Method::PATCH, path, Some(body)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.send(Method::DELETE, path, None).await
    }

    /// Creates a hook key.
    pub async fn create(&self, name: &str) -> Value {
        let answer = self.post("/api/v1/hook-keys", json!({ "name": name })).await;
        answer.expect(200).json()
    }

    /// Makes an inline hook that names `key`.
    pub async fn use_key(&self, key: &Value, name: &str) -> Value {
        let channel = oauth_channel("https://example.com/token", "https://example.com/hook", key);
        self.create_hook(hook(name, channel)).await
    }

    /// Makes an inline hook.
    pub async fn create_hook(&self, body: Value) -> Value {
        self.post("/api/v1/inlineHooks", body).await.expect(200).json()
    }

    /// The names of all hook keys, in the order of the list.
    pub async fn names(&self) -> Vec<String> {
        let list = self.get("/api/v1/hook-keys").await.expect(200).json();
        list.as_array().unwrap().iter().map(|key| key["name"].as_str().unwrap().to_owned()).collect()
    }
}

/// The path of a hook key.
pub fn path_of(key: &Value) -> String {
    format!("/api/v1/hook-keys/{}", key["id"].as_str().unwrap())
}

/// The path of an inline hook.
pub fn path_of_hook(hook: &Value) -> String {
    format!("/api/v1/inlineHooks/{}", hook["id"].as_str().unwrap())
}

/// The body that makes an inline hook of a type that may be tried twice.
pub fn hook(name: &str, channel: Value) -> Value {
    json!({ "name": name, "type": "com.okta.import.transform", "version": "1.0.0", "channel": channel })
}

/// A channel without authentication.
pub fn http_channel(uri: &str) -> Value {
    json!({ "type": "HTTP", "version": "1.0.0", "config": { "uri": uri } })
}

/// A channel that gets its access tokens with a hook key.
pub fn oauth_channel(token_url: &str, uri: &str, key: &Value) -> Value {
    json!({
        "type": "OAUTH",
        "version": "1.0.0",
        "config": {
            "uri": uri,
            "clientId": "client-1",
            "tokenUrl": token_url,
            "authType": "private_key_jwt",
            "scope": "hooks",
            "hookKeyId": key["id"],
        },
    })
}
