//! What goes wrong around the service must not take it along.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::Stdio;

use hook_keys::app::Parts;

use crate::harness::process::{Dev, complaint, hook_keys, on, stdout};
use crate::harness::{Client, Server, sql};

const KEYS: &str = "/api/v1/hook-keys";

#[tokio::test]
async fn a_log_that_nobody_reads_stops_no_request() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let mut command = hook_keys();
    command.args(["dev", "--listen", "127.0.0.1:0", "--pool-size", "0", "--data-dir"]).arg(&data);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stderr.take());
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let base = lines.find_map(|line| line.trim().strip_prefix("Base URL").map(|base| base.trim().to_owned()));
    let token = std::fs::read_to_string(data.join("admin-token")).unwrap();
    let client = Client::new(&base.unwrap(), Some(&format!("SSWS {}", token.trim())));
    for name in ["a", "b"] {
        client.create(name).await;
    }
    client.get("/api/v1/hook-keys/none").await.expect(404);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_result_that_cannot_be_written_is_a_failure_and_a_reader_that_has_gone_is_none() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    Dev::start(&data, &[]).kill();
    let full = || std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    for command in [&["org", "list"][..], &["org", "list", "--json"], &["keyring", "status"]] {
        let output = hook_keys().args(command).arg("--data-dir").arg(&data).stdout(full()).output().unwrap();
        assert!(complaint(&output).contains("could not be written"), "{command:?}");
    }
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = hook_keys().args(["org", "list", "--data-dir"]).arg(&data).stdout(writer).output().unwrap();
    assert!(output.status.success(), "{output:?}");
}

#[tokio::test]
async fn a_body_that_does_not_come_gives_its_connection_back() {
    let settings = [("HOOK_KEYS_LIMITS_BODY_TIMEOUT", "200ms")];
    let server = Server::start_with(&settings, Parts::default()).await;
    server.org("acme").await;
    let (_, token) = server.token("acme", &["all"], None).await;
    let mut stream = TcpStream::connect(server.address()).unwrap();
    let head = format!(
        "POST {KEYS} HTTP/1.1\r\nHost: x\r\nAuthorization: SSWS {token}\r\n\
         Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{{\"name\":"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");
    assert!(answer.contains("body: The body did not arrive in time"), "{answer}");
}

#[tokio::test]
async fn rows_that_another_hand_has_spoilt_are_errors_and_no_panics() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    Dev::start(&data, &[]).kill();
    let database = data.join("hook-keys.db");
    for (column, value) in [
        ("idle_ms", "9223372036854775807"),
        ("created_ms", "9223372036854775807"),
        ("last_used_ms", "-9223372036854775808"),
        ("permissions", "'root'"),
        ("id", "'x'"),
    ] {
        sql(&database, "CREATE TABLE kept AS SELECT * FROM api_tokens");
        sql(&database, &format!("UPDATE api_tokens SET {column} = {value}"));
        let output = on(&data, &["token", "list"]);
        assert!([Some(0), Some(1)].contains(&output.status.code()), "{column}: {output:?}");
        sql(&database, "DELETE FROM api_tokens");
        sql(&database, "INSERT INTO api_tokens SELECT * FROM kept");
        sql(&database, "DROP TABLE kept");
    }
    assert!(stdout(&on(&data, &["token", "list"])).contains("live"));
}
