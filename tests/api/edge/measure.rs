//! What clients notice of others who hold their connections for as long as they are let.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::Site;

/// Connections of each kind of attack.
const MANY: usize = 500;

/// Who reads meanwhile, and how often in each round. The best round counts: the machine has other things to do too.
const READERS: usize = 4;
const READS: usize = 1000;
const ROUNDS: usize = 4;

/// Sends a request that never ends, byte by byte, again and again. Counts how often the connection was closed.
async fn drip(address: String, start: String, ended: Arc<AtomicBool>, cut: Arc<AtomicUsize>) {
    while !ended.load(Ordering::Relaxed) {
        let Ok(mut stream) = TcpStream::connect(&address).await else { continue };
        let _ = stream.write_all(start.as_bytes()).await;
        while !ended.load(Ordering::Relaxed) {
            tokio::time::sleep(Duration::from_millis(500)).await;
            let written = stream.write_all(b"x").await.is_ok();
            let over = match stream.try_read(&mut [0; 512]) {
                Ok(_) => true,
                Err(error) => error.kind() != ErrorKind::WouldBlock,
            };
            if over || !written {
                cut.fetch_add(1, Ordering::Relaxed);
                break;
            }
        }
    }
}

/// The best of some rounds: what half of the reads and 99 of 100 take at most.
async fn best(address: &str, path: &str, token: &str) -> [Duration; 2] {
    let mut best = [Duration::MAX; 2];
    for _ in 0..ROUNDS {
        let times = read(address, path, token).await;
        let at = [times[times.len() / 2], times[times.len() * 99 / 100]];
        best = [best[0].min(at[0]), best[1].min(at[1])];
    }
    best
}

/// How long reads take, sorted.
async fn read(address: &str, path: &str, token: &str) -> Vec<Duration> {
    let reader = || {
        let (address, path, token) = (address.to_owned(), path.to_owned(), token.to_owned());
        tokio::spawn(async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: SSWS {token}\r\n\r\n");
            let (mut times, mut answer) = (Vec::new(), vec![0; 64 * 1024]);
            for _ in 0..READS {
                let begun = Instant::now();
                stream.write_all(request.as_bytes()).await.unwrap();
                let length = stream.read(&mut answer).await.unwrap();
                times.push(begun.elapsed());
                assert!(answer[..length].starts_with(b"HTTP/1.1 200"));
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            times
        })
    };
    let mut times = Vec::new();
    for reading in (0..READERS).map(|_| reader()).collect::<Vec<_>>() {
        times.extend(reading.await.unwrap());
    }
    times.sort();
    times
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "measures; scripts/test --long runs it"]
async fn a_thousand_slow_clients_do_not_slow_the_others() {
    let site = Site::new("");
    let serve = site.start();
    let token = site.token();
    let client = serve.client(&token);
    let set = client.put("/key-sets", serde_json::json!({ "name": "read" })).await.expect(200).json();
    let path = format!("/key-sets/{}", set["id"].as_str().unwrap());
    read(serve.address(), &path, &token).await;
    let quiet = best(serve.address(), &path, &token).await;

    let ended = Arc::new(AtomicBool::new(false));
    let (heads, bodies) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let body = format!(
        "POST /key-sets HTTP/1.1\r\nHost: x\r\nAuthorization: SSWS {token}\r\n\
         Content-Type: application/json\r\nContent-Length: 100000\r\n\r\n{{\"name\": \""
    );
    let mut attackers = Vec::new();
    for (start, cut) in [("GET /healthz HTTP/1.1\r\nfill: ", &heads), (&body, &bodies)] {
        for _ in 0..MANY {
            let (ended, cut) = (Arc::clone(&ended), Arc::clone(cut));
            attackers.push(tokio::spawn(drip(serve.address().to_owned(), start.to_owned(), ended, cut)));
        }
    }
    // Until each that sends a head was cut at least once, and meanwhile they come back.
    let begun = Instant::now();
    while heads.load(Ordering::Relaxed) < MANY {
        assert!(begun.elapsed() < Duration::from_secs(60), "slow heads are not cut");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let attacked = best(serve.address(), &path, &token).await;
    // And until those that send a body were: limits.body_timeout is 30 seconds.
    while bodies.load(Ordering::Relaxed) < MANY {
        assert!(begun.elapsed() < Duration::from_secs(120), "slow bodies are not cut");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    ended.store(true, Ordering::Relaxed);
    for attacker in attackers {
        attacker.await.unwrap();
    }
    for (percent, alone, beside) in [(50, quiet[0], attacked[0]), (99, quiet[1], attacked[1])] {
        eprintln!("p{percent}: {alone:?} alone, {beside:?} beside {} slow clients", 2 * MANY);
    }
    let [heads, bodies] = [heads, bodies].map(|cut| cut.load(Ordering::Relaxed));
    eprintln!("cut: {heads} with slow heads, {bodies} with slow bodies");
    assert!(attacked[1] < 3 * quiet[1]);
}
