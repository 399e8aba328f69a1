//! Who may call what. The matrix comes from the route table, so no route can be left out.

use std::time::Duration;

use hook_keys::app::Parts;
use hook_keys::domain::permission::Permission;
use hook_keys::http::Api;
use hook_keys::http::routes::{self, Endpoint};
use serde_json::json;

use crate::harness::{Answer, Client, Server};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const KEYS: &str = "/api/v1/hook-keys";

async fn call(client: &Client, endpoint: &Endpoint) -> Answer {
    let path = path_of(endpoint);
    let body = endpoint.method.as_str().starts_with('P').then(|| json!({ "name": "" }));
    client.send(endpoint.method.as_str().parse().unwrap(), &path, body).await
}

/// The path with parameters that name nothing, but for the schemas, of which there are two.
fn path_of(endpoint: &Endpoint) -> String {
    let values = [
        ("{id}", "HKY00000000000000000"),
        ("{keyId}", "none"),
        ("{key}", "none"),
        ("{set}", "none"),
        ("{tag}", "none"),
        ("{entity}", "keys"),
    ];
    values.iter().fold(endpoint.path.to_owned(), |path, (name, value)| path.replace(name, value))
}

/// Fails the test unless the caller was not let in: `code` is what Okta's side says.
#[track_caller]
fn expect_stranger(answer: Answer, endpoint: &Endpoint, status: u16, code: &str, summary: &str) -> Answer {
    match Api::of(endpoint.path) {
        Api::Okta => {
            let answer = answer.expect_error(status, code, "");
            assert_eq!(answer.json()["errorSummary"], summary);
            answer
        }
        Api::Kong => answer.expect_message(401, "Invalid credentials. Token or User credentials required"),
    }
}

fn guarded() -> Vec<Endpoint> {
    let guarded: Vec<_> = routes::table().into_iter().filter(|route| route.permission.is_some()).collect();
    assert!(guarded.len() >= 6, "the table has lost its routes");
    guarded
}

#[tokio::test]
async fn every_route_but_the_contract_and_the_health_of_the_node_needs_a_token() {
    let open: Vec<_> = routes::table().into_iter().filter(|route| route.permission.is_none()).collect();
    assert_eq!(
        open.iter().map(|route| route.path).collect::<Vec<_>>(),
        ["/healthz", "/readyz", "/openapi.yaml"]
    );
    let server = Server::start().await;
    let nobody = server.with_authorization(None);
    for endpoint in guarded() {
        let answer = call(&nobody, &endpoint).await;
        expect_stranger(answer, &endpoint, 403, "E0000005", "Invalid session");
    }
}

#[tokio::test]
async fn credentials_that_are_no_live_token_are_refused_everywhere() {
    // More of them than one address may bring in a minute.
    let settings = [("HOOK_KEYS_RATE_LIMITS_FAILED_LOGINS", "0")];
    let server = Server::start_with(&settings, Parts::default()).await;
    server.org("acme").await;
    let (_, good) = server.token("acme", &["all"], None).await;
    let mut off_by_one = good.clone();
    off_by_one.replace_range(41.., if good.ends_with('a') { "b" } else { "a" });
    let (revoked_id, revoked) = server.token("acme", &["all"], None).await;
    server.tokens.revoke(revoked_id).await.unwrap();
    let (_, expired) = server.token("acme", &["all"], Some(DAY)).await;
    server.clock.advance(DAY);
    let headers = [
        format!("SSWS {off_by_one}"),
        format!("SSWS {revoked}"),
        format!("SSWS {expired}"),
        format!("SSWS {}", &good[..41]),
        format!("SSWS {good}x"),
        format!("SSWS: {good}"),
        format!("SSWS {good} {good}"),
        format!("Basic {good}"),
        good.clone(),
        "SSWS".to_owned(),
        "SSWS null".to_owned(),
        String::new(),
    ];
    for endpoint in guarded() {
        for header in &headers {
            let answer = call(&server.with_authorization(Some(header)), &endpoint).await;
            let answer = expect_stranger(answer, &endpoint, 401, "E0000011", "Invalid token provided");
            assert_eq!(answer.header("www-authenticate"), None);
        }
        let bearer = call(&server.with_authorization(Some(&format!("Bearer {good}"))), &endpoint).await;
        let bearer = expect_stranger(bearer, &endpoint, 401, "E0000011", "Invalid token provided");
        let okta = Api::of(endpoint.path) == Api::Okta;
        assert_eq!(bearer.header("www-authenticate"), okta.then_some("Bearer error=\"invalid_token\""));
        for token in [&revoked, &expired, &off_by_one, "", "null", &format!("SSWS {good}")] {
            let answer = call(&server.with_authorization(None).with_admin_token(token), &endpoint).await;
            expect_stranger(answer, &endpoint, 403, "E0000005", "Invalid session");
        }
    }
}

#[tokio::test]
async fn a_token_is_taken_as_kong_admin_token_on_kongs_side_alone() {
    let server = Server::start().await;
    server.org("acme").await;
    let (_, token) = server.token("acme", &["all"], None).await;
    let client = server.with_authorization(None).with_admin_token(&token);
    for endpoint in guarded() {
        let answer = call(&client, &endpoint).await;
        match Api::of(endpoint.path) {
            Api::Okta => drop(answer.expect_error(403, "E0000005", "")),
            Api::Kong => assert_ne!(answer.status, 401, "{}", endpoint.path),
        }
    }
    // Where both are sent, the one that only Kong's clients send counts.
    let both = server.with_authorization(Some(&format!("SSWS {token}"))).with_admin_token("wrong");
    both.get("/keys").await.expect(401);
    let both = server.with_authorization(Some("SSWS wrong")).with_admin_token(&token);
    both.get("/keys").await.expect(200);
}

