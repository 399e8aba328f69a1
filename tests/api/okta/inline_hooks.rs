//! Inline hooks as their owners see them: create, read, replace, update, activate, delete.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Server, hook, http_channel, oauth_channel, path_of, path_of_hook};

const HOOKS: &str = "/api/v1/inlineHooks";
const BORN: &str = "2026-01-31T23:59:58.000Z";
const URI: &str = "https://example.com/hook";
const TOKEN_URL: &str = "https://example.com/token";

/// The exact text of a hook: member order counts.
fn text(server: &Server, hook: &Value, status: &str, updated: &str, described: &str) -> String {
    let id = hook["id"].as_str().unwrap();
    let at = format!("{}/api/v1/inlineHooks/{id}", server.base);
    let link = |name: &str, path: &str, method: &str| {
        format!(r#""{name}":{{"href":"{at}{path}","hints":{{"allow":["{method}"]}}}}"#)
    };
    let itself = format!(r#""self":{{"href":"{at}"}}"#);
    let links = if status == "ACTIVE" {
        [itself, link("execute", "/execute", "POST"), link("deactivate", "/lifecycle/deactivate", "POST")]
    } else {
        [link("activate", "/lifecycle/activate", "POST"), itself, link("delete", "", "DELETE")]
    };
    format!(
        r#"{{"id":"{id}","status":"{status}",{described},"created":"{BORN}","lastUpdated":"{updated}","_links":{{{}}}}}"#,
        links.join(",")
    )
}

fn with(mut value: Value, pointer: &str, new: Value) -> Value {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    value.pointer_mut(parent).unwrap()[name] = new;
    value
}

#[tokio::test]
async fn an_http_hook_is_answered_without_the_value_of_its_auth_scheme() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let channel = json!({
        "type": "HTTP",
        "version": "1.0.0",
        "config": {
            "uri": URI,
            "headers": [{ "key": "X-One", "value": "1" }, { "key": "Field 1", "value": "two" }],
            "method": "POST",
            "authScheme": { "type": "HEADER", "key": "Authorization", "value": "s3cret" },
        },
    });
    let body = with(hook("My hook", channel), "/status", json!("INACTIVE"));
    let answer = acme.post(HOOKS, body).await.expect(200);
    let described = r#""name":"My hook","type":"com.okta.import.transform","version":"1.0.0","channel":{"type":"HTTP","version":"1.0.0","config":{"uri":"https://example.com/hook","headers":[{"key":"X-One","value":"1"},{"key":"Field 1","value":"two"}],"method":"POST","authScheme":{"type":"HEADER","key":"Authorization"}}}"#;
    let created = answer.json();
    assert_eq!(answer.text, text(&server, &created, "ACTIVE", BORN, described));
    assert_eq!(acme.get(&path_of_hook(&created)).await.expect(200).text, answer.text);
    assert_eq!(acme.get(HOOKS).await.expect(200).text, format!("[{}]", answer.text));
}

#[tokio::test]
async fn oauth_hooks_are_answered_without_their_secret_and_with_the_hook_key_last() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let key = acme.create("k").await;
    let id = key["id"].as_str().unwrap();
    let signed = acme.post(HOOKS, hook("signed", oauth_channel(TOKEN_URL, URI, &key))).await.expect(200);
    let described = format!(
        r#""name":"signed","type":"com.okta.import.transform","version":"1.0.0","channel":{{"type":"OAUTH","version":"1.0.0","config":{{"uri":"{URI}","headers":[],"method":"POST","authScheme":null,"clientId":"client-1","tokenUrl":"{TOKEN_URL}","authType":"private_key_jwt","scope":"hooks","hookKeyId":"{id}"}}}}"#
    );
    assert_eq!(signed.text, text(&server, &signed.json(), "ACTIVE", BORN, &described));

    let config = json!({
        "uri": URI, "clientId": "c", "tokenUrl": TOKEN_URL, "authType": "client_secret_post", "clientSecret": "s3cret",
    });
    let posted =
        acme.post(HOOKS, hook("posted", json!({ "type": "OAUTH", "config": config }))).await.expect(200);
    let described = format!(
        r#""name":"posted","type":"com.okta.import.transform","version":"1.0.0","channel":{{"type":"OAUTH","version":"1.0.0","config":{{"uri":"{URI}","headers":[],"method":"POST","authScheme":null,"clientId":"c","tokenUrl":"{TOKEN_URL}","authType":"client_secret_post","scope":null}}}}"#
    );
    assert_eq!(posted.text, text(&server, &posted.json(), "ACTIVE", BORN, &described));
}

