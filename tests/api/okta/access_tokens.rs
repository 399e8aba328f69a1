//! Access tokens: how hooks get them with their keys and secrets, and how long they keep them.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;
use serde_json::{Value, json};

use super::execute::{assert_failed, execute, server};
use crate::harness::service::{Act, Seen, Service};
use crate::harness::{Client, hook, oauth_channel, path_of_hook};

const TOKEN: &str = "s3cret-access-token";

/// A token endpoint that does what RFC 7523 asks of it, with a JOSE library that is not ours.
struct TokenEndpoint {
    service: Service,
    keys: Arc<Mutex<HashMap<String, DecodingKey>>>,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    jti: String,
    iat: i64,
    exp: i64,
}

impl TokenEndpoint {
    /// Starts one that takes assertions for `audience`, or for its own `/token` when that is empty.
    fn start(audience: &str, expires_in: Option<u64>) -> Self {
        let keys = Arc::new(Mutex::new(HashMap::new()));
        let (known, used) = (Arc::clone(&keys), Mutex::new(HashSet::new()));
        let audience = audience.to_owned();
        let service = Service::start(move |seen, number| {
            let own = format!("http://{}/token", seen.header("host").unwrap());
            let audience = if audience.is_empty() { &own } else { &audience };
            if let Err(problem) = judge(seen, audience, &known.lock().unwrap(), &mut used.lock().unwrap()) {
                return Act::json(401, &json!({ "error": "invalid_client", "error_description": problem }));
            }
            let mut granted = json!({ "access_token": format!("{TOKEN}-{number}"), "token_type": "Bearer" });
            if let Some(seconds) = expires_in {
                granted["expires_in"] = seconds.into();
            }
            Act::json(200, &granted)
        });
        Self { service, keys }
    }

    /// Fetches the public half from the API, as its operator would, and trusts it.
    async fn trust(&self, client: &Client, key: &Value) {
        let key_id = key["keyId"].as_str().unwrap();
        let jwk = client.get(&format!("/api/v1/hook-keys/public/{key_id}")).await.expect(200).json();
        let text = |member: &str| jwk[member].as_str().unwrap().to_owned();
        let public = DecodingKey::from_rsa_components(&text("n"), &text("e")).unwrap();
        self.keys.lock().unwrap().insert(text("kid"), public);
    }

    fn url(&self) -> String {
        format!("{}/token", self.service.base)
    }
}

fn judge(
    seen: &Seen,
    audience: &str,
    keys: &HashMap<String, DecodingKey>,
    used: &mut HashSet<String>,
) -> Result<(), String> {
    let field = |name: &str| seen.field(name).ok_or_else(|| format!("{name} is missing"));
    if field("grant_type")? != "client_credentials" || field("scope")? != "hooks" {
        return Err("grant_type or scope".to_owned());
    }
    if field("client_assertion_type")? != "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" {
        return Err("client_assertion_type".to_owned());
    }
    let assertion = field("client_assertion")?;
    let kid = decode_header(&assertion).map_err(|error| error.to_string())?.kid.ok_or("no kid")?;
    let key = keys.get(&kid).ok_or("unknown kid")?;
    let mut rules = Validation::new(Algorithm::RS256);
    rules.set_audience(&[audience]);
    rules.set_required_spec_claims(&["exp", "aud", "iss", "sub"]);
    rules.leeway = 5;
    let claims = decode::<Claims>(&assertion, key, &rules).map_err(|error| error.to_string())?.claims;
    if (claims.iss.as_str(), claims.sub.as_str()) != ("client-1", "client-1") {
        return Err("iss or sub".to_owned());
    }
    if !(1..=600).contains(&(claims.exp - claims.iat)) {
        return Err("lifetime".to_owned());
    }
    if used.insert(claims.jti) { Ok(()) } else { Err("replayed jti".to_owned()) }
}

/// A receiver that takes the endpoint's tokens only.
fn receiver() -> Service {
    Service::start(|seen, _| {
        let ours = format!("Bearer {TOKEN}-");
        if seen.header("authorization").is_some_and(|value| value.starts_with(&ours)) {
            Act::json(200, &json!({ "commands": [], "echo": seen.body }))
        } else {
            Act::json(401, &json!({ "error": "who are you" }))
        }
    })
}

