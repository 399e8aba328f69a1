//! First starts: alone, two at once, after a kill, and beside files that are already there.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use crate::harness::process::{Dev, complaint, hook_keys, on, stdout};
use crate::harness::sql;

const KEY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
const KEYS: &str = "/api/v1/hook-keys";

/// A directory for one test, and the data directory in it that does not exist yet.
fn directory() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    (directory, data)
}

/// Runs `work` twice at the same time.
fn twice<T: Send>(work: impl Fn() -> T + Sync) -> [T; 2] {
    std::thread::scope(|scope| {
        let threads = [scope.spawn(&work), scope.spawn(&work)];
        threads.map(|thread| thread.join().unwrap())
    })
}

fn names(directory: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// A command on a database of its own, with all settings from the environment.
fn with_database(database: &Path, arguments: &[&str]) -> Command {
    let mut command = hook_keys();
    command.args(arguments).env("HOOK_KEYS_DATABASE_URL", format!("sqlite:{}", database.display()));
    command.env("HOOK_KEYS_MASTER_KEY", KEY);
    command.env("HOOK_KEYS_LISTEN", "127.0.0.1:0").env("HOOK_KEYS_POOL_SIZE", "0");
    command
}

#[tokio::test]
async fn two_first_starts_of_dev_at_once_share_one_master_key_and_one_token() {
    for _ in 0..8 {
        let (_directory, data) = directory();
        let [one, two] = twice(|| Dev::start(&data, &[]));
        assert_eq!(one.token, two.token);
        one.client().create("one").await;
        two.client().create("two").await;
        drop((one, two));
        assert!(stdout(&on(&data, &["keyring", "verify"])).contains("2 sound, 0 broken"));
        assert_eq!(stdout(&on(&data, &["org", "list"])).lines().count(), 2, "a title and one org");
        assert_eq!(stdout(&on(&data, &["token", "list"])).lines().count(), 2, "a title and one token");
        assert!(names(&data).iter().all(|name| !name.contains("draft")), "{:?}", names(&data));
        Dev::start(&data, &[]).client().get(KEYS).await.expect(200);
    }
}

#[test]
fn of_two_first_starts_on_one_port_one_serves_and_the_other_is_refused() {
    let (_directory, data) = directory();
    let both = |address: &str| {
        twice(|| {
            let mut command = hook_keys();
            command.args(["dev", "--pool-size", "0", "--listen", address, "--data-dir"]).arg(&data);
            let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            let mut greeting = [0; 1];
            let serves = std::io::Read::read(child.stdout.as_mut().unwrap(), &mut greeting).unwrap() == 1;
            (serves, child)
        })
    };
    loop {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let outcomes = both(&free).map(|(serves, mut child)| {
            let _ = child.kill();
            (serves, child.wait_with_output().unwrap())
        });
        match &outcomes {
            [(true, _), (false, refused)] | [(false, refused), (true, _)] => {
                let refused = complaint(refused);
                assert!(refused.contains(&free) && refused.contains("choose another --listen"), "{refused}");
                break;
            }
            // Another test got the port in between.
            [(false, _), (false, _)] => {}
            outcomes => panic!("both serve on {free}: {outcomes:?}"),
        }
    }
    let dev = Dev::start(&data, &[]);
    assert_eq!(stdout(&on(&data, &["token", "list"])).lines().count(), 2, "a title and one token");
    dev.kill();
}

#[test]
fn a_first_start_on_a_taken_port_makes_nothing() {
    let (directory, data) = directory();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    complaint(&on(&data, &["dev", "--listen", &address]));
    assert_eq!(names(directory.path()), BTreeSet::new());
}

#[test]
fn a_master_key_that_is_a_broken_link_is_not_replaced() {
    let (_directory, data) = directory();
    std::fs::create_dir(&data).unwrap();
    std::os::unix::fs::symlink("/nowhere/master.key", data.join("master.key")).unwrap();
    let refused = complaint(&on(&data, &["dev", "--listen", "127.0.0.1:0"]));
    assert!(refused.contains("master.key") && refused.contains("cannot be read"), "{refused}");
    assert!(data.join("master.key").is_symlink());
}

#[tokio::test]
async fn dev_after_migrate_makes_the_master_key_that_no_data_key_needs_yet() {
    let (_directory, data) = directory();
    std::fs::create_dir(&data).unwrap();
    stdout(&on(&data, &["migrate"]));
    stdout(&on(&data, &["org", "create", "acme"]));
    let dev = Dev::start(&data, &[]);
    dev.client().create("one").await;
    drop(dev);
    assert!(stdout(&on(&data, &["keyring", "verify"])).contains("1 sound, 0 broken"));
}

#[test]
fn dev_removes_the_drafts_that_a_killed_start_left() {
    let (_directory, data) = directory();
    std::fs::create_dir(&data).unwrap();
    for name in ["master.draft-1", "admin-token.draft-4711", "admin-token.notes"] {
        std::fs::write(data.join(name), "text").unwrap();
    }
    Dev::start(&data, &[]).kill();
    let left: Vec<_> = names(&data).into_iter().filter(|name| !name.starts_with("hook-keys.db")).collect();
    assert_eq!(left, ["admin-token", "admin-token.notes", "master.key", "start.lock"]);
}

#[tokio::test]
async fn a_first_start_that_is_killed_at_any_moment_leaves_nothing_that_the_next_one_cannot_mend() {
    for round in 0..16 {
        let (_directory, data) = directory();
        let mut command = hook_keys();
        command.args(["dev", "--listen", "127.0.0.1:0", "--pool-size", "0", "--data-dir"]).arg(&data);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(5 * round));
        child.kill().unwrap();
        child.wait().unwrap();
        let dev = Dev::start(&data, &[]);
        dev.client().get(KEYS).await.expect(200);
        drop(dev);
        assert_eq!(stdout(&on(&data, &["token", "list"])).lines().count(), 2, "a title and one token");
        assert!(names(&data).iter().all(|name| !name.contains("draft")), "{:?}", names(&data));
    }
}