#[tokio::test]
async fn all_six_types_are_taken_and_listed_by_type_in_creation_order() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let types = [
        "com.okta.user.pre-registration",
        "com.okta.import.transform",
        "com.okta.oauth2.tokens.transform",
        "com.okta.saml.tokens.transform",
        "com.okta.telephony.provider",
        "com.okta.user.credential.password.import",
    ];
    assert_eq!(acme.get(HOOKS).await.expect(200).text, "[]");
    for (number, kind) in types.iter().chain(&types[..1]).enumerate() {
        let body = with(hook(&format!("h{number}"), http_channel(URI)), "/type", json!(kind));
        acme.create_hook(with(body, "/version", json!("1.0.1"))).await;
    }
    let names = |list: Value| -> Vec<String> {
        list.as_array().unwrap().iter().map(|hook| hook["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(acme.get(HOOKS).await.json()), ["h0", "h1", "h2", "h3", "h4", "h5", "h6"]);
    let filtered = acme.get(&format!("{HOOKS}?type=com.okta.user.pre-registration")).await.expect(200);
    assert_eq!(names(filtered.json()), ["h0", "h6"]);
    let unknown = acme.get(&format!("{HOOKS}?type=com.okta.nothing")).await;
    unknown.expect_error(400, "E0000001", "type: The field type is not valid.");
}

#[tokio::test]
async fn what_is_wrong_with_a_hook_is_said_with_the_path_of_the_field() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let key = acme.create("k").await;
    let config = |pointer: &str, value: Value| {
        with(hook("h", http_channel(URI)), &format!("/channel/config{pointer}"), value)
    };
    let oauth = |name: &str, value: Value| {
        with(hook("h", oauth_channel(TOKEN_URL, URI, &key)), &format!("/channel/config/{name}"), value)
    };
    let plain = hook("h", http_channel(URI));
    let blank = "The field cannot be left blank";
    let scheme = |value: Value| config("/authScheme", value);
    let header = |value: Value| config("/headers", json!([value]));
    let cases = [
        (with(plain.clone(), "/name", json!(null)), format!("name: {blank}")),
        (
            with(plain.clone(), "/name", json!("x".repeat(256))),
            "name: The field must be between 1 and 255 characters".into(),
        ),
        (with(plain.clone(), "/type", json!(null)), format!("type: {blank}")),
        (with(plain.clone(), "/type", json!("x")), "type: The field type is not valid.".into()),
        (with(plain.clone(), "/version", json!(1)), "version: The field must be a string".into()),
        (
            with(plain.clone(), "/version", json!("one")),
            "version: The field must be a version such as 1.0.0".into(),
        ),
        (with(plain.clone(), "/channel", json!(null)), format!("channel: {blank}")),
        (with(plain.clone(), "/channel", json!([])), "channel: The field must be an object".into()),
        (
            with(plain.clone(), "/channel/type", json!("SMS")),
            "channel.type: The field must be HTTP or OAUTH".into(),
        ),
        (with(plain.clone(), "/channel/config", json!(null)), format!("channel.config: {blank}")),
        (config("/uri", json!(null)), format!("channel.config.uri: {blank}")),
        (
            config("/uri", json!("http://example.com")),
            "channel.config.uri: The field must begin with https://".into(),
        ),
        (
            config("/uri", json!("https://u:p@example.com")),
            "channel.config.uri: The field must not contain a user name or a password".into(),
        ),
        (config("/method", json!("PUT")), "channel.config.method: The field must be POST".into()),
        (config("/headers", json!({})), "channel.config.headers: The field must be an array".into()),
        (
            config("/headers", json!(vec![json!({ "key": "X", "value": "x" }); 51])),
            "channel.config.headers: The field must not hold more than 50 headers".into(),
        ),
        (
            config("/headers", json!(vec![json!({ "key": "X", "value": "x".repeat(4096) }); 2])),
            "channel.config.headers: The headers must not be larger than 8192 bytes together".into(),
        ),
        (header(json!("x")), "channel.config.headers: The items must be objects".into()),
        (
            header(json!({ "key": "Accept", "value": "x" })),
            "channel.config.headers.key: The header Accept is set by the service itself".into(),
        ),
        (
            header(json!({ "key": "X", "value": "a\r\nb" })),
            "channel.config.headers.value: The field must not contain control characters".into(),
        ),
        (scheme(json!("Basic")), "channel.config.authScheme: The field must be an object".into()),
        (
            scheme(json!({ "type": "BASIC", "key": "k", "value": "v" })),
            "channel.config.authScheme.type: The field must be HEADER".into(),
        ),
        (
            scheme(json!({ "type": "HEADER", "value": "v" })),
            format!("channel.config.authScheme.key: {blank}"),
        ),
        (
            scheme(json!({ "type": "HEADER", "key": "Host", "value": "v" })),
            "channel.config.authScheme.key: The header Host is set by the service itself".into(),
        ),
        (
            scheme(json!({ "type": "HEADER", "key": "k" })),
            format!("channel.config.authScheme.value: {blank}"),
        ),
        (oauth("clientId", json!(null)), format!("channel.config.clientId: {blank}")),
        (
            oauth("tokenUrl", json!("ftp://x")),
            "channel.config.tokenUrl: The field must begin with https:// and a host".into(),
        ),
        (
            oauth("authType", json!("none")),
            "channel.config.authType: The field must be client_secret_post or private_key_jwt".into(),
        ),
        (
            oauth("authType", json!("client_secret_post")),
            "channel.config.hookKeyId: The field is for the authType private_key_jwt only".into(),
        ),
        (
            oauth("clientSecret", json!("s")),
            "channel.config.clientSecret: The field is for the authType client_secret_post only".into(),
        ),
        (oauth("hookKeyId", json!(null)), format!("channel.config.hookKeyId: {blank}")),
        (
            oauth("authScheme", json!({ "type": "HEADER" })),
            "channel.config.authScheme: The field must be null in an OAUTH channel".into(),
        ),
        (
            oauth("headers", json!([{ "key": "authorization", "value": "x" }])),
            "channel.config.headers.key: The header authorization is set by the channel's authentication"
                .into(),
        ),
        (
            with(oauth("hookKeyId", json!(null)), "/channel/config/authType", json!("client_secret_post")),
            format!("channel.config.clientSecret: {blank}"),
        ),
    ];
    for (body, cause) in cases {
        let answer = acme.post(HOOKS, body.clone()).await.expect_error(400, "E0000001", &cause);
        let field = cause.split(':').next().unwrap();
        assert_eq!(answer.json()["errorSummary"], format!("Api validation failed: {field}"), "{body}");
    }
    assert_eq!(acme.get(HOOKS).await.text, "[]");
}

#[tokio::test]
async fn a_hook_key_of_another_org_or_of_none_is_refused_alike() {
    let server = Server::start().await;
    let (acme, other) = (server.org("acme").await, server.org("other").await);
    let theirs = other.create("k").await;
    for id in
        [theirs["id"].as_str().unwrap(), "HKY00000000000000000", "none", theirs["keyId"].as_str().unwrap()]
    {
        let body = hook("h", oauth_channel(TOKEN_URL, URI, &json!({ "id": id })));
        let cause = format!(
            "channel.config.hookKeyId: There is no hook key with the id {id} in the current organization"
        );
        acme.post(HOOKS, body).await.expect_error(400, "E0000001", &cause);
    }
    assert_eq!(other.get(&path_of(&theirs)).await.json()["isUsed"], false);
}

#[tokio::test]
async fn replacing_keeps_status_type_and_birth_and_clears_what_is_left_out() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let channel = json!({
        "type": "HTTP",
        "config": {
            "uri": URI,
            "headers": [{ "key": "X-One", "value": "1" }],
            "authScheme": { "type": "HEADER", "key": "Authorization", "value": "s3cret" },
        },
    });
    let created = acme.create_hook(hook("before", channel)).await;
    acme.post(&(path_of_hook(&created) + "/lifecycle/deactivate"), json!({})).await.expect(200);
    server.clock.advance(Duration::from_secs(3));
    let body = json!({
        "name": "after", "version": "1.0.2", "status": "ACTIVE",
        "channel": { "type": "HTTP", "version": "1.0.1", "config": { "uri": "https://example.com/other" } },
    });
    let answer = acme.put(&path_of_hook(&created), body).await.expect(200);
    let described = r#""name":"after","type":"com.okta.import.transform","version":"1.0.2","channel":{"type":"HTTP","version":"1.0.1","config":{"uri":"https://example.com/other","headers":[],"method":"POST","authScheme":null}}"#;
    assert_eq!(answer.text, text(&server, &created, "INACTIVE", "2026-02-01T00:00:01.000Z", described));

    let typed = with(hook("after", http_channel(URI)), "/type", json!("com.okta.telephony.provider"));
    let refused = acme.put(&path_of_hook(&created), typed).await;
    refused.expect_error(400, "E0000001", "type: The type of an inline hook cannot change");
    acme.put(&path_of_hook(&created), hook("after", http_channel(URI))).await.expect(200);
}

