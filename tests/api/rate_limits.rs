//! How often a token may come, and how often an address with wrong ones.

use std::time::Duration;

use hook_keys::app::Parts;
use hook_keys::domain::Clock as _;
use hook_keys::domain::org::OrgName;
use reqwest::{Method, RequestBuilder};
use serde_json::json;

use crate::harness::answer::send;
use crate::harness::{Answer, Client, FORGETTING, REMEMBERING, Server, path_of};

const KEYS: &str = "/api/v1/hook-keys";
const MINUTE: Duration = Duration::from_secs(60);

/// Settings of a server that takes this client's word for where others are.
const PROXIED: (&str, &str) = ("HOOK_KEYS_TRUSTED_PROXIES", "127.0.0.1");

async fn limited(most: &str, more: &[(&str, &str)]) -> Server {
    let settings = [&[("HOOK_KEYS_RATE_LIMITS_REQUESTS", most)], more].concat();
    Server::start_with(&settings, Parts::default()).await
}

/// Limit, rest and end of the window, as Okta tells them.
fn okta(answer: &Answer) -> [Option<i64>; 3] {
    ["x-rate-limit-limit", "x-rate-limit-remaining", "x-rate-limit-reset"]
        .map(|name| answer.header(name).map(|value| value.parse().unwrap()))
}

/// Limit, rest and seconds to the end of the window, as Kong tells them.
fn kong(answer: &Answer) -> [Option<i64>; 3] {
    ["ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"]
        .map(|name| answer.header(name).map(|value| value.parse().unwrap()))
}

/// A token that none is, one for each number.
fn wrong(number: usize) -> String {
    format!("SSWS 00{number:040}")
}

/// A read of the list, from this address.
fn list_from(client: &Client, address: &str) -> RequestBuilder {
    client.request(Method::GET, KEYS).header("X-Forwarded-For", address)
}

async fn ask(request: RequestBuilder) -> Answer {
    Answer::of(request, &Method::GET, KEYS).await
}

#[tokio::test]
async fn every_answer_of_oktas_side_tells_what_is_left_of_a_window_that_begins_with_the_first() {
    let server = limited("12", &[]).await;
    let client = server.org("acme").await;
    let reset = server.clock.now().timestamp() + 60;
    let left = |answer: &Answer, remaining| {
        assert_eq!(okta(answer), [Some(12), Some(remaining), Some(reset)], "{answer:?}");
        assert_eq!(kong(answer), [None; 3]);
    };
    let made = client.post(KEYS, json!({ "name": "a" })).await.expect(200);
    left(&made, 11);
    let path = path_of(&made.json());
    let seen = client.get(&path).await.expect(200);
    left(&seen, 10);
    let etag = seen.header("etag").unwrap();
    let again = client.request(Method::GET, &path).header("If-None-Match", etag);
    left(&Answer::of(again, &Method::GET, &path).await.expect(304), 9);
    left(&client.send(Method::HEAD, &path, None).await.expect(200), 8);
    server.clock.advance(Duration::from_secs(30));
    left(&client.get("/api/v1/hook-keys/none").await.expect(404), 7);
    left(&client.post(KEYS, json!({})).await.expect(400), 6);
    left(&client.delete(&path).await.expect(204), 5);
    // These are answered without a look at the token.
    for answer in [client.get("/api/v1/none").await.expect(404), client.delete(KEYS).await.expect(405)] {
        assert_eq!(okta(&answer), [None; 3]);
    }
    assert_eq!(okta(&server.with_authorization(None).get(KEYS).await.expect(403)), [None; 3]);
    // Who may not do it has come all the same.
    let weak = server.client("acme", &["keys.read"]).await;
    let refused = weak.get(KEYS).await.expect(403);
    assert_eq!(okta(&refused), [Some(12), Some(11), Some(reset + 30)]);
    left(&client.get(KEYS).await.expect(200), 4);
}

