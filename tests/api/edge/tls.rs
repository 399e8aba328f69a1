//! TLS of the listener.

use std::io::Write as _;
use std::time::Duration;

use rustix::process::Signal;
use rustls::ProtocolVersion;
use rustls::version::{TLS12, TLS13};

use super::wire::{BOTH, ask, connect, der, rest, shake_hands, shown};
use super::{Site, chmod};
use crate::harness::authority::Authority;
use crate::harness::process::{Dev, Serve, complaint, hook_keys, stdout};
use crate::kong::openssl::Openssl;

/// The head of a handshake whose client knows nothing newer than TLS 1.1, with the one cipher suite that everybody
/// knew (RFC 4346 §7.4.1.2), and the extension for signatures, without which rustls does not come to the version.
fn hello_of_tls_1_1() -> Vec<u8> {
    let random = [7; 32];
    let suites = [0, 2, 0, 0x2f];
    let signatures = [0, 8, 0, 13, 0, 4, 0, 2, 4, 1];
    let hello = [&[1, 0, 0, 51, 3, 2][..], &random, &[0], &suites, &[1, 0], &signatures].concat();
    [&[22, 3, 1, 0, 55][..], &hello].concat()
}

impl Site {
    /// One with TLS, and with more lines in the section `tls` and after it.
    fn with_tls(authority: &Authority, more: &str) -> Self {
        let site = Self::new("");
        site.show(&authority.certify("127.0.0.1", 2999));
        site.set(&site.section(more));
        site
    }

    fn section(&self, more: &str) -> String {
        let (certificate, key) = (self.file("tls.crt"), self.file("tls.key"));
        format!("[tls]\ncert_file = \"{}\"\nkey_file = \"{}\"\n{more}", certificate.display(), key.display())
    }

    /// Puts certificate and key into the files.
    fn show(&self, (certificate, key): &(String, String)) {
        std::fs::write(self.file("tls.crt"), certificate).unwrap();
        std::fs::write(self.file("tls.key"), key).unwrap();
        chmod(&self.file("tls.key"), 0o600);
    }
}

/// Whether a client gets an answer.
fn is_served(serve: &Serve, authority: &Authority) -> bool {
    let stream = shake_hands(serve.address(), &authority.pem, BOTH, None);
    stream.and_then(|mut stream| ask(&mut stream, "/healthz")).is_ok_and(|answer| answer.contains(" 200 OK"))
}

