//! The walk-throughs of Kong's documentation, run by the real curl and the real `HTTPie`. The lines are as printed;
//! only the address differs, and a shell function adds the token.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::keys::RSA_JWK;
use crate::harness::{Client, Server};

// The printed lines have the whole key where it says KEY here.

const CURL_SET: &str = r"curl -i -X PUT http://HOSTNAME:8001/key-sets  \
  --data name=my-set \
";

const CURL_JWK: &str = r"curl -i -X POST http://HOSTNAME:8001/keys  \
  --data name=my-first-jwk \
  --data jwk='KEY' \
  --data kid=42 \
  --data set.name=my-set
";

const CURL_OTHER_SET: &str = r"curl -i -X PUT http://HOSTNAME:8001/key-sets  \
  --data name=my-other-set \
";

const CURL_PEM: &str = r"curl -i -X POST http://HOSTNAME:8001/keys  \
  --data name=my-first-pem-key \
  --data pem.private_key=@path/to/private_key.pem
  --data pem.public_key=@path/to/public_key.pem
  --data kid=23 \
  --data set.name=my-other-set
";

const HTTPIE_SET: &str = r"http -f PUT :8001/key-sets \
  name=my-set \
";

const HTTPIE_JWK: &str = r"http -f PUT :8001/keys \
  name=my-first-jwk \
  jwk='KEY' \
  kid=42 \
  set.name=my-set
";

const HTTPIE_OTHER_SET: &str = r"http -f PUT :8001/key-sets \
  name=my-other-set \
";

const HTTPIE_PEM: &str = r"http -f PUT :8001/keys \
  name=my-first-jwk \
  kid=23 \
  set.name=my-other-set \
  pem.private_key=@path/to/private_key.pem \
  pem.public_key=@path/to/public_key.pem \
  -f
";

/// Gives the commands the token; `HTTPie` finds it in a session, because a header could not stand behind its last `-f`.
/// Neither reads a configuration of whoever runs the tests.
const FUNCTIONS: &str = r#"
curl() { command curl -q -s -H "Kong-Admin-Token: $token" "$@"; }
http() { command "$httpie" --ignore-stdin --print=hb --session-read-only=./session.json "$@"; }
"#;

/// A server, and a directory with the files that the lines name.
struct Guide {
    server: Server,
    acme: Client,
    token: String,
    directory: tempfile::TempDir,
}

impl Guide {
    async fn open() -> Self {
        let server = Server::start().await;
        let acme = server.org("acme").await;
        let (_, token) = server.token("acme", &["all"], None).await;
        let directory = tempfile::tempdir().unwrap();
        make_pems(&directory.path().join("path/to"));
        let session = json!({ "headers": [{ "name": "Kong-Admin-Token", "value": token }] });
        std::fs::write(directory.path().join("session.json"), session.to_string()).unwrap();
        Self { server, acme, token, directory }
    }

    /// Runs printed lines; returns the status and the body of the answer.
    fn run(&self, lines: &str) -> (u16, Value) {
        let (_, port) = self.server.address().split_once(':').unwrap();
        let lines = lines.replace("http://HOSTNAME:8001", &self.server.base);
        let lines = lines.replace(" :8001", &format!(" :{port}")).replace("KEY", RSA_JWK);
        let mut shell = Command::new("sh");
        shell.args(["-c", &format!("{FUNCTIONS}{lines}")]).current_dir(self.directory.path());
        shell.env("token", &self.token).env("httpie", httpie());
        shell.env("HTTPIE_CONFIG_DIR", self.directory.path().join("httpie"));
        let output = shell.output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let problem = String::from_utf8_lossy(&output.stderr);
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{text}{problem}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap())
    }

    fn file(&self, name: &str) -> String {
        std::fs::read_to_string(self.directory.path().join("path/to").join(name)).unwrap()
    }

    fn pem(&self) -> Value {
        json!({ "private_key": self.file("private_key.pem"), "public_key": self.file("public_key.pem") })
    }
}

/// The `HTTPie` that scripts/test installs, or one that is there.
fn httpie() -> String {
    std::env::var("HOOK_KEYS_HTTPIE").unwrap_or_else(|_| "http".to_owned())
}

fn need_httpie() {
    let version = Command::new(httpie()).arg("--version").output();
    assert!(version.is_ok_and(|output| output.status.success()), "these tests need HTTPie: run scripts/test");
}

