//! The commands, run as an operator runs them.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::harness::process::{Dev, Serve, complaint, hook_keys, on, stdout};
use crate::harness::service::Service;
use crate::harness::{Client, hook, http_channel, path_of_hook};

const KEYS: &str = "/api/v1/hook-keys";

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// A directory for one test, and the data directory in it that does not exist yet.
fn directory() -> (tempfile::TempDir, std::path::PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    (directory, data)
}

#[tokio::test]
async fn dev_makes_everything_and_prints_a_line_that_works_when_pasted() {
    let (_directory, data) = directory();
    let dev = Dev::start(&data, &[]);
    let line = dev.greeting.lines().find(|line| line.trim().starts_with("curl ")).unwrap();
    for _ in 0..2 {
        let pasted = Command::new("sh").args(["-c", &format!("{line} -sS --fail")]).output().unwrap();
        assert_eq!(stdout(&pasted), "[]");
    }
    assert!(dev.greeting.contains("Inline hooks may call this machine over plain HTTP"), "{}", dev.greeting);
    assert_eq!(mode(&data), 0o700);
    for file in ["hook-keys.db", "hook-keys.db-wal", "master.key", "admin-token"] {
        assert_eq!(mode(&data.join(file)), 0o600, "{file}");
    }
    assert_eq!(std::fs::read_to_string(data.join("admin-token")).unwrap().trim(), dev.token);
}

#[tokio::test]
async fn dev_lets_hooks_call_this_machine_unless_it_is_told_where_they_may_call() {
    let service = Service::answering(json!({}));
    for (variables, status) in [
        (vec![], 200),
        (vec![("HOOK_KEYS_OUTBOUND_ALLOW", "10.0.0.0/8"), ("HOOK_KEYS_OUTBOUND_ALLOW_HTTP", "true")], 400),
    ] {
        let (_directory, data) = directory();
        let dev = Dev::start_in(&data, &[], &variables);
        let says_so = dev.greeting.contains("Inline hooks may call this machine");
        let made = dev.client().create_hook(hook("h", http_channel(&service.base))).await;
        let answer = dev.client().post(&(path_of_hook(&made) + "/execute"), json!({})).await;
        assert_eq!((answer.expect(status).status == 200, says_so), (status == 200, status == 200));
    }
    assert_eq!(service.calls(), 1);
}

