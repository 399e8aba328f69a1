//! `hook-keys keyring master rotate`.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::harness::path_of;
use crate::harness::process::{Dev, complaint, on, stdout};

fn scene() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let (data, new) = (directory.path().join("data"), directory.path().join("new.key"));
    (directory, data, new)
}

fn rotate(data: &Path, new: &Path) -> std::process::Output {
    on(data, &["keyring", "master", "rotate", "--new-file", new.to_str().unwrap()])
}

#[tokio::test]
async fn another_master_key_takes_the_place_of_the_old_one_under_a_server_that_runs() {
    let (_directory, data, new) = scene();
    let dev = Dev::start(&data, &[]);
    let client = dev.client();
    let key = client.create("before").await;
    stdout(&on(&data, &["keyring", "rotate"]));
    client.create("under the second").await;
    let rotated = rotate(&data, &new);
    let master = data.join("master.key");
    let (shown, old) = (new.display(), master.display());
    assert_eq!(
        stdout(&rotated),
        format!("2 term(s) open with the master key in {shown}, and no more with the one in {old}\n")
    );
    let next = String::from_utf8(rotated.stderr).unwrap();
    assert!(
        next.contains(&format!("before the next start: cp -p {old} {old}.old && mv {shown} {old}")),
        "{next}"
    );
    assert_eq!(std::fs::metadata(&new).unwrap().permissions().mode() & 0o777, 0o600);
    // The server has opened the data keys long ago.
    client.create("after").await;
    client.get(&path_of(&key)).await.expect(200);
    let refused = complaint(&on(&data, &["keyring", "verify"]));
    assert!(refused.contains("does not open term 1"), "{refused}");
    let again = stdout(&rotate(&data, &new));
    assert!(again.starts_with("nothing to do: the keyring opens with the master key in"), "{again}");
    std::fs::rename(&new, &master).unwrap();
    // A term that was wrapped by the new key: the server looks for it where it had the old one from.
    stdout(&on(&data, &["keyring", "rotate"]));
    client.create("under the third").await;
    let status = stdout(&on(&data, &["keyring", "status", "--json"]));
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    let blobs: Vec<_> = (0..3).map(|term| status["terms"][term]["blobs"].as_u64().unwrap()).collect();
    assert_eq!(blobs, [1, 2, 1]);
    assert_eq!(stdout(&on(&data, &["keyring", "verify"])), "4 sound, 0 broken\n");
    dev.kill();
    Dev::start(&data, &[]).client().create("later").await;
}

#[tokio::test]
async fn a_server_that_cannot_open_the_newest_term_seals_under_the_one_it_has_and_says_so() {
    let (_directory, data, new) = scene();
    let dev = Dev::start(&data, &[]);
    stdout(&rotate(&data, &new));
    let config = data.join("new.toml");
    let text = format!(
        "database_url = \"sqlite:{}\"\nmaster_key_file = \"{}\"\n",
        data.join("hook-keys.db").display(),
        new.display()
    );
    std::fs::write(&config, text).unwrap();
    let with_new = |arguments: &[&str]| {
        let mut command = crate::harness::process::hook_keys();
        command.args(arguments).arg("--config").arg(&config).output().unwrap()
    };
    assert!(stdout(&with_new(&["keyring", "rotate"])).starts_with("term 2"));
    let key = dev.client().create("made").await;
    dev.client().get(&path_of(&key)).await.expect(200);
    let log = dev.log_text();
    assert_eq!(log.matches("a term of the keyring does not open").count(), 1, "{log}");
    let refused = complaint(&with_new(&["keyring", "retire", "1"]));
    assert!(refused.contains("term 1 still seals 1 value(s)"), "{refused}");
    // Where the old term is gone, nothing is written that nobody could open.
    stdout(&with_new(&["keyring", "reseal"]));
    stdout(&with_new(&["keyring", "retire", "1"]));
    let answer = dev.client().post("/api/v1/hook-keys", serde_json::json!({ "name": "lost" })).await;
    answer.expect_error(500, "E0000009", "");
    assert_eq!(stdout(&with_new(&["keyring", "verify"])), "1 sound, 0 broken\n");
}

#[tokio::test]
async fn a_file_that_cannot_be_the_new_master_key_is_refused_and_nothing_changes() {
    let (directory, data, new) = scene();
    let dev = Dev::start(&data, &[]);
    dev.client().create("one").await;
    dev.kill();
    let master = data.join("master.key");
    let link = directory.path().join("link.key");
    std::os::unix::fs::symlink(&master, &link).unwrap();
    let copy = directory.path().join("copy.key");
    std::fs::copy(&master, &copy).unwrap();
    std::fs::write(&new, "no key").unwrap();
    std::fs::set_permissions(&new, std::fs::Permissions::from_mode(0o600)).unwrap();
    let open = directory.path().join("open.key");
    std::fs::write(&open, "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBA=").unwrap();
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o644)).unwrap();
    for (path, refusal) in [
        (&master, "is the file of the master key that is in use"),
        (&link, "is the file of the master key that is in use"),
        (&copy, "the new file holds the master key that is in use"),
        (&new, "does not hold a master key"),
        (&open, "has mode 0644"),
        (&directory.path().join("missing/new.key"), "cannot be written"),
    ] {
        let refused = complaint(&rotate(&data, path));
        assert!(refused.contains(refusal), "{}: {refused}", path.display());
    }
    assert_eq!(stdout(&on(&data, &["keyring", "verify"])), "1 sound, 0 broken\n");
}
