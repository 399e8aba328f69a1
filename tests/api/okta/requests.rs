//! Requests that are wrong before any rule about keys is asked.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use reqwest::Method;
use serde_json::json;

use crate::harness::{Answer, Client, Server};

const KEYS: &str = "/api/v1/hook-keys";

async fn post_text(client: &Client, content_type: &str, body: impl Into<reqwest::Body>) -> Answer {
    let request = client.request(Method::POST, KEYS).header("Content-Type", content_type).body(body);
    Answer::of(request, &Method::POST, KEYS).await
}

#[tokio::test]
async fn a_body_that_is_no_json_object_is_not_well_formed() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let from_the_guide = "{\n    \"name\" : \"Test Name\",\n}";
    let bodies = [
        " ",
        "{",
        "null",
        "5",
        "\"name\"",
        "[]",
        "[\"name\"]",
        "[{\"name\":\"x\"}]",
        "{\"name\":\"x\"} x",
        "{name:\"x\"}",
        "{\"name\":\"x\",\"name\":\"y\"}",
        "{\"name\":\"\\ud800\"}",
        "{\"name\":\"tab\there\"}",
        "\u{feff}{}",
        from_the_guide,
    ];
    for body in bodies {
        post_text(&acme, "application/json", body.to_owned()).await.expect_error(400, "E0000003", "");
    }
    let too_deep = "body: The JSON must not be nested more than 64 levels deep";
    post_text(&acme, "application/json", deep).await.expect_error(400, "E0000003", too_deep);
    post_text(&acme, "application/json", b"{\"name\":\"\xff\"}".to_vec())
        .await
        .expect_error(400, "E0000003", "");
    assert!(acme.names().await.is_empty());
}

#[tokio::test]
async fn members_that_nobody_knows_are_ignored() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let body =
        json!({ "id": "HKY1", "isUsed": true, "name": "k", "_embedded": { "n": "x" }, "deep": [[{}]] });
    let key = acme.post(KEYS, body).await.expect(200).json();
    assert_eq!(key["isUsed"], false);
    assert_ne!(key["id"], "HKY1");
}

#[tokio::test]
async fn only_json_is_taken() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    for content_type in ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", "json", ""] {
        let answer = post_text(&acme, content_type, "{\"name\":\"k\"}").await;
        let summary = answer.expect_error(400, "E0000021", "").json()["errorSummary"].clone();
        assert_eq!(
            summary,
            "Bad request.  Accept and/or Content-Type headers likely do not match supported values."
        );
    }
    for (number, content_type) in
        ["application/json; charset=utf-8", "Application/JSON"].into_iter().enumerate()
    {
        post_text(&acme, content_type, format!("{{\"name\":\"{number}\"}}")).await.expect(200);
    }
}

#[tokio::test]
async fn only_json_is_answered() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    for (accept, status) in
        [("text/html", 400), ("text/html, */*;q=0.1", 200), ("application/json", 200), ("", 200)]
    {
        let request = acme.request(Method::GET, KEYS).header("Accept", accept);
        let answer = Answer::of(request, &Method::GET, KEYS).await.expect(status);
        if status == 400 {
            answer.expect_error(400, "E0000019", "");
        }
    }
    let two_lines =
        acme.request(Method::GET, KEYS).header("Accept", "text/html").header("Accept", "application/json");
    Answer::of(two_lines, &Method::GET, KEYS).await.expect(200);
    let request = acme.request(Method::GET, "/openapi.yaml").header("Accept", "text/html");
    Answer::of(request, &Method::GET, "/openapi.yaml").await.expect(200);
}

#[tokio::test]
async fn a_body_of_a_mebibyte_is_read_and_one_byte_more_is_not() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let padded = |size: usize| {
        let start = "{\"name\":\"k\",\"padding\":\"";
        format!("{start}{}\"}}", "x".repeat(size - start.len() - 2))
    };
    let cause = "body: The body must not be larger than 1048576 bytes";
    let answer = post_text(&acme, "application/json", padded(1_048_577)).await;
    answer.expect_error(413, "E0000003", cause);
    let chunks = futures_util::stream::iter(vec![Ok::<_, std::io::Error>(padded(2_000_000))]);
    let answer = post_text(&acme, "application/json", reqwest::Body::wrap_stream(chunks)).await;
    answer.expect_error(413, "E0000003", cause);
    assert!(acme.names().await.is_empty());
    post_text(&acme, "application/json", padded(1_048_576)).await.expect(200);
}

