//! The bytes below HTTP: plain, or in TLS.

use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::{Either, select};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::tls::Tls;

/// The first byte of every TLS handshake (RFC 8446 §5.1, RFC 5246 §6.2.1).
const HANDSHAKE: u8 = 22;

/// For who speaks plain HTTP where TLS is spoken.
const WANTS_TLS: &[u8] = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Type: text/plain\r\n\
    Content-Length: 38\r\n\r\nThis port speaks HTTPS: use https://.\r\n";

/// A connection as it came, or what is inside its TLS.
#[derive(Debug)]
pub(super) enum Wire {
    /// Without TLS.
    Plain(TcpStream),
    /// With TLS, after the handshake.
    Encrypted(Box<TlsStream<TcpStream>>),
}

impl Wire {
    /// Does the handshake, if there is TLS. `None` if it failed, took longer than `limit`, or if the server stopped
    /// meanwhile.
    pub(super) async fn open(
        tcp: TcpStream,
        tls: Option<&Tls>,
        limit: Duration,
        stopping: impl Future<Output = ()>,
    ) -> Option<Self> {
        let Some(tls) = tls else { return Some(Self::Plain(tcp)) };
        let handshake = timeout(limit, shake_hands(tcp, tls));
        let outcome = match select(pin!(handshake), pin!(stopping)).await {
            Either::Left((outcome, _)) => outcome.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())),
            Either::Right(_) => return None,
        };
        // Whoever scans ports causes these by the thousand.
        outcome.inspect_err(|error| tracing::debug!(%error, "a TLS handshake failed")).ok()
    }
}

async fn shake_hands(mut tcp: TcpStream, tls: &Tls) -> io::Result<Wire> {
    let mut first = [HANDSHAKE];
    tcp.peek(&mut first).await?;
    if first[0].is_ascii_uppercase() {
        tcp.write_all(WANTS_TLS).await?;
        tcp.shutdown().await?;
        // Closed with the request unread, the connection would be reset and the answer lost.
        drain(&mut tcp).await;
        return Err(io::Error::new(io::ErrorKind::InvalidData, "plain HTTP where TLS is spoken"));
    }
    Ok(Wire::Encrypted(Box::new(TlsAcceptor::from(tls.config()).accept(tcp).await?)))
}

/// Reads what a client still sends, within the time that a handshake may take.
async fn drain(tcp: &mut TcpStream) {
    let mut unread = tokio::io::sink();
    let _ = tokio::io::copy(tcp, &mut unread).await;
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(io) => Pin::new(io).poll_read(cx, buf),
            Self::Encrypted(io) => Pin::new(io).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(io) => Pin::new(io).poll_write(cx, bytes),
            Self::Encrypted(io) => Pin::new(io).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(io) => Pin::new(io).poll_flush(cx),
            Self::Encrypted(io) => Pin::new(io).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(io) => Pin::new(io).poll_shutdown(cx),
            Self::Encrypted(io) => Pin::new(io).poll_shutdown(cx),
        }
    }
}
