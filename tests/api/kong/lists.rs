//! Lists: pages, their order, and filters by tag (contract §7).

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::{path_of_key, path_of_set};
use crate::harness::keys::{ec_jwk, public, small_key};
use crate::harness::{Client, Server};

/// `count` keys in the key set `s`, tagged `all` and by their number `even` or `odd`.
async fn keys(acme: &Client, count: usize) -> Vec<Value> {
    let mut keys = Vec::new();
    for number in 0..count {
        let mut body = small_key(&format!("k{number}"));
        body["tags"] = json!(["all", if number % 2 == 0 { "even" } else { "odd" }]);
        keys.push(acme.post("/key-sets/s/keys", body).await.expect(201).json());
    }
    keys.sort_by_key(id);
    keys
}

fn id(entity: &Value) -> String {
    entity["id"].as_str().unwrap().to_owned()
}

fn rows(page: &Value) -> &[Value] {
    page["data"].as_array().unwrap()
}

/// The pages of a list, from the first to the last, as `next` leads.
async fn pages(client: &Client, first: &str) -> Vec<Value> {
    let mut pages = vec![client.get(first).await.expect(200).json()];
    while let Some(next) = pages.last().unwrap()["next"].as_str().map(str::to_owned) {
        assert!(pages.len() < 100, "the list has no end");
        pages.push(client.get(&next).await.expect(200).json());
    }
    pages
}

async fn all(client: &Client, first: &str) -> Vec<Value> {
    pages(client, first).await.iter().flat_map(|page| rows(page).to_vec()).collect()
}

#[tokio::test]
async fn the_pages_of_a_list_hold_everything_once_by_rising_id() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let set = acme.create_set("s").await;
    let keys = keys(&acme, 25).await;
    let mut sets = vec![set.clone()];
    for number in 1..25 {
        let set = json!({ "name": format!("s{number}"), "tags": ["all"] });
        sets.push(acme.post("/key-sets", set).await.expect(201).json());
    }
    sets.sort_by_key(id);
    let by_id = format!("{}/keys", path_of_set(&set));
    let lists =
        [("/keys", &keys), ("/key-sets/s/keys", &keys), (by_id.as_str(), &keys), ("/key-sets", &sets)];
    for (path, expected) in lists {
        let pages = pages(&acme, &format!("{path}?size=7")).await;
        let sizes: Vec<_> = pages.iter().map(|page| rows(page).len()).collect();
        assert_eq!(sizes, [7, 7, 7, 4], "{path}");
        assert_eq!(pages.iter().flat_map(rows).collect::<Vec<_>>(), expected.iter().collect::<Vec<_>>());
        for page in &pages[..3] {
            let last = json!([rows(page)[6]["id"]]).to_string();
            let offset = URL_SAFE_NO_PAD.encode(&last);
            assert_eq!(page["offset"], offset);
            assert_eq!(page["next"], format!("{path}?offset={offset}&size=7"));
            // A client that encodes the offset anew gets the same page.
            let next = acme.get(page["next"].as_str().unwrap()).await.text;
            let padded = STANDARD.encode(last).replace('=', "%3D").replace('+', "%2B");
            assert_eq!(acme.get(&format!("{path}?size=7&offset={padded}")).await.expect(200).text, next);
        }
        assert_eq!((pages[3].get("offset"), &pages[3]["next"]), (None, &Value::Null));

        let whole = acme.get(path).await.expect(200).json();
        assert_eq!((rows(&whole), &whole["next"], whole.get("offset")), (&expected[..], &Value::Null, None));
        for (size, length, more) in [(1, 1, true), (24, 24, true), (25, 25, false), (1000, 25, false)] {
            let page = acme.get(&format!("{path}?size={size}")).await.expect(200).json();
            assert_eq!((rows(&page).len(), page["next"].is_string()), (length, more), "{path} {size}");
        }
        assert_eq!(
            acme.get(&format!("{path}?colour=1&size=3")).await.expect(200).json()["data"]
                .as_array()
                .unwrap()
                .len(),
            3
        );
    }
}

