//! A key set of ten thousand keys.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{Client, Server};

const KEYS: usize = 10_000;

/// Fills the key set `s` with keys, each with a tag, straight into the database.
async fn fill(server: &Server) -> Client {
    let acme = server.org("acme").await;
    acme.create_set("s").await;
    server.sql(&format!(
        "WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < {KEYS})
         INSERT INTO keys (id, org_id, set_id, name, kid, pem_public, tags, created_ms, updated_ms)
         SELECT '00000000-0000-4000-8000-' || substr(CAST(1000000000000 + n * 7919 % {KEYS} AS TEXT), 2), key_sets.org_id, key_sets.id,
                'n' || n, 'k' || n, '{PEM}', '[\"t\"]', 0, 0
         FROM number, key_sets"
    ));
    server.sql("INSERT INTO tags (org_id, key_id, tag) SELECT org_id, id, 't' FROM keys");
    acme
}

/// Any public key.
const PEM: &str = "-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEeD74I5r5NpDdLfapp4lIyHwa45ff
U9Kvyjq9oggFNgKTkaAKKI5D+recDAvGlpD3B6bHaRszm8MSmlSGq+hgmQ==
-----END PUBLIC KEY-----";

fn ids(page: &Value) -> impl Iterator<Item = String> {
    page["data"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn ten_thousand_keys_are_each_on_one_page_and_go_with_their_set() {
    let server = Server::start().await;
    let acme = fill(&server).await;
    let expected: Vec<_> = (0..KEYS).map(|number| format!("00000000-0000-4000-8000-{number:012}")).collect();
    for path in ["/key-sets/s/keys?size=1000", "/keys?size=1000", "/keys?size=1000&tags=t"] {
        let (mut next, mut pages, mut found) = (Some(path.to_owned()), 0, Vec::new());
        while let Some(path) = next {
            let page = acme.get(&path).await.expect(200).json();
            assert_eq!(page["data"].as_array().unwrap().len(), 1000, "{path}");
            found.extend(ids(&page));
            next = page["next"].as_str().map(str::to_owned);
            pages += 1;
        }
        assert_eq!(pages, 10, "{path}");
        assert!(found == expected, "{path}");
    }
    acme.delete("/key-sets/s").await.expect(204);
    for path in ["/keys", "/tags", "/key-sets"] {
        assert_eq!(acme.get(path).await.expect(200).text, r#"{"data":[],"next":null}"#);
    }
}

#[tokio::test]
#[ignore = "measures; scripts/test --long runs it"]
async fn how_long_pages_and_the_delete_of_a_large_set_take() {
    let server = Server::start().await;
    let acme = fill(&server).await;
    let mut path = "/key-sets/s/keys?size=100".to_owned();
    let first = median(&acme, &path).await;
    while let Some(next) = acme.get(&path).await.expect(200).json()["next"].as_str() {
        next.clone_into(&mut path);
    }
    let last = median(&acme, &path).await;
    let start = Instant::now();
    acme.delete("/key-sets/s").await.expect(204);
    eprintln!("{KEYS} keys: first page {first:?}, last page {last:?}, cascade {:?}", start.elapsed());
}

/// The median time of 50 requests. The answers are not compared with the document, which would take longer.
async fn median(client: &Client, path: &str) -> Duration {
    let mut times = Vec::new();
    for _ in 0..50 {
        let start = Instant::now();
        let response = client.request(reqwest::Method::GET, path).send().await.unwrap();
        let bytes = response.bytes().await.unwrap();
        times.push(start.elapsed());
        assert!(bytes.len() > 10_000, "{path}");
    }
    times.sort();
    times[25]
}
