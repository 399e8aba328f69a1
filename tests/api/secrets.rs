//! No private number and no token ends up where it does not belong.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::json;

use crate::harness::private::{Secrets, open_all};
use crate::harness::process::{Dev, on};
use crate::harness::service::Service;
use crate::harness::{hook, path_of, path_of_hook};

/// All that came out of a server, by where it came out.
type Places = Vec<(String, Vec<u8>)>;

/// Every spelling in which a number could stand in a text or a file: raw, hexadecimal, and base64 in both
/// alphabets at each of the three offsets a longer encoded text could give it.
fn spellings(number: &[u8]) -> Vec<Vec<u8>> {
    let hex = number.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    let mut all = vec![number.to_vec(), hex.to_uppercase().into_bytes(), hex.into_bytes()];
    for skip in 0..3 {
        let whole = &number[skip..];
        let whole = &whole[..whole.len() - whole.len() % 3];
        all.push(STANDARD.encode(whole).into_bytes());
        all.push(URL_SAFE_NO_PAD.encode(whole).into_bytes());
    }
    all
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

fn files(directory: &Path) -> Places {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| (path.display().to_string(), std::fs::read(path).unwrap())).collect()
}

#[tokio::test]
async fn no_private_number_of_50_keys_is_in_the_database_the_log_at_trace_level_or_any_answer() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let dev = Dev::start(&data, &["--log", "trace"]);
    let client = dev.client();
    let mut places = Places::new();
    let mut moduli = Vec::new();
    for number in 0..50 {
        let created =
            client.post("/api/v1/hook-keys", json!({ "name": format!("k{number}") })).await.expect(200);
        let key = created.json();
        let key_id = key["keyId"].as_str().unwrap();
        let modulus = key["_embedded"]["n"].as_str().unwrap().to_owned();
        for path in [path_of(&key) + "?expand=publickey", format!("/api/v1/hook-keys/public/{key_id}")] {
            places.push((path.clone(), client.get(&path).await.expect(200).text.into_bytes()));
        }
        moduli.push(modulus);
        places.push(("create".to_owned(), created.text.into_bytes()));
    }
    client.post("/api/v1/hook-keys", json!({ "name": "51st" })).await.expect(400);
    for path in ["/api/v1/hook-keys", "/api/v1/hook-keys/none"] {
        places.push((path.to_owned(), client.get(path).await.text.into_bytes()));
    }
    for command in [&["keyring", "status"][..], &["keyring", "verify", "--json"]] {
        places.push((command.join(" "), on(&data, command).stdout));
    }
    let token = dev.token.clone();
    let log = dev.log_text();
    assert!(log.contains(" TRACE "), "the log is not at trace level");
    places.push(("the log".to_owned(), log.into_bytes()));
    // Killed, so that the WAL is still there to be looked through.
    dev.kill();
    places.extend(files(&data));
    assert!(places.iter().any(|(name, bytes)| name.ends_with("-wal") && !bytes.is_empty()));

    // The search itself works: it finds what may be seen, in the database and in an answer.
    let public = places.iter().filter(|(_, bytes)| contains(bytes, moduli[0].as_bytes()));
    assert!(public.count() >= 3);

    let master_key = std::fs::read_to_string(data.join("master.key")).unwrap();
    let keys = open_all(&data.join("hook-keys.db"), &master_key);
    assert_eq!(keys.len(), 50);
    let index = Index::new(&places);
    for Secrets { numbers } in &keys {
        for (name, number) in numbers {
            for spelling in spellings(number) {
                assert_eq!(index.find(&spelling), None, "{name} leaked");
            }
        }
    }
    for (name, bytes) in places.iter().filter(|(name, _)| !name.ends_with("admin-token")) {
        assert!(!contains(bytes, token.as_bytes()), "the token is in {name}");
    }
    for (name, bytes) in places.iter().filter(|(name, _)| !name.ends_with("master.key")) {
        assert!(!contains(bytes, master_key.trim().as_bytes()), "the master key is in {name}");
    }
}

