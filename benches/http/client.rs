//! The least HTTP client that will do, for what is not load: one request at a time on a connection that is kept.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

use crate::Result;
use crate::load::Request;

/// Longer than anything that is asked for.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Client {
    stream: BufReader<TcpStream>,
    address: String,
}

impl Client {
    pub(crate) fn connect(address: &str) -> Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream: BufReader::new(stream), address: address.to_owned() })
    }

    /// The body of the answer, which must be a success.
    pub(crate) fn send(&mut self, request: &Request) -> Result<Vec<u8>> {
        let Request { method, path, token, body } = request;
        let kind = if body.is_empty() { "" } else { "Content-Type: application/json\r\n" };
        let text = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: SSWS {token}\r\n{kind}Content-Length: {}\r\n\r\n{body}",
            self.address,
            body.len()
        );
        self.stream.get_mut().write_all(text.as_bytes())?;
        let status = self.line()?;
        let mut length = None;
        loop {
            let line = self.line()?;
            if line.is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = Some(value.trim().parse()?);
            }
        }
        let mut answer = vec![0; length.ok_or("an answer without Content-Length")?];
        self.stream.read_exact(&mut answer)?;
        let success = status.split(' ').nth(1).is_some_and(|code| code.starts_with('2'));
        if !success {
            return Err(format!("{method} {path}: {status}: {}", String::from_utf8_lossy(&answer)).into());
        }
        Ok(answer)
    }

    /// The same, read as JSON.
    pub(crate) fn json(&mut self, request: &Request) -> Result<Value> {
        Ok(serde_json::from_slice(&self.send(request)?)?)
    }

    fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.stream.read_line(&mut line)? == 0 {
            return Err(format!("{} has closed the connection", self.address).into());
        }
        Ok(line.trim_end().to_owned())
    }
}
