//! Every method on every path, and what a path may look like (contract §1).

use reqwest::Method;
use serde_json::{Value, json};

use super::{path_of_key, path_of_set, send_text};
use crate::harness::keys::{ec_jwk, key_of, small_key};
use crate::harness::{Answer, Client, Server};

const COLLECTION: &str = "GET, HEAD, OPTIONS, POST, PUT";
const ENTITY: &str = "DELETE, GET, HEAD, OPTIONS, PATCH, PUT";
const TO_READ: &str = "GET, HEAD, OPTIONS";

/// Every path, with a key `k` in a key set `s` that has the tag `t`, and its methods.
const PATHS: [(&str, &str); 15] = [
    ("/", TO_READ),
    ("/kong", TO_READ),
    ("/key-sets", COLLECTION),
    ("/key-sets/s", ENTITY),
    ("/key-sets/s/keys", "GET, HEAD, OPTIONS, POST"),
    ("/key-sets/s/keys/k", ENTITY),
    ("/keys", COLLECTION),
    ("/keys/k", ENTITY),
    ("/keys/k/set", "GET, HEAD, OPTIONS, PATCH, PUT"),
    ("/tags", TO_READ),
    ("/tags/t", TO_READ),
    ("/schemas/keys", TO_READ),
    ("/schemas/key_sets", TO_READ),
    ("/schemas/keys/validate", "OPTIONS, POST"),
    ("/schemas/key_sets/validate", "OPTIONS, POST"),
];

async fn send(client: &Client, method: &str, path: &str) -> Answer {
    client.send(method.parse().unwrap(), path, None).await
}

/// A key set `s` with the key `k` in it.
async fn world(server: &Server) -> (Client, Value, Value) {
    let acme = server.org("acme").await;
    let set = acme.post("/key-sets", json!({ "name": "s", "tags": ["t"] })).await.expect(201).json();
    let mut key = small_key("k");
    (key["name"], key["set"]) = ("k".into(), json!({ "id": set["id"] }));
    let key = acme.create_key(key).await;
    (acme, set, key)
}

