//! `hook-keys doctor`.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;

use crate::harness::process::{Dev, hook_keys, on, stdout};
use crate::harness::{Server, sql};

fn chmod(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// What it finds of a level: what it is about, and what mends it.
fn found(output: &Output, level: &str) -> Vec<(String, String)> {
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let all = told["findings"].as_array().unwrap();
    assert_eq!(output.status.code(), Some(i32::from(told["wrong"] != 0)), "{told}");
    let of_level = all.iter().filter(|finding| finding["level"] == level);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    of_level.map(|finding| (text(&finding["what"]), text(&finding["mend"]))).collect()
}

async fn data() -> (tempfile::TempDir, PathBuf, String) {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let dev = Dev::start(&data, &[]);
    let key = dev.client().create("one").await;
    assert_eq!(dev.terminate(), Some(0));
    (directory, data, key["id"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn a_sound_installation_has_nothing_wrong() {
    let (_directory, data, _) = data().await;
    let text = stdout(&on(&data, &["doctor"]));
    let key = data.join("master.key");
    assert!(text.contains(&format!("ok     master key: the file {} of mode 0600", key.display())), "{text}");
    assert!(
        text.contains("seals 1 value(s), and new ones") && text.contains("1 sealed value(s) open"),
        "{text}"
    );
    assert!(text.ends_with("0 wrong, 0 at risk\n"), "{text}");
    let output = on(&data, &["doctor", "--json"]);
    assert_eq!((found(&output, "wrong"), found(&output, "risk")), (vec![], vec![]));
    assert!(found(&output, "ok").len() >= 5);
}

#[tokio::test]
async fn what_is_wrong_is_told_with_what_mends_it_and_exit_code_1() {
    let (_directory, data, id) = data().await;
    let doctor = || on(&data, &["doctor", "--json"]);
    let wrong = |part: &str, mend: &str| {
        let all = found(&doctor(), "wrong");
        assert!(all.iter().any(|(what, how)| what.contains(part) && how.contains(mend)), "{part}: {all:?}");
    };
    let (file, key) = (data.join("hook-keys.db"), data.join("master.key"));
    chmod(&file, 0o644);
    wrong("hook-keys.db has mode 0644", &format!("chmod 600 {}", file.display()));
    chmod(&file, 0o600);
    chmod(&key, 0o640);
    wrong("has mode 0640, so others than its owner may read it: run `chmod 600", "");
    chmod(&key, 0o600);
    chmod(&data, 0o777);
    wrong("others may replace the files in", "chmod go-w");
    chmod(&data, 0o700);
    sql(&file, "UPDATE hook_keys SET private_key = CAST(x'0100000009' || substr(private_key, 6) AS BLOB)");
    wrong("1 sealed value(s) belong to no term", "hook-keys keyring verify");
    wrong(
        &format!("{id}: hook_keys.private_key: sealed value: the keyring has no term 9"),
        "restore a backup",
    );
    sql(&file, "DELETE FROM hook_keys");
    assert_eq!(found(&doctor(), "wrong"), []);
    let right = std::fs::read(&key).unwrap();
    std::fs::write(&key, "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBA=").unwrap();
    wrong("this master key does not open term 1", "");
    std::fs::write(&key, right).unwrap();
    sql(&file, "DELETE FROM __diesel_schema_migrations WHERE version = '20261122000010'");
    wrong("it lacks 1 migration(s)", "hook-keys migrate");
    std::fs::remove_file(&file).unwrap();
    wrong("there is no database at", "");
}

#[tokio::test]
async fn what_is_risky_is_told_and_does_not_fail() {
    let server = Server::start().await;
    let client = server.org("acme").await;
    client.create("one").await;
    let doctor = |more: &[(&str, &str)]| {
        let mut command = super::command(&server, &["doctor", "--json"]);
        command.envs(more.iter().copied());
        found(&command.output().unwrap(), "risk")
    };
    let risky = |more: &[(&str, &str)], part: &str, mend: &str| {
        let all = doctor(more);
        assert!(all.iter().any(|(what, how)| what.contains(part) && how.contains(mend)), "{part}: {all:?}");
    };
    // In the test's settings the key is in a variable.
    risky(&[], "the variable HOOK_KEYS_MASTER_KEY", "master_key_file");
    risky(&[("HOOK_KEYS_LISTEN", "0.0.0.0:80")], "other machines get there", "proxy that speaks TLS");
    risky(&[("HOOK_KEYS_OUTBOUND_ALLOW_HTTP", "true")], "over plain HTTP", "outbound.allow_http = false");
    risky(&[("HOOK_KEYS_OUTBOUND_ALLOW", "10.0.0.0/8")], "may call 10.0.0.0/8", "outbound.allow");
    risky(&[("HOOK_KEYS_KEYS_MIN_RSA_BITS", "1024")], "keys.min_rsa_bits = 1024", "2048");
    risky(&[("HOOK_KEYS_LISTENN", "x")], "HOOK_KEYS_LISTENN looks like a setting", "unset HOOK_KEYS_LISTENN");
    assert_eq!(doctor(&[]).len(), 1);
    stdout(&super::keyring(&server, &["rotate"]));
    risky(&[], "seals 1 value(s), and is not the newest", "hook-keys keyring reseal");
    stdout(&super::keyring(&server, &["reseal"]));
    risky(&[], "its data key is kept for nothing", "hook-keys keyring retire 1");
    stdout(&super::keyring(&server, &["retire", "1"]));
    assert_eq!(doctor(&[]).len(), 1);
}

#[test]
fn settings_that_are_refused_are_wrong() {
    let output = hook_keys()
        .args(["doctor", "--json"])
        .env("HOOK_KEYS_DATABASE_URL", "sqlite:x.db")
        .env("HOOK_KEYS_POOL_SIZE", "-1")
        .output()
        .unwrap();
    let wrong = found(&output, "wrong");
    assert!(wrong.len() == 1 && wrong[0].0.contains("pool_size"), "{wrong:?}");
}