#[tokio::test]
async fn updating_changes_what_is_named_and_keeps_the_rest() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let key = acme.create("k").await;
    let created = acme.create_hook(hook("before", oauth_channel(TOKEN_URL, URI, &key))).await;
    let path = path_of_hook(&created);
    let config = |hook: &Value| hook["channel"]["config"].clone();

    let renamed = acme.post(&path, json!({ "name": "after", "status": "INACTIVE" })).await.expect(200).json();
    assert_eq!((&renamed["name"], &renamed["status"]), (&json!("after"), &json!("ACTIVE")));
    assert_eq!(config(&renamed), config(&created));

    let patch =
        json!({ "channel": { "config": { "scope": null, "headers": [{ "key": "X", "value": "1" }] } } });
    let patched = config(&acme.post(&path, patch).await.expect(200).json());
    assert_eq!((&patched["scope"], &patched["headers"][0]["value"]), (&Value::Null, &json!("1")));
    assert_eq!((&patched["clientId"], &patched["hookKeyId"]), (&json!("client-1"), &key["id"]));

    // Another way to authenticate does not drag the hook key along.
    let patch =
        json!({ "channel": { "config": { "authType": "client_secret_post", "clientSecret": "s3cret" } } });
    let secret = config(&acme.post(&path, patch).await.expect(200).json());
    assert_eq!((secret.get("hookKeyId"), &secret["authType"]), (None, &json!("client_secret_post")));
    assert_eq!(acme.get(&path_of(&key)).await.json()["isUsed"], false);

    let patch = json!({ "channel": { "type": "HTTP", "config": { "uri": URI } } });
    let http = config(&acme.post(&path, patch).await.expect(200).json());
    assert_eq!(http, json!({ "uri": URI, "headers": [], "method": "POST", "authScheme": null }));
    acme.post(&path, json!({})).await.expect(200);
    acme.post(&path, json!({ "channel": null })).await.expect_error(
        400,
        "E0000001",
        "channel: The field cannot be left blank",
    );
}

