//! openapi.yaml, the route table and the wire types say the same thing. (That every answer is one the
//! document describes, the harness checks in every test.)

use std::collections::BTreeSet;
use std::sync::Arc;

use actix_web::{App, HttpResponse, HttpServer, web};
use hook_keys::domain::Timestamp;
use hook_keys::domain::audit::filter::Selection;
use hook_keys::domain::audit::{Event, Outcome, Recorded, Target, Who};
use hook_keys::domain::channel::{HookUrl, unknown_hook_key};
use hook_keys::domain::hook_key::HookKey;
use hook_keys::domain::ids::{HookKeyId, InlineHookId, KeyId};
use hook_keys::domain::inline_hook::{HookStatus, HookType, InlineHook};
use hook_keys::domain::permission::Permission;
use hook_keys::domain::text::DisplayName;
use hook_keys::error::{Error, Kind, Upstream};
use hook_keys::http::error::Failure;
use hook_keys::http::okta::wire::hook_keys::{HookKeyBody, HookKeyRequest, PublicJwk};
use hook_keys::http::okta::wire::inline_hooks::{self, InlineHookBody};
use hook_keys::http::okta::wire::logs::LogEvent;
use hook_keys::http::{observe, okta, routes};
use serde_json::json;

use crate::harness::{Client, Server, spec};

#[test]
fn the_route_table_and_the_document_list_the_same_operations_with_the_same_permissions() {
    let line = |method: &str, path: &str, permission: Option<&str>| {
        format!("{method} {path} {}", permission.unwrap_or("open"))
    };
    let table: BTreeSet<_> = routes::table()
        .iter()
        .map(|route| line(route.method.as_str(), route.path, route.permission.map(Permission::name)))
        .collect();
    let document: BTreeSet<_> = spec::operations()
        .iter()
        .map(|operation| {
            let is_open = operation.spec["security"] == json!([]);
            let permission = operation.spec["x-permission"].as_str();
            assert_eq!(is_open, permission.is_none(), "{}: security or x-permission", operation.path);
            line(operation.method.as_str(), operation.path, permission)
        })
        .collect();
    assert_eq!(table, document);
}

#[tokio::test]
async fn the_document_is_served_as_it_is() {
    let server = Server::start().await;
    assert_eq!(server.with_authorization(None).get("/openapi.yaml").await.expect(200).text, spec::TEXT);
}

/// The document with members in the order of the text.
fn in_order() -> serde_yaml_ng::Value {
    serde_yaml_ng::from_str(spec::TEXT).unwrap()
}

#[test]
fn the_answers_in_the_document_are_rendered_the_same_to_the_byte() {
    let document = in_order();
    let mut compared = 0;
    for (name, example) in document["components"]["examples"].as_mapping().unwrap() {
        if name.as_str().unwrap().starts_with("Kong") {
            continue;
        }
        let value = &example["value"];
        let items = value.as_sequence().cloned().unwrap_or_else(|| vec![value.clone()]);
        for item in items {
            let expected = serde_json::to_string(&item).unwrap();
            let rendered = if item["_links"].is_mapping() {
                let hook = inline_hook(&item);
                serde_json::to_string(&InlineHookBody::new(&hook, "http://127.0.0.1:8080")).unwrap()
            } else if item["uuid"].is_string() {
                serde_json::to_string(&LogEvent::new(&recorded(&item))).unwrap()
            } else if item["id"].is_string() {
                let key = hook_key(&item);
                serde_json::to_string(&HookKeyBody::new(&key, item["_embedded"].is_mapping())).unwrap()
            } else if item["kty"].is_string() {
                let key = HookKey {
                    key_id: KeyId::parse(item["kid"].as_str().unwrap()).unwrap(),
                    modulus: item["n"].as_str().unwrap().to_owned(),
                    ..hook_key(&document["components"]["examples"]["HookKeyPlain"]["value"])
                };
                serde_json::to_string(&PublicJwk::new(&key)).unwrap()
            } else {
                continue;
            };
            assert_eq!(rendered, expected, "{name:?}");
            compared += 1;
        }
    }
    assert!(compared >= 16, "only {compared} examples were found");
}