#[tokio::test]
async fn a_token_may_do_what_its_permissions_say_and_nothing_else() {
    use Permission::{InlineHooksManage, InlineHooksRead, KeysManage, KeysRead, KeysReveal, LogsRead};
    let server = Server::start().await;
    server.org("acme").await;
    let grants: [(&[&str], &[Permission]); 8] = [
        (&["okta.inlineHooks.read"], &[InlineHooksRead]),
        (&["okta.inlineHooks.manage"], &[InlineHooksRead, InlineHooksManage]),
        (&["keys.read"], &[KeysRead]),
        (&["keys.manage"], &[KeysRead, KeysManage]),
        (&["keys.reveal"], &[KeysRead, KeysReveal]),
        (&["okta.logs.read"], &[LogsRead]),
        (&["okta.inlineHooks.read", "keys.manage"], &[InlineHooksRead, KeysRead, KeysManage]),
        (&["all"], &Permission::ALL),
    ];
    for (names, allowed) in grants {
        let (id, secret) = server.token("acme", names, None).await;
        let client = server.with_authorization(Some(&format!("SSWS {secret}")));
        for endpoint in guarded() {
            let answer = call(&client, &endpoint).await;
            if allowed.contains(&endpoint.permission.unwrap()) {
                assert!(![401, 403].contains(&answer.status.as_u16()), "{names:?} on {}", endpoint.path);
                continue;
            }
            match Api::of(endpoint.path) {
                Api::Okta => {
                    let answer = answer.expect_error(403, "E0000006", "");
                    let summary = "You do not have permission to perform the requested action";
                    assert_eq!(answer.json()["errorSummary"], summary);
                }
                Api::Kong => {
                    let verb = match endpoint.method.as_str() {
                        "GET" => "read",
                        "POST" => "create",
                        "DELETE" => "delete",
                        _ => "update",
                    };
                    let message = format!("{id}, you do not have permissions to {verb} this resource");
                    answer.expect_message(403, &message);
                }
            }
        }
    }
}

#[tokio::test]
async fn a_token_is_taken_with_and_without_the_blank_after_ssws() {
    let server = Server::start().await;
    server.org("acme").await;
    let (_, token) = server.token("acme", &["all"], None).await;
    for header in [format!("SSWS {token}"), format!("SSWS{token}"), format!("ssws {token}")] {
        server.with_authorization(Some(&header)).get(KEYS).await.expect(200);
    }
}

#[tokio::test]
async fn a_refused_caller_learns_nothing_about_the_body_or_the_id() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let key = acme.create("k").await;
    let reader = server.client("acme", &["okta.inlineHooks.read"]).await;
    let path = crate::harness::path_of(&key);
    for (client, status) in [(server.with_authorization(None), 403), (reader, 403)] {
        for path in [path.as_str(), "/api/v1/hook-keys/HKY00000000000000000"] {
            client.delete(path).await.expect(status);
            let request = client.request(reqwest::Method::PUT, path).body("not json");
            Answer::of(request, &reqwest::Method::PUT, path).await.expect(status);
        }
    }
    acme.get(&path).await.expect(200);
}

#[tokio::test]
async fn a_token_lives_30_days_from_its_last_use() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    for _ in 0..3 {
        server.clock.advance(DAY * 29);
        acme.get(KEYS).await.expect(200);
    }
    server.tokens.flush_uses().await.unwrap();
    server.clock.advance(DAY * 29);
    acme.get(KEYS).await.expect(200);
    server.clock.advance(DAY * 30);
    acme.get(KEYS).await.expect_error(401, "E0000011", "");
}

#[tokio::test]
async fn a_token_with_a_fixed_end_ends_there_however_much_it_is_used() {
    let server = Server::start().await;
    server.org("acme").await;
    let (_, token) = server.token("acme", &["all"], Some(DAY * 90)).await;
    let client = server.with_authorization(Some(&format!("SSWS {token}")));
    server.clock.advance(DAY * 89);
    client.get(KEYS).await.expect(200);
    server.clock.advance(DAY);
    client.get(KEYS).await.expect_error(401, "E0000011", "");
}

#[tokio::test]
async fn the_last_use_is_recorded_about_once_a_minute_and_not_at_each_request() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let recorded = async || {
        server.tokens.flush_uses().await.unwrap();
        server.tokens.list(None).await.unwrap().remove(0).last_used
    };
    assert_eq!(recorded().await, None);
    acme.get(KEYS).await.expect(200);
    let first = recorded().await;
    assert!(first.is_some());
    server.clock.advance(Duration::from_secs(59));
    acme.get(KEYS).await.expect(200);
    assert_eq!(recorded().await, first);
    server.clock.advance(Duration::from_secs(1));
    acme.get(KEYS).await.expect(200);
    assert_eq!(recorded().await, first.map(|moment| moment + Duration::from_secs(60)));
}

#[tokio::test]
async fn a_revoked_token_stops_at_once() {
    let server = Server::start().await;
    server.org("acme").await;
    let (id, token) = server.token("acme", &["all"], None).await;
    let client = server.with_authorization(Some(&format!("SSWS {token}")));
    client.get(KEYS).await.expect(200);
    server.tokens.revoke(id).await.unwrap();
    client.get(KEYS).await.expect_error(401, "E0000011", "");
}
