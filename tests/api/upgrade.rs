//! Two versions on one database: a migration that adds lets the version before it go on, one that removes does not.

use serde_json::json;

use crate::harness::process::{complaint, hook_keys};
use crate::harness::{Client, Server, path_of};

/// What a later version's migrations do to the database: one adds, and the next removes what it replaced.
const EXPAND: [&str; 3] = [
    "ALTER TABLE hook_keys ADD COLUMN label TEXT",
    "CREATE TABLE labels (id TEXT NOT NULL PRIMARY KEY)",
    "INSERT INTO __diesel_schema_migrations (version) VALUES ('99991231000001')",
];
const CONTRACT: [&str; 2] = [
    "INSERT INTO __diesel_schema_migrations (version) VALUES ('99991231000002')",
    "UPDATE schema_floor SET version = '99991231000001'",
];

/// Every kind of write and read of hook keys.
async fn works(client: &Client, name: &str) {
    let key = client.create(name).await;
    client.put(&path_of(&key), json!({ "name": format!("{name} renamed") })).await.expect(200);
    assert!(client.names().await.contains(&format!("{name} renamed")));
    client.delete(&path_of(&key)).await.expect(204);
}

#[tokio::test]
async fn a_schema_that_a_newer_version_has_added_to_is_served_and_one_it_has_taken_from_is_not() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let kept = acme.create("kept").await;
    for statement in EXPAND {
        server.sql(statement);
    }
    works(&acme, "by one that ran before").await;
    let restarted = server.beside().await;
    let acme = restarted.client("acme", &["all"]).await;
    works(&acme, "by one that was started since").await;
    server.sql("INSERT INTO labels VALUES ('of the newer version')");
    server.sql("UPDATE hook_keys SET label = 'x'");
    assert_eq!(acme.get(&path_of(&kept)).await.expect(200).json()["name"], "kept");

    let url = server.database.url();
    let run = |command: &[&str]| {
        let mut process = hook_keys();
        process.env("HOOK_KEYS_DATABASE_URL", &url).env("HOOK_KEYS_LISTEN", "127.0.0.1:0");
        process.env("HOOK_KEYS_MASTER_KEY", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
        process.args(command).output().unwrap()
    };
    assert!(run(&["migrate", "--check"]).status.success());
    for statement in CONTRACT {
        server.sql(statement);
    }
    for command in
        [&["serve"][..], &["serve", "--no-migrate"], &["migrate"], &["migrate", "--check"], &["org", "list"]]
    {
        let refused = complaint(&run(command));
        assert!(refused.contains("migrated by a newer hook-keys"), "{command:?} gave {refused}");
        assert!(refused.contains("start that newer version"), "{command:?} gave {refused}");
    }
}
