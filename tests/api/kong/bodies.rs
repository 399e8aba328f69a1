//! What a body may look like, and what is said of one that may not (contract §4, §6).

use serde_json::{Value, json};

use super::send_text;
use crate::harness::Server;
use crate::harness::keys::{ec_jwk, key_of, public, small_key};

const FORM: &str = "application/x-www-form-urlencoded";
const MULTIPART: &str = "multipart/form-data; boundary=x";
const JSON: &str = "application/json";

fn form(pairs: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

/// A multipart form of texts, or of files of another media type.
fn multipart(pairs: &[(&str, &str)], as_files: bool) -> String {
    let more = if as_files { "; filename=\"f\"\r\nContent-Type: image/png" } else { "" };
    let part = |(name, text): &(&str, &str)| {
        format!("--x\r\nContent-Disposition: form-data; name=\"{name}\"{more}\r\n\r\n{text}\r\n")
    };
    pairs.iter().map(part).collect::<String>() + "--x--\r\n"
}

/// An entity without what differs between two that are otherwise the same.
fn without_id(mut entity: Value) -> Value {
    entity.as_object_mut().unwrap().remove("id");
    entity
}

#[tokio::test]
async fn the_three_kinds_of_bodies_make_the_same_key() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let set = acme.create_set("a set").await;
    let id = acme.create_key(key_of(&ec_jwk("42"))).await["id"].as_str().unwrap().to_owned();
    let pem = acme.get(&format!("/keys/{id}?format=pem")).await.json()["pem"].clone();
    acme.delete(&format!("/keys/{id}")).await.expect(204);
    let half = |half: &str| pem[half].as_str().unwrap().to_owned();
    let (private, public) = (half("private_key"), half("public_key"));
    let json = json!({
        "name": "Grüße & mehr",
        "kid": "42",
        "set": { "name": "a set" },
        "pem": { "private_key": private, "public_key": public },
        "tags": ["one", "two words", "drei 🔑"],
        "created_at": 1_700_000_000,
    });
    let made = acme.post("/keys", json).await.expect(201).json();
    assert_eq!(made["pem"], pem);
    assert_eq!((&made["set"]["id"], &made["created_at"]), (&set["id"], &json!(1_700_000_000)));
    let expected = without_id(made);
    acme.delete("/keys/Gr%C3%BC%C3%9Fe%20&%20mehr").await.expect(204);

    let rest = [("name", "Grüße & mehr"), ("kid", "42"), ("created_at", "1700000000")];
    let ways: [[(&str, &str); 6]; 4] = [
        [
            ("set.name", "a set"),
            ("pem.private_key", &private),
            ("pem.public_key", &public),
            ("tags", "one"),
            ("tags", "two words"),
            ("tags", "drei 🔑"),
        ],
        [
            ("tags[]", "one"),
            ("tags[]", "two words"),
            ("set[name]", "a set"),
            ("pem[private_key]", &private),
            ("tags[]", "drei 🔑"),
            ("pem[public_key]", &public),
        ],
        [
            ("tags[3]", "drei 🔑"),
            ("tags[1]", "one"),
            ("tags[2]", "two words"),
            ("pem.public_key", &public),
            ("pem[private_key]", &private),
            ("set.name", "a set"),
        ],
        [
            ("set.id", set["id"].as_str().unwrap()),
            ("pem.private_key", &private),
            ("pem.public_key", &public),
            ("tags", "one"),
            ("tags", "two words"),
            ("tags", "drei 🔑"),
        ],
    ];
    for way in ways {
        let pairs: Vec<_> = rest.into_iter().chain(way).collect();
        let key = send_text(&acme, "POST", "/keys", FORM, form(&pairs)).await.expect(201).json();
        assert_eq!(without_id(key), expected, "{way:?}");
        acme.delete("/keys/Gr%C3%BC%C3%9Fe%20&%20mehr").await.expect(204);

        // A file and a text are the same, whatever media type the file claims to have.
        for as_files in [false, true] {
            let body = multipart(&pairs, as_files);
            let key = send_text(&acme, "POST", "/keys", MULTIPART, body).await.expect(201).json();
            assert_eq!(without_id(key), expected, "{way:?}");
            acme.delete("/keys/Gr%C3%BC%C3%9Fe%20&%20mehr").await.expect(204);
        }
    }
}