#[test]
fn a_token_that_cannot_be_left_in_the_directory_is_not_made() {
    let (_directory, data) = directory();
    std::fs::create_dir_all(data.join("admin-token")).unwrap();
    let refused = complaint(&on(&data, &["dev", "--listen", "127.0.0.1:0"]));
    assert!(refused.contains("admin-token cannot be written"), "{refused}");
    assert_eq!(stdout(&on(&data, &["token", "list"])).lines().count(), 1, "a title and no token");
}

#[tokio::test]
async fn dev_replaces_a_token_that_a_killed_start_did_not_get_to_store() {
    let (_directory, data) = directory();
    std::fs::create_dir(&data).unwrap();
    let unknown = format!("00{}", "x".repeat(40));
    std::fs::write(data.join("admin-token"), &unknown).unwrap();
    let dev = Dev::start(&data, &[]);
    assert_ne!(dev.token, unknown);
    dev.client().get(KEYS).await.expect(200);
    assert_eq!(std::fs::read_to_string(data.join("admin-token")).unwrap().trim(), dev.token);
}

#[test]
fn two_migrations_of_a_new_database_at_once_share_the_work() {
    let directory = tempfile::tempdir().unwrap();
    let lines = |output: &Output| stdout(output).lines().count();
    let alone = lines(&with_database(&directory.path().join("alone.db"), &["migrate"]).output().unwrap());
    for round in 0..40 {
        let database = directory.path().join(format!("{round}.db"));
        let both = twice(|| with_database(&database, &["migrate"]).output().unwrap());
        assert_eq!(both.each_ref().map(lines).iter().sum::<usize>(), alone, "{both:?}");
    }
}

#[test]
fn two_first_starts_of_serve_at_once_both_come_up() {
    let directory = tempfile::tempdir().unwrap();
    for round in 0..10 {
        let database = directory.path().join(format!("{round}.db"));
        let serve = || {
            let mut command = with_database(&database, &["serve"]);
            let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
            let mut line = String::new();
            let mut lines = std::io::BufReader::new(child.stdout.as_mut().unwrap());
            std::io::BufRead::read_line(&mut lines, &mut line).unwrap();
            let _ = child.kill();
            (line, child.wait_with_output().unwrap())
        };
        for (line, output) in twice(serve) {
            assert!(line.contains("serves http://127.0.0.1:"), "{output:?}");
        }
    }
}

