//! Progress: on a terminal, and nowhere else.

use std::process::{Command, Output};
use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use diesel::{Connection as _, SqliteConnection};

use super::older;
use super::scene::{KEY, copy, plain, settings};
use super::target;
use crate::harness::Database;
use crate::harness::process::{Dev, on, stdout};

/// Runs a command under a pseudo-terminal, and returns all that came out there.
pub fn on_a_terminal(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let line = arguments.iter().fold(env!("CARGO_BIN_EXE_hook-keys").to_owned(), |line, argument| {
        assert!(!argument.contains('\''), "{argument}");
        format!("{line} '{argument}'")
    });
    Command::new("script")
        .args(["-qec", &line, "/dev/null"])
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("SHELL", "/bin/sh")
        .env("TERM", "xterm")
        .envs(variables.iter().copied())
        .output()
        .unwrap()
}

/// What hides the cursor: who is ended after it leaves a terminal without one.
pub const HIDE: &str = "\x1b[?25l";

#[test]
fn a_copy_shows_a_bar_on_a_terminal_only() {
    let (_source_directory, source) = plain(3000);
    let (_directory, quiet) = target();
    let plain = copy(&source.url(), &quiet.url()).output().unwrap();
    assert_eq!(String::from_utf8(plain.stderr.clone()).unwrap(), "");
    let (_directory, shown) = target();
    let line = ["copy", "--from", &source.url(), "--to", &shown.url()];
    let seen = stdout(&on_a_terminal(&line, &[("HOOK_KEYS_MASTER_KEY", KEY)]));
    assert!(seen.contains("copying [") && seen.contains("/3002, "), "{seen:?}");
    assert!(!seen.contains(HIDE), "{seen:?}");
    let result = stdout(&plain).replace('\n', "\r\n");
    assert!(seen.ends_with(&result), "the bar is gone when the result comes: {seen:?}");
}

#[tokio::test]
async fn keyring_verify_and_reseal_show_a_bar_on_a_terminal_only() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let dev = Dev::start(&data, &[]);
    dev.client().create("one").await;
    drop(dev);
    let plain = on(&data, &["keyring", "verify"]);
    assert_eq!((stdout(&plain).as_str(), plain.stderr.len()), ("1 sound, 0 broken\n", 0));
    let seen = on_a_terminal(&["keyring", "verify", "--data-dir", data.to_str().unwrap()], &[]);
    let seen = stdout(&seen);
    assert!(seen.contains("opening [") && seen.contains("/1, ") && !seen.contains(HIDE), "{seen:?}");
    assert!(seen.ends_with("1 sound, 0 broken\r\n"), "{seen:?}");
    stdout(&on(&data, &["keyring", "rotate"]));
    let seen = on_a_terminal(&["keyring", "reseal", "--data-dir", data.to_str().unwrap()], &[]);
    let seen = stdout(&seen);
    assert!(seen.contains("resealing [") && seen.contains("/1, ") && !seen.contains(HIDE), "{seen:?}");
    assert!(seen.ends_with("1 value(s) sealed anew under term 2, 0 left under older terms\r\n"), "{seen:?}");
    stdout(&on(&data, &["keyring", "rotate"]));
    let quiet = on(&data, &["keyring", "reseal"]);
    assert_eq!((quiet.status.success(), quiet.stderr.len()), (true, 0));
}

#[test]
fn what_cannot_tell_how_far_it_is_turns_a_spinner_after_a_while() {
    let (_directory, source) = plain(1);
    let Database::Sqlite(path) = &source else { unreachable!() };
    let mut other = SqliteConnection::establish(&path.to_string_lossy()).unwrap();
    let url = source.url();
    let variables = [("HOOK_KEYS_DATABASE_URL", url.as_str())];
    let slow = |arguments: &[&str], other: &mut SqliteConnection| {
        // Somebody else writes for a while.
        other.batch_execute("BEGIN IMMEDIATE").unwrap();
        std::thread::scope(|scope| {
            let run = scope.spawn(|| on_a_terminal(arguments, &variables));
            std::thread::sleep(Duration::from_millis(2500));
            other.batch_execute("ROLLBACK").unwrap();
            stdout(&run.join().unwrap())
        })
    };
    older(&source);
    let migrated = slow(&["migrate"], &mut other);
    assert!(migrated.contains("migrating") && !migrated.contains(HIDE), "{migrated:?}");
    let deleted = slow(&["org", "delete", "acme", "--force"], &mut other);
    assert!(deleted.contains("deleting") && deleted.ends_with("deleted the org acme\r\n"), "{deleted:?}");
    // What is quick shows nothing, and neither does what has no terminal.
    stdout(&settings(&source).args(["org", "create", "acme"]).output().unwrap());
    let quick = stdout(&on_a_terminal(&["org", "delete", "acme", "--force"], &variables));
    assert_eq!(quick, "deleted the org acme\r\n");
}