#[tokio::test]
async fn who_comes_too_often_is_refused_as_okta_refuses_until_the_window_is_over() {
    for memory in [REMEMBERING, FORGETTING] {
        let server = limited("3", &[memory]).await;
        let client = server.org("acme").await;
        let reset = server.clock.now().timestamp() + 60;
        for remaining in [2, 1, 0] {
            let answer = client.get(KEYS).await.expect(200);
            assert_eq!(okta(&answer), [Some(3), Some(remaining), Some(reset)]);
        }
        server.clock.advance(Duration::from_secs(59));
        for _ in 0..5 {
            let refused = client.post(KEYS, json!({ "name": "a" })).await.expect_error(429, "E0000047", "");
            let summary = "API call exceeded rate limit due to too many requests.";
            assert_eq!(refused.json()["errorSummary"], summary);
            assert_eq!(refused.json()["errorLink"], "E0000047");
            assert_eq!(okta(&refused), [Some(3), Some(0), Some(reset)]);
            assert_eq!(refused.header("retry-after"), None);
            // The SDKs wait from the one to the other.
            assert!(refused.header("date").is_some_and(|date| date.ends_with(" GMT")));
        }
        // Others are not concerned, of the same org neither.
        server.client("acme", &["all"]).await.get(KEYS).await.expect(200);
        server.clock.advance(Duration::from_secs(1));
        let anew = client.get(KEYS).await.expect(200);
        assert_eq!(okta(&anew), [Some(3), Some(2), Some(reset + 60)]);
        assert_eq!(anew.json(), json!([]), "a refused request has done nothing");
    }
}

#[tokio::test]
async fn kongs_side_counts_the_same_token_and_tells_it_as_its_plugin_does() {
    let server = limited("3", &[]).await;
    let client = server.org("acme").await;
    client.get(KEYS).await.expect(200);
    server.clock.advance(Duration::from_secs(20));
    let seen = client.get("/keys").await.expect(200);
    assert_eq!((kong(&seen), okta(&seen)), ([Some(3), Some(1), Some(40)], [None; 3]));
    assert_eq!(kong(&client.get("/keys/none").await.expect(404)), [Some(3), Some(0), Some(40)]);
    let refused = client.get("/key-sets").await.expect_message(429, "API rate limit exceeded");
    assert_eq!(refused.json(), json!({ "message": "API rate limit exceeded" }));
    assert_eq!(kong(&refused), [Some(3), Some(0), Some(40)]);
    assert_eq!(refused.header("retry-after"), Some("40"));
    for open in ["/healthz", "/readyz", "/openapi.yaml"] {
        assert_eq!(kong(&client.get(open).await.expect(200)), [None; 3]);
    }
    server.clock.advance(Duration::from_secs(40));
    assert_eq!(kong(&client.get("/keys").await.expect(200)), [Some(3), Some(2), Some(60)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_requests_at_once_exactly_as_many_as_allowed_are_served() {
    for memory in [REMEMBERING, FORGETTING] {
        let server = limited("50", &[memory]).await;
        let client = server.org("acme").await;
        let asked = (0..200).map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.get(KEYS).await })
        });
        let mut remaining = Vec::new();
        let mut refused = 0;
        for answer in asked.collect::<Vec<_>>() {
            let answer = answer.await.unwrap();
            match answer.status.as_u16() {
                200 => remaining.push(okta(&answer)[1].unwrap()),
                429 => refused += 1,
                _ => panic!("{answer:?}"),
            }
        }
        remaining.sort_unstable();
        assert_eq!((remaining, refused), ((0..50).collect(), 150));
    }
}

#[tokio::test]
async fn a_window_outlives_what_is_remembered_of_its_token() {
    let server = limited("3", &[REMEMBERING]).await;
    let client = server.org("acme").await;
    client.get(KEYS).await.expect(200);
    // A change of the org overtakes what is remembered of its tokens: then the token is seen to be another.
    server.sql("UPDATE api_tokens SET permissions = 'keys.read'");
    assert_eq!(okta(&client.get(KEYS).await.expect(200))[1], Some(1));
    server.orgs.set_hook_key_limit(OrgName::parse("acme").unwrap(), Some(7)).await.unwrap();
    assert_eq!(okta(&client.get(KEYS).await.expect(403))[1], Some(0));
}