#[tokio::test]
async fn a_hook_gets_a_token_with_its_hook_key_and_calls_the_service_with_it() {
    let server = server().await;
    let acme = server.org("acme").await;
    let (endpoint, receiver) = (TokenEndpoint::start("", Some(3600)), receiver());
    let key = acme.create("k").await;
    endpoint.trust(&acme, &key).await;
    let mut channel = oauth_channel(&endpoint.url(), &format!("{}/hook?x=1", receiver.base), &key);
    channel["config"]["headers"] = json!([{ "key": "X-One", "value": "1" }]);
    let hook = acme.create_hook(hook("h", channel)).await;

    let answer = execute(&acme, &hook, json!({ "data": [1, 2] })).await.expect(200);
    assert_eq!(answer.text, r#"{"commands":[],"echo":"{\"data\":[1,2]}"}"#);
    let asked = &endpoint.service.seen()[0];
    assert_eq!(asked.header("content-type"), Some("application/x-www-form-urlencoded"));
    assert_eq!((asked.header("accept"), asked.header("authorization")), (Some("application/json"), None));
    assert_eq!(asked.field("client_secret"), None);
    let called = &receiver.seen()[0];
    assert_eq!(called.header("authorization"), Some(&*format!("Bearer {TOKEN}-0")));
    assert_eq!(
        (called.header("content-type"), called.header("accept")),
        (Some("application/json"), Some("application/json"))
    );
    assert_eq!((called.header("x-one"), called.path.as_str()), (Some("1"), "/hook"));
}

#[tokio::test]
async fn the_endpoint_refuses_a_replayed_a_misdirected_and_an_expired_assertion() {
    let server = server().await;
    let acme = server.org("acme").await;
    let (endpoint, receiver) = (TokenEndpoint::start("", None), receiver());
    let key = acme.create("k").await;
    endpoint.trust(&acme, &key).await;
    let good = acme.create_hook(hook("good", oauth_channel(&endpoint.url(), &receiver.base, &key))).await;
    execute(&acme, &good, json!({})).await.expect(200);

    let replayed = endpoint.service.seen()[0].body.clone();
    let request = reqwest::Client::new().post(endpoint.url()).body(replayed);
    let refused = request.send().await.unwrap();
    assert_eq!(refused.status(), 401);
    assert!(refused.text().await.unwrap().contains("replayed jti"));

    let elsewhere = TokenEndpoint::start("https://other.example.com/token", None);
    elsewhere.trust(&acme, &key).await;
    let hook =
        acme.create_hook(hook("elsewhere", oauth_channel(&elsewhere.url(), &receiver.base, &key))).await;
    let cause = "token: The token endpoint answered with status 401 (invalid_client)";
    assert_failed(execute(&acme, &hook, json!({})).await, "E0000135", cause);

    server.clock.go_back(Duration::from_secs(3600));
    assert_failed(execute(&acme, &good, json!({})).await, "E0000135", cause);
    assert_eq!(receiver.calls(), 1);
}

#[tokio::test]
async fn an_unknown_key_is_refused_by_the_endpoint() {
    let server = server().await;
    let acme = server.org("acme").await;
    let (endpoint, receiver) = (TokenEndpoint::start("", None), receiver());
    let (trusted, other) = (acme.create("trusted").await, acme.create("other").await);
    endpoint.trust(&acme, &trusted).await;
    let hook = acme.create_hook(hook("h", oauth_channel(&endpoint.url(), &receiver.base, &other))).await;
    let cause = "token: The token endpoint answered with status 401 (invalid_client)";
    assert_failed(execute(&acme, &hook, json!({})).await, "E0000135", cause);
    assert_eq!((endpoint.service.calls(), receiver.calls()), (1, 0));
}

#[tokio::test]
async fn of_100_concurrent_executes_with_a_cold_cache_one_gets_the_token_for_all() {
    let server = server().await;
    let acme = server.org("acme").await;
    let (endpoint, receiver) = (TokenEndpoint::start("", Some(3600)), receiver());
    let key = acme.create("k").await;
    endpoint.trust(&acme, &key).await;
    let hook = acme.create_hook(hook("h", oauth_channel(&endpoint.url(), &receiver.base, &key))).await;
    for answer in join_all((0..100).map(|_| execute(&acme, &hook, json!({})))).await {
        answer.expect(200);
    }
    assert_eq!((endpoint.service.calls(), receiver.calls()), (1, 100));
}

#[tokio::test]
async fn a_token_is_kept_until_shortly_before_it_expires_and_not_across_changes() {
    let server = server().await;
    let acme = server.org("acme").await;
    let (endpoint, receiver) = (TokenEndpoint::start("", Some(600)), receiver());
    let key = acme.create("k").await;
    endpoint.trust(&acme, &key).await;
    let hook = acme.create_hook(hook("h", oauth_channel(&endpoint.url(), &receiver.base, &key))).await;
    let exchanges = async || {
        execute(&acme, &hook, json!({})).await.expect(200);
        endpoint.service.calls()
    };
    assert_eq!(exchanges().await, 1);
    server.clock.advance(Duration::from_secs(60));
    assert_eq!(exchanges().await, 1);
    acme.post(&path_of_hook(&hook), json!({ "name": "renamed" })).await.expect(200);
    assert_eq!(exchanges().await, 1, "a new name is no other channel");
    let other = acme.create("other").await;
    endpoint.trust(&acme, &other).await;
    acme.post(&path_of_hook(&hook), json!({ "channel": { "config": { "hookKeyId": other["id"] } } }))
        .await
        .expect(200);
    assert_eq!(exchanges().await, 2, "another key is");
    server.clock.advance(Duration::from_secs(569));
    assert_eq!(exchanges().await, 2);
    server.clock.advance(Duration::from_secs(2));
    assert_eq!(exchanges().await, 3, "30 seconds before its end a token is no longer used");
}

#[tokio::test]
async fn a_token_without_a_lifetime_is_used_once() {
    let server = server().await;
    let acme = server.org("acme").await;
    let (endpoint, receiver) = (TokenEndpoint::start("", None), receiver());
    let key = acme.create("k").await;
    endpoint.trust(&acme, &key).await;
    let hook = acme.create_hook(hook("h", oauth_channel(&endpoint.url(), &receiver.base, &key))).await;
    for _ in 0..3 {
        execute(&acme, &hook, json!({})).await.expect(200);
    }
    assert_eq!(endpoint.service.calls(), 3);
}

#[tokio::test]
async fn a_token_that_the_service_does_not_take_is_not_used_again() {
    let server = server().await;
    let acme = server.org("acme").await;
    let endpoint = TokenEndpoint::start("", Some(3600));
    let receiver = Service::start(|_, number| Act::json(if number == 0 { 401 } else { 200 }, &json!({})));
    let key = acme.create("k").await;
    endpoint.trust(&acme, &key).await;
    let hook = acme.create_hook(hook("h", oauth_channel(&endpoint.url(), &receiver.base, &key))).await;
    assert_failed(
        execute(&acme, &hook, json!({})).await,
        "E0000135",
        "hook: The service answered with status 401",
    );
    execute(&acme, &hook, json!({})).await.expect(200);
    assert_eq!((endpoint.service.calls(), receiver.calls()), (2, 2));
}

#[tokio::test]
async fn a_client_secret_is_posted_and_a_fixed_header_is_sent() {
    let server = server().await;
    let acme = server.org("acme").await;
    let endpoint = Service::answering(json!({ "access_token": "s3cret-other", "expires_in": 60 }));
    let receiver = Service::answering(json!({ "fine": true }));
    let config = json!({
        "uri": receiver.base, "clientId": "c&1", "tokenUrl": endpoint.base,
        "authType": "client_secret_post", "clientSecret": "s3cret=&",
    });
    let posted = acme.create_hook(hook("posted", json!({ "type": "OAUTH", "config": config }))).await;
    execute(&acme, &posted, json!({})).await.expect(200);
    let asked = &endpoint.seen()[0];
    assert_eq!(asked.field("client_id").as_deref(), Some("c&1"));
    assert_eq!(asked.field("client_secret").as_deref(), Some("s3cret=&"));
    assert_eq!((asked.field("scope"), asked.field("client_assertion")), (None, None));
    assert_eq!(receiver.seen()[0].header("authorization"), Some("Bearer s3cret-other"));

    let scheme = json!({ "type": "HEADER", "key": "X-Api-Key", "value": "s3cret" });
    let config = json!({ "uri": receiver.base, "authScheme": scheme });
    let fixed = acme.create_hook(hook("fixed", json!({ "type": "HTTP", "config": config }))).await;
    execute(&acme, &fixed, json!({})).await.expect(200);
    let called = &receiver.seen()[1];
    assert_eq!((called.header("x-api-key"), called.header("authorization")), (Some("s3cret"), None));
}
