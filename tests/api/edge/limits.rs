//! What a connection and a request may cost.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use hook_keys::app::Parts;
use serde_json::{Value, json};

use super::wire::{answer, ask, connect, rest};
use crate::harness::{Client, PATIENCE, Server, hook, http_channel, path_of_hook};

const KEYS: &str = "/api/v1/hook-keys";

async fn limited(limits: &[(&str, &str)]) -> (Server, Client) {
    let server = Server::start_with(limits, Parts::default()).await;
    let acme = server.org("acme").await;
    (server, acme)
}

/// A GET whose head has so many bytes.
fn head_of(path: &str, bytes: usize) -> String {
    let head = format!("GET {path} HTTP/1.1\r\nhost: x\r\nfill: \r\n\r\n");
    head.replace("fill: ", &format!("fill: {}", "x".repeat(bytes - head.len())))
}

/// Whether the head of an answer has this status.
fn has_status(answer: &str, status: u16) -> bool {
    answer.starts_with(&format!("HTTP/1.1 {status} "))
}

/// JSON of so many levels.
fn nested(levels: usize) -> Value {
    (1..levels).fold(json!({}), |inner, _| json!({ "a": inner }))
}

#[tokio::test]
async fn a_head_over_the_limit_is_431_in_the_shape_of_its_api_and_the_connection_goes_on() {
    let (server, _) = limited(&[("HOOK_KEYS_LIMITS_HEADER_BYTES", "2048")]).await;
    let mut stream = connect(server.address());
    let mut send = |path: &str, bytes: usize| {
        stream.write_all(head_of(path, bytes).as_bytes()).unwrap();
        answer(&mut stream).unwrap()
    };
    assert!(has_status(&send("/healthz", 2048), 200));
    let kong = send("/healthz", 2049);
    assert!(has_status(&kong, 431), "{kong}");
    assert!(
        kong.ends_with(r#"{"message":"Request line and headers too large: at most 2048 bytes"}"#),
        "{kong}"
    );
    let okta = send(KEYS, 3000);
    assert!(has_status(&okta, 431) && okta.contains(r#""errorCode":"E0000003""#), "{okta}");
    let cause = "headers: The request line and the headers must not be larger than 2048 bytes";
    assert!(okta.contains(cause) && okta.contains("x-okta-request-id"), "{okta}");
    assert!(has_status(&send(&format!("/healthz?{}", "q".repeat(1900)), 2049), 431));
    assert!(has_status(&send("/healthz", 100), 200));
}

#[tokio::test]
async fn a_head_that_no_setting_allows_is_refused_and_the_connection_closed() {
    let (server, _) = limited(&[("HOOK_KEYS_LIMITS_HEADER_BYTES", "131072")]).await;
    let many = "h: x\r\n".repeat(97);
    for (head, status) in [
        (format!("GET / HTTP/1.1\r\nhost: x\r\nfill: {}", "x".repeat(140_000)), 431),
        (format!("GET /{}", "x".repeat(140_000)), 431),
        (format!("GET / HTTP/1.1\r\n{many}\r\n"), 431),
        ("GET / HTTP/1.1\r\nno colon\r\n\r\n".to_owned(), 400),
        (format!("GET /{} HTTP/1.1\r\nhost: x\r\n\r\n", "x".repeat(70_000)), 400),
    ] {
        let mut stream = connect(server.address());
        let _ = stream.write_all(head.as_bytes());
        let told = String::from_utf8(rest(&mut stream)).unwrap();
        assert!(has_status(&told, status), "{}: {told}", &head[..40]);
    }
    assert!(ask(&mut connect(server.address()), "/healthz").is_ok());
}

#[tokio::test]
async fn a_body_over_the_limit_is_413_on_both_apis_announced_or_not() {
    let (_server, acme) = limited(&[("HOOK_KEYS_LIMITS_BODY_BYTES", "1024")]).await;
    let long = |bytes: usize| format!(r#"{{"name": "{}"}}"#, "x".repeat(bytes - 12));
    let send = async |method: &str, path: &str, body: reqwest::Body| {
        let request = acme.request(method.parse().unwrap(), path).header("Content-Type", "application/json");
        let answer = request.body(body).send().await.unwrap();
        (answer.status().as_u16(), answer.text().await.unwrap())
    };
    for (method, path, part) in [
        ("POST", KEYS, "body: The body must not be larger than 1024 bytes"),
        ("PUT", "/key-sets", "Payload too large: at most 1024 bytes"),
    ] {
        let (status, _) = send(method, path, long(1024).into()).await;
        assert_ne!(status, 413, "{path}");
        let (status, text) = send(method, path, long(1025).into()).await;
        assert!(status == 413 && text.contains(part), "{path}: {status} {text}");
        let chunks = futures_util::stream::iter([Ok::<_, std::io::Error>(long(1025))]);
        let (status, text) = send(method, path, reqwest::Body::wrap_stream(chunks)).await;
        assert!(status == 413 && text.contains(part), "{path} in chunks: {status} {text}");
    }
}

#[tokio::test]
async fn json_that_is_nested_too_deep_is_400_on_both_apis_and_for_execute() {
    let (_server, acme) = limited(&[("HOOK_KEYS_LIMITS_JSON_DEPTH", "6")]).await;
    let hook = acme.create_hook(hook("h", http_channel("https://192.0.2.1/"))).await;
    let execute = format!("{}/execute", path_of_hook(&hook));
    let cause = "body: The JSON must not be nested more than 6 levels deep";
    for path in [KEYS, "/api/v1/inlineHooks", &execute] {
        acme.post(path, nested(7)).await.expect_error(400, "E0000003", cause);
    }
    let message = "Cannot parse JSON body: it is nested more than 6 levels deep";
    for path in ["/keys", "/key-sets", "/schemas/keys/validate"] {
        acme.post(path, nested(7)).await.expect_message(400, message);
    }
    // As deep as allowed, other rules decide: the hook's address may not be called, a name is missing.
    assert_eq!(acme.post(&execute, nested(6)).await.expect(400).json()["errorCode"], "E0000134");
    assert!(!acme.post("/keys", nested(6)).await.text.contains("nested"));
    // Deeper than any parser goes, and the process lives.
    let deep = "[".repeat(500_000);
    let request = acme.request(reqwest::Method::POST, KEYS).header("Content-Type", "application/json");
    assert_eq!(request.body(deep).send().await.unwrap().status(), 400);
}

#[tokio::test]
async fn connections_over_the_limit_wait_until_one_is_closed() {
    let (server, _) = limited(&[("HOOK_KEYS_LIMITS_CONNECTIONS", "2")]).await;
    let mut first = connect(server.address());
    let mut second = connect(server.address());
    for stream in [&mut first, &mut second] {
        ask(stream, "/healthz").unwrap();
    }
    let mut third = connect(server.address());
    third.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
    let waits = ask(&mut third, "/healthz").unwrap_err().kind();
    assert!([ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&waits), "{waits}");
    drop(first);
    third.set_read_timeout(Some(PATIENCE)).unwrap();
    assert!(has_status(&answer(&mut third).unwrap(), 200));
    assert!(ask(&mut second, "/healthz").is_ok());
}

#[tokio::test]
async fn a_head_that_does_not_arrive_in_time_is_408_on_every_request_of_a_connection() {
    let (server, _) = limited(&[("HOOK_KEYS_LIMITS_HEAD_TIMEOUT", "200ms")]).await;
    for before in [0, 1, 2] {
        for start in ["G", "GET /healthz HTTP/1.1\r\nHost"] {
            let mut stream = connect(server.address());
            for _ in 0..before {
                assert!(has_status(&ask(&mut stream, "/healthz").unwrap(), 200));
            }
            stream.write_all(start.as_bytes()).unwrap();
            let told = String::from_utf8(rest(&mut stream)).unwrap();
            assert!(has_status(&told, 408), "after {before}, {start:?}: {told:?}");
        }
    }
    // Nothing at all.
    assert!(has_status(&String::from_utf8(rest(&mut connect(server.address()))).unwrap(), 408));
}

#[tokio::test]
async fn many_connections_that_send_their_heads_byte_by_byte_are_all_cut() {
    let times = [("HOOK_KEYS_LIMITS_HEAD_TIMEOUT", "300ms"), ("HOOK_KEYS_LIMITS_KEEP_ALIVE", "1h")];
    let (server, acme) = limited(&times).await;
    let address = server.address().to_owned();
    let drip = |number: usize| {
        let mut stream = connect(&address);
        if number.is_multiple_of(2) {
            ask(&mut stream, "/healthz").unwrap();
        }
        // For ever, if it were let.
        let mut head = b"GET /healthz HTTP/1.1\r\nfill: ".iter().chain(std::iter::repeat(&b'x'));
        stream.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
        let begun = Instant::now();
        loop {
            assert!(begun.elapsed() < PATIENCE, "the connection is still open");
            let _ = stream.write_all(&[*head.next().unwrap()]);
            match stream.read(&mut [0; 512]) {
                Err(error) if [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind()) => {}
                Ok(read) if read > 0 => {}
                _ => return,
            }
        }
    };
    std::thread::scope(|scope| {
        for number in 0..40 {
            let drip = &drip;
            scope.spawn(move || drip(number));
        }
    });
    acme.get(KEYS).await.expect(200);
}

#[tokio::test]
async fn a_connection_without_requests_is_closed_without_a_word() {
    let (server, _) = limited(&[("HOOK_KEYS_LIMITS_KEEP_ALIVE", "1s")]).await;
    let mut stream = connect(server.address());
    for _ in 0..3 {
        ask(&mut stream, "/healthz").unwrap();
    }
    assert_eq!(rest(&mut stream), b"");
    // The start of a request that came with the one before does not keep it open either.
    let mut stream = connect(server.address());
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\nGET /heal").unwrap();
    assert!(has_status(&answer(&mut stream).unwrap(), 200));
    rest(&mut stream);
}

#[tokio::test]
async fn who_does_not_read_its_answers_is_cut_and_who_reads_slowly_is_served() {
    let (server, _) = limited(&[("HOOK_KEYS_LIMITS_ANSWER_TIMEOUT", "500ms")]).await;
    let mut stream = connect(server.address());
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    let request = b"GET /openapi.yaml HTTP/1.1\r\nHost: x\r\n\r\n";
    // More than all buffers hold: at some point nothing is taken any more, and then the connection is reset.
    let error = loop {
        if let Err(error) = stream.write_all(request) {
            break error.kind();
        }
    };
    assert!([ErrorKind::ConnectionReset, ErrorKind::BrokenPipe].contains(&error), "{error}");

    let (server, _) = limited(&[]).await;
    let mut slow: TcpStream = connect(server.address());
    // The heads tell how long the answers took.
    let body = |answer: String| answer.split_once("\r\n\r\n").unwrap().1.to_owned();
    let whole = body(ask(&mut slow, "/openapi.yaml").unwrap());
    for _ in 0..40 {
        slow.write_all(request).unwrap();
    }
    for _ in 0..40 {
        std::thread::sleep(Duration::from_millis(10));
        assert!(body(answer(&mut slow).unwrap()) == whole);
    }
}
