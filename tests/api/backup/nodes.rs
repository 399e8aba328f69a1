//! Nodes that run while another state of their database is put in its place.

use serde_json::Value;

use super::{filled, shelf, with_key_of};
use crate::copy::scene::{Everything, Serving};
use crate::harness::Database;
use crate::harness::process::stdout;

/// Takes all rows away, by another hand: nothing is noted.
fn empty(database: &Database) {
    for table in ["inline_hooks", "orgs", "keyring", "audit_events"] {
        database.sql(&format!("DELETE FROM {table}"));
    }
}

fn is_called(list: &Value, name: &str) -> bool {
    list.as_array().unwrap().iter().any(|key| key["name"] == name)
}

#[tokio::test]
async fn a_node_that_runs_takes_nothing_for_true_that_it_remembers() {
    let scene = Everything::make("https://example.com").await;
    let (_directory, database) = filled(&scene);
    let (_one_shelf, one) = shelf();
    let (_two_shelf, two) = shelf();
    let run = |command: &str, file| {
        stdout(&with_key_of(&database, &scene.data).arg(command).arg(file).output().unwrap());
    };
    run("backup", &one);
    database.sql("UPDATE hook_keys SET name = 'another' WHERE name = 'b'");
    run("backup", &two);
    // What a node sees of a database in which nothing was ever noted.
    database.sql("DELETE FROM changes");
    let serving = Serving::start(&database, &scene.data);
    let acme = serving.client(&scene.admin);
    let path = "/api/v1/hook-keys";
    acme.until_is(path, |list| is_called(&list, "another")).await;

    empty(&database);
    let remembered = acme.get(path).await.expect(200).json();
    assert!(is_called(&remembered, "another"), "it answers from memory");
    run("restore", &one);
    acme.until_is(path, |list| is_called(&list, "b")).await;

    // Now it has followed up to a change, which is not the one that it finds next.
    empty(&database);
    database.sql("DELETE FROM changes");
    run("restore", &two);
    acme.until_is(path, |list| is_called(&list, "another")).await;
}