#[tokio::test]
async fn a_list_of_nothing_is_an_empty_list() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    for path in ["/keys", "/key-sets", "/tags", "/tags/t", "/keys?tags=t", "/keys?size=1000"] {
        assert_eq!(acme.get(path).await.expect(200).text, r#"{"data":[],"next":null}"#, "{path}");
    }
    acme.create_set("s").await;
    assert_eq!(acme.get("/key-sets/s/keys").await.expect(200).text, r#"{"data":[],"next":null}"#);
}

#[tokio::test]
async fn a_page_has_a_hundred_rows_unless_asked_otherwise() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    for number in 0..101 {
        acme.post("/key-sets", json!({ "tags": [number.to_string()] })).await.expect(201);
    }
    for path in ["/key-sets", "/tags"] {
        let pages = pages(&acme, path).await;
        assert_eq!(pages.iter().map(|page| rows(page).len()).collect::<Vec<_>>(), [100, 1], "{path}");
        assert_eq!(pages[0]["next"], format!("{path}?offset={}", pages[0]["offset"].as_str().unwrap()));
    }
}

#[tokio::test]
async fn what_a_list_cannot_be_asked_for_is_refused() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    acme.create_set("s").await;
    let (no_number, range) = ("size must be a number", "size must be an integer between 1 and 1000");
    let base64 = "bad base64 encoding";
    let json = "bad json encoding";
    let foreign = "it is not from this list";
    let encoded = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let cases = [
        ("size=", 9, no_number.to_owned()),
        ("size=x", 9, no_number.to_owned()),
        ("size=1,5", 9, no_number.to_owned()),
        ("size=0", 9, range.to_owned()),
        ("size=-1", 9, range.to_owned()),
        ("size=1.5", 9, range.to_owned()),
        ("size=1001", 9, range.to_owned()),
        ("size=99999999999999999999", 9, range.to_owned()),
        ("offset=", 7, format!("'' is not a valid offset: {json}")),
        ("offset=!", 7, format!("'!' is not a valid offset: {base64}")),
        ("offset=a", 7, format!("'a' is not a valid offset: {base64}")),
        ("offset=bm9wZQ", 7, format!("'bm9wZQ' is not a valid offset: {json}")),
        (
            &format!("offset={}", encoded("[]")),
            7,
            format!("'{}' is not a valid offset: {foreign}", encoded("[]")),
        ),
        (
            &format!("offset={}", encoded("5")),
            7,
            format!("'{}' is not a valid offset: {foreign}", encoded("5")),
        ),
        (
            &format!("offset={}", encoded("[\"x\"]")),
            7,
            format!("'{}' is not a valid offset: {foreign}", encoded("[\"x\"]")),
        ),
    ];
    let names = [(7, "invalid offset"), (9, "invalid size")];
    for (query, code, message) in &cases {
        for path in ["/keys", "/key-sets", "/key-sets/s/keys", "/tags", "/tags/t"] {
            let answer = acme.get(&format!("{path}?{query}")).await.expect(400);
            let name = names.iter().find(|(known, _)| known == code).unwrap().1;
            let expected = json!({ "message": message, "name": name, "code": code });
            assert_eq!(answer.json(), expected, "{path}?{query}");
        }
    }
    // The offset of a list of tags is a number, that of the others an id.
    acme.get(&format!("/keys?offset={}", encoded("[1]"))).await.expect(400);
    acme.get("/tags?offset=WyIyMDMzY2IzZC1lZjNiLTRmNmQtODM5NS1iYzNjMmQ1YTBlNGYiXQ").await.expect(400);

    let (syntax, empty, many) = ("invalid filter syntax", "cannot be null", "cannot query more than 5 tags");
    for (query, problem) in [
        ("tags=", empty),
        ("tags", empty),
        ("tags=a,b/c", syntax),
        ("tags=a,,b", syntax),
        ("tags=a/", syntax),
        ("tags=,", syntax),
        ("tags=a,b,c,d,e,f", many),
        ("tags=a/b/c/d/e/f", many),
    ] {
        for path in ["/keys", "/key-sets"] {
            let answer = acme.get(&format!("{path}?{query}")).await.expect(400);
            let expected = json!({
                "message": format!("invalid option (tags: {problem})"),
                "name": "invalid options",
                "code": 11,
                "options": { "tags": problem },
            });
            assert_eq!(answer.json(), expected, "{path}?{query}");
        }
        acme.get(&format!("/key-sets/s/keys?{query}")).await.expect(200);
    }
}

