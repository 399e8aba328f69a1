//! What there is to copy, and what came of it.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use rcgen::KeyPair;
use serde_json::{Value, json};

use crate::harness::database::{Database, texts};
use crate::harness::keys::{ec_jwk, key_of, public, rsa_jwk};
use crate::harness::process::{Dev, hook_keys, on, stdout};
use crate::harness::{Client, LOOPBACK, hook, http_channel, oauth_channel, path_of};

pub const KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

/// Links in answers are the same whoever serves.
const PUBLIC: (&str, &str) = ("HOOK_KEYS_PUBLIC_URL", "https://keys.example.com");

/// A directory for one test, and in it a SQLite file with an org `acme` and `rows` key sets that nobody sealed.
pub fn plain(rows: u32) -> (tempfile::TempDir, Database) {
    let directory = tempfile::tempdir().unwrap();
    let source = Database::Sqlite(directory.path().join("source.db"));
    stdout(&settings(&source).arg("migrate").output().unwrap());
    stdout(&settings(&source).args(["org", "create", "acme"]).output().unwrap());
    source.sql(&format!(
        "WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < {rows})
         INSERT INTO key_sets (id, org_id, name, created_ms, updated_ms)
         SELECT '00000000-0000-4000-8000-' || substr(CAST(1000000000000 + n AS TEXT), 2), orgs.id, 'n' || n, 0, 0
         FROM number, orgs WHERE {rows} > 0"
    ));
    (directory, source)
}

/// The binary with a database and a master key.
pub fn settings(database: &Database) -> Command {
    let mut command = hook_keys();
    command.env("HOOK_KEYS_DATABASE_URL", database.url()).env("HOOK_KEYS_MASTER_KEY", KEY);
    command
}

/// The command that copies from one to the other.
pub fn copy(from: &str, to: &str) -> Command {
    let mut command = hook_keys();
    command.env("HOOK_KEYS_MASTER_KEY", KEY).args(["copy", "--from", from, "--to", to]);
    command
}

/// The command that copies out of a data directory.
pub fn copy_out(data: &Path, to: &Database) -> Output {
    on(data, &["copy", "--json", "--to", &to.url()])
}

/// A data directory with something of everything, and who may look at it.
pub struct Everything {
    pub data: PathBuf,
    pub admin: String,
    pub revoked: String,
    /// The path of a hook that signs with a hook key and calls `service`.
    pub signing: String,
    _directory: tempfile::TempDir,
}

impl Everything {
    pub async fn make(service: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("data");
        let dev = Dev::start_in(&data, &[], &[PUBLIC]);
        stdout(&on(&data, &["org", "create", "acme", "--max-hook-keys", "7"]));
        let token = |more: &[&str]| {
            let made = [&["token", "create", "--org", "acme"][..], more].concat();
            stdout(&on(&data, &made)).trim().to_owned()
        };
        let admin = token(&["--name", "Grüße", "--permission", "all"]);
        token(&["--name", "ends", "--permission", "keys.read", "--expires-in", "90d"]);
        let revoked = token(&["--name", "gone"]);
        let acme = Client::new(&dev.base, Some(&format!("SSWS {admin}")));
        // One more in the other org, and a gap in the order.
        dev.client().create("elsewhere").await;
        let [first, second, dropped] =
            [acme.create("b").await, acme.create("a").await, acme.create("c").await];
        acme.delete(&path_of(&dropped)).await.expect(204);
        acme.put(&path_of(&second), json!({ "name": "renamed" })).await.expect(200);
        let signing = hooks(&acme, service, &first).await;
        keys(&acme).await;
        let listed = stdout(&on(&data, &["token", "list", "--org", "acme"]));
        let gone = listed.lines().find(|line| line.contains(" gone ")).unwrap();
        let id = gone.split(' ').next().unwrap();
        stdout(&on(&data, &["token", "revoke", id]));
        assert_eq!(dev.terminate(), Some(0));
        Self { data, admin, revoked, signing, _directory: directory }
    }

    pub fn database(&self) -> Database {
        Database::Sqlite(self.data.join("hook-keys.db"))
    }
}

/// Inline hooks with each kind of authentication. Returns the path of the one that signs.
async fn hooks(acme: &Client, service: &str, key: &Value) -> String {
    let kept = acme.create_hook(hook("none", http_channel(service))).await;
    acme.post(&format!("{}/lifecycle/deactivate", crate::harness::path_of_hook(&kept)), json!({}))
        .await
        .expect(200);
    acme.create_hook(hook(
        "header",
        json!({ "type": "HTTP", "version": "1.0.0", "config": {
            "uri": service,
            "headers": [{ "key": "X-One", "value": "1" }, { "key": "Field 1", "value": "é" }],
            "authScheme": { "type": "HEADER", "key": "Authorization", "value": "s3cret" },
        } }),
    ))
    .await;
    acme.create_hook(hook(
        "secret",
        json!({ "type": "OAUTH", "version": "1.0.0", "config": {
            "uri": service, "clientId": "c", "tokenUrl": service,
            "authType": "client_secret_post", "clientSecret": "s3cret=&",
        } }),
    ))
    .await;
    let signing = acme.create_hook(hook("signs", oauth_channel(service, service, key))).await;
    crate::harness::path_of_hook(&signing)
}

