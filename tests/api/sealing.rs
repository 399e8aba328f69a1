//! Sealed values in the wrong place, cut short, or under the wrong key are refused and said so.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::harness::process::{Dev, complaint, on, stdout};
use crate::harness::service::Service;
use crate::harness::{hook, oauth_channel, path_of_hook, sql};

/// A data directory with two keys in the org `default` and one in another.
struct Scene {
    _directory: tempfile::TempDir,
    data: PathBuf,
    ids: [String; 3],
}

async fn scene() -> Scene {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let dev = Dev::start(&data, &[]);
    stdout(&on(&data, &["org", "create", "other"]));
    let token = stdout(&on(&data, &["token", "create", "--org", "other", "--name", "x"]));
    let other = crate::harness::Client::new(&dev.base, Some(&format!("SSWS {}", token.trim())));
    let keys = [dev.client().create("a").await, dev.client().create("b").await, other.create("c").await];
    let ids = keys.map(|key| key["id"].as_str().unwrap().to_owned());
    dev.kill();
    Scene { _directory: directory, data, ids }
}

impl Scene {
    fn sql(&self, statement: &str) {
        let [a, b, c] = &self.ids;
        let statement = statement.replace("{a}", a).replace("{b}", b).replace("{c}", c);
        sql(&self.data.join("hook-keys.db"), &statement);
    }

    /// What `keyring verify` finds broken: ids and problems.
    fn broken(&self) -> Vec<(String, String)> {
        let output = on(&self.data, &["keyring", "verify", "--json"]);
        let verdict: Value = serde_json::from_slice(&output.stdout).unwrap();
        let broken = verdict["broken"].as_array().unwrap();
        assert_eq!(output.status.code(), Some(i32::from(!broken.is_empty())));
        assert_eq!(verdict["sound"], 3 - broken.len());
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        broken.iter().map(|row| (text(&row["id"]), text(&row["problem"]))).collect()
    }
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap()
}

#[tokio::test]
async fn untouched_values_are_sound_and_counted_under_their_term() {
    let scene = scene().await;
    assert_eq!(scene.broken(), []);
    let status = on(&scene.data, &["keyring", "status", "--json"]);
    let status: Value = serde_json::from_str(&stdout(&status)).unwrap();
    assert_eq!(status["orphans"], 0);
    let terms = status["terms"].as_array().unwrap();
    assert_eq!(terms.len(), 1);
    assert_eq!(
        (&terms[0]["term"], &terms[0]["blobs"], &terms[0]["current"]),
        (&1.into(), &3.into(), &true.into())
    );
    assert!(stdout(&on(&scene.data, &["keyring", "verify"])).contains("3 sound, 0 broken"));
}

#[tokio::test]
async fn a_blob_copied_to_another_row_or_org_does_not_open_there() {
    let scene = scene().await;
    let problem = "hook_keys.private_key: sealed value: it does not open: it was altered, sealed for another row or org, or under another key";
    for (from, to) in [("{a}", "{b}"), ("{a}", "{c}")] {
        scene.sql("CREATE TABLE kept AS SELECT id, private_key FROM hook_keys");
        scene.sql(&format!(
            "UPDATE hook_keys SET private_key = (SELECT private_key FROM kept WHERE id = '{from}') WHERE id = '{to}'"
        ));
        let [_, b, c] = &scene.ids;
        let moved = if to == "{b}" { b } else { c };
        assert_eq!(scene.broken(), [(moved.clone(), problem.to_owned())]);
        scene.sql(
            "UPDATE hook_keys SET private_key = (SELECT k.private_key FROM kept k WHERE k.id = hook_keys.id)",
        );
        scene.sql("DROP TABLE kept");
        assert_eq!(scene.broken(), []);
    }
}

#[tokio::test]
async fn a_row_moved_to_another_org_or_given_another_id_does_not_open() {
    let scene = scene().await;
    scene.sql(
        "UPDATE hook_keys SET org_id = (SELECT org_id FROM hook_keys WHERE id = '{c}') WHERE id = '{a}'",
    );
    scene.sql("UPDATE hook_keys SET id = 'HKY00000000000000000' WHERE id = '{b}'");
    let broken: Vec<_> = scene.broken().into_iter().map(|(id, _)| id).collect();
    assert_eq!(broken, [scene.ids[0].as_str(), "HKY00000000000000000"]);
}

#[tokio::test]
async fn a_blob_that_is_cut_altered_or_of_an_unknown_term_or_version_is_told_apart() {
    let scene = scene().await;
    for (value, problem) in [
        ("x''", "it has 0 bytes, too few"),
        ("substr(private_key, 1, 4)", "it has 4 bytes, too few"),
        ("substr(private_key, 1, 40)", "it is cut short at 40 bytes"),
        ("substr(private_key, 1, 600)", "it does not open"),
        ("x'02' || substr(private_key, 2)", "its format version 2 is unknown"),
        ("x'0100000009' || substr(private_key, 6)", "the keyring has no term 9"),
    ] {
        scene.sql("CREATE TABLE kept AS SELECT id, private_key FROM hook_keys");
        scene.sql(&format!("UPDATE hook_keys SET private_key = CAST({value} AS BLOB) WHERE id = '{{a}}'"));
        let broken = scene.broken();
        assert_eq!(broken.len(), 1, "{value}");
        assert!(broken[0].0 == scene.ids[0] && broken[0].1.contains(problem), "{value} gave {broken:?}");
        scene.sql(
            "UPDATE hook_keys SET private_key = (SELECT k.private_key FROM kept k WHERE k.id = hook_keys.id)",
        );
        scene.sql("DROP TABLE kept");
    }
    scene.sql("UPDATE hook_keys SET private_key = CAST(x'0100000009' || substr(private_key, 6) AS BLOB) WHERE id = '{a}'");
    let status = stdout(&on(&scene.data, &["keyring", "status"]));
    assert!(status.contains("1 sealed value(s) belong to no term"), "{status}");
}

