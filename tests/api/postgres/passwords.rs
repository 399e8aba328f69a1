//! The password of the database: where it may stand, and that it is told to nobody.

use std::path::Path;

use serde_json::json;

use super::{make_role, run, settings, url};
use crate::harness::PostgresServer;
use crate::harness::process::{Serve, complaint, hook_keys, stdout};

/// As it is, and as it stands in a URL.
const PASSWORD: &str = "tr/omb?ne@42";
const IN_URL: &str = "tr%2Fomb%3Fne%4042";

/// What no output may have in it.
const PARTS: [&str; 3] = ["omb", "ne@42", "ne%4042"];

fn assert_silent(text: &str) {
    for part in PARTS {
        assert!(!text.contains(part), "{part} is in {text}");
    }
}

/// A server that asks `app` for its password.
fn server() -> PostgresServer {
    let server = PostgresServer::start(&["password_encryption=scram-sha-256"]);
    make_role(&server, "app", PASSWORD);
    server.stop("fast");
    server.put(
        "pg_hba.conf",
        "host all postgres 127.0.0.1/32 trust\nhost all app 127.0.0.1/32 scram-sha-256\n",
    );
    server.start_again(&[]);
    server
}

#[test]
fn the_password_comes_from_its_file_or_from_the_url_in_file_or_variable() {
    let directory = tempfile::tempdir().unwrap();
    let server = server();
    let bare = url(&server, "app");
    let full = bare.replace("app@", &format!("app:{IN_URL}@"));
    let file = directory.path().join("password");
    std::fs::write(&file, format!("{PASSWORD}\n")).unwrap();
    let file = file.to_str().unwrap();

    stdout(&run(&settings(directory.path(), &bare, &[("password_file", file)]), &["migrate"]));
    stdout(&run(&settings(directory.path(), &full, &[]), &["org", "list"]));
    stdout(&run(&settings(directory.path(), &format!("{bare}?password={IN_URL}"), &[]), &["org", "list"]));
    let config = settings(directory.path(), "sqlite:unused.db", &[]);
    let mut list = hook_keys();
    list.env("HOOK_KEYS_DATABASE_URL", &full).args(["org", "list", "--config"]).arg(config);
    stdout(&list.output().unwrap());
}

#[test]
fn a_wrong_or_missing_password_is_refused_and_not_repeated() {
    let directory = tempfile::tempdir().unwrap();
    let server = server();
    let bare = url(&server, "app");
    let wrong = bare.replace("app@", &format!("app:{IN_URL}x@"));
    let refused = |config: &Path, reason: &str| {
        let refused = complaint(&run(config, &["migrate"]));
        assert!(refused.contains(reason), "{reason}: {refused}");
        assert_silent(&refused);
    };
    refused(&settings(directory.path(), &wrong, &[]), "password authentication failed for user \"app\"");
    refused(&settings(directory.path(), &bare, &[]), "password missing");
    let unreadable = settings(directory.path(), &bare, &[("password_file", "none")]);
    refused(&unreadable, "postgres.password_file: ");
    let checked = complaint(&run(&unreadable, &["config", "check"]));
    assert!(checked.contains("postgres.password_file: "), "{checked}");
}

#[test]
fn config_show_has_stars_for_the_password_and_nothing_of_a_url_that_cannot_be_read() {
    let directory = tempfile::tempdir().unwrap();
    for (url, expected) in [
        ("postgres://app:tromb@h/app", "\"postgres://app:***@h/app\""),
        ("postgres://app@h/app?password=tromb", "\"postgres://app@h/app?password=***\""),
        ("postgres://app:tr@omb@h/app", "\"postgres://(not readable)\""),
        ("postgres://app:tromb", "\"postgres://(not readable)\""),
        ("postgres://app@h/app?passwort=tromb", "\"postgres://(not readable)\""),
        ("postgre://app:tromb@h/app", "\"(not readable)\""),
        ("mysql://app:tromb@h/app", "\"(not readable)\""),
    ] {
        let config = settings(directory.path(), url, &[]);
        let shown = stdout(&run(&config, &["config", "show"]));
        let line = shown.lines().find(|line| line.starts_with("database_url")).unwrap();
        assert!(line.contains(expected), "{url}: {line}");
        assert_silent(&shown);
        if expected.contains("not readable") {
            for command in [&["config", "check"][..], &["migrate"], &["serve"]] {
                let refused = complaint(&run(&config, command));
                assert!(refused.contains("database_url: use "), "{url}: {refused}");
                assert_silent(&refused);
            }
        }
    }
}

#[test]
fn a_settings_file_that_is_no_toml_is_refused_without_the_line() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("hook-keys.toml");
    for line in ["database_url = postgres://app:tromb@h/app", "database_url = \"postgres://app:tromb@h/app"] {
        std::fs::write(&config, format!("pool_size = 1\n{line}\n")).unwrap();
        for command in [&["config", "show"][..], &["migrate"]] {
            let refused = complaint(&run(&config, command));
            assert!(refused.contains("is not valid TOML: line 2: "), "{refused}");
            assert_silent(&refused);
        }
    }
}

#[tokio::test]
async fn the_fullest_log_holds_neither_the_password_nor_what_stands_in_bodies() {
    let directory = tempfile::tempdir().unwrap();
    let server = server();
    let full = url(&server, "app").replace("app@", &format!("app:{IN_URL}@"));
    let config = settings(directory.path(), &full, &[]);
    stdout(&run(&config, &["migrate"]));
    stdout(&run(&config, &["org", "create", "acme"]));
    let token = stdout(&run(&config, &["token", "create", "--org", "acme", "--name", "ci"]));
    let serve = Serve::start(&config, &["--log", "trace,tokio_postgres::query=trace"]);
    let client = serve.client(token.trim());
    let key = client.create("trombone").await;
    client.get(&crate::harness::path_of(&key)).await.expect(200);
    let refused = client.post("/api/v1/hook-keys", json!({ "name": "trombone" })).await;
    assert_eq!(refused.status, 400);

    let log = serve.log_text();
    // It is that log: the driver tells its statements.
    assert!(log.contains("TRACE") && log.contains("tokio_postgres") && log.contains("INSERT INTO"), "{log}");
    assert_silent(&log);
    // As the driver would tell it.
    let octets = format!("{:?}", b"trombone");
    assert!(!log.contains(octets.trim_matches(['[', ']'])) && !log.contains(token.trim()), "{log}");
    assert_eq!(serve.terminate(), Some(0));
}