#[tokio::test]
async fn every_path_tells_its_methods_and_refuses_the_others_with_or_without_a_slash_at_the_end() {
    let server = Server::start().await;
    let (acme, ..) = world(&server).await;
    let nobody = server.with_authorization(None);
    for (path, methods) in PATHS {
        let slashed = format!("{path}/");
        for path in [path, &slashed].into_iter().filter(|path| *path != "//") {
            let told = send(&nobody, "OPTIONS", path).await.expect(204);
            for header in ["allow", "access-control-allow-methods"] {
                assert_eq!(told.header(header), Some(methods), "{path}");
            }
            let allowed: Vec<_> = methods.split(", ").collect();
            for method in ["DELETE", "GET", "HEAD", "PATCH", "POST", "PUT", "TRACE", "QUERY"] {
                if allowed.contains(&method) {
                    continue;
                }
                let refused = send(&acme, method, path).await.expect(405);
                if method != "HEAD" {
                    assert_eq!(refused.text, r#"{"message":"Method not allowed"}"#, "{method} {path}");
                }
                assert_eq!(refused.header("allow"), Some(methods), "{method} {path}");
            }
        }
    }
}

#[tokio::test]
async fn what_can_be_read_can_be_asked_for_without_a_body_and_with_a_slash_at_the_end() {
    let server = Server::start().await;
    let (acme, ..) = world(&server).await;
    for (path, methods) in PATHS {
        if !methods.contains("GET") {
            continue;
        }
        let got = acme.get(path).await.expect(200);
        if path != "/" {
            assert_eq!(acme.get(&format!("{path}/")).await.expect(200).text, got.text);
        }
        let head = send(&acme, "HEAD", path).await.expect(200);
        assert_eq!(
            (&*head.text, head.header("content-length")),
            ("", got.header("content-length")),
            "{path}"
        );
        assert_eq!(got.header("access-control-allow-origin"), Some("*"));
        assert_eq!(got.header("content-type"), Some("application/json; charset=utf-8"));
        got.header("x-kong-admin-latency").unwrap().parse::<u64>().unwrap();
        // A body is not read, whatever it is.
        send_text(&acme, "GET", path, "text/plain", "{").await.expect(200);
    }
}

#[tokio::test]
async fn statuses_are_those_of_kong() {
    let server = Server::start().await;
    let (acme, set, key) = world(&server).await;
    let id = "00000000-0000-4000-8000-00000000000a";
    let named = |name: &str, kid: &str| {
        let mut body = small_key(kid);
        body["name"] = name.into();
        body
    };
    let (some, nothing) = (|body: Value| Some(body), None::<Value>);
    let cases = [
        ("POST", "/key-sets", some(json!({ "name": "new" })), 201),
        ("POST", "/key-sets", nothing.clone(), 201),
        ("PUT", "/key-sets", some(json!({ "name": "new" })), 200),
        ("PUT", "/key-sets", some(json!({ "name": "newer" })), 200),
        ("PUT", "/key-sets/newest", nothing.clone(), 200),
        ("PUT", &format!("/key-sets/{id}"), nothing.clone(), 200),
        ("PUT", &format!("/key-sets/{id}"), some(json!({ "name": "newest" })), 409),
        ("PATCH", "/key-sets/new", some(json!({ "tags": ["x"] })), 200),
        ("PATCH", "/key-sets/new", nothing.clone(), 200),
        ("PATCH", "/key-sets/new", some(json!({ "name": "newest" })), 409),
        ("PATCH", "/key-sets/none", nothing.clone(), 404),
        ("DELETE", "/key-sets/new", nothing.clone(), 204),
        ("DELETE", "/key-sets/new", nothing.clone(), 204),
        ("DELETE", &format!("/key-sets/{id}"), nothing.clone(), 204),
        ("DELETE", &format!("/key-sets/{id}"), nothing.clone(), 204),
        ("GET", "/key-sets/new", nothing.clone(), 404),
        ("GET", "/key-sets/new/keys", nothing.clone(), 404),
        ("POST", "/key-sets/new/keys", some(small_key("x")), 404),
        ("PUT", "/key-sets/new/keys/x", some(small_key("x")), 404),
        ("POST", "/keys", some(named("one", "1")), 201),
        ("POST", "/keys", some(named("one", "2")), 409),
        ("POST", "/keys", some(named("two", "1")), 409),
        ("POST", "/keys", some(json!({})), 400),
        ("PUT", "/keys", some(named("one", "1")), 200),
        ("PUT", "/keys", some(named("two", "2")), 200),
        ("PUT", "/keys/three", some(named("", "3")), 200),
        ("PUT", "/keys/three", some(small_key("2")), 409),
        ("PUT", &format!("/keys/{id}"), some(small_key("4")), 200),
        ("PATCH", &format!("/keys/{id}"), some(json!({ "tags": null })), 200),
        ("PATCH", "/keys/none", some(json!({ "tags": null })), 404),
        ("DELETE", "/keys/three", nothing.clone(), 204),
        ("DELETE", "/keys/three", nothing.clone(), 204),
        ("DELETE", &format!("/keys/{id}"), nothing.clone(), 204),
        ("DELETE", &format!("/keys/{id}"), nothing.clone(), 204),
        ("GET", "/keys/one/set", nothing.clone(), 404),
        ("PATCH", "/keys/one/set", nothing.clone(), 404),
        ("DELETE", "/keys/one/set", nothing.clone(), 405),
        ("GET", "/keys/none/set", nothing.clone(), 404),
        ("PUT", "/keys/none/set", nothing.clone(), 404),
        ("PATCH", "/keys/none/set", nothing.clone(), 404),
        ("GET", "/key-sets/s/keys/one", nothing.clone(), 404),
        ("PATCH", "/key-sets/s/keys/one", nothing.clone(), 404),
        ("DELETE", "/key-sets/s/keys/one", nothing.clone(), 404),
        ("DELETE", "/key-sets/s/keys/k", nothing.clone(), 204),
        ("DELETE", "/key-sets/s/keys/k", nothing.clone(), 404),
        ("DELETE", "/key-sets/none/keys/k", nothing.clone(), 404),
        ("GET", "/keys/k", nothing.clone(), 404),
        ("GET", "/key-sets/s", nothing.clone(), 200),
        ("POST", "/schemas/keys/validate", some(small_key("x")), 200),
        ("POST", "/schemas/keys/validate", some(json!({})), 400),
        ("POST", "/schemas/key_sets/validate", nothing.clone(), 200),
        ("GET", "/schemas/routes", nothing.clone(), 404),
    ];
    for (method, path, mut body, status) in cases {
        if let Some(body) = body.as_mut().filter(|body| body["name"] == "") {
            body.as_object_mut().unwrap().remove("name");
        }
        let what = format!("{method} {path} {}", body.as_ref().unwrap_or(&Value::Null));
        let answer = acme.send(method.parse().unwrap(), path, body).await;
        assert_eq!(answer.status, status, "{what}: {}", answer.text);
        assert_eq!(answer.header("location"), None, "{what}");
        match status {
            204 => assert_eq!(answer.text, "", "{what}"),
            404 if method == "PATCH"
                && !path.contains("/keys/none/set")
                && !path.contains("/keys/one/set") =>
            {
                assert_eq!(answer.json()["code"], 6, "{what}");
            }
            404 if !path.starts_with("/schemas") => {
                assert_eq!(answer.text, r#"{"message":"Not found"}"#, "{what}");
            }
            _ => {}
        }
    }
    acme.get(&path_of_key(&key)).await.expect(404);
    acme.get(&path_of_set(&set)).await.expect(200);
}

#[tokio::test]
async fn unknown_paths_are_not_found() {
    let server = Server::start().await;
    let (acme, ..) = world(&server).await;
    for path in
        ["/nope", "/keys/k/nope", "/keys/k/set/s", "/key-sets/s/nope", "/key-sets/s/keys/k/set", "/tags/t/u"]
    {
        for method in ["GET", "POST", "DELETE", "OPTIONS"] {
            let answer = send(&acme, method, path).await.expect(404);
            assert_eq!(answer.text, r#"{"message":"Not found"}"#, "{method} {path}");
        }
    }
    let unknown = acme.get("/schemas/routes").await.expect_message(404, "No entity named 'routes'");
    assert_eq!(unknown.json().as_object().unwrap().len(), 1);
}

#[tokio::test]
async fn names_of_every_kind_can_stand_in_a_path() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let id_without_hyphens = "2033cb3def3b4f6d8395bc3c2d5a0e4f";
    for (name, encoded) in [
        ("a blank", "a%20blank"),
        ("Grüße 🔑", "Gr%C3%BC%C3%9Fe%20%F0%9F%94%91"),
        ("a/b", "a%2Fb"),
        ("a/b", "a%2fb"),
        ("a+b", "a+b"),
        ("a+b", "a%2Bb"),
        ("100%", "100%25"),
        ("%41", "%2541"),
        ("a?b#c", "a%3Fb%23c"),
        ("keys", "keys"),
        ("a\"b'c\\d", "a%22b%27c%5Cd"),
        (id_without_hyphens, id_without_hyphens),
    ] {
        let set = acme.create_set(name).await;
        let mut body = small_key("k");
        body["name"] = name.into();
        let key = acme.post(&format!("/key-sets/{encoded}/keys"), body).await.expect(201).json();
        assert_eq!(key["set"]["id"], set["id"]);
        for (path, expected) in [
            (format!("/key-sets/{encoded}"), &set),
            (format!("/keys/{encoded}"), &key),
            (format!("/keys/{encoded}/set"), &set),
            (format!("/key-sets/{encoded}/keys/{encoded}"), &key),
        ] {
            assert_eq!(acme.get(&path).await.expect(200).json(), *expected, "{path}");
        }
        for (path, body) in [
            (format!("/key-sets/{encoded}"), json!({ "name": "ignored" })),
            (format!("/keys/{encoded}"), small_key("k")),
        ] {
            let put = acme.put(&path, body).await.expect(200).json();
            assert_eq!(put["name"], name, "{path}");
            acme.patch(&path, json!({ "tags": ["t"] })).await.expect(200);
            acme.delete(&path).await.expect(204);
            acme.get(&path).await.expect(404);
        }
    }
}

#[tokio::test]
async fn an_id_may_be_in_upper_case_and_is_told_in_lower_case() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let (set, key) = ("2033CB3D-EF3B-4F6D-8395-BC3C2D5A0E4F", "92A245AF-8CB6-4175-B3A9-9383CBB9848F");
    let made = acme.post("/key-sets", json!({ "id": set })).await.expect(201).json();
    assert_eq!(made["id"], set.to_lowercase());
    let mut body = small_key("k");
    (body["id"], body["set"]) = (key.into(), json!({ "id": set }));
    let made = acme.create_key(body).await;
    assert_eq!((&made["id"], &made["set"]["id"]), (&json!(key.to_lowercase()), &json!(set.to_lowercase())));
    for path in [
        format!("/keys/{key}"),
        format!("/keys/{}", key.to_lowercase()),
        format!("/key-sets/{set}/keys/{key}"),
    ] {
        assert_eq!(acme.get(&path).await.expect(200).json(), made);
    }
    let other = "AAAAAAAA-AAAA-4AAA-8AAA-AAAAAAAAAAAA";
    let put = acme.put(&format!("/key-sets/{other}"), json!({})).await.expect(200).json();
    assert_eq!(put["id"], other.to_lowercase());
    acme.patch(&format!("/keys/{other}"), json!({})).await.expect_message(
        404,
        "could not find the entity with primary key '{id=\"aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa\"}'",
    );
}

#[tokio::test]
async fn a_name_in_a_path_obeys_the_rules_of_names() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let pem = "-----BEGIN%20PRIVATE%20KEY-----";
    let jwk = "%7B%22kty%22:%22EC%22%7D";
    let long = "x".repeat(1025);
    for (name, problem) in [
        ("%00", "must not contain the character U+0000"),
        (long.as_str(), "length must be at most 1024"),
        (pem, "looks like a key, which belongs into jwk or pem: here everyone would see it"),
        (jwk, "looks like a key, which belongs into jwk or pem: here everyone would see it"),
    ] {
        for (collection, body) in [("/key-sets", json!({})), ("/keys", small_key("k"))] {
            let answer = acme.put(&format!("{collection}/{name}"), body).await.expect(400);
            assert_eq!(answer.json()["fields"], json!({ "name": problem }), "{name:.50}");
        }
    }
    acme.put(&format!("/key-sets/{}", &long[1..]), json!({})).await.expect(200);
    // What the body says is not even looked at.
    let set = acme.put("/key-sets/fine", json!({ "name": 5 })).await.expect(200).json();
    assert_eq!(set["name"], "fine");
}

