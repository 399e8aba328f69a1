//! TLS to the database: who is trusted, who is not, and what the message says.

use std::path::Path;

use super::{make_role, run, settings, url};
use crate::harness::PostgresServer;
use crate::harness::authority::{Authority, write};
use crate::harness::process::{Serve, complaint, stdout};

/// `encrypted` is let in over TLS alone, `certified` with a certificate for that name alone.
const WHO_MAY: &str = "\
    host    all postgres  127.0.0.1/32 trust\n\
    hostssl all encrypted 127.0.0.1/32 trust\n\
    hostssl all certified 127.0.0.1/32 cert\n";

/// A server with TLS that `authority` has certified as 127.0.0.1.
fn tls_server(authority: &Authority) -> PostgresServer {
    let server = PostgresServer::start(&[]);
    make_role(&server, "encrypted", "hunter2");
    make_role(&server, "certified", "hunter2");
    server.put("pg_hba.conf", WHO_MAY);
    server.put("ca.crt", &authority.pem);
    show(&server, &authority.certify("127.0.0.1", 2999), &["ssl=on", "ssl_ca_file=ca.crt"]);
    server
}

/// Lets the server start again with another certificate.
fn show(server: &PostgresServer, (certificate, key): &(String, String), more: &[&str]) {
    server.stop("fast");
    server.put("server.crt", certificate);
    server.put("server.key", key);
    server.start_again(more);
}

#[test]
fn with_the_right_ca_file_every_connection_is_encrypted() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new("right");
    let server = tls_server(&authority);
    let url = url(&server, "encrypted");
    let refused = complaint(&run(&settings(directory.path(), &url, &[]), &["migrate"]));
    assert!(refused.contains("no encryption"), "{refused}");

    let config = settings(directory.path(), &url, &[("ca_file", &authority.file(directory.path()))]);
    stdout(&run(&config, &["migrate"]));
    let _serve = Serve::start(&config, &[]);
    let seen = server.sql(
        "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'hook-keys'",
    );
    assert!(!seen.is_empty() && seen.iter().all(|encrypted| encrypted == "t"), "{seen:?}");
}

#[test]
fn a_server_that_does_not_prove_its_name_is_refused_and_the_message_says_why() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new("right");
    let server = tls_server(&authority);
    let url = url(&server, "encrypted").replace("encrypted@", "encrypted:hunter2@");
    let required = format!("{url}?sslmode=require");
    let right = authority.file(directory.path());
    let wrong = write(directory.path(), "wrong.pem", &Authority::new("wrong").pem);
    let trusting = |url: &str, ca: &str| settings(directory.path(), url, &[("ca_file", ca)]);
    let refused = |config: &Path, reason: &str| {
        let refused = complaint(&run(config, &["migrate"]));
        assert!(refused.contains("127.0.0.1") && refused.contains(reason), "{reason}: {refused}");
        assert!(!refused.contains("hunter2"), "{refused}");
    };

    stdout(&run(&trusting(&url, &right), &["migrate"]));
    stdout(&run(&trusting(&required, &right), &["migrate"]));
    refused(&trusting(&url, &wrong), "UnknownIssuer");
    refused(&trusting(&required, &wrong), "UnknownIssuer");
    // Without a file, the authorities of the system are asked, and do not know this one.
    refused(&settings(directory.path(), &required, &[]), "UnknownIssuer");

    show(&server, &authority.certify("127.0.0.1", 2024), &[]);
    refused(&trusting(&url, &right), "certificate expired");
    show(&server, &authority.certify("localhost", 2999), &[]);
    refused(&trusting(&url, &right), "not valid for name");
    stdout(&run(&trusting(&url.replace("127.0.0.1", "localhost"), &right), &["migrate"]));
}

#[test]
fn a_client_certificate_is_shown_to_a_server_that_wants_one() {
    let directory = tempfile::tempdir().unwrap();
    let authority = Authority::new("right");
    let server = tls_server(&authority);
    let ca = authority.file(directory.path());
    let pair = |authority: &Authority, name: &str| {
        let (certificate, key) = authority.certify(name, 2999);
        let file = |end: &str, text: &str| write(directory.path(), &format!("{name}.{end}"), text);
        (file("crt", &certificate), file("key", &key))
    };
    let refused = |files: &[(&str, &str)], reason: &str| {
        let all = [&[("ca_file", ca.as_str())], files].concat();
        let refused =
            complaint(&run(&settings(directory.path(), &url(&server, "certified"), &all), &["migrate"]));
        assert!(refused.contains(reason), "{reason}: {refused}");
    };

    let (certificate, key) = pair(&authority, "certified");
    let files: [(&str, &str); 3] = [("ca_file", &ca), ("cert_file", &certificate), ("key_file", &key)];
    stdout(&run(&settings(directory.path(), &url(&server, "certified"), &files), &["migrate"]));

    refused(&[], "requires a valid client certificate");
    let (other, other_key) = pair(&authority, "other");
    refused(&[("cert_file", &other), ("key_file", &other_key)], "authentication failed");
    let (forged, forged_key) = pair(&Authority::new("wrong"), "certified");
    refused(&[("cert_file", &forged), ("key_file", &forged_key)], "PostgreSQL at 127.0.0.1");
    for alone in [("cert_file", certificate.as_str()), ("key_file", key.as_str())] {
        refused(&[alone], "postgres.cert_file and postgres.key_file go together");
    }
    refused(&[("cert_file", &other), ("key_file", &key)], "postgres.key_file: ");
}

#[test]
fn a_server_without_tls_is_refused_when_tls_is_wanted() {
    let directory = tempfile::tempdir().unwrap();
    let server = PostgresServer::start(&[]);
    let required = format!("{}?sslmode=require", server.url());
    let trusting = Authority::new("right").file(directory.path());
    for config in [
        settings(directory.path(), &required, &[]),
        settings(directory.path(), server.url(), &[("ca_file", &trusting)]),
    ] {
        let refused = complaint(&run(&config, &["migrate"]));
        assert!(refused.contains("server does not support TLS"), "{refused}");
    }
    assert_eq!(server.sql("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"), ["0"]);
}

#[test]
fn nothing_is_sent_in_clear_to_another_machine() {
    let directory = tempfile::tempdir().unwrap();
    // An address that belongs to nobody: who tried it would wait.
    for url in [
        "postgres://app:hunter2@192.0.2.1/app?sslmode=disable",
        "postgres://app:hunter2@127.0.0.1,192.0.2.1/app?sslmode=disable",
        "postgres://app:hunter2@localhost/app?hostaddr=192.0.2.1&sslmode=disable",
    ] {
        let config = settings(directory.path(), url, &[]);
        for command in [&["migrate"][..], &["org", "list"], &["serve"], &["config", "check"]] {
            let refused = complaint(&run(&config, command));
            assert!(refused.contains("on another machine, so sslmode=disable would"), "{url}: {refused}");
            assert!(!refused.contains("hunter2"), "{refused}");
        }
    }
}