#[tokio::test]
async fn a_database_deleted_under_a_server_does_not_come_back_empty() {
    let (_directory, data) = directory();
    let dev = Dev::start(&data, &[]);
    for name in names(&data).iter().filter(|name| name.starts_with("hook-keys.db")) {
        std::fs::remove_file(data.join(name)).unwrap();
    }
    let requests = (0..64).map(|_| {
        let request = dev.client().request(reqwest::Method::GET, KEYS);
        tokio::spawn(async move { request.send().await.unwrap().status().as_u16() })
    });
    for answer in requests.collect::<Vec<_>>() {
        let status = answer.await.unwrap();
        assert!(status == 200 || status == 500, "{status}");
    }
    assert!(names(&data).iter().all(|name| !name.starts_with("hook-keys.db")), "{:?}", names(&data));
}

#[tokio::test]
async fn the_path_of_a_database_is_taken_as_it_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("50% off?mode=memory#x äé");
    let dev = Dev::start(&data, &[]);
    dev.client().create("one").await;
    assert!(data.join("hook-keys.db").exists());
    drop(dev);
    let twice_rooted = format!("/{}", data.display());
    let verified = on(Path::new(&twice_rooted), &["keyring", "verify"]);
    assert!(stdout(&verified).contains("1 sound, 0 broken"));
    let mut relative = hook_keys();
    relative.current_dir(&data).args(["keyring", "verify", "--data-dir", "."]);
    assert!(stdout(&relative.output().unwrap()).contains("1 sound, 0 broken"));
}

#[test]
fn a_database_url_that_is_more_than_a_path_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    for url in ["sqlite::memory:", "sqlite:file:bar.db", "sqlite://rel.db", "sqlite:///abs.db"] {
        let mut command = hook_keys();
        command.current_dir(directory.path()).env("HOOK_KEYS_DATABASE_URL", url);
        let refused = complaint(&command.arg("migrate").output().unwrap());
        assert!(refused.contains("database_url: use `sqlite:` and the path of a file"), "{url}: {refused}");
        assert_eq!(names(directory.path()), BTreeSet::new(), "{url}");
    }
}

#[test]
fn the_database_of_another_program_is_refused_and_left_as_it_was() {
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join("notes.db");
    sql(&database, "CREATE TABLE notes (text TEXT)");
    std::fs::set_permissions(&database, std::fs::Permissions::from_mode(0o644)).unwrap();
    let before = std::fs::read(&database).unwrap();
    for command in [&["migrate", "--check"][..], &["org", "list"], &["migrate"], &["serve"]] {
        let refused = complaint(&with_database(&database, command).output().unwrap());
        assert!(refused.contains("belongs to another program"), "{command:?} gave {refused}");
        assert!(std::fs::read(&database).unwrap() == before, "{command:?} changed the file");
        assert_eq!(names(directory.path()), ["notes.db".to_owned()].into());
    }
}

#[test]
fn the_database_of_another_program_with_migrations_of_its_own_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join("notes.db");
    sql(&database, "CREATE TABLE __diesel_schema_migrations (version VARCHAR(50) PRIMARY KEY NOT NULL)");
    sql(&database, "INSERT INTO __diesel_schema_migrations (version) VALUES ('20200101000000')");
    sql(&database, "CREATE TABLE notes (text TEXT)");
    let refused = complaint(&with_database(&database, &["migrate"]).output().unwrap());
    assert!(refused.contains("belongs to another program"), "{refused}");
}

#[test]
fn checks_change_neither_an_empty_file_nor_a_database_that_is_complete() {
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join("serve.db");
    let run = |arguments: &[&str]| with_database(&database, arguments).output().unwrap();
    std::fs::write(&database, "").unwrap();
    for command in [&["migrate", "--check"][..], &["org", "list"], &["keyring", "verify"]] {
        complaint(&run(command));
        assert_eq!(std::fs::metadata(&database).unwrap().len(), 0, "{command:?}");
    }
    stdout(&run(&["migrate"]));
    let before = std::fs::read(&database).unwrap();
    for command in [&["migrate", "--check"][..], &["org", "list"], &["keyring", "verify"], &["migrate"]] {
        stdout(&run(command));
        assert!(std::fs::read(&database).unwrap() == before, "{command:?} changed the file");
        assert_eq!(names(directory.path()), ["serve.db".to_owned()].into());
    }
}
