//! Calls of inline hooks: what the services see, and what the caller is told.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::harness::service::{Act, Seen, Service};
use crate::harness::{Answer, Client, Server, hook, http_channel, oauth_channel, path_of_hook};

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

/// A server whose clock shows the real time, so that others find its assertions fresh.
async fn server() -> Server {
    let server = Server::start_with_hooks().await;
    server.clock.set_to_now();
    server
}

async fn execute(client: &Client, hook: &Value, body: Value) -> Answer {
    client.post(&(path_of_hook(hook) + "/execute"), body).await
}

/// Fails unless the call failed so; the answer must not show a token or a secret.
#[track_caller]
fn assert_failed(answer: Answer, code: &str, cause: &str) {
    let answer = answer.expect_error(400, code, cause);
    assert!(!answer.text.contains("s3cret"), "{}", answer.text);
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
    // Plenty of time: the question is how many exchanges there are, not how fast they are.
    let mut settings = crate::harness::LOOPBACK;
    settings[2].1 = "60s";
    let server = Server::start_with(&settings, hook_keys::app::Parts::default()).await;
    server.clock.set_to_now();
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

#[tokio::test]
async fn a_secret_that_is_not_sent_again_is_kept_and_one_that_is_left_out_with_its_scheme_is_cleared() {
    let server = server().await;
    let acme = server.org("acme").await;
    let receiver = Service::answering(json!({}));
    let channel =
        |scheme: Value| json!({ "type": "HTTP", "config": { "uri": receiver.base, "authScheme": scheme } });
    let full = json!({ "type": "HEADER", "key": "X-Key", "value": "s3cret" });
    let made = acme.create_hook(hook("h", channel(full))).await;
    let path = path_of_hook(&made);
    let sent = async || {
        execute(&acme, &made, json!({})).await.expect(200);
        receiver.seen().last().unwrap().header("x-key").map(str::to_owned)
    };
    assert_eq!(sent().await.as_deref(), Some("s3cret"));
    let without_value = json!({ "type": "HEADER", "key": "X-Key" });
    acme.put(&path, hook("h", channel(without_value.clone()))).await.expect(200);
    assert_eq!(sent().await.as_deref(), Some("s3cret"), "PUT without a value keeps it");
    acme.post(&path, json!({ "name": "renamed" })).await.expect(200);
    assert_eq!(sent().await.as_deref(), Some("s3cret"), "POST keeps what it does not name");
    let new_value = json!({ "channel": { "config": { "authScheme": { "value": "s3cret-2" } } } });
    acme.post(&path, new_value).await.expect(200);
    assert_eq!(sent().await.as_deref(), Some("s3cret-2"));
    acme.put(&path, hook("h", http_channel(&receiver.base))).await.expect(200);
    assert_eq!(sent().await, None, "PUT without a scheme clears it");
    let refused = acme.put(&path, hook("h", channel(without_value))).await;
    refused.expect_error(400, "E0000001", "channel.config.authScheme.value: The field cannot be left blank");

    let oauth = |secret: Value| {
        let config = json!({
            "uri": receiver.base, "clientId": "c", "tokenUrl": receiver.base,
            "authType": "client_secret_post", "clientSecret": secret,
        });
        hook("h", json!({ "type": "OAUTH", "config": config }))
    };
    acme.put(&path, oauth(json!("s3cret-3"))).await.expect(200);
    acme.put(&path, oauth(json!(null))).await.expect(200);
    execute(&acme, &made, json!({})).await.expect(400);
    assert_eq!(receiver.seen().last().unwrap().field("client_secret").as_deref(), Some("s3cret-3"));
}

#[tokio::test]
async fn an_inactive_hook_is_not_called() {
    let server = server().await;
    let acme = server.org("acme").await;
    let receiver = Service::answering(json!({}));
    let made = acme.create_hook(hook("h", http_channel(&receiver.base))).await;
    acme.post(&(path_of_hook(&made) + "/lifecycle/deactivate"), json!({})).await.expect(200);
    let cause = "inlineHook: Cannot execute an inactive inline hook. Activate it first.";
    execute(&acme, &made, json!({})).await.expect_error(400, "E0000001", cause);
    assert_eq!(receiver.calls(), 0);
}

/// What a service does, what the caller is told (code and cause; none for a success), and how often the
/// service was called.
type Case = (&'static str, fn(usize) -> Act, Option<(&'static str, &'static str)>, usize);

fn large(size: usize) -> String {
    format!("\"{}\"", "x".repeat(size - 2))
}

#[tokio::test]
async fn each_way_a_service_can_fail_has_its_own_answer_and_number_of_calls() {
    let server = server().await;
    let acme = server.org("acme").await;
    let import = "com.okta.import.transform";
    let bad = |cause| Some(("E0000135", cause));
    let cases: [Case; 18] = [
        (import, |_| Act::Hang, Some(("E0000137", "hook: There was no answer within 1s")), 2),
        (import, |n| if n == 0 { Act::Hang } else { Act::Answer(200, "{}".into()) }, None, 2),
        (import, |n| Act::Answer(if n == 0 { 500 } else { 200 }, "{}".into()), None, 2),
        (import, |_| Act::Answer(500, "s3cret".into()), bad("hook: The service answered with status 500"), 2),
        (
            import,
            |n| Act::Answer(if n == 0 { 503 } else { 404 }, "{}".into()),
            bad("hook: The service answered with status 404"),
            2,
        ),
        (import, |_| Act::Answer(400, "{}".into()), bad("hook: The service answered with status 400"), 1),
        (
            import,
            |_| Act::Redirect("http://127.0.0.1:1/".into()),
            bad("hook: The service answered with status 302; redirects are not followed"),
            1,
        ),
        (
            import,
            |_| Act::Answer(200, "{\"s3cret\": tru}".into()),
            bad("hook: The answer is not valid JSON: expected ident at line 1 column 15"),
            1,
        ),
        (
            import,
            |_| Act::Answer(200, "{}{}".into()),
            bad("hook: The answer is not valid JSON: trailing characters at line 1 column 3"),
            1,
        ),
        (import, |_| Act::Answer(200, large(262_144)), None, 1),
        (
            import,
            |_| Act::Answer(200, large(262_145)),
            bad("hook: The answer is larger than 262144 bytes"),
            1,
        ),
        (
            import,
            |_| Act::Answer(200, large(300_000)),
            bad("hook: The answer is larger than 262144 bytes"),
            1,
        ),
        (import, |_| Act::Answer(204, String::new()), None, 1),
        (
            "com.okta.telephony.provider",
            |_| Act::Answer(204, String::new()),
            bad("hook: The answer is empty, and hooks of this type need one"),
            1,
        ),
        (
            "com.okta.oauth2.tokens.transform",
            |_| Act::Hang,
            Some(("E0000137", "hook: There was no answer within 1s")),
            1,
        ),
        (
            "com.okta.oauth2.tokens.transform",
            |_| Act::Answer(500, "{}".into()),
            bad("hook: The service answered with status 500"),
            1,
        ),
        (
            "com.okta.telephony.provider",
            |_| Act::Answer(500, "{}".into()),
            bad("hook: The service answered with status 500"),
            1,
        ),
        (
            "com.okta.saml.tokens.transform",
            |_| Act::Answer(502, "{}".into()),
            bad("hook: The service answered with status 502"),
            2,
        ),
    ];
    for (number, (kind, act, failure, calls)) in cases.into_iter().enumerate() {
        let service = Service::start(move |_, number| act(number));
        let mut body = hook(&format!("h{number}"), http_channel(&service.base));
        body["type"] = json!(kind);
        let answer = execute(&acme, &acme.create_hook(body).await, json!({})).await;
        match failure {
            None => drop(answer.expect(200)),
            Some((code, cause)) => assert_failed(answer, code, cause),
        }
        assert_eq!(service.calls(), calls, "case {number}");
    }
}

#[tokio::test]
async fn each_way_a_token_endpoint_can_fail_is_told_as_the_tokens_step() {
    let server = server().await;
    let acme = server.org("acme").await;
    let key = acme.create("k").await;
    let import = "com.okta.import.transform";
    let bad = |cause| Some(("E0000135", cause));
    let cases: [Case; 8] = [
        (import, |_| Act::Hang, Some(("E0000137", "token: There was no answer within 1s")), 2),
        (
            "com.okta.oauth2.tokens.transform",
            |_| Act::Hang,
            Some(("E0000137", "token: There was no answer within 1s")),
            1,
        ),
        (
            import,
            |_| Act::Answer(500, "s3cret".into()),
            bad("token: The token endpoint answered with status 500"),
            2,
        ),
        (
            import,
            |_| Act::Answer(400, r#"{"error":"invalid_scope"}"#.into()),
            bad("token: The token endpoint answered with status 400 (invalid_scope)"),
            1,
        ),
        (
            import,
            |_| Act::Answer(200, "s3cret".into()),
            bad("token: The token endpoint's answer holds no access_token (line 1 column 1)"),
            1,
        ),
        (
            import,
            |_| Act::Redirect("http://127.0.0.1:1/".into()),
            bad("token: The token endpoint answered with status 302"),
            1,
        ),
        (
            import,
            |_| Act::Answer(200, large(300_000)),
            bad("token: The answer is larger than 262144 bytes"),
            1,
        ),
        (
            import,
            |n| Act::Answer(if n == 0 { 500 } else { 200 }, r#"{"access_token":"s3cret"}"#.into()),
            None,
            2,
        ),
    ];
    let receiver = Service::answering(json!({}));
    for (number, (kind, act, failure, calls)) in cases.into_iter().enumerate() {
        let endpoint = Service::start(move |_, number| act(number));
        let mut body = hook(&format!("h{number}"), oauth_channel(&endpoint.base, &receiver.base, &key));
        body["type"] = json!(kind);
        let answer = execute(&acme, &acme.create_hook(body).await, json!({})).await;
        match failure {
            None => drop(answer.expect(200)),
            Some((code, cause)) => assert_failed(answer, code, cause),
        }
        assert_eq!(endpoint.calls(), calls, "case {number}");
    }
    assert_eq!(receiver.calls(), 1, "without a token, nothing is called");
}

#[tokio::test]
async fn one_budget_holds_for_token_and_hook_together() {
    let server = server().await;
    let acme = server.org("acme").await;
    let key = acme.create("k").await;
    // Each alone stays within the second; together they do not.
    let slow = |body: Value| {
        Service::start(move |_, _| {
            std::thread::sleep(Duration::from_millis(700));
            Act::json(200, &body)
        })
    };
    let (endpoint, receiver) = (slow(json!({ "access_token": "s3cret" })), slow(json!({})));
    let mut body = hook("h", oauth_channel(&endpoint.base, &receiver.base, &key));
    body["type"] = json!("com.okta.oauth2.tokens.transform");
    let made = acme.create_hook(body).await;
    assert_failed(execute(&acme, &made, json!({})).await, "E0000137", "hook: There was no answer within 1s");
    assert_eq!((endpoint.calls(), receiver.calls()), (1, 1));
}

#[tokio::test]
async fn a_refused_connection_and_a_header_that_cannot_be_sent_are_told() {
    let server = server().await;
    let acme = server.org("acme").await;
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let made = acme.create_hook(hook("h", http_channel(&format!("http://{free}")))).await;
    assert_failed(execute(&acme, &made, json!({})).await, "E0000134", "hook: The connection was refused");

    let receiver = Service::answering(json!({}));
    let mut channel = http_channel(&receiver.base);
    channel["config"]["headers"] = json!([{ "key": "Field 1", "value": "s3cret" }]);
    let made = acme.create_hook(hook("blank", channel)).await;
    let cause = "hook: The header \"Field 1\" cannot be sent: HTTP does not allow it";
    assert_failed(execute(&acme, &made, json!({})).await, "E0000134", cause);
    assert_eq!(receiver.calls(), 0);
}

#[tokio::test]
async fn any_json_is_passed_on_as_it_is_and_nothing_else_is() {
    let server = server().await;
    let acme = server.org("acme").await;
    let receiver = Service::answering(json!({}));
    let made = acme.create_hook(hook("h", http_channel(&receiver.base))).await;
    let path = path_of_hook(&made) + "/execute";
    let post = async |body: &str| {
        let request = acme.request(reqwest::Method::POST, &path).header("Content-Type", "application/json");
        Answer::of(request.body(body.to_owned()), &reqwest::Method::POST, &path).await
    };
    for body in ["{ \"b\":1, \"a\":1.0e2 }", "[]", "\"x\"", "null", "12345678901234567890123"] {
        post(body).await.expect(200);
        assert_eq!(receiver.seen().last().unwrap().body, body);
    }
    for body in ["{", "x", "{}{}"] {
        post(body).await.expect_error(400, "E0000003", "");
    }
    assert_eq!(receiver.calls(), 5);
}

#[tokio::test]
async fn a_reader_cannot_call_a_hook() {
    let server = server().await;
    let acme = server.org("acme").await;
    let receiver = Service::answering(json!({}));
    let made = acme.create_hook(hook("h", http_channel(&receiver.base))).await;
    let reader = server.client("acme", &["okta.inlineHooks.read"]).await;
    execute(&reader, &made, json!({})).await.expect_error(403, "E0000006", "");
    assert_eq!(receiver.calls(), 0);
}
