//! Calls of inline hooks: what the services see, and what the caller is told.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use futures_util::future::join_all;
use hook_keys::app::Parts;
use serde_json::{Value, json};

use crate::harness::service::{Act, Service};
use crate::harness::{Answer, Client, IMPATIENT, Server, hook, http_channel, oauth_channel, path_of_hook};

/// A server whose clock shows the real time, so that others find its assertions fresh.
pub async fn server() -> Server {
    let server = Server::start_with_hooks().await;
    server.clock.set_to_now();
    server
}

pub async fn execute(client: &Client, hook: &Value, body: Value) -> Answer {
    client.post(&(path_of_hook(hook) + "/execute"), body).await
}

/// Fails unless the call failed so; the answer must not show a token or a secret.
#[track_caller]
pub fn assert_failed(answer: Answer, code: &str, cause: &str) {
    let answer = answer.expect_error(400, code, cause);
    assert!(!answer.text.contains("s3cret"), "{}", answer.text);
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

/// Lets services behave as the cases say and compares what comes of it.
async fn run_service_cases<const N: usize>(acme: &Client, cases: [Case; N]) {
    for (number, (kind, act, failure, calls)) in cases.into_iter().enumerate() {
        let service = Service::start(move |_, number| act(number));
        let mut body = hook(&format!("h{number}"), http_channel(&service.base));
        body["type"] = json!(kind);
        let answer = execute(acme, &acme.create_hook(body).await, json!({})).await;
        match failure {
            None => drop(answer.expect(200)),
            Some((code, cause)) => assert_failed(answer, code, cause),
        }
        assert_eq!(service.calls(), calls, "case {number}");
    }
}

/// The same for token endpoints; returns how often the hook's service was called.
async fn run_endpoint_cases<const N: usize>(acme: &Client, cases: [Case; N]) -> usize {
    let key = acme.create("k").await;
    let receiver = Service::answering(json!({}));
    for (number, (kind, act, failure, calls)) in cases.into_iter().enumerate() {
        let endpoint = Service::start(move |_, number| act(number));
        let mut body = hook(&format!("h{number}"), oauth_channel(&endpoint.base, &receiver.base, &key));
        body["type"] = json!(kind);
        let answer = execute(acme, &acme.create_hook(body).await, json!({})).await;
        match failure {
            None => drop(answer.expect(200)),
            Some((code, cause)) => assert_failed(answer, code, cause),
        }
        assert_eq!(endpoint.calls(), calls, "case {number}");
    }
    receiver.calls()
}

const IMPORT: &str = "com.okta.import.transform";

/// The code of an answer that cannot be used.
const BAD: &str = "E0000135";

#[tokio::test]
async fn each_way_a_service_can_fail_has_its_own_answer_and_number_of_calls() {
    let server = server().await;
    let cases: [Case; 15] = [
        (IMPORT, |n| Act::Answer(if n == 0 { 500 } else { 200 }, "{}".into()), None, 2),
        (
            IMPORT,
            |_| Act::Answer(500, "s3cret".into()),
            Some((BAD, "hook: The service answered with status 500")),
            2,
        ),
        (
            IMPORT,
            |n| Act::Answer(if n == 0 { 503 } else { 404 }, "{}".into()),
            Some((BAD, "hook: The service answered with status 404")),
            2,
        ),
        (
            IMPORT,
            |_| Act::Answer(400, "{}".into()),
            Some((BAD, "hook: The service answered with status 400")),
            1,
        ),
        (
            IMPORT,
            |_| Act::Redirect("http://127.0.0.1:1/".into()),
            Some((BAD, "hook: The service answered with status 302; redirects are not followed")),
            1,
        ),
        (
            IMPORT,
            |_| Act::Answer(200, "{\"s3cret\": tru}".into()),
            Some((BAD, "hook: The answer is not valid JSON: expected ident at line 1 column 15")),
            1,
        ),
        (
            IMPORT,
            |_| Act::Answer(200, "{}{}".into()),
            Some((BAD, "hook: The answer is not valid JSON: trailing characters at line 1 column 3")),
            1,
        ),
        (IMPORT, |_| Act::Answer(200, large(262_144)), None, 1),
        (
            IMPORT,
            |_| Act::Answer(200, large(262_145)),
            Some((BAD, "hook: The answer is larger than 262144 bytes")),
            1,
        ),
        (
            IMPORT,
            |_| Act::Answer(200, large(300_000)),
            Some((BAD, "hook: The answer is larger than 262144 bytes")),
            1,
        ),
        (IMPORT, |_| Act::Answer(204, String::new()), None, 1),
        (
            "com.okta.telephony.provider",
            |_| Act::Answer(204, String::new()),
            Some((BAD, "hook: The answer is empty, and hooks of this type need one")),
            1,
        ),
        (
            "com.okta.oauth2.tokens.transform",
            |_| Act::Answer(500, "{}".into()),
            Some((BAD, "hook: The service answered with status 500")),
            1,
        ),
        (
            "com.okta.telephony.provider",
            |_| Act::Answer(500, "{}".into()),
            Some((BAD, "hook: The service answered with status 500")),
            1,
        ),
        (
            "com.okta.saml.tokens.transform",
            |_| Act::Answer(502, "{}".into()),
            Some((BAD, "hook: The service answered with status 502")),
            2,
        ),
    ];
    run_service_cases(&server.org("acme").await, cases).await;
}

#[tokio::test]
async fn a_service_that_does_not_answer_is_called_twice_where_a_retry_is_allowed() {
    let server = Server::start_with(&IMPATIENT, Parts::default()).await;
    let cases: [Case; 3] = [
        (IMPORT, |_| Act::Hang, Some(("E0000137", "hook: There was no answer within 2s")), 2),
        (IMPORT, |n| if n == 0 { Act::Hang } else { Act::Answer(200, "{}".into()) }, None, 2),
        (
            "com.okta.oauth2.tokens.transform",
            |_| Act::Hang,
            Some(("E0000137", "hook: There was no answer within 2s")),
            1,
        ),
    ];
    run_service_cases(&server.org("acme").await, cases).await;
}

#[tokio::test]
async fn each_way_a_token_endpoint_can_fail_is_told_as_the_tokens_step() {
    let server = server().await;
    let cases: [Case; 6] = [
        (
            IMPORT,
            |_| Act::Answer(500, "s3cret".into()),
            Some((BAD, "token: The token endpoint answered with status 500")),
            2,
        ),
        (
            IMPORT,
            |_| Act::Answer(400, r#"{"error":"invalid_scope"}"#.into()),
            Some((BAD, "token: The token endpoint answered with status 400 (invalid_scope)")),
            1,
        ),
        (
            IMPORT,
            |_| Act::Answer(200, "s3cret".into()),
            Some((BAD, "token: The token endpoint's answer holds no access_token (line 1 column 1)")),
            1,
        ),
        (
            IMPORT,
            |_| Act::Redirect("http://127.0.0.1:1/".into()),
            Some((BAD, "token: The token endpoint answered with status 302")),
            1,
        ),
        (
            IMPORT,
            |_| Act::Answer(200, large(300_000)),
            Some((BAD, "token: The answer is larger than 262144 bytes")),
            1,
        ),
        (
            IMPORT,
            |n| Act::Answer(if n == 0 { 500 } else { 200 }, r#"{"access_token":"s3cret"}"#.into()),
            None,
            2,
        ),
    ];
    let calls = run_endpoint_cases(&server.org("acme").await, cases).await;
    assert_eq!(calls, 1, "without a token, nothing is called");
}

#[tokio::test]
async fn a_token_endpoint_that_does_not_answer_is_told_as_the_tokens_step() {
    let server = Server::start_with(&IMPATIENT, Parts::default()).await;
    let cases: [Case; 2] = [
        (IMPORT, |_| Act::Hang, Some(("E0000137", "token: There was no answer within 2s")), 2),
        (
            "com.okta.oauth2.tokens.transform",
            |_| Act::Hang,
            Some(("E0000137", "token: There was no answer within 2s")),
            1,
        ),
    ];
    assert_eq!(run_endpoint_cases(&server.org("acme").await, cases).await, 0);
}

#[tokio::test]
async fn one_budget_holds_for_token_and_hook_together() {
    let server = Server::start_with(&IMPATIENT, Parts::default()).await;
    let acme = server.org("acme").await;
    let key = acme.create("k").await;
    // Each alone stays well within the two seconds; together they do not.
    let slow = |body: Value| {
        Service::start(move |_, _| {
            std::thread::sleep(Duration::from_millis(1200));
            Act::json(200, &body)
        })
    };
    let (endpoint, receiver) = (slow(json!({ "access_token": "s3cret" })), slow(json!({})));
    let mut body = hook("h", oauth_channel(&endpoint.base, &receiver.base, &key));
    body["type"] = json!("com.okta.oauth2.tokens.transform");
    let made = acme.create_hook(body).await;
    assert_failed(execute(&acme, &made, json!({})).await, "E0000137", "hook: There was no answer within 2s");
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

#[tokio::test]
async fn a_connection_that_is_cut_before_the_answer_is_told_as_such() {
    use std::io::Read as _;

    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]);
    });
    let server = server().await;
    let acme = server.org("acme").await;
    let made = acme.create_hook(hook("h", http_channel(&format!("http://{address}")))).await;
    let answer = execute(&acme, &made, json!({})).await.expect(400);
    assert!(
        answer.text.contains("E0000134") && answer.text.contains("hook: The connection broke"),
        "{}",
        answer.text
    );
}

#[tokio::test]
async fn no_more_calls_are_under_way_than_the_operator_allows_and_the_rest_wait() {
    let settings =
        [crate::harness::LOOPBACK[0], crate::harness::LOOPBACK[1], ("HOOK_KEYS_OUTBOUND_CONCURRENCY", "2")];
    let server = Server::start_with(&settings, Parts::default()).await;
    let acme = server.org("acme").await;
    let (under_way, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (now, peak) = (Arc::clone(&under_way), Arc::clone(&most));
    let service = Service::start_with_workers(4, move |_, _| {
        peak.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
        std::thread::sleep(Duration::from_millis(50));
        now.fetch_sub(1, SeqCst);
        Act::json(200, &json!({}))
    });
    let made = acme.create_hook(hook("h", http_channel(&service.base))).await;
    for answer in join_all((0..12).map(|_| execute(&acme, &made, json!({})))).await {
        answer.expect(200);
    }
    assert_eq!((service.calls(), most.load(SeqCst)), (12, 2));
}
