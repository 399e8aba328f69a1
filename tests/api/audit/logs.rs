//! `GET /api/v1/logs`: pages, filters, and whose events they are.

use std::time::Duration;

use serde_json::{Value, json};

use super::{events, name};
use crate::harness::{Answer, Client, Server, path_of};

/// The link of an answer with this relation, as a path.
fn link(answer: &Answer, client: &Client, rel: &str) -> Option<String> {
    let ending = format!(">; rel=\"{rel}\"");
    let mut links = answer.headers.get_all("link").iter().map(|link| link.to_str().unwrap());
    let link = links.find_map(|link| link.strip_suffix(&ending))?;
    Some(link.strip_prefix(&format!("<{}", client.base)).unwrap().to_owned())
}

/// The names of the hook keys that the events of an answer are about.
fn named(answer: &Answer) -> Vec<String> {
    let events = answer.json();
    let name = |event: &Value| event["target"][0]["displayName"].as_str().unwrap_or("-").to_owned();
    events.as_array().unwrap().iter().map(name).collect()
}

const CREATED: &str = "filter=eventType+eq+%22system.hook.key.created%22";

/// An org with hook keys a to e, each made an hour after the one before.
async fn five(server: &Server) -> Client {
    let acme = server.org("acme").await;
    for name in ["a", "b", "c", "d", "e"] {
        acme.create(name).await;
        server.clock.advance(Duration::from_secs(3600));
    }
    acme
}

#[tokio::test]
async fn who_follows_the_next_link_sees_every_event_once_and_then_what_is_new() {
    let server = Server::start().await;
    let acme = five(&server).await;
    let first = acme.get(&format!("/api/v1/logs?limit=2&{CREATED}")).await.expect(200);
    assert_eq!(link(&first, &acme, "self").unwrap(), format!("/api/v1/logs?limit=2&{CREATED}"));
    let (mut page, mut seen) = (first, Vec::new());
    for _ in 0..4 {
        seen.extend(named(&page));
        page = acme.get(&link(&page, &acme, "next").unwrap()).await.expect(200);
    }
    assert_eq!(seen, ["a", "b", "c", "d", "e"]);
    assert!(named(&page).is_empty(), "it has all, and the link is there still");
    acme.create("f").await;
    let again = acme.get(&link(&page, &acme, "next").unwrap()).await.expect(200);
    assert_eq!(named(&again), ["f"]);
}

#[tokio::test]
async fn a_look_that_found_nothing_yet_goes_on_with_what_comes() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let empty = acme.get(&format!("/api/v1/logs?{CREATED}")).await.expect(200);
    assert_eq!(empty.text, "[]");
    let next = link(&empty, &acme, "next").unwrap();
    acme.create("a").await;
    assert_eq!(named(&acme.get(&next).await.expect(200)), ["a"]);
}

#[tokio::test]
async fn a_request_with_an_end_has_a_next_link_only_if_there_is_more() {
    let server = Server::start().await;
    let acme = five(&server).await;
    let until = "until=2026-02-01T03:30:00Z";
    let first = acme.get(&format!("/api/v1/logs?{until}&limit=3&{CREATED}")).await.expect(200);
    assert_eq!(named(&first), ["a", "b", "c"]);
    let second = acme.get(&link(&first, &acme, "next").unwrap()).await.expect(200);
    assert_eq!(named(&second), ["d"], "e came later than that");
    assert_eq!(link(&second, &acme, "next"), None);
    let all = acme.get(&format!("/api/v1/logs?{until}&limit=4&{CREATED}")).await.expect(200);
    assert_eq!((named(&all).len(), link(&all, &acme, "next")), (4, None));
    let newest = acme.get(&format!("/api/v1/logs?sortOrder=DESCENDING&limit=2&{CREATED}")).await.expect(200);
    assert_eq!(named(&newest), ["e", "d"]);
    let next = acme.get(&link(&newest, &acme, "next").unwrap()).await.expect(200);
    assert_eq!(named(&next), ["c", "b"]);
    let last = acme.get(&link(&next, &acme, "next").unwrap()).await.expect(200);
    assert_eq!((named(&last), link(&last, &acme, "next")), (vec!["a".to_owned()], None));
    let none = acme.get("/api/v1/logs?limit=0&until=2030-01-01T00:00:00Z").await.expect(200);
    assert_eq!((none.text.as_str(), link(&none, &acme, "next")), ("[]", None));
}

#[tokio::test]
async fn a_time_begins_with_the_event_at_it_and_ends_before_it_whatever_its_zone() {
    let server = Server::start().await;
    let acme = five(&server).await;
    for (since, until, expected) in [
        ("2026-02-01T00:59:58.765Z", "2026-02-01T02:59:58.765Z", vec!["b", "c"]),
        ("2026-02-01T00:59:58.766Z", "2026-02-01T02:59:58.766Z", vec!["c", "d"]),
        ("2026-02-01T02:59:58.765%2B02:00", "2026-01-31T21:59:58.765-05:00", vec!["b", "c"]),
    ] {
        let found =
            acme.get(&format!("/api/v1/logs?since={since}&until={until}&{CREATED}")).await.expect(200);
        assert_eq!(named(&found), expected, "{since} {until}");
    }
    server.clock.advance(Duration::from_secs(7 * 24 * 3600 - 3 * 3600));
    let usual = acme.get(&format!("/api/v1/logs?{CREATED}")).await.expect(200);
    assert_eq!(named(&usual), ["c", "d", "e"], "seven days, if nothing is said");
}