/// Key sets and keys in each form.
async fn keys(acme: &Client) {
    let reference = "{vault://hcv/keys/one}";
    acme.post("/key-sets", json!({ "name": "z", "tags": ["b", "a b", "😀"] })).await.expect(201);
    acme.post("/key-sets", json!({ "name": "y", "tags": [] })).await.expect(201);
    acme.post("/key-sets", json!({})).await.expect(201);
    let pair = KeyPair::generate().unwrap();
    let (private, public_pem) = (pair.serialize_pem(), pair.public_key_pem());
    for (more, mut body) in [
        (json!({ "name": "jwk", "tags": ["t", "s"], "set": { "name": "z" } }), key_of(&rsa_jwk("one"))),
        (json!({ "name": "ec" }), key_of(&ec_jwk("two"))),
        (json!({ "name": "public \u{1f511}", "tags": [] }), key_of(&public(ec_jwk("three")))),
        (json!({ "kid": "four" }), json!({ "pem": { "private_key": private, "public_key": public_pem } })),
        (json!({ "kid": "five", "set": { "name": "y" } }), json!({ "pem": { "private_key": private } })),
        (json!({ "kid": "six" }), json!({ "pem": { "public_key": public_pem } })),
        (json!({ "kid": "seven", "tags": ["t"] }), json!({ "jwk": reference })),
        (json!({ "kid": "eight" }), json!({ "pem": { "private_key": reference, "public_key": public_pem } })),
    ] {
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        acme.create_key(body).await;
    }
}

/// Every row of every table that is copied, in the order of the rows, with all columns but `seq`; tables and columns
/// are those of `like`, a SQLite file.
pub fn dump(database: &Database, like: &Database) -> Vec<String> {
    let Database::Sqlite(like) = like else { panic!("not a SQLite file") };
    let tables = texts(
        like,
        "SELECT name AS text FROM sqlite_master
         WHERE type = 'table' AND name NOT LIKE 'sqlite%' AND name NOT LIKE '\\_\\_%' ESCAPE '\\'
           AND name NOT IN ('changes', 'schema_floor')
         ORDER BY name",
    );
    assert!(tables.len() >= 9, "{tables:?}");
    let mut rows = Vec::new();
    for table in tables {
        let of = |what: &str| format!("SELECT {what} AS text FROM pragma_table_info('{table}') ORDER BY cid");
        let columns = texts(like, &of("name || ' ' || type || ' ' || pk"));
        let order = columns.iter().find_map(|column| column.strip_suffix(" 1")?.split(' ').next()).unwrap();
        let cells = columns.iter().filter(|column| !column.starts_with("seq ")).map(|column| {
            let name = column.split(' ').next().unwrap();
            match database {
                Database::Sqlite(_) => format!("iif({name} IS NULL, '-', hex(CAST({name} AS BLOB)))"),
                Database::Postgres { .. } if column.contains(" BLOB ") => {
                    format!("coalesce(upper(encode({name}, 'hex')), '-')")
                }
                Database::Postgres { .. } => {
                    format!("coalesce(upper(encode(convert_to({name}::text, 'UTF8'), 'hex')), '-')")
                }
            }
        });
        let cells = cells.collect::<Vec<_>>().join(" || ' ' || ");
        let query = format!("SELECT '{table} ' || {cells} AS text FROM {table} ORDER BY {order}");
        rows.extend(database.texts(&query));
    }
    rows
}

/// How many rows there are, in all tables.
pub fn rows(database: &Database, like: &Database) -> usize {
    dump(database, like).len()
}

/// A server on any database with the master key of a data directory, killed when dropped.
pub struct Serving {
    pub base: String,
    child: Child,
}

impl Serving {
    pub fn start(database: &Database, data: &Path) -> Self {
        let mut child = hook_keys()
            .args(["serve", "--listen", "127.0.0.1:0", "--pool-size", "0", "--log", "error"])
            .env("HOOK_KEYS_DATABASE_URL", database.url())
            .env("HOOK_KEYS_MASTER_KEY_FILE", data.join("master.key"))
            .envs(LOOPBACK)
            .envs([PUBLIC])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let (_, address) = line.trim().split_once("serves ").unwrap();
        Self { base: address.to_owned(), child }
    }

    pub fn client(&self, token: &str) -> Client {
        Client::new(&self.base, Some(&format!("SSWS {token}")))
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What `acme` is told of all that it has.
pub async fn lists(acme: &Client) -> Vec<String> {
    let mut all = Vec::new();
    for path in
        ["/api/v1/hook-keys", "/api/v1/inlineHooks", "/key-sets", "/keys", "/key-sets/z/keys", "/tags"]
    {
        all.push(acme.get(path).await.expect(200).text);
    }
    all
}