#[tokio::test]
async fn in_a_form_an_empty_value_is_null_and_a_number_is_what_the_field_takes() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let jwk = public(ec_jwk("42")).to_string();
    let body = form(&[("kid", "42"), ("jwk", &jwk), ("name", "5"), ("tags", "7"), ("set", ""), ("pem", "")]);
    let key = send_text(&acme, "POST", "/keys", FORM, body).await.expect(201).json();
    assert_eq!(
        (&key["kid"], &key["name"], &key["tags"], &key["set"], &key["pem"]),
        (&json!("42"), &json!("5"), &json!(["7"]), &Value::Null, &Value::Null)
    );
    let patched = send_text(&acme, "PATCH", "/keys/5", FORM, "tags=&name=").await.expect(200).json();
    assert_eq!((&patched["name"], &patched["tags"]), (&Value::Null, &Value::Null));
    for (body, fields) in [
        ("tags=a%2Cb", json!({ "tags": [bad_tag("a,b")] })),
        ("tags=a&tags=b/c", json!({ "tags": [null, bad_tag("b/c")] })),
        ("tags=&tags=b", json!({ "tags": ["expected a string"] })),
        ("name=a&name=b", json!({ "name": "expected a string" })),
        ("name.x=a", json!({ "name": "expected a string" })),
        ("created_at=soon", json!({ "created_at": "expected an integer" })),
        ("a.b=1", json!({ "a": "unknown field" })),
        ("=1", json!({ "(a name of 0 characters)": "unknown field" })),
    ] {
        let answer = send_text(&acme, "POST", "/key-sets", FORM, body).await.expect(400);
        assert_eq!(answer.json()["fields"], fields, "{body}");
    }
    let set = send_text(&acme, "POST", "/key-sets", FORM, "name=a+b%2Bc&tags=a+b").await.expect(201).json();
    assert_eq!((&set["name"], &set["tags"]), (&json!("a b+c"), &json!(["a b"])));
}

fn bad_tag(tag: &str) -> String {
    format!("invalid tag '{tag}': expected printable ascii (except `,` and `/`) or valid utf-8 sequences")
}

#[tokio::test]
async fn a_body_that_cannot_be_read_is_refused_and_its_text_not_repeated() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let deep = format!("{{\"name\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    for body in [
        "",
        " ",
        "{",
        "null",
        "5",
        "\"name\"",
        "[]",
        "[{\"name\":\"x\"}]",
        "{\"name\":\"x\"} x",
        "{name:\"x\"}",
        "{\"name\":\"\\ud800\"}",
        "{\"name\":\"tab\there\"}",
        "\u{feff}{}",
        "{\"name\":\"x\",}",
    ] {
        for (method, path) in [("POST", "/key-sets"), ("PUT", "/keys/k"), ("PATCH", "/keys/k")] {
            let answer = send_text(&acme, method, path, JSON, body.to_owned()).await.expect(400);
            assert_eq!(answer.text, r#"{"message":"Cannot parse JSON body"}"#, "{method} {path} {body:.40}");
        }
    }
    for (method, path) in [("POST", "/key-sets"), ("PUT", "/keys/k"), ("PATCH", "/keys/k")] {
        let answer = send_text(&acme, method, path, JSON, deep.clone()).await;
        answer.expect_message(400, "Cannot parse JSON body: it is nested more than 64 levels deep");
    }
    let bytes = b"{\"name\":\"\xff\"}".to_vec();
    send_text(&acme, "POST", "/key-sets", JSON, bytes).await.expect_message(400, "Cannot parse JSON body");
    for (content_type, body, message) in [
        (FORM, "name=%ff", "Cannot parse form body: it is not UTF-8"),
        (FORM, "name[=x", "Cannot parse form body: a bracket in a name is not closed"),
        (FORM, "a.b.c.d.e.f.g.h.i=x", "Cannot parse form body: a name has too many parts"),
        (
            FORM,
            "set=x&set.name=y",
            "Cannot parse form body: a field is given in two ways that exclude each other",
        ),
        ("multipart/form-data", "x", "Cannot parse multipart body: the content type has no boundary"),
        (MULTIPART, "", "Cannot parse multipart body: it is malformed or cut short"),
        (MULTIPART, "name=x", "Cannot parse multipart body: it is malformed or cut short"),
        (
            MULTIPART,
            "--x\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\nvalue",
            "Cannot parse multipart body: it is malformed or cut short",
        ),
        (
            MULTIPART,
            "--x\r\nContent-Disposition: form-data\r\n\r\nvalue\r\n--x--\r\n",
            "Cannot parse multipart body: a part has no name",
        ),
    ] {
        let answer = send_text(&acme, "POST", "/key-sets", content_type, body).await;
        answer.expect_message(400, message);
    }
    let bytes = b"--x\r\nContent-Disposition: form-data; name=\"name\"\r\n\r\n\xff\r\n--x--\r\n".to_vec();
    send_text(&acme, "POST", "/key-sets", MULTIPART, bytes)
        .await
        .expect_message(400, "Cannot parse multipart body: it is not UTF-8");
    send_text(&acme, "POST", "/key-sets", FORM, b"name=\xff".to_vec())
        .await
        .expect_message(400, "Cannot parse form body: it is not UTF-8");
    assert_eq!(acme.get("/key-sets").await.json()["data"], json!([]));
}