#[tokio::test]
async fn filters_ask_for_types_and_outcomes() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let key = acme.create("a").await;
    acme.put(&path_of(&key), name("b")).await.expect(200);
    acme.post("/api/v1/hook-keys", name("b")).await.expect(400);
    acme.delete(&path_of(&key)).await.expect(204);
    let (created, deleted) =
        ("eventType eq \"system.hook.key.created\"", "eventType eq \"system.hook.key.deleted\"");
    let (good, bad) = ("outcome.result eq \"SUCCESS\"", "outcome.result eq \"FAILURE\"");
    for (filter, expected) in [
        (created.to_owned(), 2),
        (format!("{created} and {good}"), 1),
        (format!("{created} and {bad}"), 1),
        (format!("{created} or {deleted}"), 3),
        (format!("{deleted} or {created} and {bad}"), 2),
        (format!("({deleted} or {created}) and {good}"), 2),
        (bad.to_owned(), 1),
        (format!("{good} or {bad}"), 6),
        (format!("{bad} or {deleted}"), 2),
        (format!("{good} or {created}"), 6),
        (format!("{created} and {deleted}"), 0),
        ("eventType eq \"of.another.world\"".to_owned(), 0),
    ] {
        let query: String = url::form_urlencoded::byte_serialize(filter.as_bytes()).collect();
        let answer = acme.get(&format!("/api/v1/logs?filter={query}")).await.expect(200);
        assert_eq!(answer.json().as_array().unwrap().len(), expected, "{filter}");
    }
}

#[tokio::test]
async fn a_parameter_that_is_wrong_is_named_and_an_unknown_one_is_ignored() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    for (query, parameter) in [
        ("since=yesterday", "since"),
        ("since=2026-01-01", "since"),
        ("since=2026-01-01T00:00:00", "since"),
        ("until=", "until"),
        ("until=2026-02-30T00:00:00Z", "until"),
        ("since=2026-01-02T00:00:00Z&until=2026-01-01T00:00:00Z", "since"),
        ("filter=actor.id+eq+%22x%22", "filter"),
        ("filter=", "filter"),
        ("filter=eventType+eq+%22%00%22", "filter"),
        ("sortOrder=ascending", "sortOrder"),
        ("limit=1001", "limit"),
        ("limit=-1", "limit"),
        ("limit=ten", "limit"),
        ("after=5", "after"),
        ("after=5_x", "after"),
        ("q=test", "q"),
    ] {
        let refused = acme.get(&format!("/api/v1/logs?{query}")).await.expect(400).json();
        let cause = refused["errorCauses"][0]["errorSummary"].as_str().unwrap();
        assert!(cause.starts_with(&format!("{parameter}: ")), "{query}: {cause}");
        assert_eq!(refused["errorCode"], "E0000001");
    }
    assert_eq!(acme.get("/api/v1/logs?colour=red").await.expect(200).json().as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn an_org_sees_its_own_events_only_and_only_with_the_permission() {
    let server = Server::start().await;
    let (acme, other) = (server.org("acme").await, server.org("other").await);
    let (mine, theirs) = (acme.create("mine").await, other.create("theirs").await);
    acme.delete(&path_of(&theirs)).await.expect(404);
    let (seen, elsewhere) = (events(&acme).await, events(&other).await);
    assert_eq!((seen.len(), elsewhere.len()), (4, 3));
    assert!(!serde_json::to_string(&elsewhere).unwrap().contains(mine["id"].as_str().unwrap()));
    assert!(!serde_json::to_string(&seen).unwrap().contains("theirs"));
    // Another org's cursor leads to nothing of theirs.
    let next = acme.get("/api/v1/logs?limit=1").await.expect(200);
    let next = link(&next, &acme, "next").unwrap();
    let page = other.get(&next).await.expect(200).text;
    assert!(!page.contains("mine"), "{page}");
    let every =
        ["okta.inlineHooks.read", "okta.inlineHooks.manage", "keys.read", "keys.manage", "keys.reveal"];
    let lacking = server.client("acme", &every).await;
    lacking.get("/api/v1/logs").await.expect_error(403, "E0000006", "");
    let reader = server.client("acme", &["okta.logs.read"]).await;
    reader.get("/api/v1/logs").await.expect(200);
    reader.get("/api/v1/hook-keys").await.expect_error(403, "E0000006", "");
    assert_eq!(json!([]), reader.get("/api/v1/logs?limit=0").await.expect(200).json());
}

/// A copy of the database numbers its events anew, as rows that were removed before it leave no gap.
#[tokio::test]
async fn a_cursor_is_known_again_by_its_event_if_the_numbers_have_changed() {
    let server = Server::start().await;
    let acme = five(&server).await;
    let page = acme.get(&format!("/api/v1/logs?limit=3&{CREATED}")).await.expect(200);
    let next = link(&page, &acme, "next").unwrap();
    server.sql("CREATE TABLE moved AS SELECT * FROM audit_events");
    let columns =
        "id, org_id, at_ms, kind, outcome, reason, actor, actor_id, actor_name, address, request_id, targets";
    server.sql("DELETE FROM audit_events");
    server.sql(&format!("INSERT INTO audit_events ({columns}) SELECT {columns} FROM moved ORDER BY seq"));
    assert_eq!(named(&acme.get(&next).await.expect(200)), ["d", "e"]);
    // And an event that is gone keeps its place.
    let page = acme.get(&format!("/api/v1/logs?limit=2&{CREATED}")).await.expect(200);
    let next = link(&page, &acme, "next").unwrap();
    server.sql("DELETE FROM audit_events WHERE targets LIKE '%\"b\"%'");
    assert_eq!(named(&acme.get(&next).await.expect(200)), ["c", "d"]);
}