#[tokio::test]
async fn a_post_without_a_length_is_asked_for_one() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let token = authorization(&acme);
    let answer =
        raw(&server, &format!("POST {KEYS} HTTP/1.1\r\nHost: x\r\n{token}Connection: close\r\n\r\n"));
    assert!(answer.starts_with("HTTP/1.1 411 "), "{answer}");
    assert!(answer.contains("\"errorCode\":\"E0000003\"") && answer.contains("Content-Length"), "{answer}");
    let json = "Content-Type: application/json\r\nContent-Length: 0\r\n";
    let answer =
        raw(&server, &format!("POST {KEYS} HTTP/1.1\r\nHost: x\r\n{token}{json}Connection: close\r\n\r\n"));
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("\"errorCauses\":[]"), "{answer}");
}

#[tokio::test]
async fn a_chunked_body_needs_no_length() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let chunks = futures_util::stream::iter(["{\"na", "me\":\"k\"}"].map(Ok::<_, std::io::Error>));
    post_text(&acme, "application/json", reqwest::Body::wrap_stream(chunks)).await.expect(200);
}

#[tokio::test]
async fn what_a_client_asked_for_happens_also_when_it_hangs_up() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let body = "{\"name\":\"k\"}";
    let mut stream = TcpStream::connect(server.address()).unwrap();
    let head = format!(
        "POST {KEYS} HTTP/1.1\r\nHost: x\r\n{}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        authorization(&acme),
        body.len()
    );
    stream.write_all((head + body).as_bytes()).unwrap();
    drop(stream);
    for _ in 0..200 {
        if acme.names().await == ["k"] {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("the key never came");
}

#[tokio::test]
async fn unknown_paths_and_wrong_methods_answer_in_oktas_shape() {
    let server = Server::start().await;
    let nobody = server.with_authorization(None);
    for path in
        ["/api/", "/api/v1", "/api/v1/hook-keys/", "/api/v1/hook-keys/a/b", "/api/v1/hookKeys", "/api/x"]
    {
        nobody.get(path).await.expect_error(404, "E0000008", "");
    }
    for (method, path, allow) in [
        (Method::DELETE, KEYS, "GET, HEAD, POST"),
        (Method::PATCH, "/api/v1/hook-keys/x", "GET, HEAD, PUT, DELETE"),
        (Method::POST, "/api/v1/hook-keys/x", "GET, HEAD, PUT, DELETE"),
        (Method::PUT, "/api/v1/hook-keys/public/x", "GET, HEAD"),
        (Method::OPTIONS, KEYS, "GET, HEAD, POST"),
    ] {
        let answer = nobody.send(method, path, None).await.expect_error(405, "E0000022", "");
        assert_eq!(answer.header("allow"), Some(allow), "{path}");
    }
}

#[tokio::test]
async fn every_answer_says_not_to_store_it_and_has_an_id_of_its_own() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let mut ids = std::collections::HashSet::new();
    for path in [KEYS, KEYS, "/api/v1/hook-keys/none", "/api/none", "/none", "/openapi.yaml", "/keys"] {
        let answer = acme.get(path).await;
        let name = if path.starts_with("/api/") { "x-okta-request-id" } else { "x-kong-request-id" };
        assert!(ids.insert(answer.header(name).unwrap().to_owned()));
        for (name, value) in [
            ("cache-control", "no-cache, no-store"),
            ("pragma", "no-cache"),
            ("expires", "0"),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
        ] {
            assert_eq!(answer.header(name), Some(value), "{path}");
        }
        let date = answer.header("date").unwrap();
        assert!(date.ends_with(" GMT") && date.len() == 29, "{date}");
    }
    let errors: Vec<_> = futures_util::future::join_all((0..5).map(|_| acme.get("/api/none"))).await;
    let error_ids: std::collections::HashSet<_> =
        errors.iter().map(|answer| answer.json()["errorId"].as_str().unwrap().to_owned()).collect();
    assert_eq!(error_ids.len(), 5);
}

fn authorization(client: &Client) -> String {
    let request = client.request(Method::GET, "/").build().unwrap();
    format!("Authorization: {}\r\n", request.headers()["authorization"].to_str().unwrap())
}

/// Sends bytes as they are and returns the whole answer.
fn raw(server: &Server, request: &str) -> String {
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}