#[tokio::test]
async fn a_letter_of_a_path_may_be_encoded_and_names_the_same_api() {
    let server = Server::start().await;
    for (path, okta) in [("/%61pi/v1/hook-keys", true), ("/%6beys", false), ("/%2Fapi/v1/hook-keys", false)] {
        let answer = reqwest::get(format!("{}{path}", server.base)).await.unwrap();
        assert_eq!(answer.headers().contains_key("x-okta-request-id"), okta, "{path}");
        assert_eq!(answer.headers().contains_key("x-kong-request-id"), !okta, "{path}");
        assert_eq!(answer.text().await.unwrap().contains("errorCode"), okta, "{path}");
    }
}

#[tokio::test]
async fn a_path_that_is_no_text_names_nothing() {
    let server = Server::start().await;
    let (acme, ..) = world(&server).await;
    let sets = acme.get("/key-sets").await.json()["data"].as_array().unwrap().len();
    for path in
        ["/keys/%FF", "/keys/%FF/set", "/key-sets/%C3%28", "/key-sets/%FF/keys", "/key-sets/s/keys/%FF"]
    {
        acme.get(path).await.expect_message(404, "Not found");
    }
    acme.get("/tags/%FF").await.expect_message(404, "Not found");
    for path in ["/keys/%FF", "/key-sets/%FF"] {
        for method in ["PUT", "PATCH", "DELETE"] {
            send_text(&acme, method, path, "application/json", "{}").await.expect_message(404, "Not found");
        }
    }
    assert_eq!(
        acme.get("/key-sets").await.json()["data"].as_array().unwrap().len(),
        sets,
        "nothing was made"
    );
}

