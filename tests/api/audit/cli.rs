//! `hook-keys audit`, beside a server that runs.

use serde_json::{Value, json};

use super::name;
use crate::harness::process::{complaint, hook_keys, stdout};
use crate::harness::{MASTER_KEY, Server, path_of};

/// Runs a command on the server's database.
fn run(server: &Server, command: &[&str]) -> std::process::Output {
    run_on(&server.database.url(), command)
}

fn run_on(url: &str, command: &[&str]) -> std::process::Output {
    let mut process = hook_keys();
    process.env("HOOK_KEYS_DATABASE_URL", url).env("HOOK_KEYS_MASTER_KEY", MASTER_KEY);
    process.args(command).output().unwrap()
}

fn lines(server: &Server, command: &[&str]) -> Vec<Value> {
    let text = stdout(&run(server, command));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn the_export_has_every_event_of_every_org_one_a_line_in_their_order() {
    let server = Server::start().await;
    let (acme, other) = (server.org("acme").await, server.org("other").await);
    let key = acme.create("key").await;
    let refused = acme.post("/api/v1/hook-keys", name("key")).await.expect(400);
    other.create("theirs").await;
    let all = lines(&server, &["audit", "export"]);
    let kinds: Vec<_> = all.iter().map(|line| line["eventType"].as_str().unwrap()).collect();
    let expected = [
        "hook_keys.org.created",
        "system.api_token.create",
        "hook_keys.org.created",
        "system.api_token.create",
        "system.hook.key.created",
        "system.hook.key.created",
        "system.hook.key.created",
    ];
    assert_eq!(kinds, expected);
    let line = &all[5];
    assert_eq!(line["requestId"], refused.header("x-okta-request-id").unwrap());
    assert_eq!((&line["outcome"], &line["address"]), (&json!("FAILURE"), &json!("127.0.0.1")));
    assert!(line["reason"].as_str().unwrap().contains("already exists"), "{line}");
    assert_eq!((&line["actor"]["type"], &line["actor"]["name"]), (&json!("token"), &json!("test")));
    assert_eq!(all[4]["targets"][0]["id"], key["id"]);
    assert_eq!(all[4]["published"], "2026-01-31T23:59:58.765Z");
    assert!(all.windows(2).all(|two| two[0]["seq"].as_i64() < two[1]["seq"].as_i64()));
    let acmes = lines(&server, &["audit", "export", "--org", "acme", "--format", "jsonl"]);
    assert_eq!(acmes.len(), 4);
    let by_id = lines(&server, &["audit", "export", "--org", acmes[0]["org"].as_str().unwrap()]);
    assert_eq!(by_id, acmes);
    let created = lines(&server, &["audit", "export", "--org", "acme", "--type", "system.hook.key.created"]);
    assert_eq!(created.len(), 2);
    for (since, until, expected) in [
        ("2026-01-31T23:59:58Z", "2026-01-31T23:59:59Z", 7),
        ("2026-01-31T23:59:59Z", "2026-01-31T23:59:59.5Z", 0),
        ("2026-01-31T20:59:58-03:00", "1s", 7),
    ] {
        let found = lines(&server, &["audit", "export", "--since", since, "--until", until]);
        assert_eq!(found.len(), expected, "{since} {until}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_of_many_pages_leaves_out_and_repeats_nothing_while_others_write() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1300)
                INSERT INTO audit_events (id, org_id, at_ms, kind, outcome, actor, actor_name, targets)
                SELECT 'x', NULL, 1769900000000, 'old', 'SUCCESS', 'command', 'root', '[]' FROM n";
    server.sql(many);
    let writing = tokio::spawn(async move {
        for number in 0..20 {
            acme.post("/key-sets", name(&number.to_string())).await.expect(201);
        }
    });
    let found = lines(&server, &["audit", "export"]);
    writing.await.unwrap();
    let mut numbers: Vec<_> = found.iter().map(|line| line["seq"].as_i64().unwrap()).collect();
    let before = numbers.len();
    numbers.dedup();
    assert_eq!(numbers.len(), before);
    assert!((1302..=1322).contains(&before), "{before}");
}

#[tokio::test]
async fn the_list_shows_the_newest_events_with_the_latest_last() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let key = acme.create("a key").await;
    acme.delete(&path_of(&key)).await.expect(204);
    let table = stdout(&run(&server, &["audit", "list", "--limit", "2"]));
    let lines: Vec<_> = table.lines().collect();
    assert_eq!(lines.len(), 3, "{table}");
    assert!(lines[0].starts_with("TIME") && lines[0].ends_with("REASON"), "{table}");
    assert!(lines[1].contains("system.hook.key.created") && lines[1].contains("acme"), "{table}");
    assert!(lines[2].contains("system.hook.key.deleted") && lines[2].contains("(a key)"), "{table}");
    assert!(lines[2].contains("2026-01-31T23:59:58Z") && lines[2].contains("127.0.0.1"), "{table}");
    assert_eq!(stdout(&run(&server, &["audit", "list", "--org", "acme"])).lines().count(), 5);
    let command = stdout(&run(&server, &["audit", "list", "--type", "hook_keys.org.created"]));
    assert!(command.contains("command: "), "{command}");
}

#[tokio::test]
async fn what_commands_do_is_in_the_trail_with_the_user_who_did_it() {
    let server = Server::start().await;
    stdout(&run(&server, &["org", "create", "made"]));
    stdout(&run(&server, &["org", "update", "made", "--max-hook-keys", "3"]));
    let token = stdout(&run(&server, &["token", "create", "--org", "made", "--name", "ci", "--json"]));
    let token: Value = serde_json::from_str(&token).unwrap();
    stdout(&run(&server, &["token", "revoke", token["id"].as_str().unwrap()]));
    stdout(&run(&server, &["org", "delete", "made"]));
    let trail = stdout(&run(&server, &["audit", "export"]));
    assert!(!trail.contains(token["token"].as_str().unwrap()), "the token itself is nowhere");
    let all: Vec<Value> = trail.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let kinds: Vec<_> = all.iter().map(|line| line["eventType"].as_str().unwrap()).collect();
    let expected = [
        "hook_keys.org.created",
        "hook_keys.org.updated",
        "system.api_token.create",
        "system.api_token.revoke",
        "hook_keys.org.deleted",
    ];
    assert_eq!(kinds, expected);
    let user =
        String::from_utf8(std::process::Command::new("id").arg("-un").output().unwrap().stdout).unwrap();
    assert!(
        all.iter().all(|line| line["actor"] == json!({ "type": "command", "user": user.trim() })),
        "{all:#?}"
    );
    assert_eq!(all[4]["targets"][0]["displayName"], "made");
}

#[tokio::test]
async fn what_is_done_to_the_keyring_is_in_the_trail_and_no_orgs() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    acme.create("key").await;
    for command in [&["keyring", "rotate"][..], &["keyring", "reseal"], &["keyring", "retire", "1"]] {
        stdout(&run(&server, command));
    }
    complaint(&run(&server, &["keyring", "retire", "1"]));
    let all = lines(&server, &["audit", "export"]);
    let last: Vec<_> =
        all.iter().skip(3).map(|line| [&line["eventType"], &line["targets"][0]["id"]]).collect();
    assert_eq!(json!(last), json!([["hook_keys.keyring.rotated", "2"], ["hook_keys.keyring.retired", "1"]]));
    assert_eq!((&all[3]["org"], super::events(&acme).await.len()), (&Value::Null, 3));
}

#[tokio::test]
async fn the_trail_moves_with_all_other_data_in_its_order() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let key = acme.create("key").await;
    acme.delete(&path_of(&key)).await.expect(204);
    acme.delete(&path_of(&key)).await.expect(404);
    // So that the numbers have gaps.
    server.sql("DELETE FROM audit_events WHERE kind = 'system.api_token.create'");
    let events = |mut lines: Vec<Value>| {
        assert!(lines.windows(2).all(|two| two[0]["seq"].as_i64() < two[1]["seq"].as_i64()));
        lines.iter_mut().for_each(|line| drop(line.as_object_mut().unwrap().remove("seq")));
        lines
    };
    let expected = events(lines(&server, &["audit", "export"]));
    assert_eq!(expected.len(), 4);
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (copied, backup, restored) =
        (format!("sqlite:{}", path("copied.db")), path("backup"), format!("sqlite:{}", path("restored.db")));
    stdout(&run(&server, &["copy", "--from", &server.database.url(), "--to", &copied]));
    stdout(&run(&server, &["backup", &backup]));
    stdout(&run_on(&restored, &["restore", &backup]));
    for url in [&copied, &restored] {
        let text = stdout(&run_on(url, &["audit", "export"]));
        let moved = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(events(moved), expected, "{url}");
    }
}

#[tokio::test]
async fn a_wrong_flag_is_named_with_the_remedy() {
    let server = Server::start().await;
    for (flags, remedy) in [
        (["--org", "none"], "hook-keys org list"),
        (["--since", "yesterday"], "--since: \"yesterday\" is neither"),
        (["--until", "2026-01-01"], "--until: \"2026-01-01\" is neither"),
        (["--type", "key.created"], "use one of system.hook.key.created"),
    ] {
        for command in ["list", "export"] {
            let refused = complaint(&run(&server, &[&["audit", command][..], &flags[..]].concat()));
            assert!(refused.contains(remedy), "{flags:?}: {refused}");
        }
    }
}