#[tokio::test]
async fn a_body_holds_at_most_a_thousand_values() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let pairs = |count: usize| vec!["name=n"; count].join("&");
    for (method, path) in [("POST", "/key-sets"), ("PUT", "/keys/k")] {
        let answer = send_text(&acme, method, path, FORM, pairs(1001)).await;
        answer.expect_message(400, "Too many arguments");
    }
    let many = multipart(&vec![("name", "n"); 1001], false);
    let answer = send_text(&acme, "POST", "/key-sets", MULTIPART, many).await;
    answer.expect_message(400, "Too many arguments");
    let answer = send_text(&acme, "POST", "/key-sets", FORM, pairs(1000)).await;
    answer.expect_message(400, "schema violation (name: expected a string)");
    let members: Vec<_> = (0..1001).map(|number| format!("\"x{number}\":1")).collect();
    let body = format!("{{{}}}", members.join(","));
    send_text(&acme, "POST", "/key-sets", JSON, body).await.expect_message(400, "Too many arguments");
}

#[tokio::test]
async fn of_members_of_the_same_name_the_last_counts() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let body = r#"{"name":5,"tags":["a"],"name":"first","tags":["b"],"name":"last"}"#;
    let set = send_text(&acme, "POST", "/key-sets", JSON, body).await.expect(201).json();
    assert_eq!((&set["name"], &set["tags"]), (&json!("last"), &json!(["b"])));
}

#[tokio::test]
async fn no_body_at_all_is_one_without_fields() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let set = acme.send("POST".parse().unwrap(), "/key-sets", None).await.expect(201).json();
    assert_eq!((&set["name"], &set["tags"]), (&Value::Null, &Value::Null));
    for (content_type, body) in [(FORM, ""), (MULTIPART, "--x--\r\n")] {
        send_text(&acme, "POST", "/key-sets", content_type, body).await.expect(201);
    }
    let refused = acme.send("POST".parse().unwrap(), "/keys", None).await.expect(400).json();
    let neither = "at least one of these fields must be non-empty: 'jwk', 'pem'";
    assert_eq!(refused["fields"], json!({ "@entity": [neither], "kid": "required field missing" }));
}