#[tokio::test]
async fn no_secret_of_a_hook_is_in_the_database_the_log_at_trace_level_or_any_answer() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let dev = Dev::start(&data, &["--log", "trace"]);
    let client = dev.client();
    let [value, secret, token, header] = ["5chemeValue", "cl1entSecret", "4ccessToken", "h3aderValue"]
        .map(|name| format!("{name}{}", &dev.token[2..22]));
    let granted = json!({ "access_token": token, "expires_in": 60 });
    let (endpoint, receiver) = (Service::answering(granted), Service::answering(json!({})));
    let headers = json!([{ "key": "X-One", "value": header }]);
    let scheme = json!({ "type": "HEADER", "key": "Authorization", "value": value });
    let fixed = json!({ "uri": receiver.base, "headers": headers, "authScheme": scheme });
    let oauth = json!({
        "uri": receiver.base, "headers": headers, "clientId": "c", "tokenUrl": endpoint.base,
        "authType": "client_secret_post", "clientSecret": secret,
    });
    let mut places = Places::new();
    for (name, channel) in [
        ("fixed", json!({ "type": "HTTP", "config": fixed })),
        ("oauth", json!({ "type": "OAUTH", "config": oauth })),
    ] {
        let made = client.post("/api/v1/inlineHooks", hook(name, channel)).await.expect(200);
        let path = path_of_hook(&made.json());
        let executed = client.post(&format!("{path}/execute"), json!({})).await.expect(200);
        let seen = client.get(&path).await.expect(200);
        assert!(seen.text.contains(&header), "header values are echoed");
        places
            .extend([made, executed, seen].map(|answer| ("an answer".to_owned(), answer.text.into_bytes())));
    }
    // The services did get what they should.
    assert_eq!(receiver.seen()[0].header("authorization"), Some(value.as_str()));
    assert_eq!(endpoint.seen()[0].field("client_secret"), Some(secret.clone()));
    assert_eq!(receiver.seen()[1].header("authorization"), Some(&*format!("Bearer {token}")));
    let mut at_rest: Places = vec![("the log".to_owned(), dev.log_text().into_bytes())];
    dev.kill();
    at_rest.extend(files(&data));
    for (place, bytes) in places.iter().chain(&at_rest) {
        for hidden in [&value, &secret, &token] {
            assert!(!contains(bytes, hidden.as_bytes()), "{hidden} is in {place}");
        }
    }
    for (place, bytes) in &at_rest {
        assert!(!contains(bytes, header.as_bytes()), "{header} is in {place}");
    }
    assert!(at_rest.iter().any(|(_, bytes)| contains(bytes, receiver.base.as_bytes())), "the search works");
}

/// Finds any of thousands of needles in megabytes: every run of eight bytes, with where it stands.
struct Index<'a> {
    places: &'a Places,
    runs: std::collections::HashMap<[u8; 8], Vec<(usize, usize)>>,
}

impl<'a> Index<'a> {
    fn new(places: &'a Places) -> Self {
        let mut runs = std::collections::HashMap::<_, Vec<_>>::new();
        for (place, (_, bytes)) in places.iter().enumerate() {
            for (at, run) in bytes.windows(8).enumerate() {
                runs.entry(run.try_into().unwrap()).or_default().push((place, at));
            }
        }
        Self { places, runs }
    }

    fn find(&self, needle: &[u8]) -> Option<&str> {
        let start: [u8; 8] = needle[..8].try_into().unwrap();
        let found = self
            .runs
            .get(&start)?
            .iter()
            .find(|(place, at)| self.places[*place].1[*at..].starts_with(needle));
        found.map(|(place, _)| self.places[*place].0.as_str())
    }
}

#[test]
fn the_search_finds_a_number_in_every_spelling() {
    let number: Vec<u8> = (0..128).map(|byte: u8| byte.wrapping_mul(37).wrapping_add(11)).collect();
    for spelling in spellings(&number) {
        let places = vec![("here".to_owned(), [b"before".as_slice(), &spelling, b"after"].concat())];
        assert_eq!(Index::new(&places).find(&spelling), Some("here"));
    }
    for prefix in 0..3 {
        let whole = [&vec![7; prefix][..], &number, &[9; 5]].concat();
        let places = vec![("encoded".to_owned(), STANDARD.encode(whole).into_bytes())];
        let index = Index::new(&places);
        assert!(spellings(&number).iter().any(|spelling| index.find(spelling).is_some()), "offset {prefix}");
    }
}