#[tokio::test]
async fn a_later_dev_reuses_token_keys_and_master_key() {
    let (_directory, data) = directory();
    let dev = Dev::start(&data, &[]);
    let token = dev.token.clone();
    let key = dev.client().create("kept").await;
    let master_key = std::fs::read(data.join("master.key")).unwrap();
    assert_eq!(dev.terminate(), Some(0));

    let dev = Dev::start(&data, &[]);
    assert_eq!(dev.token, token);
    let seen = dev.client().get(&(crate::harness::path_of(&key) + "?expand=publickey")).await;
    assert_eq!(seen.expect(200).json(), key);
    assert_eq!(std::fs::read(data.join("master.key")).unwrap(), master_key);
    let tokens: Value = serde_json::from_str(&stdout(&on(&data, &["token", "list", "--json"]))).unwrap();
    assert_eq!(tokens.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn dev_replaces_a_token_that_no_longer_works() {
    let (_directory, data) = directory();
    let dev = Dev::start(&data, &[]);
    let (old, old_id) = (dev.token.clone(), token_ids(&data).remove(0));
    stdout(&on(&data, &["token", "revoke", &old_id]));
    drop(dev);
    let dev = Dev::start(&data, &[]);
    assert_ne!(dev.token, old);
    dev.client().get(KEYS).await.expect(200);
}

#[tokio::test]
async fn dev_does_not_make_a_second_master_key_for_a_database_that_has_one() {
    let (_directory, data) = directory();
    Dev::start(&data, &[]).kill();
    std::fs::remove_file(data.join("master.key")).unwrap();
    let refused = complaint(&on(&data, &["dev", "--listen", "127.0.0.1:0"]));
    assert!(refused.contains("master.key is missing"), "{refused}");
    assert!(!data.join("master.key").exists());
}

#[tokio::test]
async fn a_port_that_is_taken_is_a_clear_refusal() {
    let (_directory, data) = directory();
    let dev = Dev::start(&data, &[]);
    let address = dev.base.strip_prefix("http://").unwrap();
    let refused = complaint(&on(&data, &["dev", "--listen", address]));
    assert!(refused.contains(address) && refused.contains("choose another --listen"), "{refused}");
}

#[tokio::test]
async fn orgs_and_tokens_made_while_the_server_runs_work_at_once() {
    let (_directory, data) = directory();
    let dev = Dev::start(&data, &[]);
    stdout(&on(&data, &["org", "create", "acme", "--max-hook-keys", "1"]));
    let create = on(&data, &["token", "create", "--org", "acme", "--name", "ci"]);
    let token = stdout(&create);
    assert_eq!((token.lines().count(), token.trim().len()), (1, 42), "the token and nothing else");
    let acme = Client::new(&dev.base, Some(&format!("SSWS {}", token.trim())));
    acme.create("one").await;
    acme.post(KEYS, json!({ "name": "two" })).await.expect(400);
    stdout(&on(&data, &["org", "update", "acme", "--max-hook-keys", "default"]));
    acme.create("two").await;

    let refused = complaint(&on(&data, &["org", "delete", "acme"]));
    assert!(refused.contains("2 hook key(s)") && refused.contains("--force"), "{refused}");
    stdout(&on(&data, &["org", "delete", "acme", "--force"]));
    acme.get(KEYS).await.expect_error(401, "E0000011", "");
    let orgs: Value = serde_json::from_str(&stdout(&on(&data, &["org", "list", "--json"]))).unwrap();
    assert_eq!(orgs.as_array().unwrap().len(), 1);
    assert_eq!(orgs[0]["name"], "default");
}

#[tokio::test]
async fn a_token_revoked_while_the_server_runs_stops_soon() {
    let (_directory, data) = directory();
    let dev = Dev::start(&data, &[]);
    let made = on(&data, &["token", "create", "--org", "default", "--name", "ci", "--json"]);
    let made: Value = serde_json::from_str(&stdout(&made)).unwrap();
    assert_eq!((&made["permissions"], &made["sliding"]), (&json!("okta.inlineHooks.manage"), &json!(true)));
    let client = Client::new(&dev.base, Some(&format!("SSWS {}", made["token"].as_str().unwrap())));
    client.get(KEYS).await.expect(200);
    let revoked = on(&data, &["token", "revoke", made["id"].as_str().unwrap()]);
    assert_eq!(stdout(&revoked), format!("revoked {}\n", made["id"].as_str().unwrap()));
    let remark = String::from_utf8(revoked.stderr).unwrap();
    assert!(remark.contains("refuse it within 1s"), "{remark}");
    client.until(KEYS, 401).await.expect_error(401, "E0000011", "");

    let listed: Value = serde_json::from_str(&stdout(&on(&data, &["token", "list", "--json"]))).unwrap();
    assert_eq!(listed[1]["state"], "revoked");
    assert!(listed[1].get("token").is_none(), "a secret is shown once");
    let table = stdout(&on(&data, &["token", "list", "--org", "default"]));
    assert!(table.starts_with("ID ") && table.contains("revoked") && !table.contains(&dev.token), "{table}");
}

#[tokio::test]
async fn the_last_use_of_a_token_outlives_the_process() {
    let (_directory, data) = directory();
    let dev = Dev::start(&data, &[]);
    dev.client().get(KEYS).await.expect(200);
    assert_eq!(dev.terminate(), Some(0));
    let listed: Value = serde_json::from_str(&stdout(&on(&data, &["token", "list", "--json"]))).unwrap();
    assert!(listed[0]["lastUsed"].is_string(), "{listed}");
}

#[tokio::test]
async fn a_stopped_server_leaves_everything_in_the_database_file_itself() {
    let (_directory, data) = directory();
    let dev = Dev::start(&data, &[]);
    dev.client().create("kept").await;
    assert_eq!(dev.terminate(), Some(0));
    assert!(!data.join("hook-keys.db-wal").exists(), "the log was not merged");
    assert!(stdout(&on(&data, &["keyring", "verify"])).contains("1 sound, 0 broken"));
}

#[test]
fn wrong_arguments_are_refused_with_the_remedy() {
    let (_directory, data) = directory();
    Dev::start(&data, &[]).kill();
    let cases: [(&[&str], &str); 9] = [
        (&["org", "create", "Bad Name"], "is not an org name: use 1 to 63 lower-case"),
        (&["org", "create", "default"], "\"default\" exists already"),
        (&["org", "delete", "nobody"], "there is no org \"nobody\": `hook-keys org list` shows all"),
        (&["token", "create", "--org", "nobody", "--name", "x"], "there is no org \"nobody\""),
        (&["token", "create", "--org", "default", "--name", ""], "name: The field cannot be left blank"),
        (&["token", "create", "--org", "default", "--name", "x", "--permission", "root"], "use one of okta."),
        (
            &["token", "create", "--org", "default", "--name", "x", "--expires-in", "soon"],
            "write for example 90d",
        ),
        (&["token", "revoke", "00Tnothing"], "is not a token id"),
        (&["token", "revoke", "00T00000000000000000"], "there is no token 00T00000000000000000"),
    ];
    for (arguments, part) in cases {
        let refused = complaint(&on(&data, arguments));
        assert!(refused.contains(part), "{arguments:?} gave {refused}");
    }
    let nowhere = complaint(&hook_keys().args(["org", "list"]).output().unwrap());
    assert!(nowhere.contains("say where the data is"), "{nowhere}");
    let usage = hook_keys().args(["org", "update", "default", "--max-hook-keys", "many"]).output().unwrap();
    assert_eq!(usage.status.code(), Some(2));
}

#[test]
fn a_token_with_a_fixed_expiry_shows_it() {
    let (_directory, data) = directory();
    Dev::start(&data, &[]).kill();
    let create = ["token", "create", "--org", "default", "--name", "x", "--expires-in", "90d", "--json"];
    let made: Value = serde_json::from_str(&stdout(&on(&data, &create))).unwrap();
    assert_eq!(made["sliding"], false);
    let moment =
        |member: &str| made[member].as_str().unwrap().parse::<hook_keys::domain::Timestamp>().unwrap();
    assert_eq!((moment("expires") - moment("created")).num_days(), 90);
}

/// A settings file with its own database and, unless `master_key` is empty, master key file.
fn settings_file(directory: &Path, master_key: &str) -> std::path::PathBuf {
    let (file, key) = (directory.join("hook-keys.toml"), directory.join("master.key"));
    let mut text = format!(
        "listen = \"127.0.0.1:0\"\npool_size = 1\ndatabase_url = \"sqlite:{}\"\n",
        directory.join("serve.db").display()
    );
    if !master_key.is_empty() {
        std::fs::write(&key, master_key).unwrap();
        std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
        text = format!("{text}master_key_file = \"{}\"\n", key.display());
    }
    std::fs::write(&file, text).unwrap();
    file
}

const KEY_A: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
const KEY_B: &str = "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBA=";

/// Starts `serve`, waits for its first line and ends it.
fn serve_once(file: &Path) {
    Serve::start(file, &[]).kill();
}

fn serve(file: &Path) -> std::process::Output {
    hook_keys().arg("serve").arg("--config").arg(file).output().unwrap()
}

#[test]
fn serve_starts_with_a_master_key_and_refuses_without_one_or_with_another() {
    let directory = tempfile::tempdir().unwrap();
    let file = settings_file(directory.path(), "");
    let refused = complaint(&serve(&file));
    assert!(refused.contains("there is no master key: set master_key_file"), "{refused}");
    serve_once(&settings_file(directory.path(), KEY_A));
    let file = settings_file(directory.path(), KEY_B);
    let refused = complaint(&serve(&file));
    assert!(
        refused.contains("does not open term 1") && refused.contains("start with the master key"),
        "{refused}"
    );
    assert!(!refused.contains(KEY_B), "{refused}");
    serve_once(&settings_file(directory.path(), KEY_A));
}

#[test]
fn a_master_key_that_others_may_read_or_that_is_none_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let file = settings_file(directory.path(), KEY_A);
    let key = directory.path().join("master.key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o640)).unwrap();
    let refused = complaint(&serve(&file));
    assert!(refused.contains("mode 0640") && refused.contains("chmod 600"), "{refused}");
    for text in ["", "short", "AAAA", &format!("{KEY_A}x"), &"A".repeat(4096)] {
        let refused = complaint(&serve(&settings_file(directory.path(), &format!("{text}\n"))));
        assert!(refused.contains("does not hold a master key"), "{text:?} gave {refused}");
    }
    std::fs::remove_file(&key).unwrap();
    assert!(complaint(&serve(&file)).contains("cannot be read"));
}

#[test]
fn the_master_key_can_come_from_the_environment() {
    let directory = tempfile::tempdir().unwrap();
    let file = settings_file(directory.path(), "");
    let check = |key: &str| {
        let mut command = hook_keys();
        command
            .env("HOOK_KEYS_MASTER_KEY", key)
            .args(["config", "check", "--config"])
            .arg(&file)
            .output()
            .unwrap()
    };
    assert_eq!(stdout(&check(KEY_A)), "the settings are valid\n");
    let refused = complaint(&check("secret"));
    assert!(refused.contains("HOOK_KEYS_MASTER_KEY") && !refused.contains("secret"), "{refused}");
}

#[test]
fn a_database_of_a_newer_version_is_refused_by_every_command() {
    let directory = tempfile::tempdir().unwrap();
    let file = settings_file(directory.path(), KEY_A);
    serve_once(&file);
    let database = directory.path().join("serve.db");
    for statement in [
        "INSERT INTO __diesel_schema_migrations (version) VALUES ('99991231000000')",
        "UPDATE schema_floor SET version = '99991231000000'",
    ] {
        crate::harness::sql(&database, statement);
    }
    for command in
        [&["serve"][..], &["org", "list"], &["migrate"], &["migrate", "--check"], &["keyring", "verify"]]
    {
        let refused = complaint(&hook_keys().args(command).arg("--config").arg(&file).output().unwrap());
        assert!(refused.contains("migrated by a newer hook-keys"), "{command:?} gave {refused}");
        assert!(refused.contains("start that newer version"), "{command:?} gave {refused}");
    }
}

#[test]
fn migrate_brings_a_new_database_up_and_check_tells_what_is_missing() {
    let directory = tempfile::tempdir().unwrap();
    let file = settings_file(directory.path(), KEY_A);
    let run = |arguments: &[&str]| hook_keys().args(arguments).arg("--config").arg(&file).output().unwrap();
    let missing = complaint(&run(&["org", "list"]));
    assert!(missing.contains("there is no database") && missing.contains("hook-keys migrate"), "{missing}");
    assert!(complaint(&run(&["migrate", "--check"])).contains("there is no database"));
    assert!(!directory.path().join("serve.db").exists());

    std::fs::write(directory.path().join("serve.db"), "").unwrap();
    let all = std::fs::read_dir("migrations/sqlite").unwrap().count();
    let pending = complaint(&run(&["migrate", "--check"]));
    assert!(pending.contains(&format!("{all} migration(s) pending")), "{pending}");
    for command in [&["org", "list"][..], &["serve", "--no-migrate"]] {
        let refused = complaint(&run(command));
        assert!(
            refused.contains(&format!("the database lacks {all} migration(s)")),
            "{command:?}: {refused}"
        );
        assert!(refused.contains("run `hook-keys migrate`"), "{command:?}: {refused}");
    }
    assert_eq!(stdout(&run(&["migrate"])).lines().count(), all);
    assert_eq!(stdout(&run(&["migrate", "--check"])), "");
    assert_eq!(stdout(&run(&["migrate"])), "");
    stdout(&run(&["org", "create", "acme"]));
}

#[test]
fn a_file_that_is_no_database_is_refused_and_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let file = settings_file(directory.path(), KEY_A);
    let text = "not a database, but long enough to look at".repeat(100);
    std::fs::write(directory.path().join("serve.db"), &text).unwrap();
    let refused = complaint(&serve(&file));
    assert!(refused.contains("cannot be opened") && refused.contains("not a database"), "{refused}");
    assert_eq!(std::fs::read_to_string(directory.path().join("serve.db")).unwrap(), text);
}

#[test]
fn config_sample_is_a_valid_file_and_show_tells_where_each_value_comes_from() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("hook-keys.toml");
    std::fs::write(&file, stdout(&hook_keys().args(["config", "sample"]).output().unwrap())).unwrap();
    let mut show = hook_keys();
    show.env("HOOK_KEYS_LIMITS_HOOK_KEYS_PER_ORG", "7").env("HOOK_KEYS_MASTER_KEY", "never shown");
    let shown = show.args(["config", "show", "--config"]).arg(&file).output().unwrap();
    let text = stdout(&shown);
    let row = |key: &str| {
        let line = text.lines().find(|line| line.starts_with(key)).unwrap();
        line.split_whitespace().skip(1).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(row("limits.hook_keys_per_org"), ["7", "environment"]);
    assert_eq!(row("listen"), ["\"127.0.0.1:8080\"", "file"]);
    assert!(!text.contains("never shown"), "{text}");
}

#[test]
fn a_settings_file_with_an_unknown_or_wrong_setting_is_refused_by_name() {
    let directory = tempfile::tempdir().unwrap();
    let file = settings_file(directory.path(), KEY_A);
    let good = std::fs::read_to_string(&file).unwrap();
    for (line, part) in [
        ("poolsize = 3", "poolsize is not a setting: `hook-keys config sample` lists them all"),
        ("log = \"hook_keys=loud\"", "is not a log filter"),
        ("log = \"debg\"", "\"debg\" is none of error, warn, info, debug and trace"),
        ("[limits]\nhook_keys_per_org = \"many\"", "limits.hook_keys_per_org must be of type integer"),
    ] {
        std::fs::write(&file, format!("{good}{line}\n")).unwrap();
        for command in [&["config", "check"][..], &["serve"]] {
            let refused = complaint(&hook_keys().args(command).arg("--config").arg(&file).output().unwrap());
            assert!(refused.contains(part), "{line} gave {refused}");
        }
    }
}

#[tokio::test]
async fn an_error_id_leads_to_its_line_in_the_log() {
    let (_directory, data) = directory();
    let dev = Dev::start(&data, &[]);
    let refused = dev.client().get("/api/v1/hook-keys/none?secret=query").await.expect(404);
    let error_id = refused.json()["errorId"].as_str().unwrap().to_owned();
    let log = dev.log_text();
    let line = log.lines().find(|line| line.contains(&error_id)).unwrap();
    for part in [
        refused.header("x-okta-request-id").unwrap(),
        "status=404",
        "path=\"/api/v1/hook-keys/none\"",
        "token=\"00T",
    ] {
        assert!(line.contains(part), "{part} is not in {line}");
    }
    assert!(!log.contains("secret=query") && !log.contains(&dev.token), "{log}");
}

fn token_ids(data: &Path) -> Vec<String> {
    let listed: Value = serde_json::from_str(&stdout(&on(data, &["token", "list", "--json"]))).unwrap();
    listed.as_array().unwrap().iter().map(|token| token["id"].as_str().unwrap().to_owned()).collect()
}
