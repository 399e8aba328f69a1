//! Where hooks may call: never where the operator has not allowed it.

use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use hook_keys::app::Parts;
use hook_keys::outbound::resolve::{Found, Lookup};
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivatePkcs8KeyDer;

use crate::harness::service::Service;
use crate::harness::{Answer, Client, LOOPBACK, Server, hook, http_channel, path_of_hook};

async fn call(client: &Client, uri: &str) -> Answer {
    let name = format!("{uri} {}", client.get("/api/v1/inlineHooks").await.json().as_array().unwrap().len());
    let made = client.create_hook(hook(&name, http_channel(uri))).await;
    client.post(&(path_of_hook(&made) + "/execute"), json!({})).await
}

/// Fails unless the call was refused for its address, with this part in the cause.
#[track_caller]
fn assert_refused(answer: Answer, part: &str) {
    let body = answer.expect(400).json();
    let cause = body["errorCauses"][0]["errorSummary"].as_str().unwrap();
    assert!(body["errorCode"] == "E0000134" && cause.starts_with("hook: ") && cause.contains(part), "{body}");
}

#[tokio::test]
async fn without_the_operators_word_only_public_addresses_are_called() {
    let server = Server::start().await;
    let acme = server.org("acme").await;
    let service = Service::answering(json!({}));
    let port = service.base.rsplit(':').next().unwrap();
    // Every spelling is in the unit tests of the policy; here, that the policy is asked at all.
    for host in [
        "127.0.0.1",
        "2130706433",
        "0177.0.0.1",
        "0x7f.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "169.254.169.254",
        "0",
    ] {
        assert_refused(call(&acme, &format!("https://{host}:{port}/")).await, "is not public");
    }
    assert_refused(call(&acme, &format!("https://localhost:{port}/")).await, "is not public");
    assert_eq!(service.calls(), 0);
}

#[tokio::test]
async fn plain_http_is_for_allowed_ranges_only() {
    let server = Server::start_with(&LOOPBACK, Parts::default()).await;
    let acme = server.org("acme").await;
    let service = Service::answering(json!({}));
    call(&acme, &service.base).await.expect(200);
    assert_refused(call(&acme, "http://1.1.1.1/").await, "may be called over https:// only");
    assert_refused(call(&acme, "http://[::1]:9/").await, "is not public");

    let strict = Server::start_with(&LOOPBACK[..1], Parts::default()).await;
    let acme = strict.org("acme").await;
    let cause = "channel.config.uri: The field must begin with https://";
    let answer = acme.post("/api/v1/inlineHooks", hook("h", http_channel(&service.base))).await;
    answer.expect_error(400, "E0000001", cause);
}

/// A resolver whose answers are decided by the test, one after the other; the last one stays.
struct Answers(Mutex<VecDeque<Vec<IpAddr>>>, Mutex<usize>);

impl Answers {
    fn new(answers: &[&[&str]]) -> Arc<Self> {
        let parse = |answer: &&[&str]| answer.iter().map(|text| text.parse().unwrap()).collect();
        Arc::new(Self(Mutex::new(answers.iter().map(parse).collect()), Mutex::new(0)))
    }

    fn asked(&self) -> usize {
        *self.1.lock().unwrap()
    }
}

impl Lookup for Answers {
    fn lookup(&self, _: String) -> Found {
        *self.1.lock().unwrap() += 1;
        let mut answers = self.0.lock().unwrap();
        let answer = if answers.len() > 1 { answers.pop_front().unwrap() } else { answers[0].clone() };
        Box::pin(
            async move { if answer.is_empty() { Err(io::Error::other("no such host")) } else { Ok(answer) } },
        )
    }
}

#[tokio::test]
async fn a_name_is_judged_by_all_its_addresses_and_asked_for_once_a_connection() {
    let service = Service::answering(json!({}));
    let uri = service.base.replace("127.0.0.1", "hooks.test");
    let cases: [(&[&[&str]], Option<&str>); 7] = [
        // Good at first, bad when asked again: there is no second question before the connection.
        (&[&["127.0.0.1"], &["10.0.0.1"]], None),
        (&[&["10.0.0.1"]], Some("The address 10.0.0.1 is not public")),
        (&[&["127.0.0.1", "10.0.0.1"]], Some("The address 10.0.0.1 is not public")),
        (&[&["::ffff:10.0.0.1"]], Some("The address 10.0.0.1 is not public")),
        (&[&["169.254.169.254"]], Some("The address 169.254.169.254 is not public")),
        (&[&["1.1.1.1"]], Some("may be called over https:// only")),
        (&[&[]], Some("The host name \"hooks.test\" could not be resolved")),
    ];
    for (answers, refusal) in cases {
        let lookup = Answers::new(answers);
        let parts = Parts { lookup: Arc::clone(&lookup) as _, ..Parts::default() };
        let server = Server::start_with(&LOOPBACK, parts).await;
        let acme = server.org("acme").await;
        let answer = call(&acme, &uri).await;
        match refusal {
            None => drop(answer.expect(200)),
            Some(part) => assert_refused(answer, part),
        }
        assert_eq!(lookup.asked(), 1, "{answers:?}");
    }
    assert_eq!(service.calls(), 1);
}

/// An HTTPS service on this machine for the name `hooks.test`, and its certificate in PEM form.
async fn tls_service() -> (u16, String) {
    let certified = rcgen::generate_simple_self_signed(vec!["hooks.test".to_owned()]).unwrap();
    let key = PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der());
    let config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key.into())
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut stream) = acceptor.accept(stream).await else { return };
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await;
                let answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}";
                let _ = stream.write_all(answer.as_bytes()).await;
                let _ = stream.shutdown().await;
            });
        }
    });
    (port, certified.cert.pem())
}

#[tokio::test]
async fn certificates_are_verified_against_the_system_and_the_operators_file() {
    let (port, certificate) = tls_service().await;
    let uri = format!("https://hooks.test:{port}/");
    let lookup = || Parts { lookup: Answers::new(&[&["127.0.0.1"]]) as _, ..Parts::default() };
    let server = Server::start_with(&LOOPBACK, lookup()).await;
    let acme = server.org("acme").await;
    assert_refused(call(&acme, &uri).await, "The TLS handshake failed: invalid peer certificate");

    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), &certificate).unwrap();
    let trusting = [LOOPBACK[0], LOOPBACK[2], ("HOOK_KEYS_OUTBOUND_CA_FILE", file.path().to_str().unwrap())];
    let server = Server::start_with(&trusting, lookup()).await;
    let acme = server.org("acme").await;
    call(&acme, &uri).await.expect(200);
    // The certificate is for a name, not for whatever answers at the address.
    let other = uri.replace("hooks.test", "other.test");
    assert_refused(call(&acme, &other).await, "The TLS handshake failed: invalid peer certificate");
    // And a service that speaks no TLS is none over https.
    let plain = Service::answering(json!({}));
    assert_refused(call(&acme, &plain.base.replace("http://", "https://")).await, "The TLS handshake failed");
    assert_eq!(plain.calls(), 0);
}