#[test]
fn requests_are_answered_over_tls_1_2_and_1_3_with_the_certificate_of_the_file() {
    let authority = Authority::new("right");
    let site = Site::with_tls(&authority, "");
    let certified = authority.certify("127.0.0.1", 2999);
    site.show(&certified);
    let serve = site.start();
    assert!(serve.base.starts_with("https://127.0.0.1:"), "{}", serve.base);
    let token = site.token();
    for (version, spoken) in [(&TLS12, ProtocolVersion::TLSv1_2), (&TLS13, ProtocolVersion::TLSv1_3)] {
        let mut stream = shake_hands(serve.address(), &authority.pem, &[version], None).unwrap();
        assert_eq!(stream.conn.protocol_version(), Some(spoken));
        assert_eq!(shown(&stream), der(&certified.0));
        for path in ["/healthz", "/api/v1/none", "/none"] {
            let answer = ask(&mut stream, path).unwrap();
            assert!(answer.contains("\r\nstrict-transport-security: max-age=315360000\r\n"), "{answer}");
        }
    }

    let mut stream = shake_hands(serve.address(), &authority.pem, BOTH, None).unwrap();
    let hook = r#"{"name":"h","type":"com.okta.import.transform","version":"1.0.0",
        "channel":{"type":"HTTP","version":"1.0.0","config":{"uri":"https://example.com/"}}}"#;
    let head = format!(
        "POST /api/v1/inlineHooks HTTP/1.1\r\nHost: edge.example\r\nAuthorization: SSWS {token}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{hook}",
        hook.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    let answer = super::wire::answer(&mut stream).unwrap();
    assert!(answer.contains(r#""href":"https://edge.example/api/v1/inlineHooks/"#), "{answer}");
    assert_eq!(serve.terminate(), Some(0));
}

#[test]
fn keys_are_read_in_each_of_their_forms() {
    let openssl = Openssl::new();
    for (make, form) in [
        ("genrsa -traditional -out key.pem 2048", "BEGIN RSA PRIVATE KEY"),
        ("ecparam -name prime256v1 -genkey -noout -out key.pem", "BEGIN EC PRIVATE KEY"),
        ("genpkey -algorithm ed25519 -out key.pem", "BEGIN PRIVATE KEY"),
    ] {
        openssl.run(make);
        openssl.run(
            "req -x509 -new -key key.pem -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1 -out c.pem",
        );
        let (certificate, key) = (openssl.read("c.pem"), openssl.read("key.pem"));
        assert!(key.contains(form), "{form}");
        let site = Site::new("");
        site.show(&(certificate.clone(), key));
        site.set(&site.section(""));
        let serve = site.start();
        // A certificate that has signed itself is none of an end entity in the eyes of the client: look at what is shown.
        let seen = openssl.output(&format!("s_client -connect {} -showcerts", serve.address()));
        let seen = String::from_utf8_lossy(&seen.stdout).into_owned();
        assert!(seen.contains(certificate.trim()), "{form}: {seen}");
    }
}

#[test]
fn old_versions_plain_http_and_noise_are_refused_and_harm_nobody() {
    let authority = Authority::new("right");
    let site = Site::with_tls(&authority, "");
    let serve = site.start();
    let refused = |bytes: &[u8]| {
        let mut stream = connect(serve.address());
        stream.write_all(bytes).unwrap();
        rest(&mut stream)
    };
    // A fatal alert that names the version (RFC 8446 §6.2).
    let alert = refused(&hello_of_tls_1_1());
    assert_eq!((alert[0], &alert[5..]), (21, &[2, 70][..]), "{alert:?}");

    let mut stream = connect(serve.address());
    stream.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let answer = String::from_utf8(rest(&mut stream)).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("use https://"), "{answer}");
    assert!(answer.ends_with("https://.\r\n"), "{answer}");

    for noise in [&[0; 64][..], &[22, 3, 1, 255, 255, 0], b"\r\n\r\n", &[22, 3, 3, 0, 1, 200]] {
        let mut stream = connect(serve.address());
        stream.write_all(noise).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        rest(&mut stream);
    }
    assert!(is_served(&serve, &authority));
    assert_eq!(serve.terminate(), Some(0));
}

#[test]
fn after_sighup_new_connections_get_the_new_certificate_and_open_ones_live_on() {
    let authority = Authority::new("right");
    let site = Site::with_tls(&authority, "");
    let old = authority.certify("127.0.0.1", 2999);
    site.show(&old);
    let serve = site.start();
    let mut open = shake_hands(serve.address(), &authority.pem, BOTH, None).unwrap();
    ask(&mut open, "/healthz").unwrap();
    let new = authority.certify("127.0.0.1", 2998);
    site.show(&new);
    assert_eq!(shown(&shake_hands(serve.address(), &authority.pem, BOTH, None).unwrap()), der(&old.0));
    serve.signal(Signal::HUP);
    let log = serve.logged("SIGHUP: new connections get", 1);
    assert!(log.contains("until 2998-12-31T00:00:00Z"), "{log}");
    assert_eq!(shown(&shake_hands(serve.address(), &authority.pem, BOTH, None).unwrap()), der(&new.0));
    assert!(ask(&mut open, "/healthz").unwrap().contains(" 200 OK"));
    assert_eq!(shown(&open), der(&old.0));
}

#[test]
fn files_that_cannot_be_used_leave_the_old_certificate_and_the_log_says_why() {
    let authority = Authority::new("right");
    let site = Site::with_tls(&authority, "");
    let serve = site.start();
    let (certificate, key) = (site.file("tls.crt"), site.file("tls.key"));
    let good = authority.certify("127.0.0.1", 2997);
    let mut failures = 0;
    let mut refused = |reason: &str| {
        serve.signal(Signal::HUP);
        failures += 1;
        let log = serve.logged("stay as they were", failures);
        assert!(log.lines().last().unwrap().contains(reason), "{reason}: {log}");
        assert!(is_served(&serve, &authority));
    };
    site.show(&(good.0.clone(), authority.certify("127.0.0.1", 2999).1));
    refused(&format!("tls.key_file: {} cannot be used: it is not the key of the certificate", key.display()));
    site.show(&(good.0.clone(), "-----BEGIN PRIVATE KEY-----\nAAAA\n".to_owned()));
    refused("it holds no private key in PEM form");
    site.show(&("nothing".to_owned(), good.1.clone()));
    refused(&format!("tls.cert_file: {} cannot be used: it holds no certificate", certificate.display()));
    site.show(&("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_owned(), good.1.clone()));
    refused("it holds no X.509 certificate");
    site.show(&good);
    chmod(&key, 0o640);
    refused("has mode 0640, so others than its owner may read it: run `chmod 600");
    std::fs::remove_file(&certificate).unwrap();
    refused("tls.cert_file: ");
    site.show(&good);
    serve.signal(Signal::HUP);
    serve.logged("until 2997-12-31", 1);
    assert_eq!(shown(&shake_hands(serve.address(), &authority.pem, BOTH, None).unwrap()), der(&good.0));
}

#[test]
fn a_client_must_show_a_certificate_of_the_authority_that_is_named() {
    let (authority, people) = (Authority::new("right"), Authority::new("people"));
    let site = Site::with_tls(&authority, "");
    let ca = people.file(site.path());
    site.set(&site.section(&format!("client_ca_file = \"{ca}\"\n")));
    let serve = site.start();
    let answered = |version, client: Option<&(String, String)>| {
        let stream = shake_hands(serve.address(), &authority.pem, &[version], client);
        stream.and_then(|mut stream| ask(&mut stream, "/healthz")).is_ok()
    };
    let (known, stranger) =
        (people.certify("somebody", 2999), Authority::new("others").certify("other", 2999));
    let over = people.certify("somebody", 2024);
    for version in [&TLS12, &TLS13] {
        assert!(answered(version, Some(&known)));
        for refused in [None, Some(&stranger), Some(&over)] {
            assert!(!answered(version, refused), "{version:?} {}", refused.is_some());
        }
    }
    // The authority is read again too.
    std::fs::write(&ca, &Authority::new("nobody").pem).unwrap();
    serve.signal(Signal::HUP);
    serve.logged("SIGHUP: new connections get", 1);
    assert!(!answered(&TLS13, Some(&known)));
}

#[test]
fn a_handshake_that_does_not_end_is_cut() {
    let authority = Authority::new("right");
    let site = Site::with_tls(&authority, "[limits]\nhead_timeout = \"200ms\"");
    let serve = site.start();
    for start in [&[][..], &[22], &hello_of_tls_1_1()[..20], b"GET /healthz"] {
        let mut stream = connect(serve.address());
        stream.write_all(start).unwrap();
        rest(&mut stream);
    }
}

#[test]
fn handshakes_and_heads_that_have_only_begun_do_not_hold_the_end_up() {
    let authority = Authority::new("right");
    let patient = "[limits]\nhead_timeout = \"60s\"\n[shutdown]\ntimeout = \"10m\"";
    let site = Site::with_tls(&authority, patient);
    let serve = site.start();
    let mut begun = connect(serve.address());
    begun.write_all(&hello_of_tls_1_1()[..20]).unwrap();
    let mut head = shake_hands(serve.address(), &authority.pem, BOTH, None).unwrap();
    ask(&mut head, "/healthz").unwrap();
    head.write_all(b"GET /heal").unwrap();
    // Less than what they may take, and much more than the end does.
    begun.set_read_timeout(Some(Duration::from_secs(40))).unwrap();
    head.sock.set_read_timeout(Some(Duration::from_secs(40))).unwrap();
    serve.signal(Signal::TERM);
    rest(&mut begun);
    rest(&mut head);
    assert_eq!(serve.ended(), Some(0));
}

#[test]
fn a_start_with_files_that_cannot_be_used_is_refused_before_the_database_is_touched() {
    let authority = Authority::new("right");
    let site = Site::with_tls(&authority, "");
    let refused = |reason: &str| {
        let refused = complaint(&site.run(&["serve", "--listen", "127.0.0.1:0"]));
        assert!(refused.contains(reason), "{reason}: {refused}");
    };
    chmod(&site.file("tls.key"), 0o644);
    refused("has mode 0644");
    let (certificate, _) = authority.certify("127.0.0.1", 2999);
    site.show(&(certificate, authority.certify("127.0.0.1", 2999).1));
    refused("it is not the key of the certificate in");
    std::fs::remove_file(site.file("tls.key")).unwrap();
    refused("tls.key_file: ");
    assert!(!site.run(&["org", "list"]).status.success(), "the database was made");
}

#[test]
fn without_tls_sighup_ends_nothing_and_dev_stays_plain() {
    let site = Site::new("");
    let serve = site.start();
    serve.signal(Signal::HUP);
    serve.logged("there is nothing to read again", 1);
    let answer = ask(&mut connect(serve.address()), "/healthz").unwrap();
    assert!(answer.contains(" 200 OK") && !answer.contains("strict-transport-security"), "{answer}");
    assert_eq!(serve.terminate(), Some(0));

    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("data");
    let tls = [("HOOK_KEYS_TLS_CERT_FILE", "none.crt"), ("HOOK_KEYS_TLS_KEY_FILE", "none.key")];
    let dev = Dev::start_in(&data, &[], &tls);
    assert!(dev.base.starts_with("http://"), "{}", dev.base);
    assert!(dev.log_text().contains("dev speaks plain HTTP"));
}

#[test]
fn doctor_tells_of_certificates_that_cannot_be_used_or_are_about_to_end() {
    let authority = Authority::new("right");
    let site = Site::with_tls(&authority, "");
    assert_eq!(site.start().terminate(), Some(0));
    let doctor = || String::from_utf8(site.run(&["doctor"]).stdout).unwrap();
    let told = doctor();
    assert!(told.contains("ok     tls: the certificate in ") && told.contains("until 2999-12-31"), "{told}");
    site.show(&authority.certify("127.0.0.1", 2020));
    assert!(doctor().contains("WRONG  tls: the certificate in ") && doctor().contains(", which is over"));
    site.show(&authority.certify_for_days("127.0.0.1", 20));
    assert!(doctor().contains("RISK   tls: the certificate in ") && doctor().contains(", in 19 day(s)"));
    site.show(&(authority.certify("127.0.0.1", 2999).0, authority.certify("127.0.0.1", 2999).1));
    assert!(doctor().contains("WRONG  tls: tls.key_file: "));
    std::fs::remove_file(site.file("tls.crt")).unwrap();
    assert!(doctor().contains("WRONG  tls: tls.cert_file: "));
    // It needs no server, and tells what the settings lack before all.
    let half = hook_keys()
        .args(["doctor"])
        .env("HOOK_KEYS_DATABASE_URL", "sqlite:x.db")
        .env("HOOK_KEYS_TLS_CERT_FILE", "x")
        .output();
    let half = String::from_utf8(half.unwrap().stdout).unwrap();
    assert!(half.contains("tls.cert_file and tls.key_file go together"), "{half}");
}

#[test]
fn healthcheck_speaks_tls_and_asks_for_no_name_and_no_date() {
    let site = Site::with_tls(&Authority::new("of nobody"), "");
    site.show(&Authority::new("of nobody").certify("elsewhere.example", 2001));
    let serve = site.start();
    let check = |listen: &str| {
        let mut command = hook_keys();
        command.arg("healthcheck").arg("--config").arg(site.config()).env("HOOK_KEYS_LISTEN", listen);
        command
    };
    let answers = format!("{}/healthz answers 200\n", serve.base);
    assert_eq!(stdout(&check(serve.address()).output().unwrap()), answers);
    let port = serve.address().rsplit(':').next().unwrap();
    assert_eq!(stdout(&check(&format!("0.0.0.0:{port}")).output().unwrap()), answers);
    let named = format!("https://localhost:{port}");
    let ready = stdout(&hook_keys().args(["healthcheck", "--ready", "--url", &named]).output().unwrap());
    assert_eq!(ready, format!("{named}/readyz answers 200\n"));
    let plain = hook_keys().args(["healthcheck", "--url", &format!("http://{}", serve.address())]).output();
    assert!(complaint(&plain.unwrap()).contains("/healthz"));
}

#[test]
fn healthcheck_has_no_certificate_and_says_so() {
    let authority = Authority::new("of clients");
    let site = Site::with_tls(&authority, "");
    let ca = authority.file(site.path());
    site.set(&site.section(&format!("client_ca_file = \"{ca}\"\n")));
    let serve = site.start();
    let mut of_settings = hook_keys();
    of_settings.arg("healthcheck").arg("--config").arg(site.config());
    let refused = complaint(&of_settings.output().unwrap());
    assert!(refused.contains("tls.client_ca_file") && refused.contains("a client that has one"), "{refused}");
    let refused = complaint(&hook_keys().args(["healthcheck", "--url", &serve.base]).output().unwrap());
    assert!(refused.contains("/healthz: received fatal alert: CertificateRequired"), "{refused}");
    let address = serve.address().to_owned();
    serve.kill();
    let refused = hook_keys().args(["healthcheck", "--url", &format!("https://{address}")]).output().unwrap();
    assert!(complaint(&refused).contains("/healthz: Connection refused"));
}