#[tokio::test]
async fn a_node_tells_which_admin_api_it_speaks() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let node = acme.get("/").await.expect(200);
    assert_eq!(node.text, acme.get("/kong").await.expect(200).text);
    let node = node.json();
    let version: Vec<_> = node["version"].as_str().unwrap().split('.').map(str::parse::<u32>).collect();
    assert!(version.len() == 3 && version.iter().all(Result::is_ok), "{node}");
    assert_eq!((&node["edition"], &node["tagline"]), (&json!("community"), &json!("Welcome to kong")));
    assert_eq!(node["plugins"]["available_on_server"], json!({}));
    assert_eq!(node["hook_keys"]["name"], "hook-keys");
}

#[tokio::test]
async fn the_schema_of_an_entity_names_its_fields_in_order() {
    let server = Server::start().await;
    let (acme, set, key) = world(&server).await;
    for (path, entity) in [("/schemas/keys", key), ("/schemas/key_sets", set)] {
        let schema = acme.get(path).await.expect(200).json();
        let fields = schema["fields"].as_array().unwrap();
        let mut names: Vec<_> =
            fields.iter().map(|field| field.as_object().unwrap().keys().next().unwrap().clone()).collect();
        names.sort();
        assert_eq!(names, entity.as_object().unwrap().keys().cloned().collect::<Vec<_>>(), "{path}");
    }
}