fn make_pems(directory: &Path) {
    std::fs::create_dir_all(directory).unwrap();
    for arguments in [
        "genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out private_key.pem",
        "pkey -in private_key.pem -pubout -out public_key.pem",
    ] {
        let mut openssl = Command::new("openssl");
        let output = openssl.args(arguments.split(' ')).current_dir(directory).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

/// When the server's clock stands still.
const NOW: i64 = 1_769_903_998;

/// The key set that the guide shows, with the id and the times of this server.
fn set_named(name: &str, answered: &Value) -> Value {
    json!({ "created_at": NOW, "id": answered["id"], "name": name, "tags": null, "updated_at": NOW })
}

/// The key of the first walk-through that the guide shows. Its `jwk` is a text, not the object that is printed.
fn first_key(answered: &Value, set: &Value) -> Value {
    json!({
        "id": answered["id"],
        "jwk": RSA_JWK,
        "created_at": NOW,
        "updated_at": NOW,
        "name": "my-first-jwk",
        "tags": null,
        "set": { "id": set["id"] },
        "kid": "42",
        "pem": null,
    })
}

#[tokio::test]
async fn the_curl_lines_make_a_set_and_a_jwk_key_in_it() {
    let guide = Guide::open().await;
    let (status, set) = guide.run(CURL_SET);
    assert_eq!((status, &set), (200, &set_named("my-set", &set)));
    let (status, key) = guide.run(CURL_JWK);
    assert_eq!((status, &key), (201, &first_key(&key, &set)));
    // Once more: the set is the same one, and the key is there already.
    assert_eq!(guide.run(CURL_SET), (200, set));
    let (status, refused) = guide.run(CURL_JWK);
    assert_eq!((status, &refused["fields"]), (409, &json!({ "name": "my-first-jwk" })));
    assert_eq!(guide.acme.get("/keys/my-first-jwk").await.expect(200).json(), key);
}

#[tokio::test]
async fn the_httpie_lines_make_a_jwk_key_and_then_a_pem_key_of_it() {
    need_httpie();
    let guide = Guide::open().await;
    let (status, set) = guide.run(HTTPIE_SET);
    assert_eq!((status, &set), (200, &set_named("my-set", &set)));
    let (status, key) = guide.run(HTTPIE_JWK);
    assert_eq!((status, &key), (200, &first_key(&key, &set)));
    let (status, other) = guide.run(HTTPIE_OTHER_SET);
    assert_eq!((status, &other), (200, &set_named("my-other-set", &other)));

    // The guide uses the name of the first key again, so that key becomes another one.
    let (status, pem) = guide.run(HTTPIE_PEM);
    let mut expected = first_key(&key, &other);
    (expected["jwk"], expected["pem"], expected["kid"]) = (Value::Null, guide.pem(), "23".into());
    assert_eq!((status, &pem), (200, &expected));
    let keys = guide.acme.get("/keys").await.expect(200).json();
    assert_eq!(keys["data"], json!([expected]));
}

#[tokio::test]
async fn the_curl_lines_for_a_pem_key_as_printed_store_nothing_and_say_why() {
    let guide = Guide::open().await;
    let (status, set) = guide.run(CURL_OTHER_SET);
    assert_eq!((status, &set), (200, &set_named("my-other-set", &set)));

    // Two lines lack the backslash, so the shell sends a part and then looks for a command named --data.
    let remedy = |half: &str, field: &str| {
        format!(
            "could not load {half} key: the text begins with @, so it seems to be the name of a file, and curl's \
             --data reads none: use --data-urlencode '{field}@FILE' or -F '{field}=<FILE'"
        )
    };
    let private = remedy("private", "pem.private_key");
    let (status, refused) = guide.run(CURL_PEM);
    let expected = json!({
        "message": format!("2 schema violations (kid: required field missing; pem: {private})"),
        "name": "schema violation",
        "code": 2,
        "fields": { "kid": "required field missing", "pem": private },
    });
    assert_eq!((status, refused), (400, expected));

    // With the lines joined, all is sent but the files.
    let (status, refused) = guide.run(&joined());
    let both = format!("{}; {private}", remedy("public", "pem.public_key"));
    assert_eq!((status, &refused["fields"]), (400, &json!({ "pem": both })));
    assert_eq!(guide.acme.get("/keys").await.expect(200).json()["data"], json!([]));
}

#[tokio::test]
async fn every_way_in_which_curl_does_send_a_file_makes_the_pem_key() {
    let guide = Guide::open().await;
    let (_, set) = guide.run(CURL_OTHER_SET);
    for (text, file) in [
        ("--data", "--data-urlencode pem.HALF@FILE"),
        ("-F", "-F 'pem.HALF=<FILE'"),
        ("-F", "-F pem.HALF=@FILE"),
    ] {
        let lines = ["private_key", "public_key"].iter().fold(joined(), |lines, half| {
            let path = format!("path/to/{half}.pem");
            let working = file.replace("HALF", half).replace("FILE", &path);
            lines.replace(&format!("--data pem.{half}=@{path}"), &working)
        });
        let (status, key) = guide.run(&lines.replace("--data ", &format!("{text} ")));
        assert_eq!((status, &key["pem"]), (201, &guide.pem()), "{file}: {key}");
        assert_eq!(
            (&key["kid"], &key["name"], &key["jwk"], &key["set"]["id"]),
            (&json!("23"), &json!("my-first-pem-key"), &Value::Null, &set["id"]),
            "{file}"
        );
        guide.acme.delete("/keys/my-first-pem-key").await.expect(204);
    }
}

/// The lines for a PEM key with the two backslashes that are missing in print.
fn joined() -> String {
    CURL_PEM.replace(".pem\n", ".pem \\\n")
}