#[tokio::test]
async fn every_field_says_what_is_wrong_with_its_value() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let (string, uuid, integer) = ("expected a string", "expected a valid UUID", "expected an integer");
    let (set, record, short) = ("expected a set", "expected a record", "length must be at least 1");
    let range = "value should be between 0 and 253402300799";
    let key_like = "looks like a key, which belongs into jwk or pem: here everyone would see it";
    let no_half = "at least one of these fields must be non-empty: 'private_key', 'public_key'";
    let nul = "must not contain the character U+0000";
    let text = |count: usize| json!("x".repeat(count));
    let all = |values: &[Value], problem: &str| -> Vec<(Value, Value)> {
        values.iter().map(|value| (value.clone(), json!(problem))).collect()
    };
    let no_text = [json!(5), json!(1.5), json!(true), json!([]), json!(["x"]), json!({}), json!({ "x": 1 })];
    let table: Vec<(&str, Vec<(Value, Value)>)> = vec![
        ("id", [all(&no_text, string), all(&[json!(""), json!("x"), json!("5")], uuid)].concat()),
        (
            "name",
            [
                all(&no_text, string),
                all(&[json!("")], short),
                all(&[text(1025)], "length must be at most 1024"),
                all(&[json!("a\0b")], nul),
                all(&[json!("-----BEGIN PRIVATE KEY-----"), json!("{\"kty\":\"EC\"}")], key_like),
            ]
            .concat(),
        ),
        (
            "kid",
            [
                all(&no_text, string),
                all(&[json!("")], short),
                all(&[Value::Null], "required field missing"),
                all(&[text(1025)], "length must be at most 1024"),
                all(&[json!("\0")], nul),
                all(&[json!("-----BEGIN RSA PRIVATE KEY-----")], key_like),
            ]
            .concat(),
        ),
        (
            "jwk",
            [
                all(&no_text, string),
                all(&[json!("")], short),
                all(&[text(32_769)], "length must be at most 32768"),
                all(&[json!("{\0}")], nul),
            ]
            .concat(),
        ),
        (
            "set",
            [
                all(&[json!(5), json!("x"), json!(true), json!([]), json!(["x"])], record),
                all(&[json!({}), json!({ "id": null }), json!({ "name": null })], "")
                    .into_iter()
                    .map(|(value, _)| (value, json!({ "id": "missing primary key" })))
                    .collect(),
                vec![
                    (json!({ "id": 5 }), json!({ "id": string })),
                    (json!({ "id": "x" }), json!({ "id": uuid })),
                    (json!({ "name": 5 }), json!({ "name": string })),
                    (json!({ "name": "" }), json!({ "name": short })),
                    (json!({ "name": "{\"kty\":1}" }), json!({ "name": key_like })),
                    (json!({ "x": 1 }), json!({ "id": "missing primary key", "x": "unknown field" })),
                ],
            ]
            .concat(),
        ),
        (
            "tags",
            [
                all(&[json!(5), json!("x"), json!(true), json!({ "1": "x" })], set),
                vec![
                    (json!([5]), json!([string])),
                    (json!(["a", null, ["b"]]), json!([null, string, string])),
                    (json!([""]), json!([short])),
                    (json!(["a", "b,c"]), json!([null, bad_tag("b,c")])),
                    (json!(["a/b"]), json!([bad_tag("a/b")])),
                    (json!(["a\nb"]), json!([bad_tag("a\nb")])),
                    (json!([text(256)]), json!(["length must be at most 255"])),
                    (json!(["PRIVATE KEY-----"]), json!([key_like])),
                    (
                        json!((0..101).map(|tag| tag.to_string()).collect::<Vec<_>>()),
                        json!("length must be at most 100"),
                    ),
                ],
            ]
            .concat(),
        ),
        (
            "created_at",
            [
                all(&[json!("5"), json!(1.5), json!(true), json!([]), json!({}), json!(1e30)], integer),
                all(&[json!(-1), json!(253_402_300_800_i64)], range),
            ]
            .concat(),
        ),
        (
            "updated_at",
            [all(&[json!("x"), json!(0.5), json!([])], integer), all(&[json!(-1)], range)].concat(),
        ),
        ("colour", all(&[json!(1), Value::Null, json!({ "x": 1 })], "unknown field")),
    ];
    for (field, cases) in table {
        for (value, problem) in cases {
            let mut body = small_key("k");
            body[field] = value;
            let answer = acme.post("/keys", body.clone()).await.expect(400);
            assert_eq!(answer.json()["fields"], json!({ field: problem }), "{field}: {:.200}", body[field]);
            if ["id", "name", "tags", "created_at", "colour"].contains(&field) {
                let answer = acme.post("/key-sets", json!({ field: body[field] })).await.expect(400);
                assert_eq!(
                    answer.json()["fields"],
                    json!({ field: problem }),
                    "{field}: {:.200}",
                    body[field]
                );
            }
        }
    }
    let pems = [
        (json!(5), json!(record)),
        (json!("x"), json!(record)),
        (json!([]), json!(record)),
        (json!({}), json!({ "@entity": [no_half] })),
        (json!({ "private_key": null, "public_key": null }), json!({ "@entity": [no_half] })),
        (json!({ "private_key": 5 }), json!({ "private_key": string })),
        (
            json!({ "private_key": "", "public_key": [] }),
            json!({ "private_key": short, "public_key": string }),
        ),
        (json!({ "private_key": text(32_769) }), json!({ "private_key": "length must be at most 32768" })),
        (json!({ "x": 1 }), json!({ "x": "unknown field" })),
    ];
    for (pem, problem) in pems {
        let answer = acme.post("/keys", json!({ "kid": "k", "pem": pem })).await.expect(400);
        assert_eq!(answer.json()["fields"], json!({ "pem": problem }), "{pem:.200}");
    }
    // A name with which a client could forge an answer is not repeated.
    let forged =
        acme.post("/keys", json!({ "kid": "k", "@entity": 1, "pem": { "@entity": 1 } })).await.expect(400);
    let unknown = json!({ "(a name of 7 characters)": "unknown field" });
    let mut expected = unknown.clone();
    expected["pem"] = unknown;
    assert_eq!(forged.json()["fields"], expected);
    assert_eq!(acme.get("/keys").await.json()["data"], json!([]));
    assert_eq!(acme.get("/key-sets").await.json()["data"], json!([]));
}

