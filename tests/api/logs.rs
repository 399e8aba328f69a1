//! What the log says, in both of its forms, and what it must not say.

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::keys::{ec_jwk, key_of, spellings};
use crate::harness::process::Dev;
use crate::harness::service::Service;
use crate::harness::{Client, hook, path_of, path_of_hook};

/// What a run has used that nobody may read in the log.
struct Run {
    log: String,
    secrets: Vec<(&'static str, String)>,
    /// The id of the last request, by its answer.
    request_id: String,
}

/// Uses both APIs at trace level, with every kind of secret there is.
async fn run(format: &str) -> Run {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let settings = [("HOOK_KEYS_LOG_FORMAT", format), ("HOOK_KEYS_TRUSTED_PROXIES", "127.0.0.1")];
    let dev = Dev::start_in(&data, &["--log", "trace"], &settings);
    let client = dev.client();
    let [value, secret, granted, header, query, wrong, malformed] =
        ["5chemeValue", "cl1entSecret", "4ccessToken", "h3aderValue", "qu3ryText", "wr0ngToken", "m4lformed"]
            .map(|name| format!("{name}{}", &dev.token[2..22]));
    let wrong = format!("00{wrong:x<40}");
    let endpoint = Service::answering(json!({ "access_token": granted, "expires_in": 60 }));
    let receiver = Service::answering(json!({}));
    let headers = json!([{ "key": "X-One", "value": header }]);
    let scheme = json!({ "type": "HEADER", "key": "Authorization", "value": value });
    let fixed = json!({ "uri": receiver.base, "headers": headers, "authScheme": scheme });
    let oauth = json!({
        "uri": receiver.base, "headers": headers, "clientId": "c", "tokenUrl": endpoint.base,
        "authType": "client_secret_post", "clientSecret": secret,
    });
    for (name, kind, config) in [("fixed", "HTTP", fixed), ("oauth", "OAUTH", oauth)] {
        let made = client.create_hook(hook(name, json!({ "type": kind, "config": config }))).await;
        client.post(&format!("{}/execute", path_of_hook(&made)), json!({})).await.expect(200);
    }
    let key = client.create("k").await;
    client.get(&format!("{}?expand=publickey&x={query}", path_of(&key))).await.expect(200);
    let jwk = ec_jwk("kid-1");
    client.create_key(key_of(&jwk)).await;
    client.get(&format!("/keys/kid-1?x={query}")).await.expect(404);
    // A private key in fields where none belongs, and in a body that is refused.
    client.post("/keys", json!({ "kid": jwk["d"], "jwk": jwk.to_string() })).await.expect(400);
    for authorization in [format!("SSWS {wrong}"), format!("SSWS {malformed}"), format!("Bearer {wrong}")] {
        let stranger = Client::new(&dev.base, Some(&authorization));
        stranger.get(&format!("/api/v1/hook-keys?token={query}")).await.expect(401);
    }
    let request = client.request(Method::GET, &format!("/api/v1/hook-keys/none?x={query}"));
    let last = request.header("X-Forwarded-For", "198.51.100.1, 203.0.113.9").send().await.unwrap();
    assert_eq!(last.status(), 404);
    let request_id = last.headers()["x-okta-request-id"].to_str().unwrap().to_owned();
    // The services did get what they should.
    assert_eq!(receiver.seen()[0].header("authorization"), Some(value.as_str()));
    assert_eq!(endpoint.seen()[0].field("client_secret"), Some(secret.clone()));
    let master_key = std::fs::read_to_string(data.join("master.key")).unwrap().trim().to_owned();
    let mut secrets = vec![
        ("the token", dev.token.clone()),
        ("the master key", master_key),
        ("the authentication value", value),
        ("the client secret", secret),
        ("the access token", granted),
        ("the header", header),
        ("the query", query),
        ("a wrong token", wrong),
        ("a malformed token", malformed),
        ("a private number", jwk["d"].as_str().unwrap().to_owned()),
    ];
    secrets.extend(spellings(&jwk).into_iter().map(|spelling| ("a private number", spelling)));
    Run { log: dev.log_text(), secrets, request_id }
}

#[tokio::test]
async fn neither_form_of_the_log_at_trace_level_holds_a_secret_or_a_query() {
    for (format, trace) in [("human", " TRACE "), ("json", "\"level\":\"TRACE\"")] {
        let run = run(format).await;
        assert!(run.log.contains(trace), "the log is not at trace level");
        // The search works: it finds what may be there.
        assert!(run.log.contains("/keys/kid-1"));
        for (what, secret) in &run.secrets {
            assert!(!run.log.contains(secret.as_str()), "{what} is in the log as {format}: {secret}");
        }
    }
}

#[tokio::test]
async fn a_line_for_programs_is_a_flat_object_and_tells_of_a_request_all_there_is_to_tell() {
    let run = run("json").await;
    let lines: Vec<Value> = run
        .log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    for line in &lines {
        let members = line.as_object().unwrap();
        assert!(members.values().all(|value| !value.is_object() && !value.is_array()), "{line}");
        for member in ["time", "level", "target"] {
            assert!(members[member].is_string(), "{line}");
        }
    }
    let line = lines.iter().find(|line| line["request_id"] == *run.request_id).unwrap();
    for (member, expected) in [
        ("level", json!("INFO")),
        ("message", json!("refused")),
        ("method", json!("GET")),
        ("route", json!("/api/v1/hook-keys/{id}")),
        ("path", json!("/api/v1/hook-keys/none")),
        ("status", json!(404)),
        ("address", json!("203.0.113.9")),
        ("reason", json!("no HookKey with the id \"none\"")),
    ] {
        assert_eq!(line[member], expected, "{line}");
    }
    assert!(line["org"].as_str().unwrap().starts_with("00o"), "{line}");
    assert!(line["token"].as_str().unwrap().starts_with("00T"), "{line}");
    assert!(line["error_id"].as_str().unwrap().starts_with("oae"), "{line}");
    assert!(line["micros"].is_u64(), "{line}");
    let answered = lines.iter().find(|line| line["message"] == "answered" && line["method"] == "POST");
    assert!(answered.unwrap().get("reason").is_none());
}
