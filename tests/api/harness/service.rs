//! External services that inline hooks call: real HTTP servers whose answers a test decides.

use std::net::TcpListener;
use std::sync::{Arc, Mutex, mpsc};

use actix_web::dev::ServerHandle;
use actix_web::http::StatusCode;
use actix_web::web::Bytes;
use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use serde_json::Value;

/// A request that a service got.
#[derive(Debug, Clone)]
pub struct Seen {
    pub path: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Seen {
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }

    /// A field of a form.
    pub fn field(&self, name: &str) -> Option<String> {
        let mut pairs = url::form_urlencoded::parse(self.body.as_bytes());
        pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    }
}

/// What a service does with a request.
pub enum Act {
    /// Answers.
    Answer(u16, String),
    /// Sends the caller elsewhere.
    Redirect(String),
    /// Never answers.
    Hang,
}

impl Act {
    pub fn json(status: u16, body: &Value) -> Self {
        Self::Answer(status, body.to_string())
    }
}

type Behaviour = dyn Fn(&Seen, usize) -> Act + Send + Sync;

/// A running service, stopped when dropped.
pub struct Service {
    pub base: String,
    seen: Arc<Mutex<Vec<Seen>>>,
    handle: ServerHandle,
}

impl Service {
    /// Starts one. `behaviour` gets each request and its number, from 0.
    pub fn start(behaviour: impl Fn(&Seen, usize) -> Act + Send + Sync + 'static) -> Self {
        Self::start_with_workers(1, behaviour)
    }

    /// One that can be in several of its behaviours at once.
    pub fn start_with_workers(
        workers: usize,
        behaviour: impl Fn(&Seen, usize) -> Act + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (behaviour, log): (Arc<Behaviour>, _) = (Arc::new(behaviour), Arc::clone(&seen));
        let (sender, handle) = mpsc::channel();
        std::thread::spawn(move || {
            actix_web::rt::System::new().block_on(async {
                let server = HttpServer::new(move || {
                    let (behaviour, log) = (Arc::clone(&behaviour), Arc::clone(&log));
                    App::new().default_service(web::to(move |request: HttpRequest, body: Bytes| {
                        let act = note(&log, &*behaviour, &request, &body);
                        perform(act)
                    }))
                });
                let server =
                    server.workers(workers).shutdown_timeout(0).disable_signals().listen(listener).unwrap();
                let server = server.run();
                sender.send(server.handle()).unwrap();
                server.await.unwrap();
            });
        });
        Self { base, seen, handle: handle.recv().unwrap() }
    }

    /// One that answers everything with the same JSON.
    pub fn answering(body: Value) -> Self {
        Self::start(move |_, _| Act::json(200, &body))
    }

    /// All requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub fn calls(&self) -> usize {
        self.seen.lock().unwrap().len()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        drop(self.handle.stop(false));
    }
}

fn note(log: &Mutex<Vec<Seen>>, behaviour: &Behaviour, request: &HttpRequest, body: &Bytes) -> Act {
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    let headers = request.headers().iter().map(|(key, value)| (key.to_string(), text(value.as_bytes())));
    let seen = Seen { path: request.path().to_owned(), headers: headers.collect(), body: text(body) };
    let mut log = log.lock().unwrap();
    log.push(seen.clone());
    let number = log.len() - 1;
    drop(log);
    behaviour(&seen, number)
}

async fn perform(act: Act) -> HttpResponse {
    match act {
        Act::Answer(status, body) => HttpResponse::build(StatusCode::from_u16(status).unwrap())
            .content_type("application/json")
            .body(body),
        Act::Redirect(to) => HttpResponse::Found().insert_header(("Location", to)).finish(),
        Act::Hang => std::future::pending().await,
    }
}
