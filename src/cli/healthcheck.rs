//! `hook-keys healthcheck`: what a probe asks, for supervisors that run a command instead of sending a request.

use std::io;
use std::net::{SocketAddr, TcpStream, ToSocketAddrs as _};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use url::Url;

use super::dev::reachable;
use super::{Location, out};
use crate::error::{Error, Result};
use crate::tls::unverified;

/// What connecting may take, and each step of sending and receiving. Supervisors have a limit of their own.
const PATIENCE: Duration = Duration::from_secs(5);

/// More than the status line has.
const LONGEST_HEAD: usize = 1024;

#[derive(Args)]
pub(super) struct Healthcheck {
    /// The server to ask, as `http://HOST:PORT`, or `https://HOST:PORT`: whose certificate it has is not checked.
    #[arg(long, value_name = "URL", value_parser = server)]
    url: Option<Server>,
    /// Ask whether requests are worth sending there (/readyz), not only whether the process answers (/healthz).
    #[arg(long)]
    ready: bool,
    #[command(flatten)]
    location: Location,
}

/// What to connect to, and what to call it.
#[derive(Clone)]
struct Server {
    addresses: Vec<SocketAddr>,
    is_tls: bool,
    /// The name or the address, as it stands in a URL.
    host: String,
    port: u16,
}

impl Server {
    fn url(&self, path: &str) -> String {
        format!("{}://{}:{}{path}", if self.is_tls { "https" } else { "http" }, self.host, self.port)
    }
}

/// Reads a URL that says no more than where the server is.
fn server(text: &str) -> Result<Server, String> {
    let url = Url::parse(text).ok();
    let url = url.filter(|url| ["http", "https"].contains(&url.scheme()) && url.path() == "/");
    let url =
        url.filter(|url| url.username().is_empty() && url.query().is_none() && url.fragment().is_none());
    let named = url.as_ref().and_then(|url| Some((url.host_str()?, url.port_or_known_default()?)));
    let (host, port) = named.ok_or("use no path: http://HOST:PORT or https://HOST:PORT")?;
    let addresses = (bare(host), port).to_socket_addrs().map_err(|error| error.to_string())?.collect();
    let is_tls = url.as_ref().is_some_and(|url| url.scheme() == "https");
    Ok(Server { addresses, is_tls, host: host.to_owned(), port })
}

/// Without the brackets around an IPv6 address.
fn bare(host: &str) -> &str {
    host.trim_start_matches('[').trim_end_matches(']')
}

impl Healthcheck {
    pub(super) fn run(self) -> Result<ExitCode> {
        let server = match self.url {
            Some(server) => server,
            None => listening(&self.location)?,
        };
        let path = if self.ready { "/readyz" } else { "/healthz" };
        let asked = server.url(path);
        let head = ask(&server, path).map_err(|error| Error::setup(format!("{asked}: {error}")))?;
        let status = head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3));
        match status {
            Some("200") => out::line(format!("{asked} answers 200"))?,
            Some(status) => return Err(Error::setup(format!("{asked} answers {status}"))),
            None => return Err(Error::setup(format!("{asked}: what answers there does not speak HTTP/1.1"))),
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The server that these settings start, as this machine reaches it.
fn listening(location: &Location) -> Result<Server> {
    let (layers, _) = location.known_layers()?;
    let settings = layers.check()?;
    if settings.tls.as_ref().is_some_and(|tls| tls.client_ca_file.is_some()) {
        return Err(Error::setup(
            "the server asks its clients for a certificate (tls.client_ca_file), and this command has none: ask \
             /healthz with a client that has one",
        ));
    }
    let address = reachable(settings.listen);
    if address.port() == 0 {
        return Err(Error::setup("listen names port 0, which is another one at each start: give --url"));
    }
    let host = if address.is_ipv6() { format!("[{}]", address.ip()) } else { address.ip().to_string() };
    Ok(Server { addresses: vec![address], is_tls: settings.tls.is_some(), host, port: address.port() })
}

/// Sends one request and returns the beginning of the answer.
fn ask(server: &Server, path: &str) -> Result<String, Box<dyn std::error::Error>> {
    let Server { host, port, .. } = server;
    let stream = connect(&server.addresses)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n");
    let answer = if server.is_tls {
        exchange(unverified(stream, bare(host))?, &request)
    } else {
        exchange(stream, &request)
    };
    answer.map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            format!("there was no answer within {} s", PATIENCE.as_secs()).into()
        }
        _ => error.into(),
    })
}

fn exchange(mut stream: impl io::Read + io::Write, request: &str) -> io::Result<String> {
    // In one piece: a server that refuses at once may close before the second arrives.
    stream.write_all(request.as_bytes())?;
    let mut head = Vec::new();
    // Enough when the status is there: a server that says no more than that has answered.
    while head.len() < LONGEST_HEAD && !head.contains(&b'\n') {
        let mut octets = [0; 256];
        let read = stream.read(&mut octets)?;
        if read == 0 {
            break;
        }
        head.extend(octets.iter().take(read));
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

fn connect(addresses: &[SocketAddr]) -> io::Result<TcpStream> {
    let mut failure = io::Error::other("the name has no address");
    for address in addresses {
        match TcpStream::connect_timeout(address, PATIENCE) {
            Ok(stream) => return Ok(stream),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}