fn hook_key(example: &serde_yaml_ng::Value) -> HookKey {
    let text = |member: &str| example[member].as_str().unwrap_or_default().to_owned();
    let moment = |member: &str| text(member).parse::<Timestamp>().unwrap();
    HookKey {
        id: HookKeyId::parse(&text("id")).unwrap(),
        key_id: KeyId::parse(&text("keyId")).unwrap(),
        name: text("name"),
        modulus: example["_embedded"]["n"].as_str().unwrap_or_default().to_owned(),
        created: moment("created"),
        last_updated: moment("lastUpdated"),
        is_used: example["isUsed"].as_bool().unwrap(),
    }
}

fn recorded(example: &serde_yaml_ng::Value) -> Recorded {
    let text = |value: &serde_yaml_ng::Value| value.as_str().map(str::to_owned);
    let target = &example["target"][0];
    let target = Target {
        alternate_id: text(&target["alternateId"]),
        display_name: text(&target["displayName"]),
        ..Target::bare(target["type"].as_str().unwrap(), target["id"].as_str().unwrap())
    };
    let event = Event {
        id: text(&example["uuid"]).unwrap(),
        org: None,
        at: text(&example["published"]).unwrap().parse().unwrap(),
        kind: text(&example["eventType"]).unwrap(),
        outcome: Outcome::parse(example["outcome"]["result"].as_str().unwrap()).unwrap(),
        reason: text(&example["outcome"]["reason"]),
        who: Who::Token {
            id: text(&example["actor"]["id"]).unwrap(),
            name: text(&example["actor"]["displayName"]).unwrap(),
        },
        address: text(&example["client"]["ipAddress"]),
        request_id: text(&example["transaction"]["id"]),
        targets: vec![target],
    };
    Recorded { seq: 1, event }
}

fn inline_hook(example: &serde_yaml_ng::Value) -> InlineHook {
    let text = |member: &str| example[member].as_str().unwrap().to_owned();
    let request = serde_json::to_value(example).unwrap();
    let draft = inline_hooks::draft(request.as_object().unwrap(), false).unwrap();
    InlineHook {
        id: InlineHookId::parse(&text("id")).unwrap(),
        status: HookStatus::parse(&text("status")).unwrap(),
        name: text("name"),
        kind: draft.kind.unwrap(),
        version: draft.version,
        channel: draft.channel,
        created: text("created").parse().unwrap(),
        last_updated: text("lastUpdated").parse().unwrap(),
    }
}

#[test]
fn the_requests_in_the_document_are_read() {
    let document = in_order();
    let hooks = ["InlineHookHttp", "InlineHookPrivateKey", "InlineHookClientSecret"]
        .map(|name| inline_hook(&document["components"]["examples"][name]["value"]));
    let mut read = 0;
    let bodies = spec::SPEC["components"]["requestBodies"].as_object().unwrap().iter();
    for (body, description) in bodies.filter(|(name, _)| !name.starts_with("Kong")) {
        for (name, example) in description["content"]["application/json"]["examples"].as_object().unwrap() {
            let value = &example["value"];
            let members = value.as_object().unwrap();
            match body.as_str() {
                "CreateHookKey" | "ReplaceHookKey" => {
                    let request: HookKeyRequest = serde_json::from_value(value.clone()).unwrap();
                    assert_eq!(request.name().unwrap().as_str(), value["name"].as_str().unwrap());
                }
                "CreateInlineHook" => assert!(inline_hooks::draft(members, false).unwrap().kind.is_some()),
                "ReplaceInlineHook" => drop(inline_hooks::draft(members, false).unwrap()),
                // A patch is made for one kind of hook; it must fit one of the three.
                "UpdateInlineHook" => assert!(
                    hooks.iter().any(|hook| inline_hooks::patched(hook, members, false).is_ok()),
                    "{name} fits no hook"
                ),
                "ExecuteInlineHook" => {}
                other => panic!("{other} is read by no test"),
            }
            read += 1;
        }
    }
    assert!(read >= 15, "only {read} examples were found");
}

