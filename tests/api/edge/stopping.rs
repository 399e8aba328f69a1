//! How a server ends.

use std::io::Write as _;
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::sync::{Mutex, mpsc};
use std::time::Instant;

use rustix::process::Signal;
use serde_json::json;

use super::Site;
use super::wire::{ask, connect, rest};
use crate::harness::process::Serve;
use crate::harness::service::{Act, Service};
use crate::harness::{Client, PATIENCE, hook, http_channel, path_of_hook};

const HOOKS: &str = "[outbound]\nallow = [\"127.0.0.0/8\"]\nallow_http = true\ntimeout = \"60s\"\n";

/// A service that answers when it is let.
fn held() -> (Service, mpsc::Sender<()>) {
    let (release, released) = mpsc::channel();
    let released = Mutex::new(released);
    let service = Service::start(move |_, _| {
        let _ = released.lock().unwrap().recv();
        Act::json(200, &json!({ "commands": [] }))
    });
    (service, release)
}

/// An execute of a hook of this service, which has got the call.
async fn execute(client: &Client, service: &Service) -> tokio::task::JoinHandle<reqwest::Response> {
    let hook = client.create_hook(hook("h", http_channel(&service.base))).await;
    let path = format!("{}/execute", path_of_hook(&hook));
    let request = client.request(reqwest::Method::POST, &path).json(&json!({}));
    let answer = tokio::spawn(async move { request.send().await.unwrap() });
    let begun = Instant::now();
    while service.calls() == 0 {
        assert!(begun.elapsed() < PATIENCE, "the hook is not called");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    answer
}

/// Waits until connections are refused.
fn until_refused(serve: &Serve) {
    let begun = Instant::now();
    while TcpStream::connect(serve.address()).is_ok() {
        assert!(begun.elapsed() < PATIENCE, "connections are still accepted");
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_under_way_are_answered_and_no_new_connections_are_taken() {
    for signal in [Signal::TERM, Signal::INT] {
        let site = Site::new(&format!("{HOOKS}[shutdown]\ntimeout = \"60s\""));
        let serve = site.start();
        let client = serve.client(&site.token());
        let (service, release) = held();
        let mut idle = connect(serve.address());
        ask(&mut idle, "/healthz").unwrap();
        let answer = execute(&client, &service).await;

        serve.signal(signal);
        until_refused(&serve);
        assert_eq!(rest(&mut idle), b"", "an idle connection is closed");
        assert!(!answer.is_finished());
        release.send(()).unwrap();
        let answer = answer.await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["connection"]),
            (200, &"close".parse().unwrap())
        );
        assert_eq!(answer.text().await.unwrap(), r#"{"commands":[]}"#);
        assert_eq!(serve.ended(), Some(0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn during_the_grace_it_is_not_ready_answers_all_and_asks_for_the_connections_back() {
    let site = Site::new("[shutdown]\ngrace = \"10m\"");
    let serve = site.start();
    let mut open = connect(serve.address());
    assert!(ask(&mut open, "/readyz").unwrap().contains(" 200 OK"));
    serve.signal(Signal::TERM);
    serve.logged("SIGTERM: stopping; connections are accepted for 600 more seconds", 1);
    let told = ask(&mut connect(serve.address()), "/readyz").unwrap();
    assert!(
        told.starts_with("HTTP/1.1 503 ") && told.contains("Not ready: the server is stopping"),
        "{told}"
    );
    for mut stream in [open, connect(serve.address())] {
        let told = ask(&mut stream, "/healthz").unwrap();
        assert!(told.contains(" 200 OK") && told.contains("\r\nconnection: close\r\n"), "{told}");
        assert_eq!(rest(&mut stream), b"");
    }
    serve.signal(Signal::INT);
    assert_eq!(serve.ended(), Some(130));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_it_at_once() {
    let site = Site::new(HOOKS);
    let serve = site.start();
    let client = serve.client(&site.token());
    let (service, _release) = held();
    let answer = execute(&client, &service).await;
    serve.signal(Signal::TERM);
    until_refused(&serve);
    serve.signal(Signal::TERM);
    serve.logged("SIGTERM: ended at once", 1);
    assert_eq!(serve.ended(), Some(143));
    assert!(answer.await.is_err(), "the request was answered by nobody");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_takes_longer_than_it_may_does_not_hold_the_end_up() {
    // The shortest: twice the time of a hook, and a second.
    let site = Site::new(
        "[limits]\nbody_timeout = \"60s\"\n[outbound]\ntimeout = \"1ms\"\n[shutdown]\ntimeout = \"0s\"",
    );
    let serve = site.start();
    let token = site.token();
    let mut stream = connect(serve.address());
    let head = format!(
        "POST /api/v1/hook-keys HTTP/1.1\r\nHost: x\r\nAuthorization: SSWS {token}\r\n\
         Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{{"
    );
    stream.write_all(head.as_bytes()).unwrap();
    assert!(ask(&mut connect(serve.address()), "/healthz").is_ok());
    assert_eq!(serve.terminate(), Some(0));
    rest(&mut stream);
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_was_acknowledged_is_lost_however_it_ends() {
    for (signals, code) in [(&[Signal::TERM][..], 0), (&[Signal::TERM, Signal::TERM], 143)] {
        let site = Site::new("");
        let serve = site.start();
        let token = site.token();
        let client = serve.client(&token);
        let (base, writers) = (client.base.clone(), 4);
        let write = |writer: usize| {
            let (client, base) = (client.clone(), base.clone());
            tokio::spawn(async move {
                let mut known = Vec::new();
                loop {
                    let name = format!("w{writer}-{}", known.len());
                    let request = client.request(reqwest::Method::POST, "/key-sets");
                    match request.json(&json!({ "name": name })).send().await {
                        Ok(answer) if answer.status() == 201 => known.push(name),
                        Ok(answer) => panic!("{base}: {}", answer.status()),
                        Err(_) => return known,
                    }
                }
            })
        };
        let writing: Vec<_> = (0..writers).map(write).collect();
        client.until_is("/key-sets", |sets| sets["data"].as_array().unwrap().len() >= 20).await;
        for signal in signals {
            serve.signal(*signal);
        }
        let mut known = Vec::new();
        for writer in writing {
            known.extend(writer.await.unwrap());
        }
        // Two signals of a kind that come at once are one.
        assert!([Some(0), Some(code)].contains(&serve.ended()));
        let again = site.start();
        let client = again.client(&token);
        for name in known {
            client.get(&format!("/key-sets/{name}")).await.expect(200);
        }
    }
}

#[test]
fn a_supervisor_is_told_when_it_is_ready_reads_files_again_and_stops() {
    let site = Site::new("[shutdown]\ngrace = \"10m\"");
    let path = site.file("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let told = || {
        let mut text = [0; 256];
        let length = socket.recv(&mut text).unwrap();
        String::from_utf8(text[..length].to_vec()).unwrap()
    };
    let variables = [("NOTIFY_SOCKET", path.to_str().unwrap())];
    let serve = Serve::start_in("127.0.0.1:0", &site.config(), &[], &variables);
    assert_eq!(told(), "READY=1");
    serve.signal(Signal::HUP);
    let reloading = told();
    let moment = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap();
    assert!(moment.parse::<u64>().unwrap() > 0);
    assert_eq!(told(), "READY=1");
    serve.signal(Signal::TERM);
    assert_eq!(told(), "STOPPING=1");
    serve.signal(Signal::TERM);
    assert_eq!(serve.ended(), Some(143));
}