#[tokio::test]
async fn activating_and_deactivating_can_be_repeated_and_only_a_change_moves_last_updated() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let created = acme.create_hook(hook("h", http_channel(URI))).await;
    let path = path_of_hook(&created);
    let switch = async |to: &str| {
        server.clock.advance(Duration::from_secs(60));
        // No body and no content type, as Okta's clients send it.
        acme.send(Method::POST, &format!("{path}/lifecycle/{to}"), None).await.expect(200).json()
    };
    assert_eq!(switch("activate").await, created);
    let inactive = switch("deactivate").await;
    assert_eq!(
        (&inactive["status"], &inactive["lastUpdated"]),
        (&json!("INACTIVE"), &json!("2026-02-01T00:01:58.000Z"))
    );
    assert_eq!(switch("deactivate").await, inactive);
    assert_eq!(switch("activate").await["lastUpdated"], "2026-02-01T00:03:58.000Z");
}

#[tokio::test]
async fn only_an_inactive_hook_is_deleted() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let path = path_of_hook(&acme.create_hook(hook("h", http_channel(URI))).await);
    let cause = "inlineHook: Cannot delete an active inline hook. Deactivate it first.";
    acme.delete(&path).await.expect_error(400, "E0000001", cause);
    acme.send(Method::POST, &format!("{path}/lifecycle/deactivate"), None).await.expect(200);
    acme.delete(&path).await.expect(204);
    for answer in [
        acme.get(&path).await,
        acme.delete(&path).await,
        acme.put(&path, hook("h", http_channel(URI))).await,
        acme.post(&path, json!({})).await,
        acme.send(Method::POST, &format!("{path}/lifecycle/activate"), None).await,
        acme.post(&format!("{path}/execute"), json!({})).await,
    ] {
        let id = path.rsplit('/').next().unwrap();
        let body = answer.expect_error(404, "E0000007", "").json();
        assert_eq!(body["errorSummary"], format!("Not found: Resource not found: {id} (InlineHook)"));
    }
}

#[tokio::test]
async fn public_url_decides_the_links() {
    let settings = [("HOOK_KEYS_PUBLIC_URL", "https://keys.example.com/")];
    let server = Server::start_with(&settings, hook_keys::app::Parts::default()).await;
    let acme = server.org("acme").await;
    let hook = acme.create_hook(hook("h", http_channel(URI))).await;
    let id = hook["id"].as_str().unwrap();
    assert_eq!(hook["_links"]["self"]["href"], format!("https://keys.example.com/api/v1/inlineHooks/{id}"));
}