#[tokio::test]
async fn checking_an_entity_stores_nothing_and_does_not_ask_what_is_stored() {
    let server = Server::start().await;
    let (acme, set, key) = world(&server).await;
    let mut body = key_of(&ec_jwk("k"));
    (body["name"], body["set"]) = ("k".into(), json!({ "name": "none" }));
    let fine = r#"{"message":"schema validation successful"}"#;
    for body in [body, small_key("new")] {
        assert_eq!(acme.post("/schemas/keys/validate", body).await.expect(200).text, fine);
    }
    assert_eq!(acme.post("/schemas/key_sets/validate", json!({ "name": "s" })).await.expect(200).text, fine);
    acme.post("/schemas/key_sets/validate", json!({ "kid": "k" }))
        .await
        .expect_message(400, "schema violation (kid: unknown field)");
    acme.post("/schemas/none/validate", json!({})).await.expect_message(404, "No entity named 'none'");
    assert_eq!(acme.get("/keys").await.json()["data"], json!([key]));
    assert_eq!(acme.get("/key-sets").await.json()["data"], json!([set]));
}

#[tokio::test]
async fn other_media_types_are_refused_without_a_body() {
    let server = Server::start().await;
    let (acme, ..) = world(&server).await;
    for (path, methods) in PATHS {
        for method in ["POST", "PUT", "PATCH"].into_iter().filter(|method| methods.contains(method)) {
            for content_type in
                ["text/plain", "application/xml", "json", "application/jso", "multipart/mixed"]
            {
                let answer =
                    send_text(&acme, method, path, content_type, r#"{"name":"n"}"#).await.expect(415);
                assert_eq!(answer.text, "", "{method} {path}");
            }
            let request = acme.request(method.parse().unwrap(), path).body(r#"{"name":"n"}"#);
            Answer::of(request, &method.parse().unwrap(), path).await.expect(415);
        }
    }
    for content_type in ["application/json; charset=utf-8", "Application/JSON", "application/json-patch+json"]
    {
        send_text(&acme, "PUT", "/key-sets/typed", content_type, "{}").await.expect(200);
    }
}

#[tokio::test]
async fn a_body_of_a_mebibyte_is_read_and_one_byte_more_is_not() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let padded = |size: usize| format!("{{\"name\":\"n\"{}}}", " ".repeat(size - 12));
    let message = "Payload too large: at most 1048576 bytes";
    for (method, path) in [("POST", "/key-sets"), ("PUT", "/keys/k"), ("PATCH", "/key-sets/n")] {
        let answer = send_text(&acme, method, path, "application/json", padded(1_048_577)).await;
        answer.expect_message(413, message);
        let chunks = futures_util::stream::iter(vec![Ok::<_, std::io::Error>(padded(2_000_000))]);
        let body = reqwest::Body::wrap_stream(chunks);
        send_text(&acme, method, path, "application/json", body).await.expect_message(413, message);
    }
    assert_eq!(acme.get("/key-sets").await.json()["data"], json!([]));
    send_text(&acme, "POST", "/key-sets", "application/json", padded(1_048_576)).await.expect(201);
    let head = acme.request(Method::HEAD, "/key-sets/n");
    Answer::of(head, &Method::HEAD, "/key-sets/n").await.expect(200);
}