#[tokio::test]
async fn a_filter_keeps_what_has_all_or_any_of_the_tags() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let tags: [&[&str]; 6] = [&["a"], &["b"], &["a", "b"], &["a", "b", "two words"], &["ü 🔑"], &[]];
    for (number, tags) in tags.iter().enumerate() {
        let mut key = small_key(&number.to_string());
        (key["name"], key["tags"]) = (number.to_string().into(), json!(tags));
        acme.create_key(key).await;
        acme.post("/key-sets", json!({ "name": number.to_string(), "tags": tags })).await.expect(201);
    }
    for (filter, expected) in [
        ("a", "0 2 3"),
        ("a,b", "2 3"),
        ("b,a", "2 3"),
        ("a/b", "0 1 2 3"),
        ("a,b,two%20words", "3"),
        ("two+words/%C3%BC%20%F0%9F%94%91", "3 4"),
        ("a%2Cb", "2 3"),
        ("a%2Fb", "0 1 2 3"),
        ("a,a", "0 2 3"),
        ("A", ""),
        ("none", ""),
        ("none/a", "0 2 3"),
        ("none,a", ""),
    ] {
        for path in ["/keys", "/key-sets"] {
            for size in ["", "&size=1", "&size=2"] {
                let found = all(&acme, &format!("{path}?tags={filter}{size}")).await;
                let mut names: Vec<_> = found.iter().map(|row| row["name"].as_str().unwrap()).collect();
                names.sort_unstable();
                assert_eq!(names.join(" "), expected, "{path} {filter} {size}");
            }
        }
    }
}

#[tokio::test]
async fn the_next_page_is_of_the_same_filter() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    acme.create_set("s").await;
    let keys = keys(&acme, 9).await;
    let even: Vec<_> = keys.iter().filter(|key| key["tags"][1] == "even").cloned().collect();
    for filter in ["even", "all,even", "even/nobody's%20%26%20nothing"] {
        let first = acme.get(&format!("/keys?tags={filter}&size=2")).await.expect(200).json();
        let next = first["next"].as_str().unwrap();
        assert!(next.contains("&size=2") && next.contains("&tags="), "{next}");
        assert_eq!(all(&acme, &format!("/keys?tags={filter}&size=2")).await, even, "{filter}");
    }
    // The list of a set takes no filter.
    assert_eq!(all(&acme, "/key-sets/s/keys?tags=even&size=2").await, keys);
    assert_eq!(all(&acme, "/key-sets/s/keys?tags=none").await, keys);
}

#[tokio::test]
async fn tags_are_listed_with_who_has_them() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let set = acme.post("/key-sets", json!({ "name": "s", "tags": ["x", "all"] })).await.expect(201).json();
    let keys = keys(&acme, 8).await;
    let row = |entity: &str, id: &Value, tag: &str| {
        json!({ "entity_name": entity, "entity_id": id, "tag": tag }).to_string()
    };
    let mut expected: BTreeSet<_> = ["x", "all"].map(|tag| row("key_sets", &set["id"], tag)).into();
    for key in &keys {
        let tags = key["tags"].as_array().unwrap();
        expected.extend(tags.iter().map(|tag| row("keys", &key["id"], tag.as_str().unwrap())));
    }
    for first in ["/tags", "/tags?size=5", "/tags?size=1"] {
        let found = all(&acme, first).await;
        assert_eq!(found.len(), 18, "{first}");
        assert_eq!(found.iter().map(Value::to_string).collect::<BTreeSet<_>>(), expected, "{first}");
    }
    for (tag, count) in [("all", 9), ("even", 4), ("x", 1), ("none", 0)] {
        let rows = all(&acme, &format!("/tags/{tag}?size=2")).await;
        let found: BTreeSet<_> = rows.iter().map(Value::to_string).collect();
        assert_eq!((rows.len(), found.len()), (count, count), "{tag}");
        assert!(rows.iter().all(|row| row["tag"] == tag) && found.is_subset(&expected), "{tag}");
    }
    // What a write takes away is not listed any more.
    acme.patch("/key-sets/s", json!({ "tags": ["y"] })).await.expect(200);
    acme.patch(&path_of_key(&keys[0]), json!({ "tags": null })).await.expect(200);
    assert_eq!(all(&acme, "/tags").await.len(), 15);
    assert_eq!(all(&acme, "/tags/x").await.len(), 0);
    acme.delete("/key-sets/s").await.expect(204);
    assert_eq!(all(&acme, "/tags").await.len(), 0);
    acme.post("/key-sets", json!({ "tags": ["ein Tag 🔑", "a+b", "50%"] })).await.expect(201);
    for tag in ["ein%20Tag%20%F0%9F%94%91", "a+b", "50%25"] {
        assert_eq!(all(&acme, &format!("/tags/{tag}")).await.len(), 1, "{tag}");
    }
}