#[test]
fn every_failure_the_service_knows_is_an_example_of_the_document_and_the_other_way_round() {
    let service = |kind| Failure::Service(Error::new(kind));
    let name = |text: String| Failure::Service(DisplayName::parse(text).unwrap_err());
    let not_found = |id: &str| Failure::Service(Error::not_found("HookKey", id));
    let upstream = |failure, cause: &str| service(Kind::Upstream { failure, cause: cause.to_owned() });
    let framework = actix_web::http::StatusCode::BAD_REQUEST;
    let rendered: BTreeSet<_> = [
        name(String::new()),
        name("x".repeat(256)),
        name("\u{7}".to_owned()),
        name("\u{1f511}".to_owned()),
        not_found("HKY0000000000000None"),
        not_found("00000000-0000-4000-8000-000000000000"),
        Failure::Service(serde_json::from_str::<HookKeyRequest>("{\"name\":1}").unwrap().name().unwrap_err()),
        Failure::Service(Error::taken("name")),
        Failure::Service(HookType::parse("x").unwrap_err()),
        Failure::Service(Selection::parse("x").unwrap_err()),
        Failure::Service(HookUrl::parse("channel.config.uri", "http://example.com", false).unwrap_err()),
        Failure::Service(unknown_hook_key("HKY1p7jWLndGQV9M60g4")),
        Failure::Service(Error::not_found("InlineHook", "cal0000000000000None")),
        upstream(Upstream::Unreachable, "hook: The connection was refused"),
        upstream(Upstream::BadAnswer, "hook: The service answered with status 500"),
        upstream(Upstream::BadAnswer, "token: The token endpoint answered with status 401 (invalid_client)"),
        upstream(
            Upstream::BadAnswer,
            "hook: The answer is not valid JSON: expected value at line 1 column 1",
        ),
        upstream(Upstream::Silent, "hook: There was no answer within 3s"),
        service(Kind::NoCredentials),
        service(Kind::BadCredentials),
        service(Kind::TooManyRequests),
        service(Kind::NotPermitted),
        service(Kind::Internal),
        service(Kind::Unavailable),
        service(Kind::Setup("never shown to a caller".to_owned())),
        Failure::InvalidBearer,
        Failure::UnknownPath,
        Failure::WrongMethod(String::new()),
        Failure::WrongContentType,
        Failure::NotAcceptable,
        Failure::Malformed,
        Failure::BodyTooLarge(1024 * 1024),
        Failure::HeadTooLarge(16 * 1024),
        Failure::BodyTooSlow,
        Failure::LengthRequired,
        Failure::Framework(framework),
    ]
    .iter()
    .map(|failure| okta::error::body(failure, "oae"))
    .collect();
    let mut documented = BTreeSet::new();
    for (name, example) in in_order()["components"]["examples"].as_mapping().unwrap() {
        // Rules that ask the database: tests of the API itself compare their texts.
        let by_database = [
            "LimitReached",
            "KeyInUse",
            "HookTypeFixed",
            "HookAuthValueMissing",
            "HookClientSecretMissing",
            "HookLimitReached",
            "HookActive",
            "HookInactive",
        ];
        let mut value = example["value"].clone();
        if value["errorCode"].is_string() && !by_database.contains(&name.as_str().unwrap()) {
            value["errorId"] = "oae".into();
            documented.insert(serde_json::to_string(&value).unwrap());
        }
    }
    assert_eq!(rendered, documented);
}

#[tokio::test]
async fn a_handler_that_panics_answers_500_in_oktas_shape_and_the_connection_lives_on() {
    let directory = tempfile::tempdir().unwrap();
    let app = Arc::new(crate::harness::app(directory.path()).await);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, handle) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(async {
            let data = web::Data::from(app);
            let server = HttpServer::new(move || {
                App::new()
                    .app_data(data.clone())
                    .wrap_fn(observe::observe)
                    .route("/fine", web::get().to(async || HttpResponse::NoContent()))
                    .default_service(web::to(async || -> HttpResponse { panic!("on purpose") }))
            });
            let server = server.workers(1).disable_signals().listen(listener).unwrap().run();
            sender.send(server.handle()).unwrap();
            server.await.unwrap();
        });
    });
    let client = Client::new(&format!("http://{address}"), None);
    for _ in 0..2 {
        let answer = client.request(reqwest::Method::GET, "/api/x").send().await.unwrap();
        assert_eq!(answer.status(), 500);
        assert_eq!(answer.headers()["content-type"], "application/json");
        assert!(answer.headers().contains_key("x-okta-request-id"));
        let body: serde_json::Value = answer.json().await.unwrap();
        assert_eq!((&body["errorCode"], &body["errorCauses"]), (&json!("E0000009"), &json!([])));
        assert!(!body.to_string().contains("on purpose"));
        let fine = client.request(reqwest::Method::GET, "/fine").send().await.unwrap();
        assert_eq!(fine.status(), 204);
    }
    drop(handle.recv().unwrap().stop(false));
}