#[tokio::test]
async fn a_swapped_public_half_is_found() {
    let scene = scene().await;
    scene.sql(
        "UPDATE hook_keys SET modulus = (SELECT modulus FROM hook_keys WHERE id = '{b}') WHERE id = '{a}'",
    );
    let broken = scene.broken();
    assert!(broken[0].1.contains("its public half is not the one in its row"), "{broken:?}");
}

#[tokio::test]
async fn another_master_key_opens_nothing_and_nothing_starts() {
    let scene = scene().await;
    let file = scene.data.join("master.key");
    let right = read(&file);
    std::fs::write(&file, "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBA=").unwrap();
    for command in [
        &["dev", "--listen", "127.0.0.1:0"][..],
        &["serve", "--listen", "127.0.0.1:0"],
        &["keyring", "verify"],
    ] {
        let refused = complaint(&on(&scene.data, command));
        assert!(refused.contains("does not open term 1"), "{command:?} gave {refused}");
    }
    std::fs::write(&file, right).unwrap();
    assert_eq!(scene.broken(), []);
}

#[tokio::test]
async fn a_damaged_or_missing_keyring_stops_the_start_and_is_not_replaced() {
    let scene = scene().await;
    let start = ["serve", "--listen", "127.0.0.1:0"];
    scene.sql("CREATE TABLE kept AS SELECT * FROM keyring");
    for damaged in
        ["substr(wrapped, 1, 50)", "x'02' || substr(wrapped, 2)", "x'0100000001' || substr(wrapped, 6)"]
    {
        scene.sql(&format!("UPDATE keyring SET wrapped = (SELECT CAST({damaged} AS BLOB) FROM kept)"));
        assert!(complaint(&on(&scene.data, &start)).contains("does not open term 1"), "{damaged}");
    }
    scene.sql("DELETE FROM keyring");
    for command in [&start[..], &["keyring", "verify"]] {
        assert!(complaint(&on(&scene.data, command)).contains("its keyring is gone: restore a backup"));
    }
    assert!(stdout(&on(&scene.data, &["keyring", "status"])).contains("3 sealed value(s) belong to no term"));
    scene.sql("INSERT INTO keyring SELECT * FROM kept");
    assert_eq!(scene.broken(), []);
}

#[tokio::test]
async fn the_headers_and_secrets_of_hooks_are_bound_to_their_places_too() {
    let scene = scene().await;
    let dev = Dev::start(&scene.data, &[]);
    let channel = json!({ "type": "HTTP", "config": {
        "uri": "https://example.com",
        "headers": [{ "key": "X", "value": "1" }],
        "authScheme": { "type": "HEADER", "key": "A", "value": "v" },
    } });
    let made = dev.client().create_hook(hook("one", channel.clone())).await;
    let other = dev.client().create_hook(hook("two", channel)).await;
    let verify = || stdout(&on(&scene.data, &["keyring", "verify"]));
    assert!(verify().contains("7 sound, 0 broken"));
    let status = on(&scene.data, &["keyring", "status", "--json"]);
    let status: Value = serde_json::from_str(&stdout(&status)).unwrap();
    assert_eq!((&status["terms"][0]["blobs"], &status["orphans"]), (&json!(7), &json!(0)));

    let (id, other) = (made["id"].as_str().unwrap(), other["id"].as_str().unwrap());
    scene.sql(&format!("UPDATE inline_hooks SET headers = secret WHERE id = '{id}'"));
    scene.sql(&format!(
        "UPDATE inline_hooks SET secret = (SELECT secret FROM inline_hooks WHERE id = '{id}') WHERE id = '{other}'"
    ));
    let output = on(&scene.data, &["keyring", "verify"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("5 sound, 2 broken"), "{text}");
    for line in [format!("{id}: inline_hooks.headers: "), format!("{other}: inline_hooks.secret: ")] {
        assert!(text.contains(&line), "{text}");
    }
    // Nothing is served from a value that does not open.
    dev.client().get(&path_of_hook(&made)).await.expect_error(500, "E0000009", "");
    let execute = format!("/api/v1/inlineHooks/{other}/execute");
    dev.client().post(&execute, json!({})).await.expect_error(500, "E0000009", "");
    let log = dev.log_text();
    assert!(log.contains("it does not open: it was altered, sealed for another row or org"), "{log}");
}

#[tokio::test]
async fn a_moved_private_half_signs_nothing() {
    let scene = scene().await;
    let dev = Dev::start(&scene.data, &[]);
    let key = json!({ "id": scene.ids[0] });
    let endpoint = Service::answering(json!({ "access_token": "t" }));
    let made = dev.client().create_hook(hook("h", oauth_channel(&endpoint.base, &endpoint.base, &key))).await;
    let execute = path_of_hook(&made) + "/execute";
    dev.client().post(&execute, json!({})).await.expect(200);
    let calls = endpoint.calls();
    scene.sql("UPDATE hook_keys SET private_key = (SELECT private_key FROM hook_keys WHERE id = '{b}') WHERE id = '{a}'");
    dev.client().post(&execute, json!({})).await.expect_error(500, "E0000009", "");
    assert_eq!(endpoint.calls(), calls, "no service heard of it");
}