#[tokio::test]
async fn a_thousand_wrong_tokens_from_one_address_are_refused_and_nobody_else_is() {
    let server = limited("60000", &[PROXIED, REMEMBERING]).await;
    let good = server.org("acme").await;
    let cold = server.client("acme", &["all"]).await;
    let reset = server.clock.now().timestamp() + 60;
    ask(list_from(&good, "203.0.113.9")).await.expect(200);
    for number in 0..1000 {
        let stranger = server.with_authorization(Some(&wrong(number)));
        let answer = ask(list_from(&stranger, "203.0.113.9")).await;
        if number < 100 {
            let answer = answer.expect_error(401, "E0000011", "");
            let left = 99 - i64::try_from(number).unwrap();
            assert_eq!(okta(&answer), [Some(100), Some(left), Some(reset)]);
        } else {
            let answer = answer.expect_error(429, "E0000047", "");
            assert_eq!(okta(&answer), [Some(100), Some(0), Some(reset)]);
        }
    }
    // The same token from there, which is remembered, and one from elsewhere that is not.
    ask(list_from(&good, "203.0.113.9")).await.expect(200);
    ask(list_from(&cold, "203.0.113.9")).await.expect_error(429, "E0000047", "");
    ask(list_from(&cold, "203.0.113.10")).await.expect(200);
    ask(list_from(&cold, "203.0.113.9")).await.expect(200);
    let stranger = server.with_authorization(Some(&wrong(0)));
    ask(list_from(&stranger, "203.0.113.10")).await.expect(401);
    // What is no token at all counts too, and Kong's side counts with Okta's.
    for (header, path, status) in [
        ("Bearer x", KEYS, 429),
        ("SSWS null", KEYS, 429),
        ("Basic x", "/keys", 429),
        ("SSWS null", "/api/v1/none", 404),
    ] {
        let client = server.with_authorization(Some(header));
        let request = client.request(Method::GET, path).header("X-Forwarded-For", "203.0.113.9");
        Answer::of(request, &Method::GET, path).await.expect(status);
    }
    let nobody = server.with_authorization(None);
    ask(list_from(&nobody, "203.0.113.9")).await.expect_error(403, "E0000005", "");
    server.clock.advance(MINUTE);
    ask(list_from(&stranger, "203.0.113.9")).await.expect_error(401, "E0000011", "");
}

#[tokio::test]
async fn an_address_without_log_ins_left_does_not_reach_the_database() {
    let settings = [PROXIED, FORGETTING, ("HOOK_KEYS_RATE_LIMITS_FAILED_LOGINS", "2")];
    let server = limited("60000", &settings).await;
    let good = server.org("acme").await;
    ask(list_from(&good, "203.0.113.9")).await.expect(200);
    let stranger = server.with_authorization(Some(&wrong(1)));
    for status in [401, 401, 429] {
        ask(list_from(&stranger, "203.0.113.9")).await.expect(status);
    }
    // With nothing remembered, the database must be asked whether a good token still is: it fails, and does not.
    server.sql("ALTER TABLE api_tokens RENAME TO away");
    ask(list_from(&stranger, "203.0.113.9")).await.expect(429);
    ask(list_from(&stranger, "203.0.113.10")).await.expect(500);
    ask(list_from(&good, "203.0.113.9")).await.expect(500);
    server.sql("ALTER TABLE away RENAME TO api_tokens");
    ask(list_from(&good, "203.0.113.9")).await.expect(200);
}

#[tokio::test]
async fn a_revoked_token_is_a_wrong_one_like_any_other() {
    let settings = [PROXIED, FORGETTING, ("HOOK_KEYS_RATE_LIMITS_FAILED_LOGINS", "2")];
    let server = limited("60000", &settings).await;
    server.org("acme").await;
    let (id, secret) = server.token("acme", &["all"], None).await;
    let client = server.with_authorization(Some(&format!("SSWS {secret}")));
    ask(list_from(&client, "203.0.113.9")).await.expect(200);
    server.tokens.revoke(id).await.unwrap();
    for status in [401, 401, 429, 429] {
        ask(list_from(&client, "203.0.113.9")).await.expect(status);
    }
}

#[tokio::test]
async fn limits_of_zero_are_none_and_nothing_is_told_of_them() {
    let server = limited("0", &[("HOOK_KEYS_RATE_LIMITS_FAILED_LOGINS", "0")]).await;
    let client = server.org("acme").await;
    for _ in 0..20 {
        assert_eq!(okta(&client.get(KEYS).await.expect(200)), [None; 3]);
    }
    assert_eq!(kong(&client.get("/keys").await.expect(200)), [None; 3]);
    for number in 0..150 {
        let stranger = server.with_authorization(Some(&wrong(number)));
        assert_eq!(okta(&stranger.get(KEYS).await.expect(401)), [None; 3]);
    }
}

#[tokio::test]
async fn date_and_reset_tell_clients_how_long_to_wait() {
    // Here the time is the machine's, as in `Date`.
    let server = limited("1", &[]).await;
    server.clock.set_to_now();
    let client = server.org("acme").await;
    let before = hook_keys::domain::clock::SystemClock.now().timestamp();
    let response = send(client.request(Method::GET, KEYS)).await;
    let date = response.headers()["date"].to_str().unwrap();
    let date = chrono::DateTime::parse_from_rfc2822(date).unwrap().timestamp();
    let reset: i64 = response.headers()["x-rate-limit-reset"].to_str().unwrap().parse().unwrap();
    assert_eq!(reset - server.clock.now().timestamp(), 60);
    // The server may cache its date for a moment, and the test may be held up: neither changes which came first.
    assert!(date >= before - 2 && reset > before, "{date} {reset} {before}");
}