#[tokio::test]
async fn tags_are_in_order_and_a_write_that_leaves_them_alone_moves_none() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let id = "2033cb3d-ef3b-4f6d-8395-bc3c2d5a0e4f";
    // A key and a key set of the same id, which is where one page ends and the next begins.
    acme.put(&format!("/key-sets/{id}"), json!({ "tags": ["b", "a"] })).await.expect(200);
    let mut key = small_key("k");
    key["tags"] = json!(["b", "a"]);
    acme.put(&format!("/keys/{id}"), key).await.expect(200);
    let expected: Vec<_> = [("keys", "a"), ("key_sets", "a"), ("keys", "b"), ("key_sets", "b")]
        .map(|(entity, tag)| json!({ "entity_name": entity, "entity_id": id, "tag": tag }))
        .into();
    for size in 1..=5 {
        assert_eq!(all(&acme, &format!("/tags?size={size}")).await, expected, "{size}");
    }
    acme.patch(&format!("/keys/{id}"), json!({ "name": "n" })).await.expect(200);
    assert_eq!(all(&acme, "/tags?size=1").await, expected);
}

#[tokio::test]
async fn a_page_of_long_keys_ends_early_and_nothing_is_lost() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let jwk = public(ec_jwk("k")).to_string();
    // As long as a key may be, and more of them than a page may have bytes for.
    let long = format!("{jwk}{}", " ".repeat(32_768 - jwk.len()));
    let mut ids = BTreeSet::new();
    for number in 0..310 {
        let (kid, id) = (format!("{number:03}"), format!("00000000-0000-4000-8000-000000000{number:03}"));
        let text = long.replace("\"kid\":\"k\"", &format!("\"kid\":\"{kid}\"")).trim_end().to_owned();
        let jwk = format!("{text}{}", " ".repeat(32_768 - text.len()));
        acme.put(&format!("/keys/{id}"), json!({ "kid": kid, "jwk": jwk })).await.expect(200);
        ids.insert(id);
    }
    let pages = pages(&acme, "/keys?size=1000").await;
    assert!(pages.len() > 1, "one page holds 10 MB");
    let found: BTreeSet<_> = pages.iter().flat_map(rows).map(id).collect();
    assert_eq!(found, ids);
    assert_eq!(pages.iter().map(|page| rows(page).len()).sum::<usize>(), 310);
}

#[tokio::test]
async fn deletes_between_two_pages_lose_and_repeat_nothing_else() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    acme.create_set("s").await;
    for path in ["/keys", "/key-sets/s/keys"] {
        let keys = keys(&acme, 20).await;
        let first = acme.get(&format!("{path}?size=5")).await.expect(200).json();
        // The row that the offset names, one before it, and the first and another one of the next page.
        let gone = [4, 1, 5, 8];
        for number in gone {
            acme.delete(&path_of_key(&keys[number])).await.expect(204);
        }
        let rest = all(&acme, first["next"].as_str().unwrap()).await;
        let expected: Vec<_> = keys
            .iter()
            .enumerate()
            .skip(5)
            .filter(|(number, _)| !gone.contains(number))
            .map(|(_, key)| key)
            .collect();
        assert_eq!(rest.iter().collect::<Vec<_>>(), expected, "{path}");
        for key in &keys {
            acme.delete(&path_of_key(key)).await.expect(204);
        }
    }
}