#[tokio::test]
async fn of_many_broken_rules_fifty_are_told_so_that_no_answer_outgrows_its_request() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let unknown = |prefix: &str| {
        let members: Vec<_> = (0..60_000).map(|number| format!("\"{prefix}{number}\":1")).collect();
        members.join(",")
    };
    for body in [
        format!("{{\"tags\":[{}0]}}", "0,".repeat(400_000)),
        format!("{{\"tags\":[{}\"\"]}}", "\"\",".repeat(300_000)),
        format!("{{{}}}", unknown("x")),
        // These share one name in the answer, because theirs are not repeated.
        format!("{{{}}}", unknown("é")),
        format!("{{\"set\":{{{}}}}}", unknown("x")),
        format!("{{\"pem\":{{{}}},\"tags\":5}}", unknown("é")),
    ] {
        for path in ["/keys", "/schemas/keys/validate"] {
            let answer = send_text(&acme, "POST", path, JSON, body.clone()).await.expect(400);
            assert!(answer.text.len() < 10_000, "{path} {body:.40}: {} bytes", answer.text.len());
        }
    }
    let answer = acme.post("/key-sets", json!({ "tags": vec![5; 100] })).await.expect(400).json();
    assert_eq!(answer["fields"]["tags"].as_array().unwrap().len(), 50);
    assert!(
        answer["message"].as_str().unwrap().ends_with("tags.50: expected a string; and 50 more)"),
        "{answer}"
    );
}

#[tokio::test]
async fn values_at_the_limits_are_taken() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let kid = "é".repeat(1024);
    let mut body = small_key(&kid);
    let tags: Vec<_> = (0..100).map(|tag| format!("{tag:é>255}")).collect();
    (body["name"], body["tags"], body["created_at"]) = ("ß".repeat(1024).into(), json!(tags), 0.into());
    let jwk = body["jwk"].as_str().unwrap().to_owned();
    body["jwk"] = format!("{jwk}{}", " ".repeat(32_768 - jwk.chars().count())).into();
    let key = acme.create_key(body.clone()).await;
    for field in ["kid", "name", "tags", "jwk", "created_at"] {
        assert_eq!(key[field], body[field], "{field}");
    }
    let set = acme.post("/key-sets", json!({ "tags": [], "created_at": 253_402_300_799_i64 })).await;
    let set = set.expect(201).json();
    assert_eq!((&set["tags"], &set["created_at"]), (&json!([]), &json!(253_402_300_799_i64)));
    // As languages with one kind of numbers write it.
    let set = acme.post("/key-sets", json!({ "created_at": 253_402_300_799.0 })).await.expect(201).json();
    assert_eq!(set["created_at"], json!(253_402_300_799_i64));
}
