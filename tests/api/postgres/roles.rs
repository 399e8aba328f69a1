//! A role that may work with the tables, but not make or change any.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::{make_role, run, settings, url};
use crate::harness::keys::ec_jwk;
use crate::harness::process::{Serve, complaint, stdout};
use crate::harness::{Client, PostgresServer, path_of};

/// A database that `owner` migrates and `worker` uses, with a settings file for each.
struct Roles {
    server: PostgresServer,
    owner: PathBuf,
    worker: PathBuf,
    _directory: tempfile::TempDir,
}

impl Roles {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let server = PostgresServer::start(&[]);
        make_role(&server, "owner", "");
        make_role(&server, "worker", "");
        let file = |role: &str| {
            let place = directory.path().join(role);
            std::fs::create_dir(&place).unwrap();
            let url = url(&server, "owner").replace("owner@", &format!("{role}@"));
            settings(&place, &url, &[])
        };
        Self { owner: file("owner"), worker: file("worker"), server, _directory: directory }
    }

    /// Runs SQL as the owner.
    fn sql(&self, statements: &str) -> Vec<String> {
        crate::harness::database::run(&url(&self.server, "owner"), statements)
    }

    /// Gives the worker what it needs and no more.
    fn grant(&self) {
        self.sql(
            "GRANT USAGE ON SCHEMA public TO worker;
             GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO worker;
             REVOKE INSERT, UPDATE, DELETE ON __diesel_schema_migrations FROM worker",
        );
    }

    /// Every table with its columns, and every migration.
    fn everything(&self) -> Vec<String> {
        let tables = "SELECT table_name || '.' || column_name FROM information_schema.columns
                      WHERE table_schema = 'public' ORDER BY 1";
        let mut all = self.sql(tables);
        if !all.is_empty() {
            all.extend(self.sql("SELECT version FROM __diesel_schema_migrations ORDER BY 1"));
        }
        all
    }
}

fn token(config: &Path) -> String {
    stdout(&run(config, &["org", "create", "acme"]));
    let create = ["token", "create", "--org", "acme", "--name", "ci", "--permission", "all"];
    stdout(&run(config, &create)).trim().to_owned()
}

/// Creates, lists, renames and deletes on both sides.
async fn use_everything(client: &Client) {
    let key = client.create("first").await;
    client.put(&path_of(&key), json!({ "name": "second" })).await.expect(200);
    assert_eq!(client.names().await, ["second"]);
    client.delete(&path_of(&key)).await.expect(204);
    assert!(client.names().await.is_empty());

    client.post("/key-sets", json!({ "name": "set", "tags": ["a"] })).await.expect(201);
    let jwk = ec_jwk("k").to_string();
    let body = json!({ "name": "key", "kid": "k", "jwk": jwk, "set": { "name": "set" }, "tags": ["b"] });
    client.post("/keys", body).await.expect(201);
    client.patch("/keys/key", json!({ "name": "renamed" })).await.expect(200);
    let list = client.get("/keys").await.expect(200).json();
    assert_eq!(list["data"][0]["name"], "renamed");
    assert_eq!(client.get("/tags").await.expect(200).json()["data"].as_array().unwrap().len(), 2);
    client.delete("/key-sets/set").await.expect(204);
    assert_eq!(client.get("/keys").await.expect(200).json()["data"], json!([]));
}

#[tokio::test]
async fn a_role_that_may_not_make_tables_serves_once_the_owner_has_migrated() {
    let roles = Roles::new();
    stdout(&run(&roles.owner, &["migrate"]));
    roles.grant();
    let rights = "SELECT has_schema_privilege('worker', 'public', 'CREATE')";
    assert_eq!(roles.sql(rights), ["f"], "the worker could make tables, so this test shows nothing");
    let token = token(&roles.worker);
    let before = roles.everything();
    // Nothing is pending, so that both go well.
    for arguments in [&["--no-migrate"][..], &[]] {
        let serve = Serve::start(&roles.worker, arguments);
        use_everything(&serve.client(&token)).await;
        assert_eq!(serve.terminate(), Some(0));
    }
    assert_eq!(stdout(&run(&roles.worker, &["migrate"])), "");
    assert_eq!(stdout(&run(&roles.worker, &["migrate", "--check"])), "");
    assert_eq!(roles.everything(), before);
}

#[test]
fn serve_with_no_migrate_refuses_a_database_that_lacks_migrations_and_changes_nothing() {
    let roles = Roles::new();
    let refused = |config: &Path, pending: usize| {
        let before = roles.everything();
        let refused = complaint(&run(config, &["serve", "--no-migrate", "--listen", "127.0.0.1:0"]));
        assert!(refused.contains("`hook-keys migrate`"), "{refused}");
        assert!(refused.contains(&format!("lacks {pending} migration(s)")), "{refused}");
        assert_eq!(roles.everything(), before);
    };
    let all = stdout(&run(&roles.owner, &["migrate"])).lines().count();
    roles.sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public");
    roles.sql("GRANT USAGE ON SCHEMA public TO worker");
    refused(&roles.owner, all);
    refused(&roles.worker, all);

    stdout(&run(&roles.owner, &["migrate"]));
    roles.grant();
    roles.sql(
        "DELETE FROM __diesel_schema_migrations
         WHERE version = (SELECT max(version) FROM __diesel_schema_migrations)",
    );
    refused(&roles.owner, 1);
    refused(&roles.worker, 1);
}

#[test]
fn what_a_role_may_not_do_is_said_and_leaves_everything_as_it_was() {
    let roles = Roles::new();
    let refused = |arguments: &[&str], reason: &str| {
        let before = roles.everything();
        let refused = complaint(&run(&roles.worker, arguments));
        assert!(refused.contains(reason), "{reason}: {refused}");
        assert!(refused.contains("`hook-keys migrate` as the owner"), "{refused}");
        assert_eq!(roles.everything(), before);
    };
    for command in [&["migrate"][..], &["serve", "--listen", "127.0.0.1:0"]] {
        refused(command, "permission denied for schema public");
    }
    stdout(&run(&roles.owner, &["migrate"]));
    for command in [&["migrate"][..], &["org", "list"], &["serve", "--listen", "127.0.0.1:0"]] {
        refused(command, "permission denied for table __diesel_schema_migrations");
    }
    roles.sql("GRANT SELECT ON __diesel_schema_migrations TO worker");
    refused(&["org", "list"], "permission denied for table orgs");
    roles.sql("ALTER ROLE owner SET search_path = nowhere");
    let lost = complaint(&run(&roles.owner, &["migrate"]));
    assert!(lost.contains("names no schema that is there: make the schema"), "{lost}");
}
